// The table of roles and permissions, cell by cell, and what is said to who may not.
#include "edge/auth/auth.h" // before cmocka.h, whose macro `fail` takes no argument
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const enum role roles[] = {ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_EDITOR, ROLE_ADMIN};
enum { ROLES = sizeof roles / sizeof roles[0] };

// As docs/embedding.md has it: none, Viewer, Operator, Editor, Admin.
static const char *const table[PERMISSION_COUNT] = {
    [PERMISSION_NONE] = "-----",      [PERMISSION_VIEW] = "-xxxx",
    [PERMISSION_READ_DATA] = "-xxxx", [PERMISSION_RUN] = "--xxx",
    [PERMISSION_CONNECT] = "--xxx",   [PERMISSION_BUILD] = "---xx",
    [PERMISSION_CONFIGURE] = "---xx", [PERMISSION_MANAGE] = "----x",
};

static void test_every_cell(void **state)
{
    for (int p = 0; p != PERMISSION_COUNT; ++p)
        for (int r = 0; r != ROLES; ++r)
            if (role_may(roles[r], (enum permission)p) != (table[p][r] == 'x'))
                fail_msg("%s, permission %d", role_name(roles[r]), p);
}

static void test_names_in_any_case_and_no_others(void **state)
{
    static const char *const bad[] = {"", "none", "Owner", "Admin ", "Admi", "Admins", "ADM\0N"};
    assert_int_equal(role_of(STR("Admin")), ROLE_ADMIN);
    assert_int_equal(role_of(STR("eDiToR")), ROLE_EDITOR);
    assert_int_equal(role_of(STR("VIEWER")), ROLE_VIEWER);
    assert_int_equal(role_of(STR("operator")), ROLE_OPERATOR);
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i)
        assert_int_equal(role_of(str_from(bad[i])), ROLE_NONE);
    for (int r = 1; r != ROLES; ++r)
        assert_int_equal(role_of(str_from(role_name(roles[r]))), roles[r]);
}

static void test_sessions_are_told_why(void **state)
{
    struct fault fault = {0};
    struct principal p = {.role = ROLE_EDITOR};
    assert_int_equal(auth_permit(&p, PERMISSION_BUILD, &fault), FAIL_NONE);
    assert_int_equal(auth_permit(&p, PERMISSION_MANAGE, &fault), FAIL_DENIED);
    assert_string_equal(fault.code, "role_too_low");
    assert_non_null(strstr(fault.public_text, "\"Editor\""));
    p.role = ROLE_ADMIN;
    assert_int_equal(auth_permit(&p, PERMISSION_NONE, &fault), FAIL_DENIED);
    assert_string_equal(fault.code, "not_for_sessions");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cell),
        cmocka_unit_test(test_names_in_any_case_and_no_others),
        cmocka_unit_test(test_sessions_are_told_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
