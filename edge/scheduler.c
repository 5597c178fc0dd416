// A thread that sleeps until the next task is due.
#include "edge/scheduler.h"
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"

enum { TASKS_MAX = 32 };

static struct task {
    const char *name;
    uint64_t due, period;
    void (*run)(void);
} tasks[TASKS_MAX];
static size_t count;
static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards is_stopping
static pthread_cond_t wake;
static bool is_stopping;

void scheduler_add(const char *name, uint64_t first_ms, uint64_t period_ms, void (*run)(void))
{
    assert(count < TASKS_MAX);
    tasks[count++] = (struct task){name, clock_monotonic_ms() + first_ms, period_ms, run};
}

static struct task *next_task(void)
{
    struct task *next = &tasks[0];
    for (size_t i = 1; i < count; ++i)
        if (tasks[i].due < next->due)
            next = &tasks[i];
    return next;
}

static void *scheduler_main(void *arg)
{
    pthread_setname_np(pthread_self(), "scheduler");
    pthread_mutex_lock(&lock);
    while (!is_stopping) {
        struct task *t = next_task();
        if (t->due > clock_monotonic_ms()) {
            struct timespec until = {(time_t)(t->due / 1000), (long)(t->due % 1000) * 1000000};
            pthread_cond_timedwait(&wake, &lock, &until);
            continue;
        }
        pthread_mutex_unlock(&lock);
        uint64_t began = clock_monotonic_ms();
        t->run();
        t->due = clock_monotonic_ms() + t->period;
        log_debug("a task ran", "task=%s ms=%lu", t->name,
                  (unsigned long)(clock_monotonic_ms() - began));
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

void scheduler_start(void)
{
    assert(count != 0);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&wake, &monotonic);
    if (pthread_create(&thread, NULL, scheduler_main, NULL) != 0)
        abort();
}

void scheduler_stop(void)
{
    pthread_mutex_lock(&lock);
    is_stopping = true;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}
