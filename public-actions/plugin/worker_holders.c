// How much of workers_memory each project's workers hold, who asks for more, and who would have to
// give it. Each loop counts its own workers here, and may ask about anybody's: the one table is of
// the process, and locked.
//
// A project's share is what all can have that want as much: who wants less has it, the others as much
// as each other (max-min). Nobody loses what it holds up to its share while runs are in it, and who
// would go beyond its own takes nothing from others. So nothing goes to and fro: who was given room
// holds no more than its share with it, and who gave some would go beyond its share with what it lost.
// Workers differ in size, so who has some already takes one only where the other has as much left.
#include <pthread.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "public-actions/plugin/internal.h"

enum {
    ASKED_MS = 3 * RETRY_MS, // who asks, asks again each RETRY_MS
    OVER_MS = 200,           // over workers_memory for so long: those that idle have gone by then
};

struct worker_holder {
    struct worker_holder *next;
    char project_id[CATALOG_ID_ROOM];
    unsigned workers;
    _Atomic uint64_t bytes;
    uint64_t wants;                   // on top of that, when it asked last
    uint64_t asks_until, takes_until; // ms of the monotonic clock; the second: it has waited long
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct worker_holder *holders; // guarded by lock: this, and what hangs there
static _Atomic uint64_t asked_until;  // of all of them; without the lock
static _Atomic uint64_t over_since;   // 0: it is not

// --- who is there ---

// Where it is, or NULL's place at the end. Those that hold and ask nothing any more are left out.
static struct worker_holder **find(const char *project_id)
{
    uint64_t now = clock_monotonic_ms();
    struct worker_holder **at = &holders;
    while (*at != NULL && strcmp((*at)->project_id, project_id) != 0) {
        struct worker_holder *h = *at;
        if (h->workers != 0 || now < h->asks_until) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        free(h);
    }
    return at;
}

static struct worker_holder *find_or_create(const char *project_id)
{
    struct worker_holder **at = find(project_id);
    if (*at == NULL) {
        if ((*at = calloc(1, sizeof **at)) == NULL)
            abort();
        memcpy((*at)->project_id, project_id, strlen(project_id) + 1);
    }
    return *at;
}

struct worker_holder *worker_holder_join(const char *project_id)
{
    pthread_mutex_lock(&lock);
    struct worker_holder *h = find_or_create(project_id);
    ++h->workers;
    pthread_mutex_unlock(&lock);
    return h;
}

void worker_holder_leave(struct worker_holder *h)
{
    pthread_mutex_lock(&lock);
    --h->workers;
    pthread_mutex_unlock(&lock);
}

void worker_holder_count(struct worker_holder *h, int64_t by)
{
    atomic_fetch_add_explicit(&h->bytes, (uint64_t)by, memory_order_relaxed);
}

uint64_t worker_holder_bytes(const struct worker_holder *h)
{
    return atomic_load_explicit(&h->bytes, memory_order_relaxed);
}

// --- shares; all under the lock ---
static uint64_t demand(const struct worker_holder *h, uint64_t now)
{
    return worker_holder_bytes(h) + (now < h->asks_until ? h->wants : 0);
}

// What each would have that wants more than `level`, when who wants less has what it wants.
static uint64_t refine(uint64_t level, uint64_t now)
{
    uint64_t left = plugin_options.workers_memory, n = 0;
    for (const struct worker_holder *h = holders; h != NULL; h = h->next) {
        uint64_t wants = demand(h, now);
        n += wants > level;
        if (wants <= level)
            left -= wants < left ? wants : left;
    }
    return n != 0 ? left / n : level;
}

// A project's share; it grows with each step until none is left that wants less. Where it would be
// less than a worker, one is still fair.
static uint64_t share_now(uint64_t now)
{
    uint64_t level = 0, next;
    while ((next = refine(level, now)) > level)
        level = next;
    return level > MEMORY_GUESS ? level : MEMORY_GUESS;
}

static struct worker_holder *most_now(void)
{
    struct worker_holder *most = NULL;
    for (struct worker_holder *h = holders; h != NULL; h = h->next)
        if (h->workers != 0 && (most == NULL || worker_holder_bytes(h) > worker_holder_bytes(most)))
            most = h;
    return most;
}

// --- asking ---
struct worker_shares worker_holders_shares(const char *project_id, uint64_t wants)
{
    pthread_mutex_lock(&lock);
    const struct worker_holder *own = *find(project_id), *most = most_now();
    struct worker_shares ret = {.share = share_now(clock_monotonic_ms())};
    ret.is_within = (own != NULL ? worker_holder_bytes(own) : 0) + wants <= ret.share;
    if (most != NULL && worker_holder_bytes(most) > ret.share)
        memcpy(ret.greediest, most->project_id, sizeof ret.greediest);
    pthread_mutex_unlock(&lock);
    return ret;
}

void worker_holders_ask(const char *project_id, uint64_t wants, bool has_waited)
{
    uint64_t until = clock_monotonic_ms() + ASKED_MS;
    pthread_mutex_lock(&lock);
    struct worker_holder *h = find_or_create(project_id);
    h->wants = wants;
    h->asks_until = until;
    if (has_waited)
        h->takes_until = until;
    pthread_mutex_unlock(&lock);
    atomic_store_explicit(&asked_until, until, memory_order_relaxed);
}

void worker_holders_answered(const char *project_id)
{
    if (clock_monotonic_ms() >= atomic_load_explicit(&asked_until, memory_order_relaxed))
        return;
    pthread_mutex_lock(&lock);
    struct worker_holder *h = *find(project_id);
    if (h != NULL)
        h->asks_until = h->takes_until = 0;
    pthread_mutex_unlock(&lock);
}

// Of those that ask for no more than their share (and would take it, if asked for: have waited), the
// one that has least.
static const struct worker_holder *least_now(uint64_t share, bool is_taker, uint64_t now)
{
    const struct worker_holder *least = NULL;
    for (const struct worker_holder *h = holders; h != NULL; h = h->next)
        if (now < (is_taker ? h->takes_until : h->asks_until) && demand(h, now) <= share &&
            (least == NULL || worker_holder_bytes(h) < worker_holder_bytes(least)))
            least = h;
    return least;
}

static bool has_more(const struct worker_holder *h, const struct worker_holder *than)
{
    return (h->workers != 0 && than->workers == 0) ||
           worker_holder_bytes(h) >= worker_holder_bytes(than) + MEMORY_GUESS;
}

bool worker_holders_goes_first(const char *project_id)
{
    uint64_t now = clock_monotonic_ms();
    if (now >= atomic_load_explicit(&asked_until, memory_order_relaxed))
        return true;
    pthread_mutex_lock(&lock);
    const struct worker_holder *own = *find(project_id),
                               *least = least_now(share_now(now), false, now);
    bool is_first = own == NULL || least == NULL || !has_more(own, least);
    pthread_mutex_unlock(&lock);
    return is_first;
}

// --- giving ---
bool worker_holders_are_over(void)
{
    uint64_t now = clock_monotonic_ms(), none = 0;
    if (plugin_worker_bytes() <= plugin_options.workers_memory) {
        atomic_store(&over_since, 0);
        return false;
    }
    return !atomic_compare_exchange_strong(&over_since, &none, now) && now >= none + OVER_MS;
}

// How large a worker of the first one may be that goes for the second; 0: none does.
static uint64_t largest_to_go(const struct worker_holder *from, const struct worker_holder *to)
{
    uint64_t has = worker_holder_bytes(from), needs = worker_holder_bytes(to);
    if (to->workers == 0) // of single ones only such that are much more than what it asks for
        return from->workers > 1 || has > 2 * to->wants ? UINT64_MAX : 0;
    uint64_t each = needs / to->workers;
    needs += each > to->wants ? each : to->wants;
    return has > needs ? has - needs : 0;
}

bool worker_holders_next_to_yield(struct worker_yield *ret)
{
    uint64_t now = clock_monotonic_ms();
    bool is_over = worker_holders_are_over();
    pthread_mutex_lock(&lock);
    uint64_t share = share_now(now);
    const struct worker_holder *from = most_now(),
                               *to = is_over ? NULL : least_now(share, true, now);
    *ret = (struct worker_yield){0};
    if (from != NULL && is_over)
        ret->at_most = UINT64_MAX;
    else if (from != NULL && to != NULL && to != from && worker_holder_bytes(from) > share) {
        ret->at_most = largest_to_go(from, to);
        ret->wanted = to->wants;
    }
    if (ret->at_most != 0) {
        ret->held = worker_holder_bytes(from);
        ret->share = share;
        memcpy(ret->project_id, from->project_id, sizeof ret->project_id);
    }
    pthread_mutex_unlock(&lock);
    return ret->at_most != 0;
}
