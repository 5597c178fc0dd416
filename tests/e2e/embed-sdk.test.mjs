// The SDK in a product's page, on another origin than the server's, in a real browser: start, routes, dialogs in a frame and in a window,
// renewal, and every way it may go wrong. What it is served as, and what is in its npm package.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { WHOLE_CHROMIUM } from '../harness/browser.mjs';
import { MAILER, settled, startEmbedding } from '../harness/embed.mjs';
import { startHostPage } from '../harness/host-page.mjs';
import { buildFolder, repository, request, slowness, temporaryDirectory, until } from '../harness/server.mjs';

const VERSION = JSON.parse(fs.readFileSync(path.join(repository, 'embed/sdk/package.json'), 'utf8')).version;
const IN = { embedding: { containerId: 'builder' } };
const PATIENCE = 20000 * slowness();

let e;
before(async () => {
    const early = '<script>window.early = stoa.configure(JSON.parse(decodeURIComponent(location.hash.slice(1))))</script><div id="builder"></div>';
    e = await startEmbedding({ host: { pages: { '/early': early } } });
    await e.catalogue(MAILER);
});
after(() => e?.stop());

const heard = (page, type) => page.evaluate((t) => window.heard.filter((m) => m.type === t), type);
const hears = (page, type, n = 1) => page.waitForFunction(([t, count]) => window.heard.filter((m) => m.type === t).length >= count, [type, n], { timeout: PATIENCE });

describe('what is served', () => {
    const get = (where, headers = {}, method = 'GET') => request(e.server.console + where, { headers, method });

    test('latest.json tells the version, where it is and its hash; every page may read it', async () => {
        const latest = await get('/sdk/embed/latest.json');
        assert.deepEqual([latest.status, latest.headers['content-type'], latest.headers['access-control-allow-origin']], [200, 'application/json', '*']);
        assert.equal(latest.headers['cache-control'], 'public, max-age=300');
        assert.equal(latest.json.version, VERSION);
        assert.equal(latest.json.url, `/sdk/embed/${VERSION}/stoa-embed.js`);
        for (const { url, integrity } of [latest.json, latest.json.module]) {
            const file = await get(url);
            assert.equal(`sha384-${crypto.createHash('sha384').update(file.body).digest('base64')}`, integrity);
        }
        assert.equal(latest.json.script, `<script src="${e.server.console}${latest.json.url}" integrity="${latest.json.integrity}" crossorigin="anonymous"></script>`);
        assert.equal((await get('/p/acme/sdk/embed/latest.json')).json.url, `/p/acme/sdk/embed/${VERSION}/stoa-embed.js`);
    });

    test('a version stays what it is, for ever and for every page', async () => {
        const plain = await get(`/sdk/embed/${VERSION}/stoa-embed.js`);
        assert.equal(plain.status, 200);
        const { headers } = plain;
        assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable');
        assert.equal(headers['content-type'], 'text/javascript; charset=utf-8');
        assert.equal(headers['access-control-allow-origin'], '*');
        assert.equal(headers['cross-origin-resource-policy'], 'cross-origin');
        assert.equal(headers['x-content-type-options'], 'nosniff');
        assert.equal(headers.vary, 'Accept-Encoding');
        const br = await get(`/sdk/embed/${VERSION}/stoa-embed.js`, { 'accept-encoding': 'gzip;q=0.5, br' });
        assert.equal(br.headers['content-encoding'], 'br');
        assert.ok(zlib.brotliDecompressSync(br.body).equals(plain.body));
        assert.ok(br.body.length < 6 * 1024, `${br.body.length} bytes`);
        const gzip = await get(`/sdk/embed/${VERSION}/stoa-embed.js`, { 'accept-encoding': 'gzip, br;q=0' });
        assert.equal(gzip.headers['content-encoding'], 'gzip');
        assert.ok(zlib.gunzipSync(gzip.body).equals(plain.body));
        assert.notEqual(gzip.headers.etag, br.headers.etag);
        const again = await get(`/sdk/embed/${VERSION}/stoa-embed.js`, { 'accept-encoding': 'br', 'if-none-match': br.headers.etag });
        assert.deepEqual([again.status, again.body.length], [304, 0]);
        const head = await get(`/sdk/embed/${VERSION}/stoa-embed.js`, {}, 'HEAD');
        assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, String(plain.body.length), 0]);
    });

    test('what is not there, and what may not be done', async () => {
        for (const where of ['/sdk/embed/9.9.9/stoa-embed.js', `/sdk/embed/${VERSION}/other.js`, `/sdk/embed/${VERSION}`, '/sdk/embed/']) {
            const answer = await get(where);
            assert.deepEqual([answer.status, answer.json.code, answer.headers['cache-control']], [404, 'not_found', 'no-store'], where);
        }
        const latest = await get('/sdk/embed/latest/stoa-embed.js');
        assert.deepEqual([latest.status, latest.headers['cache-control']], [200, 'public, max-age=300']);
        for (const where of ['/sdk/embed/latest.json', `/sdk/embed/${VERSION}/stoa-embed.js`]) {
            const answer = await get(where, {}, 'POST');
            assert.deepEqual([answer.status, answer.headers.allow], [405, 'GET, HEAD, OPTIONS']);
            assert.equal((await get(where, {}, 'OPTIONS')).status, 204);
        }
    });
});

