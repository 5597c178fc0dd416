// The room of catalogue, apps and connections put together: its endpoints, and what other features
// are answered.
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "embed/catalogue.h"
#include "embed/connections.h"

static struct embed_catalogue_options options = {"", "", "http", ""};

json_t *catalogue_url_json(const char *plugin_slug, const char *instance_slug)
{
    if (options.instance_domain[0] != '\0')
        return json_sprintf("%s://%s.%s%s/", options.instance_scheme, instance_slug,
                            options.instance_domain, options.instance_port);
    return json_sprintf("%s/apps/%s/%s/", options.apps_origin, plugin_slug, instance_slug);
}

// clang-format off
static const struct endpoint_field pieces_query[] = {
    {"limit", "integer", false, "1 to 100, default 50."},
    {"cursor", "string", false, "From next or previous."},
    {"pieceName", "string", false, "At most one: what answers to this id, slug or piece name among what the project may use, its own plugins among it."},
    {0}};
static const struct endpoint_field list_query[] = {
    {"limit", "integer", false, "1 to 100, default 50."},
    {"cursor", "string", false, "From next or previous."},
    {0}};
static const struct endpoint_field connections_query[] = {
    {"limit", "integer", false, "1 to 100, default 50."},
    {"cursor", "string", false, "From next or previous."},
    {"pieceName", "string", false, "Those that were made for this piece name or slug."},
    {0}};
static const struct endpoint_field change_fields[] = {
    {"ids", "array", true, "Ids or slugs of plugins of the owner project, at most 100; all or nothing."},
    {"addTags", "array", false, "Tags to add, at most 50 of 1 to 64 characters."},
    {"removeTags", "array", false, "Tags to take off."},
    {"offered", "boolean", false, "Whether the platform's other projects are offered them; left out: as it was."},
    {0}};
static const struct endpoint_field connection_fields[] = {
    {"pieceName", "string", true, "A plugin's slug or id, or one of its manifest's pieceNames, of what the project may use."},
    {"externalId", "string", false, "The name the host knows it by, 1 to 256 characters; one of the same name is replaced. Left out: its id."},
    {"displayName", "string", false, "What people call it; left out: its externalId."},
    {"secrets", "object", false, "Values of the manifest's userSecrets. They never come out again."},
    {"fields", "object", false, "Values of the manifest's userFields. They never come out again."},
    {0}};

