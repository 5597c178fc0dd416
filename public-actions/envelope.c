// What a handler says is passed on as it stands, checked to be JSON; nothing else of it gets out.
#include "public-actions/envelope.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"

enum { HEADERS_MAX = 20, NAME_MAX = 64, VALUE_MAX = 1024, MESSAGE_MAX = 1500 };

static struct reply_headers *headers;

void envelope_init(void)
{
    headers = reply_headers_create();
    reply_headers_add(headers, "content-type", STR("application/json"));
    reply_headers_add(headers, "x-content-type-options", STR("nosniff"));
}

// --- what respond() may set ---

static bool is_token(str name)
{
    for (size_t i = 0; i != name.n; ++i) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return name.n != 0 && name.n <= NAME_MAX;
}

static bool is_visible(str value)
{
    for (size_t i = 0; i != value.n; ++i)
        if ((unsigned char)value.p[i] < 0x20 || (unsigned char)value.p[i] > 0x7e)
            return false;
    return value.n <= VALUE_MAX;
}

// Of the X- names those that mean something to browsers, to proxies or to us are not theirs.
static bool is_theirs(str name)
{
    static const char *const ours[] = {
        "x-request-id", "x-content-type-options", "x-frame-options",       "x-xss-protection",
        "x-robots-tag", "x-ua-compatible",        "x-dns-prefetch-control"};
    static const char *const families[] = {"x-accel-",    "x-forwarded-", "x-real-",
                                           "x-sendfile",  "x-permitted-", "x-lighttpd-",
                                           "x-litespeed-"};
    for (size_t i = 0; i != sizeof ours / sizeof *ours; ++i)
        if (str_eq(name, str_from(ours[i])))
            return false;
    for (size_t i = 0; i != sizeof families / sizeof *families; ++i)
        if (str_starts(name, str_from(families[i])))
            return false;
    return str_starts(name, STR("x-"));
}

static bool is_allowed(str name, str value)
{
    uint64_t seconds;
    if (str_eq(name, STR("cache-control")))
        return str_eq(value, STR("no-store")) || str_eq(value, STR("no-cache")) ||
               str_eq(value, STR("private"));
    if (str_eq(name, STR("retry-after")))
        return str_to_u64(value, 86400, &seconds);
    return str_eq(name, STR("content-language")) || is_theirs(name);
}

