// Cursors and the arithmetic of pages, without a database.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "edge/base/digest.h"
#include "edge/catalog/page.h"

static str member(json_t *page, const char *name)
{
    return str_from(json_string_value(json_object_get(page, name)));
}

static void test_first_page_without_more(void **state)
{
    struct page page;
    struct page_key a = {20, "b"}, b = {10, "a"};
    assert_int_equal(page_init(&page, STR(""), 2, NULL), FAIL_NONE);
    assert_int_equal(page_fetch(&page), 3);
    assert_int_equal(page_shown(&page, 2), 2);
    json_auto_t *json = page_json(&page, json_array(), 2, &a, &b);
    assert_true(json_is_null(json_object_get(json, "next")));
    assert_true(json_is_null(json_object_get(json, "previous")));
}

static void test_cursors_lead_there_and_back(void **state)
{
    struct page page, next, back;
    struct page_key a = {1795342830123, "plg_b"}, b = {10, "plg_a"};
    assert_int_equal(page_init(&page, STR(""), 2, NULL), FAIL_NONE);
    json_auto_t *json = page_json(&page, json_array(), 3, &a, &b);
    assert_int_equal(page_init(&next, member(json, "next"), 2, NULL), FAIL_NONE);
    assert_true(next.has_key && !next.goes_back);
    assert_int_equal(next.key.at, 10);
    assert_string_equal(next.key.id, "plg_a");
    json_auto_t *second = page_json(&next, json_array(), 1, &a, &a);
    assert_true(json_is_null(json_object_get(second, "next")));
    assert_int_equal(page_init(&back, member(second, "previous"), 2, NULL), FAIL_NONE);
    assert_true(back.goes_back);
    assert_true(back.key.at == 1795342830123);
    assert_int_equal(page_row(&back, 2, 0), 1);
    assert_int_equal(page_row(&back, 3, 0), 1); // the third row only says that there are more
    assert_int_equal(page_row(&back, 3, 1), 0);
}

static void test_bad_cursors_are_refused(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } texts[] = {{"", 0},
                 {"n", 1},
                 {"x1:a", 4},
                 {"n1", 2},
                 {"n1:", 3},
                 {"n:a", 3},
                 {"n-1:a", 5},
                 {"n1:a\0b", 6},
                 {"n1:\xff", 4},
                 {"n1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 59},
                 {"n9000000000000000:a", 19}};
    struct page page;
    struct fault fault = {0};
    for (size_t i = 1; i != sizeof texts / sizeof texts[0]; ++i) {
        char cursor[100];
        base64url_encode(str_of(texts[i].text, texts[i].n), cursor, sizeof cursor);
        if (page_init(&page, str_from(cursor), 2, &fault) != FAIL_REFUSED)
            fail_msg("accepted: %s", texts[i].text);
        assert_string_equal(fault.code, "invalid_cursor");
    }
    assert_int_equal(page_init(&page, STR("!!"), 2, &fault), FAIL_REFUSED);
    char large[2000];
    memset(large, 'A', sizeof large);
    assert_int_equal(page_init(&page, str_of(large, sizeof large), 2, &fault), FAIL_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_page_without_more),
        cmocka_unit_test(test_cursors_lead_there_and_back),
        cmocka_unit_test(test_bad_cursors_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
