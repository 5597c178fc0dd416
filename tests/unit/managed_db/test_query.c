// Handlers' queries against a real PostgreSQL: what comes back, what is refused, and when it ends.
#include "edge/http/service.h"
#include "edge/base/clock.h"
#include "played.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include "expect.h"

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

// The value of the only column, v, of the only row of "select … as v".
#define assert_value(sql, expected)                                                                \
    assert_rows(ask("a", "p", "[\"select %s as v\"]", sql),                                        \
                "{\"rows\":[{\"v\":" expected "}],\"columns\":[\"v\"]")
#define assert_param(params, type, expected)                                                       \
    assert_rows(ask("a", "p", "[\"select $1::%s as v\",[%s]]", type, params),                      \
                "{\"rows\":[{\"v\":" expected "}],\"columns\":[\"v\"]")

static void types_values_as_node_postgres_does(void **state)
{
    assert_value("true", "true");
    assert_value("1::int2", "1");
    assert_value("-2147483648", "-2147483648");
    assert_value("9007199254740993::int8", "\"9007199254740993\"");
    assert_value("1.50::numeric", "\"1.50\"");
    assert_value("0.1::float8", "0.1");
    assert_value("1e300::float8", "1e+300");
    assert_value("'nan'::float8", "null");
    assert_value("'-infinity'::float4", "null");
    assert_value("123::oid", "123");
    assert_value("'{\\\"a\\\": [1, null]}'::json", "{\"a\": [1, null]}");
    assert_value("'\\\"x\\\"'::jsonb", "\"x\"");
    assert_value("'null'::jsonb", "null");
    assert_value("null::jsonb", "null");
    assert_value("'\\\\x00ff10'::bytea", "\"AP8Q\"");
    assert_value("''::bytea", "\"\"");
    assert_value("'\\\\x01'::bytea", "\"AQ==\"");
    assert_value("'7c9e6679-7425-40de-944b-e07fc1f90ae7'::uuid",
                 "\"7c9e6679-7425-40de-944b-e07fc1f90ae7\"");
    assert_value("interval '1 day 2 hours'", "\"1 day 02:00:00\"");
    assert_value("'tab\\tquote\\\"'::text", "\"tab\\tquote\\\"\"");
    assert_value("'{a,b}'::text[]", "[\"a\",\"b\"]");
    assert_value("point(1,2)", "\"(1,2)\"");
}

static void writes_times_as_javascript_does(void **state)
{
    assert_value("timestamptz '2026-11-22 10:20:30.123999+02'", "\"2026-11-22T08:20:30.123Z\"");
    assert_value("timestamp '2026-11-22 10:20:30'", "\"2026-11-22T10:20:30.000Z\"");
    assert_value("date '2026-02-28'", "\"2026-02-28T00:00:00.000Z\"");
    assert_value("timestamptz '2024-02-29 23:59:59.9-00:30'", "\"2024-03-01T00:29:59.900Z\"");
    assert_value("timestamp '0044-03-15 12:00:00 BC'", "\"-000043-03-15T12:00:00.000Z\"");
    assert_value("date '0001-01-01 BC'", "\"0000-01-01T00:00:00.000Z\"");
    assert_value("timestamp '12026-01-01 00:00:00'", "\"+012026-01-01T00:00:00.000Z\"");
    assert_value("timestamptz 'infinity'", "null");
    assert_value("timestamp '290000-01-01'", "null");
    assert_value("array[date '2026-01-01', null]", "[\"2026-01-01T00:00:00.000Z\",null]");
}

static void writes_arrays(void **state)
{
    assert_value("array[1,null,3]", "[1,null,3]");
    assert_value("'{}'::int[]", "[]");
    assert_value("array[[1,2],[3,4]]", "[[1,2],[3,4]]");
    assert_value("'[0:1]={1,2}'::int[]", "[1,2]");
    assert_value("array[9007199254740993]", "[\"9007199254740993\"]");
    assert_value("array[true,false]", "[true,false]");
    assert_value("array['a,b','{\\\"', 'NULL', '', null, 'c\\\\d']",
                 "[\"a,b\",\"{\\\"\",\"NULL\",\"\",null,\"c\\\\d\"]");
    assert_value("array['{\\\"a\\\":1}'::jsonb]", "[{\"a\": 1}]");
    assert_value("array['\\\\x01ff'::bytea]", "[\"Af8=\"]");
}

