#include "bundles/shelf.h"
#include <assert.h>
#include <stdlib.h>
#include "bundles/table.h"

struct shelf {
    struct loop *loop;
    struct table mounts;   // struct mount, by key
    struct table pendings; // struct shelf_pending, by key or by site and number
    struct mount *oldest_absent, *newest_absent;
    size_t absent_count;
};

// One question to the cache and all who wait for its answer.
struct shelf_pending {
    struct cache_want want; // first
    struct shelf *shelf;
    uint64_t hash;
    bool is_orphan; // something changed since: it is out of the table, and newcomers ask again
    struct shelf_wait *waiters;
    char key[];
};

static struct shelf *shelves[LOOPS_MAX];

static void *zeroed(size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL)
        abort();
    return p;
}

void shelf_create(struct loop *loop)
{
    struct shelf *shelf = zeroed(sizeof *shelf);
    shelf->loop = loop;
    table_init(&shelf->mounts);
    table_init(&shelf->pendings);
    shelves[loop_index(loop)] = shelf;
}

struct shelf *shelf_of(struct loop *loop)
{
    return shelves[loop_index(loop)];
}

// --- mounts ---

static struct mount *mount_create(str key, struct site *site)
{
    size_t slots = site != NULL ? site->variant_count * sizeof(struct variant *) : 0;
    struct mount *m = zeroed(sizeof *m + slots + key.n);
    char *kept = (char *)m + sizeof *m + slots;
    memcpy(kept, key.p, key.n);
    m->key = str_of(kept, key.n);
    m->hash = table_hash(key);
    m->refs = 1;
    m->site = site;
    if (site != NULL)
        shared_ref(&site->shared);
    return m;
}

void mount_ref(struct mount *m)
{
    m->refs++;
}

void mount_unref(struct mount *m)
{
    if (m == NULL || --m->refs > 0)
        return;
    if (m->site != NULL) {
        for (uint32_t i = 0; i < m->site->variant_count; i++)
            shared_unref(m->slots[i] != NULL ? &m->slots[i]->shared : NULL);
        shared_unref(&m->site->shared);
    }
    free(m);
}

static struct mount *find_mount(struct shelf *shelf, str key)
{
    uint64_t hash = table_hash(key);
    size_t at;
    for (struct mount *m = table_first(&shelf->mounts, hash, &at); m != NULL;
         m = table_next(&shelf->mounts, hash, &at))
        if (str_eq(m->key, key))
            return m;
    return NULL;
}

static void absent_unlink(struct shelf *shelf, struct mount *m)
{
    *(m->older != NULL ? &m->older->newer : &shelf->oldest_absent) = m->newer;
    *(m->newer != NULL ? &m->newer->older : &shelf->newest_absent) = m->older;
    shelf->absent_count--;
}

static void take_out(struct shelf *shelf, struct mount *m)
{
    if (m->site == NULL)
        absent_unlink(shelf, m);
    table_remove(&shelf->mounts, m->hash, m);
    mount_unref(m);
}

static void put_absent(struct shelf *shelf, struct mount *m)
{
    if (shelf->absent_count == SHELF_ABSENT_MAX)
        take_out(shelf, shelf->oldest_absent);
    m->absent_until = loop_now(shelf->loop) + SHELF_ABSENT_MS;
    m->older = shelf->newest_absent;
    *(m->older != NULL ? &m->older->newer : &shelf->oldest_absent) = m;
    shelf->newest_absent = m;
    shelf->absent_count++;
}

// In place of what the index has for that key; returns the mount with a reference for the caller.
static struct mount *put(struct shelf *shelf, str key, struct site *site)
{
    struct mount *m = find_mount(shelf, key);
    if (m == NULL || m->site != site || site == NULL) {
        if (m != NULL)
            take_out(shelf, m);
        m = mount_create(key, site);
        table_add(&shelf->mounts, m->hash, m);
        if (site == NULL)
            put_absent(shelf, m);
    }
    mount_ref(m);
    return m;
}

struct mount *shelf_find(struct shelf *shelf, str key)
{
    struct mount *m = find_mount(shelf, key);
    if (m != NULL && m->site == NULL && loop_now(shelf->loop) >= m->absent_until) {
        take_out(shelf, m);
        return NULL;
    }
    return m;
}

// --- waiting ---

static void wait_link(struct shelf_pending *p, struct shelf_wait *w)
{
    w->_pending = p;
    w->_prev = NULL;
    w->_next = p->waiters;
    if (w->_next != NULL)
        w->_next->_prev = w;
    p->waiters = w;
}

static void wait_unlink(struct shelf_wait *w)
{
    *(w->_prev != NULL ? &w->_prev->_next : &w->_pending->waiters) = w->_next;
    if (w->_next != NULL)
        w->_next->_prev = w->_prev;
    w->_pending = NULL;
}

void shelf_cancel(struct shelf_wait *w)
{
    if (w->_pending != NULL)
        wait_unlink(w);
}

static struct shelf_wait *next_waiter(struct shelf_pending *p)
{
    struct shelf_wait *w = p->waiters;
    if (w != NULL)
        wait_unlink(w);
    return w;
}

