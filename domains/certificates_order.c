// One try for one name, from top to bottom: the account, what CAA says, the budget, the order, its
// proof, the certificate, a look at it, and one transaction that has every node serve it. Until
// then the old one is served. What goes wrong is written down for the owner, with the time of the
// next try.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "domains/certificates.h"
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/base/seal.h"
#include "edge/catalog/hooks.h"
#include "edge/route/certificate.h"

enum {
    NOTICE_MS = 250, // for the other nodes to hear of a challenge
    PAUSE_S = 60,    // for all names, when the authority is away
    PAUSE_MAX_S = 60 * 60,
    UNROUTED_MS = 24 * 60 * 60 * 1000, // as often as DNS is asked about a verified name
    TOLD_AT = 4, // failures in a row that are the authority's own, not the owner's
};

// --- sealing ---

enum fail certificate_seal_key(const char *domain_id, const char *project_id, str der,
                               struct buf *to, struct fault *fault)
{
    const struct seal_context where = {"domain_certificates", domain_id, "key", project_id};
    return seal(der, &where, to, fault);
}

static enum fail open_account_key(const char *directory, str sealed, EVP_PKEY **ret,
                                  struct fault *fault)
{
    struct buf der;
    const struct seal_context where = {"acme_accounts", directory, "key", ""};
    buf_init(&der, CERTIFICATE_KEY_MAX);
    enum fail f = unseal(sealed, &where, &der, fault);
    if (f == FAIL_NONE && (*ret = acme_key_read(buf_str(&der))) == NULL)
        f = fault_set(fault, FAIL_INTERNAL, "internal", "The account's key cannot be read.");
    seal_forget(&der);
    return f;
}

static enum fail make_account_key(struct db *db, const char *directory, struct fault *fault)
{
    struct buf der, sealed;
    const struct seal_context where = {"acme_accounts", directory, "key", ""};
    EVP_PKEY *key = acme_key_make();
    buf_init(&der, CERTIFICATE_KEY_MAX);
    buf_init(&sealed, CERTIFICATE_KEY_MAX);
    acme_key_write(key, &der);
    EVP_PKEY_free(key);
    enum fail f = seal(buf_str(&der), &where, &sealed, fault);
    if (f == FAIL_NONE)
        f = acme_query_account_add(db, directory, buf_str(&sealed), fault);
    seal_forget(&der);
    buf_fini(&sealed);
    return f;
}

// --- the account ---

static enum fail read_account(struct db *db, EVP_PKEY **ret_key, char url[static ACME_URL_ROOM],
                              struct fault *fault)
{
    const char *directory = certificate_options.directory;
    AUTOFREE uint8_t *sealed = NULL;
    size_t n = 0;
    enum fail f = acme_query_account(db, directory, &sealed, &n, url, fault);
    if (f == FAIL_NONE && sealed == NULL) {
        f = make_account_key(db, directory, fault);
        if (f == FAIL_NONE)
            f = acme_query_account(db, directory, &sealed, &n, url, fault);
    }
    return f == FAIL_NONE ? open_account_key(directory, str_of(sealed, n), ret_key, fault) : f;
}

// `is_new`: the one that is written down is not known any more.
static enum fail need_account(struct db *db, struct acme *a, bool is_new, struct fault *fault)
{
    char url[ACME_URL_ROOM] = "";
    EVP_PKEY *key = NULL;
    if (acme_has_account(a) && !is_new)
        return FAIL_NONE;
    enum fail f = read_account(db, &key, url, fault);
    if (f == FAIL_NONE && url[0] != '\0' && !is_new) {
        f = acme_use_account(a, key, url, fault);
    } else if (f == FAIL_NONE) {
        f = acme_account(a, key, url, fault);
        if (f == FAIL_NONE)
            f = acme_query_account_url(db, certificate_options.directory, url, fault);
    }
    EVP_PKEY_free(key);
    return f;
}

// --- the order ---

static enum fail look_at_caa(const struct acme *a, const char *hostname, struct fault *fault)
{
    struct buf identities;
    buf_init(&identities, 4096);
    buf_add(&identities, str_from(certificate_options.caa));
    if (identities.n == 0)
        acme_identities(a, &identities);
    enum fail f = identities.n != 0
                      ? caa_look(hostname, buf_str(&identities), CAA_PATIENCE_MS, fault)
                      : FAIL_NONE;
    buf_fini(&identities);
    return f;
}

static enum fail charge(struct db *db, const struct certificate_due *d, unsigned *ret_wait_s,
                        struct fault *fault)
{
    const char *why = NULL;
    enum fail f =
        certificate_query_charge(db, certificate_options.directory, d, &why, ret_wait_s, fault);
    if (f == FAIL_NONE && why != NULL)
        f = fault_set(fault, FAIL_TOO_MANY, "certificate_budget", "%s", why);
    return f;
}

