// JSON in and out.
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void refuse(str text)
{
    struct fault fault = {0};
    json_t *value = jsonx_parse(text, &fault);
    if (value != NULL)
        fail_msg("%.*s was accepted", STR_FMT(text));
    assert_int_equal(fault.fail, FAIL_BAD_INPUT);
    assert_string_equal(fault.code, "invalid_json");
    assert_true(str_is_utf8(str_from(fault.public_text)));
}

static void strict(void **state)
{
    refuse(STR(""));
    refuse(STR("{\"a\":1,\"a\":2}"));
    refuse(STR("{\"x\":{\"a\":1,\"\\u0061\":2}}"));
    refuse(STR("{} {}"));
    refuse(STR("{\"a\":1,}"));
    refuse(STR("\"top\""));
    refuse(STR("{\"a\":\"\xff\"}"));
    refuse(STR("{\"a\":\"\\ud800\"}"));
    refuse(STR("{\"a\":1e999}"));
    refuse(STR("{'a':1}"));
    refuse(STR("{\"a\":NaN}"));
    assert_null(jsonx_parse(STR("["), NULL));
}

static void deep_nesting_is_refused(void **state)
{
    char text[100000];
    memset(text, '[', sizeof text);
    refuse(str_of(text, sizeof text));
}

static void reals_are_written_as_they_were(void **state)
{
    static const char same[] =
        "{\"1.1000000000000001\":\"a\\\"0.10000000000000001\",\"b\":[1.1,-0.1,"
        "0.30000000000000004,1e+300,2.0,12345678901234568.0,5,true,null,"
        "false,123456789.01,1.7976931348623157e308,-0.0,\"\\\\\",0.2]}";
    json_t *value = jsonx_parse(str_from(same), NULL);
    size_t n;
    char *text = jsonx_dump(value, &n);
    assert_string_equal(text, same);
    assert_int_equal(n, strlen(same));
    free(text);
    text = jsonx_dump_as(value, JSON_INDENT(1), NULL);
    assert_non_null(strstr(text, "  1.1,\n"));
    free(text);
    json_decref(value);
}

static void members(void **state)
{
    struct fault fault;
    json_t *v = jsonx_parse(STR("{\"s\":\"x\\u00e4\",\"n\":1}"), &fault);
    assert_true(str_eq(jsonx_str(v, "s"), STR("x\xc3\xa4")));
    assert_null(jsonx_str(v, "n").p);
    assert_null(jsonx_str(v, "absent").p);
    assert_null(jsonx_str(NULL, "s").p);
    size_t n;
    char *text = jsonx_dump(v, &n);
    assert_string_equal(text, "{\"s\":\"x\xc3\xa4\",\"n\":1}");
    assert_int_equal(n, strlen(text));
    free(text);
    json_decref(v);
}

static void strings_are_cut_at_a_bad_byte(void **state)
{
    json_t *v = jsonx_string(STR("ab\xffz"));
    assert_string_equal(json_string_value(v), "ab");
    json_decref(v);
    v = jsonx_string((str){0});
    assert_string_equal(json_string_value(v), "");
    json_decref(v);
}

