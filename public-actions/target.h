// Who answers: an instance with the deployment it runs and what its owner has set, read whole,
// immutable and counted. Held once per process under a byte budget; loaded once, however many
// visitors wait; forgotten when the plugin changes.
#ifndef STOA_ACTIONS_TARGET_H
#define STOA_ACTIONS_TARGET_H
#include "edge/catalog/files.h"
#include "public-actions/owner_settings/owner_settings.h"
#include "public-actions/plugin/plugin.h"

enum { TARGET_KEY_ROOM = 2 * CATALOG_SLUG_ROOM, TARGET_REF_MAX = CATALOG_SLUG_ROOM - 1 };

struct target {
    struct shared shared;
    struct handler *handler; // NULL: the deployment has no code
    struct instance instance;
    char plugin_slug[CATALOG_SLUG_ROOM];
    char deployment_id[27];
    char owner_id[37];
    bool is_preview, has_app, has_secrets;
    uint32_t timeout_ms;
    json_t *front; // what runs need of it (target_living.h); read only
    // JSON made once for every run: {"id","displayName"}, config values, the widget's publicApp.
    char *user, *config, *widget_app;
    struct instance_settings settings;
    size_t bytes;        // that this value takes, with its handler
    size_t living_bytes; // counted for the project, without it
};

// Pool threads: reads it. `ref` is an id or slug; with `deployment_id` that deployment is meant (a
// preview), with it alone (`ref` empty) its plugin's oldest instance. FAIL_NOT_FOUND, FAIL_BUSY.
enum fail target_load(struct db *db, str ref, str deployment_id, struct target **ret,
                      struct fault *fault) MUST_CHECK;

// A loop's question: embed it and give it away. `message.run` is called on that loop with the
// answer in it, once, later.
struct target_want {
    struct loop_message message;
    struct loop *loop;
    char ref[CATALOG_SLUG_ROOM], deployment_id[27]; // "" for none
    struct target *ret;                             // a reference
    enum fail fail;                                 // FAIL_NOT_FOUND: there is no such instance
    struct target_want *_next;
};
// The answer at once when it is held: true, with *ret (a reference) or FAIL_NOT_FOUND in *ret_fail.
bool target_get(str ref, str deployment_id, struct target **ret, enum fail *ret_fail);
void target_want(struct target_want *w);

// Whose files its visitors' and its handler's are.
void target_files_owner(const struct target *t, struct files_owner *ret);

void target_forget_plugin(str plugin_id);
void target_forget_all(void);
void target_init(const char *apps_origin); // process start; kept
void target_metrics(struct buf *to);
#endif
