// Names an owner may type: what becomes of each, or the sentence that says why not.
#include "domains/hostname.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const struct hostname_rules rules = {
    .own = {"apps.stoa-host.com", "console.operator.net", "127.0.0.1", "localhost", "tenants.io"},
    .own_count = 5,
    .reserved = "kept.org, Bücher.de ,,sub.held.com",
};

#define ADDRESS "An IP address cannot be a custom domain, in any spelling. Write the name"
#define ONLY "Write only the name, such as forms.example.com, without https:// before it"
#define PART_LONG "A part between two dots is longer than 63 bytes as DNS writes it."
#define HYPHEN "A part between two dots begins or ends with a hyphen, which host names cannot."
#define SIGN "It has a sign that names cannot have: letters, digits and hyphens"
#define XN "A part that begins with xn-- spells no letters (RFC 3492)."
#define EMPTY "Write a name, such as forms.example.com."
#define MISSING "Two dots follow each other, or one stands at the start: a part is missing."
#define SPACES "Write one name, without spaces and commas in it."
#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN
#define LABEL63 SIXTY "abc"

static const struct {
    const char *typed, *ascii, *unicode, *registrable;
} taken[] = {
    {"forms.customer-one.com", "forms.customer-one.com", "forms.customer-one.com",
     "customer-one.com"},
    {"customer-one.com", "customer-one.com", "customer-one.com", "customer-one.com"},
    {"FORMS.Customer-One.COM", "forms.customer-one.com", "forms.customer-one.com",
     "customer-one.com"},
    {" \t forms.customer-one.com.\r\n", "forms.customer-one.com", "forms.customer-one.com",
     "customer-one.com"},
    {"a.b.c.shop.co.uk", "a.b.c.shop.co.uk", "a.b.c.shop.co.uk", "shop.co.uk"},
    {"me.github.io", "me.github.io", "me.github.io", "me.github.io"},
    {"name.brand-new-tld", "name.brand-new-tld", "name.brand-new-tld", "name.brand-new-tld"},
    {"4.customer-one.com", "4.customer-one.com", "4.customer-one.com", "customer-one.com"},
    {"1.2.3.4.customer-one.com", "1.2.3.4.customer-one.com", "1.2.3.4.customer-one.com",
     "customer-one.com"},
    {"0x.com", "0x.com", "0x.com", "0x.com"},
    {LABEL63 ".com", LABEL63 ".com", LABEL63 ".com", LABEL63 ".com"},
    // UTS 46, non-transitional
    {"faß.de", "xn--fa-hia.de", "faß.de", "xn--fa-hia.de"},
    {"FASS.de", "fass.de", "fass.de", "fass.de"},
    {"xn--fa-hia.de", "xn--fa-hia.de", "faß.de", "xn--fa-hia.de"},
    {"XN--FA-HIA.De", "xn--fa-hia.de", "faß.de", "xn--fa-hia.de"},
    {"Müller.Example-Shop.de", "xn--mller-kva.example-shop.de", "müller.example-shop.de",
     "example-shop.de"},
    {"mu\xcc\x88ller.de", "xn--mller-kva.de", "müller.de", "xn--mller-kva.de"}, // not NFC
    {"日本語。ｊｐ", "xn--wgv71a119e.jp", "日本語.jp", "xn--wgv71a119e.jp"},
    {"ｆｏｒｍｓ．customer-one｡com", "forms.customer-one.com", "forms.customer-one.com",
     "customer-one.com"},
    {"for\xc2\xadms.customer-one.com", "forms.customer-one.com", "forms.customer-one.com",
     "customer-one.com"}, // a soft hyphen
    {"пример.бел", "xn--e1afmkfd.xn--90ais", "пример.бел", "xn--e1afmkfd.xn--90ais"},
    {"יהודה.co.il", "xn--7dbbbcs.co.il", "יהודה.co.il", "xn--7dbbbcs.co.il"},
    // beside the operator's names, not in them
    {"shop.stoa-host.com", "shop.stoa-host.com", "shop.stoa-host.com", "stoa-host.com"},
    {"myapps.stoa-host.com", "myapps.stoa-host.com", "myapps.stoa-host.com", "stoa-host.com"},
    {"notkept.org", "notkept.org", "notkept.org", "notkept.org"},
    {"held.com", "held.com", "held.com", "held.com"},
    {"stoa-host.com.evil.org", "stoa-host.com.evil.org", "stoa-host.com.evil.org", "evil.org"},
    {"local.customer-one.com", "local.customer-one.com", "local.customer-one.com",
     "customer-one.com"},
    {"mytest.mylocal", "mytest.mylocal", "mytest.mylocal", "mytest.mylocal"},
};

