// Who may have a large body in a file while it comes in: nobody at a path of another origin's, and no one address more than its share, so that
// a stranger who stops short of the end holds nobody's room but their own.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { startServer, until } from '../harness/server.mjs';
import { pie } from '../harness/pie.mjs';

const MIB = 1024 * 1024;
const SETTINGS = { // one address has as much as one connection may hold: 20 MiB
    archive_bytes: '16MiB', archive_file_bytes: '8MiB', pie_bytes: '16MiB', body_memory_per_connection: '20MiB', body_memory_total: '40MiB', body_disk_total: '40MiB',
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
function deploy(base, from, announced, sent) {
    const { hostname, port, host } = new URL(base);
    const socket = net.connect(port, hostname);
    const one = { said: '', close: () => socket.destroy() };
    socket.setEncoding('latin1').on('data', (text) => { one.said += text; }).on('error', () => {});
    one.sent = new Promise((resolve) => { socket.on('close', resolve); one.done = resolve; });
    socket.write(`POST /api/plugins/x/deployments HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/octet-stream\r\nX-Forwarded-For: ${from}\r\nContent-Length: ${announced}\r\n\r\n`);
    socket.write(Buffer.alloc(sent, 65), () => one.done());
    return one;
}

async function stored() {
    const text = await (await fetch(new URL('/metrics', server.admin))).text();
    return Number(/^stoa_request_body_bytes_stored (\d+)/m.exec(text)[1]);
}

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
