// What was run: a list, one run in full, or a tail. Nearly all the text here is a handler's or a
// visitor's. The tail asks for the newest page every two seconds and prints what it has not seen,
// which is gentle to the server and needs nothing kept open.
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/show.h"

enum { PAGE = 100, FOLLOW_MS = 2000, CATCH_UP_PAGES = 20, SEEN_MAX = 4 * PAGE, ID_ROOM = 48 };

static void add_query(struct buf *to, const char *name, const char *value)
{
    AUTOFREE char *escaped = value != NULL ? api_path("%s", value) : NULL;
    if (escaped != NULL)
        buf_addf(to, "&%s=%s", name, escaped);
}

static char *page_path(const struct cli *cli, const char *instance, const char *cursor)
{
    struct buf path;
    AUTOFREE char *base = api_path("/api/public-apps/instances/%s/runs", instance);
    buf_init(&path, 65536);
    buf_addf(&path, "%s?limit=%d", base, PAGE);
    add_query(&path, "action", cli->options.value[OPT_ACTION]);
    add_query(&path, "outcome", cli->options.value[OPT_OUTCOME]);
    add_query(&path, "cursor", cursor);
    return buf_take(&path);
}

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static enum style style_of(str outcome)
{
    return str_eq(outcome, STR("ok"))               ? STYLE_GOOD
           : str_eq(outcome, STR("reported_error")) ? STYLE_WARN
                                                    : STYLE_BAD;
}

static void add_run(struct listing *t, const json_t *run)
{
    char ms[32];
    str visitor = show_member(run, "visitor"), outcome = show_member(run, "outcome");
    snprintf(ms, sizeof ms, "%" PRId64 " ms", number(run, "ranMs"));
    listing_add(t, STYLE_NONE, show_member(run, "id"));
    show_add_time(t, run, "endedAt");
    listing_add(t, STYLE_STRONG, show_member(run, "action"));
    listing_add(t, style_of(outcome), outcome);
    listing_add_right(t, STYLE_NONE, str_from(ms));
    listing_add(t, STYLE_DIM, visitor.n != 0 ? visitor : show_member(run, "source"));
}

