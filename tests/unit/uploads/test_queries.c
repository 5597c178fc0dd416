// Files' rows and quotas in a real PostgreSQL; always with a second project beside the first.
#include "uploads/internal.h"
#include "edge/auth/auth.h"
#include "edge/catalog/hooks.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tests/harness/postgres.h"

enum { QUOTA_BYTES = 1000, QUOTA_FILES = 8 };

static struct db *db;
static struct files_owner mine, theirs;
static struct plugin plugin;
static struct fault fault;

static void ok(enum fail f)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault.code, fault.public_text, fault.log_text);
}

static struct files_owner make_owner(const char *name)
{
    struct files_owner o = {0};
    struct instance i;
    bool is_new;
    ok(db_begin(db, &fault));
    ok(catalog_project_create(db, str_from(name), o.project_id, o.owner_id, &fault));
    ok(catalog_plugin_upsert(db, o.project_id, STR("intake"), STR("Intake"), STR("1.0.0"),
                             STR("tool"), &plugin, &is_new, &fault));
    ok(catalog_instance_create(db, o.project_id, &plugin, &i, &fault));
    ok(db_commit(db, &fault));
    memcpy(o.plugin_id, plugin.id, sizeof o.plugin_id);
    memcpy(o.instance_id, i.id, sizeof o.instance_id);
    memcpy(o.instance_slug, i.slug, sizeof o.instance_slug);
    return o;
}

static int begin(void **state)
{
    theirs = make_owner("Theirs");
    mine = make_owner("Mine");
    return 0;
}

static struct file sample(const struct files_owner *o, const char *name, uint64_t size)
{
    struct file f = {.owner = *o, .size = size};
    snprintf(f.filename, sizeof f.filename, "%s", name);
    snprintf(f.original, sizeof f.original, "%s", name);
    snprintf(f.mime, sizeof f.mime, "image/png");
    f.digest = digest_sha256(str_from(name));
    return f;
}

static struct file put(const struct files_owner *o, const char *name, const char *mime,
                       uint64_t size)
{
    struct file f = sample(o, name, size);
    snprintf(f.mime, sizeof f.mime, "%s", mime);
    ok(file_insert(db, &f, "192.0.2.1", "req", &fault));
    return f;
}

static struct file_usage usage_of(const char *plugin_id)
{
    struct file_usage u;
    ok(file_usage(db, plugin_id, &u, &fault));
    return u;
}

// The quota's rows say what the files' rows add up to.
static void expect_counted(const struct files_owner *o)
{
    DB_ROWS_AUTO rows = NULL;
    struct file_usage u = usage_of(o->plugin_id);
    ok(db_query(db, &fault, &rows,
                "select count(*), coalesce(sum(size), 0)::bigint from files where plugin_id = $1",
                db_text(o->plugin_id)));
    assert_int_equal(db_get_int(rows, 0, 0), u.count);
    assert_int_equal(db_get_int(rows, 0, 1), u.bytes);
}

// --- tests ---

static void a_file_is_found_as_it_was_put(void **state)
{
    struct file f = sample(&mine, "Räksmörgås.png", 17), found;
    f.source = FILE_OF_HANDLER;
    snprintf(f.original, sizeof f.original, "other.jpg");
    ok(file_insert(db, &f, "", "req", &fault));
    assert_memory_equal(f.id, "file_", 5);
    ok(file_find(db, mine.project_id, str_from(f.id), &found, &fault));
    assert_string_equal(found.id, f.id);
    assert_string_equal(found.filename, "Räksmörgås.png");
    assert_string_equal(found.original, "other.jpg");
    assert_string_equal(found.mime, "image/png");
    assert_string_equal(found.owner.project_id, mine.project_id);
    assert_string_equal(found.owner.plugin_id, mine.plugin_id);
    assert_string_equal(found.owner.instance_id, mine.instance_id);
    assert_string_equal(found.owner.instance_slug, mine.instance_slug);
    assert_string_equal(found.owner.owner_id, mine.owner_id);
    assert_int_equal(found.source, FILE_OF_HANDLER);
    assert_int_equal(found.size, 17);
    assert_int_equal(found.created_at, f.created_at);
    assert_true(digest_eq(&found.digest, &f.digest));
    ok(file_find(db, NULL, str_from(f.id), &found, &fault));
}

