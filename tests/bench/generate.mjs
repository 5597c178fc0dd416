// Makes the files that are measured, the same for every server, in DATA/apps/ with .gz and .br beside each, and the list of their URLs.
// Deterministic, and skipped when DATA holds the same set already. Stoa gets the same bytes by deploys (stoa-apps.mjs).
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

const VERSION = 2;
const WORDS = ('const let function return if else for while document window event value index state props render component element style class ' +
    'data item list map filter reduce promise async await fetch json response error throw new this null undefined true false import export default').split(' ');

// A small generator of our own, so that the set is the same everywhere.
function makeRandom(seed) {
    let state = seed;
    return () => {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
        return state / 0x7fffffff;
    };
}

/** Text of `bytes` bytes that compresses about as well as program text does. */
export function makeText(seed, bytes) {
    const random = makeRandom(seed);
    let text = '';
    while (text.length < bytes) {
        text += WORDS[Math.floor(random() * WORDS.length)];
        const r = random();
        if (r < 0.1) text += ';\n';
        else if (r < 0.3) text += r < 0.2 ? '(' : ')';
        else if (r < 0.45) text += `_${Math.floor(random() * 1e6).toString(36)}`;
        else text += ' ';
    }
    return Buffer.from(text.slice(0, bytes));
}

/** The two files of app number `i`. */
export function appFiles(i) {
    const random = makeRandom(i + 7);
    return { 'index.html': makeText(2 * i + 1, 2000 + Math.floor(random() * 3000)), 'app.js': makeText(2 * i + 2, 8000 + Math.floor(random() * 8000)) };
}
export const sizes = { '1k.js': 1024, '10k.js': 10240, '100k.js': 102400, '1m.js': 1048576 };
export const appName = (i) => `p${i}`;

function shuffle(list) {
    const random = makeRandom(99);
    for (let i = list.length - 1; i > 0; --i) {
        const j = Math.floor(random() * (i + 1));
        [list[i], list[j]] = [list[j], list[i]];
    }
    return list;
}

function put(file, bytes) {
    fs.writeFileSync(file, bytes);
    fs.writeFileSync(`${file}.gz`, zlib.gzipSync(bytes, { level: 9 }));
    fs.writeFileSync(`${file}.br`, zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } }));
}

/** Writes the set for `apps` apps; gives the peers' URL paths in the order they are asked. Their length is that of Stoa's own. */
export function generate(data, apps) {
    const done = path.join(data, 'done.json');
    const tag = JSON.stringify({ VERSION, apps });
    const folder = (i) => `apps/${appName(i)}/${appName(i)}-${i.toString(16).padStart(8, '0')}`;
    if (!fs.existsSync(done) || fs.readFileSync(done, 'utf8') !== tag) {
        fs.rmSync(data, { recursive: true, force: true });
        for (let i = 0; i < apps; ++i) {
            fs.mkdirSync(path.join(data, folder(i)), { recursive: true });
            for (const [name, bytes] of Object.entries(appFiles(i))) put(path.join(data, folder(i), name), bytes);
        }
        fs.mkdirSync(path.join(data, 'apps/bench/bench-00000000'), { recursive: true });
        Object.entries(sizes).forEach(([name, bytes], i) => put(path.join(data, 'apps/bench/bench-00000000', name), makeText(1000003 + i, bytes)));
        put(path.join(data, 'apps/bench/bench-00000000/index.html'), Buffer.from('bench')); // an app needs a page to open
        fs.writeFileSync(done, tag);
    }
    return { sizesAt: '/apps/bench/bench-00000000/', many: manyUrls(apps, (i) => `/${folder(i)}/`) };
}

/** Both files of every app, in one shuffled order for all servers. */
export function manyUrls(apps, baseOf) {
    const urls = [];
    for (let i = 0; i < apps; ++i) urls.push(`${baseOf(i)}index.html`, `${baseOf(i)}app.js`);
    return shuffle(urls);
}
