// The statements about sessions and the keys that sign them.
#include "edge/auth/sessions_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define MS(expression) "(extract(epoch from " expression ") * 1000)::bigint"
#define MS_OR_0(expression) "coalesce(" MS(expression) ", 0)"
// Of sessions s, users u, projects p, platforms f, project_members m: what lets a request in. A
// cut-off takes all that began before it, so also what was opened beside it, unseen.
#define TABLES                                                                                     \
    "sessions s join users u on u.id = s.user_id join projects p on p.id = s.project_id"           \
    " join platforms f on f.id = s.platform_id"                                                    \
    " left join project_members m on m.project_id = s.project_id and m.user_id = s.user_id"
#define LIVE                                                                                       \
    "(s.ended_at is null and s.ends_at > now() and u.status = 'ACTIVE' and m.role is not null"     \
    " and (u.sessions_from is null or s.created_at > u.sessions_from)"                             \
    " and (p.sessions_from is null or s.created_at > p.sessions_from)"                             \
    " and (f.sessions_from is null or s.created_at > f.sessions_from))"

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static const char *algorithm_of(enum jose_kind kind)
{
    return kind == JOSE_RS256 ? "RS256" : "ES256";
}

static bool is_uuid(const char *z)
{
    return strlen(z) == 36 && strspn(z, "0123456789abcdef-") == 36 && z[8] == '-' && z[13] == '-' &&
           z[18] == '-' && z[23] == '-';
}

// --- opening ---

static enum fail insert_session(struct db *db, const struct session_wish *w, const char *id,
                                bool *ret_is_new, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(
        db, fault, &rows,
        "insert into sessions (id, platform_id, project_id, user_id, key_id, provisioning,"
        " kept_until, created_at, ends_at)"
        " select $1, $2, $3, $4, $5, $6, greatest($7::timestamptz, t.ends_at), t.now, t.ends_at"
        " from (select clock_timestamp() as now,"
        " clock_timestamp() + $8::bigint * interval '1 second' as ends_at) t"
        " on conflict on constraint sessions_provisioning do nothing returning id",
        db_text(id), db_text(w->platform_id), db_text(w->project_id), db_text(w->user_id),
        db_text(w->key_id), db_bytes(str_of(w->provisioning.b, sizeof w->provisioning.b)),
        db_time(w->provisioning_expires_at), db_int(w->absolute_s));
    if (f == FAIL_NONE)
        *ret_is_new = db_count(rows) != 0;
    return f;
}

enum fail session_query_join(struct db *db, const struct session_wish *wish, const char *id,
                             struct session_row *ret, bool *ret_is_new, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = insert_session(db, wish, id, ret_is_new, fault);
    if (f == FAIL_NONE)
        f = db_query(db, fault, &rows,
                     "select s.id, s.platform_id, s.project_id, s.user_id, " MS(
                         "s.ends_at") ", " LIVE ", p.display_name from " TABLES
                                      " where s.platform_id = $1 and s.provisioning = $2",
                     db_text(wish->platform_id),
                     db_bytes(str_of(wish->provisioning.b, sizeof wish->provisioning.b)));
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0) // cleared away in between
        return fault_set(fault, FAIL_BUSY, "database_busy", "Try again in a moment.");
    *ret =
        (struct session_row){.ends_at = db_get_int(rows, 0, 4), .is_live = db_get_bool(rows, 0, 5)};
    copy(ret->id, sizeof ret->id, db_get(rows, 0, 0));
    copy(ret->platform_id, sizeof ret->platform_id, db_get(rows, 0, 1));
    copy(ret->project_id, sizeof ret->project_id, db_get(rows, 0, 2));
    copy(ret->user_id, sizeof ret->user_id, db_get(rows, 0, 3));
    copy(ret->project_name, sizeof ret->project_name, db_get(rows, 0, 6));
    return FAIL_NONE;
}

enum fail session_query_chain(struct db *db, const char *chain_id, const char *session_id,
                              int64_t length_s, int64_t *ret_expires_at, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "insert into session_chains (id, session_id, length_s, expires_at)"
                 " select $1, s.id, $3, least(s.ends_at, now() + $3::bigint * interval '1 second')"
                 " from sessions s where s.id = $2 returning " MS("expires_at"),
                 db_text(chain_id), db_text(session_id), db_int(length_s));
    if (f == FAIL_NONE && db_count(rows) != 1)
        return fault_set(fault, FAIL_BUSY, "database_busy", "Try again in a moment.");
    if (f == FAIL_NONE)
        *ret_expires_at = db_get_int(rows, 0, 0);
    return f;
}

// --- at each request ---

