// Random names.
#include "edge/base/token.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static void ids(void **state)
{
    char a[TOKEN_ID_ROOM], b[TOKEN_ID_ROOM];
    token_id("plg_", a);
    token_id("plg_", b);
    assert_int_equal(strlen(a), 4 + 26);
    assert_true(str_starts(str_from(a), STR("plg_")));
    assert_int_equal(strspn(a + 4, "0123456789abcdefghjkmnpqrstvwxyz"), 26);
    assert_string_not_equal(a, b);
}

static void ordered_ids_begin_with_their_time(void **state)
{
    char a[TOKEN_ID_ROOM], b[TOKEN_ID_ROOM], c[TOKEN_ID_ROOM];
    token_ordered_id("run_", a);
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    token_ordered_id("run_", b);
    token_ordered_id("run_", c);
    assert_int_equal(strlen(a), 4 + 26);
    assert_true(strcmp(a, b) < 0);
    assert_int_equal(strspn(a + 4, "0123456789abcdefghjkmnpqrstvwxyz"), 26);
    assert_memory_not_equal(b + 14, c + 14, 16); // the random part
}

static void request_ids_follow_each_other(void **state)
{
    char a[TOKEN_REQUEST_ID_ROOM], b[TOKEN_REQUEST_ID_ROOM];
    token_request_id(a);
    token_request_id(b);
    assert_int_equal(strspn(a, "0123456789abcdef"), 24);
    assert_memory_equal(a, b, 16); // this thread's start
    assert_string_not_equal(a, b);
}

static void uuids(void **state)
{
    char a[TOKEN_UUID_ROOM], b[TOKEN_UUID_ROOM];
    token_uuid(a);
    token_uuid(b);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(a[8], '-');
    assert_int_equal(a[14], '4');
    assert_non_null(strchr("89ab", a[19]));
    assert_string_not_equal(a, b);
}

static void hex(void **state)
{
    for (size_t n = 0; n != 10; ++n) {
        char text[16];
        memset(text, 'x', sizeof text);
        token_hex(text, n);
        assert_int_equal(strlen(text), n);
        assert_int_equal(strspn(text, "0123456789abcdef"), n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ids),
                                       cmocka_unit_test(ordered_ids_begin_with_their_time),
                                       cmocka_unit_test(request_ids_follow_each_other),
                                       cmocka_unit_test(uuids), cmocka_unit_test(hex)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
