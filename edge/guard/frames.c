// HTTP/2 frames, each seen after libh2o has found its borders and before it acts on it.
//
// A frame is priced (budget.c), judged, and may be made harmless by turning it into what libh2o
// ignores: an acknowledgement of settings. What libh2o 2.2.5 would do otherwise:
// - abort, when a stream whose last bytes are being written and whose window is used up gets a
// window again
//   (update_stream_output_window asserts that the stream is in no list);
// - loop for ever over a CONTINUATION that comes after its last GOAWAY;
// - write a line to stderr for each frame of an unknown type;
// - answer a body that is too long with REFUSED_STREAM, which tells the client to send it again;
// - keep its header table when the client announces a smaller one.
#include "edge/base/clock.h"
#include "edge/guard/internal.h"

enum { CONTINUATIONS_MAX = 8, CREDIT_BYTES = 2048, CREDIT_MOST = 1024 * 1024, SMALL_DATA = 64 };

// Thousandths of an event.
enum {
    PRICE_RESET = 1000, // from the client, or provoked (MadeYouReset)
    PRICE_SETTINGS = 10000,
    PRICE_SETTINGS_ACK = 1000,
    PRICE_PING = 2000,
    PRICE_PRIORITY = 500,
    PRICE_GOAWAY = 1000,
    PRICE_UNKNOWN = 1000,
    PRICE_EMPTY_DATA = 1000,
    PRICE_SMALL_DATA = 20,
    PRICE_UNWANTED_DATA = 200, // of a body that has been refused
    PRICE_WINDOW = 20,
    PRICE_CONTINUATION = 1000,
};

struct seen {
    struct guard_conn *c;
    h2o_http2_conn_t *conn;
    h2o_http2_frame_t *frame;
    uint32_t price;
    const char *desc;
};

static void make_harmless(h2o_http2_frame_t *f)
{
    f->type = H2O_HTTP2_FRAME_TYPE_SETTINGS;
    f->flags = H2O_HTTP2_FRAME_FLAG_ACK;
    f->stream_id = 0;
    f->length = 0;
}

static int calm(struct seen *s, const char *desc)
{
    guard_count(&guard_totals.calmed);
    s->desc = desc;
    return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
}

static bool charge(struct guard_conn *c, uint32_t price)
{
    return budget_charge(&c->budget, guard_policy.bucket_size, guard_policy.bucket_per_second,
                         clock_monotonic_ms(), price);
}

// ---- bodies that nobody wants

static int refused_slot(const struct guard_conn *c, uint32_t id)
{
    for (int i = 0; i < GUARD_REFUSED_STREAMS; ++i)
        if (c->refused[i].id == id)
            return i;
    return -1;
}

void guard_refuse_stream(struct guard_conn *c, uint32_t id)
{
    unsigned slot = c->next_refused++ % GUARD_REFUSED_STREAMS;
    c->refused[slot].id = id;
    c->refused[slot].ended = false;
}

void guard_forget_stream(struct guard_conn *c, uint32_t id)
{
    guard_refuse_stream(c, id);
    c->refused[refused_slot(c, id)].ended = true;
}

// The stream's own window is not given back: a client that respects it stops by itself.
static void throw_away(struct seen *s, int slot)
{
    uint32_t length = s->frame->length;
    if ((s->frame->flags & H2O_HTTP2_FRAME_FLAG_END_STREAM) != 0)
        s->c->refused[slot].ended = true;
    s->price = PRICE_UNWANTED_DATA;
    make_harmless(s->frame);
    if (length != 0 && s->conn->state < H2O_HTTP2_CONN_STATE_HALF_CLOSED) {
        h2o_http2_encode_window_update_frame(&s->conn->_write.buf, 0, (int32_t)length);
        h2o_http2_conn_request_write(s->conn);
    }
}

