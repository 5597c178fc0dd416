// Walking through valid JSON without building it.
#include "edge/base/jsonx_scan.h"

// Behind the value that begins at p: brackets are counted, strings skipped.
static const char *value_end(const char *p, const char *end)
{
    size_t open = 0;
    do {
        if (*p == '"') {
            p = jsonx_scan_string(p, end);
            continue;
        }
        open += *p == '[' || *p == '{';
        open -= *p == ']' || *p == '}';
        ++p;
    } while (p != end && (open != 0 || strchr(",:]} \t\r\n", *p) == NULL));
    return p;
}

str jsonx_inside(str value)
{
    if (value.p == NULL)
        return value;
    const char *end = value.p + value.n, *p = jsonx_skip_space(value.p, end);
    if (p == end || (*p != '[' && *p != '{'))
        return (str){0};
    while (*--end != ']' && *end != '}') // space
        continue;
    return str_of(p + 1, (size_t)(end - p) - 1);
}

// Over what stands between two values: space, and a comma or colon at the most.
static const char *skip_mark(const char *p, const char *end, char mark)
{
    p = jsonx_skip_space(p, end);
    return p != end && *p == mark ? jsonx_skip_space(p + 1, end) : p;
}

bool jsonx_next(str *inside, str *ret_name, str *ret_value)
{
    *ret_name = *ret_value = (str){0};
    if (inside->p == NULL)
        return false;
    const char *end = inside->p + inside->n, *p = jsonx_skip_space(inside->p, end);
    if (p == end)
        return false;
    const char *behind = value_end(p, end), *value = skip_mark(behind, end, ':');
    if (value != end && *p == '"' && *jsonx_skip_space(behind, end) == ':') {
        *ret_name = str_of(p + 1, (size_t)(behind - p) - 2);
        p = value;
        behind = value_end(p, end);
    }
    *ret_value = str_of(p, (size_t)(behind - p));
    p = skip_mark(behind, end, ',');
    *inside = str_of(p, (size_t)(end - p));
    return true;
}

str jsonx_member(str object, str name)
{
    str inside = jsonx_inside(object), found = {0}, key, value;
    while (jsonx_next(&inside, &key, &value))
        if (key.p != NULL && str_eq(key, name))
            found = value;
    return found;
}
