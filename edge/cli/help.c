// Help text, made from the tables of commands.c and options.c.
#include "edge/cli/internal.h"

static void print_line(FILE *to, const struct output *o, const char *left, int width,
                       const char *right)
{
    fputs("  ", to);
    output_text(o, to, STYLE_STRONG, str_from(left));
    int pad = width - (int)strlen(left);
    if (pad > 0)
        fprintf(to, "%*s%s\n", pad, "", right);
    else
        fprintf(to, "\n  %*s%s\n", width, "", right);
}

static void print_options(FILE *to, const struct output *o, uint64_t which)
{
    for (int i = 0; i != OPT_COUNT; ++i) {
        const struct option_row *row = &option_rows[i];
        char left[48], letter[8] = "    ";
        if ((which & OPT_BIT(i)) == 0)
            continue;
        if (row->letter != 0)
            snprintf(letter, sizeof letter, "-%c, ", row->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name, row->value != NULL ? " " : "",
                 row->value != NULL ? row->value : "");
        print_line(to, o, left, 23, row->help);
    }
}

static void print_exits(FILE *to)
{
    fputs(
        "Exit codes: 0 done, 1 refused (problems in the file), 2 usage, 3 not found, 4 no or bad\n"
        "token, 5 server not reachable or busy, 6 conflict, 7 a file here cannot be used.\n",
        to);
}

void help_overview(FILE *to, const struct output *o)
{
    fputs("Usage: stoa COMMAND [ARGUMENT]... [OPTION]...\n\n", to);
    for (size_t i = 0; i != command_count; ++i) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", commands[i].name,
                 commands[i].args[0] != '\0' ? " " : "", commands[i].args);
        print_line(to, o, left, 29, commands[i].summary);
    }
    fputs("\nOptions of every command that asks a server:\n", to);
    print_options(to, o, OPTS_SERVER);
    fputs("\nThe server is the one named by --url, --data, STOA_URL, STOA_DATA or `stoa login`;\n"
          "without any, the one that runs on this machine.\n",
          to);
    print_exits(to);
}

void help_command(FILE *to, const struct output *o, const struct command *command)
{
    fputs("Usage: ", to);
    output_text(o, to, STYLE_STRONG, STR("stoa "));
    output_text(o, to, STYLE_STRONG, str_from(command->name));
    fprintf(to, "%s%s [OPTION]...\n", command->args[0] != '\0' ? " " : "", command->args);
    fprintf(to, "\n%s: %s.\n", command->name, command->summary);
    if (command->text[0] != '\0')
        fprintf(to, "%s", command->text);
    uint64_t own = command->options & ~OPTS_SERVER;
    if (own != 0) {
        fputs("\nOptions:\n", to);
        print_options(to, o, own);
    }
    fputs(own != 0 ? "\nOptions of most commands:\n" : "\nOptions:\n", to);
    print_options(to, o, command->options & OPTS_SERVER);
    fputc('\n', to);
    print_exits(to);
}

enum cli_exit command_help(struct cli *cli)
{
    char name[128];
    const struct options *o = &cli->options;
    if (o->n_args == 0) {
        help_overview(stdout, &cli->output);
        return EXIT_DONE;
    }
    snprintf(name, sizeof name, "%s%s%s", o->args[0], o->n_args == 2 ? " " : "",
             o->n_args == 2 ? o->args[1] : "");
    const struct command *command = command_find(str_from(name));
    bool any = command != NULL;
    if (any)
        help_command(stdout, &cli->output, command);
    // `stoa help token`: each command that begins so.
    for (size_t i = 0; command == NULL && i != command_count; ++i) {
        str rest = str_from(commands[i].name);
        if (!str_starts(rest, str_from(name)) || rest.p[strlen(name)] != ' ')
            continue;
        if (any)
            fputc('\n', stdout);
        help_command(stdout, &cli->output, &commands[i]);
        any = true;
    }
    if (any)
        return EXIT_DONE;
    return cli_fail(cli, EXIT_USAGE, "usage",
                    "There is no command \"%.60s\". `stoa help` lists "
                    "them.",
                    name);
}

enum cli_exit command_version(struct cli *cli)
{
    if (cli->output.json)
        return cli_json(cli, json_pack("{s:s}", "version", STOA_VERSION));
    printf("stoa %s\n", STOA_VERSION);
    return EXIT_DONE;
}
