// web.h, where cases of JavaScript do not reach: mending JSON text.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include "public-actions/runtime/web.h"
// cmocka last: it redefines words
#include <cmocka.h>

static void mended(const char *json, const char *wanted)
{
    char *text = str_dup(str_from(json));
    web_json_mend(text, strlen(text));
    assert_string_equal(text, wanted);
    free(text);
}

static void lone_surrogates_are_replaced(void **state)
{
    mended("\"\\ud800\"", "\"\\ufffd\"");
    mended("\"\\udfff\\ud8ab\"", "\"\\ufffd\\ufffd\"");
    mended("\"\\u0000\\u001f\"", "\"\\u0000\\u001f\"");
    mended("\"\\\\ud800\"", "\"\\\\ud800\"");     // an escaped backslash and letters
    mended("\"\\\\\\ud800\"", "\"\\\\\\ufffd\""); // … and then an escape
    mended("\"\\n\\\"\\ud999x\"", "\"\\n\\\"\\ufffdx\"");
    mended("\\ud80", "\\ud80"); // cut
    mended("\\", "\\");
    mended("", "");
}

static void depth_is_that_of_brackets_outside_strings(void **state)
{
    assert_int_equal(web_json_depth(STR("")), 0);
    assert_int_equal(web_json_depth(STR("1")), 0);
    assert_int_equal(web_json_depth(STR("[[],{\"a\":[1]}]")), 3);
    assert_int_equal(web_json_depth(STR("[\"[[[\\\"[[\\\\\",{}]")), 2);
}

static void what_waits_for_more(void **state)
{
    assert_int_equal(web_utf8_incomplete(STR("")), 0);
    assert_int_equal(web_utf8_incomplete(STR("a\xc3")), 1);
    assert_int_equal(web_utf8_incomplete(STR("a\xe2\x82")), 2);
    assert_int_equal(web_utf8_incomplete(STR("\xf0\x9f\x98")), 3);
    assert_int_equal(web_utf8_incomplete(STR("\xf0\x9f\x98\x80")), 0);
    assert_int_equal(web_utf8_incomplete(STR("\xe0\x80")), 0); // can never become right
    assert_int_equal(web_utf8_incomplete(STR("\x80\x80")), 0);
    assert_int_equal(web_utf8_incomplete(STR("\xff")), 0);
}

static void digests_by_number(void **state)
{
    uint8_t to[WEB_DIGEST_MAX];
    assert_int_equal(web_digest(1, STR("abc"), to), 20);
    assert_int_equal(to[0], 0xa9);
    assert_int_equal(web_digest(256, STR(""), to), 32);
    assert_int_equal(web_digest(384, STR("abc"), to), 48);
    assert_int_equal(web_digest(512, STR("abc"), to), 64);
    assert_int_equal(web_digest(5, STR("abc"), to), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lone_surrogates_are_replaced),
        cmocka_unit_test(depth_is_that_of_brackets_outside_strings),
        cmocka_unit_test(what_waits_for_more),
        cmocka_unit_test(digests_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
