// Loops, messages, timers and pool jobs between real threads.
#include "edge/loop/h2o.h"
#include "edge/loop/pool.h"
#include "edge/base/clock.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static h2o_globalconf_t config;
static _Atomic unsigned started;

static void on_start(struct loop *loop)
{
    assert_ptr_equal(loop, loop_self());
    ++started;
}

static void wait_for(_Atomic unsigned *value, unsigned want)
{
    for (uint64_t until = clock_monotonic_ms() + 20000;
         *value != want && clock_monotonic_ms() < until;)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(*value, want);
}

static int setup(void **state)
{
    h2o_config_init(&config);
    h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    loops_start(2, &config, on_start);
    pool_start((unsigned[LANES]){2, 1, 1}, 100);
    wait_for(&started, 2);
    return 0;
}

enum { MESSAGES = 1000 };
struct numbered {
    struct loop_message super;
    unsigned number;
};
static unsigned last_number;
static _Atomic unsigned delivered, out_of_order;

static void on_numbered(struct loop_message *m)
{
    unsigned n = ((struct numbered *)m)->number;
    if (n != last_number + 1)
        ++out_of_order;
    last_number = n;
    ++delivered;
}

static void delivers_in_the_order_of_posting(void **state)
{
    static struct numbered messages[MESSAGES];
    for (unsigned i = 0; i != MESSAGES; ++i) {
        messages[i] = (struct numbered){.super.run = on_numbered, .number = i + 1};
        loop_post(loop_at(1), &messages[i].super);
    }
    wait_for(&delivered, MESSAGES);
    assert_int_equal(out_of_order, 0);
}

struct ping {
    struct loop_message super;
    unsigned left;
};
static _Atomic unsigned pings_done;

static void on_ping(struct loop_message *m)
{
    struct ping *p = (struct ping *)m;
    if (--p->left == 0)
        ++pings_done;
    else
        loop_post(loop_at(1 - loop_index(loop_self())), m);
}

static void passes_messages_between_loops(void **state)
{
    static struct ping pings[8];
    for (size_t i = 0; i != 8; ++i) {
        pings[i] = (struct ping){.super.run = on_ping, .left = 2000};
        loop_post(loop_at(i & 1), &pings[i].super);
    }
    wait_for(&pings_done, 8);
}

enum { HOPS = 20 };
static struct loop_timer after_hops;
static uint64_t hops_began;
static _Atomic unsigned hops_done, hops_took, timer_took;

static void on_after_hops(struct loop_timer *t)
{
    timer_took = (unsigned)(clock_monotonic_ms() - hops_began) - hops_took;
    ++hops_done;
}

// Posts itself to its own loop; some of the hops are read where the loop is about to sleep.
static void on_hop(struct loop_message *m)
{
    struct ping *p = (struct ping *)m;
    if (--p->left != 0) {
        loop_post(loop_self(), m);
        return;
    }
    hops_took = (unsigned)(clock_monotonic_ms() - hops_began);
    after_hops.run = on_after_hops;
    loop_timer_start(&after_hops, 10);
}

static void what_a_loop_posts_to_itself_needs_no_waking(void **state)
{
    static struct ping hop = {.super.run = on_hop};
    for (unsigned n = HOPS; n != HOPS + 2; ++n) { // an even number and an odd one
        unsigned before = hops_done;
        hop.left = n;
        hops_began = clock_monotonic_ms();
        loop_post(loop_at(0), &hop.super);
        wait_for(&hops_done, before + 1);
        assert_in_range(hops_took, 0, 400);
        assert_in_range(timer_took, 5, 400);
    }
}

enum { ROUNDS = 5 };
static struct loop_timer at_the_end;
static uint64_t first_turn;
static unsigned rounds_left;
static _Atomic unsigned rounds_done, turns_taken, ended_early;

static void on_the_end(struct loop_timer *t)
{
    turns_taken = (unsigned)(loop_turns(loop_self()) - first_turn);
    ended_early += rounds_left == ROUNDS;
    rounds_done += rounds_left == 0;
}

// The timer is behind the mail that was there when it was started.
static void on_round(struct loop_message *m)
{
    at_the_end.run = on_the_end;
    loop_timer_start(&at_the_end, 0);
    if (--rounds_left != 0)
        loop_post(loop_self(), m);
}

