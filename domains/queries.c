// The owner's view: every statement names the project, but where an instance or a plugin was found in
// it before.
#include <stdio.h>
#include <stdlib.h>
#include "domains/internal.h"
#include "domains/columns.h"
#include "edge/base/jsonx.h"
#include "edge/base/token.h"

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static const char *ended_of(str s)
{
    static const char *const known[] = {"removed", "transferred", "expired"};
    for (size_t i = 0; i != 3; ++i)
        if (str_eq(s, str_from(known[i])))
            return known[i];
    return NULL;
}

static void life_of_row(const struct db_rows *rows, size_t row, struct domain_life *l)
{
    if (!domain_status_parse(db_get(rows, row, 9), &l->status))
        l->status = DOMAIN_REMOVED;
    l->since = db_get_int(rows, row, 10);
    l->verified_at = db_get_int(rows, row, 11);
    l->failing_since = db_get_int(rows, row, 12);
    l->seen_at = db_get_int(rows, row, 13);
    l->next_at = db_get_int(rows, row, 14);
    l->held_until = db_get_int(rows, row, 15);
    l->ended = ended_of(db_get(rows, row, 16));
    l->missed_at = db_get_int(rows, row, 32);
}

static void certificate_of_row(const struct db_rows *rows, size_t row,
                               struct domain_certificate *ret)
{
    *ret = (struct domain_certificate){.is_own = str_eq(db_get(rows, row, 25), STR("own")),
                                       .is_leaving = str_eq(db_get(rows, row, 25), STR("leaving")),
                                       .not_before = db_get_int(rows, row, 26),
                                       .not_after = db_get_int(rows, row, 27),
                                       .next_at = db_get_int(rows, row, 28),
                                       .is_claimed = db_get_bool(rows, row, 31)};
    copy(ret->error_code, sizeof ret->error_code, db_get(rows, row, 29));
    copy(ret->error, sizeof ret->error, db_get(rows, row, 30));
}

void domain_of_row(const struct db_rows *rows, size_t row, struct domain *ret)
{
    struct domain *d = ret;
    *d = (struct domain){.created_at = db_get_int(rows, row, 17),
                         .checked_at = db_get_int(rows, row, 18),
                         .https_only = db_get_bool(rows, row, 20),
                         .hsts_max_age = db_get_int(rows, row, 21),
                         .hsts_subdomains = db_get_bool(rows, row, 22)};
    copy(d->id, sizeof d->id, db_get(rows, row, 0));
    copy(d->project_id, sizeof d->project_id, db_get(rows, row, 1));
    copy(d->instance_id, sizeof d->instance_id, db_get(rows, row, 2));
    copy(d->instance_slug, sizeof d->instance_slug, db_get(rows, row, 3));
    copy(d->hostname, sizeof d->hostname, db_get(rows, row, 4));
    copy(d->unicode, sizeof d->unicode, db_get(rows, row, 5));
    copy(d->registrable, sizeof d->registrable, db_get(rows, row, 6));
    copy(d->token, sizeof d->token, db_get(rows, row, 7));
    copy(d->target, sizeof d->target, db_get(rows, row, 8));
    life_of_row(rows, row, &d->life);
    copy(d->redirect_to, sizeof d->redirect_to, db_get(rows, row, 19));
    d->checks = jsonx_parse(db_get(rows, row, 23), NULL);
    d->routing = jsonx_parse(db_get(rows, row, 24), NULL); // null is none
    certificate_of_row(rows, row, &d->certificate);
}

void domain_fini(struct domain *d)
{
    json_decref(d->checks);
    json_decref(d->routing);
    d->checks = d->routing = NULL;
}

static enum fail one(enum fail f, const struct db_rows *rows, struct domain *ret,
                     struct fault *fault)
{
    if (f != FAIL_NONE)
        return f;
    if (db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "domain_not_found",
                         "There is no such domain in this project.");
    domain_of_row(rows, 0, ret);
    return FAIL_NONE;
}

enum fail domain_query_find(struct db *db, const char *project_id, str ref, struct domain *ret,
                            struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select " DOMAIN_COLUMNS DOMAIN_FROM " where d.project_id = $1"
                           " and (d.id = $2 or (d.status <> 'removed'"
                           " and (d.hostname = lower($2) or d.unicode = $2)))"
                           " order by d.id = $2 desc limit 1",
                           db_text(project_id), db_str(ref));
    return one(f, rows, ret, fault);
}

enum fail domain_query_lock(struct db *db, const char *project_id, const char *id,
                            struct domain *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select " DOMAIN_COLUMNS DOMAIN_FROM " where d.project_id = $1"
                           " and d.id = $2 and d.status <> 'removed' for update of d",
                           db_text(project_id), db_text(id));
    return one(f, rows, ret, fault);
}

enum fail domain_query_page(struct db *db, const char *project_id, const struct domain_filter *f,
                            const struct page *page, struct db_rows **ret, struct fault *fault)
{
#define WHERE                                                                                      \
    " where d.project_id = $1 and d.status <> 'removed' and ($2::text is null"                     \
    " or d.instance_id = $2) and ($3::text is null or d.hostname = lower($3) or d.unicode = $3)"
    static const char onwards[] =
        "select " DOMAIN_COLUMNS DOMAIN_FROM WHERE
        " and ($4::timestamptz is null or (d.created_at, d.id) < ($4, $5))"
        " order by d.created_at desc, d.id desc limit $6";
    static const char back[] = "select " DOMAIN_COLUMNS DOMAIN_FROM WHERE
                               " and ($4::timestamptz is null or (d.created_at, d.id) > ($4, $5))"
                               " order by d.created_at, d.id limit $6";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(project_id),
                    db_text(f->instance_id), f->hostname.p != NULL ? db_str(f->hostname) : DB_NULL,
                    page->has_key ? db_time(page->key.at) : DB_NULL, db_text(page->key.id),
                    db_int(page_fetch(page)));
