// What the tests of HTTP itself run against: the guard probe (tests/harness/guard-probe.c), where time-outs can be short and every path has
// a known answer, or, with STOA_TARGET=server, the whole program.
//
//     const target = await startTarget({ headerTimeout: 500 });
//     after(() => target.stop());
//
// Gives {h1Port, tlsPort, pid, isProbe, where(path), fine, smallLimit, log(), stats(), memory(), stop()}; `pid` is the process that serves,
// memory() its resident MiB. Tests name the probe's paths; where() tells what the target calls them, and `fine` which statuses mean that a
// request was taken (the whole program knows no POST without a token).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fixedLayout, isAlive } from './processes.mjs';
import { paths } from './h2raw.mjs';
import { archive, pie } from './pie.mjs';
import { buildFolder, repository, request, startServer, temporaryDirectory, until } from './server.mjs';

const dashed = (name) => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);

function memory(pid) {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(/^VmRSS:\s*(\d+)/m.exec(status)[1]) / 1024;
}

/** Starts it with limits of the guard's policy, in camel case: {headerTimeout, bodyTimeout, writeTimeout, idleTimeout, headerBytes …}. */
export async function startTarget(limits = {}) {
    return process.env.STOA_TARGET === 'server' ? startWhole(limits) : startProbe(limits);
}

async function startProbe(limits) {
    const program = path.join(buildFolder(), 'tests/harness/guard-probe');
    if (!fs.existsSync(program)) throw new Error(`${program} is not built`);
    const args = ['--body-directory', temporaryDirectory('bodies'), ...Object.entries(limits).flatMap(([name, value]) => [`--${dashed(name)}`, String(value)])];
    const [command, ...before] = [...(/tsan/.test(program) ? fixedLayout() : []), program];
    const sanitizers = { ASAN_OPTIONS: 'exitcode=99', TSAN_OPTIONS: `exitcode=66:suppressions=${path.join(repository, 'tests/harness/tsan.supp')}` };
    const child = spawn(command, [...before, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...sanitizers } });
    let text = '';
    let ready = '';
    child.stdout.setEncoding('utf8').on('data', (part) => { ready += part; });
    child.stderr.setEncoding('utf8').on('data', (part) => { text += part; });
    const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
    process.on('exit', () => child.kill('SIGKILL'));
    await until(() => ready.includes('\n') || child.exitCode !== null, 'the probe');
    assert.equal(child.exitCode, null, `the probe ended:\n${text}`);
    const target = {
        ...JSON.parse(ready),
        isProbe: true,
        where: (name) => name,
        fine: [200],
        smallLimit: 1024,
        ended,
        log: () => text,
        isAlive: () => isAlive(child.pid),
        memory: () => memory(child.pid),
        stats: async () => (await request(`http://127.0.0.1:${target.h1Port}/stats`, { headers: { host: 'localhost' } })).json,
        signal: (name) => child.kill(name),
        /** SIGTERM; fails when it does not exit 0, or has logged what it should not. */
        async stop() {
            if (child.exitCode === null) child.kill('SIGTERM');
            const code = await ended;
            const said = text.split('\n').filter((line) => line && !/Suppressions used|^-+$|^ +count|libh2o-evloop$/.test(line));
            assert.deepEqual({ code, said }, { code: 0, said: [] });
        },
    };
    return target;
}

// The apps origin of the whole program, with a bundle of files of the probe's sizes. What only the probe has, tests look for through isProbe.
async function startWhole({ threads, drain, ...limits }) {
    const settings = {
        ...Object.fromEntries(Object.entries(limits).map(([name, value]) => [dashed(name).replaceAll('-', '_'), value])),
        handshakes_per_second: 100000, handshakes_per_address: 100000, connections_per_address: 5000,
        ...(drain && { shutdown_timeout: `${drain}ms` }),
    };
    for (const name of Object.keys(settings)) if (/_timeout$/.test(name) && typeof settings[name] === 'number') settings[name] += 'ms';
    const server = await startServer({ settings, tls: ['localhost'] });
    const sizes = { '/1k': 1 << 10, '/10k': 10 << 10, '/100k': 100 << 10, '/1m': 1 << 20 };
    const made = await server.api('POST', '/api/plugins/import', pie('http', { 'index.html': 'x' }));
    assert.equal(made.status, 201, made.text);
    const files = Object.fromEntries(Object.entries(sizes).map(([name, size]) => [`${name.slice(1)}.bin`, Buffer.alloc(size, 'x')]));
    const put = await server.api('POST', '/api/plugins/http/deployments', archive({ 'index.html': 'x', ...files }), { type: 'application/gzip' });
    assert.ok(put.status < 300, put.text);
    const base = new URL(made.json.publicAppUrl).pathname;
    const names = { '/echo': '/api/plugins/import', '/upload': '/api/plugins/import', '/small': '/nothing', '/delay': `${base}1k.bin`, '/inspect': '/api/none' };
    for (const name of Object.keys(sizes)) names[name] = `${base}${name.slice(1)}.bin`;
    const outer = { ...paths };
    Object.assign(paths, names);
    let asked = false;
    return {
        h1Port: Number(new URL(server.apps).port),
        tlsPort: Number(new URL(server.tls).port),
        pid: server.serverPid,
        isProbe: false,
        where: (name) => names[name] ?? name,
        fine: [200, 401, 404, 405, 421],
        smallLimit: 64 * 1024,
        server,
        log: server.log,
        isAlive: () => isAlive(server.serverPid),
        memory: () => memory(server.serverPid),
        async stats() {
            const text = (await request(new URL('/metrics', server.admin))).text;
            const camel = (name) => name.replace(/_total$/, '').replace(/_([a-z])/g, (all, c) => c.toUpperCase());
            return Object.fromEntries([...text.matchAll(/^(?:stoa_)?guard_(\w+) (\d+)/gm)].map(([, name, value]) => [camel(name), Number(value)]));
        },
        signal(name) {
            asked = true;
            process.kill(server.pid, name);
        },
        async stop() {
            Object.assign(paths, outer);
            if (asked) await server.ended; // a second SIGTERM would cut it short
            return server.stop();
        },
    };
}

/** Asks for a page again and again until `stop()`, which fails when any answer was not 200 or took longer than `slowest` ms. */
export function innocentVisitor(target, where = '/1k', slowest = 3000) {
    let running = true;
    let answers = 0;
    const done = (async () => {
        while (running) {
            const begun = Date.now();
            const answer = await request(`http://127.0.0.1:${target.h1Port}${target.where(where)}`, { headers: { host: 'localhost' } });
            assert.equal(answer.status, 200, 'the innocent visitor was refused');
            assert.ok(Date.now() - begun < slowest, `the innocent visitor waited ${Date.now() - begun} ms`);
            ++answers;
            await new Promise((next) => setTimeout(next, 5));
        }
    })();
    done.catch(() => {});
    return {
        async stop() {
            running = false;
            await done;
            assert.ok(answers > 0, 'the innocent visitor never got an answer');
        },
    };
}
