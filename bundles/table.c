#include "bundles/table.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum { ROOM_MIN = 16 };

static uint64_t key0, key1; // written once, before any reader
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    key0 = random_u64();
    key1 = random_u64();
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

// The initial constants are those of the SipHash paper ("somepseudorandomlygeneratedbytes").
uint64_t table_hash(str key)
{
    pthread_once(&key_once, make_key);
    uint64_t v[4] = {key0 ^ 0x736f6d6570736575, key1 ^ 0x646f72616e646f6d,
                     key0 ^ 0x6c7967656e657261, key1 ^ 0x7465646279746573};
    const char *p = key.p;
    size_t left = key.n;
    for (; left >= 8; p += 8, left -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = 0;
    if (left > 0)
        memcpy(&last, p, left);
    last |= (uint64_t)key.n << 56;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct table_slot *slots_new(size_t room)
{
    struct table_slot *slots = calloc(room, sizeof *slots);
    if (slots == NULL)
        abort();
    return slots;
}

void table_init(struct table *t)
{
    *t = (struct table){._slots = slots_new(ROOM_MIN), ._mask = ROOM_MIN - 1};
}

void table_fini(struct table *t)
{
    free(t->_slots);
    *t = (struct table){0};
}

static void put(struct table *t, uint64_t hash, void *item)
{
    size_t at = hash & t->_mask;
    while (t->_slots[at].item != NULL)
        at = (at + 1) & t->_mask;
    t->_slots[at] = (struct table_slot){hash, item};
}

static void grow(struct table *t)
{
    struct table_slot *old = t->_slots;
    size_t room = t->_mask + 1;
    t->_slots = slots_new(room * 2);
    t->_mask = room * 2 - 1;
    for (size_t i = 0; i < room; i++)
        if (old[i].item != NULL)
            put(t, old[i].hash, old[i].item);
    free(old);
}

void table_add(struct table *t, uint64_t hash, void *item)
{
    assert(item != NULL);
    if (t->count * 3 >= (t->_mask + 1) * 2)
        grow(t);
    put(t, hash, item);
    t->count++;
}

// Linear probing without tombstones: whoever stands behind the hole moves into it unless that would
// be in front of its own place.
static void close_hole(struct table *t, size_t hole)
{
    for (size_t at = (hole + 1) & t->_mask; t->_slots[at].item != NULL; at = (at + 1) & t->_mask) {
        size_t home = t->_slots[at].hash & t->_mask;
        if (((at - home) & t->_mask) < ((at - hole) & t->_mask))
            continue;
        t->_slots[hole] = t->_slots[at];
        hole = at;
    }
    t->_slots[hole].item = NULL;
}

void table_remove(struct table *t, uint64_t hash, const void *item)
{
    size_t at = hash & t->_mask;
    while (t->_slots[at].item != item) {
        assert(t->_slots[at].item != NULL);
        at = (at + 1) & t->_mask;
    }
    close_hole(t, at);
    t->count--;
}

void *table_each(const struct table *t, size_t *at)
{
    while (*at <= t->_mask) {
        void *item = t->_slots[(*at)++].item;
        if (item != NULL)
            return item;
    }
    return NULL;
}
