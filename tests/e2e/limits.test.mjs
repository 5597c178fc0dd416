// Every limit on what comes in, against the whole server: over cleartext and TLS, HTTP/1.1 and HTTP/2. A refusal is in the contract's form,
// is counted, leaves the connection as the guard's header says, and never touches a visitor who does nothing wrong.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import { Connection, FLAG, data, headers, request as h2request } from '../harness/h2raw.mjs';
import { pie } from '../harness/pie.mjs';
import { request, slowness, startServer, until } from '../harness/server.mjs';

const MIB = 1 << 20;
const SETTINGS = {
    header_timeout: '1500ms', body_timeout: '1500ms', idle_timeout: '2s', write_timeout: '1500ms', minimum_rate: 2000, header_bytes: '16KiB', header_count: 40,
    target_length: '2KiB', connections_per_address: 60, archive_bytes: '16MiB', archive_file_bytes: '8MiB', body_memory_per_connection: '20MiB', body_memory_total: '40MiB', body_disk_total: '40MiB',
    handshakes_per_address: 1000,
};
let server;
let page;
before(async () => {
    server = await startServer({ tls: ['localhost'], settings: SETTINGS });
    const big = 'x'.repeat(400000);
    const made = await server.api('POST', '/api/plugins/import', pie('limits', { 'index.html': 'fine', 'a.bin': big, 'b.bin': `${big}b` }));
    assert.equal(made.status, 201, made.text);
    page = new URL(made.json.publicAppUrl);
});
const sockets = new Set();
after(async () => {
    sockets.forEach((socket) => socket.destroy());
    await server.stop();
});

const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });
const port = (url) => Number(new URL(url).port);
const metrics = async () => Object.fromEntries([...(await request(`${server.admin}/metrics`)).text.matchAll(/^(?:stoa_)?(\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]));
/** Runs `what` and tells by how much each counter grew. */
async function counted(name, by, what) {
    const before_ = (await metrics())[name];
    assert.notEqual(before_, undefined, name);
    const result = await what();
    const grew = (await metrics())[name] - before_;
    assert.ok(grew >= by, `${name} grew by ${grew}, not ${by}`);
    return result;
}

function open({ secure = false, to, from } = {}) {
    const where = { port: port(secure ? server.tls : to ?? server.apps), host: '127.0.0.1', localAddress: from };
    const socket = secure ? tls.connect({ ...where, servername: 'localhost', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }) : net.connect(where);
    sockets.add(socket);
    const c = { socket, text: '', error: undefined };
    c.closed = new Promise((done) => { socket.on('close', () => done(true)); });
    socket.on('data', (part) => { c.text += part.toString('latin1'); });
    socket.on('error', (error) => { c.error = error.code; });
    return new Promise((done) => {
        socket.once(secure ? 'secureConnect' : 'connect', () => done(c));
        socket.once('close', () => done(c));
    });
}
const authority = (to, secure) => `localhost:${port(secure ? server.tls : to)}`;
/** One raw HTTP/1.1 exchange: {status, headers (text), json, closed}. `closed` after `patience` ms. */
async function exchange(bytes, options = {}, patience = 6000) {
    const c = await open(options);
    c.socket.write(bytes);
    await Promise.race([c.closed, until(() => /\r\n\r\n[^]*\}\n?$/.test(c.text), 'an answer', patience).catch(() => {})]);
    const closed = await Promise.race([c.closed, wait(options.linger ?? 500).then(() => false)]);
    c.socket.destroy();
    const [head, body = ''] = [c.text.slice(0, c.text.indexOf('\r\n\r\n')), c.text.slice(c.text.indexOf('\r\n\r\n') + 4)];
    let json;
    try { json = JSON.parse(body); } catch { /* none */ }
    return { status: Number(head.slice(9, 12)), head, json, closed, text: c.text };
}
function assertRefusal({ status, head, json }, wantedStatus, code, { withId = true } = {}) {
    assert.equal(status, wantedStatus, `${head}\n${JSON.stringify(json)}`);
    assert.equal(json?.error, true, head);
    assert.equal(json.code, code);
    assert.ok(json.message.length > 10);
    if (withId) assert.match(json.requestId, /^[0-9a-f]{24}$/);
    else assert.equal(json.requestId, undefined);
}
async function h2(where, { secure = false, fields = {}, extra = [], body, end = true } = {}) {
    const c = await Connection.open(port(secure ? server.tls : where.origin), { secure });
    sockets.add(c.socket);
    const auth = authority(where.origin, secure);
    c.send(headers(1, h2request({ ':path': where.pathname, ':authority': auth, ':scheme': secure ? 'https' : 'http', ...fields }, extra), FLAG.END_HEADERS | (body || !end ? 0 : FLAG.END_STREAM)));
    if (body) c.send(data(1, body, end ? FLAG.END_STREAM : 0));
    const answer = await c.response(1, 8000);
    let json;
    try { json = JSON.parse(answer.body.toString()); } catch { /* none */ }
    return { ...answer, json, head: `HTTP/2 ${answer.status} reset ${answer.reset}`, c };
}

