// The manifest's tables in a real PostgreSQL: made, added to, never altered; and what strangers put
// into definitions gets no further than their own role.
#include "edge/catalog/hooks.h"
#include "edge/http/endpoint.h"
#include "public-actions/managed_db/tables.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edge/base/jsonx.h"
#include "tests/harness/postgres.h"

static struct db *db;
static char project[CATALOG_ID_ROOM], owner[37];
static struct plugin plugin;
static struct problems warnings;

static void check(enum fail fail, const struct fault *fault)
{
    if (fail != FAIL_NONE)
        fail_msg("%s: %s (%s)", fault->code, fault->public_text, fault->log_text);
}

static void make_plugin(const char *slug)
{
    struct fault fault;
    bool is_new;
    check(db_begin(db, &fault), &fault);
    check(catalog_plugin_upsert(db, project, str_from(slug), str_from(slug), STR("1"), STR("free"),
                                &plugin, &is_new, &fault),
          &fault);
    check(db_commit(db, &fault), &fault);
}

static const char *cluster;

static void begin(uint64_t sync_ms)
{
    managed_db_init(&(struct managed_db_options){.url = cluster,
                                                 .provision_url = "",
                                                 .is_shared_accepted = true,
                                                 .connections = 10,
                                                 .connections_per_project = 4,
                                                 .connections_per_plugin = 2,
                                                 .project_bytes = 1 << 30,
                                                 .sync_ms = sync_ms});
}

static int set_up(void **state)
{
    struct fault fault;
    struct seal_key seal_key;
    cluster = postgres_start();
    db_configure(cluster);
    db = db_of_thread();
    seal_key_make(&seal_key);
    seal_init(&seal_key, 1);
    begin(0);
    struct migration all[16];
    size_t n = 0;
    for (size_t i = 0; i != catalog_migration_count; ++i)
        all[n++] = catalog_migrations[i];
    for (size_t i = 0; i != managed_db_migration_count; ++i)
        all[n++] = managed_db_migrations[i];
    check(migrate(db, all, n, &fault), &fault);
    check(db_begin(db, &fault), &fault);
    check(catalog_project_create(db, STR("Owner"), project, owner, &fault), &fault);
    check(db_commit(db, &fault), &fault);
    return 0;
}

static int tear_down(void **state)
{
    postgres_stop();
    return 0;
}

static int fresh(void **state)
{
    static int number;
    char slug[32];
    snprintf(slug, sizeof slug, "plugin-%d", ++number);
    make_plugin(slug);
    problems_init(&warnings);
    return 0;
}

static int done(void **state)
{
    problems_fini(&warnings);
    return 0;
}

// `tables` with ' for ".
static void sync_tables(const char *tables)
{
    struct fault fault;
    char text[4096];
    snprintf(text, sizeof text, "{'manifest':{'database':{'tables':%s}}}", tables);
    for (char *c = text; *c != '\0'; ++c)
        *c = *c == '\'' ? '"' : *c == '`' ? '\'' : *c;
    json_t *front = jsonx_parse(str_from(text), &fault);
    if (front == NULL)
        fail_msg("%s", text);
    problems_fini(&warnings);
    problems_init(&warnings);
    managed_db_sync(db, project, plugin.id, front, &warnings);
    json_decref(front);
}

static void expect_warnings(size_t count)
{
    if (warnings.count == count)
        return;
    for (size_t i = 0; i != warnings.count; ++i)
        print_message("%s: %s\n", warnings.list[i].section, warnings.list[i].message);
    fail_msg("%zu warnings, not %zu", warnings.count, count);
}

// As the plugin's role.
static const char *said(const char *sql)
{
    static char text[256];
    struct managed_db_access access;
    struct managed_db_link link;
    struct fault fault;
    PGresult *r = NULL;
    check(managed_db_access(db, project, plugin.id, &access, &fault), &fault);
    check(managed_db_session_open(db, &access, &link, &fault), &fault);
    enum fail f = managed_db_link_run(&link, &r, sql, NULL, 0, &fault);
    snprintf(text, sizeof text, "%s",
             f != FAIL_NONE     ? link.state
             : PQntuples(r) > 0 ? PQgetvalue(r, 0, 0)
                                : "done");
    PQclear(r);
    managed_db_link_close(&link);
    return text;
}

