// jansson with our limits.
#include "edge/base/jsonx.h"
#include <stdlib.h>

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

char *jsonx_dump(const json_t *value, size_t *ret_n)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL)
        abort();
    if (ret_n != NULL)
        *ret_n = strlen(text);
    return text;
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

static void add_escaped(struct buf *to, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add(to, STR("\\\""));
        break;
    case '\\':
        buf_add(to, STR("\\\\"));
        break;
    case '\n':
        buf_add(to, STR("\\n"));
        break;
    case '\r':
        buf_add(to, STR("\\r"));
        break;
    case '\t':
        buf_add(to, STR("\\t"));
        break;
    default:
        buf_addf(to, "\\u%04x", c);
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static void add_valid(struct buf *to, str s)
{
    for (size_t i = 0; i != s.n;) {
        size_t from = i;
        while (i != s.n && is_plain((unsigned char)s.p[i]))
            ++i;
        buf_add(to, str_of(s.p + from, i - from));
        if (i != s.n)
            add_escaped(to, (unsigned char)s.p[i++]);
    }
}

void jsonx_add_string(struct buf *to, str s)
{
    buf_addc(to, '"');
    while (s.n != 0) {
        size_t valid = str_utf8_prefix(s);
        add_valid(to, str_of(s.p, valid));
        s = str_skip(s, valid);
        if (s.n != 0) {
            buf_add(to, STR("\xef\xbf\xbd"));
            s = str_skip(s, 1);
        }
    }
    buf_addc(to, '"');
}
