// error: Error: in a timer
// line: 3
module.exports = { handler: () => new Promise(() => setTimeout(() => { throw new Error('in a timer'); }, 5)) };
