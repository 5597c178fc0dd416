// What a handler asks for through context, one question a struct: it is in its run's list until it
// is answered or the run is over. On the owner loop.
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/files.h"
#include "edge/client/fetch.h"
#include "public-actions/managed_db/managed_db.h"
#include "public-actions/run.h"

enum {
    FETCH_TIMEOUT_MS = 240 * 1000,
    FETCH_BODY_MAX = 10 * 1024 * 1024,
    HEADERS_MAX = 64,
    FETCH_REDIRECTS_MAX = 10,
    ANSWER_ROOM = 1024 * 1024, // of an answer's headers as JSON: FETCH_HEADER_BYTES_MAX
    NOTICE_MAX = 16 * 1024,    // its arguments, as JSON: what context.js tells the handler
    NOTICE_DEPTH_MAX = 200,
    FACT_METHOD_MAX = 16,
};

struct bridge {
    struct bridge *next, **at;
    struct action_run *run;
    uint32_t call;
    struct managed_db_query *query;
    struct fetch *fetch;
    json_t *fact; // of a fetch; borrowed from the run's list
    struct files_question files;
    bool is_of_files;
};

static struct bridge *bridge_create(struct action_run *run, uint32_t call)
{
    struct bridge *b = calloc(1, sizeof *b);
    if (b == NULL)
        abort();
    b->run = run;
    b->call = call;
    b->at = &run->_.bridges;
    b->next = run->_.bridges;
    if (b->next != NULL)
        b->next->at = &b->next;
    run->_.bridges = b;
    return b;
}

static void bridge_destroy(struct bridge *b)
{
    *b->at = b->next;
    if (b->next != NULL)
        b->next->at = b->at;
    free(b);
}

unsigned bridge_cancel_all(struct action_run *run)
{
    unsigned n = 0;
    for (; run->_.bridges != NULL; ++n) {
        struct bridge *b = run->_.bridges;
        if (b->query != NULL)
            managed_db_query_cancel(b->query);
        if (b->fetch != NULL)
            fetch_cancel(b->fetch);
        if (b->is_of_files)
            files_cancel(&b->files);
        bridge_destroy(b);
    }
    return n;
}

static void refuse(struct action_run *run, uint32_t call, const char *code, const char *message)
{
    if (call != 0)
        plugin_reply_error(&run->plugin, call, code, str_from(message));
}

// Ends the question. With `is_error`, `json` is an object {"message","code",…}.
static void answer(struct bridge *b, bool is_error, str json)
{
    struct action_run *run = b->run;
    uint32_t call = b->call;
    bridge_destroy(b);
    if (is_error)
        plugin_reply_failure(&run->plugin, call, json);
    else
        plugin_reply(&run->plugin, call, json);
}

// --- managedDb.query(sql, params?, options?) ---

static void on_query(void *arg, bool is_error, str json)
{
    answer(arg, is_error, json);
}

static void ask_query(struct action_run *run, uint32_t call, str args)
{
    if (run->_.queries == RUN_QUERIES_MAX) {
        refuse(run, call, "too_many_queries", "A run may make 1,000 queries; this is one more.");
        return;
    }
    ++run->_.queries;
    struct bridge *b = bridge_create(run, call);
    b->query = managed_db_query_start(run->target->instance.project_id,
                                      run->target->instance.plugin_id, run->target->owner_id, args,
                                      plugin_run_ends_at(&run->plugin), on_query, b);
}

// --- fetch(url, {method, headers, body}) ---

static void add_header(struct buf *to, bool is_first, const struct fetch_header *h)
{
    if (!is_first)
        buf_addc(to, ',');
    jsonx_add_string(to, h->name);
    buf_addc(to, ':');
    jsonx_add_string(to, h->value);
}

