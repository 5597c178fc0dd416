// Runs, as their owner sees them. Text in them is the handler's and the visitor's: it leaves here as
// JSON strings only.
#include "public-actions/runs/api.h"
#include <stdio.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"

json_t *run_time_json(int64_t real_ms)
{
    char text[CLOCK_RFC3339_ROOM];
    if (real_ms == 0)
        return json_null();
    clock_rfc3339(real_ms, text);
    return json_string(text);
}

json_t *run_text_json(str s)
{
    return s.n != 0 ? jsonx_string(s) : json_null();
}

json_t *run_value_json(str text)
{
    if (text.n == 0)
        return json_null();
    json_t *value = jsonx_parse_theirs(text, SIZE_MAX);
    return value != NULL ? value : jsonx_string(text);
}

enum fail run_page_of(const struct call *call, struct page *ret, struct fault *fault)
{
    unsigned limit = 0;
    enum fail f = call_limit(call, &limit, fault);
    return f == FAIL_NONE ? page_init(ret, call_query(call, "cursor"), limit, fault) : f;
}

static json_t *run_json(const struct db_rows *rows, size_t row)
{
#define TEXT(column) run_text_json(db_get(rows, row, column))
#define NUMBER(column) json_integer(db_get_int(rows, row, column))
    return json_pack("{so so so so so so so sb so so so so so so so so so so so}", "id", TEXT(0),
                     "instanceId", TEXT(1), "pluginId", TEXT(2), "deploymentId", TEXT(3), "action",
                     TEXT(4), "source", TEXT(5), "outcome", TEXT(6), "preview",
                     db_get_bool(rows, row, 7), "requestId", TEXT(8), "visitor", TEXT(9), "actor",
                     TEXT(10), "startedAt", run_time_json(db_get_time(rows, row, 11)), "endedAt",
                     run_time_json(db_get_time(rows, row, 12)), "queuedMs", NUMBER(13), "ranMs",
                     NUMBER(14), "inputBytes", NUMBER(15), "outputBytes", NUMBER(16), "queryCount",
                     NUMBER(17), "fetchCount", NUMBER(18));
#undef TEXT
#undef NUMBER
}

static struct page_key key_of(const struct db_rows *rows, size_t row)
{
    struct page_key key = {.at = db_get_time(rows, row, 12)};
    snprintf(key.id, sizeof key.id, "%.*s", STR_FMT(db_get(rows, row, 0)));
    return key;
}

// "Write one of ok, reported_error, …": whoever mistypes it is told what there is.
static enum fail check_outcome(str outcome, struct fault *fault)
{
    struct buf known;
    if (outcome.p == NULL || run_outcome_is_known(outcome))
        return FAIL_NONE;
    buf_init(&known, 512);
    for (size_t i = 0; run_outcomes[i] != NULL; ++i)
        buf_addf(&known, "%s%s", i != 0 ? ", " : "", run_outcomes[i]);
    enum fail f =
        fault_set(fault, FAIL_REFUSED, "invalid_parameter",
                  "The query parameter \"outcome\" must be one of %.*s.", STR_FMT(buf_str(&known)));
    buf_fini(&known);
    return f;
}

enum fail run_api_list(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    struct instance instance;
    DB_ROWS_AUTO rows = NULL;
    const char *project_id = call->principal->project_id;
    enum fail f = run_page_of(call, &page, fault);
    if (f == FAIL_NONE)
        f = catalog_instance_find(call->db, project_id, call->params[0], &instance, fault);
    struct run_filter filter = {project_id, instance.id, call_query(call, "action"),
                                call_query(call, "outcome")};
    if (f == FAIL_NONE)
        f = check_outcome(filter.outcome, fault);
    if (f == FAIL_NONE)
        f = runs_query_page(call->db, &filter, &page, &rows, fault);
    if (f == FAIL_NONE)
        answer->json = page_rows_json(&page, rows, run_json, key_of);
    return f;
}

// --- one run ---

// A stored line is ["level","text"]; one that cannot be read is shown as it is.
static json_t *line_json(str line)
{
    json_auto_t *pair = jsonx_parse_theirs(line, 3);
    json_t *level = json_array_get(pair, 0), *text = json_array_get(pair, 1);
    if (json_is_string(level) && json_is_string(text))
        return json_pack("{sO sO}", "level", level, "text", text);
    return json_pack("{ss so}", "level", "log", "text", jsonx_string(line));
}

static json_t *log_json(str log)
{
    json_t *lines = json_array();
    while (log.n != 0) {
        str line = str_cut(&log, '\n');
        if (line.n != 0)
            json_array_append_new(lines, line_json(line));
    }
    return lines;
}

static json_t *list_of(const json_t *facts, const char *key)
{
    json_t *list = json_object_get(facts, key);
    return json_is_array(list) ? json_incref(list) : json_array();
}

static enum fail add_events(struct db *db, const char *project_id, const char *run_id, json_t *run,
                            struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = runs_query_events_of(db, project_id, run_id, &rows, fault);
    json_t *events = json_array();
    for (size_t i = 0; i != db_count(rows); ++i)
        json_array_append_new(events, json_pack("{so so}", "id", jsonx_string(db_get(rows, i, 0)),
                                                "type", jsonx_string(db_get(rows, i, 1))));
    json_object_set_new(run, "events", events);
    return f;
}

enum fail run_api_get(struct call *call, struct answer *answer, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    const char *project_id = call->principal->project_id;
    enum fail f = runs_query_find(call->db, project_id, call->params[0], &rows, fault);
    if (f != FAIL_NONE)
        return f;
    json_auto_t *facts = run_value_json(db_get(rows, 0, 21));
    answer->json = run_json(rows, 0);
    json_object_set_new(answer->json, "log", log_json(db_get(rows, 0, 19)));
    json_object_set_new(answer->json, "error", run_value_json(db_get(rows, 0, 20)));
    json_object_set_new(answer->json, "fetches", list_of(facts, "fetches"));
    json_object_set_new(answer->json, "notices", list_of(facts, "notices"));
    json_object_set_new(answer->json, "noticesLeftOut",
                        json_integer(json_integer_value(json_object_get(facts, "noticesLeftOut"))));
    return add_events(call->db, project_id, db_get(rows, 0, 0).p, answer->json, fault);
}
