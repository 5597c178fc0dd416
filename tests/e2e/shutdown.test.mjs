// The ends of a server: SIGTERM lets what is in flight finish and keeps nobody waiting, a stuck client is cut at the deadline, a killed
// supervisor takes everything with it, and a server that starts without its database, or with one it does not know, says so.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { after, test } from 'node:test';
import { Connection, FLAG, SETTING, data, headers, request as h2request } from '../harness/h2raw.mjs';
import { archive, pie } from '../harness/pie.mjs';
import { asUser, postgresPrograms, startCluster } from '../harness/postgres.mjs';
import { processTree, stillThere } from '../harness/processes.mjs';
import { buildFolder, request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });
const servers = [];
const start = async (options) => {
    const server = await startServer(options);
    servers.push(server);
    return server;
};
const sockets = [];
after(async () => {
    sockets.forEach((socket) => socket.destroy());
    await Promise.all(servers.map((s) => s.stop().catch(() => {})));
});

/** A raw connection: {socket, text(), closed: a promise of when (ms)}. */
function open(port, secure = false) {
    const socket = secure ? tls.connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
        : net.connect(port, '127.0.0.1');
    sockets.push(socket);
    const parts = [];
    socket.on('data', (part) => parts.push(part));
    socket.on('error', () => {});
    const closed = new Promise((done) => { socket.on('close', () => done(Date.now())); });
    return new Promise((done, fail) => socket.once('error', fail).once(secure ? 'secureConnect' : 'connect',
        () => done({ socket, closed, bytes: () => Buffer.concat(parts), text: () => Buffer.concat(parts).toString('latin1') })));
}
const port = (url) => Number(new URL(url).port);
const head = (server, method, where, length) => `${method} ${where} HTTP/1.1\r\nHost: ${new URL(server.console).host}\r\nAuthorization: Bearer ${server.token}\r\n`
    + `${length === undefined ? '' : `Content-Type: text/plain\r\nContent-Length: ${length}\r\n`}\r\n`;
const isRefused = (url) => new Promise((done) => {
    net.connect(port(url), '127.0.0.1', function connected() { this.destroy(); done(false); }).on('error', (error) => done(error.code === 'ECONNREFUSED'));
});

