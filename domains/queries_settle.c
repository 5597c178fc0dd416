// What crosses projects: a name is of everybody's concern.
#include <stdio.h>
#include <stdlib.h>
#include "domains/internal.h"
#include "domains/columns.h"
#include "edge/base/jsonx.h"

// In the order of ids, so that two that lock the same rows meet at the first.
enum fail domain_query_rivals(struct db *db, const char *id, struct domain_rivals *ret,
                              struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    bool has_own = false;
    *ret = (struct domain_rivals){.has_holder = false};
    enum fail f =
        db_query(db, fault, &rows,
                 "select " DOMAIN_COLUMNS DOMAIN_FROM
                 " where d.hostname = (select hostname from domains where id = $1) and (d.id = $1"
                 " or d.status in ('verified', 'failing') or d.held_until > now())"
                 " order by d.id for update of d",
                 db_text(id));
    for (size_t i = 0; f == FAIL_NONE && i != db_count(rows); ++i) {
        struct domain d;
        domain_of_row(rows, i, &d);
        if (strcmp(d.id, id) == 0) {
            has_own = d.life.status != DOMAIN_REMOVED;
            ret->own = d;
        } else if (domain_is_served(d.life.status)) {
            ret->has_holder = true;
            ret->holder = d;
        } else {
            domain_fini(&d);
        }
    }
    if (f == FAIL_NONE && !has_own)
        f = fault_set(fault, FAIL_NOT_FOUND, "domain_not_found",
                      "There is no such domain in this project.");
    for (size_t i = 0; f == FAIL_NONE && i != db_count(rows); ++i) {
        struct domain d;
        domain_of_row(rows, i, &d);
        if (d.life.status == DOMAIN_REMOVED && d.life.held_until > ret->held_until &&
            strcmp(d.project_id, ret->own.project_id) != 0)
            ret->held_until = d.life.held_until;
        domain_fini(&d);
    }
    return f;
}

void domain_rivals_fini(struct domain_rivals *r)
{
    domain_fini(&r->own);
    domain_fini(&r->holder);
}

static struct db_param time_or_null(int64_t real_ms)
{
    return real_ms != 0 ? db_time(real_ms) : DB_NULL;
}

enum fail domain_query_settle(struct db *db, const struct domain *d, struct fault *fault)
{
    const struct domain_life *l = &d->life;
    AUTOFREE char *checks = d->checks != NULL ? jsonx_dump(d->checks, NULL) : NULL;
    AUTOFREE char *routing = d->routing != NULL ? jsonx_dump(d->routing, NULL) : NULL;
    return db_query(db, fault, NULL,
                    "update domains set status = $2, since = $3, verified_at = $4,"
                    " failing_since = $5, seen_at = $6, next_at = $7, held_until = $8, ended = $9,"
                    " checked_at = $10, checks = coalesce($11, checks),"
                    " routing = coalesce($12, routing), missed_at = $13,"
                    " instance_id = case when $2 = 'removed' then null else instance_id end"
                    " where id = $1",
                    db_text(d->id), db_text(domain_status_name(l->status)), db_time(l->since),
                    time_or_null(l->verified_at), time_or_null(l->failing_since),
                    time_or_null(l->seen_at), time_or_null(l->next_at), time_or_null(l->held_until),
                    db_text(l->ended != NULL ? l->ended : ""), time_or_null(d->checked_at),
                    db_text(checks), db_text(routing), time_or_null(l->missed_at));
}

enum fail domain_query_take(struct db *db, const struct domain *d, struct fault *fault)
{
    DB_ROWS_AUTO before = NULL;
    enum fail f = db_query(db, fault, &before,
                           "select project_id = $2 and instance_id = $3 from domain_holders"
                           " where hostname = $1 for update",
                           db_text(d->hostname), db_text(d->project_id), db_text(d->instance_id));
    bool hands_over = f == FAIL_NONE && db_count(before) != 0 && !db_get_bool(before, 0, 0);
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL,
                     "insert into domain_holders (hostname, project_id, instance_id)"
                     " values ($1, $2, $3) on conflict (hostname) do update set"
                     " project_id = $2, instance_id = $3, since = now()",
                     db_text(d->hostname), db_text(d->project_id), db_text(d->instance_id));
    if (f == FAIL_NONE && hands_over)
        f = db_query(db, fault, NULL, "update domains set changed_hands_at = now() where id = $1",
                     db_text(d->id));
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL,
                     "update domains set held_until = null where hostname = $1"
                     " and project_id = $2 and status = 'removed' and held_until is not null",
                     db_text(d->hostname), db_text(d->project_id));
    return f;
}

// --- the scheduler ---

// No more than two of one project at a time: whoever claims a thousand names whose servers never
// answer waits for them alone.
enum fail domain_query_due(struct db *db, unsigned limit, struct db_rows **ret, struct fault *fault)
{
    return db_query(
        db, fault, ret,
        "with oldest as (select id, project_id, next_at from domains where next_at <= now()"
        " order by next_at limit 5000),"
        " fair as (select id, next_at, row_number() over (partition by project_id order by next_at)"
        " as n from oldest), due as (update domains set next_at = now() + interval '3 minutes'"
        " where id in (select d.id from domains d where d.next_at <= now() and d.id in (select id"
        " from fair where n <= 2 order by next_at limit $1) for update skip locked) returning id)"
        " select " DOMAIN_COLUMNS DOMAIN_FROM " where d.id in (select id from due)",
        db_int(limit));
}

