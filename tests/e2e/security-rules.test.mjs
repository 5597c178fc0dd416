// The rules of docs/security.md that can be attacked with a browser, a socket or another process: 1, 13 to 17, 21, 22 and 28.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from '../harness/browser.mjs';
import { raw } from '../harness/names.mjs';
import { archive, pie } from '../harness/pie.mjs';
import { maySeeAll, processTree } from '../harness/processes.mjs';
import { buildFolder, plainEnvironment, request, startServer, temporaryDirectory, until } from '../harness/server.mjs';

let server; // every app at {instance}.apps.localhost, which Chromium trusts with workers over plain HTTP
let paths; // apps at /apps/…
let browser;
before(async () => {
    [server, paths, browser] = await Promise.all([
        startServer({ settings: { instance_domain: 'apps.localhost', access_log: '-' } }), startServer(), openBrowser({ hosts: { '*.apps.localhost': '127.0.0.1' } }),
    ]);
});
after(async () => {
    await browser?.close();
    await Promise.all([server?.stop(), paths?.stop()]);
});

const html = (title, body = '') => `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>${title}</title><h1>${title}</h1>${body}`;
async function deploy(on, text) {
    const made = await on.api('POST', '/api/plugins/import', text);
    assert.ok(made.status < 300, made.text);
    return made.json;
}
const portOf = (url) => Number(new URL(url).port);
const hostOf = (made) => new URL(made.publicAppUrl).host;
const head = (target, lines, method = 'GET') => [`${method} ${target} HTTP/1.1`, ...lines, 'Connection: close', '', ''].join('\r\n');
const at = (host, where, lines = [], method = 'GET') => raw(portOf(server.apps), head(where, [`Host: ${host}`, ...lines], method));
const field = (answer, name) => new RegExp(`^${name}: (.*)$`, 'im').exec(answer.head)?.[1].trim();

// --- 1: what each process may ---

const CAGED = !/asan|tsan/.test(buildFolder());
const IS_ROOT = process.getuid() === 0;
const uidOf = (name) => Number(spawnSync('id', ['-u', name], { encoding: 'utf8' }).stdout);
const gidOf = (name) => Number(spawnSync('id', ['-g', name], { encoding: 'utf8' }).stdout);
const statusOf = (pid) => Object.fromEntries(fs.readFileSync(`/proc/${pid}/status`, 'utf8').split('\n').filter(Boolean).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
const ruleOne = (pid) => {
    const s = statusOf(pid);
    return { uids: [...new Set(s.Uid.split(/\s+/))], groups: s.Groups, nnp: s.NoNewPrivs, effective: s.CapEff, permitted: s.CapPrm, ambient: s.CapAmb, inheritable: s.CapInh };
};
const descriptorsOf = (pid) => Object.fromEntries(fs.readdirSync(`/proc/${pid}/fd`).map((fd) => [fd, fs.readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\d{3,}/, 'N')]));
/** What a user of that name gets from a shell command: its exit status, 0 when it was let. */
const as = (user, ...command) => spawnSync('setpriv', [`--reuid=${user}`, `--regid=${user}`, '--clear-groups', ...command], { encoding: 'utf8' }).status;

