// Plugins' data, tried by attack: a plugin's role in the private cluster, by SQL of its own choice (security-rules.md 6-9), its owner's
// endpoints and command line, and the cluster's absence. As in production the server starts both clusters itself.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { freshDatabase } from '../harness/postgres.mjs';
import { request, slowness, startServer, temporaryRoot, until } from '../harness/server.mjs';

let server, otherToken;
const roles = {}; // name -> credentials

const tables = (rows) => `manifest:\n  database:\n    tables:\n${rows}`;
const NOTES = tables(`      notes:
        columns:
          id: "serial primary key"
          pie_user_id: "text not null default current_setting('app.user_id', true)"
          title: "text not null"
        rls: "pie_user_id"
`);
const app = (name, front = NOTES) => pie(name, { 'index.html': `<p>${name}` }, { front });

before(async () => {
    server = await startServer({
        managedDb: true, settings: { shared_origin: 'accepted', managed_db_connections_per_plugin: 4, managed_db_connections_per_project: 12 },
        expectErrors: [/PostgreSQL ended; starting it again cluster=plugins/, /a request failed/, /managed_db_unavailable/],
    });
    otherToken = (await server.api('POST', '/api/projects', { displayName: 'Other' })).json.token;
    for (const [name, token] of [['first', server.token], ['second', server.token], ['third', otherToken]]) {
        const made = await server.api('POST', '/api/plugins/import', app(name), { token });
        assert.equal(made.status, 201, made.text);
        assert.deepEqual(made.json.warnings.filter((w) => /database/.test(JSON.stringify(w))), []);
        const got = await server.api('GET', `/api/plugins/${name}/database/credentials?local=true`, undefined, { token });
        assert.equal(got.status, 200, got.text);
        roles[name] = got.json.credentials;
    }
});
after(() => server?.stop());

const environment = (c, more = {}) => ({
    PATH: process.env.PATH, LC_ALL: 'C.UTF-8', PGHOST: c.host, PGPORT: String(c.port), PGDATABASE: c.database, PGUSER: c.username, PGPASSWORD: c.password,
    PGOPTIONS: `-c app.user_id=${c.userId}`, ...more,
});
const arguments_ = ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=sqlstate'];
/** Statements as that plugin's role: what they print, or the SQL state of the first that fails, or "refused". */
function sql(c, text, more) {
    const ran = spawnSync('psql', [...arguments_, '-f', '-'], { input: text, encoding: 'utf8', env: environment(c, more), timeout: 120000 });
    if (ran.status === 0) return ran.stdout.trim();
    return /ERROR: +([0-9A-Z]{5})/.exec(ran.stderr)?.[1] ?? (/FATAL|connection/.test(ran.stderr) ? 'refused' : ran.stderr);
}
const denied = (c, list) => list.forEach((text) => assert.equal(sql(c, text), '42501', text));
const clusterPid = () => Number(fs.readFileSync(path.join(server.dataDir, 'plugins-pg/cluster/postmaster.pid'), 'utf8').split('\n')[0]);
const databaseOf = (name, token) => ({
    stats: () => server.api('GET', `/api/plugins/${name}/database/stats`, undefined, { token }),
    rows: (table, query = '') => server.api('GET', `/api/plugins/${name}/database/tables/${encodeURIComponent(table)}/rows${query}`, undefined, { token }),
});

test('a plugin works in its own schema', () => {
    assert.equal(sql(roles.first, "insert into notes (title) values ('a'); select title from notes"), 'a');
    assert.equal(sql(roles.first, 'create table own (a int); alter table own add b int; drop table own; select 1'), '1');
    assert.equal(sql(roles.first, 'select current_schema'), roles.first.schemaName);
});

test('plugins of one project share a database and no rights', () => {
    assert.equal(roles.first.database, roles.second.database);
    const { schemaName } = roles.second;
    denied(roles.first, [`select * from ${schemaName}.notes`, `create table ${schemaName}.x (a int)`, `drop schema ${schemaName} cascade`,
        `alter schema ${schemaName} rename to x`, `set role ${roles.second.username}`, `grant ${roles.second.username} to ${roles.first.username}`,
        `alter role ${roles.second.username} password 'x'`, `alter table ${schemaName}.notes add x int`, `comment on schema ${schemaName} is 'x'`,
        `reassign owned by ${roles.second.username} to ${roles.first.username}`, `set session authorization ${roles.second.username}`]);
});

