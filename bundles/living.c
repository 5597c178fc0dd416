#include "bundles/living.h"
#include <pthread.h>
#include "bundles/table.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards the rest
static struct table bodies;
static uint64_t bytes;

static uint64_t hash_of(const struct digest *d)
{
    return table_hash(str_of(d->b, sizeof d->b));
}

void living_init(void)
{
    table_init(&bodies);
}

void living_add(struct body *b)
{
    pthread_mutex_lock(&lock);
    b->is_listed = true;
    table_add(&bodies, hash_of(&b->digest), b);
    bytes += b->size;
    pthread_mutex_unlock(&lock);
}

struct body *living_find(const struct digest *digest)
{
    uint64_t hash = hash_of(digest);
    size_t at;
    pthread_mutex_lock(&lock);
    struct body *b = table_first(&bodies, hash, &at);
    while (b != NULL && (memcmp(b->digest.b, digest->b, sizeof digest->b) != 0 ||
                         !shared_ref_if_alive(&b->shared)))
        b = table_next(&bodies, hash, &at);
    pthread_mutex_unlock(&lock);
    return b;
}

uint64_t living_bytes(void)
{
    pthread_mutex_lock(&lock);
    uint64_t n = bytes;
    pthread_mutex_unlock(&lock);
    return n;
}

void living_remove(struct body *b)
{
    pthread_mutex_lock(&lock);
    table_remove(&bodies, hash_of(&b->digest), b);
    bytes -= b->size;
    pthread_mutex_unlock(&lock);
}
