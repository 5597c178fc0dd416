// Who the visitor is, as headers of proxies and of liars say.
#include "edge/http/forwarded.h"
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

static struct http_proxies proxies;

static void trust(const char *networks, const char *header)
{
    str bad;
    assert_true(http_proxies_parse(&proxies, str_from(networks), str_from(header), &bad));
}

// `lines` are separated by newlines, as separate fields of a request.
static void expect(const char *peer, const char *lines, const char *visitor)
{
    struct ip p, v;
    str values[HTTP_FORWARDED_LINES];
    size_t n = 0;
    char text[IP_ROOM];
    assert_true(ip_parse(str_from(peer), &p));
    for (str rest = str_from(lines); rest.n != 0;)
        values[n++] = str_cut(&rest, '\n');
    v = http_forwarded_visitor(&proxies, &p, values, n);
    ip_text(&v, text);
    assert_string_equal(text, visitor);
}

static void nobody_is_believed_by_default(void **state)
{
    trust("", "");
    expect("127.0.0.1", "203.0.113.9", "127.0.0.1");
}

static void a_stranger_is_not_believed(void **state)
{
    trust("10.0.0.0/8", "X-Forwarded-For");
    expect("192.0.2.1", "203.0.113.9", "192.0.2.1");
    expect("2001:db8::1", "203.0.113.9", "2001:db8::1");
}

static void the_rightmost_that_is_no_proxy_counts(void **state)
{
    trust("10.0.0.0/8, 2001:db8:1::/48", "X-Forwarded-For");
    expect("10.0.0.1", "203.0.113.9", "203.0.113.9");
    expect("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"); // the left one is the visitor's tale
    expect("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.9.9.9", "203.0.113.9");
    expect("10.0.0.1", "1.1.1.1\n203.0.113.9\n10.9.9.9, 2001:db8:1::5", "203.0.113.9");
    expect("2001:db8:1::2", "2001:db8:2::7", "2001:db8:2::7");
    expect("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"); // a dual-stack listener's peer
}

static void all_proxies_leave_the_farthest(void **state)
{
    trust("10.0.0.0/8", "x-forwarded-for");
    expect("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3");
    expect("10.0.0.1", "", "10.0.0.1");
    expect("10.0.0.1", " , ,", "10.0.0.1");
}

static void ports_and_brackets_are_read(void **state)
{
    trust("10.0.0.0/8", "x-forwarded-for");
    expect("10.0.0.1", "203.0.113.9:4711", "203.0.113.9");
    expect("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7");
    expect("10.0.0.1", "[2001:db8::7]", "2001:db8::7");
    expect("10.0.0.1", "\t203.0.113.9 ,", "203.0.113.9");
}

static void what_is_malformed_leaves_the_peer(void **state)
{
    static const char *const bad[] = {"unknown",
                                      "203.0.113.9, unknown",
                                      "_hidden",
                                      "203.0.113.09",
                                      "0x7f.1",
                                      "203.0.113.9:99999",
                                      "203.0.113.9:",
                                      "[203.0.113.9]",
                                      "[2001:db8::7",
                                      "[2001:db8::7]x",
                                      "2001:db8::7%eth0",
                                      "\"203.0.113.9\"",
                                      "203.0.113.9 10.0.0.2",
                                      "for=203.0.113.9"};
    trust("10.0.0.0/8", "x-forwarded-for");
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        expect("10.0.0.1", bad[i], "10.0.0.1");
    expect("10.0.0.1", "unknown, 203.0.113.9", "203.0.113.9"); // not read: it is left of the answer
}

static void an_embedded_proxy_address_is_no_proxy(void **state)
{
    trust("10.0.0.0/8", "x-forwarded-for");
    expect("10.0.0.1", "203.0.113.9, 2002:a00:1::1", "2002:a00:1::1");
    expect("10.0.0.1", "203.0.113.9, 64:ff9b::a00:1", "64:ff9b::a00:1");
    expect("2002:a00:1::1", "203.0.113.9", "2002:a00:1::1");
}

static void rfc7239_is_read(void **state)
{
    trust("192.0.2.0/24", "Forwarded");
    expect("192.0.2.1", "for=203.0.113.9", "203.0.113.9");
    expect("192.0.2.1", "For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17");
    expect("192.0.2.1", "for=203.0.113.9;proto=http;by=192.0.2.2", "203.0.113.9");
    expect("192.0.2.1", "proto=https; for=203.0.113.9:80", "203.0.113.9");
    expect("192.0.2.1", "for=1.1.1.1, for=203.0.113.9, for=192.0.2.7", "203.0.113.9");
    expect("192.0.2.1", "for=203.0.113.9;by=\"a,b;for=9.9.9.9\"", "203.0.113.9");
    expect("192.0.2.1", "for=203.0.113.9;by=\"a\\\",b;for=9.9.9.9\"", "203.0.113.9");
    expect("192.0.2.1", "for=1.1.1.1;by=\"open, for=203.0.113.9", "203.0.113.9");
    expect("192.0.2.1", "for=\"1.1.1.1\nfor=203.0.113.9", "203.0.113.9");
}

