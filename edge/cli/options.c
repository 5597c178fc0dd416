// Parsing is one pass over argv by the table; commands are found among the arguments afterwards.
#include "edge/cli/options.h"
#include "edge/base/log.h"

const struct option_row option_rows[OPT_COUNT] = {
    [OPT_HELP] = {"help", 'h', NULL, "show this help"},
    [OPT_JSON] = {"json", 0, NULL, "print the API's answer, errors too, as one JSON document"},
    [OPT_QUIET] = {"quiet", 'q', NULL, "print results only: the link, the id"},
    [OPT_URL] = {"url", 0, "URL", "the server's console origin (else STOA_URL)"},
    [OPT_TOKEN] = {"token", 0, "TOKEN",
                   "the API token; --token-file or STOA_TOKEN keep it private"},
    [OPT_TOKEN_FILE] = {"token-file", 0, "FILE", "read the API token from FILE (- is stdin)"},
    [OPT_DATA] = {"data", 0, "DIR", "use the server that runs on this data directory"},
    [OPT_CA] = {"ca", 0, "FILE", "trust the certificate authorities in FILE (PEM), no others"},
    [OPT_INSECURE] = {"insecure", 0, NULL, "send the token over http:// to another machine"},
    [OPT_PLUGIN] = {"plugin", 0, "SLUG",
                    "the app that an archive or folder is for, or a .pie names"},
    [OPT_DRY_RUN] = {"dry-run", 'n', NULL, "change nothing, show what would change"},
    [OPT_WATCH] = {"watch", 'w', NULL, "deploy again whenever something is saved"},
    [OPT_PRINT] = {"print", 0, NULL, "print the link, open no browser"},
    [OPT_KEEP_DATA] = {"keep-data", 0, NULL, "keep the app's uploads and tables"},
    [OPT_DELETE_DATA] = {"delete-data", 0, NULL, "delete the app's uploads and tables"},
    [OPT_FORCE] = {"force", 'f', NULL, "go on over what would stop this"},
    [OPT_YES] = {"yes", 'y', NULL, "do not ask"},
    [OPT_OUTPUT] = {"output", 'o', "FILE", "write to FILE (- is stdout)"},
    [OPT_SOURCE] = {"source", 0, NULL, "the .pie file as it was deployed"},
    [OPT_NEW] = {"new", 0, NULL, "make another instance"},
    [OPT_RM] = {"rm", 0, "ID", "delete the deployment, the instance or the file ID"},
    [OPT_SCOPE] = {"scope", 0, "SCOPE", "read, deploy, admin or platform (default: deploy)"},
    [OPT_EXPIRES] = {"expires", 0, "WHEN", "a span (12h, 30d) or an RFC 3339 time"},
    [OPT_FOLLOW] = {"follow", 0, NULL, "go on, and print what comes as it comes"},
    [OPT_ACTION] = {"action", 0, "ACTION", "only runs of this action"},
    [OPT_OUTCOME] = {"outcome", 0, "OUTCOME", "only runs that ended so: ok, handler_error, ..."},
    [OPT_INSTANCE] = {"instance", 0, "INSTANCE", "this instance only, by its id or slug"},
    [OPT_FILE] = {"file", 0, "FILE", "read the value from FILE (- is stdin)"},
    [OPT_WIDGET] = {"widget", 0, NULL, "as a widget's action, as the owner"},
    [OPT_TOOL] = {"tool", 0, NULL, "as a tool run, as the owner"},
    [OPT_CSV] = {"csv", 0, NULL, "all rows, as comma-separated values"},
    [OPT_TYPE] = {"type", 0, "TYPE", "only files of this type: image/png, image/*, ..."},
    [OPT_GET] = {"get", 0, "ID", "save the file ID"},
    [OPT_ID] = {"id", 0, "RUN", "one run, with its log and its error"},
    [OPT_WAIT] = {"wait", 0, NULL, "go on until it is there"},
    [OPT_CHAIN] = {"chain", 0, "FILE", "the certificate, then its issuers (PEM)"},
    [OPT_KEY] = {"key", 0, "FILE", "its private key (PEM, without a password)"},
    [OPT_REMOVE] = {"remove", 0, NULL, "give up what was given"},
    [OPT_NAME] = {"name", 0, "NAME", "what people call it"},
    [OPT_EXTERNAL_ID] = {"external-id", 0, "ID", "what the platform's tokens call the project"},
    [OPT_PROJECT] = {"project", 0, "ID", "only what happened in the project ID"},
    [OPT_ON] = {"on", 0, "ID", "switch the user ID on again"},
    [OPT_OFF] = {"off", 0, "ID", "switch the user ID off: their sessions end"},
    [OPT_ORIGIN] = {"origin", 0, "URL", "an origin that may frame the builder; may be repeated"},
    [OPT_PUBLIC_KEY] = {"public-key", 0, "FILE", "your own key's public half (RSA, PEM)"},
    [OPT_OUT] = {"out", 0, "FILE", "write the private key to FILE, for you alone to read"},
};

