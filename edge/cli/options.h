// The options of a command line: one table of all there are, and which of them a command takes.
// Options stand anywhere, `--name value` or `--name=value`; `--` ends them; flags do not combine.
#ifndef STOA_CLI_OPTIONS_H
#define STOA_CLI_OPTIONS_H
#include "edge/base/fail.h"

enum option {
    // every command
    OPT_HELP,
    OPT_JSON,
    OPT_QUIET,
    // every command that talks to a server
    OPT_URL,
    OPT_TOKEN,
    OPT_TOKEN_FILE,
    OPT_DATA,
    OPT_CA,
    OPT_INSECURE,
    // some
    OPT_PLUGIN,
    OPT_DRY_RUN,
    OPT_WATCH,
    OPT_PRINT,
    OPT_KEEP_DATA,
    OPT_DELETE_DATA,
    OPT_FORCE,
    OPT_YES,
    OPT_OUTPUT,
    OPT_SOURCE,
    OPT_NEW,
    OPT_RM,
    OPT_SCOPE,
    OPT_EXPIRES,
    OPT_FOLLOW,
    OPT_ACTION,
    OPT_OUTCOME,
    OPT_ID,
    OPT_INSTANCE,
    OPT_FILE,
    OPT_WIDGET,
    OPT_TOOL,
    OPT_CSV,
    OPT_TYPE,
    OPT_GET,
    OPT_WAIT,
    OPT_CHAIN,
    OPT_KEY,
    OPT_REMOVE,
    OPT_NAME,
    OPT_EXTERNAL_ID,
    OPT_PROJECT,
    OPT_ON,
    OPT_OFF,
    OPT_ORIGIN,
    OPT_PUBLIC_KEY,
    OPT_OUT,
    OPT_COUNT
};
#define OPT_BIT(option) (UINT64_C(1) << (option))
#define OPTS_ALWAYS (OPT_BIT(OPT_HELP) | OPT_BIT(OPT_JSON) | OPT_BIT(OPT_QUIET))
#define OPTS_SERVER                                                                                \
    (OPTS_ALWAYS | OPT_BIT(OPT_URL) | OPT_BIT(OPT_TOKEN) | OPT_BIT(OPT_TOKEN_FILE) |               \
     OPT_BIT(OPT_DATA) | OPT_BIT(OPT_CA) | OPT_BIT(OPT_INSECURE))

struct option_row {
    const char *name;  // without the dashes
    char letter;       // 0 = none
    const char *value; // what its value is called; NULL = a flag
    const char *help;
};
extern const struct option_row option_rows[OPT_COUNT];

enum { OPTIONS_ARGS_MAX = 24 };
struct options {
    const char *value[OPT_COUNT]; // NULL = not given; "" for a flag. Borrows argv.
    const char *args[OPTIONS_ARGS_MAX];
    size_t n_args;
    const char *repeated[OPTIONS_ARGS_MAX]; // every value of the option that repeats
    size_t n_repeated;
};

static inline bool options_has(const struct options *o, enum option option)
{
    return o->value[option] != NULL;
}

// Reads argv[0..argc) (no program name). FAIL_BAD_INPUT with `usage` and a sentence when something
// is wrong; `ret` then holds what was read before, so that --json and --help are honoured still.
MUST_CHECK enum fail options_parse(int argc, char **argv, struct options *ret, struct fault *fault);
// Whether all that were given are in `allowed` (a set of OPT_BIT); `command` is for the sentence.
MUST_CHECK enum fail options_check(const struct options *o, uint64_t allowed, const char *command,
                                   struct fault *fault);
// How many single-character edits turn one into the other: for "did you mean".
size_t options_distance(str a, str b);
#endif
