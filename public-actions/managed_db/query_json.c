// A reader of JSON text: recursive descent over a view.
#include "public-actions/managed_db/query_json.h"

enum { DEPTH_MAX = 500 };

char managed_db_json_peek(str *rest)
{
    while (rest->n != 0 && memchr(" \t\r\n", rest->p[0], 4) != NULL)
        *rest = str_skip(*rest, 1);
    return rest->n != 0 ? rest->p[0] : '\0';
}

bool managed_db_json_eat(str *rest, char c)
{
    if (managed_db_json_peek(rest) != c || rest->n == 0)
        return false;
    *rest = str_skip(*rest, 1);
    return true;
}

static bool eat_word(str *rest, str word)
{
    if (!str_starts(*rest, word))
        return false;
    *rest = str_skip(*rest, word.n);
    return true;
}

static bool is_digit(str s)
{
    return s.n != 0 && s.p[0] >= '0' && s.p[0] <= '9';
}

static bool eat_digits(str *rest)
{
    if (!is_digit(*rest))
        return false;
    while (is_digit(*rest))
        *rest = str_skip(*rest, 1);
    return true;
}

static bool eat_number(str *rest)
{
    (void)eat_word(rest, STR("-"));
    if (!eat_word(rest, STR("0")) && !eat_digits(rest))
        return false;
    if (eat_word(rest, STR(".")) && !eat_digits(rest))
        return false;
    if (!eat_word(rest, STR("e")) && !eat_word(rest, STR("E")))
        return true;
    if (!eat_word(rest, STR("+")))
        (void)eat_word(rest, STR("-"));
    return eat_digits(rest);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Four hexadecimal digits, or -1.
static int hex4(str s)
{
    int v = 0;
    if (s.n < 4)
        return -1;
    for (size_t i = 0; i != 4; ++i) {
        int d = hex_digit(s.p[i]);
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

// Behind the backslash.
static bool eat_escape(str *rest)
{
    if (rest->n == 0)
        return false;
    char c = rest->p[0];
    *rest = str_skip(*rest, 1);
    if (c != 'u')
        return memchr("\"\\/bfnrt", c, 8) != NULL;
    if (hex4(*rest) < 0)
        return false;
    *rest = str_skip(*rest, 4);
    return true;
}

// Behind the opening quote.
static bool eat_string(str *rest)
{
    while (rest->n != 0) {
        unsigned char c = (unsigned char)rest->p[0];
        *rest = str_skip(*rest, 1);
        if (c == '"')
            return true;
        if (c < 0x20 || (c == '\\' && !eat_escape(rest)))
            return false;
    }
    return false;
}

static bool eat_value(str *rest, unsigned depth);

static bool eat_members(str *rest, char end, unsigned depth)
{
    if (depth == DEPTH_MAX)
        return false;
    if (managed_db_json_eat(rest, end))
        return true;
    do {
        if (end == '}' && (!managed_db_json_eat(rest, '"') || !eat_string(rest) ||
                           !managed_db_json_eat(rest, ':')))
            return false;
        if (!eat_value(rest, depth + 1))
            return false;
    } while (managed_db_json_eat(rest, ','));
    return managed_db_json_eat(rest, end);
}

static bool eat_value(str *rest, unsigned depth)
{
    switch (managed_db_json_peek(rest)) {
    case '{':
        *rest = str_skip(*rest, 1);
        return eat_members(rest, '}', depth);
    case '[':
        *rest = str_skip(*rest, 1);
        return eat_members(rest, ']', depth);
    case '"':
        *rest = str_skip(*rest, 1);
        return eat_string(rest);
    case 't':
        return eat_word(rest, STR("true"));
    case 'f':
        return eat_word(rest, STR("false"));
    case 'n':
        return eat_word(rest, STR("null"));
    default:
        return eat_number(rest);
    }
}

bool managed_db_json_value(str *rest, str *ret)
{
    (void)managed_db_json_peek(rest);
    const char *from = rest->p;
    if (!eat_value(rest, 0))
        return false;
    *ret = str_of(from, (size_t)(rest->p - from));
    return true;
}

bool managed_db_json_is_valid(str text)
{
    str value;
    return managed_db_json_value(&text, &value) && managed_db_json_peek(&text) == '\0' &&
           text.n == 0;
}

// --- the characters of a string ---

static void add_code_point(struct buf *to, unsigned c)
{
    if (c < 0x80) {
        buf_addc(to, (char)c);
    } else if (c < 0x800) {
        buf_addc(to, (char)(0xc0 | c >> 6));
        buf_addc(to, (char)(0x80 | (c & 0x3f)));
    } else {
        if (c < 0x10000)
            buf_addc(to, (char)(0xe0 | c >> 12));
        else {
            buf_addc(to, (char)(0xf0 | c >> 18));
            buf_addc(to, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        buf_addc(to, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_addc(to, (char)(0x80 | (c & 0x3f)));
    }
}

static unsigned take_unit(str *rest)
{
    int v = hex4(*rest);
    *rest = str_skip(*rest, 4);
    return (unsigned)v;
}

static bool is_low_surrogate(str rest)
{
    int v = rest.n >= 6 && rest.p[0] == '\\' && rest.p[1] == 'u' ? hex4(str_skip(rest, 2)) : -1;
    return v >= 0xdc00 && v <= 0xdfff;
}

// Behind "\u".
static void add_unit(str *rest, struct buf *to)
{
    unsigned c = take_unit(rest);
    if (c >= 0xd800 && c <= 0xdbff && is_low_surrogate(*rest)) {
        *rest = str_skip(*rest, 2);
        c = 0x10000 + ((c - 0xd800) << 10) + (take_unit(rest) - 0xdc00);
    } else if (c >= 0xd800 && c <= 0xdfff)
        c = 0xfffd;
    add_code_point(to, c);
}

// Behind the backslash.
static void add_escaped(str *rest, struct buf *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char c = rest->p[0];
    *rest = str_skip(*rest, 1);
    if (c == 'u')
        add_unit(rest, to);
    else
        buf_addc(to, into[strchr(from, c) - from]);
}

void managed_db_json_characters(str string, struct buf *to)
{
    str rest = str_of(string.p + 1, string.n - 2);
    while (rest.n != 0) {
        size_t plain = str_find(rest, '\\');
        buf_add(to, str_of(rest.p, plain < rest.n ? plain : rest.n));
        if (plain >= rest.n)
            return;
        rest = str_skip(rest, plain + 1);
        add_escaped(&rest, to);
    }
}
