// The catalogue's statements, each behind a typed function. Only those that say so cross projects.
#include "edge/catalog/internal.h"
#include <stdio.h>
#include <stdlib.h>

#define MS(column) "(extract(epoch from " column ") * 1000)::bigint"
#define PLUGIN_COLUMNS                                                                             \
    "id, project_id, slug, display_name, version, tier, " MS("created_at") ", " MS("updated_at")
#define INSTANCE_COLUMNS "id, plugin_id, project_id, slug, " MS("created_at")

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static struct plugin plugin_of(const struct db_rows *rows, size_t row)
{
    struct plugin p = {.created_at = db_get_int(rows, row, 6),
                       .updated_at = db_get_int(rows, row, 7)};
    copy(p.id, sizeof p.id, db_get(rows, row, 0));
    copy(p.project_id, sizeof p.project_id, db_get(rows, row, 1));
    copy(p.slug, sizeof p.slug, db_get(rows, row, 2));
    copy(p.display_name, sizeof p.display_name, db_get(rows, row, 3));
    copy(p.version, sizeof p.version, db_get(rows, row, 4));
    copy(p.tier, sizeof p.tier, db_get(rows, row, 5));
    return p;
}

static struct instance instance_of(const struct db_rows *rows, size_t row)
{
    struct instance i = {.created_at = db_get_int(rows, row, 4)};
    copy(i.id, sizeof i.id, db_get(rows, row, 0));
    copy(i.plugin_id, sizeof i.plugin_id, db_get(rows, row, 1));
    copy(i.project_id, sizeof i.project_id, db_get(rows, row, 2));
    copy(i.slug, sizeof i.slug, db_get(rows, row, 3));
    return i;
}

static enum fail no_plugin(struct fault *fault)
{
    return fault_set(fault, FAIL_NOT_FOUND, "plugin_not_found",
                     "There is no such plugin in this project.");
}

static enum fail no_instance(struct fault *fault)
{
    return fault_set(fault, FAIL_NOT_FOUND, "instance_not_found",
                     "There is no such instance in this project.");
}

// --- projects ---

// The owner has the project's display name.
static enum fail begin_project(struct db *db, const struct new_project *p, struct fault *fault)
{
    enum fail f = db_query(db, fault, NULL,
                           "insert into users (id, project_id, display_name)"
                           " select owner_user_id, id, display_name from projects where id = $1",
                           db_text(p->id));
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL,
                     "insert into audit_heads (project_id, seq, hash)"
                     " values ($1, 0, sha256(convert_to($1, 'UTF8')))",
                     db_text(p->id));
    return f;
}

enum fail catalog_query_project_insert(struct db *db, const struct new_project *p, bool *ret_is_new,
                                       struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(
        db, fault, &rows,
        "insert into projects (id, owner_user_id, display_name, platform_id, external_id)"
        " values ($1, $2, left($3, 100), $4, $5)"
        " on conflict on constraint projects_external do nothing returning id",
        db_text(p->id), db_text(p->owner_id), db_str(p->display_name), db_text(p->platform_id),
        p->external_id.p != NULL ? db_str(p->external_id) : DB_NULL);
    *ret_is_new = f == FAIL_NONE && db_count(rows) != 0;
    return *ret_is_new ? begin_project(db, p, fault) : f;
}

// Crosses projects: a server has a first one.
enum fail catalog_project_first(struct db *db, char ret_id[static CATALOG_ID_ROOM],
                                struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows, "select id from projects order by created_at, id limit 1");
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "project_not_found", "There is no project yet.");
    copy(ret_id, CATALOG_ID_ROOM, db_get(rows, 0, 0));
    return FAIL_NONE;
}

// --- plugins ---

enum fail catalog_plugin_find(struct db *db, const char *project_id, str ref, struct plugin *ret,
                              struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select " PLUGIN_COLUMNS " from plugins"
                           " where project_id = $1 and (id = $2 or slug = $2)"
                           " order by id = $2 desc limit 1",
                           db_text(project_id), db_str(ref));
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return no_plugin(fault);
    *ret = plugin_of(rows, 0);
    return FAIL_NONE;
}

