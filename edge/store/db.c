// A connection and its statements. The state of a connection changes in four functions:
// connect_now, lose, db_begin and end_transaction. A statement is repeated after a lost connection
// only when it was never sent, or when carrying it out twice does no harm; otherwise its caller is
// told to try again.
#include "edge/store/db.h"
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/store/faults.h"
#include "edge/store/internal.h"

enum {
    STATEMENTS_MAX = 256,
    STATEMENT_SLOTS = 512, // a power of two
    PAUSE_MS =
        250, // after a refused connection, for all threads: a full queue must not wait 3 s each
};

enum transaction { NO_TRANSACTION, IN_TRANSACTION, TRANSACTION_LOST };

struct statement {
    const char *sql; // NULL: free
    unsigned number;
};

struct db {
    PGconn *conn; // NULL: not connected
    char *url;
    bool said_goodbye;
    bool reopens;  // a thread's own: may be opened again without telling
    bool is_other; // does not hold the state
    enum transaction transaction;
    char constraint[64];
    unsigned statement_count, last_number; // numbers are never used again on a connection
    struct statement statements[STATEMENT_SLOTS];
};

// --- what all threads share ---

static pthread_mutex_t url_lock = PTHREAD_MUTEX_INITIALIZER; // guards configured_url
static char *configured_url;
static _Atomic int64_t unhealthy_since;   // real ms; 0: the last statement got through
static _Atomic uint64_t no_connect_until; // monotonic ms

bool db_is_healthy(int64_t *ret_since_real_ms)
{
    int64_t since = unhealthy_since;
    if (ret_since_real_ms != NULL)
        *ret_since_real_ms = since;
    return since == 0;
}

static void tell_health(const struct db *db, bool healthy)
{
    int64_t known = 0;
    if (db->is_other)
        return;
    if (healthy)
        unhealthy_since = 0;
    else
        atomic_compare_exchange_strong(&unhealthy_since, &known, clock_real_ms());
}

void db_configure(const char *url)
{
    pthread_mutex_lock(&url_lock);
    free(configured_url);
    configured_url = str_dup(str_from(url));
    pthread_mutex_unlock(&url_lock);
}

static char *copy_url(void)
{
    pthread_mutex_lock(&url_lock);
    assert(configured_url != NULL);
    char *url = str_dup(str_from(configured_url));
    pthread_mutex_unlock(&url_lock);
    return url;
}

// --- connecting ---

static void forget_statements(struct db *db)
{
    memset(db->statements, 0, sizeof db->statements);
    db->statement_count = 0;
}

// Closes what is left of the connection; an open transaction is lost with it.
static void lose(struct db *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
    forget_statements(db);
    if (db->transaction == IN_TRANSACTION)
        db->transaction = TRANSACTION_LOST;
    tell_health(db, false);
}

// What the server says unasked. Notices are for nobody; its last words tell that the end is on its
// way.
static void on_notice(void *arg, const PGresult *result)
{
    struct db *db = arg;
    if (db_state_is_goodbye(result))
        db->said_goodbye = true;
}

static PGconn *connect_to(const char *url)
{
    // What stands before dbname the operator's URL may override, what stands behind it not.
    static const char *const keys[] = {
        "connect_timeout",  "keepalives_idle",  "keepalives_interval",
        "keepalives_count", "tcp_user_timeout", "fallback_application_name",
        "dbname",           "client_encoding",  NULL};
    const char *values[] = {"3", "30", "5", "3", "20000", "stoa", url, "UTF8", NULL};
    return PQconnectdbParams(keys, values, 1);
}

// By statement and not by start-up option, which poolers in between refuse.
static bool set_session(PGconn *conn)
{
    PGresult *r = PQexec(conn, "set statement_timeout = '30s';"
                               "set idle_in_transaction_session_timeout = '5min';"
                               "set timezone = 'UTC'; set datestyle = 'ISO';"
                               "set bytea_output = 'hex'; set client_min_messages = 'error'");
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return ok;
}

