// /sdk/embed/…: the script that host pages load. A version's bytes never change, so that a page may
// pin it by its hash; `latest` moves.
//
//   /sdk/embed/latest.json               version, URL and hash of the present one, and a tag to paste
//   /sdk/embed/{version}/stoa-embed.js   the same for ever; .mjs: the npm package's module
//   /sdk/embed/latest/stoa-embed.js      the present one, asked for again every five minutes
#include "embed/assets/asset.h"
#include "embed/embed.h"
#include "edge/base/jsonx.h"

#define PREFIX "/sdk/embed/"
#define SCRIPT "stoa-embed.js"
#define MODULE "stoa-embed.mjs"

static const char forever[] = "public, max-age=31536000, immutable";
static const char a_while[] = "public, max-age=300";
static const char *console_origin = "";

void embed_sdk_init(const char *origin)
{
    console_origin = origin;
}

// Any page may load it and read it: it is the same for all.
static void open_to_all(struct request *r)
{
    reply_add(r, "access-control-allow-origin", STR("*"));
    reply_add(r, "cross-origin-resource-policy", STR("cross-origin"));
}

static char *url_of(struct request *r, const char *origin, const char *file)
{
    struct buf url;
    buf_init(&url, 1024);
    buf_add(&url, str_from(origin));
    if (r->platform_slug.n != 0)
        buf_addf(&url, "/p/%.*s", STR_FMT(r->platform_slug));
    buf_addf(&url, PREFIX "%s/%s", EMBED_SDK_VERSION, file);
    return buf_take(&url);
}

static void tell_latest(struct request *r)
{
    const char *integrity = embed_asset_find(SCRIPT)->integrity;
    AUTOFREE char *url = url_of(r, "", SCRIPT), *module = url_of(r, "", MODULE);
    AUTOFREE char *whole = url_of(r, console_origin, SCRIPT);
    json_auto_t *told = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s}, s:o}", "version", EMBED_SDK_VERSION, "url", url, "integrity",
        integrity, "module", "url", module, "integrity", embed_asset_find(MODULE)->integrity,
        "script",
        json_sprintf("<script src=\"%s\" integrity=\"%s\" crossorigin=\"anonymous\"></script>",
                     whole, integrity));
    size_t n;
    AUTOFREE char *text = jsonx_dump(told, &n);
    char *copy = request_alloc(r, n);
    memcpy(copy, text, n);
    open_to_all(r);
    reply_add(r, "content-type", STR("application/json"));
    reply_add(r, "cache-control", str_from(a_while));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    reply_bytes(r, 200, NULL, str_of(copy, n), NULL);
}

static void refuse_unknown(struct request *r)
{
    open_to_all(r);
    reply_error(r, 404, "not_found",
                "There is no such version of the SDK here: /sdk/embed/latest.json tells the "
                "present one.",
                NULL, 0);
}

static void on_request(struct request *r)
{
    str file = str_skip(r->path, sizeof PREFIX - 1), version = str_cut(&file, '/');
    bool is_latest = str_eq(version, STR("latest"));
    const char *name = str_eq(file, STR(SCRIPT))   ? SCRIPT
                       : str_eq(file, STR(MODULE)) ? MODULE
                                                   : NULL;
    r->route = "embed sdk";
    if (str_eq(version, STR("latest.json")) && file.n == 0) {
        if (r->method == METHOD_GET || r->method == METHOD_HEAD)
            tell_latest(r);
        else if (r->method == METHOD_OPTIONS)
            reply_options(r, "GET, HEAD, OPTIONS");
        else
            reply_method_not_allowed(r, "GET, HEAD, OPTIONS");
    } else if (name != NULL && (is_latest || str_eq(version, STR(EMBED_SDK_VERSION)))) {
        open_to_all(r);
        embed_asset_reply(r, embed_asset_find(name), is_latest ? a_while : forever);
    } else {
        refuse_unknown(r);
    }
}

struct service *embed_sdk_service(void)
{
    static struct service service = {.name = "embed sdk",
                                     .sites = 1 << SITE_CONSOLE,
                                     .prefix = PREFIX,
                                     .on_request = on_request};
    return &service;
}
