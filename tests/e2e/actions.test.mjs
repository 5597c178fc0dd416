// Public actions as visitors meet them (contract §4): addresses, bodies, envelopes, failures, origins, limits; and the owner's runs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startNamed, visit } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { request, slowness, startServer, until } from '../harness/server.mjs';

const CODE = `
let calls = 0;
const actions = {
  echo: (input) => ({ input }),
  none: () => undefined,
  text: () => 'just text',
  refuse: (input, context) => { context.publicApp.respond({ error: true, message: 'Not today.', hint: 7 }); return { success: true }; },
  both: (input, context) => { context.publicApp.respond({ from: 'respond' }); return { from: 'return' }; },
  twice: (input, context) => { context.publicApp.respond(1); context.publicApp.respond(2); },
  late: async (input, context) => { await new Promise((done) => setTimeout(done, 50)); return { late: true }; },
  status: (input, context) => context.publicApp.respond({ made: true }, input.payload),
  busy: () => { throw Object.assign(new Error('all in use'), { code: 'managed_db_busy' }); },
  throws: () => { throw new TypeError('secret inner words'); },
  crash: () => { const hold = []; for (;;) hold.push(new Array(1e6).fill(hold.length)); },
  count: () => ++calls,
  context: (input, context) => ({ user: context.user, app: Object.keys(context.publicApp).sort(), ip: context.publicApp.visitorIp,
    id: context.publicApp.instanceId, config: context.userConfig, secrets: context.secrets }),
  big: (input) => 'x'.repeat(input.payload.n),
  log: () => { console.log('a line', { of: 'the log' }); console.error('another'); return true; },
};
async function handler(input, context) {
  if (input._widgetAction) {
    await context.widget.show({ screen: input.actionId });
    context.widget.update({ step: 2 });
    if (input.actionId === 'trigger') return { _triggerToolCall: { action: 'background', n: 3 } };
    if (input.actionId === 'trigger_badly') return { error: true, message: 'No.', _triggerToolCall: { action: 'never' } };
    if (input.actionId === 'boom') throw new Error('the widget broke');
    return { seen: input, app: context.publicApp, actor: context.actor };
  }
  if (!input._publicAction) return { tool: input, kind: 'tool' };
  const action = actions[input.actionId];
  if (!action) { context.publicApp.respond({ error: true, message: 'Unknown public action' }); return { error: true }; }
  return action(input, context);
}
module.exports = { handler };
`;
const PAGE = { 'index.html': '<title>app</title>' };

let server;
let app;
let act; // (action, payload, options) → answer
before(async () => {
    server = await startServer({ managedDb: true });
    const made = await server.api('POST', '/api/plugins/import', pie('acts', PAGE, { code: CODE }));
    assert.equal(made.status, 201, made.text);
    app = made.json;
    act = (action, payload, { headers = {}, instance = app.instance.slug, method = 'POST', ...more } = {}) => {
        const body = payload === undefined || typeof payload === 'string' || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload);
        return request(`${server.apps}/api/public-actions/${instance}/${action}`, {
            method, body, ...more, headers: { ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }), ...headers },
        });
    };
});
after(() => server?.stop());

