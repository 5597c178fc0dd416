// Drives one small server over socket pairs, in the calling thread, and looks at what comes back
// and at which hooks fired. A library update, a linker option or a build flag that switches a part
// of the guard off is thus seen before a stranger can.
//
// The loop it makes stays for the life of the process: libh2o's own teardown asserts more than can
// be promised here.
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/guard/internal.h"

static_assert(H2O_VERSION_MAJOR == 2 && H2O_VERSION_MINOR == 2 && H2O_VERSION_PATCH == 5,
              "the guard knows the insides of libh2o 2.2.5 only");
#define LIBRARY_FILE "libh2o-evloop.so.0.13.5"

enum { TURNS_MAX = 200, TURN_MS = 5, REPLY_ROOM = 64 * 1024, BODY_MOST = 1000 };

struct bench {
    h2o_globalconf_t config;
    h2o_context_t ctx;
    h2o_accept_ctx_t accept;
    struct guard_loop loop;
};

struct exchange {
    const char *what;
    str send, want;
};

#define FRAME(length, type, flags, stream) "\0\0" length type flags "\0\0\0" stream

static const struct exchange exchanges[] = {
    {"an HTTP/1 request", STR("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
     STR("HTTP/1.1 200 ")},
    {"a chunked body",
     STR("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\n0\r\n\r\n"),
     STR("HTTP/1.1 200 ")},
    {"a chunk with a bare line feed",
     STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"),
     STR("\"code\":\"bad_request\"")},
    {"a head without Host", STR("GET / HTTP/1.1\r\n\r\n"), STR("\"code\":\"bad_request\"")},
    {"a body that is too long", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"),
     STR("\"code\":\"body_too_large\"")},
    // SETTINGS without a header table, a request: the answer's block begins with the table's new
    // size
    {"a small header table over HTTP/2",
     STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" FRAME("\6", "\4", "\0", "\0") "\0\1\0\0\0\0" //
         FRAME("\6", "\1", "\5", "\1") "\x82\x86\x84\x41\1x"),
     STR("\1\4\0\0\0\1\x20\x88")},
    // a path without a slash: RST_STREAM, PROTOCOL_ERROR
    {"a malformed path over HTTP/2",
     STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" FRAME("\0", "\4", "\0", "\0") //
         FRAME("\x8", "\1", "\5", "\1") "\x82\x86\x04\1y\x41\1x"),
     STR("\0\0\4\3\0\0\0\0\1\0\0\0\1")},
};

static int answer_ok(h2o_handler_t *self, h2o_req_t *req)
{
    static h2o_generator_t all_at_once;
    req->res.status = 200;
    req->res.content_length = 0;
    h2o_start_response(req, &all_at_once);
    h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
    return 0;
}

