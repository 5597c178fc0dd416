// .pie files and archives for tests.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { temporaryDirectory } from './server.mjs';

/** A .pie file of that name with these public files ({path: content}); `config` replaces the single-page default, null leaves it out. */
export function pie(name, files = {}, { version = '1.0.0', config = 'entry: index.html\nroutes:\n  - path: /\n    spa: true', front = '', code } = {}) {
    const fences = Object.entries(files).map(([file, content]) => `===public-file:${file}===\n${content}\n===public-file:${file}===\n`);
    const section = config === null || fences.length === 0 ? '' : `===public-config===\n${config}\n===public-config===\n`;
    return `---\nname: ${name}\ndisplayName: ${name}\ntier: tool\nversion: ${version}\n${front}---\n${code ?? 'module.exports = { handler: async () => ({}) };'}\n${section}${fences.join('')}`;
}

/** A directory's files as an archive made by Debian's own tar or zip. */
export function archive(files, kind = 'tar.gz') {
    const folder = temporaryDirectory('archive');
    for (const [name, content] of Object.entries(files)) {
        fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
        fs.writeFileSync(path.join(folder, name), content);
    }
    const made = `${folder}.${kind}`;
    if (kind === 'zip') execFileSync('zip', ['-qr', made, '.'], { cwd: folder });
    else execFileSync('tar', ['-caf', made, '-C', folder, '.']);
    return fs.readFileSync(made);
}
