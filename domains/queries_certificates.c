// SQL of certificates, of their orders, and of what a certificate authority looks for.
#include <stdio.h>
#include <stdlib.h>
#include "domains/certificates.h"
#include "domains/columns.h"
#include "edge/base/digest.h"
#include "edge/base/token.h"

// --- whose turn it is ---

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

#define IS_SERVED "d.status in ('verified', 'failing')"
#define LEADS_HERE "coalesce((d.routing ->> 'ok')::boolean, false)"
#define IS_FREE "(claimed_until is null or claimed_until < now())"

// The project whose last try is the longest ago: who has a thousand names that fail waits for them
// alone.
enum fail certificate_query_due(struct db *db, const char *directory, struct certificate_due *ret,
                                struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    *ret = (struct certificate_due){.is_own = false};
    token_hex(ret->claim, sizeof ret->claim - 1);
    enum fail f = db_query(
        db, fault, &rows,
        "with oldest as (select domain_id, project_id, next_at from domain_certificates"
        " where next_at <= now() and " IS_FREE " and (source = 'own' or $2::text is not null"
        " and not exists (select from acme_accounts where directory = $2"
        " and paused_until > now()))"
        " order by next_at limit 5000),"
        " firsts as (select distinct on (project_id) * from oldest order by project_id, next_at),"
        " turn as (select domain_id from firsts f order by (select max(tried_at)"
        " from domain_certificates t where t.project_id = f.project_id) nulls first, next_at"
        " limit 8),"
        " taken as (update domain_certificates set claim = $1, tried_at = now(),"
        " claimed_until = now() + interval '10 minutes' where domain_id = (select domain_id"
        " from domain_certificates where domain_id in (select domain_id from turn)"
        " and next_at <= now() and " IS_FREE " limit 1 for update skip locked)"
        " returning *)"
        " select c.domain_id, c.project_id, coalesce(d.instance_id, ''), d.hostname, d.registrable,"
        " c.source = 'own', " IS_SERVED ", " LEADS_HERE ", c.renew_at is not null"
        ", " MS("c.not_after") ", " MS(
            "c.failing_since") ", c.attempts, c.is_told, coalesce(d.routing ->> 'message', '')"
                               " from taken c join domains d on d.id = c.domain_id",
        db_text(ret->claim), db_text(directory));
    if (f == FAIL_NONE && db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "not_found", "Nothing is due.");
    if (f != FAIL_NONE)
        return f;
    copy(ret->domain_id, sizeof ret->domain_id, db_get(rows, 0, 0));
    copy(ret->project_id, sizeof ret->project_id, db_get(rows, 0, 1));
    copy(ret->instance_id, sizeof ret->instance_id, db_get(rows, 0, 2));
    copy(ret->hostname, sizeof ret->hostname, db_get(rows, 0, 3));
    copy(ret->registrable, sizeof ret->registrable, db_get(rows, 0, 4));
    ret->is_own = db_get_bool(rows, 0, 5);
    ret->is_served = db_get_bool(rows, 0, 6);
    ret->leads_here = db_get_bool(rows, 0, 7);
    ret->is_renewal = db_get_bool(rows, 0, 8);
    ret->not_after = db_get_int(rows, 0, 9);
    ret->failing_since = db_get_int(rows, 0, 10);
    ret->attempts = db_get_int(rows, 0, 11);
    ret->is_told = db_get_bool(rows, 0, 12);
    copy(ret->routing, sizeof ret->routing, db_get(rows, 0, 13));
    return FAIL_NONE;
}

// Unless the name has come back meanwhile.
enum fail certificate_query_rest(struct db *db, const struct certificate_due *d,
                                 struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update domain_certificates c set claim = null, claimed_until = null,"
                    " next_at = case when exists (select from domains d where d.id = c.domain_id"
                    " and " IS_SERVED ") then now() end"
                    " where domain_id = $1 and claim = $2",
                    db_text(d->domain_id), db_text(d->claim));
}

