// Questions of the loops, loads that answer them, and changes that make answers worthless. What is
// held is in hold.c. Loads in flight stand in tables, with the wants of the loops that wait for
// them.
#include "bundles/cache.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "bundles/hold.h"
#include "bundles/living.h"
#include "bundles/shelf.h"
#include "bundles/table.h"
#include "edge/base/log.h"
#include "edge/loop/pool.h"

enum {
    CHANGED_MAX = 8,       // plugins noted for a load in flight
    CHECK_BATCH = 256,     // instances asked about at once
    CHECK_POST_TRIES = 50, // 100 ms apart
    CHECK_TRIES = 8,       // 250 ms apart
};
// Beside what is held, what is on its way to readers has the budget once more, or so many bytes.
static const uint64_t least_beside = UINT64_C(64) << 20;

// One thing being fetched, and the loops' wants that wait for it.
struct load {
    struct job job;
    uint64_t hash;
    struct cache_want *wants;
    // a site's
    char key[SITE_KEY_ROOM];
    size_t key_length;
    bool is_overtaken; // something changed since it began: it is out of the table
    char changed[CHANGED_MAX][CATALOG_ID_ROOM]; // the plugins that did
    unsigned changed_count;                     // over CHANGED_MAX: any may have
    struct load *next, *prev;                   // all site loads in flight
    struct digest digest;                       // a body's
    uint64_t size;
};

static struct {
    const struct cache_source *source;
    pthread_mutex_t lock; // guards all below, and all that is held
    struct table site_loads, body_loads;
    struct load *loading;    // sites
    uint64_t budget, coming; // bytes: what may be held, what is being loaded
    struct cache_counts counts;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *zeroed(size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL)
        abort();
    return p;
}

void cache_init(const struct cache_source *source, uint64_t budget)
{
    cache.source = source;
    cache.budget = budget;
    hold_init(budget);
    living_init();
    table_init(&cache.site_loads);
    table_init(&cache.body_loads);
}

static void on_forget(struct loop_message *m)
{
    shelf_forget_unsettled(shelf_of(loop_self()));
    free(m);
}

static void tell_to_forget_unsettled(void)
{
    for (unsigned i = 0; i < loop_count(); i++) {
        struct loop_message *m = zeroed(sizeof *m);
        m->run = on_forget;
        loop_post(loop_at(i), m);
    }
}

static void answer(struct cache_want *w)
{
    loop_post(w->loop, &w->message);
}

static uint64_t bit_of(const struct loop *loop)
{
    return 1ull << loop_index(loop);
}

// --- loads ---

static void on_load_done(struct job *j)
{
    free(j);
}

static void wants_fail(struct cache_want *wants, enum fail fail, const char *code)
{
    for (struct cache_want *w = wants, *next; w != NULL; w = next) {
        next = w->_next;
        w->fail = fail;
        w->code = code;
        answer(w);
    }
}

// False when the lane is full: its wants were refused, and the caller takes it out of its table.
static bool load_start(struct load *l)
{
    l->job.done = on_load_done;
    if (pool_post(LANE_LOAD, &l->job) == FAIL_NONE)
        return true;
    wants_fail(l->wants, FAIL_BUSY, "busy");
    return false;
}

static void want_add(struct load *l, struct cache_want *w)
{
    w->_next = l->wants;
    l->wants = w;
}

// --- loading sites ---

static void give_site(struct cache_want *w, struct site *site, struct held_site *held)
{
    shared_ref(&site->shared);
    w->ret_site = site;
    w->may_keep = held != NULL;
    if (held != NULL)
        held->loops |= bit_of(w->loop);
    answer(w);
}

// Whether what it read may be older than a change that was told meanwhile.
static bool may_be_old(const struct load *l, const struct site *site)
{
    for (unsigned i = 0; i < l->changed_count && i < CHANGED_MAX; i++)
        if (strcmp(l->changed[i], site->plugin_id) == 0)
            return true;
    return l->changed_count > CHANGED_MAX;
}

