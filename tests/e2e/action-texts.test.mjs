// What handlers say and ask, taken at its word: text that JSON.parse takes and C libraries do not.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { request, startServer, until } from '../harness/server.mjs';

const CODE = `
const acts = {
  tells: (input, context) => { context.widget.show({ wei: 1e20, lone: '\\ud800', nul: 'a\\0b' }); return { error: true, message: 'Sold out', wei: 1e20 }; },
  refuses: (input, context) => context.publicApp.respond({ error: 1 }, { status: 404, headers: { 'X-A': 'a\\0b', 'X-B': 'b' } }),
  deep: (input, context) => { let data = 1; for (let i = 0; i < 2045; ++i) data = { data }; context.widget.show(data); return { error: true }; },
  many: (input, context) => { context.widget.show(new Array(input.payload.n).fill(0)); return 'fine'; },
  soldOut: () => ({ error: true, message: 'Sold out', wei: 1e20 }),
  twice: (input) => ({ error: true, message: 'Sold out', echo: input.payload }),
  floods: (input, context) => Promise.all([1, 2, 3].map(() => context.streamEvent('b', new Array(3e5).fill({})).then(() => 'kept', String))),
  most: (input, context) => Promise.all([['x', 16377], ['x', 16378], ['\u00e4', 8188], ['\u00e4', 8189]].map(([c, n]) => context.notify(c.repeat(n)).catch((error) => error.name))),
  tellsMuch: async (input, context) => {
    const asked = context.fetch('http://127.0.0.1:1/').catch((error) => error.code);
    for (let i = 0; i < 20; ++i) await context.notify('n'.repeat(15000), { i });
    return asked;
  },
  asks: async (input, context) => {
    const asked = [{ body: 'a\\0b' }, { body: 'x', headers: [['X-A', '1'], ['X-A', '2']] }, { body: new URLSearchParams({ a: 'b c' }) },
      { body: new URLSearchParams({ a: 'b c' }), headers: { 'content-TYPE': 'text/x' } }, { method: 'GET', headers: { 'X-A': 'a\\0b' } }];
    return Promise.all(asked.map((o) => context.fetch(input.payload.url, { method: 'POST', ...o }).then((a) => JSON.parse(a.body), (e) => [e.code, e.message])));
  },
  quotes: () => { console.log('first'); for (let i = 0; i < 20; ++i) console.log(i + '"'.repeat(11000)); console.log('\x01'.repeat(9000)); console.log('last'); },
  forgets: (input, context) => { for (let i = 0; i < input.payload.n; ++i) context.managedDb.query('select pg_sleep(5)').catch(() => {}); console.log('said'); return 'done'; },
  messages: (input) => ({ error: true, message: input.payload.message }),
  throws: () => { throw new RangeError('gone \\0 \\ud800 wrong'); },
  nests: (input) => ({ document: JSON.parse(input.payload.text) }),
  headers: (input, context) => context.publicApp.respond(1, { headers: Object.fromEntries(Array.from({ length: input.payload.n }, (_, i) => ['X-N' + i, 'a'])) }),
};
module.exports = { handler: (input, context) => acts[input.actionId](input, context) };
`;
const EVENT = 'manifest:\n  heartbeatEvents:\n    events:\n      - id: told\n        displayName: Told\n        matchers:\n          - source: widget\n            actionId: tells\n';
const rate = { perMinute: 600000, burst: 600000 };

let server;
let echo; // says what it was asked
let app;
before(async () => {
    echo = http.createServer(async (asked, answer) => {
        const parts = [];
        for await (const part of asked) parts.push(part);
        answer.end(JSON.stringify([asked.headers['content-type'], asked.headers['x-a'], Buffer.concat(parts).toString()]));
    }).listen(0, '127.0.0.1');
    await new Promise((done) => { echo.once('listening', done); });
    server = await startServer({ managedDb: true, settings: { fetch_allow: `127.0.0.1:${echo.address().port}` } });
    const made = await server.api('POST', '/api/plugins/import', pie('texts', { 'index.html': 'x' }, { code: CODE, front: EVENT }));
    assert.equal(made.status, 201, made.text);
    app = made.json.instance;
    const set = await server.api('PATCH', `/api/public-apps/instances/${app.id}`, { rateLimits: { visitorAction: rate, visitor: rate, instance: rate } });
    assert.equal(set.status, 200, set.text);
});
after(async () => {
    echo?.close();
    echo?.closeAllConnections?.();
    await server?.stop();
});

