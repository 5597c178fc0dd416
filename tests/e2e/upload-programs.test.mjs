// Files as real programs make them, for every kind that visitors may upload (contract §5), and the same in disguise. Most of it only with
// --full, since the programs are large; one that is not installed is skipped with a sentence.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pie } from '../harness/pie.mjs';
import { request, startServer, temporaryDirectory } from '../harness/server.mjs';

const isFull = process.env.STOA_FULL === '1';
const work = temporaryDirectory('programs');
const BOUNDARY = 'edge-of-a-part';
const WORD = 'application/vnd.openxmlformats-officedocument.';
const ODF = 'application/vnd.oasis.opendocument.';

fs.writeFileSync(path.join(work, 'words.txt'), 'Some words, and more of them.\nGrüße\n');
fs.writeFileSync(path.join(work, 'table.csv'), 'name,value\nAlice,100\nBob,200\n');
fs.writeFileSync(path.join(work, 'page.svg'), '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><circle cx="32" cy="32" r="30" fill="teal"/></svg>');
fs.writeFileSync(path.join(work, 'page.html'), '<!doctype html><title>x</title><script>parent.ran = true</script>');
fs.writeFileSync(path.join(work, 'slides.fodp'), '<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:version="1.2" ' +
    'office:mimetype="application/vnd.oasis.opendocument.presentation"><office:body><office:presentation/></office:body></office:document>');

