// Encryption at rest: what was sealed opens at its own place with its own key, and nowhere else,
// whatever byte is changed.
#include "edge/base/seal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/digest.h"
#include <cmocka.h>

static const struct seal_context place = {"instance_secrets", "ins_1/API_KEY", "value", "prj_1"};
static const struct seal_key one = {{1, 2, 3}}, two = {{4, 5, 6}};

static int with_one_key(void **state)
{
    seal_init(&one, 1);
    return 0;
}

static int without_keys(void **state)
{
    seal_fini();
    return 0;
}

static struct buf sealed_of(str plain)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(seal(plain, &place, &b, NULL), FAIL_NONE);
    return b;
}

static void expect_plain(str sealed, const struct seal_context *at, str plain)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(unseal(sealed, at, &b, NULL), FAIL_NONE);
    assert_true(str_eq(buf_str(&b), plain));
    seal_forget(&b);
}

static void expect_refused(str sealed, const struct seal_context *at, const char *code)
{
    struct buf b;
    struct fault fault = {0};
    buf_init(&b, 1 << 20);
    assert_int_equal(unseal(sealed, at, &b, &fault), FAIL_INTERNAL);
    assert_string_equal(fault.code, code);
    assert_int_equal(b.n, 0);
    buf_fini(&b);
}

static void what_was_sealed_opens(void **state)
{
    static const str plains[] = {{"", 0}, {"x", 1}, {"a\0b", 3}, {"hunter2", 7}};
    for (size_t i = 0; i != 4; ++i) {
        struct buf b = sealed_of(plains[i]);
        assert_int_equal(b.n, plains[i].n + SEAL_OVERHEAD);
        expect_plain(buf_str(&b), &place, plains[i]);
        buf_fini(&b);
    }
    struct buf b = sealed_of((str){NULL, 0});
    expect_plain(buf_str(&b), &place, (str){NULL, 0});
    buf_fini(&b);
}

static void long_values_open(void **state)
{
    AUTOFREE char *text = malloc(64 << 10);
    memset(text, 'q', 64 << 10);
    struct buf b = sealed_of(str_of(text, 64 << 10));
    expect_plain(buf_str(&b), &place, str_of(text, 64 << 10));
    buf_fini(&b);
}

static void the_same_twice_differs(void **state)
{
    struct buf a = sealed_of(STR("same")), b = sealed_of(STR("same"));
    assert_false(str_eq(buf_str(&a), buf_str(&b)));
    buf_fini(&a);
    buf_fini(&b);
}

static void any_changed_bit_is_seen(void **state)
{
    struct buf b = sealed_of(STR("a secret of some length"));
    for (size_t i = 0; i != b.n; ++i)
        for (int bit = 0; bit != 8; ++bit) {
            b.p[i] ^= (char)(1 << bit);
            bool is_id = i >= 1 && i <= SEAL_ID_BYTES;
            expect_refused(buf_str(&b), &place, is_id ? "seal_key_missing" : "seal_broken");
            b.p[i] ^= (char)(1 << bit);
        }
    expect_plain(buf_str(&b), &place, STR("a secret of some length"));
    buf_fini(&b);
}

static void any_other_length_is_seen(void **state)
{
    struct buf b = sealed_of(STR("a secret"));
    for (size_t n = 0; n != b.n; ++n)
        expect_refused(str_of(b.p, n), &place, "seal_broken");
    buf_addc(&b, 'x');
    expect_refused(buf_str(&b), &place, "seal_broken");
    buf_fini(&b);
}

static void another_place_is_refused(void **state)
{
    static const struct seal_context others[] = {
        {"plugin_secrets", "ins_1/API_KEY", "value", "prj_1"},
        {"instance_secrets", "ins_2/API_KEY", "value", "prj_1"},
        {"instance_secrets", "ins_1/API_KEY", "values", "prj_1"},
        {"instance_secrets", "ins_1/API_KEY", "value", "prj_2"},
        {"instance_secrets", "ins_1/API_KEY", "value", ""},
        {"instance_secretsi", "ns_1/API_KEY", "value", "prj_1"}, // the same bytes, cut elsewhere
    };
    struct buf b = sealed_of(STR("a secret"));
    for (size_t i = 0; i != sizeof others / sizeof others[0]; ++i)
        expect_refused(buf_str(&b), &others[i], "seal_broken");
    buf_fini(&b);
}

