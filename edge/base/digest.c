// OpenSSL's digests behind a few plain functions.
#include "edge/base/digest.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/random.h>

struct digest digest_sha256(str s)
{
    struct digest d;
    SHA256((const unsigned char *)s.p, s.n, d.b);
    return d;
}

struct digest digest_hmac_sha256(str key, str s)
{
    struct digest d;
    unsigned n = sizeof d.b;
    unsigned char *ok =
        HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)s.p, s.n, d.b, &n);
    assert(ok != NULL && n == sizeof d.b);
    return d;
}

struct digest digest_hkdf_sha256(str salt, str key, str info)
{
    char last[201];
    assert(info.n < sizeof last);
    if (info.n != 0)
        memcpy(last, info.p, info.n);
    last[info.n] = 1; // the first block's number
    struct digest extracted = digest_hmac_sha256(salt, key);
    struct digest d =
        digest_hmac_sha256(str_of(extracted.b, sizeof extracted.b), str_of(last, info.n + 1));
    explicit_bzero(&extracted, sizeof extracted);
    return d;
}

void digest_hex(const struct digest *d, char to[static DIGEST_HEX_ROOM])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i != sizeof d->b; ++i) {
        to[2 * i] = hex[d->b[i] >> 4];
        to[2 * i + 1] = hex[d->b[i] & 15];
    }
    to[64] = '\0';
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool digest_from_hex(str hex, struct digest *ret)
{
    struct digest d;
    if (hex.n != 64)
        return false;
    for (size_t i = 0; i != 32; ++i) {
        int high = hex_value(hex.p[2 * i]), low = hex_value(hex.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        d.b[i] = (uint8_t)(high << 4 | low);
    }
    *ret = d;
    return true;
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
    return CRYPTO_memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool digest_secret_eq(str a, str b)
{
    return a.n == b.n && CRYPTO_memcmp(a.p, b.p, a.n) == 0;
}

struct digest_stream *digest_begin(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    assert(ok);
    return (struct digest_stream *)ctx;
}

void digest_update(struct digest_stream *s, str piece)
{
    int ok = EVP_DigestUpdate((EVP_MD_CTX *)s, piece.p, piece.n);
    assert(ok);
}

struct digest digest_end(struct digest_stream *s)
{
    struct digest d;
    int ok = EVP_DigestFinal_ex((EVP_MD_CTX *)s, d.b, NULL);
    assert(ok);
    EVP_MD_CTX_free((EVP_MD_CTX *)s);
    return d;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64url_encode(str s, char *to, size_t room)
{
    assert(room >= (s.n * 4 + 2) / 3 + 1);
    size_t n = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i != s.n; ++i) {
        bits = bits << 8 | (uint8_t)s.p[i];
        for (have += 8; have >= 6; have -= 6)
            to[n++] = alphabet[bits >> (have - 6) & 63];
    }
    if (have != 0)
        to[n++] = alphabet[bits << (6 - have) & 63];
    to[n] = '\0';
    return n;
}

static int base64url_value(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '-'             ? 62
           : c == '_'             ? 63
                                  : -1;
}

bool base64url_decode(str s, uint8_t *to, size_t room, size_t *ret_n)
{
    if (s.n % 4 == 1 || s.n / 4 * 3 + (s.n % 4 != 0 ? s.n % 4 - 1 : 0) > room)
        return false;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    for (size_t i = 0; i != s.n; ++i) {
        int v = base64url_value(s.p[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[n++] = (uint8_t)(bits >> have);
        }
    }
    if ((bits & ((1u << have) - 1)) != 0)
        return false;
    *ret_n = n;
    return true;
}

void random_bytes(void *to, size_t n)
{
    for (size_t got = 0; got != n;) {
        ssize_t r = getrandom((char *)to + got, n - got, 0);
        if (r < 0)
            abort();
        got += (size_t)r;
    }
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}
