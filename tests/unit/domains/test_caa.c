// The climb from a name to the top of its zone, with DNS played. What records say: tests/unit/acme.
#include "domains/caa.h"
#include "edge/base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "played_dns.h"

static const char name[] = "a.b.forms.customer-one.com";

static int begin(void **state)
{
    played_clear();
    return 0;
}

static void assert_look(const char *identities, enum fail expected, const char *code)
{
    struct fault fault = {0};
    enum fail f = caa_look(name, str_from(identities), CAA_PATIENCE_MS, &fault);
    assert_int_equal(f, expected);
    if (code != NULL)
        assert_string_equal(fault.code, code);
}

static void the_nearest_name_decides(void **state)
{
    assert_look("ca.example", FAIL_NONE, NULL); // nobody forbids
    played_add("customer-one.com", DNS_CAA, "0 issue \"other.example\"");
    assert_look("ca.example", FAIL_REFUSED, "caa_forbids");
    assert_look("other.example", FAIL_NONE, NULL);
    played_add("forms.customer-one.com", DNS_CAA, "0 issue \"ca.example\"");
    assert_look("ca.example", FAIL_NONE, NULL);
    assert_look("other.example", FAIL_REFUSED, "caa_forbids");
}

static void who_does_not_answer_leaves_it_unknown(void **state)
{
    played_fail(DNS_SERVFAIL);
    assert_look("ca.example", FAIL_UPSTREAM, "caa_unknown");
}

// A name may have more than a hundred labels, and each its own servers' patience.
static void a_climb_that_is_slow_at_every_name_ends(void **state)
{
    struct fault fault = {0};
    char deep[256];
    size_t n = 0;
    for (; n < 200; n += 2)
        memcpy(deep + n, "x.", 2);
    memcpy(deep + n, name, sizeof name);
    played_slow(20);
    uint64_t before = clock_monotonic_ms();
    assert_int_equal(caa_look(deep, STR("ca.example"), 100, &fault), FAIL_UPSTREAM);
    assert_string_equal(fault.code, "caa_unknown");
    assert_in_range(clock_monotonic_ms() - before, 100, 1000); // 105 names: more than two seconds
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_nearest_name_decides, begin),
        cmocka_unit_test_setup(who_does_not_answer_leaves_it_unknown, begin),
        cmocka_unit_test_setup(a_climb_that_is_slow_at_every_name_ends, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
