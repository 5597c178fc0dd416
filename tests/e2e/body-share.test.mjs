// Who may have a body here while it comes in: nobody a large one at a path of another origin's, no address and no network more than is then left
// for others, strangers together not all. So whoever stops short of the end, by however many addresses, leaves room for visitors and for owners.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { request, startServer, until } from '../harness/server.mjs';
import { pie } from '../harness/pie.mjs';
import { Connection, FLAG, continuation, data, headers, request as fields } from '../harness/h2raw.mjs';

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
