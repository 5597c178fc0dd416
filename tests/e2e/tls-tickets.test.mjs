// Session tickets on custom domains: resumed under the name and the certificate they were made with, and for as long as their key lives.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { DOMAINS, startWithDomains } from '../harness/domains.mjs';
import { openTls } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { temporaryDirectory, until } from '../harness/server.mjs';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'];
const INTERVAL = 6000;
const [ONE, TWO, INSTANCE] = ['one.customer-one.com', 'two.customer-one.com', 'x.i.stoa-host.com'];
let server, one, two;

before(async () => {
    server = await startWithDomains({ settings: { ticket_interval: `${INTERVAL / 1000}s` } });
    const { instance } = (await server.api('POST', '/api/plugins/import', pie('resumed', { 'index.html': 'hello' }))).json;
    one = await server.domain(ONE, instance);
    two = await server.domain(TWO, instance);
    const both = await server.certify(one, { names: [ONE, TWO] });
    // the very same certificate for the other name
    assert.equal((await server.api('PUT', `${DOMAINS}/${two.id}/certificate`, { chainPem: both.chain, keyPem: both.key })).status, 200);
    await until(() => openTls(server.tlsPort, TWO).then((s) => s.destroy(), () => false), 'both names', 5000);
});
after(() => server?.stop());

// A connection under `name`: whether `session` was resumed, and one to resume next.
async function connect(name, version, session) {
    const socket = await openTls(server.tlsPort, name, { minVersion: version, maxVersion: version, session });
    const next = version === 'TLSv1.3' ? await new Promise((resolve) => { socket.once('session', resolve); }) : socket.getSession();
    const resumed = socket.isSessionReused();
    socket.destroy();
    return { resumed, session: next };
}
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

for (const version of VERSIONS) {
    test(`a ticket is its name's, also where one certificate names both (${version})`, async () => {
        const { session } = await connect(ONE, version);
        assert.equal((await connect(ONE, version, session)).resumed, true);
        assert.equal((await connect(TWO, version, session)).resumed, false);
        assert.equal((await connect(INSTANCE, version, session)).resumed, false);
        const other = await connect(INSTANCE, version);
        assert.equal((await connect(INSTANCE, version, other.session)).resumed, true);
        assert.equal((await connect(ONE, version, other.session)).resumed, false);
        await assert.rejects(connect('nobody.customer-one.com', version, session), { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
    });
}

// By another client: Node's, since its updates of 2026, offers no session under a name of other letters.
test('a name in capitals is the same name', () => {
    const file = path.join(temporaryDirectory('session'), 'session.pem');
    for (const version of ['-tls1_2', '-tls1_3']) {
        const connected = (name, ...options) => spawnSync('sh', ['-c', 'sleep 0.5 | openssl s_client "$@"', '-', '-connect', `127.0.0.1:${server.tlsPort}`, '-servername', name, version, ...options],
            { encoding: 'utf8' }).stdout;
        assert.match(connected(ONE, '-sess_out', file), /^New, /m);
        assert.match(connected(ONE.toUpperCase(), '-sess_in', file), /^Reused, /m, version);
        assert.match(connected(TWO, '-sess_in', file), /^New, /m, version);
    }
});

test('keys turn: a ticket opens for one to two intervals, and no longer', async () => {
    const began = Date.now();
    const held = await Promise.all(VERSIONS.map(async (version) => [version, (await connect(ONE, version)).session]));
    for (const [version, session] of held) assert.equal((await connect(ONE, version, session)).resumed, true, version);
    await sleep(INTERVAL - 500 - (Date.now() - began)); // its key is the present or the former one
    for (const [version, session] of held) assert.equal((await connect(ONE, version, session)).resumed, true, version);
    await sleep(2 * INTERVAL + 200 - (Date.now() - began));
    for (const [version, session] of held) {
        const late = await connect(ONE, version, session);
        assert.equal(late.resumed, false, version);
        assert.equal((await connect(ONE, version, late.session)).resumed, true, version); // by a new one
    }
});

test('with its certificate a name\'s tickets go, too', async () => {
    const held = await Promise.all(VERSIONS.map(async (version) => [version, (await connect(TWO, version)).session]));
    await server.certify(two);
    for (const [version, session] of held) assert.equal((await connect(TWO, version, session)).resumed, false, version);
    assert.equal((await server.api('DELETE', `${DOMAINS}/${two.id}`)).status, 200);
    await until(() => openTls(server.tlsPort, TWO).then((s) => { s.destroy(); return false; }, () => true), 'the name to be gone', 2000);
    for (const [version, session] of held) await assert.rejects(connect(TWO, version, session), { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' }, version);
});
