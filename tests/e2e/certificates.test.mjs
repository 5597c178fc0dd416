// Certificates of custom domains: a real certificate authority (Pebble), real name servers, and clients that trust nothing but its root.
// Times pass by UPDATE in the server's database.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import https from 'node:https';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { portOf, preparePebble } from '../harness/acme.mjs';
import { openBrowser } from '../harness/browser.mjs';
import { startDns } from '../harness/dns.mjs';
import { DOMAINS, domainSettings, makeChain } from '../harness/domains.mjs';
import { lookup, openTls } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { repository, request, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const ZONE = 'customer-one.com';
const records = new Map();
let dns, ca, server, other, instance, dnsServer, tlsPort;

const settingsOf = () => domainSettings(dns);

before(async () => {
    dns = await startDns();
    ca = preparePebble();
    dnsServer = (await dns.startForwarder()).replace('@', ':');
    server = await startServer({
        tls: ['*.i.stoa-host.com'], managedDb: true,
        settings: { ...settingsOf(), acme_directory: ca.directory, acme_ca_file: ca.caFile, acme_contact: 'mailto:ops@stoa-host.com', acme_caa: 'pebble.example' },
    });
    tlsPort = portOf(server.tls);
    const made = await server.api('POST', '/api/plugins/import', pie('secure-app', { 'index.html': '<title>secure</title>hello over tls' }));
    assert.ok(made.status < 300, made.text);
    instance = made.json.instance;
    await startCa();
});
after(async () => {
    await other?.stop();
    await server?.stop();
    await ca?.stop();
    await dns?.stop();
});

const startCa = (more = {}) => ca.start({ httpPort: portOf(server.apps), dnsServer, blocked: [`blocked.${ZONE}`], ...more });
const sql = (text) => server.database.query(text);
const show = async (domain) => (await server.api('GET', `${DOMAINS}/${domain.id}`)).json;
const zoneOf = (name) => name.split('.').slice(-2).join('.');

async function setRecord(zone, key, lines) {
    const held = records.get(zone) ?? new Map();
    records.set(zone, held.set(key, lines));
    await dns.setRecords(zone, [...held.values()].flat());
}

/** A verified name whose A record is `address`. */
async function domainOf(hostname, address = '127.0.0.1', more = [], of = instance) {
    const zone = zoneOf(hostname);
    const label = hostname.slice(0, -zone.length - 1);
    const made = await server.api('POST', DOMAINS, { hostname, instanceId: of.id });
    assert.equal(made.status, 201, made.text);
    const domain = made.json;
    await setRecord(zone, label, [`_stoa-challenge.${label} TXT "${domain.verification.value}"`, `${label} A ${address}`, ...more]);
    const verified = await server.api('POST', `${DOMAINS}/${domain.id}/verify`);
    assert.equal(verified.status, 200, verified.text);
    assert.equal(verified.json.routing.ok, address === '127.0.0.1', JSON.stringify(verified.json.routing));
    return domain;
}

const untilCertificate = (domain, status, milliseconds) => until(async () => {
    const { certificate } = await show(domain);
    return certificate.status === status && certificate;
}, `the certificate of ${domain.hostname} to be ${status}`, milliseconds);

/** What is served for the name over TLS, by a client that trusts the root alone. */
const visit = (hostname, root, { port = tlsPort, where = '/', ...more } = {}) => new Promise((resolve, reject) => {
    const asked = https.request({ host: hostname, port, path: where, lookup, ca: root, servername: hostname, agent: false, ...more }, (answer) => {
        let text = '';
        const certificate = answer.socket.getPeerCertificate(true);
        answer.on('data', (part) => { text += part; }).on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text, certificate }));
    });
    asked.on('error', reject).end();
});
const plainly = (hostname, where = '/') => request(new URL(where, server.apps), { headers: { host: hostname } });
/** What the app's owner was told of the name, newest first: the events' types, and the data of one. */
async function told(domain, type) {
    const events = await server.api('GET', `/api/public-apps/instances/${instance.id}/events?limit=100`);
    assert.equal(events.status, 200, events.text);
    const its = events.json.data.filter((e) => e.data.domainId === domain.id);
    return type ? its.filter((e) => e.type === type).map((e) => e.data) : its.map((e) => e.type);
}
const due = (domain) => sql(`update domain_certificates set next_at = now(), tried_at = now() - interval '1 day' where domain_id = '${domain.id}'`);
const forget = () => sql('delete from acme_issues; update acme_accounts set paused_until = null');