static void give_loaded_site(struct load *l, struct site *site)
{
    struct held_site *held = hold_find_site(site->key, l->hash);
    if (may_be_old(l, site))
        held = NULL; // good for those who asked before the change, and for nobody else
    else if (held == NULL)
        held = hold_site(site);
    for (struct cache_want *w = l->wants, *next; w != NULL; w = next) {
        next = w->_next;
        give_site(w, held != NULL ? held->site : site, held);
    }
}

static void load_unlink(struct load *l)
{
    *(l->prev != NULL ? &l->prev->next : &cache.loading) = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    if (!l->is_overtaken)
        table_remove(&cache.site_loads, l->hash, l);
}

static void run_site_load(struct job *j)
{
    struct load *l = (struct load *)j;
    struct site *site = NULL;
    struct fault fault = {0};
    str key = str_of(l->key, l->key_length);
    enum fail failed = cache.source->load_site(key, &site, &fault);
    if (failed != FAIL_NONE && failed != FAIL_NOT_FOUND && failed != FAIL_BUSY)
        log_warn("an app could not be loaded", "key=%s reason=%s", LOG_STR(key),
                 LOG_STR(str_from(fault.log_text)));
    pthread_mutex_lock(&cache.lock);
    cache.counts.site_loads++;
    load_unlink(l);
    if (failed != FAIL_NONE)
        wants_fail(l->wants, failed, fault.code);
    else
        give_loaded_site(l, site);
    pthread_mutex_unlock(&cache.lock);
    shared_unref(site != NULL ? &site->shared : NULL);
}

static struct load *site_load_find(str key, uint64_t hash)
{
    size_t at;
    for (struct load *l = table_first(&cache.site_loads, hash, &at); l != NULL;
         l = table_next(&cache.site_loads, hash, &at))
        if (str_eq(str_of(l->key, l->key_length), key))
            return l;
    return NULL;
}

static void site_load_begin(struct cache_want *w, uint64_t hash)
{
    struct load *l = zeroed(sizeof *l);
    l->job.run = run_site_load;
    l->hash = hash;
    memcpy(l->key, w->key.p, w->key.n);
    l->key_length = w->key.n;
    want_add(l, w);
    table_add(&cache.site_loads, hash, l);
    l->next = cache.loading;
    if (l->next != NULL)
        l->next->prev = l;
    cache.loading = l;
    if (!load_start(l)) {
        load_unlink(l);
        free(l);
    }
}

void cache_want_site(struct cache_want *w)
{
    uint64_t hash = table_hash(w->key);
    assert(w->key.n <= SITE_KEY_ROOM);
    pthread_mutex_lock(&cache.lock);
    struct held_site *held = hold_find_site(w->key, hash);
    struct load *l = site_load_find(w->key, hash);
    if (held != NULL)
        give_site(w, held->site, held);
    else if (l != NULL)
        want_add(l, w);
    else
        site_load_begin(w, hash);
    pthread_mutex_unlock(&cache.lock);
}

// --- loading bodies ---

// `held` is NULL for a body that is not kept.
static void give_variant(struct cache_want *w, struct body *body, struct held_body *held)
{
    struct held_variant *there = hold_find_variant(w->site, w->number);
    struct variant *v;
    if (there != NULL) {
        v = there->variant;
        shared_ref(&v->shared);
    } else {
        v = variant_create(w->site, w->number, body);
        if (held != NULL && hold_has_site(w->site)) {
            shared_ref(&v->shared);
            there = hold_variant(held, v);
        }
    }
    w->ret_variant = v;
    w->may_keep = there != NULL;
    if (w->may_keep)
        there->loops |= bit_of(w->loop);
    answer(w);
}

