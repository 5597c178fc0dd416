// Three buckets of failures (edge/limits): an address, a key, and an address on a key. The last one binds
// only while the key's own is full. And one of what succeeds: a token.
#include "embed/throttle.h"
#include "edge/limits/limits.h"

enum { SECOND_US = 1000000 };

struct bucket {
    const char *name;
    uint64_t interval_us;
    uint32_t burst;
};
static const struct bucket of_address = {"exchange", 2 * SECOND_US, 30},
                           of_key = {"exchange key", SECOND_US / 5, 300},
                           of_both = {"exchange both", 20 * SECOND_US, 3},
                           of_token = {"exchange token", 5 * SECOND_US, 120};

static uint64_t key_for(const struct bucket *b, str address, str key_id)
{
    str parts[] = {str_from(b->name), address, key_id};
    return limits_key_of(LIMIT_OTHER, parts, 3);
}

static bool is_full(const struct bucket *b, str address, str key_id, unsigned *ret_wait_s)
{
    uint64_t wait_us = 0;
    if (limits_would_conform(key_for(b, address, key_id), b->interval_us, b->burst, &wait_us))
        return false;
    *ret_wait_s = (unsigned)((wait_us + SECOND_US - 1) / SECOND_US);
    return true;
}

// What overflows is not counted: nobody waits longer than until the bucket is whole.
static void charge(const struct bucket *b, str address, str key_id)
{
    uint64_t wait_us = 0;
    bool has_room =
        limits_conforms(key_for(b, address, key_id), b->interval_us, b->burst, &wait_us);
    (void)has_room;
}

struct ip throttle_address(str peer)
{
    struct ip ip = {.n = 0};
    return ip_parse(peer, &ip) ? ip_normalise(&ip) : ip;
}

bool throttle_admits(const struct ip *address, unsigned *ret_wait_s)
{
    return !is_full(&of_address, limits_visitor(address), STR(""), ret_wait_s);
}

bool throttle_admits_with(const struct ip *address, const char *key_id, unsigned *ret_wait_s)
{
    unsigned of_all;
    return !is_full(&of_key, STR(""), str_from(key_id), &of_all) ||
           !is_full(&of_both, limits_visitor(address), str_from(key_id), ret_wait_s);
}

void throttle_failed(const struct ip *address, const char *key_id)
{
    charge(&of_address, limits_visitor(address), STR(""));
    if (key_id == NULL)
        return;
    charge(&of_key, STR(""), str_from(key_id));
    charge(&of_both, limits_visitor(address), str_from(key_id));
}

bool throttle_takes(const struct digest *token, unsigned *ret_wait_s)
{
    uint64_t wait_us = 0;
    str key = str_of(token->b, sizeof token->b);
    if (limits_conforms(key_for(&of_token, key, STR("")), of_token.interval_us, of_token.burst,
                        &wait_us))
        return true;
    *ret_wait_s = (unsigned)((wait_us + SECOND_US - 1) / SECOND_US);
    return false;
}
