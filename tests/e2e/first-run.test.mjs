// What a person meets first: ./dev up on a fresh data directory, again on the same one, and Ctrl-C; the product of ./dev embed-demo; help.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { freePort } from '../harness/names.mjs';
import { processTree, stillThere } from '../harness/processes.mjs';
import { plainEnvironment, repository, request, temporaryDirectory, until } from '../harness/server.mjs';

const FREE_PORTS = ['--listen-apps', '127.0.0.1:0', '--listen-console', '127.0.0.1:0', '--listen-admin', '127.0.0.1:0'];
const data = path.join(temporaryDirectory('up'), 'data');
const started = new Set();
after(() => started.forEach((up) => up.tree().forEach((p) => process.kill(p.pid, 'SIGKILL'))));

async function dev(command, args, env = {}) {
    const child = spawn(path.join(repository, 'dev'), [command, ...args],
        { cwd: repository, env: { ...plainEnvironment(), STOA_DATA: data, NO_COLOR: '1', ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const up = { child, text: '', tree: () => processTree(child.pid) };
    started.add(up);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part) => { up.text += part; });
    up.ended = new Promise((resolve) => child.on('close', (code) => { started.delete(up); resolve(code); }));
    return up;
}

const devUp = (args) => dev('up', args);

const linkOf = (up, name = 'app') => until(() => {
    if (up.child.exitCode !== null) throw new Error(`./dev up ended:\n${up.text}`);
    return new RegExp(`^ +${name} +(http\\S+)$`, 'm').exec(up.text)?.[1];
}, `the ${name}'s link`, 300000);

// What is printed behind these words, run as it stands there.
async function printed(up, words) {
    const [, line] = await until(() => new RegExp(`${words} +build/release/stoa (\\S+ \\S+)`).exec(up.text), words);
    const command = line.split(' ');
    const run = spawn(path.join(repository, 'build/release/stoa'), [...command, '--data', data, '--json'],
        { env: plainEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    run.stdout.setEncoding('utf8').on('data', (part) => { text += part; });
    assert.equal(await new Promise((resolve) => run.on('close', resolve)), 0, text);
    return JSON.parse(text);
}

async function stopWith(up, signal) {
    const tree = up.tree();
    assert.ok(tree.some((p) => / serve-process$/.test(p.command)), 'the server is among its processes');
    process.kill(up.child.pid, signal);
    assert.equal(await up.ended, 0, up.text);
    await until(() => stillThere(tree).length === 0, 'every process to end', 5000);
    assert.ok(!fs.existsSync(path.join(data, 'ready.json')), 'the ready file is gone');
}

let firstLink;

test('up deploys the examples, and says where everything is', async () => {
    const up = await devUp(FREE_PORTS);
    firstLink = await linkOf(up);
    const page = await request(firstLink, { headers: { accept: 'text/html' } });
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'], /^text\/html/);
    const consoleUrl = /^ +console +(http\S+)$/m.exec(up.text)[1];
    assert.notEqual(new URL(consoleUrl).origin, new URL(firstLink).origin);
    assert.equal((await request(`${consoleUrl}/api/plugins`)).status, 401);
    const tokenFile = /^ +token +in (\/\S+)$/m.exec(up.text)[1];
    assert.equal(fs.statSync(tokenFile).mode & 0o777, 0o600);
    const mine = await request(`${consoleUrl}/api/plugins`, { headers: { authorization: `Bearer ${fs.readFileSync(tokenFile, 'utf8').trim()}` } });
    assert.equal(mine.status, 200, mine.text);

    const intake = await linkOf(up, 'uploads');
    const form = new FormData();
    form.append('note', 'from the newcomer');
    form.append('file', new Blob(['Hello']), 'hello.txt');
    const [, instance] = /\/apps\/intake\/([^/]+)/.exec(intake);
    const sent = await fetch(new URL(`/api/public-actions/${instance}/upload`, intake), { method: 'POST', body: form });
    assert.equal(sent.status, 200, await sent.clone().text());
    const files = await printed(up, 'Its uploads:');
    assert.deepEqual(files.data.map((f) => [f.filename, f.id]), [['hello.txt', (await sent.json()).data.fileId]]);

    const second = await devUp(FREE_PORTS);
    assert.equal(await second.ended, 1);
    assert.match(second.text, /already running/);
    await stopWith(up, 'SIGINT');
});

test('up again starts in seconds with the same data', async () => {
    const begun = Date.now();
    const up = await devUp(FREE_PORTS);
    const link = await linkOf(up);
    assert.ok(Date.now() - begun < 15000, `it took ${Date.now() - begun} ms`);
    assert.equal(new URL(link).pathname, new URL(firstLink).pathname);
    await stopWith(up, 'SIGTERM');
});

test('up names the port that is taken', async () => {
    const holder = (await import('node:net')).createServer();
    const taken = await new Promise((resolve) => {
        holder.on('error', () => resolve(false)); // somebody has it already
        holder.listen(8080, '127.0.0.1', () => resolve(true));
    });
    try {
        const up = await devUp([]);
        assert.equal(await up.ended, 1);
        assert.match(up.text, /Port 8080 is taken/);
    } finally {
        if (taken) holder.close(); // or this program would wait for it for ever
    }
});

test('embed-demo starts a product that has the builder inside', async () => {
    const port = String(await freePort());
    const demo = await dev('embed-demo', FREE_PORTS, { PORT: port });
    const product = await linkOf(demo, 'product');
    assert.equal(product, `http://localhost:${port}/`);
    const consoleUrl = await linkOf(demo, 'console');
    const signedIn = await fetch(`${product}sign-in/ada`, { method: 'POST', redirect: 'manual' });
    const cookie = signedIn.headers.get('set-cookie').split(';')[0];
    const page = await fetch(`${product}automation/apps`, { headers: { cookie } });
    assert.ok((await page.text()).includes(consoleUrl), 'the page frames this server');
    const externalAccessToken = await (await fetch(`${product}token`, { headers: { cookie } })).text();
    const session = await fetch(`${consoleUrl}/api/v1/managed-authn/external-token`, {
        method: 'POST', headers: { 'content-type': 'application/json', origin: product.slice(0, -1) }, body: JSON.stringify({ externalAccessToken }),
    });
    assert.equal(session.status, 200, await session.text());
    await stopWith(demo, 'SIGINT');
});

test('a product that ends at once is not called started', async () => {
    const programs = temporaryDirectory('programs');
    fs.writeFileSync(path.join(programs, 'node'), '#!/bin/sh\n[ "$1" != -p ] || exec echo 18\nexit 9\n', { mode: 0o755 });
    const demo = await dev('embed-demo', FREE_PORTS, { PORT: String(await freePort()), PATH: `${programs}:${process.env.PATH}` });
    assert.equal(await demo.ended, 1);
    assert.match(demo.text, /The product ended at once \(exit status 9\)/);
    assert.doesNotMatch(demo.text, /^ +product /m);
});

test('help comes at once, and so does what no setting is called', () => {
    const run = (...args) => {
        const begun = Date.now();
        const { status, stdout, stderr } = spawnSync(path.join(repository, 'dev'), args, { env: plainEnvironment(), encoding: 'utf8' });
        assert.ok(Date.now() - begun < 5000, `${args.join(' ')} took ${Date.now() - begun} ms`);
        assert.doesNotMatch(stdout, /==>/, 'nothing was begun');
        return { status, text: stdout + stderr };
    };
    for (const args of [['up', '--help'], ['help', 'up'], ['up', '--data', '/tmp', '-h']]) {
        const { status, text } = run(...args);
        assert.equal(status, 0);
        assert.match(text, /^\.\/dev up .*\n\nEnvironment: STOA_DATA/);
    }
    assert.match(run('fmt', '--help').text, /^\.\/dev fmt .*\n$/);
    assert.match(run('embed-demo', '--help').text, /^\.\/dev embed-demo /);
    for (const [args, words] of [
        [['up', '--lisen-apps', 'x'], 'does not know --lisen-apps'], [['up', '--set', 'nope=1'], 'no setting nope'], [['up', 'now'], 'does not know now'],
        [['embed-demo', '--threads=2'], 'write --set threads=VALUE'], [['up', '--data'], 'needs a value'],
        [['up', '--ready-file', '/tmp/r'], 'ready file in the data directory'], [['up', '--ready-file=/tmp/r'], 'ready file in the data directory'],
        [['embed-demo', '--set', 'ready_file=/tmp/r'], 'ready file in the data directory'], [['help', 'nope'], 'no command nope'],
    ]) {
        const { status, text } = run(...args);
        assert.equal(status, 1, text);
        assert.ok(text.includes(words), text);
    }
});
