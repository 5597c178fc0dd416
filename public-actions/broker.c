// A visitor's action in the order it happens: actions_on_request (which app, which action) →
// on_own / on_named (who answers) → decide (limits, origin, method, type, body) → the run, on its
// project's loop → on_finished (there) → on_back (here) → envelope_reply. An upload goes its own way
// (upload.c) from decide on.
//
// The action outlives its request when the visitor leaves: the run goes on, its answer is dropped.
#include "public-actions/broker.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/client/fetch.h"
#include "edge/http/urlencoded.h"
#include "edge/loop/watch.h"
#include "public-actions/action.h"
#include "public-actions/envelope.h"
#include "public-actions/hooks.h"
#include "public-actions/managed_db/managed_db.h"
#include "public-actions/policy.h"
#include "public-actions/run.h"
#include "public-actions/upload.h"

#define PREFIX "/api/public-actions/"
#define ALLOW "POST, OPTIONS"

enum { BODY_DEPTH_MAX = 200, MOMENT_S = 90 };

struct action {
    struct target_want want; // first
    struct request *request; // NULL once the visitor has left; this loop only
    struct action **holder;
    struct loop *loop;
    struct target *own; // a reference: the host's own instance, or the one that was named
    struct action_run *run;
    struct loop_message back;
    char ref[CATALOG_SLUG_ROOM]; // as named in the path; "" for the host's own
    char name[RUN_ACTION_ROOM];  // the action
};

static const struct action_options *options;

static void action_destroy(struct action *a)
{
    if (a->holder != NULL)
        *a->holder = NULL;
    if (a->own != NULL)
        shared_unref(&a->own->shared);
    action_run_destroy(a->run);
    free(a);
}

static void on_gone(void *p)
{
    struct action **holder = p;
    if (*holder != NULL) {
        (*holder)->request = NULL;
        (*holder)->holder = NULL;
    }
}

// A limit a minute is over in a moment; one an hour is not.
void broker_reply_too_often(struct request *r, unsigned retry_after)
{
    char later[100];
    const char *message = "That was too often in a short time. Please wait a moment and try again.";
    if (retry_after > MOMENT_S) {
        snprintf(later, sizeof later, "That was too often. Please try again in %u minutes.",
                 (retry_after + 59) / 60);
        message = later;
    }
    reply_error(r, 429, "rate_limited", message, NULL, retry_after);
}

// Answers and forgets. The request must be there.
static void refuse(struct action *a, int status, const char *code, const char *message)
{
    struct request *r = a->request;
    action_destroy(a);
    reply_error(r, status, code, message, NULL, status == 503 ? 2 : 0);
}

static void refuse_action_name(struct action *a)
{
    refuse(a, 400, "invalid_action",
           "An action's name is 1 to 64 letters, digits, dots, dashes and underscores.");
}

// --- the run ---

static void on_back(struct loop_message *m)
{
    struct action *a = (struct action *)((char *)m - offsetof(struct action, back));
    struct request *r = a->request;
    struct action_run *run = a->run;
    // to most handlers a made-up name is an error they report
    if (run->outcome == PLUGIN_RETURNED && !run->reported_error)
        policy_action_answered(run->target, str_from(a->name));
    a->run = NULL;
    action_destroy(a);
    if (r != NULL)
        envelope_reply(r, run);
    action_run_destroy(run);
}

static void on_finished(struct action_run *run)
{
    struct action *a = run->arg;
    a->back.run = on_back;
    loop_post(a->loop, &a->back);
}

static void add_input(struct buf *to, const struct action *a, str payload, const char *visitor)
{
    buf_addf(to, "{\"_publicAction\":true,\"actionId\":\"%s\",\"payload\":", a->name);
    buf_add(to, payload);
    buf_addf(to, ",\"instanceId\":\"%s\",\"visitorIp\":\"%s\"}", a->own->instance.id, visitor);
}

static void start_run(struct action *a, str payload)
{
    struct request *r = a->request;
    shared_ref(&a->own->shared);
    struct action_run *run = a->run = action_run_create(a->own, RUN_PUBLIC, str_from(a->name));
    if (!action_run_may_hold(run, payload.n)) {
        refuse(a, 503, "busy",
               "There is too much going on right now. Please try again in a moment.");
        return;
    }
    run->arg = a;
    run->on_finished = on_finished;
    run->timeout_ms = a->own->timeout_ms;
    run->input_bytes = (uint32_t)payload.n;
    memcpy(run->request_id, r->id, sizeof run->request_id);
    memcpy(run->visitor, r->peer, sizeof run->visitor);
    add_input(&run->input, a, payload, r->peer);
    action_run_start(run);
}

