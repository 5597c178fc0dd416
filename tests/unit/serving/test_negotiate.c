#include "bundles/negotiate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h> // last: it defines fail()

enum {
    I = 1 << ENCODING_IDENTITY,
    B = 1 << ENCODING_BR,
    Z = 1 << ENCODING_ZSTD,
    G = 1 << ENCODING_GZIP,
    ALL = ENCODINGS_ALL,
};

static const struct {
    const char *header; // NULL: absent
    unsigned available;
    enum encoding expected;
} cases[] = {
    {NULL, ALL, ENCODING_IDENTITY},
    {"", ALL, ENCODING_IDENTITY},
    {"gzip", ALL, ENCODING_GZIP},
    {"gzip", I | B, ENCODING_IDENTITY},
    {"GZip", ALL, ENCODING_GZIP},
    {"x-gzip", ALL, ENCODING_GZIP},
    {"gzip, deflate, br", ALL, ENCODING_BR},
    {"gzip, deflate, br, zstd", ALL, ENCODING_BR},
    {"gzip, zstd", ALL, ENCODING_ZSTD},
    {"gzip, deflate, br, zstd", I | G, ENCODING_GZIP},
    {"gzip, deflate, br, zstd", I, ENCODING_IDENTITY},
    {"deflate", ALL, ENCODING_IDENTITY},
    {"*", ALL, ENCODING_BR},
    {"*", I, ENCODING_IDENTITY},
    {"*;q=0", ALL, ENCODING_IDENTITY},
    {"br;q=0, *", ALL, ENCODING_ZSTD},
    {"*, br;q=0, zstd;q=0", ALL, ENCODING_GZIP},
    {"br;q=0.5, gzip;q=0.8", ALL, ENCODING_GZIP},
    {"br;q=0.5,gzip;q=0.501", ALL, ENCODING_GZIP},
    {"br;q=1.000, gzip;q=1", ALL, ENCODING_BR},
    {"gzip;q=0.001", ALL, ENCODING_GZIP},
    {"gzip;q=0", ALL, ENCODING_IDENTITY},
    {"gzip;q=0.000, br;q=0.", ALL, ENCODING_IDENTITY},
    {"identity", ALL, ENCODING_IDENTITY},
    {"identity;q=1, gzip;q=0.5", ALL, ENCODING_IDENTITY},
    {"identity;q=0.5, gzip;q=0.5", ALL, ENCODING_GZIP},
    {"identity;q=0.5, gzip;q=0.4, *;q=0", ALL, ENCODING_IDENTITY},
    {"identity;q=0", ALL, ENCODING_IDENTITY}, // nothing is left: identity after all
    {"identity;q=0, gzip;q=0.1", ALL, ENCODING_GZIP},
    {"identity;q=0, gzip", I, ENCODING_IDENTITY},
    {"gzip ; q=0.3 , br ;q=0.2", ALL, ENCODING_GZIP},
    {"gzip;Q=0.3", ALL, ENCODING_GZIP},
    {",, ,gzip,,", ALL, ENCODING_GZIP},
    {"gzip\t,\tbr;q=0", ALL, ENCODING_GZIP},
    {"unknown, gzip", ALL, ENCODING_GZIP},
    // malformed
    {"gzip;q=2", ALL, ENCODING_IDENTITY},
    {"gzip;q=1.001", ALL, ENCODING_IDENTITY},
    {"gzip;q=0.0001", ALL, ENCODING_IDENTITY},
    {"gzip;q=", ALL, ENCODING_IDENTITY},
    {"gzip;q=a", ALL, ENCODING_IDENTITY},
    {"gzip;q=.5", ALL, ENCODING_IDENTITY},
    {"gzip;q=0,5", ALL, ENCODING_IDENTITY},
    {"gzip;q=-1", ALL, ENCODING_IDENTITY},
    {"gzip;level=9", ALL, ENCODING_IDENTITY},
    {"gzip;", ALL, ENCODING_GZIP},
    {"gz ip", ALL, ENCODING_IDENTITY},
    {"gzip, (br)", ALL, ENCODING_IDENTITY},
    {";q=1", ALL, ENCODING_IDENTITY},
};

static void test_choice(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        str header = str_from(cases[i].header);
        enum encoding got = negotiate_encoding(header, cases[i].available);
        if (got != cases[i].expected)
            fail_msg("%s: %s, not %s", cases[i].header, encoding_name(got).p,
                     encoding_name(cases[i].expected).p);
    }
}

static void test_acceptance(void **state)
{
    assert_true(negotiate_accepts((str){0}, ENCODING_IDENTITY));
    assert_false(negotiate_accepts((str){0}, ENCODING_BR));
    assert_true(negotiate_accepts(STR("br, gzip;q=0"), ENCODING_BR));
    assert_false(negotiate_accepts(STR("br, gzip;q=0"), ENCODING_GZIP));
    assert_true(negotiate_accepts(STR("br"), ENCODING_IDENTITY));
    assert_false(negotiate_accepts(STR("br, *;q=0"), ENCODING_IDENTITY));
    assert_false(negotiate_accepts(STR("br, identity;q=0"), ENCODING_IDENTITY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_acceptance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
