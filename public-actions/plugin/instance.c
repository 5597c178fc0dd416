// Instances: their queues, and who may use a worker when. One for each deployment of an instance that
// is asked: code of a preview, of before a switch and of after it never meet in a process, and each
// run is of the deployment that its record names.
//
// A plugin has at most queue_runs runs waiting. What a loop gives out is leave to be at work: a
// worker that would take up work when too many are at it already (of this plugin, or of the loop)
// waits in line, instance behind instance within its plugin, and the plugins take turns. A worker
// whose runs merely wait for answers is not at work.
#include <stdlib.h>
#include "edge/base/log.h"
#include "public-actions/plugin/internal.h"

// --- finding them ---
static size_t bucket_of(const char *id)
{
    uint32_t hash = 2166136261;
    for (; *id != '\0'; ++id)
        hash = (hash ^ (uint8_t)*id) * 16777619;
    return hash % DESK_BUCKETS;
}

static struct share *share_of(const char *plugin_id)
{
    struct share **at = &plugin_desk()->shares[bucket_of(plugin_id)];
    while (*at != NULL && strcmp((*at)->id, plugin_id) != 0)
        at = &(*at)->next;
    if (*at == NULL) {
        if ((*at = calloc(1, sizeof **at)) == NULL)
            abort();
        memcpy((*at)->id, plugin_id, strlen(plugin_id) + 1);
    }
    ++(*at)->instances;
    return *at;
}

static void share_release(struct share *share)
{
    struct share **at = &plugin_desk()->shares[bucket_of(share->id)];
    if (--share->instances != 0)
        return;
    while (*at != share)
        at = &(*at)->next;
    *at = share->next;
    free(share);
}

static void on_retry(struct loop_timer *t)
{
    plugin_instance_feed(
        (struct plugin_instance *)((char *)t - offsetof(struct plugin_instance, retry)));
}

static struct plugin_instance *create(struct handler *handler)
{
    struct plugin_instance *in = calloc(1, sizeof *in);
    if (in == NULL)
        abort();
    memcpy(in->id, handler->instance_id, sizeof in->id);
    in->share = share_of(handler->plugin_id);
    in->handler = handler;
    shared_ref(&handler->shared);
    in->retry.run = on_retry;
    return in;
}

static bool is_of(const struct plugin_instance *in, const struct handler *h)
{
    return strcmp(in->id, h->instance_id) == 0 &&
           strcmp(in->handler->deployment_id, h->deployment_id) == 0;
}

// What ran the same instance's other code goes when it has idled long enough, unless visitors come
// back to it: a preview's and the live one's may be wanted in turn.
static void let_others_go(const struct plugin_instance *in)
{
    struct plugin_instance *other = plugin_desk()->instances[bucket_of(in->id)];
    for (; other != NULL; other = other->next) {
        if (other == in || strcmp(other->id, in->id) != 0)
            continue;
        for (size_t i = 0; i != WORKERS_PER_INSTANCE; ++i)
            if (other->workers[i] != NULL)
                worker_watch_idling(other->workers[i]);
    }
}

bool plugin_instance_is_superseded(const struct plugin_instance *in)
{
    const struct plugin_instance *other = plugin_desk()->instances[bucket_of(in->id)];
    while (other != NULL && (strcmp(other->id, in->id) != 0 || other->used <= in->used))
        other = other->next;
    return other != NULL;
}

struct plugin_instance *plugin_instance_of(struct handler *handler)
{
    struct desk *desk = plugin_desk();
    struct plugin_instance **at = &desk->instances[bucket_of(handler->instance_id)];
    while (*at != NULL && !is_of(*at, handler))
        at = &(*at)->next;
    if (*at == NULL)
        *at = create(handler);
    struct plugin_instance *in = *at;
    bool takes_over = plugin_instance_is_superseded(in);
    in->used = ++desk->uses;
    if (takes_over)
        let_others_go(in);
    return in;
}

// --- offences ---
static unsigned offences_within(const struct offences *o, uint64_t ms)
{
    uint64_t now = loop_now(loop_self());
    unsigned n = 0;
    for (size_t i = 0; i != CRASHES_A_MINUTE; ++i)
        n += o->at[i] != 0 && now - o->at[i] < ms;
    return n;
}

bool plugin_instance_is_barred(const struct plugin_instance *in)
{
    return offences_within(&in->kills, OFFENCE_MS) >= KILLS_A_MINUTE ||
           offences_within(&in->crashes, OFFENCE_MS) >= CRASHES_A_MINUTE;
}

