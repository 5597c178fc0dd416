// Uploads as browsers send them, one after the other on each connection, until so many are done. Every
// file is a PNG with a text of its own in it, so that no two have the same bytes.
//
//     client PORT PATH BYTES COUNT CONNECTIONS SEED
//
// prints: seconds errors p50 p99 (microseconds of one upload)
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BOUNDARY "----WebKitFormBoundary7MA4YWxkTrZu0gW"
enum { CONNECTIONS_MAX = 256, ANSWER_MAX = 16384, TEXT = 24 };

// The file in four pieces, of which only the second is a connection's own.
static const unsigned char start[] = "\x89PNG\r\n\x1a\n"
                                     "\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\b\2\0\0\0\xd3\x10\x3f\x31";
static const unsigned char end[] = "\0\0\0\0IEND\xae\x42\x60\x82";
static const char form_end[] = "\r\n--" BOUNDARY "--\r\n";
enum { START = sizeof start - 1, END = sizeof end - 1, OWN = 12 + 8 + TEXT };

struct connection {
    int fd;
    unsigned char own[OWN]; // the tEXt chunk
    size_t sent, got;
    uint64_t began; // 0: nothing is asked
    char answer[ANSWER_MAX + 1];
};

static struct connection connections[CONNECTIONS_MAX];
static unsigned char *filler; // an IDAT chunk
static size_t filler_size, whole, begun, done, wanted, errors;
static char head[2048];
static size_t head_size;
static uint32_t *latencies;
static uint64_t seed;
static struct sockaddr_in address;
static int poller;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void die(const char *why)
{
    perror(why);
    exit(1);
}

static uint32_t crc(const unsigned char *p, size_t n)
{
    static uint32_t table[256];
    uint32_t c = 0xffffffff;
    for (uint32_t i = 0; table[255] == 0 && i != 256; ++i) {
        table[i] = i;
        for (int k = 0; k != 8; ++k)
            table[i] = (table[i] & 1) != 0 ? 0xedb88320 ^ (table[i] >> 1) : table[i] >> 1;
    }
    for (size_t i = 0; i != n; ++i)
        c = table[(c ^ p[i]) & 255] ^ (c >> 8);
    return ~c;
}

// A chunk of n bytes of data, which stand at p + 8 already.
static void close_chunk(unsigned char *p, const char *type, size_t n)
{
    uint32_t size = htonl((uint32_t)n), sum;
    memcpy(p, &size, 4);
    memcpy(p + 4, type, 4);
    sum = htonl(crc(p + 4, n + 4));
    memcpy(p + 8 + n, &sum, 4);
}

static void make_filler(size_t bytes)
{
    filler_size = bytes - START - END - OWN;
    filler = malloc(filler_size);
    for (size_t i = 0; i != filler_size; ++i) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        filler[i] = (unsigned char)(seed >> 56);
    }
    close_chunk(filler, "IDAT", filler_size - 12);
}

static void make_head(const char *path, const char *port, size_t bytes)
{
    static const char form[] =
        "--" BOUNDARY "\r\n"
        "Content-Disposition: form-data; name=\"file\"; filename=\"photo.png\"\r\n"
        "Content-Type: image/png\r\n\r\n";
    head_size = (size_t)snprintf(
        head, sizeof head,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: multipart/form-data; "
        "boundary=" BOUNDARY "\r\nContent-Length: %zu\r\n\r\n%s",
        path, port, sizeof form - 1 + bytes + sizeof form_end - 1, form);
    whole = head_size + bytes + sizeof form_end - 1;
}

