// Platforms, and the table of what is asked about them, their projects, their users and their trail.
#include "embed/platforms.h"
#include <stdio.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/http/call_fields.h"
#include "embed/embed.h"

// --- what the files share ---

enum fail platform_page_of(const struct call *call, struct page *ret, struct fault *fault)
{
    unsigned limit = 0;
    enum fail f = call_limit(call, &limit, fault);
    return f == FAIL_NONE ? page_init(ret, call_query(call, "cursor"), limit, fault) : f;
}

struct page_key platform_key_of(const struct db_rows *rows, size_t row)
{
    struct page_key key = {.at = db_get_int(rows, row, 1)};
    snprintf(key.id, sizeof key.id, "%.*s", STR_FMT(db_get(rows, row, 0)));
    return key;
}

json_t *platform_time_json(int64_t real_ms)
{
    char text[CLOCK_RFC3339_ROOM];
    if (real_ms == 0)
        return json_null();
    clock_rfc3339(real_ms, text);
    return json_string(text);
}

json_t *platform_text_json(const struct db_rows *rows, size_t row, size_t column)
{
    return db_is_null(rows, row, column) ? json_null() : jsonx_string(db_get(rows, row, column));
}

enum fail platform_make_token(const struct call *call, const char *project_id, str name,
                              enum scope scope, struct token_row *ret,
                              char ret_secret[static AUTH_TOKEN_ROOM], struct fault *fault)
{
    struct token_wish wish = {.maker = call->principal,
                              .project_id = project_id,
                              .name = name,
                              .scope = scope,
                              .request_id = call->request_id,
                              .address = call->peer};
    return token_make(call->db, &wish, ret_secret, ret, fault);
}

// --- platforms ---

static json_t *platform_json(const struct platform *p)
{
    return json_pack("{ss ss ss ss so}", "id", p->id, "slug", p->slug, "displayName",
                     p->display_name, "ownerProjectId", p->owner_project_id, "createdAt",
                     platform_time_json(p->created_at));
}

json_t *platform_row_json(const struct db_rows *rows, size_t row)
{
    return json_pack("{so so so so so}", "id", platform_text_json(rows, row, 0), "slug",
                     platform_text_json(rows, row, 2), "displayName",
                     platform_text_json(rows, row, 3), "ownerProjectId",
                     platform_text_json(rows, row, 4), "createdAt",
                     platform_time_json(db_get_int(rows, row, 1)));
}

