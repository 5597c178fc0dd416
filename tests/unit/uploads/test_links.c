// Links as strangers hold them: what was made is read again, and whatever is changed of it is refused.
#include "uploads/links.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/seal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h> // last: it defines fail()

static const struct uploads_options on_apps = {.apps_origin = "http://127.0.0.1:8080",
                                               .files_origin = "",
                                               .instance_domain = "",
                                               .instance_scheme = "http",
                                               .instance_port = ":8080"},
                                    on_hosts = {.apps_origin = "https://apps.test",
                                                .files_origin = "",
                                                .instance_domain = "in.apps.test",
                                                .instance_scheme = "https",
                                                .instance_port = ""},
                                    on_files = {.apps_origin = "https://apps.test",
                                                .files_origin = "https://files.test:444",
                                                .instance_domain = "in.apps.test",
                                                .instance_scheme = "https",
                                                .instance_port = ""};
const struct uploads_options *uploads_options;
static const struct seal_key one = {{1, 2, 3}}, two = {{4, 5, 6}};
static const int64_t now = INT64_C(1795331599500); // real ms
static const struct file file = {
    .id = "file_0123456789abcdefghjkmnpqrs",
    .owner = {.instance_id = "ins_1", .instance_slug = "demo-0123abcd"},
    .filename = "Übung 1 (50%)/?.png",
    .mime = "image/png"};

// A link's parts, as a request has them.
struct asked {
    char url[2048];
    struct request r;
};

static void ask_text(struct asked *a, const char *url, enum site_kind site, const char *site_name)
{
    snprintf(a->url, sizeof a->url, "%s", url);
    str rest = str_skip(str_from(a->url), str_find_str(str_from(a->url), STR("://")) + 3);
    size_t slash = str_find(rest, '/');
    str authority = str_of(rest.p, slash), target = str_skip(rest, slash);
    a->r = (struct request){.method = METHOD_GET, .site = site, .site_name = str_from(site_name)};
    a->r.host = str_cut(&authority, ':');
    a->r.port = (uint16_t)(authority.n != 0 ? atoi(authority.p) : 0);
    a->r.path = str_cut(&target, '?');
    a->r.query = target;
}

static char *make(enum link_use use)
{
    struct buf b;
    buf_init(&b, 4096);
    link_make(&file, use, now, &b);
    assert_false(b.full);
    return buf_take(&b);
}

static void ask(struct asked *a, enum link_use use, enum site_kind site, const char *site_name)
{
    AUTOFREE char *url = make(use);
    ask_text(a, url, site, site_name);
}

static enum link_state state_of(const struct asked *a)
{
    struct link link;
    return link_read(&a->r, now, &link);
}

static int with_one_key(void **state)
{
    seal_init(&one, 1);
    uploads_options = &on_apps;
    return 0;
}

static int without_keys(void **state)
{
    seal_fini();
    return 0;
}

static void what_was_made_is_read(void **state)
{
    for (enum link_use use = LINK_INLINE; use <= LINK_ATTACHMENT; ++use) {
        struct asked a;
        struct link link;
        ask(&a, use, SITE_APPS, "");
        assert_int_equal(link_read(&a.r, now, &link), LINK_GOOD);
        assert_string_equal(link.id, file.id);
        assert_int_equal(link.use, use);
        assert_int_equal(link.expires_at, now / 1000 + 900);
        assert_true(link_is_of(&link, &a.r, &file));
    }
}

static void it_has_the_documented_form(void **state)
{
    AUTOFREE char *url = make(LINK_ATTACHMENT);
    static const char head[] = "http://127.0.0.1:8080/files/file_0123456789abcdefghjkmnpqrs/"
                               "%C3%9Cbung%201%20%2850%25%29%2F%3F.png?exp=1795332499&sig=";
    assert_true(str_starts(str_from(url), str_of(head, sizeof head - 1)));
    assert_int_equal(strlen(url), sizeof head - 1 + 76 + strlen("&d=attachment"));
    assert_true(str_ends(str_from(url), STR("&d=attachment")));
}

static void it_ends_after_a_quarter_of_an_hour(void **state)
{
    struct asked a;
    struct link link;
    ask(&a, LINK_INLINE, SITE_APPS, "");
    assert_int_equal(link_read(&a.r, now + 899 * 1000, &link), LINK_GOOD);
    assert_int_equal(link_read(&a.r, now + 900 * 1000, &link), LINK_EXPIRED);
    assert_int_equal(link_read(&a.r, now + INT64_C(900000) * 1000, &link), LINK_EXPIRED);
}

