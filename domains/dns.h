// Asking DNS for what an owner has published, for proofs and routing (contract §6, security-rules.md
// 23 and 24): libunbound, validating DNSSEC, recursing itself from the root or through configured
// forwarders. Each lookup has a context of its own, so that nobody's negative answer is remembered.
// Recursing from the public root it asks public addresses only; with a root or forwarders of the
// operator's own, any.
// Blocking, at most DNS_DEADLINE_MS; pool threads (LANE_DOMAINS).
#ifndef STOA_DOMAINS_DNS_H
#define STOA_DOMAINS_DNS_H
#include "edge/base/fail.h"
#include "edge/base/ip.h"
#include "edge/base/ip.h"

enum {
    DNS_DEADLINE_MS = 15000,
    DNS_NAME_MAX = 253,
    DNS_RECORDS_MAX = 20,   // of an answer; more are cut, and said to be
    DNS_SHOWN_BYTES = 4096, // of their texts together
    DNS_CNAMES_MAX = 8,     // followed
};

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_TXT = 16, DNS_AAAA = 28, DNS_CAA = 257 };

enum dns_outcome {
    DNS_FOUND,   // records of that type, at the end of the CNAMEs
    DNS_NO_DATA, // the name is there, such records are not
    DNS_NXDOMAIN,
    DNS_BOGUS,    // DNSSEC does not hold; `why` says what
    DNS_SERVFAIL, // the servers answered with a failure, or none did
    DNS_TIMEOUT,  // no answer in DNS_DEADLINE_MS
    DNS_OUTCOMES
};

struct dns_record {
    enum dns_type type;
    // TXT: its strings joined; A, AAAA: the address; CNAME: the target without a final dot; CAA: `0 issue
    // "ca"`. What is not printable ASCII, and a backslash of TXT and CAA, is `\DDD`. Or "redacted".
    str text;
    bool
        is_redacted; // an address in a private or reserved range; a name nobody may see, or what is there
    struct ip address; // of A and AAAA, also where redacted: to compare with, never to show
};

struct dns_answer {
    enum dns_outcome outcome;
    bool is_secure;                             // DNSSEC says so, also of NO_DATA and NXDOMAIN
    struct dns_record records[DNS_RECORDS_MAX]; // CNAMEs followed come first, in order
    size_t count;
    bool is_cut;        // there were more, or the last text is not whole
    char why[200];      // of BOGUS, SERVFAIL and TIMEOUT, for owners; no addresses of ours
    char resolver[128]; // where it was asked: "recursive from the root", or "forwarders …"
    unsigned ms;
    char *_texts;
};

struct dns_options {
    const char *forwarders;   // "" : recursing; "127.0.0.1@5353,…"
    const char *root_hints;   // file; "": the built-in ones
    const char *trust_anchor; // file; "": Debian's root key (package dns-root-data)
    unsigned deadline_ms;     // 0: DNS_DEADLINE_MS
    bool asks_public_only;    // no servers at private addresses, also with one of the first two
};
// Process start; `o` is kept, not copied. FAIL_BAD_INPUT "dns_options" when lookups
// could not be made with it: a file that is not there, an address that is none.
enum fail dns_init(const struct dns_options *o, struct fault *fault) MUST_CHECK;

// `name`: A-labels and underscores, no final dot. FAIL_NONE whatever the outcome, and then `*ret` is given to
// dns_answer_fini; FAIL_BUSY when no thread or socket can be had, and `*ret` is untouched.
enum fail dns_lookup(str name, enum dns_type type, struct dns_answer *ret,
                     struct fault *fault) MUST_CHECK;
void dns_answer_fini(struct dns_answer *a);
// "found", "no_data", "nxdomain", "bogus", "servfail", "timeout"
const char *dns_outcome_name(enum dns_outcome o);
#endif
