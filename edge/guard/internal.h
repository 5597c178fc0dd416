// What the files of the guard share. A guarded connection is found from its socket: the guard owns
// sock->on_close.
#ifndef STOA_GUARD_INTERNAL_H
#define STOA_GUARD_INTERNAL_H
#include <assert.h>
#include <stdatomic.h>
#include "edge/guard/guard.h"
#include "edge/guard/budget.h"
#include "edge/guard/chunks.h"
#include "edge/guard/head.h"
#include <h2o/http1.h>
#include <h2o/http2.h>
#include <h2o/http2_internal.h>

// Of picohttpparser, which libh2o contains and exports but for which it ships no header.
struct phr_chunked_decoder;
int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len,
                      const char **path, size_t *path_len, int *minor_version,
                      struct phr_header *headers, size_t *num_headers, size_t last_len);
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *bufsz);

// ---- hooks.c: the library's own functions behind ours

#define GUARD_HOOK(name) typeof(name) *name;
struct guard_real {
#include "edge/guard/hooks.def"
};
#undef GUARD_HOOK
extern struct guard_real guard_real;

#define GUARD_HOOK(name) GUARD_HOOK_##name,
enum guard_hook {
#include "edge/guard/hooks.def"
    GUARD_HOOKS
};
#undef GUARD_HOOK
extern __thread uint32_t guard_seen; // which hooks have fired on this thread, for the self-test
#define GUARD_SEES(name) (guard_seen |= UINT32_C(1) << GUARD_HOOK_##name)

// ---- policy.c

extern __thread struct guard_policy
    guard_policy; // of this loop: guard_loop_init, guard_loop_reload
extern struct guard_totals {
    _Atomic uint64_t connections, buffered, stored, files, bad_heads, large_heads, large_bodies,
        busy, disk_full, timeouts, calmed, malformed, averted_aborts, averted_loops, unknown_frames,
        idle_closed;
} guard_totals;
static inline void guard_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}
void guard_policy_begin(void); // this thread works with guard_start's policy
size_t guard_body_limit(h2o_req_t *req, str method, str authority, str target);

// ---- conn.c: the life of a connection

enum guard_kind {
    GUARD_NEW,       // TLS handshake
    GUARD_H1,        // sock->data is libh2o's HTTP/1 connection
    GUARD_H2,        // sock->data is h2o_http2_conn_t
    GUARD_CLOSING,   // libh2o's connection has gone, its socket says goodbye
    GUARD_LINGERING, // libh2o's socket has gone, ours throws away what still comes
};

struct guard_meter { // progress of one direction, see sweep.c
    uint64_t mark, since;
};

// Request bytes in memory that one sender has on a connection.
struct guard_held {
    size_t bytes, shared;       // `shared`: in steps, what counts against `sender`
    struct share_holder sender; // while `shared` is not 0
};

// What is kept of an HTTP/2 request beside libh2o's own stream: of one with a body or a large head, and of each that a proxy sends. In its pool.
struct guard_stream {
    struct guard_stream *next;
    uint32_t id;
    bool has_place;             // of its own, and not of its connection
    struct share_holder placed; // while has_place
    struct guard_held held;
    uint64_t body_bytes;     // that have come
    uint64_t conn_bytes;     // of the connection's, at body.since
    struct guard_meter body; // see sweep.c
};

enum { GUARD_REFUSED_STREAMS = 8 };
enum { GUARD_STREAMS_MAX = 100 }; // libh2o's, constant

struct guard_conn {
    h2o_linklist_t link;
    struct guard_loop *loop;
    h2o_socket_t *sock; // libh2o's, then NULL, then the lingering one
    enum guard_kind kind;
    void *user;
    void (*on_close)(void *user);
    h2o_socket_cb read, write; // libh2o's callbacks, behind ours
    bool peer_gone;            // a read or a write has failed
    bool linger;               // the coming close is ours and cuts the peer short
    int linger_fd;
    uint64_t linger_until;
    size_t lingered;
    size_t buffered, stored; // request bytes accounted to this connection: in memory, in files
    struct guard_held held;  // `buffered` of HTTP/1
    uint64_t body_bytes;     // that have come over HTTP/2
    // refusals
    const struct guard_refusal *raw; // libh2o's next write is its constant 400: send this instead
    char *answer;                    // the bytes of that
    const struct guard_refusal *why; // libh2o's next error for why_req is this one
    const h2o_req_t *why_req;
    // HTTP/1
    h2o_req_t *req;    // once a head has come; libh2o has one for the connection's whole life
    bool in_body;      // the head is complete, the body not
    uint64_t requests; // over both protocols
    size_t body_limit;
    size_t body_most; // what head, body and one read come to; SIZE_MAX: not known
    struct chunks chunks;
    // HTTP/2
    struct budget budget;
    bool settled; // the first frame was SETTINGS
    unsigned continuations;
    uint32_t table_update; // 1 + the encoder table size to announce in the next block, or 0
    size_t window_credit;  // bytes_written that WINDOW_UPDATE frames have been paid with
    struct {
        uint32_t id; // 0 = free
        bool ended;  // the peer has ended or reset its half, or we the stream
    } refused[GUARD_REFUSED_STREAMS];
    unsigned next_refused;
    struct guard_stream *streams;
    bool is_asked, is_proxy;    // the second is known; it has many senders
    uint32_t turned_away;       // the stream whose reset says that it may be tried again
    unsigned places;            // for streams, beyond the first few
    struct share_holder placed; // while `places` is not 0
    // sweep
    struct guard_meter in, out, body;
    unsigned phase;
    uint64_t phase_since, phase_request;
};

