// The management endpoints about tokens and projects.
#include "edge/auth/auth.h"
#include <stdio.h>
#include "edge/auth/internal.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/catalog.h"

// --- fields, all that is wrong with them at once ---

static json_t *wrong_of(struct answer *answer)
{
    if (answer->details == NULL)
        answer->details = json_pack("{s{}}", "fields");
    return json_object_get(answer->details, "fields");
}

static void refuse_field(struct answer *answer, const char *field, const char *why)
{
    json_object_set_new(wrong_of(answer), field, json_string(why));
}

static enum fail verdict(const struct answer *answer, struct fault *fault)
{
    if (answer->details == NULL)
        return FAIL_NONE;
    return fault_set(fault, FAIL_REFUSED, "invalid_request",
                     "Some fields of the request cannot be accepted; details.fields says which and "
                     "why.");
}

// 1 to TOKEN_NAME_MAX characters, not only spaces, no control characters (C0, DEL, C1). Valid
// UTF-8, as all JSON.
static bool is_name(str s)
{
    size_t characters = 0, spaces = 0;
    for (size_t i = 0; i != s.n; ++i) {
        unsigned char c = (unsigned char)s.p[i];
        bool is_c1 = c == 0xc2 && i + 1 != s.n && (unsigned char)s.p[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || is_c1)
            return false;
        characters += (c & 0xc0) != 0x80;
        spaces += c == ' ';
    }
    return spaces != characters && characters <= TOKEN_NAME_MAX;
}

static str name_field(const struct call *call, struct answer *answer, const char *field)
{
    str name = jsonx_str(call->json, field);
    if (!is_name(name))
        refuse_field(answer, field,
                     "This must have 1 to 100 characters, none of them control characters.");
    return name;
}

static enum scope scope_field(const struct call *call, struct answer *answer)
{
    enum scope scope = auth_scope_of(jsonx_str(call->json, "scope"));
    if (scope < SCOPE_READ || scope > SCOPE_ADMIN)
        refuse_field(answer, "scope", "This must be read, deploy or admin.");
    return scope;
}

static int64_t expiry_field(const struct call *call, struct answer *answer)
{
    int64_t at = 0;
    str text = jsonx_str(call->json, "expiresAt");
    if (text.p == NULL)
        return 0;
    if (!clock_from_rfc3339(text, &at))
        refuse_field(answer, "expiresAt",
                     "This must be an RFC 3339 time, such as 2030-01-31T12:00:00Z.");
    else if (at <= clock_real_ms())
        refuse_field(answer, "expiresAt", "This must be in the future.");
    return at;
}

// --- tokens ---

static struct page_key key_of(const struct token_row *t)
{
    struct page_key key = {.at = t->created_at};
    snprintf(key.id, sizeof key.id, "%s", t->id);
    return key;
}

static json_t *list_json(const struct page *page, const struct token_row *list, size_t fetched)
{
    struct page_key first = {0}, last = {0};
    size_t shown = page_shown(page, fetched);
    json_t *data = json_array();
    for (size_t i = 0; i != shown; ++i)
        json_array_append_new(data, token_json(&list[page_row(page, fetched, i)]));
    if (shown != 0) {
        first = key_of(&list[page_row(page, fetched, 0)]);
        last = key_of(&list[page_row(page, fetched, shown - 1)]);
    }
    return page_json(page, data, fetched, &first, &last);
}

static enum fail list_tokens(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    struct token_row *list AUTOFREE = NULL;
    size_t fetched = 0;
    unsigned limit = 0;
    enum fail f = call_limit(call, &limit, fault);
    if (f == FAIL_NONE)
        f = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (f == FAIL_NONE)
        f = auth_query_token_page(call->db, call->principal->project_id, &page, &list, &fetched,
                                  fault);
    if (f == FAIL_NONE)
        answer->json = list_json(&page, list, fetched);
    return f;
}

static enum fail create_token(struct call *call, struct answer *answer, struct fault *fault)
{
    char secret[AUTH_TOKEN_ROOM];
    struct token_row token;
    struct token_wish wish = {.maker = call->principal,
                              .project_id = call->principal->project_id,
                              .name = name_field(call, answer, "name"),
                              .scope = scope_field(call, answer),
                              .expires_at = expiry_field(call, answer),
                              .request_id = call->request_id,
                              .address = call->peer};
    enum fail f = verdict(answer, fault);
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = token_make(call->db, &wish, secret, &token, fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f != FAIL_NONE)
        return f;
    answer->json = token_json(&token);
    json_object_set_new(answer->json, "token", json_string(secret));
    explicit_bzero(secret, sizeof secret);
    return FAIL_NONE;
}

static enum fail revoke_token(struct call *call, struct answer *answer, struct fault *fault)
{
    struct token_row token;
    enum fail f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = token_revoke(call->db, call->principal, call->params[0], call->request_id, call->peer,
                         &token, fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f == FAIL_NONE)
        answer->json = token_json(&token);
    return f;
}

// --- projects ---

struct new_project {
    char id[CATALOG_ID_ROOM], owner[37], secret[AUTH_TOKEN_ROOM];
    struct token_row token;
};

static enum fail make_project(struct call *call, str name, struct new_project *ret,
                              struct fault *fault)
{
    const struct principal *maker = call->principal;
    enum fail f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = auth_query_lock_tokens(call->db, fault); // before the trail's lock, as everywhere
    if (f == FAIL_NONE)
        f = catalog_project_create(call->db, name, ret->id, ret->owner, fault);
    if (f == FAIL_NONE)
        f = audit_append(call->db, ret->id, maker->token_id, "project.create", ret->id,
                         call->request_id, call->peer, NULL, fault);
    struct token_wish wish = {.maker = maker,
                              .project_id = ret->id,
                              .name = STR("first token"),
                              .scope = SCOPE_ADMIN,
                              .request_id = call->request_id,
                              .address = call->peer};
    if (f == FAIL_NONE)
        f = token_make(call->db, &wish, ret->secret, &ret->token, fault);
    return f == FAIL_NONE ? db_commit(call->db, fault) : f;
}

