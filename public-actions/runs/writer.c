// The writer: one thread, one connection, one transaction at a time. Whoever waits for a record is
// served first: while a transaction commits, the next ones gather, and an idle server waits for
// nothing. Only when the last transaction had more of them than are here by now, one to two
// milliseconds are given to the rest, which are likely on their way. Records nobody waits for go out
// every fifth of a second.
//
// With the database away, waited-for records fail without being tried again, the others are kept up
// to a bound; every half second one batch is tried. A database that neither answers nor refuses is
// noticed by a timer of the first loop, so that no visitor waits for it.
#include "public-actions/runs/internal.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/limits/holdings.h"

enum {
    LINGER_MS = 1,
    OTHERS_MS = 200,
    AWAY_MS = 500,
    STUCK_MS = 3000, // a transaction that takes longer: nobody waits for it, nor behind it
    STOP_MS = 5000,
    WATCH_MS = 500,
    EVENT_ROW_BYTES = 4096, // what one is taken to cost beside its text: a delivery a subscription
};
static const size_t batch_bytes_max = 8u << 20,
                    batch_share_max = 1u << 20; // one project's, of what is waited for

struct entry {
    struct entry *next;
    struct run_record *record;
    struct loop *loop;
    struct run_kept *kept; // NULL: nobody waits (any more)
    size_t bytes;
    bool is_waited; // somebody waits, or did
};
struct queue {
    struct entry *first, **last;
    size_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards all below, and entries' `kept`
static pthread_cond_t changed;
static struct queue waited, others;
static uint64_t waited_since, others_since; // monotonic ms: when the first of them came
static size_t last_waited;                  // how many the last transaction had
static uint64_t writing_since;              // 0: between transactions
static struct entry *batch[RUN_BATCH_MAX];
static size_t batch_count;
static uint64_t away_until, stop_by; // 0: not away, not stopping
static bool has_stopped;
static struct {
    uint64_t written, dropped, refused, batches;
} totals;

// The writer thread's own.
static struct db *connection;
static bool was_told; // that the database is away

// --- the queues ---

static void put(struct queue *q, struct entry *e)
{
    if (q->count == 0)
        q->last = &q->first;
    e->next = NULL;
    *q->last = e;
    q->last = &e->next;
    ++q->count;
}

static struct entry *take_at(struct queue *q, struct entry **at)
{
    struct entry *e = *at;
    if ((*at = e->next) == NULL)
        q->last = at;
    --q->count;
    return e;
}

static struct entry *take(struct queue *q)
{
    return take_at(q, &q->first);
}

static void entry_free(struct entry *e)
{
    run_record_destroy(e->record);
    free(e);
}

// Tells who waits, if anybody still does. Under the lock.
static void settle(struct entry *e, enum fail fail)
{
    struct run_kept *kept = e->kept;
    if (kept == NULL)
        return;
    e->kept = NULL;
    kept->fail = fail;
    totals.refused += fail != FAIL_NONE;
    loop_post(e->loop, &kept->message);
}

// One that has no room.
static void refuse(struct entry *e)
{
    if (e->kept == NULL)
        ++totals.dropped;
    settle(e, FAIL_BUSY);
    entry_free(e);
}

static void drop(struct entry *e)
{
    runs_room_vacate(e->record->project_id, e->bytes, e->is_waited);
    refuse(e);
}

static void fail_waited(void)
{
    while (waited.count != 0)
        drop(take(&waited));
}

static bool is_stuck(uint64_t now)
{
    return writing_since != 0 && now > writing_since + STUCK_MS; // `now` may be a moment older
}

static size_t bytes_of(const struct run_record *r)
{
    size_t events = r->is_preview ? 0 : json_array_size(r->events); // a row each, with all of it
    size_t event = EVENT_ROW_BYTES + (r->payload.full ? 0 : r->payload.n);
    return sizeof *r + sizeof(struct entry) + r->log.n + r->error.n + r->facts.n + r->payload.n +
           events * event;
}

void runs_record(struct run_record *r, struct loop *loop, struct run_kept *on_kept)
{
    struct entry *e = calloc(1, sizeof *e);
    if (e == NULL)
        abort();
    assert(run_outcome_is_known(str_from(r->outcome)));
    run_record_bound(r, runs_options.log_bytes_per_day);
    *e = (struct entry){.record = r,
                        .loop = loop,
                        .kept = on_kept,
                        .bytes = bytes_of(r),
                        .is_waited = on_kept != NULL};
    uint64_t now = clock_monotonic_ms();
    pthread_mutex_lock(&lock);
    bool is_hopeless = stop_by != 0 || (on_kept != NULL && (away_until > now || is_stuck(now)));
    if (is_hopeless || !runs_room_occupy(r->project_id, e->bytes, e->is_waited)) {
        refuse(e);
    } else if (on_kept != NULL) {
        if (waited.count == 0)
            waited_since = now;
        put(&waited, e);
        pthread_cond_signal(&changed);
    } else {
        if (others.count == 0)
            others_since = now;
        put(&others, e);
        if (others.count == 1 || others.count == RUN_BATCH_MAX)
            pthread_cond_signal(&changed);
    }
    pthread_mutex_unlock(&lock);
}

// --- a batch, under the lock ---

static bool others_are_due(uint64_t now)
{
    return others.count >= RUN_BATCH_MAX || stop_by != 0 ||
           (others.count != 0 && now >= others_since + OTHERS_MS);
}

static bool waited_are_due(uint64_t now)
{
    return waited.count != 0 && (waited.count >= last_waited || now > waited_since + LINGER_MS);
}

// A project's oldest is always taken; more of its own while they fit in `share`. What is passed over
// is first the next time.
static void take_from(struct queue *q, size_t *bytes, size_t share)
{
    size_t before = batch_count;
    struct holdings taken = {0};
    for (struct entry **at = &q->first; *at != NULL && batch_count != RUN_BATCH_MAX;) {
        struct entry *e = *at;
        struct holding has = holdings_of(&taken, e->record->project_id);
        if (batch_count != 0 && *bytes + e->bytes > batch_bytes_max)
            break;
        if (has.count != 0 && has.bytes + e->bytes > share) {
            at = &e->next;
            continue;
        }
        batch[batch_count++] = take_at(q, at);
        *bytes += e->bytes;
        holdings_add(&taken, e->record->project_id, e->bytes);
    }
    for (size_t i = before; i != batch_count; ++i)
        holdings_remove(&taken, batch[i]->record->project_id, batch[i]->bytes);
}

static void gather(uint64_t now)
{
    size_t bytes = 0;
    batch_count = 0;
    take_from(&waited, &bytes, batch_share_max);
    last_waited = batch_count != 0 ? batch_count : last_waited;
    if (others_are_due(now)) {
        take_from(&others, &bytes, batch_bytes_max);
        others_since =
            now; // what is left is due after one more of these spans, or when there is enough
    }
}

// Back to the front, in their order, when it was the database's fault.
static void put_back(struct entry *e)
{
    if (others.count == 0)
        others.last = &e->next;
    e->next = others.first;
    others.first = e;
    ++others.count;
}

static void finish(struct entry *e, enum fail fail)
{
    settle(e, fail);
    runs_room_vacate(e->record->project_id, e->bytes, e->is_waited);
    if (fail == FAIL_NONE)
        ++totals.written;
    else
        ++totals.dropped;
    entry_free(e);
}

static void finish_away(void)
{
    for (size_t i = batch_count; i-- != 0;) {
        struct entry *e = batch[i];
        if (e->kept != NULL || stop_by != 0) {
            drop(e);
        } else {
            put_back(e);
        }
    }
    fail_waited();
}

// --- the transaction, outside of the lock ---

static void clean_text(char *z)
{
    run_text_clean(z, strlen(z));
}

static void clean_buf(struct buf *b)
{
    if (b->n != 0)
        run_text_clean(b->p, b->n);
}

static void clean(struct run_record *r)
{
    clean_text(r->action);
    clean_text(r->visitor);
    clean_text(r->actor);
    clean_buf(&r->log);
    clean_buf(&r->error);
    clean_buf(&r->facts);
    clean_buf(&r->payload);
    if (r->error.full)
        buf_clear(&r->error);
    if (r->facts.full)
        buf_clear(&r->facts);
}

static enum fail connect_when_lost(struct fault *fault)
{
    if (connection != NULL && db_is_connected(connection))
        return FAIL_NONE;
    db_close(connection);
    connection = NULL;
    enum fail f = db_open(runs_options.database, &connection, fault);
    return f == FAIL_NONE ? runs_query_writer_session(connection, fault) : f;
}

static enum fail write_some(struct run_record *const *list, size_t n, bool is_waited,
                            bool *ret_deliveries, struct fault *fault)
{
    enum fail f = connect_when_lost(fault);
    if (f == FAIL_NONE)
        f = runs_query_insert(connection, list, n, is_waited, ret_deliveries, fault);
    return f;
}

// A whole batch, or, when something in it is refused for its own sake, each by itself: one bad
// record takes no other with it.
static bool write_batch(bool is_waited, enum fail result[RUN_BATCH_MAX], struct fault *fault)
{
    struct run_record *list[RUN_BATCH_MAX];
    bool deliveries = false, any = false;
    for (size_t i = 0; i != batch_count; ++i)
        clean(list[i] = batch[i]->record);
    enum fail f = write_some(list, batch_count, is_waited, &deliveries, fault);
    any = deliveries;
    for (size_t i = 0; i != batch_count; ++i) {
        result[i] = f;
        if (f == FAIL_NONE || f == FAIL_BUSY || batch_count == 1)
            continue;
        result[i] = write_some(&list[i], 1, is_waited, &deliveries, fault);
        any = any || deliveries;
    }
    if (any)
        deliver_wake();
    return f != FAIL_BUSY;
}

static void tell_away(const struct fault *fault)
{
    if (!was_told)
        log_warn("runs cannot be recorded; those without events are kept for a while", "reason=%s",
                 LOG_STR(str_from(fault->log_text)));
    was_told = true;
}

static void tell_back(void)
{
    if (was_told)
        log_info("runs are recorded again", "database=back");
    was_told = false;
}

static void tell_refused(const enum fail *result, const struct fault *fault)
{
    size_t refused = 0;
    for (size_t i = 0; i != batch_count; ++i)
        refused += result[i] != FAIL_NONE;
    if (refused != 0)
        log_error("the database refuses records of runs", "count=%zu reason=%s", refused,
                  LOG_STR(str_from(fault->log_text)));
}

// Called and returns under the lock.
static void write_gathered(void)
{
    enum fail result[RUN_BATCH_MAX];
    struct fault fault = {0};
    bool is_waited = batch[0]->kept != NULL;
    ++totals.batches;
    writing_since = clock_monotonic_ms();
    pthread_mutex_unlock(&lock);
    bool reached = write_batch(is_waited, result, &fault);
    if (reached) {
        tell_back();
        tell_refused(result, &fault);
    } else {
        tell_away(&fault);
    }
    pthread_mutex_lock(&lock);
    writing_since = 0;
    if (!reached) {
        away_until = clock_monotonic_ms() + AWAY_MS;
        finish_away();
    } else {
        away_until = 0;
        for (size_t i = 0; i != batch_count; ++i)
            finish(batch[i], result[i]);
    }
    batch_count = 0;
}

// --- the thread ---

static void wait_until(uint64_t at)
{
    struct timespec ts = {.tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000};
    pthread_cond_timedwait(&changed, &lock, &ts);
}

// True when there is a batch; false when all is written, or the time for it over.
static bool next_batch(void)
{
    for (;;) {
        uint64_t now = clock_monotonic_ms();
        bool is_away = away_until > now, none = waited.count + others.count == 0;
        if (stop_by != 0 && (none || now >= stop_by))
            return false;
        if (!is_away && (waited_are_due(now) || others_are_due(now)) && !none) {
            gather(now);
            return true;
        }
        if (is_away)
            wait_until(away_until);
        else if (waited.count != 0)
            wait_until(waited_since + LINGER_MS + 1);
        else if (others.count != 0)
            wait_until(others_since + OTHERS_MS);
        else
            pthread_cond_wait(&changed, &lock);
    }
}

static void *writer_main(void *arg)
{
    pthread_setname_np(pthread_self(), "runs");
    pthread_mutex_lock(&lock);
    while (next_batch())
        write_gathered();
    fail_waited();
    while (others.count != 0)
        drop(take(&others));
    db_close(connection);
    connection = NULL;
    has_stopped = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

// --- the watch: loop 0 ---

static struct loop_timer watch;
static struct loop_message watch_message;

static void on_watch(struct loop_timer *t)
{
    uint64_t now = clock_monotonic_ms();
    pthread_mutex_lock(&lock);
    if (is_stuck(now)) {
        for (size_t i = 0; i != batch_count; ++i)
            settle(batch[i], FAIL_BUSY);
        fail_waited();
    }
    bool goes_on = !has_stopped;
    pthread_mutex_unlock(&lock);
    if (goes_on)
        loop_timer_start(t, WATCH_MS);
}

static void on_watch_message(struct loop_message *m)
{
    watch.run = on_watch;
    loop_timer_start(&watch, WATCH_MS);
}

static void start_watch(void)
{
    watch_message.run = on_watch_message;
    if (loop_count() != 0)
        loop_post(loop_at(0), &watch_message);
}

// --- life ---

void runs_writer_start(void)
{
    pthread_condattr_t attributes;
    pthread_t thread;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&thread, NULL, writer_main, NULL) != 0)
        abort();
    pthread_detach(thread);
    start_watch();
}

