// Making API tokens: for those who make what a token is for (a project, a platform) together with
// its first one. Blocking: pool threads.
#ifndef STOA_AUTH_TOKENS_H
#define STOA_AUTH_TOKENS_H
#include "edge/auth/auth.h"

enum { TOKEN_NAME_MAX = 100 }; // characters

struct token_row {
    char id[33], project_id[33], name[4 * TOKEN_NAME_MAX + 1], scope[12];
    char created_by[33]; // "" when made by none, or by one of another project
    int64_t created_at, expires_at, last_used_at; // real ms; 0: none
};

// "read", "deploy", …; SCOPE_NONE when it is none of them.
enum scope auth_scope_of(str name);
const char *auth_scope_name(enum scope scope);

// What a new token is to be. `maker` is NULL for the first start's. Platform tokens are made by
// platform tokens of their own project, and by the operator's in another than its own, which the
// caller has found to be a platform's owner project.
struct token_wish {
    const struct principal *maker;
    const char *project_id;
    str name;
    enum scope scope;
    int64_t expires_at; // 0: none, or the maker's
    const char *request_id;
    str address;
};
// In a transaction. Locks tokens, looks at the maker again, and inserts; audited. FAIL_UNAUTHORISED
// when the maker was revoked meanwhile, FAIL_DENIED "scope_too_low", FAIL_REFUSED
// "expires_too_late".
enum fail token_make(struct db *db, const struct token_wish *wish,
                     char ret_secret[static AUTH_TOKEN_ROOM], struct token_row *ret,
                     struct fault *fault) MUST_CHECK;
// What is shown of it: never the secret.
json_t *token_json(const struct token_row *t);
// Makes and revocations happen one after the other from here to the transaction's end. token_make
// does it itself; who audits before that does it first, since the trail's lock comes after it
// everywhere.
enum fail token_lock(struct db *db, struct fault *fault) MUST_CHECK;
#endif
