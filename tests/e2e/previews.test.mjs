// Previews (contract §2, security-rules.md 11): any kept deployment by its own id, marked, never stored, and in an origin of nobody
// (opaque on the apps origin, a host of its own with instance_domain): what its scripts may not touch is tried in Chromium.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBrowser } from '../harness/browser.mjs';
import { pie } from '../harness/pie.mjs';
import { request, startServer, until } from '../harness/server.mjs';

const SANDBOX = 'sandbox allow-scripts allow-forms';
const HOSTED = `${SANDBOX} allow-same-origin`; // its host is its own: to be opaque there would only keep it from its actions
let plain; // previews are paths of the apps origin
let own; // previews have hosts: p-{id}.apps.localhost
let browser;
before(async () => {
    [plain, own, browser] = await Promise.all([
        startServer(), startServer({ settings: { instance_domain: 'apps.localhost' } }), openBrowser({ hosts: { '*.apps.localhost': '127.0.0.1' } }),
    ]);
});
after(async () => {
    await browser?.close();
    await Promise.all([plain?.stop(), own?.stop()]);
});

const html = (title, body = '') => `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>${title}</title>${body}`;
async function deploy(server, text) {
    const made = await server.api('POST', '/api/plugins/import', text);
    assert.ok(made.status < 300, made.text);
    return made.json;
}
const live = (made) => `/apps/${made.plugin.slug}/${made.instance.slug}`;
const preview = (made, id = made.deployment.id) => `${live(made)}@${id}`;
const get = (server, where, headers = {}, more = {}) => request(server.apps, { path: where, headers, ...more });
const at = (server, host, where, headers = {}, more = {}) => get(server, where, { host: `${host}:${new URL(server.apps).port}`, ...headers }, more);

const FILES = {
    'index.html': html('first'), '404.html': html('first 404'), 'a.txt': '0123456789', 'docs/index.html': 'docs',
    'app.0a1b2c3d.js': `// ${'x'.repeat(3000)}`,
};

// Every answer that a preview can give, as [where, headers, status].
const ANSWERS = [
    ['/', {}, 200], ['/a.txt', {}, 200], ['/app.0a1b2c3d.js', { 'accept-encoding': 'br' }, 200], ['/a.txt', { range: 'bytes=1-2' }, 206], ['/a.txt', { range: 'bytes=0-1,5-6' }, 206],
    ['/a.txt', { range: 'bytes=99-' }, 416], ['/a.txt', { 'if-match': '"x"' }, 412], ['/docs', {}, 308], ['//a.txt', {}, 308], ['/none', {}, 404], ['/.env', {}, 404], ['/deep/none.js', { 'sec-fetch-dest': 'script' }, 404],
];
async function checkAnswers(ask, sandbox) {
    for (const [where, headers, status] of ANSWERS) {
        const got = await ask(where, headers);
        const what = `${where} ${JSON.stringify(headers)}`;
        assert.equal(got.status, status, what);
        assert.equal(got.headers['x-robots-tag'], 'noindex', what);
        assert.match(got.headers['cache-control'], /no-store/, what);
        assert.doesNotMatch(got.headers['cache-control'], /public|immutable/, what);
        if (got.body.length > 0) assert.match(got.headers['content-security-policy'] ?? '', new RegExp(`^${sandbox}$|default-src 'none'`), what);
        if (status < 300) assert.equal(got.headers['content-security-policy'], sandbox, what);
        assert.equal(got.headers['access-control-allow-origin'], sandbox === SANDBOX ? '*' : undefined, what);
        assert.equal(got.headers['service-worker-allowed'], undefined);
    }
    const { etag } = (await ask('/a.txt')).headers;
    const unchanged = await ask('/a.txt', { 'if-none-match': etag });
    assert.deepEqual([unchanged.status, unchanged.headers['cache-control']], [304, 'private, no-store']);
}

test('every answer of a preview is marked and never stored', async () => {
    const made = await deploy(plain, pie('marked', FILES, { config: 'entry: index.html' }));
    await checkAnswers((where, headers) => get(plain, preview(made) + where, { accept: 'text/html', ...headers }), SANDBOX);
    const page = await get(plain, `${live(made)}/`);
    assert.deepEqual([page.headers['x-robots-tag'], page.headers['content-security-policy']], [undefined, undefined]);
});

