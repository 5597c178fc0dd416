// Connections as their files share them: what a project's user gave a plugin to work with, values of
// its manifest's userSecrets and userFields. They go in by POST and come out in a run alone. Found
// again by externalId, the name the host knows them by. Pool threads.
#ifndef STOA_EMBED_CONNECTIONS_H
#define STOA_EMBED_CONNECTIONS_H
#include "edge/auth/auth.h"
#include "edge/base/seal.h"
#include "edge/catalog/hooks.h"
#include "edge/catalog/page.h"

enum {
    CONNECTIONS_MAX = 1000,           // of one project
    CONNECTION_NAME_MAX = 256,        // characters
    CONNECTION_SECRET_MAX = 64 << 10, // bytes
    CONNECTION_FIELDS_MAX = 64 << 10, // bytes of all fields together
};

// --- connections.c: endpoints ---

enum fail connections_api_list(struct call *call, struct answer *a, struct fault *fault);
enum fail connections_api_get(struct call *call, struct answer *a, struct fault *fault);
enum fail connections_api_put(struct call *call, struct answer *a, struct fault *fault);
enum fail connections_api_delete(struct call *call, struct answer *a, struct fault *fault);

// --- connection_values.c: sealing and opening ---

// The name of a value's kind in the database, and in the place it is sealed to.
const char *connection_kind(enum connected what);
// Seals and adds it. In a transaction.
enum fail connection_value_put(struct db *db, const char *connection_id, const char *project_id,
                               enum connected what, const char *name, const json_t *value,
                               struct fault *fault) MUST_CHECK;
// catalog_find_connected's answer.
enum fail connection_values_find(struct db *db, const struct instance *i, str name,
                                 enum connected what, json_t **ret, struct fault *fault) MUST_CHECK;
// Seals again what was sealed under an older master key; logs what it did.
enum fail connections_reseal(struct db *db, struct fault *fault) MUST_CHECK;

// --- queries_connections.c ---

// Its columns, in all statements that give connections.
enum {
    CONNECTION_ID,
    CONNECTION_EXTERNAL_ID,
    CONNECTION_DISPLAY_NAME,
    CONNECTION_PIECE_NAME,
    CONNECTION_PLUGIN_ID,
    CONNECTION_CREATED_AT,
    CONNECTION_UPDATED_AT,
    CONNECTION_SECRETS, // JSON arrays of the names that have a value
    CONNECTION_FIELDS,
};
// `piece_name` absent: of all plugins; else as it was connected by, or the plugin's slug.
enum fail connection_query_page(struct db *db, const char *project_id, str piece_name,
                                const struct page *page, struct db_rows **ret,
                                struct fault *fault) MUST_CHECK;
// By id or externalId; no row: there is none.
enum fail connection_query_find(struct db *db, const char *project_id, str ref,
                                struct db_rows **ret, struct fault *fault) MUST_CHECK;
struct connection_wish {
    const char *id, *project_id, *plugin_id, *created_by;
    str external_id, piece_name;
    str display_name; // absent: `display_default` for a new one, else as it was
    str display_default;
};
// Inserts, or updates the one of that name, whose values then are to be put again; its row is locked.
// FAIL_CONFLICT "connection_name_taken" when that is another plugin's, "too_many_connections".
enum fail connection_query_put(struct db *db, const struct connection_wish *w,
                               char ret_id[static CATALOG_ID_ROOM], bool *ret_is_new,
                               struct fault *fault) MUST_CHECK;
enum fail connection_query_put_value(struct db *db, const char *connection_id, const char *kind,
                                     const char *name, str sealed, struct fault *fault) MUST_CHECK;
enum fail connection_query_delete(struct db *db, const char *project_id, const char *id,
                                  struct fault *fault) MUST_CHECK;
// Connection, name, sealed value of each value of the one chosen; one row with a NULL name when it has
// none, no row when there is no connection.
enum fail connection_query_values(struct db *db, const struct instance *i, str name,
                                  const char *kind, struct db_rows **ret,
                                  struct fault *fault) MUST_CHECK;
// Connection, kind, name, sealed value, project of up to `limit` values that were not sealed under
// the key with this id, always in one order.
enum fail connection_query_old(struct db *db, str key_id, unsigned limit, struct db_rows **ret,
                               struct fault *fault) MUST_CHECK;
// Replaces `before` only: what was set meanwhile stays.
enum fail connection_query_reseal(struct db *db, str connection_id, str kind, str name, str before,
                                  str after, struct fault *fault) MUST_CHECK;
enum fail connection_query_count(struct db *db, const char *plugin_id, int64_t *ret,
                                 struct fault *fault) MUST_CHECK;
// Tells all nodes that what they hold of the plugin is old.
enum fail connection_query_notify(struct db *db, const char *plugin_id,
                                  struct fault *fault) MUST_CHECK;
#endif
