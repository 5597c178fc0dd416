// What one public request is charged to (security-rules.md 18), as visitors would try it.
#include "edge/limits/visit.h"
#include "edge/base/clock.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const struct visit_limits standard = {{60, 30}, {600, 300}, {6000, 3000}};
static char instance[16];
static unsigned instances;

static int fresh_instance(void **state)
{
    snprintf(instance, sizeof instance, "i%u", instances++);
    return 0;
}

static int setup(void **state)
{
    limits_init();
    return 0;
}

static struct ip of(const char *text)
{
    struct ip a;
    assert_true(ip_parse(str_from(text), &a));
    return a;
}

static struct visit last;

static bool visit(const char *action, const char *from)
{
    struct ip a = of(from);
    return limits_visit(&last, str_from(instance), str_from(action), &a, &standard);
}

// How many of `most` get through, one after the other.
static unsigned passes(const char *action, const char *from, unsigned most)
{
    unsigned n = 0;
    while (n != most && visit(action, from))
        ++n;
    return n;
}

static const char *refusing(void)
{
    for (size_t i = 0; i != last.count; ++i)
        if (!last.checks[i].allowed)
            return last.checks[i].policy.name;
    return "";
}

static void an_action_has_its_own_limit_once_it_has_answered(void **state)
{
    limits_action_answered(str_from(instance), STR("submit"));
    assert_in_range(passes("submit", "192.0.2.1", 100), 30, 31);
    assert_string_equal(refusing(), "action");
    assert_true(visit("load", "192.0.2.1"));
    assert_true(visit("submit", "192.0.2.2")); // a neighbour is another visitor
}

static void made_up_names_make_no_new_allowance(void **state)
{
    unsigned n = 0;
    char name[16];
    for (unsigned i = 0; i != 200; ++i) {
        snprintf(name, sizeof name, "a%u", i);
        n += visit(name, "192.0.2.3");
    }
    assert_in_range(n, 30, 31);
    limits_action_answered(str_from(instance), STR("real"));
    assert_in_range(passes("real", "192.0.2.3", 100), 30, 31);
}

static void a_visitor_has_a_limit_over_all_actions(void **state)
{
    unsigned n = 0;
    char name[16];
    for (unsigned i = 0; i != 15; ++i) {
        snprintf(name, sizeof name, "b%u", i);
        limits_action_answered(str_from(instance), str_from(name));
        n += passes(name, "192.0.2.4", 30);
    }
    assert_in_range(n, 300, 303);
    assert_string_equal(refusing(), "visitor");
}

static void one_instance_is_not_another(void **state)
{
    assert_in_range(passes("x", "192.0.2.5", 100), 30, 31);
    fresh_instance(NULL);
    assert_true(visit("x", "192.0.2.5"));
}

static void no_network_takes_the_whole_instance(void **state)
{
    unsigned n = 0;
    char from[32];
    for (unsigned i = 0; i != 255; ++i) {
        snprintf(from, sizeof from, "198.51.100.%u", i);
        n += passes("x", from, 30);
    }
    assert_in_range(n, 1500, 1510); // half of the instance's burst, of 7,650 asked
    assert_string_equal(refusing(), "network");
    assert_true(visit("x", "203.0.113.1")); // others find room
}

static void many_networks_meet_the_instances_limit(void **state)
{
    unsigned n = 0;
    char from[32];
    for (unsigned i = 0; i != 200; ++i) {
        snprintf(from, sizeof from, "203.0.%u.1", i);
        n += passes("x", from, 30);
    }
    assert_in_range(n, 3000, 3020);
    assert_string_equal(refusing(), "instance");
    char policy[LIMITS_HEADER_ROOM], told[LIMITS_HEADER_ROOM];
    uint32_t retry_after;
    limits_headers(last.checks, last.count, policy, told, &retry_after);
    assert_non_null(strstr(told, "\"instance\";r=0;t=1"));
    assert_int_equal(retry_after, 1);
}

