// Mapped files whose bytes go missing.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "edge/base/mapped.h"

enum { SIZE = 3 * 65536 + 5 };

static int file_of(size_t size)
{
    char name[] = "/tmp/stoa-mapped-XXXXXX", piece[4096];
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    memset(piece, 'x', sizeof piece);
    for (size_t n = 0; n < size; n += sizeof piece)
        assert_true(write(fd, piece, size - n < sizeof piece ? size - n : sizeof piece) > 0);
    return fd;
}

// In each test: cmocka takes the signal for itself before each.
static struct mapped opened(int fd)
{
    struct mapped m;
    mapped_init();
    assert_int_equal(mapped_open(&m, fd, SIZE), 0);
    return m;
}

static void it_is_the_file(void **state)
{
    int fd = file_of(SIZE);
    struct mapped m = opened(fd);
    assert_int_equal(m.n, SIZE);
    assert_true(mapped_has(&m, m.p, m.n));
    assert_true(mapped_has(&m, m.p + SIZE, 0));
    assert_int_equal(m.p[SIZE - 1], 'x');
    mapped_close(&m);
    close(fd);
}

static void what_was_cut_reads_as_zeros_and_is_told(void **state)
{
    int fd = file_of(SIZE), other_fd = file_of(SIZE);
    struct mapped m = opened(fd), other = opened(other_fd);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_true(mapped_has(&m, m.p, 4096));
    assert_false(mapped_has(&m, m.p + 65536, 65536));
    assert_int_equal(m.p[SIZE - 1], 0);
    assert_false(mapped_has(&m, m.p, 1)); // nothing of it is to be trusted
    assert_true(mapped_has(&other, other.p, other.n));
    mapped_close(&m);
    m = opened(other_fd); // a slot is as new
    assert_true(mapped_has(&m, m.p, m.n));
    mapped_close(&m);
    mapped_close(&other);
    close(fd);
    close(other_fd);
}

static void other_bus_errors_end_the_process(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        int fd = file_of(SIZE);
        mapped_init();
        volatile char *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
        if (ftruncate(fd, 0) == 0)
            (void)p[0];
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static void there_are_so_many(void **state)
{
    int fd = file_of(1);
    struct mapped *all = calloc(MAPPED_MOST, sizeof *all), more;
    assert_non_null(all);
    for (size_t i = 0; i != MAPPED_MOST; ++i)
        assert_int_equal(mapped_open(&all[i], fd, 1), 0);
    assert_int_equal(mapped_open(&more, fd, 1), ENOMEM);
    mapped_close(&all[7]);
    assert_int_equal(mapped_open(&all[7], fd, 1), 0);
    for (size_t i = 0; i != MAPPED_MOST; ++i)
        mapped_close(&all[i]);
    free(all);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_file),
        cmocka_unit_test(what_was_cut_reads_as_zeros_and_is_told),
        cmocka_unit_test(other_bus_errors_end_the_process),
        cmocka_unit_test(there_are_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
