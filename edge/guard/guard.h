// What stands between strangers and Debian's libh2o-evloop 2.2.5. The library is linked unchanged;
// its holes (remote abort, HPACK bombs, reset floods, stalls, smuggling, unbounded bodies) are
// closed by functions of ours that the dynamic linker prefers to the library's own of the same
// name, so this is an OBJECT library for executables only: no -static, no -Bsymbolic, no LTO, and
// stoa_check_guard_symbols(target) in the CMake list of each executable that links it.
//
// Order: guard_start, guard_selftest, guard_configure, loops. From then on everything of one
// connection happens on its own loop's thread; guard_counters may be called on any.
//
// What a handler may rely on, over both protocols:
// - req->input.path begins with '/', or is "*" for OPTIONS; it has no spaces and no control bytes,
// and is at most target_length long.
//   An absolute-form target has been cut: req->input.authority is then the target's (RFC 9112
//   §3.2.2), and Host is ignored.
// - req->input.authority is a host with an optional port, without user information, and is only
// missing from HTTP/1.0 requests
//   (libh2o then puts the first host's name there). Over HTTP/2 a Host field that disagrees is
//   refused.
// - req->input.scheme is the connection's own: https if and only if it is TLS, whatever the peer
// wrote.
// - Trailers are dropped. `Connection` is "close" or "keep-alive"; `Upgrade` has been removed.
// - req->entity is no longer than body_limit said.
#ifndef STOA_GUARD_GUARD_H
#define STOA_GUARD_GUARD_H
#include <h2o.h>
#include "edge/base/fail.h"
#include "edge/base/str.h"
#include "edge/limits/shares.h"

// Why the guard (or libh2o) answers a request itself.
struct guard_refusal {
    int status;
    const char *reason;   // of the status line
    const char *code;     // contract §1
    const char *message;  // a sentence a person can act on
    unsigned retry_after; // seconds, 0 = no such field
    bool clears_cookies;  // sends Clear-Site-Data: "cookies"
};

// Given by main before the first loop starts, and again at a reload, loop by loop. Sizes are bytes,
// times milliseconds.
struct guard_policy {
    // The most bytes of a body this request may have. Called when its head is known and again while
    // a body of unknown length comes in, so: a pure function, quick, on a loop thread. `path` is as
    // sent, without the query; of `req` only the connection is known yet.
    size_t (*body_limit)(void *ctx, h2o_req_t *req, str method, str authority, str path);
    // Who sends this request, whose head has been read: what is held of bodies is shared among
    // senders (shares.h). On a loop thread. NULL: it is not.
    struct share_holder (*body_sender)(void *ctx, h2o_req_t *req);
    // Whether this request's connection is a proxy's, on which many send. Once a connection, on a loop thread. NULL: none is.
    bool (*is_proxy)(void *ctx, h2o_req_t *req);
    // Writes the body of an error and returns its content type (a literal). `req` is NULL when the
    // head could not be parsed, else the callback may add response headers to it. NULL: the
    // contract's JSON form without a requestId.
    const char *(*error_body)(void *ctx, h2o_req_t *req, const struct guard_refusal *why,
                              struct buf *to);
    void *ctx;

    size_t header_bytes;  // of a whole head; over HTTP/2 of its compressed block and of its field
                          // list (RFC 9113 §6.5.2)
    size_t header_count;  // at most 100, libh2o's own limit
    size_t target_length; // of the request target

    uint64_t handshake_timeout; // TLS
    uint64_t header_timeout; // from a head's first byte to its last; also for a new connection that
                             // says nothing
    uint64_t body_timeout;   // while a body comes in, each such span must bring minimum_rate
    uint64_t write_timeout;  // while an answer is blocked, the peer must take minimum_rate in each
                             // such span
    uint64_t idle_timeout;   // between requests
    uint64_t minimum_rate;   // bytes per second

    // Request bytes held, bodies and large heads of HTTP/2: for one connection, wherever they are (not less than the largest answer of
    // body_limit; a sender who is alone may have as much in any case), and for all in memory
    // (libh2o's buffers double, so real memory is up to twice that). Of what a connection holds in
    // memory, its sender's share counts all but some kilobytes.
    size_t body_memory_per_connection, body_memory_total;
    // Bodies from body_file_from bytes on stand in unlinked files of body_directory, which is kept,
    // not copied, and the same at every reload; NULL: all in memory. These files together have at
    // most body_disk_total bytes, those of a sender a share of that, and leave body_disk_spare bytes
    // of the disk to others.
    const char *body_directory;
    size_t body_file_from;
    uint64_t body_disk_total, body_disk_spare;

