// Lookups against real servers on loopback: what each outcome looks like to an owner.
#include "domains/dns.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "domains/hostname.h"
#include "edge/base/clock.h"
#include "tests/harness/dns.h"

static struct dns_options options;

static struct dns_answer look_up(const char *name, enum dns_type type)
{
    struct dns_answer a;
    struct fault fault;
    if (dns_lookup(str_from(name), type, &a, &fault) != FAIL_NONE)
        fail_msg("%s: %s", name, fault.log_text);
    return a;
}

static void expect_outcome(const struct dns_answer *a, const char *outcome)
{
    if (strcmp(dns_outcome_name(a->outcome), outcome) != 0)
        fail_msg("%s instead of %s: %s", dns_outcome_name(a->outcome), outcome, a->why);
}

static void expect_record(const struct dns_answer *a, size_t i, enum dns_type type,
                          const char *text)
{
    assert_true(i < a->count);
    assert_int_equal(a->records[i].type, type);
    if (!str_eq(a->records[i].text, str_from(text)))
        fail_msg("\"%.*s\" instead of \"%s\"", STR_FMT(a->records[i].text), text);
}

// Any order: servers turn their records round.
static bool has_text(const struct dns_answer *a, const char *text)
{
    for (size_t i = 0; i != a->count; ++i)
        if (str_eq(a->records[i].text, str_from(text)))
            return true;
    return false;
}

static void a_proof_is_found_and_secure(void **state)
{
    dns_servers_set("customer-one.com", "_stoa-challenge.forms TXT \"stoa-verification=abc\"");
    struct dns_answer a = look_up("_stoa-challenge.forms.customer-one.com", DNS_TXT);
    expect_outcome(&a, "found");
    assert_int_equal(a.count, 1);
    expect_record(&a, 0, DNS_TXT, "stoa-verification=abc");
    assert_true(a.is_secure);
    assert_false(a.is_cut);
    assert_string_equal(a.resolver, "recursive from the configured root");
    assert_string_equal(a.why, "");
    dns_answer_fini(&a);
}

static void nobodys_negative_answer_is_remembered(void **state)
{
    dns_servers_set("customer-one.com", "www A 8.8.8.8");
    struct dns_answer a = look_up("_stoa-challenge.later.customer-one.com", DNS_TXT);
    expect_outcome(&a, "nxdomain");
    assert_true(a.is_secure);
    assert_int_equal(a.count, 0);
    dns_answer_fini(&a);
    dns_servers_set("customer-one.com", "_stoa-challenge.later TXT now");
    a = look_up("_stoa-challenge.later.customer-one.com", DNS_TXT);
    expect_outcome(&a, "found");
    expect_record(&a, 0, DNS_TXT, "now");
    dns_answer_fini(&a);
}

static void a_name_without_such_records(void **state)
{
    dns_servers_set("customer-one.com", "www A 8.8.8.8");
    struct dns_answer a = look_up("www.customer-one.com", DNS_TXT);
    expect_outcome(&a, "no_data");
    assert_true(a.is_secure);
    assert_int_equal(a.count, 0);
    dns_answer_fini(&a);
}

static void several_split_and_strange_strings(void **state)
{
    dns_servers_set("customer-one.com",
                    "t TXT \"stoa-\" \"verification=\" \"x\"\tt TXT \"v=spf1 -all\"\t"
                    "t TXT \"a\\000b\\255\\\\\\\"\\010\"\tt TXT \"\"");
    struct dns_answer a = look_up("t.customer-one.com", DNS_TXT);
    expect_outcome(&a, "found");
    assert_int_equal(a.count, 4);
    assert_true(has_text(&a, "stoa-verification=x"));
    assert_true(has_text(&a, "v=spf1 -all"));
    assert_true(has_text(&a, "a\\000b\\255\\092\"\\010"));
    assert_true(has_text(&a, ""));
    dns_answer_fini(&a);
}