static void sends_parameters(void **state)
{
    assert_param("null", "int", "null");
    assert_param("true", "bool", "true");
    assert_param("42", "int", "42");
    assert_param("-1.5e3", "float8", "-1500");
    assert_param("18446744073709552000", "numeric", "\"18446744073709552000\"");
    assert_param("\"it's \\\"q\\\" \\\\ \\u00e9 \\ud83d\\ude00\"", "text",
                 "\"it's \\\"q\\\" \\\\ \xc3\xa9 \xf0\x9f\x98\x80\"");
    assert_param("\"\\ud800\"", "text", "\"\xef\xbf\xbd\"");
    assert_param("{\"t\":\"json\",\"v\":\"{\\\"a\\\":[1]}\"}", "jsonb", "{\"a\": [1]}");
    assert_param("{\"v\":\"2026-01-02T03:04:05.006Z\",\"t\":\"date\"}", "timestamptz",
                 "\"2026-01-02T03:04:05.006Z\"");
    assert_param("{\"t\":\"bytes\",\"v\":\"AP8Q\"}", "bytea", "\"AP8Q\"");
    assert_param("{\"t\":\"bytes\",\"v\":\"AQ==\"}", "bytea", "\"AQ==\"");
    assert_param("{\"t\":\"array\",\"v\":[1,null,3]}", "int[]", "[1,null,3]");
    assert_param("{\"t\":\"array\",\"v\":[]}", "int[]", "[]");
    assert_param("{\"t\":\"array\",\"v\":[\"a\\\"b\",\"c\\\\d\",\"\",\"NULL\"]}", "text[]",
                 "[\"a\\\"b\",\"c\\\\d\",\"\",\"NULL\"]");
    assert_param(
        "{\"t\":\"array\",\"v\":[{\"t\":\"array\",\"v\":[1]},{\"t\":\"array\",\"v\":[2]}]}",
        "int[]", "[[1],[2]]");
    assert_param("{\"t\":\"array\",\"v\":[{\"t\":\"json\",\"v\":\"{\\\"a\\\":\\\"b\\\"}\"}]}",
                 "jsonb[]", "[{\"a\": \"b\"}]");
    assert_param("{\"t\":\"array\",\"v\":[{\"t\":\"bytes\",\"v\":\"AP8Q\"}]}", "bytea[]",
                 "[\"AP8Q\"]");
    assert_rows(ask("a", "p", "[\"select $1::text a, $3::text c, $2::int b\",[\"x\",2,\"z\"]]"),
                "{\"rows\":[{\"a\":\"x\",\"c\":\"z\",\"b\":2}],\"columns\":[\"a\",\"c\",\"b\"]");
}

static void refuses_arguments_it_cannot_read(void **state)
{
    static const char *const bad[] = {"[]",
                                      "[1]",
                                      "[\"select 1\",{}]",
                                      "[\"select 1\",[[1]]]",
                                      "[\"select 1\",[{\"t\":\"x\",\"v\":\"\"}]]",
                                      "[\"select 1\",[{\"t\":\"json\"}]]",
                                      "[\"select 1\",[],{},4]",
                                      "[\"select $1\",[{\"t\":\"bytes\",\"v\":\"!\"}]]",
                                      "[\"select 1\",[{\"t\":\"array\",\"v\":\"\"}]]",
                                      "[\"select 1\\u0000\"]",
                                      "[\"select $1\",[\"\\u0000\"]]"};
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i) {
        const char *json = ask("a", "p", "%s", bad[i]);
        assert_true(ask_is_error);
        assert_has(json, "\"code\":\"invalid_");
    }
    assert_has(ask("a", "p", "[\"select $1\",[1,\"\\u0000\"]]"), "Parameter $2 holds a NUL");
}

static char *text_of(size_t n)
{
    char *text = malloc(n + 1);
    memset(text, 'x', n);
    text[n] = '\0';
    return text;
}

