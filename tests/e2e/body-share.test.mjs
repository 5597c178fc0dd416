// Who may have a body here while it comes in: nobody a large one at a path of another origin's, no address and no network more than is then left
// for others, strangers together not all. So whoever stops short of the end, by however many addresses, leaves room for visitors and for owners.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { request, startServer, until } from '../harness/server.mjs';
import { pie } from '../harness/pie.mjs';
import { Connection, ERROR, FLAG, TYPE, continuation, data, headers, request as fields } from '../harness/h2raw.mjs';

const MIB = 1024 * 1024;
const SETTINGS = { // strangers have 48 MiB together on the disk, 30 MiB in memory; whoever is alone may have as much as one connection may hold
    archive_bytes: '16MiB', archive_file_bytes: '8MiB', pie_bytes: '16MiB', body_memory_per_connection: '20MiB', body_memory_total: '40MiB', body_disk_total: '64MiB',
    trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For',
};
let server;
before(async () => {
    server = await startServer({ settings: SETTINGS });
    const made = await server.api('POST', '/api/plugins/import', pie('x', { 'index.html': 'x' }));
    assert.equal(made.status, 201, made.text);
});
after(() => server.stop());

/** A deploy of `announced` bytes of which `sent` come. `said` is what is answered so far. */
function deploy(base, from, announced, sent, more = '') {
    const { hostname, port, host } = new URL(base);
    const socket = net.connect(port, hostname);
    const one = { said: '', close: () => socket.destroy() };
    socket.setEncoding('latin1').on('data', (text) => { one.said += text; }).on('error', () => {});
    one.sent = new Promise((resolve) => { socket.on('close', resolve); one.done = resolve; });
    socket.write(`POST /api/plugins/x/deployments HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/octet-stream\r\nX-Forwarded-For: ${from}\r\n${more}Content-Length: ${announced}\r\n\r\n`);
    socket.write(Buffer.alloc(sent, 65), () => one.done());
    return one;
}

async function held(where) {
    const { text } = await request(`${server.admin}/metrics`);
    return Number(new RegExp(`^stoa_request_body_bytes_${where} (\\d+)`, 'm').exec(text)[1]);
}
const stored = () => held('stored');

test('what only the console takes is 413 at the apps', async () => {
    const one = deploy(server.apps, '198.18.0.1', 15 * MIB, 1000);
    await until(() => one.said !== '', 'the answer');
    assert.match(one.said, /^HTTP\/1\.1 413 /);
    assert.match(one.said, /"code":"body_too_large"/);
    one.close();
});

test('an address holds its share and no more; others have room', async () => {
    const held = deploy(server.console, '198.18.0.1', 15 * MIB, 14 * MIB);
    await until(async () => await stored() >= 14 * MIB, 'the first to be there');
    const refused = deploy(server.console, '198.18.0.1', 15 * MIB, 14 * MIB);
    await until(() => refused.said !== '', 'the second to be refused');
    assert.match(refused.said, /^HTTP\/1\.1 503 /);
    assert.match(refused.said, /^retry-after: \d+\r$/im);
    assert.match(refused.said, /"code":"busy","message":"[^"]*your address/);
    assert.equal(held.said, '');
    const small = deploy(server.console, '198.18.0.1', 1000, 1000); // no file
    await until(() => small.said !== '', 'a small one');
    assert.match(small.said, /^HTTP\/1\.1 401 /);
    const other = deploy(server.console, '198.18.0.2', 15 * MIB, 15 * MIB);
    await until(() => other.said !== '', 'another address');
    assert.match(other.said, /^HTTP\/1\.1 401 /);
    for (const one of [held, refused, small, other]) one.close();
    await until(async () => await stored() === 0, 'the files to go');
    const again = deploy(server.console, '198.18.0.1', 15 * MIB, 15 * MIB);
    await until(() => again.said !== '', 'the same address again');
    assert.match(again.said, /^HTTP\/1\.1 401 /);
    again.close();
});

// Each of a network of its own, each with as much as there is for it: 46.5 MiB.
async function fillDisk() {
    const held = [];
    let all = 0;
    for (const size of [15, 15, 8, 4, 2, 1.75, 0.75]) {
        const one = deploy(server.console, `198.18.${held.length}.1`, size * MIB, size * MIB - 1000);
        held.push(one);
        all += size * MIB;
        await until(async () => one.said !== '' || await stored() >= all, `${all} bytes to be held`);
        assert.equal(one.said, '');
    }
    return held;
}

