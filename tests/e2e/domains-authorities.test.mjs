// Odd authorities on custom domains (contract §2, §6; security-rules.md 13, 16): in clear text, over TLS and over HTTP/2 one table each says
// which site answers, or how it is refused. The site is decided in edge/route/site.c, what is malformed in edge/guard/, and what a connection
// may ask for in edge/tls.c; this looks at all three from outside.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWithDomains } from '../harness/domains.mjs';
import { Connection, ERROR, TYPE, headers as frameOfHeaders, request as fields } from '../harness/h2raw.mjs';
import { openTls, raw } from '../harness/names.mjs';
import { pie } from '../harness/pie.mjs';
import { until } from '../harness/server.mjs';

const OPEN = 'open.customer-one.com'; // no certificate: served in clear text
const SAFE = 'safe.customer-one.com';
const THEIRS = 'theirs.customer-one.com'; // another project's, with a certificate
const IDN = 'xn--bcher-kva.customer-one.com'; // bücher
const U_LABEL = Buffer.from('bücher.customer-one.com').toString('latin1'); // its bytes in UTF-8
let server, port, tlsPort;

before(async () => {
    server = await startWithDomains({ settings: { handshakes_per_address: 10000 } });
    port = Number(new URL(server.apps).port);
    tlsPort = server.tlsPort;
    const project = await server.api('POST', '/api/projects', { displayName: 'Theirs' });
    const { token } = project.json;
    const deploy = async (name, more) => {
        const made = await server.api('POST', '/api/plugins/import', pie(name, { 'index.html': `<title>${name}</title>`, 'sw.js': 'self.ours = 1;' }), more);
        assert.equal(made.status, 201, made.text);
        return made.json.instance;
    };
    const [mine, theirs] = [await deploy('mine'), await deploy('theirs', { token })];
    await server.domain(OPEN, mine);
    const safe = await server.domain(SAFE, mine);
    const idn = await server.domain('bücher.customer-one.com', mine);
    const other = await server.domain(THEIRS, theirs, { token });
    assert.equal(idn.hostname, IDN);
    await server.certify(safe, { names: [SAFE, '*.customer-one.com', 'customer-one.com'] }); // an own certificate may name more than it serves
    await server.certify(idn);
    await server.certify(other, { token });
    await until(async () => (await ask(port, [`Host: ${OPEN}`])) === 'mine', 'the names to be served', 2000);
});
after(() => server?.stop());

const head = (lines, target = '/', version = '1.1') => [`GET ${target} HTTP/${version}`, ...lines, 'Connection: close', '', ''].join('\r\n');
const appOf = (text) => /<title>(mine|theirs)</.exec(text)?.[1];
// The app that answers, or the status.
async function ask(where, lines, { target, version, ...tls } = {}) {
    const answer = await raw(where, head(lines, target, version), tls);
    return appOf(answer.text) ?? (answer.status === 308 ? /\r\nlocation: (\S+)/i.exec(answer.text)[1] : answer.status);
}

async function check(rows, look) {
    const wrong = (await Promise.all(rows.map(async (row) => {
        const expected = row[row.length - 1];
        const got = await look(...row.slice(0, -1)).catch((error) => error.code ?? error.message);
        return got === expected ? '' : `${JSON.stringify(row.slice(0, -1))}: ${got} instead of ${expected}`;
    }))).filter(Boolean);
    assert.deepEqual(wrong, []);
}

// Authorities that no reader of RFC 3986 takes, on whatever listener.
const malformed = (name) => ['', `user@${name}`, `user:word@${name}`, `${name}:http`, `${name}:99999`, `${name}:-1`, `${name}:80:80`, `${name}, evil.com`, `${name}/`,
    `${name}/x`, `${name}?x`, `${name}#x`, `${name}\\evil.com`, `${name} evil.com`, '[::1', '::1', '[]', '[evil.com]', `http://${name}`];
