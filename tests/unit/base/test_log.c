// What the log makes of strangers' text.
#include "edge/base/log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

static void plain_values_stay(void **state)
{
    char to[64];
    assert_string_equal(log_escape(to, sizeof to, STR("a/b-c:1")), "a/b-c:1");
}

static void others_are_quoted_and_escaped(void **state)
{
    char to[64];
    assert_string_equal(log_escape(to, sizeof to, STR("")), "\"\"");
    assert_string_equal(log_escape(to, sizeof to, STR("a b")), "\"a b\"");
    assert_string_equal(log_escape(to, sizeof to, STR("a=b")), "\"a=b\"");
    assert_string_equal(log_escape(to, sizeof to, STR("a\"b\\")), "\"a\\\"b\\\\\"");
    assert_string_equal(log_escape(to, sizeof to, STR("\n\x1b[2J")), "\"\\x0a\\x1b[2J\"");
    assert_string_equal(log_escape(to, sizeof to, STR("\0\x7f")), "\"\\x00\\x7f\"");
    assert_string_equal(log_escape(to, sizeof to, STR("\xe2\x80\xae")),
                        "\"\\xe2\\x80\\xae\""); // bidi
}

static void long_values_are_cut(void **state)
{
    char to[32], big[1000];
    memset(big, '\n', sizeof big);
    for (size_t room = 16; room != sizeof to; ++room)
        assert_true(strlen(log_escape(to, room, str_of(big, sizeof big))) < room);
    memset(big, 'a', sizeof big);
    for (size_t n = 0; n != 64; ++n)
        assert_true(strlen(log_escape(to, sizeof to, str_of(big, n))) < sizeof to);
}

// The one line that log_write writes.
static void written(char to[static 4096], const char *value)
{
    int pipes[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    log_write(LOG_INFO, "message", "value=%s", value);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pipes[1]);
    ssize_t n = read(pipes[0], to, 4095);
    close(pipes[0]);
    to[n > 0 ? n : 0] = '\0';
}

static void one_line_an_event(void **state)
{
    char line[4096];
    log_set_role("test");
    written(line, "1");
    assert_non_null(strstr(line, "Z info test: message value=1\n"));
    char big[3000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    written(line, big);
    assert_int_equal(strlen(line), 2047);
    assert_int_equal(line[2046], '\n');
}

static void levels(void **state)
{
    log_set_level(LOG_WARN);
    assert_true(log_enabled(LOG_ERROR));
    assert_false(log_enabled(LOG_INFO));
    char line[4096];
    written(line, "1");
    assert_string_equal(line, "");
    log_set_level(LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_values_stay), cmocka_unit_test(others_are_quoted_and_escaped),
        cmocka_unit_test(long_values_are_cut), cmocka_unit_test(one_line_an_event),
        cmocka_unit_test(levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
