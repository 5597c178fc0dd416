// The statements about platforms and what is known by ids of theirs. Each names the platform, but
// for those that look for one.
#include <stdio.h>
#include "edge/base/jsonx.h"
#include "edge/catalog/internal.h"

#define MS(column) "(extract(epoch from " column ") * 1000)::bigint"
#define NAME_MAX_TEXT "100" // characters of what people call something

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

// --- platforms ---

enum fail catalog_query_platform_insert(struct db *db, const struct platform *p, bool *ret_is_new,
                                        int64_t *ret_created_at, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "insert into platforms (id, slug, display_name, owner_project_id)"
                           " values ($1, $2, $3, $4) on conflict on constraint platforms_slug"
                           " do nothing returning " MS("created_at"),
                           db_text(p->id), db_text(p->slug), db_text(p->display_name),
                           db_text(p->owner_project_id));
    *ret_is_new = f == FAIL_NONE && db_count(rows) != 0;
    if (*ret_is_new)
        *ret_created_at = db_get_int(rows, 0, 0);
    return f;
}

enum fail platform_find(struct db *db, str ref, struct platform *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select id, slug, display_name, owner_project_id, " MS(
                               "created_at") " from platforms where id = $1 or slug = $1",
                           db_str(ref));
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "platform_not_found", "There is no such platform.");
    *ret = (struct platform){.created_at = db_get_int(rows, 0, 4)};
    copy(ret->id, sizeof ret->id, db_get(rows, 0, 0));
    copy(ret->slug, sizeof ret->slug, db_get(rows, 0, 1));
    copy(ret->display_name, sizeof ret->display_name, db_get(rows, 0, 2));
    copy(ret->owner_project_id, sizeof ret->owner_project_id, db_get(rows, 0, 3));
    return FAIL_NONE;
}

// --- users ---

enum fail catalog_query_user_lock(struct db *db, const struct provision *p, struct provisioned *ret,
                                  bool *ret_found, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select id, status = 'ACTIVE' from users"
                           " where platform_id = $1 and external_id = $2 for no key update",
                           db_text(p->platform_id), db_str(p->external_user_id));
    *ret_found = f == FAIL_NONE && db_count(rows) != 0;
    if (*ret_found) {
        copy(ret->user_id, sizeof ret->user_id, db_get(rows, 0, 0));
        ret->is_active = db_get_bool(rows, 0, 1);
    }
    return f;
}

enum fail catalog_query_user_insert(struct db *db, const struct provision *p, const char *id,
                                    bool *ret_is_new, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "insert into users (id, platform_id, external_id, display_name,"
                           " first_name, last_name) values ($1, $2, $3, '', $4, $5)"
                           " on conflict on constraint users_external do nothing returning id",
                           db_text(id), db_text(p->platform_id), db_str(p->external_user_id),
                           db_str(p->first_name), db_str(p->last_name));
    *ret_is_new = f == FAIL_NONE && db_count(rows) != 0;
    return f;
}

// Writes only what is new: most exchanges bring the names that are there, and a minute is exact
// enough for when somebody was last seen.
enum fail catalog_query_user_update(struct db *db, const struct provision *p, const char *user_id,
                                    struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update users set first_name = $3, last_name = $4, email = $5,"
                    " display_name = left($3::text || ' ' || $4::text, " NAME_MAX_TEXT "),"
                    " last_seen_at = now() where platform_id = $1 and id = $2"
                    " and ((first_name, last_name, email) is distinct from ($3, $4, $5)"
                    " or last_seen_at is null or last_seen_at < now() - interval '1 minute')",
                    db_text(p->platform_id), db_text(user_id), db_str(p->first_name),
                    db_str(p->last_name), p->email.n != 0 ? db_str(p->email) : DB_NULL);
}

// --- projects ---

static enum fail external_project(struct db *db, const struct provision *p, bool locks,
                                  struct db_rows **rows, struct fault *fault)
{
    static const char find[] = "select id, owner_user_id from projects"
                               " where platform_id = $1 and external_id = $2";
    static const char lock[] = "select id, owner_user_id from projects"
                               " where platform_id = $1 and external_id = $2 for no key update";
    return db_query(db, fault, rows, locks ? lock : find, db_text(p->platform_id),
                    db_str(p->external_project_id));
}

enum fail catalog_query_external_project(struct db *db, const struct provision *p, bool locks,
                                         struct provisioned *ret, bool *ret_found,
                                         struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = external_project(db, p, locks, &rows, fault);
    *ret_found = f == FAIL_NONE && db_count(rows) != 0;
    if (*ret_found) {
        copy(ret->project_id, sizeof ret->project_id, db_get(rows, 0, 0));
        copy(ret->owner_id, sizeof ret->owner_id, db_get(rows, 0, 1));
    }
    return f;
}

