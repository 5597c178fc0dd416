// A small table of parsed certificates for each loop, looked through from its most recent one.
#include "edge/tls_domains.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include "edge/base/digest.h"
#include "edge/base/log.h"
#include "edge/base/seal.h"
#include "edge/loop/loop.h"
#include "edge/route/certificate.h"
#include "edge/route/hosts.h"

enum {
    SLOTS = 1024, // of buckets, a power of two
    KEPT = 2048,  // parsed at once, about 8 KB each
    NAME_MAX_BYTES = 253,
};

struct parsed {
    struct parsed *next;          // in its bucket
    struct parsed *newer, *older; // by use
    uint64_t number;              // of the certificate
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain;
    struct digest session_context; // of leaf and name: no session of another one resumes
};

struct kept {
    struct parsed *buckets[SLOTS], *newest, *oldest;
    size_t count;
};
static struct kept kept_of[LOOPS_MAX]; // each its loop's own

// --- parsing ---

static void parsed_free(struct parsed *p)
{
    X509_free(p->leaf);
    EVP_PKEY_free(p->key);
    sk_X509_pop_free(p->chain, X509_free);
    free(p);
}

static X509 *parse_leaf(str der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    return d2i_X509(NULL, &at, (long)der.n);
}

static EVP_PKEY *open_key(const struct certificate *c)
{
    struct buf plain;
    struct fault fault = {0};
    const struct seal_context where = {"domain_certificates", c->row, "key", c->project};
    EVP_PKEY *key = NULL;
    buf_init(&plain, CERTIFICATE_KEY_MAX);
    if (unseal(c->sealed_key, &where, &plain, &fault) == FAIL_NONE) {
        const unsigned char *at = (const unsigned char *)plain.p;
        key = d2i_AutoPrivateKey(NULL, &at, (long)plain.n);
    }
    seal_forget(&plain);
    return key;
}

static STACK_OF(X509) * parse_chain(const struct certificate_chain *c)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    str rest = c != NULL ? c->bytes : (str){0};
    uint32_t n;
    while (chain != NULL && rest.n > sizeof n) {
        memcpy(&n, rest.p, sizeof n);
        n = ntohl(n);
        rest = str_skip(rest, sizeof n);
        X509 *x = n <= rest.n ? parse_leaf(str_of(rest.p, n)) : NULL;
        if (x == NULL || sk_X509_push(chain, x) == 0) {
            X509_free(x);
            sk_X509_pop_free(chain, X509_free);
            return NULL;
        }
        rest = str_skip(rest, n);
    }
    return chain;
}

static struct digest session_context_of(const struct host *h)
{
    struct digest_stream *s = digest_begin();
    digest_update(s, h->certificate->leaf);
    digest_update(s, h->name);
    return digest_end(s);
}

static struct parsed *parse(const struct host *h)
{
    const struct certificate *c = h->certificate;
    struct parsed *p = calloc(1, sizeof *p);
    if (p == NULL)
        abort();
    p->number = c->number;
    p->session_context = session_context_of(h);
    p->leaf = parse_leaf(c->leaf);
    p->key = open_key(c);
    p->chain = parse_chain(c->chain);
    if (p->leaf != NULL && p->key != NULL && p->chain != NULL &&
        X509_check_private_key(p->leaf, p->key) == 1)
        return p;
    ERR_clear_error();
    parsed_free(p);
    return NULL;
}

// --- keeping ---

static struct parsed **bucket_of(struct kept *k, uint64_t number)
{
    return &k->buckets[number & (SLOTS - 1)];
}

static void unlink_use(struct kept *k, struct parsed *p)
{
    *(p->newer != NULL ? &p->newer->older : &k->newest) = p->older;
    *(p->older != NULL ? &p->older->newer : &k->oldest) = p->newer;
}

static void link_newest(struct kept *k, struct parsed *p)
{
    p->newer = NULL;
    p->older = k->newest;
    *(k->newest != NULL ? &k->newest->newer : &k->oldest) = p;
    k->newest = p;
}

static void forget_oldest(struct kept *k)
{
    struct parsed *p = k->oldest, **at = bucket_of(k, p->number);
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    unlink_use(k, p);
    parsed_free(p);
    --k->count;
}

// A certificate's number is one name's alone: it is a claim's.
static struct parsed *get(const struct host *h)
{
    struct kept *k = &kept_of[loop_index(loop_self())];
    uint64_t number = h->certificate->number;
    struct parsed **bucket = bucket_of(k, number), *p = *bucket;
    while (p != NULL && p->number != number)
        p = p->next;
    if (p != NULL) {
        unlink_use(k, p);
        link_newest(k, p);
        return p;
    }
    p = parse(h);
    if (p == NULL)
        return NULL;
    p->next = *bucket;
    *bucket = p;
    link_newest(k, p);
    if (++k->count > KEPT)
        forget_oldest(k);
    return p;
}

bool tls_domains_use(SSL *ssl, str name)
{
    char lower[NAME_MAX_BYTES];
    if (name.n == 0 || name.n > sizeof lower)
        return false;
    for (size_t i = 0; i != name.n; ++i)
        lower[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i];
    const struct host *h = hosts_find(str_of(lower, name.n));
    if (h == NULL || h->certificate == NULL)
        return false;
    struct parsed *p = get(h);
    SSL_certs_clear(ssl); // the listener's own may be of another kind, and so stand beside it
    if (p != NULL && SSL_use_cert_and_key(ssl, p->leaf, p->key, p->chain, 1) == 1 &&
        SSL_set_session_id_context(ssl, p->session_context.b, sizeof p->session_context.b) == 1)
        return true;
    ERR_clear_error();
    log_error("a domain's certificate cannot be used", "domain=%s certificate=%s", LOG_STR(h->name),
              h->certificate->row);
    return false;
}