static void start_rounds(struct loop *loop, void *arg)
{
    if (loop_index(loop) != 0)
        return;
    first_turn = loop_turns(loop);
    rounds_left = ROUNDS;
    loop_post(loop, arg);
}

static void its_own_mail_and_what_is_due_at_once_run_in_the_same_turn(void **state)
{
    static struct loop_message m = {.run = on_round};
    loop_broadcast_wait(start_rounds, &m);
    wait_for(&rounds_done, 1);
    assert_int_equal(turns_taken, 0);
    assert_int_equal(ended_early, 0);
}

enum { TIMERS = 50 };
static struct loop_timer timers[TIMERS], stopped;
static uint64_t timers_began, last_due;
static _Atomic unsigned timers_run, timers_late, timers_early;

static void on_timer(struct loop_timer *t)
{
    uint64_t due = 20 + (uint64_t)((t - timers) * 37 % TIMERS) * 4,
             took = clock_monotonic_ms() - timers_began;
    if (took + 5 < due)
        ++timers_early;
    if (due < last_due)
        ++timers_late; // a later one ran before it
    last_due = due;
    ++timers_run;
}

static void on_never(struct loop_timer *t)
{
    timers_early += 1000;
}

static void start_timers(struct loop *loop, void *arg)
{
    if (loop_index(loop) != 0)
        return;
    timers_began = clock_monotonic_ms();
    stopped.run = on_never;
    loop_timer_start(&stopped, 40);
    for (size_t i = 0; i != TIMERS; ++i) {
        timers[i].run = on_timer;
        loop_timer_start(&timers[i], 20 + i * 37 % TIMERS * 4);
        if (i == TIMERS / 2)
            loop_timer_stop(&stopped);
    }
    loop_timer_stop(&stopped); // again, on a stopped one
}

static void runs_timers_when_they_are_due(void **state)
{
    loop_broadcast_wait(start_timers, NULL);
    wait_for(&timers_run, TIMERS);
    assert_int_equal(timers_early, 0);
    assert_int_equal(timers_late, 0);
}

struct work {
    struct job super;
    unsigned ran_on_loop;
};
static _Atomic unsigned jobs_done, jobs_wrong;

static void on_work(struct job *j)
{
    ((struct work *)j)->ran_on_loop = loop_self() != NULL;
}

static void on_worked(struct job *j)
{
    if (((struct work *)j)->ran_on_loop || loop_self() != loop_at(1))
        ++jobs_wrong;
    free(j);
    ++jobs_done;
}

static void post_work(struct loop *loop, void *arg)
{
    if (loop_index(loop) != 1)
        return;
    for (int i = 0; i != 50; ++i) {
        struct work *w = calloc(1, sizeof *w);
        w->super.run = on_work;
        w->super.done = on_worked;
        if (pool_post(LANE_API, &w->super) != FAIL_NONE)
            ++jobs_wrong;
    }
}

static void brings_jobs_back_to_their_loop(void **state)
{
    loop_broadcast_wait(post_work, NULL);
    wait_for(&jobs_done, 50);
    assert_int_equal(jobs_wrong, 0);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned gated;

static void on_gated(struct job *j)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    ++gated;
}

static void refuses_what_the_queue_has_no_room_for(void **state)
{
    static struct job jobs[110];
    unsigned taken = 0;
    pthread_mutex_lock(&gate);
    for (size_t i = 0; i != 110; ++i) {
        jobs[i].run = on_gated;
        taken += pool_post(LANE_INGEST, &jobs[i]) == FAIL_NONE;
    }
    pthread_mutex_unlock(&gate);
    assert_in_range(taken, 100, 101); // the queue, and perhaps the one that runs
    wait_for(&gated, taken);
}

static void drains(void **state)
{
    assert_true(pool_drain(5000));
    static struct job late = {.run = on_gated};
    assert_int_equal(pool_post(LANE_API, &late), FAIL_BUSY);
    loops_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivers_in_the_order_of_posting),
        cmocka_unit_test(passes_messages_between_loops),
        cmocka_unit_test(what_a_loop_posts_to_itself_needs_no_waking),
        cmocka_unit_test(its_own_mail_and_what_is_due_at_once_run_in_the_same_turn),
        cmocka_unit_test(runs_timers_when_they_are_due),
        cmocka_unit_test(brings_jobs_back_to_their_loop),
        cmocka_unit_test(refuses_what_the_queue_has_no_room_for),
        cmocka_unit_test(drains),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
