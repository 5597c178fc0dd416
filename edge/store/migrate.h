// Bringing the schema up: each feature's schema/*.sql, compiled in (stoa_schema in
// cmake/helpers.cmake), in the order catalog, auth, bundles, …, under an advisory lock, each in a
// transaction of its own. What has been applied is never changed: another file is added. Blocking;
// start-up only.
#ifndef STOA_STORE_MIGRATE_H
#define STOA_STORE_MIGRATE_H
#include "edge/store/db.h"

struct migration {
    const char *feature; // "catalog", "bundles", …
    unsigned number;     // from 1, without gaps within a feature
    const char *sql;
};

// `list` is everything this binary knows: the features' lists one behind the other. Run again, or
// by two nodes at once, it changes nothing. FAIL_REFUSED "schema_too_new" when the database holds a
// migration this list does not, "schema_changed" when one was applied with another text.
enum fail migrate(struct db *db, const struct migration *list, size_t count,
                  struct fault *fault) MUST_CHECK;
#endif
