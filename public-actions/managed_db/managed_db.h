// context.managedDb: a plugin's own SQL in its own schema, as its own role, in the cluster that
// holds plugins' data and nothing of ours (security-rules.md 6–9). Two halves. Provisioning, table
// sync, and the owner's endpoints block and run on pool threads. Queries of handlers never block:
// they run on the project's owner loop, each one statement of the extended protocol in a
// transaction of its own.
#ifndef STOA_MANAGED_DB_MANAGED_DB_H
#define STOA_MANAGED_DB_MANAGED_DB_H
#include "edge/base/problem.h"
#include "edge/catalog/catalog.h"
#include "edge/http/service.h"
#include "edge/loop/loop.h"
#include "edge/store/migrate.h"

struct managed_db_options {
    const char *url;           // of the plugins' cluster, the server's daily role there; "": none
    const char *provision_url; // as the role that may make roles and databases
    bool is_private;           // a cluster of our own: no TCP, credentials are not handed out
    bool is_shared_accepted;   // plugin_database_shared: accepted
    bool has_functions;        // managed_db_functions: on
    uint64_t connections;      // in all
    uint64_t connections_per_project;
    uint64_t connections_per_plugin;
    uint64_t project_bytes; // disk quota; over it every statement runs read-only
    uint64_t sync_ms;       // for a deploy's tables, after which no further step begins (30,000)
};
void managed_db_init(const struct managed_db_options *o);
void managed_db_on_loop_start(struct loop *loop);
// POST /api/plugins/:id/database …; also adds the hooks: the check and the sync of deploys, and what
// a deletion does with tables. Once.
struct service *managed_db_service(void);
extern const struct migration managed_db_migrations[];
extern const size_t managed_db_migration_count;

// --- pool threads ---

// Where a plugin's data is for one instance-owning project, and how to get in as the plugin's role.
struct managed_db_access {
    char project_id[CATALOG_ID_ROOM], plugin_id[CATALOG_ID_ROOM];
    char database[64], role[64], schema[64], password[64];
};
// Finds it, or makes database, role and schema on first need, with the tables of what is deployed; a
// name is never re-used. In no transaction. FAIL_BUSY
// "managed_db_unavailable" while the cluster is down or full.
enum fail managed_db_access(struct db *db, const char *project_id, const char *plugin_id,
                            struct managed_db_access *ret, struct fault *fault) MUST_CHECK;
// A libpq conninfo for it, malloc'ed; holds the password: never logged.
char *managed_db_conninfo(const struct managed_db_access *access);
// The tables of a manifest's `database` made, or columns added, by the plugin's own role; never
// dropped or altered. What differs, and what failed, is added to `warnings`: a deploy does not fail
// by it.
void managed_db_sync(struct db *db, const char *project_id, const char *plugin_id,
                     const json_t *front, struct problems *warnings);
// Adds what is wrong with a manifest's `database` (names, types, rls) before anything is stored.
// Pure.
void managed_db_check(const json_t *front, struct problems *problems);

struct catalog_hooks;
extern const struct catalog_hooks managed_db_hooks; // as managed_db_service adds them
// Drops what was decided to be dropped, and seals again what an older master key holds; for the
// scheduler, now and then.
void managed_db_collect(void);
// Whether the cluster is one plugins' data may lie in; once, at the start. FAIL_REFUSED
// "plugin_database_shared"; FAIL_BUSY while it cannot be asked: each later way in asks again.
enum fail managed_db_start_check(struct db *db, struct fault *fault) MUST_CHECK;

// --- owner loop: what handlers ask (query.c) ---

struct managed_db_query;
// `args` is an array known to be valid JSON, [sql, params?, {timeoutMs?,maxRows?}?]. on_done is called once, later,
// on this loop: `json` is {"rows","columns","rowCount","truncated","executionTimeMs"}, or, with
// is_error, {"message","code","position"?,…} for the handler's Error; borrowed. `until`: the run's
// deadline in loop_now's milliseconds.
struct managed_db_query *managed_db_query_start(const char *project_id, const char *plugin_id,
                                                const char *user_id, str args, uint64_t until,
                                                void (*on_done)(void *arg, bool is_error, str json),
                                                void *arg);
// on_done will not be called; the statement is cancelled, and its transaction rolled back.
void managed_db_query_cancel(struct managed_db_query *q);
void managed_db_metrics(struct buf *to);
#endif
