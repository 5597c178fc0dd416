#include <stdio.h>
#include <stdlib.h>
#include "bundles/resolve.h"
#include "made_site.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h> // last: it defines fail()

static struct site *plain, *app, *nested, *routed;

static int make_sites(void **state)
{
    plain =
        made_site("demo/plain", "{\"entry\":\"index.html\",\"routes\":[]}",
                  (const char *[]){"*index.html", "about.html", "docs/index.html", "docs/a/b.txt",
                                   "404.html", "docs/404.html", "both", "both.html",
                                   "both2/index.html", "both2.html", ".env", "docs/.git/config",
                                   ".well-known/security.txt", ".well-known/acme-challenge/x",
                                   "caf\xc3\xa9.txt", "a b%.txt", "Case.txt", NULL});
    app = made_site("demo/app",
                    "{\"entry\":\"index.html\",\"routes\":[{\"path\":\"/\",\"spa\":true}]}",
                    (const char *[]){"index.html", "app.js", "assets/main.css", "assets/deep/x.js",
                                     "404.html", NULL});
    nested = made_site(
        "demo/nested", "{\"entry\":\"dist/main.html\",\"routes\":[{\"path\":\"/\",\"spa\":true}]}",
        (const char *[]){"dist/main.html", "dist/app.js", "dist/a/b.js", "app.css", NULL});
    routed =
        made_site("demo/routed",
                  "{\"entry\":\"index.html\",\"routes\":[{\"path\":\"/admin/old\",\"spa\":false},"
                  "{\"path\":\"/admin\",\"spa\":true}]}",
                  (const char *[]){"index.html", "admin/logo.png", NULL});
    return 0;
}

static int free_sites(void **state)
{
    shared_unref(&plain->shared);
    shared_unref(&app->shared);
    shared_unref(&nested->shared);
    shared_unref(&routed->shared);
    return 0;
}

// "200 file" "entry" "404 file" "404" "308 /to" "302 /to" "400", with " dest" where it depends on
// it.
static const char *answer(const struct site *site, const char *raw, const char *dest, char *to,
                          size_t room)
{
    str path = str_from(raw);
    char *memory = malloc(resolve_room(site, path)); // exactly: ASan sees one byte too many
    struct resolution r = resolve(site, path, str_from(dest), memory);
    str file = r.file != SITE_NO_FILE ? site->files[r.file].path : STR("");
    const char *tail = r.depends_on_dest ? " dest" : "";
    switch (r.kind) {
    case RESOLVED_FILE:
        snprintf(to, room, "200 %.*s%s", STR_FMT(file), tail);
        break;
    case RESOLVED_ENTRY:
        snprintf(to, room, "entry%s", tail);
        break;
    case RESOLVED_MISSING:
        snprintf(to, room, "404%s%.*s%s", file.n > 0 ? " " : "", STR_FMT(file), tail);
        break;
    case RESOLVED_REDIRECT:
        snprintf(to, room, "308 %.*s%s", STR_FMT(r.path), tail);
        break;
    case RESOLVED_ELSEWHERE:
        snprintf(to, room, "302 %.*s%s", STR_FMT(r.path), tail);
        break;
    case RESOLVED_MALFORMED:
        snprintf(to, room, "400%s", tail);
        break;
    }
    free(memory);
    return to;
}

struct expectation {
    const char *raw, *dest, *expected;
};

static void expect_all(const struct site *site, const struct expectation *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[9000];
        const char *got = answer(site, list[i].raw, list[i].dest, text, sizeof text);
        if (strcmp(got, list[i].expected) != 0)
            fail_msg("%s (%s): %s, not %s", list[i].raw, list[i].dest, got, list[i].expected);
        uint32_t file = resolve_plain(site, str_from(list[i].raw));
        if (file != SITE_NO_FILE) { // the short way must not know better
            char name[1100];
            snprintf(name, sizeof name, "200 %.*s", STR_FMT(site->files[file].path));
            assert_string_equal(name, list[i].expected);
        }
    }
}
#define EXPECT(site, ...)                                                                          \
    expect_all(site, (const struct expectation[]){__VA_ARGS__},                                    \
               sizeof((const struct expectation[]){__VA_ARGS__}) / sizeof(struct expectation))

static void test_order_of_resolution(void **state)
{
    EXPECT(plain, {"/", NULL, "200 index.html"}, {"/index.html", NULL, "200 index.html"},
           {"/about.html", NULL, "200 about.html"}, {"/about", NULL, "200 about.html"},
           {"/about/", NULL, "404 404.html"}, {"/docs", NULL, "308 /docs/"},
           {"/docs/", NULL, "200 docs/index.html"},
           {"/docs/index.html", NULL, "200 docs/index.html"},
           {"/both", NULL, "200 both"},     // exact before path.html
           {"/both2", NULL, "308 /both2/"}, // folder before path.html
           {"/index", NULL, "200 index.html"}, {"/docs/a/b.txt", NULL, "200 docs/a/b.txt"},
           {"/docs/a/b.txt/", NULL, "404 docs/404.html"}, {"/case.txt", NULL, "404 404.html"},
           {"/Case.txt", NULL, "200 Case.txt"});
}

