// Secrets, config values, instances' settings and the master key against a real server: through the API and the command line, and what
// lies in the database, the logs and on the wire meanwhile.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { freshDatabase } from '../harness/postgres.mjs';
import { maySeeAll } from '../harness/processes.mjs';
import { buildFolder, request, slowness, startServer, temporaryDirectory, temporaryRoot, until } from '../harness/server.mjs';

const MARKER = 'marker-5eCr3t-of-the-e2e';
const ENV = { PATH: process.env.PATH, ASAN_OPTIONS: 'exitcode=99', UBSAN_OPTIONS: 'halt_on_error=1' };
const MANIFEST = `manifest:
  developerSecrets:
    API_KEY: { description: The key, required: true }
    OPTION: { description: An option }
  userSecrets:
    TOKEN: { description: Yours, required: true }
  userFields:
    limit: { type: number, label: Limit, min: 1, max: 10, default: 5 }
    title: { type: text, label: Title, required: true }
    topics: { type: tags, label: Topics, default: [a] }
    often: { type: select, label: Often, options: [{ value: daily, label: D }, { value: weekly, label: W }] }
    loud: { type: boolean, label: Loud }
`;
const CODE = `async function handler(input, context) {
    if (input._widgetAction) {
        await context.widget.show({ view: 'form' });
        return { seen: context.userConfig, payload: input.payload };
    }
    if (input.action === 'length') return { length: (context.secrets.API_KEY || '').length, extra: input.extra };
    if (input.actionId === 'fail') return { error: true, message: 'not today' };
    if (input.actionId === 'throw') throw new Error('on purpose');
    const { API_KEY, TOKEN, OPTION } = context.secrets;
    context.publicApp.respond({ key: (API_KEY || '').length, token: TOKEN === undefined, option: typeof OPTION, config: context.userConfig, payload: input.payload });
}
module.exports = { handler };
`;

let server;
let home;
let made; // the answer of the deploy
before(async () => {
    server = await startServer({ settings: { access_log: '-' } });
    home = temporaryDirectory('cli');
    made = await deploy('rsvp');
});
after(() => server?.stop());

async function deploy(name) {
    const answer = await server.api('POST', '/api/plugins/import', pie(name, { 'index.html': 'hello' }, { front: MANIFEST, code: CODE }));
    assert.ok(answer.status < 300, answer.text);
    return answer.json;
}

async function ok(method, where, body, options) {
    const answer = await server.api(method, where, body, options);
    assert.ok(answer.status < 300, `${method} ${where}: ${answer.text}`);
    return answer.json;
}

async function refused(status, code, method, where, body, options) {
    const answer = await server.api(method, where, body, options);
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.code, code);
    return answer.json;
}

/** Runs `stoa`; gives {code, out, err}. stdin is closed unless there is `input`. */
function stoa(args, input) {
    const child = spawn(server.stoaBin, args, { cwd: home, env: { ...ENV, HOME: home, STOA_URL: server.console, STOA_TOKEN: server.token } });
    const text = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (part) => { text.out += part; });
    child.stderr.setEncoding('utf8').on('data', (part) => { text.err += part; });
    child.stdin.end(input);
    return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code: code ?? signal, ...text })));
}

async function run(code, args, input) {
    const ran = await stoa(args, input);
    assert.equal(ran.code, code, `stoa ${args.join(' ')}\n${ran.out}${ran.err}`);
    return ran;
}

const secretsOf = (id) => `/api/plugins/${id}/secrets`;
const instanceOf = (id) => `/api/public-apps/instances/${id}`;
const call = (action, body = {}, headers = {}) => {
    const origin = new URL(made.instance.url).origin;
    return request(`${origin}/api/public-actions/${made.instance.slug}/${action}`, {
        method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers },
    });
};

// --- the API ---

test('a deploy names every required secret and field that is unset', () => {
    const said = made.warnings.map(String);
    assert.equal(said.length, 3, said.join('\n'));
    assert.match(said[0], /API_KEY is required and not set yet: stoa secrets rsvp set API_KEY/);
    assert.match(said[1], /TOKEN/);
    assert.match(said[2], /title is required and not set yet: stoa config rsvp title=VALUE/);
});

