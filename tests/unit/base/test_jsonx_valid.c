// JSON that is checked and passed on, without a tree.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"

static void takes_what_the_rfc_allows(void **state)
{
    static const str good[] = {
        STR("{}"),
        STR(" [ ] "),
        STR("null"),
        STR("true"),
        STR("false"),
        STR("\"\""),
        STR("0"),
        STR("-0"),
        STR("-0.5e+7"),
        STR("12E3"),
        STR("1e400"),
        STR("[1,2]"),
        STR("[[],{}]"),
        STR("{\"a\":1,\"b\":[{}]}"),
        STR("{ \"a\" : [ 1 , 2 ] , \"b\" : { } }\n"),
        STR("\"\\u0000\\ud83d\\ude00\\n\\/\""),
        STR("\"\xf0\x9f\x98\x80 eight bytes and more\""),
        STR("\"\\ud800\""),
        STR("{\"a\":1,\"a\":2}"),
        STR("\"\x7f\""),
    };
    for (size_t i = 0; i != sizeof good / sizeof *good; ++i)
        if (!jsonx_is_valid(good[i], 10))
            fail_msg("refused: %.*s", STR_FMT(good[i]));
}

static void refuses_everything_else(void **state)
{
    static const str bad[] = {
        STR(""),
        STR(" "),
        STR("{"),
        STR("}"),
        STR("["),
        STR("[1"),
        STR("[1,"),
        STR("[,1]"),
        STR("[1,]"),
        STR("{1:2}"),
        STR("{\"a\"}"),
        STR("{\"a\":}"),
        STR("{\"a\":1,}"),
        STR("{\"a\":1]"),
        STR("[1}"),
        STR("1 2"),
        STR("nul"),
        STR("nulls"),
        STR("True"),
        STR("01"),
        STR("-"),
        STR("1."),
        STR(".5"),
        STR("1e"),
        STR("1e+"),
        STR("+1"),
        STR("0x1"),
        STR("NaN"),
        STR("\""),
        STR("\"\\\""),
        STR("\"\\x\""),
        STR("\"\\u12\""),
        STR("\"\\u12g4\""),
        STR("\"\n\""),
        STR("\"a\0\""),
        STR("\"\xc3\""),
        STR("\"\xed\xa0\x80\""),
        STR("\"\xff\""),
        STR("\"\xc0\x80\""),
        STR("'a'"),
        STR("[] []"),
        STR("\xef\xbb\xbf[]"),
        STR("[1 2]"),
        STR("\"plain enough to be read by eights\x01\""),
        STR("{\"a\" 1}"),
        STR("\v1"),
    };
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        if (jsonx_is_valid(bad[i], 10))
            fail_msg("taken: %.*s", STR_FMT(bad[i]));
}

static void nests_as_deep_as_it_is_told(void **state)
{
    char text[2 * (JSONX_DEPTH_MAX + 1)];
    for (unsigned depth = 1; depth <= JSONX_DEPTH_MAX; depth *= 2) {
        memset(text, '[', depth + 1);
        memset(text + depth + 1, ']', depth + 1);
        assert_true(jsonx_is_valid(str_of(text + 1, 2 * depth), depth));
        assert_false(jsonx_is_valid(str_of(text, 2 * depth + 2), depth));
    }
    assert_true(jsonx_is_valid(STR("[{\"a\":[{\"b\":[[]]}]},{},[{\"c\":1}]]"), 6));
    assert_true(jsonx_is_valid(STR("1"), 0));
    assert_false(jsonx_is_valid(STR("[]"), 0));
}

static void never_reads_behind_the_end(void **state)
{
    static const char text[] = "{\"key\":[true,-1.5e+3,\"\\u00e4\xc3\xa4\",null]}";
    for (size_t n = 0; n < sizeof text - 1; ++n) {
        char *exact = malloc(n + (n == 0)); // so that a sanitizer sees
        memcpy(exact, text, n);
        assert_false(jsonx_is_valid(str_of(exact, n), 10));
        free(exact);
    }
}

static void a_megabyte_is_quickly_checked(void **state)
{
    struct buf b;
    buf_init(&b, 2 << 20);
    buf_addc(&b, '[');
    while (b.n < (1 << 20))
        buf_add(&b, STR("{\"name\":\"Ada Lovelace\",\"guests\":2,\"note\":\"brings a cake\"},"));
    buf_add(&b, STR("0]"));
    uint64_t began = clock_monotonic_us();
    assert_true(jsonx_is_valid(buf_str(&b), 10));
    print_message("%zu bytes in %zu us\n", b.n, (size_t)(clock_monotonic_us() - began));
    buf_fini(&b);
}

static void unescapes(void **state)
{
    static const struct {
        str inside, text;
    } cases[] = {
        {STR(""), STR("")},
        {STR("plain"), STR("plain")},
        {STR("\\b\\f\\n\\r\\t\\\\\\/\\\""), STR("\b\f\n\r\t\\/\"")},
        {STR("\\u0000\\u00e4\\u20AC"), STR("\0\xc3\xa4\xe2\x82\xac")},
        {STR("\\ud83d\\ude00!"), STR("\xf0\x9f\x98\x80!")},
        {STR("\\ud83d"), STR("\xef\xbf\xbd")},
        {STR("\\ude00\\ud83d\\u0041"), STR("\xef\xbf\xbd\xef\xbf\xbd"
                                           "A")},
    };
    for (size_t i = 0; i != sizeof cases / sizeof *cases; ++i) {
        char to[64];
        memcpy(to, cases[i].inside.p, cases[i].inside.n);
        size_t n = jsonx_unescape(str_of(to, cases[i].inside.n), to); // in place
        assert_int_equal(n, cases[i].text.n);
        assert_memory_equal(to, cases[i].text.p, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_the_rfc_allows),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(nests_as_deep_as_it_is_told),
        cmocka_unit_test(never_reads_behind_the_end),
        cmocka_unit_test(a_megabyte_is_quickly_checked),
        cmocka_unit_test(unescapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
