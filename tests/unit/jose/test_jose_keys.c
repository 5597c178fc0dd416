// Keys: which are taken, which are refused, and what is said of them.
#include "edge/auth/jose/jose.h"
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include "edge/base/jsonx.h"

static char *text_of(BIO *bio)
{
    char *at = NULL;
    long n = BIO_get_mem_data(bio, &at);
    char *text = str_dup(str_of(at, (size_t)n));
    BIO_free(bio);
    return text;
}

// Takes the key.
static char *public_pem(EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_non_null(pkey);
    assert_int_equal(PEM_write_bio_PUBKEY(bio, pkey), 1);
    EVP_PKEY_free(pkey);
    return text_of(bio);
}

static EVP_PKEY *made(const char *type, void (*tune)(EVP_PKEY_CTX *))
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    tune(ctx);
    assert_int_equal(EVP_PKEY_generate(ctx, &pkey), 1);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

// A public RSA key of given numbers.
static EVP_PKEY *rsa_of(BIGNUM *n, unsigned long exponent)
{
    EVP_PKEY *pkey = NULL;
    BIGNUM *e = BN_new();
    BN_set_word(e, exponent);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, e);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    BN_free(e);
    BN_free(n);
    return pkey;
}

static void refused(const char *pem, const char *words)
{
    struct jose_key *k = NULL;
    struct fault fault = {0};
    assert_int_equal(jose_key_public(str_from(pem), &k, &fault), FAIL_REFUSED);
    assert_null(k);
    assert_string_equal(fault.code, "bad_key");
    if (strstr(fault.public_text, words) == NULL)
        fail_msg("\"%s\" does not say %s", fault.public_text, words);
}

static void taken(const char *pem, enum jose_kind kind)
{
    struct jose_key *k = NULL;
    struct fault fault = {0};
    if (jose_key_public(str_from(pem), &k, &fault) != FAIL_NONE)
        fail_msg("%s", fault.public_text);
    assert_int_equal(jose_key_kind(k), kind);
    jose_key_destroy(k);
}

// --- RSA ---

static void test_rsa_has_2048_to_4096_bits(void **state)
{
    char *short_one AUTOFREE = public_pem(EVP_RSA_gen(1024));
    char *enough AUTOFREE = public_pem(EVP_RSA_gen(2048));
    BIGNUM *n = BN_new();
    BN_rand(n, 8192, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
    char *long_one AUTOFREE = public_pem(rsa_of(n, 65537));
    refused(short_one, "1024 bits");
    refused(long_one, "8192 bits");
    taken(enough, JOSE_RS256);
}

static void with_small_exponent(EVP_PKEY_CTX *ctx)
{
    BIGNUM *e = BN_new();
    BN_set_word(e, 3);
    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048);
    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e);
    BN_free(e);
}

static void test_rsa_exponent_is_65537(void **state)
{
    char *pem AUTOFREE = public_pem(made("RSA", with_small_exponent));
    refused(pem, "65537");
}

// 3 × something: whoever factors it signs.
static void test_rsa_modulus_is_sound(void **state)
{
    BIGNUM *n = BN_new();
    BN_rand(n, 2048, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
    BN_sub_word(n, BN_mod_word(n, 15));
    BN_add_word(n, BN_is_odd(n) ? 0 : 15);
    char *pem AUTOFREE = public_pem(rsa_of(n, 65537));
    refused(pem, "sound");
    // What we kept was looked at when it came.
    struct jose_key *k = NULL;
    assert_int_equal(jose_key_public_kept(str_from(pem), &k, NULL), FAIL_NONE);
    jose_key_destroy(k);
}

static void with_2048_bits(EVP_PKEY_CTX *ctx)
{
    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048);
}

static void test_rsa_pss_is_another_kind(void **state)
{
    char *pem AUTOFREE = public_pem(made("RSA-PSS", with_2048_bits));
    refused(pem, "RSA-PSS");
}

// --- curves ---

static void test_curve_is_p256(void **state)
{
    char *p256 AUTOFREE = public_pem(EVP_EC_gen("P-256"));
    char *p384 AUTOFREE = public_pem(EVP_EC_gen("P-384"));
    char *k256 AUTOFREE = public_pem(EVP_EC_gen("secp256k1"));
    char *ed AUTOFREE = public_pem(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    taken(p256, JOSE_ES256);
    refused(p384, "P-256");
    refused(k256, "P-256");
    refused(ed, "P-256");
}

static void with_explicit_curve(EVP_PKEY_CTX *ctx)
{
    char group[] = "P-256", encoding[] = OSSL_PKEY_EC_ENCODING_EXPLICIT;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING, encoding, 0),
        OSSL_PARAM_construct_end()};
    assert_int_equal(EVP_PKEY_CTX_set_params(ctx, params), 1);
}

static void test_curve_is_given_by_name(void **state)
{
    char *pem AUTOFREE = public_pem(made("EC", with_explicit_curve));
    refused(pem, "by its name");
}

// --- PEM ---

static void test_private_half_is_not_uploaded(void **state)
{
    struct jose_key *k = jose_key_generate(JOSE_ES256);
    char *pem AUTOFREE = jose_key_private_pem(k);
    refused(pem, "Keep it to yourself");
    jose_key_destroy(k);
}

static void test_other_labels_get_advice(void **state)
{
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem()), *sec1 = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(sec1, pkey, NULL, NULL, 0, NULL, NULL),
                     1);
    unsigned char *der = NULL;
    int n = i2d_PublicKey(pkey, &der);
    assert_true(n > 0);
    PEM_write_bio(bio, "RSA PUBLIC KEY", "", der, n);
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
    char *pkcs1 AUTOFREE = text_of(bio);
    char *traditional AUTOFREE = text_of(sec1);
    refused(pkcs1, "RSAPublicKey_in");
    refused(traditional, "Keep it to yourself");
    refused("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "openssl x509");
}

