// structuredClone (html.spec.whatwg.org, StructuredSerialize).
(function (own) {
  'use strict';
  own.later(['structuredClone'], () => {
    const { exception } = own;

    const errors = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
    const refused = [Promise, WeakMap, WeakSet, WeakRef, FinalizationRegistry];

    function refuse(what) {
      throw exception(`structuredClone: ${what} cannot be cloned`, 'DataCloneError');
    }

    function nameOf(value) {
      return typeof value === 'function' ? `the function ${value.name}`.trim() : `a ${typeof value}`;
    }

    function cloneError(from, seen) {
      const type = errors.find((e) => e.name === from.name) ?? Error;
      const error = new type();
      seen.set(from, error);
      for (const key of ['message', 'stack', 'cause']) {
        const found = Object.getOwnPropertyDescriptor(from, key);
        if (found === undefined || !('value' in found))
          continue;
        const value = key === 'cause' ? clone(found.value, seen) : `${found.value}`;
        Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: false });
      }
      return error;
    }

    function cloneBuffer(from, seen) {
      const to = from.slice(0);
      seen.set(from, to);
      return to;
    }

    function cloneView(from, seen) {
      const buffer = clone(from.buffer, seen);
      const length = from instanceof DataView ? from.byteLength : from.length;
      const type = from instanceof DataView ? DataView : globalThis[from[Symbol.toStringTag]];
      const to = new type(buffer, from.byteOffset, length);
      seen.set(from, to);
      return to;
    }

    function cloneMembers(from, to, seen) {
      seen.set(from, to);
      for (const key of Object.keys(from))
        Object.defineProperty(to, key, { value: clone(from[key], seen), writable: true, configurable: true, enumerable: true });
      return to;
    }

    function cloneMap(from, seen) {
      const to = new Map(), entries = [...from];
      seen.set(from, to);
      for (const [key, value] of entries)
        to.set(clone(key, seen), clone(value, seen));
      return to;
    }

    function cloneSet(from, seen) {
      const to = new Set(), members = [...from];
      seen.set(from, to);
      for (const member of members)
        to.add(clone(member, seen));
      return to;
    }

    function cloneArray(from, seen) {
      const to = [];
      to.length = from.length;
      return cloneMembers(from, to, seen);
    }

    // What is kept in one step, its members aside.
    function cloneSimple(from) {
      if (from instanceof Date)
        return new Date(from.getTime());
      if (from instanceof RegExp)
        return new RegExp(from.source, from.flags);
      if (from instanceof Boolean || from instanceof Number || from instanceof String || from instanceof BigInt)
        return Object(from.valueOf());
      return undefined;
    }

    function cloneObject(from, seen) {
      if (Array.isArray(from))
        return cloneArray(from, seen);
      const simple = cloneSimple(from);
      if (simple !== undefined) {
        seen.set(from, simple);
        return simple;
      }
      if (from instanceof Map)
        return cloneMap(from, seen);
      if (from instanceof Set)
        return cloneSet(from, seen);
      if (from instanceof ArrayBuffer)
        return cloneBuffer(from, seen);
      if (ArrayBuffer.isView(from))
        return cloneView(from, seen);
      if (from instanceof Error)
        return cloneError(from, seen);
      if (refused.some((type) => from instanceof type))
        refuse(`a ${from.constructor.name}`);
      return cloneMembers(from, {}, seen);
    }

    function clone(value, seen) {
      if (typeof value === 'function' || typeof value === 'symbol')
        refuse(nameOf(value));
      if (typeof value !== 'object' || value === null)
        return value;
      return seen.has(value) ? seen.get(value) : cloneObject(value, seen);
    }

    const structuredClone = function structuredClone(value, options) {
      if (arguments.length === 0)
        throw new TypeError('structuredClone: an argument is missing');
      const seen = new Map(), transfer = [...options?.transfer ?? []];
      for (const buffer of transfer) {
        if (!(buffer instanceof ArrayBuffer) || buffer.detached || seen.has(buffer))
          refuse('what is to be transferred');
        seen.set(buffer, buffer.slice(0));
      }
      const to = clone(value, seen);
      for (const buffer of transfer)
        buffer.transfer(); // only now, when nothing can be refused any more, are the old ones emptied
      return to;
    };
    return { structuredClone };
  });
})
