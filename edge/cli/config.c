// An instance's config values: what the manifest's userFields ask for.
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/show.h"
#include <stdlib.h>

static char *path_of(const char *instance)
{
    return api_path("/api/public-apps/instances/%s/config", instance);
}

static enum cli_exit fetch(struct cli *cli, const char *path, json_t **ret)
{
    struct api_request request = API_REQUEST("GET", path);
    return api_call(cli, &request, ret);
}

// --- showing ---

static char *value_text(const json_t *value)
{
    if (value == NULL)
        return str_dup((str){0});
    if (json_is_string(value))
        return str_dup(str_of(json_string_value(value), json_string_length(value)));
    return jsonx_dump(value, NULL);
}

static void show(struct cli *cli, const json_t *config)
{
    struct listing t;
    const char *name;
    json_t *field;
    const json_t *values = json_object_get(config, "values"), *own = json_object_get(config, "set");
    if (json_object_size(json_object_get(config, "fields")) == 0) {
        cli_note(cli, "The manifest asks for no values.");
        return;
    }
    listing_init(&t, 5);
    for (size_t i = 0; i != 5; ++i)
        listing_add(&t, STYLE_DIM,
                    str_from((const char *[]){"FIELD", "VALUE", "FROM", "TYPE", "LABEL"}[i]));
    json_object_foreach(json_object_get(config, "fields"), name, field)
    {
        const json_t *value = json_object_get(values, name);
        AUTOFREE char *text = value_text(value);
        bool is_required = json_is_true(json_object_get(field, "required"));
        bool is_own = json_object_get(own, name) != NULL;
        listing_add(&t, STYLE_STRONG, str_from(name));
        listing_add(&t, STYLE_NONE, str_from(text));
        listing_add(&t, value == NULL && is_required ? STYLE_BAD : STYLE_DIM,
                    str_from(is_own          ? "set"
                             : value != NULL ? "default"
                             : is_required   ? "missing"
                                             : ""));
        listing_add(&t, STYLE_DIM, show_member(field, "type"));
        listing_add(&t, STYLE_DIM, show_member(field, "label"));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

// --- changing ---

static json_t *tags_of(str text)
{
    json_t *list = json_array();
    if (str_starts(text, STR("["))) {
        json_decref(list);
        return jsonx_parse(text, NULL);
    }
    while (text.n != 0) {
        str tag = str_trim(str_cut(&text, ','));
        if (tag.n != 0)
            json_array_append_new(list, jsonx_string(tag));
    }
    return list;
}

// As the field's type reads it; text where that is not possible, which the server then refuses in
// its own words.
static json_t *value_of(const json_t *field, str text)
{
    str type = show_member(field, "type");
    json_t *value = NULL;
    if (str_eq(type, STR("number")))
        value = json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);
    else if (str_eq(type, STR("boolean")) &&
             (str_eq(text, STR("true")) || str_eq(text, STR("yes"))))
        value = json_true();
    else if (str_eq(type, STR("boolean")) &&
             (str_eq(text, STR("false")) || str_eq(text, STR("no"))))
        value = json_false();
    else if (str_eq(type, STR("tags")))
        value = tags_of(text);
    return value != NULL ? value : jsonx_string(text);
}

static bool take(const char *arg, const json_t *fields, json_t *values)
{
    str text = str_from(arg), name = str_cut(&text, '=');
    AUTOFREE char *key = str_dup(name);
    if (strchr(arg, '=') == NULL || name.n == 0 || !str_is_utf8(str_from(arg)))
        return false;
    if (text.n == 0)
        json_object_del(values, key);
    else
        json_object_set_new(values, key, value_of(json_object_get(fields, key), text));
    return true;
}

static enum cli_exit put(struct cli *cli, const char *path, json_t *values, json_t **ret)
{
    json_auto_t *body = json_pack("{s:O}", "values", values);
    struct api_request request = API_REQUEST("PUT", path);
    request.json = body;
    return api_call(cli, &request, ret);
}

static enum cli_exit change(struct cli *cli, const char *path, json_t **config)
{
    const struct options *o = &cli->options;
    json_auto_t *values = json_deep_copy(json_object_get(*config, "set"));
    json_t *answer = NULL;
    for (size_t i = 1; i != o->n_args; ++i)
        if (!take(o->args[i], json_object_get(*config, "fields"), values))
            return cli_fail(cli, EXIT_USAGE, "usage",
                            "Write FIELD=VALUE, or FIELD= for its default.");
    enum cli_exit exit = put(cli, path, values, &answer);
    if (exit != EXIT_DONE)
        return exit;
    json_decref(*config);
    *config = answer;
    return EXIT_DONE;
}

enum cli_exit command_config(struct cli *cli)
{
    const struct options *o = &cli->options;
    AUTOFREE char *instance = NULL;
    json_auto_t *config = NULL;
    enum cli_exit exit = api_instance_of(
        cli, options_has(o, OPT_INSTANCE) ? o->value[OPT_INSTANCE] : o->args[0], &instance);
    if (exit != EXIT_DONE)
        return exit;
    AUTOFREE char *path = path_of(instance);
    exit = fetch(cli, path, &config);
    if (exit == EXIT_DONE && o->n_args > 1)
        exit = change(cli, path, &config);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(config));
    if (!cli->output.quiet)
        show(cli, config);
    return EXIT_DONE;
}
