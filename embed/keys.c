// The requests about signing keys: made or uploaded, looked at, changed, and ended with their sessions.
#include "embed/keys.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/auth/sessions.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "embed/embed.h"

// --- as their owner sees them ---

static json_t *time_json(int64_t real_ms)
{
    char text[CLOCK_RFC3339_ROOM];
    if (real_ms == 0)
        return json_null();
    clock_rfc3339(real_ms, text);
    return json_string(text);
}

static json_t *seconds_json(int64_t seconds)
{
    return seconds != 0 ? json_integer(seconds) : json_null();
}

static json_t *object_of(const struct db_rows *rows, size_t row)
{
    struct key_row k;
    key_of_row(rows, row, &k);
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:O, s:s*, s:o, s:I, s:I, s:b, s:s, s:o, s:o, s:s, s:o}", "id", k.id,
        "displayName", k.policy.display_name, "algorithm", "RS256", "publicKey", k.public_key,
        "allowedOrigins", k.policy.origins, "audience",
        k.policy.audience[0] != '\0' ? k.policy.audience : NULL, "maxLifetime",
        seconds_json(k.policy.max_lifetime_s), "sessionLength", (json_int_t)k.policy.session_s,
        "absoluteLength", (json_int_t)k.policy.absolute_s, "singleUse", k.policy.is_single_use,
        "status", k.policy.is_disabled ? "DISABLED" : "ACTIVE", "lastUsedAt",
        time_json(k.last_used_at), "longestLifetime", seconds_json(k.longest_seen_s), "createdBy",
        k.created_by, "createdAt", time_json(k.created_at));
    if (k.policy.audience[0] == '\0')
        json_object_set_new(o, "audience", json_null());
    key_policy_fini(&k.policy);
    return o;
}

static struct page_key key_of(const struct db_rows *rows, size_t row)
{
    struct key_row k;
    struct page_key key = {.at = 0};
    key_of_row(rows, row, &k);
    key.at = k.created_at;
    snprintf(key.id, sizeof key.id, "%s", k.id);
    key_policy_fini(&k.policy);
    return key;
}

// --- looked at ---

enum fail keys_list(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    unsigned limit = 0;
    DB_ROWS_AUTO rows = NULL;
    enum fail f = call_limit(call, &limit, fault);
    if (f == FAIL_NONE)
        f = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (f == FAIL_NONE)
        f = key_query_page(call->db, call->principal->platform_id, &page, &rows, fault);
    if (f == FAIL_NONE)
        answer->json = page_rows_json(&page, rows, object_of, key_of);
    return f;
}

enum fail keys_get(struct call *call, struct answer *answer, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = key_query_find(call->db, call->principal->platform_id, call->params[0], false,
                                 &rows, fault);
    if (f == FAIL_NONE)
        answer->json = object_of(rows, 0);
    return f;
}

// --- changes ---

static enum fail record(struct call *call, const char *action, const char *id, json_t *facts,
                        struct fault *fault)
{
    const struct principal *p = call->principal;
    enum fail f = key_query_notify(call->db, id, fault);
    if (f == FAIL_NONE)
        f = audit_append(call->db, p->project_id, p->token_id, action, id, call->request_id,
                         call->peer, facts, fault);
    json_decref(facts);
    return f;
}

// This node at once, the others by the notice; one that fails here comes again by it.
static void publish(struct db *db)
{
    struct fault fault = {0};
    if (signing_keys_publish(db, &fault) != FAIL_NONE)
        log_warn("who may embed was not read", "reason=%s",
                 LOG_STR(str_from(fault.log_text[0] != '\0' ? fault.log_text : fault.public_text)));
}

struct new_key {
    char id[TOKEN_ID_ROOM];
    struct key_policy policy;
    struct jose_key *key;
    bool is_made; // here, not uploaded
};

static void new_key_fini(struct new_key *k)
{
    key_policy_fini(&k->policy);
    jose_key_destroy(k->key);
}
#define NEW_KEY_AUTO __attribute__((cleanup(new_key_fini))) struct new_key

