// What a manifest declares of secrets and fields, and values held against it. The manifest was
// checked when it was deployed; a member that is of another type all the same declares nothing.
// Pure; any thread.
#ifndef STOA_CATALOG_DECLARED_H
#define STOA_CATALOG_DECLARED_H
#include <jansson.h>
#include "edge/base/str.h"

enum { DECLARED_TEXT_MAX = 10000, DECLARED_TAGS_MAX = 100, DECLARED_TAG_MAX = 200 }; // bytes

// The member of the front matter's manifest ("developerSecrets", "userSecrets", "userFields"), or
// NULL. Borrowed.
const json_t *declared_of(const json_t *front, const char *kind);
// Its declaration of `name`, or NULL. `name` may be any bytes.
const json_t *declared_one(const json_t *declared, str name);
// The members' names in alphabetical order: the database keeps no other. Borrowed names; the list
// ends with NULL and is free()d.
const char **declared_sorted(const json_t *object);
// "A, B and C", cut with "…" to fit; "none" when there are none. Returns `to`.
const char *declared_names(const json_t *declared, char *to, size_t room);

// {"field":value,…} of `set` over `connected` (both borrowed, may be NULL) over the defaults, for
// the fields declared; what no longer fits its field counts as unset. A new reference.
json_t *declared_effective(const json_t *fields, const json_t *set, const json_t *connected);
// Adds a sentence to `wrong` for each value that is of no field, or does not fit its field.
void declared_check(const json_t *fields, const json_t *set, json_t *wrong);
// Whether it is required and neither set nor given by a default.
bool declared_is_missing(const char *name, const json_t *field, const json_t *effective);
#endif