static struct db_param time_or_null(int64_t real_ms)
{
    return real_ms != 0 ? db_time(real_ms) : DB_NULL;
}

// What the owner can mend is not hidden by what only waits.
#define IS_NEWS "($7 or error_code in ('', 'certificate_budget'))"

enum fail certificate_query_failed(struct db *db, const struct certificate_due *d,
                                   const struct certificate_failure *why, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "update domain_certificates set claim = null, claimed_until = null,"
                 " error_code = case when " IS_NEWS " then $3 else error_code end,"
                 " error = case when " IS_NEWS " then $4 else error end,"
                 " next_at = $5, failing_since = $6,"
                 " attempts = attempts + $7::boolean::int, is_told = $8"
                 " where domain_id = $1 and claim = $2 returning domain_id",
                 db_text(d->domain_id), db_text(d->claim), db_text(why->code), db_text(why->text),
                 time_or_null(why->next_at), time_or_null(why->failing_since), db_bool(why->counts),
                 db_bool(why->is_told));
    if (f == FAIL_NONE && db_count(rows) == 0)
        f = fault_set(fault, FAIL_NOT_FOUND, "not_found", "The row was taken away.");
    return f;
}

// --- keeping ---

// *ret_param: the chain's digest, or SQL NULL.
static enum fail keep_chain(struct db *db, const struct certificate_parts *p, struct digest *digest,
                            struct db_param *ret_param, struct fault *fault)
{
    *ret_param = DB_NULL;
    if (p->chain.n == 0)
        return FAIL_NONE;
    *digest = digest_sha256(buf_str(&p->chain));
    *ret_param = db_bytes(str_of(digest->b, sizeof digest->b));
    // an update, so that it is locked against certificate_query_purge until the commit
    return db_query(db, fault, NULL,
                    "insert into certificate_chains (digest, bytes) values ($1, $2)"
                    " on conflict (digest) do update set bytes = excluded.bytes",
                    *ret_param, db_bytes(buf_str(&p->chain)));
}

enum fail certificate_query_store(struct db *db, const struct certificate_due *d,
                                  const struct certificate_parts *p, str sealed_key,
                                  struct fault *fault)
{
    struct digest digest;
    struct db_param chain;
    DB_ROWS_AUTO rows = NULL;
    enum fail f = keep_chain(db, p, &digest, &chain, fault);
    if (f == FAIL_NONE)
        f = db_query(
            db, fault, &rows,
            "update domain_certificates set leaf = $3, chain = $4, key = $5, not_before = $6,"
            " not_after = $7, renew_at = $8, next_at = $8, attempts = 0, failing_since = null,"
            " is_told = false, claim = null, claimed_until = null, error_code = '', error = ''"
            " where domain_id = $1 and claim = $2 and source = 'acme' returning domain_id",
            db_text(d->domain_id), db_text(d->claim), db_bytes(buf_str(&p->leaf)), chain,
            db_bytes(sealed_key), db_time(p->not_before), db_time(p->not_after),
            db_time(certificate_renews_at(p->not_before, p->not_after)));
    if (f == FAIL_NONE && db_count(rows) == 0)
        f = fault_set(fault, FAIL_CONFLICT, "conflict", "The name was given up meanwhile.");
    return f;
}

enum fail certificate_query_store_own(struct db *db, const char *domain_id, const char *project_id,
                                      const struct certificate_parts *p, str sealed_key,
                                      struct fault *fault)
{
    struct digest digest;
    struct db_param chain;
    enum fail f = keep_chain(db, p, &digest, &chain, fault);
    if (f == FAIL_NONE)
        f = db_query(
            db, fault, NULL,
            "insert into domain_certificates as c (domain_id, project_id, source, leaf, chain, key,"
            " not_before, not_after, next_at) values ($1, $2, 'own', $3, $4, $5, $6, $7,"
            " greatest(now(), $7::timestamptz - $8 * interval '1 day'))"
            " on conflict (domain_id) do update set source = 'own', leaf = $3, chain = $4,"
            " key = $5, not_before = $6, not_after = $7, next_at = excluded.next_at,"
            " renew_at = null, attempts = 0, failing_since = null, is_told = false,"
            " claim = null, claimed_until = null, error_code = '', error = ''",
            db_text(domain_id), db_text(project_id), db_bytes(buf_str(&p->leaf)), chain,
            db_bytes(sealed_key), db_time(p->not_before), db_time(p->not_after),
            db_int(CERTIFICATE_OWN_WARNS_DAYS));
    return f;
}