#undef WHERE
}

// --- changes ---

static enum fail too_many(struct fault *fault)
{
    return fault_set(fault, FAIL_CONFLICT, "too_many_domains",
                     "A project has at most %d domains. Remove one first.", DOMAINS_PER_PROJECT);
}

enum fail domain_query_insert(struct db *db, const struct domain *d, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "insert into domains (id, project_id, instance_id, hostname, unicode, registrable,"
                 " token, status, since, created_at, next_at)"
                 " select $1, $2, $3, $4, $5, $6, $7, 'pending', $8, $8, $8 where"
                 " (select count(*) from domains where project_id = $2 and status <> 'removed')"
                 " < $9 returning id",
                 db_text(d->id), db_text(d->project_id), db_text(d->instance_id),
                 db_text(d->hostname), db_text(d->unicode), db_text(d->registrable),
                 db_text(d->token), db_time(d->life.since), db_int(DOMAINS_PER_PROJECT));
    if (f == FAIL_CONFLICT && strcmp(db_constraint(db), "domains_claim") == 0)
        return fault_set(fault, FAIL_CONFLICT, "domain_exists",
                         "This project has %.100s already: `stoa domain show` says how it stands.",
                         d->unicode);
    return f == FAIL_NONE && db_count(rows) == 0 ? too_many(fault) : f;
}

enum fail domain_query_target(struct db *db, const char *instance_id, const char *project_id,
                              char ret[static DOMAIN_TARGET_ROOM], struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    char label[TOKEN_ID_ROOM];
    token_id("c-", label);
    enum fail f = db_query(db, fault, NULL,
                           "insert into domain_targets (label, instance_id, project_id)"
                           " values ($1, $2, $3) on conflict (instance_id) do nothing",
                           db_text(label), db_text(instance_id), db_text(project_id));
    if (f == FAIL_NONE)
        f = db_query(db, fault, &rows, "select label from domain_targets where instance_id = $1",
                     db_text(instance_id));
    if (f == FAIL_NONE && db_count(rows) != 0)
        copy(ret, DOMAIN_TARGET_ROOM, db_get(rows, 0, 0));
    return f;
}

enum fail domain_query_label(struct db *db, str label, const char *project_id,
                             enum domain_label *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    *ret = LABEL_NOBODYS;
    if (!str_is_utf8(label) || memchr(label.p, '\0', label.n) != NULL) // DNS has any bytes
        return FAIL_NONE;
    enum fail f = db_query(db, fault, &rows,
                           "select project_id = $2 from domain_targets where label = lower($1)"
                           " union all select project_id = $2 from used_slugs"
                           " where slug = lower($1)",
                           db_str(label), db_text(project_id));
    if (f == FAIL_NONE && db_count(rows) != 0)
        *ret = db_get_bool(rows, 0, 0) ? LABEL_OURS : LABEL_OTHERS;
    return f;
}

enum fail domain_query_change(struct db *db, const struct domain *d, bool hands_over,
                              struct fault *fault)
{
    enum fail f = db_query(db, fault, NULL,
                           "update domains set instance_id = $3, redirect_to = nullif($4, ''),"
                           " https_only = $5, hsts_max_age = nullif($6, -1), hsts_subdomains = $7,"
                           " changed_hands_at = case when $8 then now() else changed_hands_at end"
                           " where project_id = $1 and id = $2",
                           db_text(d->project_id), db_text(d->id), db_text(d->instance_id),
                           db_text(d->redirect_to), db_bool(d->https_only), db_int(d->hsts_max_age),
                           db_bool(d->hsts_subdomains), db_bool(hands_over));
    if (f == FAIL_NONE && hands_over)
        f = db_query(db, fault, NULL,
                     "update domain_holders set instance_id = $2, since = now()"
                     " where hostname = $1",
                     db_text(d->hostname), db_text(d->instance_id));
    return f;
}

enum fail domain_query_mend_redirects(struct db *db, const char *project_id, const char *hostname,
                                      struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update domains d set redirect_to = null where d.project_id = $1"
                    " and d.redirect_to is not null and (d.redirect_to = $2 or d.hostname = $2)"
                    " and not exists (select from domains t where t.project_id = d.project_id"
                    " and t.hostname = d.redirect_to and t.instance_id = d.instance_id"
                    " and t.status <> 'removed' and t.redirect_to is null)",
                    db_text(project_id), db_text(hostname));
}

// Its own project's; that others have apps of it, and names, is told otherwise.
enum fail domain_query_names_of_plugin(struct db *db, const char *plugin_id, struct db_rows **ret,
                                       struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select d.hostname, d.status in ('verified', 'failing') from domains d"
                    " join instances i on i.id = d.instance_id"
                    " join plugins p on p.id = i.plugin_id and p.project_id = d.project_id"
                    " where i.plugin_id = $1 and d.status <> 'removed' order by d.hostname",
                    db_text(plugin_id));
}
