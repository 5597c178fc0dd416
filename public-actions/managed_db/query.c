// The life of a query: asked, in line, on a connection, answered; and the clock that ends it.
#include "public-actions/managed_db/query_internal.h"
#include <assert.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "public-actions/managed_db/connections.h"

enum {
    LINE_MS = 10000,   // a query waits at most
    GRACE_MS = 50,     // the server ends a statement itself, by statement_timeout
    STUBBORN_MS = 950, // and a second after the deadline we do
    CANCEL_MS = 1000,
};

struct managed_db_counts managed_db_counts;

// --- ends ---

static void query_free(struct managed_db_query *q)
{
    loop_timer_stop(&q->timer);
    managed_db_args_fini(&q->args);
    managed_db_columns_fini(&q->columns);
    buf_fini(&q->answer);
    free(q);
}

void managed_db_query_finish(struct managed_db_query *q)
{
    ++managed_db_counts.outcomes[q->outcome];
    if (q->began_us != 0)
        managed_db_counts.run_us += clock_monotonic_us() - q->began_us;
    loop_timer_stop(&q->timer);
    if (q->on_done != NULL)
        q->on_done(q->arg, q->has_error, buf_str(&q->answer));
    query_free(q);
}

static struct managed_db_query *query_of(struct loop_timer *t)
{
    return (void *)((char *)t - offsetof(struct managed_db_query, timer));
}

static void on_later(struct loop_timer *t)
{
    managed_db_query_finish(query_of(t));
}

void managed_db_query_finish_later(struct managed_db_query *q)
{
    q->timer.run = on_later;
    loop_timer_start(&q->timer, 0);
}

// --- the clock ---

static void on_line_timeout(struct loop_timer *t)
{
    struct managed_db_query *q = query_of(t);
    managed_db_leave_line(q);
    managed_db_answer_error(q, MANAGED_DB_BUSY, "managed_db_busy",
                            "The plugin's database connections are all busy. Try again later.");
    managed_db_query_finish(q);
}

static void on_deadline(struct loop_timer *t)
{
    struct managed_db_query *q = query_of(t);
    if (!q->is_overdue) {
        q->is_overdue = true;
        managed_db_cancel_statement(q->connection);
        loop_timer_start(t, STUBBORN_MS);
        return;
    }
    struct managed_db_connection *c = q->connection;
    struct managed_db_role *r = c->role;
    c->query = NULL;
    managed_db_connection_kill(c);
    managed_db_refill(r);
    managed_db_answer_error(q, MANAGED_DB_TIMED_OUT, "57014",
                            "canceling statement due to statement timeout");
    managed_db_query_finish(q);
}

void managed_db_query_set_off(struct managed_db_query *q)
{
    uint64_t now = loop_now(loop_self());
    q->timer.run = on_deadline;
    loop_timer_start(&q->timer, (q->deadline > now ? q->deadline - now : 0) + GRACE_MS);
}

// --- asking ---

static struct managed_db_query *query_create(const char *user_id, uint64_t until,
                                             void (*on_done)(void *arg, bool is_error, str json),
                                             void *arg)
{
    struct managed_db_query *q = calloc(1, sizeof *q);
    if (q == NULL)
        abort();
    q->on_done = on_done;
    q->arg = arg;
    q->deadline = until;
    memcpy(q->user_id, user_id, strnlen(user_id, sizeof q->user_id - 1));
    return q;
}

static void refuse(struct managed_db_query *q, enum managed_db_outcome outcome, const char *code,
                   const char *message)
{
    managed_db_answer_error(q, outcome, code, message);
    managed_db_query_finish_later(q);
}

static void line_up(struct managed_db_query *q, const char *project_id, const char *plugin_id)
{
    uint64_t now = loop_now(loop_self());
    if (q->deadline > now + q->args.timeout_ms)
        q->deadline = now + q->args.timeout_ms;
    uint64_t wait = q->deadline > now ? q->deadline - now : 0;
    struct managed_db_role *r = managed_db_line_up(project_id, plugin_id, q);
    if (r == NULL) {
        refuse(q, MANAGED_DB_BUSY, "managed_db_busy",
               "Too many statements of this plugin are waiting. Try again later.");
        return;
    }
    q->timer.run = on_line_timeout;
    loop_timer_start(&q->timer, wait < LINE_MS ? wait : LINE_MS);
    managed_db_serve(r);
}

struct managed_db_query *managed_db_query_start(const char *project_id, const char *plugin_id,
                                                const char *user_id, str args, uint64_t until,
                                                void (*on_done)(void *arg, bool is_error, str json),
                                                void *arg)
{
    struct managed_db_query *q = query_create(user_id, until, on_done, arg);
    struct fault fault;
    if (managed_db_options()->url[0] == '\0')
        refuse(q, MANAGED_DB_UNAVAILABLE, "managed_db_unavailable",
               "This server has no database for plugins.");
    else if (managed_db_args_init(&q->args, args, &fault) != FAIL_NONE)
        refuse(q, MANAGED_DB_REFUSED, fault.code, fault.public_text);
    else
        line_up(q, project_id, plugin_id);
    return q;
}

void managed_db_query_cancel(struct managed_db_query *q)
{
    q->on_done = NULL;
    if (q->role != NULL)
        managed_db_leave_line(q);
    if (q->connection == NULL) {
        query_free(q);
        return;
    }
    q->is_overdue = true;
    managed_db_cancel_statement(q->connection);
    loop_timer_start(&q->timer, CANCEL_MS);
}

// --- the folder's door ---

void managed_db_on_loop_start(struct loop *loop)
{
    assert(managed_db_consume_is_bounded());
    managed_db_room_start(loop);
}

static void put(struct buf *to, const char *name, const char *help, const char *type,
                uint64_t value)
{
    buf_addf(to, "# HELP stoa_managed_db_%s %s\n# TYPE stoa_managed_db_%s %s\n", name, help, name,
             type);
    buf_addf(to, "stoa_managed_db_%s %llu\n", name, (unsigned long long)value);
}

void managed_db_metrics(struct buf *to)
{
    static const char *const names[MANAGED_DB_OUTCOMES] = {"answered", "refused", "timed_out",
                                                           "busy", "unavailable"};
    const struct managed_db_counts *n = &managed_db_counts;
    buf_add(to, STR("# HELP stoa_managed_db_queries_total Handlers' queries by outcome.\n"
                    "# TYPE stoa_managed_db_queries_total counter\n"));
    for (size_t i = 0; i != MANAGED_DB_OUTCOMES; ++i)
        buf_addf(to, "stoa_managed_db_queries_total{outcome=\"%s\"} %llu\n", names[i],
                 (unsigned long long)n->outcomes[i]);
    put(to, "run_microseconds_total", "Time of queries on connections.", "counter", n->run_us);
    put(to, "waiting", "Queries that wait for a connection.", "gauge", n->waiting);
    put(to, "connections", "Connections open, opening or being ended.", "gauge", n->connections);
    put(to, "connections_opened_total", "Connections opened.", "counter", n->opened);
    put(to, "cancelled_total", "Statements asked to break off.", "counter", n->cancelled);
    put(to, "killed_total", "Connections ended together with their backend.", "counter", n->killed);
}
