// examples/intake.pie as its people live it: a visitor chooses a file, sees it and how far it is, and is told in a sentence what came of
// it; the owner finds it with `stoa files`. In a real browser, on a phone and on a desk, with the keyboard alone. Refusals the server can be
// brought to are its own; the others are played in the browser.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { after, before, describe, test } from 'node:test';
import { openBrowser } from '../harness/browser.mjs';
import { repository, startServer, temporaryDirectory, until } from '../harness/server.mjs';
import { startNamed } from '../harness/names.mjs';

const EXAMPLE = fs.readFileSync(path.join(repository, 'examples/intake.pie'), 'utf8');
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

// --- files ---

const CRC = Array.from({ length: 256 }, (_, n) => Array.from({ length: 8 }).reduce((c) => (c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1), n) >>> 0);
const crc32 = (bytes) => (bytes.reduce((c, byte) => CRC[(c ^ byte) & 255] ^ (c >>> 8), ~0) ^ ~0) >>> 0;

function chunk(type, data) {
    const body = Buffer.concat([Buffer.from(type), data]);
    const made = Buffer.alloc(body.length + 8);
    made.writeUInt32BE(data.length, 0);
    body.copy(made, 4);
    made.writeUInt32BE(crc32(body), made.length - 4);
    return made;
}

/** An uncompressed picture: about 3 bytes a pixel. */
function png(width, height) {
    const head = Buffer.alloc(13);
    head.writeUInt32BE(width, 0);
    head.writeUInt32BE(height, 4);
    head[8] = 8;
    head[9] = 2;
    const rows = Buffer.alloc((width * 3 + 1) * height);
    for (let at = 1; at < rows.length; at += 7) rows[at - (at % (width * 3 + 1) === 0 ? 1 : 0)] = at & 255;
    for (let y = 0; y < height; ++y) rows[y * (width * 3 + 1)] = 0;
    return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head), chunk('IDAT', zlib.deflateSync(rows, { level: 0 })), chunk('IEND', Buffer.alloc(0))]);
}
const photo = (name = 'leak.png', bytes = png(40, 30)) => ({ name, mimeType: 'image/png', buffer: bytes });

// --- the page ---

const message = (page) => page.textContent('#message');
const says = (page, pattern) => page.waitForFunction((source) => new RegExp(source).test(document.getElementById('message').textContent), pattern.source)
    .catch(async () => assert.match(await message(page), pattern));
async function fill(page, file, note = 'The pipe behind the boiler.') {
    await page.setInputFiles('#file', file);
    await page.fill('#note', note);
}