test('a name that is verified and leads here has its certificate within seconds', async () => {
    const name = `forms.${ZONE}`;
    const root = await ca.root();
    const domain = await domainOf(name);
    const certificate = await untilCertificate(domain, 'active');
    assert.equal(certificate.source, 'acme');
    assert.ok(Date.parse(certificate.notAfter) > Date.now());
    assert.equal(certificate.error, undefined);

    const page = await until(() => visit(name, root).catch(() => false), 'the app over https', 2000);
    assert.equal(page.status, 200);
    assert.match(page.text, /hello over tls/);
    assert.equal(page.certificate.asn1Curve, 'prime256v1');
    assert.equal(page.certificate.subjectaltname, `DNS:${name}`);

    const redirect = await plainly(name, '/a?b=c');
    assert.equal(redirect.status, 308);
    assert.equal(redirect.headers.location, `https://${name}:${tlsPort}/a?b=c`);
    assert.equal((await plainly(name, '/.well-known/acme-challenge/nobody-asked-for-this-token')).status, 404);

    const audit = sql(`select action from audit_events where subject = '${domain.id}' order by action`);
    assert.match(String(audit), /certificate\.issue/);
    assert.deepEqual((await told(domain)).sort(), ['certificate.issued', 'domain.verified']);
    assert.deepEqual((await told(domain, 'certificate.issued')).map((d) => [d.hostname, d.notAfter]), [[name, certificate.notAfter]]);
    assert.equal(Number(sql('select count(*) from acme_challenges')), 0);
});

test('settings that cannot work are refused at the start', async () => {
    const { stdout } = await promisify(execFile)(server.stoaBin, ['serve', '--check', '--set', 'acme_directory=http://ca.example/dir', '--set',
        'acme_contact=ops@stoa-host.com', '--set', 'acme_ca_file=/nowhere.pem']).then(() => assert.fail('it was accepted'), (e) => e);
    for (const words of [/acme_directory.*https/, /acme_directory.*listen_tls/, /acme_contact.*mailto/, /acme_ca_file.*cannot be read/]) assert.match(stdout, words);
});

test('who does not lead here is not ordered for, until it does', async () => {
    const name = `later.${ZONE}`;
    const domain = await domainOf(name, '127.0.0.9');
    await new Promise((done) => setTimeout(done, 3000));
    assert.deepEqual((await show(domain)).certificate, { status: 'none' });
    await setRecord(ZONE, 'later', [`_stoa-challenge.later TXT "${domain.verification.value}"`, 'later A 127.0.0.1']);
    assert.equal((await server.api('POST', `${DOMAINS}/${domain.id}/verify`)).json.routing.ok, true);
    await untilCertificate(domain, 'active');
});

test('with a third of its life left it is renewed; the old one is served until then', async () => {
    const name = `renewed.${ZONE}`;
    const root = await ca.root();
    const domain = await domainOf(name);
    const first = await untilCertificate(domain, 'active');
    const life = Date.parse(first.notAfter) - Date.parse(first.notBefore);
    assert.ok(Math.abs(Date.parse(first.nextTryAt) - (Date.parse(first.notAfter) - life / 3)) < 2000, JSON.stringify(first));
    const before = await until(() => visit(name, root).catch(() => false), 'https');

    await ca.stop();
    due(domain);
    const failing = await until(async () => {
        const { certificate } = await show(domain);
        return certificate.error && certificate;
    }, 'a failed renewal');
    assert.equal(failing.status, 'active');
    assert.equal(failing.errorCode, 'acme_unreachable');
    assert.match(failing.error, /cannot be reached/);
    assert.equal((await visit(name, root)).certificate.serialNumber, before.certificate.serialNumber);

    await startCa(); // another one, which knows no account of ours
    forget();
    due(domain);
    const newRoot = await ca.root();
    const after = await until(() => visit(name, newRoot).catch(() => false), 'the renewed certificate');
    assert.notEqual(after.certificate.serialNumber, before.certificate.serialNumber);
    const now = (await show(domain)).certificate;
    assert.equal(now.error, undefined);
    const actions = String(sql(`select action from audit_events where subject = '${domain.id}'`));
    assert.match(actions, /certificate\.renew/);
    assert.deepEqual((await told(domain, 'certificate.renewed')).map((d) => d.hostname), [name]);
    assert.equal((await told(domain, 'certificate.issued')).length, 1);
    assert.equal(Number(sql(`select count(*) from acme_accounts`)), 1);
});

