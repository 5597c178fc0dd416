// libyaml's events into jansson values. The event parser is used, not libyaml's document loader:
// the loader resolves aliases (a few bytes become gigabytes) and nests as deep as a stranger likes.
// Problems of meaning (a tag, a key twice) are collected and reading goes on; a problem of syntax
// ends it, since what follows would be guesses. A key that stands twice leaves a value to judge: the
// first.
#include "edge/base/yaml.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

enum { MAX_DEPTH = 32, MAX_NODES = 20000 };

struct mark {
    const void *what; // a json_t, or jansson's own copy of a member's key, which stays where it is
    unsigned line, column;
};

struct yaml_marks {
    struct mark *list; // sorted by `what` once the document is read
    size_t n, room;
};

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    str text;
    unsigned first_line;
    const char *section;
    struct problems *problems;
    struct yaml_marks *marks;
    size_t nodes;
    bool failed;  // a problem was added
    bool stopped; // and nothing more can be read
};

static void *not_null(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

static unsigned line_of(const struct reader *r, yaml_mark_t at)
{
    return r->first_line + (unsigned)at.line;
}

static void note(struct reader *r, const void *what, yaml_mark_t at)
{
    struct yaml_marks *marks = r->marks;
    if (marks->n == marks->room) {
        marks->room = marks->room == 0 ? 64 : marks->room * 2;
        marks->list = not_null(realloc(marks->list, marks->room * sizeof *marks->list));
    }
    marks->list[marks->n++] = (struct mark){what, line_of(r, at), (unsigned)at.column + 1};
}

static int compare_marks(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t)((const struct mark *)left)->what,
              b = (uintptr_t)((const struct mark *)right)->what;
    return a < b ? -1 : a > b;
}

static const struct mark *find_mark(const struct yaml_marks *marks, const void *what)
{
    struct mark wanted = {.what = what};
    return marks->n == 0 ? NULL
                         : bsearch(&wanted, marks->list, marks->n, sizeof wanted, compare_marks);
}

#define refuse(r, at, ...)                                                                         \
    ((r)->failed = true, problems_add((r)->problems, line_of(r, at), (unsigned)(at).column + 1,    \
                                      (r)->section, __VA_ARGS__))

static void stop(struct reader *r, yaml_mark_t at, const char *sentence)
{
    refuse(r, at, "%s", sentence);
    r->stopped = true;
}

static unsigned lines_before(str text, size_t offset)
{
    unsigned n = 0;
    for (size_t i = 0; i < offset && i < text.n; ++i)
        n += text.p[i] == '\n';
    return n;
}

static void add_syntax_problem(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    r->failed = r->stopped = true;
    if (p->error == YAML_MEMORY_ERROR)
        abort();
    if (p->error == YAML_READER_ERROR) {
        problems_add(r->problems, r->first_line + lines_before(r->text, p->problem_offset), 0,
                     r->section, "A control character (U+%04X) is not allowed here; remove it.",
                     (unsigned)p->problem_value);
        return;
    }
    yaml_mark_t at = p->problem_mark;
    if (at.index < r->text.n && p->error == YAML_SCANNER_ERROR && r->text.p[at.index] == '\t')
        refuse(r, at, "YAML does not allow tabs for indentation; use spaces.");
    else
        refuse(r, at, "This is not valid YAML: %s%s%s.", p->problem != NULL ? p->problem : "error",
               p->context != NULL ? ", " : "", p->context != NULL ? p->context : "");
}

static bool next_event(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (r->stopped)
        return false;
    if (yaml_parser_parse(&r->parser, &r->event))
        return true;
    add_syntax_problem(r);
    return false;
}

static bool skip_event(struct reader *r)
{
    if (!next_event(r))
        return false;
    return next_event(r);
}

static size_t count_digits(const char *p)
{
    return strspn(p, "0123456789");
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?    (YAML 1.2.2 §10.3.2)
static bool is_number(const char *p, bool *ret_is_integer)
{
    p += *p == '-' || *p == '+';
    size_t whole = count_digits(p), fraction = 0;
    p += whole;
    *ret_is_integer = *p == '\0' && whole != 0;
    if (*p == '.') {
        fraction = count_digits(++p);
        p += fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        size_t digits = count_digits(p);
        if (digits == 0)
            return false;
        p += digits;
    }
    return *p == '\0';
}

// NULL when the text is neither an integer that fits nor a finite float.
static json_t *number_value(const char *text)
{
    bool is_integer;
    if (!is_number(text, &is_integer))
        return NULL;
    errno = 0;
    if (is_integer) {
        long long v = strtoll(text, NULL, 10);
        return errno == 0 ? not_null(json_integer(v)) : NULL;
    }
    char *end;
    double v = strtod(text, &end);
    return *end == '\0' && isfinite(v) ? not_null(json_real(v)) : NULL;
}

static bool is_one_of(str s, const char *const *words)
{
    for (; *words != NULL; ++words)
        if (str_eq(s, str_from(*words)))
            return true;
    return false;
}

// The core schema's value of a plain scalar, or NULL when it is a string.
static json_t *plain_value(str s)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL},
                             *const trues[] = {"true", "True", "TRUE", NULL},
                             *const falses[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(s, nulls))
        return json_null();
    if (is_one_of(s, trues))
        return json_true();
    if (is_one_of(s, falses))
        return json_false();
    return memchr(s.p, '\0', s.n) == NULL ? number_value(s.p) : NULL;
}

