// SIGHUP: what the table of settings calls reloadable is in force at once, for open connections too; what is not is named; and when anything
// is wrong with the new settings, all of it is said and nothing changes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { after, before, beforeEach, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { makeCertificate, request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const folder = temporaryDirectory('settings');
const config = path.join(folder, 'stoa.yaml');
const pair = makeCertificate(['localhost']);
let server;
let page;

const write = (settings) => fs.writeFileSync(config, Object.entries(settings).map(([name, value]) => `${name}: ${value}\n`).join(''));
before(async () => {
    write({});
    server = await startServer({
        args: ['--config', config], settings: { listen_tls: '127.0.0.1:0', tls_certificate: pair.certificate, tls_key: pair.key },
        expectErrors: [/the settings are not used/, /the server ended.*signal/, /the access log cannot be opened/],
    });
    page = (await server.api('POST', '/api/plugins/import', pie('kept', { 'index.html': 'kept' }))).json.publicAppUrl;
});
after(() => server.stop());

/** SIGHUP with these settings; gives what the server then says has changed and what would need a restart. */
async function reload(settings = {}) {
    write(settings);
    const from = server.log().length;
    process.kill(server.pid, 'SIGHUP');
    const [, restart] = await server.logged(/ supervisor: settings reloaded changed=\S* needs_restart=(\S*)/, from);
    const [, changed] = await server.logged(/ server: the new settings are in force changed=(\S*)/, from);
    return { changed: changed.replaceAll('"', ''), restart };
}
/** SIGHUP with settings that are refused; gives the problems. */
async function refused(text, count) {
    fs.writeFileSync(config, text);
    const from = server.log().length;
    process.kill(server.pid, 'SIGHUP');
    const problems = () => server.log().slice(from).split('\n').filter((line) => /the settings are not used/.test(line));
    await until(() => problems().length >= count, `${count} problems`);
    await new Promise((done) => { setTimeout(done, 100); });
    assert.doesNotMatch(server.log().slice(from), /settings reloaded/);
    return problems();
}
const withHead = (bytes) => request(page, { headers: { 'x-long': 'x'.repeat(bytes) } });
beforeEach(() => reload());

test('limits: on the next request, of new and of open connections, and of the server that follows a crash', async () => {
    assert.equal((await withHead(5000)).status, 200);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    assert.equal((await request(page, { agent })).status, 200);
    assert.deepEqual(await reload({ header_bytes: '4KiB', target_length: 1000 }), { changed: 'header_bytes,target_length', restart: '' });
    assert.equal((await withHead(5000)).status, 431);
    assert.equal((await request(`${page}${'a'.repeat(1200)}`)).status, 414);
    assert.equal((await request(page, { agent, headers: { 'x-long': 'x'.repeat(5000) } })).status, 431, 'on the open connection');
    agent.destroy();
    const pid = server.serverPid;
    process.kill(pid, 'SIGKILL');
    await until(() => server.serverPid !== pid, 'the next server');
    assert.equal((await withHead(5000)).status, 431, 'after a crash');
    assert.equal((await reload()).changed, 'header_bytes,target_length');
    assert.equal((await withHead(5000)).status, 200);
});

test('time-outs: an idle connection of before has the new one', async () => {
    const { port, host } = new URL(server.apps);
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (part) => { text += part; });
    const ended = new Promise((done) => { socket.on('close', () => done(true)); });
    socket.write(`GET /none HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await until(() => text.includes('not_found'), 'an answer');
    await reload({ idle_timeout: '300ms' });
    assert.ok(await Promise.race([ended, new Promise((done) => { setTimeout(done, 2000 * slowness(), false); })]), 'still open');
    assert.equal(text.match(/HTTP\/1\.1/g).length, 1);
});

test('connections: the new number counts for the next one', async () => {
    await reload({ connections_per_address: 3 });
    const { port, host } = new URL(server.apps);
    const open = await Promise.all(Array.from({ length: 5 }, () => new Promise((done) => {
        const socket = net.connect(port, '127.0.0.1');
        let said = false;
        socket.on('data', () => { said = true; });
        socket.on('error', () => {});
        socket.on('close', () => done({ socket, said }));
        socket.write(`GET /none HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        setTimeout(() => done({ socket, said, open: true }), 500 * slowness());
    })));
    assert.equal(open.filter((one) => one.open && one.said).length, 3);
    open.forEach((one) => one.socket.destroy());
});

