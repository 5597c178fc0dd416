// The owner's view of a table: a page of its rows, as texts. Pool threads.
#ifndef STOA_MANAGED_DB_GRID_H
#define STOA_MANAGED_DB_GRID_H
#include "public-actions/managed_db/tables.h"

// --- grid.c ---

// {"columns":[{"name","type"}],"rows":[[text or null]],"next","previous"}, of a table, view or
// materialised view in the plugin's schema, under row-level security as the project's owner. Cells
// are cut, with an ellipsis, so that a row has about 64 Ki characters at most. FAIL_NOT_FOUND
// "table_not_found"; FAIL_REFUSED "invalid_cursor", or "table_unreadable" with PostgreSQL's words.
enum fail managed_db_grid_page(struct managed_db_link *link, const char *schema, const char *table,
                               str cursor, unsigned limit, json_t **ret,
                               struct fault *fault) MUST_CHECK;

// --- queries_grid.c ---

struct managed_db_grid_wish {
    bool has_places; // rows have a ctid, and `from` is one; else `from` is a number of rows
    bool is_before;
    const char *from;
    unsigned limit, cell_characters;
};
// Begins a read-only transaction. Name, type, and whether rows have places, a row a column.
enum fail managed_db_grid_look(struct managed_db_link *link, const char *table, PGresult **ret,
                               struct fault *fault) MUST_CHECK;
// The place, then the cells.
enum fail managed_db_grid_rows(struct managed_db_link *link, const char *schema, const char *table,
                               const PGresult *columns, const struct managed_db_grid_wish *wish,
                               PGresult **ret, struct fault *fault) MUST_CHECK;
#endif
