// Large bodies in clear text over HTTP/1: libh2o has written the head, the body goes from the body's file to the socket without coming through this process. For that long the
// connection is ours: libh2o neither reads from it nor has a timer on it, and learns of the end by
// an empty last send. The guard sees a connection that writes, and ends it when the peer is slow.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include "edge/http/internal.h"

enum { A_TURN = 1024 * 1024 }; // then the others' turn has come

static h2o_socket_t *socket_of(const h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn);
}

// Corked, the head waits for the body's first bytes and leaves with them: one wake-up of the peer
// less.
static void set_cork(const h2o_req_t *req, int on)
{
    setsockopt(h2o_socket_get_fd(socket_of(req)), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

void reply_file_begin(struct http_request *own)
{
    set_cork(h2o_of(&own->super), 1);
}

static void on_writable(h2o_socket_t *sock, const char *err)
{
    struct http_request *own = sock->data;
    sock->data = own->body.socket_data;
    reply_file_rest(own);
}

static void wait_for_room(struct http_request *own, h2o_socket_t *sock)
{
    own->body.socket_data = sock->data;
    sock->data = own;
    h2o_socket_notify_write(sock, on_writable);
}

void reply_file_rest(struct http_request *own)
{
    struct reply_body *b = &own->body;
    h2o_req_t *req = h2o_of(&own->super);
    h2o_socket_t *sock = socket_of(req);
    size_t left = b->pieces[0].n - b->offset;
    off_t at = (off_t)(b->file.offset + b->offset);
    ssize_t n;
    do
        n = sendfile(h2o_socket_get_fd(sock), b->file.fd, &at, left < A_TURN ? left : A_TURN);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno != EAGAIN)) { // the peer has gone
        h2o_send(req, NULL, 0, H2O_SEND_STATE_ERROR);
        return;
    }
    if (n > 0) {
        b->offset += (size_t)n;
        req->bytes_sent += (size_t)n;
        sock->bytes_written += (size_t)n;
    }
    if (b->offset != b->pieces[0].n) {
        wait_for_room(own, sock);
        return;
    }
    set_cork(req, 0);
    h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
}
