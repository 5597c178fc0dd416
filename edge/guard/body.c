// How many request bytes are held, for each connection and in all. libh2o 2.2.5 keeps every body
// whole until its request has been answered; these counts are the only bound on the sum. Bytes in
// files (file.c) and bytes in memory count against different totals, and together against a
// connection's.
#include "edge/guard/internal.h"

// What is below the first two is what any connection or request has, and not worth two atomic
// operations; senders' shares are under a lock, and go by the third.
enum {
    H1_FREE = 64 * 1024,
    HEAD_FREE = 2 * 1024,
    SHARE_STEP = 16 * 1024,
    SMALL_STEP = 4 * 1024, // the first of an HTTP/2 request, of which a connection has many
};

// ---- whose they are

static struct shares in_memory = SHARES_INITIALIZER;

struct share_holder guard_sender_of(h2o_req_t *req)
{
    if (guard_policy.body_sender == NULL || req == NULL)
        return (struct share_holder){0};
    return guard_policy.body_sender(guard_policy.ctx, req);
}

const struct guard_refusal *guard_refusal_of(enum share_answer answer)
{
    return answer == SHARE_FITS      ? NULL
           : answer == SHARE_NO_ROOM ? &guard_busy
                                     : &guard_busy_for_you;
}

// Over HTTP/1 the first step is free, so that small bodies, which nearly all are, cost nothing here: they are as many as connections.
static size_t steps_of(const struct guard_conn *c, size_t bytes)
{
    if (bytes <= SHARE_STEP && c->kind != GUARD_H2)
        return 0;
    if (bytes <= SMALL_STEP)
        return bytes != 0 ? SMALL_STEP : 0;
    return (bytes + SHARE_STEP - 1) / SHARE_STEP * SHARE_STEP;
}

// A step is given back two steps below, so that it is not taken and given back all the time.
static void share(const struct guard_conn *c, struct guard_held *h)
{
    size_t wanted = steps_of(c, h->bytes);
    if (wanted == h->shared ||
        (wanted < h->shared && h->bytes != 0 && h->shared - wanted < (size_t)2 * SHARE_STEP))
        return;
    shares_set(&in_memory, &h->sender, h->shared, wanted);
    h->shared = wanted;
}

static enum share_answer look_at_share(const struct guard_conn *c, struct guard_held *h,
                                       h2o_req_t *req, size_t n)
{
    size_t wanted = steps_of(c, h->bytes + n);
    if (wanted <= h->shared)
        return SHARE_FITS;
    if (h->shared == 0)
        h->sender = guard_sender_of(req);
    return shares_look(&in_memory, &h->sender, h->shared, wanted, guard_policy.body_memory_total,
                       guard_policy.body_memory_per_connection);
}

// ---- how many they are

void guard_hold(struct guard_conn *c, struct guard_held *h, size_t n)
{
    h->bytes += n;
    c->buffered += n;
    atomic_fetch_add_explicit(&guard_totals.buffered, n, memory_order_relaxed);
    share(c, h);
}

void guard_release(struct guard_conn *c, struct guard_held *h, size_t n)
{
    if (n > h->bytes)
        n = h->bytes;
    if (n == 0)
        return;
    h->bytes -= n;
    c->buffered -= n;
    atomic_fetch_sub_explicit(&guard_totals.buffered, n, memory_order_relaxed);
    share(c, h);
}

// The bytes of a head stay until its request is answered.
size_t guard_counted_head(const h2o_req_t *req)
{
    size_t n = guard_head_size(req);
    return n > HEAD_FREE ? n : 0;
}

void guard_hold_body(struct guard_conn *c, struct guard_held *h, const h2o_buffer_t *body)
{
    if (guard_is_file(body))
        c->stored += body->size;
    else
        guard_hold(c, h, body->size);
}

void guard_release_body_of(struct guard_conn *c, struct guard_held *h, const h2o_buffer_t *body)
{
    if (guard_is_file(body))
        c->stored -= body->size < c->stored ? body->size : c->stored;
    else
        guard_release(c, h, body->size);
}

bool guard_has_share(const struct guard_conn *c, size_t n)
{
    size_t held = c->buffered + c->stored, most = guard_policy.body_memory_per_connection;
    return c->is_proxy || (held <= most && n <= most - held);
}

static bool has_room(const struct guard_conn *c, size_t n)
{
    uint64_t total = atomic_load_explicit(&guard_totals.buffered, memory_order_relaxed);
    return guard_has_share(c, n) && total + n <= guard_policy.body_memory_total;
}

const struct guard_refusal *guard_judge_room(struct guard_conn *c, struct guard_held *h,
                                             h2o_req_t *req, size_t n)
{
    return has_room(c, n) ? guard_refusal_of(look_at_share(c, h, req, n)) : &guard_busy;
}

const struct guard_refusal *guard_judge_length(const struct guard_conn *c, uint64_t n)
{
    if (n == UINT64_MAX)
        return has_room(c, 1) ? NULL : &guard_busy;
    if (!guard_wants_file(n))
        return has_room(c, n) ? NULL : &guard_busy;
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
    guard_release(c, &c->held, c->buffered);
    c->stored = 0;
    if (held == 0)
        return NULL;
    const struct guard_refusal *why = !in_file ? guard_judge_room(c, &c->held, c->req, held)
                                      : guard_has_share(c, held) ? NULL
                                                                 : &guard_busy;
    guard_hold_body(c, &c->held, input);
    return held > before ? why : NULL;
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
