// Visitors who come at a fixed rate whatever the server does: each request has the time it should have begun, and its latency counts from
// there, so that a server that stalls is charged for all who waited (no coordinated omission). In a process of its own, as are those it is
// measured beside:
//
//     const b = openLoop({ port, host, path, rate: 50, seconds: 5 });   // → promise of {sent, statuses, errors, p50, p99, max, codes, retryAfter, queued}
//
// `from`: how many addresses they come from, each in a /24 of its own, told in X-Forwarded-For (0: none is told).
import { spawn } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';

export function openLoop(options) {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part) => { text += part; });
    return new Promise((resolve, reject) => {
        child.on('close', (code) => (code === 0 ? resolve(JSON.parse(text)) : reject(new Error(`openloop ended with ${code}`))));
    });
}

// One connection: asks when told, and tells the answer.
class Visitor {
    constructor(port, onAnswer, onEnd) {
        this.text = '';
        this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1');
        this.socket.on('data', (part) => {
            this.text += part;
            const end = this.text.indexOf('\r\n\r\n');
            if (end < 0) return;
            const head = this.text.slice(0, end);
            const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
            if (this.text.length < end + 4 + length) return;
            const body = this.text.slice(end + 4, end + 4 + length);
            this.text = '';
            const { intended } = this;
            this.intended = undefined;
            onAnswer(this, intended, head, body);
        });
        this.socket.on('error', () => {}).on('close', () => onEnd(this));
    }

    ask(bytes, intended) {
        this.intended = intended;
        this.socket.write(bytes);
    }
}

async function main({ port, host, path, rate, seconds, body = '{}', from = 0, connections = 4096 }) {
    const result = { sent: 0, done: 0, errors: 0, statuses: {}, codes: {}, retryAfter: 0 };
    const latencies = { all: [], ok: [] };
    const idle = [];
    const waiting = []; // intended times for which there was no connection left
    let open = 0;
    let over;
    const ended = new Promise((done) => { over = done; });
    const bytesOf = (n) => `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n${from ? `X-Forwarded-For: ${11 + (n % from >> 16)}.${(n % from) >> 8 & 255}.${n % from & 255}.1\r\n` : ''}Content-Length: ${body.length}\r\n\r\n${body}`;
    const onAnswer = (visitor, intended, head, text) => {
        const took = performance.now() - intended;
        const status = Number(head.slice(9, 12));
        ++result.done;
        result.statuses[status] = (result.statuses[status] ?? 0) + 1;
        latencies.all.push(took);
        if (status === 200) latencies.ok.push(took);
        else {
            ++result.errors;
            const code = /"code":"(\w+)"/.exec(text)?.[1];
            result.codes[code] = (result.codes[code] ?? 0) + 1;
            if (/^retry-after: [1-9]/im.test(head)) ++result.retryAfter;
        }
        if (waiting.length) visitor.ask(bytesOf(result.sent), waiting.shift());
        else idle.push(visitor);
        if (result.done === total) over();
    };
    const onEnd = (visitor) => {
        --open;
        if (visitor.intended !== undefined) {
            ++result.errors;
            result.codes.closed = (result.codes.closed ?? 0) + 1;
            if (++result.done === total) over();
        }
        const at = idle.indexOf(visitor);
        if (at >= 0) idle.splice(at, 1);
    };
    const total = Math.round(rate * seconds);
    const begun = performance.now() + 50;
    const timer = setInterval(() => {
        const now = performance.now();
        for (; result.sent < total && begun + (result.sent * 1000) / rate <= now; ++result.sent) {
            const intended = begun + (result.sent * 1000) / rate;
            if (!idle.length && open >= connections) {
                waiting.push(intended);
                continue;
            }
            if (!idle.length) ++open;
            (idle.pop() ?? new Visitor(port, onAnswer, onEnd)).ask(bytesOf(result.sent), intended);
        }
    }, 1);
    await Promise.race([ended, new Promise((done) => { setTimeout(done, (seconds + 35) * 1000); })]);
    clearInterval(timer);
    result.errors += total - result.done;
    const at = (list, q) => Number((list.sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))] ?? 0).toFixed(2));
    Object.assign(result, { unanswered: total - result.done, p50: at(latencies.all, 0.5), p99: at(latencies.all, 0.99), max: at(latencies.all, 1), okP50: at(latencies.ok, 0.5), okMax: at(latencies.ok, 1), connections: open });
    process.stdout.write(JSON.stringify(result));
    process.exit(0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(JSON.parse(process.argv[2]));
