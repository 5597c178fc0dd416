// The owner's view: every statement names the principal's project.
#include "public-actions/runs/internal.h"

#define MS(column) "coalesce((extract(epoch from " column ") * 1000)::bigint, 0)"

// --- runs ---

// As run_json reads them.
#define RUN_COLUMNS                                                                                \
    "id, instance_id, plugin_id, deployment_id, action, source, outcome, is_preview, request_id,"  \
    " visitor, actor, " MS("started_at") ", " MS(                                                  \
        "ended_at") ", queued_ms, ran_ms, input_bytes, output_bytes, query_count, fetch_count"

enum fail runs_query_page(struct db *db, const struct run_filter *filter, const struct page *page,
                          struct db_rows **ret, struct fault *fault)
{
#define WHERE                                                                                      \
    " from runs where project_id = $1 and instance_id = $2"                                        \
    " and ($3::text is null or action = $3) and ($4::text is null or outcome = $4)"
    static const char onwards[] =
        "select " RUN_COLUMNS WHERE " and ($5::timestamptz is null or (ended_at, id) < ($5, $6))"
        " order by ended_at desc, id desc limit $7";
    static const char back[] =
        "select " RUN_COLUMNS WHERE " and ($5::timestamptz is null or (ended_at, id) > ($5, $6))"
        " order by ended_at, id limit $7";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(filter->project_id),
                    db_text(filter->instance_id),
                    filter->action.p != NULL ? db_str(filter->action) : DB_NULL,
                    filter->outcome.p != NULL ? db_str(filter->outcome) : DB_NULL,
                    page->has_key ? db_time(page->key.at) : DB_NULL, db_text(page->key.id),
                    db_int(page_fetch(page)));
#undef WHERE
}

enum fail runs_query_find(struct db *db, const char *project_id, str id, struct db_rows **ret,
                          struct fault *fault)
{
    enum fail f = db_query(db, fault, ret,
                           "select " RUN_COLUMNS ", log, error, facts from runs"
                           " where project_id = $1 and id = $2",
                           db_text(project_id), db_str(id));
    if (f == FAIL_NONE && db_count(*ret) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "run_not_found",
                         "There is no such run in this project; old ones are not kept.");
    return f;
}

// --- events ---

#define EVENT_COLUMNS                                                                              \
    "e.seq, e.id, e.type, e.instance_id, e.plugin_id, e.run_id, e.source, e.action, " MS(          \
        "e.created_at") ", e.data"

enum fail runs_query_events_of(struct db *db, const char *project_id, const char *run_id,
                               struct db_rows **ret, struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select id, type from run_events where project_id = $1 and run_id = $2"
                    " order by seq",
                    db_text(project_id), db_text(run_id));
}

enum fail runs_query_event_page(struct db *db, const char *project_id, const char *instance_id,
                                const struct page *page, struct db_rows **ret, struct fault *fault)
{
    static const char onwards[] = "select " EVENT_COLUMNS " from run_events e"
                                  " where e.project_id = $1 and e.instance_id = $2"
                                  " and ($3::bigint is null or e.seq < $3)"
                                  " order by e.seq desc limit $4";
    static const char back[] = "select " EVENT_COLUMNS " from run_events e"
                               " where e.project_id = $1 and e.instance_id = $2"
                               " and ($3::bigint is null or e.seq > $3)"
                               " order by e.seq limit $4";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(project_id),
                    db_text(instance_id), page->has_key ? db_int(page->key.at) : DB_NULL,
                    db_int(page_fetch(page)));
}

enum fail runs_query_events_after(struct db *db, const char *project_id, const char *instance_id,
                                  int64_t after, unsigned limit, struct db_rows **ret,
                                  struct fault *fault)
{
    return db_query(db, fault, ret,
                    "select " EVENT_COLUMNS " from run_events e"
                    " where e.project_id = $1 and e.instance_id = $2 and e.seq > $3"
                    " order by e.seq limit $4",
                    db_text(project_id), db_text(instance_id), db_int(after), db_int(limit));
}

