// One message, one datagram: SOCK_SEQPACKET keeps their borders, so a peer can send too much or too
// little, but never make us read one message as two.
#include "edge/cage/control.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

union control_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(4 * sizeof(int))]; // room for more than is allowed, so that more is seen
};

enum fail control_send(int socket, const struct control_message *m, int fd)
{
    union control_room room = {0};
    struct iovec iov = {.iov_base = (void *)m, .iov_len = sizeof *m};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        msg.msg_control = room.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof fd);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t n;
    do
        n = sendmsg(socket, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof *m)
        return FAIL_NONE;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? FAIL_BUSY : FAIL_INTERNAL;
}

// Closes every descriptor that came but the first; returns how many there were.
static size_t take_descriptors(struct msghdr *msg, int *ret_fd)
{
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i != here; ++i, ++count) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (count == 0)
                *ret_fd = fd;
            else
                close(fd);
        }
    }
    return count;
}

enum fail control_receive(int socket, struct control_message *ret, int *ret_fd)
{
    union control_room room;
    struct control_message m = {0};
    struct iovec iov = {.iov_base = &m, .iov_len = sizeof m};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = room.bytes,
                         .msg_controllen = sizeof room.bytes};
    ssize_t n;
    do
        n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? FAIL_BUSY : FAIL_INTERNAL;
    int fd = -1;
    size_t descriptors = take_descriptors(&msg, &fd);
    if (n != (ssize_t)sizeof m || descriptors > 1 || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
        m.type < CONTROL_READY || m.type > CONTROL_STOP || m.kind >= CAGE_KINDS || m.zero != 0) {
        if (fd >= 0)
            close(fd);
        return FAIL_INTERNAL;
    }
    *ret = m;
    *ret_fd = fd;
    return FAIL_NONE;
}
