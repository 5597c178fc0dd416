// What the tests of the bundle format share: expecting exactly one problem, or none.
#ifndef STOA_TESTS_BUNDLES_EXPECT_H
#define STOA_TESTS_BUNDLES_EXPECT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edge/base/problem.h"

static inline void print_problems(const char *what, const struct problems *ps)
{
    for (size_t i = 0; i != ps->count; ++i)
        print_message("  %s: line %u, %s: %s\n", what, ps->list[i].line, ps->list[i].section,
                      ps->list[i].message);
}

// The list holds exactly this one; `words` is part of its message.
static inline void expect_one(const struct problems *ps, unsigned line, const char *section,
                              const char *words)
{
    print_problems("found", ps);
    assert_int_equal(ps->count, 1);
    assert_int_equal(ps->list[0].line, line);
    assert_string_equal(ps->list[0].section, section);
    if (strstr(ps->list[0].message, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, ps->list[0].message);
}

static inline void expect_none(const struct problems *ps)
{
    print_problems("unexpected", ps);
    assert_int_equal(ps->count, 0);
}
#endif
