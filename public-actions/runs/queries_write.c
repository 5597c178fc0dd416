// A batch's transaction. Runs are copied in, in PostgreSQL's binary form: the least that it can be
// asked to do for a row. Events, which raise deliveries, travel as its binary arrays, a parameter a
// column: one statement, planned once. Nothing is quoted.
#include "public-actions/runs/internal.h"
#include <assert.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/base/token.h"
#include "edge/store/copy.h"

enum { OID_TEXT = 25, OID_TIMESTAMPTZ = 1184 };

// A one-dimensional array without NULLs, as array_recv reads it.
struct array {
    struct buf bytes;
    uint32_t count;
};

static void put32(struct buf *b, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};
    buf_add(b, str_of(bytes, sizeof bytes));
}

static void array_init(struct array *a, uint32_t oid)
{
    *a = (struct array){0};
    buf_init(&a->bytes, INT32_MAX / 2);
    put32(&a->bytes, 1); // dimensions
    put32(&a->bytes, 0); // no NULLs
    put32(&a->bytes, oid);
    put32(&a->bytes, 0); // the count: array_param
    put32(&a->bytes, 1); // lower bound
}

static void add_text(struct array *a, str s)
{
    put32(&a->bytes, (uint32_t)s.n);
    buf_add(&a->bytes, s);
    ++a->count;
}

static struct db_param array_param(struct array *a)
{
    assert(!a->bytes.full);
    for (int i = 0; i != 4; ++i)
        a->bytes.p[12 + i] = (char)(a->count >> (24 - 8 * i));
    return db_bytes(buf_str(&a->bytes));
}

static void arrays_fini(struct array *list, size_t count)
{
    for (size_t i = 0; i != count; ++i)
        buf_fini(&list[i].bytes);
}

// --- runs ---

static int64_t ended_at(const struct run_record *r)
{
    return r->started_at + r->queued_ms + r->ran_ms;
}

enum { RUN_COLUMNS = 23 };
#define RUN_COLUMN_NAMES                                                                           \
    "id, project_id, plugin_id, instance_id, deployment_id, source, action, outcome, is_preview,"  \
    " request_id, visitor, actor, started_at, ended_at, queued_ms, ran_ms, input_bytes,"           \
    " output_bytes, query_count, fetch_count, log, error, facts"

static void copy_run(struct buf *b, const struct run_record *r)
{
    db_copy_row(b, RUN_COLUMNS);
    db_copy_text(b, str_from(r->id));
    db_copy_text(b, str_from(r->project_id));
    db_copy_text(b, str_from(r->plugin_id));
    db_copy_text(b, str_from(r->instance_id));
    db_copy_text(b, str_from(r->deployment_id));
    db_copy_text(b, str_from(run_source_name(r->source)));
    db_copy_text(b, str_from(r->action));
    db_copy_text(b, str_from(r->outcome));
    db_copy_bool(b, r->is_preview);
    db_copy_text(b, str_from(r->request_id));
    db_copy_text(b, str_from(r->visitor));
    db_copy_text(b, str_from(r->actor));
    db_copy_time(b, r->started_at);
    db_copy_time(b, ended_at(r));
    db_copy_int4(b, r->queued_ms);
    db_copy_int4(b, r->ran_ms);
    db_copy_int8(b, r->input_bytes);
    db_copy_int8(b, r->output_bytes);
    db_copy_int4(b, r->queries);
    db_copy_int4(b, r->fetches);
    db_copy_text(b, buf_str(&r->log));
    db_copy_text(b, buf_str(&r->error));
    db_copy_text(b, buf_str(&r->facts));
}

// COPY cannot pass over a row that is there: after a commit whose outcome is not known the batch is
// copied into a table of the transaction first.
static enum fail copy_runs(struct db *db, struct run_record *const *list, size_t count,
                           bool is_again, struct fault *fault)
{
    struct buf b;
    buf_init(&b, INT32_MAX / 2);
    db_copy_begin(&b);
    for (size_t i = 0; i != count; ++i)
        copy_run(&b, list[i]);
    db_copy_end(&b);
    assert(!b.full);
    enum fail f = FAIL_NONE;
    if (is_again)
        f = db_script(db, fault, "create temporary table runs_again (like runs) on commit drop");
    if (f == FAIL_NONE)
        f = db_copy(db, fault,
                    is_again ? "copy runs_again (" RUN_COLUMN_NAMES ") from stdin (format binary)"
                             : "copy runs (" RUN_COLUMN_NAMES ") from stdin (format binary)",
                    buf_str(&b));
    if (f == FAIL_NONE && is_again)
        f = db_script(db, fault,
                      "insert into runs (" RUN_COLUMN_NAMES ") select " RUN_COLUMN_NAMES
                      " from runs_again on conflict (id) do nothing");
    buf_fini(&b);
    return f;
}

