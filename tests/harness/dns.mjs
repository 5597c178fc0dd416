// A private internet of names on loopback: a root, its top-level zones and customers' zones on three knot servers, signed from the root
// down, on port 53 of addresses in 127.53.0.0/16, where nothing but tests listens; so the server under test recurses from its root as it
// does from the real one. Beside them a server of the test's own that fails, delays or keeps silent.
//
//     const dns = await startDns();
//     after(() => dns.stop());
//     await dns.setRecords('customer-one.com', ['_stoa-challenge.forms TXT "stoa-verification=…"', 'forms CNAME t1.hosting.net.']);
//     startServer({ dns_root_hints: dns.rootHints, dns_trust_anchor: dns.trustAnchor })
//
// Zones there from the start, by what is the matter with them (`kinds`): see ZONES; `await dns.addZone('later.com', 'signed')` makes more.
// Port 53 below 1024 needs root, or CAP_NET_BIND_SERVICE. `node tests/harness/dns.mjs` is the same for tests in C (harness/dns.c).
import dgram from 'node:dgram';
import { execFile, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './names.mjs';
import { temporaryDirectory, until } from './server.mjs';

const run = promisify(execFile);
const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

export const ZONES = {
    'customer-one.com': 'signed',
    'customer-two.com': 'signed',
    'unsigned-shop.com': 'unsigned',
    'bogus-shop.com': 'bogus', // signed, but not by the key its parent names
    'stripped-shop.com': 'stripped', // its parent says it is signed; it is not
    'lame-shop.com': 'lame', // its parent names a server that does not know it, and refuses
    'servfail-shop.com': 'servfail', // its server fails
    'silent-shop.com': 'silent', // its server never answers
    'slow-shop.com': 'slow', // its server answers "slow" to any TXT after dns.delay ms
};
const ODD = new Set(['servfail', 'silent', 'slow']);
const SERVFAIL = 2;
const TXT = 16;

const isBindable = (address) => new Promise((resolve, reject) => {
    const socket = dgram.createSocket('udp4');
    socket.once('error', (e) => (e.code === 'EADDRINUSE' ? resolve(false) : reject(e)));
    socket.bind(53, address, () => socket.close(() => resolve(true)));
});

const isListening = (port) => new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false)).once('connect', () => {
        socket.destroy();
        resolve(true);
    });
});

async function chooseNetwork() {
    for (let tries = 0; tries < 50; ++tries) {
        const network = `127.53.${1 + Math.floor(Math.random() * 254)}`;
        const all = await Promise.all([1, 2, 3, 4].map((n) => isBindable(`${network}.${n}`)));
        if (all.every(Boolean)) return network;
    }
    throw new Error('every network of 127.53.0.0/16 that was tried is taken');
}

// One knotd: its address, its zones (name -> lines), which of them are signed.
class Knot {
    constructor(home, name, address) {
        this.home = path.join(home, name);
        this.address = address;
        this.zones = new Map();
        for (const folder of ['', 'run', 'db', 'zones']) fs.mkdirSync(path.join(this.home, folder));
        this.configuration = path.join(this.home, 'knot.conf');
    }

    file(zone) {
        return path.join(this.home, 'zones', `${zone || 'root'}.zone`);
    }

    writeConfiguration() {
        const zones = [...this.zones].map(([name, { isSigned }]) =>
            `  - domain: ${name}.\n    file: ${this.file(name)}\n${isSigned ? '    dnssec-signing: on\n    dnssec-policy: own\n' : ''}`);
        fs.writeFileSync(this.configuration, `server:
    rundir: ${this.home}/run
    listen: ${this.address}@53
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: ${this.home}/db
    journal-db-max-size: 20M
    kasp-db-max-size: 10M
    timer-db-max-size: 10M
    catalog-db-max-size: 10M
policy:
  - id: own
    manual: on
    algorithm: ecdsap256sha256
    single-type-signing: on
    nsec3: on
    nsec3-iterations: 0
template:
  - id: default
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    semantic-checks: off
zone:
${zones.join('')}`);
    }

    // Gives {ds, dnskey} of a signed zone, in a zone file's words.
    addZone(name, isSigned) {
        this.zones.set(name, { isSigned, lines: [] });
        this.writeConfiguration();
        if (!isSigned) return {};
        const keymgr = (...what) => execFileSync('keymgr', ['-c', this.configuration, `${name}.`, ...what], { env: environment, encoding: 'utf8' });
        keymgr('generate', 'algorithm=ECDSAP256SHA256', 'ksk=yes', 'zsk=yes');
        const record = (text) => text.split('\n')[0].replace(/^\S+ /, '');
        return { ds: record(keymgr('ds')), dnskey: record(keymgr('dnskey')) };
    }