static str event_scalar(const yaml_event_t *e)
{
    return str_of(e->data.scalar.value, e->data.scalar.length);
}

static json_t *scalar_value(struct reader *r)
{
    str s = event_scalar(&r->event);
    json_t *v = NULL;
    if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        v = plain_value(s);
    if (v != NULL)
        return v;
    if (str_find(s, '\0') != SIZE_MAX) {
        refuse(r, r->event.start_mark, "A NUL character is not allowed in a text.");
        return json_null();
    }
    return not_null(json_stringn(s.p, s.n));
}

// A member's key as a copy to be freed, or NULL with a problem added. The event is a scalar.
static char *read_key(struct reader *r)
{
    str s = event_scalar(&r->event);
    yaml_mark_t at = r->event.start_mark;
    if (str_find(s, '\0') != SIZE_MAX) {
        refuse(r, at, "A NUL character is not allowed in a key.");
        return NULL;
    }
    if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        if (str_eq(s, STR("<<"))) {
            refuse(r, at, "Merge keys (<<) are not supported; write the members out.");
            return NULL;
        }
        json_t *v = plain_value(s);
        if (v != NULL) {
            json_decref(v);
            refuse(r, at, "The key %s is not a text; put it in quotes.", QUOTED(s));
            return NULL;
        }
    }
    return str_dup(s);
}

static void refuse_tag_and_anchor(struct reader *r, const yaml_char_t *tag,
                                  const yaml_char_t *anchor)
{
    if (tag != NULL)
        refuse(r, r->event.start_mark, "YAML tags (%s) are not supported.",
               QUOTED(str_from((const char *)tag)));
    if (anchor != NULL)
        refuse(r, r->event.start_mark,
               "YAML anchors (&%.40s) are not supported; put the text in "
               "quotes if it begins with '&'.",
               (const char *)anchor);
}

static json_t *read_value(struct reader *r, unsigned depth);

static json_t *read_sequence(struct reader *r, unsigned depth)
{
    json_t *array = not_null(json_array());
    while (next_event(r) && r->event.type != YAML_SEQUENCE_END_EVENT)
        json_array_append_new(array, read_value(r, depth + 1));
    return array;
}

static void read_member(struct reader *r, json_t *object, unsigned depth)
{
    yaml_mark_t key_at = r->event.start_mark;
    AUTOFREE char *key = NULL;
    if (r->event.type == YAML_SCALAR_EVENT) {
        refuse_tag_and_anchor(r, r->event.data.scalar.tag, r->event.data.scalar.anchor);
        key = read_key(r);
    } else {
        refuse(r, key_at, "A key must be a text, not a list or a mapping.");
        json_decref(read_value(r, depth + 1));
    }
    if (!next_event(r))
        return;
    json_t *value = read_value(r, depth + 1);
    if (key == NULL || json_object_get(object, key) != NULL) {
        if (key != NULL)
            problems_add(r->problems, line_of(r, key_at), (unsigned)key_at.column + 1, r->section,
                         "The key %s stands here twice.", QUOTED(str_from(key)));
        json_decref(value);
        return;
    }
    json_object_set_new_nocheck(object, key, value);
    note(r, json_object_iter_key(json_object_iter_at(object, key)), key_at);
}

static json_t *read_mapping(struct reader *r, unsigned depth)
{
    json_t *object = not_null(json_object());
    while (next_event(r) && r->event.type != YAML_MAPPING_END_EVENT)
        read_member(r, object, depth);
    return object;
}

// The value that the present event begins; the event is then the value's last. Never NULL: what
// is refused reads as null.
static json_t *read_value(struct reader *r, unsigned depth)
{
    yaml_mark_t at = r->event.start_mark;
    if (depth > MAX_DEPTH) {
        stop(r, at, "This is nested deeper than 32 levels.");
        return json_null();
    }
    if (++r->nodes > MAX_NODES) {
        stop(r, at, "There are more than 20,000 values in here.");
        return json_null();
    }
    json_t *value = json_null();
    switch (r->event.type) {
    case YAML_ALIAS_EVENT:
        refuse(r, at,
               "YAML aliases (*%.40s) are not supported; write the value out, or put the text "
               "in quotes if it begins with '*'.",
               (const char *)r->event.data.alias.anchor);
        break;
    case YAML_SCALAR_EVENT:
        refuse_tag_and_anchor(r, r->event.data.scalar.tag, r->event.data.scalar.anchor);
        value = scalar_value(r);
        break;
    case YAML_SEQUENCE_START_EVENT:
        refuse_tag_and_anchor(r, r->event.data.sequence_start.tag,
                              r->event.data.sequence_start.anchor);
        value = read_sequence(r, depth);
        break;
    case YAML_MAPPING_START_EVENT:
        refuse_tag_and_anchor(r, r->event.data.mapping_start.tag,
                              r->event.data.mapping_start.anchor);
        value = read_mapping(r, depth);
        break;
    default:
        abort(); // libyaml gives no other event where a value begins
    }
    if (!json_is_true(value) && !json_is_false(value) && !json_is_null(value)) // those are shared
        note(r, value, at);
    return value;
}

