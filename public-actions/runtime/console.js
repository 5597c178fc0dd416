// console: lines for the run's log. The server keeps 1,000 lines and 256 KiB of a run and says when
// there were more; we stop a little later, so that it notices.
(function (own) {
  'use strict';
  const { uncurry, format, currentRun, cut, errorText } = own;
  const { send } = own.host;
  const { stringify } = JSON;
  const Error_ = Error, now = Date.now, toText = String;
  const Map_ = Map, mapGet = uncurry(Map.prototype.get), mapSet = uncurry(Map.prototype.set);
  const mapDelete = uncurry(Map.prototype.delete);

  const LOG = 21, LINES_MOST = 1100, CHARACTERS_MOST = 320 * 1024, LABEL_MOST = 100;
  const loading = { __proto__: null, id: 0, lines: 0, characters: 0 };

  function isFull() {
    const run = currentRun() ?? loading;
    return run.lines >= LINES_MOST || run.characters >= CHARACTERS_MOST;
  }

  function log(level, text) {
    if (isFull())
      return;
    const run = currentRun() ?? loading;
    run.lines += 1;
    run.characters += text.length;
    send(LOG, 0, 0, run.id, `["${level}",${stringify(text)}]`);
  }

  // What is not kept is not even formatted.
  function logValues(level, values) {
    if (!isFull())
      log(level, format(values));
  }
  own.log = log;

  const counts = new Map_(), clocks = new Map_();
  const labelOf = (label) => cut(label === undefined ? 'default' : toText(label), LABEL_MOST);
  function elapsed(label) {
    const name = labelOf(label), since = mapGet(clocks, name);
    log('info', since === undefined ? `${name}: no such timer` : `${name}: ${now() - since} ms`);
    return name;
  }

  own.expose('console', {
    log(...values) { logValues('log', values); },
    info(...values) { logValues('info', values); },
    warn(...values) { logValues('warn', values); },
    error(...values) { logValues('error', values); },
    debug(...values) { logValues('debug', values); },
    dir(value) { logValues('log', [value]); },
    table(value) { logValues('log', [value]); },
    group(...values) { if (values.length !== 0) logValues('log', values); },
    groupCollapsed(...values) { if (values.length !== 0) logValues('log', values); },
    groupEnd() {},
    trace(...values) {
      const error = new Error_(format(values));
      error.name = 'Trace';
      log('error', errorText(error));
    },
    assert(isTrue, ...values) {
      if (!isTrue)
        log('error', values.length === 0 ? 'Assertion failed' : `Assertion failed: ${format(values)}`);
    },
    count(label) {
      const name = labelOf(label), count = (mapGet(counts, name) ?? 0) + 1;
      mapSet(counts, name, count);
      log('info', `${name}: ${count}`);
    },
    countReset(label) { mapDelete(counts, labelOf(label)); },
    time(label) { mapSet(clocks, labelOf(label), now()); },
    timeLog(label) { elapsed(label); },
    timeEnd(label) { mapDelete(clocks, elapsed(label)); },
  });
})
