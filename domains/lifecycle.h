// The life of a domain's claim (contract §6, security-rules.md 23) as one pure function: what a check
// saw, or what somebody did, times the state and the clock, gives the next state, when to look again,
// and what to tell. Who calls it holds the rows (settle.c). Any thread.
//
//   pending ─seen→ verified ─missed→ failing ─7 days→ suspended ─30 days→ removed (expired)
//      └─30 days→ removed      └←──seen──┘     └────seen────→ verified
//
// When DNS cannot tell (no answer in time, SERVFAIL, DNSSEC that does not hold), that is no word of
// the owner's: it makes no claim fail. Two bounds keep a zone that never answers again from being
// held for ever: a verified name not seen for DOMAIN_SILENCE_MS is failing, and a failing one is
// suspended after twice its grace. No silence, however long, counts as the absence that a transfer
// needs.
#ifndef STOA_DOMAINS_LIFECYCLE_H
#define STOA_DOMAINS_LIFECYCLE_H
#include <stdbool.h>
#include <stdint.h>
#include "edge/base/str.h"

enum domain_status {
    DOMAIN_PENDING,
    DOMAIN_VERIFIED,
    DOMAIN_FAILING, // re-checks miss; still served
    DOMAIN_SUSPENDED,
    DOMAIN_REMOVED,
    DOMAIN_STATUSES
};

enum domain_event {
    DOMAIN_SEEN,    // its TXT record is there, and nobody else stands in the way
    DOMAIN_HELD,    // its TXT record is there; another project holds the name
    DOMAIN_MISSED,  // DNS answered, and it is not there
    DOMAIN_UNKNOWN, // DNS could not tell
    DOMAIN_TAKEN,   // another project's proof takes the name: only where domain_may_be_taken
    DOMAIN_DROPPED, // its owner removes it
    DOMAIN_EVENTS
};

// What subscribers are told of.
enum domain_news {
    NEWS_NONE,
    NEWS_VERIFIED,
    NEWS_FAILING,
    NEWS_SUSPENDED,
    NEWS_TRANSFERRED, // to the former holder
    NEWS_KINDS
};

#define DOMAIN_MINUTE_MS (INT64_C(60) * 1000)
#define DOMAIN_HOUR_MS (60 * DOMAIN_MINUTE_MS)
#define DOMAIN_DAY_MS (24 * DOMAIN_HOUR_MS)
#define DOMAIN_TRY_MS (7 * DOMAIN_DAY_MS)        // how long a pending name is tried by itself
#define DOMAIN_CLAIM_MS (30 * DOMAIN_DAY_MS)     // pending or suspended, then the claim ends
#define DOMAIN_GRACE_MS (7 * DOMAIN_DAY_MS)      // failing and served
#define DOMAIN_SILENCE_MS (7 * DOMAIN_DAY_MS)    // verified without an answer of DNS
#define DOMAIN_QUARANTINE_MS (7 * DOMAIN_DAY_MS) // behind a removal
#define DOMAIN_ABSENCE_MS (1 * DOMAIN_HOUR_MS)   // of the holder's TXT, before a transfer

// Times are real ms; 0: never.
struct domain_life {
    enum domain_status status;
    int64_t since;         // in `status`
    int64_t verified_at;   // the first time
    int64_t failing_since; // FAILING: the first of the misses, or of a silence that was too long
    int64_t missed_at;     // the first look that found its TXT record absent, since it was seen
    int64_t seen_at;       // its TXT record, last
    int64_t next_at;       // when it is looked at again; 0: not by itself
    int64_t held_until;    // REMOVED: nobody else's until then
    const char *ended;     // REMOVED: "removed", "transferred", "expired"; a literal
};

// `spread`: any number; daily checks are spread by it, so that names verified together are not
// looked at together for ever.
struct domain_life domain_step(const struct domain_life *life, enum domain_event event, int64_t now,
                               uint32_t spread, enum domain_news *ret_news);
// A new claim, made now.
struct domain_life domain_begin(int64_t now);
// Whether another project's proof may take it now, when a check just saw its TXT record absent.
bool domain_may_be_taken(const struct domain_life *life, int64_t now);
// Visitors are served.
bool domain_is_served(enum domain_status status);
// When the claim ends by itself; 0: not while it stays in this state.
int64_t domain_ends_at(const struct domain_life *life);
// When DNS is asked next; 0: not by itself (a pending name after its week).
int64_t domain_asks_at(const struct domain_life *life);

const char *domain_status_name(enum domain_status s);
bool domain_status_parse(str name, enum domain_status *ret);
const char *domain_news_name(enum domain_news n); // "domain.verified", …; NULL for NEWS_NONE
#endif
