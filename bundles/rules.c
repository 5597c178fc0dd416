// The walker.
#include "bundles/rules.h"
#include "edge/base/jsonx.h"
#include <stdio.h>

enum { PATH_ROOM = 160 };

const json_t *rule_member(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_null(v) ? NULL : v;
}

static bool is_plain_key(str key)
{
    for (size_t i = 0; i != key.n; ++i) {
        char c = key.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return key.n != 0 && key.n <= 64;
}

static void join(char to[static PATH_ROOM], const char *path, const char *key)
{
    if (!is_plain_key(str_from(key)))
        snprintf(to, PATH_ROOM, "%s[%s]", path, QUOTED(str_from(key)));
    else
        snprintf(to, PATH_ROOM, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
}

__attribute__((format(printf, 5, 0))) static void report(struct problems *list,
                                                         const struct rule_place *at,
                                                         const json_t *object, const char *key,
                                                         const char *format, va_list ap)
{
    char path[PATH_ROOM], words[256];
    unsigned line = at->line, key_line = 0;
    if (key != NULL) {
        join(path, at->path, key);
        if (json_object_get(object, key) != NULL)
            key_line = yaml_member_line(at->marks, object, key);
    } else {
        snprintf(path, sizeof path, "%s", at->path);
    }
    vsnprintf(words, sizeof words, format, ap);
    problems_add(list, key_line != 0 ? key_line : line, 0, at->section, "%s %s", path, words);
}

void rule_problem(const struct rule_place *at, const json_t *object, const char *key,
                  const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    report(at->problems, at, object, key, format, ap);
    va_end(ap);
}

void rule_warning(const struct rule_place *at, const json_t *object, const char *key,
                  const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    report(at->warnings, at, object, key, format, ap);
    va_end(ap);
}

static size_t characters(str s)
{
    size_t n = 0;
    for (size_t i = 0; i != s.n; ++i)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void list_words(char *to, size_t room, const char *const *words)
{
    struct buf b;
    buf_init(&b, room - 1);
    for (; *words != NULL; ++words)
        buf_addf(&b, "%s%s", words[0], words[1] == NULL ? "" : words[2] == NULL ? " or " : ", ");
    snprintf(to, room, "%.*s", STR_FMT(buf_str(&b)));
    buf_fini(&b);
}

static bool is_word(str s, const char *const *words)
{
    for (; *words != NULL; ++words)
        if (str_eq(s, str_from(*words)))
            return true;
    return false;
}

static void check_text(const struct rule_place *at, const struct rule *rule, const json_t *value)
{
    if (!json_is_string(value)) {
        rule_problem(at, NULL, NULL, "must be text%s.",
                     json_is_number(value) || json_is_boolean(value) ? "; put it in quotes" : "");
        return;
    }
    str s = str_of(json_string_value(value), json_string_length(value));
    size_t n = characters(s);
    if (rule->words != NULL && !is_word(s, rule->words)) {
        char words[160];
        list_words(words, sizeof words, rule->words);
        rule_problem(at, NULL, NULL, "must be %s, not %s.", words, QUOTED(s));
    } else if (rule->is_valid != NULL && !rule->is_valid(s)) {
        rule_problem(at, NULL, NULL, "must be %s, not %s.", rule->wanted, QUOTED(s));
    } else if ((double)n < rule->min) {
        rule_problem(at, NULL, NULL, n == 0 ? "must not be empty." : "is too short.");
    } else if (rule->max != 0 && (double)n > rule->max) {
        rule_problem(at, NULL, NULL, "has %zu characters; at most %.0f are allowed.", n, rule->max);
    }
}

static void check_number(const struct rule_place *at, const struct rule *rule, const json_t *value)
{
    bool whole = rule->kind == RULE_WHOLE;
    if (whole ? !json_is_integer(value) : !json_is_number(value)) {
        rule_problem(at, NULL, NULL, "must be a %snumber.", whole ? "whole " : "");
        return;
    }
    double v = json_number_value(value);
    if (rule->max != 0 && (v < rule->min || v > rule->max))
        rule_problem(at, NULL, NULL, "must be from %.0f to %.0f, not %.15g.", rule->min, rule->max,
                     v);
    else if (v < rule->min)
        rule_problem(at, NULL, NULL, "must be at least %.0f, not %.15g.", rule->min, v);
}

static bool check_size(const struct rule_place *at, const struct rule *rule, size_t n)
{
    if (rule->max != 0 && (double)n > rule->max)
        rule_problem(at, NULL, NULL, "has %zu entries; at most %.0f are allowed.", n, rule->max);
    else if ((double)n < rule->min)
        rule_problem(at, NULL, NULL, "must have at least %.0f %s.", rule->min,
                     rule->min > 1 ? "entries" : "entry");
    else
        return true;
    return false;
}

static void check_value(const struct rule_place *at, const struct rule *rule, const json_t *value);

static void check_list(const struct rule_place *at, const struct rule *rule, const json_t *value)
{
    if (!json_is_array(value)) {
        rule_problem(at, NULL, NULL, "must be a list.");
        return;
    }
    if (!check_size(at, rule, json_array_size(value)) || rule->rules == NULL)
        return;
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)value, i, item)
    {
        char path[PATH_ROOM];
        snprintf(path, sizeof path, "%s[%zu]", at->path, i);
        struct rule_place inner = *at;
        inner.path = path;
        unsigned line, column;
        yaml_place(at->marks, item, &line, &column);
        if (line != 0)
            inner.line = line;
        check_value(&inner, rule->rules, item);
    }
}

static void check_member(const struct rule_place *at, const struct rule *rule, const json_t *object,
                         const char *key, const json_t *value)
{
    char path[PATH_ROOM];
    join(path, at->path, key);
    struct rule_place inner = *at;
    inner.path = path;
    unsigned line = yaml_member_line(at->marks, object, key);
    if (line != 0)
        inner.line = line;
    check_value(&inner, rule, value);
}

static void check_map(const struct rule_place *at, const struct rule *rule, const json_t *value)
{
    if (!json_is_object(value)) {
        rule_problem(at, NULL, NULL, "must be a mapping.");
        return;
    }
    if (!check_size(at, rule, json_object_size(value)))
        return;
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)value, key, member)
    {
        if (rule->is_valid != NULL && !rule->is_valid(str_from(key)))
            rule_problem(at, value, key, "has a name that must be %s.", rule->wanted);
        check_member(at, rule->rules, value, key, member);
    }
}