static void test_root_is_the_entry_whatever_else_there_is(void **state)
{
    EXPECT(nested, {"/", NULL, "200 dist/main.html"});
}

static void test_nearest_404_page(void **state)
{
    EXPECT(plain, {"/x", NULL, "404 404.html"}, {"/x/y/z", NULL, "404 404.html"},
           {"/docs/x", NULL, "404 docs/404.html"}, {"/docs/a/x", NULL, "404 docs/404.html"},
           {"/docs/a/", NULL, "404 docs/404.html"}, {"/docsx/y", NULL, "404 404.html"});
    EXPECT(routed, {"/x", NULL, "404"});
}

static void test_decoding(void **state)
{
    EXPECT(
        plain, {"/%61bout", NULL, "200 about.html"},
        {"/caf%C3%A9.txt", NULL, "200 caf\xc3\xa9.txt"},
        {"/caf%c3%a9.txt", NULL, "200 caf\xc3\xa9.txt"},
        {"/caf\xc3\xa9.txt", NULL, "200 caf\xc3\xa9.txt"}, {"/a%20b%25.txt", NULL, "200 a b%.txt"},
        {"/a b%25.txt", NULL, "200 a b%.txt"},
        {"/a%2520b%2525.txt", NULL, "404 404.html"}, // once, not twice
        {"/docs%2fa%2Fb.txt", NULL, "200 docs/a/b.txt"}, {"/docs%2f", NULL, "200 docs/index.html"},
        {"/x%00y", NULL, "400"}, {"/%00", NULL, "400"}, {"/%", NULL, "400"}, {"/%4", NULL, "400"},
        {"/%zz", NULL, "400"}, {"/a%2", NULL, "400"}, {"/\\", NULL, "400"}, {"/a%5cb", NULL, "400"},
        {"/..%5c..%5cetc", NULL, "400"}, {"/%ff", NULL, "400"}, {"/%c0%ae%c0%ae/", NULL, "400"},
        {"/%ed%a0%80", NULL, "400"}, {"/\xff", NULL, "400"}, {"/caf%C3%A9", NULL, "404 404.html"});
}

static void test_dot_segments(void **state)
{
    EXPECT(plain, {"/./about", NULL, "308 /about"}, {"/docs/../about", NULL, "308 /about"},
           {"/docs/a/..", NULL, "308 /docs/"}, {"/docs/a/.", NULL, "308 /docs/a/"},
           {"/docs/%2e%2e/about", NULL, "308 /about"}, {"/..", NULL, "400"}, {"/../", NULL, "400"},
           {"/../x", NULL, "400"}, {"/docs/../../x", NULL, "400"}, {"/%2e%2e/x", NULL, "400"},
           {"/.%2e/x", NULL, "400"}, {"/..%2fx", NULL, "400"}, {"/docs/..%2f..%2fx", NULL, "400"},
           {"/...", NULL, "404 404.html"}, {"/x..", NULL, "404 404.html"}, {"/.", NULL, "308 /"});
}

static void test_repeated_slashes_never_leave_the_host(void **state)
{
    EXPECT(
        plain, {"//about", NULL, "308 /about"}, {"/docs//a///b.txt", NULL, "308 /docs/a/b.txt"},
        {"//", NULL, "308 /"}, {"/docs//", NULL, "308 /docs/"},
        {"//evil.example/", NULL, "308 /evil.example/"},
        {"/%2fevil.example", NULL, "308 /evil.example"}, {"/%2f%2fevil.example/..", NULL, "308 /"},
        {"///evil.example/%2e%2e", NULL, "308 /"}, {"/.//evil.example", NULL, "308 /evil.example"},
        {"/x/..//evil.example", NULL, "308 /evil.example"}, {"//a%0d%0ab", NULL, "308 /a%0D%0Ab"},
        {"//a%3fb%23c", NULL, "308 /a%3Fb%23c"}, {"//caf%c3%a9", NULL, "308 /caf%C3%A9"});
}

static void test_dotfiles(void **state)
{
    EXPECT(plain, {"/.env", NULL, "404 404.html"}, {"/docs/.git/config", NULL, "404 docs/404.html"},
           {"/%2eenv", NULL, "404 404.html"},
           {"/.well-known/security.txt", NULL, "200 .well-known/security.txt"},
           {"/.well-known/.x", NULL, "404 404.html"},
           {"/docs/.well-known/x", NULL, "404 docs/404.html"});
    EXPECT(app, {"/.env", NULL, "404 404.html"}, {"/.well-known/x", NULL, "entry dest"});
}

static void test_challenge_paths_are_no_bundles(void **state)
{
    EXPECT(plain, {"/.well-known/acme-challenge/x", NULL, "404"},
           {"/.well-known/acme%2dchallenge/x", NULL, "404"},
           {"/%2ewell-known/acme-challenge/x", NULL, "404"});
    EXPECT(app, {"/.well-known/acme-challenge/x", NULL, "404"},
           {"/.well-known/acme-challenge", NULL, "404"},
           {"/.well-known/pki-validation/x", NULL, "404"});
}

