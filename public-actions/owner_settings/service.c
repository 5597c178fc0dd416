// The endpoints, and what other features are answered.
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/catalog/hooks.h"
#include "public-actions/owner_settings/internal.h"

static const struct endpoint_field secret_fields[] = {
    {"value", "string", true, "The secret, 1 byte to 64 KiB. It never comes out again."}, {0}};
static const struct endpoint_field config_fields[] = {
    {"values", "object", true,
     "All values that differ from the manifest's defaults; what is left out goes back to its "
     "default."},
    {0}};
static const struct endpoint_field settings_fields[] = {
    {"allowedOrigins", "array", false,
     "Origins besides the instance's own whose pages may call its actions, at most 20."},
    {"rateLimits", "object", false,
     "visitorAction, visitor, instance and actions.{action}, each {perMinute, burst}; null: the "
     "server's."},
    {"uploads", "object", false,
     "filesPerHour, bytesPerHour: what one visitor may upload in an hour; null: the server's. "
     "stripImageMetadata: whether place, camera and the like are taken out of images; those from "
     "which they cannot be (HEIC, AVIF, TIFF) are then refused."},
    {"retention", "object", false,
     "runDays, uploadDays: how long runs and visitors' uploads are kept, if shorter than the "
     "server's; null: the server's."},
    {"connection", "string", false,
     "The name of the connection its handlers see, or null: the newest of its plugin."},
    {0}};

#define COMMON .lane = LANE_API, .success = 200
#define SECRET_BODY                                                                                \
    .body = BODY_JSON, .body_max = SECRET_BYTES_MAX * 6 + 1024, .fields = secret_fields
static const struct endpoint endpoints[] = {
    {COMMON, .method = "GET", .path = "/api/plugins/:plugin/secrets", .id = "listPluginSecrets",
     .summary = "The secrets that the manifest's developerSecrets declare: names and times.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .answer = "SecretList",
     .codes = "plugin_not_found", .run = owner_api_list_plugin_secrets},
    {COMMON, .method = "GET", .path = "/api/plugins/:plugin/secrets/:name", .id = "getPluginSecret",
     .summary = "Since when a secret of the plugin is set.", .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW, .answer = "Secret",
     .codes = "plugin_not_found secret_not_found", .run = owner_api_get_plugin_secret},
    {COMMON, SECRET_BODY, .method = "PUT", .path = "/api/plugins/:plugin/secrets/:name",
     .id = "setPluginSecret", .summary = "Set a secret of the plugin, for all its instances.",
     .scope = SCOPE_DEPLOY, .permission = PERMISSION_CONFIGURE, .answer = "Secret",
     .codes = "plugin_not_found unknown_secret too_many_secrets secrets_too_large",
     .run = owner_api_put_plugin_secret},
    {COMMON, .method = "DELETE", .path = "/api/plugins/:plugin/secrets/:name",
     .id = "deletePluginSecret", .summary = "Forget a secret of the plugin.", .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_CONFIGURE, .answer = "Secret",
     .codes = "plugin_not_found secret_not_found", .run = owner_api_delete_plugin_secret},
    {COMMON, .method = "GET", .path = "/api/public-apps/instances/:instance/secrets",
     .id = "listInstanceSecrets",
     .summary = "The secrets that the manifest's userSecrets declare: names and times.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .answer = "SecretList",
     .codes = "instance_not_found", .run = owner_api_list_instance_secrets},
    {COMMON, .method = "GET", .path = "/api/public-apps/instances/:instance/secrets/:name",
     .id = "getInstanceSecret", .summary = "Since when a secret of the instance is set.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .answer = "Secret",
     .codes = "instance_not_found secret_not_found", .run = owner_api_get_instance_secret},
    {COMMON, SECRET_BODY, .method = "PUT",
     .path = "/api/public-apps/instances/:instance/secrets/:name", .id = "setInstanceSecret",
     .summary = "Set a secret of the instance; it stands over the plugin's of the same name.",
     .scope = SCOPE_DEPLOY, .permission = PERMISSION_CONFIGURE, .answer = "Secret",
     .codes = "instance_not_found unknown_secret too_many_secrets secrets_too_large",
     .run = owner_api_put_instance_secret},
    {COMMON, .method = "DELETE", .path = "/api/public-apps/instances/:instance/secrets/:name",
     .id = "deleteInstanceSecret", .summary = "Forget a secret of the instance.",
     .scope = SCOPE_DEPLOY, .permission = PERMISSION_CONFIGURE, .answer = "Secret",
     .codes = "instance_not_found secret_not_found", .run = owner_api_delete_instance_secret},
    {COMMON, .method = "GET", .path = "/api/public-apps/instances/:instance/config",
     .id = "getInstanceConfig",
     .summary = "The values of the manifest's userFields, as a handler sees them.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .answer = "InstanceConfig",
     .codes = "instance_not_found", .run = owner_api_get_config},
    {COMMON, .method = "PUT", .path = "/api/public-apps/instances/:instance/config",
     .id = "setInstanceConfig", .summary = "Set the values of the manifest's userFields.",
     .scope = SCOPE_DEPLOY, .permission = PERMISSION_CONFIGURE, .body = BODY_JSON,
     .body_max = CONFIG_BYTES_MAX * 6 + 1024, .fields = config_fields, .answer = "InstanceConfig",
     .codes = "instance_not_found invalid_config", .run = owner_api_put_config},
    {COMMON, .method = "PATCH", .path = "/api/public-apps/instances/:instance",
     .id = "updateInstance",
     .summary =
         "Change allowed origins, rate limits, uploads, retention or the connection used; what is "
         "left out stays.",
     .scope = SCOPE_DEPLOY, .permission = PERMISSION_CONFIGURE, .body = BODY_JSON,
     .body_max = 64 << 10, .fields = settings_fields, .answer = "Instance",
     .codes = "instance_not_found invalid_settings", .run = owner_api_patch_instance},
};

