// The management endpoints about tokens.
#include "edge/auth/auth.h"
#include <stdio.h>
#include "edge/auth/internal.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/http/call_fields.h"

// --- fields ---

static enum scope scope_field(const struct call *call, struct answer *answer)
{
    enum scope scope = auth_scope_of(jsonx_str(call->json, "scope"));
    if (scope < SCOPE_READ || scope > SCOPE_PLATFORM)
        call_refuse_field(answer, "scope", "This must be read, deploy, admin or platform.");
    return scope;
}

static int64_t expiry_field(const struct call *call, struct answer *answer)
{
    int64_t at = 0;
    str text = jsonx_str(call->json, "expiresAt");
    if (text.p == NULL)
        return 0;
    if (!clock_from_rfc3339(text, &at))
        call_refuse_field(answer, "expiresAt",
                          "This must be an RFC 3339 time, such as 2030-01-31T12:00:00Z.");
    else if (at <= clock_real_ms())
        call_refuse_field(answer, "expiresAt", "This must be in the future.");
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
                              .name = call_name_field(call, answer, "name"),
                              .scope = scope_field(call, answer),
                              .expires_at = expiry_field(call, answer),
                              .request_id = call->request_id,
                              .address = call->peer};
    enum fail f = call_fields_verdict(answer, fault);
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

// --- the table ---

static const struct endpoint_field page_fields[] = {
    {"limit", "integer", false, "How many to show, 1 to 100; 50 when left out."},
    {"cursor", "string", false, "`next` or `previous` of another page."},
    {0},
};
static const struct endpoint_field token_fields[] = {
    {"name", "string", true, "What people call it, 1 to 100 characters."},
    {"scope", "string", true, "read, deploy or admin; platform with a platform token."},
    {"expiresAt", "string", false,
     "RFC 3339; when left out it lives as long as the token that makes it."},
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
     .codes = "invalid_request expires_too_late platform_token_needed",
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
    "\"scope\":{\"enum\":[\"read\",\"deploy\",\"admin\",\"platform\",\"operator\"]},"
    "\"createdAt\":" TIME_SCHEMA ",\"expiresAt\":" TIME_OR_NULL ",\"lastUsedAt\":" TIME_OR_NULL ","
    "\"createdBy\":" TEXT_OR_NULL "}},"
    "\"NewToken\":{\"allOf\":[{\"$ref\":\"#/components/schemas/Token\"},"
    "{\"type\":\"object\",\"required\":[\"token\"],\"properties\":{\"token\":" TEXT_SCHEMA "}}]},"
    "\"TokenList\":{\"type\":\"object\",\"required\":[\"data\",\"next\",\"previous\"],"
    "\"properties\":{\"data\":{\"type\":\"array\","
    "\"items\":{\"$ref\":\"#/components/schemas/Token\"}},"
    "\"next\":" TEXT_OR_NULL ",\"previous\":" TEXT_OR_NULL "}}}";
