// Deploys the generated apps into a running Stoa through its API, many at once, and remembers the links it answered; what is deployed
// already (the data directory is kept) is not deployed again.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { appFiles, appName, manyUrls } from './generate.mjs';

function call(server, agent, method, where, body, type) {
    const url = new URL(where, server.console);
    return new Promise((resolve, reject) => {
        const request = http.request(url, {
            method, agent, headers: { authorization: `Bearer ${server.token}`, 'content-type': type, 'content-length': body.length },
        }, (answer) => {
            const parts = [];
            answer.on('data', (part) => parts.push(part));
            answer.on('error', reject);
            answer.on('end', () => {
                const text = Buffer.concat(parts).toString('utf8');
                if (answer.statusCode >= 300) reject(new Error(`${method} ${where}: ${answer.statusCode} ${text}`));
                else resolve(JSON.parse(text));
            });
        });
        request.on('error', reject);
        request.end(body);
    });
}

function pie(name, files) {
    const head = `---\nname: ${name}\ndisplayName: ${name}\nversion: 1.0.0\ntier: tool\n---\n`;
    return Buffer.concat([Buffer.from(head), ...Object.entries(files).flatMap(([file, bytes]) => {
        const fence = Buffer.from(`===public-file:${file}===\n`);
        return [fence, bytes, Buffer.from('\n'), fence];
    })]);
}

/** Gives {sizesAt, many}: Stoa's own paths of the same files. */
export async function deployAll(server, work, data, set, apps) {
    const known = path.join(work, 'stoa-apps.json');
    const links = fs.existsSync(known) ? JSON.parse(fs.readFileSync(known, 'utf8')) : {};
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    const remember = (name, made) => { links[name] = new URL(made.publicAppUrl).pathname.replace(/\/?$/, '/'); };
    const wanted = [];
    for (let i = 0; i < apps; ++i) if (!links[appName(i)]) wanted.push(i);
    const begun = Date.now();
    let done = 0;
    const save = () => fs.writeFileSync(known, JSON.stringify(links));
    try {
        await Promise.all(Array.from({ length: 8 }, async () => {
            for (let i = wanted.shift(); i !== undefined; i = wanted.shift()) {
                remember(appName(i), await call(server, agent, 'POST', '/api/plugins/import', pie(appName(i), appFiles(i)), 'text/plain'));
                if (++done % 1000 === 0) console.log(`    ${done} apps deployed (${((Date.now() - begun) / 1000).toFixed(0)} s)`);
            }
        }));
        if (!links.bench) {
            // 1 MB is more than a .pie may hold: its files come as an archive
            const made = await call(server, agent, 'POST', '/api/plugins/import', pie('bench', { 'index.html': Buffer.from('bench') }), 'text/plain');
            const tar = execFileSync('tar', ['-C', path.join(data, set.sizesAt), '--exclude=*.gz', '--exclude=*.br', '-cf', '-', '.'], { maxBuffer: 1 << 26 });
            await call(server, agent, 'POST', '/api/plugins/bench/deployments', tar, 'application/octet-stream');
            remember('bench', made);
        }
    } finally {
        save();
        agent.destroy();
    }
    if (done) console.log(`    ${done} apps deployed in ${((Date.now() - begun) / 1000).toFixed(0)} s`);
    return { sizesAt: links.bench, many: manyUrls(apps, (i) => links[appName(i)]) };
}
