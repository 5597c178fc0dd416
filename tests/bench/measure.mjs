// One measurement: a client pinned to its core for some seconds against one server; requests, latencies, the server's CPU time, errors.
import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { keepRate, request } from './openloop.mjs';
import { CLIENT_CORE, ask } from './servers.mjs';

const run = promisify(execFile);
const here = path.dirname(new URL(import.meta.url).pathname);

/** CPU seconds of all threads of `pids`, user and system, to the nanosecond (schedstat). */
export function cpuSeconds(pids) {
    let sum = 0n;
    for (const pid of pids) {
        let tasks = [];
        try {
            tasks = fs.readdirSync(`/proc/${pid}/task`);
        } catch { /* it ended */ }
        for (const task of tasks) {
            try {
                sum += BigInt(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
            } catch { /* the thread ended */ }
        }
    }
    return Number(sum) / 1e9;
}

/** Resident bytes of `pids` together. */
export function residentBytes(pids) {
    return pids.reduce((sum, pid) => {
        try {
            return sum + Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
        } catch {
            return sum;
        }
    }, 0);
}

// A percentile of wrk's; it prints none, or "-nan", when no answer came in that round: 0, and the round counts as errors.
const microseconds = (text) => {
    const [, value, unit] = /([\d.]+)(us|ms|s|m)/.exec(text ?? '') ?? [undefined, 0, 'us'];
    return Number(value) * { us: 1, ms: 1e3, s: 1e6, m: 6e7 }[unit];
};

async function wrk(server, test, seconds, work, etag) {
    const base = test.protocol === 'h1' ? server.http : server.https;
    const host = test.protocol === 'h1' ? server.host : server.tlsHost;
    const headers = [`Host: ${host}`, ...(test.what === '304' ? [`If-None-Match: ${etag}`] : []), ...(test.what === 'close' ? ['Connection: close'] : [])];
    const env = { ...process.env, BENCH_HOST: host };
    let target = `${base}${server.sizesAt}${test.file}`;
    const script = [];
    if (test.what === 'many') {
        env.BENCH_URLS = path.join(work, `${server.name}.urls`);
        fs.writeFileSync(env.BENCH_URLS, `${server.many.join('\n')}\n`);
        script.push('-s', path.join(here, 'many.lua'));
        target = base;
    }
    const args = (time) => ['-c', CLIENT_CORE, 'wrk', '-t1', `-c${test.connections}`, `-d${time}s`, '--latency', ...headers.flatMap((h) => ['-H', h]), ...script, target];
    await run('taskset', args(1), { env });
    const before = cpuSeconds(server.cpuPids());
    const { stdout } = await run('taskset', args(seconds), { env });
    const cpu = cpuSeconds(server.cpuPids()) - before;
    const number = (pattern) => Number(pattern.exec(stdout)?.[1] ?? 0);
    const socketErrors = [...(/Socket errors: (.*)/.exec(stdout)?.[1] ?? '').matchAll(/\d+/g)].reduce((sum, [n]) => sum + Number(n), 0);
    const requests = number(/(\d+) requests in/);
    const other = number(/Non-2xx or 3xx responses: (\d+)/);
    return {
        requests, perSecond: number(/Requests\/sec:\s+([\d.]+)/), cpu, errors: socketErrors + other + (requests === 0 ? 1 : 0),
        p50: microseconds(/50%\s+(\S+)/.exec(stdout)?.[1]), p99: microseconds(/99%\s+(\S+)/.exec(stdout)?.[1]),
    };
}

async function h2load(server, test, seconds, work, etag) {
    const log = path.join(work, 'h2load.log');
    const headers = test.what === '304' ? ['-H', `if-none-match: ${etag}`] : test.what === 'many' ? ['-H', 'accept-encoding: gzip'] : [];
    let targets = [`${server.https.replace('127.0.0.1', 'localhost')}${server.sizesAt}${test.file}`];
    if (test.what === 'many') {
        const list = path.join(work, `${server.name}.h2urls`);
        fs.writeFileSync(list, `${server.many.map((u) => server.https.replace('127.0.0.1', 'localhost') + u).join('\n')}\n`);
        targets = ['-i', list];
    }
    const shape = test.what === '1m' ? ['-c4', '-m4'] : ['-c8', '-m16'];
    const args = (more) => ['-c', CLIENT_CORE, 'h2load', '-t1', ...shape, ...headers, ...more, ...targets];
    await run('taskset', args(['-D', '1']), { maxBuffer: 1 << 26 });
    fs.rmSync(log, { force: true });
    const before = cpuSeconds(server.cpuPids());
    const { stdout } = await run('taskset', args(['-D', String(seconds), `--log-file=${log}`]), { maxBuffer: 1 << 26 });
    const cpu = cpuSeconds(server.cpuPids()) - before;
    // with -D its totals miss what ended after the bell; its log has a line for each request: start, status, microseconds
    const awk = spawnSync('sh', ['-c', `awk -v want=${test.what === '304' ? 304 : 200} '{print $3; if ($2 != want) ++bad} END {print "bad", bad + 0}' "$1" | sort -n`, 'sh', log],
        { encoding: 'utf8', maxBuffer: 1 << 29 });
    const lines = awk.stdout.trim().split('\n');
    const bad = Number(lines.find((l) => l.startsWith('bad')).slice(4));
    const times = lines.filter((l) => !l.startsWith('bad')).map(Number);
    fs.rmSync(log, { force: true });
    const [, failed, errored] = /(\d+) failed, (\d+) errored/.exec(stdout) ?? [0, 0, 0];
    return {
        requests: times.length, perSecond: times.length / seconds, cpu, errors: bad + Number(failed) + Number(errored),
        p50: times[Math.floor(times.length * 0.5)] ?? 0, p99: times[Math.floor(times.length * 0.99)] ?? 0,
    };
}

const RATE = 10000;

async function openLoop(server, test, seconds, work) {
    const paths = test.what === 'many' ? server.many : [`${server.sizesAt}${test.file}`];
    const options = { work, port: new URL(server.http).port, rate: RATE, connections: test.connections, requests: paths.map((at) => request({ path: at, headers: { host: server.host } })) };
    await keepRate({ ...options, seconds: 1 });
    const before = cpuSeconds(server.cpuPids());
    const { all, unanswered, p50, p99 } = await keepRate({ ...options, seconds });
    const cpu = cpuSeconds(server.cpuPids()) - before;
    const last = all.reduce((most, [begun, took]) => Math.max(most, begun + took), 0);
    return {
        requests: all.length, perSecond: all.length / ((last - (all[0]?.[0] ?? 0)) / 1000), cpu, p50: p50 * 1000, p99: p99 * 1000,
        errors: unanswered + all.filter(([, , status]) => status !== 200).length,
    };
}

/** Every address of the case with many once, as it is and compressed. */
export async function askAll(server, work) {
    for (const headers of [{ host: server.host }, { host: server.host, 'accept-encoding': 'gzip' }]) {
        const requests = server.many.map((at) => request({ path: at, headers }));
        await keepRate({ work, port: new URL(server.http).port, rate: 5000, seconds: requests.length / 5000, connections: 32, requests });
    }
}

/** What the case gets right now: a fast error page is no answer. Gives the ETag that the 304 case sends. */
async function checkAnswer(server, test) {
    const isPlain = test.protocol === 'h1' || test.protocol === 'open';
    const base = isPlain ? server.http : server.https;
    const host = isPlain ? server.host : server.tlsHost;
    const where = test.what === 'many' ? server.many[0] : `${server.sizesAt}${test.file}`;
    const plain = await ask(`${base}${where}`, { headers: { host } });
    if (plain.status !== 200) throw new Error(`${server.name} answers ${plain.status} to ${base}${where}`);
    if (test.what !== '304') return undefined;
    const etag = plain.headers.etag;
    const again = await ask(`${base}${where}`, { headers: { host, 'if-none-match': etag } });
    if (again.status !== 304) throw new Error(`${server.name} answers ${again.status} to If-None-Match: ${etag}`);
    return etag;
}

export async function measure(server, test, seconds, work) {
    const etag = await checkAnswer(server, test);
    const result = await ({ h2: h2load, open: openLoop }[test.protocol] ?? wrk)(server, test, seconds, work, etag);
    result.memory = residentBytes(server.memoryPids());
    for (const log of server.accessLogs) if (fs.existsSync(log)) fs.truncateSync(log);
    return result;
}
