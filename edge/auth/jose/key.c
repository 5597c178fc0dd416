// Keys: from PEM and back, with every kind but two refused by a sentence that says what to do instead.
#include "edge/auth/jose/internal.h"
#include <assert.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, RSA_E = 65537 };

static enum fail refuse(struct fault *fault, const char *sentence)
{
    return fault_set(fault, FAIL_REFUSED, "bad_key", "%s", sentence);
}

// --- PEM ---

static str without_space(str s)
{
    while (s.n != 0 && strchr(" \t\r\n", s.p[0]) != NULL && s.p[0] != '\0')
        s = str_skip(s, 1);
    while (s.n != 0 && strchr(" \t\r\n", s.p[s.n - 1]) != NULL && s.p[s.n - 1] != '\0')
        --s.n;
    return s;
}

static enum fail wrong_label(const char *label, const char *wanted, struct fault *fault)
{
    str seen = str_from(label);
    bool wants_public = strcmp(wanted, PEM_STRING_PUBLIC) == 0;
    if (wants_public && str_ends(seen, STR("PRIVATE KEY")))
        return refuse(fault, "This is a private key. Keep it to yourself, and give its public "
                             "half: openssl pkey -in KEY.pem -pubout");
    if (wants_public && str_eq(seen, STR("RSA PUBLIC KEY")))
        return refuse(fault, "This is a public key in the older form of PKCS #1. Convert it: "
                             "openssl rsa -RSAPublicKey_in -in KEY.pem -pubout");
    if (wants_public && str_ends(seen, STR("CERTIFICATE")))
        return refuse(fault, "This is a certificate. Give the public key in it: openssl x509 -in "
                             "CERT.pem -noout -pubkey");
    return fault_set(fault, FAIL_REFUSED, "bad_key",
                     "The key must be PEM that begins with -----BEGIN %s-----.", wanted);
}

struct pem {
    char *label, *header;
    unsigned char *der;
    long n;
};

static void pem_fini(struct pem *p)
{
    OPENSSL_free(p->label);
    OPENSSL_free(p->header);
    if (p->der != NULL)
        OPENSSL_cleanse(p->der, (size_t)p->n);
    OPENSSL_free(p->der);
}

// The one block there is.
static bool read_pem(str text, struct pem *ret)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    if (bio == NULL)
        abort();
    bool ok = str_starts(text, STR("-----BEGIN ")) &&
              PEM_read_bio(bio, &ret->label, &ret->header, &ret->der, &ret->n) == 1 &&
              BIO_pending(bio) == 0 && ret->header[0] == '\0';
    BIO_free(bio);
    return ok;
}

static EVP_PKEY *pkey_of(const struct pem *p, bool is_private)
{
    const unsigned char *at = p->der;
    EVP_PKEY *pkey = NULL;
    if (!is_private)
        pkey = d2i_PUBKEY(NULL, &at, p->n);
    else {
        PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, p->n);
        pkey = info != NULL ? EVP_PKCS82PKEY(info) : NULL;
        PKCS8_PRIV_KEY_INFO_free(info);
    }
    if (pkey != NULL && at != p->der + p->n) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

// --- kinds ---

static bool has_exponent(EVP_PKEY *pkey, unsigned long wanted)
{
    BIGNUM *e = NULL;
    bool is = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_word(e, wanted);
    BN_free(e);
    return is;
}

static bool text_param_is(EVP_PKEY *pkey, const char *name, const char *wanted)
{
    char value[64] = "";
    return EVP_PKEY_get_utf8_string_param(pkey, name, value, sizeof value, NULL) == 1 &&
           strcmp(value, wanted) == 0;
}

