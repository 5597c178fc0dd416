// Addresses and networks as text and bytes.
#include "edge/base/ip.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct ip of(const char *text)
{
    struct ip a;
    assert_true(ip_parse(str_from(text), &a));
    return a;
}

static void reads_only_one_spelling_of_ipv4(void **state)
{
    static const char *const bad[] = {"",           "1.2.3",      "1.2.3.4.5", "01.2.3.4",
                                      "1.2.3.256",  "0x7f.0.0.1", " 1.2.3.4",  "1.2.3.4 ",
                                      "2130706433", "::1%eth0",   "[::1]",     "1.2.3.4:80",
                                      "::g",        "1::2::3",    "localhost"};
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i) {
        struct ip a = {.n = 77};
        assert_false(ip_parse(str_from(bad[i]), &a));
        assert_int_equal(a.n, 77);
    }
    struct ip a;
    assert_false(ip_parse(str_of("1.2.3.4\0", 8), &a));
}

static void writes_what_it_read(void **state)
{
    static const char *const texts[] = {"0.0.0.0",
                                        "9.10.99.100",
                                        "255.255.255.255",
                                        "::",
                                        "::1",
                                        "2001:db8::1:0:0:1",
                                        "fe80::1234",
                                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
    for (size_t i = 0; i != sizeof texts / sizeof *texts; ++i) {
        char text[IP_ROOM];
        struct ip a = of(texts[i]);
        ip_text(&a, text);
        assert_string_equal(text, texts[i]);
    }
}

static void knows_ipv4_in_other_clothes(void **state)
{
    static const char *const same[] = {"192.0.2.7", "::ffff:192.0.2.7", "64:ff9b::c000:207",
                                       "2002:c000:207::1"};
    struct ip want = of("192.0.2.7");
    for (size_t i = 0; i != sizeof same / sizeof *same; ++i) {
        struct ip a = of(same[i]), n = ip_normalise(&a);
        assert_true(ip_eq(&n, &want));
    }
    struct ip other = of("2001:db8::1"), n = ip_normalise(&other);
    assert_true(ip_eq(&n, &other));
}

static void networks_hold_their_own(void **state)
{
    static const struct {
        const char *network, *address;
        bool holds;
    } rows[] = {{"10.0.0.0/8", "10.255.0.1", true},
                {"10.0.0.0/8", "11.0.0.1", false},
                {"192.0.2.7", "192.0.2.7", true},
                {"192.0.2.7", "192.0.2.6", false},
                {"172.16.0.0/12", "172.31.9.9", true},
                {"172.16.0.0/12", "172.32.0.0", false},
                {"0.0.0.0/0", "1.2.3.4", true},
                {"::/0", "1.2.3.4", false},
                {"2001:db8::/33", "2001:db8:7fff::", true},
                {"2001:db8::/33", "2001:db8:8000::", false}};
    for (size_t i = 0; i != sizeof rows / sizeof *rows; ++i) {
        struct ip_network n;
        struct ip a = of(rows[i].address);
        assert_true(ip_network_parse(str_from(rows[i].network), &n));
        assert_int_equal(ip_network_contains(&n, &a), rows[i].holds);
    }
}

static void a_slip_in_a_network_is_noticed(void **state)
{
    static const char *const bad[] = {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/",   "10.0.0.0/-1",
                                      "/8",         "::1/64",      "::/129",      "10.0.0.0/8/8",
                                      "10/8",       "10.0.0.0/ 8", "example.com", "10.0.0.0/+8"};
    struct ip_network n;
    for (size_t i = 0; i != sizeof bad / sizeof *bad; ++i)
        assert_false(ip_network_parse(str_from(bad[i]), &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_only_one_spelling_of_ipv4),
        cmocka_unit_test(writes_what_it_read),
        cmocka_unit_test(knows_ipv4_in_other_clothes),
        cmocka_unit_test(networks_hold_their_own),
        cmocka_unit_test(a_slip_in_a_network_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
