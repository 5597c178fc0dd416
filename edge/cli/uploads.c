// What visitors uploaded to an app and its handlers made: list, save, delete. Names are strangers':
// on a terminal they are escaped, and on the disk they are one plain name in the working directory
// that hides nothing, passes for no option and takes no other file's place.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/digest.h"
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/files.h"
#include "edge/cli/show.h"
#include "edge/cli/units.h"

enum { PAGE = 100, NAME_MAX_BYTES = 200, TRIES = 1000 };

// The app that was named; NULL: none, which stands for all.
static const char *named(const struct cli *cli)
{
    return cli->options.n_args != 0 ? cli->options.args[0] : NULL;
}

// --- the list ---

static char *page_path(const struct cli *cli, const char *kind, const char *cursor)
{
    struct buf path;
    const char *type = cli->options.value[OPT_TYPE], *name = named(cli);
    AUTOFREE char *app = name != NULL ? api_path("%s", name) : NULL;
    AUTOFREE char *wanted = type != NULL ? api_path("&type=%s", type) : NULL;
    AUTOFREE char *from = cursor != NULL ? api_path("&cursor=%s", cursor) : NULL;
    buf_init(&path, 65536);
    buf_addf(&path, "/api/files?limit=%d", PAGE);
    if (app != NULL)
        buf_addf(&path, "&%s=%s", kind, app);
    buf_addf(&path, "%s%s", wanted != NULL ? wanted : "", from != NULL ? from : "");
    return buf_take(&path);
}

// A page of the app's files; an app's name may be an instance's as well. On success *ret is a new
// reference, and *kind what the name was.
static enum cli_exit ask_page(struct cli *cli, const char **kind, const char *cursor, json_t **ret)
{
    struct api_reply reply;
    AUTOFREE char *path = page_path(cli, *kind, cursor);
    struct api_request request = API_REQUEST("GET", path);
    api_send(cli, &request, &reply);
    if (reply.exit == EXIT_DONE) {
        *ret = reply.body;
        return EXIT_DONE;
    }
    enum cli_exit exit = reply.exit;
    bool is_no_app = strcmp(*kind, "plugin") == 0 &&
                     str_eq(show_member(reply.body, "code"), STR("plugin_not_found"));
    bool is_nothing = str_eq(show_member(reply.body, "code"), STR("instance_not_found"));
    if (is_nothing)
        cli_fail(
            cli, exit, "app_not_found",
            "There is no app \"%.80s\" in this project, nor an instance of that name. `stoa apps` "
            "lists what there is.",
            cli->options.args[0]);
    else if (!is_no_app)
        api_report(cli, &reply, NULL, false);
    api_reply_fini(&reply);
    if (!is_no_app)
        return exit;
    *kind = "instance";
    return ask_page(cli, kind, cursor, ret);
}

// All pages, newest first.
static enum cli_exit collect(struct cli *cli, json_t *files)
{
    enum { PAGES_MAX = 1000 }; // a cursor that leads in a circle ends there
    const char *kind = "plugin";
    AUTOFREE char *cursor = NULL;
    int left = PAGES_MAX;
    do {
        json_auto_t *page = NULL;
        enum cli_exit exit = ask_page(cli, &kind, cursor, &page);
        if (exit != EXIT_DONE)
            return exit;
        json_array_extend(files, json_object_get(page, "data"));
        str next = show_member(page, "next");
        free(cursor);
        cursor = next.n != 0 ? str_dup(next) : NULL;
    } while (cursor != NULL && --left != 0);
    return EXIT_DONE;
}