// What the numbers themselves give away: a point off the curve, a modulus with small factors.
static bool is_sound(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    if (ctx == NULL)
        abort();
    bool ok = EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static enum fail check_rsa(EVP_PKEY *pkey, struct fault *fault)
{
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return fault_set(fault, FAIL_REFUSED, "bad_key",
                         "The RSA key has %d bits; it must have 2048 to 4096.", bits);
    if (!has_exponent(pkey, RSA_E))
        return refuse(fault, "The RSA key's public exponent must be 65537.");
    return FAIL_NONE;
}

// The curve by its name: parameters of the key's own could be made to fit any signature.
static enum fail check_ec(EVP_PKEY *pkey, struct fault *fault)
{
    if (text_param_is(pkey, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1") &&
        text_param_is(pkey, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_GROUP))
        return FAIL_NONE;
    return refuse(fault, "The elliptic curve must be P-256, given by its name.");
}

static enum fail check_kind(EVP_PKEY *pkey, bool is_new, enum jose_kind *ret, struct fault *fault)
{
    bool is_rsa = EVP_PKEY_is_a(pkey, "RSA"), is_ec = EVP_PKEY_is_a(pkey, "EC");
    if (!is_rsa && !is_ec)
        return refuse(fault, "The key must be an RSA key (not one for RSA-PSS alone) or one on the "
                             "curve P-256.");
    enum fail f = is_rsa ? check_rsa(pkey, fault) : check_ec(pkey, fault);
    if (f == FAIL_NONE && is_new && !is_sound(pkey))
        f = refuse(fault, "The key's numbers are not those of a sound key.");
    *ret = is_rsa ? JOSE_RS256 : JOSE_ES256;
    return f;
}

// --- life ---

// Takes the pkey.
static struct jose_key *wrap(EVP_PKEY *pkey, enum jose_kind kind, bool is_private)
{
    struct jose_key *k = malloc(sizeof *k);
    if (k == NULL)
        abort();
    *k = (struct jose_key){.pkey = pkey, .kind = kind, .is_private = is_private, .refs = 1};
    return k;
}

// How far a key is trusted: one that somebody brings, one we kept, our own.
enum kind_of_use { BROUGHT, KEPT, PRIVATE };

static enum fail key_of(const struct pem *p, enum kind_of_use use, struct jose_key **ret,
                        struct fault *fault)
{
    bool is_private = use == PRIVATE;
    const char *wanted = is_private ? PEM_STRING_PKCS8INF : PEM_STRING_PUBLIC;
    enum jose_kind kind = JOSE_RS256;
    if (strcmp(p->label, wanted) != 0)
        return wrong_label(p->label, wanted, fault);
    EVP_PKEY *pkey = pkey_of(p, is_private);
    if (pkey == NULL)
        return refuse(fault, "The PEM holds no key that can be read.");
    enum fail f = check_kind(pkey, use == BROUGHT, &kind, fault);
    if (f == FAIL_NONE)
        *ret = wrap(pkey, kind, is_private);
    else
        EVP_PKEY_free(pkey);
    return f;
}

static enum fail load(str text, enum kind_of_use use, struct jose_key **ret, struct fault *fault)
{
    struct pem p = {0};
    str trimmed = without_space(text);
    enum fail f = FAIL_NONE;
    if (trimmed.n > JOSE_PEM_MAX)
        return refuse(fault, "The key is longer than 8 KiB.");
    if (read_pem(trimmed, &p))
        f = key_of(&p, use, ret, fault);
    else
        f = refuse(fault, use == PRIVATE ? "The key must be one block of PEM, -----BEGIN PRIVATE "
                                           "KEY-----, and nothing else."
                                         : "The key must be one block of PEM, -----BEGIN PUBLIC "
                                           "KEY-----, and nothing else.");
    pem_fini(&p);
    ERR_clear_error(); // the queue is the thread's, TLS reads it too
    return f;
}

enum fail jose_key_public(str pem, struct jose_key **ret, struct fault *fault)
{
    return load(pem, BROUGHT, ret, fault);
}

enum fail jose_key_public_kept(str pem, struct jose_key **ret, struct fault *fault)
{
    return load(pem, KEPT, ret, fault);
}

enum fail jose_key_private(str pem, struct jose_key **ret, struct fault *fault)
{
    return load(pem, PRIVATE, ret, fault);
}

struct jose_key *jose_key_ref(struct jose_key *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void jose_key_destroy(struct jose_key *k)
{
    if (k == NULL || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
        return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

struct jose_key *jose_key_generate(enum jose_kind kind)
{
    EVP_PKEY *pkey = kind == JOSE_RS256 ? EVP_RSA_gen(RSA_BITS_MAX) : EVP_EC_gen("P-256");
    assert(pkey != NULL);
    return wrap(pkey, kind, true);
}

enum jose_kind jose_key_kind(const struct jose_key *k)
{
    return k->kind;
}

const char *jose_key_algorithm(const struct jose_key *k)
{
    return k->kind == JOSE_RS256 ? "RS256" : "ES256";
}

// --- out again ---

static char *written(BIO *bio, int ok)
{
    char *at = NULL;
    assert(ok == 1);
    long n = BIO_get_mem_data(bio, &at);
    char *text = str_dup(str_of(at, (size_t)n));
    BIO_free(bio);
    return text;
}

char *jose_key_public_pem(const struct jose_key *k)
{
    BIO *bio = BIO_new(BIO_s_mem());
    return written(bio, PEM_write_bio_PUBKEY(bio, k->pkey));
}

char *jose_key_private_pem(const struct jose_key *k)
{
    assert(k->is_private);
    BIO *bio = BIO_new(BIO_s_secmem()); // cleared when it is freed
    return written(bio, PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL));
}

// RFC 7518 §6.2.1, §6.3.1: big-endian; coordinates at full length, RSA's numbers at their own.
static void add_number(json_t *jwk, const char *member, const struct jose_key *k, const char *param,
                       int width)
{
    uint8_t bytes[JOSE_SIGNATURE_MAX];
    char text[JOSE_SIGNATURE_MAX * 4 / 3 + 3];
    BIGNUM *n = NULL;
    int ok = EVP_PKEY_get_bn_param(k->pkey, param, &n);
    assert(ok == 1);
    int size = width != 0 ? width : BN_num_bytes(n);
    BN_bn2binpad(n, bytes, size);
    BN_free(n);
    base64url_encode(str_of(bytes, (size_t)size), text, sizeof text);
    json_object_set_new(jwk, member, json_string(text));
}

json_t *jose_key_jwk(const struct jose_key *k, const char *kid)
{
    bool is_rsa = k->kind == JOSE_RS256;
    json_t *jwk = json_pack("{ss ss ss ss}", "kty", is_rsa ? "RSA" : "EC", "use", "sig", "alg",
                            jose_key_algorithm(k), "kid", kid);
    assert(jwk != NULL);
    if (is_rsa) {
        add_number(jwk, "n", k, OSSL_PKEY_PARAM_RSA_N, 0);
        add_number(jwk, "e", k, OSSL_PKEY_PARAM_RSA_E, 0);
        return jwk;
    }
    json_object_set_new(jwk, "crv", json_string("P-256"));
    add_number(jwk, "x", k, OSSL_PKEY_PARAM_EC_PUB_X, JOSE_ES256_HALF);
    add_number(jwk, "y", k, OSSL_PKEY_PARAM_EC_PUB_Y, JOSE_ES256_HALF);
    return jwk;
}