    // HTTP/2 requests that are open at once, of all connections (at least a few kilobytes each, however small their heads): nobody has more than are
    // then left for others (edge/limits/places.h), but the first four of each connection, which is no proxy's, are not counted. One for which there
    // is no place is reset, for another try (REFUSED_STREAM).
    uint64_t streams_total;

    // One token bucket a connection for HTTP/2 frames that cost the peer nothing: resets, pings,
    // settings, empty frames …
    unsigned bucket_size, bucket_per_second;

    // After an answer that cuts a request short the connection is read on and thrown away, so that
    // the client sees the answer and not a reset (RFC 9112 §9.6).
    uint64_t linger_timeout;
    size_t linger_bytes;
};

// Everything but the callbacks, which are then NULL: a body_limit of NULL allows 1 MiB.
void guard_policy_defaults(struct guard_policy *p);

// Copies the policy, empties its directory of bodies. Once, before any loop runs.
void guard_start(const struct guard_policy *policy);

// Sees each hook fire on connections of its own, and that the library is the one this was written
// against. FAIL_INTERNAL with a sentence for the operator otherwise: the server must then not
// serve. Takes some milliseconds and changes nothing.
enum fail guard_selftest(struct fault *fault) MUST_CHECK;

// Sets the options of libh2o that the guard's promises rest on, after h2o_config_init and the
// registration of hosts: time-outs, body size (the policy's instead), no push, no temporary files of
// the library's own. HTTP/2 in cleartext starts by prior knowledge.
void guard_configure(h2o_globalconf_t *config);

// Sets on a listening socket what accepted ones inherit: a receive buffer that bounds what one read
// may bring, a time-out for peers that no longer acknowledge.
void guard_listener_options(int fd);

// One per loop, embedded by its owner; `_` members are private.
struct guard_loop {
    h2o_context_t *_ctx;
    h2o_linklist_t _conns;
    size_t _count;
    h2o_timeout_t _sweep, _drain;
    h2o_timeout_entry_t _sweep_entry;
    uint64_t _closing_since; // 0 = serving
};
void guard_loop_init(struct guard_loop *loop, h2o_context_t *ctx);
// Another policy from now on, for the connections that are open too. On the loop's thread.
void guard_loop_reload(struct guard_loop *loop, const struct guard_policy *policy);

// For each accepted socket, before h2o_accept. `user` is the caller's; on_close (may be NULL) is
// called once when the connection's descriptor has gone, which is later than the request's memory.
void guard_on_accept(struct guard_loop *loop, h2o_socket_t *sock, void *user,
                     void (*on_close)(void *user));
// The `user` of the connection a request came on, or of a socket; NULL when it is not guarded.
void *guard_user(h2o_req_t *req);
void *guard_socket_user(h2o_socket_t *sock);

// Keeps the body of a request in its file when the request goes, without a copy; NULL when it is
// not large (or there is no room for a file of its own, if it came too fast to be in one): copy it.
// On the request's loop. *ret_bytes is where it stands from then on, as long as req->entity says,
// until it is released. It counts against body_disk_total until then.
void *guard_keep_body(h2o_req_t *req, const char **ret_bytes);
void guard_release_body(void *kept); // any thread

// Connections that still have a descriptor.
size_t guard_loop_connections(const struct guard_loop *loop);

// Starts the graceful end: answers carry `Connection: close`, HTTP/2 peers are told to go
// elsewhere, idle connections are closed now and others as they become idle. HTTP/2 uploads in
// progress have `drain` milliseconds before libh2o drops their bytes. The caller closes its
// listeners and turns the loop until guard_loop_connections is 0 or its patience ends. Instead of
// h2o_context_request_shutdown.
void guard_loop_shutdown(struct guard_loop *loop, uint64_t drain);
// Closes the HTTP/1 connections that wait for a next request.
void guard_loop_close_idle(struct guard_loop *loop);
// Ends every connection, whatever it is doing.
void guard_loop_kill_all(struct guard_loop *loop);

// Since the start, over all loops; `connections`, `buffered` and `stored` are of now.
struct guard_counters {
    uint64_t connections;
    uint64_t buffered;       // request bytes held in memory
    uint64_t stored;         // of the disk, for request bodies
    uint64_t bad_heads;      // 400 by the guard
    uint64_t large_heads;    // 431 and 414
    uint64_t large_bodies;   // 413
    uint64_t busy;           // 503 for want of room for a body; resets for want of a place
    uint64_t disk_full;      // 507
    uint64_t timeouts;       // 408, and slow or silent connections ended
    uint64_t calmed;         // ENHANCE_YOUR_CALM
    uint64_t malformed;      // HTTP/2 requests with a malformed head
    uint64_t averted_aborts; // frames that would have aborted the process
    uint64_t averted_loops;  // frames that would have hung a loop
    uint64_t unknown_frames;
    uint64_t idle_closed;
};
struct guard_counters guard_counters(void);
#endif
