// The settings: where they come from, what is refused, what is handed over. A loaded problem list
// is compared as text, the way a person sees it.
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "edge/settings.h"

static char folder[] = "/tmp/stoa-settings-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, 128, "%s/%s", folder, name);
    return path;
}

static const char *write_file(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

// Loads with the flags up to NULL; returns what a person would read of the problems.
static const char *load(struct settings *s, ...)
{
    static char *text;
    char *argv[32];
    int argc = 0;
    va_list ap;
    va_start(ap, s);
    while ((argv[argc] = va_arg(ap, char *)) != NULL)
        ++argc;
    va_end(ap);
    struct problems problems;
    bool is_check, is_help;
    size_t n;
    problems_init(&problems);
    bool is_fine = settings_load(s, argc, argv, &problems, &is_check, &is_help);
    assert_int_equal(is_fine, problems.count == 0);
    free(text);
    FILE *f = open_memstream(&text, &n);
    settings_print_problems(&problems, f);
    fclose(f);
    problems_fini(&problems);
    return text;
}

#define HAS(text, part)                                                                            \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (strstr(text_, (part)) == NULL)                                                         \
            fail_msg("no \"%s\" in:\n%s", (part), text_);                                          \
    } while (0)

static void test_defaults_are_fine(void **state)
{
    struct settings s;
    assert_string_equal(load(&s, "--data", "/tmp/x//", NULL), "");
    assert_string_equal(s.data, "/tmp/x");
    assert_string_equal(s.listen_apps, "127.0.0.1:8080,[::1]:8080");
    assert_int_equal(s.cache_bytes, 256 << 20);
    assert_int_equal(s.shutdown_timeout, 30000);
    assert_string_equal(s.ready_file, "/tmp/x/ready.json");
    assert_string_equal(s.access_log, "/tmp/x/logs/access.log");
    assert_true(settings_is_standard(&s, "listen_apps"));
    assert_false(s.insecure_origins);
    settings_fini(&s);
}

static void test_flags_win_over_variables_over_the_file(void **state)
{
    struct settings s;
    const char *file = write_file("order.yaml", "threads: 3\napi_threads: 5\ningest_threads: 3\n"
                                                "cache_bytes: 1GiB\nidle_timeout: 2m\n"
                                                "listen_apps: [\"127.0.0.1:1\", \"[::1]:1\"]\n"
                                                "log_level: ~\n");
    // STOA_API_THREADS=6 and STOA_INGEST_THREADS=6 stand in the environment since main
    assert_string_equal(load(&s, "--config", file, "--set", "api_threads=7",
                             "--listen-console=127.0.0.1:2", "--data", "d", NULL),
                        "");
    assert_int_equal(s.threads, 3);
    assert_int_equal(s.ingest_threads, 6);
    assert_int_equal(s.api_threads, 7);
    assert_int_equal(s.cache_bytes, 1 << 30);
    assert_int_equal(s.idle_timeout, 120000);
    assert_string_equal(s.listen_apps, "127.0.0.1:1,[::1]:1");
    assert_string_equal(s.listen_console, "127.0.0.1:2");
    assert_string_equal(s.log_level, "info");
    assert_int_equal(s.data[0], '/');
    assert_string_equal(strrchr(s.data, '/'), "/d");
    settings_fini(&s);
}

