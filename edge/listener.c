// Accepting. Every loop polls a dup of the same listening sockets and takes at most 16 connections
// an event, so that no loop hoards.
#include "edge/listener.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/log.h"
#include "edge/http/h2o.h"
#include "edge/http/reply.h"
#include "edge/http/request.h"
#include "edge/limits/limits.h"
#include "edge/loop/h2o.h"
#include "edge/tls.h"

enum { ACCEPTS_AN_EVENT = 16, SOCKETS_MAX = 32, KINDS = 4, PAUSE_MS = 100, NETWORK_SHARE = 4 };

// What is known of one connection; the guard carries it and tells when the connection has gone.
struct connection {
    uint64_t address_key, network_key; // 0: it counts for nobody
    SSL *ssl;                          // set in the handshake
    char *covered; // the last host its certificate was found to cover, with its 0; NULL: none yet
};

struct loop_listeners {
    struct guard_loop *guard;
    h2o_socket_t *sockets[SOCKETS_MAX];
    h2o_accept_ctx_t contexts[SOCKETS_MAX];
    size_t count;
    struct loop_timer pause; // when descriptors ran out
};

static h2o_hostconf_t **hosts[KINDS];
static struct loop_listeners per_loop[LOOPS_MAX];
static void (*request_hook)(struct request *r);
static _Atomic uint64_t max_open, max_per_address, max_handshakes, max_handshakes_per_address;
static _Atomic uint64_t open_now, accepted, refused_full, refused_address, refused_handshakes;

static void on_tls_hello(SSL *ssl, void *sock)
{
    struct connection *c = guard_socket_user(sock);
    if (c != NULL)
        c->ssl = ssl;
}

// A certificate that is not for this authority means the client is in the wrong place, or was sent
// there (RFC 9110 §15.5.20).
static bool is_covered(struct request *r)
{
    struct connection *c = guard_user(r->_h2o);
    if (c == NULL || c->ssl == NULL)
        return false;
    if (c->covered != NULL && str_eq(str_from(c->covered), r->host))
        return true;
    if (!tls_covers(c->ssl, r->host))
        return false;
    free(c->covered);
    c->covered = str_dup(r->host);
    return true;
}

static void on_request(struct request *r)
{
    if (r->is_tls && !is_covered(r)) {
        r->route = "misdirected";
        r->site = SITE_UNKNOWN;
        reply_error(r, 421, "misdirected_request",
                    "The certificate of this connection is not for that host name.", NULL, 0);
        return;
    }
    request_hook(r);
}

void listener_set_limits(const struct listener_limits *limits)
{
    max_open = limits->connections;
    max_per_address = limits->connections_per_address;
    max_handshakes = limits->handshakes_per_second;
    max_handshakes_per_address = limits->handshakes_per_address;
}

void listener_init(h2o_globalconf_t *config, const struct listener_limits *limits,
                   void (*hook)(struct request *r))
{
    static const struct {
        const char *name;
        enum site_kind site;
    } kinds[KINDS] = {[LISTENER_APPS] = {"apps", SITE_APPS},
                      [LISTENER_CONSOLE] = {"console", SITE_CONSOLE},
                      [LISTENER_ADMIN] = {"admin", SITE_ADMIN},
                      [LISTENER_TLS] = {"tls", SITE_UNKNOWN}};
    request_hook = hook;
    tls_on_hello = on_tls_hello;
    for (size_t i = 0; i != KINDS; ++i)
        hosts[i] = http_register_listener(config, kinds[i].name, kinds[i].site, on_request);
    listener_set_limits(limits);
}

static void on_connection_closed(void *user)
{
    struct connection *c = user;
    if (c->address_key != 0)
        limits_leave(c->address_key);
    if (c->network_key != 0)
        limits_leave(c->network_key);
    --open_now;
    free(c->covered);
    free(c);
}

// Whoever has many addresses has them in few networks: a /48 is as many visitors as there are
// connections six times over. So no network has more than are then left for others, and of
// handshakes, which are over at once, a quarter; unless a single address may have half of all.
static uint32_t most_of_network(void)
{
    uint64_t most = max_open, open = open_now;
    if (max_per_address > most / 2)
        return UINT32_MAX;
    return open < most ? (uint32_t)(most - open) : 0;
}

static bool handshake_conforms(str address, str network)
{
    uint64_t wait, all = max_handshakes, each = max_handshakes_per_address;
    uint64_t few = each > all / 2 ? all : all / NETWORK_SHARE + 2 * each;
    return limits_conforms(limits_key(LIMIT_HANDSHAKES, address), 1000000 / each,
                           (uint32_t)each * 2, &wait) &&
           limits_conforms(limits_key(LIMIT_NETWORK_HANDSHAKES, network), 1000000 / few,
                           (uint32_t)few, &wait) &&
           limits_conforms(limits_key(LIMIT_HANDSHAKES, STR("all")), 1000000 / all, (uint32_t)all,
                           &wait);
}

