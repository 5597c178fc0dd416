// A worker's life: wished for, given its code, given runs, watched, ended, settled.
#include <assert.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "public-actions/plugin/internal.h"

#define WORKER_OF(member_pointer, member)                                                          \
    ((struct worker *)((char *)(member_pointer)-offsetof(struct worker, member)))

const char *const worker_end_names[WORKER_ENDS] = {
    [WORKER_END_DIED] = "died",         [WORKER_END_STUCK] = "stuck",
    [WORKER_END_MEMORY] = "memory",     [WORKER_END_LIED] = "protocol",
    [WORKER_END_UNREAD] = "unread",     [WORKER_END_NOT_LOADED] = "not_loaded",
    [WORKER_END_REPLACED] = "replaced", [WORKER_END_RECYCLED] = "recycled",
    [WORKER_END_EVICTED] = "evicted",   [WORKER_END_YIELDED] = "yielded",
    [WORKER_END_IDLE] = "idle",
};

static bool can_talk(const struct worker *w)
{
    return w->state == WORKER_IS_LOADING || w->state == WORKER_IS_LIVE;
}

// --- the desk's list, by last use ---
static void list_remove(struct worker *w)
{
    struct desk *desk = plugin_desk();
    *(w->newer != NULL ? &w->newer->older : &desk->newest) = w->older;
    *(w->older != NULL ? &w->older->newer : &desk->oldest) = w->newer;
}
static void list_add(struct worker *w)
{
    struct desk *desk = plugin_desk();
    w->newer = NULL;
    w->older = desk->newest;
    *(w->older != NULL ? &w->older->newer : &desk->oldest) = w;
    desk->newest = w;
}
static void touch(struct worker *w)
{
    w->used_at = loop_now(loop_self());
    w->is_tidy = false;
    if (w->newer == NULL)
        return;
    list_remove(w);
    list_add(w);
}

static void heat(struct worker *w, int by)
{
    bool was = w->heat != 0;
    w->heat = (unsigned)((int)w->heat + by);
    if (was == (w->heat != 0))
        return;
    w->was_at_work = true;
    plugin_instance_heat(w->instance, !was);
}

// --- whether it still reads ---
static bool owes_proof(const struct worker *w)
{
    return w->run_count != 0 || w->owes_stats || w->ping != 0 || w->state == WORKER_IS_LOADING;
}

static uint64_t next_look(const struct worker *w)
{
    uint64_t busy = plugin_options.busy_ms;
    uint64_t at = w->proof_at + (w->ping != 0 ? busy + PONG_MS : busy / 2);
    return w->strikes_at != 0 && w->strikes_at < at ? w->strikes_at : at;
}

static void watch_until_next_look(struct worker *w)
{
    uint64_t now = loop_now(loop_self()), at = next_look(w);
    loop_timer_start(&w->watchdog, at > now ? at - now : 0);
}

// Begins when it begins to owe something; one that owes a pong has no more time for that.
static void begin_to_owe(struct worker *w)
{
    if (w->ping == 0)
        w->proof_at = loop_now(loop_self());
    if (!loop_timer_is_running(&w->watchdog))
        watch_until_next_look(w);
}

// A paused worker is read again, or its pong would not be heard. Until it comes, new runs wait: for
// so long as a pong takes; then another worker may be had for them.
static void ask(struct worker *w)
{
    struct loop_timer *retry = &w->instance->retry;
    if (!loop_timer_is_running(retry))
        loop_timer_start(retry, PONG_MS);
    w->ping = ++w->last_ping;
    w->ping_number = w->last_number;
    worker_send(w, WORKER_PING, 0, w->ping, 0, (str){0});
    if (w->is_paused) {
        w->is_strict = true;
        w->proof_at = loop_now(loop_self()); // till now it may have been us who kept it waiting
        loop_timer_start(&w->resume, 0);
    }
}

