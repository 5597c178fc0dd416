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
    const struct CMUnitTest tests[] = {cmocka_unit_test(rfc3339), cmocka_unit_test(http_date),
                                       cmocka_unit_test(monotonic_never_goes_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