// libpq's words about an URL it cannot use may quote a password; those about a server do not.
static const char *words_about(const PGconn *conn)
{
    const char *words = PQerrorMessage(conn);
    return str_starts(str_from(words), STR("connection to server"))
               ? words
               : "the URL of the database cannot be used, or its host not be found";
}

static enum fail connect_now(struct db *db, struct fault *fault)
{
    if (db->reopens && clock_monotonic_ms() < no_connect_until)
        return db_state_unavailable(fault, "was refused a moment ago");
    PGconn *conn = connect_to(db->url);
    if (PQstatus(conn) == CONNECTION_OK) {
        PQsetNoticeReceiver(conn, on_notice, db);
        if (set_session(conn)) {
            db->conn = conn;
            db->said_goodbye = false;
            return FAIL_NONE;
        }
    }
    enum fail f = db_state_unavailable(fault, words_about(conn));
    PQfinish(conn);
    tell_health(db, false);
    if (db->reopens)
        no_connect_until = clock_monotonic_ms() + PAUSE_MS;
    return f;
}

// Whether the server has left while nothing was asked of it. Reads what has come in: its last
// words, or the end behind them.
static bool has_gone(struct db *db)
{
    struct pollfd p = {.fd = PQsocket(db->conn), .events = POLLIN};
    if (poll(&p, 1, 0) <= 0)
        return PQstatus(db->conn) != CONNECTION_OK;
    if (!PQconsumeInput(db->conn))
        return true;
    (void)PQisBusy(db->conn); // looks at what was read, and calls on_notice
    return db->said_goodbye || PQstatus(db->conn) != CONNECTION_OK;
}

static enum fail make_ready(struct db *db, struct fault *fault)
{
    db->constraint[0] = '\0';
    if (db->transaction != TRANSACTION_LOST && faults_due()) {
        lose(db);
        return db_state_unavailable(fault, "a fault was injected");
    }
    if (db->conn != NULL && has_gone(db))
        lose(db);
    if (db->conn != NULL)
        return FAIL_NONE;
    if (db->transaction != NO_TRANSACTION || !db->reopens)
        return db_state_unavailable(fault, "the connection was lost");
    return connect_now(db, fault);
}

static struct db *db_create(char *url, bool reopens)
{
    struct db *db = calloc(1, sizeof *db);
    if (db == NULL)
        abort();
    db->url = url;
    db->reopens = reopens;
    return db;
}

static enum fail open_own(const char *url, bool is_other, struct db **ret, struct fault *fault)
{
    struct db *db = db_create(str_dup(str_from(url)), false);
    db->is_other = is_other;
    enum fail f = connect_now(db, fault);
    if (f != FAIL_NONE) {
        db_close(db);
        return f;
    }
    *ret = db;
    return FAIL_NONE;
}

enum fail db_open(const char *url, struct db **ret, struct fault *fault)
{
    return open_own(url, false, ret, fault);
}

enum fail db_open_other(const char *url, struct db **ret, struct fault *fault)
{
    return open_own(url, true, ret, fault);
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    PQfinish(db->conn);
    free(db->url);
    free(db);
}

// --- a thread's own ---

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void on_thread_end(void *db)
{
    db_close(db);
}

static void make_key(void)
{
    int failed = pthread_key_create(&key, on_thread_end);
    assert(failed == 0);
}

struct db *db_of_thread(void)
{
    pthread_once(&key_once, make_key);
    struct db *db = pthread_getspecific(key);
    if (db == NULL) {
        db = db_create(copy_url(), true);
        pthread_setspecific(key, db);
    }
    return db;
}

// --- statements ---

