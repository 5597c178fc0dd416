// ./dev bench: measures Stoa beside Debian's nginx, h2o and Caddy and a bare epoll loop, and judges it by the numbers of docs/performance.md.
// Servers and client have a core each; rounds are interleaved, the order turns round every other one; medians count.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { generate } from './generate.mjs';
import { askAll, measure } from './measure.mjs';
import { buildOpenLoop } from './openloop.mjs';
import { coldStart, idleConnections, deployToVisible } from './moments.mjs';
import { printMoments, printSummary } from './report.mjs';
import { startPeer, startStoa } from './servers.mjs';
import { deployAll } from './stoa-apps.mjs';

const repository = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../..');

export const cases = [];
for (const [protocol, whats] of Object.entries({
    h1: ['1k', '10k', '100k', '1m', 'many', '304'], h1s: ['1k', '10k', '100k', '1m', 'many', '304', 'close'], h2: ['1k', '10k', '100k', '1m', 'many', '304'],
    open: ['1k', '10k', 'many'], // HTTP/1.1 at a fixed rate: what a visitor waits when the server has time to spare
})) {
    for (const what of whats) {
        const file = { 304: '10k.js', close: '10k.js' }[what] ?? `${what}.js`; // many: asks all there are
        cases.push({ name: `${protocol}-${what}`, protocol, what, file, connections: what === '1m' ? 8 : 32 });
    }
}

const floorCases = new Set(['1k', '10k', '100k', '1m']);

const options = { rounds: 5, secs: 3, apps: 10000, servers: 'nginx,h2o,caddy,floor,stoa', work: path.join(repository, 'build/bench'),
    stoa: path.join(repository, 'build/release/stoa') };
const chosen = [];
for (let i = 2; i < process.argv.length; ++i) {
    const argument = process.argv[i];
    if (argument.startsWith('--')) {
        const name = argument.slice(2);
        if (!(name in options) || process.argv[i + 1] === undefined) fail(`./dev bench does not know ${argument}; it knows ${Object.keys(options).map((o) => `--${o}`).join(' ')}`);
        options[name] = typeof options[name] === 'number' ? Number(process.argv[++i]) : process.argv[++i];
    } else {
        chosen.push(argument);
    }
}
function fail(sentence) {
    console.error(sentence);
    process.exit(2);
}
const wantsMoments = chosen.length === 0 || chosen.includes('moments');
const selected = cases.filter((c) => chosen.length === 0 || chosen.some((name) => c.name === name || (name !== 'moments' && c.name.startsWith(`${name}-`))));
if (selected.length === 0 && !wantsMoments) fail(`No such case. Cases: moments ${cases.map((c) => c.name).join(' ')}; h1, h1s, h2 and open stand for all of theirs.`);

const { work } = options;
const names = options.servers.split(',');
fs.mkdirSync(work, { recursive: true });
const running = [];
const stopAll = async () => { for (const server of running.splice(0).reverse()) await server.stop(); };
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stopAll().then(() => process.exit(130)));

try {
    execFileSync('taskset', ['-cp', '1', String(process.pid)], { stdio: 'ignore' });
    buildOpenLoop(work);
    console.log(`==> generating ${options.apps} apps`);
    const data = path.join(work, 'data');
    const set = generate(data, options.apps);
    const moments = {};

    for (const name of names) {
        console.log(`==> starting ${name}`);
        if (name !== 'stoa') {
            running.push(await startPeer(name, work, data, set));
            continue;
        }
        if (wantsMoments) moments.coldStart = await coldStart(work, options.stoa);
        const stoa = await startStoa(work, options.stoa);
        running.push(stoa);
        Object.assign(stoa, await deployAll(stoa, work, data, set, options.apps));
        // what deploying left in its caches is not what an idle server holds
        await stoa.stop();
        running.pop();
        running.push(Object.assign(await startStoa(work, options.stoa), { sizesAt: stoa.sizesAt, many: stoa.many }));
    }
    const stoa = running.find((s) => s.name === 'stoa');
    if (stoa && wantsMoments) {
        moments.warmStart = stoa.startedIn;
        Object.assign(moments, await idleConnections(stoa), { deploy: await deployToVisible(stoa, work) });
    }

    // or the first round would measure the loading of ten thousand apps
    if (selected.some((test) => test.what === 'many')) for (const server of running.filter((s) => s.many)) await askAll(server, work);

    const results = [];
    const file = path.join(work, 'results.tsv');
    fs.writeFileSync(file, 'round\tcase\tserver\trequests\tper_second\tp50_us\tp99_us\tcpu_seconds\tmemory\terrors\n');
    for (let round = 1; round <= options.rounds && selected.length; ++round) {
        for (const test of selected) {
            const order = round % 2 ? running : [...running].reverse();
            for (const server of order) {
                if (server.name === 'floor' && (test.protocol !== 'h1' || !floorCases.has(test.what))) continue;
                const r = await measure(server, test, options.secs, work);
                results.push({ round, test, server: server.name, ...r });
                fs.appendFileSync(file, `${[round, test.name, server.name, r.requests, r.perSecond.toFixed(1), r.p50, r.p99, r.cpu.toFixed(4), r.memory, r.errors].join('\t')}\n`);
            }
        }
        console.log(`    round ${round} of ${options.rounds} done`);
    }
    const good = printSummary(results, selected) & printMoments(moments, options.apps, results);
    console.log(`every figure: ${path.relative(process.cwd(), file)}`);
    process.exitCode = good ? 0 : 1;
} finally {
    await stopAll();
}
