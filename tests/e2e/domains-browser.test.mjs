// Custom domains in Chromium, over https by a certificate it trusts: the tutorial's client, unmodified, hands in its form at /, /x and
// /a/b/c; a visitor uploads a file; a page tells why there is none; a former tenant's service worker does not own the name.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from '../harness/browser.mjs';
import { DOMAINS, makeChain, startWithDomains } from '../harness/domains.mjs';
import { openTls } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { repository, until } from '../harness/server.mjs';

const [RSVP, INTAKE, PASSED] = ['party.customer-one.com', 'send.customer-one.com', 'passed.customer-two.com'];
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
const example = (name) => fs.readFileSync(path.join(repository, 'examples', name), 'utf8');
const trusted = { ignoreHTTPSErrors: false };
let server, chains, deployed, browser;

before(async () => {
    server = await startWithDomains({ managedDb: true });
    chains = {};
});
after(async () => {
    await browser?.close();
    await server?.stop();
});

const urlOf = (name, where = '/') => `https://${name}:${server.tlsPort}${where}`;
async function deploy(text, more) {
    const made = await server.api('POST', '/api/plugins/import', text, more);
    assert.ok(made.status < 300, made.text);
    return made.json;
}
async function open(name, where, options = {}) {
    browser ??= await openBrowser({ hosts: Object.fromEntries([RSVP, INTAKE, PASSED, 'nobody.customer-one.com'].map((n) => [n, '127.0.0.1'])), roots: Object.values(chains).map((c) => c.root) });
    return browser.open(urlOf(name, where), { ...trusted, ...options });
}

test('the names have certificates', async () => {
    const [rsvp, intake, first] = [await deploy(example('rsvp.pie')), await deploy(example('intake.pie')),
        await deploy(pie('first-tenant', { 'index.html': '<title>first</title>', 'sw.js': `self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (e) => e.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (e) => e.respondWith(new Response('<title>stolen</title>', { headers: { 'content-type': 'text/html' } })));` }))];
    deployed = { rsvp, intake, first };
    for (const [name, made] of [[RSVP, rsvp], [INTAKE, intake], [PASSED, first]]) {
        const domain = await server.domain(name, made.instance);
        chains[name] = { domain, ...(await server.certify(domain)) };
    }
    const second = makeChain([PASSED]);
    chains.second = second;
});

test('the tutorial\'s client hands in its form at /, /x and /a/b/c', async () => {
    const { rsvp } = deployed;
    const widget = (action, payload = {}) => server.api('POST', `/api/plugins/public-rsvp/instances/${rsvp.instance.slug}/widget-actions/${action}`, payload);
    const { settings } = (await widget('_launch')).json.events.at(-1).data;
    for (const [n, where] of ['/', '/x', '/a/b/c'].entries()) {
        const { page, errors, context } = await open(RSVP, `${where}?eventId=${settings.id}`);
        const asked = [];
        page.on('request', (r) => { if (r.method() === 'POST') asked.push(new URL(r.url()).pathname); });
        await page.waitForFunction(() => document.getElementById('title').textContent === 'Community RSVP');
        await page.fill('#name', `Guest ${n}`);
        await page.fill('#email', `guest${n}@example.org`);
        await page.click('#submit');
        await page.waitForFunction(() => document.getElementById('message').textContent === 'Your RSVP has been recorded.');
        assert.deepEqual(errors, [], where);
        assert.equal(page.url(), urlOf(RSVP, `${where}?eventId=${settings.id}`));
        assert.ok(asked.length >= 1 && asked.every((p) => p.startsWith('/api/public-actions/')), asked.join());
        await context.close();
    }
    const rows = await server.api('GET', `/api/public-apps/instances/${rsvp.instance.id}/runs?action=submit_rsvp`);
    assert.equal(rows.json.data.filter((r) => r.outcome === 'ok' || r.outcome === 'success').length, 3, rows.text);
});

