// error: RangeError: Maximum call stack size exceeded
module.exports = { handler() { let nest = null; for (let i = 0; i < 200000; ++i) nest = [nest]; return nest; } };
