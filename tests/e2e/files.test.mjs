// Giving files back (contract §5, security-rules.md 11, 15, 21 and 28): signed links on the apps origin, on instances' own hosts and on
// files_origin; what their owner sees of them; the command line; and in Chromium that nothing of a stranger's runs, whatever it says it is.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openBrowser } from '../harness/browser.mjs';
import { freePort } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const GUARD = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
const KINDS = ['paths', 'hosts', 'files'];
const servers = {}; // files on the apps origin, on instances' hosts, on files_origin
const apps = {};
let browser;

before(async () => {
    const port = await freePort();
    const settings = {
        paths: {},
        hosts: { instance_domain: 'apps.localhost' },
        files: { listen_apps: `127.0.0.1:${port}`, instance_domain: 'apps.localhost', files_origin: `http://files.localhost:${port}` },
    };
    await Promise.all([
        ...KINDS.map(async (kind) => { servers[kind] = await startServer({ settings: settings[kind], expectErrors: [/file_damaged/] }); }),
        openBrowser({ hosts: { '*.localhost': '127.0.0.1', 'files.localhost': '127.0.0.1' } }).then((opened) => { browser = opened; }),
    ]);
    for (const kind of KINDS) apps[kind] = await deploy(servers[kind], 'files');
});
after(async () => {
    await browser?.close();
    await Promise.all(Object.values(servers).map((server) => server.stop()));
});

// --- what there is ---

async function deploy(server, name, files = { 'index.html': '<title>app</title>' }, more = {}) {
    const made = await server.api('POST', '/api/plugins/import', pie(name, files, more), more);
    assert.ok(made.status < 300, made.text);
    return made.json;
}

const text = (s) => `convert_from(decode('${Buffer.from(String(s)).toString('hex')}', 'hex'), 'UTF8')`; // psql's caller cuts at semicolons
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const randomId = () => `file_${Array.from(crypto.randomBytes(26), (b) => ALPHABET[b % 32]).join('')}`;
const blobOf = (server, digest) => path.join(server.dataDir, 'blobs', digest.slice(0, 2), digest.slice(2));

/** A file as if it had been uploaded, of any type and name: its blob and its row. Gives its id. */
function keep(server, app, bytes, { filename = 'file.txt', mime = 'text/plain', source = 'visitor' } = {}) {
    const content = Buffer.from(bytes);
    const digest = crypto.createHash('sha256').update(content).digest('hex');
    const blob = blobOf(server, digest);
    const owner = fs.statSync(path.join(server.dataDir, 'blobs'));
    fs.mkdirSync(path.dirname(blob), { recursive: true, mode: 0o700 });
    fs.writeFileSync(blob, content, { mode: 0o600 });
    for (const made of [path.dirname(blob), blob]) fs.chownSync(made, owner.uid, owner.gid);
    const id = randomId();
    server.database.query(`insert into files (id, project_id, plugin_id, instance_id, instance_slug, owner_id, source, filename, original_filename, mime, sha256, size, visitor, request_id)
        select ${text(id)}, i.project_id, i.plugin_id, i.id, i.slug, '00000000-0000-4000-8000-000000000000', ${text(source)}, ${text(filename)}, ${text(filename)}, ${text(mime)},
        decode('${digest}', 'hex'), ${content.length}, '127.0.0.1', 'test' from instances i where i.id = ${text(app.instance.id)}`);
    server.database.query(`insert into file_quotas (project_id, plugin_id, bytes, count) select i.project_id, i.plugin_id, ${content.length}, 1 from instances i
        where i.id = ${text(app.instance.id)} on conflict (project_id, plugin_id) do update set bytes = file_quotas.bytes + excluded.bytes, count = file_quotas.count + 1`);
    return id;
}

/** A fresh link: 'view' to be shown, 'content' to be saved. */
async function linkTo(server, id, how = 'view') {
    const answer = await server.api('GET', `/api/files/${id}/${how}`);
    assert.equal(answer.status, 302, answer.text);
    assert.equal(answer.headers['cache-control'], 'no-store');
    return answer.headers.location;
}

/** request() of a link, whatever its host: all are this machine. */
function visit(server, link, options = {}) {
    const url = new URL(link);
    return request(server.apps, { path: url.pathname + url.search, ...options, headers: { host: url.host, ...options.headers } });
}

function assertGuarded(answer, what) {
    const all = (name) => answer.rawHeaders.filter((_, i) => i % 2 === 1 && answer.rawHeaders[i - 1].toLowerCase() === name);
    assert.ok(all('content-security-policy').includes(GUARD), what);
    assert.deepEqual(all('x-content-type-options'), ['nosniff'], what);
    assert.deepEqual(all('cross-origin-resource-policy'), ['cross-origin'], what);
    assert.deepEqual(all('referrer-policy'), ['no-referrer'], what);
    assert.equal(all('set-cookie').length, 0, what);
    assert.equal(all('access-control-allow-origin').length, 0, what);
    assert.equal(all('cache-control').length, 1, what);
    assert.match(all('cache-control')[0], answer.status < 400 ? /^private, max-age=\d+$/ : /no-store/, what);
}

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

// --- links ---