// --- what is asked ---

static bool is_json_type(str type)
{
    return str_caseeq(str_trim(str_cut(&type, ';')), STR("application/json"));
}

// JSON text, an object: what JSON.parse takes too, so that it can be handed on as it stands.
static bool is_object(str text)
{
    size_t i = 0;
    while (i != text.n && strchr(" \t\r\n", text.p[i]) != NULL && text.p[i] != '\0')
        ++i;
    return i != text.n && text.p[i] == '{' && jsonx_is_valid(text, BODY_DEPTH_MAX);
}

static void read_body(struct action *a)
{
    str body = a->request->body;
    if (body.n > ACTION_BODY_MAX) {
        refuse(a, 413, "body_too_large", "The request body may have 1 MiB at most.");
        return;
    }
    if (body.n == 0) {
        start_run(a, STR("{}"));
        return;
    }
    if (!is_json_type(request_header(a->request, HEADER_CONTENT_TYPE)))
        refuse(a, 415, "unsupported_media_type", "Send the body as application/json.");
    else if (!is_object(body))
        refuse(a, 400, "invalid_json", "The body must be a JSON object.");
    else
        start_run(a, body);
}

static void reply_preflight(struct action *a, enum policy_origin origin)
{
    struct request *r = a->request;
    if (request_header(r, HEADER_ACCESS_CONTROL_REQUEST_METHOD).p == NULL) {
        action_destroy(a);
        reply_options(r, ALLOW);
        return;
    }
    if (origin == POLICY_FOREIGN) {
        refuse(a, 403, "origin_not_allowed", "This app takes no requests from that page.");
        return;
    }
    action_destroy(a);
    reply_add(r, "access-control-allow-methods", STR("POST"));
    reply_add(r, "access-control-allow-headers", STR("content-type"));
    reply_add(r, "access-control-max-age", STR("600"));
    reply_options(r, ALLOW);
}

// Also on refusals: the page may read why, and when to ask again.
static void allow_to_read(struct request *r)
{
    reply_add(r, "access-control-allow-origin", request_header(r, HEADER_ORIGIN));
    reply_add(r, "access-control-expose-headers",
              STR("RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"));
}

static bool is_upload(const struct action *a)
{
    return strcmp(a->name, ACTION_UPLOAD) == 0;
}

// What an upload is charged with beside the rest: 0 for anything that will not be looked into.
static size_t upload_bytes(const struct action *a, enum policy_origin origin)
{
    struct request *r = a->request;
    bool is_one = is_upload(a) && r->method == METHOD_POST && origin != POLICY_FOREIGN &&
                  action_upload_is_type(request_header(r, HEADER_CONTENT_TYPE));
    return is_one ? r->body.n : 0;
}

static void start_upload(struct action *a)
{
    struct request *r = a->request;
    struct target *target = a->own;
    if (!action_upload_is_type(request_header(r, HEADER_CONTENT_TYPE))) {
        refuse(a, 415, "unsupported_media_type", "Send the file as multipart/form-data.");
        return;
    }
    a->own = NULL;
    action_destroy(a);
    action_upload_start(r, target);
}

// The instance is known: everything else about the request is decided here, in the order a refusal
// tells a stranger least.
static void decide(struct action *a)
{
    struct request *r = a->request;
    unsigned retry_after;
    enum policy_origin origin = policy_origin(r, a->own);
    bool may = policy_charge(r, a->own, str_from(a->name), upload_bytes(a, origin), &retry_after);
    if (origin == POLICY_ALLOWED)
        allow_to_read(r);
    if (!may) {
        action_destroy(a);
        broker_reply_too_often(r, retry_after);
    } else if (r->method == METHOD_OPTIONS) {
        reply_preflight(a, origin);
    } else if (origin == POLICY_FOREIGN) {
        refuse(a, 403, "origin_not_allowed", "This app takes no requests from that page.");
    } else if (r->method != METHOD_POST) {
        action_destroy(a);
        reply_method_not_allowed(r, ALLOW);
    } else if (!action_is_name(str_from(a->name))) {
        refuse_action_name(a);
    } else if (request_is_encoded(r)) {
        action_destroy(a);
        reply_encoded_body(r);
    } else if (is_upload(a)) {
        start_upload(a);
    } else if (a->own->handler == NULL) {
        refuse(a, 404, "no_handler", "This app has no such action.");
    } else {
        read_body(a);
    }
}

