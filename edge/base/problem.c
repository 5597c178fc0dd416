// Collecting problems.
#include "edge/base/problem.h"
#include <stdio.h>
#include <stdlib.h>

void problems_init(struct problems *ps)
{
    *ps = (struct problems){0};
}

void problems_fini(struct problems *ps)
{
    free(ps->list);
    *ps = (struct problems){0};
}

void problems_add(struct problems *ps, unsigned line, unsigned column, const char *section,
                  const char *format, ...)
{
    if (ps->count == PROBLEMS_MAX) {
        ++ps->left_out;
        return;
    }
    if (ps->list == NULL) {
        ps->list = calloc(PROBLEMS_MAX, sizeof *ps->list);
        if (ps->list == NULL)
            abort();
    }
    struct problem *p = &ps->list[ps->count++];
    p->line = line;
    p->column = column;
    snprintf(p->section, sizeof p->section, "%s", section != NULL ? section : "");
    va_list ap;
    va_start(ap, format);
    vsnprintf(p->message, sizeof p->message, format, ap);
    va_end(ap);
    // a name cut in the middle of a character is no UTF-8, and jansson would refuse the whole list
    p->section[str_utf8_prefix(str_from(p->section))] = '\0';
    p->message[str_utf8_prefix(str_from(p->message))] = '\0';
}

// What drives a terminal or turns a line around: security-rules.md 28.
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

// The character at the front of `s` and its length; 0 when it is not valid UTF-8.
static size_t character(str s, uint32_t *ret)
{
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (n > s.n || str_utf8_prefix(str_of(s.p, n)) != n)
        return 0;
    *ret = c & mask[n];
    for (size_t i = 1; i != n; ++i)
        *ret = *ret << 6 | ((unsigned char)s.p[i] & 0x3f);
    return n;
}

const char *problem_quote(char *to, size_t room, str s)
{
    enum { TAIL = sizeof "…\"" }; // with the NUL
    size_t n = 0;
    to[n++] = '"';
    while (s.n != 0) {
        char piece[16];
        uint32_t c = 0;
        size_t len = character(s, &c), piece_n;
        if (len == 0)
            piece_n = (size_t)snprintf(piece, sizeof piece, "\\x%02x", (unsigned char)s.p[len++]);
        else if (c == '"' || c == '\\')
            piece_n = (size_t)snprintf(piece, sizeof piece, "\\%c", (int)c);
        else if (is_control(c))
            piece_n = (size_t)snprintf(piece, sizeof piece, "\\u%04x", (unsigned)c);
        else
            piece_n = (size_t)snprintf(piece, sizeof piece, "%.*s", (int)len, s.p);
        if (n + piece_n + TAIL > room) {
            n += (size_t)snprintf(to + n, room - n, "…");
            break;
        }
        memcpy(to + n, piece, piece_n);
        n += piece_n;
        s = str_skip(s, len);
    }
    memcpy(to + n, "\"", 2);
    return to;
}

void problems_sort(struct problems *ps)
{
    for (size_t i = 1; i < ps->count; ++i) { // insertion: stable, and the list is short
        struct problem p = ps->list[i];
        size_t j = i;
        for (; j != 0 && ps->list[j - 1].line > p.line; --j)
            ps->list[j] = ps->list[j - 1];
        ps->list[j] = p;
    }
}

json_t *problems_json(const struct problems *ps)
{
    json_t *out = json_array();
    for (size_t i = 0; i != ps->count; ++i) {
        const struct problem *p = &ps->list[i];
        json_t *o = json_object();
        if (p->line != 0)
            json_object_set_new(o, "line", json_integer(p->line));
        if (p->column != 0)
            json_object_set_new(o, "column", json_integer(p->column));
        json_object_set_new(o, "section", json_string(p->section));
        json_object_set_new(o, "message", json_string(p->message));
        json_array_append_new(out, o);
    }
    if (ps->left_out != 0) {
        json_t *o = json_object();
        json_object_set_new(o, "section", json_string(""));
        json_object_set_new(o, "message",
                            json_sprintf("%zu more problems are not listed.", ps->left_out));
        json_array_append_new(out, o);
    }
    return out;
}