// Well-formed, and nobody's.
const nobodys = (name) => [`${name}..`, `.${name}`, `x.${name}`, `x${name}`, `${name}.evil.com`, 'customer-one.com', 'www.customer-one.com', 'com', 'evil.com', '127.0.0.1', 'localhost', '192.0.2.7',
    '[::1]', '[2001:db8::7]', '2130706433', `${name.replaceAll('.', '%2E')}`, 'b%C3%BCcher.customer-one.com', 'bcher.customer-one.com', 'x.i.stoa-host.com', 'i.stoa-host.com'];

test('HTTP/1.1 in clear text', async () => {
    const rows = [
        ...[OPEN, `${OPEN}:80`, `${OPEN}:443`, `${OPEN}:8080`, `${OPEN}:${port}`, `${OPEN}:65535`, 'OPEN.Customer-One.COM', `${OPEN}.`, `${OPEN}.:80`, 'oPEN.customer-one.com.:1']
            .map((host) => [[`Host: ${host}`], {}, 'mine']),
        ...nobodys(OPEN).map((host) => [[`Host: ${host}`], {}, 404]),
        ...malformed(OPEN).map((host) => [[`Host: ${host}`], {}, 400]),
        [[`Host: ${U_LABEL}`], {}, 400], // a name is sent in A-labels
        // one Host, no more and no less (RFC 9112 §3.2)
        [[], {}, 400], [[`Host: ${OPEN}`, `Host: ${OPEN}`], {}, 400], [[`Host: ${OPEN}`, 'host: evil.com'], {}, 400], [['Host: evil.com', `HOST: ${OPEN}`], {}, 400],
        [[`Host : ${OPEN}`], {}, 400], [[`Host: evil.com\r\n ${OPEN}`], {}, 400], [[`Host:\t${OPEN} `], {}, 'mine'], [[`Host:${OPEN}`], {}, 'mine'],
        // an absolute-form target names the authority, whatever Host says (RFC 9112 §3.2.2)
        [['Host: evil.com'], { target: `http://${OPEN}/` }, 'mine'], [[`Host: ${OPEN}`], { target: `http://${OPEN}:81/` }, 'mine'], [['Host: evil.com'], { target: `HTTP://OPEN.customer-one.com./` }, 'mine'],
        [['Host: evil.com'], { target: `http://${OPEN}` }, 'mine'], [['Host: evil.com'], { target: `http://${OPEN}?a` }, 'mine'], [['Host: evil.com'], { target: `https://${OPEN}/` }, 'mine'],
        [[`Host: ${OPEN}`], { target: 'http://evil.com/' }, 404], [[`Host: ${OPEN}`], { target: `http://x.${OPEN}/` }, 404],
        ...[`http://user@${OPEN}/`, `http://user:word@${OPEN}/`, `http:///`, `http://${OPEN}:http/`, `http://${OPEN}\\@evil.com/`, `http://${U_LABEL}/`, `ftp://${OPEN}/`, `//${OPEN}`.slice(2)]
            .map((target) => [[`Host: ${OPEN}`], { target }, 400]),
        [[`Host: ${OPEN}`, `Host: ${OPEN}`], { target: `http://${OPEN}/` }, 400], [[], { target: `http://${OPEN}/` }, 400], [['Host: user@evil.com'], { target: `http://${OPEN}/` }, 400],
        // nobody else's word counts
        [[`Host: ${OPEN}`, 'X-Forwarded-Host: evil.com', 'Forwarded: host=evil.com'], {}, 'mine'], [['Host: evil.com', `X-Forwarded-Host: ${OPEN}`, `Forwarded: host=${OPEN}`], {}, 404],
        [[`Host: ${OPEN}`, ':authority: evil.com'], {}, 400],
        // HTTP/1.0
        [[`Host: ${OPEN}`], { version: '1.0' }, 'mine'], [[], { version: '1.0' }, 404],
        // a name with a certificate is sent to it, without its odd spelling; others' names likewise
        ...[SAFE, `${SAFE}:80`, `${SAFE}.`, 'SAFE.customer-one.COM:8080'].map((host) => [[`Host: ${host}`], {}, `https://${SAFE}:${tlsPort}/`]),
        [['Host: evil.com'], { target: `http://${SAFE}/a?b=c` }, `https://${SAFE}:${tlsPort}/a?b=c`], [[`Host: ${IDN}`], {}, `https://${IDN}:${tlsPort}/`],
        [[`Host: ${SAFE}`], { target: '//evil.com/x' }, `https://${SAFE}:${tlsPort}//evil.com/x`],
        [[`Host: ${THEIRS}`], {}, `https://${THEIRS}:${tlsPort}/`],
    ];
    await check(rows, (lines, options) => ask(port, lines, options));
});

