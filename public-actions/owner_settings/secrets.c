// Secrets: sealed on the way in, opened for a run only. A value is bound to its holder and name, so
// that who can write to the database, but has no key, can neither read one nor give it to another.
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/base/seal.h"
#include "edge/catalog/hooks.h"
#include "public-actions/owner_settings/internal.h"

enum { ROW_ROOM = CATALOG_ID_ROOM + 66, RESEAL_BATCH = 100 };

// `row` is where the context's own text stands.
static struct seal_context place_of(const struct owner_holder *h, str name, char row[ROW_ROOM])
{
    snprintf(row, ROW_ROOM, "%s/%.*s", h->id, STR_FMT(name));
    return (struct seal_context){.table = h->kind == OWNER_PLUGIN ? "plugin_secrets"
                                                                  : "instance_secrets",
                                 .row = row,
                                 .column = "value",
                                 .project = h->project_id};
}

// --- setting ---

static enum fail check_room(struct db *db, const struct owner_holder *h, const char *name,
                            size_t size, struct fault *fault)
{
    struct owner_secret *list AUTOFREE = NULL;
    size_t n = 0, others = 0;
    enum fail fail = owner_query_secrets_size(db, h, name, &others, fault);
    if (fail == FAIL_NONE && others + size > SECRETS_BYTES_MAX)
        return fault_set(fault, FAIL_REFUSED, "secrets_too_large",
                         "The secrets together would take more than %d KiB, and every run is given "
                         "all of them.",
                         SECRETS_BYTES_MAX >> 10);
    if (fail == FAIL_NONE)
        fail = owner_query_secrets(db, h, &list, &n, fault);
    if (fail != FAIL_NONE || n < SECRETS_MAX)
        return fail;
    for (size_t i = 0; i != n; ++i)
        if (strcmp(list[i].name, name) == 0)
            return FAIL_NONE;
    return fault_set(fault, FAIL_REFUSED, "too_many_secrets",
                     "There are %d secrets already; delete one that is no longer used.",
                     SECRETS_MAX);
}

enum fail owner_secret_set(struct db *db, const struct owner_holder *h, const char *name, str value,
                           struct owner_secret *ret, struct fault *fault)
{
    char row[ROW_ROOM];
    struct buf sealed;
    struct seal_context at = place_of(h, str_from(name), row);
    buf_init(&sealed, SECRET_BYTES_MAX + SEAL_OVERHEAD);
    enum fail fail = check_room(db, h, name, value.n, fault);
    if (fail == FAIL_NONE)
        fail = seal(value, &at, &sealed, fault);
    if (fail == FAIL_NONE)
        fail = owner_query_secret_put(db, h, name, buf_str(&sealed), ret, fault);
    buf_fini(&sealed);
    return fail;
}

static json_t *time_json(int64_t at)
{
    char text[CLOCK_RFC3339_ROOM];
    clock_rfc3339(at, text);
    return json_string(text);
}

json_t *owner_secret_json(const char *name, const struct owner_secret *s)
{
    return json_pack("{s:s, s:o, s:o}", "name", name, "createdAt",
                     s != NULL ? time_json(s->created_at) : json_null(), "updatedAt",
                     s != NULL ? time_json(s->updated_at) : json_null());
}

// --- for a run ---

struct sealed_row {
    str name;
    uint8_t *value;
    size_t size;
    char id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM];
};

static struct sealed_row sealed_row_of(const struct db_rows *rows, size_t i)
{
    struct sealed_row r = {.name = db_get(rows, i, 0)};
    r.value = db_get_bytes(rows, i, 1, &r.size);
    snprintf(r.id, sizeof r.id, "%.*s", STR_FMT(db_get(rows, i, 2)));
    snprintf(r.project_id, sizeof r.project_id, "%.*s", STR_FMT(db_get(rows, i, 3)));
    return r;
}

static enum fail open_row(const struct sealed_row *r, enum owner_kind kind, struct buf *to,
                          struct fault *fault)
{
    char row[ROW_ROOM];
    struct owner_holder h = {kind, r->id, r->project_id};
    struct seal_context at = place_of(&h, r->name, row);
    buf_init(to, SECRET_BYTES_MAX);
    enum fail fail = unseal(str_of(r->value, r->size), &at, to, fault);
    if (fail != FAIL_NONE)
        seal_forget(to);
    return fail;
}

static enum fail add_row(const struct db_rows *rows, size_t i, enum owner_kind kind,
                         json_t *secrets, struct fault *fault)
{
    struct buf plain;
    struct sealed_row r = sealed_row_of(rows, i);
    enum fail fail = open_row(&r, kind, &plain, fault);
    free(r.value);
    if (fail != FAIL_NONE)
        return fail;
    char name[65];
    snprintf(name, sizeof name, "%.*s", STR_FMT(r.name));
    json_object_set_new(secrets, name, json_stringn(plain.p != NULL ? plain.p : "", plain.n));
    seal_forget(&plain);
    return FAIL_NONE;
}

