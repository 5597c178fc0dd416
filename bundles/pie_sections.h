// Cutting a .pie file into its parts, without asking what they mean: what pie.c and pie_sections.c
// share. Pure; any thread.
#ifndef STOA_BUNDLES_PIE_SECTIONS_H
#define STOA_BUNDLES_PIE_SECTIONS_H
#include "bundles/pie.h"

struct pie_section {
    str content;    // without the line ends next to its fences
    unsigned line;  // the file's line its content begins in, from 1; 0 = there is no such section
    unsigned fence; // that of its opening fence
};

struct pie_sections {
    struct pie_section front, code, config, widget;
    struct pie_file *files; // every public-file section, whatever its path says; to be freed
    size_t file_count;
};

// Adds a problem for each part that is missing, unclosed, doubled, unknown or stands outside; the
// parts that can be told are there even so. `ret` holds views into `file`.
void pie_sections_read(str file, struct pie_sections *ret, struct problems *problems);

// Nothing but spaces, tabs and line ends.
bool pie_is_blank(str s);
unsigned pie_count_lines(str s);
// `prefix` and a stranger's name, made fit for a problem's section.
const char *pie_section_name(char to[static 96], const char *prefix, str name);
#endif
