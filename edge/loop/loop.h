// A loop: one thread with one libh2o event loop. A loop thread owns its connections, its caches and
// its counters, and never blocks. The only ways across threads are here: a message to a loop, a job
// to the pool (pool.h), and immutable counted values (shared.h).
#ifndef STOA_LOOP_LOOP_H
#define STOA_LOOP_LOOP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop; // opaque; its h2o side is in edge/loop/h2o.h, for edge/http, edge/guard and
             // edge/listener.c only

enum { LOOPS_MAX = 64 };

// The loop of the calling thread, or NULL on any other thread.
struct loop *loop_self(void);
unsigned loop_index(const struct loop *loop);
unsigned loop_count(void);
struct loop *loop_at(unsigned index);
// Milliseconds of the loop's clock (monotonic), read once a turn.
uint64_t loop_now(const struct loop *loop);
// How many times the loop has turned; the watch on stuck loops reads it from another thread.
uint64_t loop_turns(const struct loop *loop);

// A message: embed it, set `run`, post it; `run` is called once on that loop's thread, soon, in
// order of posting (of one thread's posts to one loop). Never from inside loop_post, not even on the
// loop's own thread. The poster gives the memory away until then. Any thread.
struct loop_message {
    void (*run)(struct loop_message *m);
    struct loop_message *_next;
};
void loop_post(struct loop *loop, struct loop_message *m);
// Calls fn(loop, arg) on every loop and returns when all have; not from a loop thread.
void loop_broadcast_wait(void (*fn)(struct loop *loop, void *arg), void *arg);

// A timer of a loop's own, embedded by its owner; must be stopped before its memory goes. Loop
// thread only.
struct loop_timer {
    void (*run)(struct loop_timer *t);
    uint64_t _at;
    size_t _slot; // in the heap, from 1; 0 = not running
};
// Again: moves it. After 0 it runs later in the same turn, behind the mail the loop has sent itself,
// or in the next, which then does not sleep.
void loop_timer_start(struct loop_timer *t, uint64_t after_ms);
void loop_timer_stop(struct loop_timer *t); // may be called on a stopped one
static inline bool loop_timer_is_running(const struct loop_timer *t)
{
    return t->_slot != 0;
}
#endif
