// Ownership: the TXT record at _stoa-challenge.<name>. It counts when one of the records there is
// exactly the claim's; all else here is for telling an owner what is wrong with what they added, where
// panels of DNS hosts go wrong: quotation marks kept, the zone appended twice, the label left out.
#include "domains/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"

// Wrong places are looked at only while the first answer was quick: an owner waits.
enum { ELSEWHERE_MS = 4000, VALUE_ROOM = sizeof DOMAIN_PROOF_PREFIX + DOMAIN_TOKEN_ROOM };

void proof_name(const struct domain *d, char to[static DNS_NAME_MAX + 1 + 32])
{
    snprintf(to, DNS_NAME_MAX + 1 + 32, DOMAIN_CHALLENGE_LABEL ".%s", d->hostname);
}

static void value_of(const char *token, char to[static VALUE_ROOM])
{
    snprintf(to, VALUE_ROOM, DOMAIN_PROOF_PREFIX "%s", token);
}

json_t *proof_record_json(const struct domain *d)
{
    char name[DNS_NAME_MAX + 1 + 32], value[VALUE_ROOM];
    proof_name(d, name);
    value_of(d->token, value);
    return json_pack("{ss ss ss}", "type", "TXT", "name", name, "value", value);
}

const char *proof_code(enum proof_outcome o)
{
    static const char *const codes[PROOF_OUTCOMES] = {[PROOF_SEEN] = "verified",
                                                      [PROOF_NOT_FOUND] = "txt_not_found",
                                                      [PROOF_MISMATCH] = "txt_mismatch",
                                                      [PROOF_DNS_ERROR] = "dns_error",
                                                      [PROOF_BOGUS] = "dnssec_bogus"};
    return codes[o];
}

json_t *proof_text_json(str s)
{
    AUTOFREE char *copy = str_dup(s);
    bool is_text = str_is_utf8(s);
    for (size_t i = 0; i != s.n; ++i) {
        unsigned char c = (unsigned char)copy[i];
        if (c < ' ' || c == 0x7f || (c > 0x7f && !is_text))
            copy[i] = '?';
    }
    return json_stringn(copy, s.n);
}

// --- what an answer holds ---

bool proof_has(const struct proof *p, const char *token)
{
    char value[VALUE_ROOM];
    value_of(token, value);
    for (size_t i = 0; i != p->answer.count; ++i)
        if (p->answer.records[i].type == DNS_TXT &&
            str_eq(p->answer.records[i].text, str_from(value)))
            return true;
    return false;
}

// Records that were not read may hold it.
enum domain_event proof_says(const struct proof *p, const char *token)
{
    enum dns_outcome o = p->answer.outcome;
    if (o != DNS_FOUND && o != DNS_NO_DATA && o != DNS_NXDOMAIN)
        return DOMAIN_UNKNOWN;
    if (o == DNS_FOUND && proof_has(p, token))
        return DOMAIN_SEEN;
    return p->answer.is_cut ? DOMAIN_UNKNOWN : DOMAIN_MISSED;
}

static const char *type_name(enum dns_type t)
{
    switch (t) {
    case DNS_A:
        return "A";
    case DNS_AAAA:
        return "AAAA";
    case DNS_CNAME:
        return "CNAME";
    case DNS_CAA:
        return "CAA";
    case DNS_TXT:
        break;
    }
    return "TXT";
}

static void add_seen(json_t *seen, const char *name, const struct dns_answer *a)
{
    for (size_t i = 0; i != a->count; ++i)
        json_array_append_new(seen,
                              json_pack("{ss ss so}", "type", type_name(a->records[i].type), "name",
                                        name, "value", proof_text_json(a->records[i].text)));
}

// --- how a value differs ---

// The bytes of a text as dns.h shows them: "\DDD" is one. Returns how many were written.
static size_t unescape(str s, char *to)
{
    size_t n = 0;
    while (s.n != 0) {
        uint64_t byte;
        bool is_escape = s.n >= 4 && s.p[0] == '\\' && str_to_u64(str_of(s.p + 1, 3), 255, &byte);
        to[n++] = is_escape ? (char)byte : s.p[0];
        s = str_skip(s, is_escape ? 4 : 1);
    }
    return n;
}

