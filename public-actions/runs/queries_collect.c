// Retention. These statements cross projects; each removes a bounded number of rows, so that none
// holds anybody up for long.
#include "public-actions/runs/internal.h"
#include <stdio.h>

static enum fail removed(struct db *db, struct fault *fault, size_t *ret, enum fail f,
                         const struct db_rows *rows)
{
    if (f == FAIL_NONE)
        *ret += db_affected(rows);
    return f;
}

enum fail runs_query_remove_old(struct db *db, const char *instance_id, uint64_t days,
                                unsigned limit, size_t *ret_removed, struct fault *fault)
{
    DB_ROWS_AUTO runs = NULL;
    DB_ROWS_AUTO events = NULL;
    *ret_removed = 0;
    enum fail f = db_query(db, fault, &runs,
                           "delete from runs where ctid = any (array(select ctid from runs"
                           " where ended_at < now() - $1 * interval '1 day'"
                           " and ($3::text is null or instance_id = $3) limit $2))",
                           db_int((int64_t)days), db_int(limit), db_text(instance_id));
    f = removed(db, fault, ret_removed, f, runs);
    if (f != FAIL_NONE)
        return f;
    // what is still to be delivered keeps its event
    f = db_query(db, fault, &events,
                 "delete from run_events where ctid = any (array(select e.ctid from run_events e"
                 " where e.created_at < now() - $1 * interval '1 day'"
                 " and ($3::text is null or e.instance_id = $3) and not exists (select"
                 " from event_deliveries d where d.event_id = e.id and not d.is_dead) limit $2))",
                 db_int((int64_t)days), db_int(limit), db_text(instance_id));
    return removed(db, fault, ret_removed, f, events);
}

enum fail runs_query_next_instance(struct db *db, const char *after,
                                   char ret[static CATALOG_ID_ROOM], bool *ret_exists,
                                   struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "select n.id, exists (select from instances i where i.id = n.id) from (select"
                 " least((select instance_id from runs where instance_id > $1"
                 " order by instance_id limit 1), (select instance_id from run_events"
                 " where instance_id > $1 order by instance_id limit 1)) as id) n",
                 db_text(after));
    if (f != FAIL_NONE)
        return f;
    snprintf(ret, CATALOG_ID_ROOM, "%.*s", STR_FMT(db_get(rows, 0, 0)));
    *ret_exists = db_get_bool(rows, 0, 1);
    return FAIL_NONE;
}

enum fail runs_query_remove_over(struct db *db, const char *instance_id, uint64_t keep,
                                 unsigned limit, size_t *ret_removed, struct fault *fault)
{
    DB_ROWS_AUTO runs = NULL;
    DB_ROWS_AUTO events = NULL;
    *ret_removed = 0;
    enum fail f = db_query(
        db, fault, &runs,
        "delete from runs where ctid = any (array(select ctid from runs where instance_id = $1"
        " order by ended_at desc, id desc offset $2 limit $3))",
        db_text(instance_id), db_int((int64_t)keep), db_int(limit));
    f = removed(db, fault, ret_removed, f, runs);
    if (f != FAIL_NONE)
        return f;
    f = db_query(db, fault, &events,
                 "delete from run_events where ctid = any (array(select e.ctid from (select ctid,"
                 " id from run_events where instance_id = $1 order by seq desc offset $2) e"
                 " where not exists (select from event_deliveries d where d.event_id = e.id"
                 " and not d.is_dead) limit $3))",
                 db_text(instance_id), db_int((int64_t)keep), db_int(limit));
    return removed(db, fault, ret_removed, f, events);
}

enum fail runs_query_remove_orphans(struct db *db, unsigned limit, size_t *ret_removed,
                                    struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    *ret_removed = 0;
    enum fail f = db_query(
        db, fault, &rows,
        "delete from event_deliveries where id = any (array(select d.id from event_deliveries d"
        " where not exists (select from event_subscriptions s where s.id = d.subscription_id)"
        " or (d.is_dead and not exists (select from run_events e where e.id = d.event_id))"
        " limit $1))",
        db_int(limit));
    return removed(db, fault, ret_removed, f, rows);
}

// --- another master key ---

// A sealed value's key id stands behind its version byte.
enum fail runs_query_old_keys(struct db *db, str key_id, const char *after, unsigned limit,
                              struct sealed_key *ret, size_t *ret_count, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select id, project_id, secret from event_subscriptions where id > $2"
                           " and substr(secret, 2, octet_length($1::bytea)) <> $1::bytea"
                           " order by id limit $3",
                           db_bytes(key_id), db_text(after), db_int(limit));
    if (f != FAIL_NONE)
        return f;
    *ret_count = db_count(rows);
    for (size_t i = 0; i != *ret_count; ++i) {
        size_t n;
        snprintf(ret[i].id, CATALOG_ID_ROOM, "%.*s", STR_FMT(db_get(rows, i, 0)));
        snprintf(ret[i].project_id, CATALOG_ID_ROOM, "%.*s", STR_FMT(db_get(rows, i, 1)));
        uint8_t *bytes = db_get_bytes(rows, i, 2, &n);
        ret[i].sealed = str_of(bytes, n);
    }
    return FAIL_NONE;
}

enum fail runs_query_key_replace(struct db *db, const struct sealed_key *before, str after,
                                 struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "update event_subscriptions set secret = $3 where id = $1 and secret = $2",
                    db_text(before->id), db_bytes(before->sealed), db_bytes(after));
}
