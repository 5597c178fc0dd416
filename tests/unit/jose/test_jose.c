// Tokens: what is taken apart, what is refused before a key is asked, and whose signature counts.
#include "edge/auth/jose/jose.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include "edge/base/jsonx.h"

static struct jose_key *rsa, *ec, *other;

#define GOOD_HEADER "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"key_1\"}"
#define GOOD_PAYLOAD "{\"externalUserId\":\"u\",\"exp\":1800000000}"

static char *encoded(const char *text)
{
    size_t room = strlen(text) * 2 + 4;
    char *to = malloc(room);
    base64url_encode(str_from(text), to, room);
    return to;
}

// Any header and payload, with a signature that is none.
static char *token_of(const char *header, const char *payload)
{
    char *h AUTOFREE = encoded(header);
    char *p AUTOFREE = encoded(payload);
    char *token = NULL;
    assert_true(asprintf(&token, "%s.%s.AAAA", h, p) > 0);
    return token;
}

static void refused_as(enum fail f, const struct fault *fault, const char *word)
{
    assert_int_equal(f, FAIL_UNAUTHORISED);
    assert_string_equal(fault->code, "invalid_token");
    if (strstr(fault->public_text, word) == NULL)
        fail_msg("\"%s\" does not name %s", fault->public_text, word);
}

static void refused_text(const char *text, const char *word)
{
    struct jose_token t;
    struct fault fault = {0};
    refused_as(jose_parse(str_from(text), &t, &fault), &fault, word);
}

static void refused_header(const char *header, const char *word)
{
    char *text AUTOFREE = token_of(header, GOOD_PAYLOAD);
    refused_text(text, word);
}

static void refused_payload(const char *payload)
{
    char *text AUTOFREE = token_of(GOOD_HEADER, payload);
    refused_text(text, "payload");
}

static void taken(const char *header, const char *payload)
{
    struct jose_token t;
    struct fault fault = {0};
    char *text AUTOFREE = token_of(header, payload);
    if (jose_parse(str_from(text), &t, &fault) != FAIL_NONE)
        fail_msg("%s: %s", header, fault.public_text);
    jose_token_fini(&t);
}

// --- form ---

static void test_good_token_is_taken_apart(void **state)
{
    struct jose_token t;
    char *text AUTOFREE = token_of(GOOD_HEADER, GOOD_PAYLOAD);
    assert_int_equal(jose_parse(str_from(text), &t, NULL), FAIL_NONE);
    assert_string_equal(t.alg, "RS256");
    assert_string_equal(t.kid, "key_1");
    assert_int_equal(t.signature_size, 3);
    assert_int_equal(t.signing_input.n, strlen(text) - strlen(".AAAA"));
    assert_true(str_eq(jsonx_str(t.payload, "externalUserId"), STR("u")));
    jose_token_fini(&t);
    jose_token_fini(&t);
}

static void test_parts_are_three_and_none_is_empty(void **state)
{
    static const char *const texts[] = {"",      ".",      "..",     "...",   "a",
                                        "YQ.YQ", "YQ.YQ.", ".YQ.YQ", "YQ..YQ"};
    for (size_t i = 0; i != sizeof texts / sizeof texts[0]; ++i)
        refused_text(texts[i], "three parts");
    char *text AUTOFREE = token_of(GOOD_HEADER, GOOD_PAYLOAD);
    char *four = NULL, *more = NULL;
    assert_true(asprintf(&four, "%s.AAAA", text) > 0 && asprintf(&more, "%s.", text) > 0);
    refused_text(four, "three parts");
    refused_text(more, "three parts");
    free(four);
    free(more);
}

// "e30" is {} and has two spare bits; "e31" differs in them alone, and "e30=" is padded.
static void test_base64url_is_canonical(void **state)
{
    char *h AUTOFREE = encoded(GOOD_HEADER);
    static const char *const payloads[] = {"e31", "e30=", "e30 ", "e3 0", "e30\n", "e", "e+/0"};
    for (size_t i = 0; i != sizeof payloads / sizeof payloads[0]; ++i) {
        char text[256];
        snprintf(text, sizeof text, "%s.%s.AAAA", h, payloads[i]);
        refused_text(text, "payload");
    }
    static const char *const signatures[] = {"AAAB=", "AB", "AA==", "A", "AA+A", "AA A"};
    for (size_t i = 0; i != sizeof signatures / sizeof signatures[0]; ++i) {
        char text[256];
        snprintf(text, sizeof text, "%s.e30.%s", h, signatures[i]);
        refused_text(text, "signature");
    }
    refused_text("e31.e30.AAAA", "header");
    refused_text("eyJ=.e30.AAAA", "header");
}