// Without white space, quotation marks of any kind, and backslashes; in place.
static size_t bare(char *text, size_t size)
{
    static const char *const marks[] = {" ", "\t", "\r", "\n", "\"", "'", "`",        "\\", "“",
                                        "”", "„",  "‘",  "’",  "«",  "»", "\xc2\xa0", NULL};
    size_t n = 0;
    for (str s = str_of(text, size); s.n != 0;) {
        size_t skip = 0;
        for (size_t i = 0; skip == 0 && marks[i] != NULL; ++i)
            if (str_starts(s, str_from(marks[i])))
                skip = strlen(marks[i]);
        if (skip == 0)
            text[n++] = s.p[0];
        s = str_skip(s, skip != 0 ? skip : 1);
    }
    return n;
}

// What is wrong with a record that was meant to be ours, or NULL when it is somebody else's.
static const char *difference(str text, const char *token)
{
    char value[VALUE_ROOM];
    value_of(token, value);
    str want = str_from(value);
    if (text.n > 1024)
        return NULL;
    AUTOFREE char *plain = malloc(text.n + 1);
    if (plain == NULL)
        abort();
    bool has_space = str_find(text, ' ') != SIZE_MAX;
    str stripped = str_of(plain, bare(plain, unescape(text, plain)));
    if (str_eq(str_trim(text), want))
        return "it has spaces around it";
    if (str_eq(stripped, want))
        return has_space ? "it has spaces or quotation marks in it; enter it without any"
                         : "it has quotation marks or backslashes in it; enter it without any";
    if (str_caseeq(stripped, want))
        return "capital and small letters differ";
    if (str_eq(stripped, str_from(token)))
        return "\"" DOMAIN_PROOF_PREFIX "\" is missing in front of it";
    if (str_find_str(text, want) != SIZE_MAX)
        return "there is more in it than the value";
    if (str_starts(stripped, STR("stoa-verification")))
        return "its token is another one: of an earlier claim, or of another project";
    return NULL;
}

// The first record with something to say of.
static const char *first_difference(const struct dns_answer *a, const char *token, str *ret_text)
{
    for (size_t i = 0; i != a->count; ++i) {
        const char *what =
            a->records[i].type == DNS_TXT ? difference(a->records[i].text, token) : NULL;
        if (what != NULL) {
            *ret_text = a->records[i].text;
            return what;
        }
    }
    return NULL;
}

// --- wrong places ---

// True, and the message says so, when the value is at `name`.
static bool look_there(const struct domain *d, struct proof *p, const char *name, const char *hint)
{
    struct dns_answer a = {0};
    struct fault fault = {0};
    char value[VALUE_ROOM];
    bool found = false;
    value_of(d->token, value);
    if (strlen(name) > DNS_NAME_MAX || dns_lookup(str_from(name), DNS_TXT, &a, &fault) != FAIL_NONE)
        return false;
    for (size_t i = 0; a.outcome == DNS_FOUND && !found && i != a.count; ++i)
        found = a.records[i].type == DNS_TXT &&
                str_find_str(a.records[i].text, str_from(d->token)) != SIZE_MAX;
    if (found) {
        add_seen(p->seen, name, &a);
        snprintf(p->message, sizeof p->message, "The record stands at the wrong name, %.120s. %s",
                 name, hint);
    }
    dns_answer_fini(&a);
    return found;
}

static void look_elsewhere(const struct domain *d, struct proof *p)
{
    char twice[2 * HOSTNAME_ROOM + 32], above[HOSTNAME_ROOM + 32];
    uint64_t until = clock_monotonic_ms() + ELSEWHERE_MS;
    snprintf(twice, sizeof twice, DOMAIN_CHALLENGE_LABEL ".%s.%s", d->hostname, d->registrable);
    snprintf(above, sizeof above, DOMAIN_CHALLENGE_LABEL ".%s", d->registrable);
    if (look_there(d, p, twice,
                   "Your DNS host adds the zone by itself: leave it out of the record's name.") ||
        clock_monotonic_ms() > until ||
        look_there(d, p, d->hostname, "Put " DOMAIN_CHALLENGE_LABEL " in front of the name.") ||
        clock_monotonic_ms() > until || strcmp(d->hostname, d->registrable) == 0)
        return;
    (void)look_there(d, p, above, "It must be below the very name that you want to use.");
}

