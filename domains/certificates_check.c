// A browser's questions, asked before one does. The last is the handshake itself, against the
// chain's own top: whether that is one browsers know is not ours to say (an owner may serve
// colleagues only).
#include "domains/certificates.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include "edge/base/clock.h"
#include "edge/base/seal.h"
#include "edge/route/certificate.h"

enum { CHAIN_LENGTH_MAX = 8, RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, TURNS_MAX = 16 };

struct certificate_chain_read {
    X509 *list[CHAIN_LENGTH_MAX];
    size_t count;
};
typedef struct certificate_chain_read chain_read;

static enum fail refuse(struct fault *fault, const char *why)
{
    ERR_clear_error();
    return fault_set(fault, FAIL_REFUSED, "invalid_certificate", "%s", why);
}

// --- PEM ---

static void chain_fini(chain_read *c)
{
    for (size_t i = 0; i != c->count; ++i)
        X509_free(c->list[i]);
    c->count = 0;
}

static enum fail read_chain(str pem, chain_read *ret, struct fault *fault)
{
    X509 *x;
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (in == NULL)
        abort();
    while (ret->count != CHAIN_LENGTH_MAX &&
           (x = PEM_read_bio_X509(in, NULL, NULL, (void *)"")) != NULL)
        ret->list[ret->count++] = x;
    bool is_rest_empty = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(in);
    if (ret->count == 0)
        return refuse(fault,
                      "The chain holds no certificate in PEM (-----BEGIN CERTIFICATE-----).");
    if (ret->count == CHAIN_LENGTH_MAX)
        return refuse(fault, "The chain is too long: at most seven certificates.");
    if (!is_rest_empty)
        return refuse(fault, "A certificate of the chain cannot be read.");
    ERR_clear_error();
    return FAIL_NONE;
}

static int no_password(char *to, int room, int is_writing, void *arg)
{
    *(bool *)arg = true;
    return -1;
}

static bool is_good_key(EVP_PKEY *key)
{
    char group[32];
    int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0);
}

enum fail certificate_read_key(str pem, EVP_PKEY **ret, struct fault *fault)
{
    bool is_encrypted = false;
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (in == NULL)
        abort();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_password, &is_encrypted);
    BIO_free(in);
    if (key == NULL)
        return refuse(
            fault, is_encrypted
                       ? "The key is encrypted. Give it without a password: it is encrypted here."
                       : "The key cannot be read: a private key in PEM is needed (-----BEGIN "
                         "PRIVATE KEY-----).");
    if (!is_good_key(key)) {
        EVP_PKEY_free(key);
        return refuse(fault, "The key must be RSA of 2048 to 4096 bits, or ECDSA on P-256 or "
                             "P-384.");
    }
    *ret = key;
    return FAIL_NONE;
}

// --- what is in it ---

static int64_t ms_of(const ASN1_TIME *t)
{
    int days, seconds;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    if (epoch == NULL)
        abort();
    bool ok = ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;
    ASN1_TIME_free(epoch);
    return ok ? ((int64_t)days * 24 * 60 * 60 + seconds) * 1000 : 0;
}

static enum fail refuse_date(struct fault *fault, const char *what, int64_t at)
{
    char text[CLOCK_RFC3339_ROOM], why[160];
    clock_rfc3339(at > 0 ? at : 0, text);
    snprintf(why, sizeof why, "The certificate %s %.10s.", what, text);
    return refuse(fault, why);
}

static enum fail check_leaf(X509 *leaf, EVP_PKEY *key, const char *hostname, int64_t now,
                            struct certificate_parts *ret, struct fault *fault)
{
    char why[400];
    ret->not_before = ms_of(X509_get0_notBefore(leaf));
    ret->not_after = ms_of(X509_get0_notAfter(leaf));
    if (X509_check_private_key(leaf, key) != 1)
        return refuse(fault, "The key is not the first certificate's. The server's own certificate "
                             "must come first, its issuers behind it.");
    if (X509_check_host(leaf, hostname, 0,
                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                        NULL) != 1) {
        snprintf(why, sizeof why, "The certificate does not name %.253s.", hostname);
        return refuse(fault, why);
    }
    if (now < ret->not_before)
        return refuse_date(fault, "is not valid before", ret->not_before);
    if (now >= ret->not_after)
        return refuse_date(fault, "was valid until", ret->not_after);
    if (X509_check_purpose(leaf, X509_PURPOSE_SSL_SERVER, 0) != 1)
        return refuse(fault, "The certificate is not one for servers.");
    return FAIL_NONE;
}

static enum fail check_order(const chain_read *c, int64_t now, struct fault *fault)
{
    char why[160];
    for (size_t i = 1; i != c->count; ++i) {
        X509 *below = c->list[i - 1], *above = c->list[i];
        if (X509_check_issued(above, below) != X509_V_OK ||
            X509_verify(below, X509_get0_pubkey(above)) != 1) {
            snprintf(why, sizeof why,
                     "Certificate %zu of the chain did not sign the one before it. Leaf first, "
                     "then its issuer, and so on.",
                     i + 1);
            return refuse(fault, why);
        }
        if (now >= ms_of(X509_get0_notAfter(above)))
            return refuse(fault, "An issuer's certificate in the chain has run out.");
    }
    return FAIL_NONE;
}

