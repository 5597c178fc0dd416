// What a hostile statement tries: to outlive its deadline, to leave something behind for the next
// query, to lead the protocol astray, to fill our memory (security-rules.md 8 and 9).
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
    played_start(1);
    played_options.connections_per_plugin = 1; // so that each query follows on the one before
    ask("a", "p", "[\"create table kept (name text)\"]");
    return 0;
}

static int teardown(void **state)
{
    played_stop();
    return 0;
}

static const char *pid_of_connection(void)
{
    static char pid[256];
    snprintf(pid, sizeof pid, "%s", rows_of(ask("a", "p", "[\"select pg_backend_pid()\"]")));
    return pid;
}

#define assert_value(sql, expected)                                                                \
    assert_rows(ask("a", "p", "[\"select %s as v\"]", sql),                                        \
                "{\"rows\":[{\"v\":" expected "}],\"columns\":[\"v\"]")

// What every session looks like to the query that finds it.
#define assert_clean()                                                                             \
    do {                                                                                           \
        assert_value("current_user||session_user", "\"role_a_prole_a_p\"");                        \
        assert_value("current_setting('app.user_id')||current_setting('app.plugin_id')||"          \
                     "coalesce(current_setting('app.left', true), '')",                            \
                     "\"user-1p\"");                                                               \
        assert_value("current_setting('search_path')||current_setting('TimeZone')||"               \
                     "current_setting('DateStyle')||"                                              \
                     "current_setting('client_encoding')||current_setting('bytea_output')||"       \
                     "current_setting('default_transaction_read_only')||"                          \
                     "current_setting('transaction_isolation')||"                                  \
                     "current_setting('client_min_messages')||current_setting('work_mem')",        \
                     "\"s_pUTCISO, MDYUTF8hexoffread committederror4MB\"");                        \
        assert_value("(select count(*)::int from pg_prepared_statements where name <> '')", "0");  \
        assert_value("(select count(*)::int from pg_cursors where is_holdable)", "0");             \
        assert_value("(select count(*)::int from pg_listening_channels())", "0");                  \
        assert_value("(select count(*)::int from pg_locks where locktype = 'advisory')", "0");     \
        assert_value("(select count(*)::int from pg_class where relpersistence = 't')", "0");      \
        assert_value("(current_setting('statement_timeout')::interval > '20 s')::text",            \
                     "\"true\"");                                                                  \
        assert_value("(now() - statement_timestamp() < interval '5 s')::text", "\"true\"");        \
    } while (0)

static void leaves_nothing_in_the_session(void **state)
{
    static const char *const tricks[] = {
        "set search_path = public",
        "set time zone 'Asia/Tokyo'",
        "set datestyle = 'German'",
        "set client_encoding = 'LATIN1'",
        "set bytea_output = 'escape'",
        "set statement_timeout = 0",
        "set default_transaction_read_only = on",
        "set session characteristics as transaction isolation level serializable",
        "set client_min_messages = debug5",
        "set work_mem = '1GB'",
        "set app.user_id = 'somebody'",
        "set app.left = 'here'",
        "select set_config('app.user_id','somebody',false), set_config('app.left','x',false)",
        "select set_config('client_encoding','SJIS',false)",
        "set role none",
        "set session authorization default",
        "create temporary table left_behind (a int)",
        "create temporary view left_behind as select 1",
        "prepare left_behind as select 1",
        "declare left_behind cursor with hold for select 1",
        "select pg_advisory_lock(1)",
        "select pg_advisory_lock_shared(2)",
        "do $$ begin execute 'listen left_behind'; end $$",
        "do $$ begin execute 'set search_path = public'; end $$",
        "savepoint left_behind",
        "discard all",
        "deallocate all",
        "reset all",
        "checkpoint"};
    for (size_t i = 0; i != sizeof tricks / sizeof tricks[0]; ++i) {
        ask("a", "p", "[\"%s\"]", tricks[i]);
        assert_clean();
    }
}

static void a_failed_statement_costs_no_connection(void **state)
{
    char before[256];
    snprintf(before, sizeof before, "%s", pid_of_connection());
    ask("a", "p", "[\"select 1/0\"]");
    assert_true(ask_is_error);
    assert_string_equal(before, pid_of_connection());
}