test('1 server, clusters, helpers and handlers: a user each, no rights, closed to each other', { skip: IS_ROOT && maySeeAll ? false : 'needs root that may look into all processes' }, async () => {
    const code = 'module.exports = { handler: () => 1 };';
    const all = await startServer({ privatePostgres: true, env: { STOA_SECRET_OF_TESTS: undefined, PGPASSWORD: 'pgleak', http_proxy: 'http://proxyleak' } });
    try {
        const made = await deploy(all, pie('rule-one', { 'index.html': 'x' }, { code }));
        const called = await request(`${all.apps}/api/public-actions/${made.instance.slug}/x`, { method: 'POST' });
        assert.equal(called.json?.data, 1, called.text);
        const tree = processTree(all.pid);
        const find = (pattern) => tree.filter((p) => pattern.test(p.command)).map((p) => p.pid);
        const kinds = {
            server: ['stoa', [all.serverPid]],
            state: ['stoa-state', find(/postgres: stoa state|stoa-state.*postgres|state-pg/)],
            plugins: ['stoa-plugins', find(/plugins-pg/)],
            helpers: ['stoa-cage', find(/stoa-inspect/)],
            handlers: ['stoa-handler', find(/stoa-handler/)],
        };
        // a spare that is still warming up has read nothing of anybody's, and has not closed its door yet
        // the template of processes for files needs one descriptor to hand on, and its filter is its children's: they get seccomp's strict mode
        const templates = find(/stoa-inspect-files/);
        assert.equal(templates.length, 1);
        const filesOf = (pid) => templates.includes(pid) ? /^Max open files +5 +5 /m : /^Max open files +4 +4 /m;
        for (const pid of [...kinds.helpers[1], ...kinds.handlers[1]]) await until(() => Object.keys(descriptorsOf(pid)).length === 4 && filesOf(pid).test(fs.readFileSync(`/proc/${pid}/limits`, 'utf8')), `${pid} to be caged`);
        const seen = new Set();
        for (const [kind, [user, pids]] of Object.entries(kinds)) {
            assert.ok(pids.length > 0, `${kind}: none among\n${tree.map((p) => p.command).join('\n')}`);
            const uid = uidOf(user);
            assert.ok(uid > 0 && !seen.has(uid), `${user} has a uid of its own`);
            seen.add(uid);
            for (const pid of pids) {
                const none = '0000000000000000';
                // a cluster is in the server's group, to which it gives its socket; it cannot be in more
                const groups = /^(state|plugins)$/.test(kind) ? String(gidOf('stoa')) : '';
                assert.deepEqual(ruleOne(pid), { uids: [String(uid)], groups, nnp: '1', effective: none, permitted: none, ambient: none, inheritable: none }, kind);
                assert.match(fs.readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m, kind);
                const environment = fs.readFileSync(`/proc/${pid}/environ`, 'utf8').replaceAll('detect_leaks', '');
                assert.doesNotMatch(environment, /leak|STOA_|^HOME=|_proxy/m, kind);
            }
        }
        const caged = [...kinds.helpers[1], ...kinds.handlers[1]];
        for (const pid of caged) {
            assert.deepEqual(descriptorsOf(pid), { 0: '/dev/null', 1: '/dev/null', 2: '/dev/null', 3: 'socket:[N]' });
            if (CAGED) assert.equal(statusOf(pid).Seccomp, templates.includes(pid) ? '0' : '2');
            assert.equal(statusOf(pid).Threads, '1');
            assert.match(fs.readFileSync(`/proc/${pid}/limits`, 'utf8'), filesOf(pid));
        }
        // a process that is not dumpable belongs to root in /proc: not even its own user sees into it
        for (const pid of [...(CAGED ? [all.serverPid] : []), ...caged]) { // a sanitizer looks into its own process
            assert.equal(fs.statSync(`/proc/${pid}/environ`).uid, 0);
            for (const user of ['stoa', 'stoa-cage', 'stoa-handler']) for (const what of ['environ', 'mem', 'maps', 'fd/3']) assert.notEqual(as(user, 'head', '-c1', `/proc/${pid}/${what}`), 0, `${user} reads ${what}`);
        }
        const mayEnd = (user, pid) => as(user, 'kill', '-0', String(pid)) === 0;
        for (const pid of kinds.handlers[1]) for (const user of ['stoa', 'stoa-cage', 'stoa-state', 'stoa-plugins']) assert.equal(mayEnd(user, pid), false, `${user} may signal a handler's worker`);
        for (const pid of [all.pid, all.serverPid, ...kinds.state[1], ...kinds.plugins[1], ...kinds.helpers[1]]) assert.equal(mayEnd('stoa-handler', pid), false, 'a handler may signal others');
        for (const where of ['', 'blobs', 'keys/master.key', 'tokens/owner.token', 'plugins-pg', 'state-pg', 'logs/access.log']) assert.notEqual(as('stoa-handler', 'ls', '-l', path.join(all.dataDir, where, '.')), 0, where);
    } finally {
        await all.stop();
    }
});

