// The admin listener: forms of /healthz, /readyz and /metrics, who may ask, and that it still answers when strangers fill the server.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { buildFolder, plainEnvironment, repository, request, startServer, temporaryDirectory, until } from '../harness/server.mjs';

let server;
let page;
before(async () => {
    server = await startServer({ settings: { connections_per_address: 20 } });
    page = (await server.api('POST', '/api/plugins/import', pie('seen', { 'index.html': 'seen' }))).json.publicAppUrl;
});
after(() => server.stop());

const get = (where, options) => request(new URL(where, server.admin), options);

/** Prometheus text format 0.0.4, strictly: gives {name: {type, help, samples: [{labels, value}]}}. */
function parseMetrics(text) {
    assert.ok(text.endsWith('\n'), 'the last line ends with a line feed');
    const families = {};
    let open; // all lines of one family stand together
    const seen = new Set();
    const enter = (name) => {
        if (open === name) return;
        assert.ok(!seen.has(name), `${name} stands in two places`);
        seen.add(name);
        open = name;
        families[name] = { samples: [] };
    };
    for (const line of text.slice(0, -1).split('\n')) {
        const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
        if (comment) {
            const [, kind, name, rest] = comment;
            enter(name);
            const key = kind.toLowerCase();
            assert.equal(families[name][key], undefined, `${line}: a second one`);
            assert.equal(families[name].samples.length, 0, `${line}: behind its samples`);
            if (kind === 'TYPE') assert.match(rest, /^(counter|gauge|histogram|summary|untyped)$/);
            families[name][key] = rest;
            continue;
        }
        const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)$/.exec(line);
        assert.ok(sample, `no line of the format: ${JSON.stringify(line)}`);
        const [, name, labels = '', value] = sample;
        enter(name);
        assert.ok(families[name].type, `${name} has no type`);
        assert.ok(!families[name].samples.some((s) => s.labels === labels), `${line}: twice`);
        families[name].samples.push({ labels, value: Number(value) });
    }
    for (const [name, f] of Object.entries(families)) {
        assert.ok(f.samples.length > 0, `${name} has no value`);
        if (f.type === 'counter') {
            assert.match(name, /_(total|seconds)$/, `${name} is a counter`);
            for (const s of f.samples) assert.ok(s.value >= 0);
        }
    }
    return families;
}
const value = (families, name, labels = '') => {
    const sample = families[name]?.samples.find((s) => s.labels === labels);
    assert.ok(sample, `there is no ${name}{${labels}}`);
    return sample.value;
};
const metrics = async () => parseMetrics((await get('/metrics')).text);

test('/healthz and /readyz', async () => {
    const health = await get('/healthz');
    assert.equal(health.status, 200);
    assert.equal(health.json.status, 'ok');
    assert.match(health.json.version, /^\d+\.\d+\.\d+/);
    const ready = await get('/readyz');
    assert.equal(ready.status, 200);
    assert.deepEqual(ready.json, { status: 'ready', dependencies: { database: { ok: true }, pluginDatabase: { ok: true }, blobs: { ok: true } } });
    for (const answer of [health, ready]) {
        assert.match(answer.headers['content-type'], /^application\/json/);
        assert.match(answer.headers['x-request-id'], /^[0-9a-f]{24}$/);
        assert.match(answer.headers['cache-control'] ?? '', /no-store/);
    }
});

test('/readyz names what is away; only the state\'s database makes it 503', async () => {
    const one = await startServer({ managedDb: true });
    const look = () => request(`${one.admin}/readyz`);
    const until_ = (name, ok) => until(async () => {
        const answer = await look();
        assert.equal(answer.status, 200, answer.text);
        return answer.json.dependencies[name].ok === ok && answer.json;
    }, `${name} ${ok}`);
    const pidFile = path.join(one.dataDir, 'plugins-pg/cluster/postmaster.pid');
    const blobs = path.join(one.dataDir, 'blobs');
    let cluster;
    try {
        await until(() => fs.existsSync(pidFile), 'the cluster');
        assert.equal((await until_('pluginDatabase', true)).status, 'ready');
        cluster = Number(fs.readFileSync(pidFile, 'utf8').split('\n')[0]);
        process.kill(cluster, 'SIGSTOP');
        const without = await until_('pluginDatabase', false);
        assert.equal(without.status, 'degraded');
        assert.deepEqual([without.dependencies.database.ok, without.dependencies.blobs.ok], [true, true]);
        assert.match(without.dependencies.pluginDatabase.since, /^\d{4}-.*Z$/);
        assert.match(without.dependencies.pluginDatabase.effect, /^[A-Z].*[.]$/);
        process.kill(cluster, 'SIGCONT');
        assert.equal((await until_('pluginDatabase', true)).status, 'ready');
        fs.renameSync(path.join(blobs, 'tmp'), path.join(blobs, 'away'));
        assert.equal((await until_('blobs', false)).status, 'degraded');
        fs.renameSync(path.join(blobs, 'away'), path.join(blobs, 'tmp'));
        assert.equal((await until_('blobs', true)).status, 'ready');
    } finally {
        if (cluster) process.kill(cluster, 'SIGCONT');
        await one.stop();
    }
});