const picture = (name, mime, ...more) => ({ name, mime, program: 'convert-im6.q16', args: ['-size', '64x48', 'gradient:teal-navy', ...more, name] });
const film = (name, mime, ...more) => ({ name, mime, program: 'ffmpeg', args: ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc=d=1:s=64x48:r=10', '-f', 'lavfi', '-i', 'sine=d=1', '-shortest', ...more, name] });
const sound = (name, mime, ...more) => ({ name, mime, program: 'ffmpeg', args: ['-v', 'error', '-y', '-f', 'lavfi', '-i', 'sine=d=1', ...more, name] });
const office = (from, name, mime, filter = path.extname(name).slice(1)) => ({ name, mime, program: 'soffice', makes: from.replace(/\.\w+$/, path.extname(name)),
    args: [`-env:UserInstallation=file://${work}/office`, '--headless', '--convert-to', filter, '--outdir', '.', from] });

const FILES = [
    picture('a.png', 'image/png'), picture('a.jpg', 'image/jpeg'), picture('a.gif', 'image/gif'), picture('a.webp', 'image/webp'), picture('a.bmp', 'image/bmp'),
    picture('a.tiff', 'image/tiff'), picture('a.ico', 'image/vnd.microsoft.icon'), picture('grey.png', 'image/png', '-colorspace', 'gray', '-depth', '16'),
    picture('progressive.jpg', 'image/jpeg', '-interlace', 'plane'), picture('cmyk.jpg', 'image/jpeg', '-colorspace', 'CMYK'),
    { name: 'a.heic', mime: 'image/heic', program: 'heif-enc', args: ['-o', 'a.heic', 'a.png'] },
    { name: 'a.avif', mime: 'image/avif', program: 'avifenc', args: ['-s', '10', 'a.png', 'a.avif'] },
    { name: 'lossless.webp', mime: 'image/webp', program: 'cwebp', args: ['-quiet', '-lossless', 'a.png', '-o', 'lossless.webp'] },
    film('a.mp4', 'video/mp4', '-pix_fmt', 'yuv420p'), film('a.webm', 'video/webm', '-b:v', '200k'), film('a.mov', 'video/quicktime', '-pix_fmt', 'yuv420p'),
    film('a.mkv', 'video/x-matroska'), film('a.avi', 'video/x-msvideo'),
    sound('a.wav', 'audio/wav'), sound('a.mp3', 'audio/mpeg'), sound('a.flac', 'audio/flac'), sound('a.ogg', 'audio/ogg'), sound('a.m4a', 'audio/mp4'),
    sound('a.opus', 'audio/ogg', '-c:a', 'libopus'), sound('a.aac', 'audio/aac'), sound('untagged.mp3', 'audio/mpeg', '-id3v2_version', '0', '-write_xing', '0'),
    office('words.txt', 'a.docx', `${WORD}wordprocessingml.document`), office('words.txt', 'a.odt', `${ODF}text`), office('words.txt', 'a.doc', 'application/msword'),
    office('words.txt', 'a.rtf', 'text/rtf'), office('words.txt', 'words.pdf', 'application/pdf'),
    office('table.csv', 'a.xlsx', `${WORD}spreadsheetml.sheet`), office('table.csv', 'a.ods', `${ODF}spreadsheet`), office('table.csv', 'a.xls', 'application/vnd.ms-excel'),
    office('slides.fodp', 'a.pptx', `${WORD}presentationml.presentation`), office('slides.fodp', 'a.odp', `${ODF}presentation`), office('slides.fodp', 'a.ppt', 'application/vnd.ms-powerpoint'),
    { name: 'linear.pdf', mime: 'application/pdf', program: 'qpdf', args: ['--linearize', 'words.pdf', 'linear.pdf'] },
    { name: 'locked.pdf', mime: 'application/pdf', program: 'qpdf', args: ['--encrypt', 'a', 'b', '256', '--', 'words.pdf', 'locked.pdf'] },
    { name: 'ghost.pdf', mime: 'application/pdf', program: 'gs', args: ['-q', '-dBATCH', '-dNOPAUSE', '-sDEVICE=pdfwrite', '-sOutputFile=ghost.pdf', 'words.pdf'] },
    { name: 'a.zip', mime: 'application/zip', program: 'zip', args: ['-q', 'a.zip', 'words.txt', 'table.csv'] },
    { name: 'seven.zip', mime: 'application/zip', program: '7z', args: ['a', '-bso0', '-tzip', 'seven.zip', 'words.txt', 'a.png'] },
    { name: 'python.zip', mime: 'application/zip', program: 'python3', args: ['-m', 'zipfile', '-c', 'python.zip', 'words.txt'] },
    { name: 'named.jpg', mime: 'image/jpeg', program: 'exiftool', from: 'a.jpg', args: ['-q', '-overwrite_original', '-Artist=Somebody Secret', '-GPSLatitude=48.2', '-GPSLatitudeRef=N', '-XMP:Creator=Somebody Secret', 'named.jpg'] },
    { name: 'named.gif', mime: 'image/gif', program: 'exiftool', from: 'a.gif', args: ['-q', '-overwrite_original', '-Comment=Somebody Secret', '-XMP:Creator=Somebody Secret', 'named.gif'] },
];
// Made by a program, and not for visitors: 415.
const REFUSED = [
    { name: 'a.7z', program: '7z', args: ['a', '-bso0', 'a.7z', 'words.txt'] }, { name: 'a.tar', program: 'tar', args: ['cf', 'a.tar', 'words.txt'] },
    { name: 'a.tar.gz', program: 'tar', args: ['czf', 'a.tar.gz', 'words.txt'] }, { name: 'a.html', program: 'cp', args: ['page.html', 'a.html'] },
    { name: 'a.eps', program: 'gs', args: ['-q', '-dBATCH', '-dNOPAUSE', '-sDEVICE=eps2write', '-sOutputFile=a.eps', 'words.pdf'] },
    { name: 'a.sqlite', program: 'sqlite3', args: ['a.sqlite', 'create table t (a); insert into t values (1)'] },
    { name: 'a.pyc', program: 'python3', args: ['-c', 'import py_compile; open("m.py", "w").write("a = 1\\n"); py_compile.compile("m.py", cfile="a.pyc")'] },
    { name: 'app.jar', program: 'python3', args: ['-c', 'import zipfile; z = zipfile.ZipFile("app.jar", "w"); z.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\\n"); z.writestr("A.class", b"\\xca\\xfe\\xba\\xbe\\0\\0\\0\\x37")'] },
    { name: 'program', program: 'cp', args: ['/bin/true', 'program'] },
];

const isOffice = (mime) => /officedocument|opendocument|msword|ms-excel|ms-powerpoint|rtf/.test(mime);
const isThere = (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const USUAL = new Set(['zip', 'cp']); // on every machine that runs tests
const skipOf = (f) => (!isFull && !USUAL.has(f.program) ? 'only with --full' : isThere(f.program) ? false : `${f.program} is not installed: ./dev test --full installs it`);

function make({ program, args, name, makes, from }) {
    const made = path.join(work, makes ?? name);
    if (from) fs.copyFileSync(path.join(work, from), path.join(work, name));
    const ran = spawnSync(program, args, { cwd: work, encoding: 'utf8', timeout: 120000, env: { PATH: process.env.PATH, HOME: work, LANG: 'C.UTF-8' } });
    assert.ok(ran.status === 0 && fs.existsSync(made), `${program} ${args.join(' ')}: ${ran.stderr}`);
    if (makes && makes !== name) fs.renameSync(made, path.join(work, name));
    return fs.readFileSync(path.join(work, name));
}

describe('real files', () => {
    let server;
    let plain;
    let stripping;
    const made = new Map();
    async function deploy(name) {
        const answer = await server.api('POST', '/api/plugins/import', pie(name, { 'index.html': '<title>app</title>' }));
        assert.equal(answer.status, 201, answer.text);
        return answer.json.instance;
    }
    function send(instance, name, content) {
        const body = Buffer.concat([Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`), content, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
        return request(`${server.apps}/api/public-actions/${instance.slug}/upload`, { method: 'POST', body, headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, 'content-length': body.length } });
    }
    before(async () => {
        server = await startServer({ settings: { uploads_per_hour: '1000000', upload_bytes_per_hour: '1024GiB', shared_origin: 'accepted' } });
        [plain, stripping] = [await deploy('plain'), await deploy('stripping')];
        for (const instance of [plain, stripping]) {
            const rate = { perMinute: 100000, burst: 100000 };
            const patch = { rateLimits: { visitorAction: rate, visitor: rate, instance: rate }, uploads: { stripImageMetadata: instance === stripping } };
            assert.equal((await server.api('PATCH', `/api/public-apps/instances/${instance.id}`, patch)).status, 200);
        }
    });
    after(() => server?.stop());

    for (const f of FILES)
        test(`${f.name} by ${f.program}`, { skip: skipOf(f) }, async () => {
            const bytes = make(f);
            made.set(f.name, bytes);
            const answer = await send(plain, f.name, bytes);
            assert.equal(answer.status, 200, answer.text);
            assert.equal(answer.json.data.mimeType, f.mime);
            assert.equal(answer.json.data.sha256, crypto.createHash('sha256').update(bytes).digest('hex'));
            const back = await request(answer.json.data.url);
            assert.ok(back.body.equals(bytes));
            assert.match(back.headers['content-disposition'], /^attachment/);
        });

    for (const f of REFUSED)
        test(`${f.name} by ${f.program}: refused`, { skip: skipOf(f) }, async () => {
            const bytes = make(f);
            made.set(f.name, bytes);
            const answer = await send(plain, f.name, bytes);
            assert.deepEqual([answer.status, answer.json?.code], [415, 'type_not_allowed'], answer.text);
        });

    // Within a class (pictures, films and sounds, Office) a wrong name is mended; anything else is refused.
    test('in disguise: refused, or kept under a name that says what it is', { skip: isFull ? false : 'only with --full' }, async () => {
        const kindOf = (name) => /^(image|audio|video)/.exec(FILES.find((f) => f.name === name)?.mime ?? '')?.[0].replace('audio', 'video');
        for (const [name, bytes] of made)
            for (const as of ['a.png', 'a.mp4', 'a.mp3', 'a.docx', 'words.pdf', 'a.zip'].filter((n) => made.has(n))) {
                const mime = FILES.find((f) => f.name === name)?.mime;
                if (mime === FILES.find((f) => f.name === as).mime) continue;
                const answer = await send(plain, `disguised${path.extname(as)}`, bytes);
                const what = `${name} as ${path.extname(as)}: ${answer.text}`;
                const isClose = mime !== undefined && (kindOf(name) === kindOf(as)) && (kindOf(name) !== undefined || (isOffice(mime) && as === 'a.docx'));
                if (answer.status === 200 && isClose && kindOf(name) !== 'video') {
                    if (isOffice(mime)) assert.ok(isOffice(answer.json.data.mimeType), what); // old ones look alike
                    else assert.equal(answer.json.data.mimeType, mime, what);
                    assert.notEqual(path.extname(answer.json.data.filename), path.extname(as), what);
                } else if (!isClose) {
                    assert.equal(answer.status, 415, what);
                }
            }
    });

    test('with HTML or a script behind them they are served as what they are', { skip: isFull ? false : 'only with --full' }, async () => {
        const tail = fs.readFileSync(path.join(work, 'page.html'));
        for (const name of ['a.png', 'a.jpg', 'a.gif', 'words.pdf', 'a.mp3', 'a.mp4']) {
            if (!made.has(name)) continue;
            const answer = await send(plain, name, Buffer.concat([made.get(name), tail]));
            if (answer.status === 415) continue; // refused is as good
            const back = await request(answer.json.data.url);
            assert.equal(back.headers['content-type'], FILES.find((f) => f.name === name).mime);
            assert.equal(back.headers['x-content-type-options'], 'nosniff');
            assert.match(back.headers['content-security-policy'], /sandbox/);
            assert.match(back.headers['content-disposition'], /^attachment/);
        }
    });

    test('strip-images: what exiftool wrote is gone, or the image is refused', { skip: skipOf({ program: 'exiftool' }) }, async () => {
        for (const f of FILES.filter((one) => one.mime.startsWith('image/') && made.has(one.name))) {
            const answer = await send(stripping, f.name, made.get(f.name));
            const isCleaned = ['image/jpeg', 'image/png', 'image/webp', 'image/gif'].includes(f.mime);
            const isSilent = ['image/bmp', 'image/vnd.microsoft.icon'].includes(f.mime);
            assert.equal(answer.status, isCleaned || isSilent ? 200 : 415, `${f.name}: ${answer.text}`);
            if (!isCleaned) continue;
            const { body } = await request(answer.json.data.url);
            assert.ok(!body.includes('Somebody Secret'), f.name);
            fs.writeFileSync(path.join(work, 'cleaned'), body);
            const seen = JSON.parse(spawnSync('exiftool', ['-j', '-Artist', '-Creator', '-Comment', '-GPSLatitude', '-Error', 'cleaned'], { cwd: work, encoding: 'utf8' }).stdout)[0];
            assert.deepEqual(Object.keys(seen), ['SourceFile'], f.name);
        }
    });
});
