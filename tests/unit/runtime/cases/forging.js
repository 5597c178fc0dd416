// What could lead to the functions behind the prelude does not.
// data: []
async function handler(input, context) {
  const found = [];
  const look = (name, value) => { if (value !== undefined && value !== null) found.push(name); };
  for (const [name, f] of Object.entries({ fetch: context.fetch, log: console.log, timer: setTimeout, respond: context.publicApp.respond })) {
    try { look(`${name}.caller`, f.caller); } catch {}
    try { look(`${name}.arguments`, f.arguments); } catch {}
  }
  const seen = [];
  const { then } = Promise.prototype;
  Promise.prototype.then = function (...a) { seen.push(...a); return then.apply(this, a); };
  Object.defineProperty(Array.prototype, '5', { set(v) { seen.push(v); }, configurable: true });
  function callee() { look('caller', callee.caller); return 1; }
  await context.fetch({ toString: callee });

  Promise.prototype.then = then;
  for (const value of seen)
    if (typeof value === 'function' && /native code/.test(Function.prototype.toString.call(value)) && value.name === 'send')
      found.push('send');
  return found;
}
module.exports = { handler };
