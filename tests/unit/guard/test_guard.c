// The self-test passes, leaves nothing behind, and can fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "edge/guard/guard.h"

static size_t none(void *ctx, h2o_req_t *req, str method, str authority, str path)
{
    return 0;
}

static void the_self_test_passes(void **state)
{
    struct guard_policy policy;
    struct fault fault = {0};
    guard_policy_defaults(&policy);
    policy.body_limit = none;
    guard_start(&policy);
    if (guard_selftest(&fault) != FAIL_NONE)
        fail_msg("%s", fault.log_text);
    struct guard_counters zero = {0}, now = guard_counters();
    assert_memory_equal(&now, &zero, sizeof(now));
}

static void the_policy_survives_it(void **state)
{
    struct fault fault;
    struct guard_policy strict;
    guard_policy_defaults(&strict);
    strict.header_count = 1; // the self-test has its own numbers
    guard_start(&strict);
    assert_int_equal(guard_selftest(&fault), FAIL_NONE);
}

static void the_options_it_rests_on(void **state)
{
    static h2o_globalconf_t config;
    h2o_config_init(&config);
    h2o_hostconf_t *host = h2o_config_register_host(&config, h2o_iovec_init("x", 1), 65535);
    guard_configure(&config);
    assert_int_equal(host->http2.push_preload, 0);
    assert_true(config.http2.max_concurrent_requests_per_connection > 100);
    assert_true(config.http2.graceful_shutdown_timeout > 0);
    assert_true(h2o_socket_buffer_mmap_settings.threshold == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_self_test_passes),
        cmocka_unit_test(the_policy_survives_it),
        cmocka_unit_test(the_options_it_rests_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