test('so on a host of its own, where the path leads', async () => {
    const made = await deploy(own, pie('marked', FILES, { config: 'entry: index.html' }));
    const host = `p-${made.deployment.id}.apps.localhost`;
    await checkAnswers((where, headers) => at(own, host, where, { accept: 'text/html', ...headers }), HOSTED);
    const moved = await get(own, `${preview(made)}/docs?q=1`);
    assert.deepEqual([moved.status, moved.headers.location], [308, `http://${host}:${new URL(own.apps).port}/docs?q=1`]);
    assert.deepEqual([moved.headers['cache-control'], moved.headers['x-robots-tag'], moved.body.length], ['private, no-store', 'noindex', 0]);
    assert.equal((await at(own, host.toUpperCase(), '/a.txt')).text, FILES['a.txt']);
    const ordinary = await at(own, `${made.instance.slug}.apps.localhost`, '/');
    assert.equal(ordinary.headers['content-security-policy'], undefined);
});

test('a file that nobody has asked for yet is marked in all its forms', async () => {
    const cold = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`cold${i}.txt`, `0123456789 ${i}`]));
    const made = await deploy(own, pie('cold', { 'index.html': html('cold'), ...cold }));
    const ask = (where, headers) => at(own, `p-${made.deployment.id}.apps.localhost`, where, headers);
    for (let i = 0; i < 4; ++i) assert.equal((await ask('/')).status, 200); // on every loop the app is known, its files are not
    for (const name of Object.keys(cold)) {
        const parts = await ask(`/${name}`, { range: 'bytes=0-1,5-6' });
        assert.deepEqual([parts.status, parts.headers['x-robots-tag'], parts.headers['content-security-policy']], [206, 'noindex', HOSTED]);
    }
});

test('old deployments are reached by id, ids are random, and no content hash is in an address', async () => {
    const contents = ['one', 'two', 'one'];
    const made = [];
    for (const title of contents) made.push(await deploy(plain, pie('kept', { 'index.html': html(title) })));
    const twin = await deploy(plain, pie('twin', { 'index.html': html('one') }));
    const ids = [...made, twin].map((m) => m.deployment.id);
    assert.equal(new Set(ids).size, 4, 'the same bytes, another id');
    for (const id of ids) assert.match(id, /^[0-9a-z]{26}$/); // 128 random bits
    for (const [i, title] of contents.entries()) assert.match((await get(plain, `${preview(made[i])}/`)).text, new RegExp(`<title>${title}<`));
    const etags = await Promise.all(made.map(async (m) => (await get(plain, `${preview(m)}/`)).headers.etag.replaceAll('"', '')));
    assert.equal(etags[0], etags[2]);
    for (const answer of made) assert.equal(JSON.stringify(answer).includes(etags[0].slice(0, 12)), false);
    await plain.api('POST', `/api/plugins/kept/deployments/${ids[0]}/activate`);
    for (const id of ids.slice(0, 3)) assert.equal((await get(plain, `${preview(made[0], id)}/`)).status, 200);
});

