// Two set-associative arrays of 64-bit words. A word holds a tag of its key and its value together,
// so that one compare-and-swap changes both and no reader sees one without the other.
#include "edge/limits/limits.h"
#include <assert.h>
#include <stdatomic.h>
#include "edge/base/clock.h"
#include "edge/base/digest.h"
#include "edge/limits/siphash.h"

// Arrival times: 22 bits of tag, 42 bits of 16-microsecond ticks (two years). With the 17 bits that
// choose the set, two keys in force are taken for one with a chance of 16 in 2^22.
enum { TIME_SET_BITS = 17, TIME_WAYS = 16, TIME_BITS = 42, TICK_US = 16 };
// Counters: 40 bits of tag, 24 of count.
enum { COUNT_SET_BITS = 15, COUNT_WAYS = 8, COUNT_BITS = 24 };
#define YEAR_TICKS (UINT64_C(1) << 41)
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

static _Alignas(64) _Atomic uint64_t times[1 << TIME_SET_BITS][TIME_WAYS];
static _Alignas(64) _Atomic uint64_t counts[1 << COUNT_SET_BITS][COUNT_WAYS];
static uint64_t hash_key[2], began_us;

void limits_init(void)
{
    random_bytes(hash_key, sizeof hash_key);
    began_us = clock_monotonic_us();
}

uint64_t limits_key_of(enum limit_kind kind, const str *parts, size_t count)
{
    char text[512];
    size_t n = 1;
    text[0] = (char)kind;
    for (size_t i = 0; i != count; ++i) {
        assert(parts[i].n <= 255 && n + 1 + parts[i].n <= sizeof text);
        text[n++] = (char)parts[i].n; // so that no two lists of parts read alike
        if (parts[i].n != 0)
            memcpy(text + n, parts[i].p, parts[i].n);
        n += parts[i].n;
    }
    return limits_siphash(hash_key, str_of(text, n));
}

uint64_t limits_key(enum limit_kind kind, str per)
{
    return limits_key_of(kind, &per, 1);
}

str limits_visitor(const struct ip *a)
{
    return str_of(a->b, a->n == 16 ? 8 : a->n);
}

str limits_network(const struct ip *a)
{
    return str_of(a->b, a->n == 16 ? 6 : a->n == 4 ? 3 : 0);
}

static uint64_t tag_of(uint64_t key, unsigned set_bits, unsigned value_bits)
{
    uint64_t tag = key >> set_bits << value_bits;
    return tag != 0 ? tag : UINT64_C(1) << value_bits; // a word of 0 is an empty slot
}

// --- counters ---

bool limits_enter_many(uint64_t key, uint32_t n, uint32_t max)
{
    _Atomic uint64_t *set = counts[key & ((1 << COUNT_SET_BITS) - 1)];
    uint64_t tag = tag_of(key, COUNT_SET_BITS, COUNT_BITS);
    for (;;) {
        size_t at = COUNT_WAYS;
        uint64_t seen = 0;
        for (size_t i = 0; i != COUNT_WAYS; ++i) {
            uint64_t word = atomic_load(&set[i]);
            if (word != 0 && (word & ~COUNT_MASK) == tag) {
                at = i;
                seen = word;
                break;
            }
            if (at == COUNT_WAYS && (word & COUNT_MASK) == 0) {
                at = i;
                seen = word;
            }
        }
        if (at == COUNT_WAYS)
            return false;
        uint64_t count = (seen & ~COUNT_MASK) == tag ? seen & COUNT_MASK : 0;
        if (count + n > max)
            return false;
        if (atomic_compare_exchange_weak(&set[at], &seen, tag | (count + n)))
            return true;
    }
}

void limits_leave_many(uint64_t key, uint32_t n)
{
    _Atomic uint64_t *set = counts[key & ((1 << COUNT_SET_BITS) - 1)];
    uint64_t tag = tag_of(key, COUNT_SET_BITS, COUNT_BITS);
    for (size_t i = 0; i != COUNT_WAYS; ++i) {
        uint64_t word = atomic_load(&set[i]);
        while ((word & ~COUNT_MASK) == tag && (word & COUNT_MASK) >= n)
            if (atomic_compare_exchange_weak(&set[i], &word,
                                             (word & COUNT_MASK) == n ? 0 : word - n))
                return;
    }
    assert(!"limits_leave without limits_enter");
}

bool limits_enter(uint64_t key, uint32_t max)
{
    return limits_enter_many(key, 1, max);
}

void limits_leave(uint64_t key)
{
    limits_leave_many(key, 1);
}

// --- arrival times ---

// A key's place, as it was seen: `used` ticks are still to drain. `at` is NULL when all places of
// its set are others' and in force.
struct place {
    _Atomic uint64_t *at;
    uint64_t word, used;
};

static uint64_t ticks_now(void)
{
    return (clock_monotonic_us() - began_us) / TICK_US + 1;
}

static struct place find(uint64_t key, uint64_t now)
{
    _Atomic uint64_t *set = times[key & ((1 << TIME_SET_BITS) - 1)];
    uint64_t tag = tag_of(key, TIME_SET_BITS, TIME_BITS);
    struct place p = {0};
    for (size_t i = 0; i != TIME_WAYS; ++i) {
        uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);
        uint64_t until = word & TIME_MASK;
        if (word != 0 && (word & ~TIME_MASK) == tag)
            return (struct place){&set[i], word, until > now ? until - now : 0};
        if (p.at == NULL && until <= now)
            p = (struct place){&set[i], word, 0};
    }
    return p;
}

