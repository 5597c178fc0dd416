// Two set-associative arrays of 64-bit words. A word holds a tag of its key and its value together,
// so that one compare-and-swap changes both and no reader sees one without the other.
#include "edge/limits/limits.h"
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include "edge/base/clock.h"
#include "edge/base/digest.h"

enum { SETS = 1 << 15, WAYS = 8, SET_BITS = 15 };
// arrival times: 22 bits of tag, 42 bits of 16-microsecond ticks (two years); counters: 40 bits of
// tag, 24 of count
enum { TICK_US = 16, TIME_BITS = 42, COUNT_BITS = 24 };
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

static _Atomic uint64_t times[SETS][WAYS], counts[SETS][WAYS];
static uint64_t hash_key[2], began_us;

void limits_init(void)
{
    random_bytes(hash_key, sizeof hash_key);
    began_us = clock_monotonic_us();
}

uint64_t limits_key(enum limit_kind kind, str per)
{
    char text[8 + 64];
    assert(per.n <= 64);
    uint64_t k = (uint64_t)kind;
    memcpy(text, &k, 8);
    memcpy(text + 8, per.p, per.n);
    struct digest d =
        digest_hmac_sha256(str_of(hash_key, sizeof hash_key), str_of(text, 8 + per.n));
    uint64_t key;
    memcpy(&key, d.b, sizeof key);
    return key;
}

size_t limits_address(const struct sockaddr *sa, uint8_t to[static 16])
{
    if (sa->sa_family == AF_INET) {
        memcpy(to, &((const struct sockaddr_in *)sa)->sin_addr, 4);
        return 4;
    }
    if (sa->sa_family != AF_INET6) {
        to[0] = 0;
        return 1;
    }
    const uint8_t *a = ((const struct sockaddr_in6 *)sa)->sin6_addr.s6_addr;
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
                         nat64[12] = {0, 0x64, 0xff, 0x9b};
    if (memcmp(a, mapped, 12) == 0 ||
        memcmp(a, nat64, 12) == 0) { // RFC 4291 §2.5.5.2, RFC 6052 §2.1
        memcpy(to, a + 12, 4);
        return 4;
    }
    if (a[0] == 0x20 && a[1] == 0x02) { // 6to4, RFC 3056
        memcpy(to, a + 2, 4);
        return 4;
    }
    memcpy(to, a, 8);
    return 8;
}

static uint64_t tag_of(uint64_t key, unsigned value_bits)
{
    uint64_t tag = key >> SET_BITS << value_bits;
    return tag != 0 ? tag : UINT64_C(1) << value_bits; // a word of 0 is an empty slot
}

bool limits_enter(uint64_t key, uint32_t max)
{
    _Atomic uint64_t *set = counts[key & (SETS - 1)];
    uint64_t tag = tag_of(key, COUNT_BITS);
    for (;;) {
        size_t at = WAYS;
        uint64_t seen = 0;
        for (size_t i = 0; i != WAYS; ++i) {
            uint64_t word = atomic_load(&set[i]);
            if (word != 0 && (word & ~COUNT_MASK) == tag) {
                at = i;
                seen = word;
                break;
            }
            if (at == WAYS && (word & COUNT_MASK) == 0) {
                at = i;
                seen = word;
            }
        }
        if (at == WAYS)
            return false;
        uint64_t count = (seen & ~COUNT_MASK) == tag ? seen & COUNT_MASK : 0;
        if (count >= max)
            return false;
        if (atomic_compare_exchange_weak(&set[at], &seen, tag | (count + 1)))
            return true;
    }
}

void limits_leave(uint64_t key)
{
    _Atomic uint64_t *set = counts[key & (SETS - 1)];
    uint64_t tag = tag_of(key, COUNT_BITS);
    for (size_t i = 0; i != WAYS; ++i) {
        uint64_t word = atomic_load(&set[i]);
        while ((word & ~COUNT_MASK) == tag && (word & COUNT_MASK) != 0)
            if (atomic_compare_exchange_weak(&set[i], &word,
                                             (word & COUNT_MASK) == 1 ? 0 : word - 1))
                return;
    }
    assert(!"limits_leave without limits_enter");
}

bool limits_conforms(uint64_t key, uint64_t interval_us, uint32_t burst, uint64_t *ret_wait_us)
{
    assert(burst != 0);
    _Atomic uint64_t *set = times[key & (SETS - 1)];
    uint64_t tag = tag_of(key, TIME_BITS), now = (clock_monotonic_us() - began_us) / TICK_US + 1;
    uint64_t interval = interval_us / TICK_US, tolerance = interval * (burst - 1);
    for (;;) {
        size_t at = WAYS;
        uint64_t seen = 0;
        for (size_t i = 0; i != WAYS; ++i) {
            uint64_t word = atomic_load(&set[i]);
            if (word != 0 && (word & ~TIME_MASK) == tag) {
                at = i;
                seen = word;
                break;
            }
            if (at == WAYS && (word & TIME_MASK) <= now) {
                at = i;
                seen = word;
            }
        }
        if (at == WAYS) {
            *ret_wait_us = interval_us;
            return false;
        }
        uint64_t arrival =
            (seen & ~TIME_MASK) == tag && (seen & TIME_MASK) > now ? seen & TIME_MASK : now;
        if (arrival - now > tolerance) {
            *ret_wait_us = (arrival - now - tolerance) * TICK_US;
            return false;
        }
        if (atomic_compare_exchange_weak(&set[at], &seen, tag | (arrival + interval)))
            return true;
    }
}
