// DNS as a test plays it: what was not told does not exist. Any thread.
#ifndef STOA_TESTS_DOMAINS_PLAYED_DNS_H
#define STOA_TESTS_DOMAINS_PLAYED_DNS_H
#include "domains/dns.h"

void played_clear(void);
// One more record.
void played_add(const char *name, enum dns_type type, const char *text);
void played_remove(const char *name);
// Every lookup ends so, whatever there is; DNS_FOUND: none does.
void played_fail(enum dns_outcome outcome);
void played_cut(bool is_cut);
// Each answer takes that long.
void played_slow(unsigned ms);
#endif
