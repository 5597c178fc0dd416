// The owner's side of the folder: what the files api_*.c share, and the endpoint functions that service.c lists in its table.
#ifndef STOA_BUNDLES_API_H
#define STOA_BUNDLES_API_H
#include "bundles/deployments.h"
#include "edge/auth/auth.h"
#include "edge/http/endpoint.h"

// Set once by bundles_init.
extern struct bundle_options api_options;

// The link visitors use: the instance's own host, or its path on the apps origin. New references.
json_t *api_url_json(const char *plugin_slug, const char *instance_slug);
json_t *api_instance_json(const struct plugin *p, const struct instance *i);
// Whether the apps origin may serve the pages of several projects, or none serve there.
bool api_may_share_origin(void);
// The plugin that the path's first parameter names, in the caller's project.
enum fail api_find_plugin(struct call *call, struct plugin *ret, struct fault *fault) MUST_CHECK;
// What a plugin's object says beside the catalogue's own fields: "instance", "publicAppUrl", "deployment".
enum fail api_add_plugin_extra(struct db *db, const struct plugin *p, json_t *object,
                               struct fault *fault) MUST_CHECK;
// The last steps of a change to a plugin: tells every node, writes the audit row, commits.
enum fail api_commit(struct call *call, const char *plugin_id, const char *action,
                     const char *subject, struct fault *fault) MUST_CHECK;

enum fail api_import_plugin(struct call *call, struct answer *answer,
                            struct fault *fault) MUST_CHECK;
enum fail api_list_plugins(struct call *call, struct answer *answer,
                           struct fault *fault) MUST_CHECK;
enum fail api_get_plugin(struct call *call, struct answer *answer, struct fault *fault) MUST_CHECK;
enum fail api_update_plugin(struct call *call, struct answer *answer,
                            struct fault *fault) MUST_CHECK;
enum fail api_delete_plugin(struct call *call, struct answer *answer,
                            struct fault *fault) MUST_CHECK;
enum fail api_create_deployment(struct call *call, struct answer *answer,
                                struct fault *fault) MUST_CHECK;
enum fail api_list_deployments(struct call *call, struct answer *answer,
                               struct fault *fault) MUST_CHECK;
enum fail api_get_deployment(struct call *call, struct answer *answer,
                             struct fault *fault) MUST_CHECK;
enum fail api_activate_deployment(struct call *call, struct answer *answer,
                                  struct fault *fault) MUST_CHECK;
enum fail api_delete_deployment(struct call *call, struct answer *answer,
                                struct fault *fault) MUST_CHECK;
enum fail api_export_files(struct call *call, struct answer *answer,
                           struct fault *fault) MUST_CHECK;
enum fail api_export_source(struct call *call, struct answer *answer,
                            struct fault *fault) MUST_CHECK;
enum fail api_list_instances(struct call *call, struct answer *answer,
                             struct fault *fault) MUST_CHECK;
enum fail api_create_instance(struct call *call, struct answer *answer,
                              struct fault *fault) MUST_CHECK;
enum fail api_delete_instance(struct call *call, struct answer *answer,
                              struct fault *fault) MUST_CHECK;
enum fail api_get_instance(struct call *call, struct answer *answer,
                           struct fault *fault) MUST_CHECK;
// What an instance's resource says beside what other features add (edge/catalog/hooks.h).
enum fail api_describe_instance(struct db *db, const struct instance *i, json_t *object,
                                struct fault *fault) MUST_CHECK;
#endif
