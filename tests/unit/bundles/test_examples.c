// The example is what a reader copies: it has neither problems nor warnings.
#include "tests/unit/bundles/expect.h"
#include "bundles/pie.h"

static void rsvp_is_clean(void **state)
{
    char file[65536];
    FILE *f = fopen("examples/rsvp.pie", "rb");
    assert_non_null(f);
    size_t n = fread(file, 1, sizeof file, f);
    fclose(f);
    struct problems problems, warnings;
    problems_init(&problems);
    problems_init(&warnings);
    struct pie pie;
    enum fail result = pie_parse(str_of(file, n), NULL, &pie, &problems, &warnings);
    expect_none(&problems);
    expect_none(&warnings);
    assert_int_equal(result, FAIL_NONE);
    assert_true(str_eq(pie.name, STR("public-rsvp")));
    assert_true(str_ends(pie.handler, STR("module.exports = { handler };\n")));
    assert_non_null(pie.widget.p);
    assert_int_equal(pie.file_count, 4);
    assert_true(config_is_spa(pie.config, STR("/anything")));
    pie_fini(&pie);
    problems_fini(&problems);
    problems_fini(&warnings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rsvp_is_clean)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
