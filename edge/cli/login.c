// Keeping a server's address and a token for it.
#include "edge/cli/api.h"
#include "edge/cli/credentials.h"
#include "edge/cli/prompt.h"
#include <stdlib.h>
#include <unistd.h>

static char *ask_token(const struct origin *origin)
{
    char question[ORIGIN_ROOM + 16];
    snprintf(question, sizeof question, "Token for %s: ", origin->text);
    char *line = prompt_line(question);
    if (line == NULL)
        return NULL;
    char *token = str_dup(str_trim(str_from(line)));
    explicit_bzero(line, strlen(line));
    free(line);
    return token;
}

static enum fail find_token(struct cli *cli, struct fault *fault)
{
    const struct options *o = &cli->options;
    struct target *t = &cli->target;
    if (options_has(o, OPT_TOKEN))
        t->token = str_dup(str_from(o->value[OPT_TOKEN]));
    else if (options_has(o, OPT_TOKEN_FILE))
        return target_read_token(o->value[OPT_TOKEN_FILE], &t->token, fault);
    else if (target_env_token(&cli->env, &t->origin) != NULL)
        t->token = str_dup(str_from(target_env_token(&cli->env, &t->origin)));
    else if (isatty(STDIN_FILENO))
        t->token = ask_token(&t->origin);
    else
        return target_read_token("-", &t->token, fault);
    if (t->token != NULL && t->token[0] != '\0')
        return FAIL_NONE;
    return fault_set(fault, FAIL_UNAUTHORISED, "no_token", "No token was given.");
}

static enum fail keep(struct cli *cli, struct fault *fault)
{
    json_auto_t *all = NULL;
    if (cli->env.credentials == NULL)
        return fault_set(fault, FAIL_INTERNAL, "local_io",
                         "There is no place to keep the token: HOME is not set.");
    enum fail fail = credentials_load(cli->env.credentials, &all, fault);
    if (fail != FAIL_NONE)
        return fail;
    credentials_put(all, &cli->target.origin, cli->target.token);
    return credentials_save(cli->env.credentials, all, fault);
}

enum cli_exit command_login(struct cli *cli)
{
    struct fault fault;
    json_auto_t *answer = NULL;
    cli->target.source = "the command line";
    enum fail fail = origin_parse(cli->options.args[0], &cli->target.origin, &fault);
    if (fail == FAIL_NONE)
        fail = target_check_origin(&cli->target.origin, options_has(&cli->options, OPT_INSECURE),
                                   &fault);
    if (fail == FAIL_NONE)
        fail = find_token(cli, &fault);
    if (fail != FAIL_NONE)
        return cli_fault(cli, &fault);
    cli->has_target = true;
    struct api_request request = API_REQUEST("GET", "/api/plugins?limit=1");
    enum cli_exit exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (keep(cli, &fault) != FAIL_NONE)
        return cli_fault(cli, &fault);
    if (cli->output.json)
        return cli_json(cli, json_pack("{s:s, s:s}", "url", cli->target.origin.text, "savedTo",
                                       cli->env.credentials));
    cli_note(cli, "Logged in to %s. The token is kept in %s.", cli->target.origin.text,
             cli->env.credentials);
    return EXIT_DONE;
}

enum cli_exit command_logout(struct cli *cli)
{
    struct fault fault;
    struct origin origin;
    json_auto_t *all = NULL;
    if (cli->env.credentials == NULL)
        return cli_fail(cli, EXIT_NOT_FOUND, "not_logged_in", "You are not logged in anywhere.");
    if (credentials_load(cli->env.credentials, &all, &fault) != FAIL_NONE)
        return cli_fault(cli, &fault);
    const char *url = cli->options.n_args == 1 ? cli->options.args[0] : credentials_current(all);
    if (url == NULL)
        return cli_fail(cli, EXIT_NOT_FOUND, "not_logged_in", "You are not logged in anywhere.");
    if (origin_parse(url, &origin, &fault) != FAIL_NONE)
        return cli_fault(cli, &fault);
    if (!credentials_drop(all, &origin))
        return cli_fail(cli, EXIT_NOT_FOUND, "not_logged_in", "You are not logged in to %s.",
                        origin.text);
    if (credentials_save(cli->env.credentials, all, &fault) != FAIL_NONE)
        return cli_fault(cli, &fault);
    if (cli->output.json)
        return cli_json(cli, json_pack("{s:s}", "url", origin.text));
    cli_note(cli, "Logged out of %s.", origin.text);
    return EXIT_DONE;
}