size_t options_distance(str a, str b)
{
    enum { LONGEST = 32 };
    size_t row[LONGEST + 1];
    if (a.n > LONGEST || b.n > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; ++j)
        row[j] = j;
    for (size_t i = 1; i <= a.n; ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; ++j) {
            size_t change = diagonal + (a.p[i - 1] != b.p[j - 1]);
            size_t remove = row[j] + 1, insert = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < remove ? change : remove;
            row[j] = row[j] < insert ? row[j] : insert;
        }
    }
    return row[b.n];
}

// May be given again; a command takes one such option at most.
static bool repeats(int id)
{
    return id == OPT_ORIGIN;
}

static int find_long(str name)
{
    for (int i = 0; i != OPT_COUNT; ++i)
        if (str_eq(name, str_from(option_rows[i].name)))
            return i;
    return -1;
}

static int find_letter(char letter)
{
    for (int i = 0; i != OPT_COUNT; ++i)
        if (option_rows[i].letter != 0 && option_rows[i].letter == letter)
            return i;
    return -1;
}

static enum fail unknown_option(str given, struct fault *fault)
{
    const char *near = NULL;
    str bare = str_skip(given, str_starts(given, STR("--")) ? 2 : 1);
    size_t best = bare.n < 3 ? bare.n : 3; // edits that make it another word, not a slip
    for (int i = 0; i != OPT_COUNT; ++i) {
        size_t distance = options_distance(bare, str_from(option_rows[i].name));
        if (distance < best) {
            best = distance;
            near = option_rows[i].name;
        }
    }
    if (near != NULL)
        return fault_set(fault, FAIL_BAD_INPUT, "usage",
                         "There is no option %s. Did you mean --%s?", LOG_STR(given), near);
    return fault_set(fault, FAIL_BAD_INPUT, "usage", "There is no option %s.", LOG_STR(given));
}

// The option at argv[*i]; moves *i on when the value is the next argument.
static enum fail take_option(int argc, char **argv, int *i, struct options *o, struct fault *fault)
{
    str rest = str_from(argv[*i]);
    bool is_long = str_starts(rest, STR("--"));
    bool has_value = is_long && str_find(rest, '=') != SIZE_MAX;
    str name = str_cut(&rest, '=');
    int id = is_long ? find_long(str_skip(name, 2)) : name.n == 2 ? find_letter(name.p[1]) : -1;
    if (id < 0)
        return unknown_option(name, fault);
    const struct option_row *row = &option_rows[id];
    if (row->value == NULL && has_value)
        return fault_set(fault, FAIL_BAD_INPUT, "usage", "--%s takes no value.", row->name);
    const char *value = row->value == NULL ? ""
                        : has_value        ? rest.p
                        : *i + 1 != argc   ? argv[++*i]
                                           : NULL;
    if (value == NULL || (row->value != NULL && value[0] == '\0')) // "$ID" of nothing, too
        return fault_set(fault, FAIL_BAD_INPUT, "usage", "--%s needs a value: --%s %s.", row->name,
                         row->name, row->value);
    if (o->value[id] != NULL && row->value != NULL && !repeats(id))
        return fault_set(fault, FAIL_BAD_INPUT, "usage", "--%s is given twice.", row->name);
    o->value[id] = value;
    if (!repeats(id))
        return FAIL_NONE;
    if (o->n_repeated == OPTIONS_ARGS_MAX)
        return fault_set(fault, FAIL_BAD_INPUT, "usage", "--%s is given too often.", row->name);
    o->repeated[o->n_repeated++] = o->value[id];
    return FAIL_NONE;
}

enum fail options_parse(int argc, char **argv, struct options *ret, struct fault *fault)
{
    *ret = (struct options){.n_args = 0};
    bool only_args = false;
    enum fail first = FAIL_NONE;
    for (int i = 0; i < argc; ++i) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1] != '\0') {
            enum fail fail = take_option(argc, argv, &i, ret, first == FAIL_NONE ? fault : NULL);
            first = first == FAIL_NONE ? fail : first;
        } else if (ret->n_args == OPTIONS_ARGS_MAX) {
            return fault_set(fault, FAIL_BAD_INPUT, "usage", "These are too many arguments.");
        } else {
            ret->args[ret->n_args++] = argv[i];
        }
    }
    return first;
}

enum fail options_check(const struct options *o, uint64_t allowed, const char *command,
                        struct fault *fault)
{
    for (int i = 0; i != OPT_COUNT; ++i)
        if (o->value[i] != NULL && (allowed & OPT_BIT(i)) == 0)
            return fault_set(fault, FAIL_BAD_INPUT, "usage", "`stoa %s` has no option --%s.",
                             command, option_rows[i].name);
    return FAIL_NONE;
}
