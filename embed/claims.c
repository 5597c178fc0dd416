// In the order of the page: times first, then whom it is for, then who it is about.
#include "embed/claims.h"
#include "edge/auth/roles.h"
#include "edge/base/jsonx.h"
#include "edge/http/call_fields.h"

struct reading {
    const struct jose_token *token;
    const json_t *payload;
    const struct claims_rules *rules;
    int64_t now_s;
    struct claims *claims;
    const char **claim;
    struct fault *fault;
};

static enum fail refuse(const struct reading *r, const char *claim, const char *why)
{
    *r->claim = claim;
    return fault_set(r->fault, FAIL_UNAUTHORISED, "invalid_token", "The token's \"%s\" %s.", claim,
                     why);
}

// --- times ---

static enum fail read_time(const struct reading *r, const char *claim, bool *ret_present,
                           int64_t *ret)
{
    if (jose_time(r->token, claim, ret_present, ret, NULL) == FAIL_NONE)
        return FAIL_NONE;
    return refuse(r, claim, "must be a time in whole seconds since 1970");
}

static enum fail check_expiry(const struct reading *r)
{
    bool is_present;
    int64_t exp = 0;
    enum fail f = read_time(r, "exp", &is_present, &exp);
    if (f != FAIL_NONE)
        return f;
    if (!is_present)
        return refuse(r, "exp", "is missing");
    if (r->now_s - exp >= CLAIM_LEEWAY)
        return refuse(r, "exp", "lies in the past");
    r->claims->expires_at = exp;
    return FAIL_NONE;
}

static enum fail check_not_in_future(const struct reading *r, const char *claim, bool *ret_present,
                                     int64_t *ret)
{
    enum fail f = read_time(r, claim, ret_present, ret);
    if (f == FAIL_NONE && *ret_present && *ret - r->now_s > CLAIM_LEEWAY)
        return refuse(r, claim, "lies in the future");
    return f;
}

// A key that sets a maximum wants to know when the token was made: without, what is left of a long
// life would pass for a short one.
static enum fail check_lifetime(const struct reading *r, bool has_iat, int64_t iat)
{
    struct claims *c = r->claims;
    int64_t max = r->rules->max_lifetime_s;
    c->issued_at = has_iat ? iat : c->expires_at;
    c->lifetime_s = c->expires_at - (has_iat ? iat : r->now_s);
    if (c->lifetime_s < 0)
        c->lifetime_s = 0;
    if (max != 0 && !has_iat)
        return refuse(r, "iat", "is missing: this key limits how long its tokens live");
    if (max != 0 && c->lifetime_s > max)
        return refuse(r, "exp", "lies further behind \"iat\" than this key allows");
    return FAIL_NONE;
}

static enum fail check_times(const struct reading *r)
{
    bool has_nbf, has_iat = false;
    int64_t nbf = 0, iat = 0;
    enum fail f = check_expiry(r);
    if (f == FAIL_NONE)
        f = check_not_in_future(r, "nbf", &has_nbf, &nbf);
    if (f == FAIL_NONE)
        f = check_not_in_future(r, "iat", &has_iat, &iat);
    return f == FAIL_NONE ? check_lifetime(r, has_iat, iat) : f;
}

// --- aud (RFC 7519 §4.1.3) ---

static bool is_string(const json_t *v, str want)
{
    return json_is_string(v) && str_eq(str_of(json_string_value(v), json_string_length(v)), want);
}

static enum fail check_audience(const struct reading *r)
{
    str want = str_from(r->rules->audience);
    const json_t *aud = json_object_get(r->payload, "aud");
    bool is_there = is_string(aud, want);
    if (want.n == 0)
        return FAIL_NONE;
    for (size_t i = 0; !is_there && i != json_array_size(aud); ++i)
        is_there = is_string(json_array_get(aud, i), want);
    if (aud == NULL)
        return refuse(r, "aud", "is missing");
    return is_there ? FAIL_NONE : refuse(r, "aud", "is not the one of this key");
}

// --- texts ---

static enum fail read_text(const struct reading *r, const char *claim, bool is_required, str *ret)
{
    const json_t *v = json_object_get(r->payload, claim);
    str text = jsonx_str(r->payload, claim);
    if (v == NULL && !is_required)
        return FAIL_NONE;
    if (v == NULL)
        return refuse(r, claim, "is missing");
    if (!json_is_string(v))
        return refuse(r, claim, "must be a string");
    if (!call_is_text(text, CLAIM_TEXT_MAX) && (is_required || text.n != 0))
        return refuse(r, claim, "must have 1 to 256 characters, none of them control characters");
    *ret = text;
    return FAIL_NONE;
}

