// Heartbeat events, as their owner sees them: a list, and a stream.
#include "public-actions/runs/api.h"
#include "edge/base/jsonx.h"
#include "edge/http/event_stream.h"
#include "public-actions/runs/feed.h"

json_t *event_json(const struct db_rows *rows, size_t row)
{
#define TEXT(column) run_text_json(db_get(rows, row, column))
    return json_pack("{so so so so so so so so so so}", "id", TEXT(1), "streamId", TEXT(0), "type",
                     TEXT(2), "instanceId", TEXT(3), "pluginId", TEXT(4), "runId", TEXT(5),
                     "source", TEXT(6), "action", TEXT(7), "createdAt",
                     run_time_json(db_get_time(rows, row, 8)), "data",
                     run_value_json(db_get(rows, row, 9)));
#undef TEXT
}

// Pages of events are walked by their numbers.
static struct page_key key_of(const struct db_rows *rows, size_t row)
{
    return (struct page_key){.at = db_get_int(rows, row, 0), .id = "-"};
}

enum fail event_api_list(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    struct instance instance;
    DB_ROWS_AUTO rows = NULL;
    const char *project_id = call->principal->project_id;
    enum fail f = run_page_of(call, &page, fault);
    if (f == FAIL_NONE)
        f = catalog_instance_find(call->db, project_id, call->params[0], &instance, fault);
    if (f == FAIL_NONE)
        f = runs_query_event_page(call->db, project_id, instance.id, &page, &rows, fault);
    if (f == FAIL_NONE)
        answer->json = page_rows_json(&page, rows, event_json, key_of);
    return f;
}

// From now on; Last-Event-ID, which the loop reads, says from where instead.
enum fail event_api_stream(struct call *call, struct answer *answer, struct fault *fault)
{
    struct instance instance;
    struct event_feed *feed = NULL;
    int64_t last = 0;
    const struct principal *p = call->principal;
    enum fail f = catalog_instance_find(call->db, p->project_id, call->params[0], &instance, fault);
    if (f == FAIL_NONE)
        f = runs_query_last_event(call->db, p->project_id, instance.id, &last, fault);
    if (f == FAIL_NONE)
        f = event_feed_create(p->project_id, instance.id, p->token_id, last, &feed, fault);
    if (f == FAIL_TOO_MANY)
        answer->retry_after = 30;
    if (f == FAIL_NONE)
        answer->later = event_feed_later(feed);
    return f;
}
