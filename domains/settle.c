// The transaction behind a look at DNS: the claim, the name's present holder and its quarantines are
// locked, the pure function says what becomes of each, and what changed is written, told and audited
// together. Two claims that prove themselves at the same moment meet at the unique index: one wins,
// the other begins again and finds the name held.
#include "domains/internal.h"
#include <stdio.h>
#include <string.h>
#include "edge/base/clock.h"
#include "edge/base/digest.h"
#include "edge/catalog/hooks.h"

enum { ATTEMPTS = 4 };

// --- telling ---

static const char *action_of(const struct domain *before, const struct domain *after)
{
    if (after->life.status != DOMAIN_REMOVED)
        return after->life.status == DOMAIN_VERIFIED    ? "domain.verified"
               : after->life.status == DOMAIN_FAILING   ? "domain.failing"
               : after->life.status == DOMAIN_SUSPENDED ? "domain.suspended"
                                                        : "domain.change";
    return strcmp(after->life.ended, "transferred") == 0 ? "domain.transferred"
           : strcmp(after->life.ended, "expired") == 0   ? "domain.expire"
                                                         : "domain.remove";
}

static enum fail emit(struct db *db, const struct domain *before, const struct domain *after,
                      enum domain_news news, struct fault *fault)
{
    json_auto_t *data = json_pack("{ss ss ss ss ss}", "domainId", after->id, "hostname",
                                  after->hostname, "unicodeHostname", after->unicode, "status",
                                  domain_status_name(after->life.status), "before",
                                  domain_status_name(before->life.status));
    struct catalog_event e = {.project_id = before->project_id,
                              .instance_id = before->instance_id,
                              .type = domain_news_name(news),
                              .data = data};
    return catalog_tell_event(db, &e, fault);
}

enum fail domain_tell(struct db *db, const struct domain *before, const struct domain *after,
                      enum domain_news news, const struct domain_actor *actor, struct fault *fault)
{
    static const struct domain_actor server = {"system", "", {0}};
    const struct domain_actor *who = actor->token_id != NULL ? actor : &server;
    enum fail f = news != NEWS_NONE ? emit(db, before, after, news, fault) : FAIL_NONE;
    if (f != FAIL_NONE || after->life.status == before->life.status)
        return f;
    json_auto_t *facts = json_pack("{ss ss ss}", "hostname", after->hostname, "before",
                                   domain_status_name(before->life.status), "status",
                                   domain_status_name(after->life.status));
    return audit_append(db, after->project_id, who->token_id, action_of(before, after), after->id,
                        who->request_id, who->peer, facts, fault);
}

// --- the holder ---

// What the challenger's look means for whoever holds the name. The challenger's own record was
// there, so it has a say in this zone: what it saw counts as a check of the holder's.
static enum fail settle_holder(struct db *db, struct domain_rivals *rivals, const struct proof *p,
                               int64_t now, struct fault *fault)
{
    static const struct domain_actor server = {0};
    struct domain before = rivals->holder, *h = &rivals->holder;
    enum domain_news news;
    enum domain_event event = proof_says(p, h->token);
    if (event == DOMAIN_MISSED && domain_may_be_taken(&h->life, now))
        event = DOMAIN_TAKEN;
    if (event == DOMAIN_UNKNOWN || (event == DOMAIN_SEEN && h->life.status == DOMAIN_VERIFIED))
        return FAIL_NONE;
    h->life = domain_step(&h->life, event, now, (uint32_t)random_u64(), &news);
    h->checked_at = now;
    h->checks = h->routing = NULL; // not touched
    enum fail f = domain_query_settle(db, h, fault);
    if (f == FAIL_NONE)
        f = domain_tell(db, &before, h, news, &server, fault);
    h->checks = before.checks;
    h->routing = before.routing;
    return f;
}

// --- the claim ---

static enum fail judge(struct db *db, struct domain_rivals *rivals, const struct proof *p,
                       int64_t now, enum domain_event *ret_event, struct domain_verdict *ret,
                       struct fault *fault)
{
    enum fail f = FAIL_NONE;
    *ret = (struct domain_verdict){0};
    *ret_event = proof_says(p, rivals->own.token);
    if (*ret_event != DOMAIN_SEEN)
        return f;
    if (rivals->has_holder)
        f = settle_holder(db, rivals, p, now, fault);
    if (rivals->has_holder && domain_is_served(rivals->holder.life.status)) {
        ret->is_held = true;
        *ret_event = DOMAIN_HELD;
    } else if (rivals->held_until > now && !domain_is_served(rivals->own.life.status)) {
        ret->is_held = true;
        ret->held_until = rivals->held_until;
        *ret_event = DOMAIN_HELD;
    }
    return f;
}

