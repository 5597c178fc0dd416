// The memory of workers: what each one has made its own (anonymous pages, by /proc/PID/statm, which
// any user may read), looked at while it works and when it has tidied up. The sum is the process's.
// Where /proc hides other users' processes, a worker counts as a guess.
//
// Who finds no room has it made, step by step:
//   at once          workers that idle go, those of the project that holds the most first
//   while it waits   what comes free is for projects that hold little (worker_holders.c)
//   after a second   a project that holds little has the worker of the one that holds the most, if
//                    that is more than its part, with the runs in it: those may wait for ten minutes
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
    plugin_count_bytes((int64_t)bytes - (int64_t)w->bytes);
    worker_holders_count(w->handler->project_id, w->bytes, bytes);
    w->bytes = bytes;
}

void worker_memory_look(struct worker *w)
{
    uint64_t bytes;
    if (!read_own_bytes(w->process.pid, &bytes))
        bytes = w->bytes != 0 ? w->bytes : MEMORY_GUESS;
    set_bytes(w, bytes);
    if (bytes > most_bytes())
        worker_end(w, WORKER_END_MEMORY);
}

void worker_memory_forget(struct worker *w)
{
    set_bytes(w, 0);
}

// --- making room ---
static bool is_of(const struct worker *w, const char *project_id)
{
    return strcmp(w->handler->project_id, project_id) == 0;
}

// What is about to be free: of this loop's workers, or of one project's.
static uint64_t going_bytes(const char *project_id)
{
    uint64_t sum = 0;
    for (const struct worker *w = plugin_desk()->newest; w != NULL; w = w->older)
        if (w->state == WORKER_IS_ENDED && (project_id == NULL || is_of(w, project_id)))
            sum += w->bytes;
    return sum;
}

static bool fits(uint64_t wanted)
{
    return plugin_worker_bytes() + wanted <= plugin_options.workers_memory + going_bytes(NULL);
}

static bool is_idle(const struct worker *w)
{
    return w->state == WORKER_IS_LIVE && w->run_count == 0;
}

// While a project holds more than its part, those that hold little keep what they used just now: its
// waiting runs would have it again and again.
static bool is_spared(const struct worker *w, uint64_t held, uint64_t most)
{
    return held <= worker_holders_part() && most > worker_holders_part() &&
           loop_now(loop_self()) - w->used_at < SPARED_MS;
}

// Of the project that holds the most, the one that was used last the longest ago.
static struct worker *worker_to_evict(void)
{
    struct worker *best = NULL;
    uint64_t most = worker_holders_most().bytes, best_held = 0;
    for (struct worker *w = plugin_desk()->oldest; w != NULL; w = w->newer) {
        if (!is_idle(w) || (best != NULL && is_of(w, best->handler->project_id)))
            continue;
        uint64_t held = worker_holders_of(w->handler->project_id);
        if ((best != NULL && held <= best_held) || is_spared(w, held, most))
            continue;
        best = w;
        best_held = held;
    }
    return best;
}

// Until `wanted` more would fit; false when they do not.
static bool evict_own(uint64_t wanted)
{
    struct worker *w;
    while (!fits(wanted) && (w = worker_to_evict()) != NULL)
        worker_end(w, WORKER_END_EVICTED);
    return fits(wanted);
}

static void on_evict(struct loop_message *m)
{
    struct desk *desk = (struct desk *)((char *)m - offsetof(struct desk, evict));
    atomic_store(&desk->is_evicting, false);
    evict_own(MEMORY_GUESS);
}

static void ask_to_evict(struct desk *desk)
{
    if (!atomic_exchange(&desk->is_evicting, true))
        loop_post(desk->loop, &desk->evict);
}

static void ask_other_loops(void)
{
    for (unsigned i = 0; i != loop_count(); ++i)
        if (plugin_desk_at(i)->loop != loop_self())
            ask_to_evict(plugin_desk_at(i));
}

// --- making room where runs are ---

// One whose runs merely wait, before one at work; then the largest: few of them have to go.
static bool is_fitter(const struct worker *a, const struct worker *b)
{
    if (b == NULL || (a->heat == 0) != (b->heat == 0))
        return b == NULL || a->heat == 0;
    return a->bytes > b->bytes;
}

static struct worker *worker_to_yield(const char *project_id)
{
    struct worker *best = NULL;
    for (struct worker *w = plugin_desk()->oldest; w != NULL; w = w->newer)
        if (w->state == WORKER_IS_LIVE && is_of(w, project_id) && is_fitter(w, best))
            best = w;
    return best;
}

static void yield(struct worker *w, uint64_t held)
{
    log_warn("a worker goes, with its runs: its project's hold the most, and another has no room",
             "project=%s plugin=%s instance=%s worker=%u runs=%u bytes=%llu held=%llu of=%llu",
             w->handler->project_id, w->handler->plugin_id, w->handler->instance_id,
             w->process.number, w->run_count, (unsigned long long)w->bytes,
             (unsigned long long)held, (unsigned long long)plugin_options.workers_memory);
    worker_end(w, WORKER_END_YIELDED);
}

// On the loop of the project that held the most when it was asked.
static void on_yield(struct loop_message *m)
{
    struct desk *desk = (struct desk *)((char *)m - offsetof(struct desk, yield));
    atomic_store(&desk->is_yielding, false);
    while (!fits(MEMORY_GUESS)) {
        struct worker_holder most = worker_holders_most();
        uint64_t going = going_bytes(most.project_id);
        struct worker *w = worker_to_yield(most.project_id);
        if (w == NULL || most.bytes <= worker_holders_part() + going)
            return;
        yield(w, most.bytes - going);
    }
}

static void ask_to_yield(struct desk *desk)
{
    if (!atomic_exchange(&desk->is_yielding, true))
        loop_post(desk->loop, &desk->yield);
}

// --- having room ---
static uint64_t waited_ms(const struct plugin_instance *in)
{
    return in->first != NULL ? (clock_monotonic_us() - in->first->_.queued_at_us) / 1000 : 0;
}

// Workers that idle go: at first those of the loop whose project holds too much, then all others'.
static bool make_room(const struct plugin_instance *in, const struct worker_holder *most,
                      struct desk *home)
{
    bool is_elsewhere = most->bytes > worker_holders_part() && home != plugin_desk();
    if (is_elsewhere && waited_ms(in) < RETRY_MS / 2) {
        ask_to_evict(home);
        return false;
    }
    if (evict_own(MEMORY_GUESS))
        return true;
    ask_other_loops();
    return false;
}

bool worker_memory_has_room(const struct plugin_instance *in, bool is_first)
{
    bool has_little = worker_holders_has_little(in->handler->project_id);
    if (!has_little && worker_holders_is_kept())
        return false;
    if (fits(MEMORY_GUESS))
        return true;
    struct worker_holder most = worker_holders_most();
    struct desk *home = plugin_desk_at(loop_index(plugin_owner_loop(most.project_id)));
    if (make_room(in, &most, home))
        return true;
    if (!has_little || !is_first)
        return false;
    worker_holders_keep();
    if (most.bytes > worker_holders_part() && waited_ms(in) >= ROOM_WAIT_MS)
        ask_to_yield(home);
    return false;
}

// --- looking now and then ---
static void on_look(struct loop_timer *t)
{
    struct desk *desk = (struct desk *)((char *)t - offsetof(struct desk, memory));
    for (struct worker *w = desk->newest; w != NULL; w = w->older)
        if (w->heat != 0 && w->state == WORKER_IS_LIVE)
            worker_memory_look(w);
    if (desk->busy != 0)
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
    evict_own(0);
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
