#include "uploads/base64.h"

// 0–63, 64: a blank, 65: anything else.
static unsigned value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : c != '\0' && strchr(" \t\n\f\r", c) != NULL ? 64 : 65;
}

static str without_padding(str s)
{
    size_t pads = 0;
    while (s.n != 0 && (value_of(s.p[s.n - 1]) == 64 || (s.p[s.n - 1] == '=' && pads < 2))) {
        pads += s.p[s.n - 1] == '=';
        --s.n;
    }
    return s;
}

bool files_base64_decode(str text, char *to, size_t *ret_n)
{
    unsigned long bits = 0;
    size_t digits = 0, n = 0;
    str s = without_padding(text);
    for (size_t i = 0; i != s.n; ++i) {
        unsigned v = value_of(s.p[i]);
        if (v == 65)
            return false;
        if (v == 64)
            continue;
        bits = (bits << 6 | v) & 0xffffff;
        if (++digits % 4 != 0)
            continue;
        to[n++] = (char)(bits >> 16);
        to[n++] = (char)(bits >> 8);
        to[n++] = (char)bits;
    }
    if (digits % 4 == 1)
        return false;
    if (digits % 4 == 2)
        to[n++] = (char)(bits >> 4);
    if (digits % 4 == 3) {
        to[n++] = (char)(bits >> 10);
        to[n++] = (char)(bits >> 2);
    }
    *ret_n = n;
    return true;
}
