// A token's way: may the address try at all → form → whose key → may this page ask → signature →
// claims → how often → user, project and session in one transaction. What costs least refuses first, and nothing
// the token says is believed, or written down, before its signature was found good.
//
// Who asks decides what kind of session there is. Our own page (Origin: ours) is framed by somebody,
// whom it names as parentOrigin: a short session, which it renews. A page of an origin on the key's
// list: a long one, for it never renews. A caller without Origin is no browser (a backend, curl): it
// gets the short one. A thief who is no browser either could send any Origin: what protects from him
// is that tokens are short-lived, and the platform's own page.
#include "embed/exchange.h"
#include <stdio.h>
#include "edge/auth/sessions.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/route/site.h"
#include "embed/claims.h"
#include "embed/keys.h"
#include "embed/refusals.h"
#include "embed/throttle.h"

enum { TRIES = 4 };

struct exchange {
    struct call *call;
    struct answer *answer;
    struct db *db;
    struct ip address;
    struct jose_token token;
    struct signing_key *key; // a reference; NULL: none was found
    const char *caller;      // "frame", "page", "server"
    str origin;              // the host page's; empty: not known
    struct claims claims;
    struct digest provisioning; // of what was signed
    struct provisioned user;
    struct session_grant grant;
    const char *reason; // of a refusal, a literal; NULL: it is no refusal of the token's
};

static void exchange_fini(struct exchange *x)
{
    jose_token_fini(&x->token);
    signing_key_unref(x->key);
    explicit_bzero(x->grant.token, sizeof x->grant.token);
}

static enum fail too_many(struct exchange *x, unsigned wait_s, struct fault *fault)
{
    x->answer->retry_after = wait_s;
    return fault_set(fault, FAIL_TOO_MANY, "too_many_attempts",
                     "Too many tokens from here were refused. Please try again later.");
}

static enum fail refuse(struct exchange *x, enum fail f, const char *reason)
{
    x->reason = reason;
    return f;
}

// --- whose key ---

static enum fail find_key(struct exchange *x, struct fault *fault)
{
    str kid = str_from(x->token.kid);
    if (kid.n < CATALOG_ID_ROOM) {
        enum fail f = signing_key_find(x->db, kid, &x->key, fault);
        if (f != FAIL_NONE || x->key != NULL)
            return f;
    }
    fault_set(fault, FAIL_UNAUTHORISED, "invalid_token",
              "The token's \"kid\" is the id of no active signing key.");
    return refuse(x, FAIL_UNAUTHORISED, "kid");
}

// --- who asks ---

static enum fail refuse_origin(struct exchange *x, const char *sentence, struct fault *fault)
{
    fault_set(fault, FAIL_DENIED, "origin_not_allowed", "%s", sentence);
    return refuse(x, FAIL_DENIED, "origin");
}

static enum fail check_parent(struct exchange *x, str parent, struct fault *fault)
{
    if (!signing_key_allows(x->key, parent))
        return refuse_origin(x,
                             "The page that frames this one is not among the allowedOrigins of the "
                             "token's signing key.",
                             fault);
    x->origin = parent;
    return FAIL_NONE;
}

static enum fail check_caller(struct exchange *x, struct fault *fault)
{
    str origin = x->call->origin, parent = jsonx_str(x->call->json, "parentOrigin");
    if (origin.n == 0) {
        x->caller = "server";
        return parent.n != 0 ? check_parent(x, parent, fault) : FAIL_NONE;
    }
    if (site_is_console_origin(origin)) {
        x->caller = "frame";
        return check_parent(x, parent, fault);
    }
    x->caller = "page";
    if (!signing_key_allows(x->key, origin))
        return refuse_origin(
            x, "This page's origin is not among the allowedOrigins of the token's signing key.",
            fault);
    x->origin = origin;
    return FAIL_NONE;
}

// --- what it says ---

static enum fail check_token(struct exchange *x, struct fault *fault)
{
    unsigned wait_s = 0;
    enum fail f = jose_parse(jsonx_str(x->call->json, "externalAccessToken"), &x->token, fault);
    if (f != FAIL_NONE)
        return refuse(x, f, "form");
    f = find_key(x, fault);
    if (f != FAIL_NONE)
        return f;
    if (!throttle_admits_with(&x->address, x->key->id, &wait_s))
        return too_many(x, wait_s, fault);
    f = check_caller(x, fault);
    if (f != FAIL_NONE)
        return f;
    f = jose_verify(&x->token, x->key->public_key, fault);
    if (f != FAIL_NONE)
        return refuse(x, f, "signature");
    const struct claims_rules rules = {x->key->policy.audience, x->key->policy.max_lifetime_s};
    return claims_read(&x->token, &rules, clock_real_ms() / 1000, &x->claims, &x->reason, fault);
}

