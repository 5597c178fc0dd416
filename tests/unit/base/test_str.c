// Views and bounded buffers.
#include "edge/base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void cutting(void **state)
{
    str rest = STR("a,,b");
    assert_true(str_eq(str_cut(&rest, ','), STR("a")));
    assert_true(str_eq(str_cut(&rest, ','), STR("")));
    assert_true(str_eq(str_cut(&rest, ','), STR("b")));
    assert_int_equal(rest.n, 0);
    assert_true(str_eq(str_trim(STR(" \t a b\t ")), STR("a b")));
    assert_int_equal(str_trim(STR(" \t")).n, 0);
}

static void comparing(void **state)
{
    assert_true(str_caseeq(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_caseeq(STR("@"), STR("`"))); // 0x40 and 0x60 differ in that bit too
    assert_false(str_caseeq(STR("\xc3\x84"), STR("\xc3\xa4")));
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR("a\0b"), STR("a\0b")), 0);
    assert_true(str_eq((str){0}, STR("")));
    assert_int_equal(str_find((str){0}, 'a'), SIZE_MAX);
    assert_int_equal(str_find_str(STR("abcabd"), STR("abd")), 3);
    assert_true(str_ends(STR("a.html"), STR(".html")));
    assert_false(str_ends(STR("l"), STR(".html")));
}

static void numbers(void **state)
{
    uint64_t v = 7;
    assert_true(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &v));
    assert_true(v == UINT64_MAX);
    assert_true(str_to_u64(STR("007"), 10, &v));
    assert_int_equal(v, 7);
    static const str bad[] = {{"", 0},
                              {"-1", 2},
                              {"+1", 2},
                              {" 1", 2},
                              {"1 ", 2},
                              {"0x1", 3},
                              {"18446744073709551616", 20},
                              {"99999999999999999999", 20},
                              {"000000000000000000001", 21}};
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        assert_false(str_to_u64(bad[i], UINT64_MAX, &v));
    assert_false(str_to_u64(STR("11"), 10, &v));
    assert_int_equal(v, 7); // untouched
}

static void utf8(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"},
                             *const bad[] = {"\x80",
                                             "\xc0\x80",
                                             "\xc1\xbf",
                                             "\xc2",
                                             "\xe0\x9f\xbf",
                                             "\xed\xa0\x80",
                                             "\xf0\x8f\xbf\xbf",
                                             "\xf4\x90\x80\x80",
                                             "\xf5\x80\x80\x80",
                                             "\xff",
                                             "\xe2\x82"};
    for (size_t i = 0; i != sizeof good / sizeof *good; ++i)
        assert_true(str_is_utf8(str_from(good[i])));
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        assert_false(str_is_utf8(str_from(bad[i])));
    assert_int_equal(str_utf8_prefix(STR("ab\xc3\xa4\xff")), 4);
    assert_true(str_is_utf8(STR("\0")));
}

static void buffers_stay_within_their_maximum(void **state)
{
    struct buf b;
    buf_init(&b, 10);
    buf_add(&b, STR("12345"));
    buf_addf(&b, "%d", 67890);
    assert_false(b.full);
    assert_true(str_eq(buf_str(&b), STR("1234567890")));
    buf_addc(&b, 'x');
    assert_true(b.full);
    buf_clear(&b);
    buf_add(&b, STR("12345678901"));
    assert_true(b.full);
    buf_add(&b, STR("1")); // would fit, but a writer may check once at the end
    assert_int_equal(b.n, 0);
    buf_clear(&b);
    buf_addf(&b, "%020d", 1);
    assert_true(b.full);
    assert_null(buf_reserve(&b, 0));
    buf_fini(&b);
}

static void long_formats(void **state)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_addf(&b, "%0500d", 1);
    assert_int_equal(b.n, 500);
    assert_int_equal(b.p[499], '1');
    char *taken = buf_take(&b);
    assert_int_equal(strlen(taken), 500);
    free(taken);
    taken = buf_take(&b);
    assert_string_equal(taken, "");
    free(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cutting),
        cmocka_unit_test(comparing),
        cmocka_unit_test(numbers),
        cmocka_unit_test(utf8),
        cmocka_unit_test(buffers_stay_within_their_maximum),
        cmocka_unit_test(long_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
