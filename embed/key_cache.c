// Keys as the exchange uses them, parsed and few; and the table of who may embed. Both follow the
// database by notices: a reading that began before a change is not kept behind one that began after.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/loop/pool.h"
#include "edge/route/embedders.h"
#include "embed/keys.h"

enum { KEPT_KEYS = 256, KEEP_MS = 30 * 1000, NOTE_EVERY_MS = 60 * 1000 };

struct slot {
    struct signing_key *key;             // a reference; NULL: free
    uint64_t read_at, used_at, noted_at; // monotonic ms
    int64_t longest_s;                   // noted already
};

static struct {
    pthread_mutex_t lock; // guards all of this, and the order of publishing
    struct slot slots[KEPT_KEYS];
    uint64_t changes;          // seen so far
    uint64_t asked, published; // readings of the table of embedders
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

// --- a key ---

static void key_free(struct shared *s)
{
    struct signing_key *k = (struct signing_key *)s;
    jose_key_destroy(k->public_key);
    key_policy_fini(&k->policy);
    free(k);
}

void signing_key_unref(struct signing_key *k)
{
    if (k != NULL)
        shared_unref(&k->shared);
}

bool signing_key_allows(const struct signing_key *k, str origin)
{
    for (size_t i = 0; i != json_array_size(k->policy.origins); ++i) {
        const json_t *o = json_array_get(k->policy.origins, i);
        if (str_eq(origin, str_of(json_string_value(o), json_string_length(o))))
            return true;
    }
    return false;
}

static enum fail read_key(struct db *db, str kid, struct signing_key **ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    struct key_row row;
    enum fail f = key_query_active(db, kid, &rows, fault);
    if (f != FAIL_NONE || db_count(rows) == 0)
        return f;
    key_of_row(rows, 0, &row);
    struct signing_key *k = calloc(1, sizeof *k);
    if (k == NULL)
        abort();
    shared_init(&k->shared, key_free);
    k->policy = row.policy;
    memcpy(k->id, row.id, sizeof k->id);
    snprintf(k->platform_id, sizeof k->platform_id, "%s", db_get(rows, 0, 14).p);
    snprintf(k->owner_project_id, sizeof k->owner_project_id, "%s", db_get(rows, 0, 15).p);
    snprintf(k->platform_name, sizeof k->platform_name, "%s", db_get(rows, 0, 16).p);
    f = jose_key_public_kept(str_from(row.public_key), &k->public_key, fault);
    if (f == FAIL_NONE) {
        *ret = k;
        return FAIL_NONE;
    }
    signing_key_unref(k);
    fault_log(fault, "a stored public key cannot be read: %s", fault->code);
    return fault->fail = FAIL_INTERNAL;
}

// --- the kept ones ---

// With the lock held. The one with that id, or NULL.
static struct slot *slot_of(str kid)
{
    for (size_t i = 0; i != KEPT_KEYS; ++i)
        if (kept.slots[i].key != NULL && str_eq(str_from(kept.slots[i].key->id), kid))
            return &kept.slots[i];
    return NULL;
}

// With the lock held. A free one, or the one used longest ago.
static struct slot *slot_to_fill(void)
{
    struct slot *oldest = &kept.slots[0];
    for (size_t i = 0; i != KEPT_KEYS; ++i) {
        if (kept.slots[i].key == NULL)
            return &kept.slots[i];
        if (kept.slots[i].used_at < oldest->used_at)
            oldest = &kept.slots[i];
    }
    return oldest;
}

static struct signing_key *find_kept(str kid, uint64_t *ret_changes)
{
    uint64_t now = clock_monotonic_ms();
    struct signing_key *k = NULL;
    pthread_mutex_lock(&kept.lock);
    struct slot *s = slot_of(kid);
    if (s != NULL && now - s->read_at < KEEP_MS) {
        s->used_at = now;
        k = s->key;
        shared_ref(&k->shared);
    }
    *ret_changes = kept.changes;
    pthread_mutex_unlock(&kept.lock);
    return k;
}

// Unless something has changed since it was read.
static void keep(struct signing_key *k, uint64_t changes)
{
    uint64_t now = clock_monotonic_ms();
    struct signing_key *old = NULL;
    pthread_mutex_lock(&kept.lock);
    if (changes == kept.changes) {
        struct slot *s = slot_of(str_from(k->id)), *to = s != NULL ? s : slot_to_fill();
        old = to->key;
        if (s == NULL)
            *to = (struct slot){.noted_at = 0};
        to->key = k;
        to->read_at = to->used_at = now;
        shared_ref(&k->shared);
    }
    pthread_mutex_unlock(&kept.lock);
    signing_key_unref(old);
}

static void forget_all(void)
{
    struct signing_key *old[KEPT_KEYS];
    pthread_mutex_lock(&kept.lock);
    ++kept.changes;
    for (size_t i = 0; i != KEPT_KEYS; ++i) {
        old[i] = kept.slots[i].key;
        kept.slots[i].key = NULL;
    }
    pthread_mutex_unlock(&kept.lock);
    for (size_t i = 0; i != KEPT_KEYS; ++i)
        signing_key_unref(old[i]);
}

enum fail signing_key_find(struct db *db, str kid, struct signing_key **ret, struct fault *fault)
{
    uint64_t changes;
    *ret = find_kept(kid, &changes);
    if (*ret != NULL)
        return FAIL_NONE;
    enum fail f = read_key(db, kid, ret, fault);
    if (f == FAIL_NONE && *ret != NULL)
        keep(*ret, changes);
    return f;
}

enum fail signing_key_hold(struct db *db, const struct signing_key *k, bool *ret,
                           struct fault *fault)
{
    return key_query_hold(db, k->platform_id, k->id, ret, fault);
}

// True at most once a minute and key, and whenever a longer lifetime is seen.
static bool wants_note(const struct signing_key *k, int64_t longest_s)
{
    uint64_t now = clock_monotonic_ms();
    pthread_mutex_lock(&kept.lock);
    struct slot *s = slot_of(str_from(k->id));
    bool wants = s == NULL || s->noted_at == 0 || now - s->noted_at >= NOTE_EVERY_MS ||
                 longest_s > s->longest_s;
    if (wants && s != NULL) {
        s->noted_at = now;
        if (longest_s > s->longest_s)
            s->longest_s = longest_s;
    }
    pthread_mutex_unlock(&kept.lock);
    return wants;
}

void signing_key_used(struct db *db, const struct signing_key *k, int64_t lifetime_s)
{
    int64_t longest = lifetime_s > KEY_SEEN_LIFETIME ? lifetime_s : 0;
    struct fault fault = {0};
    if (wants_note(k, longest) &&
        key_query_used(db, k->platform_id, k->id, longest, &fault) != FAIL_NONE)
        log_warn("a signing key's use was not noted", "key=%s reason=%s", k->id,
                 LOG_STR(str_from(fault.log_text)));
}

// --- who may embed ---

enum fail signing_keys_publish(struct db *db, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    forget_all();
    pthread_mutex_lock(&kept.lock);
    uint64_t ticket = ++kept.asked;
    pthread_mutex_unlock(&kept.lock);
    enum fail f = key_query_embedders(db, &rows, fault);
    if (f != FAIL_NONE)
        return f;
    size_t n = db_count(rows);
    AUTOFREE struct embedder *list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        list[i] =
            (struct embedder){db_get(rows, i, 0).p, db_get(rows, i, 1).p, db_get(rows, i, 2).p};
    pthread_mutex_lock(&kept.lock);
    if (ticket > kept.published) {
        kept.published = ticket;
        embedders_publish(list, n);
    }
    pthread_mutex_unlock(&kept.lock);
    return FAIL_NONE;
}

static void on_publish(struct job *j)
{
    struct fault fault = {0};
    if (signing_keys_publish(db_of_thread(), &fault) != FAIL_NONE)
        log_warn("who may embed was not read", "reason=%s",
                 LOG_STR(str_from(fault.log_text[0] != '\0' ? fault.log_text : fault.public_text)));
}

static void on_published(struct job *j)
{
    free(j);
}

// When it fails, the next notice does it, or the listener's return.
void signing_keys_publish_soon(void)
{
    forget_all();
    struct job *j = calloc(1, sizeof *j);
    if (j == NULL)
        abort();
    j->run = on_publish;
    j->done = on_published;
    if (pool_post(LANE_LOAD, j) != FAIL_NONE) {
        log_warn("who may embed was not read", "reason=busy");
        free(j);
    }
}
