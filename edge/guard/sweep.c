// Time. libh2o 2.2.5 has one time-out for an HTTP/1 request from its first byte to its last, none
// for writes and none for HTTP/2 bodies. Here a sweep looks at each connection a few times a
// second: what is it doing, since when, and do bytes move?
//
// Progress is what the kernel says the peer has acknowledged and sent (TCP_INFO), so a reader that
// takes nothing is seen even though its answer has long been handed over. Of HTTP/2 bodies it is
// what has come of them, whatever else comes beside; and a body that keeps no pace beside others
// that do is ended by itself, unless there comes as much as all of them together should bring. A
// connection on which a handler is working is left alone. All times are monotonic: the loop's own clock is the wall's.
#include <netinet/in.h>
#include <linux/tcp.h>
#include <sys/socket.h>
#include "edge/base/clock.h"
#include "edge/guard/internal.h"

enum { SWEEP_MOST_MS = 1000, SWEEP_LEAST_MS = 20, SWEEPS_PER_TIMEOUT = 4, CLOSING_GRACE_MS = 500 };

enum phase {
    PHASE_OTHER,  // handshake, a handler at work, a transfer: no limit of its own here
    PHASE_SILENT, // a new connection that has said nothing
    PHASE_HEAD,
    PHASE_IDLE,
};

struct doing {
    enum phase phase;
    bool takes, gives; // the peer must send, the peer must take
    unsigned bodies;   // so many bodies' bytes must the peer send (HTTP/2)
};

static struct doing of_h1(const struct guard_conn *c)
{
    if (c->sock->_cb.write != NULL)
        return (struct doing){.phase = PHASE_OTHER, .gives = true};
    if (!h2o_socket_is_reading(c->sock))
        return (struct doing){.phase = PHASE_OTHER};
    if (c->in_body)
        return (struct doing){.phase = PHASE_OTHER, .takes = true};
    if (c->sock->input->size != 0)
        return (struct doing){.phase = PHASE_HEAD};
    return (struct doing){.phase = c->requests == 0 ? PHASE_SILENT : PHASE_IDLE};
}

static struct doing of_h2(const struct guard_conn *c)
{
    h2o_http2_conn_t *conn = c->sock->data;
    h2o_http2_stream_t *stream;
    struct doing d = {.phase = PHASE_OTHER, .gives = c->sock->_cb.write != NULL};
    if (conn->_headers_unparsed != NULL)
        d.phase = PHASE_HEAD;
    d.takes = c->sock->input->size != 0;
    if (conn->num_streams.pull.open == 0)
        return d;
    kh_foreach_value(conn->streams, stream, {
        d.bodies += stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY;
        d.gives |= stream->state == H2O_HTTP2_STREAM_STATE_SEND_BODY_IS_FINAL ||
                   (stream->state == H2O_HTTP2_STREAM_STATE_SEND_BODY &&
                    h2o_http2_stream_has_pending_data(stream));
    });
    return d;
}

// ---- bytes must move

// True while the peer keeps up: at least minimum_rate over each span of `timeout`, counted from
// when it was last idle.
static bool keeps_up(struct guard_meter *m, bool busy, uint64_t moved, uint64_t timeout,
                     uint64_t now)
{
    uint64_t least = m->mark + guard_policy.minimum_rate * timeout / 1000;
    if (!busy || moved >= least) {
        m->mark = moved;
        m->since = now;
    }
    return now - m->since <= timeout;
}

static bool is_moving(struct guard_conn *c, struct doing d, uint64_t now)
{
    struct tcp_info info = {0};
    socklen_t n = sizeof(info);
    if (!d.takes && !d.gives && d.bodies == 0) {
        c->in.since = c->out.since = c->body.since = now;
        return true;
    }
    if (getsockopt(h2o_socket_get_fd(c->sock), IPPROTO_TCP, TCP_INFO, &info, &n) != 0)
        return true; // a connection of the self-test
    bool in = keeps_up(&c->in, d.takes, info.tcpi_bytes_received, guard_policy.body_timeout, now);
    bool out = keeps_up(&c->out, d.gives, info.tcpi_bytes_acked, guard_policy.write_timeout, now);
    // a frame counts when it is whole, and as far as it has come
    bool body = keeps_up(&c->body, d.bodies != 0, c->body_bytes + c->sock->input->size,
                         guard_policy.body_timeout, now);
    return in && out && body;
}

// ---- bodies beside others over HTTP/2

