// The .pie reader: one walk over the file's lines. A section's closing line is searched for
// directly, so that whatever stands between, other fences too, is content. An unclosed section is
// taken to end at the next known fence, for this file is refused anyway and its other problems are
// to be told at once.
#include "bundles/pie.h"
#include "bundles/manifest.h"
#include "bundles/paths.h"
#include "edge/base/jsonx.h"
#include "edge/base/yaml.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

const struct pie_limits pie_limits_default = {.file_bytes = 4 * 1024 * 1024,
                                              .front_bytes = 256 * 1024,
                                              .public_files = 50,
                                              .public_file_bytes = 512 * 1024,
                                              .public_total_bytes = 2 * 1024 * 1024};

// Each search in vain reads to the end of the file; after so many the file is a heap of fences.
enum { VAIN_SEARCHES_MAX = 20 };

struct line {
    str text;        // without its line end
    unsigned number; // from 1
    size_t start;    // its offset in the file
    size_t next;     // offset of the following line
};

struct section {
    str content;
    unsigned line; // of the opening fence; 0 = there is none
};

struct reader {
    const struct pie_limits *limits;
    struct problems *problems, *warnings;
    str file;
    size_t at;         // the next line's offset
    unsigned number;   // and its number
    unsigned searches; // for a closing line, in vain
    bool stopped;

    struct section front, code, config, widget;
    struct pie_file *files; // those with a path that stands
    size_t file_count, file_room;
    size_t declared, public_bytes; // of all sections of public files
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

static unsigned count_lines(str s)
{
    unsigned n = 0;
    for (const char *p = s.p, *end = s.p + s.n;
         p != end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; ++p)
        ++n;
    return n;
}

static bool is_blank(str s)
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

// "public-file:app.js" for a problem's section; problems_add cuts and cleans it.
static const char *section_name(char to[static 96], str name)
{
    const char *quoted = problem_quote((char[96]){0}, 96, name);
    snprintf(to, 96, "%.*s", (int)strlen(quoted) - 2, quoted + 1);
    return to;
}
#define SECTION(name) section_name((char[96]){0}, (name))

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
    r->number += count_lines(str_of(r->file.p + r->at, offset - r->at));
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
static struct section read_section(struct reader *r, const struct line *open, str name)
{
    skip_line(r, open);
    size_t from = open->next, closing = find_closing(r, open->text, from);
    struct section s = {.line = open->number};
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
    r->number += count_lines(str_of(r->file.p + from, end - from));
    r->at = end;
    return s;
}

static void keep_only_one(struct reader *r, struct section *kept, struct section found,
                          const char *name)
{
    if (kept->line != 0)
        problems_add(r->problems, found.line, 0, name,
                     "There is a second %s section; the first begins in line %u.", name,
                     kept->line);
    else
        *kept = found;
}

static void warn_of_unserved(struct reader *r, str path, unsigned line, const char *section)
{
    if ((path.p[0] == '.' || str_find_str(path, STR("/.")) != SIZE_MAX) &&
        !str_starts(path, STR(".well-known/")))
        problems_add(r->warnings, line, 0, section,
                     "%s is kept but never served: its path has a name that begins with '.'.",
                     QUOTED(path));
    if (!str_eq(str_trim(path), path))
        problems_add(r->warnings, line, 0, section,
                     "The path %s begins or ends with a space; is that meant?", QUOTED(path));
}

static void keep_file(struct reader *r, str path, const struct section *s)
{
    if (r->file_count == r->file_room) {
        r->file_room = r->file_room == 0 ? 16 : r->file_room * 2;
        r->files = realloc(r->files, r->file_room * sizeof *r->files);
        if (r->files == NULL)
            abort();
    }
    r->files[r->file_count++] = (struct pie_file){path, s->content, s->line};
}

static void add_file(struct reader *r, str name, const struct section *s)
{
    const char *section = SECTION(name), *why;
    str path = str_skip(name, file_prefix.n);
    size_t before = r->public_bytes, total = r->limits->public_total_bytes;
    r->public_bytes += s->content.n;
    if (++r->declared == r->limits->public_files + 1)
        problems_add(r->problems, s->line, 0, section,
                     "This is one public file too many; at most %zu are allowed.",
                     r->limits->public_files);
    if (s->content.n > r->limits->public_file_bytes)
        problems_add(r->problems, s->line, 0, section,
                     "This file has %zu bytes; at most %zu are allowed.", s->content.n,
                     r->limits->public_file_bytes);
    if (before <= total && r->public_bytes > total)
        problems_add(r->problems, s->line, 0, section,
                     "With this file the public files have more than the %zu bytes that are "
                     "allowed in all.",
                     total);
    if ((why = path_refusal(path)) != NULL) {
        problems_add(r->problems, s->line, 0, section, "The path %s %s.", QUOTED(path), why);
        return;
    }
    warn_of_unserved(r, path, s->line, section);
    keep_file(r, path, s);
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
    struct section s;
    switch (fence) {
    case FENCE_CONFIG:
        s = read_section(r, line, name);
        keep_only_one(r, &r->config, s, "public-config");
        break;
    case FENCE_WIDGET:
        s = read_section(r, line, name);
        keep_only_one(r, &r->widget, s, "widget");
        break;
    case FENCE_FILE:
        s = read_section(r, line, name);
        add_file(r, name, &s);
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
    r->code.line = r->number;
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
        if (code_end != SIZE_MAX && !outside_told && !is_blank(line.text)) {
            problems_add(r->problems, line.number, 0, "",
                         "This stands outside of every section; code belongs before the first "
                         "section, anything else between a section's two fences.");
            outside_told = true;
        }
        skip_line(r, &line);
    }
    if (code_end != SIZE_MAX)
        r->code.content = content_between(r, code_start, code_end);
    else
        r->code.content = str_skip(r->file, code_start);
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
        r->front = (struct section){content_between(r, from, line.start), first};
        skip_line(r, &line);
        return;
    }
    problems_add(r->problems, 1, 0, "front-matter",
                 "The front matter is never closed: put a line of three hyphens (---) behind it.");
    r->at = from;
    r->number = first;
    size_t end = find_next_fence(r, from); // its sections can still be read
    r->number += count_lines(str_of(r->file.p + from, end - from));
    r->at = end;
}