static void print_files(const struct cli *cli, const json_t *files)
{
    static const char *const heads[] = {"ID", "NAME", "TYPE", "SIZE", "WHEN", "FROM", "APP"};
    struct listing t;
    size_t i, columns = named(cli) != NULL ? 6 : 7; // whose they are, of all
    json_t *file;
    listing_init(&t, columns);
    for (i = 0; i != columns; ++i)
        listing_add(&t, STYLE_DIM, str_from(heads[i]));
    json_array_foreach(files, i, file)
    {
        listing_add(&t, STYLE_NONE, show_member(file, "id"));
        listing_add(&t, STYLE_STRONG, show_member(file, "filename"));
        listing_add(&t, STYLE_NONE, show_member(file, "mimeType"));
        show_add_bytes(&t, file, "size");
        show_add_time(&t, file, "createdAt");
        listing_add(&t, STYLE_DIM, show_member(file, "source"));
        if (columns == 7)
            listing_add(&t, STYLE_NONE, show_member(file, "instanceSlug"));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

static enum cli_exit list(struct cli *cli)
{
    json_auto_t *files = json_array();
    enum cli_exit exit = collect(cli, files);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_pack("{s:O, s:n, s:n}", "data", files, "next", "previous"));
    if (cli->output.quiet)
        show_ids(files);
    else if (json_array_size(files) == 0)
        cli_note(cli, "There are no such files yet.");
    else
        print_files(cli, files);
    return EXIT_DONE;
}

// --- one ---

static bool is_named(const json_t *object, const char *key, const char *name)
{
    return str_eq(show_member(object, key), str_from(name));
}

// Whether the file is the app's that was named, if one was: an instance by id or slug, or an app.
static enum cli_exit check_app(struct cli *cli, const json_t *file)
{
    struct api_reply reply;
    const char *app = named(cli);
    if (app == NULL || is_named(file, "instanceId", app) || is_named(file, "instanceSlug", app) ||
        is_named(file, "pluginId", app))
        return EXIT_DONE;
    AUTOFREE char *path = api_path("/api/plugins/%s", app);
    struct api_request request = API_REQUEST("GET", path);
    api_send(cli, &request, &reply);
    enum cli_exit exit = reply.exit;
    bool is_its = str_eq(show_member(reply.body, "id"), show_member(file, "pluginId"));
    if (exit != EXIT_DONE && exit != EXIT_NOT_FOUND)
        api_report(cli, &reply, NULL, false);
    else if (exit != EXIT_DONE || !is_its)
        exit = cli_fail(cli, EXIT_NOT_FOUND, "file_not_found",
                        "\"%.80s\" has no such file; another app of the project has.", app);
    api_reply_fini(&reply);
    return exit;
}

// On success *ret is a new reference.
static enum cli_exit find(struct cli *cli, const char *id, json_t **ret)
{
    json_auto_t *file = NULL;
    AUTOFREE char *path = api_path("/api/files/%s", id);
    struct api_request request = API_REQUEST("GET", path);
    enum cli_exit exit = api_call(cli, &request, &file);
    if (exit == EXIT_DONE)
        exit = check_app(cli, file);
    if (exit == EXIT_DONE)
        *ret = json_incref(file);
    return exit;
}

// --- saving ---

// One name in this directory. free() it.
static char *plain_name(str given)
{
    struct buf name;
    buf_init(&name, NAME_MAX_BYTES);
    while (given.n != 0 && name.n + 4 <= NAME_MAX_BYTES) {
        uint32_t c;
        size_t n = escape_decode(given, &c);
        struct buf shown;
        buf_init(&shown, 64);
        escape_add(&shown, str_of(given.p, n != 0 ? n : 1));
        bool is_plain = n != 0 && str_eq(buf_str(&shown), str_of(given.p, n)) && c != '/';
        bool is_first = name.n == 0 && (c == '.' || c == '-' || c == '~');
        if (is_plain && !is_first)
            buf_add(&name, str_of(given.p, n));
        else
            buf_addc(&name, '_');
        buf_fini(&shown);
        given = str_skip(given, n != 0 ? n : 1);
    }
    if (name.n == 0)
        buf_addc(&name, '_');
    return buf_take(&name);
}

// "photo.png", then "photo (1).png", …
static void numbered(const char *name, int number, char to[static PATH_MAX])
{
    const char *dot = strrchr(name, '.');
    int stem = (int)(dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name));
    if (number == 0)
        snprintf(to, PATH_MAX, "%s", name);
    else
        snprintf(to, PATH_MAX, "%.*s (%d)%s", stem, name, number, name + stem);
}