test('a name that leads elsewhere by the time of its renewal is told so, and renewed once it is back', async () => {
    const name = `astray.${ZONE}`;
    const domain = await domainOf(name);
    const first = await untilCertificate(domain, 'active');
    const txt = `_stoa-challenge.astray TXT "${domain.verification.value}"`;
    await setRecord(ZONE, 'astray', [txt, 'astray A 127.0.0.9']);
    assert.equal((await server.api('POST', `${DOMAINS}/${domain.id}/verify`)).json.routing.ok, false);
    due(domain);
    const failing = await until(async () => {
        const { certificate } = await show(domain);
        return certificate.error && certificate;
    }, 'a word');
    assert.deepEqual([failing.status, failing.errorCode, failing.notAfter], ['active', 'not_routed', first.notAfter]);
    assert.match(failing.error, /not renewed.*leads elsewhere/);
    const wait = Date.parse(failing.nextTryAt) - Date.now();
    assert.ok(wait > 23 * 3600e3 && wait <= 24 * 3600e3, failing.nextTryAt);
    assert.deepEqual((await told(domain, 'certificate.failing')).map((d) => d.code), ['not_routed']);
    await dns.addZone('stoa-host.com', 'unsigned');
    await dns.setRecords('stoa-host.com', ['*.i A 127.0.0.1']);
    await setRecord(ZONE, 'astray', [txt, `astray CNAME ${instance.slug}.i.stoa-host.com.`]);
    sql(`update domain_certificates set renew_at = now() - interval '1 hour' where domain_id = '${domain.id}'`);
    assert.equal((await server.api('POST', `${DOMAINS}/${domain.id}/verify`)).json.routing.ok, true);
    await until(async () => (await told(domain, 'certificate.renewed')).length === 1, 'the renewal');
    assert.equal((await show(domain)).certificate.error, undefined);
});

test('a refusal is shown in the authority\'s words, and tried again on a ladder', async () => {
    const domain = await domainOf(`blocked.${ZONE}`);
    const certificate = await untilCertificate(domain, 'failed');
    assert.equal(certificate.errorCode, 'acme_refused');
    assert.match(certificate.error, /refused: .*(blocked|policy|forbid)/i);
    const wait = Date.parse(certificate.nextTryAt) - Date.now();
    assert.ok(wait > 40000 && wait < 61000, certificate.nextTryAt);
    for (const minutes of [5, 15]) {
        const attempts = Number(sql(`select attempts from domain_certificates where domain_id = '${domain.id}'`));
        due(domain);
        await until(() => Number(sql(`select attempts from domain_certificates where domain_id = '${domain.id}'`)) > attempts, 'another try');
        const next = (await show(domain)).certificate.nextTryAt;
        assert.ok(Math.abs(Date.parse(next) - Date.now() - minutes * 60000) < 20000, next);
    }
    // told once
    const [failing, ...more] = await told(domain, 'certificate.failing');
    assert.deepEqual([failing.hostname, failing.code, more.length], [`blocked.${ZONE}`, 'acme_refused', 0]);
    assert.equal(Number(sql(`select count(*) from audit_events where subject = '${domain.id}' and action = 'certificate.fail'`)), 1);
    // after a month, not by itself any more
    sql(`update domain_certificates set failing_since = now() - interval '31 days' where domain_id = '${domain.id}'`);
    due(domain);
    await until(async () => (await show(domain)).certificate.nextTryAt === undefined, 'the end of the tries');
    assert.deepEqual((await told(domain, 'certificate.failing')).map((d) => d.nextTryAt === null).sort(), [false, true]); // and that is told
    // the owner may ask for another one
    assert.equal((await server.api('POST', `${DOMAINS}/${domain.id}/verify`)).status, 200);
    assert.equal((await show(domain)).certificate.nextTryAt, undefined, 'not within a minute of the last');
    sql(`update domain_certificates set tried_at = now() - interval '2 minutes' where domain_id = '${domain.id}'`);
    assert.equal((await server.api('POST', `${DOMAINS}/${domain.id}/verify`)).status, 200);
    assert.notEqual((await show(domain)).certificate.nextTryAt, undefined);
});

