// Custom domains against name servers of the test's own: what an owner is shown, what proves a name and what does not, and what other
// projects try. Times pass by UPDATE in the server's database.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { startDns } from '../harness/dns.mjs';
import { claim, DOMAINS, domainSettings, show, twoOwners, verify } from '../harness/domains.mjs';
import { pie } from '../harness/pie.mjs';
import { request, startServer, until } from '../harness/server.mjs';

const ADDRESS = '127.0.0.1';
const KEY = '5e'.repeat(32);
let dns, server, settings, mine, theirs;

before(async () => {
    dns = await startDns();
    settings = { ...domainSettings(dns), reserved_names: 'taken-name.com' };
    server = await startServer({ settings, env: { STOA_MASTER_KEY: KEY } });
    [mine, theirs] = await twoOwners(server);
});
after(async () => {
    await server?.stop();
    await dns?.stop();
});

const txt = (domain, zone) => `${domain.verification.name.slice(0, -zone.length - 1)} TXT "${domain.verification.value}"`;
const sql = (text) => server.database.query(text);

// A visitor's request to the server by a name of its own.
const visit = (host, where = '/', apps = server.apps) => new Promise((resolve, reject) => {
    const url = new URL(apps);
    const asked = http.request({ host: url.hostname, port: url.port, path: where, headers: { host }, agent: false }, (answer) => {
        let text = '';
        answer.on('data', (part) => { text += part; }).on('end', () => resolve({ status: answer.statusCode, text, headers: answer.headers }));
    });
    asked.on('error', reject).end();
});

test('a name is claimed, seen to be missing, wrong, right, and is served', async () => {
    const domain = await claim(mine, 'Forms.Customer-One.com');
    assert.equal(domain.hostname, 'forms.customer-one.com');
    assert.equal(domain.status, 'pending');
    assert.deepEqual(domain.certificate, { status: 'none' });
    assert.equal((await visit('forms.customer-one.com')).status, 404);

    const missing = await verify(mine, domain);
    assert.equal(missing.status, 422);
    assert.equal(missing.json.code, 'txt_not_found');
    assert.equal(missing.json.details.name, '_stoa-challenge.forms.customer-one.com');
    assert.equal(missing.json.details.expected, domain.verification.value);
    assert.deepEqual(missing.json.details.seen, []);
    assert.match(missing.json.details.resolver, /root/);

    await dns.setRecords('customer-one.com', [`_stoa-challenge.forms TXT "\\"${domain.verification.value}\\""`]);
    const quoted = await verify(mine, domain);
    assert.equal(quoted.json.code, 'txt_mismatch');
    assert.match(quoted.json.message, /quotation marks/);
    assert.equal(quoted.json.details.seen.length, 1);

    await dns.setRecords('customer-one.com', [`_stoa-challenge.forms.customer-one.com TXT "${domain.verification.value}"`]);
    const twice = await verify(mine, domain);
    assert.equal(twice.json.code, 'txt_not_found');
    assert.match(twice.json.message, /adds the zone by itself/);

    // split into two strings, beside others, behind a CNAME
    const { value } = domain.verification;
    const target = domain.routing.expected.find((r) => r.type === 'CNAME').value;
    assert.match(target, /^c-[a-z0-9]{26}\.i\.stoa-host\.com$/);
    await dns.setRecords('customer-one.com', ['_stoa-challenge.forms CNAME proofs', 'proofs TXT "v=spf1 -all"',
        `proofs TXT "${value.slice(0, 20)}" "${value.slice(20)}"`, `forms A ${ADDRESS}`]);
    const right = await verify(mine, domain);
    assert.equal(right.status, 200, right.text);
    assert.equal(right.json.status, 'verified');
    assert.equal(right.json.checks[0].outcome, 'verified');
    assert.equal(right.json.checks[0].secure, true);
    assert.equal(right.json.routing.ok, true, JSON.stringify(right.json.routing));
    assert.deepEqual(right.json.routing.seen.map((r) => r.value), ['redacted']); // a private address is never shown

    const page = await until(async () => {
        const answer = await visit('forms.customer-one.com');
        return answer.status === 200 && answer;
    }, 'the app under its name', 1000);
    assert.match(page.text, /<title>mine</);
    assert.match((await visit('FORMS.customer-one.com.:80')).text, /<title>mine</);
    assert.equal((await visit('forms.customer-one.com', '/api/public-apps/self')).status, 200);
});

