// A query's arguments. Which statements are refused is told by their first words: the extended
// protocol takes one statement only, and without functions (managed_db_functions) no statement
// holds another. What still gets through does no harm to the next query: connections are cleaned.
#include "public-actions/managed_db/query_args.h"
#include <stdlib.h>
#include "edge/base/jsonx.h"

// --- the first words ---

// Behind "/*": comments nest in PostgreSQL.
static str skip_block_comment(str s)
{
    for (unsigned depth = 1; s.n != 0 && depth != 0;) {
        bool opens = str_starts(s, STR("/*")), closes = str_starts(s, STR("*/"));
        depth += opens;
        depth -= closes;
        s = str_skip(s, opens || closes ? 2 : 1);
    }
    return s;
}

// White space, comments, and the empty statements that may stand in front.
static str skip_blank(str s)
{
    for (;;) {
        if (str_starts(s, STR("--"))) {
            while (s.n != 0 && s.p[0] != '\n' && s.p[0] != '\r')
                s = str_skip(s, 1);
        } else if (str_starts(s, STR("/*")))
            s = skip_block_comment(str_skip(s, 2));
        else if (s.n != 0 && memchr(" \t\r\n\f\v;", s.p[0], 7) != NULL)
            s = str_skip(s, 1);
        else
            return s;
    }
}

static str take_word(str *s)
{
    *s = skip_blank(*s);
    size_t n = 0;
    while (n != s->n && ((s->p[n] | 0x20) >= 'a' && (s->p[n] | 0x20) <= 'z'))
        ++n;
    str word = str_of(s->p, n);
    *s = str_skip(*s, n);
    return word;
}

// The second word NULL: whatever follows.
static const struct {
    const char *first, *second;
} refused[] = {
    {"listen", NULL},      {"unlisten", NULL}, {"notify", NULL},           {"load", NULL},
    {"alter", "role"},     {"alter", "user"},  {"alter", "group"},         {"alter", "system"},
    {"alter", "database"}, {"drop", "owned"},  {"prepare", "transaction"},
};

static enum fail check_words(struct managed_db_args *a, struct fault *fault)
{
    str rest = str_from(a->sql), first = take_word(&rest), second = take_word(&rest);
    a->is_read = str_caseeq(first, STR("select")) || str_caseeq(first, STR("table")) ||
                 str_caseeq(first, STR("values"));
    for (size_t i = 0; i != sizeof refused / sizeof refused[0]; ++i) {
        if (str_caseeq(first, str_from(refused[i].first)) &&
            (refused[i].second == NULL || str_caseeq(second, str_from(refused[i].second))))
            return fault_set(fault, FAIL_DENIED, "statement_refused",
                             "%s%s%s is not offered to handlers.", refused[i].first,
                             refused[i].second != NULL ? " " : "",
                             refused[i].second != NULL ? refused[i].second : "");
    }
    return FAIL_NONE;
}

// --- reading ---

static enum fail read_sql(struct managed_db_args *a, str value, struct fault *fault)
{
    if (value.p[0] != '"')
        return fault_set(fault, FAIL_BAD_INPUT, "invalid_query",
                         "The first argument of managedDb.query is the statement, a string.");
    if ((a->sql = malloc(value.n)) == NULL)
        abort();
    size_t n = jsonx_unescape(str_of(value.p + 1, value.n - 2), a->sql);
    a->sql[n] = '\0';
    a->footprint += n;
    if (n > MANAGED_DB_SQL_MAX)
        return fault_set(fault, FAIL_TOO_LARGE, "query_too_large",
                         "A statement has at most %d MiB.", MANAGED_DB_SQL_MAX >> 20);
    if (strlen(a->sql) != n)
        return fault_set(fault, FAIL_BAD_INPUT, "invalid_query",
                         "A statement must not hold NUL characters.");
    return check_words(a, fault);
}

// A number within 1 to `most`, or `most` when it is larger; anything else leaves *ret.
static void read_option(str value, uint32_t most, uint32_t *ret)
{
    if (value.p == NULL || (value.p[0] != '-' && (value.p[0] < '0' || value.p[0] > '9')))
        return;
    char digits[32];
    size_t n = value.n < sizeof digits - 1 ? value.n : sizeof digits - 1;
    memcpy(digits, value.p, n);
    digits[n] = '\0';
    double v = strtod(digits, NULL);
    *ret = v < 1 ? 1 : v > most ? most : (uint32_t)v;
}

// At most three.
static bool split(str json, str parts[static 3])
{
    str inside = jsonx_inside(json), name, value;
    for (size_t i = 0; jsonx_next(&inside, &name, &value); ++i) {
        if (i == 3)
            return false;
        parts[i] = value;
    }
    return true;
}

enum fail managed_db_args_init(struct managed_db_args *a, str json, struct fault *fault)
{
    *a = (struct managed_db_args){.timeout_ms = MANAGED_DB_TIMEOUT_MS, .max_rows = MANAGED_DB_ROWS};
    str parts[3] = {STR("null"), STR("null"), STR("null")};
    if (!split(json, parts))
        return fault_set(fault, FAIL_BAD_INPUT, "invalid_query",
                         "managedDb.query takes a statement, an array of parameters and an object "
                         "of options.");
    enum fail f = read_sql(a, parts[0], fault);
    if (f != FAIL_NONE)
        return f;
    read_option(jsonx_member(parts[2], STR("timeoutMs")), MANAGED_DB_TIMEOUT_MS, &a->timeout_ms);
    read_option(jsonx_member(parts[2], STR("maxRows")), MANAGED_DB_ROWS_MAX, &a->max_rows);
    f = managed_db_params_init(&a->params, parts[1], fault);
    a->footprint += a->params.text.n + (size_t)a->params.count * sizeof a->params.values[0];
    return f;
}

void managed_db_args_fini(struct managed_db_args *a)
{
    managed_db_params_fini(&a->params);
    free(a->sql);
    *a = (struct managed_db_args){0};
}
