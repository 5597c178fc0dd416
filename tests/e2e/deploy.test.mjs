// Deploying, as contract §3 says it: import, update, archive, dry run, activate, export, delete, instances.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { archive, pie } from '../harness/pie.mjs';
import { request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

let server;
before(async () => { server = await startServer({ expectErrors: [/a blob of an export is damaged/, /a stream ended early/] }); });
after(() => server.stop());

const page = async (made, where = '') => (await request(made.publicAppUrl + where)).text;
const api = (...args) => server.api(...args);

test('the first import is 201, the same bytes again change nothing', async () => {
    const file = pie('same', { 'index.html': '<p>one', 'app.js': 'let a = 1;' });
    const first = await api('POST', '/api/plugins/import', file);
    assert.equal(first.status, 201);
    assert.deepEqual(first.json.deployment.changes.map((c) => [c.path, c.change]), [['app.js', 'added'], ['index.html', 'added']]);
    assert.equal(first.json.deployment.fileCount, 2);
    assert.match(first.json.instance.slug, /^same-[0-9a-f]{8}$/);
    assert.equal(await page(first.json), '<p>one');
    const again = await api('POST', '/api/plugins/import', file);
    assert.equal(again.status, 200);
    assert.equal(again.json.deployment.unchanged, true);
    assert.equal(again.json.deployment.id, first.json.deployment.id);
    assert.equal(again.json.instance.id, first.json.instance.id);
    assert.equal((await api('GET', '/api/plugins/same/deployments')).json.data.length, 1);
});

test('an update is visible at once, with its changes', async () => {
    const made = (await api('POST', '/api/plugins/import', pie('update', { 'index.html': 'v1', 'a.txt': 'a', 'b.txt': 'b' }))).json;
    assert.equal(await page(made), 'v1');
    const put = await api('PUT', '/api/plugins/update', pie('update', { 'index.html': 'v2', 'b.txt': 'b', 'c.txt': 'c' }, { version: '1.1.0' }));
    assert.equal(put.status, 200);
    assert.deepEqual(put.json.deployment.changes, [{ path: 'a.txt', change: 'removed', bytes: 1 }, { path: 'c.txt', change: 'added', bytes: 1 },
        { path: 'index.html', change: 'modified', bytes: 2 }]);
    for (let i = 0; i < 100 && await page(made) !== 'v2'; ++i) await new Promise((done) => { setTimeout(done, 10); });
    assert.equal(await page(made), 'v2');
    assert.equal((await api('GET', '/api/plugins/update')).json.version, '1.1.0');
    const other = await api('PUT', '/api/plugins/update', pie('different', { 'index.html': 'v3' }));
    assert.equal(other.status, 409);
    assert.equal(other.json.code, 'slug_mismatch');
});

test('a dry run changes nothing', async () => {
    const answer = await api('POST', '/api/plugins/import?dryRun=true', pie('dry', { 'index.html': 'x' }));
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json.deployment.changes, [{ path: 'index.html', change: 'added', bytes: 1 }]);
    assert.equal((await api('GET', '/api/plugins/dry')).status, 404);
    const made = (await api('POST', '/api/plugins/import', pie('dry', { 'index.html': 'x' }))).json;
    const second = await api('POST', '/api/plugins/import?dryRun=true', pie('dry', { 'index.html': 'y' }));
    assert.equal(second.json.deployment.changes[0].change, 'modified');
    assert.equal(await page(made), 'x');
});

test('a bad file is refused whole, with all its problems', async () => {
    const answer = await api('POST', '/api/plugins/import', '---\nname: Bad!\nversion: one\n---\n===public-file:a/../b===\nx\n===public-file:a/../b===\n');
    assert.equal(answer.status, 422);
    assert.equal(answer.json.code, 'invalid_pie');
    assert.ok(answer.json.details.problems.length >= 4, answer.text);
    for (const p of answer.json.details.problems) {
        assert.ok(p.line >= 1, JSON.stringify(p));
        assert.match(p.message, /[.]$/);
    }
    assert.equal((await api('POST', '/api/plugins/import', '')).status, 422);
    assert.equal((await api('POST', '/api/plugins/import', '{}', { type: 'application/json' })).status, 415);
});