// One at a time: it takes a core for a second or more.
static enum fail generate(struct new_key *k, struct answer *answer, struct fault *fault)
{
    static atomic_flag is_running = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&is_running)) {
        answer->retry_after = 3;
        return fault_set(fault, FAIL_BUSY, "busy",
                         "Another key is being made. Please try again in a moment.");
    }
    k->key = jose_key_generate(JOSE_RS256);
    k->is_made = true;
    atomic_flag_clear(&is_running);
    return FAIL_NONE;
}

static enum fail upload(struct new_key *k, str pem, struct answer *answer, struct fault *fault)
{
    enum fail f = jose_key_public(pem, &k->key, fault);
    if (f == FAIL_NONE && jose_key_kind(k->key) == JOSE_RS256)
        return FAIL_NONE;
    if (f == FAIL_NONE)
        fault_set(fault, FAIL_REFUSED, "bad_key",
                  "Provisioning tokens are signed with RS256: upload an RSA key.");
    call_refuse_field(answer, "publicKey", fault->public_text);
    return FAIL_REFUSED;
}

static enum fail check_room(struct call *call, struct fault *fault)
{
    uint64_t have;
    enum fail f = key_query_count(call->db, call->principal->platform_id, &have, fault);
    if (f == FAIL_NONE && have >= KEYS_PER_PLATFORM)
        return fault_set(fault, FAIL_CONFLICT, "too_many_keys",
                         "A platform has at most 100 signing keys: delete one that is not used.");
    return f;
}

static enum fail prepare(struct call *call, struct new_key *k, struct answer *answer,
                         struct fault *fault)
{
    json_auto_t *changed = json_array();
    str pem = jsonx_str(call->json, "publicKey");
    key_policy_init(&k->policy);
    enum fail f = key_policy_read(call, answer, &k->policy, changed, fault);
    if (f == FAIL_NONE)
        f = check_room(call, fault);
    if (f == FAIL_NONE)
        f = pem.p != NULL ? upload(k, pem, answer, fault) : generate(k, answer, fault);
    token_id("key_", k->id);
    return f;
}

static void forget(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
}

static void show_private(const struct new_key *k, json_t *object)
{
    __attribute__((cleanup(forget))) char *pem = jose_key_private_pem(k->key);
    json_object_set_new(object, "privateKey", json_string(pem));
}

enum fail keys_create(struct call *call, struct answer *answer, struct fault *fault)
{
    NEW_KEY_AUTO k = {.is_made = false};
    DB_ROWS_AUTO rows = NULL;
    enum fail f = prepare(call, &k, answer, fault);
    if (f != FAIL_NONE)
        return f;
    AUTOFREE char *public_key = jose_key_public_pem(k.key);
    f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = key_query_hold_platform(call->db, call->principal->platform_id, fault);
    if (f == FAIL_NONE) // again: others may have been made meanwhile
        f = check_room(call, fault);
    if (f == FAIL_NONE)
        f = key_query_insert(call->db, call->principal->platform_id, k.id, &k.policy, public_key,
                             call->principal->token_id, &rows, fault);
    if (f == FAIL_NONE)
        f = record(call, "signing_key.create", k.id,
                   json_pack("{s:s, s:b, s:O}", "displayName", k.policy.display_name, "uploaded",
                             !k.is_made, "allowedOrigins", k.policy.origins),
                   fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f != FAIL_NONE)
        return f;
    publish(call->db);
    answer->json = object_of(rows, 0);
    if (k.is_made)
        show_private(&k, answer->json);
    return FAIL_NONE;
}

