// What a kill -9 at any moment leaves: clients see a pause, readers the old or the new, and the next start everything.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { request, slowness, startServer, until } from '../harness/server.mjs';

let server;
before(async () => { server = await startServer({ expectErrors: [/the server ended/] }); });
after(() => server.stop());

const body = (v) => ({ 'index.html': `v${v}`, 'app.js': `const v = ${v};`.padEnd(20000, ' v') });

test('kill -9 of the server under load: nobody is refused, and it serves again', async () => {
    const made = (await server.api('POST', '/api/plugins/import', pie('steady', body(1)))).json;
    await request(made.publicAppUrl);
    const { port, hostname } = new URL(server.apps);
    const refused = [];
    let connected = 0;
    let going = true;
    const knock = async () => {
        while (going) {
            await new Promise((done) => {
                const socket = net.connect(port, hostname, () => { ++connected; socket.destroy(); done(); });
                socket.on('error', (error) => { if (error.code === 'ECONNREFUSED') refused.push(error); done(); });
            });
            await new Promise((done) => { setTimeout(done, 2); });
        }
    };
    const knocking = [knock(), knock(), knock()];
    const gaps = [];
    for (let round = 0; round < 3; ++round) {
        const pid = server.serverPid;
        const began = Date.now();
        process.kill(pid, 'SIGKILL');
        for (;;) {
            const answer = await request(made.publicAppUrl, { timeout: 20000 }).catch(() => undefined);
            if (answer?.status === 200) break;
        }
        gaps.push(Date.now() - began);
        await until(() => server.serverPid !== pid, 'the new server');
        await new Promise((done) => { setTimeout(done, 200); });
    }
    going = false;
    await Promise.all(knocking);
    assert.deepEqual(refused, []);
    assert.ok(connected > 100, `${connected} connections`);
    // the first restart comes at once; those that follow within ten seconds wait 0.1 and 0.5 s longer, so that a server that cannot live does not spin
    [0, 100, 500].forEach((pause, i) => assert.ok(gaps[i] < 500 * slowness() + pause, `serving again after ${gaps} ms`));
});

test('kill -9 while deploying: old or new, never a mix, never a 404', async () => {
    const made = (await server.api('POST', '/api/plugins/import', pie('mixed', body(0)))).json;
    const wrong = [];
    let going = true;
    let looked = 0;
    const read = async () => {
        while (going) {
            const answer = await request(made.publicAppUrl).catch(() => undefined); // cut by the kill
            if (answer === undefined) continue;
            ++looked;
            if (answer.status === 503) continue; // cold for a moment
            if (answer.status !== 200 || !/^v\d+$/.test(answer.text)) wrong.push(`${answer.status} ${answer.text.slice(0, 80)}`);
        }
    };
    const readers = [read(), read()];
    let version = 0;
    let live = 0;
    for (let round = 0; round < 6; ++round) {
        const deploy = server.api('POST', '/api/plugins/import', pie('mixed', body(++version))).then((a) => a, () => undefined);
        await new Promise((done) => { setTimeout(done, 5 + round * 25 * slowness()); });
        const pid = server.serverPid;
        process.kill(pid, 'SIGKILL');
        const answer = await deploy;
        if (answer?.status === 200) live = version; // an answer is a promise
        await until(() => server.serverPid !== pid, 'the new server');
        const now = await until(async () => {
            const a = await request(made.publicAppUrl).catch(() => undefined);
            return a?.status === 200 && a.text;
        }, 'the page');
        const seen = Number(now.slice(1));
        assert.ok(seen >= live && seen <= version, `promised ${live}, sent ${version}, serves ${seen}`);
        live = seen;
    }
    going = false;
    await Promise.all(readers);
    assert.deepEqual(wrong, []);
    assert.ok(looked > 20, `${looked} pages`);
});

test('what a crash left of a blob is never served and is gone after the next start', async () => {
    const blobs = path.join(server.dataDir, 'blobs');
    const leftovers = () => fs.readdirSync(blobs, { recursive: true }).filter((f) => /tmp|part/.test(String(f)) && fs.statSync(path.join(blobs, String(f))).isFile());
    process.kill(server.serverPid, 'SIGKILL');
    await until(async () => (await request(server.apps).catch(() => undefined)) !== undefined, 'the server');
    assert.deepEqual(leftovers(), []);
});
