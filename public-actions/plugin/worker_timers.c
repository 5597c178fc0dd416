// setTimeout: a bridge call that is answered when its time has come. A timer that the handler has
// cleared is not told of; its answer finds nobody there.
#include <stdlib.h>
#include "public-actions/plugin/internal.h"

// What the worker may ask for in a run's name beside its own: the times of runs that are over.
enum { TIMERS_FOR_OTHERS = 64 };

struct run_timer {
    struct loop_timer super;
    struct plugin_run *run;
    struct run_timer *next, **at; // among the run's
    uint32_t call;
};

static void unlink_timer(struct run_timer *t)
{
    *t->at = t->next;
    if (t->next != NULL)
        t->next->at = t->at;
    --t->run->_.timers;
}

static void on_time(struct loop_timer *super)
{
    struct run_timer *t = (struct run_timer *)super;
    struct plugin_run *run = t->run;
    uint32_t call = t->call;
    unlink_timer(t);
    free(t);
    worker_send(run->_.worker, WORKER_REPLY, 0, call, run->_.id, (str){0});
    worker_note(run);
}

static void refuse(struct plugin_run *run, uint32_t call, str words)
{
    worker_send(run->_.worker, WORKER_REPLY, WORKER_FAILED, call, run->_.id, words);
}

void worker_timer_start(struct plugin_run *run, uint32_t call, str args)
{
    uint64_t ms;
    if (args.n < 2 || !str_to_u64(str_of(args.p + 1, args.n - 2), INT32_MAX, &ms)) {
        refuse(run, call, STR("{\"message\":\"A timer's delay is a number of milliseconds.\"}"));
        return;
    }
    if (run->_.timers == TIMERS_PER_RUN + TIMERS_FOR_OTHERS) {
        refuse(run, call, STR("{\"message\":\"More than 1000 timers run at once.\"}"));
        return;
    }
    struct run_timer *t = calloc(1, sizeof *t), **first = (struct run_timer **)&run->_.first_timer;
    if (t == NULL)
        abort();
    *t = (struct run_timer){
        .super.run = on_time, .run = run, .next = *first, .at = first, .call = call};
    if (t->next != NULL)
        t->next->at = &t->next;
    *first = t;
    ++run->_.timers;
    loop_timer_start(&t->super, ms);
}

void worker_timers_drop(struct plugin_run *run)
{
    for (struct run_timer *t = run->_.first_timer, *next; t != NULL; t = next) {
        next = t->next;
        loop_timer_stop(&t->super);
        free(t);
    }
    run->_.first_timer = NULL;
    run->_.timers = 0;
}
