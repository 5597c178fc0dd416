// One front SSL_CTX that libh2o accepts with, and one more a certificate; the client-hello callback
// swaps to the right one.
#include "edge/tls.h"
#include <arpa/inet.h>
#include <assert.h>
#include <h2o.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "edge/base/log.h"
#include "edge/tls_domains.h"
#include "edge/tls_tickets.h"

struct certificates {
    SSL_CTX *contexts[SETTINGS_CERTIFICATES_MAX];
    size_t count, fallback;
};

static SSL_CTX *front;
static pthread_rwlock_t lock =
    PTHREAD_RWLOCK_INITIALIZER; // guards `certificates`: read once a handshake, written at a reload
static struct certificates certificates;
void (*tls_on_hello)(SSL *ssl, void *h2o_socket);

static bool covers(X509 *certificate, str host)
{
    if (host.n > 2 && host.p[0] == '[')
        host = str_of(host.p + 1, host.n - 2);
    char *z = str_dup(host);
    bool yes = X509_check_host(certificate, host.p, host.n, 0, NULL) == 1 ||
               X509_check_ip_asc(certificate, z, 0) == 1;
    free(z);
    return yes;
}

// The name of the handshake. OpenSSL tells a TLS 1.2 session's in place of the client's; a domain's
// sessions are bound to its name, so that it is the same.
static bool is_name_of(SSL *ssl, str host)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return name != NULL && str_caseeq(str_from(name), host);
}

// Only a domain's handshake stays with the front context.
bool tls_covers(SSL *ssl, str host)
{
    X509 *certificate = SSL_get_certificate(ssl);
    if (SSL_get_SSL_CTX(ssl) == front && !is_name_of(ssl, host))
        return false;
    return certificate != NULL && covers(certificate, host);
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                   const unsigned char *in, unsigned in_length, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    if (SSL_select_next_proto((unsigned char **)out, out_length, ours, sizeof ours - 1, in,
                              in_length) == OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_OK;
    return SSL_TLSEXT_ERR_ALERT_FATAL; // RFC 7301 §3.2
}

// libh2o closes a failed handshake without flushing OpenSSL's alert (libh2o 2.2.5), so one that
// answers the client's hello is written to the socket here: a plaintext record, since nothing is
// encrypted before the server's own hello (RFC 8446 §5.1).
static void on_info(const SSL *ssl, int where, int value)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    if (where != SSL_CB_WRITE_ALERT || value >> 8 != SSL3_AL_FATAL ||
        (state != TLS_ST_BEFORE && state != TLS_ST_SR_CLNT_HELLO))
        return;
    unsigned char alert[] = {SSL3_RT_ALERT, 3, 3, 0, 2, SSL3_AL_FATAL, (unsigned char)value};
    h2o_socket_t *sock = BIO_get_data(SSL_get_rbio(ssl));
    if (send(h2o_socket_get_fd(sock), alert, sizeof alert, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return; // the client has gone; so will the connection
}

// The first name of the extension as RFC 6066 §3 has it; empty when there is none, or when it is
// malformed, which OpenSSL refuses a little later.
static str name_of_hello(SSL *ssl)
{
    const unsigned char *p;
    size_t n;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1 || n < 5 ||
        p[2] != TLSEXT_NAMETYPE_host_name || (size_t)(p[3] << 8 | p[4]) != n - 5 ||
        n - 5 > TLSEXT_MAXLEN_host_name)
        return (str){0};
    return str_of((const char *)p + 5, n - 5);
}

// The certificate is chosen before a session is looked for: sessions belong to a certificate
// (new_context), so one of another name's, or of a certificate that has been replaced, is not
// resumed. OpenSSL's servername callback comes too late for that, and with TLS 1.2 tells the
// session's name in place of the client's.
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    str name = name_of_hello(ssl);
    if (tls_on_hello != NULL)
        tls_on_hello(ssl, BIO_get_data(SSL_get_rbio(ssl)));
    pthread_rwlock_rdlock(&lock);
    SSL_CTX *found = name.n == 0 ? certificates.contexts[certificates.fallback] : NULL;
    for (size_t i = 0; found == NULL && i != certificates.count; ++i)
        if (covers(SSL_CTX_get0_certificate(certificates.contexts[i]), name))
            found = certificates.contexts[i];
    if (found != NULL)
        SSL_set_SSL_CTX(ssl, found); // takes a reference of its own
    pthread_rwlock_unlock(&lock);
    if (found != NULL || (name.n != 0 && tls_domains_use(ssl, name)))
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_CLIENT_HELLO_ERROR;
}

