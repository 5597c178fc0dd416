#include "edge/limits/places.h"
#include <stdatomic.h>
#include "edge/limits/limits.h"

enum { KEPT_PART = 4, NETWORK_PARTS = 2 }; // as in shares.c

static _Atomic uint64_t taken, taken_by_strangers;

static uint32_t most(uint64_t places)
{
    return places < UINT32_MAX ? (uint32_t)places : UINT32_MAX;
}

// Its own and its network's, or neither.
static bool enter(const struct share_holder *who, uint32_t n, uint64_t left)
{
    if (!limits_enter_many(who->holder, n, most(left)))
        return false;
    if (who->is_known || limits_enter_many(who->network, n, most(NETWORK_PARTS * left)))
        return true;
    limits_leave_many(who->holder, n);
    return false;
}

bool places_take(const struct share_holder *who, uint32_t n, uint64_t total)
{
    bool is_stranger = who->holder != 0 && !who->is_known;
    uint64_t there = is_stranger ? total - total / KEPT_PART : total,
             now = (is_stranger ? taken_by_strangers : taken) + n;
    if (now > there || taken + n > total || (who->holder != 0 && !enter(who, n, there - now)))
        return false;
    taken += n;
    if (is_stranger)
        taken_by_strangers += n;
    return true;
}

void places_give_back(const struct share_holder *who, uint32_t n)
{
    taken -= n;
    if (who->holder == 0)
        return;
    limits_leave_many(who->holder, n);
    if (who->is_known)
        return;
    limits_leave_many(who->network, n);
    taken_by_strangers -= n;
}
