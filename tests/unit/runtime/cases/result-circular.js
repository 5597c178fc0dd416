// error: TypeError: 
module.exports = { handler() { const a = {}; a.a = a; return a; } };