const act = (action, body = '{}') => request(`${server.apps}/api/public-actions/${app.slug}/${action}`, {
    method: 'POST', body, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } });
const widget = (action, payload = {}) => server.api('POST', `/api/plugins/texts/instances/${app.slug}/widget-actions/${action}`, payload);
const runOf = async (action) => {
    const run = await until(async () => (await server.api('GET', `/api/public-apps/instances/${app.id}/runs?action=${action}`)).json?.data?.[0], `the run of ${action}`);
    return (await server.api('GET', `/api/runs/${run.id}`)).json;
};

describe('text that only JSON.parse takes', () => {
    test('a widget\'s answer with error: true is one, whatever stands beside it, and raises no event', async () => {
        const answer = await widget('tells');
        assert.deepEqual([answer.status, answer.json.ok], [200, false], answer.text);
        assert.deepEqual(answer.json.events, [{ type: 'show', data: { wei: 1e20, lone: '\ufffd', nul: 'a\0b' } }]);
        const run = await runOf('tells');
        assert.deepEqual([run.outcome, run.events], ['reported_error', []]);
    });
    test('a status stays when a header beside it is left out', async () => {
        const answer = await act('refuses');
        assert.deepEqual([answer.status, answer.headers['x-b'], answer.headers['x-a']], [404, 'b', undefined], answer.text);
    });
    test('twenty headers of an answer\'s own are sent, whatever more there are', async () => {
        for (const [n, sent] of [[19, 19], [20, 20], [21, 20], [22, 20], [3000, 20]]) {
            const answer = await act('headers', JSON.stringify({ n }));
            assert.equal(answer.status, 200, answer.text);
            assert.equal(Object.keys(answer.headers).filter((name) => name.startsWith('x-n')).length, sent, String(n));
        }
    });
    test('an answer nested deeper than JSON may be fails its own run', async () => {
        const text = (n) => JSON.stringify({ text: '['.repeat(n) + ']'.repeat(n) });
        assert.equal((await act('nests', text(2047))).status, 200);
        const others = [1, 2, 3].map(() => act('forgets', '{"n":1}'));
        for (let i = 0; i < 4; ++i) assert.deepEqual((({ status, json }) => [status, json.code])(await act('nests', text(2048))), [502, 'handler_error']);
        const failed = await until(async () => { // the first of them went well
            const run = await runOf('nests');
            return run.error && run;
        }, 'the run that failed');
        assert.match(JSON.stringify(failed.error), /RangeError.*nested deeper/);
        for (const other of await Promise.all(others)) assert.equal(other.status, 200, other.text);
        assert.equal((await act('twice')).status, 200);
    });
    test('a reported error keeps its message', async () => {
        assert.equal((await act('soldOut')).json.message, 'Sold out');
        for (const body of ['{"a":1,"a":2}', '{"a":"\\u0000","\\u0000":1}', '{"a":"\\ud800"}', '{"a":18446744073709551616,"b":1e400}']) {
            const answer = await act('twice', body);
            assert.equal(answer.json.message, 'Sold out', body);
        }
    });
    test('a message that is no string is shown as what it reads as', async () => {
        const said = [[404, '404'], [-0.1, '-0.1'], [1 / 3, '0.3333333333333333'], [1e20, '100000000000000000000'], [1e300, '1e+300'], [true, 'true'], [false, 'false'], ['', ''],
            ['ä'.repeat(751), 'ä'.repeat(750)], [`x${'ä'.repeat(750)}`, `x${'ä'.repeat(749)}`], [null, 'That did not work.'], [['a'], 'That did not work.'], [undefined, 'That did not work.']];
        for (const [message, shown] of said) assert.equal((await act('messages', JSON.stringify({ message }))).json.message, shown, JSON.stringify(message));
    });
    test('what cannot be read at all fails the run, and says so', async () => {
        const answer = await widget('deep');
        assert.deepEqual([answer.json.ok, /nested too deeply/.test(answer.json.error?.message)], [false, true], answer.text.slice(0, 300));
        assert.equal((await runOf('deep')).outcome, 'handler_error');
        const enough = await widget('many', { n: 19000 }), many = await widget('many', { n: 20001 });
        assert.deepEqual([enough.json.ok, many.json.ok, /too many values/.test(many.json.error?.message)], [true, false, true], many.text.slice(0, 300));
    });
    test('what is thrown is known to the owner', async () => {
        const answer = await widget('throws');
        assert.deepEqual([answer.json.error.name, answer.json.error.message], ['RangeError', 'gone \0 \ufffd wrong']);
        assert.match(JSON.stringify((await runOf('throws')).error), /gone/);
    });
});

