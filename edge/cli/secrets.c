// Secrets by name. Which of the two kinds a name is of, the manifest says: developerSecrets are the
// app's, userSecrets an instance's.
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/prompt.h"
#include "edge/cli/show.h"

enum { SECRET_MAX = 64 << 10 };

// Both lists, and where they are from.
struct secrets {
    char *plugin_path, *instance_path;
    json_t *of_plugin, *of_instance; // NULL: not asked for
};

static void secrets_fini(struct secrets *s)
{
    free(s->plugin_path);
    free(s->instance_path);
    json_decref(s->of_plugin);
    json_decref(s->of_instance);
}
#define SECRETS_AUTO __attribute__((cleanup(secrets_fini))) struct secrets

static enum cli_exit fetch(struct cli *cli, const char *path, json_t **ret)
{
    struct api_request request = API_REQUEST("GET", path); // all of them: it has no pages
    return api_call(cli, &request, ret);
}

// The plugin's too, unless an instance was named.
static enum cli_exit find(struct cli *cli, const char *app, struct secrets *s)
{
    AUTOFREE char *instance = NULL;
    json_auto_t *about = NULL;
    const char *named = cli->options.value[OPT_INSTANCE];
    *s = (struct secrets){.plugin_path = NULL};
    enum cli_exit exit = api_instance_of(cli, named != NULL ? named : app, &instance);
    if (exit != EXIT_DONE)
        return exit;
    AUTOFREE char *path = api_path("/api/public-apps/instances/%s", instance);
    exit = fetch(cli, path, &about);
    if (exit != EXIT_DONE)
        return exit;
    AUTOFREE char *plugin = str_dup(show_member(about, "pluginId"));
    s->plugin_path = api_path("/api/plugins/%s/secrets", plugin);
    s->instance_path = api_path("/api/public-apps/instances/%s/secrets", instance);
    exit = named == NULL ? fetch(cli, s->plugin_path, &s->of_plugin) : EXIT_DONE;
    return exit == EXIT_DONE ? fetch(cli, s->instance_path, &s->of_instance) : exit;
}

// --- listing ---

static void add_rows(struct listing *t, const json_t *list, const char *whose)
{
    size_t i;
    json_t *secret;
    json_array_foreach(json_object_get(list, "data"), i, secret)
    {
        bool is_set = json_is_true(json_object_get(secret, "set"));
        bool is_required = json_is_true(json_object_get(secret, "required"));
        bool is_declared = json_is_true(json_object_get(secret, "declared"));
        listing_add(t, STYLE_STRONG, show_member(secret, "name"));
        listing_add(t, STYLE_NONE, str_from(whose));
        listing_add(t,
                    is_set        ? STYLE_GOOD
                    : is_required ? STYLE_BAD
                                  : STYLE_DIM,
                    str_from(is_set        ? "set"
                             : is_required ? "missing"
                                           : "not set"));
        show_add_time(t, secret, "updatedAt");
        listing_add(t, STYLE_DIM,
                    is_declared ? show_member(secret, "description")
                                : STR("no longer declared by the manifest"));
    }
}

static enum cli_exit list(struct cli *cli, const char *app)
{
    struct listing t;
    SECRETS_AUTO s;
    enum cli_exit exit = find(cli, app, &s);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_pack("{s:o*, s:O}", "plugin",
                                       json_incref(json_object_get(s.of_plugin, "data")),
                                       "instance", json_object_get(s.of_instance, "data")));
    if (cli->output.quiet) {
        show_members(json_object_get(s.of_plugin, "data"), "name");
        show_members(json_object_get(s.of_instance, "data"), "name");
        return EXIT_DONE;
    }
    if (json_array_size(json_object_get(s.of_plugin, "data")) +
            json_array_size(json_object_get(s.of_instance, "data")) ==
        0) {
        cli_note(cli, "The manifest of \"%.80s\" asks for no secrets.", app);
        return EXIT_DONE;
    }
    listing_init(&t, 5);
    for (size_t i = 0; i != 5; ++i)
        listing_add(&t, STYLE_DIM,
                    str_from((const char *[]){"SECRET", "OF", "STATE", "SINCE", "FOR"}[i]));
    add_rows(&t, s.of_plugin, "app");
    add_rows(&t, s.of_instance, "instance");
    listing_print(&t, &cli->output);
    listing_fini(&t);
    return EXIT_DONE;
}

