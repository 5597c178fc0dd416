// What is said to the plugins' cluster over a privileged connection. It names databases, roles and
// schemas of our own making, and never an object in a plugin's schema (security-rules.md 7).
#include <stdio.h>
#include <stdlib.h>
#include "edge/store/cluster_rights.h"
#include "public-actions/managed_db/provision.h"

enum { SQL_MAX = 64 << 10, SCRAM_ITERATIONS = 4096 };
#define DEPENDENT_OBJECTS "2BP01" // dependent_objects_still_exist

// Runs the format with the names quoted: at most two %s.
static enum fail run_named(struct managed_db_link *link, struct fault *fault, const char *format,
                           const char *a, const char *b)
{
    struct buf sql;
    char *quoted_a = managed_db_link_quote(link, a), *quoted_b = managed_db_link_quote(link, b);
    buf_init(&sql, SQL_MAX);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    buf_addf(&sql, format, quoted_a, quoted_b);
#pragma GCC diagnostic pop
    buf_addc(&sql, '\0');
    enum fail fail = managed_db_link_run(link, NULL, sql.p, NULL, 0, fault);
    buf_fini(&sql);
    PQfreemem(quoted_a);
    PQfreemem(quoted_b);
    return fail;
}

// What the operator must mend: said with PostgreSQL's own words in the log. No stranger's words can
// be in them.
static enum fail explain(const struct managed_db_link *link, enum fail fail, struct fault *fault)
{
    if (fail != FAIL_REFUSED)
        return fail;
    fault_set(fault, FAIL_BUSY, "managed_db_unavailable",
              "The plugin's database could not be made. The server's log has the reason.");
    fault_log(fault, "plugins' cluster: sql state %s %s", link->state, link->message);
    return FAIL_BUSY;
}

