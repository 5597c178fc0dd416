// Bringing the schema up: each feature's schema/*.sql, compiled in, in the order catalog, auth, bundles, …, under an advisory lock, each
// in a transaction of its own. A schema newer than this binary knows is refused with a sentence.
#ifndef STOA_STORE_MIGRATE_H
#define STOA_STORE_MIGRATE_H
#include "edge/store/db.h"

struct migration {
    const char *feature; // "catalog", "bundles", …
    unsigned number;     // from 1, without gaps within a feature
    const char *sql;
};

// Start-up only. FAIL_REFUSED "schema_too_new" when the database holds a migration this list does not.
enum fail migrate(struct db *db, const struct migration *list, size_t count, struct fault *fault) MUST_CHECK;
#endif
