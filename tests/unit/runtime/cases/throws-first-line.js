// error: Error: one line
// line: 4
// column: 47
module.exports = { handler() { throw new Error('one line'); } };