test('no plugin enters another database', () => {
    assert.notEqual(roles.first.database, roles.third.database);
    for (const database of [roles.third.database, 'stoa', 'postgres', 'template0', 'template1']) {
        assert.equal(sql(roles.first, 'select 1', { PGDATABASE: database }), 'refused', database);
    }
    for (const user of ['stoa_admin', 'stoa_server', 'stoa_provision']) {
        assert.equal(sql(roles.first, 'select 1', { PGUSER: user, PGDATABASE: 'stoa', PGPASSWORD: '' }), process.getuid() === 0 ? 'refused' : '1', user);
    }
    assert.equal(sql(roles.first, 'select 1', { PGPASSWORD: 'wrong' }), 'refused');
});

test('the socket is for the server\'s user and root', { skip: process.getuid() === 0 ? false : 'needs root' }, () => {
    const ran = spawnSync('runuser', ['-u', 'nobody', '--', 'psql', '-c', 'select 1'], { encoding: 'utf8', env: environment(roles.first) });
    assert.notEqual(ran.status, 0);
    assert.match(ran.stderr, /Permission denied/);
    assert.equal(fs.statSync(path.join(server.dataDir, 'plugins-pg')).mode & 0o777, 0o700);
});

test('no right is to be had', () => {
    denied(roles.first, ['create role x', 'create database x', 'alter role current_user superuser', 'alter role current_user createrole',
        'alter role current_user bypassrls', 'alter role current_user connection limit -1', 'set role stoa_provision', 'set role pg_read_server_files',
        'grant pg_execute_server_program to current_user', 'create schema x', `create schema x authorization current_user`,
        `alter database ${roles.first.database} set work_mem = '1GB'`, `drop database ${roles.first.database}`, 'create extension hstore', 'create extension pg_trgm',
        'create publication x for all tables', 'create event trigger x on ddl_command_start execute function y()',
        'alter system set work_mem = \'1GB\'', 'checkpoint', 'create foreign data wrapper x', 'create temp table x (a int)', "create tablespace x location '/tmp'"]);
    assert.equal(sql(roles.first, 'drop owned by stoa_provision'), '42501');
});

test('no file, no program', () => {
    denied(roles.first, ["copy notes to program 'id'", "copy notes from program 'id'", "copy notes to '/tmp/x'", "copy notes from '/etc/passwd'",
        "select pg_read_file('/etc/passwd')", "select pg_read_binary_file('PG_VERSION')", "select pg_ls_dir('.')", "select pg_stat_file('PG_VERSION')",
        "select lo_import('/etc/passwd')", "select lo_export(1, '/tmp/x')", 'select pg_current_logfile()', 'select pg_hba_file_rules()', "load 'auto_explain'",
        'select pg_reload_conf()', 'select pg_rotate_logfile()', "create function x() returns int language c as 'x'", "create function x() returns int language internal as 'x'"]);
});

test('revealing catalogues and reaching functions are closed', () => {
    denied(roles.first, ['pg_database', 'pg_roles', 'pg_user', 'pg_shadow', 'pg_authid', 'pg_group', 'pg_auth_members', 'pg_db_role_setting', 'pg_shdepend',
        'pg_shdescription', 'pg_tablespace', 'pg_locks', 'pg_stat_activity', 'pg_stat_database', 'pg_stat_ssl', 'pg_stat_replication', 'pg_prepared_xacts',
        'pg_replication_slots', 'pg_largeobject', 'pg_largeobject_metadata', 'pg_stat_progress_vacuum', 'pg_user_mappings', 'pg_file_settings', 'pg_hba_file_rules',
        'pg_statistic', 'pg_subscription', 'pg_backend_memory_contexts', 'pg_shmem_allocations'].map((name) => `select * from pg_catalog.${name}`));
    denied(roles.first, ['lo_create(0)', "lo_from_bytea(0, 'x')", 'lo_creat(0)', 'lo_get(1)', 'lo_unlink(1)', 'pg_advisory_lock(1)', 'pg_try_advisory_lock(1)',
        'pg_advisory_xact_lock_shared(1, 2)', 'pg_advisory_unlock_all()', "pg_notify('a', 'b')", "pg_logical_emit_message(false, 'a', 'b')", 'pg_export_snapshot()',
        'pg_lock_status()', 'pg_stat_get_activity(null)', 'pg_blocking_pids(1)', 'pg_stat_get_backend_idset()', 'pg_get_replication_slots()',
        "pg_create_physical_replication_slot('x')", 'pg_control_system()', 'pg_switch_wal()', "pg_create_restore_point('x')", 'pg_stat_reset()',
        'pg_tablespace_databases(1663)', "database_to_xml(true, true, '')"].map((call) => `select ${call}`));
});

