// The one handler that all of them run: Stoa in its cage, the peers in Node.
async function handler(input, context) {
    switch (input.actionId) {
        case 'trivial':
            context.publicApp.respond({ ok: true, name: input.payload.name });
            return;
        case 'insert':
            await context.managedDb.query('INSERT INTO answers (name, email) VALUES ($1, $2)', [input.payload.name, input.payload.email]);
            context.publicApp.respond({ ok: true });
            return;
        case 'select': {
            const { rows } = await context.managedDb.query('SELECT id, name, email, at FROM answers ORDER BY id LIMIT 50');
            context.publicApp.respond({ rows });
            return;
        }
        default:
            context.publicApp.respond({ error: true, message: 'Unknown action' });
    }
}
module.exports = { handler };
