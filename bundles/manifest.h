// What a .pie file's front matter may say: name, displayName, version, tier, tags and the keys of
// the manifest. Known keys are checked, unknown ones are left where they are and reported as
// warnings. Pure; any thread.
#ifndef STOA_BUNDLES_MANIFEST_H
#define STOA_BUNDLES_MANIFEST_H
#include "edge/base/fail.h"
#include "edge/base/yaml.h"

enum {
    MANIFEST_NAME_MAX = 54, // so that "{name}-{8 hex}" is a DNS label
    MANIFEST_DISPLAY_NAME_MAX = 100,
    MANIFEST_DESCRIPTION_MAX = 4000, // characters
    MANIFEST_VERSION_MAX = 128,
    MANIFEST_TIMEOUT_MS_MIN = 30000,
    MANIFEST_TIMEOUT_MS_MAX = 600000,
    MANIFEST_TIMEOUT_MS_DEFAULT = 120000,
};

// 1–54 characters of a–z, 0–9 and '-', beginning and ending with a letter or digit.
bool manifest_is_name(str s);
// Semantic Versioning 2.0.0, strictly.
bool manifest_is_version(str s);

// Adds what is wrong with `front` (the front matter, an object or anything else) and what is
// unknown in it. `section` is "front-matter"; `line` is where it starts.
void manifest_check(const json_t *front, const struct yaml_marks *marks, unsigned line,
                    struct problems *problems, struct problems *warnings);
#endif
