// The owner's view: what is shown, how lists are walked, and that another project's is not found.
#include "public-actions/runs/api.h"
#include "setup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "edge/base/clock.h"
#include "public-actions/runs/feed.h"
#include "tests/harness/postgres.h"

static struct principal principal_of(const struct owner *o)
{
    struct principal p = {.scope = SCOPE_ADMIN};
    snprintf(p.token_id, sizeof p.token_id, "tok_test");
    snprintf(p.project_id, sizeof p.project_id, "%s", o->project_id);
    return p;
}

typedef enum fail run_fn(struct call *call, struct answer *answer, struct fault *fault);

static enum fail ask(run_fn *fn, const struct owner *o, const char *param, const char *query,
                     json_t *body, json_t **ret)
{
    struct principal p = principal_of(o);
    struct fault fault = {0};
    struct answer answer = {0};
    struct call call = {.db = setup_db,
                        .principal = &p,
                        .params = {str_from(param)},
                        .json = body,
                        .request_id = "r",
                        .peer = STR("192.0.2.1")};
    for (str rest = str_from(query); rest.n != 0;) {
        str value = str_cut(&rest, '&'), name = str_cut(&value, '=');
        call.query[call.query_count].name = name;
        call.query[call.query_count++].value = value;
    }
    enum fail f = fn(&call, &answer, &fault);
    db_rollback(setup_db);
    json_decref(answer.details);
    if (ret != NULL)
        *ret = answer.json;
    else
        json_decref(answer.json);
    if (f != FAIL_NONE)
        assert_true(fault.public_text[0] != '\0');
    return f;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void a_run_shows_what_it_did(void **state)
{
    struct run_record *r = setup_run(&mine, "shown");
    char id[CATALOG_ID_ROOM];
    snprintf(id, sizeof id, "%s", r->id);
    buf_add(&r->log, STR("[\"info\",\"hello\"]\n[\"warn\",\"\\u0000\"]\nhalf a li"));
    buf_add(&r->error, STR("{\"message\":\"boom\",\"line\":7}"));
    buf_add(&r->facts, STR("{\"fetches\":[{\"method\":\"GET\"}],\"notices\":[]}"));
    r->outcome = "handler_error";
    setup_event(r, "received", "{}");
    assert_int_equal(setup_keep(r), FAIL_NONE);
    json_t *run = NULL;
    assert_int_equal(ask(run_api_get, &mine, id, NULL, NULL, &run), FAIL_NONE);
    assert_string_equal(text_of(run, "outcome"), "handler_error");
    assert_string_equal(text_of(run, "visitor"), "192.0.2.1");
    assert_int_equal(json_integer_value(json_object_get(run, "inputBytes")), 17);
    json_t *log = json_object_get(run, "log");
    assert_int_equal(json_array_size(log), 3);
    assert_string_equal(text_of(json_array_get(log, 0), "text"), "hello");
    assert_string_equal(text_of(json_array_get(log, 2), "text"), "half a li");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(run, "error"), "line")), 7);
    assert_int_equal(json_array_size(json_object_get(run, "fetches")), 1);
    assert_string_equal(text_of(json_array_get(json_object_get(run, "events"), 0), "type"),
                        "received");
    json_decref(run);
    assert_int_equal(ask(run_api_get, &others, id, NULL, NULL, NULL), FAIL_NOT_FOUND);
    assert_int_equal(ask(run_api_get, &mine, "run_none", NULL, NULL, NULL), FAIL_NOT_FOUND);
}

// Handlers and visitors write what a strict parser of JSON refuses.
static void strangers_json_is_shown_as_what_it_is(void **state)
{
    struct run_record *r = setup_run(&mine, "strange");
    char id[CATALOG_ID_ROOM];
    snprintf(id, sizeof id, "%s", r->id);
    buf_add(&r->log, STR("[\"warn\",\"a\\u0000b\"]\n"));
    buf_add(&r->error, STR("{\"message\":\"\\ud800\",\"line\":7}"));
    buf_add(&r->facts, STR("{\"fetches\":[{\"a\":1,\"a\":2}],\"notices\":[\"\\u0000\"]}"));
    setup_event(r, "strange", "{\"a\":\"\\u0000\",\"n\":9223372036854775808,\"n\":1}");
    assert_int_equal(setup_keep(r), FAIL_NONE);
    json_t *run = NULL, *events = NULL;
    assert_int_equal(ask(run_api_get, &mine, id, NULL, NULL, &run), FAIL_NONE);
    json_t *line = json_array_get(json_object_get(run, "log"), 0);
    assert_string_equal(text_of(line, "level"), "warn");
    assert_int_equal(json_string_length(json_object_get(line, "text")), 3);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(run, "error"), "line")), 7);
    assert_int_equal(json_array_size(json_object_get(run, "fetches")), 1);
    assert_int_equal(json_array_size(json_object_get(run, "notices")), 1);
    json_decref(run);
    assert_int_equal(ask(event_api_list, &mine, mine.instance.slug, "limit=1", NULL, &events),
                     FAIL_NONE);
    const json_t *data =
        json_object_get(json_array_get(json_object_get(events, "data"), 0), "data");
    assert_int_equal(json_string_length(json_object_get(data, "a")), 1);
    assert_int_equal(json_integer_value(json_object_get(data, "n")), 1);
    json_decref(events);
}

