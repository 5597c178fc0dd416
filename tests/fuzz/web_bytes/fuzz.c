// A handler's bytes: what is decoded is what strict decoding gives where that succeeds, coming back
// gives the same, and no length promised in web.h is passed.
#include "public-actions/runtime/web.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(str s)
{
    uint16_t *units = malloc(2 * s.n + 1);
    size_t n = web_utf16_from_utf8(s, false, units);
    assert(n <= s.n);
    char *back = malloc(3 * n + 1);
    size_t length = web_utf8_from_utf16(units, n, back);
    assert(length <= 3 * n && str_is_utf8(str_of(back, length)));
    assert(web_utf16_length(str_of(back, length)) == n);
    assert((web_utf16_from_utf8(s, true, units) != SIZE_MAX) == str_is_utf8(s));
    if (str_is_utf8(s))
        assert(str_eq(str_of(back, length), s));
    free(back);
    free(units);
}

// What waits for more bytes, and what does not, decode together as they do in one piece.
static void check_stream(str s)
{
    size_t wait = web_utf8_incomplete(s);
    assert(wait <= 3 && wait <= s.n);
    uint16_t *whole = malloc(2 * s.n + 1), *parts = malloc(2 * s.n + 1);
    size_t n = web_utf16_from_utf8(s, false, whole);
    size_t first = web_utf16_from_utf8(str_of(s.p, s.n - wait), false, parts);
    size_t second = web_utf16_from_utf8(str_of(s.p + s.n - wait, wait), false, parts + first);
    assert(first + second == n && second == (wait != 0));
    assert(n == 0 || memcmp(whole, parts, 2 * n) == 0);
    free(whole);
    free(parts);
}

static void check_units(str s)
{
    size_t n = s.n / 2;
    uint16_t *units = malloc(2 * n + 1);
    if (n != 0)
        memcpy(units, s.p, 2 * n);
    char *utf8 = malloc(3 * n + 1);
    size_t length = web_utf8_from_utf16(units, n, utf8);
    assert(str_is_utf8(str_of(utf8, length)));
    assert(web_utf16_length(str_of(utf8, length)) == n);
    free(utf8);
    free(units);
}

static void check_base64(str s)
{
    size_t room = (s.n + 2) / 3 * 4;
    char *text = malloc(room + 1), *plain = malloc((room + 3) / 4 * 3 + 1);
    assert(web_base64_encode(s, text) == room);
    assert(web_base64_decode(str_of(text, room), plain) == s.n);
    assert(s.n == 0 || memcmp(plain, s.p, s.n) == 0);
    assert(web_base64_decode(str_of(text, room), text) == s.n); // in place
    free(plain);
    plain = malloc((s.n + 3) / 4 * 3 + 1);
    size_t n = web_base64_decode(s, plain);
    assert(n == SIZE_MAX || n <= (s.n + 3) / 4 * 3);
    free(plain);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str s = size != 0 ? str_of(data, size) : STR("");
    check_text(s);
    check_stream(s);
    check_units(s);
    check_base64(s);
    char *json = malloc(size + 1);
    if (size != 0)
        memcpy(json, data, size);
    web_json_mend(json, size);
    free(json);
    return 0;
}
