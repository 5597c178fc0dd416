// data: []
async function handler() {
  const wrong = [];
  const is = (name, got) => { if (got !== true) wrong.push([name, got]); };
  const refused = (name, value) => { try { structuredClone(value); wrong.push(name); } catch (error) { if (error.name !== 'DataCloneError' || error.code !== 25) wrong.push([name, error.name]); } };
  const circle = { a: [1, , 3], d: new Date(5), r: /x/gi, m: new Map([[{ k: 1 }, new Set([1])]]), n: null, u: undefined, b: 5n };
  circle.self = circle;
  circle.m.set('circle', circle);
  const c = structuredClone(circle);
  is('new', c !== circle && c.a !== circle.a && c.d !== circle.d && c.m !== circle.m);
  is('cycles', c.self === c && c.m.get('circle') === c);
  is('holes', c.a.length === 3 && !(1 in c.a) && c.a[2] === 3);
  is('date', c.d instanceof Date && c.d.getTime() === 5);
  is('regexp', c.r instanceof RegExp && `${c.r}` === '/x/gi');
  const [key] = [...c.m.keys()];
  is('map', key.k === 1 && c.m.get(key).has(1));
  is('primitives', c.n === null && 'u' in c && c.u === undefined && c.b === 5n);
  const buffer = new Uint8Array([1, 2, 3, 4]).buffer;
  const v = structuredClone({ a: new Uint8Array(buffer, 1, 2), b: buffer, w: new Uint16Array(buffer), d: new DataView(buffer, 2) });
  is('views', v.a.length === 2 && v.a[0] === 2 && v.a.buffer === v.b && v.b !== buffer && v.w.length === 2 && v.d.getUint8(0) === 3);
  const e = structuredClone(Object.assign(new RangeError('far', { cause: { n: 1 } }), { extra: 1 }));
  is('error', e instanceof RangeError && e.message === 'far' && e.cause.n === 1 && !('extra' in e) && typeof e.stack === 'string');
  is('odd error', structuredClone(Object.assign(new Error('x'), { name: 'Odd' })).name === 'Error');
  class Point { x = 1; get y() { return 2; } }
  const p = structuredClone(new Point());
  is('class', Object.getPrototypeOf(p) === Object.prototype && p.x === 1 && !('y' in p));
  is('boxed', structuredClone(new String('s')) instanceof String);
  is('getter', structuredClone({ get a() { return 1; } }).a === 1);
  const moved = new ArrayBuffer(8), view = new Uint8Array(moved);
  const m = structuredClone({ view }, { transfer: [moved] });
  is('transfer', m.view.length === 8 && moved.byteLength === 0);
  refused('function', () => 1);
  refused('in it', { f() {} });
  refused('symbol', Symbol());
  refused('promise', Promise.resolve());
  refused('weak map', new WeakMap());
  is('primitive', structuredClone('a') === 'a' && Number.isNaN(structuredClone(NaN)));
  return wrong;
}
module.exports = { handler };
