// How many request bytes are held, for each connection and in all. libh2o 2.2.5 keeps every body
// whole until its request has been answered; these counts are the only bound on the sum. Bytes in
// files (file.c) and bytes in memory count against different totals, and together against a
// connection's.
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

void guard_hold_body(struct guard_conn *c, const h2o_buffer_t *body, size_t more)
{
    if (guard_is_file(body))
        c->stored += body->size + more;
    else
        guard_hold(c, body->size + more);
}

void guard_release_body_of(struct guard_conn *c, const h2o_buffer_t *body)
{
    if (guard_is_file(body))
        c->stored -= body->size < c->stored ? body->size : c->stored;
    else
        guard_release(c, body->size);
}

bool guard_has_share(const struct guard_conn *c, size_t n)
{
    size_t held = c->buffered + c->stored, most = guard_policy.body_memory_per_connection;
    return held <= most && n <= most - held;
}

bool guard_has_room(const struct guard_conn *c, size_t n)
{
    uint64_t total = atomic_load_explicit(&guard_totals.buffered, memory_order_relaxed);
    return guard_has_share(c, n) && total + n <= guard_policy.body_memory_total;
}

const struct guard_refusal *guard_judge_length(const struct guard_conn *c, uint64_t n)
{
    if (n == UINT64_MAX)
        return guard_has_room(c, 1) ? NULL : &guard_busy;
    if (!guard_wants_file(n))
        return guard_has_room(c, n) ? NULL : &guard_busy;
    return guard_has_share(c, n) ? guard_judge_file(n) : &guard_busy;
}

void guard_count_refusal(const struct guard_refusal *why)
{
    guard_count(why == &guard_busy             ? &guard_totals.busy
                : why == &guard_busy_for_you   ? &guard_totals.busy
                : why == &guard_disk_full      ? &guard_totals.disk_full
                : why == &guard_body_too_large ? &guard_totals.large_bodies
                                               : &guard_totals.large_heads);
}

void guard_h1_give_up(struct guard_conn *c, const struct guard_refusal *why)
{
    guard_count_refusal(why);
    guard_h1_refuse(c, why);
}

static const struct guard_refusal *account(struct guard_conn *c)
{
    const h2o_buffer_t *input = c->sock->input;
    size_t held = input->size > H1_FREE ? input->size : 0, before = c->buffered + c->stored;
    bool in_file = guard_is_file(input);
    if (held == (in_file ? c->stored : c->buffered) && (c->stored == 0 || in_file))
        return NULL;
    guard_release(c, c->buffered);
    c->stored = 0;
    if (held != 0)
        guard_hold_body(c, input, 0);
    if (held <= before)
        return NULL;
    return (in_file ? guard_has_share(c, 0) : guard_has_room(c, 0)) ? NULL : &guard_busy;
}

void guard_h1_account(struct guard_conn *c)
{
    const struct guard_refusal *why = NULL;
    if (c->in_body && guard_h1_is_waiting(c))
        why = guard_reserve(c->req, &c->sock->input, 0, c->body_most);
    const struct guard_refusal *over = account(c);
    if (why == NULL)
        why = over;
    if (why != NULL && guard_h1_is_waiting(c))
        guard_h1_give_up(c, why);
}
