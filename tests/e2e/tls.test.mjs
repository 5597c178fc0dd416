// TLS: which versions, protocols and suites, what is refused and with which alert, resumption, reloading, and large bodies in slices.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { lookup, openTls, startNamed, visit } from '../harness/names.mjs';
import { archive, pie } from '../harness/pie.mjs';
import { temporaryDirectory, until } from '../harness/server.mjs';

const MIB = 1024 * 1024;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'];
const only = (version) => ({ minVersion: version, maxVersion: version });
// Random, so that no variant is smaller; one byte off any slice's border.
const FILES = { 'one.bin': crypto.randomBytes(MIB), 'odd.bin': crypto.randomBytes(3 * 65536 + 1), 'slice.bin': crypto.randomBytes(65536), 'large.bin': crypto.randomBytes(25 * MIB) };
const digest = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

let server;
let site; // {host, origin, url} of an app with those files
before(async () => {
    server = await startNamed({ settings: { write_timeout: '60s' }, expectErrors: [/is not the key of/] });
    const made = await server.manage('POST', '/api/plugins/import', pie('files', { 'index.html': '<title>files</title>' }));
    assert.equal(made.status, 201, made.text);
    const deployed = await server.manage('POST', '/api/plugins/files/deployments', archive({ 'index.html': '<title>files</title>', ...FILES }, 'tar'), { type: 'application/octet-stream' });
    assert.equal(deployed.status, 200, deployed.text);
    const { origin, host } = new URL(made.json.publicAppUrl);
    site = { origin, host, name: `${made.json.instance.slug}.apps.test` };
    await until(async () => (await visit(`${origin}/slice.bin`)).status === 200, 'the files', 3000);
});
after(() => server?.stop());

// What openssl's own client says, told `input`; ends when the server closes or after `seconds`.
function sClient(args, { input = '', name = 'apps.test', seconds = 10, delay = 0 } = {}) {
    return new Promise((resolve) => {
        const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${server.tlsPort}`, ...(name ? ['-servername', name] : ['-noservername']), ...args]);
        let said = '';
        child.stdout.on('data', (part) => { said += part.toString('latin1'); });
        child.stderr.on('data', (part) => { said += part.toString('latin1'); });
        child.stdin.on('error', () => {});
        setTimeout(() => (input === '' ? child.stdin.end() : child.stdin.write(input)), delay);
        const giveUp = setTimeout(() => child.kill(), seconds * 1000);
        child.on('close', () => { clearTimeout(giveUp); resolve(said); });
    });
}
const get = (host, where = '/', more = '') => `GET ${where} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`;

test('versions: 1.2 and 1.3, nothing older', async () => {
    for (const version of VERSIONS) {
        const socket = await openTls(server.tlsPort, 'apps.test', only(version));
        assert.equal(socket.getProtocol(), version);
        socket.destroy();
    }
    for (const flag of ['-tls1', '-tls1_1']) {
        const said = await sClient([flag, '-cipher', 'ALL:@SECLEVEL=0']);
        assert.match(said, /Cipher is \(NONE\)/, flag);
        assert.match(said, /alert number 70/, `${flag}: protocol_version (RFC 8446 §4.2.1)`);
    }
});

test('suites: forward secret and authenticated only', async () => {
    for (const cipher of ['AES128-SHA', 'AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'aNULL']) {
        const said = await sClient(['-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`]);
        assert.match(said, /Cipher is \(NONE\)/, cipher);
        assert.match(said, /alert number 40/, `${cipher}: handshake_failure (RFC 5246 §7.4.1.3)`);
    }
    for (const cipher of ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305']) {
        assert.match(await sClient(['-tls1_2', '-cipher', cipher]), new RegExp(`Cipher is ${cipher}`));
    }
});

test('ALPN: h2 before http/1.1, http/1.1 without it, an alert for anything else', async () => {
    for (const [offered, chosen] of [[['h2', 'http/1.1'], 'h2'], [['http/1.1', 'h2'], 'h2'], [['http/1.1'], 'http/1.1'], [['x', 'http/1.1'], 'http/1.1'], [undefined, false]]) {
        for (const version of VERSIONS) {
            const socket = await openTls(server.tlsPort, 'apps.test', { ...only(version), ALPNProtocols: offered });
            assert.equal(socket.alpnProtocol, chosen, `${offered}`);
            socket.destroy();
        }
    }
    for (const offered of ['acme-tls/1', 'h3', 'spdy/3.1', 'http/1.0']) {
        for (const flag of ['-tls1_2', '-tls1_3']) {
            const said = await sClient([flag, '-alpn', offered]);
            assert.match(said, /alert number 120/, `${offered} ${flag}: no_application_protocol (RFC 7301 §3.2)`);
        }
    }
    assert.match(await sClient(['-quiet'], { input: get(`apps.test:${server.tlsPort}`) }), /HTTP\/1\.1 404 /); // no ALPN at all
});

