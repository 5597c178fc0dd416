// Asking DNS for what an owner has published, for proofs and routing (contract §6, security-rules.md
// 23 and 24): libunbound, validating DNSSEC, recursing itself from the root or through configured
// forwarders. Each lookup has a context of its own, so that nobody's negative answer is remembered.
// Blocking, at most DNS_DEADLINE_MS; pool threads (LANE_DOMAINS).
#ifndef STOA_DOMAINS_DNS_H
#define STOA_DOMAINS_DNS_H
#include "edge/base/fail.h"
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
    str text; // TXT: its strings joined; A, AAAA: the address; CNAME: the target without a final dot; CAA: `0 issue "ca"`
    bool
        is_redacted; // an address in a private or reserved range, or a reserved name: `text` is then "redacted"
    struct ip address; // A, AAAA: of a redacted one, too; to be compared, never shown
};

struct dns_answer {
    enum dns_outcome outcome;
    bool is_secure;                             // DNSSEC says so
    struct dns_record records[DNS_RECORDS_MAX]; // CNAMEs followed come first, in order
    size_t count;
    bool is_cut;       // there were more
    char why[200];     // of BOGUS and SERVFAIL, for owners; no addresses of ours
    char resolver[64]; // where it was asked: "recursive from the root", or the forwarders
    unsigned ms;
    char *_arena;
};

struct dns_options {
    const char *forwarders;   // "" : recursing; "127.0.0.1@5353,…"
    const char *root_hints;   // file; "": the built-in ones
    const char *trust_anchor; // file; "": Debian's root key
};
void dns_init(const struct dns_options *o); // process start; kept

// `name`: A-labels, no final dot. FAIL_NONE whatever the outcome; FAIL_BUSY when no context can be had.
enum fail dns_lookup(str name, enum dns_type type, struct dns_answer *ret,
                     struct fault *fault) MUST_CHECK;
void dns_answer_fini(struct dns_answer *a);
// "found", "no_data", "nxdomain", …
const char *dns_outcome_name(enum dns_outcome o);
#endif
