// Which certificate authorities a name's owner allows (RFC 8659): looked up before an order, so
// that a refusal is explained instead of met. caa_judge is pure; caa_look blocks.
#ifndef STOA_DOMAINS_CAA_H
#define STOA_DOMAINS_CAA_H
#include "domains/dns.h"

// Whether the records, those of one name, allow a certificate of exactly that name (no wildcard)
// from an authority that goes by one of the comma-separated identities. `why` is a sentence
// otherwise. No identities: true, the authority itself will say.
bool caa_judge(const struct dns_answer *a, const char *name, str identities, char why[static 320]);
// The same of the nearest name, from this one up, that has such records (§3). FAIL_REFUSED
// "caa_forbids"; FAIL_UPSTREAM "caa_unknown" when DNS does not say, or not within `patience_ms`,
// behind which no further name is asked about (dns.h says how long one may take).
enum { CAA_PATIENCE_MS = 20 * 1000 };
enum fail caa_look(const char *name, str identities, unsigned patience_ms,
                   struct fault *fault) MUST_CHECK;
#endif