static void test_all_problems_at_once_with_their_places(void **state)
{
    struct settings s;
    const char *file = write_file("bad.yaml", "thread: 3\n"
                                              "cache_bytes: 3 bananas\n"
                                              "idle_timeout: 30\n"
                                              "header_count: 101\n"
                                              "log_level: loud\n"
                                              "listen_apps: localhost:80\n"
                                              "shared_origin: yes\n"
                                              "api_threads: {a: 1}\n");
    const char *text =
        load(&s, "--config", file, "--data", "/tmp/x", "--set", "nothing=1", "--threads", "2",
             "--frobnicate", "--listen-admin", "0.0.0.0:9090", NULL);
    char line[200];
    static const char *const of_file[] = {
        ":1: There is no setting thread.",
        ":2: cache_bytes: Write a size such as 256MiB.",
        ":3: idle_timeout: Write a time with its unit, such as 30s or 500ms.",
        ":4: header_count: Take a value from 8 to 100.",
        ":5: log_level: Take one of error|warn|info|debug.",
        ":6: listen_apps: localhost:80 is no address to listen on",
        ":7: shared_origin: Write the word accepted, or leave the setting out.",
        ":8: api_threads: Write a word or a number."};
    for (size_t i = 0; i != sizeof of_file / sizeof of_file[0]; ++i) {
        snprintf(line, sizeof line, "%s%s", file, of_file[i]);
        HAS(text, line);
    }
    HAS(text, "--set: There is no setting nothing.");
    HAS(text, "--threads: There is no such flag; write --set threads=VALUE.");
    HAS(text, "stoa serve does not know --frobnicate");
    HAS(text, "--listen-admin: listen_admin: 0.0.0.0:9090 is not loopback: set admin_token");
    settings_fini(&s);
}

static void test_broken_file_and_missing_values(void **state)
{
    struct settings s;
    HAS(load(&s, "--config", "/nonexistent.yaml", NULL),
        "/nonexistent.yaml: The settings file cannot be read: No such file or directory.");
    settings_fini(&s);
    const char *twice = write_file("twice.yaml", "threads: 1\nthreads: 2\ntreads: 3\n");
    const char *text = load(&s, "--config", twice, "--set", "cache_bytes=x", NULL);
    HAS(text, "twice.yaml:2: The key");
    HAS(text, "twice.yaml:3: There is no setting treads.");
    HAS(text, "cache_bytes: ");
    settings_fini(&s);
    HAS(load(&s, "--data", twice, NULL), "twice.yaml is no directory.");
    settings_fini(&s);
    char below[160];
    snprintf(below, sizeof below, "%s/data", twice);
    HAS(load(&s, "--data", below, NULL), "twice.yaml/data is no directory.");
    settings_fini(&s);
    HAS(load(&s, "--config", write_file("list.yaml", "- a\n"), NULL), "Write settings as");
    settings_fini(&s);
    HAS(load(&s, "--data", NULL), "--data: A value is missing behind it.");
    settings_fini(&s);
    HAS(load(&s, "--set", "threads", NULL), "--set: Write --set name=value.");
    settings_fini(&s);
    HAS(load(&s, "--set", "admin_token=a\x01zzzzzzzzzzzzzzzz", NULL), "control characters");
    settings_fini(&s);
}

// Problems of these flags, with a data directory that is fine.
#define PROBLEM(part, ...)                                                                         \
    do {                                                                                           \
        struct settings s_;                                                                        \
        HAS(load(&s_, "--data", "/tmp/x", __VA_ARGS__, NULL), part);                               \
        settings_fini(&s_);                                                                        \
    } while (0)
#define FINE(...)                                                                                  \
    do {                                                                                           \
        struct settings s_;                                                                        \
        assert_string_equal(load(&s_, "--data", "/tmp/x", __VA_ARGS__, NULL), "");                 \
        settings_fini(&s_);                                                                        \
    } while (0)
#define SET "--set"

static void test_listeners(void **state)
{
    PROBLEM("listen_console: 127.0.0.1:8080 is in listen_apps too", "--listen-console",
            "127.0.0.1:8080");
    PROBLEM("listen_apps: Name an address, or set listen_tls.", "--listen-apps", "");
    PROBLEM("admin_token: Take 16 characters or more.", SET, "admin_token=short");
    FINE("--listen-admin", "0.0.0.0:9090", SET, "admin_token=0123456789abcdef");
    FINE("--listen-admin", "");
    FINE("--listen-apps", "127.0.0.1:0", "--listen-console", "127.0.0.1:0");
}