static void leaves_no_transaction_open(void **state)
{
    static const char *const tricks[] = {"commit",
                                         "rollback",
                                         "begin",
                                         "begin isolation level serializable read only",
                                         "start transaction read only",
                                         "commit and chain",
                                         "rollback and chain",
                                         "end",
                                         "abort",
                                         "set transaction read only",
                                         "set transaction isolation level serializable",
                                         "do $$ begin commit; end $$",
                                         "do $$ begin rollback; end $$",
                                         "release nothing",
                                         "rollback to nothing",
                                         "prepare transaction 'x'",
                                         "/* a /* b */ c */ prepare transaction 'x'",
                                         "rollback prepared 'x'"};
    for (size_t i = 0; i != sizeof tricks / sizeof tricks[0]; ++i) {
        ask("a", "p", "[\"%s\"]", tricks[i]);
        ask("a", "p", "[\"insert into kept values ($1)\",[\"%zu\"]]", i);
        assert_false(ask_is_error);
        assert_clean();
        assert_string_equal(played_sql("project_a", "select count(*) from s_p.kept where name = "
                                                    "(select max(name) from s_p.kept)"),
                            "1");
    }
    char count[16];
    snprintf(count, sizeof count, "%zu", sizeof tricks / sizeof tricks[0]);
    assert_string_equal(played_sql("project_a", "select count(*) from s_p.kept"), count);
    played_sql("project_a", "truncate s_p.kept");
}

// Even by way of the line: the query behind is sent together with what cleans the session.
static void the_next_in_line_finds_it_clean_too(void **state)
{
    enum { TIMES = 100 };
    static struct asked dirty[TIMES], clean[TIMES];
    for (unsigned i = 0; i != 40; ++i) {
        ask_start(&dirty[i], "a", "p", "[\"%s\"]",
                  i % 4 == 0   ? "select set_config('app.left','x',false), pg_advisory_lock(3)"
                  : i % 4 == 1 ? "create temporary table left_behind (a int)"
                  : i % 4 == 2 ? "select 1/0"
                               : "commit and chain");
        ask_start(
            &clean[i], "a", "p",
            "[\"select coalesce(current_setting('app.left',true),'') l, (select count(*)::int "
            "from pg_locks where locktype='advisory') a, (select count(*)::int from pg_class "
            "where relname='left_behind') t\"]");
    }
    for (unsigned i = 0; i != 40; ++i) {
        ask_wait(&dirty[i]);
        ask_wait(&clean[i]);
        assert_rows(clean[i].json,
                    "{\"rows\":[{\"l\":\"\",\"a\":0,\"t\":0}],\"columns\":[\"l\",\"a\",\"t\"]");
        ask_forget(&dirty[i]);
        ask_forget(&clean[i]);
    }
}

static void refuses_what_talks_past_the_next_query(void **state)
{
    static const char *const refused[] = {"listen x",
                                          "LISTEN x",
                                          ";;listen x",
                                          "-- y\\nlisten x",
                                          "/* /* */ */ notify x, 'y'",
                                          "unlisten *",
                                          "load 'x'",
                                          "prepare  transaction 'x'",
                                          "PREPARE/**/TRANSACTION 'x'",
                                          "alter role role_a_p password 'x'",
                                          "alter user role_a_p set work_mem = 1",
                                          "alter database project_a set work_mem = 1",
                                          "drop owned by current_user"};
    for (size_t i = 0; i != sizeof refused / sizeof refused[0]; ++i) {
        const char *json = ask("a", "p", "[\"%s\"]", refused[i]);
        assert_true(ask_is_error);
        assert_has(json, "\"code\":\"statement_refused\"");
    }
}

static void copy_ends_the_connection(void **state)
{
    static const char *const copies[] = {"copy kept from stdin", "copy kept to stdout",
                                         "copy (select 1) to stdout",
                                         "copy (table pg_class) to stdout"};
    for (size_t i = 0; i != sizeof copies / sizeof copies[0]; ++i) {
        char before[256];
        snprintf(before, sizeof before, "%s", pid_of_connection());
        const char *json = ask("a", "p", "[\"%s\"]", copies[i]);
        assert_true(ask_is_error);
        assert_has(json, "\"code\":\"0A000\"");
        assert_string_not_equal(before, pid_of_connection());
    }
    assert_has(ask("a", "p", "[\"copy kept to '/tmp/x'\"]"), "\"code\":\"42501\"");
    assert_has(ask("a", "p", "[\"copy kept to program 'id'\"]"), "\"code\":\"42501\"");
}