test('CAA records that allow others only are explained, and no order is made', async () => {
    const label = 'caa';
    const domain = await domainOf(`${label}.${ZONE}`, '127.0.0.1', [`${label} CAA 0 issue "other-ca.example"`]);
    const certificate = await untilCertificate(domain, 'failed');
    assert.equal(certificate.errorCode, 'caa_forbids');
    assert.match(certificate.error, /other-ca\.example.*pebble\.example/);
    assert.equal(Number(sql(`select count(*) from acme_issues where hostname = 'caa.${ZONE}'`)), 0);

    await setRecord(ZONE, label, [`_stoa-challenge.${label} TXT "${domain.verification.value}"`, `${label} A 127.0.0.1`,
        `${label} CAA 0 issue "other-ca.example"`, `${label} CAA 0 issue "pebble.example; validationmethods=http-01"`]);
    due(domain);
    await untilCertificate(domain, 'active');
});

test('when so many orders were made, further ones wait', async () => {
    await dns.addZone('busy-shop.com', 'unsigned');
    sql(`insert into acme_issues (directory, project_id, hostname, registrable, is_renewal) select '${ca.directory}', 'another', 'n' || n || '.busy-shop.com', 'busy-shop.com', false
        from generate_series(1, 45) n`);
    const domain = await domainOf('new.busy-shop.com');
    const certificate = await untilCertificate(domain, 'failed');
    assert.equal(certificate.errorCode, 'certificate_budget');
    assert.ok(Date.parse(certificate.nextTryAt) - Date.now() > 3600000);
    const row = () => String(sql(`select attempts || ' ' || coalesce((now() - failing_since < interval '1 minute')::text, 'none') from domain_certificates where domain_id = '${domain.id}'`)).trim();
    assert.equal(row(), '0 none');
    // however long it waited, the month of its failures begins with the first one
    sql(`update domain_certificates set failing_since = failing_since - interval '35 days' where domain_id = '${domain.id}'`);
    forget();
    await ca.stop();
    due(domain);
    const failing = await until(async () => {
        const now = (await show(domain)).certificate;
        return now.errorCode !== 'certificate_budget' && now;
    }, 'a failure');
    assert.deepEqual([failing.errorCode, row()], ['acme_unreachable', '1 true']);
    assert.notEqual(failing.nextTryAt, undefined);
    await startCa();
    forget();
});

test('nonces that are refused half of the time hold nothing up', async () => {
    await ca.stop();
    await startCa({ env: { PEBBLE_WFE_NONCEREJECT: '50' } });
    forget();
    const domain = await domainOf(`nonce.${ZONE}`);
    await until(async () => {
        const { certificate } = await show(domain);
        if (certificate.errorCode) due(domain);
        forget();
        return certificate.status === 'active';
    }, 'a certificate in spite of it');
    await ca.stop();
    await startCa();
});

test('an authority that is away for a day is waited for', { skip: process.env.STOA_FULL !== '1' && 'only with --full: it takes 20 s' }, async () => {
    await ca.stop();
    forget();
    const domain = await domainOf(`patient.${ZONE}`);
    for (let n = 1; n <= 9; ++n) {
        sql('update acme_accounts set paused_until = null');
        due(domain);
        await until(() => Number(sql(`select attempts from domain_certificates where domain_id = '${domain.id}'`)) >= n, `try ${n}`);
    }
    const { certificate } = await show(domain);
    assert.equal(certificate.status, 'failed');
    assert.ok(Math.abs(Date.parse(certificate.nextTryAt) - Date.now() - 6 * 3600000) < 60000, certificate.nextTryAt);
    assert.ok(sql('select paused_until > now() from acme_accounts').toString().includes('t'), 'all names wait for it');
    await startCa();
    sql('update acme_accounts set paused_until = null');
    due(domain);
    await untilCertificate(domain, 'active');
});

