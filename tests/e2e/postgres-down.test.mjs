// PostgreSQL goes away and comes back under load: what is cached is served without a gap, what is cold gets a plain 503, and all is well
// again without a restart.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { asUser, postgresPrograms, startCluster } from '../harness/postgres.mjs';
import { processTree } from '../harness/processes.mjs';
import { request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const root = temporaryDirectory('own-postgres');
const cluster = await startCluster(root);
cluster.query('CREATE DATABASE down OWNER stoa_test; ALTER DATABASE down SET synchronous_commit = on'); // a stop in this file loses no deploy
const database = `postgresql://stoa_test@/down?host=${encodeURIComponent(cluster.socket)}`;
const server = await startServer({ database, settings: { shared_origin: 'accepted' }, expectErrors: [/database/, /a request failed/] });
after(async () => {
    await server.stop();
    cluster.stop();
});

function startAgain() {
    const options = ['listen_addresses=', `unix_socket_directories=${cluster.socket}`, 'fsync=off', 'max_connections=300'].map((o) => `-c ${o}`).join(' ');
    const done = spawnSync(`${postgresPrograms()}/pg_ctl`, ['start', '-w', '-D', path.join(root, 'postgres'), '-l', path.join(root, 'postgres', 'again.log'), '-o', options],
        { cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' }, stdio: 'ignore', ...asUser('postgres') });
    assert.equal(done.status, 0);
}

async function deploy(name, title) {
    const made = await server.api('POST', '/api/plugins/import', `---\nname: ${name}\ndisplayName: ${name}\ntier: tool\nversion: 1.0.0\n---\nmodule.exports = { handler: async () => ({}) };\n===public-config===\n`
        + `entry: index.html\n===public-config===\n===public-file:index.html===\n<title>${title}</title>\n===public-file:index.html===\n`
        + `===public-file:cold.txt===\ncold file\n===public-file:cold.txt===\n`);
    assert.ok(made.status < 300, made.text);
    return made.json;
}

/** Asks for `url` again and again, ten at a time, until stop(); gives every answer that was not 200. */
function load(url) {
    let going = true;
    let count = 0;
    const wrong = [];
    const visitors = Array.from({ length: 10 }, async () => {
        while (going) {
            const got = await request(url).catch((error) => ({ status: String(error) }));
            ++count;
            if (got.status !== 200) wrong.push(got.status);
        }
    });
    return { async stop() { going = false; await Promise.all(visitors); return { count, wrong }; } };
}

const warm = await deploy('warm', 'warm');
const cold = await deploy('cold', 'cold');
const colder = await deploy('colder', 'colder');
assert.equal((await request(warm.publicAppUrl)).status, 200);

test('stopped: cached apps are served, cold ones get 503 with Retry-After, and it comes back by itself', async () => {
    const visitors = load(warm.publicAppUrl);
    cluster.stop('immediate');
    await until(async () => (await request(`${server.admin}/readyz`)).status === 503, '/readyz to say so');
    for (let i = 0; i < 3; ++i) {
        const refused = await request(cold.publicAppUrl);
        assert.equal(refused.status, 503);
        assert.equal(refused.json.code, 'database_unavailable');
        assert.equal(refused.headers['retry-after'], '2');
        assert.equal(refused.headers['cache-control'], 'no-store');
    }
    const navigation = await request(cold.publicAppUrl, { headers: { 'sec-fetch-mode': 'navigate', accept: 'text/html' } });
    assert.equal(navigation.status, 503);
    assert.match(navigation.headers['content-type'], /^text\/html/);
    // a file nobody asked for yet: the site is known, so only the blob store is needed
    const file = await request(`${warm.publicAppUrl}cold.txt`);
    assert.equal(file.status, 200);
    assert.equal(file.text, 'cold file');
    assert.equal((await request(`${server.admin}/healthz`)).status, 200);
    assert.equal((await server.api('GET', '/api/plugins')).status, 503);
    startAgain();
    await until(async () => (await request(cold.publicAppUrl)).status === 200, 'the cold app');
    await until(async () => (await request(`${server.admin}/readyz`)).status === 200, '/readyz');
    const { count, wrong } = await visitors.stop();
    assert.deepEqual(wrong, []);
    assert.ok(count > 50);
    await deploy('warm', 'warm again');
    await until(async () => /warm again/.test((await request(warm.publicAppUrl)).text), 'the new deployment', 3000 * slowness());
});

test('frozen: cached apps are served, cold ones are told within the wait\'s deadline', async () => {
    const postmaster = Number(fs.readFileSync(path.join(root, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
    const frozen = processTree(postmaster).map((p) => p.pid);
    assert.ok(frozen.length > 1 && frozen.every((pid) => pid > 1));
    const signal = (name) => frozen.forEach((pid) => { try { process.kill(pid, name); } catch { /* it ended */ } });
    const visitors = load(warm.publicAppUrl);
    signal('SIGSTOP');
    try {
        const begun = Date.now();
        const refused = await Promise.all(Array.from({ length: 5 }, () => request(colder.publicAppUrl)));
        for (const one of refused) {
            assert.equal(one.status, 503);
            assert.equal(one.headers['retry-after'], '2');
        }
        assert.ok(Date.now() - begun < 15000, `${Date.now() - begun} ms`);
    } finally {
        signal('SIGCONT');
    }
    await until(async () => (await request(colder.publicAppUrl)).status === 200, 'the cold app', 20000);
    assert.deepEqual((await visitors.stop()).wrong, []);
});

test('what changed while nobody listened is found when the listener is back', async () => {
    // a pool thread whose connection died in the freeze says so once, and connects again a quarter of a second later
    const first = await until(() => deploy('unheard', 'first').catch(() => undefined), 'a deploy after the freeze');
    await deploy('unheard', 'second');
    await until(async () => /second/.test((await request(first.publicAppUrl)).text), 'the second page');
    const query = (sql) => cluster.query(sql, 'down');
    query(`UPDATE bundle_instances SET deployment_id = '${first.deployment.id}' WHERE instance_id = '${first.instance.id}'`); // without NOTIFY
    assert.match((await request(first.publicAppUrl)).text, /second/); // nobody was told
    query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'down' AND pid <> pg_backend_pid()`);
    await until(async () => /first/.test((await request(first.publicAppUrl)).text), 'the first page', 5000 * slowness());
    assert.equal((await request(warm.publicAppUrl)).status, 200);
});