#define COMMON .lane = LANE_API, .success = 200
static const struct endpoint endpoints[] = {
    {COMMON, .method = "GET", .path = "/api/pieces", .id = "listPieces",
     .summary = "What the project's platform offers it; for a token of the platform's owner project all of its plugins, with tags.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .query = pieces_query, .answer = "PieceList", .codes = "invalid_cursor",
     .run = pieces_api_list},
    {COMMON, .method = "GET", .path = "/api/pieces/:piece", .id = "getPiece",
     .summary = "What answers to an id, slug or piece name among what the project may use.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .answer = "Piece", .codes = "piece_not_found", .run = pieces_api_get},
    {COMMON, .method = "PATCH", .path = "/api/pieces", .id = "changePieces",
     .summary = "Offer plugins of the platform's owner project to its other projects, or withdraw them, and tag them.",
     .scope = SCOPE_PLATFORM, .permission = PERMISSION_NONE, .body = BODY_JSON, .body_max = 128 << 10, .fields = change_fields,
     .answer = "PieceList", .codes = "invalid_request plugin_not_found too_many_tags", .run = pieces_api_change},
    {COMMON, .method = "GET", .path = "/api/flows", .id = "listFlows", .summary = "The project's apps, newest first.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .query = list_query, .answer = "FlowList", .codes = "invalid_cursor",
     .run = catalogue_api_flows},
    {COMMON, .method = "GET", .path = "/api/flows/:flow", .id = "getFlow", .summary = "One app of the project, by id or slug.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .answer = "Flow", .codes = "instance_not_found", .run = catalogue_api_flow},
    {COMMON, .method = "GET", .path = "/api/connections", .id = "listConnections",
     .summary = "The project's connections, newest first.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .query = connections_query, .answer = "ConnectionList", .codes = "invalid_cursor",
     .run = connections_api_list},
    {COMMON, .method = "GET", .path = "/api/connections/:connection", .id = "getConnection",
     .summary = "One connection, by id or externalId.",
     .scope = SCOPE_READ, .permission = PERMISSION_VIEW, .answer = "Connection", .codes = "connection_not_found", .run = connections_api_get},
    {COMMON, .method = "POST", .path = "/api/connections", .id = "putConnection",
     .summary = "Connect a piece, or connect it again: 201 for a new connection, 200 when the values of the one of that name were replaced.",
     .scope = SCOPE_DEPLOY, .permission = PERMISSION_CONNECT, .body = BODY_JSON, .body_max = 512 << 10, .fields = connection_fields,
     .answer = "Connection", .codes = "piece_not_found invalid_connection connection_name_taken too_many_connections",
     .run = connections_api_put},
    {COMMON, .method = "DELETE", .path = "/api/connections/:connection", .id = "deleteConnection",
     .summary = "Forget a connection and its values.",
     .scope = SCOPE_DEPLOY, .permission = PERMISSION_CONNECT, .answer = "Connection", .codes = "connection_not_found",
     .run = connections_api_delete},
};

#define TEXT "{\"type\":\"string\"}"
#define TIME "{\"type\":\"string\",\"format\":\"date-time\"}"
#define TEXTS "{\"type\":\"array\",\"items\":" TEXT "}"
#define LIST_OF(name) "\"" name "List\":{\"type\":\"object\",\"required\":[\"data\",\"next\",\"previous\"],\"properties\":{\"data\":{\"type\":\"array\",\"items\":{" \
    "\"$ref\":\"#/components/schemas/" name "\"}},\"next\":{\"type\":[\"string\",\"null\"]},\"previous\":{\"type\":[\"string\",\"null\"]}}}"
static const char schemas[] =
    "{\"Piece\":{\"type\":\"object\",\"required\":[\"id\",\"slug\",\"displayName\",\"version\",\"tier\",\"description\",\"pieceNames\",\"userSecrets\",\"userFields\",\"hasApp\"],"
    "\"properties\":{\"id\":" TEXT ",\"slug\":" TEXT ",\"displayName\":" TEXT ",\"version\":" TEXT ",\"tier\":" TEXT ",\"description\":{\"type\":[\"string\",\"null\"]},"
    "\"pieceNames\":" TEXTS ",\"userSecrets\":{\"type\":\"object\"},\"userFields\":{\"type\":\"object\"},\"hasApp\":{\"type\":\"boolean\"},"
    "\"offered\":{\"type\":\"boolean\"},\"tags\":" TEXTS ",\"createdAt\":" TIME ",\"updatedAt\":" TIME "}}," LIST_OF("Piece") ","
    "\"Flow\":{\"type\":\"object\",\"required\":[\"id\",\"slug\",\"displayName\",\"status\",\"publicAppUrl\",\"plugin\",\"createdAt\"],"
    "\"properties\":{\"id\":" TEXT ",\"slug\":" TEXT ",\"displayName\":" TEXT ",\"status\":{\"enum\":[\"ENABLED\",\"DISABLED\"]},"
    "\"publicAppUrl\":{\"type\":[\"string\",\"null\"]},\"plugin\":{\"type\":\"object\",\"properties\":{\"id\":" TEXT ",\"slug\":" TEXT ","
    "\"displayName\":" TEXT ",\"version\":" TEXT "}},\"createdAt\":" TIME "}}," LIST_OF("Flow") ","
    "\"Connection\":{\"type\":\"object\",\"required\":[\"id\",\"externalId\",\"displayName\",\"pieceName\",\"pluginId\",\"status\",\"createdAt\",\"updatedAt\"],"
    "\"properties\":{\"id\":" TEXT ",\"externalId\":" TEXT ",\"displayName\":" TEXT ",\"pieceName\":" TEXT ",\"pluginId\":" TEXT ","
    "\"status\":{\"enum\":[\"ACTIVE\",\"ERROR\"]},\"createdAt\":" TIME ",\"updatedAt\":" TIME "}}," LIST_OF("Connection") "}";
// clang-format on

// --- what other features are answered ---

static enum fail on_delete_ask(struct db *db, const struct plugin *p, json_t *what,
                               bool *ret_has_data, struct fault *fault)
{
    int64_t count = 0;
    enum fail fail = connection_query_count(db, p->id, &count, fault);
    if (fail == FAIL_NONE && count != 0)
        json_object_set_new(what, "connections", json_integer((json_int_t)count));
    return fail;
}

void embed_catalogue_init(const struct embed_catalogue_options *o)
{
    static const struct catalog_hooks hooks = {.on_find_offered = piece_find_offered,
                                               .on_find_connected = connection_values_find,
                                               .on_delete_ask = on_delete_ask};
    options = *o;
    catalog_hooks_add(&hooks);
}

struct service *embed_catalogue_service(void)
{
    static struct service service = {.name = "catalogue",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas};
    return &service;
}

// --- another master key ---

static void on_tend(struct job *j)
{
    struct fault fault = {0};
    if (connections_reseal(db_of_thread(), &fault) != FAIL_NONE)
        log_warn("connections were not looked through", "reason=%s",
                 LOG_STR(str_from(fault.log_text[0] != '\0' ? fault.log_text : fault.public_text)));
}

static void on_tended(struct job *j)
{
    free(j);
}

void embed_connections_tend(void)
{
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->run = on_tend;
    j->done = on_tended;
    if (pool_post(LANE_INGEST, j) != FAIL_NONE)
        free(j); // busy: the next time will do
}
