// From argv to a command and its exit code.
#include "edge/cli/internal.h"
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

const struct command *command_find(str name)
{
    for (size_t i = 0; i != command_count; ++i)
        if (str_eq(str_from(commands[i].name), name))
            return &commands[i];
    return NULL;
}

enum cli_exit cli_exit_of(enum fail fail)
{
    switch (fail) {
    case FAIL_NONE:
        return EXIT_DONE;
    case FAIL_BAD_INPUT:
        return EXIT_USAGE;
    case FAIL_UNAUTHORISED:
    case FAIL_DENIED:
        return EXIT_AUTH;
    case FAIL_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case FAIL_CONFLICT:
        return EXIT_CONFLICT;
    case FAIL_TOO_LARGE:
    case FAIL_BAD_TYPE:
    case FAIL_REFUSED:
    case FAIL_QUOTA:
        return EXIT_REFUSED;
    case FAIL_TOO_MANY:
    case FAIL_UPSTREAM:
    case FAIL_BUSY:
    case FAIL_TIMEOUT:
        return EXIT_UNAVAILABLE;
    case FAIL_INTERNAL:
        return EXIT_LOCAL;
    }
    return EXIT_LOCAL;
}

static void print_failure(struct cli *cli, const char *code, str message)
{
    if (cli->output.json) {
        json_auto_t *error = json_pack("{s:b, s:s, s:s%}", "error", 1, "code", code, "message",
                                       message.p, message.n);
        output_json(&cli->output, error);
        return;
    }
    output_text(&cli->output, stderr, STYLE_BAD, STR("stoa: "));
    escape_print(stderr, message);
    fputc('\n', stderr);
}

enum cli_exit cli_fail(struct cli *cli, enum cli_exit exit, const char *code, const char *format,
                       ...)
{
    struct buf message;
    char text[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    // JSON holds UTF-8 only, and a file's name may be any bytes.
    buf_init(&message, 8 * sizeof text);
    escape_add(&message, str_from(text));
    print_failure(cli, code, buf_str(&message));
    buf_fini(&message);
    return exit;
}

enum cli_exit cli_fault(struct cli *cli, const struct fault *fault)
{
    return cli_fail(cli, cli_exit_of(fault->fail), fault->code, "%s", fault->public_text);
}

void cli_note(const struct cli *cli, const char *format, ...)
{
    char text[1024];
    if (cli->output.json || cli->output.quiet)
        return;
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    output_text(&cli->output, stderr, STYLE_DIM, str_from(text));
    fputc('\n', stderr);
}

void cli_warn(const struct cli *cli, str message)
{
    if (cli->output.json)
        return;
    output_text(&cli->output, stderr, STYLE_WARN, STR("warning: "));
    escape_print(stderr, message);
    fputc('\n', stderr);
}

bool cli_confirm(const struct cli *cli, const char *question)
{
    char answer[16];
    if (!isatty(STDIN_FILENO) || cli->output.json)
        return false;
    escape_print(stderr, str_from(question));
    fputs(" [y/N] ", stderr);
    fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) == NULL)
        return false;
    str given = str_trim(str_of(answer, strcspn(answer, "\n")));
    return str_caseeq(given, STR("y")) || str_caseeq(given, STR("yes"));
}

enum cli_exit cli_json(struct cli *cli, json_t *document)
{
    output_json(&cli->output, document);
    json_decref(document);
    return EXIT_DONE;
}

// "token": the words that go behind it.
static bool add_second_words(const char *first, struct buf *to)
{
    for (size_t i = 0; i != command_count; ++i) {
        str rest = str_from(commands[i].name);
        if (str_eq(str_cut(&rest, ' '), str_from(first)) && rest.n != 0)
            buf_addf(to, "%s%.*s", to->n != 0 ? ", " : "", STR_FMT(rest));
    }
    return to->n != 0;
}

static enum cli_exit unknown_command(struct cli *cli, const char *given)
{
    const char *near = NULL;
    struct buf words;
    size_t best = strlen(given) < 5 ? 2 : 3; // edits that make it another word, not a slip
    buf_init(&words, 256);
    bool is_first_word = add_second_words(given, &words);
    AUTOFREE char *list = buf_take(&words);
    if (is_first_word && options_has(&cli->options, OPT_HELP)) {
        cli->options.n_args = 1;
        return command_help(cli);
    }
    if (is_first_word)
        return cli_fail(cli, EXIT_USAGE, "usage", "`stoa %s` needs a second word: %s.", given,
                        list);
    for (size_t i = 0; i != command_count; ++i) {
        size_t distance = options_distance(str_from(given), str_from(commands[i].name));
        if (distance < best) {
            best = distance;
            near = commands[i].name;
        }
    }
    if (near != NULL)
        return cli_fail(cli, EXIT_USAGE, "usage",
                        "There is no command \"%.60s\". Did you mean `stoa %s`?", given, near);
    return cli_fail(cli, EXIT_USAGE, "usage",
                    "There is no command \"%.60s\". `stoa help` lists them.", given);
}

