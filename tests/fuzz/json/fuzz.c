// Any bytes: what jsonx_is_valid takes, jansson takes, and the other way round, but for what the
// header says; the text of a string is the one jansson reads, and so is what a walk finds; what is
// strangers' is read all the same.
#include <stdint.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool is_jansson_stricter(const json_error_t *error)
{
    return json_error_code(error) == json_error_numeric_overflow ||
           json_error_code(error) == json_error_null_byte_in_key ||
           strstr(error->text, "surrogate") != NULL || strstr(error->text, "Unicode") != NULL;
}

static void check_text(str literal, const json_t *value)
{
    char *to = malloc(literal.n);
    size_t n = jsonx_unescape(str_of(literal.p + 1, literal.n - 2), to);
    check(n == json_string_length(value) && memcmp(to, json_string_value(value), n) == 0);
    free(to);
}

// What a walk through it finds is what it holds.
static void check_walk(str text, const json_t *value, unsigned depth)
{
    str inside = jsonx_inside(text), name, each;
    size_t n = 0;
    check((inside.p != NULL) == (json_is_array(value) || json_is_object(value)));
    for (; depth != 0 && jsonx_next(&inside, &name, &each); ++n) {
        check((name.p != NULL) == json_is_object(value));
        json_auto_t *read = json_loadb(each.p, each.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        check(read != NULL);
        if (json_is_array(value))
            check(json_equal(read, json_array_get(value, n)));
        check_walk(each, read, depth - 1);
    }
    check(depth == 0 || !json_is_array(value) || n == json_array_size(value));
    check(depth == 0 || !json_is_object(value) || n >= json_object_size(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_error_t error;
    str text = str_of(data, size);
    if (str_find(text, '\0') != SIZE_MAX) { // jansson takes one behind the value for the end
        jsonx_is_valid(text, 8);
        return 0;
    }
    bool valid = jsonx_is_valid(text, JSONX_DEPTH_MAX);
    json_auto_t *value =
        json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (value == NULL)
        check(!valid || is_jansson_stricter(&error));
    else
        check(valid);
    json_auto_t *theirs = jsonx_parse_theirs(text, SIZE_MAX);
    check((theirs != NULL) == (valid && (value != NULL || is_jansson_stricter(&error))));
    if (json_is_string(value) && text.p[0] == '"' && text.p[text.n - 1] == '"')
        check_text(text, value);
    if (value != NULL)
        check_walk(text, value, 3);
    return 0;
}