test('a server that did not order answers for the token', async () => {
    other = await startServer({ database: server.databaseUrl, dataDir: undefined, tls: ['*.i.stoa-host.com'],
        env: { STOA_MASTER_KEY: fs.readFileSync(path.join(server.dataDir, 'keys/master.key'), 'utf8').trim() }, settings: settingsOf() });
    await ca.stop();
    await startCa({ httpPort: portOf(other.apps) });
    forget();
    const name = `shared.${ZONE}`;
    const domain = await domainOf(name);
    await untilCertificate(domain, 'active');
    const root = await ca.root();
    for (const port of [portOf(other.tls), tlsPort]) // its blobs are in a directory of the first one's
        await until(() => visit(name, root, { port, where: '/.well-known/acme-challenge/none' }).catch(() => false), 'https on both', 2000);
    await ca.stop();
    await startCa();
});

test('strangers\' tokens never reach the database', async () => {
    // the server began listening long ago in this test's eyes: nothing is open but what it was told of
    const scans = () => Number(sql("select coalesce(idx_scan, 0) + coalesce(seq_scan, 0) from pg_stat_user_tables where relname = 'acme_challenges'"));
    sql('select pg_stat_force_next_flush()');
    const before = scans();
    const statuses = await Promise.all(Array.from({ length: 100 }, (_, n) => plainly('nobodys-name.com', `/.well-known/acme-challenge/stranger-${n}`).then((a) => a.status)));
    assert.ok(statuses.every((s) => s === 404));
    await new Promise((done) => setTimeout(done, 1500));
    assert.ok(scans() - before <= 12, `${scans() - before} looks for a hundred tokens`); // a burst of ten, right after the start
});

test('a token that is known is answered over TLS and for any name, as bytes', async () => {
    sql("insert into acme_challenges (token, answer, hostname) values ('a-token-of-the-test', 'a-token-of-the-test.thumb', 'x')");
    const where = '/.well-known/acme-challenge/a-token-of-the-test';
    const answer = await until(async () => {
        const a = await plainly('nobodys-name.com', where);
        return a.status === 200 && a;
    }, 'the answer', 2000);
    assert.equal(answer.text, 'a-token-of-the-test.thumb');
    assert.equal(answer.headers['content-type'], 'application/octet-stream');
    assert.equal(answer.headers['cache-control'], 'no-store');
    const root = await ca.root();
    const domain = await domainOf(`token.${ZONE}`);
    await untilCertificate(domain, 'active');
    const over = await until(() => visit(`token.${ZONE}`, root, { where }).catch(() => false), 'https');
    assert.equal(over.text, 'a-token-of-the-test.thumb');
    sql("delete from acme_challenges where token = 'a-token-of-the-test'");
    assert.equal((await plainly('nobodys-name.com', where)).status, 404);
});

test('names nobody has get the alert, and sessions of one name are not another\'s', async () => {
    await assert.rejects(openTls(tlsPort, `nobody.${ZONE}`), /unrecognized.name/);
    const [one, two] = [`token.${ZONE}`, `forms.${ZONE}`];
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
        const first = await openTls(tlsPort, one, { maxVersion });
        const session = maxVersion === 'TLSv1.2' ? first.getSession() : await new Promise((resolve) => first.once('session', resolve));
        first.destroy();
        const again = await openTls(tlsPort, one, { maxVersion, session });
        assert.equal(again.isSessionReused(), true);
        again.destroy();
        const crossed = await openTls(tlsPort, two, { maxVersion, session }).catch((e) => e);
        if (crossed instanceof tls.TLSSocket) {
            assert.equal(crossed.isSessionReused(), false);
            assert.equal(crossed.getPeerCertificate().subjectaltname, `DNS:${two}`);
            crossed.destroy();
        }
    }
});

