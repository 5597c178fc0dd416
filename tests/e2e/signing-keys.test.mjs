// Signing keys over HTTP: made, uploaded, changed, ended; and what follows from their origins: CORS on the console, /p/{platformSlug}.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { request, startServer, temporaryDirectory, until } from '../harness/server.mjs';
import { makePlatform, rsaPair, signer } from '../harness/tokens.mjs';

const PAGE = 'https://app.example.com';
const MASTER_KEY = 'ab'.repeat(32);
let server, acme, other;
before(async () => {
    server = await startServer({ settings: { shared_origin: 'accepted' }, env: { STOA_MASTER_KEY: MASTER_KEY } });
    acme = await makePlatform(server, 'acme');
    other = await makePlatform(server, 'other');
});
after(() => server.stop());

const KEYS = '/api/v1/signing-keys';
// A public half without small factors is as good as one whose two prime factors took seconds to find, if it is no prime itself.
const rsaPublic = (bits, exponent = '010001') => {
    let n = BigInt(`0x${crypto.randomBytes(bits / 8).toString('hex')}`) | 1n | (1n << BigInt(bits - 1));
    const hasSmallFactor = () => Array.from({ length: 1000 }, (_, i) => BigInt(i + 2)).some((d) => n % d === 0n);
    while (hasSmallFactor() || crypto.checkPrimeSync(n)) n -= 2n;
    const base64url = (hex) => Buffer.from(hex, 'hex').toString('base64url');
    return crypto.createPublicKey({ key: { kty: 'RSA', n: base64url(n.toString(16)), e: base64url(exponent) }, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
};
const pem = (type, options) => crypto.generateKeyPairSync(type, options).publicKey.export({ type: 'spki', format: 'pem' });

function refused(answer, status, code) {
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.code, code);
    return answer.json;
}

test('a key that is made there: 4096 bits, its private half in one answer', async () => {
    const made = await acme.makeKey({ displayName: 'Production', allowedOrigins: [PAGE, PAGE] }, true);
    assert.match(made.id, /^key_/);
    assert.equal(made.algorithm, 'RS256');
    assert.deepEqual(made.allowedOrigins, [PAGE]);
    const half = crypto.createPrivateKey(made.privateKey);
    assert.equal(half.asymmetricKeyDetails.modulusLength, 4096);
    assert.equal(crypto.createPublicKey(half).export({ type: 'spki', format: 'pem' }), made.publicKey);
    const shown = (await acme.api('GET', `${KEYS}/${made.id}`)).json;
    assert.equal('privateKey' in shown, false);
    assert.deepEqual(Object.keys(shown).sort(), ['absoluteLength', 'algorithm', 'allowedOrigins', 'audience', 'createdAt', 'createdBy', 'displayName', 'id',
        'lastUsedAt', 'longestLifetime', 'maxLifetime', 'publicKey', 'sessionLength', 'singleUse', 'status']);
    assert.equal(server.database.query('select signing_keys::text from signing_keys').toString().includes('PRIVATE'), false);
    assert.equal((await acme.exchange(made.sign(), { origin: PAGE })).status, 200);
    await until(async () => (await acme.api('GET', `${KEYS}/${made.id}`)).json.lastUsedAt, 'its use to be noted');
});

test('making keys keeps nobody else waiting, and one is made at a time', async () => {
    const making = Array.from({ length: 3 }, () => acme.api('POST', KEYS, { displayName: 'at once' }));
    let slowest = 0;
    for (let i = 0; i < 20; ++i) {
        const begun = performance.now();
        assert.equal((await acme.api('GET', KEYS)).status, 200);
        slowest = Math.max(slowest, performance.now() - begun);
    }
    assert.ok(slowest < 2000, `${slowest} ms`);
    const statuses = (await Promise.all(making)).map((a) => a.status);
    assert.ok(statuses.includes(201) && statuses.every((s) => s === 201 || s === 503), statuses.join());
    for (const answer of (await Promise.all(making)).filter((a) => a.status === 503)) assert.ok(Number(answer.headers['retry-after']) > 0);
});

test('only good public keys are taken: RSA of 2048 to 4096 bits, e = 65537', async () => {
    const post = (publicKey) => acme.api('POST', KEYS, { displayName: 'mine', publicKey });
    for (const modulusLength of [2048, 3072]) assert.equal((await post(rsaPublic(modulusLength))).status, 201);
    const bad = [rsaPublic(1024), rsaPublic(2048, '03'), rsaPublic(5120), pem('ec', { namedCurve: 'P-256' }),
        pem('ed25519'), pem('rsa-pss', { modulusLength: 2048 }), rsaPair().privateKey, '', 'nonsense', `${rsaPair().publicKey}${rsaPair().publicKey}`, 'x'.repeat(20000),
        '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'];
    for (const publicKey of bad) {
        const answer = await post(publicKey);
        assert.equal(answer.status, 422, `${publicKey.slice(0, 200)}: ${answer.text}`);
        assert.ok(answer.json.details.fields.publicKey);
        assert.ok(!answer.text.includes('PRIVATE KEY'));
    }
});

test('origins are exact ones, of https or of this machine', async () => {
    const post = (allowedOrigins) => acme.api('POST', KEYS, { displayName: 'origins', publicKey: rsaPair().publicKey, allowedOrigins });
    const good = [PAGE, 'https://app.example.com:8443', 'http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000', 'https://xn--bcher-kva.example', 'https://192.0.2.1'];
    assert.deepEqual((await post(good)).json.allowedOrigins, good);
    for (const bad of ['http://app.example.com', `${PAGE}/`, `${PAGE}/x`, `${PAGE}:443`, 'https://*.example.com', '*', 'null', '', 'app.example.com', '//app.example.com', 'HTTPS://app.example.com',
        'https://App.example.com', 'https://b\u00fccher.example', 'https://user@app.example.com', `${PAGE}?x`, `${PAGE}#x`, `${PAGE} https://b.example`, `${PAGE};`, `${PAGE},`, "https://'self'", 'https://a_b.example',
        'ftp://a.example', 'file://', 'data:text/html,x', 'https://', 'https://a.example:0', 'https://a.example:65536', 'https://a.example:08443', `https://${'a.'.repeat(200)}example`, 7, null, {}, [PAGE]]) {
        const answer = await post([bad]);
        assert.equal(answer.status, 422, `${JSON.stringify(bad)}: ${answer.text}`);
        assert.ok(answer.json.details.fields['allowedOrigins[0]'], JSON.stringify(bad));
    }
    assert.equal((await post(Array.from({ length: 50 }, (_, i) => `https://a${i}.example`))).status, 201);
    refused(await post(Array.from({ length: 51 }, (_, i) => `https://a${i}.example`)), 422, 'invalid_request');
});

test('a policy is changed field by field, and every wrong field is told', async () => {
    const key = await acme.makeKey({ displayName: 'policy', allowedOrigins: [PAGE] });
    const patch = (fields) => acme.api('PATCH', `${KEYS}/${key.id}`, fields);
    const changed = (await patch({ maxLifetime: 300, audience: 'stoa', sessionLength: 3600, singleUse: true })).json;
    assert.equal(changed.maxLifetime, 300);
    assert.equal(changed.audience, 'stoa');
    assert.equal(changed.singleUse, true);
    assert.deepEqual(changed.allowedOrigins, [PAGE]);
    // null is no list and no answer: what is there stays
    for (const [field, says] of [['allowedOrigins', /\[\].*nobody/], ['singleUse', /true or false/], ['status', /ACTIVE/], ['displayName', /1 to 100/]]) {
        const answer = await patch({ [field]: null });
        assert.equal(answer.status, 422, answer.text);
        assert.match(answer.json.details.fields[field], says);
    }
    const kept = (await acme.api('GET', `${KEYS}/${key.id}`)).json;
    assert.deepEqual([kept.allowedOrigins, kept.singleUse, kept.status], [[PAGE], true, 'ACTIVE']);
    const back = (await patch({ maxLifetime: null, audience: null, sessionLength: null, singleUse: false, displayName: 'p\u00f6licy', allowedOrigins: [] })).json;
    assert.deepEqual([back.maxLifetime, back.audience, back.sessionLength, back.singleUse, back.displayName, back.allowedOrigins], [null, null, 604800, false, 'p\u00f6licy', []]);
    const wrong = refused(await patch({ displayName: '', maxLifetime: 5, sessionLength: 604801, absoluteLength: 0, audience: '', status: 'GONE', allowedOrigins: ['x'] }), 422, 'invalid_request');
    assert.deepEqual(Object.keys(wrong.details.fields).sort(), ['absoluteLength', 'allowedOrigins[0]', 'audience', 'displayName', 'maxLifetime', 'sessionLength', 'status']);
    refused(await patch({ publicKey: rsaPair().publicKey }), 422, 'invalid_request');
    refused(await patch({ singleUse: 'yes' }), 422, 'invalid_request');
    refused(await acme.api('POST', KEYS, {}), 422, 'invalid_request');
    const [event] = (await acme.events()).filter((e) => e.action === 'signing_key.change' && e.subject === key.id);
    assert.ok(event.facts.changed.includes('allowedOrigins'));
    assert.equal(event.projectId, acme.ownerProjectId);
});

test('keys are their platform\'s alone, and for its own token alone', async () => {
    const key = await acme.makeKey();
    for (const [method, body] of [['GET'], ['PATCH', { displayName: 'x' }], ['DELETE']]) {
        refused(await other.api(method, `${KEYS}/${key.id}`, body), 404, 'signing_key_not_found');
        refused(await acme.api(method, `${KEYS}/key_absent`, body), 404, 'signing_key_not_found');
        refused(await server.api(method, `${KEYS}/${key.id}`, body), 403, 'platform_token_needed'); // the operator's
    }
    assert.ok((await other.api('GET', KEYS)).json.data.every((k) => k.id !== key.id));
    refused(await server.api('GET', KEYS, undefined, { token: null }), 401, 'unauthorized');
    const admin = await acme.api('POST', '/api/v1/tokens', { name: 'less', scope: 'admin' });
    refused(await server.api('GET', KEYS, undefined, { token: admin.json.token }), 403, 'scope_too_low');
    const session = (await acme.exchange(key.sign({ role: 'Admin' }))).json.token;
    for (const [method, where, body] of [['GET', KEYS], ['POST', KEYS, { displayName: 'x' }], ['DELETE', `${KEYS}/${key.id}`]])
        refused(await server.api(method, where, body, { token: session }), 403, 'not_for_sessions');
    const first = (await acme.api('GET', `${KEYS}?limit=2`)).json;
    assert.equal(first.data.length, 2);
    const second = (await acme.api('GET', `${KEYS}?limit=2&cursor=${encodeURIComponent(first.next)}`)).json;
    assert.ok(second.data.every((k) => first.data.every((f) => f.id !== k.id)));
});

// --- what follows from the origins ---

const preflight = (where, origin, method = 'POST') => request(`${server.console}${where}`, {
    method: 'OPTIONS', headers: { ...(origin && { origin }), 'access-control-request-method': method, 'access-control-request-headers': 'authorization, content-type' } });
const FLOWS = '/api/v1/plugins';

test('preflights are answered for origins of active keys, and for nobody else', async () => {
    const origin = 'https://cors.example';
    const key = await acme.makeKey({ allowedOrigins: [origin] });
    const yes = await preflight(FLOWS, origin);
    assert.equal(yes.status, 204);
    assert.equal(yes.body.length, 0);
    assert.equal(yes.headers['access-control-allow-origin'], origin);
    assert.equal(yes.headers['access-control-allow-headers'], 'authorization, content-type');
    assert.match(yes.headers['access-control-allow-methods'], /GET.*POST.*PATCH.*DELETE/);
    assert.ok(Number(yes.headers['access-control-max-age']) > 0);
    assert.match(yes.headers.vary, /Origin/i);
    assert.equal('access-control-allow-credentials' in yes.headers, false);
    for (const stranger of ['https://evil.example', 'null', `${origin}:444`, `${origin}.evil.example`, 'http://cors.example', 'https://CORS.example', `${origin}, ${origin}`, undefined]) {
        const no = await preflight(FLOWS, stranger);
        assert.equal('access-control-allow-origin' in no.headers, false, String(stranger));
        assert.equal('access-control-allow-methods' in no.headers, false);
        assert.match(no.headers.vary, /Origin/i);
        const real = await request(`${server.console}${FLOWS}`, { headers: stranger ? { origin: stranger } : {} });
        assert.equal('access-control-allow-origin' in real.headers, false);
        assert.match(real.headers.vary, /Origin/i);
    }
    // only the API of the console, not its pages nor the apps' origin
    assert.equal('access-control-allow-origin' in (await preflight('/embed', origin)).headers, false);
    const apps = await request(`${server.apps}${FLOWS}`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
    assert.equal('access-control-allow-origin' in apps.headers, false);
    await acme.api('PATCH', `${KEYS}/${key.id}`, { status: 'DISABLED' });
    assert.equal('access-control-allow-origin' in (await preflight(FLOWS, origin)).headers, false);
});

test('a session works on its own platform\'s pages; refusals can be read there, too', async () => {
    const mine = 'https://mine.example', theirs = 'https://theirs.example';
    const key = await acme.makeKey({ allowedOrigins: [mine] });
    await other.makeKey({ allowedOrigins: [theirs] });
    const { token } = (await acme.exchange(key.sign(), { origin: mine })).json;
    const get = (origin, headers = {}) => request(`${server.console}${FLOWS}`, { headers: { authorization: `Bearer ${token}`, ...(origin && { origin }), ...headers } });
    const good = await get(mine);
    assert.equal(good.status, 200, good.text);
    assert.equal(good.headers['access-control-allow-origin'], mine);
    assert.equal((await get(undefined)).status, 200);
    assert.equal((await get(server.console)).status, 200);
    for (const origin of [theirs, 'https://evil.example', 'null']) {
        const no = await get(origin);
        refused(no, 403, 'origin_not_allowed');
        assert.match(no.headers.vary, /Origin/i);
    }
    for (const authorization of ['Bearer nonsense', undefined]) {
        const no = await get(mine, { ...(authorization ? { authorization } : { authorization: '' }) });
        assert.equal(no.status, 401);
        assert.equal(no.headers['access-control-allow-origin'], mine);
        assert.equal(no.json.error, true);
    }
    const absent = await request(`${server.console}/api/v1/absent`, { headers: { origin: mine } });
    assert.equal(absent.status, 404);
    assert.equal(absent.headers['access-control-allow-origin'], mine);
});

test('an API token is no foreign page\'s: refused before anything is done', async () => {
    const origin = 'https://tokens.example';
    await acme.makeKey({ allowedOrigins: [origin] });
    for (const authorization of [`Bearer ${acme.token}`, `bearer ${acme.token}`, `BEARER   ${acme.token}`, `Bearer ${server.token}`]) {
        const no = await request(`${server.console}/api/v1/tokens`, { method: 'POST', headers: { origin, authorization, 'content-type': 'application/json' }, body: '{"name":"x"}' });
        refused(no, 403, 'origin_not_allowed');
        assert.equal('access-control-allow-origin' in no.headers, false);
    }
    assert.equal((await acme.api('GET', '/api/v1/tokens')).json.data.filter((t) => t.name === 'x').length, 0);
    // where no page could have sent it, all is as it was
    assert.equal((await request(`${server.console}${FLOWS}`, { headers: { origin: 'https://unknown.example', authorization: `Bearer ${acme.token}` } })).status, 200);
});

test('/p/{platformSlug} is the console below a platform\'s own address', async () => {
    const mine = 'https://prefix.example', theirs = 'https://prefix-theirs.example';
    const key = await acme.makeKey({ allowedOrigins: [mine] });
    await other.makeKey({ allowedOrigins: [theirs] });
    const answer = await acme.exchange(key.sign(), { origin: mine, prefix: '/p/acme' });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers['access-control-allow-origin'], mine);
    assert.equal((await request(`${server.console}/p/acme${FLOWS}`, { headers: { authorization: `Bearer ${answer.json.token}` } })).status, 200);
    assert.equal((await preflight(`/p/acme${FLOWS}`, mine)).headers['access-control-allow-origin'], mine);
    assert.equal('access-control-allow-origin' in (await preflight(`/p/acme${FLOWS}`, theirs)).headers, false);
    assert.equal((await preflight(`/p/other${FLOWS}`, theirs)).headers['access-control-allow-origin'], theirs);
    for (const path of [`/p/absent${FLOWS}`, '/p/absent/embed', '/p/acme/api/plugins', '/p/acme/apps/', '/p/acme', '/p/acme/', '/p//embed', '/p/ACME/embed', `/p/acme/p/acme${FLOWS}`, '/p/acme/embedded']) {
        const no = await request(`${server.console}${path}`, { headers: { authorization: `Bearer ${acme.token}` } });
        assert.equal(no.status, 404, path);
        assert.equal(no.json.error, true);
        assert.equal(no.json.requestId, no.headers['x-request-id']);
    }
    assert.equal((await request(`${server.apps}/p/acme${FLOWS}`)).status, 404);
    // a body as large as the same operation takes without
    const body = JSON.stringify({ externalAccessToken: 'x'.repeat(20000) });
    assert.equal((await request(`${server.console}/p/acme/api/v1/managed-authn/external-token`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).status, 401);
});

test('another node hears of a key within a second', async (t) => {
    const origin = 'https://node.example';
    const node = await startServer({ database: server.databaseUrl, settings: { shared_origin: 'accepted' }, env: { STOA_MASTER_KEY: MASTER_KEY } });
    t.after(() => node.stop());
    const seen = async () => (await request(`${node.console}${FLOWS}`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'GET' } })).headers['access-control-allow-origin'];
    assert.equal(await seen(), undefined);
    const key = await acme.makeKey({ allowedOrigins: [origin] });
    await until(async () => await seen() === origin, 'the other node to know it', 1000);
    await acme.api('DELETE', `${KEYS}/${key.id}`);
    await until(async () => await seen() === undefined, 'the other node to forget it', 1000);
});

