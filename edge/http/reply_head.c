// The head of an HTTP/1 answer. libh2o makes it with two passes of sprintf and its sending by a write of its own beside the body's; here it
// is put together from text that most answers share (a reply_headers has its lines ready) and, when
// the body is small, goes out in one piece with it: one segment, one TLS record.
//
// libh2o's last stage writes a head before the first bytes unless it has been written already, and
// keeps that in the word behind its public half: that word is set here. As the guard, this knows
// libh2o 2.2.5 only; the guard's self-test refuses any other.
#include "edge/http/reply_head.h"
#include <assert.h>

enum { FIXED_ROOM = 256, SMALL_BODY = 2048, RECORD = 16384 };

struct final_ostream {
    h2o_ostream_t super;
    int has_sent_head;
};

bool reply_head_is_ours(const h2o_req_t *req)
{
    return req->version < 0x200 && req->_ostr_top->next == NULL;
}

static char *put(char *to, const void *bytes, size_t n)
{
    if (n != 0) // a body that is none has no address
        memcpy(to, bytes, n);
    return to + n;
}
#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static char *put_number(char *to, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    while (n != 0)
        *to++ = digits[--n];
    return to;
}

static char *put_fixed(char *to, h2o_req_t *req)
{
    h2o_context_t *ctx = req->conn->ctx;
    h2o_get_timestamp(ctx, NULL, NULL); // brings the date up to now
    assert(req->res.status >= 100 && req->res.status <= 999);
    to = put_number(PUT(to, "HTTP/1.1 "), (uint64_t)req->res.status);
    *to++ = ' ';
    to = put(to, req->res.reason, strlen(req->res.reason));
    to = PUT(to, "\r\nDate: ");
    to = put(to, ctx->_timestamp_cache.value->rfc1123, H2O_TIMESTR_RFC1123_LEN);
    to = req->http1_is_persistent ? PUT(to, "\r\nConnection: keep-alive\r\n")
                                  : PUT(to, "\r\nConnection: close\r\n");
    if (req->res.content_length != SIZE_MAX)
        to = PUT(put_number(PUT(to, "Content-Length: "), req->res.content_length), "\r\n");
    to = PUT(to, "Server: ");
    return PUT(put(to, ctx->globalconf->server_name.base, ctx->globalconf->server_name.len),
               "\r\n");
}

static char *put_field(char *to, const h2o_header_t *f)
{
    to = PUT(put(to, f->name->base, f->name->len), ": ");
    return PUT(put(to, f->value.base, f->value.len), "\r\n");
}

static size_t room_for(const h2o_req_t *req, const struct reply_headers *h)
{
    size_t n = FIXED_ROOM + strlen(req->res.reason) + req->conn->ctx->globalconf->server_name.len +
               (h != NULL ? h->text_n : 0);
    for (size_t i = 0; i != req->res.headers.size; ++i)
        n += req->res.headers.entries[i].name->len + req->res.headers.entries[i].value.len + 4;
    return n;
}

// How many bytes of the body go with the head. A TLS record is filled; in clear text a copy pays
// only where it saves the kernel a second piece.
static size_t bytes_beside(const struct http_request *own, size_t head, size_t body)
{
    if (!own->super.is_tls)
        return body <= SMALL_BODY ? body : 0;
    size_t room = head < RECORD ? RECORD - head : 0;
    return body < room ? body : room;
}

h2o_iovec_t reply_head_make(struct http_request *own, const struct reply_headers *h, str body,
                            size_t *ret_taken)
{
    h2o_req_t *req = h2o_of(&own->super);
    size_t room = room_for(req, h);
    size_t taken = bytes_beside(own, room, body.n);
    char *bytes = h2o_mem_alloc_pool(&req->pool, room + taken), *to = put_fixed(bytes, req);
    for (size_t i = 0; i != req->res.headers.size; ++i)
        to = put_field(to, &req->res.headers.entries[i]);
    if (h != NULL)
        to = put(to, h->text, h->text_n);
    to = PUT(to, "x-request-id: ");
    to = put(to, own->super.id, sizeof own->super.id - 1);
    to = PUT(to, "\r\n\r\n");
    req->bytes_sent -= (size_t)(to - bytes); // libh2o will count it as the body's
    to = put(to, body.p, taken);
    assert(to <= bytes + room + taken);
    ((struct final_ostream *)req->_ostr_top)->has_sent_head = 1;
    *ret_taken = taken;
    return h2o_iovec_init(bytes, (size_t)(to - bytes));
}
