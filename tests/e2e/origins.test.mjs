// Whose origin a request came to (contract §2 "Unknown authority", security-rules.md 11, 16, 28): the authority decides, or the listener
// while origins are unset; the console never answers where apps do; nobody's name gets a tenant's byte.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http2 from 'node:http2';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Connection, ERROR, TYPE, headers as frameOfHeaders, request as fields } from '../harness/h2raw.mjs';
import { freePort, lookup, openTls, raw, startNamed, visit } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { plainEnvironment, request, startServer, temporaryDirectory, until } from '../harness/server.mjs';

const SPA = { 'index.html': '<title>the app</title>', 'app.js': 'let app;', 'docs/index.html': 'docs', 'docs/guide.txt': '0123456789' };
const portOf = (url) => Number(new URL(url).port);

let plain; // origins unset
let named; // apps.test, *.apps.test and console.test on one TLS listener
let app; // on `named`
before(async () => {
    [plain, named] = await Promise.all([startServer({ tls: ['localhost'] }), startNamed()]);
    const made = await Promise.all([
        plain.api('POST', '/api/plugins/import', pie('one', SPA)), named.manage('POST', '/api/plugins/import', pie('one', SPA)),
    ]);
    for (const answer of made) assert.equal(answer.status, 201, answer.text);
    plain.app = made[0].json;
    app = made[1].json;
});
after(async () => {
    await Promise.all([plain?.stop(), named?.stop()]);
});

// --- origins that may not stand together ---

const refusals = [
    ['the same twice', { apps_origin: 'https://stoa.example', console_origin: 'https://stoa.example' }, /the same as apps_origin/],
    ['the same in other words', { apps_origin: 'http://localhost', console_origin: 'HTTP://LocalHost:80/' }, /the same as apps_origin/],
    ['files and console', { console_origin: 'https://stoa.example', files_origin: 'https://stoa.example:443', apps_origin: 'https://apps.test' }, /files_origin.*the same as console_origin/],
    ['one registrable domain', { apps_origin: 'https://apps.stoa.co.uk', console_origin: 'https://console.stoa.co.uk' }, /registrable domain/],
    ['a console under instance_domain', { instance_domain: 'apps.example', console_origin: 'https://console.apps.example', insecure_origins: 'accepted' }, /lies in instance_domain/],
    ['a console in clear text', { apps_origin: 'https://apps.test', console_origin: 'http://console.test' }, /plain HTTP beyond this machine/],
    ['a public suffix', { instance_domain: 'co.uk' }, /public suffix/],
];
for (const [what, settings, why] of refusals) {
    test(`it does not start with ${what}`, () => {
        const dataDir = path.join(temporaryDirectory('refused'), 'data');
        const args = ['serve', '--data', dataDir, '--listen-apps', '127.0.0.1:0', '--listen-console', '127.0.0.1:0', '--listen-admin', '127.0.0.1:0'];
        const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
        const ended = spawnSync(plain.stoaBin, [...args, ...set], { env: plainEnvironment(), encoding: 'utf8', timeout: 30000 });
        assert.equal(ended.error, undefined);
        assert.notEqual(ended.status, 0);
        assert.match(ended.stdout + ended.stderr, why);
        assert.equal(fs.existsSync(dataDir), false, 'it began all the same');
    });
}

// --- which site an authority gets: one table ---

// What answers there: 'apps' (the app's page), 'console' (the API's description), or the status both get.
async function siteAt(ask, base) {
    const [page, document] = await Promise.all([ask(`${base}index.html`), ask('/api/openapi.json')]);
    const isApps = page.status === 200 && page.text.includes('the app');
    const isConsole = document.status === 200 && document.text.includes('"openapi"');
    if (isApps && isConsole) return 'both';
    if (isApps) return 'apps';
    if (isConsole) return 'console';
    return page.status;
}

const head = (target, lines, version = '1.1') => [`GET ${target} HTTP/${version}`, ...lines, 'Connection: close', '', ''].join('\r\n');

