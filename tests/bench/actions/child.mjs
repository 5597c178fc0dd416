// The handler of one plugin in a process of its own; what it asks for goes back to the parent, as in Stoa.
import { createRequire } from 'node:module';

const { handler } = createRequire(import.meta.url)('./handler.cjs');
const asked = new Map();
let ids = 0;
const query = (sql, params) => new Promise((resolve, reject) => {
    const id = ++ids;
    asked.set(id, { resolve, reject });
    process.send({ query: sql, params, id });
});

process.on('message', async (message) => {
    if (message.reply) {
        const { resolve, reject } = asked.get(message.reply);
        asked.delete(message.reply);
        if (message.error) reject(new Error(message.error));
        else resolve(message.result);
        return;
    }
    let answer;
    try {
        const result = await handler(message.input, { publicApp: { respond: (data) => { answer = data; } }, managedDb: { query } });
        process.send({ done: message.call, answer: answer ?? result });
    } catch (error) {
        process.send({ done: message.call, error: error.message });
    }
});
