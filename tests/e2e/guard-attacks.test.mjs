// The attacks that libh2o 2.2.5 alone does not withstand (edge/guard), each run against the server while an innocent visitor is served: the
// attack is refused, the visitor sees nothing of it, the server lives and its memory is bounded. The letters and numbers are those of the
// table in edge/guard/README.md.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { after, test } from 'node:test';
import { innocentVisitor, startTarget } from '../harness/http-target.mjs';
import {
    Connection, ERROR, FLAG, SETTING, TYPE, continuation, data, frame, headers, indexedLiteral, ping, priority, request, rstStream, settings,
    windowUpdate,
} from '../harness/h2raw.mjs';
import { slowness } from '../harness/server.mjs';

const MOST_MORE = 60 * slowness(); // MiB that an attack may add
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const get = request();
const slow = request({ ':path': '/delay' });
const post = (path = '/echo', extra = []) => request({ ':method': 'POST', ':path': path }, extra);
const OPEN = FLAG.END_HEADERS;

const target = await startTarget({ threads: 2 });
after(() => target.stop());

/** Runs `attack` beside an innocent visitor; afterwards the server is the same process, little larger, and still answers. */
function attack(name, run, options = {}) {
    test(name, { timeout: 60000 }, async (t) => {
        if (options.probe && !target.isProbe) return t.skip('needs an answer that only the probe gives');
        const visitor = innocentVisitor(target);
        const before = target.memory();
        try {
            await run(t);
        } finally {
            await visitor.stop();
        }
        assert.ok(target.isAlive());
        const more = target.memory() - before;
        assert.ok(more < MOST_MORE, `the attack added ${more.toFixed(0)} MiB`);
    });
}

/** Writes batches made by `make(i)` until the server ends the connection or `most` are out; gives the connection and the count. */
async function flood(options, make, most, begin = () => {}) {
    const c = await Connection.open(options.secure ? target.tlsPort : target.h1Port, options);
    begin(c);
    let sent = 0;
    for (; sent < most && !c.closed && !c.goaway; ++sent) {
        c.send(make(sent));
        if (sent % 20 === 19) await wait(0);
        while (c.socket.writableLength > 1 << 20 && !c.closed) await wait(1);
    }
    await c.until(() => c.goaway, 3000);
    const { goaway } = c;
    c.close();
    return { sent, goaway, frames: c.frames };
}

function calmed(result) {
    assert.equal(result.goaway?.code, ERROR.ENHANCE_YOUR_CALM, `after ${result.sent} batches: ${JSON.stringify(result.goaway)}`);
}

// ---- A1

// A stream whose last bytes are being written and whose window is used up gets a window: the library asserts that this cannot be. The
// probe's send buffer is small and the reader pauses, so that the last write is under way for as long as the attack likes. (The same traffic
// trips over another assertion, update_idle_timeout's, once requests wait for others of their connection: guard_configure lets none wait.)
for (const secure of [false, true]) {
    for (const by of ['WINDOW_UPDATE', 'SETTINGS']) {
        test(`A1 a window, by ${by}, for finished streams whose last write is under way${secure ? ' (TLS)' : ''}`, { timeout: 60000 }, async () => {
            const blocked = await startTarget(process.env.STOA_TARGET === 'server' ? {} : { sendBuffer: 8192 });
            const visitor = innocentVisitor(blocked);
            let averted = 0;
            for (let attempt = 0; attempt < (blocked.isProbe ? 20 : 2) && averted === 0; ++attempt) {
                const c = await Connection.open(secure ? blocked.tlsPort : blocked.h1Port, { secure, with: [[SETTING.INITIAL_WINDOW_SIZE, 1024]], acknowledge: false });
                c.send(windowUpdate(0, 1 << 30));
                c.socket.pause();
                for (let id = 1; id < 45 * 200 && !c.socket.destroyed && averted === 0; id += 90) {
                    const ids = Array.from({ length: 45 }, (none, i) => id + 2 * i);
                    c.send(...ids.map((i) => headers(i, get)));
                    await wait(1);
                    if (by === 'SETTINGS') c.send(settings([[SETTING.INITIAL_WINDOW_SIZE, 1025 + ((id - 1) / 90)]]));
                    else c.send(...ids.map((i) => windowUpdate(i, 10)));
                    await wait(1);
                    averted = (await blocked.stats()).avertedAborts;
                }
                c.close();
            }
            await visitor.stop();
            assert.ok(blocked.isAlive());
            if (blocked.isProbe) assert.ok(averted > 0, 'the attack never got to the point where the library alone would have aborted');
            await blocked.stop();
        });
    }
}

