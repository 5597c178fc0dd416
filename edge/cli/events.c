// Heartbeat events: a list, or the server's stream of them. A stream that ends (the server went, or
// an hour is over) is asked for again from behind the last event that was printed.
#include <stdlib.h>
#include <time.h>
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/show.h"

enum { FIRST = 10, AGAIN_S = 2, LINE_MAX_BYTES = 8 * 1024 * 1024, ID_ROOM = 24 };

static void add_event(struct listing *t, const json_t *event)
{
    const json_t *data = json_object_get(event, "data");
    AUTOFREE char *text = jsonx_dump(data, NULL);
    listing_add(t, STYLE_NONE, show_member(event, "id"));
    show_add_time(t, event, "createdAt");
    listing_add(t, STYLE_STRONG, show_member(event, "type"));
    listing_add(t, STYLE_DIM, show_member(event, "action"));
    listing_add(t, STYLE_NONE, text != NULL ? str_from(text) : STR(""));
}

static void print_events(const struct cli *cli, const json_t *events)
{
    struct listing t;
    size_t i;
    json_t *event;
    listing_init(&t, 5);
    for (i = 0; i != 5; ++i)
        listing_add(&t, STYLE_DIM,
                    str_from((const char *[]){"EVENT", "WHEN", "TYPE", "ACTION", "DATA"}[i]));
    json_array_foreach(events, i, event)
    {
        add_event(&t, event);
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

static void print_line(const struct cli *cli, const json_t *event)
{
    struct listing t;
    if (cli->output.json) {
        output_json(&cli->output, event);
        return;
    }
    if (cli->output.quiet) {
        show_id(event);
        fflush(stdout);
        return;
    }
    listing_init(&t, 5);
    add_event(&t, event);
    listing_print(&t, &cli->output);
    listing_fini(&t);
    fflush(stdout);
}

static enum cli_exit get_page(struct cli *cli, const char *instance, int limit, json_t **ret)
{
    char query[32];
    struct buf full;
    AUTOFREE char *base = api_path("/api/public-apps/instances/%s/events", instance);
    snprintf(query, sizeof query, "?limit=%d", limit);
    buf_init(&full, 65536);
    buf_addf(&full, "%s%s", base, query);
    AUTOFREE char *path = buf_take(&full);
    struct api_request request = API_REQUEST("GET", path);
    return api_call(cli, &request, ret);
}

// --- the stream ---

struct tail {
    struct cli *cli;
    struct buf line;
    char id[ID_ROOM], last[ID_ROOM]; // of the event coming in; of the last one printed
    bool is_broken;
};

// HTML Living Standard §9.2.6, as far as Stoa's own streams go: one data line an event.
static void take_line(struct tail *t, str line)
{
    str field = str_cut(&line, ':');
    str value = line.n != 0 && line.p[0] == ' ' ? str_skip(line, 1) : line;
    if (str_eq(field, STR("id"))) {
        snprintf(t->id, sizeof t->id, "%.*s", STR_FMT(value));
    } else if (str_eq(field, STR("data"))) {
        json_auto_t *event = jsonx_parse_theirs(value, SIZE_MAX);
        if (event != NULL)
            print_line(t->cli, event);
        memcpy(t->last, t->id, sizeof t->last);
    }
}

static bool on_body(void *arg, str piece)
{
    struct tail *t = arg;
    while (piece.n != 0) {
        size_t end = str_find(piece, '\n');
        buf_add(&t->line, str_of(piece.p, end != SIZE_MAX ? end : piece.n));
        t->is_broken = t->line.full;
        if (t->is_broken)
            return false;
        if (end == SIZE_MAX)
            return true;
        take_line(t, buf_str(&t->line));
        buf_clear(&t->line);
        piece = str_skip(piece, end + 1);
    }
    return true;
}

static enum cli_exit listen_once(struct tail *t, const char *path)
{
    struct api_reply reply;
    struct api_request request = API_REQUEST("GET", path);
    request.on_body = on_body;
    request.body_arg = t;
    request.last_event_id = t->last[0] != '\0' ? t->last : NULL;
    buf_clear(&t->line);
    api_send(t->cli, &request, &reply);
    if (reply.exit != EXIT_DONE && reply.exit != EXIT_UNAVAILABLE && !output_has_no_reader())
        api_report(t->cli, &reply, NULL, false);
    enum cli_exit exit = t->is_broken ? EXIT_LOCAL : reply.exit;
    api_reply_fini(&reply);
    return exit;
}

// The last few for a context, newest last; the stream goes on from there.
static enum cli_exit begin(struct tail *t, const char *instance)
{
    json_auto_t *page = NULL;
    enum cli_exit exit = get_page(t->cli, instance, FIRST, &page);
    const json_t *events = json_object_get(page, "data");
    snprintf(t->last, sizeof t->last, "0");
    for (size_t i = json_array_size(events); i-- != 0;) {
        const json_t *event = json_array_get(events, i);
        print_line(t->cli, event);
        snprintf(t->last, sizeof t->last, "%.*s", STR_FMT(show_member(event, "streamId")));
    }
    return exit;
}

static enum cli_exit follow(struct cli *cli, const char *instance)
{
    struct tail t = {.cli = cli};
    AUTOFREE char *path = api_path("/api/public-apps/instances/%s/events/stream", instance);
    buf_init(&t.line, LINE_MAX_BYTES);
    cli->stop_wanted = output_has_no_reader; // asked once a second, in a quiet stream too
    enum cli_exit exit = begin(&t, instance);
    for (bool goes_on = exit == EXIT_DONE; goes_on;) {
        exit = listen_once(&t, path);
        if (output_has_no_reader())
            exit = EXIT_LOCAL;
        goes_on = exit == EXIT_DONE || exit == EXIT_UNAVAILABLE;
        if (goes_on)
            nanosleep(&(struct timespec){.tv_sec = AGAIN_S}, NULL);
        if (exit == EXIT_UNAVAILABLE)
            api_forget_server(cli); // it may come back elsewhere
    }
    buf_fini(&t.line);
    return output_has_no_reader() ? EXIT_DONE : exit;
}

enum cli_exit command_events(struct cli *cli)
{
    json_auto_t *page = NULL;
    AUTOFREE char *instance = NULL;
    enum cli_exit exit = api_instance_of(cli, cli->options.args[0], &instance);
    if (exit != EXIT_DONE)
        return exit;
    if (options_has(&cli->options, OPT_FOLLOW))
        return follow(cli, instance);
    exit = get_page(cli, instance, 100, &page);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(page));
    const json_t *events = json_object_get(page, "data");
    if (cli->output.quiet)
        show_ids(events);
    else if (json_array_size(events) == 0)
        cli_note(cli, "There are no events yet.");
    else
        print_events(cli, events);
    return EXIT_DONE;
}
