// What files that are kept together are told, whatever becomes of their transactions. Database and
// disk are played.
#include "uploads/internal.h"
#include <pthread.h>
#include "edge/limits/limits.h"
#include "edge/store/blob.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h> // last: it defines fail()

static const struct uploads_options options = {.quota_bytes = 1 << 20};
const struct uploads_options *uploads_options = &options;

// --- the disk: its sync waits until the gate is open ---

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // the gate, `kept`, `is_in_sync`
static pthread_cond_t has_moved = PTHREAD_COND_INITIALIZER;
static bool is_open, is_in_sync;
static size_t kept;

enum fail blob_sync(struct fault *fault)
{
    pthread_mutex_lock(&lock);
    is_in_sync = true;
    pthread_cond_broadcast(&has_moved);
    while (!is_open)
        pthread_cond_wait(&has_moved, &lock);
    pthread_mutex_unlock(&lock);
    return FAIL_NONE;
}

enum fail blob_put_blindly(str bytes, struct digest *ret, struct fault *fault)
{
    return FAIL_NONE;
}

// --- the database: "full" has no room for two files when it is first asked, "held" is held ---

static size_t asked, rolled_back, committed;

struct db *db_of_thread(void)
{
    return NULL;
}

enum fail db_begin(struct db *db, struct fault *fault)
{
    return FAIL_NONE;
}

enum fail db_commit(struct db *db, struct fault *fault)
{
    ++committed;
    return FAIL_NONE;
}

void db_rollback(struct db *db)
{
    ++rolled_back;
}

enum fail file_fits(struct db *db, const struct file *f, struct fault *fault)
{
    return FAIL_NONE;
}

enum fail file_insert(struct db *db, struct file *f, const char *visitor, const char *request_id,
                      struct fault *fault)
{
    return f->size < 2 ? FAIL_NONE
                       : fault_set(fault, FAIL_QUOTA, "quota_exceeded", "There is no room.");
}

enum fail file_insert_together(struct db *db, const struct file_arrival *list, size_t n,
                               struct fault *fault)
{
    const char *plugin = list[0].file->owner.plugin_id;
    if (strcmp(plugin, "held") == 0)
        return fault_set(fault, FAIL_BUSY, "database_busy", "It is being worked on.");
    if (strcmp(plugin, "full") == 0 && asked++ == 0)
        return fault_set(fault, FAIL_QUOTA, "quota_exceeded", "There is no room.");
    return FAIL_NONE;
}

// --- the files ---

static void on_kept(struct keeping *k)
{
    pthread_mutex_lock(&lock);
    ++kept;
    pthread_cond_broadcast(&has_moved);
    pthread_mutex_unlock(&lock);
}

static void wait_until_kept(size_t n)
{
    while (kept != n)
        pthread_cond_wait(&has_moved, &lock);
}

struct kept {
    struct keeping keeping;
    struct file file;
    struct fault fault;
};

static void keep(struct kept *k, const char *plugin, uint64_t size)
{
    struct fault fault = {0};
    k->file.size = size;
    snprintf(k->file.owner.plugin_id, sizeof k->file.owner.plugin_id, "%s", plugin);
    k->keeping = (struct keeping){
        .file = &k->file, .visitor = "", .request_id = "", .fault = &k->fault, .on_kept = on_kept};
    assert_int_equal(file_keep_start(&k->keeping, &fault), FAIL_NONE);
}

// What one is told in a transaction that is rolled back for another's sake is not the last word.
static void a_refusal_is_rolled_back_with_its_transaction(void **state)
{
    static struct kept before, small, large, held;
    limits_init();
    keep(&before, "any", 1);
    pthread_mutex_lock(&lock);
    while (!is_in_sync)
        pthread_cond_wait(&has_moved, &lock);
    pthread_mutex_unlock(&lock);
    keep(&small, "full", 1); // these three are the next batch
    keep(&large, "full", 2);
    keep(&held, "held", 1);
    pthread_mutex_lock(&lock);
    is_open = true;
    pthread_cond_broadcast(&has_moved);
    wait_until_kept(4);
    pthread_mutex_unlock(&lock);
    assert_int_equal(rolled_back, 1);
    assert_int_equal(committed, 1);
    assert_int_equal(asked, 2);
    assert_int_equal(before.keeping.fail, FAIL_NONE);
    assert_int_equal(small.keeping.fail, FAIL_NONE);
    assert_int_equal(large.keeping.fail, FAIL_NONE);
    assert_int_equal(held.keeping.fail, FAIL_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_is_rolled_back_with_its_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
