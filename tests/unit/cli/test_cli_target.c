// Whom a token is sent to (security-rules.md 22): ready files that count and that do not, saved
// tokens and their origins, and the order of all sources.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/cli/credentials.h"
#include "edge/cli/files.h"
#include "edge/cli/ready.h"
#include "edge/cli/target.h"

#define TOKEN_A "stoa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
static char dir[64];

static int make_dir(void **state)
{
    strcpy(dir, "/tmp/stoa-cli-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int drop_dir(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

static const char *at(const char *name)
{
    static char path[4][128];
    static unsigned turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", dir, name);
    return to;
}

static void put(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && files_write_all(fd, str_from(text)) && fchmod(fd, mode) == 0);
    close(fd);
}

static void put_ready(const char *console, const char *token_file)
{
    char text[512];
    snprintf(text, sizeof text, "{\"pid\":1,\"console\":\"%s\",\"tokenFile\":\"%s\"}", console,
             token_file);
    put(at("ready.json"), text, 0644);
}

static enum fail read_as(uid_t uid, struct ready *ready)
{
    return ready_read(dir, uid, ready, NULL);
}

static void a_good_ready_file_counts(void **state)
{
    struct ready ready;
    assert_int_equal(read_as(geteuid(), &ready), FAIL_NOT_FOUND);
    put(at("token"), TOKEN_A "\n", 0600);
    put_ready("http://127.0.0.1:8081", at("token"));
    assert_int_equal(read_as(geteuid(), &ready), FAIL_NONE);
    assert_string_equal(ready.console.text, "http://127.0.0.1:8081");
    assert_string_equal(ready.token, TOKEN_A);
}

static void a_server_is_called_by_the_name_it_goes_by(void **state)
{
    static const char *const origins[][2] = {
        {"https://Console.example.net", "console.example.net"},
        {"http://console.example.net:8443/", "console.example.net:8443"},
        {"http://[::1]:81", "[::1]:81"},
        {"https://u@x.example", ""},
        {"x\\r\\nA: b", ""},
        {"", ""}};
    for (size_t i = 0; i != sizeof origins / sizeof *origins; ++i) {
        struct ready ready;
        char text[512];
        snprintf(
            text, sizeof text,
            "{\"console\":\"http://127.0.0.1:7\",\"consoleOrigin\":\"%s\",\"tokenFile\":\"%s\"}",
            origins[i][0], at("token"));
        put(at("ready.json"), text, 0644);
        assert_int_equal(read_as(geteuid(), &ready), FAIL_NONE);
        assert_string_equal(ready.console.text, "http://127.0.0.1:7"); // where it is asked, still
        assert_string_equal(ready.host, origins[i][1]);
    }
    put_ready("http://127.0.0.1:8081", at("token"));
}

static void a_ready_file_others_may_write_does_not(void **state)
{
    struct ready ready;
    assert_int_equal(chmod(at("ready.json"), 0664), 0);
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
    assert_int_equal(chmod(at("ready.json"), 0646), 0);
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
    assert_int_equal(chmod(at("ready.json"), 0644), 0);
    assert_int_equal(read_as(geteuid(), &ready), FAIL_NONE);
}

static void a_ready_file_of_another_user_does_not(void **state)
{
    struct ready ready;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(at("ready.json"), 4711, 4711), 0);
    assert_int_equal(read_as(0, &ready), FAIL_DENIED);
    assert_int_equal(read_as(4711, &ready), FAIL_NONE);
    assert_int_equal(chown(at("ready.json"), 0, 0), 0);
    assert_int_equal(read_as(4711, &ready), FAIL_NONE); // root's counts for everyone
}

static void a_link_in_its_place_does_not(void **state)
{
    struct ready ready;
    assert_int_equal(rename(at("ready.json"), at("real.json")), 0);
    assert_int_equal(symlink(at("real.json"), at("ready.json")), 0);
    assert_int_not_equal(read_as(geteuid(), &ready), FAIL_NONE);
    assert_int_equal(unlink(at("ready.json")), 0);
}

