// The bucket: bursts, refill, and that neither time nor prices can overflow it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "edge/guard/budget.h"

enum { SIZE = 400, PER_SECOND = 50, EVENT = 1000 };

static unsigned spend(struct budget *b, uint64_t now, uint32_t cost, unsigned most)
{
    unsigned n = 0;
    while (n < most && budget_charge(b, SIZE, PER_SECOND, now, cost))
        ++n;
    return n;
}

static void a_full_bucket_holds_its_size(void **state)
{
    struct budget b;
    budget_init(&b, SIZE, 1000);
    assert_int_equal(spend(&b, 1000, EVENT, 100000), SIZE);
    assert_false(budget_charge(&b, SIZE, PER_SECOND, 1000, 1));
}

static void it_refills_by_time(void **state)
{
    struct budget b;
    budget_init(&b, SIZE, 1000);
    while (spend(&b, 1000, EVENT, 1) == 1)
        ;
    // one event in debt: a second brings fifty
    assert_int_equal(spend(&b, 2000, EVENT, 100000), PER_SECOND - 1);
}

static void it_never_holds_more_than_its_size(void **state)
{
    struct budget b;
    budget_init(&b, SIZE, 1000);
    assert_int_equal(spend(&b, UINT64_MAX / 2, EVENT, 100000), SIZE);
}

static void debt_is_bounded(void **state)
{
    struct budget b;
    budget_init(&b, SIZE, 0);
    for (int i = 0; i < 100000; ++i)
        assert_true(budget_charge(&b, SIZE, PER_SECOND, 0, UINT32_MAX) == false);
    assert_int_equal(b.level, -SIZE * EVENT);
    assert_true(budget_charge(&b, SIZE, PER_SECOND, 2 * SIZE * EVENT / PER_SECOND, EVENT));
}

static void a_clock_that_goes_back_gives_nothing(void **state)
{
    struct budget b;
    budget_init(&b, SIZE, 5000);
    assert_int_equal(spend(&b, 5000, EVENT, 100000), SIZE);
    assert_false(budget_charge(&b, SIZE, PER_SECOND, 1000, EVENT));
}

static void nothing_refills_at_a_rate_of_zero(void **state)
{
    struct budget b;
    budget_init(&b, 1, 0);
    assert_true(budget_charge(&b, 1, 0, 0, EVENT));
    assert_false(budget_charge(&b, 1, 0, UINT64_MAX, EVENT));
}

static void cheap_events_are_many(void **state)
{
    struct budget b;
    budget_init(&b, SIZE, 0);
    assert_int_equal(spend(&b, 0, 20, 1000000), SIZE * 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_holds_its_size),
        cmocka_unit_test(it_refills_by_time),
        cmocka_unit_test(it_never_holds_more_than_its_size),
        cmocka_unit_test(debt_is_bounded),
        cmocka_unit_test(a_clock_that_goes_back_gives_nothing),
        cmocka_unit_test(nothing_refills_at_a_rate_of_zero),
        cmocka_unit_test(cheap_events_are_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
