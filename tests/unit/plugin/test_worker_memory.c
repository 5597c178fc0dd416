// Whose workers go when memory is short. Each played worker counts as MEMORY_GUESS; there is room for
// ROOM of them.
#include "tests/unit/plugin/played.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "edge/base/clock.h"
#include "public-actions/plugin/internal.h"
#include <cmocka.h>

enum { ROOM = 8, FEW = 2 };

// An app of a project whose loop is the one with that index.
static struct handler *app_of(const char *project, unsigned loop)
{
    struct handler *h = desk_new_handler(NULL, "");
    unsigned i = 0;
    do
        snprintf(h->project_id, sizeof h->project_id, "prj_%s_%u", project, i++);
    while (plugin_owner_loop(h->project_id) != loop_at(loop));
    return h;
}

// --- around each: nobody is left of the one before ---
static void limit(uint64_t bytes)
{
    desk_set(&plugin_options.workers_memory, bytes);
}

static void begin_anew(void)
{
    limit(1);
    for (unsigned i = 0; plugin_worker_bytes() != 0 && i != 1000; ++i)
        desk_sleep(10);
    assert_int_equal(plugin_worker_bytes(), 0);
    limit(ROOM * (uint64_t)MEMORY_GUESS);
}

static int begin(void **state)
{
    begin_anew();
    return 0;
}

// --- a project that holds so many workers ---
struct crowd {
    unsigned n;
    struct played_run runs[ROOM];
};

// All wait for an answer, once they have found room.
static struct crowd *crowd_begin(const char *project, unsigned loop, unsigned n)
{
    struct crowd *c = calloc(1, sizeof *c);
    c->n = n;
    for (unsigned i = 0; i != n; ++i) {
        c->runs[i].run.timeout_ms = 60000;
        c->runs[i].run.is_retryable = true;
        run_start(&c->runs[i], app_of(project, loop), "[\"keep\"]");
    }
    return c;
}

static unsigned crowd_count(const struct crowd *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i != c->n; ++i)
        n += c->runs[i].bridges != 0 && c->runs[i].done == 0;
    return n;
}

static struct crowd *crowd_create(const char *project, unsigned loop, unsigned n)
{
    struct crowd *c = crowd_begin(project, loop, n);
    for (unsigned i = 0; i != n; ++i)
        desk_wait(&c->runs[i].bridges, 1);
    return c;
}

// Returns how many had ended before.
static unsigned crowd_release(struct crowd *c)
{
    unsigned ended = 0;
    for (unsigned i = 0; i != c->n; ++i) {
        ended += c->runs[i].done;
        assert_int_equal(c->runs[i].done == 0 || c->runs[i].answer.outcome == PLUGIN_OUT_OF_MEMORY,
                         true);
        run_release(&c->runs[i]);
        run_wait(&c->runs[i]);
    }
    return ended;
}

static void crowd_destroy(struct crowd *c)
{
    for (unsigned i = 0; i != c->n; ++i)
        desk_drop(c->runs[i].run.handler);
    free(c);
}

static void expect_answer(struct handler *h)
{
    run_expect(h, "[1]", PLUGIN_RETURNED, "[1]");
}

// By the worker that was there: no other is begun.
static void expect_answer_of_old(struct handler *h)
{
    unsigned started = played_started;
    expect_answer(h);
    assert_int_equal(played_started, started);
}

// --- the tests ---
static void a_project_alone_has_all(void **state)
{
    struct crowd *all = crowd_create("alone", 0, ROOM);
    assert_int_equal(plugin_worker_bytes(), ROOM * (uint64_t)MEMORY_GUESS);
    assert_int_equal(crowd_release(all), 0);
    crowd_destroy(all);
}

