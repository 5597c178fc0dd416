// A handler's fetch against the whole server: what it reaches, what it never does, and a request of our own that comes back to us.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { buildFolder, request, slowness, startServer } from '../harness/server.mjs';

const CODE = `
async function handler(input, context) {
  const { url, options, times, measure } = input.payload;
  try {
    let answer;
    for (let i = 0; i < (times || 1); ++i) answer = await context.fetch(url, options);
    if (measure) return { bytes: answer.body.length, truncated: answer.truncated };
    if (input.payload.look) return { n: answer.body.length, same: answer.body === answer.body[0].repeat(answer.body.length), first: answer.body[0], truncated: answer.truncated, members: Object.keys(answer) };
    return { answer, visitor: context.publicApp.visitorIp };
  } catch (error) {
    return { thrown: String(error.message), code: error.code };
  }
}
module.exports = { handler };
`;

let server, open, closed, act, slug;
const seen = [];
function listen(answer) {
    const s = http.createServer(answer);
    return new Promise((done) => { s.listen(0, '127.0.0.1', () => done(s)); });
}
const origin = (s) => `http://127.0.0.1:${s.address().port}`;
before(async () => {
    open = await listen((req, res) => {
        seen.push(req);
        if (req.url.startsWith('/to?')) res.writeHead(302, { location: decodeURIComponent(req.url.slice(4)) }).end();
        else if (req.url === '/large') res.end(Buffer.alloc(11 << 20, 'x'));
        else if (req.url.startsWith('/full?')) res.end(Buffer.alloc(10 << 20, Number(req.url.slice(6))));
        else if (req.url === '/bytes') res.end(Buffer.from([0xef, 0xbb, 0xbf, 0, 0x22, 0x5c, 0x0a, 0x7f, 0xc3, 0xa4, 0xff, 0xe2, 0x82, 0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0x80]));
        else res.writeHead(201, { 'x-answer': 'yes' }).end(`${req.method} ${req.url}`);
    });
    closed = await listen((req, res) => { seen.push(req); res.end('never'); });
    const more = /asan|tsan/.test(buildFolder()) ? { worker_memory: '1GiB' } : {}; // a sanitizer's build keeps what was freed for a while
    server = await startServer({ settings: { ...more, fetch_allow: `127.0.0.1:${open.address().port}`, trusted_proxies: '127.0.0.9', proxy_header: 'X-Forwarded-For' } });
    const made = await server.api('POST', '/api/plugins/import', pie('outbound', { 'index.html': 'page' }, { code: CODE }));
    assert.equal(made.status, 201, made.text);
    slug = made.json.instance.slug;
    act = async (payload, { headers = {}, ...more } = {}) => {
        const body = JSON.stringify(payload);
        const answer = await request(`${server.apps}/api/public-actions/${slug}/go`, {
            method: 'POST', body, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers }, ...more });
        return { ...answer, data: answer.json?.data };
    };
});
after(async () => {
    await server?.stop();
    for (const s of [open, closed]) {
        s?.closeAllConnections?.();
        s?.close();
    }
});

test('an answer comes whole', async () => {
    const { data, text } = await act({ url: `${origin(open)}/a?b=1`, options: { method: 'POST', headers: { 'X-Mine': 'v' }, body: 'hello' } });
    assert.equal(data?.answer?.status, 201, text);
    assert.equal(data.answer.ok, true);
    assert.equal(data.answer.body, 'POST /a?b=1');
    assert.equal(data.answer.headers['x-answer'], 'yes');
    const req = seen.at(-1);
    assert.equal(req.headers['x-mine'], 'v');
    assert.match(req.headers['cdn-loop'], /^stoa-/);
});

test('private addresses are refused, however they are reached', async () => {
    const before_ = seen.filter((r) => r.socket.localPort === closed.address().port).length;
    const port = closed.address().port;
    for (const url of [`http://127.0.0.1:${port}/`, `http://localhost:${port}/`, `http://2130706433:${port}/`, `http://[::ffff:127.0.0.1]:${port}/`, server.console,
        server.admin, server.apps, 'http://169.254.169.254/latest/meta-data/', `${origin(open)}/to?${encodeURIComponent(`http://127.0.0.1:${port}/`)}`]) {
        const { data, text } = await act({ url });
        assert.ok(data?.thrown, `${url}: ${text}`);
        assert.match(data.thrown, /public address/, url);
    }
    assert.equal(seen.filter((r) => r.socket.localPort === port).length, before_);
});

test('other schemes are refused', async () => {
    for (const url of ['file:///etc/passwd', 'ftp://127.0.0.1/', 'gopher://127.0.0.1:6379/_x', 'nonsense']) {
        const { data, text } = await act({ url });
        assert.ok(data?.thrown, `${url}: ${text}`);
    }
});

test('a body over 10 MB is cut', async () => {
    const { data, text } = await act({ url: `${origin(open)}/large`, measure: true });
    assert.deepEqual(data, { bytes: 10 * 1024 * 1024, truncated: true }, text);
});

test('the limit is of bytes, whatever they are: quotes, control characters, none that are text', { timeout: 120000 * slowness() }, async () => {
    for (const [byte, first] of [[0x22, '"'], [0x5c, '\\'], [1, '\x01'], [0, '\0'], [0xff, '\ufffd']]) {
        const { data, text } = await act({ url: `${origin(open)}/full?${byte}`, look: true }, { timeout: 60000 * slowness() });
        assert.deepEqual(data, { n: 10 << 20, same: true, first, members: ['ok', 'status', 'headers', 'body'] }, text);
    }
});

test('a body is UTF-8, each sequence that is none U+FFFD', async () => {
    const { data, text } = await act({ url: `${origin(open)}/bytes` });
    assert.equal(data?.answer?.body, '\ufeff\0"\\\n\x7fä\ufffd\ufffd😀\ufffd\ufffd\ufffd', text);
});

test('the eleventh call is refused', async () => {
    assert.equal((await act({ url: `${origin(open)}/n`, times: 10 })).data.answer.status, 201);
    assert.ok((await act({ url: `${origin(open)}/n`, times: 11 })).data.thrown);
});

test('a request of our own that comes back is 508', async () => {
    await act({ url: `${origin(open)}/mark` });
    const mark = seen.at(-1).headers['cdn-loop'];
    const answer = await act({ url: `${origin(open)}/x` }, { headers: { 'cdn-loop': `other.example;v=1, ${mark}` } });
    assert.equal(answer.status, 508, answer.text);
    assert.equal((await act({ url: `${origin(open)}/x` }, { headers: { 'cdn-loop': 'other.example' } })).status, 200);
});

test('the handler is told the visitor behind a trusted proxy', async () => {
    const forwarded = { 'x-forwarded-for': '1.1.1.1, 203.0.113.9' };
    assert.equal((await act({ url: `${origin(open)}/x` }, { headers: forwarded, localAddress: '127.0.0.9' })).data.visitor, '203.0.113.9');
    assert.equal((await act({ url: `${origin(open)}/x` }, { headers: forwarded })).data.visitor, '127.0.0.1');
});
