// Keeping is two waits for the disk: the blobs' and the transaction's. One thread does it: it takes
// all that wait, syncs their blobs at once, inserts their rows in one transaction, and tells them.
// Who comes meanwhile waits for its next turn, so the disk is asked as seldom as it can be; and no
// thread of the lane waits with a file that it is done with.
#include "uploads/internal.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/limits/limits.h"
#include "edge/store/blob.h"

enum {
    BATCH = 64,
    WAITING_MAX = 256,        // with the database away their bytes are on the disk already
    PLACES = 4096,            // a clash costs a plugin that has room one question more
    HELD_MS = 5 * 1000,       // as long as a held quota is left alone
    FULL_MS = 60 * 60 * 1000, // as long as a full quota is remembered after it refused
    WRITES_PER_QUOTA = 4,
    WRITES_LEAST = 1024 * 1024 * 1024,
    WRITES_WINDOW_S = 60 * 60,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // first, last, waiting; is_over's flags
static pthread_cond_t has_come = PTHREAD_COND_INITIALIZER, is_over = PTHREAD_COND_INITIALIZER;
static struct keeping *first, **last = &first;
static size_t waiting; // in the list

// What is refused after its bytes were written lies on the disk until it is collected. So a quota
// that was full lately is asked first, and only such a one: others are spared the question. One that
// was held by another (its plugin is being deleted) is not even asked: all others wait meanwhile.
static _Atomic uint64_t full_until[PLACES], held_until[PLACES]; // monotonic ms

static size_t place_of(const struct file *f)
{
    str parts[] = {str_from(f->owner.project_id), str_from(f->owner.plugin_id)};
    return limits_key_of(LIMIT_OTHER, parts, 2) % PLACES;
}

static bool is_before(const _Atomic uint64_t *until)
{
    return clock_monotonic_ms() < atomic_load_explicit(until, memory_order_relaxed);
}

static enum fail held(struct fault *fault)
{
    return fault_set(fault, FAIL_BUSY, "busy",
                     "This app's files are being worked on. Try again in a moment.");
}

bool file_may_write(const struct files_owner *o, uint64_t bytes)
{
    uint64_t most = uploads_options->quota_bytes * WRITES_PER_QUOTA;
    str parts[] = {str_from(o->project_id), str_from(o->plugin_id), STR("written")};
    struct limit_policy policy = {.name = "written",
                                  .quota = most > WRITES_LEAST ? most : WRITES_LEAST,
                                  .window_s = WRITES_WINDOW_S,
                                  .is_bytes = true};
    policy.burst = policy.quota;
    struct limit_check check = {
        .key = limits_key_of(LIMIT_OTHER, parts, 3), .policy = policy, .cost = bytes};
    return limits_charge(&check, 1);
}

enum fail file_put(struct db *db, struct file *f, str bytes, struct fault *fault)
{
    size_t place = place_of(f);
    f->size = bytes.n;
    if (is_before(&held_until[place]))
        return held(fault);
    enum fail fail = is_before(&full_until[place]) ? file_fits(db, f, fault) : FAIL_NONE;
    if (fail != FAIL_NONE)
        return fail;
    if (!file_may_write(&f->owner, f->size))
        return fault_set(fault, FAIL_QUOTA, "quota_exceeded",
                         "This app was sent more in the last hour than its storage quota allows "
                         "for, counting what was deleted. Please try again later.");
    return blob_put_blindly(bytes, &f->digest, fault);
}

static void remember(_Atomic uint64_t *until, uint64_t ms)
{
    atomic_store_explicit(until, clock_monotonic_ms() + ms, memory_order_relaxed);
}

static void remember_refusal(const struct keeping *k)
{
    bool is_full = k->fail == FAIL_QUOTA || k->fail == FAIL_NOT_FOUND;
    if (is_full) // or the disk is: then nothing is lost but a question
        remember(&full_until[place_of(k->file)], FULL_MS);
}

// --- the rows ---

static enum fail insert(struct db *db, struct keeping *k)
{
    return k->fail = file_insert(db, k->file, k->visitor, k->request_id, k->fault);
}

static int by_quota(const void *a, const void *b)
{
    const struct files_owner *x = &(*(struct keeping *const *)a)->file->owner,
                             *y = &(*(struct keeping *const *)b)->file->owner;
    int order = strcmp(x->project_id, y->project_id);
    return order != 0 ? order : strcmp(x->plugin_id, y->plugin_id);
}

// One plugin's. Where not all fit, each is asked for by itself: a quota without room is its own
// file's answer, and the others go on.
static enum fail insert_of_plugin(struct db *db, struct keeping **list, size_t n,
                                  struct fault *fault)
{
    struct file_arrival arrivals[BATCH];
    for (size_t i = 0; i != n; ++i)
        arrivals[i] = (struct file_arrival){list[i]->file, list[i]->visitor, list[i]->request_id};
    enum fail fail = file_insert_together(db, arrivals, n, fault);
    for (size_t i = 0; i != n; ++i)
        list[i]->fail = FAIL_NONE; // whatever they were told in a transaction that was rolled back
    if (fail != FAIL_QUOTA)
        return fail;
    for (size_t i = 0; i != n; ++i) {
        enum fail own = insert(db, list[i]);
        if (own != FAIL_NONE && own != FAIL_QUOTA && own != FAIL_NOT_FOUND) {
            *fault = *list[i]->fault;
            return own;
        }
    }
    return FAIL_NONE;
}

static size_t end_of_plugin(struct keeping **list, size_t n, size_t at)
{
    size_t end = at + 1;
    while (end != n && by_quota(&list[at], &list[end]) == 0)
        ++end;
    return end;
}

// In the order of the quotas' keys, as every statement takes them. *ret_at: where it failed.
static enum fail insert_together(struct db *db, struct keeping **list, size_t n, size_t *ret_at,
                                 struct fault *fault)
{
    enum fail fail = db_begin(db, fault);
    for (size_t at = 0; fail == FAIL_NONE && at != n;) {
        size_t end = end_of_plugin(list, n, at);
        *ret_at = at;
        fail = insert_of_plugin(db, list + at, end - at, fault);
        at = end;
    }
    if (fail == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return fail;
}

static void fail_all(struct keeping **list, size_t n, enum fail fail, const struct fault *fault)
{
    for (size_t i = 0; i != n; ++i) {
        list[i]->fail = fail;
        *list[i]->fault = *fault;
    }
}

static bool is_held(enum fail fail, const struct fault *fault)
{
    return fail == FAIL_BUSY && strcmp(fault->code, "database_busy") == 0;
}

// They go behind the others; returns how many these are.
static size_t leave_out(struct keeping **list, size_t n, size_t at, size_t end)
{
    struct keeping *out[BATCH];
    struct fault fault = {0};
    size_t count = end - at;
    fail_all(list + at, count, held(&fault), &fault);
    memcpy(out, list + at, count * sizeof *list);
    memmove(list + at, list + end, (n - end) * sizeof *list);
    memcpy(list + n - count, out, count * sizeof *list);
    return n - count;
}

static size_t leave_out_held(struct keeping **list, size_t n)
{
    for (size_t at = 0; at != n;) {
        size_t end = end_of_plugin(list, n, at);
        if (is_before(&held_until[place_of(list[at]->file)]))
            n = leave_out(list, n, at, end);
        else
            at = end;
    }
    return n;
}

static void insert_alone(struct db *db, struct keeping *k)
{
    if (is_held(insert(db, k), k->fault))
        remember(&held_until[place_of(k->file)], HELD_MS);
}

// What spoils a transaction may be one file's: each is tried by itself then. Not when the database
// is away, or may have taken the transaction all the same; and where a quota is held, the others
// are tried without its files.
static void insert_all(struct db *db, struct keeping **list, size_t n)
{
    struct fault fault = {0};
    enum fail fail = FAIL_BUSY;
    while (n > 1 && fail == FAIL_BUSY) {
        size_t at = 0;
        fail = insert_together(db, list, n, &at, &fault);
        if (fail == FAIL_NONE)
            return;
        if (fail == FAIL_BUSY && !is_held(fail, &fault)) {
            fail_all(list, n, fail, &fault);
            return;
        }
        if (fail == FAIL_BUSY)
            remember(&held_until[place_of(list[at]->file)], HELD_MS);
        n = leave_out_held(list, n);
    }
    for (; n != 0; n = leave_out_held(list + 1, n - 1), ++list)
        insert_alone(db, list[0]);
}

static void keep_all(struct db *db, struct keeping **list, size_t n)
{
    struct fault fault = {0};
    enum fail fail = blob_sync(&fault);
    if (fail != FAIL_NONE) {
        fail_all(list, n, fail, &fault);
        return;
    }
    qsort(list, n, sizeof *list, by_quota);
    insert_all(db, list, leave_out_held(list, n));
}

// --- the thread ---

static size_t take(struct keeping *list[static BATCH])
{
    size_t n = 0;
    pthread_mutex_lock(&lock);
    while (first == NULL)
        pthread_cond_wait(&has_come, &lock);
    for (; first != NULL && n != BATCH; first = first->_next)
        list[n++] = first;
    if (first == NULL)
        last = &first;
    waiting -= n;
    pthread_mutex_unlock(&lock);
    return n;
}

static void *keep_for_ever(void *arg)
{
    struct keeping *list[BATCH];
    struct db *db = db_of_thread();
    for (;;) {
        size_t n = take(list);
        keep_all(db, list, n);
        for (size_t i = 0; i != n; ++i) {
            remember_refusal(list[i]);
            list[i]->on_kept(list[i]); // its memory is its owner's again
        }
    }
    return NULL;
}

static void start(void)
{
    pthread_t t;
    if (pthread_create(&t, NULL, keep_for_ever, NULL) != 0)
        abort();
    pthread_setname_np(t, "files-keep");
    pthread_detach(t);
}

enum fail file_keep_start(struct keeping *k, struct fault *fault)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    k->_next = NULL;
    pthread_mutex_lock(&lock);
    bool has_room = waiting != WAITING_MAX;
    if (has_room) {
        *last = k;
        last = &k->_next;
        ++waiting;
        pthread_cond_signal(&has_come);
    }
    pthread_mutex_unlock(&lock);
    return has_room ? FAIL_NONE
                    : fault_set(fault, FAIL_BUSY, "busy",
                                "Many files are coming in just now. Try again shortly.");
}

struct sleeper {
    struct keeping keeping; // first
    bool is_over;
};

static void on_kept(struct keeping *k)
{
    pthread_mutex_lock(&lock);
    ((struct sleeper *)k)->is_over = true;
    pthread_cond_broadcast(&is_over);
    pthread_mutex_unlock(&lock);
}

enum fail file_keep(struct file *f, struct fault *fault)
{
    struct sleeper s = {
        .keeping = {
            .file = f, .visitor = "", .request_id = "", .fault = fault, .on_kept = on_kept}};
    enum fail fail = file_keep_start(&s.keeping, fault);
    if (fail != FAIL_NONE)
        return fail;
    pthread_mutex_lock(&lock);
    while (!s.is_over)
        pthread_cond_wait(&is_over, &lock);
    pthread_mutex_unlock(&lock);
    return s.keeping.fail;
}