static void more_than_is_shown_comes_by_tcp_and_is_cut(void **state)
{
    char records[8192] = "";
    for (int i = 0; i != 30; ++i)
        snprintf(records + strlen(records), sizeof records - strlen(records),
                 "%smany TXT \"%0180d\"", i != 0 ? "\t" : "", i);
    dns_servers_set("customer-one.com", records);
    struct dns_answer a = look_up("many.customer-one.com", DNS_TXT);
    expect_outcome(&a, "found");
    assert_int_equal(a.count, DNS_RECORDS_MAX);
    assert_true(a.is_cut);
    assert_int_equal(a.records[7].text.n, 180);
    dns_answer_fini(&a);
}

static void no_more_text_than_is_shown(void **state)
{
    char records[8192] = "long TXT";
    for (int i = 0; i != 25; ++i)
        snprintf(records + strlen(records), sizeof records - strlen(records), " \"%0250d\"", i);
    dns_servers_set("customer-one.com", records);
    struct dns_answer a = look_up("long.customer-one.com", DNS_TXT);
    expect_outcome(&a, "found");
    assert_int_equal(a.count, 1);
    assert_true(a.is_cut);
    assert_int_equal(a.records[0].text.n, DNS_SHOWN_BYTES);
    dns_answer_fini(&a);
}

static void cnames_are_followed_and_shown(void **state)
{
    dns_servers_set(
        "customer-one.com",
        "_stoa-challenge.forms CNAME one.customer-two.com.\tforms CNAME gone.customer-two.com.");
    dns_servers_set("customer-two.com", "one CNAME Two\tTwo TXT here\tTwo A 8.8.4.4");
    struct dns_answer a = look_up("_stoa-challenge.forms.customer-one.com", DNS_TXT);
    expect_outcome(&a, "found");
    assert_int_equal(a.count, 3);
    expect_record(&a, 0, DNS_CNAME, "one.customer-two.com");
    expect_record(&a, 2, DNS_TXT, "here");
    assert_true(a.is_secure);
    dns_answer_fini(&a);
    a = look_up("forms.customer-one.com", DNS_A);
    expect_outcome(&a, "nxdomain");
    assert_int_equal(a.count, 1);
    expect_record(&a, 0, DNS_CNAME, "gone.customer-two.com");
    dns_answer_fini(&a);
    a = look_up("forms.customer-one.com", DNS_CNAME);
    expect_outcome(&a, "found");
    assert_int_equal(a.count, 1);
    expect_record(&a, 0, DNS_CNAME, "gone.customer-two.com");
    dns_answer_fini(&a);
}

static void endless_cnames(void **state)
{
    char records[1024] = "loop CNAME loop2\tloop2 CNAME loop\tc8 TXT eight\td9 TXT nine";
    for (char c = 'c'; c <= 'd'; ++c)
        for (int i = 0; i != (c == 'c' ? 8 : 9); ++i)
            snprintf(records + strlen(records), sizeof records - strlen(records),
                     "\t%c%d CNAME %c%d", c, i, c, i + 1);
    dns_servers_set("customer-one.com", records);
    struct dns_answer a = look_up("c0.customer-one.com", DNS_TXT);
    expect_outcome(&a, "found");
    assert_int_equal(a.count, 9);
    expect_record(&a, 8, DNS_TXT, "eight");
    dns_answer_fini(&a);
    a = look_up("d0.customer-one.com", DNS_TXT);
    expect_outcome(&a, "servfail");
    assert_string_equal(a.why, "More than 8 CNAMEs follow each other.");
    assert_int_equal(a.count, 8);
    dns_answer_fini(&a);
    a = look_up("loop.customer-one.com", DNS_TXT);
    expect_outcome(&a, "servfail");
    dns_answer_fini(&a);
}

