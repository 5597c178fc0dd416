// A platform's signing keys: made or uploaded, shown, changed, ended. The private half of one that is
// made goes to a file that only the caller can read, or once to stdout.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/files.h"
#include "edge/cli/show.h"
#include "edge/cli/units.h"

enum { PEM_MAX = 64 * 1024, LINE_MAX_BYTES = 8192 };
#define KEYS "/api/v1/signing-keys"

// --- what is sent ---

static void add_words(json_t *list, str words)
{
    while (words.n != 0) {
        str word = str_trim(str_cut(&words, ','));
        if (word.n != 0)
            json_array_append_new(list, jsonx_string(word));
    }
}

// What a person pastes often ends in a slash.
static void add_origin(json_t *list, const char *text)
{
    str origin = str_from(text);
    if (str_ends(origin, STR("/")) && !str_ends(origin, STR("//")))
        --origin.n;
    add_words(list, origin);
}

static json_t *origins_given(const struct options *o)
{
    json_t *list = json_array();
    for (size_t i = 0; i != o->n_repeated; ++i)
        add_origin(list, o->repeated[i]);
    return list;
}

static json_t *ask_origins(const struct cli *cli)
{
    char line[LINE_MAX_BYTES];
    json_t *list = json_array();
    if (cli->output.json || !isatty(STDIN_FILENO))
        return list;
    fputs("Which pages may frame the builder and call the API? Their origins, such as\n"
          "https://app.example.com, with commas between; nothing: none may yet.\n> ",
          stderr);
    fflush(stderr);
    if (fgets(line, sizeof line, stdin) != NULL)
        add_words(list, str_of(line, strcspn(line, "\r\n")));
    return list;
}

static enum cli_exit read_public_key(struct cli *cli, json_t *body)
{
    struct fault fault = {0};
    struct stat st;
    struct buf text;
    buf_init(&text, PEM_MAX);
    enum fail fail = files_read(cli->options.value[OPT_PUBLIC_KEY], &text, &st, &fault);
    str pem = buf_str(&text);
    bool is_private = str_find_str(pem, STR("PRIVATE KEY")) != SIZE_MAX;
    if (fail == FAIL_NONE && !is_private)
        json_object_set_new(body, "publicKey", jsonx_string(pem));
    if (text.p != NULL)
        explicit_bzero(text.p, text.n);
    buf_fini(&text);
    if (is_private)
        return cli_fail(cli, EXIT_USAGE, "usage",
                        "That file holds a private key, which stays with you: give the public half "
                        "(openssl pkey -in FILE -pubout).");
    return fail == FAIL_NONE ? EXIT_DONE
                             : cli_fail(cli, EXIT_USAGE, fault.code, "%s", fault.public_text);
}

static enum cli_exit send(struct cli *cli, const char *method, const char *path, json_t *body,
                          json_t **ret)
{
    struct api_request request = API_REQUEST(method, path);
    request.json = body;
    return api_call(cli, &request, ret);
}

// --- create ---

static void warn_of_no_origins(const struct cli *cli, const json_t *key)
{
    if (json_array_size(json_object_get(key, "allowedOrigins")) == 0)
        cli_warn(cli, STR("Nothing may frame the builder with this key until it has an origin: "
                          "stoa signing-key update ID --origin URL"));
}

// Takes the private half out of the answer when it goes to a file.
static enum cli_exit keep_private(struct cli *cli, json_t *key)
{
    struct fault fault = {0};
    const char *path = cli->options.value[OPT_OUT];
    str pem = show_member(key, "privateKey");
    if (path == NULL || pem.n == 0)
        return EXIT_DONE;
    enum fail fail = files_write_private(path, pem, &fault);
    json_object_del(key, "privateKey");
    if (fail == FAIL_NONE)
        return EXIT_DONE;
    return cli_fail(cli, EXIT_LOCAL, fault.code,
                    "%s The private half of %s is lost: revoke that key and make another.",
                    fault.public_text, show_member(key, "id").p);
}

static enum cli_exit print_created(struct cli *cli, json_t *key)
{
    str pem = show_member(key, "privateKey");
    if (cli->output.json)
        return cli_json(cli, json_incref(key));
    warn_of_no_origins(cli, key);
    if (pem.n == 0) {
        cli_note(cli, "Made the signing key. Your tokens name it as their `kid`:");
        show_id(key);
        return EXIT_DONE;
    }
    fprintf(stderr, "kid: %s\n", show_member(key, "id").p);
    cli_note(cli, "The private half, which your backend signs with. It is not shown again:");
    fwrite(pem.p, 1, pem.n, stdout);
    return EXIT_DONE;
}

