// The memory of workers: what each one has made its own (anonymous pages, by /proc/PID/statm, which
// any user may read), looked at while it works and when it has tidied up. The sum is the process's;
// over its limit, workers that idle go, the least recently used of a loop first. Where /proc hides
// other users' processes, a worker counts as a guess.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "public-actions/plugin/internal.h"

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
static bool is_idle(const struct worker *w)
{
    return w->state == WORKER_IS_LIVE && w->run_count == 0;
}

// Until `wanted` more would fit; false when they do not.
static bool evict_own(uint64_t wanted)
{
    uint64_t used = plugin_worker_bytes(), most = plugin_options.workers_memory;
    struct worker *newer;
    for (struct worker *w = plugin_desk()->oldest; w != NULL && used + wanted > most; w = newer) {
        newer = w->newer;
        if (is_idle(w))
            worker_end(w, WORKER_END_EVICTED);
        if (w->state == WORKER_IS_ENDED)
            used -= used < w->bytes ? used : w->bytes; // about to be free
    }
    return used + wanted <= most;
}

static void on_evict(struct loop_message *m)
{
    struct desk *desk = (struct desk *)((char *)m - offsetof(struct desk, evict));
    atomic_store(&desk->is_evicting, false);
    evict_own(MEMORY_GUESS);
}

static void ask_other_loops(void)
{
    for (unsigned i = 0; i != loop_count(); ++i) {
        struct desk *desk = plugin_desk_at(i);
        if (desk->loop != loop_self() && !atomic_exchange(&desk->is_evicting, true))
            loop_post(desk->loop, &desk->evict);
    }
}

bool worker_memory_has_room(void)
{
    if (evict_own(MEMORY_GUESS))
        return true;
    ask_other_loops();
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
    desk->memory.run = on_look;
    desk->tick.run = on_tick;
    loop_timer_start(&desk->tick, TICK_MS);
}
