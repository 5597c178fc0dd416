// SQL states into enum fail. What PostgreSQL says may quote a row's values, so only classes whose
// messages are about names and resources go to the log with their words; the rest with state and
// names only.
#include "edge/store/internal.h"

static const char *field(const PGresult *result, int code)
{
    const char *text = PQresultErrorField(result, code);
    return text != NULL ? text : "";
}

static bool is_class(const char *state, const char *classes)
{
    for (; *classes != '\0'; classes += 2) {
        if (state[0] == classes[0] && state[1] == classes[1])
            return true;
    }
    return false;
}

static bool is_any(const char *state, const char *const *states)
{
    for (; *states != NULL; ++states) {
        if (strcmp(state, *states) == 0)
            return true;
    }
    return false;
}

// Connection (08), resources (53), operator (57), system (58), internal (XX), syntax and access
// (42), transaction state (25), rollback (40), object state (55).
static const char classes_without_values[] = "0853575842254055XX";

static void log_state(const PGresult *result, struct fault *fault, const char *state)
{
    const char *words =
        is_class(state, classes_without_values) ? field(result, PG_DIAG_MESSAGE_PRIMARY) : "";
    fault_log(fault, "sql state %s table=%.63s column=%.63s constraint=%.63s %.120s", state,
              field(result, PG_DIAG_TABLE_NAME), field(result, PG_DIAG_COLUMN_NAME),
              field(result, PG_DIAG_CONSTRAINT_NAME), words);
}

enum fail db_state_unavailable(struct fault *fault, const char *why)
{
    fault_set(fault, FAIL_BUSY, "database_unavailable",
              "The database cannot be reached right now. Try again in a moment.");
    fault_log(fault, "database: %.*s", (int)strcspn(why, "\n"), why);
    return FAIL_BUSY;
}

enum fail db_state_fault(const PGresult *result, struct fault *fault)
{
    // serialization_failure, deadlock_detected, and what another's row forbids
    static const char *const conflicts[] = {"23505", "23503", "23P01", "40001", "40P01", NULL};
    // query_canceled is our own statement_timeout; lock_not_available our lock_timeout
    static const char *const slow[] = {"57014", "55P03", NULL};
    static const char *const away[] = {"53300", "25006", NULL}; // no connection left; a standby
    const char *state = field(result, PG_DIAG_SQLSTATE);
    enum fail f;
    if (is_any(state, conflicts))
        f = fault_set(fault, FAIL_CONFLICT, "conflict",
                      "Something else changed this at the same time. Look at it again and retry.");
    else if (is_any(state, slow))
        f = fault_set(fault, FAIL_BUSY, "database_busy",
                      "The database is too busy right now. Try again in a moment.");
    else if (strcmp(state, "53100") == 0)
        f = fault_set(fault, FAIL_QUOTA, "disk_full",
                      "The server's disk is full. Its operator must make room.");
    else if (is_class(state, "08") || is_any(state, away) || db_state_is_goodbye(result))
        f = fault_set(fault, FAIL_BUSY, "database_unavailable",
                      "The database cannot be reached right now. Try again in a moment.");
    else
        f = fault_set(fault, FAIL_INTERNAL, "internal",
                      "Something went wrong on the server. Its log has the reason under this "
                      "request's id.");
    log_state(result, fault, state);
    return f;
}

bool db_state_is_goodbye(const PGresult *result)
{
    return str_starts(str_from(field(result, PG_DIAG_SQLSTATE)), STR("57P"));
}

bool db_state_is_stale(const PGresult *result)
{
    static const char *const stale[] = {"26000", "0A000", NULL};
    return is_any(field(result, PG_DIAG_SQLSTATE), stale);
}