// Each byte of path and query, each bit of it.
static void any_changed_bit_is_refused(void **state)
{
    struct asked a;
    ask(&a, LINK_ATTACHMENT, SITE_APPS, "");
    char *from = strstr(a.url, "/files/");
    size_t n = strlen(from);
    for (size_t i = 0; i != n; ++i)
        for (int bit = 0; bit != 8 && i != a.r.path.n /* the '?' */; ++bit) {
            char was = from[i];
            from[i] = (char)(was ^ 1 << bit);
            // "%9C" and "%9c" are one name
            bool is_same = from[i] == (was ^ 0x20) && i >= 2 &&
                           (from[i - 1] == '%' || from[i - 2] == '%') && was >= 'A' && was <= 'F';
            enum link_state found = state_of(&a);
            if (is_same ? found != LINK_GOOD : found != LINK_WRONG && found != LINK_NONE)
                fail_msg("byte %zu, bit %d: %d", i, bit, found);
            from[i] = was;
        }
    assert_int_equal(state_of(&a), LINK_GOOD);
}

static void cut_or_longer_it_is_refused(void **state)
{
    struct asked a;
    ask(&a, LINK_INLINE, SITE_APPS, "");
    str path = a.r.path, query = a.r.query;
    for (size_t n = 0; n != query.n; ++n) {
        a.r.query.n = n;
        assert_int_equal(state_of(&a), LINK_WRONG);
    }
    a.r.query = (str){0};
    assert_int_equal(state_of(&a), LINK_WRONG);
    a.r.query = query;
    for (size_t n = 0; n != path.n; ++n) {
        a.r.path.n = n;
        assert_int_not_equal(state_of(&a), LINK_GOOD);
    }
}

static void only_its_three_parameters_once_each(void **state)
{
    static const char *const more[] = {"%s&", "%s&a=b", "%s&d=inline", "%s&exp=1",
                                       "&%s", "a&%s",   "%s&sig=",     "d=inline&%s"};
    struct asked a;
    char text[1024];
    ask(&a, LINK_INLINE, SITE_APPS, "");
    AUTOFREE char *query = str_dup(a.r.query);
    for (size_t i = 0; i != sizeof more / sizeof more[0]; ++i) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, more[i], query);
#pragma GCC diagnostic pop
        a.r.query = str_from(text);
        if (state_of(&a) != LINK_WRONG)
            fail_msg("%s", more[i]);
    }
}

static void a_disposition_cannot_be_swapped(void **state)
{
    struct asked a;
    ask(&a, LINK_ATTACHMENT, SITE_APPS, "");
    char *d = strstr(a.url, "d=attachment");
    strcpy(d, "d=inline");
    a.r.query.n = (size_t)(d - a.r.query.p) + strlen(d);
    assert_int_equal(state_of(&a), LINK_WRONG);
}

static void an_expiry_cannot_be_moved(void **state)
{
    struct asked a;
    AUTOFREE char *url = make(LINK_INLINE);
    char *exp = strstr(url, "exp=") + 4;
    static const char *const others[] = {"1795332500", "9999999999", "0000000001"};
    for (size_t i = 0; i != sizeof others / sizeof others[0]; ++i) {
        memcpy(exp, others[i], 10);
        ask_text(&a, url, SITE_APPS, "");
        assert_int_equal(state_of(&a), LINK_WRONG);
    }
}

static void it_is_good_on_its_host_only(void **state)
{
    struct asked a;
    ask(&a, LINK_INLINE, SITE_APPS, "");
    a.r.port = 8081;
    assert_int_equal(state_of(&a), LINK_WRONG);
    a.r.port = 0; // 80
    assert_int_equal(state_of(&a), LINK_WRONG);
    a.r.port = 8080;
    a.r.host = STR("localhost");
    assert_int_equal(state_of(&a), LINK_WRONG);

    uploads_options = &on_hosts;
    ask(&a, LINK_INLINE, SITE_INSTANCE, "demo-0123abcd");
    assert_true(str_eq(a.r.host, STR("demo-0123abcd.in.apps.test")));
    assert_int_equal(state_of(&a), LINK_GOOD);
    a.r.port = 443; // named or not
    assert_int_equal(state_of(&a), LINK_GOOD);
    a.r.host = STR("other-0123abcd.in.apps.test");
    assert_int_equal(state_of(&a), LINK_WRONG);

    uploads_options = &on_files;
    ask(&a, LINK_INLINE, SITE_FILES, "");
    assert_true(str_starts(str_from(a.url), STR("https://files.test:444/files/")));
    assert_int_equal(state_of(&a), LINK_GOOD);
}

