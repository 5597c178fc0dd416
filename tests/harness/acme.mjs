// A certificate authority of the test's own: Pebble, which forgets everything when it is stopped, asks for proof at a port of our choice,
// and finds names by the test's name servers.
//
//     const ca = await preparePebble();                     // its address is known, so that the server may be told
//     const server = await startServer({ tls: ['…'], settings: { acme_directory: ca.directory, acme_ca_file: ca.caFile, … } });
//     await ca.start({ httpPort: portOf(server.apps), dnsServer: '127.0.0.1:5353' });
//     after(() => ca.stop());
//     const root = await ca.root();
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { freePort } from './names.mjs';
import { makeCertificate, request, temporaryDirectory, until } from './server.mjs';

class Pebble {
    constructor(port, managementPort) {
        const { certificate, key } = makeCertificate(['localhost'], ['127.0.0.1']);
        Object.assign(this, { port, managementPort, caFile: certificate, key, home: temporaryDirectory('pebble') });
        this.directory = `https://127.0.0.1:${port}/dir`;
    }

    /** Also after stop(): another authority then, that knows no account. `blocked`: names it refuses; `env`: Pebble's own switches. */
    async start({ httpPort, dnsServer, blocked = [], env = {} }) {
        const configuration = path.join(this.home, 'pebble.json');
        fs.writeFileSync(configuration, JSON.stringify({
            pebble: {
                listenAddress: `127.0.0.1:${this.port}`, managementListenAddress: `127.0.0.1:${this.managementPort}`,
                certificate: this.caFile, privateKey: this.key, httpPort, tlsPort: 1, ocspResponderURL: '', externalAccountBindingRequired: false,
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
        }, 'pebble');
    }

    /** Its root certificate, PEM; another one with each start. */
    async root() {
        return (await request(`https://127.0.0.1:${this.managementPort}/roots/0`)).text;
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

export async function preparePebble() {
    return new Pebble(await freePort(), await freePort());
}

export const portOf = (url) => Number(new URL(url).port);
