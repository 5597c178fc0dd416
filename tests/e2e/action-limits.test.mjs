// How often visitors may call (contract §4, security-rules.md 18 and 19): whom a limit is for, what is charged, that it is kept over all
// threads, what its headers promise, and what a refusal costs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { openLoop } from '../harness/openloop.mjs';
import { pie } from '../harness/pie.mjs';
import { buildFolder, request, startServer, until } from '../harness/server.mjs';

const SANITIZED = /asan|tsan/.test(buildFolder());
const CODE = `module.exports = { handler: (input, context) => {
  if (/^made-up/.test(input.actionId)) { context.publicApp.respond({ error: true, message: 'Unknown public action' }); return; }
  return input.visitorIp;
} };`;
let server;
let made = 0;
before(async () => {
    server = await startServer({ workers: 60, settings: { threads: 2, trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For', connections: 20000 } });
});
after(() => server?.stop());

async function app(rateLimits) {
    const answer = await server.api('POST', '/api/plugins/import', pie(`limits-${++made}`, { 'index.html': 'x' }, { code: CODE }));
    assert.equal(answer.status, 201, answer.text);
    const { instance } = answer.json;
    if (rateLimits) await set(instance, rateLimits);
    return { slug: instance.slug, id: instance.id, plugin: answer.json.plugin };
}
async function set(instance, rateLimits) {
    const answer = await server.api('PATCH', `/api/public-apps/instances/${instance.id}`, { rateLimits });
    assert.equal(answer.status, 200, answer.text);
}
const rate = (perMinute, burst = perMinute) => ({ perMinute, burst });
const WIDE = { visitorAction: rate(600000), visitor: rate(600000), instance: rate(600000) };
const call = (instance, from, { action = 'go', method = 'POST', headers = {}, body } = {}) => request(`${server.apps}/api/public-actions/${instance.slug}/${action}`, {
    method, body, headers: { 'x-forwarded-for': from, 'content-length': body === undefined ? 0 : Buffer.byteLength(body), ...headers } });
const left = (answer, name) => Number(new RegExp(`"${name}";r=(\\d+)`).exec(answer.headers.ratelimit)?.[1]);
/** How many of `n` calls, one after the other, are let in. */
async function admitted(instance, n, fromOf, options) {
    let count = 0;
    for (let i = 0; i < n; ++i) count += (await call(instance, fromOf(i), options)).status !== 429;
    return count;
}

test('one address is one visitor however it is written; of IPv6 a /64 is', async () => {
    const tight = await app({ ...WIDE, visitor: rate(1, 4) });
    const same = ['198.51.100.7', '::ffff:198.51.100.7', '64:ff9b::198.51.100.7', '2002:c633:6407::1', '::ffff:c633:6407', '198.51.100.7:4711'];
    assert.equal(await admitted(tight, 6, (i) => same[i]), 4);
    assert.equal(await admitted(tight, 2, () => '198.51.100.8'), 2, 'the neighbour is another');
    assert.equal(await admitted(tight, 8, (i) => `2001:db8:1:2:${i}::${i}`), 4);
    assert.equal(await admitted(tight, 2, () => '2001:db8:1:3::1'), 2, 'the next /64 is another');
    assert.equal((await call(tight, '198.51.100.9')).json.data, '198.51.100.9');
});

test('of a trusted proxy the last word counts, and of nobody else', async () => {
    const tight = await app({ ...WIDE, visitor: rate(1, 2) });
    assert.equal(await admitted(tight, 4, (i) => `203.0.113.${i}, 198.51.100.20`), 2, 'what a visitor adds on the left changes nothing');
    assert.equal((await call(tight, 'nonsense, , x')).json.data, '127.0.0.1', 'malformed: the peer itself');
});

test('no /24 and no /48 over its share of an instance', async () => {
    const share = { visitorAction: rate(600000), visitor: rate(1, 4), instance: rate(4, 40) };
    for (const of of [(i) => `198.51.101.${i % 250}`, (i) => `2001:db8:7:${i.toString(16)}::1`]) {
        const tight = await app(share);
        const count = await admitted(tight, 40, of);
        assert.ok(count >= 14 && count <= 16, `${count} of one network: a quarter of 40, and one visitor's 4`);
        const refused = await call(tight, of(41));
        assert.match(refused.headers.ratelimit, /"network";r=0/);
        assert.equal(await admitted(tight, 30, (i) => `203.0.${i}.1`), 40 - count, 'the rest is for the others');
        assert.match((await call(tight, '203.1.1.1')).headers.ratelimit, /"instance";r=0/);
        assert.doesNotMatch((await call(tight, '192.0.2.1', { method: 'OPTIONS' })).headers['ratelimit-policy'], /undefined/);
    }
});

test('what is charged: everything but what the guard refuses unseen', async () => {
    const wide = await app({ ...WIDE, visitor: rate(60, 50) });
    const cases = {
        200: {}, 405: { method: 'PUT' }, 415: { body: '{}', headers: { 'content-type': 'text/plain' } }, 400: { body: '[', headers: { 'content-type': 'application/json' } },
        403: { headers: { origin: 'https://evil.example' } }, 204: { method: 'OPTIONS' }, '415 upload': { action: 'upload' }, '400 name': { action: 'a%20b' }, '403 preflight': { method: 'OPTIONS', headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' } },
    };
    let before_ = left(await call(wide, '198.51.102.1'), 'visitor');
    for (const [status, options] of Object.entries(cases)) {
        const answer = await call(wide, '198.51.102.1', options);
        assert.equal(String(answer.status), status.slice(0, 3), answer.text);
        const now = left(answer, 'visitor');
        assert.ok(now === before_ - 1 || now === before_, `${status}: ${before_} → ${now}`);
        before_ = now;
    }
    assert.ok(before_ <= 49 - 9 + 2, `${before_} left of 50 after ten requests`); // a second gives one back
    // an app that is not there, and an address that is none
    let began = Date.now();
    const thirty = (count, words) => assert.ok(count >= 30 && count <= 30 + (Date.now() - began) / 1000, `${count} were let in ${words}`); // a second gives one back
    thirty(await admitted({ slug: 'nobody-00000000' }, 40, () => '198.51.102.2') + await admitted({ slug: 'nobody-00000001' }, 3, () => '198.51.102.2'), 'by two names: another name is no other limit');
    began = Date.now();
    thirty(await admitted(wide, 40, () => '198.51.102.3', { action: 'a/b' }), 'to what is no action');
    const large = await call(wide, '198.51.102.4', { body: JSON.stringify({ a: 'x'.repeat(1 << 20) }), headers: { 'content-type': 'application/json' } });
    assert.equal(large.status, 413);
});

test('made-up actions share one limit; what has answered, and what the owner named, has its own', async () => {
    const tight = await app({ ...WIDE, visitorAction: rate(1, 5), actions: { named: rate(1, 2) } });
    assert.equal(await admitted(tight, 12, () => '198.51.103.1', { action: 'made-up' }), 5);
    for (const action of ['made-up-2', 'made-up-3', 'upload']) assert.equal(await admitted(tight, 2, () => '198.51.103.1', { action }), 0, action);
    assert.equal(await admitted(tight, 4, () => '198.51.103.1', { action: 'named' }), 2, 'the owner\'s limit holds from the first call on');
    assert.equal(await admitted(tight, 3, () => '198.51.103.2', { action: 'first' }), 3);
    assert.equal(await admitted(tight, 9, () => '198.51.103.1', { action: 'first' }), 5, 'it has answered: a visitor\'s made-up calls do not count against it');
});

test('a deploy gives nobody a new start', async () => {
    const tight = await app({ ...WIDE, visitor: rate(1, 3) });
    assert.equal(await admitted(tight, 5, () => '198.51.104.1'), 3);
    const again = await server.api('POST', '/api/plugins/import', pie(`limits-${made}`, { 'index.html': 'y' }, { code: `${CODE} // changed` }));
    assert.equal(again.status, 200, again.text);
    assert.equal(await admitted(tight, 3, () => '198.51.104.1'), 0);
    await set(tight, { ...WIDE, visitor: rate(600, 600) });
    assert.ok(await admitted(tight, 3, () => '198.51.104.1') === 3, 'what the owner widens is wider at once');
});

test('Retry-After is never too early, and no later than it must be', async () => {
    const tight = await app({ ...WIDE, visitor: rate(60, 2) });
    const from = '198.51.105.1';
    for (let round = 0; round < 3; ++round) {
        let refused;
        for (let i = 0; i < 6 && refused === undefined; ++i) {
            const answer = await call(tight, from);
            if (answer.status === 429) refused = answer;
        }
        const wait = Number(refused.headers['retry-after']);
        const t = Number(/"visitor";r=0;t=(\d+)/.exec(refused.headers.ratelimit)[1]);
        assert.ok(wait >= t && wait >= 1 && wait <= 2, `Retry-After ${wait}, t ${t}`);
        await new Promise((done) => { setTimeout(done, wait * 1000); });
        assert.equal((await call(tight, from)).status, 200, `after ${wait} s`);
    }
});

test('a limit is one over all threads, within a tenth', async (t) => {
    const tight = await app({ ...WIDE, instance: rate(6000, 100) });
    await call(tight, '198.51.106.1');
    const seconds = 4;
    const port = Number(new URL(server.apps).port);
    let begun = Date.now();
    const took = () => Math.max(seconds, (Date.now() - begun) / 1000); // a busy machine sends the last of them late
    const run = await openLoop({ port, host: new URL(server.apps).host, path: `/api/public-actions/${tight.slug}/go`, rate: 300, seconds, from: 5000 });
    const [least, most] = [99 + 100 * seconds, 99 + 100 * took()];
    t.diagnostic(`${run.statuses[200]} of ${run.sent} let in, over ${run.connections} connections`);
    assert.ok(run.statuses[200] >= least * 0.9 && run.statuses[200] <= most * 1.1, `${run.statuses[200]}, not ${least} to ${most}`);
    assert.equal(run.statuses[200] + run.statuses[429], run.sent);
    // and one visitor's, whose connections are on both
    const one = await app({ ...WIDE, visitor: rate(3000, 50) });
    begun = Date.now();
    const runs = await Promise.all([0, 1].map(() => openLoop({ port, host: new URL(server.apps).host, path: `/api/public-actions/${one.slug}/go`, rate: 100, seconds, from: 1 })));
    const let_ = runs[0].statuses[200] + runs[1].statuses[200];
    assert.ok(let_ >= (50 + 50 * seconds) * 0.9 && let_ <= (50 + 50 * took()) * 1.1, `${let_}, not ${50 + 50 * seconds}`);
});

test('a refusal costs microseconds, and no thought of the database', async (t) => {
    const tight = await app({ ...WIDE, visitor: rate(1, 1) });
    await call(tight, '127.0.0.9');
    const busy = () => fs.readdirSync(`/proc/${server.serverPid}/task`).reduce((sum, id) => sum + Number(fs.readFileSync(`/proc/${server.serverPid}/task/${id}/schedstat`, 'utf8').split(' ')[0]), 0) / 1000;
    const where = `${server.apps}/api/public-actions/${tight.slug}/go`;
    const asked = { method: 'POST', headers: { 'content-length': 0 } };
    assert.equal((await request(where, asked)).status, 200);
    assert.equal((await request(where, asked)).status, 429);
    const script = `${server.home}/post.lua`;
    fs.writeFileSync(script, 'wrk.method = "POST"\n');
    const begun = busy();
    const wrk = spawnSync('wrk', ['-t1', '-c32', '-d2', '-s', script, where], { encoding: 'utf8' });
    if (wrk.error) return t.skip('wrk is not installed: ./dev install bench');
    const count = Number(/(\d+) requests in/.exec(wrk.stdout)[1]);
    assert.match(wrk.stdout, new RegExp(`Non-2xx or 3xx responses: (${count}|${count - 1}|${count - 2}|${count - 3})`), wrk.stdout);
    const cost = (busy() - begun) / count;
    t.diagnostic(`${Math.round(count / 2)} refusals a second, ${cost.toFixed(1)} µs of the server's processors each`);
    assert.ok(cost < (SANITIZED ? 1000 : 60), `${cost.toFixed(1)} µs each`);
});

test('made-up names push nobody out, and cannot have the database read for ever', async () => {
    const known = await app(WIDE);
    const metric = async (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec((await request(`${server.admin}/metrics`)).text)[1]);
    await until(async () => { // the notice of its own settings may still be on its way
        const loads_ = await metric('stoa_action_target_loads_total');
        await call(known, '198.51.108.1');
        return loads_ === await metric('stoa_action_target_loads_total');
    }, 'the app to be held');
    const before_ = await metric('stoa_action_target_loads_total');
    const results = {};
    for (let batch = 0; batch < 20; ++batch) {
        const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => call({ slug: `made-up-${batch}-${i}` }, '198.51.108.2')));
        for (const { status } of answers) results[status] = (results[status] ?? 0) + 1;
    }
    const read = (await metric('stoa_action_target_loads_total')) - before_;
    assert.ok(results[404] <= 31 + 5 && results[429] >= 500, JSON.stringify(results));
    assert.ok(read <= 400, `${read} of 600 names were looked up`);
    const loads = await metric('stoa_action_target_loads_total');
    assert.equal((await call(known, '198.51.108.1')).status, 200);
    assert.equal(await metric('stoa_action_target_loads_total'), loads, 'the app is still held');
    await until(async () => (await metric('stoa_action_targets')) < 100, 'made-up names are not counted among what is held');
});