// --- 13: workers of a former tenant ---

const HIJACKER = `self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (e) => e.waitUntil(clients.claim()));
self.addEventListener('fetch', (e) => { if (e.request.mode === 'navigate') e.respondWith(new Response('<!doctype html><meta charset="utf-8"><title>hijacked</title>', { headers: { 'content-type': 'text/html' } })); });`;
const REGISTER = '<script>window.ready = navigator.serviceWorker.register("./sw.js").then(() => navigator.serviceWorker.ready);</script>';

async function workerGoes(on, name, change) {
    const made = await deploy(on, pie(name, { 'index.html': html('former', REGISTER), 'sw.js': HIJACKER }));
    const context = await browser.browser.newContext();
    const page = await context.newPage();
    await page.goto(made.publicAppUrl);
    await page.evaluate('window.ready.then(() => true)');
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await page.goto(made.publicAppUrl);
    assert.equal(await page.title(), 'hijacked', 'the former worker answers navigations');
    await change(made);
    // the visitor comes back once, and sees the old worker's page; the browser looks for an update behind it
    await page.goto(made.publicAppUrl);
    await page.waitForFunction(() => document.title !== 'hijacked', undefined, { timeout: 20000 });
    const title = await page.title();
    assert.equal(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0);
    await page.goto(made.publicAppUrl);
    assert.equal(await page.title(), title);
    await context.close();
    return title;
}

test('13 Chromium: the worker of a former bundle takes itself away', async () => {
    const [own, mounted, deleted] = await Promise.all([
        workerGoes(server, 'worker', () => deploy(server, pie('worker', { 'index.html': html('present') }))),
        workerGoes(paths, 'mounted', () => deploy(paths, pie('mounted', { 'index.html': html('present') }, { config: 'entry: index.html' }))),
        workerGoes(server, 'deleted', async (made) => assert.equal((await server.api('DELETE', `/api/plugins/${made.plugin.id}`)).status, 200)),
    ]);
    assert.deepEqual([own, mounted], ['present', 'present']);
    assert.notEqual(deleted, 'former');
});

test('13 no answer widens a worker\'s scope, and slugs are never issued twice', async () => {
    const made = await deploy(server, pie('scope', { 'index.html': html('scope'), 'sub/sw.js': '//' }));
    for (const where of ['/sub/sw.js', '/none.js', '/']) {
        assert.equal(field(await at(hostOf(made), where, ['Service-Worker: script']), 'service-worker-allowed'), undefined);
    }
    const slugs = new Set([made.instance.slug]);
    for (let i = 0; i < 3; ++i) {
        assert.equal((await server.api('DELETE', '/api/plugins/scope')).status, 200);
        slugs.add((await deploy(server, pie('scope', { 'index.html': html('scope') }))).instance.slug);
    }
    assert.equal(slugs.size, 4);
});

// --- 14: challenge paths ---