static void test_routes(void **state)
{
    EXPECT(app, {"/form/abc", NULL, "entry dest"}, {"/form/abc/", NULL, "entry dest"},
           {"/form/abc", "document", "entry dest"}, {"/form/abc", "empty", "entry dest"},
           {"/app.js", NULL, "200 app.js"}, {"/x.js", NULL, "entry dest"},
           {"/assets", NULL, "entry dest"});
    EXPECT(routed, {"/admin", NULL, "entry dest"}, {"/admin/", NULL, "entry dest"},
           {"/admin/x/y", NULL, "entry dest"}, {"/admin/old", NULL, "404"},
           {"/admin/old/x", NULL, "404"}, {"/admin/older", NULL, "entry dest"},
           {"/administrator", NULL, "404"}, {"/x", NULL, "404"},
           {"/admin/logo.png", "image", "200 admin/logo.png"}, {"/x.js", "script", "404"});
}

static void test_assets_never_get_the_entry(void **state)
{
    static const char *const dests[] = {
        "script", "style",  "image",        "font",          "manifest",     "audio",       "video",
        "track",  "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet"};
    for (size_t i = 0; i < sizeof dests / sizeof dests[0]; i++) {
        EXPECT(app, {"/nothing.js", dests[i], "404 404.html dest"},
               {"/form/app.js", dests[i], "302 /app.js dest"});
    }
    EXPECT(app, {"/form/abc/app.js", "script", "302 /app.js dest"},
           {"/form/abc/assets/main.css", "style", "302 /assets/main.css dest"},
           {"/form/assets/deep/x.js", "script", "302 /assets/deep/x.js dest"},
           {"/form/deep/x.js", "script", "404 404.html dest"},
           {"/main.css", "style", "404 404.html dest"},
           {"/form/app.js/", "script", "404 404.html dest"},
           {"/form/", "script", "404 404.html dest"});
    EXPECT(nested, {"/app.js", "script", "302 /dist/app.js dest"},
           {"/x/y/app.js", "script", "302 /dist/app.js dest"},
           {"/x/a/b.js", "script", "302 /dist/a/b.js dest"}, {"/x/app.css", "style", "404 dest"},
           {"/app.css", "style", "200 app.css"});
}

// A path that is as long as they come must not be worth an attack.
static void test_deep_paths(void **state)
{
    char raw[8001], text[9000];
    for (size_t i = 0; i < sizeof raw - 1; i++)
        raw[i] = i % 2 == 0 ? '/' : 'a';
    raw[sizeof raw - 1] = '\0';
    assert_string_equal(answer(app, raw, "script", text, sizeof text), "404 404.html dest");
    assert_string_equal(answer(plain, raw, NULL, text, sizeof text), "404 404.html");
    memset(raw + 1, '%', sizeof raw - 2);
    assert_string_equal(answer(plain, raw, NULL, text, sizeof text), "400");
    memset(raw, '/', sizeof raw - 1);
    assert_string_equal(answer(plain, raw, NULL, text, sizeof text), "308 /");
}

static void test_variants_are_numbered(void **state)
{
    for (uint32_t file = 0, number = 0; file < plain->file_count; file++)
        for (enum encoding e = 0; e < ENCODINGS; e++) {
            if ((plain->files[file].encodings & 1u << e) == 0)
                continue;
            uint32_t back;
            assert_int_equal(site_variant_of(&plain->files[file], e), number);
            assert_int_equal(site_encoding_of(plain, number, &back), e);
            assert_int_equal(back, file);
            assert_int_equal(plain->variants[number].size, 100 - (uint64_t)e * 10);
            number++;
        }
    assert_int_equal(plain->variant_count, plain->file_count + 3);
}

static void test_no_app_and_broken_rows(void **state)
{
    struct deployment_row row;
    struct site *site;
    struct fault fault;
    made_row(&row, "{\"entry\":\"gone.html\",\"routes\":[]}", (const char *[]){"index.html", NULL});
    assert_int_equal(site_create(STR("a/b"), false, &row, &site, &fault), FAIL_INTERNAL);
    made_row_fini(&row);
    made_row(&row, "[]", (const char *[]){"index.html", NULL});
    assert_int_equal(site_create(STR("a/b"), false, &row, &site, &fault), FAIL_INTERNAL);
    json_decref(row.config);
    row.config = NULL;
    assert_int_equal(site_create(STR("a/b"), false, &row, &site, &fault), FAIL_NOT_FOUND);
    made_row_fini(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_resolution),
        cmocka_unit_test(test_root_is_the_entry_whatever_else_there_is),
        cmocka_unit_test(test_nearest_404_page),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_dot_segments),
        cmocka_unit_test(test_repeated_slashes_never_leave_the_host),
        cmocka_unit_test(test_dotfiles),
        cmocka_unit_test(test_challenge_paths_are_no_bundles),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_assets_never_get_the_entry),
        cmocka_unit_test(test_deep_paths),
        cmocka_unit_test(test_variants_are_numbered),
        cmocka_unit_test(test_no_app_and_broken_rows),
    };
    return cmocka_run_group_tests(tests, make_sites, free_sites);
}
