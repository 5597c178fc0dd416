// One piece is in flight at a time: libh2o calls back when it is written, as for every generator.
// Over HTTP/1 it does not read while it answers, and so would not see the client leave before a
// keep-alive could not be written: each stream looks at its socket once a second.
#include "edge/http/event_stream.h"
#include <assert.h>
#include <poll.h>
#include <sys/socket.h>
#include "edge/http/internal.h"

enum { PIECE_MAX = 16 * 1024 * 1024, LOOK_MS = 1000 };

struct event_stream {
    h2o_generator_t generator; // outlived by the request: this is its memory
    struct request *request;
    struct event_source *source;
    struct loop_timer look;
    struct event_stream *next, *previous; // of the loop
    struct buf piece;                     // in flight
    uint64_t tick_at, until;              // loop_now
    bool is_in_flight, must_end;
};

static __thread struct event_stream *first;

static void link_in(struct event_stream *s)
{
    s->next = first;
    if (first != NULL)
        first->previous = s;
    first = s;
}

static void unlink_it(struct event_stream *s)
{
    if (s->next != NULL)
        s->next->previous = s->previous;
    if (s->previous != NULL)
        s->previous->next = s->next;
    else
        first = s->next;
}

static void send_piece(struct event_stream *s)
{
    h2o_iovec_t piece = h2o_iovec_init(s->piece.p, s->piece.n);
    s->is_in_flight = true;
    h2o_send(h2o_of(s->request), &piece, 1, H2O_SEND_STATE_IN_PROGRESS);
}

static void send_end(struct event_stream *s)
{
    h2o_send(h2o_of(s->request), NULL, 0, H2O_SEND_STATE_FINAL);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct event_stream *s = (struct event_stream *)generator;
    s->is_in_flight = false;
    if (s->must_end)
        send_end(s);
    else
        s->source->on_ready(s->source);
}

static int socket_of(const struct event_stream *s)
{
    h2o_conn_t *conn = h2o_of(s->request)->conn;
    return h2o_socket_get_fd(conn->callbacks->get_socket(conn));
}

// Has closed its half at least: nobody who listens to a stream does that.
static bool has_left(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0;
}

static void close_it(struct event_stream *s, int fd)
{
    if (s->is_in_flight) {
        shutdown(fd, SHUT_RDWR); // libh2o, which waits to write, sees it
    } else {
        s->is_in_flight = s->must_end = true;
        h2o_send(h2o_of(s->request), NULL, 0, H2O_SEND_STATE_ERROR);
    }
}

static void tick(struct event_stream *s, uint64_t now)
{
    s->tick_at = now + EVENT_STREAM_TICK_MS;
    s->source->on_tick(s->source);
    if (event_stream_is_ready(s))
        event_stream_send(s, STR(": keep-alive\n\n"));
}

static void on_look(struct loop_timer *t)
{
    struct event_stream *s =
        (struct event_stream *)((char *)t - offsetof(struct event_stream, look));
    uint64_t now = loop_now(s->request->loop);
    int fd = socket_of(s);
    loop_timer_start(t, LOOK_MS);
    if (has_left(fd))
        close_it(s, fd);
    else if (now >= s->until)
        event_stream_end(s);
    else if (now >= s->tick_at)
        tick(s, now);
}

static void on_gone(void *p)
{
    struct event_stream *s = p;
    loop_timer_stop(&s->look);
    unlink_it(s);
    buf_fini(&s->piece);
    s->source->on_closed(s->source);
}

static void start(struct request *r, h2o_generator_t *generator)
{
    h2o_req_t *req = h2o_of(r);
    assert(!r->_started);
    reply_add(r, "content-type", STR("text/event-stream"));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    reply_add(r, "cache-control", STR("no-store"));
    reply_add(r, "x-request-id", str_of(r->id, sizeof r->id - 1));
    r->_started = true;
    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = SIZE_MAX;
    start_response(req, generator);
}

struct event_stream *event_stream_open(struct request *r, struct event_source *source)
{
    struct event_stream *s = request_holder(r, sizeof *s, on_gone);
    s->request = r;
    s->source = source;
    s->generator.proceed = on_proceed;
    s->look.run = on_look;
    s->tick_at = loop_now(r->loop) + EVENT_STREAM_TICK_MS;
    s->until = loop_now(r->loop) + EVENT_STREAM_AGE_MS;
    buf_init(&s->piece, PIECE_MAX);
    link_in(s);
    loop_timer_start(&s->look, LOOK_MS);
    start(r, &s->generator);
    buf_add(&s->piece, STR("retry: 2000\n\n"));
    send_piece(s);
    return s;
}

void event_stream_head(struct request *r)
{
    static h2o_generator_t none;
    start(r, &none);
    h2o_send(h2o_of(r), NULL, 0, H2O_SEND_STATE_FINAL);
}

bool event_stream_is_ready(const struct event_stream *s)
{
    return !s->is_in_flight && !s->must_end;
}

void event_stream_send(struct event_stream *s, str events)
{
    assert(event_stream_is_ready(s));
    buf_clear(&s->piece);
    buf_add(&s->piece, events);
    assert(!s->piece.full);
    send_piece(s);
}

void event_stream_end(struct event_stream *s)
{
    if (s->must_end)
        return;
    s->must_end = true;
    if (!s->is_in_flight)
        send_end(s);
}

void event_stream_end_all(void)
{
    for (struct event_stream *s = first, *next; s != NULL; s = next) {
        next = s->next; // its request's memory may go
        event_stream_end(s);
    }
}
