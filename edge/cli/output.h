// What a person sees: colours on terminals only (NO_COLOR and TERM=dumb honoured), tables with
// aligned columns, a progress line for uploads. Everything that comes from outside this program
// goes through escape.h on its way.
#ifndef STOA_CLI_OUTPUT_H
#define STOA_CLI_OUTPUT_H
#include <jansson.h>
#include "edge/cli/escape.h"

enum style { STYLE_NONE, STYLE_STRONG, STYLE_DIM, STYLE_GOOD, STYLE_BAD, STYLE_WARN, STYLE_LINK };

struct output {
    bool json;  // one JSON document on stdout, nothing for people anywhere
    bool quiet; // results only: a link, an id
    bool out_is_terminal, err_is_terminal;
    bool out_has_colour, err_has_colour;
};

void output_init(struct output *o);
// Prints `text` escaped, in a style where the stream has colours.
void output_text(const struct output *o, FILE *to, enum style style, str text);
// The document, and a line's end: indented and in ASCII on a terminal (so that no character of a
// stranger reaches it raw), else compact UTF-8.
void output_json(const struct output *o, const json_t *document);

// Writes what is still held back. False when that, or a write before, failed: not all that was
// printed has arrived.
bool output_flush(void);
// The other end of the pipe is closed, as `| head` does when it has seen enough.
bool output_reader_has_left(void);
// Nobody reads stdout any more: a write failed, or the other end of the pipe is closed. What goes on by
// itself ends then, since a closed pipe is no signal here.
bool output_has_no_reader(void);

// A table of text cells, filled row by row; cells are copied, escaped.
struct listing {
    size_t columns, cells, _room;
    struct listing_cell {
        char *text;
        enum style style;
        bool right;
    } * _cells;
};
void listing_init(struct listing *t, size_t columns);
void listing_fini(struct listing *t);
void listing_add(struct listing *t, enum style style, str text);
// The same, aligned to the right: numbers.
void listing_add_right(struct listing *t, enum style style, str text);
// Columns two spaces apart; the last one is not padded. The first row is the head.
void listing_print(const struct listing *t, const struct output *o);

// The progress of one upload on stderr: a bar on a terminal, nothing elsewhere. Shown from the
// second quarter of a second on, so that short ones do not flicker.
struct progress {
    const struct output *output;
    const char *label;
    uint64_t started_ms, drawn_ms;
    bool visible;
};
void progress_start(struct progress *p, const struct output *o, const char *label);
void progress_show(struct progress *p, uint64_t done, uint64_t total);
void progress_end(struct progress *p); // wipes the line
#endif