test('/metrics is Prometheus text, line by line, and counts what happens', async () => {
    const raw = await get('/metrics');
    assert.equal(raw.status, 200);
    assert.equal(raw.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const before_ = parseMetrics(raw.text);
    for (const name of ['stoa_requests_total', 'stoa_connections_open', 'process_resident_memory_bytes', 'process_cpu_seconds_total', 'stoa_database_up']) {
        assert.ok(before_[name], `${name} is missing`);
    }
    assert.equal(value(before_, 'stoa_database_up'), 1);
    assert.ok(value(before_, 'process_resident_memory_bytes') > 1e6);
    for (let i = 0; i < 7; ++i) assert.equal((await request(page)).status, 200);
    for (let i = 0; i < 3; ++i) assert.equal((await request(`${server.apps}/none`)).status, 404);
    assert.equal((await request(page, { headers: { 'x-long': 'x'.repeat(40000) } })).status, 431);
    await until(async () => {
        const now = await metrics();
        return value(now, 'stoa_requests_total', 'class="2xx"') - value(before_, 'stoa_requests_total', 'class="2xx"') >= 7
            && value(now, 'stoa_requests_total', 'class="4xx"') - value(before_, 'stoa_requests_total', 'class="4xx"') >= 3
            && value(now, 'stoa_guard_large_heads_total') - value(before_, 'stoa_guard_large_heads_total') === 1
            && value(now, 'stoa_connections_accepted_total') > value(before_, 'stoa_connections_accepted_total');
    }, 'the counters');
    // labels come from closed lists: nothing a visitor has sent stands there
    assert.ok(!(await get('/metrics')).text.includes('/apps/') && !/seen/.test((await get('/metrics')).text));
});

/** What comes back for these bytes, sent at once, until the server closes. */
const exchange = (base, bytes) => new Promise((done, failed) => {
    const socket = net.connect(Number(new URL(base).port), '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.setEncoding('latin1').on('data', (part) => { text += part; }).on('close', () => done(text)).on('error', failed);
});

const overHttp2 = (base, headers) => new Promise((done, failed) => {
    const session = http2.connect(base);
    const stream = session.request(headers);
    let text = '';
    stream.on('error', () => {}).on('response', (h) => {
        stream.setEncoding('utf8').on('data', (part) => { text += part; });
        stream.on('close', () => { session.close(); done({ status: h[':status'], id: h['x-request-id'], text }); });
    });
    session.on('error', failed);
});

test('what the guard refuses has its line in the access log, and is counted', async () => {
    const one = await startServer({ settings: { body_timeout: '1500ms', minimum_rate: 2000, header_bytes: '16KiB' } });
    const lines = () => fs.readFileSync(`${one.dataDir}/logs/access.log`, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
    const count = async (name) => value(parseMetrics((await request(`${one.admin}/metrics`)).text), 'stoa_requests_total', `class="${name}"`);
    try {
        const before_ = await count('4xx');
        const head = (method, path_, rest = '') => `${method} ${path_} HTTP/1.1\r\nHost: ${new URL(one.console).host}\r\n${rest}`;
        const refused = [
            [413, 'POST', '/api/plugins/import', await exchange(one.console, head('POST', '/api/plugins/import?secret=1', 'Content-Length: 999999999\r\n\r\n'))],
            [400, 'PUT', '/api/plugins/x', await exchange(one.console, head('PUT', '/api/plugins/x?secret=1', 'Transfer-Encoding: chunked\r\n\r\nnonsense\r\n'))],
            [408, 'POST', '/api/plugins/import', await exchange(one.console, head('POST', '/api/plugins/import?secret=1', 'Content-Length: 1000\r\n\r\nabc'))],
        ].map(([status, method, where, text]) => [status, method, where, /x-request-id: (\w+)/i.exec(text)?.[1], '1.1', text]);
        const two = await overHttp2(one.console, { ':method': 'POST', ':path': '/api/plugins/import?secret=1', 'content-length': '999999999' });
        refused.push([413, 'POST', '/api/plugins/import', two.id, '2', two.text]);
        assert.match(await exchange(one.console, head('GET', '/', `X-Long: ${'x'.repeat(20000)}\r\n\r\n`)), /^HTTP\/1\.1 431 /);
        assert.match(await exchange(one.console, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
        await until(async () => await count('4xx') - before_ === refused.length + 2, 'the counter');
        for (const [status, method, where, id, http, text] of refused) {
            assert.match(id ?? '', /^[0-9a-f]{24}$/, text);
            assert.ok(text.includes(`"requestId":"${id}"`), text);
            const found = await until(() => lines().filter((l) => l.requestId === id)[0], `a line of ${status} ${id}`);
            assert.equal(lines().filter((l) => l.requestId === id).length, 1);
            assert.deepEqual([found.status, found.method, found.path, found.route, found.site, found.peer, found.host, found.http],
                [status, method, where, 'refused', 'console', '127.0.0.1', '127.0.0.1', http]);
            assert.ok(found.bytes > 0);
        }
        assert.ok(!fs.readFileSync(`${one.dataDir}/logs/access.log`, 'utf8').includes('secret'));
    } finally {
        await one.stop();
    }
});

test('methods', async () => {
    for (const where of ['/healthz', '/readyz', '/metrics']) {
        const wrong = await get(where, { method: 'POST' });
        assert.equal(wrong.status, 405);
        assert.equal(wrong.json.code, 'method_not_allowed');
        assert.equal(wrong.headers.allow, 'GET, HEAD, OPTIONS');
        const options = await get(where, { method: 'OPTIONS' });
        assert.equal(options.status, 204);
        assert.equal(options.headers.allow, 'GET, HEAD, OPTIONS');
        const head = await get(where, { method: 'HEAD' });
        assert.equal(head.status, 200);
        assert.equal(head.body.length, 0);
        assert.ok(Number(head.headers['content-length']) > 0);
    }
    const absent = await get('/');
    assert.equal(absent.status, 404);
    assert.equal(absent.json.code, 'not_found');
});

test('a name that leads here by DNS is refused, and no other listener shows health', async () => {
    const { port } = new URL(server.admin);
    for (const host of [`evil.example:${port}`, `localhost.evil.example:${port}`, `127.0.0.1.evil.example:${port}`, 'evil.example']) {
        const answer = await get('/metrics', { headers: { host } });
        assert.equal(answer.status, 404, host);
        assert.equal(answer.json.code, 'unknown_host');
        assert.doesNotMatch(answer.text, /stoa_/);
    }
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) assert.equal((await get('/metrics', { headers: { host } })).status, 200, host);
    for (const base of [server.apps, server.console]) {
        for (const where of ['/healthz', '/readyz', '/metrics']) assert.doesNotMatch((await request(`${base}${where}`)).text, /stoa_|"ready"|"ok"/, `${base}${where}`);
    }
});

test('it answers while strangers hold every connection an address may have', async () => {
    const { port, hostname } = new URL(server.apps);
    const held = await Promise.all(Array.from({ length: 30 }, () => new Promise((done) => {
        const socket = net.connect(port, hostname, () => { socket.write('GET /none HTTP/1.1\r\n'); done(socket); });
        socket.on('error', () => {});
    })));
    try {
        await until(async () => value(await metrics(), 'stoa_connections_refused_address_total') >= 10, 'refusals to be counted', 5000);
        assert.equal((await get('/healthz')).status, 200);
    } finally {
        held.forEach((socket) => socket.destroy());
    }
});

test('with admin_token, and for a listener that is not loopback, every answer needs it', async (t) => {
    const token = 'a-token-of-the-operator';
    const guarded = await startServer({ settings: { admin_token: token } });
    t.after(() => guarded.stop());
    for (const where of ['/healthz', '/readyz', '/metrics']) {
        const url = new URL(where, guarded.admin);
        for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: token }, { authorization: `Bearer ${token}x` }]) {
            const refused = await request(url, { headers });
            assert.equal(refused.status, 401, `${where} ${JSON.stringify(headers)}`);
            assert.equal(refused.json.code, 'unauthorized');
            assert.match(refused.headers['www-authenticate'] ?? '', /^Bearer/);
        }
        assert.equal((await request(url, { headers: { authorization: `Bearer ${token}` } })).status, 200);
    }
    const check = (...args) => spawnSync(path.join(buildFolder(), 'stoa'), ['serve', '--check', '--data', temporaryDirectory('check'), ...args],
        { encoding: 'utf8', env: plainEnvironment() });
    const without = check('--listen-admin', '0.0.0.0:0');
    assert.equal(without.status, 1, without.stderr);
    assert.match(without.stderr + without.stdout, /listen_admin.*admin_token/);
    const within = check('--listen-admin', '0.0.0.0:0', '--set', `admin_token=${token}`);
    assert.equal(within.status, 0, within.stderr + within.stdout);
    assert.equal(check('--listen-admin', '127.0.0.1:0').status, 0);
    assert.notEqual(check('--listen-admin', '0.0.0.0:0', '--set', 'admin_token=short').status, 0);
});

test('no build for people can be made to fail from outside', (t) => {
    const program = path.join(repository, 'build/release/stoa');
    if (!fs.existsSync(program)) {
        t.skip('there is no release build');
        return;
    }
    const words = (file) => execFileSync('strings', ['-a', file], { encoding: 'latin1', maxBuffer: 1 << 28 });
    assert.match(words(path.join(buildFolder(), 'stoa')), /^\/faults$/m, 'the word to look for has changed');
    assert.doesNotMatch(words(program), /^\/faults$/m);
});
