// What strangers try on embedding (docs/security.md, "Embedding"): pages that open, frame and talk to the builder, customers who hold one good
// token, other platforms, thieves of a session. What each check of a token says is in exchange.test.mjs; who may do what in tenants.test.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MAILER, startEmbedding } from '../harness/embed.mjs';
import { startHostPage } from '../harness/host-page.mjs';
import { slowness } from '../harness/server.mjs';

const PATIENCE = 20000 * slowness();

let e;
before(async () => {
    e = await startEmbedding({ settings: { trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For' } });
    await e.catalogue(MAILER);
});
after(() => e?.stop());

describe('a page in a window of its own', () => {
    /** Opened by hand, as any page may: {page, popup}. */
    async function open(init, where = e.host) {
        const { page } = await e.open({}, where);
        const opening = page.waitForEvent('popup');
        await page.evaluate(([src, origin, data]) => {
            addEventListener('message', ({ source, data: { type } }) => type === 'CLIENT_INIT' && source.postMessage({ type: 'VENDOR_INIT', data }, origin));
            window.popup = window.open(src, '_blank', 'width=500,height=700');
        }, [`${e.server.console}/embed`, e.server.console, init]);
        return { page, popup: await opening };
    }

    test('no secret is asked for without the name and the origin of who asks above it, whatever the route', async () => {
        const { popup } = await open({ jwtToken: e.token(), initialRoute: '/connections' });
        await popup.waitForFunction(() => document.querySelector('h1')?.textContent === 'Connections' && !document.querySelector('.skeleton'), undefined, { timeout: PATIENCE });
        await popup.click('main button.primary');
        await popup.click('.card button');
        await popup.waitForSelector('[data-secret]');
        const who = await popup.waitForSelector('.who', { timeout: 1000 });
        const told = await who.textContent();
        assert.ok(told.includes('acme') && told.includes(e.host.origin), told);
        assert.ok(await popup.evaluate(() => document.querySelector('.who').compareDocumentPosition(document.querySelector('[data-secret]')) & Node.DOCUMENT_POSITION_FOLLOWING));
    });

    test('no style sheet of the opener\'s can cover that', async () => {
        const { popup } = await open({ jwtToken: e.token(), fontUrl: 'https://fonts.test/a.css', fontFamily: 'Open Sans', mode: 'dark' });
        await popup.waitForSelector('h1', { timeout: PATIENCE });
        assert.deepEqual(await popup.evaluate(() => [document.documentElement.dataset.mode, document.querySelectorAll('link[rel=stylesheet]').length]), ['dark', 1]);
    });

    test('a page that no key allows may open it, and gets nothing', async () => {
        const evil = await startHostPage(e.server, { script: false });
        try {
            const { page, popup } = await open({ jwtToken: e.token(), initialRoute: '/connections' }, evil);
            await popup.waitForSelector('[role=alert]', { timeout: PATIENCE });
            const heard = await page.evaluate(() => window.heard.map((m) => [m.type, m.data.code]));
            assert.deepEqual(heard, [['CLIENT_INIT', undefined], ['CLIENT_AUTHENTICATION_FAILED', 'origin_not_allowed']]);
            assert.equal(await popup.locator('nav').count(), 0);
        } finally {
            await evil.close();
        }
    });
});

describe('a customer with one good token', () => {
    let addresses = 0;
    const newAddress = () => `31.${(++addresses >> 8) & 255}.${addresses & 255}.7`;

    test('fills no trail with it: it is taken often enough for any page, and then one at a time', async () => {
        const token = e.token();
        const answers = [];
        for (let i = 0; i < 8; ++i)
            answers.push(...await Promise.all(Array.from({ length: 25 }, () => e.acme.exchange(token, { origin: e.host.origin, address: newAddress() }))));
        const taken = answers.filter((a) => a.status === 200).length;
        assert.ok(taken >= 120 && taken < 140, String(taken));
        const refused = answers.find((a) => a.status !== 200);
        assert.equal(refused.status, 429, refused.text);
        assert.equal(refused.json.code, 'too_many_attempts');
        assert.match(refused.json.message, /^This token .*[.]$/);
        assert.ok(Number(refused.headers['retry-after']) >= 1 && Number(refused.headers['retry-after']) <= 5);
        assert.equal((await e.acme.exchange(e.token(), { origin: e.host.origin })).status, 200, 'nobody else waits');
    });
});
