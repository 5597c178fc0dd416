// Values as text: for console lines, and for what was thrown. Everything asked of a handler's value
// may run the handler's code, may throw, and may be endless; so each question is asked once, inside
// a try, and what is written has a limit.
//
// In this file and in runs.js, timers.js, console.js and context.js nothing is called that handler
// code could have replaced: methods are captured here and now, arrays are made by literals and read
// by index, objects have no prototype, and nothing is iterated or spread.
(function (own) {
  'use strict';
  const uncurry = Function.prototype.bind.bind(Function.prototype.call);
  const { isArray } = Array;
  const { is, getPrototypeOf, prototype: objectPrototype } = Object;
  const { ownKeys, getOwnPropertyDescriptor } = Reflect;
  const { stringify } = JSON;
  const toText = String, Error_ = Error;
  const isPrototypeOf = uncurry(Object.prototype.isPrototypeOf);
  const slice = uncurry(String.prototype.slice), indexOf = uncurry(String.prototype.indexOf);
  const lastIndexOf = uncurry(String.prototype.lastIndexOf);
  const startsWith = uncurry(String.prototype.startsWith);
  const functionText = uncurry(Function.prototype.toString);
  const symbolText = uncurry(Symbol.prototype.toString);
  const regexpText = uncurry(RegExp.prototype.toString);
  const dateText = uncurry(Date.prototype.toISOString), dateTime = uncurry(Date.prototype.getTime);
  const mapForEach = uncurry(Map.prototype.forEach), setForEach = uncurry(Set.prototype.forEach);
  const typedArrayPrototype = getPrototypeOf(Uint8Array.prototype);
  const parseNumber = Number, isInteger = Number.isInteger;
  const { Map: Map_, Set: Set_, Date: Date_, RegExp: RegExp_, Promise: Promise_, WeakMap: WeakMap_,
    WeakSet: WeakSet_, ArrayBuffer: ArrayBuffer_, Boolean: Boolean_, Number: Number_ } = globalThis;
  const bufferSize = uncurry(getOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength').get);
  const arraySize = uncurry(getOwnPropertyDescriptor(typedArrayPrototype, 'length').get);

  const TEXT_MOST = 10000, ITEMS_MOST = 100, DEPTH_MOST = 4, LINE_WIDTH = 76;
  const STACK_MOST = 4000, MESSAGE_MOST = 4000, NAME_MOST = 100, CODE_MOST = 64;

  own.uncurry = uncurry;

  function cut(text, most) {
    return text.length > most ? slice(text, 0, most) + '…' : text;
  }

  // --- stacks ---
  // "name@file:line:column" lines as "at name (handler.js:line:column)": the handler's frames only.
  // The code's first line has the wrapper before it.
  function frame(line) {
    const at = lastIndexOf(line, '@');
    const place = slice(line, at + 1);
    if (!startsWith(place, 'handler.js:'))
      return null;
    const second = indexOf(place, ':', 11);
    const row = parseNumber(slice(place, 11, second));
    let column = parseNumber(slice(place, second + 1));
    if (!isInteger(row) || !isInteger(column))
      return null;
    if (row === own.firstLine && column > own.columnsBefore)
      column -= own.columnsBefore;
    const name = at > 0 ? slice(line, 0, at) : '';
    const where = `handler.js:${row}:${column}`;
    return { __proto__: null, row, column,
      text: name === '' || indexOf(name, ' code') > 0 ? where : `${name} (${where})` };
  }

  function readStack(stack) {
    const read = { __proto__: null, line: 0, column: 0, text: '' };
    const text = slice(stack, 0, 100000);
    for (let from = 0; from < text.length && read.text.length < STACK_MOST;) {
      let to = indexOf(text, '\n', from);
      if (to < 0)
        to = text.length;
      const found = frame(slice(text, from, to));
      if (found !== null && read.line === 0) {
        read.line = found.row;
        read.column = found.column;
      }
      if (found !== null)
        read.text += `${read.text === '' ? '' : '\n'}    at ${found.text}`;
      from = to + 1;
    }
    return read;
  }

  // --- errors ---
  function ask(object, key) {
    try {
      return object[key];
    } catch {
      return undefined;
    }
  }

  function isError(value) {
    try {
      return typeof value === 'object' && value !== null && isPrototypeOf(Error_.prototype, value);
    } catch {
      return false;
    }
  }

  // {name, message, line, column, stack} of anything thrown; a line of 0 is not known.
  function explain(thrown) {
    const out = { __proto__: null, name: 'Error', message: '', line: 0, column: 0, stack: '' };
    const isObject = typeof thrown === 'object' && thrown !== null;
    const name = isObject ? ask(thrown, 'name') : undefined;
    const message = isObject ? ask(thrown, 'message') : undefined;
    if (typeof name === 'string' && name !== '')
      out.name = cut(name, NAME_MOST);
    if (typeof message === 'string')
      out.message = cut(message, MESSAGE_MOST);
    else
      out.message = typeof thrown === 'string' ? cut(thrown, MESSAGE_MOST) : cut(inspect(thrown), MESSAGE_MOST);
    const code = isObject ? ask(thrown, 'code') : undefined;
    if (typeof code === 'string' && code !== '' && code.length <= CODE_MOST)
      out.code = code;
    const stack = isObject ? ask(thrown, 'stack') : undefined;
    if (typeof stack === 'string') {
      const read = readStack(stack);
      out.line = read.line;
      out.column = read.column;
      out.stack = cut(read.text, STACK_MOST);
    }
    return out;
  }

  function errorText(error) {
    const e = explain(error);
    const head = e.message === '' ? e.name : `${e.name}: ${e.message}`;
    return e.stack === '' ? head : `${head}\n${e.stack}`;
  }

  // As JSON; line, column and perhaps a better message are given for what the engine's parser found.
  own.describe = function describe(thrown, line, column, message) {
    const e = explain(thrown);
    if (line > 0) {
      e.line = line;
      e.column = column;
      e.stack = '';
    }
    if (message)
      e.message = message;
    return stringify(e);
  };

  // --- values ---
  function quote(text) {
    const json = stringify(text);
    const inside = slice(json, 1, -1);
    return indexOf(text, "'") < 0 && indexOf(inside, '\\"') < 0 ? `'${inside}'` : json;
  }

  function functionName(f) {
    const name = ask(f, 'name');
    let isClass = false;
    try {
      isClass = startsWith(functionText(f), 'class');
    } catch {}
    const named = typeof name === 'string' && name !== '' ? `: ${cut(name, NAME_MOST)}` : ' (anonymous)';
    return `[${isClass ? 'Class' : 'Function'}${named}]`;
  }

  function className(object) {
    const prototype = getPrototypeOf(object);
    if (prototype === null)
      return '[no prototype] ';
    const constructor = ask(prototype, 'constructor');
    const name = typeof constructor === 'function' ? ask(constructor, 'name') : undefined;
    return typeof name === 'string' && name !== '' && name !== 'Object' ? `${cut(name, NAME_MOST)} ` : '';
  }

  // What is being written: `parents` is a chain of the objects we are in, `left` what room is left.
  function isParent(parents, object) {
    for (let p = parents; p !== null; p = p.next)
      if (p.object === object)
        return true;
    return false;
  }

  function joinItems(open, items, close, indent) {
    if (items.count === 0)
      return open + close;
    if (items.length + indent.length <= LINE_WIDTH && !items.hasLines)
      return `${open} ${items.short} ${close}`;
    return `${open}\n${items.long}\n${indent}${close}`;
  }

  function newItems() {
    return { __proto__: null, count: 0, length: 0, short: '', long: '', hasLines: false };
  }

  function addItem(items, text, indent) {
    items.short += items.count === 0 ? text : `, ${text}`;
    items.long += `${items.count === 0 ? '' : ',\n'}${indent}  ${text}`;
    items.length += text.length + 2;
    items.hasLines ||= indexOf(text, '\n') >= 0;
    ++items.count;
  }

  function keyText(key) {
    if (typeof key === 'symbol')
      return `[${symbolText(key)}]`;
    for (let i = 0; i < key.length; ++i) {
      const c = key[i];
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c === '_' || c === '$' || (i > 0 && c >= '0' && c <= '9')))
        return quote(cut(key, NAME_MOST));
    }
    return key === '' ? "''" : cut(key, NAME_MOST);
  }

  // Adds the object's own enumerable members, for arrays those that are no index.
  function addMembers(items, object, state, indent, isList) {
    const keys = ownKeys(object);
    for (let i = 0; i < keys.length; ++i) {
      const key = keys[i];
      if (isList && typeof key === 'string' && (key === 'length' || (key[0] >= '0' && key[0] <= '9')))
        continue;
      const found = getOwnPropertyDescriptor(object, key);
      if (found === undefined || !found.enumerable)
        continue;
      if (items.count >= ITEMS_MOST || state.left <= 0) {
        addItem(items, '…', indent);
        return;
      }
      const value = 'value' in found ? write(found.value, state, `${indent}  `) : '[Getter]';
      addItem(items, `${keyText(key)}: ${value}`, indent);
    }
  }

  function writeList(list, length, name, state, indent) {
    const items = newItems();
    const most = length < ITEMS_MOST ? length : ITEMS_MOST;
    for (let i = 0; i < most && state.left > 0; ++i) {
      const found = getOwnPropertyDescriptor(list, i);
      addItem(items, found === undefined ? '<empty>' : 'value' in found
        ? write(found.value, state, `${indent}  `) : '[Getter]', indent);
    }
    if (items.count < length)
      addItem(items, `… ${length - items.count} more`, indent);
    else if (isArray(list))
      addMembers(items, list, state, indent, true);
    return joinItems(`${name}[`, items, ']', indent);
  }

  function writeCollection(object, isMap, state, indent) {
    const items = newItems();
    let count = 0;
    const add = (value, key) => {
      ++count;
      if (items.count >= ITEMS_MOST || state.left <= 0)
        return;
      const text = write(value, state, `${indent}  `);
      addItem(items, isMap ? `${write(key, state, `${indent}  `)} => ${text}` : text, indent);
    };
    (isMap ? mapForEach : setForEach)(object, add);
    if (items.count < count)
      addItem(items, `… ${count - items.count} more`, indent);
    return joinItems(`${isMap ? 'Map' : 'Set'}(${count}) {`, items, '}', indent);
  }

  function writeObject(object, state, indent) {
    if (isArray(object))
      return writeList(object, object.length, '', state, indent);
    if (isError(object))
      return errorText(object);
    const is = (type) => isPrototypeOf(type.prototype, object);
    if (is(Map_))
      return writeCollection(object, true, state, indent);
    if (is(Set_))
      return writeCollection(object, false, state, indent);
    if (is(Date_))
      return dateTime(object) === dateTime(object) ? dateText(object) : 'Invalid Date';
    if (is(RegExp_))
      return regexpText(object);
    if (is(Promise_))
      return 'Promise {}';
    if (is(WeakMap_) || is(WeakSet_))
      return `${className(object)}{}`;
    if (is(ArrayBuffer_))
      return `ArrayBuffer { byteLength: ${bufferSize(object)} }`;
    if (isPrototypeOf(typedArrayPrototype, object))
      return writeList(object, arraySize(object), `${className(object)}(${arraySize(object)}) `, state, indent);
    if (is(Boolean_) || is(Number_))
      return `[${className(object)}${toText(object)}]`;
    const items = newItems();
    addMembers(items, object, state, indent, false);
    return joinItems(`${className(object)}{`, items, '}', indent);
  }

  function write(value, state, indent) {
    const text = writeWhole(value, state, indent);
    state.left -= text.length;
    return text;
  }

  function writeWhole(value, state, indent) {
    switch (typeof value) {
    case 'string': return quote(cut(value, state.left > 0 ? state.left : 0));
    case 'number': return is(value, -0) ? '-0' : `${value}`;
    case 'bigint': return `${cut(toText(value), NAME_MOST)}n`;
    case 'symbol': return cut(symbolText(value), NAME_MOST);
    case 'function': return functionName(value);
    case 'object': break;
    default: return toText(value);
    }
    if (value === null)
      return 'null';
    if (isParent(state.parents, value))
      return '[Circular]';
    if (state.depth >= DEPTH_MOST)
      return isArray(value) ? '[Array]' : '[Object]';
    const parents = state.parents;
    state.parents = { __proto__: null, object: value, next: parents };
    ++state.depth;
    try {
      return writeObject(value, state, indent);
    } catch {
      return '[unreadable]';
    } finally {
      --state.depth;
      state.parents = parents;
    }
  }

  function inspect(value) {
    return cut(write(value, { __proto__: null, left: TEXT_MOST, depth: 0, parents: null }, ''), TEXT_MOST);
  }

  // --- a line of the console ---
  function direct(directive, value) {
    switch (directive) {
    case 's': return typeof value === 'string' ? value : inspect(value);
    case 'd': return typeof value === 'object' ? 'NaN' : typeof value === 'bigint' ? inspect(value) : `${safeNumber(value)}`;
    case 'i': return typeof value === 'bigint' ? inspect(value) : `${Math_trunc(safeNumber(value))}`;
    case 'f': return `${safeNumber(value)}`;
    case 'j': return safeJson(value);
    default: return inspect(value);
    }
  }
  const Math_trunc = Math.trunc;
  function safeNumber(value) {
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? parseNumber(value) : NaN;
  }
  function safeJson(value) {
    try {
      return toText(stringify(value));
    } catch {
      return '[unreadable]';
    }
  }

  // As the consoles of browsers and of Node put their arguments together.
  own.format = function format(values) {
    let text = '', next = 0;
    if (typeof values[0] === 'string' && values.length > 1) {
      const pattern = cut(values[0], TEXT_MOST);
      let from = 0;
      next = 1;
      for (let at = indexOf(pattern, '%'); at >= 0; at = indexOf(pattern, '%', from)) {
        const directive = pattern[at + 1];
        text += slice(pattern, from, at);
        from = at + 2;
        if (directive === '%')
          text += '%';
        else if (directive === 'c' && next < values.length)
          ++next;
        else if (directive !== undefined && indexOf('sdifjoO', directive) >= 0 && next < values.length)
          text += direct(directive, values[next++]);
        else
          text += slice(pattern, at, from);
      }
      text += slice(pattern, from);
    }
    for (; next < values.length && text.length < TEXT_MOST; ++next) {
      const value = values[next];
      text += `${next === 0 ? '' : ' '}${typeof value === 'string' ? cut(value, TEXT_MOST) : inspect(value)}`;
    }
    return cut(text, TEXT_MOST);
  };
  own.inspect = inspect;
  own.errorText = errorText;
  own.cut = cut;
})
