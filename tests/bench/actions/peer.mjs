// What people write today: Express with express-rate-limit and pg, the handler in the same process (PEER=inprocess) or in a child process
// for each plugin (PEER=isolated). Each query as Stoa does it: the plugin's own role, BEGIN, two settings, the statement, COMMIT, and the
// connection cleaned after the answer.
import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import express from 'express';
import { rateLimit } from 'express-rate-limit';
import pg from 'pg';

const here = path.dirname(new URL(import.meta.url).pathname);
const { PEER, PORT, PG, OWNER, PLUGIN } = process.env;
const pool = new pg.Pool({ connectionString: PG, max: 10 });

async function query(sql, params) {
    const client = await pool.connect();
    try {
        await client.query('BEGIN');
        await client.query("select set_config('app.user_id', $1, true), set_config('app.plugin_id', $2, true)", [OWNER, PLUGIN]);
        const { rows } = await client.query(sql, params);
        await client.query('COMMIT');
        client.query('DISCARD ALL').then(() => client.release(), () => client.release(true));
        return { rows };
    } catch (error) {
        client.release(true);
        throw error;
    }
}

// --- the handler, here ---

const { handler } = createRequire(import.meta.url)('./handler.cjs');
async function runHere(input) {
    let answer;
    const result = await handler(input, { publicApp: { respond: (data) => { answer = data; } }, managedDb: { query } });
    return answer ?? result;
}

// --- the handler, in a child of its plugin's own ---

const children = new Map();
let calls = 0;
function childOf(plugin) {
    let made = children.get(plugin);
    if (made) return made;
    const child = fork(path.join(here, 'child.mjs'), { serialization: 'json' });
    made = { child, waiting: new Map() };
    child.on('message', async (message) => {
        if (message.query) {
            const reply = await query(message.query, message.params).then((result) => ({ result }), (error) => ({ error: error.message }));
            child.send({ reply: message.id, ...reply });
        } else {
            made.waiting.get(message.done)?.(message);
            made.waiting.delete(message.done);
        }
    });
    children.set(plugin, made);
    return made;
}
function runIsolated(input) {
    const { child, waiting } = childOf(input.instanceId);
    const id = ++calls;
    return new Promise((resolve, reject) => {
        waiting.set(id, (message) => { if (message.error) reject(new Error(message.error)); else resolve(message.answer); });
        child.send({ call: id, input });
    });
}

const run = PEER === 'isolated' ? runIsolated : runHere;
const app = express();
app.disable('x-powered-by');
const limit = rateLimit({ windowMs: 60000, limit: 1e9, standardHeaders: 'draft-8', legacyHeaders: false, keyGenerator: (request) => `${request.ip} ${request.params.instance} ${request.params.action}` });
app.post('/api/public-actions/:instance/:action', limit, express.json({ limit: '1mb' }), async (request, response) => {
    try {
        const { instance, action } = request.params;
        const data = await run({ _publicAction: true, actionId: action, payload: request.body, instanceId: instance, visitorIp: request.ip });
        response.json({ success: true, data });
    } catch (error) {
        response.status(502).json({ error: true, message: error.message });
    }
});
app.listen(Number(PORT), '127.0.0.1', 4096, () => process.stdout.write('ready\n'));
process.on('SIGTERM', () => process.exit(0));