test('no languages, unless the operator wants them', () => {
    denied(roles.first, ["create function f() returns int language sql as 'select 1'", "create function f() returns int language plpgsql as 'begin return 1; end'",
        'do $$ begin end $$', "create procedure p() language sql as 'select 1'"]);
});

test('what must bind binds', () => {
    denied(roles.first, ["set temp_file_limit = -1", "set log_min_messages = debug5", "set log_statement = 'all'", 'set session_preload_libraries = x', 'set zero_damaged_pages = on']);
    assert.equal(sql(roles.first, "begin; insert into notes (title) values ('p'); prepare transaction 'x'"), '55000');
    assert.equal(sql(roles.first, 'show max_worker_processes'), '0');
    const plan = sql(roles.first, `set jit = on; set jit_above_cost = 0; set max_parallel_workers_per_gather = 8; set max_parallel_workers = 8;
        set force_parallel_mode = on; explain (analyze, costs off) select count(*) from generate_series(1, 100000)`);
    assert.doesNotMatch(plan, /JIT|Workers Launched: [1-9]/);
});

test('NOTIFY reaches no other database', async () => {
    const listening = spawn('psql', [...arguments_, '-f', '-'], { env: environment(roles.third) });
    let heard = '';
    listening.stdout.on('data', (part) => { heard += part; });
    listening.stdin.write('listen c; select 1;\n');
    await until(() => heard.includes('1'), 'the listener');
    assert.equal(sql(roles.first, "notify c, 'x'; select 2"), '2');
    listening.stdin.end('select 3;\n');
    await new Promise((done) => listening.on('close', done));
    assert.doesNotMatch(heard, /notification/i);
});

test('a memory bomb is a clean error, and nobody else notices', () => {
    const before_ = clusterPid();
    const bomb = "set work_mem = '2047MB'; set hash_mem_multiplier = 1000; select length(array_agg(repeat('x', 1000) || i)::text) from generate_series(1, 4000000) i";
    assert.equal(sql(roles.first, bomb), '53200');
    assert.equal(sql(roles.first, "select length(repeat('x', 500000000) || repeat('y', 500000000))"), '53200');
    assert.equal(sql(roles.second, 'select count(*) from notes'), '0');
    assert.equal(clusterPid(), before_);
});

test('sorting on disk has an end', () => {
    assert.equal(sql(roles.first, "select count(*) from (select i, repeat(md5(i::text), 20) as t from generate_series(1, 800000) i order by t, i offset 1) s"), '53400');
});

// Nine get in: twice managed_db_connections_per_plugin, and one.
test('a flood of connections stops at the plugin\'s own number', async () => {
    const children = Array.from({ length: 30 }, () => spawn('psql', [...arguments_, '-c', 'select pg_sleep(60)'], { env: environment(roles.first), stdio: ['ignore', 'ignore', 'pipe'] }));
    let refused = 0;
    const ends = children.map((child) => new Promise((done) => {
        child.stderr.on('data', (part) => { refused += /too many connections/.test(part); });
        child.on('close', done);
    }));
    await until(() => refused >= 15, 'refusals');
    assert.equal(sql(roles.third, 'select count(*) from notes'), '0');
    assert.equal((await server.api('POST', '/api/plugins/import', app('third'), { token: otherToken })).status, 200);
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(ends);
});

test('what tenants say does not reach the log', () => {
    sql(roles.first, "set debug_print_plan = on; set debug_print_parse = on; select 'needle-one'");
    sql(roles.first, "select 'needle-two'::int");
    sql(roles.first, "set client_min_messages = log; set trace_sort = on; select 'needle-three' order by 1");
    assert.doesNotMatch(fs.readFileSync(path.join(server.dataDir, 'plugins-pg/postgres.log'), 'utf8'), /needle/);
});

test('what a role does to itself is put back', async () => {
    assert.equal(sql(roles.second, "alter role current_user set search_path = pg_catalog; alter role current_user password 'mine'; select 1"), '1');
    assert.equal(sql(roles.second, 'select 1'), 'refused');
    const got = await server.api('GET', '/api/plugins/second/database/credentials?local=true');
    assert.equal(got.json.credentials.password, roles.second.password);
    assert.equal(sql(roles.second, 'select current_schema'), roles.second.schemaName);
});

