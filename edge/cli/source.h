// What `stoa deploy` was given: a .pie file, an archive, or a folder; and the names that follow
// from it.
#ifndef STOA_CLI_SOURCE_H
#define STOA_CLI_SOURCE_H
#include "edge/cli/pack.h"

enum source_kind { SOURCE_PIE, SOURCE_ARCHIVE, SOURCE_FOLDER };

enum { SOURCE_SLUG_MAX = 54 }; // contract §3: an instance's slug is a DNS label
struct source {
    enum source_kind kind;
    char *path;     // of the .pie or archive (a folder's only .pie, when that is what it holds), or
                    // of the folder
    int fd;         // of what is sent
    uint64_t bytes; // of it
    struct pack pack;               // of a folder
    char *display_name;             // for an app that is to be made
    char slug[SOURCE_SLUG_MAX + 1]; // from the folder's name; "" when that gives none, or a file
};

// Opens `path`, tells what it is by its content, packs a folder. FAIL_INTERNAL (`local_io`),
// FAIL_REFUSED (`invalid_bundle` with `problems`, or `not_deployable`), FAIL_CONFLICT
// (`changed_meanwhile`). `ret` is to be finished in every case.
MUST_CHECK enum fail source_open(const char *path, struct source *ret, struct problems *problems,
                                 struct fault *fault);
void source_fini(struct source *source);
// What a slug may be (contract §3).
bool source_is_slug(const char *text);
// The slug nearest to a name, "" when none is near: lower case, everything else a dash.
void source_slug_of(const char *name, char to[static SOURCE_SLUG_MAX + 1]);
// A name for people: "my-site" → "My site". free() it.
char *source_display_name(const char *name);
// The smallest .pie of that name: no handler, no files. free() it.
char *source_minimal_pie(const char *slug, const char *display_name);
#endif
