// How many request bytes are held, for each connection and in all. libh2o 2.2.5 keeps every body
// whole until its request has been answered; these counts are the only bound on the sum. Bytes in
// files (file.c) and bytes in memory count against different totals, and together against a
// connection's.
#include "edge/guard/internal.h"

// What is below the first two is what any connection or request has, and not worth two atomic
// operations; senders' shares are under a lock, and go by the third.
enum { H1_FREE = 64 * 1024, HEAD_FREE = 2 * 1024, SHARE_STEP = 16 * 1024 };

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

// The first step is free, so that small bodies, which nearly all are, cost nothing here.
static size_t steps_of(size_t bytes)
{
    return bytes <= SHARE_STEP ? 0 : (bytes + SHARE_STEP - 1) / SHARE_STEP * SHARE_STEP;
}

// A step is given back two steps below, so that it is not taken and given back all the time.
static void share(struct guard_conn *c)
{
    size_t wanted = steps_of(c->buffered);
    if (wanted == c->shared ||
        (wanted < c->shared && wanted != 0 && c->shared - wanted < (size_t)2 * SHARE_STEP))
        return;
    shares_set(&in_memory, &c->sender, c->shared, wanted);
    c->shared = wanted;
}

static enum share_answer look_at_share(struct guard_conn *c, h2o_req_t *req, size_t n)
{
    size_t wanted = steps_of(c->buffered + n);
    if (wanted <= c->shared)
        return SHARE_FITS;
    if (c->shared == 0)
        c->sender = guard_sender_of(req);
    return shares_look(&in_memory, &c->sender, c->shared, wanted, guard_policy.body_memory_total,
                       guard_policy.body_memory_per_connection);
}

// ---- how many they are

void guard_hold(struct guard_conn *c, size_t n)
{
    c->buffered += n;
    atomic_fetch_add_explicit(&guard_totals.buffered, n, memory_order_relaxed);
    share(c);
}

void guard_release(struct guard_conn *c, size_t n)
{
    if (n > c->buffered)
        n = c->buffered;
    if (n == 0)
        return;
    c->buffered -= n;
    atomic_fetch_sub_explicit(&guard_totals.buffered, n, memory_order_relaxed);
    share(c);
}

// A hundred streams of a connection have a head each, whose bytes stay until they are answered.
static size_t counted(const h2o_req_t *req)
{
    size_t n = guard_head_size(req);
    return n > HEAD_FREE ? n : 0;
}

void guard_hold_head(struct guard_conn *c, h2o_req_t *req)
{
    size_t n = counted(req);
    if (n == 0)
        return;
    if (c->shared == 0)
        c->sender = guard_sender_of(req);
    guard_hold(c, n);
}

void guard_release_head(struct guard_conn *c, const h2o_req_t *req)
{
    guard_release(c, counted(req));
}

const struct guard_refusal *guard_judge_head(struct guard_conn *c, h2o_req_t *req)
{
    size_t n = counted(req);
    return n != 0 ? guard_judge_room(c, req, n) : NULL;
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

static bool has_room(const struct guard_conn *c, size_t n)
{
    uint64_t total = atomic_load_explicit(&guard_totals.buffered, memory_order_relaxed);
    return guard_has_share(c, n) && total + n <= guard_policy.body_memory_total;
}

const struct guard_refusal *guard_judge_room(struct guard_conn *c, h2o_req_t *req, size_t n)
{
    return has_room(c, n) ? guard_refusal_of(look_at_share(c, req, n)) : &guard_busy;
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
    guard_release(c, c->buffered);
    c->stored = 0;
    if (held == 0)
        return NULL;
    const struct guard_refusal *why = !in_file                   ? guard_judge_room(c, c->req, held)
                                      : guard_has_share(c, held) ? NULL
                                                                 : &guard_busy;
    guard_hold_body(c, input, 0);
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
