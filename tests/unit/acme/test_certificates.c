// When a certificate is ordered, who may give one: the parts without a database.
#include "domains/caa.h"
#include "domains/certificates.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MINUTE INT64_C(60000)
#define DAY (24 * 60 * MINUTE)

// --- the plan ---

static void the_ladder(void **state)
{
    int64_t last = 0;
    assert_int_equal(certificate_pause_ms(0), MINUTE);
    assert_int_equal(certificate_pause_ms(1), MINUTE);
    for (unsigned n = 1; n != 100; ++n) {
        int64_t pause = certificate_pause_ms(n);
        assert_true(pause >= last && pause <= 6 * 60 * MINUTE);
        last = pause;
    }
    assert_int_equal(last, 6 * 60 * MINUTE);
}

static void no_more_than_the_authority_allows_an_hour(void **state)
{
    int64_t at = 0;
    int within = 0;
    for (unsigned n = 1; at < 60 * MINUTE; ++n, ++within)
        at += certificate_pause_ms(n);
    assert_true(within <= 5);
}

static void it_ends_after_a_month(void **state)
{
    int64_t now = 1000 * DAY;
    assert_int_equal(certificate_next_try(now, now, 1, 0), now + MINUTE);
    assert_int_equal(certificate_next_try(now, now - 29 * DAY, 50, 0), now + 6 * 60 * MINUTE);
    assert_int_equal(certificate_next_try(now, now - 31 * DAY, 50, 0), 0);
    assert_int_equal(certificate_next_try(now, now, 1, 7200), now + 120 * MINUTE);
    assert_int_equal(certificate_next_try(now, now, 50, 60), now + 6 * 60 * MINUTE);
}

static void what_the_authority_asks_for_is_the_names_own(void **state)
{
    assert_int_equal(certificate_asked_s("acme_refused", 0), 0);
    assert_int_equal(certificate_asked_s("acme_refused", 90), 90);
    assert_int_equal(certificate_asked_s("acme_unreachable", 90), 90);
    assert_int_equal(certificate_asked_s("acme_rate_limited", 0), 3600);
    assert_int_equal(certificate_asked_s("acme_rate_limited", 7200), 7200);
    assert_int_equal(certificate_asked_s("acme_rate_limited", UINT32_MAX), 7 * 24 * 3600);
    // nobody asked it about these
    static const char *const codes[] = {"caa_forbids", "caa_unknown", "invalid_certificate",
                                        "internal", "acm"};
    for (size_t i = 0; i != 5; ++i)
        assert_int_equal(certificate_asked_s(codes[i], 86400), 0);
}

static void renewal_with_a_third_left(void **state)
{
    assert_int_equal(certificate_renews_at(0, 90 * DAY), 60 * DAY);
    assert_int_equal(certificate_renews_at(0, 6 * DAY), 4 * DAY);
}

static void the_budget(void **state)
{
    unsigned wait;
    struct certificate_usage none = {0}, week = {.new_a_week = CERTIFICATE_NEW_A_WEEK},
                             orders = {.orders_3h = CERTIFICATE_ORDERS_3H},
                             hour = {.name_an_hour = CERTIFICATE_NAME_AN_HOUR},
                             name = {.name_a_week = CERTIFICATE_NAME_A_WEEK};
    assert_null(certificate_over_budget(&none, false, &wait));
    assert_non_null(certificate_over_budget(&week, false, &wait));
    assert_null(certificate_over_budget(&week, true, &wait)); // what is there is kept
    assert_non_null(certificate_over_budget(&orders, true, &wait));
    assert_non_null(certificate_over_budget(&hour, true, &wait));
    assert_int_equal(wait, 3600);
    assert_non_null(certificate_over_budget(&name, true, &wait));
    // one less of each is none too many
    struct certificate_usage project = {.project_3h = CERTIFICATE_PROJECT_3H};
    assert_non_null(certificate_over_budget(&project, true, &wait));
    struct certificate_usage below = {CERTIFICATE_ORDERS_3H - 1, CERTIFICATE_PROJECT_3H - 1,
                                      CERTIFICATE_NEW_A_WEEK - 1, CERTIFICATE_NAME_A_WEEK - 1,
                                      CERTIFICATE_NAME_AN_HOUR - 1};
    assert_null(certificate_over_budget(&below, false, &wait));
}