static bool is_loopback(const struct sockaddr_storage *sa)
{
    if (sa->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == 127;
    return sa->ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

static bool enter(struct connection *c, str address, str network)
{
    uint64_t of_address = limits_key(LIMIT_CONNECTIONS, address),
             of_network = limits_key(LIMIT_NETWORK_CONNECTIONS, network);
    if (!limits_enter(of_address, (uint32_t)max_per_address))
        return false;
    c->address_key = of_address;
    if (!limits_enter(of_network, most_of_network()))
        return false;
    c->network_key = of_network;
    return true;
}

// Takes the connection in, or says why not. The keys are entered only when everything else has
// agreed. The machine's own look at health and metrics counts against no limit: a full server is
// when it is needed. A trusted proxy counts against none per address.
static bool admit(h2o_socket_t *sock, const h2o_accept_ctx_t *context, struct connection *c)
{
    struct sockaddr_storage sa;
    if (h2o_socket_getpeername(sock, (struct sockaddr *)&sa) == 0)
        return true; // gone already
    if (context->hosts == hosts[LISTENER_ADMIN] && is_loopback(&sa))
        return true;
    if (open_now > max_open) {
        ++refused_full;
        return false;
    }
    if (http_is_trusted_proxy((struct sockaddr *)&sa))
        return true; // many visitors come by it
    struct ip peer = ip_of_socket((struct sockaddr *)&sa), visitor = ip_normalise(&peer);
    str address = limits_visitor(&visitor), network = limits_network(&visitor);
    if (context->ssl_ctx != NULL && !handshake_conforms(address, network)) {
        ++refused_handshakes;
        return false;
    }
    if (!enter(c, address, network)) {
        ++refused_address;
        return false;
    }
    return true;
}

static void on_accept(h2o_socket_t *listening, const char *error);

static void on_pause_over(struct loop_timer *t)
{
    struct loop_listeners *l =
        (struct loop_listeners *)((char *)t - offsetof(struct loop_listeners, pause));
    for (size_t i = 0; i != l->count; ++i)
        h2o_socket_read_start(l->sockets[i], on_accept);
}

// Out of descriptors: a listener that stays readable would spin, so all of them rest a moment.
static void pause_all(struct loop_listeners *l)
{
    log_warn("out of file descriptors: not accepting for a moment", "open=%lu",
             (unsigned long)open_now);
    for (size_t i = 0; i != l->count; ++i)
        h2o_socket_read_stop(l->sockets[i]);
    loop_timer_start(&l->pause, PAUSE_MS);
}

static void on_accept(h2o_socket_t *listening, const char *error)
{
    h2o_accept_ctx_t *context = listening->data;
    struct loop_listeners *l = &per_loop[loop_index(loop_self())];
    if (error != NULL)
        return;
    for (int n = 0; n != ACCEPTS_AN_EVENT; ++n) {
        errno = 0;
        h2o_socket_t *sock = h2o_evloop_socket_accept(listening);
        if (sock == NULL) {
            if (errno == EMFILE || errno == ENFILE)
                pause_all(l);
            return;
        }
        struct connection *c = calloc(1, sizeof *c);
        if (c == NULL)
            abort();
        ++open_now;
        if (!admit(sock, context, c)) {
            on_connection_closed(c);
            h2o_socket_close(sock);
            continue;
        }
        ++accepted;
        guard_on_accept(l->guard, sock, c, on_connection_closed);
        h2o_accept(context, sock);
    }
}

void listener_start(struct loop *loop, struct guard_loop *guard, const struct listener_fd *list,
                    size_t count)
{
    struct loop_listeners *l = &per_loop[loop_index(loop)];
    assert(count <= SOCKETS_MAX);
    l->guard = guard;
    l->pause.run = on_pause_over;
    for (size_t i = 0; i != count; ++i) {
        int fd = fcntl(list[i].fd, F_DUPFD_CLOEXEC, 0);
        assert(fd >= 0);
        l->contexts[i] = (h2o_accept_ctx_t){.ctx = loop_h2o(loop), .hosts = hosts[list[i].kind]};
        if (list[i].kind == LISTENER_TLS)
            l->contexts[i].ssl_ctx = tls_context();
        l->sockets[i] =
            h2o_evloop_socket_create(loop_h2o(loop)->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
        l->sockets[i]->data = &l->contexts[i];
        h2o_socket_read_start(l->sockets[i], on_accept);
    }
    l->count = count;
}

void listener_stop(struct loop *loop)
{
    struct loop_listeners *l = &per_loop[loop_index(loop)];
    loop_timer_stop(&l->pause);
    for (size_t i = 0; i != l->count; ++i) {
        h2o_socket_read_stop(l->sockets[i]);
        h2o_socket_close(l->sockets[i]);
    }
    l->count = 0;
}

struct listener_counters listener_counters(void)
{
    return (struct listener_counters){open_now, accepted, refused_full, refused_address,
                                      refused_handshakes};
}
