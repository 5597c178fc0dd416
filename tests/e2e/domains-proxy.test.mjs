// Custom domains on a server behind a proxy that speaks TLS with visitors: what the server believes about how they came, and that nobody is
// sent round in circles, with a TLS listener of the server's own and without one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DOMAINS, domainSettings, makeChain, show, startWithDomains, twoOwners } from '../harness/domains.mjs';
import { request, startServer, until } from '../harness/server.mjs';

const ZONE = 'behind-shop.com', NAME = `forms.${ZONE}`, WWW = `www.${ZONE}`;
const SELF = '/api/public-apps/self'; // the app's files are the first server's alone
const KEY = '4b'.repeat(32);
const BEHIND = { trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For' };
let server, mine, domain, www;

before(async () => {
    server = await startWithDomains({ settings: BEHIND, env: { STOA_MASTER_KEY: KEY } });
    [mine] = await twoOwners(server);
    [domain, www] = [await server.domain(NAME, mine.instance), await server.domain(WWW, mine.instance)];
    await server.certify(domain);
    await server.certify(www);
});
after(() => server?.stop());

/** What becomes of a plain request that a proxy hands on; `proto` undefined: it does not say how the visitor came. */
async function visit(apps, host, proto, where = '/x?y=1') {
    const { status, headers, json } = await request(`${apps}${where}`, { headers: { host, 'x-forwarded-for': '198.51.100.7', ...(proto && { 'x-forwarded-proto': proto }) } });
    return { status, code: json?.code, location: headers.location, hsts: headers['strict-transport-security'] };
}
const change = async (of, changes) => assert.equal((await mine.api('PATCH', `${DOMAINS}/${of.id}`, changes)).status, 200);

test('a trusted proxy says how the visitor came, and who came by https is not sent there again', async () => {
    await change(domain, { hsts: { maxAge: 600 } });
    await until(async () => (await visit(server.apps, NAME, 'https')).hsts === 'max-age=600', 'HSTS', 1000);
    for (const proto of ['https', 'HTTPS', 'https, http']) assert.deepEqual((await visit(server.apps, NAME, proto)).location, undefined, proto);
    for (const proto of [undefined, 'http', 'http, https', 'httpsx']) {
        const { status, location, hsts } = await visit(server.apps, NAME, proto);
        assert.deepEqual([status, location, hsts], [308, `https://${NAME}:${server.tlsPort}/x?y=1`, undefined], proto);
    }
});

test('of one name that leads to another the scheme stays', async () => {
    await change(www, { redirectTo: NAME });
    await until(async () => (await visit(server.apps, WWW, 'https')).location === `https://${NAME}/x?y=1`, 'the redirect', 1000);
    assert.equal((await visit(server.apps, WWW, 'http')).location, `https://${NAME}:${server.tlsPort}/x?y=1`);
    await change(www, { redirectTo: null });
});

test('nobody else is believed', async () => {
    const other = await startServer({ database: server.databaseUrl, tls: ['*.i.stoa-host.com'], env: { STOA_MASTER_KEY: KEY }, settings: domainSettings(server.dns) });
    try {
        await until(async () => (await visit(other.apps, NAME, 'https')).status === 308, 'the way to https', 2000);
    } finally {
        await other.stop();
    }
});

test('a proxy that writes Forwarded says it there, in the element that names the visitor', async () => {
    const settings = { ...domainSettings(server.dns), trusted_proxies: '127.0.0.1', proxy_header: 'Forwarded' };
    const other = await startServer({ database: server.databaseUrl, tls: ['*.i.stoa-host.com'], env: { STOA_MASTER_KEY: KEY }, settings });
    const way = async (forwarded, more = {}) => (await request(`${other.apps}${SELF}`, { headers: { host: NAME, forwarded, ...more } })).headers.location;
    try {
        await until(async () => await way('for=198.51.100.7;proto=http') !== undefined, 'the way to https', 2000);
        assert.equal(await way('for=198.51.100.7;proto=https'), undefined);
        assert.equal(await way('for=198.51.100.7', { 'x-forwarded-proto': 'https' }), undefined, 'it does not say');
        assert.notEqual(await way('for=198.51.100.7;proto=http', { 'x-forwarded-proto': 'https' }), undefined, 'a visitor\'s own word');
        assert.notEqual(await way('for=1.1.1.1;proto=https, for=198.51.100.7;proto=http'), undefined, 'a visitor\'s tale');
    } finally {
        await other.stop();
    }
});

test('without a TLS listener nobody is sent to one, and certificates are said not to be served', async () => {
    const other = await startServer({ database: server.databaseUrl, env: { STOA_MASTER_KEY: KEY }, settings: { ...domainSettings(server.dns), ...BEHIND, apps_origin: 'https://apps.stoa-host.com' } });
    try {
        await until(async () => (await visit(other.apps, NAME, undefined, SELF)).code !== 'unknown_host', 'the name', 2000);
        for (const proto of [undefined, 'http', 'https']) assert.equal((await visit(other.apps, NAME, proto, SELF)).location, undefined, String(proto));
        const { certificate } = (await other.api('GET', `${DOMAINS}/${domain.id}`, undefined, { token: mine.token })).json;
        assert.deepEqual([certificate.status, certificate.source, certificate.errorCode, certificate.nextTryAt], ['failed', 'own', 'no_tls_listener', undefined]);
        assert.match(certificate.error, /kept, but not served.*listen_tls/);

        const made = makeChain([NAME]);
        const put = await other.api('PUT', `${DOMAINS}/${domain.id}/certificate`, { chainPem: made.chain, keyPem: made.key }, { token: mine.token });
        assert.deepEqual([put.status, put.json.code], [409, 'no_tls_listener']);
        assert.match(put.json.message, /in front/);
        assert.equal((await other.api('PUT', `${DOMAINS}/dom_nobodys/certificate`, { chainPem: made.chain, keyPem: made.key }, { token: mine.token })).status, 404);
    } finally {
        await other.stop();
    }
    assert.equal((await show(mine, domain)).certificate.status, 'active'); // it was kept
});