for (const secure of [false, true]) {
    const over = secure ? 'TLS' : 'cleartext';
    const where = () => authority(server.apps, secure);
    test(`heads, HTTP/1.1 over ${over}: 431 for bytes and for count, 414 for the target; the connection closes`, async () => {
        await counted('guard_large_heads_total', 3, async () => {
            const bytes = await exchange(`GET ${page.pathname} HTTP/1.1\r\nHost: ${where()}\r\nX-Long: ${'x'.repeat(20000)}\r\n\r\n`, { secure });
            assertRefusal(bytes, 431, 'headers_too_large', { withId: false });
            assert.match(bytes.head, /clear-site-data: "cookies"/i);
            const count = await exchange(`GET ${page.pathname} HTTP/1.1\r\nHost: ${where()}\r\n${Array.from({ length: 60 }, (_, i) => `x-${i}: 1\r\n`).join('')}\r\n`, { secure });
            assertRefusal(count, 431, 'headers_too_large', { withId: false });
            const target = await exchange(`GET /${'a'.repeat(3000)} HTTP/1.1\r\nHost: ${where()}\r\n\r\n`, { secure });
            assertRefusal(target, 414, 'target_too_long', { withId: false });
            for (const one of [bytes, count, target]) {
                assert.match(one.head, /^connection: close$/im);
                assert.ok(one.closed, 'still open');
            }
        });
        const fine = await exchange(`GET ${page.pathname} HTTP/1.1\r\nHost: ${where()}\r\nConnection: close\r\n${Array.from({ length: 37 }, (_, i) => `x-${i}: ${'y'.repeat(300)}\r\n`).join('')}\r\n`, { secure });
        assert.equal(fine.status, 200, fine.head);
    });

    test(`heads, HTTP/2 over ${over}: the same answers, and the connection goes on`, async () => {
        for (const [status, code, options] of [
            [431, 'headers_too_large', { extra: [['x-long', 'x'.repeat(15000)], ...Array.from({ length: 36 }, (_, i) => [`x-${i}`, '1'])] }],
            [431, 'headers_too_large', { extra: Array.from({ length: 45 }, (_, i) => [`x-${i}`, '1']) }],
            [414, 'target_too_long', { fields: { ':path': `/${'a'.repeat(3000)}` } }],
        ]) {
            const answer = await h2(page, { secure, ...options });
            assertRefusal(answer, status, code);
            assert.ok(await answer.c.isAlive(), `${status}: the connection has gone`);
            answer.c.send(headers(3, h2request({ ':path': page.pathname, ':authority': where(), ':scheme': secure ? 'https' : 'http' })));
            assert.equal((await answer.c.response(3)).status, 200);
            answer.c.close();
        }
    });

    test(`bodies over ${over}: 413 before they are read, each endpoint its own size, on both protocols`, async () => {
        const console_ = new URL(server.console);
        // over TLS the console has its own authority
        const host = console_.host;
        const post = (path, length, base) => `POST ${path} HTTP/1.1\r\nHost: ${base}\r\nAuthorization: Bearer ${server.token}\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`;
        await counted('guard_large_bodies_total', 6, async () => {
            for (const [path, length, base, to] of [['/api/plugins/import', 4 * MIB + 200000, host, server.console], [page.pathname, 100000, where(), server.apps],
                ['/api/plugins/limits/deployments', 17 * MIB, host, server.console]]) {
                const began = Date.now();
                const h1 = await exchange(post(path, length, base), { secure, to });
                assertRefusal(h1, 413, 'body_too_large');
                assert.ok(Date.now() - began < 1400, 'before any byte of it has come');
                const two = await h2(new URL(path, to), { secure, fields: { ':method': 'POST', ':authority': base }, extra: [['content-length', `${length}`], ['authorization', `Bearer ${server.token}`]], end: false });
                assertRefusal(two, 413, 'body_too_large');
                assert.ok(await two.c.isAlive());
                two.c.close();
            }
        });
        // without a length: as soon as it is over
        const chunk = `10000\r\n${'x'.repeat(65536)}\r\n`;
        const chunked = await exchange(`POST ${page.pathname} HTTP/1.1\r\nHost: ${where()}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`, { secure });
        assertRefusal(chunked, 413, 'body_too_large');
        // what one endpoint refuses another takes
        const archive = await exchange(`${post('/api/plugins/limits/deployments', 5 * MIB, host)}${'x'.repeat(5 * MIB)}`, { secure, to: server.console }, 10000 * slowness());
        assert.equal(archive.status, 422, archive.head);
    });

    test(`time-outs over ${over}`, async () => {
        await counted('guard_timeouts_total', 2, async () => {
            const slowHead = exchange(`GET ${page.pathname} HTTP/1.1\r\nHost: lo`, { secure, linger: 3000 });
            const slowBody = exchange(`POST ${page.pathname} HTTP/1.1\r\nHost: ${where()}\r\nContent-Length: 5000\r\n\r\nabc`, { secure, linger: 3000 });
            const idle = await open({ secure });
            idle.socket.write(`GET ${page.pathname} HTTP/1.1\r\nHost: ${where()}\r\n\r\n`);
            const began = Date.now();
            const deaf = await open({ secure });
            deaf.socket.pause();
            deaf.socket.write(`GET ${page.pathname}a.bin HTTP/1.1\r\nHost: ${where()}\r\n\r\n`.repeat(40));
            for (const one of [await slowHead, await slowBody]) {
                assertRefusal(one, 408, 'request_timeout', { withId: one === await slowBody });
                assert.ok(one.closed, 'still open');
            }
            assert.equal(await Promise.race([idle.closed, wait(6000).then(() => 'open')]), true, 'an idle connection is still open');
            assert.ok(Date.now() - began > 1500, `${Date.now() - began} ms`);
            assert.match(idle.text, /^HTTP\/1\.1 200 /);
            await wait(2000);
            deaf.socket.resume();
            assert.equal(await Promise.race([deaf.closed, wait(5000).then(() => 'open')]), true, 'a reader that takes nothing is still served');
            assert.ok(deaf.text.length < 40 * 400000);
        });
    });
}

