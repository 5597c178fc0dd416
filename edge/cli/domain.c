// Custom domains: from a name to what to add where, and whether it is there.
#include <stdio.h>
#include <time.h>
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/domain_show.h"
#include "edge/cli/show.h"

enum { WAIT_FIRST_S = 5, WAIT_LONGEST_S = 30, WAIT_MOST_S = 60 * 60 };

static char *path_of(const struct cli *cli)
{
    return api_path("/api/public-apps/domains/%s", cli->options.args[0]);
}

static char *path_below(const struct cli *cli, const char *what)
{
    return api_path("/api/public-apps/domains/%s/%s", cli->options.args[0], what);
}

// --- list ---

static enum style style_of(str status)
{
    return str_eq(status, STR("verified"))  ? STYLE_GOOD
           : str_eq(status, STR("pending")) ? STYLE_WARN
                                            : STYLE_BAD;
}

static void print_domains(const struct cli *cli, const json_t *list)
{
    struct listing t;
    size_t i;
    json_t *domain;
    listing_init(&t, 5);
    for (i = 0; i != 5; ++i)
        listing_add(
            &t, STYLE_DIM,
            str_from((const char *[]){"DOMAIN", "STATUS", "INSTANCE", "CHECKED", "NEXT CHECK"}[i]));
    json_array_foreach((json_t *)list, i, domain)
    {
        str status = show_member(domain, "status");
        listing_add(&t, STYLE_STRONG, show_member(domain, "unicodeHostname"));
        listing_add(&t, style_of(status), status);
        listing_add(&t, STYLE_NONE, show_member(domain, "instanceSlug"));
        show_add_time(&t, domain, "checkedAt");
        show_add_time(&t, domain, "nextCheckAt");
    }
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

enum cli_exit command_domain_list(struct cli *cli)
{
    json_auto_t *answer = NULL;
    enum cli_exit exit = api_list(cli, "/api/public-apps/domains", &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    const json_t *list = json_object_get(answer, "data");
    if (cli->output.quiet)
        show_ids(list);
    else if (json_array_size(list) == 0)
        cli_note(cli, "There are no domains yet. `stoa domain add NAME APP` begins with one.");
    else
        print_domains(cli, list);
    return EXIT_DONE;
}

// --- show ---

// What DNS answers now stands in for what was seen last; without it (asked too often, or the claim
// has ended) the latter is shown.
static void look_now(struct cli *cli, json_t *domain)
{
    AUTOFREE char *path = path_below(cli, "dns");
    struct api_reply reply;
    struct api_request request = API_REQUEST("GET", path);
    api_send(cli, &request, &reply);
    if (reply.exit == EXIT_DONE) {
        json_object_set(domain, "dns", json_object_get(reply.body, "verification"));
        json_object_set(domain, "routing", json_object_get(reply.body, "routing"));
    }
    api_reply_fini(&reply);
}

enum cli_exit command_domain_show(struct cli *cli)
{
    AUTOFREE char *path = path_of(cli);
    json_auto_t *domain = NULL;
    struct api_request request = API_REQUEST("GET", path);
    enum cli_exit exit = api_call(cli, &request, &domain);
    if (exit != EXIT_DONE)
        return exit;
    look_now(cli, domain);
    if (cli->output.json)
        return cli_json(cli, json_incref(domain));
    if (cli->output.quiet)
        show_id(domain);
    else
        show_domain(cli, domain);
    return EXIT_DONE;
}

// --- changes ---

// Shows what became of it, after a word or two.
static enum cli_exit finish(struct cli *cli, const char *done, const json_t *domain)
{
    if (cli->output.json)
        return cli_json(cli, json_incref((json_t *)domain));
    if (cli->output.quiet) {
        show_id(domain);
        return EXIT_DONE;
    }
    printf("%s ", done);
    output_text(&cli->output, stdout, STYLE_STRONG, show_member(domain, "unicodeHostname"));
    fputs("\n\n", stdout);
    show_domain(cli, domain);
    return EXIT_DONE;
}

static enum cli_exit change(struct cli *cli, const char *method, const json_t *body,
                            const char *done)
{
    AUTOFREE char *path = path_of(cli);
    struct api_reply reply;
    struct api_request request = API_REQUEST(method, path);
    request.json = (json_t *)body;
    api_send(cli, &request, &reply);
    enum cli_exit exit = reply.exit == EXIT_DONE ? finish(cli, done, reply.body)
                                                 : api_report(cli, &reply, NULL, false);
    api_reply_fini(&reply);
    return exit;
}

enum cli_exit command_domain_add(struct cli *cli)
{
    const struct options *o = &cli->options;
    AUTOFREE char *instance = NULL;
    json_auto_t *domain = NULL;
    enum cli_exit exit = api_instance_of(cli, o->args[1], &instance);
    if (exit != EXIT_DONE)
        return exit;
    json_auto_t *body = json_pack("{s:o, s:s}", "hostname", jsonx_string(str_from(o->args[0])),
                                  "instanceId", instance);
    struct api_request request = API_REQUEST("POST", "/api/public-apps/domains");
    request.json = body;
    exit = api_call(cli, &request, &domain);
    return exit == EXIT_DONE ? finish(cli, "Added", domain) : exit;
}

enum cli_exit command_domain_move(struct cli *cli)
{
    AUTOFREE char *instance = NULL;
    enum cli_exit exit = api_instance_of(cli, cli->options.args[1], &instance);
    if (exit != EXIT_DONE)
        return exit;
    json_auto_t *body = json_pack("{s:s}", "instanceId", instance);
    return change(cli, "PATCH", body, "Moved");
}

enum cli_exit command_domain_rm(struct cli *cli)
{
    char question[300];
    snprintf(question, sizeof question,
             "Give up \"%.200s\"? It is served no longer, and needs a new proof to come back.",
             cli->options.args[0]);
    if (!options_has(&cli->options, OPT_YES) && !cli_confirm(cli, question))
        return cli_fail(cli, EXIT_USAGE, "not_confirmed",
                        "Nothing was given up. Say yes on the terminal, or give --yes.");
    AUTOFREE char *path = path_of(cli);
    json_auto_t *domain = NULL;
    struct api_request request = API_REQUEST("DELETE", path);
    enum cli_exit exit = api_call(cli, &request, &domain);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(domain));
    if (!cli->output.quiet) {
        fputs("Gave up ", stdout);
        output_text(&cli->output, stdout, STYLE_STRONG, show_member(domain, "unicodeHostname"));
        fputc('\n', stdout);
    }
    return EXIT_DONE;
}

// --- settings ---

// "31536000", "31536000/subdomains" or nothing.
static bool read_hsts(str value, json_t *body)
{
    uint64_t seconds;
    str age = str_cut(&value, '/');
    bool has_below = str_eq(value, STR("subdomains"));
    if (age.n == 0 && value.n == 0)
        return json_object_set_new(body, "hsts", json_null()) == 0;
    if (!str_to_u64(age, 1000000000, &seconds) || (value.n != 0 && !has_below))
        return false;
    return json_object_set_new(body, "hsts",
                               json_pack("{s:I, s:b}", "maxAge", (json_int_t)seconds,
                                         "includeSubDomains", (int)has_below)) == 0;
}

static bool read_setting(str setting, json_t *body)
{
    str value = setting, name = str_cut(&value, '=');
    if (name.n == setting.n)
        return false;
    if (str_eq(name, STR("redirect")))
        return json_object_set_new(body, "redirectTo",
                                   value.n != 0 ? jsonx_string(value) : json_null()) == 0;
    if (str_eq(name, STR("https-only")) && (str_eq(value, STR("yes")) || str_eq(value, STR("no"))))
        return json_object_set_new(body, "httpsOnly", json_boolean(value.n == 3)) == 0;
    return str_eq(name, STR("hsts")) && read_hsts(value, body);
}

enum cli_exit command_domain_set(struct cli *cli)
{
    const struct options *o = &cli->options;
    json_auto_t *body = json_object();
    for (size_t i = 1; i < o->n_args; ++i)
        if (!read_setting(str_from(o->args[i]), body))
            return cli_fail(cli, EXIT_USAGE, "usage",
                            "\"%.80s\" is no setting. Write redirect=NAME, https-only=yes or no, "
                            "hsts=SECONDS or hsts=SECONDS/subdomains; nothing behind the = is off.",
                            o->args[i]);
    return change(cli, "PATCH", body, "Changed");
}

// --- verify ---

static bool may_come_true(const struct api_reply *reply)
{
    static const char *const codes[] = {"txt_not_found", "txt_mismatch", "dns_error",
                                        "dnssec_bogus", "domain_held"};
    str code = show_member(reply->body, "code");
    if (reply->status == 429 || reply->status == 503)
        return true;
    for (size_t i = 0; i != sizeof codes / sizeof codes[0]; ++i)
        if (str_eq(code, str_from(codes[i])))
            return true;
    return false;
}

static void report_seen(const struct cli *cli, const struct api_reply *reply)
{
    if (!cli->output.json && reply->body != NULL)
        show_domain_seen(cli, stderr, json_object_get(reply->body, "details"));
}

static enum cli_exit verify_once(struct cli *cli, const char *path, struct api_reply *reply)
{
    struct api_request request = API_REQUEST("POST", path);
    api_send(cli, &request, reply);
    return reply->exit;
}

// As long as the server asked for, but not as long as somebody else in its place might.
static void rest_for(unsigned seconds)
{
    time_t s = seconds < WAIT_MOST_S ? seconds : WAIT_MOST_S;
    nanosleep(&(struct timespec){.tv_sec = s}, NULL);
}

// Says why it is not there yet whenever that changes. Ctrl-C ends it; the server goes on by itself.
static void wait_for_it(struct cli *cli, const char *path, struct api_reply *reply)
{
    AUTOFREE char *said = NULL;
    unsigned pause = WAIT_FIRST_S;
    while (verify_once(cli, path, reply) != EXIT_DONE && may_come_true(reply)) {
        str message = show_member(reply->body, "message");
        unsigned asked = reply->retry_after_s;
        bool is_limit = reply->status == 429;
        if (!is_limit && (said == NULL || !str_eq(str_from(said), message))) {
            free(said);
            said = str_dup(message);
            cli_note(cli, "%s", said);
            report_seen(cli, reply);
        }
        api_reply_fini(reply);
        rest_for(asked > pause ? asked : pause);
        pause = pause + 5 < WAIT_LONGEST_S ? pause + 5 : WAIT_LONGEST_S;
    }
}

enum cli_exit command_domain_verify(struct cli *cli)
{
    AUTOFREE char *path = path_below(cli, "verify");
    struct api_reply reply;
    if (options_has(&cli->options, OPT_WAIT))
        wait_for_it(cli, path, &reply);
    else
        (void)verify_once(cli, path, &reply);
    enum cli_exit exit = reply.exit;
    if (exit == EXIT_DONE) {
        exit = finish(cli, "Verified", reply.body);
    } else {
        exit = api_report(cli, &reply, NULL, false);
        report_seen(cli, &reply);
    }
    api_reply_fini(&reply);
    return exit;
}