static void caps_what_is_sent(void **state)
{
    char *large = text_of(8 * 1024 * 1024 + 1);
    assert_has(ask("a", "p", "[\"select $1\",[\"%s\"]]", large), "\"parameters_too_large\"");
    large[1024 * 1024] = '\0';
    assert_has(ask("a", "p", "[\"-- %s\"]", large), "\"query_too_large\"");
    large[1024 * 1024 - 100] = '\0';
    assert_rows(ask("a", "p", "[\"select 1 as v -- %s\"]", large),
                "{\"rows\":[{\"v\":1}],\"columns\":[\"v\"]");
    free(large);
    char *many = text_of(65536 * 2);
    for (size_t i = 0; i != 65536; ++i)
        memcpy(many + 2 * i, "1,", 2);
    many[65536 * 2 - 1] = '\0';
    assert_has(ask("a", "p", "[\"select 1\",[%s]]", many), "\"parameters_too_large\"");
    free(many);
    large = text_of(4 * 1024 * 1024);
    assert_value("1", "1");
    assert_rows(ask("a", "p", "[\"select length($1) as v\",[\"%s\"]]", large),
                "{\"rows\":[{\"v\":4194304}],\"columns\":[\"v\"]");
    free(large);
    large = text_of(9 * 1024 * 1024); // what counts is what they stand for
    for (size_t i = 0; i + 6 <= 9 * 1024 * 1024; i += 6)
        memcpy(large + i, "\\u0041", 6);
    assert_rows(ask("a", "p", "[\"select length($1) as v\",[\"%s\"]]", large),
                "{\"rows\":[{\"v\":1572864}],\"columns\":[\"v\"]");
    free(large);
}

static void counts_rows_and_names_columns(void **state)
{
    assert_has(ask("a", "p", "[\"create table counted (id int, name text)\"]"),
               "{\"rows\":[],\"columns\":[],\"rowCount\":0,\"truncated\":false,"
               "\"executionTimeMs\":");
    assert_has(ask("a", "p", "[\"insert into counted select n, 'x' from generate_series(1,3) n\"]"),
               "{\"rows\":[],\"columns\":[],\"rowCount\":3,");
    assert_has(ask("a", "p", "[\"update counted set name = 'y' where id > 1 returning id\"]"),
               "{\"rows\":[{\"id\":2},{\"id\":3}],\"columns\":[\"id\"],\"rowCount\":2,");
    assert_has(ask("a", "p", "[\"select * from counted where false\"]"),
               "{\"rows\":[],\"columns\":[\"id\",\"name\"],\"rowCount\":0,");
    assert_has(ask("a", "p", "[\"select 1 a, 2 b, 3 a\"]"),
               "{\"rows\":[{\"b\":2,\"a\":3}],\"columns\":[\"a\",\"b\",\"a\"]");
    assert_has(ask("a", "p", "[\"select 1 \\\"q\\\\\\\"\\\"o\\\"\"]"),
               "{\"rows\":[{\"q\\\\\\\"o\":1}]");
    assert_has(ask("a", "p", "[\"select from counted\"]"), "{\"rows\":[{},{},{}],\"columns\":[]");
    assert_has(ask("a", "p", "[\"  \"]"), "{\"rows\":[],\"columns\":[],\"rowCount\":0,");
}

static unsigned count_of(const char *json, const char *part)
{
    unsigned n = 0;
    for (const char *at = json; (at = strstr(at, part)) != NULL; at += strlen(part))
        ++n;
    return n;
}

static void cuts_rows(void **state)
{
    const char *json = ask("a", "p", "[\"select n from generate_series(1,1001) n\"]");
    assert_int_equal(count_of(json, "{\"n\":"), 1000);
    assert_has(json, "\"rowCount\":1001,\"truncated\":true");
    json = ask("a", "p", "[\"select n from generate_series(1,1000) n\"]");
    assert_has(json, "\"rowCount\":1000,\"truncated\":false");
    json = ask("a", "p", "[\"select n from generate_series(1,20000) n\",[],{\"maxRows\":99999}]");
    assert_int_equal(count_of(json, "{\"n\":"), 10000);
    json = ask("a", "p", "[\"select n from generate_series(1,9) n\",null,{\"maxRows\":2}]");
    assert_has(json, "{\"rows\":[{\"n\":1},{\"n\":2}],");
    json = ask("a", "p", "[\"select repeat('x',1000000) t from generate_series(1,7) n\"]");
    assert_int_equal(count_of(json, "{\"t\":"), 5);
    assert_has(json, "\"truncated\":true");
}