static struct shelf_pending *pending_create(struct shelf *shelf, uint64_t hash, str key,
                                            void (*on_answer)(struct loop_message *m))
{
    struct shelf_pending *p = zeroed(sizeof *p + key.n);
    p->shelf = shelf;
    p->hash = hash;
    p->want.loop = shelf->loop;
    p->want.message.run = on_answer;
    memcpy(p->key, key.p, key.n);
    table_add(&shelf->pendings, hash, p);
    return p;
}

static void pending_settle(struct shelf_pending *p)
{
    if (!p->is_orphan)
        table_remove(&p->shelf->pendings, p->hash, p);
}

static void pending_fail(struct shelf_pending *p)
{
    for (struct shelf_wait *w = next_waiter(p); w != NULL; w = next_waiter(p))
        w->on_failure(w, p->want.fail, p->want.code);
}

// --- waiting for a site ---

// What an index may not keep still serves those who waited.
static struct mount *mount_of_answer(struct shelf_pending *p)
{
    const struct cache_want *w = &p->want;
    bool keep = w->fail == FAIL_NOT_FOUND ? !p->is_orphan : w->may_keep;
    return keep ? put(p->shelf, w->key, w->ret_site) : mount_create(w->key, w->ret_site);
}

static void on_site(struct loop_message *message)
{
    struct shelf_pending *p = (struct shelf_pending *)message;
    pending_settle(p);
    if (p->want.fail != FAIL_NONE && p->want.fail != FAIL_NOT_FOUND) {
        pending_fail(p);
    } else {
        struct mount *m = mount_of_answer(p);
        for (struct shelf_wait *w = next_waiter(p); w != NULL; w = next_waiter(p))
            w->on_mount(w, m);
        mount_unref(m);
    }
    shared_unref(p->want.ret_site != NULL ? &p->want.ret_site->shared : NULL);
    free(p);
}

void shelf_wait_mount(struct shelf *shelf, str key, struct shelf_wait *w)
{
    uint64_t hash = table_hash(key);
    size_t at;
    struct shelf_pending *p = table_first(&shelf->pendings, hash, &at);
    while (p != NULL && (p->want.site != NULL || !str_eq(p->want.key, key)))
        p = table_next(&shelf->pendings, hash, &at);
    if (p != NULL) {
        wait_link(p, w);
        return;
    }
    p = pending_create(shelf, hash, key, on_site);
    p->want.key = str_of(p->key, key.n);
    wait_link(p, w);
    cache_want_site(&p->want);
}

// --- waiting for a variant ---

static void put_variant(struct shelf *shelf, struct variant *v)
{
    struct mount *m = find_mount(shelf, v->site->key);
    if (m == NULL || m->site != v->site || m->slots[v->number] != NULL)
        return;
    shared_ref(&v->shared);
    m->slots[v->number] = v;
}

static void on_variant(struct loop_message *message)
{
    struct shelf_pending *p = (struct shelf_pending *)message;
    struct variant *v = p->want.ret_variant;
    pending_settle(p);
    if (p->want.fail != FAIL_NONE) {
        pending_fail(p);
    } else {
        if (p->want.may_keep)
            put_variant(p->shelf, v);
        for (struct shelf_wait *w = next_waiter(p); w != NULL; w = next_waiter(p))
            w->on_variant(w, v);
        shared_unref(&v->shared);
    }
    shared_unref(&p->want.site->shared);
    free(p);
}

void shelf_wait_variant(struct shelf *shelf, struct mount *m, uint32_t number, struct shelf_wait *w)
{
    uint64_t words[2] = {(uintptr_t)m->site, number};
    uint64_t hash = table_hash(str_of(words, sizeof words));
    size_t at;
    struct shelf_pending *p = table_first(&shelf->pendings, hash, &at);
    while (p != NULL && (p->want.site != m->site || p->want.number != number))
        p = table_next(&shelf->pendings, hash, &at);
    if (p != NULL) {
        wait_link(p, w);
        return;
    }
    p = pending_create(shelf, hash, (str){"", 0}, on_variant);
    p->want.site = m->site;
    p->want.number = number;
    shared_ref(&m->site->shared);
    wait_link(p, w);
    cache_want_variant(&p->want);
}

// --- what the cache says ---

void shelf_drop_site(struct shelf *shelf, struct site *site)
{
    struct mount *m = find_mount(shelf, site->key);
    if (m != NULL && m->site == site)
        take_out(shelf, m);
}

void shelf_drop_variant(struct shelf *shelf, struct variant *v)
{
    struct mount *m = find_mount(shelf, v->site->key);
    if (m == NULL || m->site != v->site || m->slots[v->number] != v)
        return;
    m->slots[v->number] = NULL;
    shared_unref(&v->shared);
}

void shelf_forget_unsettled(struct shelf *shelf)
{
    struct table old = shelf->pendings;
    size_t at = 0;
    while (shelf->oldest_absent != NULL)
        take_out(shelf, shelf->oldest_absent);
    table_init(&shelf->pendings);
    for (struct shelf_pending *p = table_each(&old, &at); p != NULL; p = table_each(&old, &at)) {
        p->is_orphan = p->want.site == NULL; // what a variant is made of never changes
        if (!p->is_orphan)
            table_add(&shelf->pendings, p->hash, p);
    }
    table_fini(&old);
}