static void test_nothing_but_one_block(void **state)
{
    char *pem AUTOFREE = public_pem(EVP_EC_gen("P-256"));
    char *spaced = NULL, *before = NULL, *behind = NULL, *twice = NULL, *crlf = NULL;
    assert_true(asprintf(&spaced, "\n  %s\n\n ", pem) > 0);
    assert_true(asprintf(&before, "my key:\n%s", pem) > 0);
    assert_true(asprintf(&behind, "%strailing", pem) > 0);
    assert_true(asprintf(&twice, "%s%s", pem, pem) > 0);
    crlf = calloc(2, strlen(pem) + 1);
    for (size_t i = 0, n = 0; pem[i] != '\0'; ++i) {
        if (pem[i] == '\n')
            crlf[n++] = '\r';
        crlf[n++] = pem[i];
    }
    taken(spaced, JOSE_ES256);
    taken(crlf, JOSE_ES256);
    refused(before, "one block");
    refused(behind, "one block");
    refused(twice, "one block");
    refused("", "one block");
    refused("-----BEGIN PUBLIC KEY-----\n", "one block");
    refused("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no key");
    free(spaced);
    free(before);
    free(behind);
    free(twice);
    free(crlf);
    char *huge = calloc(1, JOSE_PEM_MAX + 2);
    memset(huge, 'A', JOSE_PEM_MAX + 1);
    refused(huge, "8 KiB");
    free(huge);
}

static void test_der_ends_where_the_key_does(void **state)
{
    unsigned char *der = NULL, longer[256];
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    int n = i2d_PUBKEY(pkey, &der);
    assert_true(n > 0 && n < 250);
    memcpy(longer, der, (size_t)n);
    memset(longer + n, 0, 4);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio(bio, "PUBLIC KEY", "", longer, n + 4);
    char *pem AUTOFREE = text_of(bio);
    refused(pem, "no key");
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
}

// --- out and in again ---

static void test_keys_survive_their_pem(void **state)
{
    struct jose_key *k = jose_key_generate(JOSE_ES256), *priv = NULL, *pub = NULL;
    struct fault fault = {0};
    struct jose_token t;
    char *private_pem AUTOFREE = jose_key_private_pem(k);
    char *pem AUTOFREE = jose_key_public_pem(k);
    assert_int_equal(jose_key_private(str_from(private_pem), &priv, &fault), FAIL_NONE);
    assert_int_equal(jose_key_public(str_from(pem), &pub, &fault), FAIL_NONE);
    json_auto_t *payload = json_pack("{ss}", "a", "b");
    char *text AUTOFREE = jose_sign(priv, "key_1", "JWT", payload);
    assert_int_equal(jose_parse(str_from(text), &t, &fault), FAIL_NONE);
    assert_int_equal(jose_verify(&t, pub, &fault), FAIL_NONE);
    assert_int_equal(jose_verify(&t, jose_key_ref(k), &fault), FAIL_NONE);
    jose_token_fini(&t);
    jose_key_destroy(k);
    jose_key_destroy(k);
    jose_key_destroy(priv);
    jose_key_destroy(pub);
    jose_key_destroy(NULL);
}

static void test_generated_rsa_is_one_we_take(void **state)
{
    struct jose_key *k = jose_key_generate(JOSE_RS256);
    char *pem AUTOFREE = jose_key_public_pem(k);
    taken(pem, JOSE_RS256);
    json_auto_t *jwk = jose_key_jwk(k, "key_1");
    assert_string_equal(json_string_value(json_object_get(jwk, "kty")), "RSA");
    assert_string_equal(json_string_value(json_object_get(jwk, "e")), "AQAB");
    assert_int_equal(json_string_length(json_object_get(jwk, "n")), 683);
    jose_key_destroy(k);
}

static void test_jwk_has_the_public_half_alone(void **state)
{
    struct jose_key *k = jose_key_generate(JOSE_ES256);
    json_auto_t *jwk = jose_key_jwk(k, "key_1");
    assert_string_equal(json_string_value(json_object_get(jwk, "kty")), "EC");
    assert_string_equal(json_string_value(json_object_get(jwk, "crv")), "P-256");
    assert_string_equal(json_string_value(json_object_get(jwk, "alg")), "ES256");
    assert_string_equal(json_string_value(json_object_get(jwk, "use")), "sig");
    assert_string_equal(json_string_value(json_object_get(jwk, "kid")), "key_1");
    assert_int_equal(json_string_length(json_object_get(jwk, "x")), 43);
    assert_int_equal(json_string_length(json_object_get(jwk, "y")), 43);
    assert_int_equal(json_object_size(jwk), 7);
    jose_key_destroy(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rsa_has_2048_to_4096_bits),
        cmocka_unit_test(test_rsa_exponent_is_65537),
        cmocka_unit_test(test_rsa_modulus_is_sound),
        cmocka_unit_test(test_rsa_pss_is_another_kind),
        cmocka_unit_test(test_curve_is_p256),
        cmocka_unit_test(test_curve_is_given_by_name),
        cmocka_unit_test(test_private_half_is_not_uploaded),
        cmocka_unit_test(test_other_labels_get_advice),
        cmocka_unit_test(test_nothing_but_one_block),
        cmocka_unit_test(test_der_ends_where_the_key_does),
        cmocka_unit_test(test_keys_survive_their_pem),
        cmocka_unit_test(test_generated_rsa_is_one_we_take),
        cmocka_unit_test(test_jwk_has_the_public_half_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