describe('starting', () => {
    test('frames the builder, signs in and says so; nothing is in the console', async () => {
        const { page, errors, context } = await e.open();
        assert.equal(await page.evaluate(() => window.stoa.version), VERSION);
        assert.equal(await e.configure(page, { jwtToken: e.token(), ...IN }), 'ok');
        const order = await page.evaluate(() => window.heard.map((m) => m.type));
        assert.deepEqual(order, ['CLIENT_INIT', 'CLIENT_AUTHENTICATION_SUCCESS', 'CLIENT_CONFIGURATION_FINISHED']);
        const frame = await page.evaluate(() => {
            const { title, allow, referrerPolicy, src, parentElement } = document.querySelector('iframe');
            return { title, allow, referrerPolicy, src, parent: parentElement.id };
        });
        assert.match(frame.src, new RegExp(`^${e.server.console}/embed\\?currentDate=\\d+$`));
        assert.deepEqual({ ...frame, src: '' }, { title: 'App builder', allow: 'clipboard-write', referrerPolicy: 'strict-origin', src: '', parent: 'builder' });
        await (await e.frame(page)).waitForSelector('h1');
        assert.deepEqual(errors(), []);
        assert.deepEqual(await context.cookies(), []);
    });

    test('with a host page that sends no referrer, under a strict policy of its own', async () => {
        const strict = await startHostPage(e.server, {
            policy: `default-src 'none'; script-src ${e.server.console}; style-src 'unsafe-inline'; frame-src ${e.server.console}; connect-src ${e.server.console}; img-src data:`,
            headers: { 'referrer-policy': 'no-referrer' },
        });
        await e.acme.api('PATCH', `/api/v1/signing-keys/${e.key.id}`, { allowedOrigins: [e.host.origin, strict.origin] });
        const { page, errors } = await e.open({ bypassCSP: false }, strict);
        await until(async () => (await e.configure(page, { jwtToken: e.token(), timeout: 3000 * slowness(), ...IN })) === 'ok', 'the key to be known');
        assert.deepEqual(errors().filter((text) => !/frame-ancestors|ERR_BLOCKED/.test(text)), []);
        await strict.close();
    });

    test('below /p/{platform} too', async () => {
        const { page, errors } = await e.open();
        assert.equal(await e.configure(page, { instanceUrl: `${e.server.console}/p/acme/`, jwtToken: e.token(), ...IN }), 'ok');
        await (await e.frame(page)).waitForSelector('h1');
        assert.deepEqual(errors(), []);
    });

    test('getToken is asked when no token is given', async () => {
        const { page } = await e.open();
        await page.exposeFunction('newToken', () => e.token());
        assert.deepEqual(await settled(page, 'stoa.configure({ ...given, getToken: () => newToken() })', { instanceUrl: e.server.console, ...IN }), { value: undefined });
        for (const [get, why] of [['() => { throw new Error("signed out"); }', /signed out/], ['async () => ""', /no token/]]) {
            const answer = await settled(page, `stoa.configure({ ...given, getToken: ${get} })`, { instanceUrl: e.server.console, ...IN });
            assert.equal(answer.code, 'token_unavailable');
            assert.match(answer.message, why);
        }
    });

    test('without a container it resolves at once, and requests and dialogs work', async () => {
        const { page, errors } = await e.open({}, e.host);
        assert.equal(await e.configure(page, { jwtToken: e.token() }), 'ok');
        assert.equal(await page.evaluate(() => document.querySelectorAll('iframe').length), 0);
        assert.deepEqual((await settled(page, 'stoa.request({ path: "/flows", method: "GET" })')).value.data, []);
        const pieces = await settled(page, 'stoa.request({ path: "pieces", method: "GET", queryParams: { pieceName: "@activepieces/piece-mail" } })');
        assert.equal(pieces.value.data[0].slug, 'mailer');
        assert.deepEqual(errors(), []);
        const answer = await settled(page, 'stoa.request({ path: "/flows/none" })');
        assert.deepEqual([answer.name, answer.code, answer.status], ['StoaEmbedError', 'instance_not_found', 404]);
        for (const wrong of ['method: "OPTIONS"', 'method: "options"', 'body: {}', 'method: "HEAD", body: "x"']) {
            assert.equal((await settled(page, `stoa.request({ path: "/flows", ${wrong} })`)).code, 'invalid_options', wrong);
        }
        assert.deepEqual(await settled(page, 'stoa.request({ path: "/flows", method: "HEAD" })'), { value: undefined });
        const posted = await settled(page, 'stoa.request({ path: "/connections", method: "POST", body: { pieceName: "mailer", externalId: "by-host", secrets: { SMTP_PASSWORD: "s" }, fields: { sender: "a@b.c" } } })');
        assert.equal(posted.value?.externalId, 'by-host', JSON.stringify(posted));
    });

    test('a container that comes later in the page is waited for; one that never does is told', async () => {
        const { page } = await e.open();
        const given = JSON.stringify({ instanceUrl: e.server.console, jwtToken: e.token(), ...IN });
        await page.goto(`${e.host.origin}/early#${encodeURIComponent(given)}`);
        assert.equal(await page.evaluate(() => window.early.then(() => 'ok', (error) => error.code)), 'ok');
        const answer = await e.configure(page, { jwtToken: e.token(), embedding: { containerId: 'nowhere' } });
        assert.deepEqual([answer.name, answer.code], ['StoaEmbedError', 'container_not_found']);
        assert.match(answer.message, /nowhere/);
    });

    test('options that cannot work', async () => {
        const { page } = await e.open();
        for (const wrong of [{ instanceUrl: 'nonsense', jwtToken: 'x' }, { instanceUrl: 'javascript:alert(1)', jwtToken: 'x' }, {}]) {
            assert.equal((await e.configure(page, wrong)).code, 'invalid_options', JSON.stringify(wrong));
        }
        assert.equal((await settled(page, 'stoa.connect({ pieceName: "x" })')).code, 'not_configured');
        assert.equal((await settled(page, 'stoa.request({ path: "x" })')).code, 'not_configured');
        assert.equal((await settled(page, 'stoa.updateToken("x")')).code, 'not_configured');
    });

    test('an origin that no key allows is told, with the setting that allows it', async () => {
        const stranger = await startHostPage(e.server);
        const { page } = await e.open({}, stranger);
        const answer = await e.configure(page, { jwtToken: e.token(), ...IN });
        assert.deepEqual([answer.code, answer.status], ['origin_not_allowed', 403]);
        assert.match(answer.message, /allowedOrigins/);
        assert.ok(answer.message.includes(stranger.origin));
        assert.equal(await page.evaluate(() => document.querySelectorAll('iframe').length), 0);
        const popup = page.waitForEvent('popup');
        const connected = settled(page, 'stoa.configure(given).then(() => stoa.connect({ pieceName: "mailer", newWindow: {} }))', { instanceUrl: e.server.console, jwtToken: e.token() });
        const shown = await popup;
        await shown.waitForEvent('close').catch(() => undefined);
        assert.equal((await connected).code, 'origin_not_allowed');
        await stranger.close();
    });

    test('a server that is not there', async () => {
        const { page } = await e.open();
        const answer = await e.configure(page, { instanceUrl: 'http://127.0.0.1:9', jwtToken: 'x', timeout: 6000, ...IN });
        assert.equal(answer.code, 'unreachable');
    });

    test('a token that is refused: the promise says which claim, and so does the page', async () => {
        const { page } = await e.open();
        const answer = await e.configure(page, { jwtToken: e.token({ exp: 1000 }), ...IN });
        assert.deepEqual([answer.code, answer.status], ['INVALID_BEARER_TOKEN', 401]);
        assert.match(answer.message, /exp/);
        const frame = await e.frame(page);
        assert.ok((await frame.textContent('[role=alert]')).includes(answer.message));
        const [message] = await heard(page, 'CLIENT_AUTHENTICATION_FAILED');
        assert.deepEqual(Object.keys(message.data).sort(), ['code', 'message', 'status']);
    });

    test('after a token that was refused a better one is handed over; without its frame updateToken is rejected', async () => {
        const { page } = await e.open();
        assert.equal((await e.configure(page, { jwtToken: e.token({ exp: 1000 }), ...IN })).code, 'INVALID_BEARER_TOKEN');
        await page.evaluate(() => {
            window.renewed = 0;
            window.stoa.on('tokenRenewed', () => ++window.renewed);
        });
        assert.equal((await settled(page, 'stoa.updateToken(given)', 'not.a.token')).code, 'INVALID_BEARER_TOKEN');
        assert.equal(await page.evaluate(() => window.renewed), 0);
        assert.deepEqual(await settled(page, 'stoa.updateToken(given)', e.token()), { value: undefined });
        assert.equal(await page.evaluate(() => window.renewed), 1);
        const frame = await e.frame(page);
        await frame.waitForFunction(() => document.querySelector('h1')?.textContent === 'Apps', null, { timeout: PATIENCE });
        await page.evaluate(() => window.stoa.navigate({ route: '/files' }));
        await frame.waitForFunction(() => document.querySelector('h1')?.textContent === 'Files', null, { timeout: PATIENCE });

        await page.evaluate(() => document.querySelector('iframe').remove());
        assert.equal((await settled(page, 'stoa.updateToken(given)', e.token())).code, 'unreachable');
        assert.equal(await page.evaluate(() => window.renewed), 1);
    });

    test('a token that comes before the builder is there is the one it begins with', async () => {
        const { page } = await e.open();
        const both = await page.evaluate(([instanceUrl, bad, good]) => {
            const said = (promise) => promise.then(() => 'ok', (error) => error.code);
            const started = said(window.stoa.configure({ instanceUrl, jwtToken: bad, embedding: { containerId: 'builder' } }));
            return Promise.all([started, said(window.stoa.updateToken(good))]);
        }, [e.server.console, e.token({ exp: 1000 }), e.token()]);
        assert.deepEqual(both, ['ok', 'ok']);
    });

    test('the name that other hosts know is there when it is free', async () => {
        const { page } = await e.open();
        assert.deepEqual(await page.evaluate(() => Object.keys(window.activepieces).sort()), ['configure', 'connect', 'extractActivepiecesRouteFromUrl', 'navigate', 'request']);
        const taken = await startHostPage(e.server, { script: false, body: `<script>window.activepieces = 'mine'</script><div id="stoa"></div>${e.host.latest.script}` });
        const other = await e.open({}, taken);
        assert.equal(await other.page.evaluate(() => window.activepieces), 'mine');
        assert.equal(await other.page.evaluate(() => typeof window.stoa.configure), 'function', 'an element of that id is in nobody\'s way');
        await taken.close();
    });
});

