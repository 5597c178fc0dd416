// What a visit is answered with when it is no file: that there is nothing, that it is elsewhere, that
// it could not be loaded, or the worker that takes itself away.
#include "bundles/visit.h"
#include "bundles/resolve.h"

// Takes itself away and has the pages it held loaded again from the network.
static const char worker_script[] =
    "self.addEventListener('install', () => self.skipWaiting());\n"
    "self.addEventListener('activate', (event) => event.waitUntil((async () => {\n"
    "  await self.registration.unregister();\n"
    "  const pages = await self.clients.matchAll({ type: 'window' });\n"
    "  await Promise.allSettled(pages.map((page) => page.navigate(page.url)));\n"
    "})()));\n";

static const struct reply_headers *worker_headers;

void visit_init(void)
{
    struct reply_headers *h = reply_headers_create();
    reply_headers_add(h, "content-type", STR("text/javascript; charset=utf-8"));
    reply_headers_add(h, "cache-control", STR("no-store"));
    reply_headers_add(h, "x-content-type-options", STR("nosniff"));
    worker_headers = h;
}

bool visit_is_preview(const struct visit *v)
{
    return str_find(v->address.key, '@') != SIZE_MAX;
}

// As variant.c does; a redirect on the way to a module script is asked for its CORS header too.
void visit_add_preview(struct visit *v)
{
    reply_add(v->r, "x-robots-tag", STR("noindex"));
    if (variant_preview_policy()->may_read_anywhere)
        reply_add(v->r, "access-control-allow-origin", STR("*"));
}

// What goes with every reply of ours that has no prebuilt headers.
void visit_add_common(struct visit *v)
{
    if (visit_is_preview(v))
        visit_add_preview(v);
    if (v->depends_on_dest)
        reply_add(v->r, "vary", STR("Sec-Fetch-Dest"));
}

bool visit_asks_for_worker(struct request *r)
{
    return str_eq(request_header(r, HEADER_SERVICE_WORKER), STR("script"));
}

void visit_reply_worker(struct request *r)
{
    reply_bytes(r, 200, worker_headers, str_from(worker_script), NULL);
}

void visit_reply_nothing(struct visit *v)
{
    if (visit_asks_for_worker(v->r)) {
        visit_reply_worker(v->r);
        return;
    }
    visit_add_common(v);
    reply_error(v->r, 404, "not_found", "There is nothing at this address.", NULL, 0);
}

void visit_reply_malformed(struct request *r, const char *why)
{
    reply_error(r, 400, "bad_request", why, NULL, 0);
}

void visit_reply_moved(struct visit *v, int status, str origin, str path)
{
    struct request *r = v->r;
    char *to = request_alloc(r, origin.n + path.n + 1 + 3 * r->query.n);
    size_t n = origin.n + path.n;
    memcpy(to, origin.p, origin.n);
    memcpy(to + origin.n, path.p, path.n);
    if (r->query.p != NULL) {
        to[n++] = '?';
        n += resolve_encode_again(r->query, to + n);
    }
    visit_add_common(v);
    const char *caching = status == 302 ? "no-store" : "no-cache";
    reply_redirect(r, status, str_of(to, n), visit_is_preview(v) ? "private, no-store" : caching);
}

void visit_reply_too_often(struct visit *v, unsigned retry_after)
{
    visit_add_common(v);
    reply_error(v->r, 429, "rate_limited",
                "You asked for many apps that do not exist. Please wait a moment and try again.",
                NULL, retry_after);
}

void visit_reply_failure(struct visit *v, enum fail fail, const char *code)
{
    visit_add_common(v);
    if (fail == FAIL_BUSY || fail == FAIL_TIMEOUT)
        reply_error(v->r, 503, code != NULL ? code : "busy",
                    "This app cannot be loaded right now. Please try again in a moment.", NULL, 2);
    else
        reply_error(v->r, 500, "internal",
                    "Something went wrong on our side. Please try again later.", NULL, 0);
}
