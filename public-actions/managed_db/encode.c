// Parameters: one pass over their JSON, into one buffer.
#include "public-actions/managed_db/encode.h"
#include <stdlib.h>
#include "edge/base/jsonx.h"

enum { NESTED_MAX = 6 }; // dimensions of an array in PostgreSQL

struct encoder {
    struct buf text;
    unsigned number; // of the parameter, from 1
    struct fault *fault;
};

static enum fail refuse(struct encoder *e, const char *why)
{
    return fault_set(e->fault, FAIL_BAD_INPUT, "invalid_parameter", "Parameter $%u %s.", e->number,
                     why);
}

// --- bytes: base64 (RFC 4648 §4) into hexadecimal ---

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static void add_hex(struct buf *to, unsigned byte)
{
    buf_addc(to, "0123456789abcdef"[byte >> 4 & 15]);
    buf_addc(to, "0123456789abcdef"[byte & 15]);
}

static enum fail add_bytes(struct encoder *e, str base64)
{
    unsigned bits = 0, count = 0;
    while (base64.n != 0 && base64.p[base64.n - 1] == '=')
        --base64.n;
    buf_add(&e->text, STR("\\x"));
    for (size_t i = 0; i != base64.n; ++i) {
        int d = base64_digit(base64.p[i]);
        if (d < 0)
            return refuse(e, "is no base64");
        bits = bits << 6 | (unsigned)d;
        if ((count += 6) >= 8)
            add_hex(&e->text, bits >> (count -= 8));
    }
    return FAIL_NONE;
}

// --- one value ---

struct tagged {
    char tag; // j, a, d or b; '\0': none
    str value;
};

// {"t":…,"v":…}, in either order.
static bool read_tagged(str object, struct tagged *ret)
{
    *ret = (struct tagged){0};
    str inside = jsonx_inside(object), name, value;
    while (jsonx_next(&inside, &name, &value)) {
        if (str_eq(name, STR("t")) && value.n > 2)
            ret->tag = value.p[1];
        else if (str_eq(name, STR("v")))
            ret->value = value;
    }
    return ret->value.n != 0 && (ret->value.p[0] == '[') == (ret->tag == 'a') &&
           (ret->tag == 'a' || ret->value.p[0] == '"');
}

static enum fail add_characters(struct encoder *e, str string)
{
    char *to = buf_reserve(&e->text, string.n);
    if (to == NULL)
        return FAIL_NONE; // it is full, which is told later
    size_t n = jsonx_unescape(str_of(string.p + 1, string.n - 2), to);
    e->text.n += n;
    if (memchr(to, '\0', n) != NULL)
        return refuse(e, "holds a NUL character, which no text in PostgreSQL can");
    return FAIL_NONE;
}

static enum fail add_array(struct encoder *e, str array, unsigned depth);

static enum fail add_tagged(struct encoder *e, str object, unsigned depth)
{
    struct tagged t;
    if (!read_tagged(object, &t))
        return refuse(e, "cannot be read");
    switch (t.tag) {
    case 'a':
        return add_array(e, t.value, depth);
    case 'b':
        return add_bytes(e, str_of(t.value.p + 1, t.value.n - 2));
    case 'j':
    case 'd':
        return add_characters(e, t.value);
    default:
        return refuse(e, "is of a kind that is not known");
    }
}

static enum fail add_value(struct encoder *e, str value, unsigned depth)
{
    switch (value.p[0]) {
    case '"':
        return add_characters(e, value);
    case '{':
        return add_tagged(e, value, depth);
    case '[':
        return refuse(e, "cannot be read");
    default: // a number, true or false
        buf_add(&e->text, value);
        return FAIL_NONE;
    }
}

// --- array literals ---

// Puts what was written since `from` into quotes, with quotes and backslashes escaped.
static void quote_from(struct buf *text, size_t from)
{
    size_t escapes = 0;
    for (size_t i = from; i != text->n; ++i)
        escapes += text->p[i] == '"' || text->p[i] == '\\';
    size_t n = text->n - from, more = escapes + 2;
    if (buf_reserve(text, more) == NULL)
        return;
    char *to = text->p + from + n + more;
    *--to = '"';
    for (size_t i = from + n; i != from; --i) {
        char c = text->p[i - 1];
        *--to = c;
        if (c == '"' || c == '\\')
            *--to = '\\';
    }
    *--to = '"';
    text->n += more;
}

