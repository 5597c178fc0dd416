// A statement on its connection. One flight of messages carries
//
//   [rollback] [discard all]  begin  set local…  the statement  commit  sync
//
// so that a query costs one round trip. The server skips all behind a failure up to the sync: no
// statement ever runs on a session that could not be cleaned, or without its settings. The answer
// goes out when the sync is back; the connection is cleaned behind it, alone when nobody waits,
// else in front of the next query.
//
// Nothing a statement can do is believed to be over: what leads libpq out of the protocol's usual
// path (COPY), what does not fit, and what cannot be cleaned ends the connection.
#include "public-actions/managed_db/connections.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include "public-actions/managed_db/queries_session.h"

enum {
    RESULTS_A_TURN = 256,
    UNREAD_MAX = 5 * 1024 * 1024, // a row, or notices between two rows
    DRAIN_MAX = 4 * 1024 * 1024,  // of rows that are cut off, before a read is broken off
    KEEP_MAX = 1024 * 1024,       // libpq keeps buffers as large as the largest message
    CLEAN_MS = 5000,
};

static struct managed_db_connection *connection_of(struct loop_watch *w)
{
    return (void *)((char *)w - offsetof(struct managed_db_connection, watch));
}

// --- ends ---

// The socket was closed by the other side, or cannot be used.
static void lose(struct managed_db_connection *c)
{
    struct managed_db_role *r = c->role;
    struct managed_db_query *q = c->query;
    c->query = NULL;
    managed_db_connection_close(c, false);
    managed_db_refill(r);
    if (q == NULL)
        return;
    managed_db_answer_error(q, MANAGED_DB_UNAVAILABLE, "managed_db_unavailable",
                            "The connection to the plugins' database was lost while the statement "
                            "ran; whether it took effect is not known.");
    managed_db_query_finish(q);
}

// We end it: the backend too, which may be in the midst of something.
static void kill_and_answer(struct managed_db_connection *c)
{
    struct managed_db_role *r = c->role;
    struct managed_db_query *q = c->query;
    c->query = NULL;
    managed_db_connection_kill(c);
    managed_db_refill(r);
    managed_db_query_finish(q);
}

static void refuse_copy(struct managed_db_connection *c)
{
    managed_db_answer_error(c->query, MANAGED_DB_REFUSED, "0A000",
                            "COPY to or from the client is not offered.");
    kill_and_answer(c);
}

static void refuse_size(struct managed_db_connection *c)
{
    managed_db_answer_error(c->query, MANAGED_DB_REFUSED, "54000",
                            "A row of the result, or what the statement said besides, is larger "
                            "than 5 MB.");
    kill_and_answer(c);
}

// Rows nobody gets: the statement only read, so that breaking it off changes nothing.
static void break_off(struct managed_db_connection *c)
{
    managed_db_answer_break(c->query);
    kill_and_answer(c);
}

static void on_clean_timeout(struct loop_timer *t)
{
    struct managed_db_connection *c =
        (void *)((char *)t - offsetof(struct managed_db_connection, timer));
    struct managed_db_role *r = c->role;
    managed_db_connection_kill(c);
    managed_db_refill(r);
}

// --- sending ---

static void on_readable(struct loop_watch *w);
static void on_writable(struct loop_watch *w);

static void flush(struct managed_db_connection *c)
{
    int left = PQflush(c->pg); // a failure shows as the end of what can be read
    bool wants = left == 1;
    if (wants == c->wants_write)
        return;
    c->wants_write = wants;
    loop_watch_start(&c->watch, c->fd, true, wants);
}

static void on_writable(struct loop_watch *w)
{
    flush(connection_of(w));
}

static void push(struct managed_db_connection *c, enum managed_db_step step, bool was_sent)
{
    assert(c->step_count < MANAGED_DB_STEPS_MAX);
    c->steps[c->step_count++] = step;
    c->is_broken |= !was_sent;
}

static void push_cleaning(struct managed_db_connection *c)
{
    c->step = c->step_count = 0;
    if (!c->is_dirty)
        return;
    if (PQtransactionStatus(c->pg) != PQTRANS_IDLE)
        push(c, MANAGED_DB_STEP_ROLLBACK, managed_db_send_rollback(c->pg));
    push(c, MANAGED_DB_STEP_DISCARD, managed_db_send_discard(c->pg));
}

static bool send_statement(struct managed_db_connection *c, const struct managed_db_args *a)
{
    return PQsendQueryParams(c->pg, a->sql, a->params.count, NULL, a->params.values, NULL, NULL,
                             0) == 1;
}