// ---- A2

attack('A2 an HPACK bomb: one byte for four kilobytes, 16,000 times', async () => {
    const c = await Connection.open(target.tlsPort, { secure: true });
    c.send(headers(1, Buffer.concat([get, indexedLiteral('x-a', 'v'.repeat(3900))])));
    await c.response(1);
    for (let id = 3; id < 3 + 2 * 90 && !c.closed; id += 2) c.send(headers(id, Buffer.concat([post(), Buffer.alloc(15000, 0xbe)])));
    const answer = await c.response(3);
    assert.equal(answer.status, 431);
    c.close();
});
attack('A2 an HPACK bomb in CONTINUATION frames', async () => {
    const c = await Connection.open(target.h1Port);
    c.send(headers(1, Buffer.concat([get, indexedLiteral('x-a', 'v'.repeat(3900))])));
    await c.response(1);
    c.send(headers(3, Buffer.concat([post(), Buffer.alloc(16000, 0xbe)]), 0));
    for (let i = 0; i < 24; ++i) c.send(continuation(3, Buffer.alloc(16000, 0xbe), i === 23 ? OPEN : 0));
    await c.waitClosed();
    assert.equal(c.goaway?.code, ERROR.ENHANCE_YOUR_CALM);
    c.close();
});
attack('A2 too many fields are answered 431, and the connection and its tables live on', async () => {
    const c = await Connection.open(target.h1Port);
    const many = Array.from({ length: 150 }, (none, i) => [`x-${i}`, 'v']);
    c.send(headers(1, Buffer.concat([request({}, many), indexedLiteral('x-kept', 'v')])));
    assert.equal((await c.response(1)).status, 431);
    c.send(headers(3, Buffer.concat([get, Buffer.from([0xbe])]))); // what the refused block put into the table
    assert.ok(target.fine.includes((await c.response(3)).status));
    c.send(headers(5, request({}, [['x-large', 'v'.repeat(15000)], ['x-larger', 'w'.repeat(1000)]])));
    assert.ok(target.fine.includes((await c.response(5)).status));
    c.close();
});

// ---- A4, A5

