#include "edge/http/conditional.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h> // last: it defines fail()

enum { MODIFIED = 784111777 };         // Sun, 06 Nov 1994 08:49:37 GMT
static const int64_t now = 1790000000; // September 2026
static const struct validators validators = {{"\"abc\"", 5}, MODIFIED};

#define SAME "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct {
    const char *match, *unmodified, *none_match, *modified; // NULL: absent
    enum verdict expected;
} cases[] = {
    {NULL, NULL, NULL, NULL, VERDICT_GO_ON},
    // If-None-Match, §13.1.2: weak comparison
    {NULL, NULL, "\"abc\"", NULL, VERDICT_NOT_MODIFIED},
    {NULL, NULL, "W/\"abc\"", NULL, VERDICT_NOT_MODIFIED},
    {NULL, NULL, "\"abd\"", NULL, VERDICT_GO_ON},
    {NULL, NULL, "*", NULL, VERDICT_NOT_MODIFIED},
    {NULL, NULL, " * ", NULL, VERDICT_NOT_MODIFIED},
    {NULL, NULL, "\"x\", W/\"y\" ,\"abc\"", NULL, VERDICT_NOT_MODIFIED},
    {NULL, NULL, "\"x,\", \"abc\"", NULL, VERDICT_NOT_MODIFIED},
    {NULL, NULL, ",, \"abc\",", NULL, VERDICT_NOT_MODIFIED},
    {NULL, NULL, "\"abc\" \"x\"", NULL, VERDICT_GO_ON},
    {NULL, NULL, "\"x\" \"abc\"", NULL, VERDICT_GO_ON},
    {NULL, NULL, "abc", NULL, VERDICT_GO_ON},
    {NULL, NULL, "\"abc", NULL, VERDICT_GO_ON},
    {NULL, NULL, "w/\"abc\"", NULL, VERDICT_GO_ON}, // W is case-sensitive
    {NULL, NULL, "", NULL, VERDICT_GO_ON},
    // If-Modified-Since, §13.1.3
    {NULL, NULL, NULL, SAME, VERDICT_NOT_MODIFIED},
    {NULL, NULL, NULL, AFTER, VERDICT_NOT_MODIFIED},
    {NULL, NULL, NULL, BEFORE, VERDICT_GO_ON},
    {NULL, NULL, NULL, "yesterday", VERDICT_GO_ON},
    {NULL, NULL, NULL, "Sunday, 06-Nov-94 08:49:37 GMT", VERDICT_NOT_MODIFIED},
    {NULL, NULL, NULL, "Sun Nov  6 08:49:37 1994", VERDICT_NOT_MODIFIED},
    {NULL, NULL, "\"x\"", AFTER, VERDICT_GO_ON}, // ignored beside If-None-Match
    {NULL, NULL, "\"abc\"", BEFORE, VERDICT_NOT_MODIFIED},
    // If-Match, §13.1.1: strong comparison
    {"\"abc\"", NULL, NULL, NULL, VERDICT_GO_ON},
    {"\"x\", \"abc\"", NULL, NULL, NULL, VERDICT_GO_ON},
    {"*", NULL, NULL, NULL, VERDICT_GO_ON},
    {"W/\"abc\"", NULL, NULL, NULL, VERDICT_FAILED},
    {"\"x\"", NULL, NULL, NULL, VERDICT_FAILED},
    {"", NULL, NULL, NULL, VERDICT_FAILED},
    // If-Unmodified-Since, §13.1.4
    {NULL, SAME, NULL, NULL, VERDICT_GO_ON},
    {NULL, AFTER, NULL, NULL, VERDICT_GO_ON},
    {NULL, BEFORE, NULL, NULL, VERDICT_FAILED},
    {NULL, "never", NULL, NULL, VERDICT_GO_ON},
    {"\"abc\"", BEFORE, NULL, NULL, VERDICT_GO_ON}, // ignored beside If-Match
    // the order of §13.2.2
    {"\"x\"", NULL, "\"abc\"", NULL, VERDICT_FAILED},
    {"\"abc\"", NULL, "\"abc\"", NULL, VERDICT_NOT_MODIFIED},
    {NULL, BEFORE, "\"abc\"", NULL, VERDICT_FAILED},
    {NULL, AFTER, NULL, AFTER, VERDICT_NOT_MODIFIED},
};

static void test_conditions(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conditions c = {str_from(cases[i].match), str_from(cases[i].unmodified),
                               str_from(cases[i].none_match), str_from(cases[i].modified)};
        enum verdict got = conditional_evaluate(&c, &validators, now);
        if (got != cases[i].expected)
            fail_msg("case %zu: %d, not %d", i, got, cases[i].expected);
    }
}

static void test_if_range(void **state)
{
    assert_true(conditional_if_range(STR("\"abc\""), &validators, now));
    assert_false(conditional_if_range(STR("W/\"abc\""), &validators, now));
    assert_false(conditional_if_range(STR("\"abd\""), &validators, now));
    assert_false(conditional_if_range(STR("\"abc\", \"x\""), &validators, now));
    assert_false(conditional_if_range(STR("*"), &validators, now));
    assert_true(conditional_if_range(STR(SAME), &validators, now));
    assert_false(conditional_if_range(STR(AFTER), &validators, now)); // not the very same
    assert_false(conditional_if_range(STR("x"), &validators, now));
    assert_false(conditional_if_range(STR(""), &validators, now));
}

static const struct {
    const char *text;
    int64_t expected; // -1: none
} dates[] = {
    {SAME, MODIFIED},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Sunday, 06-Nov-94 08:49:37 GMT", MODIFIED},
    {"Sun Nov  6 08:49:37 1994", MODIFIED},
    {"Sun Nov 16 08:49:37 1994", MODIFIED + 864000},
    {"Saturday, 07-Nov-26 08:49:37 GMT", 1794041377}, // this century
    {"Tuesday, 07-Nov-76 08:49:37 GMT", 3371964577},  // 50 years ahead: still
    {"Monday, 07-Nov-77 08:49:37 GMT", 247740577},    // 51: the one before
    {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
    {"Wed, 29 Feb 2023 00:00:00 GMT", -1},
    {"Sun, 31 Jun 2024 00:00:00 GMT", -1},
    {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
    {"Sun, 06 Nov 1994 24:00:00 GMT", -1},
    {"Sun, 06 Nov 1994 08:60:00 GMT", -1},
    {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
    {"Sun, 06 nov 1994 08:49:37 GMT", -1},
    {"Son, 06 Nov 1994 08:49:37 GMT", -1},
    {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
    {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
    {"Sun, 06 Nov 1994 08:49:37", -1},
    {"Sun Nov 06 08:49:37 1994", MODIFIED},
    {"Sun, 06 Nov 1994 08:49:3x GMT", -1},
    {"1994-11-06T08:49:37Z", -1},
    {"", -1},
};

static void test_dates(void **state)
{
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        int64_t got = -1;
        if (!http_date_parse(str_from(dates[i].text), now, &got))
            got = -1;
        if (got != dates[i].expected)
            fail_msg("%s: %lld, not %lld", dates[i].text, (long long)got,
                     (long long)dates[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_if_range),
        cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
