// What the trail must hold (security-rules.md 27): every endpoint that changes something is asked for real, and its row looked for, with actor,
// address and request id; none holds a secret.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { archive, pie } from '../harness/pie.mjs';
import { makeCertificate, request, startServer } from '../harness/server.mjs';
import { rsaPair, signer } from '../harness/tokens.mjs';

const SECRET = 'sEcReT-that-no-trail-holds';
const MANIFEST = `manifest:
  developerSecrets:
    API_KEY: { description: The key }
  userSecrets:
    TOKEN: { description: Yours }
  userFields:
    title: { type: text, label: Title }
`;
const BOUNDARY = 'trail';
// Runs are told by the log of runs; a proof that finds nothing changes nothing, and one that does is told as what becomes of the name.
// A session's next token is no change: its exchange was told.
const NO_CHANGE = ['runWidgetAction', 'runTool', 'verifyDomain', 'refreshSession'];

let server, tokenId, operations, platform;
before(async () => {
    server = await startServer({ managedDb: true, tls: ['localhost'], settings: { shared_origin: 'accepted' } });
    tokenId = (await server.api('GET', '/api/tokens')).json.data[0].id;
    operations = new Map();
    for (const [path, item] of Object.entries((await server.api('GET', '/api/openapi.json')).json.paths))
        for (const [method, operation] of Object.entries(item)) operations.set(operation.operationId, { method: method.toUpperCase(), path });
});
after(() => server.stop());

const asked = new Map(); // operationId -> action told
const sql = (text) => String(server.database.query(text)).trim();

/** Asks an operation by its id; the trail must tell it as `action`. */
async function told(id, action, params, body, more = {}) {
    const { method, path } = operations.get(id) ?? assert.fail(`no operation ${id}`);
    let where = path.replace(/\{(\w+)\}/g, (_, name) => params[name] ?? assert.fail(`${path} needs ${name}`));
    if (more.query) where += more.query;
    const answer = await server.api(method, where, body, more);
    assert.ok(answer.status < 300, `${method} ${where}: ${answer.text}`);
    const rows = JSON.parse(sql(`select coalesce(json_agg(e order by seq), '[]') from audit_events e where request_id = '${answer.headers['x-request-id']}'`));
    assert.ok(rows.length > 0, `${id} is not in the trail`);
    const row = rows.find((r) => r.action === action);
    assert.ok(row, `${id} is told as ${rows.map((r) => r.action)}`);
    for (const r of rows) {
        assert.match(r.actor, more.actor ?? new RegExp(`^${tokenId}$`), id);
        assert.match(r.address, /^(127\.0\.0\.1|::1)$/, id);
        assert.ok(r.subject, id);
    }
    asked.set(id, action);
    return answer.json;
}

test('plugins, deployments and instances', async () => {
    const first = await told('importPlugin', 'plugin.create', {}, pie('trail', { 'index.html': 'one' }, { front: MANIFEST }));
    const plugin = first.plugin.id;
    await told('updatePlugin', 'deployment.create', { plugin }, pie('trail', { 'index.html': 'two' }, { front: MANIFEST, version: '1.0.1' }));
    await told('createDeployment', 'deployment.create', { plugin }, archive({ 'index.html': 'three' }, 'zip'));
    await told('activateDeployment', 'deployment.activate', { plugin, deployment: first.deployment.id });
    const [newest] = (await server.api('GET', `/api/plugins/${plugin}/deployments`)).json.data;
    await told('deleteDeployment', 'deployment.delete', { plugin, deployment: newest.id });
    const made = await told('createInstance', 'instance.create', { plugin });
    await told('deleteInstance', 'instance.delete', { plugin, instance: made.id });
    const gone = await server.api('POST', '/api/plugins/import', pie('trail-gone', { 'index.html': 'x' }));
    await told('deletePlugin', 'plugin.delete', { plugin: gone.json.plugin.id });
});

test('secrets, values and settings', async () => {
    const plugin = 'trail', instance = (await server.api('GET', '/api/plugins/trail/instances')).json.data[0].id;
    await told('setPluginSecret', 'secret.set', { plugin, name: 'API_KEY' }, { value: SECRET });
    await told('deletePluginSecret', 'secret.delete', { plugin, name: 'API_KEY' });
    await told('setInstanceSecret', 'secret.set', { instance, name: 'TOKEN' }, { value: SECRET });
    await told('deleteInstanceSecret', 'secret.delete', { instance, name: 'TOKEN' });
    await told('setInstanceConfig', 'config.set', { instance }, { values: { title: 'T' } });
    await told('updateInstance', 'instance.settings', { instance }, { allowedOrigins: ['https://example.com'] });
});

test('databases', async () => {
    await told('createDatabase', 'database.create', { plugin: 'trail' });
    await told('regenerateDatabasePassword', 'database.password', { plugin: 'trail' });
    await told('getDatabaseCredentials', 'database.credentials', { plugin: 'trail' }, undefined, { query: '?local=true' });
});

