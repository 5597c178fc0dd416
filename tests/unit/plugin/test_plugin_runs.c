// Runs on played workers: the ways they end, what they may ask, and who is hurt by what.
#include "tests/unit/plugin/played.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "public-actions/plugin/internal.h"
#include <cmocka.h>

enum { BUSY_MS = 1000 };
static struct handler *new_handler(const char *code)
{
    return desk_new_handler("plg_1", code);
}

static void answers(void **state)
{
    struct handler *h = new_handler("");
    struct played_run *r = run_one(h, "{\"a\":1}");
    assert_int_equal(r->answer.outcome, PLUGIN_RETURNED);
    assert_string_equal(r->data, "{\"a\":1}");
    assert_string_equal(r->meta, "{\"responded\":false}");
    assert_int_equal(r->done, 1);
    free(r);
    desk_wait(&played_started, 3); // it, and two spares
    unsigned started = played_started;
    for (int i = 0; i != 100; ++i)
        run_expect(h, "{\"b\":2}", PLUGIN_RETURNED, "{\"b\":2}");
    assert_int_equal(played_started, started); // one worker for all
    run_expect(h, "[\"nothing\"]", PLUGIN_RETURNED, "");
    run_expect(h, "[\"throw\"]", PLUGIN_THREW, "");
    run_expect(h, "[\"too large\"]", PLUGIN_TOO_LARGE, "");
    run_expect(h, "[\"slow\"]", PLUGIN_RETURNED, "\"slow\"");
    desk_drop(h);
}

static void many_at_once(void **state)
{
    enum { N = 300 };
    struct handler *h = new_handler("");
    struct played_run *runs = calloc(N, sizeof *runs);
    for (int i = 0; i != N; ++i)
        run_start(&runs[i], h, i % 3 == 0 ? "[\"later\"]" : "[1]");
    for (int i = 0; i != N; ++i) {
        run_wait(&runs[i]);
        assert_int_equal(runs[i].answer.outcome, PLUGIN_RETURNED);
        assert_string_equal(runs[i].data, i % 3 == 0 ? "\"later\"" : "[1]");
    }
    free(runs);
    desk_drop(h);
}

static void bridges(void **state)
{
    struct handler *h = new_handler("");
    run_expect(h, "[\"echo\"]", PLUGIN_RETURNED, "[1,\"two\",{\"three\":[]}]");
    run_expect(h, "[\"bare echo\"]", PLUGIN_RETURNED, "[]");
    run_expect(h, "[\"later\"]", PLUGIN_RETURNED, "\"later\"");
    run_expect(h, "[\"huge\"]", PLUGIN_RETURNED, "\"huge\""); // 16 MiB, in many writes
    struct played_run *r = run_one(h, "[\"fail\"]");
    assert_string_equal(r->data, "{\"message\":\"It \\\"failed\\\".\",\"code\":\"why\"}");
    assert_string_equal(r->meta, "{\"failed\":1}");
    free(r);
    r = run_one(h, "[\"one way\"]");
    assert_int_equal(r->one_ways, 1);
    assert_string_equal(r->last_args, "[{}]");
    free(r);
    desk_drop(h);
}

static void timers(void **state)
{
    struct handler *h = new_handler("");
    uint64_t began = clock_monotonic_ms();
    run_expect(h, "[\"timer\"]", PLUGIN_RETURNED, "\"later\"");
    assert_in_range(clock_monotonic_ms() - began, 25, 5000);
    struct played_run *r = run_one(h, "[\"many timers\"]");
    assert_int_equal(r->answer.outcome, PLUGIN_RETURNED);
    assert_int_equal(r->bridges, 0);
    assert_non_null(strstr(r->data, "1000 timers"));
    free(r);
    desk_drop(h);
}

static void output(void **state)
{
    struct handler *h = new_handler("");
    struct played_run *r = run_one(h, "[\"log\"]");
    assert_string_equal(r->log, "info:one \"two\" \xc3\xa4\n");
    free(r);
    r = run_one(h, "[\"log flood\"]");
    assert_int_equal(r->answer.outcome, PLUGIN_RETURNED);
    assert_int_equal(r->lines, 1001);
    free(r);
    desk_drop(h);
}

static void a_death_is_the_runs_own(void **state)
{
    struct handler *h = new_handler("");
    struct played_run other = {.run.is_retryable = true}, asked = {0}, dying = {0};
    run_start(&other, h, "[\"later\"]");
    run_start(&asked, h, "[\"keep\"]");
    desk_wait(&asked.bridges, 1);
    run_start(&dying, h, "[\"die\"]");
    run_wait(&dying);
    assert_int_equal(dying.answer.outcome, PLUGIN_CRASHED);
    run_wait(&asked);
    assert_int_equal(asked.answer.outcome, PLUGIN_CRASHED);
    run_wait(&other); // whichever way it was
    run_expect(h, "[\"exit 66\"]", PLUGIN_OUT_OF_MEMORY, NULL);
    run_expect(h, "[1]", PLUGIN_RETURNED, "[1]");
    desk_drop(h);
}

