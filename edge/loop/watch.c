// Watched descriptors: an epoll descriptor of our own for each loop, which libh2o's loop polls like
// any other socket. libh2o's sockets would take the descriptor over (they close it), can not take
// back the wish to write, and go through the guard; this costs one system call a turn in which
// anything is ready.
#include "edge/loop/watch.h"
#include "edge/loop/h2o.h"
#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { EVENTS_MAX = 64 }; // of one turn; the kernel gives the others next time

struct watcher {
    int epoll;
    h2o_socket_t *socket; // of the epoll descriptor
    struct epoll_event events[EVENTS_MAX];
    int count; // of events not yet called back or just being so; 0: none
};
static struct watcher *watchers[LOOPS_MAX]; // each made and used by its loop's thread only

static void call_back(struct watcher *r, struct epoll_event *e)
{
    struct loop_watch *w = e->data.ptr;
    const uint32_t gone = EPOLLHUP | EPOLLERR;
    if (w != NULL && w->_readable && (e->events & (EPOLLIN | gone)) != 0)
        w->on_readable(w);
    w = e->data.ptr; // NULL when it was stopped
    if (w != NULL && w->_writable && (e->events & (EPOLLOUT | gone)) != 0)
        w->on_writable(w);
}

static void on_ready(h2o_socket_t *socket, const char *err)
{
    struct watcher *r = socket->data;
    int n = epoll_wait(r->epoll, r->events, EVENTS_MAX, 0);
    r->count = n > 0 ? n : 0;
    for (int i = 0; i < r->count; ++i)
        call_back(r, &r->events[i]);
    r->count = 0;
}

static struct watcher *watcher_create(struct loop *loop)
{
    struct watcher *r = calloc(1, sizeof *r);
    if (r == NULL || (r->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
        abort();
    r->socket = h2o_evloop_socket_create(loop_h2o(loop)->loop, r->epoll, H2O_SOCKET_FLAG_DONT_READ);
    r->socket->data = r;
    h2o_socket_read_start(r->socket, on_ready);
    return r;
}

static struct watcher *watcher_self(void)
{
    struct loop *loop = loop_self();
    assert(loop != NULL);
    struct watcher **r = &watchers[loop_index(loop)];
    if (*r == NULL)
        *r = watcher_create(loop);
    return *r;
}

static void control(struct watcher *r, int op, struct loop_watch *w)
{
    struct epoll_event e = {
        .events = (w->_readable ? EPOLLIN : 0U) | (w->_writable ? EPOLLOUT : 0U), .data.ptr = w};
    int rc = epoll_ctl(r->epoll, op, w->_fd, &e);
    assert(rc == 0);
}

// Not watched for anything, a descriptor is taken out: its hang-up would be told again and again.
static void change(struct watcher *r, struct loop_watch *w, bool readable, bool writable)
{
    bool was = w->_readable || w->_writable, is = readable || writable;
    if (w->_readable == readable && w->_writable == writable)
        return;
    w->_readable = readable;
    w->_writable = writable;
    control(r, !is ? EPOLL_CTL_DEL : was ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w);
}

void loop_watch_start(struct loop_watch *w, int fd, bool readable, bool writable)
{
    assert((!readable || w->on_readable != NULL) && (!writable || w->on_writable != NULL));
    if (w->_is_running && w->_fd != fd)
        loop_watch_stop(w);
    w->_is_running = true;
    w->_fd = fd;
    change(watcher_self(), w, readable, writable);
}

void loop_watch_stop(struct loop_watch *w)
{
    if (!w->_is_running)
        return;
    struct watcher *r = watcher_self();
    change(r, w, false, false);
    w->_is_running = false;
    for (int i = 0; i < r->count; ++i)
        if (r->events[i].data.ptr == w)
            r->events[i].data.ptr = NULL;
}

void loop_watch_prepare(void)
{
    watcher_self();
}
