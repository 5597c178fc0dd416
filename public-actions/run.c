// action_run_start → on_owner → (action_secrets_join → on_secrets) → begin → plugin_start … on_done →
// record → (on_kept) → finish. All but the loading on the owner loop.
#include "public-actions/run.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "public-actions/inputs.h"
#include "public-actions/target_living.h"
#include "public-actions/secrets.h"

enum {
    CALL_MAX = 16 * 1024 * 1024,
    CALL_LITTLE = 64 * 1024,
    LOG_MAX = RUN_LOG_MAX - 1024, // the rest is for what is said of the run itself
    PAYLOAD_MAX = 64 * 1024
};

struct action_run *action_run_create(struct target *target, enum run_source source, str action)
{
    struct action_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        abort();
    assert(action.n < sizeof run->action);
    run->target = target;
    run->source = source;
    run->entry = "handler";
    memcpy(run->action, action.p, action.n);
    buf_init(&run->input, CALL_MAX);
    buf_init(&run->_.notices_text, RUN_NOTICES_BYTES_MAX);
    return run;
}

bool action_run_may_hold(struct action_run *run, size_t bytes)
{
    assert(run->_.held == 0);
    bool may = action_inputs_hold(run->target->instance.plugin_id, bytes);
    run->_.held = may ? bytes : 0;
    return may;
}

