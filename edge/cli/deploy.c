// `stoa deploy`: a .pie file is imported; an archive or a folder replaces an app's public files.
// The API makes no app from an archive alone, so for one that does not exist yet the smallest .pie
// is imported first, and taken back when the archive is then refused.
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/cli/api.h"
#include "edge/cli/show.h"
#include "edge/cli/source.h"
#include "edge/cli/watch.h"
#include <stdlib.h>
#include <time.h>

// One deploy as far as it has come.
struct deploy {
    struct cli *cli;
    struct source source;
    const char *slug; // of an archive's or folder's app, or the one --plugin names
    bool is_dry_run;
};

static enum cli_exit report_problems(struct cli *cli, const struct fault *fault, const char *folder,
                                     const struct problems *problems)
{
    struct api_reply reply = {.exit = cli_exit_of(fault->fail)};
    reply.body = json_pack("{s:b, s:s, s:s, s:{s:o}}", "error", 1, "code", fault->code, "message",
                           fault->public_text, "details", "problems", problems_json(problems));
    enum cli_exit exit = api_report(cli, &reply, folder, true);
    api_reply_fini(&reply);
    return exit;
}

static enum cli_exit show_reply(struct deploy *d, const struct api_reply *reply)
{
    if (reply->exit != EXIT_DONE)
        return api_report(d->cli, reply, d->source.path, d->source.kind == SOURCE_FOLDER);
    if (d->cli->output.json)
        output_json(&d->cli->output, reply->body);
    else
        show_deployed(d->cli, reply->body, d->is_dry_run);
    return EXIT_DONE;
}

static enum cli_exit send_and_show(struct deploy *d, const struct api_request *request)
{
    struct api_reply reply;
    api_send(d->cli, request, &reply);
    enum cli_exit exit = show_reply(d, &reply);
    api_reply_fini(&reply);
    return exit;
}

static struct api_request pie_request(const struct deploy *d, const char *method, const char *path)
{
    struct api_request request = API_REQUEST(method, path);
    request.content_type = "text/plain; charset=utf-8";
    request.body_fd = d->source.fd;
    request.body_length = d->source.bytes;
    request.label = "Uploading";
    return request;
}

static enum cli_exit import_pie(struct deploy *d)
{
    struct api_request request = pie_request(
        d, "POST", d->is_dry_run ? "/api/plugins/import?dryRun=true" : "/api/plugins/import");
    return send_and_show(d, &request);
}

// The app that --plugin names is not there yet: the file makes it, if it bears that name. Only the
// server reads the file, so it is asked for the name.
static enum cli_exit import_named(struct deploy *d)
{
    struct api_reply reply;
    struct api_request request = pie_request(d, "POST", "/api/plugins/import?dryRun=true");
    api_send(d->cli, &request, &reply);
    str slug = show_member(json_object_get(reply.body, "plugin"), "slug");
    enum cli_exit exit = reply.exit;
    if (exit != EXIT_DONE || (d->is_dry_run && str_eq(slug, str_from(d->slug))))
        exit = show_reply(d, &reply);
    else if (str_eq(slug, str_from(d->slug)))
        exit = import_pie(d);
    else
        exit = cli_fail(d->cli, EXIT_CONFLICT, "slug_mismatch",
                        "The file's name is \"%.60s\", but --plugin says \"%.60s\".",
                        slug.p != NULL ? slug.p : "", d->slug);
    api_reply_fini(&reply);
    return exit;
}

static enum cli_exit deploy_pie(struct deploy *d)
{
    struct api_reply reply;
    d->slug = d->cli->options.value[OPT_PLUGIN];
    if (d->slug == NULL)
        return import_pie(d);
    AUTOFREE char *path = d->is_dry_run ? api_path("/api/plugins/%s?dryRun=true", d->slug)
                                        : api_path("/api/plugins/%s", d->slug);
    struct api_request request = pie_request(d, "PUT", path);
    api_send(d->cli, &request, &reply);
    enum cli_exit exit = reply.exit;
    if (exit == EXIT_NOT_FOUND && str_eq(show_member(reply.body, "code"), STR("plugin_not_found")))
        exit = import_named(d);
    else
        exit = show_reply(d, &reply);
    api_reply_fini(&reply);
    return exit;
}

static enum cli_exit deploy_archive(struct deploy *d)
{
    AUTOFREE char *path = d->is_dry_run
                              ? api_path("/api/plugins/%s/deployments?dryRun=true", d->slug)
                              : api_path("/api/plugins/%s/deployments", d->slug);
    struct api_request request = API_REQUEST("POST", path);
    request.content_type = "application/octet-stream";
    request.body_fd = d->source.fd;
    request.body_length = d->source.bytes;
    request.label = "Uploading";
    return send_and_show(d, &request);
}

