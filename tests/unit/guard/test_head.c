// HTTP/1 heads: what is refused is in tests/e2e/h1-parser; here is what becomes of those that are not, and the small judgements.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "tests/unit/guard/parse.h"

static char bytes[4096];
static struct phr_header fields[100];
static struct head h;

static bool straighten(const char *text)
{
    size_t n = strlen(text);
    memcpy(bytes, text, n);
    assert_int_equal(parse_head(&h, bytes, n, fields), n);
    return head_straighten(&h);
}

static void is(str s, const char *text)
{
    assert_int_equal(s.n, strlen(text));
    assert_memory_equal(s.p, text, s.n);
}

static str field(const char *name)
{
    for (size_t i = 0; i < h.count; ++i)
        if (str_caseeq(str_of(fields[i].name, fields[i].name_len), str_from(name)))
            return str_of(fields[i].value, fields[i].value_len);
    return (str){NULL, 0};
}

static void origin_form(void **state)
{
    assert_true(straighten("GET /a?b HTTP/1.1\r\nHost: example\r\n\r\n"));
    is(h.target, "/a?b");
    is(h.authority, "example");
    assert_null(h.entity);
}

static void absolute_form(void **state)
{
    assert_true(straighten("GET http://a.example:80/x?y HTTP/1.1\r\nHost: b.example\r\n\r\n"));
    is(h.target, "/x?y");
    is(h.authority, "a.example:80");
    is(field("host"), "a.example:80");
    assert_true(straighten("GET http://a.example HTTP/1.1\r\nHost: b\r\n\r\n"));
    is(h.target, "/");
    is(h.authority, "a.example");
    assert_true(straighten("GET http://a.example?q=1 HTTP/1.1\r\nHost: b\r\n\r\n"));
    is(h.target, "/?q=1");
    is(h.authority, "a.example");
    is(field("host"), "a.example");
    assert_true(straighten("OPTIONS http://a.example HTTP/1.1\r\nHost: b\r\n\r\n"));
    is(h.target, "*");
    assert_false(straighten("GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n"));
    assert_false(straighten("GET http:///x HTTP/1.1\r\nHost: b\r\n\r\n"));
    assert_false(straighten("GET http://a/ HTTP/1.0\r\n\r\n"));
}

static void framing(void **state)
{
    assert_true(straighten("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12 \t\r\n\r\n"));
    assert_false(h.is_chunked);
    assert_int_equal(h.content_length, 12);
    is(str_of(h.entity->value, h.entity->value_len), "12");
    assert_true(straighten("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
                           "99999999999999999999999999\r\n\r\n"));
    assert_true(h.content_length == UINT64_MAX);
    assert_true(straighten("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n"));
    assert_true(h.is_chunked);
}

static void connection(void **state)
{
    assert_true(straighten("GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, foo\r\n\r\n"));
    is(field("connection"), "keep-alive");
    assert_true(straighten("GET / HTTP/1.1\r\nConnection: keep-alive\r\nHost: x\r\nConnection: a ,"
                           " CLOSE\r\n\r\n"));
    is(str_of(fields[0].value, fields[0].value_len), "close");
    is(str_of(fields[2].value, fields[2].value_len), "close");
    assert_true(straighten("GET / HTTP/1.0\r\nConnection: foo\r\n\r\n"));
    is(field("connection"), "close");
    assert_true(straighten("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    is(field("connection"), "keep-alive");
}

static void upgrade_goes(void **state)
{
    assert_true(straighten("POST / HTTP/1.1\r\nUpgrade: h2c\r\nHost: x\r\nUpgrade: y\r\n"
                           "Content-Length: 1\r\nUpgrade: z\r\nA: b\r\nUpgrade: w\r\n\r\n"));
    assert_int_equal(h.count, 3);
    is(field("host"), "x");
    is(field("a"), "b");
    is(str_of(h.entity->value, h.entity->value_len), "1");
    assert_ptr_equal(h.entity, &fields[1]);
}

static void authorities(void **state)
{
    static const char *const good[] = {"a",       "a.b",   "a:1",         "a:",    "A-b_c~d",
                                       "1.2.3.4", "[::1]", "[::1]:65535", "a%20b", "xn--a"};
    static const char *const bad[] = {"",      ":80",     "a:b",  "a:65536", "a:1:2", "u@a",
                                      "a/b",   "a b",     "a,b",  "[::1",    "[]",    "[::1]x",
                                      "[::g]", "[::1]:x", "a\\b", "a#b",     "a?b",   "a\"b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); ++i)
        if (!head_is_authority(str_from(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i)
        if (head_is_authority(str_from(bad[i])))
            fail_msg("taken: %s", bad[i]);
}

static void targets(void **state)
{
    assert_true(head_is_target(STR("/"), STR("GET")));
    assert_true(head_is_target(STR("*"), STR("OPTIONS")));
    assert_false(head_is_target(STR("*"), STR("GET")));
    assert_false(head_is_target(STR(""), STR("GET")));
    assert_false(head_is_target(STR("a"), STR("GET")));
    assert_false(head_is_target(STR("/a b"), STR("GET")));
    assert_false(head_is_target(STR("/a\0"), STR("GET")));
    assert_false(head_is_target(STR("/\x7f"), STR("GET")));
    assert_true(head_is_target(STR("/\xc3\xa9"), STR("GET")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origin_form),  cmocka_unit_test(absolute_form),
        cmocka_unit_test(framing),      cmocka_unit_test(connection),
        cmocka_unit_test(upgrade_goes), cmocka_unit_test(authorities),
        cmocka_unit_test(targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
