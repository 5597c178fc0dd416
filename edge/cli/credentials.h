// What `stoa login` keeps: one token per origin, and which origin is the present one, in a file of
// mode 0600. A token is only ever looked up by the origin it was saved for (security-rules.md 22).
#ifndef STOA_CLI_CREDENTIALS_H
#define STOA_CLI_CREDENTIALS_H
#include <jansson.h>
#include "edge/client/origin.h"

// The file as JSON {"current": origin, "servers": {origin: {"token", "savedAt"}}}; an empty object
// when there is none. FAIL_DENIED (`credentials_exposed`) when it belongs to somebody else than
// this user or root, or others may read or write it. FAIL_BAD_INPUT (`bad_credentials`) when it is
// not what we write.
MUST_CHECK enum fail credentials_load(const char *path, json_t **ret, struct fault *fault);
MUST_CHECK enum fail credentials_save(const char *path, const json_t *all, struct fault *fault);
// The saved token of an origin, or NULL; lives as long as `all`.
const char *credentials_token(const json_t *all, const struct origin *origin);
// The origin logged in to last, or NULL.
const char *credentials_current(const json_t *all);
// Keeps a token for an origin and makes that the present one.
void credentials_put(json_t *all, const struct origin *origin, const char *token);
// Forgets it; false when there was none.
bool credentials_drop(json_t *all, const struct origin *origin);
#endif