static void test_tables_are_made_with_their_policy(void **state)
{
    sync_tables("{'notes':{'columns':{'id':'uuid primary key default gen_random_uuid()',"
                "'pie_user_id':'text not null default current_setting(`app.user_id`, true)',"
                "'Title \\\"x\\\"':'text not null'},'rls':'pie_user_id'}}");
    expect_warnings(0);
    assert_string_equal(said("insert into notes (\"Title \"\"x\"\"\") values ('a')"), "done");
    assert_string_equal(said("select pie_user_id from notes"), owner);
    assert_string_equal(
        said("select relrowsecurity and relforcerowsecurity from pg_class where relname = 'notes'"
             " and relnamespace = current_schema::regnamespace"),
        "t");
    // another user's rows are not seen, nor made
    assert_string_equal(said("with a as (select set_config('app.user_id', 'x', true)) select count"
                             "(*) from a, notes"),
                        "0");
    assert_string_equal(said("insert into notes (pie_user_id, \"Title \"\"x\"\"\") values ('x',"
                             " 'b')"),
                        "42501");
}

static void test_columns_are_added_and_nothing_is_altered_or_dropped(void **state)
{
    sync_tables("{'t':{'columns':{'a':'integer','b':'text'}}}");
    expect_warnings(0);
    assert_string_equal(said("insert into t values (1, 'kept')"), "done");
    sync_tables("{'t':{'columns':{'a':'bigint','c':'text not null default current_setting("
                "`app.user_id`, true)'}}}");
    expect_warnings(1);
    assert_string_equal(warnings.list[0].section, "database: t.a");
    assert_non_null(strstr(warnings.list[0].message, "integer"));
    assert_string_equal(said("select b from t"), "kept");
    assert_string_equal(said("select c from t"), owner);
    sync_tables("{'t':{'columns':{'a':'int4','b':'text','d':'varchar(10)'}}}");
    expect_warnings(0);
    sync_tables("{'t':{'columns':{'d':'varchar(20)'}}}");
    expect_warnings(1);
}

static void test_rls_that_comes_later_is_set_up(void **state)
{
    sync_tables("{'t':{'columns':{'owner':'uuid'}}}");
    sync_tables("{'t':{'columns':{'owner':'uuid'},'rls':'owner'}}");
    expect_warnings(0);
    assert_string_equal(said("select relforcerowsecurity from pg_class where relname = 't'"
                             " and relnamespace = current_schema::regnamespace"),
                        "t");
    sync_tables("{'t':{'columns':{'owner':'uuid'},'rls':'owner'}}");
    expect_warnings(0);
}

static void test_one_bad_table_does_not_stop_the_next(void **state)
{
    sync_tables("{'bad':{'columns':{'a':'text','b':'no_such_type'}},'good':{'columns':{'a':"
                "'text'}}}");
    expect_warnings(1);
    assert_string_equal(warnings.list[0].section, "database: bad.b");
    assert_string_equal(said("select count(*) from good"), "0");
    assert_string_equal(said("select count(*) from bad"), "42P01");
}

// security-rules.md 7: a definition is strangers' SQL.
static void test_hostile_definitions_get_no_further_than_the_role(void **state)
{
    sync_tables("{'a':{'columns':{'x':'text default pg_read_file(`/etc/passwd`)'}}}");
    expect_warnings(0); // it may be written down; whoever inserts is the role itself
    assert_string_equal(said("insert into a default values"), "42501");
    sync_tables("{'a':{'columns':{'y':'text default pg_read_file(`/etc/passwd`)'}}}");
    expect_warnings(1); // a value is asked for at once, by the role
    assert_non_null(strstr(warnings.list[0].message, "permission denied"));
    sync_tables("{'b':{'columns':{'x':'text); create role evil superuser; --'}}}");
    expect_warnings(1); // not even sent
    sync_tables("{'c':{'columns':{'x':'text check (pg_ls_dir(`/`) is null)'}}}");
    sync_tables("{'d':{'columns':{'x':'text default lo_import(`/etc/passwd`)::text'}}}");
    assert_string_equal(said("insert into d default values"), "42501");
    assert_string_equal(said("select count(*) from pg_catalog.pg_class where relname = 'evil'"),
                        "0");
    sync_tables("{'e':{'columns':{'x':'text default pg_sleep(60)::text'}}}");
    sync_tables("{'f':{'columns':{'x':'text references pg_catalog.pg_authid'}}}");
    expect_warnings(1);
}