test('origins unset: the listener decides, and any loopback authority will do', async () => {
    const [P, C] = [portOf(plain.apps), portOf(plain.console)];
    const { pathname } = new URL(plain.app.publicAppUrl);
    const ours = ['127.0.0.1', 'localhost', 'LOCALHOST', 'localhost.', '[::1]', '127.9.8.7', 'localhost:1', `127.0.0.1:${P}`, `127.0.0.1:${C}`, `localhost:${P}`, `[::1]:${C}`];
    const nobodys = ['evil.example', `evil.example:${P}`, '127.0.0.1.evil.example', 'localhost.evil.example', 'evil.localhost', '127.0.0.256', '127.1', '0.0.0.0', '[::2]', '2130706433', 'localhost..'];
    const malformed = ['', 'localhost:99999', 'localhost:http', 'user@localhost', 'local host', 'localhost/', 'localhost, evil.example', '[::1', 'localhost\\evil', 'evil.example?localhost'];
    for (const [port, site] of [[P, 'apps'], [C, 'console']]) {
        const seen = async (lines, target = (where) => where) => siteAt((where) => raw(port, head(target(where), lines)), pathname);
        const rows = [
            ...ours.map((host) => [[`Host: ${host}`], site]), ...nobodys.map((host) => [[`Host: ${host}`], 404]), ...malformed.map((host) => [[`Host: ${host}`], 400]),
            [[], 400], [['Host: localhost', 'Host: localhost'], 400], [['Host: localhost', 'hOST: evil.example'], 400], [['Host : localhost'], 400],
            // an absolute-form target names the authority, whatever Host says (RFC 9112 §3.2.2)
            [['Host: evil.example'], site, (where) => `http://localhost:${P}${where}`], [['Host: evil.example'], site, (where) => `HTTP://LOCALHOST${where}`],
            [['Host: localhost'], 404, (where) => `http://evil.example${where}`], [['Host: localhost'], 400, (where) => `http://user@localhost${where}`],
            [['Host: localhost'], 400, (where) => `http://${where}`], [[], 400, (where) => `http://localhost${where}`],
            [['Host: localhost', 'X-Forwarded-Host: evil.example', 'Forwarded: host=evil.example'], site],
            [['Host: evil.example', 'X-Forwarded-Host: localhost', 'Forwarded: host=localhost'], 404],
        ];
        const wrong = (await Promise.all(rows.map(async ([lines, expected, target]) => {
            const got = await seen(lines, target);
            return got === expected ? '' : `${site}: ${JSON.stringify(lines)} ${target?.('/') ?? ''}: ${got} instead of ${expected}`;
        }))).filter(Boolean);
        assert.deepEqual(wrong, []);
    }
    assert.equal((await raw(P, head('/', [], '1.0'))).status >= 400, true, 'HTTP/1.0 without Host'); // names nobody
});

test('origins unset: over TLS the console is told by its own authority', async () => {
    const port = portOf(plain.tls);
    const { pathname } = new URL(plain.app.publicAppUrl);
    const seen = (host) => siteAt((where) => raw(port, head(where, [`Host: ${host}`]), { servername: 'localhost' }), pathname);
    assert.equal(await seen(`localhost:${port}`), 'apps');
    assert.equal(await seen(`127.0.0.1:${port}`), 'apps');
    assert.equal(await seen(new URL(plain.console).host), 'console');
    assert.equal(await seen('evil.example'), 421);
});

test('HTTP/2: :authority decides, Host may only repeat it', async () => {
    const port = portOf(plain.apps);
    const rows = [
        [{ ':authority': 'localhost' }, [], 200], [{ ':authority': 'LOCALHOST.' }, [], 200], [{ ':authority': 'localhost' }, [['host', 'LocalHost']], 200],
        [{ ':authority': null }, [['host', 'localhost']], 200], [{ ':authority': 'evil.example' }, [], 404], [{ ':authority': null }, [['host', 'evil.example']], 404],
        [{ ':authority': 'localhost' }, [['host', 'evil.example']], 'refused'], [{ ':authority': 'evil.example' }, [['host', 'localhost']], 'refused'],
        [{ ':authority': null }, [], 'refused'], [{ ':authority': '' }, [], 'refused'], [{ ':authority': 'user@localhost' }, [], 'refused'],
        [{ ':authority': 'localhost' }, [['host', 'localhost'], ['host', 'localhost']], 'refused'],
    ];
    const { pathname } = new URL(plain.app.publicAppUrl);
    for (const [pseudo, extra, expected] of rows) {
        const c = await Connection.open(port);
        c.send(frameOfHeaders(1, fields({ ':path': pathname, ...pseudo }, extra)));
        const answer = await Promise.race([c.response(1), c.frame(TYPE.RST_STREAM, 1).then((f) => ({ reset: f?.code }))]);
        const got = answer?.reset === ERROR.PROTOCOL || answer?.status === 400 ? 'refused' : answer?.status;
        assert.equal(got, expected, JSON.stringify([pseudo, extra]));
        c.close();
    }
});

