// Uploads where they meet a plugin: who may send one and how often, what onUpload is told and what becomes of its answer, context.files, and
// what the owner finds of it all. What a file may be, and how it is given back, is tried elsewhere.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { request, slowness, startServer, until } from '../harness/server.mjs';

const CODE = `
const doings = {
  echo: (input, context) => ({ input, app: Object.keys(context.publicApp).sort(), ip: context.publicApp.visitorIp, user: context.user.id }),
  respond: (input, context) => { context.publicApp.respond({ from: 'respond' }, { status: 201, headers: { 'X-Mine': 'a' } }); return { from: 'return' }; },
  nothing: () => undefined,
  decline: (input, context) => { context.publicApp.respond({ message: 'Too dark.' }, { status: 422 }); },
  refuse: () => ({ error: true, message: 'Not this one.', hint: 7 }),
  contradict: (input, context) => { context.publicApp.respond({ fine: true }); return { error: true }; },
  throw: () => { throw new TypeError('secret inner words'); },
  hang: () => { for (;;); },
  slow: async (input, context) => { await new Promise((done) => setTimeout(done, 700)); return 1; },
  get: async (input, context) => [await context.files.get(input.payload.file.fileId), await context.files.getUrl(input.payload.file.fileId)],
  remove: async (input, context) => context.files.delete(input.payload.file.fileId),
};
const told = (error) => ({ name: error.name, message: error.message, code: error.code });
async function onUpload(input, context) { return doings[input.payload.fields.do ?? 'nothing'](input, context); }
async function handler(input, context) {
  const { op, args, times } = input._publicAction ? input.payload : input.payload ?? input;
  if (op === 'many') {
    const ends = await Promise.all(Array.from({ length: times }, () => context.files.list().then(() => 'ok', (error) => error.code)));
    return ends.reduce((sum, end) => ({ ...sum, [end]: (sum[end] ?? 0) + 1 }), {});
  }
  if (op === 'large') return context.files.upload('large.bin', 'application/octet-stream', new Uint8Array(args[0]).fill(65)).then((f) => f.size, told);
  if (op === 'leave') { context.files.upload('left.txt', 'text/plain', btoa('left')); context.files.list(); return 'gone'; }
  return context.files[op](...args).catch(told);
}
module.exports = { handler, onUpload };
`;
const EVENTS = `manifest:
  heartbeatEvents:
    events:
      - id: file_came
        displayName: A file came
        matchers: [{source: public, actionId: upload}]
`;
const PAGE = { 'index.html': '<title>app</title>' };
const FOREIGN = 'https://www.example.com';

