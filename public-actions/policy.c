// Checks charged together: the visitor's own first, those that strangers share last.
#include "public-actions/policy.h"
#include <stdatomic.h>
#include <stdlib.h>
#include "edge/route/site.h"

enum {
    ACTION_PER_MINUTE = 60,
    ACTION_BURST = 30,
    VISITOR_PER_MINUTE = 600,
    INSTANCE_PER_MINUTE = 6000,
    LOADS_PER_MINUTE = 600, // of apps that are not held, whether they are there or not
    HOUR_S = 60 * 60,
    CHECKS_MAX = 6,
    NETWORK_SHARE = 4, // of an instance's limit one /24 or /48 gets a quarter

    ANSWERED = 1 << 16, // places; a clash gives an action a limit of its own too early
};

static _Atomic uint64_t answered[ANSWERED];
static uint64_t uploads_per_hour, upload_bytes_per_hour;

void policy_init(uint64_t uploads, uint64_t bytes)
{
    uploads_per_hour = uploads;
    upload_bytes_per_hour = bytes;
}

// --- limits ---

static uint64_t action_hash(const struct target *t, str action)
{
    str parts[] = {str_from(t->instance.id), action};
    uint64_t h = limits_key_of(LIMIT_OTHER, parts, 2);
    return h != 0 ? h : 1;
}

void policy_action_answered(const struct target *t, str action)
{
    uint64_t h = action_hash(t, action);
    _Atomic uint64_t *at = &answered[h & (ANSWERED - 1)];
    if (atomic_load_explicit(at, memory_order_relaxed) != h)
        atomic_store_explicit(at, h, memory_order_relaxed);
}

static bool has_answered(const struct target *t, str action)
{
    uint64_t h = action_hash(t, action);
    return atomic_load_explicit(&answered[h & (ANSWERED - 1)], memory_order_relaxed) == h;
}

static struct limit_policy policy_of(const char *name, struct rate set, uint32_t per_minute,
                                     uint32_t burst)
{
    struct limit_policy p = {.name = name, .quota = per_minute, .burst = burst, .window_s = 60};
    if (set.per_minute != 0) {
        p.quota = set.per_minute;
        p.burst = set.burst != 0 ? set.burst : set.per_minute;
    }
    return p;
}

// What the owner has set for that very action; NULL: nothing.
static const struct rate *rate_of_action(const struct target *t, str action)
{
    for (size_t i = 0; i != t->settings.action_count; ++i)
        if (str_eq(t->settings.actions[i].action, action))
            return &t->settings.actions[i].rate;
    return NULL;
}

// The arrival times kept under one policy say nothing under another: what an owner widens is wide at
// once, so the policy is part of the key.
static uint64_t key_of(enum limit_kind kind, const struct limit_policy *p, str id, str a, str b)
{
    uint64_t rate[] = {p->quota, p->burst};
    str parts[] = {id, a, b, str_of((const char *)rate, sizeof rate)};
    return limits_key_of(kind, parts, 4);
}

static bool charge(struct request *r, struct limit_check *checks, size_t count,
                   unsigned *ret_retry_after)
{
    char policy[LIMITS_HEADER_ROOM], state[LIMITS_HEADER_ROOM];
    bool is_allowed = limits_charge(checks, count);
    limits_headers(checks, count, policy, state, ret_retry_after);
    reply_add(r, "ratelimit-policy", str_from(policy));
    reply_add(r, "ratelimit", str_from(state));
    return is_allowed;
}

// Of whom nothing is known, nobody's.
static bool charge_unknown(struct request *r, unsigned *ret_retry_after)
{
    static const struct rate none = {0};
    struct limit_check check = {.key = limits_key(LIMIT_OTHER, limits_visitor(&r->visitor)),
                                .policy =
                                    policy_of("unknown", none, ACTION_PER_MINUTE, ACTION_BURST)};
    return charge(r, &check, 1, ret_retry_after);
}

// An hour's worth may come at once: who sends twenty photos sends them together. One upload's bytes
// always fit, however few an owner allows.
static struct limit_policy policy_of_uploads(uint64_t set, uint64_t server, bool is_bytes)
{
    struct limit_policy p = {.name = is_bytes ? "upload-bytes" : "uploads",
                             .quota = set != 0 ? set : server,
                             .window_s = HOUR_S,
                             .is_bytes = is_bytes};
    p.burst = is_bytes && p.quota < FILES_BODY_MAX ? FILES_BODY_MAX : p.quota;
    return p;
}

