// An answer that is not Stoa's (a proxy's page, another program on that port) is told apart from a
// refusal by its form.
#include "edge/cli/api.h"
#include "edge/base/jsonx.h"
#include <stdlib.h>

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void add_segment(struct buf *to, const char *segment)
{
    // "." and ".." would be taken for steps.
    bool dots = strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0;
    for (; *segment != '\0'; ++segment) {
        if (is_unreserved(*segment) && !dots)
            buf_addc(to, *segment);
        else
            buf_addf(to, "%%%02X", (unsigned char)*segment);
    }
}

char *api_path(const char *format, ...)
{
    struct buf path;
    va_list ap;
    buf_init(&path, SIZE_MAX / 2);
    va_start(ap, format);
    for (; *format != '\0'; ++format) {
        if (format[0] == '%' && format[1] == 's') {
            add_segment(&path, va_arg(ap, const char *));
            ++format;
        } else {
            buf_addc(&path, *format);
        }
    }
    va_end(ap);
    return buf_take(&path);
}

void api_forget_server(struct cli *cli)
{
    target_fini(&cli->target);
    cli->has_target = false;
}

void api_reply_fini(struct api_reply *reply)
{
    json_decref(reply->body);
    reply->body = NULL;
}

static json_t *error_object(const char *code, const char *message)
{
    json_t *text = jsonx_string(str_from(message));
    return json_pack("{s:b, s:s, s:o}", "error", 1, "code", code, "message", text);
}

static void fail_locally(struct api_reply *reply, const struct fault *fault)
{
    reply->exit = cli_exit_of(fault->fail);
    reply->body = error_object(fault->code, fault->public_text);
}

static enum cli_exit exit_of_status(unsigned status)
{
    switch (status) {
    case 401:
    case 403:
        return EXIT_AUTH;
    case 404:
        return EXIT_NOT_FOUND;
    case 409:
        return EXIT_CONFLICT;
    case 429:
        return EXIT_UNAVAILABLE;
    case 507:
    case 508:
        return EXIT_REFUSED;
    default:
        return status / 100 == 4 ? EXIT_REFUSED : EXIT_UNAVAILABLE;
    }
}

static bool is_error_object(const json_t *body)
{
    return json_is_true(json_object_get(body, "error")) &&
           json_is_string(json_object_get(body, "code")) &&
           json_is_string(json_object_get(body, "message"));
}

// The reply is no answer of the API's.
static void not_stoa(const struct cli *cli, const struct http_response *response,
                     struct api_reply *reply)
{
    char message[900];
    const char *origin = cli->target.origin.text;
    if (response->status / 100 == 3)
        snprintf(message, sizeof message,
                 "%s sends us on to %.300s: name that server instead, if you trust it.", origin,
                 response->location);
    else
        snprintf(message, sizeof message,
                 "%s answers %u, but not as a Stoa console does. Is it the console's origin?",
                 origin, response->status);
    reply->exit = EXIT_UNAVAILABLE;
    reply->body = error_object("not_a_stoa_server", message);
}

static void take_answer(const struct cli *cli, const struct api_request *request,
                        const struct http_response *response, struct api_reply *reply)
{
    reply->status = response->status;
    reply->bytes = response->body_length;
    reply->retry_after_s = response->retry_after_s;
    bool ok = response->status / 100 == 2;
    if (ok && (request->response_fd >= 0 || request->on_body != NULL)) {
        reply->exit = EXIT_DONE;
        return;
    }
    reply->body =
        jsonx_parse_theirs(buf_str(&response->body), SIZE_MAX); // may quote a visitor's text
    reply->exit = ok ? EXIT_DONE : exit_of_status(response->status);
    // What the command line says went into the query as it is.
    if (str_eq(jsonx_str(reply->body, "code"), STR("invalid_parameter")))
        reply->exit = EXIT_USAGE;
    if (ok ? reply->body == NULL : !is_error_object(reply->body)) {
        json_decref(reply->body);
        not_stoa(cli, response, reply);
    }
}

