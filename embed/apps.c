// A project's apps as hosts of the embed protocol ask for them: /api/v1/flows. An app is an instance,
// whoever's plugin it is of.
#include "edge/base/clock.h"
#include "embed/catalogue.h"
#include "embed/deployed_rows.h"

enum {
    COLUMN_ID,
    COLUMN_SLUG,
    COLUMN_AT,
    COLUMN_PLUGIN,
    COLUMN_PLUGIN_SLUG,
    COLUMN_NAME,
    COLUMN_VERSION
};

static json_t *text(const struct db_rows *rows, size_t row, size_t column)
{
    return json_string(db_get(rows, row, column).p);
}

static json_t *app_json(const struct db_rows *rows, size_t row, const struct deployed *d)
{
    char created[CLOCK_RFC3339_ROOM];
    clock_rfc3339(db_get_int(rows, row, COLUMN_AT), created);
    json_t *plugin =
        json_pack("{s:o, s:o, s:o, s:o}", "id", text(rows, row, COLUMN_PLUGIN), "slug",
                  text(rows, row, COLUMN_PLUGIN_SLUG), "displayName", text(rows, row, COLUMN_NAME),
                  "version", text(rows, row, COLUMN_VERSION));
    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:s}", "id", text(rows, row, COLUMN_ID),
                     "slug", text(rows, row, COLUMN_SLUG), "displayName",
                     text(rows, row, COLUMN_NAME), "status",
                     d->front != NULL ? "ENABLED" : "DISABLED", "publicAppUrl",
                     d->has_app ? catalogue_url_json(db_get(rows, row, COLUMN_PLUGIN_SLUG).p,
                                                     db_get(rows, row, COLUMN_SLUG).p)
                                : json_null(),
                     "plugin", plugin, "createdAt", created);
}

static const struct deployed_rows apps = {COLUMN_ID, COLUMN_AT, COLUMN_PLUGIN, app_json};

enum fail catalogue_api_flows(struct call *call, struct answer *a, struct fault *fault)
{
    struct page page;
    unsigned limit;
    DB_ROWS_AUTO rows = NULL;
    enum fail fail = call_limit(call, &limit, fault);
    if (fail == FAIL_NONE)
        fail = page_init(&page, call_query(call, "cursor"), limit, fault);
    if (fail == FAIL_NONE)
        fail = catalogue_query_apps(call->db, call->principal->project_id, &page, &rows, fault);
    return fail == FAIL_NONE ? deployed_rows_page(call->db, &apps, &page, rows, &a->json, fault)
                             : fail;
}

enum fail catalogue_api_flow(struct call *call, struct answer *a, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail fail =
        catalogue_query_app(call->db, call->principal->project_id, call->params[0], &rows, fault);
    if (fail == FAIL_NONE && db_count(rows) == 0)
        fail = fault_set(fault, FAIL_NOT_FOUND, "instance_not_found",
                         "There is no such app in this project.");
    return fail == FAIL_NONE ? deployed_rows_first(call->db, &apps, rows, &a->json, fault) : fail;
}