static void on_watchdog(struct loop_timer *t)
{
    struct worker *w = WORKER_OF(t, watchdog);
    if (!owes_proof(w))
        return;
    if (loop_now(loop_self()) >= next_look(w)) {
        if (w->ping != 0) {
            worker_end(w, WORKER_END_STUCK);
            return;
        }
        ask(w);
    }
    if (can_talk(w))
        watch_until_next_look(w);
}

void worker_proves(struct worker *w, bool is_pong)
{
    w->proof_at = loop_now(loop_self());
    w->strikes_at = 0;
    if (w->has_lost_suspect) {
        w->has_lost_suspect = false;
        heat(w, -1);
    }
    if (!is_pong)
        return;
    w->ping = 0;
    w->is_strict = false;
}

// A run was over its time. Others that have begun may be computing, as they may for busy_ms: they are
// not cut short. One that may be what keeps the worker is still at work, be it answered or not.
static void ask_at_once(struct worker *w, bool may_be_stuck)
{
    if (w->run_count == w->unstarted)
        w->strikes_at = loop_now(loop_self()) + PONG_MS;
    if (may_be_stuck && !w->has_lost_suspect) {
        w->has_lost_suspect = true;
        heat(w, 1);
    }
    if (w->ping == 0)
        ask(w);
    if (can_talk(w))
        watch_until_next_look(w);
}

// --- idling ---
static void on_idle(struct loop_timer *t)
{
    struct worker *w = WORKER_OF(t, idle);
    uint64_t now = loop_now(loop_self()), idle = now - w->used_at;
    if (w->run_count != 0 || w->state != WORKER_IS_LIVE)
        return;
    if (idle < IDLE_MS) {
        loop_timer_start(t, IDLE_MS - idle);
        return;
    }
    bool is_replaced = plugin_instance_is_superseded(w->instance),
         may_go = is_replaced || w != w->instance->workers[0];
    if (may_go && idle >= SECOND_IDLE_MS) {
        worker_end(w, is_replaced ? WORKER_END_REPLACED : WORKER_END_IDLE);
        return;
    }
    if (may_go)
        loop_timer_start(t, SECOND_IDLE_MS - idle);
    if (w->is_tidy)
        return;
    w->is_tidy = w->owes_stats = true;
    worker_send(w, WORKER_TIDY, 0, 0, 0, (str){0});
    begin_to_owe(w);
}

void worker_watch_idling(struct worker *w)
{
    if (w->state == WORKER_IS_LIVE && w->run_count == 0 && !loop_timer_is_running(&w->idle))
        loop_timer_start(&w->idle, SECOND_IDLE_MS);
}

// --- its beginning ---
static void load(struct worker *w)
{
    struct handler *h = w->handler;
    w->state = WORKER_IS_LOADING;
    heat(w, 1);
    worker_watch(w);
    worker_send(w, WORKER_LOAD, h->is_fresh ? WORKER_FRESH : 0, h->first_line, 0, h->code);
    begin_to_owe(w);
    loop_timer_start(&w->idle, plugin_options.busy_ms);
}

// Of the time to load.
static void on_load_time(struct loop_timer *t)
{
    struct worker *w = WORKER_OF(t, idle);
    if (w->state == WORKER_IS_LOADING)
        worker_end(w, WORKER_END_STUCK);
}

void worker_is_loaded(struct worker *w)
{
    w->state = WORKER_IS_LIVE;
    w->has_loaded = true;
    w->idle.run = on_idle;
    touch(w);
    loop_timer_start(&w->idle, IDLE_MS);
    worker_memory_look(w);
    heat(w, -1);
}

static void on_spare(struct spare_wish *wish, const struct cage_worker *process)
{
    struct worker *w = WORKER_OF(wish, wish);
    w->process = *process;
    if (process->fd < 0)
        loop_timer_start(&w->instance->retry, RETRY_MS);
    if (w->is_retiring || process->fd < 0)
        worker_end(w, WORKER_END_IDLE);
    else
        load(w);
}

static void settle(struct loop_timer *t);

