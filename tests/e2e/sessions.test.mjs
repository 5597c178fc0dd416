// Sessions of embedded builders (security-rules.md 25, docs/embedding.md "Sessions"): renewal, what ends one and that it does so at once, tokens
// made by hand, the keys that sign them, and that none of it is in any log.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { request, slowness, startServer, until } from '../harness/server.mjs';
import { base64url, makePlatform, nowSeconds } from '../harness/tokens.mjs';

const PAGE = 'https://app.example.com';
const REFRESH = '/api/v1/authentication/session/refresh';
let server, acme, other, key;
const issued = new Set(); // every session token there was
before(async () => {
    server = await startServer();
    acme = await makePlatform(server, 'acme');
    other = await makePlatform(server, 'other');
    key = await acme.makeKey({ allowedOrigins: [PAGE] });
});
after(() => server.stop());

const sql = (text) => String(server.database.query(text)).trim();
const parts = (token) => token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
const kidOf = (token) => parts(token)[0].kid;
const sidOf = (token) => parts(token)[1].sid;

/** A session: framed (short, renewed), or the host page's with `{ origin: PAGE }`. */
async function open(who = {}, { by = key, at = server, ...more } = {}) {
    const from = more.origin ? more : { origin: at.console, parentOrigin: PAGE };
    const answer = await request(`${at.console}/api/v1/managed-authn/external-token`, {
        method: 'POST', headers: { 'content-type': 'application/json', origin: from.origin },
        body: JSON.stringify({ externalAccessToken: by.sign(who), ...(from.parentOrigin && { parentOrigin: from.parentOrigin }) }),
    });
    assert.equal(answer.status, 200, answer.text);
    issued.add(answer.json.token);
    return answer.json;
}
const ask = (token, at = server) => at.api('GET', '/api/v1/plugins', undefined, { token });
async function renew(token, at = server) {
    const answer = await at.api('POST', REFRESH, undefined, { token });
    if (answer.status === 200) issued.add(answer.json.token);
    return answer;
}
async function works(token) {
    const answer = await ask(token);
    assert.equal(answer.status, 200, answer.text);
}
async function refused(token, code) {
    const answer = await ask(token);
    assert.equal(answer.status, 401, answer.text);
    assert.equal(answer.json.code, code);
}

// --- renewal ---

test('a token is renewed, and is one of a session of its own kind', async () => {
    const { token, expiresAt, endsAt } = await open();
    const [header, payload] = parts(token);
    assert.deepEqual({ alg: header.alg, typ: header.typ }, { alg: 'ES256', typ: 'stoa-session+jwt' });
    assert.equal(payload.iss, server.console);
    assert.equal(payload.aud, 'stoa');
    assert.equal(payload.exp, Math.floor(Date.parse(expiresAt) / 1000));
    assert.ok(Math.abs(payload.exp - nowSeconds() - 900) < 30);
    const next = await renew(token);
    assert.equal(next.status, 200, next.text);
    assert.deepEqual(Object.keys(next.json).sort(), ['endsAt', 'expiresAt', 'projectName', 'token']);
    assert.equal(next.json.projectName, 'workspace-1');
    assert.equal(next.json.endsAt, endsAt);
    assert.match(next.headers['cache-control'], /no-store/);
    assert.notEqual(next.json.token, token);
    assert.equal(sidOf(next.json.token), payload.sid);
    await works(next.json.token);
    await works(token); // what is under way when it is renewed
    assert.equal((await renew(next.json.token)).status, 200);
});

test('the host page is given a longer one, and none outlives the end', async () => {
    const { expiresAt } = await open({}, { origin: PAGE });
    assert.ok(Date.parse(expiresAt) - Date.now() > 3600e3);
    const brief = await acme.makeKey({ allowedOrigins: [PAGE], absoluteLength: 60 });
    const { token, expiresAt: first } = await open({}, { by: brief });
    const next = await renew(token);
    assert.equal(next.json.expiresAt, first);
    assert.equal(next.json.endsAt, first);
});