// --- CAA ---

static bool allows(const char *const *records, const char *identities, char why[static 320])
{
    struct dns_answer a = {.outcome = DNS_FOUND};
    for (; *records != NULL; ++records)
        a.records[a.count++] = (struct dns_record){.type = DNS_CAA, .text = str_from(*records)};
    why[0] = '\0';
    return caa_judge(&a, "customer-one.com", str_from(identities), why);
}
#define ALLOWS(identities, ...) allows((const char *const[]){__VA_ARGS__, NULL}, identities, why)

static void authorities_by_name(void **state)
{
    char why[320];
    assert_true(ALLOWS("letsencrypt.org", "0 issue \"letsencrypt.org\""));
    assert_true(ALLOWS("letsencrypt.org", "0 issue \"  LetsEncrypt.org ; accounturi=x\""));
    assert_true(ALLOWS("a.example, letsencrypt.org", "0 issue \"letsencrypt.org\""));
    assert_true(
        ALLOWS("letsencrypt.org", "0 issue \"other.example\"", "0 issue \"letsencrypt.org\""));
    assert_false(ALLOWS("letsencrypt.org", "0 issue \"other.example\""));
    assert_non_null(strstr(why, "other.example"));
    assert_non_null(strstr(why, "0 issue \"letsencrypt.org\""));
    assert_false(ALLOWS("letsencrypt.org", "0 issue \";\""));
    assert_false(ALLOWS("letsencrypt.org", "0 issue \"\""));
    assert_false(ALLOWS("letsencrypt.org", "0 issue \"evil-letsencrypt.org\""));
    assert_false(ALLOWS("letsencrypt.org", "0 issue \"letsencrypt.org.evil.example\""));
}

static void properties_that_are_not_for_single_names(void **state)
{
    char why[320];
    assert_true(ALLOWS("letsencrypt.org", "0 issuewild \";\""));
    assert_true(ALLOWS("letsencrypt.org", "0 iodef \"mailto:a@b.example\""));
    assert_true(ALLOWS("letsencrypt.org", "0 something \"new\""));
    assert_true(ALLOWS("letsencrypt.org", "128 issue \"letsencrypt.org\""));
    assert_false(ALLOWS("letsencrypt.org", "128 something \"new\"", "0 issue \"letsencrypt.org\""));
    assert_non_null(strstr(why, "\"something\""));
    assert_true(ALLOWS("letsencrypt.org", "0 redacted"));
    assert_true(ALLOWS("letsencrypt.org", "redacted"));
}

static void ways_of_proof(void **state)
{
    char why[320];
    assert_true(ALLOWS("le.org", "0 issue \"le.org; validationmethods=dns-01,http-01\""));
    assert_false(ALLOWS("le.org", "0 issue \"le.org; validationmethods=dns-01\""));
    assert_non_null(strstr(why, "http-01"));
}

static void unknown_authorities_say_themselves(void **state)
{
    char why[320];
    assert_true(ALLOWS("", "0 issue \"other.example\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ladder),
        cmocka_unit_test(no_more_than_the_authority_allows_an_hour),
        cmocka_unit_test(it_ends_after_a_month),
        cmocka_unit_test(what_the_authority_asks_for_is_the_names_own),
        cmocka_unit_test(renewal_with_a_third_left),
        cmocka_unit_test(the_budget),
        cmocka_unit_test(authorities_by_name),
        cmocka_unit_test(properties_that_are_not_for_single_names),
        cmocka_unit_test(ways_of_proof),
        cmocka_unit_test(unknown_authorities_say_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
