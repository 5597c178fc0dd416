// The owner's side: a widget's action or a tool run, authorised on a pool thread, run on the
// project's owner loop, answered on the request's.
#include <stdio.h>
#include <stdlib.h>
#include "edge/auth/auth.h"
#include "edge/base/jsonx.h"
#include "public-actions/action.h"
#include "public-actions/envelope.h"
#include "public-actions/hooks.h"
#include "public-actions/run.h"

enum { WIDGET_TIMEOUT_MS = 30000 };

struct owner_run {
    struct later later; // first
    struct request *request;
    struct owner_run **holder;
    struct loop *loop;
    struct action_run *run;
    struct loop_message back;
};

// --- runs that nobody waits for: _triggerToolCall ---

static const char *tool_action(const json_t *input)
{
    const char *action = json_string_value(json_object_get(input, "action"));
    return action != NULL && action_is_name(str_from(action)) ? action : "tool";
}

static void add_dump(struct buf *to, const json_t *value)
{
    char *text = jsonx_dump(value, NULL);
    buf_add(to, str_from(text));
    free(text);
}

static void on_background_finished(struct action_run *run)
{
    action_run_destroy(run);
}

// A tool run on behalf of the widget run that asked for it.
static void start_background(const struct action_run *widget, const json_t *input)
{
    shared_ref(&widget->target->shared);
    struct action_run *run =
        action_run_create(widget->target, RUN_TOOL, str_from(tool_action(input)));
    run->on_finished = on_background_finished;
    run->timeout_ms = run->target->timeout_ms;
    memcpy(run->request_id, widget->request_id, sizeof run->request_id);
    memcpy(run->actor, widget->actor, sizeof run->actor);
    add_dump(&run->input, input);
    run->input_bytes = (uint32_t)run->input.n;
    action_run_start(run);
}

// --- a run that its request waits for ---

static void owner_run_destroy(struct owner_run *o)
{
    if (o->holder != NULL)
        *o->holder = NULL;
    action_run_destroy(o->run);
    free(o);
}

static void on_gone(void *p)
{
    struct owner_run **holder = p;
    if (*holder != NULL) {
        (*holder)->request = NULL;
        (*holder)->holder = NULL;
    }
}

static void on_back(struct loop_message *m)
{
    struct owner_run *o = (struct owner_run *)((char *)m - offsetof(struct owner_run, back));
    struct request *r = o->request;
    struct action_run *run = o->run;
    o->run = NULL;
    owner_run_destroy(o);
    if (r != NULL)
        envelope_reply_owner(r, run);
    action_run_destroy(run);
}

static void on_finished(struct action_run *run)
{
    struct owner_run *o = run->arg;
    const json_t *trigger = json_object_get(run->meta, "trigger");
    if (run->source == RUN_WIDGET && run->outcome == PLUGIN_RETURNED && !run->reported_error &&
        json_is_object(trigger))
        start_background(run, trigger);
    o->back.run = on_back;
    loop_post(o->loop, &o->back);
}

static void start(struct later *later, struct request *r)
{
    struct owner_run *o = (struct owner_run *)later;
    o->loop = loop_self();
    o->request = r;
    if (r != NULL) {
        o->holder = request_holder(r, sizeof *o->holder, on_gone);
        *o->holder = o;
    }
    action_run_start(o->run);
}

static void drop(struct later *later)
{
    owner_run_destroy((struct owner_run *)later);
}

// --- the endpoints ---

static enum fail find_target(struct call *call, struct target **ret, struct fault *fault)
{
    struct plugin p;
    struct instance i;
    const char *project_id = call->principal->project_id;
    enum fail fail = catalog_plugin_used(call->db, project_id, call->params[0], &p, fault);
    if (fail == FAIL_NONE)
        fail = catalog_instance_find(call->db, project_id, call->params[1], &i, fault);
    if (fail == FAIL_NONE && strcmp(i.plugin_id, p.id) != 0)
        fail = fault_set(fault, FAIL_NOT_FOUND, "instance_not_found",
                         "There is no such instance of this plugin.");
    if (fail == FAIL_NONE)
        fail = target_load(call->db, str_from(i.id), STR(""), ret, fault);
    if (fail == FAIL_NONE && (*ret)->handler == NULL) {
        shared_unref(&(*ret)->shared);
        fail = fault_set(fault, FAIL_NOT_FOUND, "no_handler", "This plugin has no handler.");
    }
    return fail;
}

