// A domain as its owner sees it (contract §6): the records to add, what was seen of them, and what
// happens next.
#include <stdio.h>
#include "domains/certificates.h"
#include "domains/internal.h"
#include "edge/base/clock.h"

static json_t *time_json(int64_t real_ms)
{
    char text[CLOCK_RFC3339_ROOM];
    if (real_ms == 0)
        return json_null();
    clock_rfc3339(real_ms, text);
    return json_string(text);
}

json_t *domain_check_json(const struct domain *d, const struct proof *p, bool is_held,
                          bool by_owner, int64_t now)
{
    json_t *check = proof_details_json(d, p);
    json_object_set_new(check, "at", time_json(now));
    json_object_set_new(check, "by", json_string(by_owner ? "owner" : "server"));
    json_object_set_new(check, "outcome",
                        json_string(is_held ? "domain_held" : proof_code(p->outcome)));
    json_object_set_new(check, "message",
                        json_string(is_held ? "The record is there, but another project holds "
                                              "this name."
                                            : p->message));
    json_object_set_new(check, "ms", json_integer(p->answer.ms));
    return check;
}

// What is expected is today's; what was seen, the last look's.
static json_t *routing_of(const struct domain *d)
{
    json_t *r = json_is_object(d->routing)
                    ? json_copy(d->routing)
                    : json_pack("{sb ss s[] sn}", "ok", 0, "message",
                                "Nobody has looked yet where the name leads.", "seen", "checkedAt");
    json_object_set_new(r, "expected", routing_expected_json(d));
    return r;
}

static json_t *hsts_of(const struct domain *d)
{
    if (d->hsts_max_age < 0)
        return json_null();
    return json_pack("{sI sb}", "maxAge", (json_int_t)d->hsts_max_age, "includeSubDomains",
                     (int)d->hsts_subdomains);
}

static void day_of(int64_t real_ms, char to[static CLOCK_RFC3339_ROOM])
{
    clock_rfc3339(real_ms, to);
    to[10] = ' ';
    snprintf(to + 16, CLOCK_RFC3339_ROOM - 16, " UTC"); // to the minute
}

void domain_next_sentence(const struct domain *d, int64_t now, char to[static 320])
{
    const struct domain_life *l = &d->life;
    char at[CLOCK_RFC3339_ROOM], end[CLOCK_RFC3339_ROOM];
    int64_t asks = domain_asks_at(l);
    day_of(asks > now ? asks : now, at);
    switch (l->status) {
    case DOMAIN_PENDING:
        day_of(domain_ends_at(l), end);
        if (asks != 0)
            snprintf(
                to, 320,
                "Add the TXT record. DNS is asked by itself, next at %s; the claim ends at %s.", at,
                end);
        else
            snprintf(to, 320,
                     "DNS is no longer asked by itself: add the TXT record and verify. The claim "
                     "ends at %s.",
                     end);
        break;
    case DOMAIN_VERIFIED:
        snprintf(to, 320, "It is served. The TXT record must stay; it is looked at again at %s.",
                 at);
        break;
    case DOMAIN_FAILING:
        day_of(l->failing_since + DOMAIN_GRACE_MS, end);
        snprintf(to, 320,
                 "It is still served, but its TXT record was not found: add it again before %s. It "
                 "is looked at again at %s.",
                 end, at);
        break;
    case DOMAIN_SUSPENDED:
        day_of(domain_ends_at(l), end);
        snprintf(to, 320,
                 "It is not served, since its TXT record was away for a week. It comes back by "
                 "itself when the record does; the claim ends at %s.",
                 end);
        break;
    case DOMAIN_REMOVED:
    case DOMAIN_STATUSES:
        snprintf(to, 320, "The claim has ended (%s).", l->ended != NULL ? l->ended : "removed");
        break;
    }
}

// Kept from the days when the server had a listener of its own for TLS, or for such days.
static bool is_idle(const struct domain_certificate *c)
{
    return c->not_after != 0 && !certificate_options.has_tls;
}

// Served on though its renewal fails: active, with an error.
static const char *certificate_status(const struct domain_certificate *c, int64_t now)
{
    if (is_idle(c))
        return "failed";
    if (c->not_after > now)
        return "active";
    if (c->error_code[0] != '\0' || c->not_after != 0)
        return "failed";
    return c->is_claimed ? "issuing" : "none";
}

static json_t *certificate_of(const struct domain_certificate *c, int64_t now)
{
    json_t *o = json_pack("{ss}", "status", certificate_status(c, now));
    if (c->not_after != 0) {
        json_object_set_new(o, "source", json_string(c->is_own || c->is_leaving ? "own" : "acme"));
        json_object_set_new(o, "notBefore", time_json(c->not_before));
        json_object_set_new(o, "notAfter", time_json(c->not_after));
    }
    if (is_idle(c)) {
        json_object_set_new(o, "errorCode", json_string("no_tls_listener"));
        json_object_set_new(o, "error",
                            json_string("It is kept, but not served: this server speaks no TLS "
                                        "itself (its operator has set no listen_tls)."));
        return o;
    }
    if (c->error_code[0] != '\0') {
        json_object_set_new(o, "errorCode", json_string(c->error_code));
        json_object_set_new(o, "error", json_string(c->error));
    }
    if (c->next_at != 0 && !c->is_own)
        json_object_set_new(o, "nextTryAt", time_json(c->next_at));
    if (c->is_leaving)
        json_object_set_new(o, "next",
                            json_string("It was given up, and is served until one that is ordered "
                                        "takes its place."));
    return o;
}

static void add_times(json_t *o, const struct domain *d)
{
    const struct domain_life *l = &d->life;
    bool fails = l->status == DOMAIN_FAILING;
    json_object_set_new(o, "since", time_json(l->since));
    json_object_set_new(o, "createdAt", time_json(d->created_at));
    json_object_set_new(o, "verifiedAt", time_json(l->verified_at));
    json_object_set_new(o, "failingSince", time_json(l->failing_since));
    json_object_set_new(o, "servedUntil",
                        time_json(fails ? l->failing_since + DOMAIN_GRACE_MS : 0));
    json_object_set_new(o, "endsAt", time_json(domain_ends_at(l)));
    json_object_set_new(o, "checkedAt", time_json(d->checked_at));
    json_object_set_new(o, "nextCheckAt", time_json(domain_asks_at(l)));
}

json_t *domain_json(const struct domain *d, int64_t now)
{
    char next[320];
    domain_next_sentence(d, now, next);
    json_t *o = json_pack(
        "{ss ss ss ss* ss* ss ss so so so ss* sb so so}", "id", d->id, "hostname", d->hostname,
        "unicodeHostname", d->unicode, "instanceId",
        d->instance_id[0] != '\0' ? d->instance_id : NULL, "instanceSlug",
        d->instance_slug[0] != '\0' ? d->instance_slug : NULL, "status",
        domain_status_name(d->life.status), "next", next, "verification", proof_record_json(d),
        "routing", routing_of(d), "certificate", certificate_of(&d->certificate, now), "redirectTo",
        d->redirect_to[0] != '\0' ? d->redirect_to : NULL, "httpsOnly", (int)d->https_only, "hsts",
        hsts_of(d), "checks", d->checks != NULL ? json_incref(d->checks) : json_array());
    if (d->redirect_to[0] == '\0')
        json_object_set_new(o, "redirectTo", json_null());
    if (d->life.ended != NULL)
        json_object_set_new(o, "ended", json_string(d->life.ended));
    add_times(o, d);
    return o;
}
