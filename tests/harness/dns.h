// The private internet of names of tests/harness/dns.mjs for a test program in C: starts Node with it,
// and speaks to it by lines. Needs root, for port 53. Any failure here ends the program with a sentence.
#ifndef STOA_TESTS_HARNESS_DNS_H
#define STOA_TESTS_HARNESS_DNS_H

struct dns_servers {
    char root_hints[256], trust_anchor[256]; // files
};
// Its zones, and what is the matter with each: ZONES in dns.mjs. Static memory, until dns_servers_stop.
const struct dns_servers *dns_servers_start(void);
// Replaces the records of a zone that is well: lines of a zone file, names relative to it, separated by
// tabs.
void dns_servers_set(const char *zone, const char *records);
// Starts a recursor that asks these servers: "127.0.0.1@5353". Static memory.
const char *dns_servers_start_forwarder(void);
void dns_servers_stop(void);
#endif
