// Visitors: contract §2 line by line, against the built server.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import zlib from 'node:zlib';
import { request, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const LONG = 'The quick brown fox jumps over the lazy dog. '.repeat(200);
const page = (title) => `<!doctype html><title>${title}</title><p>${LONG}</p>`;

function pie(name, files, { entry = 'index.html', routes, version = '1.0.0' } = {}) {
    const config = [`entry: ${entry}`, ...(routes ? ['routes:', ...routes.flatMap(([p, spa]) => [`  - path: ${p}`, `    spa: ${spa}`])] : [])].join('\n');
    const sections = Object.entries(files).map(([p, text]) => `===public-file:${p}===\n${text}\n===public-file:${p}===\n`);
    return `---\nname: ${name}\ndisplayName: ${name}\ntier: tool\nversion: ${version}\n---\nmodule.exports.handler = async () => ({});\n===public-config===\n${config}\n===public-config===\n${sections.join('')}`;
}

const server = await startServer({ settings: { shared_origin: 'accepted' }, expectErrors: [/could not be loaded/, /a request failed/] });
after(() => server.stop());

// A server for one test; what the test says is wrong counts before what stop() says.
async function withServer(options, use) {
    const one = await startServer(options);
    try {
        await use(one);
    } catch (error) {
        await one.stop().catch(() => {});
        throw error;
    }
    await one.stop();
}

async function deploy(text, on = server) {
    const made = await on.api('POST', '/api/plugins/import', text);
    assert.ok(made.status === 200 || made.status === 201, made.text);
    const { plugin, instance, deployment, publicAppUrl } = made.json;
    return { plugin, instance, deployment, url: publicAppUrl, base: new URL(publicAppUrl).pathname.replace(/\/$/, ''), origin: new URL(publicAppUrl).origin };
}
// `where` goes out as it is: no URL parser touches it.
const get = (app, where, headers = {}, more = {}) => request(app.origin, { path: app.base + where, headers, ...more });

const FILES = {
    'index.html': page('home'), 'about.html': page('about'), '404.html': page('no such page'), 'docs/index.html': page('docs'),
    'docs/404.html': page('no such doc'), 'docs/guide.txt': 'guide', 'app.js': `// ${LONG}`, 'app.3f2a9c1b.js': `// hashed ${LONG}`, 'style.css': `/* ${LONG} */`,
    'small.txt': '0123456789', 'both': 'exact', 'both.html': page('not me'), 'Näme.txt': 'unicode', 'with space.txt': 'space',
    '.env': 'SECRET=1', '.well-known/security.txt': 'Contact: x', 'docs/.hidden/x.txt': 'hidden', 'empty.txt': '', 'logo.png': 'not really',
};
const site = await deploy(pie('site', FILES));
const app = await deploy(pie('app', { 'index.html': page('spa'), 'app.js': 'let app;', 'assets/main.css': 'a{}', 'admin/logo.svg': '<svg/>' },
    { routes: [['/', true], ['admin/old', false]] }));
const nested = await deploy(pie('nested', { 'dist/index.html': page('nested'), 'dist/app.js': 'let nested;' }, { entry: 'dist/index.html', routes: [['/', true]] }));

test('the root is the entry; without its slash it redirects and keeps the query', async () => {
    for (const [one, title] of [[site, 'home'], [app, 'spa'], [nested, 'nested']]) {
        const root = await get(one, '/');
        assert.equal(root.status, 200);
        assert.equal(root.headers['content-type'], 'text/html; charset=utf-8');
        assert.match(root.text, new RegExp(`<title>${title}<`));
        assert.ok(root.headers['x-request-id']);
        const bare = await get(one, '?a=1&b=%20c');
        assert.equal(bare.status, 308);
        assert.equal(bare.headers.location, `${one.base}/?a=1&b=%20c`);
        assert.equal((await get(one, '')).headers.location, `${one.base}/`);
    }
});

test('resolution goes in the order of the contract', async () => {
    const expected = [
        ['/index.html', 200, 'home'], ['/about.html', 200, 'about'], ['/about', 200, 'about'], ['/docs/', 200, 'docs'], ['/docs/index.html', 200, 'docs'],
        ['/docs', 308, '/docs/'], ['/docs?x=1', 308, '/docs/?x=1'], ['/both', 200, 'exact'], ['/nothing', 404, 'no such page'], ['/a/b/c', 404, 'no such page'],
        ['/docs/nothing', 404, 'no such doc'], ['/docs/a/b', 404, 'no such doc'], ['/ABOUT.html', 404, 'no such page'], ['/about/', 404, 'no such page'],
        ['/N%C3%A4me.txt', 200, 'unicode'], ['/with%20space.txt', 200, 'space'], ['/with%2520space.txt', 404, 'no such page'], ['/%61bout', 200, 'about'],
        ['/docs%2Fguide.txt', 200, 'guide'], ['/small.txt?query', 200, '0123456789'],
    ];
    for (const [where, status, what] of expected) {
        const got = await get(site, where);
        assert.equal(got.status, status, where);
        if (status === 308) assert.equal(got.headers.location, site.base + what);
        else assert.ok(got.text.includes(what), `${where}: ${got.text.slice(0, 80)}`);
        if (status === 404) {
            assert.equal(got.headers['cache-control'], 'no-store');
            assert.equal(got.headers['content-type'], 'text/html; charset=utf-8');
            assert.equal(got.headers.etag, undefined);
        }
    }
});

test('paths that are malformed are 400, and slashes never lead to another host', async () => {
    for (const where of ['/%', '/%zz', '/a%2', '/%00', '/x%00.html', '/%ff', '/%c0%ae', '/..', '/../x', '/%2e%2e/x', '/docs/../../x', '/..%2f..%2fetc', '/a\\b', '/a%5Cb', '/..%5c']) {
        const got = await get(site, where);
        assert.equal(got.status, 400, where);
        assert.equal(got.json.code, 'bad_request');
    }
    const moved = [['//about', '/about'], ['/docs//guide.txt', '/docs/guide.txt'], ['//evil.example/', '/evil.example/'], ['/%2f%2fevil.example', '/evil.example'],
        ['/docs/./guide.txt', '/docs/guide.txt'], ['/docs/../about', '/about'], ['/x/..//evil.example', '/evil.example'], ['//a%0d%0aset-cookie:x', '/a%0D%0Aset-cookie:x'],
        ['//docs/?q=1', '/docs/?q=1']];
    for (const [where, to] of moved) {
        const got = await get(site, where);
        assert.equal(got.status, 308, where);
        assert.equal(got.headers.location, site.base + to, where);
        assert.equal(got.headers['set-cookie'], undefined);
    }
    for (const [raw, to] of [[`/apps//${site.base.slice(6)}/`, `${site.base}/`], [`${site.base.replace('-', '%2D')}/about?x`, `${site.base}/about?x`]]) {
        const got = await request(site.origin, { path: raw });
        assert.equal(got.status, 308, raw);
        assert.equal(got.headers.location, to);
    }
    assert.equal((await request(site.origin, { path: '/apps/../console' })).status, 400);
});

test('dotfiles are not served, but for /.well-known/', async () => {
    for (const where of ['/.env', '/%2eenv', '/docs/.hidden/x.txt', '/.well-known/.x']) assert.equal((await get(site, where)).status, 404, where);
    assert.equal((await get(site, '/.well-known/security.txt')).text, 'Contact: x');
    assert.equal((await get(app, '/.env')).status, 404);
});

test('challenge paths are answered from the challenge table only', async () => {
    for (const where of ['/.well-known/acme-challenge/x', '/.well-known/pki-validation/x']) {
        assert.equal((await request(site.origin, { path: where })).status, 404);
        assert.equal((await get(app, where)).status, 404); // never the entry
        assert.equal((await get(app, where.replace('acme-c', 'acme%2dc'))).status, 404);
    }
    const refused = await server.api('POST', '/api/plugins/import', pie('challenger', { 'index.html': 'x', '.well-known/acme-challenge/x': 'x' }));
    assert.equal(refused.status, 422);
});

test('what is not there is a 404 in the contract\'s form', async () => {
    const [plugin, instance] = site.base.split('/').slice(2);
    for (const where of ['/apps/', '/apps/x', `/apps/other/${instance}/`, `/apps/${plugin}/${plugin}-00000000/`, `/apps/${plugin}/${instance}x/`, '/apps/a/b/c', '/',
        `/apps/${plugin}/${instance}@nothing/`, `/apps/${plugin}/${instance}@${'0'.repeat(26)}/`, `/apps/${'x'.repeat(300)}/y/`, `/apps/app/${instance}/`]) {
        const got = await request(site.origin, { path: where, headers: { accept: '*/*' } });
        assert.equal(got.status, 404, where);
        assert.equal(got.json?.error, true, where);
        assert.equal(got.json.code, 'not_found');
        assert.equal(got.json.requestId, got.headers['x-request-id']);
        assert.equal(got.headers['cache-control'], 'no-store');
    }
    const html = await request(`${site.origin}/apps/none/none-00000000/`, { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate' } });
    assert.equal(html.status, 404);
    assert.match(html.headers['content-type'], /^text\/html/);
});

test('methods', async () => {
    const options = await get(site, '/', {}, { method: 'OPTIONS' });
    assert.equal(options.status, 204);
    assert.equal(options.headers.allow, 'GET, HEAD, OPTIONS');
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
        const got = await get(site, '/', {}, { method });
        assert.equal(got.status, 405, method);
        assert.equal(got.headers.allow, 'GET, HEAD, OPTIONS');
        assert.equal(got.json.code, 'method_not_allowed');
    }
    for (const where of ['/', '/app.js', '/nothing', '/empty.txt']) {
        const [whole, head] = [await get(site, where), await get(site, where, {}, { method: 'HEAD' })];
        assert.equal(head.status, whole.status);
        assert.equal(head.body.length, 0);
        for (const name of ['content-length', 'content-type', 'etag', 'last-modified', 'cache-control', 'vary']) assert.equal(head.headers[name], whole.headers[name], `${where} ${name}`);
        assert.equal(Number(head.headers['content-length']), whole.body.length);
    }
});

test('caching follows what is served', async () => {
    const expected = { '/': 'no-cache', '/about': 'no-cache', '/docs/': 'no-cache', '/app.js': 'public, max-age=60, stale-while-revalidate=3600',
        '/app.3f2a9c1b.js': 'public, max-age=31536000, immutable', '/logo.png': 'public, max-age=60, stale-while-revalidate=3600', '/nothing': 'no-store' };
    for (const [where, caching] of Object.entries(expected)) {
        const got = await get(site, where);
        assert.equal(got.headers['cache-control'], caching, where);
        assert.equal(got.headers['x-content-type-options'], 'nosniff');
        assert.equal(got.headers['referrer-policy'], 'strict-origin-when-cross-origin');
    }
    assert.equal((await get(app, '/deep/route')).headers['cache-control'], 'no-cache');
});

test('a hashed name that once had other bytes is not immutable', async () => {
    const files = { 'index.html': 'x', 'a.3f2a9c1b.js': '1', 'b.3f2a9c1b.js': '1' };
    await deploy(pie('hashes', files));
    const again = await deploy(pie('hashes', { ...files, 'b.3f2a9c1b.js': '2' }));
    assert.match((await get(again, '/a.3f2a9c1b.js')).headers['cache-control'], /immutable/);
    assert.match((await get(again, '/b.3f2a9c1b.js')).headers['cache-control'], /max-age=60/);
});

const decoders = { br: zlib.brotliDecompressSync, gzip: zlib.gunzipSync };

test('encodings: weights, Vary, an ETag of its own for each', async () => {
    const etags = new Set();
    for (const [accept, expected] of [[undefined, undefined], ['', undefined], ['gzip', 'gzip'], ['br', 'br'], ['zstd', 'zstd'], ['gzip, deflate, br, zstd', 'br'],
        ['gzip;q=1, br;q=0.5', 'gzip'], ['*', 'br'], ['*;q=0', undefined], ['identity;q=0, gzip', 'gzip'], ['gzip;q=0', undefined], ['GZIP', 'gzip'],
        ['identity, br;q=0.1', undefined], ['gzip;q=7', undefined], ['br;q=0, *', 'zstd']]) {
        const got = await get(site, '/app.js', accept === undefined ? {} : { 'accept-encoding': accept });
        assert.equal(got.status, 200);
        assert.equal(got.headers['content-encoding'], expected, accept);
        assert.match(got.headers.vary, /accept-encoding/i);
        assert.equal(Number(got.headers['content-length']), got.body.length);
        if (decoders[expected]) assert.equal(decoders[expected](got.body).toString(), FILES['app.js']);
        else if (!expected) assert.equal(got.text, FILES['app.js']);
        else assert.equal(got.body.readUInt32LE(0), 0xfd2fb528); // RFC 8878
        assert.match(got.headers.etag, /^"[\w-]{22,}"$/); // strong
        etags.add(`${expected} ${got.headers.etag}`);
    }
    assert.equal(etags.size, 4);
    assert.equal(new Set([...etags].map((e) => e.split(' ')[1])).size, 4);
    const small = await get(site, '/small.txt', { 'accept-encoding': 'br' });
    assert.equal(small.headers['content-encoding'], undefined);
    assert.equal(small.headers.vary, undefined); // there are no variants
    const missing = await get(site, '/nothing', { 'accept-encoding': 'gzip' });
    assert.equal(missing.headers['content-encoding'], 'gzip');
    assert.match(zlib.gunzipSync(missing.body).toString(), /no such page/);
});

test('after a switch, back to older files too, a date alone is answered with the new bytes', async () => {
    const made = (await server.api('POST', '/api/plugins/import', pie('switches', { 'index.html': 'one' }))).json;
    const live = async (want) => {
        for (let i = 0; i < 300; ++i) {
            const got = await request(made.publicAppUrl);
            if (got.text === want) return got.headers['last-modified'];
            await new Promise((done) => { setTimeout(done, 10); });
        }
        throw new Error(`never ${want}`);
    };
    const dates = [await live('one')];
    const second = (await server.api('POST', '/api/plugins/import', pie('switches', { 'index.html': 'two' }))).json;
    dates.push(await live('two'));
    for (const [id, text] of [[made.deployment.id, 'one'], [second.deployment.id, 'two'], [made.deployment.id, 'one']]) {
        await server.api('POST', `/api/plugins/switches/deployments/${id}/activate`);
        dates.push(await live(text));
        for (const date of dates.slice(0, -1)) {
            const got = await request(made.publicAppUrl, { headers: { 'if-modified-since': date } });
            assert.deepEqual([got.status, got.text], [200, text], `${date} ${dates}`);
        }
        assert.equal((await request(made.publicAppUrl, { headers: { 'if-modified-since': dates.at(-1) } })).status, 304);
    }
    await server.api('POST', `/api/plugins/switches/deployments/${made.deployment.id}/activate`); // it is live already
    assert.equal(await live('one'), dates.at(-1));
    const preview = await request(made.publicAppUrl.replace(/\/$/, `@${made.deployment.id}/`));
    assert.ok(Date.parse(dates[0]) - Date.parse(preview.headers['last-modified']) <= 1000, preview.headers['last-modified']);
});

test('conditional requests', async () => {
    const first = await get(site, '/app.js');
    const { etag, 'last-modified': modified } = first.headers;
    const earlier = new Date(Date.parse(modified) - 1000).toUTCString();
    const later = new Date(Date.parse(modified) + 1000).toUTCString();
    const cases = [
        [{ 'if-none-match': etag }, 304], [{ 'if-none-match': `W/${etag}` }, 304], [{ 'if-none-match': `"x", ${etag}` }, 304], [{ 'if-none-match': '*' }, 304],
        [{ 'if-none-match': '"x"' }, 200], [{ 'if-modified-since': modified }, 304], [{ 'if-modified-since': later }, 304], [{ 'if-modified-since': earlier }, 200],
        [{ 'if-modified-since': 'nonsense' }, 200], [{ 'if-none-match': '"x"', 'if-modified-since': later }, 200], [{ 'if-match': etag }, 200], [{ 'if-match': '*' }, 200],
        [{ 'if-match': '"x"' }, 412], [{ 'if-match': `W/${etag}` }, 412], [{ 'if-unmodified-since': modified }, 200], [{ 'if-unmodified-since': earlier }, 412],
        [{ 'if-match': etag, 'if-unmodified-since': earlier }, 200], [{ 'if-match': '"x"', 'if-none-match': etag }, 412], [{ 'if-match': etag, 'if-none-match': etag }, 304],
        [{ 'if-none-match': etag, 'accept-encoding': 'br' }, 200],
    ];
    for (const [headers, status] of cases) {
        for (const method of ['GET', 'HEAD']) {
            const got = await get(site, '/app.js', headers, { method });
            assert.equal(got.status, status, JSON.stringify(headers));
            if (status !== 304) continue;
            assert.equal(got.body.length, 0);
            for (const name of ['etag', 'last-modified', 'cache-control', 'vary']) assert.equal(got.headers[name], first.headers[name], name);
            assert.equal(got.headers['content-length'], undefined);
        }
    }
    const failed = await get(site, '/app.js', { 'if-match': '"x"' });
    assert.equal(failed.json.code, 'precondition_failed');
    assert.equal((await get(site, '/nothing', { 'if-none-match': '*' })).status, 404); // conditions are for what is there
});

test('ranges', async () => {
    const whole = (await get(site, '/app.js')).text;
    const size = whole.length;
    const { etag, 'last-modified': modified } = (await get(site, '/app.js')).headers;
    const ok = [['bytes=0-9', 0, 9], ['bytes=5-', 5, size - 1], ['bytes=-7', size - 7, size - 1], [`bytes=10-${size + 100}`, 10, size - 1], ['bytes=0-9,5-20', 0, 20], ['bytes=0-0', 0, 0],
        [`bytes=-${size + 1}`, 0, size - 1], ['bytes=0-9,10-19', 0, 19]];
    for (const [range, first, last] of ok) {
        for (const accept of ['identity', 'br, gzip']) { // parts are of the file itself
            const got = await get(site, '/app.js', { range, 'accept-encoding': accept });
            assert.equal(got.status, 206, range);
            assert.equal(got.headers['content-range'], `bytes ${first}-${last}/${size}`);
            assert.equal(got.headers['content-encoding'], undefined);
            assert.equal(got.text, whole.slice(first, last + 1));
            assert.equal(got.headers.etag, etag);
            assert.match(got.headers.vary, /accept-encoding/i);
        }
    }
    for (const range of ['lines=0-1', 'bytes=9-0', 'bytes=x', 'bytes', `bytes=${Array.from({ length: 17 }, (_, i) => `${i * 3}-${i * 3}`)}`]) {
        const got = await get(site, '/app.js', { range });
        assert.equal(got.status, 200, range);
        assert.equal(got.text, whole);
        assert.equal(got.headers['accept-ranges'], 'bytes');
    }
    for (const range of [`bytes=${size}-`, 'bytes=-0', `bytes=${size}-,${size + 5}-`]) {
        const got = await get(site, '/app.js', { range });
        assert.equal(got.status, 416, range);
        assert.equal(got.headers['content-range'], `bytes */${size}`);
        assert.equal(got.json.code, 'range_not_satisfiable');
    }
    assert.equal((await get(site, '/empty.txt', { range: 'bytes=0-' })).status, 416);
    const head = await get(site, '/app.js', { range: 'bytes=0-9' }, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(Number(head.headers['content-length']), size);
    const ifRange = [[etag, 206], ['"x"', 200], [`W/${etag}`, 200], [modified, 206], ['Thu, 01 Jan 1970 00:00:00 GMT', 200]];
    for (const [value, status] of ifRange) assert.equal((await get(site, '/app.js', { range: 'bytes=0-9', 'if-range': value })).status, status, value);
    assert.equal((await get(site, '/app.js', { range: 'bytes=0-9', 'if-none-match': etag })).status, 304);
    assert.equal((await get(site, '/app.js', { range: 'bytes=0-9', 'if-match': '"x"' })).status, 412);
    const brotli = await get(site, '/app.js', { 'accept-encoding': 'br' });
    const rest = await get(site, '/app.js', { 'accept-encoding': 'br', range: 'bytes=10-', 'if-range': brotli.headers.etag });
    assert.equal(rest.status, 206);
    assert.equal(rest.headers['content-encoding'], 'br');
    assert.deepEqual(rest.body, brotli.body.subarray(10));
    const part = { 'accept-encoding': 'gzip, br', range: 'bytes=10-' };
    const matched = await get(site, '/app.js', { ...part, 'if-match': `"x", ${brotli.headers.etag}` });
    assert.equal(matched.status, 206, 'If-Match names the encoding too');
    assert.equal(matched.headers['content-encoding'], 'br');
    assert.deepEqual(matched.body, brotli.body.subarray(10));
    assert.equal((await get(site, '/app.js', { ...part, 'if-none-match': `W/${brotli.headers.etag}` })).status, 304);
    assert.equal((await get(site, '/app.js', { ...part, 'if-match': `W/${brotli.headers.etag}` })).status, 412, 'a weak tag is none for If-Match');
    assert.equal((await get(site, '/app.js', { ...part, 'accept-encoding': 'gzip', 'if-match': brotli.headers.etag })).status, 412, 'what the client does not take is not chosen');
    const any = await get(site, '/app.js', { ...part, 'if-match': '*' });
    assert.equal(any.status, 206);
    assert.equal(any.headers['content-encoding'], undefined);
    assert.equal((await get(site, '/nothing', { range: 'bytes=0-1' })).status, 404);
});

// Large bodies in clear text come straight from their file: a way of their own, with its own borders.
test('large files in clear text', async () => {
    const text = crypto.randomBytes(250_000).toString('hex').slice(0, 499_999);
    const app = await deploy(pie('large', { 'index.html': page('large'), 'big.txt': text, 'edge.txt': text.slice(0, 48 * 1024), 'below.txt': text.slice(0, 48 * 1024 - 1) }));
    const plain = { 'accept-encoding': 'identity' };
    for (const name of ['/big.txt', '/edge.txt', '/below.txt']) {
        const got = await get(app, name, plain);
        assert.equal(got.status, 200);
        assert.equal(got.text.length, Number(got.headers['content-length']));
        assert.ok(text.startsWith(got.text), name);
    }
    const head = await get(app, '/big.txt', plain, { method: 'HEAD' });
    assert.equal(Number(head.headers['content-length']), text.length);
    for (const [range, first, last] of [['bytes=1-100', 1, 100], ['bytes=4097-450000', 4097, 450000], ['bytes=-60001', text.length - 60001, text.length - 1]]) {
        const got = await get(app, '/big.txt', { ...plain, range });
        assert.equal(got.status, 206);
        assert.ok(got.text === text.slice(first, last + 1), range);
    }

    // one behind the other on one connection, read slowly, so that the socket is full in the middle of each
    const { hostname, port, host } = new URL(app.origin);
    const ask = (where, more = '') => `GET ${app.base}${where} HTTP/1.1\r\nHost: ${host}\r\nAccept-Encoding: identity\r\n${more}\r\n`;
    const socket = net.connect({ host: hostname, port });
    const parts = [];
    const ahead = 40; // more than the kernel buffers
    socket.write(ask('/big.txt').repeat(ahead) + ask('/big.txt', 'Range: bytes=7-400000\r\n') + ask('/small-not-there') + ask('/edge.txt', 'Connection: close\r\n'));
    await new Promise((done) => { setTimeout(done, 300); });
    for await (const part of socket) {
        parts.push(part);
        if (parts.length % 40 === 0) await new Promise((done) => { setTimeout(done, 5); });
    }
    let all = Buffer.concat(parts).toString('latin1');
    for (const [status, body] of [...Array(ahead).fill([200, text]), [206, text.slice(7, 400001)], [404, undefined], [200, text.slice(0, 48 * 1024)]]) {
        const [, got, length] = /^HTTP\/1\.1 (\d+) [^]*?\r\ncontent-length: (\d+)\r\n[^]*?\r\n\r\n/i.exec(all);
        const begin = all.indexOf('\r\n\r\n') + 4;
        assert.equal(Number(got), status);
        if (body !== undefined) assert.ok(all.slice(begin, begin + Number(length)) === body, `status ${status}`);
        all = all.slice(begin + Number(length));
    }
    assert.equal(all, '');

    // a client that leaves in the middle ends its own connection and nothing else
    for (let i = 0; i < 20; ++i) {
        const leaver = net.connect({ host: hostname, port });
        leaver.on('error', () => {});
        leaver.write(ask('/big.txt') + ask('/big.txt'));
        await new Promise((done) => { leaver.once('data', done); });
        leaver.resetAndDestroy();
    }
    assert.equal((await get(app, '/big.txt', plain)).text.length, text.length);
});

test('several ranges are a multipart body', async () => {
    const got = await get(site, '/small.txt', { range: 'bytes=0-1,-2,4-5' });
    assert.equal(got.status, 206);
    const boundary = /^multipart\/byteranges; boundary=([0-9a-f]{24})$/.exec(got.headers['content-type'])[1];
    const part = (range, text) => `--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes ${range}/10\r\n\r\n${text}`;
    assert.equal(got.text, `${part('0-1', '01')}\r\n${part('8-9', '89')}\r\n${part('4-5', '45')}\r\n--${boundary}--\r\n`);
    assert.equal(Number(got.headers['content-length']), got.body.length);
    assert.equal(got.headers['content-range'], undefined);
});

test('client-side routes get the entry; assets never do', async () => {
    for (const where of ['/form/abc', '/form/abc/', '/x.js', '/admin/users']) {
        const got = await get(app, where, { 'sec-fetch-dest': 'document' });
        assert.equal(got.status, 200, where);
        assert.match(got.text, /<title>spa</);
        assert.match(got.headers.vary, /sec-fetch-dest/i);
        const again = await get(app, where, { 'if-none-match': got.headers.etag });
        assert.equal(again.status, 304);
        assert.match(again.headers.vary, /sec-fetch-dest/i);
    }
    for (const where of ['/admin/old', '/admin/old/x']) assert.equal((await get(app, where)).status, 404); // the longest route decides
    assert.equal((await get(app, '/admin/older')).status, 200);
    for (const dest of ['script', 'style', 'image', 'font', 'manifest', 'audio', 'video', 'track', 'worker', 'sharedworker', 'audioworklet', 'paintworklet', 'serviceworker']) {
        const there = await get(app, '/form/abc/app.js?v=1', { 'sec-fetch-dest': dest });
        assert.equal(there.status, 302);
        assert.equal(there.headers.location, `${app.base}/app.js?v=1`);
        assert.equal(there.headers['cache-control'], 'no-store');
        assert.match(there.headers.vary, /sec-fetch-dest/i);
        const gone = await get(app, '/form/none.js', { 'sec-fetch-dest': dest });
        assert.equal(gone.status, 404);
        assert.equal(gone.headers['cache-control'], 'no-store');
        assert.match(gone.headers.vary, /sec-fetch-dest/i);
    }
    assert.equal((await get(app, '/form/assets/main.css', { 'sec-fetch-dest': 'style' })).headers.location, `${app.base}/assets/main.css`);
    assert.equal((await get(nested, '/app.js', { 'sec-fetch-dest': 'script' })).headers.location, `${nested.base}/dist/app.js`);
    assert.equal((await get(app, '/admin/logo.svg', { 'sec-fetch-dest': 'image' })).status, 200);
});

test('a service worker that is no file takes itself away', async () => {
    const headers = { 'service-worker': 'script', 'sec-fetch-dest': 'serviceworker' };
    for (const one of [[site, '/sw.js'], [app, '/sw.js'], [app, '/form/app.js'], [site, '/'], [site, '/about'], [site, '/docs'], [{ origin: site.origin, base: '/apps/gone/gone-00000000' }, '/sw.js']]) {
        const got = await get(...one, headers);
        assert.equal(got.status, 200, one[1]);
        assert.match(got.headers['content-type'], /^text\/javascript/);
        assert.equal(got.headers['cache-control'], 'no-store');
        assert.match(got.text, /registration\.unregister\(\)/);
        assert.equal(got.headers['service-worker-allowed'], undefined);
    }
    assert.equal((await get(app, '/app.js', headers)).text, 'let app;');
});

test('previews: any kept deployment, marked, sandboxed, never stored', async () => {
    const old = await deploy(pie('previewed', { 'index.html': page('old'), 'a.txt': 'old a', '404.html': page('old 404') }));
    const now = await deploy(pie('previewed', { 'index.html': page('new'), 'b.txt': 'b' }));
    assert.notEqual(old.deployment.id, now.deployment.id);
    const preview = { ...old, base: `${old.base}@${old.deployment.id}` };
    for (const [where, status, what] of [['/', 200, 'old'], ['/a.txt', 200, 'old a'], ['/b.txt', 404, 'old 404'], ['', 308], ['//a.txt', 308]]) {
        const got = await get(preview, where);
        assert.equal(got.status, status, where);
        if (what) assert.ok(got.text.includes(what));
        assert.equal(got.headers['cache-control'], 'private, no-store', where);
        assert.equal(got.headers['x-robots-tag'], 'noindex', where);
        if (status !== 308) assert.equal(got.headers['content-security-policy'], 'sandbox allow-scripts allow-forms', where);
        else assert.ok(got.headers.location.startsWith(`${preview.base}/`));
    }
    assert.equal((await get(preview, '/', { range: 'bytes=0-1,5-6' })).headers['content-security-policy'], 'sandbox allow-scripts allow-forms');
    assert.equal((await request(old.origin, { path: `${old.base}%40${old.deployment.id}/a.txt` })).headers.location, `${preview.base}/a.txt`);
    assert.match((await get(now, '/')).text, /<title>new</);
    assert.equal((await get({ ...site, base: `${site.base}@${old.deployment.id}` }, '/')).status, 404); // another plugin's
});

test('a deploy, an activation and a deletion are seen at once', async () => {
    const guess = '/apps/fresh/fresh-00000000/';
    assert.equal((await request(site.origin + guess)).status, 404);
    const ids = [];
    let fresh;
    for (let i = 0; i < 5; ++i) {
        fresh = await deploy(pie('fresh', { 'index.html': page(`n${i}`), 'same.txt': 'same' }));
        ids.push(fresh.deployment.id);
        await until(async () => (await get(fresh, '/')).text.includes(`<title>n${i}<`), 'the new page', 1000);
    }
    const activated = await server.api('POST', `/api/plugins/${fresh.plugin.id}/deployments/${ids[1]}/activate`);
    assert.equal(activated.status, 200, activated.text);
    await until(async () => (await get(fresh, '/')).text.includes('<title>n1<'), 'the old page', 1000);
    assert.equal((await server.api('DELETE', `/api/plugins/${fresh.plugin.id}`)).status, 200);
    await until(async () => (await get(fresh, '/')).status === 404, 'the 404', 1000);
});

async function metrics(one = server) {
    const text = (await request(`${one.admin}/metrics`)).text;
    return (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? NaN);
}

test('one load for a cold app, however many wait', async () => {
    const cold = await deploy(pie('cold', { 'index.html': page('cold') }));
    const before = await metrics();
    const got = await Promise.all(Array.from({ length: 60 }, () => get(cold, '/')));
    assert.ok(got.every((g) => g.status === 200 && g.text === page('cold')));
    const after = await metrics();
    assert.equal(after('stoa_cache_site_loads_total') - before('stoa_cache_site_loads_total'), 1);
    assert.equal(after('stoa_cache_file_loads_total') - before('stoa_cache_file_loads_total'), 1);
});

test('a visitor who leaves while an app is loaded leaves nothing behind', async () => {
    const { port } = new URL(site.origin);
    for (let i = 0; i < 30; ++i) {
        const socket = net.connect(Number(port), '127.0.0.1');
        await new Promise((done) => socket.on('connect', done));
        socket.write(`GET /apps/left/left-${String(i).padStart(8, '0')}/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
        socket.destroy();
    }
    assert.equal((await get(site, '/')).status, 200);
});

test('HTTP/2 answers the same', async () => {
    await withServer({ tls: ['localhost'], settings: { shared_origin: 'accepted' } }, async (tls) => {
        const made = await deploy(pie('two', FILES), tls);
        const client = http2.connect(tls.tls.replace('[::1]', '127.0.0.1'), { rejectUnauthorized: false });
        const ask = (where, headers = {}) => new Promise((resolve, reject) => {
            const stream = client.request({ ':path': made.base + where, ':authority': new URL(made.origin).host, ...headers });
            let answer;
            const parts = [];
            stream.on('response', (h) => { answer = h; });
            stream.on('data', (part) => parts.push(part));
            stream.on('end', () => resolve({ status: answer[':status'], headers: answer, body: Buffer.concat(parts) }));
            stream.on('error', reject);
            stream.end();
        });
        const all = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(i % 2 ? '/app.js' : '/', { 'accept-encoding': 'br' })));
        assert.ok(all.every((a, i) => a.status === 200 && zlib.brotliDecompressSync(a.body).toString() === FILES[i % 2 ? 'app.js' : 'index.html']));
        const { etag } = (await ask('/app.js')).headers;
        assert.equal((await ask('/app.js', { 'if-none-match': etag })).status, 304);
        const part = await ask('/app.js', { range: 'bytes=1-3' });
        assert.equal(part.status, 206);
        assert.equal(part.body.toString(), FILES['app.js'].slice(1, 4));
        const head = await ask('/app.js', { ':method': 'HEAD' });
        assert.equal(head.status, 200);
        assert.equal(Number(head.headers['content-length']), FILES['app.js'].length);
        assert.equal(head.body.length, 0);
        client.close();
    });
});

test('a cache smaller than what is served stays in its budget and serves all of it', async () => {
    await withServer({ settings: { cache_bytes: '1MiB', shared_origin: 'accepted' } }, async (small) => {
        const bytes = (i) => `${i} ${Math.sin(i)} `.repeat(9000).slice(0, 150000 + i);
        const files = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`f${i}.bin`, bytes(i)]));
        const big = await deploy(pie('big', { 'index.html': 'x', ...files }), small);
        const large = 'x'.repeat(500000); // over a quarter of the budget: served, not kept
        const huge = await deploy(pie('huge', { 'index.html': 'x', 'large.bin': large }), small);
        let loads; // of the first round, in which a notice of the deploys may come late
        for (let round = 0; round < 3; ++round) {
            const got = await Promise.all(Object.keys(files).map((name) => get(big, `/${name}`)));
            got.forEach((g, i) => assert.ok(g.status === 200 && g.text === bytes(i), `f${i}`));
            assert.equal((await get(huge, '/large.bin')).text, large);
            assert.equal((await get(huge, '/large.bin', { range: 'bytes=499999-' })).text, 'x');
            const now = await metrics(small);
            assert.ok(now('stoa_cache_file_bytes') <= 1024 * 1024);
            loads ??= now('stoa_cache_site_loads_total');
        }
        assert.ok((await metrics(small))('stoa_cache_evictions_total') > 0);
        assert.equal((await metrics(small))('stoa_cache_site_loads_total'), loads); // an evicted body never needs the database
    });
});

test('damaged content is a 500, never served', async () => {
    const marker = `unlike any other ${Math.random()}`;
    const damaged = await deploy(pie('damaged', { 'index.html': 'x', 'a.txt': marker, 'b.txt': `b ${marker}` }));
    const files = fs.readdirSync(server.dataDir, { recursive: true, withFileTypes: false });
    const blobs = listFiles(path.join(server.dataDir, 'blobs')).filter((f) => fs.readFileSync(f, 'utf8') === marker);
    assert.equal(blobs.length, 1, `${files}`);
    fs.writeFileSync(blobs[0], marker.replace('unlike', 'UNLIKE'));
    const got = await get(damaged, '/a.txt');
    assert.equal(got.status, 500);
    assert.equal(got.json.code, 'internal');
    assert.equal((await get(damaged, '/b.txt')).text, `b ${marker}`);
});

function listFiles(folder) {
    return fs.readdirSync(folder, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? listFiles(path.join(folder, e.name)) : [path.join(folder, e.name)]));
}

test('with instance_domain every instance has a host of its own, and the apps origin only redirects', async () => {
    await withServer({ settings: { instance_domain: 'apps.test' } }, async (own) => {
        const made = await own.api('POST', '/api/plugins/import', pie('owned', { ...FILES, 'index.html': page('first') }, { routes: [['/', true]] }));
        const again = await own.api('POST', '/api/plugins/import', pie('owned', FILES, { routes: [['/', true]] }));
        const { instance, deployment } = again.json;
        const { port } = new URL(own.apps);
        const host = `${instance.slug}.apps.test`;
        const ask = (authority, where, headers = {}) => request(own.apps, { path: where, headers: { host: authority, ...headers } });
        for (const [where, to] of [['', '/'], ['/', '/'], ['/docs/guide.txt?a=1', '/docs/guide.txt?a=1'], ['//evil.example', '//evil.example'], ['/N%C3%A4me.txt', '/N%C3%A4me.txt']]) {
            const moved = await request(own.apps, { path: `/apps/owned/${instance.slug}${where}` });
            assert.equal(moved.status, 308, where);
            const location = new URL(moved.headers.location);
            assert.equal(location.hostname, host);
            assert.ok(moved.headers.location.endsWith(`apps.test${location.port ? `:${location.port}` : ''}${to}`), moved.headers.location);
        }
        assert.equal((await request(own.apps, { path: `/apps/other/${instance.slug}/` })).status, 404);
        assert.match((await ask(`${host}:${port}`, '/')).text, /<title>home</);
        assert.match((await ask(`${host.toUpperCase()}:${port}`, '/deep/route')).text, /<title>home</);
        assert.equal((await ask(`${host}:${port}`, '/docs')).headers.location, '/docs/');
        assert.equal((await ask(`${host}:${port}`, '//evil.example')).headers.location, '/evil.example');
        assert.equal((await ask(`${host}:${port}`, '/a/b/app.js', { 'sec-fetch-dest': 'script' })).headers.location, '/app.js');
        assert.equal((await ask(`${host}:${port}`, '/.well-known/acme-challenge/x')).status, 404);
        assert.match((await ask(`${host}:${port}`, '/gone.js', { 'service-worker': 'script' })).text, /unregister/);
        assert.equal((await ask(`owned-00000000.apps.test:${port}`, '/')).status, 404);
        assert.match((await ask(`owned-00000000.apps.test:${port}`, '/sw.js', { 'service-worker': 'script' })).text, /unregister/);
        const first = made.json.deployment.id;
        const preview = await request(own.apps, { path: `/apps/owned/${instance.slug}@${first}/about` });
        assert.equal(preview.status, 308);
        assert.equal(new URL(preview.headers.location).hostname, `p-${first}.apps.test`);
        const shown = await ask(`p-${first}.apps.test:${port}`, '/');
        assert.match(shown.text, /<title>first</);
        assert.equal(shown.headers['content-security-policy'], 'sandbox allow-scripts allow-forms allow-same-origin', 'its host is its own');
        assert.equal(shown.headers['cache-control'], 'private, no-store');
        assert.equal((await ask(`p-${deployment.id}.apps.test:${port}`, '/')).status, 200);
        assert.equal((await ask(`p-${'0'.repeat(26)}.apps.test:${port}`, '/')).status, 404);
    });
});

test('a file is in memory once, however many readers do not read it, and what readers keep there is bounded', async () => {
    await withServer({ settings: { cache_bytes: '1MiB', shared_origin: 'accepted' } }, async (small) => {
        const home = temporaryDirectory('kept'), names = Array.from({ length: 9 }, (_, i) => `f${i}.bin`);
        for (const name of names) fs.writeFileSync(path.join(home, name), crypto.randomBytes(8 << 20));
        fs.writeFileSync(path.join(home, 'index.html'), page('kept'));
        const made = await deploy(pie('kept', { 'index.html': page('kept') }), small);
        const archive = execFileSync('tar', ['-c', '-C', home, '.'], { maxBuffer: 1 << 30 });
        const put = await small.api('POST', '/api/plugins/kept/deployments', archive, { type: 'application/octet-stream' });
        assert.ok(put.status < 300, put.text.slice(0, 300));
        const files = names.map((name) => `${made.base}/${name}`);
        const shared = () => Number(/RssShmem:\s+(\d+)/.exec(fs.readFileSync(`/proc/${small.serverPid}/status`, 'utf8'))[1]) / 1024;
        const { port } = new URL(small.apps);
        const sockets = [];
        const start = (file) => new Promise((resolve, reject) => {
            const socket = net.connect(port, '127.0.0.1', () => socket.write(`GET ${file} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`));
            sockets.push(socket);
            socket.once('error', reject).once('readable', () => { resolve(socket.read(12).toString('latin1')); socket.pause(); });
        });
        const before = shared();
        for (let i = 0; i < 30; ++i) assert.equal(await start(files[0]), 'HTTP/1.1 200');
        assert.ok(shared() - before < 40, `${shared() - before} MiB for one file of 8`);
        const statuses = [];
        for (const file of files) statuses.push((await start(file)).slice(9));
        assert.deepEqual([...new Set(statuses)].sort(), ['200', '503'], String(statuses)); // 1 MiB and 64, of 72
        assert.equal((await get(made, '/')).status, 200); // a page still has its place
        for (const socket of sockets) socket.destroy();
        await until(async () => (await get(made, '/f8.bin')).status === 200, 'their room to be free again');
    });
});

test('heads that are no request are refused', async () => {
    const { port } = new URL(site.origin);
    const raw = (head) => new Promise((resolve, reject) => {
        const socket = net.connect(Number(port), '127.0.0.1', () => socket.end(head));
        let text = '';
        socket.setEncoding('latin1').on('data', (part) => { text += part; }).on('end', () => resolve(text)).on('error', reject);
    });
    assert.match(await raw(`GET ${site.base}/ HTTP/1.1\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 400/);
    assert.match(await raw(`GET ${site.base}/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nHost: x\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 400/);
    assert.match(await raw(`GET ${site.base}/${'a'.repeat(20000)} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 414/);
    assert.match(await raw(`GET http://127.0.0.1:${port}${site.base}/small.txt HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`), /0123456789$/);
    assert.match(await raw(`GET ${site.base}/ HTTP/1.1\r\nHost: nobody.example\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 404/);
});
