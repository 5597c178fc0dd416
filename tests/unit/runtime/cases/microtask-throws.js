// error: Error: in a microtask
module.exports = { handler: () => new Promise(() => queueMicrotask(() => { throw new Error('in a microtask'); })) };
