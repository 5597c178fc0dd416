// Watched descriptors on a real loop.
#include "edge/loop/h2o.h"
#include "edge/loop/watch.h"
#include "edge/base/clock.h"
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static h2o_globalconf_t config;
static void on_start(struct loop *loop)
{
}

static int setup(void **state)
{
    h2o_config_init(&config);
    h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    loops_start(2, &config, on_start);
    return 0;
}
static int teardown(void **state)
{
    loops_stop();
    return 0;
}

static void (*step)(void);
static void run_step(struct loop *loop, void *arg)
{
    if (loop_index(loop) == 0)
        step();
}
static void on_loop(void (*fn)(void))
{
    step = fn;
    loop_broadcast_wait(run_step, NULL);
}

static void wait_for(_Atomic unsigned *value, unsigned want)
{
    for (uint64_t until = clock_monotonic_ms() + 20000;
         *value != want && clock_monotonic_ms() < until;)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(*value, want);
}
// Long enough for a callback that must not come.
static void some_turns(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

static struct loop_watch watch, other;
static int ours, theirs, other_ours, other_theirs;
static _Atomic unsigned reads, writes, hangups;

static void open_pairs(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ours = pair[0], theirs = pair[1];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    other_ours = pair[0], other_theirs = pair[1];
    reads = writes = hangups = 0;
    watch = other = (struct loop_watch){0};
}
static void read_one(struct loop_watch *w)
{
    char c;
    if (read(w->_fd, &c, 1) == 1)
        ++reads;
    else {
        loop_watch_stop(w);
        ++hangups;
    }
}
static void count_write(struct loop_watch *w)
{
    ++writes;
}

static void start_reading(void)
{
    watch.on_readable = read_one;
    loop_watch_start(&watch, ours, true, false);
}
static void stop(void)
{
    loop_watch_stop(&watch);
    loop_watch_stop(&watch);
    loop_watch_stop(&other);
}

static void close_pairs(void)
{
    on_loop(stop);
    close(ours);
    close(theirs);
    close(other_ours);
    close(other_theirs);
}

static void calls_back_until_all_is_read(void **state)
{
    open_pairs();
    on_loop(start_reading);
    assert_int_equal(write(theirs, "12345", 5), 5);
    wait_for(&reads, 5);
    some_turns();
    assert_int_equal(reads, 5);
    on_loop(stop);
    assert_int_equal(write(theirs, "6", 1), 1);
    some_turns();
    assert_int_equal(reads, 5);
    assert_int_equal(write(ours, "!", 1), 1); // the descriptor is still ours
    close_pairs();
}

static void tells_a_hang_up_as_readable(void **state)
{
    open_pairs();
    on_loop(start_reading);
    shutdown(theirs, SHUT_RDWR);
    wait_for(&hangups, 1);
    close_pairs();
}

static void write_then_read(struct loop_watch *w)
{
    if (++writes == 3)
        loop_watch_start(w, w->_fd, true, false);
}
static void start_writing(void)
{
    watch.on_readable = read_one;
    watch.on_writable = write_then_read;
    loop_watch_start(&watch, ours, false, true);
}

static void changes_what_it_watches_for(void **state)
{
    open_pairs();
    assert_int_equal(write(theirs, "12", 2), 2);
    on_loop(start_writing);
    wait_for(&reads, 2);
    assert_int_equal(writes, 3);
    close_pairs();
}

static void pause_watch(void)
{
    loop_watch_start(&watch, ours, false, false);
}
static void a_paused_watch_is_told_nothing(void **state)
{
    open_pairs();
    on_loop(start_reading);
    on_loop(pause_watch);
    assert_int_equal(write(theirs, "1", 1), 1);
    uint64_t turns = loop_turns(loop_at(0));
    some_turns();
    assert_int_equal(reads, 0);
    shutdown(theirs, SHUT_RDWR);
    some_turns();
    assert_int_equal(hangups, 0);
    assert_in_range(loop_turns(loop_at(0)) - turns, 0, 5); // nor does the loop spin
    on_loop(start_reading);
    wait_for(&reads, 1);
    wait_for(&hangups, 1);
    close_pairs();
}

static struct loop_watch *rivals[2];

static void stop_both(struct loop_watch *w)
{
    ++reads;
    for (int i = 0; i != 2; ++i) {
        loop_watch_stop(rivals[i]);
        free(rivals[i]); // its owner's again, so that a late callback is seen
    }
}
static void start_rivals(void)
{
    for (int i = 0; i != 2; ++i) {
        rivals[i] = calloc(1, sizeof **rivals);
        rivals[i]->on_readable = stop_both;
        rivals[i]->on_writable = count_write;
        loop_watch_start(rivals[i], i == 0 ? ours : other_ours, true, true);
    }
}

static void nothing_comes_after_a_stop(void **state)
{
    open_pairs();
    assert_int_equal(write(theirs, "1", 1), 1);
    assert_int_equal(write(other_theirs, "1", 1), 1);
    on_loop(start_rivals); // both are ready in one turn; the first stops both
    wait_for(&reads, 1);
    some_turns();
    assert_int_equal(reads, 1);
    assert_int_equal(writes, 0);
    close_pairs();
}

static void move_watch(void)
{
    loop_watch_start(&watch, other_ours, true, false);
}
static void follows_to_another_descriptor(void **state)
{
    open_pairs();
    on_loop(start_reading);
    on_loop(move_watch);
    assert_int_equal(write(theirs, "1", 1), 1);
    assert_int_equal(write(other_theirs, "123", 3), 3);
    wait_for(&reads, 3);
    close_pairs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_back_until_all_is_read),
        cmocka_unit_test(tells_a_hang_up_as_readable),
        cmocka_unit_test(changes_what_it_watches_for),
        cmocka_unit_test(a_paused_watch_is_told_nothing),
        cmocka_unit_test(nothing_comes_after_a_stop),
        cmocka_unit_test(follows_to_another_descriptor),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
