// Bodies: the bytes of a file as the cache holds them, plain or as a file in memory.
#include "bundles/variant.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

enum { LARGE = 48 * 1024 };

static struct body *make(size_t size)
{
    struct digest digest = {0};
    char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i != size; ++i)
        bytes[i] = (char)('a' + i % 23);
    return body_create(&digest, bytes, size);
}

static void check_bytes(const struct body *b)
{
    for (size_t i = 0; i != b->size; ++i)
        if (b->bytes[i] != (char)('a' + i % 23))
            fail_msg("byte %zu differs", i);
}

static void test_small_is_plain(void **state)
{
    for (size_t size = 0; size < LARGE; size += LARGE / 4 - 1) {
        struct body *b = make(size);
        assert_int_equal(b->fd, -1);
        check_bytes(b);
        shared_unref(&b->shared);
    }
}

static void test_large_is_a_file_nobody_can_change(void **state)
{
    struct body *b = make(LARGE + 4097);
    char part[4097];
    assert_true(b->fd >= 0);
    check_bytes(b);
    assert_int_equal(pread(b->fd, part, sizeof part, LARGE), sizeof part);
    assert_memory_equal(part, b->bytes + LARGE, sizeof part);
    assert_int_equal(pread(b->fd, part, 1, LARGE + 4097), 0);
    assert_int_equal(pwrite(b->fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(b->fd, 0), -1);
    assert_ptr_equal(mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0), MAP_FAILED);
    int fd = b->fd;
    shared_unref(&b->shared);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_files_leave_descriptors_for_connections(void **state)
{
    enum { BODIES = 12, FILES = 4 };
    struct rlimit before, few;
    struct body *bodies[BODIES];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 8 * FILES;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int round = 0; round != 2; ++round) {
        int files = 0;
        for (int i = 0; i != BODIES; ++i) {
            bodies[i] = make(LARGE);
            files += bodies[i]->fd != -1;
            check_bytes(bodies[i]);
        }
        assert_int_equal(files, FILES);
        for (int i = 0; i != BODIES; ++i)
            shared_unref(&bodies[i]->shared);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_is_plain),
        cmocka_unit_test(test_large_is_a_file_nobody_can_change),
        cmocka_unit_test(test_files_leave_descriptors_for_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
