// Platforms that embed the builder: what the operator does for one, and what one sees of its own.
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/show.h"

enum { NEWEST = 100, MEMBERSHIPS_MAX = 16 * 1024 };

static void add_head(struct listing *t, const char *const *names, size_t n)
{
    listing_init(t, n);
    for (size_t i = 0; i != n; ++i)
        listing_add(t, STYLE_DIM, str_from(names[i]));
}

// The whole list, or `path`'s page alone; printed by `print` unless --json or --quiet say otherwise.
static enum cli_exit show_list(struct cli *cli, const char *path, bool all, const char *none,
                               void (*print)(const struct cli *cli, const json_t *list))
{
    json_auto_t *answer = NULL;
    struct api_request request = API_REQUEST("GET", path);
    enum cli_exit exit = all ? api_list(cli, path, &answer) : api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    const json_t *list = json_object_get(answer, "data");
    if (cli->output.quiet)
        show_ids(list);
    else if (json_array_size(list) == 0)
        cli_note(cli, "%s", none);
    else
        print(cli, list);
    return EXIT_DONE;
}

// --- the operator's side ---

// Sends what makes a token and prints that alone on stdout.
static enum cli_exit make(struct cli *cli, const char *path, json_t *body, const char *done)
{
    json_auto_t *answer = NULL;
    struct api_request request = API_REQUEST("POST", path);
    request.json = body;
    enum cli_exit exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    cli_note(cli, "%s", done);
    show_secret(cli, answer);
    return EXIT_DONE;
}

static json_t *name_body(const struct cli *cli, const char *member, const char *otherwise)
{
    const struct options *o = &cli->options;
    const char *name = options_has(o, OPT_NAME) ? o->value[OPT_NAME] : otherwise;
    return json_pack("{s:o}", member, jsonx_string(str_from(name)));
}

enum cli_exit command_platform_create(struct cli *cli)
{
    const char *slug = cli->options.args[0];
    json_auto_t *body = name_body(cli, "displayName", slug);
    json_object_set_new(body, "slug", jsonx_string(str_from(slug)));
    return make(cli, "/api/v1/platforms", body, "Made the platform. Its first token:");
}

enum cli_exit command_platform_token(struct cli *cli)
{
    AUTOFREE char *path = api_path("/api/v1/platforms/%s/tokens", cli->options.args[0]);
    json_auto_t *body = name_body(cli, "name", "platform token");
    return make(cli, path, body, "Made another token of the platform:");
}

