// Authority → site, row by row.
#include "edge/route/site.h"
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

struct row {
    enum site_kind listener;
    const char *host;
    uint16_t port;
    enum site_kind want;
    const char *name;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i != count; ++i) {
        struct request r = {
            .site = rows[i].listener, .host = str_from(rows[i].host), .port = rows[i].port};
        site_decide(&r);
        assert_int_equal(site_of(rows[i].listener, str_from(rows[i].host), rows[i].port),
                         rows[i].want);
        if (r.site != rows[i].want ||
            (rows[i].name != NULL && !str_eq(r.site_name, str_from(rows[i].name))))
            fail_msg("row %zu: %s:%u gave site %d \"%.*s\"", i, rows[i].host, rows[i].port,
                     (int)r.site, STR_FMT(r.site_name));
    }
}

static void while_origins_are_loopback_the_listener_decides(void **state)
{
    site_init(&(struct site_options){"http://127.0.0.1:8080", "http://127.0.0.1:8081", "", ""});
    static const struct row rows[] = {
        {SITE_APPS, "127.0.0.1", 8080, SITE_APPS, NULL},
        {SITE_APPS, "localhost", 8080, SITE_APPS, NULL},
        {SITE_APPS, "localhost", 9999, SITE_APPS, NULL},
        {SITE_APPS, "[::1]", 8080, SITE_APPS, NULL},
        {SITE_APPS, "127.3.2.1", 0, SITE_APPS, NULL},
        {SITE_APPS, "127.0.0.1", 8081, SITE_APPS, NULL},
        {SITE_CONSOLE, "127.0.0.1", 8080, SITE_CONSOLE, NULL},
        {SITE_UNKNOWN, "127.0.0.1", 8081, SITE_CONSOLE, NULL},
        {SITE_CONSOLE, "localhost", 8081, SITE_CONSOLE, NULL},
        {SITE_CONSOLE, "evil.example", 8081, SITE_UNKNOWN, NULL},
        {SITE_APPS, "127.0.0.1.evil.example", 0, SITE_UNKNOWN, NULL},
        {SITE_APPS, "localhost.evil.example", 0, SITE_UNKNOWN, NULL},
        {SITE_APPS, "", 0, SITE_UNKNOWN, NULL},
        {SITE_UNKNOWN, "localhost", 0, SITE_APPS, NULL},
    };
    check(rows, sizeof rows / sizeof rows[0]);
}

static void configured_origins_are_told_apart_by_authority(void **state)
{
    site_init(&(struct site_options){"https://apps.example.com", "https://console.example.org",
                                     "apps.example.com", ""});
    static const struct row rows[] = {
        {SITE_UNKNOWN, "apps.example.com", 0, SITE_APPS, NULL},
        {SITE_UNKNOWN, "apps.example.com", 443, SITE_APPS, NULL},
        {SITE_UNKNOWN, "apps.example.com", 8443, SITE_UNKNOWN, NULL},
        {SITE_UNKNOWN, "console.example.org", 0, SITE_CONSOLE, NULL},
        {SITE_UNKNOWN, "www.console.example.org", 0, SITE_UNKNOWN, NULL},
        {SITE_UNKNOWN, "127.0.0.1", 443, SITE_UNKNOWN, NULL},
        {SITE_UNKNOWN, "rsvp-0123abcd.apps.example.com", 0, SITE_INSTANCE, "rsvp-0123abcd"},
        {SITE_APPS, "rsvp-0123abcd.apps.example.com", 8080, SITE_INSTANCE, "rsvp-0123abcd"},
        {SITE_CONSOLE, "rsvp-0123abcd.apps.example.com", 0, SITE_UNKNOWN, NULL},
        {SITE_UNKNOWN, "a.b.apps.example.com", 0, SITE_UNKNOWN, NULL},
        {SITE_UNKNOWN, ".apps.example.com", 0, SITE_UNKNOWN, NULL},
        {SITE_UNKNOWN, "xapps.example.com", 0, SITE_UNKNOWN, NULL},
        {SITE_UNKNOWN, "p-0123456789abcdefghjkmnpqrs.apps.example.com", 0, SITE_PREVIEW,
         "0123456789abcdefghjkmnpqrs"},
        {SITE_UNKNOWN, "p-0123456789abcdefg-0123abcd.apps.example.com", 0, SITE_INSTANCE,
         "p-0123456789abcdefg-0123abcd"},
    };
    check(rows, sizeof rows / sizeof rows[0]);
}