static void test_sixteen_kibibytes_are_the_most(void **state)
{
    struct jose_token t;
    char *text AUTOFREE = malloc(JOSE_TOKEN_MAX + 2);
    char *h AUTOFREE = encoded(GOOD_HEADER);
    // {"a":"xxx…"} of a length that makes the whole token 16,384 characters.
    size_t room = JOSE_TOKEN_MAX - strlen(h) - strlen("..AAAA");
    size_t bytes = room / 4 * 3 + (room % 4 != 0 ? room % 4 - 1 : 0);
    assert_int_not_equal(room % 4, 1);
    char *payload AUTOFREE = malloc(bytes + 1);
    snprintf(payload, bytes + 1, "{\"a\":\"%0*d\"}", (int)bytes - 8, 0);
    char *p AUTOFREE = encoded(payload);
    snprintf(text, JOSE_TOKEN_MAX + 2, "%s.%s.AAAA", h, p);
    assert_int_equal(strlen(text), JOSE_TOKEN_MAX);
    assert_int_equal(jose_parse(str_from(text), &t, NULL), FAIL_NONE);
    jose_token_fini(&t);
    strcat(text, "A");
    refused_text(text, "16 KiB");
}

static void test_signature_has_a_maximum(void **state)
{
    struct jose_token t;
    char *text AUTOFREE = malloc(2048);
    char *h AUTOFREE = encoded(GOOD_HEADER);
    char bytes[513], signature[700];
    memset(bytes, 1, sizeof bytes);
    base64url_encode(str_of(bytes, 512), signature, sizeof signature);
    snprintf(text, 2048, "%s.e30.%s", h, signature);
    assert_int_equal(jose_parse(str_from(text), &t, NULL), FAIL_NONE);
    assert_int_equal(t.signature_size, 512);
    jose_token_fini(&t);
    base64url_encode(str_of(bytes, 513), signature, sizeof signature);
    snprintf(text, 2048, "%s.e30.%s", h, signature);
    refused_text(text, "signature");
}

// --- header ---

static void test_algorithms_are_two(void **state)
{
    static const char *const algs[] = {
        "\"none\"",  "\"None\"",  "\"NONE\"",    "\"nOnE\"",        "\"\"",      "\"HS256\"",
        "\"rs256\"", "\"RS384\"", "\"RS256 \"",  "\"PS256\"",       "\"ES384\"", "\"EdDSA\"",
        "null",      "256",       "[\"RS256\"]", "\"RS256\\u0000\""};
    for (size_t i = 0; i != sizeof algs / sizeof algs[0]; ++i) {
        char header[128];
        snprintf(header, sizeof header, "{\"alg\":%s,\"kid\":\"key_1\"}", algs[i]);
        refused_header(header, strstr(algs[i], "u0000") != NULL ? "header" : "\"alg\"");
    }
    refused_header("{\"kid\":\"key_1\"}", "\"alg\"");
    taken("{\"alg\":\"ES256\",\"kid\":\"key_1\"}", "{}");
}

static void test_kid_is_one_of_ours(void **state)
{
    static const char *const kids[] = {"\"\"",
                                       "7",
                                       "null",
                                       "\"key 1\"",
                                       "\"../../etc/passwd\"",
                                       "\"key_1' or '1'='1\"",
                                       "\"key_1\\n\"",
                                       "\"k\u00e9y\"",
                                       "\"key_1;--\"",
                                       "\"/dev/null\"",
                                       "{\"a\":1}"};
    char header[256], kid[80];
    for (size_t i = 0; i != sizeof kids / sizeof kids[0]; ++i) {
        snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"kid\":%s}", kids[i]);
        refused_header(header, "\"kid\"");
    }
    refused_header("{\"alg\":\"RS256\"}", "\"kid\"");
    memset(kid, 'k', sizeof kid);
    snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"kid\":\"%.*s\"}", JOSE_KID_MAX, kid);
    taken(header, "{}");
    snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"kid\":\"%.*s\"}", JOSE_KID_MAX + 1, kid);
    refused_header(header, "\"kid\"");
}

