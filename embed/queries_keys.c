// The statements about signing keys. Each names the platform, but for those that say why they do not.
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "embed/keys.h"

#define MS(column) "coalesce((extract(epoch from " column ") * 1000)::bigint, 0)"
#define COLUMNS                                                                                    \
    "k.id, k.display_name, k.public_key, to_json(k.allowed_origins)::text,"                        \
    " coalesce(k.audience, ''), coalesce(k.max_lifetime_s, 0), k.session_s, k.absolute_s,"         \
    " k.is_single_use, k.status = 'DISABLED', " MS(                                                \
        "k.last_used_at") ", coalesce(k.longest_seen_s, 0),"                                       \
                          " k.created_by, " MS("k.created_at")
enum { KEY_COLUMNS = 14 };
#define TEXTS_OF_JSON(parameter)                                                                   \
    "array(select o from json_array_elements_text(" parameter "::json) with ordinality x (o, n)"   \
    " order by n)"

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

void key_of_row(const struct db_rows *rows, size_t row, struct key_row *ret)
{
    struct key_policy *p = &ret->policy;
    *ret = (struct key_row){.public_key = db_get(rows, row, 2).p,
                            .last_used_at = db_get_int(rows, row, 10),
                            .longest_seen_s = db_get_int(rows, row, 11),
                            .created_at = db_get_int(rows, row, 13)};
    copy(ret->id, sizeof ret->id, db_get(rows, row, 0));
    copy(ret->created_by, sizeof ret->created_by, db_get(rows, row, 12));
    copy(p->display_name, sizeof p->display_name, db_get(rows, row, 1));
    copy(p->audience, sizeof p->audience, db_get(rows, row, 4));
    p->origins = jsonx_parse(db_get(rows, row, 3), NULL);
    p->max_lifetime_s = db_get_int(rows, row, 5);
    p->session_s = db_get_int(rows, row, 6);
    p->absolute_s = db_get_int(rows, row, 7);
    p->is_single_use = db_get_bool(rows, row, 8);
    p->is_disabled = db_get_bool(rows, row, 9);
}

static struct db_param or_null(const char *text)
{
    return text[0] != '\0' ? db_text(text) : DB_NULL;
}

enum fail key_query_insert(struct db *db, const char *platform_id, const char *id,
                           const struct key_policy *p, const char *public_key,
                           const char *created_by, struct db_rows **ret, struct fault *fault)
{
    AUTOFREE char *origins = jsonx_dump(p->origins, NULL);
    return db_query(
        db, fault, ret,
        "insert into signing_keys as k (id, platform_id, display_name, public_key, created_by,"
        " allowed_origins, audience, max_lifetime_s, session_s, absolute_s, is_single_use, status)"
        " values ($1, $2, $3, $4, $5, " TEXTS_OF_JSON("$6") ", $7, $8, $9, $10, $11, $12)"
                                                            " returning " COLUMNS,
        db_text(id), db_text(platform_id), db_text(p->display_name), db_text(public_key),
        db_text(created_by), db_text(origins), or_null(p->audience),
        p->max_lifetime_s != 0 ? db_int(p->max_lifetime_s) : DB_NULL, db_int(p->session_s),
        db_int(p->absolute_s), db_bool(p->is_single_use),
        db_text(p->is_disabled ? "DISABLED" : "ACTIVE"));
}

enum fail key_query_hold_platform(struct db *db, const char *platform_id, struct fault *fault)
{
    return db_query(db, fault, NULL, "select from platforms where id = $1 for no key update",
                    db_text(platform_id));
}

enum fail key_query_count(struct db *db, const char *platform_id, uint64_t *ret,
                          struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "select count(*) from signing_keys where platform_id = $1 and deleted_at is null",
                 db_text(platform_id));
    if (f == FAIL_NONE)
        *ret = (uint64_t)db_get_int(rows, 0, 0);
    return f;
}