test('subscriptions and files', async () => {
    const made = await told('createEventSubscription', 'event_subscription.create', {}, { url: 'https://example.com/hook', events: ['x'] });
    await told('deleteEventSubscription', 'event_subscription.delete', { subscription: made.id });
    const instance = (await server.api('GET', '/api/plugins/trail/instances')).json.data[0].slug;
    const body = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--${BOUNDARY}--\r\n`;
    const sent = await request(`${server.apps}/api/public-actions/${instance}/upload`, {
        method: 'POST', body, headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, 'content-length': body.length },
    });
    assert.equal(sent.status, 200, sent.text);
    await told('deleteFile', 'file.delete', { file: sent.json.data.fileId });
});

test('domains and certificates', async () => {
    const instanceId = (await server.api('GET', '/api/plugins/trail/instances')).json.data[0].id;
    const { id: domain, hostname } = await told('addDomain', 'domain.add', {}, { hostname: 'trail.customer-one.com', instanceId });
    await told('changeDomain', 'domain.change', { domain }, { httpsOnly: false });
    const { certificate, key } = makeCertificate([hostname], []);
    const { readFileSync } = await import('node:fs');
    await told('putDomainCertificate', 'certificate.put', { domain }, { chainPem: readFileSync(certificate, 'utf8'), keyPem: readFileSync(key, 'utf8') });
    await told('removeDomainCertificate', 'certificate.remove', { domain });
    await told('removeDomain', 'domain.remove', { domain });
});

test('tokens, projects and platforms', async () => {
    const token = await told('createToken', 'token.create', {}, { name: 't', scope: 'read' });
    await told('revokeToken', 'token.revoke', { token: token.id });
    await told('createProject', 'project.create', {}, { displayName: 'P' });
    platform = await told('createPlatform', 'platform.create', {}, { displayName: 'Trail', slug: 'trail' });
    await told('createPlatformToken', 'token.create', { platform: 'trail' }, { name: 'second' });
    await told('changeProject', 'project.change', { project: platform.ownerProjectId }, { displayName: 'Q' }, asPlatform());
});

const asPlatform = () => ({ token: platform.token, actor: new RegExp(`^${platform.tokenId}$`) });

test('signing keys, exchanges, sessions and users', async () => {
    const made = await told('createSigningKey', 'signing_key.create', {}, { displayName: 'K', publicKey: rsaPair().publicKey, allowedOrigins: ['https://app.example.com'] }, asPlatform());
    await told('changeSigningKey', 'signing_key.change', { key: made.id }, { displayName: 'L' }, asPlatform());
    const { sign } = signer(made.id, rsaPair().privateKey);
    const exchange = (user) => told('exchangeToken', 'exchange.accept', {}, { externalAccessToken: sign({ externalUserId: user }) },
        { token: null, actor: /^ses_/, headers: { origin: 'https://app.example.com' } });
    const { id: user } = await exchange('u1');
    const sessionOf = async (who) => (await server.api('GET', '/api/sessions', undefined, asPlatform())).json.data.find((s) => s.userId === who).id;
    await told('endSession', 'session.end', { session: await sessionOf(user) }, undefined, asPlatform());
    await exchange('u2');
    await told('endSessions', 'session.end', {}, undefined, { ...asPlatform(), query: `?keyId=${made.id}` });
    await told('changeUser', 'user.deactivate', { user }, { status: 'INACTIVE' }, asPlatform());
    await told('deleteSigningKey', 'signing_key.delete', { key: made.id }, undefined, asPlatform());
});

test('the catalogue and connections', async () => {
    const offered = await server.api('POST', '/api/plugins/import', pie('offered', { 'index.html': 'x' }, { front: MANIFEST }), asPlatform());
    assert.equal(offered.status, 201, offered.text);
    await told('changePieces', 'pieces.change', {}, { ids: ['offered'], addTags: ['free'], offered: true }, asPlatform());
    const { id: connection } = await told('putConnection', 'connection.create', {}, { pieceName: 'offered', secrets: { TOKEN: SECRET } }, asPlatform());
    await told('deleteConnection', 'connection.delete', { connection }, undefined, asPlatform());
});

test('no endpoint that changes something is left out', () => {
    const left = [...operations].filter(([id, { method }]) => method !== 'GET' && !asked.has(id) && !NO_CHANGE.includes(id));
    assert.deepEqual(left.map(([id]) => id), []);
});

test('no row holds a secret', () => {
    const rows = sql('select e from audit_events e');
    assert.ok(rows.length > 1000);
    assert.ok(!rows.includes(SECRET));
    assert.ok(!/stoa_[A-Za-z0-9_-]{20}|PRIVATE KEY|eyJ/.test(rows));
});