enum cli_exit command_signing_key_create(struct cli *cli)
{
    const struct options *o = &cli->options;
    json_auto_t *key = NULL;
    if (options_has(o, OPT_OUT) && options_has(o, OPT_PUBLIC_KEY))
        return cli_fail(cli, EXIT_USAGE, "usage",
                        "--out is for a key that is made here, --public-key for your own.");
    if (options_has(o, OPT_OUT) && !options_has(o, OPT_FORCE) &&
        access(o->value[OPT_OUT], F_OK) == 0)
        return cli_fail(cli, EXIT_LOCAL, "file_exists",
                        "\"%.200s\" is there already. --force replaces it.", o->value[OPT_OUT]);
    json_auto_t *body = json_pack("{s:o}", "displayName", jsonx_string(str_from(o->args[0])));
    json_object_set_new(body, "allowedOrigins",
                        options_has(o, OPT_ORIGIN) ? origins_given(o) : ask_origins(cli));
    enum cli_exit exit = options_has(o, OPT_PUBLIC_KEY) ? read_public_key(cli, body) : EXIT_DONE;
    if (exit == EXIT_DONE)
        exit = send(cli, "POST", KEYS, body, &key);
    if (exit == EXIT_DONE)
        exit = keep_private(cli, key);
    return exit == EXIT_DONE ? print_created(cli, key) : exit;
}

// --- list, show ---