test('one file part of a form will do, no and two will not', async () => {
    const part = (name, filename, text) => `--b\r\nContent-Disposition: form-data; name="${name}"${filename ? `; filename="${filename}"` : ''}\r\n\r\n${text}\r\n`;
    const send = (body) => api('POST', '/api/plugins/import', `${body}--b--\r\n`, { type: 'multipart/form-data; boundary=b' });
    const file = pie('form', { 'index.html': 'from a form' });
    const made = await send(part('note', '', 'hello') + part('file', 'x.pie', file));
    assert.equal(made.status, 201, made.text);
    assert.equal(await page(made.json), 'from a form');
    assert.equal((await send(part('note', '', 'hello'))).json.code, 'no_file');
    assert.equal((await send(part('a', 'x.pie', file) + part('b', 'y.pie', file))).json.code, 'too_many_files');
    assert.equal((await api('POST', '/api/plugins/import', 'no boundary', { type: 'multipart/form-data' })).status, 400);
});

test('over 4 MiB is 413 before it is read', async () => {
    const answer = await api('POST', '/api/plugins/import', Buffer.alloc(5 << 20, 'x'));
    assert.equal(answer.status, 413);
    assert.equal(answer.json.code, 'body_too_large');
});

test('a plugin without public files has no link', async () => {
    const made = (await api('POST', '/api/plugins/import', pie('quiet', {}))).json;
    assert.equal(made.publicAppUrl, null);
    assert.ok(made.instance.id, 'its widget and its tool are run as an instance');
    const silent = (await api('POST', '/api/plugins/import', pie('silent', {}, { code: '' }))).json;
    assert.deepEqual([silent.publicAppUrl, silent.instance], [null, null]);
});

for (const kind of ['zip', 'tar', 'tar.gz', 'tar.xz', 'tar.zst']) {
    test(`an archive replaces the public files: ${kind}`, async () => {
        const name = `from-${kind.replace('.', '-')}`;
        const made = (await api('POST', '/api/plugins/import', pie(name, { 'index.html': 'from the pie', 'old.js': 'x' }))).json;
        const sent = archive({ 'index.html': `from ${kind}`, 'assets/app.js': 'let b;'.repeat(100), 'public-config.yaml': 'entry: index.html\n' }, kind);
        const deployed = await api('POST', `/api/plugins/${name}/deployments`, sent, { type: 'application/octet-stream' });
        assert.equal(deployed.status, 200, deployed.text);
        assert.equal(deployed.json.deployment.fileCount, 2);
        assert.equal(await page(made), `from ${kind}`);
        assert.equal((await request(`${made.publicAppUrl}old.js`)).status, 404);
        assert.equal((await api('GET', `/api/plugins/${name}/deployments/${deployed.json.deployment.id}/source.pie`)).json.code, 'no_source');
    });
}

test('a bad archive is refused with its problems, and the server stays', async () => {
    await api('POST', '/api/plugins/import', pie('bad-archive', { 'index.html': 'good' }));
    for (const [what, bytes] of [['noise', Buffer.alloc(2000, 7)], ['nothing', Buffer.alloc(0)], ['cut', archive({ 'index.html': 'x'.repeat(9000) }, 'zip').subarray(0, 60)],
        ['no entry', archive({ 'a.txt': 'x' })]]) {
        const answer = await api('POST', '/api/plugins/bad-archive/deployments', bytes, { type: 'application/octet-stream' });
        assert.equal(answer.status, 422, `${what}: ${answer.text}`);
        assert.equal(answer.json.code, 'invalid_bundle', what);
    }
    const folder = temporaryDirectory('links');
    fs.writeFileSync(path.join(folder, 'index.html'), 'x');
    fs.symlinkSync('/etc/passwd', path.join(folder, 'passwd'));
    const links = execFileSync('tar', ['-cf', '-', '-C', folder, '.']);
    const answer = await api('POST', '/api/plugins/bad-archive/deployments', links, { type: 'application/octet-stream' });
    assert.equal(answer.status, 422);
    assert.match(JSON.stringify(answer.json.details.problems), /passwd/);
    const cased = await api('POST', '/api/plugins/bad-archive/deployments', archive({ 'index.html': 'x', 'Public-Config.yaml': 'entry: index.html' }), { type: 'application/octet-stream' });
    assert.equal(cased.status, 422);
    assert.match(cased.json.details.problems[0].message, /kept for the config/);
    const reserved = await api('POST', '/api/plugins/import', pie('bad-archive', { 'index.html': 'x', 'public-config.yaml': 'x' })); // its export would have two
    assert.equal(reserved.status, 422);
    assert.match(reserved.json.details.problems[0].message, /kept for the config/);
    assert.equal((await api('GET', '/api/plugins/bad-archive/deployments')).json.data.length, 1);
});

