// Runs on the real stoa-handler.
#include "tests/unit/plugin/forked.h"
#include "tests/unit/plugin/played.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "public-actions/plugin/internal.h"
#include <cmocka.h>

#define CODE(body) "module.exports = { handler: async (input, context) => { " body " } };"
#define INPUT(json)                                                                                \
    "{\"export\":\"handler\",\"input\":" json ",\"context\":{\"kind\":\"public\",\"publicApp\":{}" \
    "}}"

static struct handler *new_handler(const char *code)
{
    return desk_new_handler(NULL, code);
}
#if defined(STOA_ASAN) || defined(STOA_TSAN) // which take memory of their own
#define ROOM (UINT64_C(2) << 30)
#else
#define ROOM (UINT64_C(256) << 20)
#endif
#ifdef STOA_TSAN // in which the engine takes seconds to start
enum { BUSY_MS = 8000, LOOPS_TRIED = 2 };
#else
enum { BUSY_MS = 2500, LOOPS_TRIED = 7 };
#endif
enum { PATIENCE_MS = 40000 }; // with those that are to end by themselves
// Of the runs from here on.
static void patience(uint64_t ms)
{
    desk_set(&plugin_options.busy_ms, ms);
}
static struct played_run *ran(struct handler *h, const char *body, enum plugin_outcome outcome)
{
    struct played_run *r = run_one(h, body);
    if (r->answer.outcome != outcome)
        fail_msg("outcome %d, data %s, meta %s", r->answer.outcome, r->data, r->meta);
    return r;
}

static void answers(void **state)
{
    struct handler *h = new_handler(CODE("return { sum: input.a + input.b };"));
    struct played_run *r = ran(h, INPUT("{\"a\":1,\"b\":2}"), PLUGIN_RETURNED);
    assert_string_equal(r->data, "{\"sum\":3}");
    free(r);
    desk_drop(h);
    h = new_handler(CODE("console.log('hi', 1); throw new Error('no');"));
    r = ran(h, INPUT("{}"), PLUGIN_THREW);
    assert_non_null(strstr(r->meta, "\"message\":\"no\""));
    assert_string_equal(r->log, "log:hi 1\n");
    free(r);
    desk_drop(h);
}

static void waits(void **state)
{
    struct handler *h = new_handler(
        CODE("await new Promise((resolve) => setTimeout(resolve, 30));"
             "const seen = []; for (let i = 0; i < 3; ++i) seen.push(i); return seen;"));
    uint64_t began = clock_monotonic_ms();
    struct played_run *r = ran(h, INPUT("{}"), PLUGIN_RETURNED);
    assert_string_equal(r->data, "[0,1,2]");
    assert_true(clock_monotonic_ms() - began >= 28);
    free(r);
    desk_drop(h);
}

static void loops_of_every_kind_are_ended(void **state)
{
    static const char *const codes[] = {
        CODE("for (;;);"),
        CODE("for (;;) await 0;"),
        CODE("for (;;) console.log('x');"),
        CODE("/^(a+)+$/.test('a'.repeat(40) + '!'); for (;;);"),
        CODE("[3, 1, 2].sort(() => { for (;;); });"),
        CODE("setTimeout(() => { for (;;); }, 1); await new Promise(() => {});"),
        CODE("return { get a() { for (;;); } };"),
    };
    patience(BUSY_MS);
    for (size_t i = 0; i != LOOPS_TRIED; ++i) {
        struct handler *h = new_handler(codes[i]);
        uint64_t began = clock_monotonic_ms();
        struct played_run *r = ran(h, INPUT("{}"), PLUGIN_TIMED_OUT);
        assert_in_range(clock_monotonic_ms() - began, BUSY_MS / 2, 6 * BUSY_MS);
        free(r);
        desk_drop(h);
    }
    patience(PATIENCE_MS);
}

static void one_that_never_settles_ends_alone(void **state)
{
    // the worker that lives on is known by what it remembers
    struct handler *h =
        new_handler(CODE("globalThis.calls = (globalThis.calls ?? 0) + 1;"
                         "if (input.wait) await new Promise(() => {}); return calls;"));
    struct played_run slow = {.run.timeout_ms = 150}, *r;
    free(ran(h, INPUT("{}"), PLUGIN_RETURNED));
    run_start(&slow, h, INPUT("{\"wait\":true}"));
    free(ran(h, INPUT("{}"), PLUGIN_RETURNED));
    run_wait(&slow);
    assert_int_equal(slow.answer.outcome, PLUGIN_TIMED_OUT);
    r = ran(h, INPUT("{}"), PLUGIN_RETURNED);
    assert_string_equal(r->data, "4");
    free(r);
    desk_drop(h);
}

static void memory_bombs_hurt_nobody_else(void **state)
{
#if defined(STOA_ASAN) || defined(STOA_TSAN)
    skip(); // without the limit of address space
#endif
    static const char *const codes[] = {
        CODE("const all = []; for (;;) all.push(new Array(10000).fill({}));"),
        CODE("const all = {}; for (let i = 0;; ++i) all['k' + i] = { i };"),
        CODE(
            "let s = 'x'; const all = []; for (let i = 0;; ++i) all.push(s + i + s.repeat(1000));"),
    };
    struct handler *other = new_handler(CODE("return 1;"));
    free(ran(other, INPUT("{}"), PLUGIN_RETURNED));
    for (size_t i = 0; i != sizeof codes / sizeof *codes; ++i) {
        struct handler *h = new_handler(codes[i]);
        struct played_run r = {.run.timeout_ms = 40000};
        run_start(&r, h, INPUT("{}"));
        run_wait(&r);
        assert_int_equal(r.answer.outcome, PLUGIN_OUT_OF_MEMORY);
        desk_drop(h);
        free(ran(other, INPUT("{}"), PLUGIN_RETURNED));
    }
    desk_drop(other);
}

