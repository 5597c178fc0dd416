#include "edge/limits/holdings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void assert_has(const struct holdings *h, const char *holder, size_t count, size_t bytes)
{
    struct holding has = holdings_of(h, holder);
    assert_int_equal(has.count, count);
    assert_int_equal(has.bytes, bytes);
}

static void test_each_has_their_own(void **state)
{
    static const struct holdings nothing;
    struct holdings h = {0};
    assert_has(&h, "a", 0, 0);
    holdings_add(&h, "a", 5);
    holdings_add(&h, "a", 0);
    holdings_add(&h, "b", 7);
    assert_has(&h, "a", 2, 5);
    assert_has(&h, "b", 1, 7);
    assert_has(&h, "", 0, 0);
    assert_int_equal(h.all.count, 3);
    assert_int_equal(h.all.bytes, 12);
    holdings_remove(&h, "a", 5);
    assert_has(&h, "a", 1, 0);
    holdings_remove(&h, "a", 0);
    holdings_remove(&h, "b", 7);
    assert_memory_equal(&h, &nothing, sizeof h);
}

static void assert_most(const struct holdings *h, const char *holder, size_t bytes)
{
    char most[HOLDER_ROOM] = "?";
    assert_int_equal(holdings_most(h, most).bytes, bytes);
    assert_string_equal(most, holder);
}

static void test_who_holds_the_most(void **state)
{
    struct holdings h = {0};
    assert_most(&h, "", 0);
    holdings_add(&h, "none", 0);
    assert_most(&h, "", 0);
    holdings_add(&h, "a", 5);
    holdings_add(&h, "b", 4);
    assert_most(&h, "a", 5);
    holdings_add(&h, "b", 2);
    assert_most(&h, "b", 6);
    holdings_remove(&h, "b", 4);
    assert_most(&h, "a", 5);
    holdings_remove(&h, "a", 5);
    holdings_remove(&h, "b", 2);
    holdings_remove(&h, "none", 0);
    assert_most(&h, "", 0);
}

// More than there are buckets, taken out in another order.
static void test_many_share_buckets(void **state)
{
    enum { MANY = 2000, STEP = 7 };
    static const struct holdings nothing;
    struct holdings h = {0};
    char id[16];
    for (size_t i = 0; i != MANY; ++i) {
        snprintf(id, sizeof id, "prj_%zu", i);
        holdings_add(&h, id, i);
    }
    for (size_t i = 0, at = 0; i != MANY; ++i, at = (at + STEP) % MANY) {
        snprintf(id, sizeof id, "prj_%zu", at);
        assert_has(&h, id, 1, at);
        holdings_remove(&h, id, at);
        assert_has(&h, id, 0, 0);
    }
    assert_memory_equal(&h, &nothing, sizeof h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_has_their_own),
                                       cmocka_unit_test(test_who_holds_the_most),
                                       cmocka_unit_test(test_many_share_buckets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
