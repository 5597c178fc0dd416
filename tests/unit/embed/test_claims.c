// A token's claims at the very edges of time; what is in between: tests/e2e/exchange.test.mjs.
#include "embed/claims.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include "embed/keys.h"
#include <cmocka.h>

enum { NOW = 1800000000 };

// What a token with these times is: NULL when it is good, else the claim at fault.
static const char *fault_of(int64_t iat, int64_t nbf, int64_t exp, int64_t max_lifetime_s,
                            struct claims *ret)
{
    const struct claims_rules rules = {"", max_lifetime_s};
    const char *claim = NULL;
    json_auto_t *payload =
        json_pack("{s:s, s:s, s:s, s:s, s:I}", "externalUserId", "u", "externalProjectId", "p",
                  "firstName", "a", "lastName", "b", "exp", (json_int_t)exp);
    if (iat != 0)
        json_object_set_new(payload, "iat", json_integer(iat));
    if (nbf != 0)
        json_object_set_new(payload, "nbf", json_integer(nbf));
    struct jose_token t = {.payload = payload};
    enum fail f = claims_read(&t, &rules, NOW, ret, &claim, NULL);
    assert_int_equal(f == FAIL_NONE, claim == NULL);
    return claim;
}

static void assert_fault(int64_t iat, int64_t nbf, int64_t exp, int64_t max, const char *want)
{
    struct claims claims;
    const char *claim = fault_of(iat, nbf, exp, max, &claims);
    if (want == NULL)
        assert_null(claim);
    else
        assert_string_equal(claim, want);
}

static void the_leeway_is_a_minute(void **state)
{
    assert_fault(0, 0, NOW - 59, 0, NULL);
    assert_fault(0, 0, NOW - 60, 0, "exp");
    assert_fault(0, 0, NOW - 61, 0, "exp");
    assert_fault(0, NOW + 60, NOW + 90, 0, NULL);
    assert_fault(0, NOW + 61, NOW + 90, 0, "nbf");
    assert_fault(NOW + 60, 0, NOW + 90, 0, NULL);
    assert_fault(NOW + 61, 0, NOW + 90, 0, "iat");
    assert_fault(0, 0, 253402300799, 0, NULL);
    assert_fault(0, 0, 253402300800, 0, "exp");
    assert_fault(0, 0, -1, 0, "exp");
}

static void a_lifetime_goes_from_iat_to_exp(void **state)
{
    struct claims c;
    assert_fault(NOW - 10, 0, NOW + 590, 600, NULL);
    assert_fault(NOW - 10, 0, NOW + 591, 600, "exp");
    assert_fault(0, 0, NOW + 10, 600, "iat");
    assert_fault(1, 0, NOW + 10, 600, "exp");
    assert_null(fault_of(NOW - 10, 0, NOW + 590, 0, &c));
    assert_int_equal(c.lifetime_s, 600);
    assert_int_equal(c.issued_at, NOW - 10);
    assert_null(fault_of(0, 0, NOW + 590, 0, &c));
    assert_int_equal(c.lifetime_s, 590);
    assert_int_equal(c.issued_at, NOW + 590); // orders by `exp` when there is no `iat`
    assert_null(fault_of(NOW + 50, 0, NOW - 50, 0, &c));
    assert_int_equal(c.lifetime_s, 0);
}

static void what_is_left_out_has_a_meaning(void **state)
{
    struct claims c;
    assert_null(fault_of(0, 0, NOW + 1, 0, &c));
    assert_string_equal(c.role, "Editor");
    assert_false(c.has_filter);
    assert_null(c.tags);
    assert_null(c.tasks);
    assert_int_equal(c.email.n, 0);
}

static void origins_are_exact(void **state)
{
    static const char *const good[] = {"https://a.example", "https://a.example:8443",
                                       "http://localhost:3000", "http://127.0.0.1",
                                       "http://[::1]:1"};
    static const char *const bad[] = {"http://a.example",
                                      "https://a.example/",
                                      "https://a.example:443",
                                      "https://a.example:0",
                                      "https://A.example",
                                      "https://*.example",
                                      "https://a b",
                                      "https://a;b",
                                      "https://a,b",
                                      "null",
                                      "*",
                                      ""};
    for (size_t i = 0; i != sizeof good / sizeof good[0]; ++i)
        assert_true(key_origin_is_exact(str_from(good[i])));
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i)
        assert_false(key_origin_is_exact(str_from(bad[i])));
    assert_false(key_origin_is_exact(str_of("https://a.example\0x", 19)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_leeway_is_a_minute),
        cmocka_unit_test(a_lifetime_goes_from_iat_to_exp),
        cmocka_unit_test(what_is_left_out_has_a_meaning),
        cmocka_unit_test(origins_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