// Each reason by its beginning, which tells it from the others.
static const struct {
    const char *typed, *reason;
} refused[] = {
    {"", EMPTY},
    {"  ", EMPTY},
    {".", EMPTY},
    {"\xc2\xad", EMPTY},
    // what people paste
    {"https://forms.customer-one.com", ONLY},
    {"https://forms.customer-one.com/path?x=1#y", ONLY},
    {"HTTP://1.2.3.4/", ONLY},
    {"//forms.customer-one.com", ONLY},
    {"forms.customer-one.com/", ONLY},
    {"forms.customer-one.com?x", ONLY},
    {"forms.customer-one.com#x", ONLY},
    {"\\\\server\\share", ONLY},
    {"me@customer-one.com", "A mail address is no custom domain."},
    {"forms.customer-one.com:443", "Write the name without a port: a custom domain answers"},
    {"forms.customer-one.com:", "Write the name without a port"},
    {"forms.customer-one.com:https", "Write the name without a port"},
    {"*.customer-one.com", "A wildcard cannot be added: add each name by itself."},
    {"forms.*.com", "A wildcard cannot be added"},
    {"forms customer-one.com", SPACES},
    {"forms.customer-one.com, b.com", SPACES},
    {"a.com;b.com", SPACES},
    {"a.com\nb.com", SPACES},
    // addresses, as anything that reads one would
    {"1.2.3.4", ADDRESS},
    {"1.2.3.4.", ADDRESS},
    {" 1.2.3.4 ", ADDRESS},
    {"1.2.3.4:80", ADDRESS},
    {"127.1", ADDRESS},
    {"2130706433", ADDRESS},
    {"017700000001", ADDRESS},
    {"0177.0.0.1", ADDRESS},
    {"0x7f000001", ADDRESS},
    {"0X7F.1", ADDRESS},
    {"0x", ADDRESS},
    {"1.2.3.4.5", ADDRESS},
    {"customer-one.42", ADDRESS},
    {"customer-one.0x2a", ADDRESS},
    {"999.999.999.999", ADDRESS},
    {"１２７.０.０.１", ADDRESS},
    {"127。0。0。1", ADDRESS},
    {"①②⑦.0.0.1", ADDRESS},
    {"::1", ADDRESS},
    {"[::1]", ADDRESS},
    {"[::1]:8080", ADDRESS},
    {"2001:db8::1", ADDRESS},
    {"fe80::1%eth0", ADDRESS},
    {"[fe80::1%25eth0]", ADDRESS},
    {"::ffff:1.2.3.4", ADDRESS},
    {"[v1.x]", ADDRESS},
    // the form of a name
    {"a..com", MISSING},
    {".customer-one.com", MISSING},
    {"customer-one.com..", MISSING},
    {"。customer-one.com", MISSING},
    {"a.\xc2\xad.com", MISSING},
    {"-a.com", HYPHEN},
    {"a-.com", HYPHEN},
    {"a.-", HYPHEN},
    {"－a.com", HYPHEN},
    {"my_forms.customer-one.com", "A custom domain has no underscore"},
    {"_stoa-challenge.customer-one.com", "A custom domain has no underscore"},
    {"my＿forms.com", "A custom domain has no underscore"},
    {"a%2eb.com", SIGN},
    {"a!b.com", SIGN},
    {"a\"b.com", SIGN},
    {"<b>.com", SIGN},
    {"a\x7f.com", SIGN},
    {"a\x01.com", SIGN},
    {"💩.la", SIGN},
    {"xn--ls8h.la", SIGN},
    {"℀.com", SIGN},
    {"ａ／ｂ.com", SIGN},
    {"a\xe2\x80\x8d"
     "b.com",
     SIGN},
    {"a\xe2\x80\xae"
     "b.com",
     SIGN}, // bidi override
    {"\xff\xfe.com", "It is not text in UTF-8."},
    {LABEL63 "d.com", PART_LONG},
    {"ä" LABEL63 ".com", PART_LONG},
    {LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 ".com", "It is longer than 253 bytes"},
    {LABEL63 "." LABEL63 "." LABEL63 "." SIXTY ".de", "It is longer than 2"},
    {LABEL63 "." LABEL63 "." LABEL63 "." TEN TEN TEN TEN "abc.com",
     "It is longer than 237 bytes as DNS writes it: _stoa-challenge. has to fit before it, in "
     "253."},
    // IDNA
    {"xn--.com", XN},
    {"xn--a.com", SIGN},
    {"xn--stoa-.com", "A part"},
    {"xn--fa-n--hia.de", "A part that begins with xn-- is not how its letters are spelt"},
    {"ab--cd.com", "A part has hyphens in its third and fourth place"},
    {"1יהודה.com", "It mixes letters written from the right"},
    {"\xcc\x81"
     "a.com",
     "A part begins with an accent"},
    // nobody's
    {"localhost",
     "Nobody can own it: .localhost always means the visitor's own machine (RFC 6761)."},
    {"a.localhost", "Nobody can own it: .localhost"},
    {"LOCALHOST.", "Nobody can own it: .localhost"},
    {"test", "Nobody can own it: .test is for tests (RFC 6761)."},
    {"forms.test", "Nobody can own it: .test"},
    {"forms.example", "Nobody can own it: .example is for documentation (RFC 6761)."},
    {"a.invalid", "Nobody can own it: .invalid is never in DNS (RFC 6761)."},
    {"printer.local",
     "Nobody can own it: .local is asked in the local network, not in DNS (RFC 6762)"},
    {"abc.onion", "Nobody can own it: .onion belongs to Tor (RFC 7686)."},
    {"a.alt", "Nobody can own it: .alt is for names outside of DNS (RFC 9476)."},
    {"git.internal", "Nobody can own it: .internal is for private networks (ICANN, 2024)."},
    {"nas.home.arpa", "Nobody can own it: .home.arpa is for home networks (RFC 8375)."},
    {"1.0.0.127.in-addr.arpa",
     "Nobody can own it: .arpa is for the network's own workings (RFC 3172)"},
    {"a.home", "Nobody can own it: .home is never delegated"},
    {"a.corp", "Nobody can own it: .corp is never delegated"},
    {"a.mail", "Nobody can own it: .mail is never delegated"},
    {"forms.ｔｅｓｔ", "Nobody can own it: .test"},
    {"forms", "A name has two parts at least, such as forms.example.com."},
    {"com", "A name has two parts at least"},
    {"co.uk", "co.uk is a public suffix: many owners have names below it."},
    {"github.io", "github.io is a public suffix"},
    {"何か.ck", "xn--u8j474g.ck is a public suffix"}, // *.ck
    {"個人.hk", "xn--gmqw5a.hk is a public suffix"},
    // the operator's
    {"apps.stoa-host.com", "apps.stoa-host.com and all names below it belong to this server."},
    {"APPS.stoa-host.com.", "apps.stoa-host.com and all names below it belong to this server."},
    {"x.y.apps.stoa-host.com", "apps.stoa-host.com and all names below it belong"},
    {"stoa-host.com", "It lies above apps.stoa-host.com, which belongs to this server."},
    {"operator.net", "It lies above console.operator.net, which belongs to this server."},
    {"console.operator.net", "console.operator.net and all names below it"},
    {"rsvp.tenants.io", "tenants.io and all names below it belong to this server."},
    {"kept.org", "The operator of this server keeps kept.org and all names below it."},
    {"a.kept.org", "The operator of this server keeps kept.org"},
    {"xn--bcher-kva.de", "The operator of this server keeps xn--bcher-kva.de"},
    {"x.bücher.de", "The operator of this server keeps xn--bcher-kva.de"},
    {"sub.held.com", "The operator of this server keeps sub.held.com"},
    // mistaken for the operator's
    {"аpps.stoa-host.com", "It looks like apps.stoa-host.com, which belongs to this server."},
    {"apps.stoa-hоst.com", "It looks like apps.stoa-host.com"},
    {"shop.stoa-hоst.com", "It looks like stoa-host.com, which belongs to this server."},
    {"st0a-host.com", "It looks like stoa-host.com"},
    {"apps.st0a-host.com", "It looks like apps.stoa-host.com"},
    {"ѕtoa-host.com", "It looks like stoa-host.com"},
    {"xn--toa-host-jhh.com", "It looks like stoa-host.com"},
    {"c0nsole.operator.net", "It looks like console.operator.net"},
    {"tenаnts.io", "It looks like tenants.io"},
};

