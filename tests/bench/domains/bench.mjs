// What 100,000 custom domains cost: memory without and with certificates, the moment until a change is seen, a handshake with a name that is
// not parsed yet and with one that is. Alone, on a build without sanitizers: STOA_BUILD=build/release node tests/bench/domains/bench.mjs
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { DOMAINS, makeChain } from '../../harness/domains.mjs';
import { openTls } from '../../harness/names.mjs';
import { pie } from '../../harness/pie.mjs';
import { startServer, until } from '../../harness/server.mjs';

const MANY = 100000;
const PARSED = Number(process.env.PARSED || 400); // names that are met, each with a key of its own
const LEAF = 1150; // bytes: an ECDSA leaf of Let's Encrypt's, with its two timestamps of certificate logs
const server = await startServer({
    tls: ['*.i.stoa-host.com'],
    settings: {
        apps_origin: 'http://apps.stoa-host.com', console_origin: 'http://127.0.0.1:0', insecure_origins: 'accepted', instance_domain: 'i.stoa-host.com',
        domain_addresses: '127.0.0.1', handshakes_per_address: 100000, threads: 1,
    },
});
const tlsPort = Number(new URL(server.tls).port);
const sql = (text) => server.database.query(text);
const resident = () => Number(/^RssAnon:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${server.serverPid}/status`, 'latin1'))[1]) / 1024;
const say = (what, value) => process.stdout.write(`${what.padEnd(62)} ${value}\n`);
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

const visit = (host) => new Promise((resolve, reject) => {
    const url = new URL(server.apps);
    http.get({ host: url.hostname, port: url.port, agent: false, headers: { host } }, (answer) => {
        answer.resume();
        resolve({ status: answer.statusCode, location: answer.headers.location });
    }).on('error', reject);
});
const handshake = (name) => openTls(tlsPort, name).then((socket) => socket.destroy());
// Milliseconds of all the server's threads.
const processor = () => fs.readdirSync(`/proc/${server.serverPid}/task`)
    .reduce((sum, thread) => sum + Number(fs.readFileSync(`/proc/${server.serverPid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]), 0) / 1e6;
async function handshakes() {
    const before = processor();
    for (let n = 1; n < PARSED; ++n) await handshake(nameOf(n));
    return (processor() - before) / (PARSED - 1);
}
const addNames = (from, to, instance) => sql(`insert into domains (id, project_id, instance_id, hostname, unicode, registrable, token, status, since, verified_at)
    select 'dom_' || lpad(n::text, 26, '0'), i.project_id, i.id, 'forms-' || n || '.customer-' || n || '.com', 'forms', 'customer-' || n || '.com', md5(n::text), 'verified', now(), now()
    from generate_series(${from}, ${to}) n, instances i where i.id = '${instance}'`);
const nameOf = (n) => `forms-${n}.customer-${n}.com`;
const readAgain = () => sql("select pg_notify('stoa_domains', '')");
// Until what the last change made is known, and the memory of the table before it was given back.
async function settled(name, status) {
    await until(async () => (await visit(name)).status === status, `${name} to be ${status}`, 60000);
    await new Promise((done) => { setTimeout(done, 1500); });
}

try {
    const made = await server.api('POST', '/api/plugins/import', pie('many', { 'index.html': 'hello' }));
    const { instance } = made.json;
    addNames(1, PARSED, instance.id);
    readAgain();
    await settled(nameOf(PARSED), 200);
    const chains = [];
    for (let n = 1; n <= PARSED; ++n) {
        if (n % 20 === 1) chains.push(makeChain(Array.from({ length: 20 }, (_, i) => nameOf(n + i))));
        const { chain, key } = chains[chains.length - 1];
        const put = await server.api('PUT', `${DOMAINS}/${nameOf(n)}/certificate`, { chainPem: chain, keyPem: key });
        assert.equal(put.status, 200, put.text);
    }
    await until(() => handshake(nameOf(PARSED)).then(() => true, () => false), 'the last one', 10000);
    const before = resident();
    const first = await handshakes();
    say('a name parsed', `${((resident() - before) * 1024 / (PARSED - 1)).toFixed(1)} KB (with what ${PARSED - 1} connections left behind)`);
    const again = await handshakes();
    say('a handshake\'s CPU with a name parsed anew, and with one that was', `${first.toFixed(2)} and ${again.toFixed(2)} ms`);

    const empty = resident();
    addNames(PARSED + 1, MANY, instance.id);
    readAgain();
    await settled(nameOf(MANY), 200);
    const named = resident();
    say(`${MANY} names without certificates`, `${(named - empty).toFixed(0)} MB`);

    const shape = `select project_id, chain, key, not_before, not_after from domain_certificates where leaf is not null limit 1`;
    sql('alter table domain_certificates disable trigger domain_certificates_made'); // told once, below
    sql(`insert into domain_certificates (domain_id, project_id, leaf, chain, key, not_before, not_after)
        select d.id, c.project_id, decode(repeat('30', ${LEAF}), 'hex'), c.chain, c.key, c.not_before, c.not_after from domains d, (${shape}) c
        where not exists (select from domain_certificates x where x.domain_id = d.id)`);
    sql('alter table domain_certificates enable trigger domain_certificates_made');
    readAgain();
    await settled(nameOf(MANY), 308); // plain HTTP leads to the certificate
    say(`${MANY} names with certificates (leaf of ${LEAF} bytes)`, `${(resident() - empty).toFixed(0)} MB, ${((resident() - empty) * 1024 / MANY).toFixed(2)} KB a name`);
    say('a row of a certificate in PostgreSQL', `${Number(sql('select avg(pg_column_size(c.*))::int from domain_certificates c'))} bytes`);

    const seen = [];
    for (let n = 0; n < 20; ++n) {
        const name = nameOf(MANY - n);
        const began = Date.now();
        sql(`update domains set redirect_to = '${nameOf(MANY - n - 50)}' where hostname = '${name}'`);
        await until(async () => (await visit(name)).location?.includes(nameOf(MANY - n - 50)), 'the change', 5000);
        seen.push(Date.now() - began);
    }
    say('a change of one of them is seen', `${median(seen)} ms after it began, at most ${Math.max(...seen)} ms`);
} catch (error) {
    process.stdout.write(server.log().slice(-3000));
    throw error;
} finally {
    await server.stop();
}
