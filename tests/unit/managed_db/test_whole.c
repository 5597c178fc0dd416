// Both halves of managed_db together: from a plugin that has nothing yet to its rows, with the
// rights a role really has, in the cluster that holds nothing else of theirs.
#include "edge/http/endpoint.h"
#include "edge/loop/h2o.h"
#include "edge/loop/pool.h"
#include <libpq-fe.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "asked.h"
#include "edge/base/clock.h"
#include "edge/base/seal.h"
#include "expect.h"
#include "public-actions/managed_db/internal.h"
#include "tests/harness/postgres.h"

static struct db *db;
static char project[CATALOG_ID_ROOM], state_url[1024], plugins_url[1024];
static struct plugin notes, other;
static h2o_globalconf_t config;

static void check(enum fail fail, const struct fault *fault)
{
    if (fail != FAIL_NONE)
        fail_msg("%s: %s (%s)", fault->code, fault->public_text, fault->log_text);
}

static void make_plugin(str slug, struct plugin *ret)
{
    struct fault fault;
    bool is_new;
    check(
        catalog_plugin_upsert(db, project, slug, slug, STR("1"), STR("free"), ret, &is_new, &fault),
        &fault);
}

static void make_state(void)
{
    struct migration all[16];
    struct fault fault;
    char owner[37];
    size_t n = 0;
    for (size_t i = 0; i != catalog_migration_count; ++i)
        all[n++] = catalog_migrations[i];
    for (size_t i = 0; i != managed_db_migration_count; ++i)
        all[n++] = managed_db_migrations[i];
    check(db_open(state_url, &db, &fault), &fault);
    check(migrate(db, all, n, &fault), &fault);
    check(db_begin(db, &fault), &fault);
    check(catalog_project_create(db, STR("Owner"), project, owner, &fault), &fault);
    make_plugin(STR("notes"), &notes);
    make_plugin(STR("other"), &other);
    check(db_commit(db, &fault), &fault);
}

static void on_loop_start(struct loop *loop)
{
    managed_db_on_loop_start(loop);
}

static int set_up(void **state)
{
    struct seal_key key;
    signal(SIGPIPE, SIG_IGN);
    snprintf(state_url, sizeof state_url, "%s", postgres_start());
    snprintf(plugins_url, sizeof plugins_url, "%s", postgres_new_database());
    db_configure(state_url);
    seal_key_make(&key);
    seal_init(&key, 1);
    managed_db_init(&(struct managed_db_options){.url = plugins_url,
                                                 .provision_url = plugins_url,
                                                 .is_shared_accepted = true,
                                                 .connections = 10,
                                                 .connections_per_project = 4,
                                                 .connections_per_plugin = 1,
                                                 .project_bytes = 1 << 30});
    make_state();
    h2o_config_init(&config);
    h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    pool_start((unsigned[LANES]){2, 1, 1}, 100);
    loops_start(1, &config, on_loop_start);
    return 0;
}

static int tear_down(void **state)
{
    loops_stop();
    pool_drain(5000);
    db_close(db);
    postgres_stop();
    return 0;
}

static void the_first_query_makes_what_it_needs(void **state)
{
    ask(project, notes.id, "[\"create table t (a int)\"]");
    assert_false(ask_is_error);
    assert_has(ask(project, notes.id, "[\"insert into t values ($1) returning a\",[7]]"),
               "{\"rows\":[{\"a\":7}],\"columns\":[\"a\"],\"rowCount\":1,");
    assert_has(ask(project, notes.id, "[\"select current_setting('app.user_id') u\"]"),
               "\"user-1\"");
}

static void a_sibling_sees_nothing_of_it(void **state)
{
    char sql[256];
    struct managed_db_access a;
    struct fault fault;
    check(managed_db_access(db, project, notes.id, &a, &fault), &fault);
    snprintf(sql, sizeof sql, "[\"select * from %s.t\"]", a.schema);
    assert_has(ask(project, other.id, "%s", sql), "\"code\":\"42501\"");
    assert_has(ask(project, other.id, "[\"select * from t\"]"), "\"code\":\"42P01\"");
    snprintf(sql, sizeof sql, "[\"set role %s\"]", a.role);
    assert_has(ask(project, other.id, "%s", sql), "\"code\":\"42501\"");
}

static void functions_and_locks_are_not_theirs(void **state)
{
    assert_has(ask(project, notes.id, "[\"do $$ begin perform 1; end $$\"]"), "\"code\":\"42501\"");
    assert_has(ask(project, notes.id, "[\"select pg_advisory_lock(1)\"]"), "\"code\":\"42501\"");
    assert_has(ask(project, notes.id, "[\"select pg_notify('x','y')\"]"), "\"code\":\"42501\"");
    assert_has(ask(project, notes.id, "[\"listen x\"]"), "\"code\":\"statement_refused\"");
    assert_has(ask(project, notes.id, "[\"create temporary table x (a int)\"]"),
               "\"code\":\"42501\"");
}

// Cast loop: no language is needed to be busy for long, and none to be stopped.
static void deadlines_hold_for_what_they_can_write(void **state)
{
    uint64_t began = clock_monotonic_ms();
    const char *json = ask(project, notes.id,
                           "[\"with recursive r(n) as (select 1 union all select n + 1 from r) "
                           "select count(*) from r\",[],{\"timeoutMs\":300}]");
    assert_has(json, "\"code\":\"57014\"");
    assert_true(clock_monotonic_ms() - began < 2000);
}

// As the owner's own psql can.
static void what_a_role_did_to_its_logins_does_not_count(void **state)
{
    static const char *const tricks[] = {
        "local_preload_libraries = 'nothing'", "search_path = nowhere", "statement_timeout = 1",
        "default_transaction_read_only = on",  "exit_on_error = on",    "role = 'nobody'"};
    struct managed_db_access a;
    struct fault fault;
    check(managed_db_access(db, project, notes.id, &a, &fault), &fault);
    for (size_t i = 0; i != sizeof tricks / sizeof tricks[0]; ++i) {
        char sql[256];
        PGconn *pg = PQconnectdb(plugins_url);
        snprintf(sql, sizeof sql, "alter role %s set %s", a.role, tricks[i]);
        PQclear(PQexec(pg, sql));
        snprintf(sql, sizeof sql,
                 "select pg_terminate_backend(pid) from pg_stat_activity where usename = '%s'",
                 a.role);
        PQclear(PQexec(pg, sql));
        PQfinish(pg);
        usleep(50000);
        ask(project, notes.id, "[\"select 1/0\"]");
        const char *json = ask(project, notes.id, "[\"insert into t values (1) returning a\"]");
        assert_has(json, "{\"rows\":[{\"a\":1}]");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_query_makes_what_it_needs),
        cmocka_unit_test(a_sibling_sees_nothing_of_it),
        cmocka_unit_test(functions_and_locks_are_not_theirs),
        cmocka_unit_test(deadlines_hold_for_what_they_can_write),
        cmocka_unit_test(what_a_role_did_to_its_logins_does_not_count),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
