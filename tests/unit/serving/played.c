#include "played.h"
#include <assert.h>
#include <stdlib.h>
#include "edge/http/reply.h"

struct loop {
    unsigned index;
    struct loop_message *first, **last;
};

static struct loop loops[PLAYED_LOOPS];
static struct loop *self;
static struct job *first_job, **last_job = &first_job;
static size_t job_count;
static uint64_t now = 1000;
static bool is_full;

struct loop *played_loop(unsigned index)
{
    loops[index].index = index;
    if (loops[index].last == NULL)
        loops[index].last = &loops[index].first;
    return &loops[index];
}

void play_as(struct loop *loop)
{
    self = loop;
}

void play_time(uint64_t ms)
{
    now += ms;
}

void play_pool_is_full(bool full)
{
    is_full = full;
}

void play_messages(struct loop *loop)
{
    struct loop *before = self;
    self = loop;
    while (loop->first != NULL) {
        struct loop_message *m = loop->first;
        loop->first = m->_next;
        if (loop->first == NULL)
            loop->last = &loop->first;
        m->run(m);
    }
    self = before;
}

bool play_job(void)
{
    struct job *j = first_job;
    struct loop *before = self;
    if (j == NULL)
        return false;
    first_job = j->_next;
    if (first_job == NULL)
        last_job = &first_job;
    job_count--;
    self = NULL;
    j->run(j);
    self = j->_origin;
    if (j->done != NULL)
        j->done(j);
    self = before;
    return true;
}

size_t played_jobs(void)
{
    return job_count;
}

void play_all(void)
{
    bool more;
    do {
        more = play_job();
        for (unsigned i = 0; i < PLAYED_LOOPS; i++) {
            more = more || loops[i].first != NULL;
            play_messages(&loops[i]);
        }
    } while (more);
}

// --- what the code under test calls ---

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
    return PLAYED_LOOPS;
}
struct loop *loop_at(unsigned index)
{
    return played_loop(index);
}
uint64_t loop_now(const struct loop *loop)
{
    return now;
}

void loop_post(struct loop *loop, struct loop_message *m)
{
    m->_next = NULL;
    *loop->last = m;
    loop->last = &m->_next;
}

enum fail pool_post(enum lane lane, struct job *j)
{
    assert(lane == LANE_LOAD);
    if (is_full)
        return FAIL_BUSY;
    j->_origin = self;
    j->_next = NULL;
    *last_job = j;
    last_job = &j->_next;
    job_count++;
    return FAIL_NONE;
}

// Prebuilt headers are not looked at here.
struct reply_headers *reply_headers_create(void)
{
    return calloc(1, 1);
}
void reply_headers_add(struct reply_headers *h, const char *name, str value)
{
    assert(h != NULL && name[0] != '\0' && value.n > 0);
}
void reply_headers_destroy(struct reply_headers *h)
{
    free(h);
}
