// data: ["EvalError","EvalError","EvalError","EvalError","EvalError","EvalError","EvalError"]
module.exports = {
  handler: () => [
    () => eval('1'),
    () => (0, eval)('1'),
    () => new Function('return 1')(),
    () => (async () => {}).constructor('return 1'),
    () => (function* () {}).constructor('1'),
    () => (async function* () {}).constructor('1'),
    () => Reflect.construct(console.log.constructor, ['return 1']),
  ].map((f) => { try { return `ran ${f()}`; } catch (error) { return error.name; } }),
};
