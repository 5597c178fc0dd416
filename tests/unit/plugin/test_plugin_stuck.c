// Runs that keep their worker, or are late: who is ended when, who is to blame, and that what is asked
// for meanwhile does not pile up.
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

static void a_spinner_is_killed_and_its_neighbours_go_on(void **state)
{
    struct handler *h = new_handler("");
    struct played_run spinner = {0}, asked = {0}, waiting[3] = {0};
    struct played_run idle = {.run = {.is_retryable = true, .timeout_ms = 6000}};
    run_start(&asked, h, "[\"keep\"]");
    run_start(&idle, h, "[\"wait\"]");
    desk_wait(&asked.bridges, 1);
    uint64_t began = clock_monotonic_ms();
    run_start(&spinner, h, "[\"spin\"]");
    for (int i = 0; i != 3; ++i)
        run_start(&waiting[i], h, "[2]");
    run_wait(&spinner);
    assert_in_range(clock_monotonic_ms() - began, BUSY_MS, 3 * (BUSY_MS + PONG_MS));
    assert_int_equal(spinner.answer.outcome, PLUGIN_TIMED_OUT);
    run_wait(&asked); // it had asked for something already
    assert_int_equal(asked.answer.outcome, PLUGIN_CRASHED);
    for (int i = 0; i != 3; ++i) {
        run_wait(&waiting[i]);
        assert_int_equal(waiting[i].answer.outcome, PLUGIN_RETURNED);
    }
    assert_int_equal(idle.done, 0); // begun again, and waits again
    run_wait(&idle);
    assert_int_equal(idle.answer.outcome, PLUGIN_TIMED_OUT);
    desk_drop(h);
}

static void a_deadline_ends_only_the_one_that_merely_waits(void **state)
{
    struct handler *h = new_handler("");
    struct played_run slow = {.run.timeout_ms = 60}, other = {0};
    run_start(&other, h, "[\"keep\"]");
    run_start(&slow, h, "[\"keep\"]");
    run_wait(&slow);
    assert_int_equal(slow.answer.outcome, PLUGIN_TIMED_OUT);
    desk_sleep(200);
    assert_int_equal(other.done, 0);
    run_expect(h, "[1]", PLUGIN_RETURNED, "[1]");
    run_release(&other);
    run_wait(&other);
    assert_int_equal(other.answer.outcome, PLUGIN_RETURNED);
    desk_drop(h);
}

static void a_deadline_of_a_spinner_ends_its_worker(void **state)
{
    struct handler *h = new_handler("");
    struct played_run slow = {.run.timeout_ms = 60}, behind = {0};
    unsigned killed = played_killed;
    run_start(&slow, h, "[\"spin\"]");
    uint64_t began = clock_monotonic_ms();
    run_start(&behind, h, "[1]");
    run_wait(&slow);
    assert_int_equal(slow.answer.outcome, PLUGIN_TIMED_OUT);
    run_wait(&behind);
    assert_int_equal(behind.answer.outcome, PLUGIN_RETURNED);
    assert_in_range(clock_monotonic_ms() - began, 50 + PONG_MS,
                    BUSY_MS + PONG_MS); // not the longer wait
    assert_true(played_killed > killed);
    desk_drop(h);
}

// A neighbour that has asked for something, and so cannot be begun again.
static void start_kept(struct played_run *r, struct handler *h)
{
    run_start(r, h, "[\"keep\"]");
    desk_wait(&r->bridges, 1);
}

static void a_deadline_leaves_neighbours_that_compute_their_time(void **state)
{
    char body[32];
    struct handler *h = new_handler("");
    struct played_run late = {.run.timeout_ms = 200}, kept = {0}, computing = {0};
    start_kept(&kept, h);
    run_start(&late, h, "[\"keep\"]");
    desk_wait(&late.bridges, 1);
    snprintf(body, sizeof body, "[\"compute\",%d]", PONG_MS + 500);
    run_start(&computing, h, body);
    run_wait(&late);
    assert_int_equal(late.answer.outcome, PLUGIN_TIMED_OUT);
    assert_int_equal(computing.done, 0);
    run_wait(&computing);
    assert_int_equal(computing.answer.outcome, PLUGIN_RETURNED);
    assert_int_equal(kept.done, 0);
    run_release(&kept);
    run_wait(&kept);
    assert_int_equal(kept.answer.outcome, PLUGIN_RETURNED);
    desk_drop(h);
}

static void a_late_spinner_is_killed_in_time_and_given_nothing(void **state)
{
    struct handler *h = new_handler("");
    struct played_run spinner = {.run.timeout_ms = 100}, kept = {0};
    start_kept(&kept, h);
    uint64_t began = clock_monotonic_ms();
    run_start(&spinner, h, "[\"spin\"]");
    run_wait(&spinner);
    assert_int_equal(spinner.answer.outcome, PLUGIN_TIMED_OUT);
    assert_in_range(clock_monotonic_ms() - began, 90, BUSY_MS);
    run_expect(h, "[1]", PLUGIN_RETURNED, "[1]"); // by another worker
    assert_in_range(clock_monotonic_ms() - began, PONG_MS, PONG_MS + BUSY_MS / 2);
    assert_int_equal(kept.done, 0);
    run_wait(&kept);
    assert_in_range(clock_monotonic_ms() - began, BUSY_MS, 2 * BUSY_MS + PONG_MS);
    assert_int_equal(kept.answer.outcome, PLUGIN_CRASHED); // the one to blame is gone
    desk_drop(h);
}