for (const secure of [false, true]) {
    const over = secure ? ' (TLS)' : '';
    attack(`A4 rapid reset${over}`, async () => {
        const before = await target.stats();
        const result = await flood({ secure }, (i) => Buffer.concat([headers(1 + 2 * i, slow), rstStream(1 + 2 * i)]), 20000);
        calmed(result);
        const begun = (await target.stats()).delaysBegun - before.delaysBegun;
        assert.ok(!(begun > 600), `${begun} handlers were begun`);
    });
    attack(`A5 made to reset, by windows of zero${over}`, async () => calmed(await flood({ secure }, (i) => Buffer.concat([headers(1 + 2 * i, slow), windowUpdate(1 + 2 * i, 0)]), 20000)));
    attack(`A5 made to reset, by DATA on half-closed streams${over}`, async () => calmed(await flood({ secure }, (i) => Buffer.concat([headers(1 + 2 * i, slow), data(1 + 2 * i, 'x')]), 20000)));
    attack(`A5 made to reset, by malformed requests${over}`, async () => calmed(await flood({ secure }, (i) => headers(1 + 2 * i, request({ ':path': '' })), 20000)));
    attack(`A5 made to reset, by too many streams${over}`, async () => calmed(await flood({ secure }, (i) => headers(1 + 2 * i, post(), OPEN), 20000)));

    // ---- A6, A8, A9, A10: floods of frames that cost nothing to send
    const floods = {
        'A6 pings': () => ping(),
        'A6 answers to pings that never were': () => ping(FLAG.ACK),
        'A6 settings': () => settings([[SETTING.MAX_CONCURRENT_STREAMS, 100]]),
        'A6 settings with 2,000 entries': () => settings(Array(2000).fill([SETTING.MAX_CONCURRENT_STREAMS, 100])),
        'A6 acknowledgements of settings': () => settings([], FLAG.ACK),
        'A8 priorities': (i) => priority(3, i % 2 ? 0 : 5),
        'A8 windows of single bytes': () => windowUpdate(0, 1),
        'A10 unknown frames': () => frame(0x1f, 0, 0, Buffer.alloc(3)),
        'goaways': () => frame(TYPE.GOAWAY, 0, 0, Buffer.alloc(8)),
    };
    for (const [name, make] of Object.entries(floods)) {
        attack(`${name}${over}`, async () => calmed(await flood({ secure }, (i) => Buffer.concat(Array(20).fill(make(i))), 20000)));
    }
    attack(`A6 pings of a client that does not read${over}`, async () => {
        const c = await Connection.open(secure ? target.tlsPort : target.h1Port, { secure, paused: true });
        const batch = Buffer.concat(Array(200).fill(ping()));
        for (let i = 0; i < 500 && !c.socket.destroyed; ++i) {
            c.send(batch);
            await wait(1);
        }
        const isReset = c.socket.destroyed; // a write met the reset before the farewell was read
        c.socket.resume();
        await c.until(() => c.goaway || isReset);
        if (!isReset) assert.equal(c.goaway?.code, ERROR.ENHANCE_YOUR_CALM);
        c.close();
    });
    attack(`A8 empty DATA${over}`, async () => calmed(await flood({ secure }, () => Buffer.concat(Array(20).fill(data(1, '', 0))), 20000, (c) => c.send(headers(1, post(), OPEN)))));
    attack(`A8 DATA of single bytes${over}`, async () => calmed(await flood({ secure }, () => Buffer.concat(Array(200).fill(data(1, 'x', 0))), 20000, (c) => c.send(headers(1, post('/upload'), OPEN)))), { probe: true });
    attack(`A8 empty CONTINUATION${over}`, async () => calmed(await flood({ secure }, () => continuation(1, Buffer.alloc(0), 0), 20000, (c) => c.send(headers(1, get, FLAG.END_STREAM)))));
    attack(`A9 CONTINUATION without an end${over}`, async () => calmed(await flood({ secure }, () => continuation(1, Buffer.alloc(100), 0), 20000, (c) => c.send(headers(1, get, FLAG.END_STREAM)))));

    // ---- A11
    attack(`A11 uploads over the limit on 30 streams${over}`, async () => {
        const c = await Connection.open(secure ? target.tlsPort : target.h1Port, { secure });
        for (let i = 0; i < 30; ++i) c.send(headers(1 + 2 * i, post('/small'), OPEN));
        for (let i = 0; i < 30 && !c.closed; ++i) {
            for (let j = 0; j < 64; ++j) c.send(data(1 + 2 * i, Buffer.alloc(16384), 0));
            await wait(1);
        }
        assert.equal((await c.response(1)).status, 413);
        c.close();
    });
}
test('A10 nothing was logged for all this', async (t) => {
    if (!target.isProbe) return t.skip('the whole program logs its own life');
    assert.equal(target.log(), '');
});

// ---- A3, A18: the end

test('A3 a CONTINUATION behind the last GOAWAY does not hang the server', { timeout: 30000 }, async () => {
    const mortal = await startTarget({ drain: target.isProbe ? 300 : 3000 });
    const c = await Connection.open(mortal.h1Port, { with: [[SETTING.INITIAL_WINDOW_SIZE, 0]], acknowledge: false });
    c.send(headers(1, request({ ':path': '/100k' })), headers(3, get, FLAG.END_STREAM)); // one that keeps it open, one without its end
    await c.frame(TYPE.HEADERS, 1);
    mortal.signal('SIGTERM');
    await c.until(() => c.frames.filter((f) => f.type === TYPE.GOAWAY).length === 2);
    c.send(continuation(3, Buffer.alloc(0)));
    await c.waitClosed();
    c.close();
    await mortal.stop();
});

