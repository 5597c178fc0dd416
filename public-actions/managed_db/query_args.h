// What a handler asks: one statement, its parameters and its options, read from the worker's JSON,
// which is a stranger's.
#ifndef STOA_MANAGED_DB_QUERY_ARGS_H
#define STOA_MANAGED_DB_QUERY_ARGS_H
#include "public-actions/managed_db/encode.h"

enum {
    MANAGED_DB_SQL_MAX = 1024 * 1024,
    MANAGED_DB_TIMEOUT_MS = 30000, // default and most
    MANAGED_DB_ROWS = 1000,        // default
    MANAGED_DB_ROWS_MAX = 10000,
};

struct managed_db_args {
    char *sql; // NUL-terminated
    struct managed_db_params params;
    uint32_t timeout_ms, max_rows;
    bool is_read;     // begins with SELECT, TABLE or VALUES: breaking it off loses nothing
    size_t footprint; // bytes of memory, about
};
// `json`: an array known to be valid (jsonx_is_valid), [sql, params?, {"timeoutMs"?,"maxRows"?}?],
// which is walked, not built, and whose numbers keep the digits they were written with. Failures:
// FAIL_BAD_INPUT "invalid_query", "invalid_parameter"; FAIL_TOO_LARGE "query_too_large",
// "parameters_too_large"; FAIL_DENIED "statement_refused" for LISTEN, NOTIFY, UNLISTEN, LOAD, PREPARE
// TRANSACTION, and what a role does to itself.
enum fail managed_db_args_init(struct managed_db_args *a, str json, struct fault *fault) MUST_CHECK;
// Takes one that is zeroed, or was left by a failure.
void managed_db_args_fini(struct managed_db_args *a);
#endif