static void test_views_policies_and_rules_run_as_their_role(void **state)
{
    sync_tables("{'t':{'columns':{'a':'integer'}}}");
    assert_string_equal(said("create view v as select pg_read_file('/etc/passwd') as a"), "done");
    sync_tables("{'v':{'columns':{'a':'text','b':'text'}}}");
    expect_warnings(1);
    assert_non_null(strstr(warnings.list[0].message, "no table"));
    assert_string_equal(said("create rule r as on insert to t do also delete from t"), "done");
    assert_string_equal(
        said("create policy p on t using ((select pg_read_file('/etc/passwd')) is null)"), "done");
    sync_tables("{'t':{'columns':{'a':'integer','b':'text default `x`'}}}");
    expect_warnings(0);
}

static void test_settings_of_the_role_do_not_mislead(void **state)
{
    sync_tables("{'t':{'columns':{'a':'integer'}}}");
    assert_string_equal(said("alter role current_user set default_transaction_read_only = on"),
                        "done");
    assert_string_equal(said("alter role current_user set search_path = pg_catalog"), "done");
    sync_tables("{'u':{'columns':{'a':'integer'}}}");
    expect_warnings(0);
    assert_string_equal(said("select count(*) from u"), "0");
}

static void test_table_that_is_locked_is_waited_for_a_while_only(void **state)
{
    struct managed_db_access access;
    struct managed_db_link link;
    struct fault fault;
    sync_tables("{'t':{'columns':{'a':'integer'}}}");
    check(managed_db_access(db, project, plugin.id, &access, &fault), &fault);
    check(managed_db_session_open(db, &access, &link, &fault), &fault);
    check(managed_db_tables_begin(&link, &fault), &fault);
    check(managed_db_link_run(&link, NULL, "lock table t", NULL, 0, &fault), &fault);
    sync_tables("{'t':{'columns':{'a':'integer','b':'text'}}}");
    expect_warnings(1);
    managed_db_link_close(&link);
}

// Each column's default takes its while; the thread is for everybody's deploys.
static void test_slow_defaults_end_with_the_time_for_all(void **state)
{
    sync_tables("{'slow':{'columns':{'a':'integer'}}}");
    assert_string_equal(said("insert into slow values (1)"), "done");
    begin(500);
    sync_tables(
        "{'slow':{'columns':{'a':'integer','b':'text default pg_sleep(0.6)::text',"
        "'c':'text default pg_sleep(0.6)::text','d':'integer'}},'next':{'columns':{'a':'text'}}}");
    begin(0);
    expect_warnings(2);
    assert_non_null(strstr(warnings.list[0].message, "slow.c\": there was no time"));
    assert_string_equal(said("select count(*) from information_schema.columns where table_name ="
                             " 'slow'"),
                        "2");
}

// --- the end of a plugin ---

static void test_kept_data_is_found_again_by_the_same_slug(void **state)
{
    struct managed_db_access before, after;
    struct fault fault;
    char slug[64];
    sync_tables("{'t':{'columns':{'a':'integer'}}}");
    check(managed_db_access(db, project, plugin.id, &before, &fault), &fault);
    check(db_begin(db, &fault), &fault);
    check(managed_db_hooks.on_delete(db, &plugin, true, &fault), &fault);
    check(catalog_plugin_delete(db, project, plugin.id, &fault), &fault);
    check(db_commit(db, &fault), &fault);
    managed_db_collect();
    snprintf(slug, sizeof slug, "%s", plugin.slug);
    make_plugin(slug);
    check(managed_db_access(db, project, plugin.id, &after, &fault), &fault);
    assert_string_equal(after.role, before.role);
    assert_string_equal(said("select count(*) from t"), "0");
}