static str lower(struct request *r, const char *name)
{
    size_t n = strlen(name);
    char *to = request_alloc(r, n + 1);
    for (size_t i = 0; i != n; ++i)
        to[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
    return str_of(to, n);
}

static void add_headers(struct request *r, const json_t *asked)
{
    const char *key;
    json_t *v;
    bool has_caching = false;
    size_t n = 0;
    json_object_foreach((json_t *)asked, key, v)
    {
        str name = lower(r, key), value = json_is_string(v)
                                              ? str_of(json_string_value(v), json_string_length(v))
                                              : (str){0};
        if (value.p == NULL || !is_token(name) || !is_visible(value) || !is_allowed(name, value))
            continue;
        if (n++ == HEADERS_MAX)
            break;
        has_caching |= str_eq(name, STR("cache-control"));
        reply_add_named(r, name, value);
    }
    if (!has_caching)
        reply_add(r, "cache-control", STR("no-store"));
}

static int set_status(struct request *r, const struct action_run *run)
{
    int status = action_run_status(run);
    if (status == 401)
        reply_add(r, "www-authenticate", STR("App realm=\"app\""));
    return status;
}

// --- the envelope ---

struct data {
    struct shared shared;
    char *text;
};

static void data_free(struct shared *s)
{
    struct data *d = (struct data *)s;
    free(d->text);
    free(d);
}

// Takes `text`.
static void reply_with(struct request *r, int status, str before, char *text, size_t size,
                       str after)
{
    struct data *d = malloc(sizeof *d);
    if (d == NULL)
        abort();
    shared_init(&d->shared, data_free);
    d->text = text;
    str *pieces = request_alloc(r, 3 * sizeof *pieces);
    pieces[0] = before;
    pieces[1] = str_of(text, size);
    pieces[2] = after;
    reply_pieces(r, status, headers, pieces, 3, &d->shared);
    shared_unref(&d->shared); // the reply holds its own
}

static str kept_str(struct request *r, str s)
{
    char *to = request_alloc(r, s.n);
    memcpy(to, s.p, s.n);
    return str_of(to, s.n);
}

// What a page shows to its visitor: text, or what can be read as such. `value` is JSON as
// JSON.stringify writes it, so that numbers look as they do in JavaScript.
static void add_message(struct buf *to, str value)
{
    char *plain = NULL;
    str text = STR("That did not work.");
    if (value.p != NULL && *value.p == '"') {
        plain = malloc(value.n);
        if (plain == NULL)
            abort();
        text = str_of(plain, jsonx_unescape(str_of(value.p + 1, value.n - 2), plain));
    } else if (value.p != NULL && strchr("{[n", *value.p) == NULL) {
        text = value;
    }
    if (text.n > MESSAGE_MAX)
        text.n = str_utf8_prefix(str_of(text.p, MESSAGE_MAX));
    jsonx_add_string(to, text);
    free(plain);
}

// {"success":false,"error":true,"message":…,"data": for the documented client code.
static str failure_head(struct request *r, const struct action_run *run)
{
    struct buf b;
    buf_init(&b, 16 * 1024);
    buf_add(&b, STR("{\"success\":false,\"error\":true,\"message\":"));
    add_message(&b, jsonx_member(str_of(run->data, run->data_size), STR("message")));
    buf_add(&b, STR(",\"data\":"));
    str head = kept_str(r, buf_str(&b));
    buf_fini(&b);
    return head;
}

static void reply_data(struct request *r, struct action_run *run, str before, str after)
{
    add_headers(r, json_object_get(run->meta, "headers"));
    char *text = run->data;
    run->data = NULL;
    reply_with(r, set_status(r, run), before, text, run->data_size, after);
}

static void reply_failure(struct request *r, enum plugin_outcome outcome)
{
    switch (outcome) {
    case PLUGIN_TIMED_OUT:
        reply_error(r, 504, "handler_timeout",
                    "This took too long and was stopped. Please try again later.", NULL, 0);
        return;
    case PLUGIN_CRASHED:
        reply_error(r, 502, "handler_crashed",
                    "The app stopped unexpectedly. Please try again in a moment.", NULL, 0);
        return;
    case PLUGIN_OUT_OF_MEMORY:
        reply_error(r, 502, "handler_out_of_memory",
                    "The app ran out of memory. Please try again later.", NULL, 0);
        return;
    case PLUGIN_BUSY:
        reply_error(r, 503, "busy",
                    "There is too much going on right now. Please try again in a moment.", NULL, 2);
        return;
    default:
        reply_error(r, 502, "handler_error",
                    "The app could not do this. Its owner can see what went wrong.", NULL, 0);
    }
}

// Whether there is nothing to say but that it failed; said then.
static bool reply_if_failed(struct request *r, const struct action_run *run)
{
    if (run->outcome != PLUGIN_RETURNED)
        reply_failure(r, run->outcome);
    else if (!run->is_kept)
        reply_error(r, 503, "not_kept",
                    "What was done could not be recorded. Please try again in a moment.", NULL, 2);
    else
        return false;
    return true;
}

void envelope_reply(struct request *r, struct action_run *run)
{
    if (reply_if_failed(r, run))
        return;
    bool is_error = json_is_true(json_object_get(run->meta, "dataError"));
    reply_data(r, run, is_error ? failure_head(r, run) : STR("{\"success\":true,\"data\":"),
               STR("}"));
}

// {"success":true,"data":{the file's members,"result":
static str file_head(struct request *r, const json_t *file)
{
    char *text = jsonx_dump(file, NULL);
    struct buf b;
    buf_init(&b, 64 * 1024);
    buf_add(&b, STR("{\"success\":true,\"data\":"));
    buf_add(&b, str_of(text, strlen(text) - 1));
    buf_add(&b, STR(",\"result\":"));
    str head = kept_str(r, buf_str(&b));
    buf_fini(&b);
    free(text);
    return head;
}

// Unlike an action's, an error in what was returned counts whatever was responded: the file is gone.
void envelope_reply_upload(struct request *r, struct action_run *run, const json_t *file)
{
    if (reply_if_failed(r, run))
        return;
    if (run->reported_error) {
        reply_data(r, run, failure_head(r, run), STR("}"));
    } else if (run->is_answered && !str_eq(str_of(run->data, run->data_size), STR("null"))) {
        reply_data(r, run, file_head(r, file), STR("}}"));
    } else {
        add_headers(r, json_object_get(run->meta, "headers"));
        reply_json(r, set_status(r, run),
                   json_pack("{s:b, s:O}", "success", true, "data", (json_t *)file));
    }
}

// --- the owner's side ---

static json_t *error_of(const struct action_run *run)
{
    static const char *const words[] = {
        [PLUGIN_TIMED_OUT] = "The handler took too long and was stopped.",
        [PLUGIN_CRASHED] = "The handler's process ended unexpectedly.",
        [PLUGIN_OUT_OF_MEMORY] = "The handler ran out of memory.",
        [PLUGIN_TOO_LARGE] = "The handler's answer is larger than 1 MiB as JSON.",
        [PLUGIN_BUSY] = "There is too much going on right now.",
    };
    json_t *thrown = json_object_get(run->meta, "error");
    if (run->outcome == PLUGIN_RETURNED)
        return json_null();
    if (json_is_object(thrown))
        return json_incref(thrown);
    const char *message = run->outcome < sizeof words / sizeof *words ? words[run->outcome] : NULL;
    return json_pack("{s:s}", "message", message != NULL ? message : "The handler failed.");
}

void envelope_reply_owner(struct request *r, struct action_run *run)
{
    if (run->outcome == PLUGIN_BUSY) {
        reply_failure(r, PLUGIN_BUSY);
        return;
    }
    json_t *events = json_object_get(run->meta, "widget");
    json_auto_t *rest =
        json_pack("{s:b, s:o, s:o, s:s, s:b}", "ok",
                  run->outcome == PLUGIN_RETURNED && !run->reported_error, "error", error_of(run),
                  "events", json_is_array(events) ? json_incref(events) : json_array(), "runId",
                  run->run_id, "recorded", run->is_kept);
    char *tail = jsonx_dump(rest, NULL);
    size_t n = strlen(tail);
    char *after = request_alloc(r, n);
    memcpy(after, tail, n);
    after[0] = ','; // goes on where the data ends
    free(tail);
    reply_add(r, "cache-control", STR("no-store"));
    char *text = run->data;
    run->data = NULL;
    reply_with(r, 200, STR("{\"result\":"), text, run->data_size, str_of(after, n));
}