static long peak_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static void a_large_row_ends_the_connection(void **state)
{
    char before[256];
    snprintf(before, sizeof before, "%s", pid_of_connection());
    long peak = peak_kib();
    const char *json = ask("a", "p", "[\"select repeat('x',300000000)\"]");
    assert_true(ask_is_error);
    assert_has(json, "\"code\":\"54000\"");
    print_message("a row of 300 MB: %ld KiB more at the peak\n", peak_kib() - peak);
    assert_true(peak_kib() - peak < 100 * 1024);
    assert_string_not_equal(before, pid_of_connection());
    json = ask("a", "p", "[\"do $$ begin raise exception '%%', repeat('x',100000000); end $$\"]");
    assert_true(ask_is_error);
    assert_true(strlen(json) < 10000);
    assert_rows(ask("a", "p", "[\"select length(t) as v from (select repeat('x',4900000) t) s\"]"),
                "{\"rows\":[{\"v\":4900000}],\"columns\":[\"v\"]");
    json = ask("a", "p", "[\"select repeat('x',4900000) t\"]");
    assert_false(ask_is_error);
    assert_true(strlen(json) > 4900000);
}

static void notices_go_nowhere(void **state)
{
    ask("a", "p",
        "[\"do $$ begin perform set_config('client_min_messages','notice',false); for i in "
        "1..100000 loop raise notice 'x'; end loop; end $$\"]");
    assert_value("1", "1");
    ask("a", "p",
        "[\"do $$ begin perform set_config('client_min_messages','notice',false); for i in "
        "1..100 loop raise notice '%%', repeat('x',1000000); end loop; end $$\"]");
    assert_true(ask_is_error);
    assert_clean();
}

static void other_encodings_and_styles_do_no_harm(void **state)
{
    const char *json;
    json = ask("a", "p",
               "[\"select set_config('client_encoding','LATIN1',false), U&'\\\\00e9' e, "
               "'\\\"\\u00e9\\\"'::json j\"]");
    assert_false(ask_is_error);
    assert_true(str_is_utf8(str_from(json)));
    json = ask("a", "p",
               "[\"select set_config('client_encoding','LATIN1',false), 1 as \\\"\\u00e9\\\"\"]");
    assert_false(ask_is_error);
    assert_true(str_is_utf8(str_from(json)));
    assert_has(ask("a", "p",
                   "[\"select set_config('TimeZone','Asia/Kolkata',false), "
                   "timestamptz '2026-01-01 00:00Z' t\"]"),
               "\"t\":\"2026-01-01T00:00:00.000Z\"");
    assert_has(ask("a", "p",
                   "[\"select set_config('bytea_output','escape',false), "
                   "'\\\\x5c00ff41'::bytea b\"]"),
               "\"b\":\"XAD/QQ==\"");
    assert_has(ask("a", "p",
                   "[\"select set_config('DateStyle','German',false), "
                   "date '2026-02-01' d\"]"),
               "\"d\":\"01.02.2026\"");
    assert_clean();
}

static void ends_at_its_deadline(void **state)
{
    char before[256];
    snprintf(before, sizeof before, "%s", pid_of_connection());
    uint64_t began = clock_monotonic_ms();
    const char *json = ask("a", "p", "[\"select pg_sleep(20)\",[],{\"timeoutMs\":300}]");
    assert_true(ask_is_error);
    assert_has(json, "\"code\":\"57014\"");
    assert_in_range(clock_monotonic_ms() - began, 250, 1000);
    assert_string_equal(before, pid_of_connection());
    struct asked a = {.within_ms = 300};
    began = clock_monotonic_ms();
    ask_start(&a, "a", "p", "[\"select pg_sleep(20)\"]");
    ask_wait(&a);
    assert_has(a.json, "\"code\":\"57014\"");
    assert_in_range(clock_monotonic_ms() - began, 250, 1000);
    ask_forget(&a);
    assert_clean();
}

#define STUBBORN                                                                                   \
    "do $$ begin loop begin perform pg_sleep(30); exception when others or query_canceled then "   \
    "null; end; end loop; end $$"

static const char *stubborn_backends(void)
{
    return played_sql(NULL, "select count(*) from pg_stat_activity where usename = 'role_a_p' and "
                            "query like '%begin loop begin%'");
}

static void one_that_catches_its_cancel_is_killed(void **state)
{
    char before[256];
    snprintf(before, sizeof before, "%s", pid_of_connection());
    uint64_t began = clock_monotonic_ms();
    const char *json = ask("a", "p", "[\"%s\",[],{\"timeoutMs\":300}]", STUBBORN);
    uint64_t took = clock_monotonic_ms() - began;
    assert_true(ask_is_error);
    assert_has(json, "\"code\":\"57014\"");
    assert_in_range(took, 1200, 1800);
    WAIT_UNTIL(strcmp(stubborn_backends(), "0") == 0);
    assert_true(clock_monotonic_ms() - began < 3000);
    assert_string_not_equal(before, pid_of_connection());
    assert_clean();
}

