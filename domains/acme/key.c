// OpenSSL's keys in the field's own notations.
#include "domains/acme/key.h"
#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include "edge/base/digest.h"
#include "edge/base/jsonx.h"

enum { COORDINATE = 32, SIGNATURE_MAX = 80, BINDING_KEY_MAX = 128 };

EVP_PKEY *acme_key_make(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (key == NULL)
        abort();
    return key;
}

void acme_key_write(EVP_PKEY *key, struct buf *to)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    unsigned char *der = NULL;
    int n = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
    if (n <= 0)
        abort();
    buf_add(to, str_of((char *)der, (size_t)n));
    OPENSSL_clear_free(der, (size_t)n);
    PKCS8_PRIV_KEY_INFO_free(info);
}

static bool is_p256(EVP_PKEY *key)
{
    char group[32];
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                          NULL) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

EVP_PKEY *acme_key_read(str der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)der.n);
    if (key != NULL && is_p256(key))
        return key;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return NULL;
}

static void add_base64url(struct buf *to, str s)
{
    size_t room = (s.n * 4 + 2) / 3 + 1;
    char *text = malloc(room);
    if (text == NULL)
        abort();
    buf_add(to, str_of(text, base64url_encode(s, text, room)));
    free(text);
}

static void add_coordinate(struct buf *to, EVP_PKEY *key, const char *name)
{
    unsigned char bytes[COORDINATE];
    BIGNUM *n = NULL;
    if (EVP_PKEY_get_bn_param(key, name, &n) != 1 || BN_bn2binpad(n, bytes, sizeof bytes) < 0)
        abort();
    BN_free(n);
    add_base64url(to, str_of((char *)bytes, sizeof bytes));
}

void acme_key_jwk(EVP_PKEY *key, struct buf *to)
{
    buf_add(to, STR("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\""));
    add_coordinate(to, key, OSSL_PKEY_PARAM_EC_PUB_X);
    buf_add(to, STR("\",\"y\":\""));
    add_coordinate(to, key, OSSL_PKEY_PARAM_EC_PUB_Y);
    buf_add(to, STR("\"}"));
}

void acme_key_thumbprint(EVP_PKEY *key, char to[static ACME_THUMBPRINT_ROOM])
{
    struct buf jwk;
    buf_init(&jwk, 512);
    acme_key_jwk(key, &jwk);
    struct digest d = digest_sha256(buf_str(&jwk));
    buf_fini(&jwk);
    base64url_encode(str_of(d.b, sizeof d.b), to, ACME_THUMBPRINT_ROOM);
}

// R and S, 32 bytes each (RFC 7518 §3.4).
static void add_signature(struct buf *to, EVP_PKEY *key, str what)
{
    unsigned char der[SIGNATURE_MAX], raw[2 * COORDINATE];
    size_t n = sizeof der;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, der, &n, (const unsigned char *)what.p, what.n) != 1)
        abort();
    EVP_MD_CTX_free(ctx);
    const unsigned char *at = der;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &at, (long)n);
    if (s == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, COORDINATE) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + COORDINATE, COORDINATE) < 0)
        abort();
    ECDSA_SIG_free(s);
    add_base64url(to, str_of((char *)raw, sizeof raw));
}

static void add_protected(struct buf *to, EVP_PKEY *key, const char *kid, const char *nonce,
                          const char *url)
{
    buf_add(to, STR("{\"alg\":\"ES256\","));
    if (kid != NULL) {
        buf_add(to, STR("\"kid\":"));
        jsonx_add_string(to, str_from(kid));
    } else {
        buf_add(to, STR("\"jwk\":"));
        acme_key_jwk(key, to);
    }
    buf_add(to, STR(",\"nonce\":"));
    jsonx_add_string(to, str_from(nonce));
    buf_add(to, STR(",\"url\":"));
    jsonx_add_string(to, str_from(url));
    buf_addc(to, '}');
}

