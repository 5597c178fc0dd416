// The verdict on one address: public or not, ours or not, allowed or not.
#include "edge/client/fetch_internal.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static bool is_allowed(const char *text, uint16_t port)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return fetch_address_is_allowed((struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return fetch_address_is_allowed((struct sockaddr *)&six);
}

static void with(const char *own, const char *allow)
{
    struct fetch_options o = {.own_listeners = own, .allow = allow};
    fetch_address_init(&o);
}

static void public_ones_only(void **state)
{
    with("", "");
    assert_true(is_allowed("8.8.8.8", 443));
    assert_true(is_allowed("2606:4700::1111", 443));
    assert_false(is_allowed("127.0.0.1", 443));
    assert_false(is_allowed("::1", 443));
    assert_false(is_allowed("::ffff:8.8.8.8", 443));
    assert_false(is_allowed("169.254.169.254", 80));
}

static void not_our_listeners(void **state)
{
    with("8.8.8.8:443, [2606:4700::1111]:8080", NULL);
    assert_false(is_allowed("8.8.8.8", 443));
    assert_true(is_allowed("8.8.8.8", 80));
    assert_false(is_allowed("2606:4700::1111", 8080));
    assert_true(is_allowed("2606:4700::1111", 443));
}

static void a_hole_is_of_one_address_and_port(void **state)
{
    with("127.0.0.1:9000", "127.0.0.1:9000,[::1]:9001,10.0.0.5:80");
    assert_true(is_allowed("127.0.0.1", 9000));
    assert_false(is_allowed("127.0.0.1", 9001));
    assert_false(is_allowed("127.0.0.2", 9000));
    assert_true(is_allowed("::1", 9001));
    assert_false(is_allowed("::ffff:127.0.0.1", 9000));
    assert_true(is_allowed("10.0.0.5", 80));
}

// In a network of its own, where this machine has a public address.
static int check_interface(const char *address)
{
    struct ifreq r = {.ifr_name = "lo"};
    struct sockaddr_in *sa = (struct sockaddr_in *)&r.ifr_addr;
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return 77;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    sa->sin_family = AF_INET;
    inet_pton(AF_INET, address, &sa->sin_addr);
    if (ioctl(fd, SIOCSIFADDR, &r) != 0)
        return 77;
    with("", "");
    return is_allowed(address, 443) || is_allowed("64:ff9b::808:404", 443) ||
           !is_allowed("8.8.8.8", 443);
}

static void not_this_machine(void **state)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(check_interface("8.8.4.4"));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == 77)
        skip(); // no network namespaces here
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_ones_only),
        cmocka_unit_test(not_our_listeners),
        cmocka_unit_test(a_hole_is_of_one_address_and_port),
        cmocka_unit_test(not_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