static void what_was_not_begun_is_given_to_another_worker(void **state)
{
    struct handler *h = new_handler("");
    struct played_run r = {0};
    unsigned started = played_started;
    run_start(&r, h, "[\"die unstarted\"]"); // kills each worker it is given to
    run_wait(&r);
    assert_int_equal(r.answer.outcome, PLUGIN_BUSY); // the instance is left alone in the end
    assert_true(played_started >= started + 9);
    run_expect(h, "[1]", PLUGIN_BUSY, NULL);
    struct handler *other = new_handler("");
    run_expect(other, "[1]", PLUGIN_RETURNED, "[1]");
    desk_drop(other);
    struct handler *newer = desk_handler(h->instance_id, "plg_1", "dep_2", "");
    run_expect(newer, "[1]", PLUGIN_RETURNED, "[1]"); // another deployment is another chance
    desk_drop(newer);
    desk_drop(h);
}

static void three_kills_bar_an_instance(void **state)
{
    struct handler *h = new_handler("");
    for (int i = 0; i != 3; ++i) {
        struct played_run r = {.run.timeout_ms = 30};
        unsigned killed = played_killed;
        run_start(&r, h, "[\"spin\"]");
        run_wait(&r);
        assert_int_equal(r.answer.outcome, PLUGIN_TIMED_OUT);
        desk_wait(&played_killed, killed + 1);
    }
    desk_sleep(20);
    run_expect(h, "[1]", PLUGIN_BUSY, NULL);
    desk_drop(h);
}

static void lies_end_the_worker_and_nobody_else(void **state)
{
    static const char *const lies[] = {
        "garbage",          "half frame",    "oversized",
        "oversized pong",   "endless",       "server's type",
        "unknown type",     "future id",     "id 0",
        "double start",     "call id twice", "bad op",
        "no array",         "bad args",      "bad meta",
        "meta is two",      "no meta",       "meta behind the end",
        "bad data",         "two data",      "bad utf8",
        "failed with data", "large data",    "bad log",
        "log escape",       "second ready",  "second load",
        "unasked pong",     "unasked stats",
    };
    struct handler *bystander = new_handler("");
    struct played_run kept = {0};
    run_start(&kept, bystander, "[\"keep\"]");
    for (size_t i = 0; i != sizeof lies / sizeof *lies; ++i) {
        char body[64];
        struct handler *h = new_handler("");
        snprintf(body, sizeof body, "[\"%s\"]", lies[i]);
        struct played_run *r = run_one(h, body);
        if (r->answer.outcome != PLUGIN_CRASHED &&
            !(strcmp(lies[i], "half frame") == 0 && r->answer.outcome == PLUGIN_OUT_OF_MEMORY))
            fail_msg("%s: outcome %d", lies[i], r->answer.outcome);
        assert_int_equal(r->answer.data.n, 0);
        free(r);
        run_expect(h, "[1]", PLUGIN_RETURNED, "[1]");
        desk_drop(h);
    }
    assert_int_equal(kept.done, 0);
    run_release(&kept);
    run_wait(&kept);
    assert_int_equal(kept.answer.outcome, PLUGIN_RETURNED);
    desk_drop(bystander);
}

static void a_second_result_is_nobodys(void **state)
{
    struct handler *h = new_handler("");
    run_expect(h, "[\"double result\"]", PLUGIN_RETURNED, "1");
    run_expect(h, "[1]", PLUGIN_RETURNED, "[1]");
    struct played_run r = {0};
    run_start(&r, h, "[\"unstarted result\"]"); // no worker says that: it is begun elsewhere
    run_wait(&r);
    assert_int_equal(r.answer.outcome, PLUGIN_BUSY);
    desk_drop(h);
}

static void code_that_cannot_be_loaded(void **state)
{
    struct handler *h = new_handler("load error");
    struct played_run *r = run_one(h, "[1]");
    assert_int_equal(r->answer.outcome, PLUGIN_NOT_LOADED);
    assert_non_null(strstr(r->meta, "{\"error\":{\"name\":\"SyntaxError\""));
    free(r);
    desk_drop(h);
    h = new_handler("load death");
    run_expect(h, "[1]", PLUGIN_NOT_LOADED, NULL);
    desk_drop(h);
    h = new_handler("load loop");
    run_expect(h, "[1]", PLUGIN_NOT_LOADED, NULL);
    desk_drop(h);
}