static void test_members_that_change_the_rules_are_refused(void **state)
{
    static const char *const members[] = {"\"crit\":[\"exp\"]",
                                          "\"crit\":[]",
                                          "\"b64\":false",
                                          "\"b64\":true",
                                          "\"jwk\":{\"kty\":\"RSA\"}",
                                          "\"jku\":\"https://attacker.example/keys\"",
                                          "\"x5u\":\"https://attacker.example/cert\"",
                                          "\"x5c\":[\"MIIB\"]",
                                          "\"zip\":\"DEF\"",
                                          "\"enc\":\"A128GCM\"",
                                          "\"jwk\":null"};
    for (size_t i = 0; i != sizeof members / sizeof members[0]; ++i) {
        char header[256], name[16];
        snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"kid\":\"key_1\",%s}", members[i]);
        snprintf(name, sizeof name, "%.*s", (int)(strchr(members[i], ':') - members[i]),
                 members[i]);
        refused_header(header, name);
    }
    // A thumbprint and a name for people change nothing (RFC 7515 §4: what is not understood is
    // passed over).
    taken("{\"alg\":\"RS256\",\"kid\":\"key_1\",\"x5t\":\"abc\",\"note\":1}", "{}");
}

static void test_typ_is_jwt_or_absent(void **state)
{
    taken("{\"alg\":\"RS256\",\"kid\":\"key_1\"}", "{}");
    taken("{\"alg\":\"RS256\",\"kid\":\"key_1\",\"typ\":\"jwt\"}", "{}");
    refused_header("{\"alg\":\"RS256\",\"kid\":\"key_1\",\"typ\":\"\"}", "\"typ\"");
    refused_header("{\"alg\":\"RS256\",\"kid\":\"key_1\",\"typ\":null}", "\"typ\"");
    refused_header("{\"alg\":\"RS256\",\"kid\":\"key_1\",\"typ\":\"at+jwt\"}", "\"typ\"");
    refused_header("{\"alg\":\"RS256\",\"kid\":\"key_1\",\"typ\":\"stoa-session+jwt\"}", "\"typ\"");
}

static void test_own_typ_must_be_there(void **state)
{
    struct jose_token t;
    struct fault fault = {0};
    char *none AUTOFREE = token_of("{\"alg\":\"ES256\",\"kid\":\"k\"}", "{}");
    char *plain AUTOFREE = token_of("{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"JWT\"}", "{}");
    char *own AUTOFREE = token_of("{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"a+jwt\"}", "{}");
    refused_as(jose_parse_typed(str_from(none), "a+jwt", &t, &fault), &fault, "a+jwt");
    refused_as(jose_parse_typed(str_from(plain), "a+jwt", &t, &fault), &fault, "a+jwt");
    assert_int_equal(jose_parse_typed(str_from(own), "a+jwt", &t, &fault), FAIL_NONE);
    jose_token_fini(&t);
}

// --- JSON ---

static void test_members_are_not_doubled(void **state)
{
    refused_header("{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"key_1\"}", "header");
    refused_header("{\"alg\":\"RS256\",\"kid\":\"key_1\",\"kid\":\"key_2\"}", "header");
    refused_header("{\"alg\":\"RS256\",\"kid\":\"key_1\",\"\\u006bid\":\"key_2\"}", "header");
    refused_payload("{\"exp\":1,\"exp\":2}");
    refused_payload("{\"a\":{\"b\":1,\"b\":2}}");
    refused_payload("{\"a\":[{\"b\":1,\"b\":2}]}");
}

static void test_parts_are_objects(void **state)
{
    static const char *const values[] = {"[]",
                                         "[{}]",
                                         "\"x\"",
                                         "1",
                                         "null",
                                         "true",
                                         "{",
                                         "{}{}",
                                         "{} x",
                                         "{\"a\":1,}",
                                         "\xef\xbb\xbf{}",
                                         "{\"a\":\"\xff\"}",
                                         "{'a':1}",
                                         "{\"a\":NaN}",
                                         "{\"a\":\"\\u0000\"}",
                                         "{\"a\":1e999}"};
    for (size_t i = 0; i != sizeof values / sizeof values[0]; ++i) {
        refused_payload(values[i]);
        refused_header(values[i], "header");
    }
}

static void test_a_nul_hides_nothing(void **state)
{
    static const char payload[] = "{\"a\":1}\0,\"b\":2}";
    char p[64], text[256];
    char *h AUTOFREE = encoded(GOOD_HEADER);
    base64url_encode(str_of(payload, sizeof payload - 1), p, sizeof p);
    snprintf(text, sizeof text, "%s.%s.AAAA", h, p);
    refused_text(text, "payload");
}

