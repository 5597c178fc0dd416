// What the files about sessions share: the keys at hand, and the statements (queries_sessions.c).
#ifndef STOA_AUTH_SESSIONS_INTERNAL_H
#define STOA_AUTH_SESSIONS_INTERNAL_H
#include "edge/auth/sessions.h"
#include "edge/base/seal.h"
#include "edge/catalog/page.h"

extern struct session_options session_options;

// A token's place: which chain, and which of its links.
struct session_link {
    char session_id[33], chain_id[33];
    int64_t turn;
};
struct session_claims {
    struct session_link link;
    const char *user_id, *project_id, *platform_id;
    int64_t expires_at; // real ms
};
// The JWT of a link. In a transaction, once: makes the first key where there is none.
enum fail session_sign(struct db *db, const struct session_claims *claims,
                       char ret_token[static SESSION_TOKEN_MAX], struct fault *fault) MUST_CHECK;
// The next token of the chain of a session's principal, in a transaction of its own. FAIL_UNAUTHORISED
// "session_ended", and the chain ended, when the principal's link is not the present one.
enum fail session_refresh(struct db *db, const struct principal *p, const struct auth_asker *asker,
                          struct session_grant *ret, struct fault *fault) MUST_CHECK;

// --- sessions_keys.c ---
// The key of that id, a reference: from memory, or read from the database at most four times a
// second. FAIL_UNAUTHORISED when there is none.
enum fail session_key_find(struct db *db, const char *kid, struct jose_key **ret,
                           struct fault *fault) MUST_CHECK;
// The key that signs now, a reference. In a transaction, once: a key made in it is not yet everybody's.
enum fail session_key_to_sign(struct db *db, char ret_kid[static JOSE_KID_MAX + 1],
                              struct jose_key **ret, struct fault *fault) MUST_CHECK;
struct shared *session_jwks(str *ret_text); // a reference; any thread
void session_keys_forget(void);             // what is in memory; tests

// --- queries_sessions.c ---
struct session_row {
    char id[33], platform_id[33], project_id[33], user_id[37], project_name[CATALOG_NAME_ROOM];
    int64_t ends_at; // real ms
    bool is_live;
};
// Inserts it, created now by the database's clock and ending absolute_s later, or finds the one of
// the same provisioning token.
enum fail session_query_join(struct db *db, const struct session_wish *wish, const char *id,
                             struct session_row *ret, bool *ret_is_new,
                             struct fault *fault) MUST_CHECK;
// length_s from now, or until the session's end: *ret_expires_at.
enum fail session_query_chain(struct db *db, const char *chain_id, const char *session_id,
                              int64_t length_s, int64_t *ret_expires_at,
                              struct fault *fault) MUST_CHECK;
// What a link stands for now.
struct session_seen {
    struct principal principal; // all but the link
    bool is_live;
    int64_t behind;   // how many turns the chain is further on
    bool is_in_grace; // it made its last turn a moment ago
    bool wants_touch; // last use recorded more than a minute ago
};
enum fail session_query_link(struct db *db, const struct session_link *link,
                             struct session_seen *ret, bool *ret_found,
                             struct fault *fault) MUST_CHECK;
enum fail session_query_touch(struct db *db, const char *session_id,
                              struct fault *fault) MUST_CHECK;
// Fills the times and the project's name; expires_at 0: the link is not the present one.
enum fail session_query_turn(struct db *db, const struct session_link *link,
                             struct session_grant *ret, struct fault *fault) MUST_CHECK;
// Ends the link's chain when it is further on. *ret is false when it is not, or had ended before.
enum fail session_query_end_chain(struct db *db, const struct session_link *link, bool *ret,
                                  struct fault *fault) MUST_CHECK;
enum fail session_query_is_live(struct db *db, const char *session_id, bool *ret,
                                struct fault *fault) MUST_CHECK;
// Rows: id, user, external user id, project, external project id, key, created, last used, ends.
enum fail session_query_page(struct db *db, const char *platform_id, const struct page *page,
                             struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail session_query_find(struct db *db, const char *platform_id, str id, struct db_rows **ret,
                             struct fault *fault) MUST_CHECK;
// Rows that are over, as many as are cleared at once.
enum fail session_query_clear(struct db *db, size_t *ret_count, struct fault *fault) MUST_CHECK;

struct session_key_row {
    char id[33];
    char *public_key; // PEM
    uint8_t *sealed;  // the private half
    size_t sealed_size;
    enum jose_kind kind;
    int64_t signs_from; // real ms
};
void session_key_rows_free(struct session_key_row *rows, size_t count);
// Newest first.
enum fail session_query_keys(struct db *db, struct session_key_row **ret, size_t *ret_count,
                             struct fault *fault) MUST_CHECK;
// One after the other, on all nodes, until the transaction ends.
enum fail session_query_lock_keys(struct db *db, struct fault *fault) MUST_CHECK;
enum fail session_query_key_insert(struct db *db, const char *id, enum jose_kind kind,
                                   const char *public_key, str sealed, int64_t signs_in_s,
                                   struct fault *fault) MUST_CHECK;
enum fail session_query_key_reseal(struct db *db, const char *id, str before, str after,
                                   struct fault *fault) MUST_CHECK;
// Whether the newest of that kind is older than so many seconds; false when there is none.
enum fail session_query_key_is_due(struct db *db, enum jose_kind kind, int64_t age_s, bool *ret,
                                   struct fault *fault) MUST_CHECK;
// Keys that others have replaced so many seconds ago.
enum fail session_query_keys_clear(struct db *db, int64_t replaced_s,
                                   struct fault *fault) MUST_CHECK;
#endif
