// The runs of the handler's code: how they begin, what they ask for outside the language and get,
// and how they end, each exactly once. The rules for what may be called are in format.js.
(function (own) {
  'use strict';
  const { uncurry, describe, errorText } = own;
  const { send } = own.host;
  const { parse, stringify } = JSON;
  const { apply, ownKeys, getOwnPropertyDescriptor } = Reflect;
  const { defineProperty, preventExtensions, freeze, setPrototypeOf } = Object;
  const Error_ = Error, RangeError_ = RangeError, TypeError_ = TypeError, Promise_ = Promise;
  const indexOf = uncurry(String.prototype.indexOf);
  const Map_ = Map;
  const { get: mapGet, set: mapSet, has: mapHas, delete: mapDelete } = Map.prototype;
  const mapForEach = uncurry(Map.prototype.forEach), mapKeys = uncurry(Map.prototype.keys);
  const nextOf = uncurry(new Map_().keys().next);

  const LOADED_EXPORTS_MOST = 100;
  const REFUSALS_MOST = 100; // that a run which is over is told of: what asks in a loop must not spin
  const BRIDGE = 19, RESULT = 20;
  // How the meta of nearly every result begins.
  const PLAIN = '{"responded":false,"dataError":false,"resultError":false';
  const PLAIN_RESPONDED = '{"responded":true,"dataError":false,"resultError":false';
  // What a run may have unanswered, as protocol.h says: a character has up to 3 bytes in UTF-8.
  const CALLS_MOST = 64, CHARACTERS_MOST = 5 * 1024 * 1024;
  const FAILED = 1, ONE_WAY = 4, TOO_LARGE = 8;

  // What a visitor's payload could be merged into by careless code, and would then be found in all
  // later runs' objects.
  preventExtensions(Object.prototype);

  // A map that inherits from nothing of the handler's: its methods are called as methods, at a third
  // of what an uncurried one costs.
  const mapMethods = freeze(defineProperty(
    { __proto__: null, get: mapGet, set: mapSet, has: mapHas, delete: mapDelete },
    'size', getOwnPropertyDescriptor(Map.prototype, 'size')));
  const ownMap = () => setPrototypeOf(new Map_(), mapMethods);

  const runs = ownMap(); // by id, those that are not over
  let calls = 0, begun = 0;
  let current = null;      // the run whose code is being run, as far as can be told
  let exported = null;     // module.exports at the end of loading
  const handlers = { __proto__: null };

  own.currentRun = () => current;
  own.isOver = (run) => !runs.has(run.id);
  own.ownMap = ownMap;
  own.enterAs = (run) => { current = run; };
  own.newestNumber = () => begun;
  // The run that has lived longest; null: there is none.
  own.oldestRun = () => runs.size === 0 ? null : runs.get(nextOf(mapKeys(runs)).value);
  // Whether it waits for an answer or a time of its own.
  const waits = (run) => run.calls !== null && run.calls.size > run.clocks;
  own.waits = waits;
  // Whether a run is there that waits for none: for another's, or for ever.
  own.isAnyLost = function isAnyLost() {
    let isLost = false;
    mapForEach(runs, (run) => { isLost ||= !waits(run); });
    return isLost;
  };
  // A global of the handler's.
  own.expose = (name, value) => defineProperty(globalThis, name,
    { __proto__: null, value, writable: true, configurable: true, enumerable: false });

  // Globals that are made when one of them is first asked for: a context that never needs them is
  // there sooner. `make` returns them by name, and so does what is returned here.
  own.later = function later(names, make) {
    const replaced = { __proto__: null };
    let made = null;
    const get = () => {
      if (made !== null)
        return made;
      made = make();
      for (let i = 0; i < names.length; ++i)
        if (!(names[i] in replaced))
          own.expose(names[i], made[names[i]]);
      return made;
    };
    for (let i = 0; i < names.length; ++i) {
      const name = names[i];
      defineProperty(globalThis, name, {
        __proto__: null,
        configurable: true,
        enumerable: false,
        get: () => get()[name],
        set(value) {
          replaced[name] = true;
          own.expose(name, value);
        },
      });
    }
    return get;
  };

  // --- asking outside ---
  // Sends a call, `json` being its arguments as JSON, each behind a comma, and returns its number.
  // `answer` has settle(hasFailed, json, text); null: no reply is wanted. 0: it is too large, or nested too deeply.
  own.sendCall = function sendCall(run, op, json, answer) {
    const id = ++calls;
    if (send(BRIDGE, answer === null ? ONE_WAY : 0, id, run.id, `["${op}"${json}]`) !== 0)
      return 0;
    if (answer !== null)
      (run.calls ??= ownMap()).set(id, answer);
    return id;
  };

  function complete(error, json) {
    const details = parse(json);
    const keys = ownKeys(details);
    for (let i = 0; i < keys.length; ++i)
      if (keys[i] !== 'stack')
        defineProperty(error, keys[i], { __proto__: null, value: details[keys[i]],
          writable: true, configurable: true, enumerable: keys[i] !== 'message' });
    return error;
  }

  function withMessage(error, message) {
    defineProperty(error, 'message',
      { __proto__: null, value: message, writable: true, configurable: true, enumerable: false });
    return error;
  }

  // Sends the calls that wait in line, as long as there is room for the next: alone, any is sent.
  function sendWaiting(run) {
    let call;
    while ((call = run.first) !== null && (run.asked === 0 ||
           (run.asked < CALLS_MOST && run.askedCharacters + call.json.length <= CHARACTERS_MOST))) {
      run.first = call.next;
      call.next = null;
      if (own.sendCall(run, call.op, call.json, call) === 0) {
        call.refuse();
        continue;
      }
      ++run.asked;
      run.askedCharacters += call.json.length;
      call.json = '';
    }
  }

  function sendInTurn(run, call) {
    if (run.first === null)
      run.first = call;
    else
      run.last.next = call;
    run.last = call;
    sendWaiting(run);
  }

  function isAnswered(run) {
    if (--run.asked === 0)
      run.askedCharacters = 0; // as the server counts
    sendWaiting(run);
  }

  // A promise of the answer to context.<op>(…). The error it may become is made now, so that its
  // stack shows who asked.
  own.ask = function ask(run, op, json) {
    const error = new Error_();
    return new Promise_((resolve, reject) => {
      if (!runs.has(run.id)) {
        if (++run.refusals <= REFUSALS_MOST)
          reject(withMessage(error, `context.${op}: this run is over`));
        return;
      }
      sendInTurn(run, {
        __proto__: null, op, json, next: null,
        settle(hasFailed, json, text) {
          if (hasFailed) {
            reject(complete(error, json));
            return;
          }
          const value = json === '' ? undefined : parse(json);
          if (text !== undefined)
            value.body = text; // a member of its own already
          resolve(value);
        },
        refuse() {
          reject(withMessage(error, `context.${op}: the arguments are too large, or nested too deeply`));
        },
      });
    });
  };
  own.withMessage = withMessage;

  // --- the end of a run ---
  // Its timers, and what waits for its calls, may be what other runs wait for: a promise kept at the
  // top level. Without other runs nothing of it goes on.
  function forget(run) {
    const { calls, first } = run;
    runs.delete(run.id);
    run.calls = run.first = run.last = null;
    if (calls !== null && runs.size !== 0) { // without calls none waits behind them either
      mapForEach(calls, refuse);
      for (let call = first; call !== null; call = call.next)
        refuse(call);
    }
    if (run.timers !== null || run.clocks !== 0)
      own.leaveTimers(run);
  }

  function refuse(answer) {
    if (answer.op !== undefined)
      answer.settle(true, `{"message":"context.${answer.op}: the run that asked for it is over"}`);
  }

  function sendResult(run, flags, meta, data) {
    const tooLong = send(RESULT, flags, run.id, 0, meta, data);
    if (tooLong === 0)
      forget(run);
    return tooLong;
  }

  function widgetMember(run) {
    return run.widget === '' ? '' : `,"widget":[${run.widget}]`;
  }

  function sendFailure(run, flags, error) {
    const meta = `{"error":${describe(error)}`;
    if (sendResult(run, flags | FAILED, `${meta}${widgetMember(run)}}`, '') !== 0)
      sendResult(run, flags | FAILED, `${meta}}`, '');
  }

  own.fail = function fail(run, error) {
    if (runs.has(run.id))
      sendFailure(run, 0, error);
  };

  // Whether the JSON text is of an object with error: true. Asked of the text, since an object
  // could answer differently each time.
  function saysError(json) {
    return json[0] === '{' && indexOf(json, '"error":true') >= 0 && parse(json).error === true;
  }

  function triggerMember(json) {
    if (json[0] !== '{' || indexOf(json, '"_triggerToolCall":') < 0)
      return '';
    const trigger = parse(json)._triggerToolCall;
    if (trigger === undefined || trigger === null)
      return '';
    if (typeof trigger !== 'object' || typeof trigger.action !== 'string')
      throw new TypeError_('_triggerToolCall must be an object with an action, which is a string');
    return `,"trigger":${stringify(trigger)}`;
  }

  function jsonOf(value) {
    const json = stringify(value);
    return json === undefined ? '' : json;
  }

  function succeed(run, result) {
    if (!runs.has(run.id))
      return;
    current = run;
    try {
      const json = jsonOf(result); // runs the handler's getters and toJSON
      if (!runs.has(run.id))
        return;
      const answer = run.answer;
      const data = answer === null ? json : answer.data;
      const dataError = saysError(data), resultError = answer === null ? dataError : saysError(json);
      let meta = answer === null ? PLAIN : PLAIN_RESPONDED;
      if (dataError || resultError)
        meta = `{"responded":${answer !== null},"dataError":${dataError},"resultError":${resultError}`;
      if (answer !== null && answer.members !== '')
        meta += answer.members;
      if (run.kind !== 'public')
        meta += triggerMember(json);
      if (run.widget !== '')
        meta += widgetMember(run);
      const tooLong = sendResult(run, 0, `${meta}}`, data);
      if (tooLong === 2)
        sendFailure(run, TOO_LARGE, new Error_('The answer is larger than 1 MiB of JSON.'));
      else if (tooLong === 1)
        sendFailure(run, 0, new Error_('What stands beside the answer (headers, widget data, _triggerToolCall) is larger than 256 KiB of JSON.'));
      else if (tooLong === 3)
        sendFailure(run, 0, new RangeError_('The answer, or what stands beside it, is nested deeper than 2,048 levels.'));
    } catch (error) {
      own.fail(run, error);
    }
  }

  // An await is the engine's own: it asks nothing that handler code could have replaced, but for what
  // the handler itself returned.
  async function settle(run, f, input, context) {
    try {
      succeed(run, await apply(f, exported, [input, context]));
    } catch (error) {
      own.fail(run, error);
    }
  }

  // --- what the engine calls ---
  own.load = function load(wrapper, firstLine) {
    own.firstLine = firstLine;
    if (typeof wrapper !== 'function')
      throw new SyntaxError('The code closes more braces than it opens');
    const module = { exports: {} };
    apply(wrapper, module.exports, [module, module.exports]);
    exported = module.exports;
    if ((typeof exported !== 'object' && typeof exported !== 'function') || exported === null ||
        typeof exported.handler !== 'function')
      throw new TypeError_('module.exports.handler is not a function');
    let names = '', count = 0;
    const keys = ownKeys(exported);
    for (let i = 0; i < keys.length; ++i) {
      const key = keys[i];
      if (typeof key !== 'string' || typeof exported[key] !== 'function' || count === LOADED_EXPORTS_MOST)
        continue;
      handlers[key] = exported[key];
      names += `${count++ === 0 ? '' : ','}${stringify(key)}`;
    }
    handlers.handler = exported.handler;
    if (typeof exported.onUpload === 'function')
      handlers.onUpload = exported.onUpload;
    return `{"exports":[${names}]}`;
  };

  own.call = function call(id, json) {
    const run = { __proto__: null, id, kind: '', calls: null, answer: null, widget: '', timers: null, clocks: 0,
      number: ++begun, lines: 0, characters: 0, notices: 0, refusals: 0,
      asked: 0, askedCharacters: 0, first: null, last: null };
    runs.set(id, run);
    current = run;
    try {
      const body = parse(json);
      run.kind = body.context.kind;
      const name = body.export;
      const f = handlers[name];
      if (typeof f !== 'function' && body.isOptional) {
        sendResult(run, 0, '{"responded":false,"dataError":false,"resultError":false,"missing":true}', '');
        return;
      }
      if (typeof f !== 'function')
        throw new TypeError_(`module.exports.${name} is not a function`);
      settle(run, f, body.input, own.makeContext(run, body.context));
    } catch (error) {
      own.fail(run, error);
    }
  };

  own.reply = function reply(id, runId, hasFailed, json, text) {
    const run = runs.get(runId);
    const calls = run !== undefined ? run.calls : null;
    const answer = calls !== null ? calls.get(id) : undefined;
    if (answer === undefined)
      return; // of a run that is over, or to a timer that was cleared
    calls.delete(id);
    current = run;
    if (answer.op !== undefined)
      isAnswered(run);
    answer.settle(hasFailed, json, text);
  };

  own.drop = function drop(id) {
    const run = runs.get(id);
    if (run === undefined)
      return;
    current = run;
    forget(run);
  };

  // Told when nobody has handled a promise's rejection by the time all code has been run.
  own.onRejection = function onRejection(promise, reason) {
    own.log('error', `Unhandled rejection: ${errorText(reason)}`);
  };
})
