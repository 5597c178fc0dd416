// Handlers' queries against a real PostgreSQL.
#include "edge/http/service.h"
#include "played.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static int setup(void **state)
{
    played_start(2);
    return 0;
}

static int teardown(void **state)
{
    played_stop();
    return 0;
}

// The answer without its time.
static const char *rows_of(const char *json)
{
    static char copy[8192];
    snprintf(copy, sizeof copy, "%s", json);
    char *end = strstr(copy, ",\"rowCount\"");
    if (end != NULL)
        *end = '\0';
    return copy;
}

#define assert_rows(json, expected) assert_string_equal(rows_of(json), expected)
#define assert_has(json, part)                                                                     \
    do {                                                                                           \
        const char *_json = (json);                                                                \
        if (strstr(_json, part) == NULL)                                                           \
            fail_msg("%s has no %s", _json, part);                                                 \
    } while (0)

static void answers_a_select(void **state)
{
    assert_rows(ask("a", "p", "[\"select 1 as one, 'x' as two\"]"),
                "{\"rows\":[{\"one\":1,\"two\":\"x\"}],\"columns\":[\"one\",\"two\"]");
    assert_false(ask_is_error);
    assert_has(ask("a", "p", "[\"select current_user u\"]"), "\"role_a_p\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_a_select)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
