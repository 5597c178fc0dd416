// Clients that hold a connection by doing nearly nothing: each is ended by the time-out that is meant for it, with an answer where one can
// be given, while handlers at work and honest slow clients are left alone. Time-outs are shortened; the rate is 1000 bytes a second.
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import { innocentVisitor, startTarget } from '../harness/http-target.mjs';
import { Connection, FLAG, SETTING, TYPE, continuation, data, frame, headers, ping, priority, request, windowUpdate } from '../harness/h2raw.mjs';

const LIMITS = { headerTimeout: 800, bodyTimeout: 1200, writeTimeout: 1200, idleTimeout: 1500, minimumRate: 1000, handshakeTimeout: 1000 };
const SLACK = 2500; // behind the time-out, on a busy machine
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

let target;
let visitor;
before(async () => {
    target = await startTarget(LIMITS);
    visitor = innocentVisitor(target);
});
after(async () => {
    await visitor.stop();
    await target.stop();
});

function connect(secure) {
    const socket = secure
        ? tls.connect({ port: target.tlsPort, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
        : net.connect({ port: target.h1Port, host: '127.0.0.1', noDelay: true });
    return new Promise((done, fail) => socket.once(secure ? 'secureConnect' : 'connect', () => done(socket)).once('error', fail));
}

/** Sends `first`, then `more` every `every` ms, until the server closes; gives {text, held (ms), error}. */
async function hold({ first = '', more, every = 100, secure = false }) {
    const socket = await connect(secure);
    const begun = Date.now();
    let text = '';
    let error;
    const timer = more && setInterval(() => { if (!socket.destroyed && socket.writable) socket.write(more); }, every);
    const ended = new Promise((done) => {
        socket.on('end', done);
        socket.on('close', done);
        socket.on('error', (e) => { error = e.code; done(); });
        setTimeout(done, 8000).unref();
    });
    socket.on('data', (part) => { text += part.toString('latin1'); });
    if (first) socket.write(first);
    await ended;
    const held = Date.now() - begun;
    clearInterval(timer);
    socket.destroy();
    return { text, held, error };
}

function inTime(held, timeout) {
    assert.ok(held >= timeout * 0.6 && held <= timeout + SLACK, `held for ${held} ms, not about ${timeout}`);
}

// Each case waits for most of its time: all run side by side.
test('slow clients', { concurrency: true }, async (t) => {
    const cases = [];
    const it = (name, run) => cases.push(t.test(name, { timeout: 15000 }, run));

    for (const secure of [false, true]) {
        const over = secure ? ' (TLS)' : '';
        it(`a head in drops: 408${over}`, async () => {
            const got = await hold({ first: `GET ${target.where('/1k')} HTTP/1.1\r\nHost: localhost\r\n`, more: 'X-a: b\r\n', secure });
            inTime(got.held, LIMITS.headerTimeout);
            assert.match(got.text, /^HTTP\/1\.1 408 /);
            assert.match(got.text, /"code":"request_timeout"/);
            assert.match(got.text, /^Connection: close\r$/im);
        });
        it(`a connection that says nothing: closed in silence${over}`, async () => {
            const got = await hold({ secure });
            inTime(got.held, LIMITS.headerTimeout);
            assert.equal(got.text, '');
            assert.equal(got.error, undefined);
        });
        it(`a body in drops: 408${over}`, async () => {
            const got = await hold({ first: `POST ${target.where('/echo')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n`, more: 'x', secure });
            inTime(got.held, LIMITS.bodyTimeout);
            assert.match(got.text, /^HTTP\/1\.1 408 /);
        });
        it(`a chunked body in drops: 408${over}`, async () => {
            const got = await hold({ first: `POST ${target.where('/echo')} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`, more: '1\r\nx\r\n', secure });
            inTime(got.held, LIMITS.bodyTimeout);
            assert.match(got.text, /^HTTP\/1\.1 408 /);
        });
        it(`an idle connection: closed${over}`, async () => {
            const got = await hold({ first: `GET ${target.where('/1k')} HTTP/1.1\r\nHost: localhost\r\n\r\n`, secure });
            inTime(got.held, LIMITS.idleTimeout);
            assert.match(got.text, /^HTTP\/1\.1 200 /);
            assert.equal(got.text.match(/HTTP\/1\.1 \d/g).length, 1);
            assert.equal(got.error, undefined);
        });
        it(`a second head in drops: 408${over}`, async () => {
            const got = await hold({ first: `GET ${target.where('/1k')} HTTP/1.1\r\nHost: localhost\r\n\r\nGET /1k HTTP/1.1\r\n`, more: 'X-a: b\r\n', secure });
            inTime(got.held, LIMITS.headerTimeout);
            assert.match(got.text, /HTTP\/1\.1 408 /);
        });
        it(`a reader that takes nothing: cut off${over}`, async () => {
            const socket = await connect(secure);
            socket.pause();
            socket.on('error', () => {});
            socket.write(`GET ${target.where('/1m')} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(16)); // more than the kernel's buffers hold
            await wait(LIMITS.writeTimeout + SLACK);
            let bytes = 0;
            socket.on('data', (part) => { bytes += part.length; });
            await new Promise((done) => socket.on('close', done).resume());
            assert.ok(bytes < 16 << 20, 'it got everything');
        });
        const open = (options = {}) => Connection.open(secure ? target.tlsPort : target.h1Port, { secure, ...options });
        it(`HTTP/2: a window of zero: cut off${over}`, async () => {
            const c = await open({ with: [[SETTING.INITIAL_WINDOW_SIZE, 0]] });
            const begun = Date.now();
            c.send(headers(1, request()));
            assert.ok(await c.waitClosed(8000));
            inTime(Date.now() - begun, LIMITS.writeTimeout);
        });
        it(`HTTP/2: a window that grows by single bytes: cut off${over}`, async () => {
            const c = await open({ with: [[SETTING.INITIAL_WINDOW_SIZE, 0]] });
            const begun = Date.now();
            c.send(headers(1, request({ ':path': '/100k' })));
            const timer = setInterval(() => c.send(windowUpdate(1, 1)), 100);
            assert.ok(await c.waitClosed(8000));
            clearInterval(timer);
            inTime(Date.now() - begun, LIMITS.writeTimeout);
        });
        it(`HTTP/2: a body in drops: cut off${over}`, async () => {
            const c = await open();
            const begun = Date.now();
            c.send(headers(1, request({ ':method': 'POST', ':path': '/echo' }), FLAG.END_HEADERS));
            const timer = setInterval(() => c.send(data(1, 'x', 0)), 100);
            assert.ok(await c.waitClosed(8000));
            clearInterval(timer);
            inTime(Date.now() - begun, LIMITS.bodyTimeout);
        });
        it(`HTTP/2: a body that has stopped, beside frames of other kinds and answers: cut off${over}`, async () => {
            const c = await open();
            const begun = Date.now();
            let id = 1;
            c.send(headers(1, request({ ':method': 'POST', ':path': '/echo' }), FLAG.END_HEADERS), data(1, 'x'.repeat(1000), 0));
            const timer = setInterval(() => c.send(...Array(5).fill(priority(2001, 0)), headers(id += 2, request({}, [['x-filler', 'x'.repeat(2000)]]))), 100);
            assert.ok(await c.waitClosed(8000));
            clearInterval(timer);
            inTime(Date.now() - begun, LIMITS.bodyTimeout);
        });
        it(`HTTP/2: bodies that have stopped beside one that comes: 408 for them alone${over}`, async () => {
            const c = await open();
            const begun = Date.now();
            const post = request({ ':method': 'POST', ':path': '/echo' });
            c.send(...Array.from({ length: 20 }, (none, i) => headers(1 + 2 * i, post, FLAG.END_HEADERS)), data(3, 'x', 0));
            const timer = setInterval(() => c.send(data(21, Buffer.alloc(140), 0)), 100); // more than one should bring, less than two should
            const refused = () => c.frames.filter((f) => f.status === 408).map((f) => f.id);
            await c.until(() => refused().length === 19, 8000);
            inTime(Date.now() - begun, LIMITS.bodyTimeout);
            clearInterval(timer);
            assert.ok(!refused().includes(21));
            c.send(data(21, 'x'));
            assert.ok(target.fine.includes((await c.response(21)).status));
            assert.equal(c.goaway, undefined);
            c.close();
        });
        it(`HTTP/2: a block without an end: cut off${over}`, async () => {
            const c = await open({ acknowledge: false });
            const begun = Date.now();
            c.send(headers(1, request(), FLAG.END_STREAM));
            const timer = setInterval(() => c.send(continuation(1, Buffer.alloc(0), 0)), 300);
            assert.ok(await c.waitClosed(8000));
            clearInterval(timer);
            inTime(Date.now() - begun, LIMITS.headerTimeout);
        });
        it(`HTTP/2: half a frame: cut off${over}`, async () => {
            const c = await open({ acknowledge: false });
            const begun = Date.now();
            const half = frame(TYPE.PING, 0, 0, Buffer.alloc(8));
            let at = 0;
            const timer = setInterval(() => { if (at < 16) c.send(half.subarray(at, ++at)); }, 150);
            assert.ok(await c.waitClosed(8000));
            clearInterval(timer);
            inTime(Date.now() - begun, LIMITS.bodyTimeout);
        });
        it(`HTTP/2: an idle connection: GOAWAY${over}`, async () => {
            const c = await open();
            const begun = Date.now();
            assert.ok(await c.waitClosed(8000));
            inTime(Date.now() - begun, LIMITS.idleTimeout);
            assert.equal(c.goaway?.code, 0);
        });
        it(`HTTP/2: half a preface: closed${over}`, async () => {
            const c = await open({ preface: false });
            const begun = Date.now();
            c.send(Buffer.from('PRI * HT'));
            assert.ok(await c.waitClosed(8000));
            assert.ok(Date.now() - begun <= LIMITS.idleTimeout + SLACK);
        });
    }
    it('TLS: half a handshake does not hold a connection for ever', async (t2) => {
        const socket = net.connect(target.tlsPort, '127.0.0.1');
        const begun = Date.now();
        socket.on('error', () => {});
        socket.write(Buffer.from([0x16, 0x03, 0x01]));
        await new Promise((done) => socket.on('close', done).resume());
        assert.ok(Date.now() - begun < LIMITS.handshakeTimeout + SLACK);
    });

    // ---- who must not be ended
    it('an honest slow upload goes through', async () => {
        const chunk = Buffer.alloc(400, 0x78); // every 100 ms: four times the least rate, for three times the time-out
        const socket = await connect(false);
        let text = '';
        socket.on('data', (part) => { text += part; });
        const closed = new Promise((done) => socket.on('close', done));
        socket.write(`POST ${target.where('/echo')} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${400 * 36}\r\n\r\n`);
        for (let i = 0; i < 36; ++i) {
            socket.write(chunk);
            await wait(100);
        }
        await closed;
        assert.match(text, target.isProbe ? /"bytes":14400\b/ : /^HTTP\/1\.1 4/);
    });
    it('an honest slow upload over HTTP/2 goes through', async () => {
        const c = await Connection.open(target.tlsPort, { secure: true });
        c.send(headers(1, request({ ':method': 'POST', ':path': '/echo' }), FLAG.END_HEADERS));
        for (let i = 0; i < 30; ++i) {
            c.send(data(1, Buffer.alloc(400), i === 29 ? FLAG.END_STREAM : 0));
            await wait(100);
        }
        const answer = await c.response(1, 20000);
        assert.ok(target.isProbe ? /"bytes":12000\b/.test(answer.body) : target.fine.includes(answer.status), JSON.stringify([answer, c.goaway, c.closed]));
        c.close();
    });
    it('HTTP/2: bodies that come one after the other go through', async () => {
        const c = await Connection.open(target.tlsPort, { secure: true });
        const post = request({ ':method': 'POST', ':path': '/echo' });
        c.send(...[1, 3, 5].map((id) => headers(id, post, FLAG.END_HEADERS)));
        for (const id of [1, 3, 5])
            for (let i = 0; i < 20; ++i) {
                c.send(data(id, Buffer.alloc(600), i === 19 ? FLAG.END_STREAM : 0)); // twice what three should bring
                await wait(100);
            }
        for (const id of [1, 3, 5]) assert.ok(target.fine.includes((await c.response(id, 20000)).status), `stream ${id}`);
        c.close();
    });
    it('HTTP/2: of bodies that all come too slowly, as many go through as the line has room for', async () => {
        const c = await Connection.open(target.tlsPort, { secure: true });
        const post = request({ ':method': 'POST', ':path': '/echo' });
        c.send(...Array.from({ length: 9 }, (none, i) => headers(1 + 2 * i, post, FLAG.END_HEADERS)));
        const refused = (id) => c.frames.some((f) => f.id === id && f.status === 408);
        for (let i = 0; i < 50; ++i) {
            const left = [1, 3, 5, 7, 9, 11, 13, 15, 17].filter((id) => !refused(id));
            for (const id of left) c.send(data(id, Buffer.alloc(Math.floor(4500 / 10 / left.length)), i === 49 ? FLAG.END_STREAM : 0));
            await wait(100);
        }
        const got = [];
        for (let id = 1; id < 18; id += 2) got.push((await c.response(id, 20000)).status);
        const through = got.filter((status) => target.fine.includes(status)).length;
        assert.ok(through >= 1 && through <= 5 && got.every((status) => status === 408 || target.fine.includes(status)), got.join(' '));
        assert.ok(target.fine.includes(got[0]), 'the first');
        c.close();
    });
    it('an honest slow reader gets all', async () => {
        const socket = await connect(false);
        let bytes = 0;
        socket.on('error', (e) => assert.fail(e));
        socket.write(`GET ${target.where('/1m')} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
        const ended = new Promise((done) => socket.on('end', done));
        socket.on('data', (part) => {
            bytes += part.length;
            socket.pause();
            setTimeout(() => socket.resume(), 50);
        });
        await ended;
        assert.ok(bytes > 1 << 20);
    });
    it('HTTP/2: PING keeps an idle connection', async () => {
        const c = await Connection.open(target.h1Port);
        for (let i = 0; i < 8; ++i) {
            await wait(LIMITS.idleTimeout / 4);
            c.send(ping(0, `ping${i}   `.slice(0, 8)));
        }
        assert.ok(await c.isAlive());
        c.close();
    });
    await Promise.all(cases);
});

test('a handler that works longer than every time-out is left alone', { timeout: 20000 }, async (t) => {
    if (!target.isProbe) return t.skip('only the probe has an answer that takes its time');
    const impatient = await startTarget({ headerTimeout: 100, bodyTimeout: 100, writeTimeout: 100, idleTimeout: 100 });
    const got = await new Promise((done) => {
        const socket = net.connect(impatient.h1Port, '127.0.0.1');
        let text = '';
        socket.on('data', (part) => { text += part; });
        socket.on('end', () => done(text));
        socket.write(`GET ${target.where('/delay')} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    });
    assert.match(got, /^HTTP\/1\.1 200 /);
    const c = await Connection.open(impatient.tlsPort, { secure: true });
    c.send(headers(1, request({ ':path': '/delay' })));
    assert.equal((await c.response(1)).status, 200);
    c.close();
    await impatient.stop();
});
