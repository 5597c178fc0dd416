// A client that keeps a fixed rate whatever the server does: each request has the time it should have begun, and its latency counts from
// there, so that a server that stalls is charged for all that waited (no coordinated omission).
//
//     openloop PORT RATE SECONDS CONNECTIONS REQUESTS TIMES
//
// REQUESTS: whole HTTP/1.1 requests, each behind a line with its length in bytes; sent in turn, over again where there are too few.
// TIMES: written; a line for each answer: when it should have begun (milliseconds since 1970), how long it took (milliseconds), and its
// status, which is 0 where the server closed the connection instead. stdout: how many were never answered.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, ANSWER_MAX = 1 << 20, SECOND = 1000000000, PATIENCE_S = 20 };

struct request {
    const char *text;
    size_t size;
};

struct connection {
    int fd;
    size_t got;
    uint64_t intended; // ns
    char *answer;
};

struct outcome {
    uint64_t intended, took;
    int status;
};

static int port, poll;
static struct connection connections[CONNECTIONS_MAX];
static int idle[CONNECTIONS_MAX], idle_count;
static struct request *requests;
static size_t request_count, sent, done;
static struct outcome *outcomes;

static uint64_t since(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void read_requests(const char *file)
{
    FILE *f = fopen(file, "r");
    size_t size, room = 0;
    if (f == NULL)
        die(file);
    while (fscanf(f, "%zu", &size) == 1) {
        char *text = malloc(size);
        if (fgetc(f) != '\n' || fread(text, 1, size, f) != size)
            die(file);
        if (request_count == room)
            requests = realloc(requests, (room = 2 * room + 64) * sizeof *requests);
        requests[request_count++] = (struct request){text, size};
    }
    fclose(f);
    if (request_count == 0)
        die(file);
}

static void open_connection(int at)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)at};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
    connections[at].fd = fd;
    connections[at].intended = 0;
    idle[idle_count++] = at;
}

static void send_one(int at, uint64_t intended)
{
    const struct request *r = &requests[sent++ % request_count];
    connections[at].intended = intended;
    connections[at].got = 0;
    // what is refused here is seen as a closed connection by who reads
    if (send(connections[at].fd, r->text, r->size, MSG_NOSIGNAL) != (ssize_t)r->size &&
        errno != EPIPE && errno != ECONNRESET)
        die("send");
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
        if (*p == '\r' && strncasecmp(p, "\r\ncontent-length:", 17) == 0)
            length = p + 17;
    if (length == NULL) {
        fprintf(stderr, "an answer without Content-Length\n");
        exit(1);
    }
    return c->got >= start + strtoul(length, NULL, 10) ? atoi(c->answer + 9) : 0;
}

static void note(const struct connection *c, int status)
{
    outcomes[done++] = (struct outcome){c->intended, since(CLOCK_MONOTONIC) - c->intended, status};
}

static void on_readable(int at)
{
    struct connection *c = &connections[at];
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX - c->got, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        if (c->intended == 0)
            die("the server closed a connection that asked nothing");
        note(c, 0);
        close(c->fd);
        open_connection(at);
        return;
    }
    c->got += (size_t)n;
    int status = whole(c);
    if (status == 0)
        return;
    note(c, status);
    c->intended = 0;
    idle[idle_count++] = at;
}

static void keep_the_rate(double rate, size_t total)
{
    uint64_t start = since(CLOCK_MONOTONIC) + SECOND / 100, interval = (uint64_t)(SECOND / rate),
             give_up = start + total * interval + (uint64_t)PATIENCE_S * SECOND, now;
    while (done != total && (now = since(CLOCK_MONOTONIC)) < give_up) {
        while (sent != total && idle_count != 0 && start + sent * interval <= now)
            send_one(idle[--idle_count], start + sent * interval);
        uint64_t next = sent != total && idle_count != 0 ? start + sent * interval : give_up;
        uint64_t left = next > now ? next - now : 0;
        struct timespec wait = {(time_t)(left / SECOND), (long)(left % SECOND)};
        struct epoll_event events[256];
        int n = epoll_pwait2(poll, events, 256, &wait, NULL);
        for (int i = 0; i < n; ++i)
            on_readable((int)events[i].data.u32);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    port = atoi(argv[1]);
    double rate = atof(argv[2]);
    size_t total = (size_t)(rate * atof(argv[3]));
    int count = atoi(argv[4]);
    read_requests(argv[5]);
    outcomes = calloc(total, sizeof *outcomes);
    poll = epoll_create1(0);
    for (int i = 0; i != count && i != CONNECTIONS_MAX; ++i) {
        connections[i].answer = malloc(ANSWER_MAX);
        open_connection(i);
    }
    keep_the_rate(rate, total);
    FILE *times = fopen(argv[6], "w");
    if (times == NULL)
        die(argv[6]);
    uint64_t epoch = since(CLOCK_REALTIME) - since(CLOCK_MONOTONIC);
    for (size_t i = 0; i != done; ++i)
        fprintf(times, "%.3f %.3f %d\n", (double)(outcomes[i].intended + epoch) / 1e6,
                (double)outcomes[i].took / 1e6, outcomes[i].status);
    printf("%zu\n", total - done);
    return fclose(times) == 0 ? 0 : 1;
}
