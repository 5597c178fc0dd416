// Who gets a connection: caps, lines, fairness between plugins and projects, quotas; and what
// happens while the cluster, or a login, is away.
#include "edge/http/service.h"
#include "edge/base/clock.h"
#include "played.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "expect.h"
#include "tests/harness/postgres.h"

enum { LOOPS = 2, LINE = 1000 };

static int setup(void **state)
{
    played_start(LOOPS);
    return 0;
}

static int teardown(void **state)
{
    played_stop();
    return 0;
}

static unsigned backends(const char *where)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "select count(*) from pg_stat_activity where usename like 'role_%%' and %s", where);
    return (unsigned)strtoul(played_sql(NULL, sql), NULL, 10);
}

// All in `asked` answered, `errors` of them with an error.
static void wait_all(struct asked *asked, unsigned count, unsigned errors)
{
    unsigned failed = 0;
    for (unsigned i = 0; i != count; ++i) {
        ask_wait(&asked[i]);
        failed += asked[i].is_error;
        ask_forget(&asked[i]);
    }
    assert_int_equal(failed, errors);
}

static void a_plugin_has_its_cap(void **state)
{
    static struct asked asked[40];
    played_options.connections_per_plugin = 4;
    for (unsigned i = 0; i != 40; ++i)
        ask_start(&asked[i], "a", "p", "[\"select pg_sleep(0.02)\"]");
    unsigned most = 0;
    for (unsigned i = 0; i != 40; ++i) {
        ask_wait(&asked[i]);
        unsigned n = backends("true");
        most = n > most ? n : most;
    }
    assert_in_range(most, 2, 4);
    wait_all(asked, 40, 0);
}

static void a_project_has_its_cap(void **state)
{
    static struct asked asked[60];
    static const char *const plugins[] = {"p", "q", "r"};
    played_options.connections_per_plugin = 4;
    played_options.connections_per_project = 5;
    unsigned most = 0;
    for (unsigned i = 0; i != 60; ++i)
        ask_start(&asked[i], "a", plugins[i % 3], "[\"select pg_sleep(0.02)\"]");
    for (unsigned i = 0; i != 60; ++i) {
        ask_wait(&asked[i]);
        unsigned n = backends("true");
        most = n > most ? n : most;
    }
    assert_in_range(most, 3, 5);
    wait_all(asked, 60, 0);
}

static void a_line_is_bounded(void **state)
{
    static struct asked asked[LINE + 20];
    played_options.connections_per_plugin = 1;
    played_options.connections_per_project = 20;
    struct asked first = {0};
    ask("b", "bounded", "[\"select 1\"]");
    ask_start(&first, "b", "bounded", "[\"select pg_sleep(1)\"]");
    usleep(50000);
    for (unsigned i = 0; i != LINE + 20; ++i)
        ask_start(&asked[i], "b", "bounded", "[\"select 1\"]");
    ask_wait(&asked[LINE + 19]);
    assert_has(asked[LINE + 19].json, "\"code\":\"managed_db_busy\"");
    assert_false(first.is_done);
    wait_all(asked, LINE + 20, 20);
    wait_all(&first, 1, 0);
}

static void waiting_ends_at_the_deadline(void **state)
{
    struct asked first = {0}, second = {.within_ms = 200};
    ask_start(&first, "b", "bounded", "[\"select pg_sleep(1)\"]");
    uint64_t began = clock_monotonic_ms();
    ask_start(&second, "b", "bounded", "[\"select 1\"]");
    ask_wait(&second);
    assert_has(second.json, "\"code\":\"managed_db_busy\"");
    assert_in_range(clock_monotonic_ms() - began, 150, 600);
    wait_all(&second, 1, 1);
    wait_all(&first, 1, 0);
}

// One plugin of a project keeps all the project's connections busy; another wants one.
static void a_sibling_is_not_starved(void **state)
{
    static struct asked flood[90];
    played_options.connections_per_plugin = 4;
    played_options.connections_per_project = 4;
    ask("c", "calm", "[\"select 1\"]");
    for (unsigned i = 0; i != 90; ++i)
        ask_start(&flood[i], "c", "flood", "[\"select pg_sleep(0.05)\"]");
    usleep(200000);
    uint64_t began = clock_monotonic_ms();
    ask("c", "calm", "[\"select 1\"]");
    assert_false(ask_is_error);
    assert_true(clock_monotonic_ms() - began < 500);
    assert_false(flood[89].is_done);
    wait_all(flood, 90, 0);
}