// Without `keeps_it` it goes with its key.
enum fail certificate_query_remove_own(struct db *db, const char *domain_id, bool keeps_it,
                                       struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "update domain_certificates set source = 'acme',"
                 " leaf = case when $2 then leaf end, chain = case when $2 then chain end,"
                 " key = case when $2 then key end, not_before = case when $2 then not_before end,"
                 " not_after = case when $2 then not_after end, renew_at = null,"
                 " next_at = now(), attempts = 0, failing_since = null, is_told = false,"
                 " claim = null, claimed_until = null, error_code = '', error = ''"
                 " where domain_id = $1 and source = 'own' returning domain_id",
                 db_text(domain_id), db_bool(keeps_it));
    if (f == FAIL_NONE && db_count(rows) == 0)
        f = fault_set(fault, FAIL_NOT_FOUND, "certificate_not_found",
                      "No certificate was given for this domain.");
    return f;
}

enum fail certificate_query_hurry(struct db *db, const char *domain_id, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update domain_certificates set next_at = now(), failing_since = null"
                    " where domain_id = $1 and source = 'acme' and error_code <> ''"
                    " and claim is null and tried_at < now() - interval '1 minute'",
                    db_text(domain_id));
}

enum fail certificate_query_chain(struct db *db, str digest, uint8_t **ret, size_t *ret_n,
                                  struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows, "select bytes from certificate_chains where digest = $1",
                 db_bytes(digest));
    if (f == FAIL_NONE && db_count(rows) == 0)
        f = fault_set(fault, FAIL_NOT_FOUND, "not_found", "There is no such chain.");
    if (f == FAIL_NONE)
        *ret = db_get_bytes(rows, 0, 0, ret_n);
    return f;
}

enum fail certificate_query_purge(struct db *db, struct fault *fault)
{
    enum fail f = db_query(db, fault, NULL,
                           "delete from acme_challenges where created_at < now()"
                           " - interval '1 hour'");
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL,
                     "delete from acme_issues where at < now() - interval '8 days'");
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL,
                     "delete from certificate_chains where digest in (select digest"
                     " from certificate_chains k where not exists (select from domain_certificates"
                     " c where c.chain = k.digest) limit 100 for update skip locked)");
    return f;
}

// --- other master keys ---

enum fail certificate_query_sealed_before(struct db *db, str key_id, unsigned limit,
                                          struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select domain_id, project_id, key from domain_certificates"
                    " where substr(key, 2, 8) <> $1 limit $2",
                    db_bytes(key_id), db_int(limit));
}

enum fail certificate_query_reseal(struct db *db, const char *domain_id, str before, str after,
                                   struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update domain_certificates set key = $3 where domain_id = $1 and key = $2",
                    db_text(domain_id), db_bytes(before), db_bytes(after));
}

// --- the budget ---