static void test_deleted_data_is_gone_and_its_name_with_it(void **state)
{
    struct managed_db_access before, after;
    struct fault fault;
    bool has_data = false;
    char slug[64];
    json_t *what = json_object();
    sync_tables("{'t':{'columns':{'a':'integer'}}}");
    check(managed_db_access(db, project, plugin.id, &before, &fault), &fault);
    assert_string_equal(said("create view w as select * from t"), "done");
    check(managed_db_hooks.on_delete_ask(db, &plugin, what, &has_data, &fault), &fault);
    assert_true(has_data);
    assert_int_equal(json_array_size(json_object_get(what, "tables")), 1);
    json_decref(what);
    AUTOFREE char *info = managed_db_conninfo(&before);
    PGconn *open = PQconnectdb(info); // somebody is still inside
    assert_int_equal(PQstatus(open), CONNECTION_OK);
    check(db_begin(db, &fault), &fault);
    check(managed_db_hooks.on_delete(db, &plugin, false, &fault), &fault);
    check(catalog_plugin_delete(db, project, plugin.id, &fault), &fault);
    check(db_commit(db, &fault), &fault);
    managed_db_collect();
    PQfinish(open);
    struct db_rows *rows = NULL;
    check(db_query(db, &fault, &rows, "select count(*) from pg_roles where rolname = $1",
                   db_text(before.role)),
          &fault);
    assert_int_equal(db_get_int(rows, 0, 0), 0);
    db_rows_free(rows);
    check(db_query(db, &fault, &rows, "select count(*) from managed_drops"), &fault);
    assert_int_equal(db_get_int(rows, 0, 0), 0);
    db_rows_free(rows);
    snprintf(slug, sizeof slug, "%s", plugin.slug);
    make_plugin(slug);
    check(managed_db_access(db, project, plugin.id, &after, &fault), &fault);
    assert_string_not_equal(after.role, before.role);
    assert_string_equal(said("select count(*) from t"), "42P01");
}

static void test_last_plugin_takes_the_database_with_it(void **state)
{
    struct managed_db_access access;
    struct fault fault;
    char other[CATALOG_ID_ROOM], kept[CATALOG_ID_ROOM];
    memcpy(kept, project, sizeof kept);
    check(db_begin(db, &fault), &fault);
    check(catalog_project_create(db, STR("Other"), other, owner, &fault), &fault);
    check(db_commit(db, &fault), &fault);
    memcpy(project, other, sizeof project);
    make_plugin("lonely");
    check(managed_db_access(db, project, plugin.id, &access, &fault), &fault);
    check(db_begin(db, &fault), &fault);
    check(managed_db_hooks.on_delete(db, &plugin, false, &fault), &fault);
    check(db_commit(db, &fault), &fault);
    managed_db_collect();
    struct db_rows *rows = NULL;
    check(db_query(db, &fault, &rows, "select count(*) from pg_database where datname = $1",
                   db_text(access.database)),
          &fault);
    assert_int_equal(db_get_int(rows, 0, 0), 0);
    db_rows_free(rows);
    memcpy(project, kept, sizeof project);
}

static void test_cluster_that_is_away_makes_a_warning(void **state)
{
    struct managed_db_options here = *managed_db_options(), away = here;
    char *url = str_dup(str_from(here.url));
    away.url = away.provision_url = "postgresql://nobody@127.0.0.1:1/none";
    managed_db_init(&away);
    sync_tables("{'t':{'columns':{'a':'integer'}}}");
    expect_warnings(1);
    here.url = url;
    here.provision_url = "";
    managed_db_init(&here);
    free(url);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, done)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tables_are_made_with_their_policy),
        TEST(test_columns_are_added_and_nothing_is_altered_or_dropped),
        TEST(test_rls_that_comes_later_is_set_up),
        TEST(test_one_bad_table_does_not_stop_the_next),
        TEST(test_hostile_definitions_get_no_further_than_the_role),
        TEST(test_views_policies_and_rules_run_as_their_role),
        TEST(test_settings_of_the_role_do_not_mislead),
        TEST(test_table_that_is_locked_is_waited_for_a_while_only),
        TEST(test_slow_defaults_end_with_the_time_for_all),
        TEST(test_kept_data_is_found_again_by_the_same_slug),
        TEST(test_deleted_data_is_gone_and_its_name_with_it),
        TEST(test_last_plugin_takes_the_database_with_it),
        TEST(test_cluster_that_is_away_makes_a_warning),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
