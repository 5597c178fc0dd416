// Making and revoking tokens. Both take one lock first: without it a token could be made by another
// in the moment its maker is revoked, and stay.
#include "edge/auth/internal.h"
#include <assert.h>
#include <stdio.h>
#include "edge/base/clock.h"
#include "edge/base/token.h"
#include "edge/catalog/catalog.h"

static const char *const scope_names[] = {"none",  "read",     "deploy",
                                          "admin", "platform", "operator"};

const char *auth_scope_name(enum scope scope)
{
    return scope_names[scope];
}

enum scope auth_scope_of(str name)
{
    for (int s = SCOPE_READ; s <= SCOPE_OPERATOR; ++s) {
        if (str_eq(name, str_from(scope_names[s])))
            return (enum scope)s;
    }
    return SCOPE_NONE;
}

static void make_secret(char to[static AUTH_TOKEN_ROOM])
{
    uint8_t random[32];
    random_bytes(random, sizeof random);
    memcpy(to, "stoa_", 5);
    size_t n = base64url_encode(str_of(random, sizeof random), to + 5, AUTH_TOKEN_ROOM - 5);
    assert(n == 43);
    explicit_bzero(random, sizeof random);
}

enum fail token_lock(struct db *db, struct fault *fault)
{
    return auth_query_lock_tokens(db, fault);
}

// The operator has no platform, but makes them.
static enum fail check_scope(const struct token_wish *wish, struct fault *fault)
{
    const struct principal *maker = wish->maker;
    if (wish->scope == SCOPE_PLATFORM && maker->scope == SCOPE_OPERATOR &&
        strcmp(maker->project_id, wish->project_id) != 0)
        return FAIL_NONE;
    return auth_require(maker, wish->scope, fault);
}

// The maker as it is now, and what it allows.
static enum fail check_maker(struct db *db, const struct token_wish *wish, int64_t *expires_at,
                             struct fault *fault)
{
    struct token_row maker;
    enum fail f = check_scope(wish, fault);
    if (f == FAIL_NONE)
        f = auth_query_token_find(db, wish->maker->project_id, str_from(wish->maker->token_id),
                                  &maker, fault);
    if (f == FAIL_NOT_FOUND)
        return fault_set(fault, FAIL_UNAUTHORISED, "unauthorized",
                         "This token has been revoked. Use another one.");
    if (f != FAIL_NONE || maker.expires_at == 0)
        return f;
    if (*expires_at > maker.expires_at)
        return fault_set(fault, FAIL_REFUSED, "expires_too_late",
                         "A token cannot live longer than the one that makes it.");
    if (*expires_at == 0)
        *expires_at = maker.expires_at;
    return FAIL_NONE;
}

static enum fail audit_made(struct db *db, const struct token_wish *wish, const struct token_row *t,
                            struct fault *fault)
{
    json_auto_t *facts = json_pack("{ss ss}", "name", t->name, "scope", t->scope);
    return audit_append(db, t->project_id, wish->maker != NULL ? wish->maker->token_id : "system",
                        "token.create", t->id, wish->request_id, wish->address, facts, fault);
}

enum fail token_make(struct db *db, const struct token_wish *wish,
                     char ret_secret[static AUTH_TOKEN_ROOM], struct token_row *ret,
                     struct fault *fault)
{
    assert(db_is_in_transaction(db));
    const struct principal *maker = wish->maker;
    struct token_row t = {.expires_at = wish->expires_at};
    token_id("tok_", t.id);
    snprintf(t.project_id, sizeof t.project_id, "%s", wish->project_id);
    snprintf(t.name, sizeof t.name, "%.*s", STR_FMT(wish->name));
    snprintf(t.scope, sizeof t.scope, "%s", auth_scope_name(wish->scope));
    if (maker != NULL && strcmp(maker->project_id, wish->project_id) == 0)
        snprintf(t.created_by, sizeof t.created_by, "%s", maker->token_id);
    enum fail f = auth_query_lock_tokens(db, fault);
    if (f == FAIL_NONE && maker != NULL)
        f = check_maker(db, wish, &t.expires_at, fault);
    if (f != FAIL_NONE)
        return f;
    make_secret(ret_secret);
    struct digest sha256 = digest_sha256(str_of(ret_secret, AUTH_TOKEN_ROOM - 1));
    f = auth_query_token_insert(db, &t, maker != NULL ? maker->token_id : NULL, &sha256,
                                &t.created_at, fault);
    if (f == FAIL_NONE)
        f = audit_made(db, wish, &t, fault);
    if (f == FAIL_NONE)
        *ret = t;
    return f;
}

static enum fail audit_revoked(struct db *db, const struct principal *p, const char *root,
                               const struct db_rows *gone, const char *request_id, str address,
                               struct fault *fault)
{
    enum fail f = FAIL_NONE;
    for (size_t i = 0; f == FAIL_NONE && i != db_count(gone); ++i) {
        const char *id = db_get(gone, i, 0).p;
        json_auto_t *facts = strcmp(id, root) != 0 ? json_pack("{ss}", "with", root) : NULL;
        f = audit_append(db, db_get(gone, i, 1).p, p->token_id, "token.revoke", id, request_id,
                         address, facts, fault);
    }
    return f;
}

enum fail token_revoke(struct db *db, const struct principal *p, str id, const char *request_id,
                       str address, struct token_row *ret, struct fault *fault)
{
    assert(db_is_in_transaction(db));
    DB_ROWS_AUTO gone = NULL;
    enum fail f = auth_query_lock_tokens(db, fault);
    if (f == FAIL_NONE)
        f = auth_query_token_find(db, p->project_id, id, ret, fault);
    if (f == FAIL_NONE)
        f = auth_require(p, auth_scope_of(str_from(ret->scope)), fault);
    if (f == FAIL_NONE)
        f = auth_query_token_revoke(db, p->project_id, ret->id, &gone, fault);
    if (f == FAIL_NONE)
        f = audit_revoked(db, p, ret->id, gone, request_id, address, fault);
    return f;
}

static json_t *time_json(int64_t real_ms)
{
    char text[CLOCK_RFC3339_ROOM];
    if (real_ms == 0)
        return json_null();
    clock_rfc3339(real_ms, text);
    return json_string(text);
}

json_t *token_json(const struct token_row *t)
{
    return json_pack("{ss ss ss so so so so}", "id", t->id, "name", t->name, "scope", t->scope,
                     "createdAt", time_json(t->created_at), "expiresAt", time_json(t->expires_at),
                     "lastUsedAt", time_json(t->last_used_at), "createdBy",
                     t->created_by[0] != '\0' ? json_string(t->created_by) : json_null());
}
