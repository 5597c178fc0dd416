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
