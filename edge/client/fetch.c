// The thread that fetches, and how loops and it meet: a fetch comes in by a list under a lock, and
// goes back by a message to its loop. In between it waits in its project's line, and then has a
// transfer (fetch_transfer.c). Projects take turns; each has a pool of connections and TLS sessions
// of its own (a CURLSH), so that none is ever used by another. libcurl's own timeouts are not used:
// it would wait for a name lookup that it gives up.
#include "edge/client/fetch.h"
#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/client/fetch_internal.h"

// A pool is for a handler that asks one server several times, or is called all the time: many servers
// close after 5 s themselves.
enum { IDLE_MS = 2000, POLL_MAX_MS = 10000, KEPT_PER_PROJECT = 4, IDLE_PROJECTS_MAX = 64 };

// In a ring, in the order of turns. Gone when it has been idle for a while.
struct fetch_project {
    char id[64];
    CURLSH *share;
    struct fetch *first, **last; // waiting
    unsigned waiting, running;
    uint64_t idle_since_ms;
    size_t held; // bytes of bodies
    struct fetch_project *next;
};

struct fetch_options fetch_settings;
_Atomic uint64_t fetch_connections_opened;
static _Atomic uint64_t started, answered, blocked, failed, busy, cancels, now_running, now_waiting;
static _Atomic size_t held_in_all; // given back by loops too, when they have seen an answer

static CURLM *multi;
static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards the inbox and must_stop
static struct fetch *inbox_first, **inbox_last = &inbox_first;
static bool must_stop;

static struct fetch_project *projects; // the one whose turn is next, first
static struct fetch_transfer *transfers;
static unsigned running, waiting;
static uint64_t cancels_seen;

// --- answers ---

void fetch_fail(struct fetch_answer *a, enum fail fail, const char *code, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    a->fail = fail;
    a->code = code;
    vsnprintf(a->message, sizeof a->message, format, ap);
    va_end(ap);
}

static void free_fetch(struct fetch *f)
{
    atomic_fetch_sub(&held_in_all, f->counted);
    fetch_order_destroy(f->order);
    buf_fini(&f->body);
    buf_fini(&f->text);
    free(f);
}

static void on_message(struct loop_message *m)
{
    struct fetch *f = (struct fetch *)m;
    if (f->on_done != NULL)
        f->on_done(f->arg, &f->answer);
    free_fetch(f);
}

static void count(const struct fetch *f)
{
    const struct fetch_answer *a = &f->answer;
    if (atomic_load(&f->is_cancelled))
        return;
    if (a->fail == FAIL_NONE)
        ++answered;
    else if (a->fail == FAIL_BUSY)
        ++busy;
    else if (strcmp(a->code, "blocked_address") == 0)
        ++blocked;
    else
        ++failed;
}

void fetch_hand_over(struct fetch *f)
{
    struct fetch_answer *a = &f->answer;
    a->headers = f->headers;
    a->body = buf_str(&f->body);
    a->ms = (uint32_t)(clock_monotonic_ms() - f->started_ms);
    if (a->fail != FAIL_NONE) {
        a->status = 0;
        a->header_count = 0;
        a->body = (str){0};
    }
    count(f);
    // What an answer holds until its loop has seen it counts for all, no longer for its project.
    f->counted += f->body.n;
    atomic_fetch_add(&held_in_all, f->body.n);
    loop_post(f->loop, &f->message);
}

bool fetch_memory_take(struct fetch_project *p, size_t n)
{
    if (p->held + n > fetch_settings.memory_per_project ||
        atomic_load(&held_in_all) + n > fetch_settings.memory)
        return false;
    p->held += n;
    atomic_fetch_add(&held_in_all, n);
    return true;
}

void fetch_memory_give(struct fetch_project *p, size_t n)
{
    p->held -= n;
    atomic_fetch_sub(&held_in_all, n);
}

// --- projects ---

