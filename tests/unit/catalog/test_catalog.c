// Projects, plugins and instances against a real PostgreSQL, always with a second project beside
// the first: what belongs to another is not found.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/catalog/catalog.h"
#include "tests/harness/postgres.h"

static struct db *db;
static char mine[CATALOG_ID_ROOM], others[CATALOG_ID_ROOM];

static void ok(enum fail f, const struct fault *fault)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault->code, fault->public_text, fault->log_text);
}
#define OK(call) ok((call), &fault)

static void make_project(const char *name, char id[static CATALOG_ID_ROOM])
{
    struct fault fault = {0};
    char owner[37];
    OK(db_begin(db, &fault));
    OK(catalog_project_create(db, str_from(name), id, owner, &fault));
    OK(db_commit(db, &fault));
    assert_int_equal(strlen(owner), 36);
}

static struct plugin upsert(const char *project, const char *slug, const char *name, bool *created)
{
    struct fault fault = {0};
    struct plugin p;
    OK(catalog_plugin_upsert(db, project, str_from(slug), str_from(name), STR("1.0.0"), STR("app"),
                             &p, created, &fault));
    return p;
}

static struct plugin plugin(const char *project, const char *slug)
{
    bool created;
    return upsert(project, slug, slug, &created);
}

static struct instance instance(const char *project, const struct plugin *p)
{
    struct fault fault = {0};
    struct instance i;
    OK(db_begin(db, &fault));
    OK(catalog_instance_create(db, project, p, &i, &fault));
    OK(db_commit(db, &fault));
    return i;
}

static int64_t number(const char *sql, const char *parameter)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(db_query(db, &fault, &rows, sql, db_text(parameter)));
    return db_get_int(rows, 0, 0);
}

static void test_first_project_is_the_oldest(void **state)
{
    struct fault fault = {0};
    char id[CATALOG_ID_ROOM];
    assert_int_equal(catalog_project_first(db, id, &fault), FAIL_NOT_FOUND);
    make_project("Mine", mine);
    usleep(2000);
    make_project("Another's", others);
    OK(catalog_project_first(db, id, &fault));
    assert_string_equal(id, mine);
    assert_int_equal(number("select count(*) from projects p join users u on u.id = p.owner_user_id"
                            " where u.project_id = p.id and p.id = $1",
                            mine),
                     1);
}

static void test_upsert_makes_then_changes(void **state)
{
    bool created = false;
    struct fault fault = {0};
    struct plugin first = upsert(mine, "rsvp", "RSVP", &created), found;
    assert_true(created);
    struct plugin second = upsert(mine, "rsvp", "Répondez", &created);
    assert_false(created);
    assert_string_equal(first.id, second.id);
    assert_string_equal(second.display_name, "Répondez");
    assert_true(second.created_at == first.created_at);
    OK(catalog_plugin_find(db, mine, STR("rsvp"), &found, &fault));
    assert_string_equal(found.display_name, "Répondez");
    OK(catalog_plugin_find(db, mine, str_from(first.id), &found, &fault));
    assert_string_equal(found.slug, "rsvp");
    assert_string_equal(found.tier, "app");
}

static void test_same_slug_in_two_projects_is_two_plugins(void **state)
{
    struct plugin a = plugin(mine, "same"), b = plugin(others, "same");
    assert_string_not_equal(a.id, b.id);
}

static void test_another_projects_plugin_is_not_found(void **state)
{
    struct fault fault = {0};
    struct plugin theirs = plugin(others, "theirs"), found;
    assert_int_equal(catalog_plugin_find(db, mine, str_from(theirs.id), &found, &fault),
                     FAIL_NOT_FOUND);
    assert_string_equal(fault.code, "plugin_not_found");
    assert_int_equal(catalog_plugin_find(db, mine, STR("theirs"), &found, &fault), FAIL_NOT_FOUND);
    assert_int_equal(catalog_plugin_delete(db, mine, theirs.id, &fault), FAIL_NOT_FOUND);
    OK(catalog_plugin_find(db, others, STR("theirs"), &found, &fault));
}