test('every role may renew, an API token has nothing to renew', async () => {
    for (const role of ['Viewer', 'Operator', 'Editor', 'Admin']) assert.equal((await renew((await open({ externalUserId: role, role })).token)).status, 200);
    const answer = await server.api('POST', REFRESH);
    assert.equal(answer.status, 403);
    assert.equal(answer.json.code, 'session_needed');
    assert.equal((await server.api('POST', REFRESH, undefined, { token: null })).status, 401);
});

test('the second renewal with one token ends its chain, and no other', async () => {
    const { token } = await open({ externalUserId: 'copied' });
    const beside = await open({ externalUserId: 'copied' });
    const next = await renew(token);
    const again = await renew(token);
    assert.equal(again.status, 401);
    assert.equal(again.json.code, 'session_ended');
    await refused(next.json.token, 'session_ended');
    assert.equal((await renew(next.json.token)).status, 401);
    await works(beside.token);
    const told = (await acme.events()).filter((e) => e.action === 'session.reuse' && e.subject === sidOf(token));
    assert.equal(told.length, 1);
});

test('the use of an old token after its grace ends the chain', async () => {
    const { token } = await open({ externalUserId: 'stolen' });
    const next = await renew(token);
    sql(`update session_chains set turned_at = turned_at - interval '11 seconds' where session_id = '${sidOf(token)}'`);
    await works(next.json.token);
    const caught = await ask(token);
    assert.equal(caught.json.code, 'session_ended', caught.text);
    await refused(next.json.token, 'session_ended');
    const [told] = (await acme.events()).filter((e) => e.action === 'session.reuse' && e.subject === sidOf(token));
    assert.equal(told.requestId, caught.headers['x-request-id']);
    assert.equal(told.address, '127.0.0.1');
});

test('of many renewals with one token at once one is answered', async () => {
    const { token } = await open({ externalUserId: 'at once' });
    const answers = await Promise.all(Array.from({ length: 8 }, () => renew(token)));
    assert.equal(answers.filter((a) => a.status === 200).length, 1);
    assert.equal(answers.filter((a) => a.status === 401).length, 7);
});

// --- what ends one ---

/** `end` is carried out; the token is refused within a second of its answer. */
async function endsAtOnce(token, end, code = 'session_ended') {
    await works(token);
    const answer = await end();
    assert.equal(answer.status, 200, answer.text);
    const since = Date.now();
    await refused(token, code);
    assert.ok(Date.now() - since < 1000 * slowness());
    return answer.json;
}

test('each kind of revocation is seen by the next request', async () => {
    const stays = await open({ externalUserId: 'stays', externalProjectId: 'elsewhere' }, { by: await acme.makeKey({ allowedOrigins: [PAGE] }) });
    let s = await open({ externalUserId: 'logs out' });
    await endsAtOnce(s.token, () => server.api('DELETE', `/api/v1/sessions/${sidOf(s.token)}`, undefined, { token: s.token }));
    s = await open({ externalUserId: 'one' });
    const gone = await endsAtOnce(s.token, () => acme.api('DELETE', `/api/v1/sessions/${sidOf(s.token)}`));
    assert.equal(gone.id, sidOf(s.token));
    assert.equal(gone.externalUserId, 'one');
    s = await open({ externalUserId: 'by user' });
    assert.equal((await endsAtOnce(s.token, () => acme.api('DELETE', `/api/v1/sessions?userId=${s.id}`))).ended, 1);
    s = await open({ externalUserId: 'by project', externalProjectId: 'cut' });
    assert.equal((await endsAtOnce(s.token, () => acme.api('DELETE', `/api/v1/sessions?projectId=${s.projectId}`))).ended, 1);
    const short = await acme.makeKey({ allowedOrigins: [PAGE] });
    s = await open({ externalUserId: 'by key' }, { by: short });
    assert.equal((await endsAtOnce(s.token, () => acme.api('DELETE', `/api/v1/sessions?keyId=${short.id}`))).ended, 1);
    s = await open({ externalUserId: 'by deleted key' }, { by: short });
    await endsAtOnce(s.token, () => acme.api('DELETE', `/api/v1/signing-keys/${short.id}`));
    await works(stays.token);
    const theirs = await open({}, { by: await other.makeKey({ allowedOrigins: [PAGE] }) });
    s = await open({ externalUserId: 'all' });
    assert.ok((await endsAtOnce(s.token, () => acme.api('DELETE', '/api/v1/sessions?all=true'))).ended >= 2);
    await refused(stays.token, 'session_ended');
    await works(theirs.token);
    const told = (await acme.events()).filter((e) => e.action === 'session.end');
    assert.ok(told.length >= 5, JSON.stringify(told));
});

