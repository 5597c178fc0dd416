// An open-addressed table of pointers, half empty at the least.
#include "edge/route/hosts.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include "edge/base/digest.h"

struct hosts {
    struct shared shared;
    size_t count, bytes, room; // room: a power of two
    struct host *slots[];
};

static struct hosts *of_loop[LOOPS_MAX]; // each its own loop's
static struct {
    pthread_mutex_t lock; // guards `hosts`
    struct hosts *hosts;
} published = {.lock = PTHREAD_MUTEX_INITIALIZER};
static uint64_t seed; // owners choose names: nobody shall aim at a slot

// --- a host ---

static void host_free(struct shared *s)
{
    struct host *h = (struct host *)s;
    if (h->certificate != NULL)
        shared_unref(&h->certificate->shared);
    free(h);
}

static str keep(char **at, str s)
{
    str kept = str_of(*at, s.n);
    if (s.n != 0)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return kept;
}

static size_t host_bytes(const struct host *h)
{
    return sizeof *h + h->name.n + h->slug.n + h->redirect_to.n;
}

static void make_seed(void)
{
    seed = random_u64();
}

static uint64_t hash(str name)
{
    static pthread_once_t is_made = PTHREAD_ONCE_INIT;
    pthread_once(&is_made, make_seed); // two loops may be the first
    uint64_t h = seed;
    for (size_t i = 0; i != name.n; ++i)
        h = (h ^ (unsigned char)name.p[i]) * UINT64_C(0x9e3779b97f4a7c15), h ^= h >> 29;
    return h;
}

struct host *host_create(const struct host *of)
{
    struct host *h = malloc(host_bytes(of));
    if (h == NULL)
        abort();
    char *at = (char *)(h + 1);
    *h = *of;
    shared_init(&h->shared, host_free);
    h->_hash = hash(of->name);
    h->name = keep(&at, of->name);
    h->slug = keep(&at, of->slug);
    h->redirect_to = keep(&at, of->redirect_to);
    if (h->certificate != NULL)
        shared_ref(&h->certificate->shared);
    return h;
}

// --- the table ---

// The slot that holds the name, or the free one it would take.
static size_t slot_of(struct host *const *slots, size_t room, str name, uint64_t h)
{
    size_t i = h & (room - 1);
    while (slots[i] != NULL && (slots[i]->_hash != h || !str_eq(slots[i]->name, name)))
        i = (i + 1) & (room - 1);
    return i;
}

static void hosts_free(struct shared *s)
{
    struct hosts *t = (struct hosts *)s;
    for (size_t i = 0; i != t->room; ++i)
        if (t->slots[i] != NULL)
            shared_unref(&t->slots[i]->shared);
    free(t);
}

static struct hosts *table_for(size_t count)
{
    size_t room = 16;
    while (room < 2 * count)
        room *= 2;
    struct hosts *t = calloc(1, sizeof *t + room * sizeof t->slots[0]);
    if (t == NULL)
        abort();
    shared_init(&t->shared, hosts_free);
    t->room = room;
    t->bytes = sizeof *t + room * sizeof t->slots[0];
    return t;
}

static void put(struct hosts *t, struct host *h)
{
    size_t i = slot_of(t->slots, t->room, h->name, h->_hash);
    if (t->slots[i] != NULL) {
        t->bytes -= host_bytes(t->slots[i]);
        shared_unref(&t->slots[i]->shared);
        --t->count;
    }
    t->slots[i] = h;
    t->bytes += host_bytes(h);
    ++t->count;
}

struct hosts *hosts_create(struct host *const *list, size_t count)
{
    struct hosts *t = table_for(count);
    for (size_t i = 0; i != count; ++i)
        put(t, list[i]);
    return t;
}

struct hosts *hosts_change(const struct hosts *old, str name, struct host *now)
{
    struct hosts *t = table_for(old->count + 1);
    assert(now == NULL || str_eq(now->name, name));
    for (size_t i = 0; i != old->room; ++i) {
        struct host *h = old->slots[i];
        if (h == NULL || str_eq(h->name, name))
            continue;
        shared_ref(&h->shared);
        put(t, h);
    }
    if (now != NULL)
        put(t, now);
    return t;
}

void hosts_unref(struct hosts *h)
{
    if (h != NULL)
        shared_unref(&h->shared);
}

size_t hosts_count(const struct hosts *h)
{
    return h->count;
}

size_t hosts_bytes(const struct hosts *h)
{
    return h->bytes;
}

const struct host *hosts_look(const struct hosts *h, str name)
{
    return h->slots[slot_of(h->slots, h->room, name, hash(name))];
}

// --- publishing ---

struct swap {
    struct loop_message message;
    struct hosts *hosts; // a reference
};

static void on_swap(struct loop_message *m)
{
    struct swap *s = (struct swap *)m;
    unsigned i = loop_index(loop_self());
    hosts_unref(of_loop[i]);
    of_loop[i] = s->hosts;
    free(s);
}

void hosts_publish(struct hosts *h)
{
    pthread_mutex_lock(&published.lock);
    hosts_unref(published.hosts);
    published.hosts = h;
    shared_ref(&h->shared); // h may be replaced as soon as the lock is open
    pthread_mutex_unlock(&published.lock);
    for (unsigned i = 0; i != loop_count(); ++i) {
        struct swap *s = calloc(1, sizeof *s);
        if (s == NULL)
            abort();
        shared_ref(&h->shared);
        *s = (struct swap){.message.run = on_swap, .hosts = h};
        loop_post(loop_at(i), &s->message);
    }
    hosts_unref(h);
}

struct hosts *hosts_published(void)
{
    pthread_mutex_lock(&published.lock);
    struct hosts *h = published.hosts;
    if (h != NULL)
        shared_ref(&h->shared);
    pthread_mutex_unlock(&published.lock);
    return h;
}

void hosts_on_loop_start(struct loop *loop)
{
    hosts_unref(of_loop[loop_index(loop)]);
    of_loop[loop_index(loop)] = hosts_published();
}

const struct host *hosts_find(str name)
{
    const struct loop *loop = loop_self();
    const struct hosts *h = loop != NULL ? of_loop[loop_index(loop)] : NULL;
    return h != NULL ? hosts_look(h, name) : NULL;
}