// Looks at no signal for some seconds, as over larger values for hours: until it has gone, its place
// of this plugin's one is taken.
static void one_that_cannot_be_ended_keeps_its_room(void **state)
{
    static const char there[] = "select count(*) from pg_stat_activity where usename = 'role_a_p' "
                                "and query like '%repeat%'";
    const char *json = ask("a", "p",
                           "[\"select position('b'||repeat('a',12000) in repeat('a',1000000))\",[],"
                           "{\"timeoutMs\":300}]");
    assert_has(json, "\"code\":\"57014\"");
    assert_string_equal(played_sql(NULL, there), "1");
    struct asked next = {.within_ms = 60000};
    ask_start(&next, "a", "p", "[\"select 1 as v\"]");
    usleep(500000);
    assert_string_equal(played_sql(NULL, there), "1"); // else the values are too small
    assert_false(next.is_done);
    ask_wait(&next);
    assert_has(next.json, "\"v\":1");
    assert_string_equal(played_sql(NULL, there), "0");
    ask_forget(&next);
    assert_clean();
}

// Their own commit comes behind the statement, with what the statement has left to be done there.
static void one_that_stays_in_its_commit_is_ended(void **state)
{
    ask("a", "p", "[\"create table slow (a int)\"]");
    ask("a", "p",
        "[\"create function dawdle() returns trigger language plpgsql as $$ begin perform "
        "pg_sleep(30); return null; end $$\"]");
    ask("a", "p",
        "[\"create constraint trigger t after insert on slow deferrable initially "
        "deferred for each row execute function dawdle()\"]");
    assert_false(ask_is_error);
    uint64_t began = clock_monotonic_ms();
    const char *json = ask("a", "p",
                           "[\"insert into slow select 1 from (select "
                           "set_config('statement_timeout','0',false)) x\",[],"
                           "{\"timeoutMs\":300}]");
    assert_true(ask_is_error);
    assert_has(json, "\"code\":\"57014\"");
    assert_in_range(clock_monotonic_ms() - began, 250, 1800);
    assert_value("(select count(*)::int from slow)", "0");
    assert_clean();
}

static void cancelled_it_is_undone(void **state)
{
    struct asked a = {0};
    ask_start(&a, "a", "p", "[\"insert into kept select 'c' from (select pg_sleep(20)) x\"]");
    usleep(100000);
    ask_cancel(&a);
    ask_forget(&a);
    uint64_t began = clock_monotonic_ms();
    assert_clean();
    assert_true(clock_monotonic_ms() - began < 2000);
    assert_value("(select count(*)::int from kept where name = 'c')", "0");
    ask_start(&a, "a", "p", "[\"%s\"]", STUBBORN);
    usleep(100000);
    ask_cancel(&a);
    ask_forget(&a);
    WAIT_UNTIL(strcmp(stubborn_backends(), "0") == 0);
    assert_clean();
}

// A cancel that comes when its statement is over must not hit the next one.
static void a_late_cancel_hits_nobody_else(void **state)
{
    enum { TIMES = 200 };
    for (unsigned i = 0; i != TIMES; ++i) {
        struct asked a = {0}, b = {0};
        ask_start(&a, "a", "p", "[\"select pg_sleep(%u::float8 / 200000)\"]", i % 20);
        ask_start(&b, "a", "p", "[\"select pg_sleep(0.002), 1 as v\"]");
        usleep(i % 7 * 150);
        ask_cancel(&a);
        ask_wait(&b);
        assert_false(b.is_error);
        ask_forget(&a);
        ask_forget(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_nothing_in_the_session),
        cmocka_unit_test(a_failed_statement_costs_no_connection),
        cmocka_unit_test(leaves_no_transaction_open),
        cmocka_unit_test(the_next_in_line_finds_it_clean_too),
        cmocka_unit_test(refuses_what_talks_past_the_next_query),
        cmocka_unit_test(copy_ends_the_connection),
        cmocka_unit_test(a_large_row_ends_the_connection),
        cmocka_unit_test(notices_go_nowhere),
        cmocka_unit_test(other_encodings_and_styles_do_no_harm),
        cmocka_unit_test(ends_at_its_deadline),
        cmocka_unit_test(one_that_catches_its_cancel_is_killed),
        cmocka_unit_test(one_that_cannot_be_ended_keeps_its_room),
        cmocka_unit_test(one_that_stays_in_its_commit_is_ended),
        cmocka_unit_test(cancelled_it_is_undone),
        cmocka_unit_test(a_late_cancel_hits_nobody_else),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