static enum cli_exit cannot_write(struct cli *cli, const char *path)
{
    return cli_fail(cli, EXIT_LOCAL, "local_io", "%.300s: %s.", path, strerror(errno));
}

// Its bytes are not the console's to give: the link leads to another origin, and no token goes there.
static enum cli_exit download(struct cli *cli, const json_t *file, int fd)
{
    struct api_reply reply;
    str url = show_member(file, "url"), rest = url;
    size_t scheme = str_find_str(url, STR("://"));
    if (scheme != SIZE_MAX)
        rest = str_skip(url, scheme + 3);
    size_t slash = str_find(rest, '/');
    if (scheme == SIZE_MAX || slash == SIZE_MAX)
        return cli_fail(cli, EXIT_UNAVAILABLE, "not_a_stoa_server",
                        "The server named no link to the file.");
    AUTOFREE char *origin = str_dup(str_of(url.p, (size_t)(rest.p - url.p) + slash));
    AUTOFREE char *path = str_dup(str_skip(rest, slash));
    struct api_request request = API_REQUEST("GET", path);
    request.origin = origin;
    request.response_fd = fd;
    request.label = "Downloading";
    api_send(cli, &request, &reply);
    enum cli_exit exit = reply.exit != EXIT_DONE ? api_report(cli, &reply, NULL, false) : EXIT_DONE;
    api_reply_fini(&reply);
    return exit;
}

// What came is what was kept.
static enum cli_exit check(struct cli *cli, const json_t *file, int fd)
{
    char piece[32768], hex[DIGEST_HEX_ROOM];
    struct digest_stream *stream = digest_begin();
    off_t at = 0;
    ssize_t n;
    while ((n = pread(fd, piece, sizeof piece, at)) > 0) {
        digest_update(stream, str_of(piece, (size_t)n));
        at += n;
    }
    struct digest digest = digest_end(stream);
    digest_hex(&digest, hex);
    if (n == 0 && str_eq(str_from(hex), show_member(file, "sha256")))
        return EXIT_DONE;
    return cli_fail(cli, EXIT_UNAVAILABLE, "damaged",
                    "The file did not come as it was kept. Try again.");
}

static enum cli_exit tell(struct cli *cli, const json_t *file, const char *path)
{
    char size[UNITS_ROOM];
    json_int_t bytes = json_integer_value(json_object_get(file, "size"));
    if (cli->output.json)
        return cli_json(cli, json_pack("{s:o, s:O, s:I}", "file", jsonx_string(str_from(path)),
                                       "id", json_object_get(file, "id"), "bytes", bytes));
    escape_print(stdout, str_from(path));
    printf(cli->output.quiet ? "\n" : ", %s\n", units_bytes((uint64_t)bytes, size));
    return EXIT_DONE;
}

// From `aside` to its own name, or to the next one that is free.
static enum cli_exit settle(struct cli *cli, const char *aside, const json_t *file, char *path)
{
    AUTOFREE char *name = plain_name(show_member(file, "filename"));
    for (int i = 0; i != TRIES; ++i) {
        numbered(name, i, path);
        if (link(aside, path) == 0)
            return EXIT_DONE;
        if (errno != EEXIST)
            return cannot_write(cli, path);
    }
    return cannot_write(cli, path);
}

static enum cli_exit settle_as(struct cli *cli, const char *aside, const char *given, char *path)
{
    bool replace = options_has(&cli->options, OPT_FORCE);
    snprintf(path, PATH_MAX, "%s", given);
    if ((replace ? rename(aside, given) : link(aside, given)) == 0)
        return EXIT_DONE;
    if (errno == EEXIST)
        return cli_fail(cli, EXIT_LOCAL, "file_exists",
                        "%.300s is there already: --force replaces it.", given);
    return cannot_write(cli, given);
}