static size_t add_upload_checks(struct limit_check *to, const struct target *t, str visitor,
                                size_t bytes)
{
    str id = str_from(t->instance.id);
    struct limit_policy files = policy_of_uploads(t->settings.uploads_per_hour, uploads_per_hour,
                                                  false),
                        content = policy_of_uploads(t->settings.upload_bytes_per_hour,
                                                    upload_bytes_per_hour, true);
    to[0] = (struct limit_check){.key = key_of(LIMIT_UPLOAD_FILES, &files, id, STR(""), visitor),
                                 .policy = files};
    to[1] = (struct limit_check){.key = key_of(LIMIT_UPLOAD_BYTES, &content, id, STR(""), visitor),
                                 .policy = content,
                                 .cost = bytes};
    return 2;
}

bool policy_charge(struct request *r, const struct target *t, str action, size_t upload_bytes,
                   unsigned *ret_retry_after)
{
    str visitor = limits_visitor(&r->visitor), network = limits_network(&r->visitor);
    if (t == NULL)
        return charge_unknown(r, ret_retry_after);
    const struct rate *own = rate_of_action(t, action);
    bool is_known = own != NULL || has_answered(t, action); // whom the owner names is not made up
    str id = str_from(t->instance.id);
    struct limit_policy of_action =
                            policy_of("action", own != NULL ? *own : t->settings.visitor_action,
                                      ACTION_PER_MINUTE, ACTION_BURST),
                        of_visitor = policy_of("visitor", t->settings.visitor, VISITOR_PER_MINUTE,
                                               VISITOR_PER_MINUTE),
                        of_instance = policy_of("instance", t->settings.instance,
                                                INSTANCE_PER_MINUTE, INSTANCE_PER_MINUTE),
                        of_network = of_instance;
    of_network.name = "network";
    of_network.quota = of_instance.quota / NETWORK_SHARE + of_visitor.quota;
    of_network.burst = of_instance.burst / NETWORK_SHARE + of_visitor.burst;
    of_network.is_shared = of_instance.is_shared = true;
    struct limit_check checks[CHECKS_MAX] = {
        {.key = key_of(LIMIT_ACTION, &of_action, id, is_known ? action : STR("*"), visitor),
         .policy = of_action},
        {.key = key_of(LIMIT_VISITOR, &of_visitor, id, STR(""), visitor), .policy = of_visitor}};
    size_t n = 2;
    if (upload_bytes != 0)
        n += add_upload_checks(checks + n, t, visitor, upload_bytes);
    checks[n++] = (struct limit_check){
        .key = key_of(LIMIT_NETWORK, &of_network, id, STR(""), network), .policy = of_network};
    checks[n++] = (struct limit_check){
        .key = key_of(LIMIT_INSTANCE, &of_instance, id, STR(""), STR("")), .policy = of_instance};
    return charge(r, checks, n, ret_retry_after);
}

bool policy_may_load(struct request *r, unsigned *ret_retry_after)
{
    str parts[] = {STR("load"), limits_visitor(&r->visitor)};
    uint64_t wait_us = 0;
    bool may = limits_conforms(limits_key_of(LIMIT_OTHER, parts, 2),
                               60 * 1000000 / LOADS_PER_MINUTE, LOADS_PER_MINUTE / 2, &wait_us);
    *ret_retry_after = (unsigned)(wait_us / 1000000) + 1;
    return may;
}

// --- origins ---

static uint16_t port_of(const struct request *r, bool is_tls)
{
    return r->port != 0 ? r->port : is_tls ? 443 : 80;
}

// Behind a proxy that ends TLS the scheme we see is http where the page's is https: authorities are
// compared, and a page over TLS may always call its own host.
static bool is_own(const struct request *r, str origin)
{
    char text[300];
    if (origin.n >= sizeof text)
        return false;
    memcpy(text, origin.p, origin.n);
    text[origin.n] = '\0';
    bool is_tls;
    str host;
    uint16_t port;
    if (!site_parse_origin(text, &is_tls, &host, &port) || (r->is_tls && !is_tls))
        return false;
    return str_caseeq(host, r->host) && port == port_of(r, is_tls);
}

enum policy_origin policy_origin(struct request *r, const struct target *t)
{
    str origin = request_header(r, HEADER_ORIGIN);
    if (origin.p == NULL || is_own(r, origin))
        return POLICY_SAME;
    for (size_t i = 0; i != t->settings.origin_count; ++i)
        if (str_eq(t->settings.origins[i], origin))
            return POLICY_ALLOWED;
    return POLICY_FOREIGN;
}