static void runs_are_walked_and_filtered(void **state)
{
    setup_sql("truncate runs");
    for (int i = 0; i != 25; ++i) {
        struct run_record *r = setup_run(&mine, i % 5 == 0 ? "fifth" : "other");
        r->outcome = i % 2 == 0 ? "ok" : "handler_error";
        r->started_at += i / 3; // some at the same time
        runs_record(r, NULL, NULL);
    }
    setup_wait_for("select count(*) from runs", 25);
    char query[300] = "limit=7", seen[25][CATALOG_ID_ROOM];
    size_t n = 0;
    for (;;) {
        json_t *page = NULL, *run;
        size_t i;
        assert_int_equal(ask(run_api_list, &mine, mine.instance.slug, query, NULL, &page),
                         FAIL_NONE);
        json_array_foreach(json_object_get(page, "data"), i, run)
        {
            for (size_t k = 0; k != n; ++k)
                assert_string_not_equal(seen[k], text_of(run, "id"));
            snprintf(seen[n++], CATALOG_ID_ROOM, "%s", text_of(run, "id"));
        }
        const char *next = text_of(page, "next");
        if (next != NULL)
            snprintf(query, sizeof query, "limit=7&cursor=%s", next);
        json_decref(page);
        if (next == NULL)
            break;
    }
    assert_int_equal(n, 25);
    json_t *page = NULL;
    assert_int_equal(
        ask(run_api_list, &mine, mine.instance.id, "action=fifth&outcome=ok", NULL, &page),
        FAIL_NONE);
    assert_int_equal(json_array_size(json_object_get(page, "data")), 3);
    json_decref(page);
    assert_int_equal(ask(run_api_list, &others, mine.instance.id, NULL, NULL, NULL),
                     FAIL_NOT_FOUND);
    assert_int_equal(ask(run_api_list, &mine, mine.instance.id, "cursor=x", NULL, NULL),
                     FAIL_REFUSED);
    assert_int_equal(ask(run_api_list, &mine, mine.instance.id, "outcome=bogus", NULL, NULL),
                     FAIL_REFUSED);
    // another's instance that was given mine's id by mistake shows nothing of mine
    page = NULL;
    assert_int_equal(ask(run_api_list, &others, others.instance.id, NULL, NULL, &page), FAIL_NONE);
    assert_int_equal(json_array_size(json_object_get(page, "data")), 0);
    json_decref(page);
}

static void events_are_walked(void **state)
{
    setup_sql("truncate run_events");
    for (int i = 0; i != 5; ++i) {
        char payload[32];
        struct run_record *r = setup_run(&mine, "submit");
        snprintf(payload, sizeof payload, "{\"n\":%d}", i);
        setup_event(r, "received", payload);
        assert_int_equal(setup_keep(r), FAIL_NONE);
    }
    json_t *page = NULL;
    char query[300];
    assert_int_equal(ask(event_api_list, &mine, mine.instance.id, "limit=3", NULL, &page),
                     FAIL_NONE);
    json_t *newest = json_array_get(json_object_get(page, "data"), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(newest, "data"), "n")), 4);
    snprintf(query, sizeof query, "limit=3&cursor=%s", text_of(page, "next"));
    json_decref(page);
    assert_int_equal(ask(event_api_list, &mine, mine.instance.id, query, NULL, &page), FAIL_NONE);
    assert_int_equal(json_array_size(json_object_get(page, "data")), 2);
    snprintf(query, sizeof query, "limit=3&cursor=%s", text_of(page, "previous"));
    json_decref(page);
    assert_int_equal(ask(event_api_list, &mine, mine.instance.id, query, NULL, &page), FAIL_NONE);
    assert_int_equal(json_array_size(json_object_get(page, "data")), 3);
    json_decref(page);
    assert_int_equal(ask(event_api_list, &others, mine.instance.id, NULL, NULL, NULL),
                     FAIL_NOT_FOUND);
    assert_int_equal(ask(event_api_stream, &others, mine.instance.id, NULL, NULL, NULL),
                     FAIL_NOT_FOUND);
}

static json_t *wish(const char *url, const char *events)
{
    return json_pack("{ss so}", "url", url, "events", json_loads(events, JSON_DECODE_ANY, NULL));
}

