// The connection: SQL states, lost connections, transactions, prepared statements, notices, against
// a real PostgreSQL.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/store/db.h"
#include "edge/store/faults.h"
#include "tests/harness/postgres.h"

static const char *url;

static enum fail run(struct db *db, struct fault *fault, const char *sql)
{
    *fault = (struct fault){0};
    return db_script(db, fault, sql);
}

static void must(struct db *db, const char *sql)
{
    struct fault fault;
    if (run(db, &fault, sql) != FAIL_NONE)
        fail_msg("%s: %s", sql, fault.log_text);
}

static int64_t number(struct db *db, const char *sql)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    if (db_query(db, &fault, &rows, sql) != FAIL_NONE)
        fail_msg("%s: %s", sql, fault.log_text);
    return db_get_int(rows, 0, 0);
}

static struct db *other(void)
{
    struct fault fault = {0};
    struct db *db = NULL;
    assert_int_equal(db_open(url, &db, &fault), FAIL_NONE);
    return db;
}

// Ends db's backend from another connection and waits until word of it is here.
static void terminate(struct db *db)
{
    struct fault fault = {0};
    int64_t pid = number(db, "select pg_backend_pid()");
    struct db *killer = other();
    assert_int_equal(db_query(killer, &fault, NULL, "select pg_terminate_backend($1)", db_int(pid)),
                     FAIL_NONE);
    struct pollfd p = {.fd = db_socket(db), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    db_close(killer);
}

static void test_values_come_back_as_they_went(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    const char bytes[] = "a\0\xff";
    assert_int_equal(
        db_query(db, &fault, &rows,
                 "select $1::text, $2::text, $3::bytea, $4::bigint, $5::boolean,"
                 " (extract(epoch from $6::timestamptz) * 1000)::bigint, $7::text, $8::text",
                 db_text("zero"), db_str(str_of("shorter", 5)), db_bytes(str_of(bytes, 3)),
                 db_int(INT64_MIN), db_bool(true), db_time(1795342830123), DB_NULL, db_text(NULL)),
        FAIL_NONE);
    assert_int_equal(db_count(rows), 1);
    assert_string_equal(db_get(rows, 0, 0).p, "zero");
    assert_string_equal(db_get(rows, 0, 1).p, "short");
    size_t n = 0;
    uint8_t *back = db_get_bytes(rows, 0, 2, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(back, bytes, 3);
    free(back);
    assert_true(db_get_int(rows, 0, 3) == INT64_MIN);
    assert_true(db_get_bool(rows, 0, 4));
    assert_true(db_get_time(rows, 0, 5) == 1795342830123);
    assert_true(db_is_null(rows, 0, 6) && db_is_null(rows, 0, 7));
    assert_int_equal(db_get(rows, 0, 6).n, 0);
}

static void test_text_with_nul_is_refused_not_cut(void **state)
{
    struct fault fault = {0};
    assert_int_equal(
        db_query(db_of_thread(), &fault, NULL, "select $1::text", db_str(str_of("a\0b", 3))),
        FAIL_REFUSED);
}

static void test_affected_rows_are_counted(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    must(db, "create temp table counted (n integer); insert into counted values (1), (2), (3)");
    assert_int_equal(db_query(db, &fault, &rows, "delete from counted where n > $1", db_int(1)),
                     FAIL_NONE);
    assert_int_equal(db_affected(rows), 2);
    assert_int_equal(db_count(rows), 0);
}

static void test_sql_states_become_failures(void **state)
{
    static const struct {
        const char *sql, *code;
        enum fail fail;
    } cases[] = {
        {"insert into t values (1, 1)", "conflict", FAIL_CONFLICT},
        {"insert into t values (3, 99)", "conflict", FAIL_CONFLICT},
        {"do $$ begin raise exception 'x' using errcode = '40001'; end $$", "conflict",
         FAIL_CONFLICT},
        {"do $$ begin raise exception 'x' using errcode = '40P01'; end $$", "conflict",
         FAIL_CONFLICT},
        {"do $$ begin raise exception 'x' using errcode = '23P01'; end $$", "conflict",
         FAIL_CONFLICT},
        {"set statement_timeout = 20; select pg_sleep(5)", "database_busy", FAIL_BUSY},
        {"do $$ begin raise exception 'x' using errcode = '55P03'; end $$", "database_busy",
         FAIL_BUSY},
        {"do $$ begin raise exception 'x' using errcode = '53300'; end $$", "database_unavailable",
         FAIL_BUSY},
        {"do $$ begin raise exception 'x' using errcode = '57P03'; end $$", "database_unavailable",
         FAIL_BUSY},
        {"do $$ begin raise exception 'x' using errcode = '53100'; end $$", "disk_full",
         FAIL_QUOTA},
        {"insert into t values (null, 1)", "internal", FAIL_INTERNAL},
        {"select 1/0", "internal", FAIL_INTERNAL},
        {"select nonsense", "internal", FAIL_INTERNAL},
    };
    struct db *db = db_of_thread();
    must(db, "create temp table t (id integer constraint t_one primary key,"
             " up integer references t (id)); insert into t values (1, 1)");
    for (size_t i = 0; i != sizeof cases / sizeof cases[0]; ++i) {
        struct fault fault;
        enum fail f = run(db, &fault, cases[i].sql);
        if (f != cases[i].fail || strcmp(fault.code, cases[i].code) != 0)
            fail_msg("%s: %d %s", cases[i].sql, (int)f, fault.code);
    }
    must(db, "set statement_timeout = '30s'");
    struct fault fault;
    assert_int_equal(run(db, &fault, "insert into t values (1, 1)"), FAIL_CONFLICT);
    assert_string_equal(db_constraint(db), "t_one");
    must(db, "select 1");
    assert_string_equal(db_constraint(db), "");
}

static void test_log_never_has_values(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    must(db, "create temp table s (word text unique); insert into s values ('hushhush')");
    assert_int_equal(db_query(db, &fault, NULL, "insert into s values ($1)", db_text("hushhush")),
                     FAIL_CONFLICT);
    assert_null(strstr(fault.log_text, "hush"));
    assert_non_null(strstr(fault.log_text, "23505"));
    assert_int_equal(db_query(db, &fault, NULL, "select $1::text::integer", db_text("hushhush")),
                     FAIL_INTERNAL);
    assert_null(strstr(fault.log_text, "hush"));
    assert_null(strstr(fault.public_text, "hush"));
    assert_int_equal(run(db, &fault, "select nonsense"), FAIL_INTERNAL);
    assert_non_null(strstr(fault.log_text, "nonsense")); // a name of ours helps
}

static void test_statements_are_prepared_once(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    static const char sql[] = "select $1::integer + 4711";
    for (int i = 0; i != 3; ++i)
        assert_int_equal(db_query(db, &fault, NULL, sql, db_int(i)), FAIL_NONE);
    assert_int_equal(
        number(db, "select count(*) from pg_prepared_statements where statement like '%+ 4711'"),
        1);
    assert_int_equal(number(db,
                            "select sum(generic_plans + custom_plans) from pg_prepared_statements"
                            " where statement like '%+ 4711'"),
                     3);
}

static void test_more_statements_than_are_kept_still_run(void **state)
{
    struct db *db = other();
    static char texts[400][40];
    for (int i = 0; i != 400; ++i) {
        struct fault fault = {0};
        DB_ROWS_AUTO rows = NULL;
        snprintf(texts[i], sizeof texts[i], "select %d + $1::integer", i);
        assert_int_equal(db_query(db, &fault, &rows, texts[i], db_int(1)), FAIL_NONE);
        assert_int_equal(db_get_int(rows, 0, 0), i + 1);
    }
    assert_true(number(db, "select count(*) from pg_prepared_statements") <= 256);
    db_close(db);
}

static void test_stale_plan_is_made_again(void **state)
{
    struct db *db = db_of_thread();
    static const char sql[] = "select * from changing";
    must(db, "create table changing (a integer); insert into changing values (1)");
    assert_int_equal(number(db, sql), 1);
    struct db *migrator = other();
    must(migrator, "alter table changing add column b integer");
    db_close(migrator);
    assert_int_equal(number(db, sql), 1);
    must(db, "deallocate all");
    assert_int_equal(number(db, sql), 1);
    must(db, "drop table changing");
}

static void test_lost_connection_comes_back_unseen(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    must(db, "create table kept (n integer)");
    terminate(db);
    // a write that was never sent may be repeated
    assert_int_equal(db_query(db, &fault, NULL, "insert into kept values ($1)", db_int(1)),
                     FAIL_NONE);
    terminate(db);
    assert_int_equal(number(db, "select count(*) from kept"), 1);
    assert_true(db_is_healthy(NULL));
    must(db, "drop table kept");
}

static void test_write_lost_on_the_way_is_not_repeated(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    // kills its own connection, but only the first time it runs
    must(db, "create table once (n integer); create sequence runs");
    assert_int_equal(db_query(db, &fault, NULL,
                              "insert into once select 1 from (select case nextval('runs') when 1"
                              " then pg_terminate_backend(pg_backend_pid()) end) k"),
                     FAIL_BUSY);
    assert_string_equal(fault.code, "database_unavailable");
    assert_false(db_is_connected(db));
    assert_int_equal(number(db, "select count(*) from once"), 0);
    must(db, "drop table once; drop sequence runs");
}

static void test_own_connection_stays_lost(void **state)
{
    struct db *db = other();
    struct fault fault = {0};
    terminate(db);
    assert_int_equal(db_query(db, &fault, NULL, "select 1"), FAIL_BUSY);
    assert_false(db_is_connected(db));
    assert_int_equal(db_socket(db), -1);
    db_close(db);
}

static void test_transaction_is_all_or_nothing(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    must(db, "create table tx (n integer primary key)");
    assert_int_equal(db_begin(db, &fault), FAIL_NONE);
    assert_true(db_is_in_transaction(db));
    must(db, "insert into tx values (1)");
    db_rollback(db);
    assert_false(db_is_in_transaction(db));
    assert_int_equal(number(db, "select count(*) from tx"), 0);
    assert_int_equal(db_begin(db, &fault), FAIL_NONE);
    must(db, "insert into tx values (1)");
    assert_int_equal(db_commit(db, &fault), FAIL_NONE);
    assert_int_equal(number(db, "select count(*) from tx"), 1);
    db_rollback(db); // none is open: no harm
}

static void test_commit_after_a_failure_tells(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    assert_int_equal(db_begin(db, &fault), FAIL_NONE);
    must(db, "insert into tx values (2)");
    assert_int_equal(run(db, &fault, "insert into tx values (1)"), FAIL_CONFLICT);
    assert_int_equal(db_commit(db, &fault), FAIL_INTERNAL);
    assert_int_equal(number(db, "select count(*) from tx"), 1);
}

static void test_transaction_lost_stays_lost_until_rolled_back(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    assert_int_equal(db_begin(db, &fault), FAIL_NONE);
    must(db, "insert into tx values (3)");
    terminate(db);
    assert_int_equal(run(db, &fault, "insert into tx values (4)"), FAIL_BUSY);
    assert_int_equal(run(db, &fault, "insert into tx values (5)"), FAIL_BUSY);
    assert_int_equal(db_commit(db, &fault), FAIL_BUSY);
    assert_int_equal(number(db, "select count(*) from tx"), 1);
    assert_int_equal(db_begin(db, &fault), FAIL_NONE);
    terminate(db);
    db_rollback(db);
    assert_int_equal(number(db, "select count(*) from tx"), 1);
}

static void test_lost_at_commit_says_so(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    must(db, "create table late (n integer);"
             "create function die() returns trigger language plpgsql as"
             " $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;"
             "create constraint trigger die after insert on late deferrable initially deferred"
             " for each row execute function die()");
    assert_int_equal(db_begin(db, &fault), FAIL_NONE);
    must(db, "insert into late values (1)");
    assert_int_equal(db_commit(db, &fault), FAIL_BUSY);
    assert_non_null(strstr(fault.log_text, "not known"));
    must(db, "drop table late; drop function die");
}

static void test_deferred_conflict_shows_at_commit(void **state)
{
    struct db *db = db_of_thread();
    struct fault fault = {0};
    must(db, "create table d (n integer constraint d_one unique deferrable initially deferred)");
    assert_int_equal(db_begin(db, &fault), FAIL_NONE);
    must(db, "insert into d values (1), (1)");
    assert_int_equal(db_commit(db, &fault), FAIL_CONFLICT);
    assert_string_equal(db_constraint(db), "d_one");
    assert_false(db_is_in_transaction(db));
    must(db, "drop table d");
}

static void test_notices_arrive_and_odd_ones_are_dropped(void **state)
{
    struct db *listener = other(), *db = db_of_thread();
    struct db_notice notice;
    must(listener, "listen stoa_test");
    assert_false(db_next_notice(listener, &notice));
    must(db,
         "select pg_notify('stoa_test', repeat('x', 256)); select pg_notify('stoa_test', 'plg_1')");
    uint64_t until = clock_monotonic_ms() + 5000;
    while (!db_next_notice(listener, &notice) && clock_monotonic_ms() < until)
        usleep(2000);
    assert_string_equal(notice.channel, "stoa_test");
    assert_string_equal(notice.payload, "plg_1");
    assert_true(db_socket(listener) >= 0);
    terminate(listener);
    assert_false(db_next_notice(listener, &notice));
    assert_false(db_is_connected(listener));
    db_close(listener);
}

static void *on_thread(void *arg)
{
    struct db *db = db_of_thread();
    *(int64_t *)arg = number(db, "select pg_backend_pid()");
    return db == db_of_thread() ? NULL : arg;
}

static void test_each_thread_has_a_connection_and_leaves_none(void **state)
{
    pthread_t t;
    void *failed = NULL;
    int64_t pid = 0;
    pthread_create(&t, NULL, on_thread, &pid);
    pthread_join(t, &failed);
    assert_null(failed);
    struct db *db = db_of_thread();
    assert_int_not_equal(pid, number(db, "select pg_backend_pid()"));
    for (int64_t n = 1; n != 0; usleep(2000)) {
        struct fault fault = {0};
        DB_ROWS_AUTO rows = NULL;
        assert_int_equal(db_query(db, &fault, &rows,
                                  "select count(*) from pg_stat_activity where pid = $1",
                                  db_int(pid)),
                         FAIL_NONE);
        n = db_get_int(rows, 0, 0);
    }
}

static void test_unreachable_is_busy_and_hides_the_password(void **state)
{
    struct fault fault = {0};
    struct db *db = NULL;
    assert_int_equal(db_open("postgresql://a:geheim@/x?host=/nowhere", &db, &fault), FAIL_BUSY);
    assert_string_equal(fault.code, "database_unavailable");
    assert_null(strstr(fault.log_text, "geheim"));
    assert_int_equal(db_open("postgresql://a@127.0.0.1:geheim/x", &db, &fault), FAIL_BUSY);
    assert_null(strstr(fault.log_text, "geheim"));
    assert_null(db);
    assert_false(db_is_healthy(NULL));
    must(db_of_thread(), "select 1");
    assert_true(db_is_healthy(NULL));
}

static void test_server_down_and_up_needs_no_restart(void **state)
{
    if (!postgres_is_ours())
        skip();
    struct db *db = db_of_thread();
    struct fault fault = {0};
    int64_t since = 0, before = clock_real_ms();
    must(db, "select 1");
    postgres_halt();
    assert_int_equal(run(db, &fault, "select 1"), FAIL_BUSY);
    assert_false(db_is_healthy(&since));
    assert_true(since >= before && since <= clock_real_ms());
    assert_int_equal(run(db, &fault, "select 1"), FAIL_BUSY); // at once: nobody waits in line
    postgres_resume();
    usleep(300000);
    must(db, "select 1");
    assert_true(db_is_healthy(&since));
    assert_int_equal(since, 0);
}

#ifdef STOA_FAULTS
static enum fail three_statements(struct db *db, struct fault *fault)
{
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL, "update tx set n = n");
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}

static void test_every_call_can_be_made_to_fail(void **state)
{
    struct db *db = db_of_thread();
    unsigned long n = 1;
    for (;; ++n) {
        struct fault fault = {0};
        faults_at(n);
        enum fail f = three_statements(db, &fault);
        assert_false(db_is_in_transaction(db));
        if (!faults_have_fired()) {
            assert_int_equal(f, FAIL_NONE);
            break;
        }
        assert_int_equal(f, FAIL_BUSY);
    }
    assert_int_equal(n, 4);
    faults_at(0);
}
#endif

int main(void)
{
    url = postgres_start();
    db_configure(url);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_come_back_as_they_went),
        cmocka_unit_test(test_text_with_nul_is_refused_not_cut),
        cmocka_unit_test(test_affected_rows_are_counted),
        cmocka_unit_test(test_sql_states_become_failures),
        cmocka_unit_test(test_log_never_has_values),
        cmocka_unit_test(test_statements_are_prepared_once),
        cmocka_unit_test(test_more_statements_than_are_kept_still_run),
        cmocka_unit_test(test_stale_plan_is_made_again),
        cmocka_unit_test(test_lost_connection_comes_back_unseen),
        cmocka_unit_test(test_write_lost_on_the_way_is_not_repeated),
        cmocka_unit_test(test_own_connection_stays_lost),
        cmocka_unit_test(test_transaction_is_all_or_nothing),
        cmocka_unit_test(test_commit_after_a_failure_tells),
        cmocka_unit_test(test_transaction_lost_stays_lost_until_rolled_back),
        cmocka_unit_test(test_lost_at_commit_says_so),
        cmocka_unit_test(test_deferred_conflict_shows_at_commit),
        cmocka_unit_test(test_notices_arrive_and_odd_ones_are_dropped),
        cmocka_unit_test(test_each_thread_has_a_connection_and_leaves_none),
        cmocka_unit_test(test_unreachable_is_busy_and_hides_the_password),
        cmocka_unit_test(test_server_down_and_up_needs_no_restart),
#ifdef STOA_FAULTS
        cmocka_unit_test(test_every_call_can_be_made_to_fail),
#endif
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    db_close(NULL);
    postgres_stop();
    return failed;
}