test('connections of one address: one too many is refused, others are served, and a place comes back', async () => {
    const held = [];
    await until(async () => (await metrics()).connections_open === 1, 'a quiet server', 5000);
    for (let i = 0; i < 60; ++i) {
        const c = await open();
        c.socket.write(`GET ${page.pathname} HTTP/1.1\r\nHost: ${authority(server.apps)}\r\nX-A: `);
        held.push(c);
    }
    await until(async () => (await metrics()).connections_open >= 61, 'all of them', 5000);
    await counted('connections_refused_address_total', 1, async () => {
        const extra = await open();
        extra.socket.write('GET / HTTP/1.1\r\n');
        assert.equal(await Promise.race([extra.closed, wait(3000).then(() => 'open')]), true);
        assert.equal(extra.text, '');
    });
    assert.equal((await request(page, { localAddress: '127.0.0.2' })).status, 200, 'another address');
    held.pop().socket.destroy();
    await until(async () => (await request(page).catch(() => ({}))).status === 200, 'a place to come back', 2000);
    held.forEach((c) => c.socket.destroy());
});

const memory = () => Number(/^VmRSS:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${server.serverPid}/status`, 'latin1'))[1]) / 1024;
test('bodies: over the sum it is 503 with Retry-After, memory stays bounded, and the innocent are served', async () => {
    const before_ = memory();
    let innocent = 0;
    let going = true;
    const visitor = (async () => {
        while (going) {
            assert.equal((await request(page, { localAddress: '127.0.0.3' })).status, 200);
            ++innocent;
            await wait(20);
        }
    })();
    const { host } = new URL(server.console);
    const load = Buffer.alloc(12 * MIB, 'x');
    const results = await counted('guard_busy_total', 1, () => Promise.all(Array.from({ length: 8 }, async () => {
        const c = await open({ to: server.console });
        c.socket.write(`POST /api/plugins/limits/deployments HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${server.token}\r\nContent-Length: ${15 * MIB}\r\n\r\n`);
        c.socket.write(load);
        await Promise.race([c.closed, until(() => c.text.includes('}'), 'an answer', 4000).catch(() => {})]);
        return c;
    })));
    const peak = memory();
    going = false;
    await visitor;
    const busy = results.filter((c) => c.text.startsWith('HTTP/1.1 503'));
    assert.ok(busy.length > 0, results.map((c) => c.text.slice(0, 40)).join());
    for (const c of busy) {
        assert.match(c.text, /"code":"busy"/);
        assert.match(c.text, /^retry-after: \d+\r$/im);
    }
    assert.ok(innocent > 5, `${innocent} innocent visits`);
    assert.ok(peak - before_ < 40 * 2 * 2 + 60, `${before_.toFixed()} MiB and then ${peak.toFixed()}`);
    results.forEach((c) => c.socket.destroy());
    await until(async () => (await metrics()).request_body_bytes_buffered === 0, 'the memory to be given back', 5000);
    assert.equal((await server.api('POST', '/api/plugins/import', pie('limits', { 'index.html': 'still fine' }))).status, 200);
});

test('handshakes: over the rate of one address they are refused, others and cleartext are not', async (t) => {
    const few = await startServer({ tls: ['localhost'], settings: { handshakes_per_address: 5, handshakes_per_second: 12 } });
    t.after(() => few.stop());
    const shake = (from) => new Promise((done) => {
        const socket = tls.connect({ port: port(few.tls), host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, localAddress: from }, () => { socket.destroy(); done(true); });
        socket.on('error', () => done(false));
    });
    const many = (from, n) => Promise.all(Array.from({ length: n }, () => shake(from))).then((all) => all.filter(Boolean).length);
    const first = await many('127.0.0.1', 40);
    assert.ok(first >= 5 && first < 25, `${first} of 40 in one moment`);
    assert.ok(await shake('127.0.0.2'), 'another address');
    assert.equal((await request(few.apps)).status, 404, 'cleartext');
    const refused = Number(/^stoa_handshakes_refused_total (\d+)/m.exec((await request(`${few.admin}/metrics`)).text)[1]);
    assert.ok(refused >= 40 - first, `${refused} counted`);
    await wait(1500);
    assert.ok(await shake('127.0.0.1'), 'a second later');
    await wait(1200);
    const all = (await Promise.all(Array.from({ length: 12 }, (_, i) => many(`127.0.${10 + i}.1`, 5)))).reduce((a, b) => a + b);
    assert.ok(all >= 12 && all < 45, `${all} of 60 from twelve addresses`);
});

test('handshakes: over the rate of one network they are refused, others are not', async (t) => {
    const few = await startServer({ tls: ['localhost'], settings: { handshakes_per_address: 2, handshakes_per_second: 40 } }); // 14 for a network
    t.after(() => few.stop());
    const shake = (from) => new Promise((done) => {
        const socket = tls.connect({ port: port(few.tls), host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, localAddress: from }, () => { socket.destroy(); done(true); });
        socket.on('error', () => done(false));
    });
    const all = (network) => Promise.all(Array.from({ length: 60 }, (_, i) => shake(`127.0.${network}.${1 + i % 20}`))).then((each) => each.filter(Boolean).length);
    const begun = Date.now();
    const first = await all(1), seconds = (Date.now() - begun) / 1000;
    assert.ok(first >= 14 && first <= 15 + 14 * seconds, `${first} of 60 in ${seconds} s`);
    assert.ok(await shake('127.0.2.1'), 'another network');
});

test('connections of one network: half of all and no more, however many addresses it has; the next network has room, and so on', async (t) => {
    const small = await startServer({ settings: { connections: 60, connections_per_address: 8 } });
    t.after(() => small.stop());
    const held = [];
    const hold = (from) => {
        const socket = net.connect({ port: port(small.apps), host: '127.0.0.1', localAddress: from });
        sockets.add(socket);
        held.push(socket);
        socket.resume().write('GET / HTTP/1.1\r\n');
        const one = { isOpen: true };
        socket.on('error', () => {}).on('close', () => { one.isOpen = false; });
        return one;
    };
    const of = async (network) => {
        const all = [];
        for (let i = 0; i < 80; ++i) all.push(hold(`127.0.${network}.${1 + i % 20}`));
        await wait(300);
        return all.filter((one) => one.isOpen).length;
    };
    const first = await of(1);
    assert.ok(first >= 27 && first <= 31, `${first} of 60`);
    const second = await of(2);
    assert.ok(second >= 13 && second <= 16, `${second} of what was left`);
    assert.equal((await request(small.apps, { localAddress: '127.0.3.1' })).status, 404, 'a third network');
    held.forEach((socket) => socket.destroy());
    await until(async () => (await request(small.apps, { localAddress: '127.0.1.1' }).catch(() => ({}))).status === 404, 'a place', 3000);
});

test('connections in all: over the limit they are refused, and the admin listener still answers', async (t) => {
    const small = await startServer({ settings: { connections: 16, connections_per_address: 16 } });
    t.after(() => small.stop());
    const held = [];
    for (let i = 0; i < 30; ++i) {
        const socket = net.connect({ port: port(small.apps), host: '127.0.0.1', localAddress: `127.0.0.${2 + i % 8}` });
        sockets.add(socket);
        socket.on('error', () => {});
        socket.write('GET / HTTP/1.1\r\n');
        held.push(socket);
    }
    const text = await until(async () => {
        const answer = await request(`${small.admin}/metrics`);
        return answer.status === 200 && /^stoa_connections_refused_full_total [1-9]/m.test(answer.text) && answer.text;
    }, 'refusals', 5000);
    assert.ok(Number(/^stoa_connections_open (\d+)/m.exec(text)[1]) <= 18);
    held.forEach((socket) => socket.destroy());
    await until(async () => (await request(small.apps).catch(() => ({}))).status === 404, 'a place', 3000);
});

test('names that no app has: while no query is answered, only so many of an address and of a network wait for theirs', async () => {
    const { port: at, host } = new URL(server.apps);
    const session = server.database.session();
    session.say("begin; lock table instances in access exclusive mode; select 'locked';");
    await until(() => session.said().includes('locked'), 'the lock');
    const connections = await Promise.all(Array.from({ length: 14 }, (_, i) => Connection.open(Number(at), { localAddress: `127.0.78.${i < 4 ? 1 : i}` })));
    for (const [k, c] of connections.entries())
        c.send(...Array.from({ length: 95 }, (_, n) => headers(1 + 2 * n, h2request({ ':path': `/apps/nobody/y-${k}-${n}/`, ':authority': host }))));
    const refused = (list) => list.flatMap((c) => c.frames).filter((f) => f.status === 503).length;
    await until(() => refused(connections) >= 14 * 95 - 1000, 'the others to be refused');
    assert.equal(refused(connections), 14 * 95 - 1000);
    assert.equal(refused(connections.slice(0, 4)), 4 * 95 - 300);
    session.end('rollback;');
    await until(() => connections.flatMap((c) => c.frames).filter((f) => f.status === 404).length === 1000, 'answers');
    for (const c of connections) c.close();
});

test('names that no app has: a visitor who asks for hundreds waits, others are served', async () => {
    const from = '127.0.77.1';
    const ask = (where, localAddress = from) => request(new URL(where, server.apps).href, { localAddress });
    const seen = {};
    for (let i = 0; i < 20; ++i) {
        const answers = await Promise.all(Array.from({ length: 20 }, (_, k) => ask(`/apps/nobody/x-${i * 20 + k}/`)));
        for (const { status } of answers) seen[status] = (seen[status] ?? 0) + 1;
    }
    assert.deepEqual(Object.keys(seen), ['404', '429']);
    assert.ok(seen[404] >= 300 && seen[404] < 390, `${seen[404]} of 400 were looked for`);
    const refused = await ask('/apps/nobody/one-more/');
    assert.equal(refused.status, 429);
    assert.equal(refused.json.code, 'rate_limited');
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    assert.equal((await request(page.href, { localAddress: '127.0.77.2' })).status, 200, 'an app that is there');
    assert.equal((await ask('/apps/nobody/one-more/', '127.0.77.2')).status, 404, 'another visitor');
    await until(async () => (await ask('/apps/nobody/two-more/')).status === 404, 'the next one', 3000);
});
