// ./dev bench actions: one handler, run by Stoa in its cage and by Express on Node, in the same process and in a child process; the same
// PostgreSQL, the same role, the same statements. The system under test, database and workers included, has core 0, the client core 1; rounds
// are interleaved, the order turns round every other one, medians count.
import { execFile, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { freshDatabase } from '../../harness/postgres.mjs';
import { processTree } from '../../harness/processes.mjs';
import { buildOpenLoop, keepRate, request } from '../openloop.mjs';

const run = promisify(execFile);
const here = path.dirname(new URL(import.meta.url).pathname);
const repository = path.resolve(here, '../../..');
const options = { rounds: 5, secs: 3, plugins: 200, work: path.join(repository, 'build/bench-actions'), stoa: path.join(repository, 'build/release/stoa') };
for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].replace(/^--/, '');
    if (!(name in options) || process.argv[i + 1] === undefined) {
        console.error(`./dev bench actions knows ${Object.keys(options).map((o) => `--${o}`).join(' ')}`);
        process.exit(2);
    }
    options[name] = typeof options[name] === 'number' ? Number(process.argv[i + 1]) : process.argv[i + 1];
}
const { work } = options;
const BODY = JSON.stringify({ name: 'Ada', email: 'ada@example.org' });
const ports = { stoa: 18185, inprocess: 18186, isolated: 18187, relay: 18188 };
const sleep = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
const running = [];
const stopAll = async () => {
    for (const child of running.splice(0).reverse()) {
        const tree = processTree(child.pid);
        const ended = new Promise((done) => { child.on('exit', done); });
        if (child.exitCode === null) {
            child.kill('SIGTERM');
            await Promise.race([ended, sleep(20000)]);
        }
        for (const p of tree) try { process.kill(p.pid, 'SIGKILL'); } catch { /* gone */ }
    }
};
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stopAll().then(() => process.exit(130)));

// --- the servers ---

function start(name, program, args, env) {
    const out = fs.openSync(path.join(work, `${name}.log`), 'w');
    const child = spawn('taskset', ['-c', '0', program, ...args], { cwd: work, stdio: ['ignore', out, out], detached: true, env });
    fs.closeSync(out);
    running.push(child);
    return child;
}

const CODE = fs.readFileSync(path.join(here, 'handler.cjs'), 'utf8');
const COLUMNS = `          id: "bigint generated always as identity primary key"
          name: "text not null"
          email: "text not null"
          at: "timestamptz not null default now()"`;
const pie = (name) => `---\nname: ${name}\ndisplayName: ${name}\ntier: tool\nversion: 1.0.0\nmanifest:\n  database:\n    tables:\n      answers:\n        columns:\n${COLUMNS}\n---\n${CODE}\n===public-config===\nentry: index.html\n===public-config===\n===public-file:index.html===\n<title>bench</title>\n===public-file:index.html===\n`;

