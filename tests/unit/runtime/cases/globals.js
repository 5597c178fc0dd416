// data: ["DOMException","TextDecoder","TextEncoder","URL","URLSearchParams","atob","btoa","clearInterval","clearTimeout","console","crypto","queueMicrotask","setInterval","setTimeout","structuredClone"]
module.exports = {
  handler() {
    const language = /^(NaN|undefined|Infinity|is(NaN|Finite)|(un)?escape|(de|en)code.*|eval|globalThis|parse.*|.*Array|ArrayBuffer|.*Error|Proxy|Reflect|JSON|Math|Atomics|DataView|Date|Boolean|.*Map|Number|.*Set|Object|Function|RegExp|Iterator|String|Promise|BigInt|Symbol|WeakRef|FinalizationRegistry|Intl|Temporal|Disposable.*|Async.*|.*DisposableStack)$/;
    return Object.getOwnPropertyNames(globalThis).filter((name) => !language.test(name)).sort();
  },
};