describe('a link', () => {
    for (const kind of KINDS) {
        test(`${kind}: on its origin, shown or saved as it says`, async () => {
            const server = servers[kind];
            const id = keep(server, apps[kind], PNG, { filename: 'Übung "1" 50%.png', mime: 'image/png' });
            const origin = { paths: server.apps, hosts: new URL(apps[kind].publicAppUrl).origin, files: `http://files.localhost:${new URL(server.apps).port}` }[kind];
            for (const [how, disposition] of [['view', 'inline'], ['content', 'attachment']]) {
                const link = await linkTo(server, id, how);
                assert.match(link, new RegExp(`^${origin}/files/${id}/%C3%9Cbung%20%221%22%2050%25\\.png\\?exp=\\d{10}&sig=[A-Za-z0-9_-]{76}&d=${disposition}$`));
                const answer = await visit(server, link);
                assert.equal(answer.status, 200, answer.text);
                assert.deepEqual(answer.body, PNG);
                assertGuarded(answer, how);
                const { headers } = answer;
                assert.equal(headers['content-type'], 'image/png');
                assert.equal(headers['content-disposition'], `${disposition}; filename="_bung _1_ 50_.png"; filename*=UTF-8''%C3%9Cbung%20%221%22%2050%25.png`);
                assert.equal(headers.etag, `"${crypto.createHash('sha256').update(PNG).digest('hex')}"`);
                assert.equal(headers['accept-ranges'], 'bytes');
                assert.ok(Date.parse(headers['last-modified']) <= Date.now());
                const left = Number(/max-age=(\d+)/.exec(headers['cache-control'])[1]);
                assert.ok(left > 900 - 60 && left <= 900, headers['cache-control']);
            }
        });
    }

    test('altered in any way: 403, with a page for people and JSON for programs', async () => {
        const server = servers.paths;
        const link = await linkTo(server, keep(server, apps.paths, 'altered'), 'content');
        assert.equal((await visit(server, link)).status, 200);
        const other = keep(server, apps.paths, 'other');
        const changed = {
            signature: link.replace(/sig=./, (s) => `sig=${s.at(-1) === 'A' ? 'B' : 'A'}`),
            'its last bit': link.replace(/(sig=[^&]*)(.)&/, (_, a, b) => `${a}${b === 'A' ? 'B' : 'A'}&`),
            expiry: link.replace(/exp=(\d+)/, (_, n) => `exp=${Number(n) + 1}`),
            past: link.replace(/exp=\d+/, 'exp=1000000000'),
            disposition: link.replace('d=attachment', 'd=inline'),
            file: link.replace(/file_[0-9a-z]+/, other),
            name: link.replace('file.txt', 'evil.html'),
            more: `${link}&x=1`,
            twice: `${link}&d=inline`,
            'no query': link.replace(/\?.*/, ''),
            'no signature': link.replace(/sig=[^&]*/, 'sig='),
            'cut signature': link.replace(/(sig=[^&]*).&/, '$1&'),
            'bad encoding': link.replace('file.txt', 'file%zz.txt'),
        };
        for (const [what, url] of Object.entries(changed)) {
            const answer = await visit(server, url);
            assert.deepEqual([answer.status, answer.json?.code], [403, 'link_invalid'], `${what}: ${answer.text}`);
            assertGuarded(answer, what);
            const page = await visit(server, url, { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } });
            assert.equal(page.status, 403);
            assert.match(page.text, /<p>This link is not valid\. /);
            assertGuarded(page, what);
        }
        assert.equal((await visit(server, link)).status, 200);
    });

    test('of another host, or where files have another origin: 403', async () => {
        const { paths, hosts, files } = servers;
        const app = apps.hosts;
        const second = (await hosts.api('POST', `/api/plugins/${app.plugin.id}/instances`)).json;
        const link = await linkTo(hosts, keep(hosts, app, 'one instance\'s'));
        assert.equal((await visit(hosts, link)).status, 200);
        for (const host of [new URL(second.url).host, new URL(hosts.apps).host, `${app.instance.slug}.apps.localhost:1`, `apps.localhost:${new URL(hosts.apps).port}`]) {
            const answer = await visit(hosts, link, { headers: { host } });
            assert.ok([403, 404].includes(answer.status), `${host}: ${answer.status}`);
            assert.notEqual(answer.text, 'one instance\'s');
        }
        // a preview's host and the console know no files at all
        const preview = await visit(hosts, link, { headers: { host: `p-${app.deployment.id}.apps.localhost:${new URL(hosts.apps).port}` } });
        assert.notEqual(preview.text, 'one instance\'s');
        assert.equal((await request(new URL(new URL(link).pathname + new URL(link).search, hosts.console))).status, 404);
        // with files_origin, no other host gives them
        const filed = await linkTo(files, keep(files, apps.files, 'filed'));
        assert.equal((await visit(files, filed)).status, 200);
        for (const host of [new URL(apps.files.publicAppUrl).host, new URL(files.apps).host]) assert.equal((await visit(files, filed, { headers: { host } })).status, 403, host);
        // localhost is not the authority the link was made for
        const local = await linkTo(paths, keep(paths, apps.paths, 'local'));
        assert.equal((await visit(paths, local, { headers: { host: `localhost:${new URL(paths.apps).port}` } })).status, 403);
    });

    test('files_origin has nothing but files', async () => {
        const { files } = servers;
        const { host } = new URL(await linkTo(files, keep(files, apps.files, 'x')));
        for (const where of ['/', '/files/', '/files/x', '/apps/', `/apps/files/${apps.files.instance.slug}/`, '/api/openapi.json', '/api/public-apps/self', '/files/file_x', '/healthz']) {
            const answer = await request(files.apps, { path: where, headers: { host } });
            assert.equal(answer.status, 404, `${where}: ${answer.status}`);
        }
    });

    test('methods: GET, HEAD and OPTIONS', async () => {
        const server = servers.paths;
        const link = await linkTo(server, keep(server, apps.paths, '0123456789'));
        const got = await visit(server, link);
        const head = await visit(server, link, { method: 'HEAD' });
        assert.equal(head.status, 200);
        assert.equal(head.body.length, 0);
        for (const name of ['content-length', 'content-type', 'content-disposition', 'etag', 'last-modified', 'accept-ranges']) assert.equal(head.headers[name], got.headers[name], name);
        assertGuarded(head, 'HEAD');
        const options = await visit(server, link, { method: 'OPTIONS' });
        assert.deepEqual([options.status, options.headers.allow], [204, 'GET, HEAD, OPTIONS']);
        for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
            const answer = await visit(server, link, { method });
            assert.deepEqual([answer.status, answer.headers.allow], [405, 'GET, HEAD, OPTIONS'], method);
            assertGuarded(answer, method);
        }
    });

    test('ranges and conditions', async () => {
        const server = servers.paths;
        const link = await linkTo(server, keep(server, apps.paths, '0123456789', { filename: 'ten.txt' }));
        const whole = await visit(server, link);
        const ask = (headers, more) => visit(server, link, { headers, ...more });
        const { etag } = whole.headers;
        const modified = whole.headers['last-modified'];
        const later = new Date(Date.parse(modified) + 60000).toUTCString();
        const earlier = new Date(Date.parse(modified) - 60000).toUTCString();
        for (const [headers, status, body, range] of [
            [{ range: 'bytes=2-4' }, 206, '234', 'bytes 2-4/10'],
            [{ range: 'bytes=-3' }, 206, '789', 'bytes 7-9/10'],
            [{ range: 'bytes=9-' }, 206, '9', 'bytes 9-9/10'],
            [{ range: 'bytes=10-' }, 416, undefined, 'bytes */10'],
            [{ range: 'lines=1-2' }, 200, '0123456789'],
            [{ range: 'bytes=2-4', 'if-range': etag }, 206, '234', 'bytes 2-4/10'],
            [{ range: 'bytes=2-4', 'if-range': '"other"' }, 200, '0123456789'],
            [{ range: 'bytes=2-4', 'if-range': modified }, 206, '234', 'bytes 2-4/10'],
            [{ 'if-none-match': etag }, 304, ''],
            [{ 'if-none-match': `"a", W/${etag}` }, 304, ''],
            [{ 'if-none-match': '"a"' }, 200, '0123456789'],
            [{ 'if-modified-since': later }, 304, ''],
            [{ 'if-modified-since': earlier }, 200, '0123456789'],
            [{ 'if-match': '"a"' }, 412],
            [{ 'if-unmodified-since': earlier }, 412],
        ]) {
            const answer = await ask(headers);
            const what = JSON.stringify(headers);
            assert.equal(answer.status, status, what);
            if (body !== undefined) assert.equal(answer.text, body, what);
            assert.equal(answer.headers['content-range'], range, what);
            assertGuarded(answer, what);
            if (status < 300) {
                assert.equal(answer.headers['content-disposition'], whole.headers['content-disposition'], what);
                assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8', what);
            }
            if (status < 400) assert.deepEqual([answer.headers.etag, answer.headers['last-modified']], [etag, modified], what);
        }
        const several = await ask({ range: 'bytes=0-1,5-6' });
        assert.equal(several.status, 206);
        const boundary = /^multipart\/byteranges; boundary=([0-9a-f]{24})$/.exec(several.headers['content-type'])[1];
        assert.equal(several.text, `--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--${boundary}\r\n`
            + `Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 5-6/10\r\n\r\n56\r\n--${boundary}--\r\n`);
        assertGuarded(several, 'several');
        assert.equal((await ask({ range: 'bytes=2-4' }, { method: 'HEAD' })).status, 200);
    });

    test('types: only what may be shown is shown, text says its charset when it is one', async () => {
        const server = servers.paths;
        for (const [mime, bytes, type, disposition] of [
            ['image/png', PNG, 'image/png', 'inline'],
            ['image/png', 'no picture', 'image/png', 'attachment'],
            ['text/plain', 'Grüße', 'text/plain; charset=utf-8', 'inline'],
            ['text/plain', `${'x'.repeat(4095)}ü`, 'text/plain; charset=utf-8', 'inline'],
            ['text/plain', Buffer.from([0x47, 0x72, 0xfc, 0xdf, 0x65]), 'text/plain', 'attachment'],
            ['text/csv', 'a;b', 'text/csv; charset=utf-8', 'attachment'],
            ['image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml', 'attachment'],
            ['application/pdf', '%PDF-1.4', 'application/pdf', 'attachment'],
            ['text/html', '<p>', 'text/html; charset=utf-8', 'attachment'],
            ['text/javascript', 'x', 'text/plain; charset=utf-8', 'attachment'],
            ['application/javascript', 'x', 'text/plain', 'attachment'],
            ['text/css', 'x{}', 'text/plain; charset=utf-8', 'attachment'],
            ['application/json', '{}', 'application/json', 'attachment'],
            ['application/zip', 'PK', 'application/zip', 'attachment'],
            ['application/octet-stream', '\u0000', 'application/octet-stream', 'attachment'],
        ]) {
            const answer = await visit(server, await linkTo(server, keep(server, apps.paths, bytes, { mime, source: 'handler' })));
            assert.equal(answer.status, 200);
            assert.equal(answer.headers['content-disposition'].split(';')[0], disposition, mime);
            assert.ok(answer.headers['content-type'] === type || (answer.headers['content-type'] === `${type}; charset=utf-8` && type.startsWith('text/')), `${mime}: ${answer.headers['content-type']}`);
            assertGuarded(answer, mime);
        }
    });

    test('names that are traps elsewhere are only names here', async () => {
        const server = servers.paths;
        for (const filename of ['a"; filename="b.html', 'a\\b', '..', "a'b", 'a;b', 'a%0d%0ab', '日本語.txt', 'ü'.repeat(125), 'a+b c&d=e#f?.txt', '%', '=']) {
            const link = await linkTo(server, keep(server, apps.paths, 'x', { filename }));
            const answer = await visit(server, link);
            assert.equal(answer.status, 200, filename);
            const [, plain, extended] = /^attachment; filename="([^"\\%]*)"; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]*)$/.exec(answer.headers['content-disposition'].replace(/^inline/, 'attachment')) ?? [];
            assert.ok(plain?.length > 0, answer.headers['content-disposition']);
            assert.equal(decodeURIComponent(extended), filename);
        }
    });

    test('the file that has no bytes, and one of ten megabytes over both protocols\' paths', async () => {
        const server = servers.paths;
        const none = await visit(server, await linkTo(server, keep(server, apps.paths, '', { source: 'handler' })));
        assert.deepEqual([none.status, none.body.length, none.headers['content-length']], [200, 0, '0']);
        const large = crypto.randomBytes(10 * 1024 * 1024);
        const link = await linkTo(server, keep(server, apps.paths, large, { mime: 'application/zip' }));
        assert.ok((await visit(server, link)).body.equals(large));
        const part = await visit(server, link, { headers: { range: 'bytes=1000001-9000000' } });
        assert.ok(part.body.equals(large.subarray(1000001, 9000001)));
        const parts = await visit(server, link, { headers: { range: 'bytes=0-99999,5000000-6000000' } });
        assert.equal(parts.status, 206);
        assert.ok(parts.body.includes(large.subarray(5000000, 6000001)));
    });

    test('after the file was deleted: 404; with its bytes lost or damaged: 500, and the log says which', async () => {
        const server = servers.paths;
        const gone = keep(server, apps.paths, 'soon gone');
        const link = await linkTo(server, gone);
        assert.equal((await server.api('DELETE', `/api/files/${gone}`)).status, 200);
        const answer = await visit(server, link);
        assert.deepEqual([answer.status, answer.json?.code], [404, 'file_not_found']);
        assertGuarded(answer, 'gone');
        for (const [what, spoil] of [['lost', (blob) => fs.rmSync(blob)], ['damaged', (blob) => fs.writeFileSync(blob, 'other')], ['cut', (blob) => fs.truncateSync(blob, 2)]]) {
            const bytes = `about to be ${what}`;
            const id = keep(server, apps.paths, bytes);
            spoil(blobOf(server, crypto.createHash('sha256').update(bytes).digest('hex')));
            const broken = await visit(server, await linkTo(server, id));
            assert.deepEqual([broken.status, broken.json?.code], [500, 'file_damaged'], what);
            assertGuarded(broken, what);
            await server.logged(new RegExp(`error .*file_damaged.*${id}`));
        }
    });

    test('cut behind the server\'s back while it is given from memory: a short body, and the server lives', async () => {
        const server = servers.paths;
        const bytes = crypto.randomBytes(8 * 1024 * 1024);
        const link = new URL(await linkTo(server, keep(server, apps.paths, bytes, { filename: 'a.bin', mime: 'application/octet-stream' })));
        const session = http2.connect(server.apps, { settings: { initialWindowSize: 65535 } });
        session.on('error', () => {});
        const stream = session.request({ ':path': link.pathname + link.search });
        let got = 0;
        const ended = new Promise((done) => { stream.on('error', () => {}).on('close', () => done(stream.rstCode)); });
        await new Promise((done) => { stream.once('data', (piece) => { got += piece.length; stream.pause(); done(); }); });
        fs.truncateSync(blobOf(server, crypto.createHash('sha256').update(bytes).digest('hex')), 4096);
        stream.on('data', (piece) => { got += piece.length; });
        stream.resume();
        assert.notEqual(await ended, 0);
        assert.ok(got < bytes.length, `${got} bytes`);
        session.destroy();
        assert.equal((await visit(server, await linkTo(server, keep(server, apps.paths, 'as before')))).status, 200);
        assert.doesNotMatch(server.log(), /the server ended/);
    });

    test('a visitor who hammers a good link waits', async () => {
        const server = servers.hosts;
        const link = await linkTo(server, keep(server, apps.hosts, 'hammered'));
        const statuses = [];
        for (let i = 0; i < 45 && !statuses.includes(429); ++i) statuses.push(...(await Promise.all(Array.from({ length: 20 }, () => visit(server, link)))).map((a) => a.status));
        assert.deepEqual([...new Set(statuses)].sort(), [200, 429]);
        const refused = await until(async () => { const answer = await visit(server, link); return answer.status === 429 && answer; }, 'one more refusal');
        assert.ok(Number(refused.headers['retry-after']) >= 1);
        assertGuarded(refused, 'refused');
        // wrong ones are not counted: they ask nothing of anybody
        assert.equal((await visit(server, link.replace('sig=', 'sig=A'))).status, 403);
        await until(async () => (await visit(server, link)).status === 200, 'another turn');
    });

    test('who leaves in the middle costs nothing', async () => {
        const server = servers.paths;
        const link = new URL(await linkTo(server, keep(server, apps.paths, crypto.randomBytes(8 * 1024 * 1024), { mime: 'application/zip' })));
        const { default: net } = await import('node:net');
        await Promise.all(Array.from({ length: 20 }, (_, i) => new Promise((done) => {
            const socket = net.connect(new URL(server.apps).port, '127.0.0.1', () => {
                socket.write(`GET ${link.pathname}${link.search} HTTP/1.1\r\nHost: ${link.host}\r\n\r\n`);
                if (i % 2) socket.once('data', () => socket.destroy()); else setTimeout(() => socket.destroy(), i);
            });
            socket.on('close', done).on('error', () => {});
        })));
        assert.equal((await visit(server, link.href)).status, 200); // descriptors are counted when the server stops
    });

    test('a visitor holds only so many files open, however slowly they are taken', async () => {
        const server = servers.files;
        const link = new URL(await linkTo(server, keep(server, apps.files, crypto.randomBytes(64 * 1024), { mime: 'application/zip' })));
        const ask = { ':path': link.pathname + link.search, ':authority': link.host };
        const head = (session) => new Promise((resolve, reject) => { session.request(ask).on('response', resolve).on('error', reject); });
        // nothing may be sent but heads
        const sessions = Array.from({ length: 3 }, () => http2.connect(server.apps, { settings: { initialWindowSize: 0 } }).on('error', () => {}));
        const heads = await Promise.all(sessions.flatMap((session) => Array.from({ length: 100 }, () => head(session))));
        const [given, refused] = [200, 429].map((status) => heads.filter((h) => h[':status'] === status));
        assert.deepEqual([given.length, refused.length], [256, 44]);
        assert.ok(Number(refused[0]['retry-after']) >= 1);
        assert.equal(refused[0]['content-security-policy'], GUARD);
        for (const session of sessions) session.destroy();
        await until(async () => (await visit(server, link.href)).status === 200, 'what was held is given back');
    });

    test('one network holds all files it can: another one has room', async () => {
        const server = await startServer({ under: ['prlimit', '--nofile=2048:2048'] }); // 512 are for files, and 384 of these for strangers
        const app = await deploy(server, 'files');
        const link = new URL(await linkTo(server, keep(server, app, crypto.randomBytes(64 * 1024), { mime: 'application/zip' })));
        const ask = { ':path': link.pathname + link.search, ':authority': link.host };
        const status = (session) => new Promise((resolve, reject) => { session.request(ask).on('response', (h) => resolve(h[':status'])).on('error', reject); });
        const from = (localAddress) => http2.connect(server.apps, { settings: { initialWindowSize: 0 }, localAddress }).on('error', () => {});
        const sessions = [];
        const got = [];
        for (let i = 0; i < 10; ++i) {
            sessions.push(from(`127.0.7.${1 + i}`));
            got.push(...await Promise.all(Array.from({ length: 60 }, () => status(sessions[i]))));
        }
        const given = got.filter((s) => s === 200).length;
        assert.ok(given > 240 && given <= 256, `${given} are given`);
        assert.equal(got.filter((s) => s === 503).length, 600 - given);
        sessions.push(from('127.0.9.1'));
        assert.deepEqual(await Promise.all(Array.from({ length: 40 }, () => status(sessions.at(-1)))), Array(40).fill(200));
        for (const session of sessions) session.destroy();
        await until(async () => (await visit(server, link.href)).status === 200, 'what was held is given back');
        await server.stop();
    });

    test('lives on when the master key changes, while the old one is kept', async () => {
        const settings = { apps_origin: 'http://apps.localhost:8080', shared_origin: 'accepted' };
        const first = await startServer({ settings });
        const app = await deploy(first, 'rotated');
        const id = keep(first, app, 'kept');
        const link = await linkTo(first, id);
        assert.equal((await visit(first, link)).text, 'kept');
        const old = fs.readFileSync(path.join(first.dataDir, 'keys/master.key'), 'utf8').split('\n').find((line) => /^[0-9a-f]{64}$/.test(line));
        await first.stop();
        const next = crypto.randomBytes(32).toString('hex');
        const again = { settings, dataDir: first.dataDir, database: first.databaseUrl };
        const second = await startServer({ ...again, env: { STOA_MASTER_KEY: `${next},${old}` } });
        assert.equal((await visit(second, link)).text, 'kept');
        const fresh = await linkTo(second, id);
        assert.notEqual(fresh.replace(/.*sig=/, '').slice(0, 12), link.replace(/.*sig=/, '').slice(0, 12), 'it names the new key');
        assert.equal((await visit(second, fresh)).text, 'kept');
        await second.stop();
        const third = await startServer({ ...again, env: { STOA_MASTER_KEY: next } });
        assert.equal((await visit(third, link)).status, 403);
        assert.equal((await visit(third, fresh)).text, 'kept');
        await third.stop();
    });

    test('no log has a link', async () => {
        const server = servers.paths;
        const secret = await linkTo(server, keep(server, apps.paths, 'unseen', { filename: 'seen\u202e\u009b31m.txt' }));
        await visit(server, secret);
        await visit(server, secret.replace('d=', 'd=x'));
        const log = path.join(server.dataDir, 'logs/access.log');
        const id = /file_[0-9a-z]+/.exec(secret)[0];
        const lines = await until(() => fs.readFileSync(log, 'utf8').split('\n').filter((l) => l.includes(id) && l.includes('"file"')).length >= 2 && fs.readFileSync(log, 'utf8'), 'its lines');
        assert.ok(!/sig=|exp=\d/.test(lines + server.log()));
        assert.ok(!/[\u0080-\u009f\u202a-\u202e]/.test(lines));
    });
});

