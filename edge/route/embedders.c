// One list in three orders: what is asked is found by halves, which no choice of names makes slow.
#include "edge/route/embedders.h"
#include <pthread.h>
#include <stdlib.h>
#include "edge/loop/shared.h"

struct entry {
    str slug, id, origin;
};
enum order { BY_SLUG, BY_ID, BY_ORIGIN, ORDERS };
struct table {
    struct shared shared;
    size_t count;
    struct entry *entries[ORDERS]; // each all of them
    char *text;                    // what they view
};

static struct table *of_loop[LOOPS_MAX]; // each its own loop's
static struct {
    pthread_mutex_t lock; // guards `table`, and the order it is posted to the loops in
    struct table *table;
} published = {.lock = PTHREAD_MUTEX_INITIALIZER};

// --- the table ---

static str first_of(const struct entry *e, enum order order)
{
    return order == BY_SLUG ? e->slug : order == BY_ID ? e->id : e->origin;
}

// An absent second part in the key (p == NULL) is equal to any.
static int compare(const struct entry *key, const struct entry *e, enum order order)
{
    int c = str_cmp(first_of(key, order), first_of(e, order));
    if (c == 0 && order != BY_ORIGIN && key->origin.p != NULL)
        c = str_cmp(key->origin, e->origin);
    return c;
}

static int by_slug(const void *a, const void *b)
{
    return compare(a, b, BY_SLUG);
}

static int by_id(const void *a, const void *b)
{
    return compare(a, b, BY_ID);
}

static int by_origin(const void *a, const void *b)
{
    return compare(a, b, BY_ORIGIN);
}

static int (*const orders[ORDERS])(const void *, const void *) = {by_slug, by_id, by_origin};

static void table_free(struct shared *s)
{
    struct table *t = (struct table *)s;
    for (size_t i = 0; i != ORDERS; ++i)
        free(t->entries[i]);
    free(t->text);
    free(t);
}

static void table_unref(struct table *t)
{
    if (t != NULL)
        shared_unref(&t->shared);
}

static void *room_for(size_t n)
{
    void *p = malloc(n + 1);
    if (p == NULL)
        abort();
    return p;
}

static str keep(char **at, const char *z)
{
    size_t n = strlen(z);
    str kept = str_of(*at, n);
    memcpy(*at, z, n);
    *at += n;
    return kept;
}

static struct table *table_create(const struct embedder *list, size_t count)
{
    struct table *t = room_for(sizeof *t);
    size_t text = 0;
    for (size_t i = 0; i != count; ++i)
        text +=
            strlen(list[i].platform_slug) + strlen(list[i].platform_id) + strlen(list[i].origin);
    *t = (struct table){.count = count, .text = room_for(text)};
    shared_init(&t->shared, table_free);
    for (size_t i = 0; i != ORDERS; ++i)
        t->entries[i] = room_for(count * sizeof *t->entries[i]);
    char *at = t->text;
    for (size_t i = 0; i != count; ++i)
        t->entries[0][i] = (struct entry){.slug = keep(&at, list[i].platform_slug),
                                          .id = keep(&at, list[i].platform_id),
                                          .origin = keep(&at, list[i].origin)};
    for (size_t i = 1; i != ORDERS; ++i)
        memcpy(t->entries[i], t->entries[0], count * sizeof *t->entries[i]);
    for (size_t i = 0; i != ORDERS; ++i)
        qsort(t->entries[i], count, sizeof *t->entries[i], orders[i]);
    return t;
}

static bool has(const struct table *t, enum order order, struct entry key)
{
    return bsearch(&key, t->entries[order], t->count, sizeof key, orders[order]) != NULL;
}

// The first entry of the platform, or where it would stand.
static size_t first_of_slug(const struct table *t, str slug)
{
    size_t low = 0, high = t->count;
    while (low != high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(t->entries[BY_SLUG][middle].slug, slug) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// --- publishing ---

struct swap {
    struct loop_message message;
    struct table *table; // a reference
};

static void on_swap(struct loop_message *m)
{
    struct swap *s = (struct swap *)m;
    unsigned i = loop_index(loop_self());
    table_unref(of_loop[i]);
    of_loop[i] = s->table;
    free(s);
}

void embedders_publish(const struct embedder *list, size_t count)
{
    struct table *t = table_create(list, count);
    pthread_mutex_lock(&published.lock);
    struct table *old = published.table;
    published.table = t;
    for (unsigned i = 0; i != loop_count(); ++i) {
        struct swap *s = room_for(sizeof *s);
        shared_ref(&t->shared);
        *s = (struct swap){.message.run = on_swap, .table = t};
        loop_post(loop_at(i), &s->message);
    }
    pthread_mutex_unlock(&published.lock);
    table_unref(old);
}

// A reference, or NULL.
static struct table *table_published(void)
{
    pthread_mutex_lock(&published.lock);
    struct table *t = published.table;
    if (t != NULL)
        shared_ref(&t->shared);
    pthread_mutex_unlock(&published.lock);
    return t;
}

void embedders_on_loop_start(struct loop *loop)
{
    table_unref(of_loop[loop_index(loop)]);
    of_loop[loop_index(loop)] = table_published();
}

// --- asking ---

static struct table *borrow(void)
{
    const struct loop *loop = loop_self();
    return loop != NULL ? of_loop[loop_index(loop)] : table_published();
}

static void give_back(struct table *t)
{
    if (loop_self() == NULL)
        table_unref(t);
}

bool embedders_allow(str platform_slug, str origin)
{
    struct table *t = borrow();
    struct entry key = {.slug = platform_slug, .origin = origin};
    bool is_allowed =
        t != NULL && origin.n != 0 && has(t, platform_slug.n != 0 ? BY_SLUG : BY_ORIGIN, key);
    give_back(t);
    return is_allowed;
}

bool embedders_allow_for(const char *platform_id, str origin)
{
    struct table *t = borrow();
    struct entry key = {.id = str_from(platform_id), .origin = origin};
    bool is_allowed = t != NULL && origin.n != 0 && has(t, BY_ID, key);
    give_back(t);
    return is_allowed;
}

bool embedders_know(str platform_slug)
{
    struct table *t = borrow();
    bool is_known = t == NULL || has(t, BY_SLUG, (struct entry){.slug = platform_slug});
    give_back(t);
    return is_known;
}

bool embedders_add_to(str platform_slug, struct buf *to)
{
    struct table *t = borrow();
    str last = {0}; // keys of one platform may name the same
    for (size_t i = t != NULL ? first_of_slug(t, platform_slug) : 0;
         t != NULL && i != t->count && str_eq(t->entries[BY_SLUG][i].slug, platform_slug); ++i) {
        str origin = t->entries[BY_SLUG][i].origin;
        if (origin.n == 0 || str_eq(origin, last))
            continue;
        buf_addc(to, ' ');
        buf_add(to, origin);
        last = origin;
    }
    give_back(t);
    return last.n != 0;
}
