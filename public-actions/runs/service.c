// The folder's life, its table of endpoints, and what their answers look like.
#include "public-actions/runs/api.h"
#include "public-actions/runs/feed.h"

enum {
    DELIVERY_TIMEOUT_MS = 15 * 1000,
    DELIVERY_RETRY_MS = 5 * 1000,
    DELIVERY_GIVE_UP_MS = 24 * 3600 * 1000,
};

struct runs_options runs_options;

static uint64_t or_default(uint64_t v, uint64_t standard)
{
    return v != 0 ? v : standard;
}

void runs_init(const struct runs_options *o)
{
    runs_options = *o;
    runs_options.database = str_dup(str_from(o->database));
    runs_options.delivery_timeout_ms = or_default(o->delivery_timeout_ms, DELIVERY_TIMEOUT_MS);
    runs_options.delivery_retry_ms = or_default(o->delivery_retry_ms, DELIVERY_RETRY_MS);
    runs_options.delivery_give_up_ms = or_default(o->delivery_give_up_ms, DELIVERY_GIVE_UP_MS);
    static const struct catalog_hooks hooks = {.on_event = runs_query_tell};
    catalog_hooks_add(&hooks);
}

void runs_start(void)
{
    runs_writer_start();
    deliver_start();
}

void runs_stop(void)
{
    runs_writer_stop();
    deliver_stop();
}

void runs_on_notice(str payload)
{
    event_feed_wake(payload);
}

void runs_on_listener_back(void)
{
    event_feed_wake(STR("*"));
}

void runs_metrics(struct buf *to)
{
    runs_writer_metrics(to);
    deliver_metrics(to);
    event_feed_metrics(to);
}

// --- the table ---

#define PAGE_FIELDS                                                                                \
    {"limit", "integer", false, "How many to show, 1 to 100; 50 when left out."},                  \
    {                                                                                              \
        "cursor", "string", false, "`next` or `previous` of another page."                         \
    }

static const struct endpoint_field page_fields[] = {PAGE_FIELDS, {0}};
static const struct endpoint_field run_fields[] = {
    {"action", "string", false, "Only runs of this action."},
    {"outcome", "string", false,
     "Only runs that ended so: ok, reported_error, handler_error, handler_timeout, "
     "handler_crashed, handler_out_of_memory, busy or refused."},
    PAGE_FIELDS,
    {0},
};
static const struct endpoint_field subscription_fields[] = {
    {"url", "string", true, "Where events are sent to, by POST."},
    {"events", "array", true, "Ids of heartbeat events, or [\"*\"] for all."},
    {"instance", "string", false, "Only events of this instance, by id or slug."},
    {0},
};

#define INSTANCE "/api/public-apps/instances/:instance"

static const struct endpoint endpoints[] = {
    {.method = "GET",
     .path = INSTANCE "/runs",
     .id = "listRuns",
     .summary = "What was run of an instance, newest first.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .query = run_fields,
     .answer = "RunList",
     .success = 200,
     .codes = "instance_not_found invalid_cursor",
     .run = run_api_list},
    {.method = "GET",
     .path = "/api/runs/:run",
     .id = "getRun",
     .summary = "One run, with what it logged, its error and the requests it made.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .answer = "RunDetail",
     .success = 200,
     .codes = "run_not_found",
     .run = run_api_get},
    {.method = "GET",
     .path = INSTANCE "/events",
     .id = "listEvents",
     .summary = "The heartbeat events of an instance, newest first.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .query = page_fields,
     .answer = "EventList",
     .success = 200,
     .codes = "instance_not_found invalid_cursor",
     .run = event_api_list},
    {.method = "GET",
     .path = INSTANCE "/events/stream",
     .id = "streamEvents",
     .summary = "The heartbeat events of an instance as server-sent events, from now on or, with "
                "Last-Event-ID, from behind that one.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_READ_DATA,
     .answer = "text/event-stream",
     .success = 200,
     .codes = "instance_not_found too_many_streams invalid_last_event_id",
     .run = event_api_stream},
    {.method = "POST",
     .path = "/api/event-subscriptions",
     .id = "createEventSubscription",
     .summary = "Has events sent to an URL, signed; the secret is shown only here.",
     .scope = SCOPE_ADMIN,
     .permission = PERMISSION_MANAGE,
     .body = BODY_JSON,
     .body_max = 16384,
     .fields = subscription_fields,
     .answer = "NewEventSubscription",
     .success = 201,
     .codes = "invalid_request instance_not_found too_many_subscriptions",
     .run = event_api_subscribe},
    {.method = "GET",
     .path = "/api/event-subscriptions",
     .id = "listEventSubscriptions",
     .summary = "The project's event subscriptions, newest first.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_MANAGE,
     .query = page_fields,
     .answer = "EventSubscriptionList",
     .success = 200,
     .codes = "invalid_cursor",
     .run = event_api_subscriptions},
    {.method = "GET",
     .path = "/api/event-subscriptions/:subscription",
     .id = "getEventSubscription",
     .summary = "One event subscription, and how its deliveries go.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_MANAGE,
     .answer = "EventSubscription",
     .success = 200,
     .codes = "subscription_not_found",
     .run = event_api_subscription},
    {.method = "DELETE",
     .path = "/api/event-subscriptions/:subscription",
     .id = "deleteEventSubscription",
     .summary = "Ends an event subscription; what was not delivered to it yet never is.",
     .scope = SCOPE_ADMIN,
     .permission = PERMISSION_MANAGE,
     .answer = "EventSubscription",
     .success = 200,
     .codes = "subscription_not_found",
     .run = event_api_unsubscribe},
};

