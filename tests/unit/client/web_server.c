#include "web_server.h"
#include <arpa/inet.h>
#include <libdeflate.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct web_server *server;
    int fd;
    SSL *ssl;
    unsigned number;
    char request[65536];
    size_t n;
};

static void must(bool truth, const char *what)
{
    if (truth)
        return;
    perror(what);
    abort();
}

static ssize_t receive(struct connection *c, char *to, size_t n)
{
    return c->ssl != NULL ? SSL_read(c->ssl, to, (int)n) : read(c->fd, to, n);
}

static bool put(struct connection *c, const char *p, size_t n)
{
    while (n != 0) {
        ssize_t done =
            c->ssl != NULL ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static bool put_text(struct connection *c, const char *text)
{
    return put(c, text, strlen(text));
}

static bool answer(struct connection *c, const char *head, const char *body, size_t n)
{
    char line[512];
    snprintf(line, sizeof line, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, n);
    return put_text(c, line) && put(c, body, n);
}

static bool answer_bytes(struct connection *c, size_t n)
{
    char *body = malloc(n + 1);
    memset(body, 'x', n);
    bool goes_on = answer(c, "200 OK\r\nContent-Type: text/plain", body, n);
    free(body);
    return goes_on;
}

static size_t gzip(const char *from, size_t n, char *to, size_t room)
{
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(9);
    size_t packed_n = libdeflate_gzip_compress(z, from, n, to, room);
    libdeflate_free_compressor(z);
    return packed_n;
}

static bool answer_gzip(struct connection *c, size_t n)
{
    size_t room = libdeflate_gzip_compress_bound(NULL, n);
    char *body = calloc(1, n), *packed = malloc(room);
    size_t packed_n = gzip(body, n, packed, room);
    bool goes_on = answer(c, "200 OK\r\nContent-Encoding: gzip", packed, packed_n);
    free(body);
    free(packed);
    return goes_on;
}

static bool answer_twice(struct connection *c, const char *how)
{
    static const char *const heads[][2] = {
        {"once", "200 OK\r\nContent-Encoding: identity, gzip,"},
        {"list", "200 OK\r\ncontent-encoding: gzip , GZIP"},
        {"lines", "200 OK\r\nContent-Encoding: gzip\r\nX-Other: 1\r\nContent-Encoding: gzip"},
        {"early", "103 Early\r\nContent-Encoding: gzip\r\n\r\n"
                  "HTTP/1.1 200 OK\r\nContent-Encoding: gzip"},
        {"transfer", "200 OK\r\nTransfer-Encoding: gzip\r\nContent-Encoding: gzip"}};
    char once[128], twice[160];
    size_t n = gzip("hello", 5, once, sizeof once), twice_n = gzip(once, n, twice, sizeof twice);
    for (size_t i = 0; i != sizeof heads / sizeof heads[0]; ++i)
        if (strcmp(how, heads[i][0]) == 0)
            answer(c, heads[i][1], i == 0 ? once : twice, i == 0 ? n : twice_n);
    return false;
}

static bool answer_headers(struct connection *c, int n)
{
    char line[160];
    put_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i != n; ++i) {
        snprintf(line, sizeof line, "X-Number-%d: %0100d\r\n", i, i);
        put_text(c, line);
    }
    return put_text(c, "\r\n");
}

static bool answer_redirect(struct connection *c, const char *query)
{
    char head[4096];
    int status = atoi(query);
    const char *to = strchr(query, ' ') != NULL ? strchr(query, ' ') : strstr(query, "%20");
    to += *to == ' ' ? 1 : 3;
    snprintf(head, sizeof head,
             "HTTP/1.1 %d Moved\r\nLocation: %.*s\r\nContent-Length: 5\r\n\r\nmoved", status,
             (int)strcspn(to, " \r\n"), to);
    return put_text(c, head);
}

static bool respond(struct connection *c)
{
    char path[2048], text[64];
    sscanf(c->request, "%*s %2047s", path);
    ++c->server->requests;
    if (strncmp(path, "/echo", 5) == 0)
        return answer(c, "200 OK\r\nX-One: 1\r\nX-Many: a\r\nx-many: b", c->request, c->n);
    if (strncmp(path, "/redirect?", 10) == 0)
        return answer_redirect(c, path + 10);
    if (strncmp(path, "/status/", 8) == 0) {
        snprintf(text, sizeof text, "%s Status", path + 8);
        return answer(c, text, "status", strncmp(c->request, "HEAD", 4) == 0 ? 0 : 6);
    }
    if (strncmp(path, "/bytes/", 7) == 0)
        return answer_bytes(c, strtoul(path + 7, NULL, 10));
    if (strncmp(path, "/gzip/", 6) == 0)
        return answer_gzip(c, strtoul(path + 6, NULL, 10));
    if (strncmp(path, "/twice/", 7) == 0)
        return answer_twice(c, path + 7);
    if (strncmp(path, "/headers/", 9) == 0)
        return answer_headers(c, atoi(path + 9));
    if (strcmp(path, "/connection") == 0) {
        snprintf(text, sizeof text, "%u", c->number);
        return answer(c, "200 OK", text, strlen(text));
    }
    if (strcmp(path, "/cut") == 0) {
        put_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        return false;
    }
    if (strcmp(path, "/early") == 0)
        return put_text(c, "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
                           "Transfer-Encoding: chunked\r\nX-Late: 1\r\n\r\n5\r\nhello\r\n0\r\n"
                           "X-Trailer: 1\r\n\r\n");
    if (strcmp(path, "/garbage") == 0) {
        put_text(c, "220 mail.example ESMTP\r\n");
        return false;
    }
    if (strcmp(path, "/silent") == 0)
        return receive(c, path, 1) > 0;
    if (strcmp(path, "/endless") == 0) {
        put_text(c, "HTTP/1.1 200 OK\r\n\r\n");
        while (put(c, c->request, sizeof c->request))
            ;
    }
    return false;
}

static bool is_whole(const struct connection *c)
{
    const char *end = memmem(c->request, c->n, "\r\n\r\n", 4);
    const char *length = end != NULL ? strcasestr(c->request, "\ncontent-length:") : NULL;
    size_t body = length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0;
    return end != NULL && c->n >= (size_t)(end - c->request) + 4 + body;
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    bool goes_on = c->ssl == NULL || SSL_accept(c->ssl) == 1;
    while (goes_on) {
        c->n = 0;
        do {
            ssize_t got = receive(c, c->request + c->n, sizeof c->request - 1 - c->n);
            goes_on = got > 0;
            c->n += goes_on ? (size_t)got : 0;
            c->request[c->n] = '\0';
        } while (goes_on && !is_whole(c));
        goes_on = goes_on && respond(c);
    }
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct web_server *s = arg;
    for (;;) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct connection *c = calloc(1, sizeof *c);
        c->server = s;
        c->fd = fd;
        c->number = ++s->connections;
        if (s->tls != NULL) {
            c->ssl = SSL_new(s->tls);
            SSL_set_fd(c->ssl, fd);
        }
        pthread_t thread;
        must(pthread_create(&thread, NULL, serve, c) == 0, "thread");
        pthread_detach(thread);
    }
}

