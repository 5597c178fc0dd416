// What owners set beside their code: secrets (encrypted at rest), config values, and an instance's
// settings (allowed origins, rate limits, uploads, retention). Endpoints of contract §3, and what a run needs
// of them. Pool threads.
#ifndef STOA_OWNER_SETTINGS_OWNER_SETTINGS_H
#define STOA_OWNER_SETTINGS_OWNER_SETTINGS_H
#include "edge/base/problem.h"
#include "edge/catalog/catalog.h"
#include "edge/http/service.h"
#include "edge/store/migrate.h"

enum { OWNER_ORIGINS_MAX = 20, OWNER_ACTION_LIMITS_MAX = 50, OWNER_CONNECTION_MAX = 1024 }; // bytes

struct rate {
    uint32_t per_minute, burst; // 0, 0: the default of contract §4
};
struct instance_settings {
    str origins[OWNER_ORIGINS_MAX]; // "https://a.example", as browsers send them
    size_t origin_count;
    struct rate visitor_action, visitor, instance;
    struct {
        str action;
        struct rate rate;
    } actions[OWNER_ACTION_LIMITS_MAX];
    size_t action_count;
    uint32_t keep_run_days; // 0: the server's
    // Of visitors' uploads; 0: the server's.
    uint32_t uploads_per_hour, keep_upload_days;
    uint64_t upload_bytes_per_hour;
    bool strips_images; // EXIF and the like go, place and all
    str connection;     // the name of the one it uses; empty: the newest of its plugin
    char *_arena;
};
// Defaults when nothing was set. Give back with instance_settings_fini.
enum fail instance_settings_load(struct db *db, const char *instance_id,
                                 struct instance_settings *ret, struct fault *fault) MUST_CHECK;
void instance_settings_fini(struct instance_settings *s);

// {"NAME":"value",…}: the plugin's developerSecrets, over them the userSecrets that a connection
// gives (`connection` names it, empty for the newest), over those the instance's own; decrypted; only
// names the manifest declares. A new reference; to be forgotten (owner_forget) as soon as the run
// that needed it is over.
enum fail owner_secrets_load(struct db *db, const struct instance *i, const json_t *front,
                             str connection, json_t **ret, struct fault *fault) MUST_CHECK;
void owner_forget(json_t *secrets); // overwrites and drops
// {"field":value,…}: what was set for the instance, over what the connection gives, over the defaults
// of the manifest's userFields.
enum fail owner_config_load(struct db *db, const struct instance *i, const json_t *front,
                            str connection, json_t **ret, struct fault *fault) MUST_CHECK;
// A warning for every required secret or field that is unset (contract §3: deploy answers).
void owner_settings_warn(struct db *db, const char *plugin_id, const struct instance *i,
                         const json_t *front, struct problems *warnings);

// Seals again what was sealed under an older master key (edge/base/seal.h); logs what it did.
enum fail owner_settings_reseal(struct db *db, struct fault *fault) MUST_CHECK;

// The same on a pool thread, soon; for the scheduler.
void owner_settings_tend(void);

struct owner_settings_options {
    const char *apps_origin; // for messages
};
void owner_settings_init(const struct owner_settings_options *o);
struct service *owner_settings_service(void);
extern const struct migration owner_settings_migrations[];
extern const size_t owner_settings_migration_count;
#endif