static enum fail prove(struct db *db, struct acme *a, const struct acme_challenge *c,
                       const char *hostname, struct fault *fault)
{
    if (!c->is_needed)
        return FAIL_NONE;
    enum fail f = acme_query_challenge_add(db, c, hostname, fault);
    if (f != FAIL_NONE)
        return f;
    challenges_open(str_from(c->token));
    nanosleep(&(struct timespec){.tv_nsec = NOTICE_MS * 1000000L}, NULL);
    f = acme_prove(a, c, fault);
    struct fault unused = {0};
    if (acme_query_challenge_end(db, c->token, &unused) != FAIL_NONE)
        log_debug("a challenge stays for an hour", "domain=%s", hostname);
    return f;
}

static enum fail fetch(struct db *db, struct acme *a, const char *hostname, EVP_PKEY *key,
                       struct buf *ret_pem, struct fault *fault)
{
    char order[ACME_URL_ROOM];
    struct acme_challenge c;
    enum fail f = acme_order(a, hostname, order, &c, fault);
    if (f == FAIL_REFUSED && strcmp(fault->code, "acme_account_gone") == 0) {
        f = need_account(db, a, true, fault);
        if (f == FAIL_NONE)
            f = acme_order(a, hostname, order, &c, fault);
    }
    if (f == FAIL_NONE)
        f = prove(db, a, &c, hostname, fault);
    return f == FAIL_NONE ? acme_finish(a, order, hostname, key, ret_pem, fault) : f;
}

// --- telling ---

static enum fail tell(struct db *db, const struct certificate_due *d, const char *type,
                      const char *action, json_t *facts, struct fault *fault)
{
    json_object_set_new(facts, "hostname", json_string(d->hostname));
    json_object_set_new(facts, "domainId", json_string(d->domain_id));
    enum fail f = FAIL_NONE;
    if (type != NULL && d->instance_id[0] != '\0')
        f = catalog_tell_event(db,
                               &(struct catalog_event){.project_id = d->project_id,
                                                       .instance_id = d->instance_id,
                                                       .type = type,
                                                       .data = facts},
                               fault);
    if (f == FAIL_NONE && action != NULL)
        f = audit_append(db, d->project_id, "system", action, d->domain_id, "", (str){0}, facts,
                         fault);
    json_decref(facts);
    return f;
}

static json_t *time_json(int64_t real_ms)
{
    char text[CLOCK_RFC3339_ROOM];
    if (real_ms == 0)
        return json_null();
    clock_rfc3339(real_ms, text);
    return json_string(text);
}

// --- success ---

