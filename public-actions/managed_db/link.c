// libpq without its endless waits: a cluster that hangs must not hold up threads that deploy.
#include "public-actions/managed_db/provision.h"
#include <assert.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "public-actions/managed_db/internal.h"

enum {
    CONNECT_MS = 5000,
    STATEMENT_MS = 30000,
    GRACE_MS = 2000,
    START_MS = 20000, // a private cluster takes seconds to be made, while pages are served already
    AGAIN_MS = 100,
};

static void log_why(struct fault *fault, const char *why)
{
    fault_log(fault, "plugins' cluster: %.*s", (int)strcspn(why, "\n"), why);
}

static enum fail unavailable(struct fault *fault, const char *why)
{
    fault_set(fault, FAIL_BUSY, "managed_db_unavailable",
              "The database of plugins' data cannot be reached right now. Try again in a moment.");
    log_why(fault, why);
    return FAIL_BUSY;
}

// False when the time is over.
static bool wait_for(PGconn *conn, short events, uint64_t deadline)
{
    for (;;) {
        uint64_t now = clock_monotonic_ms();
        struct pollfd p = {.fd = PQsocket(conn), .events = events};
        if (now >= deadline)
            return false;
        if (poll(&p, 1, (int)(deadline - now)) > 0)
            return true;
    }
}

static bool await_login(PGconn *conn)
{
    uint64_t deadline = clock_monotonic_ms() + CONNECT_MS;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        if (!wait_for(conn, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
            return false;
        next = PQconnectPoll(conn);
    }
    return next == PGRES_POLLING_OK;
}

static void on_notice(void *arg, const PGresult *result)
{
}

// A cluster that has just been started refuses for a moment.
static bool is_login_refusal(const PGconn *conn)
{
    return PQstatus(conn) == CONNECTION_BAD &&
           strstr(PQerrorMessage(conn), "password authentication failed") != NULL;
}

// Once, soon after the start: whoever deploys then should find the tables made, not a warning.
static bool is_still_starting(void)
{
    static _Atomic uint64_t until;
    static _Atomic bool is_over;
    uint64_t unset = 0, now = clock_monotonic_ms();
    atomic_compare_exchange_strong(&until, &unset, now + START_MS);
    if (now >= until)
        is_over = true;
    return !is_over && managed_db_options()->is_private;
}

// A socket that is not there yet, or a cluster that says it is starting.
static bool is_not_there_yet(const PGconn *conn)
{
    const char *why = PQerrorMessage(conn);
    return strstr(why, "No such file or directory") != NULL ||
           strstr(why, "Connection refused") != NULL || strstr(why, "starting up") != NULL;
}

static PGconn *connect_to(const char *const *keys, const char *const *values)
{
    for (;;) {
        PGconn *conn = PQconnectStartParams(keys, values, 1);
        if ((PQstatus(conn) != CONNECTION_BAD && await_login(conn)) || !is_not_there_yet(conn) ||
            !is_still_starting())
            return conn;
        PQfinish(conn);
        poll(NULL, 0, AGAIN_MS);
    }
}

enum fail managed_db_link_open(const char *url, const char *dbname, struct managed_db_link *ret,
                               struct fault *fault)
{
    const char *keys[] = {"fallback_application_name", "dbname", "client_encoding",
                          dbname != NULL ? "dbname" : NULL, NULL};
    const char *values[] = {"stoa", url, "UTF8", dbname, NULL};
    *ret = (struct managed_db_link){0};
    if (url[0] == '\0')
        return unavailable(fault, "there is none");
    PGconn *conn = connect_to(keys, values);
    if (PQstatus(conn) != CONNECTION_OK) {
        log_why(fault, PQerrorMessage(conn));
        enum fail fail =
            is_login_refusal(conn)
                ? fault_set(fault, FAIL_DENIED, "managed_db_login",
                            "The plugin's database does not accept its password any more.")
                : unavailable(fault, PQerrorMessage(conn));
        PQfinish(conn);
        return fail;
    }
    PQsetNoticeReceiver(conn, on_notice, NULL);
    ret->conn = conn;
    return FAIL_NONE;
}

void managed_db_link_close(struct managed_db_link *link)
{
    PQfinish(link->conn);
    link->conn = NULL;
}

// What was asked goes out whole: statements are small beside a socket's buffer, and whoever reads
// none of it is given up.
static bool flush(PGconn *conn, uint64_t deadline)
{
    int left;
    while ((left = PQflush(conn)) == 1)
        if (!wait_for(conn, POLLIN | POLLOUT, deadline) || !PQconsumeInput(conn))
            return false;
    return left == 0;
}

// The last result; an error among them wins. NULL: lost, or too slow.
static PGresult *read_result(PGconn *conn, uint64_t deadline)
{
    PGresult *last = NULL;
    for (;;) {
        while (PQisBusy(conn))
            if (!wait_for(conn, POLLIN, deadline) || !PQconsumeInput(conn)) {
                PQclear(last);
                return NULL;
            }
        PGresult *r = PQgetResult(conn);
        if (r == NULL)
            return last;
        ExecStatusType status = PQresultStatus(r);
        PQclear(last);
        last = r;
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
            return last; // no statement of ours
    }
}

static enum fail judge(struct managed_db_link *link, PGresult *r, struct fault *fault)
{
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return FAIL_NONE;
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(link->state, sizeof link->state, "%s", state != NULL ? state : "");
    const char *position = PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION);
    link->position = position != NULL ? (unsigned)strtoul(position, NULL, 10) : 0;
    snprintf(link->message, sizeof link->message, "%s", said != NULL ? said : "");
    // resources, and the server's own end
    if (PQstatus(link->conn) != CONNECTION_OK || strncmp(link->state, "53", 2) == 0 ||
        strncmp(link->state, "57P", 3) == 0)
        return unavailable(fault, said != NULL ? said : "lost");
    fault_set(fault, FAIL_REFUSED, "managed_db_refused", "The database refused a statement.");
    fault_log(fault, "plugins' cluster: sql state %s", link->state);
    return FAIL_REFUSED;
}

enum fail managed_db_link_run(struct managed_db_link *link, PGresult **ret, const char *sql,
                              const char *const *values, int count, struct fault *fault)
{
    uint64_t deadline = clock_monotonic_ms() + STATEMENT_MS + GRACE_MS;
    link->state[0] = link->message[0] = '\0';
    if (ret != NULL)
        *ret = NULL;
    if (link->conn == NULL)
        return unavailable(fault, "the connection was lost");
    PQsetnonblocking(link->conn, 1);
    PGresult *r = NULL;
    if (PQsendQueryParams(link->conn, sql, count, NULL, values, NULL, NULL, 0) == 1 &&
        flush(link->conn, deadline))
        r = read_result(link->conn, deadline);
    if (r == NULL) {
        managed_db_link_close(link);
        return unavailable(fault, "no answer");
    }
    enum fail fail = judge(link, r, fault);
    if (fail == FAIL_NONE && ret != NULL)
        *ret = r;
    else
        PQclear(r);
    return fail;
}

char *managed_db_link_quote(struct managed_db_link *link, const char *name)
{
    char *quoted = PQescapeIdentifier(link->conn, name, strlen(name));
    assert(quoted != NULL);
    return quoted;
}
