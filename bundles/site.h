// A site: one deployment as visitors are served from it. Made whole from the rows of one
// transaction, never changed again, counted, and shared by all loops; `struct site` and everything
// in it is one allocation. Paths are found by a keyed hash. Ten files come to about two kilobytes.
#ifndef STOA_BUNDLES_SITE_H
#define STOA_BUNDLES_SITE_H
#include "bundles/internal.h"
#include "bundles/negotiate.h"
#include "edge/base/clock.h"
#include "edge/loop/shared.h"

enum { SITE_NO_FILE = UINT32_MAX, SITE_KEY_ROOM = 2 * CATALOG_SLUG_ROOM + DEPLOYMENT_ID_ROOM };

// One encoding of one file.
struct site_variant {
    struct digest blob;
    uint64_t size;
};

struct site_file {
    str path; // no leading slash
    str content_type;
    uint32_t first_variant; // identity's; the others follow in the order of enum encoding
    uint8_t encodings;      // a set of 1 << enum encoding; identity is always in it
    bool is_immutable;
    bool is_html;
};

struct site {
    struct shared shared;
    _Atomic uint32_t last_used; // seconds of the monotonic clock; what eviction goes by
    str key;                    // what it was asked for by (cache.h)
    char plugin_id[CATALOG_ID_ROOM], instance_id[CATALOG_ID_ROOM];
    char deployment_id[DEPLOYMENT_ID_ROOM];
    str instance_slug;
    bool is_preview;
    int64_t last_modified; // seconds since 1970
    char last_modified_text[CLOCK_HTTP_ROOM];
    size_t bytes; // that this value takes
    uint32_t entry;
    struct config config; // its strings are in here, too
    uint32_t depth;       // of the deepest file: how many folders it stands in
    uint32_t file_count, variant_count;
    const struct site_file *files;
    const struct site_variant *variants;
    uint32_t _index_mask;
    const uint32_t *_index; // file number + 1; 0: free
};

// From what the database said; copies all of it. FAIL_NOT_FOUND: there is no public app in it;
// FAIL_INTERNAL: the rows contradict each other.
enum fail site_create(str key, bool is_preview, const struct deployment_row *row, struct site **ret,
                      struct fault *fault) MUST_CHECK;

// The file of that very name, or SITE_NO_FILE.
uint32_t site_find(const struct site *site, str path);
// The number of a file's variant, and the other way round. The encoding must be among the file's.
uint32_t site_variant_of(const struct site_file *file, enum encoding e);
enum encoding site_encoding_of(const struct site *site, uint32_t variant, uint32_t *ret_file);
#endif
