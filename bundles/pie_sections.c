// One walk over the file's lines. A section's closing line is searched for directly, so that
// whatever stands between, other fences too, is content. An unclosed section is taken to end at the
// next known fence, for this file is refused anyway and its other problems are to be told at once.
#include "bundles/pie_sections.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

// Each search in vain reads to the end of the file; after so many the file is a heap of fences.
enum { VAIN_SEARCHES_MAX = 20 };

struct line {
    str text;        // without its line end
    unsigned number; // from 1
    size_t start;    // its offset in the file
    size_t next;     // offset of the following line
};

struct reader {
    str file;
    size_t at;         // the next line's offset
    unsigned number;   // and its number
    unsigned searches; // for a closing line, in vain
    bool stopped;
    size_t file_room;
    struct pie_sections *out;
    struct problems *problems;
};

static bool read_line(struct reader *r, struct line *ret)
{
    if (r->at >= r->file.n || r->stopped)
        return false;
    str rest = str_skip(r->file, r->at);
    size_t end = str_find(rest, '\n');
    ret->start = r->at;
    ret->number = r->number;
    ret->next = end == SIZE_MAX ? r->file.n : r->at + end + 1;
    ret->text = str_of(rest.p, end == SIZE_MAX ? rest.n : end);
    if (ret->text.n != 0 && ret->text.p[ret->text.n - 1] == '\r')
        --ret->text.n;
    return true;
}

static void skip_line(struct reader *r, const struct line *line)
{
    r->at = line->next;
    ++r->number;
}

unsigned pie_count_lines(str s)
{
    unsigned n = 0;
    for (const char *p = s.p, *end = s.p + s.n;
         p != end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; ++p)
        ++n;
    return n;
}

bool pie_is_blank(str s)
{
    for (size_t i = 0; i != s.n; ++i)
        if (memchr(" \t\r\n", s.p[i], 4) == NULL)
            return false;
    return true;
}

// Fences.
enum fence { FENCE_NONE, FENCE_CONFIG, FENCE_FILE, FENCE_WIDGET, FENCE_UNKNOWN, FENCE_SLOPPY };

static const str file_prefix = {"public-file:", 12};

static str without_blanks_behind(str s)
{
    while (s.n != 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        --s.n;
    return s;
}

static bool is_section_word(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (i != 0 && ((c >= '0' && c <= '9') || c == '-' || c == '_'))))
            return false;
    }
    return s.n != 0;
}

static enum fence known_fence(str name)
{
    return str_eq(name, STR("public-config")) ? FENCE_CONFIG
           : str_eq(name, STR("widget"))      ? FENCE_WIDGET
           : str_starts(name, file_prefix)    ? FENCE_FILE
                                              : FENCE_NONE;
}

// What a line outside of a section is, and for a fence the name between its equals signs. A line
// that begins with spaces is never one; "=====" (a heading's underline) and "=== Heading ===" are
// text.
static enum fence fence_of(str line, str *ret_name)
{
    str exact = line;
    line = without_blanks_behind(line);
    if (line.n < 7 || !str_starts(line, STR("===")) || !str_ends(line, STR("===")))
        return FENCE_NONE;
    str name = str_of(line.p + 3, line.n - 6), trimmed = str_trim(name);
    *ret_name = name;
    enum fence known = known_fence(name);
    if (known != FENCE_NONE)
        return line.n == exact.n ? known : FENCE_SLOPPY;
    if (known_fence(trimmed) != FENCE_NONE) {
        *ret_name = trimmed;
        return FENCE_SLOPPY;
    }
    str head = name;
    return is_section_word(str_cut(&head, ':')) ? FENCE_UNKNOWN : FENCE_NONE;
}

const char *pie_section_name(char to[static 96], const char *prefix, str name)
{
    const char *quoted = problem_quote((char[96]){0}, 96, name);
    snprintf(to, 96, "%s%.*s", prefix, (int)strlen(quoted) - 2, quoted + 1);
    return to;
}
#define SECTION(name) pie_section_name((char[96]){0}, "", (name))

