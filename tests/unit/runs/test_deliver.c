// Deliveries: signed, at least once, retried, given up, and no subscriber's slowness another's.
#include "setup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "edge/base/clock.h"
#include "played_fetch.h"
#include "tests/harness/postgres.h"

static void subscribe(const struct owner *o, const char *id, const char *url, const char *types)
{
    struct fault fault = {0};
    uint8_t key[EVENT_KEY_SIZE] = {7};
    struct buf sealed;
    json_auto_t *events = json_loads(types, 0, NULL);
    buf_init(&sealed, 256);
    assert_int_equal(event_key_seal(key, o->project_id, id, &sealed, &fault), FAIL_NONE);
    struct subscription_wish wish = {.id = id,
                                     .project_id = o->project_id,
                                     .url = str_from(url),
                                     .events = events,
                                     .secret = buf_str(&sealed)};
    assert_int_equal(runs_query_subscription_insert(setup_db, &wish, &fault), FAIL_NONE);
    buf_fini(&sealed);
}

static void raise(const struct owner *o, const char *type)
{
    struct run_record *r = setup_run(o, "act");
    setup_event(r, type, "{\"n\":1}");
    assert_int_equal(setup_keep(r), FAIL_NONE);
}

static unsigned ok(const struct played_request *r)
{
    return 200;
}

static void wait_played(unsigned n)
{
    for (uint64_t until = clock_monotonic_ms() + 20000; clock_monotonic_ms() < until;) {
        if (played_count() >= n)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    fail_msg("%u requests, not %u", played_count(), n);
}

static int reset(void **state)
{
    setup_wait_for("select count(*) from event_deliveries where not is_dead", 0);
    // one by one: truncate would lock the tables out of order with the deliverer, which is at work
    setup_sql("delete from event_deliveries");
    setup_sql("delete from event_subscriptions");
    setup_sql("delete from run_events");
    played_clear();
    played_answer(ok);
    return 0;
}

static void is_signed_and_told_once(void **state)
{
    subscribe(&mine, "sub_a", "https://a.example/hook", "[\"received\"]");
    subscribe(&mine, "sub_b", "https://b.example/", "[\"other\"]");
    subscribe(&others, "sub_c", "https://c.example/", "[\"*\"]");
    uint64_t began = clock_monotonic_ms();
    raise(&mine, "received");
    wait_played(1);
    assert_in_range(played[0].at_ms - began, 0, 1000);
    setup_wait_for("select count(*) from event_deliveries", 0);
    assert_int_equal(played_count(), 1);
    const struct played_request *p = &played[0];
    assert_string_equal(p->url, "https://a.example/hook");
    assert_string_equal(p->project_id, mine.project_id);
    assert_int_equal(p->redirects, 0);
    uint8_t key[EVENT_KEY_SIZE] = {7};
    char want[EVENT_SIGNATURE_ROOM];
    event_sign(key, p->id, strtoll(p->timestamp, NULL, 10), str_from(p->body), want);
    assert_string_equal(p->signature, want);
    json_auto_t *body = json_loads(p->body, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(body, "id")), p->id);
    assert_string_equal(json_string_value(json_object_get(body, "type")), "received");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(body, "data"), "n")), 1);
    assert_int_equal(setup_number("select count(*) from event_subscriptions where id = 'sub_a'"
                                  " and delivered_at is not null"),
                     1);
}

// What PostgreSQL keeps as text, and a strict parser of JSON refuses.
static void strangers_data_is_told_as_it_stands(void **state)
{
    static const char *const texts[] = {
        "{\"a\":\"\\u0000\"}",
        "{\"a\":9223372036854775808}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":1e999}",
        "{}",
        "{\"a\":\"\\u0000\"} x",
        "[1]",
        "{\"a\":",
    };
    subscribe(&mine, "sub_a", "https://a.example/hook", "[\"*\"]");
    for (unsigned i = 0; i != sizeof texts / sizeof texts[0]; ++i) {
        struct run_record *r = setup_run(&mine, "act");
        char want[100];
        setup_event(r, "received", texts[i]);
        assert_int_equal(setup_keep(r), FAIL_NONE);
        wait_played(i + 1);
        snprintf(want, sizeof want, ",\"data\":%s}", i < 6 ? texts[i] : "{}");
        const char *data = strstr(played[i].body, ",\"data\":");
        assert_non_null(data);
        assert_string_equal(data, want);
    }
}