static bool is_array(str value)
{
    struct tagged t;
    return value.p[0] == '{' && read_tagged(value, &t) && t.tag == 'a';
}

static enum fail add_element(struct encoder *e, str value, unsigned depth)
{
    if (value.p[0] == 'n') {
        buf_add(&e->text, STR("NULL"));
        return FAIL_NONE;
    }
    if (is_array(value))
        return add_value(e, value, depth);
    size_t from = e->text.n;
    enum fail f = add_value(e, value, depth);
    if (f == FAIL_NONE && !e->text.full)
        quote_from(&e->text, from);
    return f;
}

static enum fail add_array(struct encoder *e, str array, unsigned depth)
{
    str inside = jsonx_inside(array), name, value;
    if (depth == NESTED_MAX)
        return refuse(e, "is nested too deeply");
    buf_addc(&e->text, '{');
    for (bool first = true; jsonx_next(&inside, &name, &value); first = false) {
        if (!first)
            buf_addc(&e->text, ',');
        enum fail f = add_element(e, value, depth + 1);
        if (f != FAIL_NONE)
            return f;
    }
    buf_addc(&e->text, '}');
    return FAIL_NONE;
}

// --- all of them ---

static const uint32_t offset_null = UINT32_MAX;

struct offsets {
    uint32_t *at; // into the text; offset_null
    size_t count, room;
};

static void offsets_add(struct offsets *o, uint32_t at)
{
    if (o->count == o->room) {
        o->room = o->room != 0 ? o->room * 4 : 16;
        o->at = realloc(o->at, o->room * sizeof *o->at);
        if (o->at == NULL)
            abort();
    }
    o->at[o->count++] = at;
}

static enum fail too_large(struct fault *fault)
{
    return fault_set(fault, FAIL_TOO_LARGE, "parameters_too_large",
                     "A statement takes at most %d parameters of %d MiB in all.",
                     MANAGED_DB_PARAMS_MAX, MANAGED_DB_PARAMS_BYTES >> 20);
}

static enum fail add_param(struct encoder *e, struct offsets *o, str value)
{
    ++e->number;
    if (value.p[0] == 'n') {
        offsets_add(o, offset_null);
        return FAIL_NONE;
    }
    offsets_add(o, (uint32_t)e->text.n);
    enum fail f = add_value(e, value, 0);
    buf_addc(&e->text, '\0');
    bool is_large = e->text.full || e->text.n > MANAGED_DB_PARAMS_BYTES;
    return f != FAIL_NONE ? f : is_large ? too_large(e->fault) : FAIL_NONE;
}

static enum fail add_params(struct encoder *e, struct offsets *o, str array)
{
    str inside = jsonx_inside(array), name, value;
    while (jsonx_next(&inside, &name, &value)) {
        enum fail f =
            o->count == MANAGED_DB_PARAMS_MAX ? too_large(e->fault) : add_param(e, o, value);
        if (f != FAIL_NONE)
            return f;
    }
    return FAIL_NONE;
}

static void point(struct managed_db_params *p, const struct offsets *o)
{
    p->count = (int)o->count;
    p->values = malloc((o->count + 1) * sizeof *p->values);
    if (p->values == NULL)
        abort();
    for (size_t i = 0; i != o->count; ++i)
        p->values[i] = o->at[i] != offset_null ? p->text.p + o->at[i] : NULL;
}

enum fail managed_db_params_init(struct managed_db_params *p, str array, struct fault *fault)
{
    *p = (struct managed_db_params){0};
    if (str_eq(array, STR("null")))
        return FAIL_NONE;
    if (array.p[0] != '[')
        return fault_set(fault, FAIL_BAD_INPUT, "invalid_parameter",
                         "The parameters of a query are an array.");
    struct encoder e = {.fault = fault};
    struct offsets o = {0};
    buf_init(&e.text,
             MANAGED_DB_PARAMS_BYTES + array.n); // escapes have their room until they are read
    enum fail f = add_params(&e, &o, array);
    p->text = e.text;
    if (f == FAIL_NONE)
        point(p, &o);
    free(o.at);
    return f;
}

void managed_db_params_fini(struct managed_db_params *p)
{
    free(p->values);
    buf_fini(&p->text);
    *p = (struct managed_db_params){0};
}