static uint32_t time_left(const struct managed_db_query *q)
{
    uint64_t now = loop_now(loop_self());
    return q->deadline > now ? (uint32_t)(q->deadline - now) : 1;
}

// Nothing of it has reached the server. Inside of a call, so that the answer comes later.
static void abandon(struct managed_db_connection *c)
{
    struct managed_db_query *q = c->query;
    c->query = NULL;
    managed_db_connection_close(c, false);
    if (q == NULL)
        return;
    managed_db_answer_error(q, MANAGED_DB_UNAVAILABLE, "managed_db_unavailable",
                            "The connection to the plugins' database was lost; the statement was "
                            "not carried out.");
    q->connection = NULL;
    managed_db_query_finish_later(q);
}

static void push_settings(struct managed_db_connection *c, const struct managed_db_query *q)
{
    char timeout[16];
    snprintf(timeout, sizeof timeout, "%u", time_left(q));
    const char *const settings[][2] = {{"app.user_id", q->user_id},
                                       {"app.plugin_id", c->role->plugin_id},
                                       {"statement_timeout", timeout}};
    for (size_t i = 0; i != sizeof settings / sizeof *settings; ++i)
        push(c, MANAGED_DB_STEP_SETTING,
             managed_db_send_setting(c->pg, settings[i][0], settings[i][1]));
    if (c->since[0] == '\0')
        push(c, MANAGED_DB_STEP_TIME, managed_db_send_time(c->pg));
}

void managed_db_run(struct managed_db_connection *c, struct managed_db_query *q)
{
    managed_db_connection_set_state(c, MANAGED_DB_RUNNING);
    c->query = q;
    q->connection = c;
    managed_db_answer_begin(q);
    push_cleaning(c);
    push(c, MANAGED_DB_STEP_BEGIN, managed_db_send_begin(c->pg, c->role->project->is_over_quota));
    push_settings(c, q);
    push(c, MANAGED_DB_STEP_STATEMENT, send_statement(c, &q->args));
    push(c, MANAGED_DB_STEP_COMMIT, managed_db_send_commit(c->pg));
    push(c, MANAGED_DB_STEP_SYNC, PQpipelineSync(c->pg) == 1);
    c->is_dirty = true;
    c->unread = c->drained = 0;
    if (q->args.footprint > KEEP_MAX)
        c->is_spoiled = true;
    managed_db_measure(c->role);
    if (c->is_broken)
        abandon(c);
    else
        flush(c);
}

void managed_db_clean(struct managed_db_connection *c)
{
    push_cleaning(c);
    push(c, MANAGED_DB_STEP_SYNC, PQpipelineSync(c->pg) == 1);
    c->unread = 0;
    c->timer.run = on_clean_timeout;
    loop_timer_start(&c->timer, CLEAN_MS);
    if (c->is_broken)
        abandon(c);
    else
        flush(c);
}

// --- results ---

static void note_time(struct managed_db_connection *c, const PGresult *r)
{
    if (PQntuples(r) != 1 || PQnfields(r) != 1)
        return;
    str now = str_of(PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0));
    if (now.n < sizeof c->since)
        memcpy(c->since, now.p, now.n + 1);
}

static void refuse_quota(struct managed_db_connection *c)
{
    managed_db_answer_error(c->query, MANAGED_DB_REFUSED, "25006",
                            "The project's data is over its disk quota: statements may only read "
                            "until there is room again.");
}

static void on_failure(struct managed_db_connection *c, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    if (PQstatus(c->pg) == CONNECTION_BAD || c->query == NULL)
        return; // lose() tells
    if (state != NULL && strncmp(state, "57P", 3) == 0)
        return; // the server's last words; the end of the connection follows
    if (state != NULL && strcmp(state, "25006") == 0 && c->role->project->is_over_quota)
        refuse_quota(c);
    else
        managed_db_answer_pg_error(c->query, r);
}

static void on_rows_end(struct managed_db_connection *c, PGresult *r)
{
    switch (c->steps[c->step]) {
    case MANAGED_DB_STEP_TIME:
        note_time(c, r);
        return;
    case MANAGED_DB_STEP_STATEMENT:
        managed_db_answer_end(c->query, r);
        return;
    default:
        return;
    }
}

enum next { NEXT_RESULT, NEXT_SYNCED, NEXT_COPY };

