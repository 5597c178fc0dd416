// How features meet without knowing each other: what one must ask of another is a question declared
// here; who can answer registers at start (edge/server.c), and all who did are asked in that order.
// Registered before the pool starts, read by any thread.
#ifndef STOA_CATALOG_HOOKS_H
#define STOA_CATALOG_HOOKS_H
#include "edge/base/digest.h"
#include "edge/base/problem.h"
#include "edge/catalog/catalog.h"

// What a deploy is about to make, or has made.
struct deploy_facts {
    const char *project_id;
    const struct plugin *plugin; // after the deploy; before it only slug, and id when there is one
    const struct instance *instance; // the project's own, after the deploy; NULL: none
    const json_t *front;             // the front matter
    str code;                        // p == NULL: none
    unsigned code_line; // where the code begins in the .pie file, from 1; 0: an archive
    bool is_code_new;   // not the code that is deployed already
};
// What an instance runs.
struct deployed {
    char deployment_id[27], instance_id[CATALOG_ID_ROOM];
    json_t *front;      // the front matter; owned
    char *code;         // NUL-terminated, owned; NULL: it has no handler, or it was not asked for
    size_t code_size;   // bytes
    unsigned code_line; // where it begins in the .pie file it came from, from 1
    bool has_app;       // public files
};
void deployed_fini(struct deployed *d);

// Something that happened to an instance and that no run raised ("domain.failing"): subscribers and
// streams are told.
struct catalog_event {
    const char *project_id, *instance_id;
    const char *type;   // with a dot, which no manifest's event has
    const json_t *data; // an object
};

// What a connection gives to a run: values of the manifest's userSecrets, or of its userFields.
enum connected { CONNECTED_SECRETS, CONNECTED_FIELDS };

struct catalog_hooks {
    // Before anything is written: adds to `problems` what makes it a refusal, to `warnings` what
    // does not. FAIL_BUSY when it could not be judged now. Ingest threads.
    enum fail (*on_deploy_check)(struct db *db, const struct deploy_facts *f,
                                 struct problems *problems, struct problems *warnings,
                                 struct fault *fault);
    // After the commit (also of unchanged deploys and of roll backs): makes what must follow, adds
    // warnings. Cannot fail. Pool threads.
    void (*on_deployed)(struct db *db, const struct deploy_facts *f, struct problems *warnings);
    // After a commit that changed what the plugin's instances serve or run, or what is set for
    // them, before it is answered: whoever is told of the change meets it at once. Other nodes
    // follow by their notice. Pool threads.
    void (*on_changed)(const char *plugin_id);
    // What would go with the plugin, for dryRun and for `data`: adds members to `what` ("tables":
    // [...]); *ret_has_data when there is anything that must be kept or deleted by decision.
    enum fail (*on_delete_ask)(struct db *db, const struct plugin *p, json_t *what,
                               bool *ret_has_data, struct fault *fault);
    // In the deletion's transaction.
    enum fail (*on_delete)(struct db *db, const struct plugin *p, bool keep_data,
                           struct fault *fault);
    // An instance goes by itself, its plugin stays: in the deletion's transaction, while its row and all
    // that goes with it are still there.
    enum fail (*on_delete_instance)(struct db *db, const char *instance_id, struct fault *fault);
    // Answered by the one feature that keeps deployments.
    enum fail (*on_find_deployed)(struct db *db, str instance_id, str deployment_id, bool with_code,
                                  struct deployed *ret, struct fault *fault);
    // Answered by the same: what each of these plugins has deployed now, without code and instance; its
    // `front` stays NULL when nothing is. `ret` has room for all, and is empty.
    enum fail (*on_find_current)(struct db *db, const struct plugin *plugins, size_t count,
                                 struct deployed *ret, struct fault *fault);
    // Answered by the one feature that keeps a catalogue: a plugin of another project that this one
    // may make instances of. FAIL_NOT_FOUND "plugin_not_found".
    enum fail (*on_find_offered)(struct db *db, const char *project_id, str ref, struct plugin *ret,
                                 struct fault *fault);
    // Answered by the one feature that keeps connections: {"NAME":value,…} of the instance's project's
    // connection of that name to its plugin, or, with an empty name, of the newest; *ret stays NULL
    // when there is none. What is secret is to be overwritten after use.
    enum fail (*on_find_connected)(struct db *db, const struct instance *i, str name,
                                   enum connected what, json_t **ret, struct fault *fault);
    // Whether a row of the feature names the blob, so that it must stay; true when that cannot be
    // told now. Pool threads.
    bool (*on_blob_ask)(struct db *db, const struct digest *d);
    // Adds its members to the instance's resource (contract §3).
    enum fail (*on_describe_instance)(struct db *db, const struct instance *i, json_t *object,
                                      struct fault *fault);
    // In the transaction of what happened, as late as can be: holds up other events until its end.
    enum fail (*on_event)(struct db *db, const struct catalog_event *e, struct fault *fault);
};
void catalog_hooks_add(const struct catalog_hooks *hooks); // kept; any member may be NULL

enum fail catalog_ask_deploy(struct db *db, const struct deploy_facts *f, struct problems *problems,
                             struct problems *warnings, struct fault *fault) MUST_CHECK;
void catalog_tell_deployed(struct db *db, const struct deploy_facts *f, struct problems *warnings);
void catalog_tell_changed(const char *plugin_id);
enum fail catalog_ask_delete(struct db *db, const struct plugin *p, json_t *what,
                             bool *ret_has_data, struct fault *fault) MUST_CHECK;
enum fail catalog_tell_delete(struct db *db, const struct plugin *p, bool keep_data,
                              struct fault *fault) MUST_CHECK;
enum fail catalog_tell_delete_instance(struct db *db, const char *instance_id,
                                       struct fault *fault) MUST_CHECK;
// The deployment that the instance points at (`deployment_id` empty), or that very one when it is of
// the instance's plugin; `instance_id` empty: that deployment, with the oldest instance that its
// plugin's own project has (a preview's host names no other). FAIL_NOT_FOUND "deployment_not_found". Pool threads.
enum fail catalog_find_deployed(struct db *db, str instance_id, str deployment_id, bool with_code,
                                struct deployed *ret, struct fault *fault) MUST_CHECK;
enum fail catalog_find_current(struct db *db, const struct plugin *plugins, size_t count,
                               struct deployed *ret, struct fault *fault) MUST_CHECK;
enum fail catalog_find_offered(struct db *db, const char *project_id, str ref, struct plugin *ret,
                               struct fault *fault) MUST_CHECK;
enum fail catalog_find_connected(struct db *db, const struct instance *i, str name,
                                 enum connected what, json_t **ret, struct fault *fault) MUST_CHECK;
bool catalog_ask_blob(struct db *db, const struct digest *d); // whether anybody needs it
// The instance as its owner sees it, a new reference: what every feature has to say of it.
enum fail catalog_describe_instance(struct db *db, const struct instance *i, json_t **ret,
                                    struct fault *fault) MUST_CHECK;
enum fail catalog_tell_event(struct db *db, const struct catalog_event *e,
                             struct fault *fault) MUST_CHECK;
#endif
