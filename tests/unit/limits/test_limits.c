// The shared table of limits.
#include "edge/limits/limits.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

static int setup(void **state)
{
    limits_init();
    return 0;
}

static void counts_up_to_the_maximum_and_back(void **state)
{
    uint64_t key = limits_key(LIMIT_CONNECTIONS, STR("a"));
    assert_true(limits_enter(key, 2));
    assert_true(limits_enter(key, 2));
    assert_false(limits_enter(key, 2));
    limits_leave(key);
    assert_true(limits_enter(key, 2));
    limits_leave(key);
    limits_leave(key);
}

static void counts_addresses_apart(void **state)
{
    uint64_t a = limits_key(LIMIT_CONNECTIONS, STR("x")),
             b = limits_key(LIMIT_CONNECTIONS, STR("y"));
    assert_true(limits_enter(a, 1));
    assert_true(limits_enter(b, 1));
    assert_false(limits_enter(a, 1));
    limits_leave(a);
    limits_leave(b);
    assert_true(a != limits_key(LIMIT_HANDSHAKES, STR("x")));
}

static void lets_a_burst_through_and_then_the_rate(void **state)
{
    uint64_t key = limits_key(LIMIT_HANDSHAKES, STR("burst")), wait = 0;
    for (int i = 0; i != 5; ++i)
        assert_true(limits_conforms(key, 1000000, 5, &wait));
    assert_false(limits_conforms(key, 1000000, 5, &wait));
    assert_in_range(wait, 900000, 1000000); // the next one conforms when one interval has passed
}

static void looking_costs_nothing(void **state)
{
    uint64_t key = limits_key(LIMIT_OTHER, STR("look")), wait = 0;
    for (int i = 0; i != 5; ++i)
        assert_true(limits_would_conform(key, 1000000, 2, &wait));
    assert_true(limits_conforms(key, 1000000, 2, &wait));
    assert_true(limits_would_conform(key, 1000000, 2, &wait));
    assert_true(limits_conforms(key, 1000000, 2, &wait));
    assert_false(limits_would_conform(key, 1000000, 2, &wait));
    assert_in_range(wait, 900000, 1000000);
}

static void never_evicts_what_is_in_force(void **state)
{
    uint64_t keys[40], wait, in_force = 0;
    for (uint64_t i = 0; i != 40; ++i) { // forty keys of one set of sixteen ways
        keys[i] = (i + 1) << 17 | 77;
        in_force += limits_conforms(keys[i], 60 * 1000000, 1, &wait);
    }
    assert_int_equal(in_force, 16);
    for (uint64_t i = 0; i != 16; ++i)
        assert_false(
            limits_conforms(keys[i], 60 * 1000000, 1, &wait)); // still held to their minute
}

static size_t address_of(const char *text, uint8_t to[static 16])
{
    struct ip whole;
    assert_true(ip_parse(str_from(text), &whole));
    struct ip a = ip_normalise(&whole);
    str visitor = limits_visitor(&a);
    memcpy(to, visitor.p, visitor.n);
    return visitor.n;
}

static void takes_one_visitor_for_one(void **state)
{
    static const char *const same[] = {"192.0.2.7", "::ffff:192.0.2.7", "64:ff9b::c000:207",
                                       "2002:c000:207::1"};
    uint8_t first[16], other[16];
    assert_int_equal(address_of(same[0], first), 4);
    for (size_t i = 1; i != sizeof same / sizeof same[0]; ++i) {
        assert_int_equal(address_of(same[i], other), 4);
        assert_memory_equal(first, other, 4);
    }
    assert_int_equal(address_of("2001:db8:1:2:3:4:5:6", first), 8); // the /64
    assert_int_equal(address_of("2001:db8:1:2:ffff::1", other), 8);
    assert_memory_equal(first, other, 8);
}

static void *enter_and_leave(void *arg)
{
    uint64_t key = limits_key(LIMIT_CONNECTIONS, STR("shared")), entered = 0;
    for (int i = 0; i != 20000; ++i)
        if (limits_enter(key, 3)) {
            ++entered;
            limits_leave(key);
        }
    assert_true(entered != 0);
    return NULL;
}

static void stays_exact_between_threads(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i != 4; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, enter_and_leave, NULL), 0);
    for (size_t i = 0; i != 4; ++i)
        pthread_join(threads[i], NULL);
    uint64_t key = limits_key(LIMIT_CONNECTIONS, STR("shared"));
    for (int i = 0; i != 3; ++i)
        assert_true(limits_enter(key, 3)); // nothing was left behind
    assert_false(limits_enter(key, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_up_to_the_maximum_and_back),
        cmocka_unit_test(counts_addresses_apart),
        cmocka_unit_test(lets_a_burst_through_and_then_the_rate),
        cmocka_unit_test(looking_costs_nothing),
        cmocka_unit_test(never_evicts_what_is_in_force),
        cmocka_unit_test(takes_one_visitor_for_one),
        cmocka_unit_test(stays_exact_between_threads),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