// --- who answers ---

static void refuse_unknown(struct action *a, enum fail fail)
{
    unsigned retry_after;
    if (fail != FAIL_NOT_FOUND) {
        refuse(a, 503, "busy",
               "The app cannot be reached right now. Please try again in a moment.");
    } else if (policy_charge(a->request, NULL, STR(""), 0, &retry_after)) {
        refuse(a, 404, "instance_not_found", "There is no such app.");
    } else {
        struct request *r = a->request;
        action_destroy(a);
        broker_reply_too_often(r, retry_after);
    }
}

// With hosts of their own, apps answer on those only (security-rules.md 11): the method and the body
// go along with a 308.
static void redirect_to_host(struct action *a)
{
    struct request *r = a->request;
    if (!action_is_name(str_from(a->name))) { // decoded, so any byte; a header takes few
        refuse_action_name(a);
        return;
    }
    struct buf b;
    buf_init(&b, 1024);
    buf_addf(&b, "%s://%s.%s%s" PREFIX "_/%s", options->instance_scheme, a->own->instance.slug,
             options->instance_domain, options->instance_port, a->name);
    action_destroy(a);
    reply_redirect(r, 308, buf_str(&b), "no-cache");
    buf_fini(&b);
}

static bool is_host_of(const struct action *a, const struct target *t)
{
    return str_eq(str_from(t->instance.slug), str_from(a->ref)) ||
           str_eq(str_from(t->instance.id), str_from(a->ref));
}

// Asks for a target: `then` is called at once when it is held, else later.
static void find(struct action *a, str ref, str deployment_id,
                 void (*then)(struct action *a, struct target *t, enum fail fail),
                 void (*on_message)(struct loop_message *m))
{
    struct target *t = NULL;
    enum fail fail;
    if (target_get(ref, deployment_id, &t, &fail)) {
        a->request->cache = "hit";
        then(a, t, fail);
        return;
    }
    a->request->cache = "miss";
    unsigned retry_after;
    if (!policy_may_load(a->request, &retry_after)) {
        struct request *r = a->request;
        action_destroy(a);
        broker_reply_too_often(r, retry_after);
        return;
    }
    a->want = (struct target_want){.message.run = on_message, .loop = a->loop};
    memcpy(a->want.ref, ref.p, ref.n);
    memcpy(a->want.deployment_id, deployment_id.p, deployment_id.n);
    target_want(&a->want);
}

// On a host: what the path names is another instance (404), the host's own, or none at all, which
// stands for the host's own.
static void on_named(struct action *a, struct target *t, enum fail fail)
{
    bool is_other = t != NULL && strcmp(t->instance.id, a->own->instance.id) != 0;
    if (t != NULL)
        shared_unref(&t->shared);
    if (fail != FAIL_NONE && fail != FAIL_NOT_FOUND)
        refuse_unknown(a, fail);
    else if (is_other)
        refuse_unknown(a, FAIL_NOT_FOUND);
    else
        decide(a);
}

static void on_named_message(struct loop_message *m)
{
    struct action *a = (struct action *)m;
    if (a->request == NULL) {
        if (a->want.ret != NULL)
            shared_unref(&a->want.ret->shared);
        action_destroy(a);
        return;
    }
    on_named(a, a->want.ret, a->want.fail);
}

static void on_own(struct action *a, struct target *t, enum fail fail)
{
    a->own = t;
    if (t == NULL)
        refuse_unknown(a, fail);
    else if (a->request->site == SITE_APPS && options->instance_domain[0] != '\0')
        redirect_to_host(a);
    else if (a->request->site == SITE_APPS || a->ref[0] == '\0' || is_host_of(a, t))
        decide(a);
    else
        find(a, str_from(a->ref), STR(""), on_named, on_named_message);
}

static void on_own_message(struct loop_message *m)
{
    struct action *a = (struct action *)m;
    if (a->request == NULL) {
        a->own = a->want.ret;
        action_destroy(a);
        return;
    }
    on_own(a, a->want.ret, a->want.fail);
}

// --- the path ---

bool broker_is_nobodys_host(const struct request *r)
{
    return r->site != SITE_APPS && r->site_name.n > TARGET_REF_MAX;
}

// One segment, decoded, when it may be a name: short, and text, since the database is asked for it;
// "" stands for anything else.
static void take_name(char *to, size_t room, str segment)
{
    char decoded[3 * CATALOG_SLUG_ROOM];
    size_t n = 0;
    to[0] = '\0';
    if (segment.n < sizeof decoded && url_decode(segment, false, decoded, &n) && n < room &&
        memchr(decoded, '\0', n) == NULL && str_is_utf8(str_of(decoded, n))) {
        memcpy(to, decoded, n);
        to[n] = '\0';
    }
}

