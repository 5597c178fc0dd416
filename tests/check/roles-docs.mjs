#!/usr/bin/env node
// The table of roles in docs/embedding.md says what edge/auth/roles.c has, permission by permission, in the same order.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');
const roles = ['Viewer', 'Operator', 'Editor', 'Admin'];

const code = [...read('edge/auth/roles.c').matchAll(/\[PERMISSION_(\w+)\]\s*=\s*ROLE_(\w+)/g)]
    .map(([, permission, lowest]) => [permission.toLowerCase(), roles.findIndex((r) => r.toUpperCase() === lowest)]);
const section = read('docs/embedding.md').split('<!-- roles -->')[1]?.split('<!-- /roles -->')[0] ?? '';
const [head, , ...rows] = section.trim().split('\n').map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
const docs = rows.map(([what, ...cells]) => [/^`(\w+)`/.exec(what)?.[1], cells]);

const wrong = [];
if (code.length === 0) wrong.push('edge/auth/roles.c: no permissions found');
if (JSON.stringify(head?.slice(1)) !== JSON.stringify(roles)) wrong.push(`the head is ${head}`);
if (JSON.stringify(docs.map(([name]) => name)) !== JSON.stringify(code.map(([name]) => name)))
    wrong.push(`docs have ${docs.map(([name]) => name)}, the code has ${code.map(([name]) => name)}`);
for (const [name, lowest] of code) {
    const cells = docs.find(([documented]) => documented === name)?.[1];
    const expected = roles.map((_, i) => (i >= lowest ? 'yes' : ''));
    if (cells && JSON.stringify(cells) !== JSON.stringify(expected)) wrong.push(`${name}: docs say ${cells}, the code ${expected}`);
}
for (const line of wrong) console.error(`docs/embedding.md: ${line}`);
process.exit(wrong.length === 0 ? 0 : 1);
