// Nobody sees another's: every endpoint that takes an id is asked for another tenant's, by all kinds of strangers. And no session does more
// than its role may: every endpoint is asked by sessions of all four roles, made by real exchanges, against the table of docs/embedding.md.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { request, startServer, until } from '../harness/server.mjs';
import { makePlatform } from '../harness/tokens.mjs';

const PAGE = 'https://app.example.com';
const LADDER = ['none', 'read', 'deploy', 'admin', 'platform', 'operator'];
const ROLES = ['Viewer', 'Operator', 'Editor', 'Admin'];
/** From which role on: the table of docs/embedding.md. */
const LOWEST = { view: 'Viewer', read_data: 'Viewer', run: 'Operator', connect: 'Operator', build: 'Editor', configure: 'Editor', manage: 'Admin' };
const CONNECTED = 'manifest:\n  userSecrets:\n    TOKEN: { description: Yours }\n';

let server, acme, other, key, operations;
before(async () => {
    server = await startServer({ managedDb: true, settings: { shared_origin: 'accepted' } });
    acme = await makePlatform(server, 'acme');
    other = await makePlatform(server, 'other');
    key = await acme.makeKey({ allowedOrigins: [PAGE] });
    operations = Object.entries((await server.api('GET', '/api/openapi.json')).json.paths).flatMap(([path, item]) =>
        Object.entries(item).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })));
});
after(() => server.stop());

/** A body that the operation takes, so that nothing but the caller is wrong with the request. */
function bodyFor(operation) {
    const content = operation.requestBody?.content;
    if (!content) return undefined;
    if (operation.operationId === 'changeUser') return { status: 'INACTIVE' };
    if (!content['application/json']) return pie('walk', { 'index.html': '<p>theirs' });
    const { required = [], properties = {} } = content['application/json'].schema ?? {};
    return Object.fromEntries(required.map((name) => [name, { string: 'x', object: {}, array: [], boolean: true, integer: 1 }[properties[name].type]]));
}

const filled = (path, ids) => path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(ids[name] ?? assert.fail(`this test does not know the parameter of ${path}`)));

async function session(platform, signingKey, user, project, role = 'Admin') {
    const answer = await platform.exchange(signingKey.sign({ externalUserId: user, externalProjectId: project, role }), { origin: PAGE });
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
}

const sql = (text) => String(server.database.query(text)).trim();

async function ok(answer) {
    const got = await answer;
    assert.ok(got.status < 300, got.text);
    return got.json;
}

