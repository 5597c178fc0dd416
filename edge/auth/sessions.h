// Sessions of embedded builders (security-rules.md 25): short JWTs of our own, scoped to one project.
// All exchanges of one provisioning token share a session record, which ends them all; each exchange
// begins a chain of its own, whose present link is the token in use. What a session may do is looked
// up at every request: its user's present role, and whether anything has ended it. Pool threads.
#ifndef STOA_AUTH_SESSIONS_H
#define STOA_AUTH_SESSIONS_H
#include "edge/auth/auth.h"
#include "edge/auth/jose/jose.h"
#include "edge/base/digest.h"
#include "edge/catalog/catalog.h"
#include "edge/http/service.h"

enum {
    SESSION_TOKEN_MAX = 2048, // bytes of a session JWT, with its NUL
    SESSION_GRACE_S = 10,     // how long a refreshed token still serves requests under way
    SESSION_LONGEST_S = 7 * 24 * 3600
};

struct session_options {
    const char *console_origin; // `iss`; kept
    int64_t seconds;            // of a framed page's token
    enum jose_kind kind;        // of the keys that sign
};
void session_init(const struct session_options *options); // before the first use

struct session_wish {
    const char *platform_id, *key_id, *project_id, *user_id;
    struct digest provisioning;      // SHA-256 of the provisioning token's header.payload
    int64_t provisioning_expires_at; // real ms: until when it may come again
    bool is_framed;     // our own page asks: short and renewed; else the host page: long
    int64_t long_s;     // seconds the host page's lasts
    int64_t absolute_s; // seconds from the first exchange that nothing outlives
    bool is_single_use; // a second exchange is FAIL_CONFLICT "token_used"
};
struct session_grant {
    char session_id[33];
    char token[SESSION_TOKEN_MAX];
    char project_name[CATALOG_NAME_ROOM]; // what people call it
    int64_t expires_at;                   // real ms
    int64_t ends_at;                      // real ms: the absolute end
    bool is_new;                          // the session record was made now
};
// In a transaction, in which the caller has locked the signing key's row (for share) and found it
// active: then no cut-off of the key passes by unseen. Joins or makes the session record, and begins
// a chain. FAIL_UNAUTHORISED "session_ended" when the record was ended or is past its absolute end.
enum fail session_open(struct db *db, const struct session_wish *wish, struct session_grant *ret,
                       struct fault *fault) MUST_CHECK;
// A session JWT into a principal with the user's present role; not in a transaction, since the reuse
// of a token that was refreshed ends its chain. FAIL_UNAUTHORISED "session_expired", "session_ended",
// "unauthorized".
enum fail session_principal(struct db *db, str token, const struct auth_asker *asker,
                            struct principal *ret, struct fault *fault) MUST_CHECK;
// Whether a request of the session would be let in now.
enum fail session_is_live(struct db *db, const char *session_id, bool *ret,
                          struct fault *fault) MUST_CHECK;

// Cut-offs: every session of the one named that has begun ends now. In a transaction; the caller
// audits. They return how many were live. FAIL_NOT_FOUND "session_not_found" (also for one of another
// platform), "user_not_found", "project_not_found"; a key is not looked up, and is locked by the caller
// first.
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

// Locks a signing key's row until the transaction ends, against exchanges too, each of which holds it
// while it opens its session. FAIL_NOT_FOUND when the platform has no such key. Registered by who has
// the keys, before the loops start; pool threads.
typedef enum fail (*session_lock_key_fn)(struct db *db, const char *platform_id, str key_id,
                                         struct fault *fault);
void session_lock_keys_by(session_lock_key_fn lock);

// The keys that sign: made at need, sealed under the master key, turned over without logging anybody
// out. Reads them anew, publishes them, makes the next one when it is time, seals again what another
// master key sealed, and clears away what is over.
enum fail session_keys_tend(struct db *db, struct fault *fault) MUST_CHECK;
enum { SESSION_TEND_MS = 10 * 60 * 1000 };
void session_tend(void); // the same as a job; scheduler

// GET /.well-known/jwks.json of the console origin, and the endpoints about sessions.
struct service *session_service(void);
#endif
