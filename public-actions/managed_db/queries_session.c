// SQL of the owner loops' half.
#include "public-actions/managed_db/queries_session.h"
#include <assert.h>
#include <stdio.h>

static bool send_plain(PGconn *pg, const char *sql)
{
    return PQsendQueryParams(pg, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

bool managed_db_send_rollback(PGconn *pg)
{
    return send_plain(pg, "rollback");
}

bool managed_db_send_discard(PGconn *pg)
{
    return send_plain(pg, "discard all");
}

bool managed_db_send_begin(PGconn *pg, bool is_read_only)
{
    return send_plain(pg, is_read_only ? "begin read only" : "begin");
}

bool managed_db_send_commit(PGconn *pg)
{
    return send_plain(pg, "commit");
}

static bool needs_no_quoting(const char *value)
{
    for (; *value != '\0'; ++value)
        if (!(*value >= 'a' && *value <= 'z') && !(*value >= 'A' && *value <= 'Z') &&
            !(*value >= '0' && *value <= '9') && *value != '-' && *value != '_')
            return false;
    return true;
}

bool managed_db_send_setting(PGconn *pg, const char *name, const char *value)
{
    char sql[200];
    int n = snprintf(sql, sizeof sql, "set local %s='%s'", name, value);
    assert(needs_no_quoting(value) && n < (int)sizeof sql);
    return send_plain(pg, sql);
}

bool managed_db_send_time(PGconn *pg)
{
    return send_plain(pg, "select pg_catalog.now()");
}

enum fail managed_db_terminate_backend(struct db *db, int pid, const char *since, const char *role,
                                       const char *database, bool *ret_has_gone,
                                       struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "select pg_terminate_backend(pid) from pg_stat_activity where pid=$1::int "
                 "and usename=$2::name and datname=$3::name "
                 "and backend_start<=$4::timestamptz",
                 db_int(pid), db_text(role), db_text(database), db_text(since));
    *ret_has_gone = f == FAIL_NONE && db_count(rows) == 0;
    return f;
}

enum fail managed_db_database_bytes(struct db *db, const char *database, uint64_t *ret,
                                    struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select pg_database_size(oid) from pg_database where datname=$1::name",
                           db_text(database));
    if (f == FAIL_NONE)
        *ret = db_count(rows) == 1 ? (uint64_t)db_get_int(rows, 0, 0) : 0;
    return f;
}