static struct fetch_project *project_of(const char *id)
{
    struct fetch_project **at = &projects;
    for (; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->id, id) == 0)
            return *at;
    struct fetch_project *p = calloc(1, sizeof *p);
    if (p == NULL || (p->share = curl_share_init()) == NULL)
        abort();
    snprintf(p->id, sizeof p->id, "%s", id);
    curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
    curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    p->last = &p->first;
    *at = p;
    return p;
}

static bool is_idle(const struct fetch_project *p)
{
    return p->first == NULL && p->running == 0;
}

static void free_project(struct fetch_project *p)
{
    CURLSHcode code = curl_share_cleanup(p->share); // closes its connections
    assert(code == CURLSHE_OK);
    free(p);
}

static void drop_project(struct fetch_project *p)
{
    struct fetch_project **at = &projects;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    free_project(p);
}

// Drops the one idle longest, when it has been for long or there are too many. Whether it has.
static bool sweep_project(uint64_t now)
{
    unsigned idle = 0;
    struct fetch_project *oldest = NULL;
    for (struct fetch_project *p = projects; p != NULL; p = p->next) {
        idle += is_idle(p);
        if (is_idle(p) && (oldest == NULL || p->idle_since_ms < oldest->idle_since_ms))
            oldest = p;
    }
    if (oldest == NULL || (idle <= IDLE_PROJECTS_MAX && now - oldest->idle_since_ms < IDLE_MS))
        return false;
    drop_project(oldest);
    return true;
}

static struct fetch *take_waiting(struct fetch_project *p, struct fetch **at)
{
    struct fetch *f = *at;
    if ((*at = f->next) == NULL)
        p->last = at;
    --p->waiting;
    now_waiting = --waiting;
    return f;
}

// One that goes back unsent.
static struct fetch *take_unsent(struct fetch_project *p, struct fetch **at)
{
    struct fetch *f = take_waiting(p, at);
    p->held -= f->order->body.n;
    return f;
}

static void enqueue(struct fetch *f)
{
    struct fetch_project *p = project_of(f->order->project_id);
    size_t n = f->order->body.n;
    if (waiting >= fetch_settings.queued || p->waiting >= fetch_settings.queued_per_project ||
        p->held + n > fetch_settings.memory_per_project) {
        fetch_fail(&f->answer, FAIL_BUSY, "busy", "Too much is being fetched at the moment.");
        fetch_hand_over(f);
        return;
    }
    p->held += n;
    f->next = NULL;
    *p->last = f;
    p->last = &f->next;
    ++p->waiting;
    now_waiting = ++waiting;
}

// --- transfers ---

static void begin(struct fetch_project *p, struct fetch *f)
{
    size_t n = f->order->body.n; // held already
    struct fetch_transfer *t = fetch_transfer_create(f, p->share);
    t->project = p;
    t->order_held = n;
    t->next = transfers;
    transfers = t;
    ++p->running;
    now_running = ++running;
    if (curl_multi_add_handle(multi, t->easy) != CURLM_OK)
        abort();
}

static void end(struct fetch_transfer *t)
{
    struct fetch_transfer **at = &transfers;
    struct fetch_project *p = t->project;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    curl_multi_remove_handle(multi, t->easy);
    if (t->fetch != NULL)
        fetch_hand_over(t->fetch);
    p->held -= t->order_held;
    fetch_transfer_destroy(t);
    now_running = --running;
    if (--p->running == 0)
        p->idle_since_ms = clock_monotonic_ms();
}

// The answer goes out; the transfer too, unless it is looking up a name.
static void give_up(struct fetch_transfer *t)
{
    if (!t->is_resolving) {
        end(t);
        return;
    }
    fetch_hand_over(t->fetch);
    t->fetch = NULL;
}