test('activate rolls back and forward; exports give what was deployed', async () => {
    const one = pie('roll', { 'index.html': 'one', 'ü/ß.txt': 'unicode' });
    const first = (await api('POST', '/api/plugins/import', one)).json;
    const second = (await api('POST', '/api/plugins/import', pie('roll', { 'index.html': 'two' }, { version: '2.0.0' }))).json;
    const live = async (want) => {
        for (let i = 0; i < 100 && await page(first) !== want; ++i) await new Promise((done) => { setTimeout(done, 10); });
        assert.equal(await page(first), want);
    };
    await live('two');
    const back = await api('POST', `/api/plugins/roll/deployments/${first.deployment.id}/activate`);
    assert.equal(back.status, 200);
    assert.equal(back.json.deployment.active, true);
    await live('one');
    assert.equal((await api('GET', '/api/plugins/roll')).json.version, '1.0.0');
    await api('POST', `/api/plugins/roll/deployments/${second.deployment.id}/activate`);
    await live('two');
    const listed = (await api('GET', '/api/plugins/roll/deployments')).json.data;
    assert.deepEqual(listed.map((d) => [d.id, d.active]), [[second.deployment.id, true], [first.deployment.id, false]]);
    const source = await api('GET', `/api/plugins/roll/deployments/${first.deployment.id}/source.pie`);
    assert.equal(source.text, one);
    const tar = await api('GET', `/api/plugins/roll/deployments/${first.deployment.id}/archive.tar`);
    assert.equal(tar.headers['content-type'], 'application/x-tar');
    const folder = temporaryDirectory('untar');
    execFileSync('tar', ['-xf', '-', '-C', folder], { input: tar.body });
    assert.equal(fs.readFileSync(path.join(folder, 'index.html'), 'utf8'), 'one');
    assert.equal(fs.readFileSync(path.join(folder, 'ü/ß.txt'), 'utf8'), 'unicode');
    const again = await api('POST', '/api/plugins/roll/deployments', tar.body, { type: 'application/octet-stream' });
    assert.equal(again.status, 200, again.text);
    await live('one');
});

test('a large export arrives whole', async () => {
    const files = {};
    for (let i = 0; i < 40; ++i) files[`f${i}.bin`] = crypto.randomBytes(700000);
    await api('POST', '/api/plugins/import', pie('large', { 'index.html': 'x' }));
    const made = await api('POST', '/api/plugins/large/deployments', archive({ 'index.html': 'x', ...files }), { type: 'application/octet-stream' });
    assert.equal(made.status, 200, made.text);
    const tar = await api('GET', `/api/plugins/large/deployments/${made.json.deployment.id}/archive.tar`);
    const listed = execFileSync('tar', ['-tvf', '-'], { input: tar.body, encoding: 'utf8' });
    assert.equal(listed.match(/ 700000 /g).length, 40);
});

