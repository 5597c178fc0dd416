// Walks the endpoint table when it is first asked for; the table does not change any more then.
#include "edge/http/openapi.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/http/management.h"

enum { SCHEMA_TEXTS_MAX = 16 };
static const char *schema_texts[SCHEMA_TEXTS_MAX];
static size_t schema_text_count;

static const char own_schemas[] =
    "{\"Error\":{\"type\":\"object\",\"required\":[\"error\",\"code\",\"message\",\"requestId\"],"
    "\"properties\":{"
    "\"error\":{\"const\":true},\"code\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"},"
    "\"requestId\":{\"type\":\"string\"},"
    "\"details\":{\"type\":\"object\"}}},\"OpenApiDocument\":{\"type\":\"object\"}}";

void openapi_add_schemas(const char *schemas)
{
    assert(schema_text_count < SCHEMA_TEXTS_MAX);
    schema_texts[schema_text_count++] = schemas;
}

static const char *scope_name(enum scope scope)
{
    static const char *const names[] = {"none", "read", "deploy", "admin", "platform", "operator"};
    return names[scope];
}

static const char *permission_name(enum permission permission)
{
    static const char *const names[PERMISSION_COUNT] = {"none",    "view",  "read_data", "run",
                                                        "connect", "build", "configure", "manage"};
    return names[permission];
}

// "/api/plugins/:plugin" as "/api/plugins/{plugin}", and its parameters.
static void write_path(const char *pattern, struct buf *to, json_t *parameters)
{
    for (str rest = str_from(pattern); rest.n != 0;) {
        str segment = str_cut(&rest, '/');
        if (segment.n != 0 && segment.p[0] == ':') {
            str name = str_skip(segment, 1);
            buf_addf(to, "{%.*s}", STR_FMT(name));
            json_array_append_new(parameters, json_pack("{s:o, s:s, s:b, s:{s:s}}", "name",
                                                        jsonx_string(name), "in", "path",
                                                        "required", 1, "schema", "type", "string"));
        } else {
            buf_add(to, segment);
        }
        if (rest.n != 0)
            buf_addc(to, '/');
    }
}

static json_t *body_of(const struct endpoint *e)
{
    json_t *content = json_object();
    if (e->body == BODY_JSON) {
        json_t *properties = json_object(), *required = json_array();
        for (const struct endpoint_field *f = e->fields; f != NULL && f->name != NULL; ++f) {
            json_object_set_new(properties, f->name,
                                json_pack("{s:s, s:s}", "type", f->type, "description", f->doc));
            if (f->required)
                json_array_append_new(required, json_string(f->name));
        }
        json_object_set_new(content, "application/json",
                            json_pack("{s:{s:s, s:o, s:o, s:b}}", "schema", "type", "object",
                                      "properties", properties, "required", required,
                                      "additionalProperties", 0));
    } else if (e->body == BODY_ANY_OBJECT) {
        json_object_set_new(content, "application/json",
                            json_pack("{s:{s:s}}", "schema", "type", "object"));
    } else {
        for (str rest = str_from(e->body_types); rest.n != 0;) {
            str type = str_trim(str_cut(&rest, ','));
            char *name = str_dup(type);
            json_object_set_new(
                content, name,
                json_pack("{s:{s:s, s:s}}", "schema", "type", "string", "format", "binary"));
            free(name);
        }
    }
    return json_pack("{s:b, s:o}", "required", e->body == BODY_BYTES, "content", content);
}

static json_t *redirect_response(void)
{
    return json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", "`Location` says where.", "headers",
                     "Location", "schema", "type", "string");
}

