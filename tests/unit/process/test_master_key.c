// The master key at the first start, at later ones, and when it is lost, wrong or changed. A start is
// master_key_init and master_key_prepare in a process without keys.
#include "edge/master_key.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/base/seal.h"
#include "edge/catalog/catalog.h"
#include <cmocka.h>
#include "tests/harness/postgres.h"

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

static struct db *db;
static char folder[64], file[96];

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(file, mode);
}

static int anew(void **state)
{
    struct fault fault = {0};
    unlink(file);
    seal_fini();
    return db_script(db, &fault, "delete from master_key_checks") == FAIL_NONE ? 0 : -1;
}

static enum fail start(const char *given, struct fault *fault)
{
    *fault = (struct fault){0};
    seal_fini();
    master_key_init(given, file);
    return master_key_prepare(db, fault);
}

static void expect_start(const char *given)
{
    struct fault fault;
    if (start(given, &fault) != FAIL_NONE)
        fail_msg("%s %s", fault.public_text, fault.log_text);
    assert_true(seal_is_ready());
}

static void expect_refusal(const char *given, const char *code)
{
    struct fault fault;
    assert_int_equal(start(given, &fault), FAIL_REFUSED);
    assert_string_equal(fault.code, code);
    assert_null(strstr(fault.public_text, "2222"));
    assert_false(seal_is_ready());
    assert_false(db_is_in_transaction(db));
}

static struct buf sealed(void)
{
    static const struct seal_context at = {"t", "r", "c", "p"};
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(seal(STR("a secret"), &at, &b, NULL), FAIL_NONE);
    return b;
}

static bool opens(const struct buf *b)
{
    static const struct seal_context at = {"t", "r", "c", "p"};
    struct buf plain;
    buf_init(&plain, 1000);
    bool is_fine = unseal(buf_str(b), &at, &plain, NULL) == FAIL_NONE;
    seal_forget(&plain);
    return is_fine;
}

static void the_first_start_makes_a_key(void **state)
{
    struct stat st;
    expect_start("");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    struct buf b = sealed();
    expect_start(""); // the second finds it
    assert_true(opens(&b));
    buf_fini(&b);
}

static void a_lost_file_is_a_refusal_and_no_new_key(void **state)
{
    expect_start("");
    unlink(file);
    expect_refusal("", "master_key_missing");
    assert_int_equal(access(file, F_OK), -1);
}

static void another_key_is_a_refusal(void **state)
{
    expect_start(ONE);
    expect_refusal(TWO, "master_key_wrong");
    expect_start(ONE);
    write_file(TWO "\n", 0600);
    expect_refusal("", "master_key_wrong");
    write_file(ONE "\n", 0600);
    expect_start("");
}

static void a_given_key_writes_no_file(void **state)
{
    expect_start(ONE);
    assert_int_equal(access(file, F_OK), -1);
}

static void a_key_in_front_takes_over(void **state)
{
    expect_start(ONE);
    struct buf b = sealed();
    expect_start(TWO "," ONE);
    assert_true(opens(&b));
    assert_false(seal_is_current(buf_str(&b)));
    expect_start(TWO); // the check value went over at once
    expect_refusal(ONE, "master_key_wrong");
    buf_fini(&b);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    write_file(ONE "\n", 0640);
    expect_refusal("", "master_key_unreadable");
    write_file(ONE "\n", 0600);
    expect_start("");
}

static void a_file_that_holds_no_key_is_refused(void **state)
{
    write_file("", 0600); // a full disk's
    expect_refusal("", "master_key_unreadable");
    write_file(ONE "0\n", 0600);
    expect_refusal("", "master_key_unreadable");
    unlink(file);
    assert_int_equal(symlink("/etc/hostname", file), 0);
    expect_refusal("", "master_key_unreadable");
}

// As on each new connection of the notices thread.
static void asked_again_it_changes_nothing(void **state)
{
    struct fault fault = {0};
    expect_start(ONE);
    struct buf b = sealed();
    for (int i = 0; i != 3; ++i)
        assert_int_equal(master_key_prepare(db, &fault), FAIL_NONE);
    assert_true(seal_is_current(buf_str(&b)));
    buf_fini(&b);
    assert_int_equal(db_script(db, &fault, "update master_key_checks set sealed = 'other'"),
                     FAIL_NONE);
    assert_int_equal(master_key_prepare(db, &fault), FAIL_REFUSED);
}

// A crash between the file and the commit.
static void a_key_without_a_check_is_taken(void **state)
{
    struct fault fault = {0};
    expect_start("");
    struct buf b = sealed();
    assert_int_equal(db_script(db, &fault, "delete from master_key_checks"), FAIL_NONE);
    expect_start("");
    assert_true(opens(&b));
    buf_fini(&b);
}

int main(void)
{
    struct fault fault = {0};
    snprintf(folder, sizeof folder, "/tmp/stoa-test-key-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(file, sizeof file, "%s/master.key", folder);
    db_configure(postgres_start());
    db = db_of_thread();
    if (migrate(db, catalog_migrations, catalog_migration_count, &fault) != FAIL_NONE) {
        fprintf(stderr, "%s %s\n", fault.public_text, fault.log_text);
        return 1;
    }
#define TEST(f) cmocka_unit_test_setup(f, anew)
    const struct CMUnitTest tests[] = {
        TEST(the_first_start_makes_a_key),
        TEST(a_lost_file_is_a_refusal_and_no_new_key),
        TEST(another_key_is_a_refusal),
        TEST(a_given_key_writes_no_file),
        TEST(a_key_in_front_takes_over),
        TEST(a_file_that_others_may_read_is_refused),
        TEST(a_file_that_holds_no_key_is_refused),
        TEST(asked_again_it_changes_nothing),
        TEST(a_key_without_a_check_is_taken),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    rmdir(folder);
    seal_fini();
    postgres_stop();
    return failed;
}