static void another_projects_file_is_not_there(void **state)
{
    struct file f = put(&mine, "a.png", "image/png", 1), found;
    assert_int_equal(file_find(db, theirs.project_id, str_from(f.id), &found, &fault),
                     FAIL_NOT_FOUND);
    assert_string_equal(fault.code, "file_not_found");
    assert_int_equal(file_delete(db, theirs.project_id, str_from(f.id), &fault), FAIL_NOT_FOUND);
    ok(file_find(db, mine.project_id, str_from(f.id), &found, &fault));
    ok(file_delete(db, mine.project_id, str_from(f.id), &fault));
    assert_int_equal(file_find(db, NULL, str_from(f.id), &found, &fault), FAIL_NOT_FOUND);
    assert_int_equal(file_delete(db, mine.project_id, str_from(f.id), &fault), FAIL_NOT_FOUND);
    expect_counted(&mine);
}

static void a_quota_counts_bytes(void **state)
{
    struct file first = put(&mine, "a", "image/png", 600), over = sample(&mine, "b", 401);
    assert_int_equal(file_insert(db, &over, "", "req", &fault), FAIL_QUOTA);
    assert_string_equal(fault.code, "quota_exceeded");
    assert_non_null(strstr(fault.public_text, "quota"));
    expect_counted(&mine);
    put(&mine, "c", "image/png", 400);
    put(&theirs, "d", "image/png", QUOTA_BYTES); // another project's room
    assert_int_equal(usage_of(mine.plugin_id).bytes, QUOTA_BYTES);
    ok(file_delete(db, NULL, str_from(first.id), &fault));
    assert_int_equal(usage_of(mine.plugin_id).bytes, 400);
    put(&mine, "e", "image/png", 600);
    expect_counted(&mine);
}

static void a_first_file_over_the_quota_leaves_nothing(void **state)
{
    struct file f = sample(&mine, "a", QUOTA_BYTES + 1);
    assert_int_equal(file_insert(db, &f, "", "req", &fault), FAIL_QUOTA);
    assert_string_equal(f.id, "");
    assert_int_equal(usage_of(mine.plugin_id).count, 0);
}

static void a_quota_counts_files(void **state)
{
    for (int i = 0; i != QUOTA_FILES; ++i)
        put(&mine, "a", "image/png", 1);
    struct file f = sample(&mine, "b", 1);
    assert_int_equal(file_insert(db, &f, "", "req", &fault), FAIL_QUOTA);
    assert_non_null(strstr(fault.public_text, "8 of 8 files"));
    expect_counted(&mine);
}

static size_t listed(struct file_filter filter, const char *type, unsigned limit)
{
    struct page page;
    struct file *list;
    size_t n;
    filter.type = str_from(type);
    ok(page_init(&page, STR(""), limit, &fault));
    ok(file_list(db, &filter, &page, &list, &n, &fault));
    for (size_t i = 0; i < n; ++i) {
        assert_string_equal(list[i].owner.project_id, filter.project_id);
        assert_true(i == 0 || list[i].created_at <= list[i - 1].created_at);
    }
    free(list);
    return n;
}

