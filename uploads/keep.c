// Keeping is two waits for the disk: the blobs' and the transaction's. Whoever comes first leads:
// it takes all that wait, syncs their blobs at once, inserts their rows in one transaction, and
// tells them. Who comes meanwhile waits for the next leader, so the disk is asked as seldom as it
// can be, and an upload that is alone waits for nobody.
#include "uploads/internal.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/limits/limits.h"
#include "edge/store/blob.h"

enum {
    BATCH = 64,               // more threads than the lane may have
    FULL_PLACES = 4096,       // a clash costs a plugin that has room one question more
    FULL_MS = 60 * 60 * 1000, // as long as a full quota is remembered after it refused
    WRITES_PER_QUOTA = 4,
    WRITES_LEAST = 1024 * 1024 * 1024,
    WRITES_WINDOW_S = 60 * 60,
};

struct waiting {
    struct file *file;
    const char *visitor, *request_id;
    struct fault *fault;
    enum fail fail;
    bool is_done;
    struct waiting *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // first, last, is_led, is_done
static pthread_cond_t is_over = PTHREAD_COND_INITIALIZER;
static struct waiting *first, **last = &first;
static bool is_led;

// What is refused after its bytes were written lies on the disk until it is collected. So a quota
// that was full lately is asked first, and only such a one: others are spared the question.
static _Atomic uint64_t full_until[FULL_PLACES]; // monotonic ms

static _Atomic uint64_t *full_place(const struct file *f)
{
    str parts[] = {str_from(f->owner.project_id), str_from(f->owner.plugin_id)};
    return &full_until[limits_key_of(LIMIT_OTHER, parts, 2) % FULL_PLACES];
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
    f->size = bytes.n;
    bool was_full =
        atomic_load_explicit(full_place(f), memory_order_relaxed) > clock_monotonic_ms();
    enum fail fail = was_full ? file_fits(db, f, fault) : FAIL_NONE;
    if (fail != FAIL_NONE)
        return fail;
    if (!file_may_write(&f->owner, f->size))
        return fault_set(fault, FAIL_QUOTA, "quota_exceeded",
                         "This app was sent more in the last hour than its storage quota allows "
                         "for, counting what was deleted. Please try again later.");
    return blob_put_blindly(bytes, &f->digest, fault);
}

static void remember_full(const struct waiting *w)
{
    bool is_full = w->fail == FAIL_QUOTA || w->fail == FAIL_NOT_FOUND;
    if (is_full) // or the disk is: then nothing is lost but a question
        atomic_store_explicit(full_place(w->file), clock_monotonic_ms() + FULL_MS,
                              memory_order_relaxed);
}

static enum fail insert(struct db *db, struct waiting *w)
{
    return w->fail = file_insert(db, w->file, w->visitor, w->request_id, w->fault);
}

static int by_quota(const void *a, const void *b)
{
    const struct files_owner *x = &(*(struct waiting *const *)a)->file->owner,
                             *y = &(*(struct waiting *const *)b)->file->owner;
    int order = strcmp(x->project_id, y->project_id);
    return order != 0 ? order : strcmp(x->plugin_id, y->plugin_id);
}

// One plugin's. Where not all fit, each is asked for by itself: a quota without room is its own
// file's answer, and the others go on.
static enum fail insert_of_plugin(struct db *db, struct waiting **list, size_t n,
                                  struct fault *fault)
{
    struct file_arrival arrivals[BATCH];
    for (size_t i = 0; i != n; ++i)
        arrivals[i] = (struct file_arrival){list[i]->file, list[i]->visitor, list[i]->request_id};
    enum fail fail = file_insert_together(db, arrivals, n, fault);
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

// In the order of the quotas' keys, as every statement takes them.
static enum fail insert_together(struct db *db, struct waiting **list, size_t n,
                                 struct fault *fault)
{
    enum fail fail = db_begin(db, fault);
    for (size_t i = 0, end; fail == FAIL_NONE && i != n; i = end) {
        for (end = i + 1; end != n && by_quota(&list[i], &list[end]) == 0; ++end)
            ;
        fail = insert_of_plugin(db, list + i, end - i, fault);
    }
    if (fail == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return fail;
}

static void fail_all(struct waiting **list, size_t n, enum fail fail, const struct fault *fault)
{
    for (size_t i = 0; i != n; ++i) {
        list[i]->fail = fail;
        *list[i]->fault = *fault;
    }
}

// What spoils a transaction may be one file's: each is tried by itself then. Not when the database
// is away, or may have taken the transaction all the same.
static void insert_all(struct db *db, struct waiting **list, size_t n)
{
    struct fault fault = {0};
    if (n == 1) {
        insert(db, list[0]);
        return;
    }
    qsort(list, n, sizeof *list, by_quota);
    enum fail fail = insert_together(db, list, n, &fault);
    if (fail == FAIL_BUSY)
        fail_all(list, n, fail, &fault);
    else if (fail != FAIL_NONE)
        for (size_t i = 0; i != n; ++i)
            insert(db, list[i]);
}

static void keep_all(struct db *db, struct waiting *chain)
{
    struct waiting *list[BATCH];
    struct fault fault = {0};
    while (chain != NULL) {
        size_t n = 0;
        for (; chain != NULL && n != BATCH; chain = chain->next)
            list[n++] = chain;
        enum fail fail = blob_sync(&fault);
        if (fail != FAIL_NONE)
            fail_all(list, n, fail, &fault);
        else
            insert_all(db, list, n);
    }
}

// With the lock held, which is let go meanwhile.
static void lead(struct db *db)
{
    struct waiting *chain = first;
    first = NULL;
    last = &first;
    is_led = true;
    pthread_mutex_unlock(&lock);
    keep_all(db, chain);
    pthread_mutex_lock(&lock);
    is_led = false;
    while (chain != NULL) {
        struct waiting *w = chain;
        chain = w->next; // before it is told: its memory is its thread's
        w->is_done = true;
    }
    pthread_cond_broadcast(&is_over);
}

enum fail file_keep(struct db *db, struct file *f, const char *visitor, const char *request_id,
                    struct fault *fault)
{
    struct waiting own = {.file = f, .visitor = visitor, .request_id = request_id, .fault = fault};
    pthread_mutex_lock(&lock);
    *last = &own;
    last = &own.next;
    while (!own.is_done)
        if (is_led)
            pthread_cond_wait(&is_over, &lock);
        else
            lead(db);
    pthread_mutex_unlock(&lock);
    remember_full(&own);
    return own.fail;
}
