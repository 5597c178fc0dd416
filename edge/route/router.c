// A request's way: site_decide → the rules that stand before every site → the service with the
// longest prefix.
#include "edge/route/router.h"
#include <assert.h>
#include "edge/http/management.h"
#include "edge/http/openapi.h"
#include "edge/route/domain_rules.h"
#include "edge/route/embed_rules.h"
#include "edge/route/embedders.h"
#include "edge/route/hosts.h"
#include "edge/route/site.h"

enum { SERVICES_MAX = 32, PAGE_BODY_MAX = 64 * 1024 };
static struct service *services[SERVICES_MAX];
static size_t service_count;

void router_add(struct service *s)
{
    assert(service_count < SERVICES_MAX);
    services[service_count++] = s;
    if (s->endpoints != NULL)
        management_register(s->endpoints, s->endpoint_count);
    if (s->schemas != NULL)
        openapi_add_schemas(s->schemas);
}

static void widen(struct body_bound *to, struct body_bound by)
{
    if (by.max > to->max)
        *to = by;
}

// The largest that any service of that site takes there.
struct body_bound router_body_bound(enum site_kind site, str method, str path)
{
    struct body_bound all = {.max = PAGE_BODY_MAX};
    size_t max = SIZE_MAX;
    str platform_slug;
    if (site == SITE_CONSOLE) {
        embed_rules_cut(&path, &platform_slug);
        max = management_body_max(method, path);
    }
    if (max != SIZE_MAX)
        widen(&all, (struct body_bound){.max = max});
    for (size_t i = 0; max == SIZE_MAX && i != service_count; ++i) {
        const struct service *s = services[i];
        struct body_bound bound = {.max = s->body_max};
        if (s->on_request == NULL || (s->sites >> site & 1) == 0 ||
            !str_starts(path, str_from(s->prefix)))
            continue;
        if (s->on_body_ask == NULL || !s->on_body_ask(path, &bound))
            bound = (struct body_bound){.max = s->body_max};
        widen(&all, bound);
    }
    return all;
}

void router_loop_start(struct loop *loop)
{
    hosts_on_loop_start(loop);
    embedders_on_loop_start(loop);
    for (size_t i = 0; i != service_count; ++i)
        if (services[i]->on_loop_start != NULL)
            services[i]->on_loop_start(loop);
}

void router_metrics(struct buf *to)
{
    for (size_t i = 0; i != service_count; ++i)
        if (services[i]->on_metrics != NULL)
            services[i]->on_metrics(to);
}

static bool (*answer_challenge)(struct request *r);

void router_answer_challenges_by(bool (*answer)(struct request *r))
{
    answer_challenge = answer;
}

// Answered from the challenge table only, on every authority, before everything else
// (security-rules.md 14).
static bool is_challenge_path(str path)
{
    return str_starts(path, STR("/.well-known/acme-challenge/")) ||
           str_starts(path, STR("/.well-known/pki-validation/"));
}

static void reply_unknown_site(struct request *r)
{
    r->route = "unknown site";
    if (r->is_tls)
        reply_error(r, 421, "misdirected_request",
                    "This server does not answer for that host name here.", NULL, 0);
    else
        reply_error(r, 404, "unknown_host", "No site is known under that host name.", NULL, 0);
}

void router_on_request(struct request *r)
{
    site_decide(r);
    if (is_challenge_path(r->path)) {
        r->route = "challenge";
        if (answer_challenge != NULL && answer_challenge(r))
            return;
        reply_error(r, 404, "not_found", "There is no such challenge.", NULL, 0);
        return;
    }
    if (r->site == SITE_UNKNOWN) {
        reply_unknown_site(r);
        return;
    }
    if (r->domain != NULL && domain_rules_answer(r))
        return;
    if (str_eq(r->path, STR("*"))) {
        reply_options(r, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        return;
    }
    if (r->site == SITE_CONSOLE && embed_rules_answer(r))
        return;
    if (r->site == SITE_CONSOLE && str_starts(r->path, STR("/api/"))) {
        management_on_request(r);
        return;
    }
    struct service *best = NULL;
    size_t best_length = 0;
    for (size_t i = 0; i != service_count; ++i) {
        struct service *s = services[i];
        if (s->on_request == NULL || (s->sites >> r->site & 1) == 0)
            continue;
        str prefix = str_from(s->prefix);
        if (prefix.n > best_length && str_starts(r->path, prefix) &&
            (s->takes == NULL || s->takes(r))) {
            best = s;
            best_length = prefix.n;
        }
    }
    if (best != NULL) {
        best->on_request(r);
        return;
    }
    reply_error(r, 404, "not_found", "There is nothing at this address.", NULL, 0);
}
