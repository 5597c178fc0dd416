// What a client is told of its limits: draft-ietf-httpapi-ratelimit-headers-11 §3 and §4, as lists
// of strings with parameters (RFC 9651 §3.1).
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include "edge/limits/limits.h"

// The largest integer of a structured field.
#define SF_INTEGER_MAX UINT64_C(999999999999999)

static uint64_t integer(uint64_t v)
{
    return v < SF_INTEGER_MAX ? v : SF_INTEGER_MAX;
}

static size_t put_policy(const struct limit_policy *p, size_t at, char *to)
{
    int n = snprintf(to + at, LIMITS_HEADER_ROOM - at, "%s\"%s\";q=%" PRIu64 "%s;w=%" PRIu32,
                     at != 0 ? ", " : "", p->name, integer(p->quota),
                     p->is_bytes ? ";qu=\"content-bytes\"" : "", p->window_s);
    assert(n > 0 && at + (size_t)n < LIMITS_HEADER_ROOM);
    return at + (size_t)n;
}

static size_t put_state(const struct limit_check *c, size_t at, char *to)
{
    int n = snprintf(to + at, LIMITS_HEADER_ROOM - at, "%s\"%s\";r=%" PRIu64 ";t=%" PRIu32,
                     at != 0 ? ", " : "", c->policy.name, integer(c->remaining), c->reset_s);
    assert(n > 0 && at + (size_t)n < LIMITS_HEADER_ROOM);
    return at + (size_t)n;
}

void limits_headers(const struct limit_check *checks, size_t count,
                    char policy[static LIMITS_HEADER_ROOM], char state[static LIMITS_HEADER_ROOM],
                    uint32_t *ret_retry_after)
{
    size_t policy_n = 0, state_n = 0;
    uint32_t retry_after = 0;
    assert(count <= LIMITS_HEADER_CHECKS);
    policy[0] = state[0] = '\0';
    for (size_t i = 0; i != count; ++i) {
        const struct limit_check *c = &checks[i];
        policy_n = put_policy(&c->policy, policy_n, policy);
        if (!c->policy.is_shared || !c->allowed)
            state_n = put_state(c, state_n, state);
        if (!c->allowed && c->reset_s > retry_after)
            retry_after = c->reset_s;
    }
    *ret_retry_after = retry_after;
}
