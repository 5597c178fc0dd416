// One plugin's flood beside another's visitors (contract §4: fair share), open-loop: those who call the quiet one come at a fixed rate
// whatever happens, and their latency counts from when they should have been asked. Both belong to one project, so they share its loop.
// The flooded one is refused with a word when to come back, and what waits for it is bounded. Memory of workers is shared by projects.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { openLoop } from '../harness/openloop.mjs';
import { pie } from '../harness/pie.mjs';
import { stolenFactor } from '../harness/processes.mjs';
import { buildFolder, request, slowness, startServer, until } from '../harness/server.mjs';

const SANITIZED = /asan|tsan/.test(buildFolder());
const FLOOD = Number(process.env.STOA_FLOOD ?? (SANITIZED ? 200 : 1000)); // requests a second
const COSTLY = SANITIZED ? 2 : 8; // of what costs the handler itself a lot
const SECONDS = 3;
const QUEUE = 256;
const LOUD = `
const act = {
  busy: () => { const end = Date.now() + 20; while (Date.now() < end); return 1; },
  sleep: (input, context) => context.managedDb.query('select pg_sleep(0.2)').then((r) => r.rowCount),
  doze: () => new Promise((done) => { setTimeout(done, 6000); }),
  fetch: (input, context) => context.fetch('http://127.0.0.1:PORT/').then((r) => r.status),
  clutter: () => ({ error: true, message: 'no', data: clutter ??= Array(500000).fill(0) }), // a megabyte
  post: (input, context) => context.fetch('http://127.0.0.1:PORT/', { method: 'POST', body: large ??= 'x'.repeat(2 << 20) }).then((r) => r.status),
};
let clutter, large;
module.exports = { handler: (input, context) => act[input.actionId](input, context) };`;
const QUIET = `module.exports = { handler: (input, context) => input.actionId === 'read' ? context.managedDb.query('select 1 as one').then((r) => r.rows[0].one) : 'fine' };`;

