// data: ["Error: text","Error: null","Error: undefined","Error: 5","Error: Symbol(s)","Error: of an object","Error: { a: 1 }","Error: [unreadable]","Bad: "]
// Each is thrown by a promise nobody handles, and told on the console.
// log: ["error","Unhandled rejection: Error: text"]
// log: ["error","Unhandled rejection: Error: null"]
// log: ["error","Unhandled rejection: Error: undefined"]
// log: ["error","Unhandled rejection: Error: 5"]
// log: ["error","Unhandled rejection: Error: Symbol(s)"]
// log: ["error","Unhandled rejection: Error: of an object"]
// log: ["error","Unhandled rejection: Error: { a: 1 }"]
// log: ["error","Unhandled rejection: Error: [unreadable]"]
// log: ["error","Unhandled rejection: Bad: x"]
async function handler(input, context) {
  const thrown = ['text', null, undefined, 5, Symbol('s'), { message: 'of an object' }, { a: 1 },
    new Proxy({}, { get() { throw new Error('trap'); }, getPrototypeOf() { throw 1; }, ownKeys() { throw 2; } }),
    Object.assign(new Error('x'), { name: 'Bad', stack: undefined })];
  for (const value of thrown)
    Promise.reject(value);
  await new Promise((resolve) => setTimeout(resolve, 1));
  return ['Error: text', 'Error: null', 'Error: undefined', 'Error: 5', 'Error: Symbol(s)', 'Error: of an object',
    'Error: { a: 1 }', 'Error: [unreadable]', 'Bad: '];
}
module.exports = { handler };