test('A18 an upload over HTTP/2 that runs at SIGTERM ends well, idle connections go at once', { timeout: 30000 }, async (t) => {
    if (!target.isProbe) return t.skip('needs a path that takes uploads without a token');
    const mortal = await startTarget({ drain: 10000 });
    const idle = net.connect(mortal.h1Port, '127.0.0.1');
    idle.write('GET /1k HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((done) => idle.once('data', done));
    const idleEnd = new Promise((done) => idle.on('end', () => done(Date.now())).resume());
    const c = await Connection.open(mortal.tlsPort, { secure: true });
    const quiet = await Connection.open(mortal.tlsPort, { secure: true });
    assert.ok(await quiet.isAlive());
    c.send(headers(1, post('/upload'), OPEN), data(1, 'abc', 0));
    assert.ok(await c.isAlive());
    const begun = Date.now();
    mortal.signal('SIGTERM');
    assert.equal((await c.frame(TYPE.GOAWAY)).last, 0x7fffffff);
    assert.ok((await idleEnd) - begun < 1000, 'the idle connection was kept');
    assert.ok(await quiet.waitClosed(), 'the HTTP/2 connection without a request was kept');
    assert.deepEqual([quiet.goaway.code, quiet.goaway.last], [0, 0]);
    await wait(2500); // the library alone drops DATA one second after SIGTERM
    c.send(data(1, 'de'));
    assert.match((await c.response(1)).body.toString(), /"bytes":5\b/);
    c.close();
    await mortal.stop();
    assert.ok(Date.now() - begun < 8000);
});

// ---- A7 is slow-clients.test.mjs; A12 and A14 are in h2-conformance.test.mjs; A13 is h1-parser.test.mjs

test('A12 a client without a header table is served again and again', async () => {
    const client = http2.connect(`https://127.0.0.1:${target.tlsPort}`, { rejectUnauthorized: false, servername: 'localhost', settings: { headerTableSize: 0 } });
    for (let i = 0; i < 20; ++i) {
        const status = await new Promise((done, fail) => {
            client.request({ ':path': target.where('/1k'), ':authority': 'localhost' }).on('response', (h) => done(h[':status'])).on('error', fail).resume();
        });
        assert.ok(target.fine.includes(status));
        if (i === 10) await new Promise((done) => client.settings({ headerTableSize: 100 }, done));
    }
    await new Promise((done) => client.close(done));
});

// ---- memory for bodies

for (const [where, held, sum] of [['memory', 'buffered', { bodyMemoryTotal: 3 << 20, bodyFileFrom: 1 << 30 }],
    ['files', 'stored', { bodyDiskTotal: 3 << 20, bodyDiskSpare: 0 }]]) test(`bodies in ${where}: what is over the sum is answered 503 with Retry-After, over both protocols, and given back`, { timeout: 30000 }, async (t) => {
    if (!target.isProbe) return t.skip('needs a path that takes uploads without a token');
    const narrow = await startTarget({ ...sum, bodyMemoryPerConnection: 2 << 20 });
    const hoard = async (n) => { // an upload that stops short of its end
        const socket = net.connect(narrow.h1Port, '127.0.0.1');
        socket.on('error', () => {});
        let text = '';
        socket.on('data', (part) => { text += part; });
        socket.write(`POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${n + 1}\r\n\r\n`);
        socket.write(Buffer.alloc(n));
        return { socket, text: () => text };
    };
    const first = [await hoard(1500000), await hoard(1500000)];
    await wait(300);
    assert.ok((await narrow.stats())[held] >= 3000000);
    const over = await hoard(400000);
    await new Promise((done) => over.socket.on('close', done));
    assert.match(over.text(), /^HTTP\/1\.1 503 [^]*Retry-After: \d+\r\n[^]*"code":"busy"/i);
    const c = await Connection.open(narrow.tlsPort, { secure: true });
    c.send(headers(1, post('/upload'), OPEN));
    for (let i = 0; i < 20; ++i) c.send(data(1, Buffer.alloc(16384), 0));
    const answer = await c.response(1);
    assert.equal(answer.status, 503);
    assert.match(answer.body.toString(), /"code":"busy"/);
    assert.ok(await c.isAlive());
    first.forEach((f) => f.socket.destroy());
    await wait(300);
    assert.equal((await narrow.stats())[held], 0);
    c.send(headers(3, post('/upload'), OPEN), data(3, Buffer.alloc(16384)));
    assert.ok(target.fine.includes((await c.response(3)).status));
    // one connection alone
    for (let i = 0; i < 3; ++i) c.send(headers(5 + 2 * i, post('/upload'), OPEN));
    for (let i = 0; i < 150; ++i) c.send(data(5 + 2 * (i % 3), Buffer.alloc(16384), 0));
    await c.until(() => c.find(TYPE.HEADERS, undefined, (f) => f.id >= 5 && f.status === 503));
    assert.ok(c.find(TYPE.HEADERS, undefined, (f) => f.id >= 5 && f.status === 503), 'nothing was refused');
    c.close();
    await narrow.stop();
});

// ---- a body that is refused over HTTP/2

for (const known of [true, false]) {
    test(`HTTP/2: a body over the limit is answered 413 ${known ? 'before it comes' : 'as soon as it is over'}, and the client is asked to stop`, async () => {
        const c = await Connection.open(target.tlsPort, { secure: true });
        c.send(headers(1, post('/small', known ? [['content-length', '5000000']] : []), OPEN));
        if (!known) for (let n = 0; n <= target.smallLimit; n += 8000) c.send(data(1, Buffer.alloc(8000), 0));
        const answer = await c.response(1);
        assert.equal(answer.status, 413);
        assert.equal(JSON.parse(answer.body).code, 'body_too_large');
        assert.equal((await c.frame(TYPE.RST_STREAM, 1))?.code, ERROR.NO_ERROR);
        for (let i = 0; i < 40; ++i) c.send(data(1, Buffer.alloc(16384), i === 39 ? FLAG.END_STREAM : 0)); // was under way
        assert.ok(await c.isAlive());
        assert.equal(c.frames.filter((f) => f.type === TYPE.RST_STREAM).length, 1);
        c.send(headers(3, get));
        assert.ok(target.fine.includes((await c.response(3)).status));
        c.close();
    });
}

test('HTTP/2: Node\'s own client reads its 413 while it writes 8 MB', async () => {
    const client = http2.connect(`https://127.0.0.1:${target.tlsPort}`, { rejectUnauthorized: false, servername: 'localhost' });
    const stream = client.request({ ':method': 'POST', ':path': target.where('/small'), ':authority': 'localhost' });
    const status = new Promise((done, fail) => { stream.on('response', (h) => done(h[':status'])).on('error', fail); });
    stream.end(Buffer.alloc(8 << 20));
    assert.equal(await status, 413);
    stream.resume();
    await new Promise((done) => stream.on('close', done));
    await new Promise((done) => client.close(done));
});

test('HTTP/2: headers over the limit are answered 431 with Clear-Site-Data, a target over it 414', async () => {
    const client = http2.connect(`http://127.0.0.1:${target.h1Port}`);
    const ask = (fields) => new Promise((done, fail) => client.request({ ':authority': 'localhost', ...fields }).on('response', done).on('error', fail).resume());
    const large = await ask({ ':path': target.where('/1k'), cookie: Array.from({ length: 20 }, (none, i) => `c${i}=${'x'.repeat(2000)}`) });
    assert.deepEqual([large[':status'], large['clear-site-data']], [431, '"cookies"']);
    const long = await ask({ ':path': `/${'a'.repeat(8192)}` });
    assert.deepEqual([long[':status'], long['clear-site-data']], [414, undefined]);
    assert.equal((await ask({ ':path': target.where('/1k') }))[':status'], 200);
    await new Promise((done) => client.close(done));
});

test('no scheme of a client\'s makes a cleartext request one over TLS', async (t) => {
    if (!target.isProbe) return t.skip('only the probe tells what it sees');
    const c = await Connection.open(target.h1Port);
    c.send(headers(1, request({ ':scheme': 'https', ':path': '/inspect' })));
    assert.match((await c.response(1)).body.toString(), /"scheme":"http"/);
    c.close();
});

test('bytes in the packet that ends the TLS handshake are guarded too', async () => {
    // TLS 1.3: the client's Finished and its first requests leave together
    const socket = tls.connect({ port: target.tlsPort, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    socket.write('GET /1k HTTP/1.1\r\n\r\n'); // no Host
    let text = '';
    socket.on('data', (part) => { text += part; });
    await new Promise((done) => socket.on('close', done));
    assert.match(text, /^HTTP\/1\.1 400 /);
});
