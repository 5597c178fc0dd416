// Lists of problems.
#include "edge/base/problem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void sorted_by_line_then_as_found(void **state)
{
    struct problems ps;
    problems_init(&ps);
    problems_add(&ps, 9, 0, "b", "third");
    problems_add(&ps, 2, 5, "a", "first");
    problems_add(&ps, 9, 0, "a", "fourth");
    problems_add(&ps, 0, 0, "", "file");
    problems_sort(&ps);
    json_t *json = problems_json(&ps);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, "[{\"section\":\"\",\"message\":\"file\"},"
                              "{\"line\":2,\"column\":5,\"section\":\"a\",\"message\":\"first\"},"
                              "{\"line\":9,\"section\":\"b\",\"message\":\"third\"},"
                              "{\"line\":9,\"section\":\"a\",\"message\":\"fourth\"}]");
    free(text);
    json_decref(json);
    problems_fini(&ps);
}

static void further_ones_are_counted(void **state)
{
    struct problems ps;
    problems_init(&ps);
    for (unsigned i = 0; i != PROBLEMS_MAX + 3; ++i)
        problems_add(&ps, i + 1, 0, "s", "m");
    assert_int_equal(ps.count, PROBLEMS_MAX);
    json_t *json = problems_json(&ps);
    assert_int_equal(json_array_size(json), PROBLEMS_MAX + 1);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json, PROBLEMS_MAX), "message")),
        "3 more problems are not listed.");
    json_decref(json);
    problems_fini(&ps);
}

static char *repeated(const char *start, const char *piece, int n)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_add(&b, str_from(start));
    for (int i = 0; i != n; ++i)
        buf_add(&b, str_from(piece));
    return buf_take(&b);
}

static void cut_text_stays_utf8(void **state)
{
    AUTOFREE char *section = repeated("", "\xc3\xa4", 90);
    AUTOFREE char *message = repeated("x", "\xc3\xa4", 300);
    struct problems ps;
    problems_init(&ps);
    problems_add(&ps, 1, 0, section, "%s", message);
    json_t *json = problems_json(&ps);
    assert_non_null(json_object_get(json_array_get(json, 0), "section"));
    assert_non_null(json_object_get(json_array_get(json, 0), "message"));
    json_decref(json);
    problems_fini(&ps);
}

static void quoting(void **state)
{
    char to[64];
    assert_string_equal(problem_quote(to, sizeof to, STR("a b")), "\"a b\"");
    assert_string_equal(problem_quote(to, sizeof to, STR("")), "\"\"");
    assert_string_equal(problem_quote(to, sizeof to, STR("Gr\xc3\xbc\xc3\x9f.html")),
                        "\"Gr\xc3\xbc\xc3\x9f.html\"");
    assert_string_equal(problem_quote(to, sizeof to, STR("a\"\\b")), "\"a\\\"\\\\b\"");
    assert_string_equal(problem_quote(to, sizeof to, STR("\x1b\0\xc2\x9b")),
                        "\"\\u001b\\u0000\\u009b\"");
    assert_string_equal(problem_quote(to, sizeof to, STR("\xe2\x80\xae\xe2\x80\xa8")),
                        "\"\\u202e\\u2028\"");
    assert_string_equal(problem_quote(to, sizeof to, STR("\xff\xc3")), "\"\\xff\\xc3\"");
}

static void quoting_cuts_at_a_character(void **state)
{
    char to[40];
    for (size_t room = 16; room != sizeof to; ++room) {
        const char *text =
            problem_quote(to, room,
                          STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa4\xe2\x82\xac"
                              "\xf0\x9f\x98\x80\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
        assert_true(strlen(text) < room);
        assert_true(str_is_utf8(str_from(text)));
    }
    assert_string_equal(problem_quote(to, 16, STR("abcdefghijklmnopq")),
                        "\"abcdefghij\xe2\x80\xa6\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorted_by_line_then_as_found), cmocka_unit_test(further_ones_are_counted),
        cmocka_unit_test(cut_text_stays_utf8), cmocka_unit_test(quoting),
        cmocka_unit_test(quoting_cuts_at_a_character)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
