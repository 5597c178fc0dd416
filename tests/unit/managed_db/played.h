// The blocking half of managed_db, played: databases, roles and schemas are made in the test's own
// cluster by a superuser, without any state of ours. And questions put to a loop from the test's
// thread.
#ifndef STOA_TESTS_MANAGED_DB_PLAYED_H
#define STOA_TESTS_MANAGED_DB_PLAYED_H
#include <stdatomic.h>
#include <libpq-fe.h>
#include "public-actions/managed_db/internal.h"

extern struct managed_db_options played_options;
extern _Atomic unsigned played_accesses, played_restores;
extern _Atomic bool played_is_refusing; // access cannot be had

// Starts the cluster, `count` loops and the pool. Plugin "p" of project "a" has role "role_a_p" in
// database "project_a", schema "s_p".
void played_start(unsigned count);
void played_stop(void);
const char *played_superuser_url(void);
// One statement as the superuser in that database (NULL: postgres); its first value, or "".
const char *played_sql(const char *database, const char *sql);

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
