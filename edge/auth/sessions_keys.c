// The keys that sign sessions, in memory, parsed. They are read from the database when one is not
// known, so that servers on one database share them without a word. A new key is published a day
// before it signs, so that whoever keeps the JWKS has it in time; an old one verifies until the
// longest session that it signed is over, so that a new one logs nobody out.
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/auth/sessions_internal.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/base/token.h"
#include "edge/loop/shared.h"

enum {
    DAY_S = 24 * 3600,
    PUBLISHED_S = DAY_S, // before it signs
    TURNED_OVER_S = 30 * DAY_S,
    VERIFIES_S = SESSION_LONGEST_S + DAY_S, // after another signs in its place
    ASK_EVERY_MS = 250,
    KEYS_MAX = 64,
    SEALED_MAX = 8 * 1024
};

struct key {
    char id[33];
    enum jose_kind kind;
    int64_t signs_from; // real ms
    struct jose_key *verifies,
        *signs; // `signs` is NULL where the master key that opens it is not here
};
struct jwks {
    struct shared shared;
    char *text;
    size_t n;
};
struct keys {
    struct key list[KEYS_MAX]; // newest first
    size_t count;
    struct jwks *jwks;
};
static struct {
    pthread_mutex_t lock; // guards all here; held for a few lines, the loops' too
    struct keys keys;
    uint64_t asked_at; // monotonic ms: when an unknown kid last made us read; 0: never
    char made
        [33]; // the key made here last, which its maker's transaction may have brought about since
} held = {.lock = PTHREAD_MUTEX_INITIALIZER};

// --- reading ---

static struct seal_context place_of(const char *id)
{
    return (struct seal_context){"session_keys", id, "private_key", ""};
}

// NULL where the master key that opens it is not here; session_keys_tend says so.
static struct jose_key *private_of(const struct session_key_row *row)
{
    struct buf pem;
    struct jose_key *k = NULL;
    const struct seal_context place = place_of(row->id);
    buf_init(&pem, SEALED_MAX);
    enum fail f = unseal(str_of(row->sealed, row->sealed_size), &place, &pem, NULL);
    if (f == FAIL_NONE && jose_key_private(buf_str(&pem), &k, NULL) != FAIL_NONE)
        k = NULL;
    seal_forget(&pem);
    return k;
}

static void jwks_free(struct shared *s)
{
    free(((struct jwks *)s)->text);
    free(s);
}

static struct jwks *jwks_of(const struct keys *keys)
{
    struct jwks *j = malloc(sizeof *j);
    json_auto_t *set = json_pack("{s[]}", "keys");
    if (j == NULL)
        abort();
    for (size_t i = 0; i != keys->count; ++i)
        json_array_append_new(json_object_get(set, "keys"),
                              jose_key_jwk(keys->list[i].verifies, keys->list[i].id));
    shared_init(&j->shared, jwks_free);
    j->text = jsonx_dump(set, &j->n);
    return j;
}

static void add_key(struct keys *keys, const struct session_key_row *row)
{
    struct fault fault = {0};
    struct key k = {.kind = row->kind, .signs_from = row->signs_from};
    snprintf(k.id, sizeof k.id, "%s", row->id);
    if (jose_key_public_kept(str_from(row->public_key), &k.verifies, &fault) != FAIL_NONE) {
        log_error("a key that signs sessions cannot be read", "key=%s reason=%s", row->id,
                  LOG_STR(str_from(fault.public_text)));
        return;
    }
    if (row->kind == session_options.kind)
        k.signs = private_of(row);
    keys->list[keys->count++] = k;
}

static void keys_fini(struct keys *keys)
{
    for (size_t i = 0; i != keys->count; ++i) {
        jose_key_destroy(keys->list[i].verifies);
        jose_key_destroy(keys->list[i].signs);
    }
    shared_unref((struct shared *)keys->jwks);
}

// Takes what is in `keys`.
static void publish(struct keys *keys)
{
    keys->jwks = jwks_of(keys);
    pthread_mutex_lock(&held.lock);
    struct keys before = held.keys;
    held.keys = *keys;
    pthread_mutex_unlock(&held.lock);
    keys_fini(&before);
}

