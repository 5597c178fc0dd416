// first: 1000
// fresh
// error: Error: x
// line: 1004
async function handler() { throw new Error('x'); }
module.exports = { handler };