test('a secret reaches the handler and no answer, log, trail or table', async () => {
    const answers = [];
    for (const [method, where, body] of [
        ['PUT', `${secretsOf(made.plugin.id)}/API_KEY`, { value: MARKER }],
        ['PUT', `${instanceOf(made.instance.id)}/secrets/TOKEN`, { value: `${MARKER}-token` }],
        ['GET', secretsOf('rsvp')], ['GET', `${secretsOf('rsvp')}/API_KEY`], ['GET', `${instanceOf(made.instance.slug)}/secrets`],
        ['GET', '/api/plugins/rsvp'], ['GET', instanceOf(made.instance.id)], ['GET', '/api/plugins/rsvp/deployments'],
        ['PUT', `${secretsOf('rsvp')}/NOT_DECLARED`, { value: MARKER }],
        ['PUT', `${secretsOf('rsvp')}/OPTION`, `{"value": "${MARKER}", "value": "${MARKER}"}`],
        ['PUT', `${secretsOf('rsvp')}/OPTION`, { value: MARKER, other: 1 }],
        ['PUT', `${secretsOf('rsvp')}/OPTION`, { value: { a: MARKER } }],
    ]) answers.push((await server.api(method, where, body, typeof body === 'string' ? { type: 'application/json' } : {})).text);
    const seen = await call('look', { n: 1 });
    assert.equal(seen.status, 200, seen.text);
    assert.equal(seen.json.data.key, MARKER.length);
    assert.equal(seen.json.data.token, false);
    assert.equal(seen.json.data.option, 'undefined');
    for (const text of [...answers, seen.text]) assert.ok(!text.includes(MARKER), text);
    assert.ok(!server.log().includes(MARKER), 'not in the log');
    const dump = execFileSync('pg_dump', [server.databaseUrl], { encoding: 'latin1', maxBuffer: 1 << 28, env: { PATH: `${process.env.PATH}:/usr/lib/postgresql/15/bin` } });
    assert.ok(dump.includes('plugin_secrets'));
    for (const form of [MARKER, Buffer.from(MARKER).toString('hex'), Buffer.from(MARKER).toString('base64')]) assert.ok(!dump.includes(form), `not in the database as ${form}`);
    execFileSync('grep', ['-rqF', 'module.exports', server.dataDir]); // grep finds what is there
    assert.throws(() => execFileSync('grep', ['-rqF', MARKER, server.dataDir]), { status: 1 });
});

test('what is set next is what the next run sees', async () => {
    for (const value of ['x', 'longer', 'y'.repeat(65536)]) {
        await ok('PUT', `${secretsOf('rsvp')}/API_KEY`, { value });
        await until(async () => (await call('look')).json.data?.key === value.length, `a key of ${value.length} bytes in a run`, 2000 * slowness());
    }
    await ok('DELETE', `${secretsOf('rsvp')}/API_KEY`);
    await until(async () => (await call('look')).json.data?.key === 0, 'no key in a run', 2000 * slowness());
});

test('names are the manifest\'s, values have a length', async () => {
    const unknown = await refused(422, 'unknown_secret', 'PUT', `${secretsOf('rsvp')}/TOKEN`, { value: 'x' });
    assert.deepEqual(unknown.details.declared, ['API_KEY', 'OPTION']);
    await refused(422, 'invalid_request', 'PUT', `${secretsOf('rsvp')}/API_KEY`, { value: '' });
    await refused(422, 'invalid_request', 'PUT', `${secretsOf('rsvp')}/API_KEY`, { value: 'x'.repeat(65537) });
    await refused(422, 'invalid_request', 'PUT', `${secretsOf('rsvp')}/API_KEY`, {});
    await refused(413, 'body_too_large', 'PUT', `${secretsOf('rsvp')}/API_KEY`, { value: 'x'.repeat(500000) });
    await refused(404, 'secret_not_found', 'GET', `${secretsOf('rsvp')}/API_KEY`);
});

