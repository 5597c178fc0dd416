// The memory of workers: what each one has made its own (anonymous pages, by /proc/PID/statm, which
// any user may read), looked at while it works and when it has tidied up. The sum is the process's.
// Where /proc hides other users' processes, a worker counts as a guess.
//
// Who finds no room has it made, step by step (worker_holders.c: shares):
//   at once          workers that idle go, those of the project that holds the most first
//   while it waits   what comes free is for the projects that hold least
//   after a second   the project that holds the most, if more than its share, loses a worker with
//                    the runs in it, which may wait for ten minutes, to one that stays within its own
// When workers have grown beyond the sum, those that idle go, then likewise of who holds the most.
// What a worker that had to go had is what its instance needs when it comes back, for a while.
// A loop ends its own workers only, so the others are asked by message, and look for themselves.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "public-actions/plugin/internal.h"

enum {
    ROOM_WAIT_MS = 1000, // most runs are over by then, and their workers idle
    SPARED_MS = 10000,
    REMEMBERED_MS = QUEUE_WAIT_MS,
    LOOK_AGAIN_MS = 250, // at one that is not at work any more
};

// What a worker may have at most, as seen from outside: its own limit counts from when it had warmed
// up, and catches it first.
static uint64_t most_bytes(void)
{
    return plugin_options.worker_memory / 4 * 5 + 32 * 1024 * 1024;
}

