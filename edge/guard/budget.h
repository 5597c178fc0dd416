// A token bucket for events that cost the peer nothing. Pure; tokens are thousandths of an event.
#ifndef STOA_GUARD_BUDGET_H
#define STOA_GUARD_BUDGET_H
#include <stdbool.h>
#include <stdint.h>

struct budget {
    int64_t level; // below 0: spent, and stays so until refilled
    uint64_t at;   // ms
};

// Full, with room for `size` events.
void budget_init(struct budget *b, unsigned size, uint64_t now_ms);
// Refills by the time that has passed, then takes `cost`; false when that was more than there was.
// The level never sinks below minus a full bucket, so a burst is forgiven in bounded time.
bool budget_charge(struct budget *b, unsigned size, unsigned per_second, uint64_t now_ms,
                   uint32_t cost);
#endif