// The longest name that the first arguments spell; takes them off the arguments.
static const struct command *take_command(struct options *o)
{
    char two[64];
    size_t words = 0;
    const struct command *found = NULL;
    if (o->n_args >= 2 && strlen(o->args[0]) + strlen(o->args[1]) + 2 <= sizeof two) {
        snprintf(two, sizeof two, "%s %s", o->args[0], o->args[1]);
        found = command_find(str_from(two));
        words = 2;
    }
    if (found == NULL) {
        found = command_find(str_from(o->args[0]));
        words = 1;
    }
    if (found == NULL)
        return NULL;
    o->n_args -= words;
    memmove(o->args, o->args + words, o->n_args * sizeof *o->args);
    return found;
}

static enum cli_exit check_args(struct cli *cli)
{
    const struct command *c = cli->command;
    struct fault fault;
    if (options_check(&cli->options, c->options, c->name, &fault) != FAIL_NONE)
        return cli_fault(cli, &fault);
    if (cli->options.n_args >= c->args_min && cli->options.n_args <= c->args_max)
        return EXIT_DONE;
    return cli_fail(cli, EXIT_USAGE, "usage", "Usage: stoa %s%s%s. `stoa help %s` says more.",
                    c->name, c->args[0] != '\0' ? " " : "", c->args, c->name);
}

static enum cli_exit run_command(struct cli *cli)
{
    if (cli->options.n_args == 0) {
        help_overview(options_has(&cli->options, OPT_HELP) ? stdout : stderr, &cli->output);
        return options_has(&cli->options, OPT_HELP) ? EXIT_DONE : EXIT_USAGE;
    }
    const char *first = cli->options.args[0];
    cli->command = take_command(&cli->options);
    if (cli->command == NULL)
        return unknown_command(cli, first);
    if (options_has(&cli->options, OPT_HELP)) {
        help_command(stdout, &cli->output, cli->command);
        return EXIT_DONE;
    }
    if (cli->command->run == NULL)
        return cli_fail(cli, EXIT_USAGE, "usage", "Write `stoa %s` first, then its options.",
                        cli->command->name);
    enum cli_exit exit = check_args(cli);
    return exit == EXIT_DONE ? cli->command->run(cli) : exit;
}

// Other users' `ps` shows a process's arguments for as long as it runs: shorten that to an instant.
static char *hide_token(struct cli *cli)
{
    char *given = (char *)(uintptr_t)cli->options.value[OPT_TOKEN]; // argv's own, writable
    if (given == NULL)
        return NULL;
    char *token = str_dup(str_from(given));
    memset(given, '*', strlen(given));
    cli->options.value[OPT_TOKEN] = token;
    return token;
}

static void warn_of_token(const struct cli *cli)
{
    if (options_has(&cli->options, OPT_TOKEN) && !cli->output.quiet)
        cli_warn(cli, STR("a token on the command line can be seen by other users of this machine "
                          "and is kept by the shell's history; --token-file and STOA_TOKEN are "
                          "not."));
}

// With --json, too, this is said on stderr: stdout is what failed. Who stopped reading needs no word.
static enum cli_exit say_lost(const struct cli *cli)
{
    if (output_reader_has_left())
        return EXIT_LOCAL;
    output_text(&cli->output, stderr, STYLE_BAD, STR("stoa: "));
    fputs("What this printed could not be written in full; what it did is done.\n", stderr);
    return EXIT_LOCAL;
}

// `stoa --version` is what people type at any program first.
static void take_version(int argc, char **argv)
{
    static char version[] = "version";
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        argv[1] = version;
}

int cli_main(int argc, char **argv)
{
    struct cli cli = {.command = NULL};
    struct fault fault;
    setlocale(LC_CTYPE, "C.UTF-8"); // names are UTF-8 here whatever the terminal's user speaks
    signal(SIGPIPE, SIG_IGN);       // a closed pipe is an error of the write
    output_init(&cli.output);
    take_version(argc, argv);
    enum fail fail =
        options_parse(argc > 0 ? argc - 1 : 0, argc > 0 ? argv + 1 : argv, &cli.options, &fault);
    AUTOFREE char *token = hide_token(&cli);
    cli.output.json = options_has(&cli.options, OPT_JSON);
    cli.output.quiet = options_has(&cli.options, OPT_QUIET);
    target_env_read(&cli.env);
    warn_of_token(&cli);
    enum cli_exit exit = fail == FAIL_NONE ? run_command(&cli) : cli_fault(&cli, &fault);
    if (!output_flush() && exit == EXIT_DONE)
        exit = say_lost(&cli);
    http_client_destroy(cli.http);
    target_fini(&cli.target);
    target_env_fini(&cli.env);
    if (token != NULL)
        explicit_bzero(token, strlen(token));
    return (int)exit;
}
