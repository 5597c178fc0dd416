// Actions on the wire (contract §1 and §4): methods, types and sizes over both protocols, JSON that means mischief, /self, and a handler that
// calls its own app.
import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import { after, before, test } from 'node:test';
import { raw } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { request, startServer, until } from '../harness/server.mjs';

const MIB = 1 << 20;
const CODE = `
const act = {
  echo: (input) => input,
  size: (input) => JSON.stringify(input.payload).length,
  keys: (input) => ({ own: Object.keys(input.payload), a: input.payload.a, admin: ({}).admin, inherited: input.payload.admin, top: Object.keys(input).sort(), list: [].admin, fn: (() => 0).admin }),
  sleep: async () => { await new Promise((done) => setTimeout(done, 300)); return 'slept'; },
  again: async (input, context) => { const a = await context.fetch(input.payload.url, { method: 'POST', headers: input.payload.headers }); return { status: a.status, body: a.body }; },
};
module.exports = { handler: (input, context) => act[input.actionId](input, context) };`;
const rate = { perMinute: 600000, burst: 600000 };
let server; // instances on hosts of their own, and by path on the other
let paths;
let proxy; // somebody's proxy in front of us, which handlers may reach
let app;
let host;
before(async () => {
    proxy = http.createServer((asked, answer) => {
        const onward = http.request(`${paths.apps}${asked.url}`, { method: asked.method, agent: false, headers: { ...asked.headers, host: new URL(paths.apps).host } }, (got) => { answer.writeHead(got.statusCode, { ...got.headers, connection: 'close' }); got.pipe(answer); });
        asked.pipe(onward);
    });
    await new Promise((done) => { proxy.listen(0, '127.0.0.1', done); });
    [server, paths] = await Promise.all([startServer({ settings: { instance_domain: 'apps.localhost' } }), startServer({ settings: { fetch_allow: `127.0.0.1:${proxy.address().port}` } })]);
    const deploy = async (on) => {
        const made = await on.api('POST', '/api/plugins/import', pie('wire', { 'index.html': 'page' }, { code: CODE }));
        assert.equal(made.status, 201, made.text);
        const set = await on.api('PATCH', `/api/public-apps/instances/${made.json.instance.id}`, { rateLimits: { visitorAction: rate, visitor: rate, instance: rate } });
        assert.equal(set.status, 200, set.text);
        return made.json;
    };
    app = await deploy(paths);
    app.hosted = await deploy(server);
    host = new URL(app.hosted.publicAppUrl).host;
});
after(async () => {
    proxy?.close();
    proxy?.closeAllConnections?.();
    await Promise.all([server?.stop(), paths?.stop()]);
});

const where = (action) => `/api/public-actions/${app.instance.slug}/${action}`;
const call = (action, body, { type = 'application/json', method = 'POST', headers = {} } = {}) => request(paths.apps + where(action), {
    method, body, headers: { ...(type === null ? {} : { 'content-type': type }), ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }), ...headers } });
/** One HTTP/2 request: {status, headers, text, json}; `cancel`: reset after so many ms. */
const call2 = (session, action, body, { method = 'POST', type = 'application/json', cancel } = {}) => new Promise((resolve, reject) => {
    const stream = session.request({ ':method': method, ':path': where(action), ...(body === undefined ? {} : { 'content-type': type }) }, { endStream: body === undefined });
    let head;
    let text = '';
    stream.setEncoding('utf8').on('response', (h) => { head = h; }).on('data', (part) => { text += part; });
    stream.on('error', (error) => (cancel === undefined && !head ? reject(error) : resolve({ status: 'reset' })));
    stream.on('end', () => { let json; try { json = JSON.parse(text); } catch { /* none */ } resolve({ status: head?.[':status'], headers: head, text, json }); });
    if (body !== undefined) stream.end(body);
    if (cancel !== undefined) setTimeout(() => { stream.close(http2.constants.NGHTTP2_CANCEL); resolve({ status: 'reset' }); }, cancel);
});
async function over2(what) {
    const session = http2.connect(paths.apps);
    session.on('error', () => {});
    try { return await what(session); } finally { await new Promise((done) => { session.close(done); setTimeout(() => { session.destroy(); done(); }, 1000); }); }
}

