// How many request bytes are held, for each connection and in all. libh2o 2.2.5 keeps every body
// whole in memory until its request has been answered; these counts are the only bound on the sum.
#include "edge/guard/internal.h"

// A buffer below this is what any connection has, and not worth two atomic operations a request.
enum { H1_FREE = 64 * 1024 };

void guard_hold(struct guard_conn *c, size_t n)
{
    c->buffered += n;
    atomic_fetch_add_explicit(&guard_totals.buffered, n, memory_order_relaxed);
}

void guard_release(struct guard_conn *c, size_t n)
{
    if (n > c->buffered)
        n = c->buffered;
    if (n == 0)
        return;
    c->buffered -= n;
    atomic_fetch_sub_explicit(&guard_totals.buffered, n, memory_order_relaxed);
}

bool guard_has_room(const struct guard_conn *c, size_t n)
{
    uint64_t total = atomic_load_explicit(&guard_totals.buffered, memory_order_relaxed);
    return c->buffered + n <= guard_policy.body_memory_per_connection &&
           total + n <= guard_policy.body_memory_total;
}

void guard_h1_account(struct guard_conn *c)
{
    size_t size = c->sock->input->size, held = size > H1_FREE ? size : 0;
    if (held == c->buffered)
        return;
    if (held < c->buffered) {
        guard_release(c, c->buffered - held);
        return;
    }
    guard_hold(c, held - c->buffered);
    if (!guard_has_room(c, 0) && guard_h1_is_waiting(c)) {
        guard_count(&guard_totals.busy);
        guard_h1_refuse(c, &guard_busy);
    }
}
