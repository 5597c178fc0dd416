// Draining, in order: listeners, connections, pool, loops, access log.
#include "edge/shutdown.h"
#include <time.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/http/access.h"
#include "edge/http/event_stream.h"
#include "edge/http/management.h"
#include "edge/listener.h"
#include "edge/loop/h2o.h"

enum { LOOK_EVERY_MS = 20 };

static uint64_t drain_ms;

static void begin(struct loop *loop, void *arg)
{
    struct guard_loop *guards = arg;
    listener_stop(loop);
    event_stream_end_all();
    // HTTP/2 peers hear which streams will still be answered while there is time to answer them
    guard_loop_shutdown(&guards[loop_index(loop)], drain_ms - drain_ms / 4);
}

static void kill_all(struct loop *loop, void *arg)
{
    struct guard_loop *guards = arg;
    guard_loop_kill_all(&guards[loop_index(loop)]);
}

static bool wait_for_all(size_t (*running)(void), uint64_t until)
{
    while (guard_counters().connections != 0 || management_running() != 0 || running() != 0) {
        if (clock_monotonic_ms() >= until)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000L}, NULL);
    }
    return true;
}

bool shutdown_run(struct guard_loop *guards, size_t (*running)(void), uint64_t timeout_ms)
{
    uint64_t began = clock_monotonic_ms();
    drain_ms = timeout_ms;
    loop_broadcast_wait(begin, guards);
    bool is_clean = wait_for_all(running, began + timeout_ms);
    if (!is_clean) {
        log_warn("some requests did not finish in time and are cut", "connections=%lu",
                 (unsigned long)guard_counters().connections);
        loop_broadcast_wait(kill_all, guards);
    }
    pool_drain(1000);
    loops_stop();
    access_log_stop();
    log_info("drained", "ms=%lu", (unsigned long)(clock_monotonic_ms() - began));
    return is_clean;
}
