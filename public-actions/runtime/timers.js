// setTimeout and its like. The clock is the server's: a timer is a call that it answers when the
// time has come. Those of a run that is over go on as long as any run lives, since another one may
// wait for them; one call of a run that lives stands for them all.
(function (own) {
  'use strict';
  const { uncurry, sendCall, currentRun, enterAs, isOver, oldestRun, newestNumber, waits, isAnyLost, ownMap, fail, expose, errorText } = own;
  const { apply } = Reflect;
  const { parse } = JSON;
  const Error_ = Error, TypeError_ = TypeError, toNumber = Number, { floor, max, min } = Math, { now } = Date;
  const mapForEach = uncurry(Map.prototype.forEach), mapKeys = uncurry(Map.prototype.keys);
  const nextOf = uncurry(new Map().keys().next);
  const resolved = Promise.resolve.bind(Promise), then = uncurry(Promise.prototype.then);

  const DELAY_MOST = 2147483647, TIMERS_MOST = 1000;
  const CLOCKS_MOST = 64; // of one run at once: the server has room for them beside the run's own
  let numbers = 0; // by which the handler knows its timers

  // What a run sets behind a promise of several counts as another's. So an exception fails the run only
  // if it waits for nothing else, or if no other can be the one that the timer was for.
  function mayBeAnothers(run) {
    return waits(run) && isAnyLost();
  }

  function runCallback(run, f, values) {
    try {
      apply(f, undefined, values);
    } catch (error) {
      if (run === null)
        throw error; // while loading: told as a rejection that nobody handled
      if (isOver(run))
        own.log('error', `In a run that is over: ${errorText(error)}`);
      else if (mayBeAnothers(run))
        own.log('error', `In a timer of this run, or of one that waited with it: ${errorText(error)}`);
      else
        fail(run, error);
    }
  }

  // Its time has come.
  function fire(timer) {
    if (!timer.repeats)
      forget(timer);
    runCallback(timer.run, timer.f, timer.values);
    if (!timer.isSet)
      return;
    timer.due = max(timer.due, now()) + timer.delay;
    if (!isOver(timer.run))
      arm(timer);
  }

  function arm(timer) {
    const answer = {
      __proto__: null,
      settle(hasFailed, json) {
        if (!timer.isSet)
          return;
        if (!hasFailed) {
          fire(timer);
          return;
        }
        forget(timer); // the server has no room for it; its time has not come
        fail(timer.run, new Error_(parse(json).message));
      },
    };
    timer.call = sendCall(timer.run, 'timer', `,${timer.delay}`, answer);
  }

  function forget(timer) {
    timer.isSet = false;
    (isOver(timer.run) ? left : timer.run.timers).delete(timer.number);
  }

  // --- timers of runs that are over ---
  const left = ownMap(); // those that were left longest first
  let clock = null;      // {run, due}: of the calls that are out for them, the one that is due first

  function leave(timer) {
    if (left.size === TIMERS_MOST)
      forget(left.get(nextOf(mapKeys(left)).value));
    timer.newest = newestNumber();
    left.set(timer.number, timer);
  }

  // One that repeats goes on for those only that were there with its run: else each run's would add
  // to all of those before it.
  function isWanted(timer, oldest) {
    return oldest !== null && (!timer.repeats || oldest.number <= timer.newest);
  }

  // Asks for the time when the first is due.
  function wind() {
    const oldest = oldestRun();
    let due = Infinity;
    mapForEach(left, (timer) => {
      if (isWanted(timer, oldest))
        due = min(due, timer.due);
      else
        forget(timer);
    });
    if (left.size === 0 || oldest.clocks === CLOCKS_MOST ||
        (clock !== null && !isOver(clock.run) && clock.due <= due))
      return;
    const mine = clock = { __proto__: null, run: oldest, due };
    oldest.clocks += 1;
    sendCall(oldest, 'timer', `,${min(max(due - now(), 1), DELAY_MOST)}`, {
      __proto__: null,
      settle(hasFailed) {
        mine.run.clocks -= 1;
        if (clock === mine)
          clock = null;
        if (!hasFailed) // else the server has no room
          strike(max(mine.due, now()));
      },
    });
  }

  function strike(time) {
    const first = { __proto__: null, next: null };
    let last = first;
    mapForEach(left, (timer) => {
      if (timer.due <= time)
        last = last.next = { __proto__: null, timer, next: null };
    });
    for (let one = first.next; one !== null; one = one.next)
      if (one.timer.isSet) {
        enterAs(one.timer.run);
        fire(one.timer);
      }
    wind();
  }

  own.leaveTimers = function leaveTimers(run) {
    if (run.timers !== null)
      mapForEach(run.timers, leave);
    run.timers = null;
    wind();
  };

  // --- what the handler calls ---
  function set(name, f, delay, values, repeats) {
    const run = currentRun();
    if (typeof f !== 'function')
      throw new TypeError_(`${name}: the first argument is not a function`);
    if (run === null)
      throw new Error_(`${name} cannot be used while the handler is being loaded: no run has begun`);
    let ms = floor(toNumber(delay));
    if (!(ms >= 1 && ms <= DELAY_MOST))
      ms = 1; // as Node has it, NaN and what is too long alike
    const timer = { __proto__: null, number: ++numbers, run, f, delay: ms, due: now() + ms, newest: 0,
      values, repeats, isSet: true, call: 0 };
    if (isOver(run)) {
      leave(timer);
      wind();
    } else if (run.timers !== null && run.timers.size === TIMERS_MOST) {
      fail(run, new Error_(`More than ${TIMERS_MOST} timers run at once.`));
    } else {
      (run.timers ??= ownMap()).set(timer.number, timer);
      arm(timer);
    }
    return timer.number;
  }

  // A run clears its own timers; other runs' numbers mean nothing to it.
  function clear(number) {
    const run = currentRun();
    if (run === null)
      return;
    const timer = isOver(run) ? left.get(number) : run.timers !== null ? run.timers.get(number) : undefined;
    if (timer === undefined || timer.run !== run)
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
