// Ways to come by somebody else's name, each tried (security-rules.md 13, 14, 23). Beside these: domains.test.mjs (a transfer and what must come
// before it, a removed name's quarantine, two servers that verify at once), domains-browser.test.mjs (the former tenant's service worker in
// Chromium), certificates.test.mjs (two servers: the token is answered by the one that did not order).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { claim, DOMAINS, show, startWithDomains, twoOwners, verify } from '../harness/domains.mjs';
import { pie } from '../harness/pie.mjs';
import { request, until } from '../harness/server.mjs';

let server, mine, theirs;

before(async () => {
    server = await startWithDomains();
    [mine, theirs] = await twoOwners(server);
});
after(() => server?.stop());

const txt = ({ verification }) => `${verification.name}. TXT "${verification.value}"`;
const visit = (host, where = '/', headers = {}) => request(new URL(where, server.apps), { headers: { host, ...headers } });
const titled = async (host) => /<title>(.*)<\/title>/.exec((await visit(host)).text)?.[1];
const served = (host, title) => until(async () => (await titled(host)) === title, `${title} at ${host}`, 2000);
const gone = (host) => until(async () => (await visit(host)).json?.code === 'unknown_host', `${host} to be nobody's`, 2000);
const proven = async (who, hostname, more = [], instance) => {
    const domain = await claim(who, hostname, instance);
    await server.setRecords(hostname, [txt(domain), `${hostname}. A 127.0.0.1`, ...more]);
    assert.equal((await verify(who, domain)).status, 200);
    return domain;
};

test('a dangling CNAME: the target of an app that is gone leads to nobody else', async () => {
    const name = 'dangling.dangling-shop.com';
    const app = await mine.deploy('leaving');
    const domain = await claim(mine, name, app.instance);
    const target = domain.routing.expected.find((r) => r.type === 'CNAME').value;
    await server.setRecords(name, [`${name}. CNAME ${target}.`]); // and no TXT: it was tidied away
    assert.equal((await mine.api('DELETE', `/api/plugins/${app.plugin.id}?data=delete&force=true`)).status, 200);

    const other = await claim(theirs, name);
    assert.notEqual(other.routing.expected.find((r) => r.type === 'CNAME').value, target, 'a target is issued once');
    assert.equal((await verify(theirs, other)).json.code, 'txt_not_found');
    for (const host of [name, target, `${app.instance.slug}.i.stoa-host.com`]) assert.equal((await visit(host)).status, 404, host);
    // nor does the same app's name bring the old host back
    const again = await mine.deploy('leaving');
    assert.notEqual(again.instance.slug, app.instance.slug);
    assert.notEqual((await claim(mine, name, again.instance)).routing.expected.find((r) => r.type === 'CNAME').value, target);
});

test('a wildcard CNAME: names below it are still to be proven', async () => {
    const name = 'anything.wild-shop.com';
    await server.setRecords('wild-shop.com', [`*.wild-shop.com. CNAME ${mine.instance.slug}.i.stoa-host.com.`]);
    const other = await claim(theirs, name);
    const answer = await verify(theirs, other);
    assert.equal(answer.status, 422, answer.text);
    assert.equal((await visit(name)).status, 404);
});

test('a stale TXT record proves nothing for a later claim, whoever makes it', async () => {
    const name = 'stale.stale-shop.com';
    const first = await proven(mine, name);
    await served(name, 'mine');
    assert.equal((await mine.api('DELETE', `${DOMAINS}/${first.id}`)).status, 200);
    await gone(name);
    const again = await claim(mine, name); // the record of the first claim is still there
    assert.notEqual(again.verification.value, first.verification.value);
    assert.equal((await verify(mine, again)).json.code, 'txt_mismatch');
    const other = await claim(theirs, name);
    assert.notEqual((await verify(theirs, other)).status, 200);
    assert.equal((await visit(name)).status, 404);
});

