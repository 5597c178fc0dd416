// Signatures against the example of the Standard Webhooks specification's libraries, and ids.
#include "public-actions/runs/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "edge/base/seal.h"

static void signs_as_the_specification(void **state)
{
    // whsec_ + base64 of 32 bytes 0…31; expected value computed with OpenSSL's command line
    uint8_t key[EVENT_KEY_SIZE];
    char secret[EVENT_SECRET_ROOM], signature[EVENT_SIGNATURE_ROOM];
    for (uint8_t i = 0; i != sizeof key; ++i)
        key[i] = i;
    event_secret(key, secret);
    assert_string_equal(secret, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    event_sign(key, "evt_1", 1700000000, STR("{\"a\":1}"), signature);
    assert_string_equal(signature, "v1,hUVxIYXs8Zy9GDiZD1uQbBwXoZGMAB6RVLdZZ3ffmek=");
}

static void ids_are_the_same_whenever_asked(void **state)
{
    char a[CATALOG_ID_ROOM], b[CATALOG_ID_ROOM], c[CATALOG_ID_ROOM];
    run_event_id("run_1", STR("x"), a);
    run_event_id("run_1", STR("x"), b);
    run_event_id("run_1", STR("y"), c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    assert_int_equal(strlen(a), 32);
}

static void a_sealed_key_opens_in_its_row_only(void **state)
{
    struct seal_key master;
    struct buf sealed;
    struct fault fault;
    uint8_t key[EVENT_KEY_SIZE] = {1, 2, 3}, back[EVENT_KEY_SIZE];
    seal_key_make(&master);
    seal_init(&master, 1);
    buf_init(&sealed, 256);
    assert_int_equal(event_key_seal(key, "prj", "sub_1", &sealed, &fault), FAIL_NONE);
    assert_int_equal(event_key_unseal(buf_str(&sealed), "prj", "sub_1", back, &fault), FAIL_NONE);
    assert_memory_equal(key, back, sizeof key);
    assert_int_not_equal(event_key_unseal(buf_str(&sealed), "prj", "sub_2", back, &fault),
                         FAIL_NONE);
    assert_int_not_equal(event_key_unseal(buf_str(&sealed), "prk", "sub_1", back, &fault),
                         FAIL_NONE);
    buf_fini(&sealed);
}

static void text_is_what_postgresql_takes(void **state)
{
    char text[] = "a\0b\xff\xc3(\xed\xa0\x80z";
    run_text_clean(text, sizeof text - 1);
    assert_true(str_is_utf8(str_of(text, sizeof text - 1)));
    assert_null(memchr(text, '\0', sizeof text - 1));
    assert_memory_equal(text, "a?b?\?(???z", sizeof text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_as_the_specification),
        cmocka_unit_test(ids_are_the_same_whenever_asked),
        cmocka_unit_test(a_sealed_key_opens_in_its_row_only),
        cmocka_unit_test(text_is_what_postgresql_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
