// An instance's settings as NAME=VALUE words: who else may call its actions, how often, what may be
// uploaded, and how long runs and uploads are kept.
#include "edge/base/jsonx.h"
#include "edge/cli/api.h"
#include "edge/cli/show.h"
#include "edge/cli/units.h"
#include <inttypes.h>
#include <stdlib.h>

static const struct {
    const char *word, *member, *what;
} rates[] = {{"visitor-action", "visitorAction", "a visitor, for one action"},
             {"visitor", "visitor", "a visitor, for all actions"},
             {"instance", "instance", "all visitors together"}};
enum { RATES = sizeof rates / sizeof rates[0] };
#define ACTION "action:"

// --- showing ---

static void add_row(struct listing *t, const char *word, str value, const char *what)
{
    listing_add(t, STYLE_STRONG, str_from(word));
    listing_add(t, value.n != 0 ? STYLE_NONE : STYLE_DIM,
                value.n != 0 ? value : STR("the server's"));
    listing_add(t, STYLE_DIM, str_from(what));
}

static str rate_text(const json_t *rate, char *to, size_t room)
{
    if (!json_is_object(rate))
        return (str){0};
    snprintf(to, room, "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(rate, "perMinute")),
             json_integer_value(json_object_get(rate, "burst")));
    return str_from(to);
}

static void add_origins(struct listing *t, const json_t *settings)
{
    struct buf b;
    size_t i;
    json_t *origin;
    buf_init(&b, 65536);
    json_array_foreach(json_object_get(settings, "allowedOrigins"), i, origin)
        buf_addf(&b, "%s%s", i != 0 ? "," : "", json_string_value(origin));
    listing_add(t, STYLE_STRONG, STR("origins"));
    listing_add(t, STYLE_NONE, buf_str(&b));
    listing_add(t, STYLE_DIM, STR("other origins whose pages may call its actions"));
    buf_fini(&b);
}

// With what the server's is, where it is known.
static void add_limit(struct listing *t, const char *word, const json_t *own, const json_t *servers,
                      bool is_bytes, const char *what)
{
    const json_t *shown = json_is_integer(own) ? own : servers;
    char number[UNITS_ROOM], text[UNITS_ROOM + 16];
    uint64_t n = (uint64_t)json_integer_value(shown);
    if (is_bytes)
        units_bytes(n, number);
    else
        snprintf(number, sizeof number, "%" PRIu64, n);
    if (!json_is_integer(shown))
        snprintf(text, sizeof text, "the server's");
    else
        snprintf(text, sizeof text, "%s%s", shown == own ? "" : "the server's: ", number);
    listing_add(t, STYLE_STRONG, str_from(word));
    listing_add(t, shown == own ? STYLE_NONE : STYLE_DIM, str_from(text));
    listing_add(t, STYLE_DIM, str_from(what));
}

static void add_number(struct listing *t, const char *word, const json_t *number, const char *what)
{
    char text[32];
    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
    add_row(t, word, json_is_integer(number) ? str_from(text) : (str){0}, what);
}

static void add_quota(struct listing *t, const json_t *uploads)
{
    const json_t *limits = json_object_get(uploads, "limits"),
                 *used = json_object_get(uploads, "used");
    char bytes[UNITS_ROOM], of[UNITS_ROOM], text[2 * UNITS_ROOM + 64];
    if (limits == NULL || used == NULL)
        return;
    units_bytes((uint64_t)json_integer_value(json_object_get(used, "bytes")), bytes);
    units_bytes((uint64_t)json_integer_value(json_object_get(limits, "quotaBytes")), of);
    snprintf(text, sizeof text,
             "%s of %s, %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " files", bytes, of,
             json_integer_value(json_object_get(used, "files")),
             json_integer_value(json_object_get(limits, "quotaFiles")));
    add_row(t, "storage", str_from(text), "used by all its plugin's files; the server's to set");
    units_bytes((uint64_t)json_integer_value(json_object_get(limits, "fileBytes")), of);
    add_row(t, "file-size", str_from(of), "one file at most; fixed");
}