static enum fail read_keys(struct db *db, struct fault *fault)
{
    struct session_key_row *rows = NULL;
    struct keys keys = {0};
    size_t count = 0;
    enum fail f = session_query_keys(db, &rows, &count, fault);
    if (f != FAIL_NONE)
        return f;
    for (size_t i = 0; i != count && i != KEYS_MAX; ++i)
        add_key(&keys, &rows[i]);
    session_key_rows_free(rows, count);
    publish(&keys);
    return FAIL_NONE;
}

void session_keys_forget(void)
{
    pthread_mutex_lock(&held.lock);
    struct keys before = held.keys;
    held.keys = (struct keys){0};
    held.asked_at = 0;
    pthread_mutex_unlock(&held.lock);
    keys_fini(&before);
}

// --- verifying ---

static struct jose_key *known(const char *kid)
{
    struct jose_key *found = NULL;
    pthread_mutex_lock(&held.lock);
    for (size_t i = 0; found == NULL && i != held.keys.count; ++i)
        if (strcmp(held.keys.list[i].id, kid) == 0)
            found = jose_key_ref(held.keys.list[i].verifies);
    pthread_mutex_unlock(&held.lock);
    return found;
}

// Strangers may send any kid: few of them are looked for.
static bool may_ask(const char *kid)
{
    uint64_t now = clock_monotonic_ms();
    pthread_mutex_lock(&held.lock);
    bool may =
        held.asked_at == 0 || now - held.asked_at >= ASK_EVERY_MS || strcmp(held.made, kid) == 0;
    if (may)
        held.asked_at = now;
    pthread_mutex_unlock(&held.lock);
    return may;
}

enum fail session_key_find(struct db *db, const char *kid, struct jose_key **ret,
                           struct fault *fault)
{
    *ret = known(kid);
    if (*ret == NULL && may_ask(kid)) {
        enum fail f = read_keys(db, fault);
        if (f != FAIL_NONE)
            return f;
        *ret = known(kid);
    }
    return *ret != NULL ? FAIL_NONE
                        : fault_set(fault, FAIL_UNAUTHORISED, "unauthorized",
                                    "The session's key is not known here.");
}

struct shared *session_jwks(str *ret_text)
{
    pthread_mutex_lock(&held.lock);
    struct jwks *j = held.keys.jwks;
    if (j != NULL) {
        shared_ref(&j->shared);
        *ret_text = str_of(j->text, j->n);
    }
    pthread_mutex_unlock(&held.lock);
    return (struct shared *)j;
}

// --- signing ---

static bool signer(char ret_kid[static JOSE_KID_MAX + 1], struct jose_key **ret)
{
    int64_t now = clock_real_ms();
    bool found = false;
    pthread_mutex_lock(&held.lock);
    for (size_t i = 0; !found && i != held.keys.count; ++i) {
        const struct key *k = &held.keys.list[i];
        found = k->signs != NULL && k->kind == session_options.kind && k->signs_from <= now;
        if (found) {
            *ret = jose_key_ref(k->signs);
            snprintf(ret_kid, JOSE_KID_MAX + 1, "%s", k->id);
        }
    }
    pthread_mutex_unlock(&held.lock);
    return found;
}

static enum fail store(struct db *db, const struct jose_key *k, const char *id, int64_t signs_in_s,
                       struct fault *fault)
{
    struct buf sealed;
    const struct seal_context place = place_of(id);
    char *public_pem AUTOFREE = jose_key_public_pem(k);
    char *private_pem = jose_key_private_pem(k);
    buf_init(&sealed, SEALED_MAX);
    enum fail f = seal(str_from(private_pem), &place, &sealed, fault);
    explicit_bzero(private_pem, strlen(private_pem));
    free(private_pem);
    if (f == FAIL_NONE)
        f = session_query_key_insert(db, id, jose_key_kind(k), public_pem, buf_str(&sealed),
                                     signs_in_s, fault);
    buf_fini(&sealed);
    return f;
}

static enum fail make(struct db *db, int64_t signs_in_s, char ret_kid[static JOSE_KID_MAX + 1],
                      struct jose_key **ret, struct fault *fault)
{
    char id[TOKEN_ID_ROOM];
    struct jose_key *k = jose_key_generate(session_options.kind);
    token_id("sky_", id);
    enum fail f = store(db, k, id, signs_in_s, fault);
    if (f != FAIL_NONE) {
        jose_key_destroy(k);
        return f;
    }
    pthread_mutex_lock(&held.lock);
    memcpy(held.made, id, sizeof id);
    pthread_mutex_unlock(&held.lock);
    snprintf(ret_kid, JOSE_KID_MAX + 1, "%s", id);
    *ret = k;
    return FAIL_NONE;
}

