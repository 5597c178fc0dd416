// A run, from plugin_start to on_done.
#include "public-actions/plugin/plugin.h"
#include <assert.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "public-actions/plugin/internal.h"

enum { MESSAGE_MAX = 16 * 1024 }; // of an error's; the rest is cut

struct plugin_options plugin_options;
// Each made and used by its loop's thread only; others look up its loop, and whether it is there yet.
static struct desk *_Atomic desks[LOOPS_MAX];

static void kill_by_cage(const struct cage_worker *worker)
{
    cage_kill(worker->number);
}
static enum fail start_by_cage(struct cage_worker *ret, struct fault *fault)
{
    return cage_start(CAGE_HANDLER, ret, fault);
}
static const struct plugin_source from_cage = {.start = start_by_cage, .kill = kill_by_cage};

struct desk *plugin_desk(void)
{
    return atomic_load_explicit(&desks[loop_index(loop_self())], memory_order_relaxed);
}

void plugin_init(const struct plugin_options *o)
{
    plugin_options = *o;
    if (plugin_options.source == NULL)
        plugin_options.source = &from_cage;
    spares_init(plugin_options.spares, plugin_options.source);
}

void plugin_on_loop_start(struct loop *loop)
{
    struct desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL)
        abort();
    desk->loop = loop;
    desk->serve.run = plugin_instance_serve;
    worker_memory_start(desk);
    atomic_store_explicit(&desks[loop_index(loop)], desk, memory_order_release);
}

// FNV-1a: ids are random already.
struct loop *plugin_owner_loop(const char *project_id)
{
    uint32_t hash = 2166136261;
    for (const char *p = project_id; *p != '\0'; ++p)
        hash = (hash ^ (uint8_t)*p) * 16777619;
    return loop_at((hash ^ hash >> 16) % loop_count());
}

// --- the end of a process, told on another thread ---
struct ended {
    struct loop_message super;
    uint32_t number;
    int status;
};

static void on_ended(struct loop_message *m)
{
    struct ended *ended = (struct ended *)m;
    struct worker *w = plugin_desk()->newest;
    while (w != NULL && w->process.number != ended->number)
        w = w->older;
    if (w != NULL) {
        w->wait_status = ended->status;
        w->has_status = true;
        if (w->state == WORKER_IS_ENDED) // it was waited for
            loop_timer_start(&w->settle, 0);
    }
    free(ended);
}

struct desk *plugin_desk_at(unsigned index)
{
    return atomic_load_explicit(&desks[index], memory_order_acquire);
}

// Which loop it is of, only the loops know; deaths are rare. It may be an inspector's, and come
// before there are loops.
void plugin_on_worker_ended(uint32_t number, int status)
{
    for (unsigned i = 0; i != LOOPS_MAX; ++i) {
        struct desk *desk = plugin_desk_at(i);
        if (desk == NULL)
            continue;
        struct ended *ended = malloc(sizeof *ended);
        if (ended == NULL)
            abort();
        *ended = (struct ended){.super.run = on_ended, .number = number, .status = status};
        loop_post(desk->loop, &ended->super);
    }
}

// --- a run ---
static uint64_t span(uint64_t from, uint64_t to)
{
    return from != 0 && to > from ? to - from : 0;
}

void plugin_finish(struct plugin_run *run, enum plugin_outcome outcome, str meta, str data)
{
    assert(run->_.worker == NULL && run->_.step != RUN_QUEUED);
    uint64_t now = clock_monotonic_us(), started = run->_.started_at_us;
    struct plugin_answer answer = {.outcome = outcome,
                                   .meta = meta,
                                   .data = data,
                                   .queued_us =
                                       span(run->_.queued_at_us, started != 0 ? started : now),
                                   .ran_us = span(started, now)};
    plugin_count_outcome(outcome);
    loop_timer_stop(&run->_.deadline);
    buf_fini(&run->call);
    shared_unref(&run->handler->shared);
    run->_.step = RUN_NEW;
    run->calls->on_done(run, &answer);
}

uint64_t plugin_run_ends_at(const struct plugin_run *run)
{
    uint64_t started = run->_.started_at_us;
    return (started != 0 ? started / 1000 : loop_now(loop_self())) + run->timeout_ms;
}

static struct plugin_run *run_of(struct loop_timer *deadline)
{
    return (struct plugin_run *)((char *)deadline - offsetof(struct plugin_run, _.deadline));
}

static void on_later(struct loop_timer *t)
{
    struct plugin_run *run = run_of(t);
    plugin_finish(run, (enum plugin_outcome)run->_.outcome, (str){0}, (str){0});
}

void plugin_finish_later(struct plugin_run *run, enum plugin_outcome outcome)
{
    run->_.step = RUN_REFUSED;
    run->_.outcome = outcome;
    run->_.deadline.run = on_later;
    loop_timer_start(&run->_.deadline, 0);
}

void plugin_start(struct plugin_run *run)
{
    assert(run->call.n <= WORKER_TO_MAX && run->handler->code.n <= WORKER_TO_MAX);
    run->_ = (struct plugin_run_state){.queued_at_us = clock_monotonic_us()};
    shared_ref(&run->handler->shared);
    struct plugin_instance *in = plugin_instance_of(run->handler);
    if (plugin_instance_is_barred(in) || in->share->queued >= plugin_options.queue_runs) {
        plugin_finish_later(run, PLUGIN_BUSY);
        return;
    }
    plugin_instance_queue(in, run, false);
    plugin_instance_feed(in);
}

// --- answers to what it asked for ---
static void reply(struct plugin_run *run, uint32_t call, uint8_t flags, str body)
{
    struct worker *w = run->_.worker;
    if (w == NULL || call == 0) // it is over, or wants none
        return;
    assert(run->_.in_flight != 0);
    if (--run->_.in_flight == 0)
        run->_.in_flight_bytes = 0;
    worker_send(w, WORKER_REPLY, flags, call, run->_.id, body);
    worker_note(run);
}

void plugin_reply_error(struct plugin_run *run, uint32_t call, const char *code, str message)
{
    struct buf b;
    if (message.n > MESSAGE_MAX)
        message.n = MESSAGE_MAX;
    buf_init(&b, 8 * MESSAGE_MAX);
    buf_add(&b, STR("{\"message\":"));
    jsonx_add_string(&b, message);
    if (code != NULL) {
        buf_add(&b, STR(",\"code\":"));
        jsonx_add_string(&b, str_from(code));
    }
    buf_addc(&b, '}');
    reply(run, call, WORKER_FAILED, buf_str(&b));
    buf_fini(&b);
}

void plugin_reply_failure(struct plugin_run *run, uint32_t call, str json)
{
    reply(run, call, WORKER_FAILED, json);
}

static void reply_unless_too_large(struct plugin_run *run, uint32_t call, uint8_t flags, str body)
{
    if (body.n > WORKER_TO_MAX) // the worker would take it for nonsense
        plugin_reply_error(run, call, "too_large", STR("The answer is too large."));
    else
        reply(run, call, flags, body);
}

void plugin_reply(struct plugin_run *run, uint32_t call, str json)
{
    reply_unless_too_large(run, call, 0, json);
}

void plugin_reply_with_text(struct plugin_run *run, uint32_t call, str json, str text)
{
    struct buf b;
    buf_init(&b, json.n + 1 + text.n);
    buf_add(&b, json);
    buf_addc(&b, '\0');
    buf_add(&b, text);
    reply_unless_too_large(run, call, WORKER_WITH_TEXT, buf_str(&b));
    buf_fini(&b);
}
