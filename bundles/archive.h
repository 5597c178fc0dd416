// An uploaded archive (zip, tar, tar.gz, tar.xz, tar.zst, told by content) as a list of public
// files. The unpacking is done by edge/inspect in a cage; the rules of contract §3 are applied
// here, to what came out. Blocking; pool threads.
#ifndef STOA_BUNDLES_ARCHIVE_H
#define STOA_BUNDLES_ARCHIVE_H
#include "edge/base/fail.h"
#include "edge/base/problem.h"

struct bundle_archive_limits {
    size_t files;
    size_t file_bytes;  // of one file, unpacked
    size_t total_bytes; // of all of them
};
// Contract §3: 5,000 files of 25 MiB, 100 MiB in all.
extern const struct bundle_archive_limits bundle_archive_limits_default;

struct bundle_archive_file {
    str path;    // passed path_refusal; unlike any other in the list, after case folding too
    str content; // p is never NULL
};

// Owned whole: bundle_archive_fini frees paths and contents.
struct bundle_archive {
    struct bundle_archive_file *files; // in the archive's order, without public-config.yaml
    size_t count;
    size_t bytes;       // of all files
    str public_config;  // the root's public-config.yaml; p == NULL when there is none
    char stripped[256]; // the top-level folder that was taken off, NUL-terminated; "" = none
};

// FAIL_NONE with `*ret` filled, or FAIL_REFUSED (invalid_bundle) with at least one problem in
// `problems`, all that could be told at once; FAIL_TOO_LARGE or FAIL_BUSY with `*fault` alone.
// `*ret` is untouched unless FAIL_NONE. Warnings (what was left out, the folder taken off) are
// added in all cases. `limits` NULL means the defaults. inspect_init was called before.
enum fail bundle_archive_read(str bytes, const struct bundle_archive_limits *limits,
                              struct bundle_archive *ret, struct problems *problems,
                              struct problems *warnings, struct fault *fault)
    __attribute__((warn_unused_result));
void bundle_archive_fini(struct bundle_archive *archive);
#endif
