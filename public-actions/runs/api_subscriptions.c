// Who is told of events: URLs of the owner's choosing, called from here by edge/client/fetch only.
#include <stdio.h>
#include "edge/base/jsonx.h"
#include "public-actions/runs/api.h"

static json_t *subscription_json(const struct db_rows *rows, size_t row)
{
    return json_pack(
        "{so so so so so so so so si si}", "id", run_text_json(db_get(rows, row, 0)), "url",
        run_text_json(db_get(rows, row, 1)), "events", run_value_json(db_get(rows, row, 2)),
        "instanceId", run_text_json(db_get(rows, row, 3)), "createdAt",
        run_time_json(db_get_time(rows, row, 4)), "deliveredAt",
        run_time_json(db_get_time(rows, row, 5)), "failedAt",
        run_time_json(db_get_time(rows, row, 6)), "failure", run_text_json(db_get(rows, row, 7)),
        "waiting", (int)db_get_int(rows, row, 8), "dead", (int)db_get_int(rows, row, 9));
}

// --- fields, all that is wrong with them at once ---

static void refuse_field(struct answer *answer, const char *field, const char *why)
{
    if (answer->details == NULL)
        answer->details = json_pack("{s{}}", "fields");
    json_object_set_new(json_object_get(answer->details, "fields"), field, json_string(why));
}

// The form only; where it leads is looked at whenever it is connected to.
static bool is_url(str url)
{
    str rest = str_starts(url, STR("https://"))  ? str_skip(url, 8)
               : str_starts(url, STR("http://")) ? str_skip(url, 7)
                                                 : (str){0};
    size_t host = 0;
    while (host != rest.n && strchr("/?#", rest.p[host]) == NULL)
        ++host;
    for (size_t i = 0; i != url.n; ++i)
        if (url.p[i] <= ' ' || url.p[i] >= 0x7f)
            return false;
    return host != 0 && url.n <= SUBSCRIPTION_URL_MAX &&
           str_find(str_of(rest.p, host), '@') == SIZE_MAX && str_find(rest, '#') == SIZE_MAX;
}

static bool is_event_name(const json_t *name)
{
    str s = str_of(json_string_value(name), json_string_length(name));
    if (s.n == 0 || s.n >= EVENT_TYPE_ROOM)
        return false;
    if (str_eq(s, STR("*")))
        return true;
    for (size_t i = 0; i != s.n; ++i)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", s.p[i]) ==
            NULL)
            return false;
    return true;
}

static void check_fields(const struct call *call, struct answer *answer)
{
    const json_t *events = json_object_get(call->json, "events");
    size_t n = json_array_size(events);
    bool ok = n != 0 && n <= SUBSCRIPTION_EVENTS_MAX;
    for (size_t i = 0; i != n && ok; ++i)
        ok = is_event_name(json_array_get(events, i));
    if (!ok)
        refuse_field(answer, "events",
                     "This must be a list of 1 to 50 event ids, or [\"*\"] for all.");
    if (!is_url(jsonx_str(call->json, "url")))
        refuse_field(answer, "url",
                     "This must be an http:// or https:// URL of at most 2048 characters, without "
                     "user, password or fragment.");
}

static enum fail find_instance(struct call *call, struct instance *ret, const char **ret_id,
                               struct fault *fault)
{
    str ref = jsonx_str(call->json, "instance");
    *ret_id = NULL;
    if (ref.p == NULL)
        return FAIL_NONE;
    *ret_id = ret->id;
    return catalog_instance_find(call->db, call->principal->project_id, ref, ret, fault);
}

// --- the endpoints ---

static enum fail audit(struct call *call, const char *action, const char *id, json_t *facts,
                       struct fault *fault)
{
    const struct principal *p = call->principal;
    return audit_append(call->db, p->project_id, p->token_id, action, id, call->request_id,
                        call->peer, facts, fault);
}

