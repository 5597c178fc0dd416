// A handler that replaces what it can breaks its own functions at most: its frames stay in order.
// bridge: ["managedDb.query","select",[1,{"t":"array","v":[2]}],{"maxRows":5}]
// log: ["log","{ a: [ 1 ] }"]
// data: {"rows":1}
// meta: {"responded":false}
const evil = () => { throw new Error('patched'); };
const { ownKeys, set } = Reflect;
const types = [Array, String, Map, Set, Promise, Number, RegExp, Error, Date, Object, JSON, Reflect, Function];
const places = [];
for (const type of types)
  for (const place of [type, type.prototype])
    if (place !== undefined)
      for (const key of ownKeys(place))
        places.push([place, key]);
for (let i = 0, n = places.length; i < n; ++i)
  if (places[i][1] !== 'constructor' && places[i][1] !== 'prototype' && places[i][1] !== 'length' && places[i][1] !== '__proto__')
    try { set(places[i][0], places[i][1], evil); } catch {}
Object.prototype.toJSON = evil;
Array.prototype[0] = 5;
async function handler(input, context) {
  console.log({ a: [1] });
  await context.managedDb.query('select', [1, [2]], { maxRows: 5 });
  return { rows: 1 };
}
module.exports = { handler };
