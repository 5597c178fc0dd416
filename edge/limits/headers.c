// What a client is told of its limits: draft-ietf-httpapi-ratelimit-headers-11 §3 and §4, as lists
// of strings with parameters (RFC 9651 §3.1).
#include <assert.h>
#include "edge/limits/limits.h"

// The largest integer of a structured field.
#define SF_INTEGER_MAX UINT64_C(999999999999999)

// By hand: four policies stand in the head of every answer to an action, and printf takes a tenth of
// what such an answer costs.
struct text {
    char *p; // LIMITS_HEADER_ROOM
    size_t n;
};

static void put(struct text *t, str s)
{
    assert(t->n + s.n < LIMITS_HEADER_ROOM);
    memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
    t->p[t->n] = '\0';
}

static void put_integer(struct text *t, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    if (v > SF_INTEGER_MAX)
        v = SF_INTEGER_MAX;
    do
        digits[sizeof digits - ++n] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    put(t, str_of(digits + sizeof digits - n, n));
}

static void put_name(struct text *t, const char *name)
{
    put(t, t->n != 0 ? STR(", \"") : STR("\""));
    put(t, str_from(name));
    put(t, STR("\""));
}

static void put_policy(struct text *t, const struct limit_policy *p)
{
    put_name(t, p->name);
    put(t, STR(";q="));
    put_integer(t, p->quota);
    if (p->is_bytes)
        put(t, STR(";qu=\"content-bytes\""));
    put(t, STR(";w="));
    put_integer(t, p->window_s);
}

static void put_state(struct text *t, const struct limit_check *c)
{
    put_name(t, c->policy.name);
    put(t, STR(";r="));
    put_integer(t, c->remaining);
    put(t, STR(";t="));
    put_integer(t, c->reset_s);
}

void limits_headers(const struct limit_check *checks, size_t count,
                    char policy[static LIMITS_HEADER_ROOM], char state[static LIMITS_HEADER_ROOM],
                    uint32_t *ret_retry_after)
{
    struct text policies = {.p = policy}, states = {.p = state};
    uint32_t retry_after = 0;
    assert(count <= LIMITS_HEADER_CHECKS);
    policy[0] = state[0] = '\0';
    for (size_t i = 0; i != count; ++i) {
        const struct limit_check *c = &checks[i];
        put_policy(&policies, &c->policy);
        if (!c->policy.is_shared || !c->allowed)
            put_state(&states, c);
        if (!c->allowed && c->reset_s > retry_after)
            retry_after = c->reset_s;
    }
    *ret_retry_after = retry_after;
}
