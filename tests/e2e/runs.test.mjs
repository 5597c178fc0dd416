// The record of runs as its owner sees it: lists, one run, heartbeat events as a list, as a stream and as signed deliveries; from the API and
// from a shell. The first half writes rows itself, the second has visitors make them.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import http from 'node:http';
import { after, afterEach, before, describe, test } from 'node:test';
import { startNamed } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const PAGE = { 'index.html': '<title>app</title>' };
const quote = (text) => `'${String(text).replaceAll("'", "''").replaceAll(';', ',')}'`; // the harness splits statements at semicolons

/** Writes an event of the instance, and tells every node, as the writer does. */
function addEvent(server, app, type, data, { notice = app.instance.id, id = `evt_${crypto.randomBytes(14).toString('hex')}` } = {}) {
    const project = `(select project_id from instances where id = ${quote(app.instance.id)})`;
    server.database.query(`insert into run_events (id, project_id, plugin_id, instance_id, run_id, type, source, action, created_at, data)
        values (${quote(id)}, ${project}, ${quote(app.plugin.id)}, ${quote(app.instance.id)}, 'run_x', ${quote(type)}, 'public', 'submit', now(),
        ${quote(JSON.stringify(data))}); select pg_notify('stoa_runs', ${quote(notice)})`);
    return id;
}

function addRun(server, app, { id = `run_${crypto.randomBytes(10).toString('hex')}`, action = 'submit', outcome = 'ok', log = '', error = '', facts = '' } = {}) {
    const project = `(select project_id from instances where id = ${quote(app.instance.id)})`;
    server.database.query(`insert into runs values (${quote(id)}, ${project}, ${quote(app.plugin.id)}, ${quote(app.instance.id)}, 'dep', 'public',
        ${quote(action)}, ${quote(outcome)}, false, 'req', '192.0.2.7', '', now(), now(), 1, 2, 3, 4, 5, 6, ${quote(log)}, ${quote(error)}, ${quote(facts)})`);
    return id;
}

const streams = new Set();