describe('routes', () => {
    test('both ways: the host navigates, also before the builder is ready; the builder tells where it is', async () => {
        const { page } = await e.open();
        await page.evaluate((given) => {
            window.routes = [];
            window.done = window.stoa.configure({ ...given, prefix: '/automation', embedding: { containerId: 'builder', navigation: { handler: ({ route }) => window.routes.push(route) } } });
            window.stoa.navigate({ route: '/runs' });
        }, { instanceUrl: e.server.console, jwtToken: e.token() });
        await page.evaluate(() => window.done);
        const frame = await e.frame(page);
        const at = (text) => frame.waitForFunction((t) => document.querySelector('h1')?.textContent === t, text, { timeout: PATIENCE });
        await at('Runs');
        await frame.click('a:has-text("Files")');
        await at('Files');
        await page.evaluate(() => window.stoa.navigate({ route: 'connections?x=1' }));
        await at('Connections');
        await page.evaluate(() => window.stoa.navigate({ route: '/flows' }));
        await at('Apps');
        await page.evaluate(() => window.stoa.navigate({ route: '/todos/4' }));
        await page.waitForFunction(() => window.routes.length >= 5);
        assert.deepEqual(await page.evaluate(() => window.routes), ['/automation/runs', '/automation/files', '/automation/connections?x=1', '/automation/flows', '/automation/apps']);
        assert.deepEqual((await heard(page, 'CLIENT_ROUTE_CHANGED')).at(-1).data, { route: '/apps', replace: true });
        assert.equal(await page.evaluate(() => history.length), 2, 'the frame has left no steps in the history');
        const extract = (url) => page.evaluate((vendorUrl) => window.stoa.extractRouteFromUrl({ vendorUrl }), url);
        assert.equal(await extract(`${e.host.origin}/automation/apps/x?tab=2#z`), '/apps/x?tab=2');
        assert.equal(await extract('/automation'), '/');
        assert.equal(await extract('/automations/apps'), '/');
        assert.equal(await page.evaluate(() => window.stoa.extractRouteFromUrl({ vendorUrl: '/b/runs', prefix: 'b' })), '/runs');
    });

    test('messages of a third window change nothing, on either side', async () => {
        const { page, errors } = await e.open();
        const stranger = await startHostPage(e.server, { script: false });
        await page.evaluate((given) => {
            window.routes = [];
            return window.stoa.configure({ ...given, embedding: { containerId: 'builder', navigation: { handler: ({ route }) => window.routes.push(route) } } });
        }, { instanceUrl: e.server.console, jwtToken: e.token() });
        await page.evaluate(async (src) => {
            const frame = document.createElement('iframe');
            frame.id = 'third';
            frame.src = src;
            document.body.append(frame);
            await new Promise((done) => { frame.onload = done; });
        }, stranger.origin);
        const third = page.frames().find((f) => f.url().startsWith(stranger.origin));
        const forged = await third.evaluate(() => {
            const ours = window.parent.frames[0];
            ours.postMessage({ type: 'VENDOR_ROUTE_CHANGED', data: { vendorRoute: '/files' } }, '*');
            ours.postMessage({ type: 'VENDOR_TOKEN_UPDATED', data: { jwtToken: 'x.y.z' } }, '*');
            ours.postMessage({ type: 'VENDOR_INIT', data: { jwtToken: 'x.y.z' } }, '*');
            window.parent.postMessage({ type: 'CLIENT_ROUTE_CHANGED', data: { route: '/stolen' } }, '*');
            window.parent.postMessage({ type: 'CLIENT_SESSION_EXPIRED', data: {} }, '*');
            return true;
        });
        assert.ok(forged);
        await hears(page, 'CLIENT_SESSION_EXPIRED');
        await page.evaluate(() => window.stoa.navigate({ route: '/runs' })); // after it in line: what came before has been seen
        await page.waitForFunction(() => window.routes.length > 0);
        assert.deepEqual(await page.evaluate(() => window.routes), ['/runs']);
        assert.deepEqual(await heard(page, 'CLIENT_AUTHENTICATION_FAILED'), []);
        assert.deepEqual(errors(), []);
        await stranger.close();
    });
});

