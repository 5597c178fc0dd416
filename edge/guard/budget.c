// The one defence against every HTTP/2 flood (rapid reset, MadeYouReset, pings, settings, empty
// frames): each frame has a price in thousandths of an event, a connection has a bucket of events,
// and an empty bucket ends the connection. Prices are in frames.c; they are such that no client
// that does useful work comes near.
#include "edge/guard/budget.h"

void budget_init(struct budget *b, unsigned size, uint64_t now_ms)
{
    *b = (struct budget){.level = (int64_t)size * 1000, .at = now_ms};
}

bool budget_charge(struct budget *b, unsigned size, unsigned per_second, uint64_t now_ms,
                   uint32_t cost)
{
    int64_t full = (int64_t)size * 1000;
    if (now_ms > b->at) {
        uint64_t passed = now_ms - b->at;
        // an event a second is a thousandth a millisecond
        uint64_t to_fill = (uint64_t)(full - b->level);
        if (per_second != 0 && passed > to_fill / per_second)
            b->level = full;
        else
            b->level += (int64_t)(passed * per_second);
        b->at = now_ms;
    }
    b->level -= cost;
    if (b->level < -full)
        b->level = -full;
    return b->level >= 0;
}
