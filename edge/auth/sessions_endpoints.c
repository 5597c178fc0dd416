// The requests about sessions: renewal and the end of one's own by the session itself; looking at
// them and ending them by the platform's token; and the public halves of the keys that sign them.
#include <assert.h>
#include <stdio.h>
#include "edge/auth/sessions_internal.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/loop/shared.h"

static bool is_session(const struct principal *p)
{
    return p->role != ROLE_NONE;
}

static json_t *time_json(int64_t real_ms)
{
    char text[CLOCK_RFC3339_ROOM];
    if (real_ms == 0)
        return json_null();
    clock_rfc3339(real_ms, text);
    return json_string(text);
}

// --- renewal ---

static enum fail refresh(struct call *call, struct answer *answer, struct fault *fault)
{
    struct session_grant grant;
    if (!is_session(call->principal))
        return fault_set(fault, FAIL_DENIED, "session_needed",
                         "This renews the token of an embedded session; API tokens are not "
                         "renewed.");
    const struct auth_asker asker = {call->request_id, call->peer};
    enum fail f = session_refresh(call->db, call->principal, &asker, &grant, fault);
    if (f != FAIL_NONE)
        return f;
    answer->json =
        json_pack("{ss so so ss}", "token", grant.token, "expiresAt", time_json(grant.expires_at),
                  "endsAt", time_json(grant.ends_at), "projectName", grant.project_name);
    explicit_bzero(grant.token, sizeof grant.token);
    return FAIL_NONE;
}

// --- looking ---

static json_t *text_json(const struct db_rows *rows, size_t row, size_t column)
{
    return db_is_null(rows, row, column) ? json_null() : jsonx_string(db_get(rows, row, column));
}

static json_t *session_json(const struct db_rows *rows, size_t i)
{
    return json_pack("{so so so so so so so so so so}", "id", text_json(rows, i, 0), "userId",
                     text_json(rows, i, 1), "externalUserId", text_json(rows, i, 2), "projectId",
                     text_json(rows, i, 3), "externalProjectId", text_json(rows, i, 4), "keyId",
                     text_json(rows, i, 5), "role", text_json(rows, i, 6), "createdAt",
                     time_json(db_get_int(rows, i, 7)), "lastUsedAt",
                     time_json(db_get_int(rows, i, 8)), "endsAt",
                     time_json(db_get_int(rows, i, 9)));
}

static struct page_key key_of(const struct db_rows *rows, size_t i)
{
    struct page_key key = {.at = db_get_int(rows, i, 7)};
    snprintf(key.id, sizeof key.id, "%.*s", STR_FMT(db_get(rows, i, 0)));
    return key;
}

static enum fail list(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    DB_ROWS_AUTO rows = NULL;
    unsigned limit = 0;
    enum fail f = call_limit(call, &limit, fault);
    if (f == FAIL_NONE)
        f = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (f == FAIL_NONE)
        f = session_query_page(call->db, call->principal->platform_id, &page, &rows, fault);
    if (f == FAIL_NONE)
        answer->json = page_rows_json(&page, rows, session_json, key_of);
    return f;
}

// --- ending ---

static enum fail audit_end(const struct call *call, const char *subject, size_t count,
                           struct fault *fault)
{
    const struct principal *p = call->principal;
    json_auto_t *facts = json_pack("{sI}", "sessions", (json_int_t)count);
    return audit_append(call->db, p->project_id, p->token_id, "session.end", subject,
                        call->request_id, call->peer, facts, fault);
}

static enum fail end_found(struct call *call, struct answer *answer, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    size_t count = 0;
    str id = call->params[0];
    const char *platform = call->principal->platform_id;
    enum fail f = session_query_find(call->db, platform, id, &rows, fault);
    if (f == FAIL_NONE && db_count(rows) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "session_not_found",
                         "There is no such live session.");
    if (f == FAIL_NONE)
        f = session_end(call->db, platform, id, &count, fault);
    if (f == FAIL_NONE)
        f = audit_end(call, db_get(rows, 0, 0).p, count, fault);
    if (f == FAIL_NONE)
        answer->json = session_json(rows, 0);
    return f;
}