enum fail catalog_query_filter_update(struct db *db, const struct provision *p,
                                      const char *project_id, struct fault *fault)
{
    char *tags AUTOFREE = p->tags != NULL ? jsonx_dump(p->tags, NULL) : NULL;
    return db_query(db, fault, NULL,
                    "with wanted as (select array(select json_array_elements_text($4::json)) tags)"
                    " update projects set pieces_filter = $3, pieces_tags = wanted.tags,"
                    " filter_issued_at = $5 from wanted where platform_id = $1 and id = $2"
                    " and (filter_issued_at is null or filter_issued_at <= $5)"
                    " and (pieces_filter, pieces_tags, filter_issued_at)"
                    " is distinct from ($3, wanted.tags, $5::bigint)",
                    db_text(p->platform_id), db_text(project_id), db_text(p->filter),
                    db_text(tags != NULL ? tags : "[]"), db_int(p->issued_at));
}

// --- who is what where ---

enum fail catalog_query_member_find(struct db *db, const struct provision *p,
                                    struct provisioned *ret, int64_t *ret_issued_at,
                                    bool *ret_found, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "select m.role, m.issued_at from project_members m"
                 " join projects p on p.id = m.project_id"
                 " where p.platform_id = $1 and m.project_id = $2 and m.user_id = $3",
                 db_text(p->platform_id), db_text(ret->project_id), db_text(ret->user_id));
    *ret_found = f == FAIL_NONE && db_count(rows) != 0;
    if (*ret_found) {
        copy(ret->role, sizeof ret->role, db_get(rows, 0, 0));
        *ret_issued_at = db_get_int(rows, 0, 1);
    }
    return f;
}

// Both ids are ones that were found in the platform.
enum fail catalog_query_member_put(struct db *db, const struct provision *p,
                                   const struct provisioned *r, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "insert into project_members (project_id, user_id, role, issued_at)"
                    " values ($1, $2, $3, $4) on conflict (project_id, user_id) do update set"
                    " role = excluded.role, issued_at = excluded.issued_at"
                    " where (project_members.role, project_members.issued_at)"
                    " is distinct from (excluded.role, excluded.issued_at)",
                    db_text(r->project_id), db_text(r->user_id), db_text(p->role),
                    db_int(p->issued_at));
}

#define NOW_SECONDS "floor(extract(epoch from now()))::bigint"

// A filter that is newer than all of the user's tokens is another's.
static enum fail forget_filters_ahead(struct db *db, const char *platform_id, const char *user_id,
                                      struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "with held as (select p.id from projects p"
                    " join project_members m on m.project_id = p.id"
                    " where p.platform_id = $1 and m.user_id = $2::uuid"
                    " and p.filter_issued_at > " NOW_SECONDS " and p.filter_issued_at <="
                    " m.issued_at order by p.id for no key update of p)"
                    " update projects p set filter_issued_at = " NOW_SECONDS
                    " from held where p.id = held.id",
                    db_text(platform_id), db_text(user_id));
}

enum fail platform_forget_times_ahead(struct db *db, const char *platform_id, const char *user_id,
                                      struct fault *fault)
{
    enum fail f = forget_filters_ahead(db, platform_id, user_id, fault);
    return f == FAIL_NONE ? db_query(db, fault, NULL,
                                     "update project_members m set issued_at = " NOW_SECONDS
                                     " from users u where u.platform_id = $1 and u.id = $2::uuid"
                                     " and m.user_id = u.id and m.issued_at > " NOW_SECONDS,
                                     db_text(platform_id), db_text(user_id))
                          : f;
}

// --- the trail ---

#define EVENT_COLUMNS                                                                              \
    "project_id, seq, " MS("at") ", actor, action, subject, request_id, address, facts"

// The key's id is the event's: its project's id, a dot, its number.
static struct db_param project_of(const struct page *page)
{
    str rest = str_from(page->key.id);
    return db_str(str_cut(&rest, '.'));
}

static struct db_param seq_of(const struct page *page)
{
    uint64_t seq = 0;
    str rest = str_from(page->key.id);
    str_cut(&rest, '.');
    return str_to_u64(rest, INT64_MAX, &seq) ? db_int((int64_t)seq) : db_int(0);
}

enum fail audit_project_page(struct db *db, const char *project_id, const struct page *page,
                             struct db_rows **ret, struct fault *fault)
{
    static const char onwards[] =
        "select " EVENT_COLUMNS " from audit_events where project_id = $1"
        " and ($2::bigint is null or seq < $2) order by seq desc limit $3";
    static const char back[] = "select " EVENT_COLUMNS " from audit_events where project_id = $1"
                               " and ($2::bigint is null or seq > $2) order by seq limit $3";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(project_id),
                    page->has_key ? seq_of(page) : DB_NULL, db_int(page_fetch(page)));
}

// Crosses projects: those of the platform.
enum fail audit_platform_page(struct db *db, const char *platform_id, const struct page *page,
                              struct db_rows **ret, struct fault *fault)
{
    static const char onwards[] =
        "select " EVENT_COLUMNS " from audit_events where platform_id = $1"
        " and ($2::timestamptz is null or (at, project_id, seq) < ($2, $3, $4))"
        " order by at desc, project_id desc, seq desc limit $5";
    static const char back[] =
        "select " EVENT_COLUMNS " from audit_events where platform_id = $1"
        " and ($2::timestamptz is null or (at, project_id, seq) > ($2, $3, $4))"
        " order by at, project_id, seq limit $5";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(platform_id),
                    page->has_key ? db_time(page->key.at) : DB_NULL, project_of(page), seq_of(page),
                    db_int(page_fetch(page)));
}