enum fail session_query_link(struct db *db, const struct session_link *link,
                             struct session_seen *ret, bool *ret_found, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select s.platform_id, s.project_id, p.owner_user_id, s.user_id, m.role,"
                           " " LIVE " and c.ended_at is null, c.turn - $3::bigint,"
                           " c.turned_at > now() - $4::bigint * interval '1 second',"
                           " coalesce(s.last_used_at < now() - interval '1 minute', true)"
                           " from session_chains c join " TABLES " on s.id = c.session_id"
                           " where c.id = $1 and s.id = $2",
                           db_text(link->chain_id), db_text(link->session_id), db_int(link->turn),
                           db_int(SESSION_GRACE_S));
    *ret_found = f == FAIL_NONE && db_count(rows) != 0;
    if (!*ret_found)
        return f;
    *ret = (struct session_seen){.is_live = db_get_bool(rows, 0, 5),
                                 .behind = db_get_int(rows, 0, 6),
                                 .is_in_grace = db_get_bool(rows, 0, 7),
                                 .wants_touch = db_get_bool(rows, 0, 8)};
    struct principal *p = &ret->principal;
    copy(p->token_id, sizeof p->token_id, str_from(link->session_id));
    copy(p->platform_id, sizeof p->platform_id, db_get(rows, 0, 0));
    copy(p->project_id, sizeof p->project_id, db_get(rows, 0, 1));
    copy(p->owner_id, sizeof p->owner_id, db_get(rows, 0, 2));
    copy(p->user_id, sizeof p->user_id, db_get(rows, 0, 3));
    p->role = role_of(db_get(rows, 0, 4));
    return FAIL_NONE;
}

enum fail session_query_touch(struct db *db, const char *session_id, struct fault *fault)
{
    return db_query(db, fault, NULL, "update sessions set last_used_at = now() where id = $1",
                    db_text(session_id));
}

enum fail session_query_is_live(struct db *db, const char *session_id, bool *ret,
                                struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, "select from " TABLES " where s.id = $1 and " LIVE,
                           db_text(session_id));
    if (f == FAIL_NONE)
        *ret = db_count(rows) != 0;
    return f;
}

// --- turning and ending ---

enum fail session_query_turn(struct db *db, const struct session_link *link,
                             struct session_grant *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    ret->expires_at = ret->ends_at = 0;
    enum fail f = db_query(db, fault, &rows,
                           "update session_chains c set turn = turn + 1, turned_at = now(),"
                           " expires_at = least(s.ends_at, now() + length_s * interval '1 second')"
                           " from sessions s join projects p on p.id = s.project_id"
                           " where c.id = $1 and s.id = $2 and s.id = c.session_id and turn = $3"
                           " and c.ended_at is null and s.ended_at is null and s.ends_at > now()"
                           " returning " MS("c.expires_at") ", " MS("s.ends_at") ", p.display_name",
                           db_text(link->chain_id), db_text(link->session_id), db_int(link->turn));
    if (f != FAIL_NONE || db_count(rows) == 0)
        return f;
    ret->expires_at = db_get_int(rows, 0, 0);
    ret->ends_at = db_get_int(rows, 0, 1);
    copy(ret->project_name, sizeof ret->project_name, db_get(rows, 0, 2));
    return FAIL_NONE;
}

enum fail session_query_end_chain(struct db *db, const struct session_link *link, bool *ret,
                                  struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "update session_chains set ended_at = now()"
                           " where id = $1 and turn > $2 and ended_at is null returning id",
                           db_text(link->chain_id), db_int(link->turn));
    if (f == FAIL_NONE)
        *ret = db_count(rows) != 0;
    return f;
}

static enum fail count_ended(enum fail f, const struct db_rows *rows, size_t *ret_ended)
{
    if (f == FAIL_NONE)
        *ret_ended = (size_t)db_get_int(rows, 0, 0);
    return f;
}

enum fail session_end(struct db *db, const char *platform_id, str session_id, size_t *ret_ended,
                      struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    assert(db_is_in_transaction(db));
    enum fail f = db_query(db, fault, &rows,
                           "with was as (select s.id, " LIVE " as live from " TABLES
                           " where s.platform_id = $1 and s.id = $2),"
                           " gone as (update sessions set ended_at = now()"
                           " where id = (select id from was) and ended_at is null)"
                           " select live::int from was",
                           db_text(platform_id), db_str(session_id));
    if (f == FAIL_NONE && db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "session_not_found", "There is no such session.");
    return count_ended(f, rows, ret_ended);
}

