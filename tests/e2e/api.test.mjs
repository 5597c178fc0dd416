// The conventions of the management API (contract §1), token life. That no tenant sees another's: tenants.test.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { request, startServer } from '../harness/server.mjs';

let server;
before(async () => { server = await startServer({ settings: { shared_origin: 'accepted' } }); });
after(() => server.stop());

function assertError(answer, status, code) {
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.error, true);
    assert.equal(answer.json.code, code);
    assert.match(answer.json.message, /^[A-Z].*[.]$/);
    assert.equal(answer.json.requestId, answer.headers['x-request-id']);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.match(answer.headers['cache-control'], /no-store/);
}

// Anybody may ask for it, so it is made once: made each time, it kept the API's threads from owners' calls.
test('the document of all operations costs no more than any small answer', async () => {
    const ticks = () => fs.readFileSync(`/proc/${server.serverPid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ').slice(11, 13).reduce((a, b) => a + Number(b), 0);
    const cost = async (path) => {
        assert.equal((await server.api('GET', path)).status, 200);
        const before = ticks();
        for (let i = 0; i < 60; ++i) await server.api('GET', path);
        return ticks() - before;
    };
    const [small, document] = [await cost('/api/tokens'), await cost('/api/openapi.json')];
    assert.ok(document <= 3 * small + 15, `${document} ticks, and ${small} for a small one`);
});

test('every error has the contract\'s form', async () => {
    assertError(await server.api('GET', '/api/plugins', undefined, { token: null }), 401, 'unauthorized');
    assertError(await server.api('GET', '/api/plugins', undefined, { token: `stoa_${'x'.repeat(43)}` }), 401, 'unauthorized');
    assertError(await server.api('GET', '/api/plugins', undefined, { token: 'nonsense' }), 401, 'unauthorized');
    assertError(await server.api('GET', '/api/nothing/here'), 404, 'not_found');
    for (const headers of [{ accept: 'text/html,*/*;q=0.8' }, { accept: 'text/html', 'sec-fetch-mode': 'navigate' }])
        for (const where of ['/api/nothing', '/api/v1/nothing', '/api/plugins/x/y/z', '/api/'])
            assertError(await request(`${server.console}${where}`, { headers }), 404, 'not_found');
    assertError(await server.api('GET', '/api/plugins/absent'), 404, 'plugin_not_found');
    assertError(await server.api('PATCH', '/api/plugins'), 405, 'method_not_allowed');
    assertError(await server.api('GET', '/api/plugins?nope=1'), 422, 'unknown_parameter');
    assertError(await server.api('GET', '/api/plugins?limit=1&limit=2'), 422, 'duplicate_parameter');
    assertError(await server.api('GET', '/api/plugins?limit=0'), 422, 'invalid_parameter');
    assertError(await server.api('GET', '/api/plugins?limit=%zz'), 400, 'bad_query');
    assertError(await server.api('GET', '/api/plugins?cursor=nonsense'), 422, 'invalid_cursor');
    assertError(await server.api('POST', '/api/tokens', '{"name":', { type: 'application/json' }), 400, 'invalid_json');
    assertError(await server.api('POST', '/api/tokens', '{"name":"a","name":"b"}', { type: 'application/json' }), 400, 'invalid_json');
    assertError(await server.api('POST', '/api/tokens', '[]', { type: 'application/json' }), 400, 'invalid_json');
    assertError(await server.api('POST', '/api/tokens', '{}', { type: 'text/plain' }), 415, 'unsupported_media_type');
    const packed = await server.api('POST', '/api/tokens', '{}', { type: 'application/json', headers: { 'content-encoding': 'gzip' } });
    assertError(packed, 415, 'unsupported_media_type');
    assert.equal(packed.headers['accept-encoding'], 'identity');
    assertError(await server.api('POST', '/api/tokens', '{}', { type: 'application/json', headers: { 'content-encoding': 'identity' } }), 422, 'invalid_request');
    assertError(await server.api('DELETE', '/api/plugins/x', 'a body'), 400, 'unexpected_body');
});

test('wrong fields are told all at once', async () => {
    const answer = await server.api('POST', '/api/tokens', { scope: 7, colour: 'red' });
    assertError(answer, 422, 'invalid_request');
    assert.deepEqual(Object.keys(answer.json.details.fields).sort(), ['colour', 'name', 'scope']);
});

test('405 and OPTIONS name the methods there are', async () => {
    const wrong = await server.api('PATCH', '/api/plugins/some');
    assert.equal(wrong.status, 405);
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) assert.match(wrong.headers.allow, new RegExp(`\\b${method}\\b`));
    const options = await server.api('OPTIONS', '/api/plugins/some', undefined, { token: null });
    assert.equal(options.status, 204);
    assert.equal(options.headers.allow, wrong.headers.allow);
});

test('/api/v1 is the same operation, an absent path a JSON 404, slashes are never collapsed', async () => {
    assert.equal((await server.api('GET', '/api/v1/plugins')).status, 200);
    assertError(await server.api('GET', '/api/v1/absent'), 404, 'not_found');
    assertError(await server.api('GET', '/api//plugins'), 404, 'not_found');
    assertError(await server.api('GET', '/api/plugins/'), 404, 'not_found');
    assertError(await request(`${server.console}/api/absent`, { headers: { 'sec-fetch-mode': 'cors' } }), 404, 'not_found');
});

test('management answers on the console origin only', async () => {
    const answer = await request(`${server.apps}/api/plugins`, { headers: { authorization: `Bearer ${server.token}` } });
    assertError(answer, 404, 'not_found');
});

test('the OpenAPI document has every operation, and every operation it has is served', async () => {
    const { json } = await server.api('GET', '/api/openapi.json', undefined, { token: null });
    assert.equal(json.openapi, '3.1.0');
    let operations = 0;
    const ids = new Set();
    for (const [path, item] of Object.entries(json.paths)) {
        for (const [method, operation] of Object.entries(item)) {
            ++operations;
            assert.ok(!ids.has(operation.operationId), operation.operationId);
            ids.add(operation.operationId);
            assert.ok(operation.summary.length > 3);
            const concrete = path.replace(/\{[^}]+\}/g, 'absent');
            const answer = await server.api(method.toUpperCase(), concrete, undefined, { token: null });
            assert.notEqual(answer.json?.code, 'not_found', `${method} ${path} is documented but not served`);
            assert.notEqual(answer.status, 405, `${method} ${path}`);
            const isFine = operation.security?.length === 0 ? [200, 422].includes(answer.status) : answer.status === 401; // 422: it wants a body
            assert.ok(isFine, `${method} ${path} ${answer.status} ${answer.text}`);
        }
    }
    assert.ok(operations >= 18, `${operations} operations`);
    const references = JSON.stringify(json).match(/#\/components\/schemas\/[A-Za-z]+/g);
    for (const reference of new Set(references)) assert.ok(json.components.schemas[reference.split('/').pop()], `${reference} is nowhere`);
});

test('lists are walked by cursor in both directions', async () => {
    for (let i = 0; i < 7; ++i) await server.api('POST', '/api/plugins/import', pie(`list-${i}`, { 'index.html': 'x' }));
    const seen = [];
    let at = '/api/plugins?limit=3';
    let last;
    for (;;) {
        const page = (await server.api('GET', at)).json;
        seen.push(...page.data.map((p) => p.slug));
        last = page;
        if (page.next === null) break;
        at = `/api/plugins?limit=3&cursor=${encodeURIComponent(page.next)}`;
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(seen.filter((s) => s.startsWith('list-')), [6, 5, 4, 3, 2, 1, 0].map((i) => `list-${i}`));
    const back = (await server.api('GET', `/api/plugins?limit=3&cursor=${encodeURIComponent(last.previous)}`)).json;
    assert.deepEqual(back.data.map((p) => p.slug), seen.slice(seen.length - last.data.length - 3, seen.length - last.data.length));
});

test('tokens: scopes, expiry, revocation of descendants, shown once', async () => {
    const read = (await server.api('POST', '/api/tokens', { name: 'r', scope: 'read' })).json;
    assert.match(read.token, /^stoa_[A-Za-z0-9_-]{43}$/);
    assert.equal((await server.api('GET', '/api/plugins', undefined, { token: read.token })).status, 200);
    assertError(await server.api('POST', '/api/plugins/import', pie('nope', {}), { token: read.token }), 403, 'scope_too_low');
    assertError(await server.api('POST', '/api/tokens', { name: 'more', scope: 'admin' }, { token: read.token }), 403, 'scope_too_low');
    const admin = (await server.api('POST', '/api/tokens', { name: 'a', scope: 'admin' })).json;
    const child = (await server.api('POST', '/api/tokens', { name: 'c', scope: 'deploy' }, { token: admin.token })).json;
    assert.equal((await server.api('GET', '/api/plugins', undefined, { token: child.token })).status, 200);
    assert.equal((await server.api('DELETE', `/api/tokens/${admin.id}`)).status, 200);
    assertError(await server.api('GET', '/api/plugins', undefined, { token: child.token }), 401, 'unauthorized');
    const soon = new Date(Date.now() + 1500).toISOString();
    const brief = (await server.api('POST', '/api/tokens', { name: 'b', scope: 'read', expiresAt: soon })).json;
    assert.equal((await server.api('GET', '/api/plugins', undefined, { token: brief.token })).status, 200);
    await new Promise((done) => { setTimeout(done, 1600); });
    assertError(await server.api('GET', '/api/plugins', undefined, { token: brief.token }), 401, 'unauthorized');
    const list = await server.api('GET', '/api/tokens');
    assert.ok(list.json.data.length >= 1);
    assert.ok(!list.text.includes('stoa_'), 'a token is shown once only');
});

test('a second project may have a plugin of the same slug', async () => {
    const mine = (await server.api('POST', '/api/plugins/import', pie('walk', { 'index.html': '<p>mine' }))).json;
    const other = (await server.api('POST', '/api/projects', { displayName: 'Same slug' })).json;
    const foreign = other.token.token ?? other.token;
    const theirs = (await server.api('POST', '/api/plugins/import', pie('walk', { 'index.html': '<p>theirs' }), { token: foreign })).json;
    assert.equal((await request(theirs.publicAppUrl)).text, '<p>theirs');
    assert.equal((await request(mine.publicAppUrl)).text, '<p>mine');
});

test('no token is in any log', async () => {
    const { default: fs } = await import('node:fs');
    const access = fs.readFileSync(`${server.dataDir}/logs/access.log`, 'utf8');
    assert.ok(access.includes('/api/plugins'));
    assert.ok(!/stoa_[A-Za-z0-9_-]{20}/.test(access + server.log()));
    assert.ok(!access.includes('cursor='), 'a query string is in the access log');
});
