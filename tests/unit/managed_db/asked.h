// Questions put to a loop from the test's thread.
#ifndef STOA_TESTS_MANAGED_DB_ASKED_H
#define STOA_TESTS_MANAGED_DB_ASKED_H
#include <stdatomic.h>
#include "public-actions/managed_db/managed_db.h"

struct asked {
    struct loop_message message, cancel;
    struct loop *loop;
    const char *project, *plugin;
    char *args; // freed
    uint64_t within_ms;
    struct managed_db_query *query;     // loop's
    void (*on_answer)(struct asked *a); // may be NULL; on the loop
    _Atomic bool is_done;
    bool is_error;
    char *json; // NUL-terminated
};
// Posts the question to the loop; `args` is a printf format.
void ask_start(struct asked *a, const char *project, const char *plugin, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void ask_wait(struct asked *a);
void ask_cancel(struct asked *a);
void ask_forget(struct asked *a);
// Asks and waits; the answer lives until the next call.
const char *ask(const char *project, const char *plugin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
extern bool ask_is_error;
#endif