test('over HTTP/2: a hundred at once on one connection, and one that is reset goes on', async () => {
    await over2(async (session) => {
        const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => call2(session, 'echo', JSON.stringify({ n }))));
        for (const [n, answer] of answers.entries()) assert.deepEqual([answer.status, answer.json?.data.payload], [200, { n }], answer.text);
        assert.match(answers[0].headers['ratelimit-policy'], /"action";q=/);
        assert.deepEqual((await call2(session, 'echo')).json.data.payload, {});
        for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) assert.deepEqual([(await call2(session, 'echo', undefined, { method })).status, method], [405, method]);
        await Promise.all(Array.from({ length: 5 }, () => call2(session, 'sleep', '{}', { cancel: 50 })));
        assert.equal((await call2(session, 'echo', '{}')).status, 200, 'the connection lives');
    });
    await until(async () => (await paths.api('GET', `/api/public-apps/instances/${app.instance.id}/runs?action=sleep`)).json.data.filter((r) => r.outcome === 'ok').length === 5, 'the five runs');
});

test('1 MiB is taken and a byte more is not, on both protocols, with and without a length', async () => {
    const body = (n) => `{"a":"${'x'.repeat(n - 8)}"}`;
    assert.equal(Buffer.byteLength(body(MIB)), MIB);
    assert.equal((await call('size', body(MIB))).json?.data, MIB);
    const refused = await call('size', body(MIB + 1));
    assert.deepEqual([refused.status, refused.json.code], [413, 'body_too_large']);
    const unsized = (n) => request(paths.apps + where('size'), { method: 'POST', body: body(n), headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' } });
    assert.equal((await unsized(MIB)).json?.data, MIB);
    const chunked = await unsized(MIB + 1).catch((error) => ({ status: error.code }));
    assert.ok([413, 'EPIPE', 'ECONNRESET'].includes(chunked.status), String(chunked.status));
    await over2(async (session) => {
        assert.equal((await call2(session, 'size', body(MIB))).json?.data, MIB);
        assert.equal((await call2(session, 'size', body(MIB + 1))).status, 413);
        assert.equal((await call2(session, 'size', '{}')).json?.data, 2);
    });
});

test('other methods are 405 with Allow; HEAD has no body', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']) {
        const answer = await call('echo', undefined, { method, type: null });
        assert.deepEqual([answer.status, answer.headers.allow], [405, 'POST, OPTIONS'], method);
        if (method === 'HEAD') assert.equal(answer.body.length, 0);
        else assert.equal(answer.json.code, 'method_not_allowed');
    }
    const options = await call('echo', undefined, { method: 'OPTIONS', type: null });
    assert.deepEqual([options.status, options.headers.allow], [204, 'POST, OPTIONS']);
});

test('application/json, however it is written, and nothing else', async () => {
    for (const type of ['application/json', 'APPLICATION/JSON', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'application/json ; charset=utf-8', 'Application/Json;']) assert.equal((await call('echo', '{}', { type })).status, 200, type);
    for (const type of ['text/plain', 'text/json', 'application/jsonx', 'application/x-json', 'application/json, text/plain', 'text/plain; application/json', 'application/ json', 'application/problem+json', 'multipart/form-data; boundary=x', 'json', '', null]) {
        const answer = await call('echo', '{}', { type });
        assert.deepEqual([answer.status, answer.json?.code], [415, 'unsupported_media_type'], String(type));
    }
    const head = ['POST ' + where('echo') + ' HTTP/1.1', `Host: ${new URL(paths.apps).host}`, 'Content-Type: application/json', 'Content-Type: text/plain', 'Content-Length: 2', 'Connection: close', '', '{}'].join('\r\n');
    assert.equal((await raw(Number(new URL(paths.apps).port), head)).status, 415, 'two types are none');
});

