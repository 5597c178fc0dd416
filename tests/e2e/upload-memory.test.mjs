// Many large request bodies at once: they stand in files below the data directory, so the server's own memory stays small; what there is no
// room for is told, and those who were there already, or who only look at a page, see nothing of it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const MIB = 1024 * 1024;
const UPLOADS = 200;
const BYTES = 10 * MIB;
const MOST = 512 * slowness(); // MiB
const settings = { connections_per_address: 1000, body_timeout: '60s' };

/** What the process holds that no file stands behind, in MiB. */
function memory(pid) {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
    const of = (name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)[1]) / 1024;
    return { own: of('RssAnon') + of('RssShmem'), files: of('RssFile') };
}

/** Looks again and again; stop() gives the most that was seen. */
function watchMemory(server) {
    const pid = server.serverPid;
    const most = { own: 0, files: 0 };
    const timer = setInterval(() => {
        const now = memory(pid);
        most.own = Math.max(most.own, now.own);
        most.files = Math.max(most.files, now.files);
    }, 10);
    return { stop() { clearInterval(timer); return most; } };
}

/** One POST whose last bytes are sent when `release` is called. `answered` gives {status, text}. */
function post(server, where, body, headers, port = new URL(server.console).port) {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    const held = 100;
    const upload = {
        isThere: false, // all but the last bytes are on their way
        answered: new Promise((resolve) => {
            const done = () => resolve({ status: Number(text.slice(9, 12)), text });
            socket.setEncoding('latin1').on('data', (part) => { text += part; });
            socket.on('close', done).on('error', done);
        }),
        release: () => socket.write(body.subarray(body.length - held)),
        destroy: () => socket.destroy(),
    };
    const head = { host: new URL(server.console).host, 'content-length': body.length, connection: 'close', ...headers };
    socket.write(`POST ${where} HTTP/1.1\r\n${Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    socket.write(body.subarray(0, body.length - held), () => { upload.isThere = true; });
    return upload;
}

const deploy = (server, body) => post(server, '/api/plugins/memory/deployments', body, {
    authorization: `Bearer ${server.token}`, 'content-type': 'application/gzip',
});

async function start(more = {}) {
    const server = await startServer({ settings: { ...settings, ...more.settings }, ...more.options });
    const made = await server.api('POST', '/api/plugins/import', pie('memory', { 'index.html': 'x' }));
    assert.equal(made.status, 201, made.text);
    return { server, page: made.json.publicAppUrl };
}

async function metric(server, name) {
    const text = (await request(new URL('/metrics', server.admin))).text;
    return Number(new RegExp(`^stoa_${name} (\\d+)`, 'm').exec(text)[1]);
}

const counts = (answers) => answers.reduce((all, { status }) => ({ ...all, [status]: (all[status] ?? 0) + 1 }), {});

test(`${UPLOADS} uploads of 10 MiB at once stand in files`, async (t) => {
    const { server } = await start();
    after(() => server.stop());
    const body = crypto.randomBytes(BYTES);
    const before = memory(server.serverPid);
    const watch = watchMemory(server);
    const begun = Date.now();
    const uploads = Array.from({ length: UPLOADS }, () => deploy(server, body));
    await until(() => uploads.every((u) => u.isThere), 'all uploads', 30000 * slowness());
    await until(async () => await metric(server, 'request_body_bytes_stored') > UPLOADS * (BYTES - 3 * MIB), 'files', 5000 * slowness());
    for (const upload of uploads) upload.release();
    const answers = await Promise.all(uploads.map((u) => u.answered));
    const most = watch.stop();
    t.diagnostic(`own memory ${before.own.toFixed(0)} -> ${most.own.toFixed(0)} MiB, files ${most.files.toFixed(0)} MiB, ${Date.now() - begun} ms, ${JSON.stringify(counts(answers))}`);
    assert.ok(most.own < MOST, `${most.own} MiB`);
    assert.ok(most.files > UPLOADS * BYTES / MIB * 0.9, `${most.files} MiB of files: they were not there at once`);
    for (const { status, text } of answers) assert.ok([422, 503].includes(status), text.slice(0, 500)); // random bytes are no archive
    await until(async () => await metric(server, 'request_body_bytes_stored') === 0, 'the files to go');
    assert.equal(fs.readdirSync(path.join(server.dataDir, 'bodies')).length, 0);
});