void runs_writer_stop(void)
{
    pthread_mutex_lock(&lock);
    stop_by = clock_monotonic_ms() + STOP_MS;
    pthread_cond_broadcast(&changed);
    while (!has_stopped && clock_monotonic_ms() < stop_by + 100)
        wait_until(stop_by + 100);
    pthread_mutex_unlock(&lock);
}

void runs_writer_metrics(struct buf *to)
{
    pthread_mutex_lock(&lock);
    uint64_t written = totals.written, dropped = totals.dropped, refused = totals.refused,
             batches = totals.batches, queued = waited.count + others.count;
    pthread_mutex_unlock(&lock);
    buf_addf(to,
             "# HELP stoa_runs_recorded_total Runs written to the database.\n"
             "# TYPE stoa_runs_recorded_total counter\nstoa_runs_recorded_total %llu\n"
             "# HELP stoa_runs_dropped_total Runs whose record was lost: the queue was full, or "
             "the database refused it.\n"
             "# TYPE stoa_runs_dropped_total counter\nstoa_runs_dropped_total %llu\n"
             "# HELP stoa_runs_not_kept_total Runs with events that were answered 503, since they "
             "could not be committed.\n"
             "# TYPE stoa_runs_not_kept_total counter\nstoa_runs_not_kept_total %llu\n"
             "# HELP stoa_runs_batches_total Transactions they were written in.\n"
             "# TYPE stoa_runs_batches_total counter\nstoa_runs_batches_total %llu\n"
             "# HELP stoa_runs_queued Runs waiting to be written.\n"
             "# TYPE stoa_runs_queued gauge\nstoa_runs_queued %llu\n",
             (unsigned long long)written, (unsigned long long)dropped, (unsigned long long)refused,
             (unsigned long long)batches, (unsigned long long)queued);
}
