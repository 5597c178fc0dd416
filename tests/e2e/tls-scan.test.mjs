// What scanners of the field say of the TLS listener: sslscan each time, testssl.sh with --full (it takes minutes). Nothing worse than
// what its A grade allows; the certificate is the test's own, so its chain and name are not what is looked at.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { startNamed } from '../harness/names.mjs';
import { temporaryDirectory } from '../harness/server.mjs';

const run = promisify(execFile);
let server;
before(async () => { server = await startNamed({ settings: { handshakes_per_address: 1000, connections_per_address: 1000 } }); });
after(() => server?.stop());

const attributes = (xml, element) => [...xml.matchAll(new RegExp(`<${element}\\b([^>]*?)/?>`, 'g'))].map(([, text]) => Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value])));

test('sslscan: versions, suites and groups of today only', async () => {
    const { stdout } = await run('sslscan', ['--no-colour', '--xml=-', '--sni-name=apps.test', `127.0.0.1:${server.tlsPort}`], { maxBuffer: 1 << 22 });
    const versions = attributes(stdout, 'protocol').filter((p) => p.enabled === '1').map((p) => `${p.type} ${p.version}`);
    assert.deepEqual(versions.sort(), ['tls 1.2', 'tls 1.3']);
    const ciphers = attributes(stdout, 'cipher');
    assert.ok(ciphers.length >= 5, stdout);
    for (const { cipher, bits, strength, sslversion } of ciphers) {
        assert.match(cipher, /^(TLS_(AES_(128|256)_GCM|CHACHA20_POLY1305)_SHA\d+|ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM-SHA\d+|CHACHA20-POLY1305))$/, `${sslversion} ${cipher}`);
        assert.ok(Number(bits) >= 128 && ['strong', 'acceptable'].includes(strength), `${cipher}: ${bits} bits, ${strength}`);
    }
    assert.deepEqual(attributes(stdout, 'renegotiation').map((r) => r.supported).filter((s) => s === '1' && !/secure="1"/.test(stdout)), []);
    for (const c of attributes(stdout, 'compression')) assert.equal(c.supported, '0', 'CRIME');
    for (const leak of attributes(stdout, 'heartbleed')) assert.equal(leak.vulnerable, '0');
    for (const { name, bits } of attributes(stdout, 'group')) assert.ok(Number(bits) >= 112, `group ${name}: ${bits} bits`);
    for (const f of attributes(stdout, 'fallback')) assert.equal(f.supported, '1', 'TLS_FALLBACK_SCSV (RFC 7507)');
});

test('testssl.sh: nothing worse than its A grade', { skip: process.env.STOA_FULL !== '1' && 'only with --full: it takes minutes' }, async () => {
    const file = path.join(temporaryDirectory(), 'testssl.json');
    // its exit status counts findings, the test's own certificate among them
    await run('testssl', ['--quiet', '--color', '0', '--warnings', 'off', '--ip', '127.0.0.1', '--jsonfile', file, `apps.test:${server.tlsPort}`], { timeout: 800000, maxBuffer: 1 << 24 }).catch(() => {});
    const findings = JSON.parse(fs.readFileSync(file, 'utf8'));
    assert.ok(findings.length > 50, 'it has looked');
    // a certificate that nobody signed, and that has no revocation, is the test's
    const bad = findings.filter((f) => ['MEDIUM', 'HIGH', 'CRITICAL'].includes(f.severity) && !/^(cert|DNS_CAA|OCSP|HSTS|chain|overall_grade|grade_cap|security_headers|ipv4)/i.test(f.id));
    assert.deepEqual(bad.map((f) => `${f.id}: ${f.severity} ${f.finding}`), []);
});
