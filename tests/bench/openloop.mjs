// Requests at a fixed rate from core 1, by openloop.c: latencies that count from when each should have begun.
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const source = path.join(path.dirname(fileURLToPath(import.meta.url)), 'openloop.c');
let count = 0;

export const buildOpenLoop = (work) => execFileSync('gcc', ['-O2', '-D_GNU_SOURCE', '-o', path.join(work, 'openloop'), source]);

/** One HTTP/1.1 request, whole. */
export function request({ port, method = 'GET', path: where, headers = {}, body = '' }) {
    const lines = { host: `127.0.0.1:${port}`, ...headers, ...(method === 'GET' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }) };
    return `${method} ${where} HTTP/1.1\r\n${Object.entries(lines).map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n${body}`;
}

/**
 * Asks `requests` in turn, `rate` a second for `seconds`, over `connections`; `scheduling`: chrt(1)'s arguments.
 * `all`: [begun, milliseconds, status], begun in milliseconds since 1970; p50, p90, p99 and max of them in milliseconds; `statuses`: how many of each, 0 for closed connections.
 */
export async function keepRate({ work, port, rate, seconds, connections, requests, scheduling = ['-o', '0'] }) {
    const file = path.join(work, `openloop-${++count}`);
    fs.writeFileSync(file, requests.map((r) => `${Buffer.byteLength(r)}\n${r}`).join(''));
    const { stdout } = await run('chrt', [...scheduling, 'taskset', '-c', '1', path.join(work, 'openloop'), ...[port, rate, seconds, connections].map(String), file, `${file}.times`]);
    const all = fs.readFileSync(`${file}.times`, 'utf8').trimEnd().split('\n').filter(Boolean).map((line) => line.split(' ').map(Number));
    fs.rmSync(file);
    fs.rmSync(`${file}.times`);
    const sorted = all.map(([, took]) => took).sort((a, b) => a - b);
    const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
    const statuses = {};
    for (const [, , status] of all) statuses[status] = (statuses[status] ?? 0) + 1;
    return { all, unanswered: Number(stdout), statuses, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}
