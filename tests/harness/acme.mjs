// A certificate authority of the test's own: Pebble, which forgets everything when it is stopped, asks for proof at a port of our choice,
// and finds names by the test's name servers.
//
//     const ca = preparePebble(); // its address is known, so that the server may be told
//     const server = await startServer({ tls: ['…'], settings: { acme_directory: ca.directory, acme_ca_file: ca.caFile, … } });
//     await ca.start({ httpPort: portOf(server.apps), dnsServer: '127.0.0.1:5353' });
//     after(() => ca.stop());
//     const root = await ca.root();
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { makeCertificate, request, temporaryDirectory, until } from './server.mjs';

const PORT = 14000;
const MANAGEMENT_PORT = 15000;

class Pebble {
    // An address that nobody else has: a port of 127.0.0.1 might be taken by somebody who asks for any before Pebble starts.
    constructor() {
        const part = () => 1 + Math.floor(Math.random() * 254);
        this.address = `127.54.${part()}.${part()}`;
        const { certificate, key } = makeCertificate(['localhost'], [this.address]);
        Object.assign(this, { caFile: certificate, key, home: temporaryDirectory('pebble') });
        this.directory = `https://${this.address}:${PORT}/dir`;
    }

    /**
     * Also after stop(): another authority then, that knows no account. `blocked`: names it refuses; `accounts`: {kid: key} of those it
     * has, when it takes no others (RFC 8555 §7.3.4); `env`: Pebble's own switches.
     */
    async start({ httpPort, dnsServer, blocked = [], accounts, env = {} }) {
        const configuration = path.join(this.home, 'pebble.json');
        fs.writeFileSync(configuration, JSON.stringify({
            pebble: {
                listenAddress: `${this.address}:${PORT}`, managementListenAddress: `${this.address}:${MANAGEMENT_PORT}`,
                certificate: this.caFile, privateKey: this.key, httpPort, tlsPort: 1, ocspResponderURL: '', externalAccountBindingRequired: accounts !== undefined,
                externalAccountMACKeys: accounts,
                domainBlocklist: blocked,
            },
        }));
        const log = fs.openSync(path.join(this.home, 'log'), 'a');
        this.child = spawn('setpriv', ['--pdeathsig', 'KILL', 'pebble', '-config', configuration, ...(dnsServer ? ['-dnsserver', dnsServer] : [])],
            { env: { PATH: process.env.PATH, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0', ...env }, stdio: ['ignore', log, log] });
        fs.closeSync(log);
        this.ended = new Promise((resolve) => this.child.on('close', resolve));
        await until(async () => {
            if (this.child.exitCode !== null) throw new Error(`pebble ended:\n${this.log()}`);
            return request(this.directory).then((answer) => answer.status === 200, () => false);
        }, 'pebble', 60000); // it makes RSA keys first
    }

    /** Its root certificate, PEM; another one with each start. */
    async root() {
        return (await request(`https://${this.address}:${MANAGEMENT_PORT}/roots/0`)).text;
    }

    log() {
        return fs.readFileSync(path.join(this.home, 'log'), 'utf8');
    }

    async stop() {
        if (this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null) return;
        this.child.kill('SIGKILL');
        await this.ended;
    }
}

export function preparePebble() {
    return new Pebble();
}

export const portOf = (url) => Number(new URL(url).port);