struct running {
    struct cli *cli;
    struct progress progress;
};

static bool on_progress(void *arg, uint64_t sent, uint64_t send_total, uint64_t received,
                        uint64_t receive_total)
{
    struct running *running = arg;
    if (send_total != 0)
        progress_show(&running->progress, sent, send_total);
    else if (received != 0)
        progress_show(&running->progress, received, receive_total);
    return running->cli->stop_wanted != NULL && running->cli->stop_wanted();
}

static void make_client(struct cli *cli)
{
    // A deploy of the largest archive keeps the server silent while it compresses.
    struct http_client_options options = {.user_agent = "stoa/" STOA_VERSION,
                                          .ca_file = cli->options.value[OPT_CA],
                                          .stall_timeout_s = cli->is_patient ? 660 : 180};
    if (cli->http == NULL)
        cli->http = http_client_create(&options);
}

static enum fail find_server(struct cli *cli, struct fault *fault)
{
    if (cli->has_target)
        return FAIL_NONE;
    enum fail fail = target_find(&cli->options, &cli->env, true, &cli->target, fault);
    if (fail != FAIL_NONE)
        target_fini(&cli->target);
    cli->has_target = fail == FAIL_NONE;
    return fail;
}

static enum fail exchange(struct cli *cli, const struct api_request *request,
                          struct http_response *response, struct fault *fault)
{
    size_t n = 0;
    AUTOFREE char *json = request->json != NULL ? jsonx_dump(request->json, &n) : NULL;
    struct buf url;
    struct running running = {.cli = cli};
    buf_init(&url, 65536);
    bool is_console = request->origin == NULL;
    buf_addf(&url, "%s%s", is_console ? cli->target.origin.text : request->origin, request->path);
    AUTOFREE char *text = buf_take(&url);
    struct http_request http = HTTP_REQUEST(request->method, text);
    http.host = is_console && cli->target.host[0] != '\0' ? cli->target.host : NULL;
    http.token = is_console ? cli->target.token : NULL;
    http.content_type = json != NULL ? "application/json" : request->content_type;
    http.accept = request->response_fd >= 0  ? "*/*"
                  : request->on_body != NULL ? "text/event-stream"
                                             : NULL;
    http.on_body = request->on_body;
    http.body_arg = request->body_arg;
    http.last_event_id = request->last_event_id;
    http.body = json != NULL ? str_of(json, n) : request->body;
    http.body_fd = request->body_fd;
    http.body_length = request->body_length;
    http.response_fd = request->response_fd;
    http.on_progress = on_progress;
    http.progress_arg = &running;
    progress_start(&running.progress, &cli->output, request->label != NULL ? request->label : "");
    enum fail fail = http_client_do(cli->http, &http, response, fault);
    progress_end(&running.progress);
    return fail;
}

void api_send(struct cli *cli, const struct api_request *request, struct api_reply *ret)
{
    struct http_response response;
    struct fault fault;
    *ret = (struct api_reply){.exit = EXIT_DONE};
    if (find_server(cli, &fault) != FAIL_NONE) {
        fail_locally(ret, &fault);
        return;
    }
    make_client(cli);
    enum fail fail = exchange(cli, request, &response, &fault);
    if (fail == FAIL_NONE) {
        take_answer(cli, request, &response, ret);
    } else {
        char reason[sizeof fault.public_text];
        memcpy(reason, fault.public_text, sizeof reason);
        if (fail == FAIL_UPSTREAM || fail == FAIL_TIMEOUT)
            fault_set(&fault, fail, fault.code, "%.120s (named by %s): %.180s",
                      cli->target.origin.text, cli->target.source, reason);
        fail_locally(ret, &fault);
    }
    http_response_fini(&response);
}

static const char *member(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "";
}

