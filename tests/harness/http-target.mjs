// What the tests of HTTP itself run against: the guard probe (tests/harness/guard-probe.c), where time-outs can be short and every path has
// a known answer, or, with STOA_TARGET=server, the whole program.
//
//     const target = await startTarget({ headerTimeout: 500 });
//     after(() => target.stop());
//
// Gives {h1Port, tlsPort, pid, isProbe, log(), stats(), memory(), stop()}; `pid` is the process that serves, memory() its resident MiB.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { isAlive } from './processes.mjs';
import { buildFolder, repository, request, startServer, until } from './server.mjs';

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
    const args = Object.entries(limits).flatMap(([name, value]) => [`--${dashed(name)}`, String(value)]);
    // TSan of gcc 12 needs the address layout it knows
    const [command, ...before] = /tsan/.test(program) ? ['setarch', '-R', program] : [program];
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

// The apps origin of the whole program; what only the probe has, tests look for through isProbe.
async function startWhole(limits) {
    const settings = Object.fromEntries(Object.entries(limits).map(([name, value]) => [dashed(name).replaceAll('-', '_'), value]));
    const server = await startServer({ settings, tls: ['localhost'] });
    return {
        h1Port: Number(new URL(server.apps).port),
        tlsPort: Number(new URL(server.tls).port),
        pid: server.serverPid,
        isProbe: false,
        server,
        log: server.log,
        isAlive: () => isAlive(server.serverPid),
        memory: () => memory(server.serverPid),
        async stats() {
            const text = (await request(new URL('/metrics', server.admin))).text;
            const camel = (name) => name.replace(/_total$/, '').replace(/_([a-z])/g, (all, c) => c.toUpperCase());
            return Object.fromEntries([...text.matchAll(/^(?:stoa_)?guard_(\w+) (\d+)/gm)].map(([, name, value]) => [camel(name), Number(value)]));
        },
        signal: (name) => process.kill(server.pid, name),
        stop: () => server.stop(),
    };
}

/** Asks for a page again and again until `stop()`, which fails when any answer was not 200 or took longer than `slowest` ms. */
export function innocentVisitor(target, where = '/1k', slowest = 3000) {
    let running = true;
    let answers = 0;
    const done = (async () => {
        while (running) {
            const begun = Date.now();
            const answer = await request(`http://127.0.0.1:${target.h1Port}${where}`, { headers: { host: 'localhost' } });
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
