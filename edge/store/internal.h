// What the .c files of this folder share about libpq.
#ifndef STOA_STORE_INTERNAL_H
#define STOA_STORE_INTERNAL_H
#include <libpq-fe.h>
#include "edge/store/db.h"

enum { DB_PARAMS_MAX = 24 };

// Parameters in the shape libpq wants.
struct bound {
    int count;
    const char *values[DB_PARAMS_MAX];
    int lengths[DB_PARAMS_MAX], formats[DB_PARAMS_MAX];
    char *copies; // of what was not NUL-terminated
};
enum fail db_bound_init(struct bound *b, const struct db_param *params, size_t count,
                        struct fault *fault) MUST_CHECK;
void db_bound_fini(struct bound *b);

// "The database cannot be reached"; `why` goes to the log.
enum fail db_state_unavailable(struct fault *fault, const char *why);
// By the SQL state of a failed result.
enum fail db_state_fault(const PGresult *result, struct fault *fault);
// A plan that went stale under a changed schema, or a statement the server has forgotten: was not
// carried out, and may be prepared anew.
bool db_state_is_stale(const PGresult *result);
// The server's last words: shut down, terminated, crashed.
bool db_state_is_goodbye(const PGresult *result);
#endif
