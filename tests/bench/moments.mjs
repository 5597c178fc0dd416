// What is not a rate: starting from nothing, memory at rest and of an idle TLS connection, how long a deploy takes to be seen.
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { residentBytes } from './measure.mjs';
import { ask, startStoa } from './servers.mjs';

const ROUNDS = 3;
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Milliseconds from an empty data directory to the first 200, private PostgreSQL and all. */
export async function coldStart(work, stoa) {
    const times = [];
    for (let i = 0; i < ROUNDS; ++i) {
        const dataDir = path.join(work, 'cold-data');
        fs.rmSync(dataDir, { recursive: true, force: true });
        const begun = performance.now();
        const server = await startStoa(work, stoa, { dataDir });
        while ((await ask(`${server.admin}/readyz`)).status !== 200);
        times.push(performance.now() - begun);
        await server.stop();
        fs.rmSync(dataDir, { recursive: true, force: true });
    }
    return median(times);
}

async function openIdle(server, count, sockets) {
    const { hostname, port } = new URL(server.https);
    for (let i = 0; i < count; i += 50) {
        await Promise.all(Array.from({ length: 50 }, () => new Promise((resolve, reject) => {
            const socket = tls.connect({ host: hostname, port, rejectUnauthorized: false, servername: 'localhost', ALPNProtocols: ['http/1.1'] }, () => {
                socket.write(`GET ${server.sizesAt}1k.js HTTP/1.1\r\nHost: ${server.tlsHost}\r\n\r\n`);
                socket.once('data', resolve);
            });
            socket.on('error', reject);
            sockets.push(socket);
        })));
    }
}

/** Resident bytes at rest, and what each idle TLS connection adds: beyond the first thousand, which the handshakes' own high water mark is a part of. */
export async function idleConnections(server, count = 1000, more = 3000) {
    const atRest = residentBytes(server.memoryPids());
    const others = residentBytes(server.otherPids());
    const sockets = [];
    await openIdle(server, count, sockets);
    const first = residentBytes(server.memoryPids());
    await openIdle(server, more, sockets);
    const all = residentBytes(server.memoryPids());
    for (const socket of sockets) socket.destroy();
    return { atRest, others, perFirst: (first - atRest) / count, perConnection: (all - first) / more };
}

/** Milliseconds from sending a changed .pie until its new bytes are served. */
export async function deployToVisible(server) {
    const times = [];
    for (let i = 0; i < ROUNDS; ++i) {
        const words = `round ${i} at ${Date.now()}`;
        const fence = '===public-file:index.html===';
        const pie = `---\nname: visible\ndisplayName: visible\nversion: 1.0.0\ntier: tool\n---\n${fence}\n${words}\n${fence}\n`;
        const begun = performance.now();
        const answer = await fetch(new URL('/api/plugins/import', server.console), {
            method: 'POST', body: pie, headers: { authorization: `Bearer ${server.token}`, 'content-type': 'text/plain' },
        });
        const link = new URL((await answer.json()).publicAppUrl).pathname.replace(/\/?$/, '/');
        for (;;) {
            const page = await fetch(new URL(link, server.http));
            if ((await page.text()) === words) break;
            if (performance.now() - begun > 10000) throw new Error('a deploy was not visible within 10 s');
        }
        times.push(performance.now() - begun);
    }
    return median(times);
}