enum fail session_key_to_sign(struct db *db, char ret_kid[static JOSE_KID_MAX + 1],
                              struct jose_key **ret, struct fault *fault)
{
    assert(db_is_in_transaction(db));
    if (signer(ret_kid, ret))
        return FAIL_NONE;
    enum fail f = session_query_lock_keys(db, fault);
    if (f == FAIL_NONE)
        f = read_keys(db, fault); // another may have made one
    if (f != FAIL_NONE || signer(ret_kid, ret))
        return f;
    return make(db, 0, ret_kid, ret, fault);
}

// --- what time asks for ---

static enum fail turn_over(struct db *db, struct fault *fault)
{
    bool is_due = false;
    char kid[JOSE_KID_MAX + 1];
    struct jose_key *k = NULL;
    enum fail f = session_query_lock_keys(db, fault);
    if (f == FAIL_NONE)
        f = session_query_key_is_due(db, session_options.kind, TURNED_OVER_S, &is_due, fault);
    if (f == FAIL_NONE && is_due)
        f = make(db, PUBLISHED_S, kid, &k, fault);
    if (f == FAIL_NONE)
        f = session_query_keys_clear(db, VERIFIES_S, fault);
    if (k != NULL && f == FAIL_NONE)
        log_info("a new key will sign sessions from tomorrow", "key=%s", kid);
    jose_key_destroy(k);
    return f;
}

static enum fail reseal_row(struct db *db, const struct session_key_row *row, struct fault *fault)
{
    struct buf plain, sealed;
    str before = str_of(row->sealed, row->sealed_size);
    const struct seal_context place = place_of(row->id);
    buf_init(&plain, SEALED_MAX);
    buf_init(&sealed, SEALED_MAX);
    enum fail f = unseal(before, &place, &plain, fault);
    if (f == FAIL_NONE)
        f = seal(buf_str(&plain), &place, &sealed, fault);
    if (f == FAIL_NONE)
        f = session_query_key_reseal(db, row->id, before, buf_str(&sealed), fault);
    seal_forget(&plain);
    buf_fini(&sealed);
    return f;
}

// One that does not open is passed over: others sign in its place, and its public half verifies.
static enum fail reseal(struct db *db, struct fault *fault)
{
    struct session_key_row *rows = NULL;
    size_t count = 0;
    enum fail f = session_query_keys(db, &rows, &count, fault);
    for (size_t i = 0; i != count && f == FAIL_NONE; ++i) {
        if (seal_is_current(str_of(rows[i].sealed, rows[i].sealed_size)))
            continue;
        f = reseal_row(db, &rows[i], fault);
        if (f == FAIL_INTERNAL) {
            log_warn("a key that signs sessions was not sealed again", "key=%s reason=%s",
                     rows[i].id, LOG_STR(str_from(fault->log_text)));
            f = FAIL_NONE;
        }
    }
    session_key_rows_free(rows, count);
    return f;
}

enum fail session_keys_tend(struct db *db, struct fault *fault)
{
    size_t cleared = 0;
    enum fail f = db_begin(db, fault);
    if (f != FAIL_NONE)
        return f;
    f = turn_over(db, fault);
    if (f == FAIL_NONE)
        f = db_commit(db, fault);
    else
        db_rollback(db);
    if (f == FAIL_NONE)
        f = reseal(db, fault);
    if (f == FAIL_NONE)
        f = read_keys(db, fault);
    do {
        if (f == FAIL_NONE)
            f = session_query_clear(db, &cleared, fault);
    } while (f == FAIL_NONE && cleared != 0);
    return f;
}

static void on_tend(struct job *j)
{
    struct fault fault = {0};
    if (session_keys_tend(db_of_thread(), &fault) != FAIL_NONE)
        log_warn("the keys of sessions were not looked after", "reason=%s",
                 LOG_STR(str_from(fault.log_text[0] ? fault.log_text : fault.public_text)));
}

static void on_done(struct job *j)
{
    free(j);
}

void session_tend(void)
{
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->run = on_tend;
    j->done = on_done;
    if (pool_post(LANE_API, j) != FAIL_NONE)
        free(j); // busy: the next time will do
}