describe('what the handler gets and gives', () => {
    test('its input has exactly the documented members', async () => {
        const answer = await act('echo', { a: [1, 'ä', null] });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(answer.json, { success: true, data: { input: {
            _publicAction: true, actionId: 'echo', payload: { a: [1, 'ä', null] }, instanceId: app.instance.id, visitorIp: '127.0.0.1' } } });
        assert.equal(answer.headers['content-type'], 'application/json');
        assert.equal(answer.headers['cache-control'], 'no-store');
        assert.equal(answer.headers['x-content-type-options'], 'nosniff');
        assert.match(answer.headers['x-request-id'], /^[0-9a-f]{24}$/);
    });
    test('by id as by slug', async () => {
        const answer = await act('echo', {}, { instance: app.instance.id });
        assert.equal(answer.json?.data.input.instanceId, app.instance.id, answer.text);
    });
    test('an empty body is an empty object', async () => {
        assert.deepEqual((await act('echo')).json.data.input.payload, {});
    });
    test('what it returns, what it responds, and nothing', async () => {
        assert.deepEqual((await act('text')).json, { success: true, data: 'just text' });
        assert.deepEqual((await act('none')).json, { success: true, data: null });
        assert.deepEqual((await act('both')).json, { success: true, data: { from: 'respond' } });
        assert.deepEqual((await act('late')).json, { success: true, data: { late: true } });
    });
    test('an error the handler reports is 200, with the envelope its client expects', async () => {
        const answer = await act('refuse', {});
        assert.equal(answer.status, 200);
        assert.deepEqual(answer.json, { success: false, error: true, message: 'Not today.', data: { error: true, message: 'Not today.', hint: 7 } });
        assert.equal((await act('nonsense', {})).json.message, 'Unknown public action');
    });
    test('status and headers of respond, as far as they are allowed', async () => {
        const answer = await act('status', { status: 201, headers: { 'X-Mine': 'a', 'Cache-Control': 'private', 'Set-Cookie': 'a=b', 'X-Request-Id': 'forged',
            'Content-Type': 'text/html', 'X-Bad': 'a\r\nb: c', 'Access-Control-Allow-Origin': '*', 'Retry-After': '5', 'Content-Language': 'de' } });
        assert.equal(answer.status, 201, answer.text);
        assert.equal(answer.headers['x-mine'], 'a');
        assert.equal(answer.headers['cache-control'], 'private');
        assert.equal(answer.headers['content-language'], 'de');
        assert.equal(answer.headers['retry-after'], '5');
        assert.equal(answer.headers['content-type'], 'application/json');
        for (const name of ['set-cookie', 'x-bad', 'access-control-allow-origin', 'b']) assert.equal(answer.headers[name], undefined, name);
        assert.notEqual(answer.headers['x-request-id'], 'forged');
        for (const status of [500, 302, 101, 99999, -1, 'ok']) assert.equal((await act('status', { status })).status, 502, String(status));
        for (const status of [205, 206, 407, 408, 421, 425]) assert.equal((await act('status', { status })).status, 502, `${status} is not an app's to set`);
        const denied = await act('status', { status: 401 });
        assert.deepEqual([denied.status, denied.headers['www-authenticate'], denied.json.success], [401, 'App realm="app"', true]);
        const nothing = await act('status', { status: 204 });
        assert.deepEqual([nothing.status, nothing.text, nothing.headers['content-length']], [204, '', undefined]);
        assert.equal((await act('status', { status: 207 })).status, 207);
        assert.equal((await act('status', { status: 422 })).status, 422);
    });
    test('context has the owner, and nothing it was not given', async () => {
        const { data } = (await act('context', {})).json;
        assert.match(data.user.id, /^[0-9a-f-]{36}$/);
        assert.equal(typeof data.user.displayName, 'string');
        assert.deepEqual(data.app, ['instanceId', 'respond', 'visitorIp']);
        assert.deepEqual([data.ip, data.id, data.config, data.secrets], ['127.0.0.1', app.instance.id, {}, {}]);
    });
    test('its state is its own from run to run', async () => {
        const first = (await act('count', {})).json.data;
        assert.equal((await act('count', {})).json.data, first + 1);
    });
});

