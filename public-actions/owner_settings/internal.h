// What the .c files of this folder share: the statements (queries.c) behind typed functions.
#ifndef STOA_OWNER_SETTINGS_INTERNAL_H
#define STOA_OWNER_SETTINGS_INTERNAL_H
#include "edge/catalog/declared.h"
#include "public-actions/owner_settings/owner_settings.h"

enum {
    SECRET_BYTES_MAX = 64 << 10,
    SECRETS_MAX = 100, // of one plugin, or one instance
    SECRETS_BYTES_MAX = 256 << 10,
    CONFIG_BYTES_MAX = 64 << 10,
    RATE_MAX = 10000000, // a minute
    BURST_MAX = 1000000,
    KEEP_RUN_DAYS_MAX = 365,
    KEEP_UPLOAD_DAYS_MAX = 36500,
    UPLOADS_MAX = 1000000, // an hour
};
#define UPLOAD_BYTES_MIN (UINT64_C(1) << 20) // an hour
#define UPLOAD_BYTES_MAX (UINT64_C(1) << 40)

// --- secrets ---

enum owner_kind { OWNER_PLUGIN, OWNER_INSTANCE };
// Whose a secret is.
struct owner_holder {
    enum owner_kind kind;
    const char *id, *project_id;
};
struct owner_secret {
    char name[65];
    int64_t created_at, updated_at;
};

// In a transaction with the plugin's row locked. FAIL_REFUSED "too_many_secrets".
enum fail owner_secret_set(struct db *db, const struct owner_holder *h, const char *name, str value,
                           struct owner_secret *ret, struct fault *fault) MUST_CHECK;
// {"name","createdAt","updatedAt"}, each time null when it is not set.
json_t *owner_secret_json(const char *name, const struct owner_secret *s);

// --- settings.c ---

// Reads the API's shape. What does not fit is left at its default and, unless `wrong` is NULL, named
// there: {"rateLimits.visitor.burst":"sentence"}.
void owner_settings_read(const json_t *settings, struct instance_settings *ret, json_t *wrong);
// The API's shape again, whole: null stands for the server's default.
json_t *owner_settings_json(const struct instance_settings *s);
// `change` over `object` by RFC 7396; both borrowed, `object` is changed.
void owner_merge(json_t *object, const json_t *change);

// --- queries.c ---

enum fail owner_query_secrets(struct db *db, const struct owner_holder *h,
                              struct owner_secret **ret, size_t *ret_count,
                              struct fault *fault) MUST_CHECK;
// What its secrets but this one take, sealed.
enum fail owner_query_secrets_size(struct db *db, const struct owner_holder *h, const char *but,
                                   size_t *ret, struct fault *fault) MUST_CHECK;
// FAIL_NOT_FOUND "secret_not_found".
enum fail owner_query_secret(struct db *db, const struct owner_holder *h, str name,
                             struct owner_secret *ret, struct fault *fault) MUST_CHECK;
enum fail owner_query_secret_put(struct db *db, const struct owner_holder *h, const char *name,
                                 str sealed, struct owner_secret *ret,
                                 struct fault *fault) MUST_CHECK;
enum fail owner_query_secret_delete(struct db *db, const struct owner_holder *h, str name,
                                    struct owner_secret *ret, struct fault *fault) MUST_CHECK;
// Name, sealed value, its holder's id and project, and whether it is the instance's: the instance's
// first.
enum fail owner_query_sealed(struct db *db, const struct instance *i, struct db_rows **ret,
                             struct fault *fault) MUST_CHECK;
// Up to `limit` rows of one kind that were not sealed under the key with this id: name, sealed
// value, holder's id and project.
enum fail owner_query_old(struct db *db, enum owner_kind kind, str key_id, unsigned limit,
                          struct db_rows **ret, struct fault *fault) MUST_CHECK;
// Replaces `before` only: what was set meanwhile stays.
enum fail owner_query_reseal(struct db *db, const struct owner_holder *h, str name, str before,
                             str after, struct fault *fault) MUST_CHECK;
// What was set, or an empty object. A new reference.
enum fail owner_query_config(struct db *db, const char *instance_id, json_t **ret,
                             struct fault *fault) MUST_CHECK;
enum fail owner_query_config_put(struct db *db, const char *instance_id, const json_t *values,
                                 struct fault *fault) MUST_CHECK;
enum fail owner_query_settings(struct db *db, const char *instance_id, json_t **ret,
                               struct fault *fault) MUST_CHECK;
enum fail owner_query_settings_put(struct db *db, const char *instance_id, const json_t *settings,
                                   struct fault *fault) MUST_CHECK;
// Tells all nodes that what they hold of the plugin is old.
enum fail owner_query_notify(struct db *db, const char *plugin_id, struct fault *fault) MUST_CHECK;

// --- endpoints ---

enum fail owner_api_list_plugin_secrets(struct call *call, struct answer *a, struct fault *fault);
enum fail owner_api_get_plugin_secret(struct call *call, struct answer *a, struct fault *fault);
enum fail owner_api_put_plugin_secret(struct call *call, struct answer *a, struct fault *fault);
enum fail owner_api_delete_plugin_secret(struct call *call, struct answer *a, struct fault *fault);
enum fail owner_api_list_instance_secrets(struct call *call, struct answer *a, struct fault *fault);
enum fail owner_api_get_instance_secret(struct call *call, struct answer *a, struct fault *fault);
enum fail owner_api_put_instance_secret(struct call *call, struct answer *a, struct fault *fault);
enum fail owner_api_delete_instance_secret(struct call *call, struct answer *a,
                                           struct fault *fault);
enum fail owner_api_get_config(struct call *call, struct answer *a, struct fault *fault);
enum fail owner_api_put_config(struct call *call, struct answer *a, struct fault *fault);
enum fail owner_api_patch_instance(struct call *call, struct answer *a, struct fault *fault);

// The front matter of what the instance runs; an empty object when nothing is deployed. A new
// reference.
enum fail owner_front(struct db *db, const char *instance_id, json_t **ret,
                      struct fault *fault) MUST_CHECK;
// NOTIFY, audit, commit: how every change ends.
enum fail owner_commit(struct call *call, const char *plugin_id, const char *action,
                       const char *subject, json_t *facts, struct fault *fault) MUST_CHECK;
#endif