test('HTTP/1.1 over TLS: the name of the handshake, and no other', async () => {
    const rows = [
        ...[SAFE, `${SAFE}:443`, `${SAFE}:${tlsPort}`, `${SAFE}:1`, 'SAFE.Customer-One.com', `${SAFE}.`, `${SAFE}.:443`].map((host) => [SAFE, [`Host: ${host}`], {}, 'mine']),
        ['SAFE.CUSTOMER-one.com', [`Host: ${SAFE}`], {}, 'mine'], [IDN, [`Host: ${IDN}`], {}, 'mine'], [THEIRS, [`Host: ${THEIRS}`], {}, 'theirs'],
        ...nobodys(SAFE).map((host) => [SAFE, [`Host: ${host}`], {}, 421]),
        ...malformed(SAFE).map((host) => [SAFE, [`Host: ${host}`], {}, 400]),
        [IDN, [`Host: ${U_LABEL}`], {}, 400],
        // its certificate covers these as well; it serves one name all the same
        ...[OPEN, THEIRS, IDN, 'customer-one.com', '*.customer-one.com'].map((host) => [SAFE, [`Host: ${host}`], {}, 421]),
        [THEIRS, [`Host: ${SAFE}`], {}, 421], [THEIRS, ['Host: apps.stoa-host.com'], {}, 421], [THEIRS, ['Host: x.i.stoa-host.com'], {}, 421],
        ['x.i.stoa-host.com', [`Host: ${SAFE}`], {}, 421], ['', [`Host: ${SAFE}`], {}, 421],
        [SAFE, [`Host: ${THEIRS}`], { target: `https://${SAFE}/` }, 'mine'], [SAFE, [`Host: ${SAFE}`], { target: `https://${THEIRS}/` }, 421], [SAFE, [`Host: ${THEIRS}`], { target: `http://${SAFE}/` }, 'mine'],
        [SAFE, [], {}, 400], [SAFE, [`Host: ${SAFE}`, `Host: ${SAFE}`], {}, 400], [SAFE, [`Host: ${SAFE}`, `Host: ${THEIRS}`], {}, 400],
    ];
    await check(rows, (servername, lines, options) => ask(tlsPort, lines, { servername, ...options }));
});

test('handshakes: names without a certificate, and names that are none, get the alert', async () => {
    const alert = 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME';
    const rows = [OPEN, `x.${SAFE}`, `x${SAFE}`, 'customer-one.com', 'www.customer-one.com', 'evil.com', `${SAFE}.evil.com`, 'bcher.customer-one.com'].flatMap((name) =>
        ['TLSv1.2', 'TLSv1.3'].map((version) => [name, version, alert]));
    await check(rows, (name, version) => openTls(tlsPort, name, { minVersion: version, maxVersion: version }).then((s) => s.destroy() && 'a connection'));
});

// 'refused': by a reset or a 400, before any site is thought of.
async function askH2(where, pseudo, extra, options) {
    const c = await Connection.open(where, options);
    try {
        c.send(frameOfHeaders(1, fields({ ':path': '/', ':scheme': options?.secure ? 'https' : 'http', ...pseudo }, extra)));
        const answer = await Promise.race([c.response(1), c.frame(TYPE.RST_STREAM, 1).then((f) => (f ? { reset: f.code } : new Promise(() => {})))]);
        if (answer.reset === ERROR.PROTOCOL || answer.status === 400) return 'refused';
        return appOf(String(answer.body)) ?? answer.status;
    } finally {
        c.close();
    }
}

