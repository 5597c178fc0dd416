// The command line on the server's own machine, where nobody logged in: the ready file of the data directory says where the server is, how it
// is to be called, and with which token.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { repository, startServer, temporaryDirectory } from '../harness/server.mjs';

const home = temporaryDirectory('cli-local');
const ENV = { PATH: process.env.PATH, HOME: home, ASAN_OPTIONS: 'exitcode=99', UBSAN_OPTIONS: 'halt_on_error=1' };

/** Runs `stoa` in `home` with no login; gives {code, out, err}. */
function stoa(server, args, env = {}) {
    const child = spawn(server.stoaBin, args, { cwd: home, env: { ...ENV, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const text = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (part) => { text.out += part; });
    child.stderr.setEncoding('utf8').on('data', (part) => { text.err += part; });
    return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code: code ?? signal, ...text })));
}

/** A server that says elsewhere too that it is ready; `use` is given it. */
async function withServer(settings, use) {
    const dataDir = path.join(temporaryDirectory('local'), 'data');
    const server = await startServer({ dataDir, settings });
    try {
        await use(server);
    } finally {
        await server.stop();
    }
}

fs.writeFileSync(path.join(home, 'hello.pie'), `---
name: hello
displayName: Hello
version: 1.0.0
tier: tool
---
===public-file:index.html===
hello
===public-file:index.html===
`);

for (const origin of ['https://console.example.net', 'http://console.example.net:8443']) {
    test(`a server whose console is ${origin} elsewhere is found here all the same`, () => withServer({ console_origin: origin, insecure_origins: 'accepted' }, async (server) => {
        const deployed = await stoa(server, ['deploy', 'hello.pie', '--data', server.dataDir]);
        assert.equal(deployed.code, 0, deployed.err);
        const listed = await stoa(server, ['apps', '--data', server.dataDir]);
        assert.equal(listed.code, 0, listed.err);
        assert.match(listed.out, /^hello /m);
        // so is one named by the environment, or at the address that the ready file has
        const named = await stoa(server, ['apps'], { STOA_DATA: server.dataDir });
        assert.equal(named.code, 0, named.err);
        const addressed = await stoa(server, ['apps', '--url', server.console], { STOA_DATA: server.dataDir });
        assert.equal(addressed.code, 0, addressed.err);
    }));
}

test('./dev up knows its data directory however it is named, and hands on the other settings', () => {
    const script = fs.readFileSync(path.join(repository, 'dev'), 'utf8');
    const take = /^take_data\(\)\n\{\n[^]*?^\}\n/m.exec(script)[0];
    const ask = (args, env = {}) => execFileSync('bash', ['-euc', `die() { echo "$*" >&2; exit 1; }\n${take}\ntake_data "$@"; printf '%s\\n' "$data" "$at" "\${rest[*]}"`, 'dev', ...args],
        { encoding: 'utf8', cwd: home, env: { PATH: process.env.PATH, HOME: home, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }).split('\n').slice(0, 3);
    const standard = process.getuid() === 0 ? '/var/lib/stoa' : path.join(home, '.local/state/stoa');
    assert.deepEqual(ask([]), [standard, '', '']);
    assert.deepEqual(ask(['--data', '/x', '--listen-apps', '127.0.0.1:0']), ['/x', ' --data /x', '--listen-apps 127.0.0.1:0']);
    assert.deepEqual(ask(['--set', 'a=b', '--data=/x/']), ['/x', ' --data /x', '--set a=b']);
    assert.deepEqual(ask(['--set', 'data=/x', '--set', 'c=d']), ['/x', ' --data /x', '--set c=d']);
    assert.deepEqual(ask(['--set=data=rel'], { STOA_DATA: '/y' }), [path.join(home, 'rel'), ` --data ${path.join(home, 'rel')}`, '']);
    assert.deepEqual(ask(['--check'], { STOA_DATA: '/y z' }), ['/y z', ' --data /y\\ z', '--check']);
    assert.throws(() => ask(['--data']), /--data needs a directory/);
});