static bool read_own_bytes(pid_t pid, uint64_t *ret)
{
    char path[32], text[128];
    unsigned long long size, resident, shared;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3 || resident == 0)
        return false; // of a dead one it is all zeros
    *ret = (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

static void set_bytes(struct worker *w, uint64_t bytes)
{
    int64_t by = (int64_t)bytes - (int64_t)w->bytes;
    plugin_count_bytes(by);
    worker_holder_count(w->holder, by);
    w->bytes = bytes;
}

void worker_memory_join(struct worker *w)
{
    w->holder = worker_holder_join(w->handler->project_id);
    set_bytes(w, MEMORY_GUESS);
}

void worker_memory_look(struct worker *w)
{
    uint64_t bytes;
    w->looked_at = loop_now(loop_self());
    w->was_at_work = w->heat != 0;
    if (w->holder == NULL || !read_own_bytes(w->process.pid, &bytes))
        return;
    set_bytes(w, bytes);
    if (bytes > most_bytes())
        worker_end(w, WORKER_END_MEMORY);
}

// Its bytes stay known: they tell what it may have died of.
void worker_memory_forget(struct worker *w)
{
    if (w->holder == NULL)
        return;
    plugin_count_bytes(-(int64_t)w->bytes);
    worker_holder_count(w->holder, -(int64_t)w->bytes);
    worker_holder_leave(w->holder);
    w->holder = NULL;
}

// --- making room ---
static bool is_of(const struct worker *w, const char *project_id)
{
    return strcmp(w->handler->project_id, project_id) == 0;
}

static bool fits(uint64_t wanted)
{
    return plugin_worker_bytes() + wanted <= plugin_options.workers_memory;
}

static bool is_idle(const struct worker *w)
{
    return w->state == WORKER_IS_LIVE && w->run_count == 0;
}

static bool is_recent(const struct worker *w)
{
    return loop_now(loop_self()) - w->used_at < SPARED_MS;
}

// Of the project that holds the most, the one that was used last the longest ago. Who asks beyond its
// own share leaves to others with no more than that what they used just now (spares: 0, all may go):
// its waiting runs would have it again and again.
static struct worker *worker_to_evict(uint64_t spares, const char *asker)
{
    struct worker *best = NULL;
    uint64_t best_held = 0;
    for (struct worker *w = plugin_desk()->oldest; w != NULL; w = w->newer) {
        if (!is_idle(w) || (best != NULL && w->holder == best->holder))
            continue;
        uint64_t held = worker_holder_bytes(w->holder);
        if ((best != NULL && held <= best_held) ||
            (held <= spares && is_recent(w) && !is_of(w, asker)))
            continue;
        best = w;
        best_held = held;
    }
    return best;
}

// Until `wanted` more would fit; false when they do not.
static bool evict_own(uint64_t wanted, uint64_t spares, const char *asker)
{
    struct worker *w;
    while (!fits(wanted) && (w = worker_to_evict(spares, asker)) != NULL)
        worker_end(w, WORKER_END_EVICTED);
    return fits(wanted);
}

static void on_evict(struct loop_message *m)
{
    struct desk *desk = (struct desk *)((char *)m - offsetof(struct desk, evict));
    uint64_t wanted = atomic_exchange(&desk->evict_bytes, 0);
    evict_own(wanted, atomic_load(&desk->evict_spares), ""); // the asker has none here
}

// `wanted` is not 0.
static void ask_to_evict(struct desk *desk, uint64_t wanted, uint64_t spares)
{
    atomic_store(&desk->evict_spares, spares);
    if (atomic_exchange(&desk->evict_bytes, wanted) == 0)
        loop_post(desk->loop, &desk->evict);
}

static void ask_other_loops(uint64_t wanted, uint64_t spares)
{
    for (unsigned i = 0; i != loop_count(); ++i)
        if (plugin_desk_at(i)->loop != loop_self())
            ask_to_evict(plugin_desk_at(i), wanted, spares);
}

// --- making room where runs are ---

// One whose runs merely wait, before one at work; then the largest: few of them have to go; then the
// one that was begun with last.
static bool is_fitter(const struct worker *a, const struct worker *b)
{
    if (b == NULL || (a->heat == 0) != (b->heat == 0))
        return b == NULL || a->heat == 0;
    return a->bytes >= b->bytes;
}

static struct worker *worker_to_yield(const struct worker_yield *y)
{
    struct worker *best = NULL;
    for (struct worker *w = plugin_desk()->oldest; w != NULL; w = w->newer)
        if (w->state == WORKER_IS_LIVE && w->bytes <= y->at_most && is_of(w, y->project_id) &&
            is_fitter(w, best))
            best = w;
    return best;
}

static void yield(struct worker *w, const struct worker_yield *y)
{
    log_warn("a worker goes, with its runs: its project's hold the most, and there is no room",
             "project=%s plugin=%s instance=%s worker=%u runs=%u bytes=%llu held=%llu share=%llu "
             "of=%llu",
             w->handler->project_id, w->handler->plugin_id, w->handler->instance_id,
             w->process.number, w->run_count, (unsigned long long)w->bytes,
             (unsigned long long)y->held, (unsigned long long)y->share,
             (unsigned long long)plugin_options.workers_memory);
    w->instance->lost_bytes = w->bytes;
    w->instance->lost_at = loop_now(loop_self());
    worker_end(w, WORKER_END_YIELDED);
}

// On the loop of the project that held the most when it was asked.
static void on_yield(struct loop_message *m)
{
    struct desk *desk = (struct desk *)((char *)m - offsetof(struct desk, yield));
    struct worker_yield y;
    struct worker *w;
    atomic_store(&desk->is_yielding, false);
    while (worker_holders_next_to_yield(&y) && !evict_own(y.wanted, 0, "") &&
           (w = worker_to_yield(&y)) != NULL)
        yield(w, &y);
}

static struct desk *home_of(const char *project_id)
{
    return plugin_desk_at(loop_index(plugin_owner_loop(project_id)));
}

static void ask_to_yield(void)
{
    struct worker_yield y;
    if (!worker_holders_next_to_yield(&y))
        return;
    struct desk *desk = home_of(y.project_id);
    if (!atomic_exchange(&desk->is_yielding, true))
        loop_post(desk->loop, &desk->yield);
}

// --- having room ---
static uint64_t waited_ms(const struct plugin_instance *in)
{
    return in->first != NULL ? (clock_monotonic_us() - in->first->_.queued_at_us) / 1000 : 0;
}

bool worker_memory_remembers(const struct plugin_instance *in)
{
    return in->lost_at != 0 && loop_now(loop_self()) - in->lost_at < REMEMBERED_MS;
}

// What has to be free for its next worker.
static uint64_t wanted_by(const struct plugin_instance *in)
{
    bool is_large = worker_memory_remembers(in) && in->lost_bytes > MEMORY_GUESS;
    return is_large ? in->lost_bytes : MEMORY_GUESS;
}

// Workers that idle go: at first those of the loop whose project holds too much, then all others'.
static bool make_room(const struct plugin_instance *in, const struct worker_shares *shares)
{
    uint64_t wanted = wanted_by(in), spares = shares->is_within ? 0 : shares->share;
    struct desk *home = shares->greediest[0] != '\0' ? home_of(shares->greediest) : plugin_desk();
    if (home != plugin_desk() && waited_ms(in) < RETRY_MS / 2) {
        ask_to_evict(home, wanted, spares);
        return false;
    }
    if (evict_own(wanted, spares, in->handler->project_id))
        return true;
    ask_other_loops(wanted, spares);
    return false;
}

static bool find_room(const struct plugin_instance *in, bool is_first)
{
    const char *project_id = in->handler->project_id;
    if (!worker_holders_goes_first(project_id))
        return false;
    if (fits(wanted_by(in)))
        return true;
    bool has_waited = is_first && waited_ms(in) >= ROOM_WAIT_MS;
    if (is_first) // of a second one there is no need
        worker_holders_ask(project_id, wanted_by(in), has_waited);
    struct worker_shares shares = worker_holders_shares(project_id, wanted_by(in));
    if (make_room(in, &shares))
        return true;
    if (has_waited)
        ask_to_yield();
    return false;
}

bool worker_memory_has_room(const struct plugin_instance *in, bool is_first)
{
    bool has_room = find_room(in, is_first);
    if (has_room)
        worker_holders_answered(in->handler->project_id);
    return has_room;
}

// --- looking now and then ---
static void bound(void)
{
    bool is_over = worker_holders_are_over();
    if (evict_own(0, 0, ""))
        return;
    ask_other_loops(1, 0);
    if (is_over)
        ask_to_yield();
}

// One that was at work only between two looks has taken memory, too.
static bool is_to_look_at(const struct worker *w)
{
    return w->state == WORKER_IS_LIVE &&
           (w->heat != 0 ||
            (w->was_at_work && loop_now(loop_self()) - w->looked_at >= LOOK_AGAIN_MS));
}

static void on_look(struct loop_timer *t)
{
    struct desk *desk = (struct desk *)((char *)t - offsetof(struct desk, memory));
    bool is_left = desk->busy != 0;
    for (struct worker *w = desk->newest; w != NULL; w = w->older) {
        if (is_to_look_at(w))
            worker_memory_look(w);
        is_left |= w->was_at_work && w->state == WORKER_IS_LIVE;
    }
    bound();
    if (is_left)
        loop_timer_start(t, MEMORY_MS);
}

void worker_memory_at_work(void)
{
    struct desk *desk = plugin_desk();
    if (!loop_timer_is_running(&desk->memory))
        loop_timer_start(&desk->memory, MEMORY_MS);
}

static void on_tick(struct loop_timer *t)
{
    struct desk *desk = (struct desk *)((char *)t - offsetof(struct desk, tick));
    for (size_t i = 0; i != DESK_BUCKETS; ++i)
        for (struct plugin_instance **at = &desk->instances[i]; *at != NULL;)
            if (!plugin_instance_forget(at))
                at = &(*at)->next;
    bound();
    loop_timer_start(t, TICK_MS);
}

void worker_memory_start(struct desk *desk)
{
    desk->evict.run = on_evict;
    desk->yield.run = on_yield;
    desk->memory.run = on_look;
    desk->tick.run = on_tick;
    loop_timer_start(&desk->tick, TICK_MS);
}