static void lists_are_of_a_project_and_a_type(void **state)
{
    put(&mine, "a.png", "image/png", 1);
    put(&mine, "b.jpg", "image/jpeg", 1);
    put(&mine, "c.csv", "text/csv", 1);
    put(&theirs, "d.png", "image/png", 1);
    const struct file_filter all = {.project_id = mine.project_id},
                             inst = {.project_id = mine.project_id,
                                     .instance_id = mine.instance_id},
                             plug = {.project_id = mine.project_id, .plugin_id = mine.plugin_id},
                             none = {.project_id = mine.project_id,
                                     .instance_id = theirs.instance_id};
    const struct file_filter scopes[] = {all, inst, plug};
    for (size_t i = 0; i != 3; ++i) {
        assert_int_equal(listed(scopes[i], "", 10), 3);
        assert_int_equal(listed(scopes[i], "", 1), 2); // one more tells of a next page
        assert_int_equal(listed(scopes[i], "image/*", 10), 2);
        assert_int_equal(listed(scopes[i], "image/png", 10), 1);
        assert_int_equal(listed(scopes[i], "image", 10), 0);
        assert_int_equal(listed(scopes[i], "%", 10), 0);
        assert_int_equal(listed(scopes[i], "audio/*", 10), 0);
    }
    assert_int_equal(listed(none, "", 10), 0);
}

static void a_deleted_plugins_files_go_or_stay(void **state)
{
    struct file f = put(&mine, "a.png", "image/png", 5), found;
    json_auto_t *what = json_object();
    bool has_data;
    ok(catalog_ask_delete(db, &plugin, what, &has_data, &fault));
    assert_true(has_data);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(what, "uploads"), "bytes")),
                     5);
    ok(catalog_tell_delete(db, &plugin, true, &fault));
    ok(file_find(db, NULL, str_from(f.id), &found, &fault));
    ok(catalog_tell_delete(db, &plugin, false, &fault));
    assert_int_equal(file_find(db, NULL, str_from(f.id), &found, &fault), FAIL_NOT_FOUND);
    json_object_clear(what);
    ok(catalog_ask_delete(db, &plugin, what, &has_data, &fault));
    assert_false(has_data);
    assert_int_equal(json_object_size(what), 0);
    struct file late = sample(&mine, "late", 1); // was on its way
    assert_int_equal(file_insert(db, &late, "", "req", &fault), FAIL_NOT_FOUND);
    put(&theirs, "d.png", "image/png", 1);
}

static void a_plugin_without_files_is_closed_too(void **state)
{
    ok(file_delete_all(db, mine.plugin_id, &fault));
    struct file late = sample(&mine, "late", 1);
    assert_int_equal(file_insert(db, &late, "", "req", &fault), FAIL_NOT_FOUND);
}

static void blobs_are_named_while_a_row_is(void **state)
{
    struct file f = put(&mine, "blob of two", "image/png", 1),
                g = put(&theirs, "blob of two", "image/png", 1);
    assert_true(catalog_ask_blob(db, &f.digest));
    ok(file_delete(db, NULL, str_from(f.id), &fault));
    assert_true(catalog_ask_blob(db, &f.digest));
    ok(file_delete(db, NULL, str_from(g.id), &fault));
    assert_false(catalog_ask_blob(db, &f.digest));
}

static void age(const char *id, int days)
{
    ok(db_query(db, &fault, NULL,
                "update files set created_at = created_at - make_interval(days => $2)"
                " where id = $1",
                db_text(id), db_int(days)));
}

static void old_ones_are_deleted_in_small_batches(void **state)
{
    size_t n = 0;
    struct file handlers = sample(&mine, "made", 1), found;
    handlers.source = FILE_OF_HANDLER;
    ok(file_insert(db, &handlers, "", "req", &fault));
    age(handlers.id, 100);
    for (int i = 0; i != 3; ++i)
        age(put(&mine, "old", "image/png", 7).id, 10);
    age(put(&theirs, "old", "image/png", 7).id, 10);
    put(&mine, "young", "image/png", 7);
    ok(file_delete_old(db, mine.instance_id, 9, 2, &n, &fault));
    assert_int_equal(n, 2);
    ok(file_delete_old(db, mine.instance_id, 9, 2, &n, &fault));
    assert_int_equal(n, 1);
    ok(file_delete_old(db, mine.instance_id, 9, 2, &n, &fault));
    assert_int_equal(n, 0);
    expect_counted(&mine);
    assert_int_equal(usage_of(theirs.plugin_id).count, 1);
    ok(file_delete_old(db, NULL, 9, 100, &n, &fault));
    assert_int_equal(n, 1);
    assert_int_equal(usage_of(theirs.plugin_id).count, 0);
    ok(file_find(db, NULL, str_from(handlers.id), &found, &fault));
    expect_counted(&theirs);
}