// Of a good token: as often as a page with its dialogs may want it, and no flood of rows.
static enum fail check_rate(struct exchange *x, struct fault *fault)
{
    x->provisioning = digest_sha256(x->token.signing_input);
    if (throttle_takes(&x->provisioning, &x->answer->retry_after))
        return FAIL_NONE;
    return fault_set(fault, FAIL_TOO_MANY, "too_many_attempts",
                     "This token was exchanged too often in a short time. Please try again later.");
}

// --- what it brings about ---

static enum fail provision(struct exchange *x, struct fault *fault)
{
    const struct claims *c = &x->claims;
    const struct provision wish = {.platform_id = x->key->platform_id,
                                   .external_user_id = c->external_user_id,
                                   .external_project_id = c->external_project_id,
                                   .first_name = c->first_name,
                                   .last_name = c->last_name,
                                   .email = c->email,
                                   .role = c->role,
                                   .has_filter = c->has_filter,
                                   .filter = c->filter,
                                   .tags = c->tags,
                                   .issued_at = c->issued_at};
    enum fail f = platform_provision(x->db, &wish, &x->user, fault);
    if (f != FAIL_NONE || x->user.is_active)
        return f;
    fault_set(fault, FAIL_DENIED, "user_inactive", "This user was switched off by the platform.");
    return refuse(x, FAIL_DENIED, "inactive user");
}

static enum fail open_session(struct exchange *x, struct fault *fault)
{
    const struct key_policy *p = &x->key->policy;
    const struct session_wish wish = {.platform_id = x->key->platform_id,
                                      .key_id = x->key->id,
                                      .project_id = x->user.project_id,
                                      .user_id = x->user.user_id,
                                      .provisioning = x->provisioning,
                                      .provisioning_expires_at =
                                          (x->claims.expires_at + CLAIM_LEEWAY) * 1000,
                                      .is_framed = strcmp(x->caller, "page") != 0,
                                      .long_s = p->session_s,
                                      .absolute_s = p->absolute_s,
                                      .is_single_use = p->is_single_use};
    enum fail f = session_open(x->db, &wish, &x->grant, fault);
    if (f == FAIL_UNAUTHORISED)
        return refuse(x, f, "ended session");
    if (f == FAIL_CONFLICT && strcmp(fault->code, "token_used") == 0)
        return refuse(x, fault->fail = FAIL_UNAUTHORISED, "used token");
    return f;
}

static enum fail record(struct exchange *x, const char *action, const char *subject,
                        const json_t *facts, struct fault *fault)
{
    return audit_append(x->db, x->user.project_id, x->grant.session_id, action, subject,
                        x->call->request_id, x->call->peer, (json_t *)facts, fault);
}

static void add_text(json_t *to, const char *name, str text)
{
    if (text.n != 0)
        json_object_set_new(to, name, jsonx_string(text));
}

static json_t *facts_of(const struct exchange *x)
{
    const struct claims *c = &x->claims;
    json_t *facts = json_pack("{s:s, s:s, s:s, s:b}", "key", x->key->id, "caller", x->caller,
                              "role", x->user.role, "joined", !x->grant.is_new);
    add_text(facts, "externalUserId", c->external_user_id);
    add_text(facts, "externalProjectId", c->external_project_id);
    add_text(facts, "origin", x->origin);
    if (x->user.is_stale)
        json_object_set_new(facts, "stale", json_true());
    if (c->lifetime_s > KEY_SEEN_LIFETIME)
        json_object_set_new(facts, "lifetime", json_integer((json_int_t)c->lifetime_s));
    if (c->tasks != NULL)
        json_object_set(facts, "tasks", (json_t *)c->tasks);
    return facts;
}

static enum fail record_all(struct exchange *x, struct fault *fault)
{
    json_auto_t *facts = facts_of(x);
    enum fail f = FAIL_NONE;
    if (x->user.made_project)
        f = record(x, "project.create", x->user.project_id, NULL, fault);
    if (f == FAIL_NONE && x->user.made_user)
        f = record(x, "user.create", x->user.user_id, NULL, fault);
    return f == FAIL_NONE ? record(x, "exchange.accept", x->user.user_id, facts, fault) : f;
}