static void test_depth_has_a_limit(void **state)
{
    char deep[512] = "{\"a\":", ends[256] = "";
    for (int i = 0; i != JOSE_DEPTH_MAX; ++i) {
        strcat(deep, "[");
        strcat(ends, "]");
    }
    strcat(ends, "}");
    strcat(deep, ends);
    refused_payload(deep);
}

// --- times ---

static void test_times_are_whole_seconds(void **state)
{
    static const char *const bad[] = {"1800000000.0", "1.8e9",        "\"1800000000\"",
                                      "-1",           "null",         "true",
                                      "[1]",          "253402300800", "9223372036854775807"};
    struct fault fault = {0};
    struct jose_token t;
    bool present = false;
    int64_t at = 0;
    char payload[128];
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i) {
        snprintf(payload, sizeof payload, "{\"exp\":%s}", bad[i]);
        char *text AUTOFREE = token_of(GOOD_HEADER, payload);
        assert_int_equal(jose_parse(str_from(text), &t, &fault), FAIL_NONE);
        refused_as(jose_time(&t, "exp", &present, &at, &fault), &fault, "\"exp\"");
        jose_token_fini(&t);
    }
    refused_payload("{\"exp\":9223372036854775808}"); // jansson's own limit
    char *text AUTOFREE = token_of(GOOD_HEADER, GOOD_PAYLOAD);
    assert_int_equal(jose_parse(str_from(text), &t, &fault), FAIL_NONE);
    assert_int_equal(jose_time(&t, "exp", &present, &at, &fault), FAIL_NONE);
    assert_true(present && at == 1800000000);
    assert_int_equal(jose_time(&t, "nbf", &present, &at, &fault), FAIL_NONE);
    assert_false(present);
    jose_token_fini(&t);
}

// --- signatures ---

static char *signed_by(const struct jose_key *k)
{
    json_auto_t *payload = json_pack("{ss sI}", "sub", "u", "exp", (json_int_t)1800000000);
    return jose_sign(k, "key_1", "JWT", payload);
}

static enum fail verdict(const char *text, const struct jose_key *k)
{
    struct jose_token t;
    struct fault fault = {0};
    assert_int_equal(jose_parse(str_from(text), &t, &fault), FAIL_NONE);
    enum fail f = jose_verify(&t, k, &fault);
    if (f != FAIL_NONE)
        assert_string_equal(fault.code, "bad_signature");
    jose_token_fini(&t);
    return f;
}

static void test_what_is_signed_verifies_by_its_key_alone(void **state)
{
    char *r AUTOFREE = signed_by(rsa);
    char *e AUTOFREE = signed_by(ec);
    assert_int_equal(verdict(r, rsa), FAIL_NONE);
    assert_int_equal(verdict(e, ec), FAIL_NONE);
    assert_int_equal(verdict(e, other), FAIL_UNAUTHORISED);
    assert_int_equal(verdict(r, ec), FAIL_UNAUTHORISED);
    assert_int_equal(verdict(e, rsa), FAIL_UNAUTHORISED);
}

static void test_any_changed_bit_is_seen(void **state)
{
    const struct jose_key *keys[] = {rsa, ec};
    for (int k = 0; k != 2; ++k) {
        struct jose_token t;
        char *text AUTOFREE = signed_by(keys[k]);
        assert_int_equal(jose_parse(str_from(text), &t, NULL), FAIL_NONE);
        for (size_t i = 0; i < t.signature_size; i += 7) {
            t.signature[i] ^= 0x10;
            assert_int_equal(jose_verify(&t, keys[k], NULL), FAIL_UNAUTHORISED);
            t.signature[i] ^= 0x10;
        }
        t.signing_input.n -= 1;
        assert_int_equal(jose_verify(&t, keys[k], NULL), FAIL_UNAUTHORISED);
        t.signing_input.n += 1;
        assert_int_equal(jose_verify(&t, keys[k], NULL), FAIL_NONE);
        jose_token_fini(&t);
    }
}

