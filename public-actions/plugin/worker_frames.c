// What a worker's frames mean. Each is taken for a stranger's: what no worker of ours would send is
// a lie, and ends it. What it says of a run that is over meanwhile is passed over.
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "public-actions/plugin/internal.h"

enum { DEPTH_MAX = JSONX_DEPTH_MAX, LOG_BODY_MAX = 1024 * 1024, OP_MAX = 64 };

size_t worker_frame_max(uint8_t type)
{
    switch (type) {
    case WORKER_READY:
    case WORKER_STATS:
        return 256;
    case WORKER_LOADED:
        return 64 * 1024;
    case WORKER_STARTED:
    case WORKER_PONG:
        return 0;
    case WORKER_BRIDGE:
        return WORKER_FROM_MAX;
    case WORKER_RESULT:
        return WORKER_META_MAX + WORKER_RESULT_MAX;
    case WORKER_LOG:
        return LOG_BODY_MAX;
    default:
        return SIZE_MAX;
    }
}

static bool is_object(str json)
{
    return json.n != 0 && json.p[0] == '{' && jsonx_is_valid(json, DEPTH_MAX);
}

// The run, or NULL when it is over; *ret_is_lie: none of that id was ever given to this worker.
static struct plugin_run *run_by_id(const struct worker *w, uint32_t id, bool *ret_is_lie)
{
    struct plugin_run *run = w->runs[id % RUNS_PER_WORKER];
    uint32_t number = id / RUNS_PER_WORKER;
    *ret_is_lie = number == 0 || number > w->last_number;
    return run != NULL && run->_.id == id ? run : NULL;
}

// --- of the worker ---
static bool on_ready(struct worker *w, str body)
{
    static _Atomic bool has_logged;
    if (w->is_ready || !is_object(body))
        return false;
    w->is_ready = true;
    if (!atomic_exchange(&has_logged, true))
        log_info("a handler worker is caged", "worker=%u ready=%s", w->process.number,
                 LOG_STR(body));
    return true;
}

static bool on_loaded(struct worker *w, const struct worker_frame_head *head, str body)
{
    struct plugin_instance *in = w->instance;
    if (w->state != WORKER_IS_LOADING || !is_object(body))
        return false;
    worker_proves(w, false);
    if ((head->flags & WORKER_FAILED) == 0) {
        worker_is_loaded(w);
        plugin_instance_feed(in);
        return true;
    }
    struct buf meta;
    buf_init(&meta, body.n + 16);
    buf_add(&meta, STR("{\"error\":"));
    buf_add(&meta, body);
    buf_addc(&meta, '}');
    worker_end(w, WORKER_END_NOT_LOADED);
    plugin_instance_refuse(in, PLUGIN_NOT_LOADED, buf_str(&meta));
    buf_fini(&meta);
    return true;
}

// What it answers stands behind all it was given before: the runs of then have begun by now.
static bool on_pong(struct worker *w, const struct worker_frame_head *head)
{
    if (w->ping == 0 || head->id != w->ping)
        return false;
    for (size_t i = 0; i != RUNS_PER_WORKER; ++i)
        if (w->runs[i] != NULL && w->runs[i]->_.step == RUN_GIVEN &&
            w->runs[i]->_.id / RUNS_PER_WORKER <= w->ping_number)
            return false;
    worker_proves(w, true);
    plugin_instance_feed(w->instance);
    return true;
}

static bool on_stats(struct worker *w, str body)
{
    if (!w->owes_stats || !is_object(body))
        return false;
    w->owes_stats = false;
    worker_proves(w, false);
    worker_memory_look(w);
    if (w->bytes > plugin_options.worker_memory / 2 && !w->is_retiring)
        worker_retire(w, WORKER_END_RECYCLED);
    return true;
}

// --- of a run ---
static bool on_started(struct worker *w, struct plugin_run *run)
{
    if (run->_.step != RUN_GIVEN)
        return false;
    run->_.step = RUN_STARTED;
    run->_.started_at_us = clock_monotonic_us();
    --w->unstarted;
    worker_proves(w, false);
    loop_timer_start(&run->_.deadline, run->timeout_ms);
    worker_note(run);
    plugin_instance_feed(w->instance);
    return true;
}

static bool is_op_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_';
}

// ["op",…] is taken apart where it lies: the comma behind the op becomes the bracket of the args.
static bool split_call(char *p, size_t n, str *ret_op, str *ret_args)
{
    size_t end = 2;
    if (n < 4 || p[0] != '[' || p[1] != '"')
        return false;
    while (end != n && end <= OP_MAX + 2 && is_op_character(p[end]))
        ++end;
    if (end == 2 || n - end < 2 || p[end] != '"' || (p[end + 1] != ',' && p[end + 1] != ']') ||
        !jsonx_is_valid(str_of(p, n), DEPTH_MAX))
        return false;
    *ret_op = str_of(p + 2, end - 2);
    *ret_args = STR("[]");
    if (p[end + 1] == ',') {
        p[end + 1] = '[';
        *ret_args = str_of(p + end + 1, n - end - 1);
    }
    return true;
}

static void refuse_call(struct plugin_run *run, uint32_t call, str words)
{
    if (call != 0)
        worker_send(run->_.worker, WORKER_REPLY, WORKER_FAILED, call, run->_.id, words);
}