test('no renegotiation, no compression, no early data', async () => {
    const said = await sClient(['-tls1_2', '-state'], { input: 'R\n', delay: 300 });
    const after = said.slice(said.indexOf('RENEGOTIATING'));
    assert.match(after, /write client hello[^]*:error:/); // the connection ends
    assert.doesNotMatch(after, /read server hello|verify return/);
    for (const flag of ['-tls1_2', '-tls1_3']) {
        const session = await sClient([flag], { input: '', delay: 300 });
        assert.match(session, /Compression: NONE/);
        assert.doesNotMatch(session, /Max Early Data: [1-9]/);
    }
});

test('what ends is ended by close_notify', async () => {
    for (const flag of ['-tls1_2', '-tls1_3']) {
        for (const [what, request] of [['an answer', get(`apps.test:${server.tlsPort}`)], ['a large answer', get(site.host, '/odd.bin')], ['a refusal', 'GET / HTTP/1.1\r\n\r\n'], ['a 421', get('nobody.example')]]) {
            const said = await sClient([flag, '-msg', '-quiet', '-ign_eof'], { input: request });
            assert.match(said, /HTTP\/1\.1 \d{3} /, what);
            assert.match(said, /<<< [^\n]*Alert[^\n]*warning close_notify/, `${what} ${flag}`);
        }
    }
});

// --- resumption ---

// One connection: whether it resumed `session`, the statuses of `hosts` asked on it in turn, and the session to resume it by.
async function converse(servername, hosts, { session, version = 'TLSv1.3' } = {}) {
    const socket = await openTls(server.tlsPort, servername, { ...only(version), session, ALPNProtocols: ['http/1.1'] });
    let next = session;
    socket.on('session', (s) => { next = s; });
    let text = '';
    socket.setEncoding('latin1').on('data', (part) => { text += part; });
    const statuses = [];
    for (const host of hosts) {
        text = '';
        socket.write(`GET /index.html HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        await until(() => text.includes('\r\n\r\n') && (!/content-length: \d/i.test(text) || text.length >= text.indexOf('\r\n\r\n') + 4 + Number(/content-length: (\d+)/i.exec(text)[1])), `the answer of ${host}`);
        statuses.push(Number(text.slice(9, 12)));
    }
    const result = { resumed: socket.isSessionReused(), statuses, session: next ?? socket.getSession(), name: socket.getPeerCertificate()?.subject?.CN };
    socket.destroy();
    return result;
}

for (const version of VERSIONS) {
    test(`a session is resumed, and gives no right to another name (${version})`, async () => {
        const consoleHost = `console.test:${server.tlsPort}`;
        const first = await converse('apps.test', [site.host, consoleHost], { version });
        assert.deepEqual([first.resumed, first.statuses], [false, [200, 421]]);
        const again = await converse('apps.test', [site.host, consoleHost], { version, session: first.session });
        assert.deepEqual([again.resumed, again.statuses], [true, [200, 421]]);
        // taken to another certificate's name it is not resumed (RFC 6066 §3)
        const crossed = await converse('console.test', [site.host, consoleHost], { version, session: first.session });
        assert.deepEqual([crossed.resumed, crossed.statuses[0], crossed.name], [false, 421, 'console.test']);
        // a name nobody has stays unknown with a session in hand
        await assert.rejects(converse('nobody.example', [site.host], { version, session: first.session }), { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
        const damaged = Buffer.from(first.session);
        for (let i = 60; i < damaged.length - 60; i += 7) damaged[i] ^= 1;
        await converse('apps.test', [site.host], { version, session: damaged }).then((r) => assert.equal(r.resumed, false), () => {}); // refused by the client's own parser
    });
}

// --- bodies ---

async function overHttp1(agent, where, headers = {}) {
    const got = await visit(`${site.origin}/${where}`, { agent, headers });
    return { status: got.status, length: Number(got.headers['content-length']), digest: digest(got.body), body: got.body, range: got.headers['content-range'] };
}

test('bodies of many slices arrive whole over HTTP/1.1, several on one connection', async () => {
    for (const version of VERSIONS) {
        const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false, ...only(version) });
        const sockets = new Set();
        agent.on('free', (socket) => sockets.add(socket));
        for (const where of ['slice.bin', 'odd.bin', 'one.bin', 'large.bin', 'odd.bin']) {
            const got = await overHttp1(agent, where);
            assert.deepEqual([got.status, got.length, got.digest], [200, FILES[where].length, digest(FILES[where])], where);
        }
        const part = await overHttp1(agent, 'one.bin', { range: 'bytes=65535-262145' });
        assert.deepEqual([part.status, part.range, part.digest], [206, `bytes 65535-262145/${MIB}`, digest(FILES['one.bin'].subarray(65535, 262146))]);
        const parts = await overHttp1(agent, 'one.bin', { range: 'bytes=0-99999,200000-299999,400000-' });
        assert.equal(parts.status, 206);
        for (const [from, to] of [[0, 100000], [200000, 300000], [400000, MIB]]) assert.ok(parts.body.includes(FILES['one.bin'].subarray(from, to)));
        assert.equal(sockets.size, 1, 'the connection was kept');
        agent.destroy();
    }
});

test('pipelined requests for large bodies are answered in order', async () => {
    const socket = await openTls(server.tlsPort, site.name, { ALPNProtocols: ['http/1.1'] });
    const names = ['one.bin', 'slice.bin', 'odd.bin'];
    const parts = [];
    socket.on('data', (part) => parts.push(part));
    socket.write(names.map((n, i) => `GET /${n} HTTP/1.1\r\nHost: ${site.host}\r\n${i === names.length - 1 ? 'Connection: close\r\n' : ''}\r\n`).join(''));
    await new Promise((done) => socket.on('close', done));
    let rest = Buffer.concat(parts);
    for (const name of names) {
        const end = rest.indexOf('\r\n\r\n') + 4;
        assert.equal(digest(rest.subarray(end, end + FILES[name].length)), digest(FILES[name]), name);
        rest = rest.subarray(end + FILES[name].length);
    }
    assert.equal(rest.length, 0);
});

test('and over HTTP/2, side by side', async () => {
    const client = http2.connect(site.origin, { lookup, rejectUnauthorized: false, settings: { initialWindowSize: 4 * MIB } });
    const ask = (where) => new Promise((resolve, reject) => {
        const hash = crypto.createHash('sha256');
        const stream = client.request({ ':path': `/${where}` }).on('error', reject);
        stream.on('data', (part) => hash.update(part)).on('end', () => resolve(hash.digest('hex')));
    });
    const names = ['large.bin', 'one.bin', 'odd.bin', 'slice.bin', 'one.bin', 'odd.bin'];
    const got = await Promise.all(names.map(ask));
    names.forEach((name, i) => assert.equal(got[i], digest(FILES[name]), name));
    client.close();
});

test('readers that stall do not make the server hold what they have not read', async () => {
    const resident = () => Number(/^VmRSS:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${server.serverPid}/status`, 'latin1'))[1]) / 1024;
    const begun = resident();
    const sockets = await Promise.all(Array.from({ length: 16 }, async () => {
        const socket = await openTls(server.tlsPort, site.name, { ALPNProtocols: ['http/1.1'] });
        const begins = new Promise((done) => socket.once('readable', done)); // and no more is read
        socket.write(`GET /large.bin HTTP/1.1\r\nHost: ${site.host}\r\n\r\n`);
        await begins;
        return socket;
    }));
    await until(async () => (await visit(`${site.origin}/slice.bin`)).status === 200, 'the server to be at rest');
    const grown = resident() - begun;
    sockets.forEach((socket) => socket.destroy());
    assert.ok(grown < 100, `${grown} MiB more for 16 readers of 25 MiB`);
});