static void what_is_cut_was_still_done(void **state)
{
    ask("a", "p", "[\"create table cut (t text)\"]");
    const char *json = ask("a", "p",
                           "[\"insert into cut select repeat('x', 2000) from "
                           "generate_series(1,10000) returning t\",[],{\"maxRows\":1}]");
    assert_false(ask_is_error);
    assert_has(json, "\"rowCount\":10000,\"truncated\":true");
    assert_value("(select count(*)::int from cut)", "10000");
}

static void a_cut_read_is_broken_off(void **state)
{
    uint64_t before = clock_monotonic_ms();
    const char *json = ask("a", "p",
                           "[\"select generate_series(1,100000000), repeat('x',2000)\",[],"
                           "{\"maxRows\":1}]");
    assert_false(ask_is_error);
    assert_has(json, "\"rowCount\":1,\"truncated\":true");
    assert_true(clock_monotonic_ms() - before < 10000);
    WAIT_UNTIL(strcmp(played_sql(NULL, "select count(*) from pg_stat_activity where usename = "
                                       "'role_a_p' and state = 'active'"),
                      "0") == 0);
}

static void tells_errors_as_they_are(void **state)
{
    ask("a", "p", "[\"create table strict (id int primary key, n int not null check (n > 0))\"]");
    ask("a", "p", "[\"insert into strict values (1,1)\"]");
    const char *json = ask("a", "p", "[\"insert into strict values (1,1)\"]");
    assert_true(ask_is_error);
    assert_string_equal(
        json, "{\"message\":\"duplicate key value violates unique constraint \\\"strict_pkey\\\"\","
              "\"code\":\"23505\",\"detail\":\"Key (id)=(1) already exists.\",\"schema\":\"s_p\","
              "\"table\":\"strict\",\"constraint\":\"strict_pkey\"}");
    assert_has(ask("a", "p", "[\"insert into strict values (2,null)\"]"), "\"column\":\"n\"");
    assert_has(ask("a", "p", "[\"selec 1\"]"),
               "\"message\":\"syntax error at or near \\\"selec\\\"\",\"code\":\"42601\","
               "\"position\":\"1\"");
    assert_has(ask("a", "p", "[\"select * from pg_authid\"]"), "\"code\":\"42501\"");
    assert_has(ask("a", "p", "[\"select $1::int\",[\"x\"]]"), "\"code\":\"22P02\"");
    assert_has(ask("a", "p", "[\"select 1\",[1]]"), "\"code\":\"08P01\"");
    assert_value("1", "1");
    assert_has(ask("a", "p",
                   "[\"alter table strict add constraint late unique (n) deferrable "
                   "initially deferred\"]"),
               "\"rows\":[]");
    assert_has(ask("a", "p", "[\"insert into strict values (2,1)\"]"), "\"constraint\":\"late\"");
    assert_value("(select count(*)::int from strict)", "1");
}

static void takes_one_statement(void **state)
{
    assert_has(ask("a", "p", "[\"select 1; select 2\"]"), "\"code\":\"42601\"");
    assert_has(ask("a", "p", "[\"select 1; commit; drop table x\"]"), "\"code\":\"42601\"");
    assert_rows(ask("a", "p", "[\"select 1 as v;\"]"), "{\"rows\":[{\"v\":1}],\"columns\":[\"v\"]");
}

static void knows_whose_it_is(void **state)
{
    assert_value("current_setting('app.user_id')||current_setting('app.plugin_id')", "\"user-1p\"");
    assert_value("current_user||' '||current_database()||' '||current_schema()",
                 "\"role_a_p project_a s_p\"");
    assert_has(ask("a", "p",
                   "[\"select current_setting('statement_timeout') v\",[],"
                   "{\"timeoutMs\":1234}]"),
               "{\"v\":\"12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_values_as_node_postgres_does),
        cmocka_unit_test(writes_times_as_javascript_does),
        cmocka_unit_test(writes_arrays),
        cmocka_unit_test(sends_parameters),
        cmocka_unit_test(refuses_arguments_it_cannot_read),
        cmocka_unit_test(caps_what_is_sent),
        cmocka_unit_test(counts_rows_and_names_columns),
        cmocka_unit_test(cuts_rows),
        cmocka_unit_test(what_is_cut_was_still_done),
        cmocka_unit_test(a_cut_read_is_broken_off),
        cmocka_unit_test(tells_errors_as_they_are),
        cmocka_unit_test(takes_one_statement),
        cmocka_unit_test(knows_whose_it_is),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
