// ./dev bench uploads: a file from a stranger, taken by Stoa (checked in a cage, hashed, synced, a row, a signed link) and by Express with
// multer, plain and careful (peer.mjs); beside them the least that a process for each file and its syncs cost (floor.c). No two files have the same bytes. The system under test has core 0 with all its processes (Stoa's
// PostgreSQL and helpers too), the client core 1; rounds are interleaved, the order turns round every other one, medians count. Nothing is
// deleted before the end, and each has its folder in a part of the disk of its own: ext4 goes by inodes that were freed in the last minutes
// one by one when it looks for a free one, and made whoever came after a deletion twice as dear, here or next door.
import { execFile, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { processTree } from '../../harness/processes.mjs';
import { cpuSeconds } from '../measure.mjs';

const run = promisify(execFile);
const here = path.dirname(new URL(import.meta.url).pathname);
const repository = path.resolve(here, '../../..');
const options = { rounds: 5, scale: 1, work: path.join(repository, 'build/bench-uploads'), stoa: path.join(repository, 'build/release/stoa') };
for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].replace(/^--/, '');
    if (!(name in options) || process.argv[i + 1] === undefined) {
        console.error(`./dev bench uploads knows ${Object.keys(options).map((o) => `--${o}`).join(' ')}`);
        process.exit(2);
    }
    options[name] = typeof options[name] === 'number' ? Number(process.argv[i + 1]) : process.argv[i + 1];
}
// a number of files, not a time: what is written stays bounded. `target`: at least so many times the plain peer's files a second
const CASES = [
    { name: '10 KB', bytes: 10 * 1000, files: 2000, connections: 16, target: 2 },
    { name: '1 MB', bytes: 1000 * 1000, files: 400, connections: 16 },
    { name: '10 MB', bytes: 10 * 1000 * 1000, files: 60, connections: 8, target: 1.2 },
];
const TOLERANCE = 0.1;
const names = ['stoa', 'plain', 'careful', 'floor'];
const ports = { stoa: 18195, plain: 18196, careful: 18197, floor: 18198 };
const sleep = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

// --- the servers ---

const running = {};
function start(name, program, args, env) {
    const out = fs.openSync(path.join(work, `${name}.log`), 'w');
    const child = spawn('taskset', ['-c', '0', program, ...args], { cwd: work, stdio: ['ignore', out, out], detached: true, env });
    fs.closeSync(out);
    running[name] = child;
    return child;
}

async function stopAll() {
    for (const [name, child] of Object.entries(running)) {
        delete running[name];
        const tree = processTree(child.pid);
        const ended = new Promise((done) => { child.on('exit', done); });
        if (child.exitCode === null) {
            child.kill('SIGTERM');
            await Promise.race([ended, sleep(20000)]);
        }
        for (const p of tree) try { process.kill(p.pid, 'SIGKILL'); } catch { /* gone */ }
    }
}
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stopAll().then(() => process.exit(130)));

const PIE = '---\nname: bench\ndisplayName: bench\ntier: tool\nversion: 1.0.0\n---\nmodule.exports = { handler: async () => ({ ok: true }) };\n' +
    '===public-config===\nentry: index.html\n===public-config===\n===public-file:index.html===\n<title>bench</title>\n===public-file:index.html===\n';

async function startStoa() {
    const readyFile = path.join(work, 'ready.json');
    const settings = { threads: 1, uploads_per_hour: 1000000, upload_bytes_per_hour: '1024GiB', upload_quota_bytes: '1024GiB', upload_quota_files: 10000000 };
    const child = start('stoa', options.stoa, ['serve', '--data', path.join(work, 'data'), '--ready-file', readyFile, '--listen-apps', `127.0.0.1:${ports.stoa}`,
        '--listen-console', '127.0.0.1:0', '--listen-admin', '127.0.0.1:0', ...Object.entries(settings).flatMap(([n, v]) => ['--set', `${n}=${v}`])], { PATH: process.env.PATH });
    while (!fs.existsSync(readyFile)) {
        if (child.exitCode !== null) throw new Error(`stoa did not start: ${work}/stoa.log`);
        await sleep(20);
    }
    const ready = JSON.parse(fs.readFileSync(readyFile, 'utf8'));
    const authorization = `Bearer ${fs.readFileSync(ready.tokenFile, 'utf8').trim()}`;
    const answer = await fetch(new URL('/api/plugins/import', ready.console), { method: 'POST', headers: { authorization, 'content-type': 'text/plain' }, body: PIE });
    if (!answer.ok) throw new Error(await answer.text());
    const { instance } = await answer.json();
    const rate = { perMinute: 10000000, burst: 1000000 };
    const wide = await fetch(new URL(`/api/public-apps/instances/${instance.id}`, ready.console), { method: 'PATCH', headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify({ rateLimits: { visitorAction: rate, visitor: rate, instance: rate } }) });
    if (!wide.ok) throw new Error(await wide.text());
    return { where: `/api/public-actions/${instance.slug}/upload`, server: ready.serverPid };
}