static enum fail show(struct call *call, str id, struct answer *answer, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f =
        runs_query_subscription_find(call->db, call->principal->project_id, id, &rows, fault);
    if (f == FAIL_NONE)
        answer->json = subscription_json(rows, 0);
    return f;
}

static enum fail insert(struct call *call, const char *instance_id, const char *id,
                        const uint8_t key[static EVENT_KEY_SIZE], struct answer *answer,
                        struct fault *fault)
{
    struct buf sealed;
    str url = jsonx_str(call->json, "url");
    json_auto_t *facts = json_pack("{so}", "url", jsonx_string(url));
    buf_init(&sealed, 256);
    enum fail f = event_key_seal(key, call->principal->project_id, id, &sealed, fault);
    struct subscription_wish wish = {.id = id,
                                     .project_id = call->principal->project_id,
                                     .instance_id = instance_id,
                                     .url = url,
                                     .events = json_object_get(call->json, "events"),
                                     .secret = buf_str(&sealed)};
    if (f == FAIL_NONE)
        f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = runs_query_subscription_insert(call->db, &wish, fault);
    buf_fini(&sealed);
    if (f == FAIL_NONE)
        f = show(call, str_from(id), answer, fault);
    if (f == FAIL_NONE)
        f = audit(call, "event_subscription.create", id, facts, fault);
    return f == FAIL_NONE ? db_commit(call->db, fault) : f;
}

enum fail event_api_subscribe(struct call *call, struct answer *answer, struct fault *fault)
{
    struct instance instance;
    const char *instance_id = NULL;
    uint8_t key[EVENT_KEY_SIZE];
    char id[CATALOG_ID_ROOM], secret[EVENT_SECRET_ROOM];
    check_fields(call, answer);
    if (answer->details != NULL)
        return fault_set(fault, FAIL_REFUSED, "invalid_request",
                         "Some fields of the request cannot be accepted.");
    enum fail f = find_instance(call, &instance, &instance_id, fault);
    if (f != FAIL_NONE)
        return f;
    token_id("sub_", id);
    random_bytes(key, sizeof key);
    f = insert(call, instance_id, id, key, answer, fault);
    event_secret(key, secret);
    if (f == FAIL_NONE)
        json_object_set_new(answer->json, "secret", json_string(secret));
    explicit_bzero(key, sizeof key);
    explicit_bzero(secret, sizeof secret);
    return f;
}

static struct page_key key_of(const struct db_rows *rows, size_t row)
{
    struct page_key key = {.at = db_get_time(rows, row, 4)};
    snprintf(key.id, sizeof key.id, "%.*s", STR_FMT(db_get(rows, row, 0)));
    return key;
}

enum fail event_api_subscriptions(struct call *call, struct answer *answer, struct fault *fault)
{
    struct page page;
    DB_ROWS_AUTO rows = NULL;
    enum fail f = run_page_of(call, &page, fault);
    if (f == FAIL_NONE)
        f = runs_query_subscription_page(call->db, call->principal->project_id, &page, &rows,
                                         fault);
    if (f == FAIL_NONE)
        answer->json = page_rows_json(&page, rows, subscription_json, key_of);
    return f;
}

enum fail event_api_subscription(struct call *call, struct answer *answer, struct fault *fault)
{
    return show(call, call->params[0], answer, fault);
}

enum fail event_api_unsubscribe(struct call *call, struct answer *answer, struct fault *fault)
{
    char id[CATALOG_ID_ROOM];
    enum fail f = db_begin(call->db, fault);
    if (f == FAIL_NONE)
        f = show(call, call->params[0], answer, fault);
    if (f != FAIL_NONE)
        return f;
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(answer->json, "id")));
    f = runs_query_subscription_delete(call->db, call->principal->project_id, id, fault);
    if (f == FAIL_NONE)
        f = audit(call, "event_subscription.delete", id, NULL, fault);
    return f == FAIL_NONE ? db_commit(call->db, fault) : f;
}
