// Work that time asks for (collection, retention, later re-verification and renewal): one thread, a
// short table of tasks, each run at its period. A task is a quick call or a job it posts to the
// pool.
#ifndef STOA_SCHEDULER_H
#define STOA_SCHEDULER_H
#include <stdint.h>

// Before scheduler_start; `name` is a literal. The first run comes after `first_ms`.
void scheduler_add(const char *name, uint64_t first_ms, uint64_t period_ms, void (*run)(void));
void scheduler_start(void);
// Returns when the thread has ended; a running task is waited for.
void scheduler_stop(void);
#endif