static void print_runs(const struct cli *cli, const json_t *runs)
{
    struct listing t;
    size_t i;
    json_t *run;
    listing_init(&t, 6);
    for (i = 0; i != 6; ++i)
        listing_add(
            &t, STYLE_DIM,
            str_from((const char *[]){"RUN", "ENDED", "ACTION", "OUTCOME", "TOOK", "VISITOR"}[i]));
    json_array_foreach(runs, i, run)
    {
        add_run(&t, run);
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

// --- one ---

static void print_field(const struct cli *cli, const char *name, str value)
{
    if (value.n == 0)
        return;
    printf("%-11s ", name);
    output_text(&cli->output, stdout, STYLE_NONE, value);
    fputc('\n', stdout);
}

static void print_error(const struct cli *cli, const json_t *error)
{
    str stack = show_member(error, "stack");
    int64_t line = number(error, "line"), column = number(error, "column");
    fputc('\n', stdout);
    output_text(&cli->output, stdout, STYLE_BAD, show_member(error, "name"));
    fputs(": ", stdout);
    output_text(&cli->output, stdout, STYLE_NONE, show_member(error, "message"));
    if (line > 0)
        printf(" (line %" PRId64 ", column %" PRId64 ")", line, column);
    fputc('\n', stdout);
    while (stack.n != 0) {
        fputs("    ", stdout);
        output_text(&cli->output, stdout, STYLE_DIM, str_cut(&stack, '\n'));
        fputc('\n', stdout);
    }
}

static void print_log(const struct cli *cli, const json_t *log)
{
    size_t i;
    json_t *line;
    if (json_array_size(log) != 0)
        fputc('\n', stdout);
    json_array_foreach(log, i, line)
    {
        str level = show_member(line, "level");
        bool bad = str_eq(level, STR("error")), warn = str_eq(level, STR("warn"));
        output_text(&cli->output, stdout, bad ? STYLE_BAD : warn ? STYLE_WARN : STYLE_DIM, level);
        printf("%*s", level.n < 6 ? (int)(6 - level.n) : 1, "");
        output_text(&cli->output, stdout, STYLE_NONE, show_member(line, "text"));
        fputc('\n', stdout);
    }
}

// Requests a run made, and what else it had the server do: "GET api.example 200 in 31 ms".
static void print_fetches(const struct cli *cli, const json_t *fetches)
{
    size_t i;
    json_t *fetch;
    if (json_array_size(fetches) != 0)
        fputc('\n', stdout);
    json_array_foreach(fetches, i, fetch)
    {
        int64_t status = number(fetch, "status");
        output_text(&cli->output, stdout, STYLE_DIM, STR("fetch"));
        fputc(' ', stdout);
        output_text(&cli->output, stdout, STYLE_STRONG, show_member(fetch, "method"));
        fputc(' ', stdout);
        output_text(&cli->output, stdout, STYLE_NONE, show_member(fetch, "host"));
        if (status != 0)
            printf(" %" PRId64, status);
        else
            output_text(&cli->output, stdout, STYLE_BAD, STR(" failed"));
        printf(" in %" PRId64 " ms\n", number(fetch, "ms"));
    }
}

static void print_notices(const struct cli *cli, const json_t *notices, int64_t left_out)
{
    size_t i;
    json_t *notice;
    if (json_array_size(notices) != 0)
        fputc('\n', stdout);
    json_array_foreach(notices, i, notice)
    {
        AUTOFREE char *args = jsonx_dump(json_object_get(notice, "args"), NULL);
        output_text(&cli->output, stdout, STYLE_DIM, show_member(notice, "op"));
        fputc(' ', stdout);
        output_text(&cli->output, stdout, STYLE_NONE, str_from(args));
        fputc('\n', stdout);
    }
    if (left_out != 0)
        printf("(%" PRId64 " more were too large to keep)\n", left_out);
}

static void print_run(const struct cli *cli, const json_t *run)
{
    char text[160];
    static const char *const names[] = {"id",        "action",  "source", "outcome",
                                        "startedAt", "visitor", "actor",  "deploymentId"};
    for (size_t i = 0; i != sizeof names / sizeof names[0]; ++i)
        print_field(cli, names[i], show_member(run, names[i]));
    snprintf(text, sizeof text, "%" PRId64 " ms, after %" PRId64 " ms in the queue",
             number(run, "ranMs"), number(run, "queuedMs"));
    print_field(cli, "took", str_from(text));
    snprintf(text, sizeof text,
             "%" PRId64 " bytes in, %" PRId64 " bytes out, %" PRId64 " queries, %" PRId64
             " requests",
             number(run, "inputBytes"), number(run, "outputBytes"), number(run, "queryCount"),
             number(run, "fetchCount"));
    print_field(cli, "used", str_from(text));
    if (json_is_object(json_object_get(run, "error")))
        print_error(cli, json_object_get(run, "error"));
    print_fetches(cli, json_object_get(run, "fetches"));
    print_notices(cli, json_object_get(run, "notices"), number(run, "noticesLeftOut"));
    print_log(cli, json_object_get(run, "log"));
}

static enum cli_exit show_one(struct cli *cli, const char *id)
{
    json_auto_t *run = NULL;
    AUTOFREE char *path = api_path("/api/runs/%s", id);
    struct api_request request = API_REQUEST("GET", path);
    enum cli_exit exit = api_call(cli, &request, &run);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(run));
    if (cli->output.quiet)
        show_id(run);
    else
        print_run(cli, run);
    return EXIT_DONE;
}

// --- a tail ---

// The ids of the last few hundred, in a ring.
struct seen {
    char ids[SEEN_MAX][ID_ROOM];
    size_t at;
    bool has_begun;
};

static bool is_seen(const struct seen *s, str id)
{
    for (size_t i = 0; i != SEEN_MAX; ++i)
        if (str_eq(str_from(s->ids[i]), id))
            return true;
    return false;
}

static void remember(struct seen *s, str id)
{
    snprintf(s->ids[s->at++ % SEEN_MAX], ID_ROOM, "%.*s", STR_FMT(id));
}

static void print_line(const struct cli *cli, const json_t *run)
{
    struct listing t;
    if (cli->output.json) {
        output_json(&cli->output, run);
        return;
    }
    if (cli->output.quiet) {
        show_id(run);
        fflush(stdout);
        return;
    }
    listing_init(&t, 6);
    add_run(&t, run);
    listing_print(&t, &cli->output);
    listing_fini(&t);
    fflush(stdout);
}

// The new ones of a page to the front of `fresh`; true when all of it was new.
static bool take_page(const struct seen *s, const json_t *page, json_t *fresh)
{
    size_t i;
    json_t *run;
    bool all = true;
    json_array_foreach(json_object_get(page, "data"), i, run)
    {
        bool is_new = !is_seen(s, show_member(run, "id"));
        all = all && is_new;
        if (is_new)
            json_array_append(fresh, run);
    }
    return all && json_array_size(json_object_get(page, "data")) == PAGE;
}

static enum cli_exit look(struct cli *cli, const char *instance, struct seen *s)
{
    AUTOFREE char *cursor = NULL;
    json_auto_t *fresh = json_array();
    for (int pages = 0; pages != CATCH_UP_PAGES; ++pages) {
        json_auto_t *page = NULL;
        AUTOFREE char *path = page_path(cli, instance, cursor);
        struct api_request request = API_REQUEST("GET", path);
        enum cli_exit exit = api_call(cli, &request, &page);
        if (exit != EXIT_DONE)
            return exit;
        str next = show_member(page, "next");
        if (!take_page(s, page, fresh) || !s->has_begun || next.n == 0)
            break;
        free(cursor);
        cursor = str_dup(next);
    }
    // At the beginning the last few, for a context; newest last.
    size_t n = json_array_size(fresh), shown = s->has_begun || n < 10 ? n : 10;
    for (size_t i = n; i-- != 0;) {
        const json_t *run = json_array_get(fresh, i);
        remember(s, show_member(run, "id"));
        if (i < shown)
            print_line(cli, run);
    }
    s->has_begun = true;
    return EXIT_DONE;
}

static enum cli_exit follow(struct cli *cli, const char *instance)
{
    struct seen *s = calloc(1, sizeof *s);
    if (s == NULL)
        abort();
    enum cli_exit exit = look(cli, instance, s);
    // A server that is away for a moment is asked again, once it was there at all.
    while ((exit == EXIT_DONE || (exit == EXIT_UNAVAILABLE && s->has_begun)) &&
           !output_has_no_reader()) {
        cli->is_waiting = exit != EXIT_DONE;
        nanosleep(&(struct timespec){.tv_sec = FOLLOW_MS / 1000}, NULL);
        exit = look(cli, instance, s);
    }
    free(s);
    return output_has_no_reader() ? EXIT_DONE : exit;
}

enum cli_exit command_runs(struct cli *cli)
{
    json_auto_t *page = NULL;
    AUTOFREE char *instance = NULL;
    const struct options *o = &cli->options;
    if (options_has(o, OPT_ID))
        return show_one(cli, o->value[OPT_ID]);
    enum cli_exit exit = api_instance_of(cli, o->args[0], &instance);
    if (exit != EXIT_DONE)
        return exit;
    if (options_has(o, OPT_FOLLOW))
        return follow(cli, instance);
    AUTOFREE char *path = page_path(cli, instance, NULL);
    struct api_request request = API_REQUEST("GET", path);
    exit = api_call(cli, &request, &page);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(page));
    const json_t *runs = json_object_get(page, "data");
    if (cli->output.quiet)
        show_ids(runs);
    else if (json_array_size(runs) == 0)
        cli_note(cli, "There are no such runs yet.");
    else
        print_runs(cli, runs);
    return EXIT_DONE;
}
