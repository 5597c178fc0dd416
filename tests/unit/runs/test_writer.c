// The writer against a real PostgreSQL: what is kept, what is lost, and that nobody waits for a
// database that is away.
#include "setup.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "edge/base/clock.h"
#include "tests/harness/postgres.h"

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void run_and_event_are_there_when_it_is_kept(void **state)
{
    struct run_record *r = setup_run(&mine, "submit");
    setup_event(r, "received", "{\"name\":\"Ada\"}");
    setup_event(r, "also", NULL);
    assert_int_equal(setup_keep(r), FAIL_NONE);
    assert_int_equal(setup_number("select count(*) from runs where action = 'submit'"), 1);
    assert_int_equal(setup_number("select count(*) from run_events where action = 'submit' and"
                                  " data = '{\"name\":\"Ada\"}'"),
                     2);
}

static void a_preview_raises_no_event(void **state)
{
    struct run_record *r = setup_run(&mine, "previewed");
    r->is_preview = true;
    setup_event(r, "received", "{}");
    assert_int_equal(setup_keep(r), FAIL_NONE);
    assert_int_equal(setup_number("select count(*) from runs where action = 'previewed'"), 1);
    assert_int_equal(setup_number("select count(*) from run_events where action = 'previewed'"), 0);
}

static void others_follow_within_a_moment(void **state)
{
    uint64_t began = clock_monotonic_ms();
    for (int i = 0; i != 1000; ++i)
        runs_record(setup_run(&mine, "many"), NULL, NULL);
    setup_wait_for("select count(*) from runs where action = 'many'", 1000);
    assert_in_range(clock_monotonic_ms() - began, 0, 5000);
}

static struct run_record *loquacious(const char *action)
{
    struct run_record *r = setup_run(&mine, action);
    buf_add(&r->log, STR("[\"log\",\""));
    for (int i = 0; i != 200 * 1024; ++i)
        buf_addc(&r->log, 'x');
    buf_add(&r->log, STR("\"]\n"));
    return r;
}

// 1 MiB a day has five of them; short logs go on, and so does another project's.
static void a_days_logs_have_an_end(void **state)
{
    runs_options.log_bytes_per_day = 1 << 20;
    for (int i = 0; i != 8; ++i)
        runs_record(loquacious("loud"), NULL, NULL);
    struct run_record *quiet = setup_run(&mine, "quiet");
    buf_add(&quiet->log, STR("[\"log\",\"short\"]\n"));
    runs_record(quiet, NULL, NULL);
    setup_wait_for("select count(*) from runs where action = 'loud'", 8);
    setup_wait_for("select count(*) from runs where action = 'quiet' and log like '%short%'", 1);
    assert_int_equal(setup_number("select count(*) from runs where action = 'loud' and"
                                  " length(log) > 200000"),
                     5);
    assert_int_equal(setup_number("select count(*) from runs where action = 'loud' and"
                                  " log like '[\"warn\",%run_log_bytes_per_day%'"),
                     3);
    struct run_record *other = loquacious("other");
    snprintf(other->project_id, sizeof other->project_id, "prj_other");
    run_record_bound(other, 1 << 20);
    assert_in_range(other->log.n, 200000, 300000);
    run_record_destroy(other);
    runs_options.log_bytes_per_day = 0;
}

static void hostile_text_is_kept_and_takes_nothing_with_it(void **state)
{
    struct run_record *r = setup_run(&mine, "host\xff"
                                            "ile");
    buf_add(&r->log, STR("[\"log\",\"\\u0000 \x1b[2J \xe2\x80\xae\"]\nnot \0 json \xff\n"));
    buf_add(&r->error, STR("{\"message\":\"\xed\xa0\x80\\u0000'; drop table runs; --\"}"));
    buf_add(&r->facts, STR("{{{"));
    setup_event(r, "received", "{\"a\":\"\\u0000\xc3\x28\"}");
    struct run_record *neighbour = setup_run(&mine, "neighbour");
    runs_record(neighbour, NULL, NULL);
    assert_int_equal(setup_keep(r), FAIL_NONE);
    assert_int_equal(setup_number("select count(*) from runs where action = 'host?ile'"), 1);
    setup_wait_for("select count(*) from runs where action = 'neighbour'", 1);
}

