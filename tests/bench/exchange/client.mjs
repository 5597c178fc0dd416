// Who asks at a fixed rate whatever the server does, over a fixed number of connections that stay open: each request's latency counts from
// when it should have begun (no coordinated omission). A process of its own: node client.mjs '{"port", "rate", "seconds", "connections", "file"}'.
// The file has one request a line, as JSON {path, body?, origin?}; they are asked in turn, and when each was goes to FILE.times. `strangers`: each from an address of its own.
import fs from 'node:fs';
import net from 'node:net';

const { port, rate, seconds, connections, file, strangers = false } = JSON.parse(process.argv[2]);
const requests = fs.readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line)).map(({ path, body, origin }) => [
    `${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${origin ? `Origin: ${origin}\r\n` : ''}`,
    body === undefined ? '\r\n' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
]);
const byte = () => 1 + Math.floor(Math.random() * 250);
const address = () => (strangers ? `X-Forwarded-For: ${11 + Math.floor(Math.random() * 100)}.${byte()}.${byte()}.${byte()}\r\n` : '');

const total = Math.round(rate * seconds);
const latencies = [];
const all = []; // [begun, milliseconds since 1970, and how long it took]
const statuses = {};
const waiting = []; // intended times for which every connection was busy
const idle = [];
let sent = 0, done = 0, closed = 0, asked = 0;

function connect() {
    const c = { text: '', intended: undefined };
    c.socket = net.connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1');
    c.socket.on('connect', () => next(c)).on('error', () => {}).on('close', () => {
        if (c.intended !== undefined) answered(c, 'closed');
        if (++closed < 10000 && done < total) setTimeout(connect, 10);
    });
    c.socket.on('data', (part) => {
        c.text += part;
        const end = c.text.indexOf('\r\n\r\n');
        if (end < 0) return;
        const length = Number(/^content-length: (\d+)/im.exec(c.text.slice(0, end))?.[1] ?? 0);
        if (c.text.length < end + 4 + length) return;
        const status = c.text.slice(9, 12);
        c.text = '';
        answered(c, status);
        next(c);
    });
}

function answered(c, status) {
    latencies.push(performance.now() - c.intended);
    all.push([performance.timeOrigin + c.intended, latencies.at(-1)]);
    statuses[status] = (statuses[status] ?? 0) + 1;
    c.intended = undefined;
    ++done;
}

function ask(c, intended) {
    const [head, rest] = requests[asked++ % requests.length];
    c.intended = intended;
    c.socket.write(`${head}${address()}${rest}`);
}

const next = (c) => (waiting.length ? ask(c, waiting.shift()) : idle.push(c));

for (let i = 0; i < connections; ++i) connect();
await new Promise((later) => { setTimeout(later, 300); });
const begun = performance.now();
const timer = setInterval(() => {
    for (const now = performance.now(); sent < total && begun + (sent * 1000) / rate <= now; ++sent) {
        const intended = begun + (sent * 1000) / rate;
        const c = idle.pop();
        if (c) ask(c, intended);
        else waiting.push(intended);
    }
}, 1);
const deadline = Date.now() + (seconds + 20) * 1000;
while (done < total && Date.now() < deadline) await new Promise((later) => { setTimeout(later, 50); });
clearInterval(timer);
latencies.sort((a, b) => a - b);
const at = (q) => Number((latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? 0).toFixed(3));
fs.writeFileSync(`${file}.times`, JSON.stringify(all));
process.stdout.write(JSON.stringify({ done, unanswered: total - done, statuses, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }));
process.exit(0);
