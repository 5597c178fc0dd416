// The owner's side put together: the table of management endpoints (contract §3), the services, and collection.
#include <stdlib.h>
#include "bundles/api.h"
#include "bundles/serve.h"
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/catalog/hooks.h"
#include "edge/store/blob.h"

enum { MULTIPART_OVERHEAD = 64 * 1024, COLLECT_AFTER_MS = 2 * 60 * 60 * 1000 };

static const struct endpoint_field dry_run_query[] = {
    {"dryRun", "boolean", false, "true: say what would change, change nothing."}, {0}};
static const struct endpoint_field list_query[] = {
    {"limit", "integer", false, "1 to 100, default 50."},
    {"cursor", "string", false, "From next or previous."},
    {0}};
static const struct endpoint_field delete_query[] = {
    {"data", "string", false, "keep or delete: what becomes of uploads and tables."},
    {"force", "boolean", false, "true: also with verified domains, and other projects' apps."},
    {"dryRun", "boolean", false, "true: say what would go, change nothing."},
    {0}};

static struct endpoint endpoints[] = {
    {.method = "POST",
     .path = "/api/plugins/import",
     .id = "importPlugin",
     .summary = "Deploy a .pie file: makes the plugin, or updates the one of that name.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_BUILD,
     .lane = LANE_INGEST,
     .body = BODY_BYTES,
     .body_types = "text/plain, multipart/form-data",
     .query = dry_run_query,
     .answer = "Deployed",
     .success = 200,
     .codes =
         "invalid_pie no_file too_many_files instance_domain_required too_many_waiting disk_full "
         "quota_exceeded rate_limited",
     .run = api_import_plugin},
    {.method = "GET",
     .path = "/api/plugins",
     .id = "listPlugins",
     .summary = "The project's plugins, newest first.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .lane = LANE_API,
     .query = list_query,
     .answer = "PluginList",
     .success = 200,
     .codes = "invalid_cursor",
     .run = api_list_plugins},
    {.method = "GET",
     .path = "/api/plugins/:plugin",
     .id = "getPlugin",
     .summary = "One plugin, by id or slug.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .lane = LANE_API,
     .answer = "Plugin",
     .success = 200,
     .codes = "plugin_not_found",
     .run = api_get_plugin},
    {.method = "PUT",
     .path = "/api/plugins/:plugin",
     .id = "updatePlugin",
     .summary = "Deploy a .pie file to this plugin.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_BUILD,
     .lane = LANE_INGEST,
     .body = BODY_BYTES,
     .body_types = "text/plain, multipart/form-data",
     .query = dry_run_query,
     .answer = "Deployed",
     .success = 200,
     .codes = "plugin_not_found slug_mismatch invalid_pie no_file too_many_files "
              "instance_domain_required too_many_waiting disk_full "
              "quota_exceeded rate_limited",
     .run = api_update_plugin},
    {.method = "DELETE",
     .path = "/api/plugins/:plugin",
     .id = "deletePlugin",
     .summary = "Delete a plugin, its deployments and its instances.",
     .scope = SCOPE_ADMIN,
     .permission = PERMISSION_MANAGE,
     .lane = LANE_API,
     .query = delete_query,
     .answer = "Plugin",
     .success = 200,
     .codes = "plugin_not_found has_data has_domains has_instances",
     .run = api_delete_plugin},
    {.method = "POST",
     .path = "/api/plugins/:plugin/deployments",
     .id = "createDeployment",
     .summary =
         "Deploy an archive (zip, tar, tar.gz, tar.xz, tar.zst): replaces the public files only.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_BUILD,
     .lane = LANE_INGEST,
     .body = BODY_BYTES,
     .body_types = "application/octet-stream",
     .query = dry_run_query,
     .answer = "Deployed",
     .success = 200,
     .codes = "plugin_not_found deployment_changed invalid_bundle instance_domain_required "
              "too_many_waiting disk_full "
              "quota_exceeded rate_limited",
     .run = api_create_deployment},
    {.method = "GET",
     .path = "/api/plugins/:plugin/deployments",
     .id = "listDeployments",
     .summary = "The plugin's deployments, newest first.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .lane = LANE_API,
     .query = list_query,
     .answer = "DeploymentList",
     .success = 200,
     .codes = "plugin_not_found invalid_cursor",
     .run = api_list_deployments},
    {.method = "GET",
     .path = "/api/plugins/:plugin/deployments/:deployment",
     .id = "getDeployment",
     .summary = "One deployment.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .lane = LANE_API,
     .answer = "Deployment",
     .success = 200,
     .codes = "plugin_not_found deployment_not_found",
     .run = api_get_deployment},
    {.method = "POST",
     .path = "/api/plugins/:plugin/deployments/:deployment/activate",
     .id = "activateDeployment",
     .summary = "Make this deployment the live one: roll back, or forward.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_BUILD,
     .lane = LANE_API,
     .answer = "Deployed",
     .success = 200,
     .codes = "plugin_not_found deployment_not_found instance_domain_required",
     .run = api_activate_deployment},
    {.method = "DELETE",
     .path = "/api/plugins/:plugin/deployments/:deployment",
     .id = "deleteDeployment",
     .summary = "Delete a deployment that is not live, with its preview.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_BUILD,
     .lane = LANE_API,
     .answer = "Deployment",
     .success = 200,
     .codes = "plugin_not_found deployment_not_found deployment_is_live",
     .run = api_delete_deployment},
    {.method = "GET",
     .path = "/api/plugins/:plugin/deployments/:deployment/archive.tar",
     .id = "exportDeployment",
     .summary = "The deployment's public files and its config, as a tar.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .lane = LANE_API,
     .answer = "application/x-tar",
     .success = 200,
     .codes = "plugin_not_found deployment_not_found",
     .run = api_export_files},
    {.method = "GET",
     .path = "/api/plugins/:plugin/deployments/:deployment/source.pie",
     .id = "exportSource",
     .summary = "The .pie file as it was sent.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .lane = LANE_API,
     .answer = "text/plain",
     .success = 200,
     .codes = "plugin_not_found deployment_not_found no_source",
     .run = api_export_source},
    {.method = "GET",
     .path = "/api/plugins/:plugin/instances",
     .id = "listInstances",
     .summary = "The project's instances of the plugin, oldest first.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .lane = LANE_API,
     .query = list_query,
     .answer = "InstanceList",
     .success = 200,
     .codes = "plugin_not_found invalid_cursor",
     .run = api_list_instances},
    {.method = "POST",
     .path = "/api/plugins/:plugin/instances",
     .id = "createInstance",
     .summary = "Publish one more copy, with a link of its own: of the project's plugin, or of one "
                "that its platform offers it.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_BUILD,
     .lane = LANE_API,
     .answer = "Instance",
     .success = 201,
     .codes = "plugin_not_found deployment_not_found instance_domain_required quota_exceeded",
     .run = api_create_instance},
    {.method = "DELETE",
     .path = "/api/plugins/:plugin/instances/:instance",
     .id = "deleteInstance",
     .summary = "Take an instance off; its slug is never issued again.",
     .scope = SCOPE_ADMIN,
     .permission = PERMISSION_MANAGE,
     .lane = LANE_API,
     .answer = "Instance",
     .success = 200,
     .codes = "plugin_not_found instance_not_found",
     .run = api_delete_instance},
    {.method = "GET",
     .path = "/api/public-apps/instances/:instance",
     .id = "getInstance",
     .summary = "One instance, by id or slug.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .lane = LANE_API,
     .answer = "Instance",
     .success = 200,
     .codes = "instance_not_found",
     .run = api_get_instance},
};

