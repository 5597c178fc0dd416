// setTimeout and its like. The clock is the server's: a timer is a call that it answers when the
// time has come.
(function (own) {
  'use strict';
  const { uncurry, sendCall, currentRun, isOver, fail, expose } = own;
  const { apply } = Reflect;
  const { parse } = JSON;
  const Error_ = Error, TypeError_ = TypeError, toNumber = Number, floor = Math.floor;
  const Map_ = Map, mapGet = uncurry(Map.prototype.get), mapSet = uncurry(Map.prototype.set);
  const mapDelete = uncurry(Map.prototype.delete);
  const resolved = Promise.resolve.bind(Promise), then = uncurry(Promise.prototype.then);

  const DELAY_MOST = 2147483647;
  let numbers = 0; // by which the handler knows its timers

  function runCallback(run, f, values) {
    try {
      apply(f, undefined, values);
    } catch (error) {
      if (run === null)
        throw error; // while loading: told as a rejection that nobody handled
      fail(run, error);
    }
  }

  function arm(timer) {
    const answer = {
      __proto__: null,
      settle(hasFailed, json) {
        if (!timer.isSet)
          return;
        if (hasFailed || !timer.repeats)
          forget(timer);
        if (hasFailed) { // the server has no room for it; its time has not come
          fail(timer.run, new Error_(parse(json).message));
          return;
        }
        runCallback(timer.run, timer.f, timer.values);
        if (timer.isSet && !isOver(timer.run))
          arm(timer);
      },
    };
    timer.call = sendCall(timer.run, 'timer', `,${timer.delay}`, answer);
  }

  function forget(timer) {
    timer.isSet = false;
    mapDelete(timer.run.timers, timer.number);
  }

  function set(name, f, delay, values, repeats) {
    const run = currentRun();
    if (typeof f !== 'function')
      throw new TypeError_(`${name}: the first argument is not a function`);
    if (run === null)
      throw new Error_(`${name} cannot be used while the handler is being loaded: no run has begun`);
    let ms = floor(toNumber(delay));
    if (!(ms >= 1 && ms <= DELAY_MOST))
      ms = 1; // as Node has it, NaN and what is too long alike
    const timer = { __proto__: null, number: ++numbers, run, f, delay: ms, values, repeats, isSet: true, call: 0 };
    if (!isOver(run)) {
      if (run.timers === null)
        run.timers = new Map_();
      mapSet(run.timers, timer.number, timer);
      arm(timer);
    }
    return timer.number;
  }

  // A run clears its own timers; other runs' numbers mean nothing to it.
  function clear(number) {
    const run = currentRun();
    const timer = run !== null && run.timers !== null ? mapGet(run.timers, number) : undefined;
    if (timer === undefined)
      return;
    forget(timer);
    if (run.calls !== null)
      run.calls.delete(timer.call);
  }

  expose('setTimeout', function setTimeout(f, delay, ...values) {
    return set('setTimeout', f, delay, values, false);
  });
  expose('setInterval', function setInterval(f, delay, ...values) {
    return set('setInterval', f, delay, values, true);
  });
  expose('clearTimeout', function clearTimeout(number) {
    clear(number);
  });
  expose('clearInterval', function clearInterval(number) {
    clear(number);
  });
  expose('queueMicrotask', function queueMicrotask(f) {
    const run = currentRun();
    if (typeof f !== 'function')
      throw new TypeError_('queueMicrotask: the argument is not a function');
    then(resolved(), () => runCallback(run, f, []));
  });
})
