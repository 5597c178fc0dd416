// Header blocks of HTTP/2, in and out.
//
// In: libh2o decodes without any limit on fields. Here the fields are counted first; what is over
// the limit is still decoded, since both sides' tables must stay in step, but piecewise into a
// request that is thrown away, and the request is answered 431. The same is done with trailers,
// which libh2o would add to the request's headers. Then the request is held to RFC 9113 §8.3.
//
// Out: libh2o ignores SETTINGS_HEADER_TABLE_SIZE. frames.c empties its table when a client
// announces a smaller one; here the next block tells so, as RFC 7541 §4.2 wants.
#include "edge/guard/fields.h"
#include "edge/guard/internal.h"

enum { PSEUDO_FIELDS = 4, PIECE = 64, FIELD_OVERHEAD = 32 };

// ---- decoding

// Decodes and forgets; only the header table remembers.
static int decode_away(h2o_hpack_header_table_t *table, h2o_conn_t *conn, const uint8_t *src,
                       size_t len, int *pseudo)
{
    h2o_req_t away;
    h2o_cache_digests_t *digests = NULL;
    const char *desc = NULL;
    size_t content_length;
    h2o_init_request(&away, conn, NULL);
    int ret = guard_real.h2o_hpack_parse_headers(&away, table, src, len, pseudo, &content_length,
                                                 pseudo != NULL ? &digests : NULL, &desc);
    if (digests != NULL)
        h2o_cache_digests_destroy(digests);
    h2o_mem_clear_pool(&away.pool);
    return ret == H2O_HTTP2_ERROR_INVALID_HEADER_CHAR ? 0 : ret;
}

static int decode_rest_away(h2o_hpack_header_table_t *table, h2o_conn_t *conn, const uint8_t *src,
                            size_t len)
{
    while (len != 0) {
        int pseudo = 0;
        struct fields f = fields_pass(src, len, PIECE, 0);
        if (f.state == FIELDS_BROKEN)
            return H2O_HTTP2_ERROR_COMPRESSION;
        int ret = decode_away(table, conn, src, f.n, &pseudo);
        if (ret != 0)
            return ret;
        src += f.n;
        len -= f.n;
    }
    return 0;
}

static int parse_trailers(h2o_req_t *req, h2o_hpack_header_table_t *table, const uint8_t *src,
                          size_t len, const char **err_desc)
{
    struct fields f = fields_pass(src, len, guard_policy.header_count, 1);
    if (f.state == FIELDS_MORE || len > guard_policy.header_bytes) {
        guard_count(&guard_totals.calmed);
        *err_desc = "too many trailers";
        return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
    }
    if (f.state == FIELDS_BROKEN)
        return H2O_HTTP2_ERROR_COMPRESSION;
    return decode_away(table, req->conn, src, len, NULL);
}

// ---- judging

static str view(h2o_iovec_t v)
{
    return str_of(v.base, v.len);
}

size_t guard_head_size(const h2o_req_t *req)
{
    size_t size = 0;
    for (size_t i = 0; i < req->headers.size; ++i)
        size +=
            req->headers.entries[i].name->len + req->headers.entries[i].value.len + FIELD_OVERHEAD;
    return size + req->input.path.len + req->input.authority.len;
}

// RFC 9113 §8.3.1: Host may stand for :authority, but not differ from it. Takes it out of the
// headers.
static bool settle_authority(h2o_req_t *req)
{
    ssize_t at = h2o_find_header(&req->headers, H2O_TOKEN_HOST, -1);
    if (at != -1) {
        h2o_iovec_t host = req->headers.entries[at].value;
        h2o_delete_header(&req->headers, at);
        if (req->input.authority.base == NULL)
            req->input.authority = host;
        else if (!str_caseeq(view(host), view(req->input.authority)))
            return false;
        if (h2o_find_header(&req->headers, H2O_TOKEN_HOST, -1) != -1)
            return false;
    }
    return head_is_authority(view(req->input.authority));
}

static bool names_are_there(const h2o_req_t *req)
{
    for (size_t i = 0; i < req->headers.size; ++i)
        if (req->headers.entries[i].name->len == 0)
            return false;
    return true;
}

static bool is_well_formed(h2o_req_t *req, const h2o_http2_stream_t *stream, size_t content_length)
{
    str method = view(req->input.method), target = view(req->input.path);
    if (!head_is_token(method) || !head_is_target(target, method) || !settle_authority(req) ||
        !names_are_there(req))
        return false;
    // §8.1.1: a length with no body to have it
    return stream->_req_body != NULL || content_length == SIZE_MAX || content_length == 0;
}

static const struct guard_refusal *judge_and_hold_head(struct guard_conn *c,
                                                       h2o_http2_stream_t *stream)
{
    struct guard_stream *own = guard_stream_of(c, stream);
    size_t n = guard_counted_head(&stream->req);
    if (n == 0)
        return NULL;
    const struct guard_refusal *why = guard_judge_room(c, &own->held, &stream->req, n);
    guard_hold(c, &own->held, n); // until the stream leaves, refused or not
    return why;
}