static void run_body_load(struct job *j)
{
    struct load *l = (struct load *)j;
    struct body *body = NULL;
    struct fault fault = {0};
    char *bytes = NULL;
    enum fail failed = cache.source->load_bytes(&l->digest, l->size, &bytes, &fault);
    if (failed == FAIL_NONE) {
        body = body_create(&l->digest, bytes, l->size);
        living_add(body);
    } else
        log_error("a file's content could not be loaded", "reason=%s",
                  LOG_STR(str_from(fault.log_text)));
    pthread_mutex_lock(&cache.lock);
    cache.counts.body_loads++;
    table_remove(&cache.body_loads, l->hash, l);
    cache.coming -= l->size;
    if (body == NULL) {
        wants_fail(l->wants, FAIL_INTERNAL, "internal"); // a missing blob is our loss, not a 404
    } else {
        struct held_body *held = hold_takes_body(l->size) ? hold_body(body) : NULL;
        for (struct cache_want *w = l->wants, *next; w != NULL; w = next) {
            next = w->_next;
            give_variant(w, body, held);
        }
        shared_unref(&body->shared);
    }
    pthread_mutex_unlock(&cache.lock);
}

static struct load *body_load_find(const struct digest *digest, uint64_t hash)
{
    size_t at;
    for (struct load *l = table_first(&cache.body_loads, hash, &at); l != NULL;
         l = table_next(&cache.body_loads, hash, &at))
        if (memcmp(l->digest.b, digest->b, sizeof digest->b) == 0)
            return l;
    return NULL;
}

// Readers that are slow, or do not read at all, keep what the cache has let go, or never held.
static bool has_room_for(uint64_t size)
{
    uint64_t beside = cache.budget > least_beside ? cache.budget : least_beside;
    return living_bytes() + cache.coming + size <= cache.budget + beside;
}

static void body_load_begin(struct cache_want *w, const struct site_variant *wanted, uint64_t hash)
{
    if (!has_room_for(wanted->size)) {
        w->_next = NULL;
        wants_fail(w, FAIL_BUSY, "busy");
        return;
    }
    struct load *l = zeroed(sizeof *l);
    l->job.run = run_body_load;
    l->hash = hash;
    l->digest = wanted->blob;
    l->size = wanted->size;
    want_add(l, w);
    table_add(&cache.body_loads, hash, l);
    cache.coming += l->size;
    if (!load_start(l)) {
        table_remove(&cache.body_loads, hash, l);
        cache.coming -= l->size;
        free(l);
    }
}

// One that is alive without being held is given as it is, and held again when it may be.
static bool give_living(struct cache_want *w, const struct site_variant *wanted)
{
    struct body *body = living_find(&wanted->blob);
    if (body == NULL)
        return false;
    give_variant(w, body, hold_takes_body(body->size) ? hold_body(body) : NULL);
    shared_unref(&body->shared);
    return true;
}

void cache_want_variant(struct cache_want *w)
{
    const struct site_variant *wanted = &w->site->variants[w->number];
    uint64_t hash = hold_digest_hash(&wanted->blob);
    pthread_mutex_lock(&cache.lock);
    struct held_body *held = hold_find_body(&wanted->blob);
    struct load *l = body_load_find(&wanted->blob, hash);
    if (held != NULL)
        give_variant(w, held->body, held);
    else if (l != NULL)
        want_add(l, w);
    else if (!give_living(w, wanted))
        body_load_begin(w, wanted, hash);
    pthread_mutex_unlock(&cache.lock);
}

// --- freshness ---

static void note_change(struct load *l, str plugin_id)
{
    if (plugin_id.p == NULL)
        l->changed_count = CHANGED_MAX;
    else if (l->changed_count < CHANGED_MAX && plugin_id.n < CATALOG_ID_ROOM)
        memcpy(l->changed[l->changed_count], plugin_id.p, plugin_id.n);
    if (l->changed_count <= CHANGED_MAX)
        l->changed_count++;
}

// What is being loaded may have been read before the change: those who wait get it, and who comes
// later asks anew. p == NULL: any plugin may have changed.
static void overtake_loads(str plugin_id)
{
    for (struct load *l = cache.loading; l != NULL; l = l->next) {
        note_change(l, plugin_id);
        l->is_overtaken = true;
    }
    table_fini(&cache.site_loads);
    table_init(&cache.site_loads);
    tell_to_forget_unsettled();
}

