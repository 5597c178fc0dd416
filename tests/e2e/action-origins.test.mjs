// Pages of other origins that call an app's actions (contract §1 and §4, security-rules.md 12 and 17): only those the owner lists, one by one,
// never with credentials; what each is told in a real browser, and what a cache between may keep.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { openBrowser } from '../harness/browser.mjs';
import { raw } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { request, startServer } from '../harness/server.mjs';

const CODE = `module.exports = { handler: (input, context) => {
  if (input.actionId === 'throws') throw new Error('inside');
  context.publicApp.respond({ got: input.payload }, { headers: { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true', 'X-Mine': 'yes' } });
} };`;
const rate = (perMinute) => ({ perMinute, burst: perMinute });
let server;
let browser;
let pages; // friend, other: servers of pages on other origins
let app;
let host;
before(async () => {
    [server, browser] = await Promise.all([
        startServer({ settings: { instance_domain: 'apps.localhost' } }), openBrowser({ hosts: { '*.apps.localhost': '127.0.0.1' } }),
    ]);
    pages = await Promise.all(['friend', 'other'].map((name) => new Promise((done) => {
        const one = http.createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(`<!doctype html><link rel="icon" href="data:,"><title>${name}</title>`));
        one.listen(0, '127.0.0.1', () => done(Object.assign(one, { origin: `http://127.0.0.1:${one.address().port}` })));
    })));
    const made = await server.api('POST', '/api/plugins/import', pie('shared', { 'index.html': 'x' }, { code: CODE }));
    assert.equal(made.status, 201, made.text);
    app = made.json;
    host = new URL(app.publicAppUrl).host;
    await set({ allowedOrigins: [pages[0].origin], rateLimits: { visitorAction: rate(6000) } });
});
after(async () => {
    pages?.forEach((p) => p.close());
    await browser?.close();
    await server?.stop();
});