void plugin_instance_offends(struct plugin_instance *in, bool is_kill)
{
    struct offences *o = is_kill ? &in->kills : &in->crashes;
    bool was_barred = plugin_instance_is_barred(in);
    o->at[o->next] = loop_now(loop_self());
    o->next = (o->next + 1) % CRASHES_A_MINUTE;
    if (!plugin_instance_is_barred(in) || was_barred)
        return;
    log_warn("a handler is left alone for up to a minute: its workers keep failing",
             "plugin=%s instance=%s deployment=%s kills=%u crashes=%u", in->share->id, in->id,
             in->handler->deployment_id, offences_within(&in->kills, OFFENCE_MS),
             offences_within(&in->crashes, OFFENCE_MS));
}

bool plugin_instance_forget(struct plugin_instance **at)
{
    struct plugin_instance *in = *at;
    if (in->first != NULL || in->worker_count != 0 || in->is_waiting ||
        worker_memory_remembers(in) ||
        offences_within(&in->kills, OFFENCE_MS) + offences_within(&in->crashes, OFFENCE_MS) != 0)
        return false;
    *at = in->next;
    loop_timer_stop(&in->retry);
    share_release(in->share);
    shared_unref(&in->handler->shared);
    free(in);
    return true;
}

// --- the queue ---
static struct plugin_run *run_of(struct loop_timer *deadline)
{
    return (struct plugin_run *)((char *)deadline - offsetof(struct plugin_run, _.deadline));
}

static void on_waited(struct loop_timer *t)
{
    struct plugin_run *run = run_of(t);
    plugin_instance_unqueue(run);
    plugin_finish(run, PLUGIN_BUSY, (str){0}, (str){0});
}

void plugin_instance_queue(struct plugin_instance *in, struct plugin_run *run, bool at_front)
{
    struct plugin_run *previous = at_front ? NULL : in->last, *next = at_front ? in->first : NULL;
    run->_.instance = in;
    run->_.step = RUN_QUEUED;
    run->_.previous = previous;
    run->_.next = next;
    *(previous != NULL ? &previous->_.next : &in->first) = run;
    *(next != NULL ? &next->_.previous : &in->last) = run;
    ++in->share->queued;
    run->_.deadline.run = on_waited;
    loop_timer_start(&run->_.deadline, QUEUE_WAIT_MS);
}

void plugin_instance_unqueue(struct plugin_run *run)
{
    struct plugin_instance *in = run->_.instance;
    struct plugin_run *previous = run->_.previous, *next = run->_.next;
    *(previous != NULL ? &previous->_.next : &in->first) = next;
    *(next != NULL ? &next->_.previous : &in->last) = previous;
    run->_.next = run->_.previous = NULL;
    run->_.step = RUN_NEW;
    --in->share->queued;
    loop_timer_stop(&run->_.deadline);
}

void plugin_instance_refuse(struct plugin_instance *in, enum plugin_outcome outcome, str meta)
{
    struct plugin_run *list = in->first, *run;
    for (run = list; run != NULL; run = run->_.next) // those that on_done starts are not meant
        run->_.step = RUN_REFUSED;
    while ((run = in->first) != NULL && run->_.step == RUN_REFUSED) {
        plugin_instance_unqueue(run);
        plugin_finish(run, outcome, meta, (str){0});
    }
}

// --- leave to be at work ---
static bool may_work(const struct plugin_instance *in)
{
    return plugin_desk()->busy < BUSY_PER_LOOP && in->share->busy < BUSY_PER_PLUGIN;
}

static void wait_for_leave(struct plugin_instance *in)
{
    struct desk *desk = plugin_desk();
    struct share *share = in->share;
    if (in->is_waiting)
        return;
    in->is_waiting = true;
    in->next_waiting = NULL;
    *(share->first_waiting == NULL ? &share->first_waiting : &share->last_waiting->next_waiting) =
        in;
    share->last_waiting = in;
    if (share->is_waiting)
        return;
    share->is_waiting = true;
    share->next_waiting = NULL;
    *(desk->first_waiting == NULL ? &desk->first_waiting : &desk->last_waiting->next_waiting) =
        share;
    desk->last_waiting = share;
}

static struct share *next_share(struct desk *desk)
{
    struct share *share = desk->first_waiting;
    desk->first_waiting = share->next_waiting;
    share->is_waiting = false;
    return share;
}