static const char schemas[] =
    "{\"Plugin\":{\"type\":\"object\",\"required\":[\"id\",\"slug\",\"displayName\",\"version\","
    "\"tier\",\"createdAt\",\"updatedAt\",\"publicAppUrl\"],"
    "\"properties\":{\"id\":{\"type\":\"string\"},\"slug\":{\"type\":\"string\"},\"displayName\":{"
    "\"type\":\"string\"},\"version\":{\"type\":\"string\"},"
    "\"tier\":{\"type\":\"string\"},\"createdAt\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"updatedAt\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"publicAppUrl\":{\"type\":[\"string\",\"null\"]},\"instance\":{\"oneOf\":[{\"$ref\":\"#/"
    "components/schemas/Instance\"},{\"type\":\"null\"}]},"
    "\"deployment\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/"
    "Deployment\"},{\"type\":\"null\"}]}}},"
    "\"PluginList\":{\"type\":\"object\",\"properties\":{\"data\":{\"type\":\"array\",\"items\":{"
    "\"$ref\":\"#/components/schemas/Plugin\"}},"
    "\"next\":{\"type\":[\"string\",\"null\"]},\"previous\":{\"type\":[\"string\",\"null\"]}}},"
    "\"Deployment\":{\"type\":\"object\",\"required\":[\"id\",\"fileCount\",\"totalBytes\"],"
    "\"properties\":{\"id\":{\"type\":[\"string\",\"null\"]},"
    "\"fileCount\":{\"type\":\"integer\"},\"totalBytes\":{\"type\":\"integer\"},\"createdAt\":{"
    "\"type\":\"string\",\"format\":\"date-time\"},"
    "\"active\":{\"type\":\"boolean\"},\"replaces\":{\"type\":[\"string\",\"null\"]},\"source\":{"
    "\"enum\":[\"pie\",\"archive\"]},\"unchanged\":{"
    "\"type\":\"boolean\"},\"changes\":{\"type\":\"array\","
    "\"items\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"change\":{"
    "\"enum\":[\"added\",\"modified\",\"removed\"]},"
    "\"bytes\":{\"type\":\"integer\"}}}}}},"
    "\"DeploymentList\":{\"type\":\"object\",\"properties\":{\"data\":{\"type\":\"array\","
    "\"items\":{\"$ref\":\"#/components/schemas/Deployment\"}},"
    "\"next\":{\"type\":[\"string\",\"null\"]},\"previous\":{\"type\":[\"string\",\"null\"]}}},"
    "\"Instance\":{\"type\":\"object\",\"required\":[\"id\",\"slug\",\"url\"],\"properties\":{"
    "\"id\":{\"type\":\"string\"},\"slug\":{\"type\":\"string\"},"
    "\"url\":{\"type\":\"string\"},\"pluginId\":{\"type\":\"string\"},\"pluginSlug\":{\"type\":"
    "\"string\"},\"createdAt\":{\"type\":\"string\","
    "\"format\":\"date-time\"},\"settings\":{\"$ref\":\"#/components/schemas/InstanceSettings\"},"
    "\"uploads\":{\"$ref\":\"#/components/schemas/InstanceUploads\"}}},"
    "\"InstanceList\":{\"type\":\"object\",\"properties\":{\"data\":{\"type\":\"array\",\"items\":{"
    "\"$ref\":\"#/components/schemas/Instance\"}},"
    "\"next\":{\"type\":[\"string\",\"null\"]},\"previous\":{\"type\":[\"string\",\"null\"]}}},"
    "\"Deployed\":{\"type\":\"object\",\"required\":[\"plugin\",\"instance\",\"deployment\","
    "\"publicAppUrl\",\"warnings\"],\"properties\":{"
    "\"plugin\":{\"type\":\"object\"},\"instance\":{\"oneOf\":[{\"$ref\":\"#/components/schemas/"
    "Instance\"},{\"type\":\"null\"}]},"
    "\"deployment\":{\"$ref\":\"#/components/schemas/"
    "Deployment\"},\"publicAppUrl\":{\"type\":[\"string\",\"null\"]},\"warnings\":{\"type\":"
    "\"array\"}}}}";

