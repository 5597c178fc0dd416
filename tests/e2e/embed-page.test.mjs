// The page that is framed: who may frame it and what it may do, what it takes from the host and when, and what it shows. The host here
// speaks the protocol by hand, as one on another SDK would.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { MAILER, startEmbedding } from '../harness/embed.mjs';
import { startHostPage } from '../harness/host-page.mjs';
import { pie } from '../harness/pie.mjs';
import { repository, request, slowness } from '../harness/server.mjs';
import { makePlatform } from '../harness/tokens.mjs';

const PATIENCE = 20000 * slowness();
const EVIL = '<img src=x onerror="window.hacked=1">';

let e;
let plain; // a host page without the SDK
before(async () => {
    e = await startEmbedding({ managedDb: true });
    plain = await startHostPage(e.server, { script: false });
    const more = await e.acme.api('PATCH', `/api/v1/signing-keys/${e.key.id}`, { allowedOrigins: [e.host.origin, plain.origin] });
    assert.equal(more.status, 200, more.text);
    await e.catalogue(MAILER, fs.readFileSync(path.join(repository, 'examples/intake.pie'), 'utf8'),
        pie('odd', { 'index.html': 'x' }, { front: `description: '${EVIL}'\n` }).replace('displayName: odd', `displayName: '${EVIL}'`));
});
after(async () => {
    await plain?.close();
    await e?.stop();
});

/** A frame with the page in it, spoken to by hand: `init` is all of VENDOR_INIT's data. */
async function embed(init, { viewport, colorScheme, until = 'CLIENT_CONFIGURATION_FINISHED', ...opened } = {}) {
    const { page, errors } = opened.page ? opened : await e.open({ viewport, colorScheme }, plain);
    await page.evaluate(([src, origin, data, last]) => new Promise((done) => {
        const frame = document.createElement('iframe');
        frame.style.cssText = 'width:100%;height:100%;border:0';
        addEventListener('message', (event) => {
            if (event.data.type === 'CLIENT_INIT') frame.contentWindow.postMessage({ type: 'VENDOR_INIT', data }, origin);
            if (event.data.type === last) done();
        });
        frame.src = src;
        document.getElementById('builder').append(frame);
    }), [`${e.server.console}/embed`, e.server.console, init, until]);
    const frame = await e.frame(page);
    const at = (title) => frame.waitForFunction((t) => document.querySelector('h1')?.textContent === t && !document.querySelector('.skeleton'), title, { timeout: PATIENCE });
    const say = (type, data) => page.evaluate(([origin, message]) => document.querySelector('iframe').contentWindow.postMessage(message, origin), [e.server.console, { type, data }]);
    // at least so many, which may still be on their way from the frame
    const heard = async (type, least = 0) => {
        await page.waitForFunction(([t, n]) => window.heard.filter((m) => m.type === t).length >= n, [type, least]);
        return page.evaluate((t) => window.heard.filter((m) => m.type === t).map((m) => m.data), type);
    };
    return { page, frame, errors, at, say, heard };
}

