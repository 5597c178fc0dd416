// Column definitions: what is refused before any database sees it, and where their type ends.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include "edge/http/endpoint.h"
#include <cmocka.h>
#include "edge/base/jsonx.h"
#include "public-actions/managed_db/definition.h"
#include "public-actions/managed_db/managed_db.h"

static void test_what_can_be_one_column_is_let_through(void **state)
{
    static const char *const fine[] = {
        "text",
        "  uuid primary key default gen_random_uuid()",
        "text not null default current_setting('app.user_id', true)",
        "numeric(10,2) not null default 0 check (a > 0 and a < 10)",
        "text default 'a;b, -- (c'",
        "text default E'it\\'s; fine'",
        "text default $$;,)--$$",
        "text default $a$;$$,$a$",
        "\"odd type\" default 1",
        "int generated always as identity",
        "text default 'it''s'",
        "text default '\\'",
    };
    for (size_t i = 0; i != sizeof fine / sizeof fine[0]; ++i) {
        const char *why = managed_db_definition_problem(str_from(fine[i]));
        if (why != NULL)
            fail_msg("%s: %s", fine[i], why);
    }
}

static void test_what_reaches_beyond_it_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "   ",
        "1",
        "); drop table x",
        "text); create role evil superuser; --",
        "text; select 1",
        "text, other text",
        "text default (1",
        "text default 1)",
        "text default 'open",
        "text default E'open\\'",
        "text default $a$ open $b$",
        "\"open",
        "text -- gone",
        "text /* gone */",
        "text default '\\'; select 1 --'",
    };
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i)
        if (managed_db_definition_problem(str_from(bad[i])) == NULL)
            fail_msg("let through: %s", bad[i]);
    assert_non_null(managed_db_definition_problem(str_of("text\0;", 6)));
}

static void test_type_is_told_from_what_follows(void **state)
{
    static const char *const pairs[][2] = {
        {"text not null", "text"},
        {" numeric(10, 2) default 1", "numeric(10, 2)"},
        {"timestamp (3) with time zone NOT NULL", "timestamp (3) with time zone"},
        {"double precision", "double precision"},
        {"text[] default '{}'", "text[]"},
        {"bigserial primary key", "bigint"},
        {"SERIAL", "integer"},
        {"\"not\" unique", "\"not\""},
        {"varchar(20)CHECK (true)", "varchar(20)"},
    };
    for (size_t i = 0; i != sizeof pairs / sizeof pairs[0]; ++i) {
        str type = managed_db_definition_type(str_from(pairs[i][0]));
        if (!str_eq(type, str_from(pairs[i][1])))
            fail_msg("%s: %.*s", pairs[i][0], STR_FMT(type));
    }
}

static size_t problems_of(const char *json)
{
    struct problems problems;
    struct fault fault;
    json_t *front = jsonx_parse(str_from(json), &fault);
    assert_non_null(front);
    problems_init(&problems);
    managed_db_check(front, &problems);
    size_t n = problems.count;
    problems_fini(&problems);
    json_decref(front);
    return n;
}

static void test_all_that_is_wrong_is_said_at_once(void **state)
{
    assert_int_equal(problems_of("{}"), 0);
    assert_int_equal(problems_of("{\"manifest\":{\"database\":{}}}"), 0);
    assert_int_equal(problems_of("{\"manifest\":{\"database\":{\"tables\":{\"a\":{\"columns\":"
                                 "{\"b\":\"text\"},\"rls\":\"b\"}}}}}"),
                     0);
    assert_int_equal(problems_of("{\"manifest\":{\"database\":{\"tables\":{\"a\":{\"columns\":"
                                 "{\"b\":\"text;\",\"c\":1},\"rls\":\"d\"},\"e\":{}}}}}"),
                     4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_can_be_one_column_is_let_through),
        cmocka_unit_test(test_what_reaches_beyond_it_is_refused),
        cmocka_unit_test(test_type_is_told_from_what_follows),
        cmocka_unit_test(test_all_that_is_wrong_is_said_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
