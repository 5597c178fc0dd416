// Starts the built program for a test and looks after it: port 0 everywhere, a data directory and a database of its own, and at the end the
// questions every file must answer well: did it exit 0, did it log an error nobody expected, did a sanitizer speak, are descriptors and
// processes back to where they were.
//
//     const server = await startServer();
//     after(() => server.stop());
//     const made = await server.api('POST', '/api/plugins/import', pieText);
//     const page = await request(made.json.publicAppUrl);
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { freshDatabase } from './postgres.mjs';
import { refusingForwarder } from './no-dns.mjs';
import { fixedLayout, isAlive, openDescriptors, processTree, stillThere, stolenFactor } from './processes.mjs';

export const repository = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const SANITIZER = /(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:/;
const running = new Set();

/** STOA_BUILD names the build under test, `build/asan` unless told. Sanitizers make it slow, and so does a host that lends a machine's cores to others: scale a time-out by `slowness()`. */
export function buildFolder(preset) {
    return preset ? path.join(repository, 'build', preset) : path.resolve(repository, process.env.STOA_BUILD || 'build/asan');
}
export const slowness = () => (/asan|tsan/.test(buildFolder()) ? 4 : 1) * stolenFactor();

/** The environment without STOA_…, which the program reads as settings, and refuses when it knows none of that name. */
export const plainEnvironment = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('STOA_')));

let root;
/** The temporary directory of this run; world-searchable, since server and database have users of their own under root. */
export function temporaryRoot() {
    if (!root) {
        if (process.env.STOA_TEST_ROOT) {
            root = fs.mkdtempSync(path.join(process.env.STOA_TEST_ROOT, 'f-'));
        } else {
            root = fs.mkdtempSync(path.join(os.tmpdir(), 'stoa-test-'));
            if (!process.env.STOA_KEEP) process.on('exit', () => fs.rmSync(root, { recursive: true, force: true, maxRetries: 3 }));
        }
        fs.chmodSync(root, 0o755);
    }
    return root;
}

let homes = 0;
/** A fresh directory below temporaryRoot(). */
export function temporaryDirectory(name = 'd') {
    const made = path.join(temporaryRoot(), `${name}${++homes}`);
    fs.mkdirSync(made, { mode: 0o755 });
    return made;
}

/** Waits until `condition()` gives something truthy, and gives that; looks every 20 ms. */
export async function until(condition, what, milliseconds = 10000 * slowness()) {
    const end = Date.now() + milliseconds;
    for (;;) {
        const value = await condition();
        if (value) return value;
        if (Date.now() > end) throw new Error(`waited ${milliseconds} ms in vain for ${what}`);
        await new Promise((done) => setTimeout(done, 20));
    }
}

/** A self-signed P-256 certificate for `names` and `addresses`: {certificate, key} are paths, readable by the server's user. */
export function makeCertificate(names = ['localhost'], addresses = ['127.0.0.1', '::1']) {
    const folder = temporaryDirectory('tls');
    const certificate = path.join(folder, 'certificate.pem');
    const key = path.join(folder, 'key.pem');
    const alternatives = [...names.map((n) => `DNS:${n}`), ...addresses.map((a) => `IP:${a}`)].join(',');
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-keyout', key,
        '-out', certificate, '-subj', `/CN=${names[0]}`, '-addext', `subjectAltName=${alternatives}`], { stdio: 'ignore' });
    fs.chmodSync(key, 0o644);
    return { certificate, key };
}

/**
 * One HTTP/1.1 request on a connection of its own; never rejects for a status. `headers` may hold `host`. Gives
 * {status, headers, rawHeaders, body (Buffer), text, json (undefined when it is none)}. https: any certificate is accepted.
 */
export function request(url, { method = 'GET', headers = {}, body, timeout = 30000 * slowness(), ...options } = {}) {
    const target = new URL(url);
    return new Promise((resolve, reject) => {
        const where = { protocol: target.protocol, hostname: target.hostname.replace(/^\[|\]$/g, ''), port: target.port, path: target.pathname + target.search };
        // no URL as the first argument: https of Debian's Node 18 takes the path from it even when `options` has one
        const call = (target.protocol === 'https:' ? https : http).request({ ...where, method, headers, agent: false, rejectUnauthorized: false, ...options }, (answer) => {
            const parts = [];
            answer.on('data', (part) => parts.push(part));
            answer.on('error', reject);
            answer.on('end', () => {
                const bytes = Buffer.concat(parts);
                const result = { status: answer.statusCode, headers: answer.headers, rawHeaders: answer.rawHeaders, body: bytes, text: bytes.toString('utf8') };
                try {
                    result.json = JSON.parse(result.text);
                } catch { /* not JSON */ }
                resolve(result);
            });
        });
        call.setTimeout(timeout, () => call.destroy(new Error(`${method} ${url} took more than ${timeout} ms`)));
        call.on('error', reject);
        call.end(body);
    });
}