static void test_any_bytes_become_a_string(void **state)
{
    static const struct {
        str bytes;
        const char *json;
    } cases[] = {
        {STR(""), "\"\""},
        {STR("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {STR("\n\r\t\0\x1f\x7f"), "\"\\n\\r\\t\\u0000\\u001f\x7f\""},
        {STR("\xc3\xa4\xff\xc3"), "\"\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i != sizeof cases / sizeof *cases; ++i) {
        struct buf b;
        buf_init(&b, 100);
        jsonx_add_string(&b, cases[i].bytes);
        char *text = buf_take(&b);
        assert_string_equal(text, cases[i].json);
        json_error_t error;
        json_auto_t *back = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        assert_non_null(back);
        free(text);
    }
}

static void add_plainly(struct buf *to, str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        unsigned char c = (unsigned char)s.p[i];
        const char *named = memchr("\"\\\n\r\t", c, 5);
        if (named != NULL && c != '\0')
            buf_addf(to, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c);
        else if (c < 0x20)
            buf_addf(to, "\\u%04x", c);
        else if (c < 0x80)
            buf_addc(to, (char)c);
        else
            buf_add(to, STR("\xef\xbf\xbd"));
    }
}

// Bytes of every kind in every place of the words that are looked at at once; none is part of a
// character.
static void test_strings_are_written_the_same_however_long(void **state)
{
    static const char kinds[] = "aaaaaaaaaaaaa\"\\\n\t\r\x01\x1f\x7f~ !#[]\x80\xbf\xc0\xff\0";
    uint32_t random = 7;
    char text[700];
    for (size_t round = 0; round != 3000; ++round) {
        size_t n = round % sizeof text, mostly = round % 3 == 0 ? 13 : sizeof kinds - 1;
        for (size_t i = 0; i != n; ++i)
            text[i] = kinds[(random = random * 1103515245 + 12345) >> 16 & 15
                                ? random / 65536 % mostly
                                : random / 65536 / 16 % (sizeof kinds - 1)];
        struct buf plain, b;
        buf_init(&plain, 1 << 20);
        buf_init(&b, 1 << 20);
        buf_addc(&plain, '"');
        add_plainly(&plain, str_of(text, n));
        buf_addc(&plain, '"');
        jsonx_add_string(&b, str_of(text, n));
        assert_true(str_eq(buf_str(&plain), buf_str(&b)));
        buf_fini(&plain);
        buf_fini(&b);
    }
}

// A stranger's server may send so much of what takes six bytes each.
#ifdef STOA_TSAN
enum { SOON_US = 10000000 };
#elif defined(STOA_ASAN)
enum { SOON_US = 4000000 };
#else
enum { SOON_US = 1000000 }; // 1.7 s of \x01 once
#endif

static void test_ten_megabytes_are_written_soon_or_refused_soon(void **state)
{
    static const char kinds[] = {'a', '"', '\x01', '\xff'};
    size_t n = 10 << 20;
    char *text = malloc(n);
    assert_non_null(text);
    for (size_t i = 0; i != sizeof kinds; ++i) {
        struct buf b;
        memset(text, kinds[i], n);
        buf_init(&b, 16 << 20);
        uint64_t began = clock_monotonic_us();
        jsonx_add_string(&b, str_of(text, n));
        print_message("%02x: %u us\n", (unsigned char)kinds[i],
                      (unsigned)(clock_monotonic_us() - began));
        assert_int_equal(b.full, i != 0);
        assert_in_range(clock_monotonic_us() - began, 0, SOON_US);
        buf_fini(&b);
    }
    free(text);
}

// What JSON.parse takes: a handler's answer may hold it, and is not lost for it.
static void test_theirs_is_read_as_javascript_reads_it(void **state)
{
    static const struct {
        const char *text, *read;
    } cases[] = {
        {"{\"a\":1,\"a\":2}", "{\"a\":2}"},
        {"{\"a\":\"x\\u0000y\",\"n\":-1.5e3,\"t\":true}",
         "{\"a\":\"x\\u0000y\",\"n\":-1500.0,\"t\":true}"},
        {"{\"n\":9223372036854775807}", "{\"n\":9223372036854775807}"},
        {"[9223372036854775808,-100000000000000000000,1,false]",
         "[9.2233720368547758e18,-1e20,1,false]"},
        {"{\"a\\u0000\" : \"\\ud800\\u0000\\ud83d\\ude00\"}",
         "{\"a?\":\"\xef\xbf\xbd\\u0000\xf0\x9f\x98\x80\"}"},
        {"[1e999,-1e999,1e-999]", "[1.7976931348623157e308,-1.7976931348623157e308,0.0]"},
        {"[\"\\udc00\",\"a\\\"\\\\\",\"\"]", "[\"\xef\xbf\xbd\",\"a\\\"\\\\\",\"\"]"},
        {"\"top\"", "\"top\""},
        {"18446744073709551616", "1.8446744073709552e19"},
    };
    for (size_t i = 0; i != sizeof cases / sizeof *cases; ++i) {
        json_auto_t *value = jsonx_parse_theirs(str_from(cases[i].text), SIZE_MAX);
        if (value == NULL)
            fail_msg("%s was refused", cases[i].text);
        char *text = jsonx_dump(value, NULL);
        assert_string_equal(text, cases[i].read);
        free(text);
    }
    json_auto_t *value = jsonx_parse_theirs(STR("{\"a\":\"x\\u0000y\"}"), SIZE_MAX);
    assert_true(str_eq(jsonx_str(value, "a"), STR("x\0y")));
}

static void test_theirs_is_json(void **state)
{
    static const str bad[] = {STR(""),        STR("{"),        STR("{} {}"),
                              STR("{'a':1}"), STR("\"\xff\""), STR("[1,]"),
                              STR("[01]"),    STR("{}\0"),     STR("nul")};
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        if (jsonx_parse_theirs(bad[i], SIZE_MAX) != NULL)
            fail_msg("%.*s was accepted", STR_FMT(bad[i]));
    assert_null(jsonx_parse_theirs((str){0}, SIZE_MAX));
    char deep[100000];
    memset(deep, '[', sizeof deep);
    assert_null(jsonx_parse_theirs(str_of(deep, sizeof deep), SIZE_MAX));
    memset(deep + JSONX_DEPTH_MAX, ']', JSONX_DEPTH_MAX);
    json_auto_t *nested = jsonx_parse_theirs(str_of(deep, 2 * JSONX_DEPTH_MAX), SIZE_MAX);
    assert_non_null(nested);
}

static void test_a_number_of_a_million_digits(void **state)
{
    size_t n = 1000 * 1000;
    char *text = malloc(n + 2);
    memset(text, '9', n + 2);
    text[0] = '[';
    text[n + 1] = ']';
    json_auto_t *value = jsonx_parse_theirs(str_of(text, n + 2), SIZE_MAX);
    assert_true(json_is_real(json_array_get(value, 0)));
    free(text);
}

// Two bytes of text may be a hundred of memory.
static void test_theirs_has_so_many_values(void **state)
{
    static const struct {
        str text;
        size_t values;
    } cases[] = {{STR("1"), 1},
                 {STR("[]"), 1},
                 {STR("[1,2]"), 3},
                 {STR("{\"a\":{\"b\":[]},\"c\":null}"), 4},
                 {STR("[\"\\u0000\",[[[]]]]"), 5}};
    for (size_t i = 0; i != sizeof cases / sizeof *cases; ++i) {
        json_auto_t *value = jsonx_parse_theirs(cases[i].text, cases[i].values);
        assert_non_null(value);
        assert_null(jsonx_parse_theirs(cases[i].text, cases[i].values - 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_bytes_become_a_string),
        cmocka_unit_test(test_strings_are_written_the_same_however_long),
        cmocka_unit_test(test_ten_megabytes_are_written_soon_or_refused_soon),
        cmocka_unit_test(strict),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(reals_are_written_as_they_were),
        cmocka_unit_test(members),
        cmocka_unit_test(strings_are_cut_at_a_bad_byte),
        cmocka_unit_test(test_theirs_is_read_as_javascript_reads_it),
        cmocka_unit_test(test_theirs_is_json),
        cmocka_unit_test(test_theirs_has_so_many_values),
        cmocka_unit_test(test_a_number_of_a_million_digits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