// Of a frame that is not whole yet, when it is of this body.
static size_t on_its_way(const struct guard_conn *c, uint32_t id)
{
    const h2o_buffer_t *input = c->sock->input;
    const uint8_t *head = (const uint8_t *)input->bytes;
    if (input->size < H2O_HTTP2_FRAME_HEADER_SIZE || head[3] != H2O_HTTP2_FRAME_TYPE_DATA ||
        h2o_http2_decode32u(head + 5) != id)
        return 0;
    return input->size - H2O_HTTP2_FRAME_HEADER_SIZE;
}

// A client may well send one body after the other.
static bool brings_enough_for(const struct guard_conn *c, unsigned bodies, uint64_t moved)
{
    return moved >= bodies * (guard_policy.minimum_rate * guard_policy.body_timeout / 1000);
}

static bool body_is_moving(struct guard_conn *c, struct guard_stream *s, unsigned bodies,
                           uint64_t now)
{
    uint64_t came = s->body_bytes + on_its_way(c, s->id),
             all = c->body_bytes + c->sock->input->size, before = s->body.since;
    bool moves = keeps_up(&s->body, true, came, guard_policy.body_timeout, now);
    if (!moves && brings_enough_for(c, bodies, all - s->conn_bytes)) {
        s->body = (struct guard_meter){.mark = came, .since = now};
        moves = true;
    }
    if (s->body.since != before)
        s->conn_bytes = all;
    return moves;
}

// The last to come are the first to go, until what comes is enough for those that are left.
static void end_slow_bodies(struct guard_conn *c, unsigned bodies, uint64_t now)
{
    h2o_http2_conn_t *conn = c->sock->data;
    for (struct guard_stream *s = c->streams, *next; s != NULL && bodies > 1; s = next) {
        next = s->next;
        h2o_http2_stream_t *stream = h2o_http2_conn_get_stream(conn, s->id);
        if (stream->state != H2O_HTTP2_STREAM_STATE_RECV_BODY || body_is_moving(c, s, bodies, now))
            continue;
        guard_count(&guard_totals.timeouts);
        guard_refuse_body(c, stream, &guard_request_timeout);
        --bodies;
    }
}

static void end_slow(struct guard_conn *c)
{
    guard_count(&guard_totals.timeouts);
    if (guard_h1_is_waiting(c))
        guard_h1_refuse(c, &guard_request_timeout);
    else
        guard_kill(c);
}

// ---- phases must end

static void end_idle(struct guard_conn *c)
{
    guard_count(&guard_totals.idle_closed);
    guard_h1_close(c);
}

static void check_phase(struct guard_conn *c, enum phase phase, uint64_t now)
{
    if (c->phase != phase || c->phase_request != c->requests) {
        c->phase = phase;
        c->phase_request = c->requests;
        c->phase_since = now;
    }
    uint64_t since = now - c->phase_since;
    switch (phase) {
    case PHASE_OTHER:
        break;
    case PHASE_HEAD:
        if (since > guard_policy.header_timeout)
            end_slow(c);
        break;
    case PHASE_SILENT: // says nothing, so is told nothing
        if (since > guard_policy.header_timeout)
            end_idle(c);
        break;
    case PHASE_IDLE:
        if (since > guard_policy.idle_timeout)
            end_idle(c);
        break;
    }
}

// ---- the graceful end

// The last word to an HTTP/2 peer that has no request open: libh2o says it to all at once, however
// busy.
static void end_quiet_h2(struct guard_conn *c)
{
    h2o_http2_conn_t *conn = c->sock->data;
    if (conn->num_streams.pull.open != 0 || conn->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED ||
        conn->_headers_unparsed != NULL)
        return;
    h2o_http2_encode_goaway_frame(&conn->_write.buf, conn->pull_stream_ids.max_open,
                                  H2O_HTTP2_ERROR_NONE, (h2o_iovec_t){NULL, 0});
    conn->state = H2O_HTTP2_CONN_STATE_HALF_CLOSED;
    h2o_http2_conn_request_write(conn);
}

static bool h1_is_idle(const struct guard_conn *c)
{
    return guard_h1_is_waiting(c) && !c->in_body && c->sock->input->size == 0;
}

// True when it has been ended.
static bool close_if_done(struct guard_conn *c, uint64_t now)
{
    if (c->loop->_closing_since == 0)
        return false;
    if (c->kind == GUARD_H2 && now - c->loop->_closing_since > CLOSING_GRACE_MS)
        end_quiet_h2(c);
    if (!h1_is_idle(c))
        return false;
    end_idle(c);
    return true;
}