static void a_console_elsewhere_does_not(void **state)
{
    struct ready ready;
    static const char *const elsewhere[] = {"http://10.0.0.1:8081", "https://stoa.example",
                                            "http://127.0.0.1.example", "nonsense", ""};
    for (size_t i = 0; i != sizeof elsewhere / sizeof *elsewhere; ++i) {
        put_ready(elsewhere[i], at("token"));
        assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
    }
    put(at("ready.json"), "{}", 0644);
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
    put(at("ready.json"), "no json", 0644);
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
}

static void a_token_file_outside_does_not(void **state)
{
    struct ready ready;
    char outside[64] = "/tmp/stoa-cli-token-XXXXXX";
    int fd = mkstemp(outside);
    assert_true(files_write_all(fd, STR(TOKEN_A)));
    close(fd);
    put_ready("http://127.0.0.1:1", outside);
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
    assert_int_equal(symlink(outside, at("link")), 0); // inside by name only
    put_ready("http://127.0.0.1:1", at("link"));
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
    put_ready("http://127.0.0.1:1", "token");
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
    char dotted[128];
    snprintf(dotted, sizeof dotted, "%s/../%s", dir, outside + 5);
    put_ready("http://127.0.0.1:1", dotted);
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
    unlink(outside);
}

static void a_token_file_with_something_else_does_not(void **state)
{
    struct ready ready;
    put(at("other"), "root:x:0:0:root:/root:/bin/bash\n", 0600);
    put_ready("http://127.0.0.1:1", at("other"));
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
    put(at("other"), TOKEN_A "\nX-More: 1\n", 0600);
    assert_int_equal(read_as(geteuid(), &ready), FAIL_DENIED);
}

// What target_find decides: "origin token" or the fault's code.
static const char *decide(const struct target_env *env, const char *url, const char *token)
{
    static char text[256];
    struct options o = {.n_args = 0};
    struct target t;
    struct fault fault;
    o.value[OPT_URL] = url;
    o.value[OPT_TOKEN] = token;
    if (target_find(&o, env, true, &t, &fault) == FAIL_NONE)
        snprintf(text, sizeof text, "%s %s", t.origin.text, t.token);
    else
        snprintf(text, sizeof text, "%s", fault.code);
    target_fini(&t);
    return text;
}

static void each_source_in_its_order(void **state)
{
    struct target_env env = {.data_dir = dir};
    put(at("token"), TOKEN_A, 0600);
    put_ready("http://127.0.0.1:7", at("token"));
    assert_string_equal(decide(&env, NULL, NULL), "http://127.0.0.1:7 " TOKEN_A);
    assert_string_equal(decide(&env, "http://127.0.0.1:7/", NULL), "http://127.0.0.1:7 " TOKEN_A);
    assert_string_equal(decide(&env, NULL, "mine"), "http://127.0.0.1:7 mine");
    // The ready file's token goes nowhere else.
    assert_string_equal(decide(&env, "http://127.0.0.1:8", NULL), "no_token");
    assert_string_equal(decide(&env, "https://stoa.example", NULL), "no_token");

    env.url = "https://env.example";
    assert_string_equal(decide(&env, NULL, NULL), "no_token");
    env.token = "envtoken";
    assert_string_equal(decide(&env, NULL, NULL), "https://env.example envtoken");
    // STOA_TOKEN belongs to STOA_URL.
    assert_string_equal(decide(&env, "https://evil.example", NULL), "no_token");
    assert_string_equal(decide(&env, "https://ENV.example:443/", NULL),
                        "https://env.example envtoken");
    env.url = NULL;
    assert_string_equal(decide(&env, "https://other.example", NULL),
                        "https://other.example envtoken");
}

