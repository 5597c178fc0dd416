// The statements. Plugins' and instances' secrets are two tables of one shape; each statement is
// there for both.
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "public-actions/owner_settings/internal.h"

#define MS(column) "(extract(epoch from " column ") * 1000)::bigint"
#define TIMES MS("created_at") ", " MS("updated_at")
#define OF_KIND(kind, sql_plugin, sql_instance)                                                    \
    ((kind) == OWNER_PLUGIN ? (sql_plugin) : (sql_instance))

static struct owner_secret secret_of(const struct db_rows *rows, size_t row)
{
    struct owner_secret s = {.created_at = db_get_int(rows, row, 1),
                             .updated_at = db_get_int(rows, row, 2)};
    snprintf(s.name, sizeof s.name, "%.*s", STR_FMT(db_get(rows, row, 0)));
    return s;
}

static enum fail one_secret(const struct db_rows *rows, struct owner_secret *ret,
                            struct fault *fault)
{
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "secret_not_found",
                         "No secret of this name is set.");
    *ret = secret_of(rows, 0);
    return FAIL_NONE;
}

enum fail owner_query_secrets(struct db *db, const struct owner_holder *h,
                              struct owner_secret **ret, size_t *ret_count, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(
        db, fault, &rows,
        OF_KIND(h->kind,
                "select name, " TIMES " from plugin_secrets where plugin_id = $1 order by name",
                "select name, " TIMES
                " from instance_secrets where instance_id = $1 order by name"),
        db_text(h->id));
    if (fail != FAIL_NONE)
        return fail;
    size_t n = db_count(rows);
    struct owner_secret *list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        list[i] = secret_of(rows, i);
    *ret = list;
    *ret_count = n;
    return FAIL_NONE;
}

enum fail owner_query_secrets_size(struct db *db, const struct owner_holder *h, const char *but,
                                   size_t *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows,
                 OF_KIND(h->kind,
                         "select coalesce(sum(octet_length(value)), 0) from plugin_secrets"
                         " where plugin_id = $1 and name <> $2",
                         "select coalesce(sum(octet_length(value)), 0) from instance_secrets"
                         " where instance_id = $1 and name <> $2"),
                 db_text(h->id), db_text(but));
    if (fail == FAIL_NONE)
        *ret = (size_t)db_get_int(rows, 0, 0);
    return fail;
}

enum fail owner_query_secret(struct db *db, const struct owner_holder *h, str name,
                             struct owner_secret *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(
        db, fault, &rows,
        OF_KIND(h->kind,
                "select name, " TIMES " from plugin_secrets where plugin_id = $1 and name = $2",
                "select name, " TIMES
                " from instance_secrets where instance_id = $1 and name = $2"),
        db_text(h->id), db_str(name));
    return fail == FAIL_NONE ? one_secret(rows, ret, fault) : fail;
}

enum fail owner_query_secret_put(struct db *db, const struct owner_holder *h, const char *name,
                                 str sealed, struct owner_secret *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(
        db, fault, &rows,
        OF_KIND(h->kind,
                "insert into plugin_secrets (plugin_id, name, value) values ($1, $2, $3)"
                " on conflict (plugin_id, name) do update set value = $3, updated_at = now()"
                " returning name, " TIMES,
                "insert into instance_secrets (instance_id, name, value) values ($1, $2, $3)"
                " on conflict (instance_id, name) do update set value = $3, updated_at = now()"
                " returning name, " TIMES),
        db_text(h->id), db_text(name), db_bytes(sealed));
    return fail == FAIL_NONE ? one_secret(rows, ret, fault) : fail;
}

enum fail owner_query_secret_delete(struct db *db, const struct owner_holder *h, str name,
                                    struct owner_secret *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows,
                 OF_KIND(h->kind,
                         "delete from plugin_secrets where plugin_id = $1 and name = $2"
                         " returning name, " TIMES,
                         "delete from instance_secrets where instance_id = $1 and name = $2"
                         " returning name, " TIMES),
                 db_text(h->id), db_str(name));
    return fail == FAIL_NONE ? one_secret(rows, ret, fault) : fail;
}

