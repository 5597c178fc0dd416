// Pages of a table. A cursor is "a(0,12)", "b(0,12)" (behind and before a place) or "o50".
#include "public-actions/managed_db/grid.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"

enum { ROW_CHARACTERS = 64 << 10, CURSOR_ROOM = 40 };

struct grid {
    const PGresult *columns;
    PGresult *rows;
    struct managed_db_grid_wish wish; // its limit is one more than is shown
    char from[CURSOR_ROOM];
    uint64_t offset;
    int shown;
};

// --- cursors ---

static bool read_place(str s, char to[static CURSOR_ROOM])
{
    uint64_t block, line;
    if (s.n < 5 || s.p[0] != '(' || s.p[s.n - 1] != ')')
        return false;
    str rest = str_of(s.p + 1, s.n - 2);
    if (!str_to_u64(str_cut(&rest, ','), UINT32_MAX, &block) || !str_to_u64(rest, 65535, &line))
        return false;
    snprintf(to, CURSOR_ROOM, "(%" PRIu64 ",%" PRIu64 ")", block, line);
    return true;
}

static bool read_cursor(struct grid *g, str cursor)
{
    bool has_places = g->wish.has_places;
    g->wish.from = g->from;
    snprintf(g->from, sizeof g->from, "%s", has_places ? "(0,0)" : "0");
    if (cursor.p == NULL)
        return true;
    if (cursor.n < 2)
        return false;
    g->wish.is_before = cursor.p[0] == 'b';
    str rest = str_skip(cursor, 1);
    if (has_places)
        return (cursor.p[0] == 'a' || cursor.p[0] == 'b') && read_place(rest, g->from);
    if (cursor.p[0] != 'o' || !str_to_u64(rest, INT64_MAX, &g->offset))
        return false;
    snprintf(g->from, sizeof g->from, "%" PRIu64, g->offset);
    return true;
}

static const char *place_of(const struct grid *g, int shown)
{
    int row = g->wish.is_before ? g->shown - 1 - shown : shown;
    return PQgetvalue(g->rows, row, 0);
}

static json_t *cursor_of_offset(const struct grid *g, bool is_next, bool has_more)
{
    uint64_t step = g->wish.limit - 1;
    if (is_next ? !has_more : g->offset == 0)
        return json_null();
    uint64_t to = is_next ? g->offset + step : g->offset > step ? g->offset - step : 0;
    return json_sprintf("o%" PRIu64, to);
}

// Asked for from the other side, there is always something on the side it was asked from.
static json_t *cursor_of(const struct grid *g, bool is_next, bool is_first_page)
{
    bool has_more = PQntuples(g->rows) == (int)g->wish.limit;
    if (!g->wish.has_places)
        return cursor_of_offset(g, is_next, has_more);
    bool is_ahead = is_next != g->wish.is_before;
    bool is_there = is_ahead ? has_more : !is_first_page;
    if (!is_there || g->shown == 0)
        return json_null();
    return json_sprintf("%c%s", is_next ? 'a' : 'b', place_of(g, is_next ? g->shown - 1 : 0));
}

// --- the page ---

static json_t *cell(const struct grid *g, int row, int column)
{
    if (PQgetisnull(g->rows, row, column))
        return json_null();
    str text = str_of(PQgetvalue(g->rows, row, column), (size_t)PQgetlength(g->rows, row, column));
    size_t characters = 0, i = 0;
    for (; i != text.n; ++i)
        if (((unsigned char)text.p[i] & 0xc0) != 0x80 && characters++ == g->wish.cell_characters)
            break;
    if (i == text.n)
        return jsonx_string(text);
    return json_sprintf("%.*s…", (int)i, text.p);
}

static json_t *rows_json(const struct grid *g)
{
    json_t *rows = json_array();
    for (int i = 0; i != g->shown; ++i) {
        json_t *row = json_array();
        int from = g->wish.is_before ? g->shown - 1 - i : i;
        for (int c = 1; c != PQnfields(g->rows); ++c)
            json_array_append_new(row, cell(g, from, c));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *columns_json(const PGresult *columns)
{
    json_t *list = json_array();
    for (int i = 0; i != PQntuples(columns); ++i)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", PQgetvalue(columns, i, 0),
                                              "type", PQgetvalue(columns, i, 1)));
    return list;
}

static enum fail unreadable(const struct managed_db_link *link, enum fail fail, struct fault *fault)
{
    char quoted[200];
    if (fail != FAIL_REFUSED)
        return fail;
    return fault_set(fault, FAIL_REFUSED, "table_unreadable",
                     "The table cannot be read: PostgreSQL says %s.",
                     problem_quote(quoted, sizeof quoted, str_from(link->message)));
}

static enum fail read_page(struct managed_db_link *link, const char *schema, const char *table,
                           str cursor, struct grid *g, json_t **ret, struct fault *fault)
{
    unsigned columns = (unsigned)PQntuples(g->columns);
    if (columns == 0)
        return fault_set(fault, FAIL_NOT_FOUND, "table_not_found",
                         "There is no such table in the plugin's database.");
    g->wish.has_places = *PQgetvalue(g->columns, 0, 2) == 't';
    g->wish.cell_characters = ROW_CHARACTERS / columns;
    if (!read_cursor(g, cursor))
        return fault_set(fault, FAIL_REFUSED, "invalid_cursor",
                         "The cursor is not one of this list's. Start without one.");
    enum fail fail =
        managed_db_grid_rows(link, schema, table, g->columns, &g->wish, &g->rows, fault);
    if (fail != FAIL_NONE)
        return unreadable(link, fail, fault);
    int count = PQntuples(g->rows), most = (int)g->wish.limit - 1;
    g->shown = count < most ? count : most;
    *ret = json_pack("{s:o, s:o, s:o, s:o}", "columns", columns_json(g->columns), "rows",
                     rows_json(g), "next", cursor_of(g, true, cursor.p == NULL), "previous",
                     cursor_of(g, false, cursor.p == NULL));
    return FAIL_NONE;
}

enum fail managed_db_grid_page(struct managed_db_link *link, const char *schema, const char *table,
                               str cursor, unsigned limit, json_t **ret, struct fault *fault)
{
    PGresult *columns = NULL;
    struct grid g = {.wish.limit = limit + 1};
    enum fail fail = managed_db_grid_look(link, table, &columns, fault);
    g.columns = columns;
    fail = fail == FAIL_NONE ? read_page(link, schema, table, cursor, &g, ret, fault)
                             : unreadable(link, fail, fault);
    PQclear(g.rows);
    PQclear(columns);
    return fail;
}