const rowsH2 = (name, other, refusal) => [
    ...[name, `${name}:443`, `${name}:1`, name.toUpperCase(), `${name}.`, `${name}.:80`].map((authority) => [{ ':authority': authority }, [], 'mine']),
    ...nobodys(name).map((authority) => [{ ':authority': authority }, [], refusal]),
    ...malformed(name).map((authority) => [{ ':authority': authority }, [], 'refused']),
    [{ ':authority': U_LABEL }, [], 'refused'],
    // Host may stand for :authority, or repeat it (RFC 9113 §8.3.1)
    [{ ':authority': null }, [['host', name]], 'mine'], [{ ':authority': name }, [['host', name]], 'mine'], [{ ':authority': name }, [['host', name.toUpperCase()]], 'mine'],
    [{ ':authority': name }, [['host', other]], 'refused'], [{ ':authority': other }, [['host', name]], 'refused'], [{ ':authority': name }, [['host', `${name}:1`]], 'refused'],
    [{ ':authority': name }, [['host', '']], 'refused'], [{ ':authority': name }, [['host', name], ['host', name]], 'refused'], [{ ':authority': null }, [['host', name], ['host', other]], 'refused'],
    [{ ':authority': null }, [], 'refused'], [{ ':authority': null }, [['host', 'evil.com']], refusal],
    [{ ':authority': name, ':path': `http://${other}/` }, [], 'refused'], [{ ':authority': name, ':path': '' }, [], 'refused'],
    [{ ':authority': name }, [['x-forwarded-host', other]], 'mine'], [{ ':authority': other }, [['x-forwarded-host', name]], refusal],
];

test('HTTP/2 in clear text', async () => {
    await check(rowsH2(OPEN, 'evil.com', 404), (pseudo, extra) => askH2(port, pseudo, extra));
});

test('HTTP/2 over TLS: no other name on the connection, and it stays', async () => {
    const options = { secure: true, servername: SAFE };
    await check(rowsH2(SAFE, THEIRS, 421), (pseudo, extra) => askH2(tlsPort, pseudo, extra, options));
    const c = await Connection.open(tlsPort, options);
    for (const [n, [authority, status]] of [[THEIRS, 421], [SAFE, 200], [OPEN, 421], [SAFE, 200]].entries()) {
        c.send(frameOfHeaders(2 * n + 1, fields({ ':path': '/', ':scheme': 'https', ':authority': authority })));
        assert.equal((await c.response(2 * n + 1)).status, status, authority);
    }
    c.close();
});

test('a resumed session brings no other name either', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3']) {
        const only = { minVersion: version, maxVersion: version, ALPNProtocols: ['http/1.1'] };
        const first = await openTls(tlsPort, SAFE, only);
        const session = version === 'TLSv1.2' ? first.getSession() : await new Promise((resolve) => first.once('session', resolve));
        first.destroy();
        for (const [host, expected] of [[SAFE, 'mine'], [THEIRS, 421], [OPEN, 421]])
            assert.equal(await ask(tlsPort, [`Host: ${host}`], { servername: SAFE, session, ...only }), expected, `${version} ${host}`);
    }
});

test('the page for nobody\'s name names nobody, and repeats nothing', async () => {
    for (const [where, options] of [[port, {}], [tlsPort, { servername: SAFE }]]) {
        const answer = await raw(where, head(['Host: strange.evil.com', 'Accept: text/html']), options);
        assert.equal(answer.status, options.servername ? 421 : 404);
        assert.match(answer.head, /content-type: text\/html/i);
        for (const secret of ['strange', 'evil.com', 'customer-one', 'stoa-host', 'mine', 'theirs']) assert.equal(answer.text.includes(secret), false, secret);
    }
});