describe('the intake page', () => {
    let server;
    let browser;
    let made;
    const stoa = (args) => new Promise((resolve) => {
        const env = { PATH: process.env.PATH, HOME: temporaryDirectory('cli'), ASAN_OPTIONS: 'exitcode=99', STOA_URL: server.console, STOA_TOKEN: server.token };
        execFile(server.stoaBin, args, { env, cwd: env.HOME }, (error, out, err) => resolve({ code: error ? error.code : 0, out, err, home: env.HOME }));
    });
    const files = async () => JSON.parse((await stoa(['files', 'intake', '--json'])).out).data;
    const open = (options) => browser.open(made.publicAppUrl, options);

    before(async () => {
        server = await startServer({ managedDb: true, settings: { uploads_per_hour: 1000, upload_bytes_per_hour: '10GiB' } });
        browser = await openBrowser({ hosts: { '*.apps.test': '127.0.0.1' } });
        const answer = await server.api('POST', '/api/plugins/import', EXAMPLE);
        assert.equal(answer.status, 201, answer.text);
        made = answer.json;
        assert.deepEqual(made.warnings, []);
    });
    after(async () => {
        await browser?.close();
        await server?.stop();
    });

    test('from a visitor\'s phone to the owner\'s shell', async () => {
        const picture = png(1200, 900); // 3 MB: it is under way long enough to be seen
        const { page, context, errors } = await open(PHONE);
        await fill(page, photo('Leck im Keller ä.png', picture));
        await page.waitForFunction(() => document.getElementById('thumb').naturalWidth === 1200 && !document.getElementById('thumb').hidden);
        assert.ok((await page.getAttribute('#thumb', 'src')).startsWith('blob:'));
        await page.evaluate(() => {
            window.seen = [];
            new MutationObserver(() => window.seen.push([document.getElementById('stage').textContent, document.getElementById('progress').value]))
                .observe(document.getElementById('sending'), { subtree: true, attributes: true, childList: true, characterData: true });
        });
        await page.click('#send');
        await page.waitForSelector('#done:not([hidden])');
        const seen = await page.evaluate(() => window.seen);
        assert.ok(seen.some(([stage]) => stage === 'Sending'), JSON.stringify(seen));
        assert.deepEqual(seen.at(-1), ['Checking your file …', 100]);
        const told = await page.textContent('#done-text');
        assert.match(told, /^Leck im Keller ä\.png, 3\.\d MB\. Your reference is [0-9A-F]{8}\.$/);
        assert.equal(await page.evaluate(() => document.activeElement.id), 'done');
        assert.deepEqual(errors, []);

        const [kept] = await files();
        assert.deepEqual([kept.filename, kept.mimeType, kept.size], ['Leck im Keller ä.png', 'image/png', picture.length]);
        const got = await stoa(['files', 'intake', '--get', kept.id]);
        assert.equal(got.code, 0, got.err);
        const [name] = fs.readdirSync(got.home).filter((entry) => entry.endsWith('.png'));
        assert.ok(fs.readFileSync(path.join(got.home, name)).equals(picture));
        const listed = await stoa(['invoke', 'intake', 'list', '--tool']);
        assert.equal(listed.code, 0, listed.err);
        const [row] = JSON.parse(listed.out).files;
        assert.deepEqual([row.file_id, row.note], [kept.id, 'The pipe behind the boiler.']);
        assert.ok(told.includes(row.reference));
        const events = await until(async () => {
            const list = (await server.api('GET', `/api/public-apps/instances/${made.instance.id}/events`)).json.data;
            return list.length && list;
        }, 'the event');
        assert.equal(events[0].type, 'file_received');

        const download = page.waitForEvent('download');
        await page.click('#copy');
        assert.ok(fs.readFileSync(await (await download).path()).equals(picture), 'what arrived');
        await page.click('#again');
        assert.equal(await page.evaluate(() => document.activeElement.id), 'file');
        assert.ok(await page.isHidden('#picked'));
        await context.close();
    });

    test('what can be said before a byte is sent is said then', async () => {
        const { page, context } = await open();
        let sent = 0;
        page.on('request', (r) => { sent += r.method() === 'POST'; });
        await page.click('#send');
        assert.equal(await page.textContent('#file-problem'), 'Please choose a file first.');
        assert.match(await page.textContent('#note-problem'), /few words/);
        assert.equal(await page.getAttribute('#note', 'aria-invalid'), 'true');
        await page.setInputFiles('#file', { name: 'nothing.txt', mimeType: 'text/plain', buffer: Buffer.alloc(0) });
        assert.match(await page.textContent('#file-problem'), /is empty/);
        await fill(page, photo('big.png', Buffer.alloc(10 * 1024 * 1024 + 1)));
        assert.equal(await page.textContent('#file-problem'), 'This file is too large: it has 10.5 MB, and 10 MB is the most.');
        await page.click('#send');
        assert.equal(sent, 0);
        assert.equal(await page.evaluate(() => document.activeElement.id), 'remove');
        await context.close();
    });

    test('a file that is not what it is called is told so, and is not kept', async () => {
        const before = (await files()).length;
        const { page, context } = await open();
        await fill(page, { name: 'invoice.pdf', mimeType: 'application/pdf', buffer: png(8, 8) });
        await page.click('#send');
        await says(page, /This is .*image.*\.pdf/);
        assert.ok(await page.isEnabled('#send'));
        assert.ok(await page.isVisible('#picked'), 'the file is still there');
        await fill(page, { name: 'page.html', mimeType: 'text/html', buffer: Buffer.from('<!doctype html><script>alert(1)</script>') });
        await page.click('#send');
        await says(page, /\.html are not accepted\. Accepted are images/);
        assert.equal((await stoa(['instance', 'settings', 'intake', 'strip-images=yes'])).code, 0);
        await fill(page, photo('cut.png', png(40, 30).subarray(0, 2000)));
        const answered = page.waitForResponse('**/upload');
        await page.click('#send');
        await says(page, /^The image is damaged\. Save it again, and send that\.$/);
        assert.equal((await answered).status(), 422);
        assert.equal((await stoa(['instance', 'settings', 'intake', 'strip-images=no'])).code, 0);
        assert.equal((await files()).length, before);
        await context.close();
    });

    test('what the handler does not want is not kept, in its own words', async () => {
        const before = (await files()).length;
        const { page, context } = await open();
        await fill(page, photo(), 'Look at https://spam.example/');
        await page.click('#send');
        await says(page, /^Please leave links out of the note\.$/);
        await page.fill('#note', 'The pipe.');
        await page.click('#send');
        await page.waitForSelector('#done:not([hidden])');
        await until(async () => (await files()).length === before + 1, 'the refused one to be gone');
        // a visitor without the page is refused the same
        const form = new FormData();
        form.append('file', new Blob([png(4, 4)]), 'x.png');
        const answer = await (await fetch(`${server.apps}/api/public-actions/${made.instance.slug}/upload`, { method: 'POST', body: form })).json();
        assert.deepEqual([answer.success, answer.message], [false, 'Please write a note that says what this file is.']);
        await until(async () => (await files()).length === before + 1, 'that one to be gone, too');
        await context.close();
    });

    test('every other refusal has a sentence, with when to try again', async () => {
        const { page, context } = await open();
        let play;
        await page.route('**/api/public-actions/**', (route) => play(route));
        const answer = (status, body = {}, headers = {}) => (route) => route.fulfill({ status, headers, contentType: 'application/json', body: JSON.stringify(body) });
        await fill(page, photo());
        for (const [how, sentence] of [
            [answer(413, { code: 'file_too_large' }), /^This file is too large: it has \d+ (bytes|KB), and 10 MB is the most\.$/],
            [answer(415, { code: 'type_mismatch', message: 'This is a web page, but its name ends in .png.' }), /^This is a web page, but/],
            [answer(422, { code: 'empty_file' }), /is empty/],
            [answer(422, { code: 'too_many_files' }), /One file at a time/],
            [answer(429, { code: 'rate_limited' }, { 'Retry-After': '40' }), /Please try again in 40 seconds\.$/],
            [answer(429, { code: 'rate_limited' }, { 'Retry-After': '1200' }), /Please try again in 20 minutes, at \d/],
            [answer(502, { code: 'handler_error' }), /was not kept/],
            [answer(503, { code: 'busy' }, { 'Retry-After': '2' }), /A lot is going on right now\. Please try again in 2 seconds\.$/],
            [answer(503), /Please try again in a moment\.$/],
            [answer(504, { code: 'handler_timeout' }), /took too long/],
            [answer(507, { code: 'quota_exceeded' }), /no room for more files/],
            [answer(400, { code: 'invalid_multipart' }), /did not arrive whole/],
            [answer(404, { code: 'instance_not_found' }), /no files any more/],
            [(route) => route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>proxy</h1>' }), /try again later/],
            [(route) => route.abort('connectionreset'), /The connection broke off\. Your file is still here/],
        ]) {
            play = how;
            await page.evaluate(() => { document.getElementById('message').textContent = ''; });
            await page.click('#send');
            await says(page, sentence);
            assert.ok(await page.isEnabled('#send'));
        }
        await page.unroute('**/api/public-actions/**');
        await context.setOffline(true);
        await page.click('#send');
        await says(page, /^You are offline\. Your file is still here/);
        await context.setOffline(false);
        await page.click('#send');
        await page.waitForSelector('#done:not([hidden])');
        await context.close();
    });

    test('it can be stopped', async () => {
        const { page, context } = await open();
        await page.route('**/api/public-actions/**', () => {}); // nobody answers
        await fill(page, photo());
        await page.click('#send');
        await page.click('#cancel');
        await says(page, /^Stopped\. Nothing was sent\.$/);
        assert.ok(await page.isHidden('#sending'));
        await page.click('#send');
        await page.evaluate(() => window.showProgress(1)); // all of it is with the server, which may keep it
        await page.click('#cancel');
        await says(page, /^Stopped\. It may have arrived already\.$/);
        await context.close();
    });

    test('a file can be dropped anywhere on the page; two are one too many', async () => {
        const { page, context } = await open();
        const drop = (names) => page.evaluate((list) => {
            const data = new DataTransfer();
            for (const name of list) data.items.add(new File(['a,b\n1,2\n'], name, { type: 'text/csv' }));
            for (const type of ['dragenter', 'dragover', 'drop']) {
                const event = new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: data });
                document.querySelector('h1').dispatchEvent(event);
                if (!event.defaultPrevented) throw new Error(`${type} is the browser's`);
            }
        }, names);
        await drop(['a.csv', 'b.csv']);
        assert.match(await page.textContent('#file-problem'), /One file at a time/);
        await drop(['table.csv']);
        assert.equal(await page.textContent('#filename'), 'table.csv');
        assert.equal(await page.textContent('#kind'), 'CSV');
        assert.equal(await page.textContent('#file-problem'), '');
        await page.fill('#note', 'The table.');
        await page.click('#send');
        await page.waitForSelector('#done:not([hidden])');
        assert.equal((await files())[0].mimeType, 'text/csv');
        await context.close();
    });

    test('the keyboard is enough, and every field has a name', async () => {
        const { page, context } = await open();
        const active = () => page.evaluate(() => document.activeElement.id);
        const chooser = page.waitForEvent('filechooser'); // well before the key: the browser must know by then
        await page.keyboard.press('Tab');
        assert.equal(await active(), 'file');
        await page.keyboard.press('Enter');
        await (await chooser).setFiles(photo());
        await page.keyboard.press('Tab');
        assert.equal(await active(), 'remove');
        await page.keyboard.press('Tab');
        assert.equal(await active(), 'note');
        await page.keyboard.type('By keyboard.');
        const names = (await page.evaluate(() => Array.from(document.querySelectorAll('input, textarea, button, progress'), (e) => [e.id,
            e.getAttribute('aria-label') || Array.from(e.labels || [], (l) => l.textContent).join() || e.textContent.trim()])));
        for (const [id, name] of names) assert.ok(name, `#${id} has no name`);
        await page.keyboard.press('Tab');
        assert.equal(await active(), 'send');
        await page.keyboard.press('Enter');
        await page.waitForSelector('#done:not([hidden])');
        assert.equal(await active(), 'done');
        await page.keyboard.press('Tab');
        assert.equal(await active(), 'copy');
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        assert.equal(await active(), 'file');
        await context.close();
    });

    test('nothing is wider than a phone, in any state, light or dark', async () => {
        for (const colorScheme of ['light', 'dark']) {
            const { page, context } = await open({ ...PHONE, viewport: { width: 320, height: 640 }, colorScheme });
            const fits = async (state) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `${state}, ${colorScheme}`);
            await fits('empty');
            await page.click('#send');
            await fits('problems');
            await page.route('**/api/public-actions/**', () => {});
            await fill(page, photo(`${'Überlange_Namen_ohne_jede_Lücke_'.repeat(6)}.png`));
            await fits('picked');
            await page.click('#send');
            await page.waitForSelector('#sending:not([hidden])');
            await fits('sending');
            await page.click('#cancel');
            await page.unroute('**/api/public-actions/**');
            await page.click('#send');
            await page.waitForSelector('#done:not([hidden])');
            await fits('done');
            await context.close();
        }
    });

    test('text can be read on every ground (WCAG 2.1: 4.5 to 1)', async () => {
        for (const colorScheme of ['light', 'dark']) {
            const { page, context } = await open({ colorScheme });
            await page.click('#send');
            await page.setInputFiles('#file', { name: 'a.pdf', mimeType: 'application/pdf', buffer: Buffer.from('x') });
            const poor = await page.evaluate(() => {
                const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return { c: [r, g, b], a }; };
                const light = (c) => c.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
                const ground = (e) => { for (; e; e = e.parentElement) { const g = parse(getComputedStyle(e).backgroundColor); if (g.a === 1) return g.c; } return [255, 255, 255]; };
                return Array.from(document.querySelectorAll('main *'), (e) => {
                    if (!e.checkVisibility() || !Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim())) return null;
                    const [a, b] = [light(parse(getComputedStyle(e).color).c), light(ground(e))].sort((x, y) => y - x);
                    return (a + 0.05) / (b + 0.05) < 4.5 ? `${e.tagName} ${e.textContent.trim().slice(0, 30)}` : null;
                }).filter(Boolean);
            });
            assert.deepEqual(poor, [], colorScheme);
            await context.close();
        }
    });

    test('too many from one visitor: the server\'s own 429, with the time', async () => {
        const strict = await startServer({ managedDb: true, settings: { uploads_per_hour: 1 } });
        try {
            const app = (await strict.api('POST', '/api/plugins/import', EXAMPLE)).json;
            const { page, context } = await browser.open(app.publicAppUrl);
            await fill(page, photo());
            await page.click('#send');
            await page.waitForSelector('#done:not([hidden])');
            await page.click('#again');
            await fill(page, photo());
            await page.click('#send');
            await says(page, /^That is enough for now: .* Please try again in \d+ minutes, at \d/);
            await context.close();
        } finally {
            await strict.stop();
        }
    });

    test('on a host of its own, at / and deeper, the same page works', async () => {
        const named = await startNamed({ managedDb: true });
        try {
            const own = (await named.manage('POST', '/api/plugins/import', EXAMPLE)).json;
            for (const where of ['', 'a/b/c']) {
                const { page, context } = await browser.open(`${own.publicAppUrl}${where}`);
                await fill(page, photo());
                await page.click('#send');
                await page.waitForSelector('#done:not([hidden])');
                await context.close();
            }
        } finally {
            await named.stop();
        }
    });
});
