// Addresses and sockets.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "edge/listen.h"

static void test_addresses(void **state)
{
    struct listen_address a;
    char text[80];
    static const char *const good[] = {"127.0.0.1:8080", "[::1]:0", "0.0.0.0:65535", "[fe80::1]:1"};
    for (size_t i = 0; i != 4; ++i) {
        assert_int_equal(listen_parse(str_from(good[i]), &a, NULL), FAIL_NONE);
        listen_text(&a, text, sizeof text);
        assert_string_equal(text, good[i]);
    }
    static const char *const bad[] = {
        "",         "8080",         ":8080",          "127.0.0.1",
        "::1:80",   "[::1]",        "127.0.0.1:",     "127.0.0.1:65536",
        "a.b:80",   "127.0.0.1:+8", "[127.0.0.1]:80", "localhost:80",
        "[::1]:8 ", "127.1:80",     "[::1:80"};
    struct fault fault;
    for (size_t i = 0; i != sizeof bad / sizeof bad[0]; ++i)
        assert_int_equal(listen_parse(str_from(bad[i]), &a, &fault), FAIL_BAD_INPUT);
}

static bool is_loopback(const char *text)
{
    struct listen_address a;
    assert_int_equal(listen_parse(str_from(text), &a, NULL), FAIL_NONE);
    return listen_is_loopback(&a);
}

static void test_what_is_loopback(void **state)
{
    assert_true(is_loopback("127.9.9.9:1"));
    assert_true(is_loopback("[::1]:1"));
    assert_false(is_loopback("0.0.0.0:1"));
    assert_false(is_loopback("[::]:1"));
    assert_false(is_loopback("10.0.0.1:1"));
    assert_false(is_loopback("[::ffff:10.0.0.1]:1"));
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t n = sizeof value;
    getsockopt(fd, level, name, &value, &n);
    return value;
}

static void test_port_zero_is_the_same_for_both_families(void **state)
{
    struct listener_fd list[8];
    size_t count = 0;
    struct fault fault;
    assert_int_equal(
        listen_open(LISTENER_APPS, "127.0.0.1:0,[::1]:0", true, list, 8, &count, &fault),
        FAIL_NONE);
    assert_true(count == 1 || count == 2); // a machine without IPv6 has one
    if (count == 2)
        assert_string_equal(strrchr(list[0].address, ':'), strrchr(list[1].address, ':'));
    assert_null(strstr(list[0].address, ":0\n"));
    assert_int_equal(option(list[0].fd, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(option(list[0].fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 60000);
    assert_true(option(list[0].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);

    char *packed = listen_pack(list, count);
    struct listener_fd back[8];
    assert_int_equal(listen_unpack(packed, back, 8), count);
    assert_string_equal(back[0].address, list[0].address);
    assert_int_equal(back[0].fd, 5);
    free(packed);

    size_t second = 0;
    struct listener_fd other[1];
    assert_int_equal(
        listen_open(LISTENER_CONSOLE, list[0].address, false, other, 1, &second, &fault),
        FAIL_CONFLICT);
    assert_non_null(strstr(fault.public_text, list[0].address));
    assert_non_null(strstr(fault.public_text, "listen_console"));
    for (size_t i = 0; i != count; ++i)
        close(list[i].fd);
}

static void test_address_of_another_machine(void **state)
{
    struct listener_fd list[1];
    size_t count = 0;
    struct fault fault;
    assert_int_equal(listen_open(LISTENER_APPS, "192.0.2.1:0", true, list, 1, &count, &fault),
                     FAIL_CONFLICT);
    assert_string_equal(fault.code, "address_absent");
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_what_is_loopback),
        cmocka_unit_test(test_port_zero_is_the_same_for_both_families),
        cmocka_unit_test(test_address_of_another_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
