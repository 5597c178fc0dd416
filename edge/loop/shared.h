// Immutable values that several threads hold: an atomic count, and a function that frees. Embed as
// the first member. The maker holds the first reference.
#ifndef STOA_LOOP_SHARED_H
#define STOA_LOOP_SHARED_H
#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

struct shared {
    _Atomic unsigned refs;
    void (*free)(struct shared *s); // on whichever thread drops the last reference
};

static inline void shared_init(struct shared *s, void (*on_free)(struct shared *s))
{
    atomic_init(&s->refs, 1);
    s->free = on_free;
}
static inline void shared_ref(struct shared *s)
{
    unsigned before = atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    assert(before != 0);
}
// For who finds it in a table that it leaves only when it is freed: false, and no reference, when the
// last one has gone already.
static inline bool shared_ref_if_alive(struct shared *s)
{
    unsigned refs = atomic_load_explicit(&s->refs, memory_order_relaxed);
    while (refs != 0 && !atomic_compare_exchange_weak_explicit(
                            &s->refs, &refs, refs + 1, memory_order_acquire, memory_order_relaxed))
        continue;
    return refs != 0;
}
// Takes NULL.
static inline void shared_unref(struct shared *s)
{
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        s->free(s);
}
#endif
