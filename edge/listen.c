// Listening sockets.
#include "edge/listen.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/cage/control.h"

enum {
    BACKLOG = 4096,
    USER_TIMEOUT_MS = 60000, // a peer that acknowledges nothing for so long is gone
    DEFER_S = 1,             // who connects and says nothing costs no server for this long
    TAKEN_WAIT_MS = 1000,
    SAME_PORT_TRIES = 8,
};

static enum fail bad_address(struct fault *fault, str text)
{
    return fault_set(fault, FAIL_BAD_INPUT, "bad_address",
                     "%.60s is no address to listen on: write 127.0.0.1:8080 or [::1]:8080.",
                     LOG_STR(text));
}

static bool split(str text, char host[static INET6_ADDRSTRLEN], str *ret_port)
{
    bool is_v6 = str_starts(text, STR("["));
    str rest = is_v6 ? str_skip(text, 1) : text;
    size_t end = is_v6 ? str_find_str(rest, STR("]:")) : str_find(rest, ':');
    if (end == SIZE_MAX || end >= INET6_ADDRSTRLEN)
        return false;
    memcpy(host, rest.p, end);
    host[end] = '\0';
    *ret_port = str_skip(rest, end + (is_v6 ? 2 : 1));
    return true;
}

enum fail listen_parse(str text, struct listen_address *ret, struct fault *fault)
{
    char host[INET6_ADDRSTRLEN];
    str port_text;
    uint64_t port;
    if (!split(text, host, &port_text) || !str_to_u64(port_text, 65535, &port))
        return bad_address(fault, text);
    *ret = (struct listen_address){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->sa;
    if (text.p[0] != '[' && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        ret->size = sizeof *v4;
    } else if (text.p[0] == '[' && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        ret->size = sizeof *v6;
    } else {
        return bad_address(fault, text);
    }
    return FAIL_NONE;
}

void listen_text(const struct listen_address *a, char *to, size_t room)
{
    char host[INET6_ADDRSTRLEN];
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->sa;
    bool is_v6 = a->sa.ss_family == AF_INET6;
    inet_ntop(a->sa.ss_family, is_v6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr,
              host, sizeof host);
    snprintf(to, room, is_v6 ? "[%s]:%u" : "%s:%u", host, listen_port(a));
}

unsigned listen_port(const struct listen_address *a)
{
    return ntohs(a->sa.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a->sa)->sin6_port
                                             : ((const struct sockaddr_in *)&a->sa)->sin_port);
}

static void set_port(struct listen_address *a, unsigned port)
{
    if (a->sa.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)&a->sa)->sin_port = htons((uint16_t)port);
}

bool listen_is_loopback(const struct listen_address *a)
{
    if (a->sa.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&a->sa)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)&a->sa)->sin_addr.s_addr) >> 24 == 127;
}

bool listen_is_wildcard(const struct listen_address *a)
{
    if (a->sa.ss_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->sa)->sin6_addr);
    return ((const struct sockaddr_in *)&a->sa)->sin_addr.s_addr == htonl(INADDR_ANY);
}

str listen_next(str *list)
{
    while (list->n != 0) {
        str item = str_trim(str_cut(list, ','));
        if (item.n != 0)
            return item;
    }
    return (str){NULL, 0};
}

static void set_option(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof value) != 0)
        log_debug("socket option", "option=%d error=%s", option, strerror(errno));
}