static void test_origins_that_may_not_stand_together(void **state)
{
    PROBLEM("console_origin: It is the same as apps_origin (http://127.0.0.1:8080)", SET,
            "console_origin=http://127.0.0.1:8080");
    PROBLEM("files_origin: It is the same as console_origin", SET,
            "files_origin=http://127.0.0.1:8081");
    PROBLEM("console_origin: It is the same as apps_origin (https://a.example)", SET,
            "console_origin=https://a.example:443", SET, "apps_origin=https://A.example");
    PROBLEM("console_origin: It shares a registrable domain with apps_origin (apps.a.example)", SET,
            "console_origin=https://console.a.example", SET, "apps_origin=https://apps.a.example");
    PROBLEM("console_origin: It shares a registrable domain with files_origin", SET,
            "console_origin=https://c.a.co.uk", SET, "apps_origin=https://apps.b.co.uk", SET,
            "files_origin=https://files.a.co.uk");
    PROBLEM("console_origin: It shares a registrable domain with instance_domain", SET,
            "console_origin=https://c.a.example", SET, "apps_origin=https://b.example", SET,
            "instance_domain=apps.a.example");
    PROBLEM("console_origin: http://c.example is plain HTTP beyond this machine", SET,
            "console_origin=http://c.example");
    PROBLEM("console_origin: It listens on every address", "--listen-console", "0.0.0.0:8081");
    PROBLEM("console_origin: http://192.0.2.7:8081 is plain HTTP", "--listen-console",
            "192.0.2.7:8081");
    PROBLEM("apps_origin: Write an origin such as", SET, "apps_origin=https://a.example/path");
    PROBLEM("console_origin: Its host lies in instance_domain (apps.localhost)", SET,
            "console_origin=http://c.apps.localhost:8081", SET, "instance_domain=apps.localhost");
    // two names below one public suffix are strangers to each other
    FINE(SET, "console_origin=https://a.co.uk", SET, "apps_origin=https://b.co.uk");
    FINE(SET, "console_origin=https://c.example", SET, "apps_origin=https://apps.a.example", SET,
         "instance_domain=apps.a.example");
    FINE(SET, "console_origin=http://console.a.example", SET, "apps_origin=https://apps.a.example",
         SET, "insecure_origins=accepted");
    FINE(SET, "console_origin=http://localhost:8081", SET, "apps_origin=http://localhost:8080");
}

static void test_instance_domain(void **state)
{
    PROBLEM("instance_domain: co.uk is a public suffix", SET, "instance_domain=co.uk");
    static char *const bad[] = {
        "instance_domain=Apps.example", "instance_domain=-a.example",
        "instance_domain=a..example",   "instance_domain=127.0.0.1",
        "instance_domain=a.example.",   "instance_domain=*.a.example",
        "instance_domain=a_b.example",  "instance_domain=https://a.example"};
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i)
        PROBLEM("is no host name", SET, bad[i]);
    FINE(SET, "instance_domain=apps.xn--bcher-kva.example");
    FINE(SET, "instance_domain=localhost");
}

static void test_trusted_proxies(void **state)
{
    PROBLEM("proxy_header: Set trusted_proxies too", SET, "proxy_header=X-Real-IP");
    PROBLEM("trusted_proxies: Set proxy_header too", SET, "trusted_proxies=10.0.0.0/8");
    PROBLEM("trusted_proxies: 10.0.0.1/8 is no network", SET,
            "trusted_proxies=192.0.2.7,10.0.0.1/8", SET, "proxy_header=X-Real-IP");
    PROBLEM("proxy_header: \"X Real\" is no name of a header", SET, "trusted_proxies=10.0.0.0/8",
            SET, "proxy_header=X Real");
    PROBLEM("fetch_allow: ", SET, "fetch_allow=localhost:80");
    FINE(SET, "trusted_proxies=10.0.0.0/8, 2001:db8::/32", SET, "proxy_header=X-Forwarded-For");
    FINE(SET, "fetch_allow=127.0.0.1:9000,[::1]:9000");
    PROBLEM("domain_addresses: apps.example.com is no IP address.", SET,
            "domain_addresses=192.0.2.1, apps.example.com");
    PROBLEM("dns_trust_anchor: /nowhere/root.key: No such file", SET,
            "dns_trust_anchor=/nowhere/root.key");
    FINE(SET, "domain_addresses=192.0.2.1, 2001:db8::1");
}