test('the log says more, and less', async () => {
    const chatter = async () => {
        const from = server.log().length;
        await server.api('POST', '/api/plugins/kept/deployments', 'no archive', { type: 'application/zip' }); // a caged helper ends
        await new Promise((done) => { setTimeout(done, 200); });
        return / debug server: /.test(server.log().slice(from));
    };
    assert.ok(!await chatter());
    assert.equal((await reload({ log_level: 'debug' })).changed, 'log_level');
    await until(chatter, 'a debug line');
    await reload();
    assert.ok(!await chatter());
});

function serial(servername = 'localhost') {
    const { port } = new URL(server.tls);
    return new Promise((done, fail) => {
        const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
            done({ socket, fingerprint: socket.getPeerCertificate().fingerprint256 });
        });
        socket.on('error', fail);
    });
}

test('certificates: new connections see the new one, open ones stay', async () => {
    const old = await serial();
    const ask = async () => {
        let text = '';
        const take = (part) => { text += part; };
        old.socket.on('data', take);
        old.socket.write(`GET /none HTTP/1.1\r\nHost: localhost:${new URL(server.tls).port}\r\n\r\n`);
        await until(() => /"requestId":"[^"]+"/.test(text), 'an answer on the old connection', 3000 * slowness());
        old.socket.off('data', take);
    };
    await ask();
    const next = makeCertificate(['localhost', 'second.example']);
    fs.copyFileSync(next.certificate, pair.certificate);
    fs.copyFileSync(next.key, pair.key);
    assert.equal((await serial()).fingerprint, old.fingerprint, 'before the reload');
    assert.equal((await reload()).changed, 'certificates');
    const fresh = await serial();
    assert.notEqual(fresh.fingerprint, old.fingerprint);
    await ask();
    const second = await serial('second.example');
    assert.equal(second.fingerprint, fresh.fingerprint);
    // without a name in the handshake, too
    const anonymous = await serial('');
    assert.equal(anonymous.fingerprint, fresh.fingerprint);
    for (const one of [old, fresh, second, anonymous]) one.socket.destroy();
});

test('a key that is not the certificate\'s: refused, and nothing else changes either', async () => {
    const { fingerprint, socket } = await serial();
    socket.destroy();
    const kept = fs.readFileSync(pair.key);
    fs.copyFileSync(makeCertificate(['localhost']).key, pair.key);
    const problems = await refused('header_bytes: 16KiB\n', 1);
    assert.match(problems[0], /is not the key of/);
    const now = await serial();
    now.socket.destroy();
    assert.equal(now.fingerprint, fingerprint);
    assert.equal((await withHead(18000)).status, 200);
    fs.writeFileSync(pair.key, kept);
});

test('bad settings: all problems are told, with their places, and nothing changes', async () => {
    const problems = await refused('header_bytes: 16KiB\nheader_timeout: soon\nno_such_thing: 1\nidle_timeout: 0s\nlog_level: loud\n', 4);
    for (const [name, line] of [['header_timeout', 2], ['no_such_thing', 3], ['idle_timeout', 4], ['log_level', 5]]) {
        assert.ok(problems.some((p) => p.includes(name) && p.includes(`line=${line}`) && p.includes(config)), `${name}: ${problems.join('\n')}`);
    }
    assert.equal(problems.length, 4, problems.join('\n'));
    assert.equal((await withHead(18000)).status, 200);
    const broken = await refused('header_bytes: [\n', 1);
    assert.match(broken[0], /stoa\.yaml/);
    fs.unlinkSync(config);
    const from = server.log().length;
    process.kill(server.pid, 'SIGHUP');
    await server.logged(/the settings are not used.*stoa\.yaml/, from);
    assert.equal((await withHead(5000)).status, 200);
});

