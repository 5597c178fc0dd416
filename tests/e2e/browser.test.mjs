// A person's browser: the deployed single-page app opens at its link, walks two levels deep, reloads there, and nothing is in the console.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from '../harness/browser.mjs';
import { pie } from '../harness/pie.mjs';
import { repository, startServer } from '../harness/server.mjs';

let server;
let browser;
before(async () => {
    server = await startServer();
    browser = await openBrowser();
});
after(async () => {
    await browser?.close();
    await server.stop();
});

const router = `const base = location.pathname.split('/').slice(0, 4).join('/');
const show = () => { document.getElementById('view').textContent = 'view ' + location.pathname.slice(base.length); };
document.addEventListener('click', (e) => { const to = e.target.dataset && e.target.dataset.to; if (to) { history.pushState({}, '', base + to); show(); } });
addEventListener('popstate', show);
show();`;
const shell = '<!doctype html><meta charset="utf-8"><title>spa</title><link rel="icon" href="data:,"><button id="go" data-to="/settings/theme">go</button><p id="view"></p><script src="./app.js"></script>';

test('a single-page app with relative includes survives a reload two levels deep', async () => {
    const made = (await server.api('POST', '/api/plugins/import', pie('spa', { 'index.html': shell, 'app.js': router }))).json;
    const page = await browser.browser.newPage();
    const wrong = [];
    page.on('console', (m) => { if (m.type() === 'error') wrong.push(m.text()); });
    page.on('pageerror', (e) => wrong.push(String(e)));
    await page.goto(made.publicAppUrl);
    assert.equal(await page.textContent('#view'), 'view /');
    await page.click('#go');
    assert.equal(await page.textContent('#view'), 'view /settings/theme');
    await page.reload();
    assert.equal(await page.textContent('#view'), 'view /settings/theme');
    await page.goBack();
    await page.waitForFunction(() => document.getElementById('view').textContent === 'view /');
    assert.deepEqual(wrong, []);
    await page.close();
});

test('the example archive opens, routes and reloads', async () => {
    await server.api('POST', '/api/plugins/import', pie('notes', { 'index.html': 'soon' }));
    const bytes = fs.readFileSync(path.join(repository, 'examples/notes-spa.tar.gz'));
    const made = (await server.api('POST', '/api/plugins/notes/deployments', bytes, { type: 'application/octet-stream' })).json;
    const page = await browser.browser.newPage();
    const wrong = [];
    page.on('console', (m) => { if (m.type() === 'error') wrong.push(m.text()); });
    page.on('pageerror', (e) => wrong.push(String(e)));
    page.on('response', (r) => { if (r.status() >= 400) wrong.push(`${r.status()} ${r.url()}`); });
    await page.goto(made.publicAppUrl);
    const title = await page.title();
    assert.ok(title.length > 0);
    const deep = `${made.publicAppUrl}notes/first`;
    await page.goto(deep);
    await page.reload();
    assert.equal(page.url(), deep);
    assert.ok((await page.textContent('body')).trim().length > 0);
    assert.deepEqual(wrong, []);
    await page.close();
});

test('a refusal is a page a person can read, on a phone too', async () => {
    const page = await browser.browser.newPage();
    await page.setViewportSize({ width: 360, height: 640 });
    const answer = await page.goto(`${server.apps}/apps/absent/absent-00000000/`);
    assert.equal(answer.status(), 404);
    assert.match(await page.textContent('h1'), /^Not found$/);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    await page.close();
});
