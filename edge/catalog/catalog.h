// What exists: projects (each with its one owner user), plugins, instances, and the audit trail; and the hooks by which features meet
// without including each other. Every row belongs to a project and every query names one: another project's id is not found. Pool threads.
#ifndef STOA_CATALOG_CATALOG_H
#define STOA_CATALOG_CATALOG_H
#include <jansson.h>
#include "edge/store/db.h"
#include "edge/store/migrate.h"

enum { CATALOG_ID_ROOM = 33, CATALOG_SLUG_ROOM = 64, CATALOG_NAME_ROOM = 404, CATALOG_VERSION_ROOM = 260 };

struct plugin {
    char id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM], slug[CATALOG_SLUG_ROOM], display_name[CATALOG_NAME_ROOM];
    char version[CATALOG_VERSION_ROOM], tier[32];
    int64_t created_at, updated_at; // real ms
};
struct instance {
    char id[CATALOG_ID_ROOM], plugin_id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM], slug[CATALOG_SLUG_ROOM];
    int64_t created_at;
};

// --- projects and users ---
enum fail catalog_project_create(struct db *db, str display_name, char ret_id[static CATALOG_ID_ROOM], char ret_owner[static 37],
                                 struct fault *fault) MUST_CHECK;
// --- plugins: `ref` is an id or a slug, resolved inside the project. FAIL_NOT_FOUND "plugin_not_found".
enum fail catalog_plugin_find(struct db *db, const char *project_id, str ref, struct plugin *ret, struct fault *fault) MUST_CHECK;
// Inserts, or updates display name, version and tier of the one with that slug; locks its row for the rest of the transaction.
enum fail catalog_plugin_upsert(struct db *db, const char *project_id, str slug, str display_name, str version, str tier, struct plugin *ret,
                                bool *ret_created, struct fault *fault) MUST_CHECK;
// Locks the plugin's row (FOR UPDATE) until the transaction ends: deploys of one plugin happen one after the other.
enum fail catalog_plugin_lock(struct db *db, const char *plugin_id, struct fault *fault) MUST_CHECK;
enum fail catalog_plugin_delete(struct db *db, const char *project_id, const char *plugin_id, struct fault *fault) MUST_CHECK;
// {"data":[…],"next","previous"} by contract §1; `extra` (may be NULL) adds members to each row's object.
enum fail catalog_plugin_list(struct db *db, const char *project_id, unsigned limit, str cursor,
                              enum fail (*extra)(struct db *db, const struct plugin *p, json_t *object, struct fault *fault), json_t **ret,
                              struct fault *fault) MUST_CHECK;
json_t *catalog_plugin_json(const struct plugin *p);
// --- instances: by id or slug; slugs are `{plugin slug}-{8 hex}`, unique on the server and never issued twice.
enum fail catalog_instance_create(struct db *db, const char *project_id, const struct plugin *p, struct instance *ret, struct fault *fault) MUST_CHECK;
enum fail catalog_instance_find(struct db *db, const char *project_id, str ref, struct instance *ret, struct fault *fault) MUST_CHECK;
// The oldest instance of the plugin in the project; FAIL_NOT_FOUND when it has none.
enum fail catalog_instance_first(struct db *db, const char *project_id, const char *plugin_id, struct instance *ret, struct fault *fault) MUST_CHECK;
enum fail catalog_instance_delete(struct db *db, const char *project_id, const char *instance_id, struct fault *fault) MUST_CHECK;
enum fail catalog_instance_list(struct db *db, const char *project_id, const char *plugin_id, struct instance **ret, size_t *ret_count,
                                struct fault *fault) MUST_CHECK; // *ret is free()d by the caller
// How many projects own plugins with a public app (security-rules.md 11), and whether this one does.
enum fail catalog_serving_projects(struct db *db, const char *project_id, uint64_t *ret_others, struct fault *fault) MUST_CHECK;

// --- audit: one row an owner-visible change, in the caller's transaction, chained by hash (security-rules.md 27).
enum fail audit_append(struct db *db, const char *project_id, const char *actor, const char *action, const char *subject, const char *request_id,
                       str address, json_t *facts /* borrowed, may be NULL */, struct fault *fault) MUST_CHECK;

extern const struct migration catalog_migrations[];
extern const size_t catalog_migration_count;
#endif