test('wrong ids are 404, and name nothing', async () => {
    const made = await deploy(plain, pie('wrong', { 'index.html': html('right'), 'a.txt': 'a' }));
    const other = await deploy(plain, pie('other', { 'index.html': html('other') }));
    const { id } = made.deployment;
    const last = id.at(-1) === '0' ? '1' : '0';
    const { etag } = (await get(plain, `${preview(made)}/`)).headers;
    for (const wrong of ['', 'x', id.slice(1), `${id}0`, id.slice(0, 25) + last, id.toUpperCase(), `${id}@${id}`, `${id}@`, `-${id.slice(1)}`, etag.slice(1, 25), 'latest', 'null',
        made.plugin.id, `${id}%00`, `${id};a`, '0'.repeat(26), other.deployment.id]) {
        const got = await get(plain, `${preview(made, wrong)}/a.txt`, { 'accept-encoding': 'identity' });
        assert.ok(got.status === 404 || (wrong.includes('%00') && got.status === 400), `${wrong}: ${got.status}`);
        assert.equal(got.text.includes('right'), false);
    }
    assert.equal((await get(plain, `/apps/other/${made.instance.slug}@${id}/`)).status, 404); // another plugin's slug
    assert.equal((await get(plain, `/apps/wrong/wrong-00000000@${id}/`)).status, 404);
    assert.equal((await get(plain, `/apps/wrong/@${id}/`)).status, 404);
    const text = await get(plain, `${live(made)}%40${id}/a.txt`);
    assert.deepEqual([text.status, text.headers.location], [308, `${preview(made)}/a.txt`]);
    const elsewhere = await deploy(own, pie('wrong', { 'index.html': html('elsewhere') }));
    for (const label of [`p-${id}`, `p-${elsewhere.deployment.id.slice(1)}`, `p-${elsewhere.deployment.id}0`, `P-${elsewhere.deployment.id}x`, elsewhere.deployment.id]) {
        assert.equal((await at(own, `${label}.apps.localhost`, '/')).status, 404, label);
    }
    // and the host of a preview serves nothing but it
    assert.equal((await at(own, `p-${elsewhere.deployment.id}.apps.localhost`, '/api/plugins', { authorization: `Bearer ${own.token}`, 'sec-fetch-dest': 'script' })).status, 404);
});

test('what was deleted has no preview', async () => {
    const first = await deploy(plain, pie('gone', { 'index.html': html('gone') }));
    const copy = (await plain.api('POST', '/api/plugins/gone/instances')).json;
    assert.equal((await get(plain, `/apps/gone/${copy.slug}@${first.deployment.id}/`)).status, 200);
    await plain.api('DELETE', `/api/plugins/gone/instances/${copy.slug}`);
    await until(async () => (await get(plain, `/apps/gone/${copy.slug}@${first.deployment.id}/`)).status === 404, 'the instance to go', 3000);
    assert.equal((await get(plain, `${preview(first)}/`)).status, 200);
    await plain.api('DELETE', '/api/plugins/gone');
    await until(async () => (await get(plain, `${preview(first)}/`)).status === 404, 'the preview to go', 3000);
});

// --- its actions ---

const CODE = 'module.exports = { handler: (input, context) => { context.publicApp.respond({ said: input.payload.say ?? "NAME", id: input.instanceId }); } };';
const EVENTS = 'manifest:\n  heartbeatEvents:\n    events:\n      - id: said\n        displayName: Said\n        matchers:\n          - source: public\n            actionId: say\n';
const runsOf = async (server, made) => (await server.api('GET', `/api/public-apps/instances/${made.instance.id}/runs`)).json.data;

test('no action can be called by a preview on the apps origin, whatever it sends', async () => {
    const made = await deploy(plain, pie('acting', { 'index.html': html('acting') }, { code: CODE }));
    const body = { method: 'POST', body: '{}' };
    for (const where of [`/api/public-actions/${made.instance.slug}@${made.deployment.id}/load`, `/api/public-actions/${made.deployment.id}/load`, `${preview(made)}/api/public-actions/_/load`]) {
        const got = await get(plain, where, { 'content-type': 'application/json', 'content-length': 2, origin: 'null' }, body);
        assert.ok([404, 405].includes(got.status), `${where}: ${got.status}`);
    }
    // nor the live app's, which is what a sandboxed page's requests say they are: from nowhere
    const live_ = `/api/public-actions/${made.instance.slug}/say`;
    for (const [headers, more] of [[{ 'content-type': 'application/json', 'content-length': 2 }, body], [{ 'content-length': 0 }, { method: 'POST' }], [{ 'access-control-request-method': 'POST' }, { method: 'OPTIONS' }]]) {
        const got = await get(plain, live_, { origin: 'null', ...headers }, more);
        assert.deepEqual([got.status, got.json?.code, got.headers['access-control-allow-origin']], [403, 'origin_not_allowed', undefined]);
    }
    const { page, context } = await browser.open(`${plain.apps}${preview(made)}/`);
    const tried = await page.evaluate(async (url) => {
        const attempt = async (what) => { try { return String((await what()).type); } catch (error) { return error.name; } };
        const form = Object.assign(document.createElement('form'), { method: 'post', action: url, enctype: 'text/plain' });
        document.body.append(form);
        return {
            json: await attempt(() => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })),
            empty: await attempt(() => fetch(url, { method: 'POST' })),
            blind: await attempt(() => fetch(url, { method: 'POST', mode: 'no-cors' })), // sent, and refused
            beacon: String(navigator.sendBeacon(url)),
        };
    }, `${plain.apps}${live_}`);
    assert.deepEqual(tried, { json: 'TypeError', empty: 'TypeError', blind: 'opaque', beacon: 'true' });
    await Promise.all([page.waitForNavigation(), page.evaluate('document.forms[0].submit()')]); // a form goes as a navigation
    assert.equal(new URL(page.url()).pathname, live_);
    assert.match(await page.textContent('body'), /takes no requests from that page/);
    await context.close();
    const asked = await get(plain, live_, { 'content-length': 0 }, { method: 'POST' }); // the handler is there
    assert.equal(asked.status, 200, asked.text);
    assert.equal((await until(async () => { const runs = await runsOf(plain, made); return runs.length > 0 && runs; }, 'the run')).length, 1);
});

