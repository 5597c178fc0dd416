// psql in an app's database, as the app's own role, seeing its owner's rows. The server says how to
// get in; this program becomes psql. The password goes by psql's environment, which no other user
// sees; the token does not.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/cli/api.h"
#include "edge/cli/show.h"

enum { VALUE_ROOM = 512 };

// Ids of ours have nothing else: nothing in them can be another option of psql's.
static bool is_id(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!is_plain)
            return false;
    }
    return s.n != 0 && s.n < 64;
}

static void set(const char *name, str value)
{
    char text[VALUE_ROOM];
    snprintf(text, sizeof text, "%.*s", STR_FMT(value));
    setenv(name, text, 1);
}

static void forget_environment(void)
{
    static const char *const names[] = {"STOA_TOKEN", "PGSERVICE", "PGPASSFILE", "PGHOSTADDR",
                                        "PGOPTIONS"};
    for (size_t i = 0; i != sizeof names / sizeof names[0]; ++i)
        unsetenv(names[i]);
}

static enum cli_exit check_socket(struct cli *cli, str host, int64_t port)
{
    char path[VALUE_ROOM];
    snprintf(path, sizeof path, "%.*s/.s.PGSQL.%d", STR_FMT(host), (int)port);
    if (access(path, R_OK | W_OK) == 0)
        return EXIT_DONE;
    if (errno == EACCES)
        return cli_fail(cli, EXIT_LOCAL, "database_not_reachable",
                        "The app's data is in the server's own PostgreSQL, whose socket only root "
                        "and the server's user may use. Run this as one of them.");
    return cli_fail(cli, EXIT_LOCAL, "database_not_reachable",
                    "The app's data is in the server's own PostgreSQL, which no network leads to. "
                    "Run this on the server's machine; `stoa data` works from anywhere.");
}

static enum cli_exit become_psql(struct cli *cli, const json_t *c)
{
    char port[16], options[VALUE_ROOM];
    str user = show_member(c, "userId"), plugin = show_member(c, "pluginId");
    int64_t number = json_integer_value(json_object_get(c, "port"));
    str host = show_member(c, "host");
    if (!is_id(user) || !is_id(plugin))
        return cli_fail(cli, EXIT_REFUSED, "bad_answer", "The server's answer cannot be used.");
    enum cli_exit exit = str_starts(host, STR("/")) ? check_socket(cli, host, number) : EXIT_DONE;
    if (exit != EXIT_DONE)
        return exit;
    forget_environment();
    snprintf(port, sizeof port, "%d", (int)number);
    snprintf(options, sizeof options, "-c app.user_id=%.*s -c app.plugin_id=%.*s", STR_FMT(user),
             STR_FMT(plugin));
    set("PGHOST", host);
    set("PGPORT", str_from(port));
    set("PGDATABASE", show_member(c, "database"));
    set("PGUSER", show_member(c, "username"));
    set("PGPASSWORD", show_member(c, "password"));
    set("PGSSLMODE", show_member(c, "sslMode"));
    set("PGOPTIONS", str_from(options));
    execlp("psql", "psql", (char *)NULL);
    return cli_fail(cli, EXIT_LOCAL, "no_psql",
                    "psql cannot be started (%s). Install the package postgresql-client.",
                    strerror(errno));
}

enum cli_exit command_db(struct cli *cli)
{
    json_auto_t *answer = NULL;
    AUTOFREE char *path =
        api_path("/api/plugins/%s/database/credentials?local=true", cli->options.args[0]);
    struct api_request request = API_REQUEST("GET", path);
    enum cli_exit exit = api_call(cli, &request, &answer);
    return exit == EXIT_DONE ? become_psql(cli, json_object_get(answer, "credentials")) : exit;
}