describe('one after the other', () => {
    test('a second configure ends the first, which is told', async () => {
        const { page, errors } = await e.open();
        const both = await page.evaluate(async ([instanceUrl, one, two]) => {
            const options = { instanceUrl, embedding: { containerId: 'builder' } };
            const say = (p) => p.then(() => 'ok', (error) => error.code);
            const first = say(window.stoa.configure({ ...options, jwtToken: one }));
            const second = say(window.stoa.configure({ ...options, jwtToken: two }));
            return Promise.all([first, second]);
        }, [e.server.console, e.token(), e.token()]);
        assert.deepEqual(both, ['destroyed', 'ok']);
        assert.equal(await e.configure(page, { jwtToken: e.token(), ...IN }), 'ok');
        assert.equal(await page.evaluate(() => document.querySelectorAll('iframe').length), 1);
        assert.deepEqual(errors(), []);
    });

    test('destroy takes everything away, and what waits is rejected', async () => {
        const { page } = await e.open();
        assert.equal(await e.configure(page, { jwtToken: e.token(), ...IN }), 'ok');
        const waiting = settled(page, 'stoa.connect({ pieceName: "mailer" })');
        await page.waitForFunction(() => document.querySelectorAll('iframe').length === 2);
        await page.evaluate(() => window.stoa.destroy());
        assert.equal((await waiting).code, 'destroyed');
        assert.equal(await page.evaluate(() => document.querySelectorAll('iframe').length), 0);
        assert.equal((await settled(page, 'stoa.request({ path: "/flows" })')).code, 'not_configured');
        assert.equal(await e.configure(page, { jwtToken: e.token(), ...IN }), 'ok');
    });

    test('a frame that is taken out and put back by the host begins again by itself', async () => {
        const { page } = await e.open();
        assert.equal(await e.configure(page, { jwtToken: e.token(), ...IN }), 'ok');
        await page.evaluate(() => document.getElementById('builder').append(document.querySelector('iframe')));
        await hears(page, 'CLIENT_CONFIGURATION_FINISHED', 2);
    });
});

