// What happened to workers and runs, counted over all loops. Labels are of closed lists.
#include <inttypes.h>
#include "public-actions/plugin/internal.h"

enum { OUTCOMES = PLUGIN_BUSY + 1 };
static _Atomic uint64_t outcomes[OUTCOMES], ends[WORKER_ENDS], workers, bytes;

static const char *const outcome_names[OUTCOMES] = {
    [PLUGIN_RETURNED] = "returned",           [PLUGIN_THREW] = "threw",
    [PLUGIN_TIMED_OUT] = "timed_out",         [PLUGIN_CRASHED] = "crashed",
    [PLUGIN_OUT_OF_MEMORY] = "out_of_memory", [PLUGIN_TOO_LARGE] = "too_large",
    [PLUGIN_NOT_LOADED] = "not_loaded",       [PLUGIN_BUSY] = "busy",
};

static void add(_Atomic uint64_t *to, uint64_t by)
{
    atomic_fetch_add_explicit(to, by, memory_order_relaxed);
}
static uint64_t value(_Atomic uint64_t *of)
{
    return atomic_load_explicit(of, memory_order_relaxed);
}

void plugin_count_outcome(enum plugin_outcome outcome)
{
    add(&outcomes[outcome], 1);
}
void plugin_count_end(enum worker_end end)
{
    add(&ends[end], 1);
}
void plugin_count_workers(int by)
{
    add(&workers, (uint64_t)(int64_t)by);
}
void plugin_count_bytes(int64_t by)
{
    add(&bytes, (uint64_t)by);
}
uint64_t plugin_worker_bytes(void)
{
    return value(&bytes);
}

static void family(struct buf *to, const char *name, const char *type, const char *help)
{
    buf_addf(to, "# HELP stoa_handler_%s %s\n# TYPE stoa_handler_%s %s\n", name, help, name, type);
}

void plugin_metrics(struct buf *to)
{
    family(to, "runs_total", "counter", "Runs of plugins' handlers, by how they ended.");
    for (size_t i = 0; i != OUTCOMES; ++i)
        buf_addf(to, "stoa_handler_runs_total{outcome=\"%s\"} %" PRIu64 "\n", outcome_names[i],
                 value(&outcomes[i]));
    family(to, "workers_ended_total", "counter", "Handler workers that went, by why.");
    for (size_t i = 0; i != WORKER_ENDS; ++i)
        buf_addf(to, "stoa_handler_workers_ended_total{reason=\"%s\"} %" PRIu64 "\n",
                 worker_end_names[i], value(&ends[i]));
    family(to, "workers", "gauge", "Handler workers with an instance.");
    buf_addf(to, "stoa_handler_workers %" PRIu64 "\n", value(&workers));
    family(to, "worker_bytes", "gauge", "Memory of their own, when last looked at.");
    buf_addf(to, "stoa_handler_worker_bytes %" PRIu64 "\n", value(&bytes));
}