// --- events ---

static void add_time(struct array *a, int64_t real_ms)
{
    db_copy_time(&a->bytes, real_ms); // a length and eight bytes, as in an array
    ++a->count;
}

enum event_column {
    E_ID,
    E_PROJECT,
    E_PLUGIN,
    E_INSTANCE,
    E_RUN,
    E_TYPE,
    E_SOURCE,
    E_ACTION,
    E_AT,
    E_DATA,
    E_COLUMNS
};

static bool raises_events(const struct run_record *r)
{
    return r->events != NULL && !r->is_preview;
}

static void add_events(struct array *a, const struct run_record *r)
{
    size_t i;
    json_t *name;
    str data = r->payload.full     ? STR("{\"truncated\":true}")
               : r->payload.n == 0 ? STR("{}")
                                   : buf_str(&r->payload);
    json_array_foreach(r->events, i, name)
    {
        char id[CATALOG_ID_ROOM];
        str type = str_of(json_string_value(name), json_string_length(name));
        if (i == RUN_EVENTS_MAX)
            break;
        run_event_id(r->id, type, id);
        add_text(&a[E_ID], str_from(id));
        add_text(&a[E_PROJECT], str_from(r->project_id));
        add_text(&a[E_PLUGIN], str_from(r->plugin_id));
        add_text(&a[E_INSTANCE], str_from(r->instance_id));
        add_text(&a[E_RUN], str_from(r->id));
        add_text(&a[E_TYPE], type);
        add_text(&a[E_SOURCE], str_from(run_source_name(r->source)));
        add_text(&a[E_ACTION], str_from(r->action));
        add_time(&a[E_AT], ended_at(r));
        add_text(&a[E_DATA], data);
    }
}

// Which instances' streams to wake; more than a few: all.
static void add_wakes(struct array *a, struct run_record *const *list, size_t count)
{
    const char *named[RUNS_NOTICES_MAX];
    size_t n = 0;
    for (size_t i = 0; i != count; ++i) {
        size_t k = 0;
        if (!raises_events(list[i]))
            continue;
        while (k != n && strcmp(named[k], list[i]->instance_id) != 0)
            ++k;
        if (k == RUNS_NOTICES_MAX) {
            n = 1;
            named[0] = "*";
            break;
        }
        if (k == n)
            named[n++] = list[i]->instance_id;
    }
    for (size_t k = 0; k != n; ++k)
        add_text(a, str_from(named[k]));
}

// The lock is held from before the events' numbers are drawn until the commit, which so come in the
// same order. It holds up no more than the notices do: PostgreSQL commits those one after the other
// anyhow.
static enum fail lock_and_notify(struct db *db, struct run_record *const *list, size_t count,
                                 struct fault *fault)
{
    struct array wakes;
    array_init(&wakes, OID_TEXT);
    add_wakes(&wakes, list, count);
    enum fail f = db_query(db, fault, NULL,
                           "select pg_advisory_xact_lock(7310583194305),"
                           " (select count(pg_notify('stoa_runs', x)) from unnest($1::text[]) x)",
                           array_param(&wakes));
    arrays_fini(&wakes, 1);
    return f;
}

#define IS_TOLD                                                                                    \
    "s.project_id = e.project_id and (s.instance_id is null or s.instance_id = e.instance_id)"     \
    " and (e.type = any (s.events) or '*' = any (s.events))"

