// Workers played by threads: honest ones, and those that do what their call's body says. And a desk
// to try them on: runs started from the test's thread, and all that came of them.
#ifndef STOA_TESTS_PLUGIN_PLAYED_H
#define STOA_TESTS_PLUGIN_PLAYED_H
#include <stdatomic.h>
#include "public-actions/plugin/plugin.h"
#include "public-actions/runtime/protocol.h"

// --- workers ---
extern const struct plugin_source played_source;
extern _Atomic unsigned played_started, played_killed, played_alive;
extern _Atomic bool played_none; // none can be started
void played_send(int fd, uint8_t type, uint8_t flags, uint32_t id, uint32_t ref, const char *body,
                 size_t n);

// --- runs ---
enum { BRIDGES_KEPT = 200 };
struct played_run {
    struct plugin_run run; // first
    _Atomic unsigned done;
    struct plugin_answer answer; // its texts copied
    char meta[2048], data[2048], log[4096], last_args[256];
    _Atomic unsigned bridges, lines, one_ways;
    uint32_t open_calls[BRIDGES_KEPT]; // of the op "keep"
    unsigned open_count;
    struct loop_timer later; // of the op "later"
    uint32_t later_call;
    const char *body;
};

// What these tests have in common of the pool's options.
struct plugin_options desk_options(const struct plugin_source *source, uint64_t busy_ms);
// Loops (of the number given), the pool's options; once a program.
void desk_start(unsigned loops, const struct plugin_options *o);
void desk_stop(void); // waits for all played workers to be gone
struct handler *desk_handler(const char *instance, const char *plugin, const char *deployment,
                             const char *code);
// An instance of its own for each test, so that none inherits another's offences; plugin NULL: of a
// plugin of its own, too.
struct handler *desk_new_handler(const char *plugin, const char *code);
void desk_drop(struct handler *h);
void desk_sleep(unsigned ms);
// Starts it on its owner's loop.
void run_start(struct played_run *r, struct handler *h, const char *body);
void run_wait(struct played_run *r);
// Answers what it keeps open, if it is not over.
void run_release(struct played_run *r);
struct played_run *run_one(struct handler *h, const char *body); // and waits; to be freed
// … and fails the test unless it ends so; data NULL: whatever is answered.
void run_expect(struct handler *h, const char *body, enum plugin_outcome outcome, const char *data);
void desk_wait(_Atomic unsigned *value, unsigned at_least);
// Changes an option while no loop looks.
void desk_set(uint64_t *option, uint64_t value);
// Calls fn(arg) on the loop of that handler's project, and waits.
void desk_call(struct handler *h, void (*fn)(void *arg), void *arg);
#endif
