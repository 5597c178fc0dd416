// HTTP/2 requests, by who sends them. libh2o takes some kilobytes for each that is open, a hundred on a connection, and a sender keeps them open for
// as long as he pleases: so each has a place among as many as there may be (edge/limits/places.h).
//
// On a visitor's own connection places are the connection's: the first few are its own anyway, further ones are taken several at a time and given
// back by the sweep, so that nearly all requests cost nothing here. A proxy's connection has many senders, and each request a place of its sender's.
#include "edge/base/clock.h"
#include "edge/guard/internal.h"
#include "edge/limits/places.h"

enum { PLACES_FREE = 4, PLACES_STEP = 8 };

static struct places places = {.kind = 1};

static bool is_proxy(struct guard_conn *c, h2o_req_t *req)
{
    if (!c->is_asked) {
        c->is_asked = true;
        c->is_proxy = guard_policy.is_proxy != NULL && guard_policy.is_proxy(guard_policy.ctx, req);
    }
    return c->is_proxy;
}

static bool take_places(struct guard_conn *c, h2o_http2_stream_t *stream)
{
    const h2o_http2_conn_t *conn = c->sock->data;
    if (kh_size(conn->streams) <= PLACES_FREE + c->places)
        return true;
    if (c->places == 0)
        c->placed = guard_sender_of(&stream->req);
    if (!places_take(&places, &c->placed, PLACES_STEP, guard_policy.streams_total))
        return false;
    c->places += PLACES_STEP;
    return true;
}

static struct guard_stream *keep(struct guard_conn *c, h2o_http2_stream_t *stream)
{
    struct guard_stream *s = h2o_mem_alloc_pool(&stream->req.pool, sizeof(*s));
    *s = (struct guard_stream){
        .next = c->streams, .id = stream->stream_id, .conn_bytes = c->body_bytes};
    s->body.since = clock_monotonic_ms();
    return c->streams = s;
}

static bool take_place(struct guard_conn *c, h2o_http2_stream_t *stream)
{
    const struct share_holder sender = guard_sender_of(&stream->req);
    if (!places_take(&places, &sender, 1, guard_policy.streams_total))
        return false;
    struct guard_stream *s = keep(c, stream);
    s->has_place = true;
    s->placed = sender;
    return true;
}

bool guard_stream_enter(struct guard_conn *c, h2o_http2_stream_t *stream)
{
    bool is_in = is_proxy(c, &stream->req) ? take_place(c, stream) : take_places(c, stream);
    if (!is_in && stream->_req_body != NULL)
        guard_forget_stream(c, stream->stream_id);
    if (is_in && !c->is_proxy &&
        (stream->_req_body != NULL || guard_counted_head(&stream->req) != 0))
        keep(c, stream);
    return is_in;
}

static struct guard_stream **find(struct guard_conn *c, uint32_t id)
{
    struct guard_stream **at = &c->streams;
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

struct guard_stream *guard_stream_of(struct guard_conn *c, const h2o_http2_stream_t *stream)
{
    return *find(c, stream->stream_id);
}

void guard_stream_leave(struct guard_conn *c, h2o_http2_stream_t *stream)
{
    struct guard_stream **at = find(c, stream->stream_id), *s = *at;
    if (s == NULL)
        return;
    if (stream->_req_body != NULL && guard_is_file(stream->_req_body))
        guard_release_body_of(c, &s->held, stream->_req_body);
    guard_release(c, &s->held, s->held.bytes);
    if (s->has_place)
        places_give_back(&places, &s->placed, 1);
    *at = s->next;
}

void guard_give_back_places(struct guard_conn *c, const h2o_http2_conn_t *conn)
{
    unsigned open = conn != NULL ? kh_size(conn->streams) : 0,
             needed = open > PLACES_FREE ? open - PLACES_FREE : 0,
             kept = (needed + PLACES_STEP - 1) / PLACES_STEP * PLACES_STEP;
    if (kept >= c->places)
        return;
    places_give_back(&places, &c->placed, c->places - kept);
    c->places = kept;
}
