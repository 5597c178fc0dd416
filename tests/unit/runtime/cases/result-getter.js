// error: Error: from a getter
// line: 3
module.exports = { handler: () => ({ get n() { throw new Error('from a getter'); } }) };