describe('notices', () => {
    test('one over 16 KiB is refused where it is made', async () => {
        const told = 'RangeError: context.streamEvent: the arguments may have 16 KiB as JSON at most';
        assert.deepEqual((await act('floods')).json.data, [told, told, told]);
        assert.deepEqual((await runOf('floods')).notices, []);
        assert.deepEqual((await act('most')).json.data, [true, 'RangeError', true, 'RangeError']);
        assert.deepEqual((await runOf('most')).notices.map((n) => n.args[0].length), [16377, 8188]);
    });
    test('many large ones leave out themselves alone, and are counted', async () => {
        assert.equal((await act('tellsMuch')).json.data, 'blocked_address');
        const run = await runOf('tellsMuch');
        assert.deepEqual(run.fetches.map((f) => [f.host, f.error]), [['127.0.0.1:1', 'blocked_address']]);
        assert.deepEqual(run.notices.map((n) => [n.op, n.args[0].length, n.args[1].i]), [0, 1, 2].map((i) => ['notify', 15000, i]));
        assert.equal(run.noticesLeftOut, 17);
        assert.match(JSON.stringify(server.database.query(`select facts from runs where id = '${run.id}'`)), /noticesLeftOut[^0-9]+17\b/);
    });
});

test('a request is made as it was asked, or refused for what is wrong with it', async () => {
    const plain = 'text/plain;charset=UTF-8';
    assert.deepEqual((await act('asks', JSON.stringify({ url: `http://127.0.0.1:${echo.address().port}/` }))).json.data, [
        [plain, null, 'a\0b'], [plain, '1, 2', 'x'], ['application/x-www-form-urlencoded;charset=UTF-8', null, 'a=b+c'], ['text/x', null, 'a=b+c'],
        ['bad_header', 'A header\'s value holds a character that is not visible ASCII.']]);
});

describe('the log', () => {
    test('says that there was more when lines of many quotes have no room', async () => {
        assert.equal((await act('quotes')).status, 200);
        const { log } = await runOf('quotes');
        assert.equal(log[0].text, 'first');
        const lines = log.slice(1, -1).map((line) => parseInt(line.text, 10));
        assert.ok(lines.length >= 10, JSON.stringify(lines));
        assert.deepEqual(lines, lines.map((_, i) => i), 'no line is missing between two that are kept');
        assert.deepEqual(log.at(-1), { level: 'warn', text: 'Further output of this run is not kept.' });
    });
    test('says what was not awaited', async () => {
        for (const [n, told] of [[3, ['3 calls were not awaited and were broken off.']], [1, ['1 call was not awaited and was broken off.']], [0, []]]) {
            assert.equal((await act('forgets', JSON.stringify({ n }))).json.data, 'done');
            const run = await until(async () => {
                const list = (await server.api('GET', `/api/public-apps/instances/${app.id}/runs?action=forgets`)).json.data;
                return list.length !== 0 && list[0].queryCount === n && list[0];
            }, `the run of ${n} queries`);
            const { log, outcome } = (await server.api('GET', `/api/runs/${run.id}`)).json;
            assert.deepEqual([outcome, log], ['ok', [{ level: 'log', text: 'said' }, ...told.map((text) => ({ level: 'warn', text }))]]);
        }
    });
});