static void keys_rotate(void **state)
{
    struct buf old = sealed_of(STR("under the old one"));
    assert_true(seal_is_current(buf_str(&old)));
    seal_init((struct seal_key[]){two, one}, 2);
    assert_false(seal_is_current(buf_str(&old)));
    expect_plain(buf_str(&old), &place, STR("under the old one"));
    struct buf new = sealed_of(STR("under the new one"));
    assert_true(seal_is_current(buf_str(&new)));
    seal_init(&two, 1);
    expect_plain(buf_str(&new), &place, STR("under the new one"));
    expect_refused(buf_str(&old), &place, "seal_key_missing");
    buf_fini(&old);
    buf_fini(&new);
}

// The id says which key to try; it is authenticated too.
static void a_forged_key_id_is_refused(void **state)
{
    struct buf a = sealed_of(STR("a secret"));
    seal_init((struct seal_key[]){two, one}, 2);
    struct buf b = sealed_of(STR("a secret"));
    memcpy(a.p + 1, b.p + 1, SEAL_ID_BYTES);
    expect_refused(buf_str(&a), &place, "seal_broken");
    buf_fini(&a);
    buf_fini(&b);
}

static void keys_are_tried_without_being_taken(void **state)
{
    struct buf b = sealed_of(STR("a secret"));
    assert_true(seal_opens((struct seal_key[]){two, one}, 2, buf_str(&b), &place));
    assert_false(seal_opens(&two, 1, buf_str(&b), &place));
    assert_false(seal_opens(&one, 1, STR("x"), &place));
    assert_true(seal_is_current(buf_str(&b)));
    seal_fini();
    assert_true(seal_opens(&one, 1, buf_str(&b), &place));
    assert_false(seal_is_ready());
    buf_fini(&b);
}

static void without_a_key_it_is_busy(void **state)
{
    struct buf b = sealed_of(STR("a secret")), to;
    struct fault fault = {0};
    uint8_t key[32];
    buf_init(&to, 100);
    seal_fini();
    assert_false(seal_is_ready());
    assert_false(seal_is_current(buf_str(&b)));
    assert_int_equal(seal(STR("x"), &place, &to, &fault), FAIL_BUSY);
    assert_int_equal(unseal(buf_str(&b), &place, &to, &fault), FAIL_BUSY);
    assert_int_equal(seal_derive("x", key, &fault), FAIL_BUSY);
    assert_string_equal(fault.code, "seal_not_ready");
    buf_fini(&b);
    buf_fini(&to);
}

static void a_full_buffer_is_said(void **state)
{
    struct buf small, b = sealed_of(STR("a secret"));
    buf_init(&small, SEAL_OVERHEAD + 3);
    assert_int_equal(seal(STR("four"), &place, &small, NULL), FAIL_TOO_LARGE);
    buf_fini(&small);
    buf_init(&small, 7);
    assert_int_equal(unseal(buf_str(&b), &place, &small, NULL), FAIL_TOO_LARGE);
    buf_fini(&small);
    buf_fini(&b);
}

static void values_are_appended(void **state)
{
    struct buf b = sealed_of(STR("tail")), to;
    buf_init(&to, 100);
    buf_add(&to, STR("head "));
    assert_int_equal(unseal(buf_str(&b), &place, &to, NULL), FAIL_NONE);
    assert_true(str_eq(buf_str(&to), STR("head tail")));
    b.p[b.n - 1] ^= 1;
    assert_int_equal(unseal(buf_str(&b), &place, &to, NULL), FAIL_INTERNAL);
    assert_true(str_eq(buf_str(&to), STR("head tail")));
    seal_forget(&to);
    assert_null(to.p);
    buf_fini(&b);
}

static void derived_keys_differ_by_label_and_key(void **state)
{
    uint8_t a[32], again[32], b[32], c[32];
    assert_int_equal(seal_derive("file links", a, NULL), FAIL_NONE);
    assert_int_equal(seal_derive("file links", again, NULL), FAIL_NONE);
    assert_int_equal(seal_derive("deliveries", b, NULL), FAIL_NONE);
    seal_init(&two, 1);
    assert_int_equal(seal_derive("file links", c, NULL), FAIL_NONE);
    assert_memory_equal(a, again, 32);
    assert_memory_not_equal(a, b, 32);
    assert_memory_not_equal(a, c, 32);
}