static void make_tls(struct web_server *s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
    must(X509_sign(x, key, EVP_sha256()) > 0, "sign");
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    must(SSL_CTX_use_certificate(tls, x) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1, "tls");
    strcpy(s->ca_file, "/tmp/stoa-test-ca-XXXXXX");
    FILE *f = fdopen(mkstemp(s->ca_file), "w");
    PEM_write_X509(f, x);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
    s->tls = tls;
}

void web_server_start(struct web_server *s, const char *address, bool with_tls)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    bool is_four = inet_pton(AF_INET, address, &four.sin_addr) == 1;
    if (!is_four)
        must(inet_pton(AF_INET6, address, &six.sin6_addr) == 1, "address");
    struct sockaddr *sa = is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    socklen_t size = is_four ? sizeof four : sizeof six;
    memset(s, 0, sizeof *s);
    if (with_tls)
        make_tls(s);
    s->listener = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(s->listener, sa, size) == 0 && listen(s->listener, 128) == 0 &&
             getsockname(s->listener, sa, &size) == 0,
         "listen");
    s->port = ntohs(is_four ? four.sin_port : six.sin6_port);
    snprintf(s->address, sizeof s->address, is_four ? "%s:%u" : "[%s]:%u", address, s->port);
    snprintf(s->origin, sizeof s->origin, "http%s://%s", with_tls ? "s" : "", s->address);
    pthread_t thread;
    must(pthread_create(&thread, NULL, accept_all, s) == 0, "thread");
    pthread_detach(thread);
}