/** Opens a stream; gives {status, headers, events: [{id, data}], comments, ended, close(), pause(), resume()}. */
function openStream(server, app, { token = server.token, last, method = 'GET' } = {}) {
    const url = new URL(`/api/public-apps/instances/${app.instance.slug}/events/stream`, server.console);
    return new Promise((resolve, reject) => {
        const call = http.request(url, { method, agent: false, headers: { authorization: `Bearer ${token}`, ...(last === undefined ? {} : { 'last-event-id': last }) } }, (answer) => {
            const stream = { status: answer.statusCode, headers: answer.headers, events: [], comments: 0, ended: false, text: '' };
            let rest = '';
            answer.setEncoding('utf8').on('data', (part) => {
                stream.text += part;
                const frames = (rest + part).split('\n\n');
                rest = frames.pop();
                for (const frame of frames) {
                    const fields = Object.fromEntries(frame.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
                    if (fields.data) stream.events.push({ id: fields.id, data: JSON.parse(fields.data) });
                    else stream.comments += frame.startsWith(':');
                }
            });
            answer.on('end', () => { stream.ended = true; }).on('error', () => { stream.ended = true; });
            stream.close = () => call.destroy();
            streams.add(stream);
            stream.pause = () => answer.pause();
            stream.resume = () => answer.resume();
            resolve(stream);
        });
        call.on('error', reject);
        call.end();
    });
}

/** The program, as a person uses it. */
function stoa(server, args) {
    const env = { PATH: process.env.PATH, HOME: temporaryDirectory('cli'), ASAN_OPTIONS: 'exitcode=99', STOA_URL: server.console, STOA_TOKEN: server.token };
    return new Promise((resolve) => {
        execFile(server.stoaBin, args, { env, cwd: env.HOME, maxBuffer: 64 << 20 }, (error, out, err) => resolve({ code: error ? error.code : 0, out, err }));
    });
}

function follow(server, args) {
    const env = { PATH: process.env.PATH, HOME: temporaryDirectory('cli'), ASAN_OPTIONS: 'exitcode=99', STOA_URL: server.console, STOA_TOKEN: server.token };
    const child = spawn(server.stoaBin, args, { env, cwd: env.HOME });
    const ran = { out: '', err: '', end: () => new Promise((resolve) => { child.on('close', resolve); child.kill('SIGINT'); }) };
    child.stdout.setEncoding('utf8').on('data', (part) => { ran.out += part; });
    child.stderr.setEncoding('utf8').on('data', (part) => { ran.err += part; });
    return ran;
}

describe('rows that are there', () => {
    let server;
    let app;
    let other;
    let foreign;
    before(async () => {
        server = await startServer({ settings: { shared_origin: 'accepted', api_threads: 2 } });
        app = (await server.api('POST', '/api/plugins/import', pie('rows', PAGE))).json;
        other = (await server.api('POST', '/api/plugins/import', pie('beside', PAGE))).json;
        foreign = (await server.api('POST', '/api/projects', { displayName: 'Other' })).json.token;
    });
    after(() => server?.stop());
    // the server sees within a second that nobody listens any more
    afterEach(async () => {
        streams.forEach((s) => s.close());
        streams.clear();
        await until(async () => /^stoa_event_streams 0$/m.test((await request(`${server.admin}/metrics`)).text), 'no stream to be open');
    });

    test('a stream tells new events at once, and of its own instance only', async () => {
        addEvent(server, app, 'before', {});
        const stream = await openStream(server, app);
        assert.equal(stream.status, 200);
        assert.equal(stream.headers['content-type'], 'text/event-stream');
        assert.equal(stream.headers['cache-control'], 'no-store');
        const began = Date.now();
        addEvent(server, other, 'not_mine', {});
        const id = addEvent(server, app, 'received', { name: 'Ada\nLovelace', line: '\u2028' });
        await until(() => stream.events.length, 'the event');
        assert.ok(Date.now() - began < 1000 * slowness(), `${Date.now() - began} ms`);
        assert.equal(stream.events.length, 1);
        assert.deepEqual([stream.events[0].data.id, stream.events[0].data.type, stream.events[0].data.data.name], [id, 'received', 'Ada\nLovelace']);
        assert.equal(stream.events[0].data.streamId, stream.events[0].id);
        stream.close();
    });

    test('Last-Event-ID goes on from there; nonsense is refused', async () => {
        const ids = [1, 2, 3].map((n) => addEvent(server, app, 'again', { n }));
        const list = (await server.api('GET', `/api/public-apps/instances/${app.instance.id}/events`)).json;
        const stream = await openStream(server, app, { last: list.data[2].streamId });
        await until(() => stream.events.length === 2, 'two events');
        assert.deepEqual(stream.events.map((e) => e.data.id), ids.slice(1));
        stream.close();
        const all = await openStream(server, app, { last: '0' });
        await until(() => all.events.length >= 5, 'all events');
        all.close();
        for (const last of ['-1', 'x', '1;2', '99999999999999999999']) {
            const refused = await openStream(server, app, { last });
            assert.equal(refused.status, 422, last);
        }
        const head = await openStream(server, app, { method: 'HEAD' });
        assert.equal(head.status, 200);
        await until(() => head.ended, 'the end of a HEAD');
    });

    test('an hour\'s streams hold no thread, and have a number', async () => {
        const open = await Promise.all(Array.from({ length: 20 }, () => openStream(server, app)));
        assert.deepEqual(open.map((s) => s.status), Array(20).fill(200));
        assert.equal((await server.api('GET', '/api/plugins')).status, 200); // with two threads for the API
        const more = await server.api('GET', `/api/public-apps/instances/${app.instance.id}/events/stream`);
        assert.equal(more.status, 429);
        assert.equal(more.json.code, 'too_many_streams');
        assert.ok(Number(more.headers['retry-after']) > 0);
        addEvent(server, app, 'to_all', {}, { notice: '*' });
        await until(() => open.every((s) => s.events.length === 1), 'the event in each');
        open.forEach((s) => s.close());
        await until(async () => {
            const stream = await openStream(server, app);
            stream.close();
            return stream.status === 200;
        }, 'room again');
    });

    test('who reads slowly gets all, in order, and keeps nobody waiting', async () => {
        const stream = await openStream(server, app);
        stream.pause();
        const data = { filler: 'x'.repeat(100000) };
        for (let n = 0; n < 100; ++n) addEvent(server, app, 'big', { n, ...data });
        const quick = await openStream(server, app);
        addEvent(server, app, 'small', {});
        await until(() => quick.events.length === 1, 'the quick one');
        stream.resume();
        await until(() => stream.events.length === 101, 'the slow one', 10000 * slowness());
        assert.deepEqual(stream.events.slice(0, 100).map((e) => e.data.data.n), Array.from({ length: 100 }, (_, n) => n));
        stream.close();
        quick.close();
    });

    test('a token that is revoked ends its streams', async () => {
        const token = (await server.api('POST', '/api/tokens', { name: 's', scope: 'read' })).json;
        const stream = await openStream(server, app, { token: token.token });
        const stays = await openStream(server, app);
        await server.api('DELETE', `/api/tokens/${token.id}`);
        addEvent(server, app, 'after', {});
        await until(() => stream.ended && stays.events.length === 1, 'the end');
        assert.equal(stream.events.length, 0);
        stays.close();
    });

    test('notices of nobody\'s wake nobody', async () => {
        const stream = await openStream(server, app);
        for (const payload of ['', 'nonsense', 'A B', '../..', 'x'.repeat(250), '\u202e']) server.database.query(`select pg_notify('stoa_runs', ${quote(payload)})`);
        addEvent(server, app, 'real', {});
        await until(() => stream.events.length === 1, 'the real one');
        stream.close();
    });

    test('over HTTP/2 and TLS too, and whoever leaves is seen', async () => {
        const secure = await startNamed();
        try {
            const made = (await secure.manage('POST', '/api/plugins/import', pie('h2', PAGE))).json;
            const open = async () => / 1$/.test(/^stoa_event_streams .*/m.exec((await request(`${secure.admin}/metrics`)).text)[0]);
            for (const version of ['--http2', '--http1.1']) {
                const curl = spawn('curl', ['-sNkv', version, '--resolve', `console.test:${secure.tlsPort}:127.0.0.1`, '-H', `Authorization: Bearer ${secure.token}`,
                    `https://console.test:${secure.tlsPort}/api/public-apps/instances/${made.instance.id}/events/stream`]);
                const said = { out: '', err: '' };
                curl.stdout.setEncoding('utf8').on('data', (part) => { said.out += part; });
                curl.stderr.setEncoding('utf8').on('data', (part) => { said.err += part; });
                await until(() => said.out.includes('retry:'), 'the head');
                assert.match(said.err, version === '--http2' ? /< HTTP\/2 200/ : /< HTTP\/1.1 200/);
                for (let n = 0; n < 3; ++n) addEvent(secure, made, 'received', { n, filler: 'x'.repeat(100000) });
                await until(() => said.out.match(/"received"/g)?.length === 3, 'the events');
                assert.ok(await open());
                curl.kill('SIGKILL');
                await until(async () => !(await open()), 'it to be seen');
            }
        } finally {
            await secure.stop();
        }
    });

    test('another project finds none of it', async () => {
        const run = addRun(server, app);
        const made = (await server.api('POST', '/api/event-subscriptions', { url: 'https://subscriber.example/', events: ['*'] })).json;
        for (const [method, where] of [['GET', `/api/runs/${run}`], ['GET', `/api/public-apps/instances/${app.instance.id}/runs`],
            ['GET', `/api/public-apps/instances/${app.instance.slug}/events`], ['GET', `/api/public-apps/instances/${app.instance.id}/events/stream`],
            ['GET', `/api/event-subscriptions/${made.id}`], ['DELETE', `/api/event-subscriptions/${made.id}`]]) {
            const answer = await server.api(method, where, undefined, { token: foreign });
            assert.equal(answer.status, 404, `${method} ${where}: ${answer.text}`);
        }
        assert.deepEqual((await server.api('GET', '/api/event-subscriptions', undefined, { token: foreign })).json.data, []);
        assert.equal((await server.api('DELETE', `/api/event-subscriptions/${made.id}`)).status, 200);
        const read = (await server.api('POST', '/api/tokens', { name: 'r', scope: 'read' })).json;
        assert.equal((await server.api('POST', '/api/event-subscriptions', { url: 'https://a.example/', events: ['*'] }, { token: read.token })).status, 403);
    });

    test('runs from a shell, with text that would drive the terminal', async () => {
        const nasty = '\u001b]0_owned\u0007\u001b[2J\u202egnp.exe\r\nforged';
        const id = addRun(server, app, { action: 'nasty', outcome: 'handler_error', log: `${JSON.stringify(['error', nasty])}\nnot json \u001b[31m\n`,
            error: JSON.stringify({ name: 'Error', message: nasty, line: 7, column: 3, stack: `at x\nat ${nasty}` }) });
        const list = await stoa(server, ['runs', 'rows', '--action', 'nasty']);
        assert.equal(list.code, 0, list.err);
        assert.match(list.out, new RegExp(`${id}.*nasty.*handler_error`));
        const one = await stoa(server, ['runs', 'rows', '--id', id]);
        assert.equal(one.code, 0, one.err);
        assert.match(one.out, /line 7, column 3/);
        for (const text of [list.out, one.out]) assert.ok(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/.test(text), JSON.stringify(text));
        const json = JSON.parse((await stoa(server, ['runs', 'rows', '--id', id, '--json'])).out);
        assert.equal(json.error.message, nasty);
        assert.equal(json.log[0].text, nasty);
        assert.equal((await stoa(server, ['runs', 'rows', '--outcome', 'ok', '--json'])).code, 0);
        assert.equal((await stoa(server, ['runs', 'absent'])).code, 3);
        assert.equal((await stoa(server, ['runs', app.instance.slug, '-q'])).code, 0);
        assert.equal((await stoa(server, ['runs', 'rows', '--id', 'run_absent'])).code, 3);
        assert.equal((await stoa(server, ['runs', 'rows', '--new'])).code, 2);
        assert.match((await stoa(server, ['help', 'runs'])).out, /--follow/);
    });

    test('one run in a shell shows what it asked of others, a list with -q its ids alone', async () => {
        const facts = { fetches: [{ method: 'POST', host: 'api.example\u001b[2J', status: 201, ms: 31 }, { method: 'GET', host: 'away.example', ms: 9 }],
            notices: [{ op: 'notify', args: ['A new answer', { level: 'info' }] }] };
        const id = addRun(server, app, { action: 'asking', facts: JSON.stringify(facts) });
        const { out } = await stoa(server, ['runs', 'rows', '--id', id]);
        assert.match(out, /^fetch POST api\.example.* 201 in 31 ms$/m);
        assert.match(out, /^fetch GET away\.example failed in 9 ms$/m);
        assert.match(out, /^notify \["A new answer",\{"level":"info"\}\]$/m);
        assert.ok(!out.includes('\u001b'));
        const list = await stoa(server, ['runs', 'rows', '--action', 'asking', '-q']);
        assert.deepEqual(list, { code: 0, out: `${id}\n`, err: '' });
        assert.deepEqual(await stoa(server, ['runs', 'rows', '--action', 'no_such', '-q']), { code: 0, out: '', err: '' });
        const event = addEvent(server, app, 'quiet', {});
        assert.equal((await stoa(server, ['events', 'rows', '-q'])).out.split('\n')[0], event);
    });

    test('an outcome there is not is refused, with those there are', async () => {
        const answer = await server.api('GET', `/api/public-apps/instances/${app.instance.id}/runs?outcome=bogus`);
        assert.equal(answer.status, 422);
        assert.equal(answer.json.code, 'invalid_parameter');
        const ran = await stoa(server, ['runs', 'rows', '--outcome', 'bogus']);
        assert.equal(ran.code, 2);
        assert.match(ran.err, /ok, reported_error, handler_error, handler_timeout, handler_crashed, handler_out_of_memory, busy/);
    });

    test('an app there is not is called an app', async () => {
        for (const args of [['invoke', 'absent', 'x'], ['runs', 'absent'], ['events', 'absent']]) {
            const ran = await stoa(server, args);
            assert.equal(ran.code, 3);
            assert.match(ran.err, /There is no app "absent" in this project/);
        }
    });

    test('subscriptions from a shell: made with a secret, listed, ended', async () => {
        const made = await stoa(server, ['subscriptions', 'add', 'https://hook.example/a', 'received', 'paid', '--instance', 'rows']);
        assert.equal(made.code, 0, made.err);
        assert.match(made.out, /^whsec_[A-Za-z0-9+/=]{44}\n$/);
        const all = await stoa(server, ['subscriptions', 'add', 'https://hook.example/b', '--json']);
        const { id, events, instanceId } = JSON.parse(all.out);
        assert.deepEqual([events, instanceId], [['*'], null]);
        const list = await stoa(server, ['subscriptions', 'list']);
        assert.match(list.out, new RegExp(`received, paid +${app.instance.id} .*https://hook\\.example/a`));
        assert.match(list.out, /all +all apps .*https:\/\/hook\.example\/b/);
        assert.ok(!list.out.includes('whsec_'));
        const ids = (await stoa(server, ['subscriptions', 'list', '-q'])).out.trim().split('\n');
        assert.ok(ids.length === 2 && ids.includes(id), ids.join());
        for (const each of ids) assert.equal((await stoa(server, ['subscriptions', 'rm', each])).code, 0);
        assert.equal((await stoa(server, ['subscriptions', 'rm', id])).code, 3);
        assert.match((await stoa(server, ['subscriptions', 'list'])).err, /no subscriptions yet/);
        const refused = await stoa(server, ['subscriptions', 'add', 'ftp://hook.example/']);
        assert.equal(refused.code, 1);
        assert.match(refused.err, /url: This must be an http/);
        assert.equal((await stoa(server, ['subscriptions'])).code, 2);
    });

    test('following prints what comes', async () => {
        const events = follow(server, ['events', 'rows', '--follow', '--json']);
        const runs = follow(server, ['runs', 'rows', '--follow']);
        await until(() => events.out && runs.out, 'the context');
        const event = addEvent(server, app, 'followed', { text: '\u001b[2J' });
        const run = addRun(server, app, { action: 'followed' });
        await until(() => events.out.includes(event) && runs.out.includes(run), 'the new ones', 15000 * slowness());
        assert.equal(runs.out.split(run).length, 2);
        assert.equal(JSON.parse(events.out.trim().split('\n').at(-1)).type, 'followed');
        const list = await stoa(server, ['events', 'rows']);
        assert.match(list.out, /followed/);
        assert.ok(!list.out.includes('\u001b'));
        await events.end();
        await runs.end();
    });

    test('the end of the server ends its streams, at once', async () => {
        const brief = await startServer();
        const made = (await brief.api('POST', '/api/plugins/import', pie('brief', PAGE))).json;
        const stream = await openStream(brief, made);
        const began = Date.now();
        process.kill(brief.pid, 'SIGTERM');
        await brief.ended;
        assert.ok(Date.now() - began < 4000 * slowness(), `${Date.now() - began} ms`);
        await brief.stop();
        assert.ok(stream.ended);
        assert.match(stream.text, /^retry: 2000/);
    });
});

// --- visitors make them ---

const FRONT = `manifest:
  heartbeatEvents:
    events:
      - id: submission_received
        displayName: New submission
        matchers:
          - source: public
            actionId: submit
          - source: tool
            action: submit
      - id: hidden
        displayName: Hidden
        enabled: false
        matchers:
          - source: public
            actionId: submit
      - id: published
        displayName: Published
        matchers:
          - source: widget
            actionId: publish
`;
const CODE = `
async function handler(input, context) {
  if (input._widgetAction) return { ok: true };
  if (!input._publicAction) return { ok: true };
  switch (input.actionId) {
    case 'submit':
      if (input.payload.refuse) context.publicApp.respond({ error: true, message: 'No.' });
      if (input.payload.boom) throw new TypeError('the handler broke');
      return { ok: true };
    case 'log':
      console.log('first', { a: 1 });
      console.error('\\u001b[2Jlast');
      throw new RangeError('inner words');
    case 'chatty':
      for (let i = 0; i < 5000; ++i) console.log('x'.repeat(1000));
      return { ok: true };
    default:
      return { ok: true };
  }
}
module.exports = { handler };
`;

/** A subscriber on loopback: keeps what it is told, and answers as `answer(request, n)` says: a status, or nothing. */
async function startSubscriber() {
    const subscriber = { told: [], answer: () => 200 };
    subscriber.server = http.createServer((call, reply) => {
        const parts = [];
        call.on('data', (part) => parts.push(part)).on('end', () => {
            subscriber.told.push({ url: call.url, headers: call.headers, body: Buffer.concat(parts).toString() });
            const status = subscriber.answer(call, subscriber.told.length);
            if (status) reply.writeHead(status, status === 302 ? { location: `http://127.0.0.1:${subscriber.port}/redirected` } : {}).end();
        });
    });
    await new Promise((done) => { subscriber.server.listen(0, '127.0.0.1', done); });
    subscriber.port = subscriber.server.address().port;
    subscriber.url = `http://127.0.0.1:${subscriber.port}`;
    subscriber.stop = () => { subscriber.server.closeAllConnections?.(); subscriber.server.close(); };
    return subscriber;
}

/** As the Standard Webhooks libraries do it. */
function isSigned(told, secret) {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const mac = crypto.createHmac('sha256', key).update(`${told.headers['webhook-id']}.${told.headers['webhook-timestamp']}.${told.body}`).digest('base64');
    return told.headers['webhook-signature'] === `v1,${mac}` && Math.abs(Date.now() / 1000 - Number(told.headers['webhook-timestamp'])) < 60;
}

describe('runs that visitors make', () => {
    let server;
    let app;
    let subscriber;
    let where; // of the instance's management
    before(async () => {
        subscriber = await startSubscriber();
        server = await startServer({ settings: { fetch_allow: `127.0.0.1:${subscriber.port}` }, expectErrors: [/the server ended .*Killed/] });
        const made = await server.api('POST', '/api/plugins/import', pie('told', PAGE, { code: CODE, front: FRONT }));
        assert.equal(made.status, 201, made.text);
        app = made.json;
        where = `/api/public-apps/instances/${app.instance.id}`;
    });
    after(async () => {
        subscriber?.stop();
        await server?.stop();
    });
    const act = (action, payload = {}) => request(`${server.apps}/api/public-actions/${app.instance.slug}/${action}`, {
        method: 'POST', body: JSON.stringify(payload), headers: { 'content-type': 'application/json' } });
    const events = async () => (await server.api('GET', `${where}/events`)).json.data;
    const runs = async (query = '') => (await server.api('GET', `${where}/runs${query}`)).json.data;
    const subscribe = async (more = {}) => {
        const answer = await server.api('POST', '/api/event-subscriptions', { url: `${subscriber.url}/hook`, events: ['*'], ...more });
        assert.equal(answer.status, 201, answer.text);
        return answer.json;
    };
    afterEach(async () => {
        for (const s of (await server.api('GET', '/api/event-subscriptions')).json.data) await server.api('DELETE', `/api/event-subscriptions/${s.id}`);
        Object.assign(subscriber, { told: [], answer: () => 200 });
    });

    test('a successful run with a matcher raises its events, before it is answered', async () => {
        const stream = await openStream(server, app);
        const answer = await act('submit', { name: 'Ada' });
        assert.equal(answer.status, 200, answer.text);
        const [event, ...none] = await events();
        assert.equal(none.length, 0);
        assert.equal(event.type, 'submission_received');
        assert.deepEqual(event.data.input.payload, { name: 'Ada' });
        const run = (await server.api('GET', `/api/runs/${event.runId}`)).json;
        assert.equal(run.outcome, 'ok');
        assert.equal(run.source, 'public');
        assert.equal(run.visitor, '127.0.0.1');
        assert.deepEqual(run.events, [{ id: event.id, type: 'submission_received' }]);
        await until(() => stream.events.length === 1, 'the event in the stream');
        assert.equal(stream.events[0].data.id, event.id);
        stream.close();
    });

    test('a refusal, a throw, another action raise none; a widget\'s its own', async () => {
        const count = (await events()).length;
        await act('submit', { refuse: true });
        assert.equal((await act('submit', { boom: true })).status, 502);
        await act('other');
        assert.equal((await events()).length, count);
        const widget = await server.api('POST', `/api/plugins/${app.plugin.slug}/instances/${app.instance.slug}/widget-actions/publish`, {});
        assert.equal(widget.status, 200, widget.text);
        assert.equal((await events())[0].type, 'published');
        const outcomes = await until(async () => {
            const list = await runs();
            return list.length >= 4 && list.map((r) => r.outcome);
        }, 'the runs');
        for (const outcome of ['ok', 'reported_error', 'handler_error']) assert.ok(outcomes.includes(outcome), outcomes.join());
    });

    test('a run shows its log, its error with the line, and no more log than is kept', async () => {
        assert.equal((await act('log')).status, 502);
        const [head] = await until(async () => {
            const list = await runs('?action=log&outcome=handler_error');
            return list.length && list;
        }, 'the run');
        const run = (await server.api('GET', `/api/runs/${head.id}`)).json;
        assert.match(run.log[0].text, /first/);
        assert.equal(run.log.length, 2);
        assert.equal(run.error.message, 'inner words');
        assert.ok(run.error.line > 0, JSON.stringify(run.error));
        const shown = await stoa(server, ['runs', 'told', '--id', head.id]);
        assert.match(shown.out, /RangeError: inner words/);
        assert.ok(!shown.out.includes('\u001b'));
        await act('chatty');
        const [chatty] = await until(async () => {
            const list = await runs('?action=chatty');
            return list.length && list;
        }, 'the chatty run');
        const log = (await server.api('GET', `/api/runs/${chatty.id}`)).json.log;
        assert.ok(JSON.stringify(log).length < 400 * 1024, `${log.length} lines`);
    });

    test('a subscriber is told, signed, once', async () => {
        const made = await subscribe({ events: ['submission_received'] });
        await act('submit', { name: 'Grace' });
        await until(() => subscriber.told.length, 'the delivery');
        const [told] = subscriber.told;
        assert.ok(isSigned(told, made.secret));
        const body = JSON.parse(told.body);
        assert.equal(body.id, told.headers['webhook-id']);
        assert.equal(body.type, 'submission_received');
        assert.deepEqual(body.data.input.payload, { name: 'Grace' });
        assert.ok(!Number.isNaN(Date.parse(body.createdAt)));
        await until(async () => (await server.api('GET', `/api/event-subscriptions/${made.id}`)).json.deliveredAt, 'deliveredAt');
        assert.equal(subscriber.told.length, 1);
        const shown = (await server.api('GET', `/api/event-subscriptions/${made.id}`)).text;
        assert.ok(!shown.includes('whsec_'));
        assert.equal(server.database.query("select count(*) from event_subscriptions where position('whsec' in encode(secret, 'escape')) > 0"), '0');
    });

    test('a visitor cannot blank what is told, nor what an owner is shown', async () => {
        await subscribe();
        const strange = '{"a":"\\u0000","b":1,"b":2,"n":9223372036854775808,"s":"\\ud800"}';
        const raw = await request(`${server.apps}/api/public-actions/${app.instance.slug}/submit`, { method: 'POST', body: strange, headers: { 'content-type': 'application/json' } });
        assert.equal(raw.status, 200, raw.text);
        await until(() => subscriber.told.length, 'the delivery');
        assert.ok(subscriber.told[0].body.includes(`"payload":${strange}`), subscriber.told[0].body);
        assert.deepEqual(JSON.parse(subscriber.told[0].body).data.input.payload, JSON.parse(strange));
        assert.deepEqual((await events())[0].data.input.payload, { a: '\0', b: 2, n: 2 ** 63, s: '\ufffd' });
        const shown = await stoa(server, ['events', 'told', '--json']);
        assert.equal(shown.code, 0, shown.err);
        assert.ok(shown.out.includes('u0000'), shown.out);
    });

    test('a widget and a tool take what visitors may send, as it stands', async () => {
        await subscribe();
        const post = (what, body) => server.api('POST', `/api/plugins/${app.plugin.slug}/instances/${app.instance.slug}/${what}`, body, { type: 'application/json' });
        const nested = (depth) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
        const strange = '"a":"\\u0000","b":1,"b":2,"n":9223372036854775808,"s":"\\ud800"}';
        for (const [what, body] of [['widget-actions/publish', ` {${strange}`], ['tool', `{"action":"submit",${strange}`]]) {
            const told = subscriber.told.length;
            const answer = await post(what, body);
            assert.equal(answer.status, 200, answer.text);
            await until(() => subscriber.told.length > told, 'the delivery');
            assert.ok(subscriber.told[told].body.includes(body), subscriber.told[told].body);
        }
        for (const what of ['widget-actions/x', 'tool']) {
            for (const body of ['', nested(200)]) assert.equal((await post(what, body)).status, 200, body);
            for (const body of ['[]', '"x"', ' ', '{} {}', '{"a":', nested(201), Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])]) {
                const refused = await post(what, body);
                assert.deepEqual([refused.status, refused.json.code], [400, 'invalid_json'], `${what} ${body}`);
            }
        }
    });

    test('one that fails is told again, with the same id; a redirect is not followed', async () => {
        const made = await subscribe();
        subscriber.answer = (call, n) => [500, 302, 200][n - 1] ?? 200;
        await act('submit');
        await until(() => subscriber.told.length >= 1, 'the first');
        const again = () => server.database.query('update event_deliveries set next_at = now() where attempts > 0 and next_at < now() + interval \'30 s\'');
        await until(() => { again(); return subscriber.told.length >= 3; }, 'the third', 30000 * slowness());
        await until(async () => (await server.api('GET', `/api/event-subscriptions/${made.id}`)).json.waiting === 0, 'none waiting');
        assert.equal(new Set(subscriber.told.map((t) => t.headers['webhook-id'])).size, 1);
        assert.ok(subscriber.told.every((t) => t.url === '/hook' && isSigned(t, made.secret)));
        assert.match((await server.api('GET', `/api/event-subscriptions/${made.id}`)).json.failure, /redirects are not followed/);
    });

    test('our own listeners and private addresses are never told', async () => {
        const own = [];
        for (const url of [`${server.admin}/metrics`, `${server.console}/api/plugins`, 'http://127.0.0.1:1/', 'http://[::ffff:127.0.0.1]:1/', 'http://169.254.169.254/'])
            own.push(await subscribe({ url }));
        await act('submit');
        for (const { id, url } of own) {
            const failed = await until(async () => {
                const is = (await server.api('GET', `/api/event-subscriptions/${id}`)).json;
                return is.failedAt && is;
            }, `a failure of ${url}`);
            assert.match(failed.failure, /^blocked_address: /, url);
        }
    });

    test('kill -9 between commit and delivery loses none', async () => {
        const made = await subscribe();
        subscriber.answer = () => undefined; // hangs: claimed, and not yet done
        await act('submit', { n: 1 });
        await act('submit', { n: 2 });
        await until(() => subscriber.told.length >= 2, 'two that hang');
        const before = new Set(subscriber.told.map((t) => t.headers['webhook-id']));
        const pid = server.serverPid;
        server.kill(pid);
        await until(() => server.serverPid !== pid, 'another server');
        subscriber.told = [];
        subscriber.answer = () => 200;
        server.database.query('update event_deliveries set next_at = now()'); // the leases' end
        await until(() => subscriber.told.length >= 2, 'both again');
        assert.deepEqual(new Set(subscriber.told.map((t) => t.headers['webhook-id'])), before);
        assert.ok(subscriber.told.every((t) => isSigned(t, made.secret)));
        await until(() => server.database.query('select count(*) from event_deliveries') === '0', 'an empty outbox');
        assert.equal(server.database.query("select count(*) from run_events e where not exists (select from runs r where r.id = e.run_id)"), '0');
    });
});
