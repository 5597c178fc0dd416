// A deployment's files, or its .pie, into a file of this machine.
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/files.h"
#include "edge/cli/show.h"
#include "edge/cli/units.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

static enum cli_exit find_active(struct cli *cli, const char *app, char **ret)
{
    json_auto_t *answer = NULL;
    AUTOFREE char *path = api_path("/api/plugins/%s/deployments", app);
    enum cli_exit exit = api_list(cli, path, &answer);
    size_t i;
    json_t *deployment;
    if (exit != EXIT_DONE)
        return exit;
    json_array_foreach(json_object_get(answer, "data"), i,
                       deployment) if (json_is_true(json_object_get(deployment, "active"))) *ret =
        str_dup(show_member(deployment, "id"));
    if (*ret != NULL)
        return EXIT_DONE;
    return cli_fail(cli, EXIT_NOT_FOUND, "no_deployment", "Nothing of \"%.60s\" is deployed.", app);
}

static enum cli_exit cannot_write(struct cli *cli, const char *path)
{
    return cli_fail(cli, EXIT_LOCAL, "local_io", "%.300s: %s.", path, strerror(errno));
}

static enum cli_exit download(struct cli *cli, const char *app, const char *id, int fd,
                              uint64_t *ret_bytes)
{
    bool source = options_has(&cli->options, OPT_SOURCE);
    AUTOFREE char *path = source ? api_path("/api/plugins/%s/deployments/%s/source.pie", app, id)
                                 : api_path("/api/plugins/%s/deployments/%s/archive.tar", app, id);
    struct api_request request = API_REQUEST("GET", path);
    struct api_reply reply;
    request.response_fd = fd;
    request.label = "Downloading";
    api_send(cli, &request, &reply);
    enum cli_exit exit = reply.exit != EXIT_DONE ? api_report(cli, &reply, NULL, false) : EXIT_DONE;
    *ret_bytes = reply.bytes;
    api_reply_fini(&reply);
    return exit;
}

static enum cli_exit tell(struct cli *cli, const char *path, const char *id, uint64_t bytes)
{
    char size[UNITS_ROOM];
    if (cli->output.json)
        return cli_json(cli, json_pack("{s:o, s:s, s:I}", "file", jsonx_string(str_from(path)),
                                       "deployment", id, "bytes", (json_int_t)bytes));
    escape_print(stdout, str_from(path));
    printf(cli->output.quiet ? "\n" : ", %s\n", units_bytes(bytes, size));
    return EXIT_DONE;
}

// Into a file beside `path` first: what is there stays until all of the new one has come.
static enum cli_exit save(struct cli *cli, const char *app, const char *id, const char *path)
{
    char aside[PATH_MAX];
    uint64_t bytes;
    bool replace = options_has(&cli->options, OPT_FORCE);
    if (!replace && access(path, F_OK) == 0)
        return cli_fail(cli, EXIT_LOCAL, "file_exists",
                        "%.300s is there already: --force replaces it.", path);
    if ((size_t)snprintf(aside, sizeof aside, "%s.%ld.part", path, (long)getpid()) >= sizeof aside)
        return cli_fail(cli, EXIT_USAGE, "usage", "The file's name is too long.");
    FD_AUTO int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return cannot_write(cli, aside);
    enum cli_exit exit = download(cli, app, id, fd, &bytes);
    if (exit == EXIT_DONE && (replace ? rename(aside, path) : link(aside, path)) < 0)
        exit = cannot_write(cli, path);
    unlink(aside);
    return exit == EXIT_DONE ? tell(cli, path, id, bytes) : exit;
}

enum cli_exit command_export(struct cli *cli)
{
    const char *app = cli->options.args[0], *output = cli->options.value[OPT_OUTPUT];
    bool source = options_has(&cli->options, OPT_SOURCE);
    AUTOFREE char *id = NULL;
    char name[PATH_MAX];
    uint64_t bytes;
    enum cli_exit exit = EXIT_DONE;
    if (strchr(app, '/') != NULL || app[0] == '.')
        return cli_fail(cli, EXIT_USAGE, "usage", "\"%.60s\" is no app's name.", app);
    if (cli->options.n_args == 2)
        id = str_dup(str_from(cli->options.args[1]));
    else
        exit = find_active(cli, app, &id);
    if (exit != EXIT_DONE)
        return exit;
    if (output != NULL && strcmp(output, "-") == 0) {
        if (!source && cli->output.out_is_terminal)
            return cli_fail(cli, EXIT_USAGE, "usage", "An archive is not written to a terminal.");
        return download(cli, app, id, STDOUT_FILENO, &bytes);
    }
    snprintf(name, sizeof name, "%s.%s", app, source ? "pie" : "tar");
    return save(cli, app, id, output != NULL ? output : name);
}
