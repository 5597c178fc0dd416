// Which names public files may have (contract §3, "Limits"). The same rules and the same words for
// a .pie file, an archive and the CLI. Pure functions; any thread.
#ifndef STOA_BUNDLES_PATHS_H
#define STOA_BUNDLES_PATHS_H
#include <stdbool.h>
#include "edge/base/str.h"

enum { PATH_MAX_BYTES = 1024, PATH_SEGMENT_MAX_BYTES = 255 };

// NULL when a public file may be named so, else why not: a fixed phrase that follows "The path …",
// as in "must not start with '/'".
const char *path_refusal(str path);

// Whether a path that path_refusal allows is the config's name in folders and archives, or lies in a
// folder of that name, whatever the case: beside a config no archive can hold it.
bool path_is_config(str path);

// The path as case-insensitive file systems compare it: Unicode canonical caseless form (Unicode
// 15, D145: full case folding and normalisation). malloc'ed, not NUL-terminated; `path` is valid
// UTF-8.
char *path_fold(str path, size_t *ret_n);

enum path_clash {
    PATH_SAME,      // the very same name twice
    PATH_SAME_CASE, // the same name after case folding
    PATH_FOLDER,    // one is a file, the other needs a folder of that name
};
// `first` and `second` are indices, first < second.
typedef void path_on_clash(void *ctx, enum path_clash clash, size_t first, size_t second);

// Calls `on_clash` for each path that cannot stand beside another one of the list, whose paths all
// passed path_refusal. O(n log n); the order of the calls is not that of the list. Returns how many
// there were.
size_t paths_clashes(const str *paths, size_t n, path_on_clash *on_clash, void *ctx);

// The sentence for it, in a buffer of the caller's: names are escaped and cut.
const char *path_clash_text(char *to, size_t room, enum path_clash clash, str first, str second);
#endif
