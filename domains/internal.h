// What the .c files of this folder share: a claim's row, what a look at DNS saw, the transaction
// behind it, and the statements.
#ifndef STOA_DOMAINS_INTERNAL_H
#define STOA_DOMAINS_INTERNAL_H
#include <jansson.h>
#include "domains/dns.h"
#include "domains/domain.h"
#include "domains/hostname.h"
#include "edge/base/ip.h"
#include "edge/catalog/catalog.h"
#include "edge/catalog/page.h"

enum {
    DOMAIN_TOKEN_ROOM = 33,  // 128 bits in hex
    DOMAIN_TARGET_ROOM = 32, // "c-" and 26 characters of base32
    DOMAIN_CHECKS_KEPT = 5,
    DOMAINS_PER_PROJECT = 1000, // claims that have not ended
    DOMAIN_ADDRESSES_MAX = 16,
    DOMAIN_CLEARS_DAYS = 30, // security-rules.md 13
};
#define DOMAIN_CHALLENGE_LABEL "_stoa-challenge"
#define DOMAIN_PROOF_PREFIX "stoa-verification="

struct domain_certificate {
    bool is_own, is_claimed;         // given by the owner; being ordered at this moment
    bool is_leaving;                 // the owner's that was given up, until one is ordered
    int64_t not_before, not_after;   // of what is served; 0: nothing
    int64_t next_at;                 // when it is next tried; 0: not by itself
    char error_code[48], error[328]; // of the last try; "": none
};
struct domain {
    char id[CATALOG_ID_ROOM], project_id[CATALOG_ID_ROOM];
    char instance_id[CATALOG_ID_ROOM], instance_slug[CATALOG_SLUG_ROOM]; // "" once removed
    char hostname[HOSTNAME_ROOM], unicode[HOSTNAME_UNICODE_ROOM], registrable[HOSTNAME_ROOM];
    char token[DOMAIN_TOKEN_ROOM];
    char target[DOMAIN_TARGET_ROOM]; // its instance's label below instance_domain; "": none yet
    struct domain_life life;
    int64_t created_at, checked_at;
    char redirect_to[HOSTNAME_ROOM]; // "": none
    bool https_only, hsts_subdomains;
    int64_t hsts_max_age;     // -1: off
    json_t *checks, *routing; // owned; routing: NULL until it was looked at
    struct domain_certificate certificate;
};
void domain_fini(struct domain *d);
#define DOMAIN_AUTO __attribute__((cleanup(domain_fini))) struct domain

struct domain_config {
    const char *instance_domain;
    char apps_host[HOSTNAME_ROOM]; // "": an address, or loopback: nothing to point to
    struct ip addresses[DOMAIN_ADDRESSES_MAX];
    size_t address_count;
};
extern struct domain_config domain_config; // as domains_init left it

// --- proof.c: ownership. Blocking ---

enum proof_outcome {
    PROOF_SEEN,
    PROOF_NOT_FOUND,
    PROOF_MISMATCH,  // a record is there, but not the right one
    PROOF_DNS_ERROR, // no answer in time, or the servers fail
    PROOF_BOGUS,     // DNSSEC does not hold
    PROOF_OUTCOMES
};
struct proof {
    enum proof_outcome outcome;
    struct dns_answer answer; // TXT at the challenge name
    char message[320];        // a sentence for the owner
    json_t *seen;             // [{"type","name","value"}], what was found at wrong places too
};
void proof_look(const struct domain *d, struct proof *ret);
void proof_fini(struct proof *p);
#define PROOF_AUTO __attribute__((cleanup(proof_fini))) struct proof
// Whether the answer holds the record of the claim with this token.
bool proof_has(const struct proof *p, const char *token);
// What the same answer says of another claim on the name: DOMAIN_SEEN, MISSED or UNKNOWN.
enum domain_event proof_says(const struct proof *p, const char *token);
// "txt_not_found", …; "verified" for PROOF_SEEN.
const char *proof_code(enum proof_outcome o);
// {"type":"TXT","name","value"}: the record to add.
json_t *proof_record_json(const struct domain *d);
void proof_name(const struct domain *d, char to[static DNS_NAME_MAX + 1 + 32]);
// {"name","expected","seen","resolver"}: contract §6's details.
json_t *proof_details_json(const struct domain *d, const struct proof *p);
// Text of a stranger's as JSON: what is no printable UTF-8 becomes '?'.
json_t *proof_text_json(str s);

// --- routing.c: where the name points. Blocking ---

struct routing {
    bool ok;
    char message[320];
    json_t *seen; // [{"type","name","value"}]
};
void routing_look(struct db *db, const struct domain *d, struct routing *ret);
void routing_fini(struct routing *r);
#define ROUTING_AUTO __attribute__((cleanup(routing_fini))) struct routing
json_t *routing_expected_json(const struct domain *d);
// {"ok","message","seen","checkedAt"}: as it is kept.
json_t *routing_json(const struct routing *r, int64_t now);

// --- settle.c: the transaction behind a look ---

// Who brought about a change, for the audit trail. Everything empty: the server itself.
struct domain_actor {
    const char *token_id, *request_id;
    str peer;
};
struct domain_verdict {
    bool is_held;       // its record is there, but another project stands in the way
    int64_t held_until; // a removed name's quarantine; 0: it is another project's now
};
// Takes what was seen into account, for this claim and for the present holder's. `*d` is as it is
// afterwards. FAIL_NOT_FOUND "domain_not_found" when it has gone meanwhile. Begins and commits.
enum fail domain_settle(struct db *db, struct domain *d, const struct proof *p,
                        const struct routing *r, const struct domain_actor *actor,
                        struct domain_verdict *ret, struct fault *fault) MUST_CHECK;
