// Blank workers: started ahead by a thread of their own, since a start waits for the supervisor.
// Whoever wishes for one while none is ready is next in line for the one being started. A spare may
// have died while it waited; it is then passed over.
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "public-actions/plugin/internal.h"

enum { PAUSE_S = 1 }; // after a start that failed, unless someone waits for it

static struct {
    const struct plugin_source *source;
    size_t wanted;
    pthread_mutex_t lock; // guards what follows; never held across a start
    pthread_cond_t changed;
    struct cage_worker ready[PLUGIN_SPARES_MAX];
    size_t count;
    struct spare_wish *first, *last; // unfulfilled
} spares = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void spares_end(const struct cage_worker *worker)
{
    close(worker->fd);
    spares.source->kill(worker);
}

static bool is_alive(const struct cage_worker *worker)
{
    char c;
    return recv(worker->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

static bool take_ready(struct cage_worker *ret)
{
    pthread_mutex_lock(&spares.lock);
    bool has = false;
    while (spares.count != 0 && !has) {
        *ret = spares.ready[--spares.count];
        has = is_alive(ret);
        if (!has)
            close(ret->fd);
    }
    pthread_cond_signal(&spares.changed);
    pthread_mutex_unlock(&spares.lock);
    return has;
}

static void deliver(struct loop_message *m)
{
    struct spare_wish *wish =
        (struct spare_wish *)((char *)m - offsetof(struct spare_wish, _message));
    struct cage_worker worker = wish->_worker;
    wish->on_spare(wish, &worker);
}

static void grant(struct spare_wish *wish, const struct cage_worker *worker)
{
    wish->_worker = *worker;
    wish->_message.run = deliver;
    loop_post(wish->_loop, &wish->_message);
}

void spares_wish(struct spare_wish *wish)
{
    struct cage_worker worker;
    wish->_loop = loop_self();
    wish->_next = NULL;
    if (take_ready(&worker)) {
        grant(wish, &worker);
        return;
    }
    pthread_mutex_lock(&spares.lock);
    if (spares.first == NULL)
        spares.first = wish;
    else
        spares.last->_next = wish;
    spares.last = wish;
    pthread_cond_signal(&spares.changed);
    pthread_mutex_unlock(&spares.lock);
}

enum fail spares_take(struct cage_worker *ret, struct fault *fault)
{
    return take_ready(ret) ? FAIL_NONE : spares.source->start(ret, fault);
}

// The next wish, or NULL for a spare; waits while neither is wanted.
static struct spare_wish *next_wish(void)
{
    pthread_mutex_lock(&spares.lock);
    while (spares.first == NULL && spares.count >= spares.wanted)
        pthread_cond_wait(&spares.changed, &spares.lock);
    struct spare_wish *wish = spares.first;
    if (wish != NULL)
        spares.first = wish->_next;
    pthread_mutex_unlock(&spares.lock);
    return wish;
}

// To whoever wished meanwhile, or among the spares.
static void keep(const struct cage_worker *worker)
{
    pthread_mutex_lock(&spares.lock);
    struct spare_wish *wish = spares.first;
    if (wish != NULL)
        spares.first = wish->_next;
    else
        spares.ready[spares.count++] = *worker; // only this thread adds
    pthread_mutex_unlock(&spares.lock);
    if (wish != NULL)
        grant(wish, worker);
}

static void pause_starting(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PAUSE_S;
    pthread_mutex_lock(&spares.lock);
    while (spares.first == NULL &&
           pthread_cond_timedwait(&spares.changed, &spares.lock, &until) == 0)
        ;
    pthread_mutex_unlock(&spares.lock);
}

static void *start_workers(void *arg)
{
    pthread_setname_np(pthread_self(), "spares");
    for (;;) {
        struct spare_wish *wish = next_wish();
        struct cage_worker worker = {.fd = -1};
        bool ok = spares.source->start(&worker, NULL) == FAIL_NONE;
        if (!ok)
            worker.fd = -1;
        if (wish != NULL)
            grant(wish, &worker);
        else if (ok)
            keep(&worker);
        else
            pause_starting();
    }
    return NULL;
}

void spares_init(size_t wanted, const struct plugin_source *source)
{
    assert(wanted <= PLUGIN_SPARES_MAX && spares.source == NULL);
    spares.source = source;
    spares.wanted = wanted;
    pthread_t thread;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &detached, start_workers, NULL) != 0)
        abort();
    pthread_attr_destroy(&detached);
}
