// From the manifest's heartbeatEvents to the events of a run. The manifest is the deployer's, so
// everything in it may be anything.
#include "public-actions/runs/internal.h"
#include "edge/base/jsonx.h"

static bool is_event_id(str id)
{
    if (id.n == 0 || id.n >= EVENT_TYPE_ROOM)
        return false;
    for (size_t i = 0; i != id.n; ++i) {
        char c = id.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
        if (!ok)
            return false;
    }
    return true;
}

static bool matches(const json_t *matchers, enum run_source source, str action)
{
    size_t i;
    json_t *m;
    const char *key = source == RUN_TOOL ? "action" : "actionId";
    json_array_foreach(matchers, i, m)
    {
        str named = jsonx_str(m, key);
        if (named.p != NULL && str_eq(named, action) &&
            str_eq(jsonx_str(m, "source"), str_from(run_source_name(source))))
            return true;
    }
    return false;
}

static bool has_string(const json_t *array, str s)
{
    size_t i;
    json_t *one;
    json_array_foreach(array, i, one)
    {
        if (str_eq(str_of(json_string_value(one), json_string_length(one)), s))
            return true;
    }
    return false;
}

json_t *run_events_match(const json_t *front, enum run_source source, str action)
{
    const json_t *declared = json_object_get(
        json_object_get(json_object_get(front, "manifest"), "heartbeatEvents"), "events");
    json_t *ret = json_array(), *event;
    size_t i;
    json_array_foreach(declared, i, event)
    {
        str id = jsonx_str(event, "id");
        if (is_event_id(id) && !json_is_false(json_object_get(event, "enabled")) &&
            matches(json_object_get(event, "matchers"), source, action) && !has_string(ret, id) &&
            json_array_size(ret) != RUN_EVENTS_MAX)
            json_array_append_new(ret, jsonx_string(id));
    }
    if (json_array_size(ret) != 0)
        return ret;
    json_decref(ret);
    return NULL;
}