void cache_forget_plugin(str plugin_id)
{
    pthread_mutex_lock(&cache.lock);
    for (size_t i = hold_site_count(); i > 0; i--) { // backwards: the last takes a hole's place
        struct held_site *h = hold_site_at(i - 1);
        if (str_eq(str_from(h->site->plugin_id), plugin_id))
            hold_let_site_go(h);
    }
    overtake_loads(plugin_id);
    pthread_mutex_unlock(&cache.lock);
}

struct check {
    struct job job;
    size_t count;
    struct site **sites; // references
};

static void let_go_if_held(struct site *site)
{
    pthread_mutex_lock(&cache.lock);
    struct held_site *h = hold_find_site(site->key, table_hash(site->key));
    if (h != NULL && h->site == site)
        hold_let_site_go(h);
    pthread_mutex_unlock(&cache.lock);
}

// Asks about up to CHECK_BATCH sites; false when the database is away (it will be back, and so will
// we).
static bool check_batch(struct site **sites, size_t count)
{
    char(*ids)[CATALOG_ID_ROOM] = zeroed(CHECK_BATCH * sizeof *ids);
    struct deployment_pointer *now = zeroed(CHECK_BATCH * sizeof *now);
    struct fault fault = {0};
    for (size_t i = 0; i < count; i++)
        memcpy(ids[i], sites[i]->instance_id, sizeof ids[i]);
    bool known = cache.source->load_current((const char(*)[CATALOG_ID_ROOM])ids, count, now,
                                            &fault) == FAIL_NONE;
    for (size_t i = 0; known && i < count; i++)
        if (strcmp(now[i].id, sites[i]->deployment_id) != 0 ||
            now[i].shown_since != sites[i]->last_modified)
            let_go_if_held(sites[i]);
    free(ids);
    free(now);
    return known;
}

// The listener is back, but this thread's own connection may still have to find that out: nobody
// asks again should it give up at once. When the database is truly away the listener will be told.
static void run_check(struct job *j)
{
    struct check *c = (struct check *)j;
    unsigned tries = 1;
    for (size_t i = 0; i < c->count;) {
        size_t n = c->count - i < CHECK_BATCH ? c->count - i : CHECK_BATCH;
        if (check_batch(c->sites + i, n)) {
            i += n;
        } else if (tries++ < CHECK_TRIES) {
            usleep(250000);
        } else {
            log_warn("cached apps could not be checked", "left=%zu", c->count - i);
            break;
        }
    }
}

static void on_check_done(struct job *j)
{
    struct check *c = (struct check *)j;
    for (size_t i = 0; i < c->count; i++)
        shared_unref(&c->sites[i]->shared);
    free(c->sites);
    free(c);
}

// Previews are not asked about: they are let go and loaded again.
static struct check *check_create(void)
{
    struct check *c = zeroed(sizeof *c);
    pthread_mutex_lock(&cache.lock);
    c->sites = zeroed((hold_site_count() + 1) * sizeof(struct site *));
    for (size_t i = hold_site_count(); i > 0; i--) {
        struct held_site *h = hold_site_at(i - 1);
        if (h->site->is_preview) {
            hold_let_site_go(h);
            continue;
        }
        shared_ref(&h->site->shared);
        c->sites[c->count++] = h->site;
    }
    overtake_loads((str){0});
    pthread_mutex_unlock(&cache.lock);
    c->job.run = run_check;
    c->job.done = on_check_done;
    return c;
}

void cache_check_all(void)
{
    struct check *c = check_create();
    for (int i = 0; i < CHECK_POST_TRIES; i++) {
        if (pool_post(LANE_LOAD, &c->job) == FAIL_NONE)
            return;
        usleep(100000);
    }
    log_warn("cached apps could not be checked", "left=%zu", c->count);
    on_check_done(&c->job);
}

struct cache_counts cache_counts(void)
{
    pthread_mutex_lock(&cache.lock);
    struct cache_counts counts = cache.counts;
    hold_count(&counts);
    pthread_mutex_unlock(&cache.lock);
    return counts;
}