// --- owners ---

describe('owners', () => {
    test('list, page by page, by instance, plugin and type', async () => {
        const server = servers.paths;
        const app = await deploy(server, 'listed');
        const ids = [];
        for (let i = 0; i < 5; ++i) ids.unshift(keep(server, app, `content ${i}`, { filename: `n${i}`, mime: i % 2 ? 'text/plain' : 'image/png', source: i === 4 ? 'handler' : 'visitor' }));
        const list = async (query) => {
            const answer = await server.api('GET', `/api/files?${query}`);
            assert.equal(answer.status, 200, answer.text);
            return answer.json;
        };
        const of = (answer) => answer.data.map((f) => f.id);
        for (const who of [`instance=${app.instance.id}`, `instance=${app.instance.slug}`, `plugin=listed`, `plugin=${app.plugin.id}`]) {
            // rows of one millisecond are ordered by id
            assert.deepEqual(of(await list(who)).sort(), [...ids].sort(), who);
            const seen = [];
            let page = await list(`${who}&limit=2`);
            for (;;) {
                seen.push(...of(page));
                if (page.next === null) break;
                page = await list(`${who}&limit=2&cursor=${encodeURIComponent(page.next)}`);
            }
            assert.deepEqual(seen.sort(), [...ids].sort());
            assert.equal(of(await list(`${who}&limit=2&cursor=${encodeURIComponent(page.previous)}`)).length, 2);
        }
        assert.equal(of(await list(`plugin=listed&type=${encodeURIComponent('image/*')}`)).length, 3);
        assert.equal(of(await list('plugin=listed&type=text/plain')).length, 2);
        assert.deepEqual(of(await list('plugin=listed&type=video/mp4')), []);
        assert.deepEqual(of(await list(`plugin=listed&type=${encodeURIComponent("x/' or 1=1 --")}`)), []);
        const newest = (await list('plugin=listed')).data.find((f) => f.source === 'handler');
        assert.deepEqual({ ...newest, createdAt: undefined, url: undefined }, {
            id: ids[0], filename: 'n4', originalFilename: 'n4', mimeType: 'image/png', size: 9, sha256: crypto.createHash('sha256').update('content 4').digest('hex'),
            source: 'handler', instanceId: app.instance.id, instanceSlug: app.instance.slug, pluginId: app.plugin.id, createdAt: undefined, url: undefined });
        assert.match(newest.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        assert.equal((await visit(server, newest.url)).text, 'content 4');
        for (const [query, status, code] of [['instance=absent', 404, 'instance_not_found'], ['plugin=absent', 404, 'plugin_not_found'],
            ['plugin=listed&instance=x', 422, 'invalid_parameter'], ['limit=0', 422, 'invalid_parameter'], ['cursor=x', 422, 'invalid_cursor'], ['q=x', 422, 'unknown_parameter']]) {
            const answer = await server.api('GET', `/api/files?${query}`);
            assert.deepEqual([answer.status, answer.json.code], [status, code], query);
        }
    });

    test('look at one and delete it, and the audit trail says who', async () => {
        const server = servers.paths;
        const id = keep(server, apps.paths, 'one');
        const got = await server.api('GET', `/api/files/${id}`);
        assert.deepEqual([got.status, got.json.id, got.json.size], [200, id, 3]);
        const read = (await server.api('POST', '/api/tokens', { name: 'r', scope: 'read' })).json.token;
        const deploying = (await server.api('POST', '/api/tokens', { name: 'd', scope: 'deploy' })).json.token;
        assert.equal((await server.api('GET', `/api/files/${id}/view`, undefined, { token: read })).status, 302);
        for (const token of [read, deploying]) assert.equal((await server.api('DELETE', `/api/files/${id}`, undefined, { token })).json.code, 'scope_too_low');
        const before = server.database.query(`select bytes, count from file_quotas where plugin_id = '${apps.paths.plugin.id}'`).split('|').map(Number);
        const deleted = await server.api('DELETE', `/api/files/${id}`);
        assert.deepEqual([deleted.status, deleted.json.id, deleted.json.url], [200, id, undefined]);
        assert.deepEqual(server.database.query(`select bytes, count from file_quotas where plugin_id = '${apps.paths.plugin.id}'`).split('|').map(Number), [before[0] - 3, before[1] - 1]);
        for (const [method, where] of [['GET', ''], ['DELETE', ''], ['GET', '/view'], ['GET', '/content']]) assert.equal((await server.api(method, `/api/files/${id}${where}`)).json.code, 'file_not_found');
        assert.match(server.database.query(`select action, subject from audit_events where subject = '${id}'`), new RegExp(`^file\\.delete\\|${id}$`));
    });

    test('that outlive their app are kept for as long as their owner had said', async () => {
        const server = servers.paths;
        const days = (instance) => server.database.query(`select days from file_retentions where instance_id = '${instance.id}'`).trim();
        const promise = async (instance, uploadDays) => assert.equal((await server.api('PATCH', `/api/public-apps/instances/${instance.id}`, { retention: { uploadDays } })).status, 200);
        const app = await deploy(server, 'outlived');
        const second = (await server.api('POST', `/api/plugins/${app.plugin.id}/instances`)).json;
        for (const [instance, n] of [[app.instance, 3], [second, 4]]) {
            keep(server, { ...app, instance }, 'kept');
            await promise(instance, n);
        }
        assert.equal((await server.api('DELETE', `/api/plugins/${app.plugin.id}/instances/${second.id}`)).status, 200);
        assert.deepEqual([days(app.instance), days(second)], ['', '4']);
        assert.equal((await server.api('DELETE', `/api/plugins/${app.plugin.id}?data=keep`)).status, 200);
        assert.equal(days(app.instance), '3');
    });

    test('of another project find nothing, by any endpoint', async () => {
        const server = servers.hosts;
        const id = keep(server, apps.hosts, 'mine');
        const foreign = (await server.api('POST', '/api/projects', { displayName: 'Other' })).json;
        const token = foreign.token.token ?? foreign.token;
        for (const [method, where] of [['GET', `/api/files/${id}`], ['GET', `/api/files/${id}/view`], ['GET', `/api/files/${id}/content`], ['DELETE', `/api/files/${id}`],
            ['GET', `/api/files?instance=${apps.hosts.instance.id}`], ['GET', `/api/files?plugin=${apps.hosts.plugin.id}`]]) {
            const answer = await server.api(method, where, undefined, { token });
            assert.equal(answer.status, 404, `${method} ${where}`);
            assert.ok(!answer.text.includes('mine') && answer.headers.location === undefined);
        }
        assert.deepEqual((await server.api('GET', '/api/files', undefined, { token })).json.data, []);
        assert.equal((await server.api('GET', `/api/files/${id}`)).status, 200);
        assert.equal((await server.api('GET', `/api/files/${id}`, undefined, { token: null })).status, 401);
    });
});

// --- the command line ---

describe('stoa files', () => {
    const ENV = { PATH: process.env.PATH, ASAN_OPTIONS: 'exitcode=99', UBSAN_OPTIONS: 'halt_on_error=1' };
    let home;
    let app;
    before(async () => {
        home = temporaryDirectory('cli');
        app = await deploy(servers.paths, 'told');
    });
    function stoa(args, { cwd = home, input, env = { STOA_URL: servers.paths.console, STOA_TOKEN: servers.paths.token } } = {}) {
        const child = spawn(servers.paths.stoaBin, args, { cwd, env: { ...ENV, HOME: home, ...env } });
        const parts = [];
        let err = '';
        child.stdout.on('data', (part) => parts.push(part));
        child.stderr.setEncoding('utf8').on('data', (part) => { err += part; });
        child.stdin.end(input);
        return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code: code ?? signal, bytes: Buffer.concat(parts), out: Buffer.concat(parts).toString(), err })));
    }
    async function ok(args, options) {
        const ran = await stoa(args, options);
        assert.equal(ran.code, 0, `stoa ${args.join(' ')}\n${ran.out}${ran.err}`);
        return ran;
    }

    test('a table, its names made safe for a terminal', async () => {
        assert.match((await ok(['files', 'told'])).err, /no such files yet/);
        const bad = 'in\u202evoice\u009b2J.txt';
        const id = keep(servers.paths, app, 'abc', { filename: bad });
        const photo = keep(servers.paths, app, PNG, { filename: 'photo.png', mime: 'image/png', source: 'handler' });
        const { out } = await ok(['files', 'told']);
        assert.match(out, /^ID +NAME +TYPE +SIZE +WHEN +FROM\n/);
        assert.match(out, new RegExp(`${id}  in\\\\u\\{202e\\}voice\\\\u\\{009b\\}2J\\.txt +text/plain +3 B +just now +visitor\\n`, 'i'));
        assert.match(out, new RegExp(`${photo}  photo\\.png +image/png +${PNG.length} B +just now +handler\\n`));
        assert.equal((await ok(['files', app.instance.slug])).out.split('\n').length, out.split('\n').length);
        assert.equal((await ok(['files', 'told', '--type', 'image/*', '--quiet'])).out, `${photo}\n`);
        assert.equal(JSON.parse((await ok(['files', 'told', '--json'])).out).data.length, 2);
        const half = await stoa(['files', 'told', '--type', 'image']);
        assert.deepEqual([half.code, half.out], [2, ''], 'not an empty list');
        assert.match(half.err, /such as image\/png/);
        const absent = await stoa(['files', 'absent']);
        assert.equal(absent.code, 3);
        assert.match(absent.err, /no app "absent"/);
    });

    test('more than a page of them are all there', async () => {
        const many = await deploy(servers.paths, 'many');
        for (let i = 0; i < 3; ++i) keep(servers.paths, many, `${i}`);
        servers.paths.database.query(`insert into files select 'file_' || lpad(n::text, 26, '0'), project_id, plugin_id, instance_id, instance_slug, owner_id, source, filename, original_filename,
            mime, sha256, size, visitor, request_id from files, generate_series(1, 120) n where id = (select min(id) from files where plugin_id = '${many.plugin.id}')`);
        assert.equal((await ok(['files', 'many', '-q'])).out.trim().split('\n').length, 123);
    });

    test('--get saves under its own name and never over another', async () => {
        const id = keep(servers.paths, app, 'the bytes', { filename: 'a b.txt' });
        const cwd = temporaryDirectory('get');
        assert.match((await ok(['files', 'told', '--get', id], { cwd })).out, /^a b\.txt, 9 B\n$/);
        assert.equal((await ok(['files', 'told', '--get', id, '-q'], { cwd })).out, 'a b (1).txt\n');
        assert.equal(JSON.parse((await ok(['files', 'told', '--get', id, '--json'], { cwd })).out).file, 'a b (2).txt');
        assert.deepEqual(fs.readdirSync(cwd).sort(), ['a b (1).txt', 'a b (2).txt', 'a b.txt']);
        assert.equal(fs.readFileSync(path.join(cwd, 'a b (2).txt'), 'utf8'), 'the bytes');
        assert.equal((await ok(['files', 'told', '--get', id, '--output', '-'], { cwd })).out, 'the bytes');
        fs.writeFileSync(path.join(cwd, 'mine'), 'mine');
        const refused = await stoa(['files', 'told', '--get', id, '-o', 'mine'], { cwd });
        assert.equal(refused.code, 7);
        assert.equal(fs.readFileSync(path.join(cwd, 'mine'), 'utf8'), 'mine');
        const nowhere = await stoa(['files', 'told', '--get', id, '-o', 'no/mine'], { cwd });
        assert.deepEqual([nowhere.code, nowhere.err], [7, 'stoa: no/mine: No such file or directory.\n']);
        await ok(['files', 'told', '--get', id, '-o', 'mine', '--force'], { cwd });
        assert.equal(fs.readFileSync(path.join(cwd, 'mine'), 'utf8'), 'the bytes');
        assert.deepEqual(fs.readdirSync(cwd).filter((n) => n.endsWith('.part')), []);
        const large = crypto.randomBytes(3 * 1024 * 1024);
        const big = keep(servers.paths, app, large, { filename: 'big.zip', mime: 'application/zip' });
        await ok(['files', 'told', '--get', big], { cwd });
        assert.ok(fs.readFileSync(path.join(cwd, 'big.zip')).equals(large));
    });

    test('a stranger\'s name hides nothing, leads nowhere and is no option', async () => {
        for (const [filename, saved] of [['.bashrc', '_bashrc'], ['../../x', '_._.._x'], ['-rf', '_rf'], ['~root', '_root'], ['a/b', 'a_b'], ['a\u202eb\u001b[2Jc', 'a_b_[2Jc'], ['..', '_.']]) {
            const cwd = temporaryDirectory('names');
            const id = keep(servers.paths, app, filename, { filename });
            await ok(['files', 'told', '--get', id], { cwd });
            assert.deepEqual(fs.readdirSync(cwd), [saved]);
        }
    });

    test('what did not come as it was kept is not kept here', async () => {
        const cwd = temporaryDirectory('damaged');
        const liar = http.createServer((asked, answer) => {
            if (asked.url.startsWith('/api/')) {
                assert.equal(asked.headers.authorization, `Bearer ${servers.paths.token}`);
                answer.setHeader('content-type', 'application/json').end(JSON.stringify({ id: 'file_1', instanceSlug: 'told', filename: 'a', size: 5, sha256: '0'.repeat(64), url: `http://127.0.0.1:${liar.address().port}/files/file_1/a` }));
            } else {
                assert.equal(asked.headers.authorization, undefined, 'no token goes where the bytes are');
                answer.end('other');
            }
        });
        await new Promise((done) => { liar.listen(0, '127.0.0.1', done); });
        const ran = await stoa(['files', 'told', '--get', 'file_1', '--url', `http://127.0.0.1:${liar.address().port}`], { cwd, env: { STOA_TOKEN: servers.paths.token } });
        liar.close();
        assert.match(ran.err, /did not come as it was kept/);
        assert.equal(ran.code, 5);
        assert.deepEqual(fs.readdirSync(cwd), []);
    });

    test('a server that leads in a circle is left in the end', async () => {
        let asked = 0;
        let answer = () => [404, { error: true, code: 'plugin_not_found', message: 'No such app.', requestId: 'r' }];
        const liar = http.createServer((_, reply) => {
            const [status, body] = answer();
            reply.writeHead(++asked < 3000 ? status : 500, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        });
        await new Promise((done) => { liar.listen(0, '127.0.0.1', done); });
        const list = () => stoa(['files', 'told', '--url', `http://127.0.0.1:${liar.address().port}`], { env: { STOA_TOKEN: servers.paths.token } });
        assert.notEqual((await list()).code, 0);
        assert.equal(asked, 2); // as an app, as an instance
        asked = 0;
        answer = () => [200, { data: [], next: 'again', previous: null }];
        assert.equal((await list()).code, 0);
        assert.equal(asked, 1000);
        liar.close();
    });

    test('--rm asks, or is told --yes', async () => {
        const id = keep(servers.paths, app, 'to go', { filename: 'go.txt' });
        assert.equal((await stoa(['files', 'told', '--rm', id])).code, 2);
        assert.match((await ok(['files', 'told', '--rm', id, '--yes'])).out, /^Deleted go\.txt\n$/);
        assert.equal((await stoa(['files', 'told', '--rm', id, '--yes'])).code, 3);
        assert.equal((await stoa(['files', 'told', '--get', id])).code, 3);
        assert.equal((await stoa(['files', 'told', '--get', id, '--rm', id])).code, 2);
        assert.equal((await stoa(['files', 'told', '-o', 'x'])).code, 2);
        assert.equal((await stoa(['files', 'told', 'more'])).code, 2);
    });

    test('a file of another app is not found, so that no wrong word deletes it', async () => {
        await deploy(servers.paths, 'beside');
        const id = keep(servers.paths, app, 'stays', { filename: 'stays.txt' });
        for (const other of ['beside', 'absent']) {
            for (const what of [['--rm', id, '--yes'], ['--get', id]]) {
                const ran = await stoa(['files', other, ...what]);
                assert.deepEqual([ran.code, ran.out], [3, ''], what[0]);
                assert.match(ran.err, new RegExp(`"${other}" has no such file`));
            }
        }
        for (const name of ['told', app.plugin.id, app.instance.slug, app.instance.id])
            assert.equal((await ok(['files', name, '--get', id, '-o', '-'])).out, 'stays');
    });

    test('delete says what an app holds, and how to say what becomes of it', async () => {
        const full = await deploy(servers.paths, 'full');
        for (const bytes of ['one', 'three']) keep(servers.paths, full, bytes);
        assert.equal((await ok(['delete', 'full', '--dry-run'])).out, 'Would delete "full", which has 2 uploads (8 B)\n');
        const refused = await stoa(['delete', 'full', '--yes']);
        assert.deepEqual([refused.code, refused.err], [6, 'stoa: "full" has 2 uploads (8 B). Give --keep-data or --delete-data; what is deleted is gone.\n']);
        const told = await stoa(['delete', 'full', '--yes', '--json']);
        assert.deepEqual([JSON.parse(told.out).code, JSON.parse(told.out).details.data.uploads.count], ['has_data', 2]);
        assert.equal((await ok(['delete', 'full', '--yes', '--delete-data'])).out, 'Deleted "full"\n');
    });

    test('without an app, all files; what was kept of a deleted one is still its owner\'s', async () => {
        const gone = await deploy(servers.paths, 'gone');
        const id = keep(servers.paths, gone, 'kept', { filename: 'kept.txt' });
        await ok(['delete', 'gone', '--yes', '--keep-data']);
        assert.equal((await stoa(['files', 'gone'])).code, 3);
        assert.match((await ok(['files'])).out, new RegExp(`^ID .* FROM +APP\n${id}  kept\\.txt .* visitor  ${gone.instance.slug}\n`));
        assert.equal((await ok(['files', '--get', id, '-o', '-'])).out, 'kept');
        assert.equal((await ok(['files', '--rm', id, '--yes'])).out, 'Deleted kept.txt\n');
    });
});