static const char *display_name(const struct deploy *d)
{
    return d->source.display_name != NULL ? d->source.display_name : d->slug;
}

static enum cli_exit import_minimal(struct deploy *d, json_t **ret)
{
    AUTOFREE char *name = options_has(&d->cli->options, OPT_PLUGIN)
                              ? source_display_name(d->slug)
                              : str_dup(str_from(display_name(d)));
    AUTOFREE char *pie = source_minimal_pie(d->slug, name);
    struct api_request request = API_REQUEST(
        "POST", d->is_dry_run ? "/api/plugins/import?dryRun=true" : "/api/plugins/import");
    request.content_type = "text/plain; charset=utf-8";
    request.body = str_from(pie);
    return api_call(d->cli, &request, ret);
}

static void take_back(struct deploy *d)
{
    AUTOFREE char *path = api_path("/api/plugins/%s?data=delete", d->slug);
    struct api_request request = API_REQUEST("DELETE", path);
    struct api_reply reply;
    api_send(d->cli, &request, &reply);
    if (reply.exit != EXIT_DONE)
        cli_note(d->cli, "The app \"%s\" was made, but is empty: `stoa delete %s` removes it.",
                 d->slug, d->slug);
    api_reply_fini(&reply);
}

// The folder's files as a deploy would publish them: public-config.yaml is read, not served.
static void list_files(const struct pack *pack, json_t *deployment)
{
    uint64_t bytes = 0;
    json_t *changes = json_array();
    for (size_t i = 0; i != pack->count; ++i) {
        const struct pack_file *file = &pack->files[i];
        if (strcmp(file->path, "public-config.yaml") == 0)
            continue;
        bytes += file->bytes;
        json_array_append_new(changes, json_pack("{s:s, s:s, s:I}", "path", file->path, "change",
                                                 "added", "bytes", (json_int_t)file->bytes));
    }
    json_object_set_new(deployment, "fileCount",
                        json_integer((json_int_t)json_array_size(changes)));
    json_object_set_new(deployment, "totalBytes", json_integer((json_int_t)bytes));
    json_object_set_new(deployment, "changes", changes);
}

// The server cannot try an archive on an app that is not there: it says what it thinks of the app,
// and the files are listed from here. Its warnings are about the .pie of ours that nobody sees.
static enum cli_exit show_new_app(struct deploy *d, json_t *answer)
{
    json_t *deployment = json_object_get(answer, "deployment");
    if (d->source.kind == SOURCE_FOLDER && json_is_object(deployment)) {
        list_files(&d->source.pack, deployment);
    } else { // how many an archive has, nobody has counted
        json_object_set_new(deployment, "fileCount", json_null());
        json_object_set_new(deployment, "totalBytes", json_null());
    }
    json_object_set_new(
        answer, "warnings",
        json_pack("[{s:s}]", "message",
                  "the server has not checked the files: it can when the app is there, and may "
                  "still refuse them."));
    if (d->cli->output.json)
        return cli_json(d->cli, json_incref(answer));
    cli_note(d->cli, "The app \"%s\" does not exist yet: it would be made.", d->slug);
    show_deployed(d->cli, answer, true);
    return EXIT_DONE;
}

