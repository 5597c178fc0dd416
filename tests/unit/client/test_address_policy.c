// Row by row: the first and the last address of each entry of the registries, the addresses around
// them that belong to nobody special, and what carries an address inside.
#include "edge/client/address_policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct ip of(const char *text)
{
    struct ip a;
    assert_true(ip_parse(str_from(text), &a));
    return a;
}

static void expect(const char *text, bool is_public)
{
    struct ip a = of(text);
    const char *purpose = fetch_address_purpose(&a);
    if ((purpose == NULL) != is_public)
        fail_msg("%s: %s", text, purpose != NULL ? purpose : "public");
}

// An own list, written down from the registries: a row that is lost in the table is missed here.
static const char *const entries[][2] = {
    {"0.0.0.0", "0.255.255.255"},
    {"10.0.0.0", "10.255.255.255"},
    {"100.64.0.0", "100.127.255.255"},
    {"127.0.0.0", "127.255.255.255"},
    {"169.254.0.0", "169.254.255.255"},
    {"172.16.0.0", "172.31.255.255"},
    {"192.0.0.0", "192.0.0.255"},
    {"192.0.2.0", "192.0.2.255"},
    {"192.31.196.0", "192.31.196.255"},
    {"192.52.193.0", "192.52.193.255"},
    {"192.88.99.0", "192.88.99.255"},
    {"192.168.0.0", "192.168.255.255"},
    {"192.175.48.0", "192.175.48.255"},
    {"198.18.0.0", "198.19.255.255"},
    {"198.51.100.0", "198.51.100.255"},
    {"203.0.113.0", "203.0.113.255"},
    {"224.0.0.0", "239.255.255.255"},
    {"240.0.0.0", "255.255.255.255"},
    {"168.63.129.16", "168.63.129.16"},
    {"::", "::ffff"},
    {"::ffff:0:0", "::ffff:ffff:ffff"},
    {"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"},
    {"100::", "100::ffff:ffff:ffff:ffff"},
    {"100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"},
    {"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"},
    {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

static void every_entry_is_refused_from_end_to_end(void **state)
{
    for (size_t i = 0; i != sizeof entries / sizeof *entries; ++i) {
        expect(entries[i][0], false);
        expect(entries[i][1], false);
    }
}

static void every_row_refuses_its_own_ends(void **state)
{
    for (size_t i = 0; i != fetch_address_row_count; ++i) {
        struct ip_network n;
        assert_true(ip_network_parse(str_from(fetch_address_rows[i].network), &n));
        struct ip last = n.base;
        for (unsigned bit = n.bits; bit != n.base.n * 8u; ++bit)
            last.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        assert_non_null(fetch_address_purpose(&n.base));
        assert_non_null(fetch_address_purpose(&last));
        bool has_rfc = strcmp(fetch_address_rows[i].network, "168.63.129.16/32") != 0;
        assert_non_null(strstr(fetch_address_rows[i].source, has_rfc ? "RFC " : "also"));
    }
}

static void what_lies_beside_is_public(void **state)
{
    static const char *const beside[] = {"1.0.0.0",
                                         "9.255.255.255",
                                         "11.0.0.0",
                                         "100.63.255.255",
                                         "100.128.0.0",
                                         "126.255.255.255",
                                         "128.0.0.0",
                                         "169.253.255.255",
                                         "169.255.0.0",
                                         "172.15.255.255",
                                         "172.32.0.0",
                                         "191.255.255.255",
                                         "192.0.1.0",
                                         "192.0.3.0",
                                         "192.31.195.255",
                                         "192.31.197.0",
                                         "192.52.192.255",
                                         "192.52.194.0",
                                         "192.88.98.255",
                                         "192.88.100.0",
                                         "192.167.255.255",
                                         "192.169.0.0",
                                         "192.175.47.255",
                                         "192.175.49.0",
                                         "198.17.255.255",
                                         "198.20.0.0",
                                         "198.51.99.255",
                                         "198.51.101.0",
                                         "203.0.112.255",
                                         "203.0.114.0",
                                         "223.255.255.255",
                                         "168.63.129.15",
                                         "168.63.129.17",
                                         "8.8.8.8",
                                         "2001:200::",
                                         "2001:db7:ffff::",
                                         "2001:db9::",
                                         "2003::",
                                         "2620:4f:7fff::",
                                         "2620:4f:8001::",
                                         "2606:4700::1111",
                                         "3ffe:ffff::",
                                         "2a00:1450:4001::200e"};
    for (size_t i = 0; i != sizeof beside / sizeof *beside; ++i)
        expect(beside[i], true);
}

static void outside_of_global_unicast_is_nothing(void **state)
{
    static const char *const outside[] = {"1::1",    "64:ff9b:2::1", "1fff:ffff::1",
                                          "4000::1", "3fff::1",      "5eff::1",
                                          "8000::1", "fbff::1",      "fe00::1"};
    for (size_t i = 0; i != sizeof outside / sizeof *outside; ++i)
        expect(outside[i], false);
}

static void what_carries_another_is_judged(void **state)
{
    expect("64:ff9b::808:808", true); // NAT64 to a public host
    expect("64:ff9b::7f00:1", false);
    expect("64:ff9b::a9fe:a9fe", false);
    expect("64:ff9b::a00:1", false);
    expect("::ffff:127.0.0.1", false);
    expect("::ffff:8.8.8.8", false); // nobody writes it without a purpose
    expect("::127.0.0.1", false);
    expect("2002:7f00:1::", false);
    expect("2002:808:808::1", false);
    expect("2001:0:808:808::1", false); // Teredo
    expect("2a00:1450::5efe:a00:1", false);
    expect("2a00:1450::200:5efe:a00:1", false);
    struct ip none = {.n = 0};
    assert_non_null(fetch_address_purpose(&none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_refused_from_end_to_end),
        cmocka_unit_test(every_row_refuses_its_own_ends),
        cmocka_unit_test(what_lies_beside_is_public),
        cmocka_unit_test(outside_of_global_unicast_is_nothing),
        cmocka_unit_test(what_carries_another_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