static void addresses_and_authorisations(void **state)
{
    dns_servers_set("customer-one.com",
                    "www A 8.8.8.8\twww AAAA 2606:4700::1111\tinside A 10.1.2.3\t"
                    "inside AAAA fd00::1\t@ CAA 0 issue \"letsencrypt.org; x=\\\"y\"\t"
                    "www CAA 128 iodef \"\"");
    struct dns_answer a = look_up("www.customer-one.com", DNS_A);
    expect_record(&a, 0, DNS_A, "8.8.8.8");
    dns_answer_fini(&a);
    a = look_up("www.customer-one.com", DNS_AAAA);
    expect_record(&a, 0, DNS_AAAA, "2606:4700::1111");
    dns_answer_fini(&a);
    a = look_up("inside.customer-one.com", DNS_A);
    expect_outcome(&a, "found");
    expect_record(&a, 0, DNS_A, "redacted");
    assert_true(a.records[0].is_redacted);
    assert_memory_equal(a.records[0].address.b, "\x0a\x01\x02\x03", 4);
    dns_answer_fini(&a);
    a = look_up("inside.customer-one.com", DNS_AAAA);
    expect_record(&a, 0, DNS_AAAA, "redacted");
    dns_answer_fini(&a);
    a = look_up("customer-one.com", DNS_CAA);
    expect_record(&a, 0, DNS_CAA, "0 issue \"letsencrypt.org; x=\"y\"");
    dns_answer_fini(&a);
    a = look_up("www.customer-one.com", DNS_CAA);
    expect_record(&a, 0, DNS_CAA, "128 iodef \"\"");
    dns_answer_fini(&a);
}

// The names of the operator's network, when the root or the forwarders know them.
static void nothing_is_shown_of_private_names(void **state)
{
    dns_servers_set("customer-one.com", "_stoa-challenge.x CNAME secret.customer-two.com.\t"
                                        "y CNAME host.corp.\tz CNAME hosting.customer-two.com.");
    dns_servers_set("customer-two.com",
                    "secret TXT \"password\"\tsecret A 8.8.8.8\thosting TXT \"known\"");
    struct dns_answer a = look_up("_stoa-challenge.x.customer-one.com", DNS_TXT);
    expect_outcome(&a, "found");
    assert_int_equal(a.count, 2);
    expect_record(&a, 0, DNS_CNAME, "redacted");
    expect_record(&a, 1, DNS_TXT, "redacted");
    dns_answer_fini(&a);
    a = look_up("y.customer-one.com", DNS_A);
    assert_true(a.count == 1 && a.records[0].is_redacted);
    dns_answer_fini(&a);
    a = look_up("z.customer-one.com", DNS_TXT);
    expect_record(&a, 0, DNS_CNAME, "hosting.customer-two.com");
    expect_record(&a, 1, DNS_TXT, "known");
    dns_answer_fini(&a);
}

static void zones_without_dnssec(void **state)
{
    dns_servers_set("unsigned-shop.com", "t TXT plain");
    struct dns_answer a = look_up("t.unsigned-shop.com", DNS_TXT);
    expect_outcome(&a, "found");
    assert_false(a.is_secure);
    dns_answer_fini(&a);
}

static void broken_dnssec_says_what_is_broken(void **state)
{
    static const char *const zones[] = {"bogus-shop.com", "stripped-shop.com"};
    for (size_t i = 0; i != 2; ++i) {
        char name[64];
        dns_servers_set(zones[i], "t TXT forged");
        snprintf(name, sizeof name, "t.%s", zones[i]);
        struct dns_answer a = look_up(name, DNS_TXT);
        expect_outcome(&a, "bogus");
        assert_int_equal(a.count, 0);
        assert_non_null(strstr(a.why, zones[i]));
        assert_null(strstr(a.why, "127.53."));
        dns_answer_fini(&a);
    }
}

static void servers_that_fail(void **state)
{
    static const char *const names[] = {"t.servfail-shop.com", "t.lame-shop.com"};
    for (size_t i = 0; i != 2; ++i) {
        struct dns_answer a = look_up(names[i], DNS_TXT);
        expect_outcome(&a, "servfail");
        assert_true(a.why[0] != '\0');
        dns_answer_fini(&a);
    }
}

static void servers_that_are_slow(void **state)
{
    struct dns_answer a = look_up("t.slow-shop.com", DNS_TXT);
    expect_outcome(&a, "found");
    expect_record(&a, 0, DNS_TXT, "slow");
    assert_true(a.ms >= 300);
    dns_answer_fini(&a);
}

static void servers_that_keep_silent(void **state)
{
    options.deadline_ms = 700;
    uint64_t start = clock_monotonic_ms();
    struct dns_answer a = look_up("t.silent-shop.com", DNS_TXT);
    uint64_t took = clock_monotonic_ms() - start;
    options.deadline_ms = 0;
    expect_outcome(&a, "timeout");
    assert_true(a.why[0] != '\0');
    assert_true(a.ms >= 700 && took < 2500);
    dns_answer_fini(&a);
}

