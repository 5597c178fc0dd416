// Answering, once, on the request's own loop. Each function here ends the caller's use of the
// request: make it the last statement.
#ifndef STOA_HTTP_REPLY_H
#define STOA_HTTP_REPLY_H
#include <jansson.h>
#include "edge/base/fail.h"
#include "edge/http/endpoint.h"
#include "edge/http/request.h"
#include "edge/loop/shared.h"

// A response header block made once and used for many replies. Immutable once made; any thread.
struct reply_headers;
struct reply_headers *reply_headers_create(void);
// `name` is lower case; `value` is borrowed and must outlive the block. Values of strangers are the caller's to have checked: a control byte makes
// this an assertion.
void reply_headers_add(struct reply_headers *h, const char *name, str value);
void reply_headers_destroy(struct reply_headers *h);

// One field for one reply, beside the prebuilt ones. `name` is a lower-case literal; the value is
// copied.
void reply_add(struct request *r, const char *name, str value);

// The same with a name that is no literal (a lower-case token, checked by the caller); copied too.
void reply_add_named(struct request *r, str name, str value);

// Body bytes that live outside of the request: `owner` is referenced until the reply is out (NULL:
// literals, or request memory). HEAD sends the headers of the GET with its length, and no body.
// content-length is set from the pieces' sum, also for HEAD. 304 and 204: no length, no body.
void reply_bytes(struct request *r, int status, const struct reply_headers *h, str body,
                 struct shared *owner);
// The same for bytes that stand in a file, too, and never change there: what goes out in clear text is taken from it by the kernel. The owner
// keeps the descriptor; -1: only in memory.
struct reply_file {
    int fd;
    uint64_t offset; // of the body's first byte
    // The body is a part of it: what goes out from memory is looked at before, and a reply whose
    // bytes the disk cannot give any more ends amid them. NULL: nothing of it can go missing.
    const struct mapped *mapped;
};
void reply_bytes_of(struct request *r, int status, const struct reply_headers *h, str body,
                    struct reply_file file, struct shared *owner);
// Several pieces, sent one after the other; the array is request memory or lives with the owner.
void reply_pieces(struct request *r, int status, const struct reply_headers *h, const str *pieces,
                  size_t count, struct shared *owner);
// A stream, pulled on LANE_API as the client takes it; takes the stream in every case. size -1: not
// known (chunked).
void reply_stream(struct request *r, int status, const char *type, int64_t size,
                  struct stream *stream);
void reply_json(struct request *r, int status, json_t *value); // takes value

// The contract's error form, or a small page for navigations. `message` is a sentence; `details` is
// taken and may be NULL. Sets no-store. retry_after: seconds, 0 = none.
void reply_error(struct request *r, int status, const char *code, const char *message,
                 json_t *details, unsigned retry_after);
// The status of the fault by the one table; logs fault->log_text with the request id when there is
// one (once).
void reply_fault(struct request *r, const struct fault *fault, json_t *details,
                 unsigned retry_after);
int reply_status(enum fail fail);
// 415 for a body that request_is_encoded (RFC 9110 §15.5.16).
void reply_encoded_body(struct request *r);
// 405 with Allow ("GET, HEAD, OPTIONS"); 204 with Allow for OPTIONS.
void reply_method_not_allowed(struct request *r, const char *allow);
void reply_options(struct request *r, const char *allow);
// `location` is a path or URL made by us; permanent: 308, otherwise 302 with no-store. Copies.
void reply_redirect(struct request *r, int status, str location, const char *cache_control);
#endif