// All but the body.
static void add_answer(struct buf *to, const struct fetch_answer *a)
{
    buf_addf(to, "{\"ok\":%s,\"status\":%u,\"headers\":{",
             a->status >= 200 && a->status < 300 ? "true" : "false", a->status);
    for (size_t i = 0; i != a->header_count; ++i)
        add_header(to, i == 0, &a->headers[i]);
    buf_add(to, STR("},\"body\":\"\""));
    if (a->is_truncated)
        buf_add(to, STR(",\"truncated\":true"));
    buf_addc(to, '}');
}

static void on_fetched(void *arg, const struct fetch_answer *a)
{
    struct bridge *b = arg;
    struct action_run *run = b->run;
    uint32_t call = b->call;
    json_object_set_new(b->fact, "ms", json_integer(a->ms));
    if (a->fail == FAIL_NONE)
        json_object_set_new(b->fact, "status", json_integer(a->status));
    else
        json_object_set_new(b->fact, "error", json_string(a->code));
    bridge_destroy(b);
    if (a->fail != FAIL_NONE) {
        plugin_reply_error(&run->plugin, call, a->code, str_from(a->message));
        return;
    }
    struct buf json;
    buf_init(&json, ANSWER_ROOM);
    add_answer(&json, a);
    plugin_reply_with_text(&run->plugin, call, buf_str(&json), a->body);
    buf_fini(&json);
}