// Answers at once, while the body still comes: libh2o's way from a head to its error, taken from
// the middle of the body.
void guard_refuse_body(struct guard_conn *c, h2o_http2_stream_t *stream,
                       const struct guard_refusal *why)
{
    h2o_http2_conn_t *conn = c->sock->data;
    guard_release_body_of(c, &guard_stream_of(c, stream)->held, stream->_req_body);
    h2o_buffer_consume(&stream->_req_body, stream->_req_body->size);
    h2o_http2_stream_set_state(conn, stream, H2O_HTTP2_STREAM_STATE_REQ_PENDING);
    h2o_http2_stream_set_state(conn, stream, H2O_HTTP2_STREAM_STATE_SEND_HEADERS);
    guard_refuse_stream(c, stream->stream_id);
    guard_answer(&stream->req, why);
}

static const struct guard_refusal *judge_data(struct guard_conn *c, struct guard_held *h,
                                              h2o_http2_stream_t *stream, size_t n)
{
    h2o_req_t *req = &stream->req;
    size_t limit = guard_body_limit(req, str_of(req->input.method.base, req->input.method.len),
                                    str_of(req->input.authority.base, req->input.authority.len),
                                    str_of(req->input.path.base, req->input.path.len));
    size_t size = stream->_req_body->size + n;
    if (size > limit)
        return &guard_body_too_large;
    if (!guard_wants_file(size))
        return guard_judge_room(c, h, req, n);
    return guard_has_share(c, n) ? NULL : &guard_busy;
}

static const struct guard_refusal *admit_data(struct guard_conn *c, struct guard_held *h,
                                              h2o_http2_stream_t *stream, size_t n)
{
    const struct guard_refusal *why = judge_data(c, h, stream, n);
    if (why != NULL)
        return why;
    bool was_file = guard_is_file(stream->_req_body);
    why = guard_reserve(&stream->req, &stream->_req_body, n, stream->_expected_content_length);
    if (why != NULL)
        return why;
    size_t more = n;
    if (!was_file && guard_is_file(stream->_req_body)) {
        guard_release(c, h, stream->_req_body->size);
        more += stream->_req_body->size;
    }
    if (guard_is_file(stream->_req_body))
        c->stored += more;
    else
        guard_hold(c, h, more);
    return NULL;
}

static void set_data_price(struct seen *s)
{
    if ((s->frame->flags & H2O_HTTP2_FRAME_FLAG_END_STREAM) != 0)
        return;
    if (s->frame->length == 0)
        s->price = PRICE_EMPTY_DATA;
    else if (s->frame->length < SMALL_DATA)
        s->price = PRICE_SMALL_DATA;
}

static int on_data(struct seen *s)
{
    h2o_http2_data_payload_t payload;
    const char *unused;
    set_data_price(s);
    if (s->frame->stream_id == 0 ||
        h2o_http2_decode_data_payload(&payload, s->frame, &unused) != 0 ||
        s->conn->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED)
        return 0; // libh2o's to refuse
    int slot = refused_slot(s->c, s->frame->stream_id);
    h2o_http2_stream_t *stream = h2o_http2_conn_get_stream(s->conn, s->frame->stream_id);
    if (slot == -1 && stream != NULL && stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY) {
        struct guard_stream *own = guard_stream_of(s->c, stream);
        const struct guard_refusal *why = admit_data(s->c, &own->held, stream, payload.length);
        if (why == NULL) {
            own->body_bytes += payload.length;
            s->c->body_bytes += payload.length;
            return 0;
        }
        guard_count_refusal(why);
        guard_refuse_body(s->c, stream, why);
        slot = refused_slot(s->c, s->frame->stream_id);
    }
    if (slot != -1)
        throw_away(s, slot);
    return 0;
}

// The response is out but the client still sends: RFC 9113 §8.1 asks it to stop without calling it
// an error. Written with what goes out next; asking for a write here could come in the middle of
// the connection's end.
void h2o_http2_stream_close(h2o_http2_conn_t *conn, h2o_http2_stream_t *stream)
{
    struct guard_conn *c = guard_conn_of(conn->sock);
    GUARD_SEES(h2o_http2_stream_close);
    if (c != NULL)
        guard_stream_leave(c, stream);
    if (c != NULL && conn->state < H2O_HTTP2_CONN_STATE_IS_CLOSING) {
        int slot = refused_slot(c, stream->stream_id);
        if (slot != -1 && !c->refused[slot].ended)
            guard_real.h2o_http2__encode_rst_stream_frame(&conn->_write.buf, stream->stream_id, 0);
    }
    guard_real.h2o_http2_stream_close(conn, stream);
}

