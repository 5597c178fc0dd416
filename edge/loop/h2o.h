// The libh2o side of a loop, for the doors of libh2o only: edge/loop, edge/http, edge/guard,
// edge/listener.c.
#ifndef STOA_LOOP_H2O_H
#define STOA_LOOP_H2O_H
#include <h2o.h>
#include "edge/loop/loop.h"

// Makes `count` loops over one configuration (which must outlive them) and starts their threads;
// `on_start` is called on each loop's thread before its first turn; returns when all have been. Process start only.
void loops_start(unsigned count, h2o_globalconf_t *config, void (*on_start)(struct loop *loop));
// Ends each thread after its present turn and joins it; the loops' memory stays (libh2o's own
// teardown asserts what a drain cannot promise).
void loops_stop(void);
h2o_context_t *loop_h2o(struct loop *loop);
#endif
