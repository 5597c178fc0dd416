// error: RangeError: Maximum call stack size exceeded
module.exports = { handler() { let nest = null; for (let i = 0; i < 60000; ++i) nest = [nest]; return nest; } };