test('the command line makes, shows, changes and revokes keys', async () => {
    const home = temporaryDirectory('cli'), file = path.join(home, 'key.pem'), half = path.join(home, 'public.pem');
    const stoa = async (code, ...args) => {
        const child = spawn(server.stoaBin, ['signing-key', ...args], {
            cwd: home, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH, HOME: home, STOA_URL: server.console, STOA_TOKEN: acme.token } });
        const text = { out: '', err: '' };
        child.stdout.setEncoding('utf8').on('data', (part) => { text.out += part; });
        child.stderr.setEncoding('utf8').on('data', (part) => { text.err += part; });
        const ended = await new Promise((done) => { child.on('close', done); });
        assert.equal(ended, code, `${args.join(' ')}\n${text.out}${text.err}`);
        return text;
    };
    const made = await stoa(0, 'create', 'Production', '--origin', PAGE, '--origin', 'https://b.example/', '--out', file);
    const id = made.err.match(/key_\w+/)?.[0] ?? made.out.match(/key_\w+/)[0];
    assert.ok(!made.out.includes('PRIVATE') && !made.err.includes('PRIVATE'));
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    const answer = await acme.exchange(signer(id, fs.readFileSync(file, 'utf8')).sign(), { origin: 'https://b.example' });
    assert.equal(answer.status, 200, answer.text);
    await stoa(7, 'create', 'again', '--out', file); // it is there already
    const json = JSON.parse((await stoa(0, 'create', 'J', '--origin', PAGE, '--out', path.join(home, 'j.pem'), '--json')).out);
    assert.ok(json.id && !('privateKey' in json));

    const shown = await stoa(0, 'create', 'to stdout');
    assert.match(shown.out, /^-----BEGIN PRIVATE KEY-----[^]*-----END PRIVATE KEY-----\n$/);
    assert.match(shown.err, /kid: key_\w+[^]*Nothing may frame|Nothing may frame[^]*kid: key_\w+/);
    fs.writeFileSync(half, rsaPair().publicKey);
    assert.match((await stoa(0, 'create', 'Own', '--public-key', half, '--origin', PAGE)).out, /^key_\w+\n$/);
    fs.writeFileSync(half, rsaPair().privateKey);
    assert.match((await stoa(2, 'create', 'Own', '--public-key', half)).err, /stays with you/);
    assert.match((await stoa(1, 'create', 'x', '--origin', 'http://app.example.com')).err, /allowedOrigins\[0\]/);

    assert.match((await stoa(0, 'list')).out, new RegExp(`${id}.*Production.*ACTIVE`));
    const changed = (await stoa(0, 'update', id, '--origin', 'https://c.example', 'max-lifetime=10m', 'session=1d', 'audience=stoa', 'single-use=yes', '--name', 'Renamed')).out;
    for (const line of [/name +Renamed/, /origins +https:\/\/c\.example$/m, /max-lifetime +10m/, /session +1d/, /audience +stoa/, /single-use +yes/, /BEGIN PUBLIC KEY/]) assert.match(changed, line);
    assert.match((await stoa(0, 'update', id, 'origins=', 'max-lifetime=', 'audience=', 'status=disabled')).out, /status +DISABLED[^]*origins +none/);
    await stoa(2, 'update', id);
    await stoa(2, 'update', id, 'nonsense=1');
    assert.match((await stoa(0, 'show', id)).out, new RegExp(`${id}[^]*DISABLED`));
    await stoa(2, 'revoke', id);
    assert.match((await stoa(0, 'revoke', id, '--yes')).out, /Revoked; \d+ session/);
    await stoa(3, 'show', id);
});
