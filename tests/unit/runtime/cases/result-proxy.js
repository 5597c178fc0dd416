// error: Error: from a trap
module.exports = { handler: () => new Proxy({}, { ownKeys() { throw new Error('from a trap'); } }) };
