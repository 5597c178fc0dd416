// The n-th call of the database or the blob store fails, n = 1, 2, 3 … until a request succeeds; and clients that leave at every wait. The
// server never hangs, never promises what is not whole, says so in the contract's form, and does the same request well afterwards.
// Calls are made to fail through /faults on the admin listener, which only debug and sanitizer builds have.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import { Connection, FLAG, TYPE, data, headers, request as h2request, rstStream, windowUpdate } from '../harness/h2raw.mjs';
import { archive, pie } from '../harness/pie.mjs';
import { openDescriptors } from '../harness/processes.mjs';
import { buildFolder, repository, request, slowness, startServer, until } from '../harness/server.mjs';

const MOST = 120; // calls that one request may make

let server;
before(async () => {
    server = await startServer({ tls: ['localhost'], expectErrors: [/a fault was injected/] });
});
after(() => server.stop());

const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });
/** Arms the n-th call from now (0: none), and tells whether the one armed before has failed. */
const arm = async (n) => {
    const answer = await request(`${server.admin}/faults?nth=${n}`);
    assert.equal(answer.status, 200, 'this build has no faults to inject');
    return answer.json.fired;
};

function assertRefusal(answer, what) {
    assert.ok([500, 503, 507].includes(answer.status), `${what}: ${answer.status} ${answer.text}`);
    assert.equal(answer.json?.error, true, `${what}: ${answer.text}`);
    assert.match(answer.json.code, /^[a-z_]+$/);
    assert.ok(answer.json.message.length > 10);
    assert.equal(answer.json.requestId, answer.headers['x-request-id']);
    if (answer.status === 503) assert.match(answer.headers['retry-after'], /^\d+$/);
    assert.doesNotMatch(answer.text, /select|insert|update|fault was injected|\/blobs/i, what);
}

/**
 * Runs `act(n)` with the n-th call failing, for each n until none fails any more. `state(n)` tells how things stand: 'old' or 'new', and
 * throws when it is neither. A refused request is sent again; then the state must be new. Returns how many calls there were.
 */
async function failEach(what, { prepare = () => {}, act, state, again = act }) {
    let failures = 0;
    for (let n = 1; ; ++n) {
        assert.ok(n <= MOST, `${what}: still failing at call ${n}`);
        await prepare(n);
        await arm(n);
        const answer = await act(n).catch((error) => ({ cut: error }));
        const fired = await arm(0);
        const call = `${what}, call ${n}`;
        if (answer.cut) {
            assert.ok(fired, `${call}: ${answer.cut}`);
        } else if (answer.status >= 400) {
            assert.ok(fired, `${call}: ${answer.status} ${answer.text}`);
            assertRefusal(answer, call);
        }
        const refused = answer.cut || answer.status >= 400;
        failures += refused ? 1 : 0;
        const stands = await state(n, answer);
        if (!refused) {
            assert.equal(stands, 'new', `${call}: ${answer.status}, but nothing has changed`);
        } else if (stands === 'old') {
            const second = await again(n);
            assert.ok(second.status < 300, `${call}, again: ${second.status} ${second.text}`);
            assert.equal(await state(n, second), 'new', call);
        }
        if (!fired) break;
    }
    assert.ok(failures > 0, `${what}: no fault was ever felt`);
}

// no two plugins share a file, lest one be warm because of the other
const files = (name, v) => ({ 'index.html': `<p>${name}: version ${v}</p>`, 'app.js': `// ${name}: version ${v}\n`.padEnd(4000, `let a${v} = ${v};\n`) });
const text = (name, v) => pie(name, files(name, v), { version: `1.0.${v}` });
const deploy = async (name, v) => {
    const made = await server.api('POST', '/api/plugins/import', text(name, v));
    assert.ok(made.status < 300, made.text);
    return made.json;
};

/** What the plugin's catalogue row, deployment, page and script say, once they agree; undefined when there is no such plugin. */
async function version(name) {
    let seen;
    return until(async () => {
        const plugin = await server.api('GET', `/api/plugins/${name}`);
        if (plugin.status === 404) return { none: true };
        assert.equal(plugin.status, 200, plugin.text);
        assert.ok(plugin.json.deployment && plugin.json.instance && plugin.json.publicAppUrl, `half a plugin: ${plugin.text}`);
        const [page, script] = await Promise.all(['', 'app.js'].map((file) => request(plugin.json.publicAppUrl + file)));
        seen = [plugin.json.version.slice(4), ...[page, script].map((a) => /version (\d+)/.exec(a.text)?.[1] ?? `${a.status}`)];
        return new Set(seen).size === 1 && { v: Number(seen[0]) };
    }, `${name} to be of one piece`, 5000).catch((error) => { throw new Error(`${error.message}: ${seen}`); });
}