static enum cli_exit deploy_new_app(struct deploy *d)
{
    json_auto_t *answer = NULL;
    enum cli_exit exit = import_minimal(d, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (d->is_dry_run)
        return show_new_app(d, answer);
    exit = deploy_archive(d);
    if (exit == EXIT_DONE)
        cli_note(d->cli, "Made the app \"%s\".", d->slug);
    else
        take_back(d);
    return exit;
}

// The app of an archive or folder: by --plugin, or by the folder's name.
static enum cli_exit choose_app(struct deploy *d)
{
    struct cli *cli = d->cli;
    const char *given = cli->options.value[OPT_PLUGIN];
    d->slug = given != NULL ? given : d->source.slug;
    if (given != NULL)
        return EXIT_DONE;
    if (d->source.kind == SOURCE_ARCHIVE)
        return cli_fail(cli, EXIT_USAGE, "usage",
                        "Which app is this archive for? Say --plugin SLUG; one that does not exist "
                        "yet is made.");
    if (d->slug[0] == '\0')
        return cli_fail(cli, EXIT_USAGE, "usage",
                        "The folder's name gives the app no name: say --plugin SLUG.");
    return EXIT_DONE;
}

static enum cli_exit deploy_files(struct deploy *d)
{
    struct api_reply reply;
    enum cli_exit exit = choose_app(d);
    if (exit != EXIT_DONE)
        return exit;
    AUTOFREE char *path = api_path("/api/plugins/%s", d->slug);
    struct api_request request = API_REQUEST("GET", path);
    api_send(d->cli, &request, &reply);
    exit = reply.exit;
    if (exit != EXIT_DONE && exit != EXIT_NOT_FOUND)
        api_report(d->cli, &reply, NULL, false);
    api_reply_fini(&reply);
    if (exit == EXIT_DONE)
        return deploy_archive(d);
    if (exit != EXIT_NOT_FOUND)
        return exit;
    if (source_is_slug(d->slug))
        return deploy_new_app(d);
    return cli_fail(d->cli, EXIT_NOT_FOUND, "plugin_not_found",
                    "There is no app \"%.60s\", and none can be made of that name: lower-case "
                    "letters, digits and dashes, at most %d.",
                    d->slug, SOURCE_SLUG_MAX);
}

static void note_left_out(const struct deploy *d)
{
    const struct pack *pack = &d->source.pack;
    struct buf names;
    if (pack->left_out_count == 0)
        return;
    buf_init(&names, 512);
    for (size_t i = 0; i != pack->left_out_count && i != 5; ++i)
        buf_addf(&names, "%s%.80s", i != 0 ? ", " : "", pack->left_out[i]);
    AUTOFREE char *text = buf_take(&names);
    cli_note(d->cli, "Left out: %s%s.", text, pack->left_out_count > 5 ? " and others" : "");
}

static enum cli_exit deploy_once(struct cli *cli, const char *path)
{
    struct deploy d = {.cli = cli, .is_dry_run = options_has(&cli->options, OPT_DRY_RUN)};
    struct problems problems;
    struct fault fault;
    enum cli_exit exit;
    problems_init(&problems);
    enum fail fail = source_open(path, &d.source, &problems, &fault);
    if (fail != FAIL_NONE) {
        exit = report_problems(cli, &fault, d.source.path, &problems);
    } else if (d.source.kind == SOURCE_PIE) {
        exit = deploy_pie(&d);
    } else {
        note_left_out(&d);
        exit = deploy_files(&d);
    }
    source_fini(&d.source);
    problems_fini(&problems);
    return exit;
}

static void print_clock(const struct cli *cli)
{
    char text[16];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(text, sizeof text, "%H:%M:%S", &tm);
    cli_note(cli, "%s", text);
}

// Deploys, and again when the server was not there: it may be starting anew.
static enum cli_exit deploy_until_reached(struct cli *cli, struct watch *w, const char *path)
{
    int pause_ms = 500;
    for (;;) {
        watch_arm(w);
        api_forget_server(cli);
        enum cli_exit exit = deploy_once(cli, path);
        bool first = !cli->is_waiting;
        cli->is_waiting = exit == EXIT_UNAVAILABLE;
        if (exit != EXIT_UNAVAILABLE || watch_stop_wanted())
            return exit;
        if (first)
            cli_note(cli, "Trying again until it answers.");
        if (watch_wait(w, pause_ms) == WATCH_STOPPED)
            return exit;
        pause_ms = pause_ms < 4000 ? pause_ms * 2 : 4000;
    }
}

static enum cli_exit deploy_and_watch(struct cli *cli, const char *path)
{
    struct watch *w;
    struct fault fault;
    if (watch_create(path, &w, &fault) != FAIL_NONE)
        return cli_fault(cli, &fault);
    cli->stop_wanted = watch_stop_wanted;
    cli_note(cli, "Watching %s. Ctrl-C ends it.", path);
    enum cli_exit exit = deploy_until_reached(cli, w, path);
    // What no saving will mend ends it; a file with problems is about to be mended.
    while (exit != EXIT_USAGE && exit != EXIT_AUTH && !output_has_no_reader() &&
           watch_wait(w, -1) != WATCH_STOPPED) {
        print_clock(cli);
        exit = deploy_until_reached(cli, w, path);
    }
    watch_destroy(w);
    return watch_stop_wanted() ? EXIT_DONE : exit;
}

enum cli_exit command_deploy(struct cli *cli)
{
    const char *path = cli->options.args[0];
    if (!options_has(&cli->options, OPT_WATCH))
        return deploy_once(cli, path);
    if (options_has(&cli->options, OPT_DRY_RUN))
        return cli_fail(cli, EXIT_USAGE, "usage", "Give either --watch or --dry-run.");
    return deploy_and_watch(cli, path);
}
