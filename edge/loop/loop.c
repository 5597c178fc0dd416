// Loops: threads with a libh2o event loop, a lock-free mailbox, and a heap of timers.
//
// libh2o's own timeouts come in lists of one duration each and follow the wall clock; features need
// any duration and a clock that never jumps. So a loop keeps a binary heap and gives the time to
// its first timer to h2o_evloop_run as the longest wait.
//
// Everything runs inside of h2o_evloop_run: mail as a message of libh2o's queue, timers that are due
// and what a loop posts to itself as an entry of its time-out of zero, behind what the poll found
// ready and without a system call. A write outside of it would be called back only behind the next
// poll, so a turn later, and libh2o would abort when that poll finds the socket not writable.
#include "edge/loop/h2o.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    TURN_MAX_MS = 1000,
    ROUNDS_A_TURN = 8, // of mail that answers mail, before the loop looks at its sockets again
};

struct loop {
    h2o_context_t h2o;
    pthread_t thread;
    unsigned index;
    h2o_multithread_receiver_t receiver;
    h2o_multithread_message_t wake;       // posted when the mailbox gets its first message
    h2o_timeout_entry_t due;              // linked when a timer is, or there is mail of our own
    struct loop_message *_Atomic mail;    // newest first
    struct loop_message *own, **own_last; // what it posted to itself, oldest first
    bool is_in_due;
    struct loop_timer **heap; // heap[1] is due first
    size_t heap_count, heap_room;
    _Atomic uint64_t turns;
    _Atomic bool is_stopping;
};

static struct loop *loops[LOOPS_MAX];
static unsigned loops_count;
static __thread struct loop *self;
static h2o_globalconf_t *config_of_all;
static void (*start_hook)(struct loop *loop);
static pthread_barrier_t made_barrier, start_barrier;

struct loop *loop_self(void)
{
    return self;
}
unsigned loop_index(const struct loop *loop)
{
    return loop->index;
}
unsigned loop_count(void)
{
    return loops_count;
}
struct loop *loop_at(unsigned index)
{
    assert(index < loops_count);
    return loops[index];
}
h2o_context_t *loop_h2o(struct loop *loop)
{
    return &loop->h2o;
}
uint64_t loop_turns(const struct loop *loop)
{
    return atomic_load_explicit(&loop->turns, memory_order_relaxed);
}

uint64_t loop_now(const struct loop *loop)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC_COARSE,
                  &ts); // a few nanoseconds, right within a tick: enough for time-outs
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void run_due(h2o_timeout_entry_t *due);

// In this turn, when it is still on its way, else the next, which then does not sleep.
static void link_due(struct loop *loop)
{
    loop->due.cb = run_due;
    if (h2o_timeout_is_linked(&loop->due)) // libh2o's clock was set back: it counts from now again
        h2o_timeout_unlink(&loop->due);
    h2o_timeout_link(loop->h2o.loop, &loop->h2o.zero_timeout, &loop->due);
}

static void post_to_self(struct loop *loop, struct loop_message *m)
{
    m->_next = NULL;
    if (loop->own == NULL)
        loop->own_last = &loop->own;
    *loop->own_last = m;
    loop->own_last = &m->_next;
    if (!loop->is_in_due && !h2o_timeout_is_linked(&loop->due))
        link_due(loop);
}

void loop_post(struct loop *loop, struct loop_message *m)
{
    if (loop == self) {
        post_to_self(loop, m);
        return;
    }
    struct loop_message *head = atomic_load_explicit(&loop->mail, memory_order_relaxed);
    do
        m->_next = head;
    while (!atomic_compare_exchange_weak_explicit(&loop->mail, &head, m, memory_order_release,
                                                  memory_order_relaxed));
    if (head == NULL)
        h2o_multithread_send_message(&loop->receiver, &loop->wake);
}

