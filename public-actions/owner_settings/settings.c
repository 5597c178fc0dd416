// An instance's settings: from the API's JSON to what the broker reads, and back.
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/client/origin.h"
#include "public-actions/owner_settings/internal.h"

static void refuse(json_t *wrong, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse(json_t *wrong, const char *where, const char *format, ...)
{
    char text[300];
    va_list ap;
    if (wrong == NULL)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    // Strangers' words may be cut within a character, and must not make the refusal vanish.
    char *place AUTOFREE = str_dup(str_of(where, str_utf8_prefix(str_from(where))));
    json_object_set_new(wrong, place, jsonx_string(str_from(text)));
}

static void refuse_strangers(const json_t *object, const char *const *known, const char *where,
                             json_t *wrong)
{
    const char *key;
    json_t *value;
    char path[160];
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0)
            ++i;
        snprintf(path, sizeof path, "%s%s%.100s", where, where[0] != '\0' ? "." : "", key);
        if (known[i] == NULL)
            refuse(wrong, path, "There is no such setting.");
    }
}

// The member as a number from `min` to `max`, or 0 when it is absent, null or wrong.
static uint64_t number_between(const json_t *parent, const char *key, uint64_t min, uint64_t max,
                               const char *where, json_t *wrong)
{
    const json_t *v = json_object_get(parent, key);
    if (v == NULL || json_is_null(v))
        return 0;
    json_int_t n = json_integer_value(v);
    if (json_is_integer(v) && n >= (json_int_t)min && n <= (json_int_t)max)
        return (uint64_t)n;
    char path[200];
    snprintf(path, sizeof path, "%s.%s", where, key);
    refuse(wrong, path, "This must be a whole number from %llu to %llu.", (unsigned long long)min,
           (unsigned long long)max);
    return 0;
}

// The member as an object, or NULL when it is absent or null.
static const json_t *object_of(const json_t *parent, const char *key, const char *where,
                               json_t *wrong)
{
    const json_t *o = json_object_get(parent, key);
    if (o == NULL || json_is_null(o))
        return NULL;
    if (!json_is_object(o))
        refuse(wrong, where, "This must be an object.");
    return json_is_object(o) ? o : NULL;
}

static uint32_t number_of(const json_t *parent, const char *key, uint32_t max, const char *where,
                          json_t *wrong)
{
    return (uint32_t)number_between(parent, key, 1, max, where, wrong);
}

static bool flag_of(const json_t *parent, const char *key, const char *where, json_t *wrong)
{
    const json_t *v = json_object_get(parent, key);
    char path[200];
    if (v == NULL || json_is_null(v) || json_is_boolean(v))
        return json_is_true(v);
    snprintf(path, sizeof path, "%s.%s", where, key);
    refuse(wrong, path, "This must be true or false.");
    return false;
}

// --- allowed origins (security-rules.md 12) ---

// As a browser sends it: an origin and nothing more, in ASCII.
static bool normal_origin(const json_t *item, struct origin *ret)
{
    const char *text = json_string_value(item);
    if (text == NULL || json_string_length(item) >= ORIGIN_ROOM || strchr(text, '*') != NULL)
        return false;
    for (const char *c = text; *c != '\0'; ++c)
        if (*c <= ' ' || *c >= 0x7f)
            return false;
    return str_find_str(str_from(text), STR("://")) != SIZE_MAX &&
           origin_parse(text, ret, NULL) == FAIL_NONE;
}

struct origins {
    struct origin list[OWNER_ORIGINS_MAX];
    size_t count;
};

static void add_origin(struct origins *to, const struct origin *o)
{
    for (size_t i = 0; i != to->count; ++i)
        if (origin_eq(&to->list[i], o))
            return;
    to->list[to->count++] = *o;
}

static void read_origins(const json_t *settings, struct origins *ret, json_t *wrong)
{
    const json_t *list = json_object_get(settings, "allowedOrigins"), *item;
    size_t i;
    ret->count = 0;
    if (list == NULL || json_is_null(list))
        return;
    if (!json_is_array(list) || json_array_size(list) > OWNER_ORIGINS_MAX) {
        refuse(wrong, "allowedOrigins", "This must be a list of at most %d origins.",
               OWNER_ORIGINS_MAX);
        return;
    }
    json_array_foreach((json_t *)list, i, item)
    {
        struct origin o;
        char path[40];
        snprintf(path, sizeof path, "allowedOrigins[%zu]", i);
        if (normal_origin(item, &o))
            add_origin(ret, &o);
        else
            refuse(wrong, path,
                   "This must be one exact origin as browsers send it, such as "
                   "https://www.example.com: no path, no wildcard, not null.");
    }
}

