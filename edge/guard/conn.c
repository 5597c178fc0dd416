// The life of a guarded connection, from the accepted socket to the last descriptor.
//
// libh2o knows a connection by the callbacks it gives to its socket; each of them is wrapped here,
// so that while libh2o works, guard_current says on which connection. libh2o's connection object
// dies before its socket (TLS says goodbye first) and the socket may die before the descriptor
// (lingering close), hence `kind`: only GUARD_H1 and GUARD_H2 have a live connection object behind
// sock->data.
//
// Lingering close: closing a socket that has unread bytes sends a reset, which makes the peer's
// kernel throw away the answer it has not read yet. A duplicate of the descriptor outlives
// libh2o's, is shut down for writing, and drained until the peer closes.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "edge/base/clock.h"
#include "edge/guard/internal.h"

__thread struct guard_conn *guard_current;

struct guard_conn *guard_conn_of_request(const h2o_req_t *req)
{
    return guard_conn_of(req->conn->callbacks->get_socket(req->conn));
}

void *guard_socket_user(h2o_socket_t *sock)
{
    struct guard_conn *c = guard_conn_of(sock);
    return c != NULL ? c->user : NULL;
}

void *guard_user(h2o_req_t *req)
{
    struct guard_conn *c = guard_conn_of_request(req);
    return c != NULL ? c->user : NULL;
}

// ---- birth

void guard_on_accept(struct guard_loop *loop, h2o_socket_t *sock, void *user,
                     void (*on_close)(void *user))
{
    struct guard_conn *c = h2o_mem_alloc(sizeof(*c));
    *c = (struct guard_conn){
        .loop = loop,
        .sock = sock,
        .user = user,
        .on_close = on_close,
        .linger_fd = -1,
        .phase_since = clock_monotonic_ms(),
        .window_credit = sock->bytes_written,
    };
    c->in.since = c->out.since = c->body.since = c->phase_since;
    budget_init(&c->budget, guard_policy.bucket_size, c->phase_since);
    sock->on_close.cb = guard_socket_gone;
    sock->on_close.data = c;
    h2o_linklist_insert(&loop->_conns, &c->link);
    ++loop->_count;
    guard_count(&guard_totals.connections);
}

// ---- while libh2o works

static struct guard_conn *enter(struct guard_conn *c)
{
    struct guard_conn *outer = guard_current;
    guard_current = c;
    return outer;
}

static void leave(struct guard_conn *c, struct guard_conn *outer)
{
    if (guard_current != c) // it has gone, and c with it
        return;
    if (c->kind == GUARD_H1)
        guard_h1_account(c);
    guard_current = outer;
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct guard_conn *c = guard_conn_of(sock), *outer = enter(c);
    if (err == h2o_socket_error_out_of_memory && c->in_body && guard_h1_is_waiting(c)) {
        guard_h1_give_up(c, guard_last_refusal()); // the body's file cannot grow
    } else {
        c->peer_gone |= err != NULL;
        c->read(sock, err);
    }
    leave(c, outer);
}

static void on_write(h2o_socket_t *sock, const char *err)
{
    struct guard_conn *c = guard_conn_of(sock), *outer = enter(c);
    c->peer_gone |= err != NULL;
    c->write(sock, err);
    leave(c, outer);
}

void h2o_socket_read_start(h2o_socket_t *sock, h2o_socket_cb cb)
{
    struct guard_conn *c = guard_conn_of(sock);
    GUARD_SEES(h2o_socket_read_start);
    if (c != NULL) {
        c->read = cb;
        cb = on_read;
    }
    guard_real.h2o_socket_read_start(sock, cb);
}

void h2o_socket_write(h2o_socket_t *sock, h2o_iovec_t *bufs, size_t count, h2o_socket_cb cb)
{
    struct guard_conn *c = guard_conn_of(sock);
    h2o_iovec_t answer;
    GUARD_SEES(h2o_socket_write);
    if (c != NULL) {
        if (c->raw != NULL) {
            answer = guard_raw_answer(c, c->raw);
            bufs = &answer;
            count = 1;
            c->raw = NULL;
            c->linger = true;
        }
        c->write = cb;
        cb = on_write;
    }
    guard_real.h2o_socket_write(sock, bufs, count, cb);
}

// libh2o's HTTP/2, and those who send a file on a connection of HTTP/1: what they do when there is
// room may end with the next request's bytes being parsed.
void h2o_socket_notify_write(h2o_socket_t *sock, h2o_socket_cb cb)
{
    struct guard_conn *c = guard_conn_of(sock);
    GUARD_SEES(h2o_socket_notify_write);
    if (c != NULL) {
        c->write = cb;
        cb = on_write;
    }
    guard_real.h2o_socket_notify_write(sock, cb);
}

