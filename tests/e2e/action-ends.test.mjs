// How runs end when somebody goes (contract §4): the visitor, the time, the server, its process, either PostgreSQL. A run goes on and is
// recorded whoever asked for it; who is still there is always answered.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { startCluster } from '../harness/postgres.mjs';
import { processTree, stillThere } from '../harness/processes.mjs';
import { request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const CODE = `
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const act = {
  go: () => 'fine',
  sleep: async (input) => { await sleep(input.payload.ms ?? 300); return 'slept'; },
  never: () => new Promise(() => {}),
  read: async (input, context) => {
    try { return (await context.managedDb.query('select 1 as one')).rows[0].one; } catch (error) { return { caught: error.message, code: error.code }; }
  },
  careless: (input, context) => context.managedDb.query('select 1 as one'),
};
module.exports = { handler: (input, context) => act[input.actionId](input, context) };`;
const EVENT = 'manifest:\n  runtime:\n    timeoutMs: 30000\n  heartbeatEvents:\n    events:\n      - id: gone\n        displayName: Gone\n        matchers:\n          - source: public\n            actionId: go\n';
const QUIET = 'manifest:\n  runtime:\n    timeoutMs: 30000\n';
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });
const rate = { perMinute: 600000, burst: 600000 };

const servers = [];
async function start(options = {}) {
    const server = await startServer(options);
    servers.push(server);
    return server;
}
after(() => Promise.all(servers.map((one) => one.stop())));
async function deploy(server, name, front = QUIET, files = { 'index.html': 'page' }) {
    const made = await server.api('POST', '/api/plugins/import', pie(name, files, { code: CODE, front }));
    assert.equal(made.status, 201, made.text);
    const { instance } = made.json;
    const set = await server.api('PATCH', `/api/public-apps/instances/${instance.id}`, { rateLimits: { visitorAction: rate, visitor: rate, instance: rate } });
    assert.equal(set.status, 200, set.text);
    return { ...instance, page: made.json.publicAppUrl };
}
const call = (server, app, action, payload = {}, more = {}) => {
    const body = JSON.stringify(payload);
    return request(`${server.apps}/api/public-actions/${app.slug}/${action}`, { method: 'POST', body, timeout: 60000 * slowness(), ...more, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } });
};
const runsOf = async (server, app, query = '') => (await server.api('GET', `/api/public-apps/instances/${app.id}/runs?limit=100${query}`)).json.data;
/** Asks, and leaves after `ms` without having read. */
const leave = (server, app, action, payload, ms) => new Promise((done) => {
    const body = JSON.stringify(payload);
    const socket = net.connect(Number(new URL(server.apps).port), '127.0.0.1', async () => {
        socket.write(`POST /api/public-actions/${app.slug}/${action} HTTP/1.1\r\nHost: ${new URL(server.apps).host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        await wait(ms);
        socket.resetAndDestroy ? socket.resetAndDestroy() : socket.destroy();
        done();
    });
    socket.on('error', () => {});
});

let server;
let app;
let patient; // begun at once: it takes thirty seconds
before(async () => {
    server = await start({ workers: 60 });
    app = await deploy(server, 'ends');
    const forever = await deploy(server, 'forever');
    assert.equal((await call(server, forever, 'go')).status, 200);
    const begun = performance.now();
    const never = call(server, forever, 'never').then((answer) => ({ answer, took: performance.now() - begun }));
    // a neighbour in the same worker, under way when the other's time is over
    const neighbour = wait(10000).then(() => call(server, forever, 'sleep', { ms: 24000 }));
    patient = Promise.all([never, neighbour]).then(([first, second]) => ({ forever, first, second }));
    patient.catch(() => {});
});

test('the visitor leaves: the run goes on, is recorded, and its answer is dropped', async () => {
    for (const ms of [0, 1, 20, 100]) await Promise.all(Array.from({ length: 8 }, () => leave(server, app, 'sleep', { ms: 300 }, ms)));
    const finished = await until(async () => {
        const runs = await runsOf(server, app, '&action=sleep');
        return runs.length === 32 && runs;
    }, 'all 32 runs');
    assert.deepEqual([...new Set(finished.map((r) => r.outcome))], ['ok']);
    assert.equal((await call(server, app, 'go')).json.data, 'fine');
});

test('the visitor leaves while the app is still being read: nothing is run, or all of it', async () => {
    for (let round = 0; round < 5; ++round) {
        const cold = await deploy(server, `cold-${round}`);
        await Promise.all(Array.from({ length: 10 }, (_, i) => leave(server, cold, 'go', {}, i % 3)));
        assert.equal((await call(server, cold, 'go')).status, 200);
        await until(async () => { const runs = await runsOf(server, cold); return runs.length > 0 && runs.every((r) => r.outcome === 'ok'); }, 'its runs');
    }
});

test('SIGTERM: runs in flight finish, are answered and are recorded; what takes too long is cut at shutdown_timeout', { timeout: 120000 * slowness() }, async () => {
    const leaving = await start({ settings: { shutdown_timeout: '4s' }, expectErrors: [/did not finish in time/] });
    const here = await deploy(leaving, 'leaving');
    assert.equal((await call(leaving, here, 'go')).status, 200);
    const inFlight = Promise.all(Array.from({ length: 20 }, () => call(leaving, here, 'sleep', { ms: 1500 }).catch((error) => ({ status: error.code }))));
    const gone = leave(leaving, here, 'sleep', { ms: 1400 }, 50);
    const tooLong = call(leaving, here, 'sleep', { ms: 20000 }).catch((error) => ({ status: error.code }));
    await wait(400);
    const begun = performance.now();
    process.kill(leaving.pid, 'SIGTERM');
    for (const answer of await inFlight) assert.deepEqual([answer.status, answer.json?.data], [200, 'slept'], JSON.stringify(answer));
    await gone;
    assert.equal((await tooLong).status, 'ECONNRESET');
    assert.equal((await leaving.ended).code, 0);
    const took = performance.now() - begun;
    assert.ok(took > 3000 && took < 9000 * slowness(), `${took} ms`);
    const again = await start({ dataDir: leaving.dataDir, database: leaving.databaseUrl });
    const runs = await runsOf(again, here, '&action=sleep');
    assert.ok(runs.filter((r) => r.outcome === 'ok').length >= 20, JSON.stringify(runs.map((r) => r.outcome)));
    assert.equal((await call(again, here, 'go')).status, 200);
});

test('SIGTERM when only those have runs who left: the runs finish, and are recorded', { timeout: 60000 * slowness() }, async () => {
    const leaving = await start();
    const here = await deploy(leaving, 'left');
    assert.equal((await call(leaving, here, 'go')).status, 200);
    const session = http2.connect(leaving.apps).on('error', () => {}); // whose end is seen at once
    for (let i = 0; i < 5; ++i) session.request({ ':method': 'POST', ':path': `/api/public-actions/${here.slug}/sleep`, 'content-type': 'application/json' }).on('error', () => {}).end('{"ms":1500}');
    await wait(200);
    session.destroy();
    await wait(50);
    process.kill(leaving.pid, 'SIGTERM');
    assert.equal((await leaving.ended).code, 0);
    const again = await start({ dataDir: leaving.dataDir, database: leaving.databaseUrl });
    assert.deepEqual((await runsOf(again, here, '&action=sleep')).map((r) => r.outcome), Array(5).fill('ok'));
});

test('kill -9 of the server with runs in flight: its workers die with it, and the next one serves', { timeout: 120000 * slowness() }, async () => {
    const fragile = await start({ expectErrors: [/the server ended/, /database/] });
    const here = await deploy(fragile, 'fragile');
    assert.equal((await call(fragile, here, 'go')).status, 200);
    const cut = Promise.all(Array.from({ length: 10 }, () => call(fragile, here, 'sleep', { ms: 20000 }).then((a) => a.status, (error) => error.code)));
    await wait(300);
    const workers = processTree(fragile.pid).filter((p) => /stoa-handler/.test(p.command));
    assert.ok(workers.length > 0);
    const old = fragile.serverPid;
    fragile.kill(old);
    assert.deepEqual([...new Set(await cut)], ['ECONNRESET']);
    await until(() => stillThere(workers).length === 0, 'the workers to die', 2000);
    await until(() => fragile.serverPid !== old, 'the next server');
    const answer = await call(fragile, here, 'go');
    assert.equal(answer.json?.data, 'fine', answer.text);
});

test('PostgreSQL of the state away: who is warm is served, who is cold is told to come back', { timeout: 120000 * slowness() }, async () => {
    const root = temporaryDirectory('state');
    const cluster = await startCluster(root);
    cluster.query('CREATE DATABASE down OWNER stoa_test');
    const server_ = await start({ database: `postgresql://stoa_test@/down?host=${encodeURIComponent(cluster.socket)}`, managedDb: true, expectErrors: [/database|runs|events|request failed|recorded|loaded|read/] });
    const [warm, cold, eventful] = [await deploy(server_, 'warm'), await deploy(server_, 'cold'), await deploy(server_, 'eventful', EVENT)];
    for (const one of [warm, eventful]) assert.equal((await call(server_, one, 'go')).status, 200);
    assert.equal((await call(server_, warm, 'read')).json.data, 1);
    assert.equal((await request(warm.page)).status, 200);
    cluster.stop('immediate');
    await until(async () => (await request(`${server_.admin}/readyz`)).status === 503, '/readyz to say so');
    assert.deepEqual([(await call(server_, warm, 'go')).status, (await call(server_, warm, 'read')).json.data], [200, 1], 'its plugin\'s data is elsewhere');
    const refused = await call(server_, cold, 'go');
    assert.deepEqual([refused.status, refused.json.code], [503, 'busy'], refused.text);
    assert.match(refused.headers['retry-after'], /^[1-9]/);
    const unkept = await call(server_, eventful, 'go');
    assert.deepEqual([unkept.status, unkept.json.code], [503, 'not_kept'], 'an event that cannot be kept is not promised');
    assert.match(unkept.headers['retry-after'], /^[1-9]/);
    assert.equal((await request(warm.page)).status, 200);
});

test('the plugins\' PostgreSQL away: an error their handlers can catch, and pages as ever', { timeout: 120000 * slowness() }, async () => {
    const cluster = await startCluster(temporaryDirectory('plugins'));
    cluster.query('CREATE DATABASE plugins OWNER stoa_test');
    const server_ = await start({ settings: { plugin_database: `postgresql://stoa_test@/plugins?host=${encodeURIComponent(cluster.socket)}` }, expectErrors: [/database|plugin|cluster/] });
    const app_ = await deploy(server_, 'reader');
    assert.equal((await call(server_, app_, 'read')).json?.data, 1);
    cluster.stop('immediate');
    const answer = await call(server_, app_, 'read');
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.json.data.code, /^managed_db_/, answer.text);
    const careless = await call(server_, app_, 'careless');
    assert.deepEqual([careless.status, careless.json.code], [503, 'busy'], 'not the handler\'s fault');
    assert.deepEqual([(await call(server_, app_, 'go')).status, (await request(app_.page)).status], [200, 200]);
    const other = await deploy(server_, 'other'); // deploys go on
    assert.equal((await call(server_, other, 'go')).status, 200);
});

test('a handler that only waits ends with its time, and its neighbour in the same worker does not notice', { timeout: 120000 * slowness() }, async () => {
    const { forever, first, second } = await patient;
    assert.deepEqual([first.answer.status, first.answer.json.code], [504, 'handler_timeout'], first.answer.text);
    assert.ok(first.took > 29900 && first.took < 32000 * slowness(), `${first.took} ms`);
    assert.deepEqual([second.status, second.json.data], [200, 'slept'], second.text);
    const runs = await until(async () => { const all = await runsOf(server, forever); return all.length >= 3 && all; }, 'the runs');
    assert.deepEqual(runs.map((r) => r.outcome).sort(), ['handler_timeout', 'ok', 'ok']);
    const metrics = (await request(`${server.admin}/metrics`)).text;
    assert.doesNotMatch(metrics, /^stoa_\w*worker\w*(killed|crash)\w*(\{[^}]*\})? [1-9]/m, 'no worker was killed for it');
});