enum fail owner_query_sealed(struct db *db, const struct instance *i, struct db_rows **ret,
                             struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select s.name, s.value, i.id, i.project_id, true"
                    " from instance_secrets s join instances i on i.id = s.instance_id"
                    " where i.id = $1 union all"
                    " select s.name, s.value, p.id, p.project_id, false"
                    " from plugin_secrets s join plugins p on p.id = s.plugin_id where p.id = $2"
                    " order by 5 desc, 1",
                    db_text(i->id), db_text(i->plugin_id));
}

// A sealed value's key id stands behind its version byte.
enum fail owner_query_old(struct db *db, enum owner_kind kind, str key_id, unsigned limit,
                          struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    OF_KIND(kind,
                            "select s.name, s.value, p.id, p.project_id from plugin_secrets s"
                            " join plugins p on p.id = s.plugin_id"
                            " where substr(s.value, 2, octet_length($1::bytea)) <> $1::bytea order "
                            "by p.id, s.name limit $2",
                            "select s.name, s.value, i.id, i.project_id from instance_secrets s"
                            " join instances i on i.id = s.instance_id"
                            " where substr(s.value, 2, octet_length($1::bytea)) <> $1::bytea order "
                            "by i.id, s.name limit $2"),
                    db_bytes(key_id), db_int(limit));
}

enum fail owner_query_reseal(struct db *db, const struct owner_holder *h, str name, str before,
                             str after, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    OF_KIND(h->kind,
                            "update plugin_secrets set value = $4"
                            " where plugin_id = $1 and name = $2 and value = $3",
                            "update instance_secrets set value = $4"
                            " where instance_id = $1 and name = $2 and value = $3"),
                    db_text(h->id), db_str(name), db_bytes(before), db_bytes(after));
}

// --- config and settings ---

static enum fail one_object(const struct db_rows *rows, json_t **ret, struct fault *fault)
{
    json_t *o = db_count(rows) == 0 ? json_object() : jsonx_parse(db_get(rows, 0, 0), fault);
    if (o == NULL)
        return FAIL_INTERNAL;
    *ret = o;
    return FAIL_NONE;
}

enum fail owner_query_config(struct db *db, const char *instance_id, json_t **ret,
                             struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select config_values from instance_configs where instance_id = $1",
                              db_text(instance_id));
    return fail == FAIL_NONE ? one_object(rows, ret, fault) : fail;
}

enum fail owner_query_config_put(struct db *db, const char *instance_id, const json_t *values,
                                 struct fault *fault)
{
    AUTOFREE char *text = jsonx_dump(values, NULL);
    return db_query(db, fault, NULL,
                    "insert into instance_configs (instance_id, config_values) values ($1, $2)"
                    " on conflict (instance_id) do update set config_values = $2,"
                    " updated_at = now()",
                    db_text(instance_id), db_text(text));
}

enum fail owner_query_settings(struct db *db, const char *instance_id, json_t **ret,
                               struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows, "select settings from instance_settings where instance_id = $1",
                 db_text(instance_id));
    return fail == FAIL_NONE ? one_object(rows, ret, fault) : fail;
}

enum fail owner_query_settings_put(struct db *db, const char *instance_id, const json_t *settings,
                                   struct fault *fault)
{
    AUTOFREE char *text = jsonx_dump(settings, NULL);
    return db_query(db, fault, NULL,
                    "insert into instance_settings (instance_id, settings) values ($1, $2)"
                    " on conflict (instance_id) do update set settings = $2, updated_at = now()",
                    db_text(instance_id), db_text(text));
}

enum fail owner_query_notify(struct db *db, const char *plugin_id, struct fault *fault)
{
    return db_query(db, fault, NULL, "select pg_notify('stoa_bundles', $1)", db_text(plugin_id));
}
