// The statements about tokens. Only those that say so cross projects.
#include "edge/auth/internal.h"
#include <stdio.h>
#include <stdlib.h>

#define MS(column) "coalesce((extract(epoch from " column ") * 1000)::bigint, 0)"
#define TOKEN_COLUMNS                                                                              \
    "t.id, t.project_id, t.name, t.scope, m.id, " MS("t.created_at") ", " MS(                      \
        "t.expires_at") ", " MS("t.last_used_at")
// A maker of another project is nobody's business here.
#define TOKENS "api_tokens t left join api_tokens m on m.id = t.parent_id and m.project_id = $1"

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static struct token_row token_of(const struct db_rows *rows, size_t row)
{
    struct token_row t = {.created_at = db_get_int(rows, row, 5),
                          .expires_at = db_get_int(rows, row, 6),
                          .last_used_at = db_get_int(rows, row, 7)};
    copy(t.id, sizeof t.id, db_get(rows, row, 0));
    copy(t.project_id, sizeof t.project_id, db_get(rows, row, 1));
    copy(t.name, sizeof t.name, db_get(rows, row, 2));
    copy(t.scope, sizeof t.scope, db_get(rows, row, 3));
    copy(t.created_by, sizeof t.created_by, db_get(rows, row, 4));
    return t;
}

enum fail auth_query_lock_tokens(struct db *db, struct fault *fault)
{
    return db_query(db, fault, NULL, "select pg_advisory_xact_lock(7310583194304)");
}

// Crosses projects: the token is what says which project it is.
enum fail auth_query_token_by_hash(struct db *db, const struct digest *sha256,
                                   struct token_seen *ret, bool *ret_found, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select t.id, t.project_id, p.owner_user_id, t.scope, t.sha256,"
                           " coalesce(t.last_used_at < now() - interval '1 minute', true),"
                           " p.platform_id"
                           " from api_tokens t join projects p on p.id = t.project_id"
                           " where t.sha256 = $1 and t.revoked_at is null"
                           " and (t.expires_at is null or t.expires_at > now())",
                           db_bytes(str_of(sha256->b, sizeof sha256->b)));
    *ret_found = f == FAIL_NONE && db_count(rows) != 0;
    if (!*ret_found)
        return f;
    size_t n = 0;
    uint8_t *stored AUTOFREE = db_get_bytes(rows, 0, 4, &n);
    *ret = (struct token_seen){.wants_touch = db_get_bool(rows, 0, 5)};
    memcpy(ret->sha256.b, stored, n < sizeof ret->sha256.b ? n : sizeof ret->sha256.b);
    copy(ret->principal.token_id, sizeof ret->principal.token_id, db_get(rows, 0, 0));
    copy(ret->principal.project_id, sizeof ret->principal.project_id, db_get(rows, 0, 1));
    copy(ret->principal.owner_id, sizeof ret->principal.owner_id, db_get(rows, 0, 2));
    copy(ret->principal.platform_id, sizeof ret->principal.platform_id, db_get(rows, 0, 6));
    ret->principal.scope = auth_scope_of(db_get(rows, 0, 3));
    return FAIL_NONE;
}

enum fail auth_query_token_is_live(struct db *db, const char *project_id, const char *id, bool *ret,
                                   struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select from api_tokens where project_id = $1 and id = $2"
                           " and revoked_at is null and (expires_at is null or expires_at > now())",
                           db_text(project_id), db_text(id));
    if (f == FAIL_NONE)
        *ret = db_count(rows) != 0;
    return f;
}

enum fail auth_query_token_touch(struct db *db, const char *project_id, const char *id,
                                 struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update api_tokens set last_used_at = now() where project_id = $1 and id = $2",
                    db_text(project_id), db_text(id));
}

enum fail auth_query_token_find(struct db *db, const char *project_id, str id,
                                struct token_row *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select " TOKEN_COLUMNS " from " TOKENS
                           " where t.project_id = $1 and t.id = $2 and t.revoked_at is null",
                           db_text(project_id), db_str(id));
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "token_not_found",
                         "There is no such token in this project.");
    *ret = token_of(rows, 0);
    return FAIL_NONE;
}

enum fail auth_query_token_page(struct db *db, const char *project_id, const struct page *page,
                                struct token_row **ret, size_t *ret_count, struct fault *fault)
{
    static const char onwards[] =
        "select " TOKEN_COLUMNS " from " TOKENS " where t.project_id = $1 and t.revoked_at is null"
        " and ($2::timestamptz is null or (t.created_at, t.id) < ($2, $3))"
        " order by t.created_at desc, t.id desc limit $4";
    static const char back[] =
        "select " TOKEN_COLUMNS " from " TOKENS " where t.project_id = $1 and t.revoked_at is null"
        " and ($2::timestamptz is null or (t.created_at, t.id) > ($2, $3))"
        " order by t.created_at, t.id limit $4";
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, page->goes_back ? back : onwards, db_text(project_id),
                           page->has_key ? db_time(page->key.at) : DB_NULL, db_text(page->key.id),
                           db_int(page_fetch(page)));
    if (f != FAIL_NONE)
        return f;
    size_t n = db_count(rows);
    struct token_row *list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        list[i] = token_of(rows, i);
    *ret = list;
    *ret_count = n;
    return FAIL_NONE;
}

enum fail auth_query_token_insert(struct db *db, const struct token_row *t, const char *parent_id,
                                  const struct digest *sha256, int64_t *ret_created_at,
                                  struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(
        db, fault, &rows,
        "insert into api_tokens (id, project_id, name, scope, parent_id, expires_at, sha256)"
        " values ($1, $2, $3, $4, $5, $6, $7) returning " MS("created_at"),
        db_text(t->id), db_text(t->project_id), db_text(t->name), db_text(t->scope),
        db_text(parent_id), t->expires_at != 0 ? db_time(t->expires_at) : DB_NULL,
        db_bytes(str_of(sha256->b, sizeof sha256->b)));
    if (f == FAIL_NONE)
        *ret_created_at = db_get_int(rows, 0, 0);
    return f;
}

// Crosses projects downwards: what the operator's token made goes with it.
enum fail auth_query_token_revoke(struct db *db, const char *project_id, const char *id,
                                  struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    "with recursive tree (id) as ("
                    " select id from api_tokens where project_id = $1 and id = $2"
                    " union select t.id from api_tokens t join tree on t.parent_id = tree.id)"
                    " update api_tokens set revoked_at = now() from tree"
                    " where api_tokens.id = tree.id and revoked_at is null"
                    " returning api_tokens.id, api_tokens.project_id",
                    db_text(project_id), db_text(id));
}

// Crosses projects: the server has one operator.
enum fail auth_query_has_operator(struct db *db, bool *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select exists (select from api_tokens where scope = 'operator'"
                           " and revoked_at is null)");
    if (f == FAIL_NONE)
        *ret = db_get_bool(rows, 0, 0);
    return f;
}