static void a_saved_token_is_bound_to_its_origin(void **state)
{
    char path[128];
    json_auto_t *all = NULL;
    struct origin a, b;
    snprintf(path, sizeof path, "%s/config/stoa/credentials.json", dir);
    struct target_env env = {.data_dir = "/nonexistent", .credentials = path};
    assert_int_equal(origin_parse("https://a.example", &a, NULL), FAIL_NONE);
    assert_int_equal(origin_parse("https://b.example", &b, NULL), FAIL_NONE);
    assert_string_equal(decide(&env, NULL, NULL), "no_server");
    assert_int_equal(credentials_load(path, &all, NULL), FAIL_NONE);
    credentials_put(all, &a, "token-a");
    credentials_put(all, &b, "token-b");
    assert_int_equal(credentials_save(path, all, NULL), FAIL_NONE);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    assert_string_equal(decide(&env, NULL, NULL), "https://b.example token-b");
    assert_string_equal(decide(&env, "https://a.example", NULL), "https://a.example token-a");
    assert_string_equal(decide(&env, "http://a.example", NULL), "insecure_url");
    assert_string_equal(decide(&env, "https://a.example:444", NULL), "no_token");
    assert_string_equal(decide(&env, "https://a.example.evil.example", NULL), "no_token");

    assert_int_equal(chmod(path, 0640), 0);
    assert_string_equal(decide(&env, NULL, NULL), "credentials_exposed");
    assert_int_equal(chmod(path, 0600), 0);
    assert_true(credentials_drop(all, &b));
    assert_false(credentials_drop(all, &b));
    assert_null(credentials_current(all));
}

static void tokens_do_not_travel_in_the_clear(void **state)
{
    struct target_env env = {.data_dir = "/nonexistent"};
    assert_string_equal(decide(&env, "http://stoa.example", "t"), "insecure_url");
    assert_string_equal(decide(&env, "http://192.168.1.1", "t"), "insecure_url");
    assert_string_equal(decide(&env, "http://localhost", "t"), "http://localhost t");
    assert_string_equal(decide(&env, "https://stoa.example", "a b"), "bad_token");
    assert_string_equal(decide(&env, "https://stoa.example", "a\r\nX: y"), "bad_token");
    struct options o = {
        .value = {[OPT_URL] = "http://stoa.example", [OPT_TOKEN] = "t", [OPT_INSECURE] = ""}};
    struct target t;
    assert_int_equal(target_find(&o, &env, true, &t, NULL), FAIL_NONE);
    target_fini(&t);
}

static void the_environment_is_read_once(void **state)
{
    struct target_env env;
    setenv("STOA_TOKEN", "secret", 1);
    setenv("XDG_CONFIG_HOME", "relative", 1);
    setenv("HOME", "/home/someone", 1);
    target_env_read(&env);
    assert_string_equal(env.token, "secret");
    assert_null(getenv("STOA_TOKEN"));
    assert_string_equal(env.credentials, "/home/someone/.config/stoa/credentials.json");
    assert_true(env.data_dir[0] == '/');
    target_env_fini(&env);
}

static void the_data_directory_may_be_named_by_the_environment(void **state)
{
    struct target_env env;
    put(at("token"), TOKEN_A, 0600);
    put_ready("http://127.0.0.1:7", at("token"));
    unsetenv("STOA_URL");
    setenv("STOA_DATA", dir, 1);
    target_env_read(&env);
    assert_string_equal(decide(&env, NULL, NULL), "http://127.0.0.1:7 " TOKEN_A);
    assert_string_equal(decide(&env, "https://stoa.example", NULL), "no_token");
    target_env_fini(&env);
    setenv("STOA_DATA", "relative", 1); // is the server's to resolve, where that was started
    target_env_read(&env);
    assert_string_not_equal(env.data_dir, "relative");
    assert_false(env.data_is_named);
    target_env_fini(&env);
    unsetenv("STOA_DATA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_ready_file_counts),
        cmocka_unit_test(a_server_is_called_by_the_name_it_goes_by),
        cmocka_unit_test(a_ready_file_others_may_write_does_not),
        cmocka_unit_test(a_ready_file_of_another_user_does_not),
        cmocka_unit_test(a_link_in_its_place_does_not),
        cmocka_unit_test(a_console_elsewhere_does_not),
        cmocka_unit_test(a_token_file_outside_does_not),
        cmocka_unit_test(a_token_file_with_something_else_does_not),
        cmocka_unit_test(each_source_in_its_order),
        cmocka_unit_test(a_saved_token_is_bound_to_its_origin),
        cmocka_unit_test(tokens_do_not_travel_in_the_clear),
        cmocka_unit_test(the_environment_is_read_once),
        cmocka_unit_test(the_data_directory_may_be_named_by_the_environment),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
