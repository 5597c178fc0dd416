// Places of plugins' data, made in a real PostgreSQL, and the rights a plugin's role has there.
#include "edge/http/endpoint.h"
#include <libpq-fe.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "public-actions/managed_db/provision.h"
#include "tests/harness/postgres.h"

static struct db *db;
static char project[CATALOG_ID_ROOM];
static struct plugin plugin, other;
static const char *url;

static void check(enum fail fail, const struct fault *fault)
{
    if (fail != FAIL_NONE)
        fail_msg("%s: %s (%s)", fault->code, fault->public_text, fault->log_text);
}

static void make_plugin(str slug, struct plugin *ret)
{
    struct fault fault;
    bool is_new;
    check(db_begin(db, &fault), &fault);
    check(
        catalog_plugin_upsert(db, project, slug, slug, STR("1"), STR("free"), ret, &is_new, &fault),
        &fault);
    check(db_commit(db, &fault), &fault);
}

static int set_up(void **state)
{
    struct fault fault;
    struct seal_key seal_key;
    char owner[37];
    url = postgres_start();
    db_configure(url);
    seal_key_make(&seal_key);
    seal_init(&seal_key, 1);
    managed_db_init(&(struct managed_db_options){.url = url,
                                                 .provision_url = "",
                                                 .is_shared_accepted = true,
                                                 .connections = 10,
                                                 .connections_per_project = 4,
                                                 .connections_per_plugin = 2,
                                                 .project_bytes = 1 << 30});
    check(db_open(url, &db, &fault), &fault);
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
    make_plugin(STR("notes"), &plugin);
    make_plugin(STR("other"), &other);
    return 0;
}

static int tear_down(void **state)
{
    db_close(db);
    postgres_stop();
    return 0;
}

static PGconn *enter(const struct managed_db_access *access)
{
    AUTOFREE char *info = managed_db_conninfo(access);
    PGconn *conn = PQconnectdb(info);
    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(conn));
    return conn;
}

// The first value, or the error's SQL state.
static const char *said(PGconn *conn, const char *sql)
{
    static char text[256];
    PGresult *r = PQexec(conn, sql);
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    snprintf(text, sizeof text, "%s",
             state != NULL      ? state
             : PQntuples(r) > 0 ? PQgetvalue(r, 0, 0)
                                : "done");
    PQclear(r);
    return text;
}

static void test_place_is_made_once_and_found_again(void **state)
{
    struct managed_db_access a, again;
    struct fault fault;
    check(managed_db_access(db, project, plugin.id, &a, &fault), &fault);
    check(managed_db_access(db, project, plugin.id, &again, &fault), &fault);
    assert_memory_equal(&a, &again, sizeof a);
    assert_string_equal(a.schema, a.role);
    PGconn *conn = enter(&a);
    assert_string_equal(said(conn, "select current_user"), a.role);
    assert_string_equal(said(conn, "select current_schema"), a.schema);
    assert_string_equal(said(conn, "create table t (a int)"), "done");
    assert_string_equal(
        said(conn, "select rolsuper or rolcreatedb or rolcreaterole or rolinherit or rolreplication"
                   " or rolbypassrls from pg_authid where rolname = current_user"),
        "42501");
    PQfinish(conn);
}

static void test_plugins_of_a_project_share_a_database_and_nothing_else(void **state)
{
    struct managed_db_access a, b;
    struct fault fault;
    char sql[256];
    check(managed_db_access(db, project, plugin.id, &a, &fault), &fault);
    check(managed_db_access(db, project, other.id, &b, &fault), &fault);
    assert_string_equal(a.database, b.database);
    assert_string_not_equal(a.role, b.role);
    PGconn *conn = enter(&b);
    snprintf(sql, sizeof sql, "select * from \"%s\".t", a.schema);
    assert_string_equal(said(conn, sql), "42501");
    snprintf(sql, sizeof sql, "set role \"%s\"", a.role);
    assert_string_equal(said(conn, sql), "42501");
    PQfinish(conn);
}

struct maker {
    pthread_t thread;
    const char *plugin_id;
    struct managed_db_access access;
    enum fail fail;
};

