// One run of an app's handler: as a visitor would start it, without a token and at the apps' origin;
// or as its owner, by a widget's action or the tool.
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/files.h"
#include "edge/cli/show.h"
#include <stdlib.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 20 };

// --- the input ---

static str without_space(str json)
{
    while (json.n != 0 && memchr(" \t\r\n", json.p[0], 4) != NULL)
        json = str_skip(json, 1);
    return json;
}

// It is sent as it is written: a handler reads it as JavaScript does, and so this is no stricter.
static enum cli_exit read_input(struct cli *cli, const char *arg, struct buf *ret)
{
    struct fault fault;
    enum fail fail = FAIL_NONE;
    if (arg != NULL && strcmp(arg, "-") == 0)
        fail = files_read_fd(STDIN_FILENO, ret, &fault);
    else
        buf_add(ret, arg != NULL ? str_from(arg) : STR("{}"));
    if (fail != FAIL_NONE)
        return cli_fault(cli, &fault);
    if (str_starts(without_space(buf_str(ret)), STR("{")) &&
        jsonx_is_valid(buf_str(ret), JSONX_DEPTH_MAX))
        return EXIT_DONE;
    return cli_fail(cli, EXIT_USAGE, "usage",
                    "The input must be a JSON object, such as '{\"name\":\"Ada\"}'.");
}

// --- what came out ---

static void print_value(const struct cli *cli, const json_t *value)
{
    if (json_is_object(value) || json_is_array(value))
        output_json(&cli->output, value);
    else if (value != NULL && !json_is_null(value)) {
        AUTOFREE char *text = jsonx_dump(value, NULL);
        escape_print(stdout, str_from(text));
        fputc('\n', stdout);
    }
}

static void note(const struct cli *cli, enum style style, const char *word, str text)
{
    fflush(stdout);
    output_text(&cli->output, stderr, style, str_from(word));
    fputc(' ', stderr);
    escape_print(stderr, text);
    fputc('\n', stderr);
}

// A handler's answer that says it is an error is one for a script, too.
static enum cli_exit show_public(struct cli *cli, const json_t *answer)
{
    bool is_fine = json_is_true(json_object_get(answer, "success"));
    if (cli->output.json) {
        output_json(&cli->output, answer);
        return is_fine ? EXIT_DONE : EXIT_REFUSED;
    }
    print_value(cli, json_object_get(answer, "data"));
    if (!is_fine)
        note(cli, STYLE_BAD, "error:", show_member(answer, "message"));
    return is_fine ? EXIT_DONE : EXIT_REFUSED;
}

static void show_events(const struct cli *cli, const json_t *events)
{
    size_t i;
    json_t *event;
    json_array_foreach((json_t *)events, i, event)
    {
        AUTOFREE char *data = jsonx_dump(json_object_get(event, "data"), NULL);
        AUTOFREE char *type = str_dup(show_member(event, "type"));
        struct buf line;
        buf_init(&line, 1 << 20);
        buf_addf(&line, "%s %s", type, data);
        note(cli, STYLE_DIM, "widget:", buf_str(&line));
        buf_fini(&line);
    }
}

static void show_error(const struct cli *cli, const json_t *error)
{
    str stack = show_member(error, "stack");
    note(cli, STYLE_BAD, "error:", show_member(error, "message"));
    while (stack.n != 0)
        note(cli, STYLE_NONE, " ", str_trim(str_cut(&stack, '\n')));
}

static enum cli_exit show_owners(struct cli *cli, const json_t *answer)
{
    bool is_fine = json_is_true(json_object_get(answer, "ok"));
    const json_t *error = json_object_get(answer, "error");
    if (cli->output.json) {
        output_json(&cli->output, answer);
        return is_fine ? EXIT_DONE : EXIT_REFUSED;
    }
    print_value(cli, json_object_get(answer, "result"));
    if (!cli->output.quiet)
        show_events(cli, json_object_get(answer, "events"));
    if (json_is_object(error))
        show_error(cli, error);
    if (!cli->output.quiet)
        note(cli, STYLE_DIM, "run:", show_member(answer, "runId"));
    return is_fine ? EXIT_DONE : EXIT_REFUSED;
}

// --- the run ---

