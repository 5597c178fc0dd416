// Handlers that attack, tried for real (docs/security.md has the table): what the visitors of a neighbour on the same loop see meanwhile is
// nothing, what the owner sees is why it ended, and the next run of the same app is served. Runs against the release build too, where the
// worker is caged; under a sanitizer it is not, and what would only fill the machine's memory is left out.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { buildFolder, request, slowness, startServer, until } from '../harness/server.mjs';

const CAGED = !/asan|tsan/.test(buildFolder());
const HOSTILE = `
const acts = {
  spin: () => { for (;;); },
  awaits: async () => { for (;;) await 0; },
  regex: () => /^(a+)+$/.test('a'.repeat(32) + '!'),
  sort: () => { const list = Array.from({ length: 3e6 }, (_, i) => i % 1000); for (;;) list.sort(() => Math.random() - 0.5); },
  stringify: () => { const o = {}; let at = o; for (let i = 0; i < 1e5; ++i) at = at.a = {}; return JSON.stringify(o).length; },
  strings: () => { let s = 'x'; for (;;) s += s; },
  arrays: () => { const hold = []; for (;;) hold.push(new Array(1e5).fill(hold.length)); },
  typed: () => { const hold = []; for (;;) hold.push(new Uint8Array(1e7).fill(1)); },
  maps: () => { const m = new Map(); for (let i = 0; ; ++i) m.set(i, { i }); },
  closures: () => { const hold = []; const grow = (n) => () => [n, hold]; for (let i = 0; ; ++i) hold.push(grow(i)); },
  fetches: (input, context) => { for (let i = 0; i < 100000; ++i) context.fetch('http://192.0.2.1/' + i).catch(() => {}); return 'sent'; },
  queries: (input, context) => { for (let i = 0; i < 100000; ++i) context.managedDb.query('select 1').catch(() => {}); return 'sent'; },
  timers: () => { for (let i = 0; i < 100000; ++i) setTimeout(() => {}, 1e9); return 'set'; },
  interval: (input, context) => { for (let i = 0; i < 1000; ++i) setTimeout(() => {}, 1e8); setInterval(() => context.notify('early'), 1e8); return new Promise(() => {}); },
  recursion: () => { const down = () => down() + 1; return down(); },
  never: () => new Promise(() => {}),
  returns: () => 'y'.repeat(1e8),
  getter: () => ({ get trap() { for (;;); } }),
  proxy: () => new Proxy({}, { ownKeys() { throw new Error('a trap'); } }),
  toJSON: () => ({ toJSON() { return { toJSON() { throw { not: 'an error' }; } }; } }),
  cycle: () => { const o = {}; o.o = o; return o; },
  bigint: () => 1n,
  thrownull: () => { throw null; },
  throwproxy: () => { throw new Proxy({}, { get() { throw new Error('again'); } }); },
  throwhuge: () => { throw new Error('z'.repeat(1e7)); },
  logs: () => { for (let i = 0; i < 1e5; ++i) console.log('line '.repeat(100), i); return 'logged'; },
  pollute: () => {
    Object.prototype.respond = () => {}; Object.prototype.error = true; Object.prototype.toJSON = () => 'owned';
    Array.prototype.push = () => { throw new Error('patched'); }; Promise.prototype.then = () => {}; JSON.stringify = () => '"forged"'; JSON.parse = () => ({});
    String = Number = Error = undefined; Function.prototype.call = Function.prototype.apply = () => {};
    return 'polluted';
  },
  globals: () => Object.getOwnPropertyNames(globalThis).filter((n) => /send|bridge|native|engine|stoa|process|require|WebAssembly|SharedArrayBuffer/i.test(n)),
  eval: () => { const tried = []; for (const f of [() => eval('1'), () => new Function('return 1')(), () => (async () => {}).constructor('return 1')(), () => (function* () {}).constructor('yield 1')()]) try { f(); tried.push('ran'); } catch (e) { tried.push('refused'); } return tried; },
  imports: async () => { try { await import('data:text/javascript,1'); return 'imported'; } catch (e) { return 'refused'; } },
  ids: async (input, context) => {
    const seen = [];
    for (const path of [['publicApp', 'instanceId'], ['user', 'id']]) try { context[path[0]][path[1]] = 'somebody-else'; } catch (e) { seen.push('frozen'); }
    try { await context.managedDb.query('select 1', [], { instanceId: 'x', projectId: 'y', pluginId: 'z' }); } catch (e) { seen.push(String(e.message)); }
    return seen;
  },
  hold: () => { const hold = []; for (let i = 0; i < 120; ++i) hold.push(new Uint8Array(1 << 20).fill(1)); return hold.length; },
  ok: () => 'ok',
};
module.exports = { handler: (input, context) => (acts[input.actionId] || (() => 'no such act'))(input, context) };
`;

