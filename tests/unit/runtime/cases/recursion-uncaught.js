// error: RangeError: Maximum call stack size exceeded
module.exports = { handler: function f(...x) { return f(...x); } };
