// From a declaration to a live deployment: blobs first, made durable, then one transaction that
// switches every instance of the plugin. A reader sees the old or the new; a crash at any moment
// leaves the old, and blobs that no row names. Pool threads (LANE_INGEST).
#ifndef STOA_BUNDLES_INGEST_H
#define STOA_BUNDLES_INGEST_H
#include "bundles/deployments.h"
#include "edge/auth/auth.h"

struct ingest_result {
    struct plugin plugin;
    struct instance
        instance; // id "" when there is none (no public app, or a dry run of a new plugin)
    char deployment_id[DEPLOYMENT_ID_ROOM];
    char replaces[DEPLOYMENT_ID_ROOM]; // "": nothing, or unknown
    int64_t created_at;
    unsigned retry_after; // seconds, with FAIL_TOO_MANY
    bool is_new_plugin, is_unchanged;
    json_t *changes; // [{path, change, bytes}] against the deployment it replaces; owned
};

struct ingest_options {
    bool is_dry_run;
    const char
        *plugin_id; // the plugin that is meant, and none made anew; NULL: whichever has that slug
    bool may_share; // pages of several projects may be served (security-rules.md 11)
    const struct bundle_options *limits; // what may be kept
    struct problems *problems;           // what other features refuse it for (edge/catalog/hooks.h)
    struct problems *warnings;           // what they have to say otherwise
};

// Fills *ret (its `changes` is the caller's to decref) or fails: FAIL_CONFLICT
// "instance_domain_required", FAIL_CONFLICT "deployment_changed" (others kept deploying the plugin),
// FAIL_NOT_FOUND "plugin_not_found" (an archive's, and o->plugin_id's), FAIL_REFUSED with the reasons in o->problems, FAIL_QUOTA "disk_full" or "quota_exceeded", FAIL_TOO_MANY "rate_limited",
// FAIL_BUSY … with nothing changed.
enum fail ingest(struct call *call, struct declaration *d, const struct ingest_options *o,
                 struct ingest_result *ret, struct fault *fault) MUST_CHECK;
// A second tenant's pages would share the first one's browser origin (security-rules.md 11):
// FAIL_CONFLICT "instance_domain_required". In the transaction that makes them be served.
enum fail ingest_check_origin(struct db *db, const char *project_id, const char *plugin_id,
                              bool has_pages, bool may_share, struct fault *fault) MUST_CHECK;
#endif