// What the parts say.
static json_t *load_front(struct reader *r)
{
    if (r->front.line == 0)
        return NULL;
    if (r->front.content.n > r->limits->front_bytes) {
        problems_add(r->problems, r->front.line, 0, "front-matter",
                     "The front matter has %zu bytes; at most %zu are allowed.", r->front.content.n,
                     r->limits->front_bytes);
        return NULL;
    }
    struct yaml_marks *marks = NULL;
    json_t *front = yaml_load(r->front.content, r->front.line, "front-matter", r->problems, &marks);
    if (front != NULL)
        manifest_check(front, marks, r->front.line, r->problems, r->warnings);
    yaml_marks_destroy(marks);
    return front;
}

static void check_text(struct reader *r, const struct section *s, const char *section)
{
    size_t nul = str_find(s->content, '\0'), bad = str_utf8_prefix(s->content);
    size_t at = nul < bad ? nul : bad;
    if (at < s->content.n)
        problems_add(r->problems, s->line + count_lines(str_of(s->content.p, at)), 0, section,
                     nul < bad ? "NUL bytes are not allowed here." : "This is not valid UTF-8.");
}

static void on_clash(void *ctx, enum path_clash clash, size_t first, size_t second)
{
    struct reader *r = ctx;
    const struct pie_file *a = &r->files[first], *b = &r->files[second];
    char section[96], name[PATH_MAX_BYTES + 16], text[300];
    int n = snprintf(name, sizeof name, "public-file:%.*s", STR_FMT(b->path));
    section_name(section, str_of(name, (size_t)n));
    problems_add(r->problems, b->line, 0, section, "%s The other begins in line %u.",
                 path_clash_text(text, sizeof text, clash, a->path, b->path), a->line);
}

static struct config *check_files(struct reader *r)
{
    if (r->declared == 0 && r->config.line == 0)
        return NULL;
    str *paths = calloc(r->file_count + 1, sizeof *paths);
    if (paths == NULL)
        abort();
    for (size_t i = 0; i != r->file_count; ++i)
        paths[i] = r->files[i].path;
    paths_clashes(paths, r->file_count, on_clash, r);
    struct config_files files = {paths, r->file_count};
    unsigned line = r->config.line != 0  ? r->config.line + 1
                    : r->file_count != 0 ? r->files[0].line
                                         : 0;
    struct config *config = NULL;
    if (r->config.line != 0 || r->file_count != 0)
        config =
            config_load(r->config.content, line, "public-config", &files, r->problems, r->warnings);
    free(paths);
    return config;
}

