// Workers that are the real program, forked by the test as the supervisor would: caged, but in
// builds with a sanitizer.
#ifndef STOA_TESTS_PLUGIN_FORKED_H
#define STOA_TESTS_PLUGIN_FORKED_H
#include <stdatomic.h>
#include "public-actions/plugin/plugin.h"

extern const struct plugin_source forked_source;
extern _Atomic unsigned forked_started;
enum { FORKED_KEPT = 1024 };
extern _Atomic pid_t forked_pids[FORKED_KEPT]; // of the first ones
// Starts the thread that reaps them, and tells the pool.
void forked_init(void);
#endif