// A label of {console origin}/p/{slug}.
static bool is_slug(str s)
{
    bool ok = s.n >= 3 && s.n <= 40 && s.p[0] != '-' && s.p[s.n - 1] != '-';
    for (size_t i = 0; ok && i != s.n; ++i)
        ok = (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-';
    return ok;
}

static str slug_field(const struct call *call, struct answer *answer)
{
    str slug = jsonx_str(call->json, "slug");
    if (!is_slug(slug))
        call_refuse_field(answer, "slug",
                          "This must have 3 to 40 of a-z, 0-9 and -, with no - at either end.");
    return slug;
}

static enum fail audit_created(const struct call *call, const struct platform *p,
                               struct fault *fault)
{
    json_auto_t *facts = json_pack("{ss}", "slug", p->slug);
    enum fail f =
        audit_append(call->db, p->owner_project_id, call->principal->token_id, "platform.create",
                     p->id, call->request_id, call->peer, facts, fault);
    return f == FAIL_NONE ? audit_append(call->db, p->owner_project_id, call->principal->token_id,
                                         "project.create", p->owner_project_id, call->request_id,
                                         call->peer, NULL, fault)
                          : f;
}

enum fail platform_api_create(struct call *call, struct answer *answer, struct fault *fault)
{
    char secret[AUTH_TOKEN_ROOM];
    struct platform platform;
    struct token_row token;
    json_auto_t *project = NULL;
    str slug = slug_field(call, answer), name = call_name_field(call, answer, "displayName");
    enum fail f = call_fields_verdict(answer, fault);
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = token_lock(call->db, fault);
    if (f == FAIL_NONE)
        f = platform_create(call->db, slug, name, &platform, fault);
    if (f == FAIL_NONE)
        f = audit_created(call, &platform, fault);
    if (f == FAIL_NONE)
        f = platform_make_token(call, platform.owner_project_id, STR("first platform token"),
                                SCOPE_PLATFORM, &token, secret, fault);
    if (f == FAIL_NONE)
        f = platform_find_project(call->db, platform.id, str_from(platform.owner_project_id),
                                  &project, fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f != FAIL_NONE)
        return f;
    answer->json = platform_json(&platform);
    json_object_set(answer->json, "ownerProject", project);
    json_object_set_new(answer->json, "tokenId", json_string(token.id));
    json_object_set_new(answer->json, "token", json_string(secret));
    explicit_bzero(secret, sizeof secret);
    return FAIL_NONE;
}

enum fail platform_api_list(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    DB_ROWS_AUTO rows = NULL;
    enum fail f = platform_page_of(call, &page, fault);
    if (f == FAIL_NONE)
        f = platform_query_page(call->db, &page, &rows, fault);
    if (f == FAIL_NONE)
        answer->json = page_rows_json(&page, rows, platform_row_json, platform_key_of);
    return f;
}

enum fail platform_api_get(struct call *call, struct answer *answer, struct fault *fault)
{
    struct platform platform;
    enum fail f = platform_find(call->db, call->params[0], &platform, fault);
    if (f == FAIL_NONE)
        answer->json = platform_json(&platform);
    return f;
}

// For a platform that has lost its own: they go with the operator's token that made them, too.
enum fail platform_api_create_token(struct call *call, struct answer *answer, struct fault *fault)
{
    char secret[AUTH_TOKEN_ROOM];
    struct platform platform;
    struct token_row token;
    str name = call_name_field(call, answer, "name");
    enum fail f = call_fields_verdict(answer, fault);
    if (f == FAIL_NONE)
        f = platform_find(call->db, call->params[0], &platform, fault);
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = platform_make_token(call, platform.owner_project_id, name, SCOPE_PLATFORM, &token,
                                secret, fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f != FAIL_NONE)
        return f;
    answer->json = token_json(&token);
    json_object_set_new(answer->json, "token", json_string(secret));
    explicit_bzero(secret, sizeof secret);
    return FAIL_NONE;
}

// --- the table ---

#define PAGE_FIELDS                                                                                \
    {"limit", "integer", false, "How many to show, 1 to 100; 50 when left out."},                  \
    {                                                                                              \
        "cursor", "string", false, "`next` or `previous` of another page."                         \
    }
static const struct endpoint_field page_fields[] = {PAGE_FIELDS, {0}};
static const struct endpoint_field project_query[] = {
    PAGE_FIELDS,
    {"externalId", "string", false, "Only the project that the platform calls so."},
    {0}};
static const struct endpoint_field user_query[] = {
    PAGE_FIELDS,
    {"externalId", "string", false, "Only the user that the platform calls so."},
    {"projectId", "string", false, "Only users who are members of this project."},
    {0}};
static const struct endpoint_field event_query[] = {
    PAGE_FIELDS, {"projectId", "string", false, "Only what happened in this project."}, {0}};
static const struct endpoint_field platform_fields[] = {
    {"displayName", "string", true, "What people call it, 1 to 100 characters."},
    {"slug", "string", true, "3 to 40 of a-z, 0-9 and -: it stands in {console origin}/p/{slug}."},
    {0}};
static const struct endpoint_field token_fields[] = {
    {"name", "string", true, "What people call it, 1 to 100 characters."}, {0}};
static const struct endpoint_field project_fields[] = {
    {"displayName", "string", true, "What people call it, 1 to 100 characters."},
    {"externalId", "string", false,
     "With a platform token: what its provisioning tokens call the project, 1 to 256 characters."},
    {0}};
static const struct endpoint_field project_change[] = {
    {"displayName", "string", false, "What people call it, 1 to 100 characters."}, {0}};
static const struct endpoint_field user_change[] = {
    {"status", "string", true, "ACTIVE or INACTIVE, which ends the user's sessions."}, {0}};

static const struct endpoint endpoints[] = {
    {.method = "POST",
     .path = "/api/platforms",
     .id = "createPlatform",
     .summary =
         "Makes a platform, its owner project and its first token, which is shown only here.",
     .scope = SCOPE_OPERATOR,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .body = BODY_JSON,
     .body_max = 16384,
     .fields = platform_fields,
     .answer = "NewPlatform",
     .success = 201,
     .codes = "invalid_request platform_slug_taken",
     .run = platform_api_create},
    {.method = "GET",
     .path = "/api/platforms",
     .id = "listPlatforms",
     .summary = "The platforms, newest first.",
     .scope = SCOPE_OPERATOR,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .query = page_fields,
     .answer = "PlatformList",
     .success = 200,
     .codes = "invalid_cursor",
     .run = platform_api_list},
    {.method = "GET",
     .path = "/api/platforms/:platform",
     .id = "getPlatform",
     .summary = "A platform, by its id or slug.",
     .scope = SCOPE_OPERATOR,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .answer = "Platform",
     .success = 200,
     .codes = "platform_not_found",
     .run = platform_api_get},
    {.method = "POST",
     .path = "/api/platforms/:platform/tokens",
     .id = "createPlatformToken",
     .summary = "Makes another token of the platform, for one that has lost its own.",
     .scope = SCOPE_OPERATOR,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .body = BODY_JSON,
     .body_max = 16384,
     .fields = token_fields,
     .answer = "NewToken",
     .success = 201,
     .codes = "invalid_request platform_not_found",
     .run = platform_api_create_token},
    {.method = "POST",
     .path = "/api/projects",
     .id = "createProject",
     .summary = "Makes a project, its owner and its first token, which is shown only here. With a "
                "platform token the project is the platform's; the operator's makes one of none.",
     .scope = SCOPE_ADMIN, // of an operator or a platform, says the function
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .body = BODY_JSON,
     .body_max = 16384,
     .fields = project_fields,
     .answer = "NewProject",
     .success = 201,
     .codes = "invalid_request external_id_taken",
     .run = platform_api_create_project},
    {.method = "GET",
     .path = "/api/projects",
     .id = "listProjects",
     .summary = "The platform's projects, newest first, its owner project among them.",
     .scope = SCOPE_PLATFORM,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .query = project_query,
     .answer = "ProjectList",
     .success = 200,
     .codes = "invalid_cursor platform_token_needed",
     .run = platform_api_list_projects},
    {.method = "GET",
     .path = "/api/projects/:project",
     .id = "getProject",
     .summary = "One of the platform's projects.",
     .scope = SCOPE_PLATFORM,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .answer = "Project",
     .success = 200,
     .codes = "project_not_found platform_token_needed",
     .run = platform_api_get_project},
    {.method = "PATCH",
     .path = "/api/projects/:project",
     .id = "changeProject",
     .summary = "Changes what people call one of the platform's projects.",
     .scope = SCOPE_PLATFORM,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .body = BODY_JSON,
     .body_max = 16384,
     .fields = project_change,
     .answer = "Project",
     .success = 200,
     .codes = "invalid_request project_not_found platform_token_needed",
     .run = platform_api_change_project},
    {.method = "GET",
     .path = "/api/users",
     .id = "listUsers",
     .summary = "The platform's users and what they are in which project, newest first.",
     .scope = SCOPE_PLATFORM,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .query = user_query,
     .answer = "UserList",
     .success = 200,
     .codes = "invalid_cursor platform_token_needed",
     .run = platform_api_list_users},
    {.method = "GET",
     .path = "/api/users/:user",
     .id = "getUser",
     .summary = "One of the platform's users.",
     .scope = SCOPE_PLATFORM,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .answer = "User",
     .success = 200,
     .codes = "user_not_found platform_token_needed",
     .run = platform_api_get_user},
    {.method = "PATCH",
     .path = "/api/users/:user",
     .id = "changeUser",
     .summary =
         "Switches one of the platform's users off, which ends all of their sessions, or on.",
     .scope = SCOPE_PLATFORM,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .body = BODY_JSON,
     .body_max = 16384,
     .fields = user_change,
     .answer = "User",
     .success = 200,
     .codes = "invalid_request user_not_found platform_token_needed",
     .run = platform_api_change_user},
    {.method = "GET",
     .path = "/api/audit-events",
     .id = "listAuditEvents",
     .summary = "What was changed, by whom and from where, newest first: in the token's project, "
                "or with a platform token in all of the platform's.",
     .scope = SCOPE_ADMIN,
     .permission = PERMISSION_NONE,
     .lane = LANE_API,
     .query = event_query,
     .answer = "AuditEventList",
     .success = 200,
     .codes = "invalid_cursor project_not_found",
     .run = platform_api_list_events},
};

#define TIME "{\"type\":\"string\",\"format\":\"date-time\"}"
#define TIME_OR_NULL "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define TEXT "{\"type\":\"string\"}"
#define TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"
#define LIST_OF(name)                                                                              \
    "{\"type\":\"object\",\"required\":[\"data\",\"next\",\"previous\"],\"properties\":{"          \
    "\"data\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/" name "\"}},"        \
    "\"next\":" TEXT_OR_NULL ",\"previous\":" TEXT_OR_NULL "}}"

// clang-format off
static const char schemas[] = "{"
"\"Platform\":{\"type\":\"object\",\"required\":[\"id\",\"slug\",\"displayName\",\"ownerProjectId\",\"createdAt\"],\"properties\":{"
"\"id\":" TEXT ",\"slug\":" TEXT ",\"displayName\":" TEXT ",\"ownerProjectId\":" TEXT ",\"createdAt\":" TIME "}},"
"\"NewPlatform\":{\"allOf\":[{\"$ref\":\"#/components/schemas/Platform\"},{\"type\":\"object\",\"required\":[\"ownerProject\",\"tokenId\",\"token\"],\"properties\":{"
"\"ownerProject\":{\"$ref\":\"#/components/schemas/Project\"},\"tokenId\":" TEXT ",\"token\":" TEXT "}}]},"
"\"PlatformList\":" LIST_OF("Platform") ","
"\"Project\":{\"type\":\"object\",\"required\":[\"id\",\"displayName\",\"ownerId\",\"platformId\",\"externalId\",\"isOwnerProject\",\"piecesFilterType\",\"piecesTags\",\"createdAt\"],\"properties\":{"
"\"id\":" TEXT ",\"displayName\":" TEXT ",\"ownerId\":" TEXT ",\"platformId\":" TEXT_OR_NULL ",\"externalId\":" TEXT_OR_NULL ","
"\"isOwnerProject\":{\"type\":\"boolean\"},\"piecesFilterType\":{\"enum\":[\"NONE\",\"ALLOWED\"]},"
"\"piecesTags\":{\"type\":\"array\",\"items\":" TEXT "},\"createdAt\":" TIME "}},"
"\"NewProject\":{\"allOf\":[{\"$ref\":\"#/components/schemas/Project\"},{\"type\":\"object\",\"required\":[\"tokenId\",\"token\"],\"properties\":{"
"\"tokenId\":" TEXT ",\"token\":" TEXT "}}]},"
"\"ProjectList\":" LIST_OF("Project") ","
"\"User\":{\"type\":\"object\",\"required\":[\"id\",\"externalId\",\"firstName\",\"lastName\",\"displayName\",\"email\",\"status\",\"platformId\",\"platformRole\",\"projects\",\"lastSeenAt\",\"createdAt\"],\"properties\":{"
"\"id\":" TEXT ",\"externalId\":" TEXT ",\"firstName\":" TEXT ",\"lastName\":" TEXT ",\"displayName\":" TEXT ",\"email\":" TEXT_OR_NULL ","
"\"status\":{\"enum\":[\"ACTIVE\",\"INACTIVE\"]},\"platformId\":" TEXT ",\"platformRole\":{\"const\":\"MEMBER\"},"
"\"projects\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"projectId\",\"externalId\",\"role\"],\"properties\":{"
"\"projectId\":" TEXT ",\"externalId\":" TEXT_OR_NULL ",\"role\":{\"enum\":[\"Admin\",\"Editor\",\"Viewer\",\"Operator\"]}}}},"
"\"lastSeenAt\":" TIME_OR_NULL ",\"createdAt\":" TIME "}},"
"\"UserList\":" LIST_OF("User") ","
"\"AuditEvent\":{\"type\":\"object\",\"required\":[\"id\",\"projectId\",\"at\",\"actor\",\"action\",\"subject\",\"requestId\",\"address\",\"facts\"],\"properties\":{"
"\"id\":" TEXT ",\"projectId\":" TEXT ",\"at\":" TIME ",\"actor\":" TEXT ",\"action\":" TEXT ",\"subject\":" TEXT ","
"\"requestId\":" TEXT_OR_NULL ",\"address\":" TEXT_OR_NULL ",\"facts\":{\"type\":[\"object\",\"null\"]}}},"
"\"AuditEventList\":" LIST_OF("AuditEvent")
"}";
// clang-format on

struct service *embed_platforms_service(void)
{
    static struct service service = {.name = "platforms",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas};
    return &service;
}
