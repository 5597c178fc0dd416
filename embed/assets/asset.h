// The scripts and styles that browsers are given, carried in the program: made by esbuild and
// compressed when it is built (embed/assets/pack.c). Immutable; any thread.
#ifndef STOA_EMBED_ASSETS_ASSET_H
#define STOA_EMBED_ASSETS_ASSET_H
#include "edge/http/reply.h"

enum asset_encoding { ASSET_IDENTITY, ASSET_GZIP, ASSET_BROTLI, ASSET_ENCODINGS };

struct embed_asset {
    const char *name;      // "stoa-embed.js"
    const char *type;      // "text/javascript; charset=utf-8"
    const char *integrity; // "sha384-…" of the bytes as they are run
    const char *tag;       // 16 hex digits of the same: a URL that holds it never changes
    str bytes[ASSET_ENCODINGS];
};
// Ends with a NULL name.
extern const struct embed_asset embed_assets[];

// The asset of that name; it is there, or the build is broken (asserted).
const struct embed_asset *embed_asset_find(const char *name);

// Answers GET, HEAD and OPTIONS with it, compressed as the client likes, 304 when it has it already;
// any other method is 405. `cache_control` is a literal; further headers are reply_add()ed before.
// Loop thread; the last thing done with the request.
void embed_asset_reply(struct request *r, const struct embed_asset *asset,
                       const char *cache_control);
#endif