// Where a problem is: the file itself, or the file inside the folder that its section names.
static void print_place(const json_t *problem, const char *file, bool is_folder)
{
    str section = str_from(member(problem, "section"));
    str public_file = STR("public-file:");
    json_int_t line = json_integer_value(json_object_get(problem, "line"));
    json_int_t column = json_integer_value(json_object_get(problem, "column"));
    bool names_file = is_folder && section.n != 0;
    escape_print(stderr, str_from(file));
    if (names_file) {
        if (str_eq(section, STR("public-config")))
            section = STR("public-config.yaml");
        if (str_starts(section, public_file))
            section = str_skip(section, public_file.n);
        fputc('/', stderr);
        escape_print(stderr, section);
    }
    if (line > 0)
        fprintf(stderr, ":%lld", (long long)line);
    if (line > 0 && column > 0)
        fprintf(stderr, ":%lld", (long long)column);
    fputs(": ", stderr);
    if (line <= 0 && !names_file && section.n != 0) {
        escape_print(stderr, section);
        fputs(": ", stderr);
    }
}

static void print_problems(const json_t *problems, const char *file, bool is_folder)
{
    size_t i;
    json_t *problem;
    json_array_foreach(problems, i, problem)
    {
        print_place(problem, file, is_folder);
        escape_print(stderr, str_from(member(problem, "message")));
        fputc('\n', stderr);
    }
}

// Whether the app that the command line names first is the one that is not there.
static bool misses_app(const struct cli *cli, const json_t *error)
{
    return strcmp(member(error, "code"), "plugin_not_found") == 0 && cli->command != NULL &&
           str_starts(str_from(cli->command->args), STR("APP")) && cli->options.n_args != 0;
}

// The server's own sentence, but for what this program can say better: it knows what was typed.
static void print_message(const struct cli *cli, const struct api_reply *reply)
{
    const char *code = member(reply->body, "code"), *origin = cli->target.origin.text;
    if (misses_app(cli, reply->body)) {
        fputs("There is no app \"", stderr);
        escape_print(stderr, str_from(cli->options.args[0]));
        fputs("\" in this project. `stoa apps` lists what there is.", stderr);
    } else if (reply->status == 401 && strcmp(code, "unauthorized") == 0) {
        fprintf(stderr,
                "The server refused this token: it is mistyped, has ended, or is another server's. "
                "`stoa login %s` keeps another one; where the server runs, `stoa token create` "
                "makes it.",
                origin);
    } else {
        escape_print(stderr, str_from(member(reply->body, "message")));
    }
    // Every API of Stoa's says what it did not find; this is another of its addresses.
    if (strcmp(code, "not_found") == 0)
        fprintf(stderr, " Is %s the console's origin?", origin);
}

static void print_detail(const struct cli *cli, const char *what, const char *why)
{
    fputs("  ", stderr);
    output_text(&cli->output, stderr, STYLE_STRONG, str_from(what));
    fputs(why != NULL ? ": " : "", stderr);
    escape_print(stderr, str_from(why != NULL ? why : ""));
    fputc('\n', stderr);
}

// What was refused, field by field, and names that are none: each a line below the sentence.
static void print_details(const struct cli *cli, const json_t *details)
{
    const char *field;
    size_t i;
    json_t *why, *id;
    json_object_foreach(json_object_get(details, "fields"), field, why)
    {
        if (json_is_string(why))
            print_detail(cli, field, json_string_value(why));
    }
    json_array_foreach(json_object_get(details, "ids"), i, id)
    {
        if (json_is_string(id))
            print_detail(cli, json_string_value(id), NULL);
    }
}

enum cli_exit api_report(struct cli *cli, const struct api_reply *reply, const char *file,
                         bool is_folder)
{
    if (cli->is_waiting && reply->exit == EXIT_UNAVAILABLE)
        return reply->exit;
    if (cli->output.json) {
        output_json(&cli->output, reply->body);
        return reply->exit;
    }
    json_t *details = json_object_get(reply->body, "details");
    if (file != NULL)
        print_problems(json_object_get(details, "problems"), file, is_folder);
    output_text(&cli->output, stderr, STYLE_BAD, STR("stoa: "));
    print_message(cli, reply);
    if (reply->status >= 500 && member(reply->body, "requestId")[0] != '\0') {
        fputs(" (request ", stderr);
        escape_print(stderr, str_from(member(reply->body, "requestId")));
        fputc(')', stderr);
    }
    fputc('\n', stderr);
    print_details(cli, details);
    return reply->exit;
}