describe('connecting', () => {
    const dialogOf = async (page) => {
        await page.waitForFunction(() => [...document.querySelectorAll('iframe')].some((f) => f.title === 'Connect' && f.style.display === 'block'), null, { timeout: PATIENCE });
        return until(async () => {
            for (const frame of page.frames()) if (await frame.$('.sheet form').catch(() => null)) return frame;
            return undefined;
        }, 'the dialog');
    };

    test('in a frame: hidden until it is ready, filled with the keyboard, and it gives the connection', async () => {
        const { page, errors } = await e.open();
        const token = e.token();
        assert.equal(await e.configure(page, { jwtToken: token, ...IN }), 'ok');
        const connected = settled(page, 'stoa.connect({ pieceName: "@activepieces/piece-mail", connectionName: "letters" })');
        const frame = await dialogOf(page);
        assert.equal(await frame.textContent('h1'), 'Connect mailer');
        await frame.waitForFunction(() => document.hasFocus() && document.activeElement.dataset.secret === 'SMTP_PASSWORD', null, { timeout: PATIENCE });
        assert.deepEqual(await frame.evaluate(() => [...document.querySelectorAll('label')].map((l) => document.getElementById(l.htmlFor)?.tagName ?? l.textContent)), ['INPUT', 'INPUT', 'INPUT', 'INPUT', 'INPUT', 'SELECT']);
        await page.keyboard.type('correct horse');
        await frame.fill('[data-field=topics]', 'a, b ,');
        await frame.click('[type=submit]'); // the browser holds back what is required
        assert.ok(await frame.$('[data-field=sender]:invalid'));
        await frame.fill('[data-field=sender]', 'news@example.com');
        await frame.press('[data-field=sender]', 'Enter');
        const { value } = await connected;
        assert.deepEqual(Object.keys(value.connection).sort(), ['id', 'name']);
        assert.equal(value.connection.name, 'letters');
        assert.equal(await page.evaluate(() => document.querySelectorAll('iframe').length), 1);
        const list = (await (await e.session(token))('GET', '/connections')).json.data;
        assert.deepEqual([list[0].id, list[0].externalId, list[0].status], [value.connection.id, 'letters', 'ACTIVE']);
        assert.deepEqual(errors(), []);
        const again = settled(page, 'stoa.connect({ pieceName: "mailer", connectionName: "letters" })');
        const second = await dialogOf(page);
        await second.fill('[data-secret]', 'another');
        await second.fill('[data-field=sender]', 'x@example.com');
        await second.click('[type=submit]');
        assert.equal((await again).value.connection.id, value.connection.id, 'the one of that name is renewed');
    });

    test('closing without one: by the button, by Escape; the focus stays inside and goes back', async () => {
        const { page } = await e.open({}, e.host);
        assert.equal(await e.configure(page, { jwtToken: e.token() }), 'ok');
        await page.evaluate(() => {
            const button = document.createElement('button');
            button.id = 'before';
            document.body.prepend(button);
            button.focus();
        });
        let connected = settled(page, 'stoa.connect({ pieceName: "mailer" })');
        let frame = await dialogOf(page);
        for (let n = 0; n < 12; ++n) await page.keyboard.press('Tab');
        assert.ok(await frame.evaluate(() => document.querySelector('.sheet').contains(document.activeElement)), 'the focus is inside still');
        await frame.click('footer [type=button]');
        assert.deepEqual((await connected).value, {});
        assert.equal(await page.evaluate(() => document.activeElement.id), 'before');
        connected = settled(page, 'stoa.connect({ pieceName: "mailer" })');
        frame = await dialogOf(page);
        await frame.press('[data-secret]', 'Escape');
        assert.deepEqual((await connected).value, {});
    });

    test('what is not in the catalogue', async () => {
        const { page } = await e.open();
        assert.equal(await e.configure(page, { jwtToken: e.token() }), 'ok');
        const answer = await settled(page, 'stoa.connect({ pieceName: "nothing" })');
        assert.deepEqual([answer.name, answer.code, answer.status], ['StoaEmbedError', 'piece_not_found', 404]);
        const [message] = await heard(page, 'CLIENT_CONNECTION_PIECE_NOT_FOUND');
        assert.equal(JSON.parse(message.data.error).isValid, 'false');
        assert.equal((await settled(page, 'stoa.connect({})')).code, 'invalid_options');
    });

    test('in a window: who asks stands above the secret, and it closes itself', async () => {
        const { page, errors } = await e.open();
        assert.equal(await e.configure(page, { jwtToken: e.token() }), 'ok');
        const opening = page.waitForEvent('popup');
        const connected = settled(page, 'stoa.connect({ pieceName: "mailer", newWindow: { width: 500, height: 600 } })');
        const popup = await opening;
        await popup.waitForSelector('.sheet form', { timeout: PATIENCE });
        const told = await popup.textContent('.who');
        assert.ok(told.includes('acme') && told.includes(e.host.origin), told);
        assert.ok(await popup.evaluate(() => document.querySelector('.who').compareDocumentPosition(document.querySelector('[data-secret]')) & Node.DOCUMENT_POSITION_FOLLOWING));
        await popup.fill('[data-secret]', 'pass');
        await popup.fill('[data-field=sender]', 'a@b.c');
        const closed = popup.waitForEvent('close');
        await popup.click('[type=submit]');
        await closed;
        assert.match((await connected).value.connection.name, /./);
        assert.deepEqual(errors(), []);
    });

    test('a window that is closed: early it is an error, later the person\'s choice; one that is blocked', async () => {
        const { page } = await e.open();
        assert.equal(await e.configure(page, { jwtToken: e.token() }), 'ok');
        const isWindow = (url) => url.pathname.startsWith('/embed');
        await page.context().route(isWindow, () => {}); // its page never comes: however late the close is, it is early
        let opening = page.waitForEvent('popup');
        let connected = settled(page, 'stoa.connect({ pieceName: "mailer", newWindow: {} })');
        await (await opening).close();
        const early = await connected;
        assert.equal(early.code, 'closed', JSON.stringify(early));
        await page.context().unroute(isWindow);
        opening = page.waitForEvent('popup');
        connected = settled(page, 'stoa.connect({ pieceName: "mailer", newWindow: {} })');
        const popup = await opening;
        await popup.waitForSelector('.sheet form', { timeout: PATIENCE });
        await popup.close();
        assert.deepEqual((await connected).value, {});
        await page.evaluate(() => { window.open = () => null; });
        assert.equal((await settled(page, 'stoa.connect({ pieceName: "mailer", newWindow: {} })')).code, 'popup_blocked');
    });
});

