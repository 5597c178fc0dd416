// Digests against published vectors, and the encodings of keys.
#include "edge/base/digest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void expect_hex(struct digest d, const char *hex)
{
    char text[DIGEST_HEX_ROOM];
    digest_hex(&d, text);
    assert_string_equal(text, hex);
}

static void sha256(void **state)
{
    // FIPS 180-2, appendix B
    expect_hex(digest_sha256(STR("abc")),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_hex(digest_sha256(STR("")),
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct digest_stream *s = digest_begin();
    digest_update(s, STR("a"));
    digest_update(s, STR(""));
    digest_update(s, STR("bc"));
    expect_hex(digest_end(s), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void hmac(void **state)
{
    // RFC 4231, test case 2
    expect_hex(digest_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?")),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void hex_is_read_strictly(void **state)
{
    struct digest d = digest_sha256(STR("abc")), e;
    char text[DIGEST_HEX_ROOM];
    digest_hex(&d, text);
    assert_true(digest_from_hex(str_from(text), &e));
    assert_true(digest_eq(&d, &e));
    e.b[31] ^= 1;
    assert_false(digest_eq(&d, &e));
    assert_false(digest_from_hex(str_of(text, 63), &e));
    text[0] = 'B'; // upper case would give one digest two names
    assert_false(digest_from_hex(str_from(text), &e));
    text[0] = 'g';
    assert_false(digest_from_hex(str_from(text), &e));
}

static void secrets(void **state)
{
    assert_true(digest_secret_eq(STR("abc"), STR("abc")));
    assert_false(digest_secret_eq(STR("abc"), STR("abd")));
    assert_false(digest_secret_eq(STR("abc"), STR("ab")));
}

static void base64url(void **state)
{
    // RFC 4648 §10, without padding
    static const char *const vectors[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
    for (size_t i = 0; i != sizeof vectors / sizeof *vectors; ++i) {
        char text[16];
        uint8_t bytes[16];
        size_t n = base64url_encode(str_from(vectors[i][0]), text, sizeof text);
        assert_string_equal(text, vectors[i][1]);
        assert_int_equal(n, strlen(vectors[i][1]));
        assert_true(base64url_decode(str_from(text), bytes, sizeof bytes, &n));
        assert_true(str_eq(str_of(bytes, n), str_from(vectors[i][0])));
    }
}

static void base64url_is_canonical(void **state)
{
    static const char *const bad[] = {"Zg==", "Zg=",  "Zh",     "Zm9",   "Z",    "Zm9vY",
                                      "Zm+v", "Zm/v", "Zm9v\n", " Zm9v", "Zm.v", "Zm9vZx"};
    uint8_t bytes[16];
    size_t n;
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        if (base64url_decode(str_from(bad[i]), bytes, sizeof bytes, &n))
            fail_msg("%s was accepted", bad[i]);
    assert_false(base64url_decode(STR("Zm9v"), bytes, 2, &n)); // no room
    assert_true(base64url_decode(STR("Zm9v"), bytes, 3, &n));
}

static void random_bytes_differ(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

// RFC 5869, appendix A: cases 1 and 3, the first 32 bytes.
static void hkdf(void **state)
{
    static const char key[] = "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
                              "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b";
    static const char salt[] = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c";
    static const char info[] = "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9";
    expect_hex(digest_hkdf_sha256(str_of(salt, 13), str_of(key, 22), str_of(info, 10)),
               "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    expect_hex(digest_hkdf_sha256(STR(""), str_of(key, 22), STR("")),
               "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256),
        cmocka_unit_test(hkdf),
        cmocka_unit_test(hmac),
        cmocka_unit_test(hex_is_read_strictly),
        cmocka_unit_test(secrets),
        cmocka_unit_test(base64url),
        cmocka_unit_test(base64url_is_canonical),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