// --- rate limits ---

static struct rate read_rate(const json_t *parent, const char *key, const char *where,
                             json_t *wrong)
{
    static const char *const known[] = {"perMinute", "burst", NULL};
    const json_t *o = object_of(parent, key, where, wrong);
    struct rate r = {0};
    if (o == NULL)
        return r;
    refuse_strangers(o, known, where, wrong);
    r.per_minute = number_of(o, "perMinute", RATE_MAX, where, wrong);
    r.burst = number_of(o, "burst", BURST_MAX, where, wrong);
    if (r.per_minute == 0) {
        char path[200];
        snprintf(path, sizeof path, "%s.perMinute", where);
        if (wrong != NULL && json_object_get(wrong, path) == NULL)
            refuse(wrong, path, "This is needed: how many a minute.");
        return (struct rate){0};
    }
    if (r.burst == 0) // half a minute's worth at once
        r.burst = r.per_minute < 2               ? 1
                  : r.per_minute / 2 < BURST_MAX ? r.per_minute / 2
                                                 : BURST_MAX;
    return r;
}

// contract §4
static bool is_action(const char *name)
{
    size_t n = strlen(name);
    return n != 0 && n <= 64 && strcmp(name, "upload") != 0 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

static void read_action_rates(const json_t *limits, struct instance_settings *ret, json_t *wrong)
{
    const char *name;
    json_t *rate;
    const json_t *actions = object_of(limits, "actions", "rateLimits.actions", wrong);
    if (json_object_size(actions) > OWNER_ACTION_LIMITS_MAX) {
        refuse(wrong, "rateLimits.actions", "At most %d actions can have a limit of their own.",
               OWNER_ACTION_LIMITS_MAX);
        return;
    }
    json_object_foreach((json_t *)actions, name, rate)
    {
        char where[128];
        snprintf(where, sizeof where, "rateLimits.actions.%.64s", name);
        struct rate r = read_rate(actions, name, where, wrong);
        if (!is_action(name))
            refuse(wrong, where,
                   "This is no action's name: 1 to 64 letters, digits, '_', '.' and '-', and not "
                   "upload.");
        else if (r.per_minute != 0) {
            ret->actions[ret->action_count].action = str_from(name); // moved by take_strings
            ret->actions[ret->action_count++].rate = r;
        }
    }
}

static void read_rates(const json_t *settings, struct instance_settings *ret, json_t *wrong)
{
    static const char *const known[] = {"visitorAction", "visitor", "instance", "actions", NULL};
    const json_t *limits = object_of(settings, "rateLimits", "rateLimits", wrong);
    if (limits == NULL)
        return;
    refuse_strangers(limits, known, "rateLimits", wrong);
    ret->visitor_action = read_rate(limits, "visitorAction", "rateLimits.visitorAction", wrong);
    ret->visitor = read_rate(limits, "visitor", "rateLimits.visitor", wrong);
    ret->instance = read_rate(limits, "instance", "rateLimits.instance", wrong);
    read_action_rates(limits, ret, wrong);
}

// --- uploads, retention ---

static void read_uploads(const json_t *settings, struct instance_settings *ret, json_t *wrong)
{
    static const char *const known[] = {"filesPerHour", "bytesPerHour", "stripImageMetadata", NULL};
    const json_t *uploads = object_of(settings, "uploads", "uploads", wrong);
    if (uploads == NULL)
        return;
    refuse_strangers(uploads, known, "uploads", wrong);
    ret->uploads_per_hour = number_of(uploads, "filesPerHour", UPLOADS_MAX, "uploads", wrong);
    ret->upload_bytes_per_hour = number_between(uploads, "bytesPerHour", UPLOAD_BYTES_MIN,
                                                UPLOAD_BYTES_MAX, "uploads", wrong);
    ret->strips_images = flag_of(uploads, "stripImageMetadata", "uploads", wrong);
}

static void read_retention(const json_t *settings, struct instance_settings *ret, json_t *wrong)
{
    static const char *const known[] = {"runDays", "uploadDays", NULL};
    const json_t *retention = object_of(settings, "retention", "retention", wrong);
    if (retention == NULL)
        return;
    refuse_strangers(retention, known, "retention", wrong);
    ret->keep_run_days = number_of(retention, "runDays", KEEP_RUN_DAYS_MAX, "retention", wrong);
    ret->keep_upload_days =
        number_of(retention, "uploadDays", KEEP_UPLOAD_DAYS_MAX, "retention", wrong);
}

// --- connection ---

static str read_connection(const json_t *settings, json_t *wrong)
{
    const json_t *name = json_object_get(settings, "connection");
    if (name == NULL || json_is_null(name))
        return (str){0};
    if (json_is_string(name) && json_string_length(name) != 0 &&
        json_string_length(name) <= OWNER_CONNECTION_MAX)
        return str_of(json_string_value(name), json_string_length(name));
    refuse(wrong, "connection", "This must be the name of a connection, or null for the newest.");
    return (str){0};
}

// --- the whole ---

static str take(char **to, str s)
{
    char *at = *to;
    if (s.n != 0)
        memcpy(at, s.p, s.n);
    *to += s.n;
    return str_of(at, s.n);
}

// The strings into one allocation of their own.
static void take_strings(struct instance_settings *s, const struct origins *origins)
{
    size_t n = 1;
    for (size_t i = 0; i != origins->count; ++i)
        n += strlen(origins->list[i].text);
    for (size_t i = 0; i != s->action_count; ++i)
        n += s->actions[i].action.n;
    n += s->connection.n;
    char *to = s->_arena = malloc(n);
    if (to == NULL)
        abort();
    for (s->origin_count = 0; s->origin_count != origins->count; ++s->origin_count)
        s->origins[s->origin_count] = take(&to, str_from(origins->list[s->origin_count].text));
    for (size_t i = 0; i != s->action_count; ++i)
        s->actions[i].action = take(&to, s->actions[i].action);
    s->connection = take(&to, s->connection);
}

void owner_settings_read(const json_t *settings, struct instance_settings *ret, json_t *wrong)
{
    static const char *const known[] = {"allowedOrigins", "rateLimits", "uploads",
                                        "retention",      "connection", NULL};
    struct origins origins;
    *ret = (struct instance_settings){0};
    refuse_strangers(settings, known, "", wrong);
    read_origins(settings, &origins, wrong);
    read_rates(settings, ret, wrong);
    read_uploads(settings, ret, wrong);
    read_retention(settings, ret, wrong);
    ret->connection = read_connection(settings, wrong);
    take_strings(ret, &origins);
}

void instance_settings_fini(struct instance_settings *s)
{
    free(s->_arena);
    *s = (struct instance_settings){0};
}

static json_t *rate_json(const struct rate *r)
{
    if (r->per_minute == 0)
        return json_null();
    return json_pack("{s:i, s:i}", "perMinute", (int)r->per_minute, "burst", (int)r->burst);
}

static json_t *number_json(uint64_t n)
{
    return n != 0 ? json_integer((json_int_t)n) : json_null();
}

json_t *owner_settings_json(const struct instance_settings *s)
{
    json_t *origins = json_array(), *actions = json_object();
    for (size_t i = 0; i != s->origin_count; ++i)
        json_array_append_new(origins, json_stringn(s->origins[i].p, s->origins[i].n));
    for (size_t i = 0; i != s->action_count; ++i) {
        char name[65];
        snprintf(name, sizeof name, "%.*s", STR_FMT(s->actions[i].action));
        json_object_set_new(actions, name, rate_json(&s->actions[i].rate));
    }
    return json_pack(
        "{s:o, s:{s:o, s:o, s:o, s:o}, s:{s:o, s:o, s:b}, s:{s:o, s:o}, s:o}", "allowedOrigins",
        origins, "rateLimits", "visitorAction", rate_json(&s->visitor_action), "visitor",
        rate_json(&s->visitor), "instance", rate_json(&s->instance), "actions", actions, "uploads",
        "filesPerHour", number_json(s->uploads_per_hour), "bytesPerHour",
        number_json(s->upload_bytes_per_hour), "stripImageMetadata", s->strips_images, "retention",
        "runDays", number_json(s->keep_run_days), "uploadDays", number_json(s->keep_upload_days),
        "connection", s->connection.n != 0 ? jsonx_string(s->connection) : json_null());
}

void owner_merge(json_t *object, const json_t *change)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)change, key, value)
    {
        json_t *here = json_object_get(object, key);
        if (json_is_object(value)) {
            if (!json_is_object(here)) {
                json_object_set_new(object, key, json_object());
                here = json_object_get(object, key);
            }
            owner_merge(here, value);
        } else if (json_is_null(value)) {
            json_object_del(object, key);
        } else {
            json_object_set(object, key, value);
        }
    }
}
