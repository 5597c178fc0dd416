#include "edge/limits/shares.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "edge/limits/limits.h"

enum { TOTAL = 4000, ALONE = 100 }; // 3000 for strangers

static struct shares s = SHARES_INITIALIZER;
static struct {
    struct share_holder who;
    uint64_t n;
} has[5000];
static size_t has_count;

static int give_back(void **state)
{
    while (has_count-- != 0)
        shares_set(&s, &has[has_count].who, has[has_count].n, 0);
    has_count = 0;
    return s.all + s.of_strangers == 0 ? 0 : -1;
}

static struct share_holder stranger(uint64_t n, uint64_t network)
{
    return (struct share_holder){.holder = n, .network = network};
}

// As many single bytes as fit.
static uint64_t take_all(struct share_holder who)
{
    uint64_t n = 0;
    while (shares_change(&s, &who, n, n + 1, TOTAL, ALONE) == SHARE_FITS)
        ++n;
    has[has_count].who = who;
    has[has_count++].n = n;
    return n;
}

static enum share_answer take(struct share_holder who, uint64_t n)
{
    enum share_answer answer = shares_change(&s, &who, 0, n, TOTAL, ALONE);
    has[has_count].who = who;
    has[has_count++].n = answer == SHARE_FITS ? n : 0;
    return answer;
}

static void test_one_leaves_as_much_as_it_has(void **state)
{
    struct share_holder a = stranger(1, 1), b = stranger(2, 2);
    assert_int_equal(take_all(a), 1500);
    assert_int_equal(shares_look(&s, &a, 1500, 1501, TOTAL, ALONE), SHARE_TOO_MUCH);
    assert_int_equal(shares_look(&s, &b, 0, 700, TOTAL, ALONE), SHARE_FITS);
    assert_int_equal(take_all(b), 750);
    give_back(NULL);
    assert_int_equal(take_all(b), 1500);
}

static void test_however_many_there_are_the_next_one_has_room(void **state)
{
    for (uint64_t i = 1; i <= 9; ++i) {
        struct share_holder who = stranger(i, i);
        assert_int_equal(take(who, 300), SHARE_FITS);
        assert_int_not_equal(shares_look(&s, &who, 300, 300 + 3000 - 300 * i, TOTAL, ALONE),
                             SHARE_FITS);
    }
    assert_int_equal(take_all(stranger(10, 10)), 150);
}

static void test_a_network_of_many_leaves_room_to_others(void **state)
{
    uint64_t all = 0;
    for (uint64_t i = 1; i <= 1000; ++i)
        all += take_all(stranger(i, 1));
    assert_int_equal(all, 2000);
    assert_int_equal(take_all(stranger(5000, 2)), 500);
}

static void test_neighbours_of_a_greedy_one_have_room(void **state)
{
    assert_int_equal(take_all(stranger(1, 1)), 1500);
    assert_int_equal(take_all(stranger(2, 1)), 500);
}

static void test_who_is_known_has_what_strangers_leave_and_more(void **state)
{
    struct share_holder late = stranger(9999, 9999);
    for (uint64_t i = 1; i <= 3000; ++i)
        (void)take_all(stranger(i, i));
    assert_int_not_equal(shares_look(&s, &late, 0, 200, TOTAL, ALONE), SHARE_FITS);
    assert_true(take_all(share_holder_of_project(77)) >= 500);
    assert_true(take_all(share_holder_of_project(78)) >= 250);
}

// So that what may come at all can come, whatever the parts are.
static void test_who_is_alone_has_what_a_single_one_may_have(void **state)
{
    struct share_holder a = stranger(1, 1), b = stranger(2, 2);
    assert_int_equal(shares_change(&s, &a, 0, 2500, TOTAL, 2500), SHARE_FITS);
    assert_int_equal(shares_look(&s, &a, 2500, 2501, TOTAL, 2500), SHARE_TOO_MUCH);
    assert_int_equal(shares_look(&s, &b, 0, 600, TOTAL, 2500), SHARE_NO_ROOM);
    assert_int_equal(shares_look(&s, &b, 0, 300, TOTAL, 2500), SHARE_TOO_MUCH);
    assert_int_equal(shares_look(&s, &b, 0, 250, TOTAL, 2500), SHARE_FITS);
    shares_set(&s, &a, 2500, 0);
}

static void test_nobody_in_particular_is_bound_by_the_total_only(void **state)
{
    struct share_holder nobody = {0}, a = stranger(1, 1);
    assert_int_equal(take(nobody, 3999), SHARE_FITS);
    assert_int_equal(take(a, 2), SHARE_NO_ROOM);
    assert_int_equal(take(nobody, 2), SHARE_NO_ROOM);
    give_back(NULL);
    shares_set(&s, &a, 0, 5000); // whatever it comes to
    assert_int_equal(shares_look(&s, &a, 5000, 5001, TOTAL, ALONE), SHARE_NO_ROOM);
    assert_int_equal(shares_change(&s, &a, 5000, 4999, TOTAL, ALONE), SHARE_FITS);
    shares_set(&s, &a, 4999, 0);
    assert_int_equal(holdings_of(&s.holders, "0000000000000001").count, 0);
}

static void test_addresses_are_told_apart_by_visitor_and_network(void **state)
{
    struct ip a, b, c;
    assert_true(ip_parse(STR("2001:db8:1:2::3"), &a) && ip_parse(STR("2001:db8:1:2::4"), &b) &&
                ip_parse(STR("2001:db8:1:3::3"), &c));
    struct share_holder of_a = share_holder_of_address(&a), of_b = share_holder_of_address(&b),
                        of_c = share_holder_of_address(&c);
    assert_true(of_a.holder == of_b.holder && of_a.network == of_b.network);
    assert_true(of_a.holder != of_c.holder && of_a.network == of_c.network);
    assert_true(!of_a.is_known && share_holder_of_project(1).is_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_one_leaves_as_much_as_it_has, give_back),
        cmocka_unit_test_teardown(test_however_many_there_are_the_next_one_has_room, give_back),
        cmocka_unit_test_teardown(test_a_network_of_many_leaves_room_to_others, give_back),
        cmocka_unit_test_teardown(test_neighbours_of_a_greedy_one_have_room, give_back),
        cmocka_unit_test_teardown(test_who_is_known_has_what_strangers_leave_and_more, give_back),
        cmocka_unit_test_teardown(test_who_is_alone_has_what_a_single_one_may_have, give_back),
        cmocka_unit_test_teardown(test_nobody_in_particular_is_bound_by_the_total_only, give_back),
        cmocka_unit_test_teardown(test_addresses_are_told_apart_by_visitor_and_network, give_back),
    };
    limits_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