static unsigned third_time(const struct played_request *r)
{
    static unsigned n;
    return ++n < 3 ? n == 1 ? 500 : 302 : 200;
}

static void is_retried_with_the_same_id(void **state)
{
    played_answer(third_time);
    subscribe(&mine, "sub_a", "https://a.example/", "[\"*\"]");
    raise(&mine, "received");
    wait_played(3);
    setup_wait_for("select count(*) from event_deliveries", 0);
    assert_string_equal(played[0].id, played[2].id);
    assert_string_equal(played[0].body, played[2].body);
    assert_int_equal(setup_number("select count(*) from event_subscriptions"
                                  " where failure like '%redirects are not followed%'"),
                     1);
    // 50 ms and 200 ms, a quarter less or more
    assert_in_range(played[1].at_ms - played[0].at_ms, 30, 1500);
    assert_in_range(played[2].at_ms - played[1].at_ms, 140, 2500);
}

static unsigned refuse(const struct played_request *r)
{
    return strstr(r->url, "gone") != NULL ? 410 : 1;
}

static void is_given_up(void **state)
{
    played_answer(refuse);
    subscribe(&mine, "sub_a", "https://gone.example/", "[\"*\"]");
    subscribe(&mine, "sub_b", "http://127.0.0.1/", "[\"*\"]");
    raise(&mine, "received");
    setup_wait_for("select count(*) from event_deliveries where is_dead", 2); // after 2 s
    unsigned n = played_count();
    assert_in_range(n, 4, 8);
    assert_int_equal(setup_number("select attempts from event_deliveries"
                                  " where subscription_id = 'sub_a'"),
                     1);
    assert_int_equal(setup_number("select count(*) from event_subscriptions"
                                  " where failure like 'blocked_address: That%'"),
                     1);
}

static unsigned slow_ones(const struct played_request *r)
{
    return strstr(r->url, "slow") != NULL ? 0 : 200;
}

static void a_slow_subscriber_holds_up_no_other(void **state)
{
    played_answer(slow_ones);
    subscribe(&mine, "sub_a", "https://slow.example/", "[\"*\"]");
    subscribe(&others, "sub_b", "https://quick.example/", "[\"*\"]");
    for (int i = 0; i != 300; ++i)
        raise(&mine, "received");
    for (int i = 0; i != 20; ++i)
        raise(&others, "received");
    setup_wait_for("select count(*) from event_deliveries where subscription_id = 'sub_b'", 0);
    // a slow one has its share, no more
    unsigned slow = 0;
    for (unsigned i = 0; i != played_count(); ++i)
        slow += strstr(played[i].url, "slow") != NULL;
    assert_int_equal(slow, 4);
    assert_true(played_most() <= 32);
    played_answer(ok);
    played_release(200);
    setup_wait_for("select count(*) from event_deliveries", 0);
}

// Each has more that is older than what a neighbour raises then than any one look takes in.
static void many_slow_projects_hold_up_no_other(void **state)
{
    played_answer(slow_ones);
    for (int i = 0; i != 10; ++i) {
        struct owner slow;
        char name[16], sql[400];
        snprintf(name, sizeof name, "slow%d", i);
        setup_owner(name, &slow);
        subscribe(&slow, name, "https://slow.example/", "[\"*\"]");
        snprintf(
            sql, sizeof sql,
            "with e as (insert into run_events (id, project_id, plugin_id, instance_id, run_id,"
            " type, source, action, created_at, data) select '%s' || n, '%s', 'p', 'i', 'r',"
            " 't', 'public', 'a', now(), '{}' from generate_series(1, 100) n returning *)"
            " insert into event_deliveries (event_id, subscription_id, project_id)"
            " select id, '%s', project_id from e",
            name, slow.project_id, name);
        setup_sql(sql);
    }
    deliver_wake();
    wait_played(16);
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    assert_int_equal(played_count(), 24); // and 8 places are left
    subscribe(&others, "sub_b", "https://quick.example/", "[\"*\"]");
    for (int i = 0; i != 20; ++i)
        raise(&others, "received");
    setup_wait_for("select count(*) from event_deliveries where subscription_id = 'sub_b'", 0);
    assert_int_equal(played_count(), 44);
    played_answer(ok);
    played_release(200);
    setup_wait_for("select count(*) from event_deliveries", 0);
}

