// What the parts of a .pie file mean; pie_sections.c finds them.
#include "bundles/pie_sections.h"
#include "bundles/manifest.h"
#include "bundles/paths.h"
#include "edge/base/jsonx.h"
#include "edge/base/yaml.h"
#include <stdio.h>
#include <stdlib.h>

const struct pie_limits pie_limits_default = {.file_bytes = 4 * 1024 * 1024,
                                              .front_bytes = 256 * 1024,
                                              .public_files = 50,
                                              .public_file_bytes = 512 * 1024,
                                              .public_total_bytes = 2 * 1024 * 1024};

struct reader {
    const struct pie_limits *limits;
    struct problems *problems, *warnings;
    struct pie_sections parts;
    size_t public_bytes;
};

static json_t *load_front(struct reader *r)
{
    const struct pie_section *part = &r->parts.front;
    if (part->line == 0)
        return NULL;
    if (part->content.n > r->limits->front_bytes) {
        problems_add(r->problems, part->line, 0, "front-matter",
                     "The front matter has %zu bytes; at most %zu are allowed.", part->content.n,
                     r->limits->front_bytes);
        return NULL;
    }
    struct yaml_marks *marks = NULL;
    json_t *front = yaml_load(part->content, part->line, "front-matter", r->problems, &marks);
    if (front != NULL)
        manifest_check(front, marks, part->line, r->problems, r->warnings);
    yaml_marks_destroy(marks);
    return front;
}

static void check_text(struct reader *r, const struct pie_section *s, const char *section)
{
    size_t nul = str_find(s->content, '\0'), bad = str_utf8_prefix(s->content);
    size_t at = nul < bad ? nul : bad;
    if (at < s->content.n)
        problems_add(r->problems, s->line + pie_count_lines(str_of(s->content.p, at)), 0, section,
                     nul < bad ? "NUL bytes are not allowed here." : "This is not valid UTF-8.");
}

static void warn_of_unserved(struct reader *r, const struct pie_file *f, const char *section)
{
    str path = f->path;
    if ((path.p[0] == '.' || str_find_str(path, STR("/.")) != SIZE_MAX) &&
        !str_starts(path, STR(".well-known/")))
        problems_add(r->warnings, f->line, 0, section,
                     "%s is kept but never served: its path has a name that begins with '.'.",
                     QUOTED(path));
    if (!str_eq(str_trim(path), path))
        problems_add(r->warnings, f->line, 0, section,
                     "The path %s begins or ends with a space; is that meant?", QUOTED(path));
}

// Whether its path stands; `i` counts from 0.
static bool check_file(struct reader *r, const struct pie_file *f, size_t i)
{
    const char *section = pie_section_name((char[96]){0}, "public-file:", f->path), *why;
    size_t before = r->public_bytes, max = r->limits->public_total_bytes;
    r->public_bytes += f->content.n;
    if (i == r->limits->public_files)
        problems_add(r->problems, f->line, 0, section,
                     "This is one public file too many; at most %zu are allowed.",
                     r->limits->public_files);
    if (f->content.n > r->limits->public_file_bytes)
        problems_add(r->problems, f->line, 0, section,
                     "This file has %zu bytes; at most %zu are allowed.", f->content.n,
                     r->limits->public_file_bytes);
    if (before <= max && r->public_bytes > max)
        problems_add(r->problems, f->line, 0, section,
                     "With this file the public files have more than the %zu bytes that are "
                     "allowed in all.",
                     max);
    if ((why = path_refusal(f->path)) != NULL)
        problems_add(r->problems, f->line, 0, section, "The path %s %s.", QUOTED(f->path), why);
    else if (path_is_config(f->path))
        problems_add(r->problems, f->line, 0, section,
                     "The path %s is kept for the config, which is the section public-config.",
                     QUOTED(f->path));
    else
        warn_of_unserved(r, f, section);
    return why == NULL;
}