const serverMemory = () => Number(/^RssAnon:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${server.serverPid}/status`, 'latin1'))[1]) / 1024; // MiB

test('exports that nobody reads cost little, are few at a time, and go on whole', async () => {
    const content = crypto.randomBytes(24 << 20);
    await api('POST', '/api/plugins/import', pie('unread', { 'index.html': 'x' }));
    const made = await api('POST', '/api/plugins/unread/deployments', archive({ 'index.html': 'x', 'f.bin': content }), { type: 'application/octet-stream' });
    assert.equal(made.status, 200, made.text);
    const url = new URL(`/api/plugins/unread/deployments/${made.json.deployment.id}/archive.tar`, server.console);
    const before = serverMemory();
    const open = () => new Promise((resolve, reject) => {
        http.get(url, { headers: { authorization: `Bearer ${server.token}` }, agent: false }, resolve).on('error', reject);
    });
    const answers = await Promise.all([open(), open(), open(), open()]);
    assert.deepEqual(answers.map((answer) => answer.statusCode), [200, 200, 200, 200]);
    await new Promise((done) => { setTimeout(done, 500); });
    const grown = serverMemory() - before;
    assert.ok(grown < 20, `${grown} MiB more`);
    const [other] = (await api('GET', '/api/plugins/same/deployments')).json.data;
    for (const fifthOf of [url.pathname, `/api/plugins/same/deployments/${other.id}/source.pie`]) {
        const fifth = await api('GET', fifthOf);
        assert.equal(fifth.status, 503, fifth.text);
        assert.equal(fifth.json.code, 'busy');
        assert.ok(Number(fifth.headers['retry-after']) > 0);
    }
    const tars = await Promise.all(answers.map(async (answer) => Buffer.concat(await answer.toArray())));
    const folder = temporaryDirectory('unread');
    execFileSync('tar', ['-xf', '-', '-C', folder], { input: tars[3] });
    assert.ok(fs.readFileSync(path.join(folder, 'f.bin')).equals(content));
    const again = await api('GET', url.pathname);
    assert.ok(again.body.equals(tars[0]));
});

test('over HTTP/1.0 what has no length ends with its connection, also for who asked to keep it', async () => {
    const { hostname, port, host } = new URL(server.console);
    const [deployment] = (await api('GET', '/api/plugins/same/deployments')).json.data;
    const ask = (method, what) => new Promise((resolve, reject) => { // until the end, or the head of what keeps its connection
        const socket = net.connect(port, hostname);
        let text = '';
        const done = () => { socket.destroy(); resolve(text); };
        socket.setTimeout(5000 * slowness(), () => socket.destroy(new Error(`${what} does not end`)));
        socket.setEncoding('latin1').on('data', (part) => { text += part; if (/^connection: keep-alive\r\n[^]*\r\n\r\n/im.test(text)) done(); }).on('end', done).on('error', reject);
        socket.write(`${method} /api/plugins/same/deployments/${deployment.id}/${what} HTTP/1.0\r\nHost: ${host}\r\nConnection: keep-alive\r\nAuthorization: Bearer ${server.token}\r\n\r\n`);
    });
    const answer = await ask('GET', 'archive.tar');
    const head = answer.slice(0, answer.indexOf('\r\n\r\n'));
    assert.match(head, /^HTTP\/1\.1 200 /);
    assert.match(head, /^connection: close\r?$/im);
    assert.doesNotMatch(head, /^(content-length|transfer-encoding):/im);
    assert.ok(answer.endsWith('\0'.repeat(1024)), 'the whole tar');
    assert.match(await ask('HEAD', 'archive.tar'), /^connection: keep-alive\r$/im); // it has no body
    assert.match(await ask('GET', 'source.pie'), /^connection: keep-alive\r$/im); // its length is known
});

test('an export of damaged bytes is cut short', async () => {
    const content = crypto.randomBytes(300000);
    await api('POST', '/api/plugins/import', pie('rotten', { 'index.html': 'x' }));
    const made = await api('POST', '/api/plugins/rotten/deployments', archive({ 'index.html': 'x', 'f.bin': content }), { type: 'application/octet-stream' });
    const name = crypto.createHash('sha256').update(content).digest('hex');
    const blob = path.join(server.dataDir, 'blobs', name.slice(0, 2), name.slice(2));
    const bad = Buffer.from(content);
    bad[200000] ^= 1;
    fs.writeFileSync(blob, bad);
    const cut = await api('GET', `/api/plugins/rotten/deployments/${made.json.deployment.id}/archive.tar`).then((answer) => answer.body, () => null);
    assert.ok(cut === null || cut.length < content.length + 2000, 'the end of the tar is not there');
});

test('instances: one more copy, same bytes; deleted ones are gone and their slug too', async () => {
    const made = (await api('POST', '/api/plugins/import', pie('copies', { 'index.html': 'here' }))).json;
    const second = await api('POST', '/api/plugins/copies/instances');
    assert.equal(second.status, 201, second.text);
    assert.notEqual(second.json.slug, made.instance.slug);
    assert.equal((await request(second.json.url)).text, 'here');
    assert.equal((await api('GET', '/api/plugins/copies/instances')).json.data.length, 2);
    assert.equal((await api('GET', `/api/public-apps/instances/${second.json.slug}`)).json.id, second.json.id);
    await api('POST', '/api/plugins/import', pie('copies', { 'index.html': 'moved on' }));
    for (let i = 0; i < 100 && (await request(second.json.url)).text !== 'moved on'; ++i) await new Promise((done) => { setTimeout(done, 10); });
    assert.equal((await request(second.json.url)).text, 'moved on');
    assert.equal((await api('DELETE', `/api/plugins/copies/instances/${second.json.id}`)).status, 200);
    for (let i = 0; i < 300 && (await request(second.json.url)).status !== 404; ++i) await new Promise((done) => { setTimeout(done, 10); });
    assert.equal((await request(second.json.url)).status, 404);
    assert.equal(await page(made), 'moved on');
});

test('delete takes the plugin and its pages away', async () => {
    const made = (await api('POST', '/api/plugins/import', pie('gone', { 'index.html': 'x' }))).json;
    assert.equal(await page(made), 'x');
    assert.equal((await api('DELETE', '/api/plugins/gone?dryRun=true')).status, 200);
    assert.equal((await api('GET', '/api/plugins/gone')).status, 200);
    assert.equal((await api('DELETE', '/api/plugins/gone?data=maybe')).status, 422);
    assert.equal((await api('DELETE', '/api/plugins/gone?data=delete')).status, 200);
    assert.equal((await api('GET', '/api/plugins/gone')).status, 404);
    for (let i = 0; i < 300 && (await request(made.publicAppUrl)).status !== 404; ++i) await new Promise((done) => { setTimeout(done, 10); });
    assert.equal((await request(made.publicAppUrl)).status, 404);
});

test('concurrent deploys of one plugin all succeed in some order', async () => {
    const made = (await api('POST', '/api/plugins/import', pie('race', { 'index.html': 'start' }))).json;
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => api('POST', '/api/plugins/import', pie('race', { 'index.html': `r${i}` }))));
    for (const a of answers) assert.ok(a.status === 200 || a.status === 409, a.text);
    const active = (await api('GET', '/api/plugins/race/deployments')).json.data.filter((d) => d.active);
    assert.equal(active.length, 1);
    const winner = answers.findIndex((a) => a.json.deployment?.id === active[0].id);
    for (let i = 0; i < 100 && await page(made) !== `r${winner}`; ++i) await new Promise((done) => { setTimeout(done, 10); });
    assert.equal(await page(made), `r${winner}`);
});

/**
 * Runs `steps` while the plugin's row is locked, each once the one before waits for the lock; then all go on, in that order.
 * Behind the first deploy come only those that take no turns, like activating.
 */
async function inTurn(slug, steps) {
    const holder = server.database.session();
    holder.say(`begin; select id from plugins where slug = '${slug}' for update;`);
    const waiting = () => Number(server.database.query("select count(*) from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database()"));
    for (let i = 0; i < 500 && !holder.said().includes('\n'); ++i) await new Promise((done) => { setTimeout(done, 10); });
    const answers = [];
    for (const [i, step] of steps.entries()) {
        answers.push(step());
        for (let n = 0; n < 500 && waiting() <= i; ++n) await new Promise((done) => { setTimeout(done, 10); });
        assert.equal(waiting(), i + 1);
    }
    holder.end('commit;');
    return Promise.all(answers);
}

test('what is deployed to or activated of a plugin that goes meanwhile brings no other in its place', async () => {
    const made = (await api('POST', '/api/plugins/import', pie('ghost', { 'index.html': 'one' }))).json;
    for (const step of [
        () => api('POST', `/api/plugins/${made.plugin.id}/deployments/${made.deployment.id}/activate`),
        () => api('PUT', `/api/plugins/${made.plugin.id}`, pie('ghost', { 'index.html': 'two' })),
        () => sendArchive(made.plugin.id, { 'index.html': 'three' })]) {
        const now = (await api('POST', '/api/plugins/import', pie('ghost', { 'index.html': 'one' }))).json;
        Object.assign(made, now);
        const [gone, answer] = await inTurn('ghost', [() => api('DELETE', `/api/plugins/${made.plugin.id}`), step]);
        assert.equal(gone.status, 200, gone.text);
        assert.deepEqual([answer.status, answer.json.code], [404, 'plugin_not_found'], answer.text);
        assert.equal((await api('GET', '/api/plugins/ghost')).status, 404);
    }
});

test('a deploy goes on when one of the instances it switches is deleted meanwhile', async () => {
    const made = (await api('POST', '/api/plugins/import', pie('fewer', { 'index.html': 'one' }))).json;
    const more = (await api('POST', '/api/plugins/fewer/instances')).json;
    const holder = server.database.session(); // stops the deletion behind its own row, before it writes what it did
    holder.say('begin; select * from audit_heads for update;');
    await until(() => holder.said().includes('\n'), 'the lock');
    const waiting = (n) => until(() => Number(server.database.query('select count(*) from pg_locks where not granted')) >= n, `${n} to wait`);
    const deleted = api('DELETE', `/api/plugins/fewer/instances/${more.id}`);
    await waiting(1);
    const update = api('POST', '/api/plugins/import', pie('fewer', { 'index.html': 'two' }));
    await waiting(2);
    holder.end('commit;');
    assert.equal((await deleted).status, 200);
    assert.equal((await update).status, 200, (await update).text);
    assert.equal((await api('GET', '/api/plugins/fewer/instances')).json.data[0].id, made.instance.id);
});

const text = (word) => `<p>${word} `.repeat(200);
const sendArchive = (slug, files) => api('POST', `/api/plugins/${slug}/deployments`, archive(files), { type: 'application/octet-stream' });

const run = (...args) => new Promise((done) => {
    execFile(server.stoaBin, args, { env: { PATH: process.env.PATH, HOME: server.home, STOA_URL: server.console, STOA_TOKEN: server.token } },
        (error, out, err) => done({ code: error ? error.code : 0, out, err }));
});
const live = async (slug) => (await api('GET', `/api/plugins/${slug}/deployments`)).json.data.find((d) => d.active);

test('rollback leads to what visitors saw before, not to a version taken back', async () => {
    const send = async (word) => (await api('POST', '/api/plugins/import', pie('withdrawn', { 'index.html': word }))).json.deployment.id;
    const good = await send('A');
    const bad = await send('B');
    assert.equal((await run('rollback', 'withdrawn')).code, 0);
    assert.equal((await live('withdrawn')).id, good);
    const worse = await send('C');
    const list = (await api('GET', '/api/plugins/withdrawn/deployments')).json.data;
    assert.deepEqual(list.map((d) => [d.id, d.replaces]), [[worse, good], [bad, good], [good, null]]);
    assert.equal((await run('rollback', 'withdrawn')).code, 0);
    assert.equal((await live('withdrawn')).id, good);
    const none = await run('rollback', 'withdrawn'); // and not forward to what was left
    assert.equal(none.code, 6, none.err);
    server.database.query("update bundle_deployments set replaces = null"); // as those from before it was kept
    await api('POST', `/api/plugins/withdrawn/deployments/${worse}/activate`);
    assert.equal((await run('rollback', 'withdrawn')).code, 0);
    assert.equal((await live('withdrawn')).id, bad);
});

test('rollback of an app\'s first folder does not take it offline', async () => {
    const folder = temporaryDirectory('first-folder');
    const put = (word) => fs.writeFileSync(path.join(folder, 'index.html'), word);
    const deploy = () => run('deploy', folder, '--plugin', 'first-folder');
    put('one');
    assert.equal((await deploy()).code, 0);
    const first = await live('first-folder');
    const none = await run('rollback', 'first-folder');
    assert.equal(none.code, 6, none.out);
    assert.match(none.err, /no deployment of "first-folder" before/);
    assert.equal((await live('first-folder')).id, first.id);
    put('two');
    assert.equal((await deploy()).code, 0);
    assert.equal((await run('rollback', 'first-folder')).code, 0);
    assert.equal((await live('first-folder')).id, first.id);
    assert.equal((await run('rollback', 'first-folder')).code, 6);
});

test('an archive inherits from the deployment it replaces, also when that was activated meanwhile', async () => {
    const code = (word) => `module.exports = { handler: async () => ({ word: '${word}' }) };`;
    const first = (await api('POST', '/api/plugins/import', pie('meanwhile', { 'index.html': 'one' }, { code: code('one') }))).json;
    const second = (await api('POST', '/api/plugins/import', pie('meanwhile', { 'index.html': 'two' }, { code: code('two'), version: '2.0.0', front: 'description: the second\n' }))).json;
    await api('POST', `/api/plugins/meanwhile/deployments/${first.deployment.id}/activate`);
    const [update, files] = await inTurn('meanwhile', [
        () => api('POST', `/api/plugins/meanwhile/deployments/${second.deployment.id}/activate`),
        () => sendArchive('meanwhile', { 'index.html': 'an archive', 'extra.txt': 'x' })]);
    assert.equal(update.status, 200, update.text);
    assert.equal(files.status, 200, files.text);
    assert.equal(files.json.plugin.version, '2.0.0');
    assert.deepEqual(files.json.deployment.changes.map((c) => [c.path, c.change]), [['extra.txt', 'added'], ['index.html', 'modified']]);
    const inherited = server.database.query(`select count(distinct code_sha256), count(distinct front) from bundle_deployments
        where id in ('${second.deployment.id}', '${files.json.deployment.id}')`);
    assert.equal(inherited, '1|1');
    const listed = (await api('GET', '/api/plugins/meanwhile/deployments')).json.data;
    assert.deepEqual([listed.length, listed.find((d) => d.active).id], [3, files.json.deployment.id]);
});

test('an archive inherits from what was activated meanwhile', async () => {
    const first = (await api('POST', '/api/plugins/import', pie('back', { 'index.html': 'one' }))).json;
    await api('POST', '/api/plugins/import', pie('back', { 'index.html': 'two' }, { version: '2.0.0' }));
    const [activated, files] = await inTurn('back', [
        () => api('POST', `/api/plugins/back/deployments/${first.deployment.id}/activate`),
        () => sendArchive('back', { 'index.html': 'an archive' })]);
    assert.equal(activated.status, 200, activated.text);
    assert.equal(files.status, 200, files.text);
    assert.equal(files.json.plugin.version, '1.0.0');
});

test('what was live when it was sent, and no longer is, is deployed with its compressed forms', async () => {
    const made = (await api('POST', '/api/plugins/import', pie('again', { 'index.html': text('one') }))).json;
    const two = (await api('POST', '/api/plugins/import', pie('again', { 'index.html': text('two') }))).json;
    await api('POST', `/api/plugins/again/deployments/${made.deployment.id}/activate`);
    const [other, same] = await inTurn('again', [
        () => api('POST', `/api/plugins/again/deployments/${two.deployment.id}/activate`),
        () => api('POST', '/api/plugins/import', pie('again', { 'index.html': text('one') }))]);
    assert.equal(other.status, 200, other.text);
    assert.equal(same.status, 200, same.text);
    assert.equal(same.json.deployment.unchanged, false);
    assert.notEqual(same.json.deployment.id, made.deployment.id);
    assert.equal(server.database.query(`select bool_and(br_size > 0 and zstd_size > 0 and gzip_size > 0) from bundle_files where deployment_id = '${same.json.deployment.id}'`), 't');
});

test('a second project\'s first app needs instance_domain', async () => {
    const other = (await api('POST', '/api/projects', { displayName: 'Second' })).json;
    const answer = await api('POST', '/api/plugins/import', pie('second', { 'index.html': 'x' }), { token: other.token.token ?? other.token });
    assert.equal(answer.status, 409);
    assert.equal(answer.json.code, 'instance_domain_required');
    assert.match(answer.json.message, /instance_domain/);
    const quiet = await api('POST', '/api/plugins/import', pie('second', {}), { token: other.token.token ?? other.token });
    assert.equal(quiet.status, 201, 'without pages there is nothing to share');
});

test('no roll back and no new instance brings pages onto another project\'s origin', async () => {
    const lone = await startServer();
    const b = (await lone.api('POST', '/api/projects', { displayName: 'B' })).json.token;
    const of = (token) => (method, target, body) => lone.api(method, target, body, { token });
    try {
        const paged = await of(b)('POST', '/api/plugins/import', pie('bee', { 'index.html': '<p>of B' }));
        await of(b)('POST', '/api/plugins/import', pie('bee', {}, { config: null, version: '2.0.0' }));
        assert.equal((await of(b)('DELETE', `/api/plugins/bee/instances/${paged.json.instance.id}`)).status, 200);
        const first = await of(lone.token)('POST', '/api/plugins/import', pie('aye', { 'index.html': '<p>of A' }));
        assert.equal(first.status, 201);
        const made = await of(b)('POST', '/api/plugins/bee/instances');
        assert.equal(made.status, 201); // it has no pages
        const back = await of(b)('POST', `/api/plugins/bee/deployments/${paged.json.deployment.id}/activate`);
        assert.equal(back.status, 409);
        assert.equal(back.json.code, 'instance_domain_required');
        assert.notEqual((await request(made.json.url)).text, '<p>of B');
        const more = await of(lone.token)('POST', '/api/plugins/import', pie('aye', { 'index.html': '<p>more of A' }));
        assert.equal(more.status, 200, more.text); // and the refused ones do not stand in A's way

        // Code alone is live, but the plugin has had pages and may again.
        const mine = first.json.deployment.id;
        await of(lone.token)('POST', '/api/plugins/import', pie('aye', {}, { config: null, version: '2.0.0' }));
        const still = await of(b)('POST', '/api/plugins/import', pie('bee', { 'index.html': '<p>of B' }));
        assert.equal(still.json.code, 'instance_domain_required');
        assert.equal((await of(lone.token)('POST', '/api/plugins/aye/instances')).status, 201);
        assert.equal((await of(lone.token)('POST', `/api/plugins/aye/deployments/${mine}/activate`)).status, 200);
    } finally {
        await lone.stop();
    }
});

test('a project\'s deploys wait for each other, another project\'s for none of them', async () => {
    const other = (await api('POST', '/api/projects', { displayName: 'Unhurried' })).json.token;
    await api('POST', '/api/plugins/import', pie('slow', { 'index.html': 'start' }));
    const holder = server.database.session();
    holder.say("begin; select id from plugins where slug = 'slow' for update;");
    await until(() => holder.said().includes('\n'), 'the lock');
    const send = (i) => api('POST', '/api/plugins/import', pie('slow', { 'index.html': `s${i}` }));
    const answers = [];
    const sent = Array.from({ length: 12 }, (_, i) => send(i).then((a) => { answers.push(a); return a; }));
    try {
        await until(() => answers.length === 3, 'three too many'); // one runs, eight wait
        for (const a of answers) {
            assert.deepEqual([a.status, a.json.code], [429, 'too_many_waiting'], a.text);
            assert.ok(Number(a.headers['retry-after']) > 0);
        }
        const free = await api('POST', '/api/plugins/import', pie('free', {}, { config: null }), { token: other });
        assert.equal(free.status, 201, free.text);
        const dry = await api('POST', '/api/plugins/import?dryRun=true', pie('free', {}, { config: null, version: '2.0.0' }), { token: other });
        assert.equal(dry.status, 200, dry.text);
        assert.equal(answers.length, 3);
        assert.equal((await api('POST', '/api/plugins/import', pie('free', {}), { token: 'stoa_none' })).status, 401);
    } finally {
        holder.end('commit;');
    }
    const all = await Promise.all(sent);
    assert.deepEqual(all.map((a) => a.status).sort(), [...Array(9).fill(200), 429, 429, 429]);
    assert.equal((await send(99)).status, 200);
});

test('code that never finishes loading is given up after 3 s', async () => {
    const began = Date.now();
    const answer = await api('POST', '/api/plugins/import?dryRun=true', pie('endless', {}, { config: null, code: 'for (;;);' }));
    assert.equal(answer.status, 422, answer.text);
    assert.match(answer.json.details.problems[0].message, /within 3 s/);
    assert.ok(Date.now() - began < 8000, `${Date.now() - began} ms`);
});

test('a name that has had other bytes is never again immutable, whichever are live', async () => {
    const HASHED = 'app.3f2a9c1b.js', OTHER = 'lib.0c9b8a7d.js';
    const send = async (content) => (await api('POST', '/api/plugins/import', pie('fickle', { 'index.html': 'x', [HASHED]: content, [OTHER]: 'let b;' }))).json;
    const seen = async (made, file = HASHED) => {
        const answer = await request(new URL(file, made.publicAppUrl));
        return [answer.text, /immutable/.test(answer.headers['cache-control'])];
    };
    const first = await send('let a = 1;');
    assert.deepEqual(await seen(first), ['let a = 1;', true]);
    const second = await send('let a = 2;');
    await until(async () => (await seen(first))[0] === 'let a = 2;', 'the second');
    assert.deepEqual(await seen(first), ['let a = 2;', false]);
    await api('POST', `/api/plugins/fickle/deployments/${first.deployment.id}/activate`);
    await until(async () => (await seen(first))[0] === 'let a = 1;', 'the first');
    assert.deepEqual(await seen(first), ['let a = 1;', false]);
    assert.deepEqual(await seen(first, OTHER), ['let b;', true]);
    const rows = server.database.query(`select count(*) filter (where immutable), count(*) from bundle_files where path = '${HASHED}' and deployment_id in ('${first.deployment.id}', '${second.deployment.id}')`);
    assert.equal(rows, '0|2');
});

test('2 MiB are live within a second of their last byte', async () => {
    const words = Array.from({ length: 5000 }, (_, i) => `word${i * 7919 % 5003}`);
    const text = (n) => Array.from({ length: 90000 }, (_, i) => words[(i * n) % words.length]).join(' ').slice(0, 500000);
    const file = pie('big', { 'index.html': 'big', 'a.js': text(3), 'b.js': text(7), 'c.js': text(11), 'd.js': text(13) });
    const began = Date.now();
    const made = await api('POST', '/api/plugins/import', file);
    const took = Date.now() - began;
    assert.equal(made.status, 201, made.text);
    assert.equal(await page(made.json), 'big');
    assert.ok(took < 1000 * slowness(), `${took} ms`);
});
