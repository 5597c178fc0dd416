// The catalogue: which apps of a platform its projects are offered, and under which tags.
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/show.h"

// --- showing ---

static void add_tags(struct listing *t, const json_t *piece)
{
    struct buf b;
    size_t i;
    json_t *tag;
    buf_init(&b, 65536);
    json_array_foreach(json_object_get(piece, "tags"), i, tag)
        buf_addf(&b, "%s%s", i != 0 ? "," : "", json_string_value(tag));
    listing_add(t, STYLE_NONE, buf_str(&b));
    buf_fini(&b);
}

static enum cli_exit show(struct cli *cli, json_t *answer)
{
    struct listing t;
    size_t i;
    json_t *piece;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (cli->output.quiet) {
        show_members(json_object_get(answer, "data"), "slug");
        return EXIT_DONE;
    }
    if (json_array_size(json_object_get(answer, "data")) == 0) {
        cli_note(cli, "There are no apps in the catalogue yet.");
        return EXIT_DONE;
    }
    listing_init(&t, 5);
    for (i = 0; i != 5; ++i)
        listing_add(&t, STYLE_DIM,
                    str_from((const char *[]){"APP", "NAME", "VERSION", "OFFERED", "TAGS"}[i]));
    json_array_foreach(json_object_get(answer, "data"), i, piece)
    {
        const json_t *offered = json_object_get(piece, "offered"); // the platform's own know
        listing_add(&t, STYLE_STRONG, show_member(piece, "slug"));
        listing_add(&t, STYLE_NONE, show_member(piece, "displayName"));
        listing_add(&t, STYLE_NONE, show_member(piece, "version"));
        listing_add(&t, STYLE_NONE,
                    offered == NULL || json_is_true(offered) ? STR("yes") : STR("no"));
        add_tags(&t, piece);
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
    return EXIT_DONE;
}

// --- changing ---

static void add_to(json_t *body, const char *key, json_t *text)
{
    if (json_object_get(body, key) == NULL)
        json_object_set_new(body, key, json_array());
    json_array_append_new(json_object_get(body, key), text);
}

// "+free,-old"; without a sign it is added.
static bool take_tags(str list, json_t *body)
{
    while (list.n != 0) {
        str tag = str_trim(str_cut(&list, ','));
        bool is_off = str_starts(tag, STR("-"));
        if (is_off || str_starts(tag, STR("+")))
            tag = str_skip(tag, 1);
        if (tag.n == 0)
            return false;
        add_to(body, is_off ? "removeTags" : "addTags", jsonx_string(tag));
    }
    return true;
}

static bool take(const char *arg, json_t *body)
{
    str value = str_from(arg), word = str_cut(&value, '=');
    if (!str_is_utf8(str_from(arg)))
        return false;
    if (strchr(arg, '=') == NULL) {
        add_to(body, "ids", json_string(arg));
        return true;
    }
    if (str_eq(word, STR("tags")))
        return take_tags(value, body);
    bool is_yes = str_eq(value, STR("yes"));
    json_object_set_new(body, "offered", json_boolean(is_yes));
    return str_eq(word, STR("offered")) && (is_yes || str_eq(value, STR("no")));
}

enum cli_exit command_pieces(struct cli *cli)
{
    const struct options *o = &cli->options;
    json_auto_t *answer = NULL, *body = json_object();
    for (size_t i = 0; i != o->n_args; ++i)
        if (!take(o->args[i], body))
            return cli_fail(cli, EXIT_USAGE, "usage",
                            "\"%.60s\" is neither an app nor a change: write offered=yes, "
                            "offered=no or tags=+TAG,-TAG.",
                            o->args[i]);
    struct api_request request = API_REQUEST("PATCH", "/api/pieces");
    request.json = body;
    if (o->n_args != 0 && json_object_get(body, "ids") == NULL)
        return cli_fail(cli, EXIT_USAGE, "usage", "Name the apps to change, too.");
    enum cli_exit exit =
        o->n_args == 0 ? api_list(cli, "/api/pieces", &answer) : api_call(cli, &request, &answer);
    return exit == EXIT_DONE ? show(cli, answer) : exit;
}
