// What a browser, an interpreter or a system would run. Part of stoa-inspect-files; pure.
#ifndef STOA_INSPECT_ACTIVE_H
#define STOA_INSPECT_ACTIVE_H
#include "edge/inspect/inspect.h"

// No byte of the first ones is one that only binary files have (WHATWG MIME Sniffing, section 3:
// binary data byte), or they begin with a byte order mark of UTF-16.
bool active_is_text(str head);
// As the "rules for identifying an unknown MIME type" would: HTML after white space. `head` is the
// whole file, or more than its first 1445 bytes.
bool active_is_html(str head);
// A script by its first line or mark: its type, or NULL. Text only.
const char *active_script_type(str head);
// A program by its signature: ELF, PE, Mach-O, Java class, WebAssembly, DEX …: a type, or NULL.
const char *active_program_type(str head);
// HTML or a script inside the first 1445 bytes of something else. Such a file is an attack on readers
// that believe no type; random bytes do not look so. Binary files only: a text may well speak of
// HTML, and no browser looks for it behind a text's beginning.
bool active_is_hidden(str head);

// Of what is HTML: it begins with a tag for the look of text, or a comment, and its first 1445 bytes have
// none that makes a page or takes others into it. UTF-16 is never taken for such.
bool active_is_fragment(str head);

// XML, SVG: read piece by piece to the end, whatever its encoding of two bytes or one.
struct active_markup {
    bool is_html;    // set first: HTML's attributes need no quotes
    char _kept[256]; // the end of the piece before, in lower case, without NULs
    size_t _n;
    bool _has_entity;
    bool has_script; // elements, attributes, addresses, entities, style sheets that run or may make
                     // what runs
};
void active_markup_take(struct active_markup *m, str piece);
// The local name of the root element ("svg"), lower case, within `head`; "" when there is none.
void active_root_name(str head, char ret[static 32]);
#endif