// The connection whose callback runs; NULL outside, and after it has gone.
extern __thread struct guard_conn *guard_current;

void guard_socket_gone(void *conn); // libh2o's on_close: it marks a guarded socket
static inline struct guard_conn *guard_conn_of(const h2o_socket_t *sock)
{
    return sock != NULL && sock->on_close.cb == guard_socket_gone ? sock->on_close.data : NULL;
}
struct guard_conn *guard_conn_of_request(const h2o_req_t *req);
// Ends the connection at once, safe in every state: libh2o sees the hang-up on its next turn.
void guard_kill(struct guard_conn *c);
// True when libh2o only waits to read HTTP/1 from it, so that it may be closed or answered from
// outside.
bool guard_h1_is_waiting(const struct guard_conn *c);
void guard_h1_close(struct guard_conn *c);
void guard_h1_refuse(struct guard_conn *c, const struct guard_refusal *why);
void guard_linger_end(struct guard_conn *c);

// ---- answer.c

extern const struct guard_refusal guard_bad_request, guard_bad_body, guard_target_too_long,
    guard_headers_too_large, guard_body_too_large, guard_busy, guard_busy_for_you, guard_disk_full,
    guard_request_timeout;
// A whole HTTP/1 response that closes; c->answer holds the bytes.
h2o_iovec_t guard_raw_answer(struct guard_conn *c, const struct guard_refusal *why);
// Answers a request whose head is known, over either protocol.
void guard_answer(h2o_req_t *req, const struct guard_refusal *why);

// ---- body.c: request bytes held

struct share_holder guard_sender_of(h2o_req_t *req);
const struct guard_refusal *guard_refusal_of(enum share_answer answer); // NULL: it fits
// `h` is the connection's over HTTP/1, the stream's over HTTP/2.
void guard_hold(struct guard_conn *c, struct guard_held *h, size_t n);
void guard_release(struct guard_conn *c, struct guard_held *h, size_t n);
// What counts of the head of an HTTP/2 request: 0 when it is as small as nearly all are.
size_t guard_counted_head(const h2o_req_t *req);
// The same for a body, wherever it stands.
void guard_hold_body(struct guard_conn *c, struct guard_held *h, const h2o_buffer_t *body);
void guard_release_body_of(struct guard_conn *c, struct guard_held *h, const h2o_buffer_t *body);
// Within what one connection may hold, unless it is a proxy's; NULL when it is within what all may hold in memory, too, and within its sender's
// share. The sender is that of `req`, for as long as `h` has anything.
bool guard_has_share(const struct guard_conn *c, size_t n);
const struct guard_refusal *guard_judge_room(struct guard_conn *c, struct guard_held *h,
                                             h2o_req_t *req, size_t n);
// Of a body whose length has been announced, before any of it is there; UINT64_MAX: not announced.
const struct guard_refusal *guard_judge_length(const struct guard_conn *c, uint64_t n);
// After each turn of an HTTP/1 connection: moves a large body to a file, accounts what the input
// buffer holds.
void guard_h1_account(struct guard_conn *c);
void guard_count_refusal(const struct guard_refusal *why);
void guard_h1_give_up(struct guard_conn *c, const struct guard_refusal *why);

// ---- file.c: large bodies in files

bool guard_is_file(const h2o_buffer_t *b);
void guard_empty_directory(const char *path);
// Whether a body of that many bytes belongs into a file.
bool guard_wants_file(size_t bytes);
// Whether a file of that many bytes could be made now.
const struct guard_refusal *guard_judge_file(size_t bytes);
// Sees to it that a buffer that is, or with `more` bytes becomes, large is a file with room for
// them. `most` is what it will come to, SIZE_MAX when that is not known. The file counts as that of
// whoever sends `req`. The buffer is untouched when a reason is returned.
const struct guard_refusal *guard_reserve(h2o_req_t *req, h2o_buffer_t **buf, size_t more,
                                          size_t most);
// Files that are kept for the next bodies go when they were not used for a while; called a few times
// a second. And at once those that were done with before then.
void guard_age_spares(uint64_t now);
void guard_drop_spares(uint64_t done_before);
// Why the library was last told on this thread that there is no memory.
const struct guard_refusal *guard_last_refusal(void);

// ---- sweep.c

void guard_sweep_retime(struct guard_loop *loop);

// ---- hpack.c

size_t guard_head_size(const h2o_req_t *req); // RFC 9113 §6.5.2, of an HTTP/2 request

// ---- streams.c: HTTP/2 requests, by who sends them

// Whether there is a place for this stream, whose head has been read and is well-formed. False: it is to be turned away.
bool guard_stream_enter(struct guard_conn *c, h2o_http2_stream_t *stream);
// What is kept of it; NULL when nothing is.
struct guard_stream *guard_stream_of(struct guard_conn *c, const h2o_http2_stream_t *stream);
// It goes: what it holds is given back.
void guard_stream_leave(struct guard_conn *c, h2o_http2_stream_t *stream);
// Gives back the places that the connection does not use; without libh2o's connection, all.
void guard_give_back_places(struct guard_conn *c, const h2o_http2_conn_t *conn);

// ---- frames.c

// Bytes that still come for this stream are thrown away.
void guard_refuse_stream(struct guard_conn *c, uint32_t id);
// The same for one that has been reset.
void guard_forget_stream(struct guard_conn *c, uint32_t id);
// Answers at once, while the body still comes.
void guard_refuse_body(struct guard_conn *c, h2o_http2_stream_t *stream,
                       const struct guard_refusal *why);

#endif