// Into a file beside it first: what bears the name is whole.
static enum cli_exit save(struct cli *cli, const json_t *file)
{
    char aside[PATH_MAX], path[PATH_MAX];
    const char *given = cli->options.value[OPT_OUTPUT];
    int n = given != NULL ? snprintf(aside, sizeof aside, "%s.%ld.part", given, (long)getpid())
                          : snprintf(aside, sizeof aside, "stoa-%ld.part", (long)getpid());
    if ((size_t)n >= sizeof aside)
        return cli_fail(cli, EXIT_USAGE, "usage", "The file's name is too long.");
    FD_AUTO int fd = open(aside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return cannot_write(cli, given != NULL ? given : aside);
    enum cli_exit exit = download(cli, file, fd);
    if (exit == EXIT_DONE)
        exit = check(cli, file, fd);
    if (exit == EXIT_DONE)
        exit = given != NULL ? settle_as(cli, aside, given, path) : settle(cli, aside, file, path);
    unlink(aside);
    return exit == EXIT_DONE ? tell(cli, file, path) : exit;
}

static enum cli_exit get(struct cli *cli, const char *id)
{
    json_auto_t *file = NULL;
    const char *given = cli->options.value[OPT_OUTPUT];
    bool to_stdout = given != NULL && strcmp(given, "-") == 0;
    if (to_stdout && cli->output.out_is_terminal)
        return cli_fail(cli, EXIT_USAGE, "usage",
                        "A stranger's file is not written to a terminal.");
    enum cli_exit exit = find(cli, id, &file);
    if (exit != EXIT_DONE)
        return exit;
    return to_stdout ? download(cli, file, STDOUT_FILENO) : save(cli, file);
}

// --- deleting ---

static bool is_meant(const struct cli *cli, const json_t *file)
{
    struct buf question;
    if (options_has(&cli->options, OPT_YES))
        return true;
    buf_init(&question, 2000);
    buf_add(&question, STR("Delete the file \""));
    escape_add(&question, show_member(file, "filename"));
    buf_add(&question, STR("\"? It cannot be undone."));
    AUTOFREE char *text = buf_take(&question);
    return cli_confirm(cli, text);
}

static enum cli_exit discard(struct cli *cli, const char *id)
{
    json_auto_t *file = NULL, *answer = NULL;
    enum cli_exit exit = find(cli, id, &file);
    if (exit != EXIT_DONE)
        return exit;
    if (!is_meant(cli, file))
        return cli_fail(cli, EXIT_USAGE, "not_confirmed",
                        "Nothing was deleted. Say yes on the terminal, or give --yes.");
    AUTOFREE char *path = api_path("/api/files/%s", id);
    struct api_request request = API_REQUEST("DELETE", path);
    exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (!cli->output.quiet) {
        fputs("Deleted ", stdout);
        output_text(&cli->output, stdout, STYLE_STRONG, show_member(answer, "filename"));
        fputc('\n', stdout);
    }
    return EXIT_DONE;
}

enum cli_exit command_files(struct cli *cli)
{
    const struct options *o = &cli->options;
    if (options_has(o, OPT_GET) && options_has(o, OPT_RM))
        return cli_fail(cli, EXIT_USAGE, "usage", "Give either --get ID or --rm ID.");
    if (options_has(o, OPT_OUTPUT) && !options_has(o, OPT_GET))
        return cli_fail(cli, EXIT_USAGE, "usage", "--output goes with --get ID.");
    if (options_has(o, OPT_GET))
        return get(cli, o->value[OPT_GET]);
    if (options_has(o, OPT_RM))
        return discard(cli, o->value[OPT_RM]);
    return list(cli);
}