static void print_platforms(const struct cli *cli, const json_t *list)
{
    struct listing t;
    size_t i;
    json_t *platform;
    add_head(&t, (const char *[]){"PLATFORM", "SLUG", "NAME", "MADE", "OWNER PROJECT"}, 5);
    json_array_foreach((json_t *)list, i, platform)
    {
        listing_add(&t, STYLE_NONE, show_member(platform, "id"));
        listing_add(&t, STYLE_STRONG, show_member(platform, "slug"));
        listing_add(&t, STYLE_NONE, show_member(platform, "displayName"));
        show_add_time(&t, platform, "createdAt");
        listing_add(&t, STYLE_DIM, show_member(platform, "ownerProjectId"));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

enum cli_exit command_platform_list(struct cli *cli)
{
    return show_list(cli, "/api/v1/platforms", true,
                     "There are no platforms yet. `stoa platform create SLUG` makes one.",
                     print_platforms);
}

// --- the platform's side ---

static void print_projects(const struct cli *cli, const json_t *list)
{
    struct listing t;
    size_t i;
    json_t *project;
    add_head(&t, (const char *[]){"PROJECT", "EXTERNAL ID", "NAME", "MADE", "CATALOGUE"}, 5);
    json_array_foreach((json_t *)list, i, project)
    {
        bool is_owner = json_is_true(json_object_get(project, "isOwnerProject"));
        bool is_filtered = str_eq(show_member(project, "piecesFilterType"), STR("ALLOWED"));
        listing_add(&t, STYLE_NONE, show_member(project, "id"));
        listing_add(&t, STYLE_STRONG,
                    is_owner ? STR("(owner project)") : show_member(project, "externalId"));
        listing_add(&t, STYLE_NONE, show_member(project, "displayName"));
        show_add_time(&t, project, "createdAt");
        listing_add(&t, STYLE_NONE, is_filtered ? STR("by tags") : STR("whole"));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

enum cli_exit command_platform_projects(struct cli *cli)
{
    return show_list(cli, "/api/v1/projects", true, "The platform has no projects yet.",
                     print_projects);
}

// "Admin in ws-1, Editor in ws-2".
static void add_memberships(struct listing *t, const json_t *user)
{
    struct buf text;
    size_t i;
    json_t *m;
    buf_init(&text, MEMBERSHIPS_MAX);
    json_array_foreach(json_object_get(user, "projects"), i, m)
    {
        str external = show_member(m, "externalId"), role = show_member(m, "role");
        str project = external.n != 0 ? external : show_member(m, "projectId");
        buf_addf(&text, "%s%.*s in %.*s", i != 0 ? ", " : "", STR_FMT(role), STR_FMT(project));
    }
    listing_add(t, STYLE_NONE, buf_str(&text));
    buf_fini(&text);
}

static void print_users(const struct cli *cli, const json_t *list)
{
    struct listing t;
    size_t i;
    json_t *user;
    add_head(&t, (const char *[]){"USER", "EXTERNAL ID", "NAME", "STATUS", "SEEN", "ROLES"}, 6);
    json_array_foreach((json_t *)list, i, user)
    {
        bool is_active = str_eq(show_member(user, "status"), STR("ACTIVE"));
        listing_add(&t, STYLE_NONE, show_member(user, "id"));
        listing_add(&t, STYLE_STRONG, show_member(user, "externalId"));
        listing_add(&t, STYLE_NONE, show_member(user, "displayName"));
        listing_add(&t, is_active ? STYLE_GOOD : STYLE_BAD, is_active ? STR("active") : STR("off"));
        show_add_time(&t, user, "lastSeenAt");
        add_memberships(&t, user);
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

static enum cli_exit switch_user(struct cli *cli, const char *id, bool on)
{
    json_auto_t *answer = NULL;
    json_auto_t *body = json_pack("{s:s}", "status", on ? "ACTIVE" : "INACTIVE");
    AUTOFREE char *path = api_path("/api/v1/users/%s", id);
    struct api_request request = API_REQUEST("PATCH", path);
    request.json = body;
    enum cli_exit exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (!cli->output.quiet)
        printf(on ? "On: the next token of theirs lets them in.\n"
                  : "Off: their sessions are over, and no token lets them in.\n");
    return EXIT_DONE;
}

enum cli_exit command_platform_users(struct cli *cli)
{
    const struct options *o = &cli->options;
    if (options_has(o, OPT_OFF) && options_has(o, OPT_ON))
        return cli_fail(cli, EXIT_USAGE, "usage", "--off and --on cannot both be given.");
    if (options_has(o, OPT_OFF))
        return switch_user(cli, o->value[OPT_OFF], false);
    if (options_has(o, OPT_ON))
        return switch_user(cli, o->value[OPT_ON], true);
    return show_list(cli, "/api/v1/users", true,
                     "The platform has no users yet: the exchange of a token makes them.",
                     print_users);
}

static void print_events(const struct cli *cli, const json_t *list)
{
    struct listing t;
    size_t i;
    json_t *event;
    add_head(&t, (const char *[]){"WHEN", "ACTION", "OF", "BY", "FROM", "PROJECT"}, 6);
    json_array_foreach((json_t *)list, i, event)
    {
        show_add_time(&t, event, "at");
        listing_add(&t, STYLE_STRONG, show_member(event, "action"));
        listing_add(&t, STYLE_NONE, show_member(event, "subject"));
        listing_add(&t, STYLE_NONE, show_member(event, "actor"));
        listing_add(&t, STYLE_NONE, show_member(event, "address"));
        listing_add(&t, STYLE_DIM, show_member(event, "projectId"));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

enum cli_exit command_platform_audit(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct buf path;
    AUTOFREE char *project =
        options_has(o, OPT_PROJECT) ? api_path("%s", o->value[OPT_PROJECT]) : NULL;
    buf_init(&path, 4096);
    buf_addf(&path, "/api/v1/audit-events?limit=%d", NEWEST);
    if (project != NULL)
        buf_addf(&path, "&projectId=%s", project);
    AUTOFREE char *whole = buf_take(&path);
    return show_list(cli, whole, false, "Nothing has happened yet.", print_events);
}
