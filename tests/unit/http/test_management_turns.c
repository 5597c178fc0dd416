// Whose turn it is: one of each holder's runs, in the order they asked. The loop is played: a message
// that was posted has run.
#include "edge/http/management_turns.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { TURNS = 1 + TURNS_WAITING_MAX };

static struct management_turn *begun;
static unsigned begun_count;

struct loop *loop_self(void)
{
    return (struct loop *)&begun;
}

void loop_post(struct loop *loop, struct loop_message *m)
{
    assert_ptr_equal(loop, loop_self());
    m->run(m);
}

static void on_begin(struct management_turn *t)
{
    begun = t;
    ++begun_count;
}

static enum turn_answer ask(struct management_turn *t, const char *holder)
{
    *t = (struct management_turn){.begin = on_begin};
    return management_turn_ask(t, holder);
}

static void one_holders_come_in_their_order(void **state)
{
    struct management_turn t[TURNS], more;
    assert_int_equal(ask(&t[0], "a"), TURN_NOW);
    for (unsigned i = 1; i != TURNS; ++i)
        assert_int_equal(ask(&t[i], "a"), TURN_LATER);
    assert_int_equal(ask(&more, "a"), TURN_TOO_MANY);
    begun_count = 0;
    management_turn_end(&more); // it has none
    assert_int_equal(begun_count, 0);
    for (unsigned i = 1; i != TURNS; ++i) {
        management_turn_end(&t[i - 1]);
        assert_int_equal(begun_count, i);
        assert_ptr_equal(begun, &t[i]);
    }
    management_turn_end(&t[TURNS - 1]);
    assert_int_equal(begun_count, TURNS - 1);
    assert_int_equal(ask(&more, "a"), TURN_NOW);
    management_turn_end(&more);
    management_turn_end(&more);
}

static void one_holder_waits_for_no_other(void **state)
{
    struct management_turn a, a2, b, b2, c;
    assert_int_equal(ask(&a, "a"), TURN_NOW);
    assert_int_equal(ask(&a2, "a"), TURN_LATER);
    assert_int_equal(ask(&b, "b"), TURN_NOW);
    assert_int_equal(ask(&b2, "b"), TURN_LATER);
    begun = NULL;
    management_turn_end(&b);
    assert_ptr_equal(begun, &b2);
    assert_int_equal(ask(&c, "c"), TURN_NOW);
    begun = NULL;
    management_turn_end(&b2);
    management_turn_end(&c);
    assert_null(begun);
    management_turn_end(&a);
    assert_ptr_equal(begun, &a2);
    management_turn_end(&a2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_holders_come_in_their_order),
        cmocka_unit_test(one_holder_waits_for_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