static struct bench *bench_get(void)
{
    static struct bench *volatile kept;
    struct bench *b = kept;
    if (b != NULL)
        return b;
    b = kept = h2o_mem_alloc(sizeof(*b));
    memset(b, 0, sizeof(*b));
    h2o_config_init(&b->config);
    h2o_hostconf_t *host =
        h2o_config_register_host(&b->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = answer_ok;
    guard_configure(&b->config);
    h2o_context_init(&b->ctx, h2o_evloop_create(), &b->config);
    b->accept = (h2o_accept_ctx_t){.ctx = &b->ctx, .hosts = b->config.hosts};
    guard_loop_init(&b->loop, &b->ctx);
    return b;
}

static bool has_come(int fd, struct buf *reply, str want, bool *ret_ended)
{
    char *room = buf_reserve(reply, 4096);
    ssize_t n = room != NULL ? recv(fd, room, 4096, MSG_DONTWAIT) : 0;
    if (n > 0)
        reply->n += (size_t)n;
    *ret_ended = n == 0;
    return str_find_str(buf_str(reply), want) != SIZE_MAX;
}

static bool run(struct bench *b, const struct exchange *x)
{
    struct buf reply;
    bool come = false, ended = false;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return false;
    h2o_socket_t *sock =
        h2o_evloop_socket_create(b->ctx.loop, fds[0], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    guard_on_accept(&b->loop, sock, NULL, NULL);
    h2o_accept(&b->accept, sock);
    buf_init(&reply, REPLY_ROOM);
    bool sent = send(fds[1], x->send.p, x->send.n, MSG_NOSIGNAL) == (ssize_t)x->send.n;
    for (int i = 0; sent && !come && !ended && i < TURNS_MAX; ++i) {
        h2o_evloop_run(b->ctx.loop, TURN_MS);
        come = has_come(fds[1], &reply, x->want, &ended);
    }
    close(fds[1]);
    for (int i = 0; guard_loop_connections(&b->loop) != 0 && i < TURNS_MAX; ++i)
        h2o_evloop_run(b->ctx.loop, TURN_MS);
    buf_fini(&reply);
    return come && guard_loop_connections(&b->loop) == 0;
}

static void on_room(h2o_socket_t *sock, const char *err)
{
    *(bool *)sock->data = err == NULL && guard_current != NULL;
    h2o_socket_close(sock);
}

// A connection that waits until it may write is told so, and as the guard's.
static bool waits_for_room(struct bench *b)
{
    int fds[2];
    bool has_room = false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return false;
    h2o_socket_t *sock =
        h2o_evloop_socket_create(b->ctx.loop, fds[0], H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    guard_on_accept(&b->loop, sock, NULL, NULL);
    sock->data = &has_room;
    h2o_socket_notify_write(sock, on_room);
    for (int i = 0; guard_loop_connections(&b->loop) != 0 && i < TURNS_MAX; ++i)
        h2o_evloop_run(b->ctx.loop, TURN_MS);
    close(fds[1]);
    return has_room;
}

static size_t body_most(void *ctx, h2o_req_t *req, str method, str authority, str path)
{
    return BODY_MOST;
}

static enum fail not_safe(struct fault *fault, const char *what)
{
    fault_set(fault, FAIL_INTERNAL, "guard_selftest", "The HTTP guard does not work.");
    fault_log(fault, "the guard of libh2o 2.2.5 failed its self-test: %s", what);
    return FAIL_INTERNAL;
}

static enum fail check_library(struct fault *fault)
{
    Dl_info info;
    char path[PATH_MAX];
    if (dladdr((void *)guard_real.phr_parse_request, &info) == 0 ||
        realpath(info.dli_fname, path) == NULL)
        return not_safe(fault, "the library's file is not known");
    if (!str_ends(str_from(path), STR("/" LIBRARY_FILE)))
        return not_safe(fault, "the library is not " LIBRARY_FILE);
    return FAIL_NONE;
}

static enum fail check_hooks(struct fault *fault)
{
#define GUARD_HOOK(name) #name " was never called",
    static const char *const missing[] = {
#include "edge/guard/hooks.def"
    };
#undef GUARD_HOOK
    for (unsigned i = 0; i < GUARD_HOOKS; ++i)
        if ((guard_seen >> i & 1) == 0)
            return not_safe(fault, missing[i]);
    return FAIL_NONE;
}

static enum fail run_all(struct fault *fault)
{
    struct bench *b = bench_get();
    guard_policy_defaults(&guard_policy);
    guard_policy.body_limit = body_most;
    guard_seen = 0;
    for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); ++i)
        if (!run(b, &exchanges[i]))
            return not_safe(fault, exchanges[i].what);
    if (!waits_for_room(b))
        return not_safe(fault, "a connection that waits for room");
    return check_hooks(fault);
}

enum fail guard_selftest(struct fault *fault)
{
    struct guard_policy policy = guard_policy;
    enum fail fail = check_library(fault);
    if (fail != FAIL_NONE)
        return fail;
    fail = run_all(fault);
    guard_policy = policy;
    memset(&guard_totals, 0, sizeof(guard_totals));
    return fail;
}