test('import', () => failEach('import', {
    act: (n) => server.api('POST', '/api/plugins/import', text(`made-${n}`, n)),
    async state(n) {
        const now = await version(`made-${n}`);
        assert.ok(now.none || now.v === n, JSON.stringify(now));
        return now.none ? 'old' : 'new';
    },
}));

const switched = (name) => async (n) => {
    const { v } = await version(name);
    assert.ok(v === n || v === n - 1, `version ${v} after ${n - 1} and ${n}`);
    return v === n ? 'new' : 'old';
};

test('update', async () => {
    await deploy('updated', 0);
    await failEach('update', { act: (n) => server.api('PUT', '/api/plugins/updated', text('updated', n)), state: switched('updated') });
});

test('archive deploy', async () => {
    await deploy('unpacked', 0);
    const now = async () => (await server.api('GET', '/api/plugins/unpacked')).json;
    const { publicAppUrl } = await now();
    let active;
    await failEach('archive', {
        async prepare() { active = (await now()).deployment.id; },
        act: (n) => server.api('POST', '/api/plugins/unpacked/deployments', archive(files('unpacked', n)), { type: 'application/gzip' }),
        state: async (n) => {
            const isNew = (await now()).deployment.id !== active;
            await until(async () => {
                const pages = await Promise.all(['', 'app.js'].map((file) => request(publicAppUrl + file)));
                return pages.every((a) => a.text.includes(`version ${isNew ? n : n - 1}`));
            }, 'page and script to follow', 5000);
            return isNew ? 'new' : 'old';
        },
    });
});

test('activate', async () => {
    const ids = [];
    for (const v of [0, 1]) ids[v] = (await deploy('rolled', v)).deployment.id;
    const target = (n) => (n + 1) % 2;
    await failEach('activate', {
        act: (n) => server.api('POST', `/api/plugins/rolled/deployments/${ids[target(n)]}/activate`),
        state: async (n) => ((await version('rolled')).v === target(n) ? 'new' : 'old'),
    });
});

test('instances: create and delete', async () => {
    await deploy('copied', 0);
    const slugs = async () => (await server.api('GET', '/api/plugins/copied/instances')).json.data.map((i) => i.slug);
    let before_;
    await failEach('create instance', {
        prepare: async () => { before_ = await slugs(); },
        act: () => server.api('POST', '/api/plugins/copied/instances'),
        async state() {
            const now = await slugs();
            assert.ok(now.length === before_.length || now.length === before_.length + 1, `${before_.length} and then ${now.length}`);
            for (const slug of now.filter((one) => !before_.includes(one))) {
                await until(async () => (await request(`${server.apps}/apps/copied/${slug}/`)).status === 200, `instance ${slug}`, 5000);
            }
            return now.length === before_.length ? 'old' : 'new';
        },
    });
    let victim;
    await failEach('delete instance', {
        async prepare() { victim = (await server.api('POST', '/api/plugins/copied/instances')).json.slug; },
        act: () => server.api('DELETE', `/api/plugins/copied/instances/${victim}`),
        async state() {
            const there = (await slugs()).includes(victim);
            await until(async () => (await request(`${server.apps}/apps/copied/${victim}/`)).status === (there ? 200 : 404), 'the page to follow', 5000);
            return there ? 'old' : 'new';
        },
    });
});

test('delete a plugin', () => failEach('delete', {
    prepare: (n) => deploy(`gone-${n}`, n),
    act: (n) => server.api('DELETE', `/api/plugins/gone-${n}`),
    async state(n) {
        const now = await version(`gone-${n}`);
        return now.none ? 'new' : 'old';
    },
}));