static const struct guard_refusal *judge(struct guard_conn *c, h2o_req_t *req, size_t block,
                                         size_t content_length)
{
    h2o_http2_stream_t *stream = H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req);
    const struct guard_refusal *why = judge_and_hold_head(c, stream);
    if (req->input.path.len > guard_policy.target_length)
        return &guard_target_too_long;
    if (block > guard_policy.header_bytes || guard_head_size(req) > guard_policy.header_bytes ||
        req->headers.size > guard_policy.header_count)
        return &guard_headers_too_large;
    if (why != NULL || stream->_req_body == NULL)
        return why;
    if (content_length != SIZE_MAX &&
        content_length > guard_body_limit(req, view(req->input.method), view(req->input.authority),
                                          view(req->input.path)))
        return &guard_body_too_large;
    return guard_judge_length(c, content_length != SIZE_MAX ? content_length : UINT64_MAX);
}

// libh2o answers a head with a character that may not be there by an error to the request; all
// other errors end the connection.
static int refuse(struct guard_conn *c, h2o_req_t *req, const struct guard_refusal *why,
                  const char **err_desc)
{
    guard_count_refusal(why);
    c->why = why;
    c->why_req = req;
    *err_desc = why->reason;
    return H2O_HTTP2_ERROR_INVALID_HEADER_CHAR;
}

static int parse_request(struct guard_conn *c, h2o_req_t *req, h2o_hpack_header_table_t *table,
                         const uint8_t *src, size_t len, int *pseudo, size_t *content_length,
                         h2o_cache_digests_t **digests, const char **err_desc)
{
    h2o_http2_stream_t *stream = H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req);
    struct fields f = fields_pass(src, len, guard_policy.header_count + PSEUDO_FIELDS, 1);
    if (f.state == FIELDS_BROKEN)
        return H2O_HTTP2_ERROR_COMPRESSION;
    int ret = guard_real.h2o_hpack_parse_headers(req, table, src, f.n, pseudo, content_length,
                                                 digests, err_desc);
    if (ret != 0 && ret != H2O_HTTP2_ERROR_INVALID_HEADER_CHAR)
        return ret;
    int rest = decode_rest_away(table, req->conn, src + f.n, len - f.n);
    if (rest != 0)
        return rest;
    // the peer's word on the scheme is no evidence
    req->input.scheme = c->sock->ssl != NULL ? &H2O_URL_SCHEME_HTTPS : &H2O_URL_SCHEME_HTTP;
    bool is_fine = is_well_formed(req, stream, *content_length);
    if (!is_fine || !guard_stream_enter(c, stream)) {
        // libh2o resets a stream that lacks one of these (a stream error, RFC 9113 §8.1.1)
        guard_count(is_fine ? &guard_totals.busy : &guard_totals.malformed);
        c->turned_away = is_fine ? stream->stream_id : 0;
        *pseudo &= ~H2O_HPACK_PARSE_HEADERS_PATH_EXISTS;
        return ret;
    }
    ++c->requests;
    const struct guard_refusal *why = judge(c, req, len, *content_length);
    if (f.state == FIELDS_MORE)
        why = &guard_headers_too_large;
    return why != NULL ? refuse(c, req, why, err_desc) : ret;
}

int h2o_hpack_parse_headers(h2o_req_t *req, h2o_hpack_header_table_t *table, const uint8_t *src,
                            size_t len, int *pseudo, size_t *content_length,
                            h2o_cache_digests_t **digests, const char **err_desc)
{
    struct guard_conn *c = guard_conn_of_request(req);
    GUARD_SEES(h2o_hpack_parse_headers);
    if (c == NULL)
        return guard_real.h2o_hpack_parse_headers(req, table, src, len, pseudo, content_length,
                                                  digests, err_desc);
    c->why = NULL;
    if (pseudo == NULL)
        return parse_trailers(req, table, src, len, err_desc);
    return parse_request(c, req, table, src, len, pseudo, content_length, digests, err_desc);
}

// ---- encoding

// RFC 7541 §6.3
static size_t encode_size_update(uint8_t *to, uint32_t size)
{
    uint8_t *at = to;
    if (size < 31) {
        *at++ = (uint8_t)(0x20 | size);
        return 1;
    }
    *at++ = 0x3f;
    for (size -= 31; size >= 128; size >>= 7)
        *at++ = (uint8_t)(0x80 | size);
    *at++ = (uint8_t)size;
    return (size_t)(at - to);
}