async function startStoa(database, plugins) {
    const readyFile = path.join(work, 'ready.json');
    fs.rmSync(readyFile, { force: true });
    const settings = { threads: 1, connections_per_address: 20000, connections: 20000, plugin_database: plugins, plugin_database_shared: 'accepted', handler_queue: 5000 };
    const child = start('stoa', options.stoa, ['serve', '--data', path.join(work, `data-${process.pid}`), '--database', database, '--ready-file', readyFile, '--listen-apps',
        `127.0.0.1:${ports.stoa}`, '--listen-console', '127.0.0.1:0', '--listen-admin', '127.0.0.1:0', ...Object.entries(settings).flatMap(([n, v]) => ['--set', `${n}=${v}`])],
    { PATH: process.env.PATH });
    while (!fs.existsSync(readyFile)) {
        if (child.exitCode !== null) throw new Error(`stoa did not start: ${work}/stoa.log`);
        await sleep(20);
    }
    const ready = JSON.parse(fs.readFileSync(readyFile, 'utf8'));
    const token = fs.readFileSync(ready.tokenFile, 'utf8').trim();
    const api = async (method, where, body, type = 'application/json') => {
        const answer = await fetch(new URL(where, ready.console), { method, headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': type } : {}) }, body });
        const json = await answer.json();
        if (!answer.ok) throw new Error(`${method} ${where}: ${JSON.stringify(json)}`);
        return json;
    };
    const deploy = async (name) => {
        const made = await api('POST', '/api/plugins/import', pie(name), 'text/plain');
        const rate = { perMinute: 10000000, burst: 1000000 };
        await api('PATCH', `/api/public-apps/instances/${made.instance.id}`, JSON.stringify({ rateLimits: { visitorAction: rate, visitor: rate, instance: rate } }));
        return made;
    };
    return { child, api, deploy, ready };
}

function startPeer(name, connection) {
    return new Promise((resolve, reject) => {
        const child = start(name, process.execPath, [path.join(here, 'peer.mjs')],
            { PATH: process.env.PATH, PEER: name, PORT: String(ports[name]), PG: connection, OWNER: '4a1f0000-0000-4000-8000-000000000000', PLUGIN: 'plg_bench', NODE_ENV: 'production' });
        const log = path.join(work, `${name}.log`);
        const timer = setInterval(() => {
            if (child.exitCode !== null) reject(new Error(`${name} did not start: ${log}`));
            else if (!fs.readFileSync(log, 'utf8').includes('ready')) return;
            clearInterval(timer);
            resolve(child);
        }, 50);
    });
}

function startRelay() {
    start('relay', path.join(work, 'relay'), [String(ports.relay)], { PATH: process.env.PATH });
}

// --- one measurement ---

const pathOf = (slug, action) => `/api/public-actions/${slug}/${action}`;
async function check(port, where) {
    const answer = await fetch(`http://127.0.0.1:${port}${where}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: BODY });
    const json = await answer.json();
    if (!answer.ok || json.success !== true) throw new Error(`${port}${where}: ${answer.status} ${JSON.stringify(json).slice(0, 300)}`);
    return JSON.stringify(json.data).length;
}

async function closed(port, where, connections, urls) {
    const env = { ...process.env, BENCH_BODY: BODY, BENCH_HOST: `127.0.0.1:${port}`, ...(urls ? { BENCH_URLS: urls } : {}) };
    const args = (secs) => ['-c', '1', 'wrk', '-t1', `-c${connections}`, `-d${secs}s`, '--latency', '--timeout', '20s', '-s', path.join(here, 'post.lua'), `http://127.0.0.1:${port}${where}`];
    await run('taskset', args(1), { env });
    const { stdout } = await run('taskset', args(options.secs), { env });
    const bad = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0) + (/Socket errors/.test(stdout) ? 1 : 0);
    return { perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]), errors: bad };
}

