// Times as text.
#include "edge/base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void rfc3339(void **state)
{
    char text[CLOCK_RFC3339_ROOM];
    clock_rfc3339(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_rfc3339(1709210096007, text);
    assert_string_equal(text, "2024-02-29T12:34:56.007Z");
}

static void rfc3339_is_read_back(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; // -1: refused
    } cases[] = {
        {"2024-02-29T12:34:56.007Z", 1709210096007},
        {"2024-02-29t12:34:56z", 1709210096000},
        {"2024-02-29T12:34:56.0079999Z", 1709210096007},
        {"2024-02-29T12:34:56.5Z", 1709210096500},
        {"2024-02-29T14:34:56+02:00", 1709210096000},
        {"2024-02-29T07:04:56-05:30", 1709210096000},
        {"1970-01-01T00:00:00Z", 0},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
        {"2023-02-29T12:34:56Z", -1},
        {"2024-04-31T12:34:56Z", -1},
        {"2024-00-01T12:34:56Z", -1},
        {"2024-01-00T12:34:56Z", -1},
        {"2024-13-01T12:34:56Z", -1},
        {"2024-01-01T24:00:00Z", -1},
        {"2024-01-01T23:59:60Z", -1},
        {"2024-01-01T12:34:56", -1},
        {"2024-01-01T12:34:56.Z", -1},
        {"2024-01-01T12:34Z", -1},
        {"2024-01-01", -1},
        {"2024-01-01T12:34:56+2:00", -1},
        {"2024-01-01T12:34:56Z ", -1},
        {" 2024-01-01T12:34:56Z", -1},
        {"1969-12-31T23:59:59Z", -1},
        {"9999-12-31T23:59:59-01:00", -1},
        {"+024-01-01T12:34:56Z", -1},
        {"", -1},
    };
    for (size_t i = 0; i != sizeof cases / sizeof cases[0]; ++i) {
        int64_t ms = -1;
        bool read = clock_from_rfc3339(str_from(cases[i].text), &ms);
        if (read != (cases[i].ms >= 0) || ms != cases[i].ms)
            fail_msg("%s: %lld", cases[i].text, (long long)ms);
    }
}

static void http_date(void **state)
{
    char text[CLOCK_HTTP_ROOM];
    clock_http_date(784111777, text); // RFC 9110 §5.6.7's own example
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
}

static void monotonic_never_goes_back(void **state)
{
    uint64_t before = clock_monotonic_us();
    for (int i = 0; i != 1000; ++i) {
        uint64_t now = clock_monotonic_us();
        assert_true(now >= before);
        before = now;
    }
    assert_true(clock_monotonic_ms() >= before / 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3339), cmocka_unit_test(rfc3339_is_read_back),
        cmocka_unit_test(http_date), cmocka_unit_test(monotonic_never_goes_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