test('a browser opens the app at its name and hands in its form', async () => {
    const name = `party.${ZONE}`;
    const made = await server.api('POST', '/api/plugins/import', fs.readFileSync(path.join(repository, 'examples/rsvp.pie'), 'utf8'));
    assert.equal(made.status, 201, made.text);
    const launched = await server.api('POST', `/api/plugins/public-rsvp/instances/${made.json.instance.slug}/widget-actions/_launch`, {});
    const { settings } = launched.json.events.at(-1).data;
    const domain = await domainOf(name, '127.0.0.1', [], made.json.instance);
    await untilCertificate(domain, 'active');
    const root = await ca.root();
    await until(() => visit(name, root).catch(() => false), 'https');
    const browser = await openBrowser({ hosts: { [name]: '127.0.0.1' }, roots: [root] });
    try {
        const { page, errors } = await browser.open(`https://${name}:${tlsPort}/?eventId=${settings.id}`, { ignoreHTTPSErrors: false });
        await page.waitForFunction(() => document.getElementById('title').textContent === 'Community RSVP');
        await page.fill('#name', 'Ada');
        await page.fill('#email', 'ada@example.org');
        await page.click('#submit');
        await page.waitForFunction(() => document.getElementById('message').textContent === 'Your RSVP has been recorded.');
        assert.deepEqual(errors, []);
        assert.equal(new URL(page.url()).host, `${name}:${tlsPort}`);
    } finally {
        await browser.close();
    }
});

const put = (domain, chainPem, keyPem) => server.api('PUT', `${DOMAINS}/${domain.id}/certificate`, { chainPem, keyPem });

test('an owner\'s own certificate is looked at closely, served, and given up', async () => {
    const name = `own.${ZONE}`;
    const domain = await domainOf(name);
    await untilCertificate(domain, 'active');
    const good = makeChain([name]);
    const other = makeChain([`else.${ZONE}`]);
    const encrypted = execFileSync('openssl', ['pkcs8', '-topk8', '-passout', 'pass:x'], { input: good.key, encoding: 'utf8' });
    const weak = makeChain([name], { key: ['-newkey', 'rsa:1024'] });
    const odd = makeChain([name], { key: ['-newkey', 'ed25519'] });
    for (const [what, chain, key, words] of [['another key', good.chain, other.key, /key is not/], ['another name', other.chain, other.key, /does not name/],
        ['disorder', good.issuer + good.leaf, good.key, /first/], ['a gap', good.leaf + good.root, good.key, /did not sign/],
        ['an encrypted key', good.chain, encrypted, /encrypted/], ['a weak key', weak.chain, weak.key, /2048/], ['an odd key', odd.chain, odd.key, /P-256/],
        ['no chain', 'hello', good.key, /no certificate/], ['no key', good.chain, 'hello', /cannot be read/],
        ['half a certificate', good.leaf.slice(0, 200), good.key, /certificate/], ['the past', makeChain([name], { days: -1 }).chain, good.key, /key is not|valid until/]]) {
        const answer = await put(domain, chain, key);
        assert.equal(answer.status, 422, `${what}: ${answer.text}`);
        assert.equal(answer.json.code, 'invalid_certificate', what);
        assert.match(answer.json.message, words, what);
    }
    const taken = await put(domain, good.chain, good.key);
    assert.equal(taken.status, 200, taken.text);
    assert.equal(taken.json.certificate.source, 'own');
    assert.equal(taken.json.certificate.status, 'active');
    const page = await until(() => visit(name, good.root).catch(() => false), 'the own certificate', 2000);
    assert.match(page.text, /hello over tls/);
    const rsa = makeChain([`*.${ZONE}`], { key: ['-newkey', 'rsa:2048'] });
    assert.equal((await put(domain, rsa.chain, rsa.key)).status, 200);
    await until(() => visit(name, rsa.root).catch(() => false), 'the RSA one', 2000);
    // a wildcard serves no other name
    await assert.rejects(openTls(tlsPort, `nobody.${ZONE}`), /unrecognized.name/);

    // two weeks before its end the owner is told
    sql(`update domain_certificates set next_at = now() where domain_id = '${domain.id}'`);
    assert.match((await until(async () => {
        const { certificate } = await show(domain);
        return certificate.error && certificate;
    }, 'the warning')).error, /newer/);

    // given up, it is served until there is another
    await ca.stop();
    const removed = await server.api('DELETE', `${DOMAINS}/${domain.id}/certificate`);
    assert.equal(removed.status, 200, removed.text);
    assert.deepEqual([removed.json.certificate.status, removed.json.certificate.source], ['active', 'own']);
    assert.match(removed.json.certificate.next, /served until/);
    await until(async () => (await show(domain)).certificate.errorCode === 'acme_unreachable', 'a try');
    assert.match((await visit(name, rsa.root)).text, /hello over tls/);
    await startCa();
    forget();
    due(domain);
    const root = await ca.root();
    await until(() => visit(name, root).catch(() => false), 'the ordered one');
    const { certificate } = await show(domain);
    assert.deepEqual([certificate.source, certificate.next, certificate.error], ['acme', undefined, undefined]);
    assert.deepEqual([(await told(domain, 'certificate.issued')).length, (await told(domain, 'certificate.renewed')).length], [2, 0]);
    // where the name does not lead here, no other will come: it goes at once
    const astray = makeChain([`away.${ZONE}`]);
    const away = await domainOf(`away.${ZONE}`, '127.0.0.9');
    assert.equal((await put(away, astray.chain, astray.key)).status, 200);
    assert.deepEqual((await server.api('DELETE', `${DOMAINS}/${away.id}/certificate`)).json.certificate.notAfter, undefined);
    assert.equal((await server.api('DELETE', `${DOMAINS}/${domain.id}/certificate`)).status, 404);
});