static void the_queue_is_bounded(void **state)
{
    enum { N = 600 };
    struct handler *h = new_handler("");
    struct played_run *runs = calloc(N, sizeof *runs);
    unsigned busy = 0;
    for (int i = 0; i != N; ++i) {
        runs[i].run.timeout_ms = 20000;
        run_start(&runs[i], h, "[\"keep\"]");
    }
    for (int i = 0; i != N; ++i)
        for (unsigned tries = 0; runs[i].done == 0; ++tries) {
            run_release(&runs[i]);
            assert_true(tries < 20000);
        }
    for (int i = 0; i != N; ++i)
        busy += runs[i].answer.outcome == PLUGIN_BUSY;
    assert_in_range(busy, N - 400 - 2 * 64, N - 400);
    free(runs);
    desk_drop(h);
}

static void another_deployment_gets_another_worker(void **state)
{
    struct handler *old = new_handler(""),
                   *new = desk_handler(old->instance_id, "plg_1", "dep_2", "");
    struct played_run r = {0};
    desk_wait(&played_started, 2); // the spares
    run_expect(old, "[1]", PLUGIN_RETURNED, "[1]");
    run_start(&r, old, "[\"keep\"]");
    desk_wait(&r.bridges, 1);
    unsigned started = played_started, killed = played_killed;
    run_expect(new, "[2]", PLUGIN_RETURNED, "[2]");
    for (int i = 0; i != 5; ++i) { // a preview's visitors and the live one's, in turn
        run_expect(old, "[3]", PLUGIN_RETURNED, "[3]");
        run_expect(new, "[4]", PLUGIN_RETURNED, "[4]");
    }
    assert_in_range(played_started, started, started + 2); // it, and a spare in its place
    assert_int_equal(played_killed, killed);
    assert_int_equal(r.done, 0);
    run_release(&r);
    run_wait(&r);
    assert_int_equal(r.answer.outcome, PLUGIN_RETURNED);
    desk_drop(old);
    desk_drop(new);
}

static void kills_bar_the_code_they_are_of(void **state)
{
    struct handler *bad = new_handler(""),
                   *good = desk_handler(bad->instance_id, "plg_1", "dep_2", "");
    struct played_run r = {0};
    run_start(&r, bad, "[\"die unstarted\"]");
    run_wait(&r);
    run_expect(bad, "[1]", PLUGIN_BUSY, NULL);
    run_expect(good, "[1]", PLUGIN_RETURNED, "[1]");
    run_expect(bad, "[1]", PLUGIN_BUSY, NULL); // also when it has been asked in between
    desk_drop(bad);
    desk_drop(good);
}

static void no_worker_is_no_crash(void **state)
{
    struct handler *h = new_handler("");
    struct played_run runs[4] = {0};
    played_none = true;
    for (int i = 0; i != 4; ++i) // the spares are used up by three of them
        run_start(&runs[i], i == 3 ? h : new_handler(""), "[1]");
    desk_sleep(300);
    played_none = false;
    run_wait(&runs[3]);
    assert_int_equal(runs[3].answer.outcome, PLUGIN_RETURNED);
    for (int i = 0; i != 3; ++i) {
        run_wait(&runs[i]);
        desk_drop(runs[i].run.handler);
    }
    desk_drop(h);
}

static void limit_memory(uint64_t bytes)
{
    desk_set(&plugin_options.workers_memory, bytes);
}

// Each played worker counts as MEMORY_GUESS.
static void workers_that_idle_make_room(void **state)
{
    enum { ROOM = 3 };
    struct handler *h[ROOM + 1];
    struct played_run kept[ROOM + 1] = {0};
    for (int i = 0; i <= ROOM; ++i)
        h[i] = new_handler("");
    limit_memory(ROOM * (uint64_t)MEMORY_GUESS);
    for (int i = 0; i != ROOM; ++i) {
        run_start(&kept[i], h[i], "[\"keep\"]");
        desk_wait(&kept[i].bridges, 1);
    }
    assert_int_equal(plugin_worker_bytes(), ROOM * (uint64_t)MEMORY_GUESS); // all others have gone
    run_start(&kept[ROOM], h[ROOM], "[\"keep\"]");
    desk_sleep(300);
    assert_int_equal(kept[ROOM].bridges, 0); // those at work stay
    run_release(&kept[1]);
    desk_wait(&kept[ROOM].bridges, 1);
    for (int i = 0; i <= ROOM; ++i) {
        run_release(&kept[i]);
        run_wait(&kept[i]);
        assert_int_equal(kept[i].answer.outcome, PLUGIN_RETURNED);
        desk_drop(h[i]);
    }
    limit_memory(UINT64_C(4) << 30);
}

