// Streams are the C library's; nothing here fails but a write to stdout, which cli_main checks.
#include "edge/cli/output.h"
#include "edge/base/jsonx.h"
#include "edge/base/clock.h"
#include "edge/cli/units.h"
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static bool wants_colour(bool is_terminal)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return is_terminal && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

void output_init(struct output *o)
{
    *o = (struct output){
        .out_is_terminal = isatty(STDOUT_FILENO) != 0,
        .err_is_terminal = isatty(STDERR_FILENO) != 0,
    };
    o->out_has_colour = wants_colour(o->out_is_terminal);
    o->err_has_colour = wants_colour(o->err_is_terminal);
}

static const char *style_on(enum style style)
{
    static const char *const codes[] = {"",         "\x1b[1m",  "\x1b[2m", "\x1b[32m",
                                        "\x1b[31m", "\x1b[33m", "\x1b[4m"};
    return codes[style];
}

static bool has_colour(const struct output *o, FILE *to)
{
    return to == stdout ? o->out_has_colour : to == stderr && o->err_has_colour;
}

void output_text(const struct output *o, FILE *to, enum style style, str text)
{
    bool styled = style != STYLE_NONE && has_colour(o, to);
    if (styled)
        fputs(style_on(style), to);
    escape_print(to, text);
    if (styled)
        fputs("\x1b[0m", to);
}

void output_json(const struct output *o, const json_t *document)
{
    size_t flags = o->out_is_terminal ? JSON_INDENT(2) | JSON_ENSURE_ASCII : JSON_COMPACT;
    AUTOFREE char *text = jsonx_dump_as(document, flags, NULL);
    fputs(text, stdout);
    fputc('\n', stdout);
    fflush(stdout);
}

bool output_flush(void)
{
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}

bool output_reader_has_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO}; // what is looked for comes unasked
    return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

bool output_has_no_reader(void)
{
    return ferror(stdout) != 0 || output_reader_has_left();
}

void listing_init(struct listing *t, size_t columns)
{
    *t = (struct listing){.columns = columns};
}

void listing_fini(struct listing *t)
{
    for (size_t i = 0; i != t->cells; ++i)
        free(t->_cells[i].text);
    free(t->_cells);
    *t = (struct listing){.columns = 0};
}

static void add_cell(struct listing *t, enum style style, str text, bool right)
{
    if (t->cells == t->_room) {
        t->_room = t->_room != 0 ? t->_room * 2 : 32;
        t->_cells = realloc(t->_cells, t->_room * sizeof *t->_cells);
        if (t->_cells == NULL)
            abort();
    }
    struct buf safe;
    buf_init(&safe, SIZE_MAX / 2);
    escape_add(&safe, text);
    t->_cells[t->cells++] =
        (struct listing_cell){.text = buf_take(&safe), .style = style, .right = right};
}

void listing_add(struct listing *t, enum style style, str text)
{
    add_cell(t, style, text, false);
}

void listing_add_right(struct listing *t, enum style style, str text)
{
    add_cell(t, style, text, true);
}

static size_t column_width(const struct listing *t, size_t column)
{
    size_t widest = 0;
    for (size_t i = column; i < t->cells; i += t->columns) {
        size_t width = escape_width(str_from(t->_cells[i].text));
        if (width > widest)
            widest = width;
    }
    return widest;
}

static void print_cell(const struct output *o, const struct listing_cell *cell, size_t width,
                       bool is_last)
{
    size_t own = escape_width(str_from(cell->text));
    int pad = (int)(width > own ? width - own : 0);
    if (cell->right)
        printf("%*s", pad, "");
    output_text(o, stdout, cell->style, str_from(cell->text));
    if (!is_last)
        printf("%*s", cell->right ? 2 : pad + 2, "");
}

void listing_print(const struct listing *t, const struct output *o)
{
    if (t->columns == 0)
        return;
    size_t *widths = calloc(t->columns, sizeof *widths);
    if (widths == NULL)
        abort();
    for (size_t c = 0; c != t->columns; ++c)
        widths[c] = column_width(t, c);
    for (size_t i = 0; i != t->cells; ++i) {
        bool is_last = (i + 1) % t->columns == 0;
        print_cell(o, &t->_cells[i], widths[i % t->columns], is_last);
        if (is_last)
            fputc('\n', stdout);
    }
    free(widths);
}

void progress_start(struct progress *p, const struct output *o, const char *label)
{
    *p = (struct progress){.output = o, .label = label, .started_ms = clock_monotonic_ms()};
}

static void draw(const struct progress *p, uint64_t done, uint64_t total)
{
    enum { BAR = 24 };
    char bar[BAR + 1], a[UNITS_ROOM], b[UNITS_ROOM];
    size_t filled = total != 0 ? (size_t)((double)done / (double)total * BAR) : 0;
    memset(bar, ' ', BAR);
    memset(bar, '=', filled <= BAR ? filled : BAR);
    bar[BAR] = '\0';
    if (total != 0 && done == total)
        fprintf(stderr, "\r\x1b[K%s [%s] %s, the server is at work", p->label, bar,
                units_bytes(total, b));
    else
        fprintf(stderr, "\r\x1b[K%s [%s] %s of %s", p->label, bar, units_bytes(done, a),
                units_bytes(total, b));
    fflush(stderr);
}

void progress_show(struct progress *p, uint64_t done, uint64_t total)
{
    uint64_t now = clock_monotonic_ms();
    const struct output *o = p->output;
    if (o->json || o->quiet || !o->err_is_terminal || now - p->started_ms < 250 ||
        now - p->drawn_ms < 80)
        return;
    p->drawn_ms = now;
    p->visible = true;
    draw(p, done, total);
}

void progress_end(struct progress *p)
{
    if (p->visible)
        fputs("\r\x1b[K", stderr);
    p->visible = false;
}