test('14 challenge paths are answered from the challenge table, on every authority', async () => {
    const made = await deploy(server, pie('challenge', { 'index.html': html('SPA'), '.well-known/security.txt': 'Contact: x' }));
    const hosts = [[portOf(server.apps), hostOf(made)], [portOf(server.apps), 'nobody.example'], [portOf(server.apps), new URL(server.apps).host],
        [portOf(server.apps), `p-${made.deployment.id}.apps.localhost`], [portOf(server.apps), `none-00000000.apps.localhost`],
        [portOf(server.console), new URL(server.console).host], [portOf(server.admin), 'localhost']];
    for (const [port, host] of hosts) {
        for (const folder of ['acme-challenge', 'pki-validation']) {
            for (const method of ['GET', 'POST', 'OPTIONS']) {
                const got = await raw(port, head(`/.well-known/${folder}/token?x`, [`Host: ${host}`, 'Service-Worker: script'], method));
                assert.equal(got.status, 404, `${host} ${folder}`);
                assert.equal(JSON.parse(got.body).code, 'not_found');
                assert.match(field(got, 'cache-control'), /no-store/);
            }
        }
    }
    // words that come to the same path never reach the app's entry
    for (const where of ['/.well-known/acme-challenge', '/%2ewell-known/acme-challenge/x', '/.well-known/acme-challenge%2Fx', '//.well-known/acme-challenge/x', '/.well-known//acme-challenge/x',
        '/x/../.well-known/acme-challenge/x', '/.well-known/./pki-validation/x', '/.well-known/acme%2Dchallenge/x']) {
        const got = await at(hostOf(made), where);
        assert.ok(got.status === 404 || (got.status === 308 && field(got, 'location') === new URL(`http://x${where}`.replaceAll('//.', '/.').replaceAll('n//', 'n/')).pathname), `${where}: ${got.head}`);
        assert.equal(got.body.includes('SPA'), false);
    }
    assert.equal((await at(hostOf(made), '/.well-known/security.txt')).status, 200);
});

test('14 bundles that contain them are refused', async () => {
    for (const where of ['.well-known/acme-challenge/x', '.well-known/pki-validation/y.txt', '.WELL-known/ACME-challenge/x', '.well-known/acme-challenge']) {
        const refused = await server.api('POST', '/api/plugins/import', pie('claims', { 'index.html': 'x', [where]: 'mine' }));
        assert.deepEqual([refused.status, refused.json.code], [422, 'invalid_pie'], where);
    }
    await deploy(server, pie('claims', { 'index.html': 'x' }));
    const refused = await server.api('POST', '/api/plugins/claims/deployments', archive({ 'index.html': 'x', '.well-known/acme-challenge/x': 'mine' }), { type: 'application/octet-stream' });
    assert.deepEqual([refused.status, refused.json.code], [422, 'invalid_bundle']);
});

// --- 15: what stands in response headers ---

const ODD = ['a\u2028b.txt', 'ünïcode.txt', '\u202egnp.exe.txt', '日本語.txt', '🙂.txt', 'a%0d%0aSet-Cookie: x=1.txt', 'q"uote.txt', "a'b.txt", '<script>.txt', 'semi;colon,comma.txt', 'a&b=c.txt', 'spa ce.txt', 'ＦＵＬＬ.txt', '\u2066iso\u2069.txt', 'a#b.txt', 'a?b.txt', 'x'.repeat(200) + 'é.txt'];

test('15 odd names never break a response\'s head', async () => {
    const files = { 'index.html': html('odd'), ...Object.fromEntries(ODD.map((name) => [name, name])), ...Object.fromEntries(ODD.slice(0, 10).map((name) => [`folder ${name}/index.html`, name])) };
    const made = await deploy(server, pie('odd', files, { config: 'entry: index.html' }));
    const check = (answer, what) => {
        assert.match(answer.head, /^HTTP\/1\.1 \d{3} [\x20-\x7e]*(\r\n[A-Za-z0-9-]+: [\x20-\x7e]*)+$/, what);
        assert.equal(field(answer, 'set-cookie'), undefined, what);
        return answer;
    };
    for (const name of ODD) {
        const encoded = encodeURIComponent(name);
        const got = check(await at(hostOf(made), `/${encoded}`), name);
        assert.equal(got.status, 200, name);
        assert.equal(Buffer.from(got.body, 'latin1').toString(), name);
        const moved = check(await at(hostOf(made), `//${encoded}?q=${encoded}`), name);
        assert.equal(moved.status, 308);
        assert.equal(decodeURIComponent(field(moved, 'location').split('?')[0]), `/${name}`);
        check(await at(hostOf(made), `/${encoded}`, ['Range: bytes=0-0,2-2']), name);
        check(await raw(portOf(server.apps), head(`/apps/odd/${made.instance.slug}/${encoded}?${encoded}`, [`Host: ${new URL(server.apps).host}`])), name);
    }
    for (const name of ODD.slice(0, 10)) {
        const moved = check(await at(hostOf(made), `/${encodeURIComponent(`folder ${name}`)}`), name);
        assert.deepEqual([moved.status, decodeURIComponent(field(moved, 'location'))], [308, `/folder ${name}/`]);
    }
    // bytes that no client should send, in path and query
    for (const where of ['//%0d%0aSet-Cookie:%20x=1', '//x?%0d%0aSet-Cookie:%20x=1', '//x?\x80\xff\xe2\x80\xa8', '//%e2%80%a8?"<>\\^`{|}', '//\xe2\x80\xae', '/%0d%0a/../x']) {
        check(await at(hostOf(made), where), JSON.stringify(where));
    }
    const exported = await server.api('GET', `/api/plugins/odd/deployments/${made.deployment.id}/archive.tar`);
    assert.equal(exported.status, 200);
    assert.match(exported.headers['content-disposition'], /^attachment; filename="[\x20-\x7e]+"$/);
});

