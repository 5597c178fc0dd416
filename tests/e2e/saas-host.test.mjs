// The example of a product that embeds, as README walks through it: sign in, make an app, connect it, a visitor uses it, the address bar
// and the back button follow; who may only look, and who is of another company.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from '../harness/browser.mjs';
import { pie } from '../harness/pie.mjs';
import { repository, slowness, startServer, temporaryDirectory, until } from '../harness/server.mjs';
import { makePlatform } from '../harness/tokens.mjs';

const PATIENCE = 20000 * slowness();
const FIELDS_ONLY = pie('weather', { 'index.html': 'x' }, { front: "manifest:\n  userFields:\n    town: { type: text, label: Town }\n" });
let server, browser, product, origin;

before(async () => {
    server = await startServer({ settings: { instance_domain: 'apps.localhost' } });
    const orbit = await makePlatform(server, 'orbit');
    const key = await orbit.makeKey();
    const examples = ['saas-host/contact.pie', 'rsvp.pie'].map((file) => fs.readFileSync(path.join(repository, 'examples', file), 'utf8'));
    for (const text of [...examples, FIELDS_ONLY]) {
        const made = await orbit.api('POST', '/api/plugins/import', text);
        assert.equal(made.status, 201, made.text);
        assert.equal((await orbit.api('PATCH', '/api/v1/pieces', { ids: [made.json.plugin.slug], offered: true })).status, 200);
    }
    const pem = path.join(temporaryDirectory('key'), 'key.pem');
    fs.writeFileSync(pem, key.privateKey, { mode: 0o600 });
    product = spawn(process.execPath, ['examples/saas-host/server.mjs'], {
        cwd: repository, stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, STOA_URL: server.console, STOA_KEY_ID: key.id, STOA_KEY_FILE: pem, PORT: '0' },
    });
    const says = await new Promise((resolve) => product.stdout.once('data', (text) => resolve(String(text))));
    origin = /http:\/\/localhost:\d+/.exec(says)[0];
    assert.equal((await orbit.api('PATCH', `/api/v1/signing-keys/${key.id}`, { allowedOrigins: [origin] })).status, 200);
    browser = await openBrowser({ hosts: { '*.apps.localhost': '127.0.0.1' } });
});
after(async () => {
    await browser?.close();
    product?.kill();
    await server?.stop();
});

async function signIn(name, options) {
    const opened = await browser.open(origin, options);
    opened.page.setDefaultTimeout(PATIENCE);
    await opened.page.getByRole('button', { name }).click();
    return { ...opened, builder: opened.page.frameLocator('#builder iframe') };
}
const isAt = (page, where) => until(() => new URL(page.url()).pathname === where, where);

test('Ada makes an app, connects it, a visitor writes, and she sees the run', async () => {
    const { page, builder, errors } = await signIn('Ada');
    await builder.getByText('No apps yet').waitFor();
    await builder.locator('*', { hasText: 'Contact form' }).getByRole('button', { name: 'Make app' }).last().click();
    await builder.getByRole('heading', { name: 'Contact form' }).waitFor();
    await until(() => /\/automation\/apps\/ins_\w+$/.test(page.url()), 'the address bar');
    const app = new URL(page.url()).pathname;

    await page.getByRole('button', { name: 'Connect…' }).click();
    await page.locator('dialog select').selectOption('contact-form');
    await page.getByRole('button', { name: 'Go on' }).click();
    const dialog = page.frameLocator('iframe').last();
    await dialog.getByLabel('INBOX_KEY').fill('a secret');
    await dialog.getByRole('button', { name: 'Connect', exact: true }).click();
    await isAt(page, '/automation/connections');
    await page.goBack();
    await isAt(page, app);
    const link = await builder.getByRole('link', { name: 'Open app' }).first().getAttribute('href');

    const visitor = await browser.open(link, { viewport: { width: 390, height: 800 } });
    visitor.page.setDefaultTimeout(PATIENCE);
    await visitor.page.fill('#email', 'visitor@example.org');
    await visitor.page.fill('#message', 'Hello');
    await visitor.page.getByRole('button', { name: 'Send' }).click();
    await visitor.page.getByText('Thank you! We read every message.').waitFor();

    await page.reload(); // deep in the builder: the same place again
    await builder.getByText('visitor', { exact: false }).first().waitFor();
    assert.equal(new URL(page.url()).pathname, app);
    assert.deepEqual(errors.filter((e) => !/ERR_ABORTED/.test(e)), []);
});

test('a place that is not there is no trap on the way back; the chooser starts what is chosen, and nothing else', async () => {
    const { page, builder } = await signIn('Ada');
    await builder.getByRole('heading', { name: 'Apps', exact: true }).waitFor();
    await page.goto(`${origin}/automation/runs`);
    await page.goto(`${origin}/automation/nowhere`);
    await isAt(page, '/automation/apps');
    await page.goBack();
    await isAt(page, '/automation/runs');
    await builder.getByRole('heading', { name: 'Runs' }).waitFor();

    await page.getByRole('button', { name: 'Connect…' }).click();
    await page.locator('dialog[open]').waitFor();
    assert.ok((await page.locator('dialog option').allTextContents()).includes('weather'));
    await page.locator('dialog select').selectOption('contact-form');
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.frameLocator('iframe').last().getByRole('button', { name: 'Cancel' }).click();
    await until(async () => (await page.locator('iframe').count()) === 1, 'the dialog to go');
    await page.getByRole('button', { name: 'Connect…' }).click();
    await page.locator('dialog[open]').press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    await page.waitForTimeout(300);
    assert.equal(await page.locator('iframe').count(), 1, 'nothing was begun');
});

test('an address that is none does not end the product', async () => {
    for (const where of ['//', '//[', '/%']) await fetch(`${origin}${where}`, { redirect: 'manual' });
    assert.equal((await fetch(origin)).status, 200);
});

test('Ben looks at it and changes nothing; Cleo is of another company and does not see it', async () => {
    const ben = await signIn('Ben', { viewport: { width: 390, height: 800 } });
    await ben.builder.getByText('Contact form').first().waitFor();
    assert.equal(await ben.builder.getByRole('button', { name: 'New app' }).count(), 0);
    const cleo = await signIn('Cleo');
    await cleo.builder.getByText('No apps yet').waitFor();
    assert.equal(await cleo.builder.getByRole('link', { name: 'Open app' }).count(), 0);
});

test('nobody who is not signed in gets a token', async () => {
    assert.equal((await fetch(`${origin}/token`)).status, 401);
    const post = (where, headers = {}) => fetch(`${origin}${where}`, { method: 'POST', redirect: 'manual', headers });
    const cookie = (await post('/sign-in/ada')).headers.get('set-cookie').split(';')[0];
    const token = () => fetch(`${origin}/token`, { headers: { cookie } });
    assert.equal((await token()).status, 200);
    await post('/sign-out', { cookie });
    assert.equal((await token()).status, 401, 'a cookie that somebody kept');
    assert.equal((await post('/sign-in/constructor')).headers.get('set-cookie'), null);
});