enum fail domain_query_postpone(struct db *db, const char *id, unsigned seconds,
                                struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update domains set next_at = now() + $2 * interval '1 second'"
                    " where id = $1 and status <> 'removed'",
                    db_text(id), db_int(seconds));
}

enum fail domain_query_purge(struct db *db, unsigned limit, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "delete from domains where id in (select id from domains"
                    " where status = 'removed' and since < now()"
                    " - case when verified_at is null then interval '1 day' else interval '30 days'"
                    " end"
                    " limit $1 for update skip locked)",
                    db_int(limit));
}

// --- what is served ---

enum { HOSTS_AT_ONCE = 2000 };

static str bytes_of(const struct db_rows *rows, size_t row, size_t column, uint8_t **ret)
{
    size_t n = 0;
    *ret = db_is_null(rows, row, column) ? NULL : db_get_bytes(rows, row, column, &n);
    return str_of(*ret, n);
}

static void visit_row(const struct db_rows *rows, size_t i,
                      void (*visit)(void *arg, const struct domain_host *h), void *arg)
{
    AUTOFREE uint8_t *leaf = NULL;
    AUTOFREE uint8_t *key = NULL;
    AUTOFREE uint8_t *chain = NULL;
    struct domain_host h = {.hostname = db_get(rows, i, 0),
                            .project_id = db_get(rows, i, 1),
                            .instance_id = db_get(rows, i, 2),
                            .instance_slug = db_get(rows, i, 3),
                            .plugin_slug = db_get(rows, i, 4),
                            .redirect_to = db_get(rows, i, 5),
                            .https_only = db_get_bool(rows, i, 6),
                            .hsts_max_age = db_get_int(rows, i, 7),
                            .hsts_subdomains = db_get_bool(rows, i, 8),
                            .clears_until = db_get_int(rows, i, 9),
                            .leaf = bytes_of(rows, i, 12, &leaf),
                            .sealed_key = bytes_of(rows, i, 13, &key),
                            .chain_digest = bytes_of(rows, i, 14, &chain),
                            .not_after = db_get_int(rows, i, 15)};
    h.certificate_id = leaf != NULL ? db_get(rows, i, 11).p : NULL;
    if (domain_status_parse(db_get(rows, i, 10), &h.status))
        visit(arg, &h);
}

// clang-format off
#define HOST_COLUMNS \
    "d.hostname, d.project_id, i.id, i.slug, p.slug, coalesce(d.redirect_to, ''), d.https_only," \
    " coalesce(d.hsts_max_age, -1), d.hsts_subdomains," \
    " " MS("d.changed_hands_at + $2 * interval '1 day'") ", d.status, d.id, c.leaf, c.key, c.chain," \
    " " MS("c.not_after")
// clang-format on

// The names of a piece are chosen before anything is joined to them: else each piece joins all names
// that are left, by whatever plan the statistics of a table that has just grown lead to.
static enum fail read_hosts(struct db *db, str hostname, const char *after, struct db_rows **ret,
                            struct fault *fault)
{
    return db_query(db, fault, ret,
                    "with d as materialized (select * from domains"
                    " where status in ('verified', 'failing')"
                    " and ($1::text is null or hostname = $1) and hostname > $3"
                    " order by hostname limit $4)"
                    " select " HOST_COLUMNS " from d"
                    " join instances i on i.id = d.instance_id join plugins p on p.id = i.plugin_id"
                    " left join domain_certificates c on c.domain_id = d.id"
                    " order by d.hostname",
                    hostname.n != 0 ? db_str(hostname) : DB_NULL, db_int(DOMAIN_CLEARS_DAYS),
                    db_text(after), db_int(HOSTS_AT_ONCE));
}

// In pieces, for with its certificate a name takes some kilobytes on the way. What changes
// meanwhile is told, and read again.
static enum fail visit_hosts(struct db *db, str hostname,
                             void (*visit)(void *arg, const struct domain_host *h), void *arg,
                             struct fault *fault)
{
    char after[HOSTNAME_ROOM] = "";
    size_t count;
    do {
        DB_ROWS_AUTO rows = NULL;
        enum fail f = read_hosts(db, hostname, after, &rows, fault);
        if (f != FAIL_NONE)
            return f;
        count = db_count(rows);
        for (size_t i = 0; i != count; ++i)
            visit_row(rows, i, visit, arg);
        if (count != 0)
            snprintf(after, sizeof after, "%s", db_get(rows, count - 1, 0).p);
    } while (count == HOSTS_AT_ONCE);
    return FAIL_NONE;
}

// All are read by plans made for what is there now. The one that is kept with the statement is made for
// a single name, which is asked for most, and maybe for a table of a day when there were few: with it
// the reading of 100,000 did not come to an end.
enum fail domains_hosts(struct db *db, str hostname,
                        void (*visit)(void *arg, const struct domain_host *h), void *arg,
                        struct fault *fault)
{
    if (hostname.n != 0)
        return visit_hosts(db, hostname, visit, arg, fault);
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = db_script(db, fault, "set local plan_cache_mode = force_custom_plan");
    if (f == FAIL_NONE)
        f = visit_hosts(db, hostname, visit, arg, fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}