describe('what is sent', () => {
    const get = (where, headers = {}, method = 'GET') => request(e.server.console + where, { headers, method });
    const framers = (answer) => /frame-ancestors ([^;]*)/.exec(answer.headers['content-security-policy'])[1];

    test('may be framed by the page that asks, if a key allows its origin, and by no other', async () => {
        assert.equal(framers(await get('/embed')), "'self'");
        assert.equal(framers(await get('/embed?currentDate=1', { referer: `${e.host.origin}/deep/page?x=1` })), `'self' ${e.host.origin}`);
        assert.equal(framers(await get('/embed/connections', { referer: plain.origin })), `'self' ${plain.origin}`);
        for (const referer of ['https://evil.example/', `${e.host.origin}.evil.example/`, `https://evil.example/${e.host.origin}/`, e.host.origin.replace('http:', 'https:'),
            `http://user@${new URL(e.host.origin).host}/`, 'null', 'about:blank', '://', `${e.host.origin};script-src *`, `${e.host.origin}, *`]) {
            assert.equal(framers(await get('/embed', { referer })), "'self'", referer);
        }
    });

    test('below /p/{platform} by that platform\'s origins alone', async () => {
        const other = await makePlatform(e.server, 'other');
        await other.makeKey({ allowedOrigins: ['https://other.example'] });
        await new Promise((done) => { setTimeout(done, 1500); }); // the table of origins is published soon
        assert.deepEqual(framers(await get('/p/acme/embed', { referer: 'https://other.example/' })).split(' ').sort(), ["'self'", e.host.origin, plain.origin].sort());
        assert.equal(framers(await get('/p/other/embed')), "'self' https://other.example");
        assert.equal(framers(await get('/embed', { referer: 'https://other.example/x' })), "'self' https://other.example");
    });

    test('its headers, at every path below', async () => {
        for (const where of ['/embed', '/embed/', '/embed/connections?pieceName=x', '/embed/any/thing', '/p/acme/embed']) {
            const { status, headers, text } = await get(where, { referer: e.host.origin });
            assert.equal(status, 200, where);
            assert.equal(headers['content-type'], 'text/html; charset=utf-8');
            assert.equal(headers['cache-control'], 'no-store');
            assert.equal(headers.vary, 'Referer');
            assert.equal(headers['x-content-type-options'], 'nosniff');
            assert.equal(headers['referrer-policy'], 'same-origin');
            for (const name of ['set-cookie', 'cross-origin-opener-policy', 'x-frame-options', 'access-control-allow-origin']) assert.equal(headers[name], undefined, name);
            const policy = headers['content-security-policy'];
            for (const part of ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"]) assert.ok(policy.includes(part), part);
            assert.ok(!/unsafe|\*/.test(policy));
            assert.ok(!/<script(?![^>]*\bsrc=)|<style|\son\w+=|style=/.test(text), 'nothing inline');
            for (const [, name, url, integrity] of text.matchAll(/(src|href)="(\/[^"]*)" integrity="([^"]*)"/g)) {
                const asset = await get(url);
                assert.deepEqual([asset.status, asset.headers['cache-control']], [200, 'public, max-age=31536000, immutable'], name);
                assert.match(integrity, /^sha384-/);
            }
            assert.equal((text.match(/integrity=/g) ?? []).length, 2);
        }
        assert.equal((await get('/embedded')).status, 404);
        assert.equal((await get('/embed/assets/0/console.js')).status, 404);
        const post = await get('/embed', {}, 'POST');
        assert.deepEqual([post.status, post.headers.allow], [405, 'GET, HEAD, OPTIONS']);
        const head = await get('/embed', {}, 'HEAD');
        assert.deepEqual([head.status, head.body.length], [200, 0]);
    });

    test('the console itself is framed by nobody', async () => {
        assert.match((await get('/')).headers['content-security-policy'], /frame-ancestors 'none'/);
    });

    test('opened alone it says what it is', async () => {
        const { page, errors } = await e.browser.open(`${e.server.console}/embed`);
        assert.match(await page.textContent('[role=alert]'), /belongs inside another product/);
        assert.deepEqual(errors, []);
    });
});

describe('what the host may say', () => {
    test('nothing but the token is looked at before it was exchanged', async () => {
        const { frame, heard, errors } = await embed({ jwtToken: 'no.good.token', mode: 'dark', fontUrl: 'https://fonts.example/x.css', fontFamily: 'X', locale: 'de', initialRoute: '/runs' }, { until: 'CLIENT_AUTHENTICATION_FAILED' });
        const [refused] = await heard('CLIENT_AUTHENTICATION_FAILED');
        assert.deepEqual([refused.code, refused.status], ['INVALID_BEARER_TOKEN', 401]);
        assert.equal(typeof refused.message, 'string');
        assert.deepEqual(await frame.evaluate(() => [document.documentElement.dataset.mode, document.documentElement.lang, document.querySelectorAll('link[rel=stylesheet]').length]), [undefined, 'en', 1]);
        assert.ok(!(await frame.textContent('body')).includes('Anmeldung'));
        assert.deepEqual(errors().filter((text) => !/401/.test(text)), []);
    });

    test('a VENDOR_INIT without a token, and one that is no object', async () => {
        for (const init of [{}, { jwtToken: 7 }, null, 'x']) {
            const { heard } = await embed(init, { until: 'CLIENT_AUTHENTICATION_FAILED' });
            assert.equal((await heard('CLIENT_AUTHENTICATION_FAILED'))[0].code, 'INVALID_BEARER_TOKEN');
        }
    });

    test('one VENDOR_INIT a page: a second is not heard', async () => {
        const { say, heard, at, frame } = await embed({ jwtToken: e.token() });
        await at('Apps');
        await say('VENDOR_INIT', { jwtToken: 'x.y.z', mode: 'dark' });
        await say('VENDOR_ROUTE_CHANGED', { vendorRoute: '/files' });
        await at('Files');
        assert.deepEqual(await heard('CLIENT_AUTHENTICATION_FAILED'), []);
        assert.equal(await frame.evaluate(() => document.documentElement.dataset.mode), undefined);
    });

    test('a host whose origin the token\'s key does not allow gets nothing', async () => {
        const other = await makePlatform(e.server, 'elsewhere');
        const key = await other.makeKey({ allowedOrigins: ['https://elsewhere.example'] });
        const { heard } = await embed({ jwtToken: key.sign({}) }, { until: 'CLIENT_AUTHENTICATION_FAILED' });
        const [refused] = await heard('CLIENT_AUTHENTICATION_FAILED');
        assert.ok(refused.status === 401 || refused.status === 403, JSON.stringify(refused));
    });

    test('theme, fonts and language, as far as they are fit to use', async () => {
        const good = await embed({ jwtToken: e.token(), mode: 'dark', fontUrl: 'https://fonts.test/a.css', fontFamily: 'Open Sans', locale: 'de-AT', prefix: '/x' });
        await good.at('Apps');
        assert.deepEqual(await good.frame.evaluate(() => {
            const root = document.documentElement;
            return [root.dataset.mode, root.lang, root.style.getPropertyValue('--font'), document.querySelectorAll('link[rel=stylesheet]')[1].href, document.querySelector('.sections a').getAttribute('href')];
        }), ['dark', 'de-AT', '"Open Sans", system-ui, sans-serif', 'https://fonts.test/a.css', `${plain.origin}/x/apps`]);
        assert.equal(await good.frame.textContent('.sections a[data-route="/runs"]'), 'Abläufe');
        for (const [fontUrl, fontFamily] of [['http://fonts.test/a.css', 'X'], ['https://fonts.test/a.css', 'X";}'], ['javascript:1', 'X'], ['https://fonts.test/a.css', undefined], ['data:text/css,', 'X'], ['https://fonts.test/a.css', 'x'.repeat(65)]]) {
            const bad = await embed({ jwtToken: e.token(), mode: 'blue', fontUrl, fontFamily, locale: '../../x', prefix: '//evil.example' });
            await bad.at('Apps');
            assert.deepEqual(await bad.frame.evaluate(() => {
                const root = document.documentElement;
                return [root.dataset.mode, root.style.getPropertyValue('--font'), document.querySelectorAll('link[rel=stylesheet]').length, document.querySelector('.sections a').getAttribute('href')];
            }), [undefined, '', 1, '#'], String(fontUrl));
        }
    });

    test('dark or light as the system where the host does not say; less is moved for who wants that', async () => {
        const ground = async (colorScheme, mode) => {
            const { frame, at } = await embed({ jwtToken: e.token(), mode }, { colorScheme });
            await at('Apps');
            return frame.evaluate(() => getComputedStyle(document.body).backgroundColor);
        };
        const dark = await ground('dark');
        const light = await ground('light');
        assert.notEqual(dark, light);
        assert.equal(await ground('light', 'dark'), dark);
        assert.equal(await ground('dark', 'light'), light);
    });

    test('routes: what stands at the start, aliases, and what is none', async () => {
        const { say, heard, at } = await embed({ jwtToken: e.token(), initialRoute: '/runs' });
        await at('Runs');
        assert.deepEqual(await heard('CLIENT_ROUTE_CHANGED'), [], 'the host knows where it began');
        for (const [route, title] of [['/flows', 'Apps'], ['/files/', 'Files'], ['//evil.example/x', 'Apps'], ['https://evil.example', 'Apps'], ['/domains', 'Domains'], ['/\\evil', 'Apps'], ['/settings', 'Settings'], ['/tables', 'Apps'], ['/connections', 'Connections']]) {
            await say('VENDOR_ROUTE_CHANGED', { vendorRoute: route });
            await at(title);
        }
        await say('VENDOR_ROUTE_CHANGED', { vendorRoute: 7 });
        await say('VENDOR_ROUTE_CHANGED', undefined);
        assert.deepEqual((await heard('CLIENT_ROUTE_CHANGED')).map((m) => m.route), ['/flows', '/files/', '/apps', '/apps', '/domains', '/apps', '/settings', '/apps', '/connections']);
        const odd = await embed({ jwtToken: e.token(), initialRoute: 'https://evil.example/' });
        await odd.at('Apps');
    });

    test('the flags that hide', async () => {
        const token = e.token();
        const call = await e.session(token);
        const app = (await call('POST', '/plugins/intake/instances')).json;
        const shown = async (flags) => {
            const { frame } = await embed({ jwtToken: token, initialRoute: `/flows/${app.id}`, ...flags });
            await frame.waitForSelector('.address');
            return frame.evaluate(() => [!!document.querySelector('nav'), !!document.querySelector('.brand'), document.querySelector('h1').textContent, document.querySelector('.way-back')?.textContent]);
        };
        assert.deepEqual(await shown({}), [true, true, 'File intake', 'All apps']);
        assert.deepEqual(await shown({ hideSidebar: true, hideFlowNameInBuilder: true, disableNavigationInBuilder: true }), [false, false, 'App', undefined]);
        assert.deepEqual(await shown({ hideLogoInBuilder: true, disableNavigationInBuilder: 'keep_home_button_only' }), [true, false, 'File intake', 'Home']);
        const { frame, heard } = await embed({ jwtToken: token, initialRoute: `/apps/${app.id}`, emitHomeButtonClickedEvent: true });
        await frame.click('.way-back');
        assert.deepEqual(await heard('CLIENT_BUILDER_HOME_BUTTON_CLICKED', 1), [{ route: `/apps/${app.id}` }]);
        assert.deepEqual(await heard('CLIENT_ROUTE_CHANGED'), []);
    });
});

describe('what it shows', () => {
    test('from an empty project to an app that is online, its runs, its files and its link; strangers\' words stay words', async () => {
        const { frame, page, at, heard, errors, say } = await embed({ jwtToken: e.token() });
        await at('Apps');
        assert.match(await frame.textContent('.empty'), /No apps yet/);
        assert.equal(await frame.textContent('.card:has-text("img") h3'), EVIL);
        await frame.click('.card:has-text("File intake") button');
        await at('File intake');
        const [{ route }] = await heard('CLIENT_ROUTE_CHANGED');
        const url = await frame.textContent('.address code');
        assert.equal(await frame.getAttribute('.heading a.primary', 'href'), url);
        assert.equal(await frame.evaluate(() => document.activeElement.tagName), 'H1', 'a reader is told where it is');
        assert.equal((await request(url)).status, 200);

        const form = new FormData();
        form.append('note', 'a note');
        form.append('file', new Blob(['hello\n'], { type: 'text/plain' }), `${EVIL}.txt`);
        const sent = await fetch(`${e.server.apps}/api/public-actions/${url.split('/').at(-2)}/upload`, { method: 'POST', body: form });
        assert.equal(sent.status, 200);
        await say('VENDOR_ROUTE_CHANGED', { vendorRoute: route });
        await frame.waitForSelector('section[aria-label=Files] .row', { timeout: PATIENCE });
        assert.match(await frame.textContent('section[aria-label=Files] .name'), /img/);
        await frame.waitForSelector('section[aria-label=Runs] .row', { timeout: PATIENCE });
        const opening = page.waitForEvent('popup');
        await frame.click('section[aria-label=Files] .row button');
        const shown = await opening;
        await shown.waitForURL(/\/files\//);
        await shown.waitForFunction(() => document.body.textContent.trim() === 'hello');
        await shown.close();
        await frame.click('section[aria-label=Runs] .name');
        await at('Run of upload');
        assert.match((await heard('CLIENT_ROUTE_CHANGED')).at(-1).route, /^\/runs\/.+/);
        assert.equal(await frame.evaluate(() => window.hacked), undefined);
        assert.deepEqual(errors(), []);
    });

    test('domains: the record to set, in words that can be copied', async () => {
        const token = e.token();
        const call = await e.session(token);
        await call('POST', '/plugins/intake/instances');
        const { frame, at, errors } = await embed({ jwtToken: token, initialRoute: '/domains' });
        await at('Domains');
        await frame.click('.heading button');
        await frame.fill('#new-domain', 'not a name');
        await frame.click('dialog [type=submit]');
        await frame.waitForSelector('dialog .trouble:not([hidden])');
        await frame.fill('#new-domain', 'forms.acme-example.org');
        await frame.click('dialog [type=submit]');
        await frame.waitForSelector('.records code');
        assert.match(await frame.textContent('.records'), /_stoa-challenge\.forms\.acme-example\.org/);
        await frame.click('.row .plain[aria-label^="Remove"]');
        await frame.click('dialog .danger');
        await frame.waitForSelector('.empty');
        assert.deepEqual(errors().filter((text) => !/422/.test(text)), []);
    });

    test('connections: made, renewed and removed', async () => {
        const { frame, at, errors } = await embed({ jwtToken: e.token(), initialRoute: '/connections' });
        await at('Connections');
        await frame.click('.heading button');
        await frame.click('dialog .card:has-text("mailer") button');
        await frame.fill('dialog [data-secret]', 'one');
        await frame.fill('dialog [data-field=sender]', 'a@b.c');
        await frame.fill('dialog [data-field=perDay]', '3');
        await frame.click('dialog [type=submit]');
        await frame.waitForSelector('.rows .row');
        assert.equal(await frame.textContent('.row .pill'), 'OK');
        await frame.click('.row button.small');
        await frame.waitForSelector('dialog form');
        await frame.press('dialog [data-secret]', 'Escape');
        await frame.waitForSelector('dialog', { state: 'detached' });
        await frame.click('.row .plain');
        assert.match(await frame.textContent('dialog'), /Remove the connection/);
        await frame.click('dialog .danger');
        await frame.waitForSelector('.empty');
        assert.deepEqual(errors(), []);
    });

    const LETTERS = { pieceName: 'mailer', secrets: { SMTP_PASSWORD: 's' }, fields: { sender: 'a@b.c' } };

    test('a connection that is renewed keeps its name', async () => {
        const token = e.token();
        const call = await e.session(token);
        assert.equal((await call('POST', '/connections', { ...LETTERS, externalId: 'letters', displayName: 'Letters to customers' })).status, 201);
        const { frame, at } = await embed({ jwtToken: token, initialRoute: '/connections' });
        await at('Connections');
        await frame.click('.row button.small');
        await frame.fill('dialog [data-secret]', 'another');
        await frame.fill('dialog [data-field=sender]', 'x@b.c');
        await frame.click('dialog [type=submit]');
        await frame.waitForSelector('dialog', { state: 'detached' });
        const [kept] = (await call('GET', '/connections')).json.data;
        assert.deepEqual([kept.displayName, kept.externalId], ['Letters to customers', 'letters']);
    });

    test('a connection that is refused: each field says why, and the first has the focus', async () => {
        const { frame, at, say } = await embed({ jwtToken: e.token(), initialRoute: '/connections' });
        await at('Connections');
        await frame.click('.heading button');
        await frame.click('dialog .card:has-text("mailer") button');
        await frame.fill('dialog [data-field=perDay]', '2');
        await frame.evaluate(() => { document.querySelector('dialog form').noValidate = true; }); // as what a browser does not see to
        await frame.click('dialog [type=submit]');
        await frame.waitForSelector('dialog [data-field=sender][aria-invalid=true]');
        const described = (selector) => frame.evaluate((s) => document.querySelector(s).getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' '), selector);
        assert.match(await described('[data-secret]'), /This secret is required/);
        assert.match(await described('[data-field=sender]'), /This field is required/);
        assert.equal(await frame.getAttribute('[data-field=perDay]', 'aria-invalid'), null);
        assert.equal(await frame.evaluate(() => document.activeElement.dataset.secret), 'SMTP_PASSWORD');
        assert.doesNotMatch(await frame.textContent('dialog'), /details/);
        await frame.fill('dialog [data-secret]', 'one');
        await frame.click('dialog [type=submit]');
        await frame.waitForSelector('dialog [data-secret]:not([aria-invalid])');
        await frame.waitForSelector('dialog [data-field=sender]:focus');
        await say('VENDOR_ROUTE_CHANGED', { vendorRoute: '/files' });

        const named = await embed({ jwtToken: e.token(), initialRoute: `/embed/connections?pieceName=mailer&connectionName=${'x'.repeat(300)}` });
        await named.frame.fill('[data-secret]', 'one');
        await named.frame.fill('[data-field=sender]', 'a@b.c');
        await named.frame.click('[type=submit]');
        await named.frame.waitForSelector('.trouble:has-text("1 to 256 characters")'); // of what has no field here
    });

    test('more than a page of them: all are there', async () => {
        const token = e.token();
        const call = await e.session(token);
        for (let n = 0; n < 103; ++n) assert.equal((await call('POST', '/connections', { ...LETTERS, externalId: `letters-${n}` })).status, 201);
        const { frame, at } = await embed({ jwtToken: token, initialRoute: '/connections' });
        await at('Connections');
        await frame.waitForSelector('.rows .row');
        assert.equal(await frame.evaluate(() => document.querySelectorAll('.rows .row').length), 103);
    });

    test('a dialog goes with the view it was opened in', async () => {
        const token = e.token();
        const call = await e.session(token);
        await call('POST', '/plugins/intake/instances');
        await call('POST', '/connections', LETTERS);
        const { frame, at, say, errors } = await embed({ jwtToken: token, initialRoute: '/connections' });
        for (const [route, title, button] of [['/connections', 'Connections', '.heading button'], ['/connections', 'Connections', '.row .plain'], ['/connections', 'Connections', '.row .small'], ['/domains', 'Domains', '.heading button']]) {
            await say('VENDOR_ROUTE_CHANGED', { vendorRoute: route });
            await at(title);
            await frame.click(button);
            await frame.waitForSelector('dialog[open]');
            await say('VENDOR_ROUTE_CHANGED', { vendorRoute: '/files' });
            await at('Files');
            await frame.waitForSelector('dialog', { state: 'detached', timeout: PATIENCE });
        }
        assert.deepEqual(errors(), []);
    });

    test('settings: the project by its name, and when the session ends, not its token', async () => {
        const { page, errors } = await e.open({}, plain);
        const endsAt = '2031-05-06T07:08:00.000Z';
        await page.route('**/managed-authn/external-token', async (route) => {
            const asked = route.request();
            const answer = await request(asked.url(), { method: 'POST', headers: asked.headers(), body: asked.postData() });
            await route.fulfill({ status: answer.status, json: { ...answer.json, projectName: 'Brook and daughters', endsAt } });
        });
        const { frame, at } = await embed({ jwtToken: e.token(), initialRoute: '/settings', locale: 'en' }, { page, errors });
        await at('Settings');
        const facts = await frame.evaluate(() => Object.fromEntries([...document.querySelectorAll('.facts-list > div')].map((one) => [one.querySelector('dt').textContent, one.querySelector('dd').textContent])));
        assert.equal(facts.Project, 'Brook and daughters');
        assert.match(facts['This session ends'], /2031/);
    });

    test('a role that may only look is not asked for a secret', async () => {
        const { frame, heard, errors } = await embed({ jwtToken: e.token({ role: 'Viewer' }), initialRoute: '/embed/connections?pieceName=mailer' });
        await frame.waitForSelector('.sheet footer button');
        assert.equal(await frame.textContent('.sheet .trouble'), 'Your role does not allow that.');
        assert.equal(await frame.$('form, input'), null);
        assert.equal((await heard('CLIENT_SHOW_CONNECTION_IFRAME', 1)).length, 1);
        await frame.click('.sheet footer button');
        assert.deepEqual(await heard('CLIENT_NEW_CONNECTION_DIALOG_CLOSED', 1), [{}]);
        assert.deepEqual(errors(), []);
    });

    test('a role that may only look is offered nothing else', async () => {
        const { frame, at, say } = await embed({ jwtToken: e.token({ role: 'Viewer' }) });
        await at('Apps');
        assert.equal(await frame.$('.card, .heading button:not([hidden])'), null);
        for (const [route, title] of [['/connections', 'Connections'], ['/domains', 'Domains']]) {
            await say('VENDOR_ROUTE_CHANGED', { vendorRoute: route });
            await at(title);
            assert.equal(await frame.$('.heading button:not([hidden])'), null, title);
        }
        await say('VENDOR_ROUTE_CHANGED', { vendorRoute: '/settings' });
        await at('Settings');
        assert.match(await frame.textContent('main'), /Viewer/);
    });

    test('what is not there, and a server that is away: a sentence and another try', async () => {
        const { frame, page, at, say } = await embed({ jwtToken: e.token(), initialRoute: '/apps/nothing' });
        await frame.waitForSelector('.trouble');
        assert.match(await frame.textContent('.trouble'), /nothing here, or it is not yours/);
        await page.context().setOffline(true);
        await say('VENDOR_ROUTE_CHANGED', { vendorRoute: '/files' });
        await frame.waitForSelector('.trouble:has-text("cannot be reached")');
        await page.context().setOffline(false);
        await frame.click('.trouble button');
        await at('Files');
        await frame.waitForSelector('.empty');
    });

    test('on a phone nothing is wider than it is, and with the keyboard alone one gets about', async () => {
        const token = e.token();
        const call = await e.session(token);
        const app = (await call('POST', '/plugins/intake/instances')).json;
        const { frame, page, at, say } = await embed({ jwtToken: token }, { viewport: { width: 360, height: 740 } });
        for (const [route, title] of [['/apps', 'Apps'], [`/apps/${app.id}`, 'File intake'], ['/runs', 'Runs'], ['/files', 'Files'], ['/domains', 'Domains'], ['/connections', 'Connections'], ['/settings', 'Settings']]) {
            await say('VENDOR_ROUTE_CHANGED', { vendorRoute: route });
            await at(title);
            assert.ok(await frame.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${title} is too wide`);
        }
        await frame.focus('.sections a');
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        await at('Runs');
        const unnamed = await frame.evaluate(() => [...document.querySelectorAll('a, button, input, select')].filter((one) =>
            !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length)).map((one) => one.outerHTML));
        assert.deepEqual(unnamed, []);
    });
});
