// Strangers' JSON, read as JavaScript reads it. jansson refuses a little of what JSON.parse takes:
// such text, and only such, is written anew in a form that it takes as well.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/base/jsonx_scan.h"

static json_t *load(str text)
{
    return json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

// Behind the quote that ends the string whose text begins here.
static const char *string_end(const char *p)
{
    while (*p != '"')
        p += *p == '\\' ? 2 : 1;
    return p + 1;
}

static bool is_name(const char *behind, const char *end)
{
    while (behind != end && strchr(" \t\r\n", *behind) != NULL)
        ++behind;
    return behind != end && *behind == ':';
}

static void add_string(struct buf *to, str inside, bool is_of_member)
{
    char *text = malloc(inside.n + 1);
    if (text == NULL)
        abort();
    size_t n = jsonx_unescape(inside, text);
    for (size_t i = 0; is_of_member && i != n; ++i)
        if (text[i] == '\0')
            text[i] = '?';
    jsonx_add_string(to, str_of(text, n));
    free(text);
}

static bool is_of_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static void add_number(struct buf *to, str number)
{
    char *text = str_dup(number);
    bool is_integer = strpbrk(text, ".eE") == NULL;
    errno = 0;
    (void)strtoll(text, NULL, 10);
    bool is_large = errno == ERANGE;
    if (isinf(strtod(text, NULL)))
        buf_add(to, *text == '-' ? STR("-1.7976931348623157e308") : STR("1.7976931348623157e308"));
    else
        buf_addf(to, is_integer && is_large ? "%s.0" : "%s", text);
    free(text);
}

// `text` is valid.
static void write_anew(struct buf *to, str text)
{
    const char *p = text.p, *end = p + text.n;
    while (p != end) {
        const char *from = p;
        if (*p == '"') {
            p = string_end(p + 1);
            add_string(to, str_of(from + 1, (size_t)(p - from) - 2), is_name(p, end));
        } else if (is_of_number(*p) && *p != 'e') { // the one in true and false
            while (p != end && is_of_number(*p))
                ++p;
            add_number(to, str_of(from, (size_t)(p - from)));
        } else {
            buf_addc(to, *p++);
        }
    }
}

json_t *jsonx_parse_theirs(str text, size_t values_max)
{
    struct buf anew;
    if (text.p == NULL || !jsonx_has_at_most(text, JSONX_DEPTH_MAX, values_max))
        return NULL;
    json_t *value = load(text);
    if (value != NULL)
        return value;
    buf_init(&anew, 8 * text.n + 64); // a digit may become 23 bytes only where there are 309
    write_anew(&anew, text);
    value = anew.full ? NULL : load(buf_str(&anew));
    buf_fini(&anew);
    return value;
}