static void huge_logs_stay_within_their_bound(void **state)
{
    for (int k = 0; k != 40; ++k) {
        struct run_record *r = setup_run(&mine, "huge");
        while (!r->log.full)
            buf_add(&r->log,
                    STR("[\"log\",\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]\n"));
        while (!r->payload.full)
            buf_add(&r->payload, STR("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
        setup_event(r, "big", NULL);
        runs_record(r, NULL, NULL);
        if (k == 19) // as many as a project may have waiting
            setup_wait_for("select count(*) from runs where action = 'huge'", 20);
    }
    setup_wait_for("select count(*) from runs where action = 'huge'", 40);
    assert_true(setup_number("select max(length(log)) from runs") <= RUN_LOG_MAX);
    assert_int_equal(
        setup_number("select count(*) from run_events where data = '{\"truncated\":true}'"), 40);
}

static void one_that_is_refused_takes_no_other_with_it(void **state)
{
    setup_sql("alter table runs add constraint poison check (action <> 'poison') not valid");
    uint64_t dropped = setup_metric("stoa_runs_dropped_total");
    for (int i = 0; i != 50; ++i)
        runs_record(setup_run(&mine, i == 25 ? "poison" : "beside"), NULL, NULL);
    setup_wait_for("select count(*) from runs where action = 'beside'", 49);
    struct run_record *r = setup_run(&mine, "poison");
    setup_event(r, "received", "{}");
    assert_int_not_equal(setup_keep(r), FAIL_NONE);
    assert_int_equal(setup_metric("stoa_runs_dropped_total"), dropped + 2);
    assert_int_equal(setup_number("select count(*) from run_events where action = 'poison'"), 0);
    setup_sql("alter table runs drop constraint poison");
}

// As after a commit whose answer was lost: the whole batch comes again.
static void what_was_written_before_is_passed_over(void **state)
{
    struct run_record *first = setup_run(&mine, "repeated"), *again = setup_run(&mine, "repeated");
    memcpy(again->id, first->id, sizeof again->id);
    setup_event(first, "repeated", "{}");
    setup_event(again, "repeated", "{}");
    assert_int_equal(setup_keep(first), FAIL_NONE);
    runs_record(setup_run(&mine, "with it"), NULL, NULL);
    assert_int_equal(setup_keep(again), FAIL_NONE);
    setup_wait_for("select count(*) from runs where action = 'with it'", 1);
    assert_int_equal(setup_number("select count(*) from runs where action = 'repeated'"), 1);
    assert_int_equal(setup_number("select count(*) from run_events where action = 'repeated'"), 1);
}

enum { WRITERS = 48, EACH = 40 };

static void *keep_some(void *arg)
{
    for (int i = 0; i != EACH; ++i) {
        struct run_record *r = setup_run(i % 2 ? &mine : &others, "kept");
        setup_event(r, "kept", "{}");
        if (setup_keep(r) != FAIL_NONE)
            return arg;
    }
    return NULL;
}

static void many_at_once_share_transactions(void **state)
{
    pthread_t threads[WRITERS];
    uint64_t began = clock_monotonic_ms(), batches = setup_metric("stoa_runs_batches_total");
    for (size_t i = 0; i != WRITERS; ++i)
        pthread_create(&threads[i], NULL, keep_some, &threads);
    for (size_t i = 0; i != WRITERS; ++i) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    uint64_t made = setup_metric("stoa_runs_batches_total") - batches;
    print_message("%d waited-for runs of %d threads in %llu ms, %llu transactions\n",
                  WRITERS * EACH, WRITERS, (unsigned long long)(clock_monotonic_ms() - began),
                  (unsigned long long)made);
    assert_true(made < WRITERS * EACH / 4);
    assert_int_equal(setup_number("select count(*) from run_events where type = 'kept'"),
                     WRITERS * EACH);
}

static _Atomic int kept_on_thread;

static void *keep_one(void *arg)
{
    struct run_record *r = setup_run(&mine, "second");
    setup_event(r, "second", "{}");
    kept_on_thread = setup_keep(r) == FAIL_NONE ? 1 : 2;
    return NULL;
}

// Another node has drawn a number and not committed yet: nobody may commit a later one before, or
// a reader that has seen the later one would never look for the earlier.
static void numbers_grow_in_the_order_of_commits(void **state)
{
    pthread_t thread;
    setup_sql("begin; select pg_advisory_xact_lock(7310583194305); insert into run_events (id,"
              " project_id, plugin_id, instance_id, run_id, type, source, action, created_at, data)"
              " values ('evt_first', 'p', 'p', 'i', 'r', 'first', 'public', 'a', now(), '{}')");
    pthread_create(&thread, NULL, keep_one, NULL);
    pause_ms(400);
    assert_int_equal(kept_on_thread, 0);
    setup_sql("commit");
    pthread_join(thread, NULL);
    assert_int_equal(kept_on_thread, 1);
    assert_int_equal(setup_number("select count(*) from run_events a, run_events b where a.type ="
                                  " 'first' and b.type = 'second' and a.seq < b.seq"),
                     1);
}

static void away_nobody_waits_and_others_are_kept(void **state)
{
    uint64_t dropped = setup_metric("stoa_runs_dropped_total");
    postgres_halt();
    for (int i = 0; i != 500; ++i)
        runs_record(setup_run(&mine, "while away"), NULL, NULL);
    for (int i = 0; i != 5; ++i) {
        uint64_t began = clock_monotonic_ms();
        struct run_record *r = setup_run(&mine, "busy");
        setup_event(r, "received", "{}");
        assert_int_equal(setup_keep(r), FAIL_BUSY);
        assert_in_range(clock_monotonic_ms() - began, 0, 1000);
        pause_ms(150);
    }
    for (int i = 0; i != 30000; ++i) // over the bound
        runs_record(setup_run(&mine, "flood"), NULL, NULL);
    assert_true(setup_metric("stoa_runs_queued") <= 20300);
    assert_true(setup_metric("stoa_runs_dropped_total") > dropped + 9000);
    postgres_resume();
    struct fault fault;
    while (db_script(setup_db, &fault, "select 1") != FAIL_NONE)
        pause_ms(100);
    setup_wait_for("select count(*) from runs where action = 'while away'", 500);
    assert_int_equal(setup_number("select count(*) from runs where action = 'busy'"), 0);
    struct run_record *r = setup_run(&mine, "back");
    setup_event(r, "received", "{}");
    while (setup_metric("stoa_runs_queued") != 0)
        pause_ms(20);
    assert_int_equal(setup_keep(r), FAIL_NONE);
}

// A lock keeps the writer's transaction waiting: stuck, as far as it can tell.
static void stuck_nobody_waits_long(void **state)
{
    setup_sql("begin; lock table runs in access exclusive mode");
    uint64_t began = clock_monotonic_ms();
    struct run_record *r = setup_run(&mine, "stuck");
    setup_event(r, "received", "{}");
    assert_int_equal(setup_keep(r), FAIL_BUSY);
    assert_in_range(clock_monotonic_ms() - began, 0, 5500);
    setup_sql("rollback");
    pause_ms(700);
    r = setup_run(&mine, "not stuck");
    setup_event(r, "received", "{}");
    assert_int_equal(setup_keep(r), FAIL_NONE);
}

enum { FLOODING = 6, FLOOD_EACH = 80 };

static struct run_record *fat(const struct owner *o)
{
    static char line[8192] = "";
    if (line[0] == '\0')
        memset(line, 'x', sizeof line - 1);
    struct run_record *r = setup_run(o, "fat");
    while (!r->log.full)
        buf_add(&r->log, str_from(line));
    return r;
}

static uint64_t settled(void)
{
    return setup_metric("stoa_runs_recorded_total") + setup_metric("stoa_runs_dropped_total");
}

static _Atomic int kept_in_flood;

static void *keep_in_flood(void *arg)
{
    struct run_record *r = fat(&others);
    setup_event(r, "in_the_flood", "{}");
    kept_in_flood = setup_keep(r) == FAIL_NONE ? 1 : 2;
    return NULL;
}

// While a transaction takes a moment, one project's logs come, and then many projects'.
static void a_flood_of_logs_costs_no_neighbour_an_answer(void **state)
{
    pthread_t thread;
    static struct owner flooding[FLOODING];
    static struct run_record *fats[FLOODING][FLOOD_EACH];
    for (size_t k = 0; k != FLOODING; ++k) {
        setup_owner("Flooding", &flooding[k]);
        for (size_t i = 0; i != FLOOD_EACH; ++i)
            fats[k][i] = fat(&flooding[k]);
    }
    uint64_t before = settled();
    setup_sql("begin; lock table runs in access exclusive mode");
    for (size_t k = 0; k != FLOODING; ++k) {
        for (size_t i = 0; i != FLOOD_EACH; ++i)
            runs_record(fats[k][i], NULL, NULL);
        if (k == 0)
            runs_record(setup_run(&others, "beside the flood"), NULL, NULL);
    }
    pthread_create(&thread, NULL, keep_in_flood, NULL);
    pause_ms(300);
    setup_sql("rollback");
    pthread_join(thread, NULL);
    assert_int_equal(kept_in_flood, 1);
    setup_wait_for("select count(*) from runs where action = 'beside the flood'", 1);
    while (settled() != before + FLOODING * FLOOD_EACH + 2)
        pause_ms(20);
    // 64 MiB of 320 KiB each: a quarter, three quarters
    assert_in_range(setup_number("select max(n) from (select count(*) as n from runs where action ="
                                 " 'fat' group by project_id) p"),
                    45, 52);
    assert_in_range(setup_number("select count(*) from runs where action = 'fat'"), 141, 156);
    // and all of it is free again
    setup_sql("delete from runs where action = 'fat'");
    for (size_t i = 0; i != 40; ++i)
        runs_record(fat(&flooding[0]), NULL, NULL);
    setup_wait_for("select count(*) from runs where action = 'fat'", 40);
}

enum { HEAVY = 16 };

static void *keep_light(void *arg)
{
    struct run_record *r = arg;
    setup_event(r, "light", "{}");
    kept_in_flood = setup_keep(r) == FAIL_NONE ? 1 : 2;
    return NULL;
}

static void *keep_heavy(void *arg)
{
    struct run_record *r = setup_run(&mine, "heavy");
    char *text = calloc(1, 50001), type[16];
    memset(text, ' ', 50000);
    memcpy(text, "{}", 2);
    for (int i = 0; i != RUN_EVENTS_MAX; ++i) {
        snprintf(type, sizeof type, "heavy_%d", i);
        setup_event(r, type, i == 0 ? text : NULL);
    }
    free(text);
    return setup_keep(r) == FAIL_NONE ? NULL : arg;
}

// A megabyte of events each: what is behind them need not wait for all of them.
static void a_flood_of_events_lets_a_neighbour_through(void **state)
{
    pthread_t threads[HEAVY];
    setup_sql("begin; select pg_advisory_xact_lock(7310583194305)");
    for (size_t i = 0; i != HEAVY; ++i)
        pthread_create(&threads[i], NULL, keep_heavy, &threads);
    pthread_t thread;
    pause_ms(300);
    struct run_record *r = setup_run(&others, "light");
    kept_in_flood = 0;
    pthread_create(&thread, NULL, keep_light, r);
    pause_ms(100);
    setup_sql("commit");
    pthread_join(thread, NULL);
    assert_int_equal(kept_in_flood, 1);
    for (size_t i = 0; i != HEAVY; ++i) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(setup_number("select count(distinct run_id) from run_events"
                                  " where action = 'heavy'"),
                     HEAVY);
    // the transaction that was under way, and the one it came in
    assert_in_range(setup_number("select count(distinct run_id) from run_events where action ="
                                 " 'heavy' and seq < (select seq from run_events where action ="
                                 " 'light')"),
                    1, 3);
}

static void retention_keeps_so_many_days_and_rows(void **state)
{
    struct fault fault = {0};
    size_t removed;
    setup_sql("truncate runs, run_events");
    setup_sql("insert into runs select 'a' || n, 'p', 'pl', 'ins_a', 'd', 'public', 'a', 'ok',"
              " false, '', '', '', now() - n * interval '1 second', now() - n * interval"
              " '1 second', 0, 0, 0, 0, 0, 0, '', '', '' from generate_series(1, 3000) n");
    char sql[600];
    snprintf(sql, sizeof sql,
             "insert into runs select 'b' || n, 'p', 'pl', '%s', 'd', 'public', 'a', 'ok', false,"
             " '', '', '', now() - n * interval '1 hour', now() - n * interval '1 hour', 0, 0, 0,"
             " 0, 0, 0, '', '', '' from generate_series(1, 1500) n",
             mine.instance.id);
    setup_sql(sql);
    snprintf(sql, sizeof sql,
             "insert into run_events (id, project_id, plugin_id, instance_id, run_id, type, source,"
             " action, created_at, data) select 'e' || n, 'p', 'pl', '%s', 'b' || n, 't', 'public',"
             " 'a', now() - n * interval '1 hour', '{}' from generate_series(1, 1500) n",
             mine.instance.id);
    setup_sql(sql);
    setup_sql("insert into event_deliveries (event_id, subscription_id, project_id)"
              " values ('e1400', 'sub', 'p'), ('e10', 'gone', 'p')");
    setup_sql("insert into event_subscriptions (id, project_id, url, events, secret)"
              " select 'sub', id, 'http://x/', '{t}', '' from projects limit 1");
    setup_sql("insert into event_deliveries (event_id, subscription_id, project_id)"
              " select 'e11', 'gone too', 'p' from generate_series(1, 4100)"); // more than at once
    assert_int_equal(runs_collect_all(setup_db, &removed, &fault), FAIL_NONE);
    // 30 days are 720 hours; an instance that is no more keeps nothing
    assert_int_equal(setup_number("select count(*) from runs"), 719);
    assert_int_equal(setup_number("select count(*) from runs where id like 'a%'"), 0);
    // the event that is still to be delivered stays
    assert_int_equal(setup_number("select count(*) from run_events"), 720);
    assert_int_equal(setup_number("select count(*) from event_deliveries"), 1);
    runs_options.keep_rows = 100;
    assert_int_equal(runs_collect_all(setup_db, &removed, &fault), FAIL_NONE);
    assert_int_equal(setup_number("select count(*) from runs"), 100);
    assert_int_equal(setup_number("select max(extract(epoch from now() - ended_at)::bigint / 3600)"
                                  " from runs"),
                     100);
    runs_options.keep_rows = 1000;
}

static void stopping_writes_what_is_queued(void **state)
{
    for (int i = 0; i != 700; ++i)
        runs_record(setup_run(&mine, "last"), NULL, NULL);
    runs_stop();
    assert_int_equal(setup_number("select count(*) from runs where action = 'last'"), 700);
    struct run_record *r = setup_run(&mine, "late");
    setup_event(r, "received", "{}");
    assert_int_equal(setup_keep(r), FAIL_BUSY);
}

int main(void)
{
    setup_start();
    setup_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_and_event_are_there_when_it_is_kept),
        cmocka_unit_test(a_preview_raises_no_event),
        cmocka_unit_test(others_follow_within_a_moment),
        cmocka_unit_test(a_days_logs_have_an_end),
        cmocka_unit_test(hostile_text_is_kept_and_takes_nothing_with_it),
        cmocka_unit_test(huge_logs_stay_within_their_bound),
        cmocka_unit_test(one_that_is_refused_takes_no_other_with_it),
        cmocka_unit_test(what_was_written_before_is_passed_over),
        cmocka_unit_test(many_at_once_share_transactions),
        cmocka_unit_test(numbers_grow_in_the_order_of_commits),
        cmocka_unit_test(away_nobody_waits_and_others_are_kept),
        cmocka_unit_test(stuck_nobody_waits_long),
        cmocka_unit_test(a_flood_of_logs_costs_no_neighbour_an_answer),
        cmocka_unit_test(a_flood_of_events_lets_a_neighbour_through),
        cmocka_unit_test(retention_keeps_so_many_days_and_rows),
        cmocka_unit_test(stopping_writes_what_is_queued),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failed;
}