test('however many addresses hold all they get, an owner deploys and a visitor has room', async () => {
    const held = await fillDisk();
    const stranger = deploy(server.console, '198.19.7.7', 15 * MIB, 15 * MIB);
    const small = deploy(server.console, '198.19.8.8', 400000, 400000);
    await until(() => small.said !== '', 'one of another network');
    assert.match(small.said, /^HTTP\/1\.1 401 /);
    await until(() => stranger.said !== '', 'one that is larger than what is left');
    assert.match(stranger.said, /^HTTP\/1\.1 503 [^]*"code":"busy"/);
    const owner = deploy(server.console, '198.18.0.1', 15 * MIB, 15 * MIB, `Authorization: Bearer ${server.token}\r\n`); // from the very address of a greedy one
    await until(() => owner.said !== '', 'the owner');
    assert.match(owner.said, /^HTTP\/1\.1 4(00|15|22) /, 'all of it came, and is no archive');
    const forged = deploy(server.console, '198.18.0.1', 15 * MIB, 15 * MIB, `Authorization: Bearer ${server.token.slice(0, -2)}AA\r\n`);
    await until(() => forged.said !== '', 'a token that is none');
    assert.match(forged.said, /^HTTP\/1\.1 503 /);
    for (const one of [...held, stranger, small, owner, forged]) one.close();
    await until(async () => await stored() === 0, 'the files to go');
});

test('a token that was revoked is a stranger\'s', async () => {
    const made = await server.api('POST', '/api/tokens', { name: 'short', scope: 'deploy' });
    assert.equal(made.status, 201, made.text);
    const as = (from) => deploy(server.console, from, 15 * MIB, 15 * MIB, `Authorization: Bearer ${made.json.token}\r\n`);
    const look = () => request(`${server.console}/api/plugins`, { headers: { authorization: `Bearer ${made.json.token}` } });
    assert.equal((await look()).status, 200);
    const held = await fillDisk();
    const good = as('198.18.0.1');
    await until(() => good.said !== '', 'while it is good');
    assert.doesNotMatch(good.said, /^HTTP\/1\.1 (401|503) /);
    assert.equal((await server.api('DELETE', `/api/tokens/${made.json.id}`)).status, 200);
    assert.equal((await look()).status, 401);
    const revoked = as('198.18.0.1');
    await until(() => revoked.said !== '', 'when it is not');
    assert.match(revoked.said, /^HTTP\/1\.1 503 /);
    for (const one of [...held, good, revoked]) one.close();
    await until(async () => await stored() === 0, 'the files to go');
});

test('one address fills the memory with heads of requests whose bodies do not come: others have room', async () => {
    const { port, host } = new URL(server.console);
    const block = (path, from) => fields({ ':method': 'POST', ':path': path, ':authority': host }, [['x-forwarded-for', from], ...Array.from({ length: 7 }, (_, i) => [`x-${i}`, 'x'.repeat(4000)])]);
    const open = (c, id, bytes) => c.send(headers(id, bytes.subarray(0, 16000), 0), continuation(id, bytes.subarray(16000)));
    const connections = [];
    for (let i = 0; i < 20; ++i) {
        const c = await Connection.open(Number(port));
        connections.push(c);
        for (let id = 1; id < 200; id += 2) open(c, id, block('/api/plugins/import', '198.18.0.1'));
    }
    await until(() => connections.some((c) => c.frames.some((f) => f.status === 503)), 'some to be told that it is too much');
    await until(async () => await held('buffered') > 14 * MIB, 'what it gets');
    assert.ok(await held('buffered') < 22 * MIB, `${await held('buffered')} bytes are held`);
    const other = await Connection.open(Number(port));
    open(other, 1, block('/api/plugins/import', '198.19.0.2'));
    other.send(data(1, 'x'));
    await until(() => other.frames.some((f) => f.status === 401), 'another address');
    for (const c of [...connections, other]) c.close();
    await until(async () => await held('buffered') === 0, 'the memory to be given back');
});

test('one address fills the memory with small bodies: others have room', async () => {
    const { port, host } = new URL(server.console);
    const connections = [];
    for (let i = 0; i < 4; ++i) {
        const c = await Connection.open(Number(port));
        connections.push(c);
        for (let id = 1; id < 200; id += 2) {
            c.send(headers(id, fields({ ':method': 'POST', ':path': '/api/plugins/import', ':authority': host }, [['x-forwarded-for', '198.18.0.1']]), FLAG.END_HEADERS));
            for (let part = 0; part < 15; ++part) c.send(data(id, Buffer.alloc(16384), 0));
        }
    }
    await until(() => connections.every((c) => c.frames.some((f) => f.status === 503)), 'all to be told that it is too much');
    await until(async () => await held('buffered') > 14 * MIB, 'what it gets');
    assert.ok(await held('buffered') < 22 * MIB, `${await held('buffered')} bytes are held`);
    const other = deploy(server.console, '198.18.0.2', 200000, 200000);
    await until(() => other.said !== '', 'another address');
    assert.match(other.said, /^HTTP\/1\.1 401 /);
    for (const c of [...connections, other]) c.close();
    await until(async () => await held('buffered') === 0, 'the memory to be given back');
});

