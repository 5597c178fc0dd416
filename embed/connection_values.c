// A connection's values: sealed on the way in, opened for a run only. Each is bound to its connection,
// kind, name and project, so that who can write to the database, but has no key, can neither read one
// nor give it to another.
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "embed/connections.h"

enum {
    ROW_ROOM = CATALOG_ID_ROOM + 8 + 66,
    VALUE_MAX = CONNECTION_FIELDS_MAX + 2,
    RESEAL_BATCH = 100
};

const char *connection_kind(enum connected what)
{
    return what == CONNECTED_SECRETS ? "secret" : "field";
}

// `row` is where the context's own text stands.
static struct seal_context place_of(str connection_id, str kind, str name, const char *project_id,
                                    char row[ROW_ROOM])
{
    snprintf(row, ROW_ROOM, "%.*s/%.*s/%.*s", STR_FMT(connection_id), STR_FMT(kind), STR_FMT(name));
    return (struct seal_context){
        .table = "connection_values", .row = row, .column = "value", .project = project_id};
}

// A field's value as a list of one: JSON of any type.
static enum fail seal_field(const json_t *value, const struct seal_context *at, struct buf *ret,
                            struct fault *fault)
{
    size_t n;
    json_t *list = json_pack("[O]", value);
    char *text = jsonx_dump(list, &n);
    enum fail fail = seal(str_of(text, n), at, ret, fault);
    explicit_bzero(text, n);
    free(text);
    json_decref(list);
    return fail;
}

enum fail connection_value_put(struct db *db, const char *connection_id, const char *project_id,
                               enum connected what, const char *name, const json_t *value,
                               struct fault *fault)
{
    char row[ROW_ROOM];
    struct buf sealed;
    const char *kind = connection_kind(what);
    struct seal_context at =
        place_of(str_from(connection_id), str_from(kind), str_from(name), project_id, row);
    buf_init(&sealed, VALUE_MAX + SEAL_OVERHEAD);
    enum fail fail = what == CONNECTED_FIELDS
                         ? seal_field(value, &at, &sealed, fault)
                         : seal(str_of(json_string_value(value), json_string_length(value)), &at,
                                &sealed, fault);
    if (fail == FAIL_NONE)
        fail = connection_query_put_value(db, connection_id, kind, name, buf_str(&sealed), fault);
    buf_fini(&sealed);
    return fail;
}

// --- for a run ---

static json_t *value_of(enum connected what, str plain, struct fault *fault)
{
    if (what == CONNECTED_SECRETS)
        return json_stringn(plain.p != NULL ? plain.p : "", plain.n);
    json_t *list = jsonx_parse(plain, fault), *value = json_incref(json_array_get(list, 0));
    json_decref(list);
    return value;
}

static enum fail open_value(const struct db_rows *rows, size_t i, enum connected what,
                            const char *project_id, json_t *to, struct fault *fault)
{
    char row[ROW_ROOM];
    size_t n;
    struct buf plain;
    str name = db_get(rows, i, 1);
    uint8_t *sealed AUTOFREE = db_get_bytes(rows, i, 2, &n);
    struct seal_context at =
        place_of(db_get(rows, i, 0), str_from(connection_kind(what)), name, project_id, row);
    buf_init(&plain, VALUE_MAX);
    enum fail fail = unseal(str_of(sealed, n), &at, &plain, fault);
    json_t *value = fail == FAIL_NONE ? value_of(what, buf_str(&plain), fault) : NULL;
    seal_forget(&plain);
    if (value == NULL)
        return fail != FAIL_NONE ? fail : FAIL_INTERNAL;
    json_object_set_new(to, name.p, value);
    return FAIL_NONE;
}

enum fail connection_values_find(struct db *db, const struct instance *i, str name,
                                 enum connected what, json_t **ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = connection_query_values(db, i, name, connection_kind(what), &rows, fault);
    if (fail != FAIL_NONE || db_count(rows) == 0)
        return fail;
    json_t *values = json_object();
    for (size_t row = 0; fail == FAIL_NONE && row != db_count(rows); ++row)
        if (!db_is_null(rows, row, 1))
            fail = open_value(rows, row, what, i->project_id, values, fault);
    if (fail == FAIL_NONE)
        *ret = values;
    else
        json_decref(values);
    return fail;
}

// --- another master key ---

static enum fail reseal_row(struct db *db, const struct db_rows *rows, size_t i,
                            struct fault *fault)
{
    char row[ROW_ROOM];
    size_t n;
    struct buf plain, sealed;
    str id = db_get(rows, i, 0), kind = db_get(rows, i, 1), name = db_get(rows, i, 2);
    uint8_t *before AUTOFREE = db_get_bytes(rows, i, 3, &n);
    struct seal_context at = place_of(id, kind, name, db_get(rows, i, 4).p, row);
    buf_init(&plain, VALUE_MAX);
    buf_init(&sealed, VALUE_MAX + SEAL_OVERHEAD);
    enum fail fail = unseal(str_of(before, n), &at, &plain, fault);
    if (fail == FAIL_NONE)
        fail = seal(buf_str(&plain), &at, &sealed, fault);
    seal_forget(&plain);
    if (fail == FAIL_NONE)
        fail =
            connection_query_reseal(db, id, kind, name, str_of(before, n), buf_str(&sealed), fault);
    buf_fini(&sealed);
    return fail;
}

// One that cannot be opened is left as it is, and said; rows come in one order, so that the next
// batch reaches past those.
enum fail connections_reseal(struct db *db, struct fault *fault)
{
    uint8_t id[SEAL_ID_BYTES];
    size_t done = 0, bad = 0;
    enum fail fail = seal_current_id(id, fault);
    for (bool more = true; fail == FAIL_NONE && more;) {
        DB_ROWS_AUTO rows = NULL;
        size_t good = 0, n = 0;
        unsigned limit = RESEAL_BATCH + (unsigned)bad;
        fail = connection_query_old(db, str_of(id, sizeof id), limit, &rows, fault);
        n = fail == FAIL_NONE ? db_count(rows) : 0;
        for (size_t i = 0; i != n; ++i)
            good += reseal_row(db, rows, i, fault) == FAIL_NONE;
        done += good;
        bad = n - good;
        more = n == limit;
    }
    if (done != 0)
        log_info("connections were sealed under the newest master key", "values=%zu", done);
    if (bad != 0)
        log_error("connections cannot be opened with the master keys given", "values=%zu reason=%s",
                  bad, LOG_STR(str_from(fault->log_text)));
    return fail;
}
