// The plugins' cluster seen from outside: this program stands in for the postmaster, its children for
// sessions and workers of autovacuum.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka wants these four first
#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "edge/store/private_postgres_watch.h"

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

// A child that goes when we do.
static pid_t child(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static pid_t titled(char *title)
{
    pid_t pid = child();
    if (pid != 0)
        return pid;
    execv("/bin/sleep", (char *[]){title, "600", NULL});
    _exit(126);
}

// Without a pause, or with one now and then.
static pid_t spinner(bool pauses)
{
    pid_t pid = child();
    if (pid != 0)
        return pid;
    for (volatile unsigned i = 0;; ++i)
        if (pauses && i % 100000 == 0)
            sleep_ms(1);
}

static bool has_gone(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void look(struct cluster_watch *w)
{
    cluster_watch_look(w, getpid(), geteuid(), getegid());
}

static void test_autovacuum_that_does_not_end_is_ended(void **state)
{
    static struct cluster_watch w;
    pid_t vacuum = titled("postgres: stoa plugins: autovacuum worker project_1");
    pid_t session = titled("postgres: stoa plugins: plugin_1 project_1 [local] SELECT");
    pid_t launcher = titled("postgres: stoa plugins: autovacuum launcher ");
    pid_t other = titled("a postgres: autovacuum worker");
    sleep_ms(100);
    for (int i = 1; i != CLUSTER_WATCH_LOOKS; ++i)
        look(&w);
    sleep_ms(50);
    assert_false(has_gone(vacuum));
    look(&w);
    for (int i = 0; i != 400 && kill(vacuum, 0) == 0 && !has_gone(vacuum); ++i)
        sleep_ms(5);
    assert_int_equal(kill(vacuum, 0), -1);
    assert_false(has_gone(session) || has_gone(launcher) || has_gone(other));
    end(session);
    end(launcher);
    end(other);
    look(&w);
    assert_int_equal(w.seen_count, 0);
}

static void test_computing_without_a_pause_gives_way(void **state)
{
    static struct cluster_watch w;
    pid_t spins = spinner(false), works = spinner(true), rests = titled("postgres: idle");
    sleep_ms(100);
    look(&w);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)spins), getpriority(PRIO_PROCESS, 0));
    for (int i = 0; i != 100 && getpriority(PRIO_PROCESS, (id_t)spins) != 19; ++i) {
        sleep_ms(300); // of which it has some ticks, and the other a pause, beside other tests too
        look(&w);
    }
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)spins), 19);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)rests), getpriority(PRIO_PROCESS, 0));
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)works), getpriority(PRIO_PROCESS, 0));
    assert_false(has_gone(spins));
    end(spins);
    end(works);
    end(rests);
}

// As root: a process of the cluster's user, by a child that has become it; another user's stays as it is.
static void test_only_the_clusters_own_processes_are_lowered(void **state)
{
    if (geteuid() != 0)
        skip();
    static struct cluster_watch w;
    pid_t spins = spinner(false);
    for (int i = 0; i != 3; ++i) {
        sleep_ms(100);
        cluster_watch_look(&w, getpid(), 65534, 65534);
    }
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)spins), getpriority(PRIO_PROCESS, 0));
    end(spins);
}

static void test_others_children_are_not_looked_at(void **state)
{
    static struct cluster_watch w;
    pid_t rests = titled("postgres: idle");
    sleep_ms(50);
    cluster_watch_look(&w, 1 << 30, 0, 0);
    assert_int_equal(w.seen_count, 0);
    end(rests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_autovacuum_that_does_not_end_is_ended),
        cmocka_unit_test(test_computing_without_a_pause_gives_way),
        cmocka_unit_test(test_only_the_clusters_own_processes_are_lowered),
        cmocka_unit_test(test_others_children_are_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
