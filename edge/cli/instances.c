// Published copies of an app.
#include "edge/cli/api.h"
#include "edge/cli/show.h"

static enum cli_exit list(struct cli *cli, const char *path)
{
    json_auto_t *answer = NULL;
    struct listing t;
    size_t i;
    json_t *instance;
    enum cli_exit exit = api_list(cli, path, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (cli->output.quiet) {
        show_ids(json_object_get(answer, "data"));
        return EXIT_DONE;
    }
    listing_init(&t, 4);
    for (i = 0; i != 4; ++i)
        listing_add(&t, STYLE_DIM, str_from((const char *[]){"INSTANCE", "ID", "MADE", "LINK"}[i]));
    json_array_foreach(json_object_get(answer, "data"), i, instance)
    {
        listing_add(&t, STYLE_STRONG, show_member(instance, "slug"));
        listing_add(&t, STYLE_NONE, show_member(instance, "id"));
        show_add_time(&t, instance, "createdAt");
        listing_add(&t, STYLE_LINK, show_member(instance, "url"));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
    return EXIT_DONE;
}

static enum cli_exit make(struct cli *cli, const char *path)
{
    json_auto_t *answer = NULL;
    struct api_request request = API_REQUEST("POST", path);
    enum cli_exit exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (!cli->output.quiet) {
        fputs("Made instance ", stdout);
        output_text(&cli->output, stdout, STYLE_STRONG, show_member(answer, "slug"));
        fputc('\n', stdout);
    }
    show_link(cli, show_member(answer, "url"));
    return EXIT_DONE;
}

static enum cli_exit discard(struct cli *cli, const char *app, const char *id)
{
    char question[200], done[140];
    snprintf(question, sizeof question,
             "Delete the instance \"%.80s\"? Its link is never used "
             "again.",
             id);
    if (!options_has(&cli->options, OPT_YES) && !cli_confirm(cli, question))
        return cli_fail(cli, EXIT_USAGE, "not_confirmed",
                        "Nothing was deleted. Say yes on the terminal, or give --yes.");
    AUTOFREE char *path = api_path("/api/plugins/%s/instances/%s", app, id);
    snprintf(done, sizeof done, "Deleted instance \"%.100s\"", id);
    return api_delete(cli, path, done);
}

enum cli_exit command_instances(struct cli *cli)
{
    const struct options *o = &cli->options;
    AUTOFREE char *path = api_path("/api/plugins/%s/instances", o->args[0]);
    if (options_has(o, OPT_NEW) && options_has(o, OPT_RM))
        return cli_fail(cli, EXIT_USAGE, "usage", "Give either --new or --rm ID.");
    if (options_has(o, OPT_NEW))
        return make(cli, path);
    if (options_has(o, OPT_RM))
        return discard(cli, o->args[0], o->value[OPT_RM]);
    return list(cli, path);
}
