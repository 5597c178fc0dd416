// The examples are what a reader copies: they have neither problems nor warnings.
#include "tests/unit/bundles/expect.h"
#include "bundles/pie.h"

// Calls `look` with the example as parsed.
static void with_example(const char *path, void (*look)(const struct pie *pie))
{
    static char file[65536];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(file, 1, sizeof file, f);
    assert_true(n < sizeof file);
    fclose(f);
    struct problems problems, warnings;
    problems_init(&problems);
    problems_init(&warnings);
    struct pie pie;
    enum fail result = pie_parse(str_of(file, n), NULL, &pie, &problems, &warnings);
    expect_none(&problems);
    expect_none(&warnings);
    assert_int_equal(result, FAIL_NONE);
    look(&pie);
    pie_fini(&pie);
    problems_fini(&problems);
    problems_fini(&warnings);
}

static void look_at_spa(const struct pie *pie)
{
    assert_int_equal(pie->file_count, 4);
    assert_true(config_is_spa(pie->config, STR("/anything")));
}

static void look_at_rsvp(const struct pie *pie)
{
    look_at_spa(pie);
    assert_true(str_eq(pie->name, STR("public-rsvp")));
    assert_true(str_ends(pie->handler, STR("module.exports = { handler };\n")));
    assert_non_null(pie->widget.p);
}

static void rsvp_is_clean(void **state)
{
    with_example("examples/rsvp.pie", look_at_rsvp);
}

static void look_at_intake(const struct pie *pie)
{
    look_at_spa(pie);
    assert_true(str_eq(pie->name, STR("intake")));
    assert_true(str_ends(pie->handler, STR("module.exports = { handler, onUpload };\n")));
}

static void intake_is_clean(void **state)
{
    with_example("examples/intake.pie", look_at_intake);
}

static void look_at_contact(const struct pie *pie)
{
    assert_true(str_eq(pie->name, STR("contact-form")));
    assert_int_equal(pie->file_count, 2);
}

static void contact_is_clean(void **state)
{
    with_example("examples/saas-host/contact.pie", look_at_contact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rsvp_is_clean),
                                       cmocka_unit_test(intake_is_clean),
                                       cmocka_unit_test(contact_is_clean)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