let server;
let slow; // answers after 200 ms
let loud;
let quiet;
before(async () => {
    slow = http.createServer((request_, answer) => { request_.resume(); setTimeout(() => answer.end('slow'), 200); }).listen(0, '127.0.0.1');
    await new Promise((done) => { slow.once('listening', done); });
    const at = `127.0.0.1:${slow.address().port}`;
    server = await startServer({ managedDb: true, workers: 100, settings: { trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For', fetch_allow: at, handler_queue: QUEUE, connections: 20000, connections_per_address: 20000 } });
    const deploy = async (name, code) => {
        const made = await server.api('POST', '/api/plugins/import', pie(name, { 'index.html': 'x' }, { code, front: 'manifest:\n  tables: []\n' }));
        assert.equal(made.status, 201, made.text);
        return made.json.instance;
    };
    loud = await deploy('loud', LOUD.replaceAll('PORT', String(slow.address().port)));
    quiet = await deploy('quiet', QUIET);
});
after(async () => {
    slow?.close();
    slow?.closeAllConnections?.();
    await server?.stop();
});

const limits = (instance, perMinute) => server.api('PATCH', `/api/public-apps/instances/${instance.id}`, { rateLimits: perMinute === null ? null : Object.fromEntries(['visitorAction', 'visitor', 'instance'].map((name) => [name, { perMinute, burst: perMinute }])) });
const visitors = (instance, action, more) => openLoop({ port: Number(new URL(server.apps).port), host: new URL(server.apps).host, path: `/api/public-actions/${instance.slug}/${action}`, ...more });
const gauge = async (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec((await request(`${server.admin}/metrics`)).text)?.[1]);
const told = (r) => `${r.sent} sent, ${JSON.stringify(r.statuses)}, p50 ${r.p50} ms, p99 ${r.p99} ms, max ${r.max} ms`;

const alone = {}; // what they see without a flood
/** The quiet app's visitors, 50 a second, alone and then beside the flood. */
async function beside(t, action, flood, { quietAction = 'say' } = {}) {
    await Promise.all([limits(quiet, 600000), limits(loud, flood.perMinute === undefined ? 600000 : flood.perMinute)]);
    const calm = { rate: 50, seconds: SECONDS };
    const before_ = (alone[quietAction] ??= await visitors(quiet, quietAction, calm));
    const flooding = visitors(loud, action, { rate: FLOOD, seconds: SECONDS + 0.5, ...flood });
    await new Promise((done) => { setTimeout(done, 300); });
    const beside_ = await visitors(quiet, quietAction, calm);
    const flooded = await flooding;
    for (const [who, r] of [['alone', before_], ['beside', beside_], ['flood', flooded]]) t.diagnostic(`${action}, ${who}: ${told(r)}`);
    assert.deepEqual([before_.errors, beside_.errors], [0, 0], JSON.stringify(beside_));
    assert.equal(flooded.unanswered, 0, 'everybody is answered');
    for (const status of Object.keys(flooded.statuses)) assert.ok(['200', '429', '503'].includes(status), JSON.stringify(flooded.statuses));
    assert.equal(flooded.retryAfter, (flooded.statuses[429] ?? 0) + (flooded.statuses[503] ?? 0), 'every refusal says when to come back');
    // two cores carry the flood, its handlers and the clients: what is promised is that nobody waits behind the flood's queue. What they wait
    // for alone is the machine's doing.
    assert.ok(beside_.p99 < Math.max((SANITIZED ? 1000 : 150) * stolenFactor(), 3 * before_.p99), `p99 beside the flood: ${beside_.p99} ms, alone ${before_.p99} ms`);
    assert.ok(beside_.p50 < Math.max((SANITIZED ? 300 : 40) * stolenFactor(), 3 * before_.p50), `p50 beside the flood: ${beside_.p50} ms`);
    return flooded;
}

describe('the quiet app\'s visitors beside a flood', { concurrency: false }, () => {
    test('of a busy handler, from ten thousand visitors: the queue is full, and says so', async (t) => {
        const flooded = await beside(t, 'busy', { from: 10000 });
        assert.ok(flooded.codes.busy > (SANITIZED ? 20 : flooded.sent / 2), JSON.stringify(flooded.codes)); // a slow flood is a small one
    });
    test('of a busy handler, from one: the limits hold it', async (t) => {
        const flooded = await beside(t, 'busy', { from: 1, perMinute: null });
        assert.ok(flooded.statuses[200] <= 60, JSON.stringify(flooded.statuses));
        assert.equal(flooded.codes.rate_limited, flooded.errors);
        assert.ok(flooded.p50 < 50 * (SANITIZED ? 10 : 1) * stolenFactor(), `a refusal takes ${flooded.p50} ms`);
    });
    test('of slow queries', async (t) => {
        await beside(t, 'sleep', { from: 10000 });
    });
    test('of slow queries, where the quiet app asks its database too', async (t) => {
        await beside(t, 'sleep', { from: 10000 }, { quietAction: 'read' });
    });
    test('of errors that are half a million values', async (t) => {
        await beside(t, 'clutter', { from: 10000, rate: COSTLY });
    });
    test('of requests with two megabytes', async (t) => {
        await beside(t, 'post', { from: 10000, rate: COSTLY });
    });
    test('of slow fetches', async (t) => {
        await beside(t, 'fetch', { from: 10000 });
    });
});

test('an app whose handlers sleep on large bodies has a quarter of what there is for them, and shuts nobody else out', { timeout: 120000 * slowness() }, async () => {
    await Promise.all([limits(quiet, 600000), limits(loud, 600000)]);
    const body = JSON.stringify({ text: 'x'.repeat(1024 * 1024 - 11) });
    const post = (app, action, headers) => request(`${server.apps}/api/public-actions/${app.slug}/${action}`, { method: 'POST', body,
        headers: { 'content-type': 'application/json', 'content-length': body.length, ...headers }, timeout: 60000 * slowness() });
    const dozing = Promise.all(Array.from({ length: 70 }, (_, i) => post(loud, 'doze', { 'x-forwarded-for': `198.51.100.${i}` })));
    const beside_ = await Promise.all(Array.from({ length: 3 }, () => post(quiet, 'say')));
    assert.deepEqual(beside_.map((a) => a.status), [200, 200, 200]);
    const codes = (await dozing).map((a) => a.json.code ?? a.status);
    const refused = codes.filter((code) => code === 'busy').length; // 64 MiB fit; on a slow machine the first have gone before the last come
    assert.ok(refused >= 1 && refused <= 6, JSON.stringify(codes));
});

// What is read for a run, its secrets, is read on threads that others' cold apps wait for, too.
test('one project\'s secrets do not hold up another\'s', { timeout: 120000 * slowness() }, async (t) => {
    const NAMES = ['A', 'B', 'C'], AT_ONCE = SANITIZED ? 40 : 150;
    const own = await startServer({ settings: { shared_origin: 'accepted', connections_per_address: 2000 } });
    try {
        const code = 'module.exports = { handler: (input, context) => Object.values(context.secrets).join("").length };';
        const deploy = async (name, names, value, token) => {
            const front = `manifest:\n  developerSecrets: { ${names.map((one) => `${one}: { required: false }`).join(', ')} }\n`;
            const made = await own.api('POST', '/api/plugins/import', pie(name, { 'index.html': 'x' }, { code, front }), { token });
            assert.equal(made.status, 201, made.text);
            const rate = { perMinute: 600000, burst: 600000 };
            await own.api('PATCH', `/api/public-apps/instances/${made.json.instance.id}`, { rateLimits: { visitorAction: rate, visitor: rate, instance: rate } }, { token });
            for (const one of names) assert.ok((await own.api('PUT', `/api/plugins/${made.json.plugin.id}/secrets/${one}`, { value }, { token })).status < 300);
            return made.json.instance;
        };
        const large = await deploy('large', NAMES, 's'.repeat(65536), undefined);
        const little = await deploy('little', ['A'], 'secret', (await own.api('POST', '/api/projects', { displayName: 'Other' })).json.token);
        const call = (instance) => request(`${own.apps}/api/public-actions/${instance.slug}/say`, { method: 'POST', timeout: 60000 * slowness() });
        assert.deepEqual([(await call(large)).json.data, (await call(little)).json.data], [3 * 65536, 6]);
        let over = false;
        const flood = Promise.all(Array.from({ length: AT_ONCE }, async () => { while (!over) assert.equal((await call(large)).json.data, 3 * 65536); }));
        const waits = [];
        for (let i = 0; i !== 25; ++i) {
            const begun = performance.now();
            assert.equal((await call(little)).json.data, 6);
            waits.push(performance.now() - begun);
        }
        over = true;
        await flood;
        const median = waits.sort((a, b) => a - b)[12];
        t.diagnostic(`the other's visitors waited ${median.toFixed(0)} ms`);
        assert.ok(median < 200 * slowness(), `the other's visitors waited ${median.toFixed(0)} ms`);
    } finally {
        await own.stop();
    }
});

// Each worker's few megabytes of its own come to what the hoarder allocates.
describe('memory that handlers hold while they wait', { concurrency: false }, () => {
    const POT = 320 << 20;
    let small;
    beforeEach(async () => { small = await startServer({ settings: { workers_memory: `${POT}`, worker_memory: '128MiB', shared_origin: 'accepted' } }); });
    afterEach(async () => { await small?.stop(); });

    const deploy = async (name, code, token) => {
        const made = await small.api('POST', '/api/plugins/import', pie(name, { 'index.html': 'x' }, { code }), { token });
        assert.equal(made.status, 201, made.text);
        return made.json.instance;
    };
    const project = async (name) => (await small.api('POST', '/api/projects', { displayName: name })).json.token;
    const call = (instance) => request(`${small.apps}/api/public-actions/${instance.slug}/say`, { method: 'POST', timeout: 60000 * slowness() });
    const bytes = async () => Number(/^stoa_handler_worker_bytes (\d+)/m.exec((await request(`${small.admin}/metrics`)).text)[1]);
    const hoard = (size, more = '') => `let held; module.exports = { handler: async () => { held = new Uint8Array(${size}).fill(7); ${more} await new Promise((done) => { setTimeout(done, 20000); }); return held.length; } };`;
    /** Calls all; `ended` counts those that were answered. */
    const start = (instances) => {
        const run = { ended: 0, answers: undefined };
        run.answers = Promise.all(instances.map((one) => call(one).finally(() => { ++run.ended; })));
        return run;
    };
    const stoppedOf = async (run) => {
        const answers = await run.answers;
        const stopped = answers.filter((a) => a.status === 502 && a.json.code === 'handler_out_of_memory').length;
        assert.equal(stopped + answers.filter((a) => a.status === 200).length, answers.length, answers.map((a) => a.text).join('\n'));
        return stopped;
    };

    test('a project that has all of it keeps no other out', { timeout: 120000 * slowness() }, async () => {
        const HOARDERS = 8;
        const other = await project('Other');
        const [seen, unseen] = [await deploy('seen', QUIET, other), await deploy('unseen', QUIET, other)];
        const hoarders = [];
        for (let i = 0; i !== HOARDERS; ++i) hoarders.push(await deploy(`hoarder-${i}`, hoard(26 << 20)));
        assert.equal((await call(seen)).status, 200);

        const run = start(hoarders);
        await until(async () => (await bytes()) > POT - (16 << 20), 'the hoarders hold all there is', 15000);
        assert.equal(run.ended, 0);
        assert.deepEqual((await Promise.all([call(unseen), call(seen)])).map((a) => a.json.data ?? a.text), ['fine', 'fine']);
        assert.ok(run.ended >= 1 && run.ended < HOARDERS, `${run.ended} of the hoarder's runs had ended by then`);
        const stopped = await stoppedOf(run);
        assert.ok(stopped >= 1 && stopped < HOARDERS, `${stopped} were stopped`);
        assert.match(small.log(), /a worker goes, with its runs/);
    });

    test('four projects that have a quarter each keep no fifth out', { timeout: 120000 * slowness() }, async () => {
        const hoarders = [];
        for (let i = 0; i !== 4; ++i) {
            const one = await project(`Quarter ${i}`);
            for (const half of ['a', 'b']) hoarders.push(await deploy(`quarter-${i}-${half}`, hoard(26 << 20), one));
        }
        const late = await deploy('late', QUIET, await project('Late'));
        const run = start(hoarders);
        await until(async () => (await bytes()) > POT - (16 << 20), 'they hold all there is', 15000);
        assert.equal(run.ended, 0);
        const began = Date.now();
        assert.equal((await call(late)).json.data, 'fine');
        assert.ok(Date.now() - began < 5000 * slowness(), `answered after ${Date.now() - began} ms`);
        const stopped = await stoppedOf(run);
        assert.ok(stopped >= 1 && stopped <= 2, `${stopped} were stopped`); // one of them may have grown beyond it
    });

    test('what workers grow to stays within it: of the project that has the most, one goes', { timeout: 120000 * slowness() }, async () => {
        const [large, modest] = [await project('Large'), await project('Modest')];
        const growing = [];
        const grow = 'await new Promise((done) => { setTimeout(done, 3000); }); held = [held, new Uint8Array(40 << 20).fill(7)];';
        for (let i = 0; i !== 4; ++i) growing.push(await deploy(`growing-${i}`, hoard(20 << 20, grow), large));
        const modestRun = start([await deploy('modest', hoard(60 << 20), modest)]);
        const run = start(growing);
        await until(async () => run.ended !== 0, 'one of them has gone', 15000);
        await until(async () => (await bytes()) <= POT, 'all fit again', 5000);
        const stopped = await stoppedOf(run);
        assert.ok(stopped >= 1 && stopped <= 2, `${stopped} were stopped`);
        assert.equal(await stoppedOf(modestRun), 0);
    });
});
