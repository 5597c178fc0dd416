// From a path as a stranger sent it to what answers (contract §2, "Resolution" and "Paths"). Pure;
// any thread; memory comes from the caller.
#ifndef STOA_BUNDLES_RESOLVE_H
#define STOA_BUNDLES_RESOLVE_H
#include "bundles/site.h"

enum resolution_kind {
    RESOLVED_FILE,      // 200: `file`
    RESOLVED_ENTRY,     // 200: the entry stands in for a client-side route
    RESOLVED_MISSING,   // 404: `file` is the nearest 404.html, or SITE_NO_FILE
    RESOLVED_REDIRECT,  // 308: to `path`, the same thing by its one name
    RESOLVED_ELSEWHERE, // 302: to `path`, the file that a client-side route's page meant
    RESOLVED_MALFORMED, // 400: `why`
};

struct resolution {
    enum resolution_kind kind;
    uint32_t file;
    str path;             // redirects: percent-encoded, below the site's root, '/' first
    const char *why;      // a sentence
    bool depends_on_dest; // Vary: Sec-Fetch-Dest
    bool is_exact;        // the path names this very file
    bool is_reserved;     // a challenge path: nothing of a bundle answers here
};

// `raw` is the path below the site's root, percent-encoded, without query; it begins with '/'.
// `sec_fetch_dest` is that header (p == NULL: none). `room` takes resolve_room(raw) bytes and must
// live as long as the result.
size_t resolve_room(const struct site *site, str raw);
struct resolution resolve(const struct site *site, str raw, str sec_fetch_dest, char *room);

// The short way for the root and for files whose path has nothing to decode: the file, or
// SITE_NO_FILE when only resolve can tell.
uint32_t resolve_plain(const struct site *site, str raw);

// The one decoding of a path and what it refuses: NULL, or why it is malformed. Writes at most
// raw.n bytes; *ret_canonical is false when `to` still has empty, "." or ".." segments.
const char *resolve_decode(str raw, char *to, size_t *ret_n, bool *ret_canonical);
// Without empty, "." and ".." segments, in place; false when ".." leads out of the root.
bool resolve_canonicalise(char *path, size_t *n);
// Percent-encodes what a path may not hold; at most 3 * path.n bytes. Returns how many.
size_t resolve_encode(str path, char *to);
// The same for bytes that are percent-encoded already (a query, a raw path): '%' stays.
size_t resolve_encode_again(str raw, char *to);
#endif