static void names_that_are_taken(void **state)
{
    for (size_t i = 0; i != sizeof taken / sizeof taken[0]; ++i) {
        struct hostname h;
        struct fault fault;
        if (hostname_parse(str_from(taken[i].typed), &h, &fault) != FAIL_NONE)
            fail_msg("%s: %s", taken[i].typed, fault.public_text);
        assert_string_equal(h.ascii, taken[i].ascii);
        assert_string_equal(h.unicode, taken[i].unicode);
        assert_string_equal(h.registrable, taken[i].registrable);
    }
}

static void names_that_are_refused(void **state)
{
    size_t wrong = 0;
    for (size_t i = 0; i != sizeof refused / sizeof refused[0]; ++i) {
        struct hostname h;
        struct fault fault = {.code = ""};
        enum fail f = hostname_parse(str_from(refused[i].typed), &h, &fault);
        bool ok = f == FAIL_REFUSED && strcmp(fault.code, "invalid_hostname") == 0 &&
                  refused[i].reason &&
                  str_starts(str_from(fault.public_text), str_from(refused[i].reason));
        if (!ok)
            print_error("%s: %d %s\n", refused[i].typed, f, f ? fault.public_text : h.ascii);
        wrong += !ok;
    }
    assert_int_equal(wrong, 0);
}