test('reading: lists, one plugin, exports', async () => {
    const made = await deploy('read', 7);
    const where = `/api/plugins/read/deployments/${made.deployment.id}`;
    for (const url of ['/api/plugins', '/api/plugins/read', '/api/plugins/read/deployments', where, `${where}/archive.tar`, `${where}/source.pie`,
        '/api/plugins/read/instances', `/api/public-apps/instances/${made.instance.id}`]) {
        const whole = await server.api('GET', url);
        assert.equal(whole.status, 200);
        await failEach(`GET ${url}`, {
            act: () => server.api('GET', url),
            async state(n, answer) { // an answer that has begun is either whole or visibly cut
                if (answer.cut || answer.status >= 400) return 'old';
                assert.ok(answer.body.equals(whole.body), `GET ${url}, call ${n}: a success, but not whole`);
                return 'new';
            },
        });
    }
});

test('tokens: create and revoke', async () => {
    const names = async () => (await server.api('GET', '/api/tokens?limit=100')).json.data.map((t) => t.name);
    await failEach('create token', {
        act: (n) => server.api('POST', '/api/tokens', { name: `t${n}`, scope: 'read' }),
        async state(n, answer) {
            const count = (await names()).filter((name) => name === `t${n}`).length;
            assert.ok(count <= 1, `${count} tokens of one name`);
            if (answer.status === 201) assert.equal((await server.api('GET', '/api/plugins', undefined, { token: answer.json.token })).status, 200);
            return count ? 'new' : 'old';
        },
    });
    let made;
    await failEach('revoke token', {
        async prepare(n) { made = (await server.api('POST', '/api/tokens', { name: `r${n}`, scope: 'read' })).json; },
        act: () => server.api('DELETE', `/api/tokens/${made.id}`),
        async state() {
            const { status } = await server.api('GET', '/api/plugins', undefined, { token: made.token });
            assert.ok(status === 200 || status === 401, `${status}`);
            return status === 401 ? 'new' : 'old';
        },
    });
});

test('pages: a cold app and a cold file', async () => {
    let url;
    const page = async (n, answer) => {
        if (answer.status >= 400) return 'old';
        assert.match(answer.text, new RegExp(`version ${n}`));
        return 'new';
    };
    await failEach('cold app', {
        async prepare(n) { url = (await deploy(`cold-${n}`, n)).publicAppUrl; },
        act: () => request(url),
        state: page,
    });
    await failEach('cold file', {
        async prepare(n) {
            url = (await deploy(`tepid-${n}`, n)).publicAppUrl;
            assert.equal((await request(url)).status, 200);
        },
        act: () => request(`${url}app.js`),
        state: page,
    });
});

test('a person is shown a page when a fault is met', async () => {
    const { publicAppUrl } = await deploy('shown', 1);
    await arm(1);
    const answer = await request(publicAppUrl, { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } });
    assert.ok(await arm(0));
    assert.ok(answer.status >= 500, `${answer.status}`);
    assert.match(answer.headers['content-type'], /^text\/html/);
    assert.ok(answer.text.includes(answer.headers['x-request-id']));
});

// --- clients that leave

const metric = async (name) => Number(new RegExp(`^stoa_${name} (\\d+)`, 'm').exec((await request(`${server.admin}/metrics`)).text)[1]);
async function allQuiet(descriptors) {
    await until(async () => await metric('management_calls_running') === 0 && await metric('request_body_bytes_buffered') === 0
        && await metric('connections_open') === 1, 'everything to be given back', 5000 * slowness());
    await until(() => openDescriptors(server.serverPid).tcp <= descriptors.tcp && openDescriptors(server.serverPid).file <= descriptors.file,
        'descriptors', 3000).catch(() => assert.deepEqual(openDescriptors(server.serverPid), descriptors));
}

function open(secure) {
    const { port } = new URL(secure ? server.tls : server.console);
    const socket = secure ? tls.connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
        : net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    return new Promise((done, fail) => socket.once(secure ? 'secureConnect' : 'connect', () => done(socket)).once('error', fail));
}

const settled = (name) => async () => { // never half a plugin
    const answer = await server.api('GET', `/api/plugins/${name}`);
    return answer.status === 404 || (answer.status === 200 && answer.json.deployment && answer.json.instance);
};