static void a_derived_key_is_found_by_its_masters_id(void **state)
{
    uint8_t id[SEAL_ID_BYTES], a[32], later[32];
    assert_int_equal(seal_current_id(id, NULL), FAIL_NONE);
    assert_int_equal(seal_derive("file links", a, NULL), FAIL_NONE);
    seal_init((struct seal_key[]){two, one}, 2);
    assert_true(seal_derive_under(id, "file links", later));
    assert_memory_equal(a, later, 32);
    seal_init(&two, 1);
    assert_false(seal_derive_under(id, "file links", later));
    seal_fini();
    assert_false(seal_derive_under(id, "file links", later));
}

// --- keys as text ---

static size_t parse(const char *text, struct seal_key keys[static SEAL_KEYS_MAX])
{
    char why[160] = "";
    size_t n = 0;
    bool is_fine = seal_keys_parse(str_from(text), keys, &n, why, sizeof why);
    assert_int_equal(is_fine, why[0] == '\0');
    return is_fine ? n : 0;
}

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"

static void keys_are_read_as_written(void **state)
{
    struct seal_key keys[SEAL_KEYS_MAX];
    static const uint8_t want[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,   10,
                                     11, 12, 13, 14, 15, 16, 17, 18, 19, 20,  21,
                                     22, 23, 24, 25, 26, 27, 28, 29, 30, 0xff};
    static const char *const forms[] = {
        HEX,
        HEX "\n",
        "# the key\n\n  " HEX "\r\n",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8,",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8\n# old, gone",
        "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1EFF"};
    for (size_t i = 0; i != sizeof forms / sizeof forms[0]; ++i) {
        assert_int_equal(parse(forms[i], keys), 1);
        assert_memory_equal(keys[0].b, want, 32);
    }
    char text[65];
    seal_key_print(&keys[0], text);
    assert_string_equal(text, HEX);
    assert_int_equal(parse(HEX "," HEX "\n" HEX ", " HEX, keys), 4);
    assert_int_equal(parse("__________________________________________8", keys), 1);
    assert_int_equal(parse("//////////////////////////////////////////8=", keys), 1);
}

static void other_text_is_no_key(void **state)
{
    struct seal_key keys[SEAL_KEYS_MAX];
    static const char *const bad[] = {"",
                                      "\n",
                                      "# nothing",
                                      "hunter2",
                                      HEX "0",
                                      "g" HEX,
                                      HEX "\nx",
                                      "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", // 31 bytes
                                      "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv9"}; // stray bits
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i)
        assert_int_equal(parse(bad[i], keys), 0);
    struct buf many;
    buf_init(&many, 4096);
    for (int i = 0; i != SEAL_KEYS_MAX + 1; ++i)
        buf_add(&many, STR(HEX "\n"));
    AUTOFREE char *text = buf_take(&many);
    assert_int_equal(parse(text, keys), 0);
}

static void made_keys_differ(void **state)
{
    struct seal_key a, b;
    seal_key_make(&a);
    seal_key_make(&b);
    assert_memory_not_equal(a.b, b.b, 32);
}

int main(void)
{
#define SEAL_TEST(f) cmocka_unit_test_setup_teardown(f, with_one_key, without_keys)
    const struct CMUnitTest tests[] = {
        SEAL_TEST(what_was_sealed_opens),
        SEAL_TEST(long_values_open),
        SEAL_TEST(the_same_twice_differs),
        SEAL_TEST(any_changed_bit_is_seen),
        SEAL_TEST(any_other_length_is_seen),
        SEAL_TEST(another_place_is_refused),
        SEAL_TEST(keys_rotate),
        SEAL_TEST(a_forged_key_id_is_refused),
        SEAL_TEST(keys_are_tried_without_being_taken),
        SEAL_TEST(without_a_key_it_is_busy),
        SEAL_TEST(a_full_buffer_is_said),
        SEAL_TEST(values_are_appended),
        SEAL_TEST(derived_keys_differ_by_label_and_key),
        SEAL_TEST(a_derived_key_is_found_by_its_masters_id),
        cmocka_unit_test(keys_are_read_as_written),
        cmocka_unit_test(other_text_is_no_key),
        cmocka_unit_test(made_keys_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