static void another_loops_idle_workers_make_room_too(void **state)
{
    struct handler *here = new_handler(""), *there = new_handler("");
    for (int i = 0; plugin_owner_loop(there->project_id) == plugin_owner_loop(here->project_id);
         ++i)
        snprintf(there->project_id, sizeof there->project_id, "prj_%d", i);
    limit_memory(MEMORY_GUESS);
    for (int i = 0; i != 3; ++i) {
        run_expect(there, "[1]", PLUGIN_RETURNED, "[1]");
        run_expect(here, "[2]", PLUGIN_RETURNED, "[2]");
    }
    limit_memory(UINT64_C(4) << 30);
    desk_drop(here);
    desk_drop(there);
}

static void a_plugin_leaves_room_for_others(void **state)
{
    enum { SPINNERS = BUSY_PER_PLUGIN + 4 };
    struct played_run spinners[SPINNERS] = {0};
    struct handler *h[SPINNERS], *other = new_handler("");
    unsigned begun = 0;
    memcpy(other->plugin_id, "plg_2", 6);
    for (int i = 0; i != SPINNERS; ++i)
        run_start(&spinners[i], h[i] = new_handler(""), "[\"log and spin\"]");
    uint64_t began = clock_monotonic_ms();
    run_expect(other, "[1]", PLUGIN_RETURNED, "[1]");
    assert_in_range(clock_monotonic_ms() - began, 0, BUSY_MS);
    desk_sleep(50);
    for (int i = 0; i != SPINNERS; ++i)
        begun += spinners[i].lines;
    assert_int_equal(begun, BUSY_PER_PLUGIN);
    for (int i = 0; i != SPINNERS; ++i) {
        run_wait(&spinners[i]);
        assert_int_equal(spinners[i].answer.outcome, PLUGIN_TIMED_OUT);
        assert_int_equal(spinners[i].lines, 1);
        desk_drop(h[i]);
    }
    desk_drop(other);
}

static void a_worn_out_worker_is_relieved(void **state)
{
    struct handler *h = new_handler("");
    unsigned killed = played_killed;
    struct played_run *r = calloc(1, sizeof *r);
    for (int i = 0; i != RUNS_PER_LIFE + 200; ++i) {
        run_start(r, h, "[1]");
        run_wait(r);
        assert_int_equal(r->answer.outcome, PLUGIN_RETURNED);
    }
    assert_true(played_killed > killed);
    free(r);
    desk_drop(h);
}

static void checks_code(void **state)
{
    struct problems problems;
    struct fault fault;
    problems_init(&problems);
    assert_int_equal(plugin_check(STR("fine"), 10, &problems, &fault), FAIL_NONE);
    assert_int_equal(problems.count, 0);
    assert_int_equal(plugin_check(STR("load error"), 10, &problems, &fault), FAIL_REFUSED);
    assert_int_equal(problems.count, 1);
    assert_int_equal(problems.list[0].line, 12);
    assert_int_equal(problems.list[0].column, 7);
    assert_non_null(strstr(problems.list[0].message, "SyntaxError: \"Unexpected token\""));
    assert_int_equal(plugin_check(STR("load death"), 10, &problems, &fault), FAIL_REFUSED);
    assert_non_null(strstr(problems.list[1].message, "ended the process"));
    assert_int_equal(plugin_check(STR("load loop"), 10, &problems, &fault), FAIL_REFUSED);
    assert_non_null(strstr(problems.list[2].message, "did not finish loading within 1 s"));
    problems_fini(&problems);
}

static void counts(void **state)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    plugin_metrics(&b);
    buf_addc(&b, '\0');
    assert_non_null(strstr(b.p, "stoa_handler_runs_total{outcome=\"timed_out\"}"));
    assert_non_null(strstr(b.p, "stoa_handler_workers_ended_total{reason=\"stuck\"}"));
    assert_null(strstr(b.p, "reason=\"protocol\"} 0\n"));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(bridges),
        cmocka_unit_test(timers),
        cmocka_unit_test(output),
        cmocka_unit_test(a_death_is_the_runs_own),
        cmocka_unit_test(what_was_not_begun_is_given_to_another_worker),
        cmocka_unit_test(three_kills_bar_an_instance),
        cmocka_unit_test(lies_end_the_worker_and_nobody_else),
        cmocka_unit_test(a_second_result_is_nobodys),
        cmocka_unit_test(code_that_cannot_be_loaded),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(another_deployment_gets_another_worker),
        cmocka_unit_test(kills_bar_the_code_they_are_of),
        cmocka_unit_test(no_worker_is_no_crash),
        cmocka_unit_test(workers_that_idle_make_room),
        cmocka_unit_test(another_loops_idle_workers_make_room_too),
        cmocka_unit_test(a_plugin_leaves_room_for_others),
        cmocka_unit_test(a_worn_out_worker_is_relieved),
        cmocka_unit_test(checks_code),
        cmocka_unit_test(counts),
    };
    struct plugin_options options = desk_options(&played_source, BUSY_MS);
    desk_start(2, &options);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    desk_stop();
    return failed;
}