static void many_calls_at_once_are_no_harm(void **state)
{
    struct handler *h = new_handler(
        CODE("for (let i = 0; i < 20000; ++i) context.fetch('http://a/' + i).catch(() => {});"
             "return 1;"));
    free(ran(h, INPUT("{}"), PLUGIN_RETURNED)); // all are refused
    free(ran(h, INPUT("{}"), PLUGIN_RETURNED));
    desk_drop(h);
}

// A run that takes longer than a worker may be busy, and is none of that.
static void begin_long(struct played_run *r, const char *code)
{
    patience(BUSY_MS);
    r->run.timeout_ms = 30000;
    run_start(r, new_handler(code), INPUT("{}"));
}

static void end_long(struct played_run *r, const char *data)
{
    run_wait(r);
    assert_string_equal(r->data, data);
    patience(PATIENCE_MS);
    desk_drop(r->run.handler);
}

// More than are on their way at once wait in the worker, however long it takes.
static void surplus_calls_wait_in_line(void **state)
{
    struct played_run r = {0};
    begin_long(
        &r, CODE("const wait = async (i) => { try { return await context.managedDb.query('' + i); }"
                 "catch (e) { return e.message; } };"
                 "const all = await Promise.all(Array.from({ length: 150 }, (_, i) => wait(i)));"
                 "return all.every((a) => a === 'kept') ? all.length : all;"));
    desk_wait(&r.bridges, 64);
    desk_sleep(2 * BUSY_MS); // it has been pinged by now
    assert_int_equal(r.bridges, 64);
    for (unsigned seen = 64; r.done == 0 && seen != 150;) {
        run_release(&r);
        seen = seen + 64 < 150 ? seen + 64 : 150;
        desk_wait(&r.bridges, seen);
        assert_int_equal(r.bridges, seen);
    }
    run_release(&r);
    end_long(&r, "150");
    assert_string_equal(r.last_args, "[\"149\",[],{}]"); // in order
}

// So do those whose arguments are too much for the server to hold at once.
static void large_calls_wait_in_line(void **state)
{
    struct played_run r = {0};
    begin_long(
        &r, CODE("const large = 'x'.repeat(6 << 20);"
                 "const wait = (i) => context.managedDb.query(large + i).catch((e) => e.message);"
                 "const all = await Promise.all([0, 1, 2, 3].map(wait));"
                 "return all.every((a) => a === 'kept') ? all.length : all;"));
    for (unsigned i = 1; i <= 4; ++i) {
        desk_wait(&r.bridges, i);
        desk_sleep(i == 1 ? 2 * BUSY_MS : 0);
        assert_int_equal(r.bridges, i);
        run_release(&r);
    }
    end_long(&r, "4");
}

static void code_that_cannot_be_loaded(void **state)
{
    struct problems problems;
    struct fault fault;
    problems_init(&problems);
    assert_int_equal(plugin_check(STR(CODE("return 1;")), 5, &problems, &fault), FAIL_NONE);
    assert_int_equal(plugin_check(STR("const a = 1;\nconst b = ;\n"), 5, &problems, &fault),
                     FAIL_REFUSED);
    print_message("%u:%u %s\n", problems.list[0].line, problems.list[0].column,
                  problems.list[0].message);
    assert_int_equal(problems.list[0].line, 6);
    patience(BUSY_MS);
    assert_int_equal(plugin_check(STR("for (;;);"), 5, &problems, &fault), FAIL_REFUSED);
    patience(PATIENCE_MS);
    assert_non_null(strstr(problems.list[1].message, "did not finish loading"));
    problems_fini(&problems);
    struct handler *h = new_handler("nonsense(");
    struct played_run *r = ran(h, INPUT("{}"), PLUGIN_NOT_LOADED);
    assert_non_null(strstr(r->meta, "SyntaxError"));
    free(r);
    desk_drop(h);
}

static void an_idle_worker_tidies_up(void **state)
{
    struct handler *h =
        new_handler(CODE("globalThis.kept = (globalThis.kept ?? 0) + 1; return kept;"));
    free(ran(h, INPUT("{}"), PLUGIN_RETURNED));
    desk_sleep(2300);
    struct played_run *r = ran(h, INPUT("{}"), PLUGIN_RETURNED);
    assert_string_equal(r->data, "2"); // the same worker
    free(r);
    desk_drop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(waits),
        cmocka_unit_test(loops_of_every_kind_are_ended),
        cmocka_unit_test(one_that_never_settles_ends_alone),
        cmocka_unit_test(memory_bombs_hurt_nobody_else),
        cmocka_unit_test(many_calls_at_once_are_no_harm),
        cmocka_unit_test(surplus_calls_wait_in_line),
        cmocka_unit_test(large_calls_wait_in_line),
        cmocka_unit_test(code_that_cannot_be_loaded),
        cmocka_unit_test(an_idle_worker_tidies_up),
    };
    struct plugin_options options = desk_options(&forked_source, PATIENCE_MS);
    options.worker_memory = ROOM;
    forked_init();
    desk_start(2, &options);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    desk_stop();
    return failed;
}