static void print_list(const struct cli *cli, const json_t *list)
{
    static const char *const head[] = {"KEY", "NAME", "STATUS", "ORIGINS", "USED", "MADE"};
    struct listing t;
    size_t i;
    json_t *key;
    listing_init(&t, 6);
    for (i = 0; i != 6; ++i)
        listing_add(&t, STYLE_DIM, str_from(head[i]));
    json_array_foreach((json_t *)list, i, key)
    {
        char origins[24];
        snprintf(origins, sizeof origins, "%zu",
                 json_array_size(json_object_get(key, "allowedOrigins")));
        listing_add(&t, STYLE_NONE, show_member(key, "id"));
        listing_add(&t, STYLE_STRONG, show_member(key, "displayName"));
        listing_add(&t, STYLE_NONE, show_member(key, "status"));
        listing_add(&t, STYLE_NONE, str_from(origins));
        show_add_time(&t, key, "lastUsedAt");
        show_add_time(&t, key, "createdAt");
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

enum cli_exit command_signing_key_list(struct cli *cli)
{
    json_auto_t *answer = NULL;
    enum cli_exit exit = api_list(cli, KEYS, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    const json_t *list = json_object_get(answer, "data");
    if (cli->output.quiet)
        show_ids(list);
    else if (json_array_size(list) == 0)
        cli_note(cli, "There are no signing keys yet. `stoa signing-key create NAME` makes one.");
    else
        print_list(cli, list);
    return EXIT_DONE;
}

static void add_row(struct listing *t, const char *word, str value, const char *otherwise)
{
    listing_add(t, STYLE_STRONG, str_from(word));
    listing_add(t, value.n != 0 ? STYLE_NONE : STYLE_DIM,
                value.n != 0 ? value : str_from(otherwise));
}

// "7d", "12h", "90s": as `update` takes it.
static void add_span(struct listing *t, const char *word, const json_t *seconds,
                     const char *otherwise)
{
    static const struct {
        json_int_t seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    json_int_t n = json_integer_value(seconds);
    char text[32] = "";
    for (size_t i = 0; n != 0 && text[0] == '\0'; ++i)
        if (n % units[i].seconds == 0)
            snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT "%c", n / units[i].seconds,
                     units[i].letter);
    add_row(t, word, str_from(text), otherwise);
}

static void print_key(const struct cli *cli, const json_t *key)
{
    struct listing t;
    struct buf origins;
    size_t i;
    json_t *origin;
    buf_init(&origins, 65536);
    json_array_foreach(json_object_get(key, "allowedOrigins"), i, origin)
        buf_addf(&origins, "%s%s", i != 0 ? "," : "", json_string_value(origin));
    listing_init(&t, 2);
    add_row(&t, "id (kid)", show_member(key, "id"), "");
    add_row(&t, "name", show_member(key, "displayName"), "");
    add_row(&t, "status", show_member(key, "status"), "");
    add_row(&t, "origins", buf_str(&origins), "none: nothing may frame the builder");
    add_row(&t, "audience", show_member(key, "audience"), "any");
    add_span(&t, "max-lifetime", json_object_get(key, "maxLifetime"), "any");
    add_span(&t, "session", json_object_get(key, "sessionLength"), "");
    add_span(&t, "absolute", json_object_get(key, "absoluteLength"), "");
    add_row(&t, "single-use",
            json_is_true(json_object_get(key, "singleUse")) ? STR("yes") : STR("no"), "");
    listing_add(&t, STYLE_STRONG, STR("used"));
    show_add_time(&t, key, "lastUsedAt");
    listing_add(&t, STYLE_STRONG, STR("made"));
    show_add_time(&t, key, "createdAt");
    add_span(&t, "longest token", json_object_get(key, "longestLifetime"), "a day at most");
    listing_print(&t, &cli->output);
    listing_fini(&t);
    buf_fini(&origins);
    fputc('\n', stdout);
    escape_print(stdout, show_member(key, "publicKey"));
}

static enum cli_exit show_key(struct cli *cli, const json_t *key)
{
    if (cli->output.json)
        return cli_json(cli, json_incref((json_t *)key));
    if (cli->output.quiet)
        show_id(key);
    else
        print_key(cli, key);
    return EXIT_DONE;
}

enum cli_exit command_signing_key_show(struct cli *cli)
{
    json_auto_t *key = NULL;
    AUTOFREE char *path = api_path(KEYS "/%s", cli->options.args[0]);
    struct api_request request = API_REQUEST("GET", path);
    enum cli_exit exit = api_call(cli, &request, &key);
    return exit == EXIT_DONE ? show_key(cli, key) : exit;
}

// --- update ---

static bool take_span(json_t *body, const char *member, str value)
{
    int64_t ms;
    if (value.n == 0) {
        json_object_set_new(body, member, json_null());
        return true;
    }
    if (!units_parse_span(value, &ms))
        return false;
    json_object_set_new(body, member, json_integer((json_int_t)(ms / 1000)));
    return true;
}

static bool take_setting(json_t *body, str word, str value)
{
    bool is_yes = str_eq(value, STR("yes"));
    if (str_eq(word, STR("max-lifetime")))
        return take_span(body, "maxLifetime", value);
    if (str_eq(word, STR("session")))
        return take_span(body, "sessionLength", value);
    if (str_eq(word, STR("absolute")))
        return take_span(body, "absoluteLength", value);
    if (str_eq(word, STR("audience"))) {
        json_object_set_new(body, "audience", value.n != 0 ? jsonx_string(value) : json_null());
    } else if (str_eq(word, STR("origins"))) {
        json_t *list = json_array();
        add_words(list, value);
        json_object_set_new(body, "allowedOrigins", list);
    } else if (str_eq(word, STR("single-use")) && (is_yes || str_eq(value, STR("no")))) {
        json_object_set_new(body, "singleUse", json_boolean(is_yes));
    } else if (str_eq(word, STR("status"))) {
        json_object_set_new(body, "status",
                            json_string(str_eq(value, STR("active"))     ? "ACTIVE"
                                        : str_eq(value, STR("disabled")) ? "DISABLED"
                                                                         : "?"));
    } else {
        return false;
    }
    return true;
}

enum cli_exit command_signing_key_update(struct cli *cli)
{
    const struct options *o = &cli->options;
    json_auto_t *key = NULL, *body = json_object();
    if (options_has(o, OPT_ORIGIN))
        json_object_set_new(body, "allowedOrigins", origins_given(o));
    if (options_has(o, OPT_NAME))
        json_object_set_new(body, "displayName", jsonx_string(str_from(o->value[OPT_NAME])));
    for (size_t i = 1; i != o->n_args; ++i) {
        str value = str_from(o->args[i]);
        bool is_setting = str_find(value, '=') != SIZE_MAX;
        str word = str_cut(&value, '=');
        if (!is_setting || !take_setting(body, word, value))
            return cli_fail(cli, EXIT_USAGE, "usage",
                            "\"%.100s\" is no setting: see `stoa help signing-key update`.",
                            o->args[i]);
    }
    if (json_object_size(body) == 0)
        return cli_fail(cli, EXIT_USAGE, "usage",
                        "Say what to change: --origin, --name, or a "
                        "setting such as max-lifetime=10m.");
    AUTOFREE char *path = api_path(KEYS "/%s", o->args[0]);
    enum cli_exit exit = send(cli, "PATCH", path, body, &key);
    return exit == EXIT_DONE ? show_key(cli, key) : exit;
}

// --- revoke ---

enum cli_exit command_signing_key_revoke(struct cli *cli)
{
    char question[300];
    json_auto_t *key = NULL;
    snprintf(question, sizeof question,
             "Revoke %.200s? Its tokens are refused from now on, and every session that came by "
             "them ends.",
             cli->options.args[0]);
    if (!options_has(&cli->options, OPT_YES) && !cli_confirm(cli, question))
        return cli_fail(cli, EXIT_USAGE, "not_confirmed",
                        "Nothing was revoked. Say yes on the terminal, or give --yes.");
    AUTOFREE char *path = api_path(KEYS "/%s", cli->options.args[0]);
    struct api_request request = API_REQUEST("DELETE", path);
    enum cli_exit exit = api_call(cli, &request, &key);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(key));
    if (!cli->output.quiet)
        printf("Revoked; %" JSON_INTEGER_FORMAT " sessions ended.\n",
               json_integer_value(json_object_get(key, "sessionsEnded")));
    return EXIT_DONE;
}
