// How long a builder stays signed in: renewed without anybody noticing, by the host's next token where the server renews no further, and
// told in time where there is none. Sessions are seconds here, minutes and hours elsewhere.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startEmbedding } from '../harness/embed.mjs';
import { request, slowness, until } from '../harness/server.mjs';

const SESSION_S = 12; // a quarter of it is what a busy machine may stand still
const END_S = 21;
const PATIENCE = 20000 * slowness();

let e;
let short; // of a key whose sessions end for good after END_S
let people = 0;
before(async () => {
    e = await startEmbedding({ settings: { session_seconds: SESSION_S } });
    short = await e.acme.makeKey({ allowedOrigins: [e.host.origin], absoluteLength: 60 });
    e.server.database.query(`update signing_keys set absolute_s = ${END_S} where id = '${short.id}'`); // nobody may ask for so little
});
after(() => e?.stop());

const shortToken = (who) => short.sign({ externalUserId: who, externalProjectId: who, role: 'Admin' });

/** The builder with a mark that a reload would take away; what happens is in window.events. `tokens` gives one at each question. */
async function start(tokens, first) {
    const { page, errors } = await e.open();
    await page.exposeFunction('newToken', tokens ?? (() => { throw new Error('no more'); }));
    await page.evaluate(async ([instanceUrl, jwtToken, hasMore]) => {
        window.events = [];
        for (const event of ['sessionExpiring', 'sessionExpired', 'tokenRenewed', 'error']) window.stoa.on(event, (data) => window.events.push([event, data?.code ?? data?.expiresAt]));
        await window.stoa.configure({ instanceUrl, jwtToken, getToken: hasMore ? () => window.newToken() : undefined, embedding: { containerId: 'builder' } });
    }, [e.server.console, first, !!tokens]);
    const frame = await e.frame(page);
    await frame.waitForSelector('h1');
    await frame.evaluate(() => { window.mark = 1; });
    const happened = (name, times = 1) => page.waitForFunction(([n, t]) => window.events.filter(([event]) => event === n).length >= t, [name, times], { timeout: PATIENCE });
    const works = async (section, title) => {
        await frame.click(`.sections a[data-route="/${section}"]`);
        await frame.waitForFunction((t) => document.querySelector('h1')?.textContent === t && !document.querySelector('.skeleton'), title, { timeout: PATIENCE });
        assert.equal(await frame.$('.trouble'), null);
        assert.equal(await frame.evaluate(() => window.mark), 1, 'it was not loaded anew');
    };
    return { page, frame, errors, happened, works, events: () => page.evaluate(() => window.events.map(([name]) => name)) };
}

