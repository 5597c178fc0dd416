// jansson with our limits.
#include "edge/base/jsonx.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx_scan.h"

json_t *jsonx_parse(str text, struct fault *fault)
{
    json_error_t error;
    json_t *value =
        json_loadb(text.p != NULL ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &error);
    if (value == NULL) {
        fault_set(fault, FAIL_BAD_INPUT, "invalid_json",
                  "The body is not valid JSON: line %d, column %d: %s.", error.line, error.column,
                  error.text);
        if (fault != NULL && !str_is_utf8(str_from(fault->public_text)))
            fault_set(fault, FAIL_BAD_INPUT, "invalid_json",
                      "The body is not valid JSON: line %d, column %d.", error.line, error.column);
    }
    return value;
}

// jansson writes a real with 17 digits, 1.1 as 1.1000000000000001. Copies `n` bytes of a number, or
// fewer that say the same real; `to` may be where it is. Returns how many they were.
static size_t put_number(char *to, const char *number, size_t n)
{
    char given[40], fewer[40];
    if (n > 16 && n < sizeof given && memchr(number, '.', n) != NULL) {
        memcpy(given, number, n);
        given[n] = '\0';
        double value = strtod(given, NULL);
        for (int digits = 15; digits < 17; digits++) {
            size_t m = (size_t)snprintf(fewer, sizeof fewer, "%.*g", digits, value);
            if (m < n && strtod(fewer, NULL) == value && strpbrk(fewer, ".e") != NULL) {
                memcpy(to, fewer, m);
                return m;
            }
        }
    }
    memmove(to, number, n);
    return n;
}

static size_t shorten_reals(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0';) {
        size_t n = 1;
        if (*at == '"') {
            while (at[n] != '"')
                n += at[n] == '\\' ? 2 : 1;
            n++;
        } else if ((n = strspn(at, "+-.0123456789e")) == 0) // true, false and null have an e within
            n = 1;
        if (*at == '-' || (*at >= '0' && *at <= '9'))
            to += put_number(to, at, n);
        else {
            memmove(to, at, n);
            to += n;
        }
        at += n;
    }
    *to = '\0';
    return (size_t)(to - text);
}

char *jsonx_dump_as(const json_t *value, size_t jansson_flags, size_t *ret_n)
{
    char *text = json_dumps(value, jansson_flags | JSON_ENCODE_ANY);
    if (text == NULL)
        abort();
    size_t n = shorten_reals(text);
    if (ret_n != NULL)
        *ret_n = n;
    return text;
}

char *jsonx_dump(const json_t *value, size_t *ret_n)
{
    return jsonx_dump_as(value, JSON_COMPACT, ret_n);
}

str jsonx_str(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : (str){0};
}

json_t *jsonx_string(str s)
{
    return json_stringn(s.p != NULL ? s.p : "", str_utf8_prefix(s));
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

enum { ESCAPED_MAX = 6 };

static size_t put_escaped(char *to, unsigned char c)
{
    static const char named[] = "\"\\\n\r\t", names[] = "\"\\nrt", hex[] = "0123456789abcdef";
    const char *found = memchr(named, c, sizeof named - 1);
    *to++ = '\\';
    if (found != NULL) {
        *to = names[found - named];
        return 2;
    }
    memcpy(to, "u00", 3);
    to[3] = hex[c >> 4];
    to[4] = hex[c & 15];
    return ESCAPED_MAX;
}

static void add_piece(struct buf *to, str s)
{
    char out[ESCAPED_MAX * 256];
    size_t n = 0;
    for (size_t i = 0; i != s.n; ++i) {
        if (is_plain((unsigned char)s.p[i]))
            out[n++] = s.p[i];
        else
            n += put_escaped(out + n, (unsigned char)s.p[i]);
    }
    buf_add(to, str_of(out, n));
}

static void add_valid(struct buf *to, str s)
{
    while (s.n != 0 && !to->full) {
        size_t plain = (size_t)(jsonx_skip_plain(s.p, s.p + s.n, 0) - s.p);
        buf_add(to, str_of(s.p, plain));
        s = str_skip(s, plain);
        size_t n = s.n < 256 ? s.n : 256;
        add_piece(to, str_of(s.p, n));
        s = str_skip(s, n);
    }
}

// How many bytes at the beginning begin no character; some of them at a time.
static size_t bad_prefix(str s)
{
    size_t n = 0;
    while (n != s.n && n != 64 && str_utf8_prefix(str_of(s.p + n, s.n - n < 4 ? s.n - n : 4)) == 0)
        ++n;
    return n;
}

static void add_replacements(struct buf *to, size_t count)
{
    char *at = buf_reserve(to, 3 * count);
    for (size_t i = 0; at != NULL && i != count; ++i)
        memcpy(at + 3 * i, "\xef\xbf\xbd", 3);
    to->n += at != NULL ? 3 * count : 0;
}

void jsonx_add_string(struct buf *to, str s)
{
    buf_addc(to, '"');
    while (s.n != 0 && !to->full) {
        size_t valid = str_utf8_prefix(s);
        if (valid != 0)
            add_valid(to, str_of(s.p, valid));
        s = str_skip(s, valid);
        size_t bad = bad_prefix(s);
        add_replacements(to, bad);
        s = str_skip(s, bad);
    }
    buf_addc(to, '"');
}
