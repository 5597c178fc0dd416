// ./dev bench exchange: what an exchange of a provisioning token takes, and what strangers who try the exchange do to an app's visitors.
//
//  - 100 exchanges a second, open-loop, over 32 connections: users old and new, tokens of keys of 4096 bits as Stoa makes them, each
//    exchanged twice as a frame and its page do. p99 < 15 ms; CPU of the server process and of its PostgreSQL for each.
//  - visitors of a deployed app, open-loop, alone and beside 50,000 refused exchanges a minute, in turn: forged signatures under a real
//    `kid` (the dearest), unknown keys, and nonsense, each from an address of its own, so that no throttle helps. Their p99 is unmoved when
//    it differs by less than a tenth, or by half a millisecond.
//
// A 99th percentile is of those requests that met no moment in which the machine stood still (../stalls.mjs); that of all stands beside it.
//
// The server with all its processes has core 0, the clients core 1. Options: --rounds 5, --secs 10.
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { processTree } from '../../harness/processes.mjs';
import { cpuSeconds } from '../measure.mjs';
import { buildOpenLoop, keepRate, request } from '../openloop.mjs';
import { apart, watchStalls } from '../stalls.mjs';

const here = path.dirname(new URL(import.meta.url).pathname);
const repository = path.resolve(here, '../../..');
const options = { rounds: 5, secs: 10, work: path.join(repository, 'build/bench-exchange'), stoa: path.join(repository, 'build/release/stoa') };
for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].replace(/^--/, '');
    if (!(name in options) || process.argv[i + 1] === undefined) {
        console.error(`./dev bench exchange knows ${Object.keys(options).map((o) => `--${o}`).join(' ')}`);
        process.exit(2);
    }
    options[name] = typeof options[name] === 'number' ? Number(process.argv[i + 1]) : process.argv[i + 1];
}
const { work } = options;
const RATE = 100, CONNECTIONS = 32, TARGET_MS = 15, VISITORS = 500, REFUSED = 50000 / 60;
const PAGE = 'https://app.example.com';
const sleep = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

// --- the server ---

let child;
async function stop() {
    if (!child) return;
    const tree = processTree(child.pid);
    const ended = new Promise((done) => { child.on('exit', done); });
    if (child.exitCode === null) {
        child.kill('SIGTERM');
        await Promise.race([ended, sleep(20000)]);
    }
    for (const p of tree) try { process.kill(p.pid, 'SIGKILL'); } catch { /* gone */ }
    child = undefined;
}
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop().then(() => process.exit(130)));

