// Files from strangers as they are judged and kept (contract §5): types, forms, names, quotas; and what a crash, a full disk and an absent
// database leave of them. Who may send, and what a plugin makes of it: upload-actions.test.mjs. How files are given back: links.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { archive, pie } from '../harness/pie.mjs';
import { asUser, postgresPrograms, startCluster } from '../harness/postgres.mjs';
import { mayMount } from '../harness/processes.mjs';
import { request, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const BOUNDARY = 'edge-of-a-part';
const SETTINGS = { trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For', uploads_per_hour: '1000000', upload_bytes_per_hour: '1024GiB', shared_origin: 'accepted' };

let address = 0;
const visitor = () => `198.18.${Math.floor(++address / 250) % 250}.${address % 250 + 1}`; // each call a visitor of its own
const part = (head, body) => Buffer.concat([Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`), Buffer.from(body), Buffer.from('\r\n')]);
const file = (name, content, type) => part(`name="file"; filename="${name}"${type === undefined ? '' : `\r\nContent-Type: ${type}`}`, content);
const field = (name, value) => part(`name="${name}"`, value);
const form = (...parts) => Buffer.concat([...parts, Buffer.from(`--${BOUNDARY}--\r\n`)]);

function sendTo(server, slug, body, { headers = {}, ...more } = {}) {
    return request(`${server.apps}/api/public-actions/${slug}/upload`, {
        method: 'POST', body, ...more,
        headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, 'content-length': body.length, 'x-forwarded-for': visitor(), ...headers },
    });
}
async function deployTo(server, name, code) {
    const made = await server.api('POST', '/api/plugins/import', pie(name, { 'index.html': '<title>app</title>' }, code ? { code } : {}));
    assert.equal(made.status, 201, made.text);
    return made.json;
}
const filesOf = async (server, made) => (await server.api('GET', `/api/files?instance=${made.instance.id}&limit=100`)).json.data;
const blobsOf = (server) => execFileSync('find', [path.join(server.dataDir, 'blobs'), '-type', 'f'], { encoding: 'utf8' }).split('\n').filter(Boolean);
const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

// --- small real files ---

const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const gif = Buffer.from('R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64');
const jpeg = Buffer.from('/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA=', 'base64');
const webp = Buffer.from('UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA', 'base64');
const pdf = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');
const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><rect width="1" height="1"/></svg>');
const bmp = Buffer.concat([Buffer.from('424d3a0000000000000036000000280000000100000001000000010018000000000004000000130b0000130b00000000000000000000', 'hex'), Buffer.from('00ff0000', 'hex')]);
const wav = Buffer.concat([Buffer.from('RIFF'), Buffer.from('24080000', 'hex'), Buffer.from('WAVEfmt '), Buffer.from('100000000100010044ac000088580100020010006461746100080000', 'hex'), Buffer.alloc(2048)]);
const mp3 = Buffer.concat([Buffer.from('ID3\x03\x00\x00\x00\x00\x00\x0a', 'latin1'), Buffer.alloc(10), ...Array(4).fill(Buffer.concat([Buffer.from('fffb9064', 'hex'), Buffer.alloc(413)]))]);
const flac = Buffer.concat([Buffer.from('fLaC'), Buffer.from('80000022', 'hex'), Buffer.from('1000100000000000000000ac4400f000000000', 'hex'), Buffer.alloc(15)]);
const mp4 = Buffer.concat([Buffer.from('0000001866747970', 'hex'), Buffer.from('isom'), Buffer.from('00000200', 'hex'), Buffer.from('isommp41'), Buffer.from('000000086d646174', 'hex')]);
const csv = Buffer.from('name,value\nAlice,100\nBob,200\n');
const zip = archive({ 'a.txt': 'a', 'b/c.txt': 'c' }, 'zip');
const docx = archive({
    '[Content_Types].xml': '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
    '_rels/.rels': '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
    'word/document.xml': '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body/></w:document>',
}, 'zip');
const odt = (() => {
    const folder = temporaryDirectory('odt');
    fs.writeFileSync(path.join(folder, 'mimetype'), 'application/vnd.oasis.opendocument.text');
    fs.writeFileSync(path.join(folder, 'content.xml'), '<?xml version="1.0"?><o:document-content xmlns:o="urn:oasis:names:tc:opendocument:xmlns:office:1.0"/>');
    execFileSync('zip', ['-qX0', '../made.odt', 'mimetype'], { cwd: folder });
    execFileSync('zip', ['-qX', '../made.odt', 'content.xml'], { cwd: folder });
    return fs.readFileSync(path.join(folder, '../made.odt'));
})();
const tarball = archive({ 'a.txt': 'a' }, 'tar.gz');
const program = fs.readFileSync('/bin/true');

describe('one server', () => {
    let server;
    let app;
    let send;
    before(async () => {
        server = await startServer({ settings: { ...SETTINGS, upload_quota_bytes: '200MiB' }, expectErrors: [/the server ended/] });
        app = await deployTo(server, 'intake');
        send = (...parts) => sendTo(server, app.instance.slug, form(...parts));
    });
    after(() => server?.stop());

    test('what is kept: by content and name, named and typed by our own table', async (t) => {
        const rows = [
            ['photo.png', png, 'image/png', 'image/png'], ['photo.PNG', png, 'application/octet-stream', 'image/png'], ['a.gif', gif, undefined, 'image/gif'],
            ['a.jpg', jpeg, 'image/jpeg', 'image/jpeg'], ['a.webp', webp, 'image/webp', 'image/webp'], ['a.bmp', bmp, 'image/bmp', 'image/bmp'],
            ['a.svg', svg, 'image/svg+xml', 'image/svg+xml'], ['a.pdf', pdf, 'application/pdf', 'application/pdf'],
            ['a.csv', csv, 'application/vnd.ms-excel', 'text/csv'], ['a.txt', Buffer.from('x'), 'text/plain', 'text/plain'],
            ['a.md', Buffer.from('# Title\n\nwords\n'), 'text/markdown', 'text/markdown'], ['a.yaml', Buffer.from('a: 1\nb: [2]\n'), '', 'text/yaml'],
            ['a.json', Buffer.from('{"a":1}'), 'application/json', 'application/json'], ['a.xml', Buffer.from('<?xml version="1.0"?><a/>'), 'text/xml', 'application/xml'],
            ['bare.xml', Buffer.from('<a/>'), 'text/xml', 'application/xml'], ['readme.md', Buffer.from('<!-- note -->\n# Title\n'), '', 'text/markdown'],
            ['bold.txt', Buffer.from('<b>bold</b> words\n'), 'text/plain', 'text/plain'],
            ['a.wav', wav, 'audio/wav', 'audio/wav'], ['a.mp3', mp3, 'audio/mpeg', 'audio/mpeg'], ['a.flac', flac, 'audio/flac', 'audio/flac'],
            ['a.mp4', mp4, 'video/mp4', 'video/mp4'], ['a.zip', zip, 'application/x-zip-compressed', 'application/zip'],
            ['a.docx', docx, undefined, 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
            ['a.odt', odt, undefined, 'application/vnd.oasis.opendocument.text'],
            ['photo.jpg', png, 'image/jpeg', 'image/png', 'photo.png'], ['photo', gif, undefined, 'image/gif', 'photo.gif'],
            ['notes', Buffer.from('some words\n'), undefined, 'text/plain', 'notes.txt'],
        ];
        for (const [name, bytes, declared, mime, becomes = name] of rows) {
            await t.test(`${name} sent as ${declared}`, async () => {
                const answer = await send(file(name, bytes, declared === '' ? undefined : declared));
                assert.equal(answer.status, 200, answer.text);
                assert.deepEqual(Object.keys(answer.json.data).sort(), ['fileId', 'filename', 'mimeType', 'sha256', 'size', 'url']);
                const { data } = answer.json;
                assert.deepEqual([data.filename, data.mimeType, data.size, data.sha256], [becomes, mime, bytes.length, sha256(bytes)]);
                const back = await request(data.url);
                assert.equal(back.status, 200, back.text);
                assert.ok(back.body.equals(bytes));
                assert.match(back.headers['content-disposition'], /^attachment/); // what an anonymous uploader is given
            });
        }
    });

    test('what is not: 415, what was seen, and a sentence', async (t) => {
        const polyglot = Buffer.concat([Buffer.from('GIF89a'), Buffer.from('/*'), Buffer.from('<script>alert(1)</script>'), Buffer.from('*/=1;')]);
        const rows = [
            ['page.html', '<!doctype html><title>x</title>', 'text/html', 'type_not_allowed', /\.html/],
            ['page.txt', '<!doctype html><title>x</title><script>alert(1)</script>', 'text/plain', 'type_not_allowed'],
            ['bold', '<b>bold</b>', undefined, 'type_not_allowed', /web page/], ['a.md', '<b>x</b><iframe src="//a">', undefined, 'type_not_allowed', /web page/],
            ['a.xml', '<a onload="x()"/>', 'text/xml', 'type_not_allowed', /web page/],
            ['a.js', 'alert(1)', 'text/javascript', 'type_not_allowed', /\.js/], ['a.sh', '#!/bin/sh\necho\n', undefined, 'type_not_allowed'],
            ['a.txt', '#!/bin/sh\necho\n', 'text/plain', 'type_not_allowed'], ['a.php', '<?php echo 1;', undefined, 'type_not_allowed'],
            ['photo.jpg.html', jpeg, 'image/jpeg', 'type_not_allowed', /\.html/], ['invoice.pdf.exe', pdf, 'application/pdf', 'type_not_allowed', /\.exe/],
            ['invoice.pdf', program, 'application/pdf', 'type_not_allowed', /program/], ['program', program, undefined, 'type_not_allowed', /program/],
            ['.htaccess', 'Options +ExecCGI\n', undefined, 'type_not_allowed', /\.htaccess/], ['a.tar.gz', tarball, undefined, 'type_not_allowed'],
            ['a.zip', tarball, 'application/zip', 'type_not_allowed', /archive/], ['a.gif', polyglot, 'image/gif', 'type_not_allowed'],
            ['a.unheardof', 'words', undefined, 'type_not_allowed', /\.unheardof/],
            ['scan.pdf', png, 'application/pdf', 'type_mismatch', /^This is a PNG image, but its name ends in \.pdf\.$/],
            ['a.svg', png, 'image/svg+xml', 'type_mismatch'], ['a.png', svg, 'image/png', 'type_mismatch', /SVG/],
            ['a.png', csv, 'image/png', 'type_mismatch'], ['a.docx', zip, undefined, 'type_mismatch', /zip archive/],
            ['a.png', png, 'text/html', 'type_mismatch'], ['a.png', png, 'image/svg+xml', 'type_mismatch'],
        ];
        const before_ = (await filesOf(server, app)).length;
        for (const [name, bytes, declared, code, sentence = /./] of rows) {
            await t.test(`${name} sent as ${declared}`, async () => {
                const answer = await send(file(name, bytes, declared));
                assert.deepEqual([answer.status, answer.json.code], [415, code], answer.text);
                assert.match(answer.json.message, sentence);
                assert.deepEqual(Object.keys(answer.json.details).sort(), ['declared', 'expected', 'extension', 'seen']);
            });
        }
        assert.equal((await filesOf(server, app)).length, before_);
    });

    test('forms that are none, or hold not exactly one file', async (t) => {
        const good = file('a.txt', 'a');
        const rows = [
            ['nothing', Buffer.alloc(0), 400, 'invalid_multipart'], ['no form', Buffer.from('hello'), 400, 'invalid_multipart'],
            ['no last boundary', Buffer.concat([good]), 400, 'invalid_multipart'], ['no file', form(field('a', '1')), 422, 'no_file'],
            ['two files', form(good, good), 422, 'too_many_files'], ['an empty file', form(file('a.txt', '')), 422, 'empty_file'],
            ['none chosen', form(file('', '')), 422, 'empty_file'], ['21 fields', form(...Array(21).fill(field('a', '1')), good), 422, 'too_many_fields'],
            ['a field over 8 KiB', form(field('a', 'x'.repeat(8193)), good), 413, 'field_too_large'],
            ['a field that is no UTF-8', form(field('a', Buffer.from([0xff])), good), 400, 'invalid_multipart'],
            ['a file over 10 MiB', form(file('a.txt', Buffer.alloc((10 << 20) + 1, 'x'))), 413, 'file_too_large'],
            ['lines that end with LF', Buffer.from(form(good).toString('latin1').replaceAll('\r\n', '\n'), 'latin1'), 400, 'invalid_multipart'],
            ['two dispositions', form(part('name="f"; filename="a.txt"\r\nContent-Disposition: form-data; name="g"', 'x')), 400, 'invalid_multipart'],
            ['a form within', form(file('a.txt', 'x', 'multipart/mixed; boundary=y')), 400, 'invalid_multipart'],
        ];
        for (const [name, body, status, code] of rows) {
            await t.test(name, async () => {
                const answer = await sendTo(server, app.instance.slug, body);
                assert.deepEqual([answer.status, answer.json?.code], [status, code], answer.text);
                assert.ok(answer.json.error && answer.json.message && answer.json.requestId);
            });
        }
        await t.test('no boundary', async () => {
            const answer = await sendTo(server, app.instance.slug, form(good), { headers: { 'content-type': 'multipart/form-data' } });
            assert.deepEqual([answer.status, answer.json.code], [400, 'invalid_multipart']);
        });
    });

    test('10 MiB to the byte, and 20 fields of 8 KiB', async () => {
        const bytes = Buffer.alloc(10 << 20, 'x');
        const answer = await send(...Array.from({ length: 20 }, (_, i) => field(`f${i}`, 'y'.repeat(8192))), file('most.txt', bytes));
        assert.deepEqual([answer.status, answer.json.data?.size], [200, bytes.length], answer.text);
        assert.ok((await request(answer.json.data.url)).body.equals(bytes));
    });

    test('names as they are sent and as they are kept', async (t) => {
        const rows = [
            ['filename="Räksmörgås 📷.png"', 'Räksmörgås 📷.png'], ['filename="写真.png"', '写真.png'], ["filename*=UTF-8''na%C3%AFve.png", 'naïve.png'],
            ['filename="say %22hi%22.png"', 'say "hi".png'], ['filename="../../etc/passwd.png"', 'passwd.png'], ['filename="C:\\\\Users\\\\me\\\\a.png"', 'a.png'],
            ['filename=".png"', 'file.png'], ['filename="a.png. ."', 'a.png'], ['filename="..."', undefined], [`filename="${'n'.repeat(251)}.png"`, `${'n'.repeat(251)}.png`],
        ];
        for (const [head, kept] of rows) {
            await t.test(head.slice(0, 40), async () => {
                const answer = await send(part(`name="file"; ${head}`, png));
                assert.equal(answer.status, 200, answer.text);
                if (kept) assert.equal(answer.json.data.filename, kept);
                assert.match(answer.json.data.filename, /\.png$/);
                const back = await request(answer.json.data.url);
                assert.equal(back.status, 200);
                assert.ok(!/[\r\n]/.test(back.headers['content-disposition']));
            });
        }
    });

    test('images lose their metadata where the owner says so, and keep it where not', async () => {
        const crc = (bytes) => ~bytes.reduce((sum, byte) => { // PNG, annex D
            for (let c = (sum ^ byte) & 0xff, i = 0; ; c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1) if (++i === 9) return c ^ (sum >>> 8);
        }, -1);
        const chunk = (type, text) => {
            const [size, sum, body] = [Buffer.alloc(4), Buffer.alloc(4), Buffer.from(type + text, 'latin1')];
            size.writeUInt32BE(text.length);
            sum.writeInt32BE(crc(body) | 0);
            return Buffer.concat([size, body, sum]);
        };
        const bytes = Buffer.concat([png.subarray(0, 33), chunk('tEXt', 'Comment\0where I live'), png.subarray(33)]);
        const made = await deployTo(server, 'strips');
        const back = async () => {
            const answer = await sendTo(server, made.instance.slug, form(file('a.png', bytes)));
            assert.equal(answer.status, 200, answer.text);
            const { body } = await request(answer.json.data.url);
            assert.deepEqual([body.length, sha256(body)], [answer.json.data.size, answer.json.data.sha256]);
            return body;
        };
        assert.ok((await back()).equals(bytes));
        const set = await server.api('PATCH', `/api/public-apps/instances/${made.instance.id}`, { uploads: { stripImageMetadata: true } });
        assert.equal(set.status, 200, set.text);
        const cleaned = await until(async () => { const b = await back(); return !b.equals(bytes) && b; }, 'the setting');
        assert.ok(!cleaned.includes('where I live') && cleaned.subarray(0, 4).equals(png.subarray(0, 4)));
    });

    test('the same bytes are one blob and two files', async () => {
        const bytes = crypto.randomBytes(500).toString('hex');
        const first = await send(file('one.txt', bytes));
        const blobs = blobsOf(server).length;
        const second = await send(file('two.txt', bytes));
        assert.notEqual(first.json.data.fileId, second.json.data.fileId);
        assert.equal(blobsOf(server).length, blobs);
        assert.equal((await server.api('DELETE', `/api/files/${first.json.data.fileId}`)).status, 200);
        assert.equal((await request(second.json.data.url)).text, bytes);
    });

    test('many at once are all kept, each with its own bytes', async () => {
        const sent = await Promise.all(Array.from({ length: 40 }, async (_, i) => {
            const bytes = crypto.randomBytes(5000 + i).toString('hex');
            const answer = await send(field('n', String(i)), file(`many-${i}.txt`, bytes));
            assert.equal(answer.status, 200, answer.text);
            return { bytes, url: answer.json.data.url };
        }));
        for (const { bytes, url } of sent) assert.equal((await request(url)).text, bytes);
    });

    test('a plugin goes with its files, or leaves them', async () => {
        const [going, staying] = [await deployTo(server, 'going'), await deployTo(server, 'staying')];
        const [gone, stays] = await Promise.all([going, staying].map(async (made) => (await sendTo(server, made.instance.slug, form(file('a.txt', 'mine')))).json.data.fileId));
        const asked = await server.api('DELETE', `/api/plugins/${going.plugin.id}`);
        assert.deepEqual([asked.status, asked.json.code], [409, 'has_data'], asked.text);
        const what = await server.api('DELETE', `/api/plugins/${going.plugin.id}?dryRun=true`);
        assert.deepEqual(what.json.data?.uploads ?? what.json.uploads, { count: 1, bytes: 4 }, what.text);
        assert.equal((await server.api('DELETE', `/api/plugins/${going.plugin.id}?data=delete`)).status, 200);
        assert.equal((await server.api('GET', `/api/files/${gone}`)).status, 404);
        assert.equal((await server.api('DELETE', `/api/plugins/${staying.plugin.id}?data=keep`)).status, 200);
        assert.equal((await server.api('GET', `/api/files/${stays}`)).status, 200);
    });

    test('what became of uploads is counted', async () => {
        const { text } = await request(`${server.admin}/metrics`);
        const count = (outcome) => Number(new RegExp(`stoa_uploads_total\\{source="visitor",outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1]);
        for (const outcome of ['stored', 'invalid', 'type', 'too_large']) assert.ok(count(outcome) > 0, `${outcome}: ${text}`);
        assert.equal(count('failed'), 0);
    });

    test('kill -9 while files come in: what was promised is there, and what is there is whole', async () => {
        const promised = new Map();
        let going = true;
        const write = async () => {
            while (going) {
                const bytes = crypto.randomBytes(30000).toString('hex');
                const answer = await sendTo(server, app.instance.slug, form(file('crash.txt', bytes))).catch(() => undefined);
                if (answer?.status === 200) promised.set(answer.json.data.fileId, answer.json.data.sha256);
            }
        };
        const writing = [write(), write(), write(), write()];
        for (let round = 0; round < 3; ++round) {
            const { size } = promised;
            await until(() => promised.size > size + 3, 'some files');
            const pid = server.serverPid;
            process.kill(pid, 'SIGKILL');
            await until(() => server.serverPid !== pid, 'the new server');
        }
        going = false;
        await Promise.all(writing);
        const there = new Map();
        for (let cursor = ''; cursor !== null;) {
            const { json } = await server.api('GET', `/api/files?instance=${app.instance.id}&limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
            json.data.filter((f) => f.filename === 'crash.txt').forEach((f) => there.set(f.id, f));
            cursor = json.next;
        }
        for (const [id, sum] of promised) assert.equal(there.get(id)?.sha256, sum, id);
        for (const f of there.values()) assert.equal(sha256((await request(f.url)).body), f.sha256);
    });
});

describe('a quota', () => {
    let server;
    before(async () => { server = await startServer({ settings: { ...SETTINGS, upload_quota_bytes: '1MiB', upload_quota_files: '3' } }); });
    after(() => server?.stop());

    test('in bytes and in files, over all instances; deleting makes room', async () => {
        const app = await deployTo(server, 'small', "module.exports = { handler: (input, context) => context.files.upload('a.txt', 'text/plain', btoa('x')).catch((e) => ({ code: e.code, message: e.message })) };");
        const other = await server.api('POST', `/api/plugins/${app.plugin.id}/instances`);
        assert.equal(other.status, 201, other.text);
        const send = (bytes, slug = app.instance.slug) => sendTo(server, slug, form(file('a.txt', bytes)));
        const first = await send('x'.repeat(700 << 10));
        const over = await send('x'.repeat(400 << 10), other.json.slug ?? other.json.instance.slug);
        assert.deepEqual([over.status, over.json.code], [507, 'quota_exceeded'], over.text);
        assert.match(over.json.message, /quota/);
        await server.api('DELETE', `/api/files/${first.json.data.fileId}`);
        for (let i = 0; i < 3; ++i) assert.equal((await send(`file ${i}`)).status, 200);
        const fourth = await send('file 4');
        assert.deepEqual([fourth.status, fourth.json.code], [507, 'quota_exceeded'], fourth.text);
        const told = await request(`${server.apps}/api/public-actions/${app.instance.slug}/do`, { method: 'POST', headers: { 'x-forwarded-for': visitor() } });
        assert.equal(told.json.data.code, 'quota_exceeded', told.text);
        assert.match(told.json.data.message, /quota/);
        assert.match((await request(`${server.admin}/metrics`)).text, /stoa_uploads_total\{source="visitor",outcome="quota"\} 2/);
    });
});

describe('a full disk', { skip: !mayMount && 'needs root that may mount' }, () => {
    const dataDir = temporaryDirectory('full');
    let server;
    let app;
    before(async () => {
        // guard leaves 64 MiB of the disk to others
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=124m,mode=755', 'tmpfs', dataDir]);
        server = await startServer({ dataDir, settings: SETTINGS, expectErrors: [/disk|space|storage|request/i] });
        app = await deployTo(server, 'full');
    });
    after(async () => {
        await server?.stop();
        execFileSync('umount', ['-l', dataDir]);
    });

    test('is 507, leaves nothing, and is over when there is room again', async () => {
        const send = (n) => sendTo(server, app.instance.slug, form(file('a.txt', crypto.randomBytes(n >> 1).toString('hex'))));
        const kept = await send(3 << 20);
        assert.equal(kept.status, 200, kept.text);
        const filler = path.join(dataDir, 'filler');
        spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'], { stdio: 'ignore' }); // until there is no room
        for (const size of [30 << 10, 9 << 20]) { // the store's own word, and that of whoever takes large bodies in
            const refused = await send(size);
            assert.deepEqual([refused.status, refused.json.code], [507, 'disk_full'], refused.text);
        }
        assert.equal((await filesOf(server, app)).length, 1);
        assert.equal((await request(kept.json.data.url)).status, 200);
        assert.deepEqual(blobsOf(server).filter((f) => f.includes('/blobs/tmp/')), []);
        fs.rmSync(filler);
        await until(async () => (await send(3 << 20)).status === 200, 'room');
    });
});

describe('without a database', () => {
    const root = temporaryDirectory('files-postgres');
    let cluster;
    let server;
    let app;
    const control = (...args) => spawnSync(`${postgresPrograms()}/pg_ctl`, [...args, '-w', '-D', path.join(root, 'postgres')],
        { cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' }, stdio: 'ignore', ...asUser('postgres') }).status;
    before(async () => {
        cluster = await startCluster(root);
        cluster.query('CREATE DATABASE files OWNER stoa_test; ALTER DATABASE files SET synchronous_commit = on');
        server = await startServer({ database: `postgresql://stoa_test@/files?host=${encodeURIComponent(cluster.socket)}`, settings: SETTINGS, expectErrors: [/database/, /a request failed/] });
        app = await deployTo(server, 'away');
    });
    after(async () => {
        await server?.stop();
        cluster?.stop();
    });

    test('files are refused with 503 and Retry-After, and come again with it', async () => {
        const send = (text) => sendTo(server, app.instance.slug, form(file('a.txt', text)));
        assert.equal((await send('before')).status, 200);
        assert.equal(control('stop', '-m', 'immediate'), 0);
        const refused = await send('meanwhile');
        assert.deepEqual([refused.status, refused.json.code], [503, 'database_unavailable'], refused.text);
        assert.ok(Number(refused.headers['retry-after']) > 0);
        const options = ['listen_addresses=', `unix_socket_directories=${cluster.socket}`, 'fsync=off', 'max_connections=300'].map((o) => `-c ${o}`).join(' ');
        assert.equal(control('start', '-l', path.join(root, 'postgres', 'again.log'), '-o', options), 0);
        await until(async () => (await send('after')).status === 200, 'the database');
        for (const f of await filesOf(server, app)) assert.notEqual(sha256((await request(f.url)).body), sha256('meanwhile'));
    });
});
