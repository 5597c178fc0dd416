// Outbound HTTP for URLs that tenants and strangers chose (security-rules.md 20): handlers' fetch,
// event deliveries. One libcurl multi handle on a thread of its own; the address that is really
// connected to is checked at every hop. http(s) only, no proxy, no netrc, no cookies, credentials
// not sent on to another origin, connections never shared between projects, `CDN-Loop` set.
#ifndef STOA_CLIENT_FETCH_H
#define STOA_CLIENT_FETCH_H
#include "edge/base/fail.h"
#include "edge/loop/loop.h"

struct fetch_header {
    str name, value; // checked by fetch_start: a token, visible ASCII
};
struct fetch_request {
    str project_id; // whose connections it may use
    str method;     // GET POST PUT DELETE PATCH HEAD
    str url;
    const struct fetch_header *headers;
    size_t header_count;
    str body;
    uint32_t timeout_ms; // in all
    size_t body_max;     // bytes kept of the answer's body; more is cut, `is_truncated`
    unsigned redirects;  // followed at most
};
struct fetch_answer {
    enum fail fail; // FAIL_NONE: an answer came, whatever its status
    const char *
        code; // "blocked_address" "unreachable" "timeout" "tls_failed" "bad_url" "too_many_redirects" …
    char message[200]; // a sentence for the handler's author; names no address of ours
    unsigned status;
    const struct fetch_header *headers; // names in lower case, repeated ones joined by ", "
    size_t header_count;
    str body;
    bool is_truncated;
    uint32_t ms;
};
struct fetch_options {
    const char *cdn_loop; // our name in CDN-Loop (RFC 8586)
    // Addresses that are never connected to beside the special-purpose registries': our own
    // listeners ("127.0.0.1:8080", "[::1]:8081"). Test builds may allow others by `allow`
    // (comma-separated address:port), a setting that is empty by default.
    const char *own_listeners, *allow;
};
void fetch_init(const struct fetch_options *o); // process start; starts the thread

struct fetch;
// Copies everything. on_done is called once, later, on the loop that started it; the answer is
// borrowed. Loop thread.
struct fetch *fetch_start(const struct fetch_request *r,
                          void (*on_done)(void *arg, const struct fetch_answer *a), void *arg);
// on_done will not be called. Loop thread that started it.
void fetch_cancel(struct fetch *f);
#endif