test('what ails a zone is told apart', async () => {
    for (const [zone, code, words] of [['bogus-shop.com', 'dnssec_bogus', /signatures do not hold/], ['servfail-shop.com', 'dns_error', /failure/],
        ['unsigned-shop.com', 'txt_not_found', /no TXT record/]]) {
        const domain = await claim(mine, `app.${zone}`);
        const answer = await verify(mine, domain);
        assert.equal(answer.json.code, code, answer.text);
        assert.match(answer.json.message, words);
        assert.equal((await show(mine, domain)).status, 'pending');
    }
});

test('servers that never answer hold up nobody else', { timeout: 120000 }, async () => {
    const domain = await claim(mine, 'app.silent-shop.com');
    const other = await claim(theirs, 'app.unsigned-shop.com');
    const began = Date.now();
    const silent = verify(mine, domain);
    assert.equal((await verify(theirs, other)).json.code, 'txt_not_found');
    assert.ok(Date.now() - began < 10000);
    const answer = await silent;
    assert.equal(answer.status, 422);
    assert.equal(answer.json.code, 'dns_error', answer.text);
    assert.ok(Date.now() - began < 25000, `${Date.now() - began} ms`);
    const { nextCheckAt } = await show(mine, domain);
    assert.ok(Date.parse(nextCheckAt) - Date.now() > 5 * 60e3, nextCheckAt);
});

test('names nobody may have are refused with a reason', async () => {
    for (const hostname of ['192.0.2.1', '[::1]', 'localhost', 'com', 'co.uk', '*.customer-one.com', 'x.test', 'apps.stoa-host.com', 'stoa-host.com',
        'a.b.i.stoa-host.com', 'a.taken-name.com', `${'a'.repeat(64)}.customer-one.com`, 'xn--a.customer-one.com', '', 'a b.com']) {
        const answer = await mine.api('POST', DOMAINS, { hostname, instanceId: mine.instance.id });
        assert.equal(answer.status, 422, `${hostname}: ${answer.text}`);
        assert.equal(answer.json.code, 'invalid_hostname', hostname);
        assert.ok(answer.json.message.length > 20, answer.json.message);
    }
    const unknown = await mine.api('POST', DOMAINS, { hostname: 'a.customer-one.com', instanceId: theirs.instance.id });
    assert.equal(unknown.status, 404);
});

test('another project sees and changes nothing', async () => {
    const domain = (await mine.api('GET', `${DOMAINS}?hostname=forms.customer-one.com`)).json.data[0];
    assert.equal(domain.status, 'verified');
    for (const [method, where, body] of [['GET', ''], ['GET', '/dns'], ['POST', '/verify'], ['PATCH', '', { httpsOnly: false }], ['DELETE', '']]) {
        const answer = await theirs.api(method, `${DOMAINS}/${domain.id}${where}`, body);
        assert.equal(answer.status, 404, `${method} ${where}: ${answer.text}`);
    }
    assert.ok((await theirs.api('GET', DOMAINS)).json.data.every((d) => d.id !== domain.id && d.instanceId === theirs.instance.id));
});