void acme_key_sign(EVP_PKEY *key, const char *kid, const char *nonce, const char *url, str payload,
                   struct buf *to)
{
    struct buf header, signed_text;
    buf_init(&header, 8192);
    buf_init(&signed_text, 256 * 1024);
    add_protected(&header, key, kid, nonce, url);
    add_base64url(&signed_text, buf_str(&header));
    size_t dot = signed_text.n;
    buf_addc(&signed_text, '.');
    add_base64url(&signed_text, payload);
    assert(!header.full && !signed_text.full);
    str all = buf_str(&signed_text);
    buf_addf(to, "{\"protected\":\"%.*s\",\"payload\":\"", (int)dot, all.p);
    buf_add(to, str_skip(all, dot + 1));
    buf_add(to, STR("\",\"signature\":\""));
    add_signature(to, key, all);
    buf_add(to, STR("\"}"));
    buf_fini(&header);
    buf_fini(&signed_text);
}

void acme_key_bind(EVP_PKEY *key, const char *kid, str mac, const char *url, struct buf *to)
{
    struct buf header, jwk, signed_text;
    uint8_t secret[BINDING_KEY_MAX];
    size_t n = 0;
    buf_init(&header, 4096);
    buf_init(&jwk, 1024);
    buf_init(&signed_text, 8192);
    if (!base64url_decode(mac, secret, sizeof secret, &n))
        abort();
    buf_add(&header, STR("{\"alg\":\"HS256\",\"kid\":"));
    jsonx_add_string(&header, str_from(kid));
    buf_add(&header, STR(",\"url\":"));
    jsonx_add_string(&header, str_from(url));
    buf_addc(&header, '}');
    acme_key_jwk(key, &jwk);
    add_base64url(&signed_text, buf_str(&header));
    size_t dot = signed_text.n;
    buf_addc(&signed_text, '.');
    add_base64url(&signed_text, buf_str(&jwk));
    struct digest d = digest_hmac_sha256(str_of((char *)secret, n), buf_str(&signed_text));
    OPENSSL_cleanse(secret, sizeof secret);
    str all = buf_str(&signed_text);
    buf_addf(to, "{\"protected\":\"%.*s\",\"payload\":\"", (int)dot, all.p);
    buf_add(to, str_skip(all, dot + 1));
    buf_add(to, STR("\",\"signature\":\""));
    add_base64url(to, str_of((char *)d.b, sizeof d.b));
    buf_add(to, STR("\"}"));
    buf_fini(&header);
    buf_fini(&jwk);
    buf_fini(&signed_text);
}

// The name stands in the extension alone, as CAs have it today (CA/Browser Forum BR §7.1.4.3).
static bool fill(X509_REQ *r, EVP_PKEY *key, const char *name)
{
    char text[300];
    snprintf(text, sizeof text, "DNS:%s", name);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    bool ok = e != NULL && list != NULL && sk_X509_EXTENSION_push(list, e) > 0 &&
              X509_REQ_set_version(r, X509_REQ_VERSION_1) == 1 &&
              X509_REQ_set_pubkey(r, key) == 1 && X509_REQ_add_extensions(r, list) == 1 &&
              X509_REQ_sign(r, key, EVP_sha256()) > 0;
    X509_EXTENSION_free(e);
    sk_X509_EXTENSION_free(list);
    return ok;
}

enum fail acme_key_request(EVP_PKEY *key, const char *name, struct buf *to, struct fault *fault)
{
    X509_REQ *r = X509_REQ_new();
    unsigned char *der = NULL;
    int n = r != NULL && fill(r, key, name) ? i2d_X509_REQ(r, &der) : -1;
    X509_REQ_free(r);
    ERR_clear_error();
    if (n <= 0)
        return fault_set(fault, FAIL_INTERNAL, "internal", "The request cannot be made.");
    buf_add(to, str_of((char *)der, (size_t)n));
    OPENSSL_free(der);
    return FAIL_NONE;
}