static void a_refusal_leaves_the_result_alone(void **state)
{
    struct hostname h = {.ascii = "before"};
    assert_int_equal(hostname_parse(STR("x.test"), &h, NULL), FAIL_REFUSED);
    assert_string_equal(h.ascii, "before");
}

static void a_nul_is_no_end(void **state)
{
    struct hostname h;
    struct fault fault;
    str with_nul = STR("forms.customer-one.com\0.evil.org");
    assert_int_equal(hostname_parse(with_nul, &h, &fault), FAIL_REFUSED);
    assert_string_equal(fault.public_text, "It is not text in UTF-8.");
}

static void long_texts_are_not_read(void **state)
{
    static char text[1 << 20];
    struct hostname h;
    struct fault fault;
    memset(text, 'a', sizeof text);
    assert_int_equal(hostname_parse(str_of(text, sizeof text), &h, &fault), FAIL_REFUSED);
    assert_string_equal(fault.public_text, "It is longer than 253 bytes as DNS writes it.");
}

static void nothing_is_own_without_rules(void **state)
{
    struct hostname h;
    hostname_init(&(struct hostname_rules){.reserved = ""});
    assert_int_equal(hostname_parse(STR("apps.stoa-host.com"), &h, NULL), FAIL_NONE);
    assert_int_equal(hostname_parse(STR("kept.org"), &h, NULL), FAIL_NONE);
    hostname_init(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_taken),
        cmocka_unit_test(names_that_are_refused),
        cmocka_unit_test(a_refusal_leaves_the_result_alone),
        cmocka_unit_test(a_nul_is_no_end),
        cmocka_unit_test(long_texts_are_not_read),
        cmocka_unit_test(nothing_is_own_without_rules),
    };
    hostname_init(&rules);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