test('hostile definitions end as warnings, and nothing of the machine comes out', async () => {
    const hostile = tables(`      files:
        columns:
          a: "text default pg_read_file('/etc/passwd')"
          b: "text default (select string_agg(rolname, ',') from pg_authid)"
      listed:
        columns:
          a: "text check (pg_ls_dir('/') is not null)"
      linked:
        columns:
          a: "oid references pg_catalog.pg_authid"
      fine:
        columns:
          a: "text"
`);
    const made = await server.api('POST', '/api/plugins/import', app('hostile', hostile));
    assert.equal(made.status, 201, made.text);
    assert.ok(made.json.warnings.some((w) => w.startsWith('Table "files.b": ')), made.text);
    assert.ok(made.json.warnings.some((w) => w.startsWith('Table "linked')), made.text);
    assert.ok(!made.json.warnings.some((w) => w.includes('"fine')), made.text);
    const c = (await server.api('GET', '/api/plugins/hostile/database/credentials?local=true')).json.credentials;
    sql(c, "create view passwords as select pg_read_file('/etc/passwd') as a; create table t (a text); insert into t values ('x');"
        + "create index i on t ((case when a = 'x' then a end)); alter table t enable row level security; alter table t force row level security;"
        + "create policy p on t using ((select pg_read_file('/etc/passwd')) is not null)");
    for (const table of ['passwords', 't']) {
        const seen = await databaseOf('hostile').rows(table);
        assert.equal(seen.status, 422, seen.text);
        assert.equal(seen.json.code, 'table_unreadable');
        assert.doesNotMatch(seen.text, /root:/);
    }
    assert.equal((await databaseOf('hostile').stats()).status, 200);
});

test('definitions that are more than one column are refused at deploy', async () => {
    for (const definition of ['text); create role evil superuser; --', 'text, other text', "text default 'open", 'text; select 1', '']) {
        const made = await server.api('POST', '/api/plugins/import?dryRun=true', app('refused', tables(`      t:\n        columns:\n          a: ${JSON.stringify(definition)}\n`)));
        assert.equal(made.status, 422, `${definition}: ${made.text}`);
    }
});

test('sync adds and never alters or drops', async () => {
    sql(roles.first, "insert into notes (title) values ('kept')");
    const changed = tables(`      notes:
        columns:
          title: "varchar(10)"
          extra: "integer default 7"
`);
    const made = await server.api('POST', '/api/plugins/import', app('first', changed));
    assert.ok(made.json.warnings.some((w) => /^Table "notes.title": the column has the type "text"/.test(w)), made.text);
    assert.equal(sql(roles.first, "select extra from notes where title = 'kept'"), '7');
});

test('the endpoints have the documented shapes', async () => {
    const made = await server.api('POST', '/api/plugins/first/database');
    assert.equal(made.status, 200);
    assert.equal(made.json.database.schemaName, roles.first.schemaName);
    const refused = await server.api('GET', '/api/plugins/first/database/credentials');
    assert.equal(refused.status, 409);
    assert.equal(refused.json.code, 'database_not_reachable');
    assert.match(refused.json.message, /stoa db/);
    const { stats } = (await databaseOf('first').stats()).json;
    assert.equal(stats.schemaName, roles.first.schemaName);
    assert.equal(stats.tableCount, stats.tables.length);
    assert.equal(stats.totalSizeBytes, stats.tables.reduce((sum, t) => sum + t.sizeBytes, 0));
    assert.ok(stats.projectSizeBytes > stats.totalSizeBytes && stats.projectQuotaBytes > 0);
    assert.equal((await databaseOf('first', otherToken).stats()).status, 404);
    const reader = (await server.api('POST', '/api/tokens', { name: 'reader', scope: 'read' })).json.token;
    assert.equal((await server.api('GET', '/api/plugins/first/database/credentials?local=true', undefined, { token: reader })).status, 403);
    assert.equal((await databaseOf('first', reader).stats()).status, 200);
});

