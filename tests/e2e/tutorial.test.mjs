// The tutorial as its people live it: the owner deploys examples/rsvp.pie and launches the widget, a visitor opens the link it gave and
// sends an answer, the owner reads it. In a real browser, its handler and client code as the tutorial has them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from '../harness/browser.mjs';
import { repository, startServer, until } from '../harness/server.mjs';
import { startNamed } from '../harness/names.mjs';

const EXAMPLE = fs.readFileSync(path.join(repository, 'examples/rsvp.pie'), 'utf8');
let server;
let browser;
let made;
before(async () => {
    server = await startServer({ managedDb: true });
    browser = await openBrowser({ hosts: { '*.apps.test': '127.0.0.1' } });
    const answer = await server.api('POST', '/api/plugins/import', EXAMPLE);
    assert.equal(answer.status, 201, answer.text);
    made = answer.json;
});
after(async () => {
    await browser?.close();
    await server?.stop();
});

const widget = (on, action, payload = {}, more = {}) => on.api('POST', `/api/plugins/public-rsvp/instances/${made.instance.slug}/widget-actions/${action}`, payload, more);

test('the deploy made the tables and has nothing to warn of', () => {
    assert.deepEqual(made.warnings, []);
});

test('from the widget to the owner\'s table, by way of a visitor', async () => {
    const launched = (await widget(server, '_launch')).json;
    assert.equal(launched.ok, true, JSON.stringify(launched));
    const { shareUrl, settings } = launched.events.at(-1).data;
    assert.ok(shareUrl.startsWith(`${made.publicAppUrl}?eventId=`), shareUrl);
    assert.equal(settings.title, 'Community RSVP');

    const saved = (await widget(server, 'save_event', { eventId: settings.id, title: 'Harvest supper', description: 'Bring a chair.' })).json;
    assert.equal(saved.events.at(-1).data.flash, 'Saved', JSON.stringify(saved));

    const { page, errors } = await browser.open(shareUrl, { viewport: { width: 390, height: 844 } });
    await page.waitForFunction(() => document.getElementById('title').textContent === 'Harvest supper');
    assert.equal(await page.textContent('#description'), 'Bring a chair.');
    await page.fill('#name', 'Ada Lövelace <b>');
    await page.fill('#email', 'ada@example.org');
    await page.click('#submit');
    await page.waitForFunction(() => document.getElementById('message').textContent === 'Your RSVP has been recorded.');
    assert.equal(await page.inputValue('#name'), '');
    await page.click('#submit'); // empty by now
    await page.waitForFunction(() => /required/.test(document.getElementById('message').textContent));
    assert.deepEqual(errors, []);
    await page.context().close();

    const answer = await server.api('GET', '/api/plugins/public-rsvp/database/tables/event_responses/rows');
    assert.equal(answer.status, 200, answer.text);
    const rows = answer.json;
    const at = (name) => rows.columns.findIndex((c) => (c.name ?? c) === name);
    const cell = (row, name) => (Array.isArray(row) ? row[at(name)] : row[name]);
    assert.equal(rows.rows.length, 1, JSON.stringify(rows));
    assert.equal(cell(rows.rows[0], 'name'), 'Ada Lövelace <b>');
    assert.equal(cell(rows.rows[0], 'email'), 'ada@example.org');
});

test('the events its manifest declares are there', async () => {
    const events = await until(async () => {
        const list = (await server.api('GET', `/api/public-apps/instances/${made.instance.id}/events`)).json.data;
        return list.length >= 2 && list;
    }, 'two events');
    const types = events.map((e) => e.type ?? e.event ?? e.eventId);
    assert.deepEqual(types.sort(), ['rsvp_settings_updated', 'rsvp_submitted']);
});

test('a link without an event says so in a sentence', async () => {
    const { page } = await browser.open(made.publicAppUrl);
    await page.waitForFunction(() => document.getElementById('message').textContent === 'eventId is required');
    await page.context().close();
});

test('on a host of its own, at / and deeper, the same client works', async () => {
    const named = await startNamed({ managedDb: true });
    try {
        const answer = await named.manage('POST', '/api/plugins/import', EXAMPLE);
        const own = answer.json;
        const launched = (await named.manage('POST', `/api/plugins/public-rsvp/instances/${own.instance.slug}/widget-actions/_launch`, {})).json;
        assert.ok(launched.events?.length, JSON.stringify(launched));
        const { settings } = launched.events.at(-1).data;
        for (const where of ['', 'x', 'a/b/c']) {
            const { page } = await browser.open(`${own.publicAppUrl}${where}?eventId=${settings.id}`);
            await page.waitForFunction(() => document.getElementById('title').textContent === 'Community RSVP');
            await page.context().close();
        }
    } finally {
        await named.stop();
    }
});
