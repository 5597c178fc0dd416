#include "embed/deployed_rows.h"
#include <stdio.h>

enum { AT_ONCE = 8 };

static struct page_key key_of(const struct deployed_rows *of, const struct db_rows *rows,
                              size_t row)
{
    struct page_key key = {.at = db_get_int(rows, row, of->at)};
    snprintf(key.id, sizeof key.id, "%.*s", STR_FMT(db_get(rows, row, of->id)));
    return key;
}

// What a few of the page's rows' plugins have deployed, from the `from`th shown on. A page's all at
// once were a hundred front matters of megabytes.
static enum fail find(struct db *db, const struct deployed_rows *of, const struct page *page,
                      const struct db_rows *rows, size_t from, size_t n, struct deployed *ret,
                      struct fault *fault)
{
    struct plugin plugins[AT_ONCE] = {0};
    for (size_t i = 0; i != n; ++i)
        snprintf(plugins[i].id, sizeof plugins[i].id, "%.*s",
                 STR_FMT(db_get(rows, page_row(page, db_count(rows), from + i), of->plugin_id)));
    return catalog_find_current(db, plugins, n, ret, fault);
}

static enum fail add_some(struct db *db, const struct deployed_rows *of, const struct page *page,
                          const struct db_rows *rows, size_t from, size_t n, json_t *data,
                          struct fault *fault)
{
    struct deployed deployed[AT_ONCE] = {0};
    enum fail fail = find(db, of, page, rows, from, n, deployed, fault);
    for (size_t i = 0; i != n; ++i) {
        size_t row = page_row(page, db_count(rows), from + i);
        if (fail == FAIL_NONE)
            json_array_append_new(data, of->object_of(rows, row, &deployed[i]));
        deployed_fini(&deployed[i]);
    }
    return fail;
}

enum fail deployed_rows_page(struct db *db, const struct deployed_rows *of, const struct page *page,
                             const struct db_rows *rows, json_t **ret, struct fault *fault)
{
    size_t fetched = db_count(rows), shown = page_shown(page, fetched);
    json_t *data = json_array();
    struct page_key first = {0}, last = {0};
    for (size_t i = 0; i < shown; i += AT_ONCE) {
        size_t n = shown - i < AT_ONCE ? shown - i : AT_ONCE;
        enum fail fail = add_some(db, of, page, rows, i, n, data, fault);
        if (fail != FAIL_NONE) {
            json_decref(data);
            return fail;
        }
    }
    if (shown != 0) {
        first = key_of(of, rows, page_row(page, fetched, 0));
        last = key_of(of, rows, page_row(page, fetched, shown - 1));
    }
    *ret = page_json(page, data, fetched, &first, &last);
    return FAIL_NONE;
}

enum fail deployed_rows_first(struct db *db, const struct deployed_rows *of,
                              const struct db_rows *rows, json_t **ret, struct fault *fault)
{
    struct deployed d = {0};
    struct plugin plugin = {0};
    snprintf(plugin.id, sizeof plugin.id, "%.*s", STR_FMT(db_get(rows, 0, of->plugin_id)));
    enum fail fail = catalog_find_current(db, &plugin, 1, &d, fault);
    if (fail == FAIL_NONE)
        *ret = of->object_of(rows, 0, &d);
    deployed_fini(&d);
    return fail;
}
