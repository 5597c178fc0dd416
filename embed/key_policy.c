// What a request says of a key, field by field.
#include <stdio.h>
#include "edge/base/jsonx.h"
#include "edge/client/origin.h"
#include "edge/http/call_fields.h"
#include "embed/keys.h"

void key_policy_init(struct key_policy *p)
{
    *p = (struct key_policy){
        .origins = json_array(), .session_s = KEY_SESSION_S, .absolute_s = KEY_ABSOLUTE_S};
}

void key_policy_fini(struct key_policy *p)
{
    json_decref(p->origins);
    p->origins = NULL;
}

// --- origins ---

// Nothing that would end a directive or be more than one source (CSP 3 §2.3.1).
static bool is_plain(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            str_find(STR(".-:/[]"), c) == SIZE_MAX)
            return false;
    }
    return true;
}

bool key_origin_is_exact(str text)
{
    struct origin o;
    char z[ORIGIN_ROOM];
    if (text.n == 0 || text.n >= sizeof z || !is_plain(text))
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    return origin_parse(z, &o, NULL) == FAIL_NONE && strcmp(z, o.text) == 0 &&
           !str_ends(text, STR(":0")) && (o.is_https || o.is_loopback);
}

// --- fields ---

struct reading {
    const json_t *fields;
    struct answer *answer;
    json_t *changed;
};

// The value given, or NULL; a null counts as given.
static const json_t *given(struct reading *r, const char *field)
{
    const json_t *v = json_object_get(r->fields, field);
    if (v != NULL)
        json_array_append_new(r->changed, json_string(field));
    return v;
}

static void read_name(struct reading *r, struct key_policy *p)
{
    str name = jsonx_str(r->fields, "displayName");
    if (given(r, "displayName") == NULL)
        return;
    if (call_is_text(name, CALL_NAME_MAX))
        snprintf(p->display_name, sizeof p->display_name, "%.*s", STR_FMT(name));
    else
        call_refuse_field(r->answer, "displayName",
                          "This must have 1 to 100 characters, none of them control characters.");
}

static void read_audience(struct reading *r, struct key_policy *p)
{
    const json_t *v = given(r, "audience");
    str audience = jsonx_str(r->fields, "audience");
    if (v == NULL)
        return;
    if (json_is_null(v))
        p->audience[0] = '\0';
    else if (call_is_text(audience, KEY_AUDIENCE_MAX))
        snprintf(p->audience, sizeof p->audience, "%.*s", STR_FMT(audience));
    else
        call_refuse_field(r->answer, "audience",
                          "This must have 1 to 256 characters, or be null: any `aud`.");
}

static void add_once(json_t *origins, json_t *origin)
{
    size_t i;
    json_t *have;
    json_array_foreach(origins, i, have)
    {
        if (json_equal(have, origin))
            return;
    }
    json_array_append(origins, origin);
}

static void read_origins(struct reading *r, struct key_policy *p)
{
    const json_t *list = given(r, "allowedOrigins");
    size_t i;
    json_t *item;
    if (list == NULL)
        return;
    if (json_is_null(list)) {
        call_refuse_field(r->answer, "allowedOrigins",
                          "This must be a list; [] is the one that allows nobody.");
        return;
    }
    if (json_array_size(list) > KEY_ORIGINS_MAX) {
        call_refuse_field(r->answer, "allowedOrigins",
                          "This must be a list of at most 50 origins.");
        return;
    }
    json_array_clear(p->origins);
    json_array_foreach((json_t *)list, i, item)
    {
        char place[40];
        snprintf(place, sizeof place, "allowedOrigins[%zu]", i);
        if (key_origin_is_exact(str_of(json_string_value(item), json_string_length(item))))
            add_once(p->origins, item);
        else
            call_refuse_field(
                r->answer, place,
                "This must be one exact origin as browsers send it, such as "
                "https://app.example.com: https (http only on loopback), in lower case, no "
                "default port, no path, no final slash, no wildcard.");
    }
}

static void read_seconds(struct reading *r, const char *field, int64_t max, int64_t otherwise,
                         int64_t *to)
{
    const json_t *v = given(r, field);
    if (v == NULL)
        return;
    int64_t seconds = json_integer_value(v);
    if (json_is_null(v))
        *to = otherwise;
    else if (json_is_integer(v) && seconds >= KEY_LENGTH_MIN && seconds <= max)
        *to = seconds;
    else
        call_refuse_field(r->answer, field,
                          max == KEY_LENGTH_MAX
                              ? "This must be 60 to 604800 seconds."
                              : "This must be 60 to 31622400 seconds, or null: any.");
}

static void read_single_use(struct reading *r, struct key_policy *p)
{
    const json_t *v = given(r, "singleUse");
    if (v == NULL)
        return;
    if (json_is_boolean(v))
        p->is_single_use = json_is_true(v);
    else
        call_refuse_field(r->answer, "singleUse", "This must be true or false.");
}

static void read_status(struct reading *r, struct key_policy *p)
{
    str status = jsonx_str(r->fields, "status");
    if (given(r, "status") == NULL)
        return;
    if (str_eq(status, STR("ACTIVE")) || str_eq(status, STR("DISABLED")))
        p->is_disabled = str_eq(status, STR("DISABLED"));
    else
        call_refuse_field(r->answer, "status", "This must be ACTIVE or DISABLED.");
}

enum fail key_policy_read(const struct call *call, struct answer *answer, struct key_policy *p,
                          json_t *ret_changed, struct fault *fault)
{
    struct reading r = {call->json, answer, ret_changed};
    read_name(&r, p);
    read_audience(&r, p);
    read_origins(&r, p);
    read_seconds(&r, "maxLifetime", KEY_LIFETIME_MAX, 0, &p->max_lifetime_s);
    read_seconds(&r, "sessionLength", KEY_LENGTH_MAX, KEY_SESSION_S, &p->session_s);
    read_seconds(&r, "absoluteLength", KEY_LENGTH_MAX, KEY_ABSOLUTE_S, &p->absolute_s);
    read_single_use(&r, p);
    read_status(&r, p);
    return call_fields_verdict(answer, fault);
}
