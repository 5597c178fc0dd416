// CORS without credentials (Fetch standard, "CORS protocol"): a page of an origin that some active key
// names may ask; what it is then given is decided by the session it shows, or by the key of the token
// it wants to exchange. An API token is no page's: before there was CORS a browser let no page of
// another origin use one, and so it stays.
#include "edge/route/embed_rules.h"
#include "edge/http/reply.h"
#include "edge/route/embedders.h"

enum { SLUG_MIN = 3, SLUG_MAX = 40 };

// --- /p/{platformSlug} ---

static bool is_slug(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return s.n >= SLUG_MIN && s.n <= SLUG_MAX;
}

static bool is_shared_path(str path)
{
    return str_eq(path, STR("/embed")) || str_starts(path, STR("/embed/")) ||
           str_starts(path, STR("/sdk/")) || str_starts(path, STR("/api/v1/"));
}

bool embed_rules_cut(str *path, str *ret_platform_slug)
{
    if (!str_starts(*path, STR("/p/")))
        return false;
    str tail = str_skip(*path, 3);
    size_t n = str_find(tail, '/');
    if (n == SIZE_MAX || !is_slug(str_of(tail.p, n)) || !is_shared_path(str_skip(tail, n)))
        return false;
    *ret_platform_slug = str_of(tail.p, n);
    *path = str_skip(tail, n);
    return true;
}

// --- CORS ---

static bool is_preflight(struct request *r)
{
    return r->method == METHOD_OPTIONS &&
           request_header(r, HEADER_ACCESS_CONTROL_REQUEST_METHOD).p != NULL;
}

static bool has_api_token(struct request *r)
{
    str value = str_trim(request_header(r, HEADER_AUTHORIZATION)), scheme = str_cut(&value, ' ');
    return str_caseeq(scheme, STR("bearer")) && str_starts(str_trim(value), STR("stoa_"));
}

static void reply_preflight(struct request *r)
{
    r->route = "preflight";
    reply_add(r, "access-control-allow-methods", STR("GET, HEAD, POST, PUT, PATCH, DELETE"));
    reply_add(r, "access-control-allow-headers", STR("authorization, content-type"));
    reply_add(r, "access-control-max-age", STR("600"));
    reply_bytes(r, 204, NULL, STR(""), NULL);
}

static bool answer_api(struct request *r)
{
    str origin = request_header(r, HEADER_ORIGIN);
    reply_add(r, "vary", STR("Origin")); // on refusals too (security-rules.md 17)
    if (!embedders_allow(r->platform_slug, origin))
        return false;
    if (has_api_token(r)) {
        r->route = "foreign page";
        reply_error(r, 403, "origin_not_allowed",
                    "API tokens are for servers; a page of another origin uses a session.", NULL,
                    0);
        return true;
    }
    reply_add(r, "access-control-allow-origin", origin);
    reply_add(r, "access-control-expose-headers", STR("retry-after, x-request-id"));
    if (!is_preflight(r))
        return false;
    reply_preflight(r);
    return true;
}

bool embed_rules_answer(struct request *r)
{
    if (embed_rules_cut(&r->path, &r->platform_slug) && !embedders_know(r->platform_slug)) {
        r->route = "unknown platform";
        reply_error(r, 404, "not_found", "There is nothing at this address.", NULL, 0);
        return true;
    }
    return str_starts(r->path, STR("/api/")) && answer_api(r);
}
