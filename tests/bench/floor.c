// The least a server can do for HTTP/1.1: epoll, read, one write of an answer made beforehand and
// chosen by the last part of the path. A yardstick, not a server: it believes every request and
// knows no time-out.
//
//     floor PORT FILE…      serves each FILE under its base name, whatever folder is asked
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct answer {
    char suffix[64]; // "/1k.js "
    char *bytes;
    size_t n;
};
static struct answer answers[16];
static size_t answer_count;

struct connection {
    int fd;
    bool waits_for_room;
    size_t in_n;
    const char *out;
    size_t out_n;
    char in[8192];
};

static void load(const char *file)
{
    struct stat st;
    int fd = open(file, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0)
        err(1, "%s", file);
    struct answer *a = &answers[answer_count++];
    snprintf(a->suffix, sizeof a->suffix, "%s ", strrchr(file, '/'));
    a->bytes = malloc((size_t)st.st_size + 256);
    if (a->bytes == NULL)
        err(1, "memory");
    int head =
        snprintf(a->bytes, 256,
                 "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\nContent-Type: text/javascript\r\n"
                 "Cache-Control: public, max-age=300\r\nETag: \"floor\"\r\n\r\n",
                 (long long)st.st_size);
    if (read(fd, a->bytes + head, (size_t)st.st_size) != st.st_size)
        err(1, "%s", file);
    a->n = (size_t)head + (size_t)st.st_size;
    close(fd);
}

static const struct answer *choose(const char *request, size_t n)
{
    const char *line_end = memchr(request, '\r', n);
    size_t line = line_end != NULL ? (size_t)(line_end - request) : n;
    for (size_t i = 0; i != answer_count; ++i)
        if (memmem(request, line, answers[i].suffix, strlen(answers[i].suffix)) != NULL)
            return &answers[i];
    return &answers[0];
}

// False: the peer is gone.
static bool send_rest(int epoll, struct connection *c)
{
    while (c->out_n != 0) {
        ssize_t n = write(c->fd, c->out, c->out_n);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0) {
            if (!c->waits_for_room)
                epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){EPOLLOUT, {.ptr = c}});
            c->waits_for_room = true;
            return true;
        }
        c->out += n;
        c->out_n -= (size_t)n;
    }
    if (c->waits_for_room)
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){EPOLLIN, {.ptr = c}});
    c->waits_for_room = false;
    return true;
}

static bool answer_all(int epoll, struct connection *c)
{
    char *end;
    while (c->out_n == 0 && (end = memmem(c->in, c->in_n, "\r\n\r\n", 4)) != NULL) {
        size_t used = (size_t)(end + 4 - c->in);
        const struct answer *a = choose(c->in, used);
        c->in_n -= used;
        memmove(c->in, c->in + used, c->in_n);
        c->out = a->bytes;
        c->out_n = a->n;
        if (!send_rest(epoll, c))
            return false;
    }
    return c->in_n != sizeof c->in;
}

static bool serve(int epoll, struct connection *c, uint32_t events)
{
    if ((events & EPOLLOUT) != 0)
        return send_rest(epoll, c) && answer_all(epoll, c);
    ssize_t n = read(c->fd, c->in + c->in_n, sizeof c->in - c->in_n);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->in_n += (size_t)n;
    return answer_all(epoll, c);
}

static void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct connection *c = calloc(1, sizeof *c);
        if (c == NULL)
            err(1, "memory");
        c->fd = fd;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.ptr = c}});
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        errx(2, "floor PORT FILE…");
    signal(SIGPIPE, SIG_IGN);
    for (int i = 2; i != argc && answer_count != 16; ++i)
        load(argv[i]);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
        epoll = epoll_create1(EPOLL_CLOEXEC);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1024) != 0)
        err(1, "port %s", argv[1]);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){EPOLLIN, {.ptr = NULL}});
    struct epoll_event events[256];
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; ++i) {
            struct connection *c = events[i].data.ptr;
            if (c == NULL) {
                accept_all(epoll, listener);
            } else if (!serve(epoll, c, events[i].events)) {
                close(c->fd);
                free(c);
            }
        }
    }
}
