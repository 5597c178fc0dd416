// The rows in the state that say where plugins' data is. Passwords are sealed for their role's row.
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/token.h"
#include "public-actions/managed_db/provision.h"

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static struct seal_context context_of(const char *role, const char *project_id)
{
    return (struct seal_context){"managed_roles", role, "password", project_id};
}

static enum fail seal_password(const char *password, const char *role, const char *project_id,
                               struct buf *ret, struct fault *fault)
{
    struct seal_context ctx = context_of(role, project_id);
    buf_init(ret, 512);
    return seal(str_from(password), &ctx, ret, fault);
}

static enum fail open_password(const struct db_rows *rows, size_t row, size_t column,
                               struct managed_db_place *p, struct fault *fault)
{
    size_t n;
    struct buf plain;
    struct seal_context ctx = context_of(p->role, p->project_id);
    AUTOFREE uint8_t *sealed = db_get_bytes(rows, row, column, &n);
    buf_init(&plain, MANAGED_DB_PASSWORD_ROOM);
    enum fail fail = unseal(str_of(sealed, n), &ctx, &plain, fault);
    if (fail == FAIL_NONE)
        copy(p->password, sizeof p->password, buf_str(&plain));
    seal_forget(&plain);
    return fail;
}

#define PLACE_COLUMNS                                                                              \
    "r.project_id, r.plugin_id, d.name, r.name, r.password,"                                       \
    " r.made_at is not null and d.made_at is not null, d.functions"
#define PLACE_TABLES "managed_roles r join managed_databases d on d.project_id = r.project_id"

static enum fail place_of(const struct db_rows *rows, size_t row, struct managed_db_place *ret,
                          struct fault *fault)
{
    *ret = (struct managed_db_place){.is_made = db_get_bool(rows, row, 5),
                                     .has_functions = db_get_bool(rows, row, 6)};
    copy(ret->project_id, sizeof ret->project_id, db_get(rows, row, 0));
    copy(ret->plugin_id, sizeof ret->plugin_id, db_get(rows, row, 1));
    copy(ret->database, sizeof ret->database, db_get(rows, row, 2));
    copy(ret->role, sizeof ret->role, db_get(rows, row, 3));
    return open_password(rows, row, 4, ret, fault);
}

enum fail managed_db_query_place(struct db *db, const char *project_id, const char *plugin_id,
                                 struct managed_db_place *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select " PLACE_COLUMNS " from " PLACE_TABLES
                              " where r.project_id = $1 and r.plugin_id = $2",
                              db_text(project_id), db_text(plugin_id));
    if (fail != FAIL_NONE)
        return fail;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "database_not_found",
                         "This plugin has no database yet.");
    return place_of(rows, 0, ret, fault);
}

enum fail managed_db_query_lock(struct db *db, const char *project_id, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "select pg_advisory_xact_lock(hashtextextended('managed_db ' || $1, 0))",
                    db_text(project_id));
}

static enum fail reserve_database(struct db *db, const char *project_id, struct fault *fault)
{
    char hex[21], name[MANAGED_DB_NAME_ROOM];
    token_hex(hex, 20);
    snprintf(name, sizeof name, "project_%s", hex);
    return db_query(db, fault, NULL,
                    "insert into managed_databases (project_id, name) values ($1, $2)"
                    " on conflict (project_id) do nothing",
                    db_text(project_id), db_text(name));
}

// Kept data of a plugin that was there under the same slug, in the same project of its own.
static enum fail adopt(struct db *db, const char *project_id, const char *plugin_id,
                       bool *ret_adopted, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows,
                 "update managed_roles set plugin_id = $2, kept_at = null, kept_project = null,"
                 " kept_slug = null where name = (select r.name from managed_roles r, plugins p"
                 " where p.id = $2 and r.project_id = $1 and r.kept_at is not null"
                 " and r.kept_project = p.project_id and r.kept_slug = p.slug"
                 " order by r.kept_at desc limit 1)",
                 db_text(project_id), db_text(plugin_id));
    *ret_adopted = fail == FAIL_NONE && db_affected(rows) == 1;
    return fail;
}

static enum fail reserve_role(struct db *db, const char *project_id, const char *plugin_id,
                              struct fault *fault)
{
    struct buf sealed;
    char hex[25], name[MANAGED_DB_NAME_ROOM], password[MANAGED_DB_PASSWORD_ROOM];
    token_hex(hex, 24);
    snprintf(name, sizeof name, "plugin_%s", hex);
    managed_db_password_make(password);
    enum fail fail = seal_password(password, name, project_id, &sealed, fault);
    if (fail == FAIL_NONE)
        fail = db_query(db, fault, NULL,
                        "insert into managed_roles (name, project_id, plugin_id, password)"
                        " values ($1, $2, $3, $4) on conflict on constraint managed_roles_plugin"
                        " do nothing",
                        db_text(name), db_text(project_id), db_text(plugin_id),
                        db_bytes(buf_str(&sealed)));
    buf_fini(&sealed);
    explicit_bzero(password, sizeof password);
    return fail;
}

enum fail managed_db_query_reserve(struct db *db, const char *project_id, const char *plugin_id,
                                   struct fault *fault)
{
    bool is_adopted = false;
    enum fail fail = reserve_database(db, project_id, fault);
    if (fail == FAIL_NONE)
        fail = adopt(db, project_id, plugin_id, &is_adopted, fault);
    if (fail == FAIL_NONE && !is_adopted)
        fail = reserve_role(db, project_id, plugin_id, fault);
    return fail;
}