async function startPeer(name) {
    const folder = path.join(work, `${name}-files`);
    const child = start(name, process.execPath, [path.join(here, 'peer.mjs')], { PATH: process.env.PATH, PEER: name, PORT: String(ports[name]), FOLDER: folder, NODE_ENV: 'production' });
    while (!fs.readFileSync(path.join(work, `${name}.log`), 'utf8').includes('ready')) {
        if (child.exitCode !== null) throw new Error(`${name} did not start: ${work}/${name}.log`);
        await sleep(20);
    }
    return { where: '/upload', server: processTree(child.pid).at(-1).pid, folder };
}

async function startFloor() {
    const folder = path.join(work, 'floor-files');
    fs.mkdirSync(folder);
    const child = start('floor', path.join(work, 'floor'), [String(ports.floor), folder], { PATH: process.env.PATH });
    while (!fs.readFileSync(path.join(work, 'floor.log'), 'utf8').includes('ready')) {
        if (child.exitCode !== null) throw new Error(`the floor did not start: ${work}/floor.log`);
        await sleep(20);
    }
    return { where: '/upload', server: child.pid, folder };
}

// --- what it costs ---

/** CPU seconds of children that have ended and were waited for (ticks of 10 ms): a helper lives for one file. */
function cpuOfEnded(pid) {
    try {
        const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
        return (Number(fields[13]) + Number(fields[14])) / 100;
    } catch {
        return 0;
    }
}

/** CPU seconds of a whole tree so far, by what they were for: the server process, its PostgreSQL, all else (supervisor, helpers, workers). */
function cpuOf(name, server) {
    const parts = { server: 0, postgres: 0, rest: 0 };
    for (const { pid, command } of processTree(running[name].pid)) {
        const part = pid === server ? 'server' : /postgres/.test(command) ? 'postgres' : 'rest';
        parts[part] += cpuSeconds([pid]) + cpuOfEnded(pid);
    }
    return parts;
}