test('SIGTERM: uploads and downloads in flight finish, the idle go at once, newcomers are refused', async () => {
    const server = await start({ tls: ['localhost'] });
    await server.api('POST', '/api/plugins/import', pie('big', { 'index.html': 'x' }));
    const files = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`n${i}.bin`, Buffer.alloc(2500000, `${i}`)]));
    const made = await server.api('POST', '/api/plugins/big/deployments', archive({ 'index.html': 'x', ...files }, 'tar'), { type: 'application/x-tar' });
    assert.ok(made.status < 300, made.text);
    const where = `/api/plugins/big/deployments/${made.json.deployment.id}/archive.tar`;
    const whole = (await server.api('GET', where)).body;
    assert.ok(whole.length > 20000000);

    const texts = ['h1', 'tls', 'h2'].map((name) => Buffer.from(pie(`late-${name}`, { 'index.html': name, 'a.txt': name.repeat(5000) })));
    const uploads = [await open(port(server.console)), await open(port(server.tls), true)];
    uploads.forEach((u, i) => u.socket.write(Buffer.concat([Buffer.from(head(server, 'POST', '/api/plugins/import', texts[i].length)), texts[i].subarray(0, 3000)])));
    const h2 = await Connection.open(port(server.console));
    h2.send(headers(1, h2request({ ':method': 'POST', ':path': '/api/plugins/import', ':authority': `localhost:${port(server.console)}` },
        [['authorization', `Bearer ${server.token}`], ['content-type', 'text/plain']]), FLAG.END_HEADERS), data(1, texts[2].subarray(0, 3000), 0));
    const download = await open(port(server.console));
    download.socket.write(head(server, 'GET', where));
    await until(() => download.bytes().length > 0, 'the download to begin');
    download.socket.pause();
    const idle = await open(port(server.apps));
    idle.socket.write(`GET /none HTTP/1.1\r\nHost: localhost:${port(server.apps)}\r\n\r\n`);
    await until(() => idle.text().includes('not_found'), 'an answer');
    const idleTls = await open(port(server.tls), true);
    const idleH2 = await Connection.open(port(server.apps));
    sockets.push(h2.socket, idleH2.socket);
    assert.ok(await idleH2.isAlive());
    await wait(200);

    const begun = Date.now();
    process.kill(server.pid, 'SIGTERM');
    for (const [name, one] of [['keep-alive', idle], ['TLS', idleTls]]) {
        const at = await Promise.race([one.closed, wait(3000 * slowness())]);
        assert.ok(at !== undefined, `an idle connection (${name}) is still open`);
    }
    assert.ok(await idleH2.waitClosed(3000 * slowness()), 'an idle HTTP/2 connection is still open');
    assert.equal(idleH2.goaway?.code, 0);
    assert.ok(Date.now() - begun < 2500 * slowness(), `${Date.now() - begun} ms until all idle ones were closed`);
    await until(async () => (await Promise.all([server.apps, server.console, server.tls, server.admin].map(isRefused))).every(Boolean), 'newcomers to be refused', 3000);
    assert.ok(server.child.exitCode === null, 'it waits for what is in flight');

    uploads.forEach((u, i) => u.socket.write(texts[i].subarray(3000)));
    h2.send(data(1, texts[2].subarray(3000)));
    download.socket.resume();
    for (const u of uploads) {
        await u.closed;
        assert.match(u.text(), /^HTTP\/1\.1 201 /, 'an upload that ran at SIGTERM');
        assert.match(u.text(), /^connection: close\r$/im);
    }
    const answer = await h2.response(1, 10000 * slowness());
    assert.equal(answer.status, 201, answer.body.toString());
    await download.closed;
    const tar = download.bytes();
    assert.ok(tar.length > whole.length, `${tar.length} of ${whole.length} bytes`);
    assert.equal(tar.subarray(-7).toString('latin1'), '\r\n0\r\n\r\n', 'the download was cut');
    const end = await server.ended;
    assert.equal(end.code, 0);
    assert.ok(Date.now() - begun < 20000, `${Date.now() - begun} ms`);
    assert.ok(!fs.existsSync(server.readyFile));
    await server.stop();

    const again = await start({ dataDir: server.dataDir, database: server.databaseUrl });
    const slugs = (await again.api('GET', '/api/plugins')).json.data.map((p) => p.slug);
    for (const name of ['late-h1', 'late-tls', 'late-h2']) assert.ok(slugs.includes(name), `${name} was promised`);
    await again.stop();
});

test('SIGTERM: clients that never finish are cut at the deadline, and it still ends with 0', async () => {
    const server = await start({ settings: { shutdown_timeout: '1500ms' } });
    const stuck = await open(port(server.console));
    stuck.socket.write(`${head(server, 'POST', '/api/plugins/import', 100000)}---`);
    const slow = await Connection.open(port(server.console), { with: [[SETTING.INITIAL_WINDOW_SIZE, 0]] });
    sockets.push(slow.socket);
    slow.send(headers(1, h2request({ ':path': '/api/openapi.json', ':authority': `localhost:${port(server.console)}` })));
    await wait(200);
    const begun = Date.now();
    process.kill(server.pid, 'SIGTERM');
    await stuck.closed;
    const cut = Date.now() - begun;
    assert.ok(cut > 1200 && cut < 3500, `cut after ${cut} ms`);
    assert.ok(await slow.waitClosed(2000));
    assert.equal((await server.ended).code, 0);
    assert.ok(Date.now() - begun < 1500 + 2500 * slowness(), `${Date.now() - begun} ms`);
    assert.match(server.log(), /some requests did not finish in time/);
    await server.stop();
});