static void one_that_merely_waited_is_not_to_blame(void **state)
{
    struct handler *h = new_handler("");
    struct played_run late = {.run.timeout_ms = 200}, kept = {0}, spinner = {0};
    start_kept(&kept, h);
    run_start(&late, h, "[\"keep\"]");
    desk_wait(&late.bridges, 1);
    run_start(&spinner, h, "[\"spin\"]");
    run_wait(&spinner);
    assert_int_equal(late.answer.outcome, PLUGIN_TIMED_OUT);
    assert_int_equal(spinner.answer.outcome, PLUGIN_TIMED_OUT);
    run_wait(&kept);
    assert_int_equal(kept.answer.outcome, PLUGIN_CRASHED);
    desk_drop(h);
}

static void late_spinners_count_as_at_work(void **state)
{
    struct played_run spinners[BUSY_PER_PLUGIN] = {0}, kept[BUSY_PER_PLUGIN] = {0};
    struct handler *h[BUSY_PER_PLUGIN], *other = new_handler("");
    uint64_t began;
    for (int i = 0; i != BUSY_PER_PLUGIN; ++i)
        start_kept(&kept[i], h[i] = new_handler(""));
    began = clock_monotonic_ms();
    for (int i = 0; i != BUSY_PER_PLUGIN; ++i) {
        spinners[i].run.timeout_ms = 100;
        run_start(&spinners[i], h[i], "[\"spin\"]");
    }
    for (int i = 0; i != BUSY_PER_PLUGIN; ++i)
        run_wait(&spinners[i]);
    run_expect(other, "[1]", PLUGIN_RETURNED, "[1]"); // when the first ones have been killed
    assert_in_range(clock_monotonic_ms() - began, BUSY_MS, 3 * (BUSY_MS + PONG_MS));
    for (int i = 0; i != BUSY_PER_PLUGIN; ++i) {
        run_wait(&kept[i]);
        desk_drop(h[i]);
    }
    desk_drop(other);
}

static void a_spin_behind_a_result_hurts_nobody(void **state)
{
    struct handler *h = new_handler("");
    run_expect(h, "[\"result then spin\"]", PLUGIN_RETURNED, "1");
    run_expect(h, "[1]", PLUGIN_RETURNED, "[1]"); // begun again
    desk_drop(h);
}

static void calls_in_flight_do_not_hide_a_spinner(void **state)
{
    struct handler *h = new_handler("");
    run_expect(h, "[\"keep and spin\"]", PLUGIN_TIMED_OUT, NULL);
    run_expect(h, "[\"keep 70 and spin\"]", PLUGIN_TIMED_OUT, NULL);
    desk_drop(h);
}

static void many_calls_are_taken_in_turn(void **state)
{
    struct handler *h = new_handler("");
    struct played_run r = {.run.timeout_ms = 800};
    run_start(&r, h, "[\"keep 70\"]");
    desk_wait(&r.bridges, 65);
    desk_sleep(50);
    assert_int_equal(r.bridges, 65);
    run_release(&r);
    desk_wait(&r.bridges, 70);
    run_wait(&r);
    assert_int_equal(r.answer.outcome, PLUGIN_TIMED_OUT);
    run_expect(h, "[1]", PLUGIN_RETURNED, "[1]");
    desk_drop(h);
}

static void as_many_calls_as_are_allowed_keep_nobody_waiting(void **state)
{
    struct handler *h = new_handler("");
    struct played_run r = {.run.timeout_ms = 800};
    uint64_t began = clock_monotonic_ms();
    run_start(&r, h, "[\"keep 64\"]");
    desk_wait(&r.one_ways, 1);
    assert_int_equal(r.bridges, 65);
    run_expect(h, "[1]", PLUGIN_RETURNED, "[1]");
    assert_in_range(clock_monotonic_ms() - began, 0, BUSY_MS / 2);
    run_wait(&r);
    desk_drop(h);
}

static void what_is_not_read_does_not_pile_up(void **state)
{
    struct handler *h = new_handler("");
    run_expect(h, "[\"never read\"]", PLUGIN_CRASHED, NULL);
    run_expect(h, "[1]", PLUGIN_RETURNED, "[1]");
    desk_drop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spinner_is_killed_and_its_neighbours_go_on),
        cmocka_unit_test(a_deadline_ends_only_the_one_that_merely_waits),
        cmocka_unit_test(a_deadline_of_a_spinner_ends_its_worker),
        cmocka_unit_test(a_deadline_leaves_neighbours_that_compute_their_time),
        cmocka_unit_test(a_late_spinner_is_killed_in_time_and_given_nothing),
        cmocka_unit_test(one_that_merely_waited_is_not_to_blame),
        cmocka_unit_test(late_spinners_count_as_at_work),
        cmocka_unit_test(a_spin_behind_a_result_hurts_nobody),
        cmocka_unit_test(calls_in_flight_do_not_hide_a_spinner),
        cmocka_unit_test(many_calls_are_taken_in_turn),
        cmocka_unit_test(as_many_calls_as_are_allowed_keep_nobody_waiting),
        cmocka_unit_test(what_is_not_read_does_not_pile_up),
    };
    struct plugin_options options = desk_options(&played_source, BUSY_MS);
    desk_start(2, &options);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    desk_stop();
    return failed;
}
