// Who is told of heartbeat events: the project's subscriptions.
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/show.h"
#include <inttypes.h>

enum { NAMES_MAX = 16 * 1024 };

// "received, paid", or "all".
static void add_names(struct listing *t, const json_t *subscription)
{
    struct buf names;
    size_t i;
    json_t *name;
    buf_init(&names, NAMES_MAX);
    json_array_foreach(json_object_get(subscription, "events"), i, name)
    {
        const char *text = json_string_value(name);
        if (text != NULL)
            buf_addf(&names, "%s%s", i != 0 ? ", " : "", strcmp(text, "*") == 0 ? "all" : text);
    }
    listing_add(t, STYLE_STRONG, buf_str(&names));
    buf_fini(&names);
}

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

// "3 waiting, 1 given up", or that all went well.
static void add_state(struct listing *t, const json_t *subscription)
{
    char text[80];
    int64_t waiting = number(subscription, "waiting"), dead = number(subscription, "dead");
    str failed = show_member(subscription, "failedAt"),
        delivered = show_member(subscription, "deliveredAt");
    // both are RFC 3339 UTC with milliseconds: in the order of their bytes
    bool is_failing = failed.n != 0 && str_cmp(failed, delivered) > 0;
    if (waiting != 0 || dead != 0) {
        snprintf(text, sizeof text, "%" PRId64 " waiting, %" PRId64 " given up", waiting, dead);
        listing_add(t, is_failing ? STYLE_BAD : STYLE_WARN, str_from(text));
    } else if (is_failing) {
        listing_add(t, STYLE_BAD, STR("failing"));
    } else {
        listing_add(t, STYLE_GOOD, delivered.n != 0 ? STR("fine") : STR(""));
    }
}

static void print_subscriptions(const struct cli *cli, const json_t *list)
{
    struct listing t;
    size_t i;
    json_t *subscription;
    listing_init(&t, 7);
    for (i = 0; i != 7; ++i)
        listing_add(&t, STYLE_DIM,
                    str_from((const char *[]){"SUBSCRIPTION", "EVENTS", "OF", "TOLD", "STATE",
                                              "URL", "WHY"}[i]));
    json_array_foreach((json_t *)list, i, subscription)
    {
        str instance = show_member(subscription, "instanceId");
        listing_add(&t, STYLE_NONE, show_member(subscription, "id"));
        add_names(&t, subscription);
        listing_add(&t, STYLE_NONE, instance.n != 0 ? instance : STR("all apps"));
        show_add_time(&t, subscription, "deliveredAt");
        add_state(&t, subscription);
        listing_add(&t, STYLE_LINK, show_member(subscription, "url"));
        listing_add(&t, STYLE_NONE, show_member(subscription, "failure"));
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

enum cli_exit command_subscriptions_list(struct cli *cli)
{
    json_auto_t *answer = NULL;
    enum cli_exit exit = api_list(cli, "/api/event-subscriptions", &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    const json_t *list = json_object_get(answer, "data");
    if (cli->output.quiet)
        show_ids(list);
    else if (json_array_size(list) == 0)
        cli_note(cli, "There are no subscriptions yet. `stoa subscriptions add URL` makes one.");
    else
        print_subscriptions(cli, list);
    return EXIT_DONE;
}

// --- making one ---

static json_t *wanted_events(const struct options *o)
{
    json_t *events = json_array();
    for (size_t i = 1; i < o->n_args; ++i)
        json_array_append_new(events, jsonx_string(str_from(o->args[i])));
    if (json_array_size(events) == 0)
        json_array_append_new(events, json_string("*"));
    return events;
}

// Whether the URL names this machine or a private network outright. What a name leads to is the
// server's to see, each time it connects.
static bool is_private(str url)
{
    static const char *const begins[] = {"127.",  "10.", "192.168.", "169.254.",
                                         "[::1]", "[fc", "[fd"};
    size_t scheme = str_find_str(url, STR("://"));
    str host = scheme != SIZE_MAX ? str_skip(url, scheme + 3) : url;
    host = str_of(host.p, strcspn(host.p, "/?#"));
    str name = host;
    name = str_cut(&name, ':');
    for (size_t i = 0; i != sizeof begins / sizeof begins[0]; ++i)
        if (str_starts(host, str_from(begins[i])))
            return true;
    return str_eq(name, STR("localhost")) || str_ends(name, STR(".localhost"));
}

// The secret alone on stdout; what is said about it goes to stderr.
static void show_made(struct cli *cli, const json_t *answer)
{
    AUTOFREE char *id = str_dup(show_member(answer, "id"));
    escape_print(stdout, show_member(answer, "secret"));
    fputc('\n', stdout);
    fflush(stdout);
    cli_note(cli, "Made %s. The secret above signs what is sent; keep it: it is not shown again.",
             id);
}

enum cli_exit command_subscriptions_add(struct cli *cli)
{
    const struct options *o = &cli->options;
    AUTOFREE char *instance = NULL;
    json_auto_t *answer = NULL;
    json_auto_t *body = json_pack("{s:o, s:o}", "url", jsonx_string(str_from(o->args[0])), "events",
                                  wanted_events(o));
    enum cli_exit exit = options_has(o, OPT_INSTANCE)
                             ? api_instance_of(cli, o->value[OPT_INSTANCE], &instance)
                             : EXIT_DONE;
    if (exit != EXIT_DONE)
        return exit;
    if (instance != NULL)
        json_object_set_new(body, "instance", json_string(instance));
    struct api_request request = API_REQUEST("POST", "/api/event-subscriptions");
    request.json = body;
    exit = api_call(cli, &request, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    show_made(cli, answer);
    if (is_private(str_from(o->args[0])))
        cli_warn(cli, STR("events are sent to public addresses only; to this one nothing is, "
                          "unless the server's setting fetch_allow names it."));
    return EXIT_DONE;
}

// --- ending one ---

enum cli_exit command_subscriptions_rm(struct cli *cli)
{
    AUTOFREE char *path = api_path("/api/event-subscriptions/%s", cli->options.args[0]);
    return api_delete(cli, path, "Deleted. What was still to be told goes with it.");
}