const field = (text, name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1024;
function memoryOf(pid) {
    try {
        const text = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
        return { anon: field(text, 'RssAnon'), shared: field(text, 'RssShmem') };
    } catch {
        return { anon: 0, shared: 0 };
    }
}

/** MB: the server process (RssAnon + RssShmem), and all others of its tree (their RssAnon, and the largest RssShmem: PostgreSQL's is one). */
function memory(name, server) {
    const own = memoryOf(server);
    const others = processTree(running[name].pid).filter((p) => p.pid !== server).map((p) => memoryOf(p.pid));
    return { server: own.anon + own.shared, beside: others.reduce((sum, m) => sum + m.anon, 0) + Math.max(0, ...others.map((m) => m.shared)) };
}

async function measure(name, system, test, seed) {
    const files = Math.max(test.connections, Math.round(test.files * options.scale));
    const args = (count, number) => ['-c', '1', path.join(work, 'client'), String(ports[name]), system.where, String(test.bytes), String(count), String(test.connections), String(number)];
    await run('taskset', args(Math.max(test.connections, Math.round(files / 10)), 2 * seed));
    execFileSync('sync'); // what others left for the disk is not this one's to wait for
    const peak = { server: 0, beside: 0 };
    const look = () => {
        const now = memory(name, system.server);
        peak.server = Math.max(peak.server, now.server);
        peak.beside = Math.max(peak.beside, now.beside);
    };
    const timer = setInterval(look, 200);
    const before = cpuOf(name, system.server);
    const { stdout, stderr } = await run('taskset', args(files, 2 * seed + 1));
    const parts = cpuOf(name, system.server);
    for (const part of Object.keys(parts)) parts[part] = ((parts[part] - before[part]) / files) * 1000;
    const perFile = parts.server + parts.postgres + parts.rest;
    clearInterval(timer);
    look();
    const [seconds, errors, p50, p99] = stdout.trim().split(' ').map(Number);
    if (errors) console.error(`${name}, ${test.name}: ${errors} errors\n${stderr}`);
    return { perSecond: files / seconds, errors, p50: p50 / 1000, p99: p99 / 1000, perFile, perByte: (perFile / test.bytes) * 1e6, core: (perFile * files) / seconds / 10,
        ofServer: parts.server, ofPostgres: parts.postgres, ofRest: parts.rest, ...peak };
}

// --- the run ---

fs.mkdirSync(options.work, { recursive: true });
for (const old of fs.readdirSync(options.work)) fs.rmSync(path.join(options.work, old), { recursive: true, force: true }); // of a run that was killed
const work = path.join(options.work, String(Date.now()));
fs.mkdirSync(work);
fs.chmodSync(work, 0o755);
for (const folder of [options.work, work]) try { execFileSync('chattr', ['+T', folder], { stdio: 'ignore' }); } catch { /* no ext4 */ }
try {
    execFileSync('taskset', ['-cp', '1', String(process.pid)], { stdio: 'ignore' });
    for (const program of ['client', 'floor']) execFileSync('gcc', ['-O2', '-D_GNU_SOURCE', '-o', path.join(work, program), path.join(here, `${program}.c`)]);
    if (!fs.existsSync(path.join(here, 'node_modules'))) execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here, stdio: 'ignore' });
    const systems = { stoa: await startStoa(), plain: await startPeer('plain'), careful: await startPeer('careful'), floor: await startFloor() };

    const results = {};
    let seed = Date.now() % 1e9;
    for (let round = 1; round <= options.rounds; ++round) {
        for (const test of CASES) {
            for (const name of round % 2 ? names : [...names].reverse()) {
                const one = await measure(name, systems[name], test, ++seed);
                for (const [key, value] of Object.entries(one)) (((results[test.name] ??= {})[name] ??= {})[key] ??= []).push(value);
            }
        }
        console.log(`    round ${round} of ${options.rounds} done`);
    }

    const missed = [];
    const judge = (what, ok) => { if (!ok) missed.push(what); };
    console.log(`\n${'case'.padEnd(8)}${'server'.padEnd(9)}${['files/s', 'p50 ms', 'p99 ms', 'CPU ms/file', 'ns/byte', '% of core', 'MB', 'MB beside'].map((t) => t.padStart(12)).join('')}`);
    for (const test of CASES) {
        const of = (name, key) => median(results[test.name][name][key]);
        for (const name of names) {
            const most = (key) => Math.max(...results[test.name][name][key]);
            console.log(`${test.name.padEnd(8)}${name.padEnd(9)}${[of(name, 'perSecond').toFixed(1), of(name, 'p50').toFixed(1), of(name, 'p99').toFixed(1), of(name, 'perFile').toFixed(2),
                of(name, 'perByte').toFixed(2), of(name, 'core').toFixed(0), most('server').toFixed(0), most('beside').toFixed(0)].map((t) => t.padStart(12)).join('')}`);
        }
        const times = (key, name) => (of('stoa', key) / of(name, key)).toFixed(2);
        console.log(`${''.padEnd(8)}Stoa is ${times('perSecond', 'plain')} × plain in files/s at ${times('perFile', 'plain')} × its CPU, ${times('perSecond', 'careful')} × careful at ` +
            `${times('perFile', 'careful')} ×, ${times('perSecond', 'floor')} × the floor at ${times('perFile', 'floor')} ×; of its CPU the server has ${of('stoa', 'ofServer').toFixed(2)} ms a file, PostgreSQL ${of('stoa', 'ofPostgres').toFixed(2)}, supervisor and helpers ${of('stoa', 'ofRest').toFixed(2)}`);
        const rate = of('stoa', 'perSecond') / of('plain', 'perSecond');
        const peak = (name) => Math.max(...results[test.name][name].server);
        if (test.target) judge(`${test.name}: ${rate.toFixed(2)} × the plain peer, not ${test.target} ×`, rate >= test.target * (1 - TOLERANCE));
        judge(`${test.name}: ${peak('stoa').toFixed(0)} MB, the plain peer ${peak('plain').toFixed(0)} MB`, peak('stoa') < peak('plain'));
        for (const name of names) judge(`${test.name}: ${name} had errors`, results[test.name][name].errors.every((n) => n === 0));
    }
    const busiest = CASES.map((test) => Math.min(...names.map((name) => median(results[test.name][name].core))));
    if (Math.min(...busiest) < 85) console.log('\nSome had less than 85 % of their core: others had it, or they waited for the disk. Then CPU a file says more than files a second.');
    console.log(missed.length ? `\nmissed:\n${missed.map((m) => `  ${m}`).join('\n')}` : '\nevery target met');
    fs.writeFileSync(path.join(options.work, 'results.json'), JSON.stringify(results));
    process.exitCode = missed.length ? 1 : 0;
} finally {
    await stopAll();
    if (process.exitCode !== undefined) fs.rmSync(work, { recursive: true, force: true }); // else the logs are wanted
}