/** A tenant with one of everything that has an id: {tenant's ids by path parameter}, by ids and by slugs where there are any. */
async function furnish(platform, signingKey) {
    const visitor = await session(platform, signingKey, 'walked-user', 'walked');
    const by = (method, where, body) => ok(server.api(method, where, body, { token: visitor.token }));
    const made = await by('POST', '/api/plugins/import', pie('walk', { 'index.html': '<p>mine' }, { front: CONNECTED }));
    const run = await by('POST', `/api/plugins/${made.plugin.id}/instances/${made.instance.id}/tool`, {});
    await until(async () => (await server.api('GET', `/api/runs/${run.runId}`, undefined, { token: visitor.token })).status === 200, 'the run to be kept');
    const subscribed = await by('POST', '/api/event-subscriptions', { url: 'https://example.com/hook', events: ['x'] });
    const domain = await by('POST', '/api/public-apps/domains', { hostname: 'walk.customer-one.com', instanceId: made.instance.id });
    const connected = await by('POST', '/api/connections', { pieceName: 'walk', externalId: 'walked-connection', secrets: { TOKEN: 'x' } });
    const tokens = await ok(platform.api('GET', '/api/tokens'));
    const live = await ok(platform.api('GET', '/api/sessions'));
    const boundary = 'walk', file = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--${boundary}--\r\n`;
    const sent = await request(`${server.apps}/api/public-actions/${made.instance.slug}/upload`,
        { method: 'POST', body: file, headers: { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': file.length } });
    assert.equal(sent.status, 200, sent.text);
    const ids = {
        plugin: made.plugin.id, instance: made.instance.id, deployment: made.deployment.id, token: tokens.data[0].id, run: run.runId,
        subscription: subscribed.id, domain: domain.id, file: sent.json.data.fileId, name: 'TOKEN', action: 'look', table: 'rows', platform: platform.id,
        project: visitor.projectId, user: visitor.id, key: signingKey.id, session: live.data[0].id, piece: made.plugin.id, flow: made.instance.id,
        connection: connected.id,
    };
    const names = { ...ids, plugin: 'walk', instance: made.instance.slug, domain: domain.hostname, platform: platform.slug, piece: 'walk', flow: made.instance.slug, connection: 'walked-connection' };
    return { visitor, made, all: [ids, names] };
}

test('another tenant\'s ids are not found, on every endpoint, whoever asks', async () => {
    const mine = await furnish(acme, key);
    const theirKey = await other.makeKey({ allowedOrigins: [PAGE] });
    const theirs = await session(other, theirKey, 'walked-user', 'walked');
    const neighbour = await session(acme, key, 'neighbour', 'next-door');
    const project = await ok(server.api('POST', '/api/projects', { displayName: 'Of no platform' }));
    const strangers = [
        { name: 'another project\'s admin', token: project.token, scope: 'admin' },
        { name: 'another platform', token: other.token, scope: 'platform' },
        { name: 'another platform\'s session', token: theirs.token },
        { name: 'a session of the platform\'s next project', token: neighbour.token },
    ];
    let walked = 0;
    for (const operation of operations.filter((o) => o.path.includes('{')))
        for (const ids of mine.all)
            for (const stranger of strangers) {
                const answer = await server.api(operation.method, filled(operation.path, ids), bodyFor(operation), { token: stranger.token });
                const what = `${operation.operationId} by ${stranger.name}: ${answer.status} ${answer.text}`;
                const mayAsk = stranger.scope ? LADDER.indexOf(stranger.scope) >= LADDER.indexOf(operation['x-scope']) : operation['x-permission'] !== 'none';
                if (mayAsk) assert.equal(answer.status, 404, what);
                else assert.ok(answer.status === 403 && ['scope_too_low', 'not_for_sessions'].includes(answer.json.code), what);
                ++walked;
            }
    assert.ok(walked >= 300, `${walked} calls`);
    for (const { token } of strangers)
        for (const where of ['/api/plugins', '/api/files', '/api/public-apps/domains', '/api/event-subscriptions', '/api/v1/flows', '/api/v1/connections', '/api/v1/pieces'])
            assert.deepEqual((await ok(server.api('GET', where, undefined, { token }))).data, [], where);
    // Nothing of it has done anything.
    assert.equal((await request(mine.made.publicAppUrl)).text, '<p>mine');
    assert.equal((await server.api('GET', '/api/v1/connections/walked-connection', undefined, { token: mine.visitor.token })).status, 200);
    assert.equal((await acme.api('GET', `/api/v1/users/${mine.visitor.id}`)).json.status, 'ACTIVE');
});

test('each role may do what the table says, on every endpoint, and no more', async () => {
    const nowhere = new Proxy({}, { get: () => 'nowhere' });
    let walked = 0;
    for (const role of ROLES) {
        const { token } = await session(acme, key, `walker-${role}`, 'roles', role);
        for (const operation of operations) {
            const permission = operation['x-permission'];
            if (operation['x-scope'] === 'none' || operation.operationId === 'refreshSession') continue; // asks for no session; uses this one up
            const answer = await server.api(operation.method, filled(operation.path, nowhere), bodyFor(operation), { token });
            const what = `${operation.operationId} as ${role}: ${answer.status} ${answer.text}`;
            if (permission === 'none') {
                assert.equal(answer.status, 403, what);
                assert.equal(answer.json.code, 'not_for_sessions', what);
            } else if (ROLES.indexOf(role) < ROLES.indexOf(LOWEST[permission] ?? assert.fail(permission))) {
                assert.equal(answer.status, 403, what);
                assert.equal(answer.json.code, 'role_too_low', what);
                assert.ok(answer.json.message.includes(`"${role}"`), what);
            } else {
                assert.ok(![401, 403, 500].includes(answer.status), what);
            }
            ++walked;
        }
    }
    assert.ok(walked >= 4 * 60, `${walked} calls`);
});

test('the role is the present one: a demotion holds at the next request, and an older token brings nothing back', async () => {
    const iat = Math.floor(Date.now() / 1000);
    const sign = (role, at) => key.sign({ externalUserId: 'demoted', externalProjectId: 'demoted', role, iat: at });
    const old = sign('Admin', iat - 20), exchanged = async (token) => ok(acme.exchange(token, { origin: PAGE }));
    const admin = await exchanged(old);
    const create = (token) => server.api('POST', '/api/event-subscriptions', { url: 'https://example.com/hook', events: ['x'] }, { token });
    assert.equal((await create(admin.token)).status, 201);
    assert.equal((await exchanged(sign('Viewer', iat - 10))).role, 'Viewer');
    const late = await create(admin.token);
    assert.equal(late.status, 403, late.text);
    assert.equal(late.json.code, 'role_too_low');
    const again = await exchanged(old);
    assert.equal(again.role, 'Viewer');
    assert.equal((await create(again.token)).status, 403);
    assert.equal((await create((await exchanged(sign('Admin', iat))).token)).status, 201);
});

test('runs are the project owner\'s, and know the member who acts', async () => {
    const { id, token, projectId } = await session(acme, key, 'actor', 'acting');
    const made = await ok(server.api('POST', '/api/plugins/import',
        pie('acting', {}, { code: 'module.exports = { handler: async (input, context) => ({ user: context.user.id, actor: context.actor.id }) };' }), { token }));
    const ran = await ok(server.api('POST', `/api/plugins/acting/instances/${made.instance.id}/tool`, {}, { token }));
    const owner = sql(`select owner_user_id from projects where id = '${projectId}'`);
    assert.deepEqual(ran.result, { user: owner, actor: id });
    const runs = () => server.api('GET', `/api/runs/${ran.runId}`, undefined, { token });
    await until(async () => (await runs()).status === 200, 'the run to be kept');
    assert.equal((await runs()).json.actor, id);
});

test('who is switched off is refused at once, and their sessions stay over', async () => {
    const { id, token } = await session(acme, key, 'leaver', 'leaving');
    const asks = (which = token) => server.api('GET', '/api/v1/flows', undefined, { token: which });
    assert.equal((await asks()).status, 200);
    assert.equal((await acme.api('PATCH', `/api/v1/users/${id}`, { status: 'INACTIVE' })).json.status, 'INACTIVE');
    assert.equal((await asks()).status, 401);
    const refused = await acme.exchange(key.sign({ externalUserId: 'leaver', externalProjectId: 'leaving', role: 'Admin' }), { origin: PAGE });
    assert.equal(refused.status, 403, refused.text);
    await ok(acme.api('PATCH', `/api/v1/users/${id}`, { status: 'ACTIVE' }));
    assert.equal((await asks()).status, 401);
    assert.equal((await asks((await session(acme, key, 'leaver', 'leaving')).token)).status, 200);
    const event = (await acme.events()).find((e) => e.action === 'user.deactivate');
    assert.equal(event.subject, id);
    assert.deepEqual(event.facts, { sessionsEnded: 1 });
});
