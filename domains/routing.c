// Where a name points, against where it should: a fact of its own, beside ownership. A name leads
// here when its CNAMEs pass through a target or a slug issued to its project (names may be moved from one
// instance to another, and their records stay), or when all its addresses are the
// operator's (or the target's own, for hosts that turn a CNAME at a zone's top into addresses).
#include "domains/internal.h"
#include <stdio.h>
#include <string.h>
#include "edge/base/clock.h"

enum { ADDRESSES_MAX = 2 * DNS_RECORDS_MAX };

static void target_name(const struct domain *d, char to[static HOSTNAME_ROOM + DOMAIN_TARGET_ROOM])
{
    to[0] = '\0';
    if (domain_config.instance_domain[0] != '\0' && d->target[0] != '\0')
        snprintf(to, HOSTNAME_ROOM + DOMAIN_TARGET_ROOM, "%s.%.253s", d->target,
                 domain_config.instance_domain);
    else if (domain_config.instance_domain[0] == '\0')
        snprintf(to, HOSTNAME_ROOM, "%s", domain_config.apps_host);
}

static void add(json_t *list, const char *type, const char *name, const char *value)
{
    json_array_append_new(list,
                          json_pack("{ss ss ss}", "type", type, "name", name, "value", value));
}

json_t *routing_expected_json(const struct domain *d)
{
    json_t *list = json_array();
    char target[HOSTNAME_ROOM + DOMAIN_TARGET_ROOM], text[IP_ROOM];
    target_name(d, target);
    if (target[0] != '\0' && strcmp(d->hostname, d->registrable) != 0) // RFC 1034 §3.6.2
        add(list, "CNAME", d->hostname, target);
    for (size_t i = 0; i != domain_config.address_count; ++i) {
        const struct ip *a = &domain_config.addresses[i];
        ip_text(a, text);
        add(list, a->n == 4 ? "A" : "AAAA", d->hostname, text);
    }
    if (json_array_size(list) == 0 && target[0] != '\0') // at a zone's top, where hosts offer it
        add(list, "ALIAS", d->hostname, target);
    return list;
}

// --- what is there ---

struct found {
    struct ip addresses[ADDRESSES_MAX];
    size_t count;
    bool passes_target; // by a CNAME
    bool is_others;     // by a CNAME to another project's target
    bool is_nobodys;    // by a CNAME to what was never issued
    enum dns_outcome outcome;
    char why[200];
};

static void add_record(json_t *seen, const char *name, const struct dns_record *r)
{
    const char *type = r->type == DNS_A ? "A" : r->type == DNS_AAAA ? "AAAA" : "CNAME";
    json_array_append_new(seen, json_pack("{ss ss so}", "type", type, "name", name, "value",
                                          proof_text_json(r->text)));
}

static void judge_cname(struct db *db, const struct domain *d, str to, struct found *f)
{
    struct fault fault = {0};
    char target[HOSTNAME_ROOM + DOMAIN_TARGET_ROOM];
    str domain = str_from(domain_config.instance_domain);
    target_name(d, target);
    if (target[0] != '\0' && str_caseeq(to, str_from(target))) {
        f->passes_target = true;
        return;
    }
    if (domain.n == 0 || to.n <= domain.n + 1 ||
        !str_caseeq(str_skip(to, to.n - domain.n), domain) || to.p[to.n - domain.n - 1] != '.')
        return;
    enum domain_label whose;
    str label = str_of(to.p, to.n - domain.n - 1);
    if (domain_query_label(db, label, d->project_id, &whose, &fault) != FAIL_NONE)
        return; // the addresses tell
    f->passes_target = f->passes_target || whose == LABEL_OURS;
    f->is_others = f->is_others || whose == LABEL_OTHERS;
    f->is_nobodys = f->is_nobodys || whose == LABEL_NOBODYS;
}

