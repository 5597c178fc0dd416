// The page at the console origin's root. No script, no form, nothing to frame (security-rules.md
// 17).
#include "edge/console.h"

static const char page[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
    "content=\"width=device-width,initial-scale=1\">"
    "<meta name=\"color-scheme\" content=\"light "
    "dark\"><title>Stoa</title><style>body{font:1.05rem/1.6 system-ui,sans-serif;margin:0;"
    "min-height:100vh;display:grid;grid-template-columns:minmax(0,1fr);place-items:center;"
    "background:Canvas;color:CanvasText}main{"
    "box-sizing:border-box;max-width:min(38rem,100%);padding:2rem}"
    "h1{font-size:1.6rem;margin:0 0 .5rem}code,pre{font:.95em/1.5 "
    "ui-monospace,monospace;background:color-mix(in srgb,CanvasText 8%,Canvas);"
    "border-radius:.4rem;padding:.1em .35em}pre{padding:.8rem "
    "1rem;overflow:auto}</style></head><body><main><h1>Stoa is running</h1>"
    "<p>This is the management address. From a shell:</p><pre>stoa deploy my-app.pie\nstoa "
    "apps\nstoa help</pre>"
    "<p>Every operation is described at <a "
    "href=\"/api/openapi.json\"><code>/api/openapi.json</code></a>; requests carry a token: "
    "<code>Authorization: Bearer stoa_…</code></p></main></body></html>\n";

static void on_request(struct request *r)
{
    r->route = "console";
    if (!str_eq(r->path, STR("/"))) {
        reply_error(
            r, 404, "not_found",
            "There is nothing at this address. The operations are listed at /api/openapi.json.",
            NULL, 0);
        return;
    }
    if (r->method == METHOD_OPTIONS) {
        reply_options(r, "GET, HEAD, OPTIONS");
        return;
    }
    if (r->method != METHOD_GET && r->method != METHOD_HEAD) {
        reply_method_not_allowed(r, "GET, HEAD, OPTIONS");
        return;
    }
    reply_add(r, "content-type", STR("text/html; charset=utf-8"));
    reply_add(r, "content-security-policy",
              STR("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"));
    reply_add(r, "cross-origin-opener-policy", STR("same-origin"));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    reply_add(r, "referrer-policy", STR("no-referrer"));
    reply_add(r, "cache-control", STR("no-cache"));
    reply_bytes(r, 200, NULL, str_from(page), NULL);
}

struct service *console_service(void)
{
    static struct service service = {
        .name = "console", .sites = 1 << SITE_CONSOLE, .prefix = "/", .on_request = on_request};
    return &service;
}
