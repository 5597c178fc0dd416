// A subscription's key goes over to the newest master key; one that does not open holds up no other.
#include "tests/unit/runs/setup.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "edge/base/seal.h"
#include "tests/harness/postgres.h"

static const struct seal_key one = {{1}}, two = {{2}};
static const uint8_t key[EVENT_KEY_SIZE] = {7, 7, 7};

static void subscribe(const char *id, const char *sealed_for)
{
    struct fault fault = {0};
    struct buf sealed;
    buf_init(&sealed, 256);
    assert_int_equal(event_key_seal(key, mine.project_id, sealed_for, &sealed, &fault), FAIL_NONE);
    assert_int_equal(
        db_query(setup_db, &fault, NULL,
                 "insert into event_subscriptions (id, project_id, url, events, secret)"
                 " values ($1, $2, 'https://a.example', '{*}', $3)",
                 db_text(id), db_text(mine.project_id), db_bytes(buf_str(&sealed))),
        FAIL_NONE);
    buf_fini(&sealed);
}

static bool opens(const char *id)
{
    struct fault fault = {0};
    uint8_t back[EVENT_KEY_SIZE];
    size_t n;
    DB_ROWS_AUTO rows = NULL;
    assert_int_equal(db_query(setup_db, &fault, &rows,
                              "select secret from event_subscriptions where id = $1", db_text(id)),
                     FAIL_NONE);
    uint8_t *sealed AUTOFREE = db_get_bytes(rows, 0, 0, &n);
    return event_key_unseal(str_of(sealed, n), mine.project_id, id, back, &fault) == FAIL_NONE &&
           memcmp(back, key, sizeof key) == 0;
}

static void keys_go_over(void **state)
{
    struct fault fault = {0};
    size_t done;
    char id[24];
    seal_init(&one, 1);
    subscribe("sub_000", "another"); // does not open
    for (int i = 1; i != 131; ++i) {
        snprintf(id, sizeof id, "sub_%03d", i);
        subscribe(id, id);
    }
    seal_init((struct seal_key[]){two, one}, 2);
    assert_int_equal(runs_reseal(setup_db, &done, &fault), FAIL_NONE);
    assert_int_equal(done, 130);
    assert_int_equal(runs_reseal(setup_db, &done, &fault), FAIL_NONE);
    assert_int_equal(done, 0);
    seal_init(&two, 1);
    assert_true(opens("sub_001"));
    assert_true(opens("sub_130"));
    assert_false(opens("sub_000"));
}

static void without_a_master_key_it_waits(void **state)
{
    struct fault fault = {0};
    size_t done;
    seal_fini();
    assert_int_equal(runs_reseal(setup_db, &done, &fault), FAIL_BUSY);
}

int main(void)
{
    setup_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_go_over),
        cmocka_unit_test(without_a_master_key_it_waits),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failed;
}