// The offset of the next line that is identical to `fence`, from offset `from` (a line's start), or
// SIZE_MAX.
static size_t find_closing(const struct reader *r, str fence, size_t from)
{
    while (from < r->file.n) {
        size_t hit = str_find_str(str_skip(r->file, from), fence);
        if (hit == SIZE_MAX)
            return SIZE_MAX;
        size_t start = from + hit, end = start + fence.n;
        str rest = str_skip(r->file, end);
        if (r->file.p[start - 1] == '\n' &&
            (rest.n == 0 || rest.p[0] == '\n' || str_starts(rest, STR("\r\n")) ||
             str_eq(rest, STR("\r"))))
            return start;
        from = start + 1;
    }
    return SIZE_MAX;
}

static str without_last_line_end(str s)
{
    if (s.n != 0 && s.p[s.n - 1] == '\n')
        --s.n;
    if (s.n != 0 && s.p[s.n - 1] == '\r')
        --s.n;
    return s;
}

// The end of what a section without a closing line is taken to hold: the next line that is a known
// fence, or the end of the file.
static size_t find_next_fence(const struct reader *r, size_t from)
{
    struct reader ahead = *r;
    ahead.at = from;
    struct line line;
    str name;
    for (; read_line(&ahead, &line); ahead.at = line.next) {
        enum fence fence = fence_of(line.text, &name);
        if (fence != FENCE_NONE && fence != FENCE_UNKNOWN && fence != FENCE_SLOPPY)
            return line.start;
    }
    return r->file.n;
}

static str content_between(const struct reader *r, size_t from, size_t to)
{
    return without_last_line_end(str_of(r->file.p + from, to - from));
}

// Moves behind the line that starts at `offset`, which is at or behind the present line's.
static void move_behind(struct reader *r, size_t offset)
{
    r->number += pie_count_lines(str_of(r->file.p + r->at, offset - r->at));
    r->at = offset;
    struct line line;
    if (read_line(r, &line))
        skip_line(r, &line);
}

static void tell_vain_search(struct reader *r, unsigned line)
{
    if (++r->searches < VAIN_SEARCHES_MAX)
        return;
    r->stopped = true;
    problems_add(r->problems, line, 0, "",
                 "Too many sections are not closed; reading stopped here.");
}

// The section whose opening fence is `open`; the reader is then behind its closing line.
static struct pie_section read_section(struct reader *r, const struct line *open, str name)
{
    skip_line(r, open);
    size_t from = open->next, closing = find_closing(r, open->text, from);
    struct pie_section s = {.line = open->number + 1, .fence = open->number};
    if (closing != SIZE_MAX) {
        s.content = content_between(r, from, closing);
        move_behind(r, closing);
        return s;
    }
    problems_add(r->problems, open->number, 0, SECTION(name),
                 "This section is never closed: put the same line, %s, behind its content.",
                 QUOTED(open->text));
    tell_vain_search(r, open->number);
    size_t end = find_next_fence(r, from);
    s.content = content_between(r, from, end);
    r->number += pie_count_lines(str_of(r->file.p + from, end - from));
    r->at = end;
    return s;
}

static void keep_only_one(struct reader *r, struct pie_section *kept, struct pie_section found,
                          const char *name)
{
    if (kept->line != 0)
        problems_add(r->problems, found.fence, 0, name,
                     "There is a second %s section; the first begins in line %u.", name,
                     kept->fence);
    else
        *kept = found;
}

static void add_file(struct reader *r, str path, struct pie_section s)
{
    struct pie_sections *out = r->out;
    if (out->file_count == r->file_room) {
        r->file_room = r->file_room == 0 ? 16 : r->file_room * 2;
        out->files = realloc(out->files, r->file_room * sizeof *out->files);
        if (out->files == NULL)
            abort();
    }
    out->files[out->file_count++] = (struct pie_file){path, s.content, s.fence};
}

