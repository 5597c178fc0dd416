// Percent-decoding.
#include "edge/http/urlencoded.h"

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool url_decode(str s, bool is_form, char *to, size_t *ret_n)
{
    size_t n = 0;
    for (size_t i = 0; i != s.n; ++i) {
        if (s.p[i] == '%') {
            if (s.n - i < 3)
                return false;
            int high = hex_digit(s.p[i + 1]), low = hex_digit(s.p[i + 2]);
            if (high < 0 || low < 0)
                return false;
            to[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            to[n++] = is_form && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    *ret_n = n;
    return true;
}

bool url_is_text(str s)
{
    for (size_t i = 0; i != s.n; ++i)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return str_is_utf8(s);
}