// What it has instances of may be another project's.
enum fail catalog_plugin_used(struct db *db, const char *project_id, str ref, struct plugin *ret,
                              struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select " PLUGIN_COLUMNS " from plugins where (id = $2 or slug = $2)"
                           " and id in (select id from plugins where project_id = $1"
                           " union select plugin_id from instances where project_id = $1)"
                           " order by id = $2 desc, project_id = $1 desc limit 1",
                           db_text(project_id), db_str(ref));
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return no_plugin(fault);
    *ret = plugin_of(rows, 0);
    return FAIL_NONE;
}

// Crosses projects: whose apps go with it is the question.
enum fail catalog_plugin_users(struct db *db, const struct plugin *p, struct db_rows **ret,
                               struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select project_id, count(*) from instances where plugin_id = $1"
                    " and project_id <> $2 group by project_id order by project_id collate \"C\"",
                    db_text(p->id), db_text(p->project_id));
}

enum fail catalog_query_plugin_upsert(struct db *db, const struct plugin *p, str display_name,
                                      str version, str tier, struct plugin *ret, bool *ret_created,
                                      struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "insert into plugins (id, project_id, slug, display_name, version, tier)"
                           " values ($1, $2, $3, $4, $5, $6)"
                           " on conflict on constraint plugins_slug do update set"
                           " display_name = excluded.display_name, version = excluded.version,"
                           " tier = excluded.tier, updated_at = now()"
                           " returning " PLUGIN_COLUMNS ", id = $1",
                           db_text(p->id), db_text(p->project_id), db_text(p->slug),
                           db_str(display_name), db_str(version), db_str(tier));
    if (f != FAIL_NONE)
        return f;
    *ret = plugin_of(rows, 0);
    *ret_created = db_get_bool(rows, 0, 8);
    return FAIL_NONE;
}

// Names no project: the id is one that was found in the caller's.
enum fail catalog_plugin_lock(struct db *db, const char *plugin_id, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, "select id from plugins where id = $1 for update",
                           db_text(plugin_id));
    return f != FAIL_NONE ? f : db_count(rows) == 0 ? no_plugin(fault) : FAIL_NONE;
}

enum fail catalog_plugin_count(struct db *db, const char *project_id, uint64_t *ret,
                               struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, "select count(*) from plugins where project_id = $1",
                           db_text(project_id));
    if (f == FAIL_NONE)
        *ret = (uint64_t)db_get_int(rows, 0, 0);
    return f;
}

enum fail catalog_plugin_delete(struct db *db, const char *project_id, const char *plugin_id,
                                struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "delete from plugins where project_id = $1 and id = $2 returning id",
                           db_text(project_id), db_text(plugin_id));
    return f != FAIL_NONE ? f : db_count(rows) == 0 ? no_plugin(fault) : FAIL_NONE;
}

enum fail catalog_query_plugin_page(struct db *db, const char *project_id, const struct page *page,
                                    struct plugin **ret, size_t *ret_count, struct fault *fault)
{
    static const char onwards[] = "select " PLUGIN_COLUMNS " from plugins where project_id = $1"
                                  " and ($2::timestamptz is null or (created_at, id) < ($2, $3))"
                                  " order by created_at desc, id desc limit $4";
    static const char back[] = "select " PLUGIN_COLUMNS " from plugins where project_id = $1"
                               " and ($2::timestamptz is null or (created_at, id) > ($2, $3))"
                               " order by created_at, id limit $4";
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, page->goes_back ? back : onwards, db_text(project_id),
                           page->has_key ? db_time(page->key.at) : DB_NULL, db_text(page->key.id),
                           db_int(page_fetch(page)));
    if (f != FAIL_NONE)
        return f;
    size_t n = db_count(rows);
    struct plugin *list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        list[i] = plugin_of(rows, i);
    *ret = list;
    *ret_count = n;
    return FAIL_NONE;
}

// --- instances ---

enum fail catalog_query_slug_issue(struct db *db, const char *slug, const char *project_id,
                                   bool *ret_is_new, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "insert into used_slugs (slug, project_id) values ($1, $2)"
                           " on conflict do nothing returning slug",
                           db_text(slug), db_text(project_id));
    *ret_is_new = db_count(rows) != 0;
    return f;
}

