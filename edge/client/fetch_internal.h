// What the .c files of fetch share: a fetch on its way (fetch.c), the transfers that carry it
// (fetch_transfer.c), and the checks of what is asked (fetch_request.c). Everything belongs to the
// client thread unless a comment says otherwise.
#ifndef STOA_CLIENT_FETCH_INTERNAL_H
#define STOA_CLIENT_FETCH_INTERNAL_H
#include <curl/curl.h>
#include <stdatomic.h>
#include "edge/client/fetch.h"

struct fetch_project;

// A checked request, copied: one block of memory, and what points into it.
struct fetch_order {
    char project_id[64];
    char *url; // own memory: redirects replace it
    char method[8];
    struct fetch_header *headers;
    size_t header_count;
    str body;
    uint32_t timeout_ms;
    size_t body_max;
    unsigned redirects;
    struct fetch_header _all[]; // and behind them the text
};
// NULL with the answer filled in when it cannot be sent. Any thread.
struct fetch_order *fetch_order_create(const struct fetch_request *r, struct fetch_answer *ret);
void fetch_order_destroy(struct fetch_order *o); // takes NULL
// The URL as it goes out, without fragment, to be freed; NULL with a sentence when it may not be
// asked for. `host` gets the host, fit for messages.
char *fetch_url_normalise(str url, char *host, size_t room, const char **ret_why);
// Scheme, host and port are the same.
bool fetch_url_same_origin(const char *a, const char *b);
// What of a request's headers goes along to another origin.
bool fetch_header_may_travel(str name);

// One fetch. The loop that started it owns on_done and arg; all else is the client thread's until
// it posts the message, and the loop's from then on.
struct fetch {
    struct loop_message message;
    struct loop *loop;
    void (*on_done)(void *arg, const struct fetch_answer *a);
    void *arg;
    _Atomic bool is_cancelled; // set by the loop
    struct fetch_order *order;
    struct fetch *next;
    uint64_t started_ms;
    struct fetch_answer answer;
    struct buf body, text; // of the answer
    size_t counted;        // bytes of both bodies counted against the limit for all
    struct fetch_header headers[2 * FETCH_HEADERS_MAX];
};
void fetch_fail(struct fetch_answer *a, enum fail fail, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void fetch_hand_over(struct fetch *f); // posts it; it is the loop's

// One easy handle at work. `fetch` is NULL when nobody waits for it any more: libcurl cannot give up
// a name lookup without waiting for its thread, so such a transfer stays, and counts, until then.
struct fetch_transfer {
    CURL *easy;
    struct fetch *fetch;
    struct fetch_order *order;
    struct fetch_project *project;
    struct curl_slist *headers;
    struct fetch_transfer *next;
    uint64_t deadline_ms, connect_by_ms; // the latter 0 once connected
    unsigned hops, codings;              // the latter of this hop's answer
    size_t held,
        order_held; // bytes of bodies counted against the limits: the answer's, the order's
    bool is_resolving, is_blocked, is_overfull, is_packed_twice, is_out_of_memory, has_body_begun;
    char host[128]; // of this hop
};
enum fetch_outcome { FETCH_FINISHED, FETCH_NEXT_HOP };

// Makes the easy handle ready for its first hop. `share` is the project's own pool of connections.
struct fetch_transfer *fetch_transfer_create(struct fetch *f, CURLSH *share);
// What came of a hop: a redirect to follow (the handle is ready for it), or the answer, filled in.
enum fetch_outcome fetch_transfer_hop_ended(struct fetch_transfer *t, CURLcode code);
void fetch_transfer_timed_out(struct fetch_transfer *t);
void fetch_transfer_destroy(struct fetch_transfer *t); // the easy handle is in no multi any more

// fetch_address.c: the verdict on one address, at each connection. `text` is for nobody but logs.
void fetch_address_init(const struct fetch_options *o);
bool fetch_address_is_allowed(const struct sockaddr *sa);

// fetch.c: room for n more bytes of a body; counted until fetch_memory_give.
bool fetch_memory_take(struct fetch_project *p, size_t n);
void fetch_memory_give(struct fetch_project *p, size_t n);

extern struct fetch_options fetch_settings; // defaults filled in; read-only once the thread runs
extern _Atomic uint64_t fetch_connections_opened;
#endif
