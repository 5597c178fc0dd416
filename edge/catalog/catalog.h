// What exists: projects (each with its one owner user), plugins, instances, and the audit trail.
// Every row belongs to a project and every query names one: another project's id is not found.
// Functions that change more than one row want a transaction of the caller's (db_begin). Pool
// threads.
#ifndef STOA_CATALOG_CATALOG_H
#define STOA_CATALOG_CATALOG_H
#include <jansson.h>
#include "edge/catalog/page.h"
#include "edge/store/db.h"
#include "edge/store/migrate.h"

enum {
    CATALOG_ID_ROOM = 33,
    CATALOG_SLUG_ROOM = 64,
    CATALOG_NAME_ROOM = 404,
    CATALOG_VERSION_ROOM = 260
};

struct plugin {
    char id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM], slug[CATALOG_SLUG_ROOM],
        display_name[CATALOG_NAME_ROOM];
    char version[CATALOG_VERSION_ROOM], tier[32];
    int64_t created_at, updated_at; // real ms
};
struct instance {
    char id[CATALOG_ID_ROOM], plugin_id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM],
        slug[CATALOG_SLUG_ROOM];
    int64_t created_at;
};

// --- projects and users: both rows and the audit chain's beginning. In a transaction. The owner
// has the project's display name.
enum fail catalog_project_create(struct db *db, str display_name,
                                 char ret_id[static CATALOG_ID_ROOM], char ret_owner[static 37],
                                 struct fault *fault) MUST_CHECK;
// The oldest project, for a start without a token. FAIL_NOT_FOUND "project_not_found".
enum fail catalog_project_first(struct db *db, char ret_id[static CATALOG_ID_ROOM],
                                struct fault *fault) MUST_CHECK;

// --- plugins: `ref` is an id or a slug, resolved inside the project. FAIL_NOT_FOUND
// "plugin_not_found".
enum fail catalog_plugin_find(struct db *db, const char *project_id, str ref, struct plugin *ret,
                              struct fault *fault) MUST_CHECK;
// The same for what is kept per plugin and project: a plugin of the project's own, or else one that
// it has an instance of.
enum fail catalog_plugin_used(struct db *db, const char *project_id, str ref, struct plugin *ret,
                              struct fault *fault) MUST_CHECK;
// Inserts, or updates display name, version and tier of the one with that slug; locks its row for
// the rest of the transaction.
enum fail catalog_plugin_upsert(struct db *db, const char *project_id, str slug, str display_name,
                                str version, str tier, struct plugin *ret, bool *ret_created,
                                struct fault *fault) MUST_CHECK;
// Locks the plugin's row (FOR UPDATE) until the transaction ends: deploys of one plugin happen one
// after the other. The id is one that catalog_plugin_find gave; FAIL_NOT_FOUND when it was deleted
// since.
enum fail catalog_plugin_lock(struct db *db, const char *plugin_id, struct fault *fault) MUST_CHECK;
enum fail catalog_plugin_count(struct db *db, const char *project_id, uint64_t *ret,
                               struct fault *fault) MUST_CHECK;
// Its instances go with it, their slugs stay taken.
enum fail catalog_plugin_delete(struct db *db, const char *project_id, const char *plugin_id,
                                struct fault *fault) MUST_CHECK;
// {"data":[…],"next","previous"} by contract §1; `extra` (may be NULL) is called once and adds
// members to the objects of all that are shown. FAIL_REFUSED "invalid_cursor".
typedef enum fail catalog_extra_fn(struct db *db, const struct plugin *plugins, size_t count,
                                   json_t *objects, struct fault *fault);
enum fail catalog_plugin_list(struct db *db, const char *project_id, unsigned limit, str cursor,
                              catalog_extra_fn *extra, json_t **ret,
                              struct fault *fault) MUST_CHECK;
// {"id","slug","displayName","version","tier","createdAt","updatedAt"}, a new reference.
json_t *catalog_plugin_json(const struct plugin *p);