static void *make_one(void *arg)
{
    struct maker *m = arg;
    struct db *own;
    struct fault fault;
    m->fail = db_open(url, &own, &fault);
    if (m->fail == FAIL_NONE)
        m->fail = managed_db_access(own, project, m->plugin_id, &m->access, &fault);
    db_close(own);
    return NULL;
}

static void test_many_at_once_make_one(void **state)
{
    enum { MAKERS = 6 };
    struct maker makers[MAKERS] = {0};
    struct plugin p;
    make_plugin(STR("wanted"), &p);
    for (size_t i = 0; i != MAKERS; ++i) {
        makers[i].plugin_id = p.id;
        pthread_create(&makers[i].thread, NULL, make_one, &makers[i]);
    }
    for (size_t i = 0; i != MAKERS; ++i) {
        pthread_join(makers[i].thread, NULL);
        assert_int_equal(makers[i].fail, FAIL_NONE);
        assert_memory_equal(&makers[i].access, &makers[0].access, sizeof makers[0].access);
    }
}

static void test_what_a_role_changed_about_itself_is_put_back(void **state)
{
    struct managed_db_access a;
    struct fault fault;
    check(managed_db_access(db, project, plugin.id, &a, &fault), &fault);
    PGconn *conn = enter(&a);
    assert_string_equal(said(conn, "alter role current_user set search_path = pg_catalog"), "done");
    assert_string_equal(said(conn, "alter role current_user in database postgres set jit = on"),
                        "done");
    PQfinish(conn);
    conn = enter(&a);
    assert_string_equal(said(conn, "select current_schema"), "pg_catalog");
    PQfinish(conn);
    check(managed_db_role_restore(db, project, plugin.id, &fault), &fault);
    conn = enter(&a);
    assert_string_equal(said(conn, "select current_schema"), a.schema);
    PQfinish(conn);
}

static void test_cluster_of_the_state_needs_a_word(void **state)
{
    struct managed_db_link link;
    struct fault fault;
    struct managed_db_options shared = *managed_db_options(), apart;
    shared.url = url;
    shared.provision_url = "";
    apart = shared;
    apart.is_shared_accepted = false;
    managed_db_init(&apart);
    assert_int_equal(managed_db_provision_open(db, NULL, &link, &fault), FAIL_REFUSED);
    assert_string_equal(fault.code, "plugin_database_shared");
    managed_db_init(&shared);
}

static void test_cluster_that_is_away_is_told(void **state)
{
    struct managed_db_link link;
    struct fault fault;
    assert_int_equal(
        managed_db_link_open("postgresql://nobody@127.0.0.1:1/none", NULL, &link, &fault),
        FAIL_BUSY);
    assert_string_equal(fault.code, "managed_db_unavailable");
}

// Test vector of RFC 7677 §3: the salt is given there, so the verifier is checked by what a server
// derives of it.
static void test_verifier_has_the_form_of_postgresql(void **state)
{
    char verifier[MANAGED_DB_VERIFIER_ROOM];
    managed_db_verifier("pencil", 4096, verifier);
    assert_int_equal(strncmp(verifier, "SCRAM-SHA-256$4096:", 19), 0);
    assert_int_equal(strlen(verifier), 19 + 24 + 1 + 44 + 1 + 44);
    PGconn *conn = PQconnectdb(url);
    char sql[400];
    snprintf(sql, sizeof sql, "create role verified login password '%s'", verifier);
    assert_string_equal(said(conn, sql), "done");
    assert_string_equal(said(conn, "select rolpassword from pg_authid where rolname = 'verified'"),
                        verifier); // taken for a verifier, and not for a password
    assert_string_equal(said(conn, "drop role verified"), "done");
    PQfinish(conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place_is_made_once_and_found_again),
        cmocka_unit_test(test_plugins_of_a_project_share_a_database_and_nothing_else),
        cmocka_unit_test(test_many_at_once_make_one),
        cmocka_unit_test(test_what_a_role_changed_about_itself_is_put_back),
        cmocka_unit_test(test_cluster_of_the_state_needs_a_word),
        cmocka_unit_test(test_cluster_that_is_away_is_told),
        cmocka_unit_test(test_verifier_has_the_form_of_postgresql),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
