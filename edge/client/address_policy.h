// Which addresses a stranger's URL must never lead to (security-rules.md 20): all that IANA's
// registries of special-purpose addresses hold, multicast, and every IPv6 address outside of what is
// given out as global unicast. An address that only carries another (IPv4-mapped, 6to4, Teredo, …)
// is refused with its kind; NAT64's well-known prefix, by which hosts without IPv4 reach it, is
// judged by the address it carries. Any thread; no state.
#ifndef STOA_CLIENT_ADDRESS_POLICY_H
#define STOA_CLIENT_ADDRESS_POLICY_H
#include "edge/base/ip.h"

// What the address is for, by the registry's name, or NULL when it is a public host's.
const char *fetch_address_purpose(const struct ip *a);

struct fetch_address_row {
    const char *network, *purpose, *source;
};
extern const struct fetch_address_row fetch_address_rows[];
extern const size_t fetch_address_row_count;
#endif