test('configured origins: the authority decides on every listener', async () => {
    const { tlsPort } = named;
    const base = `/apps/one/${app.instance.slug}/`; // redirects to the instance's own host: see below
    const isConsole = async (port, host, servername) => {
        const answer = await raw(port, head('/api/openapi.json', [`Host: ${host}`]), { servername });
        return answer.status === 200 ? 'console' : answer.status;
    };
    const isApps = async (port, host, servername) => {
        const answer = await raw(port, head(base, [`Host: ${host}`]), { servername });
        return answer.status === 308 ? 'apps' : answer.status;
    };
    const [consoleHost, appsHost] = [`console.test:${tlsPort}`, `apps.test:${tlsPort}`];
    const appsPort = portOf(named.apps);
    const consolePort = portOf(named.consoleListener);
    for (const [what, got, expected] of [
        ['console', await isConsole(tlsPort, consoleHost, 'console.test'), 'console'], ['no app there', await isApps(tlsPort, consoleHost, 'console.test'), 404],
        ['apps', await isApps(tlsPort, appsHost, 'apps.test'), 'apps'], ['no console there', await isConsole(tlsPort, appsHost, 'apps.test'), 404],
        ['upper case, dot', await isConsole(tlsPort, `CONSOLE.Test.:${tlsPort}`, 'console.test'), 'console'],
        ['no port is 443', await isConsole(tlsPort, 'console.test', 'console.test'), 421], ['another port', await isApps(tlsPort, 'apps.test:1', 'apps.test'), 421],
        // behind a proxy that ends TLS
        ['apps, clear text', await isApps(appsPort, appsHost), 'apps'], ['console, clear text', await isConsole(consolePort, consoleHost), 'console'],
        ['loopback is nobody now', await isConsole(consolePort, `127.0.0.1:${consolePort}`), 404], ['nor an app', await isApps(appsPort, `127.0.0.1:${appsPort}`), 404],
    ]) assert.equal(got, expected, what);
    // Management moves with its origin, and takes no token elsewhere.
    for (const [url, status] of [[named.consoleOrigin, 200], [named.appsOrigin, 404], [new URL(app.publicAppUrl).origin, 404]]) {
        assert.equal((await visit(`${url}/api/plugins`, { headers: { authorization: `Bearer ${named.token}`, 'sec-fetch-dest': 'script' } })).status, status, url);
    }
});

test('an unknown authority is told nothing of any tenant', async () => {
    const secrets = ['one', app.instance.slug, app.plugin.id, app.instance.id, 'apps.test', 'console.test', 'the app', named.dataDir];
    const check = (answer, status, what) => {
        assert.equal(answer.status, status, what);
        for (const secret of secrets) assert.equal(new RegExp(`(?<![a-z])${secret.replaceAll('.', '\\.')}(?![a-z])`).test(answer.text.replaceAll('nobody.example', '')), false, `${what}: ${secret}`);
        assert.equal(/nobody/.test(answer.text), false, `${what} repeats the host`);
    };
    for (const accept of ['text/html', 'application/json']) {
        for (const where of ['/', `/apps/one/${app.instance.slug}/`, '/api/plugins', '/api/openapi.json', '/app.js']) {
            const lines = (host) => [`Host: ${host}`, `Accept: ${accept}`];
            check(await raw(portOf(named.apps), head(where, lines('nobody.example'))), 404, `${where} ${accept}`);
            check(await raw(named.tlsPort, head(where, lines('nobody.example')), { servername: 'apps.test' }), 421, `${where} ${accept} TLS`);
        }
    }
    const page = await raw(portOf(named.apps), head('/', ['Host: nobody.example', 'Accept: text/html']));
    assert.match(page.head, /content-type: text\/html/i);
    assert.match(page.head, /frame-ancestors 'none'/);
});

// --- names in the handshake ---