// One from each project in turn, while there is room.
static void begin_waiting(void)
{
    for (bool any = true; any && running < fetch_settings.concurrent;) {
        any = false;
        struct fetch_project **at = &projects, *end_of_turn = NULL;
        while (*at != NULL && *at != end_of_turn && running < fetch_settings.concurrent) {
            struct fetch_project *p = *at;
            if (p->first == NULL || p->running >= fetch_settings.concurrent_per_project) {
                at = &p->next;
                continue;
            }
            begin(p, take_waiting(p, &p->first));
            any = true;
            if (end_of_turn == NULL)
                end_of_turn = p;
            *at = p->next; // to the end of the ring
            p->next = NULL;
            struct fetch_project **last = at;
            while (*last != NULL)
                last = &(*last)->next;
            *last = p;
        }
    }
}

// Whether there were any.
static bool read_results(void)
{
    int left;
    bool any = false;
    for (CURLMsg *m; (m = curl_multi_info_read(multi, &left)) != NULL;) {
        struct fetch_transfer *t;
        CURLcode code = m->data.result;
        any = true;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        curl_multi_remove_handle(multi, t->easy);
        if (fetch_transfer_hop_ended(t, code) == FETCH_FINISHED)
            end(t);
        else if (curl_multi_add_handle(multi, t->easy) != CURLM_OK)
            abort();
    }
    return any;
}

// --- what ends by itself ---

static uint64_t due_at(const struct fetch_transfer *t)
{
    return t->connect_by_ms != 0 && t->connect_by_ms < t->deadline_ms ? t->connect_by_ms
                                                                      : t->deadline_ms;
}

static void drop_cancelled(void)
{
    uint64_t seen = atomic_load(&cancels);
    if (seen == cancels_seen)
        return;
    cancels_seen = seen;
    for (struct fetch_project *p = projects; p != NULL; p = p->next)
        for (struct fetch **at = &p->first; *at != NULL;)
            if (atomic_load(&(*at)->is_cancelled))
                fetch_hand_over(take_unsent(p, at));
            else
                at = &(*at)->next;
    for (struct fetch_transfer *t = transfers, *next; t != NULL; t = next) {
        next = t->next;
        if (t->fetch != NULL && atomic_load(&t->fetch->is_cancelled))
            give_up(t);
    }
}

static void end_late_waiting(struct fetch_project *p, uint64_t now)
{
    for (struct fetch **at = &p->first; *at != NULL;) {
        if ((*at)->started_ms + (*at)->order->timeout_ms > now) {
            at = &(*at)->next;
            continue;
        }
        struct fetch *f = take_unsent(p, at);
        fetch_fail(&f->answer, FAIL_TIMEOUT, "timeout", "Its turn did not come in time.");
        fetch_hand_over(f);
    }
}

static void end_late(uint64_t now)
{
    for (struct fetch_project *p = projects; p != NULL; p = p->next)
        end_late_waiting(p, now);
    for (struct fetch_transfer *t = transfers, *next; t != NULL; t = next) {
        next = t->next;
        if (t->fetch == NULL || due_at(t) > now)
            continue;
        fetch_transfer_timed_out(t);
        give_up(t);
    }
}

// How long nothing will be late, and no pool idle for too long.
static int quiet_ms(void)
{
    uint64_t now = clock_monotonic_ms(), due = now + POLL_MAX_MS;
    for (const struct fetch_project *p = projects; p != NULL; p = p->next) {
        if (is_idle(p) && p->idle_since_ms + IDLE_MS < due)
            due = p->idle_since_ms + IDLE_MS;
        for (const struct fetch *f = p->first; f != NULL; f = f->next)
            if (f->started_ms + f->order->timeout_ms < due)
                due = f->started_ms + f->order->timeout_ms;
    }
    for (const struct fetch_transfer *t = transfers; t != NULL; t = t->next)
        if (t->fetch != NULL && due_at(t) < due)
            due = due_at(t);
    return due > now ? (int)(due - now) : 0;
}

// --- the thread ---

static bool take_inbox(void)
{
    pthread_mutex_lock(&lock);
    struct fetch *list = inbox_first;
    bool goes_on = !must_stop;
    inbox_first = NULL;
    inbox_last = &inbox_first;
    pthread_mutex_unlock(&lock);
    for (struct fetch *f = list, *next; f != NULL; f = next) {
        next = f->next;
        if (f->order != NULL)
            enqueue(f);
        else
            fetch_hand_over(f); // could not be sent at all
    }
    return goes_on;
}

