// Signing keys: what a platform's provisioning tokens are checked with, and what it allows them. A
// key's id is the `kid` of its tokens; the private half is in one answer and nowhere else. Found
// keys are kept parsed, few of them, until a notice says that one has changed. Pool threads.
#ifndef STOA_EMBED_KEYS_H
#define STOA_EMBED_KEYS_H
#include "edge/auth/jose/jose.h"
#include "edge/catalog/page.h"
#include "edge/catalog/platform.h"
#include "edge/http/call_fields.h"
#include "edge/loop/shared.h"

enum {
    KEY_ORIGINS_MAX = 50,
    KEY_AUDIENCE_MAX = 256,
    KEY_LENGTH_MIN = 60,               // seconds
    KEY_LENGTH_MAX = 7 * 24 * 60 * 60, // of sessions
    KEY_SESSION_S = KEY_LENGTH_MAX,
    KEY_ABSOLUTE_S = 12 * 60 * 60,
    KEY_LIFETIME_MAX = 366 * 24 * 3600, // of tokens
    KEYS_PER_PLATFORM = 100,
    KEY_SEEN_LIFETIME = 24 * 3600, // seconds: a longer one is noted
};

// What a key's owner decides.
struct key_policy {
    char display_name[4 * CALL_NAME_MAX + 1], audience[4 * KEY_AUDIENCE_MAX + 1]; // "": any `aud`
    json_t *origins;        // array of strings, each an exact origin; owned
    int64_t max_lifetime_s; // 0: as long as the token says
    int64_t session_s, absolute_s;
    bool is_single_use, is_disabled;
};
void key_policy_init(struct key_policy *p); // what a new key has
void key_policy_fini(struct key_policy *p);
// The fields of a request over what is there. `ret_changed` gets the names of those given. FAIL_REFUSED
// "invalid_request".
enum fail key_policy_read(const struct call *call, struct answer *answer, struct key_policy *p,
                          json_t *ret_changed, struct fault *fault) MUST_CHECK;
// An origin as a browser sends it, https or of a loopback host, that may stand in a
// Content-Security-Policy. Pure.
bool key_origin_is_exact(str origin);

// A live key, parsed. Immutable, counted.
struct signing_key {
    struct shared shared;
    char id[CATALOG_ID_ROOM], platform_id[CATALOG_ID_ROOM], owner_project_id[CATALOG_ID_ROOM];
    char platform_name[CATALOG_NAME_ROOM];
    struct jose_key *public_key;
    struct key_policy policy;
};
// The active key of that kid: a reference, or NULL when there is none.
enum fail signing_key_find(struct db *db, str kid, struct signing_key **ret,
                           struct fault *fault) MUST_CHECK;
void signing_key_unref(struct signing_key *k); // takes NULL
bool signing_key_allows(const struct signing_key *k, str origin);
// In a transaction, which a change of the key then waits for; *ret is false when the key is active
// no more.
enum fail signing_key_hold(struct db *db, const struct signing_key *k, bool *ret,
                           struct fault *fault) MUST_CHECK;
// After an exchange: notes the use, at most once a minute and key, and a lifetime over a day.
void signing_key_used(struct db *db, const struct signing_key *k, int64_t lifetime_s);

// Reads who may embed anew and gives it to the loops; forgets parsed keys.
enum fail signing_keys_publish(struct db *db, struct fault *fault) MUST_CHECK;
// The same soon, from any thread.
void signing_keys_publish_soon(void);

extern const struct endpoint_field key_create_fields[], key_change_fields[], key_list_query[];
enum fail keys_create(struct call *call, struct answer *answer, struct fault *fault);
enum fail keys_list(struct call *call, struct answer *answer, struct fault *fault);
enum fail keys_get(struct call *call, struct answer *answer, struct fault *fault);
enum fail keys_change(struct call *call, struct answer *answer, struct fault *fault);
enum fail keys_delete(struct call *call, struct answer *answer, struct fault *fault);

// --- queries_keys.c ---
// Rows of keys: id, policy and the rest as key_of_row reads them.
struct key_row {
    char id[CATALOG_ID_ROOM], created_by[CATALOG_ID_ROOM];
    const char *public_key; // of the rows
    struct key_policy policy;
    int64_t created_at, last_used_at, longest_seen_s; // 0: none
};
void key_of_row(const struct db_rows *rows, size_t row, struct key_row *ret);
enum fail key_query_insert(struct db *db, const char *platform_id, const char *id,
                           const struct key_policy *p, const char *public_key,
                           const char *created_by, struct db_rows **ret,
                           struct fault *fault) MUST_CHECK;
// Makes of one platform happen one after the other until the transaction ends: what is counted holds.
enum fail key_query_hold_platform(struct db *db, const char *platform_id,
                                  struct fault *fault) MUST_CHECK;
enum fail key_query_count(struct db *db, const char *platform_id, uint64_t *ret,
                          struct fault *fault) MUST_CHECK;
// Not deleted ones. FAIL_NOT_FOUND "signing_key_not_found".
enum fail key_query_find(struct db *db, const char *platform_id, str id, bool for_update,
                         struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail key_query_page(struct db *db, const char *platform_id, const struct page *page,
                         struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail key_query_update(struct db *db, const char *platform_id, const char *id,
                           const struct key_policy *p, struct db_rows **ret,
                           struct fault *fault) MUST_CHECK;
enum fail key_query_delete(struct db *db, const char *platform_id, const char *id,
                           struct fault *fault) MUST_CHECK;
// Crosses platforms: the kid is what says which platform it is. The row's columns and then platform,
// owner project.
enum fail key_query_active(struct db *db, str kid, struct db_rows **ret,
                           struct fault *fault) MUST_CHECK;
enum fail key_query_hold(struct db *db, const char *platform_id, const char *id, bool *ret,
                         struct fault *fault) MUST_CHECK;
enum fail key_query_used(struct db *db, const char *platform_id, const char *id, int64_t longest_s,
                         struct fault *fault) MUST_CHECK;
// Of all platforms with a live key: slug, id, origin or "".
enum fail key_query_embedders(struct db *db, struct db_rows **ret, struct fault *fault) MUST_CHECK;
enum fail key_query_notify(struct db *db, const char *id, struct fault *fault) MUST_CHECK;
#endif