static void rfc7239_malformed_leaves_the_peer(void **state)
{
    static const char *const bad[] = {"for=unknown",
                                      "for=_secret",
                                      "proto=http",
                                      "203.0.113.9",
                                      "for=203.0.113.9;for=203.0.113.8",
                                      "for=\"203.0.113.9",
                                      "for",
                                      "for="};
    trust("192.0.2.0/24", "forwarded");
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        expect("192.0.2.1", bad[i], "192.0.2.1");
}

static void endless_chains_end(void **state)
{
    static char chain[4096];
    trust("10.0.0.0/8", "x-forwarded-for");
    strcpy(chain, "203.0.113.9");
    for (int i = 0; i != 100; ++i)
        strcat(chain, ",10.0.0.2");
    expect("10.0.0.1", chain, "10.0.0.1");
}

static void proto_is_of_the_element_that_names_the_visitor(void **state)
{
    static const struct {
        const char *line;
        enum forwarded_proto said;
    } cases[] = {
        {"for=192.0.2.7;proto=https", FORWARDED_HTTPS},
        {"proto=HTTPS; for=192.0.2.7", FORWARDED_HTTPS},
        {"for=192.0.2.7;proto=\"https\"", FORWARDED_HTTPS},
        {"for=192.0.2.7;proto=http", FORWARDED_OTHER},
        {"for=192.0.2.7;proto=https;proto=https", FORWARDED_OTHER},
        {"for=192.0.2.7", FORWARDED_UNSAID},
        {"", FORWARDED_UNSAID},
        {"proto=https", FORWARDED_UNSAID}, // names nobody
        {"for=unknown;proto=https", FORWARDED_UNSAID},
        {"for=192.0.2.7;proto=https, for=10.0.0.2;proto=http", FORWARDED_HTTPS},
        {"for=1.1.1.1;proto=https, for=192.0.2.7;proto=http", FORWARDED_OTHER}, // a visitor's tale
        {"for=1.1.1.1;proto=https, for=192.0.2.7", FORWARDED_UNSAID},
        {"for=10.0.0.3;proto=https, for=10.0.0.2;proto=http", FORWARDED_HTTPS},
    };
    struct ip peer, stranger;
    assert_true(ip_parse(STR("10.0.0.1"), &peer) && ip_parse(STR("192.0.2.1"), &stranger));
    for (size_t i = 0; i != sizeof cases / sizeof cases[0]; ++i) {
        str line = str_from(cases[i].line);
        trust("10.0.0.0/8", "Forwarded");
        assert_int_equal(http_forwarded_proto(&proxies, &peer, &line, 1), cases[i].said);
        assert_int_equal(http_forwarded_proto(&proxies, &stranger, &line, 1), FORWARDED_UNSAID);
        trust("10.0.0.0/8", "X-Forwarded-For");
        assert_int_equal(http_forwarded_proto(&proxies, &peer, &line, 1), FORWARDED_UNSAID);
    }
}

// A head's length of them once took a tenth of a second of the loop.
static void a_row_of_backslashes_costs_its_length(void **state)
{
    static char row[32000];
    struct ip peer, visitor;
    str value = str_of(row, sizeof row);
    trust("10.0.0.0/8", "x-forwarded-for");
    assert_true(ip_parse(STR("10.0.0.1"), &peer));
    memset(row, '\\', sizeof row);
    clock_t began = clock();
    for (int i = 0; i != 20; ++i) {
        row[sizeof row - 1] = i % 2 == 0 ? '"' : '\\';
        visitor = http_forwarded_visitor(&proxies, &peer, &value, 1);
        assert_true(ip_eq(&visitor, &peer));
    }
    assert_true(clock() - began < CLOCKS_PER_SEC);
}

static void settings_are_checked(void **state)
{
    static const struct {
        const char *networks, *header, *bad;
    } rows[] = {{"10.0.0.1/8", "x-forwarded-for", "10.0.0.1/8"},
                {"10.0.0.0/8, lan", "x-forwarded-for", "lan"},
                {"10.0.0.0/8", "x forwarded", "x forwarded"},
                {"10.0.0.0/8", "", ""},
                {"", "x-forwarded-for", "x-forwarded-for"}};
    for (size_t i = 0; i != sizeof rows / sizeof *rows; ++i) {
        str bad;
        assert_false(http_proxies_parse(&proxies, str_from(rows[i].networks),
                                        str_from(rows[i].header), &bad));
        assert_true(str_eq(bad, str_from(rows[i].bad)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_believed_by_default),
        cmocka_unit_test(a_stranger_is_not_believed),
        cmocka_unit_test(the_rightmost_that_is_no_proxy_counts),
        cmocka_unit_test(all_proxies_leave_the_farthest),
        cmocka_unit_test(ports_and_brackets_are_read),
        cmocka_unit_test(what_is_malformed_leaves_the_peer),
        cmocka_unit_test(an_embedded_proxy_address_is_no_proxy),
        cmocka_unit_test(rfc7239_is_read),
        cmocka_unit_test(rfc7239_malformed_leaves_the_peer),
        cmocka_unit_test(endless_chains_end),
        cmocka_unit_test(proto_is_of_the_element_that_names_the_visitor),
        cmocka_unit_test(a_row_of_backslashes_costs_its_length),
        cmocka_unit_test(settings_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
