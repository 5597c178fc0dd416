// public-config: which file is the entry, and which routes fall back to it. An immutable value made
// from YAML or JSON text (a .pie section, an archive's public-config.yaml) or from what config_json
// wrote. No lock is needed to read it; destroyed by whoever made it.
#ifndef STOA_BUNDLES_CONFIG_H
#define STOA_BUNDLES_CONFIG_H
#include "edge/base/fail.h"
#include "edge/base/problem.h"

enum { CONFIG_TEXT_MAX = 64 * 1024, CONFIG_ROUTES_MAX = 100 };

struct config_route {
    char *path; // normalised: "/" or "/admin/users", no slash at the end, NUL-terminated
    bool spa;
};

struct config {
    char *entry; // a file's path, NUL-terminated
    size_t route_count;
    struct config_route *routes; // longest path first
};

// The public files a config is checked against.
struct config_files {
    const str *paths;
    size_t n;
};

// Reads `text` (p == NULL: there is none, so the entry is index.html if that is among the files),
// whose first line is line `first_line` of `section`. NULL with at least one problem added when it
// does not stand; warnings are added in both cases. An `entry` left out is index.html if there is
// one.
struct config *config_load(str text, unsigned first_line, const char *section,
                           const struct config_files *files, struct problems *problems,
                           struct problems *warnings);
// {"entry","routes":[{"path","spa"}]}, a new reference.
json_t *config_json(const struct config *config);
// What config_json wrote; NULL when it is not that.
struct config *config_from_json(const json_t *value);
void config_destroy(struct config *config);

// Whether the entry answers for a path (decoded, starting with '/') that no file matched: the
// longest route that is a prefix on segment borders decides (contract §2, "SPA").
bool config_is_spa(const struct config *config, str path);
#endif