static void test_another_projects_instance_is_not_found(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(others, "theirs");
    struct instance theirs = instance(others, &p), found, *list;
    size_t n;
    assert_int_equal(catalog_instance_find(db, mine, str_from(theirs.id), &found, &fault),
                     FAIL_NOT_FOUND);
    assert_string_equal(fault.code, "instance_not_found");
    assert_int_equal(catalog_instance_find(db, mine, str_from(theirs.slug), &found, &fault),
                     FAIL_NOT_FOUND);
    assert_int_equal(catalog_instance_first(db, mine, p.id, &found, &fault), FAIL_NOT_FOUND);
    assert_int_equal(catalog_instance_delete(db, mine, theirs.id, &fault), FAIL_NOT_FOUND);
    const struct page page = {.limit = 10};
    uint64_t count = 9;
    OK(catalog_instance_page(db, mine, p.id, &page, &list, &n, &fault));
    assert_int_equal(n, 0);
    free(list);
    OK(catalog_instance_count(db, mine, p.id, &count, &fault));
    assert_int_equal(count, 0);
    OK(catalog_instance_count(db, others, p.id, &count, &fault));
    assert_int_equal(count, 1);
    OK(catalog_instance_find(db, others, str_from(theirs.slug), &found, &fault));
    assert_string_equal(found.id, theirs.id);
}

static void test_instances_have_slugs_of_their_plugin(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "slugged");
    struct instance a = instance(mine, &p), b = instance(mine, &p), first, *list;
    size_t n = 0;
    assert_int_equal(strlen(a.slug), strlen("slugged-") + 8);
    assert_memory_equal(a.slug, "slugged-", 8);
    assert_string_not_equal(a.slug, b.slug);
    OK(catalog_instance_first(db, mine, p.id, &first, &fault));
    const struct page page = {.limit = 10};
    OK(catalog_instance_page(db, mine, p.id, &page, &list, &n, &fault));
    assert_int_equal(n, 2);
    assert_string_equal(list[0].id, first.id);
    free(list);
}

// One more than the page shows; behind the key and before it, each once whatever their times.
static void test_instances_have_pages(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "paged");
    struct instance *all, *some;
    size_t n = 0;
    struct page page = {.limit = 4};
    for (int i = 0; i != 5; ++i)
        instance(mine, &p);
    OK(catalog_instance_page(db, mine, p.id, &page, &all, &n, &fault));
    assert_int_equal(n, 5);
    for (size_t i = 0; i != 5; ++i) {
        page = (struct page){.limit = 4, .has_key = true, .key = {.at = all[i].created_at}};
        snprintf(page.key.id, sizeof page.key.id, "%s", all[i].id);
        OK(catalog_instance_page(db, mine, p.id, &page, &some, &n, &fault));
        assert_int_equal(n, 4 - i);
        for (size_t j = 0; j != n; ++j)
            assert_string_equal(some[j].id, all[i + 1 + j].id);
        free(some);
        page.goes_back = true;
        OK(catalog_instance_page(db, mine, p.id, &page, &some, &n, &fault));
        assert_int_equal(n, i);
        for (size_t j = 0; j != n; ++j)
            assert_string_equal(some[j].id, all[i - 1 - j].id);
        free(some);
    }
    free(all);
}

static void test_plugins_are_counted(void **state)
{
    struct fault fault = {0};
    uint64_t before = 0, after = 0;
    OK(catalog_plugin_count(db, mine, &before, &fault));
    struct plugin p = plugin(mine, "counted");
    plugin(others, "counted-too");
    OK(catalog_plugin_count(db, mine, &after, &fault));
    assert_int_equal(after, before + 1);
    OK(catalog_plugin_delete(db, mine, p.id, &fault));
    OK(catalog_plugin_count(db, mine, &after, &fault));
    assert_int_equal(after, before);
}

static void test_slugs_are_never_issued_twice(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "once");
    struct instance i = instance(mine, &p), found;
    OK(catalog_instance_delete(db, mine, i.id, &fault));
    assert_int_equal(catalog_instance_find(db, mine, str_from(i.slug), &found, &fault),
                     FAIL_NOT_FOUND);
    assert_int_equal(number("select count(*) from used_slugs where slug = $1", i.slug), 1);
    // whatever asks: the row stands, and nothing takes it away
    assert_int_equal(db_query(db, &fault, NULL,
                              "insert into used_slugs (slug, project_id) values ($1, $2)",
                              db_text(i.slug), db_text(others)),
                     FAIL_CONFLICT);
    assert_int_equal(
        db_query(db, &fault, NULL, "delete from used_slugs where slug = $1", db_text(i.slug)),
        FAIL_INTERNAL);
    OK(catalog_plugin_delete(db, mine, p.id, &fault));
    assert_int_equal(number("select count(*) from used_slugs where slug = $1", i.slug), 1);
}