// In a transaction of the test's own, which the deliverer does not see.
static void all_projects_have_their_turn(void **state)
{
    struct fault fault = {0};
    char behind[CATALOG_ID_ROOM] = "";
    json_t *first = NULL, *rest = NULL, *few = NULL;
    setup_sql("begin; insert into event_deliveries (event_id, subscription_id, project_id, next_at)"
              " select 'e', 's', 'p' || n % 200, now() - n * interval '1 s'"
              " from generate_series(1, 600) n; insert into event_deliveries (event_id,"
              " subscription_id, project_id, next_at) values ('e', 's', 'p', now() + '1 h')");
    assert_int_equal(runs_query_due_projects(setup_db, behind, &first, &fault), FAIL_NONE);
    assert_string_not_equal(behind, "");
    assert_int_equal(runs_query_due_projects(setup_db, behind, &rest, &fault), FAIL_NONE);
    assert_string_equal(behind, "");
    assert_int_equal(json_array_size(first) + json_array_size(rest), 200);
    assert_string_not_equal(json_string_value(json_array_get(first, 0)),
                            json_string_value(json_array_get(rest, 0)));
    setup_sql("delete from event_deliveries where project_id > 'p110'");
    assert_int_equal(runs_query_due_projects(setup_db, behind, &few, &fault), FAIL_NONE);
    assert_string_equal(behind, "");
    assert_in_range(json_array_size(few), 10, 20);
    setup_sql("rollback");
    json_decref(first);
    json_decref(rest);
    json_decref(few);
}

static void what_belongs_to_nothing_is_removed_whosever_it_is(void **state)
{
    setup_sql("insert into event_deliveries (event_id, subscription_id, project_id)"
              " select 'e', 's', 'p' || n % 400 from generate_series(1, 1600) n");
    deliver_wake();
    setup_wait_for("select count(*) from event_deliveries", 0);
    assert_int_equal(played_count(), 0);
}

static void what_a_dead_node_had_claimed_is_told_again(void **state)
{
    struct fault fault = {0};
    struct due_delivery *list = NULL;
    size_t n = 0;
    setup_sql("insert into run_events (id, project_id, plugin_id, instance_id, run_id, type,"
              " source, action, created_at, data) select 'evt_x', id, 'p', 'i', 'r', 't', 'public',"
              " 'a', now(), '{}' from projects order by created_at, id limit 1");
    subscribe(&mine, "sub_a", "https://a.example/", "[\"*\"]");
    setup_sql("update run_events set project_id = (select project_id from event_subscriptions)");
    setup_sql("insert into event_deliveries (event_id, subscription_id, project_id, next_at)"
              " select 'evt_x', id, project_id, now() + interval '1 hour' from"
              " event_subscriptions");
    // another node claims it, and dies
    setup_sql("begin; update event_deliveries set next_at = now()");
    json_auto_t *turns = json_pack("{si}", mine.project_id, 0);
    const struct delivery_claim claim = {
        .turns = turns, .limit = 5, .per_project = 5, .lease_ms = 1500};
    assert_int_equal(runs_query_deliveries_claim(setup_db, &claim, &list, &n, &fault), FAIL_NONE);
    setup_sql("commit");
    assert_int_equal(n, 1);
    deliver_wake();
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    assert_int_equal(played_count(), 0);
    wait_played(1);
    assert_string_equal(played[0].id, "evt_x");
    setup_wait_for("select count(*) from event_deliveries", 0);
    // the dead one's word comes late, and changes nothing
    setup_sql("insert into event_deliveries (event_id, subscription_id, project_id, next_at,"
              " attempts) select 'evt_x', id, project_id, now() + interval '1 hour', 2 from"
              " event_subscriptions");
    list[0].id = setup_number("select id from event_deliveries");
    assert_int_equal(runs_query_delivery_done(setup_db, &list[0], &fault), FAIL_NONE);
    assert_int_equal(setup_number("select count(*) from event_deliveries"), 1);
    setup_sql("delete from event_deliveries");
    deliver_due_fini(&list[0]);
    free(list);
}

