// PostgreSQL's lexical rules (its manual, 4.1), as far as they tell what is inside and outside.
#include "public-actions/managed_db/definition.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_word(char c)
{
    return is_word_start(c) || (c >= '0' && c <= '9') || c == '$';
}

static size_t word_length(str s)
{
    size_t n = 0;
    while (n != s.n && is_word(s.p[n]))
        ++n;
    return n;
}

// The length of what is quoted at the start, with both quotes; 0: it does not end. A doubled quote
// is one inside; with `has_escapes` a backslash takes what follows it.
static size_t quoted_length(str s, bool has_escapes)
{
    for (size_t i = 1; i != s.n; ++i) {
        if (has_escapes && s.p[i] == '\\' && i + 1 != s.n)
            ++i;
        else if (s.p[i] == s.p[0] && i + 1 != s.n && s.p[i + 1] == s.p[0])
            ++i;
        else if (s.p[i] == s.p[0])
            return i + 1;
    }
    return 0;
}

// $tag$…$tag$; 1 when it begins none, 0 when it does not end.
static size_t dollar_length(str s)
{
    size_t n = 1;
    while (n != s.n && s.p[n] != '$' && is_word(s.p[n]))
        ++n;
    if (n == s.n || s.p[n] != '$' || (n > 1 && !is_word_start(s.p[1])))
        return 1;
    str tag = str_of(s.p, n + 1);
    size_t end = str_find_str(str_skip(s, tag.n), tag);
    return end == SIZE_MAX ? 0 : 2 * tag.n + end;
}

static bool begins_comment(str s)
{
    return str_starts(s, STR("--")) || str_starts(s, STR("/*"));
}

// One token's length; 0: a quote that does not end.
static size_t token_length(str s)
{
    char c = s.p[0];
    bool is_escaped = (c == 'e' || c == 'E') && s.n > 1 && s.p[1] == '\'';
    if (is_escaped) {
        size_t n = quoted_length(str_skip(s, 1), true);
        return n != 0 ? n + 1 : 0;
    }
    if (c == '\'' || c == '"')
        return quoted_length(s, false);
    if (c == '$')
        return dollar_length(s);
    return is_word_start(c) ? word_length(s) : 1;
}

static bool begins_type(str s)
{
    return s.n != 0 && (is_word_start(s.p[0]) || s.p[0] == '"');
}

const char *managed_db_definition_problem(str definition)
{
    size_t depth = 0;
    str s = definition;
    while (s.n != 0 && is_space(s.p[0]))
        s = str_skip(s, 1);
    if (!begins_type(s))
        return "must begin with a type, such as text or integer.";
    while (s.n != 0) {
        size_t n = token_length(s);
        if (n == 0)
            return "holds a quote that does not end.";
        if (begins_comment(s))
            return "must not hold comments.";
        if (s.p[0] == ';' || s.p[0] == '\0')
            return "must not hold ; outside of quotes.";
        if (s.p[0] == ',' && depth == 0)
            return "is one column's: no comma outside of parentheses.";
        if (s.p[0] == ')' && depth == 0)
            return "closes a parenthesis that it has not opened.";
        depth += s.p[0] == '(';
        depth -= s.p[0] == ')';
        s = str_skip(s, n);
    }
    return depth != 0 ? "opens a parenthesis that it does not close." : NULL;
}

static bool ends_type(str word)
{
    static const char *const words[] = {
        "not",        "null",      "default", "primary",     "unique",  "check",      "references",
        "constraint", "generated", "collate", "compression", "storage", "deferrable", "initially"};
    for (size_t i = 0; i != sizeof words / sizeof words[0]; ++i)
        if (str_caseeq(word, str_from(words[i])))
            return true;
    return false;
}

static str what_serial_makes(str type)
{
    static const struct {
        const char *name, *type;
    } serials[] = {{"serial", "integer"}, {"serial4", "integer"},      {"bigserial", "bigint"},
                   {"serial8", "bigint"}, {"smallserial", "smallint"}, {"serial2", "smallint"}};
    for (size_t i = 0; i != sizeof serials / sizeof serials[0]; ++i)
        if (str_caseeq(type, str_from(serials[i].name)))
            return str_from(serials[i].type);
    return type;
}

str managed_db_definition_type(str definition)
{
    while (definition.n != 0 && is_space(definition.p[0]))
        definition = str_skip(definition, 1);
    size_t end = 0, last = 0, depth = 0;
    while (end != definition.n) {
        str rest = str_skip(definition, end);
        size_t n = token_length(rest);
        if (n == 0 || (depth == 0 && is_word_start(rest.p[0]) && ends_type(str_of(rest.p, n))))
            break;
        depth += rest.p[0] == '(';
        depth -= rest.p[0] == ')' && depth != 0;
        end += n;
        if (!is_space(rest.p[0]))
            last = end;
    }
    return what_serial_makes(str_of(definition.p, last));
}