// The same with a cap of one, where the flood has nothing to spare.
static void turns_are_taken_at_the_last_connection(void **state)
{
    static struct asked flood[90];
    played_options.connections_per_plugin = 1;
    played_options.connections_per_project = 1;
    for (unsigned i = 0; i != 90; ++i)
        ask_start(&flood[i], "d", "flood", "[\"select pg_sleep(0.02)\"]");
    usleep(100000);
    ask("d", "calm", "[\"select 1\"]");
    assert_false(ask_is_error);
    assert_false(flood[89].is_done);
    wait_all(flood, 90, 0);
}

// Four projects would take all; the last quarter is for those that hold none.
static void the_last_quarter_is_for_newcomers(void **state)
{
    static struct asked flood[4][10];
    static const char *const projects[] = {"e1", "e2", "e3", "e4"};
    played_options.connections = 12;
    played_options.connections_per_plugin = 8;
    played_options.connections_per_project = 8;
    for (unsigned p = 0; p != 4; ++p)
        ask(projects[p], "flood", "[\"select 1\"]");
    ask("late", "calm", "[\"select 1\"]");
    for (unsigned i = 0; i != 40; ++i)
        ask_start(&flood[i % 4][i / 4], projects[i % 4], "flood", "[\"select pg_sleep(0.6)\"]");
    usleep(200000);
    assert_true(backends("state <> 'idle'") <= 9);
    uint64_t began = clock_monotonic_ms();
    ask("late", "calm", "[\"select 1\"]");
    assert_false(ask_is_error);
    assert_true(clock_monotonic_ms() - began < 550);
    for (unsigned p = 0; p != 4; ++p)
        wait_all(flood[p], 10, 0);
    assert_true(backends("true") <= 12);
}

// All room is held by resting connections of another loop.
static void room_comes_from_other_loops(void **state)
{
    static struct asked a[4];
    played_options.connections = 4;
    played_options.connections_per_plugin = 4;
    played_options.connections_per_project = 4;
    for (unsigned i = 0; i != 4; ++i) {
        static const char *const projects[] = {"f1", "f2", "f3", "f4"};
        ask_start(&a[i], projects[i], "p", "[\"select 1\"]");
    }
    wait_all(a, 4, 0);
    struct asked b = {.loop = loop_at(1)};
    uint64_t began = clock_monotonic_ms();
    ask_start(&b, "g", "p", "[\"select 1\"]");
    wait_all(&b, 1, 0);
    assert_true(clock_monotonic_ms() - began < 3000);
    played_options.connections = 60;
}

static void no_access_is_told(void **state)
{
    played_is_refusing = true;
    assert_has(ask("h", "p", "[\"select 1\"]"), "\"message\":\"No access today.\"");
    assert_true(ask_is_error);
    played_is_refusing = false;
    WAIT_UNTIL((ask("h", "p", "[\"select 1\"]"), !ask_is_error));
}

static void a_refused_login_is_put_right_once(void **state)
{
    ask("i", "p", "[\"select 1\"]");
    unsigned before = played_restores;
    played_sql(NULL, "alter role role_i_p nologin");
    played_sql(NULL, "select pg_terminate_backend(pid) from pg_stat_activity where usename = "
                     "'role_i_p'");
    usleep(100000);
    assert_has(ask("i", "p", "[\"select 1\"]"), "\"code\":\"managed_db_unavailable\"");
    assert_int_equal(played_restores, before + 1);
    assert_has(ask("i", "p", "[\"select 1\"]"), "\"code\":\"managed_db_unavailable\"");
    ask("i", "neighbour", "[\"select 1\"]");
    assert_false(ask_is_error);
    played_sql(NULL, "alter role role_i_p login");
    WAIT_UNTIL((ask("i", "p", "[\"select 1\"]"), !ask_is_error));
    assert_int_equal(played_restores, before + 1);
}

static void over_its_quota_a_project_reads_only(void **state)
{
    played_options.project_bytes = 1024 * 1024; // less than an empty database
    ask("j", "p", "[\"create table t (a int)\"]");
    assert_false(ask_is_error); // not measured yet
    for (unsigned i = 0; i != 300; ++i) {
        ask("j", "p", "[\"insert into t values (1)\"]");
        if (ask_is_error)
            break;
        usleep(10000);
    }
    const char *json = ask("j", "p", "[\"insert into t values (1)\"]");
    assert_has(json, "\"code\":\"25006\"");
    assert_has(json, "disk quota");
    assert_has(ask("j", "p", "[\"select set_config('transaction_read_only','off',true)\"]"),
               "\"code\":\"25001\"");
    ask("j", "p", "[\"set transaction read write\"]");
    ask("j", "p", "[\"commit\"]");
    assert_has(ask("j", "p", "[\"insert into t values (1)\"]"), "\"code\":\"25006\"");
    ask("j", "p", "[\"select * from t\"]");
    assert_false(ask_is_error);
    played_options.project_bytes = 0;
}

