// The statements about platforms' projects and users. Each names the platform, but for the
// operator's.
#include "embed/platforms.h"
#include <stdio.h>

#define MS(column) "coalesce((extract(epoch from " column ") * 1000)::bigint, 0)"
#define PLATFORM_COLUMNS "id, " MS("created_at") ", slug, display_name, owner_project_id"
#define PROJECT_COLUMNS                                                                            \
    "p.id, " MS("p.created_at") ", p.display_name, p.owner_user_id, p.platform_id, p.external_id," \
                                " exists (select from platforms o where o.owner_project_id = "     \
                                "p.id), p.pieces_filter,"                                          \
                                " to_json(p.pieces_tags)"
// Whoever is in more than a hundred projects is shown the latest of them.
#define USER_COLUMNS                                                                               \
    "u.id, " MS("u.created_at") ", u.external_id, u.first_name, u.last_name, u.display_name,"      \
                                " u.email, u.status, u.platform_id, (select "                      \
                                "coalesce(json_agg(m), '[]') from ("                               \
                                "select m.project_id as \"projectId\", p.external_id as "          \
                                "\"externalId\", m.role"                                           \
                                " from project_members m join projects p on p.id = m.project_id "  \
                                "where m.user_id = u.id"                                           \
                                " order by m.created_at desc, m.project_id limit 100) m), " MS(    \
                                    "u.last_seen_at")

static struct db_param key_time(const struct page *page)
{
    return page->has_key ? db_time(page->key.at) : DB_NULL;
}

static struct db_param or_null(str s)
{
    return s.p != NULL ? db_str(s) : DB_NULL;
}

// Crosses platforms: the operator's list of them.
enum fail platform_query_page(struct db *db, const struct page *page, struct db_rows **ret,
                              struct fault *fault)
{
    static const char onwards[] = "select " PLATFORM_COLUMNS " from platforms"
                                  " where $1::timestamptz is null or (created_at, id) < ($1, $2)"
                                  " order by created_at desc, id desc limit $3";
    static const char back[] = "select " PLATFORM_COLUMNS " from platforms"
                               " where $1::timestamptz is null or (created_at, id) > ($1, $2)"
                               " order by created_at, id limit $3";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, key_time(page),
                    db_text(page->key.id), db_int(page_fetch(page)));
}

// --- projects ---

enum fail platform_query_projects(struct db *db, const char *platform_id, str external_id,
                                  const struct page *page, struct db_rows **ret,
                                  struct fault *fault)
{
    static const char onwards[] =
        "select " PROJECT_COLUMNS " from projects p where p.platform_id = $1"
        " and ($2::text is null or p.external_id = $2)"
        " and ($3::timestamptz is null or (p.created_at, p.id) < ($3, $4))"
        " order by p.created_at desc, p.id desc limit $5";
    static const char back[] = "select " PROJECT_COLUMNS " from projects p where p.platform_id = $1"
                               " and ($2::text is null or p.external_id = $2)"
                               " and ($3::timestamptz is null or (p.created_at, p.id) > ($3, $4))"
                               " order by p.created_at, p.id limit $5";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(platform_id),
                    or_null(external_id), key_time(page), db_text(page->key.id),
                    db_int(page_fetch(page)));
}

enum fail platform_query_project(struct db *db, const char *platform_id, str id,
                                 struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select " PROJECT_COLUMNS " from projects p where p.id = $1"
                    " and ($2::text is null or p.platform_id = $2)",
                    db_str(id), db_text(platform_id));
}

enum fail platform_query_rename_project(struct db *db, const char *platform_id, str id,
                                        str display_name, bool *ret_found, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "update projects set display_name = $3"
                           " where platform_id = $1 and id = $2 returning id",
                           db_text(platform_id), db_str(id), db_str(display_name));
    *ret_found = f == FAIL_NONE && db_count(rows) != 0;
    return f;
}

// --- users ---

#define OF_PLATFORM                                                                                \
    " from users u where u.platform_id = $1 and ($2::text is null or u.external_id = $2)"
#define OF_PROJECT                                                                                 \
    OF_PLATFORM " and u.id in (select user_id from project_members where project_id = $6)"
#define ONWARDS                                                                                    \
    " and ($3::timestamptz is null or (u.created_at, u.id) < ($3, $4::uuid))"                      \
    " order by u.created_at desc, u.id desc limit $5"
#define BACK                                                                                       \
    " and ($3::timestamptz is null or (u.created_at, u.id) > ($3, $4::uuid))"                      \
    " order by u.created_at, u.id limit $5"

// A project's users are found by their membership, never among all of the platform's.
enum fail platform_query_users(struct db *db, const char *platform_id, str external_id,
                               str project_id, const struct page *page, struct db_rows **ret,
                               struct fault *fault)
{
    static const char onwards[] = "select " USER_COLUMNS OF_PLATFORM ONWARDS,
                      back[] = "select " USER_COLUMNS OF_PLATFORM BACK,
                      of_project[] = "select " USER_COLUMNS OF_PROJECT ONWARDS,
                      of_project_back[] = "select " USER_COLUMNS OF_PROJECT BACK;
    struct db_param params[] = {
        db_text(platform_id),     or_null(external_id),
        key_time(page),           page->has_key ? db_text(page->key.id) : DB_NULL,
        db_int(page_fetch(page)), or_null(project_id)};
    bool is_filtered = project_id.p != NULL;
    const char *sql = is_filtered ? (page->goes_back ? of_project_back : of_project)
                                  : (page->goes_back ? back : onwards);
    return db_query_n(db, fault, ret, sql, params, is_filtered ? 6 : 5);
}

enum fail platform_query_user(struct db *db, const char *platform_id, str id, struct db_rows **ret,
                              struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select " USER_COLUMNS
                    " from users u where u.platform_id = $1 and u.id = $2::uuid",
                    db_text(platform_id), db_str(id));
}

enum fail platform_query_lock_user(struct db *db, const char *platform_id, const char *id,
                                   bool *ret_is_active, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select status = 'ACTIVE' from users"
                           " where platform_id = $1 and id = $2::uuid for no key update",
                           db_text(platform_id), db_text(id));
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "user_not_found", "There is no such user.");
    *ret_is_active = db_get_bool(rows, 0, 0);
    return FAIL_NONE;
}

enum fail platform_query_set_status(struct db *db, const char *platform_id, const char *id,
                                    bool is_active, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update users set status = $3 where platform_id = $1 and id = $2::uuid",
                    db_text(platform_id), db_text(id), db_text(is_active ? "ACTIVE" : "INACTIVE"));
}

enum fail platform_query_owner_project(struct db *db, const char *platform_id,
                                       char ret[static CATALOG_ID_ROOM], struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, "select owner_project_id from platforms where id = $1",
                           db_text(platform_id));
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "platform_not_found", "There is no such platform.");
    snprintf(ret, CATALOG_ID_ROOM, "%.*s", STR_FMT(db_get(rows, 0, 0)));
    return FAIL_NONE;
}