test('a preview\'s own host answers its deployment\'s actions, to its own pages', async () => {
    const old = await deploy(own, pie('hosted', { 'index.html': html('old') }, { code: CODE.replace('NAME', 'old'), front: EVENTS }));
    const made = await deploy(own, pie('hosted', { 'index.html': html('new') }, { code: CODE.replace('NAME', 'new'), front: EVENTS }));
    const other = await deploy(own, pie('hosted-other', { 'index.html': html('other') }, { code: CODE }));
    const say = (deployment, ref = '_', headers = {}, name = 'say') => at(own, `p-${deployment.id}.apps.localhost`, `/api/public-actions/${ref}/${name}`, { 'content-type': 'application/json', 'content-length': 2, ...headers }, { method: 'POST', body: '{}' });
    for (const [{ deployment }, title] of [[old, 'old'], [made, 'new']]) {
        for (const ref of ['_', '', made.instance.slug, made.instance.id, 'c']) {
            const got = await say(deployment, ref);
            assert.deepEqual([got.status, got.json.data], [200, { said: title, id: made.instance.id }], `${title} ${ref}: ${got.text}`);
        }
    }
    assert.deepEqual([(await say(old.deployment, other.instance.slug)).status, (await say({ id: '0'.repeat(26) })).status], [404, 404]);
    const self = await at(own, `p-${old.deployment.id}.apps.localhost`, '/api/public-apps/self');
    assert.deepEqual(self.json, { instanceId: made.instance.id, instanceSlug: made.instance.slug, pluginSlug: 'hosted' });
    // foreign pages: nowhere, the live app, another preview, another app, the console
    const port = new URL(own.apps).port;
    const origins = ['null', `http://${made.instance.slug}.apps.localhost:${port}`, `http://p-${made.deployment.id}.apps.localhost:${port}`, `http://${other.instance.slug}.apps.localhost:${port}`, new URL(own.console).origin, `http://p-${old.deployment.id}.apps.localhost:1`];
    for (const origin of origins) assert.equal((await say(old.deployment, '_', { origin })).status, 403, origin);
    assert.equal((await say(old.deployment, '_', { origin: `http://p-${old.deployment.id}.apps.localhost:${port}` })).status, 200);
    // and a preview's page may not call the live app
    const back = await at(own, `${made.instance.slug}.apps.localhost`, '/api/public-actions/_/say', { 'content-length': 0, origin: `http://p-${old.deployment.id}.apps.localhost:${port}` }, { method: 'POST' });
    assert.equal(back.status, 403);
    const live_ = await at(own, `${made.instance.slug}.apps.localhost`, '/api/public-actions/_/say', { 'content-length': 0 }, { method: 'POST' });
    assert.equal(live_.json?.data.said, 'new', live_.text);

    const { page, context, errors } = await browser.open(`${own.apps}${preview(old)}/`);
    const called = await page.evaluate(async () => (await fetch('/api/public-actions/_/say', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"say":"from the page"}' })).json());
    assert.deepEqual(called, { success: true, data: { said: 'from the page', id: made.instance.id } }, errors.join('\n'));
    await context.close();

    const runs = await until(async () => { const list = await runsOf(own, made); return list.length === 13 && list; }, 'all runs');
    assert.deepEqual(runs.map((r) => r.preview).filter((is) => !is).length, 1, JSON.stringify(runs[0]));
    assert.equal(runs.filter((r) => r.deploymentId === old.deployment.id).length, 7, 'five, one with its origin, one of its page');
    const events = await until(async () => { const list = (await own.api('GET', `/api/public-apps/instances/${made.instance.id}/events`)).json.data; return list.length > 0 && list; }, 'the live run\'s event');
    assert.deepEqual(events.map((e) => e.runId), [runs.find((r) => !r.preview).id]);
});

// --- in a browser ---

// Tries everything, and leaves in window.tried what each attempt came to.
const TRY = `<script>
const attempt = async (what) => { try { return String(await what()); } catch (error) { return error.name; } };
window.done = (async () => { window.tried = {
    origin: self.origin,
    localStorage: await attempt(() => localStorage.getItem('secret')),
    sessionStorage: await attempt(() => sessionStorage.getItem('secret')),
    cookie: await attempt(() => document.cookie),
    setCookie: await attempt(() => { document.cookie = 'planted=1;path=/'; return 'set'; }),
    indexedDB: await attempt(() => new Promise((done, fail) => { const r = indexedDB.open('d'); r.onsuccess = () => done('open'); r.onerror = () => fail(r.error); })),
    caches: await attempt(() => caches.open('c')),
    worker: await attempt(() => navigator.serviceWorker.register('./sw.js')),
    // the page of the app beside it, which holds what its visitors see
    page: await attempt(async () => (await fetch(new URLSearchParams(location.search).get('read'))).text()),
    parent: await attempt(() => parent === self ? 'none' : parent.document.title),
    popup: await attempt(() => window.open('about:blank') === null ? 'blocked' : 'open'),
}; })();
</script>`;
const NOTHING = {
    origin: 'null', localStorage: 'SecurityError', sessionStorage: 'SecurityError', cookie: 'SecurityError', setCookie: 'SecurityError', indexedDB: 'SecurityError',
    caches: 'SecurityError', worker: 'SecurityError', page: 'TypeError', popup: 'blocked',
};

// `own` is what it gets of an origin of its own, on the server whose previews have hosts.
async function attack(server, { cookie, own: ofItsOwn = {} }) {
    const made = await deploy(server, pie('target', { 'index.html': html('target', TRY), 'sw.js': '' }));
    const other = await deploy(server, pie('target', { 'index.html': html('newer') }));
    const page = await (await browser.browser.newContext()).newPage();
    // the live app's visitor has something to lose
    await page.goto(other.publicAppUrl);
    await page.evaluate((c) => { localStorage.setItem('secret', 'mine'); sessionStorage.setItem('secret', 'mine'); document.cookie = c; }, cookie);
    assert.match(await page.evaluate('document.cookie'), /secret=mine/);
    const address = `${server.apps}${preview(made)}/?read=${encodeURIComponent(other.publicAppUrl)}`;
    await page.goto(address);
    await page.evaluate('window.done');
    const tried = await page.evaluate('window.tried');
    const { parent, ...rest } = tried;
    const wanted = { ...NOTHING, ...ofItsOwn, ...(ofItsOwn.origin && { origin: new URL(page.url()).origin }) };
    assert.deepEqual(rest, wanted);
    assert.equal(parent, 'none');
    // framed by the app itself it is a stranger still
    await page.goto(other.publicAppUrl);
    await page.evaluate((src) => new Promise((done) => {
        const frame = document.body.appendChild(document.createElement('iframe'));
        frame.onload = done;
        frame.src = src;
    }), address);
    const frame = page.frames()[1];
    await frame.evaluate('window.done');
    const framed = await frame.evaluate('window.tried');
    assert.deepEqual(framed, { ...wanted, parent: 'SecurityError', ...(ofItsOwn.cookie && { cookie: `${ofItsOwn.cookie}; planted=1` }) }); // its own, of before
    assert.equal(await page.evaluate('document.querySelector("iframe").contentDocument'), null);
    assert.equal(await page.evaluate('localStorage.getItem("secret")'), 'mine');
    assert.doesNotMatch(await page.evaluate('document.cookie'), /planted/);
    await page.context().close();
    return made;
}

test('Chromium: a script in a preview reads nothing of the apps origin', async () => {
    await attack(plain, { cookie: 'secret=mine;path=/' });
    // the attempts are real ones: the live page, with the same script, gets through
    const made = await deploy(plain, pie('control', { 'index.html': html('control', TRY), 'sw.js': '' }));
    const page = await (await browser.browser.newContext()).newPage();
    await page.goto(`${made.publicAppUrl}?read=${encodeURIComponent(made.publicAppUrl)}`);
    await page.evaluate('window.done');
    const tried = await page.evaluate('window.tried');
    for (const [what, came] of Object.entries(tried)) assert.notEqual(came, NOTHING[what], what);
    assert.match(tried.page, /control/);
    await page.context().close();
});

test('Chromium: nor on a host of its own, of the app beside it', async () => {
    // its storage is there, and empty; a cookie for the whole domain is what every app on it sees, as browsers have it
    const made = await attack(own, { cookie: 'secret=mine;path=/;domain=apps.localhost', own: {
        origin: 'its own', localStorage: 'null', sessionStorage: 'null', cookie: 'secret=mine', setCookie: 'set', indexedDB: 'open', caches: '[object Cache]', worker: '[object ServiceWorkerRegistration]' } });
    const page = await browser.browser.newPage();
    await page.goto(`${own.apps}${preview(made)}/?read=x`);
    assert.equal(new URL(page.url()).hostname, `p-${made.deployment.id}.apps.localhost`);
    await page.close();
});

test('Chromium: a built app works in its preview, from a deep route as well', async () => {
    const app = {
        'index.html': html('module', '<link rel="stylesheet" crossorigin href="./assets/main.css"><script type="module" crossorigin src="./assets/app.js"></script>'),
        'assets/app.js': 'import { name } from "./part.js"; document.body.textContent = name;', 'assets/part.js': 'export const name = "it runs";', 'assets/main.css': 'body{color:rgb(1,2,3)}',
    };
    for (const server of [plain, own]) {
        const made = await deploy(server, pie('module', app));
        for (const where of ['/', '/form/abc']) {
            const { page, errors, context } = await browser.open(`${server.apps}${preview(made)}${where}`);
            await page.waitForFunction(() => document.body.textContent === 'it runs', undefined, { timeout: 10000 }).catch(() => assert.fail(`${where}: ${errors.join('\n')}`));
            assert.equal(await page.evaluate('getComputedStyle(document.body).color'), 'rgb(1, 2, 3)');
            assert.deepEqual(errors, []);
            await context.close();
        }
    }
});

test('each deployment\'s actions are run by its own code, whoever else is asked meanwhile', async () => {
    const code = (version) => ({ code: `let n = 0; module.exports = { handler: () => ['${version}', ++n] };` });
    const files = { 'index.html': html('mixed') };
    const kept = await deploy(own, pie('mixed', files, code('kept')));
    const present = await deploy(own, pie('mixed', files, code('present')));
    const port = new URL(own.apps).port;
    const ask = (host) => request(own.apps, { method: 'POST', path: '/api/public-actions/_/go', body: '{}', headers: { host: `${host}.apps.localhost:${port}`, 'content-type': 'application/json', 'content-length': 2 } });
    const live = () => ask(present.instance.slug), former = () => ask(`p-${kept.deployment.id}`);
    for (let n = 1; n <= 4; ++n) {
        assert.deepEqual((await live()).json?.data, ['present', n]);
        assert.deepEqual((await former()).json?.data, ['kept', n]);
    }
    const back = await own.api('POST', `/api/plugins/${kept.plugin.id}/deployments/${kept.deployment.id}/activate`);
    assert.equal(back.status, 200, back.text);
    assert.deepEqual((await until(async () => { const answer = await live(); return answer.json?.data?.[0] === 'kept' && answer; }, 'the switch')).json.data, ['kept', 5]);
    const recorded = async () => (await own.api('GET', `/api/public-apps/instances/${present.instance.id}/runs?limit=100`)).json.data.filter((r) => r.deploymentId === present.deployment.id);
    await until(async () => (await recorded()).length === 4, 'the records of the four it ran');
});