// --- real uploads ---

describe('what was uploaded', () => {
    const CODE = `module.exports = { handler: async (input, context) => {
        const f = await context.files.upload(input.payload.name, input.payload.type, input.payload.base64);
        return { f, url: await context.files.getUrl(f.id) };
    } };`;
    for (const kind of KINDS) {
        test(`${kind}: comes back by its link, as an attachment, and is its owner's`, async () => {
            const server = servers[kind];
            const app = await deploy(server, 'uploaded', { 'index.html': 'x' }, { code: CODE });
            const boundary = 'x'.repeat(20);
            const body = Buffer.concat([Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="pixel.png"\r\nContent-Type: image/png\r\n\r\n`), PNG, Buffer.from(`\r\n--${boundary}--\r\n`)]);
            const host = kind === 'paths' ? new URL(server.apps).host : new URL(app.publicAppUrl).host;
            const sent = await request(server.apps, { path: `/api/public-actions/${app.instance.slug}/upload`, method: 'POST', body,
                headers: { host, 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': body.length } });
            assert.equal(sent.status, 200, sent.text);
            const { fileId, url } = sent.json.data;
            assert.match(url, /&d=attachment$/);
            const answer = await visit(server, url);
            assert.deepEqual([answer.status, answer.headers['content-disposition'].split(';')[0]], [200, 'attachment']);
            assert.deepEqual(answer.body, PNG);
            assertGuarded(answer, kind);
            const mine = (await server.api('GET', `/api/files?instance=${app.instance.id}`)).json.data;
            assert.deepEqual(mine.map((f) => [f.id, f.mimeType, f.source]), [[fileId, 'image/png', 'visitor']]);
            assert.equal((await visit(server, mine[0].url)).headers['content-disposition'].split(';')[0], 'inline');
            // a handler's own, of a type no visitor may send
            const html = Buffer.from('<script>document.title = "ran"</script>');
            const made = await request(server.apps, { path: `/api/public-actions/${app.instance.slug}/make`, method: 'POST',
                body: JSON.stringify({ name: 'page.html', type: 'text/html', base64: html.toString('base64') }), headers: { host, 'content-type': 'application/json' } });
            assert.equal(made.json?.success, true, made.text);
            for (const link of [made.json.data.f.url, made.json.data.url]) {
                const page = await visit(server, link);
                assert.deepEqual([page.status, page.text, page.headers['content-disposition'].split(';')[0]], [200, html.toString(), 'attachment']);
                assertGuarded(page, kind);
            }
            assert.equal((await server.api('DELETE', `/api/files/${fileId}`)).status, 200);
            assert.equal((await visit(server, url)).status, 404);
        });
    }
});

// --- nothing of it runs ---

// What a stranger's bytes would do if they ran, by each way there is to tell.
const EMPTY = '<!doctype html><link rel="icon" href="data:,"><title>home</title><body>';
const marked = (bytes, name) => (typeof bytes === 'string' ? bytes.replaceAll('RAN', `RAN:${name}`) : Buffer.from(bytes.toString('latin1').replaceAll('RAN', `RAN:${name}`), 'latin1'));
const RUN = 'try{self.document&&(document.title="RAN")}catch(e){}try{self.postMessage("RAN","*")}catch(e){try{self.postMessage("RAN")}catch(f){}}try{parent.postMessage("RAN","*")}catch(e){}'
    + 'try{opener.postMessage("RAN","*")}catch(e){}try{console.log("RAN")}catch(e){}';
const HTML = `<!doctype html><title>x</title><body onload="${RUN.replaceAll('"', "'")}"><img src=x onerror="${RUN.replaceAll('"', "'")}"><script>${RUN}</script>`;
const XHTML = `<html xmlns="http://www.w3.org/1999/xhtml"><body><script><![CDATA[${RUN}]]></script></body></html>`;
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="${RUN.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"><script><![CDATA[${RUN}]]></script></svg>`;
const XSLT = `<?xml version="1.0"?><?xml-stylesheet type="text/xml" href="#s"?><!DOCTYPE d [<!ATTLIST xsl:stylesheet id ID #IMPLIED>]><d><xsl:stylesheet id="s" version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">`
    + `<xsl:template match="/"><html><body><script>${RUN.replaceAll('&', '&amp;')}</script></body></html></xsl:template></xsl:stylesheet></d>`;
const STYLE = '#probe { color: rgb(1, 2, 3) !important }';
const PDF = '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert("RAN"))>>>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>';
const PAYLOADS = {
    html: ['text/html', HTML], xhtml: ['application/xhtml+xml', XHTML], svg: ['image/svg+xml', SVG], xml: ['application/xml', XSLT], 'text-xml': ['text/xml', XHTML],
    pdf: ['application/pdf', PDF], js: ['text/javascript', RUN], mjs: ['application/javascript', RUN], css: ['text/css', STYLE], txt: ['text/plain', HTML], 'txt-js': ['text/plain', RUN],
    csv: ['text/csv', RUN], json: ['application/json', RUN], gif: ['image/gif', `GIF89a/*${HTML.replaceAll('*/', '')}*/=1;${RUN}`], png: ['image/png', Buffer.concat([PNG, Buffer.from(HTML)])],
    wav: ['audio/wav', `RIFF=1;/*.WAVE${'.'.repeat(8)}*/${RUN}`], zip: ['application/zip', `PK${HTML}`], bytes: ['application/octet-stream', HTML], mystery: ['application/x-unheard-of', RUN],
};

// Takes files into a page in every way there is, all of them at once, and says what came of it: words of what ran.
const PROBE = `async (urls, patience) => {
    const seen = [];
    addEventListener('message', (e) => { if (/^RAN/.test(e.data)) seen.push(e.data + (e.source === window ? ' page' : ' frame')); });
    document.body.innerHTML = '<p id="probe">probe</p>';
    const put = (tag, values) => new Promise((done) => {
        const made = Object.assign(document.createElement(tag), values);
        made.onload = made.onerror = done;
        setTimeout(done, patience);
        document.body.append(made);
    });
    await Promise.all(urls.flatMap((url) => {
        for (const [name, make] of [['worker', () => new Worker(url)], ['module worker', () => new Worker(url, { type: 'module' })],
            ['imported', () => new Worker(URL.createObjectURL(new Blob(['importScripts(' + JSON.stringify(url) + ')'], { type: 'text/javascript' })))]]) {
            try { make().onmessage = (e) => { if (/^RAN/.test(e.data)) seen.push(e.data + ' ' + name); }; } catch (e) { /* refused */ }
        }
        return [put('script', { src: url }), put('script', { src: url, type: 'module' }), put('iframe', { src: url }), put('iframe', { src: url, sandbox: 'allow-scripts' }),
            put('object', { data: url }), put('object', { data: url, type: 'text/html' }), put('embed', { src: url }), put('embed', { src: url, type: 'image/svg+xml' }),
            put('link', { rel: 'stylesheet', href: url }), put('img', { src: url }), put('video', { src: url }), put('audio', { src: url }),
            import(url).then(() => seen.push('RAN import ' + url), () => {}),
            navigator.serviceWorker.register(url).then(() => seen.push('RAN service worker ' + url), () => {})];
    }));
    await new Promise((done) => setTimeout(done, patience / 2));
    if (getComputedStyle(document.getElementById('probe')).color === 'rgb(1, 2, 3)') seen.push('RAN style');
    if (/^RAN/.test(document.title)) seen.push(document.title + ' title');
    return seen;
}`;

/** Tries files inside of the app's page and at the top. Gives all that ran. */
async function attack(home, urls) {
    const context = await browser.browser.newContext({ acceptDownloads: false });
    const page = await context.newPage();
    const ran = [];
    const listen = (p) => {
        p.on('console', (message) => { if (/^RAN/.test(message.text())) ran.push(`${message.text()} console`); });
        p.on('dialog', (dialog) => { ran.push('RAN dialog'); dialog.dismiss(); });
    };
    listen(page);
    await page.goto(home);
    ran.push(...await page.evaluate(`(${PROBE})(${JSON.stringify(urls)}, ${1000 * slowness()})`));
    const top = await context.newPage();
    listen(top);
    for (const url of urls) {
        await top.goto(url).catch(() => {}); // a download ends the navigation
        if (/^RAN/.test(await top.title())) ran.push(`${await top.title()} top`);
    }
    await context.close();
    return [...new Set(ran)];
}

describe('in Chromium', () => {
    test('the attacks work where nothing stands against them', async () => {
        const PAGES = Object.fromEntries([['html', HTML], ['js', RUN], ['svg', SVG], ['css', STYLE], ['xhtml', XHTML], ['xml', XSLT]].map(([name, bytes]) => [`evil.${name}`, marked(bytes, name)]));
        const app = await deploy(servers.hosts, 'victim', { 'index.html': EMPTY, ...PAGES });
        const found = await attack(app.publicAppUrl, Object.keys(PAGES).map((name) => new URL(name, app.publicAppUrl).href));
        const wanted = { html: ['frame', 'top', 'console'], js: ['page', 'worker', 'imported', 'module worker'], svg: ['frame', 'console'], xhtml: ['frame'], xml: ['frame'] };
        for (const [name, ways] of Object.entries(wanted)) for (const way of ways) assert.ok(found.includes(`RAN:${name} ${way}`), `${name} by ${way}: ${found.join(', ')}`);
        for (const way of [/^RAN import .*evil\.js$/, /^RAN service worker .*evil\.js$/, /^RAN style$/, /^RAN.* title$/]) assert.ok(found.some((f) => way.test(f)), `${way}: ${found.join(', ')}`);
    });
    for (const kind of KINDS) {
        // instances' own hosts are where scripts would find the most: the other origins are looked at with --full
        const skip = kind !== 'hosts' && process.env.STOA_FULL !== '1' && 'only with --full, on this kind of origin';
        test(`${kind}: no type runs, in whatever way it is taken`, { skip }, async () => {
            const server = servers[kind];
            const home = await deploy(server, 'stage', { 'index.html': EMPTY });
            const links = [];
            for (const [name, [mime, bytes]] of Object.entries(PAYLOADS)) {
                const id = keep(server, home, marked(bytes, name), { filename: `evil.${name}`, mime, source: 'handler' });
                links.push(await linkTo(server, id));
                if (/^(image|audio|text\/plain)/.test(mime)) links.push(await linkTo(server, id, 'content'));
            }
            assert.deepEqual(await attack(home.publicAppUrl, links), []);
        });
    }
    test('a picture is shown where it may be, its page reads it, and no link leaks where it leads', async () => {
        const server = servers.files;
        const home = await deploy(server, 'album', { 'index.html': '<!doctype html><link rel="icon" href="data:,"><title>home</title><body>' });
        const link = await linkTo(server, keep(server, home, PNG, { filename: 'a.png', mime: 'image/png' }));
        const opened = await browser.open(home.publicAppUrl);
        const width = await opened.page.evaluate((url) => new Promise((done) => {
            const image = new Image();
            image.onload = () => done(image.naturalWidth);
            image.onerror = () => done(0);
            image.src = url;
        }), link);
        assert.equal(width, 1);
        assert.deepEqual(opened.errors, []);
        const page = await opened.context.newPage();
        const answer = await page.goto(link.replace('sig=', 'sig=A'));
        assert.equal(answer.status(), 403);
        assert.match(await page.textContent('p'), /This link is not valid\./);
        await opened.context.close();
    });
});
