// A folder as a tar archive, the same bytes for the same files: sorted by path, no owner, no times,
// one mode. Nothing but regular files goes in; links and the like are problems, told all at once.
#ifndef STOA_CLI_PACK_H
#define STOA_CLI_PACK_H
#include "edge/base/fail.h"
#include "edge/base/problem.h"

struct pack_file {
    char *path; // relative to the folder
    uint64_t bytes;
};

struct pack {
    struct pack_file *files; // in the archive's order
    size_t count;
    uint64_t file_bytes; // of all files
    char **left_out;     // names that pack_ignores kept out, relative; a folder ends in "/"
    size_t left_out_count;
    int fd;         // an unlinked temporary file with the archive, or -1
    uint64_t bytes; // of the archive
};

// Names that never go online: a dot in front (but for ".well-known"), node_modules, __MACOSX,
// Thumbs.db, editors' backups ("…~").
bool pack_ignores(const char *name);
// Lists the folder. FAIL_REFUSED with `problems` filled (their section is the path), or
// FAIL_INTERNAL (`local_io`). `ret` is to be finished in every case.
MUST_CHECK enum fail pack_list(const char *folder, struct pack *ret, struct problems *problems,
                               struct fault *fault);
// Whether the list has that path.
bool pack_has(const struct pack *pack, const char *path);
// Makes the archive of what was listed. FAIL_CONFLICT (`changed_meanwhile`) when a file is not what
// it was then; FAIL_INTERNAL (`local_io`).
MUST_CHECK enum fail pack_write(const char *folder, struct pack *pack, struct fault *fault);
void pack_fini(struct pack *pack);
#endif
