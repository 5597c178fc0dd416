// Names that only a test knows: requests that say one name and connect to this machine, raw bytes where a client library would be too
// polite, and a server with origins of its own on one TLS listener.
import crypto from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { makeCertificate, request, startServer } from './server.mjs';

/** A port that was free a moment ago, for a setting that must name it before the server binds it: none that a client's end could be given. */
export async function freePort() {
    for (;;) {
        const port = crypto.randomInt(10000, 30000);
        const isFree = await new Promise((resolve) => {
            const probe = net.createServer().on('error', () => resolve(false)).listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
        });
        if (isFree) return port;
    }
}

/** For `lookup` of Node's clients: every name is 127.0.0.1. */
export function lookup(name, options, callback) {
    if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }]);
    else callback(null, '127.0.0.1', 4);
}

/** request() of server.mjs for a name that does not resolve. */
export const visit = (url, options = {}) => request(url, { lookup, ...options });

/** Opens a TLS connection (`servername` '' = no SNI) and gives the socket once the handshake is done; rejects with Node's error else. */
export function openTls(port, servername, options = {}) {
    return new Promise((resolve, reject) => {
        const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, checkServerIdentity: () => undefined, ...options });
        socket.once('secureConnect', () => resolve(socket)).once('error', reject);
    });
}

/** Sends `bytes` as they are and gives all that came back until the server closed: {status, head, body, text}, as latin1. */
export async function raw(port, bytes, { servername, timeout = 20000, ...options } = {}) {
    const socket = servername === undefined ? net.connect(port, '127.0.0.1') : await openTls(port, servername, { ALPNProtocols: ['http/1.1'], ...options });
    return new Promise((resolve, reject) => {
        let text = '';
        socket.setEncoding('latin1').setTimeout(timeout, () => socket.destroy(new Error(`no end of the answer to ${JSON.stringify(bytes.slice(0, 200))}`)));
        socket.on('data', (part) => { text += part; }).on('error', reject);
        socket.on('close', () => {
            const end = text.indexOf('\r\n\r\n');
            resolve({ status: Number(/^HTTP\/1\.[01] (\d{3}) /.exec(text)?.[1] ?? 0), head: text.slice(0, end), body: text.slice(end + 4), text });
        });
        socket.write(bytes, 'latin1');
    });
}

/**
 * A server whose origins are https://apps.test and https://console.test on one TLS listener, with instance_domain apps.test. Two
 * certificates, the console's second: {*.apps.test, apps.test} and {console.test}. Further members: `tlsPort`, `appsOrigin`,
 * `consoleOrigin`, and `manage` for api() by name.
 */
export async function startNamed({ settings = {}, ...options } = {}) {
    const tlsPort = await freePort();
    const [apps, console] = [makeCertificate(['apps.test', '*.apps.test'], []), makeCertificate(['console.test'], [])];
    const appsOrigin = `https://apps.test:${tlsPort}`;
    const consoleOrigin = `https://console.test:${tlsPort}`;
    const server = await startServer({
        ...options,
        settings: {
            listen_tls: `127.0.0.1:${tlsPort}`, tls_certificate: `${apps.certificate},${console.certificate}`, tls_key: `${apps.key},${console.key}`,
            apps_origin: appsOrigin, console_origin: consoleOrigin, instance_domain: 'apps.test', ...settings,
        },
    });
    server.consoleListener = server.console;
    server.console = consoleOrigin;
    return Object.assign(server, {
        tlsPort, appsOrigin, consoleOrigin, certificates: { apps, console },
        manage: (method, where, body, more = {}) => server.api(method, where, body, { lookup, ...more }),
    });
}