test('another project finds none of it', async () => {
    const project = await ok('POST', '/api/projects', { displayName: 'Others' });
    const theirs = { token: project.token.token ?? project.token };
    await ok('PUT', `${secretsOf('rsvp')}/API_KEY`, { value: 'mine' });
    for (const where of [secretsOf(made.plugin.id), `${secretsOf(made.plugin.id)}/API_KEY`, secretsOf('rsvp')]) await refused(404, 'plugin_not_found', 'GET', where, undefined, theirs);
    await refused(404, 'plugin_not_found', 'PUT', `${secretsOf(made.plugin.id)}/API_KEY`, { value: 'theirs' }, theirs);
    await refused(404, 'plugin_not_found', 'DELETE', `${secretsOf(made.plugin.id)}/API_KEY`, undefined, theirs);
    for (const where of ['', '/config', '/secrets', '/secrets/TOKEN']) await refused(404, 'instance_not_found', 'GET', `${instanceOf(made.instance.slug)}${where}`, undefined, theirs);
    await refused(404, 'instance_not_found', 'PATCH', instanceOf(made.instance.id), { allowedOrigins: ['https://evil.example'] }, theirs);
    await refused(404, 'instance_not_found', 'PUT', `${instanceOf(made.instance.id)}/config`, { values: {} }, theirs);
    const reader = await ok('POST', '/api/tokens', { name: 'reader', scope: 'read' });
    await refused(403, 'scope_too_low', 'PUT', `${secretsOf('rsvp')}/API_KEY`, { value: 'x' }, { token: reader.token });
    await ok('GET', secretsOf('rsvp'), undefined, { token: reader.token });
});

test('config is checked as a whole, kept, and given to runs over the defaults', async () => {
    const where = `${instanceOf(made.instance.id)}/config`;
    const before = await ok('GET', where);
    assert.deepEqual(before.values, { limit: 5, topics: ['a'] });
    assert.deepEqual(before.missing, ['title']);
    const wrong = await refused(422, 'invalid_config', 'PUT', where, { values: { limit: 11, title: 5, topics: 'a', often: 'hourly', loud: 'yes', other: 1 } });
    assert.deepEqual(Object.keys(wrong.details.fields).sort(), ['limit', 'loud', 'often', 'other', 'title', 'topics']);
    const set = await ok('PUT', where, { values: { title: 'Party', often: 'weekly', limit: null } });
    assert.deepEqual(set.values, { limit: 5, title: 'Party', topics: ['a'], often: 'weekly' });
    assert.deepEqual(set.missing, []);
    await until(async () => (await call('look')).json.data?.config?.title === 'Party', 'the title in a run', 2000 * slowness());
});

test('settings are patched, and are the instance\'s', async () => {
    const where = instanceOf(made.instance.id);
    const first = await ok('PATCH', where, { allowedOrigins: ['HTTPS://Www.Example.com:443', 'http://localhost:3000'], rateLimits: { actions: { look: { perMinute: 600, burst: 300 } } } });
    assert.equal(first.slug, made.instance.slug);
    assert.equal(first.url, made.instance.url);
    assert.deepEqual(first.settings.allowedOrigins, ['https://www.example.com', 'http://localhost:3000']);
    const uploads = { filesPerHour: 5, bytesPerHour: 50 * 1024 * 1024, stripImageMetadata: true };
    await ok('PATCH', where, { uploads: { ...uploads, filesPerHour: 6 } });
    const second = await ok('PATCH', where, { retention: { runDays: 7, uploadDays: 3 }, uploads: { filesPerHour: 5 } });
    assert.deepEqual(second.settings.uploads, uploads);
    assert.deepEqual(second.settings.retention, { runDays: 7, uploadDays: 3 });
    assert.deepEqual(second.settings.rateLimits.actions, { look: { perMinute: 600, burst: 300 } });
    assert.deepEqual((await ok('GET', instanceOf(made.instance.slug))).settings, second.settings);
    for (const origin of ['null', '*', 'https://*.example.com', 'example.com', 'https://a.example/x', 'file://']) {
        const no = await refused(422, 'invalid_settings', 'PATCH', where, { allowedOrigins: ['https://fine.example', origin] });
        assert.deepEqual(Object.keys(no.details.fields), ['allowedOrigins[1]']);
    }
    await refused(422, 'invalid_settings', 'PATCH', where, { allowedOrigins: Array.from({ length: 21 }, (_, i) => `https://o${i}.example`) });
    await refused(422, 'invalid_settings', 'PATCH', where, { rateLimits: { visitor: { perMinute: 0 } } });
    const wrong = await refused(422, 'invalid_settings', 'PATCH', where, { uploads: { filesPerHour: 0, bytesPerHour: '1MiB', stripImageMetadata: 'yes', other: 1 } });
    assert.deepEqual(Object.keys(wrong.details.fields).sort(), ['uploads.bytesPerHour', 'uploads.filesPerHour', 'uploads.other', 'uploads.stripImageMetadata']);
    await refused(422, 'invalid_request', 'PATCH', where, { other: 1 });
    assert.deepEqual((await ok('GET', where)).settings, second.settings, 'a refused patch changes nothing');
});

