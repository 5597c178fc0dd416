// Runs end-to-end files side by side, each in a Node process of its own, with one PostgreSQL for all; says how each went and writes the
// sums. Node 18's own runner has no setting for how many files run at once.
//
//     node run.mjs [--jobs N] --sums FILE --logs FOLDER file…      FILE gets "passed failed skipped"
//
// A file that is not ok is run once more when all others are done, alone: what only a busy machine brings about is told from what is
// broken, and both are said. What a sanitizer has found stays found.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startCluster } from './postgres.mjs';

const files = [];
const options = { jobs: 2 * os.cpus().length, sums: undefined, logs: undefined };
for (let i = 2; i < process.argv.length; ++i) {
    if (process.argv[i].startsWith('--')) options[process.argv[i].slice(2)] = process.argv[++i];
    else files.push(process.argv[i]);
}
const LIMIT = (process.env.STOA_FULL === '1' ? 900 : 300) * 1000;
const AGAIN_MAX = 4; // more than that is no accident
fs.mkdirSync(options.logs, { recursive: true });
const timesFile = path.join(options.logs, 'times.json');
const times = fs.existsSync(timesFile) ? JSON.parse(fs.readFileSync(timesFile, 'utf8')) : {};

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'stoa-test-'));
fs.chmodSync(root, 0o755);
const cluster = await startCluster(root);
const children = new Set();
function cleanUp() {
    for (const child of children) child.kill('SIGTERM');
    cluster.stop();
    if (!process.env.STOA_KEEP) fs.rmSync(root, { recursive: true, force: true, maxRetries: 3 });
}
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => { cleanUp(); process.exit(1); });

// The summary lines of the tap and the spec reporter.
function sums(output) {
    const found = {};
    for (const [, name, count] of output.matchAll(/^(?:#|ℹ) (pass|fail|cancelled|skipped|todo) (\d+)$/gm)) found[name] = Number(count);
    return { passed: found.pass ?? 0, failed: (found.fail ?? 0) + (found.cancelled ?? 0), skipped: (found.skipped ?? 0) + (found.todo ?? 0) };
}

function runFile(file) {
    return new Promise((resolve) => {
        const begun = Date.now();
        const child = spawn(process.execPath, [file], {
            env: { ...process.env, STOA_TEST_PG: cluster.socket, STOA_TEST_ROOT: root, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'],
        });
        children.add(child);
        let output = '';
        for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part) => { output += part; });
        const giveUp = setTimeout(() => {
            output += `\nnot finished after ${LIMIT / 1000} s\n`;
            child.kill('SIGTERM');
            setTimeout(() => child.kill('SIGKILL'), 5000).unref();
        }, LIMIT);
        child.on('close', (code, signal) => {
            clearTimeout(giveUp);
            children.delete(child);
            const result = { file, code: code ?? signal, seconds: (Date.now() - begun) / 1000, output, ...sums(output) };
            if (result.code !== 0 && result.failed === 0) result.failed = 1;
            if (result.passed + result.failed === 0) {
                result.output += '\nthis file ran no test\n';
                result.failed = 1;
            }
            resolve(result);
        });
    });
}

const total = { passed: 0, failed: 0, skipped: 0 };
function report(result) {
    const name = path.basename(result.file, '.test.mjs');
    fs.writeFileSync(path.join(options.logs, `${name}.log`), result.output);
    times[result.file] = result.seconds;
    for (const key of Object.keys(total)) total[key] += result[key];
    const words = [`${result.passed} ok`, result.failed ? `${result.failed} NOT ok` : '', result.skipped ? `${result.skipped} left out` : ''];
    console.log(`    ${name.padEnd(24)} ${words.filter(Boolean).join(', ')}  (${result.seconds.toFixed(1)} s)`);
    for (const [, test, why] of result.output.matchAll(/^ *ok \d+ - (.*) # SKIP ?(.*)$/gm)) console.log(`      left out: ${test}${why ? ` (${why})` : ''}`);
    if (result.failed) {
        const wanted = /^ *not ok|^ *✖/m.exec(result.output);
        const from = wanted ? wanted.index : Math.max(0, result.output.length - 3000);
        console.log(result.output.slice(from, from + 5000).replace(/^/gm, '      | '));
        console.log(`      the whole log: ${path.join(options.logs, `${name}.log`)}`);
    }
}

// Longest first, as far as an earlier run tells; in a fresh clone those that wait most, whose time others can use.
const WAITING = { 'embed-renewal': 140, fairness: 95, certificates: 90, faults: 60, runs: 60, domains: 50, crash: 40, 'action-ends': 40, 'embed-sdk': 45, 'managed-db': 45 };
const secondsOf = (file) => times[file] ?? WAITING[path.basename(file, '.test.mjs')] ?? 30;
const queue = files.sort((a, b) => secondsOf(b) - secondsOf(a));
const again = [];
const isFinal = (result) => !result.failed || /Sanitizer|runtime error:/.test(result.output);
await Promise.all(Array.from({ length: options.jobs }, async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
        const result = await runFile(file);
        if (isFinal(result)) report(result);
        else again.push(result);
    }
}));
for (const first of again) {
    const second = again.length <= AGAIN_MAX ? await runFile(first.file) : first;
    report(second);
    if (second.failed) continue;
    fs.writeFileSync(path.join(options.logs, `${path.basename(first.file, '.test.mjs')}.first.log`), first.output);
    for (const [line] of first.output.matchAll(/^ *(not ok|✖) .*$/gm)) console.log(`      not ok beside others, ok alone: ${line.trim()}`);
}
cleanUp();
fs.writeFileSync(timesFile, JSON.stringify(times));
fs.writeFileSync(options.sums, `${total.passed} ${total.failed} ${total.skipped}\n`);
process.exit(total.failed ? 1 : 0);