static void keep_check(struct domain *d, const struct proof *p, bool is_held, bool by_owner,
                       int64_t now)
{
    json_t *list = json_is_array(d->checks) ? d->checks : json_array();
    if (list != d->checks) {
        json_decref(d->checks);
        d->checks = list;
    }
    json_array_insert_new(list, 0, domain_check_json(d, p, is_held, by_owner, now));
    while (json_array_size(list) > DOMAIN_CHECKS_KEPT)
        json_array_remove(list, DOMAIN_CHECKS_KEPT);
}

static enum fail settle_own(struct db *db, struct domain *own, enum domain_event event,
                            const struct proof *p, const struct routing *r,
                            const struct domain_actor *actor, bool is_held, int64_t now,
                            struct fault *fault)
{
    struct domain before = *own;
    enum domain_news news;
    own->life = domain_step(&own->life, event, now, (uint32_t)random_u64(), &news);
    own->checked_at = now;
    keep_check(own, p, is_held, actor->token_id != NULL, now);
    if (r != NULL) {
        json_decref(own->routing);
        own->routing = routing_json(r, now);
    }
    bool is_new = own->life.status == DOMAIN_VERIFIED && before.life.status != DOMAIN_VERIFIED;
    enum fail f = domain_query_settle(db, own, fault);
    if (f == FAIL_NONE && is_new)
        f = domain_query_take(db, own, fault);
    if (f == FAIL_NONE && domain_config.instance_domain[0] != '\0' && own->target[0] == '\0' &&
        own->life.status != DOMAIN_REMOVED)
        f = domain_query_target(db, own->instance_id, own->project_id, own->target, fault);
    return f == FAIL_NONE ? domain_tell(db, &before, own, news, actor, fault) : f;
}

static enum fail settle_once(struct db *db, struct domain *d, const struct proof *p,
                             const struct routing *r, const struct domain_actor *actor,
                             struct domain_verdict *ret, struct fault *fault)
{
    struct domain_rivals rivals = {.has_holder = false};
    enum domain_event event;
    int64_t now = clock_real_ms();
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = domain_query_rivals(db, d->id, &rivals, fault);
    if (f == FAIL_NONE)
        f = judge(db, &rivals, p, now, &event, ret, fault);
    if (f == FAIL_NONE)
        f = settle_own(db, &rivals.own, event, p, r, actor, ret->is_held, now, fault);
    if (f == FAIL_NONE)
        f = db_commit(db, fault);
    else
        db_rollback(db);
    if (f == FAIL_NONE) {
        domain_fini(d);
        *d = rivals.own;
        rivals.own = (struct domain){0};
    }
    domain_rivals_fini(&rivals);
    return f;
}

// A conflict is another claim that became the holder meanwhile, or a deadlock of two such.
enum fail domain_settle(struct db *db, struct domain *d, const struct proof *p,
                        const struct routing *r, const struct domain_actor *actor,
                        struct domain_verdict *ret, struct fault *fault)
{
    enum fail f = FAIL_CONFLICT;
    for (int i = 0; i != ATTEMPTS && f == FAIL_CONFLICT; ++i) {
        *fault = (struct fault){0}; // a lost race is not worth a line in the log
        f = settle_once(db, d, p, r, actor, ret, fault);
    }
    return f;
}

enum fail domain_expire(struct db *db, struct domain *d, struct fault *fault)
{
    static const struct domain_actor server = {0};
    struct domain_rivals rivals = {.has_holder = false};
    enum domain_news news;
    enum fail f = db_begin(db, fault);
    if (f == FAIL_NONE)
        f = domain_query_rivals(db, d->id, &rivals, fault);
    if (f == FAIL_NONE) {
        struct domain *own = &rivals.own, before = *own;
        own->life = domain_step(&own->life, DOMAIN_UNKNOWN, clock_real_ms(), 0, &news);
        f = domain_query_settle(db, own, fault);
        if (f == FAIL_NONE)
            f = domain_tell(db, &before, own, news, &server, fault);
    }
    if (f == FAIL_NONE)
        f = db_commit(db, fault);
    else
        db_rollback(db);
    domain_rivals_fini(&rivals);
    return f;
}