// `which` is a condition on s with $1, and $2 where it has one. In the order of their ids, so that of
// two cut-offs of the same sessions one waits for the other, and not each for each.
#define END_ALL(which)                                                                             \
    "with was as (select s.id, " LIVE " as live from " TABLES                                      \
    " where s.ended_at is null and " which " order by s.id for update of s"                        \
    "), gone as (update sessions set ended_at = now() where id in (select id from was))"           \
    " select count(*) filter (where live) from was"

enum fail session_end_of_key(struct db *db, const char *platform_id, const char *key_id,
                             size_t *ret_ended, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    assert(db_is_in_transaction(db));
    enum fail f = db_query(db, fault, &rows, END_ALL("s.platform_id = $1 and s.key_id = $2"),
                           db_text(platform_id), db_text(key_id));
    return count_ended(f, rows, ret_ended);
}

// Locked before anything is counted: an exchange that is under way holds the row, and the time of the
// cut-off is then behind what it opens. Of an update that waited the clock would have been read before.
static enum fail hold(enum fail f, const struct db_rows *held, const char *code, const char *what,
                      struct fault *fault)
{
    if (f == FAIL_NONE && db_count(held) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, code, "There is no such %s.", what);
    return f;
}

enum fail session_end_of_user(struct db *db, const char *platform_id, const char *user_id,
                              size_t *ret_ended, struct fault *fault)
{
    DB_ROWS_AUTO held = NULL;
    DB_ROWS_AUTO rows = NULL;
    assert(db_is_in_transaction(db));
    if (!is_uuid(user_id))
        return hold(FAIL_NONE, NULL, "user_not_found", "user", fault);
    enum fail f = db_query(db, fault, &held,
                           "select from users where platform_id = $1 and id = $2::uuid"
                           " for no key update",
                           db_text(platform_id), db_text(user_id));
    f = hold(f, held, "user_not_found", "user", fault);
    if (f == FAIL_NONE)
        f = db_query(db, fault, &rows, END_ALL("s.platform_id = $1 and s.user_id = $2::uuid"),
                     db_text(platform_id), db_text(user_id));
    f = count_ended(f, rows, ret_ended);
    return f == FAIL_NONE ? db_query(db, fault, NULL,
                                     "update users set sessions_from = clock_timestamp()"
                                     " where platform_id = $1 and id = $2::uuid",
                                     db_text(platform_id), db_text(user_id))
                          : f;
}

enum fail session_end_of_project(struct db *db, const char *platform_id, const char *project_id,
                                 size_t *ret_ended, struct fault *fault)
{
    DB_ROWS_AUTO held = NULL;
    DB_ROWS_AUTO rows = NULL;
    assert(db_is_in_transaction(db));
    enum fail f = db_query(db, fault, &held,
                           "select from projects where platform_id = $1 and id = $2"
                           " for no key update",
                           db_text(platform_id), db_text(project_id));
    f = hold(f, held, "project_not_found", "project", fault);
    if (f == FAIL_NONE)
        f = db_query(db, fault, &rows, END_ALL("s.platform_id = $1 and s.project_id = $2"),
                     db_text(platform_id), db_text(project_id));
    f = count_ended(f, rows, ret_ended);
    return f == FAIL_NONE ? db_query(db, fault, NULL,
                                     "update projects set sessions_from = clock_timestamp()"
                                     " where platform_id = $1 and id = $2",
                                     db_text(platform_id), db_text(project_id))
                          : f;
}

// An exchange holds a platform's row by what it inserts that names it: only the strongest lock waits.
enum fail session_end_of_platform(struct db *db, const char *platform_id, size_t *ret_ended,
                                  struct fault *fault)
{
    DB_ROWS_AUTO held = NULL;
    DB_ROWS_AUTO rows = NULL;
    assert(db_is_in_transaction(db));
    enum fail f = db_query(db, fault, &held, "select from platforms where id = $1 for update",
                           db_text(platform_id));
    f = hold(f, held, "platform_not_found", "platform", fault);
    if (f == FAIL_NONE)
        f = db_query(db, fault, &rows, END_ALL("s.platform_id = $1"), db_text(platform_id));
    f = count_ended(f, rows, ret_ended);
    return f == FAIL_NONE ? db_query(db, fault, NULL,
                                     "update platforms set sessions_from = clock_timestamp()"
                                     " where id = $1",
                                     db_text(platform_id))
                          : f;
}

// --- looking ---

#define SHOWN                                                                                      \
    "select s.id, s.user_id, u.external_id, s.project_id, p.external_id, s.key_id, m.role, " MS(   \
        "s.created_at") ", " MS_OR_0("s.last_used_at") ", " MS("s.ends_at") " from " TABLES        \
                                                                            " where s.platform_id" \
                                                                            " = $1 and " LIVE