// The slot of the statement, or the free one it would take.
static struct statement *slot_of(struct db *db, const char *sql)
{
    size_t i = ((uintptr_t)sql * 0x9e3779b97f4a7c15u >> 32) & (STATEMENT_SLOTS - 1);
    while (db->statements[i].sql != NULL && db->statements[i].sql != sql)
        i = (i + 1) & (STATEMENT_SLOTS - 1);
    return &db->statements[i];
}

static PGresult *run_prepared(struct db *db, const char *sql, const struct bound *b)
{
    struct statement *s = slot_of(db, sql);
    char name[16];
    if (s->sql == NULL && db->statement_count == STATEMENTS_MAX)
        return PQexecParams(db->conn, sql, b->count, NULL, b->values, b->lengths, b->formats, 0);
    if (s->sql == NULL) {
        unsigned number = ++db->last_number;
        snprintf(name, sizeof name, "s%u", number);
        PGresult *r = PQprepare(db->conn, name, sql, 0, NULL);
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            return r;
        PQclear(r);
        *s = (struct statement){sql, number};
        ++db->statement_count;
    }
    snprintf(name, sizeof name, "s%u", s->number);
    return PQexecPrepared(db->conn, name, b->count, b->values, b->lengths, b->formats, 0);
}

static PGresult *run_plain(struct db *db, const char *sql, const struct bound *b)
{
    return PQexec(db->conn, sql);
}

// What the server says comes once, behind the data.
static PGresult *run_copy(struct db *db, const char *sql, const struct bound *b)
{
    PGresult *r = PQexec(db->conn, sql);
    if (PQresultStatus(r) != PGRES_COPY_IN)
        return r;
    PQclear(r);
    (void)PQputCopyData(db->conn, b->values[0], b->lengths[0]); // failures are told by the result
    (void)PQputCopyEnd(db->conn, NULL);
    PGresult *first = PQgetResult(db->conn);
    while ((r = PQgetResult(db->conn)) != NULL)
        PQclear(r);
    return first;
}

static enum fail judge(struct db *db, const PGresult *r, struct fault *fault)
{
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        tell_health(db, true);
        return FAIL_NONE;
    }
    if (PQstatus(db->conn) != CONNECTION_OK) {
        enum fail f = db_state_unavailable(fault, PQerrorMessage(db->conn));
        lose(db);
        return f;
    }
    tell_health(db, true);
    const char *constraint = PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME);
    snprintf(db->constraint, sizeof db->constraint, "%s", constraint != NULL ? constraint : "");
    return db_state_fault(r, fault);
}

// A statement that was sent and then lost may have been carried out.
static bool is_harmless_twice(const char *sql)
{
    return str_starts(str_from(sql), STR("select ")) || str_eq(str_from(sql), STR("begin"));
}

static bool may_repeat(struct db *db, const char *sql, const PGresult *failed)
{
    if (db->transaction != NO_TRANSACTION)
        return false;
    if (db->conn == NULL)
        return db->reopens && is_harmless_twice(sql);
    return db_state_is_stale(failed);
}

typedef PGresult *run_fn(struct db *db, const char *sql, const struct bound *b);

static enum fail run(struct db *db, run_fn *fn, const char *sql, const struct bound *b,
                     PGresult **ret, struct fault *fault)
{
    for (int tries = 1;; ++tries) {
        enum fail f = make_ready(db, fault);
        if (f != FAIL_NONE)
            return f;
        PGresult *r = fn(db, sql, b);
        f = judge(db, r, fault);
        if (f == FAIL_NONE) {
            *ret = r;
            return FAIL_NONE;
        }
        bool stale = db->conn != NULL && db_state_is_stale(r);
        bool repeat = tries == 1 && may_repeat(db, sql, r);
        PQclear(r);
        if (stale) {
            PQclear(PQexec(db->conn, "deallocate all")); // fails in a broken transaction: no harm
            forget_statements(db);
        }
        if (!repeat)
            return f;
    }
}

