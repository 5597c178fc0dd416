// The borders of HPACK fields, without decoding.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "edge/guard/fields.h"

#define PASS(literal, max, first)                                                                  \
    fields_pass((const uint8_t *)literal, sizeof(literal) - 1, max, first)

static void expect(struct fields f, int state, size_t count, size_t n)
{
    assert_int_equal(f.state, state);
    assert_int_equal(f.count, count);
    assert_int_equal(f.n, n);
}

static void fields_are_counted(void **state)
{
    expect(PASS("", 10, 1), FIELDS_END, 0, 0);
    expect(PASS("\x82\x86\x84", 10, 1), FIELDS_END, 3, 3);
    expect(PASS("\x00\x01"
                "a\x01"
                "b\x40\x01"
                "c\x01"
                "d\x10\x01"
                "e\x01"
                "f\x44\x02/x\x04\x01/",
                10, 1),
           FIELDS_END, 5, 22);
    expect(PASS("\x0f\x00\x01x", 10, 1), FIELDS_END, 1, 4); // name index 15
}

static void it_stops_at_the_most(void **state)
{
    uint8_t many[1000];
    memset(many, 0xbe, sizeof(many));
    expect(fields_pass(many, sizeof(many), 104, 1), FIELDS_MORE, 104, 104);
    expect(fields_pass(many, 104, 104, 1), FIELDS_END, 104, 104);
    expect(fields_pass(many, 5, 0, 1), FIELDS_MORE, 0, 0);
}

static void broken_blocks(void **state)
{
    expect(PASS("\x82\x40", 10, 1), FIELDS_BROKEN, 1, 1);
    expect(PASS("\x00\x05x", 10, 1), FIELDS_BROKEN, 0, 0);
    expect(PASS("\x00\x01x", 10, 1), FIELDS_BROKEN, 0, 0);
    expect(PASS("\x00\x01x\x02y", 10, 1), FIELDS_BROKEN, 0, 0);
    expect(PASS("\xff", 10, 1), FIELDS_BROKEN, 0, 0);
    expect(PASS("\xff\x80\x80\x80\x80\x00", 10, 1), FIELDS_BROKEN, 0, 0); // five octets
    expect(PASS("\x00\x7f\xff\xff\xff\x7f", 10, 1), FIELDS_BROKEN, 0, 0); // a string of 256 MB
}

static void table_sizes(void **state)
{
    expect(PASS("\x20\x82", 10, 1), FIELDS_END, 1, 2);
    expect(PASS("\x20\x3f\xe1\x1f\x82", 10, 1), FIELDS_END, 1, 5);
    expect(PASS("\x20\x20\x20\x82", 10, 1), FIELDS_BROKEN, 0, 0);
    expect(PASS("\x82\x20", 10, 1), FIELDS_BROKEN, 1, 1);
    expect(PASS("\x82\x20\x82", 10, 1), FIELDS_BROKEN, 1, 1);
    expect(PASS("\x20\x82", 10, 0), FIELDS_BROKEN, 0, 0); // the block began before
    expect(PASS("\x3f", 10, 1), FIELDS_BROKEN, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(it_stops_at_the_most),
        cmocka_unit_test(broken_blocks),
        cmocka_unit_test(table_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
