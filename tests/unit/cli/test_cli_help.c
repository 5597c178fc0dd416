// The tables of commands and options, and stoa(1) beside them: neither knows what the other does
// not. Run from the repository's root.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/cli/files.h"
#include "edge/cli/internal.h"

static char *manual;

static int read_manual(void **state)
{
    struct buf text;
    struct stat st;
    buf_init(&text, 1 << 20);
    if (files_read("docs/stoa.1", &text, &st, NULL) != FAIL_NONE)
        return -1;
    manual = buf_take(&text);
    return 0;
}

static int drop_manual(void **state)
{
    free(manual);
    return 0;
}

// A line of the manual that is `macro name` or begins so and goes on behind a space.
static bool manual_has(const char *macro, const char *name)
{
    char line[128];
    int n = snprintf(line, sizeof line, "\n%s %s", macro, name);
    for (const char *p = manual; (p = strstr(p, line)) != NULL; p += n)
        if (p[n] == ' ' || p[n] == '\n')
            return true;
    return false;
}

static void every_command_is_in_the_manual(void **state)
{
    for (size_t i = 0; i != command_count; ++i)
        if (!manual_has(".It Cm", commands[i].name))
            fail_msg("docs/stoa.1 has no `.It Cm %s`", commands[i].name);
}

static void every_option_is_in_the_manual(void **state)
{
    for (int i = 0; i != OPT_COUNT; ++i) {
        char long_name[64];
        snprintf(long_name, sizeof long_name, "-%s", option_rows[i].name);
        if (!manual_has(".It Fl", long_name))
            fail_msg("docs/stoa.1 has no `.It Fl %s`", long_name);
    }
}

static void the_manual_has_no_more(void **state)
{
    size_t items = 0;
    for (const char *p = manual; (p = strstr(p, "\n.It Cm ")) != NULL; ++p)
        ++items;
    assert_int_equal(items, command_count);
    items = 0;
    for (const char *p = manual; (p = strstr(p, "\n.It Fl -")) != NULL; ++p)
        ++items;
    assert_int_equal(items, OPT_COUNT);
}

static void every_exit_code_is_in_the_manual(void **state)
{
    for (int code = EXIT_DONE; code <= EXIT_LOCAL; ++code) {
        char number[8];
        snprintf(number, sizeof number, "%d", code);
        assert_true(manual_has(".It", number));
    }
}

static void every_option_belongs_to_a_command(void **state)
{
    uint64_t used = 0;
    for (size_t i = 0; i != command_count; ++i) {
        used |= commands[i].options;
        assert_int_equal(commands[i].options & OPTS_ALWAYS, OPTS_ALWAYS);
        assert_ptr_equal(command_find(str_from(commands[i].name)), &commands[i]);
    }
    assert_int_equal(used, (UINT64_C(1) << OPT_COUNT) - 1);
}

// "…`stoa serve --help`…": each command that the package's settings file names is one.
static void the_package_names_commands_there_are(void **state)
{
    struct buf text;
    struct stat st;
    size_t named = 0;
    buf_init(&text, 1 << 16);
    assert_int_equal(files_read("cmake/package/stoa.yaml", &text, &st, NULL), FAIL_NONE);
    AUTOFREE char *all = buf_take(&text);
    for (const char *p = all; (p = strstr(p, "stoa ")) != NULL;) {
        p += 5;
        str word = str_of(p, strspn(p, "abcdefghijklmnopqrstuvwxyz"));
        if (word.n != 0 && command_find(word) == NULL)
            fail_msg("cmake/package/stoa.yaml names `stoa %.*s`", STR_FMT(word));
        named += word.n != 0;
    }
    assert_true(named != 0);
}

static enum cli_exit run(int argc, ...)
{
    char *argv[8] = {"stoa"};
    va_list ap;
    va_start(ap, argc);
    for (int i = 1; i <= argc; ++i)
        argv[i] = va_arg(ap, char *);
    va_end(ap);
    return (enum cli_exit)cli_main(argc + 1, argv);
}

static void usage_has_its_exit_code(void **state)
{
    setenv("HOME", "/nonexistent", 1);
    setenv("STOA_URL", "http://127.0.0.1:1", 1); // nobody listens there
    assert_int_equal(run(1, "version"), EXIT_DONE);
    assert_int_equal(run(1, "--help"), EXIT_DONE);
    assert_int_equal(run(2, "deploy", "--help"), EXIT_DONE);
    assert_int_equal(run(2, "help", "token"), EXIT_DONE);
    assert_int_equal(run(3, "help", "token", "list"), EXIT_DONE);
    assert_int_equal(run(2, "help", "nonsense"), EXIT_USAGE);
    assert_int_equal(run(0), EXIT_USAGE);
    assert_int_equal(run(1, "nonsense"), EXIT_USAGE);
    assert_int_equal(run(1, "deploy"), EXIT_USAGE);
    assert_int_equal(run(2, "apps", "one"), EXIT_USAGE);
    assert_int_equal(run(2, "apps", "--watch"), EXIT_USAGE);
    assert_int_equal(run(1, "token"), EXIT_USAGE);
    assert_int_equal(run(2, "token", "--help"), EXIT_DONE);
    assert_int_equal(run(2, "nonsense", "--help"), EXIT_USAGE);
    assert_int_equal(run(1, "--version"), EXIT_DONE);
    assert_int_equal(run(1, "-V"), EXIT_DONE);
    assert_int_equal(run(2, "apps", "-V"), EXIT_USAGE);
    assert_int_equal(run(2, "deploy", "/nonexistent.pie"), EXIT_LOCAL);
    assert_int_equal(run(1, "apps"), EXIT_AUTH);
    char token[] = "stoa_secret", option[] = "--token=stoa_other";
    assert_int_equal(run(4, "apps", "--token", token, "-q"), EXIT_UNAVAILABLE);
    assert_string_equal(token, "***********"); // `ps` shows that from now on
    assert_int_equal(run(3, "apps", option, "--json"), EXIT_UNAVAILABLE);
    assert_string_equal(option, "--token=**********");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_in_the_manual),
        cmocka_unit_test(every_option_is_in_the_manual),
        cmocka_unit_test(the_manual_has_no_more),
        cmocka_unit_test(every_exit_code_is_in_the_manual),
        cmocka_unit_test(every_option_belongs_to_a_command),
        cmocka_unit_test(the_package_names_commands_there_are),
        cmocka_unit_test(usage_has_its_exit_code),
    };
    return cmocka_run_group_tests(tests, read_manual, drop_manual);
}