static void ipv6_is_counted_by_64_and_looser_by_48(void **state)
{
    assert_in_range(passes("x", "2001:db8:1:2::1", 100), 30, 31);
    assert_false(visit("x", "2001:db8:1:2:3:4:5:6")); // the same /64
    unsigned n = 30;
    char from[48];
    for (unsigned i = 3; i != 10; ++i) {
        snprintf(from, sizeof from, "2001:db8:1:%x::1", i);
        n += passes("x", from, 30);
    }
    assert_in_range(n, 120, 122); // four visitors' worth a /48
    assert_string_equal(refusing(), "action-48");
    assert_true(visit("x", "2001:db8:2::1"));
}

static void a_handler_that_answers_to_all_forgets_its_own_only(void **state)
{
    limits_action_answered(STR("neighbour"), STR("submit"));
    char name[16];
    for (unsigned i = 0; i != 100000; ++i) {
        snprintf(name, sizeof name, "c%u", i);
        limits_action_answered(str_from(instance), str_from(name));
    }
    assert_true(limits_action_is_known(STR("neighbour"), STR("submit")));
    assert_true(limits_action_is_known(str_from(instance), STR("c99999")));
    unsigned known = 0;
    for (unsigned i = 0; i != 100000; ++i) {
        snprintf(name, sizeof name, "c%u", i);
        known += limits_action_is_known(str_from(instance), str_from(name));
    }
    assert_in_range(known, 1, 17);
}

static void the_longest_fields_fit(void **state)
{
    const struct visit_limits huge = {
        {UINT32_MAX, UINT32_MAX}, {UINT32_MAX, UINT32_MAX}, {UINT32_MAX, UINT32_MAX}};
    struct ip a = of("2001:db8::1");
    char policy[LIMITS_HEADER_ROOM], told[LIMITS_HEADER_ROOM];
    uint32_t retry_after;
    limits_visit(&last, str_from(instance), STR("x"), &a, &huge);
    assert_int_equal(last.count, VISIT_CHECKS_MAX);
    for (size_t i = 0; i != last.count; ++i)
        last.checks[i] = (struct limit_check){
            .policy = last.checks[i].policy, .remaining = UINT64_MAX, .reset_s = UINT32_MAX};
    limits_headers(last.checks, last.count, policy, told, &retry_after);
    assert_int_equal(retry_after, UINT32_MAX);
}

static void a_visit_costs_little(void **state)
{
    enum { ROUNDS = 100000 };
    static const char *const from[] = {"192.0.2.9", "2001:db8:9::1"};
    for (size_t f = 0; f != 2; ++f) {
        struct ip a = of(from[f]);
        uint64_t began = clock_monotonic_us(), refused = 0;
        for (int i = 0; i != ROUNDS; ++i)
            refused += !limits_visit(&last, str_from(instance), STR("submit"), &a, &standard);
        uint64_t took = clock_monotonic_us() - began;
        printf("%s: %" PRIu64 " ns a request, %zu checks, %" PRIu64 " of %d refused\n", from[f],
               took * 1000 / ROUNDS, last.count, refused, ROUNDS);
        assert_true(took / ROUNDS < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_action_has_its_own_limit_once_it_has_answered, fresh_instance),
        cmocka_unit_test_setup(made_up_names_make_no_new_allowance, fresh_instance),
        cmocka_unit_test_setup(a_visitor_has_a_limit_over_all_actions, fresh_instance),
        cmocka_unit_test_setup(one_instance_is_not_another, fresh_instance),
        cmocka_unit_test_setup(no_network_takes_the_whole_instance, fresh_instance),
        cmocka_unit_test_setup(many_networks_meet_the_instances_limit, fresh_instance),
        cmocka_unit_test_setup(ipv6_is_counted_by_64_and_looser_by_48, fresh_instance),
        cmocka_unit_test_setup(a_handler_that_answers_to_all_forgets_its_own_only, fresh_instance),
        cmocka_unit_test_setup(the_longest_fields_fit, fresh_instance),
        cmocka_unit_test_setup(a_visit_costs_little, fresh_instance),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
