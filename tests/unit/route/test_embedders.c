// Who may embed: what is found of a table, and what a path below /p/ becomes.
#include "edge/route/embedders.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include "edge/route/embed_rules.h"
#include <cmocka.h>

#define A "https://app.example.com"
#define B "https://b.example.net:8443"

static void assert_ancestors(const char *slug, const char *want)
{
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(embedders_add_to(str_from(slug), &b), want[0] != '\0');
    assert_true(str_eq(buf_str(&b), str_from(want)));
    buf_fini(&b);
}

static void nothing_is_allowed_before_the_first_table(void **state)
{
    assert_false(embedders_allow(STR(""), STR(A)));
    assert_true(embedders_know(STR("acme")));
    assert_ancestors("acme", "");
}

static void each_platform_has_its_own(void **state)
{
    static const struct embedder list[] = {{"zeta", "plt_z", B},
                                           {"acme", "plt_a", A},
                                           {"acme", "plt_a", B},
                                           {"acme", "plt_a", A},
                                           {"none", "plt_n", ""}};
    embedders_publish(list, sizeof list / sizeof list[0]);
    assert_true(embedders_allow(STR(""), STR(A)));
    assert_true(embedders_allow(STR(""), STR(B)));
    assert_true(embedders_allow(STR("acme"), STR(A)));
    assert_true(embedders_allow(STR("zeta"), STR(B)));
    assert_false(embedders_allow(STR("zeta"), STR(A)));
    assert_true(embedders_allow_for("plt_a", STR(A)));
    assert_false(embedders_allow_for("plt_z", STR(A)));
    assert_ancestors("acme", " " A " " B);
    assert_ancestors("zeta", " " B);
    assert_ancestors("none", "");
    assert_ancestors("acm", "");
}

static void only_the_very_origin_counts(void **state)
{
    static const char *const others[] = {"",
                                         "null",
                                         "*",
                                         "http://app.example.com",
                                         "https://app.example.com:443",
                                         "https://app.example.com/",
                                         "https://app.example.co",
                                         "https://app.example.com.evil.net",
                                         "https://APP.example.com",
                                         A ", " A};
    for (size_t i = 0; i != sizeof others / sizeof others[0]; ++i) {
        assert_false(embedders_allow(STR(""), str_from(others[i])));
        assert_false(embedders_allow(STR("acme"), str_from(others[i])));
        assert_false(embedders_allow(STR("none"), str_from(others[i])));
        assert_false(embedders_allow_for("plt_n", str_from(others[i])));
    }
    assert_false(embedders_allow(STR(""), (str){0}));
}

static void platforms_with_keys_are_known(void **state)
{
    assert_true(embedders_know(STR("acme")));
    assert_true(embedders_know(STR("none")));
    assert_false(embedders_know(STR("ac")));
    assert_false(embedders_know(STR("zetaa")));
}

static void a_later_table_counts(void **state)
{
    static const struct embedder now = {"zeta", "plt_z", A};
    embedders_publish(&now, 1);
    assert_true(embedders_allow(STR(""), STR(A)));
    assert_false(embedders_allow(STR(""), STR(B)));
    assert_false(embedders_know(STR("acme")));
    embedders_publish(NULL, 0);
    assert_false(embedders_allow(STR(""), STR(A)));
    assert_ancestors("zeta", "");
}

static void a_platforms_path_is_cut(void **state)
{
    static const struct {
        const char *path, *slug, *rest;
    } rows[] = {{"/p/acme/embed", "acme", "/embed"},
                {"/p/acme/embed/connections", "acme", "/embed/connections"},
                {"/p/a-1/sdk/embed/1.0.0/stoa-embed.js", "a-1", "/sdk/embed/1.0.0/stoa-embed.js"},
                {"/p/acme/api/v1/flows", "acme", "/api/v1/flows"},
                {"/p/acme/embedded", NULL, NULL},
                {"/p/acme/api/plugins", NULL, NULL},
                {"/p/acme/apps/x", NULL, NULL},
                {"/p/acme/p/acme/embed", NULL, NULL},
                {"/p/acme/../embed", NULL, NULL},
                {"/p/acme", NULL, NULL},
                {"/p/acme/", NULL, NULL},
                {"/p//embed", NULL, NULL},
                {"/p/ab/embed", NULL, NULL},
                {"/p/Acme/embed", NULL, NULL},
                {"/p/ac%6de/embed", NULL, NULL},
                {"/p/0123456789012345678901234567890123456789/embed",
                 "0123456789012345678901234567890123456789", "/embed"},
                {"/p/01234567890123456789012345678901234567890/embed", NULL, NULL},
                {"/embed", NULL, NULL}};
    for (size_t i = 0; i != sizeof rows / sizeof rows[0]; ++i) {
        str path = str_from(rows[i].path), slug = {0};
        assert_int_equal(embed_rules_cut(&path, &slug), rows[i].slug != NULL);
        assert_true(str_eq(path, str_from(rows[i].rest != NULL ? rows[i].rest : rows[i].path)));
        if (rows[i].slug != NULL)
            assert_true(str_eq(slug, str_from(rows[i].slug)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_allowed_before_the_first_table),
        cmocka_unit_test(each_platform_has_its_own),
        cmocka_unit_test(only_the_very_origin_counts),
        cmocka_unit_test(platforms_with_keys_are_known),
        cmocka_unit_test(a_later_table_counts),
        cmocka_unit_test(a_platforms_path_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