describe('the npm package', () => {
    const folder = () => path.join(buildFolder(), 'embed/assets/npm');

    test('holds what it should, runs nothing at installation, and its types compile under --strict', () => {
        const where = temporaryDirectory('npm');
        const [packed] = JSON.parse(execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', where], { cwd: folder(), encoding: 'utf8', env: { ...process.env, npm_config_update_notifier: 'false' } }));
        assert.deepEqual(packed.files.map((f) => f.path).sort(), ['README.md', 'package.json', 'stoa-embed.d.ts', 'stoa-embed.js', 'stoa-embed.mjs']);
        const into = path.join(where, 'node_modules/@stoa/embed');
        fs.mkdirSync(into, { recursive: true });
        execFileSync('tar', ['-xzf', path.join(where, packed.filename), '-C', into, '--strip-components=1']);
        const about = JSON.parse(fs.readFileSync(path.join(into, 'package.json'), 'utf8'));
        assert.deepEqual([about.scripts, about.dependencies, about.version], [undefined, undefined, VERSION]);
        const use = (line) => fs.writeFileSync(path.join(where, 'use.ts'), `import stoa, { StoaEmbedError, version } from '@stoa/embed';
export async function start(): Promise<string> {
    const off = stoa.on('sessionExpiring', ({ expiresAt }) => console.log(expiresAt.length));
    await stoa.configure({ instanceUrl: 'https://x.example', getToken: async () => 'a', embedding: { containerId: 'b', styling: { mode: 'dark' }, navigation: { handler: ({ route }) => console.log(route) } } });
    const { connection } = await stoa.connect({ pieceName: 'p', newWindow: { width: 3 } }).catch((e: StoaEmbedError) => { throw new Error(e.code + e.status); });
    off();
    ${line}
    return connection?.name ?? version;
}
`);
        const compile = () => execFileSync('tsc', ['--noEmit', '--strict', '--target', 'es2020', '--module', 'es2020', '--moduleResolution', 'node', path.join(where, 'use.ts')], { cwd: where, encoding: 'utf8' });
        use('window.stoa?.navigate({ route: "/apps" });');
        compile();
        use('stoa.configure({});');
        assert.throws(compile, /status|Command failed/);
    });

    test('as a module it is the same thing as the script', async () => {
        const { page } = await e.open();
        const exported = await page.evaluate(async (url) => {
            const module = await import(url);
            return { names: Object.keys(module).sort(), same: module.default === module.stoa, verbs: Object.keys(module.stoa).sort() };
        }, `${e.server.console}${e.host.latest.module.url}`);
        assert.deepEqual(exported.names, ['StoaEmbedError', 'default', 'stoa', 'version']);
        assert.ok(exported.same);
        assert.deepEqual(exported.verbs, ['configure', 'connect', 'destroy', 'extractRouteFromUrl', 'navigate', 'on', 'request', 'updateToken', 'version']);
    });
});

test('a browser that blocks cookies and storage of third parties', async () => {
    const profile = temporaryDirectory('profile');
    fs.mkdirSync(path.join(profile, 'Default'));
    fs.writeFileSync(path.join(profile, 'Default/Preferences'), JSON.stringify({ profile: { block_third_party_cookies: true, cookie_controls_mode: 1 } }));
    const context = await chromium.launchPersistentContext(profile, {
        executablePath: WHOLE_CHROMIUM, args: [...(process.getuid() === 0 ? ['--no-sandbox'] : []), '--disable-dev-shm-usage'],
    });
    try {
        const page = await context.newPage();
        const errors = [];
        page.on('console', (m) => m.type() === 'error' && errors.push(m.text()));
        page.on('pageerror', (error) => errors.push(String(error)));
        await page.goto(e.host.origin);
        assert.equal(await e.configure(page, { jwtToken: e.token(), ...IN }), 'ok');
        const frame = await e.frame(page);
        await frame.waitForSelector('h1');
        const storage = await frame.evaluate(() => {
            try {
                return localStorage.length;
            } catch (error) {
                return error.name;
            }
        });
        assert.equal(storage, 'SecurityError', 'this browser does block it');
        assert.deepEqual(errors, []);
    } finally {
        await context.close();
    }
});
