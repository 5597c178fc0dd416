// JSON in and out.
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_bytes_become_a_string), cmocka_unit_test(strict),
        cmocka_unit_test(deep_nesting_is_refused), cmocka_unit_test(members),
        cmocka_unit_test(strings_are_cut_at_a_bad_byte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
