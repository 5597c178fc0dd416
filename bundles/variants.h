// Precompressed variants, made once at deploy time: what a visitor's Accept-Encoding is answered
// from. Pool threads (LANE_INGEST).
#ifndef STOA_BUNDLES_VARIANTS_H
#define STOA_BUNDLES_VARIANTS_H
#include "bundles/declaration.h"

// Puts the file's bytes and those of each variant worth having (at least 5 % smaller) into the blob
// store, and fills file->row. Not yet durable: blob_sync.
enum fail variants_make(struct declared_file *file, struct fault *fault) MUST_CHECK;
#endif
