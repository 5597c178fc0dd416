// Claiming a name, changing what it does, giving it up: each one transaction with its audit row.
#include <stdio.h>
#include <string.h>
#include "domains/api.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/token.h"

enum { HSTS_YEAR = 365 * 24 * 60 * 60, HSTS_MAX = 2 * HSTS_YEAR };

static enum fail commit(struct call *call, const char *action, const struct domain *d,
                        json_t *facts, struct fault *fault)
{
    const struct principal *p = call->principal;
    json_object_set_new(facts, "hostname", json_string(d->hostname));
    enum fail f = audit_append(call->db, p->project_id, p->token_id, action, d->id,
                               call->request_id, call->peer, facts, fault);
    json_decref(facts);
    return f == FAIL_NONE ? db_commit(call->db, fault) : f;
}

// --- claiming ---

static enum fail parse_name(str text, struct domain *d, struct fault *fault)
{
    struct hostname name;
    enum fail f = hostname_parse(text, &name, fault);
    if (f != FAIL_NONE)
        return f;
    if (strlen(name.ascii) + sizeof DOMAIN_CHALLENGE_LABEL > DNS_NAME_MAX)
        return fault_set(fault, FAIL_REFUSED, "invalid_hostname",
                         "The name is too long: with " DOMAIN_CHALLENGE_LABEL
                         " in front of it, it may have %d characters.",
                         DNS_NAME_MAX);
    snprintf(d->hostname, sizeof d->hostname, "%s", name.ascii);
    snprintf(d->unicode, sizeof d->unicode, "%s", name.unicode);
    snprintf(d->registrable, sizeof d->registrable, "%s", name.registrable);
    return FAIL_NONE;
}

static enum fail find_instance(struct call *call, struct domain *d, struct fault *fault)
{
    struct instance i;
    enum fail f = catalog_instance_find(call->db, call->principal->project_id,
                                        jsonx_str(call->json, "instanceId"), &i, fault);
    if (f != FAIL_NONE)
        return f;
    snprintf(d->instance_id, sizeof d->instance_id, "%s", i.id);
    snprintf(d->instance_slug, sizeof d->instance_slug, "%s", i.slug);
    return FAIL_NONE;
}

static enum fail insert(struct call *call, struct domain *d, struct fault *fault)
{
    enum fail f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = domain_query_insert(call->db, d, fault);
    if (f == FAIL_NONE && domain_config.instance_domain[0] != '\0')
        f = domain_query_target(call->db, d->instance_id, d->project_id, d->target, fault);
    if (f == FAIL_NONE)
        f = commit(call, "domain.add", d, json_pack("{ss}", "instanceId", d->instance_id), fault);
    return f;
}

enum fail domain_api_create(struct call *call, struct answer *a, struct fault *fault)
{
    int64_t now = clock_real_ms();
    DOMAIN_AUTO d = {.created_at = now, .https_only = true, .hsts_max_age = -1};
    enum fail f = parse_name(jsonx_str(call->json, "hostname"), &d, fault);
    if (f == FAIL_NONE && !domain_may_claim(call->principal->project_id, &a->retry_after))
        f = fault_set(fault, FAIL_TOO_MANY, "rate_limited",
                      "This project claims names too fast. Try again in %u seconds.",
                      a->retry_after);
    if (f == FAIL_NONE)
        f = find_instance(call, &d, fault);
    if (f != FAIL_NONE)
        return f;
    d.life = domain_begin(now);
    token_id("dom_", d.id);
    token_hex(d.token, DOMAIN_TOKEN_ROOM - 1);
    snprintf(d.project_id, sizeof d.project_id, "%s", call->principal->project_id);
    f = insert(call, &d, fault);
    if (f == FAIL_NONE)
        a->json = domain_json(&d, now);
    return f;
}

// --- changing ---

static void refuse(json_t *wrong, const char *field, const char *why)
{
    json_object_set_new(wrong, field, json_string(why));
}

static void read_hsts(const json_t *hsts, struct domain *d, json_t *wrong)
{
    const json_t *age = json_object_get(hsts, "maxAge"),
                 *below = json_object_get(hsts, "includeSubDomains");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)hsts, key, value)
    {
        if (strcmp(key, "maxAge") != 0 && strcmp(key, "includeSubDomains") != 0)
            refuse(wrong, "hsts", "It has maxAge and includeSubDomains, nothing else.");
    }
    if ((age != NULL && (!json_is_integer(age) || json_integer_value(age) < 0 ||
                         json_integer_value(age) > HSTS_MAX)) ||
        (below != NULL && !json_is_boolean(below)))
        refuse(wrong, "hsts",
               "maxAge is a number of seconds up to two years, includeSubDomains true or false.");
    d->hsts_max_age = json_is_null(hsts) ? -1 : age != NULL ? json_integer_value(age) : HSTS_YEAR;
    d->hsts_subdomains = json_is_true(below);
}

