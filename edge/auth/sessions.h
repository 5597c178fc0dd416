// Sessions of embedded builders (security-rules.md 25): short ES256 JWTs, scoped to one project, each
// the present link of a chain; a chain is one exchange of a provisioning token, and all exchanges of
// the same token share one session record, which ends them all. What a session may do is looked up
// at every request: its user's present role, and whether anything has ended it. Pool threads.
#ifndef STOA_AUTH_SESSIONS_H
#define STOA_AUTH_SESSIONS_H
#include "edge/auth/auth.h"
#include "edge/base/digest.h"

enum { SESSION_TOKEN_MAX = 2048 }; // bytes of a session JWT

struct session_wish {
    const char *platform_id, *key_id, *project_id, *user_id;
    struct digest provisioning; // SHA-256 of the provisioning token's header.payload
    bool is_framed;             // our own page asks: short and renewed; else the host page: long
    int64_t long_s;             // seconds the host page's lasts
    int64_t absolute_s;         // seconds from the first exchange that nothing outlives
    bool is_single_use;         // a second exchange is FAIL_CONFLICT "token_used"
};
struct session_grant {
    char session_id[33];
    char token[SESSION_TOKEN_MAX];
    int64_t expires_at; // real ms
    int64_t ends_at;    // real ms: the absolute end
    bool is_new;        // the session record was made now
};
// In a transaction: joins or makes the session record, and begins a chain. FAIL_UNAUTHORISED
// "session_ended" when the record was ended or is past its absolute end.
enum fail session_open(struct db *db, const struct session_wish *wish, struct session_grant *ret,
                       struct fault *fault) MUST_CHECK;
// A session JWT into a principal with the user's present role. FAIL_UNAUTHORISED "session_expired",
// "session_ended", "unauthorized".
enum fail session_principal(struct db *db, str token, struct principal *ret,
                            struct fault *fault) MUST_CHECK;
enum fail session_is_live(struct db *db, const char *session_id, bool *ret,
                          struct fault *fault) MUST_CHECK;

// Cut-offs: every session of the one named ends now. In a transaction; the caller audits. They
// return how many were live.
enum fail session_end(struct db *db, const char *platform_id, str session_id, size_t *ret_ended,
                      struct fault *fault) MUST_CHECK;
enum fail session_end_of_key(struct db *db, const char *platform_id, const char *key_id,
                             size_t *ret_ended, struct fault *fault) MUST_CHECK;
enum fail session_end_of_user(struct db *db, const char *platform_id, const char *user_id,
                              size_t *ret_ended, struct fault *fault) MUST_CHECK;
enum fail session_end_of_project(struct db *db, const char *platform_id, const char *project_id,
                                 size_t *ret_ended, struct fault *fault) MUST_CHECK;
enum fail session_end_of_platform(struct db *db, const char *platform_id, size_t *ret_ended,
                                  struct fault *fault) MUST_CHECK;

// The keys that sign: made at need, sealed under the master key, turned over without logging
// anybody out; scheduler.
void session_keys_tend(struct db *db);
#endif
