// The checks of one public request (security-rules.md 18): instance × visitor; instance × action ×
// visitor, of its own only for actions that have answered before; the /48 of an IPv6 visitor, looser;
// the /24 or /48 as a share of the instance; the instance, last. Any thread.
#ifndef STOA_LIMITS_VISIT_H
#define STOA_LIMITS_VISIT_H
#include "edge/limits/limits.h"

// Per minute. What follows from them: a /48 may do four times as much as a visitor (IPv6 alone: a
// host may hold that many /64s), a /24 or /48 half as much as the instance.
struct visit_rate {
    uint32_t quota, burst;
};
struct visit_limits {
    struct visit_rate action, visitor, instance; // contract §4: 60 (30), 600, 6,000
};

enum { VISIT_CHECKS_MAX = LIMITS_HEADER_CHECKS };
struct visit {
    struct limit_check checks[VISIT_CHECKS_MAX];
    size_t count;
    bool allowed;
};

// Charges the request, or refuses it and charges nothing; the answers are for limits_headers.
// `instance_id` is the resolved one, `visitor` the normalised address (request.h).
bool limits_visit(struct visit *v, str instance_id, str action, const struct ip *visitor,
                  const struct visit_limits *limits);
// A handler has answered for this action (no throw, and not an action it does not know): from now on
// it is counted by itself. Until then, and when it has fallen out of a bounded memory (sixteen
// actions an instance at least when few instances share a place), it shares `*` with all others, so
// that made-up names make no new allowance.
void limits_action_answered(str instance_id, str action);
bool limits_action_is_known(str instance_id, str action);
#endif
