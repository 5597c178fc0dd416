// How many runs of a trivial handler go through plugin_start on one loop, and how long each takes:
// bench_plugin [in flight] [seconds]; or what N warm handlers hold, and how runs of any of them go:
// bench_plugin warm N. For people.
#include "edge/loop/h2o.h"
#include "tests/unit/plugin/forked.h"
#include "tests/unit/plugin/played.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "edge/base/clock.h"
#include "public-actions/plugin/internal.h"

enum { FLIGHT_MAX = 1024, SAMPLES = 1 << 20 };
static struct plugin_run runs[FLIGHT_MAX];
static struct handler *handler;
static uint64_t until, total_queued, total_ran, began[FLIGHT_MAX];
static uint32_t *samples;
static unsigned count, wrong;
static _Atomic unsigned left;

static void on_done(struct plugin_run *run, const struct plugin_answer *answer);
static const struct plugin_run_calls calls = {.on_done = on_done};

static void begin(struct plugin_run *run)
{
    static const char body[] =
        "{\"export\":\"handler\",\"input\":{\"_publicAction\":true,\"actionId\":\"a\",\"payload\":{"
        "}},"
        "\"context\":{\"kind\":\"public\",\"user\":{\"id\":\"u\",\"displayName\":\"d\"},"
        "\"secrets\":{},"
        "\"userConfig\":{},\"publicApp\":{\"instanceId\":\"i\",\"visitorIp\":\"::1\"}}}";
    *run = (struct plugin_run){.handler = handler, .calls = &calls, .timeout_ms = 10000};
    buf_init(&run->call, 4096);
    buf_add(&run->call, str_of(body, sizeof body - 1));
    began[run - runs] = clock_monotonic_us();
    plugin_start(run);
}

static void on_done(struct plugin_run *run, const struct plugin_answer *answer)
{
    uint64_t now = clock_monotonic_us();
    wrong += answer->outcome != PLUGIN_RETURNED;
    total_queued += answer->queued_us;
    total_ran += answer->ran_us;
    if (count < SAMPLES)
        samples[count] = (uint32_t)(now - began[run - runs]);
    ++count;
    if (now < until)
        begin(run);
    else
        --left;
}

static void begin_all(void *arg)
{
    unsigned n = *(unsigned *)arg;
    for (unsigned i = 0; i != n; ++i)
        begin(&runs[i]);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t pss_kib(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Pss: %llu", &kib) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return kib;
}

static void say_memory(const char *when, unsigned n)
{
    uint64_t kib = 0;
    for (unsigned i = 0; i != forked_started && i != FORKED_KEPT; ++i)
        kib += pss_kib(forked_pids[i]);
    printf("%u handlers %s: %.0f MiB PSS with spares, %.0f MiB as the pool counts\n", n, when,
           (double)kib / 1024, (double)plugin_worker_bytes() / 1048576);
}

static void run_once(struct handler *h)
{
    free(run_one(h, "{\"export\":\"handler\",\"input\":{},\"context\":{\"kind\":\"public\","
                    "\"publicApp\":{}}}"));
}

// One after the other, of any.
static void run_at_random(struct handler *const all[], unsigned n)
{
    enum { RUNS = 20000 };
    unsigned started = forked_started;
    uint64_t start = clock_monotonic_us();
    for (unsigned i = 0; i != RUNS; ++i)
        run_once(all[(unsigned)rand() % n]);
    double seconds = (double)(clock_monotonic_us() - start) / 1e6;
    printf("%u runs at random: %.0f runs/s, %u workers more\n", RUNS, RUNS / seconds,
           forked_started - started);
}

static void warm(unsigned n)
{
    struct handler **all = calloc(n, sizeof(struct handler *));
    for (unsigned i = 0; i != n; ++i) {
        char id[24];
        snprintf(id, sizeof id, "ins_%u", i);
        all[i] = desk_handler(id, id, "dep",
                              "module.exports = { handler: async (i) => ({ ok: "
                              "[...'abcdef'].map((c) => c + i) }) };");
        for (int k = 0; k != 50; ++k)
            run_once(all[i]);
    }
    say_memory("just warmed", n);
    nanosleep(&(struct timespec){.tv_sec = 5}, NULL);
    say_memory("idle", n);
    run_at_random(all, n);
    free(all);
}

int main(int argc, char **argv)
{
    unsigned flight = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2;
    const struct plugin_options options = {.worker_memory = UINT64_C(256) << 20,
                                           .workers_memory = UINT64_C(1536) << 20,
                                           .busy_ms = 10000,
                                           .queue_runs = 4096,
                                           .spares = 2,
                                           .source = &forked_source};
    samples = calloc(SAMPLES, sizeof *samples);
    forked_init();
    desk_start(1, &options);
    if (argc > 2 && strcmp(argv[1], "warm") == 0) {
        warm(seconds);
        return 0;
    }
    handler = desk_handler("ins", "plg", "dep",
                           "module.exports = { handler: async () => ({ ok: true }) };");
    flight = flight < FLIGHT_MAX ? flight : FLIGHT_MAX;
    left = 1;
    until = 0; // one to warm up
    unsigned one = 1;
    desk_call(handler, begin_all, &one);
    while (left != 0)
        ;
    count = 0;
    total_queued = total_ran = 0;
    left = flight;
    uint64_t start = clock_monotonic_us();
    until = start + seconds * UINT64_C(1000000);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    struct {
        unsigned *n;
    } arg = {&flight};
    desk_call(handler, begin_all, arg.n);
    while (left != 0) {
        struct timespec pause = {.tv_nsec = 10000000};
        nanosleep(&pause, NULL);
    }
    getrusage(RUSAGE_SELF, &after);
    double took = (double)(clock_monotonic_us() - start) / 1e6;
    double cpu = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec -
                          before.ru_stime.tv_sec) +
                 (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec +
                          after.ru_stime.tv_usec - before.ru_stime.tv_usec) /
                     1e6;
    unsigned n = count < SAMPLES ? count : SAMPLES;
    qsort(samples, n, sizeof *samples, by_size);
    printf("%u in flight: %.0f runs/s, %u wrong, p50 %u us, p99 %u us, server %.1f us CPU a run, "
           "%u workers\n",
           flight, count / took, wrong, samples[n / 2], samples[n - n / 100 - 1], cpu * 1e6 / count,
           forked_started);
    return 0;
}