// Both may find bytes that came with the end of the TLS handshake, and then read them at once,
// outside of any read callback.
void h2o_http1_accept(h2o_accept_ctx_t *ctx, h2o_socket_t *sock, struct timeval connected_at)
{
    struct guard_conn *c = guard_conn_of(sock), *outer;
    GUARD_SEES(h2o_http1_accept);
    if (c == NULL) {
        guard_real.h2o_http1_accept(ctx, sock, connected_at);
        return;
    }
    outer = enter(c);
    c->kind = GUARD_H1;
    guard_real.h2o_http1_accept(ctx, sock, connected_at);
    leave(c, outer);
}

void h2o_http2_accept(h2o_accept_ctx_t *ctx, h2o_socket_t *sock, struct timeval connected_at)
{
    struct guard_conn *c = guard_conn_of(sock), *outer;
    GUARD_SEES(h2o_http2_accept);
    if (c == NULL) {
        guard_real.h2o_http2_accept(ctx, sock, connected_at);
        return;
    }
    outer = enter(c);
    // of an HTTP/1 connection that turned out to be one of prior knowledge
    guard_release(c, &c->held, c->buffered);
    c->stored = 0;
    c->kind = GUARD_H2;
    c->raw = NULL;
    c->req = NULL;
    guard_real.h2o_http2_accept(ctx, sock, connected_at);
    leave(c, outer);
}

// ---- HTTP/1 from outside

bool guard_h1_is_waiting(const struct guard_conn *c)
{
    return c->kind == GUARD_H1 && h2o_socket_is_reading(c->sock) && c->sock->_cb.write == NULL;
}

// What libh2o does when a read fails; its own connection object then goes in good order.
void guard_h1_close(struct guard_conn *c)
{
    struct guard_conn *outer = enter(c);
    c->read(c->sock, h2o_socket_error_closed);
    leave(c, outer);
}

static void on_refusal_sent(h2o_socket_t *sock, const char *err)
{
    struct guard_conn *c = guard_conn_of(sock);
    c->peer_gone |= err != NULL;
    guard_h1_close(c);
}

void guard_h1_refuse(struct guard_conn *c, const struct guard_refusal *why)
{
    h2o_iovec_t answer = guard_raw_answer(c, why);
    c->linger = true;
    h2o_socket_read_stop(c->sock);
    guard_real.h2o_socket_write(c->sock, &answer, 1, on_refusal_sent);
}

void guard_kill(struct guard_conn *c)
{
    struct linger reset = {.l_onoff = 1}; // what the peer does not read must not stay in the kernel
    if (c->kind == GUARD_LINGERING) {
        guard_linger_end(c);
        return;
    }
    int fd = h2o_socket_get_fd(c->sock);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    shutdown(fd, SHUT_RDWR);
}

// ---- death

static void conn_free(struct guard_conn *c)
{
    void *user = c->user;
    void (*on_close)(void *) = c->on_close;
    h2o_linklist_unlink(&c->link);
    --c->loop->_count;
    atomic_fetch_sub_explicit(&guard_totals.connections, 1, memory_order_relaxed);
    free(c->answer);
    free(c);
    if (on_close != NULL)
        on_close(user);
}

void guard_linger_end(struct guard_conn *c)
{
    guard_real.h2o_socket_close(c->sock);
    conn_free(c);
}

static void on_linger_read(h2o_socket_t *sock, const char *err)
{
    static __thread char sink[64 * 1024];
    struct guard_conn *c = sock->data;
    ssize_t n = recv(h2o_socket_get_fd(sock), sink, sizeof(sink), MSG_DONTWAIT);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0 && (c->lingered += (size_t)n) < guard_policy.linger_bytes)
        return;
    guard_linger_end(c);
}

static void linger_start(struct guard_conn *c)
{
    shutdown(c->linger_fd, SHUT_WR);
    c->kind = GUARD_LINGERING;
    c->linger_until = clock_monotonic_ms() + guard_policy.linger_timeout;
    c->sock =
        h2o_evloop_socket_create(c->loop->_ctx->loop, c->linger_fd, H2O_SOCKET_FLAG_DONT_READ);
    c->sock->data = c;
    guard_real.h2o_socket_read_start(c->sock, on_linger_read);
}

void h2o_socket_close(h2o_socket_t *sock)
{
    struct guard_conn *c = guard_conn_of(sock);
    GUARD_SEES(h2o_socket_close);
    if (c != NULL && c->kind != GUARD_CLOSING) {
        if ((c->linger || c->kind == GUARD_H2) && !c->peer_gone)
            c->linger_fd = fcntl(h2o_socket_get_fd(sock), F_DUPFD_CLOEXEC, 0);
        c->kind = GUARD_CLOSING;
    }
    guard_real.h2o_socket_close(sock);
}

void guard_socket_gone(void *conn)
{
    struct guard_conn *c = conn;
    if (guard_current == c)
        guard_current = NULL;
    c->sock = NULL;
    c->req = NULL;
    guard_release(c, &c->held, c->held.bytes);
    assert(c->buffered == 0 && c->streams == NULL); // libh2o has closed each stream
    guard_give_back_places(c, NULL);
    if (c->linger_fd != -1)
        linger_start(c);
    else
        conn_free(c);
}