enum fail runs_query_last_event(struct db *db, const char *project_id, const char *instance_id,
                                int64_t *ret, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = db_query(db, fault, &rows,
                           "select coalesce(max(seq), 0) from run_events"
                           " where project_id = $1 and instance_id = $2",
                           db_text(project_id), db_text(instance_id));
    if (f == FAIL_NONE)
        *ret = db_get_int(rows, 0, 0);
    return f;
}

// --- subscriptions ---

#define SUBSCRIPTION_COLUMNS                                                                       \
    "s.id, s.url, array_to_json(s.events), s.instance_id, " MS("s.created_at") ", " MS(            \
        "s.delivered_at") ", " MS("s.failed_at") ", s.failure,"                                    \
                                                 " (select count(*) from event_deliveries d "      \
                                                 "where d.subscription_id = s.id and not "         \
                                                 "d.is_dead),"                                     \
                                                 " (select count(*) from event_deliveries d "      \
                                                 "where d.subscription_id = s.id and d.is_dead)"

enum fail runs_query_subscription_insert(struct db *db, const struct subscription_wish *w,
                                         struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    char *events AUTOFREE = json_dumps(w->events, JSON_COMPACT);
    enum fail f = db_query(
        db, fault, &rows,
        "insert into event_subscriptions (id, project_id, instance_id, url, events, secret)"
        " select $1, $2, $3, $4, array(select json_array_elements_text($5::json)), $6"
        " where (select count(*) from event_subscriptions where project_id = $2) < $7"
        " returning id",
        db_text(w->id), db_text(w->project_id), db_text(w->instance_id), db_str(w->url),
        db_text(events), db_bytes(w->secret), db_int(SUBSCRIPTIONS_MAX));
    if (f == FAIL_NONE && db_count(rows) == 0)
        return fault_set(fault, FAIL_CONFLICT, "too_many_subscriptions",
                         "A project has at most %d event subscriptions. Delete one first.",
                         SUBSCRIPTIONS_MAX);
    return f;
}

enum fail runs_query_subscription_find(struct db *db, const char *project_id, str id,
                                       struct db_rows **ret, struct fault *fault)
{
    enum fail f = db_query(db, fault, ret,
                           "select " SUBSCRIPTION_COLUMNS " from event_subscriptions s"
                           " where s.project_id = $1 and s.id = $2",
                           db_text(project_id), db_str(id));
    if (f == FAIL_NONE && db_count(*ret) == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "subscription_not_found",
                         "There is no such event subscription in this project.");
    return f;
}

enum fail runs_query_subscription_page(struct db *db, const char *project_id,
                                       const struct page *page, struct db_rows **ret,
                                       struct fault *fault)
{
    static const char onwards[] =
        "select " SUBSCRIPTION_COLUMNS " from event_subscriptions s where s.project_id = $1"
        " and ($2::timestamptz is null or (s.created_at, s.id) < ($2, $3))"
        " order by s.created_at desc, s.id desc limit $4";
    static const char back[] =
        "select " SUBSCRIPTION_COLUMNS " from event_subscriptions s where s.project_id = $1"
        " and ($2::timestamptz is null or (s.created_at, s.id) > ($2, $3))"
        " order by s.created_at, s.id limit $4";
    return db_query(db, fault, ret, page->goes_back ? back : onwards, db_text(project_id),
                    page->has_key ? db_time(page->key.at) : DB_NULL, db_text(page->key.id),
                    db_int(page_fetch(page)));
}

enum fail runs_query_subscription_delete(struct db *db, const char *project_id, const char *id,
                                         struct fault *fault)
{
    return db_query(db, fault, NULL,
                    "with gone as (delete from event_subscriptions where project_id = $1"
                    " and id = $2 returning id)"
                    " delete from event_deliveries where subscription_id in (select id from gone)",
                    db_text(project_id), db_text(id));
}
