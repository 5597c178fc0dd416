// What people write today: Express with multer's disk storage, one file of at most 10 MiB. PEER=plain is that. PEER=careful does besides
// what a visitor's file needs before anybody may rely on it: its type from its content (file-type), its SHA-256, and fsync of the file and
// its folder. Neither keeps a row about it.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import express from 'express';
import { fileTypeFromFile } from 'file-type';
import multer from 'multer';

const { PEER, PORT, FOLDER } = process.env;
fs.mkdirSync(FOLDER, { recursive: true });
const upload = multer({ dest: FOLDER, limits: { fileSize: 10 * 1024 * 1024, files: 1, fields: 20, fieldSize: 8 * 1024 } });
const allowed = /^(image|audio|video)\/|^application\/(pdf|zip|json|xml)$/;

async function sync(name) {
    const handle = await open(name);
    await handle.sync();
    await handle.close();
}

async function check(file) {
    const type = await fileTypeFromFile(file.path);
    if (!type || !allowed.test(type.mime)) throw Object.assign(new Error('This type is not allowed.'), { status: 415 });
    const hash = createHash('sha256');
    await pipeline(fs.createReadStream(file.path), hash);
    await sync(file.path);
    await sync(FOLDER);
    return { mimeType: type.mime, sha256: hash.digest('hex') };
}

const app = express();
app.disable('x-powered-by');
app.post('/upload', upload.single('file'), async (request, response) => {
    const { file } = request;
    const more = PEER === 'careful' ? await check(file) : { mimeType: file.mimetype };
    response.json({ success: true, data: { fileId: file.filename, filename: file.originalname, url: `/files/${file.filename}`, size: file.size, ...more } });
});
app.use((error, request, response, next) => { // four parameters are what makes it one for errors
    response.status(error.status ?? (error.code === 'LIMIT_FILE_SIZE' ? 413 : 500)).json({ success: false, error: true, message: error.message });
});
app.listen(Number(PORT), '127.0.0.1', () => console.log('ready'));
