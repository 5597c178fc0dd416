// The command line on the server's own machine, where nobody logged in: the ready file of the data directory says where the server is, how it
// is to be called, and with which token.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startServer, temporaryDirectory } from '../harness/server.mjs';

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

/** A server with its ready file where commands look for it; `use` is given it. */
async function withServer(settings, use) {
    const dataDir = path.join(temporaryDirectory('local'), 'data');
    const server = await startServer({ dataDir, settings });
    const ready = path.join(dataDir, 'ready.json');
    fs.copyFileSync(server.readyFile, ready);
    fs.chmodSync(ready, 0o644);
    try {
        await use(server);
    } finally {
        fs.rmSync(ready);
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
    }));
}