test('a visitor uploads a file, on a phone, at / and deeper', async () => {
    for (const where of ['/', '/a/b/c']) {
        const { page, errors, context } = await open(INTAKE, where, PHONE);
        await page.setInputFiles('#file', { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('The pipe behind the boiler leaks.') });
        await page.fill('#note', 'Seen today.');
        await page.click('#send');
        await page.waitForSelector('#done:not([hidden])');
        assert.deepEqual(errors, [], where);
        await context.close();
    }
    const files = await server.api('GET', `/api/files?instance=${deployed.intake.instance.id}`);
    assert.equal(files.json.data.length, 2, files.text);
});

test('a former tenant\'s service worker, registered and in control, owns the name no more', { timeout: 120000 }, async () => {
    const { page, context } = await open(PASSED, '/');
    const control = await page.evaluate(async () => {
        localStorage.setItem('left', 'by the first');
        await caches.open('left');
        await navigator.serviceWorker.register('/sw.js');
        await navigator.serviceWorker.ready;
        return new Promise((resolve) => { if (navigator.serviceWorker.controller) resolve(true); else navigator.serviceWorker.oncontrollerchange = () => resolve(true); });
    });
    assert.equal(control, true);
    await page.goto(urlOf(PASSED, '/deep'));
    assert.equal(await page.title(), 'stolen', 'the worker answers: what follows is no idle worry');

    // the name passes to another project: its holder's record goes, an hour later another's is there
    const project = await server.api('POST', '/api/projects', { displayName: 'Second' });
    const { token } = project.json;
    const second = await deploy(pie('second-tenant', { 'index.html': '<title>second</title><p>the second tenant' }), { token });
    const claimed = (await server.api('POST', DOMAINS, { hostname: PASSED, instanceId: second.instance.id }, { token })).json;
    await server.setRecords(PASSED, [`${claimed.verification.name}. TXT "${claimed.verification.value}"`, `${PASSED}. A 127.0.0.1`]);
    assert.equal((await server.api('POST', `${DOMAINS}/${claimed.id}/verify`, undefined, { token })).status, 409);
    const old = chains[PASSED].domain.id;
    await server.database.query(`update domains set missed_at = now() - interval '61 minutes' where id = '${old}'`);
    assert.equal((await server.api('POST', `${DOMAINS}/${claimed.id}/verify`, undefined, { token })).status, 200);
    await until(() => openTls(server.tlsPort, PASSED).then((s) => { s.destroy(); return false; }, () => true), 'the old certificate to be gone', 3000);
    const { chain, key, root } = chains.second;
    const put = await server.api('PUT', `${DOMAINS}/${claimed.id}/certificate`, { chainPem: chain, keyPem: key }, { token });
    assert.equal(put.status, 200, put.text);
    await until(() => openTls(server.tlsPort, PASSED, { ca: root, rejectUnauthorized: true }).then((s) => { s.destroy(); return true; }, () => false), 'the new certificate', 3000);

    // The old worker still answers the first visit; a moment after a navigation the browser looks for its script, and that unregisters it.
    await until(async () => {
        await page.goto(urlOf(PASSED, '/')).catch(() => {});
        if ((await page.title()) === 'second') return true;
        await new Promise((done) => { setTimeout(done, 6000); });
        return false;
    }, 'the second tenant\'s page', 90000);
    const left = await page.evaluate(async () => ({ registrations: (await navigator.serviceWorker.getRegistrations()).length, controlled: navigator.serviceWorker.controller !== null,
        stored: localStorage.getItem('left'), caches: await caches.keys() }));
    assert.deepEqual(left, { registrations: 0, controlled: false, stored: null, caches: [] });
    await page.goto(urlOf(PASSED, '/deep'));
    assert.equal(await page.title(), 'second');
    await context.close();
});

test('a name nobody has is told in a page that fits a phone', async () => {
    const port = new URL(server.apps).port;
    browser ??= await openBrowser({ hosts: { 'nobody.customer-one.com': '127.0.0.1' } });
    const { page, context } = await browser.open(`http://nobody.customer-one.com:${port}/`, PHONE);
    assert.match(await page.textContent('body'), /No site is known under that host name/);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    if (process.env.STOA_SCREENSHOTS) await page.screenshot({ path: path.join(process.env.STOA_SCREENSHOTS, 'unknown-domain.png') });
    await context.close();
});