static enum fail end_one(struct call *call, struct answer *answer, struct fault *fault)
{
    const struct principal *p = call->principal;
    if (is_session(p) && !str_eq(call->params[0], str_from(p->token_id)))
        return fault_set(fault, FAIL_NOT_FOUND, "session_not_found",
                         "There is no such live session.");
    enum fail f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = end_found(call, answer, fault);
    return f == FAIL_NONE ? db_commit(call->db, fault) : f;
}

// Whose sessions: exactly one of the query's parameters.
struct cut {
    str user, project, key;
    bool all;
};

static enum fail read_cut(const struct call *call, struct cut *ret, struct fault *fault)
{
    *ret = (struct cut){.user = call_query(call, "userId"),
                        .project = call_query(call, "projectId"),
                        .key = call_query(call, "keyId")};
    enum fail f = call_query_bool(call, "all", false, &ret->all, fault);
    int given = (ret->user.p != NULL) + (ret->project.p != NULL) + (ret->key.p != NULL) + ret->all;
    if (f == FAIL_NONE && given != 1)
        return fault_set(fault, FAIL_REFUSED, "invalid_request",
                         "Say whose sessions are to end: userId, projectId or keyId, or all=true "
                         "for all of the platform.");
    return f;
}

static session_lock_key_fn lock_key;

void session_lock_keys_by(session_lock_key_fn lock)
{
    lock_key = lock;
}

static enum fail end_of_key(struct db *db, const char *platform, const char *key, size_t *ret,
                            struct fault *fault)
{
    assert(lock_key != NULL);
    enum fail f = lock_key(db, platform, str_from(key), fault);
    return f == FAIL_NONE ? session_end_of_key(db, platform, key, ret, fault) : f;
}

static enum fail end_cut(struct db *db, const char *platform, const struct cut *c,
                         const char *subject, size_t *ret, struct fault *fault)
{
    if (c->user.p != NULL)
        return session_end_of_user(db, platform, subject, ret, fault);
    if (c->project.p != NULL)
        return session_end_of_project(db, platform, subject, ret, fault);
    if (c->key.p != NULL)
        return end_of_key(db, platform, subject, ret, fault);
    return session_end_of_platform(db, platform, ret, fault);
}

static enum fail end_many(struct call *call, struct answer *answer, struct fault *fault)
{
    struct cut c;
    size_t count = 0;
    const char *platform = call->principal->platform_id;
    enum fail f = read_cut(call, &c, fault);
    if (f != FAIL_NONE)
        return f;
    char *subject AUTOFREE = str_dup(c.user.p != NULL      ? c.user
                                     : c.project.p != NULL ? c.project
                                     : c.key.p != NULL     ? c.key
                                                           : str_from(platform));
    f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = end_cut(call->db, platform, &c, subject, &count, fault);
    if (f == FAIL_NONE)
        f = audit_end(call, subject, count, fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f == FAIL_NONE)
        answer->json = json_pack("{sI}", "ended", (json_int_t)count);
    return f;
}

// --- public keys ---

static void on_jwks(struct request *r)
{
    str text;
    r->route = "jwks";
    if (!str_eq(r->path, STR("/.well-known/jwks.json"))) {
        reply_error(r, 404, "not_found", "There is nothing here.", NULL, 0);
        return;
    }
    if (r->method == METHOD_OPTIONS) {
        reply_options(r, "GET, HEAD, OPTIONS");
        return;
    }
    if (r->method != METHOD_GET && r->method != METHOD_HEAD) {
        reply_method_not_allowed(r, "GET, HEAD, OPTIONS");
        return;
    }
    struct shared *jwks = session_jwks(&text);
    if (jwks == NULL) {
        reply_error(r, 503, "starting", "The keys are not read yet. Try again in a moment.", NULL,
                    1);
        return;
    }
    reply_add(r, "content-type", STR("application/jwk-set+json"));
    reply_add(r, "cache-control", STR("public, max-age=300"));
    reply_add(r, "access-control-allow-origin", STR("*")); // public keys
    reply_bytes(r, 200, NULL, text, jwks);
    shared_unref(jwks);
}

// --- the table ---