// A fence that is not written exactly: read past its section, so that one slip is one problem.
static void pass_sloppy(struct reader *r, const struct line *line, str name)
{
    char exact[2200];
    int n =
        snprintf(exact, sizeof exact, "===%.*s===", (int)(name.n < 2048 ? name.n : 2048), name.p);
    problems_add(r->problems, line->number, 0, SECTION(name),
                 "Write this line as %s, without spaces.", QUOTED(str_of(exact, (size_t)n)));
    skip_line(r, line);
    size_t closing = find_closing(r, line->text, line->next);
    if (closing == SIZE_MAX)
        closing = find_closing(r, str_of(exact, (size_t)n), line->next);
    if (closing == SIZE_MAX)
        tell_vain_search(r, line->number);
    else
        move_behind(r, closing);
}

static void pass_unknown(struct reader *r, const struct line *line, str name)
{
    problems_add(r->problems, line->number, 0, SECTION(name),
                 "There is no section %s; known are public-config, public-file:path and widget.",
                 QUOTED(name));
    skip_line(r, line);
    size_t closing = find_closing(r, line->text, line->next);
    if (closing == SIZE_MAX)
        tell_vain_search(r, line->number);
    else
        move_behind(r, closing);
}

static void read_fence(struct reader *r, const struct line *line, enum fence fence, str name)
{
    struct pie_section s;
    switch (fence) {
    case FENCE_CONFIG:
        s = read_section(r, line, name);
        keep_only_one(r, &r->out->config, s, "public-config");
        break;
    case FENCE_WIDGET:
        s = read_section(r, line, name);
        keep_only_one(r, &r->out->widget, s, "widget");
        break;
    case FENCE_FILE:
        s = read_section(r, line, name);
        add_file(r, str_skip(name, file_prefix.n), s);
        break;
    case FENCE_SLOPPY:
        pass_sloppy(r, line, name);
        break;
    case FENCE_UNKNOWN:
        pass_unknown(r, line, name);
        break;
    case FENCE_NONE:
        assert(!"no fence");
    }
}

// Everything behind the front matter.
static void read_code_and_sections(struct reader *r)
{
    struct line line;
    str name;
    size_t code_start = r->at, code_end = SIZE_MAX;
    r->out->code.line = r->number;
    bool outside_told = false; // once for each run of lines
    while (read_line(r, &line)) {
        enum fence fence = fence_of(line.text, &name);
        if (fence != FENCE_NONE) {
            if (code_end == SIZE_MAX)
                code_end = line.start;
            read_fence(r, &line, fence, name);
            outside_told = false;
            continue;
        }
        if (code_end != SIZE_MAX && !outside_told && !pie_is_blank(line.text)) {
            problems_add(r->problems, line.number, 0, "",
                         "This stands outside of every section; code belongs before the first "
                         "section, anything else between a section's two fences.");
            outside_told = true;
        }
        skip_line(r, &line);
    }
    if (code_end != SIZE_MAX)
        r->out->code.content = content_between(r, code_start, code_end);
    else
        r->out->code.content = str_skip(r->file, code_start);
}

static bool is_front_line(str line)
{
    return str_eq(without_blanks_behind(line), STR("---"));
}

static void read_front(struct reader *r)
{
    struct line line;
    if (!read_line(r, &line) || !is_front_line(line.text)) {
        problems_add(r->problems, 1, 0, "front-matter",
                     "The file must begin with a line of three hyphens (---), then the front "
                     "matter, then another such line.");
        return;
    }
    skip_line(r, &line);
    size_t from = r->at;
    unsigned first = r->number;
    for (; read_line(r, &line); skip_line(r, &line)) {
        if (!is_front_line(line.text))
            continue;
        r->out->front = (struct pie_section){content_between(r, from, line.start), first, 1};
        skip_line(r, &line);
        return;
    }
    problems_add(r->problems, 1, 0, "front-matter",
                 "The front matter is never closed: put a line of three hyphens (---) behind it.");
    r->at = from;
    r->number = first;
    size_t end = find_next_fence(r, from); // its sections can still be read
    r->number += pie_count_lines(str_of(r->file.p + from, end - from));
    r->at = end;
}

void pie_sections_read(str file, struct pie_sections *ret, struct problems *problems)
{
    *ret = (struct pie_sections){0};
    struct reader r = {.file = file, .number = 1, .out = ret, .problems = problems};
    read_front(&r);
    read_code_and_sections(&r);
}