static void check_skill(struct reader *r)
{
    if (r->widget.line != 0)
        problems_add(r->problems, r->widget.line, 0, "widget", "A skill has no widget.");
    if (is_blank(r->code.content))
        problems_add(r->warnings, r->code.line, 0, "",
                     "This skill has no text behind its front matter.");
}

// Fills `pie` from a file without problems; takes `front`, `config` and the reader's files.
static void fill(struct reader *r, json_t *front, bool is_skill, struct config *config,
                 struct pie *pie)
{
    json_t *manifest = json_object_get(front, "manifest"), *tags = json_object_get(front, "tags");
    if (!json_is_array(tags))
        tags = json_object_get(manifest, "tags");
    *pie =
        (struct pie){.front = front,
                     .manifest = json_is_object(manifest) ? json_incref(manifest) : json_object(),
                     .tags = json_is_array(tags) ? json_incref(tags) : json_array(),
                     .name = jsonx_str(front, "name"),
                     .display_name = jsonx_str(front, "displayName"),
                     .version = jsonx_str(front, "version"),
                     .tier = jsonx_str(front, "tier"),
                     .description = jsonx_str(front, "description"),
                     .is_skill = is_skill,
                     .widget = r->widget.content,
                     .widget_line = r->widget.line != 0 ? r->widget.line + 1 : 0,
                     .files = r->files,
                     .file_count = r->file_count,
                     .public_bytes = r->public_bytes,
                     .config = config};
    if (is_blank(r->code.content))
        return;
    *(is_skill ? &pie->body : &pie->handler) = r->code.content;
    *(is_skill ? &pie->body_line : &pie->handler_line) = r->code.line;
}

static size_t total(const struct problems *ps)
{
    return ps->count + ps->left_out;
}

static enum fail read_pie(struct reader *r, struct pie *ret)
{
    size_t before = total(r->problems);
    read_front(r);
    read_code_and_sections(r);
    json_t *front = load_front(r);
    bool is_skill = str_eq(jsonx_str(front, "tier"), STR("skill"));
    check_text(r, &r->code, is_skill ? "skill" : "code");
    if (r->widget.line != 0)
        check_text(r, &(struct section){r->widget.content, r->widget.line + 1}, "widget");
    if (is_skill)
        check_skill(r);
    else if (is_blank(r->code.content) && r->declared == 0)
        problems_add(r->warnings, r->code.line, 0, "",
                     "This file has neither handler code nor public files.");
    struct config *config = check_files(r);
    if (total(r->problems) == before) {
        fill(r, front, is_skill, config, ret);
        return FAIL_NONE;
    }
    json_decref(front);
    config_destroy(config);
    free(r->files);
    return FAIL_REFUSED;
}

enum fail pie_parse(str file, const struct pie_limits *limits, struct pie *ret,
                    struct problems *problems, struct problems *warnings)
{
    struct reader r = {.limits = limits != NULL ? limits : &pie_limits_default,
                       .problems = problems,
                       .warnings = warnings,
                       .file = file.n != 0 ? file : STR(""),
                       .number = 1};
    if (file.n > r.limits->file_bytes) {
        problems_add(problems, 0, 0, "", "The file has %zu bytes; at most %zu are allowed.", file.n,
                     r.limits->file_bytes);
        return FAIL_TOO_LARGE;
    }
    if (str_starts(r.file, STR("\xef\xbb\xbf")))
        r.file = str_skip(r.file, 3);
    enum fail fail = read_pie(&r, ret);
    problems_sort(problems);
    problems_sort(warnings);
    return fail;
}

void pie_fini(struct pie *pie)
{
    json_decref(pie->front);
    json_decref(pie->manifest);
    json_decref(pie->tags);
    config_destroy(pie->config);
    free(pie->files);
    *pie = (struct pie){0};
}

json_t *pie_warnings_json(const struct problems *warnings)
{
    json_t *list = json_array();
    for (size_t i = 0; i != warnings->count; ++i) {
        const struct problem *w = &warnings->list[i];
        json_array_append_new(list, w->line != 0 ? json_sprintf("line %u: %s", w->line, w->message)
                                                 : json_string(w->message));
    }
    if (warnings->left_out != 0)
        json_array_append_new(
            list, json_sprintf("%zu more warnings are not listed.", warnings->left_out));
    return list;
}