test('the command line gives one and takes it back', async () => {
    const name = `typed.${ZONE}`;
    await domainOf(name);
    const own = makeChain([name]);
    const file = (what, text) => {
        const at = path.join(own.folder, what);
        fs.writeFileSync(at, text);
        return at;
    };
    const stoa = (...args) => promisify(execFile)(server.stoaBin, ['domain', ...args, '--url', server.console, '--token', server.token]);
    fs.symlinkSync(file('fullchain1.pem', own.chain), path.join(own.folder, 'live.pem'));
    const { stdout } = await stoa('certificate', name, '--chain', path.join(own.folder, 'live.pem'), '--key', file('key.pem', own.key));
    assert.match(stdout, /Took the certificate for typed\.customer-one\.com[^]*Certificate +active, your own\n +ends +in/);
    const wrong = await stoa('certificate', name, '--chain', file('other.pem', makeChain([`else.${ZONE}`]).chain), '--key', path.join(own.folder, 'key.pem')).catch((e) => e);
    assert.match(wrong.stderr, /key is not/);
    assert.match((await stoa('certificate', name).catch((e) => e)).stderr, /--chain FILE/);
    assert.match((await stoa('certificate', name, '--remove')).stdout, /Gave up the certificate of[^]*served until/);
});

test('with the claim its key dies', async () => {
    const name = `gone.${ZONE}`;
    const domain = await domainOf(name);
    await untilCertificate(domain, 'active');
    assert.equal((await server.api('DELETE', `${DOMAINS}/${domain.id}`)).status, 200);
    assert.equal(Number(sql(`select count(*) from domain_certificates where domain_id = '${domain.id}'`)), 0);
    await until(() => openTls(tlsPort, name).then(() => false, () => true), 'the alert', 2000);
});