test('names that mean something to the language are names', async () => {
    const mischief = '{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"a":1,"a":2,"toString":1,"actionId":"size","visitorIp":"6.6.6.6"}';
    for (let round = 0; round < 2; ++round) {
        const { data } = (await call('keys', mischief)).json;
        assert.deepEqual(data, { own: ['__proto__', 'constructor', 'a', 'toString', 'actionId', 'visitorIp'], a: 2, top: ['_publicAction', 'actionId', 'instanceId', 'payload', 'visitorIp'] }, 'the last of two counts; nothing is inherited');
    }
    const { data } = (await call('echo', mischief)).json;
    assert.deepEqual([data.actionId, data.visitorIp, data.instanceId], ['echo', '127.0.0.1', app.instance.id]);
});

test('JSON at its edges', async () => {
    const deep = (n) => `{"a":${'['.repeat(n)}${']'.repeat(n)}}`;
    const good = ['{"a":"\\u0000\\ud800\u2028"}', '{"a":1e999}', '{"a":-0}', '{"":{}}', ' \t\r\n{}\n ', deep(190), '{"a":12345678901234567890}', '{"\\u0061":1}'];
    for (const body of good) assert.equal((await call('echo', body)).status, 200, body.slice(0, 50));
    const bad = ['{}{}', '{},"instanceId":"x"', '{"a":1}}', '\ufeff{}', '{"a":1,}', "{'a':1}", '{"a":NaN}', '{"a":+1}', '{"a":01}', '{"a":"\u0001"}', '{"a":"\\x41"}', '/**/{}', '{"a":.5}', '{"a":1.}', '{"a":tru}', '{', 'null', '1', '"{}"', ' ', deep(100000), '{"a":"\\ud8"}'];
    for (const body of bad) {
        const answer = await call('echo', body);
        assert.deepEqual([answer.status, answer.json?.code], [400, 'invalid_json'], body.slice(0, 50));
    }
    for (const bytes of [[0x7b, 0x22, 0xc0, 0x80, 0x22, 0x3a, 0x31, 0x7d], [0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d], [0x7b, 0x00, 0x7d]]) assert.equal((await call('echo', Buffer.from(bytes))).status, 400, String(bytes));
});

test('GET /api/public-apps/self tells a host its instance, and nothing on the apps origin', async () => {
    const ask = (more = {}) => request(server.apps, { path: '/api/public-apps/self', headers: { host }, ...more });
    const self = await ask();
    assert.deepEqual([self.status, self.json], [200, { instanceId: app.hosted.instance.id, instanceSlug: app.hosted.instance.slug, pluginSlug: 'wire' }]);
    const head = await ask({ method: 'HEAD' });
    assert.deepEqual([head.status, head.body.length], [200, 0]);
    assert.deepEqual([(await ask({ method: 'POST' })).status, (await ask({ method: 'OPTIONS' })).status], [405, 204]);
    assert.equal((await ask({ path: '/api/public-apps/other' })).status, 404);
    assert.equal((await ask({ headers: { host: `nobody-00000000.apps.localhost` } })).status, 404);
    for (const on of [server, paths]) assert.equal((await request(`${on.apps}/api/public-apps/self`)).status, 404);
});

test('a handler that calls its own app is told 508, by whatever way it comes', async () => {
    const url = `http://127.0.0.1:${proxy.address().port}${where('echo')}`;
    const { data } = (await call('again', JSON.stringify({ url }))).json;
    assert.equal(data.status, 508);
    assert.equal(JSON.parse(data.body).code, 'loop_detected');
    for (const headers of [{ 'CDN-Loop': '' }, { 'cdn-loop': 'somebody' }, { 'Cdn-Loop': 'x\r\ny: z' }]) {
        const answer = await call('again', JSON.stringify({ url, headers }));
        assert.notEqual(answer.json.data?.status, 200, JSON.stringify(headers));
    }
    const page = await call('again', JSON.stringify({ url: `http://127.0.0.1:${proxy.address().port}/apps/wire/${app.instance.slug}/` }));
    assert.equal(page.json.data.status, 405, 'pages know no POST; they may be fetched');
    assert.equal((await call('echo', '{}')).status, 200);
});
