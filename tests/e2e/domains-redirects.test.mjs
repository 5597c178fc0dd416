// What stands before the app on a custom domain (edge/route/domain_rules.h): where a redirect leads as things stand, what it carries, and which
// plain requests go to TLS. Times pass by UPDATE in the server's database.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { claim, DOMAINS, startWithDomains, twoOwners, verify } from '../harness/domains.mjs';
import { lookup } from '../harness/names.mjs';
import { request, until } from '../harness/server.mjs';

const NAVIGATION = { 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate', accept: 'text/html' };
let server, mine, theirs;

before(async () => {
    server = await startWithDomains();
    [mine, theirs] = await twoOwners(server);
});
after(() => server?.stop());

const sql = (text) => server.database.query(text);
const change = async (who, domain, changes) => assert.equal((await who.api('PATCH', `${DOMAINS}/${domain.id}`, changes)).status, 200);
const prove = ({ hostname, verification }) => server.setRecords(hostname, [`${verification.name}. TXT "${verification.value}"`, `${hostname}. A 127.0.0.1`]);
async function proven(who, hostname) {
    const domain = await claim(who, hostname);
    await prove(domain);
    assert.equal((await verify(who, domain)).status, 200);
    return domain;
}
const visit = (host, where = '/', headers = {}) => request(new URL(where, server.apps), { headers: { host, ...headers } });
const visitTls = (host, where = '/', headers = {}) => request(`https://${host}:${server.tlsPort}${where}`, { headers, lookup, servername: host });
const answers = (host, expected) => until(async () => {
    const { headers, text } = await visit(host);
    return (headers.location ?? /<title>(.*)<\/title>/.exec(text)?.[1])?.replace(/:\d+/, '') === expected;
}, `${expected} at ${host}`, 2000);

test('a redirect begins when the other name is proven, and ends when that is another project\'s', async () => {
    const zone = 'twin-shop.com', www = `www.${zone}`;
    const first = await proven(mine, www), apex = await claim(mine, zone);
    await change(mine, first, { redirectTo: zone });
    await answers(www, 'mine'); // better the app than nothing
    await prove(apex);
    assert.equal((await verify(mine, apex)).status, 200);
    await answers(www, `http://${zone}/`);

    const rival = await claim(theirs, zone);
    await prove(rival);
    assert.equal((await verify(theirs, rival)).json.code, 'domain_held');
    await sql(`update domains set missed_at = now() - interval '61 minutes' where id = '${apex.id}'`);
    assert.equal((await verify(theirs, rival)).status, 200);
    await answers(zone, 'theirs');
    await answers(www, 'mine');
});

test('on a name that has changed hands a redirect clears the storage, and the former worker is told to go', async () => {
    const zone = 'handed-shop.com', www = `www.${zone}`;
    const former = await proven(mine, www);
    const apex = await proven(theirs, zone), rival = await claim(theirs, www);
    await prove(rival);
    assert.equal((await verify(theirs, rival)).json.code, 'domain_held');
    await sql(`update domains set missed_at = now() - interval '61 minutes' where id = '${former.id}'`);
    assert.equal((await verify(theirs, rival)).status, 200);
    await change(theirs, rival, { redirectTo: apex.hostname });
    await answers(www, `http://${zone}/`);

    const page = await visit(www, '/a?b', NAVIGATION);
    assert.equal(page.status, 308);
    assert.match(page.headers['clear-site-data'] ?? '', /"storage"/);
    for (const where of ['/sw.js', '/deep/worker.js', '/']) {
        const script = await visit(www, where, { 'service-worker': 'script' });
        assert.deepEqual([script.status, script.headers['content-type']?.split(';')[0]], [200, 'text/javascript'], where);
        assert.match(script.text, /unregister\(\)/, where);
    }
});

test('over TLS a redirect keeps browsers to it, and waits for the other name\'s certificate', async () => {
    const zone = 'safe-shop.com', www = `www.${zone}`;
    const apex = await proven(mine, zone), first = await proven(mine, www);
    await server.certify(first);
    await change(mine, first, { redirectTo: zone, hsts: { maxAge: 600 } });
    await answers(www, `http://${zone}/`);
    assert.equal((await visitTls(www)).status, 200); // its browser would meet an alert there
    await server.certify(apex);
    const page = await visitTls(www, '/a?b');
    assert.deepEqual([page.status, page.headers.location], [308, `https://${zone}:${server.tlsPort}/a?b`]);
    assert.equal(page.headers['strict-transport-security'], 'max-age=600');
    assert.equal((await visit(www)).headers['strict-transport-security'], undefined); // RFC 6797 §7.2
});

test('nobody is sent to a certificate that has run out', async () => {
    const name = 'late.late-shop.com';
    const domain = await proven(mine, name);
    await server.certify(domain);
    await answers(name, `https://${name}/`);
    await sql(`update domain_certificates set not_after = now() - interval '1 minute' where domain_id = '${domain.id}'; select pg_notify('stoa_domains', '${name}')`);
    await answers(name, 'mine');
});