static void on_clash(void *ctx, enum path_clash clash, size_t first, size_t second)
{
    struct reader *r = ctx;
    const struct pie_file *a = &r->parts.files[first], *b = &r->parts.files[second];
    char text[300];
    problems_add(r->problems, b->line, 0, pie_section_name((char[96]){0}, "public-file:", b->path),
                 "%s The other begins in line %u.",
                 path_clash_text(text, sizeof text, clash, a->path, b->path), a->line);
}

// Checks the public files, of which those with a path that stands remain in the list, and the
// config against them.
static struct config *check_files(struct reader *r)
{
    struct pie_sections *parts = &r->parts;
    const struct pie_section *config = &parts->config;
    if (parts->file_count == 0 && config->line == 0)
        return NULL;
    str *paths = calloc(parts->file_count + 1, sizeof *paths);
    if (paths == NULL)
        abort();
    unsigned line = config->line != 0 ? config->line : parts->files[0].line;
    size_t n = 0;
    for (size_t i = 0; i != parts->file_count; ++i)
        if (check_file(r, &parts->files[i], i)) {
            paths[n] = parts->files[i].path;
            parts->files[n++] = parts->files[i];
        }
    parts->file_count = n;
    paths_clashes(paths, n, on_clash, r);
    struct config *c = NULL;
    if (n != 0 || config->line != 0)
        c = config_load(config->content, line, "public-config", &(struct config_files){paths, n},
                        r->problems, r->warnings);
    free(paths);
    return c;
}

static void check_skill(struct reader *r)
{
    if (r->parts.widget.line != 0)
        problems_add(r->problems, r->parts.widget.fence, 0, "widget", "A skill has no widget.");
    if (pie_is_blank(r->parts.code.content))
        problems_add(r->warnings, r->parts.code.line, 0, "",
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
                     .widget = r->parts.widget.content,
                     .widget_line = r->parts.widget.line,
                     .files = r->parts.files,
                     .file_count = r->parts.file_count,
                     .public_bytes = r->public_bytes,
                     .config = config};
    if (pie_is_blank(r->parts.code.content))
        return;
    *(is_skill ? &pie->body : &pie->handler) = r->parts.code.content;
    *(is_skill ? &pie->body_line : &pie->handler_line) = r->parts.code.line;
}

static size_t total(const struct problems *ps)
{
    return ps->count + ps->left_out;
}

static enum fail read_pie(struct reader *r, str file, struct pie *ret)
{
    size_t before = total(r->problems);
    pie_sections_read(file, &r->parts, r->problems);
    json_t *front = load_front(r);
    bool is_skill = str_eq(jsonx_str(front, "tier"), STR("skill"));
    check_text(r, &r->parts.code, is_skill ? "skill" : "code");
    check_text(r, &r->parts.widget, "widget");
    if (is_skill)
        check_skill(r);
    else if (pie_is_blank(r->parts.code.content) && r->parts.file_count == 0)
        problems_add(r->warnings, r->parts.code.line, 0, "",
                     "This file has neither handler code nor public files.");
    struct config *config = check_files(r);
    if (total(r->problems) == before) {
        fill(r, front, is_skill, config, ret);
        return FAIL_NONE;
    }
    json_decref(front);
    config_destroy(config);
    free(r->parts.files);
    return FAIL_REFUSED;
}

enum fail pie_parse(str file, const struct pie_limits *limits, struct pie *ret,
                    struct problems *problems, struct problems *warnings)
{
    struct reader r = {.limits = limits != NULL ? limits : &pie_limits_default,
                       .problems = problems,
                       .warnings = warnings};
    if (file.n > r.limits->file_bytes) {
        problems_add(problems, 0, 0, "", "The file has %zu bytes; at most %zu are allowed.", file.n,
                     r.limits->file_bytes);
        return FAIL_TOO_LARGE;
    }
    if (str_starts(file, STR("\xef\xbb\xbf"))) // a byte order mark
        file = str_skip(file, 3);
    enum fail fail = read_pie(&r, file.n != 0 ? file : STR(""), ret);
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