test('what comes on one connection of a proxy is counted for who sent it', async () => {
    const { port, host } = new URL(server.console);
    const block = (from) => fields({ ':method': 'POST', ':path': '/api/plugins/import', ':authority': host }, [['x-forwarded-for', from]]);
    const send = (id, from, flags) => {
        c.send(headers(id, block(from), FLAG.END_HEADERS));
        for (let part = 0; part < 15; ++part) c.send(data(id, Buffer.alloc(16000), part === 14 ? flags : 0));
    };
    const c = await Connection.open(Number(port));
    let id = 1;
    for (; id < 190; id += 2) send(id, '198.18.0.1', 0);
    await until(() => c.frames.some((f) => f.status === 503), 'the one to be told that it is too much');
    assert.ok(await held('buffered') > 18 * MIB, 'it holds as much as whoever is alone may');
    send(id, '198.19.0.2', FLAG.END_STREAM);
    assert.equal((await c.response(id)).status, 401, 'another one');
    c.close();
    await until(async () => await held('buffered') === 0, 'the memory to be given back');
});

// As many requests may be open as body_memory_total has 8 KiB, those of strangers three quarters of that: 3840.
const opened = (connections) => connections.flatMap((c) => c.frames).filter((f) => f.type === TYPE.RST_STREAM);
const heads = (c, block) => c.send(...Array.from({ length: 100 }, (none, i) => headers(1 + 2 * i, block(i), FLAG.END_HEADERS)));

test('a network by a proxy opens requests without end: others have places, and it has them again', async () => {
    const { port, host } = new URL(server.console);
    const block = (from) => fields({ ':method': 'POST', ':path': '/api/plugins/import', ':authority': host }, [['x-forwarded-for', from]]);
    const flood = async () => {
        const connections = [];
        for (let i = 0; i < 40; ++i) {
            const c = await Connection.open(Number(port));
            connections.push(c);
            heads(c, (k) => block(`2001:db8:1:${(100 * i + k).toString(16)}::1`));
            await c.isAlive();
        }
        return connections;
    };
    const connections = await flood();
    const resets = opened(connections);
    assert.ok(resets.every((f) => f.code === ERROR.REFUSED_STREAM));
    assert.ok(resets.length > 1400 && resets.length < 1500, `${resets.length} of 4000 were turned away, not a third of what there is and the rest`);
    const c = connections[39];
    c.send(headers(301, block('2001:db8:2::1'), FLAG.END_HEADERS), data(301, 'x'));
    assert.equal((await c.response(301)).status, 401, 'another network, by the same connection');
    c.send(headers(303, block('2001:db8:1::1'), FLAG.END_HEADERS), data(303, 'x'));
    assert.equal((await c.response(303)).reset, ERROR.REFUSED_STREAM);
    assert.ok(await c.isAlive());
    for (const one of connections) one.close();
    await until(async () => await held('buffered') === 0, 'the memory to be given back');
    const again = await flood();
    assert.equal(opened(again).length, resets.length);
    for (const one of again) one.close();
});

test('an address opens requests on many connections of its own: others have places, and four on each connection are its own', async () => {
    const { trusted_proxies: none, proxy_header: neither, ...settings } = SETTINGS;
    const direct = await startServer({ settings });
    const { port, host } = new URL(direct.console);
    const block = fields({ ':method': 'POST', ':path': '/api/plugins/import', ':authority': host });
    const connections = [];
    for (let i = 0; i < 30; ++i) {
        const c = await Connection.open(Number(port));
        connections.push(c);
        heads(c, () => block);
        await c.isAlive();
    }
    const resets = opened(connections);
    assert.ok(resets.every((f) => f.code === ERROR.REFUSED_STREAM));
    assert.ok(resets.length > 940 && resets.length < 970, `${resets.length} of 3000 were turned away, and not all but 1920 and 120`);
    assert.ok(connections.every((c) => !c.closed && !c.goaway));
    const last = connections[29];
    assert.equal(opened([last]).length, 96);
    last.send(data(1, 'x'));
    assert.equal((await last.response(1)).status, 401);
    const other = await Connection.open(Number(port), { localAddress: '127.0.9.1' });
    heads(other, () => block);
    other.send(data(199, 'x'));
    assert.equal((await other.response(199)).status, 401, 'another network');
    assert.equal(opened([other]).length, 0);
    connections[0].send(...Array.from({ length: 100 }, (all, i) => data(1 + 2 * i, 'x')));
    await until(() => connections[0].frames.filter((f) => f.status === 401).length === 100, 'answers');
    await until(async () => { // when the places of those that are answered have been given back
        last.send(headers(last.next ??= 301, block));
        return (await last.response((last.next += 2) - 2)).status === 401;
    }, 'a place', 5000);
    for (const c of [...connections, other]) c.close();
    await direct.stop();
});