// --- setting and removing ---

static bool has(const json_t *list, const char *name, const char *flag)
{
    size_t i;
    json_t *secret;
    json_array_foreach(json_object_get(list, "data"), i, secret)
    {
        if (str_eq(show_member(secret, "name"), str_from(name)))
            return json_is_true(json_object_get(secret, flag));
    }
    return false;
}

// Its path; an unknown name is the app's, whose refusal names those that are declared.
static char *path_of(const struct secrets *s, const char *name, const char *flag)
{
    bool is_instances =
        s->of_plugin == NULL || (!has(s->of_plugin, name, flag) && has(s->of_instance, name, flag));
    AUTOFREE char *segment = api_path("%s", name);
    struct buf b;
    buf_init(&b, 65536);
    buf_addf(&b, "%s/%s", is_instances ? s->instance_path : s->plugin_path, segment);
    return buf_take(&b);
}

static enum cli_exit send(struct cli *cli, struct api_request *request, const char *done)
{
    json_auto_t *answer = NULL;
    enum cli_exit exit = api_call(cli, request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (!cli->output.quiet) {
        printf("%s ", done);
        output_text(&cli->output, stdout, STYLE_STRONG, show_member(answer, "name"));
        fputc('\n', stdout);
    }
    return EXIT_DONE;
}

static enum cli_exit set_value(struct cli *cli, const char *path, str value)
{
    if (!str_is_utf8(value))
        return cli_fail(cli, EXIT_USAGE, "usage",
                        "The value is not UTF-8 text; encode it, as base64 for example.");
    json_t *body = json_pack("{s:o}", "value", json_stringn(value.p, value.n));
    if (body == NULL || memchr(value.p, '\0', value.n) != NULL) {
        json_decref(body);
        return cli_fail(cli, EXIT_USAGE, "usage", "The value holds a NUL byte.");
    }
    struct api_request request = API_REQUEST("PUT", path);
    request.json = body;
    enum cli_exit exit = send(cli, &request, "Set");
    const json_t *copy = json_object_get(body, "value");
    explicit_bzero((char *)json_string_value(copy), json_string_length(copy));
    json_decref(body);
    return exit;
}

static enum cli_exit set(struct cli *cli, const char *app, const char *name)
{
    SECRETS_AUTO s;
    struct fault fault;
    struct buf value;
    char question[160];
    enum cli_exit exit = find(cli, app, &s);
    if (exit != EXIT_DONE)
        return exit;
    snprintf(question, sizeof question, "Value of %.100s: ", name);
    buf_init(&value, SECRET_MAX + 2);
    enum fail fail = prompt_value(question, cli->options.value[OPT_FILE], &value, &fault);
    AUTOFREE char *path = path_of(&s, name, "declared");
    exit = fail == FAIL_NONE ? set_value(cli, path, buf_str(&value)) : cli_fault(cli, &fault);
    prompt_forget(&value);
    return exit;
}

static enum cli_exit discard(struct cli *cli, const char *app, const char *name)
{
    SECRETS_AUTO s;
    enum cli_exit exit = find(cli, app, &s);
    if (exit != EXIT_DONE)
        return exit;
    AUTOFREE char *path = path_of(&s, name, "set");
    struct api_request request = API_REQUEST("DELETE", path);
    return send(cli, &request, "Deleted");
}

enum cli_exit command_secrets(struct cli *cli)
{
    const struct options *o = &cli->options;
    const char *word = o->n_args > 1 ? o->args[1] : "";
    bool is_set = strcmp(word, "set") == 0, is_rm = strcmp(word, "rm") == 0;
    if (o->n_args == 1 && !options_has(o, OPT_FILE))
        return list(cli, o->args[0]);
    // what stands behind the name may be the value: not repeated, as it may be seen
    if (o->n_args != 3 || !(is_set || is_rm) || (options_has(o, OPT_FILE) && !is_set))
        return cli_fail(cli, EXIT_USAGE, "usage",
                        "Write stoa secrets APP, stoa secrets APP set NAME, or stoa secrets APP rm "
                        "NAME. The value is asked for, or read from stdin or --file.");
    return is_set ? set(cli, o->args[0], o->args[2]) : discard(cli, o->args[0], o->args[2]);
}
