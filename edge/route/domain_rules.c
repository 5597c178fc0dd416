// The order matters: a plain request is first taken to the name it is meant for, and in the same step to
// TLS where that name has a certificate.
#include "edge/route/domain_rules.h"
#include <stdio.h>
#include "edge/base/clock.h"
#include "edge/http/reply.h"
#include "edge/http/scheme.h"
#include "edge/route/hosts.h"

static const char *tls_port; // NULL: nobody would meet a name's certificate here

void domain_rules_init(const char *port)
{
    tls_port = port;
}

static bool has_tls(const struct host *h)
{
    return tls_port != NULL && h->certificate != NULL && h->certificate_ends > clock_real_ms();
}

static bool goes_to_tls(const struct request *r, const struct host *h)
{
    return h->https_only && has_tls(h) && !request_came_by_https(r);
}

// Method, body, path and query go along (RFC 9110 §15.4.9).
static void redirect(struct request *r, str name, bool is_tls)
{
    char port[8] = "";
    bool came_by_tls = request_came_by_https(r);
    if (is_tls == came_by_tls && r->port != 0)
        snprintf(port, sizeof port, ":%u", r->port);
    struct buf b;
    buf_init(&b, name.n + r->path.n + r->query.n + 64);
    buf_addf(&b, "%s://%.*s%s", is_tls ? "https" : "http", STR_FMT(name),
             is_tls && !came_by_tls ? tls_port : port);
    buf_add(&b, str_eq(r->path, STR("*")) ? STR("/") : r->path);
    if (r->query.p != NULL) {
        buf_addc(&b, '?');
        buf_add(&b, r->query);
    }
    r->route = "domain redirect";
    reply_redirect(r, 308, buf_str(&b), "no-cache");
    buf_fini(&b);
}

static void add_fields(struct request *r)
{
    const struct host *h = r->domain;
    str dest = request_header(r, HEADER_SEC_FETCH_DEST);
    bool is_navigation = dest.p != NULL ? str_eq(dest, STR("document")) : request_wants_html(r);
    if (request_came_by_https(r) && h->hsts[0] != '\0')
        reply_add(r, "strict-transport-security", str_from(h->hsts));
    if (is_navigation && h->clears_until > clock_real_ms())
        reply_add(r, "clear-site-data", STR("\"cache\", \"cookies\", \"storage\""));
}

// A worker's script that is redirected is an error to browsers, and the former tenant's worker stays: the
// service tells it to go.
static bool asks_for_worker(struct request *r)
{
    return str_eq(request_header(r, HEADER_SERVICE_WORKER), STR("script"));
}

// What the name leads to, as things stand; NULL: nowhere, and the app is better than nothing. The other
// name may be not proven yet, or another project's by now, or without the TLS this visitor came by: what
// certificates a proxy has is not known here, and it is believed to have the other name's as well.
static const struct host *target_of(struct request *r)
{
    const struct host *h = r->domain;
    if (h->redirect_to.n == 0 || asks_for_worker(r))
        return NULL;
    const struct host *to = hosts_find(h->redirect_to);
    bool leads_there = to != NULL && str_eq(to->slug, h->slug) && to->redirect_to.n == 0 &&
                       (!r->is_tls || has_tls(to));
    return leads_there ? to : NULL;
}

bool domain_rules_answer(struct request *r)
{
    const struct host *h = r->domain, *to = target_of(r);
    add_fields(r);
    if (to != NULL)
        redirect(r, to->name, request_came_by_https(r) || goes_to_tls(r, to));
    else if (goes_to_tls(r, h))
        redirect(r, h->name, true);
    else
        return false;
    return true;
}
