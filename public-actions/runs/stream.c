// Feeds belong to the loop of their request. Notices come in on the listener's thread and reach a
// loop as one message, however many there are: which instances they are for is gathered under a lock
// until the loop has looked.
#include "public-actions/runs/feed.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/auth/auth.h"
#include "edge/base/jsonx.h"
#include "edge/http/event_stream.h"
#include "public-actions/runs/api.h"

enum {
    PER_PROJECT_MAX = 20,
    IN_ALL_MAX = 1000,
    READ_ROWS = 16,
    READ_BYTES = 512 * 1024,
    AGAIN_MS = 1000, // when the pool or the database is busy
    WAKES_MAX = 16,
};

struct event_feed {
    struct later later;
    struct event_source source;
    struct job job;
    struct loop_timer again;
    struct event_stream *stream;        // NULL: not yet, or not any more
    struct event_feed *next, *previous; // of the loop
    unsigned loop;
    char project_id[CATALOG_ID_ROOM], instance_id[CATALOG_ID_ROOM], token_id[CATALOG_ID_ROOM];
    int64_t sent; // the number of the last event given to the stream
    bool is_reading, is_wanted;
    // what a read found
    struct buf text;
    int64_t read_to;
    enum fail fail;
    bool is_live, has_more;
};

// --- how many there are ---

struct project_count {
    char project_id[CATALOG_ID_ROOM];
    unsigned n;
};
static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER; // guards these two
static struct project_count counts[IN_ALL_MAX];
static unsigned count_in_all;

static struct project_count *count_of(const char *project_id)
{
    struct project_count *unused = NULL;
    for (size_t i = 0; i != IN_ALL_MAX; ++i) {
        if (counts[i].n == 0)
            unused = unused != NULL ? unused : &counts[i];
        else if (strcmp(counts[i].project_id, project_id) == 0)
            return &counts[i];
    }
    return unused;
}

static bool count_up(const char *project_id)
{
    pthread_mutex_lock(&count_lock);
    struct project_count *c = count_in_all != IN_ALL_MAX ? count_of(project_id) : NULL;
    bool ok = c != NULL && c->n != PER_PROJECT_MAX;
    if (ok) {
        snprintf(c->project_id, sizeof c->project_id, "%s", project_id);
        ++c->n;
        ++count_in_all;
    }
    pthread_mutex_unlock(&count_lock);
    return ok;
}

static void count_down(const char *project_id)
{
    pthread_mutex_lock(&count_lock);
    --count_of(project_id)->n;
    --count_in_all;
    pthread_mutex_unlock(&count_lock);
}

static void feed_free(struct event_feed *f)
{
    count_down(f->project_id);
    buf_fini(&f->text);
    free(f);
}

// --- wakes ---

struct wakes {
    struct loop_message message;
    char ids[WAKES_MAX][CATALOG_ID_ROOM];
    size_t n;
    bool all, is_posted;
};
static pthread_mutex_t wake_lock = PTHREAD_MUTEX_INITIALIZER; // guards wakes_of
static struct wakes wakes_of[LOOPS_MAX];
static _Atomic unsigned feeds_of[LOOPS_MAX];

static __thread struct event_feed *first;

static void want(struct event_feed *f);

static bool is_meant(const struct wakes *w, const struct event_feed *f)
{
    bool meant = w->all;
    for (size_t i = 0; i != w->n && !meant; ++i)
        meant = strcmp(w->ids[i], f->instance_id) == 0;
    return meant;
}

static void on_wakes(struct loop_message *m)
{
    struct wakes *shared = (struct wakes *)m, seen;
    pthread_mutex_lock(&wake_lock);
    seen = *shared;
    shared->n = 0;
    shared->all = shared->is_posted = false;
    pthread_mutex_unlock(&wake_lock);
    for (struct event_feed *f = first; f != NULL; f = f->next)
        if (is_meant(&seen, f))
            want(f);
}