// What it was comes from a row that is locked: two changes at once do not undo each other.
static enum fail change(struct call *call, struct answer *answer, struct db_rows **ret,
                        struct fault *fault)
{
    struct key_row row;
    DB_ROWS_AUTO before = NULL;
    json_t *changed = json_array();
    enum fail f = key_query_find(call->db, call->principal->platform_id, call->params[0], true,
                                 &before, fault);
    if (f != FAIL_NONE) {
        json_decref(changed);
        return f;
    }
    key_of_row(before, 0, &row);
    f = key_policy_read(call, answer, &row.policy, changed, fault);
    if (f == FAIL_NONE)
        f = key_query_update(call->db, call->principal->platform_id, row.id, &row.policy, ret,
                             fault);
    json_t *facts =
        json_pack("{s:o, s:O, s:s}", "changed", changed, "allowedOrigins", row.policy.origins,
                  "status", row.policy.is_disabled ? "DISABLED" : "ACTIVE");
    if (f == FAIL_NONE)
        f = record(call, "signing_key.change", row.id, json_incref(facts), fault);
    json_decref(facts);
    key_policy_fini(&row.policy);
    return f;
}

enum fail keys_change(struct call *call, struct answer *answer, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = change(call, answer, &rows, fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f != FAIL_NONE)
        return f;
    publish(call->db);
    answer->json = object_of(rows, 0);
    return FAIL_NONE;
}

enum fail embed_lock_key(struct db *db, const char *platform_id, str key_id, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    return key_query_find(db, platform_id, key_id, true, &rows, fault);
}

static enum fail end(struct call *call, const char *id, size_t *ret_ended, struct fault *fault)
{
    const char *platform_id = call->principal->platform_id;
    enum fail f = key_query_delete(call->db, platform_id, id, fault);
    if (f == FAIL_NONE)
        f = session_end_of_key(call->db, platform_id, id, ret_ended, fault);
    if (f == FAIL_NONE)
        f = record(call, "signing_key.delete", id,
                   json_pack("{s:I}", "sessionsEnded", (json_int_t)*ret_ended), fault);
    return f;
}

enum fail keys_delete(struct call *call, struct answer *answer, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    size_t ended = 0;
    enum fail f = db_begin(call->db, fault);
    if (f == FAIL_NONE) // waits for exchanges that hold the key: their sessions end too
        f = key_query_find(call->db, call->principal->platform_id, call->params[0], true, &rows,
                           fault);
    if (f == FAIL_NONE)
        f = end(call, db_get(rows, 0, 0).p, &ended, fault);
    if (f == FAIL_NONE)
        f = db_commit(call->db, fault);
    if (f != FAIL_NONE)
        return f;
    publish(call->db);
    answer->json = object_of(rows, 0);
    json_object_set_new(answer->json, "sessionsEnded", json_integer((json_int_t)ended));
    return FAIL_NONE;
}

// --- fields ---

#define POLICY_FIELDS                                                                              \
    {"allowedOrigins", "array", false,                                                             \
     "Origins whose pages may frame the builder and call the API: https://app.example.com. At "    \
     "most 50; without any, nothing may frame it."},                                               \
        {"audience", "string", false,                                                              \
         "What a token's `aud` must be or hold; null: not looked at."},                            \
        {"maxLifetime", "integer", false,                                                          \
         "Seconds from a token's `iat` to its `exp` at most; null: any."},                         \
        {"sessionLength", "integer", false,                                                        \
         "Seconds that the session of a host page lasts, at most 604800."},                        \
        {"absoluteLength", "integer", false,                                                       \
         "Seconds from a token's first exchange that none of its sessions outlives (43200)."},     \
        {"singleUse", "boolean", false, "Whether a token is taken once only."},                    \
    {                                                                                              \
        "status", "string", false, "ACTIVE, or DISABLED: no token of it is taken."                 \
    }

const struct endpoint_field key_create_fields[] = {
    {"displayName", "string", true, "What you call it."},
    {"publicKey", "string", false,
     "Your own RSA key's public half in PEM (2048 to 4096 bits, e = 65537); else one is made."},
    POLICY_FIELDS,
    {0}};
const struct endpoint_field key_change_fields[] = {
    {"displayName", "string", false, "What you call it."}, POLICY_FIELDS, {0}};
const struct endpoint_field key_list_query[] = {
    {"limit", "integer", false, "How many at most, 1 to 100; 50 when left out."},
    {"cursor", "string", false, "The `next` or `previous` of another page."},
    {0}};