test('owners who look at slow tables hold up their own project', { timeout: 120000 * slowness() }, async () => {
    assert.equal(sql(roles.first, 'create view slow as select pg_sleep(2)::text as a'), '');
    const looks = Array.from({ length: 12 }, () => databaseOf('first', server.token).rows('slow'));
    await new Promise((done) => { setTimeout(done, 300); });
    for (const path of ['/api/plugins/third', '/api/plugins/third/database/stats']) {
        const begun = performance.now();
        const answer = await server.api('GET', path, undefined, { token: otherToken });
        assert.equal(answer.status, 200, answer.text);
        assert.ok(performance.now() - begun < 1500, `${path}: the neighbour waited ${(performance.now() - begun).toFixed(0)} ms`);
    }
    const answers = await Promise.all(looks);
    assert.deepEqual(answers.map((a) => a.json.code ?? a.status).sort(), [...Array(9).fill(200), ...Array(3).fill('too_many_waiting')]);
    assert.equal(sql(roles.first, 'drop view slow'), '');
});

test('a new password ends the old one', async () => {
    const made = await server.api('POST', '/api/plugins/first/database/regenerate-password');
    assert.equal(made.status, 200, made.text);
    assert.equal(sql(roles.first, 'select 1'), 'refused');
    roles.first = (await server.api('GET', '/api/plugins/first/database/credentials?local=true')).json.credentials;
    assert.equal(sql(roles.first, 'select 1'), '1');
});

test('rows come in pages, as the owner sees them', async () => {
    sql(roles.first, `create table "odd "" name" (n int, "c=1" text); insert into "odd "" name" select i, 'v' || i from generate_series(1, 120) i;
        insert into "odd "" name" values (121, repeat('x', 100000)), (122, null);
        create view seen as select n from "odd "" name" order by n`);
    const table = 'odd " name';
    const rows = databaseOf('first').rows;
    const first = await rows(table, '?limit=100');
    assert.deepEqual(first.json.columns, [{ name: 'n', type: 'integer' }, { name: 'c=1', type: 'text' }]);
    assert.equal(first.json.rows.length, 100);
    assert.deepEqual(first.json.rows[0], ['1', 'v1']);
    assert.equal(first.json.previous, null);
    const second = await rows(table, `?limit=100&cursor=${encodeURIComponent(first.json.next)}`);
    assert.deepEqual(second.json.rows.map((r) => r[0]), Array.from({ length: 22 }, (_, i) => String(101 + i)));
    assert.equal(second.json.next, null);
    assert.equal(second.json.rows[21][1], null);
    assert.match(second.json.rows[20][1], /^x{32768}…$/);
    const back = await rows(table, `?limit=100&cursor=${encodeURIComponent(second.json.previous)}`);
    assert.deepEqual(back.json.rows, first.json.rows);
    const view = await rows('seen', '?limit=50');
    const viewNext = await rows('seen', `?limit=50&cursor=${view.json.next}`);
    assert.deepEqual(viewNext.json.rows[0], ['51']);
    assert.equal((await rows('seen', `?limit=50&cursor=${viewNext.json.previous}`)).json.rows[0][0], '1');
    for (const cursor of ['a(0,0', 'x', "a(0,1)'", 'o-1', 'a(99999999999,1)']) {
        assert.equal((await rows(table, `?cursor=${encodeURIComponent(cursor)}`)).status, 422, cursor);
    }
    assert.equal((await rows('nothing')).status, 404);
    sql(roles.second, "insert into notes (title, pie_user_id) values ('mine', current_setting('app.user_id'))");
    assert.equal((await databaseOf('second').rows('notes')).json.rows.length, 1);
    sql({ ...roles.second, userId: 'somebody' }, "insert into notes (title) values ('theirs')");
    assert.equal((await databaseOf('second').rows('notes')).json.rows.length, 1);
});