// The host without user info, as the owner's view may show it.
static str host_of(str url)
{
    size_t at = str_find_str(url, STR("://"));
    str rest = at != SIZE_MAX ? str_skip(url, at + 3) : url;
    size_t n = 0;
    while (n != rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
        ++n;
    str host = str_of(rest.p, n < 200 ? n : 200);
    size_t user = str_find(host, '@');
    return user != SIZE_MAX ? str_skip(host, user + 1) : host;
}

// A string's text, written to *room, which moves behind it; p == NULL: it is none.
static str take_text(char **room, str value)
{
    if (value.p == NULL || *value.p != '"')
        return (str){0};
    str text = str_of(*room, jsonx_unescape(str_of(value.p + 1, value.n - 2), *room));
    *room += text.n;
    return text;
}

// [[name, value], …]; SIZE_MAX: they are something else, or too many.
static size_t take_headers(char **room, str given, struct fetch_header *to)
{
    size_t n = 0;
    str list = jsonx_inside(given), none, pair, item;
    for (; jsonx_next(&list, &none, &pair); ++n) {
        str two = jsonx_inside(pair);
        if (n == HEADERS_MAX || !jsonx_next(&two, &none, &item))
            return SIZE_MAX;
        to[n].name = take_text(room, item);
        if (!jsonx_next(&two, &none, &item))
            return SIZE_MAX;
        to[n].value = take_text(room, item);
        if (to[n].name.p == NULL || to[n].value.p == NULL)
            return SIZE_MAX;
    }
    return n;
}

static json_t *add_fact(struct action_run *run, str method, str url)
{
    if (run->_.fetch_facts == NULL)
        run->_.fetch_facts = json_array();
    if (method.n > FACT_METHOD_MAX) // none that there is
        method.n = FACT_METHOD_MAX;
    json_t *fact =
        json_pack("{s:o, s:o}", "method", jsonx_string(method), "host", jsonx_string(host_of(url)));
    json_array_append_new(run->_.fetch_facts, fact);
    return fact;
}

// Whether they can be asked for. What *ret has lies in `room`, which has as many bytes as `args`.
static bool take_request(struct fetch_request *ret, struct fetch_header *headers, str args,
                         char *room)
{
    str list = jsonx_inside(args), none, url, options;
    jsonx_next(&list, &none, &url);
    jsonx_next(&list, &none, &options);
    ret->url = take_text(&room, url);
    ret->method = take_text(&room, jsonx_member(options, STR("method")));
    if (ret->method.p == NULL)
        ret->method = STR("GET");
    ret->headers = headers;
    ret->header_count = take_headers(&room, jsonx_member(options, STR("headers")), headers);
    ret->body = take_text(&room, jsonx_member(options, STR("body")));
    return ret->url.p != NULL && ret->header_count != SIZE_MAX;
}

static void start_fetch(struct action_run *run, uint32_t call, struct fetch_request *r)
{
    r->project_id = str_from(run->target->instance.project_id);
    r->body_max = FETCH_BODY_MAX;
    r->redirects = FETCH_REDIRECTS_MAX;
    uint64_t now = loop_now(loop_self()), end = plugin_run_ends_at(&run->plugin);
    uint64_t left = end > now ? end - now : 1;
    r->timeout_ms = left < FETCH_TIMEOUT_MS ? (uint32_t)left : FETCH_TIMEOUT_MS;
    struct bridge *b = bridge_create(run, call);
    b->fact = add_fact(run, r->method, r->url);
    b->fetch = fetch_start(r, on_fetched, b);
}

// Read without being built: a body of megabytes would hold up the loop.
static void ask_fetch(struct action_run *run, uint32_t call, str args)
{
    struct fetch_request r = {0};
    struct fetch_header headers[HEADERS_MAX];
    if (run->_.fetches == RUN_FETCHES_MAX) {
        refuse(run, call, "too_many_fetches", "A run may make 10 requests; this is one more.");
        return;
    }
    ++run->_.fetches;
    char *room = malloc(args.n);
    if (room == NULL)
        abort();
    if (take_request(&r, headers, args, room))
        start_fetch(run, call, &r);
    else
        refuse(run, call, "bad_request",
               "fetch takes a URL as text, and up to 64 headers whose values are text.");
    free(room);
}

// --- files.upload, list, get, getUrl, delete ---

static void on_files(struct files_question *q, bool is_error, str json)
{
    answer((struct bridge *)((char *)q - offsetof(struct bridge, files)), is_error, json);
}

// Whose files they are, the worker is not asked (security-rules.md 3).
static void ask_files(struct action_run *run, uint32_t call, str op, str args)
{
    if (run->_.files == RUN_FILES_MAX) {
        refuse(run, call, "too_many_files_calls",
               "A run may ask for files 100 times; this is one more.");
        return;
    }
    ++run->_.files;
    struct bridge *b = bridge_create(run, call);
    b->is_of_files = true;
    b->files.on_answer = on_files;
    target_files_owner(run->target, &b->files.owner);
    files_ask(&b->files, op, args);
}

// --- notify, streamEvent: recorded, as text ---

static bool keep_notice(struct buf *notices, str op, str args)
{
    static const str parts[] = {{",{\"op\":\"", 8}, {"\",\"args\":", 9}};
    if (args.n > NOTICE_MAX || !jsonx_is_valid(args, NOTICE_DEPTH_MAX) ||
        notices->n + parts[0].n + op.n + parts[1].n + args.n + 1 > RUN_NOTICES_BYTES_MAX)
        return false;
    buf_add(notices, notices->n != 0 ? parts[0] : str_skip(parts[0], 1));
    buf_add(notices, op);
    buf_add(notices, parts[1]);
    buf_add(notices, args);
    buf_addc(notices, '}');
    return true;
}

static void ask_notice(struct action_run *run, uint32_t call, str op, str args)
{
    if (run->_.notices == RUN_NOTICES_MAX) {
        refuse(run, call, "too_many_notices",
               "A run may send 20 notifications and events; this is one more.");
        return;
    }
    ++run->_.notices;
    if (!keep_notice(&run->_.notices_text, op, args))
        ++run->_.notices_left_out;
    if (call != 0)
        plugin_reply(&run->plugin, call, STR("true"));
}

void bridge_ask(struct action_run *run, uint32_t call, str op, str args)
{
    if (str_eq(op, STR("managedDb.query")))
        ask_query(run, call, args);
    else if (str_eq(op, STR("fetch")))
        ask_fetch(run, call, args);
    else if (str_eq(op, STR("notify")) || str_eq(op, STR("streamEvent")))
        ask_notice(run, call, op, args);
    else if (str_starts(op, STR("files.")))
        ask_files(run, call, str_skip(op, sizeof "files." - 1), args);
    else
        refuse(run, call, "not_offered", "This part of context is not offered here.");
}
