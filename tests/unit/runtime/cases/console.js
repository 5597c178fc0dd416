// log: ["log","a 1 true null undefined 5n Symbol(x)"]
// log: ["info","[ 1, [ 2, 3 ], <empty>, 'it' ]"]
// log: ["warn","{\n  a: 1,\n  'b c': \"it's\",\n  f: [Function: f],\n  C: [Class: C],\n  get: [Getter],\n  [Symbol(k)]: -0\n}"]
// log: ["error","TypeError: bad\n    at handler (handler.js:25:30)\n    at handler (handler.js:17:24)"]
// log: ["debug","Map(2) { 'a' => { b: 1 }, 2 => [ 1 ] } Set(1) { 'x' }"]
// log: ["log","1970-01-01T00:00:00.000Z Invalid Date /a+/gi Promise {} WeakMap {} [Number 5]"]
// log: ["log","{ self: [Circular], list: [ [Circular] ] }"]
// log: ["log","{ a: { b: { c: { d: [Object] } } } }"]
// log: ["log","Uint8Array (3) [ 1, 2, 3 ] ArrayBuffer { byteLength: 2 }"]
// log: ["log","Point { x: 1 } [no prototype] { y: 2 } [Function (anonymous)]"]
// log: ["log","text 42 7 1.5 {\"a\":1} { a: 1 } 100% %z rest"]
// log: ["log","{\n  first: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',\n  second: 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',\n  third: 'cccccccccccccccccccccccccccccc'\n}"]
// log: ["log",""]
// log: ["error","Assertion failed: why"]
// log: ["info","default: 1"]
// log: ["log","[unreadable]"]
async function handler() {
  console.log('a', 1, true, null, undefined, 5n, Symbol('x'));
  console.info([1, [2, 3], , 'it']);
  console.warn({ a: 1, 'b c': "it's", [Symbol('k')]: -0, f() {}, C: class C {}, get get() { throw 1; } });
  class Point { constructor() { this.x = 1; } }
  const circle = { list: [] };
  circle.list.push(circle);
  const bad = { self: null, list: circle.list };
  console.error(new TypeError('bad'));
  console.debug(new Map([['a', { b: 1 }], [2, [1]]]), new Set(['x']));
  console.log(new Date(0), new Date(NaN), /a+/gi, Promise.resolve(), new WeakMap(), new Number(5));
  const me = { self: null, list: [] };
  me.self = me;
  me.list.push(me);
  console.log(me);
  console.log({ a: { b: { c: { d: { e: 1 } } } } });
  console.log(new Uint8Array([1, 2, 3]), new ArrayBuffer(2));
  console.log(new Point(), Object.assign(Object.create(null), { y: 2 }), () => {});
  console.log('%s %d %i %f %j %o 100%% %z', 'text', '42', 7.9, 1.5, { a: 1 }, { a: 1 }, 'rest');
  console.log({ first: 'a'.repeat(30), second: 'b'.repeat(30), third: 'c'.repeat(30) });
  console.log();
  console.assert(true, 'not');
  console.assert(false, 'why');
  console.count();
  console.log(new Proxy({}, { getPrototypeOf() { throw 1; } }));
  void bad;
}
module.exports = { handler };