static unsigned count_entries(const char *folder)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    while (readdir(d) != NULL)
        ++n;
    closedir(d);
    return n;
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void look_up_many(unsigned times)
{
    for (unsigned i = 0; i != times; ++i) {
        struct dns_answer a = look_up("t.customer-one.com", DNS_TXT);
        expect_outcome(&a, "found");
        dns_answer_fini(&a);
    }
}

#ifdef STOA_TSAN
enum { LOOKUPS = 50 };
#else
enum { LOOKUPS = 200 };
#endif

static void lookups_give_back_what_they_took(void **state)
{
    dns_servers_set("customer-one.com", "t TXT hello");
    look_up_many(20);
    unsigned fds = count_entries("/proc/self/fd"), threads = count_entries("/proc/self/task");
    long before = resident_kib();
    uint64_t start = clock_monotonic_us();
    look_up_many(LOOKUPS);
    print_message("%.2f ms a lookup, %ld KiB more after %d\n",
                  (double)(clock_monotonic_us() - start) / 1e3 / LOOKUPS, resident_kib() - before,
                  (int)LOOKUPS);
    assert_int_equal(count_entries("/proc/self/fd"), fds);
    assert_int_equal(count_entries("/proc/self/task"), threads);
#if !defined(STOA_ASAN) && !defined(STOA_TSAN) // which keep what is freed for a while
    assert_true(resident_kib() - before < 2048);
#endif
}

static void *look_up_in_thread(void *unused)
{
    for (int i = 0; i != 25; ++i) {
        struct dns_answer a;
        if (dns_lookup(STR("t.customer-one.com"), DNS_TXT, &a, NULL) != FAIL_NONE)
            return (void *)"not asked";
        bool ok = a.outcome == DNS_FOUND && a.count == 1 && str_eq(a.records[0].text, STR("hello"));
        dns_answer_fini(&a);
        if (!ok)
            return (void *)"not found";
    }
    return NULL;
}

static void lookups_side_by_side(void **state)
{
    pthread_t threads[4];
    dns_servers_set("customer-one.com", "t TXT hello");
    unsigned fds = count_entries("/proc/self/fd");
    for (int i = 0; i != 4; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, look_up_in_thread, NULL), 0);
    for (int i = 0; i != 4; ++i) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(count_entries("/proc/self/fd"), fds);
}

// A stranger's delegation does not make us ask this machine, where the root is the public one.
static void private_servers_are_not_asked(void **state)
{
    struct dns_options public = options;
    struct fault fault;
    public.asks_public_only = true;
    assert_int_equal(dns_init(&public, &fault), FAIL_NONE);
    struct dns_answer a = look_up("t.customer-one.com", DNS_TXT);
    expect_outcome(&a, "servfail");
    assert_int_equal(a.count, 0);
    dns_answer_fini(&a);
    assert_int_equal(dns_init(&options, &fault), FAIL_NONE);
}

// With names that libunbound answers itself, so that nobody is asked.
static void it_is_said_where_was_asked(void **state)
{
    static const struct {
        struct dns_options o;
        const char *resolver;
    } rows[] = {
        {{.forwarders = "", .root_hints = "", .trust_anchor = ""}, "recursive from the root"},
        {{.forwarders = "8.8.8.8, 10.0.0.1@53,::1@54", .root_hints = "", .trust_anchor = ""},
         "forwarders 8.8.8.8 redacted redacted"},
    };
    struct fault fault;
    for (size_t i = 0; i != 2; ++i) {
        assert_int_equal(dns_init(&rows[i].o, &fault), FAIL_NONE);
        struct dns_answer a = look_up("t.invalid", DNS_TXT);
        expect_outcome(&a, "nxdomain");
        assert_string_equal(a.resolver, rows[i].resolver);
        dns_answer_fini(&a);
    }
    assert_int_equal(dns_init(&options, &fault), FAIL_NONE);
}