struct worker *worker_wish(struct plugin_instance *in)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL)
        abort();
    w->instance = in;
    w->handler = in->handler;
    shared_ref(&w->handler->shared);
    w->process.fd = -1;
    w->watch.on_readable = worker_on_readable;
    w->watch.on_writable = worker_on_writable;
    w->watchdog.run = on_watchdog;
    w->idle.run = on_load_time;
    w->settle.run = settle;
    w->resume.run = worker_resume;
    w->flush.run = worker_flush;
    w->wish.on_spare = on_spare;
    ++in->worker_count;
    list_add(w);
    plugin_count_workers(1);
    worker_memory_join(w);
    spares_wish(&w->wish);
    return w;
}

// --- runs ---
bool worker_has_room(const struct worker *w)
{
    return w->state == WORKER_IS_LIVE && !w->is_retiring && !w->is_paused && w->ping == 0 &&
           w->run_count < RUNS_PER_WORKER && w->unstarted < RUNS_UNSTARTED;
}

static void on_deadline(struct loop_timer *t)
{
    struct plugin_run *run =
        (struct plugin_run *)((char *)t - offsetof(struct plugin_run, _.deadline));
    struct worker *w = run->_.worker;
    uint32_t id = run->_.id;
    bool is_hot = run->_.is_hot;
    worker_take_back(run);
    if (can_talk(w)) {
        worker_send(w, WORKER_DROP, 0, id, 0, (str){0});
        ask_at_once(w, is_hot);
    }
    plugin_finish(run, PLUGIN_TIMED_OUT, (str){0}, (str){0});
}

// Its number's low bits are its place in the table.
void worker_give(struct worker *w, struct plugin_run *run)
{
    size_t place = 0;
    while (w->runs[place] != NULL)
        ++place;
    if (w->run_count == 0)
        begin_to_owe(w);
    touch(w);
    w->runs[place] = run;
    ++w->run_count;
    ++w->unstarted;
    ++w->last_number;
    run->_.worker = w;
    run->_.id = w->last_number * RUNS_PER_WORKER + (uint32_t)place;
    run->_.step = RUN_GIVEN;
    run->_.is_hot = true;
    run->_.deadline.run = on_deadline;
    heat(w, 1);
    worker_send(w, WORKER_CALL, 0, run->_.id, 0, buf_str(&run->call));
}

static void resume_if_paused(struct worker *w)
{
    if (w->is_paused && w->crowded == 0 && can_talk(w))
        loop_timer_start(&w->resume, 0);
}

void worker_note(struct plugin_run *run)
{
    struct worker *w = run->_.worker;
    bool is_hot = run->_.step == RUN_GIVEN || run->_.in_flight + run->_.timers == 0;
    bool is_crowded =
        run->_.in_flight > CALLS_IN_FLIGHT || run->_.in_flight_bytes > CALL_BYTES_IN_FLIGHT;
    if (is_hot != run->_.is_hot)
        heat(w, is_hot ? 1 : -1);
    if (is_crowded != run->_.is_crowded)
        w->crowded = is_crowded ? w->crowded + 1 : w->crowded - 1;
    run->_.is_hot = is_hot;
    run->_.is_crowded = is_crowded;
    resume_if_paused(w);
}

// A worn out worker goes when another one can take over, and not much later without.
static bool should_retire(struct worker *w)
{
    if (w->last_number < RUNS_PER_LIFE || w->is_retiring)
        return false;
    return plugin_instance_relieve(w) || w->last_number >= 2 * RUNS_PER_LIFE;
}

static void on_empty(struct worker *w)
{
    w->used_at = loop_now(loop_self());
    if (w->is_retiring)
        worker_end(w, w->end);
    else if (w->state == WORKER_IS_LIVE && !loop_timer_is_running(&w->idle))
        loop_timer_start(&w->idle, IDLE_MS);
}

void worker_take_back(struct plugin_run *run)
{
    struct worker *w = run->_.worker;
    worker_timers_drop(run);
    loop_timer_stop(&run->_.deadline);
    w->runs[run->_.id % RUNS_PER_WORKER] = NULL;
    --w->run_count;
    w->unstarted -= run->_.step == RUN_GIVEN;
    if (run->_.is_hot)
        heat(w, -1);
    w->crowded -= run->_.is_crowded;
    resume_if_paused(w);
    run->_.worker = NULL;
    run->_.in_flight = 0;
    run->_.is_crowded = false;
    run->_.step = RUN_NEW;
    if (w->state == WORKER_IS_ENDED)
        return;
    if (should_retire(w))
        worker_retire(w, WORKER_END_RECYCLED);
    else if (w->run_count == 0)
        on_empty(w);
}

