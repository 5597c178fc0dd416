// HTTP/2 frame by frame (RFC 9113), for what no well-behaved client would send. Header blocks are written plainly (RFC 7541 literals
// without Huffman coding); of those that come back only the status is read.
import net from 'node:net';
import tls from 'node:tls';

export const TYPE = { DATA: 0, HEADERS: 1, PRIORITY: 2, RST_STREAM: 3, SETTINGS: 4, PUSH_PROMISE: 5, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8, CONTINUATION: 9 };
export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 };
export const ERROR = {
    NO_ERROR: 0, PROTOCOL: 1, INTERNAL: 2, FLOW_CONTROL: 3, SETTINGS_TIMEOUT: 4, STREAM_CLOSED: 5, FRAME_SIZE: 6, REFUSED_STREAM: 7,
    CANCEL: 8, COMPRESSION: 9, CONNECT: 10, ENHANCE_YOUR_CALM: 11,
};
export const SETTING = { HEADER_TABLE_SIZE: 1, ENABLE_PUSH: 2, MAX_CONCURRENT_STREAMS: 3, INITIAL_WINDOW_SIZE: 4, MAX_FRAME_SIZE: 5 };
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

const u32 = (n) => {
    const b = Buffer.alloc(4);
    b.writeUInt32BE(n >>> 0);
    return b;
};

export function frame(type, flags = 0, id = 0, payload = Buffer.alloc(0)) {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(id >>> 0, 5);
    return Buffer.concat([head, payload]);
}
export const data = (id, payload = '', flags = FLAG.END_STREAM) => frame(TYPE.DATA, flags, id, Buffer.from(payload));
export const headers = (id, block, flags = FLAG.END_HEADERS | FLAG.END_STREAM) => frame(TYPE.HEADERS, flags, id, block);
export const continuation = (id, block, flags = FLAG.END_HEADERS) => frame(TYPE.CONTINUATION, flags, id, block);
export const priority = (id, dependency, weight = 16) => frame(TYPE.PRIORITY, 0, id, Buffer.concat([u32(dependency), Buffer.from([weight - 1])]));
export const rstStream = (id, code = ERROR.CANCEL) => frame(TYPE.RST_STREAM, 0, id, u32(code));
export const ping = (flags = 0, payload = 'pingpong') => frame(TYPE.PING, flags, 0, Buffer.from(payload));
export const goaway = (last = 0, code = 0, id = 0) => frame(TYPE.GOAWAY, 0, id, Buffer.concat([u32(last), u32(code)]));
export const windowUpdate = (id, increment) => frame(TYPE.WINDOW_UPDATE, 0, id, u32(increment));
export function settings(pairs = [], flags = 0, id = 0) {
    const payload = Buffer.alloc(pairs.length * 6);
    pairs.forEach(([key, value], i) => {
        payload.writeUInt16BE(key, i * 6);
        payload.writeUInt32BE(value >>> 0, i * 6 + 2);
    });
    return frame(TYPE.SETTINGS, flags, id, payload);
}

/** RFC 7541 §5.1 */
export function integer(n, bits, first = 0) {
    const most = (1 << bits) - 1;
    if (n < most) return Buffer.from([first | n]);
    const out = [first | most];
    for (n -= most; n >= 128; n = Math.floor(n / 128)) out.push((n % 128) | 128);
    return Buffer.from([...out, n]);
}
export function string(s) {
    const bytes = Buffer.from(s, 'latin1');
    return Buffer.concat([integer(bytes.length, 7), bytes]);
}
export const literal = (name, value) => Buffer.concat([Buffer.from([0]), string(name), string(value)]);
export const indexedLiteral = (name, value) => Buffer.concat([Buffer.from([0x40]), string(name), string(value)]); // enters the dynamic table
export const block = (fields) => Buffer.concat(fields.map((f) => (Buffer.isBuffer(f) ? f : literal(...f))));
/** What a path of the probe is called where the tests run (http-target.mjs fills it). */
export const paths = {};
/** The fields of a request; a pseudo field of null is left out. */
export function request(fields = {}, extra = []) {
    const all = { ':method': 'GET', ':scheme': 'http', ':path': '/1k', ':authority': 'localhost', ...fields };
    all[':path'] = paths[all[':path']] ?? all[':path'];
    return block([...Object.entries(all).filter(([, value]) => value !== null), ...extra]);
}

function readStatus(payload) {
    let at = 0;
    while ((payload[at] & 0xe0) === 0x20) { // table size updates
        if ((payload[at++] & 31) === 31) while ((payload[at++] & 128) !== 0);
    }
    const common = { 0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500 };
    return common[payload[at]] ?? Number(payload.toString('latin1', at + 2, at + 5));
}

