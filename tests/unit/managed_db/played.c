// A superuser who makes what plugins need, and the test's way to a loop.
#include "edge/loop/h2o.h"
#include "edge/loop/pool.h"
#include "played.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tests/harness/postgres.h"

struct managed_db_options played_options;
_Atomic unsigned played_accesses, played_restores;
_Atomic bool played_is_refusing;
static char superuser_url[1024], socket_directory[256];
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER; // of roles and databases
static h2o_globalconf_t config;

const struct managed_db_options *managed_db_options(void)
{
    return &played_options;
}

const char *played_superuser_url(void)
{
    return superuser_url;
}

static PGconn *superuser_in(const char *database)
{
    char conninfo[512];
    snprintf(conninfo, sizeof conninfo, "host=%s user=postgres dbname=%s", socket_directory,
             database != NULL ? database : "postgres");
    return PQconnectdb(conninfo);
}

const char *played_sql(const char *database, const char *sql)
{
    static char value[4096];
    PGconn *pg = superuser_in(database);
    PGresult *r = PQexec(pg, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
        fprintf(stderr, "%s: %s", sql, PQerrorMessage(pg));
    snprintf(value, sizeof value, "%s", PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    PQfinish(pg);
    return value;
}

// Fails where it is there already.
static bool make(const char *database, const char *format, const char *a, const char *b)
{
    char sql[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(sql, sizeof sql, format, a, b);
#pragma GCC diagnostic pop
    PGconn *pg = superuser_in(database);
    bool is_there = PQstatus(pg) == CONNECTION_OK;
    PQclear(PQexec(pg, sql));
    PQfinish(pg);
    return is_there;
}

enum fail managed_db_access(struct db *db, const char *project_id, const char *plugin_id,
                            struct managed_db_access *ret, struct fault *fault)
{
    ++played_accesses;
    if (played_is_refusing)
        return fault_set(fault, FAIL_BUSY, "managed_db_unavailable", "No access today.");
    snprintf(ret->project_id, sizeof ret->project_id, "%s", project_id);
    snprintf(ret->plugin_id, sizeof ret->plugin_id, "%s", plugin_id);
    snprintf(ret->database, sizeof ret->database, "project_%s", project_id);
    snprintf(ret->role, sizeof ret->role, "role_%s_%s", project_id, plugin_id);
    snprintf(ret->schema, sizeof ret->schema, "s_%s", plugin_id);
    pthread_mutex_lock(&making);
    bool is_up = make(NULL, "create database %s", ret->database, "");
    make(NULL, "create role %s login", ret->role, "");
    make(ret->database, "revoke all on schema public from public", "", "");
    make(ret->database, "create schema %s authorization %s", ret->schema, ret->role);
    pthread_mutex_unlock(&making);
    return is_up ? FAIL_NONE : fault_set(fault, FAIL_BUSY, "managed_db_unavailable", "It is down.");
}

char *managed_db_conninfo(const struct managed_db_access *a)
{
    char *conninfo;
    if (asprintf(&conninfo, "host=%s dbname=%s user=%s", socket_directory, a->database, a->role) <
        0)
        abort();
    return conninfo;
}

enum fail managed_db_role_restore(struct db *db, const char *project_id, const char *plugin_id,
                                  struct fault *fault)
{
    ++played_restores;
    return FAIL_NONE;
}

enum fail managed_db_control_open(struct db **ret, struct fault *fault)
{
    return db_open(superuser_url, ret, fault);
}

static void on_loop_start(struct loop *loop)
{
    managed_db_on_loop_start(loop);
}

void played_start(unsigned count)
{
    signal(SIGPIPE, SIG_IGN);
    snprintf(superuser_url, sizeof superuser_url, "%s", postgres_start());
    const char *host = strstr(superuser_url, "host=");
    snprintf(socket_directory, sizeof socket_directory, "%s", host != NULL ? host + 5 : "");
    db_configure(superuser_url);
    played_options = (struct managed_db_options){.url = superuser_url,
                                                 .provision_url = superuser_url,
                                                 .is_private = true,
                                                 .connections = 60,
                                                 .connections_per_project = 20,
                                                 .connections_per_plugin = 8};
    h2o_config_init(&config);
    h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    pool_start((unsigned[LANES]){2, 1, 1}, 1000);
    loops_start(count, &config, on_loop_start);
}

void played_stop(void)
{
    loops_stop();
    pool_drain(5000);
    postgres_stop();
}
