// One query of a handler's, as the .c files of the owner loop's half share it. Its life: it waits
// in its role's line (connections.c), runs on a connection (query_run.c) while its answer is
// written (query_answer.c), and ends in one on_done (query.c). All on one owner loop.
#ifndef STOA_MANAGED_DB_QUERY_INTERNAL_H
#define STOA_MANAGED_DB_QUERY_INTERNAL_H
#include <sys/queue.h>
#include "public-actions/managed_db/decode.h"
#include "public-actions/managed_db/internal.h"
#include "public-actions/managed_db/query_args.h"

struct managed_db_role;
struct managed_db_connection;

enum managed_db_outcome {
    MANAGED_DB_ANSWERED,    // rows
    MANAGED_DB_REFUSED,     // an error of the statement's own, or of its arguments
    MANAGED_DB_TIMED_OUT,   // ended by us, the statement would not
    MANAGED_DB_BUSY,        // no connection in time, line full
    MANAGED_DB_UNAVAILABLE, // the cluster is away, or went away
    MANAGED_DB_OUTCOMES
};

struct managed_db_query {
    TAILQ_ENTRY(managed_db_query) link; // in its role's line
    struct managed_db_role *role;       // NULL: not in line
    struct managed_db_connection *connection;
    struct managed_db_args args;
    char user_id[64];
    uint64_t deadline; // loop_now
    struct loop_timer timer;
    bool is_overdue;                                     // told to stop
    void (*on_done)(void *arg, bool is_error, str json); // NULL: nobody waits any more
    void *arg;
    // the answer
    enum managed_db_outcome outcome;
    bool has_answer; // of either kind; of errors the first counts
    bool has_error;
    bool has_rows, is_cut;
    uint64_t began_us;
    size_t rows;
    struct managed_db_columns columns;
    struct buf answer;
};

// --- query.c ---

// The one exit: counts, calls on_done, frees.
void managed_db_query_finish(struct managed_db_query *q);
// The same, but later: for failures that are found inside of a call.
void managed_db_query_finish_later(struct managed_db_query *q);
// From its line to a connection: the clock that ends it is set.
void managed_db_query_set_off(struct managed_db_query *q);

// --- query_answer.c ---

void managed_db_answer_begin(struct managed_db_query *q);
// Rows as they come; those over the limits are left out, as all behind them.
void managed_db_answer_rows(struct managed_db_query *q, const PGresult *r);
// The result that ends the statement.
void managed_db_answer_end(struct managed_db_query *q, PGresult *r);
// The statement is broken off after rows were cut.
void managed_db_answer_break(struct managed_db_query *q);
// {"message","code"}; the words are ours.
void managed_db_answer_error(struct managed_db_query *q, enum managed_db_outcome outcome,
                             const char *code, const char *message);
void managed_db_answer_pg_error(struct managed_db_query *q, const PGresult *r);
#endif
