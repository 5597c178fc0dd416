// Walking through JSON that is not built.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"

// "name=value;…" of what is inside.
static void assert_holds(str text, const char *expected)
{
    struct buf b;
    str inside = jsonx_inside(text), name, value;
    buf_init(&b, 1000);
    while (jsonx_next(&inside, &name, &value))
        buf_addf(&b, "%.*s=%.*s;", STR_FMT(name), STR_FMT(value));
    buf_addc(&b, '\0');
    assert_string_equal(b.p, expected);
    buf_fini(&b);
}

static void test_items_and_members_one_by_one(void **state)
{
    assert_holds(STR("[]"), "");
    assert_holds(STR(" { } "), "");
    assert_holds(STR("[1,-2.5e3,true,null,\"x\"]"), "=1;=-2.5e3;=true;=null;=\"x\";");
    assert_holds(STR(" [ 1 , [ 2, [3] ] ,{\"a\" : [\"]}\"]} ] "),
                 "=1;=[ 2, [3] ];={\"a\" : [\"]}\"]};");
    assert_holds(STR("{\"a\":1,\"b\":{\"c\":[]},\"\":\"\\\"}\"}"), "a=1;b={\"c\":[]};=\"\\\"}\";");
    assert_holds(STR("{ \"a\" : \"b\" , \"c\"\n:\t\"d\" }\n"), "a=\"b\";c=\"d\";");
    assert_holds(STR("[\"a\",\"b:\"]"), "=\"a\";=\"b:\";");
    assert_holds(STR("1"), "");
    assert_holds(STR("\"[1]\""), "");
    assert_holds((str){0}, "");
    assert_null(jsonx_inside(STR("null")).p);
    assert_non_null(jsonx_inside(STR("[]")).p);
}

static void test_a_member_by_its_name(void **state)
{
    str text = STR("{\"a\":{\"b\":1},\"b\":2,\"a\\n\":3,\"b\":[4]}");
    assert_true(str_eq(jsonx_member(text, STR("b")), STR("[4]"))); // the last, as JSON.parse has it
    assert_true(str_eq(jsonx_member(text, STR("a")), STR("{\"b\":1}")));
    assert_null(jsonx_member(text, STR("c")).p);
    assert_null(jsonx_member(text, STR("")).p);
    assert_null(jsonx_member(STR("[\"a\",1]"), STR("a")).p);
    assert_null(jsonx_member(STR("\"a\""), STR("a")).p);
    assert_null(jsonx_member((str){0}, STR("a")).p);
}

static void test_a_megabyte_of_brackets_holds_up_nobody(void **state)
{
    struct buf b;
    buf_init(&b, 2 << 20);
    buf_add(&b, STR("{\"big\":["));
    while (b.n < 1 << 20)
        buf_add(&b, STR("[],"));
    buf_add(&b, STR("0],\"message\":\"here\"}"));
    uint64_t best = UINT64_MAX;
    for (int i = 0; i != 5; ++i) {
        uint64_t began = clock_monotonic_us();
        assert_true(str_eq(jsonx_member(buf_str(&b), STR("message")), STR("\"here\"")));
        uint64_t took = clock_monotonic_us() - began;
        best = took < best ? took : best;
    }
    buf_fini(&b);
    print_message("%u us\n", (unsigned)best);
    assert_in_range(best, 0, 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_and_members_one_by_one),
        cmocka_unit_test(test_a_member_by_its_name),
        cmocka_unit_test(test_a_megabyte_of_brackets_holds_up_nobody)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
