// public-config.
#include "tests/unit/bundles/expect.h"
#include "bundles/config.h"

static const str some_files[] = {{"index.html", 10}, {"app.js", 6}, {"admin/index.html", 16}};
static const struct config_files files = {some_files, 3};

static struct config *load(const char *text, struct problems *problems, struct problems *warnings)
{
    problems_init(problems);
    problems_init(warnings);
    return config_load(str_from(text), 5, "public-config", &files, problems, warnings);
}

static void refuse(const char *text, unsigned line, const char *words)
{
    struct problems problems, warnings;
    assert_null(load(text, &problems, &warnings));
    expect_one(&problems, line, "public-config", words);
    problems_fini(&problems);
    problems_fini(&warnings);
}

// `json` is what config_json writes for `text`; `warning` NULL or part of the one warning.
static void accept(const char *text, const char *json, const char *warning, unsigned line)
{
    struct problems problems, warnings;
    struct config *c = load(text, &problems, &warnings);
    expect_none(&problems);
    assert_non_null(c);
    json_t *value = config_json(c);
    char *dump = json_dumps(value, JSON_COMPACT);
    assert_string_equal(dump, json);
    if (warning != NULL)
        expect_one(&warnings, line, "public-config", warning);
    else
        expect_none(&warnings);
    free(dump);
    json_decref(value);
    config_destroy(c);
    problems_fini(&problems);
    problems_fini(&warnings);
}

static void entry(void **state)
{
    accept("entry: index.html\n", "{\"entry\":\"index.html\",\"routes\":[]}", NULL, 0);
    accept("", "{\"entry\":\"index.html\",\"routes\":[]}", NULL, 0);
    accept("{\"entry\": \"admin/index.html\"}", "{\"entry\":\"admin/index.html\",\"routes\":[]}",
           NULL, 0);
    accept("\nentry: app.js\n", "{\"entry\":\"app.js\",\"routes\":[]}", "not an .html file", 6);
    refuse("entry: nope.html\n", 5, "not among the public files");
    refuse("entry: /index.html\n", 5, "must not start with '/'");
    refuse("entry: 5\n", 5, "must be text");
    refuse("- a\n", 5, "must be a mapping");
    refuse("entry: index.html\nentry: b\n", 6, "twice");
}

static void routes(void **state)
{
    accept("routes:\n- path: admin\n  spa: true\n- path: /a/b/c/d\n- path: /\n  spa: false\n",
           "{\"entry\":\"index.html\",\"routes\":[{\"path\":\"/a/b/c/d\",\"spa\":false},"
           "{\"path\":\"/admin\",\"spa\":true},{\"path\":\"/\",\"spa\":false}]}",
           NULL, 0);
    accept("routes:\n- {path: admin, spa: true}\n- {path: /admin/, spa: true}\n",
           "{\"entry\":\"index.html\",\"routes\":[{\"path\":\"/admin\",\"spa\":true}]}",
           "stands here twice", 7);
    refuse("routes:\n- {path: admin, spa: true}\n- {path: /admin/}\n", 7, "with and without 'spa'");
    refuse("routes: {}\n", 5, "must be a list");
    refuse("routes:\n- admin\n", 6, "must be a mapping");
    refuse("routes:\n- spa: true\n", 6, "has no 'path'");
    refuse("routes:\n- path: 5\n", 6, "must be text");
    refuse("routes:\n- path: x\n  spa: yes\n", 7, "true or false");
    refuse("routes:\n- path: a/../b\n", 6, "'.' or '..'");
    refuse("routes:\n- path: //\n  spa: true\n- path: //a\n", 8, "must not start with '/'");
    refuse("routes:\n- path: ''\n", 6, "must not be empty");
}

static void unknown_keys_are_warned_of(void **state)
{
    accept("entry: index.html\nheaders: 1\n", "{\"entry\":\"index.html\",\"routes\":[]}",
           "\"headers\" is not known", 6);
    accept("routes:\n- path: /\n  spa: true\n  exact: true\n",
           "{\"entry\":\"index.html\",\"routes\":[{\"path\":\"/\",\"spa\":true}]}",
           "\"exact\" is not known", 8);
}

static void limits(void **state)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_add(&b, STR("routes:\n"));
    for (int i = 0; i != CONFIG_ROUTES_MAX + 1; ++i)
        buf_addf(&b, "- path: r%d\n", i);
    AUTOFREE char *many = buf_take(&b);
    refuse(many, 5, "at most 100");
    buf_addc(&b, '#');
    while (b.n <= CONFIG_TEXT_MAX)
        buf_addc(&b, 'x');
    AUTOFREE char *large = buf_take(&b);
    refuse(large, 5, "64 KiB");
}

static void longest_route_decides(void **state)
{
    struct problems problems, warnings;
    struct config *c = load("routes:\n- {path: /, spa: true}\n- {path: docs}\n"
                            "- {path: docs/app, spa: true}\n",
                            &problems, &warnings);
    assert_true(config_is_spa(c, STR("/")));
    assert_true(config_is_spa(c, STR("/x/y")));
    assert_false(config_is_spa(c, STR("/docs")));
    assert_false(config_is_spa(c, STR("/docs/a")));
    assert_true(config_is_spa(c, STR("/docsx")));
    assert_true(config_is_spa(c, STR("/docs/app/1")));
    assert_false(config_is_spa(c, STR("/docs/apple")));
    config_destroy(c);
    c = load("routes:\n- {path: admin, spa: true}\n", &problems, &warnings);
    assert_false(config_is_spa(c, STR("/x")));
    assert_false(config_is_spa(c, STR("/Admin")));
    config_destroy(c);
}

static void reads_what_it_wrote(void **state)
{
    struct problems problems, warnings;
    struct config *c = load("routes:\n- {path: /, spa: true}\n- {path: a}\n", &problems, &warnings);
    json_t *json = config_json(c);
    struct config *again = config_from_json(json);
    json_t *json_again = config_json(again);
    assert_true(json_equal(json, json_again));
    assert_true(config_is_spa(again, STR("/b")));
    json_object_set_new(json, "entry", json_integer(1));
    assert_null(config_from_json(json));
    json_decref(json);
    json_decref(json_again);
    config_destroy(c);
    config_destroy(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entry),
        cmocka_unit_test(routes),
        cmocka_unit_test(unknown_keys_are_warned_of),
        cmocka_unit_test(limits),
        cmocka_unit_test(longest_route_decides),
        cmocka_unit_test(reads_what_it_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