// The name has been used: that is said in the server's hello (RFC 6066 §3).
static int on_servername(SSL *ssl, int *alert, void *arg)
{
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *new_context(void)
{
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    assert(c != NULL);
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS); // half of what an idle connection would hold
    SSL_CTX_set_info_callback(c, on_info);
    SSL_CTX_set_alpn_select_cb(c, on_alpn,
                               NULL); // read from the context that is current after the swap
    return c;
}

// Sessions are those of one certificate.
static bool bind_sessions(SSL_CTX *c)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n;
    return X509_digest(SSL_CTX_get0_certificate(c), EVP_sha256(), digest, &n) == 1 &&
           SSL_CTX_set_session_id_context(c, digest, n) == 1;
}

// A chain as PEM text: the leaf first, then what signed it.
static bool use_chain(SSL_CTX *c, const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    X509 *x = PEM_read_bio_X509(in, NULL, NULL, NULL);
    bool ok = x != NULL && SSL_CTX_use_certificate(c, x) == 1;
    X509_free(x);
    while (ok && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
        if (SSL_CTX_add0_chain_cert(c, x) != 1) { // takes x when it succeeds
            X509_free(x);
            ok = false;
        }
    BIO_free(in);
    ERR_clear_error(); // the end of the text is told as an error
    return ok;
}

static bool use_key(SSL_CTX *c, const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    bool ok =
        key != NULL && SSL_CTX_use_PrivateKey(c, key) == 1 && SSL_CTX_check_private_key(c) == 1;
    EVP_PKEY_free(key);
    BIO_free(in);
    return ok;
}

static void certificates_fini(struct certificates *cs)
{
    for (size_t i = 0; i != cs->count; ++i)
        SSL_CTX_free(cs->contexts[i]);
}

static enum fail load(struct certificates *ret, const struct settings_certificate *list,
                      size_t count, str fallback_host, struct fault *fault)
{
    struct certificates cs = {0};
    for (size_t i = 0; i != count && i != SETTINGS_CERTIFICATES_MAX; ++i) {
        SSL_CTX *c = cs.contexts[cs.count++] = new_context();
        if (!use_chain(c, list[i].chain) || !use_key(c, list[i].key) || !bind_sessions(c)) {
            certificates_fini(&cs);
            return fault_set(fault, FAIL_BAD_INPUT, "bad_certificate",
                             "Certificate %zu of tls_certificate cannot be used with its key.",
                             i + 1);
        }
    }
    for (size_t i = cs.count; i-- != 0;)
        if (covers(SSL_CTX_get0_certificate(cs.contexts[i]), fallback_host))
            cs.fallback = i;
    *ret = cs;
    return FAIL_NONE;
}

enum fail tls_replace(const struct settings_certificate *list, size_t count, str fallback_host,
                      struct fault *fault)
{
    struct certificates now, before;
    enum fail fail = load(&now, list, count, fallback_host, fault);
    if (fail != FAIL_NONE)
        return fail;
    pthread_rwlock_wrlock(&lock);
    before = certificates;
    certificates = now;
    pthread_rwlock_unlock(&lock);
    certificates_fini(&before);
    return FAIL_NONE;
}

enum fail tls_init(const struct settings_certificate *list, size_t count, str fallback_host,
                   uint64_t ticket_interval_ms, struct fault *fault)
{
    enum fail fail = tls_replace(list, count, fallback_host, fault);
    if (fail != FAIL_NONE)
        return fail;
    front = new_context();
    SSL_CTX_set_client_hello_cb(front, on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(front, on_servername);
    tls_tickets_init(front, ticket_interval_ms);
    if (!use_chain(front, list[0].chain) ||
        !use_key(front, list[0].key)) // for TLS 1.3's choice of signature before the name is known
        return fault_set(fault, FAIL_BAD_INPUT, "bad_certificate",
                         "The first certificate of tls_certificate cannot be used with its key.");
    return FAIL_NONE;
}

SSL_CTX *tls_context(void)
{
    return front;
}