export class Connection {
    /** Connects, and unless `preface` is false sends the preface with `with` as its SETTINGS; does not read while `paused`. */
    static async open(port, { secure = false, servername = 'localhost', preface = true, with: pairs = [], acknowledge = true, paused = false, localAddress } = {}) {
        const socket = secure
            ? tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, ALPNProtocols: ['h2'] })
            : net.connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
        await new Promise((resolve, reject) => socket.once(secure ? 'secureConnect' : 'connect', resolve).once('error', reject));
        const c = new Connection(socket, acknowledge);
        if (paused) socket.pause();
        if (preface) c.send(PREFACE, settings(pairs));
        return c;
    }

    constructor(socket, acknowledge) {
        this.socket = socket;
        this.acknowledge = acknowledge;
        this.frames = [];
        this.closed = false;
        this.rest = Buffer.alloc(0);
        this.wakers = new Set();
        socket.setNoDelay(true);
        socket.on('data', (bytes) => this.#read(bytes));
        for (const event of ['end', 'close', 'error']) socket.on(event, () => { this.closed = true; this.#wake(); });
    }

    #wake() {
        for (const waker of [...this.wakers]) waker();
    }

    #read(bytes) {
        this.rest = Buffer.concat([this.rest, bytes]);
        while (this.rest.length >= 9) {
            const length = this.rest.readUIntBE(0, 3);
            if (this.rest.length < 9 + length) break;
            const f = { type: this.rest[3], flags: this.rest[4], id: this.rest.readUInt32BE(5) & 0x7fffffff, payload: this.rest.subarray(9, 9 + length) };
            this.rest = this.rest.subarray(9 + length);
            if (f.type === TYPE.HEADERS) f.status = readStatus(f.payload);
            if (f.type === TYPE.RST_STREAM) f.code = f.payload.readUInt32BE(0);
            if (f.type === TYPE.GOAWAY) [f.last, f.code, f.text] = [f.payload.readUInt32BE(0), f.payload.readUInt32BE(4), f.payload.toString('latin1', 8)];
            if (f.type === TYPE.SETTINGS && (f.flags & FLAG.ACK) === 0 && this.acknowledge) this.send(settings([], FLAG.ACK));
            this.frames.push(f);
        }
        this.#wake();
    }

    send(...buffers) {
        if (!this.socket.destroyed && this.socket.writable) this.socket.write(Buffer.concat(buffers));
    }

    /** Waits until `found()` gives something, or the connection has closed; gives that, or undefined. */
    async until(found, milliseconds = 5000) {
        const end = Date.now() + milliseconds;
        for (;;) {
            const value = found();
            if (value || this.closed || Date.now() > end) return value || undefined;
            await new Promise((resolve) => {
                const timer = setTimeout(done, Math.max(1, end - Date.now()));
                const { wakers } = this;
                function done() {
                    clearTimeout(timer);
                    wakers.delete(done);
                    resolve();
                }
                wakers.add(done);
            });
        }
    }

    find(type, id, more = () => true) {
        return this.frames.find((f) => f.type === type && (id === undefined || f.id === id) && more(f));
    }

    frame(type, id, more) { return this.until(() => this.find(type, id, more)); }
    get goaway() { return this.frames.findLast?.((f) => f.type === TYPE.GOAWAY) ?? this.frames.filter((f) => f.type === TYPE.GOAWAY).pop(); }
    waitClosed(milliseconds) { return this.until(() => this.closed, milliseconds); }

    /** The status and body of a stream once it has ended; an undefined status when it never was answered. */
    async response(id, milliseconds) {
        const ends = () => this.frames.find((f) => f.id === id && (f.type === TYPE.RST_STREAM || ((f.type === TYPE.DATA || f.type === TYPE.HEADERS) && (f.flags & FLAG.END_STREAM))));
        await this.until(ends, milliseconds);
        return {
            status: this.find(TYPE.HEADERS, id)?.status,
            body: Buffer.concat(this.frames.filter((f) => f.type === TYPE.DATA && f.id === id).map((f) => f.payload)),
            reset: this.find(TYPE.RST_STREAM, id)?.code,
        };
    }

    /** True when the connection still answers. */
    async isAlive() {
        const mark = `${Math.random()}`.slice(2, 10).padEnd(8, 'x');
        this.send(ping(0, mark));
        return (await this.frame(TYPE.PING, 0, (f) => f.payload.toString('latin1') === mark)) !== undefined;
    }

    close() { this.socket.destroy(); }
}
