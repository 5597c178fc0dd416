// IP addresses and networks as bytes: read, written, compared. Any thread; no state.
#ifndef STOA_BASE_IP_H
#define STOA_BASE_IP_H
#include <sys/socket.h>
#include "edge/base/str.h"

enum { IP_ROOM = 46 }; // of its text, NUL included

struct ip {
    uint8_t b[16]; // network order; the first n count, the rest are 0
    uint8_t n;     // 4: IPv4, 16: IPv6, 0: none
};
// All addresses whose first `bits` bits are those of `base`.
struct ip_network {
    struct ip base;
    uint8_t bits;
};

// Four decimal numbers without leading zeros, or RFC 4291 §2.2 without a zone; nothing before or
// behind. False, and *ret untouched, for anything else.
bool ip_parse(str text, struct ip *ret);
// n is 0 when the family is neither.
struct ip ip_of_socket(const struct sockaddr *sa);
void ip_text(const struct ip *a, char to[static IP_ROOM]); // "" for none; RFC 5952
bool ip_eq(const struct ip *a, const struct ip *b);
// An IPv4-mapped address (RFC 4291 §2.5.5.2), as sockets for both families show IPv4 peers, as
// IPv4. Any other as it is.
struct ip ip_unmap(const struct ip *a);
// The same host by its IPv4 address, when the IPv6 one is but another way to write it: IPv4-mapped
// (RFC 4291 §2.5.5.2), the NAT64 well-known prefix (RFC 6052 §2.1), 6to4 (RFC 3056). Any other
// address as it is.
struct ip ip_normalise(const struct ip *a);

// "192.0.2.0/24", "2001:db8::/32", or an address alone. Bits below the prefix must be 0, so that a
// slip is noticed.
bool ip_network_parse(str text, struct ip_network *ret);
// False when the families differ; who wants IPv4-mapped ones to count normalises first.
bool ip_network_contains(const struct ip_network *network, const struct ip *a);
#endif
