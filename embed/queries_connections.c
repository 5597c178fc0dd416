// The statements about connections. Each names the project; those of resealing go through all.
#include <stdio.h>
#include "embed/connections.h"

// clang-format off
#define MS(column) "(extract(epoch from " column ") * 1000)::bigint"
#define NAMES(kind) \
    "(select coalesce(json_agg(v.name), '[]') from connection_values v" \
    " where v.connection_id = c.id and v.kind = '" kind "')"
#define COLUMNS \
    "select c.id, c.external_id, c.display_name, c.piece_name, c.plugin_id, " MS("c.created_at") ", " \
    MS("c.updated_at") ", " NAMES("secret") ", " NAMES("field") " from connections c"
#define PAGED COLUMNS \
    " join plugins p on p.id = c.plugin_id where c.project_id = $1" \
    " and ($5::text is null or c.piece_name = $5 or p.slug = $5)"
// clang-format on

enum fail connection_query_page(struct db *db, const char *project_id, str piece_name,
                                const struct page *page, struct db_rows **ret, struct fault *fault)
{
    static const char onwards[] =
        PAGED " and ($2::timestamptz is null or (c.created_at, c.id) < ($2, $3))"
              " order by c.created_at desc, c.id desc limit $4";
    static const char back[] =
        PAGED " and ($2::timestamptz is null or (c.created_at, c.id) > ($2, $3))"
              " order by c.created_at, c.id limit $4";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(project_id),
                    page->has_key ? db_time(page->key.at) : DB_NULL, db_text(page->key.id),
                    db_int(page_fetch(page)), piece_name.p != NULL ? db_str(piece_name) : DB_NULL);
}

enum fail connection_query_find(struct db *db, const char *project_id, str ref,
                                struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    COLUMNS " where c.project_id = $1 and (c.id = $2 or c.external_id = $2)"
                            " order by c.id = $2 desc limit 1",
                    db_text(project_id), db_str(ref));
}

static enum fail check_room(struct db *db, const char *project_id, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows, "select count(*) from connections where project_id = $1",
                 db_text(project_id));
    if (fail == FAIL_NONE && db_get_int(rows, 0, 0) > CONNECTIONS_MAX)
        fail = fault_set(fault, FAIL_CONFLICT, "too_many_connections",
                         "This project has %d connections already; delete one first.",
                         CONNECTIONS_MAX);
    return fail;
}

enum fail connection_query_put(struct db *db, const struct connection_wish *w,
                               char ret_id[static CATALOG_ID_ROOM], bool *ret_is_new,
                               struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(
        db, fault, &rows,
        "insert into connections as c (id, project_id, plugin_id, external_id, display_name,"
        " piece_name, created_by) values ($1, $2, $3, $4, coalesce($5, $6), $7, $8)"
        " on conflict on constraint connections_name do update set updated_at = now(),"
        " display_name = coalesce($5, c.display_name), piece_name = $7"
        " where c.plugin_id = $3 returning c.id, c.id = $1",
        db_text(w->id), db_text(w->project_id), db_text(w->plugin_id), db_str(w->external_id),
        w->display_name.p != NULL ? db_str(w->display_name) : DB_NULL, db_str(w->display_default),
        db_str(w->piece_name), db_text(w->created_by));
    if (fail != FAIL_NONE)
        return fail;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_CONFLICT, "connection_name_taken",
                         "The project's connection of this name is for another piece.");
    snprintf(ret_id, CATALOG_ID_ROOM, "%.*s", STR_FMT(db_get(rows, 0, 0)));
    *ret_is_new = db_get_bool(rows, 0, 1);
    if (*ret_is_new)
        return check_room(db, w->project_id, fault);
    return db_query(db, fault, NULL, "delete from connection_values where connection_id = $1",
                    db_text(ret_id));
}

enum fail connection_query_put_value(struct db *db, const char *connection_id, const char *kind,
                                     const char *name, str sealed, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "insert into connection_values (connection_id, kind, name, value)"
                    " values ($1, $2, $3, $4)",
                    db_text(connection_id), db_text(kind), db_text(name), db_bytes(sealed));
}

enum fail connection_query_delete(struct db *db, const char *project_id, const char *id,
                                  struct fault *fault)
{
    return db_query(db, fault, NULL, "delete from connections where project_id = $1 and id = $2",
                    db_text(project_id), db_text(id));
}

enum fail connection_query_values(struct db *db, const struct instance *i, str name,
                                  const char *kind, struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select c.id, v.name, v.value from (select id from connections"
                    " where project_id = $1 and plugin_id = $2 and ($3 = '' or external_id = $3)"
                    " order by created_at desc, id desc limit 1) c"
                    " left join connection_values v on v.connection_id = c.id and v.kind = $4",
                    db_text(i->project_id), db_text(i->plugin_id), db_str(name), db_text(kind));
}

// A sealed value's key id stands behind its version byte.
enum fail connection_query_old(struct db *db, str key_id, unsigned limit, struct db_rows **ret,
                               struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select v.connection_id, v.kind, v.name, v.value, c.project_id"
                    " from connection_values v join connections c on c.id = v.connection_id"
                    " where substr(v.value, 2, octet_length($1::bytea)) <> $1::bytea"
                    " order by v.connection_id, v.kind, v.name limit $2",
                    db_bytes(key_id), db_int(limit));
}

enum fail connection_query_reseal(struct db *db, str connection_id, str kind, str name, str before,
                                  str after, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update connection_values set value = $5"
                    " where connection_id = $1 and kind = $2 and name = $3 and value = $4",
                    db_str(connection_id), db_str(kind), db_str(name), db_bytes(before),
                    db_bytes(after));
}

enum fail connection_query_count(struct db *db, const char *plugin_id, int64_t *ret,
                                 struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows, "select count(*) from connections where plugin_id = $1",
                 db_text(plugin_id));
    if (fail == FAIL_NONE)
        *ret = db_get_int(rows, 0, 0);
    return fail;
}

enum fail connection_query_notify(struct db *db, const char *plugin_id, struct fault *fault)
{
    return db_query(db, fault, NULL, "select pg_notify('stoa_bundles', $1)", db_text(plugin_id));
}
