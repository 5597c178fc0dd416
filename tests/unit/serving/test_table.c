#include <stdio.h>
#include <stdlib.h>
#include "bundles/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h> // last: it defines fail()

struct item {
    uint64_t hash;
    unsigned number;
};

static struct item *find(const struct table *t, uint64_t hash, unsigned number)
{
    size_t at;
    for (struct item *i = table_first(t, hash, &at); i != NULL; i = table_next(t, hash, &at))
        if (i->number == number)
            return i;
    return NULL;
}

// Few distinct hashes, so that runs are long, wrap round and have holes closed in them.
static void test_items_come_and_go(void **state)
{
    enum { N = 500 };
    struct table t;
    struct item items[N];
    unsigned random = 12345;
    bool is_in[N] = {false};
    table_init(&t);
    for (unsigned i = 0; i < N; i++)
        items[i] = (struct item){.hash = i % 7 * 0x1000001 + i % 3 - 1, .number = i};
    for (unsigned step = 0; step < 20000; step++) {
        random = random * 1103515245 + 12345;
        unsigned i = random / 65536 % N;
        if (is_in[i])
            table_remove(&t, items[i].hash, &items[i]);
        else
            table_add(&t, items[i].hash, &items[i]);
        is_in[i] = !is_in[i];
        unsigned other = random / 7 % N;
        assert_ptr_equal(find(&t, items[other].hash, other), is_in[other] ? &items[other] : NULL);
    }
    size_t count = 0, at = 0;
    while (table_each(&t, &at) != NULL)
        count++;
    assert_int_equal(count, t.count);
    table_fini(&t);
}

static void test_hash_depends_on_every_byte(void **state)
{
    char text[40] = {0};
    for (size_t n = 0; n <= sizeof text; n++) {
        uint64_t before = table_hash(str_of(text, n));
        assert_true(before == table_hash(str_of(text, n)));
        for (size_t i = 0; i < n; i++) {
            text[i] ^= 1;
            assert_true(before != table_hash(str_of(text, n)));
            text[i] ^= 1;
        }
        if (n < sizeof text)
            assert_true(before != table_hash(str_of(text, n + 1)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_come_and_go),
        cmocka_unit_test(test_hash_depends_on_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