test('a client that leaves during its upload, while the pool works, while a stream is sent', async () => {
    const noise = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`n${i}.bin`, randomBytes(400000)])); // nothing makes them small
    await deploy('left', 0);
    const big = await server.api('POST', '/api/plugins/left/deployments', archive({ 'index.html': 'x', ...noise }), { type: 'application/gzip' });
    assert.ok(big.status < 300, big.text);
    await allQuiet({ tcp: 1e9, file: 1e9 });
    const descriptors = openDescriptors(server.serverPid);
    const whole = Buffer.from(text('cut-h1', 1));
    const head = (length) => `POST /api/plugins/import HTTP/1.1\r\nHost: localhost:${new URL(server.console).port}\r\nAuthorization: Bearer ${server.token}\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n`;
    const ends = [(socket) => socket.destroy(), (socket) => socket.resetAndDestroy?.() ?? socket.destroy(), (socket) => socket.end()];
    for (const end of ends) {
        // during the upload: after the head, in the middle, one byte before the end
        for (const upTo of [0, whole.length >> 1, whole.length - 1]) {
            const socket = await open(false);
            socket.write(Buffer.concat([Buffer.from(head(whole.length)), whole.subarray(0, upTo)]));
            await wait(15);
            end(socket);
        }
        // while the pool works
        for (const pause of [0, 5, 20, 60]) {
            const socket = await open(false);
            socket.write(Buffer.concat([Buffer.from(head(whole.length)), whole]));
            await wait(pause);
            end(socket);
        }
        // while a stream is sent
        for (const bytes of [1, 100000, 2000000]) {
            const socket = await open(false);
            socket.write(`GET /api/plugins/left/deployments/${big.json.deployment.id}/archive.tar HTTP/1.1\r\nHost: localhost:${new URL(server.console).port}\r\nAuthorization: Bearer ${server.token}\r\n\r\n`);
            let got = 0;
            await new Promise((done) => {
                socket.on('data', (part) => { if ((got += part.length) >= bytes) done(); });
                socket.on('close', done);
            });
            assert.ok(got >= bytes, `${got} bytes of the stream`);
            end(socket);
            socket.destroy(); // a half-closed one may read on to the end
        }
    }
    await allQuiet(descriptors);
    await until(settled('cut-h1'), 'a whole plugin or none');
});

test('the same over HTTP/2: streams that are reset, connections that go', async () => {
    const { port } = new URL(server.console);
    const id = (await server.api('GET', '/api/plugins/left')).json.deployment.id;
    await allQuiet({ tcp: 1e9, file: 1e9 });
    const descriptors = openDescriptors(server.serverPid);
    const whole = Buffer.from(text('cut-h2', 1));
    const ask = (method, where) => h2request({ ':method': method, ':path': where, ':authority': `localhost:${port}` },
        [['authorization', `Bearer ${server.token}`], ['content-type', 'text/plain']]);
    for (const keep of [true, false]) {
        let c = await Connection.open(port);
        let stream = -1;
        const leave = async () => {
            if (keep) {
                c.send(rstStream(stream));
                assert.ok(await c.isAlive());
            } else {
                c.close();
                c = await Connection.open(port);
                stream = -1;
            }
        };
        for (const upTo of [0, 3000, whole.length - 1]) {
            c.send(headers(stream += 2, ask('POST', '/api/plugins/import'), FLAG.END_HEADERS), data(stream, whole.subarray(0, upTo), 0));
            await wait(15);
            await leave();
        }
        for (const pause of [0, 5, 20, 60]) {
            c.send(headers(stream += 2, ask('POST', '/api/plugins/import'), FLAG.END_HEADERS), data(stream, whole));
            await wait(pause);
            await leave();
        }
        for (let i = 0; i < 3; ++i) {
            c.send(headers(stream += 2, ask('GET', `/api/plugins/left/deployments/${id}/archive.tar`)));
            c.send(windowUpdate(0, 1 << 20)); // what the stream before has used of the connection's
            assert.ok(await c.frame(TYPE.DATA, stream));
            await leave();
        }
        if (keep) {
            c.send(headers(stream += 2, ask('GET', '/api/plugins')));
            assert.equal((await c.response(stream)).status, 200);
        }
        c.close();
    }
    await allQuiet(descriptors);
    await until(settled('cut-h2'), 'a whole plugin or none');
});

test('no build for people can be made to fail', (t) => {
    const program = path.join(repository, 'build/release/stoa');
    if (!fs.existsSync(program)) {
        t.skip('there is no release build');
        return;
    }
    const inside = (file) => /STOA_FAULT_NTH|a fault was injected$/m.test(execFileSync('strings', ['-a', file], { encoding: 'latin1', maxBuffer: 1 << 28 }));
    assert.ok(inside(path.join(buildFolder(), 'stoa')), 'the words to look for have changed');
    assert.ok(!inside(program));
});
