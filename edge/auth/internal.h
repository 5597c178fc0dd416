// What the .c files of this folder share: revoking, and the statements (queries.c).
#ifndef STOA_AUTH_INTERNAL_H
#define STOA_AUTH_INTERNAL_H
#include "edge/auth/auth.h"
#include "edge/auth/tokens.h"
#include "edge/base/digest.h"
#include "edge/catalog/page.h"

// In a transaction. Revokes the token of the principal's project and all its descendants, of
// whatever project; audited, each where it belongs. FAIL_NOT_FOUND, FAIL_DENIED for one that can do
// more.
enum fail token_revoke(struct db *db, const struct principal *p, str id, const char *request_id,
                       str address, struct token_row *ret, struct fault *fault) MUST_CHECK;

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