static void links_may_have_an_origin_of_their_own(void **state)
{
    site_init(&(struct site_options){"http://127.0.0.1:8080", "http://127.0.0.1:8081", "",
                                     "http://files.localhost:8080"});
    static const struct row rows[] = {
        {SITE_APPS, "files.localhost", 8080, SITE_FILES, NULL},
        {SITE_UNKNOWN, "files.localhost", 8080, SITE_FILES, NULL},
        {SITE_CONSOLE, "files.localhost", 8080, SITE_UNKNOWN, NULL},
        {SITE_APPS, "files.localhost", 8082, SITE_UNKNOWN, NULL},
        {SITE_APPS, "127.0.0.1", 8080, SITE_APPS, NULL},
    };
    check(rows, sizeof rows / sizeof rows[0]);
}

static void origins_may_lie_in_instance_domain(void **state)
{
    site_init(&(struct site_options){"https://www.apps.example.com", "https://console.example.org",
                                     "apps.example.com", ""});
    static const struct row rows[] = {
        {SITE_UNKNOWN, "www.apps.example.com", 0, SITE_APPS, NULL},
        {SITE_UNKNOWN, "www.apps.example.com", 8443, SITE_INSTANCE, "www"},
        {SITE_UNKNOWN, "rsvp-0123abcd.apps.example.com", 0, SITE_INSTANCE, "rsvp-0123abcd"},
    };
    check(rows, sizeof rows / sizeof rows[0]);
}

static void the_admin_listener_knows_no_names(void **state)
{
    static const struct row rows[] = {
        {SITE_ADMIN, "localhost", 9090, SITE_ADMIN, NULL},
        {SITE_ADMIN, "192.0.2.1", 9090, SITE_ADMIN, NULL},
        {SITE_ADMIN, "[2001:db8::1]", 9090, SITE_ADMIN, NULL},
        {SITE_ADMIN, "rebound.example", 9090, SITE_UNKNOWN, NULL},
        {SITE_ADMIN, "apps.example.com", 9090, SITE_UNKNOWN, NULL},
    };
    check(rows, sizeof rows / sizeof rows[0]);
}

static void reads_origins(void **state)
{
    bool tls;
    str host;
    uint16_t port;
    assert_true(site_parse_origin("https://a.example", &tls, &host, &port) && tls && port == 443);
    assert_true(site_parse_origin("http://[::1]:8080", &tls, &host, &port) && !tls &&
                port == 8080 && str_eq(host, STR("[::1]")));
    static const char *const bad[] = {"",           "a.example",  "ftp://a",        "http://",
                                      "http://a:0", "http://a:x", "http://a:70000", "http://a/",
                                      "http://[::1"};
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i)
        if (site_parse_origin(bad[i], &tls, &host, &port))
            fail_msg("took %s", bad[i]);
}

static void the_consoles_own_origin_is_known(void **state)
{
    static const struct {
        const char *console, *origin;
        bool is_own;
    } rows[] = {{"https://console.example.org", "https://console.example.org", true},
                {"https://console.example.org", "http://console.example.org", false},
                {"https://console.example.org", "https://console.example.org:8443", false},
                {"https://console.example.org", "https://www.console.example.org", false},
                {"https://console.example.org", "null", false},
                {"https://console.example.org", "", false},
                {"http://127.0.0.1:8081", "http://127.0.0.1:8081", true},
                {"http://127.0.0.1:8081", "http://localhost:8081", true},
                {"http://127.0.0.1:8081", "http://localhost:3000", false},
                {"http://127.0.0.1:8081", "http://localhost.evil.example:8081", false}};
    for (size_t i = 0; i != sizeof rows / sizeof rows[0]; ++i) {
        site_init(&(struct site_options){"http://127.0.0.1:8080", rows[i].console, "", ""});
        assert_int_equal(site_is_console_origin(str_from(rows[i].origin)), rows[i].is_own);
    }
}

static void before_it_is_a_request_the_case_is_as_sent(void **state)
{
    site_init(&(struct site_options){"https://apps.example.com", "https://console.example.org",
                                     "apps.example.com", ""});
    assert_int_equal(site_of(SITE_APPS, STR("Console.EXAMPLE.org"), 0), SITE_CONSOLE);
    assert_int_equal(site_of(SITE_APPS, STR("A-0123abcd.Apps.example.com"), 0), SITE_INSTANCE);
    char endless[4096];
    memset(endless, 'a', sizeof endless);
    assert_int_equal(site_of(SITE_APPS, str_of(endless, sizeof endless), 0), SITE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_consoles_own_origin_is_known),
        cmocka_unit_test(while_origins_are_loopback_the_listener_decides),
        cmocka_unit_test(configured_origins_are_told_apart_by_authority),
        cmocka_unit_test(links_may_have_an_origin_of_their_own),
        cmocka_unit_test(origins_may_lie_in_instance_domain),
        cmocka_unit_test(the_admin_listener_knows_no_names),
        cmocka_unit_test(reads_origins),
        cmocka_unit_test(before_it_is_a_request_the_case_is_as_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
