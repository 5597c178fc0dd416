// The smallest server that the guard can stand before, for the tests of HTTP itself: what they find
// is then the guard's or libh2o's, and time-outs can be short. Writes one line of JSON with its
// ports, then serves until SIGTERM.
//
//   /1k /10k /100k /1m   a body of that size
//   /echo /small         POST: {"bytes": length of the body}; at most 1 MiB, 1 KiB
//   /upload              the same, at most 10 MiB
//   /delay               an answer after 200 ms
//   /inspect…            what the handler sees of the request
//   /stats               the guard's counters, delayed answers begun and cut short
//
// Exits 0 when every connection has ended and given back what it held, else 3.
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "edge/base/log.h"
#include "edge/guard/guard.h"

enum { THREADS_MAX = 8, DELAY_MS = 200, MIB = 1024 * 1024 };

static h2o_globalconf_t config;
static struct guard_policy policy;
static int listeners[2];
static SSL_CTX *tls;
static uint64_t drain_ms = 4000, send_buffer;
static _Atomic int ending;
static _Atomic long delays_begun, delays_cut, users;
static char filler[MIB];

static struct worker {
    pthread_t thread;
    h2o_context_t ctx;
    h2o_accept_ctx_t accept[2];
    h2o_socket_t *listening[2];
    struct guard_loop guard;
    h2o_timeout_t delay;
} workers[THREADS_MAX];
static __thread struct worker *self;

// ---- answers

static h2o_generator_t all_at_once;

static void reply(h2o_req_t *req, int status, const char *type, const char *bytes, size_t n)
{
    h2o_iovec_t body = {(char *)bytes, n};
    bool is_head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    req->res.status = status;
    req->res.content_length = n;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    h2o_start_response(req, &all_at_once);
    h2o_send(req, &body, is_head ? 0 : 1, H2O_SEND_STATE_FINAL);
}

static void __attribute__((format(printf, 2, 3)))
reply_format(h2o_req_t *req, const char *format, ...)
{
    struct buf b;
    va_list args;
    char text[4096];
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buf_init(&b, sizeof(text));
    buf_add(&b, str_from(text));
    h2o_iovec_t copy = h2o_strdup(&req->pool, b.p, b.n);
    buf_fini(&b);
    reply(req, 200, "application/json", copy.base, copy.len);
}

struct delayed {
    h2o_req_t *req;
    h2o_timeout_entry_t timer;
};

static void on_delay_over(h2o_timeout_entry_t *entry)
{
    struct delayed *d = H2O_STRUCT_FROM_MEMBER(struct delayed, timer, entry);
    h2o_req_t *req = d->req;
    d->req = NULL;
    reply(req, 200, "text/plain", "later\n", 6);
}

static void on_delayed_gone(void *p)
{
    struct delayed *d = p;
    h2o_timeout_unlink(&d->timer);
    if (d->req != NULL)
        ++delays_cut;
}

static void begin_delay(h2o_req_t *req)
{
    struct delayed *d = h2o_mem_alloc_shared(&req->pool, sizeof(*d), on_delayed_gone);
    *d = (struct delayed){.req = req, .timer = {.cb = on_delay_over}};
    ++delays_begun;
    h2o_timeout_link(self->ctx.loop, &self->delay, &d->timer);
}

static void reply_stats(h2o_req_t *req)
{
    struct guard_counters c = guard_counters();
    reply_format(
        req,
        "{\"connections\":%lu,\"buffered\":%lu,\"stored\":%lu,\"badHeads\":%lu,\"largeHeads\":%lu,"
        "\"largeBodies\":%lu,\"busy\":%lu,\"diskFull\":%lu,\"timeouts\":%lu,\"calmed\":%lu,"
        "\"malformed\":%lu,"
        "\"avertedAborts\":%lu,\"avertedLoops\":%lu,\"unknownFrames\":%lu,\"idleClosed\":%lu,"
        "\"delaysBegun\":%ld,\"delaysCut\":%ld,\"users\":%ld}",
        c.connections, c.buffered, c.stored, c.bad_heads, c.large_heads, c.large_bodies, c.busy,
        c.disk_full, c.timeouts, c.calmed, c.malformed, c.averted_aborts, c.averted_loops,
        c.unknown_frames, c.idle_closed, delays_begun, delays_cut, users);
}

