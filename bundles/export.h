// Exports: a deployment's public files as a tar stream (pax, deterministic), and the .pie it came
// from. A project has a few of them under way at a time: FAIL_BUSY "busy" beyond that. Pool threads.
#ifndef STOA_BUNDLES_EXPORT_H
#define STOA_BUNDLES_EXPORT_H
#include "bundles/deployments.h"
#include "edge/http/endpoint.h"

// Takes `files` (and gives it back with deployment_row_fini at the end) unless it fails.
// `public_config` (may be NULL) becomes public-config.yaml at the root, so that an export deployed
// again serves the same. Times are `mtime` (seconds).
enum fail export_archive(const char *project_id, struct deployment_row *files,
                         const json_t *public_config, int64_t mtime, struct stream **ret,
                         struct fault *fault) MUST_CHECK;
// The blob's bytes. *ret_size is set.
enum fail export_blob(const char *project_id, const struct digest *d, struct stream **ret,
                      int64_t *ret_size, struct fault *fault) MUST_CHECK;
#endif