let server;
let hostile;
let neighbour;
const acted = [];
const call = (slug, action) => request(`${server.apps}/api/public-actions/${slug}/${action}`, { method: 'POST', timeout: 60000 * slowness() });

const rate = { perMinute: 60000, burst: 60000 };
async function unlimited({ id, slug }) {
    const set = await server.api('PATCH', `/api/public-apps/instances/${id}`, { rateLimits: { visitorAction: rate, visitor: rate, instance: rate } });
    assert.equal(set.status, 200, set.text);
    return { id, slug };
}
// An instance for each act: one that is killed too often is made to wait, and nobody else.
async function anotherHostile() {
    const made = await server.api('POST', '/api/plugins/hostile/instances');
    assert.equal(made.status, 201, made.text);
    return unlimited(made.json);
}

before(async () => {
    server = await startServer({ managedDb: true, workers: 100, settings: { threads: 1, handler_busy: '2s', worker_memory: '96MiB' } });
    const deploy = async (name, code) => {
        const made = await server.api('POST', '/api/plugins/import', pie(name, { 'index.html': 'x' }, { code }));
        assert.equal(made.status, 201, made.text);
        return unlimited(made.json.instance);
    };
    hostile = await deploy('hostile', HOSTILE);
    neighbour = await deploy('neighbour', 'module.exports = { handler: () => "fine" };');
    assert.equal((await call(neighbour.slug, 'hello')).json?.data, 'fine');
});
after(() => server?.stop());

/** Runs `attack` while the neighbour's visitors call every 25 ms; gives its answer and what the neighbour's slowest visitor waited. */
async function beside(attack) {
    let over = false;
    const waits = [];
    const visitors = (async () => {
        while (!over) {
            const begun = performance.now();
            const answer = await call(neighbour.slug, 'hello');
            assert.equal(answer.status, 200, answer.text);
            waits.push(performance.now() - begun);
            await new Promise((done) => { setTimeout(done, 25); });
        }
    })();
    const answer = await attack().finally(() => { over = true; });
    await visitors;
    waits.sort((a, b) => a - b);
    return { answer, worst: waits.at(-1), median: waits[Math.floor(waits.length / 2)] };
}

// act, what its visitor sees: a status, or a predicate of the answer; needs: the cage
const is = (data) => (a) => a.status === 200 && JSON.stringify(a.json.data) === JSON.stringify(data);
const memory = (a) => a.status === 502 && ['handler_out_of_memory', 'handler_crashed', 'handler_error'].includes(a.json.code);
const stopped = (a) => a.status === 504 && a.json.code === 'handler_timeout';
const failed = (a) => a.status === 502 && a.json.code === 'handler_error';
const either = (...all) => (a) => all.some((one) => one(a));
const table = [
    ['spin', stopped], ['awaits', stopped], ['regex', either(is(false), stopped)], ['sort', stopped], ['stringify', either((a) => a.status === 200, failed, stopped)],
    ['strings', memory, CAGED], ['arrays', memory, CAGED], ['typed', memory, CAGED], ['maps', either(memory, stopped), CAGED], ['closures', either(memory, stopped), CAGED],
    ['hold', memory, CAGED], ['fetches', either(is('sent'), stopped, memory)], ['queries', either(is('sent'), stopped, memory)], ['timers', either(is('set'), failed, stopped)], ['interval', failed], ['recursion', failed], ['returns', either(failed, memory)], ['getter', stopped], ['proxy', failed],
    ['toJSON', is({})], ['cycle', failed], ['bigint', failed], ['thrownull', failed], ['throwproxy', failed], ['throwhuge', failed], ['logs', either(is('logged'), stopped)],
    ['globals', is([])], ['eval', is(['refused', 'refused', 'refused', 'refused'])], ['imports', is('refused')], ['ids', (a) => a.status === 200],
];
describe('each act beside a neighbour', { concurrency: false }, () => {
    for (const [act, expected, possible = true] of table) {
        test(act, { timeout: 90000 * slowness(), skip: possible ? false : 'needs the cage, which a sanitizer\'s build has not' }, async () => {
            const own = await anotherHostile();
            acted.push(own);
            const { answer, worst } = await beside(() => call(own.slug, act));
            assert.ok(expected(answer), `${answer.status} ${answer.text.slice(0, 300)}`);
            assert.ok(worst < 500 * slowness(), `the neighbour waited ${worst.toFixed(0)} ms`);
            const again = await until(async () => {
                const a = await call(own.slug, 'ok');
                return a.status === 200 && a;
            }, 'the next run of the same app', 30000 * slowness());
            assert.equal(again.json.data, 'ok');
        });
    }
});

