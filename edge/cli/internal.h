// What the command files of this folder share: one run of the program.
#ifndef STOA_CLI_INTERNAL_H
#define STOA_CLI_INTERNAL_H
#include "edge/cli/cli.h"
#include "edge/cli/options.h"
#include "edge/cli/output.h"
#include "edge/cli/target.h"
#include "edge/client/http_client.h"

struct cli;
struct command {
    const char *name;    // one word, or two: "token create"
    const char *args;    // "FILE|DIR"
    const char *summary; // one line of `stoa help`
    const char *text;    // the paragraphs of `stoa help NAME`
    uint64_t options;    // OPT_BITs it takes
    unsigned char args_min, args_max;
    enum cli_exit (*run)(struct cli *); // NULL: edge/main.c runs it
};

struct cli {
    const struct command *command;
    struct options options; // args are those behind the command's name
    struct output output;
    struct target_env env;
    struct target target; // found by the first request
    bool has_target;
    struct http_client *http;  // made by the first request
    bool is_patient;           // for a handler, which may take ten minutes
    bool is_waiting;           // for a server that was said to be away: not said again
    bool (*stop_wanted)(void); // asked while a request runs; NULL = never
};

// The table behind dispatch, `stoa help` and the check of stoa(1).
extern const struct command commands[];
extern const size_t command_count;
// Exact name, or NULL.
const struct command *command_find(str name);

// Prints `message` as this command's failure (on stderr, or with --json as the API's error object
// on stdout) and returns `exit`.
enum cli_exit cli_fail(struct cli *cli, enum cli_exit exit, const char *code, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));
// The same of a fault; the exit code follows from fault->fail.
enum cli_exit cli_fault(struct cli *cli, const struct fault *fault);
enum cli_exit cli_exit_of(enum fail fail);
// "stoa: …" on stderr, escaped, unless --json or --quiet.
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A "warning: …" on stderr, unless --json.
void cli_warn(const struct cli *cli, str message);
// Asks on the terminal; false when there is none, or the answer is not yes.
bool cli_confirm(const struct cli *cli, const char *question);
// For the commands that are given --json: prints the document, takes the reference, EXIT_DONE.
enum cli_exit cli_json(struct cli *cli, json_t *document);

void help_overview(FILE *to, const struct output *o);
void help_command(FILE *to, const struct output *o, const struct command *command);

enum cli_exit command_apps(struct cli *cli);
enum cli_exit command_config(struct cli *cli);
enum cli_exit command_data(struct cli *cli);
enum cli_exit command_db(struct cli *cli);
enum cli_exit command_delete(struct cli *cli);
enum cli_exit command_deploy(struct cli *cli);
enum cli_exit command_deployments(struct cli *cli);
enum cli_exit command_domain_add(struct cli *cli);
enum cli_exit command_domain_certificate(struct cli *cli);
enum cli_exit command_domain_list(struct cli *cli);
enum cli_exit command_domain_move(struct cli *cli);
enum cli_exit command_domain_rm(struct cli *cli);
enum cli_exit command_domain_set(struct cli *cli);
enum cli_exit command_domain_show(struct cli *cli);
enum cli_exit command_domain_verify(struct cli *cli);
enum cli_exit command_events(struct cli *cli);
enum cli_exit command_export(struct cli *cli);
enum cli_exit command_files(struct cli *cli);
enum cli_exit command_help(struct cli *cli);
enum cli_exit command_instance_settings(struct cli *cli);
enum cli_exit command_instances(struct cli *cli);
enum cli_exit command_invoke(struct cli *cli);
enum cli_exit command_login(struct cli *cli);
enum cli_exit command_logout(struct cli *cli);
enum cli_exit command_open(struct cli *cli);
enum cli_exit command_pieces(struct cli *cli);
enum cli_exit command_platform_audit(struct cli *cli);
enum cli_exit command_platform_create(struct cli *cli);
enum cli_exit command_platform_list(struct cli *cli);
enum cli_exit command_platform_projects(struct cli *cli);
enum cli_exit command_platform_token(struct cli *cli);
enum cli_exit command_platform_users(struct cli *cli);
enum cli_exit command_project_create(struct cli *cli);
enum cli_exit command_rollback(struct cli *cli);
enum cli_exit command_runs(struct cli *cli);
enum cli_exit command_secrets(struct cli *cli);
enum cli_exit command_signing_key_create(struct cli *cli);
enum cli_exit command_signing_key_list(struct cli *cli);
enum cli_exit command_signing_key_revoke(struct cli *cli);
enum cli_exit command_signing_key_show(struct cli *cli);
enum cli_exit command_signing_key_update(struct cli *cli);
enum cli_exit command_subscriptions_add(struct cli *cli);
enum cli_exit command_subscriptions_list(struct cli *cli);
enum cli_exit command_subscriptions_rm(struct cli *cli);
enum cli_exit command_token_create(struct cli *cli);
enum cli_exit command_token_list(struct cli *cli);
enum cli_exit command_token_revoke(struct cli *cli);
enum cli_exit command_version(struct cli *cli);
#endif
