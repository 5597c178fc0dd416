// error: Error: null
module.exports = { async handler() { throw null; } };
