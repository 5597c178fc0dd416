// What strangers try on embedding (docs/security.md, "Embedding"): pages that open, frame and talk to the builder, customers who hold one good
// token, other platforms, thieves of a session. What each check of a token says is in exchange.test.mjs; who may do what in tenants.test.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MAILER, startEmbedding } from '../harness/embed.mjs';
import { startHostPage } from '../harness/host-page.mjs';
import { pie } from '../harness/pie.mjs';
import { request, slowness } from '../harness/server.mjs';
import { claims, makePlatform, rsaPair } from '../harness/tokens.mjs';

const PATIENCE = 20000 * slowness();

let e;
before(async () => {
    // names are looked up where nobody answers, and at once
    e = await startEmbedding({ settings: { trusted_proxies: '127.0.0.1', proxy_header: 'X-Forwarded-For', dns_forwarders: '127.0.0.1@9' } });
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

describe('a page that frames, talks or goes away', () => {
    const CONSOLE = () => e.server.console;
    /** Some page with a frame of `src` in it; what the frame's own page came to. */
    async function framed(where, src, attributes = {}) {
        const { page } = await e.open({}, where);
        await page.evaluate(([url, more]) => new Promise((done) => {
            const frame = document.createElement('iframe');
            for (const [name, value] of Object.entries(more)) frame.setAttribute(name, value);
            frame.onload = () => setTimeout(done, 300);
            frame.src = url;
            document.body.append(frame);
        }), [src, attributes]);
        return page;
    }
    const heard = (page) => page.evaluate(() => window.heard.map((m) => m.type));

    test('frames nothing from an origin that no key allows, above the host neither, and without a referrer neither', async () => {
        const evil = await startHostPage(e.server, { script: false });
        try {
            for (const [src, more] of [['/embed', {}], ['/embed', { referrerpolicy: 'no-referrer' }], ['/p/acme/embed', {}], ['/embed', { sandbox: 'allow-scripts allow-same-origin' }]])
                assert.deepEqual(await heard(await framed(evil, CONSOLE() + src, more)), [], `${src} ${JSON.stringify(more)}`);
            // the allowed host, framed by the evil page: both stand above the builder
            const page = await framed(evil, e.host.origin);
            const host = page.frames().find((f) => f.url().startsWith(e.host.origin));
            const came = await host.evaluate(([instanceUrl, jwtToken]) => window.stoa.configure({ instanceUrl, jwtToken, timeout: 15000, embedding: { containerId: 'builder' } }).then(() => 'ok', (error) => error.code), [CONSOLE(), e.token()]);
            assert.equal(came, 'origin_not_allowed');
        } finally {
            await evil.close();
        }
    });

    test('a host page without an origin of its own (sandboxed) is heard by nobody', async () => {
        const sandboxed = await startHostPage(e.server, { script: false, headers: { 'content-security-policy': 'sandbox allow-scripts allow-popups' } });
        try {
            assert.deepEqual(await heard(await framed(sandboxed, `${CONSOLE()}/embed`)), []);
            const { page } = await e.open({}, sandboxed);
            const opening = page.waitForEvent('popup');
            await page.evaluate(([src, data]) => {
                addEventListener('message', ({ source, data: { type } }) => type === 'CLIENT_INIT' && source.postMessage({ type: 'VENDOR_INIT', data }, '*'));
                window.open(src, '_blank');
            }, [`${CONSOLE()}/embed`, { jwtToken: e.token() }]);
            const popup = await opening;
            await popup.waitForTimeout(1500);
            assert.equal(await popup.locator('nav').count(), 0);
            assert.ok(!(await heard(page)).includes('CLIENT_AUTHENTICATION_SUCCESS'));
        } finally {
            await sandboxed.close();
        }
    });

    test('an opener that is another page by now says nothing and hears nothing', async () => {
        const evil = await startHostPage(e.server, { script: false });
        try {
            const { page } = await e.open();
            const opening = page.waitForEvent('popup');
            await page.evaluate(([src, origin, data]) => {
                addEventListener('message', ({ source, data: { type } }) => type === 'CLIENT_INIT' && source.postMessage({ type: 'VENDOR_INIT', data }, origin));
                window.open(src, 'builder');
            }, [`${CONSOLE()}/embed`, CONSOLE(), { jwtToken: e.token() }]);
            const popup = await opening;
            const at = (title) => popup.waitForFunction((t) => document.querySelector('h1')?.textContent === t, title, { timeout: PATIENCE });
            await at('Apps');
            await page.goto(`${evil.origin}/`);
            assert.equal(await popup.evaluate(() => !!window.opener), true);
            // it cannot name the window, but say it could: the messages come from the opener all the same
            const asked = popup.evaluate(() => new Promise((done) => addEventListener('message', (event) => event.data.last && done(event.source === window.opener))));
            await popup.evaluate(() => window.opener.postMessage('here', '*'));
            await page.evaluate(() => 0);
            const [evilHeard] = await Promise.all([page.evaluate(([other]) => new Promise((done) => {
                addEventListener('message', ({ source }) => {
                    source.postMessage({ type: 'VENDOR_ROUTE_CHANGED', data: { vendorRoute: '/connections' } }, '*');
                    source.postMessage({ type: 'VENDOR_TOKEN_UPDATED', data: { jwtToken: other } }, '*');
                    source.postMessage({ type: 'VENDOR_INIT', data: { jwtToken: other } }, '*');
                    source.postMessage({ last: true }, '*');
                    done('asked');
                });
            }), [e.token()]), popup.evaluate(() => new Promise((done) => setTimeout(() => { window.opener.postMessage('again', '*'); done(); }, 200)))]);
            assert.equal(evilHeard, 'asked');
            assert.equal(await asked, true);
            await popup.click('a[data-route="/files"]');
            await at('Files');
            await popup.waitForTimeout(500);
            assert.equal(await popup.textContent('h1'), 'Files');
            assert.deepEqual((await heard(page)).filter((type) => type), [], 'no message of ours reaches the other page');
        } finally {
            await evil.close();
        }
    });

    test('odd messages of an allowed host: members of every object\'s prototype, wrong kinds, and many', async () => {
        const { page, errors } = await e.open();
        await page.evaluate(([src, origin, text]) => new Promise((done) => {
            const frame = document.createElement('iframe');
            addEventListener('message', ({ data: { type } }) => {
                if (type === 'CLIENT_INIT') frame.contentWindow.postMessage({ type: 'VENDOR_INIT', data: JSON.parse(text) }, origin);
                if (type === 'CLIENT_CONFIGURATION_FINISHED') done();
            });
            frame.src = src;
            document.body.append(frame);
        }), [`${CONSOLE()}/embed`, CONSOLE(), `{"__proto__":{"hideSidebar":true,"polluted":1},"constructor":{"prototype":{"polluted":1}},"jwtToken":"${e.token()}","initialRoute":"javascript:alert(1)","prefix":"//evil.example","locale":"__proto__"}`]);
        const frame = await e.frame(page);
        const at = (title) => frame.waitForFunction((t) => document.querySelector('h1')?.textContent === t && !document.querySelector('.skeleton'), title, { timeout: PATIENCE });
        await at('Apps');
        assert.deepEqual(await frame.evaluate(() => [{}.polluted, !!document.querySelector('nav'), document.querySelector('.sections a').getAttribute('href')]), [undefined, true, '#']);
        await page.evaluate((origin) => {
            const { contentWindow } = document.querySelector('iframe');
            const say = (message) => contentWindow.postMessage(message, origin);
            for (const type of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 7, null, {}, ['VENDOR_INIT']]) say({ type, data: { jwtToken: 'x' } });
            for (const data of [null, 7, 'x', [], { vendorRoute: {} }, { vendorRoute: ['/runs'] }, { vendorRoute: 'x'.repeat(5000) }, { vendorRoute: '//evil.example' }]) say({ type: 'VENDOR_ROUTE_CHANGED', data });
            for (const message of [null, undefined, 0, '', 'VENDOR_INIT', new ArrayBuffer(8), new Map([['type', 'VENDOR_INIT']])]) say(message);
            for (let i = 0; i < 300; ++i) say({ type: 'VENDOR_ROUTE_CHANGED', data: { vendorRoute: i % 2 ? '/runs' : '/files' } });
            say({ type: 'VENDOR_ROUTE_CHANGED', data: { vendorRoute: '/settings' } });
        }, CONSOLE());
        await at('Settings');
        assert.equal(await frame.evaluate(() => ({}).polluted), undefined);
        assert.deepEqual(errors(), []);
    });
});

describe('another platform', () => {
    test('ids of another tenant in bodies and queries, not in paths alone, are not found', async () => {
        const other = await makePlatform(e.server, 'other');
        const otherKey = await other.makeKey({ allowedOrigins: [e.host.origin] });
        const of = async (platform, token) => {
            const { token: session, ...rest } = (await platform.exchange(token, { origin: e.host.origin })).json;
            return { ...rest, ask: (method, where, body) => e.server.api(method, where, body, { token: session }) };
        };
        const front = 'manifest:\n  userSecrets:\n    TOKEN: { description: Yours }\n';
        const deploy = async (who, name) => (await who.ask('POST', '/api/plugins/import', pie(name, { 'index.html': 'x' }, { front }))).json;
        const mine = await of(e.acme, e.token());
        const neighbour = await of(e.acme, e.token());
        const theirs = await of(other, otherKey.sign({ role: 'Admin' }));
        const { plugin, instance, deployment } = await deploy(mine, 'of-mine');
        const session = (await e.acme.api('GET', '/api/sessions')).json.data.find((one) => one.userId === mine.id);
        for (const who of [theirs, neighbour]) {
            const own = await deploy(who, 'of-another');
            const domain = (await who.ask('POST', '/api/public-apps/domains', { hostname: `${who.projectId.slice(4, 12)}.customer-one.com`, instanceId: own.instance.id })).json;
            for (const [method, where, body] of [
                ['POST', '/api/public-apps/domains', { hostname: 'taken.customer-one.com', instanceId: instance.id }],
                ['PATCH', `/api/public-apps/domains/${domain.id}`, { instanceId: instance.id }],
                ['GET', `/api/files?instance=${instance.id}`],
                ['GET', `/api/public-apps/instances/${instance.id}/runs`],
                ['POST', `/api/plugins/${plugin.id}/instances`],
                ['POST', `/api/plugins/${own.plugin.id}/deployments/${deployment.id}/activate`],
                ['POST', '/api/connections', { pieceName: plugin.id, secrets: { TOKEN: 'x' } }],
                ['POST', '/api/connections', { pieceName: 'of-mine', secrets: { TOKEN: 'x' } }],
                ['DELETE', `/api/sessions/${session.id}`],
            ]) {
                const answer = await who.ask(method, where, body);
                assert.equal(answer.status, 404, `${method} ${where}: ${answer.text}`);
            }
        }
        for (const [method, where, body] of [
            ['GET', `/api/audit-events?projectId=${mine.projectId}`],
            ['DELETE', `/api/sessions?userId=${mine.id}`],
            ['DELETE', `/api/sessions?projectId=${mine.projectId}`],
            ['DELETE', `/api/sessions?keyId=${e.key.id}`],
            ['PATCH', '/api/v1/pieces', { ids: ['mailer'], offered: false }],
        ]) assert.equal((await other.api(method, where, body)).status, 404, where);
        assert.deepEqual((await other.api('GET', `/api/users?projectId=${mine.projectId}`)).json.data, []);
        assert.equal((await mine.ask('GET', '/api/v1/flows')).status, 200);
        // a platform offers what its owner project has, never a customer's own
        assert.equal((await e.acme.api('PATCH', '/api/v1/pieces', { ids: [plugin.id], offered: true })).status, 404);
    });

    test('has a hundred keys and no more, however many are made at once', async () => {
        const maker = await makePlatform(e.server, 'maker');
        const { publicKey } = rsaPair();
        const answers = [];
        while (answers.length < 120) // as many as may wait
            answers.push(...await Promise.all(Array.from({ length: 8 }, () => maker.api('POST', '/api/v1/signing-keys', { displayName: 'x', publicKey }))));
        assert.equal(answers.filter((a) => a.status === 201).length, 100);
        assert.ok(answers.filter((a) => a.status !== 201).every((a) => a.status === 409 && a.json.code === 'too_many_keys'));
    });

    test('with very many origins makes no head that proxies and clients refuse: who asks is named then', async () => {
        const many = await makePlatform(e.server, 'many');
        const origin = (i) => `https://${'a'.repeat(60)}.${'b'.repeat(60)}.n${i}.example.com`;
        for (const from of [0, 50]) await many.makeKey({ allowedOrigins: Array.from({ length: 50 }, (_, i) => origin(from + i)) });
        const framers = async (referer) => {
            const answer = await request(`${e.server.console}/p/many/embed`, { headers: { ...(referer && { referer }) } });
            assert.ok(answer.headers['content-security-policy'].length < 6144);
            return /frame-ancestors ([^;]*)/.exec(answer.headers['content-security-policy'])[1];
        };
        assert.equal(await framers(`${origin(77)}/page`), `'self' ${origin(77)}`);
        assert.equal(await framers(`${e.host.origin}/`), "'self'");
        assert.equal(await framers(), "'self'");
    });
});

describe('a customer with one good token', () => {
    let addresses = 0;
    const newAddress = () => `31.${(++addresses >> 8) & 255}.${addresses & 255}.7`;

    test('payloads that no parser should stumble over', async () => {
        const { acme, key, host, server } = e;
        const ask = (payload) => acme.exchange(key.signParts({ alg: 'RS256', typ: 'JWT', kid: key.id }, payload), { origin: host.origin, address: newAddress() });
        const good = JSON.stringify(claims());
        for (const payload of [`{"a":${'['.repeat(4000)}${']'.repeat(4000)}}`, good.replace('"Ada"', '"\\u0000"'), good.replace('"Ada"', '"\\ud800"'), Buffer.from(good.replace('"Ada"', '"\xff"'), 'latin1'),
            good.replace(/"exp":\d+/, '"exp":1e400'), good.replace(/"exp":\d+/, `"exp":${'9'.repeat(40)}`), good.replace(/"exp":\d+/, '"exp":253402300800'), good.replace('"Ada"', `"${'x'.repeat(257)}"`)]) {
            const answer = await ask(payload);
            assert.equal(answer.status, 401, `${String(payload).slice(0, 60)}: ${answer.text}`);
            assert.equal(answer.json.code, 'INVALID_BEARER_TOKEN');
        }
        // the last second there is, and the longest names: taken, and shown whole
        const long = '\u{1f600}'.repeat(256);
        const far = await ask(JSON.stringify(claims({ externalUserId: long, externalProjectId: long, firstName: long, lastName: long, email: long, exp: 253402300799 })));
        assert.equal(far.status, 200, far.text);
        assert.equal(far.json.email, long);
        assert.equal((await acme.api('GET', `/api/users/${far.json.id}`)).json.externalId, long);
        assert.equal((await acme.api('GET', `/api/projects/${far.json.projectId}`)).json.externalId, long);
        // a session is asked for in Authorization alone
        const { token } = far.json;
        for (const [query, headers] of [[`?token=${token}`, {}], [`?access_token=${token}`, {}], ['', { cookie: `token=${token}; session=${token}` }], ['', { authorization: `Basic ${token}` }]])
            assert.equal((await request(`${server.console}/api/v1/flows${query}`, { headers })).status, 401);
        assert.equal((await request(`${server.console}/api/v1/flows`, { headers: { authorization: `Bearer ${token}` } })).status, 200);
    });

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
