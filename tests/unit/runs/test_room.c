// Shares of what the writer holds, for records that are waited for and those that are not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "public-actions/runs/internal.h"
#include <cmocka.h> // last: its fail() is a macro

enum { QUARTER = WRITER_BYTES_MAX / 4, RECORD = QUARTER / 8 };

// As many records as there is room for.
static unsigned fill(const char *project_id, bool is_waited)
{
    unsigned n = 0;
    while (runs_room_occupy(project_id, RECORD, is_waited))
        ++n;
    return n;
}

static void empty(const char *project_id, bool is_waited, unsigned n)
{
    while (n-- != 0)
        runs_room_vacate(project_id, RECORD, is_waited);
}

static void test_one_project_leaves_room_to_the_others(void **state)
{
    for (int is_waited = 0; is_waited != 2; ++is_waited) {
        unsigned share = is_waited ? 16 : 8;
        assert_int_equal(fill("loud", is_waited), share);
        assert_int_equal(fill("other", is_waited), share);
        empty("loud", is_waited, share);
        assert_int_equal(fill("loud", is_waited), share); // as before
        empty("loud", is_waited, share);
        empty("other", is_waited, share);
    }
}

static void test_records_that_are_waited_for_have_a_quarter_alone(void **state)
{
    static const char *const projects[] = {"a", "b", "c", "d"};
    unsigned n[4], sum = 0;
    for (int i = 0; i != 4; ++i)
        sum += n[i] = fill(projects[i], false);
    assert_int_equal(sum, 24);
    assert_int_equal(fill("a", true), 8);
    assert_false(runs_room_occupy("e", RECORD, false));
    assert_false(runs_room_occupy("e", RECORD, true));
    empty("a", true, 8);
    for (int i = 0; i != 4; ++i)
        empty(projects[i], false, n[i]);
}

static void test_many_small_ones_are_bounded_too(void **state)
{
    unsigned n = 0;
    while (runs_room_occupy("a", 0, false))
        ++n;
    assert_int_equal(n, WRITER_COUNT_MAX / 4);
    while (n-- != 0)
        runs_room_vacate("a", 0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_project_leaves_room_to_the_others),
        cmocka_unit_test(test_records_that_are_waited_for_have_a_quarter_alone),
        cmocka_unit_test(test_many_small_ones_are_bounded_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