/**
 * Options:
 *   settings       {name: value}, each given as --set name=value
 *   args, env      more of them
 *   preset         another build than STOA_BUILD's, e.g. 'release'
 *   program        another program altogether, e.g. an installed one
 *   under          [program, …]: what starts it, e.g. setpriv with its flags
 *   dataDir        an existing data directory (to start again on it); `database` then names the one to use again
 *   database       a URL; default: a fresh database in the run's shared PostgreSQL, which outlives stop()
 *   privatePostgres  true: the server starts its own clusters
 *   managedDb      true: plugins' data in a cluster of the server's own, as in production; else (but for privatePostgres) in the run's
 *   tls            [names]: a TLS listener with a certificate of those names; its address is in `tls`
 *   workers        how many handler workers may be alive at the end: each is a Unix socket (default 16). With it or managedDb, spare ones are kept as in production
 *   expectErrors   [RegExp]: error lines that this file provokes
 *   readyTimeout   milliseconds
 */
export async function startServer(options = {}) {
    const build = buildFolder(options.preset);
    const stoaBin = options.program ?? path.join(build, 'stoa');
    if (!fs.existsSync(stoaBin)) throw new Error(`${stoaBin} is not built: ./dev build ${path.basename(build)}`);
    const home = temporaryDirectory('server');
    const dataDir = options.dataDir ?? path.join(home, 'data');
    const readyFile = path.join(home, 'ready.json');
    let database;
    let { database: databaseUrl } = options;
    if (!databaseUrl && !options.privatePostgres) {
        database = await freshDatabase(temporaryRoot());
        databaseUrl = database.url;
    }
    const settings = { ...options.settings };
    // no cluster for files that do not ask for one: starting it costs a second
    if (databaseUrl && !options.managedDb && !settings.plugin_database)
        Object.assign(settings, { plugin_database: databaseUrl, plugin_database_shared: 'accepted' });
    // nor blank workers: each costs a sanitizer's build a seventh of a second of a core
    if (!options.managedDb && !options.workers) settings.handler_spares ??= 0;
    if (!settings.dns_forwarders && !settings.dns_root_hints) settings.dns_forwarders = await refusingForwarder();
    if (options.tls) {
        const made = makeCertificate(options.tls);
        Object.assign(settings, { listen_tls: '127.0.0.1:0', tls_certificate: made.certificate, tls_key: made.key, ...options.settings });
    }
    const args = ['serve', '--data', dataDir, '--ready-file', readyFile, '--listen-apps', '127.0.0.1:0', '--listen-console', '127.0.0.1:0',
        '--listen-admin', '127.0.0.1:0', ...(databaseUrl ? ['--database', databaseUrl] : []),
        ...Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]), ...(options.args ?? [])];
    fs.copyFileSync(path.join(repository, 'tests/harness/tsan.supp'), path.join(home, 'tsan.supp')); // the checkout may be root's alone
    const sanitizers = {
        ASAN_OPTIONS: 'exitcode=99:malloc_context_size=12:detect_stack_use_after_return=1:allocator_may_return_null=0',
        UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
        TSAN_OPTIONS: `exitcode=66:halt_on_error=0:second_deadlock_stack=1:suppressions=${path.join(home, 'tsan.supp')}`,
    };
    const [program, ...before] = [...(options.under ?? (/tsan/.test(build) ? fixedLayout() : [])), stoaBin];
    const child = spawn(program, [...before, ...args], {
        cwd: home, env: { PATH: process.env.PATH, ...sanitizers, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true,
    });
    let text = '';
    const keep = (part) => {
        text += part;
        fs.appendFileSync(path.join(home, 'server.log'), part);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
    running.add(child);
    ended.then(() => running.delete(child));

    const readReady = () => {
        try {
            return JSON.parse(fs.readFileSync(readyFile, 'utf8'));
        } catch {
            return undefined;
        }
    };
    const ready = await until(() => {
        if (child.exitCode !== null || child.signalCode !== null) {
            throw new Error(`stoa ended with ${child.exitCode ?? child.signalCode} before it could serve:\n${text}`);
        }
        return readReady();
    }, 'the ready file', options.readyTimeout ?? 60000).catch((error) => {
        kill(child);
        throw new Error(`${error.message}\n${text.slice(-4000)}`);
    });
    const atStart = openDescriptors(ready.serverPid);
    let stopped;

    const server = {
        ...ready,
        get serverPid() { return readReady()?.serverPid ?? ready.serverPid; },
        pid: child.pid,
        token: ready.tokenFile && fs.existsSync(ready.tokenFile) ? fs.readFileSync(ready.tokenFile, 'utf8').trim() : undefined,
        dataDir, home, readyFile, stoaBin, database, databaseUrl, child, ended,
        log: () => text,
        /** Lines of the log, without those of the sanitizers' options. */
        logLines: () => text.split('\n').filter(Boolean),

        /**
         * A management request with the owner's token (or `token`; null for none). An object is sent as JSON, a string or Buffer as `type`
         * (text/plain unless told).
         */
        api(method, where, body, { token = server.token, headers = {}, type, ...more } = {}) {
            const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
            const kind = type ?? (bytes === body ? 'text/plain' : 'application/json');
            return request(new URL(where, server.console), {
                method, body: bytes, ...more,
                headers: {
                    ...(token ? { authorization: `Bearer ${token}` } : {}),
                    ...(bytes === undefined ? {} : { 'content-type': kind, 'content-length': Buffer.byteLength(bytes) }), ...headers,
                },
            });
        },

        /** Waits until a line of the log matches, from the start of the log or from `from` (a length of log()) on. */
        logged: (pattern, from = 0) => until(() => pattern.exec(text.slice(from)), `${pattern} in the log`),

        /** SIGKILL to one process: the supervisor unless told. */
        kill(pid = child.pid) { process.kill(pid, 'SIGKILL'); },

        /** SIGTERM, and all the questions. Throws with all that is wrong. A second call gives the first one's result. */
        stop() { return (stopped ??= stop()); },
    };

    async function stop() {
        const wrong = [];
        await closeFetchConnections();
        if (atStart && child.exitCode === null && server.serverPid === ready.serverPid) {
            // a look at DNS has three questions, and one that nobody answers has 15 s
            await until(() => fewEnough(openDescriptors(ready.serverPid), atStart, options.workers ?? 16), 'descriptors', 50000)
                .catch(() => wrong.push(`descriptors: ${JSON.stringify(atStart)} at the start, ${JSON.stringify(openDescriptors(ready.serverPid))} at the end`));
        }
        const tree = child.exitCode === null && child.signalCode === null ? processTree(child.pid) : [];
        if (tree.length) process.kill(child.pid, 'SIGTERM');
        const end = await Promise.race([ended, new Promise((done) => { setTimeout(done, 40000, undefined).unref(); })]);
        if (end === undefined) {
            wrong.push('it did not end within 40 s of SIGTERM');
            kill(child);
        } else if (tree.length && end.code !== 0) {
            wrong.push(`it ended with ${end.code ?? end.signal} after SIGTERM`);
        }
        await until(() => stillThere(tree).length === 0, 'its processes to end', 5000)
            .catch(() => stillThere(tree).forEach((p) => {
                wrong.push(`left behind: ${p.pid} ${p.command}`);
                try { process.kill(p.pid, 'SIGKILL'); } catch { /* gone */ }
            }));
        if (tree.length && fs.existsSync(readyFile)) wrong.push('the ready file is still there');
        for (const line of server.logLines()) {
            const bad = SANITIZER.test(line) || /^\S+ (error|fatal) /.test(line) || /assert/i.test(line);
            if (bad && !(options.expectErrors ?? []).some((e) => e.test(line))) wrong.push(`log: ${line}`);
        }
        if (wrong.length) assert.fail(`${wrong.join('\n')}\n--- end of the log (${home}/server.log)\n${text.slice(-3000)}`);
    }
    return server;
}

// A pool thread opens its database connection when it first needs one, so Unix sockets may grow by one a thread.
function fewEnough(now, start, workers) {
    return now === undefined || (now.tcp <= start.tcp && now.file <= start.file && now.other <= start.other && now.unix <= start.unix + 32 + workers);
}

// fetch() keeps idle connections; a server that is asked to stop should not have to wait for our own.
async function closeFetchConnections() {
    const name = Symbol.for('undici.globalDispatcher.1');
    const dispatcher = globalThis[name];
    if (!dispatcher) return;
    globalThis[name] = new dispatcher.constructor();
    await dispatcher.destroy();
}

function kill(child) {
    for (const p of processTree(child.pid).reverse()) {
        try { process.kill(p.pid, 'SIGKILL'); } catch { /* gone */ }
    }
}

// A test that threw before its stop(), or that run.mjs gave up on, leaves nothing behind.
const killAll = () => running.forEach((child) => { if (isAlive(child.pid)) kill(child); });
process.on('exit', killAll);
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(1));
