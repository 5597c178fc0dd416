// PostgreSQL, blocking: a connection per pool thread, opened at first use and again after it was
// lost. SQL text sits in the features' queries.c; this knows SQL states, not features. A connection
// is one thread's own. No statement takes longer than 30 s, no connecting longer than 3 s.
#ifndef STOA_STORE_DB_H
#define STOA_STORE_DB_H
#include "edge/base/fail.h"

struct db;
struct db_rows; // the rows of one statement

// The URL that db_of_thread's connections use; before the first of them. Copied.
void db_configure(const char *url);
// This thread's connection (connected or not yet). Never NULL.
struct db *db_of_thread(void);
// An own connection, for threads that are none of the pool's (the listener, start-up). FAIL_BUSY
// with "database_unavailable" when it cannot be reached. Once lost it stays so: what belongs to the
// session (LISTEN, locks) never goes away unseen; its user opens another.
enum fail db_open(const char *url, struct db **ret, struct fault *fault) MUST_CHECK;
// The same to a database that does not hold the state: whether it answers says nothing of
// db_is_healthy.
enum fail db_open_other(const char *url, struct db **ret, struct fault *fault) MUST_CHECK;
void db_close(struct db *db); // takes NULL

// Parameters travel as text, typed by the statement. DB_NULL stands for SQL NULL.
struct db_param {
    const char *p;
    int n;      // bytes; -1: NULL
    bool bytes; // a bytea, sent as it is
    bool _copy; // not NUL-terminated: copied at the call
    char _room[40];
};
struct db_param db_text(const char *z); // borrows; NULL becomes SQL NULL
struct db_param db_str(str s);          // borrows; must hold no NUL byte
struct db_param db_bytes(str s);        // borrows
struct db_param db_int(int64_t v);
struct db_param db_bool(bool v);
struct db_param db_time(int64_t real_ms); // timestamptz
#define DB_NULL ((struct db_param){.n = -1})
// db_query(db, fault, &rows, "select … $1, $2", db_text(a), db_int(b)); up to 24 parameters. The
// statement is prepared once per connection (keyed by the text's address: pass literals).
// `ret_rows` may be NULL; it is set to NULL on failure. Failures (log_text has state and names,
// never values):
//   FAIL_BUSY      "database_unavailable": refused or lost. Outside a transaction a thread's
//   connection
//                  is silently opened again once, when the statement was certainly not carried out
//                  or only reads. Inside one, every further statement fails so until db_rollback.
//   FAIL_BUSY      "database_busy": 30 s were not enough, or a lock was not to be had
//   FAIL_CONFLICT  "conflict": unique, foreign key, exclusion (db_constraint tells which),
//                  serialization, deadlock
//   FAIL_QUOTA     "disk_full"
//   FAIL_INTERNAL  "internal": everything else
#define db_query(db, fault, ret_rows, sql, ...)                                                    \
    db_query_n((db), (fault), (ret_rows), (sql), (struct db_param[]){DB_NULL, ##__VA_ARGS__} + 1,  \
               sizeof((struct db_param[]){DB_NULL, ##__VA_ARGS__}) / sizeof(struct db_param) - 1)
enum fail db_query_n(struct db *db, struct fault *fault, struct db_rows **ret_rows, const char *sql,
                     const struct db_param *params, size_t count) MUST_CHECK;
// Rows in PostgreSQL's binary COPY format (`bytes`, made by edge/store/copy.h) by a `copy …
// from stdin (format binary)`: the cheapest way to write many. Failures as above; nothing of it is
// kept then.
enum fail db_copy(struct db *db, struct fault *fault, const char *sql, str bytes) MUST_CHECK;
// Several statements without parameters, not prepared (migrations). Failures as above.
enum fail db_script(struct db *db, struct fault *fault, const char *sql) MUST_CHECK;

void db_rows_free(struct db_rows *rows); // takes NULL
static inline void db_rows_autofree(struct db_rows **rows)
{
    db_rows_free(*rows);
}
#define DB_ROWS_AUTO __attribute__((cleanup(db_rows_autofree))) struct db_rows *
size_t db_count(const struct db_rows *rows);    // rows returned
size_t db_affected(const struct db_rows *rows); // rows changed
bool db_is_null(const struct db_rows *rows, size_t row, size_t column);
str db_get(const struct db_rows *rows, size_t row,
           size_t column); // text, NUL-terminated too; empty for NULL
int64_t db_get_int(const struct db_rows *rows, size_t row, size_t column);
bool db_get_bool(const struct db_rows *rows, size_t row, size_t column);
int64_t db_get_time(const struct db_rows *rows, size_t row,
                    size_t column); // a column selected as (extract(epoch from t)*1000)::bigint
// The bytes of a bytea column (decoded from hex), malloc'ed, *ret_n set.
uint8_t *db_get_bytes(const struct db_rows *rows, size_t row, size_t column, size_t *ret_n);
// The constraint that the last failed statement named, or "". Until the next statement.
const char *db_constraint(const struct db *db);

// Transactions do not nest. db_commit ends it in every case; FAIL_BUSY when the connection was lost
// (log_text says when it is not known whether the commit took effect), FAIL_INTERNAL when a
// statement before it had failed.
enum fail db_begin(struct db *db, struct fault *fault) MUST_CHECK;
enum fail db_commit(struct db *db, struct fault *fault) MUST_CHECK;
void db_rollback(struct db *db); // may be called when none is open
bool db_is_in_transaction(const struct db *db);

// For the NOTIFY listener: its socket, what came in, and whether the connection is still there.
int db_socket(const struct db *db);
struct db_notice {
    char channel[64];
    char payload[256]; // hostile input: fixed format, checked by its reader
};
bool db_next_notice(struct db *db, struct db_notice *ret); // reads what there is, without waiting
bool db_is_connected(const struct db *db);
// Whether the last statement of any thread got through, and since when it has not (0: it does):
// what /readyz tells. Any thread.
bool db_is_healthy(int64_t *ret_since_real_ms);
#endif