#define TEXT "{\"type\":\"string\"}"
#define TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"
#define TIME "{\"type\":\"string\",\"format\":\"date-time\"}"
#define TIME_OR_NULL "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define NUMBER "{\"type\":\"integer\"}"
#define OBJECTS "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}"
#define LIST_OF(name)                                                                              \
    "{\"type\":\"object\",\"required\":[\"data\",\"next\",\"previous\"],\"properties\":{"          \
    "\"data\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/" name "\"}},"        \
    "\"next\":" TEXT_OR_NULL ",\"previous\":" TEXT_OR_NULL "}}"
#define MORE(base, rest)                                                                           \
    "{\"allOf\":[{\"$ref\":\"#/components/schemas/" base "\"},{\"type\":\"object\","               \
    "\"properties\":{" rest "}}]}"

static const char schemas[] =
    "{\"Run\":{\"type\":\"object\",\"required\":[\"id\",\"instanceId\",\"action\",\"source\","
    "\"outcome\",\"startedAt\"],\"properties\":{\"id\":" TEXT ",\"instanceId\":" TEXT
    ",\"pluginId\":" TEXT ",\"deploymentId\":" TEXT ",\"action\":" TEXT_OR_NULL
    ",\"source\":{\"enum\":[\"public\",\"widget\",\"tool\"]},\"outcome\":" TEXT
    ",\"preview\":{\"type\":\"boolean\"},\"requestId\":" TEXT_OR_NULL ",\"visitor\":" TEXT_OR_NULL
    ",\"actor\":" TEXT_OR_NULL ",\"startedAt\":" TIME ",\"endedAt\":" TIME ",\"queuedMs\":" NUMBER
    ",\"ranMs\":" NUMBER ",\"inputBytes\":" NUMBER ",\"outputBytes\":" NUMBER
    ",\"queryCount\":" NUMBER ",\"fetchCount\":" NUMBER "}},"
    "\"RunList\":" LIST_OF(
        "Run") ","
               "\"RunDetail\":" MORE(
                   "Run",
                   "\"log\":" OBJECTS ",\"error\":{},\"fetches\":" OBJECTS ",\"notices\":" OBJECTS
                   ",\"noticesLeftOut\":" NUMBER
                   ",\"events\":" OBJECTS) ","
                                           "\"Event\":{\"type\":\"object\",\"required\":[\"id\","
                                           "\"type\",\"instanceId\",\"runId\","
                                           "\"createdAt\",\"data\"],\"properties\":{\"id\":" TEXT
                                           ",\"streamId\":" TEXT ",\"type\":" TEXT
                                           ",\"instanceId\":" TEXT ",\"pluginId\":" TEXT
                                           ",\"runId\":" TEXT_OR_NULL ",\"source\":" TEXT
                                           ",\"action\":" TEXT_OR_NULL ",\"createdAt\":" TIME
                                           ",\"data\":{}}},"
                                           "\"EventList\":" LIST_OF(
                                               "Event") ","
                                                        "\"EventSubscription\":{\"type\":"
                                                        "\"object\",\"required\":[\"id\",\"url\","
                                                        "\"events\"],"
                                                        "\"properties\":{\"id\":" TEXT
                                                        ",\"url\":" TEXT ",\"events\":{\"type\":"
                                                        "\"array\",\"items\":" TEXT
                                                        "},\"instanceId\":" TEXT_OR_NULL
                                                        ",\"createdAt\":" TIME
                                                        ",\"deliveredAt\":" TIME_OR_NULL
                                                        ",\"failedAt\":" TIME_OR_NULL
                                                        ",\"failure\":" TEXT_OR_NULL
                                                        ",\"waiting\":" NUMBER ",\"dead\":" NUMBER
                                                        "}},"
                                                        "\"EventSubscriptionList\":" LIST_OF(
                                                            "EventSubscription") ","
                                                                                 "\"NewEventSubscri"
                                                                                 "ption\":" MORE(
                                                                                     "EventSubscrip"
                                                                                     "tion",
                                                                                     "\"secret\""
                                                                                     ":" TEXT) "}";

struct service *runs_service(void)
{
    static struct service service = {.name = "runs",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas,
                                     .on_metrics = runs_metrics};
    return &service;
}