    writeZone(name) {
        const apex = name ? `${name}.` : '.';
        const host = name ? `ns.${name}.` : 'ns.root-servers.';
        fs.writeFileSync(this.file(name), [`$ORIGIN ${apex}`, '$TTL 60', `@ SOA ${host} hostmaster.${host} 1 3600 600 86400 60`, `@ NS ${host}`,
            `${host} A ${this.address}`, ...this.zones.get(name).lines, ''].join('\n'));
    }

    knotc(...what) {
        return run('knotc', ['-c', this.configuration, '-t', '20', '-b', ...what], { env: environment });
    }

    async start() {
        for (const name of this.zones.keys()) this.writeZone(name);
        this.writeConfiguration();
        const log = fs.openSync(path.join(this.home, 'log'), 'a');
        // dies with this process, however that ends
        this.child = spawn('setpriv', ['--pdeathsig', 'KILL', 'knotd', '-c', this.configuration], { env: environment, stdio: ['ignore', log, log] });
        fs.closeSync(log);
        this.ended = new Promise((resolve) => this.child.on('close', resolve));
        await until(async () => {
            if (this.child.exitCode !== null) throw new Error(`knotd ended:\n${fs.readFileSync(path.join(this.home, 'log'), 'utf8')}`);
            return this.knotc('status').then(() => true, () => false);
        }, 'knotd');
    }

    async reload(name) {
        this.writeZone(name);
        await this.knotc('zone-reload', name ? `${name}.` : '.');
    }

    async stop() {
        if (this.child === undefined || this.child.exitCode !== null) return;
        this.child.kill('SIGTERM');
        await this.ended;
    }
}

