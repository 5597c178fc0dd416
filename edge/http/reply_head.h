// The head of an HTTP/1 answer, as bytes. Loop threads.
#ifndef STOA_HTTP_REPLY_HEAD_H
#define STOA_HTTP_REPLY_HEAD_H
#include "edge/http/internal.h"

// Whether this answer's head may be made here: HTTP/1, started, and with nothing of libh2o's between
// us and the connection (chunked framing).
bool reply_head_is_ours(const h2o_req_t *req);
// Status, date, connection, length, the fields of req->res.headers, those of `h` (may be NULL) and the request id, and behind them the first
// *ret_taken bytes of `body`. In the request's memory. libh2o believes from here on that the head is out, so this must go first into the next
// h2o_send.
h2o_iovec_t reply_head_make(struct http_request *own, const struct reply_headers *h, str body,
                            size_t *ret_taken);
#endif
