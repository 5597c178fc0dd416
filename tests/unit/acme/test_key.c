// Keys and signatures, verified by OpenSSL the other way round; a vector of a key that others published.
#include "domains/acme/key.h"
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include "edge/base/digest.h"
#include "edge/base/jsonx.h"
#include <cmocka.h>

static struct buf text;
static EVP_PKEY *key;

static int begin(void **state)
{
    buf_init(&text, 1 << 20);
    key = acme_key_make();
    return 0;
}

static int end(void **state)
{
    buf_fini(&text);
    EVP_PKEY_free(key);
    return 0;
}

static void written_and_read(void **state)
{
    acme_key_write(key, &text);
    EVP_PKEY *again = acme_key_read(buf_str(&text));
    assert_non_null(again);
    assert_int_equal(EVP_PKEY_eq(key, again), 1);
    EVP_PKEY_free(again);
    assert_null(acme_key_read(STR("nonsense")));
    assert_null(acme_key_read(STR("")));
}

static void other_keys_are_none(void **state)
{
    EVP_PKEY *other = EVP_EC_gen("P-384");
    acme_key_write(other, &text);
    EVP_PKEY_free(other);
    assert_null(acme_key_read(buf_str(&text)));
}

// The key of RFC 7517, appendix A.2; PKCS #8 and thumbprint were made with Node's crypto.
static void thumbprint_of_a_published_key(void **state)
{
    static const uint8_t der[] = {
        0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce,
        0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04,
        0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20, 0xf3, 0xbd, 0x0c, 0x07, 0xa8, 0x1f,
        0xb9, 0x32, 0x78, 0x1e, 0xd5, 0x27, 0x52, 0xf6, 0x0c, 0xc8, 0x9a, 0x6b, 0xe5, 0xe5,
        0x19, 0x34, 0xfe, 0x01, 0x93, 0x8d, 0xdb, 0x55, 0xd8, 0xf7, 0x78, 0x01, 0xa1, 0x44,
        0x03, 0x42, 0x00, 0x04, 0x30, 0xa0, 0x42, 0x4c, 0xd2, 0x1c, 0x29, 0x44, 0x83, 0x8a,
        0x2d, 0x75, 0xc9, 0x2b, 0x37, 0xe7, 0x6e, 0xa2, 0x0d, 0x9f, 0x00, 0x89, 0x3a, 0x3b,
        0x4e, 0xee, 0x8a, 0x3c, 0x0a, 0xaf, 0xec, 0x3e, 0xe0, 0x4b, 0x65, 0xe9, 0x24, 0x56,
        0xd9, 0x88, 0x8b, 0x52, 0xb3, 0x79, 0xbd, 0xfb, 0xd5, 0x1e, 0xe8, 0x69, 0xef, 0x1f,
        0x0f, 0xc6, 0x5b, 0x66, 0x59, 0x69, 0x5b, 0x6c, 0xce, 0x08, 0x17, 0x23};
    char thumbprint[ACME_THUMBPRINT_ROOM];
    EVP_PKEY *published = acme_key_read(str_of(der, sizeof der));
    assert_non_null(published);
    acme_key_jwk(published, &text);
    buf_addc(&text, '\0');
    assert_string_equal(text.p, "{\"crv\":\"P-256\",\"kty\":\"EC\","
                                "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
                                "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}");
    acme_key_thumbprint(published, thumbprint);
    assert_string_equal(thumbprint, "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    EVP_PKEY_free(published);
}

// --- signatures ---

static json_t *decoded(const json_t *jws, const char *member)
{
    uint8_t bytes[4096];
    size_t n;
    assert_true(base64url_decode(jsonx_str(jws, member), bytes, sizeof bytes, &n));
    return jsonx_parse(str_of(bytes, n), NULL);
}

static bool verifies(const json_t *jws)
{
    uint8_t raw[64];
    size_t n;
    struct buf what;
    unsigned char *der = NULL;
    buf_init(&what, 1 << 20);
    buf_add(&what, jsonx_str(jws, "protected"));
    buf_addc(&what, '.');
    buf_add(&what, jsonx_str(jws, "payload"));
    assert_true(base64url_decode(jsonx_str(jws, "signature"), raw, sizeof raw, &n));
    assert_int_equal(n, sizeof raw);
    ECDSA_SIG *s = ECDSA_SIG_new();
    ECDSA_SIG_set0(s, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
    int length = i2d_ECDSA_SIG(s, &der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key);
    bool ok = EVP_DigestVerify(ctx, der, (size_t)length, (unsigned char *)what.p, what.n) == 1;
    EVP_MD_CTX_free(ctx);
    ECDSA_SIG_free(s);
    OPENSSL_free(der);
    buf_fini(&what);
    return ok;
}

static void a_request_with_its_key(void **state)
{
    acme_key_sign(key, NULL, "nonce-1", "https://ca/\"new", STR("{\"a\":1}"), &text);
    json_auto_t *jws = jsonx_parse(buf_str(&text), NULL);
    assert_non_null(jws);
    assert_true(verifies(jws));
    json_auto_t *head = decoded(jws, "protected"), *payload = decoded(jws, "payload");
    assert_string_equal(jsonx_str(head, "alg").p, "ES256");
    assert_string_equal(jsonx_str(head, "nonce").p, "nonce-1");
    assert_string_equal(jsonx_str(head, "url").p, "https://ca/\"new");
    assert_string_equal(jsonx_str(json_object_get(head, "jwk"), "kty").p, "EC");
    assert_null(json_object_get(head, "kid"));
    assert_int_equal(json_integer_value(json_object_get(payload, "a")), 1);
}

static void a_request_with_an_account(void **state)
{
    for (int i = 0; i != 64; ++i) { // numbers with leading zeros among them
        buf_clear(&text);
        acme_key_sign(key, "https://ca/me", "n", "https://ca/x", (str){0}, &text);
        json_auto_t *jws = jsonx_parse(buf_str(&text), NULL);
        assert_true(verifies(jws));
        assert_int_equal(jsonx_str(jws, "payload").n, 0);
        json_auto_t *head = decoded(jws, "protected");
        assert_string_equal(jsonx_str(head, "kid").p, "https://ca/me");
        assert_null(json_object_get(head, "jwk"));
    }
}

// RFC 8555 §7.3.4
static void a_binding_to_an_account_elsewhere(void **state)
{
    uint8_t mac[32];
    size_t n;
    struct buf what, jwk;
    acme_key_bind(key, "kid-\"1", STR("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG4"),
                  "https://ca/new", &text);
    json_auto_t *jws = jsonx_parse(buf_str(&text), NULL);
    json_auto_t *head = decoded(jws, "protected"), *payload = decoded(jws, "payload");
    assert_string_equal(jsonx_str(head, "alg").p, "HS256");
    assert_string_equal(jsonx_str(head, "kid").p, "kid-\"1");
    assert_string_equal(jsonx_str(head, "url").p, "https://ca/new");
    assert_null(json_object_get(head, "nonce"));
    buf_init(&jwk, 4096);
    acme_key_jwk(key, &jwk);
    json_auto_t *expected = jsonx_parse(buf_str(&jwk), NULL);
    assert_true(json_equal(payload, expected));
    buf_init(&what, 1 << 16);
    buf_addf(&what, "%s.%s", jsonx_str(jws, "protected").p, jsonx_str(jws, "payload").p);
    uint8_t secret[64];
    assert_true(base64url_decode(STR("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG4"), secret,
                                 sizeof secret, &n));
    struct digest d = digest_hmac_sha256(str_of((char *)secret, n), buf_str(&what));
    assert_true(base64url_decode(jsonx_str(jws, "signature"), mac, sizeof mac, &n));
    assert_int_equal(n, sizeof mac);
    assert_memory_equal(mac, d.b, sizeof mac);
    buf_fini(&what);
    buf_fini(&jwk);
}

static void a_certificate_request(void **state)
{
    struct fault fault = {0};
    assert_int_equal(acme_key_request(key, "forms.customer-one.com", &text, &fault), FAIL_NONE);
    const unsigned char *at = (unsigned char *)text.p;
    X509_REQ *r = d2i_X509_REQ(NULL, &at, (long)text.n);
    assert_non_null(r);
    assert_int_equal(X509_REQ_verify(r, key), 1);
    STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(r);
    GENERAL_NAMES *names = X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    ASN1_IA5STRING *name = sk_GENERAL_NAME_value(names, 0)->d.dNSName;
    assert_memory_equal(ASN1_STRING_get0_data(name), "forms.customer-one.com", 22);
    GENERAL_NAMES_free(names);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    X509_REQ_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_and_read, begin, end),
        cmocka_unit_test_setup_teardown(other_keys_are_none, begin, end),
        cmocka_unit_test_setup_teardown(thumbprint_of_a_published_key, begin, end),
        cmocka_unit_test_setup_teardown(a_request_with_its_key, begin, end),
        cmocka_unit_test_setup_teardown(a_request_with_an_account, begin, end),
        cmocka_unit_test_setup_teardown(a_binding_to_an_account_elsewhere, begin, end),
        cmocka_unit_test_setup_teardown(a_certificate_request, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