test('no key stands anywhere in plain text', async () => {
    const name = `secret.${ZONE}`;
    const domain = await domainOf(name);
    const own = makeChain([name]);
    assert.equal((await put(domain, own.chain, own.key)).status, 200);
    const scalar = execFileSync('openssl', ['ec', '-outform', 'DER'], { input: own.key, stdio: ['pipe', 'pipe', 'ignore'] }).subarray(7, 39);
    const rows = String(sql("select encode(key, 'hex') from domain_certificates union all select encode(key, 'hex') from acme_accounts"));
    assert.ok(rows.length > 300);
    const dump = execFileSync('pg_dump', [server.databaseUrl], { encoding: 'latin1', maxBuffer: 1 << 28, env: { PATH: `${process.env.PATH}:/usr/lib/postgresql/15/bin` } });
    assert.ok(dump.includes(rows.split('\n').find((line) => line.length > 100).trim()), 'the dump has the sealed keys');
    const base64 = own.key.split('\n').slice(1, -2).join('');
    for (const [where, text] of [['the dump', dump], ['the log', server.log()]]) {
        assert.ok(!text.includes('PRIVATE KEY'), where);
        for (const form of [scalar.toString('hex'), scalar.toString('latin1'), base64.slice(0, 40), base64.slice(60, 100)]) assert.ok(!text.toLowerCase().includes(form.toLowerCase()), where);
        // any key on P-256, this one or one that was ordered for: PKCS #8 (RFC 5208 §5) and an ECPrivateKey (RFC 5915 §3)
        for (const form of ['020100301306072a8648ce3d0201', '307702010104']) assert.ok(!text.includes(form), where);
    }
    // what a name takes: its own row, without the chain that all share
    const bytes = Number(sql("select max(pg_column_size(c.*)) from domain_certificates c where source = 'acme' and leaf is not null"));
    assert.ok(bytes < 1600, `${bytes} bytes`);
});

test('keys follow the master key', async () => {
    await server.stop();
    const old = fs.readFileSync(path.join(server.dataDir, 'keys/master.key'), 'utf8').trim();
    const rotated = await startServer({ database: server.databaseUrl, tls: ['*.i.stoa-host.com'],
        env: { STOA_MASTER_KEY: `${'5e'.repeat(32)}\n${old}` }, settings: { ...settingsOf(), acme_directory: ca.directory, acme_ca_file: ca.caFile } });
    try {
        await rotated.logged(/certificates' keys were sealed again/);
        assert.equal(Number(sql("select count(distinct substr(key, 2, 8)) from (select key from domain_certificates union all select key from acme_accounts) k where key is not null")), 1);
        const root = makeChain(['x.example']).root; // any: the key opens, or there is no handshake at all
        await until(() => visit(`forms.${ZONE}`, root, { port: portOf(rotated.tls), rejectUnauthorized: false, where: '/.well-known/acme-challenge/none' }).catch(() => false), 'https');
    } finally {
        await rotated.stop();
    }
});

test('an authority that asks for an account made beforehand gets it bound', async () => {
    const [kid, key] = ['kid-1', 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W'];
    const strict = preparePebble();
    const settings = { ...settingsOf(), acme_directory: strict.directory, acme_ca_file: strict.caFile };
    const certificateOf = async (more, name) => {
        const bound = await startServer({ tls: ['*.i.stoa-host.com'], settings: { ...settings, ...more } });
        try {
            await strict.start({ httpPort: portOf(bound.apps), dnsServer, accounts: { [kid]: key } });
            const app = (await bound.api('POST', '/api/plugins/import', pie('bound-app', { 'index.html': 'hello' }))).json.instance;
            const { json } = await bound.api('POST', DOMAINS, { hostname: `${name}.${ZONE}`, instanceId: app.id });
            await setRecord(ZONE, name, [`_stoa-challenge.${name} TXT "${json.verification.value}"`, `${name} A 127.0.0.1`]);
            assert.equal((await bound.api('POST', `${DOMAINS}/${json.id}/verify`)).status, 200);
            const { certificate } = await until(async () => {
                const shown = (await bound.api('GET', `${DOMAINS}/${json.id}`)).json;
                return ['active', 'failed'].includes(shown.certificate.status) && shown;
            }, 'an end of the order');
            assert.ok(!bound.log().includes(key));
            return certificate;
        } finally {
            await strict.stop();
            await bound.stop();
        }
    };
    assert.equal((await certificateOf({ acme_eab_kid: kid, acme_eab_key: key }, 'bound')).status, 'active');
    const without = await certificateOf({}, 'unbound');
    assert.deepEqual([without.status, without.errorCode], ['failed', 'acme_account_needed']);
    assert.match(without.error, /acme_eab_kid/);
    const wrong = await certificateOf({ acme_eab_kid: kid, acme_eab_key: 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo' }, 'wrongly');
    assert.deepEqual([wrong.status, wrong.errorCode], ['failed', 'acme_refused']);
});