static bool on_bridge(struct worker *w, struct plugin_run *run,
                      const struct worker_frame_head *head, char *body)
{
    str op, args;
    uint32_t call = (head->flags & WORKER_ONE_WAY) != 0 ? 0 : head->id;
    if (run->_.step != RUN_STARTED || head->id <= run->_.last_call ||
        !split_call(body, head->size, &op, &args))
        return false;
    run->_.last_call = head->id;
    if (str_eq(op, STR("timer"))) {
        worker_timer_start(run, head->id, args);
        worker_note(run);
        return true;
    }
    if (++run->_.bridge_calls > CALLS_PER_RUN) {
        refuse_call(run, call, STR("{\"message\":\"A run can make 100,000 calls.\"}"));
        return true;
    }
    if (run->_.is_crowded) {
        refuse_call(run, call,
                    STR("{\"message\":\"Too many calls at once: await some of them.\"}"));
        return true;
    }
    if (call != 0) {
        ++run->_.in_flight;
        run->_.in_flight_bytes += head->size;
        worker_note(run);
    }
    run->calls->on_bridge(run, call, op, args);
    return true;
}

// ["level","text"] as JSON.stringify writes it.
static bool split_line(char *p, size_t n, str *ret_level, str *ret_text)
{
    static const str levels[] = {{"log", 3}, {"info", 4}, {"warn", 4}, {"error", 5}, {"debug", 5}};
    str body = str_of(p, n), rest = body;
    if (!jsonx_is_valid(body, 1) || !str_starts(body, STR("[\"")) || !str_ends(body, STR("\"]")))
        return false;
    rest = str_skip(rest, 2);
    str level = str_cut(&rest, '"');
    if (!str_starts(rest, STR(",\"")) || rest.n < 4)
        return false;
    str inside = str_of(rest.p + 2, rest.n - 4);
    *ret_text = str_of(inside.p, jsonx_unescape(inside, (char *)inside.p));
    for (size_t i = 0; i != sizeof levels / sizeof *levels; ++i)
        if (str_eq(level, levels[i])) {
            *ret_level = level;
            return true;
        }
    return false;
}

static bool on_log(struct plugin_run *run, char *body, size_t n)
{
    str level, text;
    if (run->_.step != RUN_STARTED)
        return false;
    if (run->_.log_lines > LOG_LINES) // it was told
        return true;
    if (!split_line(body, n, &level, &text))
        return false;
    if (++run->_.log_lines <= LOG_LINES && run->_.log_bytes + text.n <= LOG_BYTES) {
        run->_.log_bytes += (uint32_t)text.n;
        run->calls->on_log(run, level, text);
        return true;
    }
    run->_.log_lines = LOG_LINES + 1;
    run->calls->on_log(run, STR("warn"), STR("Further output of this run is not kept."));
    return true;
}

// The engine's own error, when the handler has not caught it: the heap is as good as full.
static bool ran_out_of_memory(str meta)
{
    json_auto_t *value = jsonx_parse_theirs(meta, PLUGIN_META_VALUES_MAX);
    const json_t *error = json_object_get(value, "error");
    return str_eq(jsonx_str(error, "name"), STR("RangeError")) &&
           str_eq(jsonx_str(error, "message"), STR("Out of memory"));
}

static enum plugin_outcome outcome_of(const struct worker_frame_head *head, str meta)
{
    if ((head->flags & WORKER_FAILED) == 0)
        return PLUGIN_RETURNED;
    if ((head->flags & WORKER_TOO_LARGE) != 0)
        return PLUGIN_TOO_LARGE;
    return ran_out_of_memory(meta) ? PLUGIN_OUT_OF_MEMORY : PLUGIN_THREW;
}

static bool on_result(struct worker *w, struct plugin_run *run,
                      const struct worker_frame_head *head, const char *body)
{
    struct plugin_instance *in = w->instance;
    if (run->_.step != RUN_STARTED || head->ref > head->size || head->ref > WORKER_META_MAX)
        return false;
    str meta = str_of(body, head->ref), data = str_of(body + head->ref, head->size - head->ref);
    if (data.n > WORKER_RESULT_MAX || ((head->flags & WORKER_FAILED) != 0 && data.n != 0) ||
        !is_object(meta) || (data.n != 0 && !jsonx_is_valid(data, DEPTH_MAX)))
        return false;
    enum plugin_outcome outcome = outcome_of(head, meta);
    if (outcome == PLUGIN_OUT_OF_MEMORY && !w->is_retiring)
        worker_retire(w, WORKER_END_RECYCLED);
    worker_take_back(run);
    plugin_instance_feed(in);
    plugin_finish(run, outcome, meta, data);
    return true;
}

static bool is_of_run(uint8_t type)
{
    return type == WORKER_STARTED || type == WORKER_BRIDGE || type == WORKER_RESULT ||
           type == WORKER_LOG;
}

static bool frame_of_run(struct worker *w, const struct worker_frame_head *head, char *body)
{
    bool is_lie, by_ref = head->type == WORKER_BRIDGE || head->type == WORKER_LOG;
    uint32_t id = by_ref ? head->ref : head->id;
    if (head->type == WORKER_LOG && id == 0) // while loading: there is no run to keep it with
        return true;
    struct plugin_run *run = run_by_id(w, id, &is_lie);
    if (run == NULL)
        return !is_lie;
    w->spoke = id;
    switch (head->type) {
    case WORKER_STARTED:
        return on_started(w, run);
    case WORKER_BRIDGE:
        return on_bridge(w, run, head, body);
    case WORKER_LOG:
        return on_log(run, body, head->size);
    default:
        return on_result(w, run, head, body);
    }
}

bool worker_frame(struct worker *w, const struct worker_frame_head *head, char *body)
{
    str text = str_of(body, head->size);
    if (!w->is_ready)
        return head->type == WORKER_READY && on_ready(w, text);
    if (is_of_run(head->type))
        return frame_of_run(w, head, body);
    switch (head->type) {
    case WORKER_LOADED:
        return on_loaded(w, head, text);
    case WORKER_PONG:
        return on_pong(w, head);
    case WORKER_STATS:
        return on_stats(w, text);
    default:
        return false;
    }
}
