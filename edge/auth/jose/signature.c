// Signing and verifying with parsed keys. ES256 signatures are r and s one behind the other (RFC 7518
// §3.4), where OpenSSL has them in DER.
#include "edge/auth/jose/internal.h"
#include <assert.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"

enum { DER_MAX = 72 }; // of a P-256 signature

static size_t der_of(const uint8_t raw[static JOSE_ES256_SIZE], uint8_t der[static DER_MAX])
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, JOSE_ES256_HALF, NULL);
    BIGNUM *s = BN_bin2bn(raw + JOSE_ES256_HALF, JOSE_ES256_HALF, NULL);
    if (sig == NULL || r == NULL || s == NULL)
        abort();
    ECDSA_SIG_set0(sig, r, s);
    int n = i2d_ECDSA_SIG(sig, &der);
    ECDSA_SIG_free(sig);
    return n > 0 ? (size_t)n : 0;
}

static void raw_of(const uint8_t *der, size_t n, uint8_t raw[static JOSE_ES256_SIZE])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    int ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, JOSE_ES256_HALF) > 0 &&
             BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + JOSE_ES256_HALF, JOSE_ES256_HALF) > 0;
    assert(ok);
    ECDSA_SIG_free(sig);
}

static bool is_signed_by(EVP_PKEY *pkey, str input, const uint8_t *signature, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL)
        abort();
    bool ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
              EVP_DigestVerify(ctx, signature, n, (const unsigned char *)input.p, input.n) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        ERR_clear_error(); // the queue is the thread's, TLS reads it too
    return ok;
}

static bool is_good(const struct jose_token *t, const struct jose_key *k)
{
    uint8_t der[DER_MAX];
    if (!str_eq(str_from(t->alg), str_from(jose_key_algorithm(k))))
        return false;
    if (k->kind == JOSE_RS256)
        return is_signed_by(k->pkey, t->signing_input, t->signature, t->signature_size);
    return t->signature_size == JOSE_ES256_SIZE &&
           is_signed_by(k->pkey, t->signing_input, der, der_of(t->signature, der));
}

enum fail jose_verify(const struct jose_token *t, const struct jose_key *k, struct fault *fault)
{
    if (is_good(t, k))
        return FAIL_NONE;
    return fault_set(fault, FAIL_UNAUTHORISED, "bad_signature",
                     "The token's signature is not the one of the key its \"kid\" names, made with "
                     "%s.",
                     jose_key_algorithm(k));
}

static size_t sign(const struct jose_key *k, str input,
                   uint8_t signature[static JOSE_SIGNATURE_MAX])
{
    uint8_t bytes[JOSE_SIGNATURE_MAX];
    size_t n = sizeof bytes;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
             EVP_DigestSign(ctx, bytes, &n, (const unsigned char *)input.p, input.n) == 1;
    assert(ok);
    EVP_MD_CTX_free(ctx);
    if (k->kind == JOSE_ES256) {
        raw_of(bytes, n, signature);
        return JOSE_ES256_SIZE;
    }
    memcpy(signature, bytes, n);
    return n;
}

static void add_base64url(struct buf *to, str bytes)
{
    size_t room = (bytes.n * 4 + 2) / 3 + 1;
    char *at = buf_reserve(to, room);
    assert(at != NULL);
    to->n += base64url_encode(bytes, at, room);
}

static void add_json(struct buf *to, const json_t *value)
{
    size_t n = 0;
    char *text AUTOFREE = jsonx_dump(value, &n);
    add_base64url(to, str_of(text, n));
}

char *jose_sign(const struct jose_key *k, const char *kid, const char *typ, const json_t *payload)
{
    struct buf b;
    uint8_t signature[JOSE_SIGNATURE_MAX];
    assert(k->is_private);
    json_auto_t *header =
        json_pack("{ss ss ss}", "alg", jose_key_algorithm(k), "typ", typ, "kid", kid);
    assert(header != NULL);
    buf_init(&b, 2 * JOSE_TOKEN_MAX);
    add_json(&b, header);
    buf_addc(&b, '.');
    add_json(&b, payload);
    size_t n = sign(k, buf_str(&b), signature);
    buf_addc(&b, '.');
    add_base64url(&b, str_of(signature, n));
    assert(!b.full);
    return buf_take(&b);
}
