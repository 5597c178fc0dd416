// A server with name servers of its own, and names that owners have proven: what tests of custom domains begin with.
//
//     const server = await startWithDomains({ managedDb: true });
//     after(() => server.stop());
//     const domain = await server.domain('forms.customer-one.com', instance);
//     const { root } = await server.certify(domain);
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { portOf } from './acme.mjs';
import { startDns } from './dns.mjs';
import { openTls } from './names.mjs';
import { pie } from './pie.mjs';
import { startServer, temporaryDirectory, until } from './server.mjs';

export const DOMAINS = '/api/public-apps/domains';

/** A chain of the test's own: a root, an issuer and a leaf for `names`; PEM texts, and the folder they lie in. */
export function makeChain(names, { days = 30, key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] } = {}) {
    const folder = temporaryDirectory('chain');
    const at = (file) => path.join(folder, file);
    const run = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'ignore'], cwd: folder });
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    run('req', '-x509', ...ec, '-nodes', '-keyout', at('root.key'), '-out', at('root.pem'), '-days', '3650', '-subj', '/CN=Test Root');
    run('req', ...ec, '-nodes', '-keyout', at('mid.key'), '-out', at('mid.csr'), '-subj', '/CN=Test Issuer');
    fs.writeFileSync(at('mid.ext'), 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign');
    run('x509', '-req', '-in', at('mid.csr'), '-CA', at('root.pem'), '-CAkey', at('root.key'), '-CAcreateserial', '-out', at('mid.pem'), '-days', '365', '-extfile', at('mid.ext'));
    run('req', ...key, '-nodes', '-keyout', at('leaf.key'), '-out', at('leaf.csr'), '-subj', '/CN=leaf');
    fs.writeFileSync(at('leaf.ext'), `subjectAltName=${names.map((n) => `DNS:${n}`).join(',')}\nextendedKeyUsage=serverAuth`);
    run('x509', '-req', '-in', at('leaf.csr'), '-CA', at('mid.pem'), '-CAkey', at('mid.key'), '-CAcreateserial', '-out', at('leaf.pem'), '-days', String(days), '-extfile', at('leaf.ext'));
    const read = (file) => fs.readFileSync(at(file), 'utf8');
    return { folder, root: read('root.pem'), issuer: read('mid.pem'), leaf: read('leaf.pem'), key: read('leaf.key'), chain: read('leaf.pem') + read('mid.pem') };
}

/** What a server is told, so that it asks these name servers and takes names that lead to this machine. */
export const domainSettings = (dns) => ({
    apps_origin: 'http://apps.stoa-host.com', console_origin: 'http://127.0.0.1:0', insecure_origins: 'accepted',
    instance_domain: 'i.stoa-host.com', domain_addresses: '127.0.0.1', dns_root_hints: dns.rootHints, dns_trust_anchor: dns.trustAnchor,
});

/**
 * startServer() with name servers, a TLS listener and these members: `dns`, `tlsPort`,
 * setRecords(hostname, lines): replaces the lines of one name and leaves its zone's others; makes the zone;
 * domain(hostname, instance, {token}): a name proven and leading here;
 * certify(domain, {names, token}): gives it a chain of makeChain's, and waits until that is served.
 */
export async function startWithDomains({ settings = {}, ...options } = {}) {
    const dns = await startDns();
    const server = await startServer({ tls: ['*.i.stoa-host.com'], ...options, settings: { ...domainSettings(dns), ...settings } }).catch(async (error) => {
        await dns.stop();
        throw error;
    });
    const records = new Map();
    const tlsPort = portOf(server.tls);
    const stopServer = server.stop;

    async function setRecords(hostname, lines) {
        const zone = hostname.split('.').slice(-2).join('.');
        const held = records.get(zone) ?? new Map();
        records.set(zone, held.set(hostname, lines));
        if (!dns.kinds.has(zone)) await dns.addZone(zone, 'unsigned');
        await dns.setRecords(zone, [...held.values()].flat());
    }

    async function domain(hostname, instance, { token = server.token } = {}) {
        const made = await server.api('POST', DOMAINS, { hostname, instanceId: instance.id }, { token });
        assert.equal(made.status, 201, made.text);
        const { verification } = made.json;
        await setRecords(made.json.hostname, [`${verification.name}. TXT "${verification.value}"`, `${made.json.hostname}. A 127.0.0.1`]);
        const verified = await server.api('POST', `${DOMAINS}/${made.json.id}/verify`, undefined, { token });
        assert.equal(verified.status, 200, verified.text);
        return verified.json;
    }

    async function certify({ id, hostname }, { names = [hostname], token = server.token } = {}) {
        const made = makeChain(names);
        const put = await server.api('PUT', `${DOMAINS}/${id}/certificate`, { chainPem: made.chain, keyPem: made.key }, { token });
        assert.equal(put.status, 200, put.text);
        await until(() => openTls(tlsPort, hostname, { ca: made.root, rejectUnauthorized: true }).then((s) => s.destroy(), () => false), `the certificate of ${hostname}`, 5000);
        return made;
    }

    const stop = () => stopServer().finally(() => dns.stop());
    return Object.assign(server, { dns, tlsPort, setRecords, domain, certify, stop });
}

/** Two projects with an app each, whose page has the title `mine` or `theirs`: [mine, theirs], each `{ api, token, deploy, instance, plugin }`. */
export async function twoOwners(server) {
    const project = await server.api('POST', '/api/projects', { displayName: 'Theirs' });
    return [await owner(server, server.token, 'mine'), await owner(server, project.json.token, 'theirs')];
}
async function owner(server, token, name) {
    const api = (method, where, body, more) => server.api(method, where, body, { token, ...more });
    const deploy = async (app, files = {}) => {
        const made = await api('POST', '/api/plugins/import', pie(app, { 'index.html': `<title>${app}</title>`, ...files }));
        assert.ok(made.status < 300, made.text);
        return made.json;
    };
    const { instance, plugin } = await deploy(name);
    return { api, token, deploy, instance, plugin };
}
/** An owner claims a name for an app of theirs, has it looked at, reads it. */
export async function claim(who, hostname, instance = who.instance) {
    const made = await who.api('POST', DOMAINS, { hostname, instanceId: instance.id });
    assert.equal(made.status, 201, made.text);
    return made.json;
}
export const verify = (who, domain) => who.api('POST', `${DOMAINS}/${domain.id}/verify`);
export const show = async (who, domain) => (await who.api('GET', `${DOMAINS}/${domain.id}`)).json;
