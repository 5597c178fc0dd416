// Migrations: once, in order, by whoever comes first, and never by a binary that is too old.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include "edge/store/faults.h"
#include "edge/store/migrate.h"
#include "tests/harness/postgres.h"

static const struct migration list[] = {
    {"catalog", 1, "create table one (n integer); insert into one values (1);"},
    {"catalog", 2, "insert into one values (2); -- \"quoted\" \\ and a comment at the end\n"},
    {"bundles", 1, "create table two as select count(*)::integer as n from one"},
};

static struct db *fresh(void)
{
    struct fault fault = {0};
    struct db *db = NULL;
    assert_int_equal(db_open(postgres_new_database(), &db, &fault), FAIL_NONE);
    return db;
}

static int64_t number(struct db *db, const char *sql)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    if (db_query(db, &fault, &rows, sql) != FAIL_NONE)
        fail_msg("%s: %s", sql, fault.log_text);
    return db_get_int(rows, 0, 0);
}

static void test_twice_is_once(void **state)
{
    struct db *db = fresh();
    struct fault fault = {0};
    for (int i = 0; i != 2; ++i)
        assert_int_equal(migrate(db, list, 3, &fault), FAIL_NONE);
    assert_int_equal(number(db, "select count(*) from one"), 2);
    assert_int_equal(number(db, "select n from two"), 2);
    assert_int_equal(number(db, "select count(*) from stoa_migrations"), 3);
    db_close(db);
}

static void test_the_rest_is_added_later(void **state)
{
    struct db *db = fresh();
    struct fault fault = {0};
    assert_int_equal(migrate(db, list, 1, &fault), FAIL_NONE);
    assert_int_equal(migrate(db, list, 3, &fault), FAIL_NONE);
    assert_int_equal(number(db, "select n from two"), 2);
    db_close(db);
}

static void test_newer_database_is_refused_with_a_sentence(void **state)
{
    struct db *db = fresh();
    struct fault fault = {0};
    assert_int_equal(migrate(db, list, 3, &fault), FAIL_NONE);
    assert_int_equal(migrate(db, list + 1, 1, &fault), FAIL_REFUSED); // bundles 1 is not known
    assert_int_equal(migrate(db, (struct migration[]){list[0], list[2]}, 2, &fault), FAIL_REFUSED);
    assert_string_equal(fault.code, "schema_too_new");
    assert_string_equal(fault.public_text,
                        "The database was made by a newer Stoa (catalog 2); this "
                        "binary knows up to 1. Start the newer binary.");
    assert_int_equal(number(db, "select count(*) from stoa_migrations"), 3);
    db_close(db);
}

static void test_changed_text_is_refused(void **state)
{
    struct db *db = fresh();
    struct fault fault = {0};
    const struct migration other = {"catalog", 1, "create table one (n bigint)"};
    assert_int_equal(migrate(db, list, 1, &fault), FAIL_NONE);
    assert_int_equal(migrate(db, &other, 1, &fault), FAIL_REFUSED);
    assert_string_equal(fault.code, "schema_changed");
    db_close(db);
}

static void test_a_role_without_rights_is_told_what_it_needs(void **state)
{
    struct db *db = fresh();
    struct fault fault = {0};
    assert_int_equal(db_query(db, &fault, NULL, "set search_path = nowhere"), FAIL_NONE);
    assert_int_equal(migrate(db, list, 3, &fault), FAIL_INTERNAL);
    assert_string_equal(fault.code, "database_rights");
    assert_non_null(strstr(fault.public_text, " may not make tables in the database "));
    assert_non_null(strstr(fault.public_text, "alter database \""));
    assert_int_equal(db_query(db, &fault, NULL, "set search_path = public"), FAIL_NONE);
    assert_int_equal(migrate(db, list, 3, &fault), FAIL_NONE);
    db_close(db);
}

static void test_broken_one_leaves_nothing(void **state)
{
    struct db *db = fresh();
    struct fault fault = {0};
    const struct migration broken[] = {
        list[0], {"catalog", 2, "create table half (n integer); select nonsense"}};
    assert_int_equal(migrate(db, broken, 2, &fault), FAIL_INTERNAL);
    assert_false(db_is_in_transaction(db));
    assert_int_equal(number(db, "select count(*) from stoa_migrations"), 1);
    assert_int_equal(number(db, "select count(*) from pg_class where relname = 'half'"), 0);
    db_close(db);
}

static const char *shared_url;

static void *migrate_on_thread(void *arg)
{
    struct fault fault = {0};
    struct db *db = NULL;
    enum fail f = db_open(shared_url, &db, &fault);
    if (f == FAIL_NONE)
        f = migrate(db, list, 3, &fault);
    db_close(db);
    return f == FAIL_NONE ? NULL : arg;
}

static void test_many_at_once_do_it_once(void **state)
{
    pthread_t threads[6];
    struct fault fault = {0};
    struct db *db = NULL;
    shared_url = postgres_new_database();
    for (int i = 0; i != 6; ++i)
        pthread_create(&threads[i], NULL, migrate_on_thread, &fault);
    for (int i = 0; i != 6; ++i) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(db_open(shared_url, &db, &fault), FAIL_NONE);
    assert_int_equal(number(db, "select count(*) from one"), 2);
    db_close(db);
}

#ifdef STOA_FAULTS
static void test_lost_anywhere_and_tried_again(void **state)
{
    const char *url = postgres_new_database();
    for (unsigned long n = 1;; ++n) {
        struct fault fault = {0};
        struct db *db = NULL;
        assert_int_equal(db_open(url, &db, &fault), FAIL_NONE);
        faults_at(n);
        enum fail f = migrate(db, list, 3, &fault);
        assert_int_equal(f, faults_have_fired() ? FAIL_BUSY : FAIL_NONE);
        faults_at(0);
        if (f == FAIL_NONE)
            assert_int_equal(number(db, "select n from two"), 2);
        db_close(db);
        if (f == FAIL_NONE)
            break;
        assert_true(n < 100);
    }
}
#endif

int main(void)
{
    db_configure(postgres_start());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twice_is_once),
        cmocka_unit_test(test_the_rest_is_added_later),
        cmocka_unit_test(test_newer_database_is_refused_with_a_sentence),
        cmocka_unit_test(test_changed_text_is_refused),
        cmocka_unit_test(test_a_role_without_rights_is_told_what_it_needs),
        cmocka_unit_test(test_broken_one_leaves_nothing),
        cmocka_unit_test(test_many_at_once_do_it_once),
#ifdef STOA_FAULTS
        cmocka_unit_test(test_lost_anywhere_and_tried_again),
#endif
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failed;
}
