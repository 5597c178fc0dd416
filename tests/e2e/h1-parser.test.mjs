// HTTP/1 heads and bodies byte by byte: what is answered, and that what is refused ends the connection with an error in the contract's form
// that the client really gets to read. A head that two servers could read differently is refused (RFC 9112 §11.2).
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { after, test } from 'node:test';
import { startTarget } from '../harness/http-target.mjs';

const target = await startTarget();
after(() => target.stop());

const PAGE = target.where('/1k');
const GET = `GET ${PAGE} HTTP/1.1\r\nHost: localhost\r\n`;
const POST = `POST ${target.where('/echo')} HTTP/1.1\r\nHost: localhost\r\n`;
const SMALL = `POST ${target.where('/small')} HTTP/1.1\r\nHost: localhost\r\n`;
const LIMIT = target.smallLimit;
const POSTED = 'posted'; // any of target.fine
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
const NEXT = `${GET}\r\n`;
const LAST = `${GET}Connection: close\r\n\r\n`;

function connect(secure) {
    return secure
        ? tls.connect({ port: target.tlsPort, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
        : net.connect({ port: target.h1Port, host: '127.0.0.1' });
}

/** Sends bytes, then reads until the server closes or `enough(text)`; gives {text, statuses, closed, error}. */
function exchange(bytes, { secure = false, enough = () => false, wait = 5000 } = {}) {
    return new Promise((resolve) => {
        const socket = connect(secure);
        let text = '';
        const done = (closed, error) => {
            clearTimeout(timer);
            socket.destroy();
            const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((m) => Number(m[1]));
            resolve({ text, statuses, closed, error });
        };
        const timer = setTimeout(() => done(false), wait);
        socket.on('data', (part) => {
            text += part.toString('latin1');
            if (enough(text)) done(false);
        });
        socket.on('end', () => done(true));
        socket.on('error', (error) => done(true, error.code));
        socket.write(Buffer.from(bytes, 'latin1'));
    });
}

const bodyOf = (text) => JSON.parse(text.slice(text.lastIndexOf('\r\n\r\n') + 4));

// name: [bytes, status, code]; all of them close
const refused = {
    'both Content-Length and Transfer-Encoding': [`${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`, 400],
    'both, the other way round': [`${POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${NEXT}`, 400],
    'two differing Content-Length': [`${POST}Content-Length: 4\r\nContent-Length: 0\r\n\r\nabcd`, 400],
    'two equal Content-Length': [`${POST}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd`, 400],
    'a list in Content-Length': [`${POST}Content-Length: 4, 4\r\n\r\nabcd`, 400],
    'Content-Length with a plus': [`${POST}Content-Length: +4\r\n\r\nabcd`, 400],
    'Content-Length with a minus': [`${POST}Content-Length: -4\r\n\r\nabcd`, 400],
    'Content-Length in hexadecimal': [`${POST}Content-Length: 0x4\r\n\r\nabcd`, 400],
    'Content-Length with a space inside': [`${POST}Content-Length: 1 2\r\n\r\nabcd`, 400],
    'an empty Content-Length': [`${POST}Content-Length:\r\n\r\n`, 400],
    'Transfer-Encoding gzip, chunked': [`${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 400],
    'Transfer-Encoding identity': [`${POST}Transfer-Encoding: identity\r\n\r\n`, 400],
    'Transfer-Encoding xchunked': [`${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
    'Transfer-Encoding twice': [`${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`, 400],
    'Transfer-Encoding behind a vertical tab': [`${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, 400],
    'Transfer-Encoding with a parameter': [`${POST}Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n`, 400],
    'an empty Transfer-Encoding': [`${POST}Transfer-Encoding:\r\n\r\n`, 400],
    'Transfer-Encoding in HTTP/1.0': ['POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', 400],
    'a space before the colon': [`${POST}Content-Length : 4\r\n\r\nabcd`, 400],
    'a tab before the colon': [`${POST}Content-Length\t: 4\r\n\r\nabcd`, 400],
    'a folded line': [`${POST}Content-Length: 4\r\nX: a\r\n b\r\n\r\nabcd`, 400],
    'a folded Transfer-Encoding': [`${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${NEXT}`, 400],
    'a first field that begins with a space': [`GET /1k HTTP/1.1\r\n Host: localhost\r\n\r\n`, 400],
    'lines that end in LF alone': ['GET /1k HTTP/1.1\nHost: localhost\n\n', 400],
    'one line that ends in LF alone': ['GET /1k HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n', 400],
    'an empty line of LF alone': [`${GET}X: y\r\n\n`, 400],
    'a bare CR in a value': [`${GET}X: a\rY: b\r\n\r\n`, 400],
    'NUL in a value': [`${GET}X: a\0b\r\n\r\n`, 400],
    'NUL in the target': ['GET /1\0k HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    'DEL in a value': [`${GET}X: a\x7fb\r\n\r\n`, 400],
    'a field without a name': [`${GET}: y\r\n\r\n`, 400],
    'a field without a colon': [`${GET}nonsense\r\n\r\n`, 400],
    'a name with a bracket': [`${GET}a(b): y\r\n\r\n`, 400],
    'no Host': ['GET /1k HTTP/1.1\r\n\r\n', 400],
    'two Hosts': ['GET /1k HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    'two equal Hosts': ['GET /1k HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
    'an empty Host': ['GET /1k HTTP/1.1\r\nHost:\r\n\r\n', 400],
    'a Host with user information': ['GET /1k HTTP/1.1\r\nHost: user@localhost\r\n\r\n', 400],
    'a Host with a path': ['GET /1k HTTP/1.1\r\nHost: localhost/x\r\n\r\n', 400],
    'a Host with a space': ['GET /1k HTTP/1.1\r\nHost: local host\r\n\r\n', 400],
    'a Host with a port that is none': ['GET /1k HTTP/1.1\r\nHost: localhost:http\r\n\r\n', 400],
    'a Host with a port over 65535': ['GET /1k HTTP/1.1\r\nHost: localhost:70000\r\n\r\n', 400],
    'a Host that is a broken literal': ['GET /1k HTTP/1.1\r\nHost: [::1\r\n\r\n', 400],
    'HTTP/1.9': ['GET /1k HTTP/1.9\r\nHost: localhost\r\n\r\n', 400],
    'HTTP/2.0 as a version': ['GET /1k HTTP/2.0\r\nHost: localhost\r\n\r\n', 400],
    'HTTP/0.9': ['GET /1k\r\n\r\n', 400],
    'a version in lower case': ['GET /1k http/1.1\r\nHost: localhost\r\n\r\n', 400],
    'two spaces in the request line': ['GET  /1k HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    'a tab in the request line': ['GET\t/1k HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    'a space behind the version': ['GET /1k HTTP/1.1 \r\nHost: localhost\r\n\r\n', 400],
    'a method that is no token': ['G(T /1k HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    'no method': [' /1k HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    'a target without a slash': ['GET 1k HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    'a target of * without OPTIONS': ['GET * HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    'an absolute target with user information': ['GET http://user@localhost/1k HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    'an absolute target without a host': ['GET http:///1k HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    'an absolute target of another scheme': ['GET ftp://localhost/1k HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    CONNECT: ['CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n', 400],
    'two empty lines in front': [`\r\n\r\n${NEXT}`, 400],
    'bytes of TLS': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    'a chunk size that ends in LF alone': [`${CHUNKED}3\nabc\r\n0\r\n\r\n`, 400],
    'a chunk size of 17 digits': [`${CHUNKED}00000000000000003\r\nabc\r\n0\r\n\r\n`, 400],
    'a chunk size that is no number': [`${CHUNKED}x\r\nabc\r\n0\r\n\r\n`, 400],
    'a chunk size with a sign': [`${CHUNKED}+3\r\nabc\r\n0\r\n\r\n`, 400],
    'a chunk size with 0x': [`${CHUNKED}0x3\r\nabc\r\n0\r\n\r\n`, 400],
    'a chunk without a size': [`${CHUNKED}\r\nabc\r\n0\r\n\r\n`, 400],
    'a chunk that is longer than its size': [`${CHUNKED}3\r\nabcXX0\r\n\r\n`, 400],
    'a chunk that ends in LF alone': [`${CHUNKED}3\r\nabc\n0\r\n\r\n`, 400],
    'a chunk that ends in CR CR LF': [`${CHUNKED}3\r\nabc\r\r\n0\r\n\r\n`, 400],
    'LF in a chunk\'s extension': [`${CHUNKED}3;a=\nb\r\nabc\r\n0\r\n\r\n`, 400],
    'a chunk\'s extension of 10 kB': [`${CHUNKED}3;${'a'.repeat(10000)}\r\nabc\r\n0\r\n\r\n`, 400],
    'trailers of 20 kB': [`${CHUNKED}0\r\n${'x: y\r\n'.repeat(4000)}\r\n`, 400],
    'an unknown expectation': [`${POST}Expect: x\r\nContent-Length: 1\r\n\r\na`, 417, 'expectation_failed'],
    '101 fields': [`${GET}${'h: v\r\n'.repeat(100)}\r\n`, 431, 'headers_too_large'],
    'a field of 64 kB': [`${GET}c: ${'a'.repeat(65536)}\r\n\r\n`, 431, 'headers_too_large'],
    'a field of 500 kB': [`${GET}c: ${'a'.repeat(500000)}\r\n\r\n`, 431, 'headers_too_large'],
    'a head without an end': [`${GET}${'x: y\r\n'.repeat(10000)}`, 431, 'headers_too_large'],
    'a target of 20 kB': [`GET /${'a'.repeat(20000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 414, 'target_too_long'],
    'a target of 8193 bytes': [`GET /${'a'.repeat(8192)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 414, 'target_too_long'],
    'a target without an end': [`GET /${'a'.repeat(100000)}`, 414, 'target_too_long'],
    'a Content-Length over the limit': [`${SMALL}Content-Length: ${LIMIT + 1}\r\n\r\n`, 413, 'body_too_large'],
    'a Content-Length over every number': [`${SMALL}Content-Length: 99999999999999999999999\r\n\r\n`, 413, 'body_too_large'],
    'a Content-Length over the limit, with 100-continue': [`${SMALL}Expect: 100-continue\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`, 413, 'body_too_large'],
    'chunks over the limit': [`${SMALL}Transfer-Encoding: chunked\r\n\r\n${LIMIT.toString(16)}\r\n${'x'.repeat(LIMIT)}\r\n1\r\nx\r\n0\r\n\r\n`, 413, 'body_too_large'],
    'a chunk that announces more than the limit': [`${SMALL}Transfer-Encoding: chunked\r\n\r\n${(LIMIT + 1).toString(16)}\r\n`, 413, 'body_too_large'],
};

for (const secure of [false, true]) {
    for (const [name, [bytes, status, code = 'bad_request']] of Object.entries(refused)) {
        test(`${name}: ${status} and the end${secure ? ' (TLS)' : ''}`, async () => {
            const got = await exchange(bytes, { secure });
            assert.deepEqual({ statuses: got.statuses, closed: got.closed, error: got.error }, { statuses: [status], closed: true, error: undefined });
            const body = bodyOf(got.text);
            assert.equal(body.error, true);
            assert.equal(body.code, code);
            assert.match(body.message, /\w+.*\.$/);
            assert.match(got.text, /^Connection: close\r$/im);
            assert.match(got.text, /^Cache-Control: no-store\r$/im);
            assert.match(got.text, /^Content-Type: application\/json/im);
            assert.equal(/^Clear-Site-Data: "cookies"\r$/im.test(got.text), status === 431);
        });
    }
}

// name: [bytes, statuses]; the last request in each closes
const accepted = {
    'an empty line in front': [`\r\n${LAST}`, [200]],
    'three requests at once': [`${NEXT}${NEXT}${LAST}`, [200, 200, 200]],
    'a body and the next request at once': [`${POST}Content-Length: 4\r\n\r\nabcd${LAST}`, [POSTED, 200]],
    'a chunked body and the next request at once': [`${CHUNKED}3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n${LAST}`, [POSTED, 200]],
    'a chunk\'s extension': [`${CHUNKED}3;a=b\r\nabc\r\n0\r\n\r\n${LAST}`, [POSTED, 200]],
    'trailers': [`${CHUNKED}3\r\nabc\r\n0\r\nX-T: y\r\n\r\n${LAST}`, [POSTED, 200]],
    'chunk sizes in both cases': [`${CHUNKED}a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n${LAST}`, [POSTED, 200]],
    'Transfer-Encoding in other letters': [`${POST}transfer-encoding: Chunked\r\n\r\n0\r\n\r\n${LAST}`, [POSTED, 200]],
    'white space around a value': [`${POST}Content-Length: \t 4 \t\r\n\r\nabcd${LAST}`, [POSTED, 200]],
    'a Content-Length of 0': [`${POST}Content-Length: 0\r\n\r\n${LAST}`, [POSTED, 200]],
    'a body as long as the limit': [`${SMALL}Content-Length: ${LIMIT}\r\n\r\n${'x'.repeat(LIMIT)}${LAST}`, [POSTED, 200]],
    '100-continue': [`${POST}Expect: 100-continue\r\nContent-Length: 1\r\n\r\na${LAST}`, [100, POSTED, 200]],
    'Connection: TE keeps the connection': [`${GET}TE: trailers\r\nConnection: TE\r\n\r\n${LAST}`, [200, 200]],
    'Connection: close, keep-alive closes': [`${GET}Connection: close, keep-alive\r\n\r\n${NEXT}`, [200]],
    'two Connection fields, one close': [`${GET}Connection: close\r\nConnection: keep-alive\r\n\r\n${NEXT}`, [200]],
    'HTTP/1.0 closes': [`GET ${PAGE} HTTP/1.0\r\nHost: localhost\r\n\r\n`, [200]],
    'HTTP/1.0 with keep-alive': [`GET ${PAGE} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n${LAST}`, [200, 200]],
    'an offer to upgrade is not taken': [`${GET}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n${LAST}`, [200, 200]],
    '90 fields': [`${GET}${'h: v\r\n'.repeat(90)}\r\n${LAST}`, [200, 200]],
    'bytes above 127 in a value': [`${GET}X: caf\xe9\r\n\r\n${LAST}`, [200, 200]],
    'HEAD': [`HEAD ${PAGE} HTTP/1.1\r\nHost: localhost\r\n\r\n${LAST}`, [200, 200]],
};

for (const [name, [bytes, statuses]] of Object.entries(accepted)) {
    test(`${name}: ${statuses.join(', ')}`, async () => {
        const got = await exchange(bytes);
        const seen = got.statuses.map((status, i) => (statuses[i] === POSTED && target.fine.includes(status) ? POSTED : status));
        assert.deepEqual({ statuses: seen, closed: got.closed, error: got.error }, { statuses, closed: true, error: undefined });
    });
}

// target form: [request line's target, Host, authority and path that the handler sees]
const forms = {
    'absolute form': ['http://other.example/inspect/a?b', 'localhost', 'other.example', '/inspect/a?b'],
    'absolute form with a port': ['http://other.example:8080/inspect', 'localhost', 'other.example:8080', '/inspect'],
    'absolute form in capitals': ['HTTP://Other.example/inspect', 'localhost', 'Other.example', '/inspect'],
    'absolute form of https': ['https://other.example/inspect', 'localhost', 'other.example', '/inspect'],
    'absolute form with an IPv6 literal': ['http://[::1]:80/inspect', 'localhost', '[::1]:80', '/inspect'],
    'origin form that begins with two slashes': ['/inspect//other.example', 'localhost', 'localhost', '/inspect//other.example'],
};
for (const [name, [where, host, authority, seen]] of Object.entries(forms)) {
    test(`${name}: the target's authority wins`, async (t) => {
        if (!target.isProbe) return t.skip('only the probe tells what it sees');
        const got = await exchange(`GET ${where} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
        const body = bodyOf(got.text);
        assert.deepEqual([body.authority, body.path, body.scheme], [authority, seen, 'http']);
    });
}
for (const [where, path] of [['http://other.example', '/'], ['http://other.example?inspect', '/?inspect']]) {
    test(`an absolute form without a path (${where}) is ${path}`, async () => {
        const got = await exchange(`GET ${where} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
        assert.notEqual(got.statuses[0], 400);
        assert.equal(got.statuses.length, 1);
    });
}

test('a head in single bytes', async () => {
    const socket = connect(false);
    let text = '';
    socket.on('data', (part) => { text += part; });
    const ended = new Promise((done) => socket.on('end', done));
    for (const byte of LAST) {
        socket.write(byte);
        await new Promise((done) => setImmediate(done));
    }
    await ended;
    assert.match(text, /^HTTP\/1\.1 200 /);
});

test('a chunked body in single bytes', async () => {
    const socket = connect(false);
    let text = '';
    socket.on('data', (part) => { text += part; });
    const ended = new Promise((done) => socket.on('end', done));
    for (const byte of `${POST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\n`) {
        socket.write(byte);
        await new Promise((done) => setImmediate(done));
    }
    await ended;
    if (target.isProbe) assert.match(text, /"bytes":5\b/);
    else assert.match(text, /^HTTP\/1\.1 4/);
});

for (const secure of [false, true]) {
    test(`a client that writes 8 MB before it reads gets its 413${secure ? ' (TLS)' : ''}`, async () => {
        const socket = connect(secure);
        await new Promise((done) => socket.once(secure ? 'secureConnect' : 'connect', done));
        socket.pause();
        socket.write(`${SMALL}Content-Length: 8388608\r\n\r\n`);
        await new Promise((done, fail) => socket.write(Buffer.alloc(8 << 20), (error) => (error ? fail(error) : done())));
        let text = '';
        socket.on('data', (part) => { text += part; });
        await new Promise((done, fail) => socket.on('end', done).on('error', fail).resume());
        assert.match(text, /^HTTP\/1\.1 413 /);
        assert.equal(bodyOf(text).code, 'body_too_large');
    });
}
