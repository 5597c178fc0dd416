// Turns to have an image cleaned: who has one, who is next, who is told to come again.
#include "edge/inspect/turns.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct fault fault;
static struct inspect_turn *called[100];
static size_t calls;

static void on_turn(struct inspect_turn *t)
{
    called[calls++] = t;
}

static int begin(void **state)
{
    calls = 0;
    return 0;
}

static struct inspect_turn turn_of(const char *owner)
{
    return (struct inspect_turn){.owner = str_from(owner), .on_turn = on_turn};
}

static bool is_now(struct inspect_turn *t)
{
    bool now = false;
    assert_int_equal(inspect_turn_take(t, &now, &fault), FAIL_NONE);
    return now;
}

static void assert_refused(struct inspect_turn *t)
{
    bool now;
    assert_int_equal(inspect_turn_take(t, &now, &fault), FAIL_BUSY);
    assert_string_equal(fault.code, "busy");
}

static void one_owner_has_one_turn(void **state)
{
    struct inspect_turn a = turn_of("a"), more = turn_of("a"), b = turn_of("b"), c = turn_of("c");
    assert_true(is_now(&a));
    assert_false(is_now(&more)); // though there is a second place
    assert_true(is_now(&b));
    assert_false(is_now(&c));
    inspect_turn_leave(&b);
    assert_int_equal(calls, 1);
    assert_ptr_equal(called[0], &c); // who came later, but has none
    inspect_turn_leave(&a);
    assert_ptr_equal(called[1], &more);
    inspect_turn_leave(&c);
    inspect_turn_leave(&more);
    assert_int_equal(calls, 2);
    assert_true(is_now(&a));
    inspect_turn_leave(&a);
}

static void an_owner_waits_behind_himself(void **state)
{
    struct inspect_turn own[INSPECT_TURNS_WAITING_OF_ONE + 2];
    for (size_t i = 0; i != INSPECT_TURNS_WAITING_OF_ONE + 2; ++i)
        own[i] = turn_of("a");
    for (size_t i = 0; i != INSPECT_TURNS_WAITING_OF_ONE + 1; ++i)
        assert_int_equal(is_now(&own[i]), i == 0);
    assert_refused(&own[INSPECT_TURNS_WAITING_OF_ONE + 1]);
    struct inspect_turn b = turn_of("b");
    assert_true(is_now(&b));
    inspect_turn_leave(&b);
    for (size_t i = 0; i != INSPECT_TURNS_WAITING_OF_ONE + 1; ++i) {
        assert_int_equal(calls, i);
        inspect_turn_leave(&own[i]);
    }
    for (size_t i = 0; i != INSPECT_TURNS_WAITING_OF_ONE; ++i)
        assert_ptr_equal(called[i], &own[i + 1]);
}

static void not_more_wait_than_there_is_room_for(void **state)
{
    static struct inspect_turn all[2 + INSPECT_TURNS_WAITING + 1];
    static char names[2 + INSPECT_TURNS_WAITING + 1];
    size_t n = sizeof names;
    for (size_t i = 0; i != n; ++i) {
        names[i] = (char)(i + 1);
        all[i] = (struct inspect_turn){.owner = str_of(&names[i], 1), .on_turn = on_turn};
        if (i != n - 1)
            assert_int_equal(is_now(&all[i]), i < 2);
    }
    assert_refused(&all[n - 1]);
    for (size_t i = 0; i != n - 1; ++i)
        inspect_turn_leave(&all[i]);
    assert_int_equal(calls, INSPECT_TURNS_WAITING);
}

static void who_gives_up_is_not_called(void **state)
{
    struct inspect_turn a = turn_of("a"), second = turn_of("a"), third = turn_of("a");
    assert_true(is_now(&a));
    assert_false(is_now(&second));
    assert_false(is_now(&third));
    assert_true(inspect_turn_give_up(&second));
    assert_false(inspect_turn_give_up(&second));
    assert_false(inspect_turn_give_up(&a)); // has it, and keeps it
    assert_refused(&second);
    inspect_turn_leave(&a);
    assert_int_equal(calls, 1);
    assert_ptr_equal(called[0], &third);
    inspect_turn_leave(&third);
}

static void who_gave_up_before_takes_what_is_free_and_waits_no_more(void **state)
{
    struct inspect_turn a = turn_of("a"), late = turn_of("a");
    assert_false(inspect_turn_give_up(&late));
    assert_true(is_now(&a));
    assert_refused(&late);
    inspect_turn_leave(&a);
    assert_int_equal(calls, 0);
    assert_true(is_now(&late));
    inspect_turn_leave(&late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_owner_has_one_turn, begin),
        cmocka_unit_test_setup(an_owner_waits_behind_himself, begin),
        cmocka_unit_test_setup(not_more_wait_than_there_is_room_for, begin),
        cmocka_unit_test_setup(who_gives_up_is_not_called, begin),
        cmocka_unit_test_setup(who_gave_up_before_takes_what_is_free_and_waits_no_more, begin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