static void check_object(const struct rule_place *at, const struct rule *rule, const json_t *value)
{
    if (!json_is_object(value)) {
        rule_problem(at, NULL, NULL, "must be a mapping.");
        return;
    }
    if (rule->rules != NULL)
        rules_check(at, rule->rules, value);
    if (rule->extra != NULL)
        rule->extra(at, value);
}

static void check_value(const struct rule_place *at, const struct rule *rule, const json_t *value)
{
    switch (rule->kind) {
    case RULE_TEXT:
        check_text(at, rule, value);
        break;
    case RULE_BOOLEAN:
        if (!json_is_boolean(value))
            rule_problem(at, NULL, NULL, "must be true or false.");
        break;
    case RULE_NUMBER:
    case RULE_WHOLE:
        check_number(at, rule, value);
        break;
    case RULE_ANY:
        break;
    case RULE_OBJECT:
        check_object(at, rule, value);
        break;
    case RULE_LIST:
        check_list(at, rule, value);
        break;
    case RULE_MAP:
        check_map(at, rule, value);
        break;
    }
}

static const struct rule *find_rule(const struct rule *rules, const char *key)
{
    for (; rules->key != NULL; ++rules)
        if (strcmp(rules->key, key) == 0)
            return rules;
    return NULL;
}

void rules_check(const struct rule_place *at, const struct rule *rules, const json_t *object)
{
    for (const struct rule *rule = rules; rule->key != NULL; ++rule)
        if (rule->required && rule_member(object, rule->key) == NULL)
            rule_problem(at, object, rule->key, "is missing.");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        const struct rule *rule = find_rule(rules, key);
        if (rule == NULL)
            rule_warning(at, object, key, "is not known; it is kept and has no effect.");
        else if (!json_is_null(value))
            check_member(at, rule, object, key, value);
    }
}