static void set_body_max(const char *id, size_t max)
{
    for (size_t i = 0; i != sizeof endpoints / sizeof endpoints[0]; ++i)
        if (strcmp(endpoints[i].id, id) == 0)
            endpoints[i].body_max = max;
}

void bundles_init(const struct bundle_options *o)
{
    api_options = *o;
    set_body_max("importPlugin", api_options.pie_bytes + MULTIPART_OVERHEAD);
    set_body_max("updatePlugin", api_options.pie_bytes + MULTIPART_OVERHEAD);
    set_body_max("createDeployment", api_options.archive_bytes);
    serve_init(&api_options);
    static const struct catalog_hooks hooks = {.on_find_deployed = deployment_find_deployed,
                                               .on_find_current = deployment_find_current,
                                               .on_blob_ask = deployment_names_blob,
                                               .on_describe_instance = api_describe_instance};
    catalog_hooks_add(&hooks);
}

struct service *bundles_api_service(void)
{
    static struct service service = {.name = "bundles",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas};
    return &service;
}

struct service *bundles_pages_service(void)
{
    static struct service service = {.name = "pages",
                                     .sites = 1 << SITE_APPS,
                                     .prefix = "/apps/",
                                     .on_request = serve_on_request,
                                     .on_loop_start = serve_on_loop_start,
                                     .on_metrics = serve_on_metrics};
    return &service;
}

struct service *bundles_hosts_service(void)
{
    static struct service service = {.name = "hosts",
                                     .sites = 1 << SITE_INSTANCE | 1 << SITE_PREVIEW,
                                     .prefix = "/",
                                     .on_request = serve_on_request};
    return &service;
}

// --- collection ---

static bool is_named(void *arg, const struct digest *d)
{
    return catalog_ask_blob(arg, d);
}

static void on_collect(struct job *j)
{
    size_t gone = blob_collect(clock_real_ms() - COLLECT_AFTER_MS, is_named, db_of_thread());
    if (gone != 0)
        log_info("blobs that nothing names were removed", "count=%zu", gone);
}

static void on_collected(struct job *j)
{
    free(j);
}

void bundles_collect(void)
{
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->run = on_collect;
    j->done = on_collected;
    if (pool_post(LANE_INGEST, j) != FAIL_NONE)
        free(j); // busy: the next hour will do
}