// ---- the loop

static void sweep_one(struct guard_conn *c, uint64_t now)
{
    if (c->kind == GUARD_LINGERING) {
        if (now >= c->linger_until)
            guard_linger_end(c);
        return;
    }
    if ((c->kind != GUARD_H1 && c->kind != GUARD_H2) || close_if_done(c, now))
        return;
    if (c->kind == GUARD_H1)
        guard_h1_account(c);
    struct doing d = c->kind == GUARD_H1 ? of_h1(c) : of_h2(c);
    if (c->kind == GUARD_H2)
        guard_give_back_places(c, c->sock->data);
    if (!is_moving(c, d, now)) {
        end_slow(c);
        return;
    }
    if (d.bodies > 1)
        end_slow_bodies(c, d.bodies, now);
    check_phase(c, d.phase, now);
}

// Ending one connection ends no other, so the next one is safe to keep.
static void for_each(struct guard_loop *loop, void (*fn)(struct guard_conn *, uint64_t))
{
    uint64_t now = clock_monotonic_ms();
    for (h2o_linklist_t *at = loop->_conns.next, *next; at != &loop->_conns; at = next) {
        next = at->next;
        fn(H2O_STRUCT_FROM_MEMBER(struct guard_conn, link, at), now);
    }
}

static void on_sweep(h2o_timeout_entry_t *entry)
{
    struct guard_loop *loop = H2O_STRUCT_FROM_MEMBER(struct guard_loop, _sweep_entry, entry);
    for_each(loop, sweep_one);
    guard_age_spares(clock_monotonic_ms());
    h2o_timeout_link(loop->_ctx->loop, &loop->_sweep, &loop->_sweep_entry);
}

static uint64_t period(void)
{
    const uint64_t timeouts[] = {guard_policy.header_timeout, guard_policy.body_timeout,
                                 guard_policy.write_timeout, guard_policy.idle_timeout,
                                 guard_policy.linger_timeout};
    uint64_t ms = SWEEP_MOST_MS;
    for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); ++i)
        if (timeouts[i] / SWEEPS_PER_TIMEOUT < ms)
            ms = timeouts[i] / SWEEPS_PER_TIMEOUT;
    return ms > SWEEP_LEAST_MS ? ms : SWEEP_LEAST_MS;
}

void guard_sweep_retime(struct guard_loop *loop)
{
    loop->_sweep.timeout = period();
}

void guard_loop_init(struct guard_loop *loop, h2o_context_t *ctx)
{
    guard_policy_begin();
    *loop = (struct guard_loop){._ctx = ctx, ._sweep_entry = {.cb = on_sweep}};
    // guard_configure's, see there
    assert(ctx->globalconf->http2.max_concurrent_requests_per_connection > GUARD_STREAMS_MAX);
    h2o_linklist_init_anchor(&loop->_conns);
    h2o_timeout_init(ctx->loop, &loop->_sweep, period());
    h2o_timeout_link(ctx->loop, &loop->_sweep, &loop->_sweep_entry);
}

size_t guard_loop_connections(const struct guard_loop *loop)
{
    return loop->_count;
}

static void close_idle(struct guard_conn *c, uint64_t now)
{
    if (h1_is_idle(c))
        end_idle(c);
}

void guard_loop_close_idle(struct guard_loop *loop)
{
    for_each(loop, close_idle);
}

static void kill_one(struct guard_conn *c, uint64_t now)
{
    guard_kill(c);
}

void guard_loop_kill_all(struct guard_loop *loop)
{
    for_each(loop, kill_one);
}

// libh2o's second GOAWAY comes after a second, and from then on it throws away what running uploads
// send: give them `drain` instead.
void guard_loop_shutdown(struct guard_loop *loop, uint64_t drain)
{
    h2o_context_t *ctx = loop->_ctx;
    h2o_timeout_entry_t *goaway = &ctx->http2._graceful_shutdown_timeout;
    if (loop->_closing_since != 0)
        return;
    loop->_closing_since = clock_monotonic_ms();
    h2o_context_request_shutdown(ctx);
    if (h2o_timeout_is_linked(goaway)) {
        h2o_timeout_unlink(goaway);
        h2o_timeout_init(ctx->loop, &loop->_drain, drain);
        h2o_timeout_link(ctx->loop, &loop->_drain, goaway);
    }
    guard_loop_close_idle(loop);
}
