// `context`, the handler's second argument: what each kind of run is given, and what it may ask
// for. What is asked is checked and encoded here, so that mistakes are told where they are made; the
// limits that protect anybody are the server's. The rules for what may be called are in format.js.
(function (own) {
  'use strict';
  const { uncurry, ask, sendCall, isOver, bytesOf } = own;
  const { bytesToBase64 } = own.host;
  const { stringify } = JSON;
  const { isArray } = Array;
  const { freeze, is, defineProperty } = Object, { ceil } = Math;
  const { ownKeys } = Reflect;
  const Error_ = Error, TypeError_ = TypeError, RangeError_ = RangeError;
  const toText = String, isInteger = Number.isInteger, isFinite = Number.isFinite;
  const isPrototypeOf = uncurry(Object.prototype.isPrototypeOf);
  const dateText = uncurry(Date.prototype.toISOString), datePrototype = Date.prototype;
  const dateTime = uncurry(Date.prototype.getTime);
  const { Map: Map_ } = globalThis;
  const includes = uncurry(Array.prototype.includes);
  const charCodeAt = uncurry(String.prototype.charCodeAt), toLowerCase = uncurry(String.prototype.toLowerCase), toUpperCase = uncurry(String.prototype.toUpperCase);
  const mapForEach = uncurry(Map.prototype.forEach);

  const FILE_MOST = 10 * 1024 * 1024; // bytes
  const NOTICES_MOST = 20, NOTICE_MOST = 16 * 1024 /* bytes */, TYPE_MOST = 100, WIDGET_MOST = 192 * 1024, ARRAY_DEPTH_MOST = 6;

  // Fetch standard, "normalize a method".
  const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'];
  const methodName = (text) => (includes(METHODS, toUpperCase(text)) ? toUpperCase(text) : text);

  const resolved = Promise.resolve.bind(Promise), rejected = Promise.reject.bind(Promise);
  // A promise of what f returns, be it one already; it rejects with what f throws. An async function
  // would look for "then".
  const promise = (f) => {
    try {
      return resolved(f());
    } catch (error) {
      return rejected(error);
    }
  };
  const refuse = (name) => async () => {
    throw new Error_(`context.${name} is not offered here`);
  };
  const always = (make) => async () => make();

  function jsonOf(value, what) {
    const json = stringify(value);
    if (json === undefined)
      throw new TypeError_(`${what} cannot be written as JSON`);
    return json;
  }

  function withCode(error, code) {
    return defineProperty(error, 'code', { __proto__: null, value: code, enumerable: true });
  }

  // --- managedDb ---
  function encodeObject(value, name, depth) {
    if (isArray(value))
      return encodeArray(value, name, depth);
    if (isPrototypeOf(datePrototype, value)) {
      if (!isFinite(dateTime(value)))
        throw new TypeError_(`${name} is an invalid Date`);
      return `{"t":"date","v":"${dateText(value)}"}`;
    }
    const bytes = bytesOf(value);
    if (bytes !== null)
      return `{"t":"bytes","v":"${bytesToBase64(bytes)}"}`;
    return `{"t":"json","v":${stringify(jsonOf(value, name))}}`;
  }

  function encodeArray(list, name, depth) {
    if (depth >= ARRAY_DEPTH_MOST)
      throw new TypeError_(`${name} is an array of more than ${ARRAY_DEPTH_MOST} dimensions`);
    let json = '';
    for (let i = 0; i < list.length; ++i)
      json += (i === 0 ? '' : ',') + encode(list[i], name, depth + 1);
    return `{"t":"array","v":[${json}]}`;
  }

  // One parameter, as protocol.h says.
  function encode(value, name, depth) {
    switch (typeof value) {
    case 'undefined': return 'null';
    case 'boolean': return `${value}`;
    case 'number': return !isFinite(value) ? `"${value}"` : is(value, -0) ? '0' : `${value}`;
    case 'string': return stringify(value);
    case 'bigint': return `"${toText(value)}"`;
    case 'object': return value === null ? 'null' : encodeObject(value, name, depth);
    default: throw new TypeError_(`${name} is a ${typeof value}, which no column can hold`);
    }
  }

  function encodeParameters(list) {
    if (list === undefined || list === null)
      return '[]';
    if (!isArray(list))
      throw new TypeError_('context.managedDb.query: the parameters are not an array');
    let json = '';
    for (let i = 0; i < list.length; ++i)
      json += (i === 0 ? '' : ',') + encode(list[i], `context.managedDb.query: $${i + 1}`, 0);
    return `[${json}]`;
  }

  function queryOptions(options) {
    let json = '';
    if (typeof options === 'object' && options !== null) {
      const { timeoutMs, maxRows } = options;
      if (typeof timeoutMs === 'number' && isFinite(timeoutMs))
        json += `"timeoutMs":${timeoutMs}`;
      if (typeof maxRows === 'number' && isFinite(maxRows))
        json += `${json === '' ? '' : ','}"maxRows":${maxRows}`;
    }
    return `{${json}}`;
  }

  function query(run, sql, parameters, options) {
    if (typeof sql !== 'string')
      throw new TypeError_('context.managedDb.query: the first argument is not a string of SQL');
    return ask(run, 'managedDb.query', `,${stringify(sql)},${encodeParameters(parameters)},${queryOptions(options)}`);
  }

  // --- fetch ---
  // Calls add(name, value), both text, for each header in its order.
  function eachHeader(headers, add) {
    if (headers === undefined || headers === null)
      return;
    if (typeof headers !== 'object')
      throw new TypeError_('context.fetch: the headers are not an object');
    if (isPrototypeOf(Map_.prototype, headers)) {
      mapForEach(headers, (value, name) => add(toText(name), toText(value)));
    } else if (isArray(headers)) {
      for (let i = 0; i < headers.length; ++i)
        add(toText(headers[i][0]), toText(headers[i][1]));
    } else {
      const names = ownKeys(headers);
      for (let i = 0; i < names.length; ++i)
        if (typeof names[i] === 'string' && headers[names[i]] !== undefined)
          add(names[i], toText(headers[names[i]]));
    }
  }

  // `type`: of the body, unless the headers name one; or null. Pairs, since a list may name one twice.
  function headersJson(headers, type) {
    let json = '', isTyped = type === null;
    const add = (name, value) => {
      isTyped = isTyped || toLowerCase(name) === 'content-type';
      json += `${json === '' ? '' : ','}[${stringify(name)},${stringify(value)}]`;
    };
    eachHeader(headers, add);
    if (!isTyped)
      add('Content-Type', type);
    return `[${json}]`;
  }

  function isForm(body) {
    const type = own.URLSearchParams; // not made yet when nobody has used it
    return type !== undefined && isPrototypeOf(type.prototype, body);
  }

  function bodyMember(body) {
    if (body === undefined || body === null)
      return '';
    if (typeof body !== 'string' && !isForm(body))
      throw new TypeError_('context.fetch: the body is not a string; write objects with JSON.stringify');
    return `,"body":${stringify(toText(body))}`;
  }

  function fetch(run, url, options) {
    const { method, headers, body } = options ?? {};
    const type = isForm(body) ? 'application/x-www-form-urlencoded;charset=UTF-8' : null;
    const json = `"method":${stringify(method === undefined ? 'GET' : methodName(toText(method)))},"headers":${headersJson(headers, type)}${bodyMember(body)}`;
    return ask(run, 'fetch', `,${stringify(toText(url))},{${json}}`);
  }

  // --- files ---
  function text(value, what) {
    if (typeof value !== 'string')
      throw new TypeError_(`context.files.${what} is not a string`);
    return stringify(value);
  }

  function tooLarge() {
    return withCode(new RangeError_('context.files.upload: a file may have 10 MiB at most'), 'file_too_large');
  }

  // Bytes, or their base64 as text.
  function content(data) {
    const bytes = bytesOf(data);
    if (bytes !== null && bytes.length > FILE_MOST)
      throw tooLarge();
    const encoded = text(bytes !== null ? bytesToBase64(bytes) : data, 'upload: the data (base64)');
    if (encoded.length - 2 > ceil(FILE_MOST / 3) * 4)
      throw tooLarge();
    return encoded;
  }

  function filesOf(run) {
    return {
      upload: (filename, mimeType, data) => promise(() =>
        ask(run, 'files.upload', `,${text(filename, 'upload: the filename')},${text(mimeType, 'upload: the type')},${content(data)}`)),
      list: (filter) => promise(() => ask(run, 'files.list', filter === undefined || filter === null ? '' : `,${text(filter, 'list: the filter')}`)),
      get: (id) => promise(() => ask(run, 'files.get', `,${text(id, 'get: the id')}`)),
      getUrl: (id) => promise(() => ask(run, 'files.getUrl', `,${text(id, 'getUrl: the id')}`)),
      delete: (id) => promise(() => ask(run, 'files.delete', `,${text(id, 'delete: the id')}`)),
    };
  }

  // --- notices and events ---
  // In UTF-8, of what stringify wrote: each half of a pair is 2 of its 4 bytes.
  function hasMoreBytes(json, most) {
    let bytes = json.length;
    if (bytes > most || bytes * 3 <= most)
      return bytes > most;
    for (let i = 0; i < json.length; ++i) {
      const c = charCodeAt(json, i);
      bytes += c < 0x80 ? 0 : c < 0x800 || (c >= 0xd800 && c <= 0xdfff) ? 1 : 2;
    }
    return bytes > most;
  }

  function tell(run, op, json) {
    if (isOver(run))
      throw new Error_(`context.${op}: this run is over`);
    if (hasMoreBytes(json, NOTICE_MOST - 1)) // it travels in brackets, one in the place of a comma
      throw new RangeError_(`context.${op}: the arguments may have ${NOTICE_MOST / 1024} KiB as JSON at most`);
    if (run.notices === NOTICES_MOST)
      throw withCode(new RangeError_(`context.${op}: a run may send ${NOTICES_MOST} notifications and events; this is one more`), 'too_many_notices');
    ++run.notices;
    if (sendCall(run, op, json, null) === 0)
      throw new RangeError_(`context.${op}: the arguments are too large, or nested too deeply`);
    return true;
  }

  function notify(run, message, options) {
    if (typeof message !== 'string')
      throw new TypeError_('context.notify: the message is not a string');
    return tell(run, 'notify', `,${stringify(message)},${options === undefined ? '{}' : jsonOf(options, 'context.notify: the options')}`);
  }

  function streamEvent(run, type, data) {
    if (typeof type !== 'string' || type.length < 1 || type.length > TYPE_MOST)
      throw new TypeError_(`context.streamEvent: the type is not a string of 1 to ${TYPE_MOST} characters`);
    return tell(run, 'streamEvent', `,${stringify(type)},${data === undefined ? '{}' : jsonOf(data, 'context.streamEvent: the data')}`);
  }

  // --- widget ---
  function widgetEvent(run, type, data) {
    const json = data === undefined ? 'null' : jsonOf(data, `context.widget.${type}: the data`);
    if (isOver(run))
      throw new Error_(`context.widget.${type}: this run is over`);
    if (run.widget.length + json.length > WIDGET_MOST)
      throw new RangeError_(`context.widget.${type}: more than ${WIDGET_MOST / 1024} KiB for the widget in one run`);
    run.widget += `${run.widget === '' ? '' : ','}{"type":"${type}","data":${json}}`;
    return true;
  }

  function widgetOf(run) {
    return {
      show: (data) => promise(() => widgetEvent(run, 'show', data)),
      update: (data) => promise(() => widgetEvent(run, 'update', data)),
      hide: () => promise(() => widgetEvent(run, 'hide', undefined)),
    };
  }

  // --- publicApp ---
  // About a form or a range that there is not (205, 206), a proxy (407), or the connection, so that
  // browsers send the request once more (408, 421, 425).
  const NOT_THEIRS = [205, 206, 407, 408, 421, 425];

  function statusMember(status) {
    if (status === undefined)
      return '';
    if (!isInteger(status) || !((status >= 200 && status <= 299) || (status >= 400 && status <= 499)))
      throw new RangeError_('context.publicApp.respond: the status must be 2xx or 4xx');
    if (includes(NOT_THEIRS, status))
      throw new RangeError_(`context.publicApp.respond: the status ${status} is not an app's to set`);
    return `,"status":${status}`;
  }

  function responseHeadersMember(headers) {
    if (headers === undefined || headers === null)
      return '';
    if (typeof headers !== 'object' || isArray(headers))
      throw new TypeError_('context.publicApp.respond: the headers are not an object');
    let json = '';
    const names = ownKeys(headers);
    for (let i = 0; i < names.length; ++i)
      if (typeof names[i] === 'string')
        json += `${json === '' ? '' : ','}${stringify(names[i])}:${stringify(toText(headers[names[i]]))}`;
    return `,"headers":{${json}}`;
  }

  function respond(run, data, options) {
    const check = () => {
      if (isOver(run))
        throw new Error_('context.publicApp.respond: this run is over');
      if (run.answer !== null)
        throw new Error_('context.publicApp.respond was called before; the first answer stands');
    };
    check();
    const { status, headers } = options ?? {};
    const members = statusMember(status) + responseHeadersMember(headers);
    const json = stringify(data);
    check(); // writing it ran the handler's code
    run.answer = { __proto__: null, data: json === undefined ? '' : json, members };
  }

  function publicAppOf(run, given) {
    if (run.kind !== 'public')
      return given ?? null;
    return {
      instanceId: given.instanceId,
      visitorIp: given.visitorIp,
      respond: (data, options) => respond(run, data, options),
    };
  }

  // --- what is not here ---
  const emptyList = always(() => []), no = always(() => false);
  const oauth = freeze({ isConnected: no, fetch: refuse('oauth.fetch'), getConnectionInfo: refuse('oauth.getConnectionInfo') });
  const ai = freeze({ chat: refuse('ai.chat'), analyze: refuse('ai.analyze'), summarize: refuse('ai.summarize'), listModels: emptyList });
  const db = freeze({ query: refuse('db.query') });
  const tasks = freeze({ create: refuse('tasks.create'), list: emptyList, update: refuse('tasks.update'), delete: refuse('tasks.delete') });
  const billing = freeze({ chargeUsage: refuse('billing.chargeUsage') });
  const machine = freeze({ isOnline: no, list: emptyList, execute: refuse('machine.execute') });
  const pdf = freeze({ extractText: refuse('pdf.extractText') });
  const getSessionMetadata = always(() => ({}));
  const updateSessionMetadata = refuse('updateSessionMetadata');

  // All are members of its own: handlers copy it ({ ...context, more }).
  own.makeContext = function makeContext(run, given) {
    let files = null, widget = null; // made when asked for: most runs never do
    return {
      user: given.user,
      actor: given.actor ?? given.user,
      secrets: freeze(given.secrets ?? {}),
      userConfig: given.userConfig ?? {},
      publicApp: publicAppOf(run, given.publicApp),
      managedDb: { query: (sql, parameters, options) => promise(() => query(run, sql, parameters, options)) },
      fetch: (url, options) => promise(() => fetch(run, url, options)),
      notify: (message, options) => promise(() => notify(run, message, options)),
      streamEvent: (type, data) => promise(() => streamEvent(run, type, data)),
      oauth, ai, db, tasks, billing, machine, pdf, getSessionMetadata, updateSessionMetadata,
      get files() { return files ??= filesOf(run); },
      get widget() { return widget ??= widgetOf(run); },
    };
  };
})
