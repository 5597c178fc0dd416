// Two kinds of thing are held: sites (by key) and bodies (by digest). A variant ties one file of
// one site to its body; it lives while both are held.
//
// What has to go is found as in other caches of this size: of a few members drawn at random, the
// one that was used longest ago. That costs the same whatever the cache holds.
#include "bundles/hold.h"
#include <stdlib.h>
#include "bundles/shelf.h"
#include "bundles/table.h"

enum {
    DRAWN = 8,      // members looked at for each one that goes
    SITE_SHARE = 4, // sites may take budget / SITE_SHARE beside the bodies
    BODY_SHARE = 4, // a body over budget / BODY_SHARE is not held
};

struct list {
    void **items;
    size_t count, room;
};

static struct {
    uint64_t budget;
    struct table sites, bodies, variants;
    struct list sites_list, bodies_list;
    uint64_t site_bytes, body_bytes, evictions, random;
} hold;

static void *zeroed(size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL)
        abort();
    return p;
}

void hold_init(uint64_t budget)
{
    hold.budget = budget;
    hold.random = random_u64() | 1;
    table_init(&hold.sites);
    table_init(&hold.bodies);
    table_init(&hold.variants);
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
    hold.random ^= hold.random << 13;
    hold.random ^= hold.random >> 7;
    hold.random ^= hold.random << 17;
    return (size_t)(hold.random % count);
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

// --- variants ---

static uint64_t variant_hash(const struct site *site, uint32_t number)
{
    uint64_t words[2] = {(uintptr_t)site, number};
    return table_hash(str_of(words, sizeof words));
}

struct held_variant *hold_find_variant(const struct site *site, uint32_t number)
{
    uint64_t hash = variant_hash(site, number);
    size_t at;
    for (struct held_variant *h = table_first(&hold.variants, hash, &at); h != NULL;
         h = table_next(&hold.variants, hash, &at))
        if (h->variant->site == site && h->variant->number == number)
            return h;
    return NULL;
}

struct held_variant *hold_variant(struct held_body *body, struct variant *v)
{
    struct held_variant *h = zeroed(sizeof *h);
    h->variant = v;
    h->hash = variant_hash(v->site, v->number);
    h->next = body->variants;
    body->variants = h;
    table_add(&hold.variants, h->hash, h);
    return h;
}

// It is out of its body's list already.
static void variant_let_go(struct held_variant *h)
{
    table_remove(&hold.variants, h->hash, h);
    tell_to_drop(h->loops, NULL, h->variant);
    shared_unref(&h->variant->shared);
    free(h);
}

// --- bodies ---

uint64_t hold_digest_hash(const struct digest *d)
{
    return table_hash(str_of(d->b, sizeof d->b));
}

struct held_body *hold_find_body(const struct digest *digest)
{
    uint64_t hash = hold_digest_hash(digest);
    size_t at;
    for (struct held_body *h = table_first(&hold.bodies, hash, &at); h != NULL;
         h = table_next(&hold.bodies, hash, &at))
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
    struct list *l = &hold.bodies_list;
    struct held_body *last = l->items[--l->count];
    l->items[h->at] = last;
    last->at = h->at;
    table_remove(&hold.bodies, h->hash, h);
    hold.body_bytes -= h->body->size;
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
    while (hold.body_bytes + size > hold.budget && hold.bodies_list.count > 0) {
        struct held_body *oldest = NULL;
        for (int i = 0; i < DRAWN; i++) {
            struct held_body *h = hold.bodies_list.items[draw(hold.bodies_list.count)];
            if (oldest == NULL || body_last_used(h) < body_last_used(oldest))
                oldest = h;
        }
        body_let_go(oldest);
        hold.evictions++;
    }
}

bool hold_takes_body(uint64_t size)
{
    return size <= hold.budget / BODY_SHARE;
}

struct held_body *hold_body(struct body *b)
{
    bodies_make_room(b->size);
    struct held_body *h = zeroed(sizeof *h);
    h->body = b;
    h->hash = hold_digest_hash(&b->digest);
    h->at = list_add(&hold.bodies_list, h);
    table_add(&hold.bodies, h->hash, h);
    shared_ref(&b->shared);
    hold.body_bytes += b->size;
    return h;
}

// --- sites ---

struct held_site *hold_find_site(str key, uint64_t hash)
{
    size_t at;
    for (struct held_site *h = table_first(&hold.sites, hash, &at); h != NULL;
         h = table_next(&hold.sites, hash, &at))
        if (str_eq(h->site->key, key))
            return h;
    return NULL;
}

bool hold_has_site(const struct site *site)
{
    struct held_site *h = hold_find_site(site->key, table_hash(site->key));
    return h != NULL && h->site == site;
}

static void variant_leave_body(struct held_variant *v)
{
    struct held_body *body = hold_find_body(&v->variant->body->digest);
    struct held_variant **link = &body->variants;
    while (*link != v)
        link = &(*link)->next;
    *link = v->next;
}

// Its bodies stay: most of them are the next deployment's, too.
void hold_let_site_go(struct held_site *h)
{
    for (uint32_t i = 0; i < h->site->variant_count; i++) {
        struct held_variant *v = hold_find_variant(h->site, i);
        if (v != NULL) {
            variant_leave_body(v);
            variant_let_go(v);
        }
    }
    tell_to_drop(h->loops, h->site, NULL);
    struct list *l = &hold.sites_list;
    struct held_site *last = l->items[--l->count];
    l->items[h->at] = last;
    last->at = h->at;
    table_remove(&hold.sites, h->hash, h);
    hold.site_bytes -= h->site->bytes;
    shared_unref(&h->site->shared);
    free(h);
}

static uint32_t site_last_used(const struct held_site *h)
{
    return atomic_load_explicit(&h->site->last_used, memory_order_relaxed);
}

static void sites_make_room(uint64_t size)
{
    while (hold.site_bytes + size > hold.budget / SITE_SHARE && hold.sites_list.count > 0) {
        struct held_site *oldest = NULL;
        for (int i = 0; i < DRAWN; i++) {
            struct held_site *h = hold.sites_list.items[draw(hold.sites_list.count)];
            if (oldest == NULL || site_last_used(h) < site_last_used(oldest))
                oldest = h;
        }
        hold_let_site_go(oldest);
        hold.evictions++;
    }
}

struct held_site *hold_site(struct site *site)
{
    sites_make_room(site->bytes);
    atomic_store_explicit(&site->last_used, seconds_now(), memory_order_relaxed);
    struct held_site *h = zeroed(sizeof *h);
    h->site = site;
    h->hash = table_hash(site->key);
    h->at = list_add(&hold.sites_list, h);
    table_add(&hold.sites, h->hash, h);
    shared_ref(&site->shared);
    hold.site_bytes += site->bytes;
    return h;
}

size_t hold_site_count(void)
{
    return hold.sites_list.count;
}

struct held_site *hold_site_at(size_t i)
{
    return hold.sites_list.items[i];
}

void hold_count(struct cache_counts *ret)
{
    ret->sites = hold.sites_list.count;
    ret->site_bytes = hold.site_bytes;
    ret->bodies = hold.bodies_list.count;
    ret->body_bytes = hold.body_bytes;
    ret->evictions = hold.evictions;
}
