// One PostgreSQL for a whole run of end-to-end files, and a database of its own for each server started (style.md §10). The cluster belongs
// to the harness: Unix socket in a temporary directory, no TCP port, no fsync. run.mjs starts it and names it in STOA_TEST_PG; a file that
// is run alone starts one lazily and stops it when the process ends.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const ROLE = 'stoa_test';
let cluster; // the one this process started, or a promise of it
let databases = 0;

/** Where Debian keeps the programs of the newest PostgreSQL that is installed. */
export function postgresPrograms() {
    const base = '/usr/lib/postgresql';
    const versions = fs.existsSync(base) ? fs.readdirSync(base).filter((v) => fs.existsSync(`${base}/${v}/bin/initdb`)) : [];
    if (versions.length === 0) throw new Error('PostgreSQL is not installed: ./dev install');
    return `${base}/${versions.sort((a, b) => b - a)[0]}/bin`;
}

/** Options for spawn that make the child run as `user` when this process is root, for PostgreSQL never runs as root. */
export function asUser(user) {
    if (process.getuid() !== 0) return {};
    const id = (flag) => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));
    return { uid: id('-u'), gid: id('-g') };
}

/** Starts a cluster below `root`; gives its socket directory, its pid, and stop(mode), which blocks. */
export async function startCluster(root) {
    const bin = postgresPrograms();
    const owner = asUser('postgres');
    const data = path.join(root, 'postgres');
    const socket = path.join(root, 'pg'); // a socket's path has 107 bytes at most
    for (const [folder, mode] of [[data, 0o700], [socket, 0o755]]) {
        fs.mkdirSync(folder, { recursive: true });
        fs.chmodSync(folder, mode);
        if (owner.uid !== undefined) fs.chownSync(folder, owner.uid, owner.gid);
    }
    const quiet = { cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' }, encoding: 'utf8', ...owner };
    const made = spawnSync(`${bin}/initdb`, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'], quiet);
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr || made.error}`);
    const log = fs.openSync(path.join(root, 'postgres.log'), 'a');
    const settings = ['listen_addresses=', `unix_socket_directories=${socket}`, 'fsync=off', 'full_page_writes=off', 'synchronous_commit=off',
        'max_connections=300', 'shared_buffers=64MB', 'log_min_messages=warning'];
    const child = spawn(`${bin}/postgres`, ['-D', data, ...settings.flatMap((s) => ['-c', s])],
        { ...quiet, detached: true, stdio: ['ignore', log, log] });
    child.unref();
    fs.closeSync(log);
    const started = { socket, pid: child.pid, query: (sql, database = 'postgres') => query(socket, sql, database) };
    started.stop = (mode = 'immediate') => spawnSync(`${bin}/pg_ctl`, ['stop', '-D', data, '-m', mode, '-w'], quiet);
    for (let tries = 0; ; ++tries) {
        const ready = spawnSync(`${bin}/pg_isready`, ['-q', '-h', socket, '-U', 'postgres'], quiet);
        if (ready.status === 0) break;
        if (child.exitCode !== null || tries === 200) throw new Error(fs.readFileSync(path.join(root, 'postgres.log'), 'utf8'));
        await new Promise((done) => setTimeout(done, 50));
    }
    // it also makes the databases of plugins' data, where a server is not told to have a cluster of its own for them
    started.query(`CREATE ROLE ${ROLE} LOGIN CREATEDB CREATEROLE; GRANT pg_signal_backend, pg_read_all_stats TO ${ROLE}`);
    started.query(`CREATE DATABASE stoa_template OWNER ${ROLE} IS_TEMPLATE true`);
    return started;
}

function query(socket, sql, database) {
    // -c runs several statements as one transaction, which CREATE DATABASE refuses
    const commands = sql.split(';').map((s) => s.trim()).filter(Boolean).flatMap((s) => ['-c', s]);
    return execFileSync(`${postgresPrograms()}/psql`, ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', socket, '-U', 'postgres', '-d', database, ...commands],
        { encoding: 'utf8', env: { PATH: process.env.PATH } }).trim();
}

// A connection that stays: say(sql), said() so far, end(sql), by which it goes.
function session(socket, database) {
    const child = spawn(`${postgresPrograms()}/psql`, ['-X', '-q', '-A', '-t', '-h', socket, '-U', 'postgres', '-d', database],
        { env: { PATH: process.env.PATH }, stdio: ['pipe', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (bytes) => { text += bytes; });
    return { say: (sql) => child.stdin.write(`${sql}\n`), said: () => text, end: (sql) => child.stdin.end(`${sql}\n`) };
}

/** A fresh database in the shared cluster. `query(sql)` runs as superuser and gives the rows, fields separated by `|`. */
export async function freshDatabase(temporaryRoot) {
    if (!process.env.STOA_TEST_PG) {
        cluster ??= startCluster(temporaryRoot).then((started) => {
            process.prependListener('exit', () => started.stop()); // before its files go
            return started;
        });
        process.env.STOA_TEST_PG = (await cluster).socket;
    }
    await cluster;
    const socket = process.env.STOA_TEST_PG;
    const name = `t_${process.pid}_${++databases}`;
    query(socket, `CREATE DATABASE ${name} TEMPLATE stoa_template OWNER ${ROLE}`, 'postgres');
    return {
        name,
        url: `postgresql://${ROLE}@/${name}?host=${encodeURIComponent(socket)}&connect_timeout=15`,
        query: (sql) => query(socket, sql, name),
        session: () => session(socket, name),
        drop: () => query(socket, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`, 'postgres'),
    };
}
