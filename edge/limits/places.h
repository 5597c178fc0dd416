// Places of which there are so many, taken and left at the pace of requests: the rules of shares.h, kept by the counters of limits.h in place of a
// lock, so that they hold to within what all threads take at one moment. Nobody may have more places than are then left for others, a network twice
// as many, strangers together three quarters. Any thread.
#ifndef STOA_LIMITS_PLACES_H
#define STOA_LIMITS_PLACES_H
#include <stdatomic.h>
#include "edge/limits/shares.h"

struct places {
    uint64_t kind; // not 0, another for each: one sender is counted in each by itself
    _Atomic uint64_t taken, by_strangers;
};

// True when `who` has `n` more of `total`; each is given back once, in whatever portions. Nobody in particular (holder 0) has as many as there are.
bool places_take(struct places *p, const struct share_holder *who, uint32_t n, uint64_t total);
void places_give_back(struct places *p, const struct share_holder *who, uint32_t n);
#endif