static void inspect(h2o_req_t *req)
{
    bool trailer = h2o_find_header_by_str(&req->headers, H2O_STRLIT("x-trailer"), -1) != -1;
    reply_format(
        req,
        "{\"method\":\"%.*s\",\"authority\":\"%.*s\",\"path\":\"%.*s\",\"scheme\":\"%.*s\","
        "\"bytes\":%zu,\"trailer\":%s,\"user\":%s}",
        (int)req->method.len, req->method.base, (int)req->authority.len, req->authority.base,
        (int)req->path.len, req->path.base, (int)req->scheme->name.len, req->scheme->name.base,
        req->entity.len, trailer ? "true" : "false", guard_user(req) == &users ? "true" : "false");
}

static int on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    static const struct {
        str path;
        size_t size;
    } files[] = {
        {STR("/1k"), 1024}, {STR("/10k"), 10240}, {STR("/100k"), 102400}, {STR("/1m"), MIB}};
    str query = str_of(req->path.base, req->path.len), path = str_cut(&query, '?');
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); ++i)
        if (str_eq(path, files[i].path)) {
            reply(req, 200, "application/octet-stream", filler, files[i].size);
            return 0;
        }
    if (str_eq(path, STR("/echo")) || str_eq(path, STR("/small")) || str_eq(path, STR("/upload")))
        reply_format(req, "{\"bytes\":%zu}", req->entity.len);
    else if (str_eq(path, STR("/delay")))
        begin_delay(req);
    else if (str_eq(path, STR("/stats")))
        reply_stats(req);
    else if (str_starts(path, STR("/inspect")) || str_eq(path, STR("*")))
        inspect(req);
    else
        return -1;
    return 0;
}

static size_t body_limit(void *ctx, h2o_req_t *req, str method, str authority, str path)
{
    return str_eq(path, STR("/small")) ? 1024 : str_eq(path, STR("/upload")) ? 10 * MIB : MIB;
}

// ---- listening

