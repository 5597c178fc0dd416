// Parameters of Content-Type and Content-Disposition, and file names in them.
#include "edge/http/multipart/internal.h"
#include <stdio.h>

static bool is_tchar(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool multipart_is_token(str s)
{
    for (size_t i = 0; i != s.n; ++i)
        if (!is_tchar(s.p[i]))
            return false;
    return s.n != 0;
}

static str skip_blanks(str s)
{
    while (s.n != 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_skip(s, 1);
    return s;
}

// `*rest` is behind the opening quote; false when the quote is never closed.
static bool take_quoted(str *rest, str *ret)
{
    for (size_t i = 0; i < rest->n; ++i) {
        if (rest->p[i] == '\\') {
            ++i;
        } else if (rest->p[i] == '"') {
            *ret = str_of(rest->p, i);
            *rest = str_skip(*rest, i + 1);
            return true;
        }
    }
    return false;
}

static str take_word(str *rest)
{
    size_t n = 0;
    while (n != rest->n && memchr(" \t;\"\\", rest->p[n], 5) == NULL)
        ++n;
    str word = str_of(rest->p, n);
    *rest = str_skip(*rest, n);
    return word;
}

enum param_result multipart_param_next(str *rest, struct param *ret)
{
    str s = skip_blanks(*rest);
    if (s.n == 0)
        return PARAM_END;
    if (s.p[0] != ';')
        return PARAM_BAD;
    s = skip_blanks(str_skip(s, 1));
    size_t equals = str_find(s, '=');
    if (equals == SIZE_MAX)
        return PARAM_BAD;
    ret->name = str_of(s.p, equals);
    s = str_skip(s, equals + 1);
    ret->is_quoted = s.n != 0 && s.p[0] == '"';
    if (ret->is_quoted) {
        s = str_skip(s, 1);
        if (!take_quoted(&s, &ret->value))
            return PARAM_BAD;
    } else {
        ret->value = take_word(&s);
        if (ret->value.n == 0)
            return PARAM_BAD;
    }
    *rest = s;
    return multipart_is_token(ret->name) ? PARAM_OK : PARAM_BAD;
}

void multipart_params_skip_empty(str *rest)
{
    for (str s = skip_blanks(*rest); s.n != 0 && s.p[0] == ';';) {
        s = skip_blanks(str_skip(s, 1));
        if (s.n != 0 && s.p[0] != ';')
            return;
        *rest = s;
    }
}

size_t multipart_param_decode(const struct param *p, char *to)
{
    size_t n = 0;
    str s = p->value;
    while (s.n != 0) {
        size_t take = 1;
        char c = s.p[0];
        if (p->is_quoted && c == '\\' && s.n > 1 && (s.p[1] == '"' || s.p[1] == '\\')) {
            c = s.p[1];
            take = 2;
        } else if (c == '%' && s.n > 2) {
            str three = str_of(s.p, 3);
            char code = str_eq(three, STR("%22"))       ? '"'
                        : str_caseeq(three, STR("%0d")) ? '\r'
                        : str_caseeq(three, STR("%0a")) ? '\n'
                                                        : '%';
            take = code == '%' ? 1 : 3;
            c = code;
        }
        to[n++] = c;
        s = str_skip(s, take);
    }
    to[n] = '\0';
    return n;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool multipart_param_decode_extended(const struct param *p, char *to, size_t *ret_n)
{
    str s = p->value;
    if (p->is_quoted || str_find(s, '\'') == SIZE_MAX)
        return false;
    str charset = str_cut(&s, '\'');
    if (!str_caseeq(charset, STR("UTF-8")) || str_find(s, '\'') == SIZE_MAX)
        return false;
    str_cut(&s, '\''); // the language
    size_t n = 0;
    while (s.n != 0) {
        bool is_code = s.p[0] == '%';
        int high = is_code && s.n > 2 ? hex_digit(s.p[1]) : -1;
        int low = is_code && s.n > 2 ? hex_digit(s.p[2]) : -1;
        if (is_code ? high < 0 || low < 0 : !is_tchar(s.p[0]))
            return false;
        to[n++] = is_code ? (char)(high << 4 | low) : s.p[0];
        s = str_skip(s, is_code ? 3 : 1);
    }
    to[n] = '\0';
    *ret_n = n;
    return str_is_utf8(str_of(to, n));
}

static str last_segment(str s)
{
    for (size_t i = s.n; i != 0; --i)
        if (s.p[i - 1] == '/' || s.p[i - 1] == '\\')
            return str_skip(s, i);
    return s;
}

// Of a valid character: what may not stand in a name.
static bool is_trap(str c)
{
    const unsigned char *p = (const unsigned char *)c.p;
    if (c.n == 1)
        return p[0] < 0x20 || p[0] == 0x7f;
    if (c.n == 2)
        return (p[0] == 0xc2 && p[1] < 0xa0) || // C1
               (p[0] == 0xd8 && p[1] == 0x9c);  // U+061C
    if (c.n != 3)
        return false;
    unsigned code = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

// One character, or one byte that is none.
static str next_char(str s, bool *ret_is_valid)
{
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    *ret_is_valid = n <= s.n && str_is_utf8(str_of(s.p, n));
    return str_of(s.p, *ret_is_valid ? n : 1);
}

void multipart_clean_filename(str raw, char to[static MULTIPART_NAME_MAX + 1])
{
    size_t n = 0;
    for (str s = last_segment(raw); s.n != 0;) {
        bool is_valid;
        str c = next_char(s, &is_valid);
        s = str_skip(s, c.n);
        if (is_valid && (is_trap(c) || (n == 0 && c.p[0] == ' ')))
            continue;
        if (n + c.n > MULTIPART_NAME_MAX)
            break;
        memcpy(to + n, is_valid ? c.p : "_", c.n);
        n += c.n;
    }
    while (n != 0 && to[n - 1] == ' ')
        --n;
    to[n] = '\0';
    if (n == 0 || strcmp(to, ".") == 0 || strcmp(to, "..") == 0)
        snprintf(to, MULTIPART_NAME_MAX + 1, "file");
}