static void test_deleted_plugin_takes_its_instances(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "doomed");
    struct instance i = instance(mine, &p), found;
    OK(catalog_plugin_delete(db, mine, p.id, &fault));
    assert_int_equal(catalog_instance_find(db, mine, str_from(i.id), &found, &fault),
                     FAIL_NOT_FOUND);
    assert_int_equal(catalog_plugin_lock(db, p.id, &fault), FAIL_NOT_FOUND);
    assert_int_equal(catalog_plugin_delete(db, mine, p.id, &fault), FAIL_NOT_FOUND);
}

// --- lists ---

static unsigned extras; // calls

static enum fail add_extra(struct db *ignored, const struct plugin *plugins, size_t count,
                           json_t *objects, struct fault *fault)
{
    ++extras;
    assert_int_equal(json_array_size(objects), count);
    for (size_t i = 0; i != count; ++i)
        json_object_set_new(json_array_get(objects, i), "extra", json_string(plugins[i].slug));
    return FAIL_NONE;
}

static const char *slug_at(json_t *page, size_t i)
{
    return json_string_value(
        json_object_get(json_array_get(json_object_get(page, "data"), i), "slug"));
}

static json_t *list(const char *project, unsigned limit, const char *cursor)
{
    struct fault fault = {0};
    json_t *page = NULL;
    OK(catalog_plugin_list(db, project, limit, str_from(cursor), add_extra, &page, &fault));
    return page;
}

static const char *cursor(json_t *page, const char *name)
{
    return json_string_value(json_object_get(page, name));
}

static void test_lists_walk_both_ways_and_show_one_project(void **state)
{
    char project[CATALOG_ID_ROOM], slug[8];
    make_project("Listed", project);
    for (int i = 0; i != 5; ++i) {
        snprintf(slug, sizeof slug, "p%d", i);
        plugin(project, slug);
        usleep(2000);
    }
    json_auto_t *first = list(project, 2, NULL);
    assert_int_equal(json_array_size(json_object_get(first, "data")), 2);
    assert_string_equal(slug_at(first, 0), "p4");
    assert_null(cursor(first, "previous"));
    json_auto_t *second = list(project, 2, cursor(first, "next"));
    assert_string_equal(slug_at(second, 0), "p2");
    assert_string_equal(slug_at(second, 1), "p1");
    json_auto_t *third = list(project, 2, cursor(second, "next"));
    assert_int_equal(json_array_size(json_object_get(third, "data")), 1);
    assert_string_equal(slug_at(third, 0), "p0");
    assert_null(cursor(third, "next"));
    json_auto_t *back = list(project, 2, cursor(third, "previous"));
    assert_true(json_equal(back, second));
    json_auto_t *start = list(project, 2, cursor(back, "previous"));
    assert_string_equal(slug_at(start, 0), "p4");
    assert_null(cursor(start, "previous"));
    assert_non_null(cursor(start, "next"));
    json_t *object = json_array_get(json_object_get(first, "data"), 0);
    assert_string_equal(json_string_value(json_object_get(object, "extra")), "p4");
    object = json_array_get(json_object_get(back, "data"), 1);
    assert_string_equal(json_string_value(json_object_get(object, "extra")), "p1");
    assert_int_equal(extras, 5); // once a page
    // a cursor of one project shows nothing of another
    json_auto_t *elsewhere = list(others, 100, cursor(first, "next"));
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(elsewhere, "data"), i, row)
        assert_int_not_equal(slug_at(elsewhere, i)[0], 'p');
}

static void test_rows_of_one_moment_are_neither_lost_nor_doubled(void **state)
{
    struct fault fault = {0};
    char project[CATALOG_ID_ROOM], slug[8];
    make_project("Same moment", project);
    OK(db_begin(db, &fault));
    for (int i = 0; i != 5; ++i) {
        snprintf(slug, sizeof slug, "m%d", i);
        plugin(project, slug);
    }
    OK(db_commit(db, &fault));
    unsigned seen = 0, pages = 0;
    json_t *page = list(project, 2, NULL);
    for (;; ++pages) {
        for (size_t i = 0; i != json_array_size(json_object_get(page, "data")); ++i)
            seen |= 1u << (slug_at(page, i)[1] - '0');
        if (cursor(page, "next") == NULL)
            break;
        json_t *next = list(project, 2, cursor(page, "next"));
        json_decref(page);
        page = next;
    }
    json_decref(page);
    assert_int_equal(seen, 31);
    assert_int_equal(pages, 2);
}

static void test_bad_cursor_is_refused(void **state)
{
    struct fault fault = {0};
    json_t *page = NULL;
    assert_int_equal(catalog_plugin_list(db, mine, 10, STR("bm90aGluZw"), NULL, &page, &fault),
                     FAIL_REFUSED);
    assert_string_equal(fault.code, "invalid_cursor");
}