static void read_mail(struct loop *loop)
{
    struct loop_message *m = atomic_exchange_explicit(&loop->mail, NULL, memory_order_acquire),
                        *in_order = NULL;
    while (m != NULL) { // the mailbox is a stack: turn it round
        struct loop_message *next = m->_next;
        m->_next = in_order;
        in_order = m;
        m = next;
    }
    while ((m = in_order) != NULL) {
        in_order = m->_next;
        m->run(m);
    }
}

// One round: what is posted meanwhile waits for the next.
static void read_own_mail(struct loop *loop)
{
    struct loop_message *m = loop->own;
    loop->own = NULL;
    while (m != NULL) {
        struct loop_message *next = m->_next;
        m->run(m);
        m = next;
    }
}

static void on_wake(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    h2o_linklist_unlink(&self->wake.link); // before the mailbox is empty: the next poster sends it
    assert(h2o_linklist_is_empty(messages));
    read_mail(self);
}

// --- timers ---

static void heap_put(struct loop *loop, size_t slot, struct loop_timer *t)
{
    loop->heap[slot] = t;
    t->_slot = slot;
}

static void heap_up(struct loop *loop, size_t slot)
{
    struct loop_timer *t = loop->heap[slot];
    for (; slot > 1 && loop->heap[slot / 2]->_at > t->_at; slot /= 2)
        heap_put(loop, slot, loop->heap[slot / 2]);
    heap_put(loop, slot, t);
}

static void heap_down(struct loop *loop, size_t slot)
{
    struct loop_timer *t = loop->heap[slot];
    for (size_t child; (child = slot * 2) <= loop->heap_count; slot = child) {
        if (child < loop->heap_count && loop->heap[child + 1]->_at < loop->heap[child]->_at)
            ++child;
        if (loop->heap[child]->_at >= t->_at)
            break;
        heap_put(loop, slot, loop->heap[child]);
    }
    heap_put(loop, slot, t);
}

void loop_timer_stop(struct loop_timer *t)
{
    size_t slot = t->_slot;
    if (slot == 0)
        return;
    assert(self != NULL && self->heap[slot] == t);
    t->_slot = 0;
    struct loop_timer *last = self->heap[self->heap_count--];
    if (last == t)
        return;
    heap_put(self, slot, last);
    heap_up(self, slot);
    heap_down(self, last->_slot);
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms)
{
    assert(self != NULL);
    loop_timer_stop(t);
    t->_at = loop_now(self) + after_ms;
    if (self->heap_count + 1 >= self->heap_room) {
        self->heap_room = self->heap_room != 0 ? self->heap_room * 2 : 64;
        self->heap = realloc(self->heap, self->heap_room * sizeof *self->heap);
        if (self->heap == NULL)
            abort();
    }
    ++self->heap_count;
    heap_put(self, self->heap_count, t);
    heap_up(self, self->heap_count);
    if (after_ms == 0 && !self->is_in_due && !h2o_timeout_is_linked(&self->due))
        link_due(self);
}

static void run_timers(void)
{
    uint64_t now = loop_now(self);
    while (self->heap_count != 0 && self->heap[1]->_at <= now) {
        struct loop_timer *first = self->heap[1];
        loop_timer_stop(first);
        first->run(first);
    }
}

// Timers behind each round of mail, so that what gathers for the end of a turn (a timer of 0) finds
// all of it. What is left after some rounds waits for the next turn.
static void run_due(h2o_timeout_entry_t *due)
{
    self->is_in_due = true;
    for (unsigned round = 0; round == 0 || (round != ROUNDS_A_TURN && self->own != NULL); ++round) {
        read_own_mail(self);
        run_timers();
    }
    self->is_in_due = false;
}

// How long the loop may sleep.
static int32_t wait_for_timers(struct loop *loop)
{
    uint64_t now = loop_now(loop), at = loop->heap_count != 0 ? loop->heap[1]->_at : UINT64_MAX;
    if (at > now && loop->own == NULL)
        return at - now < TURN_MAX_MS ? (int32_t)(at - now) : TURN_MAX_MS;
    link_due(loop);
    return 0;
}

// --- threads ---