// ---- resets

static int on_reset(struct seen *s)
{
    int slot = refused_slot(s->c, s->frame->stream_id);
    s->price = PRICE_RESET;
    if (slot != -1)
        s->c->refused[slot].ended = true;
    return 0;
}

// Only what the client's frames provoke; the next frame then finds the bucket empty.
void h2o_http2__encode_rst_stream_frame(h2o_buffer_t **buf, uint32_t stream_id, int errnum)
{
    struct guard_conn *c = guard_current;
    GUARD_SEES(h2o_http2__encode_rst_stream_frame);
    if (c != NULL && c->kind == GUARD_H2) {
        charge(c, PRICE_RESET);
        if (c->turned_away == stream_id && stream_id != 0)
            errnum = -H2O_HTTP2_ERROR_REFUSED_STREAM;
        c->turned_away = 0;
    }
    guard_real.h2o_http2__encode_rst_stream_frame(buf, stream_id, errnum);
}

// ---- settings

static void shrink_table(struct seen *s, uint32_t size)
{
    h2o_hpack_header_table_t *table = &s->conn->_output_header_table;
    if (size >= table->hpack_capacity)
        return;
    // the peer keeps what fits; what is added from here on has the same indices on both sides
    h2o_hpack_dispose_header_table(table);
    *table = (h2o_hpack_header_table_t){.hpack_capacity = size};
    s->c->table_update = size + 1;
}

// True when the new initial window takes a stream's window over 2^31-1 (RFC 9113 §6.9.2), which
// libh2o overlooks.
static bool overflows(struct seen *s, uint32_t size)
{
    int64_t more = (int64_t)size - s->conn->peer_settings.initial_window_size;
    h2o_http2_stream_t *stream;
    kh_foreach_value(s->conn->streams, stream, {
        if (stream->state != H2O_HTTP2_STREAM_STATE_END_STREAM &&
            h2o_http2_window_get_window(&stream->output_window) + more > INT32_MAX)
            return true;
    });
    return false;
}

static void avert_aborts(struct seen *s)
{
    h2o_http2_stream_t *stream;
    kh_foreach_value(s->conn->streams, stream, {
        if (stream->state == H2O_HTTP2_STREAM_STATE_END_STREAM &&
            h2o_http2_window_get_window(&stream->output_window) <= 0) {
            stream->output_window._avail = 1;
            guard_count(&guard_totals.averted_aborts);
        }
    });
}

static int on_settings(struct seen *s)
{
    const uint8_t *p = s->frame->payload, *end = p + s->frame->length;
    s->price = PRICE_SETTINGS_ACK;
    if ((s->frame->flags & H2O_HTTP2_FRAME_FLAG_ACK) != 0 || s->frame->stream_id != 0)
        return 0;
    s->price = PRICE_SETTINGS;
    for (; end - p >= 6; p += 6) {
        uint32_t value = h2o_http2_decode32u(p + 2);
        switch (h2o_http2_decode16u(p)) {
        case H2O_HTTP2_SETTINGS_HEADER_TABLE_SIZE:
            shrink_table(s, value);
            break;
        case H2O_HTTP2_SETTINGS_INITIAL_WINDOW_SIZE:
            if (value <= INT32_MAX && overflows(s, value)) {
                s->desc = "flow control window overflow";
                return H2O_HTTP2_ERROR_FLOW_CONTROL;
            }
            break;
        }
    }
    avert_aborts(s);
    return 0;
}

// ---- the other types

static int on_headers(struct seen *s)
{
    s->c->continuations = 0;
    return 0;
}

static int on_continuation(struct seen *s)
{
    s->price = PRICE_CONTINUATION;
    if (s->conn->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED) {
        guard_count(&guard_totals.averted_loops);
        s->desc = "connection is shutting down";
        return H2O_HTTP2_ERROR_PROTOCOL;
    }
    if (++s->c->continuations > CONTINUATIONS_MAX)
        return calm(s, "too many CONTINUATION frames");
    return 0;
}

