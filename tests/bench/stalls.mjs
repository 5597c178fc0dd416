// A virtual machine stands still while its host lends its cores to others: for 5 to 100 ms at a time, which is what a 99th percentile then
// shows. stalls.c sees when; requests that met such a moment are counted apart.
//
//     const stalls = await watchStalls(work);
//     … // requests: [[begun, milliseconds], …], begun in milliseconds since 1970
//     const { calm, share } = apart(requests, await stalls.stop());
import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export async function watchStalls(work) {
    const program = path.join(work, 'stalls');
    execFileSync('gcc', ['-O2', '-D_GNU_SOURCE', '-pthread', '-o', program, path.join(path.dirname(fileURLToPath(import.meta.url)), 'stalls.c')]);
    const child = spawn(program, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (part) => { text += part; });
    const ended = new Promise((done) => { child.on('exit', (code) => done(code)); });
    const failed = await Promise.race([ended, new Promise((done) => { setTimeout(done, 50, 'runs'); })]);
    if (failed !== 'runs') throw new Error(`stalls ended with ${failed}`);
    return {
        async stop() {
            child.kill('SIGTERM');
            await ended;
            return text.trimEnd().split('\n').filter(Boolean).map((line) => line.split(' ').map(Number)).sort((a, b) => a[0] - b[0]);
        },
    };
}

/** `calm`: the milliseconds of requests that met no stall, nor the time as long as one behind it, in which what waited is caught up with. `share`: how many of all they are not. */
export function apart(requests, stalls) {
    const wide = stalls.map(([from, to]) => [from, to + (to - from)]);
    const calm = requests.filter(([begun, took]) => !wide.some(([from, to]) => begun < to && begun + took > from)).map(([, took]) => took);
    return { calm: calm.sort((a, b) => a - b), share: 1 - calm.length / requests.length };
}