enum fail session_query_page(struct db *db, const char *platform_id, const struct page *page,
                             struct db_rows **ret, struct fault *fault)
{
    static const char onwards[] =
        SHOWN " and ($2::timestamptz is null or (s.created_at, s.id) < ($2, $3))"
              " order by s.created_at desc, s.id desc limit $4";
    static const char back[] =
        SHOWN " and ($2::timestamptz is null or (s.created_at, s.id) > ($2, $3))"
              " order by s.created_at, s.id limit $4";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(platform_id),
                    page->has_key ? db_time(page->key.at) : DB_NULL, db_text(page->key.id),
                    db_int(page_fetch(page)));
}

enum fail session_query_find(struct db *db, const char *platform_id, str id, struct db_rows **ret,
                             struct fault *fault)
{
    return db_query(db, fault, ret, SHOWN " and s.id = $2", db_text(platform_id), db_str(id));
}

enum fail session_query_clear(struct db *db, size_t *ret_count, struct fault *fault)
{
    DB_ROWS_AUTO chains = NULL;
    DB_ROWS_AUTO sessions = NULL;
    enum fail f = db_query(db, fault, &chains,
                           "delete from session_chains where id in (select id from session_chains"
                           " where expires_at < now() - interval '1 day' limit 1000)");
    // A minute of leeway is what `exp` has; an hour is above any doubt.
    if (f == FAIL_NONE)
        f = db_query(db, fault, &sessions,
                     "delete from sessions where id in (select id from sessions"
                     " where kept_until < now() - interval '1 hour'"
                     " and ends_at < now() - interval '1 day' limit 1000)");
    if (f == FAIL_NONE)
        *ret_count = db_affected(chains) + db_affected(sessions);
    return f;
}

// --- keys ---

void session_key_rows_free(struct session_key_row *rows, size_t count)
{
    for (size_t i = 0; i != count; ++i) {
        free(rows[i].public_key);
        free(rows[i].sealed);
    }
    free(rows);
}

static struct session_key_row key_of(const struct db_rows *rows, size_t i)
{
    struct session_key_row k = {.public_key = str_dup(db_get(rows, i, 1)),
                                .kind = str_eq(db_get(rows, i, 3), STR("RS256")) ? JOSE_RS256
                                                                                 : JOSE_ES256,
                                .signs_from = db_get_int(rows, i, 4)};
    copy(k.id, sizeof k.id, db_get(rows, i, 0));
    k.sealed = db_get_bytes(rows, i, 2, &k.sealed_size);
    return k;
}

enum fail session_query_keys(struct db *db, struct session_key_row **ret, size_t *ret_count,
                             struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "select id, public_key, private_key, algorithm, " MS(
                     "signs_from") " from session_keys order by signs_from desc, id limit 64");
    if (f != FAIL_NONE)
        return f;
    struct session_key_row *list = calloc(db_count(rows) + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != db_count(rows); ++i)
        list[i] = key_of(rows, i);
    *ret = list;
    *ret_count = db_count(rows);
    return FAIL_NONE;
}

enum fail session_query_lock_keys(struct db *db, struct fault *fault)
{
    return db_query(db, fault, NULL, "select pg_advisory_xact_lock(7310583194340)");
}

enum fail session_query_key_insert(struct db *db, const char *id, enum jose_kind kind,
                                   const char *public_key, str sealed, int64_t signs_in_s,
                                   struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "insert into session_keys (id, algorithm, public_key, private_key, signs_from)"
                    " values ($1, $2, $3, $4, now() + $5::bigint * interval '1 second')",
                    db_text(id), db_text(algorithm_of(kind)), db_text(public_key), db_bytes(sealed),
                    db_int(signs_in_s));
}

enum fail session_query_key_reseal(struct db *db, const char *id, str before, str after,
                                   struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update session_keys set private_key = $3 where id = $1 and private_key = $2",
                    db_text(id), db_bytes(before), db_bytes(after));
}

enum fail session_query_key_is_due(struct db *db, enum jose_kind kind, int64_t age_s, bool *ret,
                                   struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select max(created_at) < now() - $2::bigint * interval '1 second'"
                           " from session_keys where algorithm = $1",
                           db_text(algorithm_of(kind)), db_int(age_s));
    if (f == FAIL_NONE)
        *ret = db_get_bool(rows, 0, 0);
    return f;
}

enum fail session_query_keys_clear(struct db *db, int64_t replaced_s, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "delete from session_keys k where exists (select from session_keys n"
                    " where n.algorithm = k.algorithm and n.signs_from > k.signs_from"
                    " and n.signs_from < now() - $1::bigint * interval '1 second')",
                    db_int(replaced_s));
}
