// A client that keeps a fixed rate whatever the server does: each request has the time it should have begun, and its latency counts from
// there, so that a server that stalls is charged for all that waited (no coordinated omission).
//
//     openloop PORT PATH BODY RATE SECONDS CONNECTIONS
//
// prints: count errors p50 p90 p99 max (microseconds)
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, ANSWER_MAX = 1 << 20 };

struct connection {
    int fd;
    size_t got;
    uint64_t intended; // ns
    char *answer;
};

static struct connection connections[CONNECTIONS_MAX];
static int idle[CONNECTIONS_MAX], idle_count, count;
static char head[8192];
static size_t head_size;
static uint32_t *latencies;
static size_t done, errors;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_connection(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_one(int at, uint64_t intended)
{
    struct connection *c = &connections[at];
    c->intended = intended;
    c->got = 0;
    if (write(c->fd, head, head_size) != (ssize_t)head_size)
        die("write");
}

// 0 while the answer is not whole, else its status.
static int whole(const struct connection *c)
{
    const char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t start = (size_t)(end - c->answer) + 4;
    char *length = NULL;
    for (char *p = c->answer; p < end; ++p)
        if (strncasecmp(p, "\r\ncontent-length:", 17) == 0)
            length = p + 17;
    if (length == NULL) {
        fprintf(stderr, "an answer without Content-Length\n");
        exit(1);
    }
    return c->got >= start + strtoul(length, NULL, 10) ? atoi(c->answer + 9) : 0;
}

static void on_readable(int at)
{
    struct connection *c = &connections[at];
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX - c->got, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the server closed a connection");
    c->got += (size_t)n;
    int status = whole(c);
    if (status == 0)
        return;
    errors += status != 200;
    latencies[done++] = (uint32_t)((now() - c->intended) / 1000);
    idle[idle_count++] = at;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    int port = atoi(argv[1]);
    double rate = atof(argv[4]), seconds = atof(argv[5]);
    count = atoi(argv[6]);
    size_t total = (size_t)(rate * seconds), sent = 0;
    latencies = calloc(total, sizeof *latencies);
    head_size = (size_t)snprintf(head, sizeof head,
                                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: "
                                 "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                 argv[2], port, strlen(argv[3]), argv[3]);
    int poll = epoll_create1(0);
    for (int i = 0; i != count; ++i) {
        connections[i] =
            (struct connection){.fd = open_connection(port), .answer = malloc(ANSWER_MAX)};
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &e);
        idle[idle_count++] = i;
    }
    uint64_t start = now() + 10000000, interval = (uint64_t)(1e9 / rate),
             give_up = start + (uint64_t)((seconds + 20) * 1e9);
    while (done != total) {
        uint64_t t = now();
        for (; sent != total && idle_count != 0 && start + sent * interval <= t; ++sent)
            send_one(idle[--idle_count], start + sent * interval);
        struct epoll_event events[256];
        int n = epoll_wait(poll, events, 256, 0); // it has a core of its own
        for (int i = 0; i < n; ++i)
            on_readable((int)events[i].data.u32);
        if (t > give_up)
            break;
    }
    errors += total - done;
    qsort(latencies, done, sizeof *latencies, compare);
    if (done == 0)
        return 1;
    printf("%zu %zu %u %u %u %u\n", done, errors, latencies[done / 2], latencies[done * 9 / 10],
           latencies[done * 99 / 100], latencies[done - 1]);
    return 0;
}
