// The blocking half of managed_db, played: databases, roles and schemas are made in the test's own
// cluster by a superuser, without any state of ours.
#ifndef STOA_TESTS_MANAGED_DB_PLAYED_H
#define STOA_TESTS_MANAGED_DB_PLAYED_H
#include <libpq-fe.h>
#include "public-actions/managed_db/internal.h"
#include "tests/unit/managed_db/asked.h"

extern struct managed_db_options played_options;
extern _Atomic unsigned played_accesses, played_restores;
extern _Atomic bool played_is_refusing; // access cannot be had

// Starts the cluster, `count` loops and the pool. Plugin "p" of project "a" has role "role_a_p" in
// database "project_a", schema "s_p".
void played_start(unsigned count);
void played_stop(void);
const char *played_superuser_url(void);
// One statement as the superuser in that database (NULL: postgres); its first value, or "".
const char *played_sql(const char *database, const char *sql);

#endif
