// Looking at apps and switching between their deployments.
#include "edge/cli/api.h"
#include "edge/cli/escape.h"
#include "edge/cli/show.h"
#include "edge/cli/units.h"
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static enum cli_exit get(struct cli *cli, const char *path, json_t **ret)
{
    struct api_request request = API_REQUEST("GET", path);
    return api_call(cli, &request, ret);
}

static void print_apps(struct cli *cli, const json_t *apps)
{
    struct listing t;
    size_t i;
    json_t *app;
    listing_init(&t, 5);
    for (i = 0; i != 5; ++i)
        listing_add(&t, STYLE_DIM,
                    str_from((const char *[]){"APP", "NAME", "VERSION", "CHANGED", "LINK"}[i]));
    json_array_foreach(apps, i, app)
    {
        listing_add(&t, STYLE_STRONG, show_member(app, "slug"));
        listing_add(&t, STYLE_NONE, show_member(app, "displayName"));
        listing_add(&t, STYLE_NONE, show_member(app, "version"));
        show_add_time(&t, app, "updatedAt");
        listing_add(&t, STYLE_LINK, show_member(app, "publicAppUrl"));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

enum cli_exit command_apps(struct cli *cli)
{
    json_auto_t *answer = NULL;
    enum cli_exit exit = api_list(cli, "/api/plugins", &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    const json_t *apps = json_object_get(answer, "data");
    if (cli->output.quiet)
        show_members(apps, "slug");
    else if (json_array_size(apps) == 0)
        cli_note(cli, "There are no apps yet. `stoa deploy FILE` makes one.");
    else
        print_apps(cli, apps);
    return EXIT_DONE;
}

static enum cli_exit list_deployments(struct cli *cli, const char *app, json_t **ret)
{
    AUTOFREE char *path = api_path("/api/plugins/%s/deployments", app);
    return api_list(cli, path, ret);
}

static bool is_active(const json_t *deployment)
{
    return json_is_true(json_object_get(deployment, "active"));
}

static bool has_pages(const json_t *deployment)
{
    return json_is_true(json_object_get(deployment, "hasPublicApp"));
}

static void print_deployments(struct cli *cli, const json_t *deployments)
{
    struct listing t;
    size_t i;
    json_t *deployment;
    listing_init(&t, 6);
    for (i = 0; i != 6; ++i)
        listing_add(
            &t, STYLE_DIM,
            str_from((const char *[]){" ", "DEPLOYMENT", "DEPLOYED", "FILES", "SIZE", ""}[i]));
    json_array_foreach(deployments, i, deployment)
    {
        char files[24];
        bool active = is_active(deployment);
        snprintf(files, sizeof files, "%lld",
                 (long long)json_integer_value(json_object_get(deployment, "fileCount")));
        listing_add(&t, STYLE_GOOD, active ? STR("*") : STR(" "));
        listing_add(&t, active ? STYLE_STRONG : STYLE_NONE, show_member(deployment, "id"));
        show_add_time(&t, deployment, "createdAt");
        listing_add_right(&t, STYLE_NONE, str_from(files));
        show_add_bytes(&t, deployment, "totalBytes");
        listing_add(&t, STYLE_DIM, has_pages(deployment) ? STR("") : STR("no public files"));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

static enum cli_exit discard_deployment(struct cli *cli, const char *app, const char *id)
{
    char question[200], done[100];
    snprintf(question, sizeof question,
             "Delete the deployment \"%.40s\" of \"%.60s\"? There is no way back to it.", id, app);
    if (!options_has(&cli->options, OPT_YES) && !cli_confirm(cli, question))
        return cli_fail(cli, EXIT_USAGE, "not_confirmed",
                        "Nothing was deleted. Say yes on the terminal, or give --yes.");
    AUTOFREE char *path = api_path("/api/plugins/%s/deployments/%s", app, id);
    snprintf(done, sizeof done, "Deleted deployment %.60s", id);
    return api_delete(cli, path, done);
}

enum cli_exit command_deployments(struct cli *cli)
{
    const struct options *o = &cli->options;
    if (options_has(o, OPT_RM))
        return discard_deployment(cli, o->args[0], o->value[OPT_RM]);
    json_auto_t *answer = NULL;
    enum cli_exit exit = list_deployments(cli, cli->options.args[0], &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (cli->output.quiet)
        show_ids(json_object_get(answer, "data"));
    else
        print_deployments(cli, json_object_get(answer, "data"));
    return EXIT_DONE;
}

// The number in `all`, newest first, of what `at` replaced when it was deployed; of one that does
// not say, the next older. json_array_size when there is none.
static size_t replaced_by(const json_t *all, size_t at)
{
    str id = show_member(json_array_get(all, at), "replaces");
    size_t i = at + 1, n = json_array_size(all);
    while (id.n != 0 && i < n && !str_eq(show_member(json_array_get(all, i), "id"), id))
        ++i;
    return i < n ? i : n;
}

// What visitors saw before the active one was deployed. An app that a folder has made begins with a
// deployment of no files: nobody saw that.
static enum cli_exit find_previous(struct cli *cli, const char *app, char **ret)
{
    json_auto_t *answer = NULL;
    enum cli_exit exit = list_deployments(cli, app, &answer);
    if (exit != EXIT_DONE)
        return exit;
    const json_t *all = json_object_get(answer, "data");
    size_t i = 0, n = json_array_size(all);
    while (i != n && !is_active(json_array_get(all, i)))
        ++i;
    bool had_pages = has_pages(json_array_get(all, i));
    do
        i = i != n ? replaced_by(all, i) : n;
    while (i != n && had_pages && !has_pages(json_array_get(all, i)));
    str id = show_member(json_array_get(all, i), "id");
    if (i == n || id.n == 0)
        return cli_fail(cli, EXIT_CONFLICT, "no_earlier_deployment",
                        "There is no deployment of \"%.60s\" before the present one.", app);
    *ret = str_dup(id);
    return EXIT_DONE;
}

enum cli_exit command_rollback(struct cli *cli)
{
    const char *app = cli->options.args[0];
    AUTOFREE char *id = NULL;
    enum cli_exit exit = EXIT_DONE;
    if (cli->options.n_args == 2)
        id = str_dup(str_from(cli->options.args[1]));
    else
        exit = find_previous(cli, app, &id);
    if (exit != EXIT_DONE)
        return exit;
    json_auto_t *answer = NULL;
    AUTOFREE char *path = api_path("/api/plugins/%s/deployments/%s/activate", app, id);
    struct api_request request = API_REQUEST("POST", path);
    exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    bool has_link = show_member(answer, "publicAppUrl").n != 0;
    if (!cli->output.quiet) {
        fputs(has_link ? "Visitors now see deployment " : "The app is now at deployment ", stdout);
        output_text(&cli->output, stdout, STYLE_STRONG, str_from(id));
        fputc('\n', stdout);
    }
    show_warnings(cli, answer);
    if (has_link)
        show_link(cli, show_member(answer, "publicAppUrl"));
    else
        cli_note(cli, "It has no public files, so it has no link.");
    return EXIT_DONE;
}

// True when a browser was told; xdg-open's own words are not ours to show.
static bool open_browser(const char *link)
{
    extern char **environ;
    char *const argv[] = {"xdg-open", (char *)(uintptr_t)link, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd != 3; ++fd)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd == 0 ? 0 : 1, 0);
    bool started = posix_spawnp(&pid, "xdg-open", &actions, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    return started && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool has_display(void)
{
    return getenv("DISPLAY") != NULL || getenv("WAYLAND_DISPLAY") != NULL;
}

enum cli_exit command_open(struct cli *cli)
{
    json_auto_t *answer = NULL;
    AUTOFREE char *path = api_path("/api/plugins/%s", cli->options.args[0]);
    enum cli_exit exit = get(cli, path, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    str link = show_member(answer, "publicAppUrl");
    if (link.n == 0)
        return cli_fail(cli, EXIT_NOT_FOUND, "no_public_app",
                        "\"%.60s\" has no public files, so it has no link.", cli->options.args[0]);
    show_link(cli, link);
    fflush(stdout);
    // A server that is not ours to trust names the link: nothing but a web page is opened.
    bool is_web = str_starts(link, STR("http://")) || str_starts(link, STR("https://"));
    if (!options_has(&cli->options, OPT_PRINT) && has_display() && is_web &&
        !open_browser(json_string_value(json_object_get(answer, "publicAppUrl"))))
        cli_note(cli, "No browser could be started (xdg-open).");
    return EXIT_DONE;
}

static enum cli_exit delete_wanted(struct cli *cli, const char *app)
{
    char question[200];
    if (options_has(&cli->options, OPT_YES) || options_has(&cli->options, OPT_DRY_RUN))
        return EXIT_DONE;
    snprintf(question, sizeof question, "Delete \"%.60s\" with all its deployments?", app);
    if (cli_confirm(cli, question))
        return EXIT_DONE;
    return cli_fail(cli, EXIT_USAGE, "not_confirmed",
                    "Nothing was deleted. Say yes on the terminal, or give --yes.");
}

static void add_comma(struct buf *to)
{
    if (to->n != 0)
        buf_add(to, STR(", "));
}

// What an app has beside its files: "2 uploads (12 KiB), 1 table, forms.example". free() it.
static char *owned(const json_t *data)
{
    size_t i;
    json_t *domain;
    char size[UNITS_ROOM];
    struct buf words;
    const json_t *uploads = json_object_get(data, "uploads");
    size_t tables = json_array_size(json_object_get(data, "tables"));
    json_int_t files = json_integer_value(json_object_get(uploads, "count")),
               bytes = json_integer_value(json_object_get(uploads, "bytes"));
    buf_init(&words, 65536);
    if (files != 0)
        buf_addf(&words, "%" JSON_INTEGER_FORMAT " upload%s (%s)", files, files == 1 ? "" : "s",
                 units_bytes((uint64_t)bytes, size));
    if (tables != 0) {
        add_comma(&words);
        buf_addf(&words, "%zu table%s", tables, tables == 1 ? "" : "s");
    }
    json_int_t others =
        json_integer_value(json_object_get(json_object_get(data, "otherProjects"), "instances"));
    if (others != 0) {
        add_comma(&words);
        buf_addf(&words, "%" JSON_INTEGER_FORMAT " app%s of other projects", others,
                 others == 1 ? "" : "s");
    }
    json_array_foreach(json_object_get(data, "domains"), i, domain)
    {
        add_comma(&words);
        buf_addf(&words, "%.255s", json_is_string(domain) ? json_string_value(domain) : "");
    }
    return buf_take(&words);
}

// The API's parameters in the command line's words.
static void report_refused(struct cli *cli, const struct api_reply *reply)
{
    str code = show_member(reply->body, "code");
    const json_t *details = json_object_get(reply->body, "details");
    AUTOFREE char *what = owned(json_object_get(details, "data"));
    const char *app = cli->options.args[0];
    if (!cli->output.json && str_eq(code, STR("has_data")))
        cli_fail(
            cli, reply->exit, "has_data",
            "\"%.60s\" has %.200s. Give --keep-data or --delete-data; what is deleted is gone.",
            app, what);
    else if (!cli->output.json && str_eq(code, STR("has_domains")))
        cli_fail(cli, reply->exit, "has_domains",
                 "Visitors know \"%.60s\" by its own domains. It has %.200s. --force takes the "
                 "domains off as well.",
                 app, what);
    else if (!cli->output.json && str_eq(code, STR("has_instances")))
        cli_fail(cli, reply->exit, "has_instances",
                 "Other projects have apps made from \"%.60s\". It has %.200s. --force ends them "
                 "with it.",
                 app, what);
    else
        api_report(cli, reply, NULL, false);
}

static void tell_deleted(struct cli *cli, const json_t *answer)
{
    bool is_dry_run = options_has(&cli->options, OPT_DRY_RUN);
    AUTOFREE char *what = owned(is_dry_run ? json_object_get(answer, "data") : NULL);
    printf("%s \"%s\"", is_dry_run ? "Would delete" : "Deleted", cli->options.args[0]);
    if (what[0] != '\0') {
        fputs(", which has ", stdout);
        escape_print(stdout, str_from(what));
    }
    fputc('\n', stdout);
}

enum cli_exit command_delete(struct cli *cli)
{
    const struct options *o = &cli->options;
    const char *app = o->args[0];
    if (options_has(o, OPT_KEEP_DATA) && options_has(o, OPT_DELETE_DATA))
        return cli_fail(cli, EXIT_USAGE, "usage", "Give either --keep-data or --delete-data.");
    enum cli_exit exit = delete_wanted(cli, app);
    if (exit != EXIT_DONE)
        return exit;
    const char *data = options_has(o, OPT_KEEP_DATA)     ? "&data=keep"
                       : options_has(o, OPT_DELETE_DATA) ? "&data=delete"
                                                         : "";
    struct buf query;
    AUTOFREE char *path = api_path("/api/plugins/%s", app);
    buf_init(&query, 65536);
    buf_addf(&query, "%s%s%s", data, options_has(o, OPT_FORCE) ? "&force=true" : "",
             options_has(o, OPT_DRY_RUN) ? "&dryRun=true" : "");
    AUTOFREE char *options = buf_take(&query);
    if (options[0] == '&')
        options[0] = '?';
    buf_init(&query, 65536);
    buf_addf(&query, "%s%s", path, options);
    AUTOFREE char *target = buf_take(&query);
    struct api_reply reply;
    struct api_request request = API_REQUEST("DELETE", target);
    api_send(cli, &request, &reply);
    exit = reply.exit;
    if (exit != EXIT_DONE)
        report_refused(cli, &reply);
    else if (cli->output.json)
        exit = cli_json(cli, json_incref(reply.body));
    else
        show_warnings(cli, reply.body);
    if (exit == EXIT_DONE && !cli->output.json && !cli->output.quiet)
        tell_deleted(cli, reply.body);
    api_reply_fini(&reply);
    return exit;
}