static void waiting_runs_lock_nobody_out(void **state)
{
    for (unsigned loop = 0; loop != 2; ++loop) {
        begin_anew();
        struct crowd *hoard = crowd_create("hoard", 0, ROOM);
        struct handler *victim = app_of("victim", loop);
        uint64_t began = clock_monotonic_ms();
        expect_answer(victim);
        assert_in_range(clock_monotonic_ms() - began, 500, 5000); // they had a second to end
        assert_int_equal(crowd_release(hoard), 1);
        crowd_destroy(hoard);
        desk_drop(victim);
    }
}

static void what_comes_free_is_not_the_hoarders(void **state)
{
    enum { MORE = 4 };
    struct crowd *hoard = crowd_create("hoard", 0, ROOM);
    struct handler *victim = app_of("victim", 1), *more[MORE];
    struct played_run queued[MORE] = {0};
    for (unsigned i = 0; i != MORE; ++i)
        run_start(&queued[i], more[i] = app_of("hoard", 0), "[2]");
    expect_answer(victim);
    desk_sleep(2 * RETRY_MS);
    for (int i = 0; i != 5; ++i) { // nor is it theirs afterwards, while there are visitors
        expect_answer_of_old(victim);
        desk_sleep(RETRY_MS);
    }
    for (unsigned i = 0; i != MORE; ++i)
        assert_int_equal(queued[i].done, 0);
    assert_int_equal(crowd_release(hoard), 1);
    for (unsigned i = 0; i != MORE; ++i) {
        run_wait(&queued[i]);
        assert_int_equal(queued[i].answer.outcome, PLUGIN_RETURNED);
        desk_drop(more[i]);
    }
    crowd_destroy(hoard);
    desk_drop(victim);
}

// Waits until so many of each hold a worker, for a moment longer, and looks whether they still do.
static void expect_held(struct crowd *const all[], const unsigned expected[], unsigned n)
{
    bool is_so = false;
    for (unsigned i = 0; i != 250 && !is_so; ++i, desk_sleep(100)) {
        is_so = true;
        for (unsigned k = 0; k != n; ++k)
            is_so = is_so && crowd_count(all[k]) == expected[k];
    }
    desk_sleep(2500);
    for (unsigned k = 0; k != n; ++k)
        assert_int_equal(crowd_count(all[k]), expected[k]);
}

// Those that wait find room now. Returns how many had ended before.
static unsigned crowds_end(struct crowd *const all[], unsigned n)
{
    unsigned ended = 0, left = 1;
    for (unsigned k = 0; k != n; ++k)
        for (unsigned i = 0; i != all[k]->n; ++i)
            ended += all[k]->runs[i].done;
    limit(UINT64_C(4) << 30);
    for (unsigned t = 0; t != 1000 && left != 0; ++t, desk_sleep(10)) {
        left = 0;
        for (unsigned k = 0; k != n; ++k)
            for (unsigned i = 0; i != all[k]->n; ++i) {
                run_release(&all[k]->runs[i]);
                left += all[k]->runs[i].done == 0;
            }
    }
    assert_int_equal(left, 0);
    for (unsigned k = 0; k != n; ++k)
        crowd_destroy(all[k]);
    return ended;
}

static void two_come_to_share_it(void **state)
{
    struct crowd *all[] = {crowd_create("hoard", 0, ROOM), crowd_begin("some", 1, ROOM)};
    expect_held(all, (const unsigned[]){ROOM / 2, ROOM / 2}, 2);
    assert_int_equal(crowds_end(all, 2), ROOM / 2);
}