test('what needs a restart is named and left', async () => {
    const { changed, restart } = await reload({ threads: 3, archive_files: 10, header_count: 50, console_origin: 'https://console.example.com' });
    assert.equal(changed, 'header_count');
    assert.deepEqual(restart.split(',').sort(), ['archive_files', 'console_origin', 'threads']);
    assert.equal((await server.api('GET', '/api/plugins')).status, 200);
});

test('the access log: a new file after a rotation, and no line lost', async () => {
    const log = path.join(server.dataDir, 'logs/access.log');
    const ids = [];
    const ask = async () => { ids.push((await request(page)).headers['x-request-id']); };
    const lines = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line).requestId) : []);
    await ask();
    await until(() => lines(log).includes(ids[0]), 'the first line');
    fs.renameSync(log, `${log}.1`);
    await ask();
    await reload();
    await ask();
    await until(() => lines(log).includes(ids[2]), 'a line in the new file');
    const both = () => [...lines(`${log}.1`), ...lines(log)];
    await until(() => ids.every((id) => both().includes(id)), 'every line'); // another loop hands its lines over in its own time
    const all = both();
    for (const id of ids) assert.equal(all.filter((one) => one === id).length, 1, `${id} of ${ids}`);
});

test('an access log that may not be opened ends no server, and is tried again', async () => {
    const folder = path.join(server.dataDir, 'logs');
    const log = path.join(folder, 'access.log');
    const from = server.log().length;
    const dropped = async () => Number(/stoa_access_log_dropped_total (\d+)/.exec((await request(`${server.admin}/metrics`)).text)[1]);
    fs.rmSync(log);
    fs.chmodSync(folder, 0o500);
    try {
        process.kill(server.serverPid, 'SIGKILL');
        await server.logged(/server: the access log cannot be opened; it is tried again each second file=\S+ reason="Permission denied" meanwhile="requests are not logged"/, from);
        await server.logged(/ supervisor: serving /, from);
        assert.equal((await request(page)).status, 200);
        await until(async () => await dropped() > 0, 'a dropped line is counted');
    } finally {
        fs.chmodSync(folder, 0o700);
    }
    await until(async () => {
        await request(page);
        return fs.existsSync(log) && fs.readFileSync(log, 'utf8').includes('"status":200');
    }, 'a line', 5000 * slowness());
    await server.logged(/server: the access log is open file=/, from);
    await server.logged(/server: the access log is written again lost=[1-9]/, from);
});

test('requests in flight do not notice, however many reloads', async () => {
    const text = Buffer.from(pie('patient', { 'index.html': 'x', 'a.txt': 'y'.repeat(20000) }));
    const { port, host } = new URL(server.console);
    const socket = net.connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (part) => { answer += part; });
    socket.write(`POST /api/plugins/import HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${server.token}\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n\r\n`);
    for (let i = 0; i < 10; ++i) {
        socket.write(text.subarray(Math.floor(text.length * i / 10), Math.floor(text.length * (i + 1) / 10)));
        await reload({ header_count: 50 + i });
        assert.equal((await request(page)).status, 200);
    }
    await until(() => answer.startsWith('HTTP/1.1 201'), 'the answer', 5000 * slowness());
    socket.destroy();
});

test('SIGHUP while the server starts', async () => {
    for (let round = 0; round < 3; ++round) {
        const pid = server.serverPid;
        process.kill(pid, 'SIGKILL');
        for (let i = 0; i < 10; ++i) {
            process.kill(server.pid, 'SIGHUP');
            await new Promise((done) => { setTimeout(done, 15); });
        }
        await until(async () => (await request(page).catch(() => ({}))).status === 200 && server.serverPid !== pid, 'it to serve');
    }
});
