// The command line against a real server, as a person and as a script uses it: from a file to a link and back again.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { request, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';

let server;
let home; // HOME of the commands, and where they run
const ENV = { PATH: process.env.PATH, ASAN_OPTIONS: 'exitcode=99', UBSAN_OPTIONS: 'halt_on_error=1' };

before(async () => {
    server = await startServer();
    home = temporaryDirectory('cli');
});
after(() => server?.stop());

/** Runs `stoa` with its own HOME; gives {code, out, err}. The server and token come by environment unless `env` says otherwise. */
function stoa(args, { env = { STOA_URL: server.console, STOA_TOKEN: server.token }, input } = {}) {
    const child = start(args, env);
    child.stdin.end(input);
    return child.done;
}

function start(args, env = { STOA_URL: server.console, STOA_TOKEN: server.token }) {
    const child = spawn(server.stoaBin, args, { cwd: home, env: { ...ENV, HOME: home, ...env } });
    child.text = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (part) => { child.text.out += part; });
    child.stderr.setEncoding('utf8').on('data', (part) => { child.text.err += part; });
    child.done = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code: code ?? signal, ...child.text })));
    return child;
}

/** Fails with all that was said when the exit code is another. */
async function expectExit(code, args, options) {
    const ran = await stoa(args, options);
    assert.equal(ran.code, code, `stoa ${args.join(' ')}\n${ran.out}${ran.err}`);
    return ran;
}

