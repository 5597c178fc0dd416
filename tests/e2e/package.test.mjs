// The Debian package: what is in it, whether it works unpacked, and with STOA_FULL=1 as root installed and removed. What is not seen here is
// systemd starting the unit, for a test machine has none running: the unit is verified and scored offline, and its capabilities are tried.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { buildFolder, plainEnvironment, request, startServer, temporaryDirectory } from '../harness/server.mjs';

const work = temporaryDirectory('package');
const unpacked = path.join(work, 'root');
let deb;

const run = (program, args, options = {}) => execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });

before(() => {
    run('cpack', ['-G', 'DEB', '-B', work, '--config', path.join(buildFolder('release'), 'CPackConfig.cmake')], { cwd: buildFolder('release') });
    deb = fs.readdirSync(work).filter((f) => f.endsWith('.deb')).map((f) => path.join(work, f))[0];
    fs.mkdirSync(unpacked);
    run('dpkg-deb', ['-x', deb, unpacked]);
    fs.chmodSync(unpacked, 0o755);
});

test('it holds the programs, the manual page, the configuration and the unit, owned by root', () => {
    const files = new Map(run('dpkg-deb', ['-c', deb]).trim().split('\n').map((line) => {
        const [mode, owner, , , , ...name] = line.split(/\s+/);
        return [name.join(' ').replace(/^\./, ''), { mode, owner }];
    }));
    for (const [name, mode] of Object.entries({
        '/usr/lib/stoa/stoa': '-rwxr-xr-x', '/usr/lib/stoa/stoa-inspect': '-rwxr-xr-x', '/usr/lib/stoa/stoa-inspect-files': '-rwxr-xr-x', '/usr/bin/stoa -> ../lib/stoa/stoa': 'lrwxrwxrwx',
        '/etc/stoa/stoa.yaml': '-rw-r--r--', '/usr/lib/systemd/system/stoa.service': '-rw-r--r--', '/usr/lib/sysusers.d/stoa.conf': '-rw-r--r--',
        '/usr/share/man/man1/stoa.1.gz': '-rw-r--r--', '/usr/lib/stoa/stoa-one-session.so': '-rw-r--r--',
    })) {
        assert.equal(files.get(name)?.mode, mode, name);
        assert.equal(files.get(name).owner, 'root/root', name);
    }
    const depends = run('dpkg-deb', ['-f', deb, 'Depends']);
    for (const library of ['libh2o-evloop', 'libssl3', 'libpq5', 'libarchive13', 'libmagic-mgc', 'libjpeg62-turbo', 'libwebpmux3', 'libseccomp2', 'postgresql-15']) assert.match(depends, new RegExp(`\\b${library}`));
    assert.deepEqual(run('dpkg-deb', ['-I', deb, 'conffiles']).trim(), '/etc/stoa/stoa.yaml');
    for (const script of ['postinst', 'prerm', 'postrm']) assert.match(run('dpkg-deb', ['-I', deb, script]), /^#!\/bin\/sh/);
});

test('the unpacked program takes the shipped configuration', () => {
    const checked = spawnSync(path.join(unpacked, 'usr/bin/stoa'), ['serve', '--check', '--config', path.join(unpacked, 'etc/stoa/stoa.yaml')],
        { encoding: 'utf8', env: plainEnvironment() });
    assert.equal(checked.status, 0, checked.stderr);
});

test('the unpacked program serves', async () => {
    const server = await startServer({ program: path.join(unpacked, 'usr/bin/stoa'), privatePostgres: true });
    const answer = await server.api('GET', '/api/plugins');
    assert.equal(answer.status, 200, answer.text);
    await server.stop();
});

const systemd = spawnSync('systemd-analyze', ['--version']).status === 0;
test('systemd accepts the unit', { skip: systemd ? false : 'no systemd-analyze here' }, () => {
    const unit = path.join(work, 'stoa.service');
    const text = fs.readFileSync(path.join(unpacked, 'usr/lib/systemd/system/stoa.service'), 'utf8');
    fs.writeFileSync(unit, text.replaceAll('/usr/bin/stoa', path.join(unpacked, 'usr/bin/stoa')));
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
    assert.equal(verified.status, 0, verified.stderr);
    assert.doesNotMatch(verified.stderr, /stoa\.service/);
    const scored = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=40', unit], { encoding: 'utf8' });
    assert.equal(scored.status, 0, scored.stdout);
});

/** The calls that the unit's filter lets through: its lists in turn, "~" takes away. Its groups are systemd's own, said by systemd. */
function callsOf(unit) {
    const groups = new Map();
    let group;
    for (const line of run('systemd-analyze', ['syscall-filter']).split('\n')) {
        if (/^@/.test(line)) groups.set(line.trim(), group = []);
        else if (/^ +[-@a-z_0-9]+$/.test(line)) group?.push(line.trim());
        else if (/^#/.test(line)) group = undefined;
    }
    const expand = (name) => (groups.has(name) ? groups.get(name).flatMap(expand) : [name]);
    const allowed = new Set();
    for (const [, not, names] of unit.matchAll(/^SystemCallFilter=(~?)(.*)$/gm)) {
        for (const call of names.split(' ').flatMap(expand)) if (not) allowed.delete(call); else allowed.add(call);
    }
    return [...allowed];
}

const asRoot = { skip: process.getuid() !== 0 ? 'not root' : systemd ? false : 'no systemd-analyze here' };
test('the capabilities and the system calls the unit leaves are enough, at the first start and on what earlier ones left', asRoot, async (t) => {
    const unit = fs.readFileSync(path.join(unpacked, 'usr/lib/systemd/system/stoa.service'), 'utf8');
    const left = /^CapabilityBoundingSet=(.*)$/m.exec(unit)[1].split(' ').map((c) => `+${c.replace(/^CAP_/, '').toLowerCase()}`);
    const calls = path.join(work, 'calls');
    fs.writeFileSync(calls, callsOf(unit).join('\n'));
    const options = {
        program: path.join(unpacked, 'usr/bin/stoa'), privatePostgres: true, dataDir: path.join(temporaryDirectory('package-data'), 'data'), args: ['--listen-apps', '127.0.0.2:80'],
        under: [path.join(buildFolder(), 'tests/harness/filtered'), calls, 'setpriv', `--bounding-set=-all,${left}`, '--no-new-privs'],
    };
    let server = await startServer(options);
    t.after(() => server.stop());
    const page = `===public-file:index.html===\nhi\n===public-file:index.html===\n`;
    const made = await server.api('POST', '/api/plugins/import',
        `---\nname: low\ndisplayName: Low\nversion: 1.0.0\ntier: tool\n---\nmodule.exports = { handler: async () => 'done' };\n${page}`);
    assert.equal(made.status, 201, made.text);
    const works = async (when) => {
        assert.equal((await request(made.json.publicAppUrl)).text, 'hi', `a page, ${when}`);
        const actions = new URL(`/api/public-actions/${made.json.instance.slug}/`, made.json.publicAppUrl);
        const acted = await request(new URL('go', actions), { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
        assert.equal(acted.json?.data, 'done', `an action, ${when}: ${acted.text}`);
        const form = ['--b', 'Content-Disposition: form-data; name="file"; filename="a.txt"', 'Content-Type: text/plain', '', 'words', '--b--', ''].join('\r\n');
        const sent = await request(new URL('upload', actions), { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=b' }, body: form });
        assert.equal(sent.status, 200, `an upload, ${when}: ${sent.text}`);
        const archive = await server.api('POST', '/api/plugins/low/deployments', execFileSync('tar', ['-cz', '-C', unpacked, 'etc'], { encoding: 'buffer' }), { 'content-type': 'application/gzip' });
        assert.match(archive.text, /index\.html|deployment/, `an archive is read, ${when}`);
        assert.notEqual(archive.status, 503, archive.text);
    };
    await works('at first');
    await server.stop();
    server = await startServer(options);
    await works('after a stop');
    server.child.kill('SIGKILL'); // its PostgreSQL goes on, for the next to find
    await server.ended;
    server = await startServer(options);
    await works('after kill -9');
    await server.stop();
});

const mayInstall = process.env.STOA_FULL === '1' && process.getuid() === 0 && spawnSync('dpkg-query', ['-W', 'stoa']).status !== 0;
test('it installs, serves from /usr/bin, and is removed', { skip: mayInstall ? false : 'only with --full, as root, where stoa is not installed' }, async () => {
    run('dpkg', ['-i', deb]);
    try {
        for (const user of ['stoa', 'stoa-state', 'stoa-plugins', 'stoa-cage', 'stoa-handler']) run('getent', ['passwd', user]);
        const server = await startServer({ program: '/usr/bin/stoa', privatePostgres: true });
        assert.equal((await request(`${server.admin}/readyz`)).status, 200);
        await server.stop();
    } finally {
        run('dpkg', ['-r', 'stoa']);
    }
    assert.ok(!fs.existsSync('/usr/bin/stoa'));
    assert.ok(fs.existsSync('/etc/stoa/stoa.yaml'), 'the configuration stays until a purge');
    run('dpkg', ['-P', 'stoa']);
});
