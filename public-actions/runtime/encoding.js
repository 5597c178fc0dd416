// Bytes and text: TextEncoder, TextDecoder (encoding.spec.whatwg.org), atob, btoa. The work is done
// in C (web.h). UTF-8, UTF-16LE and windows-1252 are known, the last under its many names.
//
// This file and the other ones for the web's functions may call what handler code can replace: it
// would break its own functions only, since nothing here knows of runs or frames. bytesOf is the
// exception.
(function (own) {
  'use strict';
  const { uncurry, expose, exception } = own;
  const { encode, decode, incomplete, toBase64, fromBase64 } = own.host;
  const { ArrayBuffer: ArrayBuffer_, Uint8Array: Uint8Array_ } = globalThis;
  const { isView } = ArrayBuffer_;
  const isPrototypeOf = uncurry(Object.prototype.isPrototypeOf);
  const getter = (object, key) => uncurry(Object.getOwnPropertyDescriptor(object, key).get);
  const arrayPrototype = Object.getPrototypeOf(Uint8Array.prototype);
  const arrayBuffer = getter(arrayPrototype, 'buffer'), arraySize = getter(arrayPrototype, 'byteLength');
  const arrayOffset = getter(arrayPrototype, 'byteOffset');
  const viewBuffer = getter(DataView.prototype, 'buffer'), viewSize = getter(DataView.prototype, 'byteLength');
  const viewOffset = getter(DataView.prototype, 'byteOffset');

  // The bytes of an ArrayBuffer or of a view of one, as a Uint8Array over the same memory; null for
  // anything else.
  own.bytesOf = function bytesOf(value) {
    if (typeof value !== 'object' || value === null)
      return null;
    if (!isView(value))
      return isPrototypeOf(ArrayBuffer_.prototype, value) ? new Uint8Array_(value) : null;
    if (isPrototypeOf(arrayPrototype, value))
      return new Uint8Array_(arrayBuffer(value), arrayOffset(value), arraySize(value));
    return new Uint8Array_(viewBuffer(value), viewOffset(value), viewSize(value));
  };

  // --- base64 ---
  expose('btoa', function btoa(text) {
    if (arguments.length === 0)
      throw new TypeError('btoa: an argument is missing');
    const coded = toBase64(`${text}`);
    if (coded === undefined)
      throw exception('btoa: the text has characters beyond U+00FF; encode it to bytes first', 'InvalidCharacterError');
    return coded;
  });
  expose('atob', function atob(text) {
    if (arguments.length === 0)
      throw new TypeError('atob: an argument is missing');
    const plain = fromBase64(`${text}`);
    if (plain === undefined)
      throw exception('atob: the text is not base64', 'InvalidCharacterError');
    return plain;
  });

  own.later(['TextEncoder', 'TextDecoder'], () => {
    // --- encoding ---
    class TextEncoder {
      get encoding() { return 'utf-8'; }
      encode(text = '') { return encode(`${text}`); }
      // Whole characters only, as many as fit.
      encodeInto(text, to) {
        if (!(to instanceof Uint8Array))
          throw new TypeError('encodeInto: the second argument is not a Uint8Array');
        let read = 0, written = 0;
        for (const character of `${text}`) {
          const bytes = encode(character);
          if (written + bytes.length > to.length)
            break;
          to.set(bytes, written);
          written += bytes.length;
          read += character.length;
        }
        return { read, written };
      }
      get [Symbol.toStringTag]() { return 'TextEncoder'; }
    }

    // --- decoding ---
    const names = { __proto__: null };
    const name = (encoding, labels) => labels.split(' ').forEach((label) => { names[label] = encoding; });
    name('utf-8', 'utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8');
    name('utf-16le', 'utf-16le utf-16 ucs-2 unicode unicodefeff iso-10646-ucs-2 csunicode');
    name('windows-1252', 'windows-1252 latin1 iso-8859-1 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 iso-ir-100 l1 ' +
      'ascii us-ascii ansi_x3.4-1968 cp1252 cp819 csisolatin1 ibm819 x-cp1252');

    // What windows-1252 has at 0x80 to 0x9f.
    const windows = '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f' +
      '\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

    function textOf(bytes, character) {
      let text = '';
      for (const byte of bytes)
        text += character(byte);
      return text;
    }

    function decodeUtf16(bytes) {
      let text = '';
      for (let i = 0; i + 1 < bytes.length; i += 2)
        text += String.fromCharCode(bytes[i] | bytes[i + 1] << 8);
      return bytes.length % 2 === 0 ? text : `${text}\ud800`; // a byte too many is an error, as is a lone surrogate
    }

    // How many bytes at the end wait for more.
    function pendingUtf16(bytes) {
      const odd = bytes.length % 2, last = bytes.length - odd - 1;
      return last > 0 && (bytes[last] & 0xfc) === 0xd8 ? odd + 2 : odd;
    }

    class TextDecoder {
      #encoding; #isFatal; #ignoresMark;
      #waiting = new Uint8Array(0); // the beginning of a character
      #isAtStart = true;

      constructor(label = 'utf-8', options = {}) {
        const encoding = names[`${label}`.trim().toLowerCase()];
        if (encoding === undefined)
          throw new RangeError(`TextDecoder: the encoding "${label}" is not offered`);
        this.#encoding = encoding;
        this.#isFatal = Boolean(options?.fatal);
        this.#ignoresMark = Boolean(options?.ignoreBOM);
      }
      get encoding() { return this.#encoding; }
      get fatal() { return this.#isFatal; }
      get ignoreBOM() { return this.#ignoresMark; }

      decode(input, options) {
        let bytes = input === undefined ? new Uint8Array(0) : own.bytesOf(input);
        if (bytes === null)
          throw new TypeError('TextDecoder: the input is neither an ArrayBuffer nor a view of one');
        const isLast = !options?.stream;
        if (this.#waiting.length !== 0) {
          const whole = new Uint8Array(this.#waiting.length + bytes.length);
          whole.set(this.#waiting);
          whole.set(bytes, this.#waiting.length);
          bytes = whole;
        }
        const wait = isLast ? 0 : this.#pending(bytes);
        this.#waiting = bytes.slice(bytes.length - wait);
        const text = this.#text(bytes.subarray(0, bytes.length - wait));
        const hasMark = this.#isAtStart && !this.#ignoresMark && this.#encoding !== 'windows-1252' && text[0] === '\ufeff';
        this.#isAtStart = isLast || (this.#isAtStart && text === '');
        return hasMark ? text.slice(1) : text;
      }

      #pending(bytes) {
        if (this.#encoding === 'utf-8')
          return incomplete(bytes);
        return this.#encoding === 'utf-16le' ? pendingUtf16(bytes) : 0;
      }

      #text(bytes) {
        if (this.#encoding === 'windows-1252')
          return textOf(bytes, (b) => (b >= 0x80 && b < 0xa0 ? windows[b - 0x80] : String.fromCharCode(b)));
        let text = this.#encoding === 'utf-8' ? decode(bytes, this.#isFatal) : decodeUtf16(bytes);
        if (text !== undefined && this.#encoding === 'utf-16le')
          text = this.#isFatal && !text.isWellFormed() ? undefined : text.toWellFormed();
        if (text === undefined) {
          this.#waiting = new Uint8Array(0);
          this.#isAtStart = true;
          throw new TypeError(`TextDecoder: the bytes are not ${this.#encoding}`);
        }
        return text;
      }
      get [Symbol.toStringTag]() { return 'TextDecoder'; }
    }
    return { TextEncoder, TextDecoder };
  });
})