static void forget(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

void action_run_destroy(struct action_run *run)
{
    if (run == NULL)
        return;
    assert(run->_.bridges == NULL);
    action_inputs_give_back(run->target->instance.plugin_id, run->_.held);
    if (run->_.call_held != 0)
        target_vacate(run->target->instance.project_id, run->_.call_held);
    shared_unref(&run->target->shared);
    buf_fini(&run->input);
    json_decref(run->refusal);
    json_decref(run->meta);
    json_decref(run->_.fetch_facts);
    buf_fini(&run->_.notices_text);
    run_record_destroy(run->_.record);
    forget(&run->_.secrets);
    free(run->data);
    free(run);
}

// --- beginning ---

static const char *const kinds[RUN_SOURCES] = {
    [RUN_PUBLIC] = "public", [RUN_WIDGET] = "widget", [RUN_TOOL] = "tool"};

// The body of WORKER_CALL (runtime/protocol.h).
static void add_call(struct action_run *run, struct buf *to)
{
    const struct target *t = run->target;
    bool is_optional = strcmp(run->entry, "handler") != 0;
    buf_addf(to, "{\"export\":\"%s\"%s,\"input\":", run->entry,
             is_optional ? ",\"isOptional\":true" : "");
    buf_add(to, buf_str(&run->input));
    buf_addf(to, ",\"context\":{\"kind\":\"%s\",\"user\":%s", kinds[run->source], t->user);
    buf_add(to, STR(",\"userConfig\":"));
    buf_add(to, str_from(t->config));
    buf_add(to, STR(",\"secrets\":"));
    buf_add(to, str_from(run->_.secrets != NULL ? run->_.secrets : "{}"));
    if (run->actor[0] != '\0')
        buf_addf(to, ",\"actor\":{\"id\":\"%s\"}", run->actor);
    if (run->source == RUN_PUBLIC)
        buf_addf(to, ",\"publicApp\":{\"instanceId\":\"%s\",\"visitorIp\":\"%s\"}", t->instance.id,
                 run->visitor);
    else
        buf_addf(to, ",\"publicApp\":%s", t->widget_app);
    buf_add(to, STR("}}"));
}

static struct run_record *make_record(struct action_run *run)
{
    const struct target *t = run->target;
    struct run_record *r = run_record_create();
    memcpy(run->run_id, r->id, sizeof run->run_id);
    memcpy(r->instance_id, t->instance.id, sizeof r->instance_id);
    memcpy(r->plugin_id, t->instance.plugin_id, sizeof r->plugin_id);
    memcpy(r->project_id, t->instance.project_id, sizeof r->project_id);
    memcpy(r->deployment_id, t->deployment_id, sizeof r->deployment_id);
    memcpy(r->action, run->action, sizeof r->action);
    memcpy(r->request_id, run->request_id, sizeof r->request_id);
    memcpy(r->visitor, run->visitor, sizeof r->visitor);
    memcpy(r->actor, run->actor, sizeof r->actor);
    r->source = run->source;
    r->is_preview = t->is_preview;
    r->started_at = run->_.started_at;
    r->input_bytes = run->input_bytes;
    return r;
}

static void on_bridge(struct plugin_run *plugin, uint32_t call, str op, str args)
{
    bridge_ask((struct action_run *)plugin, call, op, args);
}

static void add_line(struct buf *log, str level, str text)
{
    buf_addc(log, '[');
    jsonx_add_string(log, level);
    buf_addc(log, ',');
    jsonx_add_string(log, text);
    buf_add(log, STR("]\n"));
}

// Escaped, text takes up to six times its bytes. In the place of the first line that has no room
// stands that there was more; behind it, nothing the handler wrote.
static void on_log(struct plugin_run *plugin, str level, str text)
{
    struct action_run *run = (struct action_run *)plugin;
    struct buf *log = &run->_.record->log;
    size_t before = log->n;
    if (run->_.is_log_full)
        return;
    add_line(log, level, text);
    if (!log->full && log->n <= LOG_MAX)
        return;
    run->_.is_log_full = true;
    log->full = false;
    log->n = before;
    add_line(log, STR("warn"), STR("Further output of this run is not kept."));
}

static void on_done(struct plugin_run *plugin, const struct plugin_answer *answer);

// Secrets and values of the owner's make a call large, however little a visitor sent.
static bool may_hold_call(struct action_run *run)
{
    size_t n = run->plugin.call.n;
    if (n <= CALL_LITTLE)
        return true;
    if (!target_occupy(run->target->instance.project_id, n))
        return false;
    run->_.call_held = n;
    return true;
}

static void begin(struct action_run *run)
{
    static const struct plugin_run_calls calls = {on_bridge, on_log, on_done};
    run->plugin.handler = run->target->handler;
    run->plugin.calls = &calls;
    run->plugin.timeout_ms = run->timeout_ms;
    run->plugin.is_retryable = true;
    buf_init(&run->plugin.call, CALL_MAX);
    add_call(run, &run->plugin.call);
    forget(&run->_.secrets);
    if (may_hold_call(run)) {
        plugin_start(&run->plugin);
        return;
    }
    explicit_bzero(run->plugin.call.p, run->plugin.call.n);
    buf_fini(&run->plugin.call);
    on_done(&run->plugin, &(struct plugin_answer){.outcome = PLUGIN_BUSY});
}

static void on_secrets(struct action_run *run)
{
    const str broken =
        STR("{\"error\":{\"name\":\"Error\",\"message\":\"A secret of this app cannot be "
            "opened. Set it again.\"}}");
    bool is_away = run->_.secrets_fail == FAIL_BUSY || run->_.secrets_fail == FAIL_TIMEOUT;
    if (run->_.secrets_fail == FAIL_NONE)
        begin(run);
    else
        on_done(&run->plugin,
                &(struct plugin_answer){.outcome = is_away ? PLUGIN_BUSY : PLUGIN_NOT_LOADED,
                                        .meta = is_away ? (str){0} : broken});
}

static void on_owner(struct loop_message *m)
{
    struct action_run *run =
        (struct action_run *)((char *)m - offsetof(struct action_run, _.start));
    run->_.started_at = clock_real_ms();
    run->_.record = make_record(run);
    if (run->entry == NULL) {
        on_done(&run->plugin, &(struct plugin_answer){.outcome = PLUGIN_RETURNED});
        return;
    }
    if (run->target->has_secrets)
        action_secrets_join(run, on_secrets);
    else
        begin(run);
}

static _Atomic size_t running; // for the end of the process

size_t action_runs_running(void)
{
    return running;
}

// By message even on the owner's own loop: on_finished must never come from inside.
void action_run_start(struct action_run *run)
{
    assert(run->entry == NULL || run->target->handler != NULL);
    ++running;
    run->_.start.run = on_owner;
    loop_post(plugin_owner_loop(run->target->instance.project_id), &run->_.start);
}

// --- ending ---

static const char *outcome_name(const struct action_run *run)
{
    static const char *const names[] = {
        [PLUGIN_THREW] = "handler_error",
        [PLUGIN_TIMED_OUT] = "handler_timeout",
        [PLUGIN_CRASHED] = "handler_crashed",
        [PLUGIN_OUT_OF_MEMORY] = "handler_out_of_memory",
        [PLUGIN_TOO_LARGE] = "handler_error",
        [PLUGIN_NOT_LOADED] = "handler_error",
        [PLUGIN_BUSY] = "busy",
    };
    if (run->refusal != NULL)
        return "refused";
    if (run->outcome == PLUGIN_RETURNED)
        return run->reported_error ? "reported_error" : "ok";
    return names[run->outcome];
}

// The engine's way to say that there is no memory for one large thing more.
static bool is_out_of_memory(const json_t *error)
{
    return str_eq(jsonx_str(error, "name"), STR("RangeError")) &&
           str_eq(jsonx_str(error, "message"), STR("Out of memory"));
}

// Not the handler's fault, and over in a moment: what it asked of us could not be done now, and it
// has not caught that.
static bool is_busy(const json_t *error)
{
    str code = jsonx_str(error, "code");
    return str_eq(code, STR("managed_db_busy")) || str_eq(code, STR("managed_db_unavailable")) ||
           str_eq(code, STR("busy"));
}

// 2xx and 4xx, but for those that context.js does not take either: a worker may say anything.
int action_run_status(const struct action_run *run)
{
    static const int not_theirs[] = {205, 206, 407, 408, 421, 425};
    json_int_t status = json_integer_value(json_object_get(run->meta, "status"));
    if (!(status >= 200 && status <= 299) && !(status >= 400 && status <= 499))
        return 200;
    for (size_t i = 0; i != sizeof not_theirs / sizeof *not_theirs; ++i)
        if (status == not_theirs[i])
            return 200;
    return (int)status;
}

// Whoever is told a 4xx sends the file again, so the one that came does not stay.
static bool has_refused_file(const struct action_run *run)
{
    return run->entry != NULL && strcmp(run->entry, "onUpload") == 0 &&
           action_run_status(run) >= 400;
}

// What runs.js writes when there is nothing to say beside the data, as for most runs: no value needs
// to be made of it.
static bool is_plain(str meta)
{
    return meta.n == 0 ||
           str_eq(meta, STR("{\"responded\":true,\"dataError\":false,\"resultError\":false}")) ||
           str_eq(meta, STR("{\"responded\":false,\"dataError\":false,\"resultError\":false}"));
}

// What cannot be read is a failure: it may have said that the run failed.
static void take_meta(struct action_run *run, str meta)
{
    if (is_plain(meta))
        return;
    run->meta = jsonx_parse_theirs(meta, PLUGIN_META_VALUES_MAX);
    if (run->meta != NULL)
        return;
    run->outcome = PLUGIN_THREW;
    run->meta = json_pack("{s:{s:s, s:s}}", "error", "name", "RangeError", "message",
                          "What stands beside the answer (headers, widget data, "
                          "_triggerToolCall) is nested too deeply or has too many values.");
}

static void take_answer(struct action_run *run, const struct plugin_answer *a)
{
    run->outcome = a->outcome;
    take_meta(run, a->meta);
    const json_t *error = json_object_get(run->meta, "error");
    if (run->outcome == PLUGIN_THREW && is_out_of_memory(error))
        run->outcome = PLUGIN_OUT_OF_MEMORY;
    if (run->outcome == PLUGIN_THREW && is_busy(error))
        run->outcome = PLUGIN_BUSY;
    run->is_answered = run->entry != NULL && !json_is_true(json_object_get(run->meta, "missing"));
    run->data = str_dup(a->data.n != 0 ? a->data : STR("null"));
    run->data_size = a->data.n != 0 ? a->data.n : 4;
    run->reported_error = json_is_true(json_object_get(run->meta, "dataError")) ||
                          json_is_true(json_object_get(run->meta, "resultError")) ||
                          has_refused_file(run);
}

// What the owner reads where nothing was thrown.
static str sentence_of(enum plugin_outcome outcome)
{
    switch (outcome) {
    case PLUGIN_TIMED_OUT:
        return STR("{\"message\":\"The handler took too long and was stopped.\"}");
    case PLUGIN_CRASHED:
        return STR("{\"message\":\"The handler's process ended unexpectedly.\"}");
    case PLUGIN_OUT_OF_MEMORY:
        return STR("{\"message\":\"The handler ran out of memory.\"}");
    case PLUGIN_TOO_LARGE:
        return STR("{\"name\":\"RangeError\",\"message\":\"The answer is larger than 1 MiB as "
                   "JSON.\"}");
    case PLUGIN_BUSY:
        return STR("{\"message\":\"It was not begun: too much was waiting, or the app was killed "
                   "too often in the last minute.\"}");
    default:
        return (str){0};
    }
}

static void add_error(struct run_record *r, const struct action_run *run)
{
    const json_t *error = run->refusal != NULL ? run->refusal : json_object_get(run->meta, "error");
    if (error != NULL && (run->refusal != NULL || run->outcome != PLUGIN_RETURNED)) {
        char *text = jsonx_dump(error, NULL);
        buf_add(&r->error, str_from(text));
        free(text);
    } else {
        buf_add(&r->error, sentence_of(run->outcome));
    }
}

// What was asked of others stands there in any case, notices as far as there is room for them.
static void add_facts(struct run_record *r, struct action_run *run)
{
    const struct action_run_state *s = &run->_;
    if (s->fetch_facts == NULL && s->notices == 0)
        return;
    char *fetches = s->fetch_facts != NULL ? jsonx_dump(s->fetch_facts, NULL) : NULL;
    buf_add(&r->facts, STR("{\"fetches\":"));
    buf_add(&r->facts, fetches != NULL ? str_from(fetches) : STR("[]"));
    buf_add(&r->facts, STR(",\"notices\":["));
    buf_add(&r->facts, buf_str(&s->notices_text));
    buf_addc(&r->facts, ']');
    if (s->notices_left_out != 0)
        buf_addf(&r->facts, ",\"noticesLeftOut\":%u", s->notices_left_out);
    buf_addc(&r->facts, '}');
    free(fetches);
}

// What subscribers are told; a payload of more than 64 KiB is left out, and said to be.
static void add_payload(struct run_record *r, const struct action_run *run)
{
    const struct target *t = run->target;
    buf_addf(
        &r->payload,
        "{\"instanceId\":\"%s\",\"instanceSlug\":\"%s\",\"pluginSlug\":\"%s\",\"runId\":\"%s\","
        "\"actionId\":\"%s\",\"input\":",
        t->instance.id, t->instance.slug, t->plugin_slug, run->run_id, run->action);
    if (run->input.n <= PAYLOAD_MAX)
        buf_add(&r->payload, buf_str(&run->input));
    else
        buf_add(&r->payload, STR("null,\"inputLeftOut\":true"));
    buf_addc(&r->payload, '}');
}

// A run succeeded when it did not throw and reported no error.
static void add_events(struct run_record *r, const struct action_run *run)
{
    if (run->outcome != PLUGIN_RETURNED || run->reported_error || run->refusal != NULL ||
        run->target->is_preview)
        return;
    r->events = run_events_match(run->target->front, run->source, str_from(run->action));
    if (r->events != NULL)
        add_payload(r, run);
}

static void finish(struct action_run *run)
{
    --running;
    run->on_finished(run);
}

static void on_kept(struct loop_message *m)
{
    struct action_run *run =
        (struct action_run *)((char *)m - offsetof(struct action_run, _.kept.message));
    run->is_kept = run->_.kept.fail == FAIL_NONE;
    finish(run);
}

// Filled in here, on the loop, and given away: nothing of it is looked at again.
static void record(struct action_run *run, const struct plugin_answer *a)
{
    struct run_record *r = run->_.record;
    run->_.record = NULL;
    r->outcome = outcome_name(run);
    r->queued_ms = (uint32_t)(a->queued_us / 1000);
    r->ran_ms = (uint32_t)(a->ran_us / 1000);
    r->output_bytes = (uint32_t)run->data_size;
    r->queries = run->_.queries;
    r->fetches = run->_.fetches;
    add_error(r, run);
    add_facts(r, run);
    add_events(r, run);
    run->is_kept = true;
    if (r->events == NULL) {
        runs_record(r, NULL, NULL);
        finish(run);
        return;
    }
    run->_.kept.message.run = on_kept;
    runs_record(r, loop_self(), &run->_.kept);
}

// A handler that was stopped had no time to await them; one that returned has forgotten to.
static void tell_broken_off(struct action_run *run, unsigned n)
{
    char text[80];
    if (n == 0 || run->outcome != PLUGIN_RETURNED)
        return;
    int size = snprintf(text, sizeof text, "%u call%s not awaited and %s broken off.", n,
                        n == 1 ? " was" : "s were", n == 1 ? "was" : "were");
    add_line(&run->_.record->log, STR("warn"), str_of(text, (size_t)size));
}

static void on_done(struct plugin_run *plugin, const struct plugin_answer *answer)
{
    struct action_run *run = (struct action_run *)plugin;
    unsigned broken_off = bridge_cancel_all(run);
    take_answer(run, answer);
    tell_broken_off(run, broken_off);
    record(run, answer);
}
