// What the .c files of this folder share: a token's row, making and revoking, and the statements
// (queries.c).
#ifndef STOA_AUTH_INTERNAL_H
#define STOA_AUTH_INTERNAL_H
#include "edge/auth/auth.h"
#include "edge/base/digest.h"
#include "edge/catalog/page.h"

enum { TOKEN_NAME_MAX = 100 }; // characters

struct token_row {
    char id[33], project_id[33], name[4 * TOKEN_NAME_MAX + 1], scope[12];
    char created_by[33]; // "" when made by none, or by one of another project
    int64_t created_at, expires_at, last_used_at; // real ms; 0: none
};

// "read", "deploy", …; SCOPE_NONE when it is none of them.
enum scope auth_scope_of(str name);
const char *auth_scope_name(enum scope scope);

// What a new token is to be. `maker` is NULL for the first start's.
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
// In a transaction. Revokes the token of the principal's project and all its descendants, of
// whatever project; audited, each where it belongs. FAIL_NOT_FOUND, FAIL_DENIED for one that can do
// more.
enum fail token_revoke(struct db *db, const struct principal *p, str id, const char *request_id,
                       str address, struct token_row *ret, struct fault *fault) MUST_CHECK;
json_t *token_json(const struct token_row *t);

// --- queries.c ---
// Makes and revocations happen one after the other, on all nodes: a descendant made meanwhile is
// not missed.
enum fail auth_query_lock_tokens(struct db *db, struct fault *fault) MUST_CHECK;
struct token_seen {
    struct principal principal;
    struct digest sha256;
    bool wants_touch; // last use recorded more than a minute ago
};
// Of a live token; *ret_found is false when there is none.
enum fail auth_query_token_by_hash(struct db *db, const struct digest *sha256,
                                   struct token_seen *ret, bool *ret_found,
                                   struct fault *fault) MUST_CHECK;
enum fail auth_query_token_is_live(struct db *db, const char *project_id, const char *id, bool *ret,
                                   struct fault *fault) MUST_CHECK;
enum fail auth_query_token_touch(struct db *db, const char *project_id, const char *id,
                                 struct fault *fault) MUST_CHECK;
// Of tokens that are not revoked (expired ones too).
enum fail auth_query_token_find(struct db *db, const char *project_id, str id,
                                struct token_row *ret, struct fault *fault) MUST_CHECK;
enum fail auth_query_token_page(struct db *db, const char *project_id, const struct page *page,
                                struct token_row **ret, size_t *ret_count,
                                struct fault *fault) MUST_CHECK;
enum fail auth_query_token_insert(struct db *db, const struct token_row *t, const char *parent_id,
                                  const struct digest *sha256, int64_t *ret_created_at,
                                  struct fault *fault) MUST_CHECK;
// Rows: id, project of each token revoked now.
enum fail auth_query_token_revoke(struct db *db, const char *project_id, const char *id,
                                  struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail auth_query_has_operator(struct db *db, bool *ret, struct fault *fault) MUST_CHECK;
#endif
