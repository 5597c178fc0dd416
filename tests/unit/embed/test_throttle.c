// Who waits after failures, and that a flood of them is a few rows.
#include "embed/throttle.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include "edge/limits/limits.h"
#include "embed/refusals.h"
#include <cmocka.h>

static struct ip address(unsigned net, unsigned n)
{
    char text[64];
    snprintf(text, sizeof text, "%u.%u.%u.7", net, n >> 8 & 255, n & 255);
    struct ip a = throttle_address(str_from(text));
    assert_true(a.n != 0);
    return a;
}

static void an_address_waits_for_its_own_failures(void **state)
{
    unsigned wait = 0, failures = 0;
    struct ip mine = address(10, 1), neighbour = address(10, 2);
    for (; failures != 100 && throttle_admits(&mine, &wait); ++failures)
        throttle_failed(&mine, NULL);
    assert_in_range(failures, 30, 31);
    assert_in_range(wait, 1, 2);
    assert_true(throttle_admits(&neighbour, &wait));
    struct ip a = throttle_address(STR("2001:db8::1")), b = throttle_address(STR("2001:db8::2")),
              other = throttle_address(STR("2001:db8:0:1::1"));
    for (int i = 0; i != 31; ++i)
        throttle_failed(&a, NULL);
    assert_false(throttle_admits(&b, &wait));
    assert_true(throttle_admits(&other, &wait));
    struct ip mapped = throttle_address(STR("::ffff:10.0.1.7"));
    assert_false(throttle_admits(&mapped, &wait));
}

static void a_tried_key_is_dearer_to_those_who_fail_on_it(void **state)
{
    unsigned wait = 0;
    struct ip fresh = address(12, 1), failing = address(12, 2);
    for (int i = 0; i != 3; ++i)
        throttle_failed(&failing, "key_a");
    assert_true(throttle_admits_with(&failing, "key_a", &wait)); // nobody else tries it
    for (unsigned n = 0; n != 400; ++n) {
        struct ip from = address(11, n);
        throttle_failed(&from, "key_a");
    }
    assert_false(throttle_admits_with(&failing, "key_a", &wait));
    assert_in_range(wait, 1, 20);
    assert_true(throttle_admits_with(&fresh, "key_a", &wait));
    assert_true(throttle_admits_with(&failing, "key_b", &wait));
    assert_true(throttle_admits(&failing, &wait));
}

static void a_good_token_is_taken_often_and_no_flood(void **state)
{
    unsigned wait = 0, taken = 0;
    struct digest mine = digest_sha256(STR("a.b")), another = digest_sha256(STR("a.c"));
    while (taken != 1000 && throttle_takes(&mine, &wait))
        ++taken;
    assert_in_range(taken, 120, 121);
    assert_in_range(wait, 1, 5);
    assert_true(throttle_takes(&another, &wait));
}

static void note(const struct ip *from, const char *key, const char *reason)
{
    refusal_note(&(struct refusal){key, key != NULL ? "prj_x" : NULL, from, reason});
}

static void a_flood_is_folded(void **state)
{
    struct ip one = throttle_address(STR("13.0.0.1")), near_it = throttle_address(STR("13.0.0.9"));
    for (int i = 0; i != 1000; ++i)
        note(i % 2 ? &one : &near_it, "key_a", "signature");
    assert_in_range(refusals_held(), 1, 2); // a minute may have ended meanwhile
    note(&one, "key_a", "exp");
    note(&one, NULL, "kid");
    assert_in_range(refusals_held(), 3, 4);
    for (unsigned n = 0; n != 5000; ++n) {
        struct ip from = address(14, n);
        note(&from, "key_a", "signature");
    }
    assert_in_range(refusals_held(), 30, 72); // 32 groups and "other", twice at the most
    for (unsigned n = 0; n != 3000; ++n) {
        char key[32];
        snprintf(key, sizeof key, "key_%u", n);
        note(&one, key, "signature");
    }
    assert_in_range(refusals_held(), 1024, 1024);
}

static int setup(void **state)
{
    limits_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_waits_for_its_own_failures),
        cmocka_unit_test(a_tried_key_is_dearer_to_those_who_fail_on_it),
        cmocka_unit_test(a_good_token_is_taken_often_and_no_flood),
        cmocka_unit_test(a_flood_is_folded),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