// One is free for every two kilobytes sent: clients with small windows send many.
static void set_window_price(struct seen *s)
{
    size_t sent = s->c->sock->bytes_written - s->c->window_credit;
    s->price = PRICE_WINDOW;
    if (sent < CREDIT_BYTES)
        return;
    s->price = 0;
    s->c->window_credit += sent > CREDIT_MOST ? sent - CREDIT_MOST : CREDIT_BYTES;
}

static int on_window_update(struct seen *s)
{
    set_window_price(s);
    if (s->frame->stream_id == 0 || s->frame->length != 4)
        return 0;
    h2o_http2_stream_t *stream = h2o_http2_conn_get_stream(s->conn, s->frame->stream_id);
    if (stream != NULL && stream->state == H2O_HTTP2_STREAM_STATE_END_STREAM) {
        guard_count(&guard_totals.averted_aborts);
        make_harmless(s->frame);
    }
    return 0;
}

static int on_ping(struct seen *s)
{
    s->price = PRICE_PING;
    return 0;
}

static int on_priority(struct seen *s)
{
    s->price = PRICE_PRIORITY;
    return 0;
}

static int on_goaway(struct seen *s)
{
    s->price = PRICE_GOAWAY;
    return 0;
}

static int on_push_promise(struct seen *s)
{
    return 0; // libh2o refuses it
}

static int on_unknown(struct seen *s)
{
    s->price = PRICE_UNKNOWN;
    guard_count(&guard_totals.unknown_frames);
    make_harmless(s->frame);
    return 0;
}

static int (*const handlers[])(struct seen *) = {
    [H2O_HTTP2_FRAME_TYPE_DATA] = on_data,
    [H2O_HTTP2_FRAME_TYPE_HEADERS] = on_headers,
    [H2O_HTTP2_FRAME_TYPE_PRIORITY] = on_priority,
    [H2O_HTTP2_FRAME_TYPE_RST_STREAM] = on_reset,
    [H2O_HTTP2_FRAME_TYPE_SETTINGS] = on_settings,
    [H2O_HTTP2_FRAME_TYPE_PUSH_PROMISE] = on_push_promise,
    [H2O_HTTP2_FRAME_TYPE_PING] = on_ping,
    [H2O_HTTP2_FRAME_TYPE_GOAWAY] = on_goaway,
    [H2O_HTTP2_FRAME_TYPE_WINDOW_UPDATE] = on_window_update,
    [H2O_HTTP2_FRAME_TYPE_CONTINUATION] = on_continuation,
};

// RFC 9113 §3.4
static bool begins_well(struct guard_conn *c, const h2o_http2_frame_t *frame)
{
    if (!c->settled)
        c->settled = frame->type == H2O_HTTP2_FRAME_TYPE_SETTINGS &&
                     (frame->flags & H2O_HTTP2_FRAME_FLAG_ACK) == 0;
    return c->settled;
}

static int judge(struct seen *s)
{
    if (!begins_well(s->c, s->frame)) {
        s->desc = "the first frame is not SETTINGS";
        return H2O_HTTP2_ERROR_PROTOCOL;
    }
    uint8_t type = s->frame->type;
    int error = type < sizeof(handlers) / sizeof(handlers[0]) ? handlers[type](s) : on_unknown(s);
    if (error != 0)
        return error;
    if (s->price != 0 ? !charge(s->c, s->price) : s->c->budget.level < 0)
        return calm(s, "too many frames of little use");
    return 0;
}

ssize_t h2o_http2_decode_frame(h2o_http2_frame_t *frame, const uint8_t *src, size_t len,
                               const h2o_http2_settings_t *host_settings, const char **err_desc)
{
    struct guard_conn *c = guard_current;
    GUARD_SEES(h2o_http2_decode_frame);
    ssize_t ret = guard_real.h2o_http2_decode_frame(frame, src, len, host_settings, err_desc);
    if (ret < 0 || c == NULL || c->kind != GUARD_H2)
        return ret;
    struct seen s = {.c = c, .conn = c->sock->data, .frame = frame};
    int error = judge(&s);
    if (error == 0)
        return ret;
    *err_desc = s.desc;
    return error;
}
