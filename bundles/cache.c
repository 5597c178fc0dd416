// Two kinds of thing are held: sites (by key) and bodies (by digest). A variant ties one file of
// one site to its body; it lives while both are held. Loads in flight stand in tables of their own,
// with the wants of the loops that wait for them.
//
// What has to go is found as in other caches of this size: of a few members drawn at random, the
// one that was used longest ago. That costs the same whatever the cache holds.
#include "bundles/cache.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "bundles/shelf.h"
#include "bundles/table.h"
#include "edge/base/log.h"
#include "edge/loop/pool.h"

enum {
    DRAWN = 8,         // members looked at for each one that goes
    SITE_SHARE = 4,    // sites may take budget / SITE_SHARE beside the bodies
    BODY_SHARE = 4,    // a body over budget / BODY_SHARE is given to those who wait and not kept
    CHANGED_MAX = 8,   // plugins noted for a load in flight
    CHECK_BATCH = 256, // instances asked about at once
    CHECK_POST_TRIES = 50, // 100 ms apart
};

struct held_site {
    struct site *site; // a reference
    uint64_t hash;     // of its key
    uint64_t loops;    // who has it in its index: a bit each
    size_t at;         // in sites_list
};

struct held_variant {
    struct variant *variant; // a reference
    uint64_t hash;
    uint64_t loops;            // who has it in a slot: a bit each
    struct held_variant *next; // of the same body
};

struct held_body {
    struct body *body; // a reference
    uint64_t hash;
    size_t at; // in bodies_list
    struct held_variant *variants;
};

struct list {
    void **items;
    size_t count, room;
};

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
    uint64_t budget;
    pthread_mutex_t lock; // guards all below
    struct table sites, site_loads;
    struct load *loading; // sites
    struct table bodies, body_loads, variants;
    struct list sites_list, bodies_list;
    uint64_t site_bytes, body_bytes, random;
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
    cache.random = random_u64() | 1;
    table_init(&cache.sites);
    table_init(&cache.site_loads);
    table_init(&cache.bodies);
    table_init(&cache.body_loads);
    table_init(&cache.variants);
}

static uint32_t seconds_now(void)
{
    return (uint32_t)(clock_monotonic_ms() / 1000);
}

// --- lists, so that members can be drawn at random ---

static size_t list_add(struct list *l, void *item)
{
    if (l->count == l->room) {
        l->room = l->room != 0 ? l->room * 2 : 64;
        l->items = realloc(l->items, l->room * sizeof *l->items);
        if (l->items == NULL)
            abort();
    }
    l->items[l->count] = item;
    return l->count++;
}

static size_t draw(size_t count) // xorshift: any spread will do
{
    cache.random ^= cache.random << 13;
    cache.random ^= cache.random >> 7;
    cache.random ^= cache.random << 17;
    return (size_t)(cache.random % count);
}

// --- what loops are told ---

struct drop {
    struct loop_message message;
    struct site *site; // a reference to one of the two
    struct variant *variant;
};

static void on_drop(struct loop_message *m)
{
    struct drop *d = (struct drop *)m;
    struct shelf *shelf = shelf_of(loop_self());
    if (d->site != NULL)
        shelf_drop_site(shelf, d->site);
    else
        shelf_drop_variant(shelf, d->variant);
    shared_unref(d->site != NULL ? &d->site->shared : NULL);
    shared_unref(d->variant != NULL ? &d->variant->shared : NULL);
    free(d);
}