// Validated here, too; and their addresses are the operator's own matter.
static void forwarders_are_asked(void **state)
{
    char list[128];
    struct fault fault;
    snprintf(list, sizeof list, "%s", dns_servers_start_forwarder());
    struct dns_options through = {
        .forwarders = list, .root_hints = "", .trust_anchor = options.trust_anchor};
    dns_servers_set("customer-one.com", "t TXT through");
    assert_int_equal(dns_init(&through, &fault), FAIL_NONE);
    struct dns_answer a = look_up("t.customer-one.com", DNS_TXT);
    expect_outcome(&a, "found");
    expect_record(&a, 0, DNS_TXT, "through");
    assert_true(a.is_secure);
    assert_string_equal(a.resolver, "forwarders redacted");
    dns_answer_fini(&a);
    a = look_up("t.bogus-shop.com", DNS_TXT);
    expect_outcome(&a, "bogus");
    assert_null(strstr(a.why, "127."));
    dns_answer_fini(&a);
    a = look_up("gone.customer-one.com", DNS_TXT);
    expect_outcome(&a, "nxdomain");
    dns_answer_fini(&a);
    a = look_up("t.servfail-shop.com", DNS_TXT);
    expect_outcome(&a, "servfail");
    dns_answer_fini(&a);
    assert_int_equal(dns_init(&options, &fault), FAIL_NONE);
}

static void options_that_cannot_be_used(void **state)
{
    static const struct {
        struct dns_options o;
        const char *names;
    } rows[] = {
        {{.forwarders = "", .root_hints = "", .trust_anchor = "/nowhere"}, "dns_trust_anchor"},
        {{.forwarders = "", .root_hints = "/nowhere", .trust_anchor = ""}, "dns_root_hints"},
        {{.forwarders = "resolver.example", .root_hints = "", .trust_anchor = ""},
         "dns_forwarders"},
        {{.forwarders = "127.0.0.1@x", .root_hints = "", .trust_anchor = ""}, "dns_forwarders"},
    };
    struct fault fault;
    for (size_t i = 0; i != sizeof rows / sizeof rows[0]; ++i) {
        assert_int_equal(dns_init(&rows[i].o, &fault), FAIL_BAD_INPUT);
        assert_string_equal(fault.code, "dns_options");
        if (strstr(fault.public_text, rows[i].names) == NULL)
            fail_msg("%s", fault.public_text);
    }
    assert_int_equal(dns_init(&options, &fault), FAIL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_is_found_and_secure),
        cmocka_unit_test(nobodys_negative_answer_is_remembered),
        cmocka_unit_test(a_name_without_such_records),
        cmocka_unit_test(several_split_and_strange_strings),
        cmocka_unit_test(more_than_is_shown_comes_by_tcp_and_is_cut),
        cmocka_unit_test(no_more_text_than_is_shown),
        cmocka_unit_test(cnames_are_followed_and_shown),
        cmocka_unit_test(endless_cnames),
        cmocka_unit_test(addresses_and_authorisations),
        cmocka_unit_test(nothing_is_shown_of_private_names),
        cmocka_unit_test(zones_without_dnssec),
        cmocka_unit_test(broken_dnssec_says_what_is_broken),
        cmocka_unit_test(servers_that_fail),
        cmocka_unit_test(servers_that_are_slow),
        cmocka_unit_test(servers_that_keep_silent),
        cmocka_unit_test(lookups_give_back_what_they_took),
        cmocka_unit_test(lookups_side_by_side),
        cmocka_unit_test(private_servers_are_not_asked),
        cmocka_unit_test(it_is_said_where_was_asked),
        cmocka_unit_test(forwarders_are_asked),
        cmocka_unit_test(options_that_cannot_be_used),
    };
    static const struct hostname_rules rules = {
        .own = {"hosting.customer-two.com"}, .own_count = 1, .reserved = "secret.customer-two.com"};
    struct fault fault;
    const struct dns_servers *servers = dns_servers_start();
    hostname_init(&rules);
    options = (struct dns_options){
        .forwarders = "", .root_hints = servers->root_hints, .trust_anchor = servers->trust_anchor};
    if (dns_init(&options, &fault) != FAIL_NONE) {
        fprintf(stderr, "%s\n", fault.public_text);
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dns_servers_stop();
    return failed;
}
