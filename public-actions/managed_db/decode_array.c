// Array literals of PostgreSQL (documentation, "Array Input and Output Syntax"): `{1,2}`,
// `{"a \"b\"",NULL}`, `{{1},{2}}`, and with bounds in front, `[0:1]={1,2}`. The delimiter is a comma
// for every type that comes here.
#include "public-actions/managed_db/decode.h"

enum { DIMENSIONS_MAX = 6 };

struct reader {
    str rest;
    Oid element;
    struct buf *to;
    struct buf unquoted; // the element being read
};

static void skip(struct reader *r)
{
    r->rest = str_skip(r->rest, 1);
}

static char peek(const struct reader *r)
{
    return r->rest.n != 0 ? r->rest.p[0] : '\0';
}

static bool eat(struct reader *r, char c)
{
    if (peek(r) != c)
        return false;
    skip(r);
    return true;
}

// Behind the opening quote.
static bool read_quoted(struct reader *r)
{
    buf_clear(&r->unquoted);
    for (;;) {
        size_t n = 0;
        while (n != r->rest.n && r->rest.p[n] != '"' && r->rest.p[n] != '\\')
            ++n;
        buf_add(&r->unquoted, str_of(r->rest.p, n));
        r->rest = str_skip(r->rest, n);
        if (eat(r, '"'))
            break;
        (void)eat(r, '\\');
        if (r->rest.n == 0)
            return false;
        buf_addc(&r->unquoted, peek(r));
        skip(r);
    }
    managed_db_value_write(r->element, r->unquoted.n != 0 ? buf_str(&r->unquoted) : STR(""), r->to);
    return true;
}

static bool read_bare(struct reader *r)
{
    size_t n = 0;
    while (n != r->rest.n && r->rest.p[n] != ',' && r->rest.p[n] != '}')
        ++n;
    str text = str_of(r->rest.p, n);
    r->rest = str_skip(r->rest, n);
    if (str_eq(text, STR("NULL")))
        buf_add(r->to, STR("null"));
    else
        managed_db_value_write(r->element, text, r->to);
    return n != 0;
}

static bool read_list(struct reader *r, unsigned depth)
{
    if (!eat(r, '{') || depth == DIMENSIONS_MAX)
        return false;
    buf_addc(r->to, '[');
    for (bool first = true; !eat(r, '}'); first = false) {
        if (!first && !eat(r, ','))
            return false;
        if (!first)
            buf_addc(r->to, ',');
        bool ok = peek(r) == '{' ? read_list(r, depth + 1)
                  : eat(r, '"')  ? read_quoted(r)
                                 : read_bare(r);
        if (!ok)
            return false;
    }
    buf_addc(r->to, ']');
    return true;
}

static void skip_bounds(struct reader *r)
{
    size_t at = peek(r) == '[' ? str_find(r->rest, '=') : SIZE_MAX;
    if (at != SIZE_MAX)
        r->rest = str_skip(r->rest, at + 1);
}

bool managed_db_array_write(Oid element, str literal, struct buf *to)
{
    struct reader r = {.rest = literal, .element = element, .to = to};
    size_t before = to->n;
    buf_init(&r.unquoted, literal.n + 1);
    skip_bounds(&r);
    bool ok = read_list(&r, 0) && r.rest.n == 0;
    buf_fini(&r.unquoted);
    if (!ok)
        to->n = before;
    return ok;
}