// What a connection gives stands under the instance's own, and over the plugin's.
static enum fail add_connected(struct db *db, const struct instance *i, const json_t *declared,
                               str connection, json_t *secrets, struct fault *fault)
{
    json_t *given = NULL, *value;
    const char *name;
    enum fail fail = FAIL_NONE;
    if (declared != NULL)
        fail = catalog_find_connected(db, i, connection, CONNECTED_SECRETS, &given, fault);
    json_object_foreach(given, name, value)
    {
        if (json_object_get(declared, name) != NULL && json_object_get(secrets, name) == NULL)
            json_object_set_new(secrets, name, json_copy(value));
    }
    owner_forget(given);
    return fail;
}

enum fail owner_secrets_load(struct db *db, const struct instance *i, const json_t *front,
                             str connection, json_t **ret, struct fault *fault)
{
    const json_t *of_plugin = declared_of(front, "developerSecrets"),
                 *of_instance = declared_of(front, "userSecrets");
    json_t *secrets = json_object();
    bool is_connected = false;
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = FAIL_NONE;
    if (of_plugin != NULL || of_instance != NULL)
        fail = owner_query_sealed(db, i, &rows, fault);
    for (size_t row = 0; fail == FAIL_NONE && rows != NULL && row != db_count(rows); ++row) {
        str name = db_get(rows, row, 0);
        bool is_instance = db_get_bool(rows, row, 4);
        if (!is_instance && !is_connected) {
            fail = add_connected(db, i, of_instance, connection, secrets, fault);
            is_connected = true;
        }
        // the instance's own come first, and stand over the plugin's
        if (fail == FAIL_NONE &&
            declared_one(is_instance ? of_instance : of_plugin, name) != NULL &&
            declared_one(secrets, name) == NULL)
            fail = add_row(rows, row, is_instance ? OWNER_INSTANCE : OWNER_PLUGIN, secrets, fault);
    }
    if (fail == FAIL_NONE && !is_connected)
        fail = add_connected(db, i, of_instance, connection, secrets, fault);
    if (fail == FAIL_NONE)
        *ret = secrets;
    else
        owner_forget(secrets);
    return fail;
}

void owner_forget(json_t *secrets)
{
    const char *name;
    json_t *value;
    json_object_foreach(secrets, name, value)
    {
        if (json_is_string(value))
            explicit_bzero((char *)json_string_value(value), json_string_length(value));
    }
    json_decref(secrets);
}

// --- another master key ---

static enum fail reseal_row(struct db *db, const struct db_rows *rows, size_t i,
                            enum owner_kind kind, struct fault *fault)
{
    char row[ROW_ROOM];
    struct buf plain, sealed;
    struct sealed_row r = sealed_row_of(rows, i);
    struct owner_holder h = {kind, r.id, r.project_id};
    enum fail fail = open_row(&r, kind, &plain, fault);
    if (fail != FAIL_NONE) {
        free(r.value);
        return fail;
    }
    buf_init(&sealed, SECRET_BYTES_MAX + SEAL_OVERHEAD);
    struct seal_context at = place_of(&h, r.name, row);
    fail = seal(buf_str(&plain), &at, &sealed, fault);
    seal_forget(&plain);
    if (fail == FAIL_NONE)
        fail = owner_query_reseal(db, &h, r.name, str_of(r.value, r.size), buf_str(&sealed), fault);
    buf_fini(&sealed);
    free(r.value);
    return fail;
}

// One that cannot be opened is left as it is, and said; rows come in one order, so that the next
// batch reaches past those.
static enum fail reseal_kind(struct db *db, enum owner_kind kind, size_t *ret_done, size_t *ret_bad,
                             struct fault *fault)
{
    uint8_t id[SEAL_ID_BYTES];
    enum fail fail = seal_current_id(id, fault);
    for (bool more = true; fail == FAIL_NONE && more;) {
        DB_ROWS_AUTO rows = NULL;
        size_t good = 0, n = 0;
        unsigned limit = RESEAL_BATCH + (unsigned)*ret_bad;
        fail = owner_query_old(db, kind, str_of(id, sizeof id), limit, &rows, fault);
        n = fail == FAIL_NONE ? db_count(rows) : 0;
        for (size_t i = 0; i != n; ++i)
            good += reseal_row(db, rows, i, kind, fault) == FAIL_NONE;
        *ret_done += good;
        *ret_bad = n - good;
        more = n == limit;
    }
    return fail;
}

enum fail owner_settings_reseal(struct db *db, struct fault *fault)
{
    size_t done = 0, bad[2] = {0};
    enum fail fail = reseal_kind(db, OWNER_PLUGIN, &done, &bad[0], fault);
    if (fail == FAIL_NONE)
        fail = reseal_kind(db, OWNER_INSTANCE, &done, &bad[1], fault);
    if (done != 0)
        log_info("secrets were sealed under the newest master key", "count=%zu", done);
    if (bad[0] + bad[1] != 0)
        log_error("secrets cannot be opened with the master keys given", "count=%zu reason=%s",
                  bad[0] + bad[1], LOG_STR(str_from(fault->log_text)));
    return fail;
}
