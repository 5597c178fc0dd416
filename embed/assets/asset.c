// Assets as answers.
#include "embed/assets/asset.h"
#include <assert.h>
#include <stdio.h>
#include "edge/base/clock.h"
#include "edge/http/conditional.h"

enum { TAG_ROOM = 32 };
static const char *const encoding_names[ASSET_ENCODINGS] = {"identity", "gzip", "br"};

const struct embed_asset *embed_asset_find(const char *name)
{
    const struct embed_asset *a = embed_assets;
    while (a->name != NULL && strcmp(a->name, name) != 0)
        ++a;
    assert(a->name != NULL);
    return a;
}

// RFC 9110 §12.5.3 as far as browsers use it: named codings, and q=0 for "not this one".
static bool accepts(str list, str coding)
{
    while (list.n != 0) {
        str weight = str_trim(str_cut(&list, ','));
        str name = str_trim(str_cut(&weight, ';'));
        weight = str_trim(weight);
        if (str_caseeq(name, coding))
            return !str_eq(weight, STR("q=0")) && !str_starts(weight, STR("q=0.000"));
    }
    return false;
}

static enum asset_encoding choose(struct request *r)
{
    str list = request_header(r, HEADER_ACCEPT_ENCODING);
    return accepts(list, STR("br"))     ? ASSET_BROTLI
           : accepts(list, STR("gzip")) ? ASSET_GZIP
                                        : ASSET_IDENTITY;
}

static bool is_fresh(struct request *r, str etag)
{
    struct conditions c = {.if_none_match = request_header(r, HEADER_IF_NONE_MATCH)};
    struct validators v = {.etag = etag};
    return c.if_none_match.p != NULL &&
           conditional_evaluate(&c, &v, clock_real_ms() / 1000) == VERDICT_NOT_MODIFIED;
}

static void answer(struct request *r, const struct embed_asset *a, const char *cache_control)
{
    enum asset_encoding e = choose(r);
    char etag[TAG_ROOM];
    int n = snprintf(etag, sizeof etag, "\"%s-%s\"", a->tag, encoding_names[e]);
    r->encoding = encoding_names[e];
    reply_add(r, "etag", str_of(etag, (size_t)n));
    reply_add(r, "cache-control", str_from(cache_control));
    reply_add(r, "vary", STR("Accept-Encoding"));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    if (is_fresh(r, str_of(etag, (size_t)n))) {
        reply_bytes(r, 304, NULL, (str){0}, NULL);
        return;
    }
    reply_add(r, "content-type", str_from(a->type));
    if (e != ASSET_IDENTITY)
        reply_add(r, "content-encoding", str_from(encoding_names[e]));
    reply_bytes(r, 200, NULL, a->bytes[e], NULL);
}

void embed_asset_reply(struct request *r, const struct embed_asset *asset,
                       const char *cache_control)
{
    if (r->method == METHOD_OPTIONS)
        reply_options(r, "GET, HEAD, OPTIONS");
    else if (r->method != METHOD_GET && r->method != METHOD_HEAD)
        reply_method_not_allowed(r, "GET, HEAD, OPTIONS");
    else
        answer(r, asset, cache_control);
}
