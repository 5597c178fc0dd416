// What is said to a plugin's schema, always as the plugin's own role: tables of the manifest, and
// the owner's looks at them. Pool threads.
#ifndef STOA_MANAGED_DB_TABLES_H
#define STOA_MANAGED_DB_TABLES_H
#include "public-actions/managed_db/provision.h"

// --- session.c ---

// Logged in as the role; one that changed its password or settings is first put back. FAIL_BUSY
// "managed_db_unavailable".
enum fail managed_db_session_open(struct db *db, const struct managed_db_access *access,
                                  struct managed_db_link *ret, struct fault *fault) MUST_CHECK;

// --- queries_tables.c; what PostgreSQL refuses is FAIL_REFUSED, the link tells the rest ---

enum fail managed_db_tables_prepare(struct managed_db_link *link, const char *user_id,
                                    const char *plugin_id, struct fault *fault) MUST_CHECK;

struct managed_db_table_seen {
    bool exists, is_table, has_rls, has_policy; // is_table: no view or other thing
    char oid[16];
};
struct managed_db_column_seen {
    bool exists;
    Oid type;
    int modifier;
    char shown[128];
};
enum fail managed_db_tables_look(struct managed_db_link *link, const char *table,
                                 struct managed_db_table_seen *ret, struct fault *fault) MUST_CHECK;
enum fail managed_db_tables_column(struct managed_db_link *link, const char *oid,
                                   const char *column, struct managed_db_column_seen *ret,
                                   struct fault *fault) MUST_CHECK;
enum fail managed_db_tables_type(struct managed_db_link *link, str type, Oid *ret_type,
                                 int *ret_modifier, struct fault *fault) MUST_CHECK;
// *ret_culprit: the column whose definition PostgreSQL stumbled over, or NULL; lives in `columns`.
enum fail managed_db_tables_create(struct managed_db_link *link, const char *schema,
                                   const char *table, json_t *columns, const char **ret_culprit,
                                   struct fault *fault) MUST_CHECK;
enum fail managed_db_tables_add(struct managed_db_link *link, const char *schema, const char *table,
                                const char *column, const char *definition,
                                struct fault *fault) MUST_CHECK;
// Row-level security, forced, with a policy that the column is the user's.
enum fail managed_db_tables_isolate(struct managed_db_link *link, const char *schema,
                                    const char *table, const char *column, bool is_text,
                                    struct fault *fault) MUST_CHECK;
enum fail managed_db_tables_begin(struct managed_db_link *link, struct fault *fault) MUST_CHECK;
enum fail managed_db_tables_end(struct managed_db_link *link, bool is_good,
                                struct fault *fault) MUST_CHECK;
enum fail managed_db_tables_stats(struct managed_db_link *link, PGresult **ret,
                                  struct fault *fault) MUST_CHECK; // name, bytes
enum fail managed_db_tables_drop_all(struct managed_db_link *link, struct fault *fault) MUST_CHECK;
#endif
