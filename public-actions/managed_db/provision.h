// What the blocking half of this folder shares: connections with deadlines to the plugins' cluster,
// the rows that say what is where, and what a privileged connection does. Pool threads.
#ifndef STOA_MANAGED_DB_PROVISION_H
#define STOA_MANAGED_DB_PROVISION_H
#include <libpq-fe.h>
#include "edge/base/seal.h"
#include "public-actions/managed_db/internal.h"

enum {
    MANAGED_DB_NAME_ROOM = 64,
    MANAGED_DB_PASSWORD_ROOM = 64,
    MANAGED_DB_VERIFIER_ROOM = 256,
    MANAGED_DB_COLUMNS_MAX = 500, // of a table in a manifest
};

// --- link.c: one connection, whose every wait ends ---

struct managed_db_link {
    PGconn *conn;
    char state[6];     // SQL state of the last failure, "" when there is none
    unsigned position; // in characters, from 1, where in the statement; 0: not told
    char message[256]; // what PostgreSQL said with it; a stranger's words may stand in it
};
// `dbname` replaces the URL's database; NULL: as it is. FAIL_BUSY "managed_db_unavailable";
// FAIL_DENIED "managed_db_login" when the password is not accepted.
enum fail managed_db_link_open(const char *url, const char *dbname, struct managed_db_link *ret,
                               struct fault *fault) MUST_CHECK;
void managed_db_link_close(struct managed_db_link *link); // takes a zeroed one
// One statement of the extended protocol, text parameters. `ret` may be NULL. FAIL_BUSY
// "managed_db_unavailable" when the connection is lost or 30 s are over; FAIL_REFUSED
// "managed_db_refused" when PostgreSQL refuses the statement (see state and message).
enum fail managed_db_link_run(struct managed_db_link *link, PGresult **ret, const char *sql,
                              const char *const *values, int count, struct fault *fault) MUST_CHECK;
// The identifier quoted, to be freed with PQfreemem; aborts when it is not UTF-8, which it was
// checked for.
char *managed_db_link_quote(struct managed_db_link *link, const char *name);

// --- queries.c: the rows in the state ---

struct managed_db_place {
    char project_id[CATALOG_ID_ROOM], plugin_id[CATALOG_ID_ROOM];
    char database[MANAGED_DB_NAME_ROOM], role[MANAGED_DB_NAME_ROOM];
    char password[MANAGED_DB_PASSWORD_ROOM];
    bool is_made, has_functions; // in the cluster; the second of the database
};
// FAIL_NOT_FOUND "database_not_found".
enum fail managed_db_query_place(struct db *db, const char *project_id, const char *plugin_id,
                                 struct managed_db_place *ret, struct fault *fault) MUST_CHECK;
// In a transaction; held until it ends: one at a time makes or drops what belongs to the project.
enum fail managed_db_query_lock(struct db *db, const char *project_id,
                                struct fault *fault) MUST_CHECK;
// Both rows, as far as they are not there; a kept one of a plugin with the same slug is taken over.
enum fail managed_db_query_reserve(struct db *db, const char *project_id, const char *plugin_id,
                                   struct fault *fault) MUST_CHECK;
enum fail managed_db_query_made(struct db *db, const struct managed_db_place *p, bool has_functions,
                                struct fault *fault) MUST_CHECK;
// Seals again what is sealed under an older key.
enum fail managed_db_query_reseal(struct db *db, struct fault *fault) MUST_CHECK;
enum fail managed_db_query_password(struct db *db, const struct managed_db_place *p,
                                    const char *password, struct fault *fault) MUST_CHECK;
// Every place of the plugin, in whatever project; malloc'ed.
enum fail managed_db_query_places(struct db *db, const char *plugin_id,
                                  struct managed_db_place **ret, size_t *ret_count,
                                  struct fault *fault) MUST_CHECK;
enum fail managed_db_query_keep(struct db *db, const struct plugin *p,
                                struct fault *fault) MUST_CHECK;
enum fail managed_db_query_drop_later(struct db *db, const char *plugin_id,
                                      struct fault *fault) MUST_CHECK;
// The oldest that waits to be dropped, locked; FAIL_NOT_FOUND when there is none. In a transaction.
enum fail managed_db_query_next_drop(struct db *db, struct managed_db_place *ret,
                                     struct fault *fault) MUST_CHECK;
enum fail managed_db_query_dropped(struct db *db, const char *role, struct fault *fault) MUST_CHECK;
// The owner user of the project: whom app.user_id names.
enum fail managed_db_query_owner(struct db *db, const char *project_id, char ret[static 37],
                                 struct fault *fault) MUST_CHECK;
// Whether any role is left in the project's database; when not, its row is gone with this call.
enum fail managed_db_query_leave(struct db *db, const char *project_id, bool *ret_is_empty,
                                 struct fault *fault) MUST_CHECK;
enum fail managed_db_query_system(struct db *db, char *ret, size_t room,
                                  struct fault *fault) MUST_CHECK;

// --- access.c ---

// As managed_db_access, without tables; *ret_made: it was not there before.
enum fail managed_db_access_bare(struct db *db, const char *project_id, const char *plugin_id,
                                 struct managed_db_access *ret, bool *ret_made,
                                 struct fault *fault) MUST_CHECK;

// --- role.c ---

// A new random password, and what PostgreSQL is told of it (RFC 5802: SCRAM-SHA-256 verifier), so
// that it never travels. `iterations` may be 1: 190 random bits need no stretching.
void managed_db_password_make(char to[static MANAGED_DB_PASSWORD_ROOM]);
void managed_db_verifier(const char *password, unsigned iterations,
                         char to[static MANAGED_DB_VERIFIER_ROOM]);

// --- queries_cluster.c: what a privileged connection does (security-rules.md 7) ---

// As the role that makes databases and roles, in the cluster's own database, or in `database`.
// FAIL_REFUSED "plugin_database_shared" when it is the cluster of the state and that is not
// accepted.
enum fail managed_db_provision_open(struct db *db, const char *database,
                                    struct managed_db_link *ret, struct fault *fault) MUST_CHECK;
// Each is done again without harm.
enum fail managed_db_cluster_role(struct managed_db_link *link, const struct managed_db_place *p,
                                  struct fault *fault) MUST_CHECK;
enum fail managed_db_cluster_database(struct managed_db_link *link,
                                      const struct managed_db_place *p,
                                      struct fault *fault) MUST_CHECK;
// In the database itself.
enum fail managed_db_cluster_schema(struct managed_db_link *link, const struct managed_db_place *p,
                                    struct fault *fault) MUST_CHECK;
// Verifier and settings at login as they should be; no connection limit when `is_last`.
enum fail managed_db_cluster_reset(struct managed_db_link *link, const struct managed_db_place *p,
                                   bool is_last, struct fault *fault) MUST_CHECK;
// In the database itself; it owns nothing there any more.
enum fail managed_db_cluster_drop_role(struct managed_db_link *link,
                                       const struct managed_db_place *p,
                                       struct fault *fault) MUST_CHECK;
enum fail managed_db_cluster_drop_database(struct managed_db_link *link, const char *database,
                                           struct fault *fault) MUST_CHECK;
// Ends all sessions of the role.
enum fail managed_db_cluster_end_sessions(const char *role, struct fault *fault) MUST_CHECK;
#endif