enum fail certificate_query_charge(struct db *db, const char *directory,
                                   const struct certificate_due *d, const char **ret_why,
                                   unsigned *ret_wait_s, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    struct certificate_usage u = {0};
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL,
                     "select pg_advisory_xact_lock(hashtext('acme_issues'), hashtext($1))",
                     db_text(directory));
    if (f == FAIL_NONE)
        f = db_query(db, fault, &rows,
                     "select (select count(*) from acme_issues where directory = $1"
                     " and at > now() - interval '3 hours'),"
                     " (select count(*) from acme_issues where directory = $1 and project_id = $4"
                     " and at > now() - interval '3 hours'),"
                     " (select count(*) from acme_issues where registrable = $3 and directory = $1"
                     " and not is_renewal and at > now() - interval '7 days'),"
                     " (select count(*) from acme_issues where hostname = $2 and directory = $1"
                     " and at > now() - interval '7 days'),"
                     " (select count(*) from acme_issues where hostname = $2 and directory = $1"
                     " and at > now() - interval '1 hour')",
                     db_text(directory), db_text(d->hostname), db_text(d->registrable),
                     db_text(d->project_id));
    if (f == FAIL_NONE) {
        u = (struct certificate_usage){db_get_int(rows, 0, 0), db_get_int(rows, 0, 1),
                                       db_get_int(rows, 0, 2), db_get_int(rows, 0, 3),
                                       db_get_int(rows, 0, 4)};
        *ret_why = certificate_over_budget(&u, d->is_renewal, ret_wait_s);
        if (*ret_why == NULL)
            f = db_query(db, fault, NULL,
                         "insert into acme_issues (directory, hostname, registrable, is_renewal,"
                         " project_id) values ($1, $2, $3, $4, $5)",
                         db_text(directory), db_text(d->hostname), db_text(d->registrable),
                         db_bool(d->is_renewal), db_text(d->project_id));
    }
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}

// --- accounts ---

enum fail acme_query_account(struct db *db, const char *directory, uint8_t **ret_key, size_t *ret_n,
                             char ret_url[static ACME_URL_ROOM], struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    *ret_key = NULL;
    enum fail f =
        db_query(db, fault, &rows, "select key, url from acme_accounts where directory = $1",
                 db_text(directory));
    if (f != FAIL_NONE || db_count(rows) == 0)
        return f;
    *ret_key = db_get_bytes(rows, 0, 0, ret_n);
    copy(ret_url, ACME_URL_ROOM, db_get(rows, 0, 1));
    return FAIL_NONE;
}

// Of two nodes that make one, the first one's stays.
enum fail acme_query_account_add(struct db *db, const char *directory, str sealed_key,
                                 struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "insert into acme_accounts (directory, key) values ($1, $2)"
                    " on conflict (directory) do nothing",
                    db_text(directory), db_bytes(sealed_key));
}

enum fail acme_query_account_url(struct db *db, const char *directory, const char *url,
                                 struct fault *fault)
{
    return db_query(db, fault, NULL, "update acme_accounts set url = $2 where directory = $1",
                    db_text(directory), db_text(url));
}

enum fail acme_query_account_reseal(struct db *db, const char *directory, str before, str after,
                                    struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update acme_accounts set key = $3 where directory = $1 and key = $2",
                    db_text(directory), db_bytes(before), db_bytes(after));
}

enum fail acme_query_pause(struct db *db, const char *directory, unsigned seconds,
                           struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update acme_accounts set paused_until = now() + $2 * interval '1 second'"
                    " where directory = $1",
                    db_text(directory), db_int(seconds));
}

// --- challenges ---

enum fail acme_query_challenge_add(struct db *db, const struct acme_challenge *c,
                                   const char *hostname, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "insert into acme_challenges (token, answer, hostname) values ($1, $2, $3)"
                    " on conflict (token) do update set answer = $2, created_at = now()",
                    db_text(c->token), db_text(c->answer), db_text(hostname));
}

enum fail acme_query_challenge_end(struct db *db, const char *token, struct fault *fault)
{
    return db_query(db, fault, NULL, "delete from acme_challenges where token = $1",
                    db_text(token));
}

enum fail acme_query_challenge(struct db *db, str token, char **ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    *ret = NULL;
    enum fail f = db_query(db, fault, &rows, "select answer from acme_challenges where token = $1",
                           db_str(token));
    if (f == FAIL_NONE && db_count(rows) != 0)
        *ret = str_dup(db_get(rows, 0, 0));
    return f;
}