// Takes the target.
static struct owner_run *make(struct call *call, struct target *t, enum run_source source,
                              const char *action)
{
    struct owner_run *o = calloc(1, sizeof *o);
    if (o == NULL)
        abort();
    o->later = (struct later){start, drop};
    o->run = action_run_create(t, source, str_from(action));
    o->run->arg = o;
    o->run->on_finished = on_finished;
    o->run->input_bytes = (uint32_t)call->body.n;
    memcpy(o->run->request_id, call->request_id, sizeof o->run->request_id);
    const struct principal *p = call->principal; // a member, or who holds an API token
    snprintf(o->run->actor, sizeof o->run->actor, "%s",
             p->user_id[0] != '\0' ? p->user_id : p->token_id);
    return o;
}

static enum fail run_widget_action(struct call *call, struct answer *answer, struct fault *fault)
{
    struct target *t;
    if (!action_is_name(call->params[2]))
        return fault_set(fault, FAIL_BAD_INPUT, "invalid_action",
                         "An action's name is 1 to 64 letters, digits, dots, dashes and "
                         "underscores.");
    enum fail fail = find_target(call, &t, fault);
    if (fail != FAIL_NONE)
        return fail;
    char action[RUN_ACTION_ROOM] = "";
    memcpy(action, call->params[2].p, call->params[2].n);
    struct owner_run *o = make(call, t, RUN_WIDGET, action);
    o->run->timeout_ms = WIDGET_TIMEOUT_MS;
    buf_addf(&o->run->input,
             "{\"_widgetAction\":true,\"actionId\":\"%s\",\"action\":\"%s\",\"payload\":", action,
             action);
    buf_add(&o->run->input, call->body);
    buf_addc(&o->run->input, '}');
    answer->later = &o->later;
    return FAIL_NONE;
}

static enum fail run_tool(struct call *call, struct answer *answer, struct fault *fault)
{
    struct target *t;
    enum fail fail = find_target(call, &t, fault);
    if (fail != FAIL_NONE)
        return fail;
    json_auto_t *input = jsonx_parse_theirs(call->body, SIZE_MAX);
    struct owner_run *o = make(call, t, RUN_TOOL, tool_action(input));
    o->run->timeout_ms = t->timeout_ms;
    buf_add(&o->run->input, call->body);
    answer->later = &o->later;
    return FAIL_NONE;
}

// Their bodies are the handler's own: any member is known.
static const struct endpoint endpoints[] = {
    {.method = "POST",
     .path = "/api/plugins/:plugin/instances/:instance/widget-actions/:action",
     .id = "runWidgetAction",
     .summary = "Run a widget's action; the body is its payload. Answered when the run is over, "
                "within 30 s.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_RUN,
     .lane = LANE_API,
     .body = BODY_ANY_OBJECT,
     .body_max = ACTION_BODY_MAX,
     .answer = "OwnerRun",
     .success = 200,
     .codes = "plugin_not_found instance_not_found no_handler invalid_action busy",
     .run = run_widget_action},
    {.method = "POST",
     .path = "/api/plugins/:plugin/instances/:instance/tool",
     .id = "runTool",
     .summary = "Run the plugin's tool; the body is its input. Answered when the run is over.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_RUN,
     .lane = LANE_API,
     .body = BODY_ANY_OBJECT,
     .body_max = ACTION_BODY_MAX,
     .answer = "OwnerRun",
     .success = 200,
     .codes = "plugin_not_found instance_not_found no_handler busy",
     .run = run_tool},
};

static const char schemas[] =
    "{\"OwnerRun\":{\"type\":\"object\",\"required\":[\"ok\",\"result\",\"error\",\"events\","
    "\"runId\"],\"properties\":{\"ok\":{\"type\":\"boolean\"},\"result\":{},"
    "\"error\":{\"type\":[\"object\",\"null\"],\"properties\":{\"name\":{\"type\":\"string\"},"
    "\"message\":{\"type\":\"string\"},\"line\":{\"type\":\"integer\"},\"column\":{\"type\":"
    "\"integer\"},\"stack\":{\"type\":\"string\"}}},"
    "\"events\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"type\":{"
    "\"type\":\"string\"},\"data\":{}}}},\"runId\":{\"type\":\"string\"},"
    "\"recorded\":{\"type\":\"boolean\"}}}}";

struct service *actions_owners_service(void)
{
    static struct service service = {.name = "owner runs",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas};
    return &service;
}
