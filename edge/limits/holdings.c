// Chains by FNV-1a of the holder.
#include "edge/limits/holdings.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct holder {
    struct holder *next;
    struct holding has;
    char id[HOLDER_ROOM];
};

static size_t bucket_of(const struct holdings *h, const char *holder)
{
    uint32_t hash = 2166136261;
    for (const char *p = holder; *p != '\0'; ++p)
        hash = (hash ^ (uint8_t)*p) * 16777619;
    return hash % (sizeof h->buckets / sizeof h->buckets[0]);
}

struct holding holdings_of(const struct holdings *h, const char *holder)
{
    const struct holder *at = h->buckets[bucket_of(h, holder)];
    while (at != NULL && strcmp(at->id, holder) != 0)
        at = at->next;
    return at != NULL ? at->has : (struct holding){0};
}

struct holding holdings_most(const struct holdings *h, char ret_holder[static HOLDER_ROOM])
{
    const struct holder *most = NULL;
    for (size_t i = 0; i != sizeof h->buckets / sizeof h->buckets[0]; ++i)
        for (const struct holder *at = h->buckets[i]; at != NULL; at = at->next)
            if (at->has.bytes > (most != NULL ? most->has.bytes : 0))
                most = at;
    memcpy(ret_holder, most != NULL ? most->id : "", most != NULL ? sizeof most->id : 1);
    return most != NULL ? most->has : (struct holding){0};
}

// Where the holder is, or would be.
static struct holder **find(struct holdings *h, const char *holder)
{
    struct holder **at = &h->buckets[bucket_of(h, holder)];
    while (*at != NULL && strcmp((*at)->id, holder) != 0)
        at = &(*at)->next;
    return at;
}

static struct holder *holder_create(const char *id)
{
    struct holder *h = calloc(1, sizeof *h);
    if (h == NULL)
        abort();
    assert(strlen(id) < sizeof h->id);
    memcpy(h->id, id, strlen(id));
    return h;
}

static void add(struct holding *h, size_t bytes)
{
    ++h->count;
    h->bytes += bytes;
}

static void subtract(struct holding *h, size_t bytes)
{
    assert(h->count != 0 && h->bytes >= bytes);
    --h->count;
    h->bytes -= bytes;
}

void holdings_add(struct holdings *h, const char *holder, size_t bytes)
{
    struct holder **at = find(h, holder);
    if (*at == NULL)
        *at = holder_create(holder);
    add(&(*at)->has, bytes);
    add(&h->all, bytes);
}

void holdings_remove(struct holdings *h, const char *holder, size_t bytes)
{
    struct holder **at = find(h, holder), *found = *at;
    assert(found != NULL);
    subtract(&found->has, bytes);
    subtract(&h->all, bytes);
    if (found->has.count == 0) {
        *at = found->next;
        free(found);
    }
}