static enum fail ask(struct managed_db_link *link, const char *sql, const char *value, char *ret,
                     size_t room, struct fault *fault)
{
    PGresult *r;
    enum fail fail = managed_db_link_run(link, &r, sql, &value, value != NULL, fault);
    if (fail != FAIL_NONE)
        return explain(link, fail, fault);
    snprintf(ret, room, "%s", PQntuples(r) == 1 ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    return FAIL_NONE;
}

// --- whose cluster it is ---

static enum fail check_cluster(struct db *db, struct managed_db_link *link, struct fault *fault)
{
    char theirs[32], ours[32];
    enum fail fail = ask(link, "select system_identifier from pg_control_system()", NULL, theirs,
                         sizeof theirs, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_query_system(db, ours, sizeof ours, fault);
    if (fail != FAIL_NONE || strcmp(ours, theirs) != 0)
        return fail;
    return fault_set(fault, FAIL_REFUSED, "plugin_database_shared",
                     "plugin_database is the PostgreSQL that holds Stoa's own state. Name another, "
                     "or set plugin_database_shared: accepted.");
}

enum fail managed_db_provision_open(struct db *db, const char *database,
                                    struct managed_db_link *ret, struct fault *fault)
{
    const struct managed_db_options *o = managed_db_options();
    enum fail fail = managed_db_link_open(o->provision_url, database, ret, fault);
    if (fail == FAIL_DENIED)
        fail = fault_set(fault, FAIL_BUSY, "managed_db_unavailable",
                         "The database of plugins' data cannot be reached right now. Try again in "
                         "a moment.");
    if (fail == FAIL_NONE)
        fail = managed_db_link_run(ret, NULL, "set statement_timeout = '30s'", NULL, 0, fault);
    if (fail == FAIL_NONE && !o->is_private && !o->is_shared_accepted)
        fail = check_cluster(db, ret, fault);
    if (fail != FAIL_NONE)
        managed_db_link_close(ret);
    return fail;
}

// --- roles ---

static void verifier_of(const struct managed_db_place *p, char to[static MANAGED_DB_VERIFIER_ROOM])
{
    // clients of the owner's choice may refuse less than RFC 7677 asks for; our socket has only us
    managed_db_verifier(p->password, managed_db_options()->is_private ? 1 : SCRAM_ITERATIONS, to);
}

// One more than the loops may hold, twice: owners look at their data while handlers run.
static unsigned role_limit(void)
{
    return (unsigned)managed_db_options()->connections_per_plugin * 2 + 1;
}

static unsigned database_limit(void)
{
    return (unsigned)managed_db_options()->connections_per_project * 2 + 1;
}

enum fail managed_db_cluster_role(struct managed_db_link *link, const struct managed_db_place *p,
                                  struct fault *fault)
{
    char there[8], format[MANAGED_DB_VERIFIER_ROOM + 256], verifier[MANAGED_DB_VERIFIER_ROOM];
    enum fail fail = ask(link, "select 1 from pg_catalog.pg_roles where rolname = $1", p->role,
                         there, sizeof there, fault);
    if (fail != FAIL_NONE || there[0] != '\0')
        return fail;
    verifier_of(p, verifier);
    snprintf(format, sizeof format,
             "CREATE ROLE %%s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION"
             " NOBYPASSRLS CONNECTION LIMIT %u PASSWORD '%s'",
             role_limit(), verifier);
    return explain(link, run_named(link, fault, format, p->role, p->role), fault);
}

enum fail managed_db_cluster_reset(struct managed_db_link *link, const struct managed_db_place *p,
                                   bool is_last, struct fault *fault)
{
    char format[MANAGED_DB_VERIFIER_ROOM + 256], verifier[MANAGED_DB_VERIFIER_ROOM];
    verifier_of(p, verifier);
    snprintf(format, sizeof format, "ALTER ROLE %%s CONNECTION LIMIT %d PASSWORD '%s'",
             is_last ? -1 : (int)role_limit(), verifier);
    enum fail fail = run_named(link, fault, format, p->role, p->role);
    if (fail == FAIL_NONE)
        fail = run_named(link, fault, "ALTER ROLE %s RESET ALL", p->role, p->role);
    if (fail == FAIL_NONE)
        fail =
            run_named(link, fault, "ALTER ROLE %s IN DATABASE %s RESET ALL", p->role, p->database);
    return explain(link, fail, fault);
}

// In the project's database, where the role owns nothing any more. What another plugin granted it
// only that one can take back: then the role stays, as a name that opens nothing.
enum fail managed_db_cluster_drop_role(struct managed_db_link *link,
                                       const struct managed_db_place *p, struct fault *fault)
{
    enum fail fail =
        run_named(link, fault, "REVOKE ALL ON DATABASE %s FROM %s", p->database, p->role);
    if (fail == FAIL_NONE)
        fail = run_named(link, fault, "REVOKE USAGE ON LANGUAGE plpgsql, sql FROM %s", p->role,
                         p->role);
    if (fail == FAIL_NONE || fail == FAIL_REFUSED) // languages need not be ours to give
        fail = run_named(link, fault, "DROP ROLE IF EXISTS %s", p->role, p->role);
    if (fail == FAIL_REFUSED && strcmp(link->state, DEPENDENT_OBJECTS) == 0)
        fail = run_named(link, fault, "ALTER ROLE %s NOLOGIN PASSWORD NULL", p->role, p->role);
    return explain(link, fail, fault);
}

enum fail managed_db_cluster_end_sessions(const char *role, struct fault *fault)
{
    struct managed_db_link link;
    enum fail fail = managed_db_link_open(managed_db_options()->url, NULL, &link, fault);
    if (fail == FAIL_NONE)
        fail = managed_db_link_run(&link, NULL,
                                   "select pg_terminate_backend(pid, 2000)"
                                   " from pg_catalog.pg_stat_activity where usename = $1",
                                   &role, 1, fault);
    fail = explain(&link, fail, fault);
    managed_db_link_close(&link);
    return fail;
}

// --- databases ---

// Nobody may enter before the rights are as they should be.
static enum fail create_database(struct managed_db_link *link, const char *name,
                                 struct fault *fault)
{
    char format[128];
    snprintf(format, sizeof format,
             "CREATE DATABASE %%s ALLOW_CONNECTIONS false CONNECTION LIMIT %u%s", database_limit(),
             managed_db_options()->is_private ? "" : " TEMPLATE template0");
    return run_named(link, fault, format, name, name);
}

enum fail managed_db_cluster_database(struct managed_db_link *link,
                                      const struct managed_db_place *p, struct fault *fault)
{
    char there[8];
    enum fail fail = ask(link, "select 1 from pg_catalog.pg_database where datname = $1",
                         p->database, there, sizeof there, fault);
    if (fail == FAIL_NONE && there[0] == '\0')
        fail = create_database(link, p->database, fault);
    if (fail == FAIL_NONE)
        fail = run_named(link, fault, "REVOKE ALL ON DATABASE %s FROM PUBLIC", p->database,
                         p->database);
    if (fail == FAIL_NONE) // the schema bears the role's name
        fail = run_named(link, fault, "ALTER DATABASE %s SET search_path = \"$user\"", p->database,
                         p->database);
    if (fail == FAIL_NONE)
        fail = run_named(link, fault, "ALTER DATABASE %s WITH ALLOW_CONNECTIONS true", p->database,
                         p->database);
    if (fail == FAIL_NONE)
        fail = run_named(link, fault, "GRANT CONNECT ON DATABASE %s TO %s", p->database, p->role);
    return explain(link, fail, fault);
}

enum fail managed_db_cluster_drop_database(struct managed_db_link *link, const char *database,
                                           struct fault *fault)
{
    return explain(
        link, run_named(link, fault, "DROP DATABASE IF EXISTS %s WITH (FORCE)", database, database),
        fault);
}

// --- in a database ---

// What our own template has from the start, as far as this role may; each statement by itself.
static enum fail take_rights(struct managed_db_link *link, struct fault *fault)
{
    str rest = STR(CLUSTER_RIGHTS);
    while (rest.n != 0) {
        AUTOFREE char *sql = str_dup(str_cut(&rest, '\n'));
        enum fail fail = managed_db_link_run(link, NULL, sql, NULL, 0, fault);
        if (fail != FAIL_NONE && fail != FAIL_REFUSED)
            return fail;
    }
    enum fail fail =
        managed_db_link_run(link, NULL, "DROP SCHEMA IF EXISTS public", NULL, 0, fault);
    return fail == FAIL_REFUSED ? FAIL_NONE : fail;
}

// Languages: strangers' functions only where the operator wants them.
static enum fail grant_languages(struct managed_db_link *link, const char *role,
                                 struct fault *fault)
{
    const char *sql = managed_db_options()->has_functions
                          ? "GRANT USAGE ON LANGUAGE plpgsql, sql TO %s"
                          : "REVOKE USAGE ON LANGUAGE plpgsql, sql FROM %s CASCADE";
    enum fail fail = run_named(link, fault, sql, role, role);
    return fail == FAIL_REFUSED && !managed_db_options()->is_private ? FAIL_NONE : fail;
}

enum fail managed_db_cluster_schema(struct managed_db_link *link, const struct managed_db_place *p,
                                    struct fault *fault)
{
    enum fail fail = managed_db_options()->is_private ? FAIL_NONE : take_rights(link, fault);
    if (fail == FAIL_NONE) // only a member may give it a schema
        fail = run_named(link, fault, "GRANT %s TO CURRENT_USER", p->role, p->role);
    if (fail == FAIL_NONE)
        fail = run_named(link, fault, "CREATE SCHEMA IF NOT EXISTS %s AUTHORIZATION %s", p->role,
                         p->role);
    if (fail == FAIL_NONE)
        fail = run_named(link, fault, "REVOKE %s FROM CURRENT_USER", p->role, p->role);
    if (fail == FAIL_NONE)
        fail = grant_languages(link, p->role, fault);
    return explain(link, fail, fault);
}

// --- for the loop's half ---

enum fail managed_db_control_open(struct db **ret, struct fault *fault)
{
    enum fail fail = db_open_other(managed_db_options()->url, ret, fault);
    if (fail != FAIL_BUSY)
        return fail;
    return fault_set(fault, FAIL_BUSY, "managed_db_unavailable",
                     "The database of plugins' data cannot be reached right now. Try again in a "
                     "moment.");
}