// Adds `ticks` when no more than `capacity` are then to drain. *ret_used is what was in use before.
static bool add(uint64_t key, uint64_t now, uint64_t ticks, uint64_t capacity, uint64_t *ret_used)
{
    uint64_t tag = tag_of(key, TIME_SET_BITS, TIME_BITS);
    for (;;) {
        struct place p = find(key, now);
        *ret_used = p.at != NULL ? p.used : capacity;
        if (p.at == NULL || *ret_used + ticks > capacity)
            return false;
        if (atomic_compare_exchange_weak(p.at, &p.word, tag | (now + p.used + ticks)))
            return true;
    }
}

static void take_back(uint64_t key, uint64_t now, uint64_t ticks)
{
    uint64_t tag = tag_of(key, TIME_SET_BITS, TIME_BITS);
    for (;;) {
        struct place p = find(key, now);
        if (p.used == 0)
            return; // drained meanwhile
        uint64_t left = p.used > ticks ? p.used - ticks : 0;
        if (atomic_compare_exchange_weak(p.at, &p.word, tag | (now + left)))
            return;
    }
}

bool limits_conforms(uint64_t key, uint64_t interval_us, uint32_t burst, uint64_t *ret_wait_us)
{
    assert(burst != 0);
    uint64_t used, interval = interval_us / TICK_US, capacity = interval * burst;
    if (add(key, ticks_now(), interval, capacity, &used))
        return true;
    *ret_wait_us = (used + interval - capacity) * TICK_US;
    return false;
}

bool limits_would_conform(uint64_t key, uint64_t interval_us, uint32_t burst, uint64_t *ret_wait_us)
{
    assert(burst != 0);
    struct place p = find(key, ticks_now());
    uint64_t interval = interval_us / TICK_US, capacity = interval * burst,
             used = p.at != NULL ? p.used : 0;
    if (used + interval <= capacity)
        return true;
    *ret_wait_us = (used + interval - capacity) * TICK_US;
    return false;
}

// --- policies ---

enum { TICKS_A_SECOND = 1000000 / TICK_US };

// a × b × c / d; 128 bits only when it takes them, for their division is slow.
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t ab, abc;
    if (__builtin_mul_overflow(a, b, &ab) || __builtin_mul_overflow(ab, c, &abc))
        return (uint64_t)((unsigned __int128)a * b * c / d);
    return abc / d;
}

// At most a year's, so that no policy reaches into the tag.
static uint64_t ticks_of(const struct limit_policy *p, uint64_t units)
{
    uint64_t ticks = scale(units, p->window_s, TICKS_A_SECOND, p->quota);
    return ticks < YEAR_TICKS ? ticks : YEAR_TICKS;
}

static uint64_t units_of(const struct limit_policy *p, uint64_t ticks)
{
    return scale(ticks, p->quota, 1, (uint64_t)p->window_s * TICKS_A_SECOND);
}

static uint32_t seconds_of(uint64_t ticks)
{
    return (uint32_t)((ticks * TICK_US + 999999) / 1000000);
}

static uint64_t cost_of(const struct limit_check *c)
{
    return ticks_of(&c->policy, c->cost != 0 ? c->cost : 1);
}

// `used`: ticks to drain, without this charge when it is refused.
static void answer(struct limit_check *c, bool allowed, uint64_t used)
{
    uint64_t capacity = ticks_of(&c->policy, c->policy.burst), one = ticks_of(&c->policy, 1);
    c->allowed = allowed;
    c->remaining = used < capacity ? units_of(&c->policy, capacity - used) : 0;
    uint64_t ask = !allowed ? cost_of(c) : c->remaining == 0 ? one : 0;
    c->reset_s = seconds_of(ask == 0 ? used : used + ask > capacity ? used + ask - capacity : 1);
}

static bool look_at_all(struct limit_check *checks, size_t count, uint64_t now)
{
    bool all = true;
    for (size_t i = 0; i != count; ++i) {
        struct limit_check *c = &checks[i];
        assert(c->policy.quota != 0 && c->policy.burst != 0 && c->policy.window_s != 0);
        uint64_t capacity = ticks_of(&c->policy, c->policy.burst);
        struct place p = find(c->key, now);
        uint64_t used = p.at != NULL ? p.used : capacity;
        answer(c, p.at != NULL && used + cost_of(c) <= capacity, used);
        all = all && c->allowed;
    }
    return all;
}

bool limits_charge(struct limit_check *checks, size_t count)
{
    uint64_t now = ticks_now(), used;
    if (!look_at_all(checks, count, now))
        return false;
    for (size_t i = 0; i != count; ++i) {
        struct limit_check *c = &checks[i];
        uint64_t cost = cost_of(c);
        bool allowed = add(c->key, now, cost, ticks_of(&c->policy, c->policy.burst), &used);
        answer(c, allowed, used + (allowed ? cost : 0));
        if (allowed)
            continue;
        while (i-- != 0)
            take_back(checks[i].key, now, cost_of(&checks[i]));
        return false;
    }
    return true;
}