// --- 16: cookies ---

test('16 a cookie opens nothing, changes nothing, and none is set', async () => {
    const made = await deploy(server, pie('cookies', { 'index.html': html('cookies') }));
    const cookies = [`Cookie: token=${server.token}; Authorization=Bearer ${server.token}; session=${server.token}`];
    const console = new URL(server.console).host;
    for (const where of ['/api/plugins', '/api/tokens', '/api/v1/plugins']) {
        const refused = await raw(portOf(server.console), head(where, [`Host: ${console}`, ...cookies]));
        assert.equal(refused.status, 401, where);
        assert.equal(field(refused, 'set-cookie'), undefined);
    }
    const strip = (answer) => answer.text.replace(/^(x-request-id|date): .*$/gim, '');
    for (const where of ['/', '/none', '/index.html']) {
        const [plain, with_] = [await at(hostOf(made), where), await at(hostOf(made), where, cookies)];
        assert.equal(strip(with_).replace(/"requestId":"\w+"/, ''), strip(plain).replace(/"requestId":"\w+"/, ''), where);
        assert.doesNotMatch(field(plain, 'vary') ?? '', /cookie/i);
    }
});

test('16 headers over the limit are 431, and the cookies that caused it are cleared', async () => {
    const many = Array.from({ length: 40 }, (_, i) => `Cookie: c${i}=${'x'.repeat(2000)}`);
    for (const [port, host] of [[portOf(server.apps), 'localhost'], [portOf(server.console), 'localhost'], [portOf(server.apps), 'nobody.example']]) {
        const refused = await raw(port, head('/', [`Host: ${host}`, ...many]));
        assert.equal(refused.status, 431, host);
        assert.equal(field(refused, 'clear-site-data'), '"cookies"');
        assert.equal(JSON.parse(refused.body).code, 'headers_too_large');
    }
});

// --- 17: the console ---

test('17 console pages: no frame, no opener', async () => {
    const console = new URL(server.console).host;
    for (const [where, accept] of [['/', '*/*'], ['/', 'text/html'], ['/none', 'text/html'], ['/api/plugins', 'text/html']]) {
        const page = await raw(portOf(server.console), head(where, [`Host: ${console}`, `Accept: ${accept}`]));
        assert.match(field(page, 'content-type'), /^text\/html/, where);
        assert.match(field(page, 'content-security-policy'), /default-src 'none'.*frame-ancestors 'none'/, where);
        assert.equal(field(page, 'cross-origin-opener-policy'), 'same-origin', where);
        assert.equal(field(page, 'x-content-type-options'), 'nosniff', where);
    }
});