// What is granted by database is told of every role in it: those that were made before are looked
// at again.
enum fail managed_db_query_made(struct db *db, const struct managed_db_place *p, bool has_functions,
                                struct fault *fault)
{
    enum fail fail = FAIL_NONE;
    if (p->has_functions != has_functions)
        fail = db_query(db, fault, NULL,
                        "update managed_roles set made_at = null where project_id = $1",
                        db_text(p->project_id));
    if (fail == FAIL_NONE)
        fail = db_query(db, fault, NULL,
                        "update managed_databases set made_at = now(), functions = $2"
                        " where project_id = $1",
                        db_text(p->project_id), db_bool(has_functions));
    if (fail == FAIL_NONE)
        fail = db_query(db, fault, NULL, "update managed_roles set made_at = now() where name = $1",
                        db_text(p->role));
    return fail;
}

enum fail managed_db_query_password(struct db *db, const struct managed_db_place *p,
                                    const char *password, struct fault *fault)
{
    struct buf sealed;
    enum fail fail = seal_password(password, p->role, p->project_id, &sealed, fault);
    if (fail == FAIL_NONE)
        fail = db_query(db, fault, NULL, "update managed_roles set password = $2 where name = $1",
                        db_text(p->role), db_bytes(buf_str(&sealed)));
    buf_fini(&sealed);
    return fail;
}

static enum fail reseal_one(struct db *db, const struct db_rows *rows, size_t row,
                            struct fault *fault)
{
    struct managed_db_place p = {0};
    size_t n;
    AUTOFREE uint8_t *sealed = db_get_bytes(rows, row, 2, &n);
    if (seal_is_current(str_of(sealed, n)))
        return FAIL_NONE;
    copy(p.role, sizeof p.role, db_get(rows, row, 0));
    copy(p.project_id, sizeof p.project_id, db_get(rows, row, 1));
    enum fail fail = open_password(rows, row, 2, &p, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_password(db, &p, p.password, fault);
    explicit_bzero(&p, sizeof p);
    return fail;
}

// Crosses projects. A password that is changed meanwhile waits for the lock of its row.
enum fail managed_db_query_reseal(struct db *db, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select name, project_id, password from managed_roles for update");
    for (size_t i = 0; fail == FAIL_NONE && i != db_count(rows); ++i)
        fail = reseal_one(db, rows, i, fault);
    return fail;
}

// Crosses projects: a plugin's instances may belong to several.
enum fail managed_db_query_places(struct db *db, const char *plugin_id,
                                  struct managed_db_place **ret, size_t *ret_count,
                                  struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "select " PLACE_COLUMNS " from " PLACE_TABLES
                              " where r.plugin_id = $1 and r.kept_at is null order by r.name",
                              db_text(plugin_id));
    size_t n = fail == FAIL_NONE ? db_count(rows) : 0;
    struct managed_db_place *list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n && fail == FAIL_NONE; ++i)
        fail = place_of(rows, i, &list[i], fault);
    if (fail != FAIL_NONE) {
        free(list);
        return fail;
    }
    *ret = list;
    *ret_count = n;
    return FAIL_NONE;
}

enum fail managed_db_query_keep(struct db *db, const struct plugin *p, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update managed_roles set kept_at = now(), kept_project = $2, kept_slug = $3"
                    " where plugin_id = $1 and kept_at is null",
                    db_text(p->id), db_text(p->project_id), db_text(p->slug));
}

enum fail managed_db_query_drop_later(struct db *db, const char *plugin_id, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "with gone as (delete from managed_roles where plugin_id = $1 and kept_at is"
                    " null returning *) insert into managed_drops (name, database, password,"
                    " project_id) select g.name, d.name, g.password, g.project_id from gone g"
                    " join managed_databases d on d.project_id = g.project_id",
                    db_text(plugin_id));
}

enum fail managed_db_query_next_drop(struct db *db, struct managed_db_place *ret,
                                     struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows,
                 "select project_id, '', database, name, password, true, false from managed_drops"
                 " order by since limit 1 for update skip locked");
    if (fail != FAIL_NONE)
        return fail;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "database_not_found", "Nothing is to be dropped.");
    return place_of(rows, 0, ret, fault);
}

enum fail managed_db_query_dropped(struct db *db, const char *role, struct fault *fault)
{
    return db_query(db, fault, NULL, "delete from managed_drops where name = $1", db_text(role));
}

enum fail managed_db_query_owner(struct db *db, const char *project_id, char ret[static 37],
                                 struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows, "select owner_user_id from projects where id = $1",
                              db_text(project_id));
    if (fail == FAIL_NONE)
        copy(ret, 37, db_count(rows) != 0 ? db_get(rows, 0, 0) : STR(""));
    return fail;
}

enum fail managed_db_query_leave(struct db *db, const char *project_id, bool *ret_is_empty,
                                 struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = db_query(db, fault, &rows,
                              "delete from managed_databases d where project_id = $1 and not exists"
                              " (select from managed_roles r where r.project_id = d.project_id)"
                              " and not exists (select from managed_drops w where w.database ="
                              " d.name)",
                              db_text(project_id));
    *ret_is_empty = fail == FAIL_NONE && db_affected(rows) == 1;
    return fail;
}

enum fail managed_db_query_system(struct db *db, char *ret, size_t room, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        db_query(db, fault, &rows, "select system_identifier::text from pg_control_system()");
    if (fail == FAIL_NONE)
        copy(ret, room, db_get(rows, 0, 0));
    return fail;
}
