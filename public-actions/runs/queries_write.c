// A batch's transaction. The rows of a batch travel as PostgreSQL's own binary arrays, a parameter a
// column: one statement, planned once, with nothing to quote.
#include "public-actions/runs/internal.h"
#include <assert.h>
#include <stdlib.h>

enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT4 = 23, OID_TEXT = 25, OID_TIMESTAMPTZ = 1184 };

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

static void put64(struct buf *b, int64_t v)
{
    put32(b, (uint32_t)((uint64_t)v >> 32));
    put32(b, (uint32_t)v);
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

static void add_int4(struct array *a, uint32_t v)
{
    put32(&a->bytes, 4);
    put32(&a->bytes, v < INT32_MAX ? v : INT32_MAX);
    ++a->count;
}

static void add_int8(struct array *a, int64_t v)
{
    put32(&a->bytes, 8);
    put64(&a->bytes, v);
    ++a->count;
}

// PostgreSQL's own count: microseconds since 2000.
static void add_time(struct array *a, int64_t real_ms)
{
    add_int8(a, (real_ms - 946684800000) * 1000);
}

static void add_bool(struct array *a, bool v)
{
    put32(&a->bytes, 1);
    buf_addc(&a->bytes, v ? 1 : 0);
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

enum run_column {
    R_ID,
    R_PROJECT,
    R_PLUGIN,
    R_INSTANCE,
    R_DEPLOYMENT,
    R_SOURCE,
    R_ACTION,
    R_OUTCOME,
    R_PREVIEW,
    R_REQUEST,
    R_VISITOR,
    R_ACTOR,
    R_STARTED,
    R_ENDED,
    R_QUEUED,
    R_RAN,
    R_INPUT,
    R_OUTPUT,
    R_QUERIES,
    R_FETCHES,
    R_LOG,
    R_ERROR,
    R_FACTS,
    R_COLUMNS
};

static uint32_t oid_of(enum run_column c)
{
    switch (c) {
    case R_PREVIEW:
        return OID_BOOL;
    case R_STARTED:
    case R_ENDED:
        return OID_TIMESTAMPTZ;
    case R_INPUT:
    case R_OUTPUT:
        return OID_INT8;
    case R_QUEUED:
    case R_RAN:
    case R_QUERIES:
    case R_FETCHES:
        return OID_INT4;
    default:
        return OID_TEXT;
    }
}

static int64_t ended_at(const struct run_record *r)
{
    return r->started_at + r->queued_ms + r->ran_ms;
}

static void add_run(struct array *a, const struct run_record *r)
{
    add_text(&a[R_ID], str_from(r->id));
    add_text(&a[R_PROJECT], str_from(r->project_id));
    add_text(&a[R_PLUGIN], str_from(r->plugin_id));
    add_text(&a[R_INSTANCE], str_from(r->instance_id));
    add_text(&a[R_DEPLOYMENT], str_from(r->deployment_id));
    add_text(&a[R_SOURCE], str_from(run_source_name(r->source)));
    add_text(&a[R_ACTION], str_from(r->action));
    add_text(&a[R_OUTCOME], str_from(r->outcome));
    add_bool(&a[R_PREVIEW], r->is_preview);
    add_text(&a[R_REQUEST], str_from(r->request_id));
    add_text(&a[R_VISITOR], str_from(r->visitor));
    add_text(&a[R_ACTOR], str_from(r->actor));
    add_time(&a[R_STARTED], r->started_at);
    add_time(&a[R_ENDED], ended_at(r));
    add_int4(&a[R_QUEUED], r->queued_ms);
    add_int4(&a[R_RAN], r->ran_ms);
    add_int8(&a[R_INPUT], r->input_bytes);
    add_int8(&a[R_OUTPUT], r->output_bytes);
    add_int4(&a[R_QUERIES], r->queries);
    add_int4(&a[R_FETCHES], r->fetches);
    add_text(&a[R_LOG], buf_str(&r->log));
    add_text(&a[R_ERROR], buf_str(&r->error));
    add_text(&a[R_FACTS], buf_str(&r->facts));
}

static enum fail insert_runs(struct db *db, struct run_record *const *list, size_t count,
                             struct fault *fault)
{
    static const char sql[] =
        "insert into runs (id, project_id, plugin_id, instance_id, deployment_id, source, action,"
        " outcome, is_preview, request_id, visitor, actor, started_at, ended_at, queued_ms, ran_ms,"
        " input_bytes, output_bytes, query_count, fetch_count, log, error, facts)"
        " select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],"
        " $6::text[], $7::text[], $8::text[], $9::boolean[], $10::text[], $11::text[],"
        " $12::text[], $13::timestamptz[], $14::timestamptz[], $15::integer[], $16::integer[],"
        " $17::bigint[], $18::bigint[], $19::integer[], $20::integer[], $21::text[], $22::text[],"
        " $23::text[]) on conflict (id) do nothing";
    struct array columns[R_COLUMNS];
    struct db_param params[R_COLUMNS];
    for (int c = 0; c != R_COLUMNS; ++c)
        array_init(&columns[c], oid_of(c));
    for (size_t i = 0; i != count; ++i)
        add_run(columns, list[i]);
    for (int c = 0; c != R_COLUMNS; ++c)
        params[c] = array_param(&columns[c]);
    enum fail f = db_query_n(db, fault, NULL, sql, params, R_COLUMNS);
    arrays_fini(columns, R_COLUMNS);
    return f;
}

// --- events ---

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

static enum fail insert_events(struct db *db, struct run_record *const *list, size_t count,
                               bool *ret_deliveries, struct fault *fault)
{
    static const char sql[] =
        "with e as (insert into run_events (id, project_id, plugin_id, instance_id, run_id, type,"
        " source, action, created_at, data)"
        " select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],"
        " $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::text[])"
        " on conflict (id) do nothing returning id, project_id, instance_id, type)"
        " insert into event_deliveries (event_id, subscription_id, project_id)"
        " select e.id, s.id, s.project_id from e join event_subscriptions s"
        " on s.project_id = e.project_id"
        " and (s.instance_id is null or s.instance_id = e.instance_id)"
        " and (e.type = any (s.events) or '*' = any (s.events))";
    struct array columns[E_COLUMNS];
    struct db_param params[E_COLUMNS];
    DB_ROWS_AUTO rows = NULL;
    for (int c = 0; c != E_COLUMNS; ++c)
        array_init(&columns[c], c == E_AT ? OID_TIMESTAMPTZ : OID_TEXT);
    for (size_t i = 0; i != count; ++i)
        if (raises_events(list[i]))
            add_events(columns, list[i]);
    for (int c = 0; c != E_COLUMNS; ++c)
        params[c] = array_param(&columns[c]);
    enum fail f = lock_and_notify(db, list, count, fault);
    if (f == FAIL_NONE)
        f = db_query_n(db, fault, &rows, sql, params, E_COLUMNS);
    arrays_fini(columns, E_COLUMNS);
    if (f == FAIL_NONE)
        *ret_deliveries = db_affected(rows) != 0;
    return f;
}

// --- the transaction ---

enum fail runs_query_writer_session(struct db *db, struct fault *fault)
{
    return db_script(db, fault,
                     "set statement_timeout = '5s'; set lock_timeout = '3s';"
                     " set idle_in_transaction_session_timeout = '5s'");
}

enum fail runs_query_insert(struct db *db, struct run_record *const *list, size_t count,
                            bool is_waited, bool *ret_deliveries, struct fault *fault)
{
    bool any_events = false;
    *ret_deliveries = false;
    for (size_t i = 0; i != count; ++i)
        any_events = any_events || raises_events(list[i]);
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE && !is_waited && !any_events)
        f = db_script(db, fault, "set local synchronous_commit = off");
    if (f == FAIL_NONE)
        f = insert_runs(db, list, count, fault);
    if (f == FAIL_NONE && any_events)
        f = insert_events(db, list, count, ret_deliveries, fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}
