// Which keys a public request is charged to, and the memory of actions that have answered: sets of 32
// words by instance, each word 24 bits of the instance's hash, 24 of the action's, and 16 of when it
// last answered. An instance takes at most half a set, the one used longest ago goes: a handler that
// answers to every name pushes out its own.
#include "edge/limits/visit.h"
#include <stdatomic.h>
#include "edge/base/clock.h"

enum { SET_BITS = 12, WAYS = 32, WAYS_AN_INSTANCE = 16, AGE_UNIT_MS = 16000 };
#define INSTANCE_MASK UINT64_C(0xffffff0000000000)
#define TAG_MASK UINT64_C(0xffffffffffff0000)

static _Alignas(64) _Atomic uint64_t known[1 << SET_BITS][WAYS]; // 1 MiB, touched pages only

struct action_key {
    _Atomic uint64_t *set;
    uint64_t tag;
};

static struct action_key action_key(str instance_id, str action)
{
    uint64_t i = limits_key_of(LIMIT_OTHER, &instance_id, 1),
             a = limits_key_of(LIMIT_OTHER, (str[]){instance_id, action}, 2);
    uint64_t tag = (i & INSTANCE_MASK) | (a & TAG_MASK & ~INSTANCE_MASK);
    return (struct action_key){known[i & ((1 << SET_BITS) - 1)],
                               tag != 0 ? tag : UINT64_C(1) << 40}; // a word of 0 is empty
}

static uint16_t age_now(void)
{
    return (uint16_t)(clock_monotonic_ms() / AGE_UNIT_MS);
}

bool limits_action_is_known(str instance_id, str action)
{
    struct action_key k = action_key(instance_id, action);
    for (size_t i = 0; i != WAYS; ++i)
        if ((atomic_load_explicit(&k.set[i], memory_order_relaxed) & TAG_MASK) == k.tag)
            return true;
    return false;
}

// Where it is, or is to go: an empty place or the oldest, of its own when it has its fill.
static _Atomic uint64_t *place_of(struct action_key k, uint16_t now)
{
    _Atomic uint64_t *oldest = NULL, *own_oldest = NULL;
    uint32_t age = 0, own_age = 0, own = 0;
    for (size_t i = 0; i != WAYS; ++i) {
        uint64_t word = atomic_load_explicit(&k.set[i], memory_order_relaxed);
        if ((word & TAG_MASK) == k.tag)
            return &k.set[i];
        uint32_t its = word == 0 ? 0x10000 : (uint16_t)(now - (uint16_t)word);
        if (oldest == NULL || its > age) {
            oldest = &k.set[i];
            age = its;
        }
        if (word == 0 || ((word ^ k.tag) & INSTANCE_MASK) != 0)
            continue;
        ++own;
        if (own_oldest == NULL || its > own_age) {
            own_oldest = &k.set[i];
            own_age = its;
        }
    }
    return own >= WAYS_AN_INSTANCE ? own_oldest : oldest;
}

void limits_action_answered(str instance_id, str action)
{
    struct action_key k = action_key(instance_id, action);
    uint16_t now = age_now();
    _Atomic uint64_t *at = place_of(k, now);
    uint64_t word = k.tag | now;
    if (atomic_load_explicit(at, memory_order_relaxed) != word)
        atomic_store_explicit(at, word, memory_order_relaxed); // one of two writers may win
}

static void add(struct visit *v, const char *name, struct visit_rate rate, bool is_shared,
                enum limit_kind kind, const str *parts, size_t count)
{
    v->checks[v->count++] = (struct limit_check){
        .key = limits_key_of(kind, parts, count),
        .policy = {name, rate.quota, rate.burst, 60, .is_shared = is_shared},
    };
}

static struct visit_rate scaled(struct visit_rate r, uint32_t times, uint32_t part)
{
    uint64_t quota = (uint64_t)r.quota * times / part, burst = (uint64_t)r.burst * times / part;
    return (struct visit_rate){quota == 0           ? 1
                               : quota > UINT32_MAX ? UINT32_MAX
                                                    : (uint32_t)quota,
                               burst == 0           ? 1
                               : burst > UINT32_MAX ? UINT32_MAX
                                                    : (uint32_t)burst};
}

bool limits_visit(struct visit *v, str instance_id, str action, const struct ip *visitor,
                  const struct visit_limits *l)
{
    str who = limits_visitor(visitor), network = limits_network(visitor);
    str counted = limits_action_is_known(instance_id, action) ? action : STR("*");
    v->count = 0;
    add(v, "action", l->action, false, LIMIT_ACTION, (str[]){instance_id, counted, who}, 3);
    add(v, "visitor", l->visitor, false, LIMIT_VISITOR, (str[]){instance_id, who}, 2);
    if (visitor->n == 16) {
        add(v, "action-48", scaled(l->action, 4, 1), true, LIMIT_ACTION,
            (str[]){instance_id, counted, network}, 3);
        add(v, "visitor-48", scaled(l->visitor, 4, 1), true, LIMIT_VISITOR,
            (str[]){instance_id, network}, 2);
    }
    if (network.n != 0)
        add(v, "network", scaled(l->instance, 1, 2), true, LIMIT_NETWORK,
            (str[]){instance_id, network}, 2);
    add(v, "instance", l->instance, true, LIMIT_INSTANCE, &instance_id, 1);
    v->allowed = limits_charge(v->checks, v->count);
    return v->allowed;
}