static const struct endpoint_field page_fields[] = {
    {"limit", "integer", false, "How many to show, 1 to 100; 50 when left out."},
    {"cursor", "string", false, "`next` or `previous` of another page."},
    {0},
};
static const struct endpoint_field cut_fields[] = {
    {"userId", "string", false, "All sessions of this user."},
    {"projectId", "string", false, "All sessions in this project."},
    {"keyId", "string", false, "All sessions that tokens of this signing key began."},
    {"all", "boolean", false, "All sessions of the platform."},
    {0},
};

static const struct endpoint endpoints[] = {
    {.method = "POST",
     .path = "/api/authentication/session/refresh",
     .id = "refreshSession",
     .summary = "Gives the session that asks its next token; the one it asked with is used up.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .answer = "SessionToken",
     .success = 200,
     .codes = "session_needed session_ended session_expired",
     .run = refresh},
    {.method = "GET",
     .path = "/api/sessions",
     .id = "listSessions",
     .summary = "The platform's live embed sessions, newest first.",
     .scope = SCOPE_PLATFORM,
     .query = page_fields,
     .answer = "SessionList",
     .success = 200,
     .codes = "invalid_cursor",
     .run = list},
    {.method = "DELETE",
     .path = "/api/sessions/:session",
     .id = "endSession",
     .summary = "Ends a session at once: a platform's token any of its own, a session itself.",
     .scope = SCOPE_PLATFORM,
     .permission = PERMISSION_VIEW,
     .answer = "Session",
     .success = 200,
     .codes = "session_not_found",
     .run = end_one},
    {.method = "DELETE",
     .path = "/api/sessions",
     .id = "endSessions",
     .summary = "Ends at once all sessions of a user, in a project, of a signing key, or all of "
                "the platform.",
     .scope = SCOPE_PLATFORM,
     .query = cut_fields,
     .answer = "SessionsEnded",
     .success = 200,
     .codes = "invalid_request user_not_found project_not_found signing_key_not_found",
     .run = end_many},
};

#define TIME_SCHEMA "{\"type\":\"string\",\"format\":\"date-time\"}"
#define TIME_OR_NULL "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define TEXT_SCHEMA "{\"type\":\"string\"}"
#define TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"

static const char schemas[] =
    "{\"Session\":{\"type\":\"object\",\"required\":[\"id\",\"userId\",\"externalUserId\","
    "\"projectId\",\"externalProjectId\",\"keyId\",\"role\",\"createdAt\",\"lastUsedAt\","
    "\"endsAt\"],\"properties\":{"
    "\"id\":" TEXT_SCHEMA ",\"userId\":" TEXT_SCHEMA ",\"externalUserId\":" TEXT_OR_NULL ","
    "\"projectId\":" TEXT_SCHEMA ",\"externalProjectId\":" TEXT_OR_NULL ","
    "\"keyId\":" TEXT_SCHEMA ","
    "\"role\":{\"enum\":[\"Admin\",\"Editor\",\"Viewer\",\"Operator\"]},"
    "\"createdAt\":" TIME_SCHEMA ",\"lastUsedAt\":" TIME_OR_NULL ",\"endsAt\":" TIME_SCHEMA "}},"
    "\"SessionList\":{\"type\":\"object\",\"required\":[\"data\",\"next\",\"previous\"],"
    "\"properties\":{\"data\":{\"type\":\"array\","
    "\"items\":{\"$ref\":\"#/components/schemas/Session\"}},"
    "\"next\":" TEXT_OR_NULL ",\"previous\":" TEXT_OR_NULL "}},"
    "\"SessionToken\":{\"type\":\"object\",\"required\":[\"token\",\"expiresAt\",\"endsAt\","
    "\"projectName\"],\"properties\":{\"token\":" TEXT_SCHEMA ",\"expiresAt\":" TIME_SCHEMA ","
    "\"endsAt\":" TIME_SCHEMA ",\"projectName\":" TEXT_SCHEMA "}},"
    "\"SessionsEnded\":{\"type\":\"object\",\"required\":[\"ended\"],"
    "\"properties\":{\"ended\":{\"type\":\"integer\"}}}}";

struct service *session_service(void)
{
    static struct service service = {.name = "sessions",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas,
                                     .sites = 1 << SITE_CONSOLE,
                                     .prefix = "/.well-known/jwks.json",
                                     .on_request = on_jwks};
    return &service;
}