// Where strangers' bytes have an origin of their own, no other gives them.
static void it_is_good_on_its_site_only(void **state)
{
    struct asked a;
    ask(&a, LINK_INLINE, SITE_APPS, "");
    uploads_options = &on_hosts;
    assert_int_equal(state_of(&a), LINK_WRONG);
    for (enum site_kind site = SITE_UNKNOWN; site <= SITE_ADMIN; ++site) {
        ask(&a, LINK_INLINE, site, "demo-0123abcd");
        assert_int_equal(state_of(&a), site == SITE_INSTANCE ? LINK_GOOD : LINK_WRONG);
    }
    uploads_options = &on_files;
    for (enum site_kind site = SITE_UNKNOWN; site <= SITE_ADMIN; ++site) {
        ask(&a, LINK_INLINE, site, "demo-0123abcd");
        assert_int_equal(state_of(&a), site == SITE_FILES ? LINK_GOOD : LINK_WRONG);
    }
}

static void it_is_of_one_instance_and_type(void **state)
{
    struct asked a;
    struct link link;
    struct file other = file;
    uploads_options = &on_hosts;
    ask(&a, LINK_INLINE, SITE_INSTANCE, "demo-0123abcd");
    assert_int_equal(link_read(&a.r, now, &link), LINK_GOOD);
    assert_true(link_is_of(&link, &a.r, &file));
    strcpy(other.mime, "text/html");
    assert_false(link_is_of(&link, &a.r, &other));
    other = file;
    strcpy(other.owner.instance_id, "ins_2");
    assert_false(link_is_of(&link, &a.r, &other));
    other = file;
    strcpy(other.owner.instance_slug, "demo-ffffffff");
    assert_false(link_is_of(&link, &a.r, &other));
}

static void it_outlives_a_change_of_keys(void **state)
{
    struct asked before, after;
    ask(&before, LINK_INLINE, SITE_APPS, "");
    seal_init((struct seal_key[]){two, one}, 2);
    assert_int_equal(state_of(&before), LINK_GOOD);
    ask(&after, LINK_INLINE, SITE_APPS, "");
    assert_string_not_equal(before.url, after.url);
    assert_int_equal(state_of(&after), LINK_GOOD);
    seal_init(&two, 1); // and ends with its key
    assert_int_equal(state_of(&before), LINK_WRONG);
    assert_int_equal(state_of(&after), LINK_GOOD);
    seal_init(&one, 1);
    assert_int_equal(state_of(&after), LINK_WRONG);
}

static void without_a_key_nothing_is_good(void **state)
{
    struct asked a;
    ask(&a, LINK_INLINE, SITE_APPS, "");
    seal_fini();
    assert_int_equal(state_of(&a), LINK_WRONG);
    ask(&a, LINK_INLINE, SITE_APPS, "");
    assert_int_equal(state_of(&a), LINK_WRONG);
}

static void other_paths_are_no_files(void **state)
{
    static const char *const paths[] = {
        "/files/file_1",     "/files/file_1/",  "/files/file_1/a/b",
        "/files//a",         "/file/file_1/a",  "/files/file_0123456789abcdefghjkmnpqrstuv/a",
        "/apps/files/file_", "/files/file_1//a"};
    struct asked a;
    ask(&a, LINK_INLINE, SITE_APPS, "");
    for (size_t i = 0; i != sizeof paths / sizeof paths[0]; ++i) {
        a.r.path = str_from(paths[i]);
        assert_int_equal(state_of(&a), LINK_NONE);
    }
    a.r.path = STR("/files/file_1/%zz");
    assert_int_equal(state_of(&a), LINK_WRONG);
}

int main(void)
{
#define LINK_TEST(f) cmocka_unit_test_setup_teardown(f, with_one_key, without_keys)
    const struct CMUnitTest tests[] = {
        LINK_TEST(what_was_made_is_read),
        LINK_TEST(it_has_the_documented_form),
        LINK_TEST(it_ends_after_a_quarter_of_an_hour),
        LINK_TEST(any_changed_bit_is_refused),
        LINK_TEST(cut_or_longer_it_is_refused),
        LINK_TEST(only_its_three_parameters_once_each),
        LINK_TEST(a_disposition_cannot_be_swapped),
        LINK_TEST(an_expiry_cannot_be_moved),
        LINK_TEST(it_is_good_on_its_host_only),
        LINK_TEST(it_is_good_on_its_site_only),
        LINK_TEST(it_is_of_one_instance_and_type),
        LINK_TEST(it_outlives_a_change_of_keys),
        LINK_TEST(without_a_key_nothing_is_good),
        LINK_TEST(other_paths_are_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