static void add_uploads(struct listing *t, const json_t *settings, const json_t *uploads)
{
    const json_t *limits = json_object_get(uploads, "limits");
    bool strips = json_is_true(json_object_get(settings, "stripImageMetadata"));
    add_limit(t, "uploads", json_object_get(settings, "filesPerHour"),
              json_object_get(limits, "filesPerHour"), false,
              "files a visitor may upload in an hour");
    add_limit(t, "upload-bytes", json_object_get(settings, "bytesPerHour"),
              json_object_get(limits, "bytesPerHour"), true, "their bytes");
    add_row(t, "strip-images", strips ? STR("yes") : STR("no"),
            "take place, camera and the like out of uploaded images");
    add_quota(t, uploads);
}

static void show(struct cli *cli, const json_t *instance)
{
    struct listing t;
    char text[64];
    const char *action;
    json_t *rate;
    const json_t *settings = json_object_get(instance, "settings"),
                 *limits = json_object_get(settings, "rateLimits"),
                 *retention = json_object_get(settings, "retention");
    listing_init(&t, 3);
    for (size_t i = 0; i != 3; ++i)
        listing_add(&t, STYLE_DIM, str_from((const char *[]){"SETTING", "VALUE", "WHAT"}[i]));
    add_origins(&t, settings);
    for (size_t i = 0; i != RATES; ++i)
        add_row(&t, rates[i].word,
                rate_text(json_object_get(limits, rates[i].member), text, sizeof text),
                rates[i].what);
    json_object_foreach(json_object_get(limits, "actions"), action, rate)
    {
        char word[80];
        snprintf(word, sizeof word, ACTION "%.64s", action);
        add_row(&t, word, rate_text(rate, text, sizeof text), "a visitor, for this action");
    }
    add_uploads(&t, json_object_get(settings, "uploads"), json_object_get(instance, "uploads"));
    add_number(&t, "keep-runs", json_object_get(retention, "runDays"), "days that runs are kept");
    add_number(&t, "keep-uploads", json_object_get(retention, "uploadDays"),
               "days that visitors' uploads are kept");
    listing_add(&t, STYLE_STRONG, STR("connection"));
    str connection = show_member(settings, "connection");
    listing_add(&t, connection.n != 0 ? STYLE_NONE : STYLE_DIM,
                connection.n != 0 ? connection : STR("the newest"));
    listing_add(&t, STYLE_DIM, STR("whose secrets and fields its handlers see"));
    listing_print(&t, &cli->output);
    listing_fini(&t);
}

// --- changing ---

// "60" or "60/30": a minute, and at once. Empty is the server's.
static bool rate_of(str text, json_t **ret)
{
    uint64_t per_minute, burst;
    bool has_burst = str_find(text, '/') != SIZE_MAX;
    str rest = text, first = str_cut(&rest, '/');
    if (text.n == 0) {
        *ret = json_null();
        return true;
    }
    if (!str_to_u64(first, INT32_MAX, &per_minute) ||
        (has_burst && !str_to_u64(rest, INT32_MAX, &burst)))
        return false;
    // a burst given before does not stay under a new rate
    *ret = json_pack("{s:I, s:o}", "perMinute", (json_int_t)per_minute, "burst",
                     has_burst ? json_integer((json_int_t)burst) : json_null());
    return true;
}

static json_t *member_object(json_t *parent, const char *name)
{
    if (json_object_get(parent, name) == NULL)
        json_object_set_new(parent, name, json_object());
    return json_object_get(parent, name);
}

static bool take_rate(str word, str value, json_t *patch)
{
    json_t *rate, *limits = member_object(patch, "rateLimits");
    if (!rate_of(value, &rate))
        return false;
    for (size_t i = 0; i != RATES; ++i)
        if (str_eq(word, str_from(rates[i].word))) {
            json_object_set_new(limits, rates[i].member, rate);
            return true;
        }
    if (!str_starts(word, STR(ACTION))) {
        json_decref(rate);
        return false;
    }
    AUTOFREE char *action = str_dup(str_skip(word, sizeof ACTION - 1));
    json_object_set_new(member_object(limits, "actions"), action, rate);
    return true;
}

static void set_number(json_t *object, const char *member, bool is_set, uint64_t n)
{
    json_object_set_new(object, member, is_set ? json_integer((json_int_t)n) : json_null());
}

static bool take_days(str value, const char *member, json_t *patch)
{
    uint64_t days = 0;
    if (str_ends(value, STR("d")))
        --value.n;
    if (value.n != 0 && !str_to_u64(value, 100000, &days))
        return false;
    set_number(member_object(patch, "retention"), member, value.n != 0, days);
    return true;
}

