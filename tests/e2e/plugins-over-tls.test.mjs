// Plugins' data on a machine of its own: over TCP, with TLS that checks the certificate and its name (sslmode=verify-full), and passwords
// by SCRAM. A real PostgreSQL that takes nothing else.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { asUser, postgresPrograms } from '../harness/postgres.mjs';
import { request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const PASSWORD = 'correct horse/battery?staple';
const home = temporaryDirectory('tls-cluster');
const data = path.join(home, 'data'), socket = path.join(home, 's');
const file = (name) => path.join(home, name);
let port, cluster, server;

const openssl = (...args) => execFileSync('openssl', args, { cwd: home, stdio: ['ignore', 'ignore', 'pipe'] });

/** An authority `name`, and a certificate of its for `host`, as name.pem and name-server.{pem,key}. */
function authority(name, host) {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl('req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2', '-subj', `/CN=${name}`);
    openssl('req', ...key, '-keyout', `${name}-server.key`, '-out', `${name}.csr`, '-subj', `/CN=${host}`);
    fs.writeFileSync(file(`${name}.ext`), `subjectAltName=DNS:${host}\n`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${name}.pem`, '-CAkey', `${name}.key`, '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`,
        '-out', `${name}-server.pem`);
}

const quiet = { cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' }, encoding: 'utf8', ...asUser('postgres') };
const superuser = (sql) => execFileSync(`${postgresPrograms()}/psql`, ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', socket, '-p', String(port), '-U', 'postgres', '-d', 'postgres', '-c', sql], quiet).trim();

async function startCluster() {
    const bin = postgresPrograms();
    fs.chmodSync(home, 0o755);
    authority('ours', 'localhost');
    authority('other', 'localhost');
    for (const folder of [data, socket]) fs.mkdirSync(folder, { mode: 0o700 });
    for (const name of [data, socket, file('ours-server.key'), file('ours-server.pem')]) if (quiet.uid !== undefined) fs.chownSync(name, quiet.uid, quiet.gid);
    fs.chmodSync(file('ours-server.key'), 0o600);
    const made = spawnSync(`${bin}/initdb`, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'], quiet);
    assert.equal(made.status, 0, made.stderr);
    fs.writeFileSync(path.join(data, 'pg_hba.conf'), 'local all postgres trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n');
    port = await freePort();
    const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: socket, fsync: 'off', ssl: 'on', ssl_cert_file: file('ours-server.pem'),
        ssl_key_file: file('ours-server.key'), password_encryption: 'scram-sha-256', log_connections: 'on' };
    const log = fs.openSync(file('postgres.log'), 'a');
    cluster = spawn(`${bin}/postgres`, ['-D', data, ...Object.entries(settings).flatMap(([n, v]) => ['-c', `${n}=${v}`])], { ...quiet, stdio: ['ignore', log, log] });
    await until(() => spawnSync(`${bin}/pg_isready`, ['-q', '-h', socket, '-p', String(port)], quiet).status === 0, 'PostgreSQL');
    superuser(`create role stoa_plugins login createdb createrole password '${PASSWORD}'`);
    superuser('grant pg_signal_backend, pg_read_all_stats to stoa_plugins');
    superuser('create database plugins owner stoa_plugins');
}

const url = (authorityName, host = 'localhost') => `postgresql://stoa_plugins:${encodeURIComponent(PASSWORD)}@${host}:${port}/plugins?sslmode=verify-full&sslrootcert=${encodeURIComponent(file(`${authorityName}.pem`))}`;
const HANDLER = `module.exports = { handler: async (input, context) => {
    const { payload } = input;
    if (payload.add) await context.managedDb.query('insert into notes (title) values ($1)', [payload.add]);
    const ssl = await context.managedDb.query("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()").catch((e) => ({ rows: [{ code: e.code }] }));
    const { rows } = await context.managedDb.query('select title from notes order by id');
    return { ssl: ssl.rows[0], titles: rows.map((r) => r.title) };
} };`;
const front = 'manifest:\n  database:\n    tables:\n      notes:\n        columns:\n          id: "serial primary key"\n          title: "text not null"\n';

async function deploy(to, name) {
    const made = await to.api('POST', '/api/plugins/import', pie(name, { 'index.html': '<p>' }, { front, code: HANDLER }));
    assert.equal(made.status, 201, made.text);
    const slug = made.json.instance.slug;
    const call = (body) => request(`${to.apps}/api/public-actions/${slug}/x`, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
    return { made: made.json, call };
}

before(async () => {
    await startCluster();
    server = await startServer({ settings: { plugin_database: url('ours') } });
});
after(async () => {
    superuser('select pg_terminate_backend(pid) from pg_stat_activity where client_addr is not null'); // its pool is kept, and would count as sockets left
    await server?.stop();
    cluster?.kill('SIGQUIT');
});

test('tables are made, and a handler works, over TLS with SCRAM', { timeout: 60000 * slowness() }, async () => {
    const { made, call } = await deploy(server, 'notes');
    assert.deepEqual(made.warnings.filter((w) => /database/.test(JSON.stringify(w))), []);
    const answer = await call({ add: 'first' });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json.data.titles, ['first']);
    const seen = superuser("select count(*) filter (where ssl), count(*) filter (where not ssl) from pg_stat_ssl join pg_stat_activity using (pid) where client_addr is not null");
    assert.match(seen, /^[1-9]\d*\|0$/, 'all connections from outside are encrypted');
    assert.match(superuser("select rolpassword from pg_authid where rolname <> 'stoa_plugins' and rolcanlogin and rolpassword is not null limit 1"), /^SCRAM-SHA-256\$/);
    const grid = await server.api('GET', '/api/plugins/notes/database/tables/notes/rows');
    assert.equal(grid.status, 200, grid.text);
    assert.match(grid.text, /first/);
});

test('statements that outlive their run are ended over TLS too', { timeout: 60000 * slowness() }, async () => {
    const made = await server.api('POST', '/api/plugins/import', pie('slow', { 'index.html': '<p>' }, { front, code:
        "module.exports = { handler: (i, c) => c.managedDb.query('select pg_sleep(60)', [], { timeoutMs: 3000 }).then(() => 'slept', (e) => e.code) };" }));
    const answer = await request(`${server.apps}/api/public-actions/${made.json.instance.slug}/x`, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
    assert.equal(answer.json?.data, '57014', answer.text);
});

for (const [what, settings, why] of [
    ['a certificate of another authority', () => url('other'), /certificate verify failed/],
    ['a certificate for another name', () => url('ours', '127.0.0.1'), /does not match host name/],
    ['a wrong password', () => url('ours').replace('battery', 'batterie'), /password authentication failed for user/],
    ['a connection without TLS', () => url('ours').replace('verify-full', 'disable'), /no encryption/],
]) {
    test(`${what} is not believed`, { timeout: 60000 * slowness() }, async () => {
        const doubtful = await startServer({ settings: { plugin_database: settings() }, expectErrors: [/database|plugin|cluster/] });
        const { call } = await deploy(doubtful, 'careful');
        const answer = await call({ add: 'secret' });
        assert.deepEqual([answer.status, answer.json?.code], [503, 'busy'], answer.text);
        const said = await doubtful.logged(/warn server: a plugin's tables could not be made plugin=\S+ code=managed_db_unavailable reason=(.*)/);
        assert.match(said[1], why); // the operator is to know what to mend
        assert.doesNotMatch(doubtful.log(), /staple/);
        await doubtful.stop();
    });
}
