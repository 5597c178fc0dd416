// Outbound HTTP for URLs that tenants and strangers chose (security-rules.md 20): handlers' fetch,
// event deliveries. One libcurl multi handle on a thread of its own; the address that is really
// connected to is checked at every hop. http(s) only, no proxy, no netrc, no cookies, credentials
// not sent on to another origin, connections never shared between projects, `CDN-Loop` set.
#ifndef STOA_CLIENT_FETCH_H
#define STOA_CLIENT_FETCH_H
#include "edge/base/fail.h"
#include "edge/loop/loop.h"

enum {
    FETCH_HEADERS_MAX = 64,            // of a request; of an answer twice as many
    FETCH_HEADER_BYTES_MAX = 16 << 10, // names and values together; of an answer four times as many
    FETCH_URL_MAX = 8 << 10,
};

struct fetch_header {
    str name, value; // checked by fetch_start: a token, visible ASCII
};
struct fetch_request {
    str project_id; // whose connections it may use; at most 63 bytes
    str method;     // GET POST PUT DELETE PATCH HEAD; GET and HEAD have no body
    str url;        // http or https, without user name or password
    // What is the connection's own business is left out without a word, as browsers do: Host,
    // Connection, Content-Length, Transfer-Encoding, Accept-Encoding, Expect, CDN-Loop, Proxy-*, …
    const struct fetch_header *headers;
    size_t header_count;
    str body;            // p == NULL: none. A body without Content-Type is text/plain
    uint32_t timeout_ms; // in all, from fetch_start
    size_t body_max; // bytes kept of the answer's body, decompressed; more is cut, `is_truncated`
    // Followed at most. 0: none is, and the answer is the redirect itself. To another origin goes no
    // header of the request's but Accept, Accept-Language, Content-Type, Content-Language, Range
    // and User-Agent.
    unsigned redirects;
};
struct fetch_answer {
    enum fail fail; // FAIL_NONE: an answer came, whatever its status
    // FAIL_BAD_INPUT "bad_url" "bad_method" "bad_header" "bad_body"; FAIL_DENIED "blocked_address";
    // FAIL_UPSTREAM "unreachable" "tls_failed" "too_many_redirects" "bad_answer"; FAIL_TIMEOUT
    // "timeout"; FAIL_BUSY "busy". "" when an answer came.
    const char *code;
    char message[200]; // a sentence for the handler's author; names no address of ours
    unsigned status;
    const struct fetch_header *headers; // names in lower case, repeated ones joined by ", "
    size_t header_count;
    str body;
    bool is_truncated;
    uint32_t ms;
};
// Numbers: 0 is the default in brackets. cdn_loop and ca_file are kept, the lists are read at once.
struct fetch_options {
    const char *cdn_loop; // our name in CDN-Loop (RFC 8586)
    // Addresses that are never connected to beside the special-purpose registries': our own
    // listeners ("127.0.0.1:8080", "[::1]:8081"), and whatever this machine's interfaces have. Test
    // builds may allow others by `allow` (comma-separated address:port), a setting that is empty by
    // default: each opens a hole. Both may be NULL.
    const char *own_listeners, *allow;
    const char *ca_file; // PEM, instead of the system's authorities; NULL = the system's
    unsigned concurrent, concurrent_per_project; // transfers at once (128, 16)
    unsigned queued, queued_per_project;         // waiting for their turn (4,096, 256)
    unsigned connect_timeout_ms;                 // each hop: name, connection and TLS (10,000)
    size_t memory, memory_per_project;           // bytes of answers' bodies (256 MiB, 64 MiB)
};
void fetch_init(const struct fetch_options *o); // process start; starts the thread
// Ends the thread; what is under way is dropped without a word. For the end of the process (loops
// have stopped) and for tests.
void fetch_stop(void);

struct fetch;
// Copies everything. on_done is called once, later, on the loop that started it; the answer is
// borrowed. What cannot be sent at all, or finds the queue full, is answered so too. Projects take
// turns. Loop thread.
struct fetch *fetch_start(const struct fetch_request *r,
                          void (*on_done)(void *arg, const struct fetch_answer *a), void *arg);
// on_done will not be called. Loop thread that started it, before on_done.
void fetch_cancel(struct fetch *f);

struct fetch_counters {
    uint64_t started, answered, blocked, failed, busy;
    uint64_t running, waiting, connections; // now; connections ever opened
};
struct fetch_counters fetch_counters(void); // any thread
#endif