async function start() {
    const readyFile = path.join(work, 'ready.json');
    const settings = { threads: 1, trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For' };
    const out = fs.openSync(path.join(work, 'stoa.log'), 'w');
    fs.rmSync(readyFile, { force: true });
    child = spawn('taskset', ['-c', '0', options.stoa, 'serve', '--data', path.join(work, 'data'), '--ready-file', readyFile, '--listen-apps', '127.0.0.1:0', '--listen-console', '127.0.0.1:0',
        '--listen-admin', '127.0.0.1:0', ...Object.entries(settings).flatMap(([n, v]) => ['--set', `${n}=${v}`])], { stdio: ['ignore', out, out], env: { PATH: process.env.PATH } });
    fs.closeSync(out);
    while (!fs.existsSync(readyFile)) {
        if (child.exitCode !== null) throw new Error(`stoa did not start: ${work}/stoa.log`);
        await sleep(20);
    }
    const ready = JSON.parse(fs.readFileSync(readyFile, 'utf8'));
    return { ...ready, token: fs.readFileSync(ready.tokenFile, 'utf8').trim() };
}

async function api(server, token, method, where, body) {
    const type = typeof body === 'string' ? 'text/plain' : 'application/json';
    const answer = await fetch(new URL(where, server.console), { method, headers: { authorization: `Bearer ${token}`, 'content-type': type }, body: typeof body === 'string' ? body : JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${where}: ${await answer.text()}`);
    return answer.json();
}

/** CPU seconds of the server process and of its PostgreSQL. */
function cpuOf(server) {
    const postgres = processTree(child.pid).filter((p) => /postgres/.test(p.command)).map((p) => p.pid);
    return { server: cpuSeconds([server.serverPid]), postgres: cpuSeconds(postgres) };
}

// --- what is asked ---

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const EXCHANGE = '/api/v1/managed-authn/external-token';
const post = (port, token, headers) => request({ port, method: 'POST', path: EXCHANGE, headers: { origin: PAGE, ...headers }, body: JSON.stringify({ externalAccessToken: token }) });

function unsigned(kid, user) {
    const now = Math.floor(Date.now() / 1000);
    return `${base64url({ alg: 'RS256', typ: 'JWT', kid })}.${base64url({ version: 'v3', externalUserId: `user-${user}`, externalProjectId: `workspace-${user % 200}`, firstName: 'Ada',
        lastName: `Brook ${user}`, role: 'EDITOR', piecesFilterType: 'NONE', iat: now, exp: now + 3600, jti: crypto.randomUUID() })}`;
}

/** Signed in threads of the crypto library, for it takes milliseconds each. */
function signed(key, user) {
    const input = unsigned(key.id, user);
    return new Promise((resolve, reject) => {
        crypto.sign('sha256', Buffer.from(input), key.privateKey, (error, bytes) => (error ? reject(error) : resolve(`${input}.${bytes.toString('base64url')}`)));
    });
}

// What measures comes before what floods, on the core they share (chrt(1)).
const FIRST = ['-f', '10'];

/** As keepRate, and the p99 of those that met no moment in which the machine stood still. */
async function askCalmly(o) {
    const stalls = await watchStalls(work);
    const result = await keepRate({ work, scheduling: FIRST, ...o });
    const { calm, share } = apart(result.all, await stalls.stop());
    return { ...result, all: undefined, calm: calm[Math.floor(calm.length * 0.99)] ?? 0, disturbed: share };
}

// --- the rounds ---

const fine = ({ statuses, unanswered }, wanted) => unanswered === 0 && Object.keys(statuses).every((s) => wanted.includes(s));

async function exchanges(server, key, round) {
    const port = Number(new URL(server.console).port);
    const tokens = await Promise.all(Array.from({ length: (RATE * options.secs) / 2 }, (_, i) => signed(key, i % 5 === 0 ? 100000 * (round + 1) + i : i % 1000)));
    const before = cpuOf(server);
    const result = await askCalmly({ port, rate: RATE, seconds: options.secs, connections: CONNECTIONS, requests: tokens.flatMap((t) => [post(port, t), post(port, t)]) });
    const after = cpuOf(server);
    return { ...result, server: ((after.server - before.server) * 1000) / (RATE * options.secs), postgres: ((after.postgres - before.postgres) * 1000) / (RATE * options.secs), isFine: fine(result, ['200']) };
}

function refusals(port, key) {
    const forged = () => `${unsigned(key.id, 1)}.${crypto.randomBytes(512).toString('base64url')}`;
    const unknown = () => `${unsigned(`key_${crypto.randomBytes(13).toString('hex')}`, 1)}.${crypto.randomBytes(512).toString('base64url')}`;
    const stranger = () => ({ 'x-forwarded-for': `${crypto.randomInt(11, 111)}.${[...crypto.randomBytes(3)].join('.')}` });
    return Array.from({ length: Math.ceil(REFUSED * (options.secs + 2)) }, (_, i) => post(port, i % 4 < 2 ? forged() : i % 4 === 2 ? unknown() : 'no.token.atall', stranger()));
}

async function visitors(server, page, flood) {
    const seconds = options.secs;
    const beside = flood ? keepRate({ work, port: Number(new URL(server.console).port), rate: REFUSED, seconds: seconds + 2, connections: 64, requests: flood }) : undefined;
    if (flood) await sleep(1000);
    const before = cpuOf(server);
    const result = await askCalmly({ port: Number(new URL(server.apps).port), rate: VISITORS, seconds, connections: CONNECTIONS, requests: [page] });
    const after = cpuOf(server);
    const { all, ...refused } = (await beside) ?? {};
    return { ...result, refused, share: (after.server - before.server) / seconds, postgres: (after.postgres - before.postgres) / seconds, isFine: fine(result, ['200']) && (!flood || fine(refused, ['401', '429'])) };
}

const PIE = '---\nname: bench\ndisplayName: bench\ntier: tool\nversion: 1.0.0\n---\nmodule.exports = { handler: async () => ({ ok: true }) };\n' +
    `===public-config===\nentry: index.html\n===public-config===\n===public-file:index.html===\n${'<p>A page of ten kilobytes.</p>\n'.repeat(320)}===public-file:index.html===\n`;

async function main() {
    fs.rmSync(work, { recursive: true, force: true });
    fs.mkdirSync(work, { recursive: true });
    const server = await start();
    const made = await api(server, server.token, 'POST', '/api/plugins/import', PIE);
    const platform = await api(server, server.token, 'POST', '/api/v1/platforms', { displayName: 'Bench', slug: 'bench' });
    const key = await api(server, platform.token, 'POST', '/api/v1/signing-keys', { displayName: 'bench', allowedOrigins: [PAGE] });
    key.privateKey = crypto.createPrivateKey(key.privateKey);
    buildOpenLoop(work);
    const page = request({ port: Number(new URL(server.apps).port), path: new URL(made.publicAppUrl).pathname });
    const flood = refusals(Number(new URL(server.console).port), key);
    const rows = [];
    await exchanges(server, key, -1); // users who come back, plans that are made
    for (let round = 0; round < options.rounds; ++round) {
        const row = { exchange: await exchanges(server, key, round) };
        for (const name of round % 2 ? ['beside', 'alone'] : ['alone', 'beside']) row[name] = await visitors(server, page, name === 'beside' ? flood : undefined);
        rows.push(row);
        const told = ({ p99, calm, disturbed }) => `p99 ${p99} ms, ${calm} without the ${(100 * disturbed).toFixed(1)} % that met a stall`;
        console.log(`round ${round + 1}: exchange p50 ${row.exchange.p50}, ${told(row.exchange)}; visitors alone ${told(row.alone)}; beside ${told(row.beside)} ${JSON.stringify(row.beside.refused.statuses)}`);
    }
    await stop();
    report(rows);
}

function report(rows) {
    const of = (name, field) => Number(median(rows.map((r) => r[name][field])).toFixed(3));
    const p99 = of('exchange', 'calm'), alone = of('alone', 'calm'), beside = of('beside', 'calm');
    const disturbed = Math.max(...['exchange', 'alone', 'beside'].map((name) => of(name, 'disturbed')));
    const verdicts = {
        [`the machine stood still for few: ${(100 * disturbed).toFixed(1)} % met it, of 20 % at most`]: disturbed <= 0.2,
        'exchanges are all answered 200': rows.every((r) => r.exchange.isFine),
        [`an exchange's p99 is below ${TARGET_MS} ms`]: p99 < TARGET_MS,
        'visitors and strangers are all answered as they should be': rows.every((r) => r.alone.isFine && r.beside.isFine),
        'the visitors\' p99 is unmoved': beside <= alone * 1.1 || beside - alone < 0.5,
    };
    console.log(`\nexchange, ${RATE}/s over ${CONNECTIONS} connections: p50 ${of('exchange', 'p50')} ms, p90 ${of('exchange', 'p90')} ms, p99 ${p99} ms (${of('exchange', 'p99')} with stalls), max ${of('exchange', 'max')} ms`);
    console.log(`CPU of one: ${of('exchange', 'server')} ms in the server, ${of('exchange', 'postgres')} ms in PostgreSQL`);
    console.log(`visitors, ${VISITORS}/s: p50 ${of('alone', 'p50')} ms, p99 ${alone} ms (${of('alone', 'p99')}); beside ${Math.round(REFUSED * 60)} refused exchanges a minute: p50 ${of('beside', 'p50')} ms, p99 ${beside} ms (${of('beside', 'p99')})`);
    const extra = (field) => median(rows.map((r) => ((r.beside[field] - r.alone[field]) * 1000) / REFUSED)).toFixed(3);
    console.log(`CPU of a refused one: ${extra('share')} ms in the server, ${extra('postgres')} ms in PostgreSQL\n`);
    for (const [what, holds] of Object.entries(verdicts)) console.log(`${holds ? 'met ' : 'MISSED'}  ${what}`);
    fs.writeFileSync(path.join(work, 'result.json'), JSON.stringify({ rows, verdicts }, null, 1));
    process.exitCode = Object.values(verdicts).every(Boolean) ? 0 : 1;
}

await main().catch((error) => { console.error(error); process.exitCode = 1; }).finally(stop);