// Without asking DNS: the claim's time has come.
enum fail domain_expire(struct db *db, struct domain *d, struct fault *fault) MUST_CHECK;
// In a transaction: event and audit row of a change of state.
enum fail domain_tell(struct db *db, const struct domain *before, const struct domain *after,
                      enum domain_news news, const struct domain_actor *actor,
                      struct fault *fault) MUST_CHECK;

// --- tend.c ---

// How often one project, and one registrable domain, may be asked about, and how many looks a project
// may have under way; false, and *ret_wait_s set, when it is too much now. What an owner began is
// ended by domain_asked; the server's own looks (`by_owner` false) are not.
bool domain_may_ask(const struct domain *d, bool by_owner, unsigned *ret_wait_s);
void domain_asked(const char *project_id);
// Names a project may claim.
bool domain_may_claim(const char *project_id, unsigned *ret_wait_s);
// Both looks; the second is left out (*ret_has_routing false) when the name servers did not even
// answer the first in time.
void domain_look(struct db *db, const struct domain *d, struct proof *ret_proof,
                 struct routing *ret_routing, bool *ret_has_routing);

// --- hosts.c ---

void domains_read_again(void); // what could not be read; from the scheduler

// --- resource.c ---

json_t *domain_json(const struct domain *d, int64_t now);
json_t *domain_check_json(const struct domain *d, const struct proof *p, bool is_held,
                          bool by_owner, int64_t now);
// What happens next, and when.
void domain_next_sentence(const struct domain *d, int64_t now, char to[static 320]);

// --- queries.c: the owner's view; every statement names the project ---

// By id, or by the name of a claim that has not ended. FAIL_NOT_FOUND "domain_not_found".
enum fail domain_query_find(struct db *db, const char *project_id, str ref, struct domain *ret,
                            struct fault *fault) MUST_CHECK;
enum fail domain_query_lock(struct db *db, const char *project_id, const char *id,
                            struct domain *ret, struct fault *fault) MUST_CHECK;
struct domain_filter {
    const char *instance_id; // NULL: any
    str hostname;            // p == NULL: any
};
enum fail domain_query_page(struct db *db, const char *project_id, const struct domain_filter *f,
                            const struct page *page, struct db_rows **ret,
                            struct fault *fault) MUST_CHECK;
void domain_of_row(const struct db_rows *rows, size_t row, struct domain *ret);
// FAIL_CONFLICT "domain_exists" or "too_many_domains".
enum fail domain_query_insert(struct db *db, const struct domain *d,
                              struct fault *fault) MUST_CHECK;
// The label of the instance's target; issues one when it has none yet.
enum fail domain_query_target(struct db *db, const char *instance_id, const char *project_id,
                              char ret[static DOMAIN_TARGET_ROOM], struct fault *fault) MUST_CHECK;
// Whose a label below instance_domain is: an instance's target or slug, be the instance gone by now,
// since neither is ever issued twice.
enum domain_label { LABEL_NOBODYS, LABEL_OURS, LABEL_OTHERS };
enum fail domain_query_label(struct db *db, str label, const char *project_id,
                             enum domain_label *ret, struct fault *fault) MUST_CHECK;
// What PATCH may change: instance_id, redirect_to, https_only, hsts. With `hands_over` the name
// brings its visitors another app from now on.
enum fail domain_query_change(struct db *db, const struct domain *d, bool hands_over,
                              struct fault *fault) MUST_CHECK;
// Redirects of the project that no longer lead to a name of the same instance end.
enum fail domain_query_mend_redirects(struct db *db, const char *project_id, const char *hostname,
                                      struct fault *fault) MUST_CHECK;
enum fail domain_query_names_of_plugin(struct db *db, const char *plugin_id, struct db_rows **ret,
                                       struct fault *fault) MUST_CHECK;

// --- queries_settle.c: crosses projects ---

struct domain_rivals {
    struct domain own, holder;
    bool has_holder;    // another claim that is served
    int64_t held_until; // another project's quarantine; 0: none
};
// Locks the claim, the name's holder and its quarantines. FAIL_NOT_FOUND when the claim has ended.
enum fail domain_query_rivals(struct db *db, const char *id, struct domain_rivals *ret,
                              struct fault *fault) MUST_CHECK;
void domain_rivals_fini(struct domain_rivals *r);
// State and times; `checks` and `routing` when they are not NULL. FAIL_CONFLICT: somebody else
// became the holder.
enum fail domain_query_settle(struct db *db, const struct domain *d,
                              struct fault *fault) MUST_CHECK;
// The name is this claim's from now on: *ret_hands_over when its visitors knew another app under it;
// the project's own quarantine of it ends.
enum fail domain_query_take(struct db *db, const struct domain *d, struct fault *fault) MUST_CHECK;
// Claims up to `limit` names that are due, for a few minutes: whoever dies with them leaves them to
// others.
enum fail domain_query_due(struct db *db, unsigned limit, struct db_rows **ret,
                           struct fault *fault) MUST_CHECK;
enum fail domain_query_postpone(struct db *db, const char *id, unsigned seconds,
                                struct fault *fault) MUST_CHECK;
// Claims that ended long ago.
enum fail domain_query_purge(struct db *db, unsigned limit, struct fault *fault) MUST_CHECK;
#endif