static struct plugin_instance *next_instance(struct share *share)
{
    struct plugin_instance *in = share->first_waiting;
    share->first_waiting = in->next_waiting;
    in->is_waiting = false;
    return in;
}

static void wait_again(struct desk *desk, struct share *share)
{
    if (share->first_waiting == NULL || share->is_waiting)
        return;
    share->is_waiting = true;
    share->next_waiting = NULL;
    *(desk->first_waiting == NULL ? &desk->first_waiting : &desk->last_waiting->next_waiting) =
        share;
    desk->last_waiting = share;
}

// One instance of each plugin, then again, while there is leave to give.
void plugin_instance_serve(struct loop_timer *t)
{
    struct desk *desk = plugin_desk();
    struct share *last = NULL; // the last one in a row that could not go on
    while (desk->first_waiting != NULL && desk->busy < BUSY_PER_LOOP) {
        struct share *share = next_share(desk);
        if (share == last) { // all that wait are at their own limit
            wait_again(desk, share);
            return;
        }
        if (share->busy < BUSY_PER_PLUGIN) {
            plugin_instance_feed(next_instance(share));
            last = NULL;
        } else if (last == NULL) {
            last = share;
        }
        wait_again(desk, share);
    }
}

void plugin_instance_heat(struct plugin_instance *in, bool is_at_work)
{
    struct desk *desk = plugin_desk();
    if (is_at_work) {
        ++desk->busy;
        ++in->share->busy;
        worker_memory_at_work();
        return;
    }
    --desk->busy;
    --in->share->busy;
    if (desk->first_waiting != NULL && !loop_timer_is_running(&desk->serve))
        loop_timer_start(&desk->serve, 0);
}

// --- giving runs to workers ---
static bool is_better(const struct worker *a, const struct worker *b)
{
    return b == NULL || a->unstarted < b->unstarted ||
           (a->unstarted == b->unstarted && a->run_count < b->run_count);
}

static struct worker *best_worker(const struct plugin_instance *in)
{
    struct worker *best = NULL;
    for (size_t i = 0; i != WORKERS_PER_INSTANCE; ++i)
        if (in->workers[i] != NULL && worker_has_room(in->workers[i]) &&
            is_better(in->workers[i], best))
            best = in->workers[i];
    return best;
}

static bool is_starting_one(const struct plugin_instance *in)
{
    for (size_t i = 0; i != WORKERS_PER_INSTANCE; ++i)
        if (in->workers[i] != NULL && in->workers[i]->state < WORKER_IS_LIVE)
            return true;
    return false;
}

static size_t free_place(const struct plugin_instance *in)
{
    size_t i = 0;
    while (i != WORKERS_PER_INSTANCE && in->workers[i] != NULL)
        ++i;
    return i;
}

static void want_worker(struct plugin_instance *in, bool is_first)
{
    size_t place = free_place(in);
    if (place == WORKERS_PER_INSTANCE || is_starting_one(in) || loop_timer_is_running(&in->retry))
        return;
    if (!may_work(in)) {
        if (is_first)
            wait_for_leave(in);
    } else if (worker_memory_has_room(in, is_first)) {
        in->workers[place] = worker_wish(in);
    } else if (is_first) {
        loop_timer_start(&in->retry, RETRY_MS);
    }
}

// False: it goes on when a worker has room, has been started, or leave is given.
static bool feed_one(struct plugin_instance *in)
{
    struct worker *w = best_worker(in);
    if (w == NULL || w->unstarted >= SECOND_WORKER_AT)
        want_worker(in, w == NULL && free_place(in) == 0);
    if (w == NULL)
        return false;
    if (w->heat == 0 && !may_work(in)) {
        wait_for_leave(in);
        return false;
    }
    struct plugin_run *run = in->first;
    plugin_instance_unqueue(run);
    worker_give(w, run);
    return true;
}

void plugin_instance_feed(struct plugin_instance *in)
{
    while (in->first != NULL && feed_one(in))
        ;
}

bool plugin_instance_relieve(const struct worker *w)
{
    struct plugin_instance *in = w->instance;
    for (size_t i = 0; i != WORKERS_PER_INSTANCE; ++i)
        if (in->workers[i] != NULL && in->workers[i] != w &&
            in->workers[i]->state == WORKER_IS_LIVE && in->workers[i]->last_number < RUNS_PER_LIFE)
            return true;
    want_worker(in, false);
    return false;
}