async function set(settings, { id } = app.instance) {
    const answer = await server.api('PATCH', `/api/public-apps/instances/${id}`, settings);
    assert.equal(answer.status, 200, answer.text);
}
const url = (action = 'say', ref = '_') => `${app.publicAppUrl}api/public-actions/${ref}/${action}`;
const ask = (where, { method = 'POST', body, headers = {} } = {}) => request(server.apps, {
    path: where, method, body, headers: { host, ...(body === undefined ? { 'content-length': 0 } : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }), ...headers },
});
const say = (headers, more = {}) => ask('/api/public-actions/_/say', { headers, ...more });
const preflight = (origin, more = {}) => say({ origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type', ...more }, { method: 'OPTIONS' });
const CORS = ['access-control-allow-origin', 'access-control-allow-credentials', 'access-control-allow-methods', 'access-control-allow-headers', 'access-control-expose-headers', 'access-control-max-age'];
const corsOf = (answer) => Object.fromEntries(CORS.filter((name) => answer.headers[name] !== undefined).map((name) => [name.slice(15), answer.headers[name]]));
const variesByOrigin = (answer, what) => assert.ok((answer.headers.vary ?? '').split(/,\s*/).some((v) => v.toLowerCase() === 'origin'), `${what}: Vary: ${answer.headers.vary}`);

test('a preflight names that one origin, the method and the header, and never credentials', async () => {
    const friend = await preflight(pages[0].origin);
    assert.equal(friend.status, 204);
    assert.deepEqual(corsOf(friend), { 'allow-origin': pages[0].origin, 'allow-methods': 'POST', 'allow-headers': 'content-type', 'max-age': '600', 'expose-headers': friend.headers['access-control-expose-headers'] });
    variesByOrigin(friend, 'preflight');
    for (const origin of [pages[1].origin, 'null', '*', '', `${pages[0].origin}/`, pages[0].origin.replace('http', 'https'), `${pages[0].origin}0`, `${pages[0].origin}.evil.example`, `${pages[0].origin}, ${pages[0].origin}`, pages[0].origin.replace('127.0.0.1', 'localhost')]) {
        const refused = await preflight(origin);
        assert.deepEqual([refused.status, refused.json?.code, corsOf(refused)], [403, 'origin_not_allowed', {}], origin);
        variesByOrigin(refused, origin);
    }
});

test('two Origin fields are none of the list', async () => {
    const head = (lines) => ['POST /api/public-actions/_/say HTTP/1.1', `Host: ${host}`, ...lines, 'Content-Length: 0', 'Connection: close', '', ''].join('\r\n');
    const port = Number(new URL(server.apps).port);
    assert.equal((await raw(port, head([`Origin: ${pages[0].origin}`]))).status, 200);
    for (const second of [pages[0].origin, pages[1].origin, 'null']) assert.equal((await raw(port, head([`Origin: ${pages[0].origin}`, `Origin: ${second}`]))).status, 403, second);
});

test('every answer varies by Origin; those for a listed page are its to read, refusals too', async () => {
    const friend = { origin: pages[0].origin };
    const answers = {
        ok: [say(friend), 200], throws: [ask('/api/public-actions/_/throws', { headers: friend }), 502], type: [say({ ...friend, 'content-type': 'text/plain', 'content-length': 2 }, { body: '{}' }), 415],
        json: [say(friend, { body: '[]' }), 400], method: [say(friend, { method: 'PUT' }), 405], name: [ask('/api/public-actions/_/a%20b', { headers: friend }), 400], options: [say(friend, { method: 'OPTIONS' }), 204],
    };
    for (const [what, [asked, status]] of Object.entries(answers)) {
        const answer = await asked;
        assert.equal(answer.status, status, `${what}: ${answer.text}`);
        variesByOrigin(answer, what);
        assert.equal(answer.headers['access-control-allow-origin'], pages[0].origin, what);
        assert.equal(answer.headers['access-control-allow-credentials'], undefined, what);
        for (const name of ['ratelimit', 'ratelimit-policy', 'retry-after', 'x-request-id']) assert.ok(answer.headers['access-control-expose-headers'].toLowerCase().split(', ').includes(name), `${what} ${name}`);
    }
    for (const [what, asked] of Object.entries({ same: say({ origin: `http://${host}` }), none: say({}), foreign: say({ origin: pages[1].origin }), nobody: ask('/api/public-actions/_/x/y', { headers: friend }),
        unknown: request(server.apps, { path: '/api/public-actions/nobody-00000000/say', method: 'POST', headers: { host: 'nobody-00000000.apps.localhost', 'content-length': 0, ...friend } }) })) {
        const answer = await asked;
        assert.deepEqual(corsOf(answer), {}, what);
        variesByOrigin(answer, what);
    }
    const moved = await request(`${server.apps}/api/public-actions/${app.instance.slug}/say`, { method: 'POST', headers: { 'content-length': 0, ...friend } });
    assert.equal(moved.status, 308, 'the apps origin only leads to the host');
    variesByOrigin(moved, 'moved');
});

test('what an owner may list: exact origins', async () => {
    for (const wrong of ['*', 'null', 'http://*.example.com', 'example.com', 'https://example.com/path', 'https://user@example.com', 'https://example.com?x', 'file:///x', 'https://', 'https://ex ample.com', ' https://example.com']) {
        const refused = await server.api('PATCH', `/api/public-apps/instances/${app.instance.id}`, { allowedOrigins: [wrong] });
        assert.equal(refused.status, 422, wrong);
    }
});

// What a page at that origin gets of the app's action.
const ATTEMPT = async ([where, options]) => {
    try {
        const answer = await fetch(where, options);
        return { status: answer.status, limit: answer.headers.get('ratelimit') !== null, policy: answer.headers.get('ratelimit-policy') !== null, after: answer.headers.get('retry-after') !== null, json: await answer.json() };
    } catch (error) {
        return error.name;
    }
};
const JSON_POST = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' };

test('Chromium: a listed page calls and reads, another does not, and nobody with credentials', async () => {
    const [friend, other] = await Promise.all(pages.map((p) => browser.open(p.origin)));
    const good = await friend.page.evaluate(ATTEMPT, [url(), JSON_POST]);
    assert.deepEqual(good, { status: 200, limit: true, policy: true, after: false, json: { success: true, data: { got: { a: 1 } } } });
    const failed = await friend.page.evaluate(ATTEMPT, [url('throws'), JSON_POST]);
    assert.deepEqual([failed.status, failed.json.code], [502, 'handler_error'], 'a refusal can be read');
    assert.equal(await friend.page.evaluate(ATTEMPT, [url(), { ...JSON_POST, credentials: 'include' }]), 'TypeError');
    assert.equal(await friend.page.evaluate(ATTEMPT, [url(), { ...JSON_POST, headers: { ...JSON_POST.headers, 'x-other': '1' } }]), 'TypeError');
    assert.equal(await friend.page.evaluate(ATTEMPT, [url(), { method: 'PUT' }]), 'TypeError');
    for (const options of [JSON_POST, { method: 'POST' }, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' }]) assert.equal(await other.page.evaluate(ATTEMPT, [url(), options]), 'TypeError');
    await Promise.all([friend, other].map((one) => one.context.close()));
});

test('Chromium: too many are told so, and when to come back', async () => {
    await set({ allowedOrigins: [pages[0].origin], rateLimits: { visitorAction: { perMinute: 6, burst: 1 } } });
    const { page, context } = await browser.open(pages[0].origin);
    let last;
    for (let i = 0; i < 12 && last?.status !== 429; ++i) last = await page.evaluate(ATTEMPT, [url(), { method: 'POST' }]); // no preflight before it
    assert.deepEqual([last.status, last.json.code, last.limit, last.after], [429, 'rate_limited', true, true]);
    await context.close();
    await set({ rateLimits: { visitorAction: rate(6000) } });
});

test('an origin that is taken off the list is refused at its next request', async () => {
    assert.equal((await say({ origin: pages[0].origin })).status, 200);
    await set({ allowedOrigins: [pages[1].origin] });
    assert.deepEqual([(await say({ origin: pages[0].origin })).status, (await say({ origin: pages[1].origin })).status], [403, 200]);
    await set({ allowedOrigins: [] });
    assert.equal((await say({ origin: pages[1].origin })).status, 403);
});