static void subscriptions_are_the_projects_own(void **state)
{
    json_t *made = NULL, *list = NULL;
    json_auto_t *body = wish("https://a.example/hook?x=1", "[\"received\"]");
    assert_int_equal(ask(event_api_subscribe, &mine, NULL, NULL, body, &made), FAIL_NONE);
    char id[CATALOG_ID_ROOM];
    snprintf(id, sizeof id, "%s", text_of(made, "id"));
    assert_memory_equal(text_of(made, "secret"), "whsec_", 6);
    assert_int_equal(strlen(text_of(made, "secret")), EVENT_SECRET_ROOM - 1);
    json_decref(made);
    assert_int_equal(ask(event_api_subscriptions, &mine, NULL, NULL, NULL, &list), FAIL_NONE);
    assert_int_equal(json_array_size(json_object_get(list, "data")), 1);
    assert_null(json_object_get(json_array_get(json_object_get(list, "data"), 0), "secret"));
    json_decref(list);
    assert_int_equal(ask(event_api_subscriptions, &others, NULL, NULL, NULL, &list), FAIL_NONE);
    assert_int_equal(json_array_size(json_object_get(list, "data")), 0);
    json_decref(list);
    assert_int_equal(ask(event_api_subscription, &others, id, NULL, NULL, NULL), FAIL_NOT_FOUND);
    assert_int_equal(ask(event_api_unsubscribe, &others, id, NULL, NULL, NULL), FAIL_NOT_FOUND);
    assert_int_equal(ask(event_api_unsubscribe, &mine, id, NULL, NULL, NULL), FAIL_NONE);
    assert_int_equal(ask(event_api_subscription, &mine, id, NULL, NULL, NULL), FAIL_NOT_FOUND);
    json_object_set_new(body, "instance", json_string(others.instance.slug));
    assert_int_equal(ask(event_api_subscribe, &mine, NULL, NULL, body, NULL), FAIL_NOT_FOUND);
}

static void subscriptions_have_a_form_and_a_number(void **state)
{
    static const struct {
        const char *url, *events;
    } bad[] = {{"ftp://a.example/", "[\"a\"]"},
               {"https://", "[\"a\"]"},
               {"https:///path", "[\"a\"]"},
               {"https://u:p@a.example/", "[\"a\"]"},
               {"https://a.example/#f", "[\"a\"]"},
               {"https://a.example/ x", "[\"a\"]"},
               {"https://a.example/\xc3\xbc", "[\"a\"]"},
               {"https://a.example/", "[]"},
               {"https://a.example/", "[7]"},
               {"https://a.example/", "[\"a b\"]"},
               {"https://a.example/", "[\"\"]"},
               {"javascript:alert(1)", "[\"*\"]"}};
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i) {
        json_auto_t *body = wish(bad[i].url, bad[i].events);
        if (ask(event_api_subscribe, &mine, NULL, NULL, body, NULL) != FAIL_REFUSED)
            fail_msg("%s %s", bad[i].url, bad[i].events);
    }
    json_auto_t *good = wish("http://a.example:8080", "[\"*\",\"a-b_C9\"]");
    for (int i = 0; i != SUBSCRIPTIONS_MAX; ++i)
        assert_int_equal(ask(event_api_subscribe, &mine, NULL, NULL, good, NULL), FAIL_NONE);
    assert_int_equal(ask(event_api_subscribe, &mine, NULL, NULL, good, NULL), FAIL_CONFLICT);
    assert_int_equal(ask(event_api_subscribe, &others, NULL, NULL, good, NULL), FAIL_NONE);
}

static void streams_are_bounded_per_project(void **state)
{
    struct event_feed *feeds[64] = {0};
    struct fault fault = {0};
    size_t n = 0;
    while (event_feed_create(mine.project_id, mine.instance.id, "tok", 0, &feeds[n], &fault) ==
           FAIL_NONE)
        assert_in_range(++n, 1, 63);
    assert_int_equal(n, 20);
    assert_int_equal(fault.fail, FAIL_TOO_MANY);
    struct event_feed *other = NULL;
    assert_int_equal(
        event_feed_create(others.project_id, others.instance.id, "tok", 0, &other, &fault),
        FAIL_NONE);
    event_feed_later(other)->drop(event_feed_later(other));
    for (size_t i = 0; i != n; ++i)
        event_feed_later(feeds[i])->drop(event_feed_later(feeds[i]));
    assert_int_equal(setup_metric("stoa_event_streams"), 0);
}

static void hostile_notices_are_dropped(void **state)
{
    static const char *const payloads[] = {"",
                                           "*",
                                           "ins_x",
                                           "INS",
                                           "a b",
                                           "'; drop table runs",
                                           "ins_0123456789012345678901234567890123456789",
                                           "**",
                                           "\xff"};
    for (size_t i = 0; i != sizeof payloads / sizeof payloads[0]; ++i)
        runs_on_notice(str_from(payloads[i]));
}

int main(void)
{
    setup_start();
    setup_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_shows_what_it_did),
        cmocka_unit_test(strangers_json_is_shown_as_what_it_is),
        cmocka_unit_test(runs_are_walked_and_filtered),
        cmocka_unit_test(events_are_walked),
        cmocka_unit_test(subscriptions_are_the_projects_own),
        cmocka_unit_test(subscriptions_have_a_form_and_a_number),
        cmocka_unit_test(streams_are_bounded_per_project),
        cmocka_unit_test(hostile_notices_are_dropped),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    runs_stop();
    postgres_stop();
    return failed;
}