static void tell_to_drop(uint64_t loops, struct site *site, struct variant *variant)
{
    for (; loops != 0; loops &= loops - 1) {
        struct drop *d = zeroed(sizeof *d);
        d->message.run = on_drop;
        d->site = site;
        d->variant = variant;
        shared_ref(site != NULL ? &site->shared : &variant->shared);
        loop_post(loop_at((unsigned)__builtin_ctzll(loops)), &d->message);
    }
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

// --- variants ---

static uint64_t variant_hash(const struct site *site, uint32_t number)
{
    uint64_t words[2] = {(uintptr_t)site, number};
    return table_hash(str_of(words, sizeof words));
}

static struct held_variant *variant_find(const struct site *site, uint32_t number)
{
    uint64_t hash = variant_hash(site, number);
    size_t at;
    for (struct held_variant *h = table_first(&cache.variants, hash, &at); h != NULL;
         h = table_next(&cache.variants, hash, &at))
        if (h->variant->site == site && h->variant->number == number)
            return h;
    return NULL;
}

static void variant_hold(struct held_body *body, struct variant *v)
{
    struct held_variant *h = zeroed(sizeof *h);
    h->variant = v;
    h->hash = variant_hash(v->site, v->number);
    h->next = body->variants;
    body->variants = h;
    table_add(&cache.variants, h->hash, h);
}

// It is out of its body's list already.
static void variant_let_go(struct held_variant *h)
{
    table_remove(&cache.variants, h->hash, h);
    tell_to_drop(h->loops, NULL, h->variant);
    shared_unref(&h->variant->shared);
    free(h);
}

// --- bodies ---

static uint64_t digest_hash(const struct digest *d)
{
    return table_hash(str_of(d->b, sizeof d->b));
}

static struct held_body *body_find(const struct digest *digest)
{
    uint64_t hash = digest_hash(digest);
    size_t at;
    for (struct held_body *h = table_first(&cache.bodies, hash, &at); h != NULL;
         h = table_next(&cache.bodies, hash, &at))
        if (memcmp(h->body->digest.b, digest->b, sizeof digest->b) == 0)
            return h;
    return NULL;
}

static void body_let_go(struct held_body *h)
{
    for (struct held_variant *v = h->variants, *next; v != NULL; v = next) {
        next = v->next;
        variant_let_go(v);
    }
    struct list *l = &cache.bodies_list;
    struct held_body *last = l->items[--l->count];
    l->items[h->at] = last;
    last->at = h->at;
    table_remove(&cache.bodies, h->hash, h);
    cache.body_bytes -= h->body->size;
    shared_unref(&h->body->shared);
    free(h);
}

static uint32_t body_last_used(const struct held_body *h)
{
    uint32_t last = 0;
    for (const struct held_variant *v = h->variants; v != NULL; v = v->next) {
        uint32_t used = atomic_load_explicit(&v->variant->last_used, memory_order_relaxed);
        last = used > last ? used : last;
    }
    return last;
}

static void bodies_make_room(uint64_t size)
{
    while (cache.body_bytes + size > cache.budget && cache.bodies_list.count > 0) {
        struct held_body *oldest = NULL;
        for (int i = 0; i < DRAWN; i++) {
            struct held_body *h = cache.bodies_list.items[draw(cache.bodies_list.count)];
            if (oldest == NULL || body_last_used(h) < body_last_used(oldest))
                oldest = h;
        }
        body_let_go(oldest);
        cache.counts.evictions++;
    }
}

static struct held_body *body_hold(struct body *b)
{
    bodies_make_room(b->size);
    struct held_body *h = zeroed(sizeof *h);
    h->body = b;
    h->hash = digest_hash(&b->digest);
    h->at = list_add(&cache.bodies_list, h);
    table_add(&cache.bodies, h->hash, h);
    shared_ref(&b->shared);
    cache.body_bytes += b->size;
    return h;
}

// --- sites ---

static struct held_site *site_find_held(str key, uint64_t hash)
{
    size_t at;
    for (struct held_site *h = table_first(&cache.sites, hash, &at); h != NULL;
         h = table_next(&cache.sites, hash, &at))
        if (str_eq(h->site->key, key))
            return h;
    return NULL;
}

static bool site_is_held(const struct site *site)
{
    struct held_site *h = site_find_held(site->key, table_hash(site->key));
    return h != NULL && h->site == site;
}

static void variant_leave_body(struct held_variant *v)
{
    struct held_body *body = body_find(&v->variant->body->digest);
    struct held_variant **link = &body->variants;
    while (*link != v)
        link = &(*link)->next;
    *link = v->next;
}

// Its bodies stay: most of them are the next deployment's, too.
static void site_let_go(struct held_site *h)
{
    for (uint32_t i = 0; i < h->site->variant_count; i++) {
        struct held_variant *v = variant_find(h->site, i);
        if (v != NULL) {
            variant_leave_body(v);
            variant_let_go(v);
        }
    }
    tell_to_drop(h->loops, h->site, NULL);
    struct list *l = &cache.sites_list;
    struct held_site *last = l->items[--l->count];
    l->items[h->at] = last;
    last->at = h->at;
    table_remove(&cache.sites, h->hash, h);
    cache.site_bytes -= h->site->bytes;
    shared_unref(&h->site->shared);
    free(h);
}

static uint32_t site_last_used(const struct held_site *h)
{
    return atomic_load_explicit(&h->site->last_used, memory_order_relaxed);
}

static void sites_make_room(uint64_t size)
{
    while (cache.site_bytes + size > cache.budget / SITE_SHARE && cache.sites_list.count > 0) {
        struct held_site *oldest = NULL;
        for (int i = 0; i < DRAWN; i++) {
            struct held_site *h = cache.sites_list.items[draw(cache.sites_list.count)];
            if (oldest == NULL || site_last_used(h) < site_last_used(oldest))
                oldest = h;
        }
        site_let_go(oldest);
        cache.counts.evictions++;
    }
}

static struct held_site *site_hold(struct site *site)
{
    sites_make_room(site->bytes);
    atomic_store_explicit(&site->last_used, seconds_now(), memory_order_relaxed);
    struct held_site *h = zeroed(sizeof *h);
    h->site = site;
    h->hash = table_hash(site->key);
    h->at = list_add(&cache.sites_list, h);
    table_add(&cache.sites, h->hash, h);
    shared_ref(&site->shared);
    cache.site_bytes += site->bytes;
    return h;
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
    struct held_site *held = site_find_held(site->key, l->hash);
    if (may_be_old(l, site))
        held = NULL; // good for those who asked before the change, and for nobody else
    else if (held == NULL)
        held = site_hold(site);
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
    struct held_site *held = site_find_held(w->key, hash);
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
    struct held_variant *there = variant_find(w->site, w->number);
    struct variant *v;
    if (there != NULL) {
        v = there->variant;
        shared_ref(&v->shared);
    } else {
        v = variant_create(w->site, w->number, body);
        atomic_init(&v->last_used, seconds_now());
        if (held != NULL && site_is_held(w->site)) {
            shared_ref(&v->shared);
            variant_hold(held, v);
            there = held->variants;
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
    if (failed == FAIL_NONE)
        body = body_create(&l->digest, bytes, l->size);
    else
        log_error("a file's content could not be loaded", "reason=%s",
                  LOG_STR(str_from(fault.log_text)));
    pthread_mutex_lock(&cache.lock);
    cache.counts.body_loads++;
    table_remove(&cache.body_loads, l->hash, l);
    if (body == NULL) {
        wants_fail(l->wants, FAIL_INTERNAL, "internal"); // a missing blob is our loss, not a 404
    } else {
        struct held_body *held = l->size <= cache.budget / BODY_SHARE ? body_hold(body) : NULL;
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

static void body_load_begin(struct cache_want *w, const struct site_variant *wanted, uint64_t hash)
{
    struct load *l = zeroed(sizeof *l);
    l->job.run = run_body_load;
    l->hash = hash;
    l->digest = wanted->blob;
    l->size = wanted->size;
    want_add(l, w);
    table_add(&cache.body_loads, hash, l);
    if (!load_start(l)) {
        table_remove(&cache.body_loads, hash, l);
        free(l);
    }
}

void cache_want_variant(struct cache_want *w)
{
    const struct site_variant *wanted = &w->site->variants[w->number];
    uint64_t hash = digest_hash(&wanted->blob);
    pthread_mutex_lock(&cache.lock);
    struct held_body *held = body_find(&wanted->blob);
    struct load *l = body_load_find(&wanted->blob, hash);
    if (held != NULL)
        give_variant(w, held->body, held);
    else if (l != NULL)
        want_add(l, w);
    else
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
    for (size_t i = cache.sites_list.count; i > 0;
         i--) { // backwards: the last takes a hole's place
        struct held_site *h = cache.sites_list.items[i - 1];
        if (str_eq(str_from(h->site->plugin_id), plugin_id))
            site_let_go(h);
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
    struct held_site *h = site_find_held(site->key, table_hash(site->key));
    if (h != NULL && h->site == site)
        site_let_go(h);
    pthread_mutex_unlock(&cache.lock);
}

// Asks about up to CHECK_BATCH sites; false when the database is away (it will be back, and so will
// we).
static bool check_batch(struct site **sites, size_t count)
{
    char(*ids)[CATALOG_ID_ROOM] = zeroed(CHECK_BATCH * sizeof *ids);
    char(*now)[DEPLOYMENT_ID_ROOM] = zeroed(CHECK_BATCH * sizeof *now);
    struct fault fault = {0};
    for (size_t i = 0; i < count; i++)
        memcpy(ids[i], sites[i]->instance_id, sizeof ids[i]);
    bool known = cache.source->load_current((const char(*)[CATALOG_ID_ROOM])ids, count, now,
                                            &fault) == FAIL_NONE;
    for (size_t i = 0; known && i < count; i++)
        if (strcmp(now[i], sites[i]->deployment_id) != 0)
            let_go_if_held(sites[i]);
    free(ids);
    free(now);
    return known;
}

static void run_check(struct job *j)
{
    struct check *c = (struct check *)j;
    for (size_t i = 0; i < c->count; i += CHECK_BATCH) {
        size_t n = c->count - i < CHECK_BATCH ? c->count - i : CHECK_BATCH;
        if (!check_batch(c->sites + i, n)) {
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
    c->sites = zeroed((cache.sites_list.count + 1) * sizeof(struct site *));
    for (size_t i = cache.sites_list.count; i > 0; i--) {
        struct held_site *h = cache.sites_list.items[i - 1];
        if (h->site->is_preview) {
            site_let_go(h);
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
    counts.sites = cache.sites_list.count;
    counts.site_bytes = cache.site_bytes;
    counts.bodies = cache.bodies_list.count;
    counts.body_bytes = cache.body_bytes;
    pthread_mutex_unlock(&cache.lock);
    return counts;
}