test('the command line opens psql and exports rows', () => {
    const env = { PATH: process.env.PATH, STOA_URL: server.console, STOA_TOKEN: server.token, LC_ALL: 'C.UTF-8' };
    const run = (args, input) => spawnSync(server.stoaBin, args, { env, input, encoding: 'utf8' });
    const inside = run(['db', 'second'], "\\pset format unaligned\n\\t\nselect current_user, current_setting('app.user_id');\n\\! env | grep -c STOA_TOKEN\n");
    assert.equal(inside.status, 0, inside.stderr);
    assert.match(inside.stdout, new RegExp(`${roles.second.username}\\|${roles.second.userId}`));
    assert.match(inside.stdout, /^0$/m);
    assert.match(run(['data', 'second']).stdout, /notes/);
    assert.match(run(['data', 'second', 'notes']).stdout, /mine/);
    sql(roles.second, "insert into notes (title) values ('=HYPERLINK(\"x\")'), ('a,b'), (E'\\e[31mred')");
    sql(roles.second, `create table wide (${Array.from({ length: 40 }, (_, i) => `c${i} int default ${i}`).join()}); insert into wide default values`);
    assert.match(run(['data', 'second', 'wide']).stdout, /c0 .*c39\n0 .*39\n/);
    const csv = run(['data', 'second', 'notes', '--csv']).stdout;
    assert.match(csv, /^id,pie_user_id,title\r\n/);
    assert.match(csv, /"'=HYPERLINK\(""x""\)"\r\n/);
    assert.match(csv, /"a,b"\r\n/);
    assert.equal(run(['data', 'first', 'odd " name', '--csv']).stdout.split('\r\n').length, 124);
    assert.equal(JSON.parse(run(['data', 'first', 'odd " name', '--json']).stdout).rows.length, 122);
    assert.equal(run(['data', 'second', 'nothing']).status, 3);
});

test('a deletion asks what becomes of the data', async () => {
    const { schemaName } = (await server.api('POST', '/api/plugins/hostile/database')).json.database;
    const asked = await server.api('DELETE', '/api/plugins/hostile');
    assert.equal(asked.status, 409);
    assert.ok(asked.json.details.data.tables.some((t) => t.name === 'fine'));
    assert.equal((await server.api('DELETE', '/api/plugins/hostile?dryRun=true')).status, 200);
    assert.equal((await server.api('DELETE', '/api/plugins/hostile?data=keep')).status, 200);
    await server.api('POST', '/api/plugins/import', app('hostile', tables('      fine:\n        columns:\n          a: "text"\n')));
    assert.equal((await server.api('POST', '/api/plugins/hostile/database')).json.database.schemaName, schemaName);
    assert.equal((await server.api('DELETE', '/api/plugins/hostile?data=delete')).status, 200);
    await server.api('POST', '/api/plugins/import', app('hostile'));
    assert.notEqual((await server.api('POST', '/api/plugins/hostile/database')).json.database.schemaName, schemaName);
});

test('with the cluster frozen or dead, pages and deploys go on, and data is there again', async () => {
    const page = (await server.api('GET', '/api/plugins/first')).json.publicAppUrl;
    const bare = pie('bare', { 'index.html': 'bare' });
    const pid = clusterPid();
    process.kill(pid, 'SIGSTOP');
    try {
        const from = Date.now();
        assert.equal((await request(page)).status, 200);
        assert.equal((await server.api('POST', '/api/plugins/import', bare)).status, 201);
        const deployed = await server.api('POST', '/api/plugins/import', app('late'));
        assert.equal(deployed.status, 201, deployed.text);
        assert.match(JSON.stringify(deployed.json.warnings), /database/);
        assert.equal((await databaseOf('first').stats()).status, 503);
        assert.equal((await request(`${server.admin}/readyz`)).status, 200);
        assert.ok(Date.now() - from < 25000 * slowness());
    } finally {
        process.kill(pid, 'SIGCONT');
    }
    process.kill(pid, 'SIGKILL');
    assert.equal((await request(page)).status, 200);
    assert.equal((await server.api('POST', '/api/plugins/import', pie('bare', { 'index.html': 'bare 2' }))).status, 200);
    await until(async () => (await databaseOf('first').stats()).status === 200, 'the cluster', 20000);
    assert.notEqual(clusterPid(), pid);
    assert.equal(sql(roles.first, "select count(*) from notes where title = 'kept'"), '1');
    assert.equal((await server.api('POST', '/api/plugins/late/database')).status, 200); // its tables come with its first need
    assert.equal((await databaseOf('late').stats()).json.stats.tableCount, 1);
});

test('the state\'s own PostgreSQL is refused for plugins\' data, unless accepted', async () => {
    const { url } = await freshDatabase(temporaryRoot());
    await assert.rejects(startServer({ database: url, settings: { plugin_database: url } }), /plugin_database_shared/);
    const accepted = await startServer(); // the harness accepts it
    const made = await accepted.api('POST', '/api/plugins/import', app('shared'));
    assert.deepEqual(made.json.warnings.filter((w) => /Table|tables/.test(w)), [], made.text);
    const { credentials } = (await accepted.api('GET', '/api/plugins/shared/database/credentials')).json;
    assert.match(credentials.schemaName, /^plugin_/);
    await accepted.stop();
});
