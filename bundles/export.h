// Exports: a deployment's public files as a tar stream (pax, deterministic), and the .pie it came
// from. Pool threads.
#ifndef STOA_BUNDLES_EXPORT_H
#define STOA_BUNDLES_EXPORT_H
#include "bundles/deployments.h"
#include "edge/http/endpoint.h"

// Takes `files` (and gives it back with deployment_row_fini at the end). `public_config` (may be
// NULL) becomes public-config.yaml at the root, so that an export deployed again serves the same.
// Times are `mtime` (seconds).
struct stream *export_archive(struct deployment_row *files, const json_t *public_config,
                              int64_t mtime);
// The blob's bytes. *ret_size is set.
enum fail export_blob(const struct digest *d, struct stream **ret, int64_t *ret_size,
                      struct fault *fault) MUST_CHECK;
#endif