static enum next on_result(struct managed_db_connection *c, PGresult *r)
{
    switch (PQresultStatus(r)) {
    case PGRES_SINGLE_TUPLE:
        if (c->steps[c->step] == MANAGED_DB_STEP_STATEMENT)
            managed_db_answer_rows(c->query, r);
        return NEXT_RESULT;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        on_rows_end(c, r);
        return NEXT_RESULT;
    case PGRES_PIPELINE_SYNC:
        return NEXT_SYNCED;
    case PGRES_PIPELINE_ABORTED:
        return NEXT_RESULT;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        return NEXT_COPY;
    default:
        if (c->steps[c->step] >= MANAGED_DB_STEP_BEGIN)
            on_failure(c, r);
        else
            c->is_spoiled = true; // what is dirty stays so, and nothing behind it is carried out
        return NEXT_RESULT;
    }
}

// Behind the last result of a step.
static void on_step_done(struct managed_db_connection *c)
{
    ++c->step;
    if (c->step < c->step_count && c->steps[c->step] == MANAGED_DB_STEP_STATEMENT)
        (void)PQsetSingleRowMode(c->pg);
}

static void on_synced(struct managed_db_connection *c)
{
    struct managed_db_query *q = c->query;
    c->step = c->step_count = 0;
    c->unread = 0;
    if (q == NULL) { // was cleaned
        loop_timer_stop(&c->timer);
        c->is_dirty = c->is_spoiled;
        managed_db_connection_next(c);
        return;
    }
    if (!q->has_answer)
        managed_db_answer_error(q, MANAGED_DB_UNAVAILABLE, "managed_db_unavailable",
                                "The statement was not carried out. Try again.");
    c->query = NULL;
    managed_db_connection_set_state(c, MANAGED_DB_CLEANING);
    managed_db_query_finish(q); // first the answer, then the broom
    managed_db_connection_next(c);
}

static void on_go_on(struct loop_timer *t);

// False when the connection is gone, or handed on.
static bool take_results(struct managed_db_connection *c)
{
    for (unsigned n = 0; c->step != c->step_count && !PQisBusy(c->pg); ++n) {
        if (n == RESULTS_A_TURN) {
            c->go_on.run = on_go_on;
            loop_timer_start(&c->go_on, 0);
            return false;
        }
        PGresult *r = PQgetResult(c->pg);
        if (r == NULL) {
            on_step_done(c);
            continue;
        }
        c->unread = 0;
        enum next next = on_result(c, r);
        PQclear(r);
        if (next == NEXT_SYNCED) {
            on_synced(c);
            return false;
        }
        if (next == NEXT_COPY) {
            refuse_copy(c);
            return false;
        }
    }
    return true;
}

static bool is_worth_breaking_off(const struct managed_db_connection *c)
{
    const struct managed_db_query *q = c->query;
    return q != NULL && q->is_cut && q->args.is_read && c->drained > DRAIN_MAX &&
           !managed_db_options()->has_functions;
}

static void go_on(struct managed_db_connection *c, bool is_alive)
{
    if (!take_results(c))
        return;
    if (c->step == c->step_count) { // at rest: what the server says unasked
        (void)PQisBusy(c->pg);
        c->unread = 0;
    }
    if (!is_alive || PQstatus(c->pg) != CONNECTION_OK)
        lose(c);
    else if (c->unread > UNREAD_MAX && c->query != NULL)
        refuse_size(c);
    else if (is_worth_breaking_off(c))
        break_off(c);
}

static void on_go_on(struct loop_timer *t)
{
    go_on((void *)((char *)t - offsetof(struct managed_db_connection, go_on)), true);
}

static void drop_notifications(PGconn *pg)
{
    for (PGnotify *n; (n = PQnotifies(pg)) != NULL;)
        PQfreemem(n);
}

static void on_readable(struct loop_watch *w)
{
    struct managed_db_connection *c = connection_of(w);
    size_t n;
    if (loop_timer_is_running(&c->go_on)) // first what is there
        return;
    bool is_alive = managed_db_consume(c->pg, &n);
    c->unread += n;
    if (c->query != NULL && c->query->is_cut)
        c->drained += n;
    if (c->unread > KEEP_MAX)
        c->is_spoiled = true;
    drop_notifications(c->pg);
    go_on(c, is_alive);
}

// --- the beginning ---

void managed_db_on_connected(struct managed_db_connection *c)
{
    struct managed_db_role *r = c->role;
    c->fd = fcntl(PQsocket(c->pg), F_DUPFD_CLOEXEC, 3);
    if (c->fd < 0 || PQsetnonblocking(c->pg, 1) != 0 || PQenterPipelineMode(c->pg) != 1) {
        managed_db_connection_close(c, false);
        managed_db_refill(r);
        return;
    }
    c->watch.on_readable = on_readable;
    c->watch.on_writable = on_writable;
    loop_watch_start(&c->watch, c->fd, true, false);
    managed_db_connection_set_state(c, MANAGED_DB_RESTING);
    managed_db_serve(r);
}