static void with_its_subscription_gone_nothing_is_told(void **state)
{
    struct fault fault = {0};
    played_answer(slow_ones);
    subscribe(&mine, "sub_a", "https://slow.example/", "[\"*\"]");
    for (int i = 0; i != 10; ++i)
        raise(&mine, "received");
    wait_played(4);
    assert_int_equal(runs_query_subscription_delete(setup_db, others.project_id, "sub_a", &fault),
                     FAIL_NONE);
    assert_int_equal(setup_number("select count(*) from event_deliveries"), 10);
    assert_int_equal(runs_query_subscription_delete(setup_db, mine.project_id, "sub_a", &fault),
                     FAIL_NONE);
    setup_sql("insert into event_deliveries (event_id, subscription_id, project_id)"
              " values ('evt_none', 'sub_a', 'p')"); // a race's
    played_release(500);
    setup_wait_for("select count(*) from event_deliveries", 0);
    assert_int_equal(played_count(), 4);
}

static void a_database_that_goes_and_comes_loses_none(void **state)
{
    subscribe(&mine, "sub_a", "https://slow.example/", "[\"*\"]");
    played_answer(slow_ones);
    for (int i = 0; i != 3; ++i)
        raise(&mine, "received");
    wait_played(3);
    postgres_halt();
    played_release(200); // told, and cannot be written down
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    postgres_resume();
    struct fault fault;
    while (db_script(setup_db, &fault, "select 1") != FAIL_NONE)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    played_answer(ok);
    setup_sql("update event_deliveries set next_at = now()"); // the leases' end
    setup_wait_for("select count(*) from event_deliveries", 0);
    assert_in_range(played_count(), 3, 6);
}

// The event is there to be looked at, and its subscription tells why nothing came of it.
static void of_a_project_with_too_many_none_is_sent(void **state)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "insert into event_deliveries (event_id, subscription_id, project_id, next_at)"
             " select 'evt_old', 'sub_a', '%s', now() + interval '1 hour'"
             " from generate_series(1, %d)",
             mine.project_id, DELIVERIES_WAITING_MAX);
    subscribe(&mine, "sub_a", "https://a.example/hook", "[\"received\"]");
    subscribe(&mine, "sub_b", "https://b.example/hook", "[\"other\"]");
    subscribe(&others, "sub_c", "https://c.example/hook", "[\"*\"]");
    setup_sql(sql);
    raise(&mine, "received"); // one is as many as there may be
    wait_played(1);
    snprintf(sql, sizeof sql,
             "insert into event_deliveries (event_id, subscription_id, project_id, next_at)"
             " values ('evt_old', 'sub_a', '%s', now() + interval '1 hour')",
             mine.project_id);
    setup_sql(sql);
    raise(&mine, "received");
    raise(&others, "received");
    wait_played(2);
    setup_wait_for("select count(*) from event_deliveries where event_id <> 'evt_old'", 0);
    assert_int_equal(played_count(), 2);
    assert_int_equal(setup_number("select count(*) from run_events"), 3);
    assert_int_equal(setup_number("select count(*) from event_subscriptions where failed_at is not"
                                  " null and failure like 'too_many: %' and id = 'sub_a'"),
                     1);
    assert_int_equal(setup_number("select count(*) from event_subscriptions"
                                  " where failed_at is not null"),
                     1);
    setup_sql("delete from event_deliveries");
    raise(&mine, "received");
    wait_played(3);
}

int main(void)
{
    setup_options.delivery_retry_ms = 50;
    setup_options.delivery_give_up_ms = 2000;
    setup_options.delivery_timeout_ms = 1000;
    setup_start();
    setup_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(is_signed_and_told_once, reset),
        cmocka_unit_test_setup(strangers_data_is_told_as_it_stands, reset),
        cmocka_unit_test_setup(is_retried_with_the_same_id, reset),
        cmocka_unit_test_setup(is_given_up, reset),
        cmocka_unit_test_setup(a_slow_subscriber_holds_up_no_other, reset),
        cmocka_unit_test_setup(many_slow_projects_hold_up_no_other, reset),
        cmocka_unit_test_setup(all_projects_have_their_turn, reset),
        cmocka_unit_test_setup(what_belongs_to_nothing_is_removed_whosever_it_is, reset),
        cmocka_unit_test_setup(what_a_dead_node_had_claimed_is_told_again, reset),
        cmocka_unit_test_setup(with_its_subscription_gone_nothing_is_told, reset),
        cmocka_unit_test_setup(of_a_project_with_too_many_none_is_sent, reset),
        cmocka_unit_test_setup(a_database_that_goes_and_comes_loses_none, reset),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    runs_stop();
    postgres_stop();
    return failed;
}
