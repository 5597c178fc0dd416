// The audit trail: what is in it stays, and whoever changes it nevertheless is found out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include "edge/catalog/catalog.h"
#include "tests/harness/postgres.h"

static struct db *db;

static void ok(enum fail f, const struct fault *fault)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault->code, fault->public_text, fault->log_text);
}
#define OK(call) ok((call), &fault)

static void make_project(char id[static CATALOG_ID_ROOM])
{
    struct fault fault = {0};
    char owner[37];
    OK(db_begin(db, &fault));
    OK(catalog_project_create(db, STR("Audited"), id, owner, &fault));
    OK(db_commit(db, &fault));
}

static enum fail append(struct db *own, const char *project, const char *subject,
                        struct fault *fault)
{
    json_auto_t *facts = json_pack("{ss si}", "name", "\"ü\n", "n", 1);
    enum fail f = db_begin(own, fault);
    if (f == FAIL_NONE)
        f = audit_append(own, project, "tok_1", "thing.make", subject, "0123", STR("192.0.2.1"),
                         facts, fault);
    if (f == FAIL_NONE)
        f = audit_append(own, project, "tok_1", "thing.drop", subject, "0124", STR(""), NULL,
                         fault);
    if (f == FAIL_NONE)
        return db_commit(own, fault);
    db_rollback(own);
    return f;
}

static int64_t first_bad(const char *project)
{
    struct fault fault = {0};
    int64_t bad = -1;
    OK(audit_verify(db, project, &bad, &fault));
    return bad;
}

static void test_chain_is_whole_and_a_projects_own(void **state)
{
    struct fault fault = {0};
    char a[CATALOG_ID_ROOM], b[CATALOG_ID_ROOM];
    make_project(a);
    make_project(b);
    assert_int_equal(first_bad(a), 0); // empty
    for (int i = 0; i != 300; ++i)
        OK(append(db, a, "thing", &fault));
    OK(append(db, b, "thing", &fault));
    assert_int_equal(first_bad(a), 0);
    assert_int_equal(first_bad(b), 0);
}

static void test_rolled_back_leaves_no_gap(void **state)
{
    struct fault fault = {0};
    char a[CATALOG_ID_ROOM];
    make_project(a);
    OK(append(db, a, "one", &fault));
    OK(db_begin(db, &fault));
    OK(audit_append(db, a, "tok_1", "thing.make", "two", "1", STR(""), NULL, &fault));
    db_rollback(db);
    OK(append(db, a, "three", &fault));
    assert_int_equal(first_bad(a), 0);
}

static void test_rows_can_only_be_added(void **state)
{
    static const char *const attempts[] = {"update audit_events set actor = 'me'",
                                           "delete from audit_events", "truncate audit_events"};
    struct fault fault = {0};
    for (int i = 0; i != 3; ++i) {
        assert_int_equal(db_script(db, &fault, attempts[i]), FAIL_INTERNAL);
        assert_non_null(strstr(fault.log_text, "42501"));
    }
}

static void test_tampering_is_found_out(void **state)
{
    static const struct {
        const char *sql;
        int64_t bad;
    } cases[] = {
        {"update audit_events set actor = 'me' where project_id = '%s' and seq = 3", 3},
        {"update audit_events set at = at + interval '1 ms' where project_id = '%s' and seq = 2",
         2},
        {"update audit_events set facts = '{}' where project_id = '%s' and seq = 1", 1},
        {"delete from audit_events where project_id = '%s' and seq = 2", 2},
        {"delete from audit_events where project_id = '%s' and seq = 6", 6},
        {"update audit_events set hash = sha256('x') where project_id = '%s' and seq = 6", 6},
        // a field's end moved into the next one
        {"update audit_events set actor = 'tok_1t', action = 'hing.make' where project_id = '%s' "
         "and seq = 1",
         1},
    };
    struct fault fault = {0};
    for (size_t i = 0; i != sizeof cases / sizeof cases[0]; ++i) {
        char project[CATALOG_ID_ROOM], sql[300];
        make_project(project);
        for (int k = 0; k != 3; ++k)
            OK(append(db, project, "thing", &fault));
        OK(db_script(db, &fault, "alter table audit_events disable trigger user"));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(sql, sizeof sql, cases[i].sql, project);
#pragma GCC diagnostic pop
        OK(db_script(db, &fault, sql));
        OK(db_script(db, &fault, "alter table audit_events enable trigger user"));
        if (first_bad(project) != cases[i].bad)
            fail_msg("%s: %lld", sql, (long long)first_bad(project));
    }
}

static char shared[CATALOG_ID_ROOM];

static void *append_on_thread(void *arg)
{
    struct fault fault = {0};
    for (int i = 0; i != 20; ++i) {
        if (append(db_of_thread(), shared, "contended", &fault) != FAIL_NONE)
            return arg;
    }
    return NULL;
}

static void test_many_at_once_make_one_chain(void **state)
{
    pthread_t threads[4];
    make_project(shared);
    for (int i = 0; i != 4; ++i)
        pthread_create(&threads[i], NULL, append_on_thread, shared);
    for (int i = 0; i != 4; ++i) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(first_bad(shared), 0);
}

static void test_project_without_a_chain_is_not_found(void **state)
{
    struct fault fault = {0};
    int64_t bad;
    assert_int_equal(audit_verify(db, "prj_none", &bad, &fault), FAIL_NOT_FOUND);
    assert_int_equal(append(db, "prj_none", "x", &fault), FAIL_NOT_FOUND);
}

int main(void)
{
    struct fault fault = {0};
    db_configure(postgres_start());
    db = db_of_thread();
    if (migrate(db, catalog_migrations, catalog_migration_count, &fault) != FAIL_NONE)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_is_whole_and_a_projects_own),
        cmocka_unit_test(test_rolled_back_leaves_no_gap),
        cmocka_unit_test(test_rows_can_only_be_added),
        cmocka_unit_test(test_tampering_is_found_out),
        cmocka_unit_test(test_many_at_once_make_one_chain),
        cmocka_unit_test(test_project_without_a_chain_is_not_found),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failed;
}