static void a_restart_is_lived_through(void **state)
{
    if (!postgres_is_ours())
        skip();
    struct asked running = {0};
    ask("k", "p", "[\"select 1\"]");
    ask_start(&running, "k", "p", "[\"select pg_sleep(20)\"]");
    usleep(100000);
    postgres_halt();
    ask_wait(&running);
    assert_true(running.is_error);
    assert_has(running.json, "\"code\":\"managed_db_unavailable\"");
    ask_forget(&running);
    uint64_t began = clock_monotonic_ms();
    for (unsigned i = 0; i != 50; ++i) {
        assert_has(ask("k", "p", "[\"select 1\"]"), "\"code\":\"managed_db_unavailable\"");
        assert_has(ask("new", "p", "[\"select 1\"]"), "\"code\":\"managed_db_unavailable\"");
    }
    assert_true(clock_monotonic_ms() - began < 10000);
    postgres_resume();
    WAIT_UNTIL((ask("k", "p", "[\"select 1\"]"), !ask_is_error));
    assert_true(clock_monotonic_ms() - began < 20000);
}

// Cancels and answers at random, on both loops; for the sanitizers.
static void questions_and_cancels_at_random(void **state)
{
    enum { MANY = 60, ROUNDS = 10 };
    static struct asked asked[MANY];
    static const char *const plugins[] = {"m1", "m2", "m3", "m4", "m5"};
    played_options.connections = 6;
    played_options.connections_per_plugin = 3;
    unsigned seed = 1;
    for (unsigned round = 0; round != ROUNDS; ++round) {
        for (unsigned i = 0; i != MANY; ++i) {
            asked[i] = (struct asked){.loop = loop_at(i % LOOPS)};
            ask_start(&asked[i], i % LOOPS == 0 ? "m" : "n", plugins[(unsigned)rand_r(&seed) % 5],
                      "[\"select pg_sleep(%u::float8 / 1000)\",[],{\"timeoutMs\":%u}]",
                      (unsigned)rand_r(&seed) % 20, 2 + (unsigned)rand_r(&seed) % 2000);
        }
        for (unsigned i = 0; i != MANY; ++i)
            if (rand_r(&seed) % 3 == 0)
                ask_cancel(&asked[i]);
        for (unsigned i = 0; i != MANY; ++i) {
            ask_wait(&asked[i]);
            ask_forget(&asked[i]);
        }
    }
    played_options.connections = 60;
}

static void room_is_given_back(void **state)
{
    struct buf metrics;
    for (unsigned i = 0; i != 3; ++i)
        ask("m", "p", "[\"select 1\"]");
    buf_init(&metrics, 1 << 16);
    managed_db_metrics(&metrics);
    char *text = buf_take(&metrics);
    assert_has(text, "stoa_managed_db_waiting 0\n");
    unsigned long held = strtoul(strstr(text, "\nstoa_managed_db_connections ") + 29, NULL, 10);
    WAIT_UNTIL(backends("true") == held);
    assert_has(text, "stoa_managed_db_queries_total{outcome=\"answered\"} ");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plugin_has_its_cap),
        cmocka_unit_test(a_project_has_its_cap),
        cmocka_unit_test(a_line_is_bounded),
        cmocka_unit_test(waiting_ends_at_the_deadline),
        cmocka_unit_test(a_sibling_is_not_starved),
        cmocka_unit_test(turns_are_taken_at_the_last_connection),
        cmocka_unit_test(the_last_quarter_is_for_newcomers),
        cmocka_unit_test(room_comes_from_other_loops),
        cmocka_unit_test(no_access_is_told),
        cmocka_unit_test(a_refused_login_is_put_right_once),
        cmocka_unit_test(over_its_quota_a_project_reads_only),
        cmocka_unit_test(a_restart_is_lived_through),
        cmocka_unit_test(questions_and_cancels_at_random),
        cmocka_unit_test(room_is_given_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