// What libh2o keeps for the next connection of this thread, which ends.
static void empty_recycler(void)
{
    h2o_mem_recycle_t *kept = &h2o_socket_buffer_prototype.allocator;
    while (kept->cnt != 0)
        free(h2o_mem_alloc_recycle(kept, 1));
}

static void *loop_main(void *arg)
{
    struct loop *loop = self = arg;
    char name[16];
    snprintf(name, sizeof name, "loop-%u", loop->index);
    pthread_setname_np(pthread_self(), name);
    // here, not in loops_start: a socket keeps to the buffer recycler of the thread that made it,
    // and the context's queue has one
    h2o_context_init(&loop->h2o, h2o_evloop_create(), config_of_all);
    h2o_multithread_register_receiver(loop->h2o.queue, &loop->receiver, on_wake);
    pthread_barrier_wait(&made_barrier); // all there before any of them may post to another
    start_hook(loop);
    pthread_barrier_wait(&start_barrier);
    while (!atomic_load_explicit(&loop->is_stopping, memory_order_acquire)) {
        h2o_evloop_run(loop->h2o.loop, wait_for_timers(loop));
        atomic_fetch_add_explicit(&loop->turns, 1, memory_order_relaxed);
    }
    empty_recycler();
    return NULL;
}

void loops_start(unsigned count, h2o_globalconf_t *config, void (*on_start)(struct loop *loop))
{
    assert(count != 0 && count <= LOOPS_MAX && loops_count == 0);
    start_hook = on_start;
    for (unsigned i = 0; i != count; ++i) {
        struct loop *loop = loops[i] = calloc(1, sizeof *loop);
        if (loop == NULL)
            abort();
        loop->index = i;
    }
    loops_count = count;
    config_of_all = config;
    pthread_barrier_init(&made_barrier, NULL, count);
    pthread_barrier_init(&start_barrier, NULL, count + 1);
    for (unsigned i = 0; i != count; ++i)
        if (pthread_create(&loops[i]->thread, NULL, loop_main, loops[i]) != 0)
            abort();
    pthread_barrier_wait(&start_barrier);
}

struct stop_message {
    struct loop_message super;
    struct loop *loop;
};

static void on_stop(struct loop_message *m)
{
    struct stop_message *stop = (struct stop_message *)m;
    atomic_store_explicit(&stop->loop->is_stopping, true, memory_order_release);
}

void loops_stop(void)
{
    struct stop_message stops[LOOPS_MAX];
    for (unsigned i = 0; i != loops_count; ++i) {
        stops[i] = (struct stop_message){.super.run = on_stop, .loop = loops[i]};
        loop_post(loops[i], &stops[i].super);
    }
    for (unsigned i = 0; i != loops_count; ++i)
        pthread_join(loops[i]->thread, NULL);
}

struct broadcast {
    pthread_mutex_t lock; // guards left
    pthread_cond_t is_done;
    unsigned left;
    void (*fn)(struct loop *loop, void *arg);
    void *arg;
};
struct broadcast_message {
    struct loop_message super;
    struct broadcast *broadcast;
};

static void on_broadcast(struct loop_message *m)
{
    struct broadcast *b = ((struct broadcast_message *)m)->broadcast;
    b->fn(self, b->arg);
    pthread_mutex_lock(&b->lock);
    if (--b->left == 0)
        pthread_cond_signal(&b->is_done);
    pthread_mutex_unlock(&b->lock);
}

void loop_broadcast_wait(void (*fn)(struct loop *loop, void *arg), void *arg)
{
    assert(self == NULL);
    struct broadcast b = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, loops_count, fn,
                          arg};
    struct broadcast_message messages[LOOPS_MAX];
    for (unsigned i = 0; i != loops_count; ++i) {
        messages[i] = (struct broadcast_message){.super.run = on_broadcast, .broadcast = &b};
        loop_post(loops[i], &messages[i].super);
    }
    pthread_mutex_lock(&b.lock);
    while (b.left != 0)
        pthread_cond_wait(&b.is_done, &b.lock);
    pthread_mutex_unlock(&b.lock);
}