describe('what is refused', () => {
    const cases = [
        ['text that is no JSON', () => act('echo', '{"a":'), 400, 'invalid_json'],
        ['an array', () => act('echo', '[]'), 400, 'invalid_json'],
        ['a string', () => act('echo', '"x"'), 400, 'invalid_json'],
        ['something behind the object', () => act('echo', '{} {}'), 400, 'invalid_json'],
        ['invalid UTF-8', () => act('echo', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), 400, 'invalid_json'],
        ['objects a thousand deep', () => act('echo', `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`), 400, 'invalid_json'],
        ['another type', () => act('echo', '{}', { headers: { 'content-type': 'text/plain' } }), 415, 'unsupported_media_type'],
        ['a packed body', () => act('echo', '{}', { headers: { 'content-encoding': 'gzip' } }), 415, 'unsupported_media_type'],
        ['a form', () => act('echo', 'a=b', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }), 415, 'unsupported_media_type'],
        ['more than 1 MiB', () => act('echo', JSON.stringify({ a: 'x'.repeat(1024 * 1024) })), 413, 'body_too_large'],
        ['an action of 65 characters', () => act('a'.repeat(65), {}), 400, 'invalid_action'],
        ['an action with a space', () => act('a%20b', {}), 400, 'invalid_action'],
        ['an app that does not exist', () => act('echo', {}, { instance: 'nobody-00000000' }), 404, 'instance_not_found'],
        ['an app whose name is no UTF-8', () => act('echo', {}, { instance: '%ff' }), 404, 'instance_not_found'],
        ['an app whose name ends within a character', () => act('echo', {}, { instance: `${app.instance.slug}%c3` }), 404, 'instance_not_found'],
        ['an app whose name holds a NUL', () => act('echo', {}, { instance: 'a%00b' }), 404, 'instance_not_found'],
        ['an action that is no UTF-8', () => act('%ff', {}), 400, 'invalid_action'],
        ['no action', () => act('', {}), 404, 'not_found'],
        ['a path too deep', () => act('echo/more', {}), 404, 'not_found'],
        ['JSON for an upload', () => act('upload', {}), 415, 'unsupported_media_type'],
        ['a foreign page', () => act('echo', {}, { headers: { origin: 'https://evil.example' } }), 403, 'origin_not_allowed'],
        ['a sandboxed page', () => act('echo', {}, { headers: { origin: 'null' } }), 403, 'origin_not_allowed'],
        ['the console\'s own page', () => act('echo', {}, { headers: { origin: new URL(server.console).origin } }), 403, 'origin_not_allowed'],
    ];
    for (const [what, ask, status, code] of cases) {
        test(what, async () => {
            const answer = await ask();
            assert.equal(answer.status, status, answer.text);
            assert.equal(answer.json.code, code);
            assert.equal(answer.json.error, true);
            assert.match(answer.json.message, /\.$/);
        });
    }
    test('GET is 405 and says what is allowed', async () => {
        const answer = await act('echo', undefined, { method: 'GET' });
        assert.equal(answer.status, 405);
        assert.equal(answer.headers.allow, 'POST, OPTIONS');
    });
    test('the same page is welcome', async () => {
        assert.equal((await act('echo', {}, { headers: { origin: new URL(server.apps).origin } })).status, 200);
    });
    test('the console does not answer actions', async () => {
        const answer = await request(`${server.console}/api/public-actions/${app.instance.slug}/echo`, { method: 'POST' });
        assert.equal(answer.status, 404);
    });
    test('a plugin without code', async () => {
        const made = await server.api('POST', '/api/plugins/import', pie('nocode', PAGE, { code: '' }));
        assert.equal(made.status, 201, made.text);
        const answer = await act('echo', {}, { instance: made.json.instance.slug });
        assert.deepEqual([answer.status, answer.json.code], [404, 'no_handler']);
    });
});

describe('when the handler fails', () => {
    test('what it throws is the owner\'s to see, never the visitor\'s', async () => {
        const answer = await act('throws', {});
        assert.deepEqual([answer.status, answer.json.code], [502, 'handler_error']);
        assert.ok(!answer.text.includes('secret inner words'), answer.text);
        const run = await until(async () => {
            const list = await server.api('GET', `/api/public-apps/instances/${app.instance.id}/runs?action=throws`);
            return list.json?.data?.[0];
        }, 'the run');
        const whole = await server.api('GET', `/api/runs/${run.id}`);
        assert.equal(whole.json.error.message, 'secret inner words');
        assert.equal(whole.json.error.name, 'TypeError');
        const text = pie('acts', PAGE, { code: CODE });
        const lines = text.split('\n');
        const at = lines.findIndex((l) => l.includes('secret inner words'));
        assert.deepEqual([whole.json.error.line, whole.json.error.column], [at + 1, lines[at].indexOf('TypeError(') + 10], 'the file\'s own line');
        assert.match(whole.json.error.stack, new RegExp(`handler\\.js:${at + 1}:`));
        const calls = lines.findIndex((l) => l.includes('return action(input')) + 1;
        assert.match(whole.json.error.stack, new RegExp(`handler\\.js:${calls}:`));
    });
    test('busy is 503, not the handler\'s fault', async () => {
        const answer = await act('busy', {});
        assert.deepEqual([answer.status, answer.json.code, answer.headers['retry-after']], [503, 'busy', '2']);
    });
    test('the answer is answered once', async () => {
        const answer = await act('twice', {});
        assert.ok(answer.status === 502 || answer.json.data === 1, answer.text);
    });
    test('more than 1 MiB', async () => {
        assert.equal((await act('big', { n: 1000 * 1000 })).status, 200);
        const answer = await act('big', { n: 1024 * 1024 });
        assert.deepEqual([answer.status, answer.json.code], [502, 'handler_error']);
    });
    test('a memory bomb ends its own run, and the next one is served', { timeout: 60000 * slowness() }, async (t) => {
        if (/asan|tsan/.test(server.stoaBin)) return t.skip('a sanitizer\'s worker has no address space limit');
        const answer = await act('crash', {});
        assert.equal(answer.status, 502, answer.text);
        assert.ok(['handler_out_of_memory', 'handler_crashed'].includes(answer.json.code), answer.text);
        assert.equal((await act('text', {})).status, 200);
    });
    test('code that cannot be loaded is refused at the deploy, with its line', async () => {
        const bad = pie('bad', PAGE, { code: 'const a = 1;\nlet b = ;\nmodule.exports = {};' });
        const answer = await server.api('POST', '/api/plugins/import', bad);
        assert.deepEqual([answer.status, answer.json.code], [422, 'invalid_pie'], answer.text);
        const line = bad.split('\n').findIndex((l) => l.includes('let b = ;')) + 1;
        assert.equal(answer.json.details.problems[0].line, line, answer.text);
        const none = await server.api('POST', '/api/plugins/import', pie('bad', PAGE, { code: 'module.exports = {};' }));
        assert.equal(none.status, 422, none.text);
    });
});