static void add_wake(struct wakes *w, str id)
{
    for (size_t i = 0; i != w->n; ++i)
        if (str_eq(str_from(w->ids[i]), id))
            return;
    if (w->n == WAKES_MAX || str_eq(id, STR("*")))
        w->all = true;
    else
        snprintf(w->ids[w->n++], CATALOG_ID_ROOM, "%.*s", STR_FMT(id));
}

static bool is_ours(str id)
{
    if (str_eq(id, STR("*")))
        return true;
    for (size_t i = 0; i != id.n; ++i) {
        char c = id.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return id.n != 0 && id.n < CATALOG_ID_ROOM;
}

void event_feed_wake(str instance_id)
{
    if (!is_ours(instance_id))
        return;
    for (unsigned i = 0; i != loop_count(); ++i) {
        struct wakes *w = &wakes_of[i];
        if (feeds_of[i] == 0)
            continue;
        pthread_mutex_lock(&wake_lock);
        add_wake(w, instance_id);
        bool post = !w->is_posted;
        w->is_posted = true;
        pthread_mutex_unlock(&wake_lock);
        if (!post)
            continue; // the message is the loop's
        w->message.run = on_wakes;
        loop_post(loop_at(i), &w->message);
    }
}

// --- reading: a pool thread ---

static void add_frame(struct event_feed *f, const struct db_rows *rows, size_t row)
{
    json_auto_t *event = event_json(rows, row);
    size_t n = 0;
    char *text AUTOFREE = jsonx_dump(event, &n);
    buf_addf(&f->text, "id: %lld\ndata: ", (long long)db_get_int(rows, row, 0));
    buf_add(&f->text, str_of(text, n));
    buf_add(&f->text, STR("\n\n"));
    f->read_to = db_get_int(rows, row, 0);
}

static enum fail read_events(struct event_feed *f, struct fault *fault)
{
    struct db *db = db_of_thread();
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = auth_is_live(db, f->project_id, f->token_id, &f->is_live, fault);
    if (fail == FAIL_NONE && f->is_live)
        fail = runs_query_events_after(db, f->project_id, f->instance_id, f->sent, READ_ROWS, &rows,
                                       fault);
    if (fail != FAIL_NONE)
        return fail;
    size_t i = 0;
    while (i != db_count(rows) && f->text.n < READ_BYTES)
        add_frame(f, rows, i++);
    f->has_more = i != 0 && (i != db_count(rows) || i == READ_ROWS);
    return FAIL_NONE;
}

static void on_read(struct job *job)
{
    struct event_feed *f = (struct event_feed *)((char *)job - offsetof(struct event_feed, job));
    struct fault fault = {0};
    buf_clear(&f->text);
    f->read_to = f->sent;
    f->has_more = false;
    f->is_live = true;
    f->fail = read_events(f, &fault);
}

// --- on the loop ---

static void read_soon(struct event_feed *f)
{
    f->is_wanted = true;
    loop_timer_start(&f->again, AGAIN_MS);
}

static void on_done(struct job *job)
{
    struct event_feed *f = (struct event_feed *)((char *)job - offsetof(struct event_feed, job));
    f->is_reading = false;
    if (f->stream == NULL) {
        feed_free(f);
    } else if (f->fail != FAIL_NONE) {
        read_soon(f);
    } else if (!f->is_live) {
        event_stream_end(f->stream);
    } else if (f->text.n != 0) {
        f->is_wanted = f->is_wanted || f->has_more;
        if (event_stream_is_ready(f->stream)) {
            f->sent = f->read_to;
            event_stream_send(f->stream, buf_str(&f->text));
        } else {
            f->is_wanted = true; // a keep-alive is on its way: read again behind it
        }
    } else if (f->is_wanted) {
        want(f);
    }
}

static void want(struct event_feed *f)
{
    f->is_wanted = true;
    if (f->is_reading || f->stream == NULL || !event_stream_is_ready(f->stream))
        return;
    loop_timer_stop(&f->again);
    f->is_wanted = false;
    f->is_reading = true;
    f->job.run = on_read;
    f->job.done = on_done;
    if (pool_post(LANE_API, &f->job) != FAIL_NONE) {
        f->is_reading = false;
        read_soon(f);
    }
}

static struct event_feed *feed_of(struct event_source *s)
{
    return (struct event_feed *)((char *)s - offsetof(struct event_feed, source));
}

static void on_ready(struct event_source *s)
{
    struct event_feed *f = feed_of(s);
    if (f->is_wanted && !loop_timer_is_running(&f->again))
        want(f);
}

static void on_tick(struct event_source *s)
{
    want(feed_of(s));
}

static void on_again(struct loop_timer *t)
{
    want((struct event_feed *)((char *)t - offsetof(struct event_feed, again)));
}

static void link_in(struct event_feed *f)
{
    f->loop = loop_index(loop_self());
    f->next = first;
    if (first != NULL)
        first->previous = f;
    first = f;
    ++feeds_of[f->loop];
}

static void on_closed(struct event_source *s)
{
    struct event_feed *f = feed_of(s);
    loop_timer_stop(&f->again);
    if (f->next != NULL)
        f->next->previous = f->previous;
    if (f->previous != NULL)
        f->previous->next = f->next;
    else
        first = f->next;
    --feeds_of[f->loop];
    f->stream = NULL;
    if (!f->is_reading)
        feed_free(f);
}

// --- the answer ---

static bool read_last_id(struct request *r, int64_t *to)
{
    uint64_t number = 0;
    str id = request_header(r, HEADER_LAST_EVENT_ID);
    if (id.n == 0)
        return true;
    if (!str_to_u64(id, INT64_MAX, &number))
        return false;
    *to = (int64_t)number;
    return true;
}

static void start(struct later *l, struct request *r)
{
    struct event_feed *f = (struct event_feed *)l;
    if (r == NULL) {
        feed_free(f);
    } else if (!read_last_id(r, &f->sent)) {
        feed_free(f);
        reply_error(r, 422, "invalid_last_event_id",
                    "Last-Event-ID must be the id of an event of this stream.", NULL, 0);
    } else if (r->method == METHOD_HEAD) {
        feed_free(f);
        event_stream_head(r);
    } else {
        link_in(f);
        f->is_wanted = true; // what came since the endpoint looked, or since Last-Event-ID
        f->stream = event_stream_open(r, &f->source);
    }
}

static void drop(struct later *l)
{
    feed_free((struct event_feed *)l);
}

struct later *event_feed_later(struct event_feed *f)
{
    return &f->later;
}

enum fail event_feed_create(const char *project_id, const char *instance_id, const char *token_id,
                            int64_t after, struct event_feed **ret, struct fault *fault)
{
    if (!count_up(project_id))
        return fault_set(fault, FAIL_TOO_MANY, "too_many_streams",
                         "There are too many event streams open. Close one, or try again later.");
    struct event_feed *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    f->later = (struct later){start, drop};
    f->source = (struct event_source){on_ready, on_tick, on_closed};
    f->again.run = on_again;
    f->sent = after;
    snprintf(f->project_id, sizeof f->project_id, "%s", project_id);
    snprintf(f->instance_id, sizeof f->instance_id, "%s", instance_id);
    snprintf(f->token_id, sizeof f->token_id, "%s", token_id);
    // the last event of a read may begin below the bound and end above it
    buf_init(&f->text, READ_BYTES + 8 * RUN_PAYLOAD_MAX);
    *ret = f;
    return FAIL_NONE;
}

void event_feed_metrics(struct buf *to)
{
    pthread_mutex_lock(&count_lock);
    unsigned n = count_in_all;
    pthread_mutex_unlock(&count_lock);
    buf_addf(to,
             "# HELP stoa_event_streams Event streams that are open.\n"
             "# TYPE stoa_event_streams gauge\nstoa_event_streams %u\n",
             n);
}