enum cli_exit api_call(struct cli *cli, const struct api_request *request, json_t **ret)
{
    struct api_reply reply;
    api_send(cli, request, &reply);
    if (reply.exit == EXIT_DONE) {
        *ret = reply.body;
        return EXIT_DONE;
    }
    api_report(cli, &reply, NULL, false);
    api_reply_fini(&reply);
    return reply.exit;
}

enum cli_exit api_delete(struct cli *cli, const char *path, const char *done)
{
    json_auto_t *answer = NULL;
    struct api_request request = API_REQUEST("DELETE", path);
    enum cli_exit exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (!cli->output.quiet)
        puts(done);
    return EXIT_DONE;
}

// `app` is no app's name: an instance's, or nobody's.
static enum cli_exit find_instance(struct cli *cli, const char *app, char **ret)
{
    struct api_reply reply;
    AUTOFREE char *path = api_path("/api/public-apps/instances/%s", app);
    struct api_request request = API_REQUEST("GET", path);
    api_send(cli, &request, &reply);
    enum cli_exit exit = reply.exit;
    if (exit == EXIT_DONE)
        *ret = str_dup(str_from(member(reply.body, "id")));
    else if (strcmp(member(reply.body, "code"), "instance_not_found") == 0)
        cli_fail(
            cli, exit, "app_not_found",
            "There is no app \"%.80s\" in this project, nor an instance of that name. `stoa apps` "
            "lists what there is.",
            app);
    else
        api_report(cli, &reply, NULL, false);
    api_reply_fini(&reply);
    return exit;
}

enum cli_exit api_instance_of(struct cli *cli, const char *app, char **ret)
{
    struct api_reply reply;
    AUTOFREE char *path = api_path("/api/plugins/%s", app);
    struct api_request request = API_REQUEST("GET", path);
    api_send(cli, &request, &reply);
    enum cli_exit exit = reply.exit;
    const char *id = member(json_object_get(reply.body, "instance"), "id");
    bool is_unknown = exit == EXIT_NOT_FOUND || (exit == EXIT_DONE && id[0] == '\0');
    if (exit == EXIT_DONE && !is_unknown)
        *ret = str_dup(str_from(id));
    else if (!is_unknown)
        api_report(cli, &reply, NULL, false);
    api_reply_fini(&reply);
    return is_unknown ? find_instance(cli, app, ret) : exit;
}

enum cli_exit api_list(struct cli *cli, const char *path, json_t **ret)
{
    enum { PAGES_MAX = 1000 }; // a cursor that leads in a circle ends there
    json_t *all = json_array();
    AUTOFREE char *next = NULL;
    for (int page = 0; page != PAGES_MAX; ++page) {
        json_auto_t *answer = NULL;
        AUTOFREE char *query =
            next != NULL ? api_path("?limit=100&cursor=%s", next) : str_dup(STR("?limit=100"));
        struct buf full;
        buf_init(&full, 65536);
        buf_addf(&full, "%s%s", path, query);
        AUTOFREE char *target = buf_take(&full);
        struct api_request request = API_REQUEST("GET", target);
        enum cli_exit exit = api_call(cli, &request, &answer);
        if (exit != EXIT_DONE) {
            json_decref(all);
            return exit;
        }
        json_array_extend(all, json_object_get(answer, "data"));
        const char *cursor = json_string_value(json_object_get(answer, "next"));
        free(next);
        next = cursor != NULL ? str_dup(str_from(cursor)) : NULL;
        if (next == NULL)
            break;
    }
    *ret = json_pack("{s:o, s:n, s:n}", "data", all, "next", "previous");
    return EXIT_DONE;
}