static enum fail create_project(struct call *call, struct answer *answer, struct fault *fault)
{
    struct new_project made;
    char created_at[CLOCK_RFC3339_ROOM];
    str name = name_field(call, answer, "displayName");
    enum fail f = verdict(answer, fault);
    if (f == FAIL_NONE)
        f = make_project(call, name, &made, fault);
    if (f != FAIL_NONE)
        return f;
    clock_rfc3339(made.token.created_at, created_at); // of the same transaction
    answer->json = json_pack("{ss so ss ss ss ss}", "id", made.id, "displayName",
                             jsonx_string(name), "ownerId", made.owner, "createdAt", created_at,
                             "tokenId", made.token.id, "token", made.secret);
    explicit_bzero(made.secret, sizeof made.secret);
    return FAIL_NONE;
}

// --- the table ---

static const struct endpoint_field page_fields[] = {
    {"limit", "integer", false, "How many to show, 1 to 100; 50 when left out."},
    {"cursor", "string", false, "`next` or `previous` of another page."},
    {0},
};
static const struct endpoint_field token_fields[] = {
    {"name", "string", true, "What people call it, 1 to 100 characters."},
    {"scope", "string", true, "read, deploy or admin."},
    {"expiresAt", "string", false,
     "RFC 3339; when left out it lives as long as the token that makes it."},
    {0},
};
static const struct endpoint_field project_fields[] = {
    {"displayName", "string", true, "What people call it, 1 to 100 characters."},
    {0},
};

const struct endpoint auth_endpoints[] = {
    {.method = "GET",
     .path = "/api/tokens",
     .id = "listTokens",
     .summary = "The project's API tokens that have not been revoked, newest first.",
     .scope = SCOPE_ADMIN,
     .query = page_fields,
     .answer = "TokenList",
     .success = 200,
     .codes = "invalid_cursor",
     .run = list_tokens},
    {.method = "POST",
     .path = "/api/tokens",
     .id = "createToken",
     .summary = "Makes an API token; the answer is the only place it is ever shown.",
     .scope = SCOPE_ADMIN,
     .body = BODY_JSON,
     .body_max = 16384,
     .fields = token_fields,
     .answer = "NewToken",
     .success = 201,
     .codes = "invalid_request expires_too_late",
     .run = create_token},
    {.method = "DELETE",
     .path = "/api/tokens/:token",
     .id = "revokeToken",
     .summary = "Revokes an API token and all that were made with it.",
     .scope = SCOPE_ADMIN,
     .answer = "Token",
     .success = 200,
     .codes = "token_not_found",
     .run = revoke_token},
    {.method = "POST",
     .path = "/api/projects",
     .id = "createProject",
     .summary = "Makes a project, its owner and its first token, which is shown only here.",
     .scope = SCOPE_OPERATOR,
     .body = BODY_JSON,
     .body_max = 16384,
     .fields = project_fields,
     .answer = "NewProject",
     .success = 201,
     .codes = "invalid_request",
     .run = create_project},
};
const size_t auth_endpoint_count = sizeof auth_endpoints / sizeof auth_endpoints[0];

#define TIME_SCHEMA "{\"type\":\"string\",\"format\":\"date-time\"}"
#define TIME_OR_NULL "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define TEXT_SCHEMA "{\"type\":\"string\"}"
#define TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"

const char auth_schemas[] =
    "{\"Token\":{\"type\":\"object\",\"required\":[\"id\",\"name\",\"scope\",\"createdAt\","
    "\"expiresAt\",\"lastUsedAt\",\"createdBy\"],\"properties\":{"
    "\"id\":" TEXT_SCHEMA ",\"name\":" TEXT_SCHEMA ","
    "\"scope\":{\"enum\":[\"read\",\"deploy\",\"admin\",\"operator\"]},"
    "\"createdAt\":" TIME_SCHEMA ",\"expiresAt\":" TIME_OR_NULL ",\"lastUsedAt\":" TIME_OR_NULL ","
    "\"createdBy\":" TEXT_OR_NULL "}},"
    "\"NewToken\":{\"allOf\":[{\"$ref\":\"#/components/schemas/Token\"},"
    "{\"type\":\"object\",\"required\":[\"token\"],\"properties\":{\"token\":" TEXT_SCHEMA "}}]},"
    "\"TokenList\":{\"type\":\"object\",\"required\":[\"data\",\"next\",\"previous\"],"
    "\"properties\":{\"data\":{\"type\":\"array\","
    "\"items\":{\"$ref\":\"#/components/schemas/Token\"}},"
    "\"next\":" TEXT_OR_NULL ",\"previous\":" TEXT_OR_NULL "}},"
    "\"NewProject\":{\"type\":\"object\",\"required\":[\"id\",\"displayName\",\"ownerId\","
    "\"createdAt\",\"tokenId\",\"token\"],\"properties\":{"
    "\"id\":" TEXT_SCHEMA ",\"displayName\":" TEXT_SCHEMA ",\"ownerId\":" TEXT_SCHEMA ","
    "\"createdAt\":" TIME_SCHEMA ",\"tokenId\":" TEXT_SCHEMA ",\"token\":" TEXT_SCHEMA "}}}";
