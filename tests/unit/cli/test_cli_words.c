// Escaping, sizes, times, options and names: the pure parts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include "edge/cli/data.h"
#include "edge/cli/escape.h"
#include "edge/cli/options.h"
#include "edge/cli/source.h"
#include "edge/cli/units.h"

static void expect_escaped(str given, const char *wanted)
{
    struct buf b;
    buf_init(&b, 4096);
    escape_add(&b, given);
    AUTOFREE char *text = buf_take(&b);
    assert_string_equal(text, wanted);
}

static void nothing_drives_the_terminal(void **state)
{
    expect_escaped(STR("plain ünïcode 日本 🎉 \\ \"x\""), "plain ünïcode 日本 🎉 \\ \"x\"");
    expect_escaped(STR("\x1b[31mred\x07"), "\\x1b[31mred\\x07");
    expect_escaped(STR("a\nb\tc\rd"), "a\\nb\\tc\\rd");
    expect_escaped(STR("\x7f"), "\\x7f");
    expect_escaped(STR("\xc2\x9b"
                       "31m"),
                   "\\u{009b}31m");                        // CSI as C1
    expect_escaped(STR("\xe2\x80\xae"), "\\u{202e}");      // right-to-left override
    expect_escaped(STR("\xe2\x81\xa6"), "\\u{2066}");      // isolate
    expect_escaped(STR("\xd8\x9c"), "\\u{061c}");          // Arabic letter mark
    expect_escaped(STR("\xe2\x80\xa8"), "\\u{2028}");      // line separator
    expect_escaped(STR("\xef\xbb\xbf"), "\\u{feff}");      // BOM
    expect_escaped(STR("\xf3\xa0\x81\x81"), "\\u{e0041}"); // a tag
    expect_escaped(str_of("a\0b", 3), "a\\x00b");
}