enum fail catalog_query_instance_insert(struct db *db, const struct instance *i,
                                        int64_t *ret_created_at, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "insert into instances (id, plugin_id, project_id, slug, serves_pages)"
                 " values ($1, $2, $3, $4, coalesce((select bool_or(serves_pages) from instances"
                 " where plugin_id = $2), true)) returning " MS("created_at"),
                 db_text(i->id), db_text(i->plugin_id), db_text(i->project_id), db_text(i->slug));
    if (f == FAIL_NONE)
        *ret_created_at = db_get_int(rows, 0, 0);
    return f;
}

static enum fail one_instance(enum fail f, const struct db_rows *rows, struct instance *ret,
                              struct fault *fault)
{
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return no_instance(fault);
    *ret = instance_of(rows, 0);
    return FAIL_NONE;
}

enum fail catalog_instance_find(struct db *db, const char *project_id, str ref,
                                struct instance *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select " INSTANCE_COLUMNS " from instances"
                           " where project_id = $1 and (id = $2 or slug = $2)"
                           " order by id = $2 desc limit 1",
                           db_text(project_id), db_str(ref));
    return one_instance(f, rows, ret, fault);
}

// Names no project: visitors have none.
enum fail catalog_visited_find(struct db *db, str ref, struct visited *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(
        db, fault, &rows,
        "select i.id, i.plugin_id, i.project_id, i.slug, (extract(epoch from i.created_at) * "
        "1000)::bigint, p.slug, u.id, u.display_name from instances i"
        " join plugins p on p.id = i.plugin_id join projects o on o.id = i.project_id"
        " join users u on u.id = o.owner_user_id"
        " where i.id = $1 or i.slug = $1 order by i.id = $1 desc limit 1",
        db_str(ref));
    if (f == FAIL_NONE && db_count(rows) == 0)
        f = fault_set(fault, FAIL_NOT_FOUND, "instance_not_found", "There is no such app.");
    if (f != FAIL_NONE)
        return f;
    ret->instance = instance_of(rows, 0);
    copy(ret->plugin_slug, sizeof ret->plugin_slug, db_get(rows, 0, 5));
    copy(ret->owner_id, sizeof ret->owner_id, db_get(rows, 0, 6));
    copy(ret->owner_name, sizeof ret->owner_name, db_get(rows, 0, 7));
    return FAIL_NONE;
}

enum fail catalog_instance_first(struct db *db, const char *project_id, const char *plugin_id,
                                 struct instance *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select " INSTANCE_COLUMNS " from instances"
                           " where project_id = $1 and plugin_id = $2"
                           " order by created_at, id limit 1",
                           db_text(project_id), db_text(plugin_id));
    return one_instance(f, rows, ret, fault);
}

enum fail catalog_instance_delete(struct db *db, const char *project_id, const char *instance_id,
                                  struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "delete from instances where project_id = $1 and id = $2 returning id",
                           db_text(project_id), db_text(instance_id));
    return f != FAIL_NONE ? f : db_count(rows) == 0 ? no_instance(fault) : FAIL_NONE;
}

enum fail catalog_instance_page(struct db *db, const char *project_id, const char *plugin_id,
                                const struct page *page, struct instance **ret, size_t *ret_count,
                                struct fault *fault)
{
    static const char onwards[] =
        "select " INSTANCE_COLUMNS " from instances where project_id = $1 and plugin_id = $2"
        " and ($3::timestamptz is null or (created_at, id) > ($3, $4))"
        " order by created_at, id limit $5";
    static const char back[] =
        "select " INSTANCE_COLUMNS " from instances where project_id = $1 and plugin_id = $2"
        " and ($3::timestamptz is null or (created_at, id) < ($3, $4))"
        " order by created_at desc, id desc limit $5";
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, page->goes_back ? back : onwards, db_text(project_id),
                           db_text(plugin_id), page->has_key ? db_time(page->key.at) : DB_NULL,
                           db_text(page->key.id), db_int(page_fetch(page)));
    if (f != FAIL_NONE)
        return f;
    size_t n = db_count(rows);
    struct instance *list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        list[i] = instance_of(rows, i);
    *ret = list;
    *ret_count = n;
    return FAIL_NONE;
}

