// Deployments in the database, as deploying and managing needs them (serving: internal.h). Each
// function is one or two statements; those that change take part in the caller's transaction. Pool
// threads.
#ifndef STOA_BUNDLES_DEPLOYMENTS_H
#define STOA_BUNDLES_DEPLOYMENTS_H
#include "bundles/declaration.h"
#include "edge/catalog/page.h"

// One deployment without its files.
struct deployment_head {
    char id[DEPLOYMENT_ID_ROOM], plugin_id[CATALOG_ID_ROOM], created_by[CATALOG_ID_ROOM];
    // What was live when it was deployed; "": nothing, or unknown.
    char replaces[DEPLOYMENT_ID_ROOM];
    int64_t created_at;
    struct digest content, source, code, widget;
    unsigned code_line; // where the code begins in the .pie file it came from
    bool has_source, has_code, has_widget, has_app, is_active;
    uint64_t file_count, total_bytes;
    json_t *front, *config; // owned; NULL in lists, config also when there is no public app
};
void deployment_head_fini(struct deployment_head *h);
json_t *deployment_json(const struct deployment_head *h);

// The deployment that the plugin's instances point at, else its newest. FAIL_NOT_FOUND
// "deployment_not_found".
enum fail deployment_current(struct db *db, const char *plugin_id, struct deployment_head *ret,
                             struct fault *fault) MUST_CHECK;
// Where a plugin stands: deployment_current (without front and config) and its project's first
// instance, each if there is one.
struct deployment_standing {
    bool has_head, has_instance;
    struct deployment_head head;
    struct instance instance;
};
// Of each of these plugins of one project, at least one, in their order, by one statement.
enum fail deployment_standings(struct db *db, const struct plugin *plugins, size_t count,
                               struct deployment_standing *ret, struct fault *fault) MUST_CHECK;
enum fail deployment_find(struct db *db, const char *plugin_id, str id, struct deployment_head *ret,
                          struct fault *fault) MUST_CHECK;
enum fail deployment_page(struct db *db, const char *plugin_id, const struct page *page,
                          struct deployment_head **ret, size_t *ret_count,
                          struct fault *fault) MUST_CHECK;
// Paths, sizes and digests of a deployment's files, by path; deployment_row_fini gives it back.
enum fail deployment_files(struct db *db, const char *deployment_id, struct deployment_row *ret,
                           struct fault *fault) MUST_CHECK;

// Rows of a new deployment, immutability decided from the plugin's history, which it joins. Under
// the plugin's lock, so that times follow the order of switching. `replaces`: NULL for the first.
enum fail deployment_insert(struct db *db, const struct plugin *plugin, const char *created_by,
                            const char *replaces, const struct declaration *d,
                            char ret_id[static DEPLOYMENT_ID_ROOM], int64_t *ret_created_at,
                            struct fault *fault) MUST_CHECK;
// Locks what the project's deployments take together until the transaction ends, behind the plugin's
// lock: deploys of one project that come by several processes count one after the other.
enum fail deployment_lock_project(struct db *db, const char *project_id,
                                  struct fault *fault) MUST_CHECK;
// Bytes that count (schema/005.sql says what does).
struct deployment_room {
    uint64_t used; // by what the project keeps; holds under deployment_lock_project only
    uint64_t more; // by what `d` would bring that is not there
};
enum fail deployment_room(struct db *db, const char *project_id, const struct declaration *d,
                          struct deployment_room *ret, struct fault *fault) MUST_CHECK;
// Before one more comes: of the plugin's the oldest go, so that there will be `keep` (0: all), but
// never those that an instance points at and `replaces`, which may be NULL; a hundred at a time at the
// most.
enum fail deployment_discard_old(struct db *db, const char *plugin_id, uint64_t keep,
                                 const char *replaces, struct fault *fault) MUST_CHECK;
// Sets FAIL_NOT_FOUND "deployment_not_found", and returns it.
enum fail deployment_is_missing(struct fault *fault);
// FAIL_NOT_FOUND "deployment_not_found". Nothing may point at it.
enum fail deployment_delete(struct db *db, const char *plugin_id, const char *id,
                            struct fault *fault) MUST_CHECK;
// All of the plugin's, which is about to go itself with its instances.
enum fail deployment_delete_all(struct db *db, const char *plugin_id,
                                struct fault *fault) MUST_CHECK;
// Every instance of the plugin points at it from now on (one that has none yet too).
enum fail deployment_activate(struct db *db, const char *plugin_id, const char *deployment_id,
                              struct fault *fault) MUST_CHECK;
// Tells every node when the transaction commits.
enum fail deployment_notify(struct db *db, const char *plugin_id, struct fault *fault) MUST_CHECK;
// What catalog_find_deployed (edge/catalog/hooks.h) is answered with.
struct deployed;
enum fail deployment_find_deployed(struct db *db, str instance_id, str deployment_id,
                                   bool with_code, struct deployed *ret,
                                   struct fault *fault) MUST_CHECK;
// And catalog_find_current.
enum fail deployment_find_current(struct db *db, const struct plugin *plugins, size_t count,
                                  struct deployed *ret, struct fault *fault) MUST_CHECK;
// For collection: whether any row names the blob. A failure counts as named.
bool deployment_names_blob(struct db *db, const struct digest *d);
#endif
