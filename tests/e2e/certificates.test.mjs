// Certificates of custom domains: a real certificate authority (Pebble), real name servers, and clients that trust nothing but its root.
// Times pass by UPDATE in the server's database.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import https from 'node:https';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { portOf, preparePebble } from '../harness/acme.mjs';
import { startDns } from '../harness/dns.mjs';
import { lookup, openTls } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { request, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const DOMAINS = '/api/public-apps/domains';
const ZONE = 'customer-one.com';
const records = new Map();
let dns, ca, server, other, instance, dnsServer, tlsPort;

const settingsOf = () => ({
    apps_origin: 'http://apps.stoa-host.com', console_origin: 'http://127.0.0.1:0', insecure_origins: 'accepted',
    instance_domain: 'i.stoa-host.com', domain_addresses: '127.0.0.1',
    dns_root_hints: dns.rootHints, dns_trust_anchor: dns.trustAnchor,
});

before(async () => {
    [dns, ca] = await Promise.all([startDns(), preparePebble()]);
    dnsServer = (await dns.startForwarder()).replace('@', ':');
    server = await startServer({
        tls: ['*.i.stoa-host.com'],
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
async function domainOf(hostname, address = '127.0.0.1', more = []) {
    const zone = zoneOf(hostname);
    const label = hostname.slice(0, -zone.length - 1);
    const made = await server.api('POST', DOMAINS, { hostname, instanceId: instance.id });
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
    assert.equal(Number(sql('select count(*) from acme_challenges')), 0);
});
