#include "edge/limits/places.h"
#include "edge/limits/limits.h"

enum { KEPT_PART = 4, NETWORK_PARTS = 2 }; // as in shares.c

// Holders are hashes under a random key, so a difference keeps them apart.
static uint64_t key(const struct places *p, uint64_t number)
{
    return number ^ UINT64_C(0x9e3779b97f4a7c15) * p->kind;
}

static uint32_t most(uint64_t places)
{
    return places < UINT32_MAX ? (uint32_t)places : UINT32_MAX;
}

// Its own and its network's, or neither.
static bool enter(const struct places *p, const struct share_holder *who, uint32_t n, uint64_t left)
{
    if (!limits_enter_many(key(p, who->holder), n, most(left)))
        return false;
    if (who->is_known || limits_enter_many(key(p, who->network), n, most(NETWORK_PARTS * left)))
        return true;
    limits_leave_many(key(p, who->holder), n);
    return false;
}

bool places_take(struct places *p, const struct share_holder *who, uint32_t n, uint64_t total)
{
    bool is_stranger = who->holder != 0 && !who->is_known;
    uint64_t there = is_stranger ? total - total / KEPT_PART : total,
             now = (is_stranger ? p->by_strangers : p->taken) + n;
    if (now > there || p->taken + n > total || (who->holder != 0 && !enter(p, who, n, there - now)))
        return false;
    p->taken += n;
    if (is_stranger)
        p->by_strangers += n;
    return true;
}

void places_give_back(struct places *p, const struct share_holder *who, uint32_t n)
{
    p->taken -= n;
    if (who->holder == 0)
        return;
    limits_leave_many(key(p, who->holder), n);
    if (who->is_known)
        return;
    limits_leave_many(key(p, who->network), n);
    p->by_strangers -= n;
}