static struct action *action_create(struct request *r, str instance, str name)
{
    struct action *a = calloc(1, sizeof *a);
    if (a == NULL)
        abort();
    a->request = r;
    a->loop = r->loop;
    a->holder = request_holder(r, sizeof *a->holder, on_gone);
    *a->holder = a;
    take_name(a->ref, sizeof a->ref, instance);
    take_name(a->name, sizeof a->name, name);
    if (strcmp(a->ref, "_") == 0)
        a->ref[0] = '\0';
    return a;
}

static void actions_on_request(struct request *r)
{
    r->route = "action";
    reply_add(r, "vary", STR("Origin")); // on every answer: a cache may not know which depend on it
    str name = str_skip(r->path, sizeof PREFIX - 1), instance = str_cut(&name, '/');
    if (str_find(name, '/') != SIZE_MAX || name.p == NULL || name.n == 0) {
        unsigned retry_after;
        if (policy_charge(r, NULL, STR(""), 0, &retry_after))
            reply_error(r, 404, "not_found",
                        "An action's address is " PREFIX "{instance}/{action}.", NULL, 0);
        else
            broker_reply_too_often(r, retry_after);
        return;
    }
    if (request_is_looped(r)) {
        reply_error(r, 508, "loop_detected", "This request came from here, and went round.", NULL,
                    0);
        return;
    }
    struct action *a = action_create(r, instance, name);
    if (broker_is_nobodys_host(r) || (r->site == SITE_APPS && a->ref[0] == '\0'))
        refuse_unknown(a, FAIL_NOT_FOUND);
    else if (r->site == SITE_APPS)
        find(a, str_from(a->ref), STR(""), on_own, on_own_message);
    else if (r->site == SITE_PREVIEW)
        find(a, STR(""), r->site_name, on_own, on_own_message);
    else
        find(a, r->site_name, STR(""), on_own, on_own_message);
}

// --- the services ---

static void add_fetch_metrics(struct buf *to)
{
    struct fetch_counters c = fetch_counters();
    buf_addf(to,
             "# TYPE stoa_fetches_total counter\nstoa_fetches_total{outcome=\"answered\"} %llu\n"
             "stoa_fetches_total{outcome=\"blocked\"} %llu\n"
             "stoa_fetches_total{outcome=\"failed\"} %llu\n"
             "stoa_fetches_total{outcome=\"busy\"} %llu\n"
             "# TYPE stoa_fetches_running gauge\nstoa_fetches_running %llu\n",
             (unsigned long long)c.answered, (unsigned long long)c.blocked,
             (unsigned long long)c.failed, (unsigned long long)c.busy,
             (unsigned long long)c.running);
}

static void on_metrics(struct buf *to)
{
    target_metrics(to);
    plugin_metrics(to);
    managed_db_metrics(to);
    add_fetch_metrics(to);
}

static void on_loop_start(struct loop *loop)
{
    loop_watch_prepare();
    plugin_on_loop_start(loop);
    managed_db_on_loop_start(loop);
}

static bool on_body_ask(str path, struct body_bound *ret)
{
    *ret = (struct body_bound){.max = ACTION_BODY_MAX};
    action_upload_bound(str_skip(path, sizeof PREFIX - 1), ret);
    ret->is_for_pages = true;
    return true;
}

struct service *actions_visitors_service(void)
{
    static struct service service = {.name = "actions",
                                     .sites =
                                         1 << SITE_APPS | 1 << SITE_INSTANCE | 1 << SITE_PREVIEW,
                                     .prefix = PREFIX,
                                     .on_request = actions_on_request,
                                     .body_max = ACTION_BODY_MAX,
                                     .on_body_ask = on_body_ask,
                                     .on_loop_start = on_loop_start,
                                     .on_metrics = on_metrics};
    return &service;
}

void actions_init(const struct action_options *o)
{
    options = o;
    target_init(o->apps_origin);
    policy_init(o->uploads_per_hour, o->upload_bytes_per_hour);
    envelope_init();
    actions_hooks_init();
}

size_t actions_running(void)
{
    return action_runs_running() + action_uploads_running();
}

void actions_on_notice(str payload)
{
    target_forget_plugin(payload);
}

void actions_on_listener_back(void)
{
    target_forget_all();
}