// --- at once ---

struct contender {
    char slug[16];
    int64_t held_ms;
    enum fail fail;
};

static void *lock_on_thread(void *arg)
{
    struct contender *c = arg;
    struct fault fault = {0};
    struct db *own = db_of_thread();
    struct plugin p;
    uint64_t from = clock_monotonic_ms();
    c->fail = db_begin(own, &fault);
    if (c->fail == FAIL_NONE)
        c->fail = catalog_plugin_find(own, mine, str_from(c->slug), &p, &fault);
    if (c->fail == FAIL_NONE)
        c->fail = catalog_plugin_lock(own, p.id, &fault);
    c->held_ms = (int64_t)(clock_monotonic_ms() - from);
    db_rollback(own);
    return NULL;
}

static void test_lock_makes_others_wait(void **state)
{
    struct fault fault = {0};
    struct plugin p = plugin(mine, "locked");
    struct contender c = {.slug = "locked"};
    pthread_t t;
    OK(db_begin(db, &fault));
    OK(catalog_plugin_lock(db, p.id, &fault));
    pthread_create(&t, NULL, lock_on_thread, &c);
    usleep(150000);
    OK(db_commit(db, &fault));
    pthread_join(t, NULL);
    assert_int_equal(c.fail, FAIL_NONE);
    assert_true(c.held_ms >= 100);
}

static void *serve_on_thread(void *arg)
{
    uint64_t *n = arg;
    struct fault fault = {0};
    struct db *own = db_of_thread();
    char project[CATALOG_ID_ROOM], owner[37];
    struct plugin p;
    struct instance i;
    bool created;
    enum fail f = db_begin(own, &fault);
    if (f == FAIL_NONE)
        f = catalog_project_create(own, STR("Racer"), project, owner, &fault);
    if (f == FAIL_NONE)
        f = catalog_plugin_upsert(own, project, STR("racer"), STR("r"), STR("1.0.0"), STR("app"),
                                  &p, &created, &fault);
    if (f == FAIL_NONE)
        f = catalog_serving_projects(own, project, "", n, &fault);
    usleep(20000);
    if (f == FAIL_NONE)
        f = catalog_instance_create(own, project, &p, &i, &fault);
    if (f == FAIL_NONE)
        f = db_commit(own, &fault);
    if (f != FAIL_NONE)
        *n = UINT64_MAX;
    return NULL;
}

static void test_two_first_deploys_see_each_other(void **state)
{
    struct fault fault = {0};
    uint64_t before = 0, counts[3];
    pthread_t threads[3];
    OK(catalog_serving_projects(db, "prj_none", "", &before, &fault));
    assert_true(before >= 2); // mine and others
    for (int i = 0; i != 3; ++i)
        pthread_create(&threads[i], NULL, serve_on_thread, &counts[i]);
    uint64_t sum = 0;
    for (int i = 0; i != 3; ++i) {
        pthread_join(threads[i], NULL);
        sum += counts[i] - before;
    }
    assert_int_equal(sum, 0 + 1 + 2);
}

int main(void)
{
    struct fault fault = {0};
    db_configure(postgres_start());
    db = db_of_thread();
    if (migrate(db, catalog_migrations, catalog_migration_count, &fault) != FAIL_NONE) {
        fprintf(stderr, "%s %s\n", fault.public_text, fault.log_text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_project_is_the_oldest),
        cmocka_unit_test(test_upsert_makes_then_changes),
        cmocka_unit_test(test_same_slug_in_two_projects_is_two_plugins),
        cmocka_unit_test(test_another_projects_plugin_is_not_found),
        cmocka_unit_test(test_another_projects_instance_is_not_found),
        cmocka_unit_test(test_instances_have_slugs_of_their_plugin),
        cmocka_unit_test(test_instances_have_pages),
        cmocka_unit_test(test_plugins_are_counted),
        cmocka_unit_test(test_slugs_are_never_issued_twice),
        cmocka_unit_test(test_deleted_plugin_takes_its_instances),
        cmocka_unit_test(test_lists_walk_both_ways_and_show_one_project),
        cmocka_unit_test(test_rows_of_one_moment_are_neither_lost_nor_doubled),
        cmocka_unit_test(test_bad_cursor_is_refused),
        cmocka_unit_test(test_lock_makes_others_wait),
        cmocka_unit_test(test_two_first_deploys_see_each_other),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failed;
}
