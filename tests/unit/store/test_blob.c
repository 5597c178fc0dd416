// The blob directory: what a crash leaves, damage, a full disk, and collection beside a put.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/store/blob.h"
#include "edge/store/faults.h"

static char root[64], blobs[80];

static void path_of(const struct digest *d, char to[static 200])
{
    char hex[DIGEST_HEX_ROOM];
    digest_hex(d, hex);
    snprintf(to, 200, "%s/%.2s/%s", blobs, hex, hex + 2);
}

static struct digest put(str bytes)
{
    struct fault fault = {0};
    struct digest d;
    if (blob_put(bytes, &d, &fault) != FAIL_NONE)
        fail_msg("put: %s", fault.log_text);
    return d;
}

static void age(const struct digest *d, int64_t ms)
{
    char path[200];
    int64_t then = clock_real_ms() - ms;
    struct timespec t[2] = {{then / 1000, 0}, {then / 1000, 0}};
    path_of(d, path);
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void overwrite(const struct digest *d, const char *bytes)
{
    char path[200];
    path_of(d, path);
    FILE *f = fopen(path, "w");
    fputs(bytes, f);
    fclose(f);
}

static unsigned temporaries(void)
{
    char path[100];
    unsigned n = 0;
    snprintf(path, sizeof path, "%s/tmp", blobs);
    DIR *dir = opendir(path);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static bool knows_nothing(void *arg, const struct digest *d)
{
    return false;
}
static bool knows_one(void *arg, const struct digest *d)
{
    return digest_eq(arg, d);
}

static void test_bytes_come_back(void **state)
{
    struct fault fault = {0};
    char *bytes = NULL;
    size_t n = 0;
    struct digest d = put(STR("hello\0world")), expected = digest_sha256(STR("hello\0world"));
    assert_true(digest_eq(&d, &expected));
    assert_true(blob_exists(&d));
    assert_int_equal(blob_sync(&fault), FAIL_NONE);
    assert_int_equal(blob_get(&d, 11, &bytes, &n, &fault), FAIL_NONE);
    assert_int_equal(n, 11);
    assert_memory_equal(bytes, "hello\0world", 12);
    free(bytes);
    assert_int_equal(blob_get(&d, 10, &bytes, &n, &fault), FAIL_TOO_LARGE);
    int fd = -1;
    assert_int_equal(blob_open_read(&d, &fd, &n, &fault), FAIL_NONE);
    assert_int_equal(n, 11);
    close(fd);
}

static void test_empty_blob(void **state)
{
    struct fault fault = {0};
    char *bytes = NULL;
    size_t n = 1;
    struct digest d = put(STR(""));
    assert_int_equal(blob_get(&d, 0, &bytes, &n, &fault), FAIL_NONE);
    assert_int_equal(n, 0);
    free(bytes);
}

static void test_absent_is_not_found(void **state)
{
    struct fault fault = {0};
    char *bytes = NULL;
    size_t n;
    int fd;
    struct digest d = digest_sha256(STR("never kept"));
    assert_false(blob_exists(&d));
    assert_int_equal(blob_get(&d, 100, &bytes, &n, &fault), FAIL_NOT_FOUND);
    assert_int_equal(blob_open_read(&d, &fd, &n, &fault), FAIL_NOT_FOUND);
}

// Nothing is wrong with the content, and nobody is told so.
static void test_no_descriptor_is_no_damage(void **state)
{
    struct rlimit before, none;
    char *bytes = NULL;
    size_t n;
    int fd;
    struct fault fault = {0};
    struct digest d = put(STR("kept"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){3, before.rlim_max}; // all are taken: at least the directory's is
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum fail got = blob_get(&d, 100, &bytes, &n, &fault);
    enum fail opened = blob_open_read(&d, &fd, &n, &fault);
    enum fail kept = blob_put(STR("another"), NULL, &fault);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(got, FAIL_BUSY);
    assert_int_equal(opened, FAIL_BUSY);
    assert_int_equal(kept, FAIL_BUSY);
    assert_string_equal(fault.code, "busy");
}

static void test_same_bytes_are_kept_once_and_touched(void **state)
{
    char path[200];
    struct stat before, after;
    struct digest d = put(STR("twice"));
    age(&d, 3600000);
    path_of(&d, path);
    stat(path, &before);
    put(STR("twice"));
    stat(path, &after);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_true(after.st_mtime > before.st_mtime + 3000);
    assert_int_equal(after.st_mode & 07777, 0600);
    assert_int_equal(temporaries(), 0);
}

// Whatever is there, the same is done: another file of the same bytes.
static void test_a_blind_put_always_writes(void **state)
{
    char path[200], *bytes = NULL;
    struct stat before, after;
    struct fault fault = {0};
    size_t n = 0;
    struct digest d = put(STR("blind")), again;
    age(&d, 3600000);
    path_of(&d, path);
    stat(path, &before);
    int fd = open(path, O_RDONLY); // keeps its number from being given again
    assert_int_equal(blob_put_blindly(STR("blind"), &again, &fault), FAIL_NONE);
    assert_true(digest_eq(&d, &again));
    stat(path, &after);
    close(fd);
    assert_true(after.st_ino != before.st_ino && after.st_mtime > before.st_mtime);
    assert_int_equal(blob_sync(&fault), FAIL_NONE);
    overwrite(&d, "blend");
    assert_int_equal(blob_put_blindly(STR("blind"), &again, &fault), FAIL_NONE);
    assert_int_equal(blob_sync(&fault), FAIL_NONE);
    assert_int_equal(blob_get(&d, 10, &bytes, &n, &fault), FAIL_NONE);
    assert_memory_equal(bytes, "blind", 5);
    free(bytes);
    assert_int_equal(temporaries(), 0);
}

static void test_damaged_is_never_served_and_mended_by_a_put(void **state)
{
    static const char *const damages[] = {"dmaaged", "", "damaged and longer"};
    for (int i = 0; i != 3; ++i) {
        struct fault fault = {0};
        char *bytes = NULL;
        size_t n;
        struct digest d = put(STR("damaged"));
        overwrite(&d, damages[i]);
        assert_int_equal(blob_get(&d, 100, &bytes, &n, &fault), FAIL_INTERNAL);
        assert_string_equal(fault.code, "blob_damaged");
        assert_null(bytes);
        put(STR("damaged"));
        assert_int_equal(blob_get(&d, 100, &bytes, &n, &fault), FAIL_NONE);
        assert_string_equal(bytes, "damaged");
        free(bytes);
    }
}

static void test_crash_leftovers_go_at_start(void **state)
{
    struct fault fault = {0};
    char path[200];
    struct digest d = put(STR("survivor"));
    snprintf(path, sizeof path, "%s/tmp/0123456789abcdef0123456789abcdef", blobs);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(temporaries(), 1);
    assert_int_equal(blob_open(blobs, &fault), FAIL_NONE);
    assert_int_equal(temporaries(), 0);
    assert_true(blob_exists(&d));
}

static void test_links_are_not_followed(void **state)
{
    struct fault fault = {0};
    char path[200], *bytes = NULL;
    size_t n;
    struct digest d = put(STR("linked"));
    path_of(&d, path);
    unlink(path);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_equal(blob_get(&d, 1000, &bytes, &n, &fault), FAIL_INTERNAL);
    put(STR("linked"));
    assert_int_equal(blob_get(&d, 1000, &bytes, &n, &fault), FAIL_NONE);
    free(bytes);
}

static void test_many_are_synced_together(void **state)
{
    struct fault fault = {0};
    for (int i = 0; i != 100; ++i) {
        char text[16];
        snprintf(text, sizeof text, "many %d", i);
        put(str_from(text));
    }
    assert_int_equal(blob_sync(&fault), FAIL_NONE);
    assert_int_equal(blob_sync(&fault), FAIL_NONE); // nothing left to do
}

static void test_only_the_old_and_unnamed_are_collected(void **state)
{
    int64_t day = 86400000, limit = clock_real_ms() - day;
    struct digest old = put(STR("old")), named = put(STR("named")), young = put(STR("young"));
    struct digest again = put(STR("put again"));
    age(&old, 2 * day);
    age(&named, 2 * day);
    age(&again, 2 * day);
    put(STR("put again"));
    assert_int_equal(blob_collect(limit, knows_one, &named), 1);
    assert_false(blob_exists(&old));
    assert_true(blob_exists(&named));
    assert_true(blob_exists(&young));
    assert_true(blob_exists(&again));
    assert_int_equal(blob_collect(limit, knows_nothing, NULL), 1);
}

// What a deploy does between the look for a row and the removal.
static bool put_meanwhile(void *arg, const struct digest *d)
{
    put(*(str *)arg);
    return false;
}

static void test_put_while_collecting_survives(void **state)
{
    str bytes = STR("raced for");
    struct digest d = put(bytes);
    age(&d, 172800000);
    assert_int_equal(blob_collect(clock_real_ms() - 86400000, put_meanwhile, &bytes), 0);
    assert_true(blob_exists(&d));
}

static _Atomic bool collecting;

static void *collect_all(void *arg)
{
    while (collecting)
        blob_collect(clock_real_ms() - 86400000, knows_nothing, NULL);
    return NULL;
}

// A put of a blob that is just being collected either saves it or writes it anew.
static void test_puts_and_collection_side_by_side(void **state)
{
    pthread_t collector;
    collecting = true;
    pthread_create(&collector, NULL, collect_all, NULL);
    for (int i = 0; i != 300; ++i) {
        struct digest d = put(STR("contended"));
        if (!blob_exists(&d))
            fail_msg("lost at %d", i);
        char path[200];
        int64_t then = clock_real_ms() / 1000 - 172800;
        struct timespec t[2] = {{then, 0}, {then, 0}};
        path_of(&d, path);
        utimensat(AT_FDCWD, path, t, 0); // old again; the collector may be faster
    }
    collecting = false;
    pthread_join(collector, NULL);
}

static void *put_many(void *arg)
{
    struct fault fault = {0};
    for (int i = 0; i != 50; ++i) {
        char text[16];
        snprintf(text, sizeof text, "shared %d", i);
        if (blob_put(str_from(text), NULL, &fault) != FAIL_NONE || blob_sync(&fault) != FAIL_NONE)
            return arg;
    }
    return NULL;
}

static void test_same_bytes_from_many_threads(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i != 4; ++i)
        pthread_create(&threads[i], NULL, put_many, root);
    for (int i = 0; i != 4; ++i) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(temporaries(), 0);
}

static void test_full_disk_is_said_and_leaves_nothing(void **state)
{
    struct fault fault = {0};
    char small[80];
    snprintf(small, sizeof small, "%s/small", root);
    mkdir(small, 0700);
    if (mount("none", small, "tmpfs", 0, "size=256k") != 0)
        skip(); // only root, and not in every container
    char kept[80];
    snprintf(kept, sizeof kept, "%s", blobs);
    snprintf(blobs, sizeof blobs, "%s/b", small);
    assert_int_equal(blob_open(blobs, &fault), FAIL_NONE);
    char *big = calloc(1, 1 << 20);
    enum fail f = blob_put(str_of(big, 1 << 20), NULL, &fault);
    unsigned left = temporaries();
    struct digest d;
    enum fail then = blob_put(STR("small"), &d, &fault);
    free(big);
    snprintf(blobs, sizeof blobs, "%s", kept);
    struct fault ignored = {0};
    assert_int_equal(blob_open(blobs, &ignored), FAIL_NONE);
    umount(small);
    assert_int_equal(f, FAIL_QUOTA);
    assert_string_equal(fault.code, "disk_full");
    assert_int_equal(left, 0);
    assert_int_equal(then, FAIL_NONE);
}

#ifdef STOA_FAULTS
static enum fail deploy(struct fault *fault)
{
    char *bytes = NULL;
    size_t n;
    struct digest d;
    enum fail f = blob_put(STR("deployed"), &d, fault);
    if (f == FAIL_NONE)
        f = blob_sync(fault);
    if (f == FAIL_NONE)
        f = blob_get(&d, 100, &bytes, &n, fault);
    free(bytes);
    return f;
}

static void test_every_call_can_be_made_to_fail(void **state)
{
    unsigned long n = 1;
    for (;; ++n) {
        struct fault fault = {0};
        faults_at(n);
        enum fail f = deploy(&fault);
        if (!faults_have_fired()) {
            assert_int_equal(f, FAIL_NONE);
            break;
        }
        assert_int_equal(f, FAIL_INTERNAL);
        assert_string_equal(fault.code, "storage_failed");
    }
    assert_int_equal(n, 4);
    faults_at(0);
}
#endif

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

int main(void)
{
    struct fault fault = {0};
    snprintf(root, sizeof root, "/tmp/stoa-test-blob-XXXXXX");
    if (mkdtemp(root) == NULL)
        return 1;
    snprintf(blobs, sizeof blobs, "%s/blobs", root);
    if (blob_open(blobs, &fault) != FAIL_NONE)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_back),
        cmocka_unit_test(test_empty_blob),
        cmocka_unit_test(test_absent_is_not_found),
        cmocka_unit_test(test_no_descriptor_is_no_damage),
        cmocka_unit_test(test_same_bytes_are_kept_once_and_touched),
        cmocka_unit_test(test_a_blind_put_always_writes),
        cmocka_unit_test(test_damaged_is_never_served_and_mended_by_a_put),
        cmocka_unit_test(test_crash_leftovers_go_at_start),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_many_are_synced_together),
        cmocka_unit_test(test_only_the_old_and_unnamed_are_collected),
        cmocka_unit_test(test_put_while_collecting_survives),
        cmocka_unit_test(test_puts_and_collection_side_by_side),
        cmocka_unit_test(test_same_bytes_from_many_threads),
        cmocka_unit_test(test_full_disk_is_said_and_leaves_nothing),
#ifdef STOA_FAULTS
        cmocka_unit_test(test_every_call_can_be_made_to_fail),
#endif
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nftw(root, on_entry, 16, FTW_DEPTH | FTW_PHYS);
    return failed;
}