test('a second SIGTERM does not wait', async () => {
    const server = await start({ expectErrors: [/the server ended/] });
    const stuck = await open(port(server.console));
    stuck.socket.write(`${head(server, 'POST', '/api/plugins/import', 100000)}---`);
    await wait(200);
    const tree = processTree(server.pid);
    const begun = Date.now();
    process.kill(server.pid, 'SIGTERM');
    await wait(300);
    assert.equal(stillThere(tree).length, tree.length, 'the first one waits');
    process.kill(server.pid, 'SIGTERM');
    const end = await server.ended;
    assert.ok(Date.now() - begun < 3000, `${Date.now() - begun} ms`);
    assert.equal(end.code, 0);
    assert.deepEqual(stillThere(tree), []);
    await server.stop();
});

test('the private PostgreSQL goes with the server; kill -9 of the supervisor takes all along, and the next start works', async () => {
    const server = await start({ privatePostgres: true });
    const page = (await server.api('POST', '/api/plugins/import', pie('kept', { 'index.html': 'kept' }))).json.publicAppUrl;
    assert.equal((await request(page)).status, 200);
    await server.api('POST', '/api/plugins/kept/deployments', 'no archive', { type: 'application/zip' }); // a helper has run
    const tree = processTree(server.pid);
    assert.ok(tree.some((p) => /postgres/.test(p.command)), 'PostgreSQL is among its processes');
    assert.ok(tree.some((p) => /stoa-inspect/.test(p.command)), 'so are helpers');
    process.kill(server.pid, 'SIGKILL');
    const begun = Date.now();
    await until(() => stillThere(tree).length === 0, `all of ${tree.map((p) => p.command).join('; ')} to end`, 2000 * (slowness() > 1 ? 2 : 1)).catch((error) => {
        assert.fail(`${error.message}; left: ${stillThere(tree).map((p) => `${p.pid} ${p.command}`)}`);
    });
    const gone = Date.now() - begun;
    await server.ended;
    assert.ok(gone < 4000, `${gone} ms`);

    const next = await start({ privatePostgres: true, dataDir: server.dataDir });
    const { pathname } = new URL(page);
    assert.equal((await request(new URL(pathname, next.apps))).text, 'kept');
    assert.equal((await next.api('GET', '/api/plugins')).json.data[0].slug, 'kept');
    const nextTree = processTree(next.pid);
    await next.stop();
    assert.deepEqual(stillThere(nextTree), []);
    assert.ok(!fs.existsSync(next.readyFile));
});

test('a database that a newer Stoa has made: a sentence, and exit 1', async () => {
    const server = await start({});
    await server.stop();
    server.database.query(`INSERT INTO stoa_migrations (feature, number, sha256) VALUES ('catalog', 9999, decode(repeat('00', 32), 'hex'))`);
    const ended = await startServer({ dataDir: server.dataDir, database: server.databaseUrl }).then(() => assert.fail('it serves'), (error) => error.message);
    assert.match(ended, /ended with 1 /);
    assert.match(ended, /made by a newer Stoa/);
    assert.doesNotMatch(ended, /starting the server again/);
});

test('stoa without its other programs: a sentence, and exit 1', () => {
    const folder = temporaryDirectory('alone');
    fs.copyFileSync(path.join(buildFolder(), 'stoa'), path.join(folder, 'stoa'));
    const ended = spawnSync(path.join(folder, 'stoa'), ['serve', '--data', path.join(folder, 'data'), '--listen-apps', '127.0.0.1:0', '--listen-console', '127.0.0.1:0',
        '--listen-admin', '127.0.0.1:0'], { encoding: 'utf8', env: { PATH: process.env.PATH }, timeout: 60000 });
    assert.equal(ended.status, 1, ended.stderr);
    assert.match(ended.stderr, /stoa-inspect is not beside this program/);
});