async function open(port, where, rate, connections) {
    const asked = request({ port, method: 'POST', path: where, body: BODY });
    const { all, p50, p99, unanswered } = await keepRate({ work, port, rate, seconds: options.secs, connections, requests: [asked] });
    return { p50: p50 * 1000, p99: p99 * 1000, errors: unanswered + all.filter(([, , status]) => status !== 200).length };
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const pss = (pids) => pids.reduce((sum, pid) => {
    try { return sum + Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024; } catch { return sum; }
}, 0);

// --- the run ---

fs.rmSync(work, { recursive: true, force: true });
fs.mkdirSync(work, { recursive: true });
fs.chmodSync(work, 0o755);
try {
    execFileSync('taskset', ['-cp', '1', String(process.pid)], { stdio: 'ignore' });
    buildOpenLoop(work);
    execFileSync('gcc', ['-O2', '-D_GNU_SOURCE', '-o', path.join(work, 'relay'), path.join(here, 'relay.c')]);
    execFileSync('gcc', ['-O2', `-I${execFileSync('pg_config', ['--includedir'], { encoding: 'utf8' }).trim()}`, '-o', path.join(work, 'floor'), path.join(here, 'floor.c'), '-lpq']);
    if (!fs.existsSync(path.join(here, 'node_modules'))) execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here, stdio: 'ignore' });
    const state = await freshDatabase(work);
    const plugins = await freshDatabase(work);
    const postmaster = fs.readFileSync(path.join(work, 'postgres/postmaster.pid'), 'utf8').split('\n')[0];
    execFileSync('taskset', ['-acp', '0', postmaster], { stdio: 'ignore' });
    const stoa = await startStoa(state.url, plugins.url);
    const made = await stoa.deploy('bench');
    const { credentials } = await stoa.api('GET', '/api/plugins/bench/database/credentials');
    const socket = plugins.url.match(/host=([^&]+)/)[1];
    const { database, username, password } = credentials;
    const connection = `postgresql://${encodeURIComponent(username)}:${encodeURIComponent(password)}@/${database}?host=${socket}`;
    await plugins.query(`alter role ${username} connection limit -1`); // for all three at once
    await startPeer('inprocess', connection);
    await startPeer('isolated', connection);
    startRelay();
    const slug = made.instance.slug;
    const names = ['stoa', 'inprocess', 'isolated'];
    for (const action of ['trivial', 'insert', 'select']) for (const name of names) await check(ports[name], pathOf(slug, action));

    const rates = {};
    const latencies = {};
    const note = (table, key, name, value) => { ((table[key] ??= {})[name] ??= []).push(value); };
    let errors = 0;
    const floors = { apart: [], beside: [] };
    for (let round = 1; round <= options.rounds; ++round) {
        const order = round % 2 ? names : [...names].reverse();
        for (const action of ['trivial', 'insert', 'select']) {
            for (const connections of [1, 32, 256]) {
                for (const name of action === 'trivial' ? [...order, 'relay'] : order) {
                    const r = await closed(ports[name], pathOf(slug, action), connections);
                    errors += r.errors;
                    note(rates, `${action} ${connections}`, name, r.perSecond);
                }
            }
            for (const name of order) {
                const r = await open(ports[name], pathOf(slug, action), 200, 16);
                errors += r.errors;
                note(latencies, `${action} p50`, name, r.p50);
                note(latencies, `${action} p99`, name, r.p99);
            }
        }
        // where clients are, and where no statement goes from one core to the other
        for (const [place, core] of [['apart', '1'], ['beside', '0']]) {
            const { stdout } = await run('taskset', ['-c', core, path.join(work, 'floor'), connection, '2000']);
            floors[place].push(Number(stdout.split(' ')[0]));
        }
        console.log(`    round ${round} of ${options.rounds} done`);
    }

    // first calls, and many plugins
    const firsts = [];
    const slugs = [];
    for (let i = 0; i < options.plugins; ++i) {
        const one = await stoa.deploy(`many-${i}`);
        slugs.push(one.instance.slug);
        const begun = performance.now();
        await check(ports.stoa, pathOf(one.instance.slug, 'trivial'));
        firsts.push(performance.now() - begun);
    }
    const urls = path.join(work, 'urls');
    fs.writeFileSync(urls, slugs.map((s) => pathOf(s, 'trivial')).sort(() => Math.random() - 0.5).join('\n') + '\n');
    const isWorker = (p) => /stoa-handler/.test(p.command);
    const workers = () => processTree(stoa.child.pid).filter(isWorker).map((p) => p.pid);
    for (const name of names) note(rates, 'many 32', name, (await closed(ports[name], pathOf(slugs[0], 'trivial'), 32, urls)).perSecond);
    const peak = pss(workers());
    await sleep(6000);
    const idle = pss(workers());

    const line = (label, row) => console.log(`${label.padEnd(14)} ${Object.entries(row).map(([n, list]) => `${n} ${median(list).toFixed(0)}`).join('   ')}`);
    console.log('\nrequests a second');
    for (const [key, row] of Object.entries(rates)) {
        line(key, row);
        console.log(`${''.padEnd(14)} Stoa is ${(median(row.stoa) / median(row.inprocess)).toFixed(2)} × in process, ${(median(row.stoa) / median(row.isolated)).toFixed(2)} × isolated` +
            (row.relay ? `; a bare relay to a process, with nothing done there, ${(median(row.relay) / median(row.isolated)).toFixed(2)} ×` : ''));
    }
    console.log('\nlatency at 200 a second, microseconds from the intended start');
    for (const [key, row] of Object.entries(latencies)) line(key, row);
    const atOne = 1e6 / median(rates['insert 1'].stoa);
    const alone = (place) => `${median(floors[place]).toFixed(0)} µs (${(atOne / median(floors[place])).toFixed(2)} ×)`;
    console.log(`\none insert: ${atOne.toFixed(0)} µs a request on one connection; libpq alone on the client's core ${alone('apart')}, on PostgreSQL's own core ${alone('beside')}`);
    console.log(`first call after a deploy: median ${median(firsts).toFixed(1)} ms, worst ${Math.max(...firsts).toFixed(1)} ms`);
    console.log(`${workers().length} workers: PSS ${idle.toFixed(0)} MB after 6 s of rest, ${peak.toFixed(0)} MB at the peak`);
    console.log(`errors: ${errors}`);
    fs.writeFileSync(path.join(work, 'results.json'), JSON.stringify({ rates, latencies, floors, firsts, peak, idle, errors }));
    process.exitCode = errors === 0 ? 0 : 1;
} finally {
    await stopAll();
}