describe('a builder that stays open', () => {
    test('renews its session by itself, and the host hears nothing of it', async () => {
        const token = e.token();
        const renewals = [];
        const { page, works, events, errors } = await start(undefined, token);
        page.on('response', (answer) => /session\/refresh/.test(answer.url()) && renewals.push(answer.status()));
        await until(() => renewals.length >= 2, 'renewals', PATIENCE);
        assert.deepEqual([...new Set(renewals)], [200]);
        await works('files', 'Files');
        assert.deepEqual(await events(), []);
        assert.deepEqual(errors(), []);
    });

    test('goes on with the host\'s next token where the server renews no further: one question, no reload', async () => {
        const who = `short-${++people}`;
        let asked = 0;
        const { happened, works, events, errors, page } = await start(async () => {
            ++asked;
            return shortToken(who);
        }, shortToken(who));
        await happened('tokenRenewed');
        assert.deepEqual((await events()).slice(0, 2), ['sessionExpiring', 'tokenRenewed']);
        assert.equal(asked, 1);
        await works('runs', 'Runs');
        assert.deepEqual(errors(), []);
        const expiring = await page.evaluate(() => window.heard.find((m) => m.type === 'CLIENT_SESSION_EXPIRING').data);
        assert.ok(Date.parse(expiring.expiresAt) > 0);
    });

    test('without a next token it is told twice, waits behind a curtain, and goes on when one comes', async () => {
        const who = `short-${++people}`;
        const { page, frame, happened, works, events } = await start(undefined, shortToken(who));
        await happened('sessionExpired');
        assert.deepEqual(await events(), ['sessionExpiring', 'sessionExpired']);
        await frame.waitForSelector('dialog.curtain[open]');
        assert.match(await frame.textContent('dialog.curtain'), /session has ended/);
        await frame.press('dialog.curtain h2', 'Escape');
        assert.ok(await frame.$('dialog.curtain[open]'));
        await page.evaluate((token) => window.stoa.updateToken(token), shortToken(who));
        await frame.waitForSelector('dialog.curtain', { state: 'detached' });
        await works('domains', 'Domains');
    });

    test('what was lost on the way costs nothing where the host has no next token: its last one is exchanged again', async () => {
        const { page, works, events } = await start(undefined, e.token());
        let lost = 0;
        let exchanged = 0;
        page.on('request', (asked) => { exchanged += /external-token/.test(asked.url()); });
        await page.route('**/session/refresh', async (route) => {
            if (lost) return route.continue();
            ++lost;
            const asked = route.request();
            assert.equal((await request(asked.url(), { method: 'POST', headers: asked.headers() })).status, 200); // that token is used up, and nobody hears of it
            return route.abort();
        });
        await until(() => exchanged > 0, 'the exchange', PATIENCE);
        await works('files', 'Files');
        assert.equal(lost, 1);
        assert.ok(!(await events()).includes('sessionExpired'), String(await events()));
    });

    test('with the server away until the session is over, it goes on when there is one again', async () => {
        const { page, frame, happened, works } = await start(undefined, e.token());
        await page.route('**/api/v1/**', (route) => route.abort('connectionrefused')); // no browser tells of that end
        await happened('sessionExpired');
        await frame.waitForSelector('dialog.curtain[open]');
        await page.unroute('**/api/v1/**');
        await frame.waitForSelector('dialog.curtain', { state: 'detached', timeout: PATIENCE });
        await works('domains', 'Domains');
        // a Chromium that gives frames of others no storage at all throws
        const kept = await frame.evaluate(() => [() => localStorage.length, () => sessionStorage.length, () => document.cookie].map((read) => { try { return String(read()); } catch { return 'none'; } }));
        for (const what of kept) assert.ok(['0', '', 'none'].includes(what), what);
    });

    test('a token that is taken but once is tried once more and then let be', async () => {
        const once = await e.acme.makeKey({ allowedOrigins: [e.host.origin], singleUse: true });
        const { page, frame, happened } = await start(undefined, once.sign({ externalUserId: 'lost', externalProjectId: 'lost', role: 'Admin' }));
        let exchanged = 0;
        page.on('request', (asked) => { exchanged += /external-token/.test(asked.url()); });
        await page.context().setOffline(true);
        await happened('sessionExpired');
        exchanged = 0;
        await page.context().setOffline(false);
        await until(() => exchanged === 1, 'the exchange', PATIENCE);
        await page.waitForTimeout(500);
        for (let n = 0; n < 3; ++n) await frame.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
        await page.waitForTimeout(500);
        assert.equal(exchanged, 1);
        assert.ok(await frame.$('dialog.curtain[open]'));
    });

    test('ended by the platform, it begins another session by the host\'s token', async () => {
        const who = `ended-${++people}`;
        let asked = 0;
        const token = () => e.token({ externalUserId: who, externalProjectId: who });
        const { happened, works } = await start(async () => {
            ++asked;
            return token();
        }, token());
        const [mine] = (await e.acme.api('GET', '/api/v1/sessions')).json.data.filter((s) => s.externalUserId === who);
        assert.equal((await e.acme.api('DELETE', `/api/v1/sessions/${mine.id}`)).status, 200);
        await happened('tokenRenewed');
        assert.equal(asked, 1);
        await works('settings', 'Settings');
    });

    test('a next token that cannot be had is tried again when the tab wakes', async () => {
        const who = `short-${++people}`;
        let isSignedIn = false;
        const { page, happened, events } = await start(async () => {
            if (!isSignedIn) throw new Error('signed out');
            return shortToken(who);
        }, shortToken(who));
        await happened('error');
        isSignedIn = true;
        await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
        await happened('tokenRenewed');
        assert.equal((await events()).at(-1), 'tokenRenewed');
    });

    test('updateToken asks for one, and many calls at once ask once', async () => {
        let asked = 0;
        const who = `many-${++people}`;
        const token = () => e.token({ externalUserId: who, externalProjectId: who });
        const { page, happened } = await start(async () => {
            ++asked;
            await new Promise((done) => { setTimeout(done, 300); });
            return token();
        }, token());
        await page.evaluate(() => Promise.all([window.stoa.updateToken(), window.stoa.updateToken(), window.stoa.updateToken()]));
        await happened('tokenRenewed');
        assert.equal(asked, 1);
        const refused = await page.evaluate(() => window.stoa.updateToken('not.a.token').then(() => 'ok', (error) => [error.code, error.status]));
        assert.deepEqual(refused, ['INVALID_BEARER_TOKEN', 401]);
    });
});

