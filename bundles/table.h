// A hash table of pointers, and the keyed hash for it: strangers choose the keys (paths, slugs), so
// the hash is SipHash-1-3 under a key that is random for each process. The table owns its slots,
// never the items. One thread at a time.
#ifndef STOA_BUNDLES_TABLE_H
#define STOA_BUNDLES_TABLE_H
#include "edge/base/digest.h"

// Any thread; the same bytes give the same number for as long as the process lives.
uint64_t table_hash(str key);

struct table {
    struct table_slot {
        uint64_t hash;
        void *item; // NULL: free
    } * _slots;
    size_t _mask, count;
};
void table_init(struct table *t);
void table_fini(struct table *t);
// An item may be added once; two items may have the same hash.
void table_add(struct table *t, uint64_t hash, void *item);
// The item must be there.
void table_remove(struct table *t, uint64_t hash, const void *item);

// The items of one hash, one after the other:
//   for (void *i = table_first(t, hash, &at); i != NULL; i = table_next(t, hash, &at))
static inline void *table_next(const struct table *t, uint64_t hash, size_t *at)
{
    for (;;) {
        const struct table_slot *slot = &t->_slots[*at & t->_mask];
        if (slot->item == NULL)
            return NULL;
        (*at)++;
        if (slot->hash == hash)
            return slot->item;
    }
}
static inline void *table_first(const struct table *t, uint64_t hash, size_t *at)
{
    *at = hash & t->_mask;
    return table_next(t, hash, at);
}
// All items, in no order: *at starts as 0. The table must not change meanwhile.
void *table_each(const struct table *t, size_t *at);
#endif