static void test_numbers_that_belong_together(void **state)
{
    PROBLEM("body_memory_per_connection: It is more than body_memory_total.", SET,
            "body_memory_total=64MiB");
    PROBLEM("body_memory_per_connection: The largest upload", SET, "archive_bytes=1GiB");
    PROBLEM("archive_file_bytes: It is more than archive_bytes.", SET, "archive_bytes=1MiB");
    PROBLEM("threads: Write a number such as 100.", SET, "threads=-1");
    PROBLEM("cache_bytes: Take a value from 1MiB to 1024GiB.", SET,
            "cache_bytes=18446744073709551615");
    PROBLEM("cache_bytes: Write a size", SET, "cache_bytes=18446744073709551615GiB");
    PROBLEM("database: Write postgresql://", "--database", "mysql://x");
}

static void test_users(void **state)
{
    if (geteuid() != 0)
        skip();
    PROBLEM("server_user: There is no system user nobody-here. Make it: useradd --system", SET,
            "server_user=nobody-here");
    PROBLEM("cage_user: It is server_user too", SET, "cage_user=stoa");
    PROBLEM("handler_user: It is cage_user too", SET, "handler_user=stoa-cage");
    PROBLEM("handler_user: It is server_user too", SET, "handler_user=stoa");
    PROBLEM("handler_user: It is state_user too", SET, "handler_user=stoa-state");
    PROBLEM("plugin_user: It is state_user too", SET, "plugin_user=stoa-state");
    PROBLEM("handler_user: There is no system user nobody-here", SET, "handler_user=nobody-here");
    PROBLEM("server_user: root is root", SET, "server_user=root");
}

// --- certificates ---

static EVP_PKEY *write_key(const char *name)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    FILE *f = fopen(path_of(name), "w");
    PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    return k;
}

static void write_certificate(const char *name, EVP_PKEY *k)
{
    X509 *x = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, k);
    X509_sign(x, k, EVP_sha256());
    FILE *f = fopen(path_of(name), "w");
    PEM_write_X509(f, x);
    fclose(f);
    X509_free(x);
}