// --- its end ---
static void leave_instance(struct worker *w)
{
    for (size_t i = 0; i != WORKERS_PER_INSTANCE; ++i)
        if (w->instance->workers[i] == w)
            w->instance->workers[i] = NULL;
}

void worker_retire(struct worker *w, enum worker_end why)
{
    w->is_retiring = true;
    w->end = why;
    leave_instance(w);
    if (w->state == WORKER_IS_LOADING || (w->state == WORKER_IS_LIVE && w->run_count == 0))
        worker_end(w, why);
}

void worker_end(struct worker *w, enum worker_end why)
{
    if (w->state == WORKER_IS_ENDED)
        return;
    bool was_loading = w->state == WORKER_IS_LOADING;
    w->state = WORKER_IS_ENDED;
    w->end = why;
    leave_instance(w);
    loop_watch_stop(&w->watch);
    loop_timer_stop(&w->watchdog);
    loop_timer_stop(&w->resume);
    loop_timer_stop(&w->flush);
    loop_timer_stop(&w->idle);
    if (w->process.fd >= 0)
        spares_end(&w->process);
    w->process.fd = -1;
    worker_memory_forget(w);
    if (was_loading)
        heat(w, -1);
    if (w->has_lost_suspect)
        heat(w, -1);
    loop_timer_start(&w->settle, why == WORKER_END_DIED && !w->has_status ? DEATH_MS : 0);
}

// --- settling what it leaves behind ---

// What a worker that died by itself is taken to have died of.
static bool ran_out_of_memory(const struct worker *w)
{
    if (w->has_status && WIFEXITED(w->wait_status))
        return WEXITSTATUS(w->wait_status) == WORKER_EXIT_MEMORY;
    // the kernel's own killer, or a death of the engine's while it was large
    return (w->has_status && WIFSIGNALED(w->wait_status) && WTERMSIG(w->wait_status) == SIGKILL) ||
           w->bytes > plugin_options.worker_memory / 10 * 7;
}

static enum plugin_outcome outcome_of(const struct worker *w)
{
    switch (w->end) {
    case WORKER_END_STUCK:
        return PLUGIN_TIMED_OUT;
    case WORKER_END_MEMORY:
    case WORKER_END_YIELDED:
        return PLUGIN_OUT_OF_MEMORY;
    case WORKER_END_DIED:
        return ran_out_of_memory(w) ? PLUGIN_OUT_OF_MEMORY : PLUGIN_CRASHED;
    default:
        return PLUGIN_CRASHED;
    }
}

// Of the runs that may have been at work, the one that spoke last, else the one begun last. A run
// that was at work when its deadline passed is a suspect that is gone already: then nobody is.
static struct plugin_run *suspect_of(const struct worker *w)
{
    struct plugin_run *suspect = NULL;
    for (size_t i = 0; i != RUNS_PER_WORKER; ++i) {
        struct plugin_run *run = w->runs[i];
        if (run == NULL || run->_.step != RUN_STARTED)
            continue;
        if (suspect == NULL || run->_.is_hot > suspect->_.is_hot ||
            (run->_.is_hot == suspect->_.is_hot && suspect->_.id != w->spoke &&
             (run->_.id == w->spoke || run->_.id > suspect->_.id)))
            suspect = run;
    }
    return suspect;
}

static bool may_begin_again(const struct plugin_run *run)
{
    return run->_.step == RUN_GIVEN ||
           (run->is_retryable && !run->_.was_retried && run->_.bridge_calls == 0);
}