// The socket, or -1 with errno.
static int open_one(const struct listen_address *a)
{
    int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (a->sa.ss_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_S);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
    if (bind(fd, (const struct sockaddr *)&a->sa, a->size) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int open_patiently(const struct listen_address *a)
{
    uint64_t deadline = clock_monotonic_ms() + TAKEN_WAIT_MS;
    for (;;) {
        int fd = open_one(a);
        if (fd >= 0 || errno != EADDRINUSE || clock_monotonic_ms() >= deadline)
            return fd;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

static unsigned bound_port(int fd)
{
    struct listen_address a = {.size = sizeof a.sa};
    return getsockname(fd, (struct sockaddr *)&a.sa, &a.size) == 0 ? listen_port(&a) : 0;
}

static bool is_missing_family(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

static enum fail cannot_listen(struct fault *fault, enum listener_kind kind,
                               const struct listen_address *a, int error)
{
    char text[64];
    const char *name = listen_kind_name(kind);
    listen_text(a, text, sizeof text);
    if (error == EADDRINUSE)
        return fault_set(fault, FAIL_CONFLICT, "address_taken",
                         "Another program already listens on %s. Stop it, or set listen_%s to "
                         "another port (0 takes a free one).",
                         text, name);
    if (error == EACCES)
        return fault_set(fault, FAIL_CONFLICT, "address_denied",
                         "This user may not listen on %s: ports below 1024 need root or "
                         "CAP_NET_BIND_SERVICE. Set listen_%s to a higher port.",
                         text, name);
    if (is_missing_family(error))
        return fault_set(fault, FAIL_CONFLICT, "address_absent",
                         "This machine has no address %s. Set listen_%s to one it has.", text,
                         name);
    return fault_set(fault, FAIL_CONFLICT, "cannot_listen", "Cannot listen on %s (listen_%s): %s.",
                     text, name, strerror(error));
}

enum { LIST_MAX = 16 };

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i != count; ++i)
        if (fds[i] >= 0)
            close(fds[i]);
}

// One try at the whole list. Port 0 is replaced by the first port that was given out. Returns 0, or
// errno and the address it was about.
static int open_list(const struct listen_address *list, size_t count, bool is_standard, int *fds,
                     size_t *ret_bad, bool *ret_was_shared)
{
    unsigned shared = 0;
    *ret_was_shared = false;
    for (size_t i = 0; i != count; ++i) {
        struct listen_address a = list[i];
        bool takes_shared = listen_port(&a) == 0 && shared != 0;
        if (takes_shared)
            set_port(&a, shared);
        fds[i] = takes_shared ? open_one(&a) : open_patiently(&a);
        if (fds[i] < 0 && !(is_standard && i != 0 && is_missing_family(errno))) {
            int error = errno;
            close_all(fds, i);
            *ret_bad = i;
            *ret_was_shared = takes_shared;
            return error;
        }
        if (fds[i] >= 0 && listen_port(&list[i]) == 0 && shared == 0)
            shared = bound_port(fds[i]);
    }
    return 0;
}

enum fail listen_open(enum listener_kind kind, const char *list, bool is_standard,
                      struct listener_fd *to, size_t room, size_t *count, struct fault *fault)
{
    struct listen_address addresses[LIST_MAX];
    int fds[LIST_MAX];
    size_t n = 0, bad = 0;
    str rest = str_from(list);
    for (str item; (item = listen_next(&rest)).n != 0; ++n) {
        if (n == LIST_MAX || n + *count == room)
            return fault_set(fault, FAIL_CONFLICT, "too_many_addresses",
                             "listen_%s names more than %d addresses.", listen_kind_name(kind),
                             LIST_MAX);
        if (listen_parse(item, &addresses[n], fault) != FAIL_NONE)
            return FAIL_BAD_INPUT;
    }
    bool was_shared;
    int error = 0;
    for (int tries = 0; tries != SAME_PORT_TRIES; ++tries) {
        error = open_list(addresses, n, is_standard, fds, &bad, &was_shared);
        if (error != EADDRINUSE || !was_shared)
            break;
    }
    if (error != 0)
        return cannot_listen(fault, kind, &addresses[bad], error);
    for (size_t i = 0; i != n; ++i) {
        if (fds[i] < 0) {
            log_info("this machine lacks an address family; going on without",
                     "listener=%s family=IPv6", listen_kind_name(kind));
            continue;
        }
        struct listener_fd *l = &to[(*count)++];
        *l = (struct listener_fd){.kind = kind, .fd = fds[i]};
        set_port(&addresses[i], bound_port(fds[i]));
        listen_text(&addresses[i], l->address, sizeof l->address);
    }
    return FAIL_NONE;
}

static const char *const kind_names[] = {[LISTENER_APPS] = "apps",
                                         [LISTENER_CONSOLE] = "console",
                                         [LISTENER_ADMIN] = "admin",
                                         [LISTENER_TLS] = "tls"};

const char *listen_kind_name(enum listener_kind kind)
{
    assert((size_t)kind < sizeof kind_names / sizeof kind_names[0]);
    return kind_names[kind];
}

char *listen_pack(const struct listener_fd *list, size_t count)
{
    struct buf b;
    buf_init(&b, 64 << 10);
    for (size_t i = 0; i != count; ++i)
        buf_addf(&b, "%s %s\n", listen_kind_name(list[i].kind), list[i].address);
    assert(!b.full);
    return buf_take(&b);
}

size_t listen_unpack(const char *text, struct listener_fd *to, size_t room)
{
    size_t count = 0;
    str rest = str_from(text);
    while (rest.n != 0 && count != room) {
        str line = str_cut(&rest, '\n'), kind = str_cut(&line, ' ');
        struct listener_fd *l = &to[count];
        *l = (struct listener_fd){.fd = LISTEN_FD_FIRST + (int)count};
        for (size_t k = 0; k != sizeof kind_names / sizeof kind_names[0]; ++k)
            if (str_eq(kind, str_from(kind_names[k])))
                l->kind = (enum listener_kind)k;
        snprintf(l->address, sizeof l->address, "%.*s", STR_FMT(line));
        ++count;
    }
    return count;
}
