// bridge: ["notify","hello",{"title":"t"}]
// bridge: ["streamEvent","progress",{"n":1}]
// bridge: ["streamEvent","bare",{}]
// data: [true,true,true,"TypeError","TypeError","TypeError"]
async function handler(input, c) {
  const name = (error) => error.name;
  return [await c.notify('hello', { title: 't' }), await c.streamEvent('progress', { n: 1 }), await c.streamEvent('bare'),
    await c.streamEvent('').catch(name), await c.streamEvent('x'.repeat(101)).catch(name), await c.notify(5).catch(name)];
}
module.exports = { handler };
