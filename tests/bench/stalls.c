// When the machine stood still: a real-time thread on each of two cores wakes every millisecond, before everything else there; whenever
// it comes late by more than a half, the core was not this machine's to use (its host had lent it to others). A line for each on stdout:
// from and to, milliseconds since 1970. Ends with its parent, or by SIGTERM.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MILLISECOND = 1000000, LATE = MILLISECOND / 2 };

static long long since(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *watch(void *core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)(long)core, &set);
    struct sched_param priority = {.sched_priority = 50};
    if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0 ||
        pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) != 0) {
        fprintf(stderr, "stalls: needs two cores, and the right to real-time priority\n");
        exit(1);
    }
    long long due = since(CLOCK_MONOTONIC);
    for (;;) {
        due += MILLISECOND;
        struct timespec at = {due / 1000000000, due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        long long late = since(CLOCK_MONOTONIC) - due, now = since(CLOCK_REALTIME);
        if (late < LATE)
            continue;
        printf("%.3f %.3f\n", (double)(now - late) / 1e6, (double)now / 1e6);
        fflush(stdout);
        due += late;
    }
    return NULL;
}

int main(void)
{
    pthread_t other;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == 1 || pthread_create(&other, NULL, watch, (void *)1L) != 0)
        return 1;
    watch((void *)0L);
}
