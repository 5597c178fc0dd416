// What both halves of this folder share: the settings, and the ways to a cluster that is not ours.
#ifndef STOA_MANAGED_DB_INTERNAL_H
#define STOA_MANAGED_DB_INTERNAL_H
#include "public-actions/managed_db/managed_db.h"

// What managed_db_init was given; the strings are its own copies. Set once, before threads start.
const struct managed_db_options *managed_db_options(void); // managed_db.c

// --- pool threads, for the loop's half ---

// A connection to the cluster's own database that may signal backends of plugins' roles, see when
// they began, and measure databases; never names an object in a plugin's schema (security-rules.md
// 7). Opened for one job, closed by db_close. FAIL_BUSY "managed_db_unavailable".
enum fail managed_db_control_open(struct db **ret, struct fault *fault) MUST_CHECK; // cluster.c
// Puts back what a role may have changed about itself (settings at login, password), once a login
// with the stored password was refused. Then managed_db_access gives what works.
enum fail managed_db_role_restore(struct db *db, const char *project_id, const char *plugin_id,
                                  struct fault *fault) MUST_CHECK; // role.c
#endif