const ok = (args, options) => expectExit(0, args, options);
const write = (name, text) => {
    const file = path.join(home, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    return file;
};
const pie = (name, page, more = '') => `---
name: ${name}
displayName: The ${name}
version: 1.0.0
tier: tool
---
${more}===public-file:index.html===
${page}
===public-file:index.html===
`;
const lastLine = (text) => text.trimEnd().split('\n').at(-1);
const page = async (link) => (await request(link)).text;

test('one command turns a .pie file into a link that opens', async () => {
    write('first.pie', pie('first', 'hello one'));
    const { out } = await ok(['deploy', 'first.pie']);
    const link = lastLine(out);
    assert.match(link, /^http:\/\/127\.0\.0\.1:\d+\/apps\/first\/first-[0-9a-f]{8}\/$/);
    assert.equal(await page(link), 'hello one');
    assert.match(out, /^Deployed The first \(first\) 1\.0\.0, 1 file, 9 B\n/);
    assert.match(out, /\n  \+  index\.html +9 B\n/);
    assert.ok(!out.includes('\x1b'), 'no colours where no terminal is');
});

test('--quiet prints the link alone, and the same file again is said to be unchanged', async () => {
    const { out } = await ok(['deploy', 'first.pie', '--quiet']);
    assert.match(out, /^http:\S+\n$/);
    assert.match((await ok(['deploy', 'first.pie'])).out, /^Unchanged: The first/);
});

test('--dry-run shows what would change and changes nothing', async () => {
    write('second.pie', pie('first', 'hello two'));
    const { out } = await ok(['deploy', 'second.pie', '--dry-run']);
    assert.match(out, /^Would deploy The first/);
    assert.match(out, /\n  ~  index\.html/);
    const link = (await ok(['open', 'first'])).out.trim();
    assert.equal(await page(link), 'hello one');
});

test('every problem of a file is printed at its line, and the exit code is 1', async () => {
    write('bad.pie', '---\nname: Not A Slug\nname: twice\ntier: \\u001b[31mred\n---\n===public-file:../\u001b[31mx===\n===public-file:../\u001b[31mx===\n');
    const { out, err } = await expectExit(1, ['deploy', 'bad.pie']);
    assert.equal(out, '');
    const places = err.split('\n').filter((line) => /^bad\.pie:\d+(:\d+)?: /.test(line));
    assert.ok(places.length >= 4, err);
    assert.ok(!err.includes('\x1b'), 'strangers do not drive the terminal');
    const { out: json, err: nothing } = await expectExit(1, ['deploy', 'bad.pie', '--json']);
    assert.equal(nothing, '');
    const error = JSON.parse(json);
    assert.equal(error.code, 'invalid_pie');
    assert.equal(error.details.problems.length, places.length);
    for (const problem of error.details.problems) assert.ok(err.includes(problem.message), `the same words: ${problem.message}`);
});

test('a folder becomes an app named after it, whole and without what is not meant for visitors', async () => {
    write('my-site/index.html', '<h1>site</h1>');
    write('my-site/css/ünïcode.css', 'body{}');
    write('my-site/.env', 'SECRET=1');
    write('my-site/.git/config', 'x');
    const { out, err } = await ok(['deploy', 'my-site']);
    const link = lastLine(out);
    assert.match(link, /\/apps\/my-site\/my-site-/);
    assert.equal(await page(link), '<h1>site</h1>');
    assert.equal(await page(new URL('css/%C3%BCn%C3%AFcode.css', link)), 'body{}');
    assert.match(err, /Made the app "my-site"/);
    assert.match(err, /Left out: \.env, \.git\//);
    assert.match((await ok(['deploy', 'my-site'])).out, /^Unchanged: /);
    await ok(['deploy', 'my-site', '--plugin', 'named']);
    assert.match((await ok(['open', 'named'])).out, /\/apps\/named\//);
});

test('a link in a folder is refused by name before anything is sent, and a new app is taken back when its files are refused', async () => {
    write('linked/index.html', 'x');
    fs.symlinkSync('/etc/passwd', path.join(home, 'linked/passwd'));
    const { err } = await expectExit(1, ['deploy', 'linked']);
    assert.match(err, /^linked\/passwd: A symbolic link/m);
    fs.rmSync(path.join(home, 'linked/passwd'));
    write('linked/public-config.yaml', 'entry: absent.html\n');
    const refused = await expectExit(1, ['deploy', 'linked']);
    assert.match(refused.err, /^linked\/public-config\.yaml:1(:\d+)?: /m);
    assert.doesNotMatch(refused.err, /Made the app/);
    await expectExit(3, ['open', 'linked']);
});

test('an archive needs to be told its app', async () => {
    await ok(['export', 'my-site', '-o', 'copy.tar']);
    await expectExit(2, ['deploy', 'copy.tar']);
    const { out } = await ok(['deploy', 'copy.tar', '--plugin', 'from-archive']);
    assert.equal(await page(lastLine(out)), '<h1>site</h1>');
    assert.equal(await page(new URL('css/%C3%BCn%C3%AFcode.css', lastLine(out))), 'body{}', 'a name that is not ASCII comes through');
    write('photo.tar', 'GIF89a');
    assert.match((await expectExit(1, ['deploy', 'photo.tar', '--plugin', 'x'])).err, /neither a \.pie file nor an archive/);
});

test('rollback goes to the deployment before, and to a named one', async () => {
    const link = lastLine((await ok(['deploy', 'second.pie'])).out);
    assert.equal(await page(link), 'hello two');
    const listed = JSON.parse((await ok(['deployments', 'first', '--json'])).out).data;
    assert.equal(listed.length, 2);
    assert.equal(lastLine((await ok(['rollback', 'first'])).out), link);
    await until(async () => (await page(link)) === 'hello one', 'the first page again', 3000 * slowness());
    assert.match((await ok(['deployments', 'first'])).out, new RegExp(`\\n\\* +${listed[1].id} +.*(ago|just now)`));
    await expectExit(6, ['rollback', 'first']); // nothing is older
    await ok(['rollback', 'first', listed[0].id]);
    await until(async () => (await page(link)) === 'hello two', 'the second page again', 3000 * slowness());
    await expectExit(3, ['rollback', 'first', 'nonsense']);
});

test('deployments --rm deletes one that visitors do not see, after asking', async () => {
    for (const text of ['one', 'two', 'three']) await ok(['deploy', write('tidy.pie', pie('tidy', text)), '-q']);
    const ids = async () => (await ok(['deployments', 'tidy', '-q'])).out.trim().split('\n');
    const [three, two, one] = await ids();
    assert.match((await expectExit(2, ['deployments', 'tidy', '--rm', one])).err, /Nothing was deleted/); // nobody said yes
    assert.deepEqual(await ids(), [three, two, one]);
    assert.equal((await ok(['deployments', 'tidy', '--rm', one, '--yes'])).out, `Deleted deployment ${one}\n`);
    assert.equal(JSON.parse((await ok(['deployments', 'tidy', '--rm', two, '--yes', '--json'])).out).id, two);
    assert.match((await expectExit(6, ['deployments', 'tidy', '--rm', three, '--yes'])).err, /live deployment/);
    await expectExit(3, ['deployments', 'tidy', '--rm', two, '-y']);
    await ok(['deploy', write('tidy.pie', pie('tidy', 'four')), '-q']);
    assert.equal((await ok(['deployments', 'tidy', '--rm', three, '-y', '-q'])).out, '');
    assert.equal((await ids()).length, 1);
    await ok(['delete', 'tidy', '--yes']);
});

test('an exported .pie is the one that was deployed', async () => {
    await ok(['export', 'first', '--source', '-o', 'out.pie']);
    assert.equal(fs.readFileSync(path.join(home, 'out.pie'), 'utf8'), fs.readFileSync(path.join(home, 'second.pie'), 'utf8'));
    await expectExit(7, ['export', 'first', '--source', '-o', 'out.pie']); // it is there already
    await ok(['export', 'first', '--source', '-o', 'out.pie', '--force']);
    const { out } = await ok(['export', 'first', '--source', '-o', '-']);
    assert.equal(out, fs.readFileSync(path.join(home, 'second.pie'), 'utf8'));
    await expectExit(3, ['export', 'absent']);
    assert.ok(!fs.readdirSync(home).some((name) => name.endsWith('.part')));
});

test('apps lists all pages of apps, aligned', async () => {
    const { out } = await ok(['apps']);
    const lines = out.trimEnd().split('\n');
    const column = lines[0].indexOf('LINK');
    assert.match(lines[0], /^APP +NAME +VERSION +CHANGED +LINK$/);
    for (const line of lines.slice(1)) assert.equal(line.indexOf('http://'), column, out);
    const all = JSON.parse((await ok(['apps', '--json'])).out);
    assert.deepEqual(all.data.map((app) => app.slug).sort(), ['first', 'from-archive', 'my-site', 'named']);
});

test('instances are listed, made and deleted', async () => {
    const made = await ok(['instances', 'first', '--new']);
    const link = lastLine(made.out);
    assert.equal(await page(link), 'hello two');
    const slug = new URL(link).pathname.split('/')[3];
    assert.match((await ok(['instances', 'first'])).out, new RegExp(`^${slug} `, 'm'));
    await expectExit(2, ['instances', 'first', '--rm', slug]); // nobody said yes
    await ok(['instances', 'first', '--rm', slug, '--yes']);
    assert.ok(!(await ok(['instances', 'first'])).out.includes(slug));
});

test('a domain that has nowhere to lead says which settings are missing', async () => {
    const { out } = await ok(['domain', 'add', 'forms.customer-one.com', 'first']);
    assert.match(out, /operator has not said where names may point.* domain_addresses or instance_domain /);
    await ok(['domain', 'rm', 'forms.customer-one.com', '--yes']);
});

test('tokens: made, used within their scope, revoked', async () => {
    const { out, err } = await ok(['token', 'create', 'ci', '--scope', 'read', '--expires', '2d']);
    assert.match(out, /^stoa_[A-Za-z0-9_-]{43}\n$/);
    assert.match(err, /not shown again/);
    const env = { STOA_URL: server.console, STOA_TOKEN: out.trim() };
    await ok(['apps'], { env });
    await expectExit(4, ['deploy', 'first.pie'], { env });
    const row = (await ok(['token', 'list'])).out.split('\n').find((line) => line.includes(' ci '));
    assert.match(row, / read .*in 1 day/);
    await ok(['token', 'revoke', row.split(' ')[0]]);
    await expectExit(4, ['apps'], { env });
    const project = await ok(['project', 'create', 'Other']);
    const other = { STOA_URL: server.console, STOA_TOKEN: project.out.trim() };
    await expectExit(3, ['open', 'first'], { env: other }); // another project's app is not there
});

test('login keeps a token for one origin, in a file nobody else can read', async () => {
    const env = {};
    await expectExit(5, ['apps'], { env: { XDG_STATE_HOME: home, STOA_URL: 'http://127.0.0.1:1', STOA_TOKEN: 'x' } });
    await expectExit(4, ['login', server.console], { env, input: `stoa_${'A'.repeat(43)}\n` });
    assert.ok(!fs.existsSync(path.join(home, '.config/stoa')), 'a bad token is not kept');
    const { out, err } = await ok(['login', server.console], { env, input: `${server.token}\n` });
    assert.ok(!`${out}${err}`.includes(server.token));
    const kept = path.join(home, '.config/stoa/credentials.json');
    assert.equal(fs.statSync(kept).mode & 0o777, 0o600);
    await ok(['apps'], { env });
    // another port is another origin: the token stays here
    await expectExit(4, ['apps', '--url', server.admin], { env });
    fs.chmodSync(kept, 0o644);
    await expectExit(4, ['apps'], { env });
    fs.chmodSync(kept, 0o600);
    await ok(['logout'], { env });
    assert.ok(!fs.readFileSync(kept, 'utf8').includes(server.token));
});

test('the ready file of a data directory is enough', async () => {
    const ready = path.join(server.dataDir, 'ready.json');
    assert.ok(server.readyFile !== ready); // ready_file names a second place, not another
    try {
        await ok(['apps', '--data', server.dataDir], { env: {} });
        await ok(['apps', '--url', server.console, '--data', server.dataDir, '--token-file', server.tokenFile], { env: {} });
        fs.chmodSync(ready, 0o666);
        assert.match((await expectExit(4, ['apps', '--data', server.dataDir], { env: {} })).err, /others may write to it/);
    } finally {
        fs.rmSync(ready);
    }
    await expectExit(5, ['apps', '--data', server.dataDir], { env: {} });
});

test('a wrong server is told apart from a refusal', async () => {
    const code = async (url, exit) => JSON.parse((await expectExit(exit, ['apps', '--json'], { env: { STOA_URL: url, STOA_TOKEN: 'x' } })).out).code;
    const other = http.createServer((call, answer) => {
        if (call.headers.host.startsWith('localhost')) answer.writeHead(302, { location: server.console });
        answer.end('<h1>It works!</h1>');
    });
    await new Promise((done) => { other.listen(0, '127.0.0.1', done); });
    const { port } = other.address();
    try {
        assert.equal(await code(`http://127.0.0.1:${port}`, 5), 'not_a_stoa_server');
        assert.equal(await code(`http://localhost:${port}`, 5), 'not_a_stoa_server'); // a redirect is not followed
    } finally {
        other.close();
    }
    assert.equal(await code('http://127.0.0.1:1', 5), 'unreachable');
    assert.equal(await code('http://stoa.example', 4), 'insecure_url');
    const { err } = await expectExit(3, ['apps'], { env: { STOA_URL: server.apps, STOA_TOKEN: 'x' } });
    assert.match(err, /Is http:\S+ the console's origin\?/);
});

test('--watch deploys each save, however it is saved, and Ctrl-C ends it with 0', async () => {
    const file = write('watched.pie', pie('watched', 'save 0'));
    const child = start(['deploy', 'watched.pie', '--watch', '--quiet']);
    const saves = (n) => until(() => child.text.out.split('\n').length > n, `${n} links:\n${child.text.err}`, 10000 * slowness());
    await saves(1);
    const link = child.text.out.trim();
    assert.equal(await page(link), 'save 0');
    fs.writeFileSync(file, pie('watched', 'save 1')); // in place
    await saves(2);
    fs.writeFileSync(`${file}.new`, pie('watched', 'save 2')); // by renaming over it
    fs.renameSync(`${file}.new`, file);
    await saves(3);
    await until(async () => (await page(link)) === 'save 2', 'the page of the last save', 3000 * slowness());
    fs.writeFileSync(file, '---\nbroken'); // a file with problems does not end it
    await until(() => /watched\.pie/.test(child.text.err), 'the problems');
    fs.writeFileSync(file, pie('watched', 'save 3'));
    await saves(4);
    child.kill('SIGINT');
    assert.equal((await child.done).code, 0);
});

test('--watch follows a folder that is made anew', async () => {
    write('built/index.html', 'build 0');
    const folder = path.join(home, 'built');
    const child = start(['deploy', 'built', '--watch', '--quiet']);
    const saves = (n) => until(() => child.text.out.split('\n').length > n, `${n} links:\n${child.text.err}`, 10000 * slowness());
    await saves(1);
    const link = child.text.out.trim();
    fs.rmSync(folder, { recursive: true });
    write('built/index.html', 'build 1');
    write('built/deep/er/x.js', '1');
    await until(async () => (await page(link)) === 'build 1', 'the new build', 10000 * slowness());
    write('built/deep/er/x.js', '2'); // in a folder that was not there at the start
    await until(async () => (await page(new URL('deep/er/x.js', link))) === '2', 'the new file', 10000 * slowness());
    child.kill('SIGINT');
    assert.equal((await child.done).code, 0);
});

test('delete asks, and then the app is gone', async () => {
    const link = (await ok(['open', 'watched'])).out.trim();
    assert.match((await expectExit(2, ['delete', 'watched'])).err, /Nothing was deleted/);
    assert.match((await ok(['delete', 'watched', '--dry-run'])).out, /^Would delete "watched"/);
    await ok(['delete', 'watched', '--yes']);
    await until(async () => (await request(link)).status === 404, 'the link to end', 3000 * slowness());
    await expectExit(3, ['delete', 'watched', '--yes']);
});

test('names of strangers cannot leave their path segment', async () => {
    for (const name of ['..', '.', '../../healthz', 'a/b', 'a?dryRun=true', '%2e%2e', '']) {
        const { code } = await stoa(['open', name]);
        assert.equal(code, 3, `open ${JSON.stringify(name)}`);
    }
});

test('what could not be written is told, and is no success', async () => {
    const full = fs.openSync('/dev/full', 'w');
    const env = { ...ENV, HOME: home, STOA_URL: server.console, STOA_TOKEN: server.token };
    for (const args of [['apps'], ['apps', '--json'], ['version', '--json'], ['help'], ['open', 'first', '--print']]) {
        const child = spawn(server.stoaBin, args, { cwd: home, env, stdio: ['ignore', full, 'pipe'] });
        let err = '';
        child.stderr.setEncoding('utf8').on('data', (part) => { err += part; });
        const code = await new Promise((resolve) => child.on('close', resolve));
        assert.equal(code, 7, args.join(' '));
        assert.match(err, /^stoa: What this printed could not be written in full/m, args.join(' '));
    }
    fs.closeSync(full);
});

test('a reader that has seen enough is told nothing', async () => {
    const env = { ...ENV, HOME: home, STOA_URL: server.console, STOA_TOKEN: server.token };
    const child = spawn('sh', ['-c', '"$0" help | true; sleep 0.2; { sleep 0.3; "$0" help; } | true', server.stoaBin], { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (part) => { err += part; });
    await new Promise((resolve) => child.on('close', resolve));
    assert.equal(err, '');
});

test('lists with nothing in them say so', async () => {
    write('bare.pie', pie('bare', 'x'));
    await ok(['deploy', 'bare.pie']);
    assert.match((await ok(['secrets', 'bare'])).err, /^The manifest of "bare" asks for no secrets\.$/m);
    assert.match((await ok(['config', 'bare'])).err, /^The manifest asks for no values\.$/m);
    await ok(['delete', 'bare', '--yes']);
});

test('what goes on by itself ends when nobody reads it any more', async () => {
    write('left.pie', pie('left', 'x'));
    await ok(['deploy', 'left.pie']);
    for (const args of [['runs', 'left', '--follow'], ['events', 'left', '--follow'], ['deploy', 'left.pie', '--watch']]) {
        const child = start(args);
        child.stdin.end();
        let ended;
        child.done.then((ran) => { ended = ran; });
        if (args[0] === 'deploy') await until(() => /left/.test(child.text.out), 'the first deploy');
        else await new Promise((done) => { setTimeout(done, 500); });
        assert.equal(ended, undefined, `it waits: ${args.join(' ')}\n${child.text.err}`);
        child.stdout.destroy();
        try {
            await until(() => child.exitCode !== null, `the end of stoa ${args.join(' ')}`);
            assert.equal(child.exitCode, 0, child.text.err);
        } finally {
            child.kill('SIGKILL');
        }
    }
});

test('--plugin names the app of a .pie file too, and a file of another name is refused', async () => {
    write('mine.pie', pie('mine', 'one'));
    for (const more of [['--dry-run'], []]) {
        const refused = await expectExit(6, ['deploy', 'mine.pie', '--plugin', 'yours', '--json', ...more]);
        assert.equal(JSON.parse(refused.out).code, 'slug_mismatch'); // "yours" is no app yet
        await expectExit(3, ['open', 'mine', '--print']);
        await expectExit(3, ['open', 'yours', '--print']);
    }
    assert.match((await ok(['deploy', 'mine.pie', '--plugin', 'mine', '--dry-run'])).out, /^Would deploy The mine/);
    await expectExit(3, ['open', 'mine', '--print']);
    assert.equal(await page(lastLine((await ok(['deploy', 'mine.pie', '--plugin', 'mine'])).out)), 'one');
    write('mine.pie', pie('mine', 'two'));
    assert.equal(await page(lastLine((await ok(['deploy', 'mine.pie', '--plugin', 'mine'])).out)), 'two');
    write('yours.pie', pie('yours', 'x'));
    await ok(['deploy', 'yours.pie']);
    write('only/mine.pie', pie('mine', 'three'));
    const other = await expectExit(6, ['deploy', 'only', '--plugin', 'yours', '--json']);
    assert.equal(JSON.parse(other.out).code, 'slug_mismatch');
    await expectExit(1, ['deploy', 'bad.pie', '--plugin', 'nobody']);
});

test('a dry run of a new folder says what it does not know', async () => {
    write('fresh/index.html', 'x');
    write('fresh/public-config.yaml', 'entry: absent.html\n');
    const { out, err } = await ok(['deploy', 'fresh', '--dry-run']);
    assert.match(out, /^Would deploy Fresh \(fresh\) 0\.1\.0, 1 file, 1 B\n  \+  index\.html +1 B\n$/);
    assert.match(err, /^warning: the server has not checked the files/m);
    assert.equal(err.match(/warning/g).length, 1, err); // none about a .pie file that nobody wrote
    const json = JSON.parse((await ok(['deploy', 'fresh', '--dry-run', '--json'])).out);
    assert.deepEqual(json.deployment.changes.map((change) => change.path), ['index.html']);
    assert.match(json.warnings[0].message, /has not checked/);
    // of an archive not even how many files it has
    execFileSync('tar', ['-czf', path.join(home, 'fresh.tgz'), '-C', path.join(home, 'fresh'), '.']);
    const packed = await ok(['deploy', 'fresh.tgz', '--plugin', 'packed', '--dry-run']);
    assert.match(packed.out, /^Would deploy Packed \(packed\) 0\.1\.0\n$/);
});

test('login takes STOA_TOKEN before what stands on stdin', async () => {
    await ok(['login', server.console], { env: { STOA_TOKEN: server.token } });
    await ok(['apps'], { env: {} });
    await ok(['logout'], { env: {} });
    // a token of STOA_URL's is not another server's
    const other = { STOA_URL: 'https://stoa.example', STOA_TOKEN: server.token };
    await expectExit(4, ['login', server.console], { env: other });
    await ok(['login', server.console], { env: other, input: `${server.token}\n` });
    await ok(['logout'], { env: {} });
});

test('what newcomers type first is understood', async () => {
    for (const args of [['--version'], ['-V']]) assert.match((await ok(args, { env: {} })).out, /^stoa \d/);
    for (const args of [['serve', '-h'], ['serve', '--help']]) assert.match((await ok(args, { env: {} })).out, /^Usage: stoa serve/);
    assert.match((await ok(['serve', '--help'], { env: {} })).out, /session_algorithm = ES256\n.*: ES256\|RS256\.\n/);
    assert.match((await ok(['token', '--help'], { env: {} })).out, /stoa token create.*stoa token revoke/s);
});

test('what was refused of a request is said field by field, in words for people', async () => {
    const scope = await expectExit(1, ['token', 'create', 'x'.repeat(300), '--scope', 'all']);
    assert.match(scope.err, /^stoa: Some fields of the request cannot be accepted\.\n( {2}(name|scope): .+\n){2}$/);
    const platform = await ok(['platform', 'create', 'orbit', '-q']);
    const env = { STOA_URL: server.console, STOA_TOKEN: platform.out.trim() };
    const { err } = await expectExit(3, ['pieces', 'no-such-app', 'offered=yes'], { env });
    assert.match(err, /^stoa: .* nothing was changed\.\n {2}no-such-app\n$/);
    const key = await expectExit(1, ['instance', 'settings', 'first', 'origins=nonsense']);
    assert.match(key.err, /\n {2}allowedOrigins\[0\]: /);
    for (const ran of [scope, { err }, key]) assert.doesNotMatch(ran.err, /details\./);
});

test('an app that is not there is called by its name, whatever was asked of it', async () => {
    for (const args of [['open'], ['deployments'], ['rollback'], ['instances'], ['data'], ['export'], ['delete', '--yes'], ['secrets'], ['runs'], ['invoke', 'x']]) {
        const { err } = await expectExit(3, [args[0], 'notes', ...args.slice(1)]);
        assert.match(err, /^stoa: There is no app "notes" in this project.* `stoa apps` lists what there is\.\n$/, args[0]);
    }
});

test('a token that is refused is told in the words of the command line', async () => {
    const bad = `stoa_${'A'.repeat(43)}`;
    for (const ran of [await expectExit(4, ['apps'], { env: { STOA_URL: server.console, STOA_TOKEN: bad } }), await expectExit(4, ['login', server.console], { env: {}, input: bad })]) {
        assert.match(ran.err, /The server refused this token: .*`stoa login http/);
        assert.doesNotMatch(ran.err, /Bearer/);
    }
    await expectExit(7, ['apps', '--token-file', '/nonexistent']);
});

test('a server whose token is another user\'s is told apart from one that cannot be trusted', { skip: process.getuid() !== 0 && 'needs root' }, async () => {
    const data = temporaryDirectory('theirs');
    fs.chmodSync(data, 0o755);
    fs.mkdirSync(path.join(data, 'keys'), { mode: 0o700 });
    fs.writeFileSync(path.join(data, 'keys/owner.token'), `${server.token}\n`, { mode: 0o600 });
    const ready = { ...JSON.parse(fs.readFileSync(server.readyFile, 'utf8')), tokenFile: path.join(data, 'keys/owner.token') };
    fs.writeFileSync(path.join(data, 'ready.json'), JSON.stringify(ready), { mode: 0o644 });
    const program = path.join(data, 'stoa'); // the checkout may be root's alone
    fs.copyFileSync(server.stoaBin, program);
    const asNobody = () => new Promise((resolve) => {
        const child = spawn(program, ['apps', '--data', data], { cwd: '/', env: { ...ENV, HOME: '/nonexistent' }, uid: 65534, gid: 65534 });
        let err = '';
        child.stderr.setEncoding('utf8').on('data', (part) => { err += part; });
        child.on('close', (code) => resolve({ code, err }));
    });
    for (const mode of [0o700, 0o755]) { // not to be found, and found but not to be read
        fs.chmodSync(path.join(data, 'keys'), mode);
        const { code, err } = await asNobody();
        assert.equal(code, 4, err);
        assert.match(err, /^stoa: You may not read \S+\/owner\.token: use sudo, or `stoa login URL`\.\n$/);
    }
    const none = await expectExit(5, ['apps'], { env: { XDG_STATE_HOME: '/nonexistent', HOME: '/nonexistent' } });
    assert.match(none.err, /--data or STOA_DATA/);
});

test('--quiet prints a list\'s names alone', async () => {
    const quiet = async (...args) => (await ok([...args, '-q'])).out;
    const json = async (...args) => JSON.parse((await ok([...args, '--json'])).out);
    const lines = (list, key) => list.map((one) => `${one[key]}\n`).join('');
    assert.equal(await quiet('deployments', 'first'), lines((await json('deployments', 'first')).data, 'id'));
    assert.equal(await quiet('instances', 'first'), lines((await json('instances', 'first')).data, 'id'));
    assert.equal(await quiet('token', 'list'), lines((await json('token', 'list')).data, 'id'));
    assert.equal(await quiet('pieces'), lines((await json('pieces')).data, 'slug'));
    write('quiet.pie', pie('quiet', 'x').replace('tier: tool\n', `tier: tool
manifest:
  trigger: manual
  userSecrets:
    KEY: { description: any }
  database:
    tables:
      notes:
        columns: { id: "uuid primary key default gen_random_uuid()" }
`).replace('---\n===', '---\nmodule.exports = { handler: async () => { throw new Error("no"); } };\n==='));
    await ok(['deploy', 'quiet.pie']);
    assert.equal(await quiet('secrets', 'quiet'), 'KEY\n');
    assert.equal(await quiet('data', 'quiet'), 'notes\n');
    const failed = await expectExit(1, ['invoke', 'quiet', 'x']);
    assert.match(failed.err, /`stoa runs quiet --outcome handler_error`/);
});

test('the empty deployment that a folder\'s app begins with is marked, and a rollback to it says what that means', async () => {
    const { out } = await ok(['deployments', 'named']);
    const empty = out.trimEnd().split('\n').at(-1);
    assert.match(empty, /no public files$/);
    assert.equal(out.match(/no public files/g).length, 1);
    const back = await ok(['rollback', 'named', empty.trim().split(/ +/)[0]]);
    assert.match(back.out, /^The app is now at deployment /);
    assert.match(back.err, /It has no public files, so it has no link\./);
});

test('a subscription to an address that is never connected to is warned of', async () => {
    for (const url of ['http://localhost:3000/x', 'http://127.0.0.1/x', 'https://[::1]:8443/', 'http://10.1.2.3', 'http://app.localhost/'])
        assert.match((await ok(['subscriptions', 'add', url])).err, /public addresses only.*fetch_allow/, url);
    for (const url of ['https://hook.example/localhost', 'http://localhost.example/', 'https://hook.example/?u=http://127.0.0.1/'])
        assert.doesNotMatch((await ok(['subscriptions', 'add', url])).err, /warning/, url);
});