static void invalid_utf8_is_told_by_bytes(void **state)
{
    expect_escaped(STR("\xff"), "\\xff");
    expect_escaped(STR("\xc3"), "\\xc3");          // cut short
    expect_escaped(STR("\xc0\xaf"), "\\xc0\\xaf"); // overlong
    expect_escaped(STR("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");
    expect_escaped(STR("\xed\xa0\x80"), "\\xed\\xa0\\x80"); // a surrogate
    expect_escaped(STR("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
    expect_escaped(STR("\xc3(x"), "\\xc3(x");
}

static void width_is_in_columns(void **state)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    assert_int_equal(escape_width(STR("abc")), 3);
    assert_int_equal(escape_width(STR("ü")), 1);
    assert_int_equal(escape_width(STR("日本")), 4);
    assert_int_equal(escape_width(STR("e\xcc\x81")), 1); // combining
}

static void expect_bytes(uint64_t bytes, const char *wanted)
{
    char text[UNITS_ROOM];
    assert_string_equal(units_bytes(bytes, text), wanted);
}

static void sizes_have_three_figures(void **state)
{
    expect_bytes(0, "0 B");
    expect_bytes(999, "999 B");
    expect_bytes(1000, "1.0 KiB");
    expect_bytes(1536, "1.5 KiB");
    expect_bytes(10240, "10 KiB");
    expect_bytes(1023 * 1024, "1.0 MiB");
    expect_bytes(UINT64_C(25) << 20, "25 MiB");
    expect_bytes(UINT64_MAX, "16777216 TiB");
}

static void expect_relative(int64_t seconds_ago, const char *wanted)
{
    char text[UNITS_ROOM];
    const int64_t now = 1700000000000;
    assert_string_equal(units_relative(now, now - seconds_ago * 1000, text), wanted);
}

static void times_are_said_as_people_do(void **state)
{
    expect_relative(0, "just now");
    expect_relative(59, "59 s ago");
    expect_relative(60, "1 min ago");
    expect_relative(3599, "59 min ago");
    expect_relative(7200, "2 h ago");
    expect_relative(86400, "1 day ago");
    expect_relative(29 * 86400, "29 days ago");
    expect_relative(31 * 86400, "2023-10-14");
    expect_relative(-3, "in a moment");
    expect_relative(-7200, "in 2 h");
}

static void times_are_read_strictly(void **state)
{
    int64_t ms;
    assert_true(units_parse_time(STR("1970-01-01T00:00:00Z"), &ms));
    assert_int_equal(ms, 0);
    assert_true(units_parse_time(STR("2026-11-22T10:20:30.123Z"), &ms));
    assert_int_equal(ms, 1795342830123);
    assert_true(units_parse_time(STR("2026-11-22T12:20:30.1239+02:00"), &ms));
    assert_int_equal(ms, 1795342830123);
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-22",
                                      "2026-11-22T10:20:30",
                                      "2026-13-22T10:20:30Z",
                                      "2026-11-22T25:20:30Z",
                                      "2026-11-22T10:20:30.Z",
                                      "2026-11-22T10:20:30Zx",
                                      "2026/11/22T10:20:30Z",
                                      "tomorrow"};
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        assert_false(units_parse_time(str_from(bad[i]), &ms));
}

static void spans_have_one_unit(void **state)
{
    int64_t ms;
    assert_true(units_parse_span(STR("90s"), &ms) && ms == 90000);
    assert_true(units_parse_span(STR("30d"), &ms) && ms == 30 * INT64_C(86400000));
    assert_true(units_parse_span(STR("2w"), &ms) && ms == 14 * INT64_C(86400000));
    assert_false(units_parse_span(STR("30"), &ms) || units_parse_span(STR("d"), &ms) ||
                 units_parse_span(STR("0d"), &ms) || units_parse_span(STR("-1d"), &ms) ||
                 units_parse_span(STR("1y"), &ms) || units_parse_span(STR("99999d"), &ms) ||
                 units_parse_span(STR(""), &ms));
}

static enum fail parse(struct options *o, struct fault *fault, int n, ...)
{
    static char *argv[16];
    va_list ap;
    va_start(ap, n);
    for (int i = 0; i != n; ++i)
        argv[i] = va_arg(ap, char *);
    va_end(ap);
    return options_parse(n, argv, o, fault);
}

static void options_stand_anywhere(void **state)
{
    struct options o;
    assert_int_equal(parse(&o, NULL, 6, "--json", "deploy", "--plugin=a=b", "x.zip", "-o", "out"),
                     FAIL_NONE);
    assert_int_equal(o.n_args, 2);
    assert_string_equal(o.args[1], "x.zip");
    assert_string_equal(o.value[OPT_PLUGIN], "a=b");
    assert_string_equal(o.value[OPT_OUTPUT], "out");
    assert_true(options_has(&o, OPT_JSON));
    assert_false(options_has(&o, OPT_QUIET));
    assert_int_equal(parse(&o, NULL, 4, "deploy", "-", "--", "--json"), FAIL_NONE);
    assert_int_equal(o.n_args, 3);
    assert_string_equal(o.args[2], "--json");
    assert_false(options_has(&o, OPT_JSON));
}

static void expect_usage(const char *words, int n, char *a, char *b, char *c)
{
    struct options o;
    struct fault fault;
    assert_int_equal(parse(&o, &fault, n, a, b, c), FAIL_BAD_INPUT);
    if (strstr(fault.public_text, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, fault.public_text);
}

static void wrong_options_are_told(void **state)
{
    struct options o;
    struct fault fault;
    expect_usage("Did you mean --dry-run?", 1, "--dryrun", NULL, NULL);
    expect_usage("--json takes no value", 1, "--json=1", NULL, NULL);
    expect_usage("--url needs a value", 2, "apps", "--url", NULL);
    expect_usage("--url needs a value", 3, "apps", "--url", "");
    expect_usage("--get needs a value", 3, "files", "app", "--get=");
    expect_usage("given twice", 2, "--url=a", "--url=b", NULL);
    expect_usage("There is no option", 1, "-jq", NULL, NULL);
    expect_usage("\\x1b", 1, "--\x1b[31m", NULL, NULL);
    // What is good is kept, so that --json shapes the answer about what is bad.
    assert_int_equal(parse(&o, &fault, 2, "--nonsense", "--json"), FAIL_BAD_INPUT);
    assert_true(options_has(&o, OPT_JSON));
    assert_int_equal(parse(&o, &fault, 2, "apps", "--watch"), FAIL_NONE);
    assert_int_equal(options_check(&o, OPTS_SERVER, "apps", &fault), FAIL_BAD_INPUT);
    assert_string_equal(fault.public_text, "`stoa apps` has no option --watch.");
}

static void few_letters_suggest_nothing(void **state)
{
    static char *const given[] = {"-V", "-x", "-jq", "--v", "--zz"};
    struct options o;
    struct fault fault;
    for (size_t i = 0; i != sizeof given / sizeof *given; ++i) {
        assert_int_equal(parse(&o, &fault, 1, given[i]), FAIL_BAD_INPUT);
        assert_null(strstr(fault.public_text, "Did you mean"));
    }
    expect_usage("Did you mean --plugin?", 1, "-plugin", NULL, NULL);
    expect_usage("Did you mean --csv?", 1, "--csw", NULL, NULL);
}

static void slugs_follow_names(void **state)
{
    char slug[SOURCE_SLUG_MAX + 1];
    source_slug_of("My Cool_Site (2)", slug);
    assert_string_equal(slug, "my-cool-site-2");
    source_slug_of("--__--", slug);
    assert_string_equal(slug, "");
    source_slug_of("日本", slug);
    assert_string_equal(slug, "");
    source_slug_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbb", slug);
    assert_string_equal(slug, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_true(source_is_slug("a") && source_is_slug("a-1"));
    assert_false(source_is_slug("") || source_is_slug("-a") || source_is_slug("a-") ||
                 source_is_slug("A") || source_is_slug("a/b") || source_is_slug(".."));
    AUTOFREE char *pie = source_minimal_pie("a", "Say \"hi\"\n---");
    assert_string_equal(pie, "---\nname: \"a\"\ndisplayName: \"Say \\\"hi\\\"\\n---\"\nversion: "
                             "0.1.0\ntier: tool\n---\n");
}

static void csv_holds_no_formula(void **state)
{
    static const char *const pairs[][2] = {
        {"plain", "plain"},
        {"", ""},
        {"a,b", "\"a,b\""},
        {"say \"x\"", "\"say \"\"x\"\"\""},
        {"two\nlines", "\"two\nlines\""},
        {"=cmd|'/c calc'!A1", "\"'=cmd|'/c calc'!A1\""},
        {"+1+1", "\"'+1+1\""},
        {"-1-1", "\"'-1-1\""},
        {"@SUM(A1)", "\"'@SUM(A1)\""},
        {"\t=1", "\"'\t=1\""},
        {"\n=1", "\"'\n=1\""},
        {"-5", "-5"},
        {"+5.25", "+5.25"},
        {"-", "\"'-\""},
        {"-1.2.3", "\"'-1.2.3\""},
    };
    for (size_t i = 0; i != sizeof pairs / sizeof pairs[0]; ++i) {
        struct buf b;
        buf_init(&b, 1000);
        data_csv_cell(&b, str_from(pairs[i][0]));
        if (!str_eq(buf_str(&b), str_from(pairs[i][1])))
            fail_msg("%s became %.*s", pairs[i][0], STR_FMT(buf_str(&b)));
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_drives_the_terminal),
        cmocka_unit_test(invalid_utf8_is_told_by_bytes),
        cmocka_unit_test(width_is_in_columns),
        cmocka_unit_test(sizes_have_three_figures),
        cmocka_unit_test(times_are_said_as_people_do),
        cmocka_unit_test(times_are_read_strictly),
        cmocka_unit_test(spans_have_one_unit),
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(wrong_options_are_told),
        cmocka_unit_test(few_letters_suggest_nothing),
        cmocka_unit_test(slugs_follow_names),
        cmocka_unit_test(csv_holds_no_formula),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
