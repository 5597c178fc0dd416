// API tokens and projects.
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/show.h"
#include "edge/cli/units.h"

// A span from now, or a time as it is; empty when it is neither.
static bool expiry(const char *text, char to[static CLOCK_RFC3339_ROOM])
{
    int64_t ms;
    if (units_parse_span(str_from(text), &ms))
        ms += clock_real_ms();
    else if (!units_parse_time(str_from(text), &ms))
        return false;
    clock_rfc3339(ms, to);
    return true;
}

enum cli_exit command_token_create(struct cli *cli)
{
    const struct options *o = &cli->options;
    const char *scope = options_has(o, OPT_SCOPE) ? o->value[OPT_SCOPE] : "deploy";
    char until[CLOCK_RFC3339_ROOM];
    json_auto_t *answer = NULL;
    json_auto_t *body = json_pack("{s:s, s:s}", "name", o->args[0], "scope", scope);
    if (body == NULL)
        return cli_fail(cli, EXIT_USAGE, "usage", "The name is not UTF-8.");
    if (options_has(o, OPT_EXPIRES)) {
        if (!expiry(o->value[OPT_EXPIRES], until))
            return cli_fail(cli, EXIT_USAGE, "usage",
                            "--expires takes a span such as 12h or 30d, or an RFC 3339 time.");
        json_object_set_new(body, "expiresAt", json_string(until));
    }
    struct api_request request = API_REQUEST("POST", "/api/tokens");
    request.json = body;
    enum cli_exit exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    show_secret(cli, answer);
    return EXIT_DONE;
}

enum cli_exit command_token_list(struct cli *cli)
{
    json_auto_t *answer = NULL;
    struct listing t;
    size_t i;
    json_t *token;
    enum cli_exit exit = api_list(cli, "/api/tokens", &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (cli->output.quiet) {
        show_ids(json_object_get(answer, "data"));
        return EXIT_DONE;
    }
    listing_init(&t, 6);
    for (i = 0; i != 6; ++i)
        listing_add(
            &t, STYLE_DIM,
            str_from((const char *[]){"ID", "NAME", "SCOPE", "MADE", "USED", "EXPIRES"}[i]));
    json_array_foreach(json_object_get(answer, "data"), i, token)
    {
        listing_add(&t, STYLE_NONE, show_member(token, "id"));
        listing_add(&t, STYLE_STRONG, show_member(token, "name"));
        listing_add(&t, STYLE_NONE, show_member(token, "scope"));
        show_add_time(&t, token, "createdAt");
        show_add_time(&t, token, "lastUsedAt");
        show_add_time(&t, token, "expiresAt");
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
    return EXIT_DONE;
}

enum cli_exit command_token_revoke(struct cli *cli)
{
    AUTOFREE char *path = api_path("/api/tokens/%s", cli->options.args[0]);
    return api_delete(cli, path, "Revoked.");
}

enum cli_exit command_project_create(struct cli *cli)
{
    json_auto_t *answer = NULL;
    const struct options *o = &cli->options;
    json_auto_t *body = json_pack("{s:s}", "displayName", o->args[0]);
    if (body == NULL)
        return cli_fail(cli, EXIT_USAGE, "usage", "The name is not UTF-8.");
    if (options_has(o, OPT_EXTERNAL_ID))
        json_object_set_new(body, "externalId", jsonx_string(str_from(o->value[OPT_EXTERNAL_ID])));
    struct api_request request = API_REQUEST("POST", "/api/projects");
    request.json = body;
    enum cli_exit exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    cli_note(cli, "Made the project \"%s\". Its first token:", cli->options.args[0]);
    show_secret(cli, answer);
    return EXIT_DONE;
}
