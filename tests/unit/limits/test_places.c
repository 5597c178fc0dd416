// Places: who has how many of them beside whom.
#include "edge/limits/places.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "edge/limits/limits.h"

static struct places places = {.kind = 1}, others = {.kind = 2};

enum { TOTAL = 1000, MANY = 100 };

static int setup(void **state)
{
    limits_init();
    return 0;
}

static struct share_holder stranger(uint64_t n, uint64_t network)
{
    return (struct share_holder){.holder = UINT64_C(0x9e3779b97f4a7c15) * n,
                                 .network = UINT64_C(0xbf58476d1ce4e5b9) * network};
}

static uint32_t take_all(const struct share_holder *who)
{
    uint32_t n = 0;
    while (places_take(&places, who, 1, TOTAL))
        ++n;
    return n;
}

static void nobody_has_more_than_is_left(void **state)
{
    struct share_holder a = stranger(1, 1), b = stranger(2, 2);
    uint32_t of_a = take_all(&a), of_b = take_all(&b);
    assert_int_equal(of_a, 375); // of the 750 of strangers
    assert_in_range(of_b, 186, 188);
    places_give_back(&places, &a, of_a);
    places_give_back(&places, &b, of_b);
    assert_int_equal(take_all(&a), of_a); // all was given back
    places_give_back(&places, &a, of_a);
}

static void a_network_has_two_thirds(void **state)
{
    struct share_holder of[MANY];
    uint32_t has[MANY], all = 0;
    for (unsigned i = 0; i != MANY; ++i) {
        of[i] = stranger(100 + i, 7);
        all += has[i] = take_all(&of[i]);
    }
    struct share_holder other = stranger(3, 3);
    uint32_t of_other = take_all(&other);
    assert_in_range(all, 499, 501);
    assert_in_range(of_other, 124, 126);
    for (unsigned i = 0; i != MANY; ++i)
        if (has[i] != 0)
            places_give_back(&places, &of[i], has[i]);
    places_give_back(&places, &other, of_other);
}

static void strangers_leave_a_quarter(void **state)
{
    struct share_holder of[MANY], known = share_holder_of_project(77), nobody = {0};
    uint32_t has[MANY], all = 0;
    for (unsigned i = 0; i != MANY; ++i) {
        of[i] = stranger(300 + i, 300 + i);
        all += has[i] = take_all(&of[i]);
    }
    assert_in_range(all, 740, 750);
    uint32_t of_known = take_all(&known);
    assert_in_range(of_known, 125, 130);
    assert_int_equal(take_all(&nobody), TOTAL - all - of_known);
    places_give_back(&places, &nobody, TOTAL - all - of_known);
    places_give_back(&places, &known, of_known);
    for (unsigned i = 0; i != MANY; ++i)
        if (has[i] != 0)
            places_give_back(&places, &of[i], has[i]);
}

static void several_at_once_are_all_or_none(void **state)
{
    struct share_holder a = stranger(5, 5);
    assert_true(places_take(&places, &a, 370, TOTAL));
    assert_false(places_take(&places, &a, 8, TOTAL));
    assert_true(places_take(&places, &a, 5, TOTAL));
    places_give_back(&places, &a, 5); // in other portions
    places_give_back(&places, &a, 300);
    places_give_back(&places, &a, 70);
    assert_int_equal(take_all(&a), 375);
    places_give_back(&places, &a, 375);
}

static void kinds_are_apart(void **state)
{
    struct share_holder a = stranger(6, 6);
    uint32_t n = take_all(&a);
    assert_true(places_take(&others, &a, 375, TOTAL));
    places_give_back(&others, &a, 375);
    places_give_back(&places, &a, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_has_more_than_is_left),
        cmocka_unit_test(a_network_has_two_thirds),
        cmocka_unit_test(strangers_leave_a_quarter),
        cmocka_unit_test(several_at_once_are_all_or_none),
        cmocka_unit_test(kinds_are_apart),
    };
    return cmocka_run_group_tests_name("places", tests, setup, NULL);
}
