// URL and URLSearchParams (url.spec.whatwg.org). The parser is the standard's state machine, a
// function per state, named as there.
(function (own) {
  'use strict';
  const { encode, decode, domainToAscii: mapDomain } = own.host;

  own.later(['URL', 'URLSearchParams'], () => {
    // --- percent encoding ---
    const isControl = (c) => c <= '\x1f' || c > '~';
    const inSet = (more) => (c) => isControl(c) || more.includes(c);
    const fragmentSet = inSet(' "<>`'), querySet = inSet(' "#<>'), specialQuerySet = inSet(' "#<>\'');
    const pathSet = inSet(' "#<>?^`{}'), userinfoSet = inSet(' "#<>?^`{}/:;=@[\\]|');
    const formSet = (c) => !/[A-Za-z0-9*\-._]/.test(c);

    function percent(byte) {
      return `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
    }

    function encodeText(text, isIn) {
      let out = '';
      for (const c of text) {
        if (!isIn(c)) {
          out += c;
          continue;
        }
        const bytes = encode(c);
        for (let i = 0; i < bytes.length; ++i)
          out += percent(bytes[i]);
      }
      return out;
    }

    function decodeText(text) {
      if (!text.includes('%'))
        return text;
      const from = encode(text), to = new Uint8Array(from.length);
      let n = 0;
      for (let i = 0; i < from.length; ++i) {
        const hex = from[i] === 0x25 ? String.fromCharCode(from[i + 1], from[i + 2]) : '';
        if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
          to[n++] = parseInt(hex, 16);
          i += 2;
        } else {
          to[n++] = from[i];
        }
      }
      return decode(to.subarray(0, n), false);
    }

    // --- hosts ---
    const forbiddenHost = /[\0\t\n\r #/:<>?@[\\\]^|]/, forbiddenDomain = /[\0-\x20#%/:<>?@[\\\]^|\x7f]/;

    // null when it is no domain. Names without anything to map need no tables (UTS 46).
    function domainToAscii(domain) {
      const lower = domain.toLowerCase();
      if (/^[\0-\x7f]*$/.test(domain) && !/(^|\.)xn--/.test(lower))
        return lower;
      return mapDomain(domain) ?? null;
    }

    function endsInNumber(host) {
      const parts = host.split('.');
      if (parts.at(-1) === '' && parts.length > 1)
        parts.pop();
      const last = parts.at(-1);
      return /^[0-9]+$/.test(last) || /^0[xX][0-9A-Fa-f]*$/.test(last);
    }

    function ipv4Part(text) {
      if (/^0[xX][0-9A-Fa-f]*$/.test(text))
        return text.length === 2 ? 0 : parseInt(text, 16);
      if (/^0[0-7]+$/.test(text))
        return parseInt(text, 8);
      return /^(0|[1-9][0-9]*)$/.test(text) ? Number(text) : NaN;
    }

    function parseIpv4(host) {
      const parts = host.split('.');
      if (parts.at(-1) === '' && parts.length > 1)
        parts.pop();
      const numbers = parts.map(ipv4Part);
      if (numbers.length > 4 || numbers.some((n) => !(n >= 0)) || numbers.slice(0, -1).some((n) => n > 255) ||
          numbers.at(-1) >= 256 ** (5 - numbers.length))
        return null;
      let address = numbers.at(-1);
      for (let i = 0; i < numbers.length - 1; ++i)
        address += numbers[i] * 256 ** (3 - i);
      return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
    }

    // The last four bytes of an IPv6 address in dotted decimals; null when they are none.
    function embeddedIpv4(text) {
      const parts = text.split('.');
      if (parts.length !== 4 || parts.some((p) => !/^(0|[1-9][0-9]{0,2})$/.test(p) || Number(p) > 255))
        return null;
      const [a, b, c, d] = parts.map(Number);
      return [a * 256 + b, c * 256 + d];
    }

    function ipv6Pieces(text) {
      if (text === '')
        return [];
      const words = text.split(':'), last = words.at(-1);
      let tail = [];
      if (last.includes('.')) {
        tail = embeddedIpv4(last);
        words.pop();
      }
      if (tail === null || words.some((w) => !/^[0-9A-Fa-f]{1,4}$/.test(w)))
        return null;
      return [...words.map((w) => parseInt(w, 16)), ...tail];
    }

    function parseIpv6(text) {
      const halves = text.split('::');
      const pieces = halves.map(ipv6Pieces);
      if (halves.length > 2 || pieces.includes(null) || (halves.length === 2 && halves[0].includes('.')))
        return null;
      if (halves.length === 1)
        return pieces[0].length === 8 ? pieces[0] : null;
      const missing = 8 - pieces[0].length - pieces[1].length;
      return missing >= 1 ? [...pieces[0], ...Array(missing).fill(0), ...pieces[1]] : null;
    }

    // The longest run of two zeroes or more, the first of equals, is left out.
    function ipv6Text(pieces) {
      let start = -1, length = 1;
      for (let i = 0; i < 8; ++i) {
        let n = 0;
        while (i + n < 8 && pieces[i + n] === 0)
          ++n;
        if (n > length) {
          start = i;
          length = n;
        }
      }
      const hex = (list) => list.map((p) => p.toString(16)).join(':');
      return start < 0 ? hex(pieces) : `${hex(pieces.slice(0, start))}::${hex(pieces.slice(start + length))}`;
    }

    // The host as it is written in a URL; null when it is none.
    function parseHost(text, isOpaque) {
      if (text.startsWith('[')) {
        const pieces = text.endsWith(']') ? parseIpv6(text.slice(1, -1)) : null;
        return pieces === null ? null : `[${ipv6Text(pieces)}]`;
      }
      if (isOpaque)
        return forbiddenHost.test(text) ? null : encodeText(text, isControl);
      const host = domainToAscii(decodeText(text));
      if (host === null || host === '' || forbiddenDomain.test(host))
        return null;
      return endsInNumber(host) ? parseIpv4(host) : host;
    }

    // --- URLs as records ---
    const ports = { __proto__: null, 'ftp': 21, 'file': null, 'http': 80, 'https': 443, 'ws': 80, 'wss': 443 };
    const isSpecial = (url) => url.scheme in ports;
    const isAlpha = (c) => c !== undefined && /[A-Za-z]/.test(c);
    const isDrive = (text) => /^[A-Za-z][:|]$/.test(text);
    const startsWithDrive = (chars, at) => isAlpha(chars[at]) && (chars[at + 1] === ':' || chars[at + 1] === '|') &&
      (chars.length - at === 2 || '/\\?#'.includes(chars[at + 2]));
    const isSingleDot = (s) => s === '.' || s.toLowerCase() === '%2e';
    const isDoubleDot = (s) => ['..', '.%2e', '%2e.', '%2e%2e'].includes(s.toLowerCase());

    // `path` is a list of segments, or a string when it is opaque.
    function newUrl() {
      return { scheme: '', username: '', password: '', host: null, port: null, path: [], query: null, fragment: null };
    }

    function shorten(url) {
      if (url.scheme === 'file' && url.path.length === 1 && /^[A-Za-z]:$/.test(url.path[0]))
        return;
      url.path.pop();
    }

    function pathText(url) {
      return typeof url.path === 'string' ? url.path : url.path.map((s) => `/${s}`).join('');
    }

    function hostText(url) {
      return url.host === null ? '' : url.host + (url.port === null ? '' : `:${url.port}`);
    }

    function hrefText(url, hasFragment = true) {
      let text = `${url.scheme}:`;
      if (url.host !== null) {
        const credentials = url.username + (url.password === '' ? '' : `:${url.password}`);
        text += `//${credentials}${credentials === '' ? '' : '@'}${hostText(url)}`;
      } else if (typeof url.path !== 'string' && url.path.length > 1 && url.path[0] === '') {
        text += '/.';
      }
      text += pathText(url) + (url.query === null ? '' : `?${url.query}`);
      return hasFragment && url.fragment !== null ? `${text}#${url.fragment}` : text;
    }

    // --- the parser ---
    const FAIL = 'fail', DONE = 'done';

    // p: {chars, at, url, base, override, buffer, isAtSeen, isInBrackets, isPasswordSeen, state}; each
    // state looks at chars[at] (undefined: the end) and returns FAIL, DONE, or nothing to go on with
    // the next one.
    const states = {
      __proto__: null,
      schemeStart(p, c) {
        if (isAlpha(c)) {
          p.buffer += c.toLowerCase();
          p.state = 'scheme';
        } else if (p.override === null) {
          p.state = 'noScheme';
          --p.at;
        } else {
          return FAIL;
        }
      },
      scheme(p, c) {
        if (c !== undefined && /[A-Za-z0-9+\-.]/.test(c)) {
          p.buffer += c.toLowerCase();
          return;
        }
        if (c === ':')
          return schemeEnds(p);
        if (p.override !== null)
          return FAIL;
        p.buffer = '';
        p.state = 'noScheme';
        p.at = -1;
      },
      noScheme(p, c) {
        const { base, url } = p;
        if (base === null || (typeof base.path === 'string' && c !== '#'))
          return FAIL;
        if (typeof base.path === 'string') {
          Object.assign(url, { scheme: base.scheme, path: base.path, query: base.query, fragment: '' });
          p.state = 'fragment';
          return;
        }
        p.state = base.scheme === 'file' ? 'file' : 'relative';
        --p.at;
      },
      specialRelativeOrAuthority(p, c) {
        if (c === '/' && p.chars[p.at + 1] === '/') {
          p.state = 'specialAuthorityIgnoreSlashes';
          ++p.at;
        } else {
          p.state = 'relative';
          --p.at;
        }
      },
      pathOrAuthority(p, c) {
        p.state = c === '/' ? 'authority' : 'path';
        if (c !== '/')
          --p.at;
      },
      relative(p, c) {
        const { base, url } = p;
        url.scheme = base.scheme;
        if (c === '/' || (isSpecial(url) && c === '\\')) {
          p.state = 'relativeSlash';
          return;
        }
        const { username, password, host, port } = base;
        Object.assign(url, { username, password, host, port, path: [...base.path], query: base.query });
        return afterBase(p, c);
      },
      relativeSlash(p, c) {
        if (isSpecial(p.url) && (c === '/' || c === '\\')) {
          p.state = 'specialAuthorityIgnoreSlashes';
        } else if (c === '/') {
          p.state = 'authority';
        } else {
          const { username, password, host, port } = p.base;
          Object.assign(p.url, { username, password, host, port });
          p.state = 'path';
          --p.at;
        }
      },
      specialAuthoritySlashes(p, c) {
        p.state = 'specialAuthorityIgnoreSlashes';
        if (c === '/' && p.chars[p.at + 1] === '/')
          ++p.at;
        else
          --p.at;
      },
      specialAuthorityIgnoreSlashes(p, c) {
        if (c === '/' || c === '\\')
          return;
        p.state = 'authority';
        --p.at;
      },
      authority(p, c) {
        if (c === '@') {
          const text = p.isAtSeen ? `%40${p.buffer}` : p.buffer;
          p.isAtSeen = true;
          for (const character of text) {
            if (character === ':' && !p.isPasswordSeen)
              p.isPasswordSeen = true;
            else
              p.url[p.isPasswordSeen ? 'password' : 'username'] += encodeText(character, userinfoSet);
          }
          p.buffer = '';
        } else if (endsAuthority(p, c)) {
          if (p.isAtSeen && p.buffer === '')
            return FAIL;
          p.at -= Array.from(p.buffer).length + 1;
          p.buffer = '';
          p.state = 'host';
        } else {
          p.buffer += c;
        }
      },
      host(p, c) {
        const { url } = p;
        if (p.override !== null && url.scheme === 'file') {
          --p.at;
          p.state = 'fileHost';
        } else if (c === ':' && !p.isInBrackets) {
          if (p.buffer === '' || p.override === 'hostname')
            return FAIL;
          if (!takeHost(p))
            return FAIL;
          p.state = 'port';
        } else if (endsAuthority(p, c)) {
          --p.at;
          if (isSpecial(url) && p.buffer === '')
            return FAIL;
          if (p.override !== null && p.buffer === '' && (url.username !== '' || url.password !== '' || url.port !== null))
            return FAIL;
          if (!takeHost(p))
            return FAIL;
          p.state = 'pathStart';
          if (p.override !== null)
            return DONE;
        } else {
          if (c === '[')
            p.isInBrackets = true;
          if (c === ']')
            p.isInBrackets = false;
          p.buffer += c;
        }
      },
      port(p, c) {
        if (c !== undefined && c >= '0' && c <= '9') {
          p.buffer += c;
        } else if (endsAuthority(p, c) || p.override !== null) {
          if (p.buffer !== '') {
            const port = Number(p.buffer);
            if (port > 65535)
              return FAIL;
            p.url.port = port === ports[p.url.scheme] ? null : port;
            p.buffer = '';
            if (p.override !== null)
              return DONE;
          }
          if (p.override !== null)
            return FAIL;
          p.state = 'pathStart';
          --p.at;
        } else {
          return FAIL;
        }
      },
      file(p, c) {
        const { base, url } = p;
        url.scheme = 'file';
        url.host = '';
        if (c === '/' || c === '\\') {
          p.state = 'fileSlash';
        } else if (base !== null && base.scheme === 'file') {
          Object.assign(url, { host: base.host, path: [...base.path], query: base.query });
          if (c !== undefined && c !== '?' && c !== '#' && startsWithDrive(p.chars, p.at)) {
            url.query = null;
            url.path = [];
            p.state = 'path';
            --p.at;
            return;
          }
          return afterBase(p, c);
        } else {
          p.state = 'path';
          --p.at;
        }
      },
      fileSlash(p, c) {
        if (c === '/' || c === '\\') {
          p.state = 'fileHost';
          return;
        }
        if (p.base !== null && p.base.scheme === 'file') {
          p.url.host = p.base.host;
          if (!startsWithDrive(p.chars, p.at) && p.base.path.length > 0 && /^[A-Za-z]:$/.test(p.base.path[0]))
            p.url.path.push(p.base.path[0]);
        }
        p.state = 'path';
        --p.at;
      },
      fileHost(p, c) {
        if (c !== undefined && !'/\\?#'.includes(c)) {
          p.buffer += c;
          return;
        }
        --p.at;
        if (p.override === null && isDrive(p.buffer)) {
          p.state = 'path'; // a drive's letter, and not a host
          return;
        }
        const host = p.buffer === '' ? '' : parseHost(p.buffer, false);
        if (host === null)
          return FAIL;
        p.url.host = host === 'localhost' ? '' : host;
        if (p.override !== null)
          return DONE;
        p.buffer = '';
        p.state = 'pathStart';
      },
      pathStart(p, c) {
        const { url } = p;
        if (isSpecial(url)) {
          p.state = 'path';
          if (c !== '/' && c !== '\\')
            --p.at;
        } else if (p.override === null && c === '?') {
          url.query = '';
          p.state = 'query';
        } else if (p.override === null && c === '#') {
          url.fragment = '';
          p.state = 'fragment';
        } else if (c !== undefined) {
          p.state = 'path';
          if (c !== '/')
            --p.at;
        } else if (p.override !== null && url.host === null) {
          url.path.push('');
        }
      },
      path(p, c) {
        const { url } = p;
        const isSlash = c === '/' || (isSpecial(url) && c === '\\');
        if (c !== undefined && !isSlash && (p.override !== null || (c !== '?' && c !== '#'))) {
          p.buffer += encodeText(c, pathSet);
          return;
        }
        segmentEnds(p, isSlash);
        p.buffer = '';
        if (c === '?') {
          url.query = '';
          p.state = 'query';
        }
        if (c === '#') {
          url.fragment = '';
          p.state = 'fragment';
        }
      },
      opaquePath(p, c) {
        if (c === '?' || c === '#') {
          p.url[c === '?' ? 'query' : 'fragment'] = '';
          p.state = c === '?' ? 'query' : 'fragment';
        } else if (c === ' ') {
          const next = p.chars[p.at + 1];
          p.url.path += next === '?' || next === '#' ? '%20' : ' ';
        } else if (c !== undefined) {
          p.url.path += encodeText(c, isControl);
        }
      },
      query(p, c) {
        if (c !== undefined && (c !== '#' || p.override !== null)) {
          p.buffer += c;
          return;
        }
        p.url.query += encodeText(p.buffer, isSpecial(p.url) ? specialQuerySet : querySet);
        p.buffer = '';
        if (c === '#') {
          p.url.fragment = '';
          p.state = 'fragment';
        }
      },
      fragment(p, c) {
        if (c !== undefined)
          p.url.fragment += encodeText(c, fragmentSet);
      },
    };

    function endsAuthority(p, c) {
      return c === undefined || c === '/' || c === '?' || c === '#' || (isSpecial(p.url) && c === '\\');
    }

    function takeHost(p) {
      const host = p.buffer === '' ? '' : parseHost(p.buffer, !isSpecial(p.url));
      if (host === null)
        return false;
      p.url.host = host;
      p.buffer = '';
      return true;
    }

    function schemeEnds(p) {
      const { url } = p;
      if (p.override !== null) {
        if ((url.scheme in ports) !== (p.buffer in ports) ||
            (p.buffer === 'file' && (url.username !== '' || url.password !== '' || url.port !== null)) ||
            (url.scheme === 'file' && url.host === ''))
          return DONE;
        url.scheme = p.buffer;
        if (url.port === ports[url.scheme])
          url.port = null;
        return DONE;
      }
      url.scheme = p.buffer;
      p.buffer = '';
      if (url.scheme === 'file') {
        p.state = 'file';
      } else if (isSpecial(url)) {
        p.state = p.base !== null && p.base.scheme === url.scheme ? 'specialRelativeOrAuthority' : 'specialAuthoritySlashes';
      } else if (p.chars[p.at + 1] === '/') {
        p.state = 'pathOrAuthority';
        ++p.at;
      } else {
        url.path = '';
        p.state = 'opaquePath';
      }
    }

    // What follows when the URL begins as its base does.
    function afterBase(p, c) {
      const { url } = p;
      if (c === '?') {
        url.query = '';
        p.state = 'query';
      } else if (c === '#') {
        url.fragment = '';
        p.state = 'fragment';
      } else if (c !== undefined) {
        url.query = null;
        shorten(url);
        p.state = 'path';
        --p.at;
      }
    }

    function segmentEnds(p, isSlash) {
      const { url } = p;
      if (isDoubleDot(p.buffer)) {
        shorten(url);
        if (!isSlash)
          url.path.push('');
      } else if (isSingleDot(p.buffer)) {
        if (!isSlash)
          url.path.push('');
      } else {
        if (url.scheme === 'file' && url.path.length === 0 && isDrive(p.buffer))
          p.buffer = `${p.buffer[0]}:`;
        url.path.push(p.buffer);
      }
    }

    // With an override, `url` is changed from that state on and null means that it was not.
    function run(text, base, url, state, override) {
      const chars = Array.from(text.replace(/[\t\n\r]/g, ''));
      const p = { chars, at: 0, url, base, override, buffer: '', isAtSeen: false, isInBrackets: false,
        isPasswordSeen: false, state };
      for (; ; ++p.at) {
        const c = p.chars[p.at];
        const outcome = states[p.state](p, c);
        if (outcome === FAIL)
          return null;
        if (outcome === DONE || (c === undefined && p.at >= chars.length))
          return url;
      }
    }

    function parse(text, base) {
      return run(text.toWellFormed().replace(/^[\0-\x20]+|[\0-\x20]+$/g, ''), base, newUrl(), 'schemeStart', null);
    }

    // --- application/x-www-form-urlencoded ---
    function parseForm(text) {
      const list = [];
      for (const part of text.split('&')) {
        if (part === '')
          continue;
        const equals = part.indexOf('=');
        const name = equals < 0 ? part : part.slice(0, equals), value = equals < 0 ? '' : part.slice(equals + 1);
        list.push([decodeText(name.replaceAll('+', ' ')), decodeText(value.replaceAll('+', ' '))]);
      }
      return list;
    }

    function formText(list) {
      const coded = (text) => encodeText(text, (c) => c !== ' ' && formSet(c)).replaceAll(' ', '+');
      return list.map(([name, value]) => `${coded(name)}=${coded(value)}`).join('&');
    }

    const wellFormed = (value) => `${value}`.toWellFormed();

    function pairsOf(init) {
      if (init === undefined || init === null)
        return [];
      if (typeof init !== 'object' && typeof init !== 'function') {
        const text = wellFormed(init);
        return parseForm(text.startsWith('?') ? text.slice(1) : text);
      }
      if (init[Symbol.iterator] === undefined || init[Symbol.iterator] === null) {
        const found = new Map();
        for (const name of Reflect.ownKeys(init))
          if (Object.getOwnPropertyDescriptor(init, name)?.enumerable)
            found.set(wellFormed(name), wellFormed(init[name]));
        return [...found];
      }
      return Array.from(init, (entry) => {
        const pair = typeof entry === 'object' && entry !== null ? [...entry] : [];
        if (pair.length !== 2)
          throw new TypeError('URLSearchParams: each entry must be a pair of a name and a value');
        return pair.map(wellFormed);
      });
    }

    let linkParams, replaceParams; // what URL alone may do with its searchParams
    class URLSearchParams {
      #list; #onChange = null;
      static {
        linkParams = (params, onChange) => { params.#onChange = onChange; };
        replaceParams = (params, query) => { params.#list = parseForm(query); };
      }
      constructor(init) {
        this.#list = pairsOf(init);
      }
      #changed() {
        if (this.#onChange !== null)
          this.#onChange(formText(this.#list));
      }
      #need(given, wanted) {
        if (given < wanted)
          throw new TypeError(`URLSearchParams: ${wanted === 1 ? 'a name is' : 'a name and a value are'} needed`);
      }
      get size() { return this.#list.length; }
      append(name, value) {
        this.#need(arguments.length, 2);
        this.#list.push([wellFormed(name), wellFormed(value)]);
        this.#changed();
      }
      delete(name, value) {
        this.#need(arguments.length, 1);
        const n = wellFormed(name), v = value === undefined ? undefined : wellFormed(value);
        this.#list = this.#list.filter((pair) => pair[0] !== n || (v !== undefined && pair[1] !== v));
        this.#changed();
      }
      get(name) {
        this.#need(arguments.length, 1);
        const n = wellFormed(name);
        return this.#list.find((pair) => pair[0] === n)?.[1] ?? null;
      }
      getAll(name) {
        this.#need(arguments.length, 1);
        const n = wellFormed(name);
        return this.#list.filter((pair) => pair[0] === n).map((pair) => pair[1]);
      }
      has(name, value) {
        this.#need(arguments.length, 1);
        const n = wellFormed(name), v = value === undefined ? undefined : wellFormed(value);
        return this.#list.some((pair) => pair[0] === n && (v === undefined || pair[1] === v));
      }
      set(name, value) {
        this.#need(arguments.length, 2);
        const n = wellFormed(name), v = wellFormed(value);
        const first = this.#list.find((pair) => pair[0] === n);
        if (first === undefined)
          this.#list.push([n, v]);
        else
          first[1] = v;
        this.#list = this.#list.filter((pair) => pair === first || pair[0] !== n || first === undefined);
        this.#changed();
      }
      sort() {
        this.#list.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
        this.#changed();
      }
      forEach(f, self) {
        for (let i = 0; i < this.#list.length; ++i)
          f.call(self, this.#list[i][1], this.#list[i][0], this);
      }
      *entries() {
        for (let i = 0; i < this.#list.length; ++i)
          yield [this.#list[i][0], this.#list[i][1]];
      }
      *keys() {
        for (let i = 0; i < this.#list.length; ++i)
          yield this.#list[i][0];
      }
      *values() {
        for (let i = 0; i < this.#list.length; ++i)
          yield this.#list[i][1];
      }
      [Symbol.iterator]() { return this.entries(); }
      toString() { return formText(this.#list); }
      get [Symbol.toStringTag]() { return 'URLSearchParams'; }
    }

    // --- URL ---
    function parseWithBase(text, base) {
      const baseUrl = base === undefined ? null : parse(`${base}`, null);
      return base !== undefined && baseUrl === null ? null : parse(`${text}`, baseUrl);
    }

    class URL {
      #url; #params = null;

      constructor(text, base) {
        if (arguments.length === 0)
          throw new TypeError('URL: an argument is missing');
        this.#url = parseWithBase(text, base);
        if (this.#url === null)
          throw Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL', input: `${text}` });
      }
      static canParse(text, base) {
        return parseWithBase(text, base) !== null;
      }
      static parse(text, base) {
        return URL.canParse(text, base) ? new URL(text, base) : null;
      }

      #set(text, state, override) {
        const url = { ...this.#url, path: typeof this.#url.path === 'string' ? this.#url.path : [...this.#url.path] };
        if (run(`${text}`.toWellFormed(), null, url, state, override) !== null)
          this.#url = url;
      }
      #canHaveCredentials() {
        return this.#url.host !== null && this.#url.host !== '' && this.#url.scheme !== 'file';
      }

      get href() { return hrefText(this.#url); }
      set href(text) {
        const url = parse(`${text}`, null);
        if (url === null)
          throw new TypeError('Invalid URL');
        this.#url = url;
        if (this.#params !== null)
          replaceParams(this.#params, url.query ?? '');
      }
      get origin() {
        const { scheme, path } = this.#url;
        if (scheme === 'blob') {
          const inner = typeof path === 'string' ? parse(path, null) : null;
          return inner !== null && /^https?$/.test(inner.scheme) ? `${inner.scheme}://${hostText(inner)}` : 'null';
        }
        return isSpecial(this.#url) && scheme !== 'file' ? `${scheme}://${hostText(this.#url)}` : 'null';
      }
      get protocol() { return `${this.#url.scheme}:`; }
      set protocol(text) { this.#set(`${text}:`, 'schemeStart', 'protocol'); }
      get username() { return this.#url.username; }
      set username(text) {
        if (this.#canHaveCredentials())
          this.#url.username = encodeText(wellFormed(text), userinfoSet);
      }
      get password() { return this.#url.password; }
      set password(text) {
        if (this.#canHaveCredentials())
          this.#url.password = encodeText(wellFormed(text), userinfoSet);
      }
      get host() { return hostText(this.#url); }
      set host(text) {
        if (typeof this.#url.path !== 'string')
          this.#setHost(text, 'host');
      }
      get hostname() { return this.#url.host ?? ''; }
      set hostname(text) {
        if (typeof this.#url.path !== 'string')
          this.#setHost(text, 'hostname');
      }
      // A host that is right stands even when the port behind it is not.
      #setHost(text, override) {
        const url = { ...this.#url, path: [...this.#url.path] };
        const before = url.host;
        if (run(`${text}`.toWellFormed(), null, url, 'host', override) !== null || (override === 'host' && url.host !== before))
          this.#url = url;
      }
      get port() { return this.#url.port === null ? '' : `${this.#url.port}`; }
      set port(text) {
        if (!this.#canHaveCredentials())
          return;
        if (`${text}` === '')
          this.#url.port = null;
        else
          this.#set(text, 'port', 'port');
      }
      get pathname() { return pathText(this.#url); }
      set pathname(text) {
        if (typeof this.#url.path === 'string')
          return;
        this.#url.path = [];
        this.#set(text, 'pathStart', 'pathname');
      }
      get search() { return this.#url.query === null || this.#url.query === '' ? '' : `?${this.#url.query}`; }
      set search(text) {
        const query = `${text}`;
        this.#url.query = query === '' ? null : '';
        if (query !== '')
          this.#set(query.startsWith('?') ? query.slice(1) : query, 'query', 'search');
        if (this.#params !== null)
          replaceParams(this.#params, this.#url.query ?? '');
      }
      get searchParams() {
        if (this.#params === null) {
          this.#params = new URLSearchParams();
          replaceParams(this.#params, this.#url.query ?? '');
          linkParams(this.#params, (query) => { this.#url.query = query === '' ? null : query; });
        }
        return this.#params;
      }
      get hash() { return this.#url.fragment === null || this.#url.fragment === '' ? '' : `#${this.#url.fragment}`; }
      set hash(text) {
        const fragment = `${text}`;
        this.#url.fragment = fragment === '' ? null : '';
        if (fragment !== '')
          this.#set(fragment.startsWith('#') ? fragment.slice(1) : fragment, 'fragment', 'hash');
      }
      toString() { return this.href; }
      toJSON() { return this.href; }
      get [Symbol.toStringTag]() { return 'URL'; }
    }

    own.URLSearchParams = URLSearchParams;
    return { URL, URLSearchParams };
  });
})