static int listen_on_loopback(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    guard_listener_options(fd);
    int small = (int)send_buffer;
    if (small != 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    if (bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        exit(1);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n,
                           const unsigned char *in, unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    int found = SSL_select_next_proto((unsigned char **)out, n, ours, sizeof(ours) - 1, in, in_n);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_tls(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 24 * 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    if (X509_sign(cert, key, EVP_sha256()) == 0 || SSL_CTX_use_certificate(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, key) != 1)
        exit(1);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

static void on_user_gone(void *user)
{
    --users;
}

static void on_accept(h2o_socket_t *listening, const char *err)
{
    for (int i = 0; err == NULL && i < 16; ++i) {
        h2o_socket_t *sock = h2o_evloop_socket_accept(listening);
        if (sock == NULL)
            return;
        ++users;
        guard_on_accept(&self->guard, sock, &users, on_user_gone);
        h2o_accept(listening->data, sock);
    }
}

// ---- loops

static void stop_listening(void)
{
    for (int i = 0; i < 2; ++i) {
        h2o_socket_read_stop(self->listening[i]);
        h2o_socket_close(self->listening[i]);
    }
    guard_loop_shutdown(&self->guard, drain_ms);
}

static void *run(void *worker)
{
    bool stopped = false;
    uint64_t deadline = 0;
    self = worker;
    h2o_context_init(&self->ctx, h2o_evloop_create(), &config);
    h2o_timeout_init(self->ctx.loop, &self->delay, DELAY_MS);
    guard_loop_init(&self->guard, &self->ctx);
    for (int i = 0; i < 2; ++i) {
        self->accept[i] = (h2o_accept_ctx_t){
            .ctx = &self->ctx, .hosts = config.hosts, .ssl_ctx = i == 0 ? NULL : tls};
        self->listening[i] =
            h2o_evloop_socket_create(self->ctx.loop, dup(listeners[i]), H2O_SOCKET_FLAG_DONT_READ);
        self->listening[i]->data = &self->accept[i];
        h2o_socket_read_start(self->listening[i], on_accept);
    }
    while (!stopped ||
           (guard_loop_connections(&self->guard) != 0 && h2o_now(self->ctx.loop) < deadline)) {
        if (ending && !stopped) {
            stopped = true;
            stop_listening();
            deadline = h2o_now(self->ctx.loop) + drain_ms + 2000;
        }
        h2o_evloop_run(self->ctx.loop, 50);
    }
    return NULL;
}

static void on_term(int signal)
{
    ending = 1;
}

// ---- start

// libh2o's buffers that a thread keeps for the next request, and its loop
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libh2o-evloop\n";
}

static void set(const char *name, uint64_t value)
{
    const struct {
        const char *name;
        uint64_t *at;
    } fields[] = {
        {"header-bytes", &policy.header_bytes},
        {"header-count", &policy.header_count},
        {"target-length", &policy.target_length},
        {"handshake-timeout", &policy.handshake_timeout},
        {"header-timeout", &policy.header_timeout},
        {"body-timeout", &policy.body_timeout},
        {"write-timeout", &policy.write_timeout},
        {"idle-timeout", &policy.idle_timeout},
        {"minimum-rate", &policy.minimum_rate},
        {"linger-timeout", &policy.linger_timeout},
        {"body-memory-per-connection", &policy.body_memory_per_connection},
        {"body-memory-total", &policy.body_memory_total},
        {"body-file-from", &policy.body_file_from},
        {"body-disk-total", &policy.body_disk_total},
        {"body-disk-spare", &policy.body_disk_spare},
        {"drain", &drain_ms},
        {"send-buffer", &send_buffer}, // of the kernel: small ones keep writes under way
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); ++i)
        if (strcmp(name, fields[i].name) == 0) {
            *fields[i].at = value;
            return;
        }
    fprintf(stderr, "guard-probe: no such option: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    int threads = 1, ports[2];
    struct fault fault;

    guard_policy_defaults(&policy);
    policy.body_limit = body_limit;
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--threads") == 0)
            threads = atoi(argv[i + 1]) % THREADS_MAX;
        else if (strcmp(argv[i], "--body-directory") == 0)
            policy.body_directory = argv[i + 1];
        else
            set(argv[i] + 2, strtoull(argv[i + 1], NULL, 10));
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_term);
    guard_start(&policy);
    if (guard_selftest(&fault) != FAIL_NONE) {
        log_error("guard-probe cannot serve", "reason=%s", LOG_STR(str_from(fault.log_text)));
        return 1;
    }
    memset(filler, 'x', sizeof(filler));
    h2o_config_init(&config);
    config.server_name = h2o_iovec_init(H2O_STRLIT("probe"));
    h2o_hostconf_t *host =
        h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(&host->fallback_path, sizeof(h2o_handler_t))->on_req = on_request;
    guard_configure(&config);
    tls = make_tls();
    for (int i = 0; i < 2; ++i)
        listeners[i] = listen_on_loopback(&ports[i]);
    for (int i = 0; i < threads; ++i)
        pthread_create(&workers[i].thread, NULL, run, &workers[i]);
    printf("{\"h1Port\":%d,\"tlsPort\":%d,\"pid\":%d}\n", ports[0], ports[1], (int)getpid());
    fflush(stdout);
    for (int i = 0; i < threads; ++i)
        pthread_join(workers[i].thread, NULL);
    return users == 0 && guard_counters().buffered == 0 && guard_counters().stored == 0 ? 0 : 3;
}