enum fail catalog_instance_count(struct db *db, const char *project_id, const char *plugin_id,
                                 uint64_t *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(
        db, fault, &rows, "select count(*) from instances where project_id = $1 and plugin_id = $2",
        db_text(project_id), db_text(plugin_id));
    if (f == FAIL_NONE)
        *ret = (uint64_t)db_get_int(rows, 0, 0);
    return f;
}

// Crosses projects: whether there is a second one is the question.
static enum fail count_serving(struct db *db, const char *project_id, const char *plugin_id,
                               uint64_t *ret_others, bool *ret_this_one, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "select count(distinct project_id) filter (where project_id <> $1),"
                 " coalesce(bool_or(project_id = $1 and serves_pages), false) from instances"
                 " where serves_pages or plugin_id = $2",
                 db_text(project_id), db_text(plugin_id));
    if (f != FAIL_NONE)
        return f;
    *ret_others = (uint64_t)db_get_int(rows, 0, 0);
    *ret_this_one = db_get_bool(rows, 0, 1);
    return FAIL_NONE;
}

enum fail catalog_plugin_serves_pages(struct db *db, const char *plugin_id, bool serves,
                                      struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update instances set serves_pages = $2 where plugin_id = $1"
                    " and serves_pages <> $2",
                    db_text(plugin_id), db_bool(serves));
}

enum fail catalog_plugin_has_pages(struct db *db, const char *plugin_id, bool *ret,
                                   struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "select exists (select from instances where plugin_id = $1 and serves_pages)",
                 db_text(plugin_id));
    *ret = f == FAIL_NONE && db_get_bool(rows, 0, 0);
    return f;
}

enum fail catalog_serving_projects(struct db *db, const char *project_id, const char *plugin_id,
                                   uint64_t *ret_others, struct fault *fault)
{
    bool this_one = false;
    enum fail f = count_serving(db, project_id, plugin_id, ret_others, &this_one, fault);
    if (f != FAIL_NONE || this_one || !db_is_in_transaction(db))
        return f;
    f = db_query(db, fault, NULL, "select pg_advisory_xact_lock(7310583194303)");
    return f != FAIL_NONE ? f
                          : count_serving(db, project_id, plugin_id, ret_others, &this_one, fault);
}

// --- audit ---

static enum fail read_digest(const struct db_rows *rows, size_t row, size_t column,
                             struct digest *ret, struct fault *fault)
{
    size_t n = 0;
    uint8_t *bytes AUTOFREE = db_get_bytes(rows, row, column, &n);
    if (n != sizeof ret->b) {
        fault_set(fault, FAIL_INTERNAL, "internal", "The audit trail is damaged.");
        fault_log(fault, "audit: a hash of %zu bytes", n);
        return FAIL_INTERNAL;
    }
    memcpy(ret->b, bytes, n);
    return FAIL_NONE;
}

enum fail catalog_query_audit_head(struct db *db, const char *project_id, int64_t *ret_seq,
                                   struct digest *ret_hash, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select seq, hash from audit_heads where project_id = $1 for update",
                           db_text(project_id));
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "project_not_found", "There is no such project.");
    *ret_seq = db_get_int(rows, 0, 0);
    return read_digest(rows, 0, 1, ret_hash, fault);
}

enum fail catalog_query_audit_insert(struct db *db, const struct audit_event *e,
                                     const struct digest *hash, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "with event as (insert into audit_events (project_id, seq, at, actor, action,"
                    " subject, request_id, address, facts, hash, platform_id)"
                    " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,"
                    " (select platform_id from projects where id = $1)))"
                    " update audit_heads set seq = $2, hash = $10 where project_id = $1",
                    db_text(e->project_id), db_int(e->seq), db_time(e->at), db_text(e->actor),
                    db_text(e->action), db_text(e->subject), db_text(e->request_id),
                    db_str(e->address), e->facts.p != NULL ? db_str(e->facts) : DB_NULL,
                    db_bytes(str_of(hash->b, sizeof hash->b)));
}

enum fail catalog_query_audit_rows(struct db *db, const char *project_id, int64_t after,
                                   unsigned limit, struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select seq, " MS("at") ", actor, action, subject, request_id, address, facts,"
                                            " hash from audit_events where project_id = $1 and seq "
                                            "> $2 order by seq limit $3",
                    db_text(project_id), db_int(after), db_int(limit));
}