static void four_that_hold_a_quarter_keep_no_fifth_out(void **state)
{
    struct crowd *all[5];
    for (unsigned i = 0; i != 4; ++i) {
        char name[8];
        snprintf(name, sizeof name, "p%u", i);
        all[i] = crowd_create(name, i % 2, ROOM / 4);
    }
    struct handler *late = app_of("late", 0);
    uint64_t began = clock_monotonic_ms();
    expect_answer(late);
    assert_in_range(clock_monotonic_ms() - began, 500, 5000);
    all[4] =
        crowd_begin("late", 0, ROOM); // and no more than one: the others hold no more than it would
    desk_sleep(3000);
    unsigned held = 0;
    for (unsigned i = 0; i != 4; ++i) {
        assert_in_range(crowd_count(all[i]), 1, 2);
        held += crowd_count(all[i]);
    }
    assert_int_equal(held, ROOM - 1);
    assert_int_equal(crowd_count(all[4]), 1);
    crowds_end(all, 5);
    desk_drop(late);
}

// Those that have one do not lose it to others who would have no more.
static void twenty_have_a_worker_each_as_far_as_there_is_room(void **state)
{
    enum { N = 20 };
    struct crowd *all[N] = {crowd_create("p0", 0, ROOM)};
    unsigned held = 0, ended = 0;
    for (unsigned i = 1; i != N; ++i) {
        char name[8];
        snprintf(name, sizeof name, "p%u", i);
        all[i] = crowd_begin(name, i % 2, 2);
    }
    for (unsigned i = 0; i != 150 && crowd_count(all[0]) != 1; ++i)
        desk_sleep(100);
    desk_sleep(2500);
    for (unsigned i = 0; i != N; ++i) {
        assert_in_range(crowd_count(all[i]), 0, 1);
        held += crowd_count(all[i]);
        for (unsigned k = 0; k != all[i]->n; ++k)
            ended += all[i]->runs[k].done;
    }
    assert_int_equal(held, ROOM);
    assert_int_equal(ended, ROOM - 1); // all of the first one's
    crowds_end(all, N);
}

static void what_grows_beyond_it_is_of_who_holds_the_most(void **state)
{
    struct crowd *all[] = {crowd_create("many", 0, 5), crowd_create("few", 1, 2)};
    struct handler *idle = app_of("idle", 1);
    expect_answer(idle);
    limit((ROOM - 1) * (uint64_t)MEMORY_GUESS);
    expect_held(all, (const unsigned[]){5, 2}, 2); // the one that idled has gone
    limit(4 * (uint64_t)MEMORY_GUESS);
    expect_held(all, (const unsigned[]){2, 2}, 2);
    assert_int_equal(crowds_end(all, 2), 3);
    desk_drop(idle);
}

// The others' workers have idled longer.
static void of_those_that_idle_the_largest_holders_go(void **state)
{
    for (unsigned loop = 0; loop != 2; ++loop) {
        begin_anew();
        struct crowd *few = crowd_create("few", 0, FEW + 1);
        assert_int_equal(crowd_release(few), 0);
        struct crowd *many = crowd_create("many", loop, ROOM - FEW - 1);
        assert_int_equal(crowd_release(many), 0);
        struct handler *late = app_of("late", 0);
        expect_answer(late);
        desk_sleep(RETRY_MS);
        for (unsigned i = 0; i != few->n; ++i)
            expect_answer_of_old(few->runs[i].run.handler);
        crowd_destroy(few);
        crowd_destroy(many);
        desk_drop(late);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_project_alone_has_all, begin),
        cmocka_unit_test_setup(waiting_runs_lock_nobody_out, begin),
        cmocka_unit_test_setup(what_comes_free_is_not_the_hoarders, begin),
        cmocka_unit_test_setup(two_come_to_share_it, begin),
        cmocka_unit_test_setup(four_that_hold_a_quarter_keep_no_fifth_out, begin),
        cmocka_unit_test_setup(twenty_have_a_worker_each_as_far_as_there_is_room, begin),
        cmocka_unit_test_setup(what_grows_beyond_it_is_of_who_holds_the_most, begin),
        cmocka_unit_test_setup(of_those_that_idle_the_largest_holders_go, begin),
    };
    struct plugin_options options = desk_options(&played_source, 1000);
    options.spares = 0;
    desk_start(2, &options);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    desk_stop();
    return failed;
}
