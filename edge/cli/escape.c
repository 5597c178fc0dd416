// One pass, one scalar value at a time; what is not known to be harmless in one glance is named.
#include "edge/cli/escape.h"
#include <wchar.h>

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t escape_decode(str s, uint32_t *ret_scalar)
{
    const unsigned char *p = (const unsigned char *)s.p;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;
    if (n == 0 || n > s.n)
        return 0;
    uint32_t scalar = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i != n; ++i) {
        if (!is_tail(p[i]))
            return 0;
        scalar = scalar << 6 | (p[i] & 0x3f);
    }
    if (scalar < least[n] || scalar > 0x10ffff || (scalar >= 0xd800 && scalar < 0xe000))
        return 0;
    *ret_scalar = scalar;
    return n;
}

// C0, DEL, C1; soft hyphen and the invisible format characters of Unicode 15 (Cf), bidi among them;
// line and paragraph separators; tags and other plane-14 characters.
static bool is_dangerous(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
           (c >= 0xe0000 && c <= 0xe0fff);
}

void escape_add(struct buf *to, str s)
{
    while (s.n != 0) {
        uint32_t c;
        size_t n = escape_decode(s, &c);
        if (n == 0)
            buf_addf(to, "\\x%02x", (unsigned char)s.p[0]);
        else if (c == '\n' || c == '\t' || c == '\r')
            buf_addf(to, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (is_dangerous(c))
            buf_addf(to, c < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
        else
            buf_add(to, str_of(s.p, n));
        s = str_skip(s, n != 0 ? n : 1);
    }
}

void escape_print(FILE *to, str s)
{
    struct buf safe;
    buf_init(&safe, SIZE_MAX / 2);
    escape_add(&safe, s);
    if (safe.n != 0)
        fwrite(safe.p, 1, safe.n, to);
    buf_fini(&safe);
}

size_t escape_width(str s)
{
    size_t width = 0;
    while (s.n != 0) {
        uint32_t c = 0;
        size_t n = escape_decode(s, &c);
        int columns = n != 0 ? wcwidth((wchar_t)c) : 1;
        width += columns > 0 ? (size_t)columns : 0;
        s = str_skip(s, n != 0 ? n : 1);
    }
    return width;
}