static json_t *responses_of(const struct endpoint *e)
{
    char reference[128], status[8];
    snprintf(reference, sizeof reference, "#/components/schemas/%s",
             e->answer != NULL ? e->answer : "OpenApiDocument");
    snprintf(status, sizeof status, "%d", e->success);
    json_t *responses = json_object();
    bool is_bytes = e->answer != NULL && strchr(e->answer, '/') != NULL;
    json_t *content =
        is_bytes ? json_pack("{s:{s:{s:s, s:s}}}", e->answer, "schema", "type", "string", "format",
                             "binary")
                 : json_pack("{s:{s:{s:s}}}", "application/json", "schema", "$ref", reference);
    if (e->success == 302)
        json_object_set_new(responses, status, redirect_response());
    else
        json_object_set_new(responses, status,
                            json_pack("{s:s, s:O}", "description", "Done.", "content", content));
    json_decref(content);
    char text[512];
    snprintf(text, sizeof text, "Refused; `code` says why%s%s.",
             e->codes != NULL ? ". Beside the common codes: " : "",
             e->codes != NULL ? e->codes : "");
    json_object_set_new(responses, "default",
                        json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", text, "content",
                                  "application/json", "schema", "$ref",
                                  "#/components/schemas/Error"));
    return responses;
}

static void add_operation(json_t *paths, const struct endpoint *e)
{
    struct buf path;
    buf_init(&path, 512);
    json_t *parameters = json_array();
    write_path(e->path, &path, parameters);
    for (const struct endpoint_field *f = e->query; f != NULL && f->name != NULL; ++f)
        json_array_append_new(parameters,
                              json_pack("{s:s, s:s, s:b, s:s, s:{s:s}}", "name", f->name, "in",
                                        "query", "required", f->required, "description", f->doc,
                                        "schema", "type", f->type));
    json_t *operation =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "operationId", e->id, "summary", e->summary,
                  "x-scope", scope_name(e->scope), "x-permission", permission_name(e->permission),
                  "parameters", parameters, "responses", responses_of(e));
    if (e->body != BODY_NONE)
        json_object_set_new(operation, "requestBody", body_of(e));
    if (e->scope == SCOPE_NONE)
        json_object_set_new(operation, "security", json_array());
    char *key = buf_take(&path), method[16] = {0};
    for (size_t i = 0; e->method[i] != '\0' && i + 1 < sizeof method; ++i)
        method[i] = (char)(e->method[i] | 0x20);
    json_t *item = json_object_get(paths, key);
    if (item == NULL) {
        item = json_object();
        json_object_set_new(paths, key, item);
    }
    json_object_set_new(item, method, operation);
    free(key);
}

static json_t *schemas(void)
{
    json_t *all = json_loads(own_schemas, 0, NULL);
    assert(all != NULL);
    for (size_t i = 0; i != schema_text_count; ++i) {
        json_t *more = json_loads(schema_texts[i], JSON_REJECT_DUPLICATES, NULL);
        assert(more != NULL); // our own literals
        json_object_update(all, more);
        json_decref(more);
    }
    return all;
}

static str document; // made once: anybody may ask for it, and making it takes ten milliseconds

static void make_document(void)
{
    json_t *paths = json_object();
    for (size_t i = 0; i != management_count(); ++i)
        add_operation(paths, management_at(i));
    json_auto_t *all = json_pack(
        "{s:s, s:{s:s, s:s, s:s}, s:[{s:[]}], s:o, s:{s:o, s:{s:{s:s, s:s, s:s}}}}", "openapi",
        "3.1.0", "info", "title", "Stoa", "version", STOA_VERSION, "description",
        "Every operation also answers below /api/v1/.", "security", "token", "paths", paths,
        "components", "schemas", schemas(), "securitySchemes", "token", "type", "http", "scheme",
        "bearer", "description", "An API token (stoa_…).");
    assert(all != NULL);
    document.p = jsonx_dump(all, &document.n);
}

static enum fail get_openapi(struct call *call, struct answer *answer, struct fault *fault)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_document);
    answer->text = document;
    return FAIL_NONE;
}

const struct endpoint openapi_endpoints[] = {
    {.method = "GET",
     .path = "/api/openapi.json",
     .id = "getOpenApi",
     .summary = "This document.",
     .scope = SCOPE_NONE,
     .lane = LANE_API,
     .answer = "OpenApiDocument",
     .success = 200,
     .run = get_openapi},
};
const size_t openapi_endpoint_count = 1;