// --- reload ---

test('a reload changes certificates; sessions of a name that left do not bring it back', async () => {
    const { apps, console } = server.certificates;
    const kept = await converse('apps.test', [site.host]);
    const open = await openTls(server.tlsPort, 'apps.test', { ALPNProtocols: ['http/1.1'] });
    const folder = temporaryDirectory('rsa');
    const make = (name, file, kind) => {
        execFileSync('openssl', ['req', '-x509', ...kind, '-nodes', '-days', '3', '-keyout', path.join(folder, `${file}.key`), '-out', path.join(folder, `${file}.pem`),
            '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`], { stdio: 'ignore' });
        return file;
    };
    const put = (file, to) => {
        fs.writeFileSync(to.certificate, fs.readFileSync(path.join(folder, `${file}.pem`)));
        fs.writeFileSync(to.key, fs.readFileSync(path.join(folder, `${file}.key`)));
    };
    const before = { apps: [fs.readFileSync(apps.certificate), fs.readFileSync(apps.key)] };
    put(make('console.test', 'console', ['-newkey', 'rsa:2048']), console);
    put(make('other.test', 'other', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']), apps);
    let from = server.log().length;
    process.kill(server.pid, 'SIGHUP');
    await server.logged(/server: the new settings are in force/, from);
    for (const version of VERSIONS) {
        const renewed = await openTls(server.tlsPort, 'console.test', only(version));
        assert.ok(renewed.getPeerCertificate().modulus, `the RSA certificate: ${JSON.stringify(renewed.getPeerCertificate())} ${server.log().slice(from)}`);
        renewed.destroy();
        await assert.rejects(openTls(server.tlsPort, 'apps.test', only(version)), { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
    }
    await assert.rejects(converse('apps.test', [site.host], { session: kept.session }), { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
    // who is connected stays so
    let text = '';
    open.setEncoding('latin1').on('data', (part) => { text += part; });
    open.write(get(site.host));
    await new Promise((done) => open.on('close', done));
    assert.match(text, /^HTTP\/1\.1 200 /);
    // a key that does not fit is refused, and what was stays
    fs.writeFileSync(apps.certificate, before.apps[0]);
    from = server.log().length;
    process.kill(server.pid, 'SIGHUP');
    await server.logged(/is not the key of|cannot be used|refused|not reloaded|keep/, from);
    (await openTls(server.tlsPort, 'other.test')).destroy();
    fs.writeFileSync(apps.key, before.apps[1]);
    from = server.log().length;
    process.kill(server.pid, 'SIGHUP');
    await server.logged(/server: the new settings are in force/, from);
    (await openTls(server.tlsPort, 'apps.test')).destroy();
});
