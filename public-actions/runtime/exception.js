// DOMException, as the web's functions throw it (webidl.spec.whatwg.org).
(function (own) {
  'use strict';
  const make = own.later(['DOMException'], () => {
    const codes = { __proto__: null, IndexSizeError: 1, NotFoundError: 8, NotSupportedError: 9, InvalidStateError: 11,
      SyntaxError: 12, InvalidAccessError: 15, TypeMismatchError: 17, AbortError: 20, QuotaExceededError: 22,
      TimeoutError: 23, DataCloneError: 25, InvalidCharacterError: 5 };

    class DOMException extends Error {
      #name;
      constructor(message = '', name = 'Error') {
        super(`${message}`);
        this.#name = `${name}`;
      }
      get name() { return this.#name; }
      get code() { return codes[this.#name] ?? 0; }
      get [Symbol.toStringTag]() { return 'DOMException'; }
    }
    return { DOMException };
  });
  // A new one, to be thrown by us, whatever the handler has put in its place.
  own.exception = (message, name) => new (make().DOMException)(message, name);
})