describe('the owner\'s runs', () => {
    const widget = (action, payload) => server.api('POST', `/api/plugins/acts/instances/${app.instance.slug}/widget-actions/${action}`, payload ?? {});
    test('a widget action', async () => {
        const answer = await widget('_launch', { a: 1 });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.json.ok, true);
        assert.equal(answer.json.error, null);
        assert.deepEqual(answer.json.events, [{ type: 'show', data: { screen: '_launch' } }, { type: 'update', data: { step: 2 } }]);
        assert.deepEqual(answer.json.result.seen, { _widgetAction: true, actionId: '_launch', action: '_launch', payload: { a: 1 } });
        assert.deepEqual(answer.json.result.app, { instanceId: app.instance.id, instanceSlug: app.instance.slug, pluginSlug: 'acts', baseUrl: new URL(server.apps).origin });
        assert.match(answer.json.runId, /^run_/);
    });
    test('one that throws says what and where, to its owner', async () => {
        const answer = await widget('boom');
        assert.equal(answer.json.ok, false);
        assert.equal(answer.json.error.message, 'the widget broke');
        assert.equal(answer.json.events.length, 2);
    });
    test('a tool run, and one that a widget triggers', async () => {
        const answer = await server.api('POST', `/api/plugins/acts/instances/${app.instance.slug}/tool`, { action: 'show', n: 1 });
        assert.deepEqual([answer.status, answer.json.result], [200, { tool: { action: 'show', n: 1 }, kind: 'tool' }], answer.text);
        const first = async (action) => (await server.api('GET', `/api/public-apps/instances/${app.instance.id}/runs?action=${action}`)).json?.data?.[0];
        await widget('trigger_badly'); // its result is an error: nothing follows
        assert.equal((await widget('trigger')).json.ok, true);
        const run = await until(() => first('background'), 'the triggered run');
        assert.equal(run.outcome, 'ok');
        assert.equal(run.source, 'tool');
        assert.equal((await first('trigger_badly')).outcome, 'reported_error');
        assert.equal(await first('never'), undefined);
    });
    test('another project\'s instance is nobody\'s', async () => {
        const other = await server.api('POST', '/api/projects', { displayName: 'other' });
        const answer = await server.api('POST', `/api/plugins/acts/instances/${app.instance.slug}/widget-actions/x`, {}, { token: other.json.token?.token ?? other.json.token });
        assert.equal(answer.status, 404, answer.text);
    });
    test('console output is in the run\'s log', async () => {
        assert.equal((await act('log', {})).status, 200);
        const run = await until(async () => {
            const list = await server.api('GET', `/api/public-apps/instances/${app.instance.id}/runs?action=log`);
            return list.json?.data?.[0];
        }, 'the run');
        const whole = (await server.api('GET', `/api/runs/${run.id}`)).json;
        assert.equal(whole.log.length, 2);
        assert.match(JSON.stringify(whole.log[0]), /a line/);
    });
});

