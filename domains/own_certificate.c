// A certificate that the owner has from elsewhere, for one name. The body is a secret: it is read,
// sealed and forgotten; what is written into the audit trail are facts about the certificate.
#include <stdio.h>
#include "domains/api.h"
#include "domains/certificates.h"
#include "edge/base/clock.h"
#include "edge/base/digest.h"
#include "edge/base/jsonx.h"
#include "edge/base/seal.h"
#include "edge/route/certificate.h"

// Locks the claim, so that it neither ends nor is ordered for meanwhile.
static enum fail begin(struct call *call, struct domain *ret, struct fault *fault)
{
    DOMAIN_AUTO d = {.checks = NULL};
    enum fail f = domain_api_find(call, &d, fault);
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = domain_query_lock(call->db, d.project_id, d.id, ret, fault);
    return f;
}

static enum fail finish(struct call *call, const struct domain *d, const char *action,
                        json_t *facts, struct answer *a, struct fault *fault)
{
    DOMAIN_AUTO now = {.checks = NULL};
    json_object_set_new(facts, "hostname", json_string(d->hostname));
    enum fail f = audit_append(call->db, d->project_id, call->principal->token_id, action, d->id,
                               call->request_id, call->peer, facts, fault);
    json_decref(facts);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f == FAIL_NONE)
        f = domain_query_find(call->db, d->project_id, str_from(d->id), &now, fault);
    if (f == FAIL_NONE)
        a->json = domain_json(&now, clock_real_ms());
    return f;
}

static enum fail keep(struct call *call, const struct domain *d, const struct certificate_parts *p,
                      struct fault *fault)
{
    struct buf sealed;
    buf_init(&sealed, CERTIFICATE_KEY_MAX);
    enum fail f = certificate_seal_key(d->id, d->project_id, buf_str(&p->key), &sealed, fault);
    if (f == FAIL_NONE)
        f = certificate_query_store_own(call->db, d->id, d->project_id, p, buf_str(&sealed), fault);
    buf_fini(&sealed);
    return f;
}

static json_t *facts_of(const struct certificate_parts *p)
{
    char until[CLOCK_RFC3339_ROOM], hex[DIGEST_HEX_ROOM];
    struct digest digest = digest_sha256(buf_str(&p->leaf));
    clock_rfc3339(p->not_after, until);
    digest_hex(&digest, hex);
    return json_pack("{ss ss}", "notAfter", until, "sha256", hex);
}

// Behind a proxy that speaks TLS with visitors a certificate kept here would reach nobody.
static enum fail check_listener(struct fault *fault)
{
    return certificate_options.has_tls
               ? FAIL_NONE
               : fault_set(fault, FAIL_CONFLICT, "no_tls_listener",
                           "This server speaks no TLS itself (its operator has set no listen_tls), "
                           "so it cannot serve a certificate: whoever speaks TLS in front of it "
                           "needs the domain's.");
}

// Whose domain it is comes first: another project's is not found, whatever stands in the body.
enum fail domain_api_put_certificate(struct call *call, struct answer *a, struct fault *fault)
{
    DOMAIN_AUTO d = {.checks = NULL};
    EVP_PKEY *key = NULL;
    struct certificate_parts parts = {.not_before = 0};
    enum fail f = begin(call, &d, fault);
    if (f == FAIL_NONE)
        f = check_listener(fault);
    if (f == FAIL_NONE)
        f = certificate_read_key(jsonx_str(call->json, "keyPem"), &key, fault);
    if (f == FAIL_NONE)
        f = certificate_check(jsonx_str(call->json, "chainPem"), key, d.hostname, clock_real_ms(),
                              &parts, fault);
    if (f == FAIL_NONE)
        f = keep(call, &d, &parts, fault);
    if (f == FAIL_NONE)
        f = finish(call, &d, "certificate.put", facts_of(&parts), a, fault);
    certificate_parts_fini(&parts);
    EVP_PKEY_free(key);
    return f;
}

// Whether an order will follow: until it is done, visitors shall not meet a server without one.
static bool is_ordered_for(const struct domain *d)
{
    return certificate_options.is_on && domain_is_served(d->life.status) &&
           json_is_true(json_object_get(d->routing, "ok"));
}

enum fail domain_api_remove_certificate(struct call *call, struct answer *a, struct fault *fault)
{
    DOMAIN_AUTO d = {.checks = NULL};
    enum fail f = begin(call, &d, fault);
    if (f == FAIL_NONE)
        f = certificate_query_remove_own(call->db, d.id, is_ordered_for(&d), fault);
    return f == FAIL_NONE ? finish(call, &d, "certificate.remove", json_object(), a, fault) : f;
}
