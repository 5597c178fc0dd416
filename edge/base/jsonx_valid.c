// Checking JSON (RFC 8259) without building it: for text that is passed on as it is, and may be
// large. One pass, no allocation, no recursion: what is open is a stack of bits.
#include <assert.h>
#include "edge/base/jsonx_scan.h"

// Each scan_… takes the place where its kind begins and returns the one behind it; NULL: it is none.

const char *jsonx_skip_space(const char *p, const char *end)
{
    while (p != end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        ++p;
    return p;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const char *scan_escape(const char *p, const char *end)
{
    if (p == end)
        return NULL;
    if (*p != 'u')
        return memchr("\"\\/bfnrt", *p, 8) != NULL ? p + 1 : NULL;
    if (end - p < 5 || !is_hex(p[1]) || !is_hex(p[2]) || !is_hex(p[3]) || !is_hex(p[4]))
        return NULL;
    return p + 5;
}

// The bytes above ASCII up to the next ASCII one must be whole characters.
static const char *scan_wide(const char *p, const char *end)
{
    const char *from = p;
    while (p != end && (unsigned char)*p >= 0x80)
        ++p;
    return str_is_utf8(str_of(from, (size_t)(p - from))) ? p : NULL;
}

const char *jsonx_scan_string(const char *p, const char *end)
{
    if (p == end || *p++ != '"')
        return NULL;
    while (p != NULL && (p = jsonx_skip_plain(p, end, JSONX_TOPS)) != end) {
        unsigned char c = (unsigned char)*p;
        if (c == '"')
            return p + 1;
        if (c < 0x20)
            return NULL;
        if (c == '\\') {
            do
                p = scan_escape(p + 1, end);
            while (p != NULL && p != end && *p == '\\');
        } else {
            p = c >= 0x80 ? scan_wide(p, end) : p + 1;
        }
    }
    return NULL;
}

static const char *scan_digits(const char *p, const char *end)
{
    const char *from = p;
    while (p != end && is_digit(*p))
        ++p;
    return p != from ? p : NULL;
}

static const char *scan_number(const char *p, const char *end)
{
    if (*p == '-')
        ++p;
    p = p != end && *p == '0' ? p + 1 : scan_digits(p, end);
    if (p != NULL && p != end && *p == '.')
        p = scan_digits(p + 1, end);
    if (p == NULL || p == end || (*p != 'e' && *p != 'E'))
        return p;
    if (++p != end && (*p == '+' || *p == '-'))
        ++p;
    return scan_digits(p, end);
}

static const char *scan_scalar(const char *p, const char *end)
{
    static const str words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    if (*p == '"')
        return jsonx_scan_string(p, end);
    if (*p == '-' || is_digit(*p))
        return scan_number(p, end);
    for (size_t i = 0; i != sizeof words / sizeof *words; ++i)
        if (str_starts(str_of(p, (size_t)(end - p)), words[i]))
            return p + words[i].n;
    return NULL;
}

// A member's name and its colon.
static const char *scan_name(const char *p, const char *end)
{
    p = jsonx_scan_string(jsonx_skip_space(p, end), end);
    if (p == NULL || (p = jsonx_skip_space(p, end)) == end || *p != ':')
        return NULL;
    return p + 1;
}

struct open {
    unsigned depth, max;
    uint8_t objects[JSONX_DEPTH_MAX / 8]; // a bit each: an object, else an array
};

static bool in_object(const struct open *o)
{
    return (o->objects[(o->depth - 1) / 8] >> (o->depth - 1) % 8 & 1) != 0;
}
static bool open_push(struct open *o, bool is_object)
{
    if (o->depth == o->max)
        return false;
    uint8_t bit = (uint8_t)(1 << o->depth % 8), *byte = &o->objects[o->depth / 8];
    *byte = (uint8_t)(is_object ? *byte | bit : *byte & ~bit);
    ++o->depth;
    return true;
}

// Behind a value: closes what ends here. Returns where the next value begins, or the end of the
// whole (nothing is open then), or NULL.
static const char *after_value(struct open *o, const char *p, const char *end)
{
    for (; o->depth != 0; --o->depth, ++p) {
        if ((p = jsonx_skip_space(p, end)) == end)
            return NULL;
        if (*p == ',')
            return in_object(o) ? scan_name(p + 1, end) : p + 1;
        if (*p != (in_object(o) ? '}' : ']'))
            return NULL;
    }
    return jsonx_skip_space(p, end);
}

// At '{' or '['.
static const char *scan_opening(struct open *o, const char *p, const char *end)
{
    bool is_object = *p == '{';
    if (!open_push(o, is_object))
        return NULL;
    p = jsonx_skip_space(p + 1, end);
    if (p != end && *p == (is_object ? '}' : ']')) { // empty
        --o->depth;
        return after_value(o, p + 1, end);
    }
    return is_object ? scan_name(p, end) : p;
}

bool jsonx_has_at_most(str text, unsigned depth, size_t values)
{
    assert(depth <= JSONX_DEPTH_MAX);
    struct open o;
    o.depth = 0;
    o.max = depth;
    const char *p = text.p, *end = p + text.n;
    do {
        if (values-- == 0 || p == end || (p = jsonx_skip_space(p, end)) == end)
            return false;
        if (*p == '{' || *p == '[')
            p = scan_opening(&o, p, end);
        else if ((p = scan_scalar(p, end)) != NULL)
            p = after_value(&o, p, end);
    } while (p != NULL && o.depth != 0);
    return p != NULL && p == end;
}

bool jsonx_is_valid(str text, unsigned depth)
{
    return jsonx_has_at_most(text, depth, SIZE_MAX);
}

// --- the text of a string ---

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i != 4; ++i) // letters have bit 6, and begin with 1 in the lower four
        v = v << 4 | (((unsigned)p[i] & 15) + 9 * ((unsigned)p[i] >> 6 & 1));
    return v;
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    unsigned tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned lead[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(lead[tail] | c >> 6 * tail);
    while (tail-- != 0)
        *to++ = (char)(0x80 | (c >> 6 * tail & 0x3f));
    return to;
}

// Behind the 'u'; *ret: how many bytes of the text it took.
static unsigned unescape_unicode(const char *p, const char *end, size_t *ret)
{
    unsigned c = hex4(p);
    *ret = 4;
    if (c < 0xd800 || c > 0xdfff)
        return c;
    if (c < 0xdc00 && end - p >= 10 && p[4] == '\\' && p[5] == 'u') {
        unsigned low = hex4(p + 6);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *ret = 10;
            return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

size_t jsonx_unescape(str inside, char *to)
{
    static const char from[] = "bfnrt", what[] = "\b\f\n\r\t";
    char *at = to;
    const char *p = inside.p, *end = p + inside.n;
    while (p != end) {
        if (*p != '\\') {
            const char *next = memchr(p, '\\', (size_t)(end - p));
            size_t plain = (size_t)((next != NULL ? next : end) - p);
            memmove(at, p, plain);
            at += plain;
            p += plain;
            continue;
        }
        char c = p[1];
        p += 2;
        size_t took = 0;
        if (c == 'u') {
            unsigned code = unescape_unicode(p, end, &took);
            p += took;
            at = put_utf8(at, code);
            continue;
        }
        const char *special = memchr(from, c, sizeof from - 1);
        *at++ = special != NULL ? what[special - from] : c;
    }
    return (size_t)(at - to);
}
