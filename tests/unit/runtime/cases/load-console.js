// log: ["log","loading { at: 1 }"]
// log: ["error","Unhandled rejection: Error: nobody waits\n    at handler.js:5:25"]
// data: null
console.log('loading', { at: 1 });
Promise.reject(new Error('nobody waits'));
module.exports = { handler: () => null };