// Puts the update in front of the block that begins at `start` with its frame header. A response's
// headers are far below a frame's maximum, so that the first frame can grow by these few bytes.
static void insert_size_update(h2o_buffer_t **buf, size_t start, uint32_t size)
{
    uint8_t update[8];
    size_t n = encode_size_update(update, size);
    h2o_buffer_reserve(buf, n);
    uint8_t *frame = (uint8_t *)(*buf)->bytes + start, *block = frame + H2O_HTTP2_FRAME_HEADER_SIZE;
    memmove(block + n, block, (*buf)->size - start - H2O_HTTP2_FRAME_HEADER_SIZE);
    memcpy(block, update, n);
    (*buf)->size += n;
    h2o_http2_encode24u(frame, h2o_http2_decode24u(frame) + (uint32_t)n);
}

// --- fields that never repeat ---
//
// libh2o puts every field it sends into the connection's dynamic table of 32 entries. A request id never comes again, and an entity tag seldom: they
// would push out the fields that do repeat, which are then spelt out with every answer. So these two go as literals without indexing (RFC 7541
// §6.2.2), behind the block that libh2o has made. Measured: a third of the CPU of a small answer.

enum {
    UNINDEXED_MAX = 2,
    UNINDEXED_VALUE_MAX = 100,
    UNINDEXED_ROOM = 2 + 13 + 1 + UNINDEXED_VALUE_MAX,
    ETAG_INDEX = 34
};

static bool is_etag(const h2o_iovec_t *name)
{
    return name == &H2O_TOKEN_ETAG->buf;
}

static bool never_repeats(const h2o_header_t *f)
{
    return f->value.len <= UNINDEXED_VALUE_MAX &&
           (is_etag(f->name) || h2o_memis(f->name->base, f->name->len, H2O_STRLIT("x-request-id")));
}

// Takes them out of the answer's fields; returns how many. Takes none when the block might not fit into one frame.
static size_t take_unindexed(h2o_res_t *res, size_t max_frame_size, h2o_header_t *ret)
{
    size_t size = 512, taken = 0, kept = 0; // status, date, server, length
    for (size_t i = 0; i != res->headers.size; ++i)
        size += res->headers.entries[i].name->len + res->headers.entries[i].value.len + 8;
    if (size + UNINDEXED_MAX * UNINDEXED_ROOM > max_frame_size)
        return 0;
    for (size_t i = 0; i != res->headers.size; ++i) {
        if (taken != UNINDEXED_MAX && never_repeats(&res->headers.entries[i]))
            ret[taken++] = res->headers.entries[i];
        else
            res->headers.entries[kept++] = res->headers.entries[i];
    }
    res->headers.size = kept;
    return taken;
}

// Puts them behind the block, and back into the answer's fields.
static void append_unindexed(h2o_buffer_t **buf, size_t start, h2o_res_t *res,
                             const h2o_header_t *list, size_t count)
{
    h2o_buffer_reserve(buf, count * UNINDEXED_ROOM);
    uint8_t *frame = (uint8_t *)(*buf)->bytes + start,
            *end = (uint8_t *)(*buf)->bytes + (*buf)->size, *to = end;
    assert(h2o_http2_decode24u(frame) + H2O_HTTP2_FRAME_HEADER_SIZE ==
           (size_t)(end - frame)); // one frame
    for (size_t i = 0; i != count; ++i) {
        if (is_etag(list[i].name)) {
            *to++ = 0x0f; // literal without indexing, the name by its place in the static table
            *to++ = ETAG_INDEX - 0x0f;
        } else {
            *to++ = 0x00; // … with a new name
            *to++ = (uint8_t)list[i].name->len;
            memcpy(to, list[i].name->base, list[i].name->len);
            to += list[i].name->len;
        }
        *to++ = (uint8_t)list[i].value.len;
        memcpy(to, list[i].value.base, list[i].value.len);
        to += list[i].value.len;
        res->headers.entries[res->headers.size++] = list[i];
    }
    (*buf)->size += (size_t)(to - end);
    h2o_http2_encode24u(frame, h2o_http2_decode24u(frame) + (uint32_t)(to - end));
}

void h2o_hpack_flatten_response(h2o_buffer_t **buf, h2o_hpack_header_table_t *table,
                                uint32_t stream_id, size_t max_frame_size, h2o_res_t *res,
                                h2o_timestamp_t *ts, const h2o_iovec_t *server_name,
                                size_t content_length)
{
    enum { UPDATE_ROOM = 8 };
    h2o_http2_conn_t *conn = H2O_STRUCT_FROM_MEMBER(h2o_http2_conn_t, _output_header_table, table);
    struct guard_conn *c = guard_conn_of(conn->sock);
    size_t start = (*buf)->size;
    h2o_header_t unindexed[UNINDEXED_MAX];
    GUARD_SEES(h2o_hpack_flatten_response);
    size_t count = take_unindexed(res, max_frame_size - UPDATE_ROOM, unindexed);
    guard_real.h2o_hpack_flatten_response(buf, table, stream_id, max_frame_size - UPDATE_ROOM, res,
                                          ts, server_name, content_length);
    if (count != 0)
        append_unindexed(buf, start, res, unindexed, count);
    if (c == NULL || c->table_update == 0)
        return;
    insert_size_update(buf, start, c->table_update - 1);
    c->table_update = 0;
}
