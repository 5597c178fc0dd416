// Pool threads and their lanes.
#include "edge/loop/pool.h"
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "edge/base/log.h"

struct pool_lane {
    pthread_mutex_t lock; // guards the rest
    pthread_cond_t has_job, is_idle;
    struct job *first, **last;
    size_t queued, running;
    bool is_closed;
};

static struct pool_lane lanes[LANES];
static size_t queue_limit;
// Behind the loops where a core is wanted by both: strangers decide how much of it there is.
static const int lane_nice[LANES] = {[LANE_EXCHANGE] = 5};
static const char *const lane_names[LANES] = {"api",     "ingest",   "load", "files",
                                              "domains", "exchange", "data"};

static void on_back(struct loop_message *m)
{
    struct job *j = (struct job *)((char *)m - offsetof(struct job, _back));
    j->done(j);
}

static void finish(struct job *j)
{
    if (j->_origin == NULL) {
        j->done(j);
        return;
    }
    j->_back.run = on_back;
    loop_post(j->_origin, &j->_back);
}

static void *lane_main(void *arg)
{
    struct pool_lane *lane = arg;
    int nice = lane_nice[lane - lanes];
    if (nice != 0 && setpriority(PRIO_PROCESS, (id_t)gettid(), nice) != 0)
        log_warn("a lane's threads have no lower priority", "lane=%s", lane_names[lane - lanes]);
    for (;;) {
        pthread_mutex_lock(&lane->lock);
        while (lane->first == NULL)
            pthread_cond_wait(&lane->has_job, &lane->lock);
        struct job *j = lane->first;
        if ((lane->first = j->_next) == NULL)
            lane->last = &lane->first;
        --lane->queued;
        ++lane->running;
        pthread_mutex_unlock(&lane->lock);
        bool has_done = j->done != NULL; // without it, `run` may have freed the job
        j->run(j);
        if (has_done)
            finish(j);
        pthread_mutex_lock(&lane->lock);
        if (--lane->running == 0 && lane->first == NULL)
            pthread_cond_broadcast(&lane->is_idle);
        pthread_mutex_unlock(&lane->lock);
    }
    return NULL;
}

void pool_start(const unsigned threads[LANES], size_t queue_max)
{
    queue_limit = queue_max;
    for (unsigned l = 0; l != LANES; ++l) {
        pthread_condattr_t monotonic;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_mutex_init(&lanes[l].lock, NULL);
        pthread_cond_init(&lanes[l].has_job, NULL);
        pthread_cond_init(&lanes[l].is_idle, &monotonic);
        lanes[l].last = &lanes[l].first;
        for (unsigned i = 0; i != threads[l]; ++i) {
            pthread_t t;
            if (pthread_create(&t, NULL, lane_main, &lanes[l]) != 0)
                abort();
            char name[16];
            snprintf(name, sizeof name, "%s-%u", lane_names[l], i);
            pthread_setname_np(t, name);
            pthread_detach(t);
        }
    }
}

enum fail pool_post(enum lane lane, struct job *j)
{
    assert(lane < LANES);
    struct pool_lane *l = &lanes[lane];
    j->_origin = loop_self();
    j->_next = NULL;
    pthread_mutex_lock(&l->lock);
    if (l->is_closed || l->queued >= queue_limit) {
        pthread_mutex_unlock(&l->lock);
        return FAIL_BUSY;
    }
    *l->last = j;
    l->last = &j->_next;
    ++l->queued;
    pthread_cond_signal(&l->has_job);
    pthread_mutex_unlock(&l->lock);
    return FAIL_NONE;
}

bool pool_drain(uint64_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        ++until.tv_sec;
    }
    bool is_drained = true;
    for (unsigned i = 0; i != LANES; ++i) {
        struct pool_lane *l = &lanes[i];
        pthread_mutex_lock(&l->lock);
        while ((l->first != NULL || l->running != 0) &&
               pthread_cond_timedwait(&l->is_idle, &l->lock, &until) == 0)
            ;
        l->is_closed = true;
        is_drained = is_drained && l->first == NULL && l->running == 0;
        pthread_mutex_unlock(&l->lock);
    }
    return is_drained;
}

size_t pool_queued(enum lane lane)
{
    pthread_mutex_lock(&lanes[lane].lock);
    size_t n = lanes[lane].queued;
    pthread_mutex_unlock(&lanes[lane].lock);
    return n;
}