// Another name of the same instance, which serves by itself.
static enum fail read_redirect(struct call *call, struct domain *d, json_t *wrong,
                               struct fault *fault)
{
    DOMAIN_AUTO to = {.checks = NULL};
    struct hostname name;
    str text = jsonx_str(call->json, "redirectTo");
    d->redirect_to[0] = '\0';
    if (text.n == 0) // null or "": none
        return FAIL_NONE;
    if (hostname_parse(text, &name, NULL) != FAIL_NONE) {
        refuse(wrong, "redirectTo", "This is no host name.");
        return FAIL_NONE;
    }
    enum fail f = domain_query_find(call->db, d->project_id, str_from(name.ascii), &to, fault);
    if (f == FAIL_NOT_FOUND || (f == FAIL_NONE && strcmp(to.instance_id, d->instance_id) != 0))
        refuse(wrong, "redirectTo",
               "This must be another domain of the same instance: add it first.");
    else if (f == FAIL_NONE && strcmp(to.id, d->id) == 0)
        refuse(wrong, "redirectTo", "A domain cannot redirect to itself.");
    else if (f == FAIL_NONE && to.redirect_to[0] != '\0')
        refuse(wrong, "redirectTo", "That domain redirects elsewhere itself.");
    snprintf(d->redirect_to, sizeof d->redirect_to, "%s", name.ascii);
    return f == FAIL_NOT_FOUND ? FAIL_NONE : f;
}

static enum fail read_changes(struct call *call, struct domain *d, json_t *wrong,
                              struct fault *fault)
{
    const json_t *https = json_object_get(call->json, "httpsOnly"),
                 *hsts = json_object_get(call->json, "hsts");
    enum fail f = FAIL_NONE;
    if (json_is_string(json_object_get(call->json, "instanceId")))
        f = find_instance(call, d, fault);
    if (json_is_boolean(https))
        d->https_only = json_is_true(https);
    if (hsts != NULL)
        read_hsts(hsts, d, wrong);
    if (f == FAIL_NONE && json_object_get(call->json, "redirectTo") != NULL)
        f = read_redirect(call, d, wrong, fault);
    return f;
}

static enum fail refuse_wrong(json_t *wrong, struct answer *a, struct fault *fault)
{
    if (json_object_size(wrong) == 0)
        return FAIL_NONE;
    a->details = json_pack("{sO}", "fields", wrong);
    return fault_set(fault, FAIL_REFUSED, "invalid_domain_settings",
                     "Some settings cannot be accepted.");
}

// With another instance the name's target is another one; records that point to the former lead
// here still, for it is the project's.
static enum fail apply(struct call *call, const struct domain *before, struct domain *d,
                       struct fault *fault)
{
    bool moves = strcmp(before->instance_id, d->instance_id) != 0;
    enum fail f =
        domain_query_change(call->db, d, moves && domain_is_served(d->life.status), fault);
    if (f == FAIL_NONE)
        f = domain_query_mend_redirects(call->db, d->project_id, d->hostname, fault);
    if (f == FAIL_NONE && moves && domain_config.instance_domain[0] != '\0')
        f = domain_query_target(call->db, d->instance_id, d->project_id, d->target, fault);
    if (f == FAIL_NONE)
        f = commit(call, moves ? "domain.move" : "domain.change", d,
                   json_pack("{ss ss sb sI}", "instanceId", d->instance_id, "redirectTo",
                             d->redirect_to, "httpsOnly", (int)d->https_only, "hstsMaxAge",
                             (json_int_t)d->hsts_max_age),
                   fault);
    return f;
}

enum fail domain_api_change(struct call *call, struct answer *a, struct fault *fault)
{
    DOMAIN_AUTO d = {.checks = NULL};
    DOMAIN_AUTO locked = {.checks = NULL};
    json_auto_t *wrong = json_object();
    enum fail f = domain_api_find(call, &d, fault);
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = domain_query_lock(call->db, d.project_id, d.id, &locked, fault);
    if (f != FAIL_NONE)
        return f;
    struct domain changed = locked; // borrows what `locked` owns
    f = read_changes(call, &changed, wrong, fault);
    if (f == FAIL_NONE)
        f = refuse_wrong(wrong, a, fault);
    if (f == FAIL_NONE)
        f = apply(call, &locked, &changed, fault);
    if (f != FAIL_NONE)
        return f;
    domain_fini(&d);
    f = domain_query_find(call->db, changed.project_id, str_from(changed.id), &d, fault);
    if (f == FAIL_NONE)
        a->json = domain_json(&d, clock_real_ms());
    return f;
}

// --- giving up ---

enum fail domain_api_remove(struct call *call, struct answer *a, struct fault *fault)
{
    DOMAIN_AUTO d = {.checks = NULL};
    DOMAIN_AUTO locked = {.checks = NULL};
    enum domain_news news;
    struct domain_actor actor = domain_api_actor(call);
    enum fail f = domain_api_find(call, &d, fault);
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = domain_query_lock(call->db, d.project_id, d.id, &locked, fault);
    if (f != FAIL_NONE)
        return f;
    struct domain after = locked; // borrows what `locked` owns
    after.life = domain_step(&locked.life, DOMAIN_DROPPED, clock_real_ms(), 0, &news);
    f = domain_query_settle(call->db, &after, fault);
    if (f == FAIL_NONE)
        f = domain_query_mend_redirects(call->db, d.project_id, d.hostname, fault);
    if (f == FAIL_NONE)
        f = domain_tell(call->db, &locked, &after, news, &actor, fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f == FAIL_NONE)
        a->json = domain_json(&after, clock_real_ms());
    return f;
}