static void open_connection(struct connection *c)
{
    int one = 1;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void begin(struct connection *c)
{
    memcpy(c->own + 8, "Comment", 8);
    snprintf((char *)c->own + 16, TEXT + 1, "%012llx%012zx",
             (unsigned long long)(seed & 0xffffffffffff), begun++);
    close_chunk(c->own, "tEXt", 8 + TEXT);
    c->sent = c->got = 0;
    c->began = now();
}

static void push(struct connection *c)
{
    const struct iovec all[] = {{head, head_size},  {(void *)start, START},
                                {c->own, OWN},      {filler, filler_size},
                                {(void *)end, END}, {(void *)form_end, sizeof form_end - 1}};
    while (c->sent != whole) {
        struct iovec rest[6];
        struct msghdr m = {.msg_iov = rest};
        size_t skip = c->sent;
        for (size_t i = 0; i != 6; ++i) {
            size_t gone = skip < all[i].iov_len ? skip : all[i].iov_len;
            skip -= gone;
            if (gone != all[i].iov_len)
                rest[m.msg_iovlen++] =
                    (struct iovec){(char *)all[i].iov_base + gone, all[i].iov_len - gone};
        }
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            return; // what was answered is read all the same
        c->sent += (size_t)n;
    }
}

// 0: there is more to come.
static size_t answer_size(struct connection *c)
{
    c->answer[c->got] = '\0';
    char *body = strstr(c->answer, "\r\n\r\n"),
         *length = strcasestr(c->answer, "\r\ncontent-length:");
    if (body == NULL || length == NULL || length > body)
        return 0;
    size_t size = (size_t)(body + 4 - c->answer) + strtoul(length + 17, NULL, 10);
    return c->got >= size ? size : 0;
}

static void again(struct connection *c, int is_good)
{
    c->sent = whole;
    latencies[done++] = (uint32_t)((now() - c->began) / 1000);
    c->began = 0;
    errors += !is_good;
    if (!is_good && errors < 4)
        fprintf(stderr, "%.*s\n", (int)c->got, c->answer);
    if (!is_good) {
        close(c->fd);
        open_connection(c);
    }
    if (begun != wanted) {
        begin(c);
        push(c);
    }
}

// False: there is nothing more to read now.
static int pull(struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX - c->got, MSG_DONTWAIT);
    if ((n < 0 && errno == EAGAIN) || c->began == 0)
        return 0;
    if (n <= 0) {
        again(c, 0);
        return 0;
    }
    c->got += (size_t)n;
    if (answer_size(c) != 0)
        again(c, strncmp(c->answer, "HTTP/1.1 200", 12) == 0 &&
                     strstr(c->answer, "\"success\":true") != NULL);
    return 1;
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
    size_t bytes = strtoul(argv[3], NULL, 10), count = strtoul(argv[5], NULL, 10);
    wanted = strtoul(argv[4], NULL, 10);
    seed = strtoull(argv[6], NULL, 10) * 2654435761 + 1;
    if (bytes < 1000 || wanted < count || count == 0 || count > CONNECTIONS_MAX)
        return 2;
    latencies = calloc(wanted, sizeof *latencies);
    address = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)atoi(argv[1])),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    poller = epoll_create1(EPOLL_CLOEXEC);
    make_filler(bytes);
    make_head(argv[2], argv[1], bytes);
    uint64_t began = now();
    for (size_t i = 0; i != count; ++i) {
        open_connection(&connections[i]);
        begin(&connections[i]);
    }
    while (done != wanted) {
        struct epoll_event events[CONNECTIONS_MAX];
        int n = epoll_wait(poller, events, CONNECTIONS_MAX, 60000);
        if (n <= 0)
            die("no answer for a minute");
        for (int i = 0; i < n; ++i) {
            struct connection *c = events[i].data.ptr;
            push(c);
            while ((events[i].events & (EPOLLIN | EPOLLHUP)) != 0 && pull(c) != 0)
                ;
        }
    }
    double seconds = (double)(now() - began) / 1e9;
    qsort(latencies, done, sizeof *latencies, compare);
    printf("%.6f %zu %u %u\n", seconds, errors, latencies[done / 2], latencies[done * 99 / 100]);
    return 0;
}
