// A project's apps as hosts of the embed protocol ask for them: /api/v1/flows. An app is an instance,
// whoever's plugin it is of.
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "embed/catalogue.h"

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

static struct page_key key_of(const struct db_rows *rows, size_t row)
{
    struct page_key key = {.at = db_get_int(rows, row, COLUMN_AT)};
    snprintf(key.id, sizeof key.id, "%.*s", STR_FMT(db_get(rows, row, COLUMN_ID)));
    return key;
}

// What each of the rows runs: a plugin's instances all run the same.
static enum fail find_deployed(struct db *db, const struct db_rows *rows, struct deployed *ret,
                               struct fault *fault)
{
    size_t n = db_count(rows);
    struct plugin *plugins AUTOFREE = calloc(n + 1, sizeof *plugins);
    if (plugins == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        snprintf(plugins[i].id, sizeof plugins[i].id, "%.*s",
                 STR_FMT(db_get(rows, i, COLUMN_PLUGIN)));
    return n != 0 ? catalog_find_current(db, plugins, n, ret, fault) : FAIL_NONE;
}

static json_t *page_of(const struct page *page, const struct db_rows *rows,
                       const struct deployed *deployed)
{
    size_t fetched = db_count(rows), shown = page_shown(page, fetched);
    json_t *data = json_array();
    struct page_key first = {0}, last = {0};
    for (size_t i = 0; i != shown; ++i) {
        size_t row = page_row(page, fetched, i);
        json_array_append_new(data, app_json(rows, row, &deployed[row]));
    }
    if (shown != 0) {
        first = key_of(rows, page_row(page, fetched, 0));
        last = key_of(rows, page_row(page, fetched, shown - 1));
    }
    return page_json(page, data, fetched, &first, &last);
}

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
    if (fail != FAIL_NONE)
        return fail;
    size_t n = db_count(rows);
    struct deployed *deployed AUTOFREE = calloc(n + 1, sizeof *deployed);
    if (deployed == NULL)
        abort();
    fail = find_deployed(call->db, rows, deployed, fault);
    if (fail == FAIL_NONE)
        a->json = page_of(&page, rows, deployed);
    for (size_t i = 0; i != n; ++i)
        deployed_fini(&deployed[i]);
    return fail;
}

enum fail catalogue_api_flow(struct call *call, struct answer *a, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    struct deployed d = {0};
    enum fail fail =
        catalogue_query_app(call->db, call->principal->project_id, call->params[0], &rows, fault);
    if (fail == FAIL_NONE && db_count(rows) == 0)
        fail = fault_set(fault, FAIL_NOT_FOUND, "instance_not_found",
                         "There is no such app in this project.");
    if (fail == FAIL_NONE)
        fail = find_deployed(call->db, rows, &d, fault);
    if (fail == FAIL_NONE)
        a->json = app_json(rows, 0, &d);
    deployed_fini(&d);
    return fail;
}