test('another project\'s TXT value proves nothing', async () => {
    const name = 'copied.copied-shop.com';
    const [own, other] = [await claim(mine, name), await claim(theirs, name)];
    await server.setRecords(name, [txt(own), `${name}. A 127.0.0.1`]);
    const answer = await verify(theirs, other);
    assert.equal(answer.json.code, 'txt_mismatch', answer.text);
    assert.equal((await show(theirs, other)).status, 'pending');
    // nor does the value for another name of one's own
    const elsewhere = await claim(theirs, 'elsewhere.copied-shop.com');
    await server.setRecords(name, [`${other.verification.name}. TXT "${elsewhere.verification.value}"`]);
    assert.equal((await verify(theirs, other)).json.code, 'txt_mismatch');
    // a claim of another project is not to be verified for it
    assert.equal((await theirs.api('POST', `${DOMAINS}/${own.id}/verify`)).status, 404);
});

test('a deleted and re-added app does not bring its names back, and nobody else has them for a week', async () => {
    const name = 'readded.readded-shop.com';
    const app = await mine.deploy('again');
    const first = await proven(mine, name, [], app.instance);
    await served(name, 'again');
    assert.equal((await mine.api('DELETE', `/api/plugins/${app.plugin.id}?data=delete&force=true`)).status, 200);
    await gone(name);
    const back = await mine.deploy('again'); // the same name, the same bytes; the record stands
    assert.notEqual(back.instance.slug, app.instance.slug);
    assert.equal((await visit(name)).status, 404);
    const rival = await claim(theirs, name);
    await server.setRecords(name, [txt(first), txt(rival), `${name}. A 127.0.0.1`]);
    assert.equal((await verify(theirs, rival)).json.code, 'domain_held');
    const second = await claim(mine, name, back.instance);
    assert.equal((await verify(mine, second)).status, 422, 'the first claim\'s record');
    await server.setRecords(name, [txt(second), `${name}. A 127.0.0.1`]);
    assert.equal((await verify(mine, second)).status, 200);
    await served(name, 'again');
});

test('a deleted instance\'s names end with it', async () => {
    const name = 'instance.instance-shop.com';
    const made = await mine.api('POST', `/api/plugins/${mine.plugin.id}/instances`);
    assert.ok(made.status < 300, made.text);
    const domain = await proven(mine, name, [], made.json);
    await served(name, 'mine');
    let deleted = await mine.api('DELETE', `/api/plugins/${mine.plugin.id}/instances/${made.json.id}`);
    if (deleted.status === 409) deleted = await mine.api('DELETE', `/api/plugins/${mine.plugin.id}/instances/${made.json.id}?force=true&data=delete`);
    assert.equal(deleted.status, 200, deleted.text);
    await gone(name);
    assert.equal((await show(mine, domain)).status, 'removed');
});

test('verifies that race: exactly one holder, whoever wins', async () => {
    for (let n = 0; n < 2; ++n) {
        const name = `app.race${n}-shop.com`;
        const both = [[mine, await claim(mine, name)], [theirs, await claim(theirs, name)]];
        await server.setRecords(name, [...both.map(([, d]) => txt(d)), `${name}. A 127.0.0.1`]);
        const answers = await Promise.all([0, 1, 0, 1, 0, 1].map((i) => verify(...both[i]).then((a) => [i, a])));
        const winners = new Set(answers.filter(([, a]) => a.status === 200).map(([i]) => i));
        assert.equal(winners.size, 1, answers.map(([i, a]) => `${i}: ${a.status} ${a.text}`).join('\n'));
        for (const [i, a] of answers) if (!winners.has(i)) assert.ok(a.status === 409 || a.status === 429, a.text);
        assert.equal(String(server.database.query(`select count(*) from domains where hostname = '${name}' and status in ('verified', 'failing')`)).trim(), '1');
        await served(name, winners.has(0) ? 'mine' : 'theirs');
    }
});

test('the constraint stands in the database, whatever the code believes', () => {
    const held = `select id from domains where hostname = 'app.race0-shop.com' and status not in ('verified', 'failing') limit 1`;
    assert.throws(() => server.database.query(`update domains set status = 'verified' where id = (${held})`), /duplicate key|unique|constraint/);
    assert.throws(() => server.database.query(`update domains set token = 'another' where id = (${held})`));
});

