// The two clusters: who may do what in each, and how it is set up. Ours trusts its one user. The
// plugins' is entered by strangers' SQL: what must bind there is what only a superuser, or nobody
// while it runs, can change (security-rules.md 6, 8).
#include "edge/store/cluster_rights.h"
#include "edge/store/private_postgres_internal.h"

#define SETTINGS_OF_BOTH                                                                           \
    "listen_addresses = ''\n"                                                                      \
    "port = 5432\n"                                                                                \
    "shared_buffers = 64MB\n" /* one machine, one writer: no replicas, few idle processes */       \
    "wal_level = minimal\n"                                                                        \
    "max_wal_senders = 0\n"                                                                        \
    "max_logical_replication_workers = 0\n"                                                        \
    "max_parallel_workers = 0\n"                                                                   \
    "max_parallel_workers_per_gather = 0\n"                                                        \
    "max_parallel_maintenance_workers = 0\n"                                                       \
    "autovacuum_max_workers = 2\n"                                                                 \
    "max_prepared_transactions = 0\n"                                                              \
    "min_wal_size = 32MB\n"                                                                        \
    "max_wal_size = 256MB\n"                                                                       \
    "fsync = on\n"                                                                                 \
    "full_page_writes = on\n"                                                                      \
    "jit = off\n"                                                                                  \
    "timezone = 'UTC'\n"                                                                           \
    "log_timezone = 'UTC'\n"                                                                       \
    "client_connection_check_interval = '1s'\n"                                                    \
    "idle_in_transaction_session_timeout = '60s'\n" /* to standard error, which is postgres.log; \
                                                       never a statement: it may hold secrets */ \
    "logging_collector = off\n"                                                                    \
    "log_destination = 'stderr'\n"                                                                 \
    "log_line_prefix = '%m [%p] %q%u@%d '\n"                                                       \
    "log_min_error_statement = panic\n"

const struct cluster_profile private_postgres_state = {
    .name = "state",
    .script = "CREATE ROLE stoa_server LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION\n"
              "CREATE DATABASE stoa OWNER stoa_server\n"
              "REVOKE ALL ON DATABASE stoa FROM PUBLIC\n"
              "REVOKE ALL ON DATABASE postgres FROM PUBLIC\n"
              "REVOKE ALL ON DATABASE template1 FROM PUBLIC\n",
    .settings = SETTINGS_OF_BOTH "synchronous_commit = on\n"
                                 "max_connections = 40\n"
                                 "log_min_messages = warning\n",
    .who_gets_in = "local all stoa_admin peer map=stoa\n"
                   "local stoa stoa_server peer map=stoa\n",
    .server_roles = {"stoa_server"},
};

// Every later database is a copy of template1: what PUBLIC lost there it never had elsewhere.
// Whether functions may be made is stoa_provision's to say, database by database.
static const char plugins_script[] =
    "CREATE ROLE stoa_server LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION\n"
    // it becomes a member of plugins' roles for the moment in which it makes their schemas
    "CREATE ROLE stoa_provision LOGIN NOSUPERUSER CREATEDB CREATEROLE NOINHERIT NOREPLICATION\n"
    "GRANT pg_signal_backend, pg_read_all_stats TO stoa_server\n" CLUSTER_RIGHTS
    "GRANT USAGE ON LANGUAGE plpgsql, sql TO stoa_provision WITH GRANT OPTION\n"
    "GRANT SELECT ON pg_catalog.pg_database, pg_catalog.pg_roles, pg_catalog.pg_db_role_setting,"
    " pg_catalog.pg_stat_activity TO stoa_server, stoa_provision\n"
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_get_activity(integer) TO stoa_server,"
    " stoa_provision\n"
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO stoa_server, stoa_provision\n"
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint) TO stoa_provision\n"
    "DROP SCHEMA public\n"
    "REVOKE ALL ON DATABASE template1 FROM PUBLIC\n"
    "DROP DATABASE postgres\n"
    "CREATE DATABASE postgres TEMPLATE template1\n"
    "REVOKE ALL ON DATABASE postgres FROM PUBLIC\n"
    "CREATE DATABASE stoa TEMPLATE template1\n"
    "REVOKE ALL ON DATABASE stoa FROM PUBLIC\n"
    "GRANT CONNECT ON DATABASE stoa TO stoa_server, stoa_provision\n";

// max_worker_processes and jit_provider are what makes "no parallel workers" and "no JIT" bind: the
// settings by those names any session may change. Messages to the log begin where no session's own
// settings (debug_print_plan, …) can write any.
static const char plugins_settings[] = SETTINGS_OF_BOTH "max_connections = 300\n"
                                                        "max_worker_processes = 0\n"
                                                        "jit_provider = 'none'\n"
                                                        "temp_file_limit = '256MB'\n"
                                                        "max_files_per_process = 200\n"
                                                        "max_locks_per_transaction = 64\n"
                                                        "max_pred_locks_per_transaction = 64\n"
                                                        "track_activity_query_size = 100\n"
                                                        "password_encryption = scram-sha-256\n"
                                                        "authentication_timeout = '10s'\n"
                                                        "log_min_messages = fatal\n"
                                                        "log_checkpoints = off\n";

const struct cluster_profile private_postgres_plugins = {
    .name = "plugins",
    .script = plugins_script,
    .settings = plugins_settings,
    .who_gets_in = "local all stoa_admin peer map=stoa\n"
                   "local stoa stoa_server peer map=stoa\n"
                   "local all stoa_provision peer map=stoa\n"
                   "local all stoa_server,stoa_provision reject\n"
                   "local stoa,postgres,template0,template1 all reject\n"
                   "local all all scram-sha-256\n",
    .server_roles = {"stoa_server", "stoa_provision"},
    .address_space = UINT64_C(640) << 20,
    .runs_strangers_sql = true,
};