// --- the verdict ---

static void judge_absent(const struct domain *d, struct proof *p)
{
    char name[DNS_NAME_MAX + 1 + 32];
    str text;
    const char *what = first_difference(&p->answer, d->token, &text);
    proof_name(d, name);
    if (what != NULL) {
        p->outcome = PROOF_MISMATCH;
        snprintf(p->message, sizeof p->message,
                 "There is a TXT record at %.150s, but its value is not the expected one: %s.",
                 name, what);
        return;
    }
    p->outcome = PROOF_NOT_FOUND;
    if (p->answer.is_cut)
        snprintf(p->message, sizeof p->message,
                 "There are more records at %.150s than are read; remove some.", name);
    else if (p->answer.outcome == DNS_FOUND)
        snprintf(p->message, sizeof p->message,
                 "The TXT records at %.150s are others; add one more with the expected value.",
                 name);
    else
        snprintf(p->message, sizeof p->message,
                 "There is no TXT record at %.150s%s. A record just added may take its name "
                 "servers a minute.",
                 name, p->answer.outcome == DNS_NXDOMAIN ? "; the name does not exist" : "");
    if (p->answer.ms < ELSEWHERE_MS)
        look_elsewhere(d, p);
}

static void judge_failure(struct proof *p)
{
    p->outcome = p->answer.outcome == DNS_BOGUS ? PROOF_BOGUS : PROOF_DNS_ERROR;
    if (p->answer.outcome == DNS_BOGUS)
        snprintf(p->message, sizeof p->message,
                 "The zone is signed with DNSSEC, but the signatures do not hold: %.200s",
                 p->answer.why);
    else if (p->answer.outcome == DNS_TIMEOUT)
        snprintf(p->message, sizeof p->message,
                 "The zone's name servers did not answer within %d seconds.",
                 DNS_DEADLINE_MS / 1000);
    else
        snprintf(p->message, sizeof p->message,
                 "The zone's name servers answered with a failure: %.200s",
                 p->answer.why[0] != '\0' ? p->answer.why : "SERVFAIL.");
}

void proof_look(const struct domain *d, struct proof *ret)
{
    char name[DNS_NAME_MAX + 1 + 32];
    struct fault fault = {0};
    *ret = (struct proof){.outcome = PROOF_DNS_ERROR, .seen = json_array()};
    proof_name(d, name);
    if (dns_lookup(str_from(name), DNS_TXT, &ret->answer, &fault) != FAIL_NONE) {
        ret->answer.outcome = DNS_SERVFAIL;
        snprintf(ret->message, sizeof ret->message, "DNS could not be asked just now: %.200s",
                 fault.public_text);
        return;
    }
    add_seen(ret->seen, name, &ret->answer);
    if (proof_says(ret, d->token) == DOMAIN_SEEN) {
        ret->outcome = PROOF_SEEN;
        snprintf(ret->message, sizeof ret->message, "The record is there.");
    } else if (ret->answer.outcome == DNS_FOUND || ret->answer.outcome == DNS_NO_DATA ||
               ret->answer.outcome == DNS_NXDOMAIN) {
        judge_absent(d, ret);
    } else {
        judge_failure(ret);
    }
}

void proof_fini(struct proof *p)
{
    dns_answer_fini(&p->answer);
    json_decref(p->seen);
    p->seen = NULL;
}

json_t *proof_details_json(const struct domain *d, const struct proof *p)
{
    char name[DNS_NAME_MAX + 1 + 32], value[VALUE_ROOM];
    proof_name(d, name);
    value_of(d->token, value);
    return json_pack("{ss ss sO ss sb}", "name", name, "expected", value, "seen", p->seen,
                     "resolver", p->answer.resolver, "secure", (int)p->answer.is_secure);
}
