// What single files are taken for, by the caged program, one process for each.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdlib.h>
#include "tests/unit/inspect/samples.h"
#include "tests/unit/inspect/workers.h"
#include <cmocka.h> // last: its fail() is a macro

static size_t wrong;

static void check(const char *name, str bytes, const char *mime, enum inspect_container container,
                  enum inspect_active active)
{
    struct inspect_seen seen = {0};
    struct fault fault = {0};
    enum fail fail = inspect_file(bytes, &seen, &fault);
    bool ok = fail == FAIL_NONE && strcmp(seen.mime, mime) == 0 && seen.container == container &&
              seen.active == active && seen.has_active == (active != INSPECT_NOT_ACTIVE);
    print_message("%-14s %s container=%d active=%d %s%s\n", name, seen.mime, seen.container,
                  seen.active, ok ? "" : "WRONG ", fault.log_text);
    wrong += !ok;
}

static void knows_every_sample(void **state)
{
    wrong = 0;
    for (size_t i = 0; i != sample_count; ++i)
        check(samples[i].name, samples[i].bytes, samples[i].mime, samples[i].container,
              samples[i].active);
    assert_int_equal(wrong, 0);
}

static void looks_into_zip_files(void **state)
{
    wrong = 0;
    for (size_t i = 0; i != sample_package_count; ++i) {
        struct buf b = sample_zip(sample_packages[i].entries);
        check(sample_packages[i].name, buf_str(&b), sample_packages[i].mime,
              sample_packages[i].container, 0);
        buf_fini(&b);
    }
    assert_int_equal(wrong, 0);
}

static void knows_old_office(void **state)
{
    static const char *const streams[][2] = {
        {"WordDocument", "application/msword"},
        {"Workbook", "application/vnd.ms-excel"},
        {"PowerPoint Document", "application/vnd.ms-powerpoint"},
        {"Something", "application/x-ole-storage"}};
    wrong = 0;
    for (size_t i = 0; i != sizeof streams / sizeof *streams; ++i) {
        struct buf b = sample_old_office(streams[i][0]);
        check(streams[i][0], buf_str(&b), streams[i][1], 0, 0);
        buf_fini(&b);
    }
    assert_int_equal(wrong, 0);
}

// --- setup ---

static int setup(void **state)
{
    inspect_init(0, &workers_source_of_files);
    return 0;
}

static int teardown(void **state)
{
    inspect_fini();
    return workers_alive == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        workers_files_program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_sample),
        cmocka_unit_test(looks_into_zip_files),
        cmocka_unit_test(knows_old_office),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
