// Shares of workers' memory, on a table without workers: who is given room, who has to yield, and
// that it comes to an end, whatever sizes the projects' workers have.
#include "public-actions/plugin/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define MIB UINT64_C(1048576)
enum { PROJECTS = 40, WORKERS = 64 };

// Apps of a project, each with one worker or none; of all its workers the same comes of size.
struct project {
    char id[CATALOG_ID_ROOM];
    struct worker_holder *holder;
    uint64_t size, bytes, lost[WORKERS]; // lost: what that app's had, when it had to go
    unsigned apps, workers;
    bool has_worker[WORKERS];
};
static struct project projects[PROJECTS];
static unsigned count, yields;

static void count_bytes(struct project *p, int64_t by)
{
    p->bytes += (uint64_t)by;
    worker_holder_count(p->holder, by);
    plugin_count_bytes(by);
}

static void project_take(struct project *p, unsigned app)
{
    p->holder = worker_holder_join(p->id);
    p->has_worker[app] = true;
    ++p->workers;
    count_bytes(p, (int64_t)p->size);
}

static void project_give(struct project *p, unsigned app)
{
    count_bytes(p, -(int64_t)p->size);
    worker_holder_leave(p->holder);
    p->has_worker[app] = false;
    --p->workers;
}

static void begin(uint64_t pot)
{
    for (unsigned i = 0; i != count; ++i) {
        for (unsigned app = 0; app != projects[i].apps; ++app)
            if (projects[i].has_worker[app])
                project_give(&projects[i], app);
        worker_holders_answered(projects[i].id); // it asks no more
    }
    memset(projects, 0, sizeof projects);
    count = yields = 0;
    plugin_options.workers_memory = pot;
}

static struct project *project_add(unsigned apps, uint64_t size)
{
    static unsigned serial;
    struct project *p = &projects[count++];
    snprintf(p->id, sizeof p->id, "prj_%u", serial++);
    p->size = size;
    p->apps = apps;
    return p;
}

static struct project *project_with(unsigned apps, uint64_t size)
{
    struct project *p = project_add(apps, size);
    for (unsigned app = 0; app != apps; ++app)
        project_take(p, app);
    return p;
}

static bool fits(uint64_t wanted)
{
    return plugin_worker_bytes() + wanted <= plugin_options.workers_memory;
}

static bool yield_one(void)
{
    struct worker_yield y;
    if (!worker_holders_next_to_yield(&y))
        return false;
    struct project *p = projects;
    while (strcmp(p->id, y.project_id) != 0)
        ++p;
    unsigned app = 0;
    while (!p->has_worker[app])
        ++app;
    if (p->size > y.at_most)
        return false;
    p->lost[app] = p->size;
    project_give(p, app);
    ++yields;
    return true;
}

// All that have grown beyond the sum go.
static void bound(void)
{
    while (!fits(0)) {
        if (!worker_holders_are_over())
            nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000L}, NULL);
        else
            assert_true(yield_one());
    }
}

// A visitor of that app's has waited; its worker turns out to be larger than was thought.
static void visit(struct project *p, unsigned app)
{
    uint64_t wanted = p->lost[app] > MEMORY_GUESS ? p->lost[app] : MEMORY_GUESS;
    if (p->has_worker[app] || !worker_holders_goes_first(p->id))
        return;
    if (!fits(wanted)) {
        worker_holders_ask(p->id, wanted, true);
        while (!fits(wanted) && yield_one())
            ;
        if (!fits(wanted))
            return;
    }
    project_take(p, app);
    worker_holders_answered(p->id);
    bound();
}

static void visit_all(unsigned rounds)
{
    while (rounds-- != 0)
        for (unsigned app = 0; app != WORKERS; ++app)
            for (unsigned i = 0; i != count; ++i)
                if (app < projects[i].apps)
                    visit(&projects[i], app);
}

// --- the tests ---
static void however_many_they_are_each_has_its_part(void **state)
{
    static const unsigned numbers[] = {1, 2, 4, 5, 20};
    for (unsigned k = 0; k != sizeof numbers / sizeof numbers[0]; ++k) {
        unsigned n = numbers[k];
        begin(40 * MEMORY_GUESS);
        project_with(40, MEMORY_GUESS);
        while (count != n)
            project_add(40, MEMORY_GUESS);
        visit_all(3);
        for (unsigned i = 0; i != n; ++i)
            assert_int_equal(projects[i].workers, 40 / n);
        unsigned before = yields;
        visit_all(3);
        assert_int_equal(yields, before);
        assert_int_equal(before, 40 - 40 / n);
    }
}

static void who_wants_less_leaves_it_to_the_others(void **state)
{
    begin(40 * MEMORY_GUESS);
    project_with(40, MEMORY_GUESS);
    project_add(2, MEMORY_GUESS);
    project_add(30, MEMORY_GUESS);
    visit_all(3);
    assert_int_equal(projects[0].workers, 19);
    assert_int_equal(projects[1].workers, 2);
    assert_int_equal(projects[2].workers, 19);
}

// Else it would be their turn next to take one.
static void nobody_takes_from_who_would_have_less_then(void **state)
{
    begin(1536 * MIB);
    project_with(8, 100 * MIB);
    struct project *p = project_with(8, 92 * MIB);
    ++p->apps;
    visit_all(2);
    assert_int_equal(yields, 0);
}

static void single_ones_of_a_size_stay(void **state)
{
    begin(10 * 30 * MIB);
    for (unsigned i = 0; i != 10; ++i)
        project_with(1, 30 * MIB);
    for (unsigned i = 0; i != 5; ++i)
        project_add(1, 30 * MIB);
    visit_all(5);
    assert_int_equal(yields, 0);
}

static void single_ones_that_are_much_more_keep_nobody_out(void **state)
{
    begin(6 * 256 * MIB);
    for (unsigned i = 0; i != 6; ++i)
        project_with(1, 256 * MIB);
    for (unsigned i = 0; i != 5; ++i)
        project_add(1, 10 * MIB);
    visit_all(5);
    for (unsigned i = 6; i != count; ++i)
        assert_int_equal(projects[i].workers, 1);
    assert_int_equal(yields, 1); // and it does not come back by another's end
}

// With two of which only one has room, the other waits till it ends.
static void large_ones_do_not_push_each_other_out_in_turn(void **state)
{
    begin(150 * MIB);
    project_with(1, 100 * MIB);
    project_add(1, 100 * MIB);
    visit_all(10);
    assert_in_range(yields, 0, 2);
}

static void it_comes_to_an_end_whatever_the_sizes(void **state)
{
    srand(1);
    for (unsigned k = 0; k != 3; ++k) {
        begin((100 + (uint64_t)rand() % 1500) * MIB);
        unsigned n = 2 + (unsigned)rand() % (PROJECTS - 2);
        while (count != n)
            project_add(1 + (unsigned)rand() % 20,
                        (4 + (uint64_t)rand() % (rand() % 3 ? 30 : 200)) * MIB);
        visit_all(8);
        unsigned before = yields;
        visit_all(8);
        assert_int_equal(yields, before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(however_many_they_are_each_has_its_part),
        cmocka_unit_test(who_wants_less_leaves_it_to_the_others),
        cmocka_unit_test(nobody_takes_from_who_would_have_less_then),
        cmocka_unit_test(single_ones_of_a_size_stay),
        cmocka_unit_test(single_ones_that_are_much_more_keep_nobody_out),
        cmocka_unit_test(large_ones_do_not_push_each_other_out_in_turn),
        cmocka_unit_test(it_comes_to_an_end_whatever_the_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
