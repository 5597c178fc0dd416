// Who the visitor is behind a trusted proxy, as the access log tells it, against the whole server; and that nobody else is believed.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { request, startServer, until } from '../harness/server.mjs';

/** Asks for a path of its own and gives the address that the access log has for it. */
async function peerOf(server, headers, { from } = {}) {
    const path = `/seen-${Math.random().toString(36).slice(2)}`;
    await request(new URL(path, server.apps), { headers, localAddress: from });
    const line = await until(() => fs.readFileSync(`${server.dataDir}/logs/access.log`, 'utf8').split('\n').find((l) => l.includes(path)), 'the access log');
    return JSON.parse(line).peer;
}

test('a trusted proxy is believed, in its one header, from the right', async (t) => {
    const server = await startServer({ settings: { trusted_proxies: '127.0.0.2, 10.0.0.0/8', proxy_header: 'X-Forwarded-For', connections_per_address: 8 } });
    t.after(() => server.stop());
    const proxy = { from: '127.0.0.2' };
    const forwarded = (value) => ({ 'x-forwarded-for': value });
    assert.equal(await peerOf(server, forwarded('203.0.113.9'), proxy), '203.0.113.9');
    assert.equal(await peerOf(server, forwarded('1.1.1.1, 203.0.113.9, 10.1.2.3'), proxy), '203.0.113.9');
    assert.equal(await peerOf(server, { 'x-forwarded-for': ['1.1.1.1', '203.0.113.9', '10.1.2.3'] }, proxy), '203.0.113.9');
    assert.equal(await peerOf(server, forwarded('[2001:db8::7]:4711'), proxy), '2001:db8::7');
    assert.equal(await peerOf(server, forwarded('::ffff:203.0.113.9'), proxy), '203.0.113.9');
    assert.equal(await peerOf(server, forwarded('203.0.113.9, nonsense'), proxy), '127.0.0.2');
    assert.equal(await peerOf(server, {}, proxy), '127.0.0.2');
    assert.equal(await peerOf(server, { forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' }, proxy), '127.0.0.2');
    assert.equal(await peerOf(server, forwarded('203.0.113.9')), '127.0.0.1'); // a stranger's word

    // a proxy carries many visitors: the limit on one address' connections is not for it
    const open = (localAddress) => {
        const socket = net.connect({ port: Number(new URL(server.apps).port), host: '127.0.0.1', localAddress });
        socket.on('error', () => {}).on('close', () => { socket.gone = true; }).resume();
        socket.write('GET / HTTP/1.1\r\n'); // the server looks at no connection before its first byte
        return socket;
    };
    for (const [from, most] of [['127.0.0.2', 20], ['127.0.0.3', 8]]) {
        const sockets = Array.from({ length: 20 }, () => open(from));
        const left = () => sockets.filter((s) => !s.gone).length;
        await until(() => left() <= most, `${from} to have no more than ${most} connections`);
        await new Promise((done) => { setTimeout(done, 300); });
        assert.equal(left(), most, from);
        sockets.forEach((s) => s.destroy());
    }
});

test('nobody is believed by default', async (t) => {
    const server = await startServer();
    t.after(() => server.stop());
    assert.equal(await peerOf(server, { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' }), '127.0.0.1');
});

test('RFC 7239 is read when it is the named header', async (t) => {
    const server = await startServer({ settings: { trusted_proxies: '127.0.0.1', proxy_header: 'Forwarded' } });
    t.after(() => server.stop());
    assert.equal(await peerOf(server, { forwarded: 'for="[2001:db8::7]:1";proto=https', 'x-forwarded-for': '203.0.113.9' }), '2001:db8::7');
    assert.equal(await peerOf(server, { forwarded: 'for=unknown' }), '127.0.0.1');
});
