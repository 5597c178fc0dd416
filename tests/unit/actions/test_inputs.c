// Who may hold how much of what visitors sent.
#include "public-actions/inputs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

enum { MIB = 1 << 20 };

static unsigned hold_all(const char *plugin, size_t bytes)
{
    unsigned n = 0;
    while (action_inputs_hold(plugin, bytes))
        ++n;
    return n;
}

static void give_back(const char *plugin, size_t bytes, unsigned n)
{
    for (unsigned i = 0; i != n; ++i)
        action_inputs_give_back(plugin, bytes);
}

static void test_a_plugin_has_a_quarter(void **state)
{
    assert_int_equal(hold_all("sleeps", MIB), 64);
    assert_false(action_inputs_hold("sleeps", 1));
    action_inputs_give_back("sleeps", MIB);
    assert_true(action_inputs_hold("sleeps", MIB));
    give_back("sleeps", MIB, 64);
    assert_false(action_inputs_hold("sleeps", SIZE_MAX));
    assert_int_equal(hold_all("sleeps", 64 * MIB), 1);
    give_back("sleeps", 64 * MIB, 1);
}

static void test_nothing_may_always_be_held(void **state)
{
    unsigned n = hold_all("sleeps", MIB);
    assert_true(action_inputs_hold("sleeps", 0));
    action_inputs_give_back("sleeps", 0);
    give_back("sleeps", MIB, n);
    assert_true(action_inputs_hold("has nothing", 0)); // and leaves nothing: LeakSanitizer
}

// However many sleep on large bodies, whoever holds little is let in.
static void test_the_last_quarter_is_for_those_who_hold_little(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    unsigned held[5];
    for (size_t i = 0; i != 5; ++i)
        held[i] = hold_all(names[i], MIB);
    assert_int_equal(held[2], 64);
    assert_int_equal(held[3], 4);
    assert_int_equal(held[4], 4);
    assert_int_equal(hold_all("neighbour", MIB), 4);
    assert_false(action_inputs_hold("neighbour", 1));
    char name[16];
    for (unsigned i = 0; i != 13; ++i) {
        snprintf(name, sizeof name, "p%u", i);
        assert_int_equal(hold_all(name, MIB), 4);
    }
    assert_false(action_inputs_hold("one more", 1)); // 256 MiB
    for (unsigned i = 0; i != 13; ++i) {
        snprintf(name, sizeof name, "p%u", i);
        give_back(name, MIB, 4);
    }
    for (size_t i = 0; i != 5; ++i)
        give_back(names[i], MIB, held[i]);
    give_back("neighbour", MIB, 4);
    assert_int_equal(hold_all("sleeps", MIB), 64); // nothing is left behind
    give_back("sleeps", MIB, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plugin_has_a_quarter),
        cmocka_unit_test(test_nothing_may_always_be_held),
        cmocka_unit_test(test_the_last_quarter_is_for_those_who_hold_little)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
