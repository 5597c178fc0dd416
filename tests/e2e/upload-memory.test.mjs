// Many large request bodies at once: they stand in files below the data directory, so the server's own memory stays small; what there is no
// room for is told, and those who were there already, or who only look at a page, see nothing of it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const MIB = 1024 * 1024;
const UPLOADS = 200;
const KEPT = process.env.STOA_FULL === '1' ? UPLOADS : 24; // of these: three for each thread that keeps them; the others' senders leave
const MOST = 512 * slowness(); // MiB
const BOUNDARY = 'edge-of-a-part';
const SETTINGS = {
    trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For', uploads_per_hour: 1000000, upload_bytes_per_hour: '1024GiB',
    upload_quota_bytes: '100GiB', upload_quota_files: 1000000, body_timeout: '60s',
};

/** A form with one PDF whose bytes are as many as may be, and random. */
function form(bytes = 10 * MIB - 1000) {
    const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.4\n`;
    return Buffer.concat([Buffer.from(head), crypto.randomBytes(bytes), Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
}

/** What the process holds that no file stands behind, in MiB. */
function memory(pid) {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
    const of = (name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)[1]) / 1024;
    return { own: of('RssAnon') + of('RssShmem'), files: of('RssFile') };
}

/** Looks again and again; stop() gives the most that was seen. */
function watchMemory(pid) {
    const most = { own: 0, files: 0 };
    const timer = setInterval(() => {
        const now = memory(pid);
        most.own = Math.max(most.own, now.own);
        most.files = Math.max(most.files, now.files);
    }, 10);
    return { stop() { clearInterval(timer); return most; } };
}

/** One upload that stops short of its end until release(). `answered` gives {status, text}. */
let address = 0;
function upload(app, body) {
    const { hostname, port, host } = new URL(app.server.apps);
    const socket = net.connect(port, hostname);
    const held = 100;
    let text = '';
    const one = {
        isThere: false, // all but the last bytes are on their way, or it is answered already
        answered: new Promise((resolve) => {
            const done = () => { one.isThere = true; resolve({ status: Number(text.slice(9, 12)), text }); };
            socket.setEncoding('latin1').on('data', (part) => { text += part; });
            socket.on('close', done).on('error', done);
        }),
        release: () => socket.writable && socket.write(body.subarray(body.length - held)),
        leave: () => socket.destroy(),
    };
    const head = {
        host, 'content-length': body.length, 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, connection: 'close',
        'x-forwarded-for': `198.18.${Math.floor(++address / 250) % 250}.${address % 250 + 1}`,
    };
    socket.write(`POST /api/public-actions/${app.slug}/upload HTTP/1.1\r\n${Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    socket.write(body.subarray(0, body.length - held), () => { one.isThere = true; });
    return one;
}

/** So many at once: all have come but for their last bytes before the first may end. Those behind the first `kept` leave instead. */
async function uploadAtOnce(app, count, body, whileHeld = () => {}, kept = count) {
    const uploads = Array.from({ length: count }, () => upload(app, body));
    await until(() => uploads.every((one) => one.isThere), 'all uploads', 60000 * slowness());
    await whileHeld();
    for (const one of uploads.slice(kept)) one.leave();
    for (const one of uploads.slice(0, kept)) one.release();
    return Promise.all(uploads.slice(0, kept).map((one) => one.answered));
}

async function start(settings = {}, options = {}) {
    const server = await startServer({ settings: { ...SETTINGS, ...settings }, workers: 40, ...options });
    const made = await server.api('POST', '/api/plugins/import', pie('memory', { 'index.html': 'x' }));
    assert.equal(made.status, 201, made.text);
    return { server, slug: made.json.instance.slug, page: made.json.publicAppUrl };
}

async function metric(server, name) {
    const text = (await request(new URL('/metrics', server.admin))).text;
    return Number(new RegExp(`^stoa_${name} (\\d+)`, 'm').exec(text)[1]);
}

const counts = (answers) => answers.reduce((all, { status }) => ({ ...all, [status]: (all[status] ?? 0) + 1 }), {});

async function nothingIsLeft({ server }) {
    await until(async () => await metric(server, 'request_body_bytes_stored') === 0, 'the files to go');
    assert.deepEqual(fs.readdirSync(path.join(server.dataDir, 'bodies')), []);
}

test(`${UPLOADS} uploads of 10 MiB at once stand in files`, async (t) => {
    const app = await start();
    t.after(() => app.server.stop());
    const body = form();
    const pid = app.server.serverPid;
    const before = memory(pid).own;
    const watch = watchMemory(pid);
    const begun = Date.now();
    let stored = 0; // of them all, when the last byte of each is missing; what the kernel has written out meanwhile is no part of RssFile
    const answers = await uploadAtOnce(app, UPLOADS, body, () => until(async () => {
        stored = await metric(app.server, 'request_body_bytes_stored');
        return stored > UPLOADS * body.length * 0.9;
    }, 'the files', 10000 * slowness()), KEPT);
    const most = watch.stop();
    t.diagnostic(`own memory ${before.toFixed()} to ${most.own.toFixed()} MiB, files ${(stored / MIB).toFixed()} MiB, ${most.files.toFixed()} mapped, ${Date.now() - begun} ms, ${JSON.stringify(counts(answers))}`);
    assert.ok(most.own < MOST, `${most.own} MiB`);
    for (const { status, text } of answers) assert.ok([200, 503].includes(status), text.slice(0, 500));
    assert.ok(answers.filter(({ status }) => status === 200).length > KEPT / 2, JSON.stringify(counts(answers)));
    await nothingIsLeft(app);
});

// What does not fit is told, the rest goes on, and so do those who only look.
async function someAreRefused(app, status, code) {
    const body = form();
    const answers = await uploadAtOnce(app, 12, body, async () => assert.equal((await request(app.page)).status, 200));
    const refused = answers.filter((answer) => answer.status === status);
    assert.ok(refused.length > 0, JSON.stringify(counts(answers)));
    for (const { text } of refused) { // before its body or amid it; or, behind the limits, when it is to be kept
        assert.match(text, new RegExp(`"code":"${code}"`));
        const id = /^x-request-id: ([0-9a-f]{24})\r$/im.exec(text)?.[1];
        assert.ok(text.endsWith(`"requestId":"${id}"}\n`), text);
        assert.match(text, /^(access-control-allow-origin: \*|ratelimit: .*)\r$/im);
    }
    for (const answer of answers) assert.ok([200, status].includes(answer.status), answer.text.slice(0, 500));
    assert.ok(answers.some((answer) => answer.status === 200), JSON.stringify(counts(answers)));
    await nothingIsLeft(app);
    assert.equal((await uploadAtOnce(app, 1, body))[0].status, 200, 'one by itself');
    return refused;
}

describe('what is refused', { concurrency: true }, () => {
    test('over body_disk_total it is 503 with Retry-After', async (t) => {
        const app = await start({ body_disk_total: '64MiB' });
        t.after(() => app.server.stop());
        for (const { text } of await someAreRefused(app, 503, 'busy')) assert.match(text, /^retry-after: \d+\r$/im);
    });

    test('on a full disk it is 507, and pages are served', async (t) => {
        const home = temporaryDirectory('small-disk');
        const dataDir = path.join(home, 'data');
        fs.mkdirSync(dataDir, { mode: 0o700 });
        try {
            execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=150m,mode=0700', 'tmpfs', dataDir], { stdio: 'ignore' });
        } catch {
            return t.skip('only root may mount a small disk');
        }
        let app;
        t.after(async () => {
            await app?.server.stop();
            execFileSync('umount', [dataDir]);
        });
        app = await start({}, { dataDir });
        await someAreRefused(app, 507, 'disk_full');
        fs.writeFileSync(path.join(dataDir, 'filler'), Buffer.alloc(80 * MIB)); // what is left, others need
        const [answer] = await uploadAtOnce(app, 1, form());
        assert.equal(answer.status, 507, answer.text);
        assert.equal((await request(app.page)).status, 200);
        fs.unlinkSync(path.join(dataDir, 'filler'));
        assert.equal((await uploadAtOnce(app, 1, form()))[0].status, 200, 'once there is room again');
    });

    test('a body without a length is taken; one of a wrong length is 400, or 408 when it does not come', async (t) => {
        const app = await start({ body_timeout: '1s' });
        t.after(() => app.server.stop());
        const { hostname, port, host } = new URL(app.server.apps);
        const send = (framing, bytes) => new Promise((resolve) => {
            const socket = net.connect(port, hostname);
            let text = '';
            socket.setEncoding('latin1').on('data', (part) => { text += part; }).on('close', () => resolve(text)).on('error', () => {});
            socket.write(`POST /api/public-actions/${app.slug}/upload HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${framing}\r\n`
                + `Content-Type: multipart/form-data; boundary=${BOUNDARY}\r\nX-Forwarded-For: 198.18.7.${++address % 250}\r\n\r\n`);
            socket.write(bytes);
        });
        const chunk = (bytes) => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
        const small = form(2000);
        const large = form(3 * MIB);
        await Promise.all([small, large].map(async (body) => {
            const pieces = [];
            for (let at = 0; at < body.length; at += 100000) pieces.push(chunk(body.subarray(at, at + 100000)));
            const [chunked, short, long] = await Promise.all([
                send('Transfer-Encoding: chunked', Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')])),
                send(`Content-Length: ${body.length - 10}`, body), send(`Content-Length: ${body.length + 10}`, body)]);
            assert.match(chunked, /^HTTP\/1\.1 200 /);
            assert.match(short, /^HTTP\/1\.1 400 [^]*The body ends before its last boundary/);
            assert.match(long, /^HTTP\/1\.1 408 /);
        }));
        assert.match(await send('Transfer-Encoding: chunked', 'zz\r\n'), /^HTTP\/1\.1 400 /);
        const endless = Buffer.concat(Array(12).fill(chunk(Buffer.alloc(MIB, 'x'))));
        assert.match(await send('Transfer-Encoding: chunked', endless), /^HTTP\/1\.1 413 [^]*"code":"file_too_large"/);
        await nothingIsLeft(app);
    });
});
