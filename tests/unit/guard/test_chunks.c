// Chunked framing: what is fine, broken or too large, whole and in single bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "edge/guard/chunks.h"

static enum chunks_verdict whole(const char *p, size_t n, uint64_t limit)
{
    struct chunks c;
    chunks_init(&c);
    return chunks_check(&c, p, n, limit);
}

static enum chunks_verdict bytewise(const char *p, size_t n, uint64_t limit)
{
    struct chunks c;
    enum chunks_verdict v = CHUNKS_FINE;
    chunks_init(&c);
    for (size_t i = 0; i < n && v == CHUNKS_FINE; ++i)
        v = chunks_check(&c, p + i, 1, limit);
    return v;
}

static void expect(enum chunks_verdict verdict, const char *text, uint64_t limit)
{
    if (whole(text, strlen(text), limit) != verdict ||
        bytewise(text, strlen(text), limit) != verdict)
        fail_msg("not verdict %d: %s", verdict, text);
}

static void bodies(void **state)
{
    static const char *const fine[] = {
        "",
        "0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        "3;a=b\r\nabc\r\n0;c=\"d e\"\r\n\r\n",
        "3 ;a\r\nabc\r\n0\r\n\r\n",
        "0\r\nx: y\r\nz: w\r\n\r\n",
        "00000000003\r\nabc\r\n000\r\n\r\n",
        "3\r\nab",                            // the rest comes later
        "0\r\n\r\nGET / HTTP/1.1\r\n\n\r\0x", // the next request is another's business
    };
    static const char *const broken[] = {
        "\r\n",        "x\r\n",        "+3\r\n",       "-3\r\n",    "0x3\r\n",
        " 3\r\n",      ";a\r\n",       "3\n",          "3\r\r\n",   "3\rx",
        "3;a\nb",      "3;a\rb",       "3;\x01",       "3;\x7f",    "3x\r\n",
        "3\r\nabcd",   "3\r\nabc\n",   "3\r\nabc\r\r", "3\r\nabc0", "0\r\n\n",
        "0\r\nx: y\n", "0\r\nx: y\rz", "0\r\n\x01",    "0\r\n\rx",  "ffffffffffffffff\r\n",
    };
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); ++i)
        expect(CHUNKS_FINE, fine[i], 1000);
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); ++i)
        expect(CHUNKS_BROKEN, broken[i], UINT64_MAX);
}

static void limits(void **state)
{
    expect(CHUNKS_FINE, "3\r\nabc\r\n0\r\n\r\n", 3);
    expect(CHUNKS_TOO_LARGE, "3\r\nabc\r\n1\r\n", 3);
    expect(CHUNKS_TOO_LARGE, "fffffffffffffff\r\n", 1 << 30); // before a byte of it has come
    expect(CHUNKS_TOO_LARGE, "1\r\n", 0);
    expect(CHUNKS_FINE, "0\r\n\r\n", 0);
}

static void long_lines_are_broken(void **state)
{
    char text[20000];
    memset(text, 'a', sizeof(text));
    memcpy(text, "3;", 2);
    assert_int_equal(whole(text, 250, 1000), CHUNKS_FINE);
    assert_int_equal(whole(text, 300, 1000), CHUNKS_BROKEN);
    memcpy(text, "0\r\n", 3);
    assert_int_equal(whole(text, 8000, 1000), CHUNKS_FINE);
    assert_int_equal(whole(text, 9000, 1000), CHUNKS_BROKEN);
}

static void a_body_is_not_mostly_framing(void **state)
{
    struct chunks c;
    enum chunks_verdict v = CHUNKS_FINE;
    char chunk[280];
    chunks_init(&c);
    int n = 0;
    memset(chunk, 'x', sizeof(chunk));
    memcpy(chunk, "1;", 2);
    memcpy(chunk + 200, "\r\ny\r\n", 5);
    for (; n < 100000 && v == CHUNKS_FINE; ++n)
        v = chunks_check(&c, chunk, 205, UINT64_MAX);
    assert_int_equal(v, CHUNKS_BROKEN);
    assert_in_range(n, 300, 1000);
    chunks_init(&c);
    for (n = 0; n < 100000; ++n) // one byte at a time, without extensions, is clumsy but lawful
        assert_int_equal(chunks_check(&c, "1\r\nx\r\n", 6, UINT64_MAX), CHUNKS_FINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),
        cmocka_unit_test(limits),
        cmocka_unit_test(long_lines_are_broken),
        cmocka_unit_test(a_body_is_not_mostly_framing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