test('17 Chromium: an app can neither frame the console, nor hold its window, nor ask its API', async () => {
    const made = await deploy(server, pie('framer', { 'index.html': html('framer') }));
    const { page, context, errors } = await browser.open(made.publicAppUrl);
    const tried = await page.evaluate(async (console) => {
        const frame = document.createElement('iframe');
        await new Promise((done) => { frame.onload = done; frame.src = console; document.body.appendChild(frame); });
        const attempt = async (what) => { try { return String(await what()); } catch (error) { return error.name; } };
        return {
            withToken: await attempt(() => fetch(`${console}/api/plugins`, { headers: { authorization: 'Bearer x' } })),
            simple: await attempt(() => fetch(`${console}/api/openapi.json`)),
            form: await attempt(() => fetch(`${console}/api/plugins/import`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' })),
            opaque: await attempt(async () => (await fetch(`${console}/`, { mode: 'no-cors' })).type),
        };
    }, server.console);
    assert.deepEqual(tried, { withToken: 'TypeError', simple: 'TypeError', form: 'TypeError', opaque: 'opaque' });
    await until(() => errors.some((e) => /frame-ancestors 'none'/.test(e)), 'the frame to be refused');
    assert.equal(page.frames().some((frame) => frame.url().startsWith(server.console)), false);
    const [popup, cut] = await Promise.all([
        page.waitForEvent('popup'),
        page.evaluate(async (console) => {
            const opened = window.open(console);
            for (let i = 0; i < 200 && !opened.closed; ++i) await new Promise((done) => setTimeout(done, 25));
            return opened.closed; // severed: to its opener it looks closed
        }, server.console),
    ]);
    assert.equal(cut, true);
    await popup.waitForLoadState();
    assert.equal(await popup.title(), 'Stoa');
    assert.equal(await popup.evaluate('window.opener'), null);
    await context.close();
});

test('17 what was chosen by a request\'s headers says so', async () => {
    const made = await deploy(server, pie('vary', { 'index.html': html('vary', 'x'.repeat(3000)), 'app.js': 'x'.repeat(3000) }));
    const vary = (answer) => (answer.head.match(/^vary: .*$/gim) ?? []).join(', ').toLowerCase();
    for (const host of [hostOf(made), new URL(server.apps).host, 'nobody.example']) {
        for (const accept of ['text/html', 'application/json']) {
            const missing = await raw(portOf(server.apps), head('/deep/none.js', [`Host: ${host}`, `Accept: ${accept}`, 'Sec-Fetch-Dest: script']));
            assert.equal(missing.status, 404);
            assert.match(vary(missing), /accept[^-]/, `${host} ${accept}`);
            assert.match(vary(missing), /sec-fetch-mode/);
        }
    }
    assert.match(vary(await at(hostOf(made), '/deep/none.js', ['Sec-Fetch-Dest: script'])), /sec-fetch-dest/);
    assert.match(vary(await at(hostOf(made), '/deep')), /sec-fetch-dest/);
    assert.match(vary(await at(hostOf(made), '/app.js')), /accept-encoding/);
    assert.match(vary(await raw(portOf(server.console), head('/api/plugins', ['Host: localhost']))), /accept/); // a refusal too
});

// --- 21, 22, 27, 28: what is logged, and what a token is ---

test('22 a token counts in Authorization alone', async () => {
    const ask = (where, lines) => raw(portOf(server.console), head(where, ['Host: localhost', ...lines]));
    assert.equal((await ask('/api/plugins', [`Authorization: Bearer ${server.token}`])).status, 200);
    for (const [where, lines] of [
        [`/api/plugins?token=${server.token}`, []], [`/api/plugins?access_token=${server.token}`, []], ['/api/plugins', [`X-Api-Key: ${server.token}`]], ['/api/plugins', [`Authorization: ${server.token}`]],
        ['/api/plugins', [`Authorization: Basic ${Buffer.from(`x:${server.token}`).toString('base64')}`]], ['/api/plugins', [`Authorization: Bearer ${server.token.slice(0, -1)}`]],
        ['/api/plugins', [`Authorization: Bearer ${server.token}x`]], ['/api/plugins', [`Proxy-Authorization: Bearer ${server.token}`]],
        ['/api/plugins', [`Authorization: Bearer ${server.token}`, 'Authorization: Bearer x']],
    ]) {
        assert.equal((await ask(where, lines)).status, 401, `${where} ${lines}`.replaceAll(server.token, '…'));
    }
});

test('28 X-Request-Id is always ours', async () => {
    const seen = new Set();
    for (const [port, host, where] of [[portOf(server.apps), 'localhost', '/none'], [portOf(server.console), 'localhost', '/api/plugins'], [portOf(server.console), 'localhost', '/'],
        [portOf(server.apps), 'nobody.example', '/'], [portOf(server.admin), 'localhost', '/healthz'], [portOf(server.apps), 'localhost', '/.well-known/acme-challenge/x']]) {
        const got = await raw(port, head(where, [`Host: ${host}`, 'X-Request-Id: theirs-4711', 'X-Correlation-Id: theirs-4711', 'Traceparent: 00-theirs-4711']));
        const id = field(got, 'x-request-id');
        assert.match(id, /^[0-9a-f]{24}$/, where);
        assert.equal(got.text.includes('theirs'), false);
        assert.equal(got.head.match(/^x-request-id:/gim).length, 1);
        if (got.status >= 400) assert.equal(JSON.parse(got.body).requestId, id);
        seen.add(id);
    }
    assert.equal(seen.size, 6);
    await until(() => [...seen].every((id) => server.log().includes(id)), 'the log lines of those requests');
    assert.equal(server.log().includes('theirs-4711'), false);
});

test('21, 27 no query string, header, body or token is in a log', async () => {
    const made = await deploy(server, pie('logged', { 'index.html': html('logged') }, { code: 'module.exports = { handler() {} }; // bodyleak' }));
    const lines = [`Authorization: Bearer ${server.token}`, 'Cookie: cookieleak=1', 'Referer: http://refererleak.example/', 'User-Agent: agentleak'];
    const ids = [];
    for (const [port, host, where, method] of [[portOf(server.apps), hostOf(made), '/?queryleak=1'], [portOf(server.apps), hostOf(made), '//x?queryleak=1'], [portOf(server.apps), 'nobody.example', '/?queryleak'],
        [portOf(server.console), 'localhost', `/api/plugins?limit=queryleak`], [portOf(server.console), 'localhost', `/api/plugins?token=${server.token}`], [portOf(server.console), 'localhost', '/api/none?queryleak', 'POST'],
        [portOf(server.apps), 'localhost', `http://${hostOf(made)}/?queryleak`], [portOf(server.apps), 'localhost', '/%zz?queryleak'], [portOf(server.admin), 'localhost', '/metrics?queryleak']]) {
        const got = await raw(port, head(where, [`Host: ${host}`, ...lines], method));
        const id = field(got, 'x-request-id');
        if (id) ids.push(id);
    }
    await server.api('POST', '/api/tokens', { name: 'bodyleak', scope: 'nonsense' });
    const child = (await server.api('POST', '/api/tokens', { name: 'n', scope: 'read' })).json;
    assert.match(child.token, /^stoa_/);
    assert.ok(ids.length >= 8);
    await until(() => ids.every((id) => server.log().includes(id)), 'the log lines of those requests');
    for (const secret of ['leak', server.token, child.token, server.token.slice(5, 25)]) {
        const line = server.logLines().find((l) => l.includes(secret));
        assert.equal(line, undefined, `in the log: ${line?.slice(0, 200)}`);
    }
});

test('28 what strangers write is escaped in the log, in pages and in the terminal', async () => {
    const evil = '\u202e\u2066\u009b31m'; // right-to-left override, isolate, CSI
    const made = await deploy(server, pie('escape', { 'index.html': html('escape'), '\u202etxt.exe': 'x' }).replace('displayName: escape', 'displayName: "esc\\e]0;owned\\a\\e[2J\\u202e\\u2066 ape"'));
    const ids = [];
    const utf8 = (text) => Buffer.from(text).toString('latin1');
    for (const [where, method, lines] of [[`/${utf8(evil)}`], [`/%1b%5b31m`], [`/\x80\x9b31m`], [`/%e2%80%ae`], [`/${utf8('\u2028')}"},{"x":"`], ['/x', "GE~^`|T"], ['/<script>alert(1)</script>', 'GET', ['Accept: text/html']]]) {
        const got = await at(hostOf(made), where, lines, method);
        const id = field(got, 'x-request-id');
        if (id) ids.push(id);
        assert.equal(got.body.includes('<script>alert'), false);
    }
    for (const line of ['GET /\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n', 'GET / HTTP/1.1\r\nHost: \x1b]0;x\x07\r\n\r\n', `GET / HTTP/1.1\r\nHost: ${utf8(evil)}.example\r\n\r\n`, 'G\x1bT / HTTP/1.1\r\nHost: localhost\r\n\r\n']) {
        assert.equal((await raw(portOf(server.apps), line)).status, 400, JSON.stringify(line));
    }
    const problems = await server.api('POST', '/api/plugins/import', pie('bad\u001b[31m', { 'index.html': 'x', '../\u001b[2J': 'x' }));
    assert.ok([400, 422].includes(problems.status));
    assert.doesNotMatch(problems.text, /[\x00-\x09\x0b-\x1f]/); // JSON escapes them
    await server.api('POST', '/api/tokens', { name: `t${evil}`, scope: 'read' });
    await until(() => ids.every((id) => server.log().includes(id)), 'the log lines of those requests');
    for (const line of server.logLines()) assert.match(line, /^[\x20-\x7e]+$/, JSON.stringify(line.slice(0, 300)));
    for (const line of server.logLines().filter((l) => l.startsWith('{'))) assert.doesNotThrow(() => JSON.parse(line), line);
    // the owner's terminal
    const tokenFile = path.join(temporaryDirectory('token'), 'token');
    fs.writeFileSync(tokenFile, server.token, { mode: 0o600 });
    for (const args of [['apps'], ['deployments', 'escape'], ['token', 'list']]) {
        const shown = spawnSync(server.stoaBin, [...args, '--url', server.console], { env: { ...plainEnvironment(), STOA_TOKEN: server.token, TERM: 'xterm', HOME: path.dirname(tokenFile) }, encoding: 'utf8' });
        assert.equal(shown.status, 0, shown.stderr);
        if (args[0] === 'apps') assert.match(shown.stdout, /ape/);
        assert.doesNotMatch(shown.stdout + shown.stderr, /[\x00-\x09\x0b-\x1f\x7f\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/, args.join(' '));
    }
});

test('28 metric labels come from closed lists', async () => {
    await at('label.example', '/labelleak', [], 'LABELLEAK');
    await request(server.apps, { path: '/apps/labelleak/labelleak-00000000/', headers: { host: new URL(server.apps).host } });
    const metrics = (await request(`${server.admin}/metrics`)).text;
    assert.doesNotMatch(metrics, /labelleak|label\.example/i);
    const shown = new Set([...metrics.matchAll(/^(\w+)\{(.*)\}/gm)].map(([, family, labels]) => `${family} ${labels}`));
    for (const line of shown) for (const label of line.slice(line.indexOf(' ') + 1).split(',')) assert.match(label, /^(class="(none|[1-5]xx)"|(outcome|reason|kind|state|source|result)="[a-z_]{1,32}")$/);
    // the same names whatever runs: a plugin, an action or a host never is one
    await server.api('POST', '/api/plugins/import', pie('labelled', { 'index.html': 'x' }));
    const again = (await request(`${server.admin}/metrics`)).text;
    assert.deepEqual(new Set([...again.matchAll(/^(\w+)\{(.*)\}/gm)].map(([, family, labels]) => `${family} ${labels}`)), shown);
});