// `seen` NULL: not the owner's own records.
static void look(struct db *db, const struct domain *d, const char *name, enum dns_type type,
                 struct found *f, json_t *seen)
{
    struct dns_answer a = {0};
    struct fault fault = {0};
    if (dns_lookup(str_from(name), type, &a, &fault) != FAIL_NONE) {
        f->outcome = DNS_SERVFAIL;
        snprintf(f->why, sizeof f->why, "%.190s", fault.public_text);
        return;
    }
    for (size_t i = 0; i != a.count; ++i) {
        const struct dns_record *r = &a.records[i];
        // the CNAMEs stand before each type's addresses
        if (seen != NULL && (r->type == type || type == DNS_A))
            add_record(seen, name, r);
        if (r->type == DNS_CNAME && seen != NULL)
            judge_cname(db, d, r->text, f);
        else if (r->type == type && f->count != ADDRESSES_MAX)
            f->addresses[f->count++] = r->address;
    }
    if (a.outcome != DNS_NO_DATA && (f->outcome == DNS_NO_DATA || a.outcome == DNS_FOUND)) {
        f->outcome = a.outcome;
        snprintf(f->why, sizeof f->why, "%.199s", a.why);
    }
    dns_answer_fini(&a);
}

static bool is_among(const struct ip *a, const struct ip *list, size_t count)
{
    for (size_t i = 0; i != count; ++i)
        if (ip_eq(a, &list[i]))
            return true;
    return false;
}

// The addresses that count as ours: the operator's and the target's.
static size_t ours(struct db *db, const struct domain *d, struct ip list[static ADDRESSES_MAX])
{
    char target[HOSTNAME_ROOM + DOMAIN_TARGET_ROOM];
    struct found f = {.outcome = DNS_NO_DATA};
    target_name(d, target);
    if (domain_config.address_count == 0 && target[0] != '\0') {
        look(db, d, target, DNS_A, &f, NULL);
        look(db, d, target, DNS_AAAA, &f, NULL);
        memcpy(list, f.addresses, sizeof f.addresses);
        return f.count;
    }
    memcpy(list, domain_config.addresses, sizeof domain_config.addresses);
    return domain_config.address_count;
}

// --- the verdict ---

static void say(struct routing *r, bool ok, const char *message)
{
    r->ok = ok;
    snprintf(r->message, sizeof r->message, "%s", message);
}

static void judge_addresses(struct db *db, const struct domain *d, const struct found *f,
                            struct routing *ret)
{
    struct ip list[ADDRESSES_MAX];
    size_t n = ours(db, d, list), matching = 0;
    for (size_t i = 0; i != f->count; ++i)
        matching += is_among(&f->addresses[i], list, n);
    if (n == 0)
        say(ret, false,
            "It cannot be told whether the name leads here: the server's operator has set neither "
            "domain_addresses nor instance_domain.");
    else if (matching == f->count)
        say(ret, true, "The name leads here.");
    else if (matching != 0)
        say(ret, false,
            "Some of the name's addresses lead elsewhere; remove those. An AAAA record left from "
            "before is often the one.");
    else
        say(ret, false, "The name leads elsewhere.");
}

void routing_look(struct db *db, const struct domain *d, struct routing *ret)
{
    struct found f = {.outcome = DNS_NO_DATA};
    *ret = (struct routing){.seen = json_array()};
    look(db, d, d->hostname, DNS_A, &f, ret->seen);
    if (f.outcome != DNS_TIMEOUT && f.outcome != DNS_NXDOMAIN)
        look(db, d, d->hostname, DNS_AAAA, &f, ret->seen);
    if (f.is_others)
        say(ret, false, "The name's CNAME is the target of another project's app.");
    else if (f.is_nobodys)
        say(ret, false, "The name's CNAME is no target of this server's apps.");
    else if (f.passes_target)
        say(ret, true, "The name leads here.");
    else if (f.count != 0)
        judge_addresses(db, d, &f, ret);
    else if (f.outcome == DNS_TIMEOUT || f.outcome == DNS_SERVFAIL || f.outcome == DNS_BOGUS)
        snprintf(ret->message, sizeof ret->message,
                 "DNS could not tell where the name leads: %.200s",
                 f.why[0] != '\0' ? f.why : dns_outcome_name(f.outcome));
    else
        say(ret, false, "The name has no address yet: add the routing record, too.");
}

void routing_fini(struct routing *r)
{
    json_decref(r->seen);
    r->seen = NULL;
}

json_t *routing_json(const struct routing *r, int64_t now)
{
    char at[CLOCK_RFC3339_ROOM];
    clock_rfc3339(now, at);
    return json_pack("{sb ss sO ss}", "ok", (int)r->ok, "message", r->message, "seen", r->seen,
                     "checkedAt", at);
}