static enum fail read_texts(const struct reading *r)
{
    struct claims *c = r->claims;
    enum fail f = read_text(r, "externalUserId", true, &c->external_user_id);
    if (f == FAIL_NONE)
        f = read_text(r, "externalProjectId", true, &c->external_project_id);
    if (f == FAIL_NONE)
        f = read_text(r, "firstName", true, &c->first_name);
    if (f == FAIL_NONE)
        f = read_text(r, "lastName", true, &c->last_name);
    if (f == FAIL_NONE)
        f = read_text(r, "email", false, &c->email);
    return f;
}

static enum fail read_role(const struct reading *r)
{
    const json_t *v = json_object_get(r->payload, "role");
    enum role role = v == NULL ? ROLE_EDITOR : role_of(jsonx_str(r->payload, "role"));
    if (role == ROLE_NONE)
        return refuse(r, "role", "must be Admin, Editor, Viewer or Operator");
    r->claims->role = role_name(role);
    return FAIL_NONE;
}

// --- pieces ---

static enum fail read_tags(const struct reading *r, const char *claim, const json_t *tags)
{
    if (tags == NULL)
        return FAIL_NONE;
    bool are_fine = json_is_array(tags) && json_array_size(tags) <= CLAIM_TAGS_MAX;
    for (size_t i = 0; are_fine && i != json_array_size(tags); ++i) {
        const json_t *tag = json_array_get(tags, i);
        str text = str_of(json_string_value(tag), json_string_length(tag));
        are_fine = json_is_string(tag) && call_is_text(text, CLAIM_TEXT_MAX);
    }
    if (!are_fine)
        return refuse(r, claim, "must be a list of at most 256 tags of 1 to 256 characters");
    r->claims->tags = tags;
    return FAIL_NONE;
}

static enum fail read_filter(const struct reading *r, const char *claim, const json_t *filter)
{
    if (filter == NULL)
        return FAIL_NONE;
    if (is_string(filter, STR("NONE")))
        r->claims->filter = "NONE";
    else if (is_string(filter, STR("ALLOWED")))
        r->claims->filter = "ALLOWED";
    else
        return refuse(r, claim, "must be NONE or ALLOWED");
    r->claims->has_filter = true;
    return FAIL_NONE;
}

// Before "v3" they stood in an object of their own.
static enum fail read_old_pieces(const struct reading *r)
{
    const json_t *pieces = json_object_get(r->payload, "pieces");
    if (pieces == NULL)
        return FAIL_NONE;
    if (!json_is_object(pieces))
        return refuse(r, "pieces", "must be an object {filterType, tags}");
    enum fail f = read_filter(r, "pieces.filterType", json_object_get(pieces, "filterType"));
    if (f == FAIL_NONE)
        f = read_tags(r, "pieces.tags", json_object_get(pieces, "tags"));
    return f;
}

static enum fail read_pieces(const struct reading *r)
{
    const json_t *version = json_object_get(r->payload, "version");
    if (version != NULL && !is_string(version, STR("v1")) && !is_string(version, STR("v2")) &&
        !is_string(version, STR("v3")))
        return refuse(r, "version", "must be v1, v2 or v3");
    if (!is_string(version, STR("v3")))
        return read_old_pieces(r);
    enum fail f =
        read_filter(r, "piecesFilterType", json_object_get(r->payload, "piecesFilterType"));
    if (f == FAIL_NONE)
        f = read_tags(r, "piecesTags", json_object_get(r->payload, "piecesTags"));
    return f;
}

static enum fail read_tasks(const struct reading *r)
{
    const json_t *tasks = json_object_get(r->payload, "tasks");
    if (tasks != NULL && (!json_is_number(tasks) || json_number_value(tasks) < 0))
        return refuse(r, "tasks", "must be a number");
    r->claims->tasks = tasks;
    return FAIL_NONE;
}

enum fail claims_read(const struct jose_token *t, const struct claims_rules *rules, int64_t now_s,
                      struct claims *ret, const char **ret_claim, struct fault *fault)
{
    struct claims claims = {.filter = "NONE"};
    const struct reading r = {t, t->payload, rules, now_s, &claims, ret_claim, fault};
    enum fail f = check_times(&r);
    if (f == FAIL_NONE)
        f = check_audience(&r);
    if (f == FAIL_NONE)
        f = read_texts(&r);
    if (f == FAIL_NONE)
        f = read_role(&r);
    if (f == FAIL_NONE)
        f = read_pieces(&r);
    if (f == FAIL_NONE)
        f = read_tasks(&r);
    if (f == FAIL_NONE)
        *ret = claims;
    return f;
}