test('an allowed origin may call, others may not', async () => {
    const from = async (origin) => (await call('look', {}, { origin })).status;
    await until(async () => await from('https://www.example.com') === 200, 'the allowed origin to be let in', 2000 * slowness());
    assert.equal(await from('https://evil.example'), 403);
    assert.equal(await from('null'), 403);
    assert.equal(await from('https://www.example.com.evil.example'), 403);
    assert.equal(await from(new URL(made.instance.url).origin), 200);
    await ok('PATCH', instanceOf(made.instance.id), { allowedOrigins: null });
    await until(async () => await from('https://www.example.com') === 403, 'the origin to be shut out again', 2000 * slowness());
});

test('a limit of an action\'s own binds', async () => {
    await ok('PATCH', instanceOf(made.instance.id), { rateLimits: { actions: { fail: { perMinute: 1, burst: 2 } } } });
    const statuses = [];
    await until(async () => {
        statuses.push((await call('fail')).status);
        return statuses.at(-1) === 429;
    }, 'the limit', 5000 * slowness());
    assert.equal((await call('look')).status, 200, 'another action is not limited');
    await ok('PATCH', instanceOf(made.instance.id), { rateLimits: { actions: { fail: { perMinute: 60, burst: 1000 } } } });
    await until(async () => (await call('fail')).status === 200, 'the wider limit', 2000 * slowness());
});

test('each change is in the trail, without a value', () => {
    const rows = execFileSync('psql', ['-tA', '-c', 'select action, facts from audit_events', server.databaseUrl], { encoding: 'utf8' });
    for (const action of ['secret.set', 'secret.delete', 'config.set', 'instance.settings']) assert.ok(rows.includes(action), action);
    assert.ok(!rows.includes(MARKER) && !rows.includes('Party'));
});

// --- the command line ---

test('secrets: listed, set from stdin and a file, deleted', async () => {
    assert.match((await run(0, ['secrets', 'rsvp', 'set', 'API_KEY'], 'from-stdin\n')).out, /^Set API_KEY\n$/);
    await until(async () => (await call('look')).json.data?.key === 'from-stdin'.length, 'the line without its end', 2000 * slowness());
    fs.writeFileSync(path.join(home, 'value'), 'from a file');
    await run(0, ['secrets', 'rsvp', 'set', 'TOKEN', '--file', 'value']);
    const { out } = await run(0, ['secrets', 'rsvp']);
    assert.match(out, /API_KEY +app +set .*The key/);
    assert.match(out, /OPTION +app +not set/);
    assert.match(out, /TOKEN +instance +set/);
    assert.ok(!out.includes('from'));
    const json = JSON.parse((await run(0, ['secrets', 'rsvp', '--json'])).out);
    assert.deepEqual([json.plugin.length, json.instance.length], [2, 1]);
    const one = JSON.parse((await run(0, ['secrets', 'rsvp', '--instance', made.instance.slug, '--json'])).out);
    assert.deepEqual(one, { instance: json.instance });
    assert.match((await run(1, ['secrets', 'rsvp', 'set', 'API_KEY', '--instance', made.instance.slug], 'x')).err, /userSecrets do not declare/);
    assert.match((await run(0, ['secrets', 'rsvp', 'rm', 'TOKEN'])).out, /^Deleted TOKEN\n$/);
    await run(3, ['secrets', 'rsvp', 'rm', 'TOKEN']);
    assert.match((await run(1, ['secrets', 'rsvp', 'set', 'NOPE'], 'x')).err, /Declared: API_KEY and OPTION/);
});

