// Rows that each name a plugin, shown with what it has deployed: a project's apps, its connections. What
// they run is asked for a few at a time. Pool threads.
#ifndef STOA_EMBED_DEPLOYED_ROWS_H
#define STOA_EMBED_DEPLOYED_ROWS_H
#include "edge/catalog/hooks.h"
#include "edge/catalog/page.h"

struct deployed_rows {
    size_t id, at, plugin_id; // columns: what a page's key is of, and whose deployment is asked for
    // A new reference; of a plugin without a deployment `d` is empty.
    json_t *(*object_of)(const struct db_rows *rows, size_t row, const struct deployed *d);
};
// The page's answer (contract §1) of the rows fetched for it.
enum fail deployed_rows_page(struct db *db, const struct deployed_rows *of, const struct page *page,
                             const struct db_rows *rows, json_t **ret,
                             struct fault *fault) MUST_CHECK;
// The object of the first row.
enum fail deployed_rows_first(struct db *db, const struct deployed_rows *of,
                              const struct db_rows *rows, json_t **ret,
                              struct fault *fault) MUST_CHECK;
#endif
