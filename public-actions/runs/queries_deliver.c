// The outbox. These statements cross projects: a node delivers for all of them.
#include "public-actions/runs/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"

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

// --- whose turn it is ---

enum { FEW = 256, WALK_MAX = 128 };

static enum fail oldest_projects(struct db *db, json_t **ret, bool *ret_all, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select count(*), coalesce(json_agg(distinct project_id), '[]')"
                           " from (select project_id from event_deliveries"
                           " where not is_dead and next_at <= now() order by next_at limit $1) o",
                           db_int(FEW));
    if (f != FAIL_NONE)
        return f;
    *ret_all = db_get_int(rows, 0, 0) < FEW;
    *ret = jsonx_parse(db_get(rows, 0, 1), fault);
    return *ret != NULL ? FAIL_NONE : FAIL_INTERNAL;
}

// From one project to the next through the index: what each has waiting costs nothing.
static enum fail walk_projects(struct db *db, char behind[static CATALOG_ID_ROOM], json_t **ret,
                               struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        db_query(db, fault, &rows,
                 "with recursive waiting as ("
                 " (select project_id, next_at, 1 as place from event_deliveries"
                 " where not is_dead and project_id > $1 order by project_id, next_at limit 1)"
                 " union all select n.project_id, n.next_at, w.place + 1 from waiting w, lateral"
                 " (select project_id, next_at from event_deliveries"
                 " where not is_dead and project_id > w.project_id"
                 " order by project_id, next_at limit 1) n where w.place < $2)"
                 " select count(*), coalesce(json_agg(project_id) filter (where next_at <= now()),"
                 " '[]'), coalesce(max(project_id), '') from waiting",
                 db_text(behind), db_int(WALK_MAX));
    if (f != FAIL_NONE)
        return f;
    bool is_end = db_get_int(rows, 0, 0) < WALK_MAX;
    snprintf(behind, CATALOG_ID_ROOM, "%.*s", STR_FMT(is_end ? STR("") : db_get(rows, 0, 2)));
    *ret = jsonx_parse(db_get(rows, 0, 1), fault);
    return *ret != NULL ? FAIL_NONE : FAIL_INTERNAL;
}

enum fail runs_query_due_projects(struct db *db, char behind[static CATALOG_ID_ROOM], json_t **ret,
                                  struct fault *fault)
{
    bool is_all = false;
    enum fail f = oldest_projects(db, ret, &is_all, fault);
    if (f != FAIL_NONE)
        return f;
    if (is_all) {
        behind[0] = '\0';
        return FAIL_NONE;
    }
    json_decref(*ret);
    *ret = NULL;
    return walk_projects(db, behind, ret, fault);
}

// --- claiming ---

// Each project's oldest, numbered on from what it has under way: all first ones come before any
// second one. What another node is claiming right now is passed over, hence more candidates than
// wanted; only what is locked is claimed. An orphan (its subscription or event went) is claimed too,
// comes back without an URL, and is removed. The bounds are rows, so that only the index by project
// can serve them: through the one by time, a long backlog of others would be read.
enum fail runs_query_deliveries_claim(struct db *db, const struct delivery_claim *c,
                                      struct due_delivery **ret, size_t *ret_count,
                                      struct fault *fault)
{
    static const char sql[] =
        "with turns as (select key as project_id, value::bigint as under_way"
        " from json_each_text($1::json)),"
        " fair as (select h.id, h.next_at, t.under_way"
        " + row_number() over (partition by t.project_id order by h.next_at) as n"
        " from turns t, lateral (select id, next_at from event_deliveries where not is_dead"
        " and (project_id, next_at) >= (t.project_id, '-infinity')"
        " and (project_id, next_at) <= (t.project_id, now())"
        " order by project_id, next_at limit $2) h),"
        " candidates as (select * from fair where n <= $2 order by n, next_at limit 4 * $3),"
        " locked as (select d.id, c.n, c.next_at from candidates c"
        " join event_deliveries d on d.id = c.id where not d.is_dead and d.next_at <= now()"
        " order by c.n, c.next_at limit $3 for update of d skip locked),"
        " placed as (select id, n, row_number() over (order by n, next_at) as place from locked),"
        " claimed as (update event_deliveries set attempts = attempts + 1,"
        " next_at = now() + $5 * interval '1 millisecond' where id = any (array("
        "select id from placed where n = 1 or place <= $3 - $4)) returning *)"
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
    char *turns AUTOFREE = json_dumps(c->turns, JSON_COMPACT);
    enum fail f = db_query(db, fault, &rows, sql, db_text(turns), db_int(c->per_project),
                           db_int(c->limit), db_int(c->kept_free), db_int((int64_t)c->lease_ms));
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