test('a challenge path is no tenant\'s: not by a file, an SPA, a redirect or an action', async () => {
    for (const file of ['.well-known/acme-challenge/token-of-mine', '.well-known/pki-validation/file.txt', '.well-known/acme-challenge/deep/er']) {
        const refused = await mine.api('POST', '/api/plugins/import', pie('challenger', { 'index.html': 'x', [file]: 'mine' }));
        assert.equal(refused.status, 422, file);
    }
    const app = await mine.deploy('single-page', { _redirects: '/.well-known/* https://evil.example/:splat 302\n/* /index.html 200', _headers: '/.well-known/*\n  X-Mine: yes' });
    const name = 'challenge.challenge-shop.com';
    await proven(mine, name, [], app.instance);
    await served(name, 'single-page');
    assert.equal((await visit(name, '/anything/else')).status, 200); // it does answer everywhere else
    for (const where of ['/.well-known/acme-challenge/x', '/.well-known/acme-challenge/', '/.well-known/acme-challenge/a/b', '/.well-known/pki-validation/file.txt', '/.well-known/acme-challenge/x?y=z']) {
        for (const headers of [{}, { accept: 'text/html', 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate' }, { 'service-worker': 'script' }]) {
            const answer = await visit(name, where, headers);
            assert.equal(answer.status, 404, where);
            assert.equal(answer.headers['x-mine'], undefined);
            assert.equal(answer.headers.location, undefined);
            assert.doesNotMatch(answer.text, /single-page/);
        }
    }
});

test('a former tenant\'s service worker is told to go by every path, and its storage with it', async () => {
    const name = 'worker.worker-shop.com';
    const app = await mine.deploy('worker-app', { 'sw.js': 'self.theirs = 1;', 'deep/sw.js': 'self.theirs = 2;' });
    const first = await proven(mine, name, [], app.instance);
    await served(name, 'worker-app');
    assert.equal((await visit(name, '/sw.js', { 'service-worker': 'script' })).text, 'self.theirs = 1;');
    const rival = await claim(theirs, name);
    await server.setRecords(name, [txt(rival), `${name}. A 127.0.0.1`]);
    assert.equal((await verify(theirs, rival)).json.code, 'domain_held');
    await server.database.query(`update domains set missed_at = now() - interval '61 minutes' where id = '${first.id}'`);
    assert.equal((await verify(theirs, rival)).status, 200);
    await served(name, 'theirs');
    for (const where of ['/sw.js', '/deep/sw.js', '/', '/a/b/worker.js']) {
        const script = await visit(name, where, { 'service-worker': 'script' });
        assert.deepEqual([script.status, script.headers['content-type'].split(';')[0], script.headers['cache-control']], [200, 'text/javascript', 'no-store'], where);
        assert.match(script.text, /unregister\(\)/, where);
    }
    const page = await visit(name, '/', { 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate' });
    assert.match(page.headers['clear-site-data'], /"storage"/);
});

test('files below /files/ are the app\'s own, on its host and its domain; links stay links', async () => {
    const app = await mine.deploy('filed', { 'files/file_x.txt': 'the app\'s', 'files/file_01/y.txt': 'also', 'files/readme.txt': 'and this' });
    const name = 'files.files-shop.com';
    await proven(mine, name, [], app.instance);
    await served(name, 'filed');
    for (const host of [name, `${app.instance.slug}.i.stoa-host.com`]) {
        for (const [where, text] of [['/files/file_x.txt', 'the app\'s'], ['/files/file_01/y.txt', 'also'], ['/files/readme.txt', 'and this']]) {
            const answer = await visit(host, where);
            assert.deepEqual([answer.status, answer.text], [200, text], `${host}${where}`);
        }
        const link = await visit(host, `/files/file_${'0'.repeat(26)}/a.png?exp=1&sig=x&d=inline`);
        assert.deepEqual([link.status, link.json.code], [403, 'link_invalid'], host);
    }
});