static void test_es256_signatures_have_64_bytes(void **state)
{
    struct jose_token t;
    char *text AUTOFREE = signed_by(ec);
    assert_int_equal(jose_parse(str_from(text), &t, NULL), FAIL_NONE);
    assert_int_equal(t.signature_size, 64);
    for (size_t n = 60; n != 73; ++n) {
        t.signature_size = n;
        assert_int_equal(jose_verify(&t, ec, NULL), n == 64 ? FAIL_NONE : FAIL_UNAUTHORISED);
    }
    t.signature_size = 64;
    memset(t.signature, 0, 64); // r = s = 0: CVE-2022-21449 of another library
    assert_int_equal(jose_verify(&t, ec, NULL), FAIL_UNAUTHORISED);
    memset(t.signature, 0xff, 64);
    assert_int_equal(jose_verify(&t, ec, NULL), FAIL_UNAUTHORISED);
    jose_token_fini(&t);
}

static void test_rs256_signatures_are_as_long_as_the_modulus(void **state)
{
    struct jose_token t;
    char *text AUTOFREE = signed_by(rsa);
    assert_int_equal(jose_parse(str_from(text), &t, NULL), FAIL_NONE);
    size_t n = t.signature_size;
    for (size_t i = 0; i != 3; ++i) {
        t.signature_size = i == 0 ? 0 : i == 1 ? n - 1 : 1;
        assert_int_equal(jose_verify(&t, rsa, NULL), FAIL_UNAUTHORISED);
    }
    jose_token_fini(&t);
}

// The public key as the secret of an HMAC: known to everybody.
static char *hmac_token(const char *alg)
{
    char header[128], body[512];
    char *pem AUTOFREE = jose_key_public_pem(rsa);
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"key_1\"}", alg);
    char *h AUTOFREE = encoded(header);
    char *p AUTOFREE = encoded(GOOD_PAYLOAD);
    snprintf(body, sizeof body, "%s.%s", h, p);
    struct digest mac = digest_hmac_sha256(str_from(pem), str_from(body));
    char signature[BASE64URL_32_ROOM];
    base64url_encode(str_of(mac.b, sizeof mac.b), signature, sizeof signature);
    char *text = NULL;
    assert_true(asprintf(&text, "%s.%s", body, signature) > 0);
    return text;
}

static void test_hmac_with_the_public_key_is_no_signature(void **state)
{
    char *named AUTOFREE = hmac_token("HS256");
    char *disguised AUTOFREE = hmac_token("RS256");
    refused_text(named, "\"alg\"");
    assert_int_equal(verdict(disguised, rsa), FAIL_UNAUTHORISED);
}

// Under another's name: the header says ES256, the key found by its kid is RSA, and the other way.
static void test_algorithm_is_the_keys(void **state)
{
    struct jose_token t;
    char *text AUTOFREE = signed_by(rsa);
    assert_int_equal(jose_parse(str_from(text), &t, NULL), FAIL_NONE);
    strcpy(t.alg, "ES256");
    assert_int_equal(jose_verify(&t, rsa, NULL), FAIL_UNAUTHORISED);
    jose_token_fini(&t);
}

static int start(void **state)
{
    rsa = jose_key_generate(JOSE_RS256);
    ec = jose_key_generate(JOSE_ES256);
    other = jose_key_generate(JOSE_ES256);
    return 0;
}

static int stop(void **state)
{
    jose_key_destroy(rsa);
    jose_key_destroy(ec);
    jose_key_destroy(other);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_token_is_taken_apart),
        cmocka_unit_test(test_parts_are_three_and_none_is_empty),
        cmocka_unit_test(test_base64url_is_canonical),
        cmocka_unit_test(test_sixteen_kibibytes_are_the_most),
        cmocka_unit_test(test_signature_has_a_maximum),
        cmocka_unit_test(test_algorithms_are_two),
        cmocka_unit_test(test_kid_is_one_of_ours),
        cmocka_unit_test(test_members_that_change_the_rules_are_refused),
        cmocka_unit_test(test_typ_is_jwt_or_absent),
        cmocka_unit_test(test_own_typ_must_be_there),
        cmocka_unit_test(test_members_are_not_doubled),
        cmocka_unit_test(test_parts_are_objects),
        cmocka_unit_test(test_a_nul_hides_nothing),
        cmocka_unit_test(test_depth_has_a_limit),
        cmocka_unit_test(test_times_are_whole_seconds),
        cmocka_unit_test(test_what_is_signed_verifies_by_its_key_alone),
        cmocka_unit_test(test_any_changed_bit_is_seen),
        cmocka_unit_test(test_es256_signatures_have_64_bytes),
        cmocka_unit_test(test_rs256_signatures_are_as_long_as_the_modulus),
        cmocka_unit_test(test_hmac_with_the_public_key_is_no_signature),
        cmocka_unit_test(test_algorithm_is_the_keys),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
