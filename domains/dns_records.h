// Reading an answer: bytes of strangers, as a packet of RFC 1035 §4, into records that may be shown
// (security-rules.md 24). Any thread; hostname_init has been called.
#ifndef STOA_DOMAINS_DNS_RECORDS_H
#define STOA_DOMAINS_DNS_RECORDS_H
#include "domains/dns.h"

enum dns_reading {
    DNS_READING_DONE,
    DNS_READING_ENDLESS, // more than DNS_CNAMES_MAX CNAMEs follow each other; the first are in *ret
    DNS_READING_MALFORMED, // *ret holds what stood before
};

// Follows the CNAMEs from `name` (as in dns_lookup) and takes the records of `type` at their end. Fills
// in records, count, is_cut and _texts of `*ret`, which are zero before; dns_answer_fini frees them.
// *ret_found: how many records of `type` there were, CNAMEs on the way not counted.
enum dns_reading dns_records_read(str packet, str name, enum dns_type type, struct dns_answer *ret,
                                  size_t *ret_found) MUST_CHECK;
#endif
