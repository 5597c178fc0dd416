// An app's tables and their rows. Cells are visitors' text: escaped on terminals, and in CSV kept
// from being read as formulas by spreadsheets (security-rules.md 28).
#include "edge/cli/data.h"
#include <inttypes.h>
#include <stdlib.h>
#include "edge/cli/api.h"
#include "edge/cli/show.h"
#include "edge/cli/units.h"

enum { PAGE = 100, CSV_CELL_MAX = 1 << 20 };

static str text_of(const json_t *value)
{
    return str_of(json_string_value(value), json_string_length(value));
}

// --- the tables ---

static void print_tables(const struct cli *cli, const json_t *stats)
{
    struct listing t;
    size_t i;
    json_t *table;
    if (json_array_size(json_object_get(stats, "tables")) == 0) {
        cli_note(cli, "There are no tables.");
        return;
    }
    listing_init(&t, 2);
    listing_add(&t, STYLE_DIM, STR("TABLE"));
    listing_add_right(&t, STYLE_DIM, STR("SIZE"));
    json_array_foreach(json_object_get(stats, "tables"), i, table)
    {
        char size[UNITS_ROOM];
        int64_t bytes = json_integer_value(json_object_get(table, "sizeBytes"));
        listing_add(&t, STYLE_STRONG, show_member(table, "name"));
        listing_add_right(&t, STYLE_NONE, str_from(units_bytes((uint64_t)bytes, size)));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

static enum cli_exit list_tables(struct cli *cli)
{
    json_auto_t *answer = NULL;
    AUTOFREE char *path = api_path("/api/plugins/%s/database/stats", cli->options.args[0]);
    struct api_request request = API_REQUEST("GET", path);
    enum cli_exit exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    const json_t *stats = json_object_get(answer, "stats");
    if (cli->output.quiet)
        show_members(json_object_get(stats, "tables"), "name");
    else
        print_tables(cli, stats);
    return EXIT_DONE;
}

// --- CSV ---

// What a spreadsheet reads as a number it does not read as a formula.
static bool is_number(str s)
{
    size_t i = s.n != 0 && (s.p[0] == '-' || s.p[0] == '+'), digits = 0, dots = 0;
    for (; i != s.n; ++i) {
        bool is_digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (!is_digit && s.p[i] != '.')
            return false;
        digits += is_digit;
        dots += !is_digit;
    }
    return digits != 0 && dots <= 1;
}

static bool begins_formula(str s)
{
    return s.n != 0 && memchr("=+-@\t\r\n", s.p[0], 7) != NULL && !is_number(s);
}

void data_csv_cell(struct buf *to, str cell)
{
    bool is_formula = begins_formula(cell), is_quoted = is_formula;
    for (size_t i = 0; i != cell.n && !is_quoted; ++i)
        is_quoted = memchr("\",\r\n", cell.p[i], 4) != NULL;
    if (is_quoted)
        buf_addc(to, '"');
    if (is_formula)
        buf_addc(to, '\'');
    for (size_t i = 0; i != cell.n; ++i) {
        if (cell.p[i] == '"')
            buf_addc(to, '"');
        buf_addc(to, cell.p[i]);
    }
    if (is_quoted)
        buf_addc(to, '"');
}

static void print_csv_cell(const struct cli *cli, struct buf *room, str cell, bool is_first)
{
    buf_clear(room);
    data_csv_cell(room, cell);
    if (!is_first)
        fputc(',', stdout);
    if (cli->output.out_is_terminal)
        escape_print(stdout, buf_str(room));
    else
        fwrite(room->p != NULL ? room->p : "", 1, room->n, stdout);
}

static void print_csv(const struct cli *cli, const json_t *page, bool is_first)
{
    struct buf room;
    size_t i, j;
    json_t *item, *cell;
    buf_init(&room, CSV_CELL_MAX);
    if (is_first) {
        json_array_foreach(json_object_get(page, "columns"), i, item)
            print_csv_cell(cli, &room, show_member(item, "name"), i == 0);
        fputs("\r\n", stdout);
    }
    json_array_foreach(json_object_get(page, "rows"), i, item)
    {
        json_array_foreach(item, j, cell) print_csv_cell(cli, &room, text_of(cell), j == 0);
        fputs("\r\n", stdout);
    }
    buf_fini(&room);
}

// --- rows ---

static enum cli_exit get_page(struct cli *cli, const char *cursor, json_t **ret)
{
    const char *const *args = cli->options.args;
    AUTOFREE char *base = api_path("/api/plugins/%s/database/tables/%s/rows", args[0], args[1]);
    AUTOFREE char *escaped = cursor != NULL ? api_path("%s", cursor) : NULL;
    struct buf path;
    buf_init(&path, 65536);
    buf_addf(&path, "%s?limit=%d%s%s", base, PAGE, escaped != NULL ? "&cursor=" : "",
             escaped != NULL ? escaped : "");
    AUTOFREE char *text = buf_take(&path);
    struct api_request request = API_REQUEST("GET", text);
    return api_call(cli, &request, ret);
}

static void print_rows(const struct cli *cli, const json_t *page)
{
    struct listing t;
    size_t i, j;
    json_t *item, *cell;
    const json_t *columns = json_object_get(page, "columns");
    listing_init(&t, json_array_size(columns));
    json_array_foreach(columns, i, item) listing_add(&t, STYLE_DIM, show_member(item, "name"));
    json_array_foreach(json_object_get(page, "rows"), i, item) json_array_foreach(item, j, cell)
        listing_add(&t, STYLE_NONE, json_is_null(cell) ? STR("") : text_of(cell));
    listing_print(&t, &cli->output);
    listing_fini(&t);
    if (json_array_size(json_object_get(page, "rows")) == 0)
        cli_note(cli, "The table has no rows.");
    if (json_is_string(json_object_get(page, "next")))
        cli_note(cli, "These are the first %d rows; --csv and --json give all.", PAGE);
}

// Every page; what fails in the middle ends it, with what came before already told.
static enum cli_exit walk(struct cli *cli, json_t *all)
{
    AUTOFREE char *cursor = NULL;
    for (bool is_first = true;; is_first = false) {
        json_auto_t *page = NULL;
        enum cli_exit exit = get_page(cli, cursor, &page);
        if (exit != EXIT_DONE)
            return exit;
        if (all == NULL) {
            print_csv(cli, page, is_first);
        } else {
            if (is_first)
                json_object_set(all, "columns", json_object_get(page, "columns"));
            json_array_extend(json_object_get(all, "rows"), json_object_get(page, "rows"));
        }
        str next = show_member(page, "next");
        free(cursor);
        cursor = next.n != 0 ? str_dup(next) : NULL;
        if (cursor == NULL || output_has_no_reader())
            return EXIT_DONE;
    }
}

enum cli_exit command_data(struct cli *cli)
{
    if (cli->options.n_args == 1 && options_has(&cli->options, OPT_CSV))
        return cli_fail(cli, EXIT_USAGE, "usage", "--csv wants a table: stoa data APP TABLE --csv");
    if (cli->options.n_args == 1)
        return list_tables(cli);
    if (cli->output.json) {
        json_auto_t *all =
            json_pack("{s:[], s:[], s:n, s:n}", "columns", "rows", "next", "previous");
        enum cli_exit exit = walk(cli, all);
        return exit == EXIT_DONE ? cli_json(cli, json_incref(all)) : exit;
    }
    if (options_has(&cli->options, OPT_CSV))
        return walk(cli, NULL);
    json_auto_t *page = NULL;
    enum cli_exit exit = get_page(cli, NULL, &page);
    if (exit == EXIT_DONE)
        print_rows(cli, page);
    return exit;
}