static void test_certificates(void **state)
{
    EVP_PKEY *a = write_key("a.key"), *b = write_key("b.key");
    write_certificate("a.pem", a);
    write_certificate("b.pem", b);
    char chains[200], keys[200], swapped[200];
    snprintf(chains, sizeof chains, "tls_certificate=%s/a.pem,%s/b.pem", folder, folder);
    snprintf(keys, sizeof keys, "tls_key=%s/a.key,%s/b.key", folder, folder);
    snprintf(swapped, sizeof swapped, "tls_key=%s/b.key,%s/a.key", folder, folder);
    PROBLEM("listen_tls: TLS needs tls_certificate and tls_key.", "--listen-tls", "127.0.0.1:0");
    PROBLEM("tls_key: It names 0 files and tls_certificate 2", SET, chains);
    PROBLEM("b.key is not the key of", SET, chains, SET, swapped);
    PROBLEM("tls_certificate: /nonexistent.pem cannot be read: No such file or directory.", SET,
            "tls_certificate=/nonexistent.pem", SET, "tls_key=/nonexistent.key");
    char wrong[200];
    snprintf(wrong, sizeof wrong, "tls_certificate=%s", write_file("junk", "junk\n"));
    PROBLEM("junk holds no PEM certificate.", SET, wrong, SET, "tls_key=/nonexistent.key");
    struct settings s, t;
    assert_string_equal(
        load(&s, "--data", "/tmp/x", SET, chains, SET, keys, "--listen-tls", "127.0.0.1:0", NULL),
        "");
    assert_int_equal(s.certificate_count, 2);

    // a reload sees another key under the same name
    char changed[200], ignored[200];
    assert_string_equal(load(&t, "--data", "/tmp/x", SET, chains, SET, keys, NULL), "");
    settings_reload(&s, &t, changed, ignored, sizeof changed);
    assert_string_equal(changed, "");
    assert_string_equal(ignored, "listen_tls");
    settings_fini(&t);
    EVP_PKEY_free(write_key("a.key"));
    HAS(load(&t, "--data", "/tmp/x", SET, chains, SET, keys, NULL), "a.key is not the key of");
    settings_fini(&t);
    EVP_PKEY *c = write_key("a.key");
    write_certificate("a.pem", c);
    assert_string_equal(load(&t, "--data", "/tmp/x", SET, chains, SET, keys, NULL), "");
    settings_reload(&s, &t, changed, ignored, sizeof changed);
    assert_string_equal(changed, "certificates");
    assert_string_equal(s.certificates[0].key, t.certificates[0].key);
    settings_fini(&t);
    settings_fini(&s);
    EVP_PKEY_free(a);
    EVP_PKEY_free(b);
    EVP_PKEY_free(c);
}

// --- handing over ---

static const char *key_setting(const char *name, const char *text, mode_t mode)
{
    static char setting[160];
    const char *path = write_file(name, text);
    assert_int_equal(chmod(path, mode), 0);
    snprintf(setting, sizeof setting, "master_key_file=%s", path);
    return setting;
}

static void test_master_key_file(void **state)
{
    struct settings s;
    char key[70];
    memset(key, 'a', 64);
    memcpy(key + 64, "\n", 2);
    PROBLEM("is not 32 bytes in hex", SET, key_setting("junk", "hunter2", 0600));
    PROBLEM("There is no key in it", SET, key_setting("junk", "# none\n", 0600));
    PROBLEM("Everybody may read", SET, key_setting("junk", key, 0644));
    PROBLEM("master_key_file: /nowhere/key: No such file", SET, "master_key_file=/nowhere/key");
    assert_string_equal(load(&s, SET, key_setting("junk", key, 0640), NULL), "");
    assert_string_equal(s.master_key, key);
    settings_fini(&s);
    assert_string_equal(load(&s, NULL), "");
    assert_string_equal(s.master_key, "");
    settings_fini(&s);
}