test('an app that is killed again and again waits, alone', { timeout: 60000 * slowness() }, async () => {
    const own = await anotherHostile();
    for (let i = 0; i < 3; ++i) assert.equal((await call(own.slug, 'spin')).status, 504);
    assert.deepEqual([(await call(own.slug, 'ok')).status, (await call(neighbour.slug, 'hello')).status], [503, 200]);
});

test('what a run does to the language\'s own objects ends with the owner\'s other runs, never with a neighbour\'s', async () => {
    await call(hostile.slug, 'pollute');
    const answer = await call(neighbour.slug, 'hello');
    assert.deepEqual(answer.json, { success: true, data: 'fine' });
});

const megabytes = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${server.serverPid}/status`, 'utf8'))[1]) / 1024;

test('what an app is made of takes the server\'s memory once, not once a run or an instance', { timeout: 60000 * slowness(), skip: CAGED ? false : 'measures memory' }, async () => {
    const code = `module.exports = { handler: (input) => new Promise((done) => setTimeout(done, input.wait ?? 0)) };\n//${'x'.repeat(3.5e6)}\n`;
    const large = await server.api('POST', '/api/plugins/import', pie('large', { 'index.html': 'x' }, { code }));
    assert.equal(large.status, 201, large.text);
    await server.api('POST', `/api/plugins/large/instances/${large.json.instance.id}/tool`, {});
    const before = megabytes();
    const runs = Array.from({ length: 40 }, () => server.api('POST', `/api/plugins/large/instances/${large.json.instance.id}/tool`, { wait: 3000 }));
    let most = 0;
    for (let i = 0; i < 25; ++i) {
        await new Promise((done) => { setTimeout(done, 100); });
        most = Math.max(most, megabytes());
    }
    for (const run of await Promise.all(runs)) assert.equal(run.status, 200, run.text);
    assert.ok(most - before < 60, `40 tool runs took ${(most - before).toFixed(0)} MB`);
    const odd = async (n) => server.api('POST', '/api/plugins/import', pie('odd', { 'index.html': 'x' }, { front: `odd: [${'{},'.repeat(n)}{}]\n` }));
    const first = await odd(80000);
    assert.equal(first.status, 422, first.text.slice(0, 300));
    const made = await odd(19000); // 4 MB, of 57 KB
    assert.equal(made.status, 201, made.text.slice(0, 300));
    const slugs = [];
    for (let i = 0; i < 40; ++i) slugs.push((await server.api('POST', '/api/plugins/odd/instances')).json.slug);
    await call(made.json.instance.slug, 'go');
    const then = megabytes();
    for (const slug of slugs) assert.equal((await call(slug, 'go')).status, 200);
    assert.equal((await server.api('GET', '/api/v1/flows?limit=100')).json.data.length > 40, true);
    assert.ok(megabytes() - then < 60, `40 instances took ${(megabytes() - then).toFixed(0)} MB`);
});

test('the owner sees how each of them ended', async () => {
    const outcomes = new Set();
    for (const { id } of acted)
        for (const run of (await server.api('GET', `/api/public-apps/instances/${id}/runs?limit=100`)).json.data) outcomes.add(run.outcome);
    for (const wanted of ['ok', 'handler_error', 'handler_timeout']) assert.ok(outcomes.has(wanted), `${wanted} is not among ${[...outcomes]}`);
});

test('the process, its memory and its metrics are well', async () => {
    const metrics = await request(`${server.admin}/metrics`);
    assert.match(metrics.text, /stoa_/);
    const ready = await request(`${server.admin}/readyz`);
    assert.equal(ready.status, 200, ready.text);
});
