#include "played_fetch.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"

struct played_request played[PLAYED_MAX];

struct fetch {
    struct loop_timer timer;
    struct loop_message message;
    struct fetch *next;
    struct loop *loop;
    unsigned status;
    void (*on_done)(void *arg, const struct fetch_answer *a);
    void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned count, under_way, most;
static struct fetch *waiting;
static unsigned (*answer_of)(const struct played_request *r);

void played_answer(unsigned (*fn)(const struct played_request *r))
{
    pthread_mutex_lock(&lock);
    answer_of = fn;
    pthread_mutex_unlock(&lock);
}

unsigned played_count(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = count;
    pthread_mutex_unlock(&lock);
    return n;
}

unsigned played_most(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = most;
    pthread_mutex_unlock(&lock);
    return n;
}

void played_clear(void)
{
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i != count; ++i)
        free(played[i].body);
    count = most = 0;
    pthread_mutex_unlock(&lock);
}

static void finish(struct fetch *f)
{
    struct fetch_answer a = {.status = f->status};
    if (f->status == 1) {
        a.fail = FAIL_UPSTREAM;
        a.code = "blocked_address";
        snprintf(a.message, sizeof a.message, "That address is not on the public Internet.\x1b[2J");
    }
    pthread_mutex_lock(&lock);
    --under_way;
    pthread_mutex_unlock(&lock);
    f->on_done(f->arg, &a);
    free(f);
}

static void on_timer(struct loop_timer *t)
{
    finish((struct fetch *)t);
}

static void on_message(struct loop_message *m)
{
    finish((struct fetch *)((char *)m - offsetof(struct fetch, message)));
}

void played_release(unsigned status)
{
    pthread_mutex_lock(&lock);
    struct fetch *f = waiting;
    waiting = NULL;
    pthread_mutex_unlock(&lock);
    while (f != NULL) {
        struct fetch *next = f->next;
        f->status = status;
        f->message.run = on_message;
        loop_post(f->loop, &f->message);
        f = next;
    }
}

static void keep(char *to, size_t room, const struct fetch_request *r, const char *name)
{
    for (size_t i = 0; i != r->header_count; ++i)
        if (str_eq(r->headers[i].name, str_from(name)))
            snprintf(to, room, "%.*s", STR_FMT(r->headers[i].value));
}

struct fetch *fetch_start(const struct fetch_request *r,
                          void (*on_done)(void *arg, const struct fetch_answer *a), void *arg)
{
    struct fetch *f = calloc(1, sizeof *f);
    pthread_mutex_lock(&lock);
    if (f == NULL || count == PLAYED_MAX)
        abort();
    struct played_request *p = &played[count];
    *p = (struct played_request){
        .at_ms = clock_monotonic_ms(), .body = str_dup(r->body), .redirects = r->redirects};
    snprintf(p->url, sizeof p->url, "%.*s", STR_FMT(r->url));
    snprintf(p->project_id, sizeof p->project_id, "%.*s", STR_FMT(r->project_id));
    keep(p->id, sizeof p->id, r, "webhook-id");
    keep(p->timestamp, sizeof p->timestamp, r, "webhook-timestamp");
    keep(p->signature, sizeof p->signature, r, "webhook-signature");
    ++count;
    if (++under_way > most)
        most = under_way;
    *f = (struct fetch){.timer.run = on_timer,
                        .loop = loop_self(),
                        .status = answer_of != NULL ? answer_of(p) : 200,
                        .on_done = on_done,
                        .arg = arg};
    bool waits = f->status == 0;
    if (waits) {
        f->next = waiting;
        waiting = f;
    }
    pthread_mutex_unlock(&lock);
    if (!waits)
        loop_timer_start(&f->timer, 1);
    return f;
}