static void test_settings_travel_sealed(void **state)
{
    struct settings s, t;
    struct fault fault;
    assert_string_equal(
        load(&s, "--data", "/tmp/x", SET, "shared_origin=accepted", SET, "cache_bytes=3MiB", NULL),
        "");
    free(s.listeners);
    s.listeners = str_dup(STR("apps 127.0.0.1:1\n"));
    free(s.master_key);
    s.master_key = str_dup(STR("the keys"));
    int fd = settings_to_fd(&s);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_ptr_equal(mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    for (int i = 0; i != 2; ++i) { // reads from the start each time
        assert_int_equal(settings_from_fd(&t, fd, &fault), FAIL_NONE);
        assert_string_equal(t.data, "/tmp/x");
        assert_string_equal(t.listeners, "apps 127.0.0.1:1\n");
        assert_string_equal(t.master_key, "the keys");
        assert_int_equal(t.cache_bytes, 3 << 20);
        assert_true(t.shared_origin);
        assert_false(t.insecure_origins);
        settings_fini(&t);
    }
    close(fd);
    settings_fini(&s);
    int junk = memfd_create("junk", 0);
    assert_int_equal(settings_from_fd(&t, junk, &fault), FAIL_INTERNAL);
    assert_int_equal(write(junk, "{\"data\":3}", 10), 10);
    assert_int_equal(settings_from_fd(&t, junk, &fault), FAIL_INTERNAL);
    close(junk);
}

static void test_reload_takes_what_may_be(void **state)
{
    struct settings s, t;
    char changed[200], ignored[200];
    load(&s, "--data", "/tmp/x", NULL);
    load(&t, "--data", "/tmp/x", "--ready-file", "/tmp/r", SET, "log_level=debug", SET, "threads=3",
         SET, "connections=500", NULL);
    settings_reload(&s, &t, changed, ignored, sizeof changed);
    assert_string_equal(changed, "connections,log_level");
    assert_string_equal(ignored, "ready_file,threads");
    assert_string_equal(s.log_level, "debug");
    assert_int_equal(s.connections, 500);
    assert_string_equal(s.ready_file, "/tmp/x/ready.json");
    assert_int_equal(s.threads, 0);
    settings_fini(&s);
    settings_fini(&t);
}

static void test_secrets_leave_environment_and_flags(void **state)
{
    char database[] = "postgresql://u:secret@h/d", token[] = "admin_token=0123456789abcdef";
    char *argv[] = {"--database", database, SET, token, SET, "threads=2", NULL};
    settings_hide_flags(6, argv);
    assert_string_equal(database, "*************************");
    assert_string_equal(token, "admin_token=****************");
    assert_string_equal(argv[5], "threads=2");

    setenv("PGPASSWORD", "x", 1);
    setenv("https_proxy", "x", 1);
    setenv("HTTP_PROXY", "x", 1);
    setenv("KEPT", "x", 1);
    settings_clean_environment();
    static const char *const gone[] = {"PGPASSWORD", "https_proxy", "HTTP_PROXY",
                                       "STOA_API_THREADS"};
    for (size_t i = 0; i != 4; ++i)
        assert_null(getenv(gone[i]));
    assert_string_equal(getenv("KEPT"), "x");
    // a reload still sees what the environment said at the start
    struct settings s;
    assert_string_equal(load(&s, "--data", "/tmp/x", NULL), "");
    assert_int_equal(s.api_threads, 6);
    settings_fini(&s);
}

static void test_help_names_every_setting_of_the_table(void **state)
{
    char *help = NULL, *markdown = NULL;
    size_t n;
    FILE *f = open_memstream(&help, &n);
    settings_print_help(f);
    fclose(f);
    f = open_memstream(&markdown, &n);
    settings_print_markdown(f);
    fclose(f);
    static const char *const names[] = {"data", "listen_apps", "body_memory_total", "access_log"};
    for (size_t i = 0; i != 4; ++i) {
        HAS(help, names[i]);
        HAS(markdown, names[i]);
    }
    HAS(markdown, "error\\|warn\\|info\\|debug");
    free(help);
    free(markdown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_fine),
        cmocka_unit_test(test_flags_win_over_variables_over_the_file),
        cmocka_unit_test(test_all_problems_at_once_with_their_places),
        cmocka_unit_test(test_broken_file_and_missing_values),
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_origins_that_may_not_stand_together),
        cmocka_unit_test(test_instance_domain),
        cmocka_unit_test(test_trusted_proxies),
        cmocka_unit_test(test_numbers_that_belong_together),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_master_key_file),
        cmocka_unit_test(test_settings_travel_sealed),
        cmocka_unit_test(test_reload_takes_what_may_be),
        cmocka_unit_test(test_secrets_leave_environment_and_flags),
        cmocka_unit_test(test_help_names_every_setting_of_the_table),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    setenv("STOA_API_THREADS", "6", 1);
    setenv("STOA_INGEST_THREADS", "6", 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const files[] = {"a.key",      "b.key",    "a.pem",      "b.pem",    "junk",
                                        "order.yaml", "bad.yaml", "twice.yaml", "list.yaml"};
    for (size_t i = 0; i != sizeof files / sizeof files[0]; ++i)
        unlink(path_of(files[i]));
    rmdir(folder);
    return failed;
}