let server;
let app;
let address = 0;
before(async () => {
    server = await startServer({
        workers: 60, expectErrors: [/a handler worker ended reason=stuck/],
        settings: { trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For', upload_quota_bytes: '20MiB', handler_busy: `${1000 * slowness()}ms` },
    });
    app = await deploy('takes', { code: CODE, front: EVENTS });
});
after(() => server?.stop());

async function deploy(name, options) {
    const made = await server.api('POST', '/api/plugins/import', pie(name, PAGE, options));
    assert.equal(made.status, 201, made.text);
    return made.json;
}
async function set(made, settings) {
    const answer = await server.api('PATCH', `/api/public-apps/instances/${made.instance.id}`, settings);
    assert.equal(answer.status, 200, answer.text);
}

const BOUNDARY = 'edge-of-a-part';
function form(fields, filename = 'note.txt', content = 'a few words', type = 'text/plain') {
    const part = (head, body) => Buffer.concat([Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`), Buffer.from(body), Buffer.from('\r\n')]);
    return Buffer.concat([
        ...Object.entries(fields).map(([name, value]) => part(`name="${name}"`, value)),
        ...(filename === null ? [] : [part(`name="file"; filename="${filename}"\r\nContent-Type: ${type}`, content)]), Buffer.from(`--${BOUNDARY}--\r\n`),
    ]);
}
const visitor = () => `198.51.${100 + Math.floor(++address / 250)}.${address % 250 + 1}`; // each call a visitor of its own, unless told
function send(fields = {}, { to = app, from = visitor(), body = form(fields), headers = {}, method = 'POST', ...more } = {}) {
    return request(`${server.apps}/api/public-actions/${to.instance.slug}/upload`, {
        method, body, ...more, headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, 'content-length': body?.length ?? 0, 'x-forwarded-for': from, ...headers },
    });
}
const act = (payload, { to = app } = {}) => {
    const body = JSON.stringify(payload);
    return request(`${server.apps}/api/public-actions/${to.instance.slug}/do`, {
        method: 'POST', body, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'x-forwarded-for': visitor() } });
};
const files = async (made = app) => (await server.api('GET', `/api/files?instance=${made.instance.id}&limit=100`)).json.data;
const isThere = async (id) => (await server.api('GET', `/api/files/${id}`)).status === 200;
const runs = async (made, query = '') => (await server.api('GET', `/api/public-apps/instances/${made.instance.id}/runs?action=upload${query}`)).json.data;
const events = async (made) => (await server.api('GET', `/api/public-apps/instances/${made.instance.id}/events?limit=100`)).json.data.filter((e) => e.type === 'file_came');
const runOf = async (answer, made = app) => {
    const run = await until(async () => (await runs(made, '&limit=100')).find((r) => r.requestId === answer.headers['x-request-id']), 'the run');
    return (await server.api('GET', `/api/runs/${run.id}`)).json;
};

describe('what onUpload is told, and what its answer becomes', () => {
    test('its input has exactly the documented members', async () => {
        const answer = await send({ do: 'echo', title: 'Grüße', ['__proto__']: 'x' }, { from: '198.51.99.1' });
        assert.equal(answer.status, 200, answer.text);
        const { result, ...file } = answer.json.data;
        assert.deepEqual(Object.keys(file).sort(), ['fileId', 'filename', 'mimeType', 'sha256', 'size', 'url']);
        assert.deepEqual([file.filename, file.mimeType, file.size], ['note.txt', 'text/plain', 11]);
        assert.deepEqual(result.input, { _publicAction: true, actionId: 'upload', payload: { file, fields: { do: 'echo', title: 'Grüße', ['__proto__']: 'x' } },
            instanceId: app.instance.id, visitorIp: '198.51.99.1' });
        assert.deepEqual([result.app, result.ip], [['instanceId', 'respond', 'visitorIp'], '198.51.99.1']);
        assert.equal((await request(file.url)).text, 'a few words');
        assert.equal(answer.headers['cache-control'], 'no-store');
    });
    test('what it returns or responds is data.result; nothing is nothing', async () => {
        const answer = await send({ do: 'respond' });
        assert.deepEqual([answer.status, answer.headers['x-mine'], answer.json.success], [201, 'a', true]);
        assert.deepEqual(answer.json.data.result, { from: 'respond' });
        const nothing = await send({ do: 'nothing' });
        assert.deepEqual([nothing.status, 'result' in nothing.json.data], [200, false]);
        assert.ok(await isThere(nothing.json.data.fileId));
    });
    test('error: true is for the visitor to read, and deletes the file', async () => {
        const before_ = (await files()).length;
        const answer = await send({ do: 'refuse' });
        assert.equal(answer.status, 200);
        assert.deepEqual(answer.json, { success: false, error: true, message: 'Not this one.', data: { error: true, message: 'Not this one.', hint: 7 } });
        assert.equal((await runOf(answer)).outcome, 'reported_error');
        const other = await send({ do: 'contradict' });
        assert.deepEqual([other.json.success, other.json.error], [false, true]);
        await until(async () => (await files()).length === before_, 'both files to go');
    });
    test('a 4xx is no success either: the file goes, and nothing is told of it', async () => {
        const before_ = [(await files()).length, (await events(app)).length];
        const answer = await send({ do: 'decline' });
        assert.deepEqual([answer.status, answer.json], [422, { success: false, error: true, message: 'Too dark.', data: { message: 'Too dark.' } }]);
        assert.equal((await runOf(answer)).outcome, 'reported_error');
        await until(async () => (await files()).length === before_[0], 'the file to go');
        assert.equal((await events(app)).length, before_[1]);
    });
    test('what was refused takes no room', async () => {
        const small = await deploy('room', { code: CODE });
        const much = form({ do: 'refuse' }, 'a.txt', 'x'.repeat(9 << 20));
        for (let i = 0; i < 4; ++i) { // 36 MiB through 20
            assert.equal((await send({}, { to: small, body: much })).json.error, true);
            await until(async () => (await files(small)).length === 0, 'the file to go');
        }
        assert.equal((await send({}, { to: small, body: form({}, 'a.txt', 'x'.repeat(9 << 20)) })).status, 200);
    });
    test('a handler that fails: the visitor is told so, and nothing is kept', async () => {
        const before_ = (await files()).length;
        const threw = await send({ do: 'throw' });
        assert.deepEqual([threw.status, threw.json.code], [502, 'handler_error']);
        assert.ok(!threw.text.includes('inner words'), threw.text);
        assert.equal((await runOf(threw)).error.message, 'secret inner words');
        const hung = await send({ do: 'hang' });
        assert.deepEqual([hung.status, hung.json.code], [504, 'handler_timeout'], hung.text);
        await until(async () => (await files()).length === before_, 'the files to go');
    });
    test('code without onUpload, and no code, take uploads all the same', async () => {
        for (const [name, code, to] of [['plain', 'module.exports = { handler: async () => ({ not: "asked" }) };'], ['says', '// onUpload\nmodule.exports = { handler: async () => 1, notOnUpload: 1 };'], ['codeless', '']]) {
            const made = await deploy(name, { code, front: EVENTS });
            const answer = await send({}, { to: made });
            assert.equal(answer.status, 200, `${name}: ${answer.text}`);
            assert.deepEqual([answer.json.success, 'result' in answer.json.data], [true, false], name);
            assert.ok(await isThere(answer.json.data.fileId), name);
            const run = await runOf(answer, made);
            assert.deepEqual([run.action, run.source, run.outcome], ['upload', 'public', 'ok'], name);
            assert.equal((await events(made)).length, 1, name);
            assert.equal(to, undefined);
        }
    });
    test('a visitor who leaves ends neither the upload nor the run', async () => {
        const made = await deploy('left', { code: CODE });
        const body = form({ do: 'slow' });
        await assert.rejects(send({}, { to: made, body, timeout: 300 }), /took more than/);
        await until(async () => (await runs(made)).length === 1, 'the run');
        assert.deepEqual([(await runs(made))[0].outcome, (await files(made)).length], ['ok', 1]);
    });
});

describe('what the owner finds', () => {
    test('an event for every upload that is kept, and for no other', async () => {
        const made = await deploy('beats', { code: CODE, front: EVENTS });
        const kept = await send({ do: 'echo', name: 'a' }, { to: made });
        assert.equal((await events(made)).length, 1, 'committed before the answer');
        for (const fields of [{ do: 'refuse' }, { do: 'throw' }]) await send(fields, { to: made });
        await send({}, { to: made, body: form({}, 'a.html', '<script>1</script>', 'text/html') });
        await send({}, { to: made, body: form({}, null) });
        await until(async () => (await runs(made)).length === 5, 'all runs');
        const [event] = await events(made);
        assert.equal((await events(made)).length, 1);
        assert.deepEqual(event.data.input.payload.file.fileId, kept.json.data.fileId);
        assert.deepEqual(event.data.input.payload.fields, { do: 'echo', name: 'a' });
    });
    test('a run of every refusal, with its reason', async () => {
        const made = await deploy('reasons', { code: CODE });
        const cases = [[form({}, 'a.html', '<script>1</script>', 'text/html'), 415, 'type_not_allowed'], [form({}, null), 422, 'no_file'], [form({}, 'a.txt', ''), 422, 'empty_file'],
            [Buffer.concat([form({}, 'a.txt', 'x').subarray(0, -10 - BOUNDARY.length)]), 400, undefined]];
        for (const [body, status, code] of cases) {
            const answer = await send({}, { to: made, body });
            assert.deepEqual([answer.status, code ?? answer.json.code], [status, answer.json.code], answer.text);
            const run = await runOf(answer, made);
            assert.deepEqual([run.outcome, run.error.name, run.error.message, run.inputBytes], ['refused', answer.json.code, answer.json.message, body.length]);
        }
        assert.equal((await runs(made, '&outcome=refused')).length, cases.length);
        assert.equal((await files(made)).length, 0);
    });
});

describe('what is decided before anybody looks into a file', () => {
    test('address, method, type and size', async () => {
        const cases = [
            ['another method', () => send({}, { method: 'PUT' }), 405, 'method_not_allowed'],
            ['JSON', () => send({}, { body: Buffer.from('{}'), headers: { 'content-type': 'application/json' } }), 415, 'unsupported_media_type'],
            ['no type', () => send({}, { headers: { 'content-type': '' } }), 415, 'unsupported_media_type'],
            ['a foreign page', () => send({}, { headers: { origin: FOREIGN } }), 403, 'origin_not_allowed'],
            ['nobody\'s app', () => send({}, { to: { instance: { slug: 'nobody-00000000' } } }), 404, 'instance_not_found'],
            ['no boundary', () => send({}, { headers: { 'content-type': 'multipart/form-data' } }), 400, undefined],
            ['a file over 10 MiB', () => send({}, { body: form({}, 'a.txt', 'x'.repeat((10 << 20) + 1)) }), 413, 'file_too_large'],
        ];
        for (const [what, ask, status, code] of cases) {
            const answer = await ask();
            assert.deepEqual([answer.status, code ?? answer.json.code], [status, answer.json.code], `${what}: ${answer.text}`);
            assert.match(answer.headers.vary, /Origin/, what);
        }
        assert.equal((await send({}, { method: 'PUT' })).headers.allow, 'POST, OPTIONS');
    });
    test('a body that is announced too large is not waited for', async () => {
        const answer = await send({}, { body: undefined, headers: { 'content-length': 11 << 20, expect: '100-continue' } }).catch((error) => error);
        assert.deepEqual([answer.status, answer.json?.code], [413, 'file_too_large'], answer.text ?? String(answer));
        const small = await request(`${server.apps}/api/public-actions/${app.instance.slug}/other`, { method: 'POST', body: 'x'.repeat((1 << 20) + 1), headers: { 'content-length': (1 << 20) + 1 } });
        assert.deepEqual([small.status, small.json.code], [413, 'body_too_large'], 'elsewhere the bound is an action\'s');
    });
    test('a page of another origin may read why a body was refused before it was read', async () => {
        const announce = (path, length) => request(`${server.apps}${path}`, { method: 'POST', headers: { origin: FOREIGN, 'content-length': length, expect: '100-continue' } });
        for (const [name, length] of [['upload', 11 << 20], ['other', 2 << 20]]) {
            const answer = await announce(`/api/public-actions/${app.instance.slug}/${name}`, length);
            assert.deepEqual([answer.status, answer.headers['access-control-allow-origin'], answer.headers['access-control-allow-credentials']], [413, '*', undefined], name);
            assert.match(answer.headers['access-control-expose-headers'], /X-Request-Id/);
            assert.match(answer.headers.vary, /Origin/);
        }
        const page = await announce(`/apps/takes/${app.instance.slug}/`, 2 << 20);
        assert.deepEqual([page.status, page.headers['access-control-allow-origin']], [413, undefined], 'nobody sends there');
    });
    test('another origin may send when the owner lists it', async () => {
        const made = await deploy('listed', { code: CODE });
        await set(made, { allowedOrigins: [FOREIGN] });
        const asked = await send({}, { to: made, method: 'OPTIONS', body: undefined, headers: { origin: FOREIGN, 'access-control-request-method': 'POST' } });
        assert.deepEqual([asked.status, asked.headers['access-control-allow-origin'], asked.headers['access-control-allow-methods']], [204, FOREIGN, 'POST']);
        for (const fields of [{}, { do: 'throw' }]) assert.equal((await send(fields, { to: made, headers: { origin: FOREIGN } })).headers['access-control-allow-origin'], FOREIGN);
        const refused = await send({}, { to: made, body: form({}, null), headers: { origin: FOREIGN } });
        assert.deepEqual([refused.status, refused.headers['access-control-allow-origin']], [422, FOREIGN], 'the page may read why');
        assert.equal((await send({}, { to: made, headers: { origin: 'https://other.example' } })).status, 403);
    });
});

describe('how often', () => {
    const left = (answer, name) => Number(new RegExp(`"${name}";r=(\\d+)`).exec(answer.headers.ratelimit)?.[1]);
    test('twenty files an hour, and what the headers say of it', async () => {
        const made = await deploy('often', {});
        const from = '192.0.2.1';
        const first = await send({}, { to: made, from });
        assert.match(first.headers['ratelimit-policy'], /"uploads";q=20;w=3600, "upload-bytes";q=104857600;qu="content-bytes";w=3600/);
        assert.deepEqual([left(first, 'uploads'), left(first, 'upload-bytes')], [19, 104857600 - form({}).length]);
        for (const options of [{ method: 'OPTIONS' }, { method: 'PUT' }, { headers: { 'content-type': 'text/plain' } }, { headers: { origin: FOREIGN } }]) {
            const other = await send({}, { to: made, from, ...options });
            assert.ok(Number.isNaN(left(other, 'uploads')) && !Number.isNaN(left(other, 'visitor')), 'not an upload: an action\'s limits');
        }
        let more = 1;
        for (let i = 0; i < 25; ++i) more += (await send({}, { to: made, from })).status === 200;
        assert.equal(more, 20);
        const refused = await send({}, { to: made, from });
        assert.deepEqual([refused.status, refused.json.code], [429, 'rate_limited']);
        assert.match(refused.json.message, /try again in [23] minutes\.$/);
        assert.ok(Number(refused.headers['retry-after']) > 100 && Number(refused.headers['retry-after']) <= 180, refused.headers['retry-after']);
        assert.equal((await send({}, { to: made, from: '192.0.2.2' })).status, 200, 'another visitor');
        assert.equal((await files(made)).length, 21);
    });
    test('as the owner sets it; one file always fits', async () => {
        const made = await deploy('bytes', {});
        await set(made, { uploads: { filesPerHour: 3, bytesPerHour: 1 << 20 } });
        const from = '192.0.2.3';
        const large = form({}, 'a.txt', 'x'.repeat(9 << 20));
        assert.equal((await send({}, { to: made, from, body: large })).status, 200);
        const refused = await send({}, { to: made, from, body: large });
        assert.match(refused.headers.ratelimit, /"upload-bytes";r=\d+;t=\d+/);
        assert.equal(refused.status, 429);
        assert.equal((await send({}, { to: made, from })).status, 200);
        assert.equal((await send({}, { to: made, from })).status, 200);
        assert.equal((await send({}, { to: made, from })).status, 429, 'the fourth file');
        await set(made, { uploads: { filesPerHour: 30, bytesPerHour: null } });
        assert.equal((await send({}, { to: made, from, body: large })).status, 200, 'what is widened is wider at once');
    });
});

describe('context.files', () => {
    const ask = async (op, ...args) => (await act({ op, args })).json.data;
    test('there and back', async () => {
        const file = await ask('upload', 'chart.csv', 'text/csv', Buffer.from('a,b\n1,2\n').toString('base64'));
        assert.deepEqual(Object.keys(file).filter((k) => k !== 'createdAt').sort(), ['description', 'filename', 'id', 'mimeType', 'originalFilename', 'size', 'tags', 'url']);
        assert.deepEqual([file.originalFilename, file.mimeType, file.size, file.tags, file.description], ['chart.csv', 'text/csv', 8, [], '']);
        const got = await ask('get', file.id);
        assert.deepEqual({ ...got, url: '' , createdAt: '' }, { ...file, url: '', createdAt: '' });
        assert.match(got.createdAt, /^\d{4}-.*Z$/);
        const url = await ask('getUrl', file.id);
        assert.equal((await request(url)).text, 'a,b\n1,2\n');
        assert.ok((await ask('list')).some((f) => f.id === file.id));
        assert.deepEqual((await ask('list', 'image/*')).filter((f) => f.id === file.id), []);
        assert.ok((await ask('list', 'text/*')).some((f) => f.id === file.id));
        assert.equal(await ask('delete', file.id), true);
        assert.equal((await ask('get', file.id)).code, 'not_found');
        assert.equal(await isThere(file.id), false);
    });
    test('bytes as well as base64, and what is neither', async () => {
        assert.equal((await act({ op: 'large', args: [1000] })).json.data, 1000);
        assert.equal((await ask('upload', 'a.txt', 'text/plain', 'no base64!')).code, 'invalid_file');
        assert.equal((await ask('upload', 'a.txt', 'text/plain')).name, 'TypeError');
    });
    test('10 MiB and no byte more', async () => {
        const made = await deploy('large', { code: CODE });
        assert.equal((await act({ op: 'large', args: [10 << 20] }, { to: made })).json.data, 10 << 20);
        assert.equal((await act({ op: 'large', args: [(10 << 20) + 1] }, { to: made })).json.data.code, 'file_too_large');
        assert.equal((await act({ op: 'large', args: [50 << 20] }, { to: made })).json.data.code, 'file_too_large');
        await act({ op: 'large', args: [9 << 20] }, { to: made });
        const full = (await act({ op: 'large', args: [9 << 20] }, { to: made })).json.data;
        assert.deepEqual([full.code, /quota/.test(full.message)], ['quota_exceeded', true], full.message);
        const visitors = await send({}, { to: made, body: form({}, 'a.txt', 'x'.repeat(9 << 20)) });
        assert.deepEqual([visitors.status, visitors.json.code], [507, 'quota_exceeded'], 'one quota for both');
    });
    test('in onUpload, of the file that has just come', async () => {
        const answer = await send({ do: 'get' });
        const [file, url] = answer.json.data.result;
        assert.deepEqual([file.id, file.originalFilename], [answer.json.data.fileId, 'note.txt']);
        assert.equal((await request(url)).text, 'a few words');
        const removed = await send({ do: 'remove' });
        assert.deepEqual([removed.status, removed.json.data.result], [200, true], removed.text);
        assert.equal(await isThere(removed.json.data.fileId), false);
    });
    test('only the plugin\'s own', async () => {
        const stranger = await deploy('stranger', { code: CODE });
        const { fileId } = (await send({})).json.data;
        for (const op of ['get', 'getUrl', 'delete'])
            assert.equal((await act({ op, args: [fileId] }, { to: stranger })).json.data.code, 'not_found', op);
        assert.deepEqual((await act({ op: 'list', args: [] }, { to: stranger })).json.data, []);
        assert.ok(await isThere(fileId));
        assert.equal((await ask('get', fileId)).id, fileId);
    });
    test('in tool and widget runs, too', async () => {
        const { fileId } = (await send({})).json.data;
        const tool = await server.api('POST', `/api/plugins/${app.plugin.id}/instances/${app.instance.id}/tool`, { op: 'get', args: [fileId] });
        assert.equal(tool.json.result?.id, fileId, tool.text);
        const widget = await server.api('POST', `/api/plugins/${app.plugin.id}/instances/${app.instance.id}/widget-actions/look`, { op: 'get', args: [fileId] });
        assert.equal(widget.json.result?.id, fileId, widget.text);
    });
    test('a hundred questions a run; what nobody waits for any more ends with the run', async () => {
        const quiet = await deploy('quiet', { code: CODE });
        assert.deepEqual((await act({ op: 'many', times: 103 }, { to: quiet })).json.data, { ok: 100, too_many_files_calls: 3 });
        assert.equal((await act({ op: 'leave' }, { to: quiet })).json.data, 'gone');
        assert.equal((await act({ op: 'many', times: 1 }, { to: quiet })).json.data.ok, 1);
    });
});

describe('on hosts of their own', () => {
    let hosts;
    let made;
    before(async () => {
        hosts = await startServer({ settings: { instance_domain: 'apps.localhost' } });
        made = (await hosts.api('POST', '/api/plugins/import', pie('hosted', PAGE, { code: CODE, front: EVENTS }))).json;
    });
    after(() => hosts?.stop());
    const port = () => new URL(hosts.apps).port;
    const at = (host, path, body = form({ do: 'echo' })) => request(hosts.apps, { path, method: 'POST', body,
        headers: { host: `${host}:${port()}`, origin: `http://${host}:${port()}`, 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, 'content-length': body.length } });
    const list = async (what) => (await hosts.api('GET', `/api/public-apps/instances/${made.instance.id}/${what}?limit=100`)).json.data;

    test('the host stands for its instance', async () => {
        const host = `${made.instance.slug}.apps.localhost`;
        for (const instance of ['_', '', made.instance.slug, made.instance.id, 'no-such-app']) {
            const answer = await at(host, `/api/public-actions/${instance}/upload`);
            assert.equal(answer.status, 200, `${instance}: ${answer.text}`);
            assert.equal(answer.json.data.result.input.instanceId, made.instance.id);
            assert.ok(answer.json.data.url.startsWith(`http://${host}:${port()}/files/`), answer.json.data.url);
        }
        const large = form({}, 'a.txt', 'x'.repeat(2 << 20));
        assert.equal((await at(host, '/api/public-actions//upload', large)).status, 200, 'as large as elsewhere');
        const moved = await at(new URL(hosts.apps).hostname, `/api/public-actions/${made.instance.slug}/upload`);
        assert.deepEqual([moved.status, moved.headers.location], [308, `http://${host}:${port()}/api/public-actions/_/upload`]);
    });
    test('a preview\'s uploads are kept like any, marked, and raise no event', async () => {
        const [before_, count] = [(await list('events')).length, (await list('runs')).length];
        const answer = await at(`p-${made.deployment.id}.apps.localhost`, '/api/public-actions/_/upload');
        assert.equal(answer.status, 200, answer.text);
        assert.equal((await hosts.api('GET', `/api/files/${answer.json.data.fileId}`)).status, 200);
        const [run] = await until(async () => {
            const all = await list('runs');
            return all.length > count && all;
        }, 'the run');
        assert.deepEqual([run.action, run.preview, run.outcome], ['upload', true, 'ok']);
        assert.equal((await list('events')).length, before_);
    });
});
