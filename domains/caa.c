// Records are read as dns.h shows them: `flags tag "value"`, with \DDD for what is not printable.
#include "domains/caa.h"
#include <stdio.h>
#include <string.h>
#include "edge/base/clock.h"

enum { CRITICAL = 128, VALUE_MAX = 256 };

struct property {
    uint64_t flags;
    str tag, value;
};

static bool read_property(str text, struct property *ret)
{
    str flags = str_cut(&text, ' '), tag = str_cut(&text, ' ');
    if (!str_to_u64(flags, 255, &ret->flags) || text.n < 2 || text.p[0] != '"')
        return false;
    ret->tag = tag;
    ret->value = str_of(text.p + 1, text.n - 2);
    return true;
}

static bool is_named(str issuer, str identities)
{
    while (identities.n != 0) {
        str one = str_trim(str_cut(&identities, ','));
        if (one.n != 0 && str_caseeq(one, issuer))
            return true;
    }
    return false;
}

// RFC 8657: other ways of proof than ours. An account that is named is the authority's to compare.
static bool allows_http(str parameters)
{
    while (parameters.n != 0) {
        str value = str_trim(str_cut(&parameters, ';')), tag = str_cut(&value, '=');
        if (!str_caseeq(str_trim(tag), STR("validationmethods")))
            continue;
        while (value.n != 0)
            if (str_caseeq(str_trim(str_cut(&value, ',')), STR("http-01")))
                return true;
        return false;
    }
    return true;
}

bool caa_judge(const struct dns_answer *a, const char *name, str identities, char why[static 320])
{
    bool has_issue = false, is_other_method = false;
    char seen[120] = "";
    for (size_t i = 0; identities.n != 0 && i != a->count; ++i) {
        struct property p;
        if (a->records[i].type != DNS_CAA || !read_property(a->records[i].text, &p))
            continue;
        if (!str_caseeq(p.tag, STR("issue"))) {
            if ((p.flags & CRITICAL) == 0 || str_caseeq(p.tag, STR("issuewild")) ||
                str_caseeq(p.tag, STR("iodef")))
                continue;
            snprintf(why, 320,
                     "A CAA record at %.160s has the critical property \"%.*s\", which no "
                     "certificate authority may pass over (RFC 8659).",
                     name, (int)(p.tag.n < 30 ? p.tag.n : 30), p.tag.p);
            return false;
        }
        has_issue = true;
        str parameters = p.value, issuer = str_trim(str_cut(&parameters, ';'));
        if (is_named(issuer, identities)) {
            if (allows_http(parameters))
                return true;
            is_other_method = true;
        }
        if (seen[0] == '\0')
            snprintf(seen, sizeof seen, "%.*s", (int)(p.value.n < 100 ? p.value.n : 100),
                     p.value.p);
    }
    if (!has_issue)
        return true;
    if (is_other_method)
        snprintf(why, 320,
                 "A CAA record at %.120s allows other ways of proof only; add http-01 to its "
                 "validationmethods.",
                 name);
    else {
        str first = str_trim(str_cut(&identities, ','));
        snprintf(why, 320,
                 "The CAA records at %.110s allow other certificate authorities only (\"%.60s\"). "
                 "Add: 0 issue \"%.*s\"",
                 name, seen, (int)(first.n < 60 ? first.n : 60), first.p);
    }
    return false;
}

static enum fail unknown(const char *name, const struct dns_answer *a, struct fault *fault)
{
    return fault_set(
        fault, FAIL_UPSTREAM, "caa_unknown",
        "Whether CAA records at %.100s allow a certificate cannot be told (%s): %.120s", name,
        dns_outcome_name(a->outcome), a->why);
}

static enum fail judge(const char *name, const struct dns_answer *a, str identities,
                       struct fault *fault)
{
    char why[320];
    if (caa_judge(a, name, identities, why))
        return FAIL_NONE;
    return fault_set(fault, FAIL_REFUSED, "caa_forbids", "%s", why);
}

static enum fail too_long(const char *name, struct fault *fault)
{
    return fault_set(
        fault, FAIL_UPSTREAM, "caa_unknown",
        "Whether CAA records at %.100s allow a certificate cannot be told in time: the "
        "name servers of the names below it are slow.",
        name);
}

enum fail caa_look(const char *name, str identities, unsigned patience_ms, struct fault *fault)
{
    uint64_t until = clock_monotonic_ms() + patience_ms;
    for (const char *at = name; at != NULL; at = strchr(at, '.')) {
        at += *at == '.';
        if (clock_monotonic_ms() > until)
            return too_long(at, fault);
        struct dns_answer a;
        enum fail f = dns_lookup(str_from(at), DNS_CAA, &a, fault);
        if (f != FAIL_NONE)
            return f;
        bool is_there = a.outcome == DNS_FOUND;
        if (is_there)
            f = judge(at, &a, identities, fault);
        else if (a.outcome != DNS_NO_DATA && a.outcome != DNS_NXDOMAIN)
            f = unknown(at, &a, fault);
        dns_answer_fini(&a);
        if (is_there || f != FAIL_NONE)
            return f;
    }
    return FAIL_NONE;
}