// --- instances: by id or slug. Slugs are `{plugin slug}-{8 hex}`, unique on the server and never
// issued twice. FAIL_NOT_FOUND "instance_not_found". An instance may belong to another project than
// its plugin; it is taken to have pages if the plugin's others are. In a transaction.
enum fail catalog_instance_create(struct db *db, const char *project_id, const struct plugin *p,
                                  struct instance *ret, struct fault *fault) MUST_CHECK;
enum fail catalog_instance_find(struct db *db, const char *project_id, str ref,
                                struct instance *ret, struct fault *fault) MUST_CHECK;
// The oldest instance of the plugin in the project; FAIL_NOT_FOUND when it has none.
enum fail catalog_instance_first(struct db *db, const char *project_id, const char *plugin_id,
                                 struct instance *ret, struct fault *fault) MUST_CHECK;
enum fail catalog_instance_delete(struct db *db, const char *project_id, const char *instance_id,
                                  struct fault *fault) MUST_CHECK;
// An instance as a visitor finds it, whatever its project: by id or slug.
struct visited {
    struct instance instance;
    char plugin_slug[CATALOG_SLUG_ROOM];
    char owner_id[37], owner_name[CATALOG_NAME_ROOM]; // whom its runs act as
};
enum fail catalog_visited_find(struct db *db, str ref, struct visited *ret,
                               struct fault *fault) MUST_CHECK;
// The project's of the plugin, oldest first: up to page_fetch in the order of the page's direction. *ret
// is free()d by the caller.
enum fail catalog_instance_page(struct db *db, const char *project_id, const char *plugin_id,
                                const struct page *page, struct instance **ret, size_t *ret_count,
                                struct fault *fault) MUST_CHECK;
enum fail catalog_instance_count(struct db *db, const char *project_id, const char *plugin_id,
                                 uint64_t *ret, struct fault *fault) MUST_CHECK;
// Whether the plugin's instances have public files; they are taken to until somebody says otherwise.
enum fail catalog_plugin_serves_pages(struct db *db, const char *plugin_id, bool serves,
                                      struct fault *fault) MUST_CHECK;
// What is said of them now; false when there are none.
enum fail catalog_plugin_has_pages(struct db *db, const char *plugin_id, bool *ret,
                                   struct fault *fault) MUST_CHECK;
// How many other projects own instances with pages, or will, when the plugin's (which may be "") have
// (security-rules.md 11). Asked by a project that owns none yet, the answer holds until the
// transaction ends: two first deploys wait for each other.
enum fail catalog_serving_projects(struct db *db, const char *project_id, const char *plugin_id,
                                   uint64_t *ret_others, struct fault *fault) MUST_CHECK;
// The other projects that have instances of the plugin: id and number of each, by id.
enum fail catalog_plugin_users(struct db *db, const struct plugin *p, struct db_rows **ret,
                               struct fault *fault) MUST_CHECK;

// --- audit: one row an owner-visible change, in the caller's transaction and best as its last
// statement (it holds up the project's other changes), chained by hash (security-rules.md 27).
// `facts` never hold a token, a code or a key; `address` is empty for what did not come over the
// network.
enum fail audit_append(struct db *db, const char *project_id, const char *actor, const char *action,
                       const char *subject, const char *request_id, str address,
                       json_t *facts /* borrowed, may be NULL */, struct fault *fault) MUST_CHECK;
// Whether the project's chain is whole: nothing changed, left out or cut off. *ret_bad is the
// number of the first event that is not as it was written, or 0.
enum fail audit_verify(struct db *db, const char *project_id, int64_t *ret_bad,
                       struct fault *fault) MUST_CHECK;

// --- the master key's check (edge/master_key.c): in a transaction. Locks its table until that ends;
// *ret is left NULL when there is no value yet, else it is the caller's.
enum fail catalog_key_check_lock(struct db *db, uint8_t **ret, size_t *ret_n,
                                 struct fault *fault) MUST_CHECK;
enum fail catalog_key_check_put(struct db *db, str sealed, struct fault *fault) MUST_CHECK;

extern const struct migration catalog_migrations[];
extern const size_t catalog_migration_count;
#endif
