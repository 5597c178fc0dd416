// The server's reader against a handler worker that was taken over: any bytes, cut anywhere. The
// first byte chooses how they are cut, the second what the worker was given before: its code only,
// or up to three runs. Reading is worker_io.c and worker_frames.c; the worker's life is played.
// What reaches a run's owner is well-formed and within the limits of internal.h, always.
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/base/jsonx.h"
#include "public-actions/plugin/internal.h"

enum { RUNS = 3, IS_LOADING = 4, IS_PINGED = 8, OWES_STATS = 16, IS_BLANK = 32, IS_REFUSING = 64 };

// A run with what was seen of it.
struct seen {
    struct plugin_run run; // first
    unsigned lines, bridges;
    size_t log_bytes;
    bool is_done;
};

static struct desk desk;
static struct plugin_instance instance;
static struct worker worker;
static struct seen seen[RUNS];
static bool refuses_calls; // answers no bridge call, so that they pile up

struct plugin_options plugin_options = {.worker_memory = 1 << 20, .busy_ms = 10000};

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool is_json(str s, char first)
{
    return s.n != 0 && s.p[0] == first && jsonx_is_valid(s, JSONX_DEPTH_MAX);
}

// --- what a run's owner sees ---

static void on_bridge(struct plugin_run *run, uint32_t call, str op, str args)
{
    struct seen *s = (struct seen *)run;
    must(!s->is_done && ++s->bridges <= CALLS_PER_RUN);
    must(op.n != 0 && op.n <= 64 && args.n <= WORKER_FROM_MAX && is_json(args, '['));
    must(!str_eq(op, STR("timer")));
    if (call != 0 && !refuses_calls) { // as plugin_reply does
        --run->_.in_flight;
        run->_.in_flight_bytes = 0;
        worker_send(&worker, WORKER_REPLY, 0, call, run->_.id, STR("null"));
        worker_note(run);
    }
}

static void on_log(struct plugin_run *run, str level, str text)
{
    struct seen *s = (struct seen *)run;
    s->log_bytes += text.n;
    must(!s->is_done && ++s->lines <= LOG_LINES + 1 && s->log_bytes <= LOG_BYTES + 64);
    must(level.n >= 3 && level.n <= 5 && str_is_utf8(text));
}

static const struct plugin_run_calls calls = {.on_bridge = on_bridge, .on_log = on_log};

// --- the life around the reader ---

void plugin_finish(struct plugin_run *run, enum plugin_outcome outcome, str meta, str data)
{
    struct seen *s = (struct seen *)run;
    must(!s->is_done && outcome <= PLUGIN_BUSY && run->_.worker == NULL);
    must(is_json(meta, '{') && meta.n <= WORKER_META_MAX && data.n <= WORKER_RESULT_MAX);
    must(data.n == 0 || (outcome == PLUGIN_RETURNED && jsonx_is_valid(data, JSONX_DEPTH_MAX)));
    s->is_done = true;
}

void worker_take_back(struct plugin_run *run)
{
    worker_timers_drop(run);
    worker.runs[run->_.id % RUNS_PER_WORKER] = NULL;
    worker.unstarted -= run->_.step == RUN_GIVEN;
    worker.crowded -= run->_.is_crowded;
    run->_.worker = NULL;
    run->_.in_flight = 0;
    run->_.is_crowded = false;
    run->_.step = RUN_NEW;
}

void worker_note(struct plugin_run *run)
{
    bool is_crowded =
        run->_.in_flight >= CALLS_IN_FLIGHT || run->_.in_flight_bytes >= CALL_BYTES_IN_FLIGHT;
    if (is_crowded != run->_.is_crowded)
        worker.crowded = is_crowded ? worker.crowded + 1 : worker.crowded - 1;
    run->_.is_crowded = is_crowded;
}

void worker_end(struct worker *w, enum worker_end why)
{
    must(why < WORKER_ENDS);
    w->state = WORKER_IS_ENDED;
}

void worker_retire(struct worker *w, enum worker_end why)
{
    must(!w->is_retiring && why < WORKER_ENDS);
    w->is_retiring = true;
}

void worker_proves(struct worker *w, bool is_pong)
{
    if (is_pong)
        w->ping = 0;
}

void worker_is_loaded(struct worker *w)
{
    must(w->state == WORKER_IS_LOADING);
    w->state = WORKER_IS_LIVE;
}

void plugin_instance_refuse(struct plugin_instance *in, enum plugin_outcome outcome, str meta)
{
    must(in == &instance && outcome == PLUGIN_NOT_LOADED && is_json(meta, '{'));
}

void plugin_instance_feed(struct plugin_instance *in)
{
    must(in == &instance);
}

void worker_memory_look(struct worker *w)
{
    w->bytes = plugin_options.worker_memory; // retires it
}

struct desk *plugin_desk(void)
{
    return &desk;
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms)
{
    must(after_ms <= INT32_MAX);
}

void loop_timer_stop(struct loop_timer *t)
{
}

void loop_watch_start(struct loop_watch *w, int fd, bool readable, bool writable)
{
    must(fd >= 0);
}

// --- one worker ---

static void give(size_t i)
{
    size_t place = i * 7; // not all of them the first ones
    struct plugin_run *run = &seen[i].run;
    run->calls = &calls;
    run->timeout_ms = 1000;
    run->_.worker = &worker;
    run->_.id = ++worker.last_number * RUNS_PER_WORKER + (uint32_t)place;
    run->_.step = RUN_GIVEN;
    worker.runs[place] = run;
    ++worker.unstarted;
}

static void set_up(unsigned what, int fd)
{
    static struct handler handler;
    worker = (struct worker){.instance = &instance,
                             .handler = &handler,
                             .state = (what & IS_LOADING) != 0 ? WORKER_IS_LOADING : WORKER_IS_LIVE,
                             .is_ready = (what & IS_BLANK) == 0,
                             .owes_stats = (what & OWES_STATS) != 0,
                             .process.fd = fd};
    memset(seen, 0, sizeof seen);
    refuses_calls = (what & IS_REFUSING) != 0;
    if (worker.state == WORKER_IS_LIVE)
        for (size_t i = 0; i != (what & 3); ++i)
            give(i);
    worker.ping = (what & IS_PINGED) != 0 ? 1 : 0;
    worker.ping_number = worker.last_number;
}

// What it is sent is of no interest here.
static void drain(int fd)
{
    static char room[65536];
    while (recv(fd, room, sizeof room, MSG_DONTWAIT) > 0)
        ;
}

static void feed(int fd, const uint8_t *data, size_t size, size_t step)
{
    for (size_t at = 0; at < size && worker.state != WORKER_IS_ENDED; at += step) {
        size_t n = size - at < step ? size - at : step;
        must(send(fd, data + at, n, MSG_NOSIGNAL) == (ssize_t)n);
        worker_on_readable(&worker.watch);
        drain(fd);
        if (worker.is_paused &&
            worker.state != WORKER_IS_ENDED) { // as its watchdog does in the end
            worker.is_strict = true;
            worker_resume(&worker.resume);
        }
        must(worker.in.to - worker.in.from <= WORKER_FROM_MAX + SCRATCH);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    if (size < 2)
        return 0;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    set_up(data[1], fds[0]);
    size_t step = data[0] != 0 ? data[0] : 32768;
    feed(fds[1], data + 2, size - 2, step);
    for (size_t i = 0; i != RUNS; ++i)
        if (!seen[i].is_done)
            worker_timers_drop(&seen[i].run);
    worker_bytes_fini(&worker.in);
    worker_bytes_fini(&worker.out);
    close(fds[0]);
    close(fds[1]);
    return 0;
}
