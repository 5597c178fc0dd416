// The exchange of provisioning tokens (contract §7, security-rules.md 25 and 27): every check on a token, with tokens made by hand; who asks from
// where; what comes of good ones, of old ones, of many at once; and what the trail says of all of it.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { startServer, until } from '../harness/server.mjs';
import { base64url, claims, makePlatform, nowSeconds, rsaPair, signer, signParts } from '../harness/tokens.mjs';

const PAGE = 'https://app.example.com';
let server, acme, other, key;
before(async () => {
    // each refusal comes from an address of its own: they are throttled by it
    server = await startServer({ settings: { trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For' } });
    acme = await makePlatform(server, 'acme');
    other = await makePlatform(server, 'other');
    key = await acme.makeKey({ allowedOrigins: [PAGE] });
});
after(() => server.stop());

let addresses = 0;
const newAddress = () => `20.${(++addresses >> 8) & 255}.${addresses & 255}.7`;
const sql = (text) => String(server.database.query(text)).trim();

async function accepted(token, { origin = PAGE, ...more } = {}) {
    const answer = await acme.exchange(token, { origin, ...more });
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
}

/** 401 in the form that clients know, with `at` in its sentence, and nothing of the token. */
async function refused(token, at, more = {}) {
    const answer = await acme.exchange(token, { origin: PAGE, address: newAddress(), ...more });
    assert.equal(answer.status, 401, `${at}: ${answer.text}`);
    const { json } = answer;
    assert.equal(json.error, true);
    assert.equal(json.code, 'INVALID_BEARER_TOKEN');
    assert.match(json.message, at);
    assert.match(json.message, /^[A-Z].*[.]$/);
    assert.deepEqual(json.params, { message: json.message });
    assert.equal(json.requestId, answer.headers['x-request-id']);
    assert.deepEqual(Object.keys(json).sort(), ['code', 'error', 'message', 'params', 'requestId']);
    assert.match(answer.headers['cache-control'], /no-store/);
    for (const part of String(token).split('.').filter((p) => p.length > 20)) assert.ok(!answer.text.includes(part));
}

test('a good token is exchanged for a session, a user and a project', async () => {
    const answer = await accepted(key.sign({ externalUserId: 'ada', externalProjectId: 'w', email: 'ada@example.com' }));
    assert.match(answer.token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    assert.match(answer.projectId, /^prj_/);
    assert.ok(Date.parse(answer.expiresAt) > Date.now());
    const { token, projectId, id, expiresAt, endsAt, ...rest } = answer;
    assert.ok(Math.abs(Date.parse(endsAt) - Date.now() - 12 * 3600e3) < 60e3, endsAt);
    assert.deepEqual(rest, {
        externalId: 'ada', firstName: 'Ada', lastName: 'Brook', platformId: acme.id, platformName: 'acme', platformRole: 'MEMBER', status: 'ACTIVE',
        email: 'ada@example.com', verified: true, trackEvents: false, newsLetter: false, role: 'Editor',
        projectName: 'w',
    });
    assert.equal((await server.api('GET', '/api/v1/plugins', undefined, { token })).status, 200);
    assert.equal((await acme.api('PATCH', `/api/v1/projects/${projectId}`, { displayName: 'Ada\u2019s \u201cspace\u201d' })).status, 200);
    const again = await accepted(key.sign({ externalUserId: 'ada', externalProjectId: 'w', lastName: 'Lovelace' }));
    assert.equal(again.projectName, 'Ada\u2019s \u201cspace\u201d');
    assert.equal(again.id, id);
    assert.equal(again.projectId, projectId);
    assert.equal(sql(`select last_name from users where id = '${id}'`), 'Lovelace');
    assert.ok(expiresAt);
});

test('headers: algorithms, and members that would change what is checked', async () => {
    const hmac = (secret) => {
        const input = `${base64url({ alg: 'HS256', typ: 'JWT', kid: key.id })}.${base64url(claims())}`;
        return `${input}.${crypto.createHmac('sha256', secret).update(input).digest('base64url')}`;
    };
    await refused(hmac(key.publicKey), /alg/); // the public key as an HMAC secret
    await refused(hmac(rsaPair().publicKey.trim()), /alg/);
    for (const alg of ['none', 'None', 'NONE', '']) {
        await refused(`${base64url({ alg, typ: 'JWT', kid: key.id })}.${base64url(claims())}.`, /three parts|alg/);
        await refused(key.sign({}, { alg }), /alg/);
    }
    for (const alg of ['RS384', 'RS512', 'PS256', 'EdDSA', 'rs256', ['RS256'], null, 7, undefined]) await refused(key.sign({}, { alg }), /alg/);
    const ec = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const input = `${base64url({ alg: 'ES256', kid: key.id })}.${base64url(claims())}`;
    await refused(`${input}.${crypto.sign('sha256', Buffer.from(input), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`, /signature|alg/);
    const jwk = crypto.createPublicKey(rsaPair().publicKey).export({ format: 'jwk' });
    for (const [name, value] of Object.entries({
        crit: ['exp'], b64: false, jwk, jku: 'https://evil.example/jwks', x5u: 'https://evil.example/c', x5c: ['MIIB'], zip: 'DEF', enc: 'A128GCM',
    })) await refused(key.sign({}, { [name]: value }), new RegExp(name));
    for (const typ of ['at+jwt', 'JWS', '', 7, null, 'stoa-session+jwt']) await refused(key.sign({}, { typ }), /typ/);
    await accepted(key.sign({}, { typ: undefined }));
    await accepted(key.sign({}, { typ: 'jwt' }));
});

test('kid: ours, active, of the key that signed', async () => {
    const inject = ['', 'x'.repeat(65), '../../../../dev/null', "key' or '1'='1", 'key_\u0000', 'a b', `${key.id}.`, `${key.id} `, key.id.toUpperCase(), null, 7, [key.id], undefined];
    for (const kid of inject) await refused(key.sign({}, { kid }), /kid|header/);
    await refused(key.sign({}, { kid: `key_${'0'.repeat(26)}` }), /kid/);
    await refused(key.sign({}, { kid: 'x'.repeat(64) }), /kid/);
    const theirs = await other.makeKey({ allowedOrigins: [PAGE] });
    const stranger = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    await refused(signer(key.id, stranger).sign(), /signature/);
    // the very same pair under another platform's kid is that platform's token: its user, its project
    const answer = await accepted(theirs.sign());
    assert.equal(answer.platformId, other.id);
});

test('form: parts, base64url, size, JSON', async () => {
    const good = key.sign();
    const [header, payload, signature] = good.split('.');
    for (const token of ['', '.', '..', '...', header, `${header}.${payload}`, `${header}.${payload}.`, `.${payload}.${signature}`, `${header}..${signature}`,
        `${good}.`, `${good}.x`, `${good}.${signature}.x`, `.${good}`]) await refused(token, /three parts|signature/);
    for (const token of [`${good}=`, `${header}=.${payload}.${signature}`, `${header}.${payload}==.${signature}`, `${header}.${payload}.${signature}==`,
        ` ${good}`, `${good} `, `${good}\n`, good.replace('.', '.\u00e9'), `${header.slice(0, -1)}!.${payload}.${signature}`,
        `${header}.${payload}.${signature.replace(/[-_]/, '+')}+`]) await refused(token, /base64url|three parts/);
    // a last character with bits that are thrown away: the same bytes, another text
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(signature.at(-1));
    await refused(`${header}.${payload}.${signature.slice(0, -1)}${alphabet[last ^ 1]}`, /base64url/);
    await refused(key.sign({ pad: 'x'.repeat(13000) }), /16 KiB/);
    for (const bad of ['[]', '"text"', '1', 'null', '', '{', `{"kid":"${key.id}",}`, '{"alg":"RS256"} x', '\ufeff{}'])
        await refused(signParts(bad, claims(), key.privateKey), /header/);
    for (const bad of ['[]', '"text"', '1', 'null', '{', '{"exp":1,}', 'NaN', '{"a":1}{}', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])])
        await refused(signParts({ alg: 'RS256', kid: key.id }, bad, key.privateKey), /payload/);
    const twice = JSON.stringify(claims()).replace('{', '{"role":"Admin",');
    await refused(signParts({ alg: 'RS256', kid: key.id }, twice, key.privateKey), /payload/);
    await refused(signParts(`{"alg":"none","alg":"RS256","kid":"${key.id}"}`, claims(), key.privateKey), /header/);
    await refused(signParts({ alg: 'RS256', kid: key.id }, JSON.stringify(claims({ deep: 1 })).replace('"deep":1', `"deep":${'['.repeat(100)}${']'.repeat(100)}`), key.privateKey), /payload/);
    // one bit of what was signed, or of the signature
    await refused(`${header}.${base64url(claims({ role: 'Admin' }))}.${signature}`, /signature/);
    await refused(`${header}.${payload}.${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`, /signature/);
    await refused(`${header}.${payload}.${base64url(Buffer.alloc(256))}`, /signature/);
    await refused(`${header}.${payload}.${base64url(Buffer.alloc(512, 255))}`, /signature/);
});

test('the request itself has a form, too', async () => {
    const post = (body, type = 'application/json') => server.api('POST', '/api/v1/managed-authn/external-token', body, { token: null, type });
    assert.equal((await post('{}')).status, 422);
    assert.equal((await post('{"externalAccessToken":7}')).status, 422);
    assert.equal((await post('{"externalAccessToken":"x","more":1}')).status, 422);
    assert.equal((await post('nonsense')).status, 400);
    assert.equal((await post(`{"externalAccessToken":"${'x'.repeat(30000)}"}`)).status, 413);
    assert.equal((await server.api('GET', '/api/v1/managed-authn/external-token', undefined, { token: null })).status, 405);
});

test('times: whole seconds, a minute of leeway, never in the future', async () => {
    const now = nowSeconds();
    await refused(key.sign({ exp: undefined }), /"exp".*missing/);
    for (const exp of [0, 1, now - 3600, now - 61]) await refused(key.sign({ exp, iat: undefined }), /"exp".*past/);
    await accepted(key.sign({ exp: now - 45, iat: now - 100 }));
    for (const exp of [-1, 1.5, now + 300.5, `${now + 300}`, true, null, [now + 300], {}, 1e300, 253402300800]) await refused(key.sign({ exp }), /"exp".*seconds/);
    // no JSON of JavaScript's making: beyond 64 bits, and beyond doubles
    for (const text of ['99999999999999999999', '1e99', '-9223372036854775809', '1e999'])
        await refused(signParts({ alg: 'RS256', kid: key.id }, JSON.stringify(claims({ exp: 1234567 })).replace('1234567', text), key.privateKey), /"exp"|payload/);
    for (const name of ['nbf', 'iat']) {
        for (const at of [now + 75, now + 3600, 253402300799]) await refused(key.sign({ [name]: at, exp: now + 7200 }), new RegExp(`"${name}".*future`));
        for (const at of ['1', 1.5, -5, null, false]) await refused(key.sign({ [name]: at }), new RegExp(`"${name}".*seconds`));
        await accepted(key.sign({ [name]: now + 45 }));
    }
});

test('lifetime and audience are looked at where the key says so', async () => {
    const strict = await acme.makeKey({ allowedOrigins: [PAGE], maxLifetime: 600, audience: 'https://stoa.example' });
    const now = nowSeconds();
    const aud = 'https://stoa.example';
    await accepted(strict.sign({ aud, iat: now, exp: now + 600 }));
    await accepted(strict.sign({ aud: ['other', aud], iat: now, exp: now + 600 }));
    await refused(strict.sign({ aud, iat: now, exp: now + 601 }), /"exp".*"iat"/);
    await refused(strict.sign({ aud, iat: now - 7200, exp: now + 60 }), /"exp".*"iat"/);
    await refused(strict.sign({ aud, iat: undefined, exp: now + 60 }), /"iat".*missing/);
    await refused(strict.sign({ iat: now, exp: now + 60 }), /"aud".*missing/);
    for (const wrong of ['https://stoa.exampl', `${aud}/`, '', [], ['other'], [[aud]], { 0: aud }, 7, null, true]) await refused(strict.sign({ aud: wrong }), /"aud"/);
    await accepted(key.sign({ aud: 'anything', exp: now + 30 * 86400 })); // a key that says nothing
    await until(async () => (await acme.api('GET', `/api/v1/signing-keys/${key.id}`)).json.longestLifetime >= 30 * 86400 - 5, 'the long life to be noted');
    assert.equal((await acme.api('GET', `/api/v1/signing-keys/${strict.id}`)).json.longestLifetime, null);
});

test('claims: required, of their type, of their length; the first at fault is named', async () => {
    for (const name of ['externalUserId', 'externalProjectId', 'firstName', 'lastName']) {
        await refused(key.sign({ [name]: undefined }), new RegExp(`"${name}" is missing`));
        for (const value of [null, 7, true, ['x'], { x: 1 }]) await refused(key.sign({ [name]: value }), new RegExp(`"${name}" must be a string`));
        for (const value of ['', ' ', 'x'.repeat(257), '\u00e9'.repeat(257), 'a\nb', 'a\u0007b', 'a\u0085b', '\u007f']) await refused(key.sign({ [name]: value }), new RegExp(`"${name}" must have 1 to 256`));
        await accepted(key.sign({ [name]: '\u{1f600}'.repeat(256) }));
    }
    await refused(signParts({ alg: 'RS256', kid: key.id }, JSON.stringify(claims()).replace('"Ada"', '"A\\u0000"'), key.privateKey), /payload/);
    await refused(key.sign({ externalUserId: 7, lastName: 7 }), /"externalUserId"/);
    await refused(key.sign({ exp: 1, externalUserId: 7 }), /"exp"/);
    for (const email of [7, null, 'x'.repeat(257), 'a\nb']) await refused(key.sign({ email }), /"email"/);
    assert.equal((await accepted(key.sign({ externalUserId: 'no mail', email: '' }))).email, '');
});

test('role: four there are, in any case; Editor when none is named', async () => {
    let n = 0;
    const roleOf = async (role) => (await accepted(key.sign({ role, externalUserId: `role ${++n}`, externalProjectId: 'roles' }))).role;
    for (const role of ['Admin', 'Editor', 'Viewer', 'Operator'])
        for (const spelled of [role, role.toUpperCase(), role.toLowerCase()]) assert.equal(await roleOf(spelled), role);
    assert.equal(await roleOf(undefined), 'Editor');
    for (const role of ['', 'Owner', 'admin ', 'ADMIN\u0000', 'none', '\u0130'.concat('dmin'), 7, null, ['Admin'], true]) {
        const token = String(role).includes('\u0000') ? undefined : key.sign({ role });
        if (token) await refused(token, /"role"/);
    }
});

test('version, pieces and tasks', async () => {
    const filterOf = async (payload) => {
        const { projectId } = await accepted(key.sign({ externalProjectId: `pieces ${crypto.randomUUID()}`, ...payload }));
        return sql(`select pieces_filter, array_to_json(pieces_tags) from projects where id = '${projectId}'`);
    };
    assert.match(await filterOf({ piecesFilterType: 'ALLOWED', piecesTags: ['free', 'b c'] }), /ALLOWED.*\["free","b c"\]/);
    assert.match(await filterOf({ piecesFilterType: 'ALLOWED' }), /ALLOWED.*\[\]/);
    assert.match(await filterOf({ piecesFilterType: 'NONE', piecesTags: ['free'] }), /NONE/);
    assert.match(await filterOf({ piecesFilterType: undefined }), /NONE/);
    for (const version of [undefined, 'v1', 'v2']) {
        assert.match(await filterOf({ version, pieces: { filterType: 'ALLOWED', tags: ['old'] } }), /ALLOWED.*\["old"\]/);
        assert.match(await filterOf({ version, piecesFilterType: 'ALLOWED', piecesTags: ['new'] }), /NONE/);
    }
    assert.match(await filterOf({ version: 'v3', pieces: { filterType: 'ALLOWED', tags: ['old'] } }), /NONE/);
    for (const version of ['v4', 'V3', '', '3', 3, null, ['v3']]) await refused(key.sign({ version }), /"version"/);
    for (const piecesFilterType of ['ALL', 'allowed', '', null, 7, ['ALLOWED']]) await refused(key.sign({ piecesFilterType }), /"piecesFilterType"/);
    for (const piecesTags of ['free', [7], [null], [''], ['x'.repeat(257)], {}, null, Array(257).fill('x')]) await refused(key.sign({ piecesFilterType: 'ALLOWED', piecesTags }), /"piecesTags"/);
    for (const pieces of ['x', [], null]) await refused(key.sign({ version: 'v1', pieces }), /"pieces"/);
    await refused(key.sign({ version: 'v1', pieces: { filterType: 'x' } }), /"pieces\.filterType"/);
    await refused(key.sign({ version: 'v1', pieces: { filterType: 'ALLOWED', tags: 'x' } }), /"pieces\.tags"/);
    for (const tasks of ['1000', -1, null, {}]) await refused(key.sign({ tasks }), /"tasks"/);
    const { projectId } = await accepted(key.sign({ tasks: 1000, externalProjectId: 'with tasks' }));
    const [event] = (await acme.events(`&projectId=${projectId}`)).filter((e) => e.action === 'exchange.accept');
    assert.equal(event.facts.tasks, 1000);
});

test('who asks: a page on the list, a page that is framed by one, a server; nobody else', async () => {
    const minutes = (answer) => (Date.parse(answer.expiresAt) - Date.now()) / 60000;
    const long = await acme.makeKey({ allowedOrigins: [PAGE, 'http://localhost:3000'], sessionLength: 7200, absoluteLength: 86400 });
    assert.ok(Math.abs(minutes(await accepted(long.sign())) - 120) < 2);
    assert.ok(Math.abs(minutes(await accepted(long.sign(), { origin: 'http://localhost:3000' })) - 120) < 2);
    for (const parentOrigin of [PAGE, 'http://localhost:3000']) {
        const framed = await acme.exchange(long.sign(), { origin: server.console, parentOrigin });
        assert.equal(framed.status, 200, framed.text);
        assert.ok(minutes(framed.json) <= 20, framed.json.expiresAt);
    }
    const backend = await acme.exchange(long.sign());
    assert.equal(backend.status, 200, backend.text);
    assert.ok(minutes(backend.json) <= 20, backend.json.expiresAt);

    const not = async (more) => {
        const answer = await acme.exchange(long.sign(), { address: newAddress(), ...more });
        assert.equal(answer.status, 403, answer.text);
        assert.equal(answer.json.code, 'origin_not_allowed');
        assert.match(answer.json.message, /allowedOrigins/);
    };
    for (const origin of ['https://evil.example', 'null', 'http://app.example.com', `${PAGE}:444`, `${PAGE}.evil.example`, `${PAGE}/`, 'HTTPS://APP.EXAMPLE.COM']) await not({ origin });
    await not({ origin: server.console }); // framed by nobody
    for (const parentOrigin of ['https://evil.example', 'null', '', server.console, `${PAGE}/`]) await not({ origin: server.console, parentOrigin });
    await not({ parentOrigin: 'https://evil.example' });
    // an origin of another platform's key is none of this one's, and of another key of the same platform neither
    await other.makeKey({ allowedOrigins: ['https://theirs.example'] });
    await not({ origin: 'https://theirs.example' });
    await acme.makeKey({ allowedOrigins: ['https://second.example'] });
    await not({ origin: 'https://second.example' });
    const bare = await acme.makeKey();
    assert.equal((await acme.exchange(bare.sign(), { origin: PAGE, address: newAddress() })).status, 403);
    assert.equal((await acme.exchange(bare.sign())).status, 200);
});

test('the session ends at the key\'s absolute length from the first exchange, whatever comes later', async () => {
    const short = await acme.makeKey({ allowedOrigins: [PAGE], absoluteLength: 120, sessionLength: 604800 });
    const token = short.sign();
    const first = await accepted(token);
    assert.ok(Date.parse(first.expiresAt) - Date.now() <= 121000);
    sql(`update sessions set created_at = created_at - interval '1 minute', ends_at = ends_at - interval '1 minute' where key_id = '${short.id}'`);
    const second = await accepted(token);
    assert.ok(Date.parse(second.expiresAt) - Date.now() <= 61000);
    sql(`update sessions set ends_at = now() - interval '1 second' where key_id = '${short.id}'`);
    await refused(token, /session/i);
});

test('a token is exchanged as often as it is wanted, into one session; a single-use key\'s once', async () => {
    const token = key.sign({ externalUserId: 'many times' });
    const answers = await Promise.all(Array.from({ length: 6 }, () => accepted(token)));
    assert.equal(new Set(answers.map((a) => a.token)).size, 6);
    const sid = (a) => JSON.parse(Buffer.from(a.token.split('.')[1], 'base64url')).sid;
    assert.equal(new Set(answers.map(sid)).size, 1);

    const once = await acme.makeKey({ allowedOrigins: [PAGE], singleUse: true });
    const single = once.sign();
    await accepted(single);
    await refused(single, /used|once/i);
    await accepted(once.sign());
    const race = once.sign();
    const all = await Promise.all(Array.from({ length: 8 }, () => acme.exchange(race, { origin: PAGE, address: newAddress() })));
    assert.deepEqual(all.map((a) => a.status).sort(), [200, 401, 401, 401, 401, 401, 401, 401]);
});

test('an older token changes nothing and yields no more than the present role', async () => {
    const now = nowSeconds();
    const of = (more) => key.sign({ externalUserId: 'demoted', externalProjectId: 'order', ...more });
    const old = of({ role: 'Admin', iat: now - 20, firstName: 'Old', piecesFilterType: 'NONE' });
    const first = await accepted(old);
    assert.equal(first.role, 'Admin');
    const demoted = await accepted(of({ role: 'Viewer', iat: now - 10, firstName: 'New', piecesFilterType: 'ALLOWED', piecesTags: ['t'] }));
    assert.equal(demoted.role, 'Viewer');
    const again = await accepted(old);
    assert.equal(again.role, 'Viewer');
    assert.equal((await accepted(of({ role: 'Admin', iat: now - 15 }))).role, 'Viewer');
    assert.equal(sql(`select first_name from users where id = '${first.id}'`), 'New');
    assert.match(sql(`select pieces_filter from projects where id = '${first.projectId}'`), /ALLOWED/);
    // the Admin's old session, too
    const build = await server.api('POST', '/api/v1/plugins/import', 'x', { token: first.token });
    assert.equal(build.status, 403, build.text);
    assert.equal((await accepted(of({ role: 'Admin', iat: now - 5 }))).role, 'Admin');
});

test('a host whose tokens begin to have iat is told that they are older, and switches the user off and on', async () => {
    const of = (more) => key.sign({ externalUserId: 'frozen', externalProjectId: 'frozen', ...more });
    const far = of({ iat: undefined, exp: nowSeconds() + 30 * 86400, role: 'Viewer', piecesFilterType: 'ALLOWED' });
    const { id, projectId, stale } = await accepted(far);
    assert.equal(stale, undefined);
    const wish = { role: 'Admin', piecesFilterType: 'NONE' };
    const early = of({ ...wish, iat: nowSeconds() - 30 });
    const frozen = await accepted(of(wish));
    assert.equal(frozen.stale, true);
    assert.equal(frozen.role, 'Viewer');
    for (const status of ['INACTIVE', 'ACTIVE']) assert.equal((await acme.api('PATCH', `/api/v1/users/${id}`, { status })).status, 200);
    const old = await accepted(early); // signed before, never exchanged
    assert.deepEqual([old.stale, old.role], [true, 'Viewer']);
    const thawed = await accepted(of(wish));
    assert.deepEqual([thawed.stale, thawed.role], [undefined, 'Admin']);
    assert.match(sql(`select pieces_filter from projects where id = '${projectId}'`), /NONE/);
    await refused(far, /session/i); // what it opened was ended
});

test('an older token of another member does not bring back what the project was offered before', async () => {
    const now = nowSeconds();
    const of = (user, more) => key.sign({ externalUserId: user, externalProjectId: 'filtered', ...more });
    const ben = of('ben', { iat: now - 100, piecesFilterType: 'NONE' });
    const { projectId } = await accepted(ben);
    const filter = () => sql(`select pieces_filter, array_to_json(pieces_tags) from projects where id = '${projectId}'`);
    await accepted(of('ann', { iat: now - 10, piecesFilterType: 'ALLOWED', piecesTags: ['free'] }));
    assert.match(filter(), /ALLOWED.*\["free"\]/);
    await accepted(ben);
    await accepted(of('carl', { iat: now - 50, piecesFilterType: 'NONE' })); // nor one that is new here
    assert.match(filter(), /ALLOWED.*\["free"\]/);
    await accepted(of('ben', { iat: now - 5, piecesFilterType: 'NONE' }));
    assert.match(filter(), /NONE/);
});

test('an inactive user is refused, whatever the token says, and let in again when switched on', async () => {
    const { id } = await accepted(key.sign({ externalUserId: 'inactive' }));
    assert.equal((await acme.api('PATCH', `/api/v1/users/${id}`, { status: 'INACTIVE' })).status, 200);
    const answer = await acme.exchange(key.sign({ externalUserId: 'inactive', firstName: 'Changed' }), { origin: PAGE, address: newAddress() });
    assert.equal(answer.status, 403, answer.text);
    assert.equal(answer.json.code, 'user_inactive');
    assert.equal(sql(`select first_name from users where id = '${id}'`), 'Ada');
    assert.equal((await acme.api('PATCH', `/api/v1/users/${id}`, { status: 'ACTIVE' })).status, 200);
    await accepted(key.sign({ externalUserId: 'inactive' }));
});

test('sixteen first exchanges at once: all succeed, one user, one project', async () => {
    for (let round = 0; round < 4; ++round) {
        const who = { externalUserId: `at once ${round}`, externalProjectId: `at once ${round}` };
        const same = key.sign(who);
        const answers = await Promise.all(Array.from({ length: 16 }, (_, i) => acme.exchange(i % 2 ? same : key.sign(who), { origin: PAGE })));
        assert.deepEqual(answers.map((a) => a.status), Array(16).fill(200), answers.find((a) => a.status !== 200)?.text);
        assert.equal(new Set(answers.map((a) => a.json.id)).size, 1);
        assert.equal(new Set(answers.map((a) => a.json.projectId)).size, 1);
        assert.equal(sql(`select count(*) from users where external_id = 'at once ${round}'`), '1');
        assert.equal(sql(`select count(*) from projects where external_id = 'at once ${round}'`), '1');
        assert.equal(sql(`select count(*) from audit_events where action in ('user.create', 'project.create') and project_id = '${answers[0].json.projectId}'`), '2');
        assert.equal(sql(`select count(*) from audit_events where action = 'exchange.accept' and project_id = '${answers[0].json.projectId}'`), '16');
    }
});

test('a disabled key takes no tokens; a deleted one takes its sessions with it', async () => {
    const going = await acme.makeKey({ allowedOrigins: [PAGE] });
    const session = await accepted(going.sign());
    const works = async () => (await server.api('GET', '/api/v1/plugins', undefined, { token: session.token })).status;
    assert.equal((await acme.api('PATCH', `/api/v1/signing-keys/${going.id}`, { status: 'DISABLED' })).status, 200);
    await refused(going.sign(), /kid/);
    assert.equal(await works(), 200);
    assert.equal((await acme.api('PATCH', `/api/v1/signing-keys/${going.id}`, { status: 'ACTIVE' })).status, 200);
    await accepted(going.sign());
    const gone = await acme.api('DELETE', `/api/v1/signing-keys/${going.id}`);
    assert.equal(gone.status, 200, gone.text);
    assert.ok(gone.json.sessionsEnded >= 1);
    await refused(going.sign(), /kid/);
    await until(async () => await works() === 401, 'its sessions to end', 2000);
    await accepted(key.sign()); // the other one is as it was
});

test('a revocation is never overtaken by an exchange under way', async () => {
    for (let round = 0; round < 5; ++round) {
        const going = await acme.makeKey({ allowedOrigins: [PAGE] });
        const exchanges = Array.from({ length: 8 }, (_, i) => acme.exchange(going.sign({ externalUserId: `race ${i}`, externalProjectId: `race ${i}` }), { origin: PAGE, address: newAddress() }));
        await Promise.race(exchanges);
        assert.equal((await acme.api('DELETE', `/api/v1/signing-keys/${going.id}`)).status, 200);
        for (const { status, json } of await Promise.all(exchanges))
            if (status === 200) await until(async () => (await server.api('GET', '/api/v1/plugins', undefined, { token: json.token })).status === 401, 'the session to end', 2000);
            else assert.equal(status, 401);
    }
});

test('failures are throttled by address, before any key is looked at; nobody else is', async () => {
    const mine = '203.0.113.9';
    const wrong = () => acme.exchange('no.token.atall', { origin: PAGE, address: mine });
    const statuses = (await Promise.all(Array.from({ length: 40 }, wrong))).map((a) => a.status);
    assert.ok(statuses.filter((s) => s === 401).length >= 25);
    const last = await wrong();
    assert.equal(last.status, 429, last.text);
    assert.ok(Number(last.headers['retry-after']) >= 1);
    assert.equal(last.json.code, 'too_many_attempts');
    assert.equal((await acme.exchange(key.sign(), { origin: PAGE, address: mine })).status, 429);
    assert.equal((await acme.exchange(key.sign(), { origin: PAGE, address: '203.0.113.10' })).status, 200);
    // an IPv6 visitor has a /64
    await Promise.all(Array.from({ length: 40 }, (_, i) => acme.exchange('x', { address: `2001:db8:1:2::${i.toString(16)}` })));
    assert.equal((await acme.exchange(key.sign(), { origin: PAGE, address: '2001:db8:1:2:ffff::1' })).status, 429);
    assert.equal((await acme.exchange(key.sign(), { origin: PAGE, address: '2001:db8:1:3::1' })).status, 200);
});

test('who tries a key from everywhere locks out nobody, and gets less and less himself', async () => {
    const tried = await acme.makeKey({ allowedOrigins: [PAGE] });
    const forged = `${tried.sign().split('.').slice(0, 2).join('.')}.${base64url(Buffer.alloc(256, 1))}`;
    // 300 at once, and five more a second, is what a key takes from all together
    const begun = Date.now();
    for (let i = 0; i < 340 + (Date.now() - begun) / 200; i += 20)
        await Promise.all(Array.from({ length: 20 }, (_, k) => acme.exchange(forged, { origin: PAGE, address: `21.${(i + k) >> 8}.${(i + k) & 255}.1` })));
    assert.equal((await acme.exchange(tried.sign(), { origin: PAGE, address: '21.9.9.9' })).status, 200);
    const mine = [];
    for (let i = 0; i < 6; ++i) mine.push((await acme.exchange(forged, { origin: PAGE, address: '21.9.9.8' })).status);
    assert.deepEqual(mine, [401, 401, 401, 429, 429, 429]);
    assert.equal((await acme.exchange(key.sign(), { origin: PAGE, address: '21.9.9.8' })).status, 200); // another key
});

test('signatures are checked behind the loops', () => {
    const tasks = fs.readdirSync(`/proc/${server.serverPid}/task`).map((task) => ({
        name: fs.readFileSync(`/proc/${server.serverPid}/task/${task}/comm`, 'utf8').trim(),
        nice: Number(fs.readFileSync(`/proc/${server.serverPid}/task/${task}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')[16]),
    }));
    const nicest = (name) => tasks.filter((t) => t.name.startsWith(name)).map((t) => t.nice);
    assert.ok(nicest('exchange-').length > 0 && nicest('loop-').length > 0);
    assert.ok(Math.min(...nicest('exchange-')) > Math.max(...nicest('loop-')), JSON.stringify(tasks));
});

test('the trail reads right afterwards, and nothing of a token or a key is in any log', async () => {
    const mark = await acme.makeKey({ allowedOrigins: [PAGE] });
    const made = await acme.makeKey({}, true);
    const token = mark.sign({ externalUserId: 'trail', externalProjectId: 'trail', exp: nowSeconds() + 40 * 86400 });
    const answer = await accepted(token, { address: '198.51.100.7' });
    const expired = mark.sign({ exp: 1, externalUserId: 'never believed' });
    for (let i = 0; i < 3; ++i) await acme.exchange(expired, { origin: PAGE, address: `198.51.100.${i}` });
    const forged = `${mark.sign({ externalUserId: 'forged name' }).split('.').slice(0, 2).join('.')}.${base64url(Buffer.alloc(256, 1))}`;
    await acme.exchange(forged, { origin: PAGE, address: '2001:db8:aa:1::1' });
    await acme.exchange(mark.sign({}, { kid: `key_${'1'.repeat(26)}` }), { origin: PAGE, address: '198.51.100.9' });
    const events = await acme.events(`&projectId=${answer.projectId}`);
    const accept = events.find((e) => e.action === 'exchange.accept');
    assert.match(accept.actor, /^ses_/);
    assert.equal(accept.subject, answer.id);
    assert.equal(accept.address, '198.51.100.7');
    assert.deepEqual({ ...accept.facts, lifetime: undefined }, {
        key: mark.id, caller: 'page', role: 'Editor', joined: false, externalUserId: 'trail', externalProjectId: 'trail', origin: PAGE, lifetime: undefined,
    });
    assert.ok(accept.facts.lifetime > 39 * 86400);
    for (const action of ['project.create', 'user.create']) assert.ok(events.some((e) => e.action === action && e.actor === accept.actor), action);

    await server.stop(); // what is held is written
    const rows = JSON.parse(sql(`select coalesce(json_agg(json_build_object('project', project_id, 'subject', subject, 'address', address, 'facts', facts, 'actor', actor)), '[]')
        from audit_events where action = 'exchange.refused'`));
    const ofMark = rows.filter((r) => r.subject === mark.id);
    const count = (reason, address) => ofMark.filter((r) => r.facts.reason === reason && r.address === address).reduce((n, r) => n + r.facts.count, 0);
    assert.equal(count('exp', '198.51.100.0/24'), 3);
    assert.equal(count('signature', '2001:db8:aa::/48'), 1);
    assert.ok(ofMark.every((r) => r.project === acme.ownerProjectId && r.actor === 'system' && /^2/.test(r.facts.minute)));
    assert.ok(rows.some((r) => r.subject === '' && r.facts.reason === 'kid' && ['198.51.100.0/24', 'other'].includes(r.address) && r.project !== acme.ownerProjectId));
    const trail = sql('select string_agg(audit_events::text, chr(10)) from audit_events');
    assert.ok(!trail.includes('never believed') && !trail.includes('forged name'));
    const log = server.logLines().join('\n');
    for (const text of [log, trail]) {
        for (const secret of [token, expired, answer.token, answer.token.split('.')[2], token.split('.')[2], acme.token]) assert.ok(!text.includes(secret));
        for (const line of made.privateKey.split('\n').slice(1, -2)) assert.ok(!text.includes(line));
        assert.ok(!/PRIVATE KEY|stoa_[\w-]{43}/.test(text));
    }
});
