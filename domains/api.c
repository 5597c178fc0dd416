// Looking at domains, and having them looked at. What asks DNS runs on LANE_DOMAINS: a slow name
// server holds up nobody but others who wait for DNS.
#include "domains/api.h"
#include <stdio.h>
#include "domains/certificates.h"
#include "edge/base/clock.h"

enum fail domain_api_find(struct call *call, struct domain *ret, struct fault *fault)
{
    struct hostname name;
    str ref = call->params[0];
    const char *project = call->principal->project_id;
    if (hostname_parse(ref, &name, NULL) == FAIL_NONE)
        ref = str_from(name.ascii);
    return domain_query_find(call->db, project, ref, ret, fault);
}

struct domain_actor domain_api_actor(const struct call *call)
{
    return (struct domain_actor){call->principal->token_id, call->request_id, call->peer};
}

// --- list, get ---

static json_t *object_of(const struct db_rows *rows, size_t row)
{
    DOMAIN_AUTO d;
    domain_of_row(rows, row, &d);
    return domain_json(&d, clock_real_ms());
}

static struct page_key key_of(const struct db_rows *rows, size_t row)
{
    DOMAIN_AUTO d;
    domain_of_row(rows, row, &d);
    struct page_key key = {.at = d.created_at};
    snprintf(key.id, sizeof key.id, "%s", d.id);
    return key;
}

enum fail domain_api_list(struct call *call, struct answer *a, struct fault *fault)
{
    struct page page;
    unsigned limit;
    struct instance instance;
    DB_ROWS_AUTO rows = NULL;
    str ref = call_query(call, "instance");
    struct domain_filter filter = {NULL, call_query(call, "hostname")};
    const char *project = call->principal->project_id;
    enum fail f = call_limit(call, &limit, fault);
    if (f == FAIL_NONE)
        f = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (f == FAIL_NONE && ref.p != NULL) {
        f = catalog_instance_find(call->db, project, ref, &instance, fault);
        filter.instance_id = instance.id;
    }
    if (f == FAIL_NONE)
        f = domain_query_page(call->db, project, &filter, &page, &rows, fault);
    if (f == FAIL_NONE)
        a->json = page_rows_json(&page, rows, object_of, key_of);
    return f;
}

enum fail domain_api_get(struct call *call, struct answer *a, struct fault *fault)
{
    DOMAIN_AUTO d = {.checks = NULL};
    enum fail f = domain_api_find(call, &d, fault);
    if (f == FAIL_NONE)
        a->json = domain_json(&d, clock_real_ms());
    return f;
}

// --- asking DNS ---

static enum fail may_ask(struct call *call, const struct domain *d, struct answer *a,
                         struct fault *fault)
{
    if (domain_may_ask(d, true, &a->retry_after))
        return FAIL_NONE;
    return fault_set(fault, FAIL_TOO_MANY, "rate_limited",
                     "DNS was asked too often about names of this project or zone. Try again in "
                     "%u seconds.",
                     a->retry_after);
}

static enum fail refuse_ended(const struct domain *d, struct fault *fault)
{
    if (d->life.status != DOMAIN_REMOVED)
        return FAIL_NONE;
    return fault_set(fault, FAIL_NOT_FOUND, "domain_not_found",
                     "This claim has ended. Add the name again.");
}

// What DNS answers now; changes nothing.
enum fail domain_api_dns(struct call *call, struct answer *a, struct fault *fault)
{
    DOMAIN_AUTO d = {.checks = NULL};
    enum fail f = domain_api_find(call, &d, fault);
    if (f == FAIL_NONE)
        f = refuse_ended(&d, fault);
    if (f == FAIL_NONE)
        f = may_ask(call, &d, a, fault);
    if (f != FAIL_NONE)
        return f;
    PROOF_AUTO proof;
    ROUTING_AUTO routing;
    bool has_routing;
    int64_t now = clock_real_ms();
    domain_look(call->db, &d, &proof, &routing, &has_routing);
    domain_asked(d.project_id);
    if (!has_routing)
        routing =
            (struct routing){.seen = json_array(), .message = "The name servers do not answer."};
    json_t *check = domain_check_json(&d, &proof, false, true, now),
           *r = routing_json(&routing, now);
    json_object_set_new(r, "expected", routing_expected_json(&d));
    a->json = json_pack("{ss ss ss so so}", "id", d.id, "hostname", d.hostname, "status",
                        domain_status_name(d.life.status), "verification", check, "routing", r);
    return FAIL_NONE;
}

static enum fail held(const struct domain_verdict *verdict, struct fault *fault)
{
    char until[CLOCK_RFC3339_ROOM];
    if (verdict->held_until == 0)
        return fault_set(fault, FAIL_CONFLICT, "domain_held",
                         "The record is there, but another project holds this name, and its own "
                         "record was there within the last hour. Remove that record; an hour later "
                         "the name can be yours, which is tried by itself.");
    clock_rfc3339(verdict->held_until, until);
    return fault_set(fault, FAIL_CONFLICT, "domain_held",
                     "The record is there, but another project removed this name a short while "
                     "ago: until %s it can be nobody else's.",
                     until);
}

static enum fail verdict_of(const struct domain *d, const struct proof *p,
                            const struct domain_verdict *verdict, struct answer *a,
                            struct fault *fault)
{
    if (d->life.status == DOMAIN_VERIFIED && p->outcome == PROOF_SEEN)
        return FAIL_NONE;
    a->details = proof_details_json(d, p);
    json_object_set_new(a->details, "status", json_string(domain_status_name(d->life.status)));
    if (verdict->is_held)
        return held(verdict, fault);
    if (d->life.status == DOMAIN_REMOVED)
        return fault_set(fault, FAIL_NOT_FOUND, "domain_not_found",
                         "This claim has ended: it was not verified in time. Add the name again.");
    return fault_set(fault, FAIL_REFUSED, proof_code(p->outcome), "%s", p->message);
}

enum fail domain_api_verify(struct call *call, struct answer *a, struct fault *fault)
{
    DOMAIN_AUTO d = {.checks = NULL};
    struct domain_verdict verdict = {false};
    struct domain_actor actor = domain_api_actor(call);
    enum fail f = domain_api_find(call, &d, fault);
    if (f == FAIL_NONE)
        f = refuse_ended(&d, fault);
    if (f == FAIL_NONE)
        f = may_ask(call, &d, a, fault);
    if (f != FAIL_NONE)
        return f;
    PROOF_AUTO proof;
    ROUTING_AUTO routing;
    bool has_routing;
    domain_look(call->db, &d, &proof, &routing, &has_routing);
    domain_asked(d.project_id);
    f = domain_settle(call->db, &d, &proof, has_routing ? &routing : NULL, &actor, &verdict, fault);
    if (f == FAIL_NONE)
        f = verdict_of(&d, &proof, &verdict, a, fault);
    if (f == FAIL_NONE)
        f = certificate_query_hurry(call->db, d.id, fault);
    if (f == FAIL_NONE)
        a->json = domain_json(&d, clock_real_ms());
    return f;
}
