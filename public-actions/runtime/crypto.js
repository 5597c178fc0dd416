// crypto: random values and digests (w3.org/TR/webcrypto); keys are not offered.
(function (own) {
  'use strict';
  own.later(['crypto'], () => {
    const { bytesOf, exception } = own;
    const { random, digest } = own.host;

    const RANDOM_MOST = 65536;
    const digests = { __proto__: null, 'SHA-1': 1, 'SHA-256': 256, 'SHA-384': 384, 'SHA-512': 512 };
    const integers = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
      BigInt64Array, BigUint64Array];
    const hex = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

    class SubtleCrypto {
      async digest(algorithm, data) {
        const name = `${typeof algorithm === 'object' && algorithm !== null ? algorithm.name : algorithm}`.toUpperCase();
        const bits = digests[name];
        if (bits === undefined)
          throw exception(`crypto.subtle.digest: "${name}" is not offered`, 'NotSupportedError');
        const bytes = bytesOf(data);
        if (bytes === null)
          throw new TypeError('crypto.subtle.digest: the data is neither an ArrayBuffer nor a view of one');
        return digest(bits, bytes).buffer;
      }
      get [Symbol.toStringTag]() { return 'SubtleCrypto'; }
    }

    class Crypto {
      get subtle() { return subtle; }
      getRandomValues(array) {
        if (!integers.some((type) => array instanceof type))
          throw exception('crypto.getRandomValues: not an array of integers', 'TypeMismatchError');
        if (array.byteLength > RANDOM_MOST)
          throw exception(`crypto.getRandomValues: more than ${RANDOM_MOST} bytes`, 'QuotaExceededError');
        random(bytesOf(array));
        return array;
      }
      randomUUID() {
        const b = random(new Uint8Array(16));
        b[6] = b[6] & 0x0f | 0x40;
        b[8] = b[8] & 0x3f | 0x80;
        let text = '';
        for (let i = 0; i < 16; ++i)
          text += (i === 4 || i === 6 || i === 8 || i === 10 ? '-' : '') + hex[b[i]];
        return text;
      }
      get [Symbol.toStringTag]() { return 'Crypto'; }
    }
    const subtle = new SubtleCrypto();
    return { crypto: new Crypto() };
  });
})