test('secrets: a value is never an argument, and never repeated', async () => {
    const { err } = await run(2, ['secrets', 'rsvp', 'set', 'API_KEY', 'oops-secret']);
    assert.ok(!err.includes('oops-secret'));
    await run(2, ['secrets', 'rsvp', 'API_KEY=oops']);
    await run(2, ['secrets', 'rsvp', 'set', 'API_KEY'], '');
    await run(3, ['secrets', 'nowhere']);
});

test('secrets: asked for on a terminal, and not shown there', async () => {
    const script = `import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
out = b''
while b': ' not in out:
    out += os.read(fd, 1000)
time.sleep(0.3)
os.write(fd, b'typed-in-secret\\n')
try:
    while True:
        part = os.read(fd, 1000)
        if not part: break
        out += part
except OSError:
    pass
sys.stdout.write(out.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
    const out = execFileSync('python3', ['-c', script, server.stoaBin, 'secrets', 'rsvp', 'set', 'API_KEY'], {
        encoding: 'utf8', env: { ...ENV, HOME: home, TERM: 'dumb', STOA_URL: server.console, STOA_TOKEN: server.token },
    });
    assert.match(out, /Value of API_KEY: /);
    assert.match(out, /Set API_KEY/);
    assert.ok(!out.includes('typed-in-secret'));
    await until(async () => (await call('look')).json.data?.key === 'typed-in-secret'.length, 'what was typed', 2000 * slowness());
});

test('config: shown, set by type, put back', async () => {
    await run(0, ['config', 'rsvp', 'limit=7', 'topics=one, two', 'loud=true', 'title=7']);
    const json = JSON.parse((await run(0, ['config', 'rsvp', '--json'])).out);
    assert.deepEqual(json.values, { limit: 7, title: '7', topics: ['one', 'two'], often: 'weekly', loud: true });
    assert.match((await run(0, ['config', 'rsvp', 'limit='])).out, /limit +5 +default/);
    const { err } = await run(1, ['config', 'rsvp', 'limit=many', 'often=hourly']);
    assert.match(err, /limit: This must be a number\.\n/);
    assert.match(err, /often: This must be one of: daily, weekly\.\n/);
    await run(2, ['config', 'rsvp', 'limit']);
});

test('instance settings: shown and changed', async () => {
    const { out } = await run(0, ['instance', 'settings', 'rsvp', 'origins=https://a.example,https://b.example', 'visitor=100/50', 'action:look=500', 'keep-runs=30d']);
    assert.match(out, /origins +https:\/\/a\.example,https:\/\/b\.example/);
    assert.match(out, /visitor +100\/50/);
    assert.match(out, /action:look +500\/250/);
    assert.match(out, /keep-runs +30/);
    assert.match((await run(0, ['instance', 'settings', made.instance.slug, 'origins=', 'visitor=', 'keep-runs='])).out, /visitor +the server's/);
    assert.match((await run(1, ['instance', 'settings', 'rsvp', 'origins=*'])).err, /allowedOrigins\[0\]: This must be one exact origin/);
    await run(2, ['instance', 'settings', 'rsvp', 'visitor=many']);
    await run(2, ['instance', 'settings', 'rsvp', 'nothing=1']);
    const uploads = (await run(0, ['instance', 'settings', 'rsvp', 'uploads=7', 'upload-bytes=30MiB', 'strip-images=yes', 'keep-uploads=90d'])).out;
    assert.match(uploads, /uploads +7 /);
    assert.match(uploads, /upload-bytes +30 MiB/);
    assert.match(uploads, /strip-images +yes/);
    assert.match(uploads, /keep-uploads +90/);
    const back = (await run(0, ['instance', 'settings', 'rsvp', 'uploads=', 'upload-bytes=', 'strip-images=', 'keep-uploads='])).out;
    assert.match(back, /uploads +the server's: \d+ /);
    assert.match(back, /upload-bytes +the server's: \d+ MiB/);
    assert.match(back, /storage +0 B of \d+ MiB, 0 of \d+ files/);
    assert.match(back, /file-size +10 MiB/);
    assert.match(back, /strip-images +no/);
    await run(2, ['instance', 'settings', 'rsvp', 'strip-images=maybe']);
    await run(2, ['instance', 'settings', 'rsvp', 'upload-bytes=lots']);
});

test('invoke: as a visitor, as a widget, as a tool', async () => {
    const seen = JSON.parse((await run(0, ['invoke', 'rsvp', 'look', '{"a":1}'])).out);
    assert.deepEqual(seen.payload, { a: 1 });
    assert.deepEqual(JSON.parse((await run(0, ['invoke', 'rsvp', 'look', '-'], '{"b":2}')).out).payload, { b: 2 });
    const failed = await run(1, ['invoke', 'rsvp', 'fail']);
    assert.match(failed.err, /error: not today/);
    await run(1, ['invoke', 'rsvp', 'throw']);
    const widget = await run(0, ['invoke', 'rsvp', '_launch', '{"c":3}', '--widget']);
    assert.deepEqual(JSON.parse(widget.out).payload, { c: 3 });
    assert.match(widget.err, /widget: show .*form/);
    assert.match(widget.err, /run: \S+/);
    const tool = await run(0, ['invoke', 'rsvp', 'length', '{"extra":"x"}', '--tool', '--json']);
    assert.deepEqual(JSON.parse(tool.out).result, { length: 'typed-in-secret'.length, extra: 'x' });
    const thrown = await run(1, ['invoke', 'rsvp', 'throw', '{"actionId":"throw"}', '--tool']);
    assert.match(thrown.err, /error: on purpose/);
    for (const mode of [[], ['--widget']]) { // what a page may send, and what the handler made of it
        const odd = await run(0, ['invoke', 'rsvp', 'look', '-', ...mode, '--json'], '\n{"a":1,"a":1.10,"b":"x\\u0000\\ud800","c":1e400,"d":12345678901234567890}\n');
        const { data, result } = JSON.parse(odd.out);
        assert.deepEqual((data || result).payload, { a: 1.1, b: 'x\0\ufffd', c: null, d: 12345678901234567890 });
        assert.match(odd.out, /"a":1\.1,/);
    }
    assert.deepEqual(JSON.parse((await run(0, ['invoke', 'rsvp', 'x', '\n{"action":"length","extra":0.1}', '--tool'])).out).extra, 0.1);
    await run(0, ['invoke', 'rsvp', 'length', '{ }', '--tool']);
    for (const none of ['[]', ' [{}]', '"{}"', '{}{}', '', '{"a":"\\x"}'])
        await run(2, ['invoke', 'rsvp', 'look', none]);
    await run(2, ['invoke', 'rsvp', 'look', '{']);
    await run(3, ['invoke', 'nowhere', 'look']);
});

test('invoke sends no token to the apps origin', async () => {
    const lines = server.log().split('\n').filter((line) => line.includes('/api/public-actions/'));
    assert.ok(lines.length > 0);
    assert.ok(!server.log().includes(server.token));
});

// --- the master key ---

/** Starts the server on its data and gives what it says when it does not come up. */
async function startFails(options) {
    const child = await startServer({ ...options, readyTimeout: 30000 * slowness() }).then((up) => up.stop().then(() => undefined), (error) => error.message);
    assert.ok(child, 'the server must not start');
    return child;
}

test('a lost or wrong master key is a refusal, and no second key', async () => {
    const database = await freshDatabase(temporaryRoot());
    const one = await startServer({ database: database.url });
    const file = path.join(one.dataDir, 'keys/master.key');
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    await one.api('POST', '/api/plugins/import', pie('kept', { 'index.html': 'x' }, { front: MANIFEST, code: CODE }));
    assert.equal((await one.api('PUT', `${secretsOf('kept')}/API_KEY`, { value: 'kept' })).status, 200);
    await one.stop();
    const key = fs.readFileSync(file, 'utf8');
    const again = { database: database.url, dataDir: one.dataDir };
    fs.renameSync(file, `${file}.away`);
    assert.match(await startFails(again), /master_key_missing.*sealed under a master key/s);
    assert.ok(!fs.existsSync(file), 'nothing was made in its place');
    const other = 'f'.repeat(64);
    const wrong = await startFails({ ...again, env: { STOA_MASTER_KEY: other } });
    assert.match(wrong, /master_key_wrong/);
    assert.ok(!wrong.includes(other), 'the key is in no log');
    assert.match(await startFails({ ...again, env: { STOA_MASTER_KEY: 'hunter2' } }), /STOA_MASTER_KEY: Key 1 is not 32 bytes/);
    fs.renameSync(`${file}.away`, file);

    // a second key in front of it, by the environment: rows go over, and then the first is not needed
    const hex = key.trim().split('\n').at(-1);
    const rotated = await startServer({ ...again, env: { STOA_MASTER_KEY: `${other},${hex}` } });
    const environ = (maySeeAll ? [rotated.pid, rotated.serverPid] : []).map((pid) => fs.readFileSync(`/proc/${pid}/environ`, 'latin1')).join();
    assert.ok(!environ.includes(other), 'no process shows it in its environment');
    await rotated.logged(/sealed under the newest master key count=1/);
    await rotated.stop();
    const after = await startServer({ ...again, env: { STOA_MASTER_KEY: other } });
    const run = await after.api('POST', '/api/plugins/kept/instances', undefined);
    assert.equal(run.status, 201, run.text);
    const seen = await request(`${after.apps}/api/public-actions/${run.json.slug}/look`, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
    assert.equal(seen.json.data.key, 4);
    await after.stop();
});

test('stoa serve --check looks at the master key', () => {
    const check = (env) => {
        try {
            return execFileSync(path.join(buildFolder(), 'stoa'), ['serve', '--check', '--data', path.join(home, 'none')], { encoding: 'utf8', env: { ...ENV, ...env } });
        } catch (error) {
            return error.stdout;
        }
    };
    assert.match(check({}), /settings are fine/);
    assert.match(check({ STOA_MASTER_KEY: 'a'.repeat(64) }), /settings are fine/);
    assert.match(check({ STOA_MASTER_KEY: 'a'.repeat(63) }), /STOA_MASTER_KEY: Key 1 is not 32 bytes in hex/);
    assert.match(check({ STOA_MASTER_KEY_FILE: '/nowhere/key' }), /master_key_file: \/nowhere\/key: No such file/);
});

// --- tampering ---

test('a secret that was changed in the database fails its runs, and says nothing', async () => {
    const sql = (text) => execFileSync('psql', ['-tA', '-c', text, server.databaseUrl], { encoding: 'utf8' }).trim();
    await ok('PUT', `${secretsOf('rsvp')}/OPTION`, { value: 'the option' });
    sql("update plugin_secrets a set value = b.value from plugin_secrets b where a.plugin_id = b.plugin_id and a.name = 'API_KEY' and b.name = 'OPTION'");
    const seen = await call('look');
    assert.ok(seen.status >= 500, seen.text);
    assert.ok(!seen.text.includes('the option'));
    await ok('PUT', `${secretsOf('rsvp')}/API_KEY`, { value: 'whole again' });
    await until(async () => (await call('look')).json.data?.key === 'whole again'.length, 'runs again', 2000 * slowness());
});