static void instances_with_files_are_walked(void **state)
{
    char at[CATALOG_ID_ROOM] = "", next[CATALOG_ID_ROOM];
    bool seen = false;
    put(&mine, "a", "image/png", 1);
    for (;;) {
        ok(file_next_instance(db, at, next, &fault));
        if (next[0] == '\0')
            break;
        assert_true(strcmp(next, at) != 0);
        seen |= strcmp(next, mine.instance_id) == 0;
        memcpy(at, next, sizeof at);
    }
    assert_true(seen);
}

// The server keeps them for 20 days; one instance's owner wants 5, another's says nothing.
static uint32_t five_days_of_mine(struct db *own, const char *instance_id)
{
    return strcmp(instance_id, mine.instance_id) == 0 ? 5 : 0;
}

static void owners_may_keep_them_shorter(void **state)
{
    const struct uploads_options *kept = uploads_options;
    struct uploads_options days = *kept;
    struct file found, old = put(&mine, "old", "image/png", 7),
                       young = put(&mine, "young", "image/png", 7),
                       theirs_old = put(&theirs, "old", "image/png", 7),
                       theirs_older = put(&theirs, "older", "image/png", 7);
    size_t n = 0;
    age(old.id, 10);
    age(young.id, 4);
    age(theirs_old.id, 10);
    age(theirs_older.id, 30);
    days.keep_days = 20;
    days.keep_days_of = five_days_of_mine;
    uploads_options = &days;
    ok(uploads_collect_old(db, &n, &fault));
    uploads_options = kept;
    assert_int_equal(n, 2);
    ok(file_find(db, NULL, str_from(young.id), &found, &fault));
    ok(file_find(db, NULL, str_from(theirs_old.id), &found, &fault));
    ok(uploads_collect_old(db, &n, &fault)); // for ever, as the server says
    assert_int_equal(n, 0);
}

// Its settings go with it, and with them whoever could be asked.
static uint32_t days_of_mine;
static uint32_t days_as_set(struct db *own, const char *instance_id)
{
    return strcmp(instance_id, mine.instance_id) == 0 ? days_of_mine : 0;
}

static void expect_gone(const struct file *f, bool is_gone)
{
    struct file found;
    assert_int_equal(file_find(db, NULL, str_from(f->id), &found, &fault),
                     is_gone ? FAIL_NOT_FOUND : FAIL_NONE);
}

static void what_an_owner_promised_outlives_the_instance(void **state)
{
    const struct uploads_options *kept = uploads_options;
    struct uploads_options days = *kept;
    days.keep_days_of = days_as_set;
    uploads_options = &days;
    for (int goes_alone = 0; goes_alone != 2; ++goes_alone) {
        begin(NULL);
        struct file old = put(&mine, "old", "image/png", 7),
                    young = put(&mine, "young", "image/png", 7), made = sample(&mine, "made", 7),
                    of_others = put(&theirs, "old", "image/png", 7);
        size_t n = 0;
        made.source = FILE_OF_HANDLER;
        ok(file_insert(db, &made, "", "req", &fault));
        days_of_mine = 5;
        if (goes_alone)
            ok(catalog_tell_delete_instance(db, mine.instance_id, &fault));
        else
            ok(catalog_tell_delete(db, &plugin, true, &fault));
        days_of_mine = 0;
        age(old.id, 6);
        age(young.id, 4);
        age(made.id, 6);
        age(of_others.id, 6);
        ok(uploads_collect_old(db, &n, &fault));
        assert_int_equal(n, 1);
        expect_gone(&old, true);
        expect_gone(&young, false);
        expect_gone(&made, false);
        expect_gone(&of_others, false);
        struct file late = put(&mine, "late", "image/png", 7); // was on its way
        age(young.id, 2);
        age(late.id, 6);
        ok(uploads_collect_old(db, &n, &fault));
        assert_int_equal(n, 2);
        expect_counted(&mine);
    }
    uploads_options = kept;
}