describe('limits', () => {
    test('a flood is told when to come back, and the neighbour is not', async () => {
        const made = await server.api('POST', '/api/plugins/import', pie('flooded', PAGE, { code: CODE }));
        const slug = made.json.instance.slug;
        await act('text', {}, { instance: slug });
        const answers = await Promise.all(Array.from({ length: 60 }, () => act('text', {}, { instance: slug })));
        const refused = answers.filter((a) => a.status === 429);
        assert.ok(refused.length >= 20, `${refused.length} refused`);
        for (const a of refused) {
            assert.equal(a.json.code, 'rate_limited');
            assert.match(a.headers['ratelimit-policy'], /"action";q=60/);
            const t = Math.max(...[...a.headers.ratelimit.matchAll(/t=(\d+)/g)].map((m) => Number(m[1])));
            assert.ok(Number(a.headers['retry-after']) >= 1 && t >= 0, a.headers['retry-after']);
        }
        assert.match(answers.find((a) => a.status === 200).headers.ratelimit, /"action";r=\d+/);
        assert.equal((await act('status', {})).status, 200);
    });
    test('made-up action names share one limit', async () => {
        const made = await server.api('POST', '/api/plugins/import', pie('guessed', PAGE, { code: 'module.exports = { handler: () => { throw 1; } };' }));
        const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => act(`name${i}`, {}, { instance: made.json.instance.slug })));
        assert.ok(answers.filter((a) => a.status === 429).length >= 20);
    });
});

describe('instances\' own hosts', () => {
    let named;
    let one;
    let two;
    const post = (where, { headers = {}, body = '{}', ...more } = {}) => visit(where, { method: 'POST', body, ...more, headers: { 'content-type': 'application/json', 'content-length': body.length, ...headers } });
    before(async () => {
        named = await startNamed();
        one = (await named.manage('POST', '/api/plugins/import', pie('one', PAGE, { code: CODE }))).json;
        two = (await named.manage('POST', '/api/plugins/import', pie('two', PAGE, { code: CODE }))).json;
    });
    after(() => named?.stop());
    test('the host says whose action it is, however the path names it', async () => {
        const base = new URL(one.publicAppUrl).origin;
        for (const segment of ['', '_', 'c', '%ff', 'a%00b', one.instance.slug, one.instance.id]) {
            const answer = await post(`${base}/api/public-actions/${segment}/echo`);
            assert.equal(answer.status, 200, `${segment}: ${answer.text}`);
            assert.equal(answer.json.data.input.instanceId, one.instance.id);
        }
    });
    test('another instance is not found there', async () => {
        const answer = await post(`${new URL(one.publicAppUrl).origin}/api/public-actions/${two.instance.slug}/echo`);
        assert.deepEqual([answer.status, answer.json.code], [404, 'instance_not_found']);
    });
    test('the neighbour\'s page may not call it', async () => {
        const answer = await post(`${new URL(one.publicAppUrl).origin}/api/public-actions/_/echo`, { headers: { origin: new URL(two.publicAppUrl).origin } });
        assert.deepEqual([answer.status, answer.json.code], [403, 'origin_not_allowed']);
        const own = await post(`${new URL(one.publicAppUrl).origin}/api/public-actions/_/echo`, { headers: { origin: new URL(one.publicAppUrl).origin } });
        assert.equal(own.status, 200, own.text);
    });
    test('a label that is longer than any name, up to a host of 255 bytes, is nobody\'s', async () => {
        for (const length of [63, 64, 65, 100, 200]) {
            const origin = `https://${'a'.repeat(length)}.apps.test:${named.tlsPort}`;
            for (const answer of [await post(`${origin}/api/public-actions/_/echo`, { servername: 'x.apps.test' }), await visit(`${origin}/api/public-apps/self`, { servername: 'x.apps.test' }), await visit(`${origin}/`, { servername: 'x.apps.test' })])
                assert.ok([404, 421].includes(answer.status), `${length}: ${answer.status} ${answer.text}`);
        }
        assert.equal((await post(`${new URL(one.publicAppUrl).origin}/api/public-actions/_/echo`)).status, 200);
    });
    test('on the apps origin an action is sent on to its host, unless its name is none', async () => {
        const moved = await post(`${named.appsOrigin}/api/public-actions/${one.instance.slug}/echo`);
        assert.deepEqual([moved.status, moved.headers.location], [308, `${new URL(one.publicAppUrl).origin}/api/public-actions/_/echo`]);
        for (const name of ['a%0d%0aset-cookie:b', '%00', '%ff', 'a%20b', '%22']) assert.equal((await post(`${named.appsOrigin}/api/public-actions/${one.instance.slug}/${name}`)).status, 400, name);
    });
    test('a host tells its instance', async () => {
        const answer = await visit(`${new URL(one.publicAppUrl).origin}/api/public-apps/self`);
        assert.deepEqual(answer.json, { instanceId: one.instance.id, instanceSlug: one.instance.slug, pluginSlug: 'one' });
    });
});
