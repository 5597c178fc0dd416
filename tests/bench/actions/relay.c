// The least that an action in a process of its own costs: epoll, read, the body to a child over a
// socket, its word back, one write. A yardstick, not a server: no JavaScript, no limits, no record of
// a run, and it believes every request. A connection has one request at a time.
//
//     relay PORT
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 4096, BODY_MAX = 512, EVENTS = 64, DESCRIPTORS = 4096 };

struct call {
    int connection;
    uint32_t n;
    char body[BODY_MAX];
};
struct connection {
    size_t have;
    char bytes[HEAD_MAX];
};

static struct connection *connections[DESCRIPTORS];

// What a trivial handler answers.
static void answer_for_ever(int fd)
{
    struct call c;
    while (recv(fd, &c, sizeof c, 0) > 0) {
        static const char data[] = "{\"ok\":true,\"name\":\"Ada\"}";
        memcpy(c.body, data, c.n = sizeof data - 1);
        if (send(fd, &c, offsetof(struct call, body) + c.n, 0) < 0)
            err(1, "send");
    }
    _exit(0);
}

static int start_child(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        err(1, "socketpair");
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[1]);
        answer_for_ever(pair[0]);
    }
    close(pair[0]);
    return pair[1];
}

static void watch(int poller, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e) != 0)
        err(1, "epoll_ctl");
}

static void take(int poller, int listening)
{
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC), one = 1;
    if (fd < 0 || fd >= DESCRIPTORS)
        errx(1, "too many connections");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connections[fd] == NULL)
        connections[fd] = malloc(sizeof *connections[fd]);
    if (connections[fd] == NULL)
        err(1, "malloc");
    connections[fd]->have = 0;
    watch(poller, fd);
}

static void hear(int child, int fd)
{
    struct connection *c = connections[fd];
    ssize_t got = read(fd, c->bytes + c->have, sizeof c->bytes - c->have);
    if (got <= 0) {
        close(fd);
        return;
    }
    c->have += (size_t)got;
    char *end = memmem(c->bytes, c->have, "\r\n\r\n", 4),
         *length = memmem(c->bytes, c->have, "Content-Length: ", 16);
    if (end == NULL)
        return;
    size_t n = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    if (n > BODY_MAX)
        errx(1, "too much");
    if ((size_t)(c->bytes + c->have - (end + 4)) < n)
        return;
    struct call call = {.connection = fd, .n = (uint32_t)n};
    memcpy(call.body, end + 4, n);
    c->have = 0;
    if (send(child, &call, offsetof(struct call, body) + n, 0) < 0)
        err(1, "send");
}

static void tell(int child)
{
    struct call call;
    char answer[1024];
    while (recv(child, &call, sizeof call, MSG_DONTWAIT) > 0) {
        int n = snprintf(answer, sizeof answer,
                         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                         "Content-Length: %d\r\n\r\n{\"success\":true,\"data\":%.*s}",
                         (int)call.n + 24, (int)call.n, call.body);
        if (write(call.connection, answer, (size_t)n) != n)
            close(call.connection);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(2, "relay PORT");
    signal(SIGPIPE, SIG_IGN);
    int child = start_child(), poller = epoll_create1(EPOLL_CLOEXEC), one = 1,
        listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listening, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listening, 1024) != 0)
        err(1, "%s", argv[1]);
    watch(poller, listening);
    watch(poller, child);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < n; ++i) {
            int fd = events[i].data.fd;
            if (fd == listening)
                take(poller, listening);
            else if (fd == child)
                tell(child);
            else
                hear(child, fd);
        }
    }
}
