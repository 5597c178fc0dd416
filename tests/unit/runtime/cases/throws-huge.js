// error: Error: xxxxxxxxxxxxxxxx
module.exports = { async handler() { const e = new Error('x'.repeat(5e6)); e.stack = 'y@handler.js:1:2\n'.repeat(1e5); e.name = 'Error'; throw e; } };