static enum cli_exit run_owners(struct cli *cli, const char *path, str input)
{
    json_auto_t *answer = NULL;
    struct api_request request = API_REQUEST("POST", path);
    request.content_type = "application/json";
    request.body = input;
    enum cli_exit exit = api_call(cli, &request, &answer);
    return exit == EXIT_DONE ? show_owners(cli, answer) : exit;
}

// "http://a:1" of "http://a:1/apps/x/y/".
static str origin_of(str url)
{
    size_t scheme = str_find_str(url, STR("://"));
    if (scheme == SIZE_MAX)
        return url;
    size_t path = str_find(str_skip(url, scheme + 3), '/');
    return path == SIZE_MAX ? url : str_of(url.p, scheme + 3 + path);
}

// Visitors are not told why a handler failed; its owner may look.
static void note_runs(const struct cli *cli, const struct api_reply *reply)
{
    AUTOFREE char *code = str_dup(show_member(reply->body, "code"));
    if (strncmp(code, "handler_", 8) == 0)
        cli_note(cli, "Why: `stoa runs %.80s --outcome %.40s`, then `--id RUN` with the newest.",
                 cli->options.args[0], code);
}

static enum cli_exit run_public(struct cli *cli, const json_t *instance, const char *action,
                                str input)
{
    struct api_reply reply;
    AUTOFREE char *slug = str_dup(show_member(instance, "slug"));
    AUTOFREE char *origin = str_dup(origin_of(show_member(instance, "url")));
    AUTOFREE char *path = api_path("/api/public-actions/%s/%s", slug, action);
    struct api_request request = API_REQUEST("POST", path);
    request.origin = origin;
    request.content_type = "application/json";
    request.body = input;
    api_send(cli, &request, &reply);
    if (str_starts(show_member(reply.body, "code"), STR("handler_")))
        reply.exit = EXIT_REFUSED; // the server is there; it is the handler that failed
    enum cli_exit exit = reply.exit == EXIT_DONE ? show_public(cli, reply.body)
                                                 : api_report(cli, &reply, NULL, false);
    note_runs(cli, &reply);
    api_reply_fini(&reply);
    return exit;
}

static enum cli_exit run(struct cli *cli, const json_t *instance, str input)
{
    const struct options *o = &cli->options;
    const char *action = o->args[1];
    AUTOFREE char *plugin = str_dup(show_member(instance, "pluginId"));
    AUTOFREE char *id = str_dup(show_member(instance, "id"));
    if (options_has(o, OPT_WIDGET)) {
        AUTOFREE char *path =
            api_path("/api/plugins/%s/instances/%s/widget-actions/%s", plugin, id, action);
        return run_owners(cli, path, input);
    }
    if (!options_has(o, OPT_TOOL))
        return run_public(cli, instance, action, input);
    AUTOFREE char *path = api_path("/api/plugins/%s/instances/%s/tool", plugin, id);
    struct buf named; // an action that the input names stands behind ours, and the last one counts
    buf_init(&named, INPUT_MAX + 1024);
    buf_add(&named, STR("{\"action\":"));
    jsonx_add_string(&named, str_from(action));
    str inside = jsonx_inside(input), name, value;
    if (jsonx_next(&inside, &name, &value))
        buf_add(&named, STR(","));
    buf_add(&named, str_skip(without_space(input), 1));
    enum cli_exit exit = run_owners(cli, path, buf_str(&named));
    buf_fini(&named);
    return exit;
}

enum cli_exit command_invoke(struct cli *cli)
{
    const struct options *o = &cli->options;
    AUTOFREE char *id = NULL;
    json_auto_t *instance = NULL;
    if (options_has(o, OPT_WIDGET) && options_has(o, OPT_TOOL))
        return cli_fail(cli, EXIT_USAGE, "usage", "Give either --widget or --tool.");
    struct buf input;
    buf_init(&input, INPUT_MAX);
    cli->is_patient = true;
    enum cli_exit exit = read_input(cli, o->n_args > 2 ? o->args[2] : NULL, &input);
    if (exit == EXIT_DONE)
        exit = api_instance_of(cli, o->args[0], &id);
    if (exit == EXIT_DONE) {
        AUTOFREE char *path = api_path("/api/public-apps/instances/%s", id);
        struct api_request request = API_REQUEST("GET", path);
        exit = api_call(cli, &request, &instance);
    }
    if (exit == EXIT_DONE)
        exit = run(cli, instance, buf_str(&input));
    buf_fini(&input);
    return exit;
}