test('a start while the database is away: 503 in the contract\'s form, and recovery without a restart', async () => {
    const root = temporaryDirectory('away');
    const cluster = await startCluster(root);
    cluster.query('CREATE DATABASE away OWNER stoa_test');
    const database = `postgresql://stoa_test@/away?host=${encodeURIComponent(cluster.socket)}`;
    const first = await start({ database });
    const page = (await first.api('POST', '/api/plugins/import', pie('kept', { 'index.html': 'kept' }))).json.publicAppUrl;
    await first.stop();
    cluster.stop('fast');
    const server = await start({ database, dataDir: first.dataDir, expectErrors: [/database/] });
    const url = new URL(new URL(page).pathname, server.apps);
    const refused = await request(url);
    assert.equal(refused.status, 503);
    assert.equal(refused.json.code, 'database_unavailable');
    assert.match(refused.headers['retry-after'], /^\d+$/);
    assert.equal((await server.api('GET', '/api/plugins')).status, 503);
    assert.equal((await request(`${server.admin}/readyz`)).status, 503);
    assert.equal((await request(`${server.admin}/healthz`)).status, 200);
    const options = ['listen_addresses=', `unix_socket_directories=${cluster.socket}`, 'fsync=off', 'max_connections=300'].map((o) => `-c ${o}`).join(' ');
    const again = spawnSync(`${postgresPrograms()}/pg_ctl`, ['start', '-w', '-D', path.join(root, 'postgres'), '-l', path.join(root, 'postgres', 'again.log'), '-o', options],
        { cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' }, stdio: 'ignore', ...asUser('postgres') });
    assert.equal(again.status, 0);
    try {
        const pid = server.serverPid;
        await until(async () => (await request(url)).status === 200, 'the page', 5000 * slowness());
        await until(async () => (await request(`${server.admin}/readyz`)).status === 200, '/readyz', 5000 * slowness());
        assert.equal((await server.api('GET', '/api/plugins')).status, 200);
        const more = await server.api('POST', '/api/plugins/import', pie('kept', { 'index.html': 'changed' }));
        assert.equal(more.status, 200, more.text);
        await until(async () => (await request(url)).text === 'changed', 'the new page', 1000 * slowness());
        assert.equal(server.serverPid, pid);
    } finally {
        await server.stop();
        cluster.stop();
    }
});

test('a first start while the database is away makes project and token when it comes', async () => {
    const root = temporaryDirectory('late');
    const cluster = await startCluster(root);
    cluster.query('CREATE DATABASE late OWNER stoa_test');
    const data = path.join(root, 'data');
    cluster.stop('fast');
    const readyFile = path.join(root, 'ready.json');
    const child = spawn(path.join(buildFolder(), 'stoa'), ['serve', '--data', data, '--ready-file', readyFile, '--listen-apps', '127.0.0.1:0', '--listen-console', '127.0.0.1:0',
        '--listen-admin', '127.0.0.1:0', '--database', `postgresql://stoa_test@/late?host=${encodeURIComponent(cluster.socket)}`], { stdio: 'ignore', env: { PATH: process.env.PATH } });
    const ended = new Promise((done) => { child.on('close', done); });
    try {
        const ready = await until(() => fs.existsSync(readyFile) && JSON.parse(fs.readFileSync(readyFile, 'utf8')), 'the ready file');
        assert.equal((await request(`${ready.admin}/readyz`)).status, 503);
        const options = ['listen_addresses=', `unix_socket_directories=${cluster.socket}`, 'fsync=off'].map((o) => `-c ${o}`).join(' ');
        spawnSync(`${postgresPrograms()}/pg_ctl`, ['start', '-w', '-D', path.join(root, 'postgres'), '-l', path.join(root, 'postgres', 'again.log'), '-o', options],
            { cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' }, stdio: 'ignore', ...asUser('postgres') });
        const token = await until(() => fs.existsSync(ready.tokenFile) && fs.readFileSync(ready.tokenFile, 'utf8').trim(), 'the token', 5000 * slowness());
        const answer = await until(async () => {
            const a = await request(`${ready.console}/api/plugins`, { headers: { authorization: `Bearer ${token}` } });
            return a.status !== 503 && a;
        }, 'an answer', 5000 * slowness());
        assert.equal(answer.status, 200, answer.text);
    } finally {
        child.kill('SIGTERM');
        assert.equal(await ended, 0);
        cluster.stop();
    }
});