test('a cut-off of a key takes the session of an exchange that is under way', async () => {
    const short = await acme.makeKey({ allowedOrigins: [PAGE] });
    // the exchange has its rows by then, and lingers
    sql(`alter table sessions add constraint lingers check (key_id <> '${short.id}' or pg_sleep(1)::text is not null) not valid`);
    const opening = open({ externalUserId: 'under way' }, { by: short });
    await until(() => sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()") === '1', 'the exchange to be under way');
    const answer = await acme.api('DELETE', `/api/v1/sessions?keyId=${short.id}`);
    sql('alter table sessions drop constraint lingers');
    assert.equal(answer.status, 200, answer.text);
    await refused((await opening).token, 'session_ended');
    assert.equal(answer.json.ended, 1);
    await works((await open({ externalUserId: 'under way' }, { by: short })).token); // no ban
});

test('an inactive user is refused at once, a demoted one may at once do less', async () => {
    const who = { externalUserId: 'changing', externalProjectId: 'changing' };
    const s = await open({ ...who, role: 'Admin', iat: nowSeconds() - 30 });
    const deploy = () => server.api('POST', '/api/v1/plugins/import', 'no pie', { token: s.token });
    assert.notEqual((await deploy()).status, 403);
    await open({ ...who, role: 'Viewer', iat: nowSeconds() - 20 });
    const answer = await deploy();
    assert.equal(answer.status, 403, answer.text);
    assert.equal(answer.json.code, 'role_too_low');
    await works(s.token);
    await endsAtOnce(s.token, () => acme.api('PATCH', `/api/v1/users/${s.id}`, { status: 'INACTIVE' }));
});

test('who may end what', async () => {
    const a = await open({ externalUserId: 'a' }), b = await open({ externalUserId: 'b', role: 'Admin' });
    const by = (token, path) => server.api('DELETE', path, undefined, { token });
    assert.equal((await by(b.token, `/api/v1/sessions/${sidOf(a.token)}`)).status, 404);
    assert.equal((await other.api('DELETE', `/api/v1/sessions/${sidOf(a.token)}`)).status, 404);
    assert.equal((await other.api('DELETE', `/api/v1/sessions?userId=${a.id}`)).status, 404);
    assert.equal((await other.api('DELETE', `/api/v1/sessions?projectId=${a.projectId}`)).status, 404);
    for (const [platform, id] of [[other, key.id], [acme, 'key_none']]) {
        const answer = await platform.api('DELETE', `/api/v1/sessions?keyId=${id}`);
        assert.equal(answer.status, 404, answer.text);
        assert.equal(answer.json.code, 'signing_key_not_found');
    }
    assert.equal((await by(b.token, '/api/v1/sessions?all=true')).status, 403);
    for (const query of ['', '?all=false', `?userId=${a.id}&all=true`, '?userId=x&projectId=y']) assert.equal((await acme.api('DELETE', `/api/v1/sessions${query}`)).status, 422, query);
    assert.equal((await acme.api('DELETE', '/api/v1/sessions?userId=nobody')).status, 404);
    assert.equal((await acme.api('DELETE', '/api/v1/sessions/ses_none')).status, 404);
    await works(a.token);
    await works(b.token);
});

test('live sessions are listed, newest first, for their own platform alone', async () => {
    const s = await open({ externalUserId: 'listed', externalProjectId: 'listed', role: 'Operator' });
    const list = await acme.api('GET', '/api/v1/sessions?limit=1');
    const [first] = list.json.data;
    assert.deepEqual({ ...first, createdAt: 0, lastUsedAt: 0, endsAt: 0 }, {
        id: sidOf(s.token), userId: s.id, externalUserId: 'listed', projectId: s.projectId, externalProjectId: 'listed', keyId: key.id, role: 'Operator',
        createdAt: 0, lastUsedAt: 0, endsAt: 0,
    });
    assert.ok(list.json.next);
    const second = await acme.api('GET', `/api/v1/sessions?limit=1&cursor=${encodeURIComponent(list.json.next)}`);
    assert.notEqual(second.json.data[0].id, first.id);
    assert.ok(!(await other.api('GET', '/api/v1/sessions')).text.includes(sidOf(s.token)));
    assert.equal((await server.api('GET', '/api/v1/sessions', undefined, { token: s.token })).status, 403);
    await acme.api('DELETE', `/api/v1/sessions/${sidOf(s.token)}`);
    assert.ok(!(await acme.api('GET', '/api/v1/sessions')).text.includes(sidOf(s.token)));
});

// --- tokens by hand ---

/** A key of ours whose private half is known: its public one is put among the server's. */
function knownKey() {
    const { publicKey, privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const id = `sky_${crypto.randomBytes(8).toString('hex')}`;
    sql(`insert into session_keys (id, algorithm, public_key, private_key, signs_from) values ('${id}', 'ES256', '${publicKey.export({ type: 'spki', format: 'pem' })}', '\\x00', now() - interval '1 day')`);
    return { id, privateKey, publicKey };
}
function signES256(header, payload, privateKey) {
    const input = `${base64url(header)}.${base64url(payload)}`;
    return `${input}.${crypto.sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

test('only tokens of this server, of this kind, and in time', async () => {
    const { token } = await open({ externalUserId: 'by hand' });
    const [, payload] = parts(token);
    const ours = knownKey();
    const header = { alg: 'ES256', typ: 'stoa-session+jwt', kid: ours.id };
    const hand = (claims = {}, head = {}, by = ours.privateKey) =>
        signES256({ ...header, ...head }, Object.fromEntries(Object.entries({ ...payload, ...claims }).filter(([, v]) => v !== undefined)), by);
    await until(async () => (await ask(hand())).status === 200, 'the key to be known');
    for (const exp of [nowSeconds() - 1, nowSeconds(), 0]) await refused(hand({ exp }), 'session_expired');
    for (const exp of [undefined, String(payload.exp), payload.exp + 0.5, -1, null, 1e20]) await refused(hand({ exp }), 'unauthorized');
    for (const claims of [{ iss: 'https://console.example' }, { iss: undefined }, { iss: [server.console] }, { aud: 'other' }, { aud: ['stoa'] }, { aud: undefined },
        { jti: undefined }, { jti: 7 }, { jti: 'x' }, { sid: undefined }, { sid: 'x'.repeat(60) }]) await refused(hand(claims), 'unauthorized');
    for (const claims of [{ jti: 'chn_none.1' }, { sid: 'ses_none' }, { jti: payload.jti.replace(/1$/, '2') }]) await refused(hand(claims), 'session_ended');
    for (const head of [{ typ: 'JWT' }, { typ: undefined }, { typ: 'at+jwt' }, { alg: 'none' }, { alg: 'HS256' }, { alg: 'RS256' }, { kid: 'sky_none' }, { kid: undefined },
        { kid: kidOf(token) }, { crit: ['exp'] }, { jwk: ours.publicKey.export({ format: 'jwk' }) }]) await refused(hand({}, head), 'unauthorized');
    await refused(hand({}, {}, crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey), 'unauthorized');
    const input = hand().split('.').slice(0, 2).join('.');
    await refused(`${input}.${crypto.sign('sha256', Buffer.from(input), ours.privateKey).toString('base64url')}`, 'unauthorized'); // DER
    await refused(`${input}.${base64url(Buffer.alloc(64))}`, 'unauthorized');
    await refused(`${input}.`, 'unauthorized');
    await refused(key.sign(), 'unauthorized'); // a provisioning token is no session
    await works(token);
    sql(`delete from session_keys where id = '${ours.id}'`);
});

test('a token that has run out is refused, and its session goes on by the other', async () => {
    const brief = await startServer({ settings: { session_seconds: '2' } });
    try {
        const platform = await makePlatform(brief, 'brief');
        const its = await platform.makeKey({ allowedOrigins: [PAGE] });
        const host = await open({}, { by: its, at: brief, origin: PAGE });
        const { token } = await open({}, { by: its, at: brief });
        let answer;
        await until(async () => (answer = await ask(token, brief)).status !== 200, 'the token to run out');
        assert.equal(answer.status, 401);
        assert.equal(answer.json.code, 'session_expired');
        assert.equal((await renew(token, brief)).json.code, 'session_expired');
        assert.equal((await ask(host.token, brief)).status, 200);
    } finally {
        await brief.stop();
    }
});

// --- keys ---

const jwks = (options) => request(`${server.console}/.well-known/jwks.json`, options);

test('the public halves are published, for anybody', async () => {
    const { token } = await open();
    const answer = await until(async () => {
        const now = await jwks({ headers: { origin: 'https://anybody.example' } });
        return now.json?.keys?.some((k) => k.kid === kidOf(token)) && now;
    }, 'the key to be published');
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'], /application\/jwk-set\+json/);
    assert.equal(answer.headers['access-control-allow-origin'], '*');
    assert.match(answer.headers['cache-control'], /max-age=\d+/);
    for (const jwk of answer.json.keys) assert.deepEqual(Object.keys(jwk).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    const publicKey = crypto.createPublicKey({ key: answer.json.keys.find((k) => k.kid === kidOf(token)), format: 'jwk' });
    const [h, p, s] = token.split('.');
    assert.ok(crypto.verify('sha256', Buffer.from(`${h}.${p}`), { key: publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.from(s, 'base64url')));
    assert.equal((await jwks({ method: 'POST' })).status, 405);
    assert.equal((await jwks({ method: 'HEAD' })).status, 200);
    assert.equal((await request(`${server.console}/.well-known/jwks.jsonx`)).status, 404);
    assert.equal((await request(`${server.apps}/.well-known/jwks.json`)).status, 404);
});

test('another key signs, and nobody is logged out', async () => {
    const { token } = await open({ externalUserId: 'rotated' });
    const old = kidOf(token);
    // A month goes by, and the day after: what the scheduler does then is tried in the unit test, here the server is started anew on it.
    sql("update session_keys set created_at = created_at - interval '31 days', signs_from = signs_from - interval '31 days'");
    const again = await restarted();
    await works(token);
    await until(async () => Number(sql('select count(*) from session_keys')) === 2, 'the next key');
    assert.equal(kidOf((await renew(token)).json.token), old); // published, not signing yet
    sql(`update session_keys set signs_from = now() - interval '1 second' where id <> '${old}'`);
    const before = await open({ externalUserId: 'rotated' });
    await restarted();
    const next = await renew(before.token);
    assert.equal(next.status, 200, next.text);
    assert.notEqual(kidOf(next.json.token), old);
    await works(before.token);
    await works(next.json.token);
    assert.ok(again);
});

/** The same console origin: tokens name it. */
async function restarted() {
    const settings = { listen_console: new URL(server.console).host };
    const { dataDir, database, databaseUrl, token } = server;
    logs.push(server.log());
    await server.stop();
    server = Object.assign(await startServer({ dataDir, database: databaseUrl, args: Object.entries(settings).flatMap(([n, v]) => ['--set', `${n}=${v}`]) }), { database, token });
    acme = { ...acme, api: (method, where, body) => server.api(method, where, body, { token: acme.token }) };
    return server;
}
const logs = [];

// Last: of all that came before.
test('no token is in any log, in the trail, or in the database', async () => {
    const { token } = await open({ externalUserId: 'last' });
    await ask(`${token.slice(0, -4)}AAAA`);
    await server.api('DELETE', `/api/v1/sessions/${sidOf(token)}`, undefined, { token });
    await until(() => fs.readFileSync(`${server.dataDir}/logs/access.log`, 'utf8').includes(`/api/v1/sessions/${sidOf(token)}`), 'the access log');
    const texts = [...logs, server.log(), fs.readFileSync(`${server.dataDir}/logs/access.log`, 'utf8'), sql('select * from audit_events'),
        sql('select * from sessions'), sql('select * from session_chains'), sql('select * from session_keys')];
    assert.ok(issued.size > 30);
    for (const text of texts) {
        assert.ok(text.length > 0);
        assert.ok(!/PRIVATE KEY/.test(text));
        for (const t of issued) for (const part of [t, t.split('.')[2], t.split('.')[1]]) assert.ok(!text.includes(part));
    }
});