test('while its record stands a name is nobody else\'s; an hour without it, it is the one\'s who proves it', async () => {
    const zone = 'customer-two.com';
    const subscribed = await mine.api('POST', '/api/event-subscriptions', { url: 'https://hooks.customer-two.com/told', events: ['domain.transferred'] });
    assert.equal(subscribed.status, 201, subscribed.text);
    const first = await claim(mine, `shop.${zone}`);
    await dns.setRecords(zone, [txt(first, zone)]);
    assert.equal((await verify(mine, first)).status, 200);
    const second = await claim(theirs, `shop.${zone}`);
    await dns.setRecords(zone, [txt(first, zone), txt(second, zone)]);
    assert.equal((await verify(theirs, second)).json.code, 'domain_held');
    // TXT of another project, and one of an old claim, prove nothing
    assert.equal((await show(theirs, second)).status, 'pending');
    await dns.setRecords(zone, [txt(second, zone)]);
    assert.equal((await verify(theirs, second)).json.code, 'domain_held');
    assert.equal((await show(mine, first)).status, 'failing');
    const failing = (await mine.api('GET', `/api/public-apps/instances/${mine.instance.id}/events`)).json.data.find((e) => e.type === 'domain.failing');
    assert.deepEqual([failing?.data.hostname, failing?.data.before], [`shop.${zone}`, 'verified']);
    assert.match((await visit(`shop.${zone}`)).text, /<title>mine</); // still served
    await sql(`update domains set missed_at = now() - interval '61 minutes' where id = '${first.id}'`);
    assert.equal((await verify(theirs, second)).status, 200);
    await until(async () => /<title>theirs</.test((await visit(`shop.${zone}`)).text), 'the other app', 1000);
    assert.equal((await show(mine, first)).status, 'removed');
    assert.equal((await show(mine, first)).ended, 'transferred');
    // a former tenant's storage does not meet the new one
    const page = await new Promise((resolve) => {
        const url = new URL(server.apps);
        http.get({ host: url.hostname, port: url.port, path: '/', agent: false, headers: { host: `shop.${zone}`, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' } }, resolve);
    });
    page.resume();
    assert.ok(page.headers['clear-site-data'], JSON.stringify(page.headers));
    // the former holder's events say so
    const events = await mine.api('GET', `/api/public-apps/instances/${mine.instance.id}/events`);
    assert.ok(events.json.data.some((e) => e.type === 'domain.transferred' && e.data.hostname === `shop.${zone}` && e.runId === null), events.text);
    const waiting = (await mine.api('GET', `/api/event-subscriptions/${subscribed.json.id}`)).json.waiting;
    assert.equal(waiting, 1); // of three events, the one that was asked for; its receiver does not exist
    const again = await claim(mine, `shop.${zone}`);
    await dns.setRecords(zone, [txt(second, zone), txt(first, zone)]);
    assert.notEqual((await verify(mine, again)).status, 200); // a stale record
});

test('two that verify at once: one has it', async () => {
    const zone = 'raced-shop.com';
    await dns.addZone(zone, 'unsigned');
    const both = [[mine, await claim(mine, `app.${zone}`)], [theirs, await claim(theirs, `app.${zone}`)]];
    await dns.setRecords(zone, both.map(([, domain]) => txt(domain, zone)));
    const answers = await Promise.all(both.map(([who, domain]) => verify(who, domain)));
    assert.deepEqual(answers.map((a) => a.status).sort(), [200, 409], answers.map((a) => a.text).join('\n'));
});

test('the server verifies by itself, and sees what goes', async () => {
    const zone = 'patient-shop.com';
    await dns.addZone(zone, 'signed');
    const domain = await claim(mine, `app.${zone}`);
    await dns.setRecords(zone, [txt(domain, zone)]);
    let asked = 0;
    await until(async () => {
        // a look that was under way when the record came writes its own next time over ours
        if (Date.now() - asked > 5000) {
            await sql(`update domains set next_at = now() where id = '${domain.id}' and status = 'pending'`);
            asked = Date.now();
        }
        return (await show(mine, domain)).status === 'verified';
    }, 'the scheduler', 60000);
    const seen = await show(mine, domain);
    assert.equal(seen.checks[0].by, 'server');
    assert.ok(Date.parse(seen.nextCheckAt) - Date.now() > 20 * 3600e3);
    const pending = await mine.api('GET', `${DOMAINS}/${domain.hostname}`);
    assert.equal(pending.json.id, domain.id);
    const deleted = await mine.api('DELETE', `/api/plugins/${mine.plugin.id}`);
    assert.equal(deleted.json.code, 'has_domains', deleted.text);
    assert.ok(deleted.json.details.data.domains.includes(domain.hostname));
});

test('a removed name is not served, and nobody else\'s for a week', async () => {
    const zone = 'left-shop.com';
    await dns.addZone(zone, 'unsigned');
    const first = await claim(mine, `app.${zone}`);
    const second = await claim(theirs, `app.${zone}`);
    await dns.setRecords(zone, [txt(first, zone), txt(second, zone)]);
    assert.equal((await verify(mine, first)).status, 200);
    await until(async () => (await visit(`app.${zone}`)).status === 200, 'it is served', 1000);
    assert.equal((await mine.api('DELETE', `${DOMAINS}/${first.id}`)).json.status, 'removed');
    await until(async () => (await visit(`app.${zone}`)).status === 404, 'it is gone', 1000);
    const held = await verify(theirs, second);
    assert.equal(held.json.code, 'domain_held');
    assert.match(held.json.message, /until 20/);
});

test('a redirect, a move and HSTS take effect at once', async () => {
    const zone = 'moving-shop.com';
    await dns.addZone(zone, 'unsigned');
    const apex = await claim(mine, zone);
    const www = await claim(mine, `www.${zone}`);
    assert.ok(apex.routing.expected.every((r) => r.type !== 'CNAME')); // a zone's top takes none
    await dns.setRecords(zone, [txt(apex, zone), txt(www, zone)]);
    assert.equal((await verify(mine, apex)).status, 200);
    assert.equal((await verify(mine, www)).status, 200);
    const patched = await mine.api('PATCH', `${DOMAINS}/${www.id}`, { redirectTo: zone, hsts: { maxAge: 600 } });
    assert.equal(patched.json.redirectTo, zone, patched.text);
    assert.deepEqual(patched.json.hsts, { maxAge: 600, includeSubDomains: false });
    await until(async () => (await visit(`www.${zone}`, '/x?y=1')).status === 308, 'the redirect', 1000);
    assert.match((await visit(`www.${zone}`, '/x?y=1')).headers.location, /^http:\/\/moving-shop\.com(:\d+)?\/x\?y=1$/);
    const other = await mine.api('POST', `/api/plugins/${mine.plugin.id}/instances`);
    const moved = await mine.api('PATCH', `${DOMAINS}/${zone}`, { instanceId: other.json.slug });
    assert.equal(moved.json.instanceId, other.json.id, moved.text);
    assert.equal(moved.json.status, 'verified');
    await until(async () => (await visit(`www.${zone}`)).status === 200, 'the twin serves by itself again', 1000);
    const refused = await mine.api('PATCH', `${DOMAINS}/${zone}`, { instanceId: theirs.instance.id });
    assert.equal(refused.status, 404);
});

test('two servers on one database: one name is verified once, and served by both within a second', async () => {
    const other = await startServer({ settings, database: server.databaseUrl, env: { STOA_MASTER_KEY: KEY } });
    try {
        const zone = 'two-nodes-shop.com';
        await dns.addZone(zone, 'unsigned');
        const both = [[mine, await claim(mine, `app.${zone}`)], [theirs, await claim(theirs, `app.${zone}`)]];
        await dns.setRecords(zone, both.map(([, domain]) => txt(domain, zone)));
        const answers = await Promise.all([
            verify(...both[0]),
            other.api('POST', `${DOMAINS}/${both[1][1].id}/verify`, undefined, { token: theirs.token }),
        ]);
        assert.deepEqual(answers.map((a) => a.status).sort(), [200, 409], answers.map((a) => a.text).join('\n'));
        for (const { apps } of [server, other]) // the app's files are the first one's alone
            await until(async () => !(await visit(`app.${zone}`, '/api/public-apps/self', apps)).text.includes('unknown_host'), `the name at ${apps}`, 1000);
    } finally {
        await other.stop();
    }
});

test('an app with names goes by force, and its names with it', async () => {
    const zone = 'leaving-shop.com';
    await dns.addZone(zone, 'unsigned');
    const made = (await mine.api('POST', '/api/plugins/import', pie('leaving', { 'index.html': 'hello' }))).json;
    const added = await mine.api('POST', DOMAINS, { hostname: `app.${zone}`, instanceId: made.instance.id });
    const rival = await claim(theirs, `app.${zone}`);
    await dns.setRecords(zone, [txt(added.json, zone), txt(rival, zone)]);
    assert.equal((await verify(mine, added.json)).status, 200);
    await until(async () => (await visit(`app.${zone}`)).status === 200, 'it is served', 1000);
    assert.equal((await mine.api('DELETE', `/api/plugins/${made.plugin.id}?data=delete`)).json.code, 'has_domains');
    const deleted = await mine.api('DELETE', `/api/plugins/${made.plugin.id}?data=delete&force=true`);
    assert.equal(deleted.status, 200, deleted.text);
    await until(async () => (await visit(`app.${zone}`)).status === 404, 'it is gone', 1000);
    assert.equal((await show(mine, added.json)).status, 'removed');
    assert.equal((await verify(theirs, rival)).json.code, 'domain_held'); // for a week
});

test('stoa domain: from the name to what happens next', async () => {
    const zone = 'typed-shop.com';
    await dns.addZone(zone, 'unsigned');
    const stoa = (...args) => new Promise((resolve) => {
        const child = spawn(server.stoaBin, ['domain', ...args, '--url', server.console, '--token', server.token],
            { env: { PATH: process.env.PATH, ASAN_OPTIONS: 'exitcode=99', HOME: server.home } });
        let out = '';
        child.stdout.on('data', (part) => { out += part; });
        child.stderr.on('data', (part) => { out += part; });
        child.on('close', (code) => resolve({ code, out }));
    });
    const added = await stoa('add', `app.${zone}`, 'mine');
    assert.equal(added.code, 0, added.out);
    assert.match(added.out, /_stoa-challenge\.app\.typed-shop\.com/);
    assert.match(added.out, /stoa-verification=[0-9a-f]{32}/);
    assert.match((await stoa('list')).out, /app\.typed-shop\.com +pending/);
    const failed = await stoa('verify', `app.${zone}`);
    assert.equal(failed.code, 1, failed.out);
    assert.match(failed.out, /no TXT record/);
    const shown = await stoa('show', `app.${zone}`);
    assert.equal(shown.code, 0, shown.out);
    assert.match(shown.out, /CNAME|A /);
    assert.match(shown.out, /asked by itself/);
    const waiting = stoa('verify', `app.${zone}`, '--wait');
    const value = /stoa-verification=[0-9a-f]{32}/.exec(added.out)[0];
    await dns.setRecords(zone, [`_stoa-challenge.app TXT "${value}"`]);
    const waited = await waiting;
    assert.equal(waited.code, 0, waited.out);
    assert.match(waited.out, /verified/);
    const moved = await stoa('move', `app.${zone}`, mine.instance.slug);
    assert.equal(moved.code, 0, moved.out);
    const removed = await stoa('rm', `app.${zone}`, '--yes');
    assert.equal(removed.code, 0, removed.out);
    assert.equal((await stoa('show', `app.${zone}`)).code, 3);
});

test('stoa domain verify --wait waits as long as it is asked to', async () => {
    const asked = [];
    const played = http.createServer((request, answer) => {
        asked.push(Date.now());
        const [status, code, wait] = [[503, 'unavailable', 7], [429, 'rate_limited', 6], [404, 'domain_not_found', 0]][asked.length - 1];
        answer.writeHead(status, { 'content-type': 'application/json', ...(wait ? { 'retry-after': String(wait) } : {}) });
        answer.end(JSON.stringify({ error: true, code, message: 'Not now.', requestId: 'x' }));
    });
    await new Promise((done) => { played.listen(0, '127.0.0.1', done); });
    try {
        const child = spawn(server.stoaBin, ['domain', 'verify', 'app.typed-shop.com', '--wait', '--url', `http://127.0.0.1:${played.address().port}`, '--token', server.token],
            { env: { PATH: process.env.PATH, ASAN_OPTIONS: 'exitcode=99', HOME: server.home }, stdio: 'ignore' });
        assert.equal(await new Promise((resolve) => { child.on('close', resolve); }), 3);
        assert.equal(asked.length, 3);
        const waited = [asked[1] - asked[0], asked[2] - asked[1]];
        assert.ok(waited[0] >= 6990 && waited[0] < 9000 && waited[1] >= 9990 && waited[1] < 12500, `${waited}`); // its own pause was 5 s, then 10 s
    } finally {
        played.close();
    }
});