// The question of a query: {name, type, end}.
function question(query) {
    const labels = [];
    let at = 12;
    while (at < query.length && query[at] !== 0) {
        labels.push(query.toString('latin1', at + 1, at + 1 + query[at]).toLowerCase());
        at += query[at] + 1;
    }
    return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function reply(query, asked, rcode, texts) {
    const head = Buffer.from(query.subarray(0, asked.end));
    head.writeUInt16BE(0x8400 | rcode, 2); // an authoritative answer
    head.writeUInt16BE(texts.length, 6);
    head.writeUInt32BE(0, 8);
    const records = texts.map((text) => {
        const fixed = Buffer.from([0xc0, 12, 0, TXT, 0, 1, 0, 0, 0, 60, 0, text.length + 1, text.length]);
        return Buffer.concat([fixed, Buffer.from(text, 'latin1')]);
    });
    return Buffer.concat([head, ...records]);
}

// The server of zones that are not well.
class Odd {
    constructor(address, dns) {
        this.address = address;
        this.dns = dns;
        this.asked = 0;
    }

    answer(query, send) {
        const asked = question(query);
        ++this.asked;
        const zone = [...this.dns.kinds.keys()].find((name) => asked.name === name || asked.name.endsWith(`.${name}`));
        const kind = this.dns.kinds.get(zone);
        if (kind === 'servfail') send(reply(query, asked, SERVFAIL, []));
        if (kind !== 'slow') return;
        this.timer = setTimeout(() => send(reply(query, asked, 0, asked.type === TXT ? ['slow'] : [])), this.dns.delay);
        this.timer.unref();
    }

    async start() {
        this.udp = dgram.createSocket('udp4');
        this.udp.on('message', (query, from) => this.answer(query, (bytes) => this.udp.send(bytes, from.port, from.address)));
        await new Promise((resolve, reject) => this.udp.once('error', reject).bind(53, this.address, resolve));
        this.tcp = net.createServer((socket) => socket.on('error', () => socket.destroy()).on('data', () => socket.destroy()));
        await new Promise((resolve, reject) => this.tcp.once('error', reject).listen(53, this.address, resolve));
    }

    stop() {
        clearTimeout(this.timer);
        this.udp.close();
        this.tcp.close();
    }
}

class Dns {
    constructor(home, network) {
        this.home = home;
        this.kinds = new Map();
        this.delay = 300;
        this.root = new Knot(home, 'root', `${network}.1`);
        this.top = new Knot(home, 'top', `${network}.2`);
        this.hosting = new Knot(home, 'hosting', `${network}.3`);
        this.odd = new Odd(`${network}.4`, this);
        this.rootHints = path.join(home, 'root.hints');
        this.trustAnchor = path.join(home, 'root.key');
    }

    // Hangs a zone below its parent, and gives that parent's name when it is new.
    delegate(parent, name, server, ds) {
        const zone = this[parent === '' ? 'root' : 'top'].zones.get(parent);
        zone.lines.push(`${name}. NS ns.${name}.`, `ns.${name}. A ${server}`, ...(ds ? [`${name}. ${ds}`] : []));
    }

    addTop(name) {
        if (this.top.zones.has(name)) return false;
        const { ds } = this.top.addZone(name, true);
        this.delegate('', name, this.top.address, ds);
        return true;
    }

    // Gives the top-level zone it hangs below, and whether that is new.
    hang(name, kind) {
        const top = name.slice(name.lastIndexOf('.') + 1);
        const isNew = this.addTop(top);
        this.kinds.set(name, kind);
        if (ODD.has(kind) || kind === 'lame') {
            this.delegate(top, name, kind === 'lame' ? this.hosting.address : this.odd.address);
            return { top, isNew };
        }
        let { ds } = this.hosting.addZone(name, kind === 'signed' || kind === 'bogus');
        if (kind === 'bogus' || kind === 'stripped') ds = `DS 4711 13 2 ${'0123456789abcdef'.repeat(4)}`;
        this.delegate(top, name, this.hosting.address, ds);
        return { top, isNew };
    }

    async start() {
        const { dnskey } = this.root.addZone('', true);
        for (const [name, kind] of Object.entries(ZONES)) this.hang(name, kind);
        fs.writeFileSync(this.rootHints, `. 3600000 NS ns.root-servers.\nns.root-servers. 3600000 A ${this.root.address}\n`);
        fs.writeFileSync(this.trustAnchor, `. IN ${dnskey}\n`);
        await Promise.all([this.root, this.top, this.hosting, this.odd].map((server) => server.start()));
    }

    /** Replaces all records of a zone that knot serves; each a line of a zone file, names relative to the zone. */
    async setRecords(zone, records) {
        const held = this.hosting.zones.get(zone);
        if (held === undefined) throw new Error(`there is no zone ${zone}`);
        held.lines = [...records];
        await this.hosting.reload(zone);
    }

    /** One more zone, of any kind of ZONES. */
    async addZone(name, kind = 'signed') {
        const { top, isNew } = this.hang(name, kind);
        if (this.hosting.zones.has(name)) {
            this.hosting.writeZone(name);
            await this.hosting.knotc('reload');
            await this.hosting.knotc('zone-reload', `${name}.`);
        }
        if (isNew) {
            this.top.writeZone(top);
            await this.top.knotc('reload');
            await this.root.reload('');
        }
        await this.top.reload(top);
    }

    /** Starts a recursor (unbound) that asks the same servers, and gives it as the setting dns_forwarders wants it. */
    async startForwarder() {
        const port = await freePort();
        const configuration = path.join(this.home, 'unbound.conf');
        fs.writeFileSync(configuration, `server:
    interface: 127.0.0.1@${port}
    do-daemonize: no
    use-syslog: no
    logfile: ""
    chroot: ""
    username: ""
    directory: "${this.home}"
    pidfile: ""
    do-not-query-localhost: no
    cache-max-ttl: 0
    cache-max-negative-ttl: 0
    root-hints: "${this.rootHints}"
    trust-anchor-file: "${this.trustAnchor}"
remote-control:
    control-enable: no
`);
        const log = fs.openSync(path.join(this.home, 'unbound.log'), 'a');
        this.recursor = spawn('setpriv', ['--pdeathsig', 'KILL', 'unbound', '-d', '-c', configuration], { env: environment, stdio: ['ignore', log, log] });
        fs.closeSync(log);
        await until(async () => {
            if (this.recursor.exitCode !== null) throw new Error(`unbound ended:\n${fs.readFileSync(path.join(this.home, 'unbound.log'), 'utf8')}`);
            return isListening(port);
        }, 'unbound');
        return `127.0.0.1@${port}`;
    }

    async stop() {
        this.odd.stop();
        this.recursor?.kill('SIGKILL');
        await Promise.all([this.root, this.top, this.hosting].map((server) => server.stop()));
    }
}

export async function startDns() {
    const dns = new Dns(temporaryDirectory('dns'), await chooseNetwork());
    await dns.start();
    return dns;
}

// Lines on stdin, `ZONE<tab>record<tab>record…`, each answered by `ok` or a reason, or `forwarder`, answered by its address;
// ends with stdin.
async function serveTests() {
    const dns = await startDns();
    process.stdout.write(`${dns.rootHints}\n${dns.trustAnchor}\n`);
    let rest = '';
    for await (const part of process.stdin.setEncoding('utf8')) {
        const lines = (rest + part).split('\n');
        rest = lines.pop();
        for (const line of lines) {
            const [zone, ...records] = line.split('\t');
            const done = zone === 'forwarder' ? dns.startForwarder() : dns.setRecords(zone, records).then(() => 'ok');
            process.stdout.write(`${await done.catch((e) => e.message.replaceAll('\n', ' '))}\n`);
        }
    }
    await dns.stop();
    process.exit(0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serveTests();