static json_t *read_document(struct reader *r)
{
    if (!skip_event(r)) // the stream's start; then a document's, or the end
        return json_null();
    if (r->event.type == YAML_STREAM_END_EVENT)
        return json_null();
    const yaml_event_t *e = &r->event;
    if (e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        refuse(r, e->start_mark, "YAML tag directives (%%TAG) are not supported.");
    if (!next_event(r))
        return json_null();
    json_t *root = read_value(r, 1);
    if (skip_event(r) && r->event.type != YAML_STREAM_END_EVENT)
        stop(r, r->event.start_mark, "Only one YAML document is allowed here.");
    return root;
}

static bool is_clean_text(struct reader *r)
{
    size_t nul = str_find(r->text, '\0'), bad = str_utf8_prefix(r->text);
    if (nul == SIZE_MAX && bad == r->text.n)
        return true;
    size_t at = nul < bad ? nul : bad;
    problems_add(r->problems, r->first_line + lines_before(r->text, at), 0, r->section,
                 nul < bad ? "NUL bytes are not allowed here." : "This is not valid UTF-8.");
    return false;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i != 4; ++i) {
        char c = p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

// The code point of a JSON surrogate pair's twelve characters (RFC 8259 §7), or 0.
static unsigned surrogate_pair(str s)
{
    if (s.n < 12 || s.p[1] != 'u' || s.p[6] != '\\' || s.p[7] != 'u')
        return 0;
    int high = hex4(s.p + 2), low = hex4(s.p + 8);
    if (high < 0xd800 || high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 0;
    return 0x10000u + ((unsigned)(high - 0xd800) << 10) + (unsigned)(low - 0xdc00);
}

// JSON writes characters beyond the BMP as two escapes, which libyaml refuses; YAML has one escape
// for them, \UXXXXXXXX. Returns a copy of `text` with those in their place. In JSON a backslash
// stands in double-quoted strings only.
static char *join_surrogates(str text, size_t *ret_n)
{
    char *to = not_null(malloc(text.n + 1));
    size_t n = 0;
    while (text.n != 0) {
        unsigned c = text.p[0] == '\\' ? surrogate_pair(text) : 0;
        size_t take = c != 0 ? 12 : text.p[0] == '\\' && text.n > 1 ? 2 : 1;
        if (c != 0) {
            n += (size_t)snprintf(to + n, 12, "\\U%08X", c);
        } else {
            memcpy(to + n, text.p, take);
            n += take;
        }
        text = str_skip(text, take);
    }
    *ret_n = n;
    return to;
}

static bool looks_like_json(str text)
{
    size_t i = 0;
    while (i != text.n && memchr(" \t\r\n", text.p[i], 4) != NULL)
        ++i;
    return i != text.n && (text.p[i] == '{' || text.p[i] == '[');
}

json_t *yaml_load(str text, unsigned first_line, const char *section, struct problems *problems,
                  struct yaml_marks **ret_marks)
{
    struct reader r = {.text = text.n != 0 ? text : STR(""),
                       .first_line = first_line,
                       .section = section,
                       .problems = problems};
    if (!is_clean_text(&r))
        return NULL;
    AUTOFREE char *joined = NULL;
    if (looks_like_json(r.text)) {
        joined = join_surrogates(r.text, &r.text.n);
        r.text.p = joined;
    }
    r.marks = not_null(calloc(1, sizeof *r.marks));
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text.p, r.text.n);
    json_t *root = read_document(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    if (r.failed) {
        json_decref(root);
        yaml_marks_destroy(r.marks);
        return NULL;
    }
    if (r.marks->n != 0)
        qsort(r.marks->list, r.marks->n, sizeof *r.marks->list, compare_marks);
    *ret_marks = r.marks;
    return root;
}

void yaml_marks_destroy(struct yaml_marks *marks)
{
    if (marks != NULL)
        free(marks->list);
    free(marks);
}

void yaml_place(const struct yaml_marks *marks, const json_t *value, unsigned *ret_line,
                unsigned *ret_column)
{
    const struct mark *m = find_mark(marks, value);
    *ret_line = m != NULL ? m->line : 0;
    *ret_column = m != NULL ? m->column : 0;
}

unsigned yaml_member_line(const struct yaml_marks *marks, const json_t *object, const char *key)
{
    void *iter = json_object_iter_at((json_t *)object, key);
    const struct mark *m = find_mark(marks, iter != NULL ? json_object_iter_key(iter) : NULL);
    if (m == NULL)
        m = find_mark(marks, object);
    return m != NULL ? m->line : 0;
}
