// Owners' custom domains (contract §6, security-rules.md 11–14, 23, 24): names, their proof by a TXT
// record, their life, and the list of what is served under which. The endpoints run on pool threads,
// those that ask DNS on LANE_DOMAINS.
#ifndef STOA_DOMAINS_DOMAIN_H
#define STOA_DOMAINS_DOMAIN_H
#include "domains/lifecycle.h"
#include "edge/http/service.h"
#include "edge/store/db.h"
#include "edge/store/migrate.h"

struct domains_options {
    const char *apps_origin, *console_origin, *files_origin; // files_origin: "" none
    const char *instance_domain;                             // "": none
    const char *addresses; // where names may point by A and AAAA: "203.0.113.7, 2001:db8::7", or ""
    const char *reserved;  // comma-separated names nobody may claim, each with all below it
    const char *dns_forwarders, *dns_root_hints, *dns_trust_anchor; // dns.h
};
// Process start; the strings are kept. Fails with a sentence when an
// address is none, or DNS could not be asked so.
enum fail domains_init(const struct domains_options *o, struct fault *fault) MUST_CHECK;
struct service *domains_service(void);
// Scheduler, every few seconds: names whose check is due, on pool threads; many nodes share them.
void domains_tend(void);

// Certificates: those of names that are served and lead here are ordered of the authority.
struct domains_acme_options {
    const char *directory; // its URL; "": none is ordered
    const char *contact;   // "mailto:…", or ""
    const char *ca_file;   // PEM, for the authority's own server; "": the system's
    const char *caa;       // what CAA records may name it, with commas between; "": its own word
    const char *eab_kid;   // the account that the operator has with it already; "": none
    const char *eab_key;   // its key in base64url, checked
    bool has_tls;          // somebody would meet the certificate
};
void certificates_init(const struct domains_acme_options *o); // the strings are kept
void certificates_tend(void);                                 // scheduler, every few seconds
void certificates_reseal(void); // scheduler, hourly: keys follow the master key
// NOTIFY "stoa_challenges" with the token.
void challenges_on_notice(str payload);
void challenges_on_listener_back(void);
// Answers when it is for a challenge that may be open; false, and nothing was done, otherwise.
bool challenges_answer(struct request *r);

// What is served under a name.
struct domain_host {
    str hostname; // A-labels, lower case
    str project_id, instance_id, instance_slug, plugin_slug;
    str redirect_to;      // another name of the project's, whatever its state; empty: none
    bool https_only;      // once there is a certificate
    int64_t hsts_max_age; // seconds; -1: off
    bool hsts_subdomains;
    int64_t clears_until; // real ms: navigations until then carry Clear-Site-Data
    enum domain_status status;
    // NULL: none. The bytes of the chain are those of chain_digest, which may be empty.
    const char *certificate_id;
    str leaf, sealed_key, chain_digest;
    int64_t not_after; // of the certificate, real ms
};
// Calls `visit` for every served name, or for that one when `hostname` is not empty. The strings
// live during the call. A change is told as NOTIFY "stoa_domains" with the name.
enum fail domains_hosts(struct db *db, str hostname,
                        void (*visit)(void *arg, const struct domain_host *h), void *arg,
                        struct fault *fault) MUST_CHECK;

// NOTIFY "stoa_domains": the table of names that loops answer by (edge/route/hosts.h) follows. Any
// thread but a loop's.
void domains_on_notice(str payload);
void domains_on_listener_back(void);

extern const struct migration domains_migrations[];
extern const size_t domains_migration_count;
#endif