static enum fail write_down(struct db *db, const struct certificate_due *d,
                            const struct certificate_parts *p, str sealed_key, struct fault *fault)
{
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = certificate_query_store(db, d, p, sealed_key, fault);
    if (f == FAIL_NONE)
        f = tell(db, d, d->is_renewal ? "certificate.renewed" : "certificate.issued",
                 d->is_renewal ? "certificate.renew" : "certificate.issue",
                 json_pack("{so}", "notAfter", time_json(p->not_after)), fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}

static enum fail keep(struct db *db, const struct certificate_due *d, str pem, EVP_PKEY *key,
                      struct fault *fault)
{
    struct certificate_parts parts;
    struct buf sealed;
    buf_init(&sealed, CERTIFICATE_KEY_MAX);
    enum fail f = certificate_check(pem, key, d->hostname, clock_real_ms(), &parts, fault);
    if (f == FAIL_NONE)
        f = certificate_seal_key(d->domain_id, d->project_id, buf_str(&parts.key), &sealed, fault);
    if (f == FAIL_NONE)
        f = write_down(db, d, &parts, buf_str(&sealed), fault);
    buf_fini(&sealed);
    certificate_parts_fini(&parts);
    return f;
}

static enum fail order(struct db *db, struct acme *a, const struct certificate_due *d,
                       unsigned *ret_wait_s, struct fault *fault)
{
    struct buf pem;
    enum fail f = need_account(db, a, false, fault);
    if (f == FAIL_NONE)
        f = look_at_caa(a, d->hostname, fault);
    if (f == FAIL_NONE)
        f = charge(db, d, ret_wait_s, fault);
    if (f != FAIL_NONE)
        return f;
    EVP_PKEY *key = acme_key_make();
    buf_init(&pem, ACME_CHAIN_MAX);
    f = fetch(db, a, d->hostname, key, &pem, fault);
    if (f == FAIL_NONE)
        f = keep(db, d, buf_str(&pem), key, fault);
    EVP_PKEY_free(key);
    buf_fini(&pem);
    return f;
}

// --- failure ---

static bool is_code(const struct fault *why, const char *code)
{
    return why->code != NULL && strcmp(why->code, code) == 0;
}

static unsigned clamp(unsigned x, unsigned low, unsigned high)
{
    return x < low ? low : x > high ? high : x;
}

static struct certificate_failure failure_of(const struct acme *a, const struct certificate_due *d,
                                             const struct fault *why, unsigned budget_wait_s)
{
    int64_t now = clock_real_ms();
    bool is_ours = is_code(why, "certificate_budget");
    bool is_theirs = is_ours || why->fail == FAIL_UPSTREAM || why->fail == FAIL_TIMEOUT ||
                     why->fail == FAIL_TOO_MANY || why->fail == FAIL_BUSY;
    struct certificate_failure r = {
        .code = why->code != NULL ? why->code : "internal",
        .text =
            why->fail == FAIL_INTERNAL ? "The server has trouble of its own." : why->public_text,
        .failing_since = is_ours || d->failing_since != 0 ? d->failing_since : now,
        .counts = !is_ours};
    r.next_at = is_ours ? now + budget_wait_s * INT64_C(1000)
                        : certificate_next_try(now, r.failing_since, (unsigned)d->attempts + 1,
                                               certificate_asked_s(r.code, acme_retry_after(a)));
    r.is_told = d->is_told || r.next_at == 0 || d->attempts + r.counts >= (is_theirs ? TOLD_AT : 1);
    return r;
}

// The claim has ended meanwhile, or the owner gave one: then there is nothing to tell. That the server
// has ceased to try is told to whoever knows that it fails, too.
static enum fail write_failure(struct db *db, const struct certificate_due *d,
                               const struct certificate_failure *r, struct fault *fault)
{
    bool is_news = r->is_told && (!d->is_told || (r->next_at == 0 && !d->is_own));
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = certificate_query_failed(db, d, r, fault);
    if (f == FAIL_NONE && is_news)
        f = tell(db, d, "certificate.failing", "certificate.fail",
                 json_pack("{ss ss so so}", "code", r->code, "error", r->text, "notAfter",
                           time_json(d->not_after), "nextTryAt", time_json(r->next_at)),
                 fault);
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f == FAIL_NOT_FOUND ? FAIL_NONE : f;
}

static enum fail fail_try(struct db *db, struct acme *a, const struct certificate_due *d,
                          const struct fault *why, unsigned budget_wait_s, struct fault *fault)
{
    struct certificate_failure r = failure_of(a, d, why, budget_wait_s);
    log_warn("a certificate was not issued", "domain=%s code=%s reason=%s", d->hostname, r.code,
             LOG_STR(str_from(why->log_text[0] != '\0' ? why->log_text : why->public_text)));
    enum fail f = write_failure(db, d, &r, fault);
    if (f == FAIL_NONE && is_code(why, "acme_unreachable"))
        f = acme_query_pause(db, certificate_options.directory,
                             clamp(acme_retry_after(a), PAUSE_S, PAUSE_MAX_S), fault);
    return f;
}

// It may lead here again tomorrow; the trigger domains_want_certificate notices that before.
static enum fail tell_unrouted(struct db *db, const struct certificate_due *d, struct fault *fault)
{
    int64_t now = clock_real_ms();
    char text[400];
    snprintf(text, sizeof text, "It is not %s, since DNS does not bring visitors here. %s",
             d->is_renewal ? "renewed" : "ordered", d->routing);
    log_warn("a name with a certificate does not lead here", "domain=%s", d->hostname);
    return write_failure(db, d,
                         &(struct certificate_failure){
                             .code = "not_routed",
                             .text = text,
                             .next_at = now + UNROUTED_MS,
                             .failing_since = d->failing_since != 0 ? d->failing_since : now,
                             .counts = true,
                             .is_told = true},
                         fault);
}

// --- owners' own ---

static enum fail warn_of_end(struct db *db, const struct certificate_due *d, struct fault *fault)
{
    char at[CLOCK_RFC3339_ROOM], text[200];
    clock_rfc3339(d->not_after, at);
    snprintf(text, sizeof text,
             "The certificate you gave is valid until %.10s. Give a newer one, or remove it.", at);
    return write_failure(db, d,
                         &(struct certificate_failure){.code = "certificate_ends",
                                                       .text = text,
                                                       .failing_since = clock_real_ms(),
                                                       .is_told = true},
                         fault);
}

enum fail certificate_try(struct db *db, struct acme *a, const struct certificate_due *d,
                          struct fault *fault)
{
    struct fault why = {0};
    unsigned wait_s = 0;
    if (d->is_own)
        return warn_of_end(db, d, fault);
    if (!d->is_served)
        return certificate_query_rest(db, d, fault);
    if (!d->leads_here)
        return tell_unrouted(db, d, fault);
    if (order(db, a, d, &wait_s, &why) != FAIL_NONE)
        return fail_try(db, a, d, &why, wait_s, fault);
    log_info("a certificate was issued", "domain=%s renewal=%d", d->hostname, (int)d->is_renewal);
    return FAIL_NONE;
}
