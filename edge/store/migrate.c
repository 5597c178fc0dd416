// Each step is a transaction that takes the lock first and looks again what is there, so that a
// lost connection or a second node in between does no harm.
#include "edge/store/migrate.h"
#include "edge/base/digest.h"

static const char sql_lock[] = "select pg_advisory_xact_lock(7310583194302)"; // any number of ours
static const char sql_patience[] = "set local statement_timeout = 0"; // a table may be large
static const char sql_table[] =
    "create table if not exists stoa_migrations ("
    " feature text not null, number integer not null,"
    " applied_at timestamptz(3) not null default now(), sha256 bytea not null,"
    " primary key (feature, number))";
// Asked first, since its own words ("permission denied for schema public") do not say whose or what
// to do; and not by "if not exists", which asks for the right even when there is nothing to make.
static const char sql_rights[] =
    "select current_user, current_database(),"
    " coalesce(has_schema_privilege(current_schema(), 'create'), false)";
static const char sql_newest[] =
    "select feature, max(number) from stoa_migrations group by feature order by feature";
static const char sql_applied[] =
    "select sha256 = $3 from stoa_migrations where feature = $1 and number = $2";
static const char sql_record[] =
    "insert into stoa_migrations (feature, number, sha256) values ($1, $2, $3)";

static unsigned newest_known(const struct migration *list, size_t count, str feature)
{
    unsigned newest = 0;
    for (size_t i = 0; i != count; ++i) {
        if (str_eq(str_from(list[i].feature), feature) && list[i].number > newest)
            newest = list[i].number;
    }
    return newest;
}

static enum fail refuse_newer(struct db *db, const struct migration *list, size_t count,
                              struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, sql_newest);
    if (f != FAIL_NONE)
        return f;
    for (size_t i = 0; i != db_count(rows); ++i) {
        str feature = db_get(rows, i, 0);
        int64_t newest = db_get_int(rows, i, 1);
        unsigned known = newest_known(list, count, feature);
        if (newest > (int64_t)known)
            return fault_set(fault, FAIL_REFUSED, "schema_too_new",
                             "The database was made by a newer Stoa (%.*s %lld); this binary knows "
                             "up to %u. Start the newer binary.",
                             STR_FMT(feature), (long long)newest, known);
    }
    return FAIL_NONE;
}

static enum fail begin_locked(struct db *db, struct fault *fault)
{
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL, sql_patience);
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL, sql_lock);
    return f;
}

static enum fail commit_or_roll_back(struct db *db, enum fail f, struct fault *fault)
{
    if (f == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return f;
}

static enum fail check_rights(struct db *db, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, sql_rights);
    if (f != FAIL_NONE || db_get_bool(rows, 0, 2))
        return f;
    str role = db_get(rows, 0, 0), name = db_get(rows, 0, 1);
    return fault_set(fault, FAIL_INTERNAL, "database_rights",
                     "The role %.*s may not make tables in the database %.*s. Let it own the "
                     "database: alter database \"%.*s\" owner to \"%.*s\".",
                     STR_FMT(role), STR_FMT(name), STR_FMT(name), STR_FMT(role));
}

static enum fail prepare(struct db *db, const struct migration *list, size_t count,
                         struct fault *fault)
{
    enum fail f = begin_locked(db, fault);
    if (f == FAIL_NONE)
        f = check_rights(db, fault);
    if (f == FAIL_NONE)
        f = db_query(db, fault, NULL, sql_table);
    if (f == FAIL_NONE)
        f = refuse_newer(db, list, count, fault);
    return commit_or_roll_back(db, f, fault);
}

static enum fail check_applied(struct db *db, const struct migration *m, str digest, bool *ret,
                               struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows, sql_applied, db_text(m->feature), db_int(m->number),
                           db_bytes(digest));
    if (f != FAIL_NONE)
        return f;
    *ret = db_count(rows) != 0;
    if (*ret && !db_get_bool(rows, 0, 0))
        return fault_set(fault, FAIL_REFUSED, "schema_changed",
                         "Migration %s %u was applied to this database with another text than this "
                         "binary has. Start the binary it was made with.",
                         m->feature, m->number);
    return FAIL_NONE;
}

static enum fail apply_once(struct db *db, const struct migration *m, struct fault *fault)
{
    struct digest d = digest_sha256(str_from(m->sql));
    str digest = str_of(d.b, sizeof d.b);
    bool applied = false;
    enum fail f = begin_locked(db, fault);
    if (f == FAIL_NONE)
        f = check_applied(db, m, digest, &applied, fault);
    if (f == FAIL_NONE && !applied)
        f = db_script(db, fault, m->sql);
    if (f == FAIL_NONE && !applied)
        f = db_query(db, fault, NULL, sql_record, db_text(m->feature), db_int(m->number),
                     db_bytes(digest));
    return commit_or_roll_back(db, f, fault);
}

enum fail migrate(struct db *db, const struct migration *list, size_t count, struct fault *fault)
{
    enum fail f = prepare(db, list, count, fault);
    for (size_t i = 0; f == FAIL_NONE && i != count; ++i)
        f = apply_once(db, &list[i], fault);
    return f;
}