test('somebody else\'s token: the builder begins anew, in their project', async () => {
    const { page } = await e.open();
    const [ada, ben] = ['ada', 'ben'].map((who) => e.token({ externalUserId: who, externalProjectId: who, firstName: who, lastName: 'X' }));
    assert.equal(await e.configure(page, { jwtToken: ada, embedding: { containerId: 'builder', initialRoute: '/settings' } }), 'ok');
    const frame = await e.frame(page);
    await frame.waitForSelector('dd:has-text("ada X")');
    await page.evaluate((token) => window.stoa.updateToken(token), ben);
    await frame.waitForFunction(() => document.querySelector('h1')?.textContent === 'Apps');
    await frame.click('.sections a[data-route="/settings"]');
    await frame.waitForSelector('dd:has-text("ben X")');
});

test('a key that takes each token but once: builder, dialog and requests each have one of their own', async () => {
    const once = await e.acme.makeKey({ allowedOrigins: [e.host.origin], singleUse: true });
    const { page, errors } = await e.open();
    let asked = 0;
    await page.exposeFunction('newToken', () => {
        ++asked;
        return once.sign({ externalUserId: 'once', externalProjectId: 'once', role: 'Admin' });
    });
    await page.evaluate((instanceUrl) => window.stoa.configure({ instanceUrl, getToken: () => window.newToken(), embedding: { containerId: 'builder' } }), e.server.console);
    const lengths = await page.evaluate(() => Promise.all([1, 2, 3].map(() => window.stoa.request({ path: '/flows' }).then((answer) => answer.data.length))));
    assert.deepEqual(lengths, [0, 0, 0]);
    assert.equal(asked, 2, 'many requests at once open one session');
    const code = await page.evaluate(() => window.stoa.connect({ pieceName: 'nothing' }).catch((error) => error.code));
    assert.equal(code, 'piece_not_found');
    assert.equal(asked, 3);
    assert.deepEqual(errors(), []);
});

test('requests of the host page go on after their session was ended, by a fresh token', async () => {
    const { page } = await e.open();
    const who = `request-${++people}`;
    await page.exposeFunction('newToken', () => e.token({ externalUserId: who, externalProjectId: who }));
    await page.evaluate((instanceUrl) => window.stoa.configure({ instanceUrl, getToken: () => window.newToken() }), e.server.console);
    const ask = () => page.evaluate(() => window.stoa.request({ path: '/flows' }).then((answer) => answer.data.length, (error) => error.code));
    assert.equal(await ask(), 0);
    const [mine] = (await e.acme.api('GET', '/api/v1/sessions')).json.data.filter((s) => s.externalUserId === who);
    await e.acme.api('DELETE', `/api/v1/sessions/${mine.id}`);
    await page.evaluate(() => window.stoa.updateToken());
    assert.equal(await ask(), 0);
});
