// What the .c files of this folder share: a deployment as rows say it, and the queries (queries.c) behind typed functions.
#ifndef STOA_BUNDLES_INTERNAL_H
#define STOA_BUNDLES_INTERNAL_H
#include "bundles/bundle.h"
#include "bundles/config.h"
#include "edge/base/digest.h"
#include "edge/catalog/catalog.h"

enum { DEPLOYMENT_ID_ROOM = 27 };
enum encoding { ENCODING_IDENTITY, ENCODING_BR, ENCODING_ZSTD, ENCODING_GZIP, ENCODINGS };

// One public file of one deployment. size[e] is 0 for an encoding it does not have (an empty file has identity only).
struct bundle_file {
    str path;                        // within the bundle, no leading slash
    struct digest sha256[ENCODINGS]; // blobs
    uint64_t size[ENCODINGS];
    bool has[ENCODINGS];
    str content_type;
    bool is_immutable;
};

// What a loop serves from, read whole in one transaction: never a mix of two deployments. Strings live in the deployment's own arena.
struct deployment_row {
    char id[DEPLOYMENT_ID_ROOM], plugin_id[CATALOG_ID_ROOM], instance_id[CATALOG_ID_ROOM];
    char plugin_slug[CATALOG_SLUG_ROOM], instance_slug[CATALOG_SLUG_ROOM];
    // Seconds since 1970: since when the instance's address shows it; of a preview, which shows
    // nothing else ever, when it was deployed.
    int64_t shown_since;
    json_t *config; // public-config as stored, or NULL
    struct bundle_file *files;
    size_t file_count;
    char *_arena;
};
void deployment_row_fini(struct deployment_row *row);

// For serving. FAIL_NOT_FOUND: no such instance, or it has no public app. FAIL_BUSY: the database is away.
// `deployment_id` empty: the one the instance points at; otherwise that very one, when it is the instance's plugin's.
enum fail bundle_load(struct db *db, str instance_slug, str deployment_id,
                      struct deployment_row *ret, struct fault *fault) MUST_CHECK;
// The first instance of a preview's plugin (a preview host names the deployment only).
enum fail bundle_load_preview(struct db *db, str deployment_id, struct deployment_row *ret,
                              struct fault *fault) MUST_CHECK;
// What an instance points at now.
struct deployment_pointer {
    char id[DEPLOYMENT_ID_ROOM]; // "": it is gone
    int64_t shown_since;         // seconds
};
// What these instances point at, in the same order. For the check after a lost listener.
enum fail bundle_current(struct db *db, const char (*instance_ids)[CATALOG_ID_ROOM], size_t count,
                         struct deployment_pointer *ret, struct fault *fault) MUST_CHECK;
#endif
