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

void multipart_clean_filename(str raw, char to[static MULTIPART_NAME_MAX + 1])
{
    size_t n = 0;
    for (str s = last_segment(raw); s.n != 0;) {
        unsigned char c = (unsigned char)s.p[0];
        size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        bool is_valid = len <= s.n && str_is_utf8(str_of(s.p, len));
        len = is_valid ? len : 1;
        bool is_control =
            c < 0x20 || c == 0x7f || (is_valid && c == 0xc2 && (unsigned char)s.p[1] < 0xa0); // C1
        if (!is_control) {
            if (n + len > MULTIPART_NAME_MAX)
                break;
            memcpy(to + n, is_valid ? s.p : "_", len);
            n += len;
        }
        s = str_skip(s, len);
    }
    to[n] = '\0';
    if (n == 0 || strcmp(to, ".") == 0 || strcmp(to, "..") == 0)
        snprintf(to, MULTIPART_NAME_MAX + 1, "file");
}
