// What the .c files of this folder share: the way from our request to libh2o's, and the answering
// of pool work.
#ifndef STOA_HTTP_INTERNAL_H
#define STOA_HTTP_INTERNAL_H
#include <h2o.h>
#include "edge/http/reply.h"
#include "edge/http/request.h"

// The fields twice: as HTTP/2's encoder wants them, and as lines of an HTTP/1 head.
struct reply_headers {
    h2o_header_t *list;
    size_t count, room;
    char *text;
    size_t text_n, text_room;
};

// Bodies go out of here: libh2o asks for more when the last piece is written. HTTP/1 over TLS gets
// slices, since libh2o encrypts all that one h2o_send hands over before it writes the first byte
// (libh2o.md §2.12). HTTP/1 in clear text gets large bodies straight from their file (reply_file.c).
struct reply_body {
    h2o_generator_t super;
    const str *pieces;
    size_t count, next, offset;
    bool sliced;
    struct reply_file file; // the one piece stands there, too; fd -1: it does not
    void *socket_data;      // libh2o's, while ours is in its place
};

// How a trusted proxy's `Forwarded` says that the visitor came, where that is the named header.
enum forwarded_proto http_proto_of(const h2o_req_t *req);

// Our request begins with its feature-facing half; libh2o's pool owns it.
struct http_request {
    struct request super;
    str headers[HEADERS]; // joined values already asked for
    uint32_t asked;       // bit set of HEADERS
    struct shared *owner; // of the bytes being sent
    struct reply_body body;
    str single; // the one piece of most bodies
    uint64_t began_us;
};

static inline h2o_req_t *h2o_of(const struct request *r)
{
    return r->_h2o;
}
static inline h2o_iovec_t iovec(str s)
{
    return h2o_iovec_init(s.p, s.n);
}
// Before the head is written, and when it is: the one piece, from its file. The second ends the
// answer and is the caller's last use of the request.
void reply_file_begin(struct http_request *own);
void reply_file_rest(struct http_request *own);
// reply_error for an address whose errors are never a page. Takes details.
void reply_error_json(struct request *r, int status, const char *code, const char *message,
                      json_t *details);
// HTTP/1.0 knows no chunks: what has no length ends with the connection (RFC 9112 §6.3).
static inline bool ends_with_connection(const h2o_req_t *req)
{
    int status = req->res.status;
    return req->version < 0x101 && req->res.content_length == SIZE_MAX && status != 204 &&
           status != 304 && !h2o_memis(req->input.method.base, req->input.method.len, "HEAD", 4);
}
// Begins every answer. Once the server is to end, an HTTP/1 client is told that it is its
// connection's last (RFC 9112 §9.6).
static inline void start_response(h2o_req_t *req, h2o_generator_t *generator)
{
    if (req->conn->ctx->shutdown_requested || ends_with_connection(req))
        req->http1_is_persistent = 0;
    h2o_start_response(req, generator);
}
// Called when a request's memory goes: the access log's line (access.c).
void access_log_request(const struct http_request *r);
// The same for one that was answered without us, and (r NULL) the count of one of which nothing is
// known. On the loop's thread.
void access_log_answer(struct loop *loop, const struct http_request *r, int status, uint64_t bytes);
#endif