enum fail key_query_find(struct db *db, const char *platform_id, str id, bool for_update,
                         struct db_rows **ret, struct fault *fault)
{
    static const char plain[] = "select " COLUMNS " from signing_keys k where k.platform_id = $1"
                                " and k.id = $2 and k.deleted_at is null";
    static const char locking[] = "select " COLUMNS " from signing_keys k where k.platform_id = $1"
                                  " and k.id = $2 and k.deleted_at is null for update";
    enum fail f =
        db_query(db, fault, ret, for_update ? locking : plain, db_text(platform_id), db_str(id));
    if (f != FAIL_NONE || db_count(*ret) != 0)
        return f;
    return fault_set(fault, FAIL_NOT_FOUND, "signing_key_not_found",
                     "This platform has no such signing key.");
}

enum fail key_query_page(struct db *db, const char *platform_id, const struct page *page,
                         struct db_rows **ret, struct fault *fault)
{
    static const char onwards[] =
        "select " COLUMNS " from signing_keys k where k.platform_id = $1 and k.deleted_at is null"
        " and ($2::timestamptz is null or (k.created_at, k.id) < ($2, $3))"
        " order by k.created_at desc, k.id desc limit $4";
    static const char back[] =
        "select " COLUMNS " from signing_keys k where k.platform_id = $1 and k.deleted_at is null"
        " and ($2::timestamptz is null or (k.created_at, k.id) > ($2, $3))"
        " order by k.created_at, k.id limit $4";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(platform_id),
                    page->has_key ? db_time(page->key.at) : DB_NULL, db_text(page->key.id),
                    db_int(page_fetch(page)));
}

enum fail key_query_update(struct db *db, const char *platform_id, const char *id,
                           const struct key_policy *p, struct db_rows **ret, struct fault *fault)
{
    AUTOFREE char *origins = jsonx_dump(p->origins, NULL);
    return db_query(
        db, fault, ret,
        "update signing_keys k set display_name = $3, allowed_origins = " TEXTS_OF_JSON(
            "$4") ","
                  " audience = $5, max_lifetime_s = $6, session_s = $7, absolute_s = $8, "
                  "is_single_use = $9,"
                  " status = $10 where k.platform_id = $1 and k.id = $2 and k.deleted_at is null"
                  " returning " COLUMNS,
        db_text(platform_id), db_text(id), db_text(p->display_name), db_text(origins),
        or_null(p->audience), p->max_lifetime_s != 0 ? db_int(p->max_lifetime_s) : DB_NULL,
        db_int(p->session_s), db_int(p->absolute_s), db_bool(p->is_single_use),
        db_text(p->is_disabled ? "DISABLED" : "ACTIVE"));
}

enum fail key_query_delete(struct db *db, const char *platform_id, const char *id,
                           struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update signing_keys set deleted_at = now() where platform_id = $1 and id = $2",
                    db_text(platform_id), db_text(id));
}

enum fail key_query_active(struct db *db, str kid, struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select " COLUMNS
                    ", p.id, p.owner_project_id, p.display_name from signing_keys k"
                    " join platforms p on p.id = k.platform_id"
                    " where k.id = $1 and k.status = 'ACTIVE' and k.deleted_at is null",
                    db_str(kid));
}

enum fail key_query_hold(struct db *db, const char *platform_id, const char *id, bool *ret,
                         struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select from signing_keys where platform_id = $1 and id = $2"
                           " and status = 'ACTIVE' and deleted_at is null for share",
                           db_text(platform_id), db_text(id));
    if (f == FAIL_NONE)
        *ret = db_count(rows) != 0;
    return f;
}

enum fail key_query_used(struct db *db, const char *platform_id, const char *id, int64_t longest_s,
                         struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update signing_keys set last_used_at = now(),"
                    " longest_seen_s = greatest(longest_seen_s, nullif($3::bigint, 0))"
                    " where platform_id = $1 and id = $2",
                    db_text(platform_id), db_text(id), db_int(longest_s));
}

// Crosses platforms: it is the table that the loops ask.
enum fail key_query_embedders(struct db *db, struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select distinct p.slug, p.id, coalesce(o.origin, '') from signing_keys k"
                    " join platforms p on p.id = k.platform_id"
                    " left join lateral unnest(case when k.status = 'ACTIVE'"
                    " then k.allowed_origins end) o (origin) on true"
                    " where k.deleted_at is null");
}

enum fail key_query_notify(struct db *db, const char *id, struct fault *fault)
{
    return db_query(db, fault, NULL, "select pg_notify('stoa_embed', $1)", db_text(id));
}
