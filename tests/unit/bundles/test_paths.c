// Path rules, one by one.
#include "tests/unit/bundles/expect.h"
#include "bundles/paths.h"

static void good(const char *path)
{
    const char *why = path_refusal(str_from(path));
    if (why != NULL)
        fail_msg("\"%s\" was refused: %s", path, why);
}

static void bad_bytes(str path, const char *words)
{
    const char *why = path_refusal(path);
    if (why == NULL || strstr(why, words) == NULL)
        fail_msg("\"%.*s\": %s", STR_FMT(path), why != NULL ? why : "was accepted");
}

static void bad(const char *path, const char *words)
{
    bad_bytes(str_from(path), words);
}

static void ordinary_paths(void **state)
{
    good("index.html");
    good("a/b/c.js");
    good("..a/...");
    good(".well-known/security.txt");
    good(".well-known/acme-challenges");
    good("\xc3\xbc ber/\xe6\x97\xa5\xe6\x9c\xac.html");
    good("a%2f..");
    good("a:b*?\"<>|");
}

static void segments(void **state)
{
    bad("", "empty");
    bad("/", "start with '/'");
    bad("/a", "start with '/'");
    bad("//a", "start with '/'");
    bad("a//b", "empty segment");
    bad("a/", "empty segment");
    bad(".", "'.' or '..'");
    bad("..", "'.' or '..'");
    bad("a/../b", "'.' or '..'");
    bad("a/./b", "'.' or '..'");
    bad("a/..", "'.' or '..'");
}

static void bytes(void **state)
{
    bad("a\\b", "backslash");
    bad("a\nb", "control");
    bad("a\tb", "control");
    bad("a\x7f", "control");
    bad("a\xc2\x85", "control"); // U+0085
    good("a\xc2\xa0");           // U+00A0 is no control character
    bad_bytes(STR("a\0b"), "control");
    bad("a\xff", "UTF-8");
    bad("a\xc0\xaf", "UTF-8");     // '/' in two bytes
    bad("a\xed\xa0\x80", "UTF-8"); // a surrogate
}

static void lengths(void **state)
{
    char path[1100];
    memset(path, 'a', sizeof path);
    assert_null(path_refusal(str_of(path, 255)));
    bad_bytes(str_of(path, 256), "255");
    for (size_t i = 127; i < sizeof path; i += 128)
        path[i] = '/';
    path[1023] = 'a';
    assert_null(path_refusal(str_of(path, 1024)));
    bad_bytes(str_of(path, 1025), "1,024");
}

static void challenge_folders(void **state)
{
    bad(".well-known/acme-challenge/x", "acme-challenge");
    bad(".well-known/acme-challenge", "acme-challenge");
    bad(".well-known/pki-validation/x/y", "pki-validation");
    bad(".Well-Known/ACME-challenge/x", "acme-challenge");
    good("a/.well-known/acme-challenge/x");
}

struct seen {
    size_t n;
    enum path_clash clash;
    size_t first, second;
};

static void on_clash(void *ctx, enum path_clash clash, size_t first, size_t second)
{
    struct seen *seen = ctx;
    *seen = (struct seen){seen->n + 1, clash, first, second};
}

static struct seen clash_of(const char *const *names, size_t n)
{
    str paths[8];
    for (size_t i = 0; i != n; ++i)
        paths[i] = str_from(names[i]);
    struct seen seen = {0};
    size_t found = paths_clashes(paths, n, on_clash, &seen);
    assert_int_equal(found, seen.n);
    return seen;
}
#define CLASH(...)                                                                                 \
    clash_of((const char *const[]){__VA_ARGS__},                                                   \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void expect_clash(struct seen seen, enum path_clash clash, size_t first, size_t second)
{
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.clash, clash);
    assert_int_equal(seen.first, first);
    assert_int_equal(seen.second, second);
}

static void clashes(void **state)
{
    assert_int_equal(CLASH("a").n, 0);
    assert_int_equal(CLASH("a", "b", "a.b", "ab/c", "a-b/c").n, 0);
    assert_int_equal(CLASH("Assets/a", "assets/b").n, 0);
    expect_clash(CLASH("b", "a", "b"), PATH_SAME, 0, 2);
    expect_clash(CLASH("README", "x", "readme"), PATH_SAME_CASE, 0, 2);
    expect_clash(CLASH("a/b", "a-c", "a"), PATH_FOLDER, 0, 2);
    expect_clash(CLASH("a", "a!b", "a/b/c"), PATH_FOLDER, 0, 2); // '!' sorts below '/'
    expect_clash(CLASH("A", "a/b"), PATH_FOLDER, 0, 1);
    assert_int_equal(CLASH("a", "a/b", "a/c").n, 2);
}

static void unicode_case_folding(void **state)
{
    expect_clash(CLASH("\xc3\x84.html", "\xc3\xa4.html"), PATH_SAME_CASE, 0, 1); // Ä ä
    expect_clash(CLASH("\xce\xa3", "\xcf\x82"), PATH_SAME_CASE, 0, 1);           // Σ ς
    expect_clash(CLASH("\xe1\xba\x9e", "\xc3\x9f"), PATH_SAME_CASE, 0, 1);       // ẞ ß
    expect_clash(CLASH("\xc3\xa9", "e\xcc\x81"), PATH_SAME_CASE, 0, 1); // é composed or not
    expect_clash(CLASH("\xd0\x90", "\xd0\xb0"), PATH_SAME_CASE, 0, 1);  // А а
    assert_int_equal(CLASH("i", "\xc4\xb1").n, 0); // dotless ı is another letter, in every locale
}

static void sentences(void **state)
{
    char text[300];
    assert_string_equal(path_clash_text(text, sizeof text, PATH_FOLDER, STR("a/b"), STR("a")),
                        "\"a\" cannot be both a file and a folder: see \"a/b\".");
    assert_string_equal(path_clash_text(text, sizeof text, PATH_SAME, STR("a\"\n"), STR("a\"\n")),
                        "The path \"a\\\"\\u000a\" stands here twice.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_paths),
        cmocka_unit_test(segments),
        cmocka_unit_test(bytes),
        cmocka_unit_test(lengths),
        cmocka_unit_test(challenge_folders),
        cmocka_unit_test(clashes),
        cmocka_unit_test(unicode_case_folding),
        cmocka_unit_test(sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
