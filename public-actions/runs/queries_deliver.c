// The outbox. These statements cross projects: a node delivers for all of them.
#include "public-actions/runs/internal.h"
#include <stdio.h>
#include <stdlib.h>

#define MS(column) "coalesce((extract(epoch from " column ") * 1000)::bigint, 0)"

static void copy(char *to, size_t room, str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static struct due_delivery due_of(const struct db_rows *rows, size_t row)
{
    struct due_delivery d = {.id = db_get_int(rows, row, 0),
                             .attempts = (unsigned)db_get_int(rows, row, 1),
                             .created_at = db_get_int(rows, row, 2),
                             .event_at = db_get_int(rows, row, 7)};
    size_t n = 0;
    copy(d.event_id, sizeof d.event_id, db_get(rows, row, 3));
    copy(d.subscription_id, sizeof d.subscription_id, db_get(rows, row, 4));
    copy(d.project_id, sizeof d.project_id, db_get(rows, row, 5));
    copy(d.type, sizeof d.type, db_get(rows, row, 6));
    d.secret.p = (char *)db_get_bytes(rows, row, 8, &n);
    d.secret.n = n;
    d.url = str_dup(db_get(rows, row, 9));
    d.data = str_dup(db_get(rows, row, 10));
    copy(d.run_id, sizeof d.run_id, db_get(rows, row, 11));
    copy(d.instance_id, sizeof d.instance_id, db_get(rows, row, 12));
    return d;
}

void deliver_due_fini(struct due_delivery *d)
{
    free((char *)d->secret.p);
    free(d->url);
    free(d->data);
}

// The due ones in their order, of which each project gets its share; what another node is claiming
// right now is passed over. An orphan (its subscription or event went) is claimed too, comes back
// without an URL, and is removed.
enum fail runs_query_deliveries_claim(struct db *db, unsigned limit, unsigned per_project,
                                      const char *const *full, size_t full_count, uint64_t lease_ms,
                                      struct due_delivery **ret, size_t *ret_count,
                                      struct fault *fault)
{
    static const char sql[] =
        "with due as (select id, project_id, next_at from event_deliveries"
        " where not is_dead and next_at <= now()"
        " and project_id not in (select json_array_elements_text($1::json))"
        " order by next_at limit 256 for update skip locked),"
        " fair as (select id, row_number() over (partition by project_id order by next_at) as n,"
        " next_at from due),"
        " chosen as (select id from fair where n <= $2 order by next_at limit $3),"
        " claimed as (update event_deliveries d set attempts = d.attempts + 1,"
        " next_at = now() + $4 * interval '1 millisecond' from chosen c where d.id = c.id"
        " returning d.*)"
        " select d.id, d.attempts, " MS(
            "d.created_at") ", d.event_id, d.subscription_id,"
                            " d.project_id, e.type, " MS(
                                "e.created_at") ", s.secret, s.url, e.data, e.run_id,"
                                                " e.instance_id from claimed d"
                                                " left join run_events e on e.id = d.event_id and "
                                                "e.project_id = d.project_id"
                                                " left join event_subscriptions s on s.id = "
                                                "d.subscription_id"
                                                " and s.project_id = d.project_id";
    DB_ROWS_AUTO rows = NULL;
    json_auto_t *names = json_array();
    for (size_t i = 0; i != full_count; ++i)
        json_array_append_new(names, json_string(full[i]));
    char *text AUTOFREE = json_dumps(names, JSON_COMPACT);
    enum fail f = db_query(db, fault, &rows, sql, db_text(text), db_int(per_project), db_int(limit),
                           db_int((int64_t)lease_ms));
    if (f != FAIL_NONE)
        return f;
    size_t n = db_count(rows);
    struct due_delivery *list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        list[i] = due_of(rows, i);
    *ret = list;
    *ret_count = n;
    return FAIL_NONE;
}

enum fail runs_query_delivery_done(struct db *db, const struct due_delivery *d, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "with gone as (delete from event_deliveries where id = $1 and attempts = $2"
                    " returning subscription_id)"
                    " update event_subscriptions set delivered_at = now()"
                    " where id in (select subscription_id from gone)",
                    db_int(d->id), db_int(d->attempts));
}

enum fail runs_query_delivery_failed(struct db *db, const struct due_delivery *d, bool is_dead,
                                     uint64_t again_in_ms, str why, struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "with again as (update event_deliveries set is_dead = $3,"
                    " next_at = now() + $4 * interval '1 millisecond'"
                    " where id = $1 and attempts = $2 returning subscription_id)"
                    " update event_subscriptions set failed_at = now(), failure = $5"
                    " where id in (select subscription_id from again)",
                    db_int(d->id), db_int(d->attempts), db_bool(is_dead),
                    db_int((int64_t)again_in_ms), db_str(why));
}

enum fail runs_query_deliveries_next(struct db *db, bool *ret_any, int64_t *ret_in_ms,
                                     struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(
        db, fault, &rows,
        "select (extract(epoch from min(next_at) - now()) * 1000)::bigint from event_deliveries"
        " where not is_dead");
    if (f != FAIL_NONE)
        return f;
    *ret_any = !db_is_null(rows, 0, 0);
    *ret_in_ms = db_get_int(rows, 0, 0);
    return FAIL_NONE;
}