static uint64_t promises(void)
{
    DB_ROWS_AUTO rows = NULL;
    ok(db_query(db, &fault, &rows, "select count(*) from file_retentions where instance_id = $1",
                db_text(mine.instance_id)));
    return (uint64_t)db_get_int(rows, 0, 0);
}

static void promises_go_with_the_last_file(void **state)
{
    struct file f = put(&mine, "a", "image/png", 7);
    size_t n = 0;
    ok(file_retention_keep(db, mine.instance_id, 5, &fault));
    ok(db_query(db, &fault, NULL,
                "update file_retentions set created_at = now() - interval '2 days'"));
    ok(uploads_collect_old(db, &n, &fault));
    assert_int_equal(promises(), 1);
    age(f.id, 6);
    ok(uploads_collect_old(db, &n, &fault));
    assert_int_equal(promises(), 0);
}

// Many at once, each putting and deleting: the count is right, and nobody waits for ever.
static const char *url;
static void *put_and_delete(void *arg)
{
    struct db *own;
    struct fault fault_here;
    if (db_open(url, &own, &fault_here) != FAIL_NONE)
        abort();
    for (int i = 0; i != 20; ++i) {
        struct file f = sample(i % 2 != 0 ? &mine : &theirs, "a", 100);
        enum fail fail = file_insert(own, &f, "", "req", &fault_here);
        if (fail == FAIL_NONE && i % 3 != 0)
            fail = file_delete(own, NULL, str_from(f.id), &fault_here);
        if (fail != FAIL_NONE && fail != FAIL_QUOTA)
            abort();
    }
    db_close(own);
    return NULL;
}

static void many_at_once_are_counted_right(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i != 4; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_delete, NULL), 0);
    for (size_t i = 0; i != 4; ++i)
        pthread_join(threads[i], NULL);
    expect_counted(&mine);
    expect_counted(&theirs);
    assert_true(usage_of(mine.plugin_id).count <= QUOTA_FILES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_file_is_found_as_it_was_put, begin),
        cmocka_unit_test_setup(another_projects_file_is_not_there, begin),
        cmocka_unit_test_setup(a_quota_counts_bytes, begin),
        cmocka_unit_test_setup(a_first_file_over_the_quota_leaves_nothing, begin),
        cmocka_unit_test_setup(a_quota_counts_files, begin),
        cmocka_unit_test_setup(lists_are_of_a_project_and_a_type, begin),
        cmocka_unit_test_setup(a_deleted_plugins_files_go_or_stay, begin),
        cmocka_unit_test_setup(a_plugin_without_files_is_closed_too, begin),
        cmocka_unit_test_setup(blobs_are_named_while_a_row_is, begin),
        cmocka_unit_test_setup(old_ones_are_deleted_in_small_batches, begin),
        cmocka_unit_test_setup(owners_may_keep_them_shorter, begin),
        cmocka_unit_test_setup(what_an_owner_promised_outlives_the_instance, begin),
        cmocka_unit_test_setup(promises_go_with_the_last_file, begin),
        cmocka_unit_test_setup(instances_with_files_are_walked, begin),
        cmocka_unit_test_setup(many_at_once_are_counted_right, begin)};
    static struct migration all[32];
    size_t n = 0;
    url = postgres_start();
    ok(db_open(url, &db, &fault));
    for (size_t i = 0; i != catalog_migration_count; ++i)
        all[n++] = catalog_migrations[i];
    for (size_t i = 0; i != uploads_migration_count; ++i)
        all[n++] = uploads_migrations[i];
    ok(migrate(db, all, n, &fault));
    uploads_init(&(struct uploads_options){.apps_origin = "http://127.0.0.1:8080",
                                           .files_origin = "",
                                           .instance_domain = "",
                                           .quota_bytes = QUOTA_BYTES,
                                           .quota_files = QUOTA_FILES});
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    db_close(db);
    postgres_stop();
    return failed;
}
