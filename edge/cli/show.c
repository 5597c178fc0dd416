// The link stands alone on the last line of stdout, so that a script may take it with `tail -n1`.
#include "edge/cli/show.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/cli/units.h"
#include <inttypes.h>

enum { CHANGES_SHOWN = 20 };

str show_member(const json_t *object, const char *key)
{
    return jsonx_str(object, key);
}

void show_add_time(struct listing *t, const json_t *object, const char *key)
{
    char text[UNITS_ROOM] = "";
    int64_t then;
    str time = show_member(object, key);
    if (time.p != NULL && units_parse_time(time, &then))
        units_relative(clock_real_ms(), then, text);
    listing_add(t, STYLE_DIM, str_from(text));
}

void show_id(const json_t *object)
{
    escape_print(stdout, show_member(object, "id"));
    fputc('\n', stdout);
}

void show_members(const json_t *list, const char *key)
{
    size_t i;
    json_t *object;
    json_array_foreach((json_t *)list, i, object)
    {
        escape_print(stdout, show_member(object, key));
        fputc('\n', stdout);
    }
}

void show_ids(const json_t *list)
{
    show_members(list, "id");
}

static uint64_t number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

void show_add_bytes(struct listing *t, const json_t *object, const char *key)
{
    char text[UNITS_ROOM];
    bool known = json_is_integer(json_object_get(object, key));
    listing_add_right(t, STYLE_NONE,
                      known ? str_from(units_bytes(number(object, key), text)) : STR(""));
}

void show_link(const struct cli *cli, str link)
{
    output_text(&cli->output, stdout, STYLE_LINK, link);
    fputc('\n', stdout);
}

void show_warnings(struct cli *cli, const json_t *answer)
{
    size_t i;
    json_t *warning;
    fflush(stdout);
    json_array_foreach(json_object_get(answer, "warnings"), i, warning)
    {
        const char *text = json_is_string(warning)
                               ? json_string_value(warning)
                               : json_string_value(json_object_get(warning, "message"));
        if (text != NULL)
            cli_warn(cli, str_from(text));
    }
}

static void show_changes(struct cli *cli, const json_t *changes, size_t most)
{
    struct listing t;
    size_t i;
    json_t *change;
    listing_init(&t, 3);
    json_array_foreach(changes, i, change)
    {
        str kind = show_member(change, "change");
        bool added = str_eq(kind, STR("added")), removed = str_eq(kind, STR("removed"));
        enum style style = added ? STYLE_GOOD : removed ? STYLE_BAD : STYLE_WARN;
        if (i == most)
            break;
        listing_add(&t, style, added ? STR("  +") : removed ? STR("  -") : STR("  ~"));
        listing_add(&t, STYLE_NONE, show_member(change, "path"));
        show_add_bytes(&t, change, "bytes");
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
    if (json_array_size(changes) > most)
        printf("  and %zu more\n", json_array_size(changes) - most);
}

// "RSVP (rsvp) 1.2.0"
static void show_name(const struct cli *cli, const json_t *plugin)
{
    output_text(&cli->output, stdout, STYLE_STRONG, show_member(plugin, "displayName"));
    fputs(" (", stdout);
    escape_print(stdout, show_member(plugin, "slug"));
    fputs(") ", stdout);
    escape_print(stdout, show_member(plugin, "version"));
}

void show_deployed(struct cli *cli, const json_t *answer, bool is_dry_run)
{
    char size[UNITS_ROOM];
    const json_t *deployment = json_object_get(answer, "deployment");
    str link = show_member(answer, "publicAppUrl");
    if (!cli->output.quiet) {
        bool unchanged = json_is_true(json_object_get(deployment, "unchanged"));
        uint64_t files = number(deployment, "fileCount");
        fputs(unchanged ? "Unchanged: " : is_dry_run ? "Would deploy " : "Deployed ", stdout);
        show_name(cli, json_object_get(answer, "plugin"));
        if (!json_is_null(json_object_get(deployment, "fileCount")))
            printf(", %" PRIu64 " file%s, %s", files, files == 1 ? "" : "s",
                   units_bytes(number(deployment, "totalBytes"), size));
        putchar('\n');
        show_changes(cli, json_object_get(deployment, "changes"),
                     is_dry_run ? SIZE_MAX : CHANGES_SHOWN);
    }
    show_warnings(cli, answer);
    if (is_dry_run)
        return;
    if (link.n != 0)
        show_link(cli, link);
    else
        cli_note(cli, "It has no public files, so it has no link.");
    fflush(stdout);
}

void show_secret(const struct cli *cli, const json_t *answer)
{
    escape_print(stdout, show_member(answer, "token"));
    fputc('\n', stdout);
    fflush(stdout);
    cli_note(cli, "Keep it: it is not shown again.");
}
