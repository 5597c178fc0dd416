// Who a request is from: API tokens (contract §1, §3; security-rules.md 22). A token is `stoa_` and
// 43 base64url characters, kept as a SHA-256, compared in constant time, shown once. Each has a
// scope, perhaps an expiry, and the token that made it: it may make none that can do more or lives
// longer, and is revoked with all that it made. Blocking: pool threads.
#ifndef STOA_AUTH_AUTH_H
#define STOA_AUTH_AUTH_H
#include "edge/auth/roles.h"
#include "edge/http/endpoint.h"
#include "edge/store/migrate.h"

enum { AUTH_TOKEN_ROOM = 5 + 43 + 1 };

// An API token's subject, or an embed session's: then `role` is set and `scope` is SCOPE_NONE.
struct principal {
    char token_id[33];    // "tok_…", or the session's id "ses_…": whom the audit names
    char project_id[33];  // whom every management query names
    char owner_id[37];    // the project's owner user (UUID)
    char platform_id[33]; // that the project belongs to; "" for none
    enum scope scope;     // SCOPE_OPERATOR for the first start's token
    enum role role;       // what the session's user is in the project now
    char user_id[37];     // of the session; "" for API tokens
    char chain_id[33];    // of the session's token, and which of its chain's it is
    int64_t chain_turn;
};

// Where a request comes from, as the trail tells it.
struct auth_asker {
    const char *request_id;
    str address;
};

// "Bearer …" of a request into a principal: an API token, or a session's JWT (sessions.h says what may
// be wrong with one). FAIL_UNAUTHORISED with code "unauthorized" and one and the same sentence for
// anything that is no live token. Records the last use (at most once a minute a token).
enum fail auth_principal(struct db *db, str authorization, const struct auth_asker *asker,
                         struct principal *ret, struct fault *fault) MUST_CHECK;
// FAIL_DENIED "scope_too_low" naming the scope needed; SCOPE_PLATFORM is only a platform token's, so
// an operator's token is "platform_token_needed".
enum fail auth_require(const struct principal *p, enum scope scope, struct fault *fault) MUST_CHECK;
// FAIL_DENIED "role_too_low" naming the role, for what a session's role may not do, and
// "not_for_sessions" for what only API tokens may.
enum fail auth_permit(const struct principal *p, enum permission permission,
                      struct fault *fault) MUST_CHECK;
// All of it, as the runner of management endpoints wants it (authenticate_fn): an API token by
// its scope, a session by its role. *ret is malloc'ed.
enum fail auth_authenticate(const struct call *call, str authorization, struct principal **ret,
                            struct fault *fault) MUST_CHECK;

// Whether the token or session a principal came by is still good: for what goes on long after it was
// asked for.
enum fail auth_is_live(struct db *db, const char *project_id, const char *token_id, bool *ret,
                       struct fault *fault) MUST_CHECK;

// Makes a project and its owner when there is none, and one operator token in the oldest project
// when no live one is left (so that a revoked one is replaced at the next start); writes that token
// to `token_file` (0600, with a line end), whole or not at all. Later starts change nothing. The
// token is told nowhere else.
enum fail auth_first_start(struct db *db, const char *token_file, struct fault *fault) MUST_CHECK;

extern const struct endpoint auth_endpoints[]; // tokens, projects
extern const size_t auth_endpoint_count;
extern const char auth_schemas[]; // of their answers, for openapi_add_schemas
extern const struct migration auth_migrations[];
extern const size_t auth_migration_count;
#endif
