// What counts as one origin, and as this machine.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "edge/client/origin.h"

static void expect(const char *url, const char *text, bool is_loopback)
{
    struct origin origin;
    struct fault fault;
    assert_int_equal(origin_parse(url, &origin, &fault), FAIL_NONE);
    assert_string_equal(origin.text, text);
    assert_int_equal(origin.is_loopback, is_loopback);
}

static void one_spelling(void **state)
{
    expect("https://Stoa.Example", "https://stoa.example", false);
    expect("https://stoa.example:443/", "https://stoa.example", false);
    expect("HTTP://stoa.example:80", "http://stoa.example", false);
    expect("https://stoa.example:8443", "https://stoa.example:8443", false);
}

static void loopback_is_this_machine_only(void **state)
{
    expect("http://127.0.0.1:8081", "http://127.0.0.1:8081", true);
    expect("http://127.9.8.7", "http://127.9.8.7", true);
    expect("http://[::1]:9/", "http://[::1]:9", true);
    expect("http://localhost:1", "http://localhost:1", true);
    expect("http://a.localhost", "http://a.localhost", true);
    expect("http://127.0.0.1.example", "http://127.0.0.1.example", false);
    expect("http://localhost.example", "http://localhost.example", false);
    expect("http://10.0.0.1", "http://10.0.0.1", false);
    expect("http://[::2]", "http://[::2]", false);
    // Other spellings of an address are normalised before they are judged.
    expect("http://0x7f000001", "http://127.0.0.1", true);
    expect("http://2130706433", "http://127.0.0.1", true);
}

static void only_an_origin_is_taken(void **state)
{
    static const char *const bad[] = {"",
                                      "stoa.example",
                                      "ftp://stoa.example",
                                      "file:///etc/passwd",
                                      "https://",
                                      "https://user@stoa.example",
                                      "https://user:word@stoa.example",
                                      "https://stoa.example/console",
                                      "https://stoa.example/?a",
                                      "https://stoa.example/#a",
                                      "https://stoa.example:99999"};
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i) {
        struct origin origin;
        struct fault fault;
        assert_int_equal(origin_parse(bad[i], &origin, &fault), FAIL_BAD_INPUT);
        assert_string_equal(fault.code, "bad_url");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_spelling),
        cmocka_unit_test(loopback_is_this_machine_only),
        cmocka_unit_test(only_an_origin_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