// --- a handshake with ourselves ---

static SSL_CTX *make_server(const chain_read *c, EVP_PKEY *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool ok = ctx != NULL && SSL_CTX_use_certificate(ctx, c->list[0]) == 1 &&
              SSL_CTX_use_PrivateKey(ctx, key) == 1;
    for (size_t i = 1; ok && i != c->count; ++i)
        ok = SSL_CTX_add1_chain_cert(ctx, c->list[i]) == 1;
    if (ok)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

static SSL_CTX *make_client(X509 *trusted)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        abort();
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), trusted);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    return ctx;
}

// One side's turn: false when it has failed.
static bool take_turn(SSL *side, bool *ret_done)
{
    ERR_clear_error(); // SSL_get_error looks at what is there
    int n = SSL_do_handshake(side);
    *ret_done = n == 1;
    return n == 1 || SSL_get_error(side, n) == SSL_ERROR_WANT_READ;
}

static bool talk(SSL *client, SSL *server)
{
    bool is_client_done = false, is_server_done = false;
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
    BIO_up_ref(to_server);
    BIO_up_ref(to_client);
    SSL_set_bio(client, to_client, to_server);
    SSL_set_bio(server, to_server, to_client);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int i = 0; i != TURNS_MAX && !(is_client_done && is_server_done); ++i)
        if (!take_turn(client, &is_client_done) || !take_turn(server, &is_server_done))
            return false;
    return is_client_done && is_server_done;
}

static enum fail check_handshake(const chain_read *c, EVP_PKEY *key, const char *hostname,
                                 struct fault *fault)
{
    char why[300];
    SSL_CTX *server = make_server(c, key);
    if (server == NULL)
        return refuse(fault, "Certificate and key are too weak for today's TLS.");
    SSL_CTX *client = make_client(c->list[c->count - 1]);
    SSL *a = SSL_new(client), *b = SSL_new(server);
    SSL_set_tlsext_host_name(a, hostname);
    SSL_set1_host(a, hostname);
    bool ok = talk(a, b) && SSL_get_verify_result(a) == X509_V_OK;
    long verdict = SSL_get_verify_result(a);
    const char *words = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                                             : ERR_reason_error_string(ERR_peek_error());
    snprintf(why, sizeof why, "A handshake with it fails: %.200s.", words != NULL ? words : "TLS");
    SSL_free(a);
    SSL_free(b);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    ERR_clear_error();
    return ok ? FAIL_NONE : refuse(fault, why);
}

// --- all of it ---

static void add_der(struct buf *to, X509 *x, bool with_length)
{
    unsigned char *der = NULL;
    int n = i2d_X509(x, &der);
    if (n <= 0)
        abort();
    uint32_t length = htonl((uint32_t)n);
    if (with_length)
        buf_add(to, str_of(&length, sizeof length));
    buf_add(to, str_of(der, (size_t)n));
    OPENSSL_free(der);
}

static enum fail write_parts(const chain_read *c, EVP_PKEY *key, struct certificate_parts *ret,
                             struct fault *fault)
{
    add_der(&ret->leaf, c->list[0], false);
    for (size_t i = 1; i != c->count; ++i)
        add_der(&ret->chain, c->list[i], true);
    acme_key_write(key, &ret->key);
    if (ret->leaf.full || ret->chain.full || ret->key.full)
        return refuse(fault, "The certificate is too large.");
    return FAIL_NONE;
}

enum fail certificate_check(str chain_pem, EVP_PKEY *key, const char *hostname, int64_t now,
                            struct certificate_parts *ret, struct fault *fault)
{
    chain_read c = {.count = 0};
    *ret = (struct certificate_parts){.not_before = 0};
    buf_init(&ret->leaf, CERTIFICATE_LEAF_MAX);
    buf_init(&ret->chain, CERTIFICATE_CHAIN_MAX);
    buf_init(&ret->key, CERTIFICATE_KEY_MAX - SEAL_OVERHEAD);
    enum fail f = read_chain(chain_pem, &c, fault);
    if (f == FAIL_NONE)
        f = check_leaf(c.list[0], key, hostname, now, ret, fault);
    if (f == FAIL_NONE)
        f = check_order(&c, now, fault);
    if (f == FAIL_NONE)
        f = check_handshake(&c, key, hostname, fault);
    if (f == FAIL_NONE)
        f = write_parts(&c, key, ret, fault);
    chain_fini(&c);
    return f;
}

void certificate_parts_fini(struct certificate_parts *p)
{
    buf_fini(&p->leaf);
    buf_fini(&p->chain);
    seal_forget(&p->key);
}