enum fail db_query_n(struct db *db, struct fault *fault, struct db_rows **ret_rows, const char *sql,
                     const struct db_param *params, size_t count)
{
    struct bound b;
    PGresult *r = NULL;
    if (ret_rows != NULL)
        *ret_rows = NULL;
    enum fail f = db_bound_init(&b, params, count, fault);
    if (f == FAIL_NONE)
        f = run(db, run_prepared, sql, &b, &r, fault);
    db_bound_fini(&b);
    if (f == FAIL_NONE && ret_rows != NULL)
        *ret_rows = (struct db_rows *)r;
    else
        PQclear(r);
    return f;
}

enum fail db_copy(struct db *db, struct fault *fault, const char *sql, str bytes)
{
    struct bound b;
    PGresult *r = NULL;
    struct db_param p = db_bytes(bytes);
    enum fail f = db_bound_init(&b, &p, 1, fault);
    if (f == FAIL_NONE)
        f = run(db, run_copy, sql, &b, &r, fault);
    db_bound_fini(&b);
    PQclear(r);
    return f;
}

enum fail db_script(struct db *db, struct fault *fault, const char *sql)
{
    PGresult *r = NULL;
    enum fail f = run(db, run_plain, sql, NULL, &r, fault);
    PQclear(r);
    return f;
}

const char *db_constraint(const struct db *db)
{
    return db->constraint;
}

// --- transactions ---

bool db_is_in_transaction(const struct db *db)
{
    return db->transaction != NO_TRANSACTION;
}

enum fail db_begin(struct db *db, struct fault *fault)
{
    assert(db->transaction == NO_TRANSACTION);
    enum fail f = db_script(db, fault, "begin");
    if (f == FAIL_NONE)
        db->transaction = IN_TRANSACTION;
    return f;
}

static void end_transaction(struct db *db)
{
    db->transaction = NO_TRANSACTION;
}

enum fail db_commit(struct db *db, struct fault *fault)
{
    assert(db->transaction != NO_TRANSACTION);
    PGresult *r = NULL;
    bool was_lost = db->transaction == TRANSACTION_LOST;
    enum fail f = run(db, run_plain, "commit", NULL, &r, fault);
    bool is_now_lost = db->transaction == TRANSACTION_LOST;
    end_transaction(db);
    if (f == FAIL_BUSY && is_now_lost && !was_lost)
        fault_log(fault, "database: lost at a commit; whether it took effect is not known");
    // PostgreSQL answers a commit after a failed statement with a rollback, as a success.
    if (f == FAIL_NONE && strcmp(PQcmdStatus(r), "COMMIT") != 0) {
        f = fault_set(fault, FAIL_INTERNAL, "internal",
                      "Something went wrong on the server. Its log has the reason under this "
                      "request's id.");
        fault_log(fault, "commit after a failed statement: rolled back");
    }
    PQclear(r);
    return f;
}

void db_rollback(struct db *db)
{
    if (db->transaction == IN_TRANSACTION && db->conn != NULL) {
        PGresult *r = PQexec(db->conn, "rollback");
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            lose(db);
        PQclear(r);
    }
    end_transaction(db);
}

// --- for the listener ---

int db_socket(const struct db *db)
{
    return db->conn != NULL ? PQsocket(db->conn) : -1;
}

bool db_is_connected(const struct db *db)
{
    return db->conn != NULL;
}

bool db_next_notice(struct db *db, struct db_notice *ret)
{
    if (db->conn != NULL && has_gone(db))
        lose(db);
    if (db->conn == NULL)
        return false;
    PGnotify *n;
    while ((n = PQnotifies(db->conn)) != NULL) {
        bool fits =
            strlen(n->relname) < sizeof ret->channel && strlen(n->extra) < sizeof ret->payload;
        if (fits) {
            snprintf(ret->channel, sizeof ret->channel, "%s", n->relname);
            snprintf(ret->payload, sizeof ret->payload, "%s", n->extra);
        }
        PQfreemem(n);
        if (fits)
            return true;
    }
    return false;
}
