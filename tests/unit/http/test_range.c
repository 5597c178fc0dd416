#include <stdio.h>
#include <stdlib.h>
#include "edge/http/range.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h> // last: it defines fail()

static const struct {
    const char *header;
    uint64_t size;
    const char *expected; // "first-last …", "whole" or "unsatisfiable"
} cases[] = {
    {"bytes=0-9", 100, "0-9"},
    {"bytes=0-0", 100, "0-0"},
    {"bytes=0-", 100, "0-99"},
    {"bytes=99-", 100, "99-99"},
    {"bytes=50-1000", 100, "50-99"},
    {"bytes=-1", 100, "99-99"},
    {"bytes=-100", 100, "0-99"},
    {"bytes=-1000", 100, "0-99"},
    {"Bytes=0-9", 100, "0-9"},
    {" bytes = 0-9 ", 100, "0-9"},
    {"bytes=0-9, 20-29", 100, "0-9 20-29"},
    {"bytes=20-29,0-9", 100, "20-29 0-9"}, // the order that was asked for
    {"bytes=0-9,,20-29,", 100, "0-9 20-29"},
    {"bytes=0-9,10-19", 100, "0-19"}, // touch
    {"bytes=0-9,11-19", 100, "0-9 11-19"},
    {"bytes=10-19,0-9", 100, "0-19"},
    {"bytes=0-50,20-30", 100, "0-50"}, // one inside the other
    {"bytes=40-60,80-90,50-85", 100, "40-90"},
    {"bytes=80-90,0-5,81-95,3-9", 100, "80-95 0-9"},
    {"bytes=0-0,-1", 100, "0-0 99-99"},
    {"bytes=0-9,200-300", 100, "0-9"}, // one of two cannot be satisfied
    {"bytes=100-", 100, "unsatisfiable"},
    {"bytes=100-200,300-", 100, "unsatisfiable"},
    {"bytes=-0", 100, "unsatisfiable"},
    {"bytes=0-", 0, "unsatisfiable"},
    {"bytes=-5", 0, "whole"}, // §14.1.2: satisfiable, and all of nothing
    {"bytes=18446744073709551615-", 100, "unsatisfiable"},
    {"bytes=99999999999999999999999-", 100, "unsatisfiable"},
    {"bytes=0-99999999999999999999999", 100, "0-99"},
    {"bytes=-99999999999999999999999", 100, "0-99"},
    {"bytes=18446744073709551614-18446744073709551615", UINT64_MAX,
     "18446744073709551614-18446744073709551614"},
    // ignored, §14.2
    {"", 100, "whole"},
    {"bytes", 100, "whole"},
    {"bytes=", 100, "whole"},
    {"bytes=,", 100, "whole"},
    {"bytes=-", 100, "whole"},
    {"bytes=9-0", 100, "whole"},
    {"bytes=0-9,9-0", 100, "whole"},
    {"bytes=a-b", 100, "whole"},
    {"bytes=0x1-2", 100, "whole"},
    {"bytes=0 -9", 100, "whole"},
    {"bytes=0-9;20-29", 100, "whole"},
    {"bytes=--1", 100, "whole"},
    {"bytes=+1-2", 100, "whole"},
    {"lines=0-9", 100, "whole"},
    {"0-9", 100, "whole"},
};

static const char *text_of(enum range_kind kind, const struct ranges *ranges, char *to, size_t room)
{
    if (kind == RANGE_WHOLE)
        return "whole";
    if (kind == RANGE_UNSATISFIABLE)
        return "unsatisfiable";
    size_t n = 0;
    for (size_t i = 0; i < ranges->count; i++)
        n += (size_t)snprintf(to + n, room - n, "%s%llu-%llu", i == 0 ? "" : " ",
                              (unsigned long long)ranges->at[i].first,
                              (unsigned long long)ranges->at[i].last);
    return to;
}

static void test_parse(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ranges ranges;
        char text[1024];
        enum range_kind kind = range_parse(str_from(cases[i].header), cases[i].size, &ranges);
        const char *got = text_of(kind, &ranges, text, sizeof text);
        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("%s of %llu: %s, not %s", cases[i].header, (unsigned long long)cases[i].size,
                     got, cases[i].expected);
    }
}

// A header of n ranges, each two bytes, gap bytes apart.
static enum range_kind parse_many(size_t n, size_t gap, struct ranges *ret)
{
    struct buf header;
    buf_init(&header, 1 << 20);
    buf_add(&header, STR("bytes="));
    for (size_t i = 0; i < n; i++)
        buf_addf(&header, "%zu-%zu,", i * (2 + gap), i * (2 + gap) + 1);
    enum range_kind kind = range_parse(buf_str(&header), 1 << 20, ret);
    buf_fini(&header);
    return kind;
}

static void test_too_many_is_the_whole_file(void **state)
{
    struct ranges ranges;
    assert_int_equal(parse_many(16, 1, &ranges), RANGE_PART);
    assert_int_equal(ranges.count, 16);
    assert_int_equal(parse_many(17, 1, &ranges), RANGE_WHOLE);
    assert_int_equal(parse_many(RANGES_ASKED_MAX, 0, &ranges), RANGE_PART); // all touch
    assert_int_equal(ranges.count, 1);
    assert_int_equal(ranges.at[0].last, 2 * RANGES_ASKED_MAX - 1);
    assert_int_equal(parse_many(RANGES_ASKED_MAX + 1, 0, &ranges), RANGE_WHOLE);
}

static void test_content_range(void **state)
{
    char text[RANGE_TEXT_ROOM];
    assert_int_equal(range_content_range(&(struct range){1, 2}, 10, text), 12);
    assert_string_equal(text, "bytes 1-2/10");
    range_content_range(&(struct range){UINT64_MAX, UINT64_MAX}, UINT64_MAX, text);
    assert_string_equal(text,
                        "bytes 18446744073709551615-18446744073709551615/18446744073709551615");
    range_unsatisfied(10, text);
    assert_string_equal(text, "bytes */10");
}

static void test_multipart_body(void **state)
{
    struct ranges ranges;
    str pieces[5], type = STR("text/plain");
    assert_int_equal(range_parse(STR("bytes=0-1,5-"), 8, &ranges), RANGE_PART);
    char *room = malloc(range_multipart_room(&ranges, type));
    size_t n = range_multipart(&ranges, STR("abcdefgh"), type, "BOUND", room, pieces);
    struct buf whole;
    buf_init(&whole, 4096);
    for (size_t i = 0; i < n; i++)
        buf_add(&whole, pieces[i]);
    char *text = buf_take(&whole);
    assert_string_equal(text, "--BOUND\r\nContent-Type: text/plain\r\nContent-Range: bytes "
                              "0-1/8\r\n\r\nab\r\n--BOUND\r\nContent-Type: text/plain\r\n"
                              "Content-Range: bytes 5-7/8\r\n\r\nfgh\r\n--BOUND--\r\n");
    free(text);
    free(room);
    char one[RANGE_BOUNDARY_ROOM], other[RANGE_BOUNDARY_ROOM];
    range_boundary(one);
    range_boundary(other);
    assert_int_equal(strlen(one), RANGE_BOUNDARY_ROOM - 1);
    assert_string_not_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_too_many_is_the_whole_file),
        cmocka_unit_test(test_content_range),
        cmocka_unit_test(test_multipart_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
