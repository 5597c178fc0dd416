// Many visitors on kept connections while the app is deployed again and again, over HTTP and TLS: every answer is whole and of one deployment.
// The one end-to-end file that is run under ThreadSanitizer too.
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import { after, before, test } from 'node:test';
import { startServer } from '../harness/server.mjs';

const CLIENTS = 24;
const DEPLOYS = 8;
let server;
before(async () => { server = await startServer({ tls: ['localhost'] }); });
after(() => server.stop());

function pie(version) {
    const line = `version ${version} `;
    const section = (name, text) => `===public-file:${name}===\n${text}\n===public-file:${name}===\n`;
    return `---\nname: load\ndisplayName: Load\nversion: 1.0.${version}\ntier: tool\n---\n` +
        section('index.html', `<h1>${line}</h1>`) + section('app.js', `// ${line.repeat(4000)}`);
}

function get(url, agent, headers) {
    return new Promise((resolve, reject) => {
        const call = (url.startsWith('https:') ? https : http).get(url, { agent, headers, rejectUnauthorized: false }, (answer) => {
            let text = '';
            answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => resolve({ status: answer.statusCode, text })).on('error', reject);
        });
        call.on('error', reject);
    });
}

for (const scheme of ['http', 'https']) {
    test(`visitors over ${scheme} see one deployment or the next, never a mix`, async () => {
        const first = await server.api('POST', '/api/plugins/import', pie(0));
        assert.ok([200, 201].includes(first.status), first.text);
        const where = new URL(first.json.publicAppUrl).pathname.replace(/\/?$/, '/');
        const base = scheme === 'http' ? server.apps : server.tls;
        let deploying = true;
        let answers = 0;
        const seen = new Set();
        const clients = Array.from({ length: CLIENTS }, async (_, i) => {
            const agent = new (scheme === 'http' ? http : https).Agent({ keepAlive: true, maxSockets: 1 });
            while (deploying) {
                const file = i % 2 ? 'app.js' : '';
                const answer = await get(`${base}${where}${file}`, agent);
                assert.equal(answer.status, 200, answer.text.slice(0, 200));
                const versions = new Set([...answer.text.matchAll(/version (\d+) /g)].map((m) => m[1]));
                assert.equal(versions.size, 1, 'one version in one answer');
                seen.add([...versions][0]);
                ++answers;
            }
            agent.destroy();
        });
        try {
            for (let version = 1; version <= DEPLOYS; ++version) {
                const made = await server.api('POST', '/api/plugins/import', pie(version));
                assert.equal(made.status, 200, made.text);
                const enough = answers + CLIENTS * 3;
                while (answers < enough) await Promise.race([new Promise((done) => { setTimeout(done, 20); }), ...clients]);
            }
        } finally {
            deploying = false;
        }
        await Promise.all(clients);
        assert.ok(seen.size > DEPLOYS / 2, `visitors saw ${[...seen]}`);
    });
}