static void log_end(const struct worker *w)
{
    const struct handler *h = w->handler;
    enum log_level level = w->end <= WORKER_END_NOT_LOADED ? LOG_WARN : LOG_DEBUG;
    char status[32] = "";
    if (w->has_status)
        snprintf(status, sizeof status, " %s=%d", WIFSIGNALED(w->wait_status) ? "signal" : "status",
                 WIFSIGNALED(w->wait_status) ? WTERMSIG(w->wait_status)
                                             : WEXITSTATUS(w->wait_status));
    log_write(level, "a handler worker ended",
              "reason=%s plugin=%s instance=%s deployment=%s worker=%u runs=%u bytes=%llu%s",
              worker_end_names[w->end], h->plugin_id, h->instance_id, h->deployment_id,
              w->process.number, w->run_count, (unsigned long long)w->bytes, status);
}

// Where a worker had to make room, all that it had begun: none of them is begun elsewhere.
static bool is_blamed(const struct plugin_run *run, const struct plugin_run *suspect,
                      enum worker_end end)
{
    return end == WORKER_END_YIELDED ? run->_.step == RUN_STARTED : run == suspect;
}

// Ends its runs or puts them back in line. Returns how many have to be told.
static size_t collect_runs(struct worker *w, struct plugin_run *told[static RUNS_PER_WORKER])
{
    struct plugin_run *suspect = w->has_lost_suspect ? NULL : suspect_of(w);
    size_t n = 0;
    for (size_t i = RUNS_PER_WORKER; i-- != 0;) {
        struct plugin_run *run = w->runs[i];
        if (run == NULL)
            continue;
        bool blamed = is_blamed(run, suspect, w->end), again = !blamed && may_begin_again(run);
        if (again) {
            run->_.was_retried = run->_.was_retried || run->_.step == RUN_STARTED;
            run->_.started_at_us = run->_.last_call = 0;
        }
        worker_take_back(run);
        run->_.outcome = blamed ? outcome_of(w) : PLUGIN_CRASHED;
        if (again)
            plugin_instance_queue(w->instance, run, true);
        else
            told[n++] = run;
    }
    return n;
}

static void worker_destroy(struct worker *w)
{
    list_remove(w);
    --w->instance->worker_count;
    plugin_count_workers(-1);
    worker_bytes_fini(&w->in);
    worker_bytes_fini(&w->out);
    shared_unref(&w->handler->shared);
    free(w);
}

static bool is_offence(enum worker_end end)
{
    return end <= WORKER_END_NOT_LOADED;
}

// A blank process that died before it was told anything is nobody's fault.
static bool was_blank(const struct worker *w)
{
    return w->end == WORKER_END_DIED && !w->is_ready;
}

// One that was never told whether it could load: the code may hang, or end the process.
static bool failed_to_load(const struct worker *w)
{
    return !w->has_loaded && is_offence(w->end) && w->end != WORKER_END_NOT_LOADED && !was_blank(w);
}

static void settle(struct loop_timer *t)
{
    struct worker *w = WORKER_OF(t, settle);
    struct plugin_instance *in = w->instance;
    struct plugin_run *told[RUNS_PER_WORKER];
    bool cannot_load = failed_to_load(w), is_blank = was_blank(w);
    enum worker_end end = w->end;
    log_end(w);
    plugin_count_end(end);
    size_t n = collect_runs(w, told);
    worker_destroy(w);
    if (is_blank)
        loop_timer_start(&in->retry, RETRY_MS);
    else if (is_offence(end))
        plugin_instance_offends(in, end != WORKER_END_DIED && end != WORKER_END_NOT_LOADED);
    for (size_t i = 0; i != n; ++i)
        plugin_finish(told[i], (enum plugin_outcome)told[i]->_.outcome, (str){0}, (str){0});
    if (cannot_load)
        plugin_instance_refuse(in, PLUGIN_NOT_LOADED,
                               STR("{\"error\":{\"name\":\"Error\",\"message\":"
                                   "\"The handler's code did not finish loading.\"}}"));
    else if (plugin_instance_is_barred(in))
        plugin_instance_refuse(in, PLUGIN_BUSY, (str){0});
    plugin_instance_feed(in);
}