test('an unknown SNI is answered by the alert unrecognized_name', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
        for (const name of ['nobody.example', 'a.b.apps.test', 'test', 'xconsole.test']) {
            await assert.rejects(openTls(named.tlsPort, name, { minVersion: version, maxVersion: version }), { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' }, `${name} ${version}`);
        }
        const flag = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
        const said = spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${named.tlsPort}`, '-servername', 'nobody.example', flag], { input: '', encoding: 'utf8' });
        assert.match(said.stderr, /alert number 112/, version);
    }
    // and the next one is served
    (await openTls(named.tlsPort, 'console.test')).destroy();
});

test('a certificate by name, in any case; the console\'s for those who name none', async () => {
    const subject = async (name) => {
        const socket = await openTls(named.tlsPort, name);
        const { CN } = socket.getPeerCertificate().subject;
        socket.destroy();
        return CN;
    };
    assert.equal(await subject('apps.test'), 'apps.test');
    assert.equal(await subject(`${app.instance.slug}.apps.test`), 'apps.test');
    assert.equal(await subject('console.test'), 'console.test');
    assert.equal(await subject('CONSOLE.TEST'), 'console.test');
    assert.equal(await subject(''), 'console.test');
});

test('an authority that the connection\'s certificate does not cover is 421', async () => {
    const own = `${app.instance.slug}.apps.test:${named.tlsPort}`;
    const rows = [ // servername, Host, status
        ['apps.test', own, 200], [`${app.instance.slug}.apps.test`, own, 200], [`${app.instance.slug}.apps.test`, `apps.test:${named.tlsPort}`, 404],
        ['console.test', own, 421], ['console.test', `apps.test:${named.tlsPort}`, 421], ['apps.test', `console.test:${named.tlsPort}`, 421],
        [own.split(':')[0], `console.test:${named.tlsPort}`, 421], ['', own, 421], ['', `console.test:${named.tlsPort}`, 200],
        ['apps.test', `x.${own}`, 421], ['apps.test', `.apps.test:${named.tlsPort}`, 421], ['console.test', '127.0.0.1', 421],
    ];
    for (const [servername, host, status] of rows) {
        const answer = await raw(named.tlsPort, head('/', [`Host: ${host}`]), { servername });
        assert.equal(answer.status, status, `${servername} ${host}: ${answer.text.slice(0, 300)}`);
        if (status === 421) assert.equal(JSON.parse(answer.body).code, 'misdirected_request');
    }
});

test('HTTP/2: a connection is used for all its certificate covers, and stays after a 421', async () => {
    const client = http2.connect(named.appsOrigin, { lookup, rejectUnauthorized: false });
    const ask = (authority, where = '/') => new Promise((resolve, reject) => {
        let answer;
        let text = '';
        const stream = client.request({ ':path': where, ':authority': authority });
        stream.on('response', (h) => { answer = h; }).setEncoding('utf8').on('data', (part) => { text += part; }).on('error', reject);
        stream.on('end', () => resolve({ status: answer[':status'], headers: answer, text }));
    });
    const own = `${app.instance.slug}.apps.test:${named.tlsPort}`;
    const answers = await Promise.all([ask(own), ask(`console.test:${named.tlsPort}`, '/api/openapi.json'), ask(own, '/app.js'), ask(`one-00000000.apps.test:${named.tlsPort}`), ask('nobody.example')]);
    assert.deepEqual(answers.map((a) => a.status), [200, 421, 200, 404, 421]);
    assert.equal(answers[2].text, SPA['app.js']);
    assert.equal((await ask(own)).status, 200);
    client.close();
});

// --- instance_domain ---

test('the link of a deploy is the app\'s own host, with scheme and port', async () => {
    assert.equal(app.publicAppUrl, `https://${app.instance.slug}.apps.test:${named.tlsPort}/`);
    assert.equal(app.instance.url, app.publicAppUrl);
    const page = await visit(app.publicAppUrl);
    assert.equal(page.status, 200);
    assert.match(page.text, /the app/);
    const listed = (await named.manage('GET', '/api/plugins')).json.data.find((p) => p.id === app.plugin.id);
    assert.equal(listed.publicAppUrl, app.publicAppUrl);
});

for (const transport of ['TLS', 'clear text']) {
    test(`an instance's host serves as a domain of its own, over ${transport}`, async () => {
        const host = `${app.instance.slug}.apps.test`;
        const ask = (where, headers = {}, more = {}) => (transport === 'TLS' ? visit(`https://${host}:${named.tlsPort}`, { path: where, headers, ...more })
            : request(named.apps, { path: where, headers: { host: `${host}:${named.tlsPort}`, ...headers }, ...more }));
        for (const [where, status, what] of [
            ['/', 200, /the app/], ['/deep/route', 200, /the app/], ['/app.js', 200, /let app/], ['/docs', 308, '/docs/'], ['/docs?a=%20b', 308, '/docs/?a=%20b'],
            ['/docs/', 200, /docs/], ['//docs/', 308, '/docs/'], ['//evil.example/', 308, '/evil.example/'], ['/..', 400], ['/%00', 400],
            ['/api/plugins', 200, /the app/], [`/apps/one/${app.instance.slug}/app.js`, 200, /the app/], // paths of the app's own, not the server's
        ]) {
            const got = await ask(where);
            assert.equal(got.status, status, where);
            if (status === 308) assert.equal(got.headers.location, what, where);
            else if (what) assert.match(got.text, what, where);
            assert.equal(got.headers['set-cookie'], undefined);
        }
        const { etag } = (await ask('/app.js')).headers;
        assert.equal((await ask('/app.js', { 'if-none-match': etag })).status, 304);
        const part = await ask('/docs/guide.txt', { range: 'bytes=2-4' });
        assert.deepEqual([part.status, part.text], [206, '234']);
        assert.equal((await ask('/deep/app.js', { 'sec-fetch-dest': 'script' })).headers.location, '/app.js');
        assert.equal((await ask('/', {}, { method: 'OPTIONS' })).headers.allow, 'GET, HEAD, OPTIONS');
        assert.equal((await ask('/', {}, { method: 'POST' })).status, 405);
        const head200 = await ask('/app.js', {}, { method: 'HEAD' });
        assert.deepEqual([head200.status, head200.text, head200.headers['content-length']], [200, '', '8']);
    });
}

test('with instance_domain the apps origin redirects and serves no tenant\'s byte', async () => {
    const origin = new URL(app.publicAppUrl).origin;
    const ask = (where, more = {}) => visit(named.appsOrigin, { path: where, ...more });
    for (const [rest, to] of [['', '/'], ['/', '/'], ['?q=1', '/?q=1'], ['/deep/x?q=1%202&r=%22', '/deep/x?q=1%202&r=%22'], ['/app.js', '/app.js'], ['/%0d%0ax', '/%0d%0ax']]) {
        for (const method of ['GET', 'HEAD']) {
            const moved = await ask(`/apps/one/${app.instance.slug}${rest}`, { method });
            assert.equal(moved.status, 308, rest);
            assert.equal(moved.headers.location, origin + to);
            assert.equal(moved.body.length, 0);
            assert.equal(moved.headers.etag, undefined);
        }
    }
    assert.equal((await ask(`/apps/other/${app.instance.slug}/`)).status, 404); // another plugin's slug
    assert.equal((await ask('/apps/one/one-00000000/')).status, 404);
    assert.equal((await ask('/')).status, 404);
    assert.equal((await ask(`/${app.instance.slug}/`)).status, 404);
    // A worker of the days before instance_domain would see a redirect as a failed update, and stay.
    for (const where of [`/apps/one/${app.instance.slug}/sw.js`, `/apps/one/${app.instance.slug}/app.js`, `/apps/one/${app.instance.slug}`, `/apps//one/${app.instance.slug}/sw.js`]) {
        const worker = await ask(where, { headers: { 'service-worker': 'script' } });
        assert.equal(worker.status, 200, where);
        assert.match(worker.text, /unregister/);
    }
});

test('a host that is no instance\'s is a 404, whatever its shape', async () => {
    const at = (label) => raw(named.tlsPort, head('/', [`Host: ${label}.apps.test:${named.tlsPort}`]), { servername: 'apps.test' });
    for (const label of ['one', 'one-00000000', 'www', 'p-', `p-${'a'.repeat(26)}`, `p-${app.deployment.id.slice(1)}`, app.plugin.id, app.deployment.id, `${app.instance.slug}x`, 'a'.repeat(63), '_', '-', 'xn--nxasmq6b', '*']) {
        const answer = await at(label);
        assert.ok([404, 421].includes(answer.status), // 421: no certificate covers what is no host name
            `${label}: ${answer.text.slice(0, 200)}`);
    }
    assert.equal((await raw(portOf(named.consoleListener), head('/', [`Host: ${app.instance.slug}.apps.test:${named.tlsPort}`]))).status, 404); // the console's listener
});

test('a second project may deploy then, and each app answers on its own host alone', async () => {
    const project = (await named.manage('POST', '/api/projects', { displayName: 'second' })).json;
    const made = await named.manage('POST', '/api/plugins/import', pie('one', { 'index.html': '<title>another tenant</title>', 'only.txt': 'theirs' }, { config: 'entry: index.html' }), { token: project.token.token ?? project.token });
    assert.equal(made.status, 201, made.text);
    assert.notEqual(made.json.instance.slug, app.instance.slug);
    assert.match((await visit(made.json.publicAppUrl)).text, /another tenant/);
    assert.match((await visit(app.publicAppUrl)).text, /the app/);
    assert.equal((await visit(`${made.json.publicAppUrl}app.js`)).status, 404);
    assert.equal((await visit(`${app.publicAppUrl}only.txt`, { headers: { 'sec-fetch-dest': 'script' } })).status, 404);
    for (const [host, other] of [[app, made.json], [made.json, app]]) { // the other's path on this host
        const got = await visit(new URL(`/apps/one/${other.instance.slug}/only.txt`, host.publicAppUrl), { headers: { 'sec-fetch-dest': 'script' } });
        assert.notEqual(got.text, 'theirs');
    }
    const gone = await named.manage('DELETE', `/api/plugins/${made.json.plugin.id}`, undefined, { token: project.token.token ?? project.token });
    assert.equal(gone.status, 200, gone.text);
    await until(async () => (await visit(made.json.publicAppUrl)).status === 404, 'the app to go', 3000);
});

test('an apps origin below instance_domain is still the apps origin', async () => {
    const port = await freePort();
    const server = await startServer({ settings: { apps_origin: `http://www.apps.test:${port}`, instance_domain: 'apps.test' } });
    try {
        const made = (await server.api('POST', '/api/plugins/import', pie('two', SPA))).json;
        const own = new URL(made.publicAppUrl);
        assert.equal(own.origin, `http://${made.instance.slug}.apps.test:${port}`);
        const ask = (host, where) => request(server.apps, { path: where, headers: { host } });
        assert.equal((await ask(`www.apps.test:${port}`, `/apps/two/${made.instance.slug}/`)).headers.location, made.publicAppUrl);
        assert.match((await ask(own.host, '/')).text, /the app/);
    } finally {
        await server.stop();
    }
});

// --- the admin listener ---

test('the admin listener answers to localhost and IP literals only', async () => {
    const port = portOf(plain.admin);
    for (const host of ['localhost', `localhost:${port}`, 'LocalHost.', '127.0.0.1', '10.1.2.3', '[::1]', `[2001:db8::1]:${port}`]) {
        assert.equal((await raw(port, head('/healthz', [`Host: ${host}`]))).status, 200, host);
    }
    for (const host of ['rebound.evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'stoa', '127.0.0.1x', '1.2.3']) {
        const refused = await raw(port, head('/metrics', [`Host: ${host}`]));
        assert.equal(refused.status, 404, host);
        assert.doesNotMatch(refused.text, /stoa_requests_total/);
    }
    assert.equal((await raw(port, head('/api/openapi.json', ['Host: localhost']))).status, 404);
    assert.equal((await raw(port, head(new URL(plain.app.publicAppUrl).pathname, ['Host: localhost']))).status, 404);
});

test('an admin listener for others needs a token', () => {
    const args = ['serve', '--check', '--data', path.join(temporaryDirectory('admin'), 'data'), '--listen-admin'];
    const check = (...more) => spawnSync(plain.stoaBin, [...args, ...more], { env: plainEnvironment(), encoding: 'utf8' });
    const refused = check('0.0.0.0:9090');
    assert.notEqual(refused.status, 0);
    assert.match(refused.stdout + refused.stderr, /admin_token/);
    assert.equal(check('0.0.0.0:9090', '--set', `admin_token=${'x'.repeat(32)}`).status, 0);
});
