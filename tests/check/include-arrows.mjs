#!/usr/bin/env node
// Includes point down only. The table is the picture of docs in one place: folder -> folders it may name; what those may name it may too.
// main.c and settings.c are the only two files that see everything.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

const arrows = {
    base: [],
    loop: ['base'],
    limits: ['loop'],
    client: ['loop'],
    cage: ['loop'],
    guard: ['limits', 'loop'],
    inspect: ['cage', 'loop'],
    store: ['client', 'base'],
    http: ['store', 'loop'],
    catalog: ['store', 'loop'],
    auth: ['catalog', 'http'],
    route: ['catalog', 'http'],
    cli: ['client', 'base'],
    bundles: ['inspect', 'route', 'auth', 'catalog', 'http', 'client', 'limits', 'store', 'cage', 'loop'],
};
for (const feature of ['public-actions', 'uploads', 'domains', 'embed']) arrows[feature] = arrows.bundles;
// The rooms of public-actions are targets of their own.
arrows['public-actions/runtime'] = ['cage', 'base'];
arrows['public-actions/plugin'] = ['catalog', 'client', 'cage', 'limits', 'loop', 'public-actions/runtime'];
for (const room of ['managed_db', 'runs', 'owner_settings'])
    arrows[`public-actions/${room}`] = ['auth', 'catalog', 'http', 'client', 'limits', 'store', 'loop'];
arrows['public-actions'] = [...arrows.bundles, ...['plugin', 'managed_db', 'runs', 'owner_settings'].map((room) => `public-actions/${room}`)];
for (const feature of ['uploads', 'embed']) arrows[feature] = [...arrows.bundles, 'public-actions/plugin']; // the one sibling arrow
// Files of edge/ itself.
const edgeFiles = {
    main: 'everything', settings: 'everything', server: 'everything', features: 'everything',
    serve: ['store', 'cage'], supervisor: ['store', 'cage'], workers: ['cage'], data: ['store'], master: ['catalog'], ready: ['base'], listen: ['cage'],
    listener: ['route', 'http', 'auth', 'store', 'limits', 'guard'],
    tls: ['route', 'http', 'auth', 'store', 'limits'],
    shutdown: ['route', 'http', 'auth', 'store', 'limits', 'guard'],
    health: ['route', 'http', 'auth', 'store', 'limits', 'guard'],
    console: ['route', 'http', 'auth', 'store', 'limits'],
    notices: ['store', 'loop'], scheduler: ['store', 'loop'],
};
// The readers of .pie files and configs know no server; the command line uses them to say the same words.
const pureHeaders = new Set(['bundles/pie.h', 'bundles/config.h', 'bundles/manifest.h', 'bundles/paths.h', 'bundles/rules.h']);

function reach(list, seen = new Set()) {
    for (const folder of list) {
        if (seen.has(folder)) continue;
        seen.add(folder);
        reach(arrows[folder] ?? [], seen);
    }
    return seen;
}
const folderOf = (file) => {
    const parts = file.split('/');
    if (parts[0] === 'public-actions' && parts.length > 2) return `${parts[0]}/${parts[1]}`;
    if (parts[0] !== 'edge') return parts[0];
    return parts.length > 2 ? parts[1] : 'edge';
};

const tops = ['edge', 'bundles', 'public-actions', 'uploads', 'domains', 'embed'];
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', ...tops], { encoding: 'utf8' })
    .split('\n').filter((f) => /\.[ch]$/.test(f) && fs.existsSync(f));
let offences = 0;
const say = (where, what) => { console.log(`${where}: ${what}`); ++offences; };
for (const file of files) {
    const folder = folderOf(file);
    const text = fs.readFileSync(file, 'utf8');
    const includes = [...text.matchAll(/^#include "([^"]+)"/gm)].map((m) => m[1]);
    if (file.endsWith('.c')) {
        const own = file.replace(/\.c$/, '.h');
        const first = text.match(/^#include [<"]([^>"]+)/m)?.[1] ?? '';
        // or a header of the folder that does
        const isOwn = first === own || (fs.existsSync(first) && fs.readFileSync(first, 'utf8').includes(`#include "${own}"`));
        if (fs.existsSync(own) && !isOwn) say(file, `includes its own header ${own} not first`);
    }
    if (folder === 'edge') {
        const allowed = edgeFiles[file.replace(/^edge\/([a-z]*)(_[a-z_]+)?\.[ch]$/, '$1')]; // settings_load.c is settings'
        if (allowed === undefined) say(file, 'is a file of edge/ that the table of arrows does not know');
        if (allowed === undefined || allowed === 'everything') continue;
        const reached = reach([...allowed, 'base']);
        for (const target of includes) if (folderOf(target) !== 'edge' && !reached.has(folderOf(target))) say(file, `must not include ${target}`);
        continue;
    }
    if (arrows[folder] === undefined) {
        say(file, `is in the folder ${folder} that the table of arrows does not know`);
        continue;
    }
    const reached = reach([...arrows[folder], 'base']);
    for (const target of includes) {
        if (!fs.existsSync(target)) say(file, `includes ${target}, which is not a path from the root`);
        else if (folderOf(target) !== folder && !reached.has(folderOf(target)) && !(folder === 'cli' && pureHeaders.has(target))) {
            say(file, `must not include ${target}`);
        }
    }
}
if (files.length === 0) say('.', 'no sources found');
process.exit(offences ? 1 : 0);
