// /embed…: the page that hosts frame, one small HTML document for every path below it, and its script
// and style sheet. It knows nobody: who it works for comes by message, from the window that framed or
// opened it (docs/embedding.md). Who may frame it is asked of the table of embedders at each request.
#include "edge/route/embedders.h"
#include "embed/assets/asset.h"
#include "embed/embed.h"

#define PREFIX "/embed"
#define ASSETS PREFIX "/assets/"
#define SCRIPT "console.js"
#define STYLE "console.css"

enum {
    ORIGIN_MAX = 300,
    POLICY_MAX = 6 * 1024, // what proxies let through of a head, mostly, is 8 KiB
    PAGE_MAX = 8 * 1024
};

// No inline script or style, no markup from strings. A host may name a style sheet with its fonts,
// which is the one thing from elsewhere.
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self' https:; "
                             "font-src 'self' https:; img-src data:; connect-src 'self'; "
                             "base-uri 'none'; form-action 'none'; "
                             "require-trusted-types-for 'script'; trusted-types 'none'; "
                             "frame-ancestors 'self'";

static bool is_page(str path)
{
    return str_eq(path, STR(PREFIX)) || str_starts(path, STR(PREFIX "/"));
}

// "https://host:port" of a URL; empty when it is none.
static str origin_of(str url)
{
    size_t scheme = str_find_str(url, STR("://"));
    if (scheme == SIZE_MAX || url.n > 16 * 1024)
        return (str){0};
    size_t end = scheme + 3;
    while (end != url.n && url.p[end] != '/' && url.p[end] != '?' && url.p[end] != '#')
        ++end;
    return end > ORIGIN_MAX ? (str){0} : str_of(url.p, end);
}

// Below /p/{slug} all origins of that platform; else the one that asks, if any key names it. Never a
// list of everybody: it would publish the customers and let them frame each other.
static void add_policy(struct request *r)
{
    struct buf all;
    str referer = origin_of(request_header(r, HEADER_REFERER));
    buf_init(&all, POLICY_MAX);
    buf_add(&all, str_from(policy));
    if (r->platform_slug.n != 0)
        embedders_add_to(r->platform_slug, &all);
    else if (referer.n != 0 && embedders_allow((str){0}, referer))
        buf_addf(&all, " %.*s", STR_FMT(referer));
    if (all.full) { // more origins than a header should hold: the one that asks
        buf_clear(&all);
        buf_add(&all, str_from(policy));
        if (embedders_allow(r->platform_slug, referer))
            buf_addf(&all, " %.*s", STR_FMT(referer));
    }
    reply_add(r, "content-security-policy", buf_str(&all));
    buf_fini(&all);
}

static void add_asset_url(struct request *r, struct buf *to, const struct embed_asset *a)
{
    if (r->platform_slug.n != 0)
        buf_addf(to, "/p/%.*s", STR_FMT(r->platform_slug));
    buf_addf(to, ASSETS "%s/%s\" integrity=\"%s\"", a->tag, a->name, a->integrity);
}

static str make_page(struct request *r)
{
    struct buf page;
    buf_init(&page, PAGE_MAX);
    buf_add(&page,
            STR("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
                "name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Apps"
                "</title><link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\""));
    add_asset_url(r, &page, embed_asset_find(STYLE));
    buf_add(&page, STR("><script defer src=\""));
    add_asset_url(r, &page, embed_asset_find(SCRIPT));
    buf_add(&page, STR("></script></head><body><noscript>This page needs JavaScript."
                       "</noscript></body></html>\n"));
    char *copy = request_alloc(r, page.n);
    memcpy(copy, page.p, page.n);
    str made = str_of(copy, page.n);
    buf_fini(&page);
    return made;
}

static void send_page(struct request *r)
{
    add_policy(r);
    reply_add(r, "content-type", STR("text/html; charset=utf-8"));
    reply_add(r, "cache-control", STR("no-store"));
    reply_add(r, "vary", STR("Referer"));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    reply_add(r, "referrer-policy", STR("same-origin"));
    reply_add(r, "permissions-policy", STR("camera=(), microphone=(), geolocation=()"));
    reply_add(r, "x-robots-tag", STR("noindex"));
    reply_bytes(r, 200, NULL, make_page(r), NULL);
}

static void send_asset(struct request *r)
{
    str name = str_skip(r->path, sizeof ASSETS - 1), tag = str_cut(&name, '/');
    for (const struct embed_asset *a = embed_assets; a->name != NULL; ++a) {
        if (!str_eq(tag, str_from(a->tag)) || !str_eq(name, str_from(a->name)))
            continue;
        reply_add(r, "cross-origin-resource-policy", STR("same-origin"));
        embed_asset_reply(r, a, "public, max-age=31536000, immutable");
        return;
    }
    reply_error(r, 404, "not_found", "There is no such file here; reload the page.", NULL, 0);
}

static void on_request(struct request *r)
{
    r->route = "embed page";
    if (!is_page(r->path))
        reply_error(r, 404, "not_found", "There is nothing at this address.", NULL, 0);
    else if (str_starts(r->path, STR(ASSETS)))
        send_asset(r);
    else if (r->method == METHOD_OPTIONS)
        reply_options(r, "GET, HEAD, OPTIONS");
    else if (r->method != METHOD_GET && r->method != METHOD_HEAD)
        reply_method_not_allowed(r, "GET, HEAD, OPTIONS");
    else
        send_page(r);
}

struct service *embed_page_service(void)
{
    static struct service service = {.name = "embed page",
                                     .sites = 1 << SITE_CONSOLE,
                                     .prefix = PREFIX,
                                     .on_request = on_request};
    return &service;
}