static void drop_all(void)
{
    while (transfers != NULL) {
        struct fetch_transfer *t = transfers;
        transfers = t->next;
        curl_multi_remove_handle(multi, t->easy);
        if (t->fetch != NULL)
            free_fetch(t->fetch);
        fetch_transfer_destroy(t);
    }
    while (projects != NULL) {
        struct fetch_project *p = projects;
        projects = p->next;
        while (p->first != NULL)
            free_fetch(take_unsent(p, &p->first));
        free_project(p);
    }
    running = 0;
    now_running = 0;
}

static void *run(void *arg)
{
    pthread_setname_np(pthread_self(), "fetch");
    while (take_inbox()) {
        int still;
        drop_cancelled();
        end_late(clock_monotonic_ms());
        do {
            begin_waiting();
            curl_multi_perform(multi, &still);
        } while (read_results()); // what has ended made room
        while (sweep_project(clock_monotonic_ms()))
            ;
        curl_multi_poll(multi, NULL, 0, quiet_ms(), NULL);
    }
    drop_all();
    return NULL;
}

// --- the loops' side ---

static void set_default(unsigned *value, unsigned standard)
{
    if (*value == 0)
        *value = standard;
}

void fetch_init(const struct fetch_options *o)
{
    struct fetch_options *s = &fetch_settings;
    *s = *o;
    assert(o->cdn_loop != NULL);
    set_default(&s->concurrent, 128);
    set_default(&s->concurrent_per_project, 16);
    set_default(&s->queued, 4096);
    set_default(&s->queued_per_project, 256);
    set_default(&s->connect_timeout_ms, 10000);
    s->memory = s->memory != 0 ? s->memory : 256 << 20;
    s->memory_per_project = s->memory_per_project != 0 ? s->memory_per_project : 64 << 20;
    fetch_address_init(s);
    must_stop = false;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (multi = curl_multi_init()) == NULL)
        abort();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)KEPT_PER_PROJECT); // of each pool
    if (pthread_create(&thread, NULL, run, NULL) != 0)
        abort();
}

void fetch_stop(void)
{
    pthread_mutex_lock(&lock);
    must_stop = true;
    pthread_mutex_unlock(&lock);
    curl_multi_wakeup(multi);
    pthread_join(thread, NULL);
    curl_multi_cleanup(multi);
    curl_global_cleanup();
}

struct fetch *fetch_start(const struct fetch_request *r,
                          void (*on_done)(void *arg, const struct fetch_answer *a), void *arg)
{
    struct fetch *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    assert(r->project_id.n < 64);
    f->message.run = on_message;
    f->loop = loop_self();
    f->on_done = on_done;
    f->arg = arg;
    f->answer.code = "";
    f->started_ms = clock_monotonic_ms();
    if (atomic_load(&held_in_all) + r->body.n > fetch_settings.memory)
        fetch_fail(&f->answer, FAIL_BUSY, "busy", "Too much is being fetched at the moment.");
    else if ((f->order = fetch_order_create(r, &f->answer)) != NULL)
        atomic_fetch_add(&held_in_all, f->counted = r->body.n);
    ++started;
    pthread_mutex_lock(&lock);
    *inbox_last = f;
    inbox_last = &f->next;
    pthread_mutex_unlock(&lock);
    curl_multi_wakeup(multi);
    return f;
}

void fetch_cancel(struct fetch *f)
{
    f->on_done = NULL;
    atomic_store(&f->is_cancelled, true);
    ++cancels;
    curl_multi_wakeup(multi);
}

struct fetch_counters fetch_counters(void)
{
    return (struct fetch_counters){started, answered,    blocked,     failed,
                                   busy,    now_running, now_waiting, fetch_connections_opened};
}
