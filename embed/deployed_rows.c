#include "embed/deployed_rows.h"
#include <stdio.h>
#include <stdlib.h>

static struct page_key key_of(const struct deployed_rows *of, const struct db_rows *rows,
                              size_t row)
{
    struct page_key key = {.at = db_get_int(rows, row, of->at)};
    snprintf(key.id, sizeof key.id, "%.*s", STR_FMT(db_get(rows, row, of->id)));
    return key;
}

static json_t *page_of(const struct deployed_rows *of, const struct page *page,
                       const struct db_rows *rows, const struct deployed *deployed)
{
    size_t fetched = db_count(rows), shown = page_shown(page, fetched);
    json_t *data = json_array();
    struct page_key first = {0}, last = {0};
    for (size_t i = 0; i != shown; ++i) {
        size_t row = page_row(page, fetched, i);
        json_array_append_new(data, of->object_of(rows, row, &deployed[row]));
    }
    if (shown != 0) {
        first = key_of(of, rows, page_row(page, fetched, 0));
        last = key_of(of, rows, page_row(page, fetched, shown - 1));
    }
    return page_json(page, data, fetched, &first, &last);
}

// What each row's plugin has deployed: as many as there are rows.
static enum fail find(struct db *db, const struct deployed_rows *of, const struct db_rows *rows,
                      struct deployed **ret, struct fault *fault)
{
    size_t n = db_count(rows);
    struct plugin *plugins AUTOFREE = calloc(n + 1, sizeof *plugins);
    *ret = calloc(n + 1, sizeof **ret);
    if (plugins == NULL || *ret == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        snprintf(plugins[i].id, sizeof plugins[i].id, "%.*s",
                 STR_FMT(db_get(rows, i, of->plugin_id)));
    return n != 0 ? catalog_find_current(db, plugins, n, *ret, fault) : FAIL_NONE;
}

static void drop(struct deployed *deployed, size_t n)
{
    for (size_t i = 0; i != n; ++i)
        deployed_fini(&deployed[i]);
    free(deployed);
}

enum fail deployed_rows_page(struct db *db, const struct deployed_rows *of, const struct page *page,
                             const struct db_rows *rows, json_t **ret, struct fault *fault)
{
    struct deployed *deployed;
    enum fail fail = find(db, of, rows, &deployed, fault);
    if (fail == FAIL_NONE)
        *ret = page_of(of, page, rows, deployed);
    drop(deployed, db_count(rows));
    return fail;
}

enum fail deployed_rows_first(struct db *db, const struct deployed_rows *of,
                              const struct db_rows *rows, json_t **ret, struct fault *fault)
{
    struct deployed *deployed;
    enum fail fail = find(db, of, rows, &deployed, fault);
    if (fail == FAIL_NONE)
        *ret = of->object_of(rows, 0, &deployed[0]);
    drop(deployed, db_count(rows));
    return fail;
}