static enum fail admit(struct exchange *x, struct fault *fault)
{
    bool is_held = false;
    enum fail f = db_begin(x->db, fault);
    if (f == FAIL_NONE)
        f = signing_key_hold(x->db, x->key, &is_held, fault);
    if (f == FAIL_NONE && !is_held) {
        fault_set(fault, FAIL_UNAUTHORISED, "invalid_token",
                  "The token's \"kid\" is the id of no active signing key.");
        return refuse(x, FAIL_UNAUTHORISED, "kid");
    }
    if (f == FAIL_NONE)
        f = provision(x, fault);
    if (f == FAIL_NONE)
        f = open_session(x, fault);
    if (f == FAIL_NONE)
        f = record_all(x, fault);
    return f == FAIL_NONE ? db_commit(x->db, fault) : f;
}

// What two first exchanges at once may collide in is gone the next time.
static enum fail admit_again(struct exchange *x, struct fault *fault)
{
    enum fail f = FAIL_CONFLICT;
    for (int tries = 0; f == FAIL_CONFLICT && tries != TRIES; ++tries) {
        f = admit(x, fault);
        if (f != FAIL_NONE)
            db_rollback(x->db);
    }
    return f;
}

// --- the answer ---

static json_t *answer_of(const struct exchange *x)
{
    char expires[CLOCK_RFC3339_ROOM], ends[CLOCK_RFC3339_ROOM];
    const struct claims *c = &x->claims;
    clock_rfc3339(x->grant.expires_at, expires);
    clock_rfc3339(x->grant.ends_at, ends);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:s, s:s}", "token",
                          x->grant.token, "projectId", x->user.project_id, "id", x->user.user_id,
                          "platformId", x->key->platform_id, "platformRole", "MEMBER", "status",
                          "ACTIVE", "verified", 1, "trackEvents", 0, "newsLetter", 0, "role",
                          x->user.role, "expiresAt", expires);
    if (x->user.is_stale)
        json_object_set_new(o, "stale", json_true());
    json_object_set_new(o, "endsAt", json_string(ends));
    json_object_set_new(o, "projectName", json_string(x->grant.project_name));
    json_object_set_new(o, "platformName", json_string(x->key->platform_name));
    json_object_set_new(o, "externalId", jsonx_string(c->external_user_id));
    json_object_set_new(o, "firstName", jsonx_string(c->first_name));
    json_object_set_new(o, "lastName", jsonx_string(c->last_name));
    json_object_set_new(o, "email", jsonx_string(c->email));
    return o;
}

// In the form that existing clients know: the contract's, with the sentence in `params` again.
static enum fail answer_refusal(struct exchange *x, const struct fault *fault)
{
    x->answer->status = 401;
    x->answer->json = json_pack("{s:b, s:s, s:s, s:{s:s}, s:s}", "error", 1, "code",
                                "INVALID_BEARER_TOKEN", "message", fault->public_text, "params",
                                "message", fault->public_text, "requestId", x->call->request_id);
    return FAIL_NONE;
}

static enum fail refused(struct exchange *x, enum fail f, const struct fault *fault)
{
    const char *key_id = x->key != NULL ? x->key->id : NULL;
    throttle_failed(&x->address, key_id);
    refusal_note(&(struct refusal){
        .key_id = key_id,
        .owner_project_id = key_id != NULL ? x->key->owner_project_id : NULL,
        .address = &x->address,
        .reason = x->reason,
    });
    return f == FAIL_UNAUTHORISED ? answer_refusal(x, fault) : f;
}

enum fail exchange_token(struct call *call, struct answer *answer, struct fault *fault)
{
    unsigned wait_s = 0;
    __attribute__((cleanup(exchange_fini))) struct exchange x = {
        .call = call,
        .answer = answer,
        .db = db_of_thread(),
        .address = throttle_address(call->peer),
    };
    if (!throttle_admits(&x.address, &wait_s))
        return too_many(&x, wait_s, fault);
    enum fail f = check_token(&x, fault);
    if (f == FAIL_NONE)
        f = check_rate(&x, fault);
    if (f == FAIL_NONE)
        f = admit_again(&x, fault);
    if (f != FAIL_NONE)
        return x.reason != NULL ? refused(&x, f, fault) : f;
    signing_key_used(x.db, x.key, x.claims.lifetime_s);
    answer->json = answer_of(&x);
    return FAIL_NONE;
}

const struct endpoint_field exchange_fields[] = {
    {"externalAccessToken", "string", true, "The provisioning token that your backend has signed."},
    {"parentOrigin", "string", false,
     "The origin of the page that frames the builder; our own page says it."},
    {0}};
