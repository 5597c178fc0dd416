// Starts the servers that are measured, each with one worker pinned to core 0, on loopback ports of its own, and the same certificate.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { processTree } from '../harness/processes.mjs';
import { sizes } from './generate.mjs';

const here = path.dirname(new URL(import.meta.url).pathname);
export const SERVER_CORE = '0';
export const CLIENT_CORE = '1';
const ports = { nginx: [18081, 18441], h2o: [18082, 18442], caddy: [18083, 18443], floor: [18084, 0], stoa: [18085, 18445] };

export function makeCertificate(work) {
    const certificate = path.join(work, 'certificate.pem');
    const key = path.join(work, 'key.pem');
    if (!fs.existsSync(certificate)) {
        execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '365', '-keyout', key,
            '-out', certificate, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'], { stdio: 'ignore' });
        fs.chmodSync(key, 0o644);
    }
    return { certificate, key };
}

const sleep = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });

/** One GET or HEAD; gives {status, headers, bytes}; rejects when nobody listens. */
export function ask(url, { headers = {}, method = 'GET' } = {}) {
    return new Promise((resolve, reject) => {
        const call = (url.startsWith('https:') ? https : http).request(url, { method, headers, agent: false, rejectUnauthorized: false }, (answer) => {
            let bytes = 0;
            answer.on('data', (part) => { bytes += part.length; });
            answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, bytes }));
            answer.on('error', reject);
        });
        call.setTimeout(5000, () => call.destroy(new Error(`no answer from ${url}`)));
        call.on('error', reject);
        call.end();
    });
}

async function waitForAnswer(server) {
    for (let tries = 0; ; ++tries) {
        try {
            const answer = await ask(`${server.http}${server.sizesAt}1k.js`, { headers: { host: server.host } });
            if (answer.status === 200) return;
            throw new Error(`status ${answer.status}`);
        } catch (error) {
            if (tries === 150 || server.child.exitCode !== null) throw new Error(`${server.name} does not serve: ${error.message}; see ${server.log}`);
            await sleep(100);
        }
    }
}

function start(name, work, program, args, more = {}) {
    const log = path.join(work, `${name}.log`);
    const out = fs.openSync(log, 'w');
    const child = spawn('taskset', ['-c', SERVER_CORE, program, ...args], { cwd: work, stdio: ['ignore', out, out], detached: true, ...more });
    fs.closeSync(out);
    const [port, tlsPort] = ports[name];
    const server = {
        name, child, log, pid: child.pid, host: `localhost:${port}`, tlsHost: `localhost:${tlsPort}`,
        http: `http://127.0.0.1:${port}`, https: tlsPort ? `https://127.0.0.1:${tlsPort}` : undefined, accessLogs: [path.join(work, `${name}.access.log`)],
        async stop() {
            const tree = processTree(child.pid);
            const ended = new Promise((resolve) => { child.on('exit', resolve); });
            if (child.exitCode === null) {
                child.kill('SIGTERM');
                await Promise.race([ended, sleep(35000)]);
            }
            for (const p of tree) {
                try { process.kill(p.pid, 'SIGKILL'); } catch { /* gone */ }
            }
        },
    };
    return server;
}

function fillIn(template, to, words) {
    let text = fs.readFileSync(path.join(here, template), 'utf8');
    for (const [word, value] of Object.entries(words)) text = text.replaceAll(`@${word}@`, value);
    fs.writeFileSync(to, text);
    return to;
}

/** Starts one of nginx, h2o, caddy, floor on the generated `set` in `data`. */
export async function startPeer(name, work, data, set) {
    const descriptors = Number(execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).replace('unlimited', '1048576'));
    const [port, tlsPort] = ports[name];
    const root = process.getuid() === 0;
    const words = {
        ...Object.fromEntries(Object.entries(makeCertificate(work)).map(([k, v]) => [k.toUpperCase(), v])),
        WORK: work, DATA: data, WORKERS: '1', PORT: String(port), TLS_PORT: String(tlsPort), DESCRIPTORS: String(descriptors),
        CACHED: String(Math.min(80000, descriptors - 4000)), USER: root ? (name === 'nginx' ? 'user root;' : 'user: root') : '',
    };
    const starts = {
        nginx: () => start(name, work, 'nginx', ['-p', work, '-c', fillIn('nginx.conf', path.join(work, 'nginx.conf'), words)]),
        h2o: () => start(name, work, 'h2o', ['-c', fillIn('h2o.conf', path.join(work, 'h2o.conf'), words)]),
        caddy: () => start(name, work, 'caddy', ['run', '--config', fillIn('Caddyfile', path.join(work, 'Caddyfile'), words), '--adapter', 'caddyfile'],
            { env: { ...process.env, GOMAXPROCS: '1', HOME: work, XDG_DATA_HOME: work, XDG_CONFIG_HOME: work } }),
        floor: () => {
            const program = path.join(work, 'floor');
            execFileSync('gcc', ['-O2', '-D_GNU_SOURCE', '-o', program, path.join(here, 'floor.c')]);
            return start(name, work, program, [String(port), ...Object.keys(sizes).map((f) => path.join(data, set.sizesAt, f))]);
        },
    };
    const server = Object.assign(starts[name](), { sizesAt: set.sizesAt, many: set.many });
    server.memoryPids = () => processTree(server.pid).map((p) => p.pid);
    server.cpuPids = server.memoryPids;
    await waitForAnswer(server);
    return server;
}

/**
 * Starts Stoa with a data directory that is kept between runs. Limits on one address are lifted, for all visitors of a benchmark are one;
 * everything else is as delivered, guard and access log included.
 */
export async function startStoa(work, stoa, { dataDir = path.join(work, 'stoa-data'), settings = {} } = {}) {
    const { certificate, key } = makeCertificate(work);
    const [port, tlsPort] = ports.stoa;
    const readyFile = path.join(work, 'stoa.ready.json');
    fs.rmSync(readyFile, { force: true });
    const all = {
        threads: 1, connections: 20000, connections_per_address: 20000, handshakes_per_second: 100000, handshakes_per_address: 100000,
        plugins_per_project: 1000000, listen_tls: `127.0.0.1:${tlsPort}`, tls_certificate: certificate, tls_key: key, ...settings,
    };
    const begun = performance.now();
    const server = start('stoa', work, stoa, ['serve', '--data', dataDir, '--ready-file', readyFile, '--listen-apps', `127.0.0.1:${port}`,
        '--listen-console', '127.0.0.1:0', '--listen-admin', '127.0.0.1:0', ...Object.entries(all).flatMap(([n, v]) => ['--set', `${n}=${v}`])]);
    while (!fs.existsSync(readyFile)) {
        if (server.child.exitCode !== null) throw new Error(`stoa did not start; see ${server.log}`);
        await sleep(10);
    }
    const ready = JSON.parse(fs.readFileSync(readyFile, 'utf8'));
    Object.assign(server, { console: ready.console, admin: ready.admin, startedIn: performance.now() - begun, ready, readyFile });
    server.token = fs.readFileSync(ready.tokenFile, 'utf8').trim();
    server.accessLogs = [path.join(dataDir, 'logs/access.log'), path.join(dataDir, 'access.log')];
    // The ratio is of the server process; its supervisor and PostgreSQL are listed beside it.
    server.cpuPids = () => [ready.serverPid];
    server.memoryPids = server.cpuPids;
    server.otherPids = () => processTree(server.pid).map((p) => p.pid).filter((p) => p !== ready.serverPid);
    return server;
}