static bool take_count(str value, const char *member, json_t *patch)
{
    uint64_t n = 0;
    if (value.n != 0 && !str_to_u64(value, INT32_MAX, &n))
        return false;
    set_number(member_object(patch, "uploads"), member, value.n != 0, n);
    return true;
}

// "100MiB", "2GiB", or bytes.
static bool take_bytes(str value, const char *member, json_t *patch)
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    uint64_t n = 0;
    unsigned shift = 0;
    bool is_set = value.n != 0;
    for (unsigned i = 0; i != 3; ++i)
        if (str_ends(value, str_from(units[i]))) {
            shift = 10 * (i + 1);
            value.n -= 3;
        }
    if (is_set && !str_to_u64(value, (uint64_t)INT64_MAX >> shift, &n))
        return false;
    set_number(member_object(patch, "uploads"), member, is_set, n << shift);
    return true;
}

static bool take_flag(str value, const char *member, json_t *patch)
{
    bool is_yes = str_eq(value, STR("yes"));
    if (!is_yes && !str_eq(value, STR("no")) && value.n != 0)
        return false;
    json_object_set_new(member_object(patch, "uploads"), member, json_boolean(is_yes));
    return true;
}

static bool take_connection(str value, json_t *patch)
{
    json_object_set_new(patch, "connection", value.n != 0 ? jsonx_string(value) : json_null());
    return true;
}

static bool take_origins(str value, json_t *patch)
{
    json_t *list = json_array();
    while (value.n != 0) {
        str origin = str_trim(str_cut(&value, ','));
        if (origin.n != 0)
            json_array_append_new(list, jsonx_string(origin));
    }
    json_object_set_new(patch, "allowedOrigins", list);
    return true;
}

static const struct {
    const char *word, *member;
    bool (*take)(str value, const char *member, json_t *patch);
} words[] = {{"keep-runs", "runDays", take_days},
             {"keep-uploads", "uploadDays", take_days},
             {"uploads", "filesPerHour", take_count},
             {"upload-bytes", "bytesPerHour", take_bytes},
             {"strip-images", "stripImageMetadata", take_flag}};

static bool take(const char *arg, json_t *patch)
{
    str value = str_from(arg), word = str_cut(&value, '=');
    if (strchr(arg, '=') == NULL || !str_is_utf8(str_from(arg)))
        return false;
    if (str_eq(word, STR("origins")))
        return take_origins(value, patch);
    if (str_eq(word, STR("connection")))
        return take_connection(value, patch);
    for (size_t i = 0; i != sizeof words / sizeof *words; ++i)
        if (str_eq(word, str_from(words[i].word)))
            return words[i].take(value, words[i].member, patch);
    return take_rate(word, value, patch);
}

static enum cli_exit patch_of(struct cli *cli, json_t *patch)
{
    const struct options *o = &cli->options;
    for (size_t i = 1; i != o->n_args; ++i)
        if (!take(o->args[i], patch))
            return cli_fail(cli, EXIT_USAGE, "usage",
                            "\"%.60s\" is no setting: write origins=ORIGIN,…, visitor=60/30, "
                            "visitor-action=, instance=, action:NAME=, uploads=20, "
                            "upload-bytes=100MiB, strip-images=yes, keep-runs=DAYS, "
                            "keep-uploads=DAYS or connection=NAME; nothing behind the = is the "
                            "server's default.",
                            o->args[i]);
    return EXIT_DONE;
}

static enum cli_exit send(struct cli *cli, const char *path, json_t *patch, json_t **ret)
{
    struct api_request request = API_REQUEST(patch != NULL ? "PATCH" : "GET", path);
    request.json = patch;
    return api_call(cli, &request, ret);
}

enum cli_exit command_instance_settings(struct cli *cli)
{
    const struct options *o = &cli->options;
    AUTOFREE char *instance = NULL;
    json_auto_t *patch = o->n_args > 1 ? json_object() : NULL, *answer = NULL;
    enum cli_exit exit = patch_of(cli, patch);
    if (exit == EXIT_DONE)
        exit = api_instance_of(cli, o->args[0], &instance);
    if (exit != EXIT_DONE)
        return exit;
    AUTOFREE char *path = api_path("/api/public-apps/instances/%s", instance);
    exit = send(cli, path, patch, &answer);
    if (exit != EXIT_DONE)
        return exit;
    if (cli->output.json)
        return cli_json(cli, json_incref(answer));
    if (!cli->output.quiet)
        show(cli, answer);
    return EXIT_DONE;
}