// A project that is crowded when the batch begins gets no deliveries by it, and its subscriptions say
// so.
static enum fail insert_events(struct db *db, struct run_record *const *list, size_t count,
                               bool *ret_deliveries, struct fault *fault)
{
    static const char sql[] =
        "with e as (insert into run_events (id, project_id, plugin_id, instance_id, run_id, type,"
        " source, action, created_at, data)"
        " select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],"
        " $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::text[])"
        " on conflict (id) do nothing returning id, project_id, instance_id, type),"
        " crowded as (select p.project_id from (select distinct project_id from e) p"
        " where exists (select from event_deliveries d where d.project_id = p.project_id"
        " and not d.is_dead offset $11::bigint)),"
        " left_out as (update event_subscriptions s set failed_at = now(), failure = $12::text"
        " where (s.failed_at is null or s.failed_at < now() - interval '5 seconds')"
        " and s.project_id in (select project_id from crowded)"
        " and exists (select from e where " IS_TOLD "))"
        " insert into event_deliveries (event_id, subscription_id, project_id)"
        " select e.id, s.id, s.project_id from e join event_subscriptions s on " IS_TOLD
        " where not exists (select from crowded c where c.project_id = e.project_id)";
    struct array columns[E_COLUMNS];
    struct db_param params[E_COLUMNS + 2];
    DB_ROWS_AUTO rows = NULL;
    for (int c = 0; c != E_COLUMNS; ++c)
        array_init(&columns[c], c == E_AT ? OID_TIMESTAMPTZ : OID_TEXT);
    for (size_t i = 0; i != count; ++i)
        if (raises_events(list[i]))
            add_events(columns, list[i]);
    for (int c = 0; c != E_COLUMNS; ++c)
        params[c] = array_param(&columns[c]);
    params[E_COLUMNS] = db_int(DELIVERIES_WAITING_MAX);
    params[E_COLUMNS + 1] = db_text("too_many: So many deliveries of this project wait that an "
                                    "event is not sent.");
    enum fail f = lock_and_notify(db, list, count, fault);
    if (f == FAIL_NONE)
        f = db_query_n(db, fault, &rows, sql, params, E_COLUMNS + 2);
    arrays_fini(columns, E_COLUMNS);
    if (f == FAIL_NONE)
        *ret_deliveries = db_affected(rows) != 0;
    return f;
}

// --- events that no run raised ---

enum fail runs_query_tell(struct db *db, const struct catalog_event *e, struct fault *fault)
{
    char id[CATALOG_ID_ROOM];
    AUTOFREE char *data = jsonx_dump(e->data, NULL);
    token_id("evt_", id);
    enum fail f = db_query(db, fault, NULL,
                           "select pg_advisory_xact_lock(7310583194305),"
                           " pg_notify('stoa_runs', $1)",
                           db_text(e->instance_id));
    if (f != FAIL_NONE)
        return f;
    return db_query(db, fault, NULL,
                    "with e as (insert into run_events (id, project_id, plugin_id, instance_id,"
                    " run_id, type, source, action, created_at, data) select $1, $2,"
                    " coalesce((select plugin_id from instances where id = $3), ''), $3, '', $4,"
                    " 'server', '', now(), $5 returning id, project_id, instance_id, type)"
                    " insert into event_deliveries (event_id, subscription_id, project_id)"
                    " select e.id, s.id, s.project_id from e join event_subscriptions s"
                    " on " IS_TOLD,
                    db_text(id), db_text(e->project_id), db_text(e->instance_id), db_text(e->type),
                    db_text(data));
}

// --- the transaction ---

enum fail runs_query_writer_session(struct db *db, struct fault *fault)
{
    return db_script(db, fault,
                     "set statement_timeout = '5s'; set lock_timeout = '3s';"
                     " set idle_in_transaction_session_timeout = '5s'");
}

static enum fail write_batch(struct db *db, struct run_record *const *list, size_t count,
                             bool is_waited, bool is_again, bool *ret_deliveries,
                             struct fault *fault)
{
    bool any_events = false;
    *ret_deliveries = false;
    for (size_t i = 0; i != count; ++i)
        any_events = any_events || raises_events(list[i]);
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE && !is_waited && !any_events)
        f = db_script(db, fault, "set local synchronous_commit = off");
    if (f == FAIL_NONE)
        f = copy_runs(db, list, count, is_again, fault);
    if (f == FAIL_NONE && any_events)
        f = insert_events(db, list, count, ret_deliveries, fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}

enum fail runs_query_insert(struct db *db, struct run_record *const *list, size_t count,
                            bool is_waited, bool *ret_deliveries, struct fault *fault)
{
    enum fail f = write_batch(db, list, count, is_waited, false, ret_deliveries, fault);
    if (f == FAIL_CONFLICT) // written before, by a commit that seemed to be lost
        f = write_batch(db, list, count, is_waited, true, ret_deliveries, fault);
    return f;
}