static const char schemas[] =
    "{\"Secret\":{\"type\":\"object\",\"required\":[\"name\",\"set\",\"declared\",\"required\","
    "\"createdAt\",\"updatedAt\"],\"properties\":{\"name\":{\"type\":\"string\"},"
    "\"set\":{\"type\":\"boolean\"},\"connected\":{\"type\":\"boolean\"},\"declared\":{\"type\":"
    "\"boolean\"},"
    "\"required\":{\"type\":\"boolean\"},\"description\":{\"type\":\"string\"},"
    "\"createdAt\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"updatedAt\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}}},"
    "\"SecretList\":{\"type\":\"object\",\"properties\":{\"data\":{\"type\":\"array\",\"items\":{"
    "\"$ref\":\"#/components/schemas/Secret\"}}}},"
    "\"InstanceConfig\":{\"type\":\"object\",\"required\":[\"values\",\"set\",\"missing\","
    "\"connected\",\"fields\"],\"properties\":{\"connected\":{\"type\":\"array\",\"items\":{"
    "\"type\":\"string\"}},\"values\":{\"type\":\"object\"},\"set\":{\"type\":\"object\"},"
    "\"missing\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"fields\":{\"type\":\"object\"}}},"
    "\"Rate\":{\"type\":[\"object\",\"null\"],\"required\":[\"perMinute\",\"burst\"],"
    "\"properties\":{\"perMinute\":{\"type\":\"integer\"},\"burst\":{\"type\":\"integer\"}}},"
    "\"InstanceSettings\":{\"type\":\"object\",\"required\":[\"allowedOrigins\",\"rateLimits\","
    "\"uploads\",\"retention\"],\"properties\":{\"allowedOrigins\":{\"type\":\"array\",\"items\":{"
    "\"type\":"
    "\"string\"}},\"rateLimits\":{\"type\":\"object\",\"properties\":{"
    "\"visitorAction\":{\"$ref\":\"#/components/schemas/Rate\"},"
    "\"visitor\":{\"$ref\":\"#/components/schemas/Rate\"},"
    "\"instance\":{\"$ref\":\"#/components/schemas/Rate\"},"
    "\"actions\":{\"type\":\"object\",\"additionalProperties\":{"
    "\"$ref\":\"#/components/schemas/Rate\"}}}},"
    "\"uploads\":{\"type\":\"object\",\"properties\":{\"filesPerHour\":{\"type\":[\"integer\","
    "\"null\"]},\"bytesPerHour\":{\"type\":[\"integer\",\"null\"]},"
    "\"stripImageMetadata\":{\"type\":\"boolean\"}}},"
    "\"retention\":{\"type\":\"object\",\"properties\":{\"runDays\":{\"type\":[\"integer\","
    "\"null\"]},\"uploadDays\":{\"type\":[\"integer\",\"null\"]}}},"
    "\"connection\":{\"type\":[\"string\",\"null\"]}}}}";

static enum fail on_describe_instance(struct db *db, const struct instance *i, json_t *object,
                                      struct fault *fault)
{
    struct instance_settings s;
    enum fail fail = instance_settings_load(db, i->id, &s, fault);
    if (fail != FAIL_NONE)
        return fail;
    json_object_set_new(object, "settings", owner_settings_json(&s));
    instance_settings_fini(&s);
    return FAIL_NONE;
}

// --- another master key ---

static void on_tend(struct job *j)
{
    struct fault fault = {0};
    if (owner_settings_reseal(db_of_thread(), &fault) != FAIL_NONE)
        log_warn("secrets were not looked through", "reason=%s",
                 LOG_STR(str_from(fault.log_text[0] != '\0' ? fault.log_text : fault.public_text)));
}

static void on_tended(struct job *j)
{
    free(j);
}

void owner_settings_tend(void)
{
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->run = on_tend;
    j->done = on_tended;
    if (pool_post(LANE_INGEST, j) != FAIL_NONE)
        free(j); // busy: the next time will do
}

void owner_settings_init(const struct owner_settings_options *o)
{
    static const struct catalog_hooks hooks = {.on_describe_instance = on_describe_instance};
    catalog_hooks_add(&hooks);
}

struct service *owner_settings_service(void)
{
    static struct service service = {.name = "owner settings",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas};
    return &service;
}
